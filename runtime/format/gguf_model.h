/* SPDX-License-Identifier: MIT */
/*
 * What keys and tensors of a GGUF mean to this project: the configuration of a
 * model, its tensors under Hugging Face's names, its tokenizer. One row of a
 * table a family (gguf_model.c); llama.cpp decides the names.
 */
#ifndef TRAM_FORMAT_GGUF_MODEL_H
#define TRAM_FORMAT_GGUF_MODEL_H

#include "format/gguf.h"
#include "format/hfmodel.h"
#include "format/tokjson.h"

/* How a tensor's elements lie in the GGUF, seen from Hugging Face's. */
enum tram_gguf_layout {
	TRAM_GGUF_AS_IS,
	TRAM_GGUF_TRANSPOSED,	/* [out, in] for [in, out] */
	TRAM_GGUF_PAIRED,	/* rows of a head: pairs that are turned together are neighbours */
};

struct tram_gguf_place {
	char name[TRAM_GGUF_MAX_NAME + 1];
	enum tram_gguf_layout layout;
};

/*
 * Where the tensor that Hugging Face calls @name ("h.0.ln_1.weight") stands in
 * a GGUF of @arch ("gpt2"); false when the family has no such tensor.
 */
bool tram_gguf_place(const char *arch, const char *name, struct tram_gguf_place *p);

/* @t's shape is what a tensor [shape] has to be in the layout of @p. */
bool tram_gguf_fits(const struct tram_gguf_tensor *t, const struct tram_gguf_place *p,
		    unsigned int ndim, const uint64_t *shape);

/* Says in what the tensor @name of @g is not as it has to be; -EINVAL. */
int tram_gguf_misfit(struct tram_ctx *ctx, const struct tram_gguf *g, const char *arch,
		     const char *name, unsigned int ndim, const uint64_t *shape);

/*
 * The whole of a tensor [shape] as f32, in Hugging Face's layout; @head: rows a
 * head. -EINVAL when it is missing or has another shape, else as tram_gguf_read_f32().
 */
int tram_gguf_load(struct tram_ctx *ctx, const struct tram_gguf *g, const char *arch,
		   const char *name, unsigned int ndim, const uint64_t *shape, uint32_t head,
		   float *out);

/* Declares a tensor [shape] in F32, and writes one whose turn it is. */
int tram_gguf_declare(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *arch,
		      const char *name, unsigned int ndim, const uint64_t *shape);
int tram_gguf_store(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *arch,
		    const char *name, unsigned int ndim, const uint64_t *shape, uint32_t head,
		    const float *v);

/* Whether @arch is one of the families. */
bool tram_gguf_known(const char *arch);
/* "general.architecture"; -ENOTSUP unless it is one of the families. */
int tram_gguf_arch(struct tram_ctx *ctx, const struct tram_gguf *g, const char **arch);

/*
 * As tram_hf_config_read(), by the architecture. The vocabulary is as large as
 * the embedding; a file without "output.weight" has a tied one.
 */
int tram_gguf_config(struct tram_ctx *ctx, const struct tram_gguf *g, struct tram_hf_config *cfg);
/* -ENOTSUP for an option that llama.cpp's architecture has not. */
int tram_gguf_put_config(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *path,
			 const struct tram_hf_config *cfg);

/* Names and shapes of all tensors that @cfg demands; -ENOTSUP for one that it does not know. */
int tram_gguf_check_tensors(struct tram_ctx *ctx, const struct tram_gguf *g,
			    const struct tram_hf_config *cfg);

/* The architecture of a family: "gpt2", "llama". */
const char *tram_gguf_arch_of(enum tram_hf_family family);

/* gguf_tok.c: byte-level BPE ("gpt2"). */

/* 0; 1 when the file has no tokenizer; -ENOTSUP for another kind of one. */
int tram_gguf_tokenizer(struct tram_ctx *ctx, const struct tram_gguf *g, struct tram_tokjson *tj);
/* @tj NULL: none. @vocab: rows of the embedding, at least the tokenizer's; the rest is unused. */
int tram_gguf_put_tokenizer(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *path,
			    const struct tram_tokjson *tj, uint32_t vocab, int32_t bos,
			    int32_t eos);

/*
 * A tokenizer from wherever it may come: "bytes", the path of a GGUF, or of a
 * tokenizer.json. -ENOENT for a GGUF without one.
 */
int tram_tokjson_open(struct tram_ctx *ctx, const char *spec, struct tram_tokjson *tj);

#endif
