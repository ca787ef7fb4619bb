/* SPDX-License-Identifier: MIT */
/* The tree of shards: its shape, covers, and who gets which run of leaves. */
#include "comm/comm.h"

uint32_t tram_tree_left(uint32_t n)
{
	uint32_t left = 1;

	assert(n > 1);
	while (left < n - left)
		left *= 2;
	return left;
}

static size_t cover(struct tram_subtree node, uint32_t first, uint32_t end, struct tram_subtree *out,
		    size_t n)
{
	uint32_t node_end = node.first + node.n, left;

	if (node_end <= first || node.first >= end)
		return n;
	if (node.first >= first && node_end <= end) {
		assert(n < TRAM_SUBTREES_MAX);
		out[n] = node;
		return n + 1;
	}
	left = tram_tree_left(node.n);
	n = cover((struct tram_subtree){ node.first, left }, first, end, out, n);
	return cover((struct tram_subtree){ node.first + left, node.n - left }, first, end, out, n);
}

size_t tram_tree_cover(uint32_t shards, uint32_t first, uint32_t n, struct tram_subtree *out)
{
	assert(first <= shards && n <= shards - first);
	return n ? cover((struct tram_subtree){ 0, shards }, first, first + n, out, 0) : 0;
}

/* Greedy: the next shard to whoever would be done with it first. That is optimal for equal shards. */
void tram_tree_share(uint32_t shards, const double *seconds, size_t n, uint32_t *count)
{
	memset(count, 0, n * sizeof(*count));
	for (uint32_t s = 0; s < shards; s++) {
		size_t best = 0;

		for (size_t d = 1; d < n; d++)
			if ((count[d] + 1) * seconds[d] < (count[best] + 1) * seconds[best])
				best = d;
		count[best]++;
	}
}
