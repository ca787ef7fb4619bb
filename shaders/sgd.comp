#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * torch.optim.SGD with momentum (dampening 0, no Nesterov) over flat [n] tensors, in place on p and
 * buf: buf = momentum * buf + g, p -= lr * buf; weight decay (added to g) for elements below decay_count.
 * Writes nothing while the step's commit word is 0. stats [4]: see stats_final.
 * Workgroup: 4 * WIDTH elements. Precision: f32, nothing contracted.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"
#include "lib/clip.glsl"

ARGS({
	F32 p;
	F32 buf;
	F32 g;
	F32 stats;
	uint n;
	uint decay_count;
	float momentum;
	float decay;
	float clip;
})

void main()
{
	uint first = group_number() * (4 * WIDTH), n = push.args.n;
	F32 p = push.args.p, buf = push.args.buf, g = push.args.g;

	if (push.step.commit == 0 || first >= n)
		return;
	bool whole = n - first >= 4 * WIDTH;
	float factor = clip_factor(push.args.stats.v[2], push.args.clip);
	float momentum = push.args.momentum, decay = push.args.decay, lr = push.step.lr;
	uint decay_count = push.args.decay_count;

	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint i = first + j * WIDTH + gl_LocalInvocationID.x;

		if (whole || i < n) {
			precise float d = g.v[i] * factor;
			precise float q = p.v[i];

			if (i < decay_count)
				d = fma(decay, q, d);
			precise float b = fma(momentum, buf.v[i], d);
			precise float w = q - lr * b;

			buf.v[i] = b;
			p.v[i] = w;
		}
	}
}
