#version 460
/* SPDX-License-Identifier: MIT */
/*
 * For tests of the device interface: y[i] = x[i] * a + step, where a is a
 * specialization constant and step comes from the step block; nothing is
 * written while the gate is closed (gated != 0 and commit == 0). One
 * invocation an element, n elements, workgroups of 64.
 */
#include "lib/tram.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint A = 1;

ARGS({ U32 x; U32 y; uint n; uint gated; })

void main()
{
	uint i = gl_GlobalInvocationID.x;

	if (i < push.args.n && (push.args.gated == 0 || push.step.commit != 0))
		push.args.y.v[i] = push.args.x.v[i] * A + push.step.step;
}
