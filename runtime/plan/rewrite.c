/* SPDX-License-Identifier: MIT */
/*
 * Copying a graph while a pass changes parts of it, and two questions that
 * passes ask of any graph: what is live, and are versions read in order.
 */
#include "plan/rewrite.h"

uint64_t tram_plan_bytes(const struct tram_graph *g, tram_value v)
{
	return tram_shape_count(&tram_val(g, v)->shape) * 4;
}

/* A value without a builder; @name is copied. */
static tram_value push(struct tram_graph *g, struct tram_value_info info, const char *name)
{
	info.name = NULL;
	if (name) {
		info.name = tram_strdup(g->ctx, name);
		if (!info.name)
			return TRAM_NONE;
	}
	if (tram_vec_push(g->ctx, &g->values, info)) {
		tram_free(g->ctx, info.name);
		return TRAM_NONE;
	}
	return (tram_value)g->values.n - 1;
}

int tram_rewrite_begin(struct tram_rewrite *rw, const struct tram_graph *src)
{
	struct tram_graph_params params = { .shards = src->shards };
	struct tram_ctx *ctx = src->ctx;
	uint32_t most = 1;
	size_t i;
	int r;

	*rw = (struct tram_rewrite){ .src = src };
	for (i = 0; i < src->nodes.n; i++)
		most = TRAM_MAX(most, src->nodes.v[i].n_in);
	rw->map = tram_calloc(ctx, src->values.n + 1, sizeof(*rw->map));
	rw->in = tram_calloc(ctx, most, sizeof(*rw->in));
	if (!rw->map || !rw->in)
		return -ENOMEM;
	r = tram_graph_create_with(ctx, src->ops, &params, &rw->dst);
	if (r)
		return r;
	r = tram_vec_reserve(ctx, &rw->dst->values, src->values.n);
	if (r)
		return r;
	for (i = 0; i < src->values.n; i++) {
		const struct tram_value_info *v = &src->values.v[i];

		rw->map[i] = TRAM_NONE;
		if (v->kind != TRAM_VALUE_INPUT && v->kind != TRAM_VALUE_VAR)
			continue;
		rw->map[i] = push(rw->dst, *v, v->name);
		if (rw->map[i] == TRAM_NONE)
			return -ENOMEM;
	}
	return 0;
}

tram_value tram_rewrite_value(struct tram_rewrite *rw, tram_value v)
{
	struct tram_value_info info;
	const struct tram_value_info *base;

	if (rw->map[v] != TRAM_NONE)
		return rw->map[v];
	info = *tram_val(rw->src, v);
	assert(info.kind == TRAM_VALUE_VIEW);
	assert(rw->map[info.base] != TRAM_NONE);
	info.base = rw->map[info.base];
	/* A composite's result may have become a view itself. */
	base = tram_val(rw->dst, info.base);
	if (base->kind == TRAM_VALUE_VIEW) {
		info.first += base->first;
		info.base = base->base;
	}
	rw->map[v] = push(rw->dst, info, NULL);
	return rw->map[v];
}

int tram_rewrite_node(struct tram_rewrite *rw, size_t i, const tram_value *in, uint32_t n_in,
		      const union tram_attr *attr)
{
	const struct tram_node *node = &rw->src->nodes.v[i], *made;
	int r;

	rw->dst->phase = node->phase;
	rw->dst->in_backward = node->backward;
	r = tram_graph_node(rw->dst, node->op, in, n_in, attr);
	if (r < 0)
		return r;
	made = &rw->dst->nodes.v[r];
	assert(made->n_out == node->n_out);
	for (uint32_t k = 0; k < node->n_out; k++)
		rw->map[node->out[k]] = made->out[k];
	return 0;
}

int tram_rewrite_copy(struct tram_rewrite *rw, size_t i)
{
	const struct tram_node *node = &rw->src->nodes.v[i];

	for (uint32_t k = 0; k < node->n_in; k++) {
		rw->in[k] = tram_rewrite_value(rw, node->in[k]);
		if (rw->in[k] == TRAM_NONE)
			return -ENOMEM;
	}
	return tram_rewrite_node(rw, i, rw->in, node->n_in, &node->attr);
}

int tram_rewrite_end(struct tram_rewrite *rw, int err, struct tram_graph **out)
{
	const struct tram_graph *src = rw->src;
	struct tram_ctx *ctx = src->ctx;
	struct tram_output o;

	*out = NULL;
	for (size_t i = 0; !err && i < src->outputs.n; i++) {
		o.value = tram_rewrite_value(rw, src->outputs.v[i].value);
		o.name = tram_strdup(ctx, src->outputs.v[i].name);
		if (o.value == TRAM_NONE || !o.name ||
		    tram_vec_push(ctx, &rw->dst->outputs, o)) {
			tram_free(ctx, o.name);
			err = -ENOMEM;
		}
	}
	tram_free(ctx, rw->map);
	tram_free(ctx, rw->in);
	if (err)
		tram_graph_destroy(&rw->dst);
	*out = rw->dst;
	return err;
}

static void mark(const struct tram_graph *g, bool *need, tram_value v)
{
	const struct tram_value_info *info = tram_val(g, v);

	need[info->kind == TRAM_VALUE_VIEW ? info->base : v] = true;
}

int tram_plan_live(const struct tram_graph *g, bool *live)
{
	bool *need = tram_calloc(g->ctx, g->values.n + 1, sizeof(*need));
	size_t i;
	uint32_t k;

	if (!need)
		return -ENOMEM;
	for (i = 0; i < g->outputs.n; i++)
		mark(g, need, g->outputs.v[i].value);
	for (i = g->nodes.n; i-- > 0;) {
		const struct tram_node *node = &g->nodes.v[i];

		live[i] = false;
		for (k = 0; k < node->n_out; k++)
			live[i] |= need[node->out[k]] ||
				   tram_val(g, node->out[k])->kind == TRAM_VALUE_NEXT;
		for (k = 0; live[i] && k < node->n_in; k++)
			mark(g, need, node->in[k]);
	}
	tram_free(g->ctx, need);
	return 0;
}

/* The version of a variable that @v shows, TRAM_NONE when it shows none. */
static tram_value version_of(const struct tram_graph *g, tram_value v, tram_value *var)
{
	const struct tram_value_info *info = tram_val(g, v);

	if (info->kind == TRAM_VALUE_VIEW) {
		v = info->base;
		info = tram_val(g, v);
	}
	if (info->kind == TRAM_VALUE_VAR)
		*var = v;
	else if (info->kind == TRAM_VALUE_NEXT)
		*var = info->base;
	else
		return TRAM_NONE;
	return v;
}

static int stale(const struct tram_graph *g, size_t i, tram_value var, const char *why)
{
	return tram_fail(g->ctx, -EINVAL,
			 "graph: node %zu (%s) reads variable '%s' %s; read it before the update or use the updated value",
			 i, g->ops[g->nodes.v[i].op].name, tram_val(g, var)->name, why);
}

int tram_plan_versions(const struct tram_graph *g, int32_t *until)
{
	tram_value *now = tram_calloc(g->ctx, g->values.n + 1, sizeof(*now));
	tram_value var = TRAM_NONE, other, v;
	size_t i;
	uint32_t j, k;
	int r = 0;

	if (!now)
		return -ENOMEM;
	for (i = 0; i < g->values.n; i++) {
		now[i] = (tram_value)i;
		until[i] = -1;
	}
	for (i = 0; i < g->nodes.n && !r; i++) {
		const struct tram_node *node = &g->nodes.v[i];
		const struct tram_op_row *row = tram_plan_row(g, node);

		for (k = 0; k < node->n_in && !r; k++) {
			v = version_of(g, node->in[k], &var);
			if (v != TRAM_NONE && now[var] != v)
				r = stale(g, i, var, "after another node has overwritten that version");
		}
		for (j = 0; j < node->n_out && !r; j++) {
			if (tram_val(g, node->out[j])->kind != TRAM_VALUE_NEXT)
				continue;
			var = tram_val(g, node->out[j])->base;
			for (k = 0; k < node->n_in && !r; k++)
				if (version_of(g, node->in[k], &other) != TRAM_NONE &&
				    other == var && k + 1 != row->updates[j])
					r = stale(g, i, var, "while overwriting it");
			until[now[var]] = (int32_t)i;
			now[var] = node->out[j];
		}
	}
	tram_free(g->ctx, now);
	return r;
}
