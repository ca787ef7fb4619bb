/* SPDX-License-Identifier: MIT */
/*
 * A plan computes what its graph says: random graphs are run twice, once value by value with storage of their own, once
 * as planned, byte for byte in the planned places, and must agree to the bit. Between
 * barriers the planned calls run in random order, so a missing barrier or a place
 * shared too early shows. All values are small integers, exact in f32, so that fusion changes no bit of them either;
 * ops that round are replaced by integer hashes of the same shape.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include <tram/ops.h>

#include "base/rng.h"
#include "ops/ops.h"
#include "plan/rewrite.h"
#include "plan/test_call.h"

/* --- ops that keep to small integers -------------------------------------------- */

static double mix(const struct tram_oracle_tensor *t, uint64_t i, double k)
{
	uint64_t n = tram_shape_count(&t->shape);
	double x = t->f[i % n] * k + t->f[(i + 1) % n] * 3 + (double)(i % 5);

	x -= 31 * (double)(int64_t)(x / 31);
	return x;
}

static int hash_rows(const struct tram_oracle_tensor *in, uint32_t n_in,
		     struct tram_oracle_tensor *out, uint32_t n_out, const union tram_attr *attr,
		     const struct tram_step *step)
{
	for (uint32_t k = 0; k < n_out; k++)
		for (uint64_t i = 0; i < tram_shape_count(&out[k].shape); i++) {
			out[k].f[i] = k;
			for (uint32_t j = 0; j < n_in; j++)
				out[k].f[i] += mix(&in[j], i, 5 + j);
		}
	return 0;
}

static const struct tram_op_row *table(void)
{
	static struct tram_op_row rows[TRAM_OP_COUNT];

	memcpy(rows, tram_op_table, sizeof(rows));
	rows[TRAM_OP_SOFTMAX].oracle = hash_rows;
	rows[TRAM_OP_LAYERNORM].oracle = hash_rows;
	rows[TRAM_OP_SGD].oracle = hash_rows;
	return rows;
}

/* --- random graphs ------------------------------------------------------------------ */

struct maker {
	struct tram_graph *g;
	uint32_t seed, at;
	struct { tram_value v; double most; } pool[400];
	uint32_t n;
	tram_value k_cache, v_cache;
};

static uint32_t rnd(struct maker *m, uint32_t below)
{
	return tram_philox(m->at++, 1, 2, 3, m->seed, 99).v[0] % below;
}

static uint64_t count(const struct maker *m, tram_value v)
{
	return tram_shape_count(&tram_val(m->g, v)->shape);
}

/* Every value in the pool has rank 2; @most bounds its elements. */
static void keep(struct maker *m, tram_value v, double most)
{
	struct tram_shape s = tram_value_shape(m->g, v);

	if (v == TRAM_NONE)
		fail_msg("%s", tram_error(m->g->ctx));
	if (s.rank != 2)
		v = tram_reshape(m->g, v, TRAM_SHAPE(1, (uint32_t)tram_shape_count(&s)));
	if (most > 1 << 12) {
		v = tram_softmax(m->g, v);
		most = 100;
	}
	m->pool[m->n].v = v;
	m->pool[m->n++].most = most;
}

static uint32_t pick(struct maker *m)
{
	/* Mostly recent ones, so that values die. */
	return rnd(m, 4) ? m->n - 1 - rnd(m, TRAM_MIN(m->n, 6u)) : rnd(m, m->n);
}

/* Another value of the shape of @like, or one made of it. */
static uint32_t pick_like(struct maker *m, uint32_t like)
{
	struct tram_shape s = tram_value_shape(m->g, m->pool[like].v), t;

	for (int i = 0; i < 20; i++) {
		uint32_t k = pick(m);

		t = tram_value_shape(m->g, m->pool[k].v);
		if (k != like && tram_shape_equal(&s, &t))
			return k;
	}
	keep(m, tram_relu(m->g, m->pool[like].v), m->pool[like].most);
	return m->n - 1;
}

static void add_pack(struct maker *m)
{
	uint64_t offset[4], at = 0;
	tram_value in[4];
	double most = 0;
	uint32_t n = 1 + rnd(m, 4);

	if (rnd(m, 3) == 0) {	/* without gaps, of results made in place */
		for (uint32_t i = 0; i < 2; i++) {
			tram_value x = m->pool[pick(m)].v;

			if (count(m, x) < 64)
				return;
			x = tram_neg(m->g, tram_view(m->g, x, 0, TRAM_SHAPE(64)));
			in[i] = tram_softmax(m->g, tram_softmax(m->g, tram_reshape(m->g, x, TRAM_SHAPE(64))));
			offset[i] = 64 * i;
		}
		keep(m, tram_pack(m->g, in, offset, 2, 128), 100);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = pick(m);

		in[i] = m->pool[k].v;
		most = TRAM_MAX(most, m->pool[k].most);
		offset[i] = at;
		at += count(m, in[i]);
		at = rnd(m, 6) ? TRAM_ALIGN_UP(at, 64) : at + 1;
	}
	keep(m, tram_pack(m->g, in, offset, n, at + (rnd(m, 2) ? 64 : 0)), most);
}

static void add_concat(struct maker *m)
{
	uint32_t a = pick(m), b = pick_like(m, a), c = pick_like(m, a);
	tram_value in[3] = { m->pool[a].v, m->pool[b].v, m->pool[c].v };

	if (count(m, in[0]) > 1000)
		return;
	keep(m, tram_concat(m->g, in, 2 + rnd(m, 2), rnd(m, 2)),
	     TRAM_MAX(m->pool[a].most, TRAM_MAX(m->pool[b].most, m->pool[c].most)));
}

static void add_binary(struct maker *m)
{
	uint32_t a = pick(m), b = pick_like(m, a), how = rnd(m, 5);
	struct tram_shape s = tram_value_shape(m->g, m->pool[a].v);
	tram_value x = m->pool[a].v, y = m->pool[b].v;
	double most = m->pool[a].most + m->pool[b].most;

	if (how == 3)	/* broadcast along rows, from a view */
		y = tram_view(m->g, y, 0, TRAM_SHAPE(s.dim[1]));
	if (how == 4)
		y = tram_view(m->g, y, 0, TRAM_SHAPE(s.dim[0], 1));
	keep(m, how % 2 ? tram_sub(m->g, x, y) : tram_add(m->g, x, y), most);
}

static void add_append(struct maker *m)
{
	union tram_attr attr = { .attention = { 1, 1 } };
	tram_value in[3] = { TRAM_NONE, m->k_cache, m->v_cache };
	uint32_t k = pick(m);
	int node;

	if (count(m, m->pool[k].v) < 24 || tram_val(m->g, m->pool[k].v)->kind == TRAM_VALUE_VIEW)
		return;
	in[0] = tram_view(m->g, m->pool[k].v, 0, TRAM_SHAPE(1, 2, 12));
	node = tram_graph_node(m->g, TRAM_OP_KV_APPEND, in, 3, &attr);
	if (node < 0)
		fail_msg("%s", tram_error(m->g->ctx));
	/* What showed the versions before may not be read any more. */
	for (uint32_t i = 0; i < m->n; i++) {
		const struct tram_value_info *v = tram_val(m->g, m->pool[i].v);

		if (v->kind == TRAM_VALUE_VIEW && (v->base == m->k_cache || v->base == m->v_cache))
			m->pool[i] = m->pool[0];
	}
	m->k_cache = m->g->nodes.v[node].out[0];
	m->v_cache = m->g->nodes.v[node].out[1];
}

static void add_node(struct maker *m)
{
	static const uint32_t swap[] = { 1, 0 };
	uint32_t k = pick(m), what = rnd(m, 15);
	tram_value x = m->pool[k].v;
	struct tram_shape s = tram_value_shape(m->g, x);
	double most = m->pool[k].most;
	tram_value in[3] = { x, TRAM_NONE, TRAM_NONE };

	switch (what) {
	case 0: keep(m, tram_neg(m->g, x), most); break;
	case 1: keep(m, tram_relu(m->g, tram_scale(m->g, x, -2)), 2 * most); break;
	case 2: case 3: case 4: add_binary(m); break;
	case 5: keep(m, tram_softmax(m->g, x), 100); break;
	case 6:
		in[1] = in[2] = tram_view(m->g, x, 0, TRAM_SHAPE(s.dim[1]));
		x = tram_graph_node1(m->g, TRAM_OP_LAYERNORM, in, 3, NULL);
		keep(m, x, 200);
		keep(m, x + 1, 200);	/* its second result */
		break;
	case 7: keep(m, tram_transpose(m->g, x, swap), most); break;
	case 8:
		if (s.dim[1] > 1)
			keep(m, tram_slice(m->g, x, 1, 1, s.dim[1] / 2), most);
		break;
	case 9: add_concat(m); break;
	case 10: add_pack(m); break;
	case 11: keep(m, tram_reduce(m->g, x, rnd(m, 2), rnd(m, 2), 1), most * s.dim[0] * s.dim[1]); break;
	case 12: keep(m, tram_tree_sum(m->g, x), most * s.dim[0]); break;
	case 13: keep(m, tram_view(m->g, x, count(m, x) / 3, TRAM_SHAPE(1, (uint32_t)(count(m, x) + 2) / 3)), most); break;
	case 14:
		if (rnd(m, 3) == 0)
			add_append(m);
		else	/* the version as of now */
			keep(m, tram_reshape(m->g, rnd(m, 2) ? m->k_cache : m->v_cache, TRAM_SHAPE(4, 8)), 100);
		break;
	}
}

static struct tram_graph *random_graph(struct tram_ctx *ctx, uint32_t seed)
{
	struct maker *m = calloc(1, sizeof(*m));
	tram_value in[4], out;
	struct tram_graph *g;
	char name[16];
	uint32_t n, k;

	m->seed = seed;
	assert_int_equal(tram_graph_create_with(ctx, table(), NULL, &g), 0);
	m->g = g;
	keep(m, tram_input(g, "a", TRAM_F32, TRAM_SHAPE(6, 8)), 9);
	keep(m, tram_input(g, "b", TRAM_F32, TRAM_SHAPE(6, 8)), 9);
	keep(m, tram_input(g, "c", TRAM_F32, TRAM_SHAPE(4, 16)), 9);
	keep(m, tram_variable(g, "w", TRAM_SHAPE(4, 16)), 100);
	keep(m, tram_variable(g, "m", TRAM_SHAPE(4, 16)), 100);
	m->k_cache = tram_variable(g, "k", TRAM_SHAPE(1, 8, 1, 4));
	m->v_cache = tram_variable(g, "v", TRAM_SHAPE(1, 8, 1, 4));
	n = 5 + rnd(m, 60);
	while (m->n < n)
		add_node(m);
	n = 1 + rnd(m, 6);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "out%u", i);
		assert_int_equal(tram_output(g, name, m->pool[pick(m)].v), 0);
	}
	if (rnd(m, 2)) {
		in[0] = m->pool[3].v;
		in[1] = m->pool[4].v;
		k = 3;
		for (int i = 0; i < 9; i++)
			if (count(m, m->pool[k = pick(m)].v) == 64)
				break;
		if (count(m, m->pool[k].v) != 64)
			k = 3;
		in[2] = tram_reshape(g, tram_neg(g, m->pool[k].v), TRAM_SHAPE(4, 16));
		in[3] = tram_grad_stats(g, tram_softmax(g, tram_view(g, in[2], 0, TRAM_SHAPE(1))));
		tram_graph_begin_update(g);
		k = (uint32_t)tram_graph_node(g, TRAM_OP_SGD, in, 4, NULL);
		out = g->nodes.v[k].out[0];
		tram_output(g, "new", out);
		tram_output(g, "new+", tram_neg(g, tram_scale(g, out, 2)));
	}
	if (tram_graph_status(g))
		fail_msg("seed %u: %s", seed, tram_error(ctx));
	free(m);
	return g;
}

/* --- running it ------------------------------------------------------------------------ */

static void fill(float *p, uint64_t n, uint32_t seed)
{
	for (uint64_t i = 0; i < n; i++)
		p[i] = (float)(tram_philox((uint32_t)i, 5, 5, 5, seed, 1).v[0] % 10);
}

#define N_VARS 4
static const char *const var_names[N_VARS] = { "w", "m", "k", "v" };

struct state { float var[N_VARS][64]; };	/* of the variables, between steps */

static float *var_data(struct state *s, const char *name)
{
	for (int i = 0; i < N_VARS; i++)
		if (!strcmp(var_names[i], name))
			return s->var[i];
	fail_msg("no variable %s", name);
	return NULL;
}

/* Value by value, nothing shared. out[i]: of output i, to be freed. */
static void run_plainly(const struct tram_graph *g, struct state *s, const struct tram_step *step,
			uint32_t seed, float **out)
{
	float **data = calloc(g->values.n, sizeof(*data));
	struct test_operand in[8], res[3];
	uint64_t n;

	for (size_t i = 0; i < g->values.n; i++) {
		const struct tram_value_info *v = &g->values.v[i];

		n = tram_shape_count(&v->shape);
		if (v->kind == TRAM_VALUE_VIEW)
			continue;
		data[i] = calloc(n, 4);
		if (v->kind == TRAM_VALUE_INPUT)
			fill(data[i], n, seed + (uint32_t)i);
		if (v->kind == TRAM_VALUE_VAR)
			memcpy(data[i], var_data(s, v->name), n * 4);
	}
#define AT(v) (tram_val(g, v)->kind == TRAM_VALUE_VIEW ? \
	       data[tram_val(g, v)->base] + tram_val(g, v)->first : data[v])
	for (size_t i = 0; i < g->nodes.n; i++) {
		const struct tram_node *node = &g->nodes.v[i];
		const struct tram_op_row *row = &g->ops[node->op];

		for (uint32_t k = 0; k < node->n_in; k++)
			in[k] = (struct test_operand){ tram_val(g, node->in[k])->shape, TRAM_F32,
						       AT(node->in[k]) };
		for (uint32_t k = 0; k < node->n_out; k++) {
			res[k] = (struct test_operand){ tram_val(g, node->out[k])->shape, TRAM_F32,
							data[node->out[k]] };
			if (row->updates[k])
				memcpy(res[k].data, in[row->updates[k] - 1].data,
				       tram_shape_count(&res[k].shape) * 4);
		}
		assert_int_equal(test_call(row, &node->attr, in, node->n_in, res, node->n_out, step), 0);
	}
	for (size_t i = 0; i < g->outputs.n; i++) {
		n = tram_shape_count(&tram_val(g, g->outputs.v[i].value)->shape);
		out[i] = malloc(n * 4);
		memcpy(out[i], AT(g->outputs.v[i].value), n * 4);
	}
	/* Later versions stand behind earlier ones. */
	for (size_t i = 0; i < g->values.n; i++)
		if (g->values.v[i].kind == TRAM_VALUE_NEXT)
			memcpy(var_data(s, tram_val(g, g->values.v[i].base)->name), data[i],
			       tram_shape_count(&g->values.v[i].shape) * 4);
	for (size_t i = 0; i < g->values.n; i++)
		free(data[i]);
	free(data);
}

struct image { char *arena, *input, *output; };

static void *locate(const struct tram_plan *plan, struct image *im, struct state *s,
		    const struct tram_placement *p)
{
	switch (p->region) {
	case TRAM_REGION_ARENA: return im->arena + p->offset;
	case TRAM_REGION_INPUT: return im->input + p->offset;
	case TRAM_REGION_OUTPUT: return im->output + p->offset;
	case TRAM_REGION_VAR: return (char *)var_data(s, plan->vars[p->index].name) + p->offset;
	default: fail_msg("a value without a place is used");
	}
	return NULL;
}

static void run_node(const struct tram_plan *plan, struct image *im, struct state *s, size_t i,
		     const struct tram_step *step)
{
	const struct tram_graph *g = plan->graph;
	const struct tram_node *node = &g->nodes.v[i];
	struct test_operand in[8], out[3];

	for (uint32_t k = 0; k < node->n_in; k++)
		in[k] = (struct test_operand){ tram_val(g, node->in[k])->shape, TRAM_F32,
			locate(plan, im, s, &plan->place[node->in[k]]) };
	for (uint32_t k = 0; k < node->n_out; k++)
		out[k] = (struct test_operand){ tram_val(g, node->out[k])->shape, TRAM_F32,
			locate(plan, im, s, &plan->place[node->out[k]]) };
	/* Scratch may hold anything afterwards. */
	if (plan->scratch_bytes[i])
		memset(locate(plan, im, s, &plan->scratch[i]), 0xee, plan->scratch_bytes[i]);
	assert_int_equal(test_call(&g->ops[node->op], &node->attr, in, node->n_in, out, node->n_out,
				   step), 0);
}

/* In any order between barriers. */
static void run_planned(const struct tram_plan *plan, struct image *im, struct state *s,
			const struct tram_step *step, uint32_t seed)
{
	const struct tram_graph *g = plan->graph;
	size_t n = g->nodes.n, *set = calloc(n + 1, sizeof(*set)), n_set = 0;

	for (size_t i = 0; i < g->values.n; i++)
		if (g->values.v[i].kind == TRAM_VALUE_INPUT)
			fill(locate(plan, im, s, &plan->place[i]),
			     tram_shape_count(&g->values.v[i].shape), seed + (uint32_t)i);
	for (size_t i = 0; i <= n; i++) {
		if (i == n || i == plan->n_compute || plan->barrier[i]) {
			for (uint32_t left = (uint32_t)n_set; left; left--) {
				uint32_t k = tram_philox(left, (uint32_t)i, 8, 8, seed, 3).v[0] % left;

				run_node(plan, im, s, set[k], step);
				set[k] = set[left - 1];
			}
			n_set = 0;
		}
		if (i < n && !plan->elided[i])
			set[n_set++] = i;
	}
	free(set);
}

static uint64_t scratch(const struct tram_machine_device *m, const struct tram_signature *sig)
{
	return sig->op == TRAM_OP_REDUCE || sig->op == TRAM_OP_TRANSPOSE ? 300 : 0;
}

static const struct tram_machine_device machine = { .scratch = scratch };

static void compare(struct tram_ctx *ctx, uint32_t seed, bool no_fusion, bool no_reuse)
{
	struct tram_plan_params pp = { .machine = &machine, .no_fusion = no_fusion,
				       .no_reuse = no_reuse, .slots = 1 };
	struct tram_graph *g = random_graph(ctx, seed);
	struct state plain = { 0 }, planned = { 0 };
	struct tram_plan *plan;
	struct image im;
	float *out[16];

	if (tram_plan_create(g, &pp, &plan))
		fail_msg("seed %u: %s", seed, tram_error(ctx));
	assert_true(plan->arena_bytes >= plan->arena_bound);
	im.arena = calloc(1, plan->arena_bytes + 1);
	im.input = calloc(1, plan->input_bytes + 1);
	im.output = calloc(1, plan->output_bytes + 1);
	/* The second and third step find what the one before left behind. */
	for (uint32_t t = 0; t < 3; t++) {
		struct tram_step step = { .step = t + 1, .pos = 2 * t, .commit = 1 };

		run_plainly(g, &plain, &step, seed + 1000 * t, out);
		run_planned(plan, &im, &planned, &step, seed + 1000 * t);
		for (size_t i = 0; i < g->outputs.n; i++) {
			tram_value v = plan->graph->outputs.v[i].value;
			uint64_t n = tram_shape_count(&tram_val(plan->graph, v)->shape);

			assert_int_equal(plan->place[v].region, TRAM_REGION_OUTPUT);
			if (memcmp(out[i], im.output + plan->place[v].offset, n * 4))
				fail_msg("seed %u, fusion %d, reuse %d, step %u: output %s differs",
					 seed, !no_fusion, !no_reuse, t, g->outputs.v[i].name);
			free(out[i]);
		}
		if (memcmp(&plain, &planned, sizeof(plain)))
			fail_msg("seed %u, fusion %d, reuse %d: variables differ", seed, !no_fusion,
				 !no_reuse);
	}
	free(im.arena);
	free(im.input);
	free(im.output);
	tram_plan_destroy(&plan);
	tram_graph_destroy(&g);
}

#define SEEDS 150

static void plans_compute_what_graphs_say(void **state)
{
	for (uint32_t seed = 0; seed < SEEDS; seed++)
		compare(*state, seed, false, false);
}

static void also_without_fusion(void **state)
{
	for (uint32_t seed = 0; seed < SEEDS; seed++)
		compare(*state, seed, true, false);
}

static void also_without_reuse(void **state)
{
	for (uint32_t seed = 0; seed < SEEDS; seed++)
		compare(*state, seed, seed % 2, true);
}

/* --- barriers ------------------------------------------------------------------------------ */

struct access { enum tram_region region; uint32_t index; uint64_t begin, end; bool write; };

static size_t accesses(const struct tram_plan *plan, size_t i, struct access *a)
{
	const struct tram_graph *g = plan->graph;
	const struct tram_node *node = &g->nodes.v[i];
	size_t n = 0;

	for (uint32_t k = 0; k < node->n_in + node->n_out; k++) {
		tram_value v = k < node->n_in ? node->in[k] : node->out[k - node->n_in];
		const struct tram_placement *p = &plan->place[v];

		a[n++] = (struct access){ p->region, p->index, p->offset,
					  p->offset + tram_plan_bytes(g, v), k >= node->n_in };
	}
	if (plan->scratch_bytes[i])
		a[n++] = (struct access){ TRAM_REGION_ARENA, 0, plan->scratch[i].offset,
			plan->scratch[i].offset + plan->scratch_bytes[i], true };
	return n;
}

static bool collide(const struct tram_plan *plan, size_t i, size_t j)
{
	struct access a[16], b[16];
	size_t n = accesses(plan, i, a), m = accesses(plan, j, b);

	for (size_t x = 0; x < n; x++)
		for (size_t y = 0; y < m; y++)
			if ((a[x].write || b[y].write) && a[x].region == b[y].region &&
			    a[x].index == b[y].index && a[x].begin < b[y].end && b[y].begin < a[x].end)
				return true;
	return false;
}

static void barriers_stand_exactly_where_bytes_collide(void **state)
{
	size_t calls = 0, barriers = 0;

	for (uint32_t seed = 0; seed < SEEDS; seed++) {
		struct tram_plan_params pp = { .machine = &machine, .no_reuse = seed % 3 == 0 };
		struct tram_graph *g = random_graph(*state, seed);
		struct tram_plan *plan;
		size_t since = 0;

		assert_int_equal(tram_plan_create(g, &pp, &plan), 0);
		for (size_t i = 0; i < plan->graph->nodes.n; i++) {
			bool hazard = false;

			if (i == plan->n_compute)
				since = i;
			if (plan->elided[i])
				continue;
			for (size_t j = since; j < i; j++)
				hazard |= !plan->elided[j] && collide(plan, j, i);
			assert_int_equal(plan->barrier[i], hazard);
			if (hazard)
				since = i;
			calls++;
			barriers += hazard;
		}
		tram_plan_destroy(&plan);
		tram_graph_destroy(&g);
	}
	print_message("%zu barriers for %zu calls\n", barriers, calls);
	assert_true(barriers && barriers < calls);
}

static int setup(void **state)
{
	struct tram_ctx *ctx;

	if (tram_ctx_create(NULL, &ctx))
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_compute_what_graphs_say),
		cmocka_unit_test(also_without_fusion),
		cmocka_unit_test(also_without_reuse),
		cmocka_unit_test(barriers_stand_exactly_where_bytes_collide),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
