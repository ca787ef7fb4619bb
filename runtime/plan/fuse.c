/* SPDX-License-Identifier: MIT */
/*
 * Elementwise trees into programs: a node whose only reader is another
 * elementwise node of the same result shape moves into that reader. The same
 * instructions run on the same operands in f32, so no bit changes; the
 * intermediate is never in memory. Start at tram_plan_fuse().
 *
 * Nothing moves from the forward into the backward part (what a backward node
 * reads is kept for it on purpose; recomputing it would keep its inputs
 * instead), nor past the gate, nor past a node that overwrites a variable
 * which it reads.
 */
#include "plan/rewrite.h"

/* A node in the making: its program and distinct operands (values of the source graph). */
struct group {
	struct tram_ew_program p;
	tram_value in[TRAM_EW_MAX_IN];
	bool absorbed;
};

struct fuser {
	const struct tram_graph *g;
	struct group *groups;		/* of the elementwise nodes */
	int32_t *group;			/* by node, -1: not elementwise or not live */
	uint32_t *uses;			/* by value: operands of live nodes */
	bool *held;			/* by value: viewed, or an output */
	int32_t *until;			/* by version of a variable: see tram_plan_versions() */
	bool *live;
};

static const bool two_operands[TRAM_EW_CODE_COUNT] = {
	[TRAM_EW_ADD] = true, [TRAM_EW_SUB] = true, [TRAM_EW_MUL] = true, [TRAM_EW_DIV] = true,
	[TRAM_EW_MAX] = true, [TRAM_EW_RELU_BWD] = true, [TRAM_EW_GELU_TANH_BWD] = true,
	[TRAM_EW_GELU_ERF_BWD] = true, [TRAM_EW_TANH_BWD] = true, [TRAM_EW_SILU_BWD] = true,
};

/* Index of @v among the operands of @to, appended if need be; -1: they are full. */
static int operand(struct group *to, tram_value v)
{
	for (uint32_t i = 0; i < to->p.n_in; i++)
		if (to->in[i] == v)
			return (int)i;
	if (to->p.n_in == TRAM_EW_MAX_IN)
		return -1;
	to->in[to->p.n_in] = v;
	return (int)to->p.n_in++;
}

/*
 * Appends @from to @to. The register of @inner (TRAM_NONE: none), an operand of @from, is the last result
 * of @to so far. False when a limit is hit; @to is then spoilt.
 */
static bool append(struct group *to, const struct group *from, tram_value inner)
{
	uint32_t reg[TRAM_EW_MAX_IN + TRAM_EW_MAX_CODE], base = to->p.n_code;

	if (to->p.n_code + from->p.n_code > TRAM_EW_MAX_CODE)
		return false;
	for (uint32_t i = 0; i < from->p.n_in; i++) {
		int k = from->in[i] == inner ? (int)(TRAM_EW_MAX_IN + base) - 1 :
			operand(to, from->in[i]);

		if (k < 0)
			return false;
		reg[i] = (uint32_t)k;
	}
	for (uint32_t i = 0; i < from->p.n_code; i++)
		reg[TRAM_EW_MAX_IN + i] = TRAM_EW_MAX_IN + base + i;
	for (uint32_t i = 0; i < from->p.n_code; i++) {
		struct tram_ew_insn c = from->p.code[i];

		c.a = (uint8_t)reg[c.a];
		c.b = two_operands[c.code] ? (uint8_t)reg[c.b] : 0;
		to->p.code[to->p.n_code++] = c;
	}
	return true;
}

/* The node as built, with equal operands made one. */
static bool group_init(struct group *gr, const struct tram_node *node)
{
	struct group raw = { .p = node->attr.ew };

	*gr = (struct group){ .absorbed = false };
	if (raw.p.n_in > TRAM_EW_MAX_IN || raw.p.n_code > TRAM_EW_MAX_CODE || !raw.p.n_code)
		return false;
	memcpy(raw.in, node->in, raw.p.n_in * sizeof(*raw.in));
	return append(gr, &raw, TRAM_NONE);
}

/* Nothing overwrites what @gr reads before node @i has read it. */
static bool fresh_at(const struct fuser *f, const struct group *gr, int32_t i)
{
	for (uint32_t k = 0; k < gr->p.n_in; k++) {
		const struct tram_value_info *v = tram_val(f->g, gr->in[k]);
		int32_t until = f->until[v->kind == TRAM_VALUE_VIEW ? v->base : gr->in[k]];

		if (until >= 0 && until < i)
			return false;
	}
	return true;
}

/* Node @i takes over the producer of its operand @v, if that serves nobody else. */
static void absorb(struct fuser *f, int32_t i, tram_value v)
{
	const struct tram_graph *g = f->g;
	const struct tram_node *node = &g->nodes.v[i], *from;
	const struct tram_value_info *info = tram_val(g, v);
	struct group *gr = &f->groups[f->group[i]], *src, sum;
	uint32_t own = 0;

	if (info->kind != TRAM_VALUE_TEMP || f->held[v] || f->group[info->node] < 0)
		return;
	for (uint32_t k = 0; k < node->n_in; k++)
		own += node->in[k] == v;
	from = &g->nodes.v[info->node];
	src = &f->groups[f->group[info->node]];
	if (f->uses[v] != own || src->absorbed || from->phase != node->phase ||
	    from->backward != node->backward ||
	    !tram_shape_equal(&info->shape, &tram_val(g, node->out[0])->shape) ||
	    !fresh_at(f, src, i))
		return;
	sum = *src;
	if (!append(&sum, gr, v))
		return;
	src->absorbed = true;
	*gr = sum;
}

static void fuse_all(struct fuser *f)
{
	const struct tram_graph *g = f->g;
	size_t n = 0;

	for (size_t i = 0; i < g->nodes.n; i++) {
		const struct tram_node *node = &g->nodes.v[i];

		f->group[i] = -1;
		if (!f->live[i])
			continue;
		for (uint32_t k = 0; k < node->n_in; k++) {
			const struct tram_value_info *v = tram_val(g, node->in[k]);

			f->uses[node->in[k]]++;
			if (v->kind == TRAM_VALUE_VIEW)
				f->held[v->base] = true;
		}
		if (node->op == TRAM_OP_EW && group_init(&f->groups[n], node))
			f->group[i] = (int32_t)n++;
	}
	for (size_t i = 0; i < g->outputs.n; i++) {
		const struct tram_value_info *v = tram_val(g, g->outputs.v[i].value);

		f->held[g->outputs.v[i].value] = true;
		if (v->kind == TRAM_VALUE_VIEW)
			f->held[v->base] = true;
	}
	for (size_t i = 0; i < g->nodes.n; i++)
		for (uint32_t k = 0; f->group[i] >= 0 && k < g->nodes.v[i].n_in; k++)
			absorb(f, (int32_t)i, g->nodes.v[i].in[k]);
}

static int emit(struct fuser *f, struct tram_rewrite *rw, size_t i)
{
	struct group *gr;

	if (f->group[i] < 0)
		return tram_rewrite_copy(rw, i);
	gr = &f->groups[f->group[i]];
	if (gr->absorbed)
		return 0;
	for (uint32_t k = 0; k < gr->p.n_in; k++) {
		gr->in[k] = tram_rewrite_value(rw, gr->in[k]);
		if (gr->in[k] == TRAM_NONE)
			return -ENOMEM;
	}
	return tram_rewrite_node(rw, i, gr->in, gr->p.n_in, &(union tram_attr){ .ew = gr->p });
}

int tram_plan_fuse(const struct tram_graph *src, struct tram_graph **out)
{
	struct tram_rewrite rw = { .src = src };
	struct tram_ctx *ctx = src->ctx;
	struct fuser f = { .g = src };
	size_t n_ew = 0, i;
	int r = -ENOMEM;

	*out = NULL;
	for (i = 0; i < src->nodes.n; i++)
		n_ew += src->nodes.v[i].op == TRAM_OP_EW;
	f.groups = tram_calloc(ctx, n_ew + 1, sizeof(*f.groups));
	f.group = tram_calloc(ctx, src->nodes.n + 1, sizeof(*f.group));
	f.uses = tram_calloc(ctx, src->values.n + 1, sizeof(*f.uses));
	f.held = tram_calloc(ctx, src->values.n + 1, sizeof(*f.held));
	f.until = tram_calloc(ctx, src->values.n + 1, sizeof(*f.until));
	f.live = tram_calloc(ctx, src->nodes.n + 1, sizeof(*f.live));
	if (!f.groups || !f.group || !f.uses || !f.held || !f.until || !f.live)
		goto free;
	r = tram_plan_live(src, f.live);
	if (!r)
		r = tram_plan_versions(src, f.until);
	if (r)
		goto free;
	fuse_all(&f);
	r = tram_rewrite_begin(&rw, src);
	for (i = 0; !r && i < src->nodes.n; i++)
		if (f.live[i])
			r = emit(&f, &rw, i);
free:
	tram_free(ctx, f.groups);
	tram_free(ctx, f.group);
	tram_free(ctx, f.uses);
	tram_free(ctx, f.held);
	tram_free(ctx, f.until);
	tram_free(ctx, f.live);
	return tram_rewrite_end(&rw, r, out);
}
