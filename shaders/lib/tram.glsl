/* SPDX-License-Identifier: MIT */
/*
 * What every shader includes first: extensions, the push constants, buffer
 * references. A shader declares its argument block as
 *
 *	ARGS({ uint64_t x; uint64_t y; uint n; })
 *
 * (no commas: it is a macro argument) and reads push.args.n; the step block is push.step. The host fills the same struct (std430).
 */
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer F32 { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer F32x4 { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer I32 { int v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer U32 { uint v[]; };

/* Mirrors struct tram_step of <tram/exec.h>. */
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Step {
	uint step;
	uint seed0, seed1;
	uint commit;
	float lr;
	float bias_correction1, bias_correction2;
	float inv_targets;
	uint pos;
	uint shard0;
	float loss_scale;
};

#define ARGS(fields) \
	layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Args fields; \
	layout(push_constant) uniform Push { Args args; Step step; } push;
