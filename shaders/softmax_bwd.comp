#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * dx = y (dy - sum(y dy)) over rows. y, dy, dx [rows, n]; dx may be y or dy.
 * Workgroup: one row. Precision: f32, reduction order of lib/row.glsl.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"

ARGS({
	F32 y;
	F32 dy;
	F32 dx;
	uint rows;
	uint n;
})

void main()
{
	uint row = group_number(), n = push.args.n, lane = gl_LocalInvocationID.x;
	uint first = row * n;
	F32 y = push.args.y, dy = push.args.dy, dx = push.args.dx;
	precise float sum[4] = { 0, 0, 0, 0 };

	if (row >= push.args.rows)
		return;
	FOR_ROW(n, sum[j] = fma(y.v[first + c], dy.v[first + c], sum[j]);)
	float dot = row_add4(sum);

	FOR_ROW(n,
		precise float d = y.v[first + c] * (dy.v[first + c] - dot);
		dx.v[first + c] = d;
	)
}
