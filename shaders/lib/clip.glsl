/* SPDX-License-Identifier: MIT */
/* The factor of torch.nn.utils.clip_grad_norm_: min(1, clip / (norm + 1e-6)); 1 when clip is 0. */
float clip_factor(float norm, float clip)
{
	precise float f = clip / (norm + 1e-6);

	return clip > 0.0 && f < 1.0 ? f : 1.0;
}
