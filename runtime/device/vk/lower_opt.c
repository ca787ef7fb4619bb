/* SPDX-License-Identifier: MIT */
/*
 * ADAMW and SGD: flat loops over all parameters, in place. The shaders look at the step's commit word
 * first; a step whose gate stays closed writes nothing.
 */
#include "device/vk/lower.h"

/*
 * The variables live where the outputs are. Where the caller keeps version N elsewhere, it is copied
 * first, so that a closed gate leaves version N in the outputs.
 */
static int adopt(struct tram_vk_emit *e, const struct tram_call *call, bool *barrier)
{
	bool copied = false;
	int r = tram_vk_check_sizes(call);

	for (uint32_t i = 0; i < call->n_out && !r; i++) {
		if (tram_vk_same(&call->in[i], &call->out[i]))
			continue;
		r = tram_vk_copy(e, &call->out[i], &call->in[i],
				 tram_shape_count(&call->out[i].shape) * 4,
				 call->barrier && !copied);
		copied = true;
	}
	*barrier = call->barrier || copied;
	return r;
}

int tram_vk_lower_adamw(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t n = tram_shape_count(&call->in[0].shape);
	const union tram_attr *a = call->attr;
	struct {
		uint64_t p, m, v, g, stats;
		uint32_t n, decay_count;
		float beta1, beta2, rest1, rest2, eps, decay, clip;
	} args = {
		tram_vk_address(&call->out[0]), tram_vk_address(&call->out[1]),
		tram_vk_address(&call->out[2]), tram_vk_address(&call->in[3]),
		tram_vk_address(&call->in[4]), (uint32_t)n,
		(uint32_t)TRAM_MIN(a->opt.decay_count, n), a->opt.beta1, a->opt.beta2,
		(float)(1.0 - a->opt.beta1), (float)(1.0 - a->opt.beta2), a->opt.eps,
		a->opt.weight_decay, a->opt.clip,
	};
	bool barrier;
	int r = adopt(e, call, &barrier);

	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_ADAMW, &width, 1, &args, sizeof(args),
				      TRAM_DIV_UP(n, 4 * (uint64_t)width), barrier);
}

int tram_vk_lower_sgd(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t n = tram_shape_count(&call->in[0].shape);
	const union tram_attr *a = call->attr;
	struct {
		uint64_t p, buf, g, stats;
		uint32_t n, decay_count;
		float momentum, decay, clip;
	} args = {
		tram_vk_address(&call->out[0]), tram_vk_address(&call->out[1]),
		tram_vk_address(&call->in[2]), tram_vk_address(&call->in[3]), (uint32_t)n,
		(uint32_t)TRAM_MIN(a->opt.decay_count, n), a->opt.momentum, a->opt.weight_decay,
		a->opt.clip,
	};
	bool barrier;
	int r = adopt(e, call, &barrier);

	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_SGD, &width, 1, &args, sizeof(args),
				      TRAM_DIV_UP(n, 4 * (uint64_t)width), barrier);
}
