/* SPDX-License-Identifier: MIT */
/*
 * The op table: one row an op. What an op means is written at enum tram_op
 * (graph/op.h); the functions named here are in the file of its family.
 */
#include "ops/ops.h"

int tram_graph_create(struct tram_ctx *ctx, const struct tram_graph_params *params,
		      struct tram_graph **graph)
{
	return tram_graph_create_with(ctx, tram_op_table, params, graph);
}

/* --- what shape rules share -------------------------------------------------- */

int tram_check_operands(struct tram_graph *g, const char *who, const tram_value *in,
			uint32_t n_in, const char *dtypes)
{
	if (n_in != strlen(dtypes))
		return tram_graph_error(g, -EINVAL, "%s: %u operands, %zu are needed", who, n_in,
					strlen(dtypes));
	for (uint32_t i = 0; i < n_in; i++) {
		enum tram_dtype want = dtypes[i] == 'i' ? TRAM_I32 : TRAM_F32;

		if (tram_val(g, in[i])->dtype != want)
			return tram_graph_error(g, -EINVAL, "%s: operand %u is %s, %s is needed",
						who, i, want == TRAM_I32 ? "f32" : "i32",
						want == TRAM_I32 ? "i32" : "f32");
	}
	return 0;
}

int tram_check_shape(struct tram_graph *g, const char *who, tram_value v, const char *what,
		     struct tram_shape want)
{
	char is[TRAM_SHAPE_TEXT], should[TRAM_SHAPE_TEXT];

	if (tram_shape_equal(tram_shape_of(g, v), &want))
		return 0;
	return tram_graph_error(g, -EINVAL, "%s: %s has shape %s, %s is needed", who, what,
				tram_shape_text(tram_shape_of(g, v), is),
				tram_shape_text(&want, should));
}

void tram_shapes_add(struct tram_shapes *out, enum tram_dtype dtype, struct tram_shape shape)
{
	assert(out->n < TRAM_ARRAY_SIZE(out->shape));
	out->dtype[out->n] = dtype;
	out->shape[out->n++] = shape;
}

tram_value tram_shard_view(struct tram_graph *g, const char *who, tram_value x, uint64_t rows)
{
	uint64_t n;

	if (x < 0)
		return TRAM_NONE;
	n = tram_shape_count(tram_shape_of(g, x));
	if (rows % g->shards)
		return tram_graph_fail(g, -EINVAL, "%s: %llu rows can't be cut into %u shards; make "
				       "the batch a multiple of the shards", who,
				       (unsigned long long)rows, g->shards);
	return tram_reshape(g, x, TRAM_SHAPE(g->shards, (uint32_t)(rows / g->shards),
					     (uint32_t)(n / rows)));
}

/* --- rows ------------------------------------------------------------------------ */

#define ROW(name_, grad_, expand_, inplace_, ...) { \
	.name = #name_, .shape = tram_shape_##name_, .grad = grad_, .expand = expand_, \
	.oracle = tram_oracle_##name_, .inplace = inplace_, .updates = { __VA_ARGS__ } }

const struct tram_op_row tram_op_table[TRAM_OP_COUNT] = {
	[TRAM_OP_MATMUL] = ROW(matmul, tram_grad_matmul, NULL, -1, 0),
	[TRAM_OP_EW] = ROW(ew, tram_grad_ew, NULL, 0, 0),
	[TRAM_OP_REDUCE] = ROW(reduce, tram_grad_reduce, NULL, -1, 0),
	[TRAM_OP_SOFTMAX] = ROW(softmax, tram_grad_softmax, NULL, 0, 0),
	[TRAM_OP_SOFTMAX_BWD] = ROW(softmax_bwd, NULL, NULL, 1, 0),
	[TRAM_OP_LAYERNORM] = ROW(layernorm, tram_grad_layernorm, NULL, -1, 0),
	[TRAM_OP_LAYERNORM_BWD_X] = ROW(layernorm_bwd_x, NULL, NULL, -1, 0),
	[TRAM_OP_LAYERNORM_BWD_P] = ROW(layernorm_bwd_p, NULL, NULL, -1, 0),
	[TRAM_OP_ARGMAX] = ROW(argmax, NULL, NULL, -1, 0),
	[TRAM_OP_ISFINITE] = ROW(isfinite, NULL, NULL, -1, 0),
	[TRAM_OP_TREE_SUM] = ROW(tree_sum, tram_grad_tree_sum, NULL, -1, 0),
	[TRAM_OP_TRANSPOSE] = ROW(transpose, tram_grad_transpose, NULL, -1, 0),
	[TRAM_OP_SLICE] = ROW(slice, tram_grad_slice, NULL, -1, 0),
	[TRAM_OP_CONCAT] = ROW(concat, tram_grad_concat, NULL, -1, 0),
	[TRAM_OP_EMBEDDING] = ROW(embedding, tram_grad_embedding, NULL, -1, 0),
	[TRAM_OP_EMBEDDING_BWD] = ROW(embedding_bwd, NULL, NULL, 3, 0),
	[TRAM_OP_ROPE] = ROW(rope, tram_grad_rope, NULL, 0, 0),
	[TRAM_OP_ATTENTION] = ROW(attention, tram_grad_attention, NULL, -1, 0),
	[TRAM_OP_ATTENTION_DELTA] = ROW(attention_delta, NULL, NULL, -1, 0),
	[TRAM_OP_ATTENTION_BWD] = ROW(attention_bwd, NULL, NULL, -1, 0),
	[TRAM_OP_KV_APPEND] = ROW(kv_append, NULL, NULL, -1, 2, 3),
	[TRAM_OP_ATTENTION_CACHED] = ROW(attention_cached, NULL, NULL, -1, 0),
	[TRAM_OP_HEAD_LOSS] = ROW(head_loss, tram_grad_head_loss, tram_expand_head_loss, -1, 0),
	[TRAM_OP_HEAD_LOSS_BWD] = ROW(head_loss_bwd, NULL, tram_expand_head_loss_bwd, -1, 0),
	[TRAM_OP_XENT_PARTIAL] = ROW(xent_partial, NULL, NULL, -1, 0),
	[TRAM_OP_XENT_FINAL] = ROW(xent_final, NULL, NULL, -1, 0),
	[TRAM_OP_XENT_GRAD] = ROW(xent_grad, NULL, NULL, 0, 0),
	[TRAM_OP_PACK] = ROW(pack, tram_grad_pack, NULL, -1, 0),
	[TRAM_OP_STATS_PARTIAL] = ROW(stats_partial, NULL, NULL, -1, 0),
	[TRAM_OP_STATS_FINAL] = ROW(stats_final, NULL, NULL, -1, 0),
	[TRAM_OP_ADAMW] = ROW(adamw, NULL, NULL, -1, 1, 2, 3),
	[TRAM_OP_SGD] = ROW(sgd, NULL, NULL, -1, 1, 2),
	[TRAM_OP_COPY] = ROW(copy, tram_grad_copy, NULL, -1, 0),
};
