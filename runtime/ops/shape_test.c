/* SPDX-License-Identifier: MIT */
/*
 * Claims: every builder refuses what it can't do, with -EINVAL and a message
 * that names the op and the offending value; each refusal breaks one thing
 * in a call that is otherwise right; and what is right has the right shape.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ops/machine.h"
#include "ops/ops.h"

static struct tram_ctx *ctx;

static tram_value f(struct tram_graph *g, const char *name, struct tram_shape s)
{
	return tram_input(g, name, TRAM_F32, s);
}

static tram_value i(struct tram_graph *g, const char *name, struct tram_shape s)
{
	return tram_input(g, name, TRAM_I32, s);
}

#define S(...) TRAM_SHAPE(__VA_ARGS__)
#define A(...) f(g, "a", S(__VA_ARGS__))
#define B(...) f(g, "b", S(__VA_ARGS__))
#define C(...) f(g, "c", S(__VA_ARGS__))
#define T(...) i(g, "t", S(__VA_ARGS__))
#define O(...) i(g, "o", S(__VA_ARGS__))
#define V(...) tram_variable(g, "v", S(__VA_ARGS__))
#define W(...) tram_variable(g, "w", S(__VA_ARGS__))

/* The statement on a fresh graph must fail with -EINVAL and a message that has @needle. */
#define REFUSES(shards_, needle, ...) do { \
	struct tram_graph_params p_ = { .shards = shards_ }; \
	struct tram_graph *g; \
	assert_int_equal(tram_graph_create(ctx, &p_, &g), 0); \
	__VA_ARGS__; \
	if (tram_graph_status(g) != -EINVAL || !strstr(tram_error(ctx), needle)) \
		fail_msg("%s: status %d, message \"%s\", \"%s\" expected", #__VA_ARGS__, \
			 tram_graph_status(g), tram_error(ctx), needle); \
	tram_graph_destroy(&g); \
} while (0)

/* Expression @code must succeed and give this shape. */
#define GIVES(code, ...) do { \
	struct tram_graph *g; \
	struct tram_shape want_ = TRAM_SHAPE(__VA_ARGS__), got_; \
	assert_int_equal(tram_graph_create(ctx, NULL, &g), 0); \
	got_ = tram_value_shape(g, code); \
	if (tram_graph_status(g)) \
		fail_msg("%s: %s", #code, tram_error(ctx)); \
	if (!tram_shape_equal(&got_, &want_)) \
		fail_msg("%s has another shape", #code); \
	tram_graph_destroy(&g); \
} while (0)

#define MATMUL(...) (&(struct tram_matmul_params){ __VA_ARGS__ })

static void matmul(void **state)
{
	GIVES(tram_matmul(g, A(2, 3), B(3, 4), NULL), 2, 4);
	GIVES(tram_matmul(g, A(5, 2, 3), B(3, 4), NULL), 5, 2, 4);
	GIVES(tram_matmul(g, A(5, 3, 2), B(5, 4, 3), MATMUL(.transpose_a = 1, .transpose_b = 1)), 5, 2, 4);
	GIVES(tram_matmul(g, A(3, 2), B(3, 4), MATMUL(.transpose_a = 1)), 2, 4);
	REFUSES(1, "inner dimensions differ", tram_matmul(g, A(2, 3), B(4, 3), NULL));
	REFUSES(1, "[2, 3]", tram_matmul(g, A(2, 3), B(4, 3), NULL));
	REFUSES(1, "at least 2", tram_matmul(g, A(3), B(3, 4), NULL));
	REFUSES(1, "leading dimensions", tram_matmul(g, A(2, 2, 3), B(3, 3, 4), NULL));
	REFUSES(1, "leading dimensions", tram_matmul(g, A(2, 3), B(1, 3, 4), NULL));
	REFUSES(1, "untransposed", tram_matmul(g, A(5, 3, 2), B(3, 4), MATMUL(.transpose_a = 1)));
	REFUSES(1, "bias has shape [2]", tram_matmul(g, A(2, 3), B(3, 4), MATMUL(.has_bias = 1, .bias = C(2))));
	REFUSES(1, "residual has shape", tram_matmul(g, A(2, 3), B(3, 4),
						     MATMUL(.has_residual = 1, .residual = C(4, 2))));
	REFUSES(1, "operand 1 is i32", tram_matmul(g, A(2, 3), T(3, 4), NULL));
	REFUSES(1, "more than 4294967295", tram_matmul(g, A(70000, 1), B(1, 70000), NULL));
}

static void elementwise(void **state)
{
	GIVES(tram_add(g, A(2, 1, 3), B(4, 1)), 2, 4, 3);
	GIVES(tram_mul(g, A(1), B(5)), 5);
	GIVES(tram_gelu_erf(g, A(2, 3)), 2, 3);
	REFUSES(1, "don't broadcast", tram_add(g, A(2, 3), B(2)));
	REFUSES(1, "sub: shapes [2, 3] and [4, 3]", tram_sub(g, A(2, 3), B(4, 3)));
	REFUSES(1, "is i32", tram_exp(g, T(3)));
	REFUSES(1, "p is 1", tram_dropout(g, A(3), 1, 0));
	REFUSES(1, "p is -0.5", tram_dropout(g, A(3), -0.5f, 0));
	REFUSES(1, "p is nan", tram_dropout(g, A(3), NAN, 0));
}

static void elementwise_programs(void **state)
{
	union tram_attr attr = { .ew = { .n_in = 1, .n_code = 1, .code = { { .code = TRAM_EW_NEG } } } };
	union tram_attr bad;
#define EW(change) \
	(bad = attr, change, tram_graph_node1(g, TRAM_OP_EW, (tram_value[]){ A(3) }, 1, &bad))

	GIVES(EW((void)0), 3);
	REFUSES(1, "1 operands for a program of 2", EW(bad.ew.n_in = 2));
	REFUSES(1, "13 instructions", EW(bad.ew.n_code = 13));
	REFUSES(1, "0 instructions", EW(bad.ew.n_code = 0));
	REFUSES(1, "code 255", EW(bad.ew.code[0].code = 255));
	REFUSES(1, "code 0", EW(bad.ew.code[0].code = TRAM_EW_NOP));
	REFUSES(1, "register 1", EW(bad.ew.code[0].a = 1));
	REFUSES(1, "register 6", EW(bad.ew.code[0].a = TRAM_EW_MAX_IN));
	REFUSES(1, "register 7", EW((bad.ew.code[0].code = TRAM_EW_ADD, bad.ew.code[0].b = 7)));
	REFUSES(1, "i2f on operand 0, which is f32", EW(bad.ew.code[0].code = TRAM_EW_I2F));
}

static void reductions(void **state)
{
	GIVES(tram_reduce(g, A(2, 3, 4), TRAM_REDUCE_SUM, 1, 1), 2, 4);
	GIVES(tram_reduce(g, A(2, 3, 4), TRAM_REDUCE_MAX, 0, 3), 1);
	GIVES(tram_tree_sum(g, A(3, 4, 5)), 4, 5);
	GIVES(tram_tree_sum(g, A(3)), 1);
	GIVES(tram_argmax(g, A(2, 3, 4)), 2, 3);
	GIVES(tram_argmax(g, A(4)), 1);
	GIVES(tram_isfinite(g, A(2, 4)), 1);
	GIVES(tram_softmax(g, A(2, 4)), 2, 4);
	REFUSES(1, "0 axes", tram_reduce(g, A(2, 3), TRAM_REDUCE_SUM, 0, 0));
	REFUSES(1, "2 axes from axis 1", tram_reduce(g, A(2, 3), TRAM_REDUCE_SUM, 1, 2));
	REFUSES(1, "axis 4294967295", tram_reduce(g, A(2, 3), TRAM_REDUCE_SUM, UINT32_MAX, 2));
	REFUSES(1, "kind 7", tram_reduce(g, A(2, 3), 7, 0, 1));
	REFUSES(1, "tree_sum: operand 0 is i32", tram_tree_sum(g, T(2, 3)));
	REFUSES(1, "softmax: operand 0 is i32", tram_softmax(g, T(2, 3)));
	REFUSES(1, "argmax: operand 0 is i32", tram_argmax(g, T(2, 3)));
	REFUSES(1, "isfinite: operand 0 is i32", tram_isfinite(g, T(2, 3)));
}

static void rope(void **state)
{
	GIVES(tram_rope(g, A(2, 3, 24), 6, 4, 1e4f, false), 2, 3, 24);
	GIVES(tram_rope(g, A(2, 3, 128), 1, 1, 1, true), 2, 3, 128);
	REFUSES(1, "x has shape [3, 24]", tram_rope(g, A(3, 24), 6, 4, 1e4f, false));
	REFUSES(1, "[B, T, 5 heads * D]", tram_rope(g, A(2, 3, 24), 5, 4, 1e4f, false));
	REFUSES(1, "[B, T, 0 heads * D]", tram_rope(g, A(2, 3, 24), 0, 0, 1e4f, false));
	REFUSES(1, "7 of 6 heads", tram_rope(g, A(2, 3, 24), 6, 7, 1e4f, false));
	REFUSES(1, "0 of 6 heads", tram_rope(g, A(2, 3, 24), 6, 0, 1e4f, false));
	REFUSES(1, "head size 3", tram_rope(g, A(2, 3, 24), 8, 4, 1e4f, false));
	REFUSES(1, "head size 130", tram_rope(g, A(2, 3, 130), 1, 1, 1e4f, false));
	REFUSES(1, "theta is 0.5", tram_rope(g, A(2, 3, 24), 6, 4, 0.5f, false));
	REFUSES(1, "theta is nan", tram_rope(g, A(2, 3, 24), 6, 4, NAN, false));
}

static void layernorm(void **state)
{
	GIVES(tram_layernorm(g, A(2, 3, 4), B(4), C(4), 1e-5f), 2, 3, 4);
	REFUSES(1, "gain has shape [3]", tram_layernorm(g, A(2, 4), B(3), C(4), 1e-5f));
	REFUSES(1, "bias has shape [1, 4]", tram_layernorm(g, A(2, 4), B(4), C(1, 4), 1e-5f));
	REFUSES(1, "eps is -1", tram_layernorm(g, A(2, 4), B(4), C(4), -1));
	GIVES(tram_rmsnorm(g, A(2, 3, 4), B(4), 1e-5f), 2, 3, 4);
	REFUSES(1, "rmsnorm: gain has shape [3]", tram_rmsnorm(g, A(2, 4), B(3), 1e-5f));
	REFUSES(1, "tram_rmsnorm: eps is -1", tram_rmsnorm(g, A(2, 4), B(4), -1));
}

static void moving(void **state)
{
	uint32_t perm[] = { 2, 0, 1 }, twice[] = { 0, 0, 1 }, far[] = { 0, 1, 3 };
	uint64_t offset[] = { 2, 8 }, overlap[] = { 2, 4 }, back[] = { 8, 2 };

	GIVES(tram_transpose(g, A(2, 3, 4), perm), 4, 2, 3);
	GIVES(tram_slice(g, A(2, 3, 4), 1, 1, 2), 2, 2, 4);
	GIVES(tram_concat(g, (tram_value[]){ A(2, 3), B(2, 4) }, 2, 1), 2, 7);
	GIVES(tram_pack(g, (tram_value[]){ A(3), B(2, 2) }, offset, 2, 15), 15);
	REFUSES(1, "perm[1] is 0", tram_transpose(g, A(2, 3, 4), twice));
	REFUSES(1, "perm[2] is 3", tram_transpose(g, A(2, 3, 4), far));
	REFUSES(1, "slice: axis 2", tram_slice(g, A(2, 3), 2, 0, 1));
	REFUSES(1, "0 from 1 on axis 1", tram_slice(g, A(2, 3), 1, 1, 0));
	REFUSES(1, "2 from 2 on axis 1", tram_slice(g, A(2, 3), 1, 2, 2));
	REFUSES(1, "limit 3", tram_slice(g, A(2, 3), 1, 4, UINT32_MAX));
	REFUSES(1, "limit 3", tram_slice(g, A(3, 2), 0, 2, 2));
	REFUSES(1, "no operands", tram_concat(g, NULL, 0, 0));
	REFUSES(1, "concat: axis 2", tram_concat(g, (tram_value[]){ A(2, 3), B(2, 4) }, 2, 2));
	REFUSES(1, "operand 1 is [3, 4]", tram_concat(g, (tram_value[]){ A(2, 3), B(3, 4) }, 2, 1));
	REFUSES(1, "operand 1 is [2]", tram_concat(g, (tram_value[]){ A(2, 3), B(2) }, 2, 1));
	REFUSES(1, "concat: operand 0 is i32", tram_concat(g, (tram_value[]){ T(2), B(2) }, 2, 0));
	REFUSES(1, "no operands", tram_pack(g, NULL, NULL, 0, 5));
	REFUSES(1, "operand 1 starts at 4", tram_pack(g, (tram_value[]){ A(3), B(2, 2) }, overlap, 2, 15));
	REFUSES(1, "operand 1 starts at 2", tram_pack(g, (tram_value[]){ A(3), B(2, 2) }, back, 2, 15));
	REFUSES(1, "passes the end at 11", tram_pack(g, (tram_value[]){ A(3), B(2, 2) }, offset, 2, 11));
	REFUSES(1, "limit 4294967295", tram_pack(g, (tram_value[]){ A(3), B(2, 2) }, offset, 2, 1ull << 32));
}

static void embedding(void **state)
{
	GIVES(tram_embedding(g, A(7, 4), T(2, 3), O(2, 3)), 2, 3, 4);
	REFUSES(1, "[V, C]", tram_embedding(g, A(7), T(2, 3), O(2, 3)));
	REFUSES(1, "order has shape [3, 2]", tram_embedding(g, A(7, 4), T(2, 3), O(3, 2)));
	REFUSES(1, "operand 1 is f32", tram_embedding(g, A(7, 4), B(2, 3), O(2, 3)));
	REFUSES(1, "rank 6", tram_embedding(g, A(7, 4), T(1, 1, 1, 1, 1, 2), O(1, 1, 1, 1, 1, 2)));
}

static void attention(void **state)
{
	GIVES(tram_attention(g, A(2, 5, 64), 2, 1), 2, 5, 32);
	REFUSES(1, "3 heads with 2 key heads", tram_attention(g, A(2, 5, 56), 3, 2));
	REFUSES(1, "0 heads", tram_attention(g, A(2, 5, 56), 0, 1));
	REFUSES(1, "2 heads with 0", tram_attention(g, A(2, 5, 56), 2, 0));
	REFUSES(1, "no multiple", tram_attention(g, A(2, 5, 65), 2, 1));
	REFUSES(1, "[B, T,", tram_attention(g, A(10, 64), 2, 1));
	REFUSES(1, "head size 6", tram_attention(g, A(2, 5, 24), 2, 1));
	REFUSES(1, "head size 132", tram_attention(g, A(2, 5, 3 * 132), 1, 1));
	GIVES(tram_attention_cached(g, A(2, 5, 64), V(2, 9, 1, 16), W(2, 9, 1, 16), 2, 1), 2, 5, 32);
	REFUSES(1, "no variable", tram_attention_cached(g, A(2, 5, 64), B(2, 9, 1, 16), C(2, 9, 1, 16), 2, 1));
	REFUSES(1, "cache holds 4", tram_attention_cached(g, A(2, 5, 64), V(2, 4, 1, 16), W(2, 4, 1, 16),
							  2, 1));
	REFUSES(1, "k_cache has shape", tram_attention_cached(g, A(2, 5, 64), V(2, 9, 2, 16),
							      W(2, 9, 1, 16), 2, 1));
	REFUSES(1, "v_cache has shape", tram_attention_cached(g, A(2, 5, 64), V(2, 9, 1, 16),
							      W(2, 8, 1, 16), 2, 1));
	REFUSES(1, "one variable", tram_attention_cached(g, A(2, 5, 64), V(2, 9, 1, 16),
							 V(2, 9, 1, 16), 2, 1));
	REFUSES(1, "no gradient", {
		tram_value x = A(2, 5, 64), d;
		tram_gradients(g, tram_attention_cached(g, x, V(2, 9, 1, 16), W(2, 9, 1, 16), 2, 1), &x, 1,
			       &d);
	});
}

static void head_loss(void **state)
{
	GIVES(tram_head_loss(g, A(2, 3, 4), B(7, 4), T(2, 3), 0), 2, 3);
	GIVES(tram_head_loss(g, A(6, 4), B(7, 4), T(6), 100), 6);
	REFUSES(1, "[N, C] and [V, C]", tram_head_loss(g, A(2, 3, 4), B(7, 5), T(2, 3), 0));
	REFUSES(1, "targets has shape", tram_head_loss(g, A(2, 3, 4), B(7, 4), T(2, 4), 0));
	REFUSES(1, "[N, C] and [V, C]", tram_head_loss(g, A(2, 3, 4), B(7), T(2, 3), 0));
	REFUSES(1, "operand 2 is f32", tram_head_loss(g, A(2, 4), B(7, 4), C(2), 0));
	REFUSES(1, "inv_targets", {
		tram_value x = A(2, 4), d;
		tram_gradients(g, tram_scale(g, tram_head_loss(g, x, B(7, 4), T(2), 0), 2), &x, 1, &d);
	});
}

#define ADAMW(...) (&(struct tram_adamw_params){ .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, __VA_ARGS__ })
#define SGD(...) (&(struct tram_sgd_params){ .momentum = 0.9f, __VA_ARGS__ })
#define U tram_graph_begin_update(g)
#define X(...) tram_variable(g, "x", S(__VA_ARGS__))
#define ST(n) f(g, "stats", S(n))

static void optimizers(void **state)
{
	GIVES((U, tram_adamw(g, V(5), W(5), X(5), A(5), ST(4), ADAMW()), V(5)), 5);
	GIVES(tram_grad_stats(g, A(3, 5)), 4);
	REFUSES(1, "tram_graph_begin_update", tram_adamw(g, V(5), W(5), X(5), A(5), ST(4), ADAMW()));
	REFUSES(1, "tram_graph_begin_update", tram_sgd(g, V(5), W(5), A(5), ST(4), SGD()));
	REFUSES(1, "operand 3 has 4 elements", { U; tram_adamw(g, V(5), W(5), X(5), A(4), ST(4), ADAMW()); });
	REFUSES(1, "stats has shape [3]", { U; tram_adamw(g, V(5), W(5), X(5), A(5), ST(3), ADAMW()); });
	REFUSES(1, "no variable", { U; tram_adamw(g, V(5), W(5), B(5), A(5), ST(4), ADAMW()); });
	REFUSES(1, "one variable", { U; tram_adamw(g, V(5), V(5), X(5), A(5), ST(4), ADAMW()); });
	REFUSES(1, "decay_count 6", { U; tram_adamw(g, V(5), W(5), X(5), A(5), ST(4),
						     ADAMW(.decay_count = 6)); });
	REFUSES(1, "beta1 is 1", { U; tram_adamw(g, V(5), W(5), X(5), A(5), ST(4),
						 &(struct tram_adamw_params){ .beta1 = 1 }); });
	REFUSES(1, "beta2 is -1", { U; tram_adamw(g, V(5), W(5), X(5), A(5), ST(4),
						  &(struct tram_adamw_params){ .beta2 = -1 }); });
	REFUSES(1, "clip is nan", { U; tram_adamw(g, V(5), W(5), X(5), A(5), ST(4), ADAMW(.clip = NAN)); });
	REFUSES(1, "weight_decay is inf", { U; tram_sgd(g, V(5), W(5), A(5), ST(4),
							SGD(.weight_decay = INFINITY)); });
	REFUSES(1, "operand 2 has 4 elements", { U; tram_sgd(g, V(5), W(5), A(4), ST(4), SGD()); });
}

/* Where shards don't divide the rows, the gradient says which op and how many of both. */
#define GRAD(loss, wrt) do { tram_value w_ = wrt, d_; tram_gradients(g, loss, &w_, 1, &d_); } while (0)

static void shards_that_do_not_divide(void **state)
{
	REFUSES(2, "matmul: 5 rows can't be cut into 2 shards", {
		tram_value w = B(3, 4);
		GRAD(tram_matmul(g, A(5, 3), w, NULL), w);
	});
	REFUSES(3, "matmul bias: 5 rows", {
		tram_value w = C(4);
		GRAD(tram_matmul(g, A(5, 3), B(3, 4), MATMUL(.has_bias = 1, .bias = w)), w);
	});
	REFUSES(2, "transpose_a", {
		tram_value w = B(4, 6);
		GRAD(tram_matmul(g, A(4, 2), w, MATMUL(.transpose_a = 1)), w);
	});
	REFUSES(2, "broadcast operand: 3 rows", {
		tram_value w = B(4);
		GRAD(tram_add(g, A(3, 4), w), w);
	});
	REFUSES(2, "layernorm: 3 rows", {
		tram_value w = B(4);
		GRAD(tram_layernorm(g, A(3, 4), w, C(4), 0), w);
	});
	REFUSES(2, "embedding: 3 tokens", {
		tram_value w = A(5, 4);
		GRAD(tram_embedding(g, w, T(3), O(3)), w);
	});
	REFUSES(2, "head_loss: 3 rows", {
		tram_value w = B(5, 4);
		GRAD(tram_head_loss(g, A(3, 4), w, T(3), 0), w);
	});
}

static void what_has_no_gradient(void **state)
{
	REFUSES(1, "maximum has no gradient", {
		tram_value x = A(3);
		GRAD(tram_reduce(g, x, TRAM_REDUCE_MAX, 0, 1), x);
	});
	REFUSES(1, "loss is i32", { tram_value x = A(3); GRAD(tram_argmax(g, x), x); });
	REFUSES(1, "wrt[0] is i32", { tram_value x = T(3); GRAD(A(3), x); });
	REFUSES(1, "tram_graph_begin_update", { tram_value x = A(3); U; GRAD(x, x); });
	REFUSES(1, "neither", {
		tram_value v = V(10), w[2] = { tram_view(g, v, 0, S(4)), TRAM_NONE }, d;
		tram_gradients(g, tram_view(g, v, 2, S(4)), w, 1, &d);
	});
}

/* --- the planner's view of a call ------------------------------------------------------ */

static uint64_t hash(enum tram_op op, const union tram_attr *attr, struct tram_shape in,
		     struct tram_shape out)
{
	struct tram_signature s = { .op = op, .attr = attr, .n_in = 1, .n_out = 1, .in = &in, .out = &out };

	return tram_signature_hash(&s);
}

static void a_signature_is_what_decides_the_cost(void **state)
{
	union tram_attr a = { .ew = { .n_in = 1, .n_code = 1, .code = { { .code = TRAM_EW_DROPOUT,
									   .imm = 0.1f, .salt = 3 } } } };
	union tram_attr salted = a, other = a;
	uint64_t h = hash(TRAM_OP_EW, &a, S(4, 5), S(4, 5));

	salted.ew.code[0].salt = 4;
	salted.ew.code[0].imm = 0.2f;
	other.ew.code[0].code = TRAM_EW_NEG;
	assert_true(h == hash(TRAM_OP_EW, &salted, S(4, 5), S(4, 5)));
	assert_true(h != hash(TRAM_OP_EW, &other, S(4, 5), S(4, 5)));
	assert_true(h != hash(TRAM_OP_EW, &a, S(5, 4), S(5, 4)));
	assert_true(h != hash(TRAM_OP_EW, &a, S(20), S(20)));
	assert_true(hash(TRAM_OP_COPY, NULL, S(4), S(4)) != hash(TRAM_OP_TREE_SUM, NULL, S(4), S(4)));
}

static void work_counts_multiplications_and_bytes(void **state)
{
	union tram_attr a = { .matmul = { .tb = true } };
	struct tram_shape in[2] = { S(2, 3, 5), S(7, 5) }, out = S(2, 3, 7);
	struct tram_signature s = { .op = TRAM_OP_MATMUL, .attr = &a, .n_in = 2, .n_out = 1, .in = in,
				    .out = &out };
	double flops, bytes;

	tram_signature_work(&s, &flops, &bytes);
	assert_true(flops == 2 * 6 * 5 * 7);
	assert_true(bytes == 4 * (30 + 35 + 42));
}

static int setup(void **state)
{
	return tram_ctx_create(NULL, &ctx);
}

static int teardown(void **state)
{
	tram_ctx_destroy(&ctx);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(matmul),
		cmocka_unit_test(elementwise),
		cmocka_unit_test(elementwise_programs),
		cmocka_unit_test(reductions),
		cmocka_unit_test(layernorm),
		cmocka_unit_test(rope),
		cmocka_unit_test(moving),
		cmocka_unit_test(embedding),
		cmocka_unit_test(attention),
		cmocka_unit_test(head_loss),
		cmocka_unit_test(optimizers),
		cmocka_unit_test(shards_that_do_not_divide),
		cmocka_unit_test(what_has_no_gradient),
		cmocka_unit_test(a_signature_is_what_decides_the_cost),
		cmocka_unit_test(work_counts_multiplications_and_bytes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
