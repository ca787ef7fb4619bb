#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * One level of a fixed binary tree: x [parts, n] -> y [ceil(parts / FAN), n], each result the tree over
 * FAN neighbours (fewer in the last). In a tree whose left part is the largest power of two below the
 * count, aligned groups of FAN = 2^k are subtrees, so levels compose to the whole tree.
 * Workgroup: 4 * WIDTH elements of one result. Precision: f32, the order is the tree.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

layout(constant_id = 1) const uint FAN = 8;

ARGS({
	F32 x;
	F32 y;
	uint parts;
	uint n;
	uint tiles;
})

void main()
{
	uint g = group_number(), n = push.args.n;
	uint part = g / push.args.tiles, tile = g - part * push.args.tiles;
	uint first = tile * (4 * WIDTH) + gl_LocalInvocationID.x;
	bool whole = (tile + 1) * (4 * WIDTH) <= n;
	F32 x = push.args.x, y = push.args.y;
	uint parts = push.args.parts;

	if (part * FAN >= parts)
		return;
	uint count = min(FAN, parts - part * FAN);

	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint c = first + j * WIDTH;

		if (whole || c < n) {
			precise float v[FAN];

			[[unroll]] for (uint i = 0; i < FAN; i++)
				if (i < count)
					v[i] = x.v[(part * FAN + i) * n + c];
			[[unroll]] for (uint d = 1; d < FAN; d *= 2)
				[[unroll]] for (uint i = 0; i + d < FAN; i += 2 * d)
					if (i + d < count)
						v[i] += v[i + d];
			y.v[part * n + c] = v[0];
		}
	}
}
