/* SPDX-License-Identifier: MIT */
/*
 * Reading by pread and durable writing; file.h says why. Start at
 * tram_file_open() and tram_writer_create(); the remedies that messages name
 * are the table at the end.
 */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITER_BUF	((size_t)256 << 10)	/* small writes are gathered up to this */
#define IO_MAX		((size_t)1 << 30)	/* one pread or write call; Linux caps at 2 GiB - 4096 */
#define TMP_INFIX	".tmp-"
#define TMP_DIGITS	8

static const char *remedy(int err);

int tram_fail_io(struct tram_ctx *ctx, int err, const char *path, const char *what)
{
	char text[128];

	return tram_fail(ctx, -err, "%s: %s: %s; %s", path, what,
			 strerror_r(err, text, sizeof(text)), remedy(err));
}

/* Sources */

int tram_source_read(struct tram_ctx *ctx, const struct tram_source *src, uint64_t off, void *buf,
		     size_t n)
{
	if (off > src->size || n > src->size - off)
		return tram_fail(ctx, -EINVAL,
				 "%s: bytes %llu + %zu asked for, the file has %llu; it is cut short or damaged",
				 src->name, (unsigned long long)off, n,
				 (unsigned long long)src->size);
	return n ? src->read(ctx, src, off, buf, n) : 0;
}

static int mem_read(struct tram_ctx *ctx, const struct tram_source *src, uint64_t off, void *buf,
		    size_t n)
{
	memcpy(buf, (const char *)src->arg + off, n);
	return 0;
}

struct tram_source tram_source_mem(const char *name, const void *data, size_t size)
{
	return (struct tram_source){ .name = name, .size = size, .read = mem_read, .arg = data };
}

int tram_source_load(struct tram_ctx *ctx, const struct tram_source *src, uint64_t limit,
		     char **data, size_t *size)
{
	char *p;
	int r;

	*data = NULL;
	*size = 0;
	if (src->size > limit || src->size > SIZE_MAX - 1)
		return tram_fail(ctx, -EFBIG, "%s: %llu bytes, limit %llu", src->name,
				 (unsigned long long)src->size, (unsigned long long)limit);
	p = tram_alloc(ctx, (size_t)src->size + 1);
	if (!p)
		return tram_fail_in(ctx, -ENOMEM, "%s", src->name);
	r = tram_source_read(ctx, src, 0, p, (size_t)src->size);
	if (r) {
		tram_free(ctx, p);
		return r;
	}
	p[src->size] = '\0';
	*data = p;
	*size = (size_t)src->size;
	return 0;
}

/* Reading */

struct tram_file {
	struct tram_source src;		/* name and arg point into this object */
	int fd;
	struct timespec mtime;		/* when it was opened */
	char path[];
};

static const char *kind_of(mode_t mode)
{
	return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" :
	       S_ISSOCK(mode) ? "a socket" : "a device";
}

static int file_source_read(struct tram_ctx *ctx, const struct tram_source *src, uint64_t off,
			    void *buf, size_t n);

int tram_file_open(struct tram_ctx *ctx, const char *path, struct tram_file **out)
{
	size_t len = strlen(path) + 1;
	struct tram_file *f;
	struct stat st;
	int r;

	*out = NULL;
	f = tram_zalloc(ctx, sizeof(*f) + len);
	if (!f)
		return tram_fail_in(ctx, -ENOMEM, "%s", path);
	memcpy(f->path, path, len);
	/* O_NONBLOCK: opening a pipe must not wait for its writer. */
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0) {
		r = tram_fail_io(ctx, errno, path, "cannot be opened");
		goto free;
	}
	if (fstat(f->fd, &st)) {
		r = tram_fail_io(ctx, errno, path, "cannot be examined");
		goto close;
	}
	if (!S_ISREG(st.st_mode)) {
		r = tram_fail(ctx, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
			      "%s: is %s, a regular file is needed", path, kind_of(st.st_mode));
		goto close;
	}
	f->mtime = st.st_mtim;
	f->src = (struct tram_source){ .name = f->path, .size = (uint64_t)st.st_size,
				       .read = file_source_read, .arg = f };
	*out = f;
	return 0;

close:
	close(f->fd);
free:
	tram_free(ctx, f);
	return r;
}

void tram_file_close(struct tram_ctx *ctx, struct tram_file **file)
{
	if (*file) {
		close((*file)->fd);
		tram_free(ctx, *file);
		*file = NULL;
	}
}

const char *tram_file_path(const struct tram_file *file)
{
	return file->path;
}

uint64_t tram_file_size(const struct tram_file *file)
{
	return file->src.size;
}

const struct tram_source *tram_file_source(const struct tram_file *file)
{
	return &file->src;
}

int tram_file_unchanged(struct tram_ctx *ctx, const struct tram_file *f)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return tram_fail_io(ctx, errno, f->path, "cannot be examined");
	if ((uint64_t)st.st_size != f->src.size)
		return tram_fail(ctx, -ESTALE,
				 "%s: changed under the run: %lld bytes, %llu when it was opened; keep it unchanged and start again",
				 f->path, (long long)st.st_size, (unsigned long long)f->src.size);
	if (st.st_mtim.tv_sec != f->mtime.tv_sec || st.st_mtim.tv_nsec != f->mtime.tv_nsec)
		return tram_fail(ctx, -ESTALE,
				 "%s: changed under the run: modified at %lld.%09ld, %lld.%09ld when it was opened; keep it unchanged and start again",
				 f->path, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
				 (long long)f->mtime.tv_sec, f->mtime.tv_nsec);
	return 0;
}

static int file_source_read(struct tram_ctx *ctx, const struct tram_source *src, uint64_t off,
			    void *buf, size_t n)
{
	const struct tram_file *f = src->arg;
	size_t done = 0;

	while (done < n) {
		ssize_t k = pread(f->fd, (char *)buf + done, TRAM_MIN(n - done, IO_MAX),
				  (off_t)(off + done));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return tram_fail_io(ctx, errno, f->path, "cannot be read");
		if (k == 0)
			break;
		done += (size_t)k;
	}
	/* After the bytes: a change before or between the reads is seen here. */
	if (tram_file_unchanged(ctx, f))
		return -ESTALE;
	if (done < n)
		return tram_fail(ctx, -EIO, "%s: ends at byte %llu, %llu expected", f->path,
				 (unsigned long long)(off + done), (unsigned long long)src->size);
	return 0;
}

int tram_file_read(struct tram_ctx *ctx, const struct tram_file *file, uint64_t off, void *buf,
		   size_t n)
{
	return tram_source_read(ctx, &file->src, off, buf, n);
}

int tram_file_load(struct tram_ctx *ctx, const char *path, uint64_t limit, char **data,
		   size_t *size)
{
	struct tram_file *f;
	int r;

	*data = NULL;
	*size = 0;
	r = tram_file_open(ctx, path, &f);
	if (r)
		return r;
	r = tram_source_load(ctx, &f->src, limit, data, size);
	tram_file_close(ctx, &f);
	return r;
}

/* Durable writing */

struct tram_writer {
	int fd, dir_fd;
	int err;			/* of the first failed write; sticks */
	uint64_t pos;			/* bytes taken, buffered ones included */
	size_t fill;			/* bytes in buf */
	char *path;			/* for messages */
	char *name;			/* inside the folder */
	char tmp[256];			/* NAME_MAX + 1 */
	char buf[WRITER_BUF];
};

static int split_path(struct tram_ctx *ctx, struct tram_writer *w, char **dir)
{
	const char *slash = strrchr(w->path, '/');
	const char *name = slash ? slash + 1 : w->path;

	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return tram_fail(ctx, -EISDIR, "%s: names a folder, a file name is needed", w->path);
	if (strlen(name) + strlen(TMP_INFIX) + TMP_DIGITS >= sizeof(w->tmp))
		return tram_fail(ctx, -ENAMETOOLONG, "%s: file name of %zu bytes, limit %zu",
				 w->path, strlen(name),
				 sizeof(w->tmp) - 1 - strlen(TMP_INFIX) - TMP_DIGITS);
	w->name = tram_strdup(ctx, name);
	*dir = !slash ? tram_strdup(ctx, ".") :
	       slash == w->path ? tram_strdup(ctx, "/") :
	       tram_asprintf(ctx, "%.*s", (int)(slash - w->path), w->path);
	return w->name && *dir ? 0 : -ENOMEM;
}

/* Removes what killed writers of the same name left: files that nobody holds locked. */
static void sweep(struct tram_writer *w)
{
	size_t n = strlen(w->name);
	struct dirent *e;
	DIR *d;
	int fd;

	fd = openat(w->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, w->name, n) ||
		    strncmp(e->d_name + n, TMP_INFIX, strlen(TMP_INFIX)) ||
		    strlen(e->d_name + n) != strlen(TMP_INFIX) + TMP_DIGITS)
			continue;
		fd = openat(w->dir_fd, e->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(w->dir_fd, e->d_name, 0);
		close(fd);
	}
	closedir(d);
}

/*
 * A new locked file. Between creation and lock a sweeper may have taken it
 * for a left-over: a file without a name is given up and made again.
 */
static int open_tmp(struct tram_ctx *ctx, struct tram_writer *w)
{
	struct stat st;
	uint32_t id;
	int i, fd;

	for (i = 0; i < 100; i++) {
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			id = (uint32_t)tram_now_ns() * 2654435761u;
		snprintf(w->tmp, sizeof(w->tmp), "%s" TMP_INFIX "%0*x", w->name, TMP_DIGITS, id);
		fd = openat(w->dir_fd, w->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return tram_fail_io(ctx, errno, w->path, "cannot be created");
		if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
			close(fd);
			continue;
		}
		if (fstat(fd, &st) == 0 && st.st_nlink == 0) {
			close(fd);
			continue;
		}
		w->fd = fd;
		return 0;
	}
	return tram_fail(ctx, -EEXIST, "%s: no free temporary name beside it after %d tries",
			 w->path, i);
}

int tram_writer_create(struct tram_ctx *ctx, const char *path, struct tram_writer **out)
{
	struct tram_writer *w;
	struct stat st;
	char *dir = NULL;
	int r;

	*out = NULL;
	w = tram_alloc(ctx, sizeof(*w));
	if (!w)
		return tram_fail_in(ctx, -ENOMEM, "%s", path);
	memset(w, 0, offsetof(struct tram_writer, buf));
	w->fd = w->dir_fd = -1;
	w->path = tram_strdup(ctx, path);
	r = w->path ? split_path(ctx, w, &dir) : -ENOMEM;
	if (r)
		goto fail;
	/* Renaming over a device or pipe would replace it. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		r = tram_fail(ctx, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
			      "%s: is %s; name a regular file or one that does not exist yet", path,
			      kind_of(st.st_mode));
		goto fail;
	}
	w->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dir_fd < 0) {
		r = tram_fail_io(ctx, errno, path, "its folder cannot be opened");
		goto fail;
	}
	sweep(w);
	r = open_tmp(ctx, w);
	if (r)
		goto fail;
	tram_free(ctx, dir);
	*out = w;
	return 0;

fail:
	tram_free(ctx, dir);
	tram_writer_abort(ctx, &w);
	return r;
}

static int write_all(struct tram_ctx *ctx, struct tram_writer *w, const char *p, size_t n,
		     uint64_t off)
{
	while (n && !w->err) {
		ssize_t k = pwrite(w->fd, p, TRAM_MIN(n, IO_MAX), (off_t)off);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			w->err = tram_fail_io(ctx, k ? errno : EIO, w->path, "cannot be written");
			break;
		}
		p += k;
		off += (uint64_t)k;
		n -= (size_t)k;
	}
	return w->err;
}

static int flush(struct tram_ctx *ctx, struct tram_writer *w)
{
	size_t n = w->fill;

	w->fill = 0;
	return write_all(ctx, w, w->buf, n, w->pos - n);
}

int tram_writer_write(struct tram_ctx *ctx, struct tram_writer *w, const void *buf, size_t n)
{
	if (w->err)
		return w->err;
	if (w->fill + n > sizeof(w->buf) && flush(ctx, w))
		return w->err;
	if (n > sizeof(w->buf)) {
		write_all(ctx, w, buf, n, w->pos);
	} else if (n) {
		memcpy(w->buf + w->fill, buf, n);
		w->fill += n;
	}
	w->pos += n;
	return w->err;
}

uint64_t tram_writer_pos(const struct tram_writer *w)
{
	return w->pos;
}

int tram_writer_patch(struct tram_ctx *ctx, struct tram_writer *w, uint64_t off, const void *buf,
		      size_t n)
{
	if (off > w->pos || n > w->pos - off)
		return tram_fail(ctx, -EINVAL, "%s: patch of bytes %llu + %zu, %llu are written",
				 w->path, (unsigned long long)off, n, (unsigned long long)w->pos);
	if (w->err || flush(ctx, w))
		return w->err;
	return write_all(ctx, w, buf, n, off);
}

int tram_writer_commit(struct tram_ctx *ctx, struct tram_writer **wp)
{
	struct tram_writer *w = *wp;
	int r;

	r = w->err ? w->err : flush(ctx, w);
	if (!r && fsync(w->fd))
		r = tram_fail_io(ctx, errno, w->path, "cannot be made durable");
	if (!r && renameat(w->dir_fd, w->tmp, w->dir_fd, w->name))
		r = tram_fail_io(ctx, errno, w->path, "cannot be put in place");
	if (!r) {
		w->tmp[0] = '\0';	/* it has its name now: nothing to remove */
		/* Some file systems refuse to sync a folder (EINVAL): then rename is all there is. */
		if (fsync(w->dir_fd) && errno != EINVAL)
			r = tram_fail_io(ctx, errno, w->path, "its folder cannot be made durable");
	}
	tram_writer_abort(ctx, wp);
	return r;
}

void tram_writer_abort(struct tram_ctx *ctx, struct tram_writer **wp)
{
	struct tram_writer *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	if (w->fd >= 0) {
		if (w->tmp[0])
			unlinkat(w->dir_fd, w->tmp, 0);
		close(w->fd);
	}
	if (w->dir_fd >= 0)
		close(w->dir_fd);
	tram_free(ctx, w->name);
	tram_free(ctx, w->path);
	tram_free(ctx, w);
}

int tram_file_store(struct tram_ctx *ctx, const char *path, const void *data, size_t n)
{
	struct tram_writer *w;
	int r;

	r = tram_writer_create(ctx, path, &w);
	if (r)
		return r;
	tram_writer_write(ctx, w, data, n);
	return tram_writer_commit(ctx, &w);
}

int tram_mkdirs(struct tram_ctx *ctx, const char *path)
{
	struct stat st;
	char *p, *s;
	int r = 0;

	p = tram_strdup(ctx, path);
	if (!p)
		return -ENOMEM;
	for (s = p; *s && !r;) {
		char after;

		s += strspn(s, "/");
		s += strcspn(s, "/");
		after = *s;
		*s = '\0';
		if (mkdir(p, 0777) && errno != EEXIST && errno != EISDIR)
			r = tram_fail_io(ctx, errno, p, "folder cannot be made");
		*s = after;
	}
	tram_free(ctx, p);
	if (!r && stat(path, &st))
		r = tram_fail_io(ctx, errno, path, "folder cannot be made");
	else if (!r && !S_ISDIR(st.st_mode))
		r = tram_fail_io(ctx, ENOTDIR, path, "folder cannot be made");
	return r;
}

static const struct {
	int err;
	const char *text;
} remedies[] = {
	{ ENOENT, "check the path" },
	{ ENOTDIR, "check the path" },
	{ EACCES, "check its permissions or run as a user who may" },
	{ EPERM, "check its permissions or run as a user who may" },
	{ EROFS, "choose a place that is mounted writable" },
	{ ENOSPC, "free some space or choose another disk" },
	{ EDQUOT, "free some of your quota or choose another disk" },
	{ EFBIG, "raise the file size limit (ulimit -f) or choose another file system" },
	{ EMFILE, "raise the limit of open files (ulimit -n)" },
	{ ENFILE, "close other programs: the system is out of open files" },
	{ EIO, "check the disk and the kernel log" },
	{ ENOMEM, "free memory or ask for less" },
};

static const char *remedy(int err)
{
	size_t i;

	for (i = 0; i < TRAM_ARRAY_SIZE(remedies); i++)
		if (remedies[i].err == err)
			return remedies[i].text;
	return "check the path and the disk";
}
