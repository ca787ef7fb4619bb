/* SPDX-License-Identifier: MIT */
/*
 * Packing lifetimes into one arena. Dynamic storage allocation is NP-hard
 * (Garey & Johnson, problem SR2), so: first fit in time order, which costs O(n log n) and does
 * well on the stack-like lives of a training step, and, unless that already meets the lower bound
 * or there are too many items for a quadratic pass, best fit in order of size and of size x life. The smallest
 * result is taken.
 */
#include "plan/rewrite.h"

#include <stdlib.h>

/* Items above which the quadratic passes are left out (they then take about 50 ms). */
#define QUADRATIC_ITEMS 4000

/* --- holes of the arena during first fit in time order ------------------------- */

/*
 * A treap over holes by offset, with the largest size below each node, so that
 * the lowest hole which is large enough is found in O(log n). Index 0 is no node. The last hole has no
 * end: size UINT64_MAX - offset.
 */
struct hole { uint64_t offset, size, most; uint32_t left, right, prio; };

struct holes { struct hole *v; uint32_t root, spare, n; };

static void hole_sum(struct holes *h, uint32_t i)
{
	struct hole *x = &h->v[i];

	x->most = TRAM_MAX(x->size, TRAM_MAX(h->v[x->left].most, h->v[x->right].most));
}

/* Everything below @offset into *@a, the rest into *@b. */
static void hole_split(struct holes *h, uint32_t t, uint64_t offset, uint32_t *a, uint32_t *b)
{
	if (!t) {
		*a = *b = 0;
		return;
	}
	if (h->v[t].offset < offset) {
		hole_split(h, h->v[t].right, offset, &h->v[t].right, b);
		*a = t;
	} else {
		hole_split(h, h->v[t].left, offset, a, &h->v[t].left);
		*b = t;
	}
	hole_sum(h, t);
}

static uint32_t hole_join(struct holes *h, uint32_t a, uint32_t b)
{
	if (!a || !b)
		return a ? a : b;
	if (h->v[a].prio > h->v[b].prio) {
		h->v[a].right = hole_join(h, h->v[a].right, b);
		hole_sum(h, a);
		return a;
	}
	h->v[b].left = hole_join(h, a, h->v[b].left);
	hole_sum(h, b);
	return b;
}

static void hole_add(struct holes *h, uint64_t offset, uint64_t size)
{
	uint32_t i = h->spare, a, b;

	if (i)
		h->spare = h->v[i].left;
	else
		i = ++h->n;
	/* Any well-mixed number does: Knuth's multiplicative hash of the index. */
	h->v[i] = (struct hole){ offset, size, size, 0, 0, i * 2654435761u };
	hole_split(h, h->root, offset, &a, &b);
	h->root = hole_join(h, hole_join(h, a, i), b);
}

static void hole_del(struct holes *h, uint64_t offset)
{
	uint32_t a, b, c;

	hole_split(h, h->root, offset, &a, &b);
	hole_split(h, b, offset + 1, &b, &c);
	assert(b && !h->v[b].left && !h->v[b].right);
	h->v[b].left = h->spare;
	h->spare = b;
	h->root = hole_join(h, a, c);
}

/* The lowest hole of at least @size bytes: always there, the last is endless. */
static uint32_t hole_find(const struct holes *h, uint64_t size)
{
	uint32_t t = h->root;

	for (;;) {
		const struct hole *x = &h->v[t];

		if (h->v[x->left].most >= size)
			t = x->left;
		else if (x->size >= size)
			return t;
		else
			t = x->right;
	}
}

static uint64_t hole_take(struct holes *h, uint64_t size)
{
	uint32_t i = hole_find(h, size);
	uint64_t offset = h->v[i].offset, rest = h->v[i].size - size;

	hole_del(h, offset);
	if (rest)
		hole_add(h, offset + size, rest);
	return offset;
}

static void hole_give(struct holes *h, uint64_t offset, uint64_t size)
{
	uint32_t t, below = 0, above = 0;

	for (t = h->root; t;) {
		if (h->v[t].offset < offset) {
			below = t;
			t = h->v[t].right;
		} else {
			above = t;
			t = h->v[t].left;
		}
	}
	if (above && h->v[above].offset == offset + size) {
		uint64_t more = h->v[above].size;

		hole_del(h, offset + size);
		size += more;
	}
	if (below && h->v[below].offset + h->v[below].size == offset) {
		uint64_t at = h->v[below].offset;

		hole_del(h, at);
		size += offset - at;
		offset = at;
	}
	hole_add(h, offset, size);
}

/* --- the passes ------------------------------------------------------------------- */

struct sorted { const struct tram_arena_item *item; uint32_t index; double key; };

static int by_key(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int by_first(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;

	if (x->item->first != y->item->first)
		return x->item->first < y->item->first ? -1 : 1;
	return by_key(a, b);
}

/* Each item in the lowest hole at the time it is born; larger and longer ones first. */
static int fit_by_time(struct tram_ctx *ctx, const struct tram_arena_item *items, size_t n,
		       struct sorted *order, int32_t n_time, uint64_t *offset, uint64_t *bytes)
{
	struct holes h = { 0 };
	int32_t *dead, *next, t = 0;
	int r = -ENOMEM;

	/* dead[t]: first of a list of items whose last use is node t */
	dead = tram_calloc(ctx, (size_t)n_time + 1, sizeof(*dead));
	next = tram_calloc(ctx, n, sizeof(*next));
	h.v = tram_calloc(ctx, n + 3, sizeof(*h.v));
	if (!dead || !next || !h.v)
		goto free;
	for (int32_t i = 0; i <= n_time; i++)
		dead[i] = -1;
	for (size_t i = 0; i < n; i++)
		order[i] = (struct sorted){ &items[i], (uint32_t)i,
			(double)items[i].size * (items[i].last - items[i].first + 1) };
	qsort(order, n, sizeof(*order), by_first);
	hole_add(&h, 0, UINT64_MAX);
	*bytes = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t k = order[i].index;

		for (; t < items[k].first; t++)
			for (int32_t d = dead[t]; d >= 0; d = next[d])
				hole_give(&h, offset[d], items[d].size);
		offset[k] = hole_take(&h, items[k].size);
		*bytes = TRAM_MAX(*bytes, offset[k] + items[k].size);
		next[k] = dead[items[k].last];
		dead[items[k].last] = (int32_t)k;
	}
	r = 0;
free:
	tram_free(ctx, dead);
	tram_free(ctx, next);
	tram_free(ctx, h.v);
	return r;
}

/* In the order of keys, each item in the smallest gap between those placed that live with it. */
static void fit_by_key(const struct tram_arena_item *items, size_t n, struct sorted *order,
		       uint32_t *placed, uint64_t *offset, uint64_t *bytes)
{
	qsort(order, n, sizeof(*order), by_key);
	*bytes = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t k = order[i].index;
		const struct tram_arena_item *x = &items[k];
		uint64_t end = 0, best = UINT64_MAX, at = 0;
		size_t j, lo = 0, hi = i;

		/* placed[] is in order of offset; end: of what lives with x and was seen. */
		for (j = 0; j < i; j++) {
			const struct tram_arena_item *y = &items[placed[j]];
			uint64_t o = offset[placed[j]];

			if (y->last < x->first || x->last < y->first)
				continue;
			if (o >= end + x->size && o - end < best) {
				best = o - end;
				at = end;
			}
			end = TRAM_MAX(end, o + y->size);
		}
		if (best == UINT64_MAX)
			at = end;
		offset[k] = at;
		*bytes = TRAM_MAX(*bytes, at + x->size);
		while (lo < hi) {
			size_t mid = (lo + hi) / 2;

			if (offset[placed[mid]] < at)
				lo = mid + 1;
			else
				hi = mid;
		}
		memmove(placed + lo + 1, placed + lo, (i - lo) * sizeof(*placed));
		placed[lo] = k;
	}
}

static void find_bound(const struct tram_arena_item *items, size_t n, int64_t *change,
		       int32_t n_time, uint64_t *bound, int32_t *peak)
{
	int64_t now = 0;

	for (size_t i = 0; i < n; i++) {
		change[items[i].first] += (int64_t)items[i].size;
		change[items[i].last + 1] -= (int64_t)items[i].size;
	}
	for (int32_t t = 0; t < n_time; t++) {
		now += change[t];
		if ((uint64_t)now > *bound) {
			*bound = (uint64_t)now;
			*peak = t;
		}
	}
}

int tram_arena_pack(struct tram_ctx *ctx, struct tram_arena_item *items, size_t n, uint64_t *bytes,
		    uint64_t *bound, int32_t *peak)
{
	uint64_t *offset = NULL, got;
	struct sorted *order = NULL;
	uint32_t *placed = NULL;
	int64_t *change = NULL;
	int32_t n_time = 0;
	size_t i;
	int r = -ENOMEM;

	*bytes = *bound = 0;
	*peak = 0;
	if (!n)
		return 0;
	for (i = 0; i < n; i++) {
		items[i].size = TRAM_ALIGN_UP(items[i].size, TRAM_PLAN_ALIGN);
		n_time = TRAM_MAX(n_time, items[i].last + 1);
	}
	offset = tram_calloc(ctx, n, sizeof(*offset));
	order = tram_calloc(ctx, n, sizeof(*order));
	placed = tram_calloc(ctx, n, sizeof(*placed));
	change = tram_calloc(ctx, (size_t)n_time + 1, sizeof(*change));
	if (!offset || !order || !placed || !change)
		goto free;
	find_bound(items, n, change, n_time, bound, peak);
	r = fit_by_time(ctx, items, n, order, n_time, offset, bytes);
	if (r)
		goto free;
	for (i = 0; i < n; i++)
		items[i].offset = offset[i];
	for (int pass = 0; pass < 2 && *bytes > *bound && n <= QUADRATIC_ITEMS; pass++) {
		for (i = 0; i < n; i++)
			order[i] = (struct sorted){ &items[i], (uint32_t)i, (double)items[i].size *
				(pass ? items[i].last - items[i].first + 1 : 1) };
		fit_by_key(items, n, order, placed, offset, &got);
		if (got >= *bytes)
			continue;
		*bytes = got;
		for (i = 0; i < n; i++)
			items[i].offset = offset[i];
	}
free:
	tram_free(ctx, offset);
	tram_free(ctx, order);
	tram_free(ctx, placed);
	tram_free(ctx, change);
	return r;
}
