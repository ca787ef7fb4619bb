/* SPDX-License-Identifier: MIT */
/* Which files a path of training data means. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "data/data.h"

bool tram_path_is_shard(const char *path)
{
	size_t n = strlen(path);

	return n > 4 && !strcmp(path + n - 4, ".bin");
}

void tram_paths_free(struct tram_ctx *ctx, struct tram_paths *p)
{
	for (size_t i = 0; i < p->v.n; i++)
		tram_free(ctx, p->v.v[i]);
	tram_vec_free(ctx, &p->v);
}

static int push_path(struct tram_ctx *ctx, struct tram_paths *p, char *path)
{
	if (path && !tram_vec_push(ctx, &p->v, path))
		return 0;
	tram_free(ctx, path);
	return -ENOMEM;
}

static int list_folder(struct tram_ctx *ctx, const char *path, DIR *d, struct tram_paths *out)
{
	struct dirent *e;
	int r = 0;

	while (!r && (e = readdir(d))) {
		char *file;
		struct stat st;

		if (e->d_name[0] == '.' || !strcmp(e->d_name, "tokenizer.json"))
			continue;
		file = tram_asprintf(ctx, "%s/%s", path, e->d_name);
		if (file && !stat(file, &st) && !S_ISREG(st.st_mode)) {
			tram_free(ctx, file);
			continue;
		}
		r = push_path(ctx, out, file);
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int tram_paths_list(struct tram_ctx *ctx, const char *path, struct tram_paths *out)
{
	struct stat st;
	DIR *d;
	int r;

	memset(out, 0, sizeof(*out));
	if (stat(path, &st))
		return tram_fail_io(ctx, errno, path, "cannot be read");
	if (!S_ISDIR(st.st_mode))
		return push_path(ctx, out, tram_strdup(ctx, path));
	d = opendir(path);
	if (!d)
		return tram_fail_io(ctx, errno, path, "cannot be read");
	r = list_folder(ctx, path, d, out);
	closedir(d);
	if (!r && !out->v.n)
		r = tram_fail(ctx, -ENOENT, "%s: holds no files; give a text file, a token shard "
			      "(.bin) or a folder of either", path);
	if (r) {
		tram_paths_free(ctx, out);
		return r;
	}
	qsort(out->v.v, out->v.n, sizeof(*out->v.v), by_name);
	return 0;
}
