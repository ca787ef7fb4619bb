/* SPDX-License-Identifier: MIT */
/*
 * Builders of nodes. Notation: [..., C] is a tensor of any rank whose last
 * dimension is C; N is the product of the leading ones. Everything is f32
 * unless a parameter says i32.
 */
#ifndef TRAM_OPS_H
#define TRAM_OPS_H

#include <tram/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- views: no bytes move ------------------------------------------------- */

/* Same elements, other shape (same number of elements). */
tram_value tram_reshape(struct tram_graph *g, tram_value x, struct tram_shape shape);

/* @count elements of @x flattened, from element @first, seen as @shape. */
tram_value tram_view(struct tram_graph *g, tram_value x, uint64_t first, struct tram_shape shape);

/* --- products --------------------------------------------------------------- */

struct tram_matmul_params {
	bool transpose_a;	/* a is stored [..., K, M] */
	bool transpose_b;	/* b is stored [..., N, K] */
	tram_value bias;	/* [N], or 0 in a zeroed struct: see has_bias */
	tram_value residual;	/* shape of the result, added last */
	bool has_bias, has_residual;
};

/*
 * op(a)[..., M, K] x op(b)[..., K, N] (+ bias)(+ residual) -> [..., M, N]. b of
 * rank 2 serves every leading index of a (then transpose_a must be false unless a has rank 2);
 * otherwise the leading dimensions are equal. @params may be NULL.
 */
tram_value tram_matmul(struct tram_graph *g, tram_value a, tram_value b,
		       const struct tram_matmul_params *params);

/* --- elementwise: shapes broadcast by NumPy's rules ---------------------------- */

tram_value tram_add(struct tram_graph *g, tram_value a, tram_value b);
tram_value tram_sub(struct tram_graph *g, tram_value a, tram_value b);
tram_value tram_mul(struct tram_graph *g, tram_value a, tram_value b);
tram_value tram_div(struct tram_graph *g, tram_value a, tram_value b);
tram_value tram_scale(struct tram_graph *g, tram_value x, float factor);
tram_value tram_neg(struct tram_graph *g, tram_value x);
tram_value tram_exp(struct tram_graph *g, tram_value x);
tram_value tram_ln(struct tram_graph *g, tram_value x);	/* natural logarithm */
tram_value tram_sqrt(struct tram_graph *g, tram_value x);
tram_value tram_tanh(struct tram_graph *g, tram_value x);
tram_value tram_relu(struct tram_graph *g, tram_value x);
/* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks & Gimpel 2016 */
tram_value tram_gelu_tanh(struct tram_graph *g, tram_value x);
/* 0.5 x (1 + erf(x / sqrt 2)) */
tram_value tram_gelu_erf(struct tram_graph *g, tram_value x);
/* x / (1 + exp(-x)), also called swish; silu(gate) * up is SwiGLU (Shazeer 2020) */
tram_value tram_silu(struct tram_graph *g, tram_value x);

/*
 * Zeroes elements with probability @p and scales the others by 1/(1-p). The mask is a function of
 * (seed and step of the step block, @salt, index of the element in the whole batch, of which the step block's shard0
 * shards stand before @x) alone; @salt tells the dropouts of a graph apart. p in [0, 1); 0 gives x itself.
 */
tram_value tram_dropout(struct tram_graph *g, tram_value x, float p, uint32_t salt);

/* --- rows and reductions --------------------------------------------------------- */

enum tram_reduction { TRAM_REDUCE_SUM, TRAM_REDUCE_MAX, TRAM_REDUCE_MEAN };

/* Reduces @n_axes neighbouring axes from @axis and drops them. MAX has no gradient. */
tram_value tram_reduce(struct tram_graph *g, tram_value x, enum tram_reduction kind,
		       uint32_t axis, uint32_t n_axes);

/* Over the last axis. */
tram_value tram_softmax(struct tram_graph *g, tram_value x);

/* (x - mean) / sqrt(var + eps) * gain + bias over the last axis; gain, bias: [C]. */
tram_value tram_layernorm(struct tram_graph *g, tram_value x, tram_value gain, tram_value bias,
			  float eps);

/* x / sqrt(mean of x^2 + eps) * gain over the last axis (Zhang, Sennrich 2019); gain: [C]. */
tram_value tram_rmsnorm(struct tram_graph *g, tram_value x, tram_value gain, float eps);

/* Index of the (first) largest element of the last axis: i32 [...]. No gradient. */
tram_value tram_argmax(struct tram_graph *g, tram_value x);

/* i32 [1]: 1 when every element of @x is finite, else 0. No gradient. */
tram_value tram_isfinite(struct tram_graph *g, tram_value x);

/* Adds x[S, ...] over S in a fixed binary tree: the left part has the largest power of two < S. */
tram_value tram_tree_sum(struct tram_graph *g, tram_value x);

/* --- moving ------------------------------------------------------------------------ */

/* out.dim[i] = x.dim[perm[i]] */
tram_value tram_transpose(struct tram_graph *g, tram_value x, const uint32_t *perm);
tram_value tram_slice(struct tram_graph *g, tram_value x, uint32_t axis, uint32_t first,
		      uint32_t count);
tram_value tram_concat(struct tram_graph *g, const tram_value *x, uint32_t n, uint32_t axis);

/* --- transformer ---------------------------------------------------------------------- */

/*
 * Rows of @table [V, C] for @tokens (i32 [...]) -> [..., C]. @order (i32, shape of
 * tokens) holds, for each of the graph's shards, the positions within the shard sorted (stably) by token;
 * only the gradient reads it. A token outside [0, V) gives a row of zeros and no gradient.
 */
tram_value tram_embedding(struct tram_graph *g, tram_value table, tram_value tokens,
			  tram_value order);

/*
 * Rotary position embedding (Su et al. 2021) of x [B, T, heads * D] as Hugging Face's models pair the
 * elements: of the first @rotated heads, element i < D/2 and element i + D/2 of the token at position p
 * turn by the angle p * theta^(-2i/D); the other heads stay. p is the token's index in T, and with @at_pos the
 * step block's `pos` more. D even, up to 128; theta in [1, 1e12]. Angles are exact
 * for every position below 2^32.
 */
tram_value tram_rope(struct tram_graph *g, tram_value x, uint32_t heads, uint32_t rotated,
		     float theta, bool at_pos);

/*
 * Causal scaled dot-product attention of packed projections: qkv [B, T, (H + 2 G) * D], each token
 * holding H query heads, then G key heads, then G value heads (G divides H; query head h
 * uses key head h / (H/G)); scores scaled by 1/sqrt(D). -> [B, T, H * D]. Never
 * holds T x T. D in {16, 32, 64, 80, 96, 128} or any multiple of 4 up to 128.
 */
tram_value tram_attention(struct tram_graph *g, tram_value qkv, uint32_t heads,
			  uint32_t kv_heads);

/*
 * Appends the keys and values of qkv [B, T, (H + 2 G) * D] to the variables k_cache, v_cache
 * [B, Tmax, G, D] at the step block's `pos`, then attends causally to the first pos + t + 1
 * entries for each t. -> [B, T, H * D]. No gradient.
 */
tram_value tram_attention_cached(struct tram_graph *g, tram_value qkv, tram_value k_cache,
				 tram_value v_cache, uint32_t heads, uint32_t kv_heads);

/*
 * Cross-entropy of a linear head: logits = x [..., C] x head [V, C]^T, never held
 * whole: the vocabulary is cut into chunks of @chunk rows (0: chosen). targets: i32 [...], -1 is ignored. -> per-row loss [...] (0 where ignored),
 * not divided by anything. Its gradient is scaled by the step block's inv_targets
 * (1 / number of targets that count), so that training minimises the mean.
 */
tram_value tram_head_loss(struct tram_graph *g, tram_value x, tram_value head, tram_value targets,
			  uint32_t chunk);

/* --- optimizer ---------------------------------------------------------------------------- */

/*
 * Lays @n tensors one after another, each starting at offsets[i] (elements) of a flat [total];
 * gaps are zero. Without copies where the planner can let the producers write in place.
 */
tram_value tram_pack(struct tram_graph *g, const tram_value *x, const uint64_t *offsets,
		     uint32_t n, uint64_t total);

/* [4]: sum of squares, 1.0 if all finite else 0.0, L2 norm, 0. Fixed order whatever the device. */
tram_value tram_grad_stats(struct tram_graph *g, tram_value flat);

struct tram_adamw_params {
	float beta1, beta2, eps, weight_decay, clip;	/* clip 0: no clipping */
	uint64_t decay_count;	/* weight decay applies to the first decay_count elements */
};

/*
 * torch.optim.AdamW over flat tensors of one length, in the update phase, in place on the variables
 * @params, @m, @v; lr and bias corrections come from the step block. The gradient is scaled by
 * min(1, clip / (norm + 1e-6)) with the norm of @stats (tram_grad_stats).
 */
int tram_adamw(struct tram_graph *g, tram_value params, tram_value m, tram_value v,
	       tram_value grads, tram_value stats, const struct tram_adamw_params *p);

struct tram_sgd_params {
	float momentum, weight_decay, clip;
	uint64_t decay_count;
};

/* torch.optim.SGD (dampening 0, no Nesterov): buf = momentum * buf + g; p -= lr * buf. */
int tram_sgd(struct tram_graph *g, tram_value params, tram_value momentum, tram_value grads,
	     tram_value stats, const struct tram_sgd_params *p);

#ifdef __cplusplus
}
#endif
#endif
