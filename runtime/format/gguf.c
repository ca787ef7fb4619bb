/* SPDX-License-Identifier: MIT */
/*
 * Reader of GGUF. walk() goes through header, keys and the table of tensors;
 * it does so twice: first through a small window on the file, which checks
 * everything and finds where the header ends, then over the header in memory,
 * which fills the tables. So nothing is allocated by a number that stands in
 * the file, only by bytes that are there. Values are read later by pread.
 */
#include "format/gguf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/sbuf.h"

#define VERSION		3u
#define WINDOW		4096
#define WHAT		80	/* of a message: which key or tensor */
#define MIN_KEY		14	/* bytes of the shortest key with its value */
#define MIN_TENSOR	33	/* the same of a row of the tensor table */

struct tram_gguf {
	const struct tram_source *src;
	struct tram_file *file;			/* NULL when opened from a source */
	unsigned char *head;			/* everything in front of the tensors */
	struct tram_gguf_value *keys;
	struct tram_gguf_tensor *tensors;
	const struct tram_gguf_tensor **by_name;
	const struct tram_gguf_value **by_key;
	size_t n_keys, n_tensors;
	uint32_t alignment;
	uint64_t data;				/* offset of the tensors' bytes */
};

/* --- a cursor on the header --------------------------------------------------------- */

struct cursor {
	struct tram_ctx *ctx;
	const struct tram_source *src;
	unsigned char *mem;		/* the header in memory; NULL in the first pass */
	uint64_t at, end;		/* end: of the file, or of the header */
	unsigned char window[WINDOW];
	uint64_t window_at;
	size_t window_n;
};

static int too_short(struct cursor *c, const char *what, uint64_t n)
{
	return tram_fail(c->ctx, -EINVAL, "%s: %s: %llu bytes needed at byte %llu, the %s %llu",
			 c->src->name, what, (unsigned long long)n, (unsigned long long)c->at,
			 c->end == c->src->size ? "file has" : "header's limit is",
			 (unsigned long long)c->end);
}

/* The next @n bytes, at most 8. */
static int take(struct cursor *c, const char *what, void *out, size_t n)
{
	if (n > c->end - c->at)
		return too_short(c, what, n);
	if (c->mem) {
		memcpy(out, c->mem + c->at, n);
		c->at += n;
		return 0;
	}
	if (c->at < c->window_at || c->at + n > c->window_at + c->window_n) {
		int r;

		c->window_at = c->at;
		c->window_n = (size_t)TRAM_MIN(c->end - c->at, (uint64_t)WINDOW);
		r = tram_source_read(c->ctx, c->src, c->at, c->window, c->window_n);
		if (r)
			return r;
	}
	memcpy(out, c->window + (c->at - c->window_at), n);
	c->at += n;
	return 0;
}

static int take_u32(struct cursor *c, const char *what, uint32_t *v)
{
	return take(c, what, v, sizeof(*v));
}

static int take_u64(struct cursor *c, const char *what, uint64_t *v)
{
	return take(c, what, v, sizeof(*v));
}

static int skip(struct cursor *c, const char *what, uint64_t n)
{
	if (n > c->end - c->at)
		return too_short(c, what, n);
	c->at += n;
	return 0;
}

/*
 * A string: in the second pass *@s points at it, with a NUL behind it. For
 * that it moves one byte to the left, over its own length, which is in *@n.
 */
static int take_str(struct cursor *c, const char *what, uint64_t max, const char **s, uint64_t *n)
{
	unsigned char *p;
	int r = take_u64(c, what, n);

	if (r)
		return r;
	if (*n > max)
		return tram_fail(c->ctx, -EINVAL, "%s: %s: length %llu, limit %llu", c->src->name,
				 what, (unsigned long long)*n, (unsigned long long)max);
	r = skip(c, what, *n);
	*s = NULL;
	if (r || !c->mem)
		return r;
	p = c->mem + c->at - *n - 1;
	memmove(p, p + 1, *n);
	p[*n] = '\0';
	*s = (const char *)p;
	return 0;
}

/* The name that was just taken, looked at in full; @shown is "key NAME", for messages. */
static int check_name(struct cursor *c, const char *what, uint64_t i, uint64_t n,
		      char shown[WHAT])
{
	char *buf;
	size_t k, len;
	int r = 0;

	shown[0] = '\0';
	if (!n)
		return tram_fail(c->ctx, -EINVAL, "%s: %s %llu: its name is empty", c->src->name, what,
				 (unsigned long long)i);
	buf = tram_alloc(c->ctx, (size_t)n);
	if (!buf)
		return tram_fail_in(c->ctx, -ENOMEM, "%s", c->src->name);
	if (c->mem)
		memcpy(buf, c->mem + c->at - n - 1, (size_t)n);
	else
		r = tram_source_read(c->ctx, c->src, c->at - n, buf, (size_t)n);
	for (k = 0; !r && k < n; k += len) {
		len = tram_utf8_len(buf + k, (size_t)n - k);
		if (!len || (unsigned char)buf[k] < 0x20)
			r = tram_fail(c->ctx, -EINVAL,
				      "%s: %s %llu: byte %zu of its name is 0x%02x, printable UTF-8 is needed",
				      c->src->name, what, (unsigned long long)i, k,
				      (unsigned char)buf[k]);
	}
	if (!r)
		snprintf(shown, WHAT, "%s %.*s", what, (int)n, buf);
	tram_free(c->ctx, buf);
	return r;
}

/* --- metadata ------------------------------------------------------------------------- */

static int check_type(struct cursor *c, const char *what, uint32_t type)
{
	if (type < TRAM_GGUF_TYPES)
		return 0;
	return tram_fail(c->ctx, -EINVAL, "%s: %s: type %u, limit %d", c->src->name, what, type,
			 TRAM_GGUF_TYPES - 1);
}

static int take_bool(struct cursor *c, const char *what, uint64_t *out)
{
	uint8_t b;
	int r = take(c, what, &b, 1);

	if (!r && b > 1)
		return tram_fail(c->ctx, -EINVAL, "%s: %s: boolean %u, 0 or 1 is needed",
				 c->src->name, what, b);
	*out = b;
	return r;
}

static int walk_array(struct cursor *c, const char *what, unsigned int depth,
		      struct tram_gguf_array *out)
{
	uint32_t type;
	uint64_t n, len, bytes, b;
	struct tram_gguf_array inner;
	int r = take_u32(c, what, &type);

	r = r ? r : check_type(c, what, type);
	r = r ? r : take_u64(c, what, &n);
	if (r)
		return r;
	out->type = type;
	out->n = n;
	out->data = c->mem ? c->mem + c->at : NULL;
	/* An element takes a byte at least: no count goes beyond the bytes that are left. */
	if (n > c->end - c->at)
		return tram_fail(c->ctx, -EINVAL, "%s: %s: array of %llu elements, limit %llu (bytes left)",
				 c->src->name, what, (unsigned long long)n,
				 (unsigned long long)(c->end - c->at));
	if (type == TRAM_GGUF_ARR && depth >= TRAM_GGUF_MAX_DEPTH)
		return tram_fail(c->ctx, -EINVAL, "%s: %s: arrays nested deeper than %d",
				 c->src->name, what, TRAM_GGUF_MAX_DEPTH);
	if (type != TRAM_GGUF_ARR && type != TRAM_GGUF_STR && type != TRAM_GGUF_BOOL) {
		if (tram_mul_overflow(n, tram_gguf_type_bytes(type), &bytes))
			bytes = UINT64_MAX;
		return skip(c, what, bytes);
	}
	for (uint64_t i = 0; !r && i < n; i++) {
		if (type == TRAM_GGUF_ARR) {
			r = walk_array(c, what, depth + 1, &inner);
		} else if (type == TRAM_GGUF_BOOL) {
			r = take_bool(c, what, &b);
		} else {
			r = take_u64(c, what, &len);
			r = r ? r : skip(c, what, len);
		}
	}
	return r;
}

static int take_number(struct cursor *c, const char *what, struct tram_gguf_value *v)
{
	union {
		uint8_t u8; int8_t i8; uint16_t u16; int16_t i16; uint32_t u32; int32_t i32;
		uint64_t u64; int64_t i64; float f32; double f64;
	} x;
	int r = take(c, what, &x, tram_gguf_type_bytes(v->type));

	if (r)
		return r;
	switch (v->type) {
	case TRAM_GGUF_U8: v->u = x.u8; break;
	case TRAM_GGUF_I8: v->i = x.i8; break;
	case TRAM_GGUF_U16: v->u = x.u16; break;
	case TRAM_GGUF_I16: v->i = x.i16; break;
	case TRAM_GGUF_U32: v->u = x.u32; break;
	case TRAM_GGUF_I32: v->i = x.i32; break;
	case TRAM_GGUF_U64: v->u = x.u64; break;
	case TRAM_GGUF_I64: v->i = x.i64; break;
	case TRAM_GGUF_F32: v->f = (double)x.f32; break;
	default: v->f = x.f64; break;
	}
	return 0;
}

static int walk_key(struct cursor *c, uint64_t i, struct tram_gguf_value *v)
{
	char what[WHAT];
	uint64_t n;
	uint32_t type;
	int r = take_str(c, "length of a key", TRAM_GGUF_MAX_KEY, &v->key, &n);

	r = r ? r : check_name(c, "key", i, n, what);
	r = r ? r : take_u32(c, what, &type);
	r = r ? r : check_type(c, what, type);
	if (r)
		return r;
	v->type = type;
	switch (v->type) {
	case TRAM_GGUF_STR:
		return take_str(c, what, TRAM_GGUF_MAX_HEADER, &v->str.s, &v->str.n);
	case TRAM_GGUF_ARR:
		return walk_array(c, what, 1, &v->arr);
	case TRAM_GGUF_BOOL:
		return take_bool(c, what, &v->u);
	default:
		return take_number(c, what, v);
	}
}

/* --- tensors ----------------------------------------------------------------------------- */

static int check_dims(struct cursor *c, const char *what, const uint64_t *ne,
		      struct tram_gguf_tensor *t)
{
	const uint32_t block = tram_gguf_block(t->type);

	if (!block)
		return tram_fail(c->ctx, -EINVAL, "%s: %s: type %u is not one of ggml's; F32, F16, BF16 and Q8_0 are read",
				 c->src->name, what, t->type);
	t->n = 1;
	for (unsigned int d = 0; d < t->ndim; d++) {
		if (!ne[d] || ne[d] > INT64_MAX)
			return tram_fail(c->ctx, -EINVAL, "%s: %s: dimension %u: %llu, limit 1 to 2^63 - 1",
					 c->src->name, what, d, (unsigned long long)ne[d]);
		t->shape[t->ndim - 1 - d] = ne[d];
		if (tram_mul_overflow(t->n, ne[d], &t->n))
			return tram_fail(c->ctx, -EINVAL, "%s: %s: dimensions: product overflows, limit 2^63 bytes",
					 c->src->name, what);
	}
	if (ne[0] % block)
		return tram_fail(c->ctx, -EINVAL, "%s: %s: dimension 0: %llu, a multiple of %u is needed for %s",
				 c->src->name, what, (unsigned long long)ne[0], block,
				 tram_gguf_tensor_type_name(t->type));
	t->bytes = tram_gguf_bytes(t->type, ne[0], t->n);
	if (!t->bytes)
		return tram_fail(c->ctx, -EINVAL, "%s: %s: dimensions: product overflows, limit 2^63 bytes",
				 c->src->name, what);
	return 0;
}

static int walk_tensor(struct cursor *c, uint64_t i, struct tram_gguf_tensor *t)
{
	char what[WHAT];
	uint64_t ne[TRAM_GGUF_MAX_DIMS] = { 0 }, n;
	uint32_t ndim;
	int r = take_str(c, "length of a tensor's name", TRAM_GGUF_MAX_NAME, &t->name, &n);

	r = r ? r : check_name(c, "tensor", i, n, what);
	r = r ? r : take_u32(c, what, &ndim);
	if (!r && (ndim < 1 || ndim > TRAM_GGUF_MAX_DIMS))
		r = tram_fail(c->ctx, -EINVAL, "%s: %s: %u dimensions, limit 1 to %d",
			      c->src->name, what, ndim, TRAM_GGUF_MAX_DIMS);
	if (r)
		return r;
	t->ndim = ndim;
	for (uint32_t d = 0; !r && d < ndim; d++)
		r = take_u64(c, what, &ne[d]);
	r = r ? r : take_u32(c, what, &t->type);
	r = r ? r : take_u64(c, what, &t->offset);
	return r ? r : check_dims(c, what, ne, t);
}

/* --- the whole header ----------------------------------------------------------------------- */

static int check_count(struct cursor *c, const char *what, uint64_t n, uint64_t max,
		       unsigned int bytes)
{
	uint64_t limit = TRAM_MIN(max, (c->end - c->at) / bytes);

	if (n <= limit)
		return 0;
	return tram_fail(c->ctx, -EINVAL, "%s: number of %s: %llu, limit %llu", c->src->name, what,
			 (unsigned long long)n, (unsigned long long)limit);
}

static int walk_start(struct cursor *c, uint64_t *n_tensors, uint64_t *n_keys)
{
	char magic[4];
	uint32_t version;
	int r = take(c, "magic", magic, 4);

	if (!r && memcmp(magic, "GGUF", 4))
		r = tram_fail(c->ctx, -EINVAL, "%s: magic: bytes %02x %02x %02x %02x, \"GGUF\" is needed",
			      c->src->name, (unsigned char)magic[0], (unsigned char)magic[1],
			      (unsigned char)magic[2], (unsigned char)magic[3]);
	r = r ? r : take_u32(c, "version", &version);
	if (!r && version == __builtin_bswap32(VERSION))
		r = tram_fail(c->ctx, -ENOTSUP, "%s: byte order: big-endian, only little-endian is supported; convert it again for this machine",
			      c->src->name);
	if (!r && version != VERSION)
		r = tram_fail(c->ctx, -ENOTSUP, "%s: version: %u, only %u is supported; convert it again with a current llama.cpp",
			      c->src->name, version, VERSION);
	r = r ? r : take_u64(c, "number of tensors", n_tensors);
	r = r ? r : take_u64(c, "number of keys", n_keys);
	r = r ? r : check_count(c, "keys", *n_keys, TRAM_GGUF_MAX_KEYS, MIN_KEY);
	return r ? r : check_count(c, "tensors", *n_tensors, TRAM_GGUF_MAX_TENSORS, MIN_TENSOR);
}

/* The second pass fills @g's tables; they are NULL in the first. */
static int walk(struct cursor *c, struct tram_gguf *g)
{
	struct tram_gguf_value v;
	struct tram_gguf_tensor t;
	uint64_t n_tensors, n_keys;
	int r = walk_start(c, &n_tensors, &n_keys);

	if (r)
		return r;
	g->n_keys = (size_t)n_keys;
	g->n_tensors = (size_t)n_tensors;
	for (uint64_t i = 0; !r && i < n_keys; i++) {
		memset(&v, 0, sizeof(v));
		r = walk_key(c, i, g->keys ? &g->keys[i] : &v);
	}
	for (uint64_t i = 0; !r && i < n_tensors; i++) {
		memset(&t, 0, sizeof(t));
		r = walk_tensor(c, i, g->tensors ? &g->tensors[i] : &t);
	}
	return r;
}

static int by_tensor_name(const void *a, const void *b)
{
	return strcmp((*(const struct tram_gguf_tensor *const *)a)->name,
		      (*(const struct tram_gguf_tensor *const *)b)->name);
}

static int by_key_name(const void *a, const void *b)
{
	return strcmp((*(const struct tram_gguf_value *const *)a)->key,
		      (*(const struct tram_gguf_value *const *)b)->key);
}

static int sort_names(struct tram_ctx *ctx, struct tram_gguf *g)
{
	for (size_t i = 0; i < g->n_keys; i++)
		g->by_key[i] = &g->keys[i];
	for (size_t i = 0; i < g->n_tensors; i++)
		g->by_name[i] = &g->tensors[i];
	qsort(g->by_key, g->n_keys, sizeof(*g->by_key), by_key_name);
	qsort(g->by_name, g->n_tensors, sizeof(*g->by_name), by_tensor_name);
	for (size_t i = 1; i < g->n_keys; i++)
		if (!strcmp(g->by_key[i]->key, g->by_key[i - 1]->key))
			return tram_fail(ctx, -EINVAL, "%s: key %.64s: is there twice", g->src->name,
					 g->by_key[i]->key);
	for (size_t i = 1; i < g->n_tensors; i++)
		if (!strcmp(g->by_name[i]->name, g->by_name[i - 1]->name))
			return tram_fail(ctx, -EINVAL, "%s: tensor %s: is there twice", g->src->name,
					 g->by_name[i]->name);
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct tram_gguf_tensor *x = *(const struct tram_gguf_tensor *const *)a;
	const struct tram_gguf_tensor *y = *(const struct tram_gguf_tensor *const *)b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Inside the file, aligned, without overlap; afterwards offsets count from the file's start. */
static int place_tensors(struct tram_ctx *ctx, struct tram_gguf *g, uint64_t header)
{
	const struct tram_gguf_tensor **v;
	const char *file = g->src->name;
	uint64_t room;
	int r = 0;

	if (!g->n_tensors)
		return 0;
	g->data = TRAM_ALIGN_UP(header, (uint64_t)g->alignment);
	room = g->data < g->src->size ? g->src->size - g->data : 0;
	for (size_t i = 0; i < g->n_tensors; i++) {
		struct tram_gguf_tensor *t = &g->tensors[i];

		if (t->offset % g->alignment)
			return tram_fail(ctx, -EINVAL, "%s: tensor %s: offset %llu, a multiple of %u is needed",
					 file, t->name, (unsigned long long)t->offset,
					 g->alignment);
		if (t->offset > room || t->bytes > room - t->offset)
			return tram_fail(ctx, -EINVAL, "%s: tensor %s: %llu bytes at offset %llu, limit %llu (bytes behind the header)",
					 file, t->name, (unsigned long long)t->bytes,
					 (unsigned long long)t->offset, (unsigned long long)room);
		t->offset += g->data;
	}
	v = tram_calloc(ctx, g->n_tensors, sizeof(*v));
	if (!v)
		return tram_fail_in(ctx, -ENOMEM, "%s", file);
	memcpy(v, g->by_name, g->n_tensors * sizeof(*v));
	qsort(v, g->n_tensors, sizeof(*v), by_offset);
	for (size_t i = 1; !r && i < g->n_tensors; i++)
		if (v[i]->offset < v[i - 1]->offset + v[i - 1]->bytes)
			r = tram_fail(ctx, -EINVAL, "%s: tensor %s: offset %llu overlaps tensor %s, which ends at %llu",
				      file, v[i]->name, (unsigned long long)(v[i]->offset - g->data),
				      v[i - 1]->name,
				      (unsigned long long)(v[i - 1]->offset + v[i - 1]->bytes - g->data));
	tram_free(ctx, v);
	return r;
}

static int read_alignment(struct tram_ctx *ctx, struct tram_gguf *g)
{
	int r;

	g->alignment = 32;
	r = tram_gguf_get_u32(ctx, g, "general.alignment", false, 8, TRAM_GGUF_MAX_ALIGN,
			      &g->alignment);
	if (r >= 0 && (g->alignment & (g->alignment - 1)))
		return tram_fail(ctx, -EINVAL, "%s: key general.alignment: %u, a power of two is needed",
				 g->src->name, g->alignment);
	return r < 0 ? r : 0;
}

static int read_header(struct tram_ctx *ctx, struct tram_gguf *g)
{
	struct cursor c = { .ctx = ctx, .src = g->src,
			    .end = TRAM_MIN(g->src->size, (uint64_t)TRAM_GGUF_MAX_HEADER) };
	uint64_t header;
	int r = walk(&c, g);

	if (r)
		return r;
	header = c.at;
	g->head = tram_alloc(ctx, (size_t)header);
	g->keys = tram_calloc(ctx, TRAM_MAX(g->n_keys, (size_t)1), sizeof(*g->keys));
	g->by_key = tram_calloc(ctx, TRAM_MAX(g->n_keys, (size_t)1), sizeof(*g->by_key));
	g->tensors = tram_calloc(ctx, TRAM_MAX(g->n_tensors, (size_t)1), sizeof(*g->tensors));
	g->by_name = tram_calloc(ctx, TRAM_MAX(g->n_tensors, (size_t)1), sizeof(*g->by_name));
	if (!g->head || !g->keys || !g->by_key || !g->tensors || !g->by_name)
		return tram_fail_in(ctx, -ENOMEM, "%s", g->src->name);
	r = tram_source_read(ctx, g->src, 0, g->head, (size_t)header);
	if (r)
		return r;
	c.mem = g->head;
	c.at = 0;
	c.end = header;
	r = walk(&c, g);
	r = r ? r : sort_names(ctx, g);
	r = r ? r : read_alignment(ctx, g);
	return r ? r : place_tensors(ctx, g, header);
}

int tram_gguf_open_source(struct tram_ctx *ctx, const struct tram_source *src,
			  struct tram_gguf **out)
{
	struct tram_gguf *g;
	int r;

	*out = NULL;
	g = tram_zalloc(ctx, sizeof(*g));
	if (!g)
		return tram_fail_in(ctx, -ENOMEM, "%s", src->name);
	g->src = src;
	r = read_header(ctx, g);
	if (r) {
		tram_gguf_close(ctx, &g);
		return r;
	}
	*out = g;
	return 0;
}

int tram_gguf_open(struct tram_ctx *ctx, const char *path, struct tram_gguf **out)
{
	struct tram_file *file;
	int r;

	*out = NULL;
	r = tram_file_open(ctx, path, &file);
	if (r)
		return r;
	r = tram_gguf_open_source(ctx, tram_file_source(file), out);
	if (r)
		tram_file_close(ctx, &file);
	else
		(*out)->file = file;
	return r;
}

void tram_gguf_close(struct tram_ctx *ctx, struct tram_gguf **gp)
{
	struct tram_gguf *g = *gp;

	*gp = NULL;
	if (!g)
		return;
	tram_free(ctx, g->by_name);
	tram_free(ctx, g->tensors);
	tram_free(ctx, g->by_key);
	tram_free(ctx, g->keys);
	tram_free(ctx, g->head);
	tram_file_close(ctx, &g->file);
	tram_free(ctx, g);
}

/* --- looking at it ------------------------------------------------------------------------ */

const char *tram_gguf_name(const struct tram_gguf *g)
{
	return g->src->name;
}

uint32_t tram_gguf_alignment(const struct tram_gguf *g)
{
	return g->alignment;
}

size_t tram_gguf_count(const struct tram_gguf *g)
{
	return g->n_tensors;
}

const struct tram_gguf_tensor *tram_gguf_at(const struct tram_gguf *g, size_t i)
{
	return &g->tensors[i];
}

size_t tram_gguf_key_count(const struct tram_gguf *g)
{
	return g->n_keys;
}

const struct tram_gguf_value *tram_gguf_key_at(const struct tram_gguf *g, size_t i)
{
	return &g->keys[i];
}

static int cmp_tensor(const void *name, const void *t)
{
	return strcmp(name, (*(const struct tram_gguf_tensor *const *)t)->name);
}

const struct tram_gguf_tensor *tram_gguf_find(const struct tram_gguf *g, const char *name)
{
	const struct tram_gguf_tensor **t = bsearch(name, g->by_name, g->n_tensors,
						    sizeof(*g->by_name), cmp_tensor);

	return t ? *t : NULL;
}

static int cmp_key(const void *key, const void *v)
{
	return strcmp(key, (*(const struct tram_gguf_value *const *)v)->key);
}

const struct tram_gguf_value *tram_gguf_key(const struct tram_gguf *g, const char *key)
{
	const struct tram_gguf_value **v = bsearch(key, g->by_key, g->n_keys, sizeof(*g->by_key),
						   cmp_key);

	return v ? *v : NULL;
}

/* 0, 1 (absent and not needed) or -EINVAL. */
static int find_key(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		    const struct tram_gguf_value **v)
{
	*v = tram_gguf_key(g, key);
	if (*v)
		return 0;
	return need ? tram_fail(ctx, -EINVAL, "%s: key %s: is missing", g->src->name, key) : 1;
}

static int wrong_type(struct tram_ctx *ctx, const struct tram_gguf *g,
		      const struct tram_gguf_value *v, const char *needed)
{
	return tram_fail(ctx, -EINVAL, "%s: key %s: type %s, %s is needed", g->src->name, v->key,
			 tram_gguf_type_name(v->type), needed);
}

int tram_gguf_get_u32(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		      uint32_t min, uint32_t max, uint32_t *out)
{
	const struct tram_gguf_value *v;
	int r = find_key(ctx, g, key, need, &v);

	if (r)
		return r;
	switch (v->type) {
	case TRAM_GGUF_I8: case TRAM_GGUF_I16: case TRAM_GGUF_I32: case TRAM_GGUF_I64:
		if (v->i < 0)
			return tram_fail(ctx, -EINVAL, "%s: key %s: %lld, limit %u to %u",
					 g->src->name, key, (long long)v->i, min, max);
		break;
	case TRAM_GGUF_U8: case TRAM_GGUF_U16: case TRAM_GGUF_U32: case TRAM_GGUF_U64:
		break;
	default:
		return wrong_type(ctx, g, v, "a whole number");
	}
	if (v->u < min || v->u > max)
		return tram_fail(ctx, -EINVAL, "%s: key %s: %llu, limit %u to %u", g->src->name, key,
				 (unsigned long long)v->u, min, max);
	*out = (uint32_t)v->u;
	return 0;
}

int tram_gguf_get_f32(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		      float *out)
{
	const struct tram_gguf_value *v;
	int r = find_key(ctx, g, key, need, &v);

	if (r)
		return r;
	if (v->type != TRAM_GGUF_F32 && v->type != TRAM_GGUF_F64)
		return wrong_type(ctx, g, v, "f32");
	if (!(v->f >= -1e30 && v->f <= 1e30))
		return tram_fail(ctx, -EINVAL, "%s: key %s: %g, limit -1e30 to 1e30", g->src->name,
				 key, v->f);
	*out = (float)v->f;
	return 0;
}

int tram_gguf_get_bool(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		       bool *out)
{
	const struct tram_gguf_value *v;
	int r = find_key(ctx, g, key, need, &v);

	if (r)
		return r;
	if (v->type != TRAM_GGUF_BOOL)
		return wrong_type(ctx, g, v, "bool");
	*out = v->u;
	return 0;
}

int tram_gguf_get_str(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		      const char **out)
{
	const struct tram_gguf_value *v;
	int r = find_key(ctx, g, key, need, &v);

	if (r)
		return r;
	if (v->type != TRAM_GGUF_STR)
		return wrong_type(ctx, g, v, "str");
	*out = v->str.s;
	return 0;
}

int tram_gguf_get_arr(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		      enum tram_gguf_type type, struct tram_gguf_array *out)
{
	const struct tram_gguf_value *v;
	int r = find_key(ctx, g, key, need, &v);

	if (r)
		return r;
	if (v->type != TRAM_GGUF_ARR)
		return wrong_type(ctx, g, v, "arr");
	if (v->arr.type != type)
		return tram_fail(ctx, -EINVAL, "%s: key %s: array of %s, of %s is needed",
				 g->src->name, key, tram_gguf_type_name(v->arr.type),
				 tram_gguf_type_name(type));
	*out = v->arr;
	return 0;
}

/* --- values ----------------------------------------------------------------------------------- */

int tram_gguf_read(struct tram_ctx *ctx, const struct tram_gguf *g,
		   const struct tram_gguf_tensor *t, uint64_t first, void *buf, size_t n)
{
	if (first > t->bytes || n > t->bytes - first)
		return tram_fail(ctx, -EINVAL, "%s: tensor %s: bytes %llu + %zu asked for, it has %llu",
				 g->src->name, t->name, (unsigned long long)first, n,
				 (unsigned long long)t->bytes);
	return tram_source_read(ctx, g->src, t->offset + first, buf, n);
}
