/* SPDX-License-Identifier: MIT */
/*
 * The context: the last failure, log lines, the heap, a few settings.
 * Everything here may be called from any thread. Growable arrays (vec.h) end
 * the file; strings are in sbuf.c, files in file.c.
 */
#include "base/base.h"
#include "base/sbuf.h"
#include "base/vec.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ERROR_TEXT	1024	/* bytes of one message, the final NUL included */
#define ERROR_SLOTS	16	/* messages kept, so that a reader is not overrun at once */

struct tram_ctx {
	struct tram_heap heap;
	void (*log)(void *arg, enum tram_log_level level, const char *line);
	void *log_arg;
	enum tram_log_level log_level;
	unsigned int threads;
	char *cache_dir;

	pthread_mutex_t error_lock;	/* writers of error[]; a leaf */
	_Atomic unsigned int error_last;	/* slot that holds the last failure */
	char error[ERROR_SLOTS][ERROR_TEXT];

	/* One line at a time: held while the callback runs. A leaf for libtram. */
	pthread_mutex_t log_lock;
};

/* Failures */

/*
 * One line of valid UTF-8, whatever a hostile file put into it: control
 * bytes and broken sequences become '?'.
 */
static void one_line(char *s)
{
	size_t n = strlen(s), i = 0;

	while (i < n) {
		size_t len = tram_utf8_len(s + i, n - i);

		if (!len || (unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
			s[i] = '?';
			len = 1;
		}
		i += len;
	}
}

/*
 * Messages live in fixed slots, because the failure may be that memory ran
 * out. A new one takes the next slot, so the text that tram_error() gave out
 * is not written under its reader.
 */
static void record(struct tram_ctx *ctx, const char *fmt, va_list ap, bool prefix)
{
	char text[ERROR_TEXT];
	unsigned int last, next;
	size_t n, k;

	vsnprintf(text, sizeof(text), fmt, ap);
	pthread_mutex_lock(&ctx->error_lock);
	last = atomic_load_explicit(&ctx->error_last, memory_order_relaxed);
	next = (last + 1) % ERROR_SLOTS;
	if (prefix) {
		n = strlen(text);
		k = TRAM_MIN(sizeof(text) - 1 - n, strlen(ctx->error[last]) + 2);
		memcpy(text + n, ": ", TRAM_MIN(k, (size_t)2));
		if (k > 2)
			memcpy(text + n + 2, ctx->error[last], k - 2);
		text[n + k] = '\0';
	}
	one_line(text);
	memcpy(ctx->error[next], text, strlen(text) + 1);
	atomic_store_explicit(&ctx->error_last, next, memory_order_release);
	pthread_mutex_unlock(&ctx->error_lock);
}

int tram_fail(struct tram_ctx *ctx, int err, const char *fmt, ...)
{
	va_list ap;

	if (ctx) {
		va_start(ap, fmt);
		record(ctx, fmt, ap, false);
		va_end(ap);
	}
	return err;
}

int tram_fail_in(struct tram_ctx *ctx, int err, const char *fmt, ...)
{
	va_list ap;

	if (ctx) {
		va_start(ap, fmt);
		record(ctx, fmt, ap, true);
		va_end(ap);
	}
	return err;
}

const char *tram_error(const struct tram_ctx *ctx)
{
	if (!ctx)
		return "";
	return ctx->error[atomic_load_explicit(&ctx->error_last, memory_order_acquire)];
}

void tram_log(struct tram_ctx *ctx, enum tram_log_level level, const char *fmt, ...)
{
	char line[ERROR_TEXT];
	va_list ap;

	if (!ctx || !ctx->log || level > ctx->log_level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	one_line(line);
	pthread_mutex_lock(&ctx->log_lock);
	ctx->log(ctx->log_arg, level, line);
	pthread_mutex_unlock(&ctx->log_lock);
}

/* Heap */

static void *heap_malloc(void *arg, size_t size, size_t align)
{
	void *p;

	if (align <= _Alignof(max_align_t))
		return malloc(size);
	return posix_memalign(&p, align, size) ? NULL : p;
}

static void heap_free(void *arg, void *p)
{
	free(p);
}

static void *no_memory(struct tram_ctx *ctx, size_t size)
{
	tram_fail(ctx, -ENOMEM,
		  "out of memory: %zu bytes refused; free memory or ask for less", size);
	return NULL;
}

void *tram_alloc_aligned(struct tram_ctx *ctx, size_t size, size_t align)
{
	void *p;

	assert(align && (align & (align - 1)) == 0);
	size = size ? size : 1;
	align = TRAM_MAX(align, _Alignof(max_align_t));
	p = ctx ? ctx->heap.alloc(ctx->heap.arg, size, align) : heap_malloc(NULL, size, align);
	return p ? p : no_memory(ctx, size);
}

void *tram_alloc(struct tram_ctx *ctx, size_t size)
{
	return tram_alloc_aligned(ctx, size, _Alignof(max_align_t));
}

void *tram_zalloc(struct tram_ctx *ctx, size_t size)
{
	void *p = tram_alloc(ctx, size);

	if (p)
		memset(p, 0, size);
	return p;
}

void *tram_calloc(struct tram_ctx *ctx, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return no_memory(ctx, SIZE_MAX);
	return tram_zalloc(ctx, bytes);
}

void *tram_realloc(struct tram_ctx *ctx, void *p, size_t old_size, size_t size)
{
	void *q;

	if (!ctx || ctx->heap.alloc == heap_malloc) {
		q = realloc(p, size ? size : 1);
		return q ? q : no_memory(ctx, size);
	}
	q = tram_alloc(ctx, size);
	if (!q)
		return NULL;
	if (p)
		memcpy(q, p, TRAM_MIN(old_size, size));
	tram_free(ctx, p);
	return q;
}

void tram_free(struct tram_ctx *ctx, void *p)
{
	if (!p)
		return;
	if (ctx)
		ctx->heap.free(ctx->heap.arg, p);
	else
		free(p);
}

char *tram_strdup(struct tram_ctx *ctx, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = tram_alloc(ctx, n);

	return p ? memcpy(p, s, n) : NULL;
}

char *tram_asprintf(struct tram_ctx *ctx, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		tram_fail(ctx, -EINVAL, "text of format '%s' cannot be made", fmt);
		return NULL;
	}
	p = tram_alloc(ctx, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

/* Context */

static unsigned int usable_cores(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned int)TRAM_MAX(CPU_COUNT(&set), 1);
	n = sysconf(_SC_NPROCESSORS_ONLN);	/* more cores than cpu_set_t can name */
	return n > 0 ? (unsigned int)n : 1;
}

/* XDG Base Directory specification: a relative XDG_CACHE_HOME does not count. */
static char *find_cache_dir(struct tram_ctx *ctx, const char *asked)
{
	const char *own = getenv("TRAMROAD_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (asked || (own && own[0] == '/'))
		return tram_strdup(ctx, asked ? asked : own);
	if (xdg && xdg[0] == '/')
		return tram_asprintf(ctx, "%s/tramroad", xdg);
	if (home && home[0] == '/')
		return tram_asprintf(ctx, "%s/.cache/tramroad", home);
	return tram_asprintf(ctx, "/tmp/tramroad-%u", (unsigned int)getuid());
}

int tram_ctx_create(const struct tram_ctx_params *params, struct tram_ctx **out)
{
	static const struct tram_ctx_params none;
	struct tram_heap heap = { heap_malloc, heap_free, NULL };
	struct tram_ctx *ctx;

	*out = NULL;
	params = params ? params : &none;
	if (params->heap)
		heap = *params->heap;
	ctx = heap.alloc(heap.arg, sizeof(*ctx), _Alignof(max_align_t));
	if (!ctx)
		return -ENOMEM;
	memset(ctx, 0, sizeof(*ctx));
	ctx->heap = heap;
	ctx->log = params->log;
	ctx->log_arg = params->log_arg;
	ctx->log_level = params->log_level;
	ctx->threads = params->threads ? params->threads : usable_cores();
	pthread_mutex_init(&ctx->error_lock, NULL);
	pthread_mutex_init(&ctx->log_lock, NULL);
	ctx->cache_dir = find_cache_dir(ctx, params->cache_dir);
	if (!ctx->cache_dir) {
		tram_ctx_destroy(&ctx);
		return -ENOMEM;
	}
	*out = ctx;
	return 0;
}

void tram_ctx_destroy(struct tram_ctx **ctxp)
{
	struct tram_ctx *ctx = *ctxp;
	struct tram_heap heap;

	*ctxp = NULL;
	if (!ctx)
		return;
	heap = ctx->heap;
	tram_free(ctx, ctx->cache_dir);
	pthread_mutex_destroy(&ctx->log_lock);
	pthread_mutex_destroy(&ctx->error_lock);
	heap.free(heap.arg, ctx);
}

unsigned int tram_threads(const struct tram_ctx *ctx)
{
	return ctx ? ctx->threads : 1;
}

const char *tram_cache_dir(const struct tram_ctx *ctx)
{
	return ctx->cache_dir;
}

#define STR_(x) #x
#define STR(x) STR_(x)

const char *tram_version(void)
{
	return STR(TRAM_VERSION_MAJOR) "." STR(TRAM_VERSION_MINOR) "." STR(TRAM_VERSION_PATCH);
}

uint64_t tram_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* vec.h. @vec_v is a T ** of any T: moved by memcpy, never through void **. */
int tram_vec_grow_(struct tram_ctx *ctx, void *vec_v, size_t n, size_t *cap, size_t more,
		   size_t size)
{
	size_t want, bytes, new_cap;
	void *old, *v;

	if (__builtin_add_overflow(n, more, &want))
		goto too_many;
	if (want <= *cap)
		return 0;
	new_cap = TRAM_MAX(want, TRAM_MAX(*cap + *cap / 2, (size_t)8));
	if (__builtin_mul_overflow(new_cap, size, &bytes))
		goto too_many;
	memcpy(&old, vec_v, sizeof(old));
	v = tram_realloc(ctx, old, *cap * size, bytes);
	if (!v)
		return -ENOMEM;
	memcpy(vec_v, &v, sizeof(v));
	*cap = new_cap;
	return 0;

too_many:
	return tram_fail(ctx, -ENOMEM, "out of memory: an array of %zu + %zu elements of %zu bytes",
			 n, more, size);
}
