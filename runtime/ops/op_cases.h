/* SPDX-License-Identifier: MIT */
/*
 * For tests: small graphs that together call every op on whole, odd, prime and
 * size-1 shapes, forward and backward, with what the oracle says about them.
 *
 *	for (size_t i = 0; i < tram_n_op_cases; i++) {
 *		tram_case_open(ctx, &tram_op_cases[i], &run);
 *		tram_device_case_run(dev, run->kernels, run->bindings, run->n_bindings, &run->step);
 *		tram_case_check(run);
 *		tram_case_close(&run);
 *	}
 *
 * Values follow from the names of inputs and variables (f32 ones are exact in f32):
 *	x...	uniform in [-1, 1)		pos...	in [0.5, 1.5)
 *	wide...	in [-8, 8)			tie...	one of -1, 0, 1
 *	tokens.V  i32 in [0, V)			wild.V	i32 in [-2, V + 2)
 *	targets.V i32 in [0, V), some -1	order.NAME  NAME's positions, per shard, sorted by value
 * Outputs "d.NAME" are gradients with respect to the tensor NAME: of the sum of
 * y * x_weight where there is a "y", else of the sum of "loss" times inv_targets.
 */
#ifndef TRAM_OPS_OP_CASES_H
#define TRAM_OPS_OP_CASES_H

#include <tram/exec.h>

#include "graph/graph.h"

#define TRAM_CASE_ARGS 8

struct tram_op_case {
	const char *name;
	/* Builds the graph and marks its outputs; returns tram_graph_status or an errno. */
	int (*build)(struct tram_graph *g, const uint32_t *arg);
	uint32_t arg[TRAM_CASE_ARGS];	/* sizes; what they mean is the builder's affair */
	uint32_t shards;		/* 0: 1 */
	double rtol, atol;		/* 0: 1e-5, 1e-5 */
	bool closed;			/* the step's gate is closed */
	uint32_t pos;			/* of the step block */
};

extern const struct tram_op_case tram_op_cases[];
extern const size_t tram_n_op_cases;

struct tram_case_tensor {
	const char *name;		/* owned by the graph */
	enum { TRAM_CASE_INPUT, TRAM_CASE_VARIABLE, TRAM_CASE_OUTPUT } kind;
	enum tram_dtype dtype;
	struct tram_shape shape;
	uint64_t count;
	void *data;	/* double or int32_t; bound */
	void *start;	/* inputs and variables: what it was filled with */
	void *want;	/* variables and outputs: what the oracle says */
};

struct tram_case_run {
	const struct tram_op_case *c;
	struct tram_ctx *ctx;
	struct tram_graph *graph;	/* as built */
	struct tram_graph *kernels;	/* composites expanded: what devices run */
	struct tram_step step;
	struct tram_case_tensor *tensors;
	struct tram_binding *bindings;	/* of @data, in the same order */
	size_t n_tensors, n_bindings;	/* equal */
};

/* Builds, fills, asks the oracle. data[] holds the start values, outputs NaN or INT32_MIN. */
int tram_case_open(struct tram_ctx *ctx, const struct tram_op_case *c,
		   struct tram_case_run **run);
void tram_case_close(struct tram_case_run **run);

/* data[] as after open, for a second run. */
void tram_case_reset(struct tram_case_run *run);

/*
 * Compares data[] of variables and outputs with want[]: |got - want| <= atol + rtol |want|; what is not
 * finite in want must not be in got; i32 equal. 0, or -EILSEQ with the worst element in the message.
 */
int tram_case_check(struct tram_case_run *run);

/* Fills @data by @name as above; "order." looks NAME up among @others. */
int tram_case_fill(struct tram_ctx *ctx, const char *name, enum tram_dtype dtype, uint64_t count,
		   uint32_t shards, const struct tram_case_tensor *others, size_t n_others,
		   void *data);

/* A copy of @from with composite ops expanded. */
int tram_case_expand(const struct tram_graph *from, struct tram_graph **to);

#endif
