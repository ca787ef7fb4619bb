/* SPDX-License-Identifier: MIT */
/*
 * Claims about the shaders of attention: what the oracle says, forward and backward, for
 * every head size, length and grouping; bits of a query that depend on the
 * tokens up to it alone, cached or not. Both variants on lavapipe.
 */
#include "device/vk/test_gemm.h"

/* grad, B, T, H, G, D */
static int build(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t b = arg[1], t = arg[2], h = arg[3], kv = arg[4], d = arg[5];
	tram_value qkv = tram_input(g, "x_qkv", TRAM_F32, TRAM_SHAPE(b, t, (h + 2 * kv) * d));
	tram_value y = tram_attention(g, qkv, h, kv), weight, grad;
	int r = tram_output(g, "y", y);

	if (r || !arg[0])
		return r;
	weight = tram_input(g, "x_weight", TRAM_F32, TRAM_SHAPE(b, t, h * d));
	r = tram_gradients(g, tram_mul(g, y, weight), &qkv, 1, &grad);
	return r ? r : tram_output(g, "dqkv", grad);
}

/* B, T, Tmax, H, G, D */
static int build_cached(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t b = arg[0], t = arg[1], keys = arg[2], h = arg[3], kv = arg[4], d = arg[5];
	tram_value qkv = tram_input(g, "x_qkv", TRAM_F32, TRAM_SHAPE(b, t, (h + 2 * kv) * d));
	tram_value k = tram_variable(g, "x_k", TRAM_SHAPE(b, keys, kv, d));
	tram_value v = tram_variable(g, "x_v", TRAM_SHAPE(b, keys, kv, d));

	return tram_output(g, "y", tram_attention_cached(g, qkv, k, v, h, kv));
}

static void agrees_with_the_oracle_on_the_table(void **state)
{
	gemm_check_all(*state, "");	/* of all ops: here both variants run */
}

static void agrees_on_every_length_and_head_size(void **state)
{
	static const uint32_t lengths[] = { 1, 7, 8, 9, 17, 63, 128 };
	static const uint32_t sizes[] = { 4, 16, 20, 32, 64, 80, 96, 128 };
	const uint32_t n = TRAM_ARRAY_SIZE(lengths);

	for (uint32_t i = 0; i < n * TRAM_ARRAY_SIZE(sizes); i++) {
		uint32_t t = lengths[i % n], d = sizes[i / n], kv = 1 + i % 2;
		struct tram_op_case c = {
			.build = build, .rtol = 2e-5, .atol = 1e-4,
			.arg = { 1, 1 + i % 3 / 2, t, kv * (1 + i % 3), kv, d },
		};
		char name[80];

		snprintf(name, sizeof(name), "%u x %u tokens, %u heads, %u key heads, size %u",
			 c.arg[1], t, c.arg[3], kv, d);
		c.name = name;
		gemm_check(*state, &c);
	}
}

static void agrees_with_a_cache_wherever_it_stands(void **state)
{
	static const struct tram_op_case cases[] = {
		{ "empty", build_cached, { 2, 3, 9, 4, 2, 16 } },
		{ "one token after many", build_cached, { 1, 1, 300, 3, 3, 64 }, .pos = 299, .atol = 5e-5 },
		{ "a block of tokens", build_cached, { 2, 33, 100, 2, 1, 32 }, .pos = 41, .atol = 5e-5 },
		{ "full: the rest is dropped", build_cached, { 1, 5, 20, 2, 2, 20 }, .pos = 17 },
		{ "past the end", build_cached, { 1, 2, 20, 2, 2, 128 }, .pos = 25, .atol = 5e-5 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(cases); i++)
		gemm_check(*state, &cases[i]);
}

enum { H = 4, G = 2, D = 20, MAX_T = 70, IN = (H + 2 * G) * D, OUT = H * D };

static void attend(struct gemm_fixture *fx, uint32_t t, double *qkv, double *y)
{
	const struct tram_binding bind[] = { { "x_qkv", qkv }, { "y", y } };
	const uint32_t arg[] = { 0, 1, t, H, G, D };
	struct tram_graph *g;

	assert_int_equal(tram_graph_create(fx->ctx, NULL, &g), 0);
	assert_int_equal(build(g, arg), 0);
	gemm_run(fx, g, bind, TRAM_ARRAY_SIZE(bind), NULL);
	tram_graph_destroy(&g);
}

static void a_query_has_the_same_bits_whatever_follows(void **state)
{
	double *qkv = gemm_values(MAX_T * IN, 1), *all = gemm_values(MAX_T * OUT, 2);
	double *some = gemm_values(MAX_T * OUT, 3);

	attend(*state, MAX_T, qkv, all);
	for (uint32_t t = 1; t < MAX_T; t += 11) {
		attend(*state, t, qkv, some);
		assert_memory_equal(some, all, t * OUT * sizeof(double));
	}
	free(qkv);
	free(all);
	free(some);
}

/* Fed to a cache in steps of any length, a sequence gives what it gives at once. */
static void a_cache_has_the_bits_of_no_cache(void **state)
{
	static const uint32_t lengths[] = { 1, 1, 5, 16, 1, 30, 2, 14 };
	struct gemm_fixture *fx = *state;
	double *qkv = gemm_values(MAX_T * IN, 1), *all = gemm_values(MAX_T * OUT, 2);
	double *k = gemm_values(MAX_T * G * D, 3), *v = gemm_values(MAX_T * G * D, 4);
	double *some = gemm_values(MAX_T * OUT, 5);
	struct tram_step step = { .step = 1, .commit = 1 };

	attend(fx, MAX_T, qkv, all);
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(lengths); i++) {
		const struct tram_binding bind[] = {
			{ "x_qkv", qkv + step.pos * IN }, { "x_k", k }, { "x_v", v }, { "y", some }
		};
		const uint32_t arg[] = { 1, lengths[i], MAX_T, H, G, D };
		struct tram_graph *g;

		assert_int_equal(tram_graph_create(fx->ctx, NULL, &g), 0);
		assert_int_equal(build_cached(g, arg), 0);
		gemm_run(fx, g, bind, TRAM_ARRAY_SIZE(bind), &step);
		tram_graph_destroy(&g);
		assert_memory_equal(some, all + step.pos * OUT, lengths[i] * OUT * sizeof(double));
		step.pos += lengths[i];
	}
	assert_int_equal(step.pos, MAX_T);
	free(qkv);
	free(all);
	free(k);
	free(v);
	free(some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_oracle_on_the_table),
		cmocka_unit_test(agrees_on_every_length_and_head_size),
		cmocka_unit_test(agrees_with_a_cache_wherever_it_stands),
		cmocka_unit_test(a_query_has_the_same_bits_whatever_follows),
		cmocka_unit_test(a_cache_has_the_bits_of_no_cache),
	};
	int failed = cmocka_run_group_tests_name("attention", tests, gemm_setup, gemm_teardown);

	if (gemm_own_variant)
		failed += cmocka_run_group_tests_name("attention, generic variant", tests,
						      gemm_setup_generic, gemm_teardown);
	return failed;
}
