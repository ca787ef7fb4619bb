/* SPDX-License-Identifier: MIT */
/* Reductions: REDUCE, TREE_SUM, ARGMAX, ISFINITE. */
#include "ops/ops.h"

#include <math.h>

/* --- REDUCE ---------------------------------------------------------------------- */

tram_value tram_reduce_view(struct tram_graph *g, tram_value x, enum tram_reduction kind,
			    uint64_t outer, uint64_t red, uint64_t inner)
{
	union tram_attr attr = { 0 };

	if (x < 0)
		return x;
	if (red == 1)
		return tram_reshape(g, x, TRAM_SHAPE((uint32_t)outer, (uint32_t)inner));
	attr.reduce.kind = kind;
	attr.reduce.outer = outer;
	attr.reduce.red = red;
	attr.reduce.inner = inner;
	x = tram_reshape(g, x, TRAM_SHAPE((uint32_t)outer, (uint32_t)red, (uint32_t)inner));
	return tram_graph_node1(g, TRAM_OP_REDUCE, &x, 1, &attr);
}

tram_value tram_reduce(struct tram_graph *g, tram_value x, enum tram_reduction kind, uint32_t axis,
		       uint32_t n_axes)
{
	struct tram_shape in, out = { .rank = 0 };
	char text[TRAM_SHAPE_TEXT];

	if (!tram_graph_has(g, "tram_reduce", &x, 1))
		return TRAM_NONE;
	in = *tram_shape_of(g, x);
	if (!n_axes || axis >= in.rank || n_axes > in.rank - axis)
		return tram_graph_fail(g, -EINVAL, "tram_reduce: %u axes from axis %u of %s, which has "
				       "%u", n_axes, axis, tram_shape_text(&in, text), in.rank);
	if (kind != TRAM_REDUCE_SUM && kind != TRAM_REDUCE_MAX && kind != TRAM_REDUCE_MEAN)
		return tram_graph_fail(g, -EINVAL, "tram_reduce: kind %d is no enum tram_reduction",
				       (int)kind);
	for (uint32_t i = 0; i < in.rank; i++)
		if (i < axis || i >= axis + n_axes)
			out.dim[out.rank++] = in.dim[i];
	if (!out.rank)
		out.dim[out.rank++] = 1;
	x = tram_reduce_view(g, x, kind, tram_dims_product(&in, 0, axis),
			     tram_dims_product(&in, axis, axis + n_axes),
			     tram_dims_product(&in, axis + n_axes, in.rank));
	return x < 0 ? x : tram_reshape(g, x, out);
}

int tram_shape_reduce(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		      const union tram_attr *attr, struct tram_shapes *out)
{
	uint64_t outer = attr->reduce.outer, red = attr->reduce.red, inner = attr->reduce.inner;
	int r = tram_check_operands(g, "reduce", in, n_in, "f");

	if (r)
		return r;
	if (outer * red * inner != tram_shape_count(tram_shape_of(g, in[0])))
		return tram_graph_error(g, -EINVAL, "reduce: [%llu, %llu, %llu] is no view of the "
					"operand", (unsigned long long)outer,
					(unsigned long long)red, (unsigned long long)inner);
	tram_shapes_add(out, TRAM_F32, TRAM_SHAPE((uint32_t)outer, (uint32_t)inner));
	return 0;
}

/* d/dx of a sum is 1 everywhere, so ones stay ones. */
int tram_grad_reduce(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	tram_value x = g->nodes.v[node].in[0], dy = gout[0];
	const union tram_attr attr = g->nodes.v[node].attr;
	uint32_t outer = (uint32_t)attr.reduce.outer, red = (uint32_t)attr.reduce.red,
		 inner = (uint32_t)attr.reduce.inner;

	if (attr.reduce.kind == TRAM_REDUCE_MAX)
		return tram_graph_error(g, -EINVAL, "tram_gradients: a maximum has no gradient here; "
					"leave it out of the loss");
	if (dy == TRAM_ONES && attr.reduce.kind == TRAM_REDUCE_SUM) {
		gin[0] = TRAM_ONES;
		return 0;
	}
	dy = tram_reshape(g, dy, TRAM_SHAPE(outer, 1, inner));
	dy = tram_broadcast_like(g, dy, tram_reshape(g, x, TRAM_SHAPE(outer, red, inner)),
				 attr.reduce.kind == TRAM_REDUCE_MEAN ? 1.0f / (float)red : 1.0f);
	gin[0] = dy < 0 ? dy : tram_reshape(g, dy, *tram_shape_of(g, x));
	return g->status;
}

int tram_oracle_reduce(const struct tram_oracle_tensor *in, uint32_t n_in,
		       struct tram_oracle_tensor *out, uint32_t n_out,
		       const union tram_attr *attr, const struct tram_step *step)
{
	size_t outer = attr->reduce.outer, red = attr->reduce.red, inner = attr->reduce.inner;

	for (size_t o = 0; o < outer; o++)
		for (size_t i = 0; i < inner; i++) {
			double sum = 0, max = -INFINITY;

			for (size_t k = 0; k < red; k++) {
				double x = in[0].f[(o * red + k) * inner + i];

				sum += x;
				max = x > max || isnan(x) ? x : max;
			}
			if (attr->reduce.kind == TRAM_REDUCE_MEAN)
				sum /= (double)red;
			out[0].f[o * inner + i] = attr->reduce.kind == TRAM_REDUCE_MAX ? max : sum;
		}
	return 0;
}

/* --- TREE_SUM -------------------------------------------------------------------------- */

tram_value tram_tree_sum(struct tram_graph *g, tram_value x)
{
	struct tram_shape s, rest = { .rank = 0 };

	if (!tram_graph_has(g, "tram_tree_sum", &x, 1))
		return TRAM_NONE;
	s = *tram_shape_of(g, x);
	for (uint32_t i = 1; i < s.rank; i++)
		rest.dim[rest.rank++] = s.dim[i];
	if (!rest.rank)
		rest.dim[rest.rank++] = 1;
	if (s.dim[0] == 1)
		return tram_reshape(g, x, rest);
	return tram_graph_node1(g, TRAM_OP_TREE_SUM, &x, 1, NULL);
}

tram_value tram_sum_rows(struct tram_graph *g, const char *who, tram_value x, uint64_t rows)
{
	uint64_t c;

	x = tram_shard_view(g, who, x, rows);
	if (x < 0)
		return x;
	c = tram_dims_last(tram_shape_of(g, x));
	return tram_tree_sum(g, tram_reduce_view(g, x, TRAM_REDUCE_SUM, g->shards,
						 rows / g->shards, c));
}

int tram_shape_tree_sum(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "tree_sum", in, n_in, "f");
	struct tram_shape s, rest = { .rank = 0 };

	if (r)
		return r;
	s = *tram_shape_of(g, in[0]);
	for (uint32_t i = 1; i < s.rank; i++)
		rest.dim[rest.rank++] = s.dim[i];
	if (!rest.rank)
		rest.dim[rest.rank++] = 1;
	tram_shapes_add(out, TRAM_F32, rest);
	return 0;
}

int tram_grad_tree_sum(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	tram_value x = g->nodes.v[node].in[0];
	struct tram_shape s = *tram_shape_of(g, x);

	if (gout[0] == TRAM_ONES) {
		gin[0] = TRAM_ONES;
		return 0;
	}
	s.dim[0] = 1;
	gin[0] = tram_broadcast_like(g, tram_reshape(g, gout[0], s), x, 1);
	return g->status;
}

static double tree(const double *x, size_t n, size_t stride)
{
	size_t left = 1;

	if (n == 1)
		return x[0];
	while (left * 2 < n)
		left *= 2;
	return tree(x, left, stride) + tree(x + left * stride, n - left, stride);
}

int tram_oracle_tree_sum(const struct tram_oracle_tensor *in, uint32_t n_in,
			 struct tram_oracle_tensor *out, uint32_t n_out,
			 const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_shape_count(&out[0].shape);

	for (size_t i = 0; i < n; i++)
		out[0].f[i] = tree(in[0].f + i, in[0].shape.dim[0], n);
	return 0;
}

/* --- ARGMAX ------------------------------------------------------------------------------ */

tram_value tram_argmax(struct tram_graph *g, tram_value x)
{
	return tram_graph_node1(g, TRAM_OP_ARGMAX, &x, 1, NULL);
}

int tram_shape_argmax(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		      const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "argmax", in, n_in, "f");
	struct tram_shape s;

	if (r)
		return r;
	s = *tram_shape_of(g, in[0]);
	if (s.rank > 1)
		s.rank--;
	else
		s.dim[0] = 1;
	tram_shapes_add(out, TRAM_I32, s);
	return 0;
}

int tram_oracle_argmax(const struct tram_oracle_tensor *in, uint32_t n_in,
		       struct tram_oracle_tensor *out, uint32_t n_out,
		       const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_dims_rows(&in[0].shape), c = tram_dims_last(&in[0].shape);

	for (size_t i = 0; i < n; i++) {
		const double *x = in[0].f + i * c;
		size_t best = 0;

		for (size_t j = 1; j < c; j++)
			if (x[j] > x[best])
				best = j;
		out[0].i[i] = (int32_t)best;
	}
	return 0;
}

/* --- ISFINITE ------------------------------------------------------------------------------ */

tram_value tram_isfinite(struct tram_graph *g, tram_value x)
{
	return tram_graph_node1(g, TRAM_OP_ISFINITE, &x, 1, NULL);
}

int tram_shape_isfinite(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "isfinite", in, n_in, "f");

	if (!r)
		tram_shapes_add(out, TRAM_I32, TRAM_SHAPE(1));
	return r;
}

int tram_oracle_isfinite(const struct tram_oracle_tensor *in, uint32_t n_in,
			 struct tram_oracle_tensor *out, uint32_t n_out,
			 const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_shape_count(&in[0].shape);

	out[0].i[0] = 1;
	for (size_t i = 0; i < n; i++)
		if (!isfinite(in[0].f[i]))
			out[0].i[0] = 0;
	return 0;
}
