#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * y = (x - mean) * rstd * gain + bias, stats = (mean, rstd), rstd = 1 / sqrt(var + eps).
 * RMS: the mean is taken as 0 and there is no bias.
 * x, y [rows, n], gain, bias [n], stats [rows, 2]; y may be x.
 * Workgroup: one row. Precision: f32; the variance from deviations, in a second
 * pass; reduction order of lib/row.glsl.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"

layout(constant_id = 2) const bool RMS = false;

ARGS({
	F32 x;
	F32 gain;
	F32 bias;
	F32 y;
	F32 stats;
	uint rows;
	uint n;
	float eps;
})

void main()
{
	uint row = group_number(), n = push.args.n, lane = gl_LocalInvocationID.x;
	uint first = row * n;
	F32 x = push.args.x, y = push.args.y, gain = push.args.gain, bias = push.args.bias;
	precise float sum[4] = { 0, 0, 0, 0 };
	precise float square[4] = { 0, 0, 0, 0 };

	if (row >= push.args.rows)
		return;
	precise float mean = 0;

	if (!RMS) {
		FOR_ROW(n, sum[j] += x.v[first + c];)
		mean = row_add4(sum) / float(n);
	}

	FOR_ROW(n,
		precise float d = x.v[first + c] - mean;
		square[j] = fma(d, d, square[j]);
	)
	precise float rstd = 1.0 / sqrt(row_add4(square) / float(n) + push.args.eps);

	FOR_ROW(n,
		precise float h = (x.v[first + c] - mean) * rstd;
		if (RMS)
			h *= gain.v[c];
		else
			h = fma(h, gain.v[c], bias.v[c]);
		y.v[first + c] = h;
	)
	if (lane == 0) {
		push.args.stats.v[2 * row] = mean;
		push.args.stats.v[2 * row + 1] = rstd;
	}
}
