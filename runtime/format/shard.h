/* SPDX-License-Identifier: MIT */
/*
 * Token shards as llm.c reads and writes them: 256 little-endian int32 (magic,
 * version, number of tokens, zeros), then the tokens. Magic 20240520 with
 * version 1 holds uint16 tokens, 20240801 with version 7 holds uint32.
 */
#ifndef TRAM_FORMAT_SHARD_H
#define TRAM_FORMAT_SHARD_H

#include "base/file.h"

#define TRAM_SHARD_HEADER	1024u		/* bytes */
#define TRAM_SHARD_MAX_TOKENS	0x7fffffffu	/* the count is an int32 */

struct tram_shard {
	const struct tram_source *src;
	struct tram_file *file;		/* NULL when opened from a source */
	unsigned int width;		/* bytes of one token: 2 or 4 */
	uint64_t n;			/* tokens */
};

/* Fills @shard in place; -EINVAL for a broken file. tram_shard_close() undoes it. */
int tram_shard_open(struct tram_ctx *ctx, const char *path, struct tram_shard *shard);
int tram_shard_open_source(struct tram_ctx *ctx, const struct tram_source *src,
			   struct tram_shard *shard);	/* @src is borrowed */
void tram_shard_close(struct tram_ctx *ctx, struct tram_shard *shard);

/* Tokens [first, first + count) into @out. Any thread. */
int tram_shard_read(struct tram_ctx *ctx, const struct tram_shard *shard, uint64_t first,
		    size_t count, uint32_t *out);

/* Reads everything. @max is 0 for an empty shard. */
int tram_shard_max(struct tram_ctx *ctx, const struct tram_shard *shard, uint32_t *max);

/* Durable streaming writer. @width 2 or 4 bytes a token. */
struct tram_shard_writer;

int tram_shard_writer_create(struct tram_ctx *ctx, const char *path, unsigned int width,
			     struct tram_shard_writer **w);
/* -EINVAL for a token that @width cannot hold, -EFBIG past TRAM_SHARD_MAX_TOKENS. */
int tram_shard_writer_append(struct tram_ctx *ctx, struct tram_shard_writer *w,
			     const uint32_t *tokens, size_t n);
uint64_t tram_shard_writer_count(const struct tram_shard_writer *w);
int tram_shard_writer_commit(struct tram_ctx *ctx, struct tram_shard_writer **w);
void tram_shard_writer_abort(struct tram_ctx *ctx, struct tram_shard_writer **w);

#endif
