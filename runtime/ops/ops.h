/* SPDX-License-Identifier: MIT */
/*
 * Between the files of this room: the op table, the functions that its rows
 * name (three per op: shape rule, gradient rule, oracle; two composites have
 * an expansion), and the builders that gradient rules share.
 */
#ifndef TRAM_OPS_OPS_H
#define TRAM_OPS_OPS_H

#include <tram/ops.h>

#include "graph/graph.h"
#include "ops/dims.h"

extern const struct tram_op_row tram_op_table[TRAM_OP_COUNT];

typedef int tram_shape_fn(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			  const union tram_attr *attr, struct tram_shapes *out);
typedef int tram_grad_fn(struct tram_graph *g, int32_t node, const tram_value *gout,
			 tram_value *gin);
typedef int tram_expand_fn(struct tram_graph *to, const struct tram_node *node,
			   const tram_value *in, tram_value *out);
typedef int tram_oracle_fn(const struct tram_oracle_tensor *in, uint32_t n_in,
			   struct tram_oracle_tensor *out, uint32_t n_out,
			   const union tram_attr *attr, const struct tram_step *step);

tram_shape_fn tram_shape_matmul, tram_shape_ew, tram_shape_reduce, tram_shape_softmax,
	tram_shape_softmax_bwd, tram_shape_layernorm, tram_shape_layernorm_bwd_x,
	tram_shape_layernorm_bwd_p, tram_shape_argmax, tram_shape_isfinite, tram_shape_tree_sum,
	tram_shape_transpose, tram_shape_slice, tram_shape_concat, tram_shape_embedding,
	tram_shape_embedding_bwd, tram_shape_rope, tram_shape_attention, tram_shape_attention_delta,
	tram_shape_attention_bwd, tram_shape_kv_append, tram_shape_attention_cached,
	tram_shape_head_loss, tram_shape_head_loss_bwd, tram_shape_xent_partial,
	tram_shape_xent_final, tram_shape_xent_grad, tram_shape_pack, tram_shape_stats_partial,
	tram_shape_stats_final, tram_shape_adamw, tram_shape_sgd, tram_shape_copy;

tram_grad_fn tram_grad_matmul, tram_grad_ew, tram_grad_reduce, tram_grad_softmax,
	tram_grad_layernorm, tram_grad_tree_sum, tram_grad_transpose, tram_grad_slice,
	tram_grad_concat, tram_grad_embedding, tram_grad_rope, tram_grad_attention,
	tram_grad_head_loss,
	tram_grad_pack, tram_grad_copy;

tram_expand_fn tram_expand_head_loss, tram_expand_head_loss_bwd;

tram_oracle_fn tram_oracle_matmul, tram_oracle_ew, tram_oracle_reduce, tram_oracle_softmax,
	tram_oracle_softmax_bwd, tram_oracle_layernorm, tram_oracle_layernorm_bwd_x,
	tram_oracle_layernorm_bwd_p, tram_oracle_argmax, tram_oracle_isfinite,
	tram_oracle_tree_sum, tram_oracle_transpose, tram_oracle_slice, tram_oracle_concat,
	tram_oracle_embedding, tram_oracle_embedding_bwd, tram_oracle_rope, tram_oracle_attention,
	tram_oracle_attention_delta, tram_oracle_attention_bwd, tram_oracle_kv_append,
	tram_oracle_attention_cached, tram_oracle_head_loss, tram_oracle_head_loss_bwd,
	tram_oracle_xent_partial, tram_oracle_xent_final, tram_oracle_xent_grad,
	tram_oracle_pack, tram_oracle_stats_partial, tram_oracle_stats_final,
	tram_oracle_adamw, tram_oracle_sgd, tram_oracle_copy;

/* --- for shape rules ------------------------------------------------------------- */

/* Number and dtypes of operands: @dtypes has a letter each, 'f' or 'i'. 0 or -EINVAL. */
int tram_check_operands(struct tram_graph *g, const char *who, const tram_value *in,
			uint32_t n_in, const char *dtypes);

/* Operand @i must have this shape; @what names it in the message. */
int tram_check_shape(struct tram_graph *g, const char *who, tram_value v, const char *what,
		     struct tram_shape want);

/* Appends an output. */
void tram_shapes_add(struct tram_shapes *out, enum tram_dtype dtype, struct tram_shape shape);

/* Valid until the next value is made. */
static inline const struct tram_shape *tram_shape_of(const struct tram_graph *g, tram_value v)
{
	return &tram_val(g, v)->shape;
}

/* --- for builders and gradient rules -------------------------------------------------- */

/* x [rows, ...] seen as [S, rows / S, rest]; refuses when S doesn't divide rows. */
tram_value tram_shard_view(struct tram_graph *g, const char *who, tram_value x, uint64_t rows);

/* REDUCE of x seen as [outer, red, inner] -> [outer, inner]; a view when red is 1. */
tram_value tram_reduce_view(struct tram_graph *g, tram_value x, enum tram_reduction kind,
			    uint64_t outer, uint64_t red, uint64_t inner);

/* x [rows, C] summed over its rows, per shard and then over shards -> [C]. */
tram_value tram_sum_rows(struct tram_graph *g, const char *who, tram_value x, uint64_t rows);

/*
 * One instruction over registers 0 .. n-1. @b >= 0: operands may be a wider
 * shape than register 0; the result has their common shape.
 */
tram_value tram_ew1(struct tram_graph *g, enum tram_ew_code code, const tram_value *in, uint32_t n,
		    float imm, uint32_t salt);

/* @x broadcast to the shape of @like and scaled; the values of @like don't matter. */
tram_value tram_broadcast_like(struct tram_graph *g, tram_value x, tram_value like, float factor);

#endif
