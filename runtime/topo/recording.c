/* SPDX-License-Identifier: MIT */
/*
 * A recording: the reads that made a machine, as text that diffs well.
 *
 *	tramroad-topo 1
 *	d sys/bus/pci/devices 0000:00:00.0 0000:00:01.0
 *	f sys/bus/pci/devices/0000:00:00.0/vendor 0x8086
 *	f! sys/.../type EACCES
 *	l sys/bus/pci/devices/0000:00:00.0 ../../../devices/pci0000:00/0000:00:00.0
 *	x sys/bus/pci/devices/0000:00:00.0/config 4096 0:86800e34... 10:00...
 *	end 5
 *
 * Kinds are those of enum topo_kind; "!" marks a read that failed. In values
 * \n, \\ and \xHH are escapes. Config space: bytes read, then rows of 16 that
 * are not all zero, at their offsets in hex. Lines are sorted by path and kind,
 * and counted at the end, so a file that was cut short is seen.
 */
#include "topo/topo.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD "tramroad-topo 1"

static const struct { const char *name; int err; } errnos[] = {
	{ "EACCES", EACCES }, { "EPERM", EPERM }, { "EIO", EIO }, { "EINVAL", EINVAL },
	{ "ENODEV", ENODEV }, { "ENOTDIR", ENOTDIR }, { "EOTHER", EIO },
};

/* Reading */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex_byte(const char *s)
{
	int hi = hex_digit(s[0]), lo = hi < 0 ? -1 : hex_digit(s[1]);

	return lo < 0 ? -1 : hi << 4 | lo;
}

/* In place; the length, or -1. */
static ptrdiff_t unescape(char *s)
{
	char *out = s, *from = s;
	int b;

	for (; *from; from++) {
		if (*from != '\\') {
			*out++ = *from;
			continue;
		}
		switch (*++from) {
		case 'n':
			*out++ = '\n';
			break;
		case '\\':
			*out++ = '\\';
			break;
		case 'x':
			b = hex_byte(from + 1);
			if (b <= 0)	/* texts hold no NUL */
				return -1;
			*out++ = (char)b;
			from += 2;
			break;
		default:
			return -1;
		}
	}
	*out = '\0';
	return out - s;
}

/* @config may be NULL to check only. -EINVAL. */
int topo_config_decode(const struct topo_entry *e, char *config, size_t *n)
{
	const char *s = e->value;
	char *end;
	unsigned long size, at, last = 0;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	size = strtoul(s, &end, 10);
	if (size > TOPO_CONFIG)
		return -EINVAL;
	*n = size;
	if (config)
		memset(config, 0, size);
	for (s = end; *s == ' '; s = end) {
		s++;
		if (hex_digit(*s) < 0)
			return -EINVAL;
		at = strtoul(s, &end, 16);
		if (*end != ':' || at < last || at >= size)
			return -EINVAL;
		for (end++; *end && *end != ' '; end += 2, at++) {
			int b = hex_byte(end);

			if (b < 0 || at >= size)
				return -EINVAL;
			if (config)
				config[at] = (char)b;
		}
		last = at;
	}
	return *s ? -EINVAL : 0;
}

static int parse_error(struct topo_entry *e, const char *name)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(errnos); i++)
		if (!strcmp(name, errnos[i].name)) {
			e->err = -errnos[i].err;
			return 0;
		}
	return -EINVAL;
}

/* Spaces between names become NULs: each name is ended by one. */
static int parse_names(struct topo_entry *e, char *value)
{
	size_t n = strlen(value);

	if (n && (value[0] == ' ' || value[n - 1] == ' ' || strstr(value, "  ")))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (value[i] == ' ')
			value[i] = '\0';
	e->n = n ? n + 1 : 0;
	return 0;
}

/* One line, without its newline. Returns what is wrong with it, or NULL. */
static const char *parse_line(struct topo_entry *e, char *line)
{
	char *path, *value;
	ptrdiff_t n;
	bool failed;
	size_t size;

	if (!line[0] || !strchr("dflx", line[0]))
		return "the line begins with no kind (d, f, l, x)";
	failed = line[1] == '!';
	if (line[1 + failed] != ' ')
		return "a space is missing behind the kind";
	path = line + 2 + failed;
	value = strchr(path, ' ');
	if (!value || value == path)
		return "no path or no value";
	*value++ = '\0';
	*e = (struct topo_entry){ .path = path, .value = value, .kind = (enum topo_kind)line[0] };
	if (failed)
		return parse_error(e, value) ? "an unknown error name" : NULL;
	if (e->kind == TOPO_BYTES)
		return topo_config_decode(e, NULL, &size) ? "config space is not well-formed" : NULL;
	if (e->kind == TOPO_LIST)
		return parse_names(e, value) ? "names are not separated by one space" : NULL;
	n = unescape(value);
	if (n < 0)
		return "an unknown escape";
	e->n = (size_t)n;
	return NULL;
}

static bool in_order(const struct topo_entry *a, const struct topo_entry *b)
{
	int c = strcmp(a->path, b->path);

	return c < 0 || (!c && a->kind < b->kind);
}

int topo_recording_parse(struct topo_source *src, const char *name, size_t n)
{
	char *s = src->text, *end = src->text + n;
	size_t at = 1;

	if (memchr(s, '\0', n) || strncmp(s, HEAD "\n", strlen(HEAD) + 1))
		return tram_fail(src->ctx, -EINVAL, "%s: is no recording of a machine (line 1 is not \"%s\"); "
				 "make one with 'tram topo --record FILE'", name, HEAD);
	for (s += strlen(HEAD) + 1; s < end; at++) {
		struct topo_entry e;
		char *nl = strchr(s, '\n');
		const char *wrong;

		if (!nl)
			break;
		*nl = '\0';
		if (!strncmp(s, "end ", 4)) {
			char want[32];

			snprintf(want, sizeof(want), "end %zu", src->entries.n);
			if (strcmp(s, want) || nl + 1 != end)
				return tram_fail(src->ctx, -EINVAL, "%s: line %zu: \"%.20s\" ends it, \"%s\" and nothing "
						 "behind it expected; record the machine again", name, at + 1, s, want);
			return 0;
		}
		wrong = parse_line(&e, s);
		if (!wrong && src->entries.n && !in_order(&src->entries.v[src->entries.n - 1], &e))
			wrong = "it is out of order or there twice";
		if (wrong)
			return tram_fail(src->ctx, -EINVAL, "%s: line %zu: %s; record the machine again",
					 name, at + 1, wrong);
		if (tram_vec_push(src->ctx, &src->entries, e))
			return -ENOMEM;
		s = nl + 1;
	}
	return tram_fail(src->ctx, -EINVAL, "%s: is cut short after line %zu: the line \"end N\" is missing; "
			 "record the machine again", name, at);
}

/* Writing */

static void escape(struct tram_sbuf *sb, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '\n')
			tram_sbuf_adds(sb, "\\n");
		else if (c == '\\')
			tram_sbuf_adds(sb, "\\\\");
		else if (c < 0x20 || c == 0x7f)
			tram_sbuf_addf(sb, "\\x%02x", c ? c : '?');
		else
			tram_sbuf_addc(sb, (char)c);
	}
}

static void config_rows(struct tram_sbuf *sb, const char *c, size_t n)
{
	static const char zero[16];

	tram_sbuf_addf(sb, "%zu", n);
	for (size_t at = 0; at < n; at += 16) {
		size_t row = TRAM_MIN(n - at, (size_t)16);

		if (!memcmp(c + at, zero, row))
			continue;
		tram_sbuf_addf(sb, " %zx:", at);
		for (size_t i = 0; i < row; i++)
			tram_sbuf_addf(sb, "%02x", (unsigned char)c[at + i]);
	}
}

static const char *errno_name(int err)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(errnos); i++)
		if (errnos[i].err == -err)
			return errnos[i].name;
	return "EOTHER";
}

int topo_log(struct topo_source *src, enum topo_kind kind, const char *path, int err,
	     const char *data, size_t n)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(src->ctx);
	char *line;
	int r;

	/* No such name is written by the kernel; it could not be read back. */
	if (strpbrk(path, " \n"))
		return 0;
	tram_sbuf_addf(&sb, "%c%s %s ", kind, err ? "!" : "", path);
	if (err)
		tram_sbuf_adds(&sb, errno_name(err));
	else if (kind == TOPO_BYTES)
		config_rows(&sb, data, n);
	else if (kind == TOPO_LIST)
		for (size_t i = 0; i < n; i += strlen(data + i) + 1)
			tram_sbuf_addf(&sb, "%s%s", i ? " " : "", data + i);
	else
		escape(&sb, data, n);
	r = tram_sbuf_take(&sb, &line);
	if (r)
		return r;
	if (tram_vec_push(src->ctx, &src->lines, line)) {
		tram_free(src->ctx, line);
		return -ENOMEM;
	}
	return 0;
}

/* Path first, then kind, as the reader wants them. */
static int line_order(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	const char *p = strchr(x, ' ') + 1, *q = strchr(y, ' ') + 1;
	size_t n = strcspn(p, " "), m = strcspn(q, " ");
	int c = memcmp(p, q, TRAM_MIN(n, m));

	if (c || n != m)
		return c ? c : n < m ? -1 : 1;
	return *x - *y;
}

int topo_recording_write(struct topo_source *src, const char *file)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(src->ctx);
	size_t n = 0;
	int err;

	if (src->lines.n)
		qsort(src->lines.v, src->lines.n, sizeof(*src->lines.v), line_order);
	tram_sbuf_adds(&sb, HEAD "\n");
	for (size_t i = 0; i < src->lines.n; i++) {
		/* Read twice: as it was the first time. */
		if (i && !line_order(&src->lines.v[i - 1], &src->lines.v[i]))
			continue;
		tram_sbuf_addf(&sb, "%s\n", src->lines.v[i]);
		n++;
	}
	err = tram_sbuf_addf(&sb, "end %zu\n", n);
	if (!err)
		err = tram_file_store(src->ctx, file, sb.s, sb.n);
	tram_sbuf_free(&sb);
	return err;
}
