/* SPDX-License-Identifier: MIT */
/*
 * Claims: every gradient that a case of op_cases.h puts out is the slope of its
 * objective, by central differences of the oracle in double precision, for 1
 * to 4 shards; and the composites' expansions mean what the composites mean.
 * Below them, graphs that are about reverse mode itself.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ops/op_cases.h"
#include "ops/ops.h"

#define STEP 1e-5
#define SAMPLES 40	/* elements of a tensor that are moved; all when it has fewer */

static struct tram_case_tensor *find(struct tram_case_run *run, const char *name)
{
	for (size_t i = 0; i < run->n_tensors; i++)
		if (!strcmp(run->tensors[i].name, name))
			return &run->tensors[i];
	return NULL;
}

/* What the case's gradients are of; leaves data[] as the run left it. */
static double objective(struct tram_case_run *run)
{
	struct tram_case_tensor *y = find(run, "y"), *w = find(run, "x_weight");
	struct tram_case_tensor *loss = find(run, "loss");
	double sum = 0;

	assert_int_equal(tram_oracle_run(run->graph, run->bindings, run->n_bindings, &run->step), 0);
	for (uint64_t i = 0; y && i < y->count; i++)
		sum += ((double *)y->data)[i] * ((double *)w->data)[i];
	for (uint64_t i = 0; !y && i < loss->count; i++)
		sum += ((double *)loss->data)[i] * (double)run->step.inv_targets;
	return sum;
}

static double moved(struct tram_case_run *run, const char *name, uint64_t i, double by)
{
	tram_case_reset(run);
	((double *)find(run, name)->data)[i] += by;
	return objective(run);
}

static size_t check_gradient(struct tram_case_run *run, const struct tram_case_tensor *d)
{
	const char *name = d->name + 2;
	uint64_t step = TRAM_MAX(d->count / SAMPLES, 1);
	size_t n = 0;

	/* A stride that is odd wanders over rows and columns. */
	step += step > 1 && step % 2 == 0;
	for (uint64_t i = 0; i < d->count; i += step, n++) {
		double up = moved(run, name, i, STEP), down = moved(run, name, i, -STEP);
		double want = (up - down) / (2 * STEP), got = ((double *)d->want)[i];
		/* Rounding of the sums that are subtracted, curvature, factors held in f32. */
		double allowed = 1e-12 * (fabs(up) + 1) / STEP + 1e-6 * (fabs(want) + 1);

		if (fabs(got - want) > allowed)
			fail_msg("case \"%s\": d/d(%s[%llu]) is %.12g, the slope is %.12g",
				 run->c->name, name, (unsigned long long)i, got, want);
	}
	return n;
}

static struct tram_ctx *ctx;

static struct tram_case_run *open_case(const struct tram_op_case *c)
{
	struct tram_case_run *run;
	int r = tram_case_open(ctx, c, &run);

	if (r)
		fail_msg("%s (%d)", tram_error(ctx), r);
	return run;
}

static void gradients_are_slopes(void **state)
{
	size_t n = 0, before;

	for (size_t i = 0; i < tram_n_op_cases; i++) {
		struct tram_case_run *run = open_case(&tram_op_cases[i]);

		before = n;
		for (size_t k = 0; k < run->n_tensors; k++)
			if (!strncmp(run->tensors[k].name, "d.", 2))
				n += check_gradient(run, &run->tensors[k]);
		if (n == before && strstr(run->c->name, "gradients"))
			fail_msg("case \"%s\" has no gradients", run->c->name);
		tram_case_close(&run);
	}
	assert_true(n > 1000);
}

static void expansions_mean_the_same(void **state)
{
	for (size_t i = 0; i < tram_n_op_cases; i++) {
		struct tram_case_run *run = open_case(&tram_op_cases[i]);

		for (size_t k = 0; k < run->kernels->nodes.n; k++)
			assert_null(tram_op_table[run->kernels->nodes.v[k].op].expand);
		assert_int_equal(tram_oracle_run(run->kernels, run->bindings, run->n_bindings,
						 &run->step), 0);
		if (tram_case_check(run))
			fail_msg("%s", tram_error(ctx));
		tram_case_close(&run);
	}
}

/* Every kernel op is called by some case, so a device that passes them has them all. */
static void cases_call_every_op(void **state)
{
	bool seen[TRAM_OP_COUNT] = { false };

	for (size_t i = 0; i < tram_n_op_cases; i++) {
		struct tram_case_run *run = open_case(&tram_op_cases[i]);

		for (size_t k = 0; k < run->kernels->nodes.n; k++)
			seen[run->kernels->nodes.v[k].op] = true;
		tram_case_close(&run);
	}
	for (int op = TRAM_OP_NONE + 1; op < TRAM_OP_COUNT; op++)
		if (!seen[op] && !tram_op_table[op].expand)
			fail_msg("no case calls %s", tram_op_table[op].name);
}

/* --- reverse mode: small graphs, whose gradients are slopes too ----------------------------- */

#define GRAPH(name_) static int name_(struct tram_graph *g, const uint32_t *arg)

/* Output "y" is the objective (weights: ones); "d.NAME" for each of wrt. */
static int close_graph(struct tram_graph *g, tram_value y, const tram_value *wrt,
		       const char *const *names, uint32_t n)
{
	tram_value d[8];
	int r = g->status ? g->status : tram_gradients(g, y, wrt, n, d);

	if (!r)
		r = tram_output(g, "loss", y);
	for (uint32_t i = 0; !r && i < n; i++)
		r = tram_output(g, names[i], d[i]);
	return r;
}

static tram_value input(struct tram_graph *g, const char *name, struct tram_shape s)
{
	return tram_input(g, name, TRAM_F32, s);
}

GRAPH(square)
{
	tram_value x = input(g, "x", TRAM_SHAPE(3, 5));

	return close_graph(g, tram_mul(g, x, x), &x, (const char *[]){ "d.x" }, 1);
}

/* x reaches the loss on four ways, one of them a reduction whose seed is ones. */
GRAPH(many_ways)
{
	tram_value x = input(g, "x", TRAM_SHAPE(4, 6)), y = tram_tanh(g, x);
	tram_value z = tram_matmul(g, y, tram_reshape(g, x, TRAM_SHAPE(6, 4)), NULL);

	z = tram_add(g, tram_reduce(g, z, TRAM_REDUCE_SUM, 0, 2), tram_reduce(g, x, TRAM_REDUCE_SUM, 0, 2));
	z = tram_add(g, z, tram_reduce(g, tram_exp(g, y), TRAM_REDUCE_MEAN, 0, 2));
	return close_graph(g, z, &x, (const char *[]){ "d.x" }, 1);
}

/* Parts of a result, read through partial views that overlap each other. */
GRAPH(partial_views_of_a_result)
{
	tram_value x = input(g, "x", TRAM_SHAPE(4, 6)), y = tram_exp(g, x);
	tram_value a = tram_view(g, y, 3, TRAM_SHAPE(2, 5)), b = tram_view(g, y, 8, TRAM_SHAPE(10));

	return close_graph(g, tram_mul(g, tram_reshape(g, a, TRAM_SHAPE(10)), tram_tanh(g, b)), &x,
			   (const char *[]){ "d.x" }, 1);
}

/* A value on the way is asked for, and gradients still pass through it. */
GRAPH(value_on_the_way)
{
	tram_value x = input(g, "x", TRAM_SHAPE(4, 3)), w = input(g, "x_w", TRAM_SHAPE(3, 2));
	tram_value y = tram_matmul(g, x, w, NULL), d[3], wrt[3] = { y, x, w };
	tram_value loss = tram_mul(g, tram_gelu_erf(g, y), y);
	int r = g->status ? g->status : tram_gradients(g, loss, wrt, 3, d);

	if (!r && d[0] == TRAM_NONE)
		return -EFAULT;
	if (!r)
		r = tram_output(g, "loss", loss);
	if (!r)
		r = tram_output(g, "d.x", d[1]);
	return r ? r : tram_output(g, "d.x_w", d[2]);
}

/* A layer norm whose operand also goes elsewhere before and after: the folded addition. */
GRAPH(residual_stream)
{
	tram_value x = input(g, "x", TRAM_SHAPE(2, 3, 4)), gain = input(g, "pos", TRAM_SHAPE(4));
	tram_value bias = input(g, "x_b", TRAM_SHAPE(4)), w = input(g, "x_w", TRAM_SHAPE(4, 4)), y = x;
	struct tram_matmul_params p = { .transpose_b = true, .has_residual = true };

	for (int i = 0; i < 3; i++) {
		p.residual = y;
		y = tram_matmul(g, tram_layernorm(g, y, gain, bias, 1e-5f), w, &p);
	}
	y = tram_mul(g, tram_layernorm(g, y, gain, bias, 1e-5f), tram_tanh(g, y));
	return close_graph(g, y, (tram_value[]){ x, gain, bias, w },
			   (const char *[]){ "d.x", "d.pos", "d.x_b", "d.x_w" }, 4);
}

/*
 * A value is read by a late branch and by a norm: what is passed through unchanged by
 * an addition must not be folded into, since it is somebody else's gradient too.
 */
GRAPH(passed_through)
{
	tram_value x = input(g, "x", TRAM_SHAPE(2, 4)), gain = input(g, "pos", TRAM_SHAPE(4));
	tram_value y = tram_add(g, x, tram_exp(g, x)), n, late;

	n = tram_layernorm(g, y, gain, gain, 1e-5f);
	late = tram_tanh(g, x);
	return close_graph(g, tram_mul(g, n, late), (tram_value[]){ x, gain },
			   (const char *[]){ "d.x", "d.pos" }, 2);
}

/* The variable itself and two views of it, one of them twice, seen with several shapes. */
GRAPH(views_of_a_variable)
{
	tram_value flat = tram_variable(g, "x_flat", TRAM_SHAPE(20)), pack[3], d[3], loss;
	tram_value a = tram_view(g, flat, 2, TRAM_SHAPE(3, 2)), b = tram_view(g, flat, 10, TRAM_SHAPE(2, 4));
	tram_value wrt[3] = { a, b, a };
	int r;

	/* b whole, b as another shape, part of a, a by way of the whole variable. */
	loss = tram_matmul(g, a, b, NULL);
	loss = tram_add(g, tram_reduce(g, loss, TRAM_REDUCE_SUM, 0, 2),
			tram_reduce(g, tram_exp(g, tram_view(g, flat, 10, TRAM_SHAPE(8))),
				    TRAM_REDUCE_SUM, 0, 1));
	loss = tram_add(g, loss, tram_reduce(g, tram_exp(g, tram_view(g, flat, 4, TRAM_SHAPE(2))),
					     TRAM_REDUCE_SUM, 0, 1));
	loss = tram_add(g, loss, tram_reduce(g, tram_tanh(g, tram_mul(g, flat, flat)), TRAM_REDUCE_SUM,
					     0, 1));
	r = g->status ? g->status : tram_gradients(g, loss, wrt, 3, d);
	if (r)
		return r;
	if (d[0] != d[2])
		return -EFAULT;
	pack[0] = d[0];
	pack[1] = d[1];
	r = tram_output(g, "loss", loss);
	if (!r)
		r = tram_output(g, "d.x_a", pack[0]);
	return r ? r : tram_output(g, "d.x_b", pack[1]);
}

/* Both the variable and a view of it. */
GRAPH(variable_and_view)
{
	tram_value flat = tram_variable(g, "x_flat", TRAM_SHAPE(12));
	tram_value a = tram_view(g, flat, 4, TRAM_SHAPE(4)), wrt[2] = { flat, a }, d[2], loss;
	int r;

	loss = tram_add(g, tram_exp(g, a), tram_mul(g, a, tram_view(g, flat, 0, TRAM_SHAPE(4))));
	r = g->status ? g->status : tram_gradients(g, loss, wrt, 2, d);
	if (!r)
		r = tram_output(g, "loss", loss);
	if (!r)
		r = tram_output(g, "d.x_flat", d[0]);
	return r ? r : tram_output(g, "part", d[1]);
}

static void reverse_mode_gives_slopes(void **state)
{
	static const struct tram_op_case graphs[] = {
		{ "square", square }, { "many ways", many_ways },
		{ "partial views of a result", partial_views_of_a_result },
		{ "value on the way", value_on_the_way }, { "residual stream", residual_stream },
		{ "residual stream, 2 shards", residual_stream, .shards = 2 },
		{ "passed through", passed_through }, { "variable and view", variable_and_view },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(graphs); i++) {
		struct tram_case_run *run = open_case(&graphs[i]);
		size_t n = 0;

		run->step.inv_targets = 1;	/* the objective is the sum of "loss" */
		for (size_t k = 0; k < run->n_tensors; k++)
			if (!strncmp(run->tensors[k].name, "d.", 2))
				n += check_gradient(run, &run->tensors[k]);
		assert_true(n > 0);
		tram_case_close(&run);
	}
}

static void a_view_asked_for_stands_for_its_elements(void **state)
{
	static const struct tram_op_case c = { "views of a variable", views_of_a_variable };
	struct tram_case_run *run = open_case(&c);
	static const struct { const char *name; uint64_t first; } parts[] = {
		{ "d.x_a", 2 }, { "d.x_b", 10 },
	};

	run->step.inv_targets = 1;
	for (size_t p = 0; p < TRAM_ARRAY_SIZE(parts); p++) {
		struct tram_case_tensor *d = find(run, parts[p].name);

		for (uint64_t i = 0; i < d->count; i++) {
			double up = moved(run, "x_flat", parts[p].first + i, STEP);
			double down = moved(run, "x_flat", parts[p].first + i, -STEP);

			assert_true(fabs((up - down) / (2 * STEP) - ((double *)d->want)[i]) < 1e-6);
		}
	}
	/* No gradient of the size of the variable goes through a PACK. */
	for (size_t i = 0; i < run->graph->nodes.n; i++)
		if (run->graph->nodes.v[i].op == TRAM_OP_PACK)
			assert_true(run->graph->nodes.v[i].attr.pack.total < 20);
	tram_case_close(&run);
}

static void part_of_both_is_the_same(void **state)
{
	static const struct tram_op_case c = { "variable and view", variable_and_view };
	struct tram_case_run *run = open_case(&c);
	double *whole = find(run, "d.x_flat")->want, *part = find(run, "part")->want;

	for (int i = 0; i < 4; i++)
		assert_true(fabs(whole[4 + i] - part[i]) < 1e-12);
	tram_case_close(&run);
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
		cmocka_unit_test(gradients_are_slopes),
		cmocka_unit_test(expansions_mean_the_same),
		cmocka_unit_test(cases_call_every_op),
		cmocka_unit_test(reverse_mode_gives_slopes),
		cmocka_unit_test(a_view_asked_for_stands_for_its_elements),
		cmocka_unit_test(part_of_both_is_the_same),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
