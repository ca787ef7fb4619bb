#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Gradient of causal attention in keys and values, for software Vulkan; operands and formulas
 * of attention_bwd_q_lavapipe.comp, and dv = sum p dout, dk = scale * sum dscore q.
 *
 * Workgroup: one subgroup, LANES keys of one (batch, key head), one a lane; grid: (key
 * tiles, G, B). Query and dout rows are broadcast from memory. Lanes past T repeat
 * the last key and store nothing.
 *
 * Precision f32. Dot products are chains of fma over d; dk and dv are chains of fma over the
 * key head's query heads in order and, in each, over queries in order; queries before the key
 * add nothing.
 */
#include "lib/tram.glsl"
#include "lib/lanes.glsl"
#include "lib/math.glsl"

layout(constant_id = 1) const uint D = 64;
layout(constant_id = 2) const uint BLOCK = 4;	/* divides LANES */

ARGS({
	uint64_t qkv;
	uint64_t dout;
	uint64_t lse;
	uint64_t delta;
	uint64_t dqkv;
	uint t;
	uint heads;
	uint kv_heads;
	float scale;		/* 1 / sqrt(D) */
})

void main()
{
	uint t = push.args.t, heads = push.args.heads, kv_heads = push.args.kv_heads;
	uint kv_head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z, lane = gl_SubgroupInvocationID;
	uint first = gl_WorkGroupID.x * LANES, row = min(first + lane, t - 1);
	uint group = heads / kv_heads;
	uint64_t stride = uint64_t((heads + 2 * kv_heads) * D) * 4;
	uint64_t dstride = uint64_t(heads * D) * 4;
	uint64_t tokens = uint64_t(batch) * t * stride;
	uint64_t at_k = tokens + row * stride + (heads + kv_head) * (D * 4);
	uint64_t at_v = at_k + kv_heads * (D * 4);
	precise float k[D], v[D], dk[D], dv[D];
	uint h = kv_head * group, i0 = first;

	[[unroll]] for (uint d = 0; d < D; d++) {
		k[d] = F32(push.args.qkv + at_k).v[d] * push.args.scale;
		v[d] = F32(push.args.qkv + at_v).v[d];
		dk[d] = 0;
		dv[d] = 0;
	}
	/* one loop over (head, block of queries) */
	do {
		uint64_t q = push.args.qkv + tokens + h * (D * 4);
		uint64_t dout = push.args.dout + uint64_t(batch) * t * dstride + h * (D * 4);
		uint stat = (batch * heads + h) * t;
		precise float p[BLOCK], ds[BLOCK];
		uint query[BLOCK];

		[[unroll]] for (uint i = 0; i < BLOCK; i++) {
			query[i] = min(i0 + i, t - 1);
			p[i] = 0;
			ds[i] = 0;
		}
		[[unroll]] for (uint d = 0; d < D; d++)
			[[unroll]] for (uint i = 0; i < BLOCK; i++) {
				p[i] = fma(k[d], F32(q + query[i] * stride).v[d], p[i]);
				ds[i] = fma(v[d], F32(dout + query[i] * dstride).v[d], ds[i]);
			}
		[[unroll]] for (uint i = 0; i < BLOCK; i++) {
			bool seen = i0 + i >= row && i0 + i < t;

			p[i] = tram_exp(p[i] - F32(push.args.lse).v[stat + query[i]]);
			ds[i] = p[i] * (ds[i] - F32(push.args.delta).v[stat + query[i]]);
			p[i] = seen ? p[i] : 0;
			ds[i] = seen ? ds[i] : 0;
		}
		[[unroll]] for (uint d = 0; d < D; d++) {
			precise float x = dk[d], y = dv[d];

			[[unroll]] for (uint i = 0; i < BLOCK; i++) {
				x = fma(ds[i], F32(q + query[i] * stride).v[d], x);
				y = fma(p[i], F32(dout + query[i] * dstride).v[d], y);
			}
			dk[d] = x;
			dv[d] = y;
		}
		i0 += BLOCK;
		if (i0 >= t) {
			i0 = first;
			h++;
		}
	} while (h < (kv_head + 1) * group);

	if (first + lane < t) {
		[[unroll]] for (uint d = 0; d < D; d++) {
			F32(push.args.dqkv + at_k).v[d] = dk[d] * push.args.scale;
			F32(push.args.dqkv + at_v).v[d] = dv[d];
		}
	}
}
