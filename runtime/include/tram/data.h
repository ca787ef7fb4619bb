/* SPDX-License-Identifier: MIT */
/*
 * Text to batches: tokenizers, token streams, and the staged pipeline (read,
 * shuffle, batch) that keeps batches ready for training. The order of samples
 * is a pure function of (seed, position), so a resumed run sees exactly what
 * the first would have seen.
 */
#ifndef TRAM_DATA_H
#define TRAM_DATA_H

#include <stdbool.h>

#include <tram/tram.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- tokenizers ---------------------------------------------------------------- */

struct tram_tokenizer;

/* @spec: "bytes" (id = byte, vocabulary 256) the path of a Hugging Face tokenizer.json (byte-level BPE), or of a GGUF with such a tokenizer. */
int tram_tokenizer_open(struct tram_ctx *ctx, const char *spec, struct tram_tokenizer **tok);
/* Trains a byte-level BPE vocabulary of @vocab entries (257 .. 65536) on the text at @paths. */
int tram_tokenizer_train(struct tram_ctx *ctx, uint32_t vocab, const char *const *paths,
			 size_t n_paths, struct tram_tokenizer **tok);
void tram_tokenizer_close(struct tram_tokenizer **tok);

uint32_t tram_tokenizer_vocab(const struct tram_tokenizer *tok);
/* *ids is an array of *n (tram_tokens_free). Any bytes are valid text. */
int tram_tokenizer_encode(struct tram_tokenizer *tok, const char *text, size_t len,
			  uint32_t **ids, size_t *n);
void tram_tokens_free(struct tram_ctx *ctx, uint32_t *ids);
/* The bytes of @id (not terminated; may be part of a UTF-8 character), NULL for an unknown id. */
const char *tram_tokenizer_bytes(const struct tram_tokenizer *tok, uint32_t id, size_t *len);
/* Writes tokenizer.json ("bytes" too, as a byte-level BPE without merges). Durable. */
int tram_tokenizer_save(const struct tram_tokenizer *tok, const char *path);
/* XXH3-64 of what decides its ids, for checkpoints and caches. */
uint64_t tram_tokenizer_hash(const struct tram_tokenizer *tok);

/* --- streams -------------------------------------------------------------------- */

/* A long row of tokens: llm.c shards (.bin), or text files tokenized here. */
struct tram_stream;

/*
 * @path: a text file, a .bin shard, or a folder of either (sorted by name, not mixed). Text
 * is tokenized with @tok (required for text) on all host threads and kept in memory; shards are read as they are needed.
 * -EINVAL names the file at fault.
 */
int tram_stream_open(struct tram_ctx *ctx, const char *path, struct tram_tokenizer *tok,
		     struct tram_stream **s);
void tram_stream_close(struct tram_stream **s);
/* Whether @path holds token shards, which need no tokenizer. */
int tram_data_is_tokens(struct tram_ctx *ctx, const char *path, bool *tokens);
uint64_t tram_stream_tokens(const struct tram_stream *s);
/* Hash of files' names, sizes and contents' samples: a resumed run refuses other data. */
uint64_t tram_stream_hash(const struct tram_stream *s);
/* Tokens [first, first + n). -EIO when a file has changed under the run. */
int tram_stream_read(struct tram_stream *s, uint64_t first, size_t n, uint32_t *out);

/* Tokenizes files or folders into @out_dir: shard-000000.bin ... and tokenizer.json. @tokens may be NULL. */
int tram_tokenize(struct tram_ctx *ctx, struct tram_tokenizer *tok, const char *const *paths,
		  size_t n_paths, const char *out_dir, uint64_t *tokens);

/* --- the pipeline ------------------------------------------------------------------ */

enum tram_order {
	TRAM_ORDER_SHUFFLED,	/* windows of T tokens, permuted anew every epoch, offset by a per-epoch shift */
	TRAM_ORDER_SEQUENTIAL,	/* sequence i of step s starts at token (s * B + i) * T, wrapping */
};

struct tram_loader_params {
	uint32_t batch, seq;		/* B sequences of T tokens */
	uint32_t shards;		/* S divides B; 0: 1 */
	uint32_t vocab;			/* tokens at or past it are refused, naming their place */
	enum tram_order order;
	uint64_t seed;
	uint64_t first_step;		/* of the run: 0, or where a checkpoint left off */
	uint32_t depth;			/* bound of each queue; 0: tunes itself */
};

struct tram_batch_data {
	uint64_t step;			/* counts from 0 */
	uint64_t epoch;
	const int32_t *tokens;		/* [B, T] */
	const int32_t *targets;		/* [B, T], shifted by one */
	const int32_t *order;		/* [S, B/S * T]: positions within the shard, sorted stably by token */
	uint64_t n_targets;		/* those that are not -1 */
};

struct tram_loader;
int tram_loader_create(struct tram_ctx *ctx, struct tram_stream *stream,
		       const struct tram_loader_params *params, struct tram_loader **loader);
void tram_loader_destroy(struct tram_loader **loader);
/* The next batch, valid until the next call. Blocks. Errors of a stage arrive here, and stick. */
int tram_loader_next(struct tram_loader *loader, struct tram_batch_data *batch);

struct tram_stage_stats {
	char name[16];			/* "read", "shuffle", "batch", ... */
	uint64_t items;
	double busy_s, starved_s, blocked_s;	/* working; waiting for input; waiting for room */
	double queue_mean;		/* mean occupancy of its output queue */
	uint32_t queue_depth;
	uint64_t bytes;			/* moved by it; 0: not counted */
};
/* Fills up to @max stages in order; returns how many there are. */
size_t tram_loader_stats(struct tram_loader *loader, struct tram_stage_stats *stats, size_t max);

#ifdef __cplusplus
}
#endif
#endif
