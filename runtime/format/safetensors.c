/* SPDX-License-Identifier: MIT */
/*
 * Reader of safetensors. tram_safetensors_open_source() is the way in: header,
 * tensors, tiling, names; values are read later by pread. The writer is in
 * safetensors_write.c. Rules: the format's README and the reference
 * implementation's validation (offsets in order, no holes, file fully used).
 */
#include "format/safetensors.h"
#include "base/hash.h"
#include "base/json.h"

#include <stdlib.h>

#define CHUNK ((size_t)256 << 10)	/* bytes read at a time when converting or hashing */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian");

struct tram_safetensors {
	const struct tram_source *src;
	struct tram_file *file;			/* NULL when opened from a source */
	struct tram_json json;			/* owns all names and strings */
	struct tram_st_tensor *tensors;		/* by offset */
	const struct tram_st_tensor **by_name;
	size_t n;
	yyjson_val *meta;			/* NULL: none */
	uint64_t data;				/* offset of the first tensor byte */
};

struct dtype { const char *name; unsigned int bytes; };
static const struct dtype dtypes[TRAM_ST_DTYPES];

const char *tram_st_dtype_name(enum tram_st_dtype t)
{
	return dtypes[t].name;
}

unsigned int tram_st_dtype_bytes(enum tram_st_dtype t)
{
	return dtypes[t].bytes;
}

static int read_shape(struct tram_ctx *ctx, const char *file, yyjson_val *arr,
		      struct tram_st_tensor *t)
{
	uint64_t n = 1;
	yyjson_val *v;
	char buf[48];
	size_t i, max;

	if (yyjson_arr_size(arr) > TRAM_ST_MAX_DIMS)
		return tram_fail(ctx, -EINVAL, "%s: tensor %s: shape: %zu dimensions, limit %d",
				 file, t->name, yyjson_arr_size(arr), TRAM_ST_MAX_DIMS);
	t->ndim = (unsigned int)yyjson_arr_size(arr);
	yyjson_arr_foreach(arr, i, max, v) {
		if (!yyjson_is_uint(v))
			return tram_fail(ctx, -EINVAL,
					 "%s: tensor %s: shape[%zu]: %s, a whole number from 0 is needed",
					 file, t->name, i, tram_json_show(v, buf));
		t->shape[i] = yyjson_get_uint(v);
	}
	/* A zero anywhere makes the product zero, whatever overflows beside it. */
	for (i = 0; i < t->ndim; i++)
		if (!t->shape[i])
			n = 0;
	for (i = 0; i < t->ndim && n; i++)
		if (tram_mul_overflow(n, t->shape[i], &n))
			goto overflow;
	t->n = n;
	if (tram_mul_overflow(n, dtypes[t->dtype].bytes, &t->bytes))
		goto overflow;
	return 0;

overflow:
	return tram_fail(ctx, -EINVAL, "%s: tensor %s: shape: product overflows, limit 2^64 bytes",
			 file, t->name);
}

static int read_offsets(struct tram_ctx *ctx, const struct tram_safetensors *st, yyjson_val *arr,
			struct tram_st_tensor *t)
{
	uint64_t room = st->src->size - st->data, begin, end;
	yyjson_val *a = yyjson_arr_get(arr, 0), *b = yyjson_arr_get(arr, 1);

	if (yyjson_arr_size(arr) != 2 || !yyjson_is_uint(a) || !yyjson_is_uint(b))
		return tram_fail(ctx, -EINVAL,
				 "%s: tensor %s: data_offsets: two whole numbers from 0 are needed",
				 st->src->name, t->name);
	begin = yyjson_get_uint(a);
	end = yyjson_get_uint(b);
	if (begin > end || end > room)
		return tram_fail(ctx, -EINVAL,
				 "%s: tensor %s: data_offsets: %llu to %llu, limit %llu (bytes behind the header)",
				 st->src->name, t->name, (unsigned long long)begin,
				 (unsigned long long)end, (unsigned long long)room);
	if (end - begin != t->bytes)
		return tram_fail(ctx, -EINVAL,
				 "%s: tensor %s: data_offsets: %llu bytes, %llu are what dtype and shape need",
				 st->src->name, t->name, (unsigned long long)(end - begin),
				 (unsigned long long)t->bytes);
	t->offset = st->data + begin;
	return 0;
}

static int read_tensor(struct tram_ctx *ctx, const struct tram_safetensors *st, yyjson_val *key,
		       yyjson_val *val, struct tram_st_tensor *t)
{
	const char *file = st->src->name, *dtype;
	yyjson_val *shape, *offsets;
	int r;

	t->name = yyjson_get_str(key);
	if (strlen(t->name) != yyjson_get_len(key))
		return tram_fail(ctx, -EINVAL, "%s: tensor %s: its name holds a NUL byte", file,
				 t->name);
	if (!yyjson_is_obj(val))
		return tram_fail(ctx, -EINVAL, "%s: tensor %s: is %s, an object is needed", file,
				 t->name, yyjson_get_type_desc(val));
	r = tram_json_str(&st->json, t->name, val, "dtype", true, &dtype);
	if (!r)
		r = tram_json_arr(&st->json, t->name, val, "shape", true, &shape);
	if (!r)
		r = tram_json_arr(&st->json, t->name, val, "data_offsets", true, &offsets);
	if (r)
		return r;
	for (t->dtype = 0; t->dtype < TRAM_ST_DTYPES; t->dtype++)
		if (!strcmp(dtype, dtypes[t->dtype].name))
			break;
	if (t->dtype == TRAM_ST_DTYPES)
		return tram_fail(ctx, -EINVAL,
				 "%s: tensor %s: dtype: \"%.32s\", F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL and the like are known",
				 file, t->name, dtype);
	r = read_shape(ctx, file, shape, t);
	return r ? r : read_offsets(ctx, st, offsets, t);
}

static int check_meta(struct tram_ctx *ctx, const struct tram_safetensors *st)
{
	yyjson_val *key, *val;
	char buf[48];
	size_t i, max;

	if (!yyjson_is_obj(st->meta))
		return tram_fail(ctx, -EINVAL, "%s: __metadata__: is %s, an object is needed",
				 st->src->name, yyjson_get_type_desc(st->meta));
	yyjson_obj_foreach(st->meta, i, max, key, val)
		if (!yyjson_is_str(val))
			return tram_fail(ctx, -EINVAL,
					 "%s: __metadata__.%.64s: %s, a string is needed",
					 st->src->name, yyjson_get_str(key),
					 tram_json_show(val, buf));
	return 0;
}

/* Empty tensors first among equals, so that they never look like an overlap. */
static int by_offset(const void *a, const void *b)
{
	const struct tram_st_tensor *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct tram_st_tensor *const *)a)->name,
		      (*(const struct tram_st_tensor *const *)b)->name);
}

static int check_tiling(struct tram_ctx *ctx, const struct tram_safetensors *st)
{
	uint64_t at = st->data;
	size_t i;

	for (i = 0; i < st->n; i++) {
		const struct tram_st_tensor *t = &st->tensors[i];

		if (t->offset != at)
			return tram_fail(ctx, -EINVAL,
					 "%s: tensor %s: data_offsets: begins at %llu, %s at %llu",
					 st->src->name, t->name,
					 (unsigned long long)(t->offset - st->data),
					 t->offset < at ? "overlaps the one that ends" :
							  "a hole begins",
					 (unsigned long long)(at - st->data));
		at += t->bytes;
	}
	if (at != st->src->size)
		return tram_fail(ctx, -EINVAL,
				 "%s: %llu bytes behind the last tensor, none are allowed",
				 st->src->name, (unsigned long long)(st->src->size - at));
	return 0;
}

static int read_tensors(struct tram_ctx *ctx, struct tram_safetensors *st)
{
	yyjson_val *key, *val;
	size_t i, max, n = 0;
	int r;

	st->meta = yyjson_obj_get(st->json.root, "__metadata__");
	if (st->meta) {
		r = check_meta(ctx, st);
		if (r)
			return r;
	}
	st->n = yyjson_obj_size(st->json.root) - (st->meta ? 1 : 0);
	st->tensors = tram_calloc(ctx, st->n, sizeof(*st->tensors));
	st->by_name = tram_calloc(ctx, st->n, sizeof(*st->by_name));
	if (!st->tensors || !st->by_name)
		return tram_fail_in(ctx, -ENOMEM, "%s", st->src->name);
	yyjson_obj_foreach(st->json.root, i, max, key, val) {
		if (val == st->meta)
			continue;
		r = read_tensor(ctx, st, key, val, &st->tensors[n++]);
		if (r)
			return r;
	}
	qsort(st->tensors, st->n, sizeof(*st->tensors), by_offset);
	for (i = 0; i < st->n; i++)
		st->by_name[i] = &st->tensors[i];
	qsort(st->by_name, st->n, sizeof(*st->by_name), by_name);
	return check_tiling(ctx, st);
}

static int read_header(struct tram_ctx *ctx, struct tram_safetensors *st)
{
	const struct tram_source *src = st->src;
	uint64_t len;
	char *text;
	int r;

	if (src->size < sizeof(len))
		return tram_fail(ctx, -EINVAL, "%s: header length: %llu bytes in the file, 8 are needed",
				 src->name, (unsigned long long)src->size);
	r = tram_source_read(ctx, src, 0, &len, sizeof(len));
	if (r)
		return r;
	if (len > TRAM_ST_MAX_HEADER || len > src->size - sizeof(len))
		return tram_fail(ctx, -EINVAL, "%s: header length: %llu, limit %llu", src->name,
				 (unsigned long long)len,
				 (unsigned long long)TRAM_MIN((uint64_t)TRAM_ST_MAX_HEADER,
							      src->size - sizeof(len)));
	st->data = sizeof(len) + len;
	text = tram_alloc(ctx, (size_t)len + 1);
	if (!text)
		return tram_fail_in(ctx, -ENOMEM, "%s", src->name);
	r = tram_source_read(ctx, src, sizeof(len), text, (size_t)len);
	text[len] = '\0';
	if (!r && text[0] != '{')
		r = tram_fail(ctx, -EINVAL, "%s: header: begins with byte 0x%02x, '{' is needed",
			      src->name, (unsigned char)text[0]);
	if (!r)
		r = tram_json_parse(ctx, src->name, text, (size_t)len, &st->json);
	tram_free(ctx, text);
	return r;
}

int tram_safetensors_open_source(struct tram_ctx *ctx, const struct tram_source *src,
				 struct tram_safetensors **out)
{
	struct tram_safetensors *st;
	int r;

	*out = NULL;
	st = tram_zalloc(ctx, sizeof(*st));
	if (!st)
		return tram_fail_in(ctx, -ENOMEM, "%s", src->name);
	st->src = src;
	r = read_header(ctx, st);
	if (!r)
		r = read_tensors(ctx, st);
	if (r) {
		tram_safetensors_close(ctx, &st);
		return r;
	}
	*out = st;
	return 0;
}

int tram_safetensors_open(struct tram_ctx *ctx, const char *path, struct tram_safetensors **out)
{
	struct tram_file *file;
	int r;

	*out = NULL;
	r = tram_file_open(ctx, path, &file);
	if (r)
		return r;
	r = tram_safetensors_open_source(ctx, tram_file_source(file), out);
	if (r)
		tram_file_close(ctx, &file);
	else
		(*out)->file = file;
	return r;
}

void tram_safetensors_close(struct tram_ctx *ctx, struct tram_safetensors **stp)
{
	struct tram_safetensors *st = *stp;

	*stp = NULL;
	if (!st)
		return;
	tram_free(ctx, st->by_name);
	tram_free(ctx, st->tensors);
	tram_json_free(&st->json);
	tram_file_close(ctx, &st->file);
	tram_free(ctx, st);
}

size_t tram_safetensors_count(const struct tram_safetensors *st)
{
	return st->n;
}

const struct tram_st_tensor *tram_safetensors_at(const struct tram_safetensors *st, size_t i)
{
	return &st->tensors[i];
}

const struct tram_st_tensor *tram_safetensors_find(const struct tram_safetensors *st,
						   const char *name)
{
	size_t lo = 0, hi = st->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, st->by_name[mid]->name);

		if (!c)
			return st->by_name[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const char *tram_safetensors_meta(const struct tram_safetensors *st, const char *key)
{
	return yyjson_get_str(yyjson_obj_get(st->meta, key));
}

size_t tram_safetensors_meta_count(const struct tram_safetensors *st)
{
	return yyjson_obj_size(st->meta);
}

void tram_safetensors_meta_at(const struct tram_safetensors *st, size_t i, const char **key,
			      const char **value)
{
	/* Keys and values alternate in memory, since no value is a container (check_meta). */
	yyjson_val *k = unsafe_yyjson_get_first(st->meta) + 2 * i;

	*key = yyjson_get_str(k);
	*value = yyjson_get_str(k + 1);
}

const char *tram_safetensors_name(const struct tram_safetensors *st)
{
	return st->src->name;
}

int tram_safetensors_read(struct tram_ctx *ctx, const struct tram_safetensors *st,
			  const struct tram_st_tensor *t, uint64_t first, void *buf, size_t n)
{
	if (first > t->bytes || n > t->bytes - first)
		return tram_fail(ctx, -EINVAL, "%s: tensor %s: bytes %llu + %zu asked for, it has %llu",
				 st->src->name, t->name, (unsigned long long)first, n,
				 (unsigned long long)t->bytes);
	return tram_source_read(ctx, st->src, t->offset + first, buf, n);
}

/* IEEE 754-2019, 3.4 and 3.6. Subnormals are scaled exactly by a multiplication. */
float tram_f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, frac = h & 1023, u;
	float f;

	if (exp == 31)
		u = sign | 0x7f800000 | frac << 13;
	else if (exp)
		u = sign | (exp + 112) << 23 | frac << 13;
	else
		return (sign ? -1.0f : 1.0f) * (float)frac * 0x1p-24f;
	memcpy(&f, &u, sizeof(f));
	return f;
}

float tram_bf16_to_f32(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

int tram_safetensors_read_f32(struct tram_ctx *ctx, const struct tram_safetensors *st,
			      const struct tram_st_tensor *t, uint64_t first, float *out, size_t n)
{
	unsigned int w = dtypes[t->dtype].bytes;
	size_t done, k, i;
	union { uint16_t u[2048]; double d[512]; } buf;
	int r;

	if (t->dtype != TRAM_ST_F32 && t->dtype != TRAM_ST_F16 && t->dtype != TRAM_ST_BF16 &&
	    t->dtype != TRAM_ST_F64)
		return tram_fail(ctx, -EINVAL,
				 "%s: tensor %s: dtype: %s, F32 F16 BF16 or F64 is needed",
				 st->src->name, t->name, dtypes[t->dtype].name);
	if (first > t->n || n > t->n - first)
		return tram_fail(ctx, -EINVAL,
				 "%s: tensor %s: elements %llu + %zu asked for, it has %llu",
				 st->src->name, t->name, (unsigned long long)first, n,
				 (unsigned long long)t->n);
	if (t->dtype == TRAM_ST_F32)
		return tram_safetensors_read(ctx, st, t, first * w, out, n * w);
	for (done = 0; done < n; done += k) {
		k = TRAM_MIN(n - done, sizeof(buf) / w);
		r = tram_safetensors_read(ctx, st, t, (first + done) * w, &buf, k * w);
		if (r)
			return r;
		for (i = 0; i < k; i++)
			out[done + i] = t->dtype == TRAM_ST_F64 ? (float)buf.d[i] :
					t->dtype == TRAM_ST_F16 ? tram_f16_to_f32(buf.u[i]) :
								  tram_bf16_to_f32(buf.u[i]);
	}
	return 0;
}

/* XXH3-64 of [off, off + n), the 16 bytes at @zero_at taken as '0' (UINT64_MAX: none). */
static int hash_range(struct tram_ctx *ctx, const struct tram_source *src, uint64_t off,
		      uint64_t n, uint64_t zero_at, char hex[17])
{
	struct tram_xxh3 h;
	uint64_t i, done;
	size_t k = 0;
	char *buf;
	int r = 0;

	buf = tram_alloc(ctx, (size_t)TRAM_MIN(n, CHUNK));
	if (!buf)
		return tram_fail_in(ctx, -ENOMEM, "%s", src->name);
	tram_xxh3_init(&h);
	for (done = 0; done < n && !r; done += k) {
		k = (size_t)TRAM_MIN(n - done, CHUNK);
		r = tram_source_read(ctx, src, off + done, buf, k);
		for (i = 0; !r && zero_at != UINT64_MAX && i < 16; i++)
			if (zero_at + i >= off + done && zero_at + i < off + done + k)
				buf[zero_at + i - off - done] = '0';
		if (!r)
			tram_xxh3_update(&h, buf, k);
	}
	tram_free(ctx, buf);
	tram_hash64_hex(tram_xxh3_64(&h), hex);
	return r;
}

/* The writer always begins the header with these bytes; the digits follow. */
static const char hashed_head[] = "{\"__metadata__\":{\"xxh3\":\"";

int tram_safetensors_verify(struct tram_ctx *ctx, const struct tram_safetensors *st)
{
	const char *want = tram_safetensors_meta(st, "xxh3");
	char head[sizeof(hashed_head) - 1], hex[17];
	yyjson_obj_iter it = yyjson_obj_iter_with(st->meta);
	yyjson_val *v;
	size_t i;
	char *key;
	int r;

	if (!want)
		return 1;
	if (st->data < 8 + sizeof(head) + 16)
		return 1;
	r = tram_source_read(ctx, st->src, 8, head, sizeof(head));
	if (r)
		return r;
	if (memcmp(head, hashed_head, sizeof(head)))
		return 1;	/* somebody else's "xxh3" */
	r = hash_range(ctx, st->src, 0, st->data, 8 + sizeof(head), hex);
	if (r)
		return r;
	if (strcmp(hex, want))
		return tram_fail(ctx, -EBADMSG,
				 "%s: header: XXH3 %s, %.16s was written; the file is damaged",
				 st->src->name, hex, want);
	for (i = 0; i < st->n; i++) {
		const struct tram_st_tensor *t = &st->tensors[i];

		key = tram_asprintf(ctx, "xxh3:%s", t->name);
		if (!key)
			return tram_fail_in(ctx, -ENOMEM, "%s", st->src->name);
		v = yyjson_obj_iter_get(&it, key);	/* goes on from the last one */
		tram_free(ctx, key);
		r = hash_range(ctx, st->src, t->offset, t->bytes, UINT64_MAX, hex);
		if (r)
			return r;
		if (!v || !yyjson_equals_str(v, hex))
			return tram_fail(ctx, -EBADMSG,
					 "%s: tensor %s: XXH3 %s, %.16s was written; the file is damaged",
					 st->src->name, t->name, hex, v ? yyjson_get_str(v) : "none");
	}
	return 0;
}

static const struct dtype dtypes[TRAM_ST_DTYPES] = {
	[TRAM_ST_BOOL] = { "BOOL", 1 },
	[TRAM_ST_U8] = { "U8", 1 },
	[TRAM_ST_I8] = { "I8", 1 },
	[TRAM_ST_F8_E5M2] = { "F8_E5M2", 1 },
	[TRAM_ST_F8_E4M3] = { "F8_E4M3", 1 },
	[TRAM_ST_I16] = { "I16", 2 },
	[TRAM_ST_U16] = { "U16", 2 },
	[TRAM_ST_F16] = { "F16", 2 },
	[TRAM_ST_BF16] = { "BF16", 2 },
	[TRAM_ST_I32] = { "I32", 4 },
	[TRAM_ST_U32] = { "U32", 4 },
	[TRAM_ST_F32] = { "F32", 4 },
	[TRAM_ST_I64] = { "I64", 8 },
	[TRAM_ST_U64] = { "U64", 8 },
	[TRAM_ST_F64] = { "F64", 8 },
};
