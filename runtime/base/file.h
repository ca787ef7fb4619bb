/* SPDX-License-Identifier: MIT */
/*
 * Files. Reading is by pread() only, never by mmap(): when another process
 * truncates or rewrites a file under the run, a mapping would answer with
 * SIGBUS or with silently changed bytes; here every read ends in -ESTALE and
 * a message. Writing is durable: a file appears whole under its name, or not
 * at all.
 */
#ifndef TRAM_BASE_FILE_H
#define TRAM_BASE_FILE_H

#include "base/base.h"

/*
 * Bytes that a reader of a format works on: a file, or memory (tests,
 * fuzzers). @name goes into messages. read() fills @n bytes from @off or
 * fails with a message; off + n <= size is the caller's promise
 * (tram_source_read() checks it). May be called from several threads.
 */
struct tram_source {
	const char *name;
	uint64_t size;
	int (*read)(struct tram_ctx *ctx, const struct tram_source *src, uint64_t off, void *buf,
		    size_t n);
	const void *arg;
};

/* Bounds checked: -EINVAL when [off, off + n) is not inside. */
int tram_source_read(struct tram_ctx *ctx, const struct tram_source *src, uint64_t off, void *buf,
		     size_t n);

/* @data is borrowed. */
struct tram_source tram_source_mem(const char *name, const void *data, size_t size);

/*
 * A regular file, open for reading. Folders, pipes and devices are refused
 * (-EISDIR, -EINVAL), pipes without blocking. An empty file is a file of
 * size 0.
 */
struct tram_file;

int tram_file_open(struct tram_ctx *ctx, const char *path, struct tram_file **file);
void tram_file_close(struct tram_ctx *ctx, struct tram_file **file);
const char *tram_file_path(const struct tram_file *file);
uint64_t tram_file_size(const struct tram_file *file);

/* Lives as long as @file. */
const struct tram_source *tram_file_source(const struct tram_file *file);

/*
 * Fills @n bytes from @off. -EINVAL outside the file, -ESTALE when size or
 * modification time are not those of the opening any more, -EIO.
 */
int tram_file_read(struct tram_ctx *ctx, const struct tram_file *file, uint64_t off, void *buf,
		   size_t n);

/* 0, or -ESTALE when the file changed since it was opened. */
int tram_file_unchanged(struct tram_ctx *ctx, const struct tram_file *file);

/*
 * The whole of a small file, with a NUL behind it; -EFBIG above @limit bytes.
 * tram_free() it.
 */
int tram_file_load(struct tram_ctx *ctx, const char *path, uint64_t limit, char **data,
		   size_t *size);
int tram_source_load(struct tram_ctx *ctx, const struct tram_source *src, uint64_t limit,
		     char **data, size_t *size);

/*
 * Durable writer: bytes go to PATH.tmp-XXXXXXXX beside PATH; commit makes them
 * durable and renames. A failed write sticks, so callers may look at the
 * commit alone. Left-overs of killed writers of the same PATH are removed when
 * the next writer is created (a live writer holds a lock on its file). A
 * symbolic link at PATH is replaced, not followed; devices and pipes are refused.
 * Not for use by two threads at a time.
 */
struct tram_writer;

int tram_writer_create(struct tram_ctx *ctx, const char *path, struct tram_writer **w);
int tram_writer_write(struct tram_ctx *ctx, struct tram_writer *w, const void *buf, size_t n);
uint64_t tram_writer_pos(const struct tram_writer *w);

/* Overwrites bytes already written (a header known at the end). */
int tram_writer_patch(struct tram_ctx *ctx, struct tram_writer *w, uint64_t off, const void *buf,
		      size_t n);

/* fsync, rename, fsync of the folder. @*w is gone afterwards, also on failure. */
int tram_writer_commit(struct tram_ctx *ctx, struct tram_writer **w);

/* PATH stays as it was. @*w may be NULL. */
void tram_writer_abort(struct tram_ctx *ctx, struct tram_writer **w);

/* A whole small file at once, durably. */
int tram_file_store(struct tram_ctx *ctx, const char *path, const void *data, size_t n);

/* mkdir -p. 0 when it is there already. */
int tram_mkdirs(struct tram_ctx *ctx, const char *path);

/* Records "PATH: WHAT: REASON; REMEDY" for the positive errno @err and returns -@err. */
int tram_fail_io(struct tram_ctx *ctx, int err, const char *path, const char *what);

#endif
