/* SPDX-License-Identifier: MIT */
/* Input: the text of a tokenizer.json. */
#include "format/fuzz.h"

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_tokjson tj;
	int r = tram_tokjson_read_source(ctx, src, &tj);

	if (r)
		return r;
	for (uint32_t i = 0; i < tj.n_tokens; i++) {
		const struct tram_tok *t = &tj.tokens[i];

		test_require_(!t->bytes || t->bytes[t->len] == 0, "token %u has no end", i);
		if (t->bytes && t->flags == TRAM_TOK_VOCAB)
			test_require_(tram_tokjson_find(&tj, t->bytes, t->len) == i,
				      "token %u is not found", i);
	}
	for (uint32_t i = 0; i < tj.n_merges; i++)
		test_require_(tj.tokens[tj.merges[i].result].len ==
			      tj.tokens[tj.merges[i].left].len + tj.tokens[tj.merges[i].right].len,
			      "merge %u is not the two put together", i);
	fuzz_describe(ctx, r, tram_tokjson_describe(&tj, src->name, false, &sb),
		      tram_tokjson_describe(&tj, src->name, true, &sb));
	tram_tokjson_free(ctx, &tj);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	return fuzz_read(read_all, data, n, 4 << 20);	/* ids may have 65,536 gaps */
}
