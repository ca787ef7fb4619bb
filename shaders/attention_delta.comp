#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * delta[b, h, t] = sum over d of out[b, t, h, d] * dout[b, t, h, d].
 * Workgroup: one subgroup of WIDTH, ROWS rows (b, t, h) in memory order; grid in one
 * dimension (lib/group.glsl). Precision f32. Lane l sums d = l, l + WIDTH, ... by a chain of fma,
 * then subgroupAdd: the order depends on D and the device.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

layout(constant_id = 1) const uint ROWS = 16;

ARGS({
	F32 out_;
	F32 dout;
	F32 delta;
	uint rows;
	uint t;
	uint heads;
	uint d;
})

void main()
{
	uint n = push.args.d, row = group_number() * ROWS, end = min(row + ROWS, push.args.rows);

	for (; row < end; row++) {
		F32 x = push.args.out_, y = push.args.dout;
		precise float s = 0;

		for (uint d = gl_LocalInvocationID.x; d < n; d += WIDTH)
			s = fma(x.v[row * n + d], y.v[row * n + d], s);
		s = subgroupAdd(s);
		if (subgroupElect()) {
			uint token = row / push.args.heads, h = row % push.args.heads;
			uint b = token / push.args.t;

			push.args.delta.v[(b * push.args.heads + h) * push.args.t +
					  token % push.args.t] = s;
		}
	}
}
