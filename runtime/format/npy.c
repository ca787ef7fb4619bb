/* SPDX-License-Identifier: MIT */
/*
 * .npy reader and writer. The header is a Python dict literal of three known
 * keys (numpy.lib.format); struct scan reads just that, top-down from
 * read_dict().
 */
#include "format/npy.h"
#include "base/sbuf.h"

#include <stdio.h>

#define MAGIC "\x93NUMPY"

struct dtype { const char *name; unsigned int bytes; };
static const struct dtype dtypes[TRAM_NPY_DTYPES];

const char *tram_npy_dtype_name(enum tram_npy_dtype t)
{
	return dtypes[t].name;
}

unsigned int tram_npy_dtype_bytes(enum tram_npy_dtype t)
{
	return dtypes[t].bytes;
}

struct scan {
	struct tram_ctx *ctx;
	const char *file;
	const char *text;	/* NUL behind */
	size_t at;
};

static int unexpected(struct scan *s, const char *needed)
{
	return tram_fail(s->ctx, -EINVAL, "%s: header: byte %zu: 0x%02x, %s is needed", s->file,
			 s->at, (unsigned char)s->text[s->at], needed);
}

static void skip_space(struct scan *s)
{
	while (s->text[s->at] == ' ' || s->text[s->at] == '\t')
		s->at++;
}

static bool take(struct scan *s, char c)
{
	skip_space(s);
	if (s->text[s->at] != c)
		return false;
	s->at++;
	return true;
}

static int read_string(struct scan *s, char out[16])
{
	char quote;
	size_t n = 0;

	skip_space(s);
	quote = s->text[s->at];
	if (quote != '\'' && quote != '"')
		return unexpected(s, "a string");
	s->at++;
	while (s->text[s->at] && s->text[s->at] != quote) {
		if (n == 15 || s->text[s->at] == '\\')
			return unexpected(s, "the end of a short string");
		out[n++] = s->text[s->at++];
	}
	out[n] = '\0';
	return take(s, quote) ? 0 : unexpected(s, "a quote");
}

static int read_number(struct scan *s, uint64_t *out)
{
	uint64_t x = 0;

	skip_space(s);
	if (s->text[s->at] < '0' || s->text[s->at] > '9')
		return unexpected(s, "a length of the shape");
	while (s->text[s->at] >= '0' && s->text[s->at] <= '9') {
		if (tram_mul_overflow(x, 10, &x) ||
		    tram_add_overflow(x, (uint64_t)(s->text[s->at] - '0'), &x))
			return tram_fail(s->ctx, -EINVAL, "%s: shape: a length over 2^64 - 1",
					 s->file);
		s->at++;
	}
	*out = x;
	return 0;
}

static int read_shape(struct scan *s, struct tram_npy *npy)
{
	int r;

	if (!take(s, '('))
		return unexpected(s, "a shape in parentheses");
	while (!take(s, ')')) {
		if (npy->ndim == TRAM_NPY_MAX_DIMS)
			return tram_fail(s->ctx, -EINVAL, "%s: shape: more than %d dimensions",
					 s->file, TRAM_NPY_MAX_DIMS);
		r = read_number(s, &npy->shape[npy->ndim]);
		if (r)
			return r;
		npy->ndim++;
		if (take(s, ','))
			continue;
		if (npy->ndim == 1 || !take(s, ')'))
			return unexpected(s, "a comma");
		break;
	}
	return 0;
}

static int read_descr(struct scan *s, struct tram_npy *npy)
{
	char descr[16];
	int r;

	skip_space(s);
	if (s->text[s->at] == '[')
		return tram_fail(s->ctx, -EINVAL, "%s: descr: records, plain numbers are needed",
				 s->file);
	r = read_string(s, descr);
	if (r)
		return r;
	for (npy->dtype = 0; npy->dtype < TRAM_NPY_DTYPES; npy->dtype++)
		if (!strcmp(descr, dtypes[npy->dtype].name))
			return 0;
	return tram_fail(s->ctx, -EINVAL,
			 "%s: descr: \"%s\", <f4 <f8 <f2 <i4 <i8 <u2 and the like are known; save with .astype('<f4')",
			 s->file, descr);
}

static int read_order(struct scan *s)
{
	skip_space(s);
	if (!strncmp(s->text + s->at, "False", 5)) {
		s->at += 5;
		return 0;
	}
	if (!strncmp(s->text + s->at, "True", 4))
		return tram_fail(s->ctx, -EINVAL,
				 "%s: fortran_order: True, False is needed; save numpy.ascontiguousarray(x)",
				 s->file);
	return unexpected(s, "True or False");
}

static int read_dict(struct scan *s, struct tram_npy *npy)
{
	static const char *const keys[] = { "descr", "fortran_order", "shape" };
	unsigned int seen = 0, k;
	char key[16];
	int r;

	if (!take(s, '{'))
		return unexpected(s, "'{'");
	while (!take(s, '}')) {
		r = read_string(s, key);
		if (r)
			return r;
		for (k = 0; k < 3 && strcmp(key, keys[k]); k++)
			;
		if (k == 3 || (seen & 1u << k))
			return tram_fail(s->ctx, -EINVAL, "%s: header: key \"%s\" is %s", s->file,
					 key, k == 3 ? "unknown" : "there twice");
		seen |= 1u << k;
		if (!take(s, ':'))
			return unexpected(s, "':'");
		r = k == 0 ? read_descr(s, npy) : k == 1 ? read_order(s) : read_shape(s, npy);
		if (r)
			return r;
		if (!take(s, ',')) {
			if (!take(s, '}'))
				return unexpected(s, "',' or '}'");
			break;
		}
	}
	for (k = 0; k < 3; k++)
		if (!(seen & 1u << k))
			return tram_fail(s->ctx, -EINVAL, "%s: %s: is missing", s->file, keys[k]);
	skip_space(s);
	if (s->text[s->at] != '\n' || s->text[s->at + 1])
		return unexpected(s, "a line feed at the end of the header");
	return 0;
}

static int check_size(struct tram_ctx *ctx, struct tram_npy *npy)
{
	uint64_t n = 1, bytes, room = npy->src->size - npy->offset;
	unsigned int i;

	for (i = 0; i < npy->ndim; i++)
		if (!npy->shape[i])
			n = 0;
	for (i = 0; i < npy->ndim && n; i++)
		if (tram_mul_overflow(n, npy->shape[i], &n))
			goto overflow;
	if (tram_mul_overflow(n, dtypes[npy->dtype].bytes, &bytes))
		goto overflow;
	if (bytes != room)
		return tram_fail(ctx, -EINVAL,
				 "%s: shape: needs %llu bytes, the file has %llu behind the header",
				 npy->src->name, (unsigned long long)bytes,
				 (unsigned long long)room);
	npy->n = n;
	return 0;

overflow:
	return tram_fail(ctx, -EINVAL, "%s: shape: product overflows, limit 2^64 bytes",
			 npy->src->name);
}

int tram_npy_open_source(struct tram_ctx *ctx, const struct tram_source *src,
			 struct tram_npy *npy)
{
	struct scan s = { ctx, src->name, NULL, 0 };
	unsigned char head[12];
	uint32_t len, word;
	char *text;
	int r;

	*npy = (struct tram_npy){ .src = src };
	if (src->size < 10)
		return tram_fail(ctx, -EINVAL, "%s: %llu bytes, an npy file has at least 10",
				 src->name, (unsigned long long)src->size);
	r = tram_source_read(ctx, src, 0, head, (size_t)TRAM_MIN(src->size, sizeof(head)));
	if (r)
		return r;
	if (memcmp(head, MAGIC, 6))
		return tram_fail(ctx, -EINVAL, "%s: magic: not that of an npy file", src->name);
	npy->version = head[6];
	if (npy->version < 1 || npy->version > 3 || head[7])
		return tram_fail(ctx, -EINVAL, "%s: version: %u.%u, 1.0 2.0 and 3.0 are known",
				 src->name, head[6], head[7]);
	word = npy->version == 1 ? 2 : 4;
	if (src->size < 8 + word)
		return tram_fail(ctx, -EINVAL, "%s: header length: cut off at byte %llu", src->name,
				 (unsigned long long)src->size);
	len = head[8] | (uint32_t)head[9] << 8;
	if (word == 4)
		len |= (uint32_t)head[10] << 16 | (uint32_t)head[11] << 24;
	npy->offset = 8 + word + (uint64_t)len;
	if (len > TRAM_NPY_MAX_HEADER || npy->offset > src->size)
		return tram_fail(ctx, -EINVAL, "%s: header length: %u, limit %llu", src->name, len,
				 (unsigned long long)TRAM_MIN((uint64_t)TRAM_NPY_MAX_HEADER,
							      src->size - 8 - word));
	text = tram_alloc(ctx, (size_t)len + 2);
	if (!text)
		return tram_fail_in(ctx, -ENOMEM, "%s", src->name);
	r = tram_source_read(ctx, src, 8 + word, text, len);
	text[len] = text[len + 1] = '\0';
	s.text = text;
	if (!r && memchr(text, '\0', len))
		r = tram_fail(ctx, -EINVAL, "%s: header: holds a NUL byte", src->name);
	if (!r)
		r = read_dict(&s, npy);
	if (!r)
		r = check_size(ctx, npy);
	tram_free(ctx, text);
	return r;
}

int tram_npy_open(struct tram_ctx *ctx, const char *path, struct tram_npy *npy)
{
	struct tram_file *file;
	int r;

	*npy = (struct tram_npy){ 0 };
	r = tram_file_open(ctx, path, &file);
	if (r)
		return r;
	r = tram_npy_open_source(ctx, tram_file_source(file), npy);
	npy->file = file;
	if (r)
		tram_npy_close(ctx, npy);
	return r;
}

void tram_npy_close(struct tram_ctx *ctx, struct tram_npy *npy)
{
	tram_file_close(ctx, &npy->file);
	npy->src = NULL;
}

int tram_npy_read(struct tram_ctx *ctx, const struct tram_npy *npy, uint64_t first, void *buf,
		  size_t n)
{
	unsigned int w = dtypes[npy->dtype].bytes;

	if (first > npy->n || n > npy->n - first)
		return tram_fail(ctx, -EINVAL, "%s: elements %llu + %zu asked for, it has %llu",
				 npy->src->name, (unsigned long long)first, n,
				 (unsigned long long)npy->n);
	return tram_source_read(ctx, npy->src, npy->offset + first * w, buf, n * w);
}

/* Writer */

struct tram_npy_writer {
	struct tram_writer *out;
	unsigned int width;
	uint64_t left;		/* elements still to come */
	int err;
	char path[];
};

/* numpy.lib.format: dict, spaces, a line feed; the data begins at a multiple of 64. */
static int header_write(struct tram_ctx *ctx, struct tram_npy_writer *w, enum tram_npy_dtype dtype,
			unsigned int ndim, const uint64_t *shape)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	unsigned int i, len;
	int r;

	tram_sbuf_add(&sb, MAGIC "\x01\x00\x00\x00", 10);
	tram_sbuf_addf(&sb, "{'descr': '%s', 'fortran_order': False, 'shape': (",
		       dtypes[dtype].name);
	for (i = 0; i < ndim; i++)
		tram_sbuf_addf(&sb, i + 1 < ndim || ndim == 1 ? "%llu, " : "%llu",
			       (unsigned long long)shape[i]);
	if (ndim == 1 && !sb.err)
		sb.n--;			/* "(3, " becomes "(3," */
	tram_sbuf_adds(&sb, "), }");
	while ((sb.n + 1) % 64 && !sb.err)
		tram_sbuf_addc(&sb, ' ');
	tram_sbuf_addc(&sb, '\n');
	if (sb.err) {
		r = tram_fail_in(ctx, sb.err, "%s", w->path);
	} else {
		len = (unsigned int)sb.n - 10;
		sb.s[8] = (char)(len & 255);
		sb.s[9] = (char)(len >> 8);
		r = tram_writer_write(ctx, w->out, sb.s, sb.n);
	}
	tram_sbuf_free(&sb);
	return r;
}

int tram_npy_writer_create(struct tram_ctx *ctx, const char *path, enum tram_npy_dtype dtype,
			   unsigned int ndim, const uint64_t *shape, struct tram_npy_writer **out)
{
	struct tram_npy_writer *w;
	size_t len = strlen(path) + 1;
	uint64_t n = 1, bytes;
	unsigned int i;
	int r;

	*out = NULL;
	if (ndim > TRAM_NPY_MAX_DIMS)
		return tram_fail(ctx, -EINVAL, "%s: shape: %u dimensions, limit %d", path, ndim,
				 TRAM_NPY_MAX_DIMS);
	for (i = 0; i < ndim; i++)
		if (tram_mul_overflow(n, shape[i], &n))
			return tram_fail(ctx, -EINVAL, "%s: shape: product overflows", path);
	if (tram_mul_overflow(n, dtypes[dtype].bytes, &bytes) || bytes > INT64_MAX)
		return tram_fail(ctx, -EINVAL, "%s: shape: product overflows", path);
	w = tram_zalloc(ctx, sizeof(*w) + len);
	if (!w)
		return tram_fail_in(ctx, -ENOMEM, "%s", path);
	memcpy(w->path, path, len);
	w->width = dtypes[dtype].bytes;
	w->left = n;
	r = tram_writer_create(ctx, path, &w->out);
	if (!r)
		r = header_write(ctx, w, dtype, ndim, shape);
	if (r) {
		tram_npy_writer_abort(ctx, &w);
		return r;
	}
	*out = w;
	return 0;
}

int tram_npy_writer_write(struct tram_ctx *ctx, struct tram_npy_writer *w, const void *data,
			  size_t n)
{
	if (w->err)
		return w->err;
	if (n > w->left)
		w->err = tram_fail(ctx, -EINVAL, "%s: %zu elements, the shape has room for %llu",
				   w->path, n, (unsigned long long)w->left);
	else
		w->err = tram_writer_write(ctx, w->out, data, n * w->width);
	if (!w->err)
		w->left -= n;
	return w->err;
}

int tram_npy_writer_commit(struct tram_ctx *ctx, struct tram_npy_writer **wp)
{
	struct tram_npy_writer *w = *wp;
	int r = w->err;

	if (!r && w->left)
		r = tram_fail(ctx, -EINVAL, "%s: %llu elements of the shape were never written",
			      w->path, (unsigned long long)w->left);
	if (!r)
		r = tram_writer_commit(ctx, &w->out);
	tram_npy_writer_abort(ctx, wp);
	return r;
}

void tram_npy_writer_abort(struct tram_ctx *ctx, struct tram_npy_writer **wp)
{
	struct tram_npy_writer *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	tram_writer_abort(ctx, &w->out);
	tram_free(ctx, w);
}

int tram_npy_store(struct tram_ctx *ctx, const char *path, enum tram_npy_dtype dtype,
		   unsigned int ndim, const uint64_t *shape, const void *data)
{
	struct tram_npy_writer *w;
	int r;

	r = tram_npy_writer_create(ctx, path, dtype, ndim, shape, &w);
	if (r)
		return r;
	tram_npy_writer_write(ctx, w, data, (size_t)w->left);
	return tram_npy_writer_commit(ctx, &w);
}

static const struct dtype dtypes[TRAM_NPY_DTYPES] = {
	[TRAM_NPY_BOOL] = { "|b1", 1 },
	[TRAM_NPY_I8] = { "|i1", 1 },
	[TRAM_NPY_U8] = { "|u1", 1 },
	[TRAM_NPY_I16] = { "<i2", 2 },
	[TRAM_NPY_U16] = { "<u2", 2 },
	[TRAM_NPY_F16] = { "<f2", 2 },
	[TRAM_NPY_I32] = { "<i4", 4 },
	[TRAM_NPY_U32] = { "<u4", 4 },
	[TRAM_NPY_F32] = { "<f4", 4 },
	[TRAM_NPY_I64] = { "<i8", 8 },
	[TRAM_NPY_U64] = { "<u8", 8 },
	[TRAM_NPY_F64] = { "<f8", 8 },
};
