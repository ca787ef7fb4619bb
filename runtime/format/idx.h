/* SPDX-License-Identifier: MIT */
/*
 * IDX, the format of MNIST and what came after it: two zero bytes, a type, the
 * number of dimensions, these as big-endian 32-bit numbers, then the values,
 * big-endian, outermost dimension first (Y. LeCun's page on MNIST is its
 * specification). Plain or as a gzip file, which is how they are shipped.
 */
#ifndef TRAM_FORMAT_IDX_H
#define TRAM_FORMAT_IDX_H

#include "base/file.h"

#define TRAM_IDX_MAX_DIMS	8

/* The numbers that stand in the file. */
enum tram_idx_dtype {
	TRAM_IDX_U8 = 0x08, TRAM_IDX_I8 = 0x09, TRAM_IDX_I16 = 0x0b, TRAM_IDX_I32 = 0x0c,
	TRAM_IDX_F32 = 0x0d, TRAM_IDX_F64 = 0x0e,
};

const char *tram_idx_dtype_name(enum tram_idx_dtype t);		/* "u8" */
unsigned int tram_idx_dtype_bytes(enum tram_idx_dtype t);

struct tram_gunzip;

struct tram_idx {
	const struct tram_source *src;
	struct tram_file *file;		/* NULL when opened from a source */
	struct tram_gunzip *gz;		/* NULL: plain */
	enum tram_idx_dtype dtype;
	unsigned int ndim;		/* 1 .. 8 */
	uint32_t shape[TRAM_IDX_MAX_DIMS];
	uint64_t n;			/* elements */
	uint64_t data;			/* bytes in front of the values, expanded */
};

/*
 * Whether the first bytes (as many as there are, up to 4) are those of an IDX
 * or a gzip file.
 */
bool tram_idx_is(const unsigned char *head, size_t n);

/*
 * Fills @idx in place; -EINVAL for a broken header, a plain file of another
 * length than it says, or one that cannot expand to that length. The values of a
 * compressed file are only known to be whole when they have been read, see
 * tram_idx_verify(). @src is borrowed.
 */
int tram_idx_open(struct tram_ctx *ctx, const char *path, struct tram_idx *idx);
int tram_idx_open_source(struct tram_ctx *ctx, const struct tram_source *src,
			 struct tram_idx *idx);
void tram_idx_close(struct tram_ctx *ctx, struct tram_idx *idx);

/*
 * @n elements from element @first in this machine's byte order, width bytes
 * each. A compressed file is fast forward only: what lies before @first is
 * expanded, from the beginning if need be. Not for two threads at a time.
 */
int tram_idx_read(struct tram_ctx *ctx, struct tram_idx *idx, uint64_t first, void *out, size_t n);

/* Reads what is left of a compressed file and holds length and checksum against it; -EINVAL. */
int tram_idx_verify(struct tram_ctx *ctx, struct tram_idx *idx);

#endif
