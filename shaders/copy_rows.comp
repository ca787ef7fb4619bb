#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Copies rows of words: y[r * y_pitch + c] = x[r * x_pitch + c] for c < n, r < rows (pitches in words).
 * Workgroup: 16 * WIDTH words of one row.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

ARGS({
	U32 x;
	U32 y;
	uint x_pitch;
	uint y_pitch;
	uint rows;
	uint n;
	uint tiles;
})

void main()
{
	uint g = group_number(), n = push.args.n;
	uint row = g / push.args.tiles, tile = g - row * push.args.tiles;
	uint first = tile * (16 * WIDTH) + gl_LocalInvocationID.x;
	bool whole = (tile + 1) * (16 * WIDTH) <= n;
	uint from = row * push.args.x_pitch, to = row * push.args.y_pitch;
	U32 x = push.args.x, y = push.args.y;

	if (row >= push.args.rows)
		return;
	[[unroll]] for (uint j = 0; j < 16; j++) {
		uint c = first + j * WIDTH;

		if (whole || c < n)
			y.v[to + c] = x.v[from + c];
	}
}
