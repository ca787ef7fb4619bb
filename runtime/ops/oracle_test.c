/* SPDX-License-Identifier: MIT */
/*
 * Claims about the oracle's values: the transformer's and the optimizer's
 * against numbers that PyTorch 2.6 computed in double, the rest against
 * numbers that can be worked out by hand. All fills are sin(a i + b).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <tram/exec.h>

#include "base/test_heap.h"
#include "ops/op_cases.h"
#include "ops/ops.h"

static struct tram_ctx *ctx;

static struct tram_graph *make(uint32_t shards)
{
	struct tram_graph_params p = { .shards = shards };
	struct tram_graph *g;

	assert_int_equal(tram_graph_create(ctx, &p, &g), 0);
	return g;
}

static void fill(double *x, size_t n, double a, double b)
{
	for (size_t i = 0; i < n; i++)
		x[i] = sin(a * (double)i + b);
}

#define RUN(g, step, ...) do { \
	struct tram_binding run_[] = { __VA_ARGS__ }; \
	int r_ = tram_oracle_run(g, run_, TRAM_ARRAY_SIZE(run_), step); \
	if (r_) \
		fail_msg("%s (%d)", tram_error(ctx), r_); \
} while (0)

static void assert_close(const double *got, const double *want, size_t n, double tolerance)
{
	for (size_t i = 0; i < n; i++)
		if (!(fabs(got[i] - want[i]) <= tolerance))
			fail_msg("element %zu is %.12g, not %.12g", i, got[i], want[i]);
}

static void layernorm_is_that_of_pytorch(void **state)
{
	static const double want[8] = {
		0.935777892583, 1.86846721274, 0.415799658808, 0.754081831971,
		-0.360487430934, 1.00054804381, 0.758091302974, -0.00668037158501,
	};
	struct tram_graph *g = make(1);
	double x[8], gain[4], bias[4], y[8];
	tram_value v = tram_layernorm(g, tram_input(g, "x", TRAM_F32, TRAM_SHAPE(2, 4)),
				      tram_input(g, "g", TRAM_F32, TRAM_SHAPE(4)),
				      tram_input(g, "b", TRAM_F32, TRAM_SHAPE(4)), 1e-5f);

	fill(x, 8, 1.3, 0.2);
	fill(gain, 4, 0.9, 1);
	fill(bias, 4, 0.4, 2);
	assert_int_equal(tram_output(g, "y", v), 0);
	RUN(g, NULL, { "x", x }, { "g", gain }, { "b", bias }, { "y", y });
	assert_close(y, want, 8, 1e-9);
	tram_graph_destroy(&g);
}

static void gelus_are_those_of_pytorch(void **state)
{
	static const double erf_want[5] = { -0.00869384984447, -0.0220597191918, 0.431757163342,
					    2.88511844879, 1.9831009148 };
	static const double tanh_want[5] = { -0.00822127367768, -0.0216900122829, 0.431724986765,
					     2.88556512176, 1.98322178419 };
	struct tram_graph *g = make(1);
	tram_value x = tram_scale(g, tram_input(g, "x", TRAM_F32, TRAM_SHAPE(5)), 3);
	double in[5], a[5], b[5];

	fill(in, 5, 1.1, -2);
	assert_int_equal(tram_output(g, "erf", tram_gelu_erf(g, x)), 0);
	assert_int_equal(tram_output(g, "tanh", tram_gelu_tanh(g, x)), 0);
	RUN(g, NULL, { "x", in }, { "erf", a }, { "tanh", b });
	assert_close(a, erf_want, 5, 1e-10);
	assert_close(b, tanh_want, 5, 1e-10);
	tram_graph_destroy(&g);
}

static void rmsnorm_and_silu_are_those_of_pytorch(void **state)
{
	static const double want[8] = {
		0.248088223665, 1.40079885194, 0.16653099021, 0.64339570473,
		-0.981578196934, 0.578311116682, 0.500289772483, -0.0995383685168,
	};
	static const double silu_want[5] = { -0.167349157283, -0.204606487041, 0.384271663748,
					     2.73857742757, 1.79039639137 };
	struct tram_graph *g = make(1);
	double x[8], gain[4], y[8], z[5], s[5];
	tram_value v = tram_rmsnorm(g, tram_input(g, "x", TRAM_F32, TRAM_SHAPE(2, 4)),
				    tram_input(g, "g", TRAM_F32, TRAM_SHAPE(4)), 1e-5f);
	tram_value u = tram_scale(g, tram_input(g, "z", TRAM_F32, TRAM_SHAPE(5)), 3);

	fill(x, 8, 1.3, 0.2);
	fill(gain, 4, 0.9, 1);
	fill(z, 5, 1.1, -2);
	assert_int_equal(tram_output(g, "y", v), 0);
	assert_int_equal(tram_output(g, "s", tram_silu(g, u)), 0);
	RUN(g, NULL, { "x", x }, { "g", gain }, { "z", z }, { "y", y }, { "s", s });
	assert_close(y, want, 8, 1e-9);
	assert_close(s, silu_want, 5, 1e-9);
	tram_graph_destroy(&g);
}

/* cos and sin of cat(freqs, freqs), and rotate_half, in double. */
static void rope_is_that_of_transformers(void **state)
{
	static const double want[24] = {
		0.295520206661, 0.841470984808, 0.991664810452, 0.675463180551,
		0.0415806624333, -0.611857890943, -0.977530117665, -0.88345465572,
		-0.917624164795, 0.301632369001, 0.144886501769, 0.992424140835,
		0.884182618231, 0.0345833855045, 0.220142258007, -0.980639433538,
		0.0665449881858, -0.375339729539, -0.93232386165, 0.851825880206,
		-0.417882933852, 0.662919069779, 0.893955354237, -0.624974175495,
	};
	struct tram_graph *g = make(1);
	tram_value x = tram_input(g, "x", TRAM_F32, TRAM_SHAPE(1, 3, 8));
	double in[24], y[24];

	fill(in, 24, 0.7, 0.3);
	assert_int_equal(tram_output(g, "y", tram_rope(g, x, 2, 2, 10000, false)), 0);
	RUN(g, NULL, { "x", in }, { "y", y });
	assert_close(y, want, 24, 1e-10);
	tram_graph_destroy(&g);
}

static const double attention_want[24] = {
	-0.985177781504, -0.980538397794, -0.843187741856, -0.591715580631,
	-0.985177781504, -0.980538397794, -0.843187741856, -0.591715580631,
	-0.918294134314, -0.983629026102, -0.915834343619, -0.724085779101,
	-0.904949668238, -0.984245660905, -0.930328620673, -0.750495966001,
	-0.828965282303, -0.945282064909, -0.933659354548, -0.795670230543,
	-0.753027660498, -0.919197468145, -0.960958210629, -0.872657767364,
};

static void attention_is_that_of_pytorch(void **state)
{
	struct tram_graph *g = make(1);
	tram_value y = tram_attention(g, tram_input(g, "qkv", TRAM_F32, TRAM_SHAPE(1, 3, 16)), 2, 1);
	double qkv[48], out[24];

	fill(qkv, 48, 0.37, 0.1);
	assert_int_equal(tram_output(g, "y", y), 0);
	RUN(g, NULL, { "qkv", qkv }, { "y", out });
	assert_close(out, attention_want, 24, 1e-10);
	tram_graph_destroy(&g);
}

/* Token by token through the cache gives what one call over all tokens gives. */
static void cached_attention_is_attention(void **state)
{
	double qkv[48], k[5 * 4], v[5 * 4], out[8];
	struct tram_graph *g = make(1);
	tram_value y = tram_attention_cached(g, tram_input(g, "qkv", TRAM_F32, TRAM_SHAPE(1, 1, 16)),
					     tram_variable(g, "k", TRAM_SHAPE(1, 5, 1, 4)),
					     tram_variable(g, "v", TRAM_SHAPE(1, 5, 1, 4)), 2, 1);

	fill(qkv, 48, 0.37, 0.1);
	fill(k, 20, 3, 0);	/* never read: positions not yet written */
	fill(v, 20, 5, 0);
	assert_int_equal(tram_output(g, "y", y), 0);
	for (uint32_t t = 0; t < 3; t++) {
		struct tram_step step = { .pos = t };

		RUN(g, &step, { "qkv", qkv + 16 * t }, { "k", k }, { "v", v }, { "y", out });
		assert_close(out, attention_want + 8 * t, 8, 1e-10);
	}
	/* The rows behind pos are as they were. */
	for (int i = 12; i < 20; i++)
		assert_true(k[i] == sin(3.0 * i) && v[i] == sin(5.0 * i));
	tram_graph_destroy(&g);
}

static void head_loss_is_cross_entropy_of_pytorch(void **state)
{
	static const double want[3] = { 0.831034703064, 0, 2.54151732725 };
	static const uint32_t chunks[] = { 0, 1, 2, 3, 4, 5, 10 };
	int32_t targets[3] = { 4, -1, 0 };
	double x[9], head[15], loss[3];

	fill(x, 9, 0.8, 0.3);
	fill(head, 15, 0.5, 1);
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(chunks); i++) {
		struct tram_graph *g = make(1);
		tram_value y = tram_head_loss(g, tram_input(g, "x", TRAM_F32, TRAM_SHAPE(3, 3)),
					      tram_input(g, "h", TRAM_F32, TRAM_SHAPE(5, 3)),
					      tram_input(g, "t", TRAM_I32, TRAM_SHAPE(3)), chunks[i]);

		assert_int_equal(tram_output(g, "loss", y), 0);
		RUN(g, NULL, { "x", x }, { "h", head }, { "t", targets }, { "loss", loss });
		assert_close(loss, want, 3, 1e-10);
		targets[0] = 5;
		assert_int_equal(tram_oracle_run(g, (struct tram_binding[]){ { "x", x }, { "h", head },
						 { "t", targets } }, 3, NULL), -ERANGE);
		targets[0] = 4;
		tram_graph_destroy(&g);
	}
}

/* Three steps over five parameters, the first three decayed, norm clipped to 1. */
static void three_steps(bool adamw, double p[5])
{
	struct tram_graph *g = make(1);
	tram_value params = tram_variable(g, "p", TRAM_SHAPE(5)), m = tram_variable(g, "m", TRAM_SHAPE(5));
	tram_value v = tram_variable(g, "v", TRAM_SHAPE(5));
	tram_value grads = tram_input(g, "g", TRAM_F32, TRAM_SHAPE(5)), stats = tram_grad_stats(g, grads);
	struct tram_adamw_params a = { .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.1f,
				       .clip = 1, .decay_count = 3 };
	struct tram_sgd_params s = { .momentum = 0.9f, .weight_decay = 0.1f, .clip = 1, .decay_count = 3 };
	double mm[5] = { 0 }, vv[5] = { 0 }, gg[5], st[4];
	static const double norms[3] = { 1.5886541640775194, 1.6542968251418961, 1.5096939130327256 };

	assert_int_equal(tram_output(g, "stats", stats), 0);
	tram_graph_begin_update(g);
	assert_int_equal(adamw ? tram_adamw(g, params, m, v, grads, stats, &a) :
			 tram_sgd(g, params, m, grads, stats, &s), 0);
	fill(p, 5, 1, 0.5);
	for (uint32_t i = 1; i <= 3; i++) {
		struct tram_step step = { .step = i, .commit = 1, .lr = 0.01f,
					  .bias_correction1 = (float)(1 - pow(0.9, i)),
					  .bias_correction2 = (float)(1 - pow(0.999, i)) };

		fill(gg, 5, 0.7, i);
		RUN(g, &step, { "p", p }, { "m", mm }, { "v", vv }, { "g", gg }, { "stats", st });
		assert_close(&st[2], &norms[i - 1], 1, 1e-12);
		assert_true(st[1] == 1);
		/* The same step with its gate closed leaves everything alone. */
		step.commit = 0;
		memcpy(gg, p, sizeof(gg));
		RUN(g, &step, { "p", p }, { "m", mm }, { "v", vv }, { "g", gg }, { "stats", st });
		assert_memory_equal(gg, p, sizeof(gg));
	}
	tram_graph_destroy(&g);
}

static void adamw_is_that_of_pytorch(void **state)
{
	static const double want[5] = { 0.449555002034, 0.972245593015, 0.586447008348,
					-0.345299198813, -0.948110636859 };
	double p[5];

	three_steps(true, p);
	assert_close(p, want, 5, 1e-6);	/* its constants are f32 here */
}

static void sgd_is_that_of_pytorch(void **state)
{
	static const double want[5] = { 0.451031434011, 0.973614855398, 0.592848061889,
					-0.335961962118, -0.952574125906 };
	double p[5];

	three_steps(false, p);
	assert_close(p, want, 5, 1e-7);
}

/* 2^60 swallows a 1 that is added to it, so the result tells which parts met first. */
static void tree_sum_halves_at_powers_of_two(void **state)
{
	static const struct { uint32_t n; double x[7]; } cases[] = {
		{ 3, { 0x1p60, 1, -0x1p60 } },			/* (a + b) + c */
		{ 4, { 0x1p60, 1, -0x1p60, 1 } },		/* (a + b) + (c + d) */
		{ 5, { 0x1p60, 0, -0x1p60, 1, 3 } },		/* ((a + b) + (c + d)) + e */
		{ 6, { 0, 0, 0x1p60, -0x1p60, 1, 0 } },		/* ... + (e + f), not (a + b + c) + ... */
		{ 7, { 0, 0, 0, 0, 1, 0x1p60, -0x1p60 } },	/* ... + ((e + f) + g) */
	};
	static const double want[] = { 0, 0, 3, 1, 0 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(cases); i++) {
		struct tram_graph *g = make(1);
		tram_value x = tram_input(g, "x", TRAM_F32, TRAM_SHAPE(cases[i].n, 1));
		double y = -1;

		assert_int_equal(tram_output(g, "y", tram_tree_sum(g, x)), 0);
		RUN(g, NULL, { "x", (void *)cases[i].x }, { "y", &y });
		assert_close(&y, &want[i], 1, 0);
		tram_graph_destroy(&g);
	}
}

static void a_tree_sum_of_one_is_a_view(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = tram_input(g, "x", TRAM_F32, TRAM_SHAPE(1, 4)), y = tram_tree_sum(g, x);

	assert_int_equal(g->nodes.n, 0);
	assert_int_equal(tram_val(g, y)->kind, TRAM_VALUE_VIEW);
	assert_int_equal(tram_value_shape(g, y).rank, 1);
	tram_graph_destroy(&g);
}

static void dropout_keeps_the_share_it_says(void **state)
{
	enum { N = 40000 };
	struct tram_graph *g = make(1);
	tram_value x = tram_input(g, "x", TRAM_F32, TRAM_SHAPE(N));
	static double in[N], a[N], b[N], again[N];
	struct tram_step step = { .step = 1, .seed = { 7, 8 } };
	size_t kept = 0, both = 0;

	assert_int_equal(tram_output(g, "a", tram_dropout(g, x, 0.25f, 1)), 0);
	assert_int_equal(tram_output(g, "b", tram_dropout(g, x, 0.25f, 2)), 0);
	assert_int_equal(tram_dropout(g, x, 0, 3), x);
	for (size_t i = 0; i < N; i++)
		in[i] = 3;
	RUN(g, &step, { "x", in }, { "a", a }, { "b", b });
	for (size_t i = 0; i < N; i++) {
		assert_true(a[i] == 0 || a[i] == 4);
		kept += a[i] > 0;
		both += a[i] > 0 && b[i] > 0;
	}
	/* 6 standard deviations; the masks of two salts are independent. */
	assert_true(fabs((double)kept - 0.75 * N) < 6 * sqrt(N * 0.75 * 0.25));
	assert_true(fabs((double)both - 0.5625 * N) < 6 * sqrt(N * 0.5625 * 0.4375));
	RUN(g, &step, { "x", in }, { "a", again });
	assert_memory_equal(a, again, sizeof(a));
	step.step = 2;
	RUN(g, &step, { "x", in }, { "a", again });
	assert_memory_not_equal(a, again, sizeof(a));
	tram_graph_destroy(&g);
}

/* A device that holds shards 1 and 2 of 3 drops what one that holds all of them drops there. */
static void dropout_of_a_shard_is_that_of_the_whole(void **state)
{
	enum { SHARD = 15 };
	struct tram_graph *all = make(3), *part = make(2);
	tram_value x = tram_input(all, "x", TRAM_F32, TRAM_SHAPE(3, SHARD));
	tram_value y = tram_input(part, "x", TRAM_F32, TRAM_SHAPE(2, SHARD));
	static double in[3 * SHARD], a[3 * SHARD], b[2 * SHARD];
	struct tram_step step = { .step = 1, .seed = { 7, 8 } };

	for (size_t i = 0; i < 3 * SHARD; i++)
		in[i] = 1;
	assert_int_equal(tram_output(all, "y", tram_dropout(all, x, 0.5f, 1)), 0);
	assert_int_equal(tram_output(part, "y", tram_dropout(part, y, 0.5f, 1)), 0);
	RUN(all, &step, { "x", in }, { "y", a });
	step.shard0 = 1;
	RUN(part, &step, { "x", in }, { "y", b });
	assert_memory_equal(a + SHARD, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(b));
	tram_graph_destroy(&part);
	tram_graph_destroy(&all);
}

static void argmax_takes_the_first(void **state)
{
	struct tram_graph *g = make(1);
	double x[8] = { 1, 5, 5, 2, -3, -3, -4, -3 };
	int32_t y[2];

	assert_int_equal(tram_output(g, "y", tram_argmax(g, tram_input(g, "x", TRAM_F32,
							 TRAM_SHAPE(2, 4)))), 0);
	RUN(g, NULL, { "x", x }, { "y", y });
	assert_int_equal(y[0], 1);
	assert_int_equal(y[1], 0);
	tram_graph_destroy(&g);
}

static void a_token_outside_the_table_is_zeros(void **state)
{
	struct tram_graph *g = make(1);
	tram_value table = tram_input(g, "w", TRAM_F32, TRAM_SHAPE(2, 2)), d;
	tram_value tokens = tram_input(g, "t", TRAM_I32, TRAM_SHAPE(4));
	tram_value y = tram_embedding(g, table, tokens, tram_input(g, "o", TRAM_I32, TRAM_SHAPE(4)));
	double w[4] = { 1, 2, 3, 4 }, out[8], dw[4];
	int32_t t[4] = { 1, -1, 2, 1 }, o[4] = { 1, 0, 3, 2 };

	assert_int_equal(tram_gradients(g, y, &table, 1, &d), 0);
	assert_int_equal(tram_output(g, "y", y), 0);
	assert_int_equal(tram_output(g, "d", d), 0);
	RUN(g, NULL, { "w", w }, { "t", t }, { "o", o }, { "y", out }, { "d", dw });
	assert_close(out, (double[]){ 3, 4, 0, 0, 0, 0, 3, 4 }, 8, 0);
	assert_close(dw, (double[]){ 0, 0, 2, 2 }, 4, 0);
	tram_graph_destroy(&g);
}

static void statistics_tell_what_is_not_finite(void **state)
{
	struct tram_graph *g = make(1);
	static double x[TRAM_STATS_CHUNK + 3];
	double stats[4];

	assert_int_equal(tram_output(g, "s", tram_grad_stats(g, tram_input(g, "x", TRAM_F32,
							     TRAM_SHAPE(TRAM_STATS_CHUNK + 3)))), 0);
	x[0] = 3;
	x[TRAM_STATS_CHUNK + 2] = -4;
	RUN(g, NULL, { "x", x }, { "s", stats });
	assert_close(stats, (double[]){ 25, 1, 5, 0 }, 4, 0);
	x[TRAM_STATS_CHUNK] = NAN;
	RUN(g, NULL, { "x", x }, { "s", stats });
	assert_true(stats[1] == 0);
	tram_graph_destroy(&g);
}

static void a_missing_binding_is_named(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = tram_input(g, "tokens of the batch", TRAM_F32, TRAM_SHAPE(2));

	assert_int_equal(tram_output(g, "y", x), 0);
	assert_int_equal(tram_oracle_run(g, NULL, 0, NULL), -EINVAL);
	assert_non_null(strstr(tram_error(ctx), "tokens of the batch"));
	tram_graph_destroy(&g);
}

static void a_broken_graph_does_not_run(void **state)
{
	struct tram_graph *g = make(1);

	tram_relu(g, TRAM_NONE);
	assert_int_equal(tram_oracle_run(g, NULL, 0, NULL), -EINVAL);
	tram_graph_destroy(&g);
}

/* Building, expanding and running a tied, chunked head, and an update in place. */
static int open_and_close(struct tram_ctx *c, void *arg)
{
	struct tram_case_run *run;
	int r = tram_case_open(c, arg, &run);

	if (!r)
		r = tram_oracle_run(run->kernels, run->bindings, run->n_bindings, &run->step);
	tram_case_close(&run);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	static const char *const names[] = { "tied head, chunk 4, 2 shards", "adamw of 257, clipped" };

	for (size_t k = 0; k < TRAM_ARRAY_SIZE(names); k++) {
		size_t n = 0;

		for (size_t i = 0; i < tram_n_op_cases; i++)
			if (!strcmp(tram_op_cases[i].name, names[k]))
				n = test_heap_each_failure(open_and_close, (void *)&tram_op_cases[i]);
		assert_true(n > 20);
	}
}

static int setup(void **state)
{
	return tram_ctx_create(NULL, &ctx);
}

static int teardown(void **state)
{
	tram_ctx_destroy(&ctx);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(layernorm_is_that_of_pytorch),
		cmocka_unit_test(gelus_are_those_of_pytorch),
		cmocka_unit_test(rmsnorm_and_silu_are_those_of_pytorch),
		cmocka_unit_test(rope_is_that_of_transformers),
		cmocka_unit_test(attention_is_that_of_pytorch),
		cmocka_unit_test(cached_attention_is_attention),
		cmocka_unit_test(head_loss_is_cross_entropy_of_pytorch),
		cmocka_unit_test(adamw_is_that_of_pytorch),
		cmocka_unit_test(sgd_is_that_of_pytorch),
		cmocka_unit_test(tree_sum_halves_at_powers_of_two),
		cmocka_unit_test(a_tree_sum_of_one_is_a_view),
		cmocka_unit_test(dropout_keeps_the_share_it_says),
		cmocka_unit_test(dropout_of_a_shard_is_that_of_the_whole),
		cmocka_unit_test(argmax_takes_the_first),
		cmocka_unit_test(a_token_outside_the_table_is_zeros),
		cmocka_unit_test(statistics_tell_what_is_not_finite),
		cmocka_unit_test(a_missing_binding_is_named),
		cmocka_unit_test(a_broken_graph_does_not_run),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
