/* SPDX-License-Identifier: MIT */
/* Packing lifetimes: values that live together never overlap, and little is wasted. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/rng.h"
#include "base/test_heap.h"
#include "plan/rewrite.h"

static uint32_t rnd(uint32_t seed, uint32_t i, uint32_t below)
{
	return tram_philox(i, 0, 0, 0, seed, 7).v[0] % below;
}

static void check_packing(const struct tram_arena_item *items, size_t n, uint64_t bytes,
			  uint64_t bound)
{
	uint64_t end = 0;

	for (size_t i = 0; i < n; i++) {
		const struct tram_arena_item *x = &items[i];

		assert_int_equal(x->offset % TRAM_PLAN_ALIGN, 0);
		end = TRAM_MAX(end, x->offset + x->size);
		for (size_t j = 0; j < i; j++) {
			const struct tram_arena_item *y = &items[j];

			if (x->last < y->first || y->last < x->first)
				continue;
			assert_true(x->offset + x->size <= y->offset ||
				    y->offset + y->size <= x->offset);
		}
	}
	assert_int_equal(bytes, end);
	assert_true(bytes >= bound);
}

static void values_that_live_together_never_overlap(void **state)
{
	double worst = 1, sum = 0;

	for (uint32_t seed = 0; seed < 200; seed++) {
		size_t n = 1 + rnd(seed, 0, 150);
		struct tram_arena_item items[150];
		uint64_t bytes, bound;
		int32_t peak;

		for (uint32_t i = 0; i < n; i++) {
			int32_t first = (int32_t)rnd(seed, 10 * i + 1, 100);
			uint32_t life = rnd(seed, 10 * i + 2, 10) ? 8 : 100;

			items[i] = (struct tram_arena_item){
				.size = 1 + rnd(seed, 10 * i + 3, 1u << (4 + rnd(seed, 10 * i + 4, 16))),
				.first = first,
				.last = first + (int32_t)rnd(seed, 10 * i + 5, life),
			};
		}
		assert_int_equal(tram_arena_pack(NULL, items, n, &bytes, &bound, &peak), 0);
		check_packing(items, n, bytes, bound);
		worst = TRAM_MAX(worst, (double)bytes / (double)bound);
		sum += (double)bytes / (double)bound;
	}
	print_message("arena over lower bound: mean %.3f, worst %.3f\n", sum / 200, worst);
	assert_true(sum / 200 < 1.05);
	assert_true(worst < 1.5);
}

/* Forward results live until the backward node that mirrors them. */
static void a_training_step_is_packed_to_the_bound(void **state)
{
	enum { LAYERS = 48, PER = 6, N = 2 * LAYERS * PER };
	static struct tram_arena_item items[2 * N];
	uint64_t bytes, bound;
	size_t n = 0;
	int32_t peak;

	for (int32_t i = 0; i < N / 2; i++) {
		uint64_t size = 4096u * (1 + (uint32_t)i % PER);

		items[n++] = (struct tram_arena_item){ size, i, i % 2 ? i + 1 : N - 1 - i, 0 };
		items[n++] = (struct tram_arena_item){ size, N / 2 + i, N / 2 + i + 1, 0 };
	}
	assert_int_equal(tram_arena_pack(NULL, items, n, &bytes, &bound, &peak), 0);
	check_packing(items, n, bytes, bound);
	assert_true((double)bytes <= 1.02 * (double)bound);
}

static void nothing_needs_no_memory(void **state)
{
	uint64_t bytes = 1, bound = 1;
	int32_t peak;

	assert_int_equal(tram_arena_pack(NULL, NULL, 0, &bytes, &bound, &peak), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(bound, 0);
}

/* Many more items than the quadratic passes take; checked on a sample of pairs. */
static void large_plans_are_packed_in_time_order(void **state)
{
	enum { N = 60000 };
	struct tram_arena_item *items = calloc(N, sizeof(*items));
	uint64_t bytes, bound, begin = tram_now_ns();
	int32_t peak;

	for (uint32_t i = 0; i < N; i++)
		items[i] = (struct tram_arena_item){
			.size = 1 + rnd(1, 3 * i, 100000), .first = (int32_t)i,
			.last = (int32_t)(i + rnd(1, 3 * i + 1, rnd(1, 3 * i + 2, 8) ? 10 : 3000)),
		};
	assert_int_equal(tram_arena_pack(NULL, items, N, &bytes, &bound, &peak), 0);
	print_message("%d items: %.0f ms, %.3f of the bound\n", N,
		      (double)(tram_now_ns() - begin) * 1e-6, (double)bytes / (double)bound);
	assert_true((double)bytes < 1.3 * (double)bound);
	for (uint32_t i = 0; i < N; i += 30)
		for (uint32_t j = i ? i - 1 : 0, k = 0; j > 0 && k < 3000; j--, k++)
			if (items[j].last >= items[i].first)
				assert_true(items[i].offset + items[i].size <= items[j].offset ||
					    items[j].offset + items[j].size <= items[i].offset);
	free(items);
}

static int pack_few(struct tram_ctx *ctx, void *arg)
{
	struct tram_arena_item items[] = { { 100, 0, 2, 0 }, { 700, 1, 4, 0 }, { 300, 3, 5, 0 } };
	uint64_t bytes, bound;
	int32_t peak;

	return tram_arena_pack(ctx, items, TRAM_ARRAY_SIZE(items), &bytes, &bound, &peak);
}

static void every_allocation_may_fail(void **state)
{
	assert_true(test_heap_each_failure(pack_few, NULL) > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_that_live_together_never_overlap),
		cmocka_unit_test(a_training_step_is_packed_to_the_bound),
		cmocka_unit_test(nothing_needs_no_memory),
		cmocka_unit_test(large_plans_are_packed_in_time_order),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
