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
	uint64_t a;
	uint64_t b;
	uint64_t bias;
	uint64_t residual;
	uint64_t c;
	uint64_t a_batch;	/* strides in bytes */
	uint64_t b_batch;
	uint64_t c_batch;
	uint64_t a_m;
	uint64_t a_k;
	uint64_t b_n;
	uint64_t b_k;
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
	uint64_t a = push.args.a + gl_WorkGroupID.z * push.args.a_batch;
	uint64_t b = push.args.b + gl_WorkGroupID.z * push.args.b_batch;
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
				v = F32(a + (m0 + i) * push.args.a_m + (k0 + s) * push.args.a_k).v[0];
			a_slice[s * (TILE_M + 1) + i] = v;
		}
		for (uint e = id; e < STEP_K * TILE_N; e += WIDTH) {
			uint s = B_K_FASTEST != 0 ? e % STEP_K : e / TILE_N;
			uint j = B_K_FASTEST != 0 ? e / STEP_K : e % TILE_N;
			float v = 0;

			if (k0 + s < k && n0 + j < n)
				v = F32(b + (n0 + j) * push.args.b_n + (k0 + s) * push.args.b_k).v[0];
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
				uint64_t at = gl_WorkGroupID.z * push.args.c_batch +
					      (uint64_t(row) * n + col) * 4;

				if (BIAS != 0)
					acc[i][j] += F32(push.args.bias).v[col];
				if (RESIDUAL != 0)
					acc[i][j] += F32(push.args.residual + at).v[0];
				F32(push.args.c + at).v[0] = acc[i][j];
			}
		}
}
