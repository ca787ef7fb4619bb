/* SPDX-License-Identifier: MIT */
/*
 * What every room may use: failures with a message, the heap of the context,
 * log lines, clock. See vec.h (growable arrays), sbuf.h (strings), rng.h
 * (counter-based numbers), hash.h (SHA-256, XXH3), file.h (reading what may
 * change, durable writing), json.h (bounded reading).
 */
#ifndef TRAM_BASE_BASE_H
#define TRAM_BASE_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <tram/tram.h>

#define TRAM_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define TRAM_ALIGN_UP(x, a) (((x) + ((a) - 1)) / (a) * (a))
#define TRAM_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TRAM_MAX(a, b) ((a) > (b) ? (a) : (b))
#define TRAM_DIV_UP(a, b) (((a) + (b) - 1) / (b))

/*
 * Record a failure and return @err (a negative errno), so that a failing
 * function reads "return tram_fail(ctx, -EINVAL, ...)". @ctx may be NULL.
 */
int tram_fail(struct tram_ctx *ctx, int err, const char *fmt, ...) TRAM_PRINTF(3, 4);

/* Put "what: " in front of the last message; returns @err. */
int tram_fail_in(struct tram_ctx *ctx, int err, const char *fmt, ...) TRAM_PRINTF(3, 4);

void tram_log(struct tram_ctx *ctx, enum tram_log_level level, const char *fmt, ...)
	TRAM_PRINTF(3, 4);

unsigned int tram_threads(const struct tram_ctx *ctx);
const char *tram_cache_dir(const struct tram_ctx *ctx);	/* never NULL; may not exist yet */

/* Heap of the context. alloc is not zeroed, zalloc is; both set the failure text. */
void *tram_alloc(struct tram_ctx *ctx, size_t size);
void *tram_zalloc(struct tram_ctx *ctx, size_t size);
void *tram_calloc(struct tram_ctx *ctx, size_t n, size_t size);	/* zeroed, overflow checked */
void *tram_alloc_aligned(struct tram_ctx *ctx, size_t size, size_t align);
void *tram_realloc(struct tram_ctx *ctx, void *p, size_t old_size, size_t size);
void tram_free(struct tram_ctx *ctx, void *p);
char *tram_strdup(struct tram_ctx *ctx, const char *s);
char *tram_asprintf(struct tram_ctx *ctx, const char *fmt, ...) TRAM_PRINTF(2, 3);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t tram_now_ns(void);

/* a * b into *out; true when it overflows. */
static inline bool tram_mul_overflow(uint64_t a, uint64_t b, uint64_t *out)
{
	return __builtin_mul_overflow(a, b, out);
}

static inline bool tram_add_overflow(uint64_t a, uint64_t b, uint64_t *out)
{
	return __builtin_add_overflow(a, b, out);
}

#endif
