/* SPDX-License-Identifier: MIT */
/* The machinery of op_cases.h; the cases themselves are in op_cases_table.c. */
#include "ops/op_cases.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "ops/ops.h"

/* --- values ------------------------------------------------------------------------ */

static bool starts(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static float draw_f32(const char *name, uint32_t word)
{
	float u = tram_u32_to_unit(word);

	if (starts(name, "pos"))
		return 0.5f + u;
	if (starts(name, "wide"))
		return 16 * u - 8;
	if (starts(name, "tie"))
		return floorf(3 * u) - 1;
	return 2 * u - 1;
}

static int32_t draw_i32(const char *name, uint32_t word)
{
	const char *dot = strchr(name, '.');
	uint32_t limit = dot ? (uint32_t)strtoul(dot + 1, NULL, 10) : 0;

	limit = limit ? limit : 100;
	if (starts(name, "wild"))
		return (int32_t)(word % (limit + 4)) - 2;
	if (starts(name, "targets") && word >> 30 == 0)
		return -1;
	return (int32_t)(word % limit);
}

/* Insertion sort of positions by token: stable, and the tests are small. */
static void sort_positions(const int32_t *token, uint64_t n, int32_t *order)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t k = i;

		for (; k && token[order[k - 1]] > token[i]; k--)
			order[k] = order[k - 1];
		order[k] = (int32_t)i;
	}
}

static int fill_order(struct tram_ctx *ctx, const char *of, uint64_t count, uint32_t shards,
		      const struct tram_case_tensor *others, size_t n, int32_t *order)
{
	uint64_t per = count / shards;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(others[i].name, of) || others[i].count != count)
			continue;
		for (uint32_t s = 0; s < shards; s++)
			sort_positions((const int32_t *)others[i].data + s * per, per,
				       order + s * per);
		return 0;
	}
	return tram_fail(ctx, -EINVAL, "case: order of \"%s\", which comes no earlier", of);
}

int tram_case_fill(struct tram_ctx *ctx, const char *name, enum tram_dtype dtype, uint64_t count,
		   uint32_t shards, const struct tram_case_tensor *others, size_t n_others,
		   void *data)
{
	uint64_t key = tram_hash64(name, strlen(name));

	if (starts(name, "order."))
		return fill_order(ctx, name + 6, count, shards, others, n_others, data);
	for (uint64_t i = 0; i < count; i++) {
		uint32_t word = tram_philox((uint32_t)i, 0, 0, 0, (uint32_t)key,
					    (uint32_t)(key >> 32)).v[0];

		if (dtype == TRAM_I32)
			((int32_t *)data)[i] = draw_i32(name, word);
		else
			((double *)data)[i] = draw_f32(name, word);
	}
	return 0;
}

/* --- expansion ------------------------------------------------------------------------ */

static tram_value mapped(const struct tram_graph *from, struct tram_graph *to, tram_value *map,
			 tram_value v)
{
	const struct tram_value_info *i = tram_val(from, v);

	if (map[v] != TRAM_NONE)
		return map[v];
	if (i->kind == TRAM_VALUE_INPUT)
		map[v] = tram_input(to, i->name, i->dtype, i->shape);
	else if (i->kind == TRAM_VALUE_VAR)
		map[v] = tram_variable(to, i->name, i->shape);
	else if (i->kind == TRAM_VALUE_VIEW)
		map[v] = tram_view(to, mapped(from, to, map, i->base), i->first, i->shape);
	return map[v];
}

static int copy_node(const struct tram_graph *from, struct tram_graph *to, tram_value *map,
		     const struct tram_node *n, tram_value *in)
{
	const struct tram_op_row *row = &from->ops[n->op];
	tram_value out[3] = { TRAM_NONE, TRAM_NONE, TRAM_NONE };
	int r;

	for (uint32_t i = 0; i < n->n_in; i++)
		in[i] = mapped(from, to, map, n->in[i]);
	to->phase = n->phase;
	if (row->expand) {
		r = row->expand(to, n, in, out);
		if (r)
			return r;
	} else {
		r = tram_graph_node(to, n->op, in, n->n_in, &n->attr);
		if (r < 0)
			return r;
		memcpy(out, to->nodes.v[r].out, n->n_out * sizeof(*out));
	}
	for (uint32_t j = 0; j < n->n_out; j++)
		map[n->out[j]] = out[j];
	return 0;
}

int tram_case_expand(const struct tram_graph *from, struct tram_graph **out)
{
	struct tram_graph_params p = { .shards = from->shards };
	struct tram_graph *to = NULL;
	tram_value *map = NULL, *in = NULL;
	uint32_t most = 1;
	int r;

	*out = NULL;
	r = tram_graph_create(from->ctx, &p, &to);
	if (r)
		return r;
	for (size_t i = 0; i < from->nodes.n; i++)
		most = TRAM_MAX(most, from->nodes.v[i].n_in);
	map = tram_calloc(from->ctx, from->values.n + 1, sizeof(*map));
	in = tram_calloc(from->ctx, most, sizeof(*in));
	if (!map || !in)
		r = -ENOMEM;
	for (size_t i = 0; !r && i < from->values.n; i++)
		map[i] = TRAM_NONE;
	/* All inputs and variables, used or not: the bindings are the same. */
	for (size_t i = 0; !r && i < from->values.n; i++)
		if (from->values.v[i].name && mapped(from, to, map, (tram_value)i) < 0)
			r = to->status;
	for (size_t i = 0; !r && i < from->nodes.n; i++)
		r = copy_node(from, to, map, &from->nodes.v[i], in);
	for (size_t i = 0; !r && i < from->outputs.n; i++)
		r = tram_output(to, from->outputs.v[i].name,
				mapped(from, to, map, from->outputs.v[i].value));
	tram_free(from->ctx, map);
	tram_free(from->ctx, in);
	if (r)
		tram_graph_destroy(&to);
	*out = to;
	return r;
}

/* --- runs ------------------------------------------------------------------------------- */

static size_t bytes_of(const struct tram_case_tensor *t)
{
	return (size_t)t->count * (t->dtype == TRAM_I32 ? sizeof(int32_t) : sizeof(double));
}

static void poison(struct tram_case_tensor *t)
{
	for (uint64_t i = 0; i < t->count; i++) {
		if (t->dtype == TRAM_I32)
			((int32_t *)t->data)[i] = INT32_MIN;
		else
			((double *)t->data)[i] = NAN;
	}
}

void tram_case_reset(struct tram_case_run *run)
{
	for (size_t i = 0; i < run->n_tensors; i++) {
		struct tram_case_tensor *t = &run->tensors[i];

		if (t->kind == TRAM_CASE_OUTPUT)
			poison(t);
		else
			memcpy(t->data, t->start, bytes_of(t));
	}
}

static int add_tensor(struct tram_case_run *run, const char *name, int kind, tram_value v)
{
	const struct tram_value_info *i = tram_val(run->graph, v);
	struct tram_case_tensor *t = &run->tensors[run->n_tensors++];

	t->name = name;
	t->kind = kind;
	t->dtype = i->dtype;
	t->shape = i->shape;
	t->count = tram_shape_count(&i->shape);
	t->data = tram_alloc(run->ctx, bytes_of(t));
	t->start = tram_alloc(run->ctx, bytes_of(t));
	t->want = tram_alloc(run->ctx, bytes_of(t));
	if (!t->data || !t->start || !t->want)
		return -ENOMEM;
	run->bindings[run->n_bindings++] = (struct tram_binding){ name, t->data };
	if (kind == TRAM_CASE_OUTPUT)
		return 0;
	return tram_case_fill(run->ctx, name, t->dtype, t->count, run->graph->shards, run->tensors,
			      run->n_tensors, t->data);
}

static int add_tensors(struct tram_case_run *run)
{
	const struct tram_graph *g = run->graph;
	size_t most = g->values.n + g->outputs.n + 1;
	int r = 0;

	run->tensors = tram_calloc(run->ctx, most, sizeof(*run->tensors));
	run->bindings = tram_calloc(run->ctx, most, sizeof(*run->bindings));
	if (!run->tensors || !run->bindings)
		return -ENOMEM;
	for (size_t i = 0; !r && i < g->values.n; i++)
		if (g->values.v[i].name)
			r = add_tensor(run, g->values.v[i].name,
				       g->values.v[i].kind == TRAM_VALUE_VAR ? TRAM_CASE_VARIABLE :
				       TRAM_CASE_INPUT, (tram_value)i);
	for (size_t i = 0; !r && i < g->outputs.n; i++)
		r = add_tensor(run, g->outputs.v[i].name, TRAM_CASE_OUTPUT, g->outputs.v[i].value);
	for (size_t i = 0; !r && i < run->n_tensors; i++)
		memcpy(run->tensors[i].start, run->tensors[i].data, bytes_of(&run->tensors[i]));
	return r;
}

int tram_case_open(struct tram_ctx *ctx, const struct tram_op_case *c, struct tram_case_run **out)
{
	struct tram_graph_params p = { .shards = c->shards };
	struct tram_case_run *run;
	int r;

	*out = NULL;
	run = tram_zalloc(ctx, sizeof(*run));
	if (!run)
		return -ENOMEM;
	run->c = c;
	run->ctx = ctx;
	run->step = (struct tram_step){
		.step = 3, .seed = { 0x1234, 0xabcd }, .commit = !c->closed, .lr = 0.01f,
		.bias_correction1 = 0.271f, .bias_correction2 = 0.002997001f,
		.inv_targets = 0.125f, .pos = c->pos, .loss_scale = 1,
	};
	r = tram_graph_create(ctx, &p, &run->graph);
	if (!r)
		r = c->build(run->graph, c->arg);
	if (!r)
		r = tram_case_expand(run->graph, &run->kernels);
	if (!r)
		r = add_tensors(run);
	if (!r)
		r = tram_oracle_run(run->graph, run->bindings, run->n_bindings, &run->step);
	for (size_t i = 0; !r && i < run->n_tensors; i++)
		memcpy(run->tensors[i].want, run->tensors[i].data, bytes_of(&run->tensors[i]));
	if (r) {
		tram_fail_in(ctx, r, "case \"%s\"", c->name);
		tram_case_close(&run);
		return r;
	}
	tram_case_reset(run);
	*out = run;
	return 0;
}

void tram_case_close(struct tram_case_run **runp)
{
	struct tram_case_run *run = *runp;

	*runp = NULL;
	if (!run)
		return;
	for (size_t i = 0; i < run->n_tensors; i++) {
		tram_free(run->ctx, run->tensors[i].data);
		tram_free(run->ctx, run->tensors[i].start);
		tram_free(run->ctx, run->tensors[i].want);
	}
	tram_free(run->ctx, run->tensors);
	tram_free(run->ctx, run->bindings);
	tram_graph_destroy(&run->kernels);
	tram_graph_destroy(&run->graph);
	tram_free(run->ctx, run);
}

/* How far off, in units of what is allowed; above 1 is wrong. */
static double excess(const struct tram_op_case *c, double got, double want)
{
	double rtol = c->rtol > 0 ? c->rtol : 1e-5, atol = c->atol > 0 ? c->atol : 1e-5;

	if (!isfinite(want) || !isfinite(got))
		return isfinite(want) == isfinite(got) ? 0 : INFINITY;
	return fabs(got - want) / (atol + rtol * fabs(want));
}

static int check_tensor(struct tram_case_run *run, const struct tram_case_tensor *t)
{
	double worst = 1, got = 0, want = 0;
	uint64_t at = UINT64_MAX, n = 0;
	char text[TRAM_SHAPE_TEXT];

	for (uint64_t i = 0; i < t->count; i++) {
		double a, b, e;

		if (t->dtype == TRAM_I32) {
			a = ((int32_t *)t->data)[i];
			b = ((int32_t *)t->want)[i];
			e = a == b ? 0 : INFINITY;
		} else {
			a = ((double *)t->data)[i];
			b = ((double *)t->want)[i];
			e = excess(run->c, a, b);
		}
		n += e > 1;
		if (e <= worst)
			continue;
		worst = e;
		at = i;
		got = a;
		want = b;
	}
	if (at == UINT64_MAX)
		return 0;
	return tram_fail(run->ctx, -EILSEQ, "case \"%s\": %s %s: %llu of %llu elements are off, the worst "
			 "is element %llu: %.9g, the oracle says %.9g (%.3g times the tolerance)",
			 run->c->name, t->name, tram_shape_text(&t->shape, text),
			 (unsigned long long)n, (unsigned long long)t->count,
			 (unsigned long long)at, got, want, worst);
}

int tram_case_check(struct tram_case_run *run)
{
	int r = 0;

	for (size_t i = 0; !r && i < run->n_tensors; i++)
		if (run->tensors[i].kind != TRAM_CASE_INPUT)
			r = check_tensor(run, &run->tensors[i]);
	return r;
}
