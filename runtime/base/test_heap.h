/* SPDX-License-Identifier: MIT */
/*
 * For tests: a heap that counts, checks sizes and fails the n-th allocation.
 *
 *	static void claim(struct tram_ctx *ctx) {
 *		test_heap_each_failure(chain, NULL);
 *	}
 *
 * where chain(ctx, arg) builds and undoes a chain and returns its -errno: it
 * is run with no failure, then with the 1st, 2nd, ... allocation refused until
 * a run meets no refusal; each refused run must return -ENOMEM with a message
 * and leave nothing allocated.
 */
#ifndef TRAM_BASE_TEST_HEAP_H
#define TRAM_BASE_TEST_HEAP_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

struct test_heap {
	struct tram_heap hooks;
	atomic_size_t calls;		/* allocations asked for */
	atomic_size_t live;		/* blocks not freed */
	atomic_size_t largest;		/* bytes of the largest request */
	atomic_size_t refused;
	size_t fail_at;			/* refuse this call (1 is the first); 0: none */
	size_t fail_above;		/* refuse larger requests; 0: none */
};

static inline void *test_heap_alloc_(void *arg, size_t size, size_t align)
{
	struct test_heap *h = arg;
	size_t nth = atomic_fetch_add(&h->calls, 1) + 1;
	size_t largest = atomic_load(&h->largest);
	void *p;

	while (size > largest && !atomic_compare_exchange_weak(&h->largest, &largest, size))
		;
	if (nth == h->fail_at || (h->fail_above && size > h->fail_above)) {
		atomic_fetch_add(&h->refused, 1);
		return NULL;
	}
	/* Dirty on purpose: nobody may count on fresh pages being zero. */
	if (posix_memalign(&p, align, size))
		return NULL;
	memset(p, 0xa5, size < 4096 ? size : 4096);
	atomic_fetch_add(&h->live, 1);
	return p;
}

static inline void test_heap_free_(void *arg, void *p)
{
	struct test_heap *h = arg;

	atomic_fetch_sub(&h->live, 1);
	free(p);
}

static inline void test_heap_init(struct test_heap *h)
{
	memset(h, 0, sizeof(*h));
	h->hooks = (struct tram_heap){ test_heap_alloc_, test_heap_free_, h };
}

/* A context on @h; NULL when its own allocation was refused. */
static inline struct tram_ctx *test_heap_ctx(struct test_heap *h)
{
	struct tram_ctx_params params = { .heap = &h->hooks, .threads = 1, .cache_dir = "/dev/null/nowhere" };
	struct tram_ctx *ctx;

	test_heap_init(h);
	return tram_ctx_create(&params, &ctx) ? NULL : ctx;
}

#define test_require_(cond, ...) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			abort(); \
		} \
	} while (0)

/*
 * Aborts with a line on the first broken promise. Returns how many
 * allocations the whole chain makes.
 */
static inline size_t test_heap_each_failure(int (*chain)(struct tram_ctx *ctx, void *arg),
					    void *arg)
{
	struct test_heap h;
	size_t base_live, base_calls, n = 0;
	int r;

	for (;;) {
		struct tram_ctx *ctx = test_heap_ctx(&h);

		test_require_(ctx, "no context");
		base_live = atomic_load(&h.live);
		base_calls = atomic_load(&h.calls);
		h.fail_at = n ? base_calls + n : 0;
		r = chain(ctx, arg);
		test_require_(atomic_load(&h.live) == base_live,
			      "%zu blocks leaked after allocation %zu was refused (%s)",
			      atomic_load(&h.live) - base_live, n, tram_error(ctx));
		if (n == 0)
			test_require_(r == 0, "the chain fails without a refusal: %d (%s)", r,
				      tram_error(ctx));
		else if (atomic_load(&h.refused) == 0) {
			test_require_(r == 0, "the chain fails without a refusal: %d (%s)", r,
				      tram_error(ctx));
			tram_ctx_destroy(&ctx);
			return n - 1;
		} else {
			test_require_(r == -ENOMEM,
				      "allocation %zu refused: returned %d (%s), -ENOMEM expected",
				      n, r, tram_error(ctx));
			test_require_(strstr(tram_error(ctx), "out of memory"),
				      "allocation %zu refused: message is \"%s\"", n,
				      tram_error(ctx));
		}
		tram_ctx_destroy(&ctx);
		test_require_(atomic_load(&h.live) == 0, "the context leaks");
		n++;
	}
}

#endif
