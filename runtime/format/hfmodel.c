/* SPDX-License-Identifier: MIT */
/* The families of config.json behind one face, and the reading of the file itself. */
#include "format/hfmodel.h"

#include "format/hfread.h"

int tram_hf_read_source(struct tram_ctx *ctx, const struct tram_source *src,
			int (*fields)(const struct tram_json *j, void *cfg), void *cfg, size_t size)
{
	struct tram_json j;
	size_t n;
	char *text;
	int r;

	memset(cfg, 0, size);
	r = tram_source_load(ctx, src, TRAM_CONFIG_MAX_BYTES, &text, &n);
	if (r)
		return r;
	r = tram_json_parse(ctx, src->name, text, n, &j);
	tram_free(ctx, text);
	if (!r)
		r = fields(&j, cfg);
	if (r)
		memset(cfg, 0, size);
	tram_json_free(&j);
	return r;
}

int tram_hf_read_file(struct tram_ctx *ctx, const char *path,
		      int (*fields)(const struct tram_json *j, void *cfg), void *cfg, size_t size)
{
	struct tram_file *f;
	int r;

	memset(cfg, 0, size);
	r = tram_file_open(ctx, path, &f);
	if (r)
		return r;
	r = tram_hf_read_source(ctx, tram_file_source(f), fields, cfg, size);
	tram_file_close(ctx, &f);
	return r;
}

static int read_fields(const struct tram_json *j, void *arg)
{
	struct tram_hf_config *c = arg;
	const char *type;
	int r = tram_json_str(j, "", j->root, "model_type", true, &type);

	if (r)
		return r;
	if (!strcmp(type, "gpt2")) {
		c->family = TRAM_HF_GPT2;
		return tram_gpt2_config_fields(j, &c->gpt2);
	}
	if (!strcmp(type, "llama")) {
		c->family = TRAM_HF_LLAMA;
		return tram_llama_config_fields(j, &c->llama);
	}
	return tram_fail(j->ctx, -ENOTSUP, "%s: model_type: \"%.32s\", supported are gpt2 and llama",
			 j->file, type);
}

int tram_hf_config_read_source(struct tram_ctx *ctx, const struct tram_source *src,
			       struct tram_hf_config *cfg)
{
	return tram_hf_read_source(ctx, src, read_fields, cfg, sizeof(*cfg));
}

int tram_hf_config_read(struct tram_ctx *ctx, const char *path, struct tram_hf_config *cfg)
{
	return tram_hf_read_file(ctx, path, read_fields, cfg, sizeof(*cfg));
}

int tram_hf_config_check(struct tram_ctx *ctx, const char *what, const struct tram_hf_config *c)
{
	return c->family == TRAM_HF_LLAMA ? tram_llama_config_check(ctx, what, &c->llama) :
					    tram_gpt2_config_check(ctx, what, &c->gpt2);
}

int tram_hf_config_write(struct tram_ctx *ctx, const char *path, const struct tram_hf_config *c)
{
	return c->family == TRAM_HF_LLAMA ? tram_llama_config_write(ctx, path, &c->llama) :
					    tram_gpt2_config_write(ctx, path, &c->gpt2);
}

size_t tram_hf_tensor_count(const struct tram_hf_config *c)
{
	return c->family == TRAM_HF_LLAMA ? tram_llama_tensor_count(&c->llama) :
					    tram_gpt2_tensor_count(&c->gpt2);
}

void tram_hf_tensor_at(const struct tram_hf_config *c, size_t i, struct tram_gpt2_tensor *t)
{
	if (c->family == TRAM_HF_LLAMA)
		tram_llama_tensor_at(&c->llama, i, t);
	else
		tram_gpt2_tensor_at(&c->gpt2, i, t);
}

const struct tram_st_tensor *tram_hf_find(enum tram_hf_family family,
					  const struct tram_safetensors *st, const char *name)
{
	return family == TRAM_HF_LLAMA ? tram_llama_find(st, name) : tram_gpt2_find(st, name);
}

uint32_t tram_hf_vocab(const struct tram_hf_config *c)
{
	return c->family == TRAM_HF_LLAMA ? c->llama.vocab_size : c->gpt2.vocab_size;
}

uint64_t tram_hf_params(const struct tram_hf_config *c)
{
	struct tram_gpt2_tensor t;
	uint64_t n = 0;

	for (size_t i = 0; i < tram_hf_tensor_count(c); i++) {
		tram_hf_tensor_at(c, i, &t);
		n += t.shape[0] * (t.ndim == 2 ? t.shape[1] : 1);
	}
	return n;
}
