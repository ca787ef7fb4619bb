#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Rotary position embedding: x, y [tokens, heads, 2 pairs]; in the first `rotated` heads element i
 * turns with element i + pairs by the angle position * frequency[i], backwards if INVERSE; the other
 * heads are copied, unless y is x. The position is token mod t, with AT_POS plus the step's pos.
 * One invocation a (token, pair), for all heads; grid in one dimension (lib/group.glsl).
 * Precision: angles are whole numbers (ops/rope.h), exact; sums of two products in f32.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"
#include "lib/math.glsl"

layout(constant_id = 1) const bool AT_POS = false;
layout(constant_id = 2) const bool INVERSE = false;
layout(constant_id = 3) const bool IN_PLACE = false;

ARGS({
	F32 x;
	F32 y;
	uint count;		/* tokens * pairs */
	uint t;
	uint heads;
	uint rotated;
	uint pairs;
	uint frequency[128];	/* of pair i: high word at 2 i, low word behind it */
})

void main()
{
	uint i = group_number() * WIDTH + gl_LocalInvocationID.x;
	uint pairs = push.args.pairs, token = i / pairs, pair = i - token * pairs;
	F32 x = push.args.x, y = push.args.y;
	uint carry, low;

	if (i >= push.args.count)
		return;
	uint pos = token % push.args.t + (AT_POS ? push.step.pos : 0);

	umulExtended(pos, push.args.frequency[2 * pair + 1], carry, low);
	vec2 turn = tram_cos_sin(pos * push.args.frequency[2 * pair] + carry);
	precise float c = turn.x;
	precise float s = INVERSE ? -turn.y : turn.y;
	uint at = token * push.args.heads * 2 * pairs + pair;

	for (uint h = 0; h < push.args.rotated; h++) {
		precise float a = x.v[at];
		precise float b = x.v[at + pairs];
		precise float u = a * c - b * s;
		precise float v = b * c + a * s;

		y.v[at] = u;
		y.v[at + pairs] = v;
		at += 2 * pairs;
	}
	if (IN_PLACE)
		return;
	for (uint h = push.args.rotated; h < push.args.heads; h++) {
		y.v[at] = x.v[at];
		y.v[at + pairs] = x.v[at + pairs];
		at += 2 * pairs;
	}
}
