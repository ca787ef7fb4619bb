#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Gradient of causal attention: qkv [B, T, (H + 2 G) D], dout [B, T, H D], lse,
 * delta [B, H, T] -> a part of dqkv. Scores are made again from lse:
 *	p = exp(score - lse), dscore = p (dout . v - delta)
 *	KEYS 0: dq = scale * sum over keys of dscore k
 *	KEYS 1: dk = scale * sum over queries of dscore q, dv = sum of p dout
 *
 * Workgroup: OWN queries (keys) of one (batch, head (key head)); grid: (tiles, H (G), B). Blocks
 * of BLOCK keys with values (queries with dout) stand in workgroup memory. The work is shared out
 * as in attention.comp.
 *
 * Precision f32. Dot products are chains of fma over d; dq is a chain of fma over keys from 0;
 * dk and dv over the key head's query heads in order and, in each, over queries in order.
 * What causality hides adds nothing, so tiles don't show in the bits.
 */
#include "lib/tram.glsl"
#include "lib/math.glsl"

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 0) const uint WIDTH = 128;	/* a multiple of BLOCK, at least D / 4 */
layout(constant_id = 1) const uint D = 64;
layout(constant_id = 2) const uint OWN = 16;
layout(constant_id = 3) const uint BLOCK = 32;
layout(constant_id = 4) const uint KEYS = 0;

const uint QUADS = D / 4, ROW = QUADS + 1;
const uint PAIRS = (OWN * BLOCK + WIDTH - 1) / WIDTH;
const uint TEAMS = WIDTH / QUADS, EACH = (OWN + TEAMS - 1) / TEAMS;

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Quads { vec4 v[]; };

ARGS({
	Quads qkv;
	Quads dout;
	F32 lse;
	F32 delta;
	Quads dqkv;
	uint t;
	uint heads;
	uint kv_heads;
	float scale;		/* 1 / sqrt(D) */
})

/* q and dout rows of the queries, k and v rows of the keys */
shared vec4 own_a[OWN * ROW], own_b[OWN * ROW], block_a[BLOCK * ROW], block_b[BLOCK * ROW];
shared float dscore[OWN * BLOCK], weight[OWN * BLOCK];

/* First quad of the vector of @head (of q, then k, then v) of a token in qkv and dqkv. */
uint at_qkv(uint token, uint head)
{
	uint all = push.args.heads + 2 * push.args.kv_heads;

	return ((gl_WorkGroupID.z * push.args.t + token) * all + head) * QUADS;
}

uint at_dout(uint token, uint head)
{
	return ((gl_WorkGroupID.z * push.args.t + token) * push.args.heads + head) * QUADS;
}

float dot4(float sum, vec4 x, vec4 y)
{
	precise float s = fma(x.x, y.x, sum);

	s = fma(x.y, y.y, s);
	s = fma(x.z, y.z, s);
	s = fma(x.w, y.w, s);
	return s;
}

void main()
{
	uint id = gl_LocalInvocationID.x, t = push.args.t;
	uint heads = push.args.heads, kv_heads = push.args.kv_heads, group = heads / kv_heads;
	uint head = KEYS != 0 ? gl_WorkGroupID.y * group : gl_WorkGroupID.y;
	uint end_head = KEYS != 0 ? head + group : head + 1;
	uint at_k = heads + head / group, at_v = at_k + kv_heads;
	uint first = gl_WorkGroupID.x * OWN, end = KEYS != 0 ? t : min(first + OWN, t);
	uint start = KEYS != 0 ? first / BLOCK * BLOCK : 0;
	uint my_other = id % BLOCK, my_own = id / BLOCK, my_quad = id % QUADS, team = id / QUADS;
	precise vec4 sum_a[EACH], sum_b[EACH];

	for (uint e = id; e < OWN * QUADS; e += WIDTH) {
		uint row = min(first + e / QUADS, t - 1), c = e % QUADS, to = e / QUADS * ROW + c;

		own_a[to] = push.args.qkv.v[at_qkv(row, KEYS != 0 ? at_k : head) + c] *
			    push.args.scale;
		own_b[to] = KEYS != 0 ? push.args.qkv.v[at_qkv(row, at_v) + c] :
			    push.args.dout.v[at_dout(row, head) + c];
	}
	[[unroll]] for (uint i = 0; i < EACH; i++) {
		sum_a[i] = vec4(0);
		sum_b[i] = vec4(0);
	}

	for (; head < end_head; head++) {
		uint stat = (gl_WorkGroupID.z * heads + head) * t;

		for (uint j0 = start; j0 < end; j0 += BLOCK) {
			barrier();
			for (uint e = id; e < BLOCK * QUADS; e += WIDTH) {
				uint row = min(j0 + e / QUADS, t - 1), c = e % QUADS;
				uint to = e / QUADS * ROW + c;

				block_a[to] = push.args.qkv.v[at_qkv(row, KEYS != 0 ? head : at_k) + c];
				block_b[to] = KEYS != 0 ? push.args.dout.v[at_dout(row, head) + c] :
					      push.args.qkv.v[at_qkv(row, at_v) + c];
			}
			barrier();

			precise float s[PAIRS], ds[PAIRS];

			[[unroll]] for (uint i = 0; i < PAIRS; i++) {
				s[i] = 0;
				ds[i] = 0;
			}
			for (uint c = 0; c < QUADS; c++) {
				vec4 xa = block_a[my_other * ROW + c], xb = block_b[my_other * ROW + c];

				[[unroll]] for (uint i = 0; i < PAIRS; i++) {
					uint at = min(my_own + i * (WIDTH / BLOCK), OWN - 1) * ROW + c;

					s[i] = dot4(s[i], own_a[at], xa);
					ds[i] = dot4(ds[i], own_b[at], xb);
				}
			}
			[[unroll]] for (uint i = 0; i < PAIRS; i++) {
				uint q = my_own + i * (WIDTH / BLOCK), mine = first + q;
				uint other = j0 + my_other, query = KEYS != 0 ? other : mine;
				bool seen = KEYS != 0 ? mine <= other && other < t : other <= mine;
				uint row = stat + min(query, t - 1);
				precise float p = tram_exp(s[i] - push.args.lse.v[row]);

				ds[i] = p * (ds[i] - push.args.delta.v[row]);
				if (q < OWN) {
					dscore[q * BLOCK + my_other] = seen ? ds[i] : 0;
					weight[q * BLOCK + my_other] = seen ? p : 0;
				}
			}
			barrier();
			for (uint j = 0; j < BLOCK; j++) {
				vec4 xa = block_a[j * ROW + my_quad], xb = block_b[j * ROW + my_quad];

				[[unroll]] for (uint i = 0; i < EACH; i++) {
					uint at = min(team + i * TEAMS, OWN - 1) * BLOCK + j;

					sum_a[i] = fma(vec4(dscore[at]), xa, sum_a[i]);
					if (KEYS != 0)
						sum_b[i] = fma(vec4(weight[at]), xb, sum_b[i]);
				}
			}
		}
	}

	[[unroll]] for (uint i = 0; i < EACH; i++) {
		uint q = team + i * TEAMS, row = first + q;

		if (team < TEAMS && q < OWN && row < t) {
			uint to = at_qkv(row, KEYS != 0 ? at_k : gl_WorkGroupID.y) + my_quad;

			push.args.dqkv.v[to] = sum_a[i] * push.args.scale;
			if (KEYS != 0)
				push.args.dqkv.v[at_qkv(row, at_v) + my_quad] = sum_b[i];
		}
	}
}
