#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Online log-sum-exp (Milakov & Gimelshein, arXiv 1805.02867) over one chunk of the vocabulary:
 * x [rows, n] logits of classes [first, first + n), targets i32 [rows], state [rows, 4] =
 * (max, sum of exp(x - max), logit of the target, 0). OLD: merges with the state of the chunks
 * before; state_in may be state_out.
 * Workgroup: one row. Precision: f32, reduction order of lib/row.glsl.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"
#include "lib/math.glsl"

layout(constant_id = 2) const bool OLD = false;

ARGS({
	F32 x;
	I32 targets;
	F32 state_in;
	F32 state_out;
	uint rows;
	uint n;
	uint first;
})

void main()
{
	uint row = group_number(), n = push.args.n, lane = gl_LocalInvocationID.x;
	uint first = row * n;
	F32 x = push.args.x;
	float top[4] = { NEG_INF, NEG_INF, NEG_INF, NEG_INF };
	precise float sum[4] = { 0, 0, 0, 0 };

	if (row >= push.args.rows)
		return;
	FOR_ROW(n, top[j] = max(top[j], x.v[first + c]);)
	float m = row_max4(top);

	FOR_ROW(n, sum[j] += tram_exp(x.v[first + c] - m);)
	precise float s = row_add4(sum);

	if (lane == 0) {
		uint at = row * 4;
		F32 before = push.args.state_in, after = push.args.state_out;
		/* a target below `first` wraps far above n */
		uint target = uint(push.args.targets.v[row]) - push.args.first;
		float logit = 0.0;

		if (OLD) {
			float m0 = before.v[at], both = max(m0, m);

			s = fma(before.v[at + 1], tram_exp(m0 - both), s * tram_exp(m - both));
			m = both;
			logit = before.v[at + 2];
		}
		if (target < n)
			logit = x.v[first + target];
		after.v[at] = m;
		after.v[at + 1] = s;
		after.v[at + 2] = logit;
		after.v[at + 3] = 0.0;
	}
}
