/* SPDX-License-Identifier: MIT */
/*
 * What an op is: one row {name, shape rule, gradient rule, oracle} of
 * tram_op_table (ops/table.c). Devices implement the ops marked "kernel" below;
 * composite ops are expanded into those before a graph is planned
 * (tram_graph_expand, plan/expand.c).
 */
#ifndef TRAM_GRAPH_OP_H
#define TRAM_GRAPH_OP_H

#include <stdbool.h>
#include <stdint.h>

#include <tram/exec.h>
#include <tram/graph.h>

#include "base/rng.h"

/* The most inputs of a fused elementwise program, and its longest program. */
#define TRAM_EW_MAX_IN 6
#define TRAM_EW_MAX_CODE 12

/*
 * Ops with their operands. in -> out; S is the number of shards (attr), N the
 * product of leading dimensions; [S, N/S, C] is a view of [N, C].
 */
enum tram_op {
	TRAM_OP_NONE,
	/* a [nb, M, K] (or [nb, K, M]), b [nb or 1, K, N] (or [.., N, K]) [, bias [N]][, residual [nb, M, N]] -> [nb, M, N] */
	TRAM_OP_MATMUL,
	/* n inputs that broadcast to the result -> result; attr.ew is the program */
	TRAM_OP_EW,
	/* [outer, red, inner] -> [outer, inner] */
	TRAM_OP_REDUCE,
	/* x [N, C] -> y [N, C] */
	TRAM_OP_SOFTMAX,
	/* y, dy [N, C] -> dx [N, C] */
	TRAM_OP_SOFTMAX_BWD,
	/* x [N, C], gain [C], bias [C] -> y [N, C], stats [N, 2] = (mean, 1/std);
	   with attr.norm.rms, RMSNorm: no bias, stats = (0, 1/rms), and so in the two below */
	TRAM_OP_LAYERNORM,
	/* dy, x [N, C], gain [C], stats [N, 2] [, add [N, C]] -> dx [N, C] (+ add) */
	TRAM_OP_LAYERNORM_BWD_X,
	/* dy, x [N, C], stats [N, 2] -> dgain [S, C], dbias [S, C] (rms: dgain alone) */
	TRAM_OP_LAYERNORM_BWD_P,
	/* x [N, C] -> i32 [N] */
	TRAM_OP_ARGMAX,
	/* x [n] -> i32 [1] */
	TRAM_OP_ISFINITE,
	/* x [S, n] -> [n], fixed binary tree */
	TRAM_OP_TREE_SUM,
	/* x -> permuted x */
	TRAM_OP_TRANSPOSE,
	/* x [outer, len, inner] -> [outer, count, inner] */
	TRAM_OP_SLICE,
	/* n of [outer, len_i, inner] -> [outer, sum len_i, inner] */
	TRAM_OP_CONCAT,
	/* table [V, C], tokens i32 [N], order i32 [N] -> [N, C] */
	TRAM_OP_EMBEDDING,
	/* dy [N, C], tokens, order i32 [N] [, base [S, V, C]] -> [S, V, C]: base (or zero) plus the rows,
	   each row's contributions added in the order of `order` */
	TRAM_OP_EMBEDDING_BWD,
	/* x [B, T, heads D] -> the same shape, the first `rotated` heads of every token turned by its position */
	TRAM_OP_ROPE,
	/* qkv [B, T, (H+2G)D] -> out [B, T, HD], lse [B, H, T] (natural log) */
	TRAM_OP_ATTENTION,
	/* out, dout [B, T, HD] -> delta [B, H, T] = sum over D of out * dout */
	TRAM_OP_ATTENTION_DELTA,
	/* qkv, dout, lse, delta -> dqkv */
	TRAM_OP_ATTENTION_BWD,
	/* qkv, k_cache, v_cache -> k_cache', v_cache' (NEXT); writes rows pos .. pos + T - 1, pos from the step block */
	TRAM_OP_KV_APPEND,
	/* qkv (queries used), k_cache, v_cache -> [B, T, HD] */
	TRAM_OP_ATTENTION_CACHED,
	/* composite: x [N, C], head [V, C], targets i32 [N] -> loss [N], lse [N] [, logits [N, V] when one chunk holds all] */
	TRAM_OP_HEAD_LOSS,
	/* composite: x, head, targets, lse [, logits] -> dx [N, C], dhead [S, V, C] */
	TRAM_OP_HEAD_LOSS_BWD,
	/* logits [N, c] of vocabulary rows [first, first + c), targets i32 [N] [, state [N, 4]] -> state' [N, 4] =
	   (running max, running sum of exp(x - max), logit of the target, 0) */
	TRAM_OP_XENT_PARTIAL,
	/* state [N, 4], targets -> loss [N] (0 where target < 0), lse [N] */
	TRAM_OP_XENT_FINAL,
	/* logits [N, c], lse [N], targets -> dlogits [N, c] = (exp(x - lse) - [first + j == target]) * inv_targets; 0 where ignored */
	TRAM_OP_XENT_GRAD,
	/* n tensors -> flat [total] */
	TRAM_OP_PACK,
	/* flat [n] -> [chunks, 2]: sum of squares and 1.0/0.0 finite, chunks of TRAM_STATS_CHUNK elements */
	TRAM_OP_STATS_PARTIAL,
	/* [chunks, 2] -> [4] = (sumsq, finite, norm, 0) */
	TRAM_OP_STATS_FINAL,
	/* params, m, v, grads [n], stats [4] -> params', m', v' (NEXT) */
	TRAM_OP_ADAMW,
	/* params, momentum, grads [n], stats [4] -> params', momentum' (NEXT) */
	TRAM_OP_SGD,
	/* x -> bytes of x (inserted by the planner where aliasing can't serve) */
	TRAM_OP_COPY,
	TRAM_OP_COUNT
};

#define TRAM_STATS_CHUNK 16384

/*
 * Elementwise program: a straight line of instructions on registers. Registers
 * 0 .. n_in-1 hold the inputs' elements (each input broadcast to the result's shape); instruction i
 * writes register TRAM_EW_MAX_IN + i; the last instruction's register is the result.
 */
enum tram_ew_code {
	TRAM_EW_NOP, TRAM_EW_ADD, TRAM_EW_SUB, TRAM_EW_MUL, TRAM_EW_DIV, TRAM_EW_MAX,
	TRAM_EW_SCALE,		/* a * imm */
	TRAM_EW_ADDI,		/* a + imm */
	TRAM_EW_NEG, TRAM_EW_EXP, TRAM_EW_LOG, TRAM_EW_SQRT, TRAM_EW_TANH, TRAM_EW_RELU,
	TRAM_EW_RELU_BWD,	/* a = dy, b = x: x > 0 ? dy : 0 */
	TRAM_EW_GELU_TANH,
	TRAM_EW_GELU_TANH_BWD,	/* a = dy, b = x */
	TRAM_EW_GELU_ERF,
	TRAM_EW_GELU_ERF_BWD,	/* a = dy, b = x */
	TRAM_EW_TANH_BWD,	/* a = dy, b = y: dy * (1 - y^2) */
	TRAM_EW_DROPOUT,	/* a * mask / (1 - p): imm = p, salt; mask from tram_dropout_word() */
	TRAM_EW_I2F,		/* i32 input to f32 */
	TRAM_EW_SILU,		/* a / (1 + exp(-a)) */
	TRAM_EW_SILU_BWD,	/* a = dy, b = x */
	TRAM_EW_CODE_COUNT
};

struct tram_ew_insn {
	uint8_t code, a, b;	/* registers */
	float imm;
	uint32_t salt;
	uint32_t shard;		/* DROPOUT: elements of one shard of the batch */
};

struct tram_ew_program {
	uint32_t n_in, n_code;
	struct tram_ew_insn code[TRAM_EW_MAX_CODE];
};

union tram_attr {
	struct { bool ta, tb, bias, residual; } matmul;	/* see tram_matmul_dims() in ops/dims.h */
	struct tram_ew_program ew;
	struct { uint32_t kind; uint64_t outer, red, inner; } reduce;
	struct { float eps; uint32_t shards; bool add, rms; } norm;
	struct { uint32_t perm[TRAM_MAX_RANK]; } transpose;
	struct { uint32_t axis, first, count; } slice;
	struct { uint32_t axis; } concat;
	struct { uint32_t vocab, shards; bool base; } embedding;
	struct { uint32_t heads, kv_heads; } attention;
	struct { uint32_t heads, rotated; float theta; bool inverse, at_pos; } rope;	/* at_pos: plus the step block's pos */
	struct { uint32_t chunk, shards; bool keep; } head;	/* keep: logits are an output / input */
	struct { uint32_t first; bool state; } xent;		/* state: the third input is there */
	struct { const uint64_t *offset; uint64_t total; } pack;	/* owned by the graph */
	struct { float beta1, beta2, eps, weight_decay, clip, momentum; uint64_t decay_count; } opt;
};

/*
 * Dropout word of element @index of a tensor whose dropout has @salt:
 * philox(counter = (low and high word of index / 4, step, salt), key = seed), word index % 4; the
 * element is dropped when tram_u32_to_unit(word) < p. The index counts from the first shard of the whole batch:
 * step->shard0 shards stand before those held here.
 */
static inline uint32_t tram_dropout_word(const struct tram_step *s, uint32_t salt, uint64_t index)
{
	uint64_t block = index >> 2;

	return tram_philox((uint32_t)block, (uint32_t)(block >> 32), s->step, salt, s->seed[0],
			   s->seed[1]).v[index & 3];
}

/* --- rows -------------------------------------------------------------------------- */

struct tram_graph;
struct tram_node;

struct tram_shapes {
	struct tram_shape shape[3];
	enum tram_dtype dtype[3];
	uint32_t n;
};

/* A tensor as the oracles see it: f32 values as double, i32 as int32_t. */
struct tram_oracle_tensor {
	struct tram_shape shape;
	enum tram_dtype dtype;
	union { double *f; int32_t *i; };
};

struct tram_op_row {
	const char *name;
	/* Checks the inputs and gives the outputs' shapes; records its failure in the graph's context. */
	int (*shape)(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		     const union tram_attr *attr, struct tram_shapes *out);
	/*
	 * Appends nodes for the gradients: gout[i] is d/d(out[i]) or TRAM_NONE; sets gin[i] where
	 * there is one (initially TRAM_NONE). NULL: not differentiable.
	 */
	int (*grad)(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin);
	/*
	 * Composite: appends kernel nodes to @to; in[] and out[] are the node's values there, out[] to be
	 * set. NULL: a kernel op.
	 */
	int (*expand)(struct tram_graph *to, const struct tram_node *node, const tram_value *in,
		      tram_value *out);
	/* Straight, obvious, double precision. in-place outputs (NEXT) arrive as copies of their input. */
	int (*oracle)(const struct tram_oracle_tensor *in, uint32_t n_in,
		      struct tram_oracle_tensor *out, uint32_t n_out, const union tram_attr *attr,
		      const struct tram_step *step);
	/*
	 * Output 0 may share the storage of this input (if the node has it, and it has the output's
	 * shape and dies here); -1: none. Kernels of such ops (EW 0, SOFTMAX 0, SOFTMAX_BWD 1,
	 * EMBEDDING_BWD 3, ROPE 0, XENT_GRAD 0) bear equal addresses of the two.
	 */
	int inplace;
	/* updates[j] = i + 1: output j is the next version of input i; 0: a fresh value. */
	uint8_t updates[3];
};

#endif
