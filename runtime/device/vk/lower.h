/* SPDX-License-Identifier: MIT */
/*
 * What the lower_*.c files share: sizes of workgroups, dispatches over many
 * workgroups, and the scratch rules of the ops that need some. Start with
 * lower_rows.c, the simplest; the table is in lower.c.
 */
#ifndef TRAM_DEVICE_VK_LOWER_H
#define TRAM_DEVICE_VK_LOWER_H

#include "base/base.h"
#include "device/vk/kernel.h"
#include "graph/graph.h"
#include "ops/dims.h"

/* Shaders index elements of a tensor by signed 32-bit numbers; the slack is for tiles that overhang. */
#define TRAM_VK_MAX_ELEMENTS (UINT64_C(0x7fffffff) - 65536)

/* Lanes of a workgroup whose invocations don't talk to each other. */
uint32_t tram_vk_flat_width(const struct tram_vk_class *c);

/* Subgroups that share a row of @n elements: a function of @n and the class alone. */
uint32_t tram_vk_row_subgroups(const struct tram_vk_class *c, uint64_t n);

/* -EINVAL when an operand has more elements than a shader can index. Every lowering asks first. */
int tram_vk_check_sizes(const struct tram_call *call);

/* A dispatch of @groups workgroups in one dimension (shaders/lib/group.glsl). */
int tram_vk_groups(struct tram_vk_emit *e, const struct tram_call *call, enum tram_vk_shader shader,
		   const uint32_t *spec, uint32_t n_spec, const void *args, uint32_t args_size,
		   uint64_t groups, bool barrier);

/* tram_vk_groups for a kernel of lib/row.glsl: one workgroup per row of @n; @spec holds constants 2, 3, ... */
int tram_vk_rows(struct tram_vk_emit *e, const struct tram_call *call, enum tram_vk_shader shader,
		 const uint32_t *spec, uint32_t n_spec, const void *args, uint32_t args_size,
		 uint64_t rows, uint64_t n, bool barrier);

/* Bytes of @n words, rounded up to where the next tensor may stand. */
static inline uint64_t tram_vk_words(uint64_t n)
{
	return TRAM_ALIGN_UP(n * 4, TRAM_TENSOR_ALIGN);
}

/* @o moved by @words. */
static inline struct tram_operand tram_vk_moved(const struct tram_operand *o, uint64_t words)
{
	struct tram_operand m = *o;

	m.offset += words * 4;
	return m;
}

static inline bool tram_vk_same(const struct tram_operand *a, const struct tram_operand *b)
{
	return a->buf == b->buf && a->offset == b->offset;
}

/* lower_reduce.c */
uint64_t tram_vk_scratch_reduce(const struct tram_vk_class *c, const struct tram_signature *sig);
uint64_t tram_vk_scratch_layernorm_bwd_p(const struct tram_vk_class *c,
					 const struct tram_signature *sig);
uint64_t tram_vk_scratch_tree_sum(const struct tram_vk_class *c, const struct tram_signature *sig);

#endif
