/* SPDX-License-Identifier: MIT */
/*
 * The CPU device: every kernel against its oracle on every instruction set
 * that this processor runs, the same bits for any number of threads and rows,
 * timelines, the gate, and what it says when something is wrong.
 */
#include "device/cpu/test_world.h"
#include "ops/op_cases.h"

/* --- products -------------------------------------------------------------------------------- */

static struct tol sum_tol(uint64_t terms)
{
	/* Half an ulp of a partial sum, which grows like the root of its length, for each addition. */
	return (struct tol){ 1e-6 + 4e-8 * (double)terms, 2e-6 };
}

static void one_product(struct world *w, uint32_t nb, uint32_t m, uint32_t n, uint32_t k, bool ta,
			bool tb, bool shared, bool bias, bool residual)
{
	struct tram_graph *g = graph(w, 1);
	struct tram_matmul_params p = { .transpose_a = ta, .transpose_b = tb, .has_bias = bias,
					.has_residual = residual };
	uint32_t am = ta ? k : m, ak = ta ? m : k, bk = tb ? n : k, bn = tb ? k : n;
	tram_value a, b;
	char who[120];

	snprintf(who, sizeof(who), "matmul %u x %u x %u x %u%s%s%s%s%s", nb, m, n, k, ta ? " ta" : "",
		 tb ? " tb" : "", shared ? " shared" : "", bias ? " bias" : "",
		 residual ? " residual" : "");
	a = input(g, "a", nb > 1 ? TRAM_SHAPE(nb, am, ak) : TRAM_SHAPE(am, ak));
	b = input(g, "b", nb > 1 && !shared ? TRAM_SHAPE(nb, bk, bn) : TRAM_SHAPE(bk, bn));
	if (bias)
		p.bias = input(g, "bias", TRAM_SHAPE(n));
	if (residual)
		p.residual = input(g, "res", nb > 1 ? TRAM_SHAPE(nb, m, n) : TRAM_SHAPE(m, n));
	output(g, "c", tram_matmul(g, a, b, &p));
	check(w, g, sum_tol(k), who);
}

static void products_agree_with_the_oracle(void **state)
{
	static const uint32_t sizes[][3] = {
		{ 1, 1, 1 }, { 2, 3, 5 }, { 7, 17, 31 }, { 64, 64, 64 }, { 65, 65, 65 },
		{ 97, 129, 33 }, { 1, 200, 70 }, { 130, 1, 40 }, { 100, 96, 770 }, { 3, 5, 1600 },
		{ 66, 512, 80 }, { 300, 20, 4 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sizes); i++)
		for (int t = 0; t < 4; t++)
			one_product(*state, 1, sizes[i][0], sizes[i][1], sizes[i][2], t & 1, t & 2, false,
				    i & 1, (i + t) & 1);
	one_product(*state, 3, 5, 70, 33, false, true, false, true, true);
	one_product(*state, 3, 5, 70, 33, true, false, false, false, true);
	one_product(*state, 3, 67, 9, 33, false, false, true, true, true);
}

/* Row 37 of 130 rows, and of 1. */
static void bits_of_a_row_do_not_depend_on_the_other_rows(void **state)
{
	struct world *w = *state;
	uint32_t rows[] = { 1, 2, 63, 64, 65, 130 };
	static double a[130 * 900], b[900 * 70], c[130 * 70], first[70];

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(a); i++)
		a[i] = (float)rnd_unit();
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(b); i++)
		b[i] = (float)rnd_unit();
	for (size_t d = 0; d < w->n; d++)
		for (int tb = 0; tb < 2; tb++)
			for (size_t i = 0; i < TRAM_ARRAY_SIZE(rows); i++) {
				struct tram_matmul_params p = { .transpose_b = tb };
				struct tram_graph *g = graph(w, 1);
				uint32_t n = rows[i];
				/* The last row of the call is always row 0 of a. */
				double *at = a + (130 - n) * 900, keep[900];
				struct tram_binding bind[] = { { "a", at }, { "b", b }, { "c", c } };

				memcpy(keep, at + (n - 1) * 900, sizeof(keep));
				memcpy(at + (n - 1) * 900, a, sizeof(keep));
				output(g, "c", tram_matmul(g, input(g, "a", TRAM_SHAPE(n, 900)),
							   input(g, "b", tb ? TRAM_SHAPE(70, 900) :
								 TRAM_SHAPE(900, 70)), &p));
				assert_int_equal(tram_device_case_run(w->dev[d], g, bind, 3, NULL), 0);
				if (n != 130)
					memcpy(at + (n - 1) * 900, keep, sizeof(keep));
				if (i == 0)
					memcpy(first, c, sizeof(first));
				else if (n != 130)
					assert_memory_equal(first, c + (n - 1) * 70, sizeof(first));
				tram_graph_destroy(&g);
			}
}

/* What tile.h says, and what the fallback for other processors rests on. */
static void a_tile_is_one_fused_chain(void **state)
{
	struct world *w = *state;
	const struct tram_cpu_tile_shape s = { 9, 21, 77, 80, 24, 32, true };
	static float a[9 * 80], b[77 * 24], c[9 * 32], want[9 * 32];

	for (size_t d = 0; d < w->n; d += 3) {
		const struct tram_cpu_tile *t;

		if (w->isa[d] == &tram_cpu_isa_base)
			continue;	/* no fused multiply-add there */
		for (size_t i = 0; i < TRAM_ARRAY_SIZE(a); i++)
			a[i] = (float)rnd_unit();
		for (size_t i = 0; i < TRAM_ARRAY_SIZE(b); i++)
			b[i] = (float)rnd_unit();
		for (size_t i = 0; i < TRAM_ARRAY_SIZE(c); i++)
			c[i] = want[i] = (float)rnd_unit();
		for (int i = 0; i < 9; i++)
			for (int j = 0; j < 21; j++) {
				float sum = 0;

				for (int k = 0; k < 77; k++)
					sum = fmaf(a[i * 80 + k], b[k * 24 + j], sum);
				want[i * 32 + j] += sum;
			}
		for (int own = 0; own < 2; own++) {
			float got[9 * 32];

			memcpy(got, c, sizeof(got));
			assert_int_equal(tram_cpu_tile_get(tram_cpu_tiles_of(w->dev[d]), &s, &t), 0);
			if (own)
				w->isa[d]->tile(&s, a, b, got);
			else
				tram_cpu_tile_run(t, a, b, got);
			assert_memory_equal(got, want, sizeof(got));
		}
	}
}

/* --- elementwise -------------------------------------------------------------------------------- */

static void ew_case(struct world *w, struct tram_graph *g, tram_value y, const char *who)
{
	struct values v;

	output(g, "y", y);
	make_values(g, &v);
	/* Wide enough for every branch, special values included. */
	for (size_t i = 0; i < v.n; i++)
		for (uint64_t k = 0; k < v.count[i] && !strcmp(v.b[i].name, "x"); k++)
			((double *)v.b[i].data)[k] *= k % 3 ? 6 : k % 7 ? 0.3 : 40;
	check_values(w, g, &v, (struct tol){ 3e-6, 3e-6 }, who);
}

static void elementwise_functions_agree_with_the_oracle(void **state)
{
	static tram_value (*const unary[])(struct tram_graph *, tram_value) = {
		tram_neg, tram_exp, tram_tanh, tram_relu, tram_gelu_tanh, tram_gelu_erf,
	};
	static const uint32_t sizes[] = { 1, 7, 16, 513, 16385, 40000 };
	struct tram_graph *g;

	for (size_t f = 0; f < TRAM_ARRAY_SIZE(unary); f++)
		for (size_t s = 0; s < TRAM_ARRAY_SIZE(sizes); s++) {
			tram_value x, y, loss, dx;
			char who[60];

			if (unary[f] == tram_exp && s > 0)
				continue;	/* exp(40) is no number for an absolute tolerance */
			g = graph(*state, 1);
			x = input(g, "x", TRAM_SHAPE(sizes[s]));
			y = unary[f](g, x);
			loss = tram_reduce(g, tram_mul(g, y, input(g, "w", TRAM_SHAPE(sizes[s]))),
					   TRAM_REDUCE_SUM, 0, 1);
			assert_int_equal(tram_gradients(g, loss, &x, 1, &dx), 0);
			output(g, "dx", dx);
			snprintf(who, sizeof(who), "function %zu of %u", f, sizes[s]);
			ew_case(*state, g, y, who);
		}
	g = graph(*state, 1);
	ew_case(*state, g, tram_dropout(g, input(g, "x", TRAM_SHAPE(3, 12345)), 0.3f, 77), "dropout");
}

/* exp, log, tanh, erf in units in the last place, over the whole range. */
static void functions_are_accurate(void **state)
{
	static const struct { enum tram_ew_code code; double (*f)(double); double lo, hi, limit; } f[] = {
		{ TRAM_EW_EXP, exp, -87, 88.7, 1.5 }, { TRAM_EW_LOG, log, 1e-30, 4, 2.5 },
		{ TRAM_EW_LOG, log, 0.5, 2, 2.5 }, { TRAM_EW_TANH, tanh, -10, 10, 3 },
		{ TRAM_EW_TANH, tanh, -0.7, 0.7, 3 }, { TRAM_EW_SQRT, sqrt, 0, 100, 0.51 },
	};
	struct world *w = *state;
	const uint32_t n = 50000;
	double *x = malloc(n * 8), *y = malloc(n * 8), worst;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(f); i++)
		for (size_t d = 0; d < w->n; d += 3) {
			struct tram_graph *g = graph(w, 1);
			union tram_attr attr = { 0 };
			tram_value v = input(g, "x", TRAM_SHAPE(n));
			struct tram_binding b[] = { { "x", x }, { "y", y } };

			attr.ew.n_in = attr.ew.n_code = 1;
			attr.ew.code[0].code = (uint8_t)f[i].code;
			output(g, "y", tram_graph_node1(g, TRAM_OP_EW, &v, 1, &attr));
			for (uint32_t k = 0; k < n; k++)
				x[k] = (float)(f[i].lo + (f[i].hi - f[i].lo) * k / n);
			assert_int_equal(tram_device_case_run(w->dev[d], g, b, 2, NULL), 0);
			worst = 0;
			for (uint32_t k = 0; k < n; k++) {
				double want = f[i].f(x[k]);
				int e;

				frexp(want, &e);
				worst = fmax(worst, fabs(y[k] - want) / ldexp(1, TRAM_MAX(e, -125) - 24));
			}
			if (worst > f[i].limit)
				fail_msg("function %d on %s: %g ulp", f[i].code, w->isa[d]->name, worst);
			tram_graph_destroy(&g);
		}
	free(x);
	free(y);
}

static void special_values_come_out_as_the_standard_says(void **state)
{
	static const struct { enum tram_ew_code code; double x, y; } c[] = {
		{ TRAM_EW_EXP, -INFINITY, 0 }, { TRAM_EW_EXP, INFINITY, INFINITY }, { TRAM_EW_EXP, -200, 0 },
		{ TRAM_EW_EXP, 200, INFINITY }, { TRAM_EW_EXP, NAN, NAN }, { TRAM_EW_LOG, 0, -INFINITY },
		{ TRAM_EW_LOG, -1, NAN }, { TRAM_EW_LOG, INFINITY, INFINITY }, { TRAM_EW_LOG, NAN, NAN },
		{ TRAM_EW_TANH, 100, 1 }, { TRAM_EW_TANH, -INFINITY, -1 }, { TRAM_EW_TANH, NAN, NAN },
		{ TRAM_EW_RELU, -3, 0 }, { TRAM_EW_GELU_ERF, -30, 0 }, { TRAM_EW_GELU_TANH, -30, 0 },
		{ TRAM_EW_GELU_TANH, NAN, NAN }, { TRAM_EW_GELU_ERF, NAN, NAN },
		{ TRAM_EW_SILU, -200, 0 }, { TRAM_EW_SILU, 200, 200 }, { TRAM_EW_SILU, NAN, NAN },
	};
	struct world *w = *state;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(c); i++)
		for (size_t d = 0; d < w->n; d += 3) {
			struct tram_graph *g = graph(w, 1);
			union tram_attr attr = { 0 };
			tram_value v = input(g, "x", TRAM_SHAPE(1));
			double x = c[i].x, y = 5;
			struct tram_binding b[] = { { "x", &x }, { "y", &y } };

			attr.ew.n_in = attr.ew.n_code = 1;
			attr.ew.code[0].code = (uint8_t)c[i].code;
			output(g, "y", tram_graph_node1(g, TRAM_OP_EW, &v, 1, &attr));
			assert_int_equal(tram_device_case_run(w->dev[d], g, b, 2, NULL), 0);
			if (isnan(c[i].y) ? !isnan(y) : y != c[i].y && !(fabs(y - c[i].y) < 1e-38))
				fail_msg("function %d of %g on %s: %g", c[i].code, c[i].x, w->isa[d]->name, y);
			tram_graph_destroy(&g);
		}
}

static void broadcasting_agrees_with_the_oracle(void **state)
{
	static const struct { struct tram_shape a, b; } s[] = {
		{ { 2, { 33, 70 } }, { 1, { 70 } } }, { { 2, { 33, 70 } }, { 2, { 33, 1 } } },
		{ { 3, { 5, 1, 30 } }, { 3, { 1, 41, 30 } } }, { { 3, { 5, 1, 30 } }, { 2, { 41, 1 } } },
		{ { 1, { 1 } }, { 2, { 50, 400 } } }, { { 4, { 2, 1, 3, 1 } }, { 4, { 1, 4, 1, 5 } } },
		{ { 3, { 1, 1, 1 } }, { 3, { 1, 1, 1 } } },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(s); i++) {
		struct tram_graph *g = graph(*state, 1);
		tram_value a = input(g, "a", s[i].a), b = input(g, "b", s[i].b);

		output(g, "add", tram_add(g, a, b));
		output(g, "sub", tram_sub(g, b, a));
		output(g, "mul", tram_mul(g, a, b));
		check(*state, g, (struct tol){ 1e-6, 1e-6 }, "broadcast");
	}
}

/* --- rows ------------------------------------------------------------------------------------------ */

static void rows_agree_with_the_oracle(void **state)
{
	static const uint32_t s[][2] = { { 1, 1 }, { 3, 2 }, { 5, 65 }, { 130, 384 }, { 7, 50001 },
					 { 33, 17 } };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(s); i++) {
		struct tram_graph *g = graph(*state, 1);
		uint32_t n = s[i][0], c = s[i][1];
		tram_value x = input(g, "x", TRAM_SHAPE(n, c)), gain, bias, y, wrt[3], grad[3];

		output(g, "argmax", tram_argmax(g, x));
		output(g, "finite", tram_isfinite(g, x));
		output(g, "stats", tram_grad_stats(g, tram_reshape(g, x, TRAM_SHAPE(n * c))));
		for (uint32_t kind = 0; kind < 3; kind++) {
			static const char *const names[3][2] = { { "s0", "s1" }, { "m0", "m1" },
								 { "a0", "a1" } };

			output(g, names[kind][0], tram_reduce(g, x, kind, 0, 1));
			output(g, names[kind][1], tram_reduce(g, x, kind, 1, 1));
		}
		check(*state, g, (struct tol){ 1e-6 * sqrt(n * c), 1e-5 }, "reductions");

		g = graph(*state, 1);
		x = input(g, "x", TRAM_SHAPE(n, c));
		wrt[0] = x;
		y = tram_softmax(g, x);
		output(g, "softmax", y);
		y = tram_reduce(g, tram_mul(g, y, input(g, "w", TRAM_SHAPE(n, c))), TRAM_REDUCE_SUM, 0, 2);
		assert_int_equal(tram_gradients(g, y, wrt, 1, grad), 0);
		output(g, "dx", grad[0]);
		check(*state, g, (struct tol){ 1e-6, 1e-5 }, "softmax");

		if (c == 1)
			continue;	/* a variance of 0 */
		g = graph(*state, n % 5 ? 1 : 5);
		x = input(g, "x", TRAM_SHAPE(n, c));
		gain = tram_variable(g, "gain", TRAM_SHAPE(c));
		bias = tram_variable(g, "bias", TRAM_SHAPE(c));
		wrt[0] = x, wrt[1] = gain, wrt[2] = bias;
		y = tram_layernorm(g, x, gain, bias, 1e-5f);
		output(g, "y", y);
		y = tram_reduce(g, tram_mul(g, y, input(g, "w", TRAM_SHAPE(n, c))), TRAM_REDUCE_SUM, 0, 2);
		assert_int_equal(tram_gradients(g, y, wrt, 3, grad), 0);
		output(g, "dx", grad[0]);
		output(g, "dgain", grad[1]);
		output(g, "dbias", grad[2]);
		check(*state, g, (struct tol){ c == 2 ? 1e-2 : 2e-5, c == 2 ? 1e-2 : 2e-5 }, "layernorm");
	}
}

static void cross_entropy_agrees_with_the_oracle(void **state)
{
	static const uint32_t c[][2] = { { 65, 0 }, { 40, 30 }, { 1, 1 } };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(c); i++) {
		struct tram_graph *g = graph(*state, 1);
		union tram_attr attr = { 0 };
		const uint32_t n = 37;
		tram_value targets = tram_input(g, "targets", TRAM_I32, TRAM_SHAPE(n)), in[3];
		struct values v;
		tram_value a = input(g, "a", TRAM_SHAPE(n, c[i][0]));

		in[0] = a, in[1] = targets;
		in[2] = tram_graph_node1(g, TRAM_OP_XENT_PARTIAL, in, 2, &attr);
		if (c[i][1]) {
			in[0] = input(g, "b", TRAM_SHAPE(n, c[i][1]));
			attr.xent.first = c[i][0];
			attr.xent.state = true;
			in[2] = tram_graph_node1(g, TRAM_OP_XENT_PARTIAL, in, 3, &attr);
		}
		in[0] = in[2];
		in[1] = targets;
		attr = (union tram_attr){ 0 };
		kernel(g, TRAM_OP_XENT_FINAL, in, 2, &attr, 2);
		in[0] = a;
		in[1] = g->nodes.v[g->nodes.n - 1].out[1];
		in[2] = targets;
		output(g, "d", tram_graph_node1(g, TRAM_OP_XENT_GRAD, in, 3, &attr));
		make_values(g, &v);
		for (uint32_t k = 0; k < n; k++)
			((int32_t *)value_of(&v, "targets"))[k] =
				k % 9 == 4 ? -1 : (int32_t)(rnd() % (c[i][0] + c[i][1]));
		check_values(*state, g, &v, (struct tol){ 1e-6, 1e-5 }, "cross-entropy");
	}
}

/* --- moving -------------------------------------------------------------------------------------------- */

static void moves_agree_with_the_oracle(void **state)
{
	static const struct { struct tram_shape s; uint32_t perm[4]; } t[] = {
		{ { 2, { 37, 130 } }, { 1, 0 } }, { { 3, { 3, 70, 65 } }, { 0, 2, 1 } },
		{ { 4, { 2, 33, 3, 20 } }, { 0, 2, 1, 3 } }, { { 4, { 2, 5, 3, 20 } }, { 3, 2, 1, 0 } },
		{ { 2, { 1, 9 } }, { 1, 0 } }, { { 3, { 17, 16, 2 } }, { 1, 0, 2 } },
		{ { 3, { 1, 1, 1 } }, { 2, 1, 0 } }, { { 3, { 7, 3, 40 } }, { 2, 0, 1 } },
	};
	struct tram_graph *g;
	tram_value x[3];
	uint64_t offsets[3] = { 3, 100, 66000 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(t); i++) {
		g = graph(*state, 1);
		output(g, "y", tram_transpose(g, input(g, "x", t[i].s), t[i].perm));
		check(*state, g, (struct tol){ 0 }, "transpose");
	}
	for (uint32_t axis = 0; axis < 3; axis++) {
		struct tram_shape s = TRAM_SHAPE(5, 6, 7);

		g = graph(*state, 1);
		x[0] = input(g, "a", s);
		output(g, "slice", tram_slice(g, x[0], axis, 1, 3));
		s.dim[axis] = 1;
		x[1] = input(g, "b", s);
		s.dim[axis] = 300;
		x[2] = input(g, "c", s);
		output(g, "concat", tram_concat(g, x, 3, axis));
		check(*state, g, (struct tol){ 0 }, "slice and concat");
	}
	g = graph(*state, 1);
	x[0] = input(g, "a", TRAM_SHAPE(7, 3));
	x[1] = input(g, "b", TRAM_SHAPE(65900));
	x[2] = input(g, "c", TRAM_SHAPE(70000));
	output(g, "pack", tram_pack(g, x, offsets, 3, 140000));
	check(*state, g, (struct tol){ 0 }, "pack");
	for (uint32_t s = 1; s < 9; s++) {
		g = graph(*state, 1);
		output(g, "y", tram_tree_sum(g, input(g, "x", TRAM_SHAPE(s, 33))));
		check(*state, g, (struct tol){ 1e-6, 1e-6 }, "tree sum");
	}
}

static void embedding_agrees_with_the_oracle(void **state)
{
	static const uint32_t s[][4] = { { 1, 1, 1, 1 }, { 65, 24, 48, 1 }, { 300, 129, 64, 4 },
					 { 9, 5, 90, 3 } };	/* V, C, N, shards */

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(s); i++) {
		uint32_t v = s[i][0], c = s[i][1], n = s[i][2], shards = s[i][3], per = n / shards;
		struct tram_graph *g = graph(*state, shards);
		tram_value table = tram_variable(g, "table", TRAM_SHAPE(v, c)), grad, y;
		struct values val;
		int32_t *tokens, *order;

		y = tram_embedding(g, table, tram_input(g, "tokens", TRAM_I32, TRAM_SHAPE(n)),
				   tram_input(g, "order", TRAM_I32, TRAM_SHAPE(n)));
		output(g, "y", y);
		y = tram_reduce(g, tram_mul(g, y, input(g, "w", TRAM_SHAPE(n, c))), TRAM_REDUCE_SUM, 0, 2);
		assert_int_equal(tram_gradients(g, y, &table, 1, &grad), 0);
		output(g, "dtable", grad);
		make_values(g, &val);
		tokens = value_of(&val, "tokens");
		order = value_of(&val, "order");
		for (uint32_t k = 0; k < n; k++)
			tokens[k] = k % 11 == 7 ? (k & 1 ? -1 : (int32_t)v) : (int32_t)(rnd() % v);
		for (uint32_t b = 0; b < n; b += per) {
			uint32_t at = 0;

			for (int32_t t = -1; t <= (int32_t)v; t++)
				for (uint32_t k = 0; k < per; k++)
					if (tokens[b + k] == t)
						order[b + at++] = (int32_t)k;
			assert_int_equal(at, per);
		}
		check_values(*state, g, &val, (struct tol){ 1e-5, 1e-5 }, "embedding");
	}
}

/* --- attention ----------------------------------------------------------------------------------------------- */

static void attention_agrees_with_the_oracle(void **state)
{
	static const uint32_t s[][5] = {	/* B, T, H, G, D */
		{ 1, 1, 1, 1, 4 }, { 2, 5, 2, 1, 16 }, { 1, 64, 2, 2, 32 }, { 1, 65, 3, 1, 20 },
		{ 2, 130, 4, 2, 64 }, { 1, 63, 1, 1, 128 }, { 1, 600, 1, 1, 16 }, { 1, 1100, 2, 1, 8 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(s); i++) {
		struct tram_graph *g = graph(*state, 1);
		uint32_t b = s[i][0], t = s[i][1], h = s[i][2], kv = s[i][3], d = s[i][4];
		tram_value qkv = input(g, "qkv", TRAM_SHAPE(b, t, (h + 2 * kv) * d)), y, grad;
		char who[80];

		snprintf(who, sizeof(who), "attention B %u T %u H %u G %u D %u", b, t, h, kv, d);
		y = tram_attention(g, qkv, h, kv);
		output(g, "y", y);
		y = tram_reduce(g, tram_mul(g, y, input(g, "w", TRAM_SHAPE(b, t, h * d))),
				TRAM_REDUCE_SUM, 0, 3);
		assert_int_equal(tram_gradients(g, y, &qkv, 1, &grad), 0);
		output(g, "dqkv", grad);
		check(*state, g, (struct tol){ 3e-6, 2e-5 }, who);
	}
}

static void cached_attention_agrees_with_the_oracle(void **state)
{
	static const uint32_t s[][6] = {	/* B, T, H, G, D, Tmax */
		{ 1, 1, 1, 1, 4, 3 }, { 2, 5, 4, 2, 20, 9 }, { 1, 3, 2, 1, 128, 200 },
		{ 1, 100, 2, 2, 16, 100 },	/* pos 2: two tokens don't fit */
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(s); i++) {
		struct tram_graph *g = graph(*state, 1);
		uint32_t b = s[i][0], t = s[i][1], h = s[i][2], kv = s[i][3], d = s[i][4], max = s[i][5];
		tram_value qkv = input(g, "qkv", TRAM_SHAPE(b, t, (h + 2 * kv) * d));

		output(g, "y", tram_attention_cached(g, qkv,
						     tram_variable(g, "k", TRAM_SHAPE(b, max, kv, d)),
						     tram_variable(g, "v", TRAM_SHAPE(b, max, kv, d)), h,
						     kv));
		check(*state, g, (struct tol){ 3e-6, 1e-5 }, "cached attention");
	}
}

/* --- optimizers --------------------------------------------------------------------------------------------------- */

static void optimizer_case(struct world *w, uint32_t n, uint32_t decay, float clip, bool adam)
{
	struct tram_graph *g = graph(w, 1);
	tram_value grads = input(g, "grads", TRAM_SHAPE(n)), stats = tram_grad_stats(g, grads);
	tram_value p = tram_variable(g, "p", TRAM_SHAPE(n)), m = tram_variable(g, "m", TRAM_SHAPE(n));
	struct tram_adamw_params a = { 0.9f, 0.999f, 1e-8f, 0.1f, clip, decay };
	struct tram_sgd_params s = { 0.9f, 0.1f, clip, decay };
	struct values v;

	tram_graph_begin_update(g);
	if (adam)
		assert_int_equal(tram_adamw(g, p, m, tram_variable(g, "v", TRAM_SHAPE(n)), grads, stats,
					    &a), 0);
	else
		assert_int_equal(tram_sgd(g, p, m, grads, stats, &s), 0);
	make_values(g, &v);
	for (uint32_t i = 0; i < n && adam; i++)
		((double *)value_of(&v, "v"))[i] = fabs(((double *)value_of(&v, "v"))[i]) + 0.01;
	check_values(w, g, &v, (struct tol){ 1e-6, 1e-5 }, adam ? "adamw" : "sgd");
}

static void optimizers_agree_with_the_oracle(void **state)
{
	for (int adam = 0; adam < 2; adam++) {
		optimizer_case(*state, 1, 1, 0, adam);
		optimizer_case(*state, 50001, 20003, 1, adam);
		optimizer_case(*state, 33, 0, 1000, adam);
	}
}

static void a_closed_gate_changes_nothing(void **state)
{
	the_step.commit = 0;
	optimizer_case(*state, 20001, 33, 1, true);
	optimizer_case(*state, 20001, 33, 1, false);
	the_step.commit = 1;
}

/* Every kernel op is in that table (ops/grad_test.c), so none is left out here. */
static void the_table_of_cases_agrees_with_the_oracle(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < tram_n_op_cases; i++) {
		struct tram_case_run *run;

		if (tram_case_open(w->ctx, &tram_op_cases[i], &run))
			fail_msg("%s", tram_error(w->ctx));
		/* A device of one thread and one of three for each instruction set. */
		for (size_t d = 0; d < w->n; d += 2) {
			tram_case_reset(run);
			if (tram_device_case_run(w->dev[d], run->kernels, run->bindings,
						 run->n_bindings, &run->step) ||
			    tram_case_check(run))
				fail_msg("%s, %zu threads: %s", w->isa[d]->name, d % 3 + 1,
					 tram_error(w->ctx));
		}
		tram_case_close(&run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_agree_with_the_oracle),
		cmocka_unit_test(bits_of_a_row_do_not_depend_on_the_other_rows),
		cmocka_unit_test(a_tile_is_one_fused_chain),
		cmocka_unit_test(elementwise_functions_agree_with_the_oracle),
		cmocka_unit_test(functions_are_accurate),
		cmocka_unit_test(special_values_come_out_as_the_standard_says),
		cmocka_unit_test(broadcasting_agrees_with_the_oracle),
		cmocka_unit_test(rows_agree_with_the_oracle),
		cmocka_unit_test(cross_entropy_agrees_with_the_oracle),
		cmocka_unit_test(moves_agree_with_the_oracle),
		cmocka_unit_test(embedding_agrees_with_the_oracle),
		cmocka_unit_test(attention_agrees_with_the_oracle),
		cmocka_unit_test(cached_attention_agrees_with_the_oracle),
		cmocka_unit_test(optimizers_agree_with_the_oracle),
		cmocka_unit_test(a_closed_gate_changes_nothing),
		cmocka_unit_test(the_table_of_cases_agrees_with_the_oracle),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
