/* SPDX-License-Identifier: MIT */
/*
 * Causal scaled dot-product attention of packed projections, forward and
 * backward. Devices never hold T x T: the backward recomputes the scores from
 * lse (Dao et al. 2022), with delta = rowsum(out * dout) made beforehand.
 */
#include "ops/ops.h"

#include <math.h>

tram_value tram_attention(struct tram_graph *g, tram_value qkv, uint32_t heads, uint32_t kv_heads)
{
	union tram_attr attr = { 0 };

	attr.attention.heads = heads;
	attr.attention.kv_heads = kv_heads;
	return tram_graph_node1(g, TRAM_OP_ATTENTION, &qkv, 1, &attr);
}

/* Head counts and qkv [B, T, (H + 2 G) * D]. */
static int check_qkv(struct tram_graph *g, const char *who, tram_value qkv,
		     const union tram_attr *attr, struct tram_attention_dims *d)
{
	uint32_t h = attr->attention.heads, kv = attr->attention.kv_heads;
	const struct tram_shape *s = tram_shape_of(g, qkv);
	char text[TRAM_SHAPE_TEXT];

	if (!h || !kv || h % kv)
		return tram_graph_error(g, -EINVAL, "%s: %u heads with %u key heads; the heads must be a "
					"multiple of the key heads", who, h, kv);
	if (s->rank != 3)
		return tram_graph_error(g, -EINVAL, "%s: qkv has shape %s, [B, T, (H + 2 G) * D] is "
					"needed", who, tram_shape_text(s, text));
	if (kv > UINT32_MAX / 4 || h > UINT32_MAX / 4 || s->dim[2] % (h + 2 * kv))
		return tram_graph_error(g, -EINVAL, "%s: qkv %s is no multiple of %u + 2 * %u heads in its "
					"last dimension", who, tram_shape_text(s, text), h, kv);
	*d = tram_attention_dims(s, h, kv);
	if (d->d % 4 || d->d > 128)
		return tram_graph_error(g, -EINVAL, "%s: head size %u; a multiple of 4 up to 128 is "
					"needed", who, d->d);
	return 0;
}

int tram_shape_attention(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			 const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "attention", in, n_in, "f");
	struct tram_attention_dims d;

	if (!r)
		r = check_qkv(g, "attention", in[0], attr, &d);
	if (r)
		return r;
	tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(d.b, d.t, d.h * d.d));
	tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(d.b, d.h, d.t));
	return 0;
}

int tram_shape_attention_delta(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			       const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "attention_delta", in, n_in, "ff");
	struct tram_shape s;
	char text[TRAM_SHAPE_TEXT];

	if (r)
		return r;
	s = *tram_shape_of(g, in[0]);
	if (s.rank != 3 || !attr->attention.heads || s.dim[2] % attr->attention.heads)
		return tram_graph_error(g, -EINVAL, "attention_delta: out %s with %u heads",
					tram_shape_text(&s, text), attr->attention.heads);
	r = tram_check_shape(g, "attention_delta", in[1], "dout", s);
	if (!r)
		tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(s.dim[0], attr->attention.heads, s.dim[1]));
	return r;
}

int tram_shape_attention_bwd(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			     const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "attention_bwd", in, n_in, "ffff");
	struct tram_attention_dims d;

	if (!r)
		r = check_qkv(g, "attention_bwd", in[0], attr, &d);
	if (!r)
		r = tram_check_shape(g, "attention_bwd", in[1], "dout",
				     TRAM_SHAPE(d.b, d.t, d.h * d.d));
	if (!r)
		r = tram_check_shape(g, "attention_bwd", in[2], "lse", TRAM_SHAPE(d.b, d.h, d.t));
	if (!r)
		r = tram_check_shape(g, "attention_bwd", in[3], "delta", TRAM_SHAPE(d.b, d.h, d.t));
	if (!r)
		tram_shapes_add(out, TRAM_F32, *tram_shape_of(g, in[0]));
	return r;
}

int tram_grad_attention(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	tram_value qkv = g->nodes.v[node].in[0];
	tram_value out = g->nodes.v[node].out[0], lse = g->nodes.v[node].out[1];
	const union tram_attr attr = g->nodes.v[node].attr;
	tram_value for_delta[2] = { out, gout[0] };
	tram_value delta = tram_graph_node1(g, TRAM_OP_ATTENTION_DELTA, for_delta, 2, &attr);
	tram_value for_qkv[4] = { qkv, gout[0], lse, delta };

	gin[0] = tram_graph_node1(g, TRAM_OP_ATTENTION_BWD, for_qkv, 4, &attr);
	return g->status;
}

/* --- oracles: plain loops over batch, head, query and key ------------------------------- */

/* Where the vector of query head, key head or value head @h of token (b, t) starts. */
static size_t at_q(struct tram_attention_dims d, size_t b, size_t t, size_t h)
{
	return ((b * d.t + t) * (d.h + 2 * d.g) + h) * d.d;
}

static size_t at_k(struct tram_attention_dims d, size_t b, size_t t, size_t h)
{
	return at_q(d, b, t, d.h + h / (d.h / d.g));
}

static size_t at_v(struct tram_attention_dims d, size_t b, size_t t, size_t h)
{
	return at_q(d, b, t, d.h + d.g + h / (d.h / d.g));
}

static double dot(const double *a, const double *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static double score(const double *qkv, struct tram_attention_dims d, size_t b, size_t h, size_t t,
		    size_t u)
{
	return dot(qkv + at_q(d, b, t, h), qkv + at_k(d, b, u, h), d.d) / sqrt(d.d);
}

int tram_oracle_attention(const struct tram_oracle_tensor *in, uint32_t n_in,
			  struct tram_oracle_tensor *out, uint32_t n_out,
			  const union tram_attr *attr, const struct tram_step *step)
{
	struct tram_attention_dims d = tram_attention_dims(&in[0].shape, attr->attention.heads,
							   attr->attention.kv_heads);
	const double *qkv = in[0].f;

	for (size_t b = 0; b < d.b; b++)
		for (size_t h = 0; h < d.h; h++)
			for (size_t t = 0; t < d.t; t++) {
				double *y = out[0].f + ((b * d.t + t) * d.h + h) * d.d;
				double max = -INFINITY, sum = 0;

				for (size_t u = 0; u <= t; u++)
					max = fmax(max, score(qkv, d, b, h, t, u));
				for (size_t i = 0; i < d.d; i++)
					y[i] = 0;
				for (size_t u = 0; u <= t; u++) {
					double p = exp(score(qkv, d, b, h, t, u) - max);

					sum += p;
					for (size_t i = 0; i < d.d; i++)
						y[i] += p * qkv[at_v(d, b, u, h) + i];
				}
				for (size_t i = 0; i < d.d; i++)
					y[i] /= sum;
				out[1].f[(b * d.h + h) * d.t + t] = max + log(sum);
			}
	return 0;
}

int tram_oracle_attention_delta(const struct tram_oracle_tensor *in, uint32_t n_in,
				struct tram_oracle_tensor *out, uint32_t n_out,
				const union tram_attr *attr, const struct tram_step *step)
{
	size_t nb = in[0].shape.dim[0], nt = in[0].shape.dim[1], nh = attr->attention.heads;
	size_t d = in[0].shape.dim[2] / nh;

	for (size_t b = 0; b < nb; b++)
		for (size_t t = 0; t < nt; t++)
			for (size_t h = 0; h < nh; h++) {
				size_t at = ((b * nt + t) * nh + h) * d;

				out[0].f[(b * nh + h) * nt + t] =
					dot(in[0].f + at, in[1].f + at, d);
			}
	return 0;
}

/*
 * With p = softmax of the scores: dv += p dout, dscore = p (dout . v - delta),
 * dq += dscore k / sqrt D, dk += dscore q / sqrt D.
 */
int tram_oracle_attention_bwd(const struct tram_oracle_tensor *in, uint32_t n_in,
			      struct tram_oracle_tensor *out, uint32_t n_out,
			      const union tram_attr *attr, const struct tram_step *step)
{
	struct tram_attention_dims d = tram_attention_dims(&in[0].shape, attr->attention.heads,
							   attr->attention.kv_heads);
	size_t n = tram_shape_count(&in[0].shape);
	const double *qkv = in[0].f;
	double *dqkv = out[0].f;

	for (size_t i = 0; i < n; i++)
		dqkv[i] = 0;
	for (size_t b = 0; b < d.b; b++)
		for (size_t h = 0; h < d.h; h++)
			for (size_t t = 0; t < d.t; t++)
				for (size_t u = 0; u <= t; u++) {
					const double *dy = in[1].f + ((b * d.t + t) * d.h + h) * d.d;
					size_t row = (b * d.h + h) * d.t + t;
					size_t q = at_q(d, b, t, h), k = at_k(d, b, u, h);
					size_t v = at_v(d, b, u, h);
					double p = exp(score(qkv, d, b, h, t, u) - in[2].f[row]);
					double ds = p * (dot(dy, qkv + v, d.d) - in[3].f[row]) /
						    sqrt(d.d);

					for (size_t i = 0; i < d.d; i++) {
						dqkv[v + i] += p * dy[i];
						dqkv[q + i] += ds * qkv[k + i];
						dqkv[k + i] += ds * qkv[q + i];
					}
				}
	return 0;
}
