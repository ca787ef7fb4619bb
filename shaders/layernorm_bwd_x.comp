#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * With h = (x - mean) * rstd and g = dy * gain: dx = rstd (g - avg(g) - h avg(g h)) [+ add].
 * RMS: avg(g) is left out, and the mean is 0.
 * dy, x, add, dx [rows, n], gain [n], stats [rows, 2]; dx may be dy, x or add.
 * Workgroup: one row. Precision: f32, reduction order of lib/row.glsl.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"

layout(constant_id = 2) const bool ADD = false;
layout(constant_id = 3) const bool RMS = false;

ARGS({
	F32 dy;
	F32 x;
	F32 gain;
	F32 stats;
	F32 add;
	F32 dx;
	uint rows;
	uint n;
})

void main()
{
	uint row = group_number(), n = push.args.n, lane = gl_LocalInvocationID.x;
	uint first = row * n;
	F32 dy = push.args.dy, x = push.args.x, gain = push.args.gain, add = push.args.add;
	F32 dx = push.args.dx;
	precise float sum_g[4] = { 0, 0, 0, 0 };
	precise float sum_gh[4] = { 0, 0, 0, 0 };

	if (row >= push.args.rows)
		return;
	float mean = push.args.stats.v[2 * row], rstd = push.args.stats.v[2 * row + 1];

	FOR_ROW(n,
		precise float g = dy.v[first + c] * gain.v[c];
		precise float h = (x.v[first + c] - mean) * rstd;
		sum_g[j] += g;
		sum_gh[j] = fma(g, h, sum_gh[j]);
	)
	precise float avg_g = 0;

	if (!RMS)
		avg_g = row_add4(sum_g) / float(n);
	precise float avg_gh = row_add4(sum_gh) / float(n);

	FOR_ROW(n,
		precise float g = dy.v[first + c] * gain.v[c];
		precise float h = (x.v[first + c] - mean) * rstd;
		precise float d = rstd * fma(-h, avg_gh, g - avg_g);
		if (ADD)
			d += add.v[first + c];
		dx.v[first + c] = d;
	)
}
