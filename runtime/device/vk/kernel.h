/* SPDX-License-Identifier: MIT */
/*
 * From a kernel call to dispatches. vk.c owns instance, device, memory and
 * recording; the lower_*.c files (one a family of ops) turn a call into
 * dispatches of the shaders named in shaders/variants.toml.
 *
 * Every shader is called with two addresses in push constants: its argument block (immutable,
 * written once when the program is recorded) and the step block. No
 * descriptor sets. Pipelines are made once per (shader, specialization
 * constants) and shared by all programs of the device.
 */
#ifndef TRAM_DEVICE_VK_KERNEL_H
#define TRAM_DEVICE_VK_KERNEL_H

#include "device/device.h"

/* enum tram_vk_shader: one TRAM_VK_SHADER_<NAME> per row of variants.toml, made by shaders/generate.py */
#include "shaders/spirv.h"

/* What variants are chosen by: features of the device, fixed when it is opened. */
struct tram_vk_class {
	uint32_t subgroup;		/* lanes of a subgroup, 4..128 */
	uint32_t subgroup_min, subgroup_max;	/* where the size can be chosen per pipeline */
	uint32_t max_shared;		/* bytes of workgroup memory */
	uint32_t max_invocations;	/* per workgroup */
	uint32_t max_groups[3];
	bool software;			/* lavapipe and its like: rows in registers, no shared-memory tiling */
	bool lavapipe;			/* constant-lane selects fold into vector loads */
};

#define TRAM_VK_MAX_SPEC 64	/* specialization constants of a pipeline */
#define TRAM_VK_MAX_ARGS 576	/* bytes of an argument block */

struct tram_vk_emit;	/* a program being recorded */

/*
 * Append one dispatch. @spec: constant_id 0, 1, ... ; @args: copied into the program's argument
 * buffer, 16-byte aligned; @barrier: wait for all earlier dispatches and see their writes.
 */
int tram_vk_dispatch(struct tram_vk_emit *e, enum tram_vk_shader shader, const uint32_t *spec,
		     uint32_t n_spec, const void *args, uint32_t args_size, uint32_t gx,
		     uint32_t gy, uint32_t gz, bool barrier);

/* Append a fill of @size bytes (multiple of 4) with @word. */
int tram_vk_fill(struct tram_vk_emit *e, const struct tram_operand *dst, uint64_t size,
		 uint32_t word, bool barrier);
/* Append a copy of @size bytes. */
int tram_vk_copy(struct tram_vk_emit *e, const struct tram_operand *dst,
		 const struct tram_operand *src, uint64_t size, bool barrier);

/* Device address of an operand's first element. */
uint64_t tram_vk_address(const struct tram_operand *o);

const struct tram_vk_class *tram_vk_emit_class(const struct tram_vk_emit *e);

/*
 * Lower one call. The first dispatch carries the call's barrier. Dispatches of
 * one call that depend on each other ask for barriers themselves.
 */
typedef int tram_vk_lower_fn(struct tram_vk_emit *e, const struct tram_call *call);

/* Rows of the table in lower.c, by op. scratch may be NULL. */
struct tram_vk_lowering {
	tram_vk_lower_fn *lower;
	uint64_t (*scratch)(const struct tram_vk_class *c, const struct tram_signature *sig);
};

extern const struct tram_vk_lowering tram_vk_lowerings[TRAM_OP_COUNT];

tram_vk_lower_fn tram_vk_lower_matmul, tram_vk_lower_ew, tram_vk_lower_reduce,
	tram_vk_lower_softmax, tram_vk_lower_softmax_bwd, tram_vk_lower_layernorm,
	tram_vk_lower_layernorm_bwd_x, tram_vk_lower_layernorm_bwd_p, tram_vk_lower_argmax,
	tram_vk_lower_isfinite, tram_vk_lower_tree_sum, tram_vk_lower_transpose,
	tram_vk_lower_slice, tram_vk_lower_concat, tram_vk_lower_embedding,
	tram_vk_lower_embedding_bwd, tram_vk_lower_attention, tram_vk_lower_attention_delta,
	tram_vk_lower_attention_bwd, tram_vk_lower_kv_append, tram_vk_lower_attention_cached,
	tram_vk_lower_rope,
	tram_vk_lower_xent_partial, tram_vk_lower_xent_final, tram_vk_lower_xent_grad,
	tram_vk_lower_pack, tram_vk_lower_stats_partial, tram_vk_lower_stats_final,
	tram_vk_lower_adamw, tram_vk_lower_sgd, tram_vk_lower_copy;

uint64_t tram_vk_scratch_matmul(const struct tram_vk_class *c, const struct tram_signature *sig);
uint64_t tram_vk_scratch_attention_bwd(const struct tram_vk_class *c,
				       const struct tram_signature *sig);

#endif
