#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Gradient of causal attention in the queries, for software Vulkan: qkv [B, T, (H + 2 G) D],
 * dout [B, T, H D], lse, delta [B, H, T] -> the query part of dqkv. Scores are made again
 * from lse: p = exp(score - lse), dscore = p (dout . v - delta), dq = scale * sum dscore k.
 *
 * Workgroup, grid and layout of the work as in attention_lavapipe.comp: a lane is a query.
 *
 * Precision f32. Dot products are chains of fma over d; dq is a chain of fma over
 * keys 0, 1, ...; keys after the query add nothing.
 */
#include "lib/tram.glsl"
#include "lib/lanes.glsl"
#include "lib/math.glsl"

layout(constant_id = 1) const uint D = 64;
layout(constant_id = 2) const uint BLOCK = 4;

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
	uint head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z, lane = gl_SubgroupInvocationID;
	uint first = (gl_NumWorkGroups.x - 1 - gl_WorkGroupID.x) * LANES;
	uint last = min(first + LANES, t) - 1, row = min(first + lane, t - 1);
	uint64_t stride = uint64_t((heads + 2 * kv_heads) * D) * 4;
	uint64_t tokens = uint64_t(batch) * t * stride;
	uint64_t k = push.args.qkv + tokens + (heads + head / (heads / kv_heads)) * (D * 4);
	uint64_t v = k + kv_heads * (D * 4);
	uint64_t at = tokens + row * stride + head * (D * 4);
	uint64_t from = push.args.qkv + at;
	uint64_t dfrom = push.args.dout + ((uint64_t(batch) * t + row) * heads + head) * (D * 4);
	uint stat = (batch * heads + head) * t + row;
	precise float lse = F32(push.args.lse).v[stat], delta = F32(push.args.delta).v[stat];
	precise float q[D], dout[D], dq[D];
	uint j0 = 0;

	[[unroll]] for (uint d = 0; d < D; d++) {
		q[d] = F32(from).v[d] * push.args.scale;
		dout[d] = F32(dfrom).v[d];
		dq[d] = 0;
	}
	do {
		precise float s[BLOCK], ds[BLOCK];
		uint64_t key[BLOCK];

		[[unroll]] for (uint j = 0; j < BLOCK; j++) {
			key[j] = min(j0 + j, last) * stride;
			s[j] = 0;
			ds[j] = 0;
		}
		[[unroll]] for (uint d = 0; d < D; d++)
			[[unroll]] for (uint j = 0; j < BLOCK; j++) {
				s[j] = fma(q[d], F32(k + key[j]).v[d], s[j]);
				ds[j] = fma(dout[d], F32(v + key[j]).v[d], ds[j]);
			}
		[[unroll]] for (uint j = 0; j < BLOCK; j++) {
			precise float p = tram_exp(s[j] - lse);

			ds[j] = j0 + j <= row ? p * (ds[j] - delta) : 0;
		}
		[[unroll]] for (uint d = 0; d < D; d++) {
			precise float x = dq[d];

			[[unroll]] for (uint j = 0; j < BLOCK; j++)
				x = fma(ds[j], F32(k + key[j]).v[d], x);
			dq[d] = x;
		}
		j0 += BLOCK;
	} while (j0 <= last);

	if (first + lane < t) {
		uint64_t to = push.args.dqkv + at;

		[[unroll]] for (uint d = 0; d < D; d++)
			F32(to).v[d] = dq[d] * push.args.scale;
	}
}
