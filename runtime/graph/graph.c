/* SPDX-License-Identifier: MIT */
/*
 * Building a graph: values, views, nodes, shapes. What a node means is in the
 * op table (ops/table.c); gradients are in autodiff.c, the text form in dump.c.
 */
#include "graph/graph.h"

#include <stdio.h>

#include <tram/ops.h>

/* Element indices of one tensor fit 32 bits in every kernel. */
#define MAX_ELEMENTS UINT32_MAX

int tram_graph_create_with(struct tram_ctx *ctx, const struct tram_op_row *ops,
			   const struct tram_graph_params *params, struct tram_graph **out)
{
	struct tram_graph *g;

	*out = NULL;
	g = tram_zalloc(ctx, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->ctx = ctx;
	g->ops = ops;
	g->shards = params && params->shards ? params->shards : 1;
	*out = g;
	return 0;
}

static void node_finish(struct tram_graph *g, struct tram_node *n)
{
	if (n->op == TRAM_OP_PACK)
		tram_free(g->ctx, (void *)n->attr.pack.offset);
	tram_free(g->ctx, n->in);
	tram_free(g->ctx, n->out);
}

void tram_graph_destroy(struct tram_graph **gp)
{
	struct tram_graph *g = *gp;

	*gp = NULL;
	if (!g)
		return;
	for (size_t i = 0; i < g->values.n; i++)
		tram_free(g->ctx, g->values.v[i].name);
	for (size_t i = 0; i < g->nodes.n; i++)
		node_finish(g, &g->nodes.v[i]);
	for (size_t i = 0; i < g->outputs.n; i++)
		tram_free(g->ctx, g->outputs.v[i].name);
	tram_vec_free(g->ctx, &g->values);
	tram_vec_free(g->ctx, &g->nodes);
	tram_vec_free(g->ctx, &g->outputs);
	tram_free(g->ctx, g);
}

int tram_graph_status(const struct tram_graph *g)
{
	return g->status;
}

void tram_graph_begin_update(struct tram_graph *g)
{
	g->phase = TRAM_PHASE_UPDATE;
}

/* --- failures ---------------------------------------------------------------- */

static int vfail(struct tram_graph *g, int err, const char *fmt, va_list ap)
{
	char text[512];

	if (g->status)
		return err;
	g->status = err;
	vsnprintf(text, sizeof(text), fmt, ap);
	tram_fail(g->ctx, err, "%s", text);
	return err;
}

tram_value tram_graph_fail(struct tram_graph *g, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfail(g, err, fmt, ap);
	va_end(ap);
	return TRAM_NONE;
}

int tram_graph_error(struct tram_graph *g, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfail(g, err, fmt, ap);
	va_end(ap);
	return err;
}

/* The allocator has left the message; the graph only keeps the errno. */
static int no_memory(struct tram_graph *g)
{
	if (!g->status)
		g->status = -ENOMEM;
	return -ENOMEM;
}

bool tram_graph_has(struct tram_graph *g, const char *who, const tram_value *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (v[i] >= 0 && (size_t)v[i] < g->values.n)
			continue;
		tram_graph_error(g, -EINVAL, "%s: operand %u is %d, which is no value of this graph "
				 "(it has %zu)", who, i, v[i], g->values.n);
		return false;
	}
	return true;
}

/* --- shapes -------------------------------------------------------------------- */

bool tram_shape_equal(const struct tram_shape *a, const struct tram_shape *b)
{
	return a->rank == b->rank && !memcmp(a->dim, b->dim, a->rank * sizeof(a->dim[0]));
}

int tram_shape_broadcast(const struct tram_shape *a, const struct tram_shape *b,
			 struct tram_shape *out)
{
	uint32_t rank = TRAM_MAX(a->rank, b->rank);
	struct tram_shape s = { .rank = rank };

	for (uint32_t i = 0; i < rank; i++) {
		/* Shapes are aligned at their last dimension. */
		uint32_t x = i + a->rank < rank ? 1 : a->dim[i + a->rank - rank];
		uint32_t y = i + b->rank < rank ? 1 : b->dim[i + b->rank - rank];

		if (x != y && x != 1 && y != 1)
			return -EINVAL;
		s.dim[i] = x == 1 ? y : x;
	}
	*out = s;
	return 0;
}

const char *tram_shape_text(const struct tram_shape *s, char buf[TRAM_SHAPE_TEXT])
{
	size_t n = (size_t)snprintf(buf, TRAM_SHAPE_TEXT, "[");

	for (uint32_t i = 0; i < s->rank && i < TRAM_MAX_RANK; i++)
		n += (size_t)snprintf(buf + n, TRAM_SHAPE_TEXT - n, i ? ", %u" : "%u", s->dim[i]);
	snprintf(buf + n, TRAM_SHAPE_TEXT - n, "]");
	return buf;
}

static int check_shape(struct tram_graph *g, const char *who, const struct tram_shape *s)
{
	char text[TRAM_SHAPE_TEXT];
	uint64_t n = 1;

	if (s->rank < 1 || s->rank > TRAM_MAX_RANK)
		return tram_graph_error(g, -EINVAL, "%s: rank %u, limits 1 and %d", who, s->rank,
					TRAM_MAX_RANK);
	for (uint32_t i = 0; i < s->rank; i++) {
		if (!s->dim[i])
			return tram_graph_error(g, -EINVAL, "%s: shape %s: dimension %u is 0, "
						"at least 1 is needed", who,
						tram_shape_text(s, text), i);
		if (tram_mul_overflow(n, s->dim[i], &n) || n > MAX_ELEMENTS)
			return tram_graph_error(g, -EINVAL, "%s: shape %s has more than %u elements; "
						"cut it into smaller tensors", who,
						tram_shape_text(s, text), MAX_ELEMENTS);
	}
	return 0;
}

struct tram_shape tram_value_shape(const struct tram_graph *g, tram_value v)
{
	struct tram_shape none = { .rank = 0 };

	return v >= 0 && (size_t)v < g->values.n ? g->values.v[v].shape : none;
}

/* --- values --------------------------------------------------------------------- */

/* Takes @info.name over, whether it succeeds or not. */
static tram_value add_value(struct tram_graph *g, struct tram_value_info info)
{
	if (tram_vec_push(g->ctx, &g->values, info)) {
		tram_free(g->ctx, info.name);
		no_memory(g);
		return TRAM_NONE;
	}
	return (tram_value)(g->values.n - 1);
}

static tram_value find_name(const struct tram_graph *g, const char *name)
{
	for (size_t i = 0; i < g->values.n; i++)
		if (g->values.v[i].name && !strcmp(g->values.v[i].name, name))
			return (tram_value)i;
	return TRAM_NONE;
}

static bool find_output(const struct tram_graph *g, const char *name)
{
	for (size_t i = 0; i < g->outputs.n; i++)
		if (!strcmp(g->outputs.v[i].name, name))
			return true;
	return false;
}

static tram_value add_named(struct tram_graph *g, enum tram_value_kind kind, const char *name,
			    enum tram_dtype dtype, const struct tram_shape *shape)
{
	struct tram_value_info info = {
		.kind = kind, .dtype = dtype, .shape = *shape, .node = -1, .base = TRAM_NONE,
	};

	info.name = tram_strdup(g->ctx, name);
	if (!info.name) {
		no_memory(g);
		return TRAM_NONE;
	}
	return add_value(g, info);
}

tram_value tram_input(struct tram_graph *g, const char *name, enum tram_dtype dtype,
		      struct tram_shape shape)
{
	if (!name || !name[0])
		return tram_graph_fail(g, -EINVAL, "tram_input: it needs a name");
	if (dtype != TRAM_F32 && dtype != TRAM_I32)
		return tram_graph_fail(g, -EINVAL, "tram_input \"%s\": dtype %d is neither TRAM_F32 "
				       "nor TRAM_I32", name, (int)dtype);
	if (check_shape(g, name, &shape))
		return TRAM_NONE;
	if (find_name(g, name) != TRAM_NONE || find_output(g, name))
		return tram_graph_fail(g, -EEXIST, "tram_input \"%s\": the graph has this name "
				       "already; take another", name);
	return add_named(g, TRAM_VALUE_INPUT, name, dtype, &shape);
}

tram_value tram_variable(struct tram_graph *g, const char *name, struct tram_shape shape)
{
	char was[TRAM_SHAPE_TEXT], is[TRAM_SHAPE_TEXT];
	tram_value v;

	if (!name || !name[0])
		return tram_graph_fail(g, -EINVAL, "tram_variable: it needs a name");
	if (check_shape(g, name, &shape))
		return TRAM_NONE;
	if (find_output(g, name))
		return tram_graph_fail(g, -EEXIST, "tram_variable \"%s\": an output has this name; "
				       "take another", name);
	v = find_name(g, name);
	if (v == TRAM_NONE)
		return add_named(g, TRAM_VALUE_VAR, name, TRAM_F32, &shape);
	if (tram_val(g, v)->kind != TRAM_VALUE_VAR)
		return tram_graph_fail(g, -EEXIST, "tram_variable \"%s\": an input has this name; "
				       "take another", name);
	if (!tram_shape_equal(&tram_val(g, v)->shape, &shape))
		return tram_graph_fail(g, -EINVAL, "tram_variable \"%s\": shape %s, but it was made "
				       "with %s; view it instead", name, tram_shape_text(&shape, is),
				       tram_shape_text(&tram_val(g, v)->shape, was));
	return v;
}

int tram_output(struct tram_graph *g, const char *name, tram_value value)
{
	struct tram_output o = { .value = value };

	if (!tram_graph_has(g, "tram_output", &value, 1))
		return g->status;
	if (!name || !name[0])
		return tram_graph_error(g, -EINVAL, "tram_output: it needs a name");
	if (find_output(g, name) || find_name(g, name) != TRAM_NONE)
		return tram_graph_error(g, -EEXIST, "tram_output \"%s\": the graph has this name "
					"already; take another", name);
	o.name = tram_strdup(g->ctx, name);
	if (!o.name)
		return no_memory(g);
	if (tram_vec_push(g->ctx, &g->outputs, o)) {
		tram_free(g->ctx, o.name);
		return no_memory(g);
	}
	return 0;
}

tram_value tram_reshape(struct tram_graph *g, tram_value x, struct tram_shape shape)
{
	char from[TRAM_SHAPE_TEXT], to[TRAM_SHAPE_TEXT];
	const struct tram_shape *s;

	if (!tram_graph_has(g, "tram_reshape", &x, 1) || check_shape(g, "tram_reshape", &shape))
		return TRAM_NONE;
	s = &tram_val(g, x)->shape;
	if (tram_shape_count(s) != tram_shape_count(&shape))
		return tram_graph_fail(g, -EINVAL, "tram_reshape: %s has %llu elements, %s has %llu",
				       tram_shape_text(s, from),
				       (unsigned long long)tram_shape_count(s),
				       tram_shape_text(&shape, to),
				       (unsigned long long)tram_shape_count(&shape));
	return tram_view(g, x, 0, shape);
}

/*
 * A view is of the bytes' owner, never of a view, and two equal views are one
 * value: so uses of a parameter through views meet in one gradient.
 */
tram_value tram_view(struct tram_graph *g, tram_value x, uint64_t first, struct tram_shape shape)
{
	struct tram_value_info info = { .kind = TRAM_VALUE_VIEW, .shape = shape, .node = -1 };
	const struct tram_value_info *v;
	char text[TRAM_SHAPE_TEXT];
	uint64_t count, end;

	if (!tram_graph_has(g, "tram_view", &x, 1) || check_shape(g, "tram_view", &shape))
		return TRAM_NONE;
	v = tram_val(g, x);
	count = tram_shape_count(&v->shape);
	if (tram_add_overflow(first, tram_shape_count(&shape), &end) || end > count)
		return tram_graph_fail(g, -EINVAL, "tram_view: %s from element %llu passes the end of "
				       "%llu elements", tram_shape_text(&shape, text),
				       (unsigned long long)first, (unsigned long long)count);
	info.dtype = v->dtype;
	info.base = x;
	info.first = first;
	if (v->kind == TRAM_VALUE_VIEW) {
		info.base = v->base;
		info.first += v->first;
	}
	if (info.first == 0 && tram_shape_equal(&tram_val(g, info.base)->shape, &shape))
		return info.base;
	for (size_t i = (size_t)info.base + 1; i < g->values.n; i++) {
		const struct tram_value_info *w = &g->values.v[i];

		if (w->kind == TRAM_VALUE_VIEW && w->base == info.base && w->first == info.first &&
		    tram_shape_equal(&w->shape, &shape))
			return (tram_value)i;
	}
	return add_value(g, info);
}

tram_value tram_graph_root(const struct tram_graph *g, tram_value v, uint64_t *first)
{
	const struct tram_value_info *i = tram_val(g, v);

	*first = 0;
	if (i->kind == TRAM_VALUE_VIEW) {
		*first = i->first;
		v = i->base;
		i = tram_val(g, v);
	}
	return i->kind == TRAM_VALUE_NEXT ? i->base : v;
}

/* --- nodes ----------------------------------------------------------------------- */

/*
 * A variable is one storage: once a node has written it, the value before is
 * gone, and a node that still names it would read the new bytes.
 */
static int check_fresh(struct tram_graph *g, const char *op, tram_value x)
{
	uint64_t first;
	tram_value held = tram_val(g, x)->kind == TRAM_VALUE_VIEW ? tram_val(g, x)->base : x;
	tram_value root = tram_graph_root(g, x, &first);

	if (!g->updated || tram_val(g, root)->kind != TRAM_VALUE_VAR)
		return 0;
	for (size_t i = (size_t)held + 1; i < g->values.n; i++)
		if (g->values.v[i].kind == TRAM_VALUE_NEXT && g->values.v[i].base == root)
			return tram_graph_error(g, -EINVAL, "%s: reads variable \"%s\" as it was before "
						"%s wrote it; build the reader first, or read what "
						"the update returned", op, tram_val(g, root)->name,
						g->ops[g->nodes.v[g->values.v[i].node].op].name);
	return 0;
}

/* The storage that output @j writes when it updates input @x. */
static tram_value updated_variable(struct tram_graph *g, const char *op, tram_value x)
{
	const struct tram_value_info *v = tram_val(g, x);

	if (v->kind == TRAM_VALUE_VAR)
		return x;
	if (v->kind == TRAM_VALUE_NEXT)
		return v->base;
	return tram_graph_fail(g, -EINVAL, "%s: writes in place to a value that is no variable; "
			       "pass what tram_variable returned", op);
}

static int copy_operands(struct tram_graph *g, struct tram_node *n, const tram_value *in,
			 const union tram_attr *attr, uint32_t n_out)
{
	n->in = tram_calloc(g->ctx, n->n_in + 1, sizeof(*n->in));	/* one more: see autodiff.c */
	n->out = tram_calloc(g->ctx, n_out, sizeof(*n->out));
	if (!n->in || !n->out)
		return no_memory(g);
	memcpy(n->in, in, n->n_in * sizeof(*in));
	if (n->op == TRAM_OP_PACK) {
		uint64_t *offset = tram_calloc(g->ctx, n->n_in, sizeof(*offset));

		n->attr.pack.offset = offset;
		if (!offset)
			return no_memory(g);
		memcpy(offset, attr->pack.offset, n->n_in * sizeof(*offset));
	}
	return 0;
}

int tram_graph_node(struct tram_graph *g, enum tram_op op, const tram_value *in, uint32_t n_in,
		    const union tram_attr *attr)
{
	static const union tram_attr none;
	const struct tram_op_row *row = &g->ops[op];
	struct tram_shapes shapes = { .n = 0 };
	struct tram_value_info info[3];
	struct tram_node n = {
		.op = op, .phase = g->phase, .backward = g->in_backward, .n_in = n_in,
	};
	int r;

	assert(op > TRAM_OP_NONE && op < TRAM_OP_COUNT && row->name);
	attr = attr ? attr : &none;
	if (!tram_graph_has(g, row->name, in, n_in))
		return g->status;
	r = row->shape(g, in, n_in, attr, &shapes);
	if (r)
		return r;
	for (uint32_t i = 0; i < n_in; i++) {
		r = check_fresh(g, row->name, in[i]);
		if (r)
			return r;
	}
	for (uint32_t j = 0; j < shapes.n; j++) {
		info[j] = (struct tram_value_info){
			.kind = TRAM_VALUE_TEMP, .dtype = shapes.dtype[j], .shape = shapes.shape[j],
			.node = (int32_t)g->nodes.n, .base = TRAM_NONE,
		};
		r = check_shape(g, row->name, &info[j].shape);
		if (r)
			return r;
		if (!row->updates[j])
			continue;
		info[j].kind = TRAM_VALUE_NEXT;
		info[j].base = updated_variable(g, row->name, in[row->updates[j] - 1]);
		if (info[j].base == TRAM_NONE)
			return g->status;
	}

	/* Fallible work first: nothing is published before all memory is there. */
	n.attr = *attr;
	n.n_out = shapes.n;
	if (n.op == TRAM_OP_PACK)
		n.attr.pack.offset = NULL;
	r = copy_operands(g, &n, in, attr, shapes.n);
	if (!r && (tram_vec_reserve(g->ctx, &g->nodes, 1) ||
		   tram_vec_reserve(g->ctx, &g->values, shapes.n)))
		r = no_memory(g);
	if (r) {
		node_finish(g, &n);
		return r;
	}
	for (uint32_t j = 0; j < shapes.n; j++) {
		n.out[j] = (tram_value)g->values.n;
		g->values.v[g->values.n++] = info[j];
		g->updated |= info[j].kind == TRAM_VALUE_NEXT;
	}
	g->nodes.v[g->nodes.n++] = n;
	return (int)(g->nodes.n - 1);
}

tram_value tram_graph_node1(struct tram_graph *g, enum tram_op op, const tram_value *in,
			    uint32_t n_in, const union tram_attr *attr)
{
	int n = tram_graph_node(g, op, in, n_in, attr);

	return n < 0 ? TRAM_NONE : g->nodes.v[n].out[0];
}
