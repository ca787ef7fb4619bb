/* SPDX-License-Identifier: MIT */
/*
 * Reader of IDX. read_header() is the way in; at() brings plain and compressed
 * files together, so that nothing above it knows which it is.
 */
#include "format/idx.h"

#include "format/gunzip.h"

struct dtype { enum tram_idx_dtype t; const char *name; unsigned int bytes; };
static const struct dtype dtypes[6];

static const struct dtype *find_dtype(unsigned int t)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(dtypes); i++)
		if (dtypes[i].t == t)
			return &dtypes[i];
	return NULL;
}

const char *tram_idx_dtype_name(enum tram_idx_dtype t)
{
	return find_dtype(t)->name;
}

unsigned int tram_idx_dtype_bytes(enum tram_idx_dtype t)
{
	return find_dtype(t)->bytes;
}

bool tram_idx_is(const unsigned char *head, size_t n)
{
	if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b)
		return true;
	return n >= 4 && !head[0] && !head[1] && find_dtype(head[2]) && head[3] >= 1 &&
	       head[3] <= TRAM_IDX_MAX_DIMS;
}

/* @n bytes from byte @off of the expanded file. */
static int at(struct tram_ctx *ctx, struct tram_idx *idx, uint64_t off, void *buf, size_t n)
{
	unsigned char skipped[4096];
	int r = 0;

	if (!idx->gz)
		return tram_source_read(ctx, idx->src, off, buf, n);
	if (off < tram_gunzip_pos(idx->gz))
		r = tram_gunzip_rewind(idx->gz);
	while (!r && tram_gunzip_pos(idx->gz) < off)
		r = tram_gunzip_read(idx->gz, skipped,
				     (size_t)TRAM_MIN(off - tram_gunzip_pos(idx->gz),
						      (uint64_t)sizeof(skipped)));
	return r ? r : tram_gunzip_read(idx->gz, buf, n);
}

static int check_size(struct tram_ctx *ctx, const struct tram_idx *idx, uint64_t bytes)
{
	const uint64_t have = idx->src->size;
	const char *name = idx->src->name;

	if (!idx->gz && have != idx->data + bytes)
		return tram_fail(ctx, -EINVAL, "%s: values: %llu bytes, dimensions and type need %llu",
				 name, (unsigned long long)(have - TRAM_MIN(have, idx->data)),
				 (unsigned long long)bytes);
	/* Of what no file of this length can expand to nothing needs to be read. */
	if (idx->gz && bytes / TRAM_GUNZIP_RATIO > have)
		return tram_fail(ctx, -EINVAL, "%s: dimensions: %llu bytes of values, limit %llu (%u times the compressed file)",
				 name, (unsigned long long)bytes,
				 (unsigned long long)have * TRAM_GUNZIP_RATIO, TRAM_GUNZIP_RATIO);
	return 0;
}

static int read_header(struct tram_ctx *ctx, struct tram_idx *idx)
{
	const char *name = idx->src->name;
	unsigned char head[4], dim[4];
	uint64_t bytes;
	int r;

	if (!idx->gz && idx->src->size < sizeof(head))
		return tram_fail(ctx, -EINVAL, "%s: header: %llu bytes in the file, 4 are needed",
				 name, (unsigned long long)idx->src->size);
	r = at(ctx, idx, 0, head, sizeof(head));
	if (r)
		return r;
	if (head[0] || head[1])
		return tram_fail(ctx, -EINVAL, "%s: header: begins with bytes %02x %02x, two zeros are needed",
				 name, head[0], head[1]);
	if (!find_dtype(head[2]))
		return tram_fail(ctx, -EINVAL, "%s: type: 0x%02x, 08 (u8) 09 (i8) 0b (i16) 0c (i32) 0d (f32) and 0e (f64) are known",
				 name, head[2]);
	if (head[3] < 1 || head[3] > TRAM_IDX_MAX_DIMS)
		return tram_fail(ctx, -EINVAL, "%s: dimensions: %u, limit 1 to %d", name, head[3],
				 TRAM_IDX_MAX_DIMS);
	idx->dtype = head[2];
	idx->ndim = head[3];
	idx->n = 1;
	idx->data = sizeof(head) + 4 * (uint64_t)idx->ndim;
	if (!idx->gz && idx->src->size < idx->data)
		return tram_fail(ctx, -EINVAL, "%s: header: %llu bytes in the file, %llu are needed",
				 name, (unsigned long long)idx->src->size,
				 (unsigned long long)idx->data);
	for (unsigned int d = 0; d < idx->ndim; d++) {
		r = at(ctx, idx, sizeof(head) + 4 * (uint64_t)d, dim, sizeof(dim));
		if (r)
			return r;
		idx->shape[d] = (uint32_t)dim[0] << 24 | (uint32_t)dim[1] << 16 |
				(uint32_t)dim[2] << 8 | dim[3];
		if (!idx->shape[d])
			return tram_fail(ctx, -EINVAL, "%s: dimension %u: 0, limit 1 to 2^32 - 1", name,
					 d);
		if (tram_mul_overflow(idx->n, idx->shape[d], &idx->n))
			return tram_fail(ctx, -EINVAL, "%s: dimension %u: %u, product overflows", name, d,
					 idx->shape[d]);
	}
	if (tram_mul_overflow(idx->n, tram_idx_dtype_bytes(idx->dtype), &bytes) || bytes > INT64_MAX)
		return tram_fail(ctx, -EINVAL, "%s: dimensions: product overflows, limit 2^63 bytes",
				 name);
	return check_size(ctx, idx, bytes);
}

int tram_idx_open_source(struct tram_ctx *ctx, const struct tram_source *src, struct tram_idx *idx)
{
	int r;

	*idx = (struct tram_idx){ .src = src };
	r = tram_gunzip_is(ctx, src);
	if (r > 0)
		r = tram_gunzip_open(ctx, src, &idx->gz);
	if (!r)
		r = read_header(ctx, idx);
	if (r)
		tram_idx_close(ctx, idx);
	return r;
}

int tram_idx_open(struct tram_ctx *ctx, const char *path, struct tram_idx *idx)
{
	struct tram_file *file;
	int r;

	*idx = (struct tram_idx){ 0 };
	r = tram_file_open(ctx, path, &file);
	if (r)
		return r;
	r = tram_idx_open_source(ctx, tram_file_source(file), idx);
	if (r)
		tram_file_close(ctx, &file);
	else
		idx->file = file;
	return r;
}

void tram_idx_close(struct tram_ctx *ctx, struct tram_idx *idx)
{
	tram_gunzip_close(&idx->gz);
	tram_file_close(ctx, &idx->file);
	*idx = (struct tram_idx){ 0 };
}

/* From big-endian, in place. */
static void to_host(unsigned char *p, size_t n, unsigned int width)
{
	for (size_t i = 0; i < n; i++, p += width)
		for (unsigned int a = 0, b = width - 1; a < b; a++, b--) {
			unsigned char t = p[a];

			p[a] = p[b];
			p[b] = t;
		}
}

int tram_idx_read(struct tram_ctx *ctx, struct tram_idx *idx, uint64_t first, void *out, size_t n)
{
	const unsigned int width = tram_idx_dtype_bytes(idx->dtype);
	int r;

	if (first > idx->n || n > idx->n - first)
		return tram_fail(ctx, -EINVAL, "%s: elements %llu + %zu asked for, it has %llu",
				 idx->src->name, (unsigned long long)first, n,
				 (unsigned long long)idx->n);
	r = at(ctx, idx, idx->data + first * width, out, n * width);
	if (!r)
		to_host(out, n, width);
	return r;
}

int tram_idx_verify(struct tram_ctx *ctx, struct tram_idx *idx)
{
	const uint64_t end = idx->data + idx->n * tram_idx_dtype_bytes(idx->dtype);
	unsigned char none;
	int r = idx->gz ? at(ctx, idx, end, &none, 0) : 0;

	return r || !idx->gz ? r : tram_gunzip_end(idx->gz);
}

static const struct dtype dtypes[6] = {
	{ TRAM_IDX_U8, "u8", 1 }, { TRAM_IDX_I8, "i8", 1 }, { TRAM_IDX_I16, "i16", 2 },
	{ TRAM_IDX_I32, "i32", 4 }, { TRAM_IDX_F32, "f32", 4 }, { TRAM_IDX_F64, "f64", 8 },
};
