/* SPDX-License-Identifier: MIT */
/* Growable strings; sbuf.h says how they are used. */
#include "base/sbuf.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void tram_sbuf_init(struct tram_sbuf *sb, struct tram_ctx *ctx)
{
	*sb = (struct tram_sbuf)TRAM_SBUF_INIT(ctx);
}

void tram_sbuf_free(struct tram_sbuf *sb)
{
	tram_free(sb->ctx, sb->s);
	tram_sbuf_init(sb, sb->ctx);
}

void tram_sbuf_reset(struct tram_sbuf *sb)
{
	sb->n = 0;
	sb->err = 0;
	if (sb->s)
		sb->s[0] = '\0';
}

/* Room for @more bytes and the final NUL. */
static int sbuf_reserve(struct tram_sbuf *sb, size_t more)
{
	size_t want, cap;
	char *s;

	if (sb->err)
		return sb->err;
	if (__builtin_add_overflow(sb->n, more, &want) || want > SIZE_MAX / 4) {
		sb->err = tram_fail(sb->ctx, -ENOMEM, "out of memory: a text of %zu more bytes",
				    more);
		return sb->err;
	}
	want++;
	if (want <= sb->cap)
		return 0;
	cap = TRAM_MAX(want, TRAM_MAX(sb->cap * 2, (size_t)64));
	s = tram_realloc(sb->ctx, sb->s, sb->cap, cap);
	if (!s) {
		sb->err = -ENOMEM;
		return sb->err;
	}
	sb->s = s;
	sb->cap = cap;
	return 0;
}

int tram_sbuf_add(struct tram_sbuf *sb, const void *s, size_t n)
{
	int r = sbuf_reserve(sb, n);

	if (r)
		return r;
	if (n)
		memcpy(sb->s + sb->n, s, n);
	sb->n += n;
	sb->s[sb->n] = '\0';
	return 0;
}

int tram_sbuf_adds(struct tram_sbuf *sb, const char *s)
{
	return tram_sbuf_add(sb, s, strlen(s));
}

int tram_sbuf_addc(struct tram_sbuf *sb, char c)
{
	return tram_sbuf_add(sb, &c, 1);
}

int tram_sbuf_vaddf(struct tram_sbuf *sb, const char *fmt, va_list ap)
{
	va_list ap2;
	int n, r;

	va_copy(ap2, ap);
	n = vsnprintf(NULL, 0, fmt, ap2);
	va_end(ap2);
	if (n < 0) {
		if (!sb->err)
			sb->err = -EINVAL;
		return sb->err;
	}
	r = sbuf_reserve(sb, (size_t)n);
	if (r)
		return r;
	vsnprintf(sb->s + sb->n, (size_t)n + 1, fmt, ap);
	sb->n += (size_t)n;
	return 0;
}

int tram_sbuf_addf(struct tram_sbuf *sb, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = tram_sbuf_vaddf(sb, fmt, ap);
	va_end(ap);
	return r;
}

int tram_sbuf_json(struct tram_sbuf *sb, const char *s, size_t n)
{
	size_t i = 0;

	tram_sbuf_addc(sb, '"');
	while (i < n) {
		unsigned char c = (unsigned char)s[i];
		size_t len = tram_utf8_len(s + i, n - i);

		if (!len) {
			tram_sbuf_adds(sb, "\xef\xbf\xbd");
			len = 1;
		} else if (c == '"' || c == '\\') {
			tram_sbuf_addf(sb, "\\%c", c);
		} else if (c == '\n') {
			tram_sbuf_adds(sb, "\\n");
		} else if (c < 0x20 || c == 0x7f) {
			tram_sbuf_addf(sb, "\\u%04x", c);
		} else {
			tram_sbuf_add(sb, s + i, len);
		}
		i += len;
	}
	return tram_sbuf_addc(sb, '"');
}

/*
 * Fewest digits from which the reader gets @x back, as a float or a double.
 * In the C locale, whatever the program chose: JSON knows no decimal comma.
 */
static int json_number(struct tram_sbuf *sb, double x, bool is_float)
{
	locale_t c, old;
	char t[40];
	int digits;

	if (!isfinite(x))
		return tram_sbuf_adds(sb, "null");
	c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	old = uselocale(c);
	for (digits = 6; digits <= 17; digits++) {
		snprintf(t, sizeof(t), "%.*g", digits, x);
		if (is_float ? strtof(t, NULL) == (float)x : strtod(t, NULL) == x)
			break;
	}
	uselocale(old);
	if (c)
		freelocale(c);
	return tram_sbuf_adds(sb, t);
}

int tram_sbuf_json_f64(struct tram_sbuf *sb, double x)
{
	return json_number(sb, x, false);
}

int tram_sbuf_json_f32(struct tram_sbuf *sb, float x)
{
	return json_number(sb, (double)x, true);
}

int tram_sbuf_bytes(struct tram_sbuf *sb, uint64_t bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double x = (double)bytes;
	size_t u = 0;

	while (x >= 1024 && u + 1 < TRAM_ARRAY_SIZE(unit)) {
		x /= 1024;
		u++;
	}
	return u ? tram_sbuf_addf(sb, "%.1f %s", x, unit[u]) :
		   tram_sbuf_addf(sb, "%llu B", (unsigned long long)bytes);
}

int tram_sbuf_take(struct tram_sbuf *sb, char **out)
{
	int r;

	*out = NULL;
	r = tram_sbuf_add(sb, "", 0);
	if (r) {
		tram_sbuf_free(sb);
		return r;
	}
	*out = sb->s;
	tram_sbuf_init(sb, sb->ctx);
	return 0;
}

/* Well-formed byte sequences: The Unicode Standard, table 3-7. */
size_t tram_utf8_len(const char *str, size_t n)
{
	const unsigned char *s = (const unsigned char *)str;
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len, i;

	if (!n)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}
