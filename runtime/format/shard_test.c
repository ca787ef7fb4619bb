/* SPDX-License-Identifier: MIT */
/* Claims about token shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/test_files.h"
#include "format/shard.h"
#include "format/test_format.h"

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

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_shard shard;
	uint32_t max, last;
	int r;

	r = tram_shard_open_source(ctx, src, &shard);
	r = r ? r : tram_shard_max(ctx, &shard, &max);
	if (!r && shard.n)
		r = tram_shard_read(ctx, &shard, shard.n - 1, 1, &last);
	if (!r)
		r = tram_shard_read(ctx, &shard, shard.n, 1, &last) == -EINVAL ? 0 : -EIO;
	tram_shard_close(ctx, &shard);
	return r;
}

static size_t build(char *out, int32_t magic, int32_t version, int32_t n, size_t data)
{
	const int32_t head[3] = { magic, version, n };

	memset(out, 0, 1024 + data);
	memcpy(out, head, sizeof(head));
	return 1024 + data;
}

static void what_is_written_is_read_back_in_any_range(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "t.bin");
	enum { N = 1999 };
	static const size_t counts[] = { 0, 1, 7, N };
	uint32_t *in = malloc(N * 4), *out = malloc(N * 4), max;

	for (unsigned int width = 2; width <= 4; width += 2) {
		uint32_t top = width == 2 ? 65535 : UINT32_MAX;
		struct tram_shard_writer *w;
		struct tram_shard s;

		for (uint32_t i = 0; i < N; i++)
			in[i] = (i * 2654435761u) & (top >> 1);
		in[1234] = top;
		assert_int_equal(tram_shard_writer_create(e->ctx, path, width, &w), 0);
		assert_int_equal(tram_shard_writer_append(e->ctx, w, in, 1), 0);
		assert_int_equal(tram_shard_writer_append(e->ctx, w, in + 1, 0), 0);
		assert_int_equal(tram_shard_writer_append(e->ctx, w, in + 1, N - 1), 0);
		assert_int_equal(tram_shard_writer_count(w), N);
		assert_int_equal(tram_shard_writer_commit(e->ctx, &w), 0);
		assert_int_equal(tram_shard_open(e->ctx, path, &s), 0);
		assert_int_equal(s.n, N);
		assert_int_equal(s.width, width);
		for (size_t first = 0; first < N; first += 137) {
			for (size_t k = 0; k < 4; k++) {
				size_t n = TRAM_MIN(N - first, counts[k]);

				assert_int_equal(tram_shard_read(e->ctx, &s, first, n, out), 0);
				assert_memory_equal(out, in + first, n * 4);
			}
		}
		assert_int_equal(tram_shard_read(e->ctx, &s, N - 1, 2, out), -EINVAL);
		assert_int_equal(tram_shard_read(e->ctx, &s, UINT64_MAX, 2, out), -EINVAL);
		assert_int_equal(tram_shard_max(e->ctx, &s, &max), 0);
		assert_int_equal(max, top);
		assert_int_equal(truncate(path, 1500), 0);
		assert_int_equal(tram_shard_read(e->ctx, &s, 0, 1, out), -ESTALE);
		tram_shard_close(e->ctx, &s);
	}
	free(in);
	free(out);
}

static void a_token_too_wide_for_the_shard_is_refused(void **state)
{
	struct env *e = *state;
	const uint32_t t[] = { 1, 65536 };
	struct tram_shard_writer *w;

	assert_int_equal(tram_shard_writer_create(e->ctx, test_path(&e->dir, "t"), 2, &w), 0);
	assert_int_equal(tram_shard_writer_append(e->ctx, w, t, 2), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "token 1: 65536, limit 65535"));
	assert_int_equal(tram_shard_writer_commit(e->ctx, &w), -EINVAL);
	assert_int_equal(tram_shard_writer_create(e->ctx, test_path(&e->dir, "t"), 3, &w), -EINVAL);
	assert_int_equal(test_dir_count(e->dir.path), 0);
}

static void a_broken_field_is_named(void **state)
{
	static char b[2048];

	assert_accepted(read_all, b, build(b, 20240520, 1, 4, 8));
	assert_accepted(read_all, b, build(b, 20240801, 7, 4, 16));
	assert_accepted(read_all, b, build(b, 20240520, 1, 0, 0));
	assert_refused(read_all, b, build(b, 20240521, 1, 4, 8), -EINVAL, "magic: 20240521");
	assert_refused(read_all, b, build(b, -1, 1, 4, 8), -EINVAL, "magic: -1");
	assert_refused(read_all, b, build(b, 20240520, 7, 4, 8), -EINVAL, "version: 7");
	assert_refused(read_all, b, build(b, 20240801, 1, 4, 16), -EINVAL, "version: 1");
	assert_refused(read_all, b, build(b, 20240520, 1, -4, 8), -EINVAL, "token count: -4");
	assert_refused(read_all, b, build(b, 20240520, 1, INT32_MIN, 8), -EINVAL, "token count");
	assert_refused(read_all, b, build(b, 20240520, 1, 5, 8), -EINVAL,
		       "token count: 5 of 2 bytes, the file has 8");
	assert_refused(read_all, b, build(b, 20240520, 1, 3, 8), -EINVAL, "token count: 3");
	assert_refused(read_all, b, build(b, 20240520, 1, INT32_MAX, 8), -EINVAL,
		       "token count: 2147483647");
	assert_refused(read_all, b, build(b, 20240520, 1, 4, 9), -EINVAL, "has 9 bytes");
}

static void every_truncation_is_refused_and_every_wrong_bit_survived(void **state)
{
	static char b[2048];
	size_t n = build(b, 20240520, 1, 4, 8);

	assert_truncation_is_refused(read_all, b, n);
	try_every_bit(read_all, b, 16);
	try_every_bit(read_all, b, n);
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	const uint32_t t[] = { 1, 2 };
	struct tram_shard_writer *w;
	struct tram_shard s;
	uint32_t max;
	int r;

	r = tram_shard_writer_create(ctx, arg, 2, &w);
	if (r)
		return r;
	tram_shard_writer_append(ctx, w, t, 2);
	r = tram_shard_writer_commit(ctx, &w);
	r = r ? r : tram_shard_open(ctx, arg, &s);
	if (r)
		return r;
	r = tram_shard_max(ctx, &s, &max);
	tram_shard_close(ctx, &s);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	struct env *e = *state;

	assert_true(test_heap_each_failure(chain, (void *)(uintptr_t)test_path(&e->dir, "a")) > 5);
	assert_int_equal(test_dir_count(e->dir.path), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_written_is_read_back_in_any_range),
		T(a_token_too_wide_for_the_shard_is_refused),
		T(a_broken_field_is_named),
		T(every_truncation_is_refused_and_every_wrong_bit_survived),
		T(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
