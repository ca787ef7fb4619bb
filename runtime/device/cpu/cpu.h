/* SPDX-License-Identifier: MIT */
/*
 * The CPU device inside. cpu.c: device, buffers, timelines, the executor
 * thread. pool.c: threads. lower.c: a recorded call becomes phases, each a
 * loop over chunks. tile.c: the product of one tile by oneDNN. matmul.c and attention.c:
 * products of tiles. kern_*.h: vectorised loops, compiled once per instruction set by isa_*.c.
 */
#ifndef TRAM_DEVICE_CPU_CPU_H
#define TRAM_DEVICE_CPU_CPU_H

#include <tram/ops.h>

#include "device/cpu/pool.h"
#include "device/cpu/tile.h"
#include "device/device.h"
#include "ops/rope.h"

#define TRAM_CPU_DIMS 12

/* What the chunks of a phase read; immutable once recorded. */
struct tram_cpu_arg {
	const struct tram_cpu_isa *isa;
	const struct tram_step *step;
	void *const *in, *const *out;	/* addresses of the operands */
	uint32_t n_in, n_out;
	const union tram_attr *attr;
	uint64_t count, per;		/* items, items of a chunk */
	uint64_t dim[TRAM_CPU_DIMS];	/* as the op says where it is lowered */
	void *shared;			/* scratch that all threads see */
	char *own;			/* scratch of worker 0; the next is own_size on */
	uint64_t own_size;
	const void *plan;		/* struct tram_cpu_ew, _matmul, _attention; frequencies of ROPE */
};

static inline void *tram_cpu_own(const struct tram_cpu_arg *a, unsigned int worker)
{
	return a->own + a->own_size * worker;
}

static inline uint64_t tram_cpu_chunk_end(const struct tram_cpu_arg *a, uint64_t chunk)
{
	return TRAM_MIN((chunk + 1) * a->per, a->count);
}

/* One op's inputs of an elementwise program, seen from the result's elements. */
enum tram_cpu_ew_kind { TRAM_CPU_EW_DIRECT, TRAM_CPU_EW_SCALAR, TRAM_CPU_EW_STRIDED };

struct tram_cpu_ew {
	enum tram_cpu_ew_kind kind[TRAM_EW_MAX_IN];
	uint32_t rank;			/* of the collapsed result */
	uint64_t dim[TRAM_MAX_RANK];
	uint64_t stride[TRAM_EW_MAX_IN][TRAM_MAX_RANK];	/* elements; innermost 0 or 1 */
};

/* A permutation, neighbours merged. */
struct tram_cpu_transpose {
	uint32_t rank;
	uint64_t dim[TRAM_MAX_RANK];	/* of the result */
	uint64_t stride[TRAM_MAX_RANK];	/* of the source, elements */
	uint32_t from;			/* axis of the result that is contiguous in the source */
};

/*
 * The loops compiled for one instruction set. Chunks take a struct
 * tram_cpu_arg; the rest are pieces of matmul.c and attention.c.
 */
struct tram_cpu_isa {
	const char *name;
	tram_cpu_chunk *op[TRAM_OP_COUNT];
	tram_cpu_chunk *reduce_inner;	/* REDUCE over an axis that isn't the last */
	/* dst[c * ld_dst + r] = src[r * ld_src + c] */
	void (*flip)(float *dst, size_t ld_dst, const float *src, size_t ld_src, size_t rows,
		     size_t cols);
	void (*copy2d)(float *dst, size_t ld_dst, const float *src, size_t ld_src, size_t rows,
		       size_t cols);
	/* c = (t + bias) + residual; bias and residual may be NULL; t may be c */
	void (*epilogue)(float *c, size_t ld_c, const float *t, size_t ld_t, const float *bias,
			 const float *residual, size_t ld_res, size_t rows, size_t cols);
	/* c (+)= a b where the library has no kernel: the same chain of additions over k. */
	void (*tile)(const struct tram_cpu_tile_shape *s, const float *a, const float *b,
		     float *c);
	/*
	 * Scores of @rows queries against @cols keys, row r seeing the first @seen + r of them (at most cols), become
	 * exp(scale * s - max); max and sum are carried from block to block, alpha is what earlier results
	 * are to be multiplied by.
	 */
	void (*attention_softmax)(float *s, size_t ld, size_t rows, size_t cols, size_t seen,
				  float scale, float *max, float *sum, float *alpha);
	/* row r *= factor[r] */
	void (*scale_rows)(float *x, size_t ld, size_t rows, size_t cols, const float *factor);
	/*
	 * [keys x queries]: s becomes p = exp(scale * s - lse[q]), 0 where causal and key > query;
	 * dp becomes p * (dp - delta[q]) * scale.
	 */
	void (*attention_grad)(float *s, float *dp, size_t ld, size_t keys, size_t queries,
			       bool causal, float scale, const float *lse, const float *delta);
};

/* clang knows no pragma that selects an instruction set for what follows. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define TRAM_CPU_X86_SETS 1
extern const struct tram_cpu_isa tram_cpu_isa_v4, tram_cpu_isa_v3;
#else
#define TRAM_CPU_X86_SETS 0
#endif
extern const struct tram_cpu_isa tram_cpu_isa_base;
/* The best one that this processor runs. */
const struct tram_cpu_isa *tram_cpu_isa_best(void);

/* What the planner's callbacks know (machine.kernels). */
struct tram_cpu_class { unsigned int threads; };

struct tram_cpu_device;

/* --- recording (lower.c) ------------------------------------------------------------ */

struct tram_cpu_phase {
	tram_cpu_chunk *fn;
	uint64_t chunks;
	struct tram_cpu_arg *arg;
	uint32_t call;
};

struct tram_program {
	struct tram_device *dev;
	TRAM_VEC(struct tram_cpu_phase) phases;
	TRAM_VEC(void *) blocks;	/* what phases point to */
	struct tram_span *spans;	/* n_calls; NULL when not timed */
	size_t n_calls;
};

/* A call being lowered. */
struct tram_cpu_lower {
	struct tram_ctx *ctx;
	struct tram_program *prog;
	struct tram_cpu_tiles *tiles;
	const struct tram_cpu_isa *isa;
	const struct tram_step *step;
	unsigned int threads;
	const struct tram_call *call;
	uint32_t index;
	struct tram_cpu_arg *arg;	/* of the call, operands filled in */
};

/* Zeroed memory that lives as long as the program. */
void *tram_cpu_block(struct tram_cpu_lower *l, size_t size);
/* Append a loop of @count items of l->arg, @per a chunk. */
int tram_cpu_phase(struct tram_cpu_lower *l, tram_cpu_chunk *fn, uint64_t count, uint64_t per);
/* Another argument block for a further phase of the call: a copy of l->arg, which it becomes. */
int tram_cpu_arg_copy(struct tram_cpu_lower *l);

int tram_cpu_lower_matmul(struct tram_cpu_lower *l);
int tram_cpu_lower_attention(struct tram_cpu_lower *l);
int tram_cpu_lower_attention_bwd(struct tram_cpu_lower *l);
uint64_t tram_cpu_scratch_matmul(const struct tram_cpu_class *c, const struct tram_signature *sig);
uint64_t tram_cpu_scratch_attention(const struct tram_cpu_class *c,
				    const struct tram_signature *sig);
uint64_t tram_cpu_scratch_attention_bwd(const struct tram_cpu_class *c,
					const struct tram_signature *sig);

uint64_t tram_cpu_scratch(const struct tram_machine_device *self,
			  const struct tram_signature *sig);
int tram_cpu_program_create(struct tram_device *dev, const struct tram_call *calls, size_t n,
			    struct tram_buffer *step, uint64_t step_offset, bool timed,
			    struct tram_program **prog);
void tram_cpu_program_destroy(struct tram_program *prog);
void tram_cpu_program_run(struct tram_program *prog, struct tram_cpu_pool *pool);

struct tram_cpu_tiles *tram_cpu_tiles_of(struct tram_device *dev);
const struct tram_cpu_isa *tram_cpu_isa_of(struct tram_device *dev);

/* For tests: opens the device with @isa and @threads instead of the best and the context's. */
int tram_cpu_open_with(struct tram_ctx *ctx, const struct tram_cpu_isa *isa, unsigned int threads,
		       struct tram_device **dev);

#endif
