#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * Lays a matrix x[nb, W, K] of any strides out as panels [nb][tile][K up][PANEL]
 * for matmul_lavapipe.comp: W is M or N. Past W the last one is repeated; from K
 * to K up (a multiple of STEP) there are zeros. Moves bits only.
 *
 * Workgroup: one subgroup, BLOCK values of k of one tile; grid: (blocks, tiles, nb). Where a
 * panel is no multiple of LANES (24 of 16), a turn takes two values of k.
 */
#include "lib/tram.glsl"
#include "lib/lanes.glsl"

layout(constant_id = 1) const uint PANEL = 24;
layout(constant_id = 2) const uint CONTIGUOUS = 0;	/* w is x's fastest dimension */

const uint STEP = 16, BLOCK = 64;
const uint TURN_K = PANEL % LANES == 0 ? 1 : 2;
const uint VECS = PANEL * TURN_K / LANES;

ARGS({
	uint64_t x;
	uint64_t panels;
	uint64_t x_batch;	/* strides in bytes */
	uint64_t x_w;
	uint64_t x_k;
	uint64_t panels_batch;
	uint64_t panels_tile;
	uint w;
	uint k;
})

void main()
{
	uint tile = gl_WorkGroupID.y, lane = gl_SubgroupInvocationID, n = push.args.k;
	uint k = gl_WorkGroupID.x * BLOCK, end = min(k + BLOCK, (n + STEP - 1) / STEP * STEP);
	uint64_t x_k = push.args.x_k;
	uint64_t x = push.args.x + gl_WorkGroupID.z * push.args.x_batch;
	uint64_t panel = push.args.panels + gl_WorkGroupID.z * push.args.panels_batch +
			 tile * push.args.panels_tile + uint64_t(k) * (PANEL * 4) + lane * 4;
	bool whole = (tile + 1) * PANEL <= push.args.w;
	uint64_t from[VECS];
	uint lane_k[VECS];

	[[unroll]] for (uint v = 0; v < VECS; v++) {
		uint e = v * LANES + lane;
		uint w = min(tile * PANEL + e % PANEL, push.args.w - 1);

		lane_k[v] = e / PANEL;
		from[v] = x + w * push.args.x_w + lane_k[v] * x_k;
	}
	do {
		uint64_t at = uint64_t(k) * x_k;

		if (k + STEP > n) {
			[[unroll]] for (uint s = 0; s < STEP; s += TURN_K)
				[[unroll]] for (uint v = 0; v < VECS; v++) {
					float t = 0;

					if (k + s + lane_k[v] < n)
						t = F32(from[v] + at + s * x_k).v[0];
					F32(panel + (s * PANEL + v * LANES) * 4).v[0] = t;
				}
		} else if (CONTIGUOUS != 0 && TURN_K == 1 && whole) {
			[[unroll]] for (uint s = 0; s < STEP; s++)
				[[unroll]] for (uint v = 0; v < VECS; v++)
					F32(panel + (s * PANEL + v * LANES) * 4).v[0] =
						lanes_load(x + uint64_t(tile * PANEL + v * LANES) * 4 +
							   at + s * x_k);
		} else {
			[[unroll]] for (uint s = 0; s < STEP; s += TURN_K)
				[[unroll]] for (uint v = 0; v < VECS; v++)
					F32(panel + (s * PANEL + v * LANES) * 4).v[0] =
						F32(from[v] + at + s * x_k).v[0];
		}
		k += STEP;
		panel += uint64_t(STEP * PANEL * 4);
	} while (k < end);
}
