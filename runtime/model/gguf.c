/* SPDX-License-Identifier: MIT */
/*
 * A model out of a GGUF and into one: what the format room says about names,
 * layouts and keys (format/gguf_model.h), applied to the flat variable.
 */
#include "format/gguf_model.h"
#include "model/model.h"

static void shape_of(const struct tram_model_tensor *t, uint64_t shape[TRAM_MAX_RANK])
{
	for (uint32_t d = 0; d < t->shape.rank; d++)
		shape[d] = t->shape.dim[d];
}

int tram_model_gguf_config(struct tram_ctx *ctx, const char *path, struct tram_hf_config *cfg)
{
	struct tram_gguf *g;
	int r = tram_gguf_open(ctx, path, &g);

	if (r)
		return r;
	r = tram_gguf_config(ctx, g, cfg);
	r = r ? r : tram_gguf_check_tensors(ctx, g, cfg);
	tram_gguf_close(ctx, &g);
	return r;
}

int tram_model_gguf_load(const struct tram_model *m, const char *path, float *flat)
{
	uint64_t shape[TRAM_MAX_RANK];
	struct tram_gguf *g;
	const char *arch;
	int r = tram_gguf_open(m->ctx, path, &g);

	if (r)
		return r;
	memset(flat, 0, m->flat * sizeof(*flat));
	r = tram_gguf_arch(m->ctx, g, &arch);
	for (size_t i = 0; !r && i < m->tensors.n; i++) {
		const struct tram_model_tensor *t = &m->tensors.v[i];

		shape_of(t, shape);
		r = tram_gguf_load(m->ctx, g, arch, t->name, t->shape.rank, shape, m->head_dim,
				   flat + t->first);
	}
	tram_gguf_close(m->ctx, &g);
	return r;
}

static int declare(const struct tram_model *m, struct tram_gguf_writer *w, const char *path,
		   const struct tram_tokjson *tj)
{
	const bool llama = m->cfg.family == TRAM_HF_LLAMA;
	const char *arch = tram_gguf_arch_of(m->cfg.family);
	uint64_t shape[TRAM_MAX_RANK];
	int r = tram_gguf_put_config(m->ctx, w, path, &m->cfg);

	if (!r)
		r = tram_gguf_put_tokenizer(m->ctx, w, path, tj, m->vocab,
					    llama ? m->cfg.llama.bos_token_id : m->cfg.gpt2.bos_token_id,
					    llama ? m->cfg.llama.eos_token_id : m->cfg.gpt2.eos_token_id);
	for (size_t i = 0; !r && i < m->tensors.n; i++) {
		const struct tram_model_tensor *t = &m->tensors.v[i];

		shape_of(t, shape);
		r = tram_gguf_declare(m->ctx, w, arch, t->name, t->shape.rank, shape);
	}
	return r;
}

static int store(const struct tram_model *m, struct tram_gguf_writer *w, const float *flat)
{
	const char *arch = tram_gguf_arch_of(m->cfg.family);
	uint64_t shape[TRAM_MAX_RANK];
	int r = 0;

	for (size_t i = 0; !r && i < m->tensors.n; i++) {
		const struct tram_model_tensor *t = &m->tensors.v[i];

		shape_of(t, shape);
		r = tram_gguf_store(m->ctx, w, arch, t->name, t->shape.rank, shape, m->head_dim,
				    flat + t->first);
	}
	return r;
}

int tram_model_save_gguf(const struct tram_model *m, const float *flat, const char *tokenizer,
			 const char *path)
{
	struct tram_gguf_writer *w = NULL;
	struct tram_tokjson tj = { 0 };
	int r = tokenizer ? tram_tokjson_open(m->ctx, tokenizer, &tj) : 0;

	if (!r)
		r = tram_gguf_writer_create(m->ctx, path, &w);
	if (!r)
		r = declare(m, w, path, tokenizer ? &tj : NULL);
	if (!r)
		r = store(m, w, flat);
	if (r)
		tram_gguf_writer_abort(&w);
	else
		r = tram_gguf_writer_commit(&w);
	tram_tokjson_free(m->ctx, &tj);
	return r;
}
