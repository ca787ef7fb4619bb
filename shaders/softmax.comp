#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * y[r, :] = exp(x[r, :] - max) / sum. x, y [rows, n]; y may be x.
 * Workgroup: one row. Precision: f32, reduction order of lib/row.glsl.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"
#include "lib/math.glsl"

ARGS({
	F32 x;
	F32 y;
	uint rows;
	uint n;
})

void main()
{
	uint row = group_number(), n = push.args.n, lane = gl_LocalInvocationID.x;
	uint first = row * n;
	F32 x = push.args.x, y = push.args.y;
	float top[4] = { NEG_INF, NEG_INF, NEG_INF, NEG_INF };
	precise float sum[4] = { 0, 0, 0, 0 };

	if (row >= push.args.rows)
		return;
	FOR_ROW(n, top[j] = max(top[j], x.v[first + c]);)
	float m = row_max4(top);

	FOR_ROW(n,
		precise float e = tram_exp(x.v[first + c] - m);
		sum[j] += e;
		y.v[first + c] = e;
	)
	precise float scale = 1.0 / row_add4(sum);

	FOR_ROW(n, y.v[first + c] = y.v[first + c] * scale;)
}
