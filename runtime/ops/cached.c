/* SPDX-License-Identifier: MIT */
/*
 * Attention with a KV cache, for generation: the keys and values of the new
 * tokens go into the cache at the step block's pos, then the queries attend to
 * everything held. Positions past the end of the cache are neither written nor read.
 */
#include "ops/ops.h"

#include <math.h>

tram_value tram_attention_cached(struct tram_graph *g, tram_value qkv, tram_value k_cache,
				 tram_value v_cache, uint32_t heads, uint32_t kv_heads)
{
	tram_value in[3] = { qkv, k_cache, v_cache };
	union tram_attr attr = { 0 };
	int n;

	attr.attention.heads = heads;
	attr.attention.kv_heads = kv_heads;
	n = tram_graph_node(g, TRAM_OP_KV_APPEND, in, 3, &attr);
	if (n < 0)
		return TRAM_NONE;
	in[1] = g->nodes.v[n].out[0];
	in[2] = g->nodes.v[n].out[1];
	return tram_graph_node1(g, TRAM_OP_ATTENTION_CACHED, in, 3, &attr);
}

static int check_cached(struct tram_graph *g, const char *who, const tram_value *in, uint32_t n_in,
			const union tram_attr *attr, struct tram_shape *cache)
{
	uint32_t h = attr->attention.heads, kv = attr->attention.kv_heads, d;
	int r = tram_check_operands(g, who, in, n_in, "fff");
	char a[TRAM_SHAPE_TEXT], b[TRAM_SHAPE_TEXT];
	struct tram_shape qkv;

	if (r)
		return r;
	qkv = *tram_shape_of(g, in[0]);
	*cache = *tram_shape_of(g, in[1]);
	if (!h || !kv || h % kv || h > UINT32_MAX / 4)
		return tram_graph_error(g, -EINVAL, "%s: %u heads with %u key heads; the heads must be a "
					"multiple of the key heads", who, h, kv);
	if (qkv.rank != 3 || cache->rank != 4 || qkv.dim[2] % (h + 2 * kv))
		return tram_graph_error(g, -EINVAL, "%s: qkv %s, cache %s; [B, T, (%u + 2 * %u) * D] and "
					"[B, Tmax, %u, D] are needed", who, tram_shape_text(&qkv, a),
					tram_shape_text(cache, b), h, kv, kv);
	d = qkv.dim[2] / (h + 2 * kv);
	if (d % 4 || d > 128)
		return tram_graph_error(g, -EINVAL, "%s: head size %u; a multiple of 4 up to 128 is "
					"needed", who, d);
	if (qkv.dim[1] > cache->dim[1])
		return tram_graph_error(g, -EINVAL, "%s: %u tokens, but the cache holds %u; feed fewer at "
					"a time", who, qkv.dim[1], cache->dim[1]);
	r = tram_check_shape(g, who, in[1], "k_cache", TRAM_SHAPE(qkv.dim[0], cache->dim[1], kv, d));
	return r ? r : tram_check_shape(g, who, in[2], "v_cache", *cache);
}

int tram_shape_kv_append(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			 const union tram_attr *attr, struct tram_shapes *out)
{
	struct tram_shape cache;
	int r = check_cached(g, "kv_append", in, n_in, attr, &cache);
	uint64_t first;

	if (r)
		return r;
	if (tram_graph_root(g, in[1], &first) == tram_graph_root(g, in[2], &first))
		return tram_graph_error(g, -EINVAL, "kv_append: k_cache and v_cache are one variable");
	tram_shapes_add(out, TRAM_F32, cache);
	tram_shapes_add(out, TRAM_F32, cache);
	return 0;
}

int tram_shape_attention_cached(struct tram_graph *g, const tram_value *in, uint32_t n_in,
				const union tram_attr *attr, struct tram_shapes *out)
{
	struct tram_shape cache;
	int r = check_cached(g, "attention_cached", in, n_in, attr, &cache);

	if (!r)
		tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(cache.dim[0], tram_shape_of(g, in[0])->dim[1],
							  attr->attention.heads * cache.dim[3]));
	return r;
}

int tram_oracle_kv_append(const struct tram_oracle_tensor *in, uint32_t n_in,
			  struct tram_oracle_tensor *out, uint32_t n_out,
			  const union tram_attr *attr, const struct tram_step *step)
{
	struct tram_attention_dims d = tram_attention_dims(&in[0].shape, attr->attention.heads,
							   attr->attention.kv_heads);
	size_t max = out[0].shape.dim[1], row = (size_t)d.g * d.d;

	for (size_t b = 0; b < d.b; b++)
		for (size_t t = 0; t < d.t && step->pos + t < max; t++) {
			const double *token = in[0].f + (b * d.t + t) * (d.h + 2 * d.g) * d.d;
			size_t to = (b * max + step->pos + t) * row;

			for (size_t i = 0; i < row; i++) {
				out[0].f[to + i] = token[d.h * d.d + i];
				out[1].f[to + i] = token[(d.h + d.g) * d.d + i];
			}
		}
	return 0;
}

int tram_oracle_attention_cached(const struct tram_oracle_tensor *in, uint32_t n_in,
				 struct tram_oracle_tensor *out, uint32_t n_out,
				 const union tram_attr *attr, const struct tram_step *step)
{
	struct tram_attention_dims d = tram_attention_dims(&in[0].shape, attr->attention.heads,
							   attr->attention.kv_heads);
	size_t max = in[1].shape.dim[1];

	for (size_t b = 0; b < d.b; b++)
		for (size_t t = 0; t < d.t; t++)
			for (size_t h = 0; h < d.h; h++) {
				const double *q = in[0].f +
					((b * d.t + t) * (d.h + 2 * d.g) + h) * d.d;
				double *y = out[0].f + ((b * d.t + t) * d.h + h) * d.d;
				size_t kv = h / (d.h / d.g), n = TRAM_MIN(step->pos + t + 1, max);
				double top = -INFINITY, sum = 0;

				memset(y, 0, d.d * sizeof(*y));
				/* Twice over the keys: for the maximum, then for the sums. */
				for (int pass = 0; pass < 2; pass++)
					for (size_t u = 0; u < n; u++) {
						size_t at = ((b * max + u) * d.g + kv) * d.d;
						double s = 0;

						for (size_t i = 0; i < d.d; i++)
							s += q[i] * in[1].f[at + i] / sqrt(d.d);
						if (!pass) {
							top = fmax(top, s);
							continue;
						}
						sum += exp(s - top);
						for (size_t i = 0; i < d.d; i++)
							y[i] += exp(s - top) * in[2].f[at + i];
					}
				for (size_t i = 0; i < d.d; i++)
					y[i] /= sum;
			}
	return 0;
}
