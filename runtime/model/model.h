/* SPDX-License-Identifier: MIT */
/*
 * A model as train/ and infer/ see it: its configuration and the layout of
 * its tensors in the flat variable "params". model.c holds layout and weights,
 * gguf.c has them in and out of GGUF, gpt2.c lists the tensors of that family
 * and builds its graphs.
 *
 * The layout puts tensors of two and more dimensions (which decay) first, then
 * the others, each at a multiple of TRAM_MODEL_ALIGN elements; the gaps are
 * zero and stay zero, because their gradient is.
 */
#ifndef TRAM_MODEL_MODEL_H
#define TRAM_MODEL_MODEL_H

#include <tram/model.h>

#include "base/vec.h"
#include "format/hfconfig.h"
#include "graph/graph.h"

#define TRAM_MODEL_ALIGN 64

/* How a tensor begins. */
enum tram_init_kind { TRAM_INIT_ZERO, TRAM_INIT_ONE, TRAM_INIT_NORMAL };

struct tram_model_tensor {
	char *name;
	struct tram_shape shape;
	uint64_t first;
	bool decays;
	enum tram_init_kind init;
	float std;
};

struct tram_model {
	struct tram_ctx *ctx;
	struct tram_gpt2_config cfg;
	float dropout;
	TRAM_VEC(struct tram_model_tensor) tensors;	/* in layout order */
	uint64_t flat, decay_count, parameters;
};

/* The tensor called @name, or NULL. */
const struct tram_model_tensor *tram_model_find(const struct tram_model *m, const char *name);

/* Its index, or -1. */
int tram_model_index(const struct tram_model *m, const char *name);

/* gpt2.c: the family's tensors in Hugging Face's order, without places. */
int tram_gpt2_tensors(struct tram_model *m);

/* Whether the model can be trained on B sequences of T tokens in S shards. */
int tram_model_check_batch(const struct tram_model *m, uint32_t batch, uint32_t seq,
			   uint32_t shards);

/*
 * A step cut in two, for several devices: forward and backward over some of the shards (inputs as
 * tram_model_train_graph; outputs "loss" [1] and "grads" [flat], summed over these shards), and the
 * update of elements [first, first + count) of the parameters: variables "master", "adam_m", "adam_v"
 * [count]. The device that @judges has the input "grads" [flat] and the output "stats"; the others have
 * the inputs "grads" [count] and "stats" [4], read when the gate opens.
 */
int tram_model_partial_graph(const struct tram_model *m, uint32_t batch, uint32_t seq,
			     uint32_t shards, struct tram_graph **graph);
int tram_model_update_graph(const struct tram_model *m, const struct tram_optimizer_params *opt,
			    uint64_t first, uint64_t count, bool judges,
			    struct tram_graph **graph);

/*
 * Flat arrays of one layout (weights, moments) under "PREFIX" + name in one
 * safetensors file. An empty prefix also finds Hugging Face's "transformer.".
 */
int tram_model_save_prefixed(const struct tram_model *m, const char *path, size_t n,
			     const char *const *prefix, const float *const *flat);
int tram_model_load_prefixed(const struct tram_model *m, const char *path, const char *prefix,
			     float *flat);

/* gguf.c: as a folder's config.json; as tram_model_load(). */
int tram_model_gguf_config(struct tram_ctx *ctx, const char *path, struct tram_gpt2_config *cfg);
int tram_model_gguf_load(const struct tram_model *m, const char *path, float *flat);

#endif
