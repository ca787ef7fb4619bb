/* SPDX-License-Identifier: MIT */
/*
 * The product of one tile, C[m, n] = A[m, k] B[k, n] (+ C), all row-major:
 * oneDNN's batch-reduce GEMM micro-kernel, generated once per shape. It starts
 * no threads and allocates nothing when it runs, and each element of its result is one chain of fused
 * multiply-adds over k in order, whatever m and n are: that is why the bits of a row
 * don't depend on how many rows there are (tested in cpu_test.c). See
 * Documentation/adr/0002-cpu-products.rst.
 */
#ifndef TRAM_DEVICE_CPU_TILE_H
#define TRAM_DEVICE_CPU_TILE_H

#include "base/base.h"

struct tram_cpu_isa;
struct tram_cpu_tile;
struct tram_cpu_tiles;	/* the kernels of a device */

struct tram_cpu_tile_shape {
	uint32_t m, n, k;
	uint64_t lda, ldb, ldc;	/* elements */
	bool add;		/* C += instead of C = */
};

int tram_cpu_tiles_create(struct tram_ctx *ctx, const struct tram_cpu_isa *isa,
			  struct tram_cpu_tiles **tiles);
void tram_cpu_tiles_destroy(struct tram_cpu_tiles **tiles);
/* "oneDNN 3.7.2 (avx512)" or "own loops" */
const char *tram_cpu_tiles_name(const struct tram_cpu_tiles *tiles);

/* The kernel of @shape, which lives as long as @tiles; NULL for an empty tile. */
int tram_cpu_tile_get(struct tram_cpu_tiles *tiles, const struct tram_cpu_tile_shape *shape,
		      const struct tram_cpu_tile **tile);

void tram_cpu_tile_run(const struct tram_cpu_tile *tile, const float *a, const float *b, float *c);

#endif
