/* SPDX-License-Identifier: MIT */
/*
 * config.json of a Hugging Face model folder, Llama family (model_type
 * "llama"), and the tensors that its safetensors file must hold.
 */
#ifndef TRAM_FORMAT_HFLLAMA_H
#define TRAM_FORMAT_HFLLAMA_H

#include "format/hfconfig.h"

struct tram_llama_config {
	uint32_t vocab_size;
	uint32_t max_position_embeddings;	/* longest sequence, tokens */
	uint32_t hidden_size;
	uint32_t intermediate_size;
	uint32_t num_hidden_layers;
	uint32_t num_attention_heads;
	uint32_t num_key_value_heads;	/* divides num_attention_heads; the file's absence: as many */
	uint32_t head_dim;		/* even; the file's absence: hidden_size / num_attention_heads */
	float rms_norm_eps, rope_theta;
	bool tie_word_embeddings;
	float resid_pdrop;		/* [0, 1); not of transformers, which ignores it */
	int32_t bos_token_id, eos_token_id;	/* -1: none */
};

/*
 * 0; -EINVAL naming file, field, value and limit; -ENOTSUP for another model type or an option that
 * changes the arithmetic and is not implemented (scaled positions, biases, another activation, quantized weights).
 */
int tram_llama_config_fields(const struct tram_json *j, struct tram_llama_config *cfg);

/* The same bounds for a struct filled by hand; @what takes the file's place in messages. */
int tram_llama_config_check(struct tram_ctx *ctx, const char *what,
			    const struct tram_llama_config *cfg);

/* Durable; a LlamaForCausalLM in transformers' words. */
int tram_llama_config_write(struct tram_ctx *ctx, const char *path,
			    const struct tram_llama_config *cfg);

/*
 * The tensors of a checked config under transformers' names and in its order: "model.embed_tokens.weight"
 * [vocab, hidden], "model.layers.0.input_layernorm.weight" ..., at last "lm_head.weight" where it is
 * not tied. Projections are [out, in].
 */
size_t tram_llama_tensor_count(const struct tram_llama_config *cfg);
void tram_llama_tensor_at(const struct tram_llama_config *cfg, size_t i,
			  struct tram_gpt2_tensor *t);

/* The tensor of @name in @st, with or without its "model."; NULL when there is none. */
const struct tram_st_tensor *tram_llama_find(const struct tram_safetensors *st, const char *name);

#endif
