/* SPDX-License-Identifier: MIT */
/* Descriptions of open files; describe.h has the contract, inspect.c the way in. */
#include "format/describe.h"

#define CHUNK ((size_t)256 << 10)

void tram_describe_shape(struct tram_sbuf *sb, unsigned int ndim, const uint64_t *shape,
			 bool json)
{
	unsigned int i;

	tram_sbuf_addc(sb, '[');
	for (i = 0; i < ndim; i++)
		tram_sbuf_addf(sb, "%s%llu", !i ? "" : json ? "," : ", ",
			       (unsigned long long)shape[i]);
	tram_sbuf_addc(sb, ']');
}

void tram_describe_head(struct tram_sbuf *sb, const char *kind, const char *path)
{
	tram_sbuf_addf(sb, "{\"event\":\"inspect\",\"kind\":\"%s\",\"path\":", kind);
	tram_sbuf_json(sb, path, strlen(path));
}

/* Floating point by its layout: all exponent bits set means NaN or infinity. */
static uint64_t count_nonfinite(const void *buf, size_t bytes, unsigned int width, uint64_t mask)
{
	const char *p = buf;
	uint64_t n = 0, u = 0;
	size_t i;

	for (i = 0; i + width <= bytes; i += width) {
		memcpy(&u, p + i, width);
		n += (u & mask) == mask;
	}
	return n;
}

/* Bytes of either format: one of the two is set. */
struct range {
	const struct tram_safetensors *st;
	const struct tram_st_tensor *t;
	const struct tram_npy *npy;
};

static int read_range(struct tram_ctx *ctx, const struct range *g, uint64_t at, void *buf,
		      size_t n, unsigned int width)
{
	return g->npy ? tram_npy_read(ctx, g->npy, at / width, buf, n / width) :
			tram_safetensors_read(ctx, g->st, g->t, at, buf, n);
}

/* Reads it all. @mask: the exponent bits; 0 where every value is a number. */
static int scan(struct tram_ctx *ctx, const struct range *g, uint64_t bytes, unsigned int width,
		uint64_t mask, char *buf, uint64_t *nonfinite)
{
	uint64_t done;
	size_t k;
	int r;

	*nonfinite = 0;
	for (done = 0; done < bytes; done += k) {
		k = (size_t)TRAM_MIN(bytes - done, (uint64_t)CHUNK);
		r = read_range(ctx, g, done, buf, k, width);
		if (r)
			return r;
		if (mask)
			*nonfinite += count_nonfinite(buf, k, width, mask);
	}
	return 0;
}

#define F16_EXP		0x7c00u
#define BF16_EXP	0x7f80u
#define F32_EXP		0x7f800000u
#define F64_EXP		0x7ff0000000000000u

static uint64_t st_mask(enum tram_st_dtype t)
{
	return t == TRAM_ST_F32 ? F32_EXP : t == TRAM_ST_F16 ? F16_EXP :
	       t == TRAM_ST_BF16 ? BF16_EXP : t == TRAM_ST_F64 ? F64_EXP : 0;
}

static void st_tensor(struct tram_sbuf *sb, const struct tram_st_tensor *t, uint64_t nonfinite,
		      bool json, bool first)
{
	if (json) {
		tram_sbuf_adds(sb, first ? "{\"name\":" : ",{\"name\":");
		tram_sbuf_json(sb, t->name, strlen(t->name));
		tram_sbuf_addf(sb, ",\"dtype\":\"%s\",\"shape\":", tram_st_dtype_name(t->dtype));
		tram_describe_shape(sb, t->ndim, t->shape, true);
		tram_sbuf_addf(sb, ",\"bytes\":%llu,\"nonfinite\":%llu}",
			       (unsigned long long)t->bytes, (unsigned long long)nonfinite);
		return;
	}
	tram_sbuf_addf(sb, "  %-40s %-5s ", t->name, tram_st_dtype_name(t->dtype));
	tram_describe_shape(sb, t->ndim, t->shape, false);
	if (nonfinite)
		tram_sbuf_addf(sb, "  %llu values are not finite", (unsigned long long)nonfinite);
	tram_sbuf_addc(sb, '\n');
}

static void st_meta(struct tram_sbuf *sb, const struct tram_safetensors *st, bool json)
{
	size_t i, n = tram_safetensors_meta_count(st);
	const char *key, *value, *sep = "";

	for (i = 0; i < n; i++) {
		tram_safetensors_meta_at(st, i, &key, &value);
		if (!json) {
			if (strncmp(key, "xxh3", 4))
				tram_sbuf_addf(sb, "  %s: %.200s\n", key, value);
			continue;
		}
		tram_sbuf_adds(sb, sep);
		tram_sbuf_json(sb, key, strlen(key));
		tram_sbuf_addc(sb, ':');
		tram_sbuf_json(sb, value, strlen(value));
		sep = ",";
	}
}

int tram_safetensors_describe(struct tram_ctx *ctx, const struct tram_safetensors *st, bool json,
			      struct tram_sbuf *sb)
{
	const char *path = tram_safetensors_name(st);
	size_t i, n = tram_safetensors_count(st);
	uint64_t elements = 0, bytes = 0, bad;
	bool hashed;
	char *buf;
	int r;

	r = tram_safetensors_verify(ctx, st);
	if (r < 0)
		return r;
	hashed = r == 0;
	for (i = 0; i < n; i++) {
		elements += tram_safetensors_at(st, i)->n;
		bytes += tram_safetensors_at(st, i)->bytes;
	}
	buf = tram_alloc(ctx, CHUNK);
	if (!buf)
		return tram_fail_in(ctx, -ENOMEM, "%s", path);
	if (json) {
		tram_describe_head(sb, "safetensors", path);
		tram_sbuf_addf(sb, ",\"elements\":%llu,\"bytes\":%llu,\"hashed\":%s,\"tensors\":[",
			       (unsigned long long)elements, (unsigned long long)bytes,
			       hashed ? "true" : "false");
	} else {
		tram_sbuf_addf(sb, "%s: safetensors, %zu tensors, %llu elements, ", path, n,
			       (unsigned long long)elements);
		tram_sbuf_bytes(sb, bytes);
		tram_sbuf_adds(sb, hashed ? ", every hash matches\n" : ", no hashes\n");
	}
	r = 0;
	for (i = 0; i < n && !r; i++) {
		const struct tram_st_tensor *t = tram_safetensors_at(st, i);

		r = scan(ctx, &(struct range){ .st = st, .t = t }, t->bytes,
			 tram_st_dtype_bytes(t->dtype), st_mask(t->dtype), buf, &bad);
		st_tensor(sb, t, bad, json, i == 0);
	}
	tram_free(ctx, buf);
	tram_sbuf_adds(sb, json ? "],\"metadata\":{" : "");
	st_meta(sb, st, json);
	tram_sbuf_adds(sb, json ? "}}\n" : "");
	return r ? r : sb->err;
}

int tram_npy_describe(struct tram_ctx *ctx, const struct tram_npy *npy, bool json,
		      struct tram_sbuf *sb)
{
	uint64_t mask = npy->dtype == TRAM_NPY_F32 ? F32_EXP : npy->dtype == TRAM_NPY_F16 ?
			F16_EXP : npy->dtype == TRAM_NPY_F64 ? F64_EXP : 0;
	unsigned int w = tram_npy_dtype_bytes(npy->dtype);
	uint64_t bad;
	char *buf;
	int r;

	buf = tram_alloc(ctx, CHUNK);
	if (!buf)
		return tram_fail_in(ctx, -ENOMEM, "%s", npy->src->name);
	r = scan(ctx, &(struct range){ .npy = npy }, npy->n * w, w, mask, buf, &bad);
	tram_free(ctx, buf);
	if (r)
		return r;
	if (json) {
		tram_describe_head(sb, "npy", npy->src->name);
		tram_sbuf_addf(sb, ",\"dtype\":\"%s\",\"shape\":", tram_npy_dtype_name(npy->dtype));
		tram_describe_shape(sb, npy->ndim, npy->shape, true);
		tram_sbuf_addf(sb, ",\"elements\":%llu,\"nonfinite\":%llu}\n",
			       (unsigned long long)npy->n, (unsigned long long)bad);
	} else {
		tram_sbuf_addf(sb, "%s: npy %u.0, %s ", npy->src->name, npy->version,
			       tram_npy_dtype_name(npy->dtype));
		tram_describe_shape(sb, npy->ndim, npy->shape, false);
		tram_sbuf_addf(sb, ", %llu elements", (unsigned long long)npy->n);
		if (bad)
			tram_sbuf_addf(sb, ", %llu are not finite", (unsigned long long)bad);
		tram_sbuf_addc(sb, '\n');
	}
	return sb->err;
}

int tram_idx_describe(struct tram_ctx *ctx, struct tram_idx *idx, bool json, struct tram_sbuf *sb)
{
	uint64_t mask = idx->dtype == TRAM_IDX_F32 ? F32_EXP : idx->dtype == TRAM_IDX_F64 ? F64_EXP : 0;
	unsigned int w = tram_idx_dtype_bytes(idx->dtype), d;
	const char *name = idx->src->name;
	uint64_t shape[TRAM_IDX_MAX_DIMS], done, bad = 0;
	size_t k;
	char *buf;
	int r = 0;

	buf = tram_alloc(ctx, CHUNK);
	if (!buf)
		return tram_fail_in(ctx, -ENOMEM, "%s", name);
	for (done = 0; !r && done < idx->n; done += k) {
		k = (size_t)TRAM_MIN(idx->n - done, (uint64_t)CHUNK / w);
		r = tram_idx_read(ctx, idx, done, buf, k);
		if (!r && mask)
			bad += count_nonfinite(buf, k * w, w, mask);
	}
	tram_free(ctx, buf);
	r = r ? r : tram_idx_verify(ctx, idx);
	if (r)
		return r;
	for (d = 0; d < idx->ndim; d++)
		shape[d] = idx->shape[d];
	if (json) {
		tram_describe_head(sb, "idx", name);
		tram_sbuf_addf(sb, ",\"dtype\":\"%s\",\"compressed\":%s,\"shape\":",
			       tram_idx_dtype_name(idx->dtype), idx->gz ? "true" : "false");
		tram_describe_shape(sb, idx->ndim, shape, true);
		tram_sbuf_addf(sb, ",\"elements\":%llu,\"nonfinite\":%llu}\n",
			       (unsigned long long)idx->n, (unsigned long long)bad);
	} else {
		tram_sbuf_addf(sb, "%s: IDX%s, %s ", name, idx->gz ? " (compressed)" : "",
			       tram_idx_dtype_name(idx->dtype));
		tram_describe_shape(sb, idx->ndim, shape, false);
		tram_sbuf_addf(sb, ", %llu elements", (unsigned long long)idx->n);
		if (bad)
			tram_sbuf_addf(sb, ", %llu are not finite", (unsigned long long)bad);
		tram_sbuf_addc(sb, '\n');
	}
	return sb->err;
}

int tram_shard_describe(struct tram_ctx *ctx, const struct tram_shard *shard, bool json,
			struct tram_sbuf *sb, uint32_t *max)
{
	int r = tram_shard_max(ctx, shard, max);

	if (r)
		return r;
	if (json) {
		tram_describe_head(sb, "shard", shard->src->name);
		tram_sbuf_addf(sb, ",\"tokens\":%llu,\"width\":%u,\"max_token\":%u}\n",
			       (unsigned long long)shard->n, shard->width, *max);
	} else {
		tram_sbuf_addf(sb, "%s: token shard, %llu tokens of %u bytes, highest %u\n",
			       shard->src->name, (unsigned long long)shard->n, shard->width, *max);
	}
	return sb->err;
}

static int describe_gpt2(const struct tram_gpt2_config *c, const char *path, bool json,
			 struct tram_sbuf *sb)
{
	unsigned long long params = tram_gpt2_params(c);

	if (!json)
		return tram_sbuf_addf(sb,
			"%s: GPT-2, %llu parameters: vocabulary %u, positions %u, width %u, layers %u, heads %u, inner %u, %s, word embeddings %s\n",
			path, params, c->vocab_size, c->n_positions, c->n_embd, c->n_layer,
			c->n_head, c->n_inner, tram_gpt2_activation_name(c->activation),
			c->tie_word_embeddings ? "tied" : "not tied");
	tram_describe_head(sb, "config", path);
	tram_sbuf_addf(sb,
		",\"model_type\":\"gpt2\",\"params\":%llu,\"vocab_size\":%u,\"n_positions\":%u,\"n_embd\":%u,\"n_layer\":%u,\"n_head\":%u,\"n_inner\":%u,",
		params, c->vocab_size, c->n_positions, c->n_embd, c->n_layer, c->n_head,
		c->n_inner);
	tram_sbuf_addf(sb, "\"activation_function\":\"%s\",\"layer_norm_epsilon\":",
		       tram_gpt2_activation_name(c->activation));
	tram_sbuf_json_f32(sb, c->layer_norm_epsilon);
	return tram_sbuf_addf(sb, ",\"tie_word_embeddings\":%s}\n",
			      c->tie_word_embeddings ? "true" : "false");
}

static int describe_llama(const struct tram_hf_config *cfg, const char *path, bool json,
			  struct tram_sbuf *sb)
{
	const struct tram_llama_config *c = &cfg->llama;
	unsigned long long params = tram_hf_params(cfg);

	if (!json)
		return tram_sbuf_addf(sb,
			"%s: Llama, %llu parameters: vocabulary %u, positions %u, width %u, layers %u, heads %u of %u, key heads %u, inner %u, word embeddings %s\n",
			path, params, c->vocab_size, c->max_position_embeddings, c->hidden_size,
			c->num_hidden_layers, c->num_attention_heads, c->head_dim,
			c->num_key_value_heads, c->intermediate_size,
			c->tie_word_embeddings ? "tied" : "not tied");
	tram_describe_head(sb, "config", path);
	tram_sbuf_addf(sb,
		",\"model_type\":\"llama\",\"params\":%llu,\"vocab_size\":%u,\"max_position_embeddings\":%u,\"hidden_size\":%u,\"intermediate_size\":%u,\"num_hidden_layers\":%u,",
		params, c->vocab_size, c->max_position_embeddings, c->hidden_size,
		c->intermediate_size, c->num_hidden_layers);
	tram_sbuf_addf(sb, "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,\"head_dim\":%u,\"rms_norm_eps\":",
		       c->num_attention_heads, c->num_key_value_heads, c->head_dim);
	tram_sbuf_json_f32(sb, c->rms_norm_eps);
	tram_sbuf_adds(sb, ",\"rope_theta\":");
	tram_sbuf_json_f32(sb, c->rope_theta);
	return tram_sbuf_addf(sb, ",\"tie_word_embeddings\":%s}\n",
			      c->tie_word_embeddings ? "true" : "false");
}

int tram_hf_config_describe(const struct tram_hf_config *c, const char *path, bool json,
			    struct tram_sbuf *sb)
{
	return c->family == TRAM_HF_LLAMA ? describe_llama(c, path, json, sb) :
					    describe_gpt2(&c->gpt2, path, json, sb);
}

int tram_tokjson_describe(const struct tram_tokjson *tj, const char *path, bool json,
			  struct tram_sbuf *sb)
{
	if (!json)
		return tram_sbuf_addf(sb,
			"%s: tokenizer, byte-level BPE, %u tokens in the vocabulary, %u merges, %u added tokens, ids below %u%s\n",
			path, tj->n_vocab, tj->n_merges, tj->n_added, tj->n_tokens,
			tj->split_regex ? ", a splitting pattern of its own" : "");
	tram_describe_head(sb, "tokenizer", path);
	tram_sbuf_addf(sb, ",\"vocab\":%u,\"merges\":%u,\"added\":%u,\"ids\":%u,\"split_regex\":",
		       tj->n_vocab, tj->n_merges, tj->n_added, tj->n_tokens);
	if (tj->split_regex)
		tram_sbuf_json(sb, tj->split_regex, strlen(tj->split_regex));
	else
		tram_sbuf_adds(sb, "null");
	return tram_sbuf_adds(sb, "}\n");
}
