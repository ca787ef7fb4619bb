/* SPDX-License-Identifier: MIT */
/*
 * Operands seen as the loops see them: the few numbers that a kernel needs
 * from the shapes of a call. Shapes are those that the shape rules let through.
 */
#ifndef TRAM_OPS_DIMS_H
#define TRAM_OPS_DIMS_H

#include "graph/graph.h"

/* Product of dimensions [from, to) of @s. */
static inline uint64_t tram_dims_product(const struct tram_shape *s, uint32_t from, uint32_t to)
{
	uint64_t n = 1;

	for (uint32_t i = from; i < to; i++)
		n *= s->dim[i];
	return n;
}

/* [..., C] seen as [rows, C]. */
static inline uint32_t tram_dims_last(const struct tram_shape *s)
{
	return s->dim[s->rank - 1];
}

static inline uint64_t tram_dims_rows(const struct tram_shape *s)
{
	return tram_dims_product(s, 0, s->rank - 1);
}

/*
 * A product op(a)[nb, M, K] x op(b)[nb or 1, K, N]. Where one b serves all of
 * a (b_shared), the leading dimensions of a are rows: nb is 1.
 */
struct tram_matmul_dims { uint32_t nb, m, n, k; bool b_shared; };

static inline struct tram_matmul_dims tram_matmul_dims(const struct tram_shape *a,
						       const struct tram_shape *b, bool ta, bool tb)
{
	uint32_t r = a->rank, q = b->rank;
	uint64_t lead = tram_dims_product(a, 0, r - 2);
	struct tram_matmul_dims d = {
		.m = a->dim[ta ? r - 1 : r - 2], .k = a->dim[ta ? r - 2 : r - 1],
		.n = b->dim[tb ? q - 2 : q - 1], .b_shared = q == 2,
	};

	if (d.b_shared)
		d.m = (uint32_t)(d.m * lead);
	d.nb = d.b_shared ? 1 : (uint32_t)lead;
	return d;
}

/* [outer, len, inner] around @axis. */
struct tram_axis_dims { uint64_t outer, len, inner; };

static inline struct tram_axis_dims tram_axis_dims(const struct tram_shape *s, uint32_t axis)
{
	return (struct tram_axis_dims){ tram_dims_product(s, 0, axis), s->dim[axis],
					tram_dims_product(s, axis + 1, s->rank) };
}

/* Packed projections [B, T, (H + 2 G) * D] of @heads = H, @kv_heads = G. */
struct tram_attention_dims { uint32_t b, t, h, g, d; };

static inline struct tram_attention_dims tram_attention_dims(const struct tram_shape *qkv,
							     uint32_t heads, uint32_t kv_heads)
{
	return (struct tram_attention_dims){ qkv->dim[0], qkv->dim[1], heads, kv_heads,
					     qkv->dim[2] / (heads + 2 * kv_heads) };
}

#endif
