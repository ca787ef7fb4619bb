/* SPDX-License-Identifier: MIT */
/*
 * Where a machine is read from: a root folder, or a recording, which answers
 * the same reads. Every read may be logged; the log is a recording.
 *
 * libpci reads another root too (its parameter sysfs.path), but it ends the
 * process on its own errors and cannot read from memory; links, NUMA nodes and
 * groups are not its subject. So config space is decoded here, with the
 * kernel's <linux/pci_regs.h>.
 */
#include "topo/topo.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folder */

static int read_file(struct topo_source *src, int fd, size_t limit, char **data, size_t *n)
{
	char *p = tram_alloc(src->ctx, limit + 1);
	ssize_t k = 0;
	size_t got = 0;

	if (!p)
		return -ENOMEM;
	while (got < limit) {
		k = pread(fd, p + got, limit - got, (off_t)got);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		got += (size_t)k;
	}
	if (k < 0 && !got) {
		int err = -errno;

		tram_free(src->ctx, p);
		return err;
	}
	p[got] = '\0';
	*data = p;
	*n = got;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int join_names(struct topo_source *src, char **names, size_t count, char **data, size_t *n)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(src->ctx);

	if (count)
		qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++)
		tram_sbuf_add(&sb, names[i], strlen(names[i]) + 1);
	*n = sb.n;
	return tram_sbuf_take(&sb, data);
}

static int read_list(struct topo_source *src, int fd, char **data, size_t *n)
{
	TRAM_VEC(char *) names = { 0 };
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int err = 0;

	if (!dir) {
		err = -errno;
		close(fd);
		return err;
	}
	while (!err && (e = readdir(dir))) {
		char *name;

		if (e->d_name[0] == '.')
			continue;
		name = tram_strdup(src->ctx, e->d_name);
		err = name ? tram_vec_push(src->ctx, &names, name) : -ENOMEM;
		if (err)
			tram_free(src->ctx, name);
	}
	closedir(dir);
	if (!err)
		err = join_names(src, names.v, names.n, data, n);
	for (size_t i = 0; i < names.n; i++)
		tram_free(src->ctx, names.v[i]);
	tram_vec_free(src->ctx, &names);
	return err;
}

static int folder_get(struct topo_source *src, enum topo_kind kind, const char *path, char **data,
		      size_t *n)
{
	char *full = tram_asprintf(src->ctx, "%s/%s", src->root, path);
	char link[1024];
	ssize_t k;
	int fd, err;

	if (!full)
		return -ENOMEM;
	if (kind == TOPO_LINK) {
		k = readlink(full, link, sizeof(link) - 1);
		err = k < 0 ? -errno : 0;
		tram_free(src->ctx, full);
		if (err)
			return err;
		link[k] = '\0';
		*data = tram_strdup(src->ctx, link);
		*n = (size_t)k;
		return *data ? 0 : -ENOMEM;
	}
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (kind == TOPO_LIST ? O_DIRECTORY : 0));
	err = fd < 0 ? -errno : 0;
	tram_free(src->ctx, full);
	if (err)
		return err;
	if (kind == TOPO_LIST)
		return read_list(src, fd, data, n);
	err = read_file(src, fd, kind == TOPO_BYTES ? TOPO_CONFIG : TOPO_TEXT_MAX, data, n);
	close(fd);
	return err;
}

/* Recording */

static int entry_order(const struct topo_entry *e, enum topo_kind kind, const char *path)
{
	int c = strcmp(e->path, path);

	return c ? c : (int)e->kind - (int)kind;
}

static int recording_get(struct topo_source *src, enum topo_kind kind, const char *path,
			 char **data, size_t *n)
{
	size_t lo = 0, hi = src->entries.n;
	const struct topo_entry *e;
	char *p;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (entry_order(&src->entries.v[mid], kind, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	e = lo < src->entries.n ? &src->entries.v[lo] : NULL;
	if (!e || entry_order(e, kind, path))
		return -ENOENT;
	if (e->err)
		return e->err;
	p = tram_alloc(src->ctx, (kind == TOPO_BYTES ? TOPO_CONFIG : e->n) + 1);
	if (!p)
		return -ENOMEM;
	if (kind == TOPO_BYTES) {
		topo_config_decode(e, p, n);
	} else {
		memcpy(p, e->value, e->n);
		*n = e->n;
	}
	p[*n] = '\0';
	*data = p;
	return 0;
}

/* Both */

int topo_get(struct topo_source *src, enum topo_kind kind, const char *path, char **data,
	     size_t *n)
{
	int err, log_err = 0;

	*data = NULL;
	*n = 0;
	err = src->root ? folder_get(src, kind, path, data, n) :
			  recording_get(src, kind, path, data, n);
	if (!err && kind == TOPO_TEXT)
		while (*n && ((*data)[*n - 1] == '\n' || (*data)[*n - 1] == '\0'))
			(*data)[--*n] = '\0';
	if (src->log && !err && kind == TOPO_BYTES)
		topo_forget_serial((uint8_t *)*data, *n);
	if (src->log && err != -ENOENT && err != -ENOMEM)
		log_err = topo_log(src, kind, path, err, *data, *n);
	if (log_err) {
		tram_free(src->ctx, *data);
		*data = NULL;
		return log_err;
	}
	return err;
}

int topo_source_folder(struct tram_ctx *ctx, const char *root, struct topo_source *src)
{
	struct stat st;

	memset(src, 0, sizeof(*src));
	src->ctx = ctx;
	src->name = root;
	src->root = strcmp(root, "/") ? root : "";
	if (stat(root, &st))
		return tram_fail_io(ctx, errno, root, "root folder cannot be read");
	if (!S_ISDIR(st.st_mode))
		return tram_fail(ctx, -ENOTDIR, "%s: is no folder; a recording is read with --from",
				 root);
	return 0;
}

int topo_source_recording(struct tram_ctx *ctx, const struct tram_source *file,
			  struct topo_source *src)
{
	size_t n;
	int err;

	memset(src, 0, sizeof(*src));
	src->ctx = ctx;
	src->name = file->name;
	err = tram_source_load(ctx, file, TOPO_RECORDING_MAX, &src->text, &n);
	if (!err)
		err = topo_recording_parse(src, file->name, n);
	if (err)
		topo_source_close(src);
	return err;
}

void topo_source_close(struct topo_source *src)
{
	for (size_t i = 0; i < src->lines.n; i++)
		tram_free(src->ctx, src->lines.v[i]);
	tram_vec_free(src->ctx, &src->lines);
	tram_vec_free(src->ctx, &src->entries);
	tram_free(src->ctx, src->text);
	src->text = NULL;
}
