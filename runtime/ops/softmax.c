/* SPDX-License-Identifier: MIT */
/* SOFTMAX over the last axis, and its backward. */
#include "ops/ops.h"

#include <math.h>

tram_value tram_softmax(struct tram_graph *g, tram_value x)
{
	return tram_graph_node1(g, TRAM_OP_SOFTMAX, &x, 1, NULL);
}

int tram_shape_softmax(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		       const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "softmax", in, n_in, "f");

	if (!r)
		tram_shapes_add(out, TRAM_F32, *tram_shape_of(g, in[0]));
	return r;
}

int tram_shape_softmax_bwd(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			   const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "softmax_bwd", in, n_in, "ff");

	if (!r)
		r = tram_check_shape(g, "softmax_bwd", in[1], "dy", *tram_shape_of(g, in[0]));
	if (!r)
		tram_shapes_add(out, TRAM_F32, *tram_shape_of(g, in[0]));
	return r;
}

int tram_grad_softmax(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	tram_value in[2] = { g->nodes.v[node].out[0], gout[0] };

	gin[0] = tram_graph_node1(g, TRAM_OP_SOFTMAX_BWD, in, 2, NULL);
	return g->status;
}

int tram_oracle_softmax(const struct tram_oracle_tensor *in, uint32_t n_in,
			struct tram_oracle_tensor *out, uint32_t n_out,
			const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_dims_rows(&in[0].shape), c = tram_dims_last(&in[0].shape);

	for (size_t i = 0; i < n; i++) {
		const double *x = in[0].f + i * c;
		double *y = out[0].f + i * c, max = -INFINITY, sum = 0;

		for (size_t j = 0; j < c; j++)
			max = fmax(max, x[j]);
		for (size_t j = 0; j < c; j++)
			sum += y[j] = exp(x[j] - max);
		for (size_t j = 0; j < c; j++)
			y[j] /= sum;
	}
	return 0;
}

int tram_oracle_softmax_bwd(const struct tram_oracle_tensor *in, uint32_t n_in,
			    struct tram_oracle_tensor *out, uint32_t n_out,
			    const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_dims_rows(&in[0].shape), c = tram_dims_last(&in[0].shape);

	for (size_t i = 0; i < n; i++) {
		const double *y = in[0].f + i * c, *dy = in[1].f + i * c;
		double dot = 0;

		for (size_t j = 0; j < c; j++)
			dot += y[j] * dy[j];
		for (size_t j = 0; j < c; j++)
			out[0].f[i * c + j] = y[j] * (dy[j] - dot);
	}
	return 0;
}
