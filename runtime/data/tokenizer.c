/* SPDX-License-Identifier: MIT */
/*
 * Tokenizers: a tokenizer.json made ready for use. "bytes" is one too: 256
 * tokens, no merges. bpe.c encodes.
 */
#include "data/data.h"

#include "base/hash.h"
#include "format/gguf_model.h"

/* --- making ------------------------------------------------------------------------ */

static uint64_t hash_tokenizer(const struct tram_tokjson *tj)
{
	struct tram_xxh3 h;

	tram_xxh3_init(&h);
	for (uint32_t i = 0; i < tj->n_tokens; i++) {
		const struct tram_tok *t = &tj->tokens[i];

		tram_xxh3_update(&h, &t->len, sizeof(t->len));
		tram_xxh3_update(&h, &t->flags, sizeof(t->flags));
		if (t->bytes)
			tram_xxh3_update(&h, t->bytes, t->len);
	}
	tram_xxh3_update(&h, tj->merges, tj->n_merges * sizeof(*tj->merges));
	if (tj->split_regex)
		tram_xxh3_update(&h, tj->split_regex, strlen(tj->split_regex));
	return tram_xxh3_64(&h);
}

static bool is_bytes(const struct tram_tokjson *tj)
{
	if (tj->n_merges || tj->n_added || tj->n_tokens != 256 || tj->add_prefix_space)
		return false;
	for (uint32_t i = 0; i < 256; i++)
		if (tj->tokens[i].len != 1 || (uint8_t)tj->tokens[i].bytes[0] != i)
			return false;
	return true;
}

int tram_tokenizer_from(struct tram_ctx *ctx, const char *name, struct tram_tokjson *tj,
			struct tram_tokenizer **tok)
{
	struct tram_tokenizer *t;
	int r = 0;

	*tok = NULL;
	t = tram_zalloc(ctx, sizeof(*t));
	if (!t) {
		tram_tokjson_free(ctx, tj);
		return -ENOMEM;
	}
	t->ctx = ctx;
	t->tj = *tj;
	memset(tj, 0, sizeof(*tj));
	tram_map_init(&t->merges, ctx);
	for (uint32_t b = 0; !r && b < 256; b++) {
		const char byte = (char)b;
		int64_t id = tram_tokjson_find(&t->tj, &byte, 1);

		if (id < 0)
			r = tram_fail(ctx, -ENOTSUP, "%s: no token stands for byte 0x%02x; a "
				      "byte-level vocabulary has all 256", name, b);
		t->byte_id[b] = (uint32_t)id;
	}
	for (uint32_t i = t->tj.n_merges; !r && i-- > 0;) {
		const struct tram_tok_merge *m = &t->tj.merges[i];

		r = tram_map_put(&t->merges, (uint64_t)m->left << 32 | m->right, i);
	}
	if (r) {
		tram_tokenizer_close(&t);
		return r;
	}
	t->bytes = is_bytes(&t->tj);
	t->hash = hash_tokenizer(&t->tj);
	*tok = t;
	return 0;
}

int tram_tokenizer_open(struct tram_ctx *ctx, const char *spec, struct tram_tokenizer **tok)
{
	struct tram_tokjson tj;
	int r;

	*tok = NULL;
	r = tram_tokjson_open(ctx, spec, &tj);
	return r ? r : tram_tokenizer_from(ctx, spec, &tj, tok);
}

void tram_tokenizer_close(struct tram_tokenizer **tok)
{
	struct tram_tokenizer *t = *tok;

	*tok = NULL;
	if (!t)
		return;
	tram_map_finish(&t->merges);
	tram_tokjson_free(t->ctx, &t->tj);
	tram_free(t->ctx, t);
}

/* --- using ---------------------------------------------------------------------------- */

uint32_t tram_tokenizer_vocab(const struct tram_tokenizer *t)
{
	return t->tj.n_tokens;
}

uint64_t tram_tokenizer_hash(const struct tram_tokenizer *t)
{
	return t->hash;
}

const char *tram_tokenizer_bytes(const struct tram_tokenizer *t, uint32_t id, size_t *len)
{
	*len = 0;
	if (id >= t->tj.n_tokens || !t->tj.tokens[id].bytes)
		return NULL;
	*len = t->tj.tokens[id].len;
	return t->tj.tokens[id].bytes;
}

int tram_tokenizer_encode(struct tram_tokenizer *t, const char *text, size_t len, uint32_t **ids,
			  size_t *n)
{
	struct tram_ids out = { 0 };
	struct tram_encoder e;
	int r;

	*ids = NULL;
	*n = 0;
	r = tram_encoder_init(&e, t);
	if (r)
		return r;
	r = tram_encode(&e, text, len, &out);
	tram_encoder_finish(&e);
	if (r) {
		tram_vec_free(t->ctx, &out.ids);
		return r;
	}
	*ids = out.ids.v;
	*n = out.ids.n;
	return 0;
}

void tram_tokens_free(struct tram_ctx *ctx, uint32_t *ids)
{
	tram_free(ctx, ids);
}

int tram_tokenizer_save(const struct tram_tokenizer *t, const char *path)
{
	return tram_tokjson_write(t->ctx, path, &t->tj);
}
