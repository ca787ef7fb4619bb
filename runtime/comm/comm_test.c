/* SPDX-License-Identifier: MIT */
/* The tree of shards and the sums along it. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "comm/comm.h"

#define N 5000		/* elements: two whole pieces and a tail */
#define SHARDS 40

static struct tram_ctx *ctx;
static float leaf[SHARDS][N];

/* The definition, without a single line of tree.c. */
static float whole(size_t i, uint32_t first, uint32_t n)
{
	uint32_t left = 1;

	if (n == 1)
		return leaf[first][i];
	while (left * 2 < n)
		left *= 2;
	return whole(i, first, left) + whole(i, first + left, n - left);
}

static int setup(void **state)
{
	srand(1);
	for (size_t s = 0; s < SHARDS; s++)
		for (size_t i = 0; i < N; i++)	/* of very different sizes: the order shows */
			leaf[s][i] = (float)(rand() - RAND_MAX / 2) * (rand() % 2 ? 1e-9f : 1e-5f);
	return tram_ctx_create(NULL, &ctx);
}

static int teardown(void **state)
{
	tram_ctx_destroy(&ctx);
	return 0;
}

static void covers_are_the_fewest_subtrees(void **state)
{
	static const struct {
		uint32_t shards, first, n;
		size_t covers;
		struct tram_subtree at[4];
	} c[] = {
		{ 8, 0, 8, 1, { { 0, 8 } } },
		{ 8, 0, 3, 2, { { 0, 2 }, { 2, 1 } } },
		{ 8, 3, 3, 2, { { 3, 1 }, { 4, 2 } } },
		{ 8, 1, 6, 4, { { 1, 1 }, { 2, 2 }, { 4, 2 }, { 6, 1 } } },
		{ 6, 2, 4, 2, { { 2, 2 }, { 4, 2 } } },
		{ 7, 4, 3, 1, { { 4, 3 } } },
		{ 5, 2, 0, 0, { { 0, 0 } } },
		{ 1, 0, 1, 1, { { 0, 1 } } },
	};
	struct tram_subtree at[TRAM_SUBTREES_MAX];

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(c); i++) {
		assert_int_equal(tram_tree_cover(c[i].shards, c[i].first, c[i].n, at), c[i].covers);
		assert_memory_equal(at, c[i].at, c[i].covers * sizeof(*at));
	}
}

/* Sums of parts as devices make them, for every cut of the shards between three devices. */
static void any_cut_gives_the_same_bits(void **state)
{
	static float part[SHARDS][N], out[2][N], want[N], scratch[TRAM_REDUCE_SCRATCH];

	for (uint32_t shards = 1; shards <= SHARDS; shards += shards < 9 ? 1 : 10) {
		for (size_t i = 0; i < N; i++)
			want[i] = whole(i, 0, shards);
		for (int trial = 0; trial < 12; trial++) {
			uint32_t a = (uint32_t)rand() % (shards + 1), b = (uint32_t)rand() % (shards + 1);
			uint32_t cut[4] = { 0, TRAM_MIN(a, b), TRAM_MAX(a, b), shards };
			struct tram_partial parts[SHARDS];
			struct tram_reduce_job r = { .shards = shards, .part = parts, .count = N,
						    .scratch = scratch };

			for (int d = 0; d < 3; d++) {
				struct tram_subtree at[TRAM_SUBTREES_MAX];
				size_t n = tram_tree_cover(shards, cut[d], cut[d + 1] - cut[d], at);

				for (size_t k = 0; k < n; k++) {
					float *p = part[r.n_parts];

					for (size_t i = 0; i < N; i++)
						p[i] = whole(i, at[k].first, at[k].n);
					parts[r.n_parts++] = (struct tram_partial){ at[k], p };
				}
			}
			assert_int_equal(tram_reduce_tree(ctx, &r, (float *[]){ out[0], out[1] }, 2), 0);
			assert_memory_equal(out[0], want, sizeof(want));
			assert_memory_equal(out[1], want, sizeof(want));
		}
	}
}

static void parts_that_are_no_partition_are_refused(void **state)
{
	static float scratch[TRAM_REDUCE_SCRATCH], out[1], in[1];
	static const struct tram_subtree bad[][3] = {
		{ { 0, 2 }, { 2, 1 } },			/* 3 is missing */
		{ { 0, 1 }, { 1, 2 }, { 3, 1 } },	/* 1, 2 is no subtree */
		{ { 0, 2 }, { 0, 2 } },
		{ { 2, 2 }, { 0, 2 } },			/* out of order */
		{ { 0, 4 }, { 0, 4 } },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(bad); i++) {
		struct tram_partial parts[3];
		struct tram_reduce_job r = { .shards = 4, .part = parts, .count = 1, .scratch = scratch };

		while (r.n_parts < 3 && bad[i][r.n_parts].n) {
			parts[r.n_parts] = (struct tram_partial){ bad[i][r.n_parts], in };
			r.n_parts++;
		}
		assert_int_equal(tram_reduce_tree(ctx, &r, (float *[]){ out }, 1), -EINVAL);
	}
}

static void denormals_are_as_the_devices_have_them(void **state)
{
	static float scratch[TRAM_REDUCE_SCRATCH];
	float a[2] = { 1e-40f, 1.5e-38f }, b[2] = { 1e-40f, -1.4e-38f }, out[2];
	const struct tram_partial parts[2] = { { { 0, 1 }, a }, { { 1, 1 }, b } };
	struct tram_reduce_job r = { .shards = 2, .part = parts, .n_parts = 2, .count = 2, .scratch = scratch };
	volatile float tiny = 1e-40f;

	assert_int_equal(tram_reduce_tree(ctx, &r, (float *[]){ out }, 1), 0);
	assert_true(out[0] > 0 && out[1] > 0);
	r.flush = true;
	assert_int_equal(tram_reduce_tree(ctx, &r, (float *[]){ out }, 1), 0);
	assert_true(out[0] == 0 && out[1] == 0);
	assert_true(tiny + tiny > 0);	/* the mode was for the while */
}

static void shards_go_to_who_is_done_first(void **state)
{
	uint32_t count[3];

	tram_tree_share(8, (double[]){ 1, 1 }, 2, count);
	assert_true(count[0] == 4 && count[1] == 4);
	tram_tree_share(8, (double[]){ 1, 1, 1 }, 3, count);
	assert_true(count[0] == 3 && count[1] == 3 && count[2] == 2);
	tram_tree_share(8, (double[]){ 1, 3 }, 2, count);
	assert_true(count[0] == 6 && count[1] == 2);
	tram_tree_share(2, (double[]){ 1, 100, 1 }, 3, count);
	assert_true(count[0] == 1 && count[1] == 0 && count[2] == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(covers_are_the_fewest_subtrees),
		cmocka_unit_test(any_cut_gives_the_same_bits),
		cmocka_unit_test(parts_that_are_no_partition_are_refused),
		cmocka_unit_test(denormals_are_as_the_devices_have_them),
		cmocka_unit_test(shards_go_to_who_is_done_first),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
