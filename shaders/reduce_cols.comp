#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Reduces blocks of rows: x [outer, rows, n] -> y [outer, blocks, n], block b being rows
 * [b * block, (b + 1) * block). KIND 0 sum, 1 max, 2 sum / mean_of.
 * Workgroup: WIDTH * 4 columns of one block. Precision: f32; a column adds its rows in order.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

layout(constant_id = 1) const uint KIND = 0;

ARGS({
	F32 x;
	F32 y;
	uint outer;
	uint rows;
	uint n;
	uint block;
	uint blocks;
	uint tiles;
	float mean_of;
})

void main()
{
	uint g = group_number(), n = push.args.n;
	uint tile = g % push.args.tiles, ob = g / push.args.tiles;
	uint outer = ob / push.args.blocks, b = ob - outer * push.args.blocks;
	uint first = tile * (4 * WIDTH) + gl_LocalInvocationID.x;
	bool whole = (tile + 1) * (4 * WIDTH) <= n;
	uint row0 = b * push.args.block, row1 = min(row0 + push.args.block, push.args.rows);
	uint at = (outer * push.args.rows + row0) * n + first;
	F32 x = push.args.x, y = push.args.y;
	precise float acc[4];

	if (outer >= push.args.outer)
		return;
	[[unroll]] for (uint j = 0; j < 4; j++)
		acc[j] = KIND == 1 ? uintBitsToFloat(0xff800000u) : 0.0;
	for (uint r = row0; r < row1; r++) {
		[[unroll]] for (uint j = 0; j < 4; j++) {
			if (whole || first + j * WIDTH < n) {
				float v = x.v[at + j * WIDTH];

				acc[j] = KIND == 1 ? max(acc[j], v) : acc[j] + v;
			}
		}
		at += n;
	}
	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint c = first + j * WIDTH;

		if (whole || c < n)
			y.v[ob * n + c] = KIND == 2 ? acc[j] / push.args.mean_of : acc[j];
	}
}
