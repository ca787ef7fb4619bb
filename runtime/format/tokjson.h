/* SPDX-License-Identifier: MIT */
/*
 * tokenizer.json of Hugging Face tokenizers, byte-level BPE: vocabulary and
 * merges as plain arrays. Encoding and decoding text is the data room's.
 */
#ifndef TRAM_FORMAT_TOKJSON_H
#define TRAM_FORMAT_TOKJSON_H

#include "base/file.h"

#define TRAM_TOKJSON_MAX_BYTES	(256u << 20)
#define TRAM_TOKJSON_MAX_ID	((1u << 24) - 1)

enum {
	TRAM_TOK_VOCAB = 1,	/* in model.vocab: the encoder may produce it by merging */
	TRAM_TOK_ADDED = 2,	/* in added_tokens: matched in the text before anything else */
	TRAM_TOK_SPECIAL = 4,	/* an added token that decoding may leave out */
	TRAM_TOK_LITERAL = 8,	/* not made of the byte-level alphabet: bytes are its own UTF-8 */
};

struct tram_tok {
	const char *bytes;	/* what it stands for in the text; NUL behind; NULL: unused id */
	uint32_t len;
	uint32_t flags;
};

struct tram_tok_merge { uint32_t left, right, result; };	/* ids; rank is the index */

struct tram_tokjson {
	struct tram_tok *tokens;	/* by id */
	uint32_t n_tokens;		/* highest id + 1 */
	uint32_t n_vocab;		/* entries of model.vocab */
	struct tram_tok_merge *merges;	/* first is strongest */
	uint32_t n_merges;
	uint32_t *added;		/* ids, in the order of the file */
	uint32_t n_added;
	bool add_prefix_space;		/* a space is put in front of the text */
	bool use_regex;			/* GPT-2's own splitting pattern (ByteLevel) */
	const char *split_regex;	/* NULL, or a Split step's pattern in front of ByteLevel */
	bool ignore_merges;		/* a piece that is a whole token is taken as it is */

	/* Owned: the bytes of all tokens, and a table from bytes to id. */
	char *arena;
	uint32_t *table;		/* id + 1, 0: empty */
	uint32_t table_mask;
};

/* Fills @tj in place; -EINVAL or -ENOTSUP. tram_tokjson_free() undoes it. */
int tram_tokjson_read(struct tram_ctx *ctx, const char *path, struct tram_tokjson *tj);
int tram_tokjson_read_source(struct tram_ctx *ctx, const struct tram_source *src,
			     struct tram_tokjson *tj);
void tram_tokjson_free(struct tram_ctx *ctx, struct tram_tokjson *tj);

/*
 * Made here: tokens 0..255 are the bytes, token 256 + i is the result of merges[i], whose halves are
 * earlier tokens. Splits as GPT-2 does. tram_tokjson_free() undoes it.
 */
int tram_tokjson_build(struct tram_ctx *ctx, const struct tram_tok_merge *merges, uint32_t n,
		       struct tram_tokjson *tj);

/* Id of the TRAM_TOK_VOCAB token that stands for these bytes, or -1. */
int64_t tram_tokjson_find(const struct tram_tokjson *tj, const char *bytes, size_t n);

/*
 * Durable; a file that Hugging Face tokenizers loads. Needs tokens (flags
 * included), n_tokens, merges (left and right), added, add_prefix_space,
 * use_regex, split_regex and ignore_merges; arena and table are not looked at.
 */
int tram_tokjson_write(struct tram_ctx *ctx, const char *path, const struct tram_tokjson *tj);

/* A token as model.vocab spells it, in the byte-level alphabet. */
struct tram_sbuf;
void tram_tokjson_key(struct tram_sbuf *sb, const struct tram_tok *t);

/*
 * The byte-level alphabet (GPT-2): the code point that stands for byte @b,
 * and back (-1 when @cp stands for none).
 */
uint32_t tram_byte_to_cp(uint8_t b);
int tram_cp_to_byte(uint32_t cp);

#endif
