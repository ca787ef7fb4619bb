/* SPDX-License-Identifier: MIT */
/*
 * Claims about the products' shaders: what the oracle says, for every transposition, epilogue,
 * batch and tail; and bits of a row that depend on nothing but the row. Both
 * variants on lavapipe; the generic one elsewhere.
 */
#include "device/vk/test_gemm.h"

enum { TA = 1, TB = 2, BIAS = 4, RESIDUAL = 8, SHARED = 16 };

static struct tram_shape matrix(uint32_t nb, uint32_t rows, uint32_t cols)
{
	return nb > 1 ? TRAM_SHAPE(nb, rows, cols) : TRAM_SHAPE(rows, cols);
}

/* flags, nb, M, N, K */
static int build(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t f = arg[0], nb = arg[1], m = arg[2], n = arg[3], k = arg[4];
	struct tram_matmul_params p = { .transpose_a = f & TA, .transpose_b = f & TB };
	tram_value a = tram_input(g, "x_a", TRAM_F32, f & TA ? matrix(nb, k, m) : matrix(nb, m, k));
	uint32_t nb_b = f & SHARED ? 1 : nb;
	tram_value b = tram_input(g, "x_b", TRAM_F32,
				  f & TB ? matrix(nb_b, n, k) : matrix(nb_b, k, n));

	if (f & BIAS) {
		p.has_bias = true;
		p.bias = tram_input(g, "x_bias", TRAM_F32, TRAM_SHAPE(n));
	}
	if (f & RESIDUAL) {
		p.has_residual = true;
		p.residual = tram_input(g, "x_residual", TRAM_F32, matrix(nb, m, n));
	}
	return tram_output(g, "y", tram_matmul(g, a, b, &p));
}

static void agrees_with_the_oracle_on_the_table(void **state)
{
	gemm_check_all(*state, "matmul");
}

static void agrees_on_every_pair_of_tails_and_transpositions(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 7, 8, 9, 16, 23, 24, 25, 47, 48, 65, 97, 130 };
	const uint32_t n_sizes = TRAM_ARRAY_SIZE(sizes);

	/* each pair (M, N) once; K, flags and batch walk along at other strides */
	for (uint32_t i = 0; i < n_sizes * n_sizes; i++) {
		uint32_t flags = (i * 7) % 16;
		struct tram_op_case c = {
			.build = build, .rtol = 1e-5, .atol = 5e-5,
			.arg = { flags, i % 3 ? 1 : 3, sizes[i % n_sizes], sizes[i / n_sizes],
				 sizes[i * 5 % n_sizes] },
		};
		char name[80];

		snprintf(name, sizeof(name), "flags %u, batch of %u, %ux%u over %u", flags, c.arg[1],
			 c.arg[2], c.arg[3], c.arg[4]);
		c.name = name;
		gemm_check(*state, &c);
	}
}

static void agrees_on_long_sums_and_wide_rows(void **state)
{
	static const struct tram_op_case cases[] = {
		{ "decode", build, { BIAS, 1, 1, 1030, 777 }, .atol = 2e-4 },
		{ "decode, tb", build, { TB, 1, 3, 517, 777 }, .atol = 2e-4 },
		{ "shards of a weight gradient", build, { TA, 8, 65, 129, 255 }, .atol = 2e-4 },
		{ "one b", build, { SHARED | TB | BIAS | RESIDUAL, 5, 33, 65, 129 }, .atol = 1e-4 },
		{ "tall", build, { RESIDUAL, 1, 1203, 17, 511 }, .atol = 2e-4 },
		{ "distance of rows 4 KiB", build, { 0, 1, 130, 96, 1024 }, .atol = 2e-4 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(cases); i++)
		gemm_check(*state, &cases[i]);
}

/* Rows [first, first + m) of a product, each alone in a's memory. */
static void product(struct gemm_fixture *fx, uint32_t flags, uint32_t m, uint32_t n, uint32_t k,
		    double *a, double *b, double *bias, double *y)
{
	const struct tram_binding bind[] = {
		{ "x_a", a }, { "x_b", b }, { "x_bias", bias }, { "y", y }
	};
	const uint32_t arg[TRAM_CASE_ARGS] = { flags, 1, m, n, k };
	struct tram_graph *g;

	assert_int_equal(tram_graph_create(fx->ctx, NULL, &g), 0);
	assert_int_equal(build(g, arg), 0);
	gemm_run(fx, g, bind, TRAM_ARRAY_SIZE(bind), NULL);
	tram_graph_destroy(&g);
}

static void a_row_has_the_same_bits_alone_and_among_many(void **state)
{
	static const uint32_t counts[] = { 1, 2, 5, 8, 9, 17, 24, 47, 64, 97 };
	enum { M = 200, N = 37, K = 83 };
	struct gemm_fixture *fx = *state;

	for (uint32_t flags = BIAS; flags <= (BIAS | TB); flags += TB) {
		double *a = gemm_values(M * K, 1), *b = gemm_values(N * K, 2);
		double *bias = gemm_values(N, 3), *all = gemm_values(M * N, 4);
		double *some = gemm_values(M * N, 5);

		product(fx, flags, M, N, K, a, b, bias, all);
		for (size_t i = 0; i < TRAM_ARRAY_SIZE(counts); i++) {
			uint32_t first = (uint32_t)(i * 31 % (M - counts[i]));

			product(fx, flags, counts[i], N, K, a + first * K, b, bias, some);
			assert_memory_equal(some, all + first * N, counts[i] * N * sizeof(double));
		}
		free(a);
		free(b);
		free(bias);
		free(all);
		free(some);
	}
}

static void a_column_has_the_same_bits_alone_and_among_many(void **state)
{
	enum { M = 60, N = 77, K = 50 };
	struct gemm_fixture *fx = *state;
	double *a = gemm_values(M * K, 1), *b = gemm_values(N * K, 2), *bias = gemm_values(N, 3);
	double *all = gemm_values(M * N, 4), *one = gemm_values(M, 5);

	product(fx, BIAS | TB, M, N, K, a, b, bias, all);
	for (uint32_t j = 0; j < N; j += 19) {
		product(fx, BIAS | TB, M, 1, K, a, b + j * K, bias + j, one);
		for (uint32_t i = 0; i < M; i++)
			assert_memory_equal(&one[i], &all[i * N + j], sizeof(double));
	}
	free(a);
	free(b);
	free(bias);
	free(all);
	free(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_oracle_on_the_table),
		cmocka_unit_test(agrees_on_every_pair_of_tails_and_transpositions),
		cmocka_unit_test(agrees_on_long_sums_and_wide_rows),
		cmocka_unit_test(a_row_has_the_same_bits_alone_and_among_many),
		cmocka_unit_test(a_column_has_the_same_bits_alone_and_among_many),
	};
	int failed = cmocka_run_group_tests_name("matmul", tests, gemm_setup, gemm_teardown);

	if (gemm_own_variant)
		failed += cmocka_run_group_tests_name("matmul, generic variant", tests,
						      gemm_setup_generic, gemm_teardown);
	return failed;
}
