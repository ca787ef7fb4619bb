#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Reduces blocks of a row: x [rows, n] -> y [rows, blocks], block b being elements
 * [b * block, (b + 1) * block) of the row. KIND 0 sum, 1 max, 2 sum / mean_of.
 * Workgroup: one block. Precision: f32, reduction order of lib/row.glsl.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"

layout(constant_id = 2) const uint KIND = 0;

ARGS({
	F32 x;
	F32 y;
	uint rows;
	uint n;
	uint block;
	uint blocks;
	float mean_of;
})

void main()
{
	uint g = group_number(), lane = gl_LocalInvocationID.x;
	uint row = g / push.args.blocks, b = g - row * push.args.blocks;
	uint first = b * push.args.block, n = min(push.args.block, push.args.n - first);
	uint at = row * push.args.n + first;
	F32 x = push.args.x, y = push.args.y;

	if (row >= push.args.rows)
		return;
	if (KIND == 1) {
		float top[4] = { NEG_INF, NEG_INF, NEG_INF, NEG_INF };

		FOR_ROW(n, top[j] = max(top[j], x.v[at + c]);)
		float m = row_max4(top);

		if (lane == 0)
			y.v[g] = m;
	} else {
		precise float sum[4] = { 0, 0, 0, 0 };

		FOR_ROW(n, sum[j] += x.v[at + c];)
		precise float s = row_add4(sum);

		if (KIND == 2)
			s = s / push.args.mean_of;
		if (lane == 0)
			y.v[g] = s;
	}
}
