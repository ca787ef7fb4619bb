#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * c[p] = op(a[p]) op(b[p]) (+ bias) (+ residual[p]); c [nb, M, N], a and b of any strides.
 *
 * Workgroup: a tile of TILE_M x TILE_N, (TILE_M / EACH_M) * (TILE_N / EACH_N) invocations;
 * invocation (x, y) holds rows y * EACH_M + i and columns x + j * (TILE_N / EACH_N). Slices of
 * STEP_K of both operands go through workgroup memory, zero past M, N and K.
 * Grid: (column tiles, row tiles, nb).
 *
 * Precision f32. Each element is one chain of fma over k = 0 .. K - 1 from zero,
 * then + bias, then + residual: the same for every tile shape.
 */
#include "lib/tram.glsl"

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 0) const uint WIDTH = 256;
layout(constant_id = 1) const uint TILE_M = 64;
layout(constant_id = 2) const uint TILE_N = 64;
layout(constant_id = 3) const uint EACH_M = 4;
layout(constant_id = 4) const uint EACH_N = 4;
layout(constant_id = 5) const uint A_K_FASTEST = 1;	/* which way neighbours lie in memory */
layout(constant_id = 6) const uint B_K_FASTEST = 0;
layout(constant_id = 7) const uint BIAS = 0;
layout(constant_id = 8) const uint RESIDUAL = 0;

const uint STEP_K = 16;
const uint ACROSS = TILE_N / EACH_N;	/* invocations along n */

ARGS({
	F32 a;
	F32 b;
	F32 bias;
	F32 residual;
	F32 c;
	uint a_batch;		/* strides in elements */
	uint b_batch;
	uint c_batch;
	uint a_m;
	uint a_k;
	uint b_n;
	uint b_k;
	uint m;
	uint n;
	uint k;
})

/* an odd row length: neighbours along k lie in different banks */
shared float a_slice[STEP_K * (TILE_M + 1)];
shared float b_slice[STEP_K * (TILE_N + 1)];

void main()
{
	uint id = gl_LocalInvocationID.x, x = id % ACROSS, y = id / ACROSS;
	uint m0 = gl_WorkGroupID.y * TILE_M, n0 = gl_WorkGroupID.x * TILE_N;
	uint m = push.args.m, n = push.args.n, k = push.args.k;
	uint a0 = gl_WorkGroupID.z * push.args.a_batch, b0 = gl_WorkGroupID.z * push.args.b_batch;
	uint c0 = gl_WorkGroupID.z * push.args.c_batch;
	precise float acc[EACH_M][EACH_N];

	[[unroll]] for (uint i = 0; i < EACH_M; i++)
		[[unroll]] for (uint j = 0; j < EACH_N; j++)
			acc[i][j] = 0;

	for (uint k0 = 0; k0 < k; k0 += STEP_K) {
		for (uint e = id; e < STEP_K * TILE_M; e += WIDTH) {
			uint s = A_K_FASTEST != 0 ? e % STEP_K : e / TILE_M;
			uint i = A_K_FASTEST != 0 ? e / STEP_K : e % TILE_M;
			float v = 0;

			if (k0 + s < k && m0 + i < m)
				v = push.args.a.v[a0 + (m0 + i) * push.args.a_m +
						  (k0 + s) * push.args.a_k];
			a_slice[s * (TILE_M + 1) + i] = v;
		}
		for (uint e = id; e < STEP_K * TILE_N; e += WIDTH) {
			uint s = B_K_FASTEST != 0 ? e % STEP_K : e / TILE_N;
			uint j = B_K_FASTEST != 0 ? e / STEP_K : e % TILE_N;
			float v = 0;

			if (k0 + s < k && n0 + j < n)
				v = push.args.b.v[b0 + (n0 + j) * push.args.b_n +
						  (k0 + s) * push.args.b_k];
			b_slice[s * (TILE_N + 1) + j] = v;
		}
		barrier();
		[[unroll]] for (uint s = 0; s < STEP_K; s++) {
			float av[EACH_M], bv[EACH_N];

			[[unroll]] for (uint i = 0; i < EACH_M; i++)
				av[i] = a_slice[s * (TILE_M + 1) + y * EACH_M + i];
			[[unroll]] for (uint j = 0; j < EACH_N; j++)
				bv[j] = b_slice[s * (TILE_N + 1) + x + j * ACROSS];
			[[unroll]] for (uint i = 0; i < EACH_M; i++)
				[[unroll]] for (uint j = 0; j < EACH_N; j++)
					acc[i][j] = fma(av[i], bv[j], acc[i][j]);
		}
		barrier();
	}

	[[unroll]] for (uint i = 0; i < EACH_M; i++)
		[[unroll]] for (uint j = 0; j < EACH_N; j++) {
			uint row = m0 + y * EACH_M + i, col = n0 + x + j * ACROSS;

			if (row < m && col < n) {
				uint at = c0 + row * n + col;

				if (BIAS != 0)
					acc[i][j] += push.args.bias.v[col];
				if (RESIDUAL != 0)
					acc[i][j] += push.args.residual.v[at];
				push.args.c.v[at] = acc[i][j];
			}
		}
}
