/* SPDX-License-Identifier: MIT */
/*
 * Token streams: shards are read where they lie; text is tokenized once, when
 * the stream is opened, by all threads, and kept in memory (4 bytes a token:
 * for text beyond that, tokenize to shards first).
 */
#include <pthread.h>
#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "data/data.h"
#include "format/shard.h"

#define CHUNK (1u << 18)	/* bytes of text a thread takes at a time */
#define MAX_THREADS 64

struct part {
	struct tram_shard shard;
	uint64_t first;		/* its first token's place in the stream */
};

struct tram_stream {
	struct tram_ctx *ctx;
	TRAM_VEC(struct part) parts;	/* shards */
	struct tram_ids ids;		/* text */
	uint64_t tokens, hash;
	uint64_t tokenize_ns;
};

/* --- shards -------------------------------------------------------------------- */

static int add_shard(struct tram_stream *s, const char *path, struct tram_xxh3 *h)
{
	struct part p = { .first = s->tokens };
	uint32_t head[1024];
	size_t n;
	int r = tram_shard_open(s->ctx, path, &p.shard);

	if (r)
		return r;
	/* A sample of the contents: the whole would mean reading terabytes to begin. */
	n = TRAM_MIN(p.shard.n, (uint64_t)TRAM_ARRAY_SIZE(head));
	r = tram_shard_read(s->ctx, &p.shard, 0, n, head);
	tram_xxh3_update(h, &p.shard.n, sizeof(p.shard.n));
	tram_xxh3_update(h, head, n * sizeof(*head));
	if (!r)
		r = tram_shard_read(s->ctx, &p.shard, p.shard.n - n, n, head);
	tram_xxh3_update(h, head, n * sizeof(*head));
	if (!r)
		r = tram_vec_push(s->ctx, &s->parts, p);
	if (r) {
		tram_shard_close(s->ctx, &p.shard);
		return r;
	}
	s->tokens += p.shard.n;
	return 0;
}

static int read_shards(struct tram_stream *s, uint64_t first, size_t n, uint32_t *out)
{
	size_t lo = 0, hi = s->parts.n;
	int r = 0;

	/* The part that holds @first: the last that begins at or before it. */
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->parts.v[mid].first <= first)
			lo = mid;
		else
			hi = mid;
	}
	for (; !r && n; lo++) {
		const struct part *p = &s->parts.v[lo];
		uint64_t at = first - p->first;
		size_t k = (size_t)TRAM_MIN((uint64_t)n, p->shard.n - at);

		r = tram_shard_read(s->ctx, &p->shard, at, k, out);
		first += k;
		out += k;
		n -= k;
	}
	return r;
}

/* --- text ----------------------------------------------------------------------------- */

/* One text being tokenized: threads take chunks by number and leave ids by number. */
struct job {
	const struct tram_tokenizer *tok;
	const char *text;
	size_t *cut, n_cuts;	/* chunk i is [cut[i], cut[i + 1]) */
	struct tram_ids *ids;	/* by chunk */
	size_t next;		/* atomic */
	int err;		/* atomic: the first */
};

static void *tokenize_thread(void *arg)
{
	struct job *j = arg;
	struct tram_encoder e;
	int r = tram_encoder_init(&e, j->tok);
	size_t i;

	while (!r && !__atomic_load_n(&j->err, __ATOMIC_RELAXED) &&
	       (i = __atomic_fetch_add(&j->next, 1, __ATOMIC_RELAXED)) < j->n_cuts)
		r = tram_encode(&e, j->text + j->cut[i], j->cut[i + 1] - j->cut[i], &j->ids[i]);
	tram_encoder_finish(&e);
	if (r)
		__atomic_store_n(&j->err, r, __ATOMIC_RELAXED);
	return NULL;
}

/*
 * Where GPT-2's splitting surely begins a new piece, whatever came before:
 * behind a line feed whose next character isn't a space. Another pattern gives
 * no such promise: one chunk. Added tokens may hold line feeds: one chunk too.
 */
static bool can_cut(const struct tram_tokenizer *tok)
{
	return tok->bytes || (tok->tj.use_regex && !tok->tj.split_regex && !tok->tj.n_added &&
			      !tok->tj.add_prefix_space);
}

static bool is_cut(const char *text, size_t i)
{
	unsigned char c = (unsigned char)text[i];

	/* Beyond ASCII there are other spaces: not there. */
	return text[i - 1] == '\n' && c > ' ' && c < 0x7f;
}

static int find_cuts(struct job *j, struct tram_ctx *ctx, size_t n)
{
	size_t max = n / CHUNK + 2, k = 0, at = 0;

	j->cut = tram_calloc(ctx, max + 1, sizeof(*j->cut));
	if (!j->cut)
		return -ENOMEM;
	while (at < n) {
		j->cut[k++] = at;
		at = at + CHUNK < n && can_cut(j->tok) ? at + CHUNK : n;
		while (at < n && !j->tok->bytes && !is_cut(j->text, at))
			at++;
	}
	j->cut[k] = n;
	j->n_cuts = k;
	return 0;
}

static int run_job(struct tram_stream *s, struct job *j)
{
	pthread_t thread[MAX_THREADS];
	unsigned int want = TRAM_MIN(tram_threads(s->ctx), (unsigned int)MAX_THREADS), n = 0;

	while (n + 1 < want && n + 1 < j->n_cuts &&
	       !pthread_create(&thread[n], NULL, tokenize_thread, j))
		n++;
	tokenize_thread(j);
	while (n--)
		pthread_join(thread[n], NULL);
	return j->err;
}

static int tokenize_text(struct tram_stream *s, const struct tram_tokenizer *tok,
			 const char *text, size_t n)
{
	struct job j = { .tok = tok, .text = text };
	size_t total = 0;
	int r = find_cuts(&j, s->ctx, n);

	if (!r) {
		j.ids = tram_calloc(s->ctx, TRAM_MAX(j.n_cuts, (size_t)1), sizeof(*j.ids));
		r = j.ids ? run_job(s, &j) : -ENOMEM;
	}
	for (size_t i = 0; !r && i < j.n_cuts; i++)
		total += j.ids[i].ids.n;
	if (!r)
		r = tram_vec_reserve(s->ctx, &s->ids.ids, total);
	for (size_t i = 0; j.ids && i < j.n_cuts; i++) {
		if (!r && j.ids[i].ids.n) {
			memcpy(s->ids.ids.v + s->ids.ids.n, j.ids[i].ids.v,
			       j.ids[i].ids.n * sizeof(uint32_t));
			s->ids.ids.n += j.ids[i].ids.n;
		}
		tram_vec_free(s->ctx, &j.ids[i].ids);
	}
	tram_free(s->ctx, j.ids);
	tram_free(s->ctx, j.cut);
	return r;
}

static int add_text(struct tram_stream *s, const struct tram_tokenizer *tok, const char *path,
		    struct tram_xxh3 *h)
{
	uint64_t start = tram_now_ns();
	size_t n;
	char *text;
	int r = tram_file_load(s->ctx, path, UINT32_MAX, &text, &n);

	if (r)
		return r;
	tram_xxh3_update(h, text, n);
	r = tokenize_text(s, tok, text, n);
	tram_free(s->ctx, text);
	if (r)
		return tram_fail_in(s->ctx, r, "%s", path);
	s->tokens = s->ids.ids.n;
	s->tokenize_ns += tram_now_ns() - start;
	return 0;
}

/* --- the stream ---------------------------------------------------------------------------- */

static int add_files(struct tram_stream *s, const char *path, const struct tram_tokenizer *tok,
		     const struct tram_paths *files)
{
	bool shards = tram_path_is_shard(files->v.v[0]);
	struct tram_xxh3 h;
	int r = 0;

	tram_xxh3_init(&h);
	for (size_t i = 0; !r && i < files->v.n; i++) {
		const char *file = files->v.v[i];

		if (tram_path_is_shard(file) != shards)
			r = tram_fail(s->ctx, -EINVAL, "%s: holds token shards (.bin) and other files; "
				      "put them in different folders", path);
		else if (shards)
			r = add_shard(s, file, &h);
		else if (!tok)
			r = tram_fail(s->ctx, -EINVAL, "%s: is text, which needs a tokenizer; pass "
				      "--tokenizer bytes or a tokenizer.json", file);
		else
			r = add_text(s, tok, file, &h);
	}
	s->hash = tram_xxh3_64(&h);
	return r;
}

int tram_data_is_tokens(struct tram_ctx *ctx, const char *path, bool *tokens)
{
	struct tram_paths files;
	int r = tram_paths_list(ctx, path, &files);

	*tokens = !r && tram_path_is_shard(files.v.v[0]);
	if (!r)
		tram_paths_free(ctx, &files);
	return r;
}

int tram_stream_open(struct tram_ctx *ctx, const char *path, struct tram_tokenizer *tok,
		     struct tram_stream **stream)
{
	struct tram_paths files;
	struct tram_stream *s;
	int r;

	*stream = NULL;
	r = tram_paths_list(ctx, path, &files);
	if (r)
		return r;
	s = tram_zalloc(ctx, sizeof(*s));
	r = s ? 0 : -ENOMEM;
	if (!r) {
		s->ctx = ctx;
		r = add_files(s, path, tok, &files);
	}
	tram_paths_free(ctx, &files);
	if (r) {
		tram_stream_close(&s);
		return r;
	}
	*stream = s;
	return 0;
}

void tram_stream_close(struct tram_stream **stream)
{
	struct tram_stream *s = *stream;

	*stream = NULL;
	if (!s)
		return;
	for (size_t i = 0; i < s->parts.n; i++)
		tram_shard_close(s->ctx, &s->parts.v[i].shard);
	tram_vec_free(s->ctx, &s->parts);
	tram_vec_free(s->ctx, &s->ids.ids);
	tram_free(s->ctx, s);
}

uint64_t tram_stream_tokens(const struct tram_stream *s)
{
	return s->tokens;
}

uint64_t tram_stream_hash(const struct tram_stream *s)
{
	return s->hash;
}

void tram_stream_tokenize_stats(const struct tram_stream *s, struct tram_stage_stats *stats)
{
	*stats = (struct tram_stage_stats){
		.items = s->parts.n ? 0 : s->tokens,
		.busy_s = (double)s->tokenize_ns * 1e-9,
	};
	snprintf(stats->name, sizeof(stats->name), "tokenize");
}

int tram_stream_read(struct tram_stream *s, uint64_t first, size_t n, uint32_t *out)
{
	if (first > s->tokens || n > s->tokens - first)
		return tram_fail(s->ctx, -EINVAL, "data: tokens %llu .. %llu were asked for, the "
				 "stream has %llu", (unsigned long long)first,
				 (unsigned long long)(first + n), (unsigned long long)s->tokens);
	if (s->parts.n)
		return read_shards(s, first, n, out);
	memcpy(out, s->ids.ids.v + first, n * sizeof(*out));
	return 0;
}

/* --- tokenizing to shards --------------------------------------------------------------------- */

#define SHARD_TOKENS (100u << 20)

static int write_shards(struct tram_stream *s, const struct tram_tokenizer *tok,
			const char *out_dir, uint64_t *tokens)
{
	unsigned int width = tok->tj.n_tokens <= 65536 ? 2 : 4;
	uint64_t at = 0;
	int r = 0;

	for (unsigned int k = 0; !r && (at < s->tokens || !k); k++) {
		size_t n = (size_t)TRAM_MIN(s->tokens - at, (uint64_t)SHARD_TOKENS);
		char *path = tram_asprintf(s->ctx, "%s/shard-%06u.bin", out_dir, k);
		struct tram_shard_writer *w = NULL;

		r = path ? tram_shard_writer_create(s->ctx, path, width, &w) : -ENOMEM;
		if (!r)
			r = tram_shard_writer_append(s->ctx, w, s->ids.ids.v + at, n);
		if (r)
			tram_shard_writer_abort(s->ctx, &w);
		else
			r = tram_shard_writer_commit(s->ctx, &w);
		tram_free(s->ctx, path);
		at += n;
	}
	*tokens = at;
	return r;
}

/* All of the text's ids are in memory at once, as in training from text. */
int tram_tokenize(struct tram_ctx *ctx, struct tram_tokenizer *tok, const char *const *paths,
		  size_t n_paths, const char *out_dir, uint64_t *tokens)
{
	struct tram_stream s = { .ctx = ctx };
	uint64_t written = 0;
	struct tram_xxh3 h;
	char *json = NULL;
	int r = tram_mkdirs(ctx, out_dir);

	tram_xxh3_init(&h);
	for (size_t i = 0; !r && i < n_paths; i++) {
		struct tram_paths files;

		r = tram_paths_list(ctx, paths[i], &files);
		for (size_t k = 0; !r && k < files.v.n; k++)
			r = add_text(&s, tok, files.v.v[k], &h);
		tram_paths_free(ctx, &files);
	}
	if (!r)
		r = write_shards(&s, tok, out_dir, &written);
	if (!r) {
		json = tram_asprintf(ctx, "%s/tokenizer.json", out_dir);
		r = json ? tram_tokenizer_save(tok, json) : -ENOMEM;
	}
	tram_free(ctx, json);
	tram_vec_free(ctx, &s.ids.ids);
	if (tokens)
		*tokens = r ? 0 : written;
	return r;
}
