/* SPDX-License-Identifier: MIT */
/*
 * Exec on the fake device: steps, slots, the gate, versions, pins, several execs on the same
 * variables, and what happens when memory or the device goes away. Measuring is in measure_test.c.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include <tram/ops.h>

#include "base/test_heap.h"
#include "exec/exec.h"
#include "exec/fake_device.h"

#define N 64		/* parameters */
#define B 8		/* rows a batch */

struct rig {
	struct test_heap heap;
	struct tram_ctx *ctx;
	struct fake_device *fake;
	struct tram_device *dev;
	struct tram_vars *vars;
	struct tram_exec *x;
	uint64_t life;		/* calls of the interface that whole_life made, but for its tidying up */
};

/* Linear regression by SGD with momentum: loss = sum (x w - t)^2 / 2B. */
static struct tram_graph *train_graph(struct tram_ctx *ctx)
{
	struct tram_graph *g;
	tram_value w, m, x, t, e, loss, grad, stats;

	if (tram_graph_create(ctx, NULL, &g))
		return NULL;
	w = tram_variable(g, "w", TRAM_SHAPE(N));
	m = tram_variable(g, "m", TRAM_SHAPE(N));
	x = tram_input(g, "x", TRAM_F32, TRAM_SHAPE(B, N));
	t = tram_input(g, "t", TRAM_F32, TRAM_SHAPE(B, 1));
	e = tram_sub(g, tram_matmul(g, x, tram_reshape(g, w, TRAM_SHAPE(N, 1)), NULL), t);
	loss = tram_scale(g, tram_reduce(g, tram_mul(g, e, e), TRAM_REDUCE_SUM, 0, 2), 0.5f / B);
	grad = tram_matmul(g, x, e, &(struct tram_matmul_params){ .transpose_a = true });
	grad = tram_scale(g, tram_reshape(g, grad, TRAM_SHAPE(N)), 1.0f / B);
	stats = tram_grad_stats(g, grad);
	tram_output(g, "loss", loss);
	tram_output(g, "stats", stats);
	tram_graph_begin_update(g);
	tram_sgd(g, w, m, grad, stats, &(struct tram_sgd_params){ .momentum = 0.5f });
	return g;
}

/* No update phase: y = x w */
static struct tram_graph *eval_graph(struct tram_ctx *ctx)
{
	struct tram_graph *g;
	tram_value w, x;

	if (tram_graph_create(ctx, NULL, &g))
		return NULL;
	w = tram_variable(g, "w", TRAM_SHAPE(N));
	x = tram_input(g, "x", TRAM_F32, TRAM_SHAPE(1, N));
	tram_output(g, "y", tram_matmul(g, x, tram_reshape(g, w, TRAM_SHAPE(N, 1)), NULL));
	return g;
}

static int make_exec(struct tram_device *dev, struct tram_vars *vars, struct tram_graph *g,
		     const struct tram_exec_params *params, struct tram_exec **x)
{
	int r = -ENOMEM;

	*x = NULL;
	if (g)
		r = tram_graph_status(g) ? tram_graph_status(g) :
		    tram_exec_create(dev, vars, g, params, x);
	tram_graph_destroy(&g);
	return r;
}

static int rig_open(struct rig *rig, struct tram_ctx *ctx)
{
	struct tram_graph *g = train_graph(ctx);
	const struct tram_op_row *rows = g ? g->ops : NULL;
	int r;

	rig->ctx = ctx;
	rig->fake = NULL;
	rig->vars = NULL;
	rig->x = NULL;
	r = g ? fake_device_create(ctx, rows, &rig->fake) : -ENOMEM;
	if (!r) {
		rig->dev = &rig->fake->base;
		r = tram_vars_create(rig->dev, &rig->vars);
	}
	if (r) {
		tram_graph_destroy(&g);
		return r;
	}
	return make_exec(rig->dev, rig->vars, g, NULL, &rig->x);
}

static void rig_close(struct rig *rig)
{
	tram_exec_destroy(&rig->x);
	if (rig->vars)
		tram_vars_destroy(&rig->vars);
	fake_device_destroy(&rig->fake);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct tram_ctx *ctx = test_heap_ctx(&rig->heap);

	*state = rig;
	return rig_open(rig, ctx);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	rig_close(rig);
	tram_ctx_destroy(&rig->ctx);
	assert_int_equal(atomic_load(&rig->heap.live), 0);
	free(rig);
	return 0;
}

/* Row i of step s; target: sum of the first three elements. */
static void fill(struct tram_exec *x, uint32_t slot, uint32_t step)
{
	float *in = tram_exec_input(x, slot, "x"), *t = tram_exec_input(x, slot, "t");
	struct tram_step *block = tram_exec_step(x, slot);

	for (uint32_t i = 0; i < B; i++) {
		for (uint32_t j = 0; j < N; j++)
			in[i * N + j] = (float)((step * 31 + i * 17 + j * 7) % 13) / 13 - 0.5f;
		t[i] = in[i * N] + in[i * N + 1] + in[i * N + 2];
	}
	block->step = step + 1;
	block->lr = 0.1f;
	block->inv_targets = 1.0f / B;
	block->loss_scale = 1;
}

static float loss_of(struct tram_exec *x, uint32_t slot)
{
	return *(const float *)tram_exec_output(x, slot, "loss");
}

static void read_all(struct rig *rig, float *w, float *m)
{
	assert_int_equal(tram_vars_read(rig->vars, "w", 0, N, w), 0);
	assert_int_equal(tram_vars_read(rig->vars, "m", 0, N, m), 0);
}

/* --- steps ------------------------------------------------------------------- */

static void steps_follow_the_oracle(void **state)
{
	struct rig *rig = *state;
	struct tram_graph *g = train_graph(rig->ctx);
	double x[B * N], t[B], w[N] = { 0 }, m[N] = { 0 }, loss, stats[4];
	const struct tram_binding bindings[] = {
		{ "x", x }, { "t", t }, { "w", w }, { "m", m }, { "loss", &loss }, { "stats", stats },
	};
	float got[N];

	for (uint32_t s = 0; s < 6; s++) {
		struct tram_step block;

		fill(rig->x, 0, s);
		for (int i = 0; i < B * N; i++)
			x[i] = ((float *)tram_exec_input(rig->x, 0, "x"))[i];
		for (int i = 0; i < B; i++)
			t[i] = ((float *)tram_exec_input(rig->x, 0, "t"))[i];
		block = *tram_exec_step(rig->x, 0);
		block.commit = 1;
		assert_int_equal(tram_oracle_run(g, bindings, TRAM_ARRAY_SIZE(bindings), &block), 0);
		assert_int_equal(tram_exec_run(rig->x), 0);
		assert_true(loss_of(rig->x, 0) >= (float)loss * 0.99999f &&
			    loss_of(rig->x, 0) <= (float)loss * 1.00001f);
		assert_int_equal(tram_vars_version(rig->vars), s + 1);
	}
	assert_int_equal(tram_vars_read(rig->vars, "w", 0, N, got), 0);
	for (int i = 0; i < N; i++)
		assert_true(got[i] - w[i] < 1e-6 && w[i] - got[i] < 1e-6);
	assert_true(loss < 0.2);
	tram_graph_destroy(&g);
}

static void two_slots_give_the_bits_of_one(void **state)
{
	struct rig *rig = *state, one = { 0 };
	float w[2][N], m[2][N], loss[2];

	assert_int_equal(rig_open(&one, rig->ctx), 0);
	for (uint32_t s = 0; s < 10; s++) {
		fill(one.x, 0, s);
		assert_int_equal(tram_exec_run(one.x), 0);
		loss[0] = loss_of(one.x, 0);
	}
	read_all(&one, w[0], m[0]);
	/* The next step is filled and submitted before the gate of this one opens. */
	fill(rig->x, 0, 0);
	assert_int_equal(tram_exec_submit(rig->x, 0), 0);
	for (uint32_t s = 0; s < 10; s++) {
		uint32_t slot = s % 2;

		if (s < 9) {
			fill(rig->x, !slot, s + 1);
			if (s)
				assert_int_equal(tram_exec_finish(rig->x, !slot), 0);
			assert_int_equal(tram_exec_submit(rig->x, !slot), 0);
		}
		assert_int_equal(tram_exec_wait(rig->x, slot), 0);
		loss[1] = loss_of(rig->x, slot);
		assert_int_equal(tram_exec_gate(rig->x, slot, true), 0);
	}
	assert_int_equal(tram_exec_finish(rig->x, 0), 0);
	assert_int_equal(tram_exec_finish(rig->x, 1), 0);
	read_all(rig, w[1], m[1]);
	assert_memory_equal(w[0], w[1], sizeof(w[0]));
	assert_memory_equal(m[0], m[1], sizeof(m[0]));
	assert_memory_equal(&loss[0], &loss[1], sizeof(loss[0]));
	rig_close(&one);
}

static void a_closed_gate_leaves_no_trace(void **state)
{
	struct rig *rig = *state;
	float w[2][N], m[2][N];

	fill(rig->x, 0, 0);
	assert_int_equal(tram_exec_run(rig->x), 0);
	read_all(rig, w[0], m[0]);
	fill(rig->x, 0, 1);
	tram_exec_step(rig->x, 0)->commit = 1;	/* not the caller's to set */
	assert_int_equal(tram_exec_submit(rig->x, 0), 0);
	assert_int_equal(tram_exec_wait(rig->x, 0), 0);
	assert_int_equal(tram_exec_gate(rig->x, 0, false), 0);
	assert_int_equal(tram_exec_finish(rig->x, 0), 0);
	read_all(rig, w[1], m[1]);
	assert_memory_equal(w[0], w[1], sizeof(w[0]));
	assert_memory_equal(m[0], m[1], sizeof(m[0]));
	assert_int_equal(tram_vars_version(rig->vars), 1);
}

static void nothing_is_updated_before_the_gate_opens(void **state)
{
	struct rig *rig = *state;

	fill(rig->x, 0, 0);
	assert_int_equal(tram_exec_submit(rig->x, 0), 0);
	assert_int_equal(tram_exec_wait(rig->x, 0), 0);
	assert_int_equal(tram_vars_version(rig->vars), 0);
	assert_true(rig->fake->head != rig->fake->tail);	/* the update waits */
	assert_int_equal(tram_exec_gate(rig->x, 0, true), 0);
	assert_int_equal(tram_vars_version(rig->vars), 1);
	assert_int_equal(tram_exec_finish(rig->x, 0), 0);
	assert_true(rig->fake->head == rig->fake->tail);
}

static void calls_out_of_turn_are_refused(void **state)
{
	struct rig *rig = *state;
	struct tram_pin *pin;
	const char *name = "w";
	float w[N];

	assert_int_equal(tram_exec_wait(rig->x, 0), -EINVAL);
	assert_int_equal(tram_exec_gate(rig->x, 0, true), -EINVAL);
	assert_int_equal(tram_exec_finish(rig->x, 0), 0);
	assert_int_equal(tram_exec_submit(rig->x, 2), -EINVAL);
	assert_null(tram_exec_input(rig->x, 2, "x"));
	assert_null(tram_exec_input(rig->x, 0, "y"));
	assert_null(tram_exec_output(rig->x, 0, "x"));
	fill(rig->x, 0, 0);
	assert_int_equal(tram_exec_submit(rig->x, 0), 0);
	assert_int_equal(tram_exec_submit(rig->x, 0), -EBUSY);
	assert_int_equal(tram_exec_finish(rig->x, 0), -EBUSY);
	assert_int_equal(tram_vars_read(rig->vars, "w", 0, N, w), -EBUSY);
	assert_int_equal(tram_vars_pin(rig->vars, &name, 1, &pin), -EBUSY);
	assert_int_equal(tram_exec_calibrate(rig->x), -EBUSY);
	assert_int_equal(tram_exec_trace(rig->x, "/dev/null/trace.json"), -EBUSY);
	/* The second slot's step is behind the first one's gate. */
	fill(rig->x, 1, 1);
	assert_int_equal(tram_exec_submit(rig->x, 1), 0);
	assert_int_equal(tram_exec_wait(rig->x, 1), -EBUSY);
	assert_int_equal(tram_exec_gate(rig->x, 0, true), 0);
	assert_int_equal(tram_exec_gate(rig->x, 0, true), -EINVAL);
	assert_int_equal(tram_vars_read(rig->vars, "w", 0, N, w), -EBUSY);
	assert_int_equal(tram_exec_wait(rig->x, 1), 0);
	assert_int_equal(tram_exec_gate(rig->x, 1, true), 0);
	assert_int_equal(tram_exec_finish(rig->x, 0), 0);
	assert_int_equal(tram_exec_finish(rig->x, 1), 0);
	assert_int_equal(tram_vars_read(rig->vars, "w", 0, N, w), 0);
}

static void destroying_a_running_exec_does_not_hang(void **state)
{
	struct rig *rig = *state;
	float w[N] = { 0 }, m[N];

	fill(rig->x, 0, 0);
	fill(rig->x, 1, 1);
	assert_int_equal(tram_exec_submit(rig->x, 0), 0);
	assert_int_equal(tram_exec_submit(rig->x, 1), 0);
	tram_exec_destroy(&rig->x);
	read_all(rig, w, m);
	for (int i = 0; i < N; i++)
		assert_true(w[i] == 0 && m[i] == 0);	/* undecided steps count as closed */
}

/* --- several execs, one set of variables ------------------------------------------ */

static void evaluation_sees_the_version_that_training_wrote(void **state)
{
	struct rig *rig = *state;
	struct tram_exec *eval;
	float w[N], m[N], want = 0, *in;

	assert_int_equal(make_exec(rig->dev, rig->vars, eval_graph(rig->ctx), NULL, &eval), 0);
	for (uint32_t s = 0; s < 3; s++) {
		fill(rig->x, 0, s);
		assert_int_equal(tram_exec_run(rig->x), 0);
	}
	read_all(rig, w, m);
	in = tram_exec_input(eval, 0, "x");
	for (int i = 0; i < N; i++) {
		in[i] = (float)i;
		want += (float)i * w[i];
	}
	assert_int_equal(tram_exec_run(eval), 0);
	assert_int_equal(tram_exec_gate(eval, 0, true), 0);	/* no effect */
	assert_int_equal(tram_vars_version(rig->vars), 3);
	assert_true(*(const float *)tram_exec_output(eval, 0, "y") - want < 1e-3f &&
		    want - *(const float *)tram_exec_output(eval, 0, "y") < 1e-3f);
	/* Twice without finish: waiting is enough where there is no gate. */
	assert_int_equal(tram_exec_submit(eval, 1), 0);
	assert_int_equal(tram_exec_wait(eval, 1), 0);
	assert_int_equal(tram_exec_submit(eval, 1), 0);
	assert_int_equal(tram_exec_wait(eval, 1), 0);
	/* Behind the gate of a training step it would wait for ever. */
	fill(rig->x, 0, 3);
	assert_int_equal(tram_exec_submit(rig->x, 0), 0);
	assert_int_equal(tram_exec_submit(eval, 0), 0);
	assert_int_equal(tram_exec_wait(eval, 0), -EBUSY);
	assert_int_equal(tram_exec_gate(rig->x, 0, true), 0);
	assert_int_equal(tram_exec_wait(eval, 0), 0);
	assert_int_equal(tram_exec_finish(rig->x, 0), 0);
	tram_exec_destroy(&eval);
}

static void a_cache_written_by_compute_nodes_grows_step_by_step(void **state)
{
	struct rig *rig = *state;
	struct tram_graph *g;
	struct tram_exec *x;
	float *in, cache[16 * 4];

	assert_int_equal(tram_graph_create(rig->ctx, NULL, &g), 0);
	tram_output(g, "y", tram_attention_cached(g, tram_input(g, "qkv", TRAM_F32, TRAM_SHAPE(1, 1, 12)),
		tram_variable(g, "k", TRAM_SHAPE(1, 16, 1, 4)),
		tram_variable(g, "v", TRAM_SHAPE(1, 16, 1, 4)), 1, 1));
	assert_int_equal(make_exec(rig->dev, rig->vars, g, NULL, &x), 0);
	for (uint32_t s = 0; s < 5; s++) {
		in = tram_exec_input(x, 0, "qkv");
		for (int i = 0; i < 12; i++)
			in[i] = (float)(100 * s + i);
		tram_exec_step(x, 0)->pos = s;
		assert_int_equal(tram_exec_submit(x, 0), 0);
		assert_int_equal(tram_exec_wait(x, 0), 0);
	}
	assert_int_equal(tram_vars_read(rig->vars, "v", 0, 64, cache), 0);
	for (int i = 0; i < 64; i++)
		assert_true(cache[i] == (i < 20 ? (float)(100 * (i / 4) + 8 + i % 4) : 0));
	assert_int_equal(tram_vars_version(rig->vars), 0);
	tram_exec_destroy(&x);
}

static void variables_are_checked(void **state)
{
	struct rig *rig = *state;
	float v[4] = { 1, 2, 3, 4 };

	assert_int_equal(tram_vars_add(rig->vars, "w", N), 0);
	assert_int_equal(tram_vars_add(rig->vars, "w", N + 1), -EINVAL);
	assert_int_equal(tram_vars_add(rig->vars, "none", 0), -EINVAL);
	assert_int_equal(tram_vars_read(rig->vars, "none", 0, 1, v), -ENOENT);
	assert_int_equal(tram_vars_read(rig->vars, "w", N - 3, 4, v), -EINVAL);
	assert_int_equal(tram_vars_read(rig->vars, "w", UINT64_MAX, 2, v), -EINVAL);
	assert_int_equal(tram_vars_write(rig->vars, "w", N - 4, 4, v), 0);
	memset(v, 0, sizeof(v));
	assert_int_equal(tram_vars_read(rig->vars, "w", N - 4, 4, v), 0);
	assert_true(v[0] == 1 && v[3] == 4);
	assert_int_equal(tram_vars_version(rig->vars), 0);	/* by hand doesn't count */
}

/* --- pins ---------------------------------------------------------------------------- */

static const char *const both[] = { "w", "m" };

static void a_pin_holds_its_version(void **state)
{
	struct rig *rig = *state;
	float w[2][N], m[2][N];
	struct tram_pin *pin;
	uint64_t n;

	fill(rig->x, 0, 0);
	assert_int_equal(tram_exec_run(rig->x), 0);
	read_all(rig, w[0], m[0]);
	assert_int_equal(tram_vars_pin(rig->vars, both, 2, &pin), 0);
	fill(rig->x, 0, 1);
	assert_int_equal(tram_exec_run(rig->x), 0);
	read_all(rig, w[1], m[1]);
	assert_memory_not_equal(w[0], w[1], sizeof(w[0]));
	assert_int_equal(tram_pin_version(pin), 1);
	assert_memory_equal(tram_pin_data(pin, "w", &n), w[0], sizeof(w[0]));
	assert_int_equal(n, N);
	assert_memory_equal(tram_pin_data(pin, "m", &n), m[0], sizeof(m[0]));
	assert_null(tram_pin_data(pin, "x", &n));
	assert_int_equal(tram_vars_restore(rig->vars, pin), 0);
	assert_int_equal(tram_vars_version(rig->vars), 1);
	read_all(rig, w[1], m[1]);
	assert_memory_equal(w[0], w[1], sizeof(w[0]));
	assert_memory_equal(m[0], m[1], sizeof(m[0]));
	/* It outlives the variables. */
	tram_exec_destroy(&rig->x);
	tram_vars_destroy(&rig->vars);
	assert_memory_equal(tram_pin_data(pin, "w", &n), w[0], sizeof(w[0]));
	tram_pin_release(&pin);
	assert_null(pin);
}

/* --- steady state ------------------------------------------------------------------------ */

static void steady_state_allocates_and_creates_nothing(void **state)
{
	struct rig *rig = *state;
	size_t calls = 0, creates = 0, submits = 0;
	struct tram_pin *pin;
	float w[N];

	for (uint32_t s = 0; s < 20; s++) {
		fill(rig->x, s % 2, s);
		assert_int_equal(tram_exec_submit(rig->x, s % 2), 0);
		assert_int_equal(tram_exec_wait(rig->x, s % 2), 0);
		assert_int_equal(tram_exec_gate(rig->x, s % 2, true), 0);
		assert_int_equal(tram_exec_finish(rig->x, s % 2), 0);
		assert_int_equal(tram_vars_read(rig->vars, "w", 0, N, w), 0);
		assert_int_equal(tram_vars_pin(rig->vars, both, 2, &pin), 0);
		tram_pin_release(&pin);
		if (s == 2) {
			calls = atomic_load(&rig->heap.calls);
			creates = rig->fake->creates;
			submits = rig->fake->submits;
		}
	}
	assert_int_equal(atomic_load(&rig->heap.calls), calls);
	assert_int_equal(rig->fake->creates, creates);
	assert_int_equal(rig->fake->submits, submits + 17);	/* one a step */
}

static void the_predicted_peak_is_what_is_allocated(void **state)
{
	struct rig *rig = *state;
	struct tram_prediction p;

	tram_exec_predict(rig->x, &p);
	assert_int_equal(p.peak_bytes, rig->dev->memory_now);
	assert_int_equal(p.peak_bytes, rig->dev->memory_peak);
	for (uint32_t s = 0; s < 3; s++) {
		fill(rig->x, 0, s);
		assert_int_equal(tram_exec_run(rig->x), 0);
	}
	assert_int_equal(p.peak_bytes, rig->dev->memory_peak);
}

static void a_plan_above_the_budget_allocates_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t before = rig->dev->memory_now;
	struct tram_prediction p;
	struct tram_exec *x;

	tram_exec_predict(rig->x, &p);
	assert_int_equal(make_exec(rig->dev, rig->vars, train_graph(rig->ctx),
				   &(struct tram_exec_params){ .budget = p.peak_bytes - 1 }, &x), -ENOSPC);
	assert_null(x);
	assert_int_equal(make_exec(rig->dev, rig->vars, train_graph(rig->ctx),
				   &(struct tram_exec_params){ .budget = p.peak_bytes }, &x), 0);
	tram_exec_destroy(&x);
	/* Without a budget, what others hold is not there to be had. */
	rig->dev->machine.budget = before + p.peak_bytes - p.variable_bytes - 1;
	assert_int_equal(make_exec(rig->dev, rig->vars, train_graph(rig->ctx), NULL, &x), -ENOSPC);
	rig->dev->machine.budget++;
	assert_int_equal(make_exec(rig->dev, rig->vars, train_graph(rig->ctx), NULL, &x), 0);
	tram_exec_destroy(&x);
	assert_int_equal(rig->dev->memory_now, before);
}

/* --- when things go away -------------------------------------------------------------------- */

/* Everything an exec does, once. */
static int whole_life(struct rig *rig)
{
	struct tram_pin *pin = NULL;
	struct tram_exec *eval = NULL;
	int r = rig->x ? 0 : -ENOMEM;

	for (uint32_t s = 0; s < 3 && !r; s++) {
		fill(rig->x, 0, s);
		fill(rig->x, 1, s + 1);
		r = tram_exec_submit(rig->x, 0);
		if (!r)
			r = tram_exec_submit(rig->x, 1);
		for (uint32_t i = 0; i < 2; i++) {
			if (!r)
				r = tram_exec_wait(rig->x, i);
			if (!r)
				r = tram_exec_gate(rig->x, i, i == 0);
		}
		for (uint32_t i = 0; i < 2 && !r; i++)
			r = tram_exec_finish(rig->x, i);
	}
	if (!r)
		r = tram_exec_calibrate(rig->x);
	if (!r)
		r = tram_vars_pin(rig->vars, both, 2, &pin);
	if (!r)
		r = tram_vars_restore(rig->vars, pin);
	if (!r)
		r = make_exec(rig->dev, rig->vars, eval_graph(rig->ctx), NULL, &eval);
	if (!r)
		r = tram_exec_run(eval);
	rig->life = rig->fake->calls;
	tram_exec_destroy(&eval);
	tram_pin_release(&pin);
	return r;
}

static void a_device_lost_at_any_call_is_an_errno_and_no_hang(void **state)
{
	struct rig *rig = *state;
	uint64_t total, n;

	assert_int_equal(whole_life(rig), 0);
	total = rig->life;
	rig_close(rig);
	for (n = 1; n <= total; n++) {
		struct tram_graph *g = train_graph(rig->ctx);
		int r;

		assert_int_equal(fake_device_create(rig->ctx, g->ops, &rig->fake), 0);
		rig->dev = &rig->fake->base;
		rig->fake->lose_at = n;
		assert_int_equal(tram_vars_create(rig->dev, &rig->vars), 0);
		r = make_exec(rig->dev, rig->vars, g, NULL, &rig->x);
		if (!r)
			r = whole_life(rig);
		if (r != -EIO)
			fail_msg("lost at call %llu of %llu: %d (%s)", (unsigned long long)n,
				 (unsigned long long)total, r, tram_error(rig->ctx));
		assert_non_null(strstr(tram_error(rig->ctx), "lost"));
		if (rig->x) {	/* it sticks */
			assert_int_equal(tram_exec_submit(rig->x, 0), -EIO);
			assert_int_equal(tram_exec_wait(rig->x, 0), -EIO);
			assert_int_equal(tram_exec_gate(rig->x, 0, true), -EIO);
			assert_int_equal(tram_exec_finish(rig->x, 0), -EIO);
		}
		rig_close(rig);
	}
	print_message("%llu calls\n", (unsigned long long)total);
}

static void a_hang_ends_in_a_timeout_that_sticks(void **state)
{
	struct rig *rig = *state;
	uint64_t begin = tram_now_ns();

	fill(rig->x, 0, 0);
	assert_int_equal(tram_exec_run(rig->x), 0);
	rig->fake->hang = true;
	fill(rig->x, 0, 1);
	fill(rig->x, 1, 2);
	assert_int_equal(tram_exec_submit(rig->x, 0), 0);
	assert_int_equal(tram_exec_submit(rig->x, 1), 0);
	assert_int_equal(tram_exec_wait(rig->x, 0), -ETIMEDOUT);
	assert_non_null(strstr(tram_error(rig->ctx), "hangs"));
	assert_int_equal(tram_exec_wait(rig->x, 0), -ETIMEDOUT);
	assert_int_equal(tram_exec_wait(rig->x, 1), -ETIMEDOUT);
	assert_int_equal(tram_exec_gate(rig->x, 0, true), -ETIMEDOUT);
	assert_int_equal(tram_exec_submit(rig->x, 0), -ETIMEDOUT);
	assert_int_equal(tram_vars_version(rig->vars), 1);
	/* Should it wake up after all, every gate is open and nothing is committed. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(tram_exec_step(rig->x, (uint32_t)i)->commit, 0);
	tram_exec_destroy(&rig->x);
	/* Variables are freed with the device here: it still uses them. */
	rig->fake->head = rig->fake->tail;
	assert_true(tram_now_ns() - begin < 60000000000u);
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	struct rig rig = { 0 };
	int r = rig_open(&rig, ctx);

	if (!r)
		r = whole_life(&rig);
	rig_close(&rig);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	print_message("%zu allocations\n", test_heap_each_failure(chain, NULL));
}

int main(void)
{
#define T_(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T_(steps_follow_the_oracle),
		T_(two_slots_give_the_bits_of_one),
		T_(a_closed_gate_leaves_no_trace),
		T_(nothing_is_updated_before_the_gate_opens),
		T_(calls_out_of_turn_are_refused),
		T_(destroying_a_running_exec_does_not_hang),
		T_(evaluation_sees_the_version_that_training_wrote),
		T_(a_cache_written_by_compute_nodes_grows_step_by_step),
		T_(variables_are_checked),
		T_(a_pin_holds_its_version),
		T_(steady_state_allocates_and_creates_nothing),
		T_(the_predicted_peak_is_what_is_allocated),
		T_(a_plan_above_the_budget_allocates_nothing),
		T_(a_device_lost_at_any_call_is_an_errno_and_no_hang),
		T_(a_hang_ends_in_a_timeout_that_sticks),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
