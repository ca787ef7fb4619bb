/* SPDX-License-Identifier: MIT */
/*
 * A static graph of one step: values (tensors) and the nodes that compute
 * them, in program order. Build it, differentiate it, then hand it to a
 * program (<tram/program.h>), which plans, records and replays it.
 *
 * Tensors are contiguous and row-major. The last dimension is the fastest.
 * Builders return a value, or TRAM_NONE after recording a failure in the
 * context; a builder given TRAM_NONE passes it on, so only the last result of
 * an expression needs a check (tram_graph_status tells the errno).
 */
#ifndef TRAM_GRAPH_H
#define TRAM_GRAPH_H

#include <stdbool.h>

#include <tram/tram.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tram_graph;

typedef int32_t tram_value;
#define TRAM_NONE (-1)
#define TRAM_MAX_RANK 6

enum tram_dtype { TRAM_F32, TRAM_I32 };

struct tram_shape {
	uint32_t rank;
	uint32_t dim[TRAM_MAX_RANK];
};

/* TRAM_SHAPE(2, 3) is a struct tram_shape of rank 2. */
#define TRAM_SHAPE(...) \
	((struct tram_shape){ sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), \
			      { __VA_ARGS__ } })

struct tram_graph_params {
	/*
	 * Number of shards that the leading (token) dimension is cut into;
	 * reductions over tokens in the backward pass are made per shard and
	 * added in one fixed binary tree. 0 means 1.
	 */
	uint32_t shards;
};

int tram_graph_create(struct tram_ctx *ctx, const struct tram_graph_params *params,
		      struct tram_graph **graph);
void tram_graph_destroy(struct tram_graph **graph);

/* 0, or the errno of the first builder that failed. */
int tram_graph_status(const struct tram_graph *graph);

/* A batch slot's field, filled anew for every step. @name is unique among inputs. */
tram_value tram_input(struct tram_graph *graph, const char *name, enum tram_dtype dtype,
		      struct tram_shape shape);

/*
 * A mutable, versioned variable that outlives steps (weights, optimizer state,
 * KV cache), owned by tram_vars under @name; f32. Asking twice for one name
 * gives the same value; another shape is an error.
 */
tram_value tram_variable(struct tram_graph *graph, const char *name, struct tram_shape shape);

/* Marks @value to be read by the host after a step, under @name. */
int tram_output(struct tram_graph *graph, const char *name, tram_value value);

/* The shape of @value (rank 0 for TRAM_NONE). */
struct tram_shape tram_value_shape(const struct tram_graph *graph, tram_value value);

/*
 * Reverse mode: appends the nodes that compute d(sum of @loss)/d(wrt[i]) into
 * grads[i] (TRAM_NONE where loss doesn't depend on it). @loss is f32.
 */
int tram_gradients(struct tram_graph *graph, tram_value loss, const tram_value *wrt, size_t n,
		   tram_value *grads);

/*
 * From here on, nodes belong to the update: they run only when the commit gate
 * of the step opens, after every gradient is known to be finite.
 */
void tram_graph_begin_update(struct tram_graph *graph);

#ifdef __cplusplus
}
#endif
#endif
