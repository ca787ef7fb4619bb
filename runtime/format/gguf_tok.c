/* SPDX-License-Identifier: MIT */
/*
 * Tokenizers in GGUF: tokens, their types, merges, and the name of a way to
 * split text, where tokenizer.json has a pattern. Reading renders the text of a
 * tokenizer.json and lets its reader judge it, so that there is one judge.
 */
#include "format/gguf_model.h"

#include <stdio.h>

#include "base/sbuf.h"

/* llama.cpp's enum llama_token_type */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

/* What llama.cpp calls ways to split; patterns as tokenizer.json has them. */
struct pre { const char *name, *regex; bool ignore_merges; };
static const struct pre pres[4];

#define PRE_NAMES "gpt-2, llama-bpe and qwen2"

/* --- reading --------------------------------------------------------------------------- */

struct vocab {
	const struct tram_gguf *g;
	struct tram_gguf_array tokens, types, merges;
	bool typed;
	const struct pre *pre;
};

static int read_pre(struct tram_ctx *ctx, struct vocab *v)
{
	const char *name = "none";
	int r = tram_gguf_get_str(ctx, v->g, "tokenizer.ggml.pre", false, &name);

	if (r < 0)
		return r;
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(pres); i++)
		if (!strcmp(pres[i].name, name)) {
			v->pre = &pres[i];
			return 0;
		}
	return tram_fail(ctx, -ENOTSUP, "%s: key tokenizer.ggml.pre: \"%.32s\", supported are " PRE_NAMES "; pass --tokenizer with a tokenizer.json",
			 tram_gguf_name(v->g), name);
}

static int read_arrays(struct tram_ctx *ctx, struct vocab *v)
{
	const struct tram_gguf_tensor *embd = tram_gguf_find(v->g, "token_embd.weight");
	int r;

	r = tram_gguf_get_arr(ctx, v->g, "tokenizer.ggml.tokens", true, TRAM_GGUF_STR, &v->tokens);
	r = r ? r : tram_gguf_get_arr(ctx, v->g, "tokenizer.ggml.merges", true, TRAM_GGUF_STR,
				      &v->merges);
	if (r)
		return r;
	r = tram_gguf_get_arr(ctx, v->g, "tokenizer.ggml.token_type", false, TRAM_GGUF_I32,
			      &v->types);
	if (r < 0)
		return r;
	v->typed = r == 0;
	if (v->tokens.n > TRAM_TOKJSON_MAX_ID)
		return tram_fail(ctx, -EINVAL, "%s: key tokenizer.ggml.tokens: %llu tokens, limit %u",
				 tram_gguf_name(v->g), (unsigned long long)v->tokens.n,
				 TRAM_TOKJSON_MAX_ID);
	if (v->typed && v->types.n != v->tokens.n)
		return tram_fail(ctx, -EINVAL, "%s: key tokenizer.ggml.token_type: %llu elements, tokenizer.ggml.tokens has %llu",
				 tram_gguf_name(v->g), (unsigned long long)v->types.n,
				 (unsigned long long)v->tokens.n);
	if (embd && embd->ndim == 2 && v->tokens.n > embd->shape[0])
		return tram_fail(ctx, -EINVAL, "%s: key tokenizer.ggml.tokens: %llu tokens, tensor token_embd.weight has %llu rows",
				 tram_gguf_name(v->g), (unsigned long long)v->tokens.n,
				 (unsigned long long)embd->shape[0]);
	return 0;
}

static bool is_text(const char *s, uint64_t n)
{
	size_t len;

	for (uint64_t i = 0; i < n; i += len) {
		len = tram_utf8_len(s + i, (size_t)(n - i));
		if (!len || !s[i])
			return false;
	}
	return n != 0;
}

/* Every token of a kind that @added tells, as it stands in that part of tokenizer.json. */
static int render_tokens(struct tram_ctx *ctx, const struct vocab *v, bool added,
			 struct tram_sbuf *sb)
{
	const char *sep = "";
	uint64_t at = 0, n;

	for (uint64_t i = 0; i < v->tokens.n && !sb->err; i++) {
		const char *s = tram_gguf_next_str(&v->tokens, &at, &n);
		int32_t type = v->typed ? tram_gguf_i32_at(&v->types, i) : NORMAL;

		if (type < NORMAL || type >= BYTE)
			return tram_fail(ctx, -ENOTSUP, "%s: key tokenizer.ggml.token_type: element %llu is %d, 1 to 5 are supported",
					 tram_gguf_name(v->g), (unsigned long long)i, type);
		if (type == UNUSED)
			continue;
		if (!is_text(s, n))
			return tram_fail(ctx, -EINVAL, "%s: key tokenizer.ggml.tokens: element %llu is empty or not UTF-8",
					 tram_gguf_name(v->g), (unsigned long long)i);
		if (added != (type != NORMAL))
			continue;
		tram_sbuf_adds(sb, sep);
		sep = ",";
		if (!added) {
			tram_sbuf_json(sb, s, (size_t)n);
			tram_sbuf_addf(sb, ":%llu", (unsigned long long)i);
			continue;
		}
		tram_sbuf_addf(sb, "{\"id\":%llu,\"special\":%s,\"content\":", (unsigned long long)i,
			       type == USER_DEFINED ? "false" : "true");
		tram_sbuf_json(sb, s, (size_t)n);
		tram_sbuf_addc(sb, '}');
	}
	return 0;
}

static int render(struct tram_ctx *ctx, const struct vocab *v, struct tram_sbuf *sb)
{
	uint64_t at = 0, n;
	int r;

	tram_sbuf_adds(sb, "{\"added_tokens\":[");
	r = render_tokens(ctx, v, true, sb);
	if (r)
		return r;
	tram_sbuf_adds(sb, "],\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
	if (v->pre->regex) {
		tram_sbuf_adds(sb, "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":");
		tram_sbuf_json(sb, v->pre->regex, strlen(v->pre->regex));
		tram_sbuf_adds(sb, "}},");
	}
	tram_sbuf_addf(sb, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":%s}]},"
		       "\"model\":{\"type\":\"BPE\",\"ignore_merges\":%s,\"vocab\":{",
		       v->pre->regex ? "false" : "true", v->pre->ignore_merges ? "true" : "false");
	r = render_tokens(ctx, v, false, sb);
	if (r)
		return r;
	tram_sbuf_adds(sb, "},\"merges\":[");
	for (uint64_t i = 0; i < v->merges.n && !sb->err; i++) {
		const char *s = tram_gguf_next_str(&v->merges, &at, &n);

		tram_sbuf_adds(sb, i ? "," : "");
		tram_sbuf_json(sb, s, (size_t)n);
	}
	tram_sbuf_adds(sb, "]}}");
	return sb->err;
}

int tram_gguf_tokenizer(struct tram_ctx *ctx, const struct tram_gguf *g, struct tram_tokjson *tj)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx), name = TRAM_SBUF_INIT(ctx);
	struct vocab v = { .g = g };
	struct tram_source src;
	const char *model = "none";
	int r;

	memset(tj, 0, sizeof(*tj));
	r = tram_gguf_get_str(ctx, g, "tokenizer.ggml.model", false, &model);
	if (r < 0)
		return r;
	if (!strcmp(model, "none") || !strcmp(model, "no_vocab"))
		return 1;
	if (strcmp(model, "gpt2"))
		return tram_fail(ctx, -ENOTSUP, "%s: key tokenizer.ggml.model: \"%.32s\", supported is gpt2 (byte-level BPE); pass --tokenizer with a tokenizer.json",
				 tram_gguf_name(g), model);
	r = read_pre(ctx, &v);
	r = r ? r : read_arrays(ctx, &v);
	r = r ? r : render(ctx, &v, &sb);
	if (!r)
		r = tram_sbuf_addf(&name, "%s: tokenizer.ggml", tram_gguf_name(g));
	if (!r) {
		src = tram_source_mem(tram_sbuf_str(&name), sb.s, sb.n);
		r = tram_tokjson_read_source(ctx, &src, tj);
	}
	tram_sbuf_free(&name);
	tram_sbuf_free(&sb);
	return r;
}

int tram_tokjson_open(struct tram_ctx *ctx, const char *spec, struct tram_tokjson *tj)
{
	struct tram_gguf *g;
	int r;

	memset(tj, 0, sizeof(*tj));
	if (!strcmp(spec, "bytes"))
		return tram_tokjson_build(ctx, NULL, 0, tj);
	if (!tram_gguf_is(spec))
		return tram_tokjson_read(ctx, spec, tj);
	r = tram_gguf_open(ctx, spec, &g);
	if (r)
		return r;
	r = tram_gguf_tokenizer(ctx, g, tj);
	if (r == 1)
		r = tram_fail(ctx, -ENOENT, "%s: holds no tokenizer; pass --tokenizer with a tokenizer.json",
			      spec);
	tram_gguf_close(ctx, &g);
	return r;
}

/* --- writing ----------------------------------------------------------------------------- */

static const struct pre *find_pre(const struct tram_tokjson *tj)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(pres); i++) {
		const struct pre *p = &pres[i];
		bool same = p->regex ? tj->split_regex && !tj->use_regex &&
				       !strcmp(p->regex, tj->split_regex) :
				       !tj->split_regex && tj->use_regex;

		if (same && p->ignore_merges == tj->ignore_merges)
			return p;
	}
	return NULL;
}

static void put_tokens(struct tram_gguf_writer *w, const struct tram_tokjson *tj, uint32_t vocab,
		       struct tram_sbuf *key, int32_t *types)
{
	char unused[24];

	tram_gguf_writer_strings(w, "tokenizer.ggml.tokens", vocab);
	for (uint32_t i = 0; i < vocab; i++) {
		const struct tram_tok *t = i < tj->n_tokens ? &tj->tokens[i] : NULL;

		if (!t || !t->bytes) {
			snprintf(unused, sizeof(unused), "[PAD%u]", i);
			tram_gguf_writer_string(w, unused, strlen(unused));
			types[i] = UNUSED;
		} else if (t->flags & TRAM_TOK_ADDED) {
			tram_gguf_writer_string(w, t->bytes, t->len);
			types[i] = t->flags & TRAM_TOK_SPECIAL ? CONTROL : USER_DEFINED;
		} else {
			tram_sbuf_reset(key);
			tram_tokjson_key(key, t);
			tram_gguf_writer_string(w, tram_sbuf_str(key), key->n);
			types[i] = NORMAL;
		}
	}
	tram_gguf_writer_i32s(w, "tokenizer.ggml.token_type", types, vocab);
}

static void put_merges(struct tram_gguf_writer *w, const struct tram_tokjson *tj,
		       struct tram_sbuf *key)
{
	tram_gguf_writer_strings(w, "tokenizer.ggml.merges", tj->n_merges);
	for (uint32_t i = 0; i < tj->n_merges; i++) {
		tram_sbuf_reset(key);
		tram_tokjson_key(key, &tj->tokens[tj->merges[i].left]);
		tram_sbuf_addc(key, ' ');
		tram_tokjson_key(key, &tj->tokens[tj->merges[i].right]);
		tram_gguf_writer_string(w, tram_sbuf_str(key), key->n);
	}
}

/*
 * Without an id of its own llama.cpp ends at id 11. A model that has no end
 * names the token of the NUL byte, which no text holds; reading undoes it.
 */
static int put_id(struct tram_gguf_writer *w, const char *key, const struct tram_tokjson *tj,
		  int32_t id)
{
	int64_t nul = tram_tokjson_find(tj, "", 1);

	if (id < 0 && nul < 0)
		return 0;
	return tram_gguf_writer_u32(w, key, id < 0 ? (uint32_t)nul : (uint32_t)id);
}

static int check(struct tram_ctx *ctx, const char *path, const struct tram_tokjson *tj,
		 uint32_t vocab)
{
	if (tj->n_tokens > vocab)
		return tram_fail(ctx, -EINVAL, "%s: the tokenizer has %u ids, the model's vocabulary %u; use the tokenizer that the model was made with",
				 path, tj->n_tokens, vocab);
	if (tj->add_prefix_space)
		return tram_fail(ctx, -ENOTSUP, "%s: the tokenizer's add_prefix_space is true, which a GGUF cannot say",
				 path);
	if (!find_pre(tj))
		return tram_fail(ctx, -ENOTSUP, "%s: the tokenizer splits text in a way that has no name in GGUF here; known are " PRE_NAMES,
				 path);
	return 0;
}

int tram_gguf_put_tokenizer(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *path,
			    const struct tram_tokjson *tj, uint32_t vocab, int32_t bos,
			    int32_t eos)
{
	struct tram_sbuf key = TRAM_SBUF_INIT(ctx);
	int32_t *types;
	int r;

	if (!tj)
		return tram_gguf_writer_str(w, "tokenizer.ggml.model", "none");
	r = check(ctx, path, tj, vocab);
	if (r)
		return r;
	types = tram_calloc(ctx, vocab, sizeof(*types));
	if (!types)
		return -ENOMEM;
	tram_gguf_writer_str(w, "tokenizer.ggml.model", "gpt2");
	tram_gguf_writer_str(w, "tokenizer.ggml.pre", find_pre(tj)->name);
	put_tokens(w, tj, vocab, &key, types);
	put_merges(w, tj, &key);
	put_id(w, "tokenizer.ggml.bos_token_id", tj, bos);
	put_id(w, "tokenizer.ggml.eos_token_id", tj, eos);
	tram_gguf_writer_bool(w, "tokenizer.ggml.add_bos_token", false);
	/* The writer remembers its first failure. */
	r = tram_gguf_writer_bool(w, "tokenizer.ggml.add_eos_token", false);
	if (!r)
		r = key.err;
	tram_sbuf_free(&key);
	tram_free(ctx, types);
	return r;
}

/* llama.cpp's llama-vocab.cpp: names, patterns, and which of them ignore merges. */
static const struct pre pres[4] = {
	{ "gpt-2", NULL, false },
	{ "llama-bpe", "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?"
	  "[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", true },
	{ "llama3", "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?"
	  "[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", true },
	{ "qwen2", "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?"
	  "[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", false },
};
