/* SPDX-License-Identifier: MIT */
/* For tests: a folder of their own under $TMPDIR, removed afterwards. */
#ifndef TRAM_BASE_TEST_FILES_H
#define TRAM_BASE_TEST_FILES_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

struct test_dir { char path[256]; char name[4][512]; unsigned int next; };

static inline void test_dir_make(struct test_dir *d)
{
	const char *tmp = getenv("TMPDIR");

	memset(d, 0, sizeof(*d));
	snprintf(d->path, sizeof(d->path), "%s/tram-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(d->path)) {
		perror(d->path);
		abort();
	}
}

static inline int test_dir_remove_(const char *path, const struct stat *st, int flag,
				   struct FTW *ftw)
{
	return remove(path);
}

static inline void test_dir_remove(struct test_dir *d)
{
	nftw(d->path, test_dir_remove_, 16, FTW_DEPTH | FTW_PHYS);
}

/* PATH/@name; the last four stay valid. */
static __attribute__((noinline, unused)) const char *test_path(struct test_dir *d,
								 const char *name)
{
	char *p = d->name[d->next++ % 4];
	size_t n = strlen(d->path), m = strlen(name);

	if (n + 1 + m >= sizeof(d->name[0]))
		abort();
	memcpy(p, d->path, n);
	p[n] = '/';
	memcpy(p + n + 1, name, m + 1);
	return p;
}

static inline void test_write(const char *path, const void *data, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(data, 1, n, f) != n || fclose(f)) {
		perror(path);
		abort();
	}
}

/* Entries of a folder, "." and ".." not counted. */
static inline size_t test_dir_count(const char *path)
{
	struct dirent *e;
	size_t n = 0;
	DIR *dir = opendir(path);

	if (!dir) {
		perror(path);
		abort();
	}
	while ((e = readdir(dir)))
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(dir);
	return n;
}

#endif
