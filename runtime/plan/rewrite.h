/* SPDX-License-Identifier: MIT */
/*
 * Inside the planner: the passes that plan.c runs in this order. Graph to
 * graph (rewrite.c copies what a pass leaves alone):
 *	tram_plan_expand	composite ops into kernel ops, dead nodes dropped
 *	tram_plan_fuse		elementwise trees into programs
 * then on the final graph:
 *	tram_plan_alias		copies where storage can't be shared; blobs
 *	tram_arena_pack		lifetimes into offsets
 *	tram_plan_barriers	hazards
 */
#ifndef TRAM_PLAN_REWRITE_H
#define TRAM_PLAN_REWRITE_H

#include "plan/plan.h"

/* --- graph to graph --------------------------------------------------------- */

struct tram_rewrite {
	const struct tram_graph *src;
	struct tram_graph *dst;
	tram_value *map;	/* by value of src; TRAM_NONE: not made yet */
	tram_value *in;		/* room for the inputs of any node */
};

/* @dst starts with every input and variable of @src, used or not. */
int tram_rewrite_begin(struct tram_rewrite *rw, const struct tram_graph *src);
/* What @v became; makes the view where @v is one. TRAM_NONE: out of memory. */
tram_value tram_rewrite_value(struct tram_rewrite *rw, tram_value v);
/* Appends node @i with inputs @in (values of dst) and @attr in place of its own. */
int tram_rewrite_node(struct tram_rewrite *rw, size_t i, const tram_value *in, uint32_t n_in,
		      const union tram_attr *attr);
/* Copies node @i as it is. */
int tram_rewrite_copy(struct tram_rewrite *rw, size_t i);
/* Adds the outputs and hands the graph over; frees the rest, on failure (@err or its own) the graph too. */
int tram_rewrite_end(struct tram_rewrite *rw, int err, struct tram_graph **out);

/* live[i]: node @i is needed by an output or updates a variable. */
int tram_plan_live(const struct tram_graph *g, bool *live);

/*
 * Checks that no node reads a version of a variable that an earlier node has
 * overwritten: versions share their storage. until[v], for a VAR or NEXT value: the node
 * that overwrites it, -1 if none. Room for g->values.n.
 */
int tram_plan_versions(const struct tram_graph *g, int32_t *until);

int tram_plan_expand(const struct tram_graph *src, struct tram_graph **out);
int tram_plan_fuse(const struct tram_graph *src, struct tram_graph **out);

/* --- storage ------------------------------------------------------------------- */

/*
 * Where a value's bytes are, before offsets are known: in the blob of value @root, from byte
 * @offset. A blob is one piece of storage: a result, whatever is placed inside it
 * and whatever replaces it in place.
 */
struct tram_blob_ref {
	tram_value root;
	uint64_t offset;
};

struct tram_layout {
	struct tram_blob_ref *ref;	/* by value; views too */
	enum tram_region *region;	/* by value, told by the root */
	int32_t *first, *last;		/* by value, told by the root: nodes that use the blob */
};

/* Inserts copies into @plan->graph, fills @plan->elided and @lay. */
int tram_plan_alias(struct tram_plan *plan, bool no_reuse, struct tram_layout *lay);
void tram_layout_free(struct tram_ctx *ctx, struct tram_layout *lay);

struct tram_arena_item {
	uint64_t size;		/* bytes */
	int32_t first, last;	/* nodes that use it; both inclusive, from 0 */
	uint64_t offset;	/* out: multiple of TRAM_PLAN_ALIGN */
};

#define TRAM_PLAN_ALIGN 256	/* bytes; TRAM_TENSOR_ALIGN of device.h, which this room doesn't see */

/*
 * Gives every item an offset so that items which live together don't overlap. @bytes: what is needed;
 * @bound: the most bytes that live together, which no packing can go below; @peak: the node where they do.
 */
int tram_arena_pack(struct tram_ctx *ctx, struct tram_arena_item *items, size_t n, uint64_t *bytes,
		    uint64_t *bound, int32_t *peak);

/* Fills @plan->barrier from places and scratch. */
int tram_plan_barriers(struct tram_plan *plan);

/* -ENOSPC when the prediction exceeds @limit (0: the machine's budget). Fills prediction.largest. */
int tram_plan_check_budget(struct tram_plan *plan, const struct tram_machine_device *m,
			   uint64_t limit, tram_value largest);

/* --- small things ----------------------------------------------------------------- */

/* Size of @v in bytes (both dtypes have 4 an element). */
uint64_t tram_plan_bytes(const struct tram_graph *g, tram_value v);

static inline const struct tram_op_row *tram_plan_row(const struct tram_graph *g,
						      const struct tram_node *node)
{
	return &g->ops[node->op];
}

#endif
