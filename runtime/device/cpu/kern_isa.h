/* SPDX-License-Identifier: MIT */
/*
 * All loops for one instruction set. isa_*.c defines VL, ISA_NAME, ISA_TABLE and
 * selects the instruction set by a pragma before it includes this file.
 */
#include "device/cpu/kern_vec.h"
#include "device/cpu/kern_ew.h"
#include "device/cpu/kern_rows.h"
#include "device/cpu/kern_move.h"
#include "device/cpu/kern_attention.h"
#include "device/cpu/kern_rope.h"
#include "device/cpu/kern_opt.h"
#include "device/cpu/kern_tile.h"

const struct tram_cpu_isa ISA_TABLE = {
	.name = ISA_NAME,
	.op = {
		[TRAM_OP_EW] = op_ew,
		[TRAM_OP_REDUCE] = op_reduce,
		[TRAM_OP_SOFTMAX] = op_softmax,
		[TRAM_OP_SOFTMAX_BWD] = op_softmax_bwd,
		[TRAM_OP_LAYERNORM] = op_layernorm,
		[TRAM_OP_LAYERNORM_BWD_X] = op_layernorm_bwd_x,
		[TRAM_OP_LAYERNORM_BWD_P] = op_layernorm_bwd_p,
		[TRAM_OP_ARGMAX] = op_argmax,
		[TRAM_OP_ISFINITE] = op_isfinite,
		[TRAM_OP_TREE_SUM] = op_tree_sum,
		[TRAM_OP_TRANSPOSE] = op_transpose,
		[TRAM_OP_SLICE] = op_slice,
		[TRAM_OP_EMBEDDING] = op_embedding,
		[TRAM_OP_EMBEDDING_BWD] = op_embedding_bwd,
		[TRAM_OP_ROPE] = op_rope,
		[TRAM_OP_ATTENTION_DELTA] = op_attention_delta,
		[TRAM_OP_KV_APPEND] = op_kv_append,
		[TRAM_OP_ATTENTION_CACHED] = op_attention_cached,
		[TRAM_OP_XENT_PARTIAL] = op_xent_partial,
		[TRAM_OP_XENT_FINAL] = op_xent_final,
		[TRAM_OP_XENT_GRAD] = op_xent_grad,
		[TRAM_OP_STATS_PARTIAL] = op_stats_partial,
		[TRAM_OP_STATS_FINAL] = op_stats_final,
		[TRAM_OP_ADAMW] = op_adamw,
		[TRAM_OP_SGD] = op_sgd,
	},
	.reduce_inner = op_reduce_inner,
	.flip = flip,
	.copy2d = copy2d,
	.epilogue = epilogue,
	.tile = tile,
	.attention_softmax = attention_softmax,
	.scale_rows = scale_rows,
	.attention_grad = attention_grad,
};
