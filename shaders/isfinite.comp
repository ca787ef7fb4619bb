#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * y[0] = 0 when an element of x [n] is not finite; y holds 1 before. Every writer writes the
 * same, by an atomic so that the writes don't race.
 * Workgroup: a tile of 16 * WIDTH elements. By bits: drivers may assume that there is no NaN.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

ARGS({
	U32 x;
	I32 y;
	uint n;
})

void main()
{
	uint n = push.args.n, first = group_number() * (16 * WIDTH);
	U32 x = push.args.x;
	uint bad = 0;

	if (first >= n)
		return;
	bool whole = n - first >= 16 * WIDTH;

	[[unroll]] for (uint j = 0; j < 16; j++) {
		uint i = first + j * WIDTH + gl_LocalInvocationID.x;

		if (whole || i < n)
			bad |= (x.v[i] & 0x7f800000u) == 0x7f800000u ? 1 : 0;
	}
	if (bad != 0)
		atomicAnd(push.args.y.v[0], 0);
}
