#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * torch.optim.AdamW (Loshchilov & Hutter, arXiv 1711.05101) over flat [n] tensors, in place on p, m, v; weight
 * decay for elements below decay_count; lr and bias corrections from the step block. Writes nothing while
 * the step's commit word is 0. stats [4]: see stats_final.
 * Workgroup: 4 * WIDTH elements. Precision: f32, nothing contracted.
 */
#include "lib/tram.glsl"
#include "lib/group.glsl"
#include "lib/clip.glsl"

ARGS({
	F32 p;
	F32 m;
	F32 v;
	F32 g;
	F32 stats;
	uint n;
	uint decay_count;
	float beta1;
	float beta2;
	float rest1;	/* 1 - beta1, rounded once */
	float rest2;
	float eps;
	float decay;
	float clip;
})

void main()
{
	uint first = group_number() * (4 * WIDTH), n = push.args.n;
	F32 p = push.args.p, m = push.args.m, v = push.args.v, g = push.args.g;

	if (push.step.commit == 0 || first >= n)
		return;
	bool whole = n - first >= 4 * WIDTH;
	float factor = clip_factor(push.args.stats.v[2], push.args.clip);
	float beta1 = push.args.beta1, beta2 = push.args.beta2;
	float rest1 = push.args.rest1, rest2 = push.args.rest2, eps = push.args.eps;
	uint decay_count = push.args.decay_count;
	precise float shrink = 1.0 - push.step.lr * push.args.decay;
	precise float size = push.step.lr / push.step.bias_correction1;
	precise float root = sqrt(push.step.bias_correction2);

	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint i = first + j * WIDTH + gl_LocalInvocationID.x;

		if (whole || i < n) {
			precise float d = g.v[i] * factor;
			precise float m1 = fma(beta1, m.v[i], rest1 * d);
			precise float v1 = fma(beta2, v.v[i], rest2 * d * d);
			precise float q = i < decay_count ? p.v[i] * shrink : p.v[i];
			precise float w = q - size * m1 / (sqrt(v1) / root + eps);

			m.v[i] = m1;
			v.v[i] = v1;
			p.v[i] = w;
		}
	}
}
