#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Per chunk of CHUNK elements: sum of squares, and 1.0 when all are finite else 0.0.
 * x [n] -> y [chunks, 2]. Workgroup: one chunk. Precision: f32, reduction order of lib/row.glsl.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"

layout(constant_id = 2) const uint CHUNK = 16384;

ARGS({
	F32 x;
	F32 y;
	uint n;
})

void main()
{
	uint g = group_number(), lane = gl_LocalInvocationID.x;
	uint first = g * CHUNK;
	precise float sum[4] = { 0, 0, 0, 0 };
	uint bad = 0;

	if (first >= push.args.n)
		return;
	uint n = min(CHUNK, push.args.n - first);
	F32 x = push.args.x;

	FOR_ROW(n,
		float v = x.v[first + c];
		sum[j] = fma(v, v, sum[j]);
		bad |= (floatBitsToUint(v) & 0x7f800000u) == 0x7f800000u ? 1 : 0;
	)
	float s = row_add4(sum);
	float any = row_max(bad != 0 ? 1.0 : 0.0);

	if (lane == 0) {
		push.args.y.v[2 * g] = s;
		push.args.y.v[2 * g + 1] = any != 0.0 ? 0.0 : 1.0;
	}
}
