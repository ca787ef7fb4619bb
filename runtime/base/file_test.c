/* SPDX-License-Identifier: MIT */
/* Claims about reading files that nobody trusts and writing files that appear whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/test_files.h"
#include "base/test_heap.h"

struct env { struct tram_ctx *ctx; struct test_dir dir; };

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));

	*state = e;
	test_dir_make(&e->dir);
	return tram_ctx_create(NULL, &e->ctx);
}

static int teardown(void **state)
{
	struct env *e = *state;

	test_dir_remove(&e->dir);
	tram_ctx_destroy(&e->ctx);
	free(e);
	return 0;
}

#define assert_message(ctx, part) assert_non_null(strstr(tram_error(ctx), part))

static void what_is_written_is_read_back(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "a");
	struct tram_writer *w;
	struct tram_file *f;
	size_t big = 700 * 1024, size;
	unsigned char *x = malloc(big), *y = malloc(big);
	char *data;

	for (size_t i = 0; i < big; i++)
		x[i] = (unsigned char)(i * 31 + i / 1000);
	assert_int_equal(tram_writer_create(e->ctx, path, &w), 0);
	assert_int_equal(tram_writer_write(e->ctx, w, x, 3), 0);
	assert_int_equal(tram_writer_write(e->ctx, w, x + 3, 300 * 1024), 0);
	for (size_t i = 3 + 300 * 1024; i < big; i++)
		assert_int_equal(tram_writer_write(e->ctx, w, x + i, 1), 0);
	assert_int_equal(tram_writer_pos(w), big);
	assert_int_equal(access(path, F_OK), -1);
	memcpy(x + 2, "patch", 5);
	assert_int_equal(tram_writer_patch(e->ctx, w, 2, "patch", 5), 0);
	assert_int_equal(tram_writer_patch(e->ctx, w, big - 1, "ab", 2), -EINVAL);
	assert_int_equal(tram_writer_commit(e->ctx, &w), 0);
	assert_null(w);
	assert_int_equal(test_dir_count(e->dir.path), 1);

	assert_int_equal(tram_file_open(e->ctx, path, &f), 0);
	assert_int_equal(tram_file_size(f), big);
	assert_string_equal(tram_file_path(f), path);
	assert_int_equal(tram_file_read(e->ctx, f, 0, y, big), 0);
	assert_memory_equal(x, y, big);
	assert_int_equal(tram_file_read(e->ctx, f, big, y, 0), 0);
	assert_int_equal(tram_file_read(e->ctx, f, big, y, 1), -EINVAL);
	assert_message(e->ctx, path);
	assert_int_equal(tram_file_read(e->ctx, f, UINT64_MAX, y, 2), -EINVAL);
	tram_file_close(e->ctx, &f);
	assert_null(f);
	tram_file_close(e->ctx, &f);

	assert_int_equal(tram_file_load(e->ctx, path, big, &data, &size), 0);
	assert_int_equal(size, big);
	assert_int_equal(data[big], 0);
	tram_free(e->ctx, data);
	assert_int_equal(tram_file_load(e->ctx, path, big - 1, &data, &size), -EFBIG);
	assert_message(e->ctx, path);
	assert_null(data);
	free(x);
	free(y);
}

static void only_regular_files_are_opened(void **state)
{
	struct env *e = *state;
	struct tram_file *f;
	char *data;
	size_t size;

	assert_int_equal(tram_file_open(e->ctx, e->dir.path, &f), -EISDIR);
	assert_message(e->ctx, "a folder");
	assert_int_equal(mkfifo(test_path(&e->dir, "fifo"), 0600), 0);
	assert_int_equal(tram_file_open(e->ctx, test_path(&e->dir, "fifo"), &f), -EINVAL);
	assert_message(e->ctx, "a pipe");
	assert_int_equal(tram_file_open(e->ctx, "/dev/null", &f), -EINVAL);
	assert_message(e->ctx, "a device");
	assert_int_equal(tram_file_open(e->ctx, test_path(&e->dir, "none"), &f), -ENOENT);
	assert_message(e->ctx, "none: cannot be opened: No such file");
	assert_null(f);

	test_write(test_path(&e->dir, "empty"), "", 0);
	assert_int_equal(tram_file_load(e->ctx, test_path(&e->dir, "empty"), 0, &data, &size), 0);
	assert_int_equal(size, 0);
	assert_string_equal(data, "");
	tram_free(e->ctx, data);
}

static void a_file_that_changes_under_the_run_is_an_error(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "a");
	struct timespec t[2] = { { 1, 0 }, { 1, 0 } };
	struct tram_file *f;
	char buf[8];

	test_write(path, "0123456789", 10);
	assert_int_equal(tram_file_open(e->ctx, path, &f), 0);
	assert_int_equal(tram_file_read(e->ctx, f, 2, buf, 8), 0);
	assert_int_equal(tram_file_unchanged(e->ctx, f), 0);
	assert_int_equal(truncate(path, 4), 0);
	assert_int_equal(tram_file_read(e->ctx, f, 2, buf, 8), -ESTALE);
	assert_message(e->ctx, "changed under the run: 4 bytes, 10 when");
	assert_int_equal(tram_file_read(e->ctx, f, 0, buf, 2), -ESTALE);
	tram_file_close(e->ctx, &f);

	assert_int_equal(tram_file_open(e->ctx, path, &f), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
	assert_int_equal(tram_file_read(e->ctx, f, 0, buf, 2), -ESTALE);
	assert_message(e->ctx, "modified at 1.0");
	tram_file_close(e->ctx, &f);
}

static void an_aborted_or_failed_write_leaves_the_old_file(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "a");
	struct tram_writer *w;
	char *data;
	size_t size;

	assert_int_equal(tram_file_store(e->ctx, path, "old", 3), 0);
	assert_int_equal(tram_writer_create(e->ctx, path, &w), 0);
	assert_int_equal(tram_writer_write(e->ctx, w, "newer", 5), 0);
	tram_writer_abort(e->ctx, &w);
	assert_null(w);
	tram_writer_abort(e->ctx, &w);
	assert_int_equal(test_dir_count(e->dir.path), 1);
	assert_int_equal(tram_file_load(e->ctx, path, 9, &data, &size), 0);
	assert_string_equal(data, "old");
	tram_free(e->ctx, data);
}

/* RLIMIT_FSIZE stands in for a full disk: the write fails in the middle. */
static void a_write_that_fails_sticks_and_leaves_nothing(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "a");
	struct rlimit old, small;
	struct tram_writer *w;
	static char block[600 * 1024];

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 400 * 1024;
	assert_int_equal(tram_writer_create(e->ctx, path, &w), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(tram_writer_write(e->ctx, w, block, sizeof(block)), -EFBIG);
	assert_message(e->ctx, "a: cannot be written: File too large; raise");
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(tram_writer_write(e->ctx, w, "x", 1), -EFBIG);
	assert_int_equal(tram_writer_commit(e->ctx, &w), -EFBIG);
	assert_null(w);
	assert_int_equal(test_dir_count(e->dir.path), 0);
}

static void places_that_cannot_be_written_are_named(void **state)
{
	struct env *e = *state;
	struct tram_writer *w;
	char name[300];

	assert_int_equal(tram_writer_create(e->ctx, test_path(&e->dir, "no/a"), &w), -ENOENT);
	assert_message(e->ctx, "no/a: its folder cannot be opened");
	assert_int_equal(tram_writer_create(e->ctx, e->dir.path, &w), -EISDIR);
	assert_int_equal(tram_writer_create(e->ctx, test_path(&e->dir, ""), &w), -EISDIR);
	assert_int_equal(tram_writer_create(e->ctx, "/dev/null", &w), -EINVAL);
	assert_message(e->ctx, "/dev/null: is a device");
	memset(name, 'n', 250);
	name[250] = '\0';
	assert_int_equal(tram_writer_create(e->ctx, test_path(&e->dir, name), &w), -ENAMETOOLONG);
	assert_null(w);
	assert_int_equal(test_dir_count(e->dir.path), 0);
}

static void the_mode_follows_the_umask(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "a");
	mode_t old = umask(027);
	struct stat st;

	assert_int_equal(tram_file_store(e->ctx, path, "x", 1), 0);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void leftovers_of_killed_writers_go_and_live_writers_stay(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "a");
	struct tram_writer *w, *w2;
	pid_t pid;
	int status;

	pid = fork();
	if (pid == 0) {
		tram_writer_create(e->ctx, path, &w);
		tram_writer_write(e->ctx, w, "x", 1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(test_dir_count(e->dir.path), 1);
	test_write(test_path(&e->dir, "a.tmp-notours"), "", 0);
	test_write(test_path(&e->dir, "b.tmp-00000000"), "", 0);

	assert_int_equal(tram_writer_create(e->ctx, path, &w), 0);
	assert_int_equal(test_dir_count(e->dir.path), 3);
	assert_int_equal(tram_writer_create(e->ctx, path, &w2), 0);
	assert_int_equal(test_dir_count(e->dir.path), 4);
	assert_int_equal(tram_writer_write(e->ctx, w, "1", 1), 0);
	assert_int_equal(tram_writer_write(e->ctx, w2, "2", 1), 0);
	assert_int_equal(tram_writer_commit(e->ctx, &w), 0);
	assert_int_equal(tram_writer_commit(e->ctx, &w2), 0);
	assert_int_equal(test_dir_count(e->dir.path), 3);
}

static void folders_are_made_on_the_way(void **state)
{
	struct env *e = *state;
	struct stat st;

	assert_int_equal(tram_mkdirs(e->ctx, test_path(&e->dir, "x//y/z/")), 0);
	assert_int_equal(stat(test_path(&e->dir, "x/y/z"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(tram_mkdirs(e->ctx, test_path(&e->dir, "x/y")), 0);
	assert_int_equal(tram_mkdirs(e->ctx, "/"), 0);
	assert_int_equal(tram_mkdirs(e->ctx, "."), 0);
	test_write(test_path(&e->dir, "file"), "", 0);
	assert_int_equal(tram_mkdirs(e->ctx, test_path(&e->dir, "file/q")), -ENOTDIR);
	assert_message(e->ctx, "file/q: folder cannot be made");
	assert_int_equal(tram_mkdirs(e->ctx, test_path(&e->dir, "file")), -ENOTDIR);
}

/* Would a mount made here show outside? "/" of a chroot cannot be made private. */
static bool mounts_are_shared(void)
{
	FILE *f;
	char line[4096];
	bool shared = false;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return false;
	f = fopen("/proc/self/mountinfo", "r");
	if (!f)
		return true;
	while (fgets(line, sizeof(line), f))
		shared |= strstr(line, " shared:") != NULL;
	fclose(f);
	return shared;
}

/* In a child with a mount of its own, where that is allowed. */
static int full_disk_child(struct env *e)
{
	struct tram_writer *w;
	static char block[100 * 1024];

	if (unshare(CLONE_NEWNS) || mounts_are_shared() ||
	    mount("tmpfs", e->dir.path, "tmpfs", 0, "size=64k"))
		return 77;
	if (tram_file_store(e->ctx, test_path(&e->dir, "a"), block, sizeof(block)) != -ENOSPC ||
	    !strstr(tram_error(e->ctx), "No space left on device; free some space") ||
	    test_dir_count(e->dir.path) != 0)
		return 1;
	if (mount("none", e->dir.path, NULL, MS_REMOUNT | MS_RDONLY, NULL))
		return 77;
	if (tram_writer_create(e->ctx, test_path(&e->dir, "a"), &w) != -EROFS ||
	    !strstr(tram_error(e->ctx), "mounted writable"))
		return 2;
	return 0;
}

static void a_full_or_read_only_disk_is_named(void **state)
{
	struct env *e = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(full_disk_child(e));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no right to mount a tmpfs: full disk not tried\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int file_chain(struct tram_ctx *ctx, void *arg)
{
	const char *path = arg;
	struct tram_file *f;
	char *data;
	size_t n;
	int r;

	r = tram_file_store(ctx, path, "text", 4);
	if (r)
		return r;
	r = tram_file_open(ctx, path, &f);
	if (r)
		return r;
	tram_file_close(ctx, &f);
	r = tram_file_load(ctx, path, 100, &data, &n);
	if (r)
		return r;
	tram_free(ctx, data);
	return tram_mkdirs(ctx, "/tmp");
}

static void every_allocation_may_fail(void **state)
{
	struct env *e = *state;

	assert_true(test_heap_each_failure(file_chain, (void *)(uintptr_t)test_path(&e->dir, "a")) >= 7);
	assert_int_equal(test_dir_count(e->dir.path), 1);
}

static void memory_is_a_source_with_bounds(void **state)
{
	struct env *e = *state;
	struct tram_source s = tram_source_mem("mem", "abcdef", 6);
	char buf[6];

	assert_int_equal(tram_source_read(e->ctx, &s, 2, buf, 4), 0);
	assert_memory_equal(buf, "cdef", 4);
	assert_int_equal(tram_source_read(e->ctx, &s, 3, buf, 4), -EINVAL);
	assert_message(e->ctx, "mem: bytes 3 + 4");
	assert_int_equal(tram_source_read(e->ctx, &s, 6, buf, 0), 0);
	assert_int_equal(tram_source_read(e->ctx, &s, 7, buf, 0), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_written_is_read_back),
		T(only_regular_files_are_opened),
		T(a_file_that_changes_under_the_run_is_an_error),
		T(an_aborted_or_failed_write_leaves_the_old_file),
		T(a_write_that_fails_sticks_and_leaves_nothing),
		T(places_that_cannot_be_written_are_named),
		T(the_mode_follows_the_umask),
		T(leftovers_of_killed_writers_go_and_live_writers_stay),
		T(folders_are_made_on_the_way),
		T(a_full_or_read_only_disk_is_named),
		T(every_allocation_may_fail),
		T(memory_is_a_source_with_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
