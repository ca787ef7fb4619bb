/* SPDX-License-Identifier: MIT */
/*
 * Growable strings. A failed append sticks: append freely and look once, at
 * tram_sbuf_take() or at .err. The text is NUL-terminated at every moment.
 */
#ifndef TRAM_BASE_SBUF_H
#define TRAM_BASE_SBUF_H

#include "base/base.h"

struct tram_sbuf {
	struct tram_ctx *ctx;
	char *s;		/* NULL until the first append; read through tram_sbuf_str() */
	size_t n, cap;
	int err;		/* 0, or the -errno of the first failed append */
};

#define TRAM_SBUF_INIT(c) { .ctx = (c) }

void tram_sbuf_init(struct tram_sbuf *sb, struct tram_ctx *ctx);
void tram_sbuf_free(struct tram_sbuf *sb);

/* Empty again; keeps the memory, forgets the error. */
void tram_sbuf_reset(struct tram_sbuf *sb);

int tram_sbuf_add(struct tram_sbuf *sb, const void *s, size_t n);
int tram_sbuf_adds(struct tram_sbuf *sb, const char *s);
int tram_sbuf_addc(struct tram_sbuf *sb, char c);
int tram_sbuf_addf(struct tram_sbuf *sb, const char *fmt, ...) TRAM_PRINTF(2, 3);
int tram_sbuf_vaddf(struct tram_sbuf *sb, const char *fmt, va_list ap) TRAM_PRINTF(2, 0);

/*
 * A quoted JSON string of @n bytes. Bytes that are not UTF-8 become U+FFFD,
 * so the result is always valid JSON.
 */
int tram_sbuf_json(struct tram_sbuf *sb, const char *s, size_t n);

/* The shortest decimal that reads back as the same double; null for NaN and infinities. */
int tram_sbuf_json_f64(struct tram_sbuf *sb, double x);
int tram_sbuf_json_f32(struct tram_sbuf *sb, float x);	/* as the same float */

/* "1.5 MiB" */
int tram_sbuf_bytes(struct tram_sbuf *sb, uint64_t bytes);

/* Never NULL. */
static inline const char *tram_sbuf_str(const struct tram_sbuf *sb)
{
	return sb->s ? sb->s : "";
}

/*
 * Hands the text over (tram_free by the caller) and leaves @sb empty. Returns
 * 0 or the error that stuck; then *@out is NULL and nothing is owed.
 */
int tram_sbuf_take(struct tram_sbuf *sb, char **out);

/* Bytes of the UTF-8 sequence that starts at @s (1..4); 0 when it is none. */
size_t tram_utf8_len(const char *s, size_t n);

#endif
