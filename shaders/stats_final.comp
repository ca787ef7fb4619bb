#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * x [chunks, 2] of stats_partial -> y [4] = (sum of squares, 1.0 if all finite else 0.0, norm, 0).
 * Workgroup: all. Precision: f32, reduction order of lib/row.glsl.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"

ARGS({
	F32 x;
	F32 y;
	uint chunks;
})

void main()
{
	uint lane = gl_LocalInvocationID.x, chunks = push.args.chunks;
	F32 x = push.args.x, y = push.args.y;
	precise float sum[4] = { 0, 0, 0, 0 };
	float bad = 0.0;

	if (group_number() != 0)
		return;
	FOR_ROW(chunks,
		sum[j] += x.v[2 * c];
		bad = x.v[2 * c + 1] != 1.0 ? 1.0 : bad;
	)
	float s = row_add4(sum);
	float any = row_max(bad);

	if (lane == 0) {
		/* finite elements whose squares overflow are not usable either: the norm isn't finite */
		bool over = (floatBitsToUint(s) & 0x7f800000u) == 0x7f800000u;

		y.v[0] = s;
		y.v[1] = any != 0.0 ? 0.0 : 1.0;
		y.v[2] = over ? s : sqrt(s);
		y.v[3] = 0.0;
	}
}
