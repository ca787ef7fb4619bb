/* SPDX-License-Identifier: MIT */
/*
 * Writer of GGUF: keys and tensors are declared, then the tensors' bytes
 * stream through. The header goes out with the first byte.
 */
#include "format/gguf.h"

#include "base/sbuf.h"
#include "base/vec.h"

#define ALIGNMENT 32u	/* the format's default: every reader knows it */

struct out_tensor {
	char name[TRAM_GGUF_MAX_NAME + 1];
	uint32_t type;
	unsigned int ndim;
	uint64_t shape[TRAM_GGUF_MAX_DIMS];
	uint64_t bytes, offset;
};

struct tram_gguf_writer {
	struct tram_ctx *ctx;
	struct tram_writer *out;
	char *path;
	int err;			/* of the first failure; sticks */
	struct tram_sbuf keys;		/* as they stand in the file */
	uint64_t n_keys, strings;	/* strings: those of an array that still lack */
	TRAM_VEC(struct out_tensor) tensors;
	uint64_t offset;		/* where the next tensor declared will lie */
	bool streaming;			/* the header is out */
	size_t at;			/* tensor whose bytes come next */
	uint64_t left;			/* bytes that it still lacks */
};

static int fail(struct tram_gguf_writer *w, int err)
{
	if (err && !w->err)
		w->err = err;
	return err;
}

int tram_gguf_writer_create(struct tram_ctx *ctx, const char *path, struct tram_gguf_writer **out)
{
	struct tram_gguf_writer *w;
	int r = -ENOMEM;

	*out = NULL;
	w = tram_zalloc(ctx, sizeof(*w));
	if (!w)
		return tram_fail_in(ctx, -ENOMEM, "%s", path);
	w->ctx = ctx;
	tram_sbuf_init(&w->keys, ctx);
	w->path = tram_strdup(ctx, path);
	if (w->path)
		r = tram_writer_create(ctx, path, &w->out);
	if (r) {
		tram_gguf_writer_abort(&w);
		return r;
	}
	*out = w;
	return 0;
}

/* --- metadata ---------------------------------------------------------------------- */

static void add_str(struct tram_gguf_writer *w, const char *s, uint64_t n)
{
	tram_sbuf_add(&w->keys, &n, sizeof(n));
	tram_sbuf_add(&w->keys, s, (size_t)n);
}

/* Begins a key; its value follows. */
static int begin(struct tram_gguf_writer *w, const char *key, enum tram_gguf_type type)
{
	const uint32_t t = type;

	if (w->err)
		return w->err;
	if (w->streaming || w->strings || !*key || strlen(key) > TRAM_GGUF_MAX_KEY ||
	    w->n_keys == TRAM_GGUF_MAX_KEYS)
		return fail(w, tram_fail(w->ctx, -EINVAL, "%s: key %s: must have a name, come before the first byte and not within an array",
					 w->path, key));
	w->n_keys++;
	add_str(w, key, strlen(key));
	tram_sbuf_add(&w->keys, &t, sizeof(t));
	return 0;
}

static int put(struct tram_gguf_writer *w, const char *key, enum tram_gguf_type type,
	       const void *v, size_t n)
{
	int r = begin(w, key, type);

	if (!r)
		tram_sbuf_add(&w->keys, v, n);
	return fail(w, r ? r : w->keys.err);
}

int tram_gguf_writer_u32(struct tram_gguf_writer *w, const char *key, uint32_t v)
{
	return put(w, key, TRAM_GGUF_U32, &v, sizeof(v));
}

int tram_gguf_writer_f32(struct tram_gguf_writer *w, const char *key, float v)
{
	return put(w, key, TRAM_GGUF_F32, &v, sizeof(v));
}

int tram_gguf_writer_bool(struct tram_gguf_writer *w, const char *key, bool v)
{
	const uint8_t b = v;

	return put(w, key, TRAM_GGUF_BOOL, &b, sizeof(b));
}

int tram_gguf_writer_str(struct tram_gguf_writer *w, const char *key, const char *v)
{
	int r = begin(w, key, TRAM_GGUF_STR);

	if (!r)
		add_str(w, v, strlen(v));
	return fail(w, r ? r : w->keys.err);
}

static int begin_array(struct tram_gguf_writer *w, const char *key, enum tram_gguf_type type,
		       uint64_t n)
{
	const uint32_t t = type;
	int r = begin(w, key, TRAM_GGUF_ARR);

	if (r)
		return r;
	tram_sbuf_add(&w->keys, &t, sizeof(t));
	tram_sbuf_add(&w->keys, &n, sizeof(n));
	return 0;
}

int tram_gguf_writer_strings(struct tram_gguf_writer *w, const char *key, uint64_t n)
{
	int r = begin_array(w, key, TRAM_GGUF_STR, n);

	if (!r)
		w->strings = n;
	return fail(w, r ? r : w->keys.err);
}

int tram_gguf_writer_string(struct tram_gguf_writer *w, const char *s, size_t n)
{
	if (w->err)
		return w->err;
	if (!w->strings)
		return fail(w, tram_fail(w->ctx, -EINVAL, "%s: a string past the end of its array",
					 w->path));
	w->strings--;
	add_str(w, s, n);
	return fail(w, w->keys.err);
}

int tram_gguf_writer_i32s(struct tram_gguf_writer *w, const char *key, const int32_t *v,
			  uint64_t n)
{
	int r = begin_array(w, key, TRAM_GGUF_I32, n);

	if (!r)
		tram_sbuf_add(&w->keys, v, (size_t)n * sizeof(*v));
	return fail(w, r ? r : w->keys.err);
}

/* --- tensors ------------------------------------------------------------------------- */

int tram_gguf_writer_add(struct tram_gguf_writer *w, const char *name, uint32_t type,
			 unsigned int ndim, const uint64_t *shape)
{
	struct out_tensor t = { .type = type, .ndim = ndim, .offset = w->offset };
	uint64_t n = 1;
	bool bad = w->streaming || !*name || strlen(name) > TRAM_GGUF_MAX_NAME || !ndim ||
		   ndim > TRAM_GGUF_MAX_DIMS || w->tensors.n == TRAM_GGUF_MAX_TENSORS;

	if (w->err)
		return w->err;
	for (size_t i = 0; !bad && i < w->tensors.n; i++)
		bad = !strcmp(w->tensors.v[i].name, name);
	for (unsigned int d = 0; !bad && d < ndim; d++) {
		t.shape[d] = shape[d];
		bad = tram_mul_overflow(n, shape[d], &n);
	}
	if (!bad)
		t.bytes = tram_gguf_bytes(type, shape[ndim - 1], n);
	if (!t.bytes)
		return fail(w, tram_fail(w->ctx, -EINVAL, "%s: tensor %s: must be declared once, before the first byte, with 1 to %d dimensions, rows that are whole blocks of %s and a name of at most %u bytes",
					 w->path, name, TRAM_GGUF_MAX_DIMS,
					 tram_gguf_tensor_type_name(type), TRAM_GGUF_MAX_NAME));
	strcpy(t.name, name);
	if (tram_vec_push(w->ctx, &w->tensors, t))
		return fail(w, -ENOMEM);
	w->offset = TRAM_ALIGN_UP(w->offset + t.bytes, (uint64_t)ALIGNMENT);
	return 0;
}

static int pad(struct tram_gguf_writer *w)
{
	static const char zero[ALIGNMENT];
	const uint64_t at = tram_writer_pos(w->out);

	return tram_writer_write(w->ctx, w->out, zero,
				 (size_t)(TRAM_ALIGN_UP(at, (uint64_t)ALIGNMENT) - at));
}

static void render(const struct tram_gguf_writer *w, struct tram_sbuf *sb)
{
	static const uint32_t version = 3;
	const uint64_t counts[2] = { w->tensors.n, w->n_keys };

	tram_sbuf_add(sb, "GGUF", 4);
	tram_sbuf_add(sb, &version, sizeof(version));
	tram_sbuf_add(sb, counts, sizeof(counts));
	tram_sbuf_add(sb, tram_sbuf_str(&w->keys), w->keys.n);
	for (size_t i = 0; i < w->tensors.n; i++) {
		const struct out_tensor *t = &w->tensors.v[i];
		const uint64_t len = strlen(t->name);
		const uint32_t ndim = t->ndim;

		tram_sbuf_add(sb, &len, sizeof(len));
		tram_sbuf_add(sb, t->name, (size_t)len);
		tram_sbuf_add(sb, &ndim, sizeof(ndim));
		for (unsigned int d = t->ndim; d-- > 0;)
			tram_sbuf_add(sb, &t->shape[d], sizeof(t->shape[d]));
		tram_sbuf_add(sb, &t->type, sizeof(t->type));
		tram_sbuf_add(sb, &t->offset, sizeof(t->offset));
	}
}

static int start(struct tram_gguf_writer *w)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(w->ctx);
	int r = 0;

	if (w->strings)
		return fail(w, tram_fail(w->ctx, -EINVAL, "%s: %llu strings of an array were never written",
					 w->path, (unsigned long long)w->strings));
	render(w, &sb);
	if (sb.err)
		r = tram_fail_in(w->ctx, sb.err, "%s", w->path);
	else if (sb.n > TRAM_GGUF_MAX_HEADER)
		r = tram_fail(w->ctx, -EFBIG, "%s: header: %zu bytes, limit %u", w->path, sb.n,
			      TRAM_GGUF_MAX_HEADER);
	r = r ? r : tram_writer_write(w->ctx, w->out, sb.s, sb.n);
	r = r ? r : pad(w);
	tram_sbuf_free(&sb);
	w->streaming = true;
	w->left = w->tensors.n ? w->tensors.v[0].bytes : 0;
	return fail(w, r);
}

int tram_gguf_writer_write(struct tram_gguf_writer *w, const void *data, size_t n)
{
	const char *p = data;

	if (w->err)
		return w->err;
	if (!w->streaming && start(w))
		return w->err;
	while (n) {
		size_t k = (size_t)TRAM_MIN((uint64_t)n, w->left);

		if (w->at == w->tensors.n)
			return fail(w, tram_fail(w->ctx, -EINVAL, "%s: %zu bytes past the end of the last tensor",
						 w->path, n));
		if (fail(w, tram_writer_write(w->ctx, w->out, p, k)))
			return w->err;
		p += k;
		n -= k;
		w->left -= k;
		if (w->left)
			continue;
		/* ggml's reader wants the padding behind the last one too. */
		if (fail(w, pad(w)))
			return w->err;
		w->at++;
		w->left = w->at < w->tensors.n ? w->tensors.v[w->at].bytes : 0;
	}
	return 0;
}

int tram_gguf_writer_commit(struct tram_gguf_writer **wp)
{
	struct tram_gguf_writer *w = *wp;
	int r = w->err;

	if (!r && !w->streaming)
		r = start(w);
	if (!r && w->at < w->tensors.n)
		r = tram_fail(w->ctx, -EINVAL, "%s: tensor %s: %llu bytes were never written",
			      w->path, w->tensors.v[w->at].name, (unsigned long long)w->left);
	if (!r)
		r = tram_writer_commit(w->ctx, &w->out);
	tram_gguf_writer_abort(wp);
	return r;
}

void tram_gguf_writer_abort(struct tram_gguf_writer **wp)
{
	struct tram_gguf_writer *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	tram_writer_abort(w->ctx, &w->out);
	tram_vec_free(w->ctx, &w->tensors);
	tram_sbuf_free(&w->keys);
	tram_free(w->ctx, w->path);
	tram_free(w->ctx, w);
}
