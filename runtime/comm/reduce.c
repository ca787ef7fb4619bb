/* SPDX-License-Identifier: MIT */
/*
 * The upper part of the tree, over host memory: one pass over the elements in
 * pieces that stay in the cache, each piece evaluated from the root down. A
 * device that flushes denormals would round such sums differently from this processor, so its
 * mode is taken on for the while.
 */
#include "comm/comm.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define PIECE 2048		/* elements: 8 KiB a level of the tree */
static_assert(TRAM_REDUCE_SCRATCH >= 32 * PIECE, "a piece for each level; leaves are counted in 32 bits");

#if defined(__SSE2__)
#define CAN_FLUSH true
static uint64_t set_flush(bool on)
{
	unsigned int was = _mm_getcsr();

	_mm_setcsr(on ? was | 0x8040 : was & ~0x8040u);	/* FTZ and DAZ */
	return was;
}

static void set_back(uint64_t was)
{
	_mm_setcsr((unsigned int)was);
}
#elif defined(__aarch64__)
#define CAN_FLUSH true
static uint64_t set_flush(bool on)
{
	uint64_t was, now;

	__asm__ volatile("mrs %0, fpcr" : "=r"(was));
	now = on ? was | (UINT64_C(1) << 24) : was & ~(UINT64_C(1) << 24);	/* FZ */
	__asm__ volatile("msr fpcr, %0" : : "r"(now) : "memory");
	return was;
}

static void set_back(uint64_t was)
{
	__asm__ volatile("msr fpcr, %0" : : "r"(was) : "memory");
}
#else
#define CAN_FLUSH false
static uint64_t set_flush(bool on)
{
	return 0;
}

static void set_back(uint64_t was)
{
}
#endif

struct walk {
	const struct tram_reduce_job *r;
	uint64_t first;		/* of the piece */
	size_t n;
	size_t part;		/* the next one, in order of place */
};

/* The sum over @node for the piece: a part's own memory, or a piece of @scratch, which has room for what is below. */
static const float *eval(struct walk *w, struct tram_subtree node, float *scratch)
{
	const struct tram_partial *p = &w->r->part[w->part];
	uint32_t left;
	const float *a, *b;

	if (p->at.first == node.first && p->at.n == node.n) {
		w->part++;
		return p->data + w->first;
	}
	left = tram_tree_left(node.n);
	a = eval(w, (struct tram_subtree){ node.first, left }, scratch);
	b = eval(w, (struct tram_subtree){ node.first + left, node.n - left }, scratch + PIECE);
	for (size_t i = 0; i < w->n; i++)
		scratch[i] = a[i] + b[i];
	return scratch;
}

/* Whether the parts from *@part on make up @node; moves *@part behind them. */
static bool covered(const struct tram_reduce_job *r, struct tram_subtree node, size_t *part)
{
	uint32_t left;

	if (*part >= r->n_parts || r->part[*part].at.first != node.first)
		return false;
	if (r->part[*part].at.n == node.n) {
		++*part;
		return true;
	}
	if (node.n == 1)
		return false;
	left = tram_tree_left(node.n);
	return covered(r, (struct tram_subtree){ node.first, left }, part) &&
	       covered(r, (struct tram_subtree){ node.first + left, node.n - left }, part);
}

int tram_reduce_tree(struct tram_ctx *ctx, const struct tram_reduce_job *r, float *const *out,
		size_t n_out)
{
	const struct tram_subtree root = { 0, r->shards };
	struct walk w = { .r = r };
	uint64_t mode;
	size_t part = 0;

	if (!r->shards || !covered(r, root, &part) || part != r->n_parts)
		return tram_fail(ctx, -EINVAL, "reduction: %zu parts are no partition of %u shards into "
				 "subtrees", r->n_parts, r->shards);
	if (r->flush && !CAN_FLUSH)
		return tram_fail(ctx, -ENOTSUP, "reduction: the devices flush denormals, which this "
				 "processor can't be made to do; train on one device");
	mode = set_flush(r->flush);
	for (; w.first < r->count; w.first += w.n) {
		const float *sum;

		w.n = (size_t)TRAM_MIN(r->count - w.first, (uint64_t)PIECE);
		w.part = 0;
		sum = eval(&w, root, r->scratch);
		for (size_t i = 0; i < n_out; i++)
			memcpy(out[i] + w.first, sum, w.n * sizeof(*sum));
	}
	set_back(mode);
	return 0;
}
