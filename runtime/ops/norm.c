/* SPDX-License-Identifier: MIT */
/*
 * LAYERNORM (Ba, Kiros, Hinton 2016) over the last axis, and as its case with
 * no mean and no bias RMSNorm (Zhang, Sennrich 2019). The forward keeps mean
 * and 1/std of each row; the backward of gain and bias sums per shard.
 */
#include "ops/ops.h"

#include <math.h>

tram_value tram_layernorm(struct tram_graph *g, tram_value x, tram_value gain, tram_value bias,
			  float eps)
{
	tram_value in[3] = { x, gain, bias };
	union tram_attr attr = { 0 };

	if (!(eps >= 0))
		return tram_graph_fail(g, -EINVAL, "tram_layernorm: eps is %g, it must not be negative",
				       (double)eps);
	attr.norm.eps = eps;
	attr.norm.shards = g->shards;
	return tram_graph_node1(g, TRAM_OP_LAYERNORM, in, 3, &attr);
}

tram_value tram_rmsnorm(struct tram_graph *g, tram_value x, tram_value gain, float eps)
{
	tram_value in[2] = { x, gain };
	union tram_attr attr = { 0 };

	if (!(eps >= 0))
		return tram_graph_fail(g, -EINVAL, "tram_rmsnorm: eps is %g, it must not be negative",
				       (double)eps);
	attr.norm.eps = eps;
	attr.norm.shards = g->shards;
	attr.norm.rms = true;
	return tram_graph_node1(g, TRAM_OP_LAYERNORM, in, 2, &attr);
}

static const char *who(const union tram_attr *attr)
{
	return attr->norm.rms ? "rmsnorm" : "layernorm";
}

static struct tram_shape stats_shape(const struct tram_shape *x)
{
	return TRAM_SHAPE((uint32_t)tram_dims_rows(x), 2);
}

int tram_shape_layernorm(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			 const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, who(attr), in, n_in, attr->norm.rms ? "ff" : "fff");
	struct tram_shape x, c;

	if (r)
		return r;
	x = *tram_shape_of(g, in[0]);
	c = TRAM_SHAPE(tram_dims_last(&x));
	r = tram_check_shape(g, who(attr), in[1], "gain", c);
	if (!r && !attr->norm.rms)
		r = tram_check_shape(g, who(attr), in[2], "bias", c);
	if (r)
		return r;
	tram_shapes_add(out, TRAM_F32, x);
	tram_shapes_add(out, TRAM_F32, stats_shape(&x));
	return 0;
}

int tram_shape_layernorm_bwd_x(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			       const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "layernorm_bwd_x", in, n_in, attr->norm.add ? "fffff" : "ffff");
	struct tram_shape x;

	if (r)
		return r;
	x = *tram_shape_of(g, in[1]);
	r = tram_check_shape(g, "layernorm_bwd_x", in[0], "dy", x);
	if (!r)
		r = tram_check_shape(g, "layernorm_bwd_x", in[2], "gain",
				     TRAM_SHAPE(tram_dims_last(&x)));
	if (!r)
		r = tram_check_shape(g, "layernorm_bwd_x", in[3], "stats", stats_shape(&x));
	if (!r && attr->norm.add)
		r = tram_check_shape(g, "layernorm_bwd_x", in[4], "add", x);
	if (!r)
		tram_shapes_add(out, TRAM_F32, x);
	return r;
}

int tram_shape_layernorm_bwd_p(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			       const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "layernorm_bwd_p", in, n_in, "fff");
	struct tram_shape x, p;

	if (r)
		return r;
	x = *tram_shape_of(g, in[1]);
	r = tram_check_shape(g, "layernorm_bwd_p", in[0], "dy", x);
	if (!r)
		r = tram_check_shape(g, "layernorm_bwd_p", in[2], "stats", stats_shape(&x));
	if (r)
		return r;
	if (!attr->norm.shards || tram_dims_rows(&x) % attr->norm.shards)
		return tram_graph_error(g, -EINVAL, "tram_gradients: %s: %llu rows can't be cut "
					"into %u shards; make the batch a multiple of the shards",
					who(attr), (unsigned long long)tram_dims_rows(&x), attr->norm.shards);
	p = TRAM_SHAPE(attr->norm.shards, tram_dims_last(&x));
	tram_shapes_add(out, TRAM_F32, p);
	if (!attr->norm.rms)
		tram_shapes_add(out, TRAM_F32, p);
	return 0;
}

int tram_grad_layernorm(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	const tram_value *in = g->nodes.v[node].in;
	tram_value stats = g->nodes.v[node].out[1];
	union tram_attr attr = g->nodes.v[node].attr;
	tram_value for_x[4] = { gout[0], in[0], in[1], stats };
	tram_value for_p[3] = { gout[0], in[0], stats };
	int p;

	attr.norm.add = false;
	if (tram_grad_wanted(g, in[0]))
		gin[0] = tram_graph_node1(g, TRAM_OP_LAYERNORM_BWD_X, for_x, 4, &attr);
	if (tram_grad_wanted(g, in[1]) || (!attr.norm.rms && tram_grad_wanted(g, in[2]))) {
		p = tram_graph_node(g, TRAM_OP_LAYERNORM_BWD_P, for_p, 3, &attr);
		if (p < 0)
			return p;
		gin[1] = tram_tree_sum(g, g->nodes.v[p].out[0]);
		if (!attr.norm.rms)
			gin[2] = tram_tree_sum(g, g->nodes.v[p].out[1]);
	}
	return g->status;
}

int tram_oracle_layernorm(const struct tram_oracle_tensor *in, uint32_t n_in,
			  struct tram_oracle_tensor *out, uint32_t n_out,
			  const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_dims_rows(&in[0].shape), c = tram_dims_last(&in[0].shape);

	for (size_t i = 0; i < n; i++) {
		const double *x = in[0].f + i * c;
		double mean = 0, var = 0, rstd;

		for (size_t j = 0; j < c && !attr->norm.rms; j++)
			mean += x[j] / (double)c;
		for (size_t j = 0; j < c; j++)
			var += (x[j] - mean) * (x[j] - mean) / (double)c;
		rstd = 1 / sqrt(var + (double)attr->norm.eps);
		for (size_t j = 0; j < c; j++)
			out[0].f[i * c + j] = (x[j] - mean) * rstd * in[1].f[j] +
					      (attr->norm.rms ? 0 : in[2].f[j]);
		out[1].f[2 * i] = mean;
		out[1].f[2 * i + 1] = rstd;
	}
	return 0;
}

int tram_oracle_layernorm_bwd_x(const struct tram_oracle_tensor *in, uint32_t n_in,
				struct tram_oracle_tensor *out, uint32_t n_out,
				const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_dims_rows(&in[1].shape), c = tram_dims_last(&in[1].shape);

	for (size_t i = 0; i < n; i++) {
		const double *dy = in[0].f + i * c, *x = in[1].f + i * c, *gain = in[2].f;
		double mean = in[3].f[2 * i], rstd = in[3].f[2 * i + 1];
		double sum = 0, dot = 0;	/* of dxhat, of dxhat * xhat */

		for (size_t j = 0; j < c; j++) {
			sum += attr->norm.rms ? 0 : dy[j] * gain[j];
			dot += dy[j] * gain[j] * (x[j] - mean) * rstd;
		}
		for (size_t j = 0; j < c; j++)
			out[0].f[i * c + j] =
				rstd * (dy[j] * gain[j] - sum / (double)c -
					(x[j] - mean) * rstd * dot / (double)c) +
				(attr->norm.add ? in[4].f[i * c + j] : 0);
	}
	return 0;
}

int tram_oracle_layernorm_bwd_p(const struct tram_oracle_tensor *in, uint32_t n_in,
				struct tram_oracle_tensor *out, uint32_t n_out,
				const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_dims_rows(&in[1].shape), c = tram_dims_last(&in[1].shape);
	size_t shards = attr->norm.shards;

	for (size_t s = 0; s < shards; s++)
		for (size_t j = 0; j < c; j++) {
			double dgain = 0, dbias = 0;

			for (size_t i = s * (n / shards); i < (s + 1) * (n / shards); i++) {
				double dy = in[0].f[i * c + j], x = in[1].f[i * c + j];

				dgain += dy * (x - in[2].f[2 * i]) * in[2].f[2 * i + 1];
				dbias += dy;
			}
			out[0].f[s * c + j] = dgain;
			if (!attr->norm.rms)
				out[1].f[s * c + j] = dbias;
		}
	return 0;
}
