/* SPDX-License-Identifier: MIT */
/*
 * ROPE, rotary position embedding (Su et al. 2021), in the pairing of Hugging
 * Face's models: element i of a head turns together with element i + D/2.
 * Its gradient is the rotation backwards.
 */
#include "ops/ops.h"

#include <math.h>

#include "ops/rope.h"

tram_value tram_rope(struct tram_graph *g, tram_value x, uint32_t heads, uint32_t rotated,
		     float theta, bool at_pos)
{
	union tram_attr attr = { 0 };

	attr.rope.heads = heads;
	attr.rope.rotated = rotated;
	attr.rope.theta = theta;
	attr.rope.at_pos = at_pos;
	return tram_graph_node1(g, TRAM_OP_ROPE, &x, 1, &attr);
}

int tram_shape_rope(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		    const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "rope", in, n_in, "f");
	uint32_t heads = attr->rope.heads, d;
	char text[TRAM_SHAPE_TEXT];
	struct tram_shape x;

	if (r)
		return r;
	x = *tram_shape_of(g, in[0]);
	if (x.rank != 3 || !heads || x.dim[2] % heads)
		return tram_graph_error(g, -EINVAL, "rope: x has shape %s, [B, T, %u heads * D] is "
					"needed", tram_shape_text(&x, text), heads);
	if (!attr->rope.rotated || attr->rope.rotated > heads)
		return tram_graph_error(g, -EINVAL, "rope: %u of %u heads are to be rotated; at least 1 "
					"and at most all", attr->rope.rotated, heads);
	d = x.dim[2] / heads;
	if (d % 2 || d > 2 * TRAM_ROPE_MAX_PAIRS)
		return tram_graph_error(g, -EINVAL, "rope: head size %u; an even one up to %d is needed",
					d, 2 * TRAM_ROPE_MAX_PAIRS);
	if (!(attr->rope.theta >= 1 && attr->rope.theta <= 1e12f))
		return tram_graph_error(g, -EINVAL, "rope: theta is %g, limits 1 and 1e12",
					(double)attr->rope.theta);
	tram_shapes_add(out, TRAM_F32, x);
	return 0;
}

int tram_grad_rope(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	union tram_attr attr = g->nodes.v[node].attr;

	attr.rope.inverse = !attr.rope.inverse;
	gin[0] = tram_graph_node1(g, TRAM_OP_ROPE, gout, 1, &attr);
	return g->status;
}

int tram_oracle_rope(const struct tram_oracle_tensor *in, uint32_t n_in,
		     struct tram_oracle_tensor *out, uint32_t n_out, const union tram_attr *attr,
		     const struct tram_step *step)
{
	const struct tram_shape *s = &in[0].shape;
	size_t rows = tram_dims_rows(s), d = s->dim[2] / attr->rope.heads;

	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < s->dim[2]; c++) {
			double pos = (double)(r % s->dim[1]) + (attr->rope.at_pos ? step->pos : 0);
			const double *x = in[0].f + r * s->dim[2] + c / d * d;
			size_t i = c % d, pair = i % (d / 2);
			double angle = pos * pow((double)attr->rope.theta,
						 -2.0 * (double)pair / (double)d);
			double cosine = cos(angle), sine = sin(attr->rope.inverse ? -angle : angle);
			double *y = &out[0].f[r * s->dim[2] + c];

			if (c / d >= attr->rope.rotated)
				*y = x[i];
			else if (i < d / 2)
				*y = x[i] * cosine - x[i + d / 2] * sine;
			else
				*y = x[i] * cosine + x[i - d / 2] * sine;
		}
	return 0;
}
