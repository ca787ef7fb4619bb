/* SPDX-License-Identifier: MIT */
/*
 * NumPy's .npy (format 1.0, 2.0 and 3.0): little-endian numbers in C order.
 * Anything else (big-endian, Fortran order, records, objects) is refused.
 */
#ifndef TRAM_FORMAT_NPY_H
#define TRAM_FORMAT_NPY_H

#include "base/file.h"

#define TRAM_NPY_MAX_DIMS	8
#define TRAM_NPY_MAX_HEADER	65536u

enum tram_npy_dtype {
	TRAM_NPY_BOOL, TRAM_NPY_I8, TRAM_NPY_U8, TRAM_NPY_I16, TRAM_NPY_U16, TRAM_NPY_F16,
	TRAM_NPY_I32, TRAM_NPY_U32, TRAM_NPY_F32, TRAM_NPY_I64, TRAM_NPY_U64, TRAM_NPY_F64,
	TRAM_NPY_DTYPES
};

const char *tram_npy_dtype_name(enum tram_npy_dtype t);		/* "<f4" */
unsigned int tram_npy_dtype_bytes(enum tram_npy_dtype t);

struct tram_npy {
	const struct tram_source *src;
	struct tram_file *file;			/* NULL when opened from a source */
	enum tram_npy_dtype dtype;
	unsigned int version;			/* 1, 2 or 3 */
	unsigned int ndim;			/* 0: a scalar */
	uint64_t shape[TRAM_NPY_MAX_DIMS];	/* outermost first */
	uint64_t n;				/* elements */
	uint64_t offset;			/* of the first byte, in the file */
};

/* Fills @npy in place; -EINVAL for a broken file. tram_npy_close() undoes it. */
int tram_npy_open(struct tram_ctx *ctx, const char *path, struct tram_npy *npy);
int tram_npy_open_source(struct tram_ctx *ctx, const struct tram_source *src,
			 struct tram_npy *npy);	/* @src is borrowed */
void tram_npy_close(struct tram_ctx *ctx, struct tram_npy *npy);

/* @n elements from element @first, in the file's type. */
int tram_npy_read(struct tram_ctx *ctx, const struct tram_npy *npy, uint64_t first, void *buf,
		  size_t n);

/*
 * Durable writer of format 1.0; the shape is said first, then the elements
 * are streamed, in C order.
 */
struct tram_npy_writer;

int tram_npy_writer_create(struct tram_ctx *ctx, const char *path, enum tram_npy_dtype dtype,
			   unsigned int ndim, const uint64_t *shape, struct tram_npy_writer **w);
/* @n elements. -EINVAL past the end of the shape. */
int tram_npy_writer_write(struct tram_ctx *ctx, struct tram_npy_writer *w, const void *data,
			  size_t n);
/* -EINVAL when elements are missing. @*w is gone afterwards, also on failure. */
int tram_npy_writer_commit(struct tram_ctx *ctx, struct tram_npy_writer **w);
void tram_npy_writer_abort(struct tram_ctx *ctx, struct tram_npy_writer **w);

/* All at once. */
int tram_npy_store(struct tram_ctx *ctx, const char *path, enum tram_npy_dtype dtype,
		   unsigned int ndim, const uint64_t *shape, const void *data);

#endif
