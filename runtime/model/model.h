/* SPDX-License-Identifier: MIT */
/*
 * A model as train/ and infer/ see it: its configuration and the layout of
 * its tensors in the flat variable "params". model.c holds layout and weights,
 * gguf.c has them in and out of GGUF, graph.c the graphs that all families share; gpt2.c and llama.c are
 * the families, each one row of functions (struct tram_model_family).
 *
 * The layout puts tensors of two and more dimensions (which decay) first, then
 * the others, each at a multiple of TRAM_MODEL_ALIGN elements unless it is joined to the one before; the gaps are
 * zero and stay zero, because their gradient is.
 */
#ifndef TRAM_MODEL_MODEL_H
#define TRAM_MODEL_MODEL_H

#include <tram/model.h>

#include "base/vec.h"
#include "format/hfmodel.h"
#include "graph/graph.h"

#define TRAM_MODEL_ALIGN 64

/* How a tensor begins. */
enum tram_init_kind { TRAM_INIT_ZERO, TRAM_INIT_ONE, TRAM_INIT_NORMAL };

struct tram_model_tensor {
	char *name;
	struct tram_shape shape;
	uint64_t first;
	bool decays;
	bool positions;	/* a row a position: graphs see only those in use, the rest has no gradient */
	bool joined;	/* its rows follow those of the tensor before, and graphs see both as one */
	enum tram_init_kind init;
	float std;
};

struct tram_model {
	struct tram_ctx *ctx;
	const struct tram_model_family *family;
	struct tram_hf_config cfg;
	uint32_t vocab, max_seq, width, layers, heads, kv_heads, head_dim;
	float dropout;
	TRAM_VEC(struct tram_model_tensor) tensors;	/* in layout order */
	uint64_t flat, decay_count, parameters;
};

/* One graph being built: the model's tensors as views of "params". */
struct tram_builder {
	const struct tram_model *m;
	struct tram_graph *g;
	tram_value params;
	tram_value *tensor;	/* by index of m->tensors; TRAM_NONE for joined ones */
	bool cached;		/* keys and values of earlier tokens are in variables "k<i>", "v<i>" */
	float dropout;
	uint32_t salt;		/* of the next dropout */
};

struct tram_model_family {
	const char *name;		/* as model_type has it */
	enum tram_hf_family hf;
	/* The fields that messages blame. */
	const char *positions_field, *heads_field;
	/* Config of a preset with this vocabulary and this longest sequence. */
	void (*preset)(const struct tram_preset *p, uint32_t vocab, uint32_t seq,
		       struct tram_hf_config *cfg);
	/* From the config to the numbers in struct tram_model, dropout included; and dropout back. */
	void (*numbers)(struct tram_model *m);
	void (*set_dropout)(struct tram_hf_config *cfg, float p);
	/* Fills what a tensor's name decides: init, std, positions, joined. */
	void (*describe)(const struct tram_model *m, struct tram_model_tensor *t);
	/*
	 * Tokens i32 [B, T] -> [B, T, width], past the last norm. @order: as tram_embedding has it. A cached graph
	 * may ask for an input "positions" of the tokens' shape.
	 */
	tram_value (*trunk)(struct tram_builder *b, tram_value tokens, tram_value order);
	/* Name of the tensor [vocab, width] that makes logits. */
	const char *(*head)(const struct tram_model *m);
};

extern const struct tram_model_family tram_gpt2_family, tram_llama_family;

/* The tensor called @name, or NULL. */
const struct tram_model_tensor *tram_model_find(const struct tram_model *m, const char *name);

/* Its index, or -1. */
int tram_model_index(const struct tram_model *m, const char *name);

/* Does @s end with @end? */
bool tram_name_ends(const char *s, const char *end);

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

/* --- pieces of trunks (graph.c) ----------------------------------------------------- */

/* The tensor @name, which the model has; of layer @layer, @format being "h.%u.%s" or its like. */
tram_value tram_model_weight(const struct tram_builder *b, const char *name);
tram_value tram_model_layer_weight(const struct tram_builder *b, const char *format, uint32_t layer,
				   const char *name);

/* The dropout of embeddings and residual branches, where the graph has one. */
tram_value tram_model_dropout(struct tram_builder *b, tram_value x);

/* x w, plus bias and plus residual (past the dropout) where they are not TRAM_NONE; @out_in: w is [out, in]. */
tram_value tram_model_linear(struct tram_builder *b, tram_value x, tram_value w, bool out_in,
			     tram_value bias, tram_value residual);

/* Attention of layer @layer over packed projections, through the cache where the graph has one. */
tram_value tram_model_attention(struct tram_builder *b, uint32_t layer, tram_value qkv);

/* --- weights -------------------------------------------------------------------------- */

/*
 * Flat arrays of one layout (weights, moments) under "PREFIX" + name in one
 * safetensors file. An empty prefix also finds the other names of Hugging Face's files.
 */
int tram_model_save_prefixed(const struct tram_model *m, const char *path, size_t n,
			     const char *const *prefix, const float *const *flat);
int tram_model_load_prefixed(const struct tram_model *m, const char *path, const char *prefix,
			     float *flat);

/* gguf.c: as a folder's config.json; as tram_model_load(). */
int tram_model_gguf_config(struct tram_ctx *ctx, const char *path, struct tram_hf_config *cfg);
int tram_model_gguf_load(const struct tram_model *m, const char *path, float *flat);

#endif
