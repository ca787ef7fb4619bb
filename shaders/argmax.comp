#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * y[r] = the first index of the largest element of x[r, :]; x [rows, n] -> i32 [rows].
 * A NaN is never the largest; a row of nothing but NaN or -inf gives 0.
 * Workgroup: one row.
 */
#include "lib/tram.glsl"
#include "lib/row.glsl"

shared uint row_index[SUBGROUPS];

ARGS({
	F32 x;
	I32 y;
	uint rows;
	uint n;
})

void main()
{
	uint row = group_number(), n = push.args.n, lane = gl_LocalInvocationID.x;
	F32 x = push.args.x;
	float top = NEG_INF;
	uint index = 0xffffffffu;

	if (row >= push.args.rows)
		return;
	for (uint c = lane; c < n; c += WIDTH) {
		float v = x.v[row * n + c];

		if (v > top) {
			top = v;
			index = c;
		}
	}
	float m = row_max(top);

	index = subgroupMin(top == m ? index : 0xffffffffu);
	if (SUBGROUPS > 1) {
		if (subgroupElect())
			row_index[gl_SubgroupID] = index;
		barrier();
		index = row_index[0];
		for (uint i = 1; i < SUBGROUPS; i++)
			index = min(index, row_index[i]);
	}
	if (lane == 0)
		push.args.y.v[row] = int(index < n ? index : 0);
}
