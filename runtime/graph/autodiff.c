/* SPDX-License-Identifier: MIT */
/*
 * Reverse mode. Nodes are visited from the last to the first; each hands the
 * gradients of its results to the gradient rule of its row, and what that
 * gives for the operands is added to what they have. The order of all
 * additions follows from the graph alone.
 *
 * Views have no node: a gradient that arrives at a view goes on at once to
 * its base (with zeros around it where the view is partial) and to the views
 * of that base that were asked for, which stand for their elements. Models
 * cut one flat variable into such views, so no gradient of its full size arises.
 */
#include "graph/graph.h"

#include <tram/ops.h>

struct tape {
	struct tram_graph *g;
	const tram_value *wrt;
	size_t n_wrt;
	size_t n_values;	/* of the graph before; arrays below have this length */
	bool *asked;		/* the value is in wrt */
	bool *flows;		/* asked, or made by a node with an operand that is wanted */
	bool *wanted;		/* a gradient that arrives here is of use */
	tram_value *acc;	/* the gradient so far */
	int32_t fresh;		/* nodes from here on belong to the visit that is under way */
};

bool tram_grad_wanted(const struct tram_graph *g, tram_value v)
{
	return v >= 0 && (size_t)v < g->n_wanted && g->wanted[v];
}

static bool is_view(const struct tram_value_info *v)
{
	return v->kind == TRAM_VALUE_VIEW;
}

static uint64_t count_of(const struct tram_graph *g, tram_value v)
{
	return tram_shape_count(&tram_val(g, v)->shape);
}

/* --- who wants a gradient ------------------------------------------------------ */

static bool overlap(const struct tram_value_info *a, const struct tram_value_info *b)
{
	return a->first < b->first + tram_shape_count(&b->shape) &&
	       b->first < a->first + tram_shape_count(&a->shape);
}

static bool asked_before(const struct tape *t, size_t k)
{
	for (size_t i = 0; i < k; i++)
		if (t->wrt[i] == t->wrt[k])
			return true;
	return false;
}

/* Whether wrt[k] is a view that shares elements with @v, a view of the same base or the base. */
static bool is_window(const struct tape *t, size_t k, tram_value v)
{
	const struct tram_value_info *i = tram_val(t->g, v), *w = tram_val(t->g, t->wrt[k]);
	tram_value base = is_view(i) ? i->base : v;

	return is_view(w) && w->base == base && (v == base || overlap(i, w)) && !asked_before(t, k);
}

static size_t count_windows(const struct tape *t, tram_value v)
{
	size_t n = 0;

	for (size_t k = 0; k < t->n_wrt; k++)
		n += is_window(t, k, v);
	return n;
}

static bool operand_wanted(const struct tape *t, const struct tram_node *n)
{
	for (uint32_t i = 0; i < n->n_in; i++)
		if (t->wanted[n->in[i]])
			return true;
	return false;
}

/* Values precede what is made from them, so one pass suffices. */
static void mark_wanted(struct tape *t)
{
	for (size_t k = 0; k < t->n_wrt; k++)
		t->asked[t->wrt[k]] = true;
	for (size_t i = 0; i < t->n_values; i++) {
		const struct tram_value_info *v = tram_val(t->g, (tram_value)i);

		if (v->dtype != TRAM_F32)
			continue;
		if (is_view(v))
			t->flows[i] = t->flows[v->base];
		else
			t->flows[i] = t->asked[i] ||
				      (v->node >= 0 && operand_wanted(t, &t->g->nodes.v[v->node]));
		t->wanted[i] = t->flows[i] || t->asked[i] || count_windows(t, (tram_value)i);
	}
}

/* --- accumulation ------------------------------------------------------------------ */

/* Ones as a tensor: 0 * like + 1. A loss that isn't finite has gradients that aren't. */
static tram_value make_ones(struct tram_graph *g, tram_value like)
{
	union tram_attr attr = { 0 };

	attr.ew.n_in = 1;
	attr.ew.n_code = 2;
	attr.ew.code[0] = (struct tram_ew_insn){ .code = TRAM_EW_SCALE, .imm = 0 };
	attr.ew.code[1] = (struct tram_ew_insn){ .code = TRAM_EW_ADDI, .a = TRAM_EW_MAX_IN, .imm = 1 };
	return tram_graph_node1(g, TRAM_OP_EW, &like, 1, &attr);
}

static tram_value as_tensor(struct tram_graph *g, tram_value grad, tram_value like)
{
	return grad == TRAM_ONES ? make_ones(g, like) : grad;
}

/* The value whose bytes @v are, all of them; TRAM_NONE when @v is part of one. */
static tram_value whole(const struct tram_graph *g, tram_value v)
{
	const struct tram_value_info *i = tram_val(g, v);

	if (!is_view(i))
		return v;
	return count_of(g, i->base) == count_of(g, v) ? i->base : TRAM_NONE;
}

static struct tram_node *producer(const struct tram_graph *g, tram_value v, enum tram_op op)
{
	struct tram_node *n;

	if (v == TRAM_NONE || tram_val(g, v)->node < 0)
		return NULL;
	n = &g->nodes.v[tram_val(g, v)->node];
	return n->op == op && n->out[0] == v ? n : NULL;
}

/*
 * The same, if this visit made the node, so that nothing reads its result yet
 * and it may still change what it computes.
 */
static struct tram_node *fresh_producer(const struct tape *t, tram_value v, enum tram_op op)
{
	struct tram_node *n = producer(t->g, v, op);

	return n && n - t->g->nodes.v >= t->fresh ? n : NULL;
}

/* Made before this visit, or never by a node. */
static bool is_old(const struct tape *t, tram_value v)
{
	const struct tram_value_info *i = tram_val(t->g, v);

	return tram_val(t->g, is_view(i) ? i->base : v)->node < t->fresh;
}

/* Nodes have room for one more operand (copy_operands in graph.c). */
static void append_operand(struct tram_node *n, tram_value v)
{
	n->in[n->n_in++] = v;
}

/*
 * LAYERNORM_BWD_X takes the gradient of its operand so far as a last input: on
 * the residual stream of a transformer that saves a pass over the activations.
 */
static bool fold_layernorm(struct tape *t, tram_value so_far, tram_value grad)
{
	tram_value dx = whole(t->g, grad);
	struct tram_node *n = fresh_producer(t, dx, TRAM_OP_LAYERNORM_BWD_X);

	if (!n || n->attr.norm.add || !is_old(t, so_far))
		return false;
	so_far = tram_reshape(t->g, so_far, tram_val(t->g, dx)->shape);
	if (so_far < 0)
		return false;
	append_operand(n, so_far);
	n->attr.norm.add = true;
	return true;
}

/*
 * A table used as embedding and as head (tied): EMBEDDING_BWD adds its few rows
 * onto the head's dense gradient, before the shards are summed, instead of
 * a second dense gradient being made and added. Both are [S, V, C] under a
 * TREE_SUM, or seen as [V, C] when S is 1.
 */
static tram_value per_shard(const struct tram_graph *g, tram_value v)
{
	const struct tram_node *sum = producer(g, v, TRAM_OP_TREE_SUM);

	return sum ? sum->in[0] : whole(g, v);
}

static bool fold_embedding(struct tape *t, tram_value so_far, tram_value grad)
{
	tram_value rows = per_shard(t->g, grad), dense = per_shard(t->g, so_far);
	struct tram_node *n = fresh_producer(t, rows, TRAM_OP_EMBEDDING_BWD);

	if (!n || n->attr.embedding.base || dense == TRAM_NONE || !is_old(t, so_far) ||
	    !tram_shape_equal(&tram_val(t->g, dense)->shape, &tram_val(t->g, rows)->shape))
		return false;
	append_operand(n, dense);
	n->attr.embedding.base = true;
	return true;
}

/* @alone: @grad goes nowhere else, so the node that made it may take over the addition. */
static int accumulate(struct tape *t, tram_value v, tram_value grad, bool alone)
{
	tram_value so_far = t->acc[v];

	if (so_far == TRAM_NONE) {
		t->acc[v] = grad;
		return 0;
	}
	so_far = as_tensor(t->g, so_far, v);
	grad = as_tensor(t->g, grad, v);
	if (so_far < 0 || grad < 0)
		return t->g->status;
	if (alone && (fold_layernorm(t, so_far, grad) || fold_embedding(t, so_far, grad)))
		t->acc[v] = grad;
	else
		t->acc[v] = tram_add(t->g, so_far, grad);
	return t->g->status;
}

/* @grad of elements [first, ...) of something, restricted or padded to those of @to. */
static tram_value fit(struct tram_graph *g, tram_value grad, tram_value from, uint64_t first,
		      tram_value to, uint64_t to_first)
{
	const struct tram_shape shape = tram_val(g, to)->shape;
	uint64_t n = count_of(g, from), to_n = count_of(g, to), offset;

	if (to_first >= first && to_first + to_n <= first + n)
		return grad == TRAM_ONES ? grad : tram_view(g, grad, to_first - first, shape);
	if (first < to_first || first + n > to_first + to_n)
		return tram_graph_fail(g, -EINVAL, "tram_gradients: a view of elements %llu to %llu "
				       "overlaps one of %llu to %llu that was asked for, but neither "
				       "holds the other", (unsigned long long)first,
				       (unsigned long long)(first + n), (unsigned long long)to_first,
				       (unsigned long long)(to_first + to_n));
	grad = as_tensor(g, grad, from);
	offset = first - to_first;
	grad = tram_pack(g, &grad, &offset, 1, to_n);
	return grad < 0 ? grad : tram_reshape(g, grad, shape);
}

/* A gradient of @v arrives: to the views of its base that were asked for, and to the base. */
static int contribute(struct tape *t, tram_value v, tram_value grad)
{
	const struct tram_value_info i = *tram_val(t->g, v);
	tram_value base = is_view(&i) ? i.base : v, part;
	size_t windows = count_windows(t, v);
	bool flows = t->flows[base];
	int r = 0;

	assert(grad == TRAM_ONES || tram_shape_equal(&tram_val(t->g, grad)->shape, &i.shape));
	for (size_t k = 0; windows && !r && k < t->n_wrt; k++) {
		if (!is_window(t, k, v))
			continue;
		part = fit(t->g, grad, v, is_view(&i) ? i.first : 0, t->wrt[k],
			   tram_val(t->g, t->wrt[k])->first);
		r = part == TRAM_NONE ? t->g->status :
		    accumulate(t, t->wrt[k], part, windows == 1 && !flows);
	}
	if (r || !flows)
		return r;
	part = fit(t->g, grad, v, is_view(&i) ? i.first : 0, base, 0);
	return part == TRAM_NONE ? t->g->status : accumulate(t, base, part, !windows);
}

/* --- the sweep ------------------------------------------------------------------------ */

/* Ops whose rules know what to do with TRAM_ONES. */
static bool takes_ones(const struct tram_node *n)
{
	return n->op == TRAM_OP_HEAD_LOSS || n->op == TRAM_OP_TREE_SUM ||
	       (n->op == TRAM_OP_REDUCE && n->attr.reduce.kind == TRAM_REDUCE_SUM);
}

static int visit(struct tape *t, int32_t node)
{
	struct tram_graph *g = t->g;
	const struct tram_node n = g->nodes.v[node];
	const struct tram_op_row *row = &g->ops[n.op];
	tram_value gout[3], *gin;
	bool reached = false;
	int r = 0;

	t->fresh = (int32_t)g->nodes.n;
	for (uint32_t j = 0; j < n.n_out; j++) {
		gout[j] = t->acc[n.out[j]];
		reached |= gout[j] != TRAM_NONE;
	}
	if (!reached || !operand_wanted(t, &n))
		return 0;
	if (!row->grad)
		return tram_graph_error(g, -EINVAL, "tram_gradients: %s has no gradient; leave it out of "
					"the loss", row->name);
	for (uint32_t j = 0; j < n.n_out; j++) {
		if (gout[j] != TRAM_ONES || takes_ones(&n))
			continue;
		gout[j] = make_ones(g, n.out[j]);
		if (gout[j] == TRAM_NONE)
			return g->status;
	}
	gin = tram_alloc(g->ctx, n.n_in * sizeof(*gin));
	if (!gin)
		return tram_graph_error(g, -ENOMEM, "out of memory: gradients of %s", row->name);
	for (uint32_t i = 0; i < n.n_in; i++)
		gin[i] = TRAM_NONE;
	/* Only the first result of an op has a gradient: the others are for its backward. */
	if (gout[0] != TRAM_NONE)
		r = row->grad(g, node, gout, gin);
	for (uint32_t i = 0; !r && i < n.n_in; i++)
		if (gin[i] != TRAM_NONE && t->wanted[n.in[i]])
			r = contribute(t, n.in[i], gin[i]);
	tram_free(g->ctx, gin);
	return r ? r : g->status;
}

static int sweep(struct tape *t, tram_value loss, tram_value *grads)
{
	struct tram_graph *g = t->g;
	int32_t last = (int32_t)g->nodes.n;
	int r;

	mark_wanted(t);
	g->wanted = t->wanted;
	g->n_wanted = t->n_values;
	g->in_backward = true;
	r = t->wanted[loss] ? contribute(t, loss, TRAM_ONES) : 0;
	for (int32_t i = last - 1; !r && i >= 0; i--)
		r = visit(t, i);
	for (size_t k = 0; !r && k < t->n_wrt; k++) {
		grads[k] = as_tensor(g, t->acc[t->wrt[k]], t->wrt[k]);
		r = g->status;
	}
	g->in_backward = false;
	g->wanted = NULL;
	g->n_wanted = 0;
	return r;
}

static int check(struct tram_graph *g, tram_value loss, const tram_value *wrt, size_t n)
{
	if (g->status)
		return g->status;
	if (!tram_graph_has(g, "tram_gradients", &loss, 1) ||
	    !tram_graph_has(g, "tram_gradients", wrt, (uint32_t)n))
		return g->status;
	if (g->phase == TRAM_PHASE_UPDATE)
		return tram_graph_error(g, -EINVAL, "tram_gradients: comes before "
					"tram_graph_begin_update");
	if (tram_val(g, loss)->dtype != TRAM_F32)
		return tram_graph_error(g, -EINVAL, "tram_gradients: the loss is i32, f32 is needed");
	for (size_t i = 0; i < n; i++)
		if (tram_val(g, wrt[i])->dtype != TRAM_F32)
			return tram_graph_error(g, -EINVAL, "tram_gradients: wrt[%zu] is i32, f32 is "
						"needed", i);
	return 0;
}

int tram_gradients(struct tram_graph *g, tram_value loss, const tram_value *wrt, size_t n,
		   tram_value *grads)
{
	struct tape t = { .g = g, .wrt = wrt, .n_wrt = n, .n_values = g->values.n };
	int r;

	for (size_t i = 0; i < n; i++)
		grads[i] = TRAM_NONE;
	r = check(g, loss, wrt, n);
	if (r)
		return r;
	t.acc = tram_alloc(g->ctx, t.n_values * sizeof(*t.acc));
	t.asked = tram_calloc(g->ctx, t.n_values, 3 * sizeof(*t.asked));
	if (!t.acc || !t.asked) {
		r = tram_graph_error(g, -ENOMEM, "out of memory: gradients of %zu values", t.n_values);
		goto out;
	}
	t.flows = t.asked + t.n_values;
	t.wanted = t.flows + t.n_values;
	for (size_t i = 0; i < t.n_values; i++)
		t.acc[i] = TRAM_NONE;
	r = sweep(&t, loss, grads);
	for (size_t i = 0; r && i < n; i++)
		grads[i] = TRAM_NONE;
out:
	tram_free(g->ctx, t.asked);
	tram_free(g->ctx, t.acc);
	return r;
}
