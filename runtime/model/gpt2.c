/* SPDX-License-Identifier: MIT */
/*
 * The GPT-2 family (Radford et al. 2019): presets, how its tensors
 * begin, and its trunk. A block is
 *
 *	x += proj(attention(qkv(ln_1(x))))
 *	x += proj(gelu(fc(ln_2(x))))
 *
 * with weights stored [in, out] (Hugging Face's Conv1D). Dropout stands where
 * Hugging Face has embd_pdrop and resid_pdrop; attn_pdrop is not applied:
 * attention probabilities are never materialised.
 */
#include <math.h>

#include <tram/ops.h>

#include "model/model.h"

static void preset(const struct tram_preset *p, uint32_t vocab, uint32_t seq,
		   struct tram_hf_config *cfg)
{
	cfg->gpt2 = (struct tram_gpt2_config){
		.vocab_size = vocab, .n_positions = seq, .n_embd = p->width,
		.n_layer = p->layers, .n_head = p->heads, .n_inner = p->inner,
		.layer_norm_epsilon = 1e-5f, .tie_word_embeddings = true, .bos_token_id = -1,
		.eos_token_id = -1,
	};
}

static void numbers(struct tram_model *m)
{
	const struct tram_gpt2_config *c = &m->cfg.gpt2;

	m->vocab = c->vocab_size;
	m->max_seq = c->n_positions;
	m->width = c->n_embd;
	m->layers = c->n_layer;
	m->heads = m->kv_heads = c->n_head;
	m->head_dim = c->n_embd / c->n_head;
	m->dropout = c->resid_pdrop;
}

static void set_dropout(struct tram_hf_config *cfg, float p)
{
	cfg->gpt2.embd_pdrop = cfg->gpt2.resid_pdrop = p;
	cfg->gpt2.attn_pdrop = 0;
}

/* GPT-2's rule: residual projections begin smaller, by the number of them on the path. */
static void describe(const struct tram_model *m, struct tram_model_tensor *t)
{
	t->positions = !strcmp(t->name, "wpe.weight");
	if (tram_name_ends(t->name, ".bias")) {
		t->init = TRAM_INIT_ZERO;
	} else if (t->shape.rank == 1) {
		t->init = TRAM_INIT_ONE;
	} else {
		t->init = TRAM_INIT_NORMAL;
		t->std = tram_name_ends(t->name, ".c_proj.weight") ?
			 (float)(0.02 / sqrt(2.0 * m->layers)) : 0.02f;
	}
}

static tram_value of_layer(const struct tram_builder *b, uint32_t layer, const char *name)
{
	return tram_model_layer_weight(b, "h.%u.%s", layer, name);
}

static tram_value layernorm(struct tram_builder *b, tram_value x, tram_value gain, tram_value bias)
{
	return tram_layernorm(b->g, x, gain, bias, b->m->cfg.gpt2.layer_norm_epsilon);
}

static tram_value activation(struct tram_builder *b, tram_value x)
{
	switch (b->m->cfg.gpt2.activation) {
	case TRAM_GPT2_GELU_ERF:
		return tram_gelu_erf(b->g, x);
	case TRAM_GPT2_RELU:
		return tram_relu(b->g, x);
	default:
		return tram_gelu_tanh(b->g, x);
	}
}

static tram_value linear(struct tram_builder *b, uint32_t l, const char *weight, const char *bias,
			 tram_value x, tram_value residual)
{
	return tram_model_linear(b, x, of_layer(b, l, weight), false, of_layer(b, l, bias), residual);
}

static tram_value block(struct tram_builder *b, uint32_t l, tram_value x)
{
	tram_value h;

	h = layernorm(b, x, of_layer(b, l, "ln_1.weight"), of_layer(b, l, "ln_1.bias"));
	h = linear(b, l, "attn.c_attn.weight", "attn.c_attn.bias", h, TRAM_NONE);
	h = tram_model_attention(b, l, h);
	x = linear(b, l, "attn.c_proj.weight", "attn.c_proj.bias", h, x);
	h = layernorm(b, x, of_layer(b, l, "ln_2.weight"), of_layer(b, l, "ln_2.bias"));
	h = linear(b, l, "mlp.c_fc.weight", "mlp.c_fc.bias", h, TRAM_NONE);
	h = activation(b, h);
	return linear(b, l, "mlp.c_proj.weight", "mlp.c_proj.bias", h, x);
}

/* Positions of a cached graph are an input, so that one recording serves any place in the context. */
static tram_value trunk(struct tram_builder *b, tram_value tokens, tram_value order)
{
	tram_value x = tram_embedding(b->g, tram_model_weight(b, "wte.weight"), tokens, order);
	tram_value places = tram_model_weight(b, "wpe.weight");

	if (b->cached) {
		tram_value at = tram_input(b->g, "positions", TRAM_I32,
					   tram_value_shape(b->g, tokens));

		places = tram_embedding(b->g, places, at, at);
	}
	x = tram_model_dropout(b, tram_add(b->g, x, places));
	for (uint32_t l = 0; l < b->m->layers; l++)
		x = block(b, l, x);
	return layernorm(b, x, tram_model_weight(b, "ln_f.weight"),
			 tram_model_weight(b, "ln_f.bias"));
}

static const char *head(const struct tram_model *m)
{
	return m->cfg.gpt2.tie_word_embeddings ? "wte.weight" : "lm_head.weight";
}

const struct tram_model_family tram_gpt2_family = {
	.name = "gpt2", .hf = TRAM_HF_GPT2, .positions_field = "n_positions",
	.heads_field = "n_head so that n_embd / n_head", .preset = preset, .numbers = numbers,
	.set_dropout = set_dropout, .describe = describe, .trunk = trunk, .head = head,
};
