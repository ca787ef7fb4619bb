#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * y[i] = x[sum over d of coordinate d of i * stride[d]]: y has RANK dimensions, flattened to [n].
 * Works on words (f32 or i32). Workgroup: 4 * WIDTH elements of y.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"

#define MAX_RANK 6
layout(constant_id = 1) const uint RANK = 2;

ARGS({
	U32 x;
	U32 y;
	uint n;
	uint dim[MAX_RANK];
	uint stride[MAX_RANK];
})

void main()
{
	uint first = group_number() * (4 * WIDTH) + gl_LocalInvocationID.x, n = push.args.n;
	U32 x = push.args.x, y = push.args.y;

	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint i = first + j * WIDTH;

		if (i < n) {
			uint rest = i, index = 0;

			[[unroll]] for (uint d = RANK; d-- > 0;) {
				uint q = rest / push.args.dim[d];

				index += (rest - q * push.args.dim[d]) * push.args.stride[d];
				rest = q;
			}
			y.v[i] = x.v[index];
		}
	}
}
