/* SPDX-License-Identifier: MIT */
/*
 * The planner as a whole, on made-up machines: what is fused, what shares
 * storage, where barriers stand, what a plan costs. That a plan computes what the
 * graph says is shown by running it (schedule_test.c).
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include <tram/ops.h>

#include "base/test_heap.h"
#include "plan/rewrite.h"

static const struct tram_machine_device machine = {
	.budget = UINT64_C(1) << 30, .granule = 256, .pad = 256,
	.launch_s = 1e-5, .flops_per_s = 1e9, .bytes_per_s = 1e9,
};

static int setup(void **state)
{
	struct tram_ctx *ctx;

	if (tram_ctx_create(&(struct tram_ctx_params){ .cache_dir = "/dev/null/nowhere" }, &ctx))
		return -1;
	*state = ctx;
	return 0;
}

static int teardown(void **state)
{
	struct tram_ctx *ctx = *state;

	tram_ctx_destroy(&ctx);
	return 0;
}

static struct tram_graph *new_graph(void **state)
{
	struct tram_graph *g;

	assert_int_equal(tram_graph_create(*state, NULL, &g), 0);
	return g;
}

/* Plans and lets go of @g. */
static struct tram_plan *plan_with(struct tram_graph *g, struct tram_plan_params pp)
{
	struct tram_plan *plan;
	int r;

	pp.machine = pp.machine ? pp.machine : &machine;
	r = tram_plan_create(g, &pp, &plan);
	if (r)
		fail_msg("plan: %d: %s", r, tram_error(g->ctx));
	tram_graph_destroy(&g);
	return plan;
}

static struct tram_plan *plan_of(struct tram_graph *g)
{
	return plan_with(g, (struct tram_plan_params){ .slots = 1 });
}

static size_t count_calls(const struct tram_plan *plan, enum tram_op op)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->graph->nodes.n; i++)
		n += !plan->elided[i] && (op == TRAM_OP_NONE || plan->graph->nodes.v[i].op == op);
	return n;
}

static const struct tram_node *only_node(const struct tram_plan *plan, enum tram_op op)
{
	const struct tram_node *found = NULL;

	assert_int_equal(count_calls(plan, op), 1);
	for (size_t i = 0; i < plan->graph->nodes.n; i++)
		if (plan->graph->nodes.v[i].op == op)
			found = &plan->graph->nodes.v[i];
	return found;
}

static struct tram_placement place_of_output(const struct tram_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->graph->outputs.n; i++)
		if (!strcmp(plan->graph->outputs.v[i].name, name))
			return plan->place[plan->graph->outputs.v[i].value];
	fail_msg("no output %s", name);
	return (struct tram_placement){ 0 };
}

static tram_value input(struct tram_graph *g, const char *name, uint32_t n, uint32_t c)
{
	return tram_input(g, name, TRAM_F32, TRAM_SHAPE(n, c));
}

/* --- fusion ------------------------------------------------------------------ */

#define R(i) ((uint8_t)(i))			/* an operand's register */
#define T(i) ((uint8_t)(TRAM_EW_MAX_IN + (i)))	/* an instruction's */

static void check_program(const struct tram_ew_program *p, uint32_t n_in, uint32_t n_code,
			  const struct tram_ew_insn *code)
{
	assert_int_equal(p->n_in, n_in);
	assert_int_equal(p->n_code, n_code);
	for (uint32_t i = 0; i < n_code; i++) {
		assert_int_equal(p->code[i].code, code[i].code);
		assert_int_equal(p->code[i].a, code[i].a);
		assert_int_equal(p->code[i].b, code[i].b);
		assert_true(p->code[i].imm == code[i].imm);
		assert_int_equal(p->code[i].salt, code[i].salt);
	}
}

static void a_chain_becomes_one_program(void **state)
{
	static const struct tram_ew_insn want[] = {
		{ .code = TRAM_EW_MUL, .a = R(0), .b = R(1) },
		{ .code = TRAM_EW_ADD, .a = T(0), .b = R(2) },
		{ .code = TRAM_EW_GELU_TANH, .a = T(1) },
		{ .code = TRAM_EW_DROPOUT, .a = T(2), .imm = 0.25f, .salt = 9 },
	};
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 6, 8), w = tram_variable(g, "w", TRAM_SHAPE(8));
	tram_value b = tram_variable(g, "b", TRAM_SHAPE(8));
	struct tram_plan *plan;

	x = tram_gelu_tanh(g, tram_add(g, tram_mul(g, x, w), b));
	tram_output(g, "y", tram_dropout(g, x, 0.25f, 9));
	plan = plan_of(g);
	check_program(&only_node(plan, TRAM_OP_EW)->attr.ew, 3, 4, want);
	assert_int_equal(plan->arena_bytes, 0);	/* nothing in between is in memory */
	tram_plan_destroy(&plan);
}

static void a_tree_shares_equal_operands(void **state)
{
	/* (x * y) + (y - x): the right side was built later and is merged later. */
	static const struct tram_ew_insn want[] = {
		{ .code = TRAM_EW_SUB, .a = R(0), .b = R(1) },
		{ .code = TRAM_EW_MUL, .a = R(1), .b = R(0) },
		{ .code = TRAM_EW_ADD, .a = T(1), .b = T(0) },
	};
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 5, 3), y = input(g, "y", 5, 3);
	struct tram_plan *plan;

	tram_output(g, "z", tram_add(g, tram_mul(g, x, y), tram_sub(g, y, x)));
	plan = plan_of(g);
	check_program(&only_node(plan, TRAM_OP_EW)->attr.ew, 2, 3, want);
	tram_plan_destroy(&plan);
}

static void a_square_reads_its_operand_once(void **state)
{
	static const struct tram_ew_insn want[] = {
		{ .code = TRAM_EW_NEG, .a = R(0) },
		{ .code = TRAM_EW_MUL, .a = T(0), .b = T(0) },
	};
	struct tram_graph *g = new_graph(state);
	tram_value x = tram_neg(g, input(g, "x", 5, 3));
	struct tram_plan *plan;

	tram_output(g, "z", tram_mul(g, x, x));
	plan = plan_of(g);
	check_program(&only_node(plan, TRAM_OP_EW)->attr.ew, 1, 2, want);
	tram_plan_destroy(&plan);
}

static void programs_respect_their_limits(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 4, 4), sum;
	struct tram_plan *plan;
	char name[8];

	for (int i = 0; i < 30; i++)
		x = i % 2 ? tram_neg(g, x) : tram_exp(g, x);
	tram_output(g, "y", x);
	plan = plan_of(g);
	assert_int_equal(count_calls(plan, TRAM_OP_EW), 3);	/* 12 + 12 + 6 */
	tram_plan_destroy(&plan);

	g = new_graph(state);
	sum = input(g, "s", 4, 4);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		sum = tram_add(g, sum, input(g, name, 4, 4));
	}
	tram_output(g, "y", sum);
	plan = plan_of(g);
	assert_int_equal(count_calls(plan, TRAM_OP_EW), 2);	/* 6 operands, then 5 more */
	tram_plan_destroy(&plan);
}

static void what_others_read_is_not_fused_away(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 4, 6), a, b, c;
	struct tram_plan *plan;

	a = tram_exp(g, x);				/* two readers */
	b = tram_neg(g, x);				/* also an output */
	c = tram_relu(g, x);				/* read through a view */
	tram_output(g, "a1", tram_add(g, a, x));
	tram_output(g, "a2", tram_sub(g, a, x));
	tram_output(g, "b", b);
	tram_output(g, "b1", tram_scale(g, b, 2));
	tram_output(g, "c1", tram_scale(g, tram_reshape(g, c, TRAM_SHAPE(6, 4)), 3));
	/* A smaller result that is broadcast: another index space. */
	tram_output(g, "d", tram_add(g, x, tram_exp(g, tram_input(g, "r", TRAM_F32, TRAM_SHAPE(6)))));
	plan = plan_of(g);
	assert_int_equal(count_calls(plan, TRAM_OP_EW), 9);
	tram_plan_destroy(&plan);
}

static void no_fusion_leaves_the_graph_as_built(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 4, 6);
	struct tram_plan *plan;

	tram_output(g, "y", tram_exp(g, tram_neg(g, tram_relu(g, x))));
	plan = plan_with(g, (struct tram_plan_params){ .no_fusion = true });
	assert_int_equal(count_calls(plan, TRAM_OP_EW), 3);
	tram_plan_destroy(&plan);
}

static void what_nothing_needs_is_dropped(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 4, 6);
	struct tram_plan *plan;

	tram_softmax(g, tram_exp(g, x));
	tram_input(g, "unused", TRAM_I32, TRAM_SHAPE(3));
	tram_output(g, "y", tram_neg(g, x));
	plan = plan_of(g);
	assert_int_equal(count_calls(plan, TRAM_OP_NONE), 1);
	assert_int_equal(plan->input_bytes, 512);	/* a field nobody reads may still be filled */
	tram_plan_destroy(&plan);
}

/* --- storage ------------------------------------------------------------------- */

static void parts_are_made_inside_their_whole(void **state)
{
	static const uint64_t offset[] = { 0, 64, 192, 256 };
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 8, 16), in[4], all;
	struct tram_placement whole, part;
	struct tram_plan *plan;

	in[0] = tram_reduce(g, x, TRAM_REDUCE_SUM, 0, 1);		/* [16], then a gap of 48 */
	in[1] = tram_softmax(g, x);					/* [128] */
	in[2] = tram_reshape(g, tram_reduce(g, x, TRAM_REDUCE_MAX, 1, 1), TRAM_SHAPE(4, 2));
	in[3] = tram_variable(g, "v", TRAM_SHAPE(64));			/* can't be: copied */
	all = tram_pack(g, in, offset, 4, 320);
	tram_output(g, "stats", tram_grad_stats(g, all));
	plan = plan_of(g);
	assert_int_equal(count_calls(plan, TRAM_OP_PACK), 0);
	assert_int_equal(count_calls(plan, TRAM_OP_COPY), 1);
	whole = plan->place[only_node(plan, TRAM_OP_STATS_PARTIAL)->in[0]];
	part = plan->place[only_node(plan, TRAM_OP_SOFTMAX)->out[0]];
	assert_int_equal(part.region, TRAM_REGION_ARENA);
	assert_int_equal(part.offset, whole.offset + 64 * 4);
	part = plan->place[only_node(plan, TRAM_OP_COPY)->out[0]];
	assert_int_equal(part.offset, whole.offset + 256 * 4);
	tram_plan_destroy(&plan);
}

static void outermost_concat_costs_nothing(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 8, 16), in[3];
	struct tram_plan *plan;

	in[0] = tram_softmax(g, x);
	in[1] = tram_exp(g, x);
	in[2] = in[0];			/* one value can't be in two places */
	x = tram_concat(g, in, 3, 0);
	tram_output(g, "y", tram_reduce(g, x, TRAM_REDUCE_SUM, 0, 1));
	plan = plan_of(g);
	assert_int_equal(count_calls(plan, TRAM_OP_CONCAT), 0);
	assert_int_equal(count_calls(plan, TRAM_OP_COPY), 1);
	assert_int_equal(plan->arena_bytes, 3 * 512);
	tram_plan_destroy(&plan);

	g = new_graph(state);
	x = input(g, "x", 8, 16);
	in[0] = tram_softmax(g, x);
	in[1] = tram_exp(g, x);
	tram_output(g, "y", tram_concat(g, in, 2, 1));	/* rows alternate: bytes must move */
	plan = plan_of(g);
	assert_int_equal(count_calls(plan, TRAM_OP_CONCAT), 1);
	tram_plan_destroy(&plan);
}

static void a_result_takes_over_what_dies(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 64, 64), y = x;
	const uint32_t perm[] = { 1, 0 };
	struct tram_plan *plan;

	y = tram_transpose(g, x, perm);
	for (int i = 0; i < 5; i++)
		y = tram_softmax(g, y);
	tram_output(g, "y", tram_reduce(g, y, TRAM_REDUCE_SUM, 0, 1));
	plan = plan_of(g);
	assert_int_equal(plan->arena_bytes, 64 * 64 * 4);
	tram_plan_destroy(&plan);

	g = new_graph(state);
	x = input(g, "x", 64, 64);
	y = tram_transpose(g, x, perm);
	y = tram_sub(g, tram_softmax(g, y), y);	/* y lives on: two at a time */
	tram_output(g, "y", tram_reduce(g, y, TRAM_REDUCE_SUM, 0, 1));
	plan = plan_of(g);
	assert_int_equal(plan->arena_bytes, 2 * 64 * 64 * 4);
	tram_plan_destroy(&plan);
}

static void outputs_are_made_in_host_memory(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 64, 64), v = tram_variable(g, "v", TRAM_SHAPE(8)), y, z;
	struct tram_plan *plan;

	y = tram_softmax(g, x);		/* large, and read again: copied out */
	z = tram_softmax(g, y);		/* for the host alone: made there */
	tram_output(g, "y", y);
	tram_output(g, "z", z);
	tram_output(g, "flat", tram_reshape(g, z, TRAM_SHAPE(64 * 64)));
	tram_output(g, "x again", x);
	tram_output(g, "v now", v);
	plan = plan_of(g);
	assert_int_equal(count_calls(plan, TRAM_OP_COPY), 3);
	for (size_t i = 0; i < plan->graph->outputs.n; i++)
		assert_int_equal(place_of_output(plan, plan->graph->outputs.v[i].name).region,
				 TRAM_REGION_OUTPUT);
	assert_int_equal(place_of_output(plan, "flat").offset, place_of_output(plan, "z").offset);
	assert_int_equal(plan->output_bytes, 3 * 64 * 64 * 4 + 256);
	tram_plan_destroy(&plan);
}

static struct tram_graph *sgd_graph(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value w = tram_variable(g, "w", TRAM_SHAPE(64)), m = tram_variable(g, "m", TRAM_SHAPE(64));
	tram_value x = input(g, "x", 8, 64), grad, stats;

	grad = tram_reduce(g, tram_mul(g, x, w), TRAM_REDUCE_SUM, 0, 1);
	stats = tram_grad_stats(g, grad);
	tram_output(g, "-w", tram_neg(g, w));
	tram_output(g, "stats", stats);
	tram_graph_begin_update(g);
	tram_sgd(g, w, m, grad, stats, &(struct tram_sgd_params){ .momentum = 0.9f });
	return g;
}

static void an_update_is_in_its_variables_storage(void **state)
{
	struct tram_plan *plan = plan_of(sgd_graph(state));
	const struct tram_node *sgd = only_node(plan, TRAM_OP_SGD);

	assert_int_equal(plan->n_vars, 2);
	assert_int_equal(plan->n_compute, plan->graph->nodes.n - 1);
	for (uint32_t k = 0; k < 2; k++) {
		assert_int_equal(plan->place[sgd->out[k]].region, TRAM_REGION_VAR);
		assert_int_equal(plan->place[sgd->out[k]].index, plan->place[sgd->in[k]].index);
	}
	assert_false(plan->barrier[plan->graph->nodes.n - 1]);	/* a program begins behind a barrier */
	tram_plan_destroy(&plan);
}

static void reading_an_overwritten_version_is_refused(void **state)
{
	struct tram_graph *g = sgd_graph(state);
	struct tram_node last = g->nodes.v[g->nodes.n - 1];
	int32_t *until;

	/* The builders don't let this happen: put the update first. */
	memmove(&g->nodes.v[1], &g->nodes.v[0], (g->nodes.n - 1) * sizeof(last));
	g->nodes.v[0] = last;
	for (size_t i = 0; i < g->nodes.n; i++)
		for (uint32_t k = 0; k < g->nodes.v[i].n_out; k++)
			g->values.v[g->nodes.v[i].out[k]].node = (int32_t)i;
	until = calloc(g->values.n, sizeof(*until));
	assert_int_equal(tram_plan_versions(g, until), -EINVAL);
	assert_non_null(strstr(tram_error(*state), "'w'"));
	free(until);
	tram_graph_destroy(&g);
}

/* --- cost -------------------------------------------------------------------------- */

static uint64_t program_bytes(const struct tram_machine_device *m, size_t calls)
{
	return 1000 * calls;
}

static uint64_t scratch(const struct tram_machine_device *m, const struct tram_signature *sig)
{
	return sig->op == TRAM_OP_SGD ? 4000 : 0;
}

static void bytes_are_counted_one_by_one(void **state)
{
	struct tram_machine_device m = machine;
	struct tram_prediction *p;
	struct tram_plan *plan;
	uint64_t io;

	m.granule = 4096;
	m.pad = 100;
	m.program_bytes = program_bytes;
	m.scratch = scratch;
	plan = plan_with(sgd_graph(state), (struct tram_plan_params){ .machine = &m, .slots = 2 });
	p = &plan->prediction;
	io = 4096 + 4096 + 4096;	/* input, outputs, step block */
	assert_int_equal(p->io_bytes, 2 * io);
	assert_int_equal(p->variable_bytes, 2 * 4096);
	assert_true(plan->arena_bytes >= 8 * 64 * 4);
	assert_true(plan->arena_bytes >= 4000);
	assert_int_equal(p->arena_bytes, TRAM_ALIGN_UP(plan->arena_bytes + 100, 4096));
	assert_int_equal(p->calls, 6);
	assert_int_equal(p->unmeasured, 6);
	assert_int_equal(p->peak_bytes, p->arena_bytes + p->variable_bytes + p->io_bytes +
			 2 * (5 * 1000 + 1000));
	tram_plan_destroy(&plan);
}

static void measured_rates_come_before_coarse_ones(void **state)
{
	struct tram_plan *plan = plan_of(sgd_graph(state));
	struct tram_machine_device m = machine;
	struct tram_signature sig;
	struct tram_rate rates[2];
	double before = plan->prediction.step_s;

	tram_plan_signature(plan->graph, only_node(plan, TRAM_OP_SGD), plan->shapes,
			    plan->shapes + 4, &sig);
	rates[0] = (struct tram_rate){ tram_signature_hash(&sig), 5.0 };
	m.rates = rates;
	m.n_rates = 1;
	tram_plan_predict(plan, &m);
	assert_true(plan->prediction.step_s > before + 4.9 && plan->prediction.step_s < before + 5.0);
	assert_int_equal(plan->prediction.unmeasured, plan->prediction.calls - 1);
	/* What lies between calls is added to each measured one. */
	rates[rates[0].hash < TRAM_RATE_CALL_GAP] =
		(struct tram_rate){ TRAM_RATE_CALL_GAP, 2.0 };
	if (rates[0].hash == TRAM_RATE_CALL_GAP)
		rates[1] = (struct tram_rate){ tram_signature_hash(&sig), 5.0 };
	m.n_rates = 2;
	tram_plan_predict(plan, &m);
	assert_true(plan->prediction.step_s > before + 6.9 && plan->prediction.step_s < before + 7.0);
	tram_plan_destroy(&plan);
}

static void a_plan_above_the_budget_names_the_largest_tensor(void **state)
{
	struct tram_plan_params pp = { .machine = &machine, .budget = UINT64_C(40) << 20 };
	struct tram_graph *g = new_graph(state);
	tram_value x = tram_input(g, "tokens", TRAM_F32, TRAM_SHAPE(1024, 64));
	tram_value w = tram_variable(g, "head", TRAM_SHAPE(16384, 64));
	struct tram_plan *plan;

	x = tram_matmul(g, x, w, &(struct tram_matmul_params){ .transpose_b = true });
	tram_output(g, "loss", tram_reduce(g, x, TRAM_REDUCE_SUM, 0, 2));
	assert_int_equal(tram_plan_create(g, &pp, &plan), -ENOSPC);
	assert_null(plan);
	assert_non_null(strstr(tram_error(*state), "limit 40.0 MiB"));
	assert_non_null(strstr(tram_error(*state), "matmul [1024, 16384] (64.0 MiB): reduce --batch"));
	pp.budget = UINT64_C(80) << 20;
	assert_int_equal(tram_plan_create(g, &pp, &plan), 0);
	assert_string_equal(plan->prediction.largest, "matmul [1024, 16384] 64.0 MiB");
	tram_plan_destroy(&plan);
	pp.budget = UINT64_C(1) << 20;
	assert_int_equal(tram_plan_create(g, &pp, &plan), -ENOSPC);
	assert_non_null(strstr(tram_error(*state), "variables alone are 4.0 MiB: choose a smaller model"));
	tram_graph_destroy(&g);
}

static void no_reuse_gives_every_value_its_own_bytes(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 64, 64);
	struct tram_plan *plan;

	for (int i = 0; i < 6; i++)
		x = tram_softmax(g, x);
	tram_output(g, "y", tram_reduce(g, x, TRAM_REDUCE_SUM, 0, 1));
	plan = plan_with(g, (struct tram_plan_params){ .no_reuse = true });
	assert_int_equal(plan->arena_bytes, 6 * 64 * 64 * 4);
	tram_plan_destroy(&plan);
}

static void an_incomplete_graph_is_refused(void **state)
{
	struct tram_plan_params pp = { .machine = &machine };
	struct tram_graph *g = new_graph(state);
	struct tram_plan *plan;

	tram_add(g, input(g, "x", 3, 4), input(g, "y", 5, 4));
	assert_int_equal(tram_plan_create(g, &pp, &plan), -EINVAL);
	assert_null(plan);
	tram_graph_destroy(&g);
}

static void a_hundred_thousand_nodes_are_planned_in_a_second(void **state)
{
	struct tram_graph *g = new_graph(state);
	tram_value x = input(g, "x", 8, 64), w, keep[64], y;
	uint64_t begin;
	struct tram_plan *plan;

	for (int i = 0; i < 25000; i++) {
		/* Not through the builders of views, which look for an equal one. */
		w = tram_softmax(g, x);
		y = tram_exp(g, tram_neg(g, w));
		keep[i % 64] = y;
		x = tram_add(g, y, i < 64 ? x : keep[(i + 1) % 64]);
	}
	tram_output(g, "y", x);
	assert_int_equal(tram_graph_status(g), 0);
	begin = tram_now_ns();
	plan = plan_of(g);
	print_message("100,000 nodes: %.0f ms\n", (double)(tram_now_ns() - begin) * 1e-6);
	assert_true(tram_now_ns() - begin < 5000000000u);	/* a quadratic pass takes minutes */
	tram_plan_destroy(&plan);
}

static int plan_chain(struct tram_ctx *ctx, void *arg)
{
	static const uint64_t offset[] = { 0, 128 };
	struct tram_plan_params pp = { .machine = &machine };
	struct tram_plan *plan;
	struct tram_graph *g;
	tram_value x, in[2], w, m, stats, flat;
	int r = tram_graph_create(ctx, NULL, &g);

	if (r)
		return r;
	w = tram_variable(g, "w", TRAM_SHAPE(192));
	m = tram_variable(g, "m", TRAM_SHAPE(192));
	x = tram_input(g, "x", TRAM_F32, TRAM_SHAPE(2, 64));
	in[0] = tram_softmax(g, tram_exp(g, x));
	in[1] = tram_view(g, w, 0, TRAM_SHAPE(64));
	flat = tram_pack(g, in, offset, 2, 192);
	stats = tram_grad_stats(g, flat);
	tram_output(g, "stats", stats);
	tram_output(g, "w before", w);
	tram_graph_begin_update(g);
	tram_sgd(g, w, m, flat, stats, &(struct tram_sgd_params){ .momentum = 0.5f });
	r = tram_graph_status(g);
	if (!r)
		r = tram_plan_create(g, &pp, &plan);
	if (!r)
		tram_plan_destroy(&plan);
	tram_graph_destroy(&g);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	print_message("%zu allocations\n", test_heap_each_failure(plan_chain, NULL));
}

int main(void)
{
#define T_(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T_(a_chain_becomes_one_program),
		T_(a_tree_shares_equal_operands),
		T_(a_square_reads_its_operand_once),
		T_(programs_respect_their_limits),
		T_(what_others_read_is_not_fused_away),
		T_(no_fusion_leaves_the_graph_as_built),
		T_(what_nothing_needs_is_dropped),
		T_(parts_are_made_inside_their_whole),
		T_(outermost_concat_costs_nothing),
		T_(a_result_takes_over_what_dies),
		T_(outputs_are_made_in_host_memory),
		T_(an_update_is_in_its_variables_storage),
		T_(reading_an_overwritten_version_is_refused),
		T_(bytes_are_counted_one_by_one),
		T_(measured_rates_come_before_coarse_ones),
		T_(a_plan_above_the_budget_names_the_largest_tensor),
		T_(no_reuse_gives_every_value_its_own_bytes),
		T_(an_incomplete_graph_is_refused),
		T_(a_hundred_thousand_nodes_are_planned_in_a_second),
		T_(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
