/* SPDX-License-Identifier: MIT */
/*
 * Parts of data: tokenizer.c (ids and bytes), bpe.c (splitting and merging),
 * bpe_train.c (making a vocabulary), files.c (what a path holds), stream.c
 * (tokens by place), order.c (which tokens make sample p), loader.c (stages,
 * queues).
 */
#ifndef TRAM_DATA_DATA_H
#define TRAM_DATA_DATA_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <tram/data.h>

#include "base/base.h"
#include "base/vec.h"
#include "format/tokjson.h"

/* --- map.c: 64-bit keys to 32-bit values, open addressing ------------------------ */

struct tram_map {
	struct tram_ctx *ctx;
	uint64_t *key;
	uint32_t *value;	/* value + 1; 0: empty */
	size_t n, mask;
};

void tram_map_init(struct tram_map *m, struct tram_ctx *ctx);
void tram_map_finish(struct tram_map *m);
/* UINT32_MAX when there is none. */
uint32_t tram_map_get(const struct tram_map *m, uint64_t key);
/* Adds or replaces. @value < UINT32_MAX. */
int tram_map_put(struct tram_map *m, uint64_t key, uint32_t value);

/* --- splitter: text to pieces that merges never cross ------------------------------- */

struct tram_splitter {
	struct tram_ctx *ctx;
	pcre2_code *code;
	pcre2_match_data *match;	/* one thread at a time */
};

/* @pattern NULL: GPT-2's. Bytes that are not UTF-8 make pieces of their own. */
int tram_splitter_init(struct tram_splitter *s, struct tram_ctx *ctx, const char *pattern);
void tram_splitter_finish(struct tram_splitter *s);
/* Calls @piece for every piece in order, until it fails. */
int tram_split(struct tram_splitter *s, const char *text, size_t len,
	       int (*piece)(void *arg, const char *s, size_t n), void *arg);

/* --- tokenizer ------------------------------------------------------------------------ */

struct tram_ids { TRAM_VEC(uint32_t) ids; };

struct tram_tokenizer {
	struct tram_ctx *ctx;
	struct tram_tokjson tj;
	bool bytes;			/* id = byte, nothing to merge */
	uint32_t byte_id[256];
	struct tram_map merges;		/* left << 32 | right -> index of tj.merges */
	uint64_t hash;
};

/* Takes @tj over (leaving it empty), also on failure. @name goes into messages. */
int tram_tokenizer_from(struct tram_ctx *ctx, const char *name, struct tram_tokjson *tj,
			struct tram_tokenizer **tok);

struct tram_bpe_symbol { uint32_t id; int32_t prev, next; };
struct tram_bpe_pair { uint32_t rank; int32_t left; uint32_t left_id, right_id; };

/* One thread's encoder over a shared tokenizer. */
struct tram_encoder {
	const struct tram_tokenizer *tok;
	struct tram_splitter split;
	struct tram_ids *out;
	TRAM_VEC(struct tram_bpe_symbol) symbols;
	TRAM_VEC(struct tram_bpe_pair) heap;
};

int tram_encoder_init(struct tram_encoder *e, const struct tram_tokenizer *tok);
void tram_encoder_finish(struct tram_encoder *e);
/* Appends the ids of @text. */
int tram_encode(struct tram_encoder *e, const char *text, size_t len, struct tram_ids *out);

/* --- files ---------------------------------------------------------------------------- */

struct tram_paths { TRAM_VEC(char *) v; };

/*
 * The regular files that @path names: itself, or those directly in the folder, sorted by name, without
 * hidden ones and tokenizer.json. -ENOENT when there is none.
 */
int tram_paths_list(struct tram_ctx *ctx, const char *path, struct tram_paths *out);
void tram_paths_free(struct tram_ctx *ctx, struct tram_paths *p);
bool tram_path_is_shard(const char *path);	/* ends in .bin */

/* --- order ------------------------------------------------------------------------------- */

struct tram_sampler_order {
	enum tram_order order;
	uint64_t seed, windows;
	uint64_t tokens;
	uint32_t seq;
};

/* -EINVAL when the stream is too short for one window. */
int tram_order_init(struct tram_ctx *ctx, struct tram_sampler_order *o, enum tram_order order,
		    uint64_t seed, uint64_t tokens, uint32_t seq);
/* First token and epoch of sample @position. */
uint64_t tram_order_first(const struct tram_sampler_order *o, uint64_t position, uint64_t *epoch);

/* Tokenizing of a text stream, for the pipeline's statistics. */
void tram_stream_tokenize_stats(const struct tram_stream *s, struct tram_stage_stats *stats);

#endif
