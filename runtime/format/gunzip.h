/* SPDX-License-Identifier: MIT */
/*
 * Forward reading of a gzip file (RFC 1952) of one member. Memory is bounded
 * (a window of 32 KiB and a chunk of input), whatever the file expands to.
 */
#ifndef TRAM_FORMAT_GUNZIP_H
#define TRAM_FORMAT_GUNZIP_H

#include "base/file.h"

/* Deflate (RFC 1951) makes at most this many bytes of one. */
#define TRAM_GUNZIP_RATIO	1032u

struct tram_gunzip;

/* Whether the file begins as gzip does; 0, 1, or the -errno of a read. */
int tram_gunzip_is(struct tram_ctx *ctx, const struct tram_source *src);

/* @src is borrowed. -ENOMEM. */
int tram_gunzip_open(struct tram_ctx *ctx, const struct tram_source *src, struct tram_gunzip **z);
void tram_gunzip_close(struct tram_gunzip **z);

/* Bytes read so far, of the expanded file. */
uint64_t tram_gunzip_pos(const struct tram_gunzip *z);

/* The next @n bytes. -EINVAL when there are fewer, or when the file is damaged. */
int tram_gunzip_read(struct tram_gunzip *z, void *buf, size_t n);

/* From the beginning again. */
int tram_gunzip_rewind(struct tram_gunzip *z);

/*
 * Nothing may be left: -EINVAL when the expanded file goes on, its checksum or
 * length is not the written one, or bytes follow it.
 */
int tram_gunzip_end(struct tram_gunzip *z);

#endif
