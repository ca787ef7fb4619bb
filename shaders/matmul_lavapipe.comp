#version 460
#extension GL_GOOGLE_include_directive : require
/* SPDX-License-Identifier: MIT */
/*
 * c[p] = op(a[p]) op(b[p]) (+ bias) (+ residual[p]) for software Vulkan; c [nb, M, N].
 *
 * a: rows of k-contiguous elements (A_PACKED 0) or panels [tile][k][ROWS] made by
 * matmul_pack_lavapipe.comp (1). b: rows of n-contiguous elements, b_k bytes apart, or packed
 * panels [tile][k][COLS * LANES] (B_GATHER 0), or any strides (1). Rows past M are clones of
 * the last one: they compute and store the same bits. Columns past N are not
 * stored. Packed operands are zero from K to the next multiple of UNROLL.
 *
 * Workgroup: one subgroup, a tile of ROWS x COLS * LANES; grid: x, y and z as in tile(). What
 * is fast: accumulators in registers, a scalar operand broadcast from memory, a
 * vector operand in one load, UNROLL steps between the loop's own costs.
 *
 * Precision f32. Each element is one chain of fma over k = 0 .. K - 1 from zero,
 * then + bias, then + residual: the same for every tile shape and operand form.
 */
#include "lib/tram.glsl"
#include "lib/lanes.glsl"

layout(constant_id = 1) const uint ROWS = 24;
layout(constant_id = 2) const uint COLS = 1;	/* vectors */
layout(constant_id = 3) const uint UNROLL = 16;
layout(constant_id = 4) const uint A_PACKED = 1;
layout(constant_id = 5) const uint B_GATHER = 0;
layout(constant_id = 6) const uint TAIL = 0;	/* k is no multiple of UNROLL */
layout(constant_id = 7) const uint BIAS = 0;
layout(constant_id = 8) const uint RESIDUAL = 0;

ARGS({
	uint64_t a;
	uint64_t b;
	uint64_t bias;
	uint64_t residual;
	uint64_t c;
	uint64_t a_batch;	/* strides in bytes */
	uint64_t b_batch;
	uint64_t c_batch;
	uint64_t a_tile;
	uint64_t a_row;		/* not packed */
	uint64_t b_tile;
	uint64_t b_k;
	uint64_t b_n;		/* B_GATHER */
	uint m;
	uint n;
	uint k;
	uint chunks;		/* groups of column tiles; z is batch * chunks + chunk */
	uint chunk_tiles;	/* tiles of a chunk: gl_NumWorkGroups.x */
	uint tiles;		/* column tiles */
})

/* Steps k .. k + @count - 1. */
#define STEPS(count) \
{ \
	uint64_t a_ = A_PACKED != 0 ? a0 + uint64_t(k) * (ROWS * 4) : uint64_t(k) * 4; \
	uint64_t bk_ = uint64_t(k) * push.args.b_k; \
\
	[[unroll]] for (uint s = 0; s < (count); s++) { \
		float b[COLS]; \
\
		[[unroll]] for (uint j = 0; j < COLS; j++) \
			b[j] = B_GATHER != 0 ? F32(b_col[j] + bk_).v[0] : \
			       lanes_load(b0 + bk_ + uint64_t(j * LANES * 4)); \
		[[unroll]] for (uint i = 0; i < ROWS; i++) { \
			float x = A_PACKED != 0 ? F32(a_).v[s * ROWS + i] : \
				  F32(a_row[i] + a_).v[s]; \
\
			[[unroll]] for (uint j = 0; j < COLS; j++) \
				acc[i][j] = fma(x, b[j], acc[i][j]); \
		} \
		bk_ += push.args.b_k; \
	} \
}

void main()
{
	uint p = gl_WorkGroupID.z / push.args.chunks, chunk = gl_WorkGroupID.z % push.args.chunks;
	uint tile_n = chunk * push.args.chunk_tiles + gl_WorkGroupID.x, tile_m = gl_WorkGroupID.y;
	uint m0 = tile_m * ROWS, n0 = tile_n * (COLS * LANES), lane = gl_SubgroupInvocationID;
	uint m = push.args.m, n = push.args.n, k = 0, whole = push.args.k / UNROLL * UNROLL;

	if (tile_n >= push.args.tiles)
		return;
	precise float acc[ROWS][COLS];
	uint64_t a_row[ROWS];
	uint64_t b_col[COLS];
	uint64_t a0 = push.args.a + p * push.args.a_batch;
	uint64_t b0 = push.args.b + p * push.args.b_batch + tile_n * push.args.b_tile;
	uint64_t c = push.args.c + p * push.args.c_batch;
	uint64_t residual = push.args.residual + p * push.args.c_batch;

	if (A_PACKED != 0)
		a0 += tile_m * push.args.a_tile;
	[[unroll]] for (uint i = 0; i < ROWS; i++) {
		if (A_PACKED == 0)
			a_row[i] = a0 + uint64_t(min(m0 + i, m - 1)) * push.args.a_row;
		[[unroll]] for (uint j = 0; j < COLS; j++)
			acc[i][j] = 0;
	}
	[[unroll]] for (uint j = 0; j < COLS; j++)
		b_col[j] = b0 + uint64_t(min(n0 + j * LANES + lane, n - 1) - n0) * push.args.b_n;

	/* do-while: a load of an iteration that no lane takes part in would still be made */
	if (TAIL == 0 || whole > 0) {
		do {
			STEPS(UNROLL)
			k += UNROLL;
		} while (k < whole);
	}
	if (TAIL != 0) {
		do {
			STEPS(1)
			k++;
		} while (k < push.args.k);
	}

	[[unroll]] for (uint j = 0; j < COLS; j++) {
		uint col = n0 + j * LANES + lane;

		if (col < n) {
		float bias = BIAS != 0 ? F32(push.args.bias).v[col] : 0;
		/* All loads before the first store: c may be residual, and rows may be clones. */
		[[unroll]] for (uint i = 0; i < ROWS; i++) {
			uint64_t at = (uint64_t(min(m0 + i, m - 1)) * n + col) * 4;

			if (BIAS != 0)
				acc[i][j] += bias;
			if (RESIDUAL != 0)
				acc[i][j] += F32(residual + at).v[0];
		}
		[[unroll]] for (uint i = 0; i < ROWS; i++) {
			uint64_t at = (uint64_t(min(m0 + i, m - 1)) * n + col) * 4;

			F32(c + at).v[0] = acc[i][j];
		}
		}
	}
}
