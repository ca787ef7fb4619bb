/* SPDX-License-Identifier: MIT */
/*
 * The Llama family (Touvron et al. 2023) as Hugging Face's LlamaForCausalLM
 * computes it: presets, how its tensors begin, and its trunk. A block is
 *
 *	x += o(attention(rope(qkv(norm(x)))))
 *	x += down(silu(gate(norm(x))) * up(norm(x)))
 *
 * with RMSNorm, weights stored [out, in], no biases, and key heads that serve several query
 * heads each. q, k and v are three tensors in files and one product here: they are joined. Dropout
 * is GPT-2's, at the embeddings and the residual branches; Llama itself has none.
 */
#include <math.h>

#include <tram/ops.h>

#include "model/model.h"

static void preset(const struct tram_preset *p, uint32_t vocab, uint32_t seq,
		   struct tram_hf_config *cfg)
{
	cfg->llama = (struct tram_llama_config){
		.vocab_size = vocab, .max_position_embeddings = seq, .hidden_size = p->width,
		.intermediate_size = p->inner, .num_hidden_layers = p->layers,
		.num_attention_heads = p->heads, .num_key_value_heads = p->kv_heads,
		.head_dim = p->width / p->heads, .rms_norm_eps = 1e-5f, .rope_theta = 10000,
		.tie_word_embeddings = true, .bos_token_id = -1, .eos_token_id = -1,
	};
}

static void numbers(struct tram_model *m)
{
	const struct tram_llama_config *c = &m->cfg.llama;

	m->vocab = c->vocab_size;
	m->max_seq = c->max_position_embeddings;
	m->width = c->hidden_size;
	m->layers = c->num_hidden_layers;
	m->heads = c->num_attention_heads;
	m->kv_heads = c->num_key_value_heads;
	m->head_dim = c->head_dim;
	m->dropout = c->resid_pdrop;
}

static void set_dropout(struct tram_hf_config *cfg, float p)
{
	cfg->llama.resid_pdrop = p;
}

/* As GPT-2's: residual projections begin smaller, by the number of them on the path. */
static void describe(const struct tram_model *m, struct tram_model_tensor *t)
{
	bool residual = tram_name_ends(t->name, ".o_proj.weight") ||
			tram_name_ends(t->name, ".down_proj.weight");

	t->joined = tram_name_ends(t->name, ".k_proj.weight") ||
		    tram_name_ends(t->name, ".v_proj.weight");
	t->init = t->shape.rank == 1 ? TRAM_INIT_ONE : TRAM_INIT_NORMAL;
	t->std = residual ? (float)(0.02 / sqrt(2.0 * m->layers)) : 0.02f;
}

static tram_value of_layer(const struct tram_builder *b, uint32_t layer, const char *name)
{
	return tram_model_layer_weight(b, "model.layers.%u.%s", layer, name);
}

static tram_value norm(struct tram_builder *b, tram_value x, tram_value gain)
{
	return tram_rmsnorm(b->g, x, gain, b->m->cfg.llama.rms_norm_eps);
}

static tram_value linear(struct tram_builder *b, uint32_t l, const char *weight, tram_value x,
			 tram_value residual)
{
	return tram_model_linear(b, x, of_layer(b, l, weight), true, TRAM_NONE, residual);
}

static tram_value block(struct tram_builder *b, uint32_t l, tram_value x)
{
	uint32_t turned = b->m->heads + b->m->kv_heads;
	tram_value h, gate;

	h = norm(b, x, of_layer(b, l, "input_layernorm.weight"));
	h = linear(b, l, "self_attn.q_proj.weight", h, TRAM_NONE);	/* and k, and v */
	h = tram_rope(b->g, h, turned + b->m->kv_heads, turned, b->m->cfg.llama.rope_theta,
		      b->cached);
	h = tram_model_attention(b, l, h);
	x = linear(b, l, "self_attn.o_proj.weight", h, x);
	h = norm(b, x, of_layer(b, l, "post_attention_layernorm.weight"));
	gate = tram_silu(b->g, linear(b, l, "mlp.gate_proj.weight", h, TRAM_NONE));
	h = tram_mul(b->g, gate, linear(b, l, "mlp.up_proj.weight", h, TRAM_NONE));
	return linear(b, l, "mlp.down_proj.weight", h, x);
}

static tram_value trunk(struct tram_builder *b, tram_value tokens, tram_value order)
{
	tram_value table = tram_model_weight(b, "model.embed_tokens.weight");
	tram_value x = tram_model_dropout(b, tram_embedding(b->g, table, tokens, order));

	for (uint32_t l = 0; l < b->m->layers; l++)
		x = block(b, l, x);
	return norm(b, x, tram_model_weight(b, "model.norm.weight"));
}

static const char *head(const struct tram_model *m)
{
	return m->cfg.llama.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
}

const struct tram_model_family tram_llama_family = {
	.name = "llama", .hf = TRAM_HF_LLAMA, .positions_field = "max_position_embeddings",
	.heads_field = "head_dim, which else is hidden_size / num_attention_heads, so that it",
	.preset = preset, .numbers = numbers, .set_dropout = set_dropout, .describe = describe,
	.trunk = trunk, .head = head,
};
