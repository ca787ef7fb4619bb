/* SPDX-License-Identifier: MIT */
/* Claims about reading and writing .npy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/test_files.h"
#include "format/npy.h"
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
	struct tram_npy npy;
	char last[8];
	int r;

	r = tram_npy_open_source(ctx, src, &npy);
	if (!r && npy.n)
		r = tram_npy_read(ctx, &npy, npy.n - 1, last, 1);
	if (!r) {
		tram_npy_dtype_name(npy.dtype);
		r = tram_npy_read(ctx, &npy, npy.n, last, 1) == -EINVAL ? 0 : -EIO;
	}
	tram_npy_close(ctx, &npy);
	return r;
}

/* Format @version around a header text (a line feed is put behind) and zeros. */
static size_t build(char *out, int version, const char *header, size_t data)
{
	size_t word = version == 1 ? 2 : 4;
	uint32_t len = (uint32_t)strlen(header) + 1;

	memcpy(out, "\x93NUMPY", 6);
	out[6] = (char)version;
	out[7] = 0;
	memcpy(out + 8, &len, word);
	memcpy(out + 8 + word, header, len - 1);
	out[8 + word + len - 1] = '\n';
	memset(out + 8 + word + len, 0, data);
	return 8 + word + len + data;
}

static void what_is_written_is_read_back(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "a.npy");
	const float x[6] = { 1, 2, 3, -4, 5e-39f, 6 };
	const int32_t k[3] = { -1, 0, 7 };
	const uint64_t s[] = { 2, 3 }, one[] = { 3 }, none[] = { 0, 3 };
	struct tram_npy npy;
	struct tram_npy_writer *w;
	float got[6];
	int32_t goti[3];

	assert_int_equal(tram_npy_writer_create(e->ctx, path, TRAM_NPY_F32, 2, s, &w), 0);
	assert_int_equal(tram_npy_writer_write(e->ctx, w, x, 1), 0);
	assert_int_equal(tram_npy_writer_write(e->ctx, w, x + 1, 5), 0);
	assert_int_equal(tram_npy_writer_commit(e->ctx, &w), 0);
	assert_int_equal(tram_npy_open(e->ctx, path, &npy), 0);
	assert_int_equal(npy.dtype, TRAM_NPY_F32);
	assert_int_equal(npy.ndim, 2);
	assert_int_equal(npy.shape[0], 2);
	assert_int_equal(npy.shape[1], 3);
	assert_int_equal(npy.offset % 64, 0);
	assert_int_equal(tram_npy_read(e->ctx, &npy, 0, got, 6), 0);
	assert_memory_equal(got, x, sizeof(x));
	assert_int_equal(tram_npy_read(e->ctx, &npy, 5, got, 2), -EINVAL);
	tram_npy_close(e->ctx, &npy);

	assert_int_equal(tram_npy_store(e->ctx, path, TRAM_NPY_I32, 1, one, k), 0);
	assert_int_equal(tram_npy_open(e->ctx, path, &npy), 0);
	assert_int_equal(npy.ndim, 1);
	assert_int_equal(tram_npy_read(e->ctx, &npy, 0, goti, 3), 0);
	assert_memory_equal(goti, k, sizeof(k));
	tram_npy_close(e->ctx, &npy);

	assert_int_equal(tram_npy_store(e->ctx, path, TRAM_NPY_F64, 0, NULL, "\0\0\0\0\0\0\xf0?"), 0);
	assert_int_equal(tram_npy_open(e->ctx, path, &npy), 0);
	assert_int_equal(npy.ndim, 0);
	assert_int_equal(npy.n, 1);
	tram_npy_close(e->ctx, &npy);
	assert_int_equal(tram_npy_store(e->ctx, path, TRAM_NPY_F32, 2, none, NULL), 0);
	assert_int_equal(tram_npy_open(e->ctx, path, &npy), 0);
	assert_int_equal(npy.n, 0);
	tram_npy_close(e->ctx, &npy);
}

static void the_writer_holds_its_shape(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "a.npy");
	const uint64_t s[] = { 2 }, big[] = { 1ull << 40, 1ull << 40 };
	struct tram_npy_writer *w;

	assert_int_equal(tram_npy_writer_create(e->ctx, path, TRAM_NPY_F32, 1, s, &w), 0);
	assert_int_equal(tram_npy_writer_write(e->ctx, w, "0123", 1), 0);
	assert_int_equal(tram_npy_writer_commit(e->ctx, &w), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "a.npy: 1 elements"));
	assert_int_equal(tram_npy_writer_create(e->ctx, path, TRAM_NPY_F32, 1, s, &w), 0);
	assert_int_equal(tram_npy_writer_write(e->ctx, w, "012345678901", 3), -EINVAL);
	assert_int_equal(tram_npy_writer_commit(e->ctx, &w), -EINVAL);
	assert_int_equal(tram_npy_writer_create(e->ctx, path, TRAM_NPY_F32, 2, big, &w), -EINVAL);
	assert_int_equal(test_dir_count(e->dir.path), 0);
}

#define D(descr, order, shape) \
	"{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"

static void every_version_and_spelling_is_read(void **state)
{
	static const char *const good[] = {
		D("'<f4'", "False", "(2, 2)"), D("'<f4'", "False", "(4,)"),
		D("'<f8'", "False", "(2,)"), D("'<i8'", "False", "(1, 2)"),
		D("'<u2'", "False", "(8,)"), D("'|u1'", "False", "(16,)"),
		D("'<f4'", "False", "(2, 2, 1,)"),
		"{\"shape\":(4,),\"descr\":\"<i4\",\"fortran_order\":False}",
		D("'<f4'", "False", "(4,)") "              ",
	};
	char buf[512];

	for (int version = 1; version <= 3; version++)
		for (size_t i = 0; i < TRAM_ARRAY_SIZE(good); i++)
			assert_accepted(read_all, buf, build(buf, version, good[i], 16));
	assert_accepted(read_all, buf, build(buf, 1, D("'<f4'", "False", "()"), 4));
	assert_accepted(read_all, buf, build(buf, 1, D("'<f4'", "False", "(0, 7)"), 0));
}

static const struct { const char *header, *message; } broken[] = {
	{ D("'>f4'", "False", "(4,)"), "descr: \">f4\"" },
	{ D("'|O'", "False", "(4,)"), "descr: \"|O\"" },
	{ D("'<f3'", "False", "(4,)"), "descr: \"<f3\"" },
	{ D("[('a', '<f4')]", "False", "(4,)"), "descr: records" },
	{ D("4", "False", "(4,)"), "a string is needed" },
	{ D("'aaaaaaaaaaaaaaaaaaaaaaaa'", "False", "(4,)"), "short string" },
	{ D("'<f4'", "True", "(4,)"), "fortran_order: True" },
	{ D("'<f4'", "0", "(4,)"), "True or False" },
	{ D("'<f4'", "False", "4"), "a shape in parentheses" },
	{ D("'<f4'", "False", "(4)"), "a comma" },
	{ D("'<f4'", "False", "(-4,)"), "a length of the shape" },
	{ D("'<f4'", "False", "(4.0,)"), "a comma" },
	{ D("'<f4'", "False", "(nan,)"), "a length of the shape" },
	{ D("'<f4'", "False", "(5,)"), "needs 20 bytes, the file has 16" },
	{ D("'<f4'", "False", "(3,)"), "needs 12 bytes, the file has 16" },
	{ D("'<f4'", "False", "(18446744073709551616,)"), "a length over 2^64 - 1" },
	{ D("'<f4'", "False", "(18446744073709551615,)"), "overflows" },
	{ D("'<f4'", "False", "(4294967296, 4294967296)"), "overflows" },
	{ D("'<f4'", "False", "(1,1,1,1,1,1,1,1,4)"), "more than 8 dimensions" },
	{ D("'<f4'", "False", "((((((4,)"), "a length of the shape" },
	{ "{'descr': '<f4', 'fortran_order': False}", "shape: is missing" },
	{ "{'descr': '<f4', 'shape': (4,)}", "fortran_order: is missing" },
	{ "{'shape': (4,), 'fortran_order': False}", "descr: is missing" },
	{ "{'descr': '<f4', 'descr': '<f4'}", "key \"descr\" is there twice" },
	{ "{'other': 4}", "key \"other\" is unknown" },
	{ "{}", "descr: is missing" },
	{ "", "'{' is needed" },
	{ "x", "'{' is needed" },
	{ D("'<f4'", "False", "(4,)") "x", "a line feed" },
	{ D("'<f4'", "False", "(4,)") "\n", "a line feed" },
};

static void a_broken_field_is_named(void **state)
{
	char buf[512];
	size_t n;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(broken); i++)
		assert_refused(read_all, buf, build(buf, 1, broken[i].header, 16), -EINVAL,
			       broken[i].message);
	n = build(buf, 4, D("'<f4'", "False", "(4,)"), 16);
	assert_refused(read_all, buf, n, -EINVAL, "version: 4.0");
	n = build(buf, 1, D("'<f4'", "False", "(4,)"), 16);
	buf[7] = 9;
	assert_refused(read_all, buf, n, -EINVAL, "version: 1.9");
	buf[7] = 0;
	buf[1] = 'n';
	assert_refused(read_all, buf, n, -EINVAL, "magic");
	n = build(buf, 1, D("'<f4'", "False", "(4,)"), 16);
	buf[20] = '\0';
	assert_refused(read_all, buf, n, -EINVAL, "NUL");
	n = build(buf, 2, D("'<f4'", "False", "(4,)"), 16);
	memset(buf + 8, 0xff, 4);
	assert_refused(read_all, buf, n, -EINVAL, "header length: 4294967295, limit");
	n = build(buf, 1, D("'<f4'", "False", "(4,)"), 16);
	buf[9] = 1;
	assert_refused(read_all, buf, n, -EINVAL, "header length: ");
}

static void every_truncation_is_refused_and_every_wrong_bit_survived(void **state)
{
	char buf[512];

	for (int version = 1; version <= 2; version++) {
		size_t n = build(buf, version, D("'<f4'", "False", "(4,)"), 16);

		assert_truncation_is_refused(read_all, buf, n);
		try_every_bit(read_all, buf, n);
	}
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	const uint64_t s[] = { 2 };
	struct tram_npy npy;
	int r;

	r = tram_npy_store(ctx, arg, TRAM_NPY_F32, 1, s, "01234567");
	if (r)
		return r;
	r = tram_npy_open(ctx, arg, &npy);
	tram_npy_close(ctx, &npy);
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
		T(what_is_written_is_read_back),
		T(the_writer_holds_its_shape),
		T(every_version_and_spelling_is_read),
		T(a_broken_field_is_named),
		T(every_truncation_is_refused_and_every_wrong_bit_survived),
		T(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
