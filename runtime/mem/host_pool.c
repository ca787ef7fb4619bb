/* SPDX-License-Identifier: MIT */
/* Blocks kept between uses; host_pool.h says for whom. */
#include "mem/host_pool.h"

#define KEPT	4	/* free blocks kept; the smallest goes first when there are more */
#define ALIGN	64

struct block {
	struct block *next;	/* when free */
	size_t size;		/* usable bytes */
};

struct tram_host_pool {
	struct tram_ctx *ctx;
	struct block *spare;
	size_t n_spare, n_out;
	bool released;
};

int tram_host_pool_create(struct tram_ctx *ctx, struct tram_host_pool **pool)
{
	*pool = tram_zalloc(ctx, sizeof(**pool));
	if (!*pool)
		return -ENOMEM;
	(*pool)->ctx = ctx;
	return 0;
}

static void maybe_free(struct tram_host_pool *pool)
{
	struct block *b;

	if (!pool->released || pool->n_out)
		return;
	while ((b = pool->spare)) {
		pool->spare = b->next;
		tram_free(pool->ctx, b);
	}
	tram_free(pool->ctx, pool);
}

void tram_host_pool_release(struct tram_host_pool **pool)
{
	if (*pool) {
		(*pool)->released = true;
		maybe_free(*pool);
	}
	*pool = NULL;
}

/* Wide enough, but not so wide that a small taker sits on a large block. */
static bool fits(const struct block *b, size_t size)
{
	return b->size >= size && b->size - size <= size / 4 + 4096;
}

int tram_host_pool_get(struct tram_host_pool *pool, size_t size, void **out)
{
	struct block **best = NULL, *b;

	*out = NULL;
	for (struct block **p = &pool->spare; *p; p = &(*p)->next)
		if (fits(*p, size) && (!best || (*p)->size < (*best)->size))
			best = p;
	if (best) {
		b = *best;
		*best = b->next;
		pool->n_spare--;
	} else {
		if (size > SIZE_MAX - ALIGN)
			return tram_fail(pool->ctx, -ENOMEM, "out of memory: %zu bytes refused", size);
		b = tram_alloc_aligned(pool->ctx, size + ALIGN, ALIGN);
		if (!b)
			return -ENOMEM;
		b->size = size;
	}
	pool->n_out++;
	*out = (char *)b + ALIGN;
	return 0;
}

void tram_host_pool_put(struct tram_host_pool *pool, void *block)
{
	struct block *b, **least;

	if (!block)
		return;
	b = (struct block *)((char *)block - ALIGN);
	b->next = pool->spare;
	pool->spare = b;
	pool->n_out--;
	if (++pool->n_spare > KEPT) {
		least = &pool->spare;
		for (struct block **p = &pool->spare; *p; p = &(*p)->next)
			if ((*p)->size < (*least)->size)
				least = p;
		b = *least;
		*least = b->next;
		pool->n_spare--;
		tram_free(pool->ctx, b);
	}
	maybe_free(pool);
}
