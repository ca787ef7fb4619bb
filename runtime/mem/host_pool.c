/* SPDX-License-Identifier: MIT */
/* Blocks kept between uses; host_pool.h says for whom. */
#include <pthread.h>

#include "mem/host_pool.h"

#define KEPT	4	/* free blocks kept; the smallest goes first when there are more */
#define ALIGN	64

struct block {
	struct block *next;	/* when free */
	size_t size;		/* usable bytes */
};

struct tram_host_pool {
	struct tram_ctx *ctx;
	pthread_mutex_t lock;	/* of all below */
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
	pthread_mutex_init(&(*pool)->lock, NULL);
	return 0;
}

/* Lets go of the lock, and of the pool when nobody is left who could take it. */
static void unlock(struct tram_host_pool *pool)
{
	bool last = pool->released && !pool->n_out;
	struct block *b;

	pthread_mutex_unlock(&pool->lock);
	if (!last)
		return;
	while ((b = pool->spare)) {
		pool->spare = b->next;
		tram_free(pool->ctx, b);
	}
	pthread_mutex_destroy(&pool->lock);
	tram_free(pool->ctx, pool);
}

void tram_host_pool_release(struct tram_host_pool **pool)
{
	if (*pool) {
		pthread_mutex_lock(&(*pool)->lock);
		(*pool)->released = true;
		unlock(*pool);
	}
	*pool = NULL;
}

/* Wide enough, but not so wide that a small taker sits on a large block. */
static bool fits(const struct block *b, size_t size)
{
	return b->size >= size && b->size - size <= size / 4 + 4096;
}

/* A spare block of about @size, taken off the list; NULL when there is none. Under the lock. */
static struct block *take_spare(struct tram_host_pool *pool, size_t size)
{
	struct block **best = NULL, *b;

	for (struct block **p = &pool->spare; *p; p = &(*p)->next)
		if (fits(*p, size) && (!best || (*p)->size < (*best)->size))
			best = p;
	if (!best)
		return NULL;
	b = *best;
	*best = b->next;
	pool->n_spare--;
	return b;
}

int tram_host_pool_get(struct tram_host_pool *pool, size_t size, void **out)
{
	struct block *b;

	*out = NULL;
	if (size > SIZE_MAX - ALIGN)
		return tram_fail(pool->ctx, -ENOMEM, "out of memory: %zu bytes refused", size);
	pthread_mutex_lock(&pool->lock);
	b = take_spare(pool, size);
	if (!b) {
		b = tram_alloc_aligned(pool->ctx, size + ALIGN, ALIGN);
		if (!b) {
			pthread_mutex_unlock(&pool->lock);
			return -ENOMEM;
		}
		b->size = size;
	}
	pool->n_out++;
	pthread_mutex_unlock(&pool->lock);
	*out = (char *)b + ALIGN;
	return 0;
}

void tram_host_pool_put(struct tram_host_pool *pool, void *block)
{
	struct block *b, **least;

	if (!block)
		return;
	b = (struct block *)((char *)block - ALIGN);
	pthread_mutex_lock(&pool->lock);
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
	unlock(pool);
}
