/* SPDX-License-Identifier: MIT */
/*
 * safetensors: a u64 little-endian header length, a JSON header, raw tensors.
 * The reader holds to the format's rules with nothing left to interpretation:
 * the tensors must tile the rest of the file without holes, overlap or bytes
 * behind them. Values in the file are little-endian, as on every supported
 * host.
 *
 * A hashed file (this project's own addition, in __metadata__, invisible to
 * other readers) holds "xxh3:NAME" for every tensor, the XXH3-64 of its bytes
 * in 16 hex digits, and first of all "xxh3", that of the header with these 16
 * digits taken as zeros.
 */
#ifndef TRAM_FORMAT_SAFETENSORS_H
#define TRAM_FORMAT_SAFETENSORS_H

#include "base/file.h"

#define TRAM_ST_MAX_HEADER	100000000u	/* bytes; the reference implementation's limit */
#define TRAM_ST_MAX_DIMS	8

enum tram_st_dtype {
	TRAM_ST_BOOL, TRAM_ST_U8, TRAM_ST_I8, TRAM_ST_F8_E5M2, TRAM_ST_F8_E4M3,
	TRAM_ST_I16, TRAM_ST_U16, TRAM_ST_F16, TRAM_ST_BF16,
	TRAM_ST_I32, TRAM_ST_U32, TRAM_ST_F32,
	TRAM_ST_I64, TRAM_ST_U64, TRAM_ST_F64,
	TRAM_ST_DTYPES
};

const char *tram_st_dtype_name(enum tram_st_dtype t);	/* "F32" */
unsigned int tram_st_dtype_bytes(enum tram_st_dtype t);

struct tram_st_tensor {
	const char *name;
	enum tram_st_dtype dtype;
	unsigned int ndim;			/* 0: a scalar */
	uint64_t shape[TRAM_ST_MAX_DIMS];	/* outermost first */
	uint64_t n;				/* elements: the product of the shape */
	uint64_t offset;			/* of the first byte, in the file */
	uint64_t bytes;
};

struct tram_safetensors;

/*
 * -EINVAL for a broken file, -ENOMEM, or what opening gives. An open file is
 * checked whole but for the values. @src is borrowed, the file is not needed
 * by name again.
 */
int tram_safetensors_open(struct tram_ctx *ctx, const char *path, struct tram_safetensors **st);
int tram_safetensors_open_source(struct tram_ctx *ctx, const struct tram_source *src,
				 struct tram_safetensors **st);
void tram_safetensors_close(struct tram_ctx *ctx, struct tram_safetensors **st);

/* Tensors in the order of their bytes. The pointers live as long as @st. */
size_t tram_safetensors_count(const struct tram_safetensors *st);
const struct tram_st_tensor *tram_safetensors_at(const struct tram_safetensors *st, size_t i);
const struct tram_st_tensor *tram_safetensors_find(const struct tram_safetensors *st,
						   const char *name);	/* NULL: none */

/* A value of __metadata__; NULL when there is none of that key. */
const char *tram_safetensors_meta(const struct tram_safetensors *st, const char *key);
size_t tram_safetensors_meta_count(const struct tram_safetensors *st);
void tram_safetensors_meta_at(const struct tram_safetensors *st, size_t i, const char **key,
			      const char **value);

/* Path or name of the source, for messages. */
const char *tram_safetensors_name(const struct tram_safetensors *st);

/* @n bytes of @t from byte @first of it. */
int tram_safetensors_read(struct tram_ctx *ctx, const struct tram_safetensors *st,
			  const struct tram_st_tensor *t, uint64_t first, void *buf, size_t n);

/*
 * @n elements of @t from element @first as f32: F32 as they are, F16 and BF16
 * exactly, F64 rounded to nearest even. -EINVAL for other types.
 */
int tram_safetensors_read_f32(struct tram_ctx *ctx, const struct tram_safetensors *st,
			      const struct tram_st_tensor *t, uint64_t first, float *out,
			      size_t n);

/*
 * Reads everything and compares the hashes. 0; 1 when the file is not a
 * hashed one; -EBADMSG naming the tensor whose bytes are not the written ones.
 */
int tram_safetensors_verify(struct tram_ctx *ctx, const struct tram_safetensors *st);

/*
 * Writer, durable (base/file.h). Declare every tensor and metadata entry
 * first, then stream the bytes of the tensors in the order declared:
 *
 *	create, add..., meta..., write..., commit (or abort at any point)
 */
struct tram_st_writer;

/* @hashed: record XXH3 as above; the hashes are taken while the bytes pass. */
int tram_st_writer_create(struct tram_ctx *ctx, const char *path, bool hashed,
			  struct tram_st_writer **w);
int tram_st_writer_add(struct tram_ctx *ctx, struct tram_st_writer *w, const char *name,
		       enum tram_st_dtype dtype, unsigned int ndim, const uint64_t *shape);
int tram_st_writer_meta(struct tram_ctx *ctx, struct tram_st_writer *w, const char *key,
			const char *value);
/* Any number of bytes at a time; tensor borders need not be met. -EINVAL past the last one. */
int tram_st_writer_write(struct tram_ctx *ctx, struct tram_st_writer *w, const void *data,
			 size_t n);
/* -EINVAL when bytes are missing. @*w is gone afterwards, also on failure. */
int tram_st_writer_commit(struct tram_ctx *ctx, struct tram_st_writer **w);
void tram_st_writer_abort(struct tram_ctx *ctx, struct tram_st_writer **w);

/* IEEE 754 binary16 and bfloat16 to binary32, exact. */
float tram_f16_to_f32(uint16_t h);
float tram_bf16_to_f32(uint16_t h);

#endif
