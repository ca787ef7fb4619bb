#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Causal attention forward for software Vulkan. qkv [B, T, (H + 2 G) D], keys and values
 * there or (CACHED) in caches [B, keys, G, D] -> out [B, T, H D], lse [B, H, T]
 * (natural log; not with CACHED). Query t sees keys 0 .. t, or 0 .. pos + t. T x T never
 * exists.
 *
 * Workgroup: one subgroup, LANES queries of one (batch, head), one a lane; grid: (query
 * tiles, last first because they are the longest; H; B). Every product is a vector over queries
 * times an element of k or v broadcast from memory, and nothing is reduced across lanes. Lanes
 * past T repeat the last query and store nothing.
 *
 * Precision f32. A score is one chain of fma over d. Keys go in blocks of BLOCK from key 0
 * with the online softmax of Dao et al. 2022; in a block, keys in order. So the
 * bits of query t depend on keys 0 .. t alone; blocks beyond t change nothing.
 */
#include "lib/tram.glsl"
#include "lib/lanes.glsl"
#include "lib/math.glsl"

layout(constant_id = 1) const uint D = 64;
layout(constant_id = 2) const uint BLOCK = 8;
layout(constant_id = 3) const uint CACHED = 0;

ARGS({
	uint64_t qkv;
	uint64_t k;
	uint64_t v;
	uint64_t out_;
	uint64_t lse;
	uint kv_row;		/* elements between a key head's keys */
	uint t;
	uint keys;
	uint heads;
	uint kv_heads;
	float scale;		/* 1 / sqrt(D) */
})

#define NEG_INF uintBitsToFloat(0xff800000u)

void main()
{
	uint t = push.args.t, heads = push.args.heads, kv_heads = push.args.kv_heads;
	uint head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z, lane = gl_SubgroupInvocationID;
	uint first = (gl_NumWorkGroups.x - 1 - gl_WorkGroupID.x) * LANES;
	uint row = min(first + lane, t - 1), pos = CACHED != 0 ? push.step.pos : 0;
	/* the last key that a lane sees, and that any lane does */
	uint seen = min(pos + row, push.args.keys - 1);
	uint last = min(pos + min(first + LANES, t) - 1, push.args.keys - 1);
	uint64_t stride = uint64_t(push.args.kv_row) * 4;
	uint64_t at_kv = uint64_t(batch) * push.args.keys * stride +
			 head / (heads / kv_heads) * (D * 4);
	uint64_t k = push.args.k + at_kv, v = push.args.v + at_kv;
	uint64_t from = push.args.qkv + ((uint64_t(batch) * t + row) * (heads + 2 * kv_heads) +
					 head) * (D * 4);
	precise float q[D], o[D];
	precise float top = NEG_INF, sum = 0;
	uint j0 = 0;

	[[unroll]] for (uint d = 0; d < D; d++) {
		q[d] = F32(from).v[d] * push.args.scale;
		o[d] = 0;
	}
	do {
		precise float s[BLOCK];
		precise float block_top = NEG_INF;
		uint64_t key[BLOCK];

		/* keys past the last one repeat it: in memory, and masked */
		[[unroll]] for (uint j = 0; j < BLOCK; j++) {
			key[j] = min(j0 + j, last) * stride;
			s[j] = 0;
		}
		[[unroll]] for (uint d = 0; d < D; d++)
			[[unroll]] for (uint j = 0; j < BLOCK; j++)
				s[j] = fma(q[d], F32(k + key[j]).v[d], s[j]);
		[[unroll]] for (uint j = 0; j < BLOCK; j++) {
			s[j] = j0 + j <= seen ? s[j] : NEG_INF;
			block_top = max(block_top, s[j]);
		}
		block_top = max(top, block_top);
		precise float keep = tram_exp(top - block_top);

		top = block_top;
		sum *= keep;
		[[unroll]] for (uint j = 0; j < BLOCK; j++) {
			s[j] = tram_exp(s[j] - top);
			sum += s[j];
		}
		[[unroll]] for (uint d = 0; d < D; d++) {
			precise float x = o[d] * keep;

			[[unroll]] for (uint j = 0; j < BLOCK; j++)
				x = fma(s[j], F32(v + key[j]).v[d], x);
			o[d] = x;
		}
		j0 += BLOCK;
	} while (j0 <= last);

	if (first + lane < t) {
		uint64_t to = push.args.out_ + ((uint64_t(batch) * t + row) * heads + head) * (D * 4);
		precise float scale = 1.0 / sum;

		[[unroll]] for (uint d = 0; d < D; d++)
			F32(to).v[d] = o[d] * scale;
		if (CACHED == 0)
			F32(push.args.lse).v[(batch * heads + head) * t + row] =
				top + tram_log(sum);
	}
}
