/* SPDX-License-Identifier: MIT */
/*
 * The planner: graph + machine -> schedule, placements, prediction. Pure: it
 * touches no device. tram_plan_create expands composite ops (expand.c), fuses
 * elementwise chains (fuse.c), drops dead nodes, lets producers write where their consumers
 * want them (alias.c), packs lifetimes into an arena (arena.c) and predicts (predict.c).
 */
#ifndef TRAM_PLAN_PLAN_H
#define TRAM_PLAN_PLAN_H

#include <tram/exec.h>

#include "graph/graph.h"
#include "ops/machine.h"

enum tram_region {
	TRAM_REGION_NONE,	/* never materialised */
	TRAM_REGION_ARENA,
	TRAM_REGION_VAR,	/* index: into vars[] */
	TRAM_REGION_INPUT,	/* one per slot, host memory */
	TRAM_REGION_OUTPUT,	/* one per slot, host memory */
};

struct tram_placement {
	enum tram_region region;
	uint32_t index;
	uint64_t offset;	/* bytes */
};

struct tram_plan {
	struct tram_ctx *ctx;
	struct tram_graph *graph;	/* expanded and fused; its nodes in order are the schedule */
	struct tram_placement *place;	/* by value of graph, views included */
	struct tram_placement *scratch;	/* by node; region NONE when it needs none */
	uint64_t *scratch_bytes;	/* by node */
	bool *barrier;			/* by node */
	bool *elided;			/* by node: its inputs were made in place, it makes no call */
	size_t n_compute;		/* nodes [0, n_compute) before the gate, the rest after */
	struct { const char *name; uint64_t count; } *vars;	/* names owned by graph */
	size_t n_vars;
	uint64_t arena_bytes, input_bytes, output_bytes;
	uint64_t arena_bound;		/* the most bytes that live together: no packing needs less */
	uint32_t slots;
	struct tram_shape *shapes;	/* room for the operands of any node */
	struct tram_prediction prediction;
};

struct tram_plan_params {
	const struct tram_machine_device *machine;
	uint64_t budget;	/* 0: the machine's */
	uint32_t slots;
	bool no_fusion, no_reuse;
};

int tram_plan_create(const struct tram_graph *graph, const struct tram_plan_params *params,
		     struct tram_plan **plan);
void tram_plan_destroy(struct tram_plan **plan);

/* Predicts again, after the machine's rates have changed. */
void tram_plan_predict(struct tram_plan *plan, const struct tram_machine_device *machine);

/*
 * A rate under this hash is what a call costs beyond its own span (gaps between calls, barriers), so that
 * rates from timestamps add up to the time of a step. May be negative.
 */
#define TRAM_RATE_CALL_GAP UINT64_C(0x6361706c6c676170)

/* "tokens [8, 128]" or, for a result, "matmul [1024, 768]". */
void tram_plan_value_text(const struct tram_graph *g, tram_value v, char *buf, size_t size);

/* The signature of a node; shapes are written to @in and @out (room for n_in and n_out). */
void tram_plan_signature(const struct tram_graph *g, const struct tram_node *node,
			 struct tram_shape *in, struct tram_shape *out,
			 struct tram_signature *sig);

#endif
