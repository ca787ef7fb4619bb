/* SPDX-License-Identifier: MIT */
/*
 * For software Vulkan whose lanes are the lanes of one vector register
 * (lavapipe): a workgroup is one subgroup of LANES = 8 or 16 invocations. Loads
 * at a uniform address are scalar there, and a chain of selects by a constant lane folds
 * into one vector load, where an address per lane would be a gather.
 */
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 0) const uint LANES = 8;

layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer Quads { vec4 v[]; };

/* Floats at @base + lane. Reads all LANES of them whatever lanes are active. */
float lanes_load(uint64_t base)
{
	Quads p = Quads(base);
	uint lane = gl_SubgroupInvocationID;
	float r = 0;

	[[unroll]] for (uint q = 0; q < LANES / 4; q++) {
		vec4 t = p.v[q];

		r = lane == 4 * q ? t.x : r;
		r = lane == 4 * q + 1 ? t.y : r;
		r = lane == 4 * q + 2 ? t.z : r;
		r = lane == 4 * q + 3 ? t.w : r;
	}
	return r;
}
