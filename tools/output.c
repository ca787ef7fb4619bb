/* SPDX-License-Identifier: MIT */
/* What verbs print: JSON lines, units, failures; and the context behind them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* --- context ----------------------------------------------------------------------- */

static void log_line(void *arg, enum tram_log_level level, const char *line)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "" };

	fprintf(stderr, "tram: %s%s\n", prefix[level], line);
}

struct tram_ctx *tool_context(const struct tool_common *c)
{
	const char *level = getenv("TRAM_LOG");
	struct tram_ctx_params p = {
		.log = log_line, .log_level = c->json ? TRAM_LOG_WARN : TRAM_LOG_INFO,
		.threads = c->threads,
	};
	struct tram_ctx *ctx;

	if (level && !strcmp(level, "debug"))
		p.log_level = TRAM_LOG_DEBUG;
	if (!tram_ctx_create(&p, &ctx))
		return ctx;
	fprintf(stderr, "tram: out of memory\n");
	return NULL;
}

int tool_fail(const char *verb, struct tram_ctx *ctx)
{
	const char *why = ctx ? tram_error(ctx) : "out of memory";

	fprintf(stderr, "tram %s: %s\n", verb, *why ? why : "failed without a reason (a bug)");
	return TOOL_FAILED;
}

/* --- units ----------------------------------------------------------------------------- */

const char *tool_bytes(uint64_t n, char buf[TOOL_TEXT])
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double v = (double)n;
	int i = 0;

	while (v >= 1024 && i < 5) {
		v /= 1024;
		i++;
	}
	snprintf(buf, TOOL_TEXT, i ? "%.1f %s" : "%.0f %s", v, unit[i]);
	return buf;
}

const char *tool_count(double n, char buf[TOOL_TEXT])
{
	static const char *const unit[] = { "", " k", " M", " G", " T" };
	int i = 0;

	while (n >= 1000 && i < 4) {
		n /= 1000;
		i++;
	}
	snprintf(buf, TOOL_TEXT, i ? "%.1f%s" : "%.0f%s", n, unit[i]);
	return buf;
}

const char *tool_time(double s, char buf[TOOL_TEXT])
{
	unsigned long long t = s > 0 ? (unsigned long long)(s + 0.5) : 0;

	if (s < 10)
		snprintf(buf, TOOL_TEXT, "%.1f s", s);
	else if (t < 3600)
		snprintf(buf, TOOL_TEXT, "%llu:%02llu", t / 60, t % 60);
	else
		snprintf(buf, TOOL_TEXT, "%llu:%02llu:%02llu", t / 3600, t / 60 % 60, t % 60);
	return buf;
}

/* --- JSON lines --------------------------------------------------------------------------- */

void tool_json_begin(struct tool_json *j, const char *event)
{
	j->doc = yyjson_mut_doc_new(NULL);
	j->obj = yyjson_mut_obj(j->doc);
	yyjson_mut_doc_set_root(j->doc, j->obj);
	if (event)
		tool_json_str(j, "event", event);
}

void tool_json_str(struct tool_json *j, const char *key, const char *v)
{
	yyjson_mut_obj_add_strcpy(j->doc, j->obj, key, v);
}

void tool_json_u64(struct tool_json *j, const char *key, uint64_t v)
{
	yyjson_mut_obj_add_uint(j->doc, j->obj, key, v);
}

void tool_json_f64(struct tool_json *j, const char *key, double v)
{
	if (isfinite(v))
		yyjson_mut_obj_add_real(j->doc, j->obj, key, v);
	else
		yyjson_mut_obj_add_null(j->doc, j->obj, key);
}

void tool_json_bool(struct tool_json *j, const char *key, bool v)
{
	yyjson_mut_obj_add_bool(j->doc, j->obj, key, v);
}

void tool_json_end(struct tool_json *j, FILE *to, FILE *also)
{
	char *line = yyjson_mut_write(j->doc, 0, NULL);
	FILE *const files[] = { to, also };

	for (size_t i = 0; line && i < ARRAY_SIZE(files); i++)
		if (files[i]) {
			fprintf(files[i], "%s\n", line);
			fflush(files[i]);
		}
	free(line);
	yyjson_mut_doc_free(j->doc);
	j->doc = NULL;
}
