/* SPDX-License-Identifier: MIT */
/*
 * The interpreter that judges every device: nodes in order, each by the
 * oracle of its row, in double. Storage follows the graph: a view points into
 * its base, an update writes a fresh copy that then replaces the variable.
 */
#include <tram/exec.h>

#include "ops/ops.h"

struct run {
	const struct tram_graph *g;
	const struct tram_binding *bindings;
	size_t n_bindings;
	void **data;		/* by value: double * or int32_t * */
	bool *owned;		/* by value: data is ours */
};

static size_t element_size(const struct tram_value_info *v)
{
	return v->dtype == TRAM_I32 ? sizeof(int32_t) : sizeof(double);
}

static size_t value_bytes(const struct tram_value_info *v)
{
	return (size_t)tram_shape_count(&v->shape) * element_size(v);
}

static void *bound(const struct run *run, const char *name)
{
	for (size_t i = 0; i < run->n_bindings; i++)
		if (!strcmp(run->bindings[i].name, name))
			return run->bindings[i].data;
	return NULL;
}

/* Bases precede their views, so one pass in order gives every value its bytes. */
static int place(struct run *run)
{
	struct tram_ctx *ctx = run->g->ctx;

	for (size_t i = 0; i < run->g->values.n; i++) {
		const struct tram_value_info *v = &run->g->values.v[i];

		switch (v->kind) {
		case TRAM_VALUE_INPUT:
		case TRAM_VALUE_VAR:
			run->data[i] = bound(run, v->name);
			if (!run->data[i])
				return tram_fail(ctx, -EINVAL, "oracle: \"%s\" has no binding; pass its "
						 "data", v->name);
			break;
		case TRAM_VALUE_NEXT:
			run->data[i] = run->data[v->base];
			break;
		case TRAM_VALUE_TEMP:
			run->data[i] = tram_alloc(ctx, value_bytes(v));
			if (!run->data[i])
				return -ENOMEM;
			run->owned[i] = true;
			break;
		case TRAM_VALUE_VIEW:
			run->data[i] = (char *)run->data[v->base] + v->first * element_size(v);
			break;
		}
	}
	return 0;
}

static struct tram_oracle_tensor tensor(const struct run *run, tram_value v, void *data)
{
	struct tram_oracle_tensor t = {
		.shape = tram_val(run->g, v)->shape, .dtype = tram_val(run->g, v)->dtype,
	};

	if (t.dtype == TRAM_I32)
		t.i = data;
	else
		t.f = data;
	return t;
}

static int run_node(struct run *run, const struct tram_node *n, const struct tram_step *step)
{
	const struct tram_op_row *row = &run->g->ops[n->op];
	struct tram_ctx *ctx = run->g->ctx;
	struct tram_oracle_tensor *in, out[3];
	void *copy[3] = { NULL };
	int r = -ENOMEM;

	in = tram_calloc(ctx, n->n_in, sizeof(*in));
	if (!in)
		return -ENOMEM;
	for (uint32_t i = 0; i < n->n_in; i++)
		in[i] = tensor(run, n->in[i], run->data[n->in[i]]);
	for (uint32_t j = 0; j < n->n_out; j++) {
		out[j] = tensor(run, n->out[j], run->data[n->out[j]]);
		if (!row->updates[j])
			continue;
		copy[j] = tram_alloc(ctx, value_bytes(tram_val(run->g, n->out[j])));
		if (!copy[j])
			goto out;
		memcpy(copy[j], out[j].f, value_bytes(tram_val(run->g, n->out[j])));
		out[j].f = copy[j];
	}
	r = row->oracle(in, n->n_in, out, n->n_out, &n->attr, step);
	if (r)
		r = tram_fail(ctx, r, "oracle: %s (node %zu) refuses its operands", row->name,
			      (size_t)(n - run->g->nodes.v));
	for (uint32_t j = 0; !r && j < n->n_out; j++)
		if (copy[j])
			memcpy(run->data[n->out[j]], copy[j],
			       value_bytes(tram_val(run->g, n->out[j])));
out:
	for (uint32_t j = 0; j < TRAM_ARRAY_SIZE(copy); j++)
		tram_free(ctx, copy[j]);
	tram_free(ctx, in);
	return r;
}

int tram_oracle_run(const struct tram_graph *g, const struct tram_binding *bindings, size_t n,
		    const struct tram_step *step)
{
	static const struct tram_step zero;
	struct run run = { .g = g, .bindings = bindings, .n_bindings = n };
	int r = -ENOMEM;

	if (g->status)
		return g->status;
	step = step ? step : &zero;
	run.data = tram_calloc(g->ctx, g->values.n + 1, sizeof(*run.data));
	run.owned = tram_calloc(g->ctx, g->values.n + 1, sizeof(*run.owned));
	if (!run.data || !run.owned)
		goto out;
	r = place(&run);
	for (size_t i = 0; !r && i < g->nodes.n; i++)
		r = run_node(&run, &g->nodes.v[i], step);
	for (size_t i = 0; !r && i < g->outputs.n; i++) {
		void *to = bound(&run, g->outputs.v[i].name);
		tram_value v = g->outputs.v[i].value;

		if (to)
			memcpy(to, run.data[v], value_bytes(tram_val(g, v)));
	}
out:
	for (size_t i = 0; run.data && run.owned && i < g->values.n; i++)
		if (run.owned[i])
			tram_free(g->ctx, run.data[i]);
	tram_free(g->ctx, run.data);
	tram_free(g->ctx, run.owned);
	return r;
}
