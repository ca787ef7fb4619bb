/* SPDX-License-Identifier: MIT */
/*
 * ROPE, ATTENTION, its delta, its backward, and ATTENTION_CACHED, which is the forward over other
 * addresses. Attention has two variants: on lavapipe a lane is a query (or a key, for dk and
 * dv) and a workgroup is one subgroup; elsewhere tiles go through workgroup memory. What decides the
 * order of a sum (BLOCK) is a function of the head size and the class alone.
 */
#include "device/vk/lower.h"

#include <math.h>

#include "ops/rope.h"

#define WIDTH 128	/* invocations of a generic workgroup */

struct tile { uint32_t own, block; };

static uint32_t forward_bytes(struct tile t, uint32_t d)
{
	return (t.own + 2 * t.block) * (d / 4 + 1) * 16 + t.own * t.block * 4 + 3 * t.own * 4;
}

static uint32_t backward_bytes(struct tile t, uint32_t d)
{
	return (2 * t.own + 2 * t.block) * (d / 4 + 1) * 16 + 2 * t.own * t.block * 4;
}

/* The largest tile whose @bytes fit into a workgroup's memory. */
static struct tile generic_tile(const struct tram_vk_class *c, uint32_t d,
				uint32_t (*bytes)(struct tile, uint32_t))
{
	struct tile t = { 16, 32 };

	while (bytes(t, d) > c->max_shared && t.own > 1)
		*(t.block > t.own ? &t.block : &t.own) /= 2;
	return t;
}

/* Layout as attention.comp and attention_lavapipe.comp declare it. */
struct forward {
	uint64_t qkv, k, v, out, lse;
	uint32_t kv_row, t, keys, heads, kv_heads;
	float scale;
};

static int lower_forward(struct tram_vk_emit *e, const struct tram_call *call,
			 const struct tram_attention_dims *d, const struct forward *args, bool cached)
{
	const struct tram_vk_class *c = tram_vk_emit_class(e);
	struct tile t = generic_tile(c, d->d, forward_bytes);
	uint32_t lanes[] = { c->subgroup, d->d, d->d <= 64 ? 8 : 4, cached };
	uint32_t tiles[] = { WIDTH, d->d, t.own, t.block, cached };

	if (c->lavapipe)
		return tram_vk_dispatch(e, TRAM_VK_SHADER_ATTENTION_LAVAPIPE, lanes,
					TRAM_ARRAY_SIZE(lanes), args, sizeof(*args),
					TRAM_DIV_UP(d->t, c->subgroup), d->h, d->b, call->barrier);
	while (tiles[2] / 2 >= d->t)
		tiles[2] /= 2;
	return tram_vk_dispatch(e, TRAM_VK_SHADER_ATTENTION, tiles, TRAM_ARRAY_SIZE(tiles), args,
				sizeof(*args), TRAM_DIV_UP(d->t, tiles[2]), d->h, d->b,
				call->barrier);
}

int tram_vk_lower_attention(struct tram_vk_emit *e, const struct tram_call *call)
{
	const union tram_attr *attr = call->attr;
	struct tram_attention_dims d = tram_attention_dims(&call->in[0].shape, attr->attention.heads,
							   attr->attention.kv_heads);
	uint64_t qkv = tram_vk_address(&call->in[0]);
	struct forward args = {
		.qkv = qkv, .k = qkv + (uint64_t)d.h * d.d * 4,
		.v = qkv + (uint64_t)(d.h + d.g) * d.d * 4,
		.out = tram_vk_address(&call->out[0]), .lse = tram_vk_address(&call->out[1]),
		.kv_row = (d.h + 2 * d.g) * d.d,
		.t = d.t, .keys = d.t, .heads = d.h, .kv_heads = d.g, .scale = 1 / sqrtf(d.d),
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : lower_forward(e, call, &d, &args, false);
}

int tram_vk_lower_attention_cached(struct tram_vk_emit *e, const struct tram_call *call)
{
	const union tram_attr *attr = call->attr;
	struct tram_attention_dims d = tram_attention_dims(&call->in[0].shape, attr->attention.heads,
							   attr->attention.kv_heads);
	struct forward args = {
		.qkv = tram_vk_address(&call->in[0]), .k = tram_vk_address(&call->in[1]),
		.v = tram_vk_address(&call->in[2]), .out = tram_vk_address(&call->out[0]),
		.kv_row = d.g * d.d,
		.t = d.t, .keys = call->in[1].shape.dim[1], .heads = d.h, .kv_heads = d.g,
		.scale = 1 / sqrtf(d.d),
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : lower_forward(e, call, &d, &args, true);
}

int tram_vk_lower_rope(struct tram_vk_emit *e, const struct tram_call *call)
{
	const struct tram_shape *s = &call->in[0].shape;
	const union tram_attr *attr = call->attr;
	uint32_t d = s->dim[2] / attr->rope.heads, width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint32_t spec[] = { width, attr->rope.at_pos, attr->rope.inverse,
			    tram_vk_same(&call->in[0], &call->out[0]) };
	struct {
		uint64_t x, y;
		uint32_t count, t, heads, rotated, pairs, frequency[2 * TRAM_ROPE_MAX_PAIRS];
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]),
		s->dim[0] * s->dim[1] * (d / 2), s->dim[1], attr->rope.heads, attr->rope.rotated,
		d / 2, { 0 },
	};
	int r = tram_vk_check_sizes(call);

	for (uint32_t i = 0; i < d / 2; i++) {
		uint64_t f = tram_rope_frequency(attr->rope.theta, i, d);

		args.frequency[2 * i] = (uint32_t)(f >> 32);
		args.frequency[2 * i + 1] = (uint32_t)f;
	}
	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_ROPE, spec, TRAM_ARRAY_SIZE(spec), &args,
				      sizeof(args), TRAM_DIV_UP(args.count, width), call->barrier);
}

int tram_vk_lower_kv_append(struct tram_vk_emit *e, const struct tram_call *call)
{
	const union tram_attr *attr = call->attr;
	struct tram_attention_dims d = tram_attention_dims(&call->in[0].shape, attr->attention.heads,
							   attr->attention.kv_heads);
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	struct {
		uint64_t qkv, k_cache, v_cache;
		uint32_t count, t, keys, q, kv;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]),
		tram_vk_address(&call->out[1]), d.b * d.t * d.g * d.d, d.t,
		call->out[0].shape.dim[1], d.h * d.d, d.g * d.d,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_KV_APPEND, &width, 1, &args,
				      sizeof(args), TRAM_DIV_UP(args.count, width), call->barrier);
}

int tram_vk_lower_attention_delta(struct tram_vk_emit *e, const struct tram_call *call)
{
	const struct tram_shape *s = &call->in[0].shape;
	uint32_t heads = call->attr->attention.heads, rows = 16;
	uint32_t spec[] = { tram_vk_emit_class(e)->subgroup, rows };
	struct {
		uint64_t out, dout, delta;
		uint32_t rows, t, heads, d;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->out[0]), s->dim[0] * s->dim[1] * heads, s->dim[1], heads,
		s->dim[2] / heads,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_ATTENTION_DELTA, spec, 2, &args,
				      sizeof(args), TRAM_DIV_UP(args.rows, rows), call->barrier);
}

int tram_vk_lower_attention_bwd(struct tram_vk_emit *e, const struct tram_call *call)
{
	const struct tram_vk_class *c = tram_vk_emit_class(e);
	const union tram_attr *attr = call->attr;
	struct tram_attention_dims d = tram_attention_dims(&call->in[0].shape, attr->attention.heads,
							   attr->attention.kv_heads);
	struct tile t = generic_tile(c, d.d, backward_bytes);
	struct {
		uint64_t qkv, dout, lse, delta, dqkv;
		uint32_t t, heads, kv_heads;
		float scale;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->in[2]), tram_vk_address(&call->in[3]),
		tram_vk_address(&call->out[0]), d.t, d.h, d.g, 1 / sqrtf(d.d),
	};
	uint32_t lanes[] = { c->subgroup, d.d, d.d <= 64 ? 4 : 2 };
	uint32_t tiles[] = { WIDTH, d.d, t.own, t.block, 0 };
	int r = tram_vk_check_sizes(call);

	if (r)
		return r;
	/* queries and keys of dqkv: two dispatches that don't touch each other's part */
	if (c->lavapipe) {
		uint32_t groups = TRAM_DIV_UP(d.t, c->subgroup);

		r = tram_vk_dispatch(e, TRAM_VK_SHADER_ATTENTION_BWD_Q_LAVAPIPE, lanes, 3, &args,
				     sizeof(args), groups, d.h, d.b, call->barrier);
		return r ? r : tram_vk_dispatch(e, TRAM_VK_SHADER_ATTENTION_BWD_KV_LAVAPIPE, lanes,
						3, &args, sizeof(args), groups, d.g, d.b, false);
	}
	r = tram_vk_dispatch(e, TRAM_VK_SHADER_ATTENTION_BWD, tiles, 5, &args, sizeof(args),
			     TRAM_DIV_UP(d.t, t.own), d.h, d.b, call->barrier);
	tiles[4] = 1;
	return r ? r : tram_vk_dispatch(e, TRAM_VK_SHADER_ATTENTION_BWD, tiles, 5, &args,
					sizeof(args), TRAM_DIV_UP(d.t, t.own), d.g, d.b, false);
}

uint64_t tram_vk_scratch_attention_bwd(const struct tram_vk_class *c,
				       const struct tram_signature *sig)
{
	return 0;
}
