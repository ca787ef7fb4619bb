/* SPDX-License-Identifier: MIT */
/* Budgets count what devices count; pools give blocks again. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/test_heap.h"
#include "mem/budget.h"
#include "mem/host_pool.h"

/* As much of a device as a budget needs. */
static int plain_create(struct tram_device *dev, uint64_t size, enum tram_memory kind,
			struct tram_buffer **buf)
{
	*buf = tram_zalloc(dev->ctx, sizeof(**buf));
	if (!*buf)
		return -ENOMEM;
	(*buf)->dev = dev;
	(*buf)->size = size;
	return 0;
}

static void plain_destroy(struct tram_buffer *buf)
{
	tram_free(buf->dev->ctx, buf);
}

static void a_budget_counts_padding_and_refuses_more(void **state)
{
	const struct tram_device_ops ops = { .buffer_create = plain_create,
					     .buffer_destroy = plain_destroy };
	struct tram_device dev = { .ops = &ops, .machine = { .granule = 1000, .pad = 10 } };
	struct tram_budget b = { .dev = &dev, .limit = 4000 };
	struct tram_buffer *one, *two, *none;

	assert_int_equal(tram_ctx_create(NULL, &dev.ctx), 0);
	strcpy(dev.info.selector, "plain0");
	assert_int_equal(tram_budget_get(&b, 0, TRAM_MEMORY_DEVICE, "nothing", &none), 0);
	assert_null(none);
	tram_budget_put(&b, &none);
	assert_int_equal(tram_budget_get(&b, 990, TRAM_MEMORY_DEVICE, "one", &one), 0);
	assert_int_equal(b.used, 1000);
	assert_int_equal(tram_budget_get(&b, 2991, TRAM_MEMORY_DEVICE, "two", &two), -ENOSPC);
	assert_null(two);
	assert_string_equal(tram_error(dev.ctx),
			    "plain0: two of 4000 bytes on top of 1000, limit 4000; ask for less or raise the budget");
	assert_int_equal(tram_budget_get(&b, 2990, TRAM_MEMORY_DEVICE, "two", &two), 0);
	assert_int_equal(b.used, 4000);
	tram_budget_put(&b, &one);
	tram_budget_put(&b, &two);
	assert_int_equal(b.used, 0);
	tram_ctx_destroy(&dev.ctx);
}

static void blocks_given_back_are_given_again(void **state)
{
	struct tram_host_pool *pool, *owner;
	struct test_heap heap;
	struct tram_ctx *ctx = test_heap_ctx(&heap);
	size_t calls;
	void *a, *b, *c;

	assert_int_equal(tram_host_pool_create(ctx, &pool), 0);
	assert_int_equal(tram_host_pool_get(pool, 100000, &a), 0);
	assert_int_equal(tram_host_pool_get(pool, 5000, &b), 0);
	assert_int_equal((uintptr_t)a % 64, 0);
	tram_host_pool_put(pool, a);
	tram_host_pool_put(pool, b);
	calls = atomic_load(&heap.calls);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(tram_host_pool_get(pool, 5000, &b), 0);
		assert_int_equal(tram_host_pool_get(pool, 99000, &c), 0);
		assert_ptr_equal(c, a);
		tram_host_pool_put(pool, b);
		tram_host_pool_put(pool, c);
	}
	assert_int_equal(atomic_load(&heap.calls), calls);
	/* A small taker doesn't sit on the large block. */
	assert_int_equal(tram_host_pool_get(pool, 50000, &c), 0);
	assert_ptr_not_equal(c, a);
	/* The pool lives until the last block is back. */
	owner = pool;
	tram_host_pool_release(&owner);
	assert_null(owner);
	memset(c, 1, 50000);
	tram_host_pool_put(pool, c);
	tram_ctx_destroy(&ctx);
	assert_int_equal(atomic_load(&heap.live), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_budget_counts_padding_and_refuses_more),
		cmocka_unit_test(blocks_given_back_are_given_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
