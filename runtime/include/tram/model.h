/* SPDX-License-Identifier: MIT */
/*
 * Models: a configuration, the layout of their parameters in one flat
 * variable, and builders of their graphs. Families: GPT-2's and Llama's, with
 * Hugging Face's names in and out.
 */
#ifndef TRAM_MODEL_H
#define TRAM_MODEL_H

#include <stdbool.h>

#include <tram/exec.h>
#include <tram/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tram_model;

struct tram_model_info {
	const char *family;		/* "gpt2", "llama" */
	uint32_t vocab, max_seq, width, layers, heads, kv_heads;
	uint64_t parameters;		/* elements, tied ones once */
	uint64_t flat;			/* elements of the flat variable, padding included */
	uint64_t decay_count;		/* weight decay applies to the first of them */
	uint32_t tensors;
	float dropout;
	uint32_t head_dim;
};

/*
 * @spec: a preset ("nano", "llama-nano", ...; tram_model_presets lists them), a folder with config.json, or a GGUF file
 * (FILE.gguf; architecture gpt2 or llama). @vocab and @seq size a preset (0: the preset's own); a folder's or file's must hold
 * at least that.
 */
int tram_model_open(struct tram_ctx *ctx, const char *spec, uint32_t vocab, uint32_t seq,
		    struct tram_model **model);
void tram_model_close(struct tram_model **model);

struct tram_preset {
	const char *name;
	uint32_t layers, heads, width, seq, vocab;
	const char *family;
	uint32_t kv_heads, inner;
};
const struct tram_preset *tram_model_presets(size_t *n);

void tram_model_info(const struct tram_model *model, struct tram_model_info *info);
/* Rate of the dropouts of the training graph, [0, 1). */
int tram_model_set_dropout(struct tram_model *model, float p);

struct tram_tensor_info {
	const char *name;		/* as in Hugging Face's files; GPT-2's without "transformer." */
	struct tram_shape shape;
	uint64_t first;			/* place in the flat variable, elements */
	bool decays;
};
/* The @i-th tensor in layout order; false past the end. */
bool tram_model_tensor(const struct tram_model *model, uint32_t i, struct tram_tensor_info *t);

/* --- weights: flat host arrays of info.flat elements -------------------------------- */

/* GPT-2's initialisation, for all: normal(0, 0.02), residual projections over sqrt(2 layers); from @seed alone. */
void tram_model_init(const struct tram_model *model, uint64_t seed, float *flat);
/*
 * From safetensors (F32, F16, BF16, F64), names with or without "transformer." or "model.", or from GGUF (FILE.gguf;
 * F32, F16, BF16, Q8_0); all must be there and fit. -ENOTSUP for other types of tensors.
 */
int tram_model_load(const struct tram_model *model, const char *path, float *flat);
/* F32 safetensors, durable. */
int tram_model_save(const struct tram_model *model, const float *flat, const char *path);
/*
 * F32 GGUF under llama.cpp's names, durable. @tokenizer: "bytes", a tokenizer.json or a GGUF that has one; NULL: none.
 * -ENOTSUP for what a GGUF of the family cannot say (another activation than gelu_new, an unknown way to split text).
 */
int tram_model_save_gguf(const struct tram_model *model, const float *flat, const char *tokenizer, const char *path);
/* config.json beside it. */
int tram_model_save_config(const struct tram_model *model, const char *path);
/* SHA-256 over the f32 bytes of the tensors sorted by name, as 64 hex digits and NUL; -ENOMEM. */
int tram_model_sha256(const struct tram_model *model, const float *flat, char hex[65]);

/* --- graphs ------------------------------------------------------------------------------ */

struct tram_optimizer_params {
	float beta1, beta2, eps, weight_decay, clip;
};

/*
 * Inputs "tokens", "targets", "order" i32 [B, T]; variables "params", "adam_m", "adam_v" (flat);
 * outputs "loss" f32 [1] (sum over targets), "stats" f32 [4] (tram_grad_stats). S shards.
 */
int tram_model_train_graph(const struct tram_model *model, uint32_t batch, uint32_t seq,
			   uint32_t shards, const struct tram_optimizer_params *opt,
			   struct tram_graph **graph);

/*
 * Inputs "tokens", "targets" i32 [B, T]; output "losses" f32 [B, T] (0 where the target is -1) and, when @logits, "logits" f32 [B, T, V].
 */
int tram_model_eval_graph(const struct tram_model *model, uint32_t batch, uint32_t seq,
			  bool logits, struct tram_graph **graph);

/*
 * One chunk of T tokens at the step block's pos: inputs "tokens" and, for GPT-2, "positions" i32 [1, T]; variables "params",
 * "k<i>", "v<i>" [1, max_seq, G, D]; output "logits" f32 [T, V] (last_only: [1, V] of the last token).
 */
int tram_model_decode_graph(const struct tram_model *model, uint32_t tokens, bool last_only,
			    struct tram_graph **graph);

#ifdef __cplusplus
}
#endif
#endif
