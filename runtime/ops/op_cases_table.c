/* SPDX-License-Identifier: MIT */
/* Builders of the cases of op_cases.h, then the table of them. */
#include "ops/op_cases.h"

#include <stdio.h>

#include "ops/ops.h"

#define GRAD 1	/* the flag argument of most builders: gradients are outputs too */
#define AT_POS 2	/* rope: positions begin at the step's pos */

static tram_value f32(struct tram_graph *g, const char *name, struct tram_shape s)
{
	return tram_input(g, name, TRAM_F32, s);
}

/* Outputs "d.NAME" = d(sum of @loss)/d(NAME), NAME the input wrt[i]. */
static int gradients(struct tram_graph *g, tram_value loss, const tram_value *wrt, uint32_t n)
{
	tram_value d[8];
	char name[32];
	int r;

	assert(n <= TRAM_ARRAY_SIZE(d));
	r = tram_gradients(g, loss, wrt, n, d);
	for (uint32_t i = 0; !r && i < n; i++) {
		snprintf(name, sizeof(name), "d.%s", tram_val(g, wrt[i])->name);
		r = tram_output(g, name, d[i]);
	}
	return r;
}

/* The same for one variable "x_flat" of @total elements, of which wrt[] are views. */
static int flat_gradients(struct tram_graph *g, tram_value loss, const tram_value *wrt, uint32_t n,
			  uint64_t total)
{
	tram_value d[64];
	uint64_t offset[64];
	int r;

	assert(n <= TRAM_ARRAY_SIZE(d));
	r = g->status ? g->status : tram_output(g, "loss", loss);
	if (!r)
		r = tram_gradients(g, loss, wrt, n, d);
	for (uint32_t i = 0; !r && i < n; i++)
		offset[i] = tram_val(g, wrt[i])->first;
	return r ? r : tram_output(g, "d.x_flat", tram_pack(g, d, offset, n, total));
}

/* Output "y", and gradients of the sum of y * x_weight. */
static int finish(struct tram_graph *g, tram_value y, const tram_value *wrt, uint32_t n, bool grad)
{
	int r = g->status ? g->status : tram_output(g, "y", y);

	if (r || !grad)
		return r;
	return gradients(g, tram_mul(g, y, f32(g, "x_weight", tram_value_shape(g, y))), wrt, n);
}

/* --- matmul: flags, batch, M, N, K ------------------------------------------------------- */

enum { TA = 2, TB = 4, BIAS = 8, RESIDUAL = 16, SHARED = 32, BATCHED = 64 };

static struct tram_shape matrix(uint32_t nb, uint32_t rows, uint32_t cols, bool batched)
{
	return batched ? TRAM_SHAPE(nb, rows, cols) : TRAM_SHAPE(rows, cols);
}

static int build_matmul(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t f = arg[0], nb = arg[1], m = arg[2], n = arg[3], k = arg[4], n_wrt = 2;
	bool many = f & (SHARED | BATCHED);
	struct tram_matmul_params p = { .transpose_a = f & TA, .transpose_b = f & TB };
	tram_value wrt[4];

	wrt[0] = f32(g, "x_a", f & TA ? matrix(nb, k, m, many) : matrix(nb, m, k, many));
	wrt[1] = f32(g, "x_b", f & TB ? matrix(nb, n, k, f & BATCHED) : matrix(nb, k, n, f & BATCHED));
	if (f & BIAS) {
		p.has_bias = true;
		p.bias = wrt[n_wrt++] = f32(g, "x_bias", TRAM_SHAPE(n));
	}
	if (f & RESIDUAL) {
		p.has_residual = true;
		p.residual = wrt[n_wrt++] = f32(g, "x_residual", matrix(nb, m, n, many));
	}
	return finish(g, tram_matmul(g, wrt[0], wrt[1], &p), wrt, n_wrt, f & GRAD);
}

/* --- elementwise: flags, code, then two shapes of rank 3 ----------------------------------- */

static int build_ew(struct tram_graph *g, const uint32_t *arg)
{
	enum tram_ew_code code = arg[1];
	struct tram_shape s = TRAM_SHAPE(arg[2], arg[3], arg[4]);
	struct tram_shape t = TRAM_SHAPE(arg[5], arg[6], arg[7]);
	tram_value in[2] = { TRAM_NONE, TRAM_NONE }, a;
	bool two = arg[5] > 0;

	a = in[0] = f32(g, code == TRAM_EW_LOG || code == TRAM_EW_SQRT ? "pos_a" : "wide_a", s);
	if (two)
		in[1] = f32(g, code == TRAM_EW_DIV ? "pos_b" : "wide_b", t);
	/* exp and its like of up to 8: keep the errors of f32 apart from the tolerance */
	if (code == TRAM_EW_EXP)
		a = tram_scale(g, a, 0.25f);
	return finish(g, tram_ew1(g, code, (tram_value[]){ a, in[1] }, two ? 2 : 1,
				  code == TRAM_EW_DROPOUT ? 0.3f : 0.7f, 11),
		      in, two ? 2 : 1, arg[0] & GRAD);
}

/* [C] and [1, T, 1] against [B, T, C]: a bias of every kind, summed per shard in the backward. */
static int build_ew_bias(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t b = arg[1], t = arg[2], c = arg[3];
	tram_value wrt[4];

	wrt[0] = f32(g, "x", TRAM_SHAPE(b, t, c));
	wrt[1] = f32(g, "x_c", TRAM_SHAPE(c));
	wrt[2] = f32(g, "x_tc", TRAM_SHAPE(t, c));
	wrt[3] = f32(g, "x_t", TRAM_SHAPE(1, t, 1));
	return finish(g, tram_add(g, tram_mul(g, tram_add(g, wrt[0], wrt[1]), wrt[3]), wrt[2]), wrt, 4,
		      arg[0] & GRAD);
}

/* Six inputs, twelve instructions, every register used; [R, C] with broadcast inputs. */
static int build_ew_program(struct tram_graph *g, const uint32_t *arg)
{
	enum { R = TRAM_EW_MAX_IN };
	uint32_t rows = arg[1], c = arg[2];
	union tram_attr attr = { .ew = { .n_in = 6, .n_code = 12, .code = {
		{ TRAM_EW_I2F, 5, 0, 0, 0 },			/* R */
		{ TRAM_EW_ADD, 0, 1, 0, 0 },			/* R + 1 */
		{ TRAM_EW_MUL, R + 1, 2, 0, 0 },
		{ TRAM_EW_GELU_TANH, R + 2, 0, 0, 0 },
		{ TRAM_EW_GELU_TANH_BWD, R + 3, R + 1, 0, 0 },
		{ TRAM_EW_DROPOUT, R + 4, 0, 0.25f, 5 },
		{ TRAM_EW_RELU_BWD, R + 5, 3, 0, 0 },
		{ TRAM_EW_TANH_BWD, R + 6, 4, 0, 0 },
		{ TRAM_EW_MAX, R + 7, R, 0, 0 },
		{ TRAM_EW_GELU_ERF_BWD, R + 8, 0, 0, 0 },
		{ TRAM_EW_ADDI, R + 9, 0, -0.5f, 0 },
		{ TRAM_EW_SUB, R + 10, R + 3, 0, 0 },
	} } };
	tram_value in[6] = {
		f32(g, "x_full", TRAM_SHAPE(rows, c)), f32(g, "x_row", TRAM_SHAPE(c)),
		f32(g, "x_column", TRAM_SHAPE(rows, 1)), f32(g, "x_one", TRAM_SHAPE(1)),
		f32(g, "x_other", TRAM_SHAPE(rows, c)),
		tram_input(g, "tokens.3", TRAM_I32, TRAM_SHAPE(1, c)),
	};

	return finish(g, tram_graph_node1(g, TRAM_OP_EW, in, 6, &attr), NULL, 0, false);
}

/* --- rows and reductions ----------------------------------------------------------------------- */

static int build_reduce(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "x", TRAM_SHAPE(arg[2], arg[3], arg[4]));

	return finish(g, tram_reduce(g, x, arg[1], 1, 1), &x, 1, arg[0] & GRAD);
}

/* Over the last two axes, the first two, and all. */
static int build_reduce_axes(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "x", TRAM_SHAPE(arg[1], arg[2], arg[3]));
	tram_value y = tram_reduce(g, x, TRAM_REDUCE_MEAN, 1, 2);
	tram_value z = tram_reduce(g, x, TRAM_REDUCE_SUM, 0, 2);
	int r = g->status ? g->status : tram_output(g, "y", y);

	if (!r)
		r = tram_output(g, "z", z);
	return r ? r : tram_output(g, "all", tram_reduce(g, x, TRAM_REDUCE_MAX, 0, 3));
}

static int build_tree_sum(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "x", TRAM_SHAPE(arg[1], arg[2]));

	return finish(g, tram_tree_sum(g, x), &x, 1, arg[0] & GRAD);
}

static int build_softmax(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "wide", TRAM_SHAPE(arg[1], arg[2]));

	return finish(g, tram_softmax(g, x), &x, 1, arg[0] & GRAD);
}

static int build_layernorm(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t b = arg[1], t = arg[2], c = arg[3];
	tram_value wrt[3] = { f32(g, "x", TRAM_SHAPE(b, t, c)), f32(g, "pos_gain", TRAM_SHAPE(c)),
			      f32(g, "x_bias", TRAM_SHAPE(c)) };
	tram_value y = tram_layernorm(g, wrt[0], wrt[1], wrt[2], 1e-5f);

	/* x twice: as the residual stream, so that the backward folds an addition. */
	return finish(g, arg[0] & GRAD ? tram_add(g, y, wrt[0]) : y, wrt, 3, arg[0] & GRAD);
}

static int build_rmsnorm(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t b = arg[1], t = arg[2], c = arg[3];
	tram_value wrt[2] = { f32(g, "x", TRAM_SHAPE(b, t, c)), f32(g, "pos_gain", TRAM_SHAPE(c)) };
	tram_value y = tram_rmsnorm(g, wrt[0], wrt[1], 1e-5f);

	return finish(g, arg[0] & GRAD ? tram_add(g, y, wrt[0]) : y, wrt, 2, arg[0] & GRAD);
}

static int build_argmax(struct tram_graph *g, const uint32_t *arg)
{
	return finish(g, tram_argmax(g, f32(g, arg[3] ? "tie" : "x", TRAM_SHAPE(arg[1], arg[2]))), NULL,
		      0, false);
}

/* What: 0 finite, 1 an infinity, 2 NaNs. */
static int build_isfinite(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "x", TRAM_SHAPE(arg[1]));

	if (arg[2] == 1)
		x = tram_div(g, f32(g, "pos", TRAM_SHAPE(1)), tram_sub(g, x, x));
	if (arg[2] == 2)
		x = tram_sqrt(g, x);
	return finish(g, tram_isfinite(g, x), NULL, 0, false);
}

/* --- moving ----------------------------------------------------------------------------------- */

/* Rank and which permutation; dimensions are small primes and 1. */
static int build_transpose(struct tram_graph *g, const uint32_t *arg)
{
	static const uint32_t perms[][TRAM_MAX_RANK] = {
		{ 1, 0 }, { 0, 2, 1 }, { 1, 0, 2 }, { 2, 1, 0 }, { 0, 2, 1, 3 }, { 3, 1, 0, 2 },
		{ 4, 2, 0, 3, 1 }, { 5, 3, 1, 4, 2, 0 }, { 0, 1, 2 },
	};
	struct tram_shape s = { .rank = arg[1], .dim = { arg[3], arg[4], arg[5], arg[6], 2, 3 } };
	tram_value x = f32(g, "x", s);

	return finish(g, tram_transpose(g, x, perms[arg[2]]), &x, 1, arg[0] & GRAD);
}

static int build_slice(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "x", TRAM_SHAPE(arg[1], arg[2], arg[3]));
	union tram_attr attr = { .slice = { .axis = arg[4], .first = arg[5], .count = arg[6] } };

	if (!(arg[0] & GRAD))	/* the op itself, where the builder would make a view */
		return finish(g, tram_graph_node1(g, TRAM_OP_SLICE, &x, 1, &attr), NULL, 0, false);
	return finish(g, tram_slice(g, x, arg[4], arg[5], arg[6]), &x, 1, true);
}

static int build_concat(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t axis = arg[1];
	struct tram_shape s = TRAM_SHAPE(arg[2], arg[3], arg[4]);
	tram_value x[3];
	char name[16];

	for (uint32_t i = 0; i < 3; i++) {
		s.dim[axis] = arg[5 + i];
		snprintf(name, sizeof(name), "x%u", i);
		x[i] = f32(g, name, s);
	}
	return finish(g, tram_concat(g, x, 3, axis), x, 3, arg[0] & GRAD);
}

static int build_concat_many(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x[70];
	char name[16];

	for (uint32_t i = 0; i < arg[1]; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		x[i] = f32(g, name, TRAM_SHAPE(2, i % 3 + 1, arg[2]));
	}
	return finish(g, tram_concat(g, x, arg[1], 1), NULL, 0, false);
}

/* Three tensors with a gap of arg[4] before each and after the last. */
static int build_pack(struct tram_graph *g, const uint32_t *arg)
{
	uint64_t offset[3], end = 0;
	tram_value x[3];
	char name[16];

	for (uint32_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		x[i] = f32(g, name, TRAM_SHAPE(arg[1 + i]));
		offset[i] = end + arg[4];
		end = offset[i] + arg[1 + i];
	}
	return finish(g, tram_pack(g, x, offset, 3, end + arg[4]), x, 3, arg[0] & GRAD);
}

static int build_pack_many(struct tram_graph *g, const uint32_t *arg)
{
	uint64_t offset[70], end = 0;
	tram_value x[70];
	char name[16];

	for (uint32_t i = 0; i < arg[1]; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		x[i] = f32(g, name, TRAM_SHAPE(i % 5 + 1));
		offset[i] = end;
		end += i % 5 + 1 + (i % 7 == 0);
	}
	return finish(g, tram_pack(g, x, offset, arg[1], end), NULL, 0, false);
}

static int build_copy(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "x", TRAM_SHAPE(arg[1]));
	tram_value i = tram_input(g, "tokens.9", TRAM_I32, TRAM_SHAPE(arg[1]));
	int r = tram_output(g, "i", tram_graph_node1(g, TRAM_OP_COPY, &i, 1, NULL));

	/* From the middle of a tensor: an address that is aligned to nothing but elements. */
	x = tram_view(g, x, arg[2], TRAM_SHAPE(arg[1] - arg[2]));
	return r ? r : finish(g, tram_graph_node1(g, TRAM_OP_COPY, &x, 1, NULL), NULL, 0, false);
}

/* --- transformer -------------------------------------------------------------------------------- */

static tram_value tokens_of(struct tram_graph *g, const char *kind, uint32_t vocab, uint32_t b,
			    uint32_t t)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.%u", kind, vocab);
	return tram_input(g, name, TRAM_I32, TRAM_SHAPE(b, t));
}

static tram_value order_of(struct tram_graph *g, tram_value tokens)
{
	char name[64];

	if (tokens < 0)
		return tokens;
	snprintf(name, sizeof(name), "order.%s", tram_val(g, tokens)->name);
	return tram_input(g, name, TRAM_I32, tram_value_shape(g, tokens));
}

/* flags, B, T, V, C */
static int build_embedding(struct tram_graph *g, const uint32_t *arg)
{
	tram_value table = f32(g, "x_table", TRAM_SHAPE(arg[3], arg[4]));
	tram_value tokens = tokens_of(g, "wild", arg[3], arg[1], arg[2]);

	return finish(g, tram_embedding(g, table, tokens, order_of(g, tokens)), &table, 1,
		      arg[0] & GRAD);
}

/* flags, B, T, heads, rotated, D, theta */
static int build_rope(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "x", TRAM_SHAPE(arg[1], arg[2], arg[3] * arg[5]));

	return finish(g, tram_rope(g, x, arg[3], arg[4], (float)arg[6], arg[0] & AT_POS), &x, 1,
		      arg[0] & GRAD);
}

/* flags, B, T, H, G, D */
static int build_attention(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t h = arg[3], kv = arg[4], d = arg[5];
	tram_value qkv = f32(g, "wide_qkv", TRAM_SHAPE(arg[1], arg[2], (h + 2 * kv) * d)), y;
	int r;

	y = tram_attention(g, tram_scale(g, qkv, 0.25f), h, kv);
	r = g->status ? g->status :
	    tram_output(g, "lse", g->nodes.v[tram_val(g, y)->node].out[1]);
	return r ? r : finish(g, y, &qkv, 1, arg[0] & GRAD);
}

/* B, T, Tmax, H, G, D; pos is in the case */
static int build_cached(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t b = arg[1], t = arg[2], max = arg[3], h = arg[4], kv = arg[5], d = arg[6];
	tram_value qkv = f32(g, "x_qkv", TRAM_SHAPE(b, t, (h + 2 * kv) * d));
	tram_value k = tram_variable(g, "x_k", TRAM_SHAPE(b, max, kv, d));
	tram_value v = tram_variable(g, "x_v", TRAM_SHAPE(b, max, kv, d));

	return finish(g, tram_attention_cached(g, qkv, k, v, h, kv), NULL, 0, false);
}

/* flags, N, C, V, chunk */
static int build_head(struct tram_graph *g, const uint32_t *arg)
{
	tram_value wrt[2] = { f32(g, "x", TRAM_SHAPE(arg[1], arg[2])),
			      f32(g, "x_head", TRAM_SHAPE(arg[3], arg[2])) };
	tram_value targets = tokens_of(g, "targets", arg[3], 1, arg[1]), loss;
	int r;

	targets = tram_reshape(g, targets, TRAM_SHAPE(arg[1]));
	loss = tram_head_loss(g, wrt[0], wrt[1], targets, arg[4]);
	r = g->status ? g->status : tram_output(g, "loss", loss);
	return r || !(arg[0] & GRAD) ? r : gradients(g, loss, wrt, 2);
}

/* The table serves as head too: flags, B, T, V, C, chunk */
static int build_tied(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t b = arg[1], t = arg[2], v = arg[3], c = arg[4];
	tram_value tokens = tokens_of(g, "tokens", v, b, t);
	tram_value order = order_of(g, tokens), targets = tokens_of(g, "targets", v, b, t);
	tram_value flat = tram_variable(g, "x_flat", TRAM_SHAPE(3 + v * c + t * c));
	tram_value wrt[2] = { tram_view(g, flat, 3, TRAM_SHAPE(v, c)),
			      tram_view(g, flat, 3 + (uint64_t)v * c, TRAM_SHAPE(t, c)) };
	tram_value x = tram_add(g, tram_embedding(g, wrt[0], tokens, order), wrt[1]);

	return flat_gradients(g, tram_head_loss(g, x, wrt[0], targets, arg[5]), wrt, 2,
			      3 + (uint64_t)v * c + t * c);
}

/* --- optimizer --------------------------------------------------------------------------------------- */

/* n; what: 0 finite, 1 with an infinity */
static int build_stats(struct tram_graph *g, const uint32_t *arg)
{
	tram_value x = f32(g, "x", TRAM_SHAPE(arg[1]));

	if (arg[2])
		x = tram_div(g, f32(g, "pos", TRAM_SHAPE(1)), tram_relu(g, x));
	return finish(g, tram_grad_stats(g, x), NULL, 0, false);
}

/* n, decay_count, clip in thousandths */
static int build_adamw(struct tram_graph *g, const uint32_t *arg)
{
	struct tram_adamw_params p = { .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f,
				       .weight_decay = 0.1f, .clip = (float)arg[3] * 1e-3f,
				       .decay_count = arg[2] };
	tram_value params = tram_variable(g, "x_params", TRAM_SHAPE(arg[1]));
	tram_value m = tram_variable(g, "x_m", TRAM_SHAPE(arg[1]));
	tram_value v = tram_variable(g, "pos_v", TRAM_SHAPE(arg[1]));
	tram_value grads = f32(g, "x_grads", TRAM_SHAPE(arg[1]));
	tram_value stats = tram_grad_stats(g, grads);

	tram_graph_begin_update(g);
	return tram_adamw(g, params, m, v, grads, stats, &p);
}

static int build_sgd(struct tram_graph *g, const uint32_t *arg)
{
	struct tram_sgd_params p = { .momentum = 0.9f, .weight_decay = 0.1f,
				     .clip = (float)arg[3] * 1e-3f, .decay_count = arg[2] };
	tram_value params = tram_variable(g, "x_params", TRAM_SHAPE(arg[1]));
	tram_value momentum = tram_variable(g, "x_momentum", TRAM_SHAPE(arg[1]));
	tram_value grads = f32(g, "x_grads", TRAM_SHAPE(arg[1]));
	tram_value stats = tram_grad_stats(g, grads);

	tram_graph_begin_update(g);
	return tram_sgd(g, params, momentum, grads, stats, &p);
}

/* --- whole models: B, T, H, D, V, layers, chunk ------------------------------------------------------------- */

static tram_value take(struct tram_graph *g, tram_value flat, uint64_t *at, struct tram_shape s,
		       tram_value *wrt, uint32_t *n)
{
	tram_value v = tram_view(g, flat, *at, s);

	*at += tram_shape_count(&s);
	wrt[(*n)++] = v;
	return v;
}

static tram_value linear(struct tram_graph *g, tram_value x, tram_value w, tram_value b)
{
	struct tram_matmul_params p = { .transpose_b = true, .has_bias = true, .bias = b };

	return tram_matmul(g, x, w, &p);
}

static int build_gpt(struct tram_graph *g, const uint32_t *arg)
{
	uint32_t b = arg[0], t = arg[1], h = arg[2], c = arg[3] * h, v = arg[4], layers = arg[5], n = 0;
	uint64_t at = 0, total = (uint64_t)v * c + t * c + layers * (12ull * c * c + 13 * c) + 2 * c;
	tram_value tokens = tokens_of(g, "tokens", v, b, t), order = order_of(g, tokens);
	tram_value targets = tokens_of(g, "targets", v, b, t);
	tram_value flat = tram_variable(g, "x_flat", TRAM_SHAPE((uint32_t)total));
	tram_value wrt[64], wte, x, y;

	wte = take(g, flat, &at, TRAM_SHAPE(v, c), wrt, &n);
	x = tram_add(g, tram_embedding(g, wte, tokens, order),
		     take(g, flat, &at, TRAM_SHAPE(t, c), wrt, &n));
	for (uint32_t l = 0; l < layers; l++) {
		tram_value gain = take(g, flat, &at, TRAM_SHAPE(c), wrt, &n);
		tram_value bias = take(g, flat, &at, TRAM_SHAPE(c), wrt, &n);
		tram_value w = take(g, flat, &at, TRAM_SHAPE(3 * c, c), wrt, &n);

		y = tram_layernorm(g, x, gain, bias, 1e-5f);
		y = linear(g, y, w, take(g, flat, &at, TRAM_SHAPE(3 * c), wrt, &n));
		y = tram_attention(g, y, h, h);
		w = take(g, flat, &at, TRAM_SHAPE(c, c), wrt, &n);
		y = linear(g, y, w, take(g, flat, &at, TRAM_SHAPE(c), wrt, &n));
		x = tram_add(g, x, tram_dropout(g, y, 0.1f, l));
		gain = take(g, flat, &at, TRAM_SHAPE(c), wrt, &n);
		bias = take(g, flat, &at, TRAM_SHAPE(c), wrt, &n);
		y = tram_layernorm(g, x, gain, bias, 1e-5f);
		w = take(g, flat, &at, TRAM_SHAPE(4 * c, c), wrt, &n);
		y = linear(g, y, w, take(g, flat, &at, TRAM_SHAPE(4 * c), wrt, &n));
		w = take(g, flat, &at, TRAM_SHAPE(c, 4 * c), wrt, &n);
		y = linear(g, tram_gelu_tanh(g, y), w, take(g, flat, &at, TRAM_SHAPE(c), wrt, &n));
		x = tram_add(g, x, y);
	}
	y = take(g, flat, &at, TRAM_SHAPE(c), wrt, &n);
	x = tram_layernorm(g, x, y, take(g, flat, &at, TRAM_SHAPE(c), wrt, &n), 1e-5f);
	assert(at == total);
	return flat_gradients(g, tram_head_loss(g, x, wte, targets, arg[6]), wrt, n, total);
}

/* B, T, H, G, D, V, layers */
static int build_llama(struct tram_graph *g, const uint32_t *arg)
{
	const struct tram_matmul_params tb = { .transpose_b = true };
	uint32_t b = arg[0], t = arg[1], h = arg[2], kv = arg[3], d = arg[4], v = arg[5], n = 0;
	uint32_t c = 2 * d, inner = 3 * d + 1, qkv = (h + 2 * kv) * d;
	uint64_t at = 0, total = 2ull * v * c + c +
				 arg[6] * (2ull * c + (uint64_t)c * (qkv + h * d + 3 * inner));
	tram_value tokens = tokens_of(g, "tokens", v, b, t), order = order_of(g, tokens);
	tram_value targets = tokens_of(g, "targets", v, b, t);
	tram_value flat = tram_variable(g, "x_flat", TRAM_SHAPE((uint32_t)total));
	tram_value wrt[64], x, y, gate;

	x = tram_embedding(g, take(g, flat, &at, TRAM_SHAPE(v, c), wrt, &n), tokens, order);
	for (uint32_t l = 0; l < arg[6]; l++) {
		struct tram_matmul_params residual = { .transpose_b = true, .has_residual = true };

		y = tram_rmsnorm(g, x, take(g, flat, &at, TRAM_SHAPE(c), wrt, &n), 1e-5f);
		y = tram_matmul(g, y, take(g, flat, &at, TRAM_SHAPE(qkv, c), wrt, &n), &tb);
		y = tram_rope(g, y, h + 2 * kv, h + kv, 100, false);
		y = tram_attention(g, y, h, kv);
		residual.residual = x;
		x = tram_matmul(g, y, take(g, flat, &at, TRAM_SHAPE(c, h * d), wrt, &n), &residual);
		y = tram_rmsnorm(g, x, take(g, flat, &at, TRAM_SHAPE(c), wrt, &n), 1e-5f);
		gate = tram_matmul(g, y, take(g, flat, &at, TRAM_SHAPE(inner, c), wrt, &n), &tb);
		y = tram_matmul(g, y, take(g, flat, &at, TRAM_SHAPE(inner, c), wrt, &n), &tb);
		y = tram_mul(g, tram_silu(g, gate), y);
		residual.residual = x;
		x = tram_matmul(g, y, take(g, flat, &at, TRAM_SHAPE(c, inner), wrt, &n), &residual);
	}
	x = tram_rmsnorm(g, x, take(g, flat, &at, TRAM_SHAPE(c), wrt, &n), 1e-5f);
	y = take(g, flat, &at, TRAM_SHAPE(v, c), wrt, &n);
	assert(at == total);
	return flat_gradients(g, tram_head_loss(g, x, y, targets, 0), wrt, n, total);
}

/* --- the table ------------------------------------------------------------------------------------------ */

#define MATMUL(text, f, ...) { "matmul " text, build_matmul, { f, __VA_ARGS__ } }
#define EW1(op, code) \
	{ op " [1]", build_ew, { GRAD, code, 1, 1, 1 } }, \
	{ op " [3, 5, 7]", build_ew, { GRAD, code, 3, 5, 7 } }, \
	{ op " [1, 1, 4099]", build_ew, { GRAD, code, 1, 1, 4099 } }
#define EW2(op, code, flags) \
	{ op " [1]", build_ew, { flags, code, 1, 1, 1, 1, 1, 1 } }, \
	{ op " [3, 5, 7]", build_ew, { flags, code, 3, 5, 7, 3, 5, 7 } }, \
	{ op " [3, 5, 7] with [1, 1, 7]", build_ew, { flags, code, 3, 5, 7, 1, 1, 7 } }, \
	{ op " [2, 1, 9] with [2, 5, 1]", build_ew, { flags, code, 2, 1, 9, 2, 5, 1 } }, \
	{ op " [1, 1, 1] with [3, 2, 31]", build_ew, { flags, code, 1, 1, 1, 3, 2, 31 } }, \
	{ op " [64, 64] with itself", build_ew, { flags, code, 1, 64, 64, 1, 64, 64 } }

const struct tram_op_case tram_op_cases[] = {
	MATMUL("1x1x1", 0, 1, 1, 1, 1),
	MATMUL("1x1 over 7", 0, 1, 1, 1, 7),
	MATMUL("5x1 over 3", 0, 1, 5, 1, 3),
	MATMUL("1x37 over 19", 0, 1, 1, 37, 19),
	MATMUL("17x13 over 11", 0, 1, 17, 13, 11),
	MATMUL("17x13 over 11, ta", TA, 1, 17, 13, 11),
	MATMUL("17x13 over 11, tb", TB, 1, 17, 13, 11),
	MATMUL("17x13 over 11, ta tb", TA | TB, 1, 17, 13, 11),
	MATMUL("64x64 over 64", 0, 1, 64, 64, 64),
	MATMUL("64x64 over 64, ta", TA, 1, 64, 64, 64),
	MATMUL("64x64 over 64, tb bias residual", TB | BIAS | RESIDUAL, 1, 64, 64, 64),
	MATMUL("33x65 over 127", 0, 1, 33, 65, 127),
	MATMUL("33x65 over 127, ta residual", TA | RESIDUAL, 1, 33, 65, 127),
	MATMUL("33x65 over 127, tb bias", TB | BIAS, 1, 33, 65, 127),
	MATMUL("49x130 over 257, bias residual", BIAS | RESIDUAL, 1, 49, 130, 257),
	{ "matmul 31x19 over 1031", build_matmul, { TB, 1, 31, 19, 1031 }, .atol = 1e-4 },
	MATMUL("batch of 3, 7x5 over 9", BATCHED, 3, 7, 5, 9),
	MATMUL("batch of 3, 7x5 over 9, ta", BATCHED | TA, 3, 7, 5, 9),
	MATMUL("batch of 3, 7x5 over 9, tb bias residual", BATCHED | TB | BIAS | RESIDUAL, 3, 7, 5, 9),
	MATMUL("batch of 2, 25x34 over 17, ta tb", BATCHED | TA | TB, 2, 25, 34, 17),
	MATMUL("batch of 4, 40x48 over 64, ta", BATCHED | TA, 4, 40, 48, 64),
	MATMUL("one b for a batch of 3, 7x5 over 9", SHARED, 3, 7, 5, 9),
	MATMUL("one b for a batch of 2, 29x31 over 6, tb bias", SHARED | TB | BIAS, 2, 29, 31, 6),
	MATMUL("gradients, 12x5 over 7", GRAD | BIAS | RESIDUAL, 1, 12, 5, 7),
	MATMUL("gradients, 12x5 over 7, tb", GRAD | TB | BIAS, 1, 12, 5, 7),
	MATMUL("gradients, batch of 2, 3x5 over 7, ta", GRAD | BATCHED | TA, 2, 3, 5, 7),
	MATMUL("gradients, batch of 2, 3x5 over 7, ta tb", GRAD | BATCHED | TA | TB, 2, 3, 5, 7),
	{ "matmul gradients, 2 shards", build_matmul, { GRAD | SHARED | BIAS, 4, 3, 5, 7 }, .shards = 2 },
	{ "matmul gradients, 3 shards, tb", build_matmul, { GRAD | SHARED | TB | BIAS, 3, 5, 9, 33 },
	  .shards = 3 },
	{ "matmul gradients, 4 shards, tb", build_matmul, { GRAD | SHARED | TB, 4, 16, 32, 16 },
	  .shards = 4 },

	EW2("add", TRAM_EW_ADD, GRAD),
	EW2("sub", TRAM_EW_SUB, GRAD),
	EW2("mul", TRAM_EW_MUL, 0),
	EW2("div", TRAM_EW_DIV, 0),
	EW2("max", TRAM_EW_MAX, 0),
	EW2("relu_bwd", TRAM_EW_RELU_BWD, 0),
	EW2("gelu_tanh_bwd", TRAM_EW_GELU_TANH_BWD, 0),
	EW2("gelu_erf_bwd", TRAM_EW_GELU_ERF_BWD, 0),
	EW2("tanh_bwd", TRAM_EW_TANH_BWD, 0),
	EW2("silu_bwd", TRAM_EW_SILU_BWD, 0),
	{ "mul gradients", build_ew, { GRAD, TRAM_EW_MUL, 3, 5, 7, 1, 5, 1 }, .atol = 1e-4 },
	{ "div gradients", build_ew, { GRAD, TRAM_EW_DIV, 3, 5, 7, 1, 1, 7 }, .atol = 1e-3 },
	EW1("scale", TRAM_EW_SCALE),
	EW1("addi", TRAM_EW_ADDI),
	EW1("neg", TRAM_EW_NEG),
	EW1("exp", TRAM_EW_EXP),
	EW1("log", TRAM_EW_LOG),
	EW1("sqrt", TRAM_EW_SQRT),
	EW1("tanh", TRAM_EW_TANH),
	EW1("relu", TRAM_EW_RELU),
	EW1("gelu_tanh", TRAM_EW_GELU_TANH),
	EW1("gelu_erf", TRAM_EW_GELU_ERF),
	EW1("silu", TRAM_EW_SILU),
	EW1("dropout", TRAM_EW_DROPOUT),
	{ "bias of every kind", build_ew_bias, { GRAD, 4, 3, 5 } },
	{ "bias of every kind, 2 shards", build_ew_bias, { GRAD, 4, 3, 5 }, .shards = 2 },
	{ "bias of every kind, 3 shards", build_ew_bias, { GRAD, 3, 17, 9 }, .shards = 3 },
	{ "program of 12, [1, 1]", build_ew_program, { 0, 1, 1 } },
	{ "program of 12, [7, 13]", build_ew_program, { 0, 7, 13 } },
	{ "program of 12, [32, 64]", build_ew_program, { 0, 32, 64 } },

	{ "sum [1, 1, 1]", build_reduce, { GRAD, TRAM_REDUCE_SUM, 1, 1, 1 } },
	{ "sum [3, 5, 7]", build_reduce, { GRAD, TRAM_REDUCE_SUM, 3, 5, 7 } },
	{ "sum [1, 4097, 1]", build_reduce, { GRAD, TRAM_REDUCE_SUM, 1, 4097, 1 }, .atol = 1e-4 },
	{ "sum [2, 300, 65]", build_reduce, { 0, TRAM_REDUCE_SUM, 2, 300, 65 }, .atol = 3e-5 },
	{ "mean [13, 1, 5]", build_reduce, { GRAD, TRAM_REDUCE_MEAN, 13, 1, 5 } },
	{ "mean [2, 129, 1]", build_reduce, { GRAD, TRAM_REDUCE_MEAN, 2, 129, 1 } },
	{ "max [3, 5, 7]", build_reduce, { 0, TRAM_REDUCE_MAX, 3, 5, 7 } },
	{ "max [1, 31, 67]", build_reduce, { 0, TRAM_REDUCE_MAX, 1, 31, 67 } },
	{ "max [5, 131, 1]", build_reduce, { 0, TRAM_REDUCE_MAX, 5, 131, 1 } },
	{ "reductions of several axes", build_reduce_axes, { 0, 3, 5, 7 } },
	{ "tree sum of 2 [1]", build_tree_sum, { GRAD, 2, 1 } },
	{ "tree sum of 3 [7]", build_tree_sum, { GRAD, 3, 7 } },
	{ "tree sum of 4 [64]", build_tree_sum, { 0, 4, 64 } },
	{ "tree sum of 5 [1031]", build_tree_sum, { 0, 5, 1031 } },
	{ "tree sum of 8 [33]", build_tree_sum, { 0, 8, 33 } },
	{ "tree sum of 13 [5]", build_tree_sum, { 0, 13, 5 } },
	{ "softmax [1, 1]", build_softmax, { GRAD, 1, 1 } },
	{ "softmax [3, 7]", build_softmax, { GRAD, 3, 7 } },
	{ "softmax [5, 129]", build_softmax, { GRAD, 5, 129 } },
	{ "softmax [37, 64]", build_softmax, { GRAD, 37, 64 } },
	{ "softmax [2, 1031]", build_softmax, { GRAD, 2, 1031 } },
	{ "layernorm [1, 1, 1]", build_layernorm, { 0, 1, 1, 1 } },
	{ "layernorm [3, 1, 7]", build_layernorm, { 0, 3, 1, 7 } },
	{ "layernorm [2, 19, 129]", build_layernorm, { 0, 2, 19, 129 } },
	{ "layernorm [1, 2, 1031]", build_layernorm, { 0, 1, 2, 1031 } },
	{ "layernorm gradients [3, 5, 7]", build_layernorm, { GRAD, 3, 5, 7 }, .atol = 3e-5 },
	{ "layernorm gradients [2, 19, 129]", build_layernorm, { GRAD, 2, 19, 129 }, .atol = 3e-5 },
	{ "layernorm gradients [4, 3, 64], 2 shards", build_layernorm, { GRAD, 4, 3, 64 }, .shards = 2,
	  .atol = 3e-5 },
	{ "layernorm gradients [3, 11, 33], 3 shards", build_layernorm, { GRAD, 3, 11, 33 },
	  .shards = 3, .atol = 3e-5 },
	{ "rmsnorm [1, 1, 1]", build_rmsnorm, { 0, 1, 1, 1 } },
	{ "rmsnorm [3, 1, 7]", build_rmsnorm, { 0, 3, 1, 7 } },
	{ "rmsnorm [2, 19, 129]", build_rmsnorm, { 0, 2, 19, 129 } },
	{ "rmsnorm [1, 2, 1031]", build_rmsnorm, { 0, 1, 2, 1031 } },
	{ "rmsnorm gradients [1, 1, 1]", build_rmsnorm, { GRAD, 1, 1, 1 } },
	{ "rmsnorm gradients [3, 5, 7]", build_rmsnorm, { GRAD, 3, 5, 7 } },
	{ "rmsnorm gradients [2, 19, 129]", build_rmsnorm, { GRAD, 2, 19, 129 } },
	{ "rmsnorm gradients [2, 700, 5]", build_rmsnorm, { GRAD, 2, 700, 5 }, .atol = 3e-5 },
	{ "rmsnorm gradients [4, 3, 64], 2 shards", build_rmsnorm, { GRAD, 4, 3, 64 }, .shards = 2 },
	{ "rmsnorm gradients [3, 11, 33], 3 shards", build_rmsnorm, { GRAD, 3, 11, 33 },
	  .shards = 3 },
	{ "argmax [1, 1]", build_argmax, { 0, 1, 1 } },
	{ "argmax [3, 7]", build_argmax, { 0, 3, 7 } },
	{ "argmax [5, 1031]", build_argmax, { 0, 5, 1031 } },
	{ "argmax of ties [7, 130]", build_argmax, { 0, 7, 130, 1 } },
	{ "isfinite [1]", build_isfinite, { 0, 1, 0 } },
	{ "isfinite [5003]", build_isfinite, { 0, 5003, 0 } },
	{ "isfinite [5003], infinite", build_isfinite, { 0, 5003, 1 } },
	{ "isfinite [257], NaN", build_isfinite, { 0, 257, 2 } },

	{ "transpose [1, 1]", build_transpose, { GRAD, 2, 0, 1, 1 } },
	{ "transpose [7, 13]", build_transpose, { GRAD, 2, 0, 7, 13 } },
	{ "transpose [64, 33]", build_transpose, { 0, 2, 0, 64, 33 } },
	{ "transpose [3, 5, 7] 0 2 1", build_transpose, { GRAD, 3, 1, 3, 5, 7 } },
	{ "transpose [3, 5, 7] 1 0 2", build_transpose, { GRAD, 3, 2, 3, 5, 7 } },
	{ "transpose [3, 1, 7] 2 1 0", build_transpose, { GRAD, 3, 3, 3, 1, 7 } },
	{ "transpose [2, 5, 3, 7] 0 2 1 3", build_transpose, { GRAD, 4, 4, 2, 5, 3, 7 } },
	{ "transpose [2, 5, 3, 7] 3 1 0 2", build_transpose, { GRAD, 4, 5, 2, 5, 3, 7 } },
	{ "transpose of rank 5", build_transpose, { GRAD, 5, 6, 2, 3, 5, 4 } },
	{ "transpose of rank 6", build_transpose, { GRAD, 6, 7, 3, 2, 5, 1 } },
	{ "transpose that moves nothing", build_transpose, { GRAD, 3, 8, 3, 5, 7 } },
	{ "slice of axis 0", build_slice, { 0, 7, 3, 5, 0, 2, 4 } },
	{ "slice of axis 1", build_slice, { 0, 2, 13, 5, 1, 3, 7 } },
	{ "slice of axis 2", build_slice, { 0, 3, 5, 67, 2, 1, 64 } },
	{ "slice of one", build_slice, { 0, 3, 5, 7, 2, 6, 1 } },
	{ "slice gradients, axis 0", build_slice, { GRAD, 7, 3, 5, 0, 2, 4 } },
	{ "slice gradients, axis 1", build_slice, { GRAD, 2, 13, 5, 1, 3, 7 } },
	{ "slice gradients, axis 2", build_slice, { GRAD, 3, 5, 7, 2, 0, 1 } },
	{ "concat on axis 0", build_concat, { GRAD, 0, 1, 3, 5, 1, 2, 4 } },
	{ "concat on axis 1", build_concat, { GRAD, 1, 3, 1, 5, 7, 1, 4 } },
	{ "concat on axis 2", build_concat, { GRAD, 2, 3, 5, 1, 3, 64, 1 } },
	{ "concat of 70", build_concat_many, { 0, 70, 3 } },
	{ "pack without gaps", build_pack, { GRAD, 5, 1, 300, 0 } },
	{ "pack with gaps", build_pack, { GRAD, 5, 64, 129, 3 } },
	{ "pack of 70", build_pack_many, { 0, 70 } },
	{ "copy of the last one", build_copy, { 0, 8, 7 } },
	{ "copy from the middle", build_copy, { 0, 5003, 5 } },

	{ "embedding [1, 1] of [1, 1]", build_embedding, { GRAD, 1, 1, 1, 1 } },
	{ "embedding [2, 7] of [11, 5]", build_embedding, { GRAD, 2, 7, 11, 5 } },
	{ "embedding [4, 33] of [257, 64]", build_embedding, { GRAD, 4, 33, 257, 64 } },
	{ "embedding, one token often", build_embedding, { GRAD, 3, 50, 2, 13 } },
	{ "embedding, 2 shards", build_embedding, { GRAD, 4, 9, 7, 12 }, .shards = 2 },
	{ "embedding, 3 shards", build_embedding, { GRAD, 3, 17, 31, 65 }, .shards = 3 },
	{ "rope 1 1 1 1 2", build_rope, { GRAD, 1, 1, 1, 1, 2, 10000 } },
	{ "rope 1 1 3 2 4, late", build_rope, { GRAD | AT_POS, 1, 1, 3, 2, 4, 10000 }, .pos = 8191 },
	{ "rope 2 17 5 3 6", build_rope, { GRAD, 2, 17, 5, 3, 6, 10000 } },
	{ "rope 3 5 4 4 64, theta 500000", build_rope, { GRAD, 3, 5, 4, 4, 64, 500000 } },
	{ "rope 1 67 3 2 20", build_rope, { GRAD, 1, 67, 3, 2, 20, 10000 } },
	{ "rope 2 3 2 1 128, far out", build_rope, { GRAD | AT_POS, 2, 3, 2, 1, 128, 10000 },
	  .pos = 1000003 },
	{ "rope 2 31 3 2 34, theta 1", build_rope, { GRAD, 2, 31, 3, 2, 34, 1 } },
	{ "attention 1 1 1 1 4", build_attention, { GRAD, 1, 1, 1, 1, 4 } },
	{ "attention 2 17 2 2 16", build_attention, { GRAD, 2, 17, 2, 2, 16 }, .atol = 5e-5 },
	{ "attention 1 33 3 3 64", build_attention, { GRAD, 1, 33, 3, 3, 64 }, .atol = 1e-4 },
	{ "attention 1 64 2 2 32", build_attention, { GRAD, 1, 64, 2, 2, 32 }, .atol = 1e-4 },
	{ "attention 1 5 4 2 128, grouped", build_attention, { GRAD, 1, 5, 4, 2, 128 }, .atol = 1e-4 },
	{ "attention 2 7 6 1 20, grouped", build_attention, { GRAD, 2, 7, 6, 1, 20 }, .atol = 1e-4 },
	{ "attention 1 70 1 1 80", build_attention, { GRAD, 1, 70, 1, 1, 80 }, .atol = 1e-4 },
	{ "attention 1 131 2 1 96", build_attention, { GRAD, 1, 131, 2, 1, 96 }, .atol = 2e-4 },
	{ "cached attention, first token", build_cached, { 0, 1, 1, 1, 1, 1, 4 } },
	{ "cached attention, prompt", build_cached, { 0, 2, 7, 19, 2, 2, 16 } },
	{ "cached attention, one token late", build_cached, { 0, 2, 1, 19, 4, 2, 64 }, .pos = 18 },
	{ "cached attention, some tokens", build_cached, { 0, 1, 5, 70, 3, 1, 32 }, .pos = 64 },
	{ "head loss 1 1 1", build_head, { GRAD, 1, 1, 1, 0 } },
	{ "head loss 7 5 11", build_head, { GRAD, 7, 5, 11, 0 } },
	{ "head loss 7 5 11, chunk 1", build_head, { GRAD, 7, 5, 11, 1 } },
	{ "head loss 7 5 11, chunk 3", build_head, { GRAD, 7, 5, 11, 3 } },
	{ "head loss 7 5 11, chunk 16", build_head, { GRAD, 7, 5, 11, 16 } },
	{ "head loss 66 33 257, chunk 64, 2 shards", build_head, { GRAD, 66, 33, 257, 64 }, .shards = 2 },
	{ "head loss 33 64 130, 3 shards", build_head, { GRAD, 33, 64, 130, 0 }, .shards = 3 },
	{ "tied head", build_tied, { GRAD, 2, 5, 11, 7, 0 } },
	{ "tied head, chunk 4, 2 shards", build_tied, { GRAD, 4, 5, 11, 7, 4 }, .shards = 2 },
	{ "tied head, 3 shards", build_tied, { GRAD, 3, 9, 33, 16, 0 }, .shards = 3 },

	{ "grad stats of 1", build_stats, { 0, 1 } },
	{ "grad stats of 257", build_stats, { 0, 257 } },
	{ "grad stats of 16384", build_stats, { 0, 16384 } },
	{ "grad stats of 40001", build_stats, { 0, 40001 } },
	{ "grad stats, infinite", build_stats, { 0, 16400, 1 } },
	{ "adamw of 1", build_adamw, { 0, 1, 1, 0 } },
	{ "adamw of 257, clipped", build_adamw, { 0, 257, 100, 1000 } },
	{ "adamw of 20011, loose clip", build_adamw, { 0, 20011, 16385, 1000000 } },
	{ "adamw, gate closed", build_adamw, { 0, 257, 100, 1000 }, .closed = true },
	{ "sgd of 1", build_sgd, { 0, 1, 0, 0 } },
	{ "sgd of 257, clipped", build_sgd, { 0, 257, 100, 1000 } },
	{ "sgd of 20011", build_sgd, { 0, 20011, 20011, 0 } },
	{ "sgd, gate closed", build_sgd, { 0, 257, 100, 1000 }, .closed = true },

	{ "gpt of 1 layer", build_gpt, { 2, 5, 2, 4, 11, 1, 0 }, .atol = 1e-4 },
	{ "gpt of 2 layers, 2 shards", build_gpt, { 2, 9, 2, 16, 37, 2, 10 }, .shards = 2, .atol = 1e-4 },
	{ "llama of 1 layer", build_llama, { 2, 5, 2, 1, 4, 11, 1 }, .atol = 1e-4 },
	{ "llama of 2 layers, 2 shards", build_llama, { 2, 9, 4, 2, 8, 37, 2 }, .shards = 2,
	  .atol = 1e-4 },
	{ "llama of 1 layer, 3 shards", build_llama, { 3, 16, 6, 3, 12, 67, 1 }, .shards = 3,
	  .atol = 1e-4 },
	{ "gpt of 2 layers, 3 shards", build_gpt, { 3, 16, 3, 16, 67, 2, 0 }, .shards = 3, .atol = 1e-4 },
};
const size_t tram_n_op_cases = TRAM_ARRAY_SIZE(tram_op_cases);
