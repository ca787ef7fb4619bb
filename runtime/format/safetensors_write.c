/* SPDX-License-Identifier: MIT */
/*
 * Writer of safetensors: tensors are declared, then their bytes stream
 * through. The header goes out with the first byte; a hashed file gets its
 * digits patched in at the commit, when they are known.
 */
#include "format/safetensors.h"
#include "base/hash.h"
#include "base/sbuf.h"
#include "base/vec.h"

struct out_tensor {
	char *name;
	enum tram_st_dtype dtype;
	unsigned int ndim;
	uint64_t shape[TRAM_ST_MAX_DIMS];
	uint64_t bytes;
	uint64_t hash;
};

struct out_meta { char *key, *value; };

struct tram_st_writer {
	struct tram_writer *out;
	char *path;
	bool hashed;
	int err;		/* of the first failure; sticks */
	TRAM_VEC(struct out_tensor) tensors;
	TRAM_VEC(struct out_meta) meta;
	bool streaming;		/* the header is out */
	size_t header;		/* bytes of length word and header */
	size_t at;		/* tensor whose bytes come next */
	uint64_t left;		/* bytes that it still lacks */
	struct tram_xxh3 h;	/* over its bytes so far */
};

static int fail(struct tram_st_writer *w, int err)
{
	if (err && !w->err)
		w->err = err;
	return err;
}

int tram_st_writer_create(struct tram_ctx *ctx, const char *path, bool hashed,
			  struct tram_st_writer **out)
{
	struct tram_st_writer *w;
	int r = -ENOMEM;

	*out = NULL;
	w = tram_zalloc(ctx, sizeof(*w));
	if (!w)
		return tram_fail_in(ctx, -ENOMEM, "%s", path);
	w->hashed = hashed;
	w->path = tram_strdup(ctx, path);
	if (w->path)
		r = tram_writer_create(ctx, path, &w->out);
	if (r) {
		tram_st_writer_abort(ctx, &w);
		return r;
	}
	*out = w;
	return 0;
}

/* Names and values must come back as the same strings: UTF-8 without NUL. */
static bool is_text(const char *s)
{
	size_t n = strlen(s), i = 0, len;

	while (i < n) {
		len = tram_utf8_len(s + i, n - i);
		if (!len)
			return false;
		i += len;
	}
	return true;
}

int tram_st_writer_add(struct tram_ctx *ctx, struct tram_st_writer *w, const char *name,
		       enum tram_st_dtype dtype, unsigned int ndim, const uint64_t *shape)
{
	struct out_tensor t = { .dtype = dtype, .ndim = ndim };
	unsigned int i;
	size_t j;

	if (w->streaming)
		return fail(w, tram_fail(ctx, -EINVAL,
					 "%s: tensor %s: declared after the first byte was written",
					 w->path, name));
	if (!is_text(name) || !strcmp(name, "__metadata__") || ndim > TRAM_ST_MAX_DIMS)
		return fail(w, tram_fail(ctx, -EINVAL,
					 "%s: tensor %s: %u dimensions, limit %d; its name must be UTF-8 and not __metadata__",
					 w->path, name, ndim, TRAM_ST_MAX_DIMS));
	for (j = 0; j < w->tensors.n; j++)
		if (!strcmp(w->tensors.v[j].name, name))
			return fail(w, tram_fail(ctx, -EINVAL, "%s: tensor %s: declared twice",
						 w->path, name));
	t.bytes = tram_st_dtype_bytes(dtype);
	for (i = 0; i < ndim; i++) {
		t.shape[i] = shape[i];
		if (tram_mul_overflow(t.bytes, shape[i], &t.bytes) || t.bytes > INT64_MAX)
			return fail(w, tram_fail(ctx, -EINVAL, "%s: tensor %s: shape overflows",
						 w->path, name));
	}
	t.name = tram_strdup(ctx, name);
	if (!t.name)
		return fail(w, -ENOMEM);
	if (tram_vec_push(ctx, &w->tensors, t)) {
		tram_free(ctx, t.name);
		return fail(w, -ENOMEM);
	}
	return 0;
}

int tram_st_writer_meta(struct tram_ctx *ctx, struct tram_st_writer *w, const char *key,
			const char *value)
{
	struct out_meta m;
	size_t i;

	if (w->streaming || !is_text(key) || !is_text(value) || !strncmp(key, "xxh3", 4))
		return fail(w, tram_fail(ctx, -EINVAL,
					 "%s: __metadata__.%s: must be UTF-8, not begin with xxh3, and come before the first byte",
					 w->path, key));
	for (i = 0; i < w->meta.n; i++)
		if (!strcmp(w->meta.v[i].key, key))
			return fail(w, tram_fail(ctx, -EINVAL, "%s: __metadata__.%s: given twice",
						 w->path, key));
	m.key = tram_strdup(ctx, key);
	m.value = tram_strdup(ctx, value);
	if (!m.key || !m.value || tram_vec_push(ctx, &w->meta, m)) {
		tram_free(ctx, m.key);
		tram_free(ctx, m.value);
		return fail(w, -ENOMEM);
	}
	return 0;
}

/* The bytes "xxh3":" stand at a place of their own: safetensors.c finds the digits there. */
static void render_meta(const struct tram_st_writer *w, struct tram_sbuf *sb, uint64_t header_hash)
{
	const char *sep = "";
	char hex[17];
	size_t i;

	tram_sbuf_adds(sb, "\"__metadata__\":{");
	if (w->hashed) {
		tram_hash64_hex(header_hash, hex);
		tram_sbuf_addf(sb, "\"xxh3\":\"%s\"", hex);
		sep = ",";
	}
	for (i = 0; i < w->meta.n; i++) {
		tram_sbuf_adds(sb, sep);
		tram_sbuf_json(sb, w->meta.v[i].key, strlen(w->meta.v[i].key));
		tram_sbuf_addc(sb, ':');
		tram_sbuf_json(sb, w->meta.v[i].value, strlen(w->meta.v[i].value));
		sep = ",";
	}
	for (i = 0; w->hashed && i < w->tensors.n; i++) {
		struct tram_sbuf key = TRAM_SBUF_INIT(sb->ctx);

		tram_sbuf_addf(&key, "xxh3:%s", w->tensors.v[i].name);
		if (key.err)
			sb->err = key.err;
		tram_hash64_hex(w->tensors.v[i].hash, hex);
		tram_sbuf_addc(sb, ',');
		tram_sbuf_json(sb, tram_sbuf_str(&key), key.n);
		tram_sbuf_addf(sb, ":\"%s\"", hex);
		tram_sbuf_free(&key);
	}
	tram_sbuf_addc(sb, '}');
}

/* Length word and header, padded so that the tensors begin at a multiple of 8. */
static int render(const struct tram_st_writer *w, struct tram_sbuf *sb, uint64_t header_hash)
{
	uint64_t at = 0, len = 0;
	bool first = true;
	size_t i;

	tram_sbuf_reset(sb);
	tram_sbuf_add(sb, &len, sizeof(len));
	tram_sbuf_addc(sb, '{');
	if (w->hashed || w->meta.n) {
		render_meta(w, sb, header_hash);
		first = false;
	}
	for (i = 0; i < w->tensors.n; i++) {
		const struct out_tensor *t = &w->tensors.v[i];

		if (!first)
			tram_sbuf_addc(sb, ',');
		first = false;
		tram_sbuf_json(sb, t->name, strlen(t->name));
		tram_sbuf_addf(sb, ":{\"dtype\":\"%s\",\"shape\":[", tram_st_dtype_name(t->dtype));
		for (unsigned int d = 0; d < t->ndim; d++)
			tram_sbuf_addf(sb, "%s%llu", d ? "," : "",
				       (unsigned long long)t->shape[d]);
		tram_sbuf_addf(sb, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
			       (unsigned long long)(at + t->bytes));
		at += t->bytes;
	}
	tram_sbuf_addc(sb, '}');
	while (sb->n % 8 && !sb->err)
		tram_sbuf_addc(sb, ' ');
	if (sb->err)
		return tram_fail_in(sb->ctx, sb->err, "%s", w->path);
	len = sb->n - sizeof(len);
	if (len > TRAM_ST_MAX_HEADER)
		return tram_fail(sb->ctx, -EFBIG, "%s: header length: %llu, limit %u", w->path,
				 (unsigned long long)len, TRAM_ST_MAX_HEADER);
	memcpy(sb->s, &len, sizeof(len));
	return 0;
}

/* Takes the next tensor that has bytes, or none. */
static void next_tensor(struct tram_st_writer *w)
{
	while (w->at < w->tensors.n && !w->tensors.v[w->at].bytes)
		w->tensors.v[w->at++].hash = tram_hash64("", 0);
	w->left = w->at < w->tensors.n ? w->tensors.v[w->at].bytes : 0;
	tram_xxh3_init(&w->h);
}

static int start(struct tram_ctx *ctx, struct tram_st_writer *w)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	int r;

	r = render(w, &sb, 0);
	if (!r)
		r = tram_writer_write(ctx, w->out, sb.s, sb.n);
	w->header = sb.n;
	w->streaming = true;
	next_tensor(w);
	tram_sbuf_free(&sb);
	return fail(w, r);
}

int tram_st_writer_write(struct tram_ctx *ctx, struct tram_st_writer *w, const void *data,
			 size_t n)
{
	const char *p = data;
	size_t k;

	if (w->err)
		return w->err;
	if (!w->streaming && start(ctx, w))
		return w->err;
	while (n) {
		if (w->at == w->tensors.n)
			return fail(w, tram_fail(ctx, -EINVAL,
						 "%s: %zu bytes past the end of the last tensor",
						 w->path, n));
		k = (size_t)TRAM_MIN((uint64_t)n, w->left);
		if (w->hashed)
			tram_xxh3_update(&w->h, p, k);
		if (fail(w, tram_writer_write(ctx, w->out, p, k)))
			return w->err;
		p += k;
		n -= k;
		w->left -= k;
		if (!w->left) {
			w->tensors.v[w->at++].hash = tram_xxh3_64(&w->h);
			next_tensor(w);
		}
	}
	return 0;
}

static int patch_hashes(struct tram_ctx *ctx, struct tram_st_writer *w)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	int r;

	r = render(w, &sb, 0);
	if (!r)
		r = render(w, &sb, tram_hash64(sb.s, sb.n));
	assert(r || sb.n == w->header);
	if (!r)
		r = tram_writer_patch(ctx, w->out, 0, sb.s, sb.n);
	tram_sbuf_free(&sb);
	return r;
}

int tram_st_writer_commit(struct tram_ctx *ctx, struct tram_st_writer **wp)
{
	struct tram_st_writer *w = *wp;
	int r = w->err;

	if (!r && !w->streaming)
		r = start(ctx, w);
	if (!r && w->at < w->tensors.n)
		r = tram_fail(ctx, -EINVAL, "%s: tensor %s: %llu bytes were never written", w->path,
			      w->tensors.v[w->at].name, (unsigned long long)w->left);
	if (!r && w->hashed)
		r = patch_hashes(ctx, w);
	if (!r)
		r = tram_writer_commit(ctx, &w->out);
	tram_st_writer_abort(ctx, wp);
	return r;
}

void tram_st_writer_abort(struct tram_ctx *ctx, struct tram_st_writer **wp)
{
	struct tram_st_writer *w = *wp;
	size_t i;

	*wp = NULL;
	if (!w)
		return;
	tram_writer_abort(ctx, &w->out);
	for (i = 0; i < w->tensors.n; i++)
		tram_free(ctx, w->tensors.v[i].name);
	for (i = 0; i < w->meta.n; i++) {
		tram_free(ctx, w->meta.v[i].key);
		tram_free(ctx, w->meta.v[i].value);
	}
	tram_vec_free(ctx, &w->tensors);
	tram_vec_free(ctx, &w->meta);
	tram_free(ctx, w->path);
	tram_free(ctx, w);
}
