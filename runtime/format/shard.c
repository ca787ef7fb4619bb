/* SPDX-License-Identifier: MIT */
/* Token shards of llm.c: header in shard.h's first lines, then plain tokens. */
#include "format/shard.h"

#define WORDS		(TRAM_SHARD_HEADER / 4)
#define CHUNK		8192u	/* tokens converted at a time */

static const struct { int32_t magic, version; unsigned int width; } kinds[] = {
	{ 20240520, 1, 2 },
	{ 20240801, 7, 4 },
};

int tram_shard_open_source(struct tram_ctx *ctx, const struct tram_source *src,
			   struct tram_shard *shard)
{
	int32_t head[3];
	uint64_t room;
	size_t i;
	int r;

	*shard = (struct tram_shard){ .src = src };
	if (src->size < TRAM_SHARD_HEADER)
		return tram_fail(ctx, -EINVAL, "%s: header: %llu bytes in the file, %u are needed",
				 src->name, (unsigned long long)src->size, TRAM_SHARD_HEADER);
	r = tram_source_read(ctx, src, 0, head, sizeof(head));
	if (r)
		return r;
	for (i = 0; i < TRAM_ARRAY_SIZE(kinds); i++)
		if (head[0] == kinds[i].magic)
			break;
	if (i == TRAM_ARRAY_SIZE(kinds))
		return tram_fail(ctx, -EINVAL, "%s: magic: %d, 20240520 or 20240801 is needed",
				 src->name, head[0]);
	if (head[1] != kinds[i].version)
		return tram_fail(ctx, -EINVAL, "%s: version: %d, %d goes with magic %d", src->name,
				 head[1], kinds[i].version, head[0]);
	if (head[2] < 0)
		return tram_fail(ctx, -EINVAL, "%s: token count: %d, limit 0 to %u", src->name,
				 head[2], TRAM_SHARD_MAX_TOKENS);
	shard->width = kinds[i].width;
	shard->n = (uint64_t)head[2];
	room = src->size - TRAM_SHARD_HEADER;
	if (shard->n * shard->width != room)
		return tram_fail(ctx, -EINVAL,
				 "%s: token count: %llu of %u bytes, the file has %llu bytes behind the header",
				 src->name, (unsigned long long)shard->n, shard->width,
				 (unsigned long long)room);
	return 0;
}

int tram_shard_open(struct tram_ctx *ctx, const char *path, struct tram_shard *shard)
{
	struct tram_file *file;
	int r;

	*shard = (struct tram_shard){ 0 };
	r = tram_file_open(ctx, path, &file);
	if (r)
		return r;
	r = tram_shard_open_source(ctx, tram_file_source(file), shard);
	shard->file = file;
	if (r)
		tram_shard_close(ctx, shard);
	return r;
}

void tram_shard_close(struct tram_ctx *ctx, struct tram_shard *shard)
{
	tram_file_close(ctx, &shard->file);
	shard->src = NULL;
}

int tram_shard_read(struct tram_ctx *ctx, const struct tram_shard *shard, uint64_t first,
		    size_t count, uint32_t *out)
{
	char *raw;
	size_t i;
	uint16_t t;
	int r;

	if (first > shard->n || count > shard->n - first)
		return tram_fail(ctx, -EINVAL, "%s: tokens %llu + %zu asked for, it has %llu",
				 shard->src->name, (unsigned long long)first, count,
				 (unsigned long long)shard->n);
	/*
	 * Narrow tokens land in the second half of @out and widen forwards:
	 * element i is written at or before where it was read.
	 */
	raw = (char *)out + count * (sizeof(*out) - shard->width);
	r = tram_source_read(ctx, shard->src, TRAM_SHARD_HEADER + first * shard->width, raw,
			     count * shard->width);
	if (r || shard->width == sizeof(*out))
		return r;
	for (i = 0; i < count; i++) {
		memcpy(&t, raw + i * sizeof(t), sizeof(t));
		out[i] = t;
	}
	return 0;
}

int tram_shard_max(struct tram_ctx *ctx, const struct tram_shard *shard, uint32_t *max)
{
	uint64_t at;
	uint32_t *buf;
	size_t k, i;
	int r = 0;

	*max = 0;
	buf = tram_alloc(ctx, CHUNK * sizeof(*buf));
	if (!buf)
		return tram_fail_in(ctx, -ENOMEM, "%s", shard->src->name);
	for (at = 0; at < shard->n && !r; at += k) {
		k = (size_t)TRAM_MIN(shard->n - at, (uint64_t)CHUNK);
		r = tram_shard_read(ctx, shard, at, k, buf);
		for (i = 0; i < k && !r; i++)
			*max = TRAM_MAX(*max, buf[i]);
	}
	tram_free(ctx, buf);
	return r;
}

struct tram_shard_writer {
	struct tram_writer *out;
	unsigned int width;
	uint64_t n;
	int err;
	char path[];
};

int tram_shard_writer_create(struct tram_ctx *ctx, const char *path, unsigned int width,
			     struct tram_shard_writer **out)
{
	static const int32_t blank[WORDS];
	struct tram_shard_writer *w;
	size_t len = strlen(path) + 1;
	int r;

	*out = NULL;
	if (width != 2 && width != 4)
		return tram_fail(ctx, -EINVAL, "%s: token width: %u bytes, 2 or 4 is needed", path,
				 width);
	w = tram_zalloc(ctx, sizeof(*w) + len);
	if (!w)
		return tram_fail_in(ctx, -ENOMEM, "%s", path);
	memcpy(w->path, path, len);
	w->width = width;
	r = tram_writer_create(ctx, path, &w->out);
	if (!r)
		r = tram_writer_write(ctx, w->out, blank, sizeof(blank));
	if (r) {
		tram_shard_writer_abort(ctx, &w);
		return r;
	}
	*out = w;
	return 0;
}

int tram_shard_writer_append(struct tram_ctx *ctx, struct tram_shard_writer *w,
			     const uint32_t *tokens, size_t n)
{
	uint16_t buf[512];
	size_t i, k;

	if (!w->err && n > TRAM_SHARD_MAX_TOKENS - w->n)
		w->err = tram_fail(ctx, -EFBIG, "%s: token count: %llu, limit %u; begin another shard",
				   w->path, (unsigned long long)(w->n + n), TRAM_SHARD_MAX_TOKENS);
	if (!w->err && w->width == 4)
		w->err = tram_writer_write(ctx, w->out, tokens, n * 4);
	for (i = 0; !w->err && w->width == 2 && i < n; i += k) {
		for (k = 0; k < TRAM_ARRAY_SIZE(buf) && i + k < n && !w->err; k++) {
			if (tokens[i + k] > UINT16_MAX)
				w->err = tram_fail(ctx, -EINVAL,
						   "%s: token %llu: %u, limit 65535 in a shard of 2-byte tokens",
						   w->path, (unsigned long long)(w->n + i + k),
						   tokens[i + k]);
			buf[k] = (uint16_t)tokens[i + k];
		}
		if (!w->err)
			w->err = tram_writer_write(ctx, w->out, buf, k * 2);
	}
	if (!w->err)
		w->n += n;
	return w->err;
}

uint64_t tram_shard_writer_count(const struct tram_shard_writer *w)
{
	return w->n;
}

int tram_shard_writer_commit(struct tram_ctx *ctx, struct tram_shard_writer **wp)
{
	struct tram_shard_writer *w = *wp;
	int32_t head[3];
	int r = w->err;

	head[0] = kinds[w->width == 4].magic;
	head[1] = kinds[w->width == 4].version;
	head[2] = (int32_t)w->n;
	if (!r)
		r = tram_writer_patch(ctx, w->out, 0, head, sizeof(head));
	if (!r)
		r = tram_writer_commit(ctx, &w->out);
	tram_shard_writer_abort(ctx, wp);
	return r;
}

void tram_shard_writer_abort(struct tram_ctx *ctx, struct tram_shard_writer **wp)
{
	struct tram_shard_writer *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	tram_writer_abort(ctx, &w->out);
	tram_free(ctx, w);
}
