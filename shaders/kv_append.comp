#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * The key and value parts of qkv [B, T, (H + 2 G) D] -> rows pos .. pos + T - 1 of k_cache, v_cache
 * [B, keys, G D]; pos from the step block; rows past the cache are dropped.
 * One invocation an element of the keys; grid in one dimension (lib/group.glsl). Moves bits only.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

ARGS({
	U32 qkv;
	U32 k_cache;
	U32 v_cache;
	uint count;		/* B * T * kv */
	uint t;
	uint keys;
	uint q;			/* H * D */
	uint kv;		/* G * D */
})

void main()
{
	uint i = group_number() * WIDTH + gl_LocalInvocationID.x;
	uint kv = push.args.kv, token = i / kv, c = i % kv;
	uint pos = push.step.pos, row = token % push.args.t;

	if (i >= push.args.count || pos >= push.args.keys || row >= push.args.keys - pos)
		return;
	uint from = token * (push.args.q + 2 * kv) + push.args.q + c;
	uint to = (token / push.args.t * push.args.keys + pos + row) * kv + c;

	push.args.k_cache.v[to] = push.args.qkv.v[from];
	push.args.v_cache.v[to] = push.args.qkv.v[from + kv];
}
