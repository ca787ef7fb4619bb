/* SPDX-License-Identifier: MIT */
/*
 * config.json of a Hugging Face model folder, GPT-2 family: the shape of the
 * model and the tensors that its safetensors file must hold.
 */
#ifndef TRAM_FORMAT_HFCONFIG_H
#define TRAM_FORMAT_HFCONFIG_H

#include "base/file.h"

#define TRAM_CONFIG_MAX_BYTES	(1u << 20)

enum tram_gpt2_activation {
	TRAM_GPT2_GELU_TANH,	/* "gelu_new", "gelu_pytorch_tanh" */
	TRAM_GPT2_GELU_ERF,	/* "gelu" */
	TRAM_GPT2_RELU,		/* "relu" */
};

struct tram_gpt2_config {
	uint32_t vocab_size;
	uint32_t n_positions;		/* longest sequence, tokens */
	uint32_t n_embd;
	uint32_t n_layer;
	uint32_t n_head;		/* divides n_embd */
	uint32_t n_inner;		/* 0 in the file's absence becomes 4 * n_embd */
	enum tram_gpt2_activation activation;
	float layer_norm_epsilon;
	bool tie_word_embeddings;
	float embd_pdrop, resid_pdrop, attn_pdrop;	/* [0, 1) */
	int32_t bos_token_id, eos_token_id;		/* -1: none */
};

/*
 * 0; -EINVAL naming file, field, value and limit; -ENOTSUP for a model type
 * or option that changes the arithmetic and is not implemented.
 */
int tram_gpt2_config_read(struct tram_ctx *ctx, const char *path, struct tram_gpt2_config *cfg);
int tram_gpt2_config_read_source(struct tram_ctx *ctx, const struct tram_source *src,
				 struct tram_gpt2_config *cfg);

struct tram_json;
/* The same of text that is parsed already. */
int tram_gpt2_config_fields(const struct tram_json *j, struct tram_gpt2_config *cfg);

/* The same bounds for a struct filled by hand; @what takes the file's place in messages. */
int tram_gpt2_config_check(struct tram_ctx *ctx, const char *what,
			   const struct tram_gpt2_config *cfg);

/* Durable; what transformers loads as GPT2LMHeadModel. */
int tram_gpt2_config_write(struct tram_ctx *ctx, const char *path,
			   const struct tram_gpt2_config *cfg);

const char *tram_gpt2_activation_name(enum tram_gpt2_activation a);	/* "gelu_new" */

/* Trained numbers, tied weights counted once. Cannot overflow for a checked config. */
uint64_t tram_gpt2_params(const struct tram_gpt2_config *cfg);

/*
 * The tensors of a checked config, in the order of Hugging Face's own files:
 * "wte.weight" [vocab, embd], "wpe.weight", "h.0.ln_1.weight" ..., at last
 * "lm_head.weight" where it is not tied. Projections ("Conv1D") are [in, out].
 */
struct tram_gpt2_tensor {
	char name[64];		/* GPT-2: without "transformer." */
	unsigned int ndim;
	uint64_t shape[2];
};

size_t tram_gpt2_tensor_count(const struct tram_gpt2_config *cfg);
void tram_gpt2_tensor_at(const struct tram_gpt2_config *cfg, size_t i,
			 struct tram_gpt2_tensor *t);

struct tram_safetensors;
struct tram_st_tensor;

/*
 * The tensor of @name in @st, with or without "transformer." in front of it;
 * NULL when there is none.
 */
const struct tram_st_tensor *tram_gpt2_find(const struct tram_safetensors *st, const char *name);

/* Name under which transformers saves the tensor: "transformer.h.0...", "lm_head.weight". */
void tram_gpt2_hf_name(const struct tram_gpt2_tensor *t, char name[80]);

#endif
