#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * d[r, c] = (exp(x - lse[r]) - [first + c == targets[r]]) * inv_targets of the step block, 0 where the target
 * is negative. x, d [rows, n] (d may be x), lse [rows], targets i32 [rows].
 * Workgroup: 8 * WIDTH columns of one row.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"
#include "lib/math.glsl"

ARGS({
	F32 x;
	F32 lse;
	I32 targets;
	F32 d;
	uint rows;
	uint n;
	uint first;
	uint tiles;
})

void main()
{
	uint g = group_number(), n = push.args.n;
	uint row = g / push.args.tiles, tile = g - row * push.args.tiles;
	uint c0 = tile * (8 * WIDTH) + gl_LocalInvocationID.x;
	bool whole = (tile + 1) * (8 * WIDTH) <= n;
	uint at = row * n;
	F32 x = push.args.x, d = push.args.d;

	if (row >= push.args.rows)
		return;
	float lse = push.args.lse.v[row], scale = push.step.inv_targets;
	int wanted = push.args.targets.v[row];
	uint target = uint(wanted) - push.args.first;

	[[unroll]] for (uint j = 0; j < 8; j++) {
		uint c = c0 + j * WIDTH;

		if (whole || c < n) {
			precise float p = tram_exp(x.v[at + c] - lse);

			p = (c == target ? p - 1.0 : p) * scale;
			d.v[at + c] = wanted < 0 ? 0.0 : p;
		}
	}
}
