#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * y[r, :] = table[tokens[r], :], zeros where the token is outside [0, vocab). table [vocab, n],
 * tokens i32 [rows], y [rows, n]. Workgroup: 4 * WIDTH columns of one row.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

ARGS({
	F32 table;
	I32 tokens;
	F32 y;
	uint rows;
	uint n;
	uint vocab;
	uint tiles;
})

void main()
{
	uint g = group_number(), n = push.args.n;
	uint row = g / push.args.tiles, tile = g - row * push.args.tiles;
	uint first = tile * (4 * WIDTH) + gl_LocalInvocationID.x;

	if (row >= push.args.rows)
		return;
	uint token = uint(push.args.tokens.v[row]);
	bool known = token < push.args.vocab;
	uint from = known ? token * n : 0, to = row * n;
	F32 x = push.args.table, y = push.args.y;

	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint c = first + j * WIDTH;

		if (c < n)
			y.v[to + c] = known ? x.v[from + c] : 0.0;
	}
}
