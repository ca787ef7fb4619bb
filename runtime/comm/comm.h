/* SPDX-License-Identifier: MIT */
/*
 * What devices tell each other in a step. Shards are the leaves of one binary
 * tree that the job fixes (tree.c); a device computes whole subtrees of it, and
 * the edges above them are walked here, over host memory (reduce.c). So the order of every
 * addition is the tree's, whoever computed what.
 */
#ifndef TRAM_COMM_COMM_H
#define TRAM_COMM_COMM_H

#include "base/base.h"

/* --- tree.c ------------------------------------------------------------------------ */

/*
 * The tree over leaves [first, first + n): one leaf, or a left part of the largest power of two below n and
 * the rest. The shape depends on n alone (tram_tree_sum of ops/ is the same).
 */
struct tram_subtree { uint32_t first, n; };

/* Leaves of the left part, n > 1. */
uint32_t tram_tree_left(uint32_t n);

#define TRAM_SUBTREES_MAX 64	/* in a cover */

/*
 * The fewest subtrees of the tree over @shards leaves that make up [first, first + n), in order: into @out,
 * which has room for TRAM_SUBTREES_MAX. Returns how many.
 */
size_t tram_tree_cover(uint32_t shards, uint32_t first, uint32_t n, struct tram_subtree *out);

/*
 * Cuts @shards leaves in @n runs, by place, so that the slowest device is done as early as can be:
 * @seconds[d] is what a shard takes on device d (above 0). Every device gets a run, possibly empty. Ties
 * go to the device that stands first.
 */
void tram_tree_share(uint32_t shards, const double *seconds, size_t n, uint32_t *count);

/* --- reduce.c ---------------------------------------------------------------------- */

/* What was summed over one subtree. */
struct tram_partial {
	struct tram_subtree at;
	const float *data;
};

struct tram_reduce_job {
	uint32_t shards;
	const struct tram_partial *part;	/* in order of place; together all leaves */
	size_t n_parts;
	uint64_t count;				/* elements of each */
	bool flush;				/* the devices' additions take and give zero for denormals */
	float *scratch;				/* TRAM_REDUCE_SCRATCH elements */
};

#define TRAM_REDUCE_SCRATCH 65536

/*
 * The sum over the tree into each of @n_out arrays of @r->count elements. Calling thread only. -EINVAL when the
 * parts are not a partition into subtrees; -ENOTSUP when @r->flush is set and this processor can't.
 */
int tram_reduce_tree(struct tram_ctx *ctx, const struct tram_reduce_job *r, float *const *out,
		size_t n_out);

#endif
