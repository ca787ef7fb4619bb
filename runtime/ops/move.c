/* SPDX-License-Identifier: MIT */
/* Moving elements: TRANSPOSE, SLICE, CONCAT, PACK, COPY. */
#include "ops/ops.h"

/* --- TRANSPOSE -------------------------------------------------------------------- */

tram_value tram_transpose(struct tram_graph *g, tram_value x, const uint32_t *perm)
{
	union tram_attr attr = { 0 };

	if (!tram_graph_has(g, "tram_transpose", &x, 1))
		return TRAM_NONE;
	memcpy(attr.transpose.perm, perm, tram_shape_of(g, x)->rank * sizeof(*perm));
	return tram_graph_node1(g, TRAM_OP_TRANSPOSE, &x, 1, &attr);
}

int tram_shape_transpose(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			 const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "transpose", in, n_in, "f");
	struct tram_shape s, t;
	uint32_t seen = 0;

	if (r)
		return r;
	s = t = *tram_shape_of(g, in[0]);
	for (uint32_t i = 0; i < s.rank; i++) {
		uint32_t p = attr->transpose.perm[i];

		if (p >= s.rank || (seen & (1u << p)))
			return tram_graph_error(g, -EINVAL, "transpose: perm[%u] is %u; it must name each "
						"of %u axes once", i, p, s.rank);
		seen |= 1u << p;
		t.dim[i] = s.dim[p];
	}
	tram_shapes_add(out, TRAM_F32, t);
	return 0;
}

int tram_grad_transpose(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	const uint32_t *perm = g->nodes.v[node].attr.transpose.perm;
	uint32_t inverse[TRAM_MAX_RANK] = { 0 };

	for (uint32_t i = 0; i < tram_shape_of(g, gout[0])->rank; i++)
		inverse[perm[i]] = i;
	gin[0] = tram_transpose(g, gout[0], inverse);
	return g->status;
}

int tram_oracle_transpose(const struct tram_oracle_tensor *in, uint32_t n_in,
			  struct tram_oracle_tensor *out, uint32_t n_out,
			  const union tram_attr *attr, const struct tram_step *step)
{
	const struct tram_shape *s = &in[0].shape, *t = &out[0].shape;
	size_t n = tram_shape_count(t);

	for (size_t at = 0; at < n; at++) {
		size_t index[TRAM_MAX_RANK], rest = at, from = 0;

		for (uint32_t k = t->rank; k-- > 0; rest /= t->dim[k])
			index[attr->transpose.perm[k]] = rest % t->dim[k];
		for (uint32_t k = 0; k < s->rank; k++)
			from = from * s->dim[k] + index[k];
		out[0].f[at] = in[0].f[from];
	}
	return 0;
}

/* --- SLICE -------------------------------------------------------------------------- */

/* What lies together is a view; only a cut across rows moves bytes. */
tram_value tram_slice(struct tram_graph *g, tram_value x, uint32_t axis, uint32_t first,
		      uint32_t count)
{
	union tram_attr attr = { 0 };
	struct tram_shape s;

	if (!tram_graph_has(g, "tram_slice", &x, 1))
		return TRAM_NONE;
	s = *tram_shape_of(g, x);
	if (axis < s.rank && tram_dims_product(&s, 0, axis) == 1 && count &&
	    first <= s.dim[axis] && count <= s.dim[axis] - first) {
		uint64_t inner = tram_dims_product(&s, axis + 1, s.rank);

		s.dim[axis] = count;
		return tram_view(g, x, first * inner, s);
	}
	attr.slice.axis = axis;
	attr.slice.first = first;
	attr.slice.count = count;
	return tram_graph_node1(g, TRAM_OP_SLICE, &x, 1, &attr);
}

int tram_shape_slice(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		     const union tram_attr *attr, struct tram_shapes *out)
{
	uint32_t axis = attr->slice.axis, first = attr->slice.first, count = attr->slice.count;
	int r = tram_check_operands(g, "slice", in, n_in, "f");
	char text[TRAM_SHAPE_TEXT];
	struct tram_shape s;

	if (r)
		return r;
	s = *tram_shape_of(g, in[0]);
	if (axis >= s.rank)
		return tram_graph_error(g, -EINVAL, "slice: axis %u of %s, which has %u", axis,
					tram_shape_text(&s, text), s.rank);
	if (!count || first > s.dim[axis] || count > s.dim[axis] - first)
		return tram_graph_error(g, -EINVAL, "slice: %u from %u on axis %u of %s, limit %u", count,
					first, axis, tram_shape_text(&s, text), s.dim[axis]);
	s.dim[axis] = count;
	tram_shapes_add(out, TRAM_F32, s);
	return 0;
}

static tram_value swap_outer(struct tram_graph *g, tram_value x, uint64_t a, uint64_t b, uint64_t c)
{
	static const uint32_t perm[] = { 1, 0, 2 };

	if (x < 0)
		return x;
	x = tram_reshape(g, x, TRAM_SHAPE((uint32_t)a, (uint32_t)b, (uint32_t)c));
	return a == 1 || b == 1 ? x : tram_transpose(g, x, perm);
}

/*
 * Zeros around dy: with the sliced axis outermost it is a PACK, whose gaps are
 * zero. Chosen over a CONCAT with zero tensors: no op makes those from nothing.
 */
int tram_grad_slice(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	tram_value x = g->nodes.v[node].in[0], dx;
	const union tram_attr attr = g->nodes.v[node].attr;
	struct tram_axis_dims d = tram_axis_dims(tram_shape_of(g, x), attr.slice.axis);
	uint64_t offset = attr.slice.first * d.outer * d.inner;

	dx = swap_outer(g, gout[0], d.outer, attr.slice.count, d.inner);
	dx = tram_pack(g, &dx, &offset, 1, d.outer * d.len * d.inner);
	dx = swap_outer(g, dx, d.len, d.outer, d.inner);
	gin[0] = dx < 0 ? dx : tram_reshape(g, dx, *tram_shape_of(g, x));
	return g->status;
}

int tram_oracle_slice(const struct tram_oracle_tensor *in, uint32_t n_in,
		      struct tram_oracle_tensor *out, uint32_t n_out,
		      const union tram_attr *attr, const struct tram_step *step)
{
	struct tram_axis_dims d = tram_axis_dims(&in[0].shape, attr->slice.axis);

	for (size_t o = 0; o < d.outer; o++)
		for (size_t k = 0; k < attr->slice.count; k++)
			for (size_t i = 0; i < d.inner; i++)
				out[0].f[(o * attr->slice.count + k) * d.inner + i] =
					in[0].f[(o * d.len + attr->slice.first + k) * d.inner + i];
	return 0;
}

/* --- CONCAT -------------------------------------------------------------------------- */

tram_value tram_concat(struct tram_graph *g, const tram_value *x, uint32_t n, uint32_t axis)
{
	union tram_attr attr = { 0 };

	attr.concat.axis = axis;
	if (n == 1 && tram_graph_has(g, "tram_concat", x, 1) && axis < tram_shape_of(g, x[0])->rank)
		return x[0];
	return tram_graph_node1(g, TRAM_OP_CONCAT, x, n, &attr);
}

int tram_shape_concat(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		      const union tram_attr *attr, struct tram_shapes *out)
{
	uint32_t axis = attr->concat.axis;
	char a[TRAM_SHAPE_TEXT], b[TRAM_SHAPE_TEXT];
	struct tram_shape s, t;
	uint64_t len = 0;

	if (!n_in)
		return tram_graph_error(g, -EINVAL, "concat: no operands, at least 1 is needed");
	s = *tram_shape_of(g, in[0]);
	if (axis >= s.rank)
		return tram_graph_error(g, -EINVAL, "concat: axis %u of %s, which has %u", axis,
					tram_shape_text(&s, a), s.rank);
	for (uint32_t i = 0; i < n_in; i++) {
		if (tram_val(g, in[i])->dtype != TRAM_F32)
			return tram_graph_error(g, -EINVAL, "concat: operand %u is i32, f32 is needed",
						i);
		t = *tram_shape_of(g, in[i]);
		if (axis < t.rank) {
			len += t.dim[axis];
			t.dim[axis] = s.dim[axis];
		}
		if (!tram_shape_equal(&s, &t))
			return tram_graph_error(g, -EINVAL, "concat: operand %u is %s, operand 0 is %s; "
						"they may differ on axis %u only", i,
						tram_shape_text(tram_shape_of(g, in[i]), b),
						tram_shape_text(&s, a), axis);
	}
	if (len > UINT32_MAX)
		return tram_graph_error(g, -EINVAL, "concat: %llu on axis %u, limit %u",
					(unsigned long long)len, axis, UINT32_MAX);
	s.dim[axis] = (uint32_t)len;
	tram_shapes_add(out, TRAM_F32, s);
	return 0;
}

int tram_grad_concat(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	const tram_value *in = g->nodes.v[node].in;
	uint32_t n_in = g->nodes.v[node].n_in, axis = g->nodes.v[node].attr.concat.axis, first = 0;

	for (uint32_t i = 0; i < n_in; i++) {
		uint32_t count = tram_shape_of(g, in[i])->dim[axis];

		if (tram_grad_wanted(g, in[i]))
			gin[i] = tram_slice(g, gout[0], axis, first, count);
		first += count;
	}
	return g->status;
}

int tram_oracle_concat(const struct tram_oracle_tensor *in, uint32_t n_in,
		       struct tram_oracle_tensor *out, uint32_t n_out,
		       const union tram_attr *attr, const struct tram_step *step)
{
	struct tram_axis_dims d = tram_axis_dims(&out[0].shape, attr->concat.axis);
	size_t first = 0;

	for (uint32_t j = 0; j < n_in; j++) {
		size_t len = in[j].shape.dim[attr->concat.axis];

		for (size_t o = 0; o < d.outer; o++)
			for (size_t i = 0; i < len * d.inner; i++)
				out[0].f[(o * d.len + first) * d.inner + i] =
					in[j].f[o * len * d.inner + i];
		first += len;
	}
	return 0;
}

/* --- PACK ------------------------------------------------------------------------------ */

tram_value tram_pack(struct tram_graph *g, const tram_value *x, const uint64_t *offsets, uint32_t n,
		     uint64_t total)
{
	union tram_attr attr = { 0 };

	attr.pack.offset = offsets;
	attr.pack.total = total;
	return tram_graph_node1(g, TRAM_OP_PACK, x, n, &attr);
}

int tram_shape_pack(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		    const union tram_attr *attr, struct tram_shapes *out)
{
	uint64_t total = attr->pack.total, end = 0;

	if (!n_in)
		return tram_graph_error(g, -EINVAL, "pack: no operands, at least 1 is needed");
	if (total > UINT32_MAX)
		return tram_graph_error(g, -EINVAL, "pack: %llu elements, limit %u; pack in parts",
					(unsigned long long)total, UINT32_MAX);
	for (uint32_t i = 0; i < n_in; i++) {
		uint64_t first = attr->pack.offset[i];
		uint64_t count = tram_shape_count(tram_shape_of(g, in[i]));

		if (tram_val(g, in[i])->dtype != TRAM_F32)
			return tram_graph_error(g, -EINVAL, "pack: operand %u is i32, f32 is needed", i);
		if (first < end)
			return tram_graph_error(g, -EINVAL, "pack: operand %u starts at %llu, but the one "
						"before ends at %llu", i, (unsigned long long)first,
						(unsigned long long)end);
		if (first > total || count > total - first)
			return tram_graph_error(g, -EINVAL, "pack: operand %u at %llu with %llu elements "
						"passes the end at %llu", i,
						(unsigned long long)first, (unsigned long long)count,
						(unsigned long long)total);
		end = first + count;
	}
	tram_shapes_add(out, TRAM_F32, TRAM_SHAPE((uint32_t)total));
	return 0;
}

int tram_grad_pack(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	const tram_value *in = g->nodes.v[node].in;
	const uint64_t *offset = g->nodes.v[node].attr.pack.offset;
	uint32_t n_in = g->nodes.v[node].n_in;

	for (uint32_t i = 0; i < n_in; i++)
		gin[i] = tram_view(g, gout[0], offset[i], *tram_shape_of(g, in[i]));
	return g->status;
}

int tram_oracle_pack(const struct tram_oracle_tensor *in, uint32_t n_in,
		     struct tram_oracle_tensor *out, uint32_t n_out,
		     const union tram_attr *attr, const struct tram_step *step)
{
	for (size_t i = 0; i < attr->pack.total; i++)
		out[0].f[i] = 0;
	for (uint32_t j = 0; j < n_in; j++)
		for (size_t i = 0; i < tram_shape_count(&in[j].shape); i++)
			out[0].f[attr->pack.offset[j] + i] = in[j].f[i];
	return 0;
}

/* --- COPY ---------------------------------------------------------------------------------- */

int tram_shape_copy(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		    const union tram_attr *attr, struct tram_shapes *out)
{
	if (n_in != 1)
		return tram_graph_error(g, -EINVAL, "copy: %u operands, 1 is needed", n_in);
	tram_shapes_add(out, tram_val(g, in[0])->dtype, *tram_shape_of(g, in[0]));
	return 0;
}

int tram_grad_copy(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	gin[0] = gout[0];
	return 0;
}

int tram_oracle_copy(const struct tram_oracle_tensor *in, uint32_t n_in,
		     struct tram_oracle_tensor *out, uint32_t n_out,
		     const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_shape_count(&in[0].shape);

	for (size_t i = 0; i < n; i++) {
		if (in[0].dtype == TRAM_I32)
			out[0].i[i] = in[0].i[i];
		else
			out[0].f[i] = in[0].f[i];
	}
	return 0;
}
