#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Causal attention forward. qkv [B, T, (H + 2 G) D], keys and values there or (CACHED) in caches
 * [B, keys, G, D] -> out [B, T, H D], lse [B, H, T] (natural log; not with CACHED).
 * Query t sees keys 0 .. t, or 0 .. pos + t. T x T never exists.
 *
 * Workgroup: OWN queries of one (batch, head); grid: (query tiles, last first; H; B). Blocks of
 * BLOCK keys and values stand in workgroup memory. Scores are shared out as (query, key)
 * pairs, an invocation keeping its key; the sums as (quad of d, query) pairs.
 *
 * Precision f32. A score is one chain of fma over d. Blocks go from key 0 on with the online
 * softmax of Dao et al. 2022; in a block, keys in order. So the bits of query t
 * depend on keys 0 .. t alone, not on OWN; blocks beyond t change nothing.
 */
#include "lib/tram.glsl"
#include "lib/math.glsl"

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 0) const uint WIDTH = 128;	/* a multiple of BLOCK, at least D / 4 */
layout(constant_id = 1) const uint D = 64;
layout(constant_id = 2) const uint OWN = 16;
layout(constant_id = 3) const uint BLOCK = 32;
layout(constant_id = 4) const uint CACHED = 0;

const uint QUADS = D / 4, ROW = QUADS + 1;	/* + 1: against bank conflicts */
const uint PAIRS = (OWN * BLOCK + WIDTH - 1) / WIDTH;
const uint TEAMS = WIDTH / QUADS, EACH = (OWN + TEAMS - 1) / TEAMS;

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Quads { vec4 v[]; };

ARGS({
	Quads qkv;
	Quads k;
	Quads v;
	Quads out_;
	F32 lse;
	uint kv_row;		/* elements between a key head's keys */
	uint t;
	uint keys;
	uint heads;
	uint kv_heads;
	float scale;		/* 1 / sqrt(D) */
})

shared vec4 own[OWN * ROW], key[BLOCK * ROW], value[BLOCK * ROW];
shared float score[OWN * BLOCK], top[OWN], keep[OWN], sum[OWN];

#define NEG_INF uintBitsToFloat(0xff800000u)

void main()
{
	uint id = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
	uint t = push.args.t, heads = push.args.heads, kv_heads = push.args.kv_heads;
	uint first = (gl_NumWorkGroups.x - 1 - gl_WorkGroupID.x) * OWN;
	uint pos = CACHED != 0 ? push.step.pos : 0;
	uint last = min(pos + min(first + OWN, t) - 1, push.args.keys - 1);	/* key */
	uint kv_row = push.args.kv_row / 4;	/* from here on in quads */
	uint at_kv = batch * push.args.keys * kv_row + head / (heads / kv_heads) * QUADS;
	uint my_key = id % BLOCK, my_query = id / BLOCK, my_quad = id % QUADS, team = id / QUADS;
	precise vec4 o[EACH];

	for (uint e = id; e < OWN * QUADS; e += WIDTH) {
		uint row = min(first + e / QUADS, t - 1);
		uint from = ((batch * t + row) * (heads + 2 * kv_heads) + head) * QUADS;

		own[e / QUADS * ROW + e % QUADS] = push.args.qkv.v[from + e % QUADS] *
						   push.args.scale;
	}
	if (id < OWN) {
		top[id] = NEG_INF;
		sum[id] = 0;
	}
	[[unroll]] for (uint i = 0; i < EACH; i++)
		o[i] = vec4(0);

	for (uint j0 = 0; j0 <= last; j0 += BLOCK) {
		barrier();
		for (uint e = id; e < BLOCK * QUADS; e += WIDTH) {
			uint from = at_kv + min(j0 + e / QUADS, last) * kv_row + e % QUADS;

			key[e / QUADS * ROW + e % QUADS] = push.args.k.v[from];
			value[e / QUADS * ROW + e % QUADS] = push.args.v.v[from];
		}
		barrier();

		precise float s[PAIRS];

		[[unroll]] for (uint i = 0; i < PAIRS; i++)
			s[i] = 0;
		for (uint c = 0; c < QUADS; c++) {
			vec4 x = key[my_key * ROW + c];

			[[unroll]] for (uint i = 0; i < PAIRS; i++) {
				vec4 q = own[min(my_query + i * (WIDTH / BLOCK), OWN - 1) * ROW + c];

				s[i] = fma(q.x, x.x, s[i]);
				s[i] = fma(q.y, x.y, s[i]);
				s[i] = fma(q.z, x.z, s[i]);
				s[i] = fma(q.w, x.w, s[i]);
			}
		}
		[[unroll]] for (uint i = 0; i < PAIRS; i++) {
			uint q = my_query + i * (WIDTH / BLOCK);
			uint seen = min(pos + min(first + q, t - 1), push.args.keys - 1);

			s[i] = j0 + my_key <= seen ? s[i] : NEG_INF;
			if (q < OWN)
				score[q * BLOCK + my_key] = s[i];
		}
		barrier();
		if (id < OWN) {
			float x = top[id];

			for (uint j = 0; j < BLOCK; j++)
				x = max(x, score[id * BLOCK + j]);
			keep[id] = tram_exp(top[id] - x);
			top[id] = x;
		}
		barrier();
		[[unroll]] for (uint i = 0; i < PAIRS; i++) {
			uint q = my_query + i * (WIDTH / BLOCK);

			if (q < OWN)
				score[q * BLOCK + my_key] = tram_exp(s[i] - top[q]);
		}
		barrier();
		if (id < OWN) {
			precise float x = sum[id] * keep[id];

			for (uint j = 0; j < BLOCK; j++)
				x += score[id * BLOCK + j];
			sum[id] = x;
		}
		[[unroll]] for (uint i = 0; i < EACH; i++)
			o[i] *= keep[min(team + i * TEAMS, OWN - 1)];
		for (uint j = 0; j < BLOCK; j++) {
			vec4 x = value[j * ROW + my_quad];

			[[unroll]] for (uint i = 0; i < EACH; i++)
				o[i] = fma(vec4(score[min(team + i * TEAMS, OWN - 1) * BLOCK + j]),
					   x, o[i]);
		}
	}

	barrier();
	[[unroll]] for (uint i = 0; i < EACH; i++) {
		uint q = team + i * TEAMS, row = first + q;
		uint to = ((batch * t + row) * heads + head) * QUADS + my_quad;

		if (team < TEAMS && q < OWN && row < t)
			push.args.out_.v[to] = o[i] * (1.0 / sum[q]);
	}
	if (CACHED == 0 && id < OWN && first + id < t)
		push.args.lse.v[(batch * heads + head) * t + first + id] =
			top[id] + tram_log(sum[id]);
}
