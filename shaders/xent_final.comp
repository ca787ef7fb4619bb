#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * lse = max + log(sum), loss = lse - logit of the target, 0 where the target is negative.
 * state [n, 4], targets i32 [n] -> loss, lse [n]. Workgroup: WIDTH rows.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"
#include "lib/math.glsl"

ARGS({
	F32 state;
	I32 targets;
	F32 loss;
	F32 lse;
	uint n;
})

void main()
{
	uint i = group_number() * WIDTH + gl_LocalInvocationID.x;

	if (i < push.args.n) {
		F32 state = push.args.state;
		precise float lse = state.v[4 * i] + tram_log(state.v[4 * i + 1]);
		precise float loss = lse - state.v[4 * i + 2];

		push.args.loss.v[i] = push.args.targets.v[i] < 0 ? 0.0 : loss;
		push.args.lse.v[i] = lse;
	}
}
