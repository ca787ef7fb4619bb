/* SPDX-License-Identifier: MIT */
/*
 * config.json of whatever family "model_type" says: one struct for all, and
 * what every family can be asked. hfconfig.h has GPT-2's, hfllama.h Llama's.
 */
#ifndef TRAM_FORMAT_HFMODEL_H
#define TRAM_FORMAT_HFMODEL_H

#include "format/hfconfig.h"
#include "format/hfllama.h"

enum tram_hf_family { TRAM_HF_GPT2, TRAM_HF_LLAMA };

struct tram_hf_config {
	enum tram_hf_family family;
	union {
		struct tram_gpt2_config gpt2;
		struct tram_llama_config llama;
	};
};

/* 0; -EINVAL or -ENOTSUP as the family's own functions say, -ENOTSUP for another family. */
int tram_hf_config_read(struct tram_ctx *ctx, const char *path, struct tram_hf_config *cfg);
int tram_hf_config_read_source(struct tram_ctx *ctx, const struct tram_source *src,
			       struct tram_hf_config *cfg);
int tram_hf_config_check(struct tram_ctx *ctx, const char *what, const struct tram_hf_config *cfg);
int tram_hf_config_write(struct tram_ctx *ctx, const char *path, const struct tram_hf_config *cfg);

/* The tensors that a checked config demands. */
size_t tram_hf_tensor_count(const struct tram_hf_config *cfg);
void tram_hf_tensor_at(const struct tram_hf_config *cfg, size_t i, struct tram_gpt2_tensor *t);
/* The one of @name, under the names that files of the family use; NULL when there is none. */
const struct tram_st_tensor *tram_hf_find(enum tram_hf_family family,
					  const struct tram_safetensors *st, const char *name);

uint32_t tram_hf_vocab(const struct tram_hf_config *cfg);
/* Trained numbers, tied weights counted once. Cannot overflow for a checked config. */
uint64_t tram_hf_params(const struct tram_hf_config *cfg);

#endif
