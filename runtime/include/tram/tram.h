/* SPDX-License-Identifier: MIT */
/*
 * libtram: context, errors, log. Every object hangs off a tram_ctx; the
 * library keeps no global state, never exits and prints only through the
 * callback. Functions return 0 or -errno; results leave through out
 * parameters, which are cleared before the first failure. The text of the
 * last failure of a context is tram_error(ctx): one line that names subject,
 * value, limit and remedy.
 */
#ifndef TRAM_TRAM_H
#define TRAM_TRAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TRAM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define TRAM_PRINTF(f, a)
#endif

#define TRAM_VERSION_MAJOR 0
#define TRAM_VERSION_MINOR 1
#define TRAM_VERSION_PATCH 0

struct tram_ctx;

enum tram_log_level { TRAM_LOG_ERROR, TRAM_LOG_WARN, TRAM_LOG_INFO, TRAM_LOG_DEBUG };

/* Heap hooks: all of libtram's own allocations go through them. */
struct tram_heap {
	void *(*alloc)(void *arg, size_t size, size_t align);	/* NULL when out of memory */
	void (*free)(void *arg, void *p);
	void *arg;
};

/* Zero means the default; new members go to the end. */
struct tram_ctx_params {
	void (*log)(void *arg, enum tram_log_level level, const char *line);	/* NULL: silent */
	void *log_arg;
	enum tram_log_level log_level;		/* most detailed level passed on */
	const struct tram_heap *heap;		/* NULL: malloc and free */
	unsigned int threads;			/* of the CPU device and host stages; 0: all cores */
	const char *cache_dir;			/* NULL: $TRAMROAD_CACHE, $XDG_CACHE_HOME/tramroad or ~/.cache/tramroad */
};

/* @params may be NULL. Returns 0, -ENOMEM. */
int tram_ctx_create(const struct tram_ctx_params *params, struct tram_ctx **ctx);

/* Destroys @*ctx, which may be NULL, and clears it. Objects made from it must be gone. */
void tram_ctx_destroy(struct tram_ctx **ctx);

/* The last failure of any thread, "" when there was none. Valid until the next failure. */
const char *tram_error(const struct tram_ctx *ctx);

/* "0.1.0" */
const char *tram_version(void);

#ifdef __cplusplus
}
#endif
#endif
