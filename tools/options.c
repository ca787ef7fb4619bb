/* SPDX-License-Identifier: MIT */
/* Options by table: parsing, ranges, help. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

int tool_usage(const char *verb, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "tram %s: ", verb);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see 'tram %s --help'\n", verb);
	return TOOL_USAGE;
}

static void print_help(const struct tool_verb *verb, const struct tool_option *opts, size_t n)
{
	printf("usage: tram %s\n\n%s.\n\n", verb->synopsis, verb->summary);
	for (size_t i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", opts[i].name, opts[i].arg ? " " : "",
			 opts[i].arg ? opts[i].arg : "");
		printf("  %-24s %s\n", left, opts[i].help);
	}
	printf("  %-24s %s\n", "--help", "this text");
	if (verb->details)
		printf("\n%s", verb->details);
}

static bool parse_u64(const char *s, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*out = strtoull(s, &end, 10);
	return !errno && !*end && *out <= max;
}

static bool parse_f64(const char *s, const char *stop, double *out)
{
	char *end;

	*out = strtod(s, &end);
	return end != s && strchr(stop, *end) && isfinite(*out);
}

static bool parse_bytes(const char *s, uint64_t *out)
{
	static const char suffix[] = "KMGT";
	char *end;
	double v = strtod(s, &end);
	const char *p;

	if (end == s || !(v >= 0))
		return false;
	if (*end) {
		p = strchr(suffix, toupper((unsigned char)*end));
		if (!p || (end[1] && strcmp(end + 1, "iB") && strcmp(end + 1, "B")))
			return false;
		v *= pow(1024, (double)(p - suffix + 1));
	}
	*out = (uint64_t)v;
	return v < 1.8e19;
}

static bool parse_value(const struct tool_option *o, const char *s)
{
	uint64_t u;
	double *pair = o->out;

	switch (o->type) {
	case TOOL_STRING:
		*(const char **)o->out = s;
		return true;
	case TOOL_U32:
		if (!parse_u64(s, UINT32_MAX, &u))
			return false;
		*(uint32_t *)o->out = (uint32_t)u;
		return true;
	case TOOL_U64:
		return parse_u64(s, UINT64_MAX, o->out);
	case TOOL_F64:
		return parse_f64(s, "", o->out);
	case TOOL_BYTES:
		return parse_bytes(s, o->out);
	case TOOL_PAIR:
		return strchr(s, ',') && parse_f64(s, ",", &pair[0]) &&
		       parse_f64(strchr(s, ',') + 1, "", &pair[1]);
	case TOOL_CHOICE:
		for (int i = 0; o->choices[i]; i++)
			if (!strcmp(s, o->choices[i])) {
				*(int *)o->out = i;
				return true;
			}
		return false;
	default:
		return false;
	}
}

static const char *expected(const struct tool_option *o)
{
	switch (o->type) {
	case TOOL_U32:
	case TOOL_U64:
		return "a whole number";
	case TOOL_F64:
		return "a number";
	case TOOL_BYTES:
		return "bytes such as 512M or 2G";
	case TOOL_PAIR:
		return "two numbers such as 0.9,0.95";
	default:
		return o->arg;
	}
}

static const struct tool_option *find_option(const struct tool_option *opts, size_t n,
					     const char *word, const char **value)
{
	size_t len = strcspn(word, "=");

	*value = word[len] ? word + len + 1 : NULL;
	for (size_t i = 0; i < n; i++)
		if (strlen(opts[i].name) == len && !strncmp(opts[i].name, word, len))
			return &opts[i];
	return NULL;
}

static void list_add(struct tool_list *l, char **argv, int i)
{
	/* argv is permuted in place: words gather at its front. */
	if (!l->v)
		l->v = (const char **)argv;
	l->v[l->n++] = argv[i];
}

int tool_parse(const struct tool_verb *verb, int argc, char **argv,
	       const struct tool_option *opts, size_t n, struct tool_list *positional, bool *help)
{
	bool seen[64] = { false };

	*help = false;
	for (int i = 1; i < argc; i++) {
		const struct tool_option *o;
		const char *value;

		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			print_help(verb, opts, n);
			*help = true;
			return TOOL_OK;
		}
		if (strncmp(argv[i], "--", 2)) {
			if (!positional)
				return tool_usage(verb->name, "'%s' is not an option", argv[i]);
			list_add(positional, argv, i);
			continue;
		}
		o = find_option(opts, n, argv[i] + 2, &value);
		if (!o)
			return tool_usage(verb->name, "there is no option %s", argv[i]);
		seen[o - opts] = true;
		if (o->type == TOOL_FLAG) {
			if (value)
				return tool_usage(verb->name, "--%s takes no value", o->name);
			*(bool *)o->out = true;
			continue;
		}
		if (o->type == TOOL_LIST) {
			struct tool_list *l = o->out;

			l->v = (const char **)&argv[i + 1];
			while (i + 1 < argc && strncmp(argv[i + 1], "--", 2)) {
				l->n++;
				i++;
			}
			if (!l->n)
				return tool_usage(verb->name, "--%s needs %s", o->name, o->arg);
			continue;
		}
		if (!value && ++i == argc)
			return tool_usage(verb->name, "--%s needs %s", o->name, o->arg);
		value = value ? value : argv[i];
		if (!parse_value(o, value))
			return tool_usage(verb->name, "--%s %s: expected %s", o->name, value,
					  expected(o));
	}
	for (size_t i = 0; i < n; i++)
		if (opts[i].required && !seen[i])
			return tool_usage(verb->name, "--%s %s is needed", opts[i].name,
					  opts[i].arg);
	return TOOL_OK;
}
