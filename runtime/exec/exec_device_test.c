/* SPDX-License-Identifier: MIT */
/*
 * Exec on real devices (cpu0, vk0): a small transformer trained for a few steps
 * follows the oracle; fusion, storage and slots change no bit; peak and steady state are
 * as promised. A device that can't be opened is skipped with its reason.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include <tram/ops.h>

#include "base/rng.h"
#include "base/test_files.h"
#include "base/test_heap.h"
#include "exec/exec.h"

/* Batch, length, width, heads, vocabulary, shards. */
enum { B = 4, T = 12, C = 32, H = 2, V = 67, S = 2, ROWS = B * T };

struct part { const char *name; struct tram_shape shape; uint64_t at; };

/* Decayed ones first, as the optimizer wants them; starts are multiples of 64. */
static struct part parts[] = {
	{ "wte", { 2, { V, C } }, 0 }, { "wpe", { 2, { T, C } }, 0 },
	{ "qkv", { 2, { 3 * C, C } }, 0 }, { "proj", { 2, { C, C } }, 0 },
	{ "up", { 2, { 4 * C, C } }, 0 }, { "down", { 2, { C, 4 * C } }, 0 },
	{ "ln.g", { 1, { C } }, 0 }, { "ln.b", { 1, { C } }, 0 },
	{ "ln2.g", { 1, { C } }, 0 }, { "ln2.b", { 1, { C } }, 0 },
	{ "up.b", { 1, { 4 * C } }, 0 },
};
#define N_PARTS TRAM_ARRAY_SIZE(parts)
#define DECAYED 6

static uint64_t lay_out(uint64_t *decay)
{
	uint64_t at = 0;

	for (size_t i = 0; i < N_PARTS; i++) {
		if (i == DECAYED)
			*decay = at;
		parts[i].at = at;
		at += TRAM_ALIGN_UP(tram_shape_count(&parts[i].shape), 64);
	}
	return at;
}

static struct tram_graph *gpt(struct tram_ctx *ctx)
{
	struct tram_graph_params gp = { .shards = S };
	tram_value p[N_PARTS], grad[N_PARTS], flat, m, v, tokens, order, targets, x, y, loss, stats;
	struct tram_matmul_params mp = { .transpose_b = true };
	uint64_t offset[N_PARTS], decay = 0, n = lay_out(&decay);
	struct tram_graph *g;

	if (tram_graph_create(ctx, &gp, &g))
		return NULL;
	flat = tram_variable(g, "params", TRAM_SHAPE((uint32_t)n));
	m = tram_variable(g, "m", TRAM_SHAPE((uint32_t)n));
	v = tram_variable(g, "v", TRAM_SHAPE((uint32_t)n));
	for (size_t i = 0; i < N_PARTS; i++) {
		offset[i] = parts[i].at;
		p[i] = tram_view(g, flat, offset[i], parts[i].shape);
	}
	tokens = tram_input(g, "tokens", TRAM_I32, TRAM_SHAPE(B, T));
	order = tram_input(g, "order", TRAM_I32, TRAM_SHAPE(B, T));
	targets = tram_input(g, "targets", TRAM_I32, TRAM_SHAPE(B, T));
	x = tram_add(g, tram_embedding(g, p[0], tokens, order), p[1]);
	x = tram_dropout(g, x, 0.1f, 1);
	y = tram_layernorm(g, x, p[6], p[7], 1e-5f);
	y = tram_attention(g, tram_matmul(g, y, p[2], &mp), H, H);
	mp.has_residual = true;
	mp.residual = x;
	x = tram_matmul(g, y, p[3], &mp);
	y = tram_layernorm(g, x, p[8], p[9], 1e-5f);
	mp = (struct tram_matmul_params){ .transpose_b = true, .has_bias = true, .bias = p[10] };
	y = tram_gelu_tanh(g, tram_matmul(g, y, p[4], &mp));
	mp = (struct tram_matmul_params){ .transpose_b = true };
	x = tram_add(g, x, tram_dropout(g, tram_matmul(g, y, p[5], &mp), 0.1f, 2));
	loss = tram_head_loss(g, x, p[0], targets, 32);
	tram_output(g, "loss", tram_reduce(g, loss, TRAM_REDUCE_SUM, 0, 2));
	tram_gradients(g, loss, p, N_PARTS, grad);
	x = tram_pack(g, grad, offset, N_PARTS, n);
	stats = tram_grad_stats(g, x);
	tram_output(g, "stats", stats);
	tram_graph_begin_update(g);
	tram_adamw(g, flat, m, v, x, stats, &(struct tram_adamw_params){
		.beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f, .clip = 1,
		.decay_count = decay });
	return g;
}

static void first_params(float *w, uint64_t n)
{
	memset(w, 0, n * sizeof(*w));
	for (size_t i = 0; i < N_PARTS; i++)
		for (uint64_t j = 0; j < tram_shape_count(&parts[i].shape); j++)
			w[parts[i].at + j] = strstr(parts[i].name, ".g") ? 1 :
				0.2f * (tram_u32_to_unit(tram_philox((uint32_t)j, (uint32_t)i, 0, 0, 1, 2).v[0]) - 0.5f);
}

/* A batch of step @s, the same for devices and oracle. */
static void fill(int32_t *tokens, int32_t *order, int32_t *targets, struct tram_step *step, uint32_t s)
{
	int32_t valid = 0;

	for (int i = 0; i < ROWS; i++) {
		tokens[i] = (int32_t)(tram_philox((uint32_t)i, s, 3, 3, 1, 2).v[0] % V);
		targets[i] = i % 7 == 3 ? -1 : (tokens[i] * 5 + 1) % V;
		valid += targets[i] >= 0;
	}
	for (int sh = 0; sh < S; sh++)
		for (int32_t t = 0, n = 0; t < V; t++)
			for (int32_t i = 0; i < ROWS / S; i++)
				if (tokens[sh * ROWS / S + i] == t)
					order[sh * ROWS / S + n++] = i;
	step->step = s + 1;
	step->seed[0] = 11;
	step->seed[1] = 12;
	step->lr = 0.01f;
	step->bias_correction1 = (float)(1 - pow(0.9, s + 1));
	step->bias_correction2 = (float)(1 - pow(0.99, s + 1));
	step->inv_targets = 1.0f / (float)valid;
	step->loss_scale = 1;
}

static void fill_slot(struct tram_exec *x, uint32_t slot, uint32_t s)
{
	fill(tram_exec_input(x, slot, "tokens"), tram_exec_input(x, slot, "order"),
	     tram_exec_input(x, slot, "targets"), tram_exec_step(x, slot), s);
}

struct rig {
	struct test_heap heap;
	struct test_dir dir;
	struct tram_ctx *ctx;
	struct tram_device *dev;
	uint64_t n;		/* parameters */
};

static int setup(struct rig *rig, const char *selector)
{
	struct tram_ctx_params params = { .heap = &rig->heap.hooks };
	uint64_t decay;

	test_heap_init(&rig->heap);
	test_dir_make(&rig->dir);
	params.cache_dir = rig->dir.path;
	rig->n = lay_out(&decay);
	assert_int_equal(tram_ctx_create(&params, &rig->ctx), 0);
	if (!tram_device_open(rig->ctx, selector, &rig->dev))
		return 0;
	print_message("%s is not there: %s\n", selector, tram_error(rig->ctx));
	tram_ctx_destroy(&rig->ctx);
	test_dir_remove(&rig->dir);
	return -1;
}

static void finish(struct rig *rig)
{
	tram_device_close(&rig->dev);
	tram_ctx_destroy(&rig->ctx);
	test_dir_remove(&rig->dir);
	assert_int_equal(atomic_load(&rig->heap.live), 0);
}

static struct tram_exec *start(struct rig *rig, struct tram_vars **vars,
			       const struct tram_exec_params *params)
{
	struct tram_graph *g = gpt(rig->ctx);
	float *w = malloc(rig->n * sizeof(*w));
	struct tram_exec *x;

	assert_int_equal(tram_vars_create(rig->dev, vars), 0);
	if (tram_exec_create(rig->dev, *vars, g, params, &x))
		fail_msg("%s", tram_error(rig->ctx));
	first_params(w, rig->n);
	assert_int_equal(tram_vars_write(*vars, "params", 0, rig->n, w), 0);
	tram_graph_destroy(&g);
	free(w);
	return x;
}

#define STEPS 5

/* Parameters and loss after STEPS steps. */
static float *train(struct rig *rig, const struct tram_exec_params *params, float *loss)
{
	float *w = malloc(rig->n * sizeof(*w));
	struct tram_vars *vars;
	struct tram_exec *x = start(rig, &vars, params);

	for (uint32_t s = 0; s < STEPS; s++) {
		fill_slot(x, 0, s);
		if (tram_exec_run(x))
			fail_msg("%s", tram_error(rig->ctx));
		*loss = *(const float *)tram_exec_output(x, 0, "loss");
	}
	assert_int_equal(tram_vars_version(vars), STEPS);
	assert_int_equal(tram_vars_read(vars, "params", 0, rig->n, w), 0);
	tram_exec_destroy(&x);
	tram_vars_destroy(&vars);
	return w;
}

static void training_follows_the_oracle(const char *selector)
{
	struct rig rig;
	int32_t tokens[ROWS], order[ROWS], targets[ROWS];
	double *w, *m, *v, loss, stats[4], worst = 0;
	float *got, got_loss;
	struct tram_graph *g;

	if (setup(&rig, selector))
		skip();
	g = gpt(rig.ctx);
	got = train(&rig, NULL, &got_loss);
	w = calloc(rig.n, sizeof(*w));
	m = calloc(rig.n, sizeof(*m));
	v = calloc(rig.n, sizeof(*v));
	{
		float *first = malloc(rig.n * sizeof(*first));
		const struct tram_binding b[] = {
			{ "tokens", tokens }, { "order", order }, { "targets", targets },
			{ "params", w }, { "m", m }, { "v", v }, { "loss", &loss }, { "stats", stats },
		};

		first_params(first, rig.n);
		for (uint64_t i = 0; i < rig.n; i++)
			w[i] = (double)first[i];
		for (uint32_t s = 0; s < STEPS; s++) {
			struct tram_step step = { .commit = 1 };

			fill(tokens, order, targets, &step, s);
			assert_int_equal(tram_oracle_run(g, b, TRAM_ARRAY_SIZE(b), &step), 0);
		}
		free(first);
	}
	for (uint64_t i = 0; i < rig.n; i++)
		worst = fmax(worst, fabs(w[i] - (double)got[i]));
	print_message("%s: loss %.6f, oracle %.6f; parameters differ by at most %.2g\n", selector,
		      (double)got_loss, loss, worst);
	assert_true(fabs(loss - (double)got_loss) < 2e-5 * loss);
	/* Adam's first steps turn tiny gradients into steps of lr, whatever their error. */
	assert_true(worst < 2e-3);
	free(w);
	free(m);
	free(v);
	free(got);
	tram_graph_destroy(&g);
	finish(&rig);
}

static void fusion_and_storage_change_no_bit(const char *selector)
{
	static const struct tram_exec_params variants[] = {
		{ .no_fusion = true }, { .no_reuse = true },
		{ .no_fusion = true, .no_reuse = true }, { .slots = 1 },
	};
	float *first, *w, loss[2];
	struct rig rig;

	if (setup(&rig, selector))
		skip();
	first = train(&rig, NULL, &loss[0]);
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(variants); i++) {
		w = train(&rig, &variants[i], &loss[1]);
		assert_memory_equal(first, w, rig.n * sizeof(*w));
		assert_true(loss[0] == loss[1]);
		free(w);
	}
	free(first);
	finish(&rig);
}

static void the_gate_slots_and_pins_work(const char *selector)
{
	const char *const names[] = { "params", "m", "v" };
	float *plain, *w, loss;
	struct tram_vars *vars;
	struct tram_pin *pin;
	struct tram_exec *x;
	struct rig rig;

	if (setup(&rig, selector))
		skip();
	plain = train(&rig, NULL, &loss);
	w = malloc(rig.n * sizeof(*w));
	x = start(&rig, &vars, NULL);
	/* Steps are submitted before the one ahead is decided; one is refused and done again. */
	fill_slot(x, 0, 0);
	assert_int_equal(tram_exec_submit(x, 0), 0);
	for (uint32_t s = 0; s < STEPS; s++) {
		uint32_t slot = s % 2;

		if (s + 1 < STEPS) {
			fill_slot(x, !slot, s + 1);
			assert_int_equal(tram_exec_submit(x, !slot), 0);
		}
		assert_int_equal(tram_exec_wait(x, slot), 0);
		assert_int_equal(tram_exec_gate(x, slot, true), 0);
		assert_int_equal(tram_exec_finish(x, slot), 0);
	}
	assert_int_equal(tram_vars_read(vars, "params", 0, rig.n, w), 0);
	assert_memory_equal(plain, w, rig.n * sizeof(*w));
	assert_int_equal(tram_vars_pin(vars, names, 3, &pin), 0);
	fill_slot(x, 0, STEPS);
	assert_int_equal(tram_exec_submit(x, 0), 0);
	assert_int_equal(tram_exec_wait(x, 0), 0);
	assert_int_equal(tram_exec_gate(x, 0, false), 0);
	assert_int_equal(tram_exec_finish(x, 0), 0);
	assert_int_equal(tram_vars_read(vars, "params", 0, rig.n, w), 0);
	assert_memory_equal(plain, w, rig.n * sizeof(*w));
	assert_int_equal(tram_exec_run(x), 0);
	assert_int_equal(tram_vars_read(vars, "params", 0, rig.n, w), 0);
	assert_memory_not_equal(plain, w, rig.n * sizeof(*w));
	assert_int_equal(tram_vars_restore(vars, pin), 0);
	assert_int_equal(tram_vars_version(vars), STEPS);
	assert_int_equal(tram_vars_read(vars, "params", 0, rig.n, w), 0);
	assert_memory_equal(plain, w, rig.n * sizeof(*w));
	tram_pin_release(&pin);
	tram_exec_destroy(&x);
	tram_vars_destroy(&vars);
	free(plain);
	free(w);
	finish(&rig);
}

static void memory_and_time_are_as_predicted(const char *selector)
{
	struct tram_prediction p;
	uint64_t before, now, peak, first_peak, begin, step_ns = UINT64_MAX;
	struct tram_vars *vars;
	struct tram_exec *x;
	size_t heap_calls;
	char path[512];
	struct rig rig;

	if (setup(&rig, selector))
		skip();
	tram_device_memory(rig.dev, &before, &first_peak);
	x = start(&rig, &vars, NULL);
	tram_device_memory(rig.dev, &now, &peak);
	tram_exec_predict(x, &p);
	print_message("%s: %llu bytes predicted, %llu counted; arena %llu, bound %llu; %u calls\n", selector,
		      (unsigned long long)p.peak_bytes, (unsigned long long)(now - before),
		      (unsigned long long)x->plan->arena_bytes,
		      (unsigned long long)x->plan->arena_bound, p.calls);
	assert_int_equal(p.peak_bytes, now - before);
	fill_slot(x, 0, 0);
	assert_int_equal(tram_exec_calibrate(x), 0);
	tram_exec_predict(x, &p);
	assert_int_equal(p.unmeasured, 0);
	tram_device_memory(rig.dev, &now, &peak);
	assert_true(peak <= before + p.peak_bytes || peak == first_peak);
	assert_int_equal(tram_exec_run(x), 0);
	heap_calls = atomic_load(&rig.heap.calls);
	for (uint32_t s = 0; s < 10; s++) {
		fill_slot(x, s % 2, s);
		begin = tram_now_ns();
		assert_int_equal(tram_exec_submit(x, s % 2), 0);
		assert_int_equal(tram_exec_wait(x, s % 2), 0);
		assert_int_equal(tram_exec_gate(x, s % 2, true), 0);
		assert_int_equal(tram_exec_finish(x, s % 2), 0);
		step_ns = TRAM_MIN(step_ns, tram_now_ns() - begin);
	}
	assert_int_equal(atomic_load(&rig.heap.calls), heap_calls);
	print_message("%s: step predicted %.3f ms, measured %.3f ms\n", selector, 1e3 * p.step_s,
		      1e-6 * (double)step_ns);
	snprintf(path, sizeof(path), "%s/trace.json", rig.dir.path);
	assert_int_equal(tram_exec_trace(x, path), 0);
	tram_exec_destroy(&x);
	tram_vars_destroy(&vars);
	tram_device_memory(rig.dev, &now, &peak);
	assert_int_equal(now, before);
	finish(&rig);
}

/* @shards shards of 15 elements, odd on purpose, of which @first stand elsewhere. */
static void drop(struct rig *rig, uint32_t shards, uint32_t first, float *out)
{
	const struct tram_graph_params gp = { .shards = shards };
	struct tram_vars *vars;
	struct tram_graph *g;
	struct tram_exec *x;
	tram_value in;

	assert_int_equal(tram_graph_create(rig->ctx, &gp, &g), 0);
	in = tram_input(g, "x", TRAM_F32, TRAM_SHAPE(shards, 15));
	assert_int_equal(tram_output(g, "y", tram_dropout(g, in, 0.5f, 3)), 0);
	assert_int_equal(tram_vars_create(rig->dev, &vars), 0);
	assert_int_equal(tram_exec_create(rig->dev, vars, g, NULL, &x), 0);
	for (uint32_t i = 0; i < shards * 15; i++)
		((float *)tram_exec_input(x, 0, "x"))[i] = 1;
	*tram_exec_step(x, 0) = (struct tram_step){ .step = 1, .seed = { 7, 8 }, .shard0 = first };
	assert_int_equal(tram_exec_run(x), 0);
	memcpy(out, tram_exec_output(x, 0, "y"), shards * 15 * sizeof(*out));
	tram_exec_destroy(&x);
	tram_vars_destroy(&vars);
	tram_graph_destroy(&g);
}

static void dropout_of_a_shard_is_that_of_the_whole(const char *selector)
{
	float all[60], part[30];
	struct rig rig;

	if (setup(&rig, selector))
		skip();
	drop(&rig, 4, 0, all);
	for (uint32_t first = 0; first <= 2; first++) {
		drop(&rig, 2, first, part);
		assert_memory_equal(all + 15 * first, part, sizeof(part));
	}
	finish(&rig);
}

#define ON(dev) \
static void dev##_training_follows_the_oracle(void **state) { training_follows_the_oracle(#dev); } \
static void dev##_fusion_and_storage_change_no_bit(void **state) { fusion_and_storage_change_no_bit(#dev); } \
static void dev##_the_gate_slots_and_pins_work(void **state) { the_gate_slots_and_pins_work(#dev); } \
static void dev##_memory_and_time_are_as_predicted(void **state) { memory_and_time_are_as_predicted(#dev); } \
static void dev##_dropout_of_a_shard(void **state) { dropout_of_a_shard_is_that_of_the_whole(#dev); }

ON(cpu0)
ON(vk0)

int main(void)
{
#define TESTS(dev) \
	cmocka_unit_test(dev##_training_follows_the_oracle), \
	cmocka_unit_test(dev##_fusion_and_storage_change_no_bit), \
	cmocka_unit_test(dev##_the_gate_slots_and_pins_work), \
	cmocka_unit_test(dev##_memory_and_time_are_as_predicted), \
	cmocka_unit_test(dev##_dropout_of_a_shard)
	const struct CMUnitTest tests[] = { TESTS(cpu0), TESTS(vk0) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
