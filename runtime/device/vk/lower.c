/* SPDX-License-Identifier: MIT */
/*
 * The table of lowerings (at the bottom) and what they share. A lowering reads
 * shapes, picks sizes of workgroups from the class, fills the argument block
 * that the shader declares, and appends dispatches.
 */
#include "device/vk/lower.h"

uint32_t tram_vk_flat_width(const struct tram_vk_class *c)
{
	uint32_t w = c->subgroup;

	/* software devices loop over the subgroups of a workgroup, masked */
	if (c->software)
		return w;
	while (w < 256 && w * 2 <= c->max_invocations)
		w *= 2;
	return w;
}

uint32_t tram_vk_row_subgroups(const struct tram_vk_class *c, uint64_t n)
{
	uint32_t s = 1;

	if (c->software)
		return 1;
	/* four elements or more for every invocation, at most 512 invocations */
	while (s * 2 * c->subgroup <= TRAM_MIN(c->max_invocations, 512u) &&
	       (uint64_t)s * 2 * c->subgroup * 4 <= n)
		s *= 2;
	return s;
}

static int check_size(const struct tram_call *call, const struct tram_operand *o)
{
	uint64_t n = tram_shape_count(&o->shape);
	char text[TRAM_SHAPE_TEXT];

	if (n <= TRAM_VK_MAX_ELEMENTS)
		return 0;
	return tram_fail(o->buf->dev->ctx, -EINVAL, "%s: an operand of op %d is %s, %llu elements; a "
			 "shader indexes at most %llu: cut the batch or the tensor",
			 o->buf->dev->info.selector, (int)call->op, tram_shape_text(&o->shape, text),
			 (unsigned long long)n, (unsigned long long)TRAM_VK_MAX_ELEMENTS);
}

int tram_vk_check_sizes(const struct tram_call *call)
{
	int r = 0;

	for (uint32_t i = 0; i < call->n_in && !r; i++)
		r = check_size(call, &call->in[i]);
	for (uint32_t i = 0; i < call->n_out && !r; i++)
		r = check_size(call, &call->out[i]);
	return r;
}

int tram_vk_groups(struct tram_vk_emit *e, const struct tram_call *call, enum tram_vk_shader shader,
		   const uint32_t *spec, uint32_t n_spec, const void *args, uint32_t args_size,
		   uint64_t groups, bool barrier)
{
	const struct tram_vk_class *c = tram_vk_emit_class(e);
	uint64_t gx = TRAM_MIN(groups, c->max_groups[0]), gy;
	struct tram_device *dev = call->out[0].buf->dev;

	if (!groups)
		return 0;
	gy = TRAM_DIV_UP(groups, gx);
	if (gy > c->max_groups[1] || groups > UINT32_MAX)
		return tram_fail(dev->ctx, -EINVAL, "%s: op %d needs %llu workgroups, the device runs at "
				 "most %u x %u: cut the batch", dev->info.selector, (int)call->op,
				 (unsigned long long)groups, c->max_groups[0], c->max_groups[1]);
	/* as even as it goes, so that few groups overhang */
	gx = TRAM_DIV_UP(groups, gy);
	return tram_vk_dispatch(e, shader, spec, n_spec, args, args_size, (uint32_t)gx,
				(uint32_t)gy, 1, barrier);
}

int tram_vk_rows(struct tram_vk_emit *e, const struct tram_call *call, enum tram_vk_shader shader,
		 const uint32_t *spec, uint32_t n_spec, const void *args, uint32_t args_size,
		 uint64_t rows, uint64_t n, bool barrier)
{
	const struct tram_vk_class *c = tram_vk_emit_class(e);
	uint32_t all[4] = { 0 };

	assert(n_spec <= TRAM_ARRAY_SIZE(all) - 2);
	all[1] = tram_vk_row_subgroups(c, n);
	all[0] = all[1] * c->subgroup;
	for (uint32_t i = 0; i < n_spec; i++)
		all[2 + i] = spec[i];
	return tram_vk_groups(e, call, shader, all, 2 + n_spec, args, args_size, rows, barrier);
}

const struct tram_vk_lowering tram_vk_lowerings[TRAM_OP_COUNT] = {
	[TRAM_OP_MATMUL] = { tram_vk_lower_matmul, tram_vk_scratch_matmul },
	[TRAM_OP_EW] = { tram_vk_lower_ew, NULL },
	[TRAM_OP_REDUCE] = { tram_vk_lower_reduce, tram_vk_scratch_reduce },
	[TRAM_OP_SOFTMAX] = { tram_vk_lower_softmax, NULL },
	[TRAM_OP_SOFTMAX_BWD] = { tram_vk_lower_softmax_bwd, NULL },
	[TRAM_OP_LAYERNORM] = { tram_vk_lower_layernorm, NULL },
	[TRAM_OP_LAYERNORM_BWD_X] = { tram_vk_lower_layernorm_bwd_x, NULL },
	[TRAM_OP_LAYERNORM_BWD_P] = { tram_vk_lower_layernorm_bwd_p,
				      tram_vk_scratch_layernorm_bwd_p },
	[TRAM_OP_ARGMAX] = { tram_vk_lower_argmax, NULL },
	[TRAM_OP_ISFINITE] = { tram_vk_lower_isfinite, NULL },
	[TRAM_OP_TREE_SUM] = { tram_vk_lower_tree_sum, tram_vk_scratch_tree_sum },
	[TRAM_OP_TRANSPOSE] = { tram_vk_lower_transpose, NULL },
	[TRAM_OP_SLICE] = { tram_vk_lower_slice, NULL },
	[TRAM_OP_CONCAT] = { tram_vk_lower_concat, NULL },
	[TRAM_OP_EMBEDDING] = { tram_vk_lower_embedding, NULL },
	[TRAM_OP_EMBEDDING_BWD] = { tram_vk_lower_embedding_bwd, NULL },
	[TRAM_OP_ROPE] = { tram_vk_lower_rope, NULL },
	[TRAM_OP_ATTENTION] = { tram_vk_lower_attention, NULL },
	[TRAM_OP_ATTENTION_DELTA] = { tram_vk_lower_attention_delta, NULL },
	[TRAM_OP_ATTENTION_BWD] = { tram_vk_lower_attention_bwd, tram_vk_scratch_attention_bwd },
	[TRAM_OP_KV_APPEND] = { tram_vk_lower_kv_append, NULL },
	[TRAM_OP_ATTENTION_CACHED] = { tram_vk_lower_attention_cached, NULL },
	[TRAM_OP_XENT_PARTIAL] = { tram_vk_lower_xent_partial, NULL },
	[TRAM_OP_XENT_FINAL] = { tram_vk_lower_xent_final, NULL },
	[TRAM_OP_XENT_GRAD] = { tram_vk_lower_xent_grad, NULL },
	[TRAM_OP_PACK] = { tram_vk_lower_pack, NULL },
	[TRAM_OP_STATS_PARTIAL] = { tram_vk_lower_stats_partial, NULL },
	[TRAM_OP_STATS_FINAL] = { tram_vk_lower_stats_final, NULL },
	[TRAM_OP_ADAMW] = { tram_vk_lower_adamw, NULL },
	[TRAM_OP_SGD] = { tram_vk_lower_sgd, NULL },
	[TRAM_OP_COPY] = { tram_vk_lower_copy, NULL },
};
