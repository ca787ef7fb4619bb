/* SPDX-License-Identifier: MIT */
/*
 * The GPT-2 family (Radford et al. 2019): its tensors under Hugging Face's
 * names, and the graphs of training, evaluation and decoding. A block is
 *
 *	x += proj(attention(qkv(ln_1(x))))
 *	x += proj(gelu(fc(ln_2(x))))
 *
 * with weights stored [in, out] (Hugging Face's Conv1D). Dropout stands where
 * Hugging Face has embd_pdrop and resid_pdrop; attn_pdrop is not applied:
 * attention probabilities are never materialised.
 */
#include <math.h>
#include <stdio.h>

#include <tram/ops.h>

#include "graph/graph.h"
#include "model/model.h"

/* --- tensors ------------------------------------------------------------------ */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* GPT-2's rule: residual projections begin smaller, by the number of them on the path. */
static void initial(const struct tram_gpt2_config *c, struct tram_model_tensor *t)
{
	if (ends_with(t->name, ".bias")) {
		t->init = TRAM_INIT_ZERO;
	} else if (t->shape.rank == 1) {
		t->init = TRAM_INIT_ONE;
	} else {
		t->init = TRAM_INIT_NORMAL;
		t->std = ends_with(t->name, ".c_proj.weight") ?
			 (float)(0.02 / sqrt(2.0 * c->n_layer)) : 0.02f;
	}
}

int tram_gpt2_tensors(struct tram_model *m)
{
	size_t n = tram_gpt2_tensor_count(&m->cfg);
	int r = tram_vec_reserve(m->ctx, &m->tensors, n);

	for (size_t i = 0; !r && i < n; i++) {
		struct tram_gpt2_tensor g;
		struct tram_model_tensor t = { 0 };

		tram_gpt2_tensor_at(&m->cfg, i, &g);
		t.name = tram_strdup(m->ctx, g.name);
		if (!t.name)
			return -ENOMEM;
		t.shape.rank = g.ndim;
		for (uint32_t k = 0; k < g.ndim; k++)
			t.shape.dim[k] = (uint32_t)g.shape[k];
		t.decays = g.ndim >= 2;
		initial(&m->cfg, &t);
		r = tram_vec_push(m->ctx, &m->tensors, t);
	}
	return r;
}

/* --- the forward pass ----------------------------------------------------------- */

/* One graph being built: the model's tensors as views of "params". */
struct builder {
	const struct tram_model *m;
	struct tram_graph *g;
	tram_value params;
	tram_value *tensor;	/* by index of m->tensors */
	float dropout;
	uint32_t salt;		/* of the next dropout */
};

static int builder_init(struct builder *b, const struct tram_model *m, uint32_t shards,
			uint32_t seq, float dropout)
{
	const struct tram_graph_params gp = { .shards = shards };
	int r;

	*b = (struct builder){ .m = m, .dropout = dropout };
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
		struct tram_shape s = t->shape;

		/* Only the positions in use: the rest has no gradient. */
		if (seq && !strcmp(t->name, "wpe.weight"))
			s.dim[0] = seq;
		b->tensor[i] = tram_view(b->g, b->params, t->first, s);
	}
	return 0;
}

/* Ends building: hands the graph over, or undoes it. */
static int builder_finish(struct builder *b, int r, struct tram_graph **graph)
{
	if (!r)
		r = tram_graph_status(b->g);
	tram_free(b->m->ctx, b->tensor);
	if (r)
		tram_graph_destroy(&b->g);
	*graph = b->g;
	return r;
}

static tram_value weight(const struct builder *b, const char *name)
{
	int i = tram_model_index(b->m, name);

	assert(i >= 0);
	return b->tensor[i];
}

static tram_value layer_weight(const struct builder *b, uint32_t layer, const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), "h.%u.%s", layer, name);
	return weight(b, full);
}

static tram_value layernorm(struct builder *b, tram_value x, tram_value gain, tram_value bias)
{
	return tram_layernorm(b->g, x, gain, bias, (float)b->m->cfg.layer_norm_epsilon);
}

/* x w + bias (+ residual, past the dropout when there is one) */
static tram_value linear(struct builder *b, tram_value x, tram_value w, tram_value bias,
			 tram_value residual, bool has_residual)
{
	struct tram_matmul_params p = { .bias = bias, .has_bias = true };
	tram_value y;

	if (!has_residual)
		return tram_matmul(b->g, x, w, &p);
	if (b->dropout == 0) {
		p.residual = residual;
		p.has_residual = true;
		return tram_matmul(b->g, x, w, &p);
	}
	y = tram_matmul(b->g, x, w, &p);
	y = tram_dropout(b->g, y, b->dropout, b->salt++);
	return tram_add(b->g, residual, y);
}

static tram_value activation(struct builder *b, tram_value x)
{
	switch (b->m->cfg.activation) {
	case TRAM_GPT2_GELU_ERF:
		return tram_gelu_erf(b->g, x);
	case TRAM_GPT2_RELU:
		return tram_relu(b->g, x);
	default:
		return tram_gelu_tanh(b->g, x);
	}
}

/* Where attention finds keys and values: in the projections, or in a cache. */
static tram_value attention(struct builder *b, uint32_t layer, tram_value qkv, bool cached)
{
	const struct tram_gpt2_config *c = &b->m->cfg;
	struct tram_shape s = TRAM_SHAPE(1, c->n_positions, c->n_head, c->n_embd / c->n_head);
	char k[16], v[16];

	if (!cached)
		return tram_attention(b->g, qkv, c->n_head, c->n_head);
	snprintf(k, sizeof(k), "k%u", layer);
	snprintf(v, sizeof(v), "v%u", layer);
	return tram_attention_cached(b->g, qkv, tram_variable(b->g, k, s),
				     tram_variable(b->g, v, s), c->n_head, c->n_head);
}

static tram_value block(struct builder *b, uint32_t l, tram_value x, bool cached)
{
	tram_value h;

	h = layernorm(b, x, layer_weight(b, l, "ln_1.weight"), layer_weight(b, l, "ln_1.bias"));
	h = linear(b, h, layer_weight(b, l, "attn.c_attn.weight"),
		   layer_weight(b, l, "attn.c_attn.bias"), 0, false);
	h = attention(b, l, h, cached);
	x = linear(b, h, layer_weight(b, l, "attn.c_proj.weight"),
		   layer_weight(b, l, "attn.c_proj.bias"), x, true);
	h = layernorm(b, x, layer_weight(b, l, "ln_2.weight"), layer_weight(b, l, "ln_2.bias"));
	h = linear(b, h, layer_weight(b, l, "mlp.c_fc.weight"),
		   layer_weight(b, l, "mlp.c_fc.bias"), 0, false);
	h = activation(b, h);
	return linear(b, h, layer_weight(b, l, "mlp.c_proj.weight"),
		      layer_weight(b, l, "mlp.c_proj.bias"), x, true);
}

/* Blocks and the last norm over embedded tokens. */
static tram_value trunk(struct builder *b, tram_value x, bool cached)
{
	if (b->dropout != 0)
		x = tram_dropout(b->g, x, b->dropout, b->salt++);
	for (uint32_t l = 0; l < b->m->cfg.n_layer; l++)
		x = block(b, l, x, cached);
	return layernorm(b, x, weight(b, "ln_f.weight"), weight(b, "ln_f.bias"));
}

static tram_value head(const struct builder *b)
{
	return weight(b, b->m->cfg.tie_word_embeddings ? "wte.weight" : "lm_head.weight");
}

int tram_model_check_batch(const struct tram_model *m, uint32_t batch, uint32_t seq,
			   uint32_t shards)
{
	if (!batch || !seq)
		return tram_fail(m->ctx, -EINVAL, "batch %u x sequence %u: both must be at least 1",
				 batch, seq);
	if (seq > m->cfg.n_positions)
		return tram_fail(m->ctx, -EINVAL, "sequence of %u tokens: the model has %u "
				 "positions; use --seq %u or less", seq, m->cfg.n_positions,
				 m->cfg.n_positions);
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

static tram_value training_loss(struct builder *b, uint32_t batch, uint32_t seq)
{
	struct tram_shape s = TRAM_SHAPE(batch, seq);
	tram_value tokens = tram_input(b->g, "tokens", TRAM_I32, s);
	tram_value targets = tram_input(b->g, "targets", TRAM_I32, s);
	tram_value order = tram_input(b->g, "order", TRAM_I32, s);
	tram_value x = tram_embedding(b->g, weight(b, "wte.weight"), tokens, order);

	x = trunk(b, tram_add(b->g, x, weight(b, "wpe.weight")), false);
	return tram_head_loss(b->g, x, head(b), targets, 0);
}

/* Sum over all rows, per shard and then along the shards' tree. */
static tram_value sum_rows(struct builder *b, tram_value rows, uint32_t n, uint32_t shards)
{
	tram_value v = tram_reshape(b->g, rows, TRAM_SHAPE(shards, n / shards));

	v = tram_reduce(b->g, v, TRAM_REDUCE_SUM, 1, 1);
	return tram_tree_sum(b->g, tram_reshape(b->g, v, TRAM_SHAPE(shards, 1)));
}

/* Output "loss", and the gradients of all tensors, packed as "params" is. */
static int backward(struct builder *b, uint32_t batch, uint32_t seq, uint32_t shards,
		    tram_value *grads)
{
	const struct tram_model *m = b->m;
	tram_value rows, *grad;
	uint64_t *first;
	int r = -ENOMEM;

	grad = tram_calloc(m->ctx, m->tensors.n, sizeof(*grad));
	first = tram_calloc(m->ctx, m->tensors.n, sizeof(*first));
	if (!grad || !first)
		goto out;
	rows = training_loss(b, batch, seq);
	tram_output(b->g, "loss", sum_rows(b, rows, batch * seq, shards));
	r = tram_gradients(b->g, rows, b->tensor, m->tensors.n, grad);
	if (r)
		goto out;
	for (size_t i = 0; i < m->tensors.n; i++)
		first[i] = m->tensors.v[i].first;
	*grads = tram_pack(b->g, grad, first, (uint32_t)m->tensors.n, m->flat);
out:
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
	struct builder b;
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
	struct builder b;
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
	struct builder b;
	int r;

	*graph = NULL;
	r = tram_model_check_batch(m, batch, seq, 1);
	if (!r)
		r = builder_init(&b, m, 1, seq, 0);
	if (r)
		return r;
	tokens = tram_input(b.g, "tokens", TRAM_I32, s);
	targets = tram_input(b.g, "targets", TRAM_I32, s);
	x = tram_embedding(b.g, weight(&b, "wte.weight"), tokens, tokens);
	x = trunk(&b, tram_add(b.g, x, weight(&b, "wpe.weight")), false);
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
	tram_value tokens, positions, x;
	struct builder b;
	int r;

	*graph = NULL;
	r = tram_model_check_batch(m, 1, n, 1);
	if (!r)
		r = builder_init(&b, m, 1, 0, 0);
	if (r)
		return r;
	/* Positions are an input, so that one recording serves any place in the context. */
	tokens = tram_input(b.g, "tokens", TRAM_I32, TRAM_SHAPE(1, n));
	positions = tram_input(b.g, "positions", TRAM_I32, TRAM_SHAPE(1, n));
	x = tram_add(b.g, tram_embedding(b.g, weight(&b, "wte.weight"), tokens, tokens),
		     tram_embedding(b.g, weight(&b, "wpe.weight"), positions, positions));
	x = trunk(&b, x, true);
	if (last_only)
		x = tram_view(b.g, x, (uint64_t)(n - 1) * m->cfg.n_embd,
			      TRAM_SHAPE(1, m->cfg.n_embd));
	else
		x = tram_reshape(b.g, x, TRAM_SHAPE(n, m->cfg.n_embd));
	r = tram_output(b.g, "logits", tram_matmul(b.g, x, head(&b), &p));
	return builder_finish(&b, r, graph);
}
