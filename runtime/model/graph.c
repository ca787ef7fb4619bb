/* SPDX-License-Identifier: MIT */
/*
 * The graphs of training, evaluation and decoding, the same for every family:
 * a family's trunk makes hidden states from tokens, what is before and behind it is here. Also
 * here: the pieces that trunks are made of.
 */
#include <stdio.h>

#include <tram/ops.h>

#include "graph/graph.h"
#include "model/model.h"

/* --- building ---------------------------------------------------------------------- */

/* The tensor at @i with those joined to it. */
static struct tram_shape joined_shape(const struct tram_model *m, size_t i)
{
	struct tram_shape s = m->tensors.v[i].shape;

	while (++i < m->tensors.n && m->tensors.v[i].joined)
		s.dim[0] += m->tensors.v[i].shape.dim[0];
	return s;
}

static int builder_init(struct tram_builder *b, const struct tram_model *m, uint32_t shards,
			uint32_t seq, float dropout)
{
	const struct tram_graph_params gp = { .shards = shards };
	int r;

	*b = (struct tram_builder){ .m = m, .dropout = dropout };
	r = tram_graph_create(m->ctx, &gp, &b->g);
	if (r)
		return r;
	b->tensor = tram_calloc(m->ctx, m->tensors.n, sizeof(*b->tensor));
	if (!b->tensor) {
		tram_graph_destroy(&b->g);
		return -ENOMEM;
	}
	b->params = tram_variable(b->g, "params", TRAM_SHAPE((uint32_t)m->flat));
	for (size_t i = 0; i < m->tensors.n; i++) {
		const struct tram_model_tensor *t = &m->tensors.v[i];
		struct tram_shape s = joined_shape(m, i);

		if (seq && t->positions)
			s.dim[0] = seq;
		b->tensor[i] = t->joined ? TRAM_NONE : tram_view(b->g, b->params, t->first, s);
	}
	return 0;
}

/* Ends building: hands the graph over, or undoes it. */
static int builder_finish(struct tram_builder *b, int r, struct tram_graph **graph)
{
	if (!r)
		r = tram_graph_status(b->g);
	tram_free(b->m->ctx, b->tensor);
	if (r)
		tram_graph_destroy(&b->g);
	*graph = b->g;
	return r;
}

tram_value tram_model_weight(const struct tram_builder *b, const char *name)
{
	int i = tram_model_index(b->m, name);

	assert(i >= 0 && b->tensor[i] != TRAM_NONE);
	return b->tensor[i];
}

tram_value tram_model_layer_weight(const struct tram_builder *b, const char *format, uint32_t layer,
				   const char *name)
{
	char full[80];

	snprintf(full, sizeof(full), format, layer, name);
	return tram_model_weight(b, full);
}

tram_value tram_model_dropout(struct tram_builder *b, tram_value x)
{
	return b->dropout != 0 ? tram_dropout(b->g, x, b->dropout, b->salt++) : x;
}

tram_value tram_model_linear(struct tram_builder *b, tram_value x, tram_value w, bool out_in,
			     tram_value bias, tram_value residual)
{
	struct tram_matmul_params p = { .transpose_b = out_in, .bias = bias,
					.has_bias = bias != TRAM_NONE };

	if (residual == TRAM_NONE)
		return tram_matmul(b->g, x, w, &p);
	if (b->dropout == 0) {
		p.residual = residual;
		p.has_residual = true;
		return tram_matmul(b->g, x, w, &p);
	}
	return tram_add(b->g, residual, tram_model_dropout(b, tram_matmul(b->g, x, w, &p)));
}

tram_value tram_model_attention(struct tram_builder *b, uint32_t layer, tram_value qkv)
{
	const struct tram_model *m = b->m;
	struct tram_shape s = TRAM_SHAPE(1, m->max_seq, m->kv_heads, m->head_dim);
	char k[16], v[16];

	if (!b->cached)
		return tram_attention(b->g, qkv, m->heads, m->kv_heads);
	snprintf(k, sizeof(k), "k%u", layer);
	snprintf(v, sizeof(v), "v%u", layer);
	return tram_attention_cached(b->g, qkv, tram_variable(b->g, k, s),
				     tram_variable(b->g, v, s), m->heads, m->kv_heads);
}

static tram_value head(const struct tram_builder *b)
{
	return tram_model_weight(b, b->m->family->head(b->m));
}

int tram_model_check_batch(const struct tram_model *m, uint32_t batch, uint32_t seq,
			   uint32_t shards)
{
	if (!batch || !seq)
		return tram_fail(m->ctx, -EINVAL, "batch %u x sequence %u: both must be at least 1",
				 batch, seq);
	if (seq > m->max_seq)
		return tram_fail(m->ctx, -EINVAL, "sequence of %u tokens: the model has %u "
				 "positions; use --seq %u or less", seq, m->max_seq,
				 m->max_seq);
	if (!shards || batch % shards) {
		uint32_t below = shards ? TRAM_MIN(shards, batch) : 1, above = below;

		while (batch % below)
			below--;
		while (above < batch && batch % above)
			above++;
		return tram_fail(m->ctx, -EINVAL, "%u shards do not divide a batch of %u "
				 "sequences; the nearest that do are %u and %u", shards, batch,
				 below, TRAM_MIN(above, batch));
	}
	return 0;
}

/* --- graphs ------------------------------------------------------------------------ */

static tram_value training_loss(struct tram_builder *b, uint32_t batch, uint32_t seq)
{
	struct tram_shape s = TRAM_SHAPE(batch, seq);
	tram_value tokens = tram_input(b->g, "tokens", TRAM_I32, s);
	tram_value targets = tram_input(b->g, "targets", TRAM_I32, s);
	tram_value order = tram_input(b->g, "order", TRAM_I32, s);

	return tram_head_loss(b->g, b->m->family->trunk(b, tokens, order), head(b), targets, 0);
}

/* Sum over all rows, per shard and then along the shards' tree. */
static tram_value sum_rows(struct tram_builder *b, tram_value rows, uint32_t n, uint32_t shards)
{
	tram_value v = tram_reshape(b->g, rows, TRAM_SHAPE(shards, n / shards));

	v = tram_reduce(b->g, v, TRAM_REDUCE_SUM, 1, 1);
	return tram_tree_sum(b->g, tram_reshape(b->g, v, TRAM_SHAPE(shards, 1)));
}

/* Output "loss", and the gradients of all tensors, packed as "params" is. */
static int backward(struct tram_builder *b, uint32_t batch, uint32_t seq, uint32_t shards,
		    tram_value *grads)
{
	const struct tram_model *m = b->m;
	tram_value rows, *grad, *wrt;
	uint64_t *first;
	uint32_t n = 0;
	int r = -ENOMEM;

	grad = tram_calloc(m->ctx, m->tensors.n, sizeof(*grad));
	wrt = tram_calloc(m->ctx, m->tensors.n, sizeof(*wrt));
	first = tram_calloc(m->ctx, m->tensors.n, sizeof(*first));
	if (!grad || !wrt || !first)
		goto out;
	rows = training_loss(b, batch, seq);
	tram_output(b->g, "loss", sum_rows(b, rows, batch * seq, shards));
	for (size_t i = 0; i < m->tensors.n; i++) {
		if (m->tensors.v[i].joined)
			continue;
		first[n] = m->tensors.v[i].first;
		wrt[n++] = b->tensor[i];
	}
	r = tram_gradients(b->g, rows, wrt, n, grad);
	if (!r)
		*grads = tram_pack(b->g, grad, first, n, m->flat);
out:
	tram_free(m->ctx, wrt);
	tram_free(m->ctx, grad);
	tram_free(m->ctx, first);
	return r;
}

/* AdamW behind the gate, on elements [first, ...) of the parameters, which are all of the variables. */
static int update(struct tram_graph *g, const struct tram_model *m,
		  const struct tram_optimizer_params *opt, tram_value params, uint64_t first,
		  tram_value grads, tram_value stats)
{
	struct tram_shape shape = tram_value_shape(g, params);
	uint64_t decay = m->decay_count > first ? m->decay_count - first : 0;
	const struct tram_adamw_params adamw = {
		.beta1 = opt->beta1, .beta2 = opt->beta2, .eps = opt->eps,
		.weight_decay = opt->weight_decay, .clip = opt->clip,
		.decay_count = TRAM_MIN(decay, tram_shape_count(&shape)),
	};

	tram_graph_begin_update(g);
	return tram_adamw(g, params, tram_variable(g, "adam_m", shape),
			  tram_variable(g, "adam_v", shape), grads, stats, &adamw);
}

int tram_model_train_graph(const struct tram_model *m, uint32_t batch, uint32_t seq,
			   uint32_t shards, const struct tram_optimizer_params *opt,
			   struct tram_graph **graph)
{
	tram_value grads, stats;
	struct tram_builder b;
	int r;

	*graph = NULL;
	r = tram_model_check_batch(m, batch, seq, shards);
	if (!r)
		r = builder_init(&b, m, shards, seq, m->dropout);
	if (r)
		return r;
	r = backward(&b, batch, seq, shards, &grads);
	if (!r) {
		stats = tram_grad_stats(b.g, grads);
		tram_output(b.g, "stats", stats);
		r = update(b.g, m, opt, b.params, 0, grads, stats);
	}
	return builder_finish(&b, r, graph);
}

int tram_model_partial_graph(const struct tram_model *m, uint32_t batch, uint32_t seq,
			     uint32_t shards, struct tram_graph **graph)
{
	tram_value grads;
	struct tram_builder b;
	int r;

	*graph = NULL;
	r = tram_model_check_batch(m, batch, seq, shards);
	if (!r)
		r = builder_init(&b, m, shards, seq, m->dropout);
	if (r)
		return r;
	r = backward(&b, batch, seq, shards, &grads);
	if (!r)
		r = tram_output(b.g, "grads", grads);
	return builder_finish(&b, r, graph);
}

int tram_model_update_graph(const struct tram_model *m, const struct tram_optimizer_params *opt,
			    uint64_t first, uint64_t count, bool judges,
			    struct tram_graph **graph)
{
	struct tram_shape shape = TRAM_SHAPE((uint32_t)count);
	tram_value grads, stats;
	struct tram_graph *g;
	int r = tram_graph_create(m->ctx, NULL, &g);

	*graph = NULL;
	if (r)
		return r;
	if (judges) {
		grads = tram_input(g, "grads", TRAM_F32, TRAM_SHAPE((uint32_t)m->flat));
		stats = tram_grad_stats(g, grads);
		tram_output(g, "stats", stats);
		grads = tram_view(g, grads, first, shape);
	} else {
		grads = tram_input(g, "grads", TRAM_F32, shape);
		stats = tram_input(g, "stats", TRAM_F32, TRAM_SHAPE(4));
	}
	r = update(g, m, opt, tram_variable(g, "master", shape), first, grads, stats);
	if (!r)
		r = tram_graph_status(g);
	if (r)
		tram_graph_destroy(&g);
	*graph = g;
	return r;
}

int tram_model_eval_graph(const struct tram_model *m, uint32_t batch, uint32_t seq, bool logits,
			  struct tram_graph **graph)
{
	struct tram_shape s = TRAM_SHAPE(batch, seq);
	tram_value tokens, targets, x;
	struct tram_builder b;
	int r;

	*graph = NULL;
	r = tram_model_check_batch(m, batch, seq, 1);
	if (!r)
		r = builder_init(&b, m, 1, seq, 0);
	if (r)
		return r;
	tokens = tram_input(b.g, "tokens", TRAM_I32, s);
	targets = tram_input(b.g, "targets", TRAM_I32, s);
	x = m->family->trunk(&b, tokens, tokens);
	r = tram_output(b.g, "losses", tram_head_loss(b.g, x, head(&b), targets, 0));
	if (!r && logits) {
		const struct tram_matmul_params p = { .transpose_b = true };

		r = tram_output(b.g, "logits", tram_matmul(b.g, x, head(&b), &p));
	}
	return builder_finish(&b, r, graph);
}

int tram_model_decode_graph(const struct tram_model *m, uint32_t n, bool last_only,
			    struct tram_graph **graph)
{
	const struct tram_matmul_params p = { .transpose_b = true };
	tram_value x;
	struct tram_builder b;
	int r;

	*graph = NULL;
	r = tram_model_check_batch(m, 1, n, 1);
	if (!r)
		r = builder_init(&b, m, 1, 0, 0);
	if (r)
		return r;
	b.cached = true;
	x = tram_input(b.g, "tokens", TRAM_I32, TRAM_SHAPE(1, n));
	x = m->family->trunk(&b, x, x);
	if (last_only)
		x = tram_view(b.g, x, (uint64_t)(n - 1) * m->width,
			      TRAM_SHAPE(1, m->width));
	else
		x = tram_reshape(b.g, x, TRAM_SHAPE(n, m->width));
	r = tram_output(b.g, "logits", tram_matmul(b.g, x, head(&b), &p));
	return builder_finish(&b, r, graph);
}
