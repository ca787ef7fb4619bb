/* SPDX-License-Identifier: MIT */
/*
 * Who shares storage with whom. In this order:
 *
 *  1. Parts inside wholes: the operands of a PACK, or of a CONCAT along the
 *     outermost axis, are made inside its result, so the node itself vanishes. What can't
 *     be made there (variables, inputs, parts of other values, what already has
 *     a place inside another whole) is copied in by a COPY node.
 *  2. Outputs: a result that only the host reads is made in the slot's output block; one that kernels
 *     read too, if it is large, stays in device memory and is copied out.
 *  3. Updates: a NEXT value is in its variable's storage.
 *  4. In place: a result takes over the storage of an operand that dies there.
 *
 * Gaps of a PACK must read as zero: it gets arena space for the whole
 * step, which nothing else ever writes and which is zero from the start. (Fills would cost a
 * dispatch a gap; the space is that of the gradients, which live at the peak anyway.)
 */
#include "plan/rewrite.h"

/* An output of at most this many bytes is made in host memory even if kernels read it. */
#define SMALL_OUTPUT 4096

struct insertion {
	size_t before;		/* node of the graph as it was */
	tram_value src;
	int32_t node;		/* whose operand becomes the copy, or -1: */
	uint32_t k;		/* index of the operand, or of the output */
	tram_value made;
};

struct aliaser {
	struct tram_plan *plan;
	struct tram_graph *g;
	struct tram_layout *lay;
	TRAM_VEC(struct insertion) ins;
	uint8_t *state;		/* by value */
	bool *read;		/* by value: some node reads it or a view of it */
	bool *gaps;		/* by root */
};

enum { STATE_FREE, STATE_INSIDE, STATE_OUTPUT };

/* The whole TEMP behind @v (itself, or reshaped), TRAM_NONE when @v is anything else. */
static tram_value whole(const struct tram_graph *g, tram_value v)
{
	const struct tram_value_info *info = tram_val(g, v);

	if (info->kind == TRAM_VALUE_VIEW) {
		uint64_t n = tram_shape_count(&info->shape);

		v = info->base;
		if (info->first || n != tram_shape_count(&tram_val(g, v)->shape))
			return TRAM_NONE;
		info = tram_val(g, v);
	}
	return info->kind == TRAM_VALUE_TEMP ? v : TRAM_NONE;
}

/* Bytes from the start of the whole to operand @k; @at: bytes of the operands before it. */
static uint64_t part_offset(const struct tram_node *node, uint32_t k, uint64_t at)
{
	return node->op == TRAM_OP_PACK ? node->attr.pack.offset[k] * 4 : at;
}

/* Whether @node's operands are to be made inside its result; *@gaps: they don't fill it. */
static bool is_whole(const struct tram_graph *g, const struct tram_node *node, bool *gaps)
{
	const struct tram_shape *s = &tram_val(g, node->out[0])->shape;
	uint64_t at = 0;

	if (node->op != TRAM_OP_PACK && node->op != TRAM_OP_CONCAT)
		return false;
	for (uint32_t d = 0; node->op == TRAM_OP_CONCAT && d < node->attr.concat.axis; d++)
		if (s->dim[d] != 1)
			return false;
	for (uint32_t k = 0; k < node->n_in; k++) {
		if (part_offset(node, k, at) % TRAM_PLAN_ALIGN)
			return false;
		at += tram_plan_bytes(g, node->in[k]);
	}
	*gaps = at < tram_plan_bytes(g, node->out[0]);
	/* One small part of a large whole (the gradient of a slice): not worth space of its own. */
	return !*gaps || node->n_in > 1;
}

static int insert(struct aliaser *a, size_t before, tram_value src, int32_t node, uint32_t k)
{
	struct insertion i = { before, src, node, k, TRAM_NONE };

	return tram_vec_push(a->g->ctx, &a->ins, i);
}

/* Backwards, so that a whole inside a whole finds its own place settled. */
static int place_parts(struct aliaser *a)
{
	struct tram_graph *g = a->g;
	bool gaps;

	for (size_t i = g->nodes.n; i-- > 0;) {
		const struct tram_node *node = &g->nodes.v[i];
		struct tram_blob_ref at;
		uint64_t bytes = 0;

		if (!is_whole(g, node, &gaps))
			continue;
		at = a->lay->ref[node->out[0]];
		a->gaps[at.root] |= gaps;
		for (uint32_t k = 0; k < node->n_in; k++) {
			tram_value m = whole(g, node->in[k]);

			if (m != TRAM_NONE && a->state[m] == STATE_FREE) {
				a->state[m] = STATE_INSIDE;
				a->lay->ref[m].root = at.root;
				a->lay->ref[m].offset = at.offset + part_offset(node, k, bytes);
			} else if (insert(a, i, node->in[k], (int32_t)i, k)) {
				return -ENOMEM;
			}
			bytes += tram_plan_bytes(g, node->in[k]);
		}
	}
	return 0;
}

static void mark_reads(struct aliaser *a)
{
	struct tram_graph *g = a->g;
	uint64_t first;
	bool gaps;

	for (size_t i = 0; i < g->nodes.n; i++) {
		if (is_whole(g, &g->nodes.v[i], &gaps))
			continue;
		for (uint32_t k = 0; k < g->nodes.v[i].n_in; k++)
			a->read[tram_graph_root(g, g->nodes.v[i].in[k], &first)] = true;
	}
}

static int place_outputs(struct aliaser *a)
{
	struct tram_graph *g = a->g;

	for (size_t i = 0; i < g->outputs.n; i++) {
		tram_value v = g->outputs.v[i].value, w = whole(g, v);
		const struct tram_value_info *info = tram_val(g, v);
		int32_t node;

		if (w != TRAM_NONE && a->state[w] == STATE_OUTPUT)
			continue;
		if (w != TRAM_NONE && a->state[w] == STATE_FREE &&
		    (!a->read[w] || tram_plan_bytes(g, w) <= SMALL_OUTPUT)) {
			a->state[w] = STATE_OUTPUT;
			a->lay->region[w] = TRAM_REGION_OUTPUT;
			continue;
		}
		/* Right behind its producer: later its storage may be another's. */
		node = info->kind == TRAM_VALUE_VIEW ? tram_val(g, info->base)->node : info->node;
		if (insert(a, (size_t)(node + 1), v, -1, (uint32_t)i))
			return -ENOMEM;
	}
	return 0;
}

/* Makes the copies at the end of the graph, then moves them where they belong. */
static int make_copies(struct aliaser *a)
{
	struct tram_graph *g = a->g;
	size_t n = g->nodes.n, total = n + a->ins.n, i, at = 0;
	bool updated = g->updated;
	struct tram_node *order;
	size_t *start;
	int r = -ENOMEM;

	if (!a->ins.n)
		return 0;
	order = tram_calloc(g->ctx, total, sizeof(*order));
	start = tram_calloc(g->ctx, n + 2, sizeof(*start));
	if (!order || !start)
		goto free;
	/* They read versions that are overwritten before the end: there they won't be. */
	g->updated = false;
	for (i = 0; i < a->ins.n; i++) {
		struct insertion *c = &a->ins.v[i];
		const struct tram_node *near = c->before < n ? &g->nodes.v[c->before] : NULL;

		if (c->node < 0 && c->before)
			near = &g->nodes.v[c->before - 1];	/* the producer's phase */
		g->phase = near ? near->phase : TRAM_PHASE_COMPUTE;
		if (c->node < 0 && !c->before)
			g->phase = TRAM_PHASE_COMPUTE;
		g->in_backward = near && near->backward;
		r = tram_graph_node(g, TRAM_OP_COPY, &c->src, 1, NULL);
		if (r < 0)
			goto free;
		c->made = g->nodes.v[r].out[0];
		if (c->node >= 0)
			g->nodes.v[c->node].in[c->k] = c->made;
		else
			g->outputs.v[c->k].value = c->made;
		start[c->before + 1]++;
	}
	/* start[b]: copies that go before any node < b, that is where those before b begin. */
	for (i = 0; i <= n; i++)
		start[i + 1] += start[i];
	for (i = 0; i < n; i++)
		order[i + start[i + 1]] = g->nodes.v[i];
	for (i = 0; i < a->ins.n; i++) {
		at = a->ins.v[i].before;
		order[at + start[at]++] = g->nodes.v[n + i];
	}
	memcpy(g->nodes.v, order, total * sizeof(*order));
	for (i = 0; i < total; i++)
		for (uint32_t k = 0; k < g->nodes.v[i].n_out; k++)
			g->values.v[g->nodes.v[i].out[k]].node = (int32_t)i;
	r = 0;
free:
	g->updated = updated;
	tram_free(g->ctx, order);
	tram_free(g->ctx, start);
	return r < 0 ? r : 0;
}

/* Room for the values that copies add, and each value its own blob. */
static int layout_grow(struct aliaser *a, size_t from, size_t to)
{
	struct tram_layout *lay = a->lay;
	struct tram_ctx *ctx = a->g->ctx;
	void *p;

#define GROW(arr) do { \
		p = tram_realloc(ctx, arr, from * sizeof(*(arr)), (to + 1) * sizeof(*(arr))); \
		if (!p) \
			return -ENOMEM; \
		(arr) = p; \
		memset((arr) + from, 0, (to + 1 - from) * sizeof(*(arr))); \
	} while (0)
	GROW(lay->ref);
	GROW(lay->region);
	GROW(lay->first);
	GROW(lay->last);
	GROW(a->state);
	GROW(a->read);
	GROW(a->gaps);
#undef GROW
	for (size_t i = from; i < to; i++) {
		lay->ref[i] = (struct tram_blob_ref){ (tram_value)i, 0 };
		lay->region[i] = TRAM_REGION_ARENA;
	}
	return 0;
}

/* The copies' places: where their originals were wanted. */
static void place_copies(struct aliaser *a)
{
	struct tram_graph *g = a->g;

	for (size_t j = 0; j < a->ins.n; j++) {
		const struct insertion *c = &a->ins.v[j];

		if (c->node < 0) {
			a->state[c->made] = STATE_OUTPUT;
			a->lay->region[c->made] = TRAM_REGION_OUTPUT;
		}
	}
	for (size_t i = g->nodes.n; i-- > 0;) {
		const struct tram_node *node = &g->nodes.v[i];
		uint64_t bytes = 0;

		if (!a->plan->elided[i])
			continue;
		for (uint32_t k = 0; k < node->n_in; k++) {
			tram_value m = node->in[k];

			if (tram_val(g, m)->node >= 0 && a->state[m] == STATE_FREE &&
			    g->nodes.v[tram_val(g, m)->node].op == TRAM_OP_COPY) {
				a->state[m] = STATE_INSIDE;
				a->lay->ref[m].root = a->lay->ref[node->out[0]].root;
				a->lay->ref[m].offset = a->lay->ref[node->out[0]].offset +
							part_offset(node, k, bytes);
			}
			bytes += tram_plan_bytes(g, m);
		}
	}
}

/* Variables, inputs and views: places that need no choice. */
static void place_rest(struct aliaser *a)
{
	struct tram_graph *g = a->g;
	struct tram_layout *lay = a->lay;

	for (size_t i = 0; i < g->values.n; i++) {
		const struct tram_value_info *v = &g->values.v[i];

		if (v->kind == TRAM_VALUE_NEXT)
			lay->ref[i].root = v->base;
		else if (v->kind == TRAM_VALUE_VAR)
			lay->region[i] = TRAM_REGION_VAR;
		else if (v->kind == TRAM_VALUE_INPUT)
			lay->region[i] = TRAM_REGION_INPUT;
	}
}

/* A blob may have moved into another one since @v was put there. */
static struct tram_blob_ref ref_of(const struct aliaser *a, tram_value v)
{
	const struct tram_value_info *info = tram_val(a->g, v);
	uint64_t offset = 0;
	struct tram_blob_ref *r;

	if (info->kind == TRAM_VALUE_VIEW) {
		offset = info->first * 4;
		v = info->base;
	}
	r = &a->lay->ref[v];
	while (a->lay->ref[r->root].root != r->root) {
		const struct tram_blob_ref *up = &a->lay->ref[r->root];

		r->offset += up->offset;
		r->root = up->root;
	}
	return (struct tram_blob_ref){ r->root, r->offset + offset };
}

static void touch(struct aliaser *a, tram_value v, int32_t node)
{
	tram_value root = ref_of(a, v).root;

	a->lay->first[root] = TRAM_MIN(a->lay->first[root], node);
	a->lay->last[root] = TRAM_MAX(a->lay->last[root], node);
}

static void find_lifetimes(struct aliaser *a)
{
	struct tram_graph *g = a->g;

	for (size_t i = 0; i < g->values.n; i++) {
		a->lay->first[i] = INT32_MAX;
		a->lay->last[i] = -1;
	}
	for (size_t i = 0; i < g->nodes.n; i++) {
		const struct tram_node *node = &g->nodes.v[i];

		for (uint32_t k = 0; k < node->n_in; k++)
			touch(a, node->in[k], (int32_t)i);
		for (uint32_t k = 0; k < node->n_out; k++)
			touch(a, node->out[k], (int32_t)i);
	}
}

/*
 * Whether the result of node @i may take over operand @k: the last use of a whole blob of the same size, which
 * the node sees through no other operand but an identical one.
 */
static bool takes_over(struct aliaser *a, size_t i, uint32_t k)
{
	const struct tram_node *node = &a->g->nodes.v[i];
	struct tram_blob_ref in = ref_of(a, node->in[k]);
	uint64_t size = tram_plan_bytes(a->g, node->out[0]);

	if (a->lay->region[in.root] != TRAM_REGION_ARENA || in.offset || a->gaps[in.root] ||
	    a->lay->last[in.root] != (int32_t)i ||
	    tram_plan_bytes(a->g, node->in[k]) != size ||
	    tram_plan_bytes(a->g, in.root) != size)
		return false;
	for (uint32_t j = 0; j < node->n_in; j++) {
		if (ref_of(a, node->in[j]).root != in.root || j == k)
			continue;
		/* The same elements at the same indices are safe where the op is elementwise. */
		if (node->op != TRAM_OP_EW ||
		    !tram_shape_equal(&tram_val(a->g, node->in[j])->shape,
				      &tram_val(a->g, node->out[0])->shape))
			return false;
	}
	return node->op != TRAM_OP_EW || tram_shape_equal(&tram_val(a->g, node->in[k])->shape,
							  &tram_val(a->g, node->out[0])->shape);
}

/* Blob @from becomes the bytes of @at.root from @at.offset. */
static void merge(struct tram_layout *lay, tram_value from, struct tram_blob_ref at)
{
	lay->ref[from] = at;
	lay->first[at.root] = TRAM_MIN(lay->first[at.root], lay->first[from]);
	lay->last[at.root] = TRAM_MAX(lay->last[at.root], lay->last[from]);
	lay->first[from] = INT32_MAX;
	lay->last[from] = -1;
}

/*
 * Where the result has a place inside a whole, the operand moves there: nobody else writes that part, whatever
 * lives around it.
 */
static void replace_in_place(struct aliaser *a)
{
	struct tram_graph *g = a->g;

	for (size_t i = 0; i < g->nodes.n; i++) {
		const struct tram_node *node = &g->nodes.v[i];
		int want = tram_plan_row(g, node)->inplace;
		struct tram_blob_ref out = ref_of(a, node->out[0]);
		tram_value operand;
		uint32_t k;

		if (want < 0 || a->plan->elided[i] || a->lay->region[out.root] != TRAM_REGION_ARENA)
			continue;
		for (k = 0; k < node->n_in; k++)
			/* Elementwise is so in every operand. */
			if ((node->op == TRAM_OP_EW || (int)k == want) && takes_over(a, i, k))
				break;
		if (k == node->n_in)
			continue;
		operand = ref_of(a, node->in[k]).root;
		assert(operand != out.root);
		if (a->state[node->out[0]] == STATE_FREE)
			merge(a->lay, out.root, (struct tram_blob_ref){ operand, 0 });
		else
			merge(a->lay, operand, out);
	}
}

static void check_phases(const struct tram_graph *g)
{
	for (size_t i = 1; i < g->nodes.n; i++)
		assert(g->nodes.v[i - 1].phase <= g->nodes.v[i].phase);
}

int tram_plan_alias(struct tram_plan *plan, bool no_reuse, struct tram_layout *lay)
{
	struct tram_graph *g = plan->graph;
	struct aliaser a = { .plan = plan, .g = g, .lay = lay };
	size_t n = g->values.n, i;
	bool gaps;
	int r;

	*lay = (struct tram_layout){ 0 };
	r = layout_grow(&a, 0, n);
	if (r)
		goto free;
	r = place_parts(&a);
	if (r)
		goto free;
	mark_reads(&a);
	place_rest(&a);
	r = place_outputs(&a);
	if (r)
		goto free;
	r = make_copies(&a);
	if (!r)
		r = layout_grow(&a, n, g->values.n);
	if (r)
		goto free;
	check_phases(g);
	r = -ENOMEM;
	plan->elided = tram_calloc(g->ctx, g->nodes.n + 1, sizeof(*plan->elided));
	if (!plan->elided)
		goto free;
	for (i = 0; i < g->nodes.n; i++)
		plan->elided[i] = is_whole(g, &g->nodes.v[i], &gaps);
	place_copies(&a);
	find_lifetimes(&a);
	if (!no_reuse)
		replace_in_place(&a);
	for (i = 0; i < g->values.n; i++)
		if (g->values.v[i].kind != TRAM_VALUE_VIEW)
			ref_of(&a, (tram_value)i);	/* settles it */
	for (i = 0; i < g->values.n; i++)
		if (g->values.v[i].kind == TRAM_VALUE_VIEW)
			lay->ref[i] = ref_of(&a, (tram_value)i);
	for (i = 0; i < g->values.n; i++) {
		tram_value root = lay->ref[i].root;

		if (a.gaps[root] || (no_reuse && lay->last[root] >= 0)) {
			lay->first[root] = 0;
			lay->last[root] = (int32_t)g->nodes.n;
		}
	}
	r = 0;
free:
	tram_vec_free(g->ctx, &a.ins);
	tram_free(g->ctx, a.state);
	tram_free(g->ctx, a.read);
	tram_free(g->ctx, a.gaps);
	if (r)
		tram_layout_free(g->ctx, lay);
	return r;
}

void tram_layout_free(struct tram_ctx *ctx, struct tram_layout *lay)
{
	tram_free(ctx, lay->ref);
	tram_free(ctx, lay->region);
	tram_free(ctx, lay->first);
	tram_free(ctx, lay->last);
	*lay = (struct tram_layout){ 0 };
}
