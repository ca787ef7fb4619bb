/* SPDX-License-Identifier: MIT */
/* A tokenizer made here instead of read: 256 bytes and a list of merges. See tokjson.h. */
#include "base/hash.h"
#include "format/tokjson.h"

static int allocate(struct tram_ctx *ctx, struct tram_tokjson *tj, size_t arena)
{
	uint32_t slots = 16;

	while (slots < 2 * tj->n_tokens)
		slots *= 2;
	tj->table_mask = slots - 1;
	tj->tokens = tram_calloc(ctx, tj->n_tokens, sizeof(*tj->tokens));
	tj->table = tram_calloc(ctx, slots, sizeof(*tj->table));
	tj->merges = tram_calloc(ctx, TRAM_MAX(tj->n_merges, 1u), sizeof(*tj->merges));
	tj->added = tram_calloc(ctx, 1, sizeof(*tj->added));
	tj->arena = tram_alloc(ctx, arena);
	return tj->tokens && tj->table && tj->merges && tj->added && tj->arena ? 0 : -ENOMEM;
}

/* Two ways to the same bytes: the table keeps the first. */
static void enter(struct tram_tokjson *tj, uint32_t id)
{
	const struct tram_tok *t = &tj->tokens[id];
	uint32_t at = (uint32_t)tram_hash64(t->bytes, t->len) & tj->table_mask;

	while (tj->table[at])
		at = (at + 1) & tj->table_mask;
	tj->table[at] = id + 1;
}

static char *add(struct tram_tokjson *tj, uint32_t id, char *at, uint32_t len)
{
	at[len] = '\0';
	tj->tokens[id] = (struct tram_tok){ at, len, TRAM_TOK_VOCAB };
	if (tram_tokjson_find(tj, at, len) < 0)
		enter(tj, id);
	return at + len + 1;
}

int tram_tokjson_build(struct tram_ctx *ctx, const struct tram_tok_merge *merges, uint32_t n,
		       struct tram_tokjson *tj)
{
	uint64_t arena = 2 * 256;
	uint32_t *len;
	char *at;

	memset(tj, 0, sizeof(*tj));
	tj->n_tokens = tj->n_vocab = 256 + n;
	tj->n_merges = n;
	tj->use_regex = true;
	len = tram_calloc(ctx, tj->n_tokens, sizeof(*len));
	if (!len)
		return -ENOMEM;
	for (uint32_t i = 0; i < 256 + n; i++) {
		len[i] = i < 256 ? 1 : len[merges[i - 256].left] + len[merges[i - 256].right];
		arena += len[i] + 1;
	}
	tram_free(ctx, len);
	if (allocate(ctx, tj, arena)) {
		tram_tokjson_free(ctx, tj);
		return -ENOMEM;
	}
	at = tj->arena;
	for (uint32_t i = 0; i < 256; i++) {
		*at = (char)i;
		at = add(tj, i, at, 1);
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct tram_tok *l = &tj->tokens[merges[i].left];
		const struct tram_tok *r = &tj->tokens[merges[i].right];

		memcpy(at, l->bytes, l->len);
		memcpy(at + l->len, r->bytes, r->len);
		tj->merges[i] = merges[i];
		at = add(tj, 256 + i, at, l->len + r->len);
	}
	return 0;
}
