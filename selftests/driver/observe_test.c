// SPDX-License-Identifier: MIT
/* What an operator sees: fdinfo, debugfs, tracepoints. */
#define _GNU_SOURCE
#include "tap.h"

#include <sys/stat.h>

#define TRACING	"/sys/kernel/tracing/"

/* Bytes of a "key: N unit" line, or -1. */
static long long fdinfo(int fd, const char *key)
{
	char path[64], line[128], unit[8];
	long long n = -1, got;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	need(f, path);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) || line[strlen(key)] != ':')
			continue;
		unit[0] = 0;
		if (sscanf(line + strlen(key) + 1, "%lld %7s", &got, unit) < 1)
			continue;
		n = got << (!strcmp(unit, "KiB") ? 10 : !strcmp(unit, "MiB") ? 20 : 0);
	}
	fclose(f);
	return n;
}

static bool file_has(const char *path, const char *text)
{
	char line[512];
	bool has = false;
	FILE *f = fopen(path, "r");

	while (f && !has && fgets(line, sizeof(line), f))
		has = strstr(line, text);
	if (f)
		fclose(f);
	return has;
}

static void sizes_of_a_file(int fd)
{
	int other = tram_open(), dmabuf;
	struct tram_buffer_create c;
	char path[64];
	uint32_t h;

	need(!create(fd, 3 * MIB, &c), "create");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ok(file_has(path, "drm-driver:\ttramroad"), "fdinfo names the driver");
	ok(fdinfo(fd, "drm-total-memory") == 3 * (long long)MIB &&
	   fdinfo(fd, "drm-resident-memory") == 3 * (long long)MIB, "and what the file holds, resident");
	ok(fdinfo(other, "drm-total-memory") <= 0, "not what others hold");
	dmabuf = export(fd, c.handle);
	ok(!import(other, dmabuf, &h) && fdinfo(fd, "drm-shared-memory") == 3 * (long long)MIB,
	   "nor as its own what it shares");
	ok(counter("ledger", "total") == 3 * (long long)MIB && counter("buffers", "buffers") == 1,
	   "debugfs counts the buffer once");
	close(dmabuf);
	close(other);
	close_handle(fd, c.handle);
}

static void life_of_a_buffer(int fd)
{
	static const char *const events[] = { "create", "export", "free" };
	struct tram_buffer_create c;
	char text[64];

	if (access(TRACING "events/tramroad/enable", W_OK)) {
		printf("ok %d # SKIP no event tracing in this kernel\n", ++tap_count);
		return;
	}
	write_file(TRACING "trace", "\n");
	write_file(TRACING "events/tramroad/enable", "1");
	need(!create(fd, 5 * MIB, &c), "create");
	close(export(fd, c.handle));
	close_handle(fd, c.handle);
	write_file(TRACING "events/tramroad/enable", "0");
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		snprintf(text, sizeof(text), "tram_buffer_%s: ", events[i]);
		ok(file_has(TRACING "trace", text), "a trace shows %s", events[i]);
	}
	ok(file_has(TRACING "trace", "size=5242880"), "with its size");
}

int main(void)
{
	int fd = tram_open();

	sizes_of_a_file(fd);
	life_of_a_buffer(fd);
	close(fd);
	ok(nothing_left(), "nothing is left");
	return tap_end();
}
