/* SPDX-License-Identifier: MIT */
/* Claims about reading and writing safetensors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/test_files.h"
#include "format/safetensors.h"
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

/* The reader under test: open, touch every tensor, every value, every hash. */
static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_safetensors *st;
	const char *k, *v;
	unsigned char b;
	float f;
	int r;

	r = tram_safetensors_open_source(ctx, src, &st);
	if (r) {
		assert_null(st);
		return r;
	}
	for (size_t i = 0; i < tram_safetensors_count(st) && !r; i++) {
		const struct tram_st_tensor *t = tram_safetensors_at(st, i);

		assert_ptr_equal(tram_safetensors_find(st, t->name), t);
		if (t->bytes)
			r = tram_safetensors_read(ctx, st, t, t->bytes - 1, &b, 1);
		if (!r && t->n)
			tram_safetensors_read_f32(ctx, st, t, t->n - 1, &f, 1);
	}
	for (size_t i = 0; i < tram_safetensors_meta_count(st); i++) {
		tram_safetensors_meta_at(st, i, &k, &v);
		assert_non_null(tram_safetensors_meta(st, k));
		assert_non_null(v);
	}
	if (!r)
		r = tram_safetensors_verify(ctx, st);
	tram_safetensors_close(ctx, &st);
	return r < 0 ? r : 0;
}

/* A file of this header and @data bytes of zeros behind it. */
static size_t build(char *out, const char *header, size_t data)
{
	uint64_t len = strlen(header);

	memcpy(out, &len, 8);
	memcpy(out + 8, header, len);
	memset(out + 8 + len, 0, data);
	return 8 + len + data;
}

static void what_is_written_is_read_back(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "m.safetensors"), *k, *v;
	const uint64_t s23[] = { 2, 3 }, s0[] = { 0, 5 }, s4[] = { 4 };
	const float a[6] = { 1, -2, 0.5f, 3e38f, 1e-40f, -0.0f };
	const uint16_t b[4] = { 0x3c00, 0x0001, 0xfc00, 0x3f80 };
	const double d = 1.0 + 0x1p-40;
	float got[6];
	uint16_t got16[4];

	for (int hashed = 0; hashed < 2; hashed++) {
		struct tram_st_writer *w;
		struct tram_safetensors *st;
		const struct tram_st_tensor *t;
		struct tram_ctx *c = e->ctx;

		assert_int_equal(tram_st_writer_create(c, path, hashed, &w), 0);
		assert_int_equal(tram_st_writer_add(c, w, "a", TRAM_ST_F32, 2, s23), 0);
		assert_int_equal(tram_st_writer_add(c, w, "empty", TRAM_ST_F32, 2, s0), 0);
		assert_int_equal(tram_st_writer_add(c, w, "h \"q\" \xc3\xa9", TRAM_ST_F16, 1, s4), 0);
		assert_int_equal(tram_st_writer_meta(c, w, "format", "pt \n\""), 0);
		assert_int_equal(tram_st_writer_add(c, w, "scalar", TRAM_ST_F64, 0, NULL), 0);
		assert_int_equal(tram_st_writer_add(c, w, "last", TRAM_ST_I8, 2, s0), 0);
		/* The borders of the writes are not those of the tensors. */
		assert_int_equal(tram_st_writer_write(c, w, a, 5), 0);
		assert_int_equal(tram_st_writer_write(c, w, (const char *)a + 5, 19), 0);
		assert_int_equal(tram_st_writer_write(c, w, b, 8), 0);
		assert_int_equal(tram_st_writer_write(c, w, &d, 8), 0);
		assert_int_equal(tram_st_writer_commit(c, &w), 0);

		assert_int_equal(tram_safetensors_open(c, path, &st), 0);
		assert_string_equal(tram_safetensors_name(st), path);
		assert_int_equal(tram_safetensors_count(st), 5);
		t = tram_safetensors_find(st, "a");
		assert_int_equal(t->offset % 8, 0);
		assert_int_equal(t->ndim, 2);
		assert_int_equal(t->shape[1], 3);
		assert_int_equal(tram_safetensors_read_f32(c, st, t, 0, got, 6), 0);
		assert_memory_equal(got, a, sizeof(a));
		assert_int_equal(tram_safetensors_read_f32(c, st, t, 5, got, 1), 0);
		assert_memory_equal(got, a + 5, 4);
		assert_int_equal(tram_safetensors_read_f32(c, st, t, 6, got, 1), -EINVAL);
		assert_int_equal(tram_safetensors_read(c, st, t, 23, got, 2), -EINVAL);
		t = tram_safetensors_find(st, "h \"q\" \xc3\xa9");
		assert_int_equal(tram_safetensors_read(c, st, t, 0, got16, 8), 0);
		assert_memory_equal(got16, b, 8);
		assert_int_equal(tram_safetensors_read_f32(c, st, t, 0, got, 4), 0);
		assert_true(got[0] == 1.0f && got[1] == 0x1p-24f && got[2] == -INFINITY);
		t = tram_safetensors_find(st, "scalar");
		assert_int_equal(t->ndim, 0);
		assert_int_equal(t->n, 1);
		assert_int_equal(tram_safetensors_read_f32(c, st, t, 0, got, 1), 0);
		assert_true(got[0] == 1.0f);
		t = tram_safetensors_find(st, "last");
		assert_int_equal(t->bytes, 0);
		assert_int_equal(tram_safetensors_read_f32(c, st, t, 0, got, 0), -EINVAL);
		assert_null(tram_safetensors_find(st, "b"));
		assert_string_equal(tram_safetensors_meta(st, "format"), "pt \n\"");
		assert_null(tram_safetensors_meta(st, "none"));
		assert_int_equal(tram_safetensors_meta_count(st), hashed ? 7 : 1);
		tram_safetensors_meta_at(st, hashed ? 1 : 0, &k, &v);
		assert_string_equal(k, "format");
		assert_string_equal(v, "pt \n\"");
		assert_int_equal(tram_safetensors_verify(c, st), hashed ? 0 : 1);
		tram_safetensors_close(c, &st);
		assert_null(st);
	}
}

/* All 65,536 halves against the definition, computed with scalbn. */
static void halves_convert_exactly(void **state)
{
	for (uint32_t h = 0; h < 65536; h++) {
		int exp = (h >> 10) & 31, frac = h & 1023;
		double x = exp == 31 ? (frac ? NAN : INFINITY) :
			   exp ? scalbn(1024 + frac, exp - 25) : scalbn(frac, -24);
		float f = tram_f16_to_f32((uint16_t)h);

		if (h & 0x8000)
			x = -x;
		if (isnan(x))
			assert_true(isnan(f));
		else
			assert_true((double)f == x && !signbit(f) == !signbit(x));
	}
	assert_true(tram_bf16_to_f32(0x3f80) == 1.0f);
	assert_true(tram_bf16_to_f32(0xff80) == -INFINITY);
}

#define T1(dtype, shape, offsets) "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape \
	",\"data_offsets\":" offsets "}}"

/* One broken field each; 16 bytes of data behind the header. */
static const struct { const char *header; int err; const char *message; } broken[] = {
	{ T1("\"F33\"", "[4]", "[0,16]"), -EINVAL, "tensor t: dtype: \"F33\"" },
	{ T1("7", "[4]", "[0,16]"), -EINVAL, "t.dtype: 7, a string" },
	{ "{\"t\":{\"shape\":[4],\"data_offsets\":[0,16]}}", -EINVAL, "t.dtype: is missing" },
	{ "{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", -EINVAL, "t.shape: is missing" },
	{ "{\"t\":{\"dtype\":\"F32\",\"shape\":[4]}}", -EINVAL, "t.data_offsets: is missing" },
	{ T1("\"F32\"", "4", "[0,16]"), -EINVAL, "t.shape: 4, an array" },
	{ T1("\"F32\"", "[-4]", "[0,16]"), -EINVAL, "shape[0]: -4" },
	{ T1("\"F32\"", "[4.0]", "[0,16]"), -EINVAL, "shape[0]: 4" },
	{ T1("\"F32\"", "[1,1,1,1,1,1,1,1,4]", "[0,16]"), -EINVAL, "9 dimensions, limit 8" },
	{ T1("\"F32\"", "[4294967296,4294967296]", "[0,16]"), -EINVAL, "overflows" },
	{ T1("\"F64\"", "[2305843009213693952]", "[0,16]"), -EINVAL, "overflows" },
	{ T1("\"F32\"", "[18446744073709551616]", "[0,16]"), -EINVAL, "shape[0]" },
	{ T1("\"F32\"", "[3]", "[0,16]"), -EINVAL, "16 bytes, 12 are what" },
	{ T1("\"F32\"", "[5]", "[0,20]"), -EINVAL, "0 to 20, limit 16" },
	{ T1("\"F32\"", "[4]", "[16,0]"), -EINVAL, "16 to 0, limit 16" },
	{ T1("\"F32\"", "[4]", "[-16,0]"), -EINVAL, "two whole numbers" },
	{ T1("\"F32\"", "[4]", "[0]"), -EINVAL, "two whole numbers" },
	{ T1("\"F32\"", "[4]", "[0,16,16]"), -EINVAL, "two whole numbers" },
	{ T1("\"F32\"", "[4]", "[18446744073709551600,18446744073709551615]"), -EINVAL, "limit 16" },
	{ T1("\"F32\"", "[4]", "\"x\""), -EINVAL, "an array is needed" },
	{ T1("\"F32\"", "[3]", "[0,12]"), -EINVAL, "4 bytes behind the last tensor" },
	{ T1("\"F32\"", "[3]", "[4,16]"), -EINVAL, "begins at 4, a hole begins at 0" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
	  "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", -EINVAL,
	  "tensor b: data_offsets: begins at 8, overlaps the one that ends at 12" },
	{ "{\"t\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
	  "\"t\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8,16]}}", -EINVAL,
	  "key \"t\" stands twice" },
	{ "{\"t\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
	  -EINVAL, "key \"dtype\" stands twice" },
	{ "{\"t\":[]}", -EINVAL, "tensor t: is array, an object" },
	{ "{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", -EINVAL,
	  "NUL" },
	{ "{\"__metadata__\":[]}", -EINVAL, "__metadata__: is array" },
	{ "{\"__metadata__\":{\"k\":1}}", -EINVAL, "__metadata__.k: 1, a string" },
	{ "{}", -EINVAL, "16 bytes behind the last tensor" },
	{ "[]", -EINVAL, "begins with byte 0x5b" },
	{ " {}", -EINVAL, "begins with byte 0x20" },
	{ "", -EINVAL, "begins with byte" },
	{ "{\"\xff\":1}", -EINVAL, "not JSON" },
	{ "{\"t\":NaN}", -EINVAL, "not JSON" },
	{ T1("\"F32\"", "[NaN]", "[0,16]"), -EINVAL, "not JSON" },
	{ "{\"t\":", -EINVAL, "not JSON" },
};

static void a_broken_field_is_named(void **state)
{
	char buf[1024];

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(broken); i++)
		assert_refused(read_all, buf, build(buf, broken[i].header, 16), broken[i].err,
			       broken[i].message);
	assert_accepted(read_all, buf, build(buf, T1("\"F32\"", "[4]", "[0,16]"), 16));
	assert_accepted(read_all, buf, build(buf, T1("\"F32\"", "[2,2]", "[0,16]") "     ", 16));
	assert_accepted(read_all, buf, build(buf, "{}", 0));
	assert_accepted(read_all, buf,
			build(buf, T1("\"F32\"", "[0,18446744073709551615,9]", "[0,0]"), 0));
}

static void a_header_length_outside_the_file_is_refused(void **state)
{
	static const uint64_t len[] = { 1, 9, 1u << 30, UINT64_MAX, UINT64_MAX - 7, INT64_MAX };
	char buf[16];

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(len); i++) {
		memset(buf, ' ', sizeof(buf));
		memcpy(buf, &len[i], 8);
		buf[8] = '{';
		assert_refused(read_all, buf, sizeof(buf), -EINVAL,
			       len[i] == 1 ? "not JSON" : "header length: ");
	}
}

static void nesting_ten_thousand_deep_is_refused(void **state)
{
	char *header = malloc(20020), *file = malloc(20040);

	strcpy(header, "{\"t\":");
	memset(header + 5, '[', 10000);
	memset(header + 10005, ']', 10000);
	strcpy(header + 20005, "}");
	assert_refused(read_all, file, build(file, header, 0), -EINVAL, "nesting 10001 deep");
	free(header);
	free(file);
}

static char *load(struct env *e, const char *path, size_t *n)
{
	char *data;

	assert_int_equal(tram_file_load(e->ctx, path, 1 << 20, &data, n), 0);
	return data;
}

static void write_small(struct env *e, const char *path)
{
	const uint64_t s3[] = { 3 }, s2[] = { 2 };
	struct tram_st_writer *w;

	assert_int_equal(tram_st_writer_create(e->ctx, path, true, &w), 0);
	assert_int_equal(tram_st_writer_add(e->ctx, w, "a", TRAM_ST_F32, 1, s3), 0);
	assert_int_equal(tram_st_writer_add(e->ctx, w, "b", TRAM_ST_I16, 1, s2), 0);
	assert_int_equal(tram_st_writer_write(e->ctx, w, "0123456789abcdef", 16), 0);
	assert_int_equal(tram_st_writer_commit(e->ctx, &w), 0);
}

static void every_truncation_and_every_wrong_bit_is_noticed(void **state)
{
	struct env *e = *state;
	size_t n;
	char *data, message[1100];

	write_small(e, test_path(&e->dir, "s"));
	data = load(e, test_path(&e->dir, "s"), &n);
	assert_truncation_is_refused(read_all, data, n);
	/* Hashed: a wrong bit anywhere is refused, except in the marks that say it is hashed. */
	for (size_t bit = 0; bit < 8 * n; bit++) {
		const char mark[] = "{\"__metadata__\":{\"xxh3\":\"";
		size_t at = bit / 8;
		int r;

		data[at] ^= (char)(1 << bit % 8);
		r = test_read(read_all, data, n, 0, message);
		if (r != -EINVAL && r != -EBADMSG && !(at >= 8 && at < 8 + sizeof(mark) - 1))
			fail_msg("bit %zu of byte %zu: %d", bit % 8, at, r);
		data[at] ^= (char)(1 << bit % 8);
	}
	assert_accepted(read_all, data, n);
	data[n - 1] ^= 1;
	assert_refused(read_all, data, n, -EBADMSG, "tensor b: XXH3");
	tram_free(e->ctx, data);
}

static void the_writer_refuses_what_would_be_no_file(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "w");
	const uint64_t s4[] = { 4 }, big[] = { 1ull << 40, 1ull << 40 }, nine[9] = { 0 };
	struct tram_st_writer *w;
	struct tram_ctx *c = e->ctx;

	for (int kind = 0; kind < 9; kind++) {
		assert_int_equal(tram_st_writer_create(c, path, kind & 1, &w), 0);
		assert_int_equal(tram_st_writer_add(c, w, "t", TRAM_ST_U8, 1, s4), 0);
		switch (kind) {
		case 0: assert_int_equal(tram_st_writer_add(c, w, "t", TRAM_ST_U8, 1, s4), -EINVAL);
			break;
		case 1: assert_int_equal(tram_st_writer_add(c, w, "u", TRAM_ST_U8, 2, big), -EINVAL);
			break;
		case 2: assert_int_equal(tram_st_writer_add(c, w, "u", TRAM_ST_U8, 9, nine), -EINVAL);
			break;
		case 3: assert_int_equal(tram_st_writer_write(c, w, "12345", 5), -EINVAL);
			break;
		case 4: assert_int_equal(tram_st_writer_write(c, w, "123", 3), 0);
			break;
		case 5: break;
		case 6: assert_int_equal(tram_st_writer_add(c, w, "\xff", TRAM_ST_U8, 1, s4), -EINVAL);
			break;
		case 7: assert_int_equal(tram_st_writer_meta(c, w, "xxh3:t", "0"), -EINVAL);
			break;
		case 8: assert_int_equal(tram_st_writer_write(c, w, "1234", 4), 0);
			assert_int_equal(tram_st_writer_add(c, w, "u", TRAM_ST_U8, 1, s4), -EINVAL);
			break;
		}
		assert_int_equal(tram_st_writer_commit(c, &w), -EINVAL);
		assert_non_null(strstr(tram_error(c), path));
		assert_null(w);
		assert_int_equal(test_dir_count(e->dir.path), 0);
	}
}

static void a_file_that_shrinks_under_the_run_is_an_error(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "s");
	struct tram_safetensors *st;
	char buf[4];

	write_small(e, path);
	assert_int_equal(tram_safetensors_open(e->ctx, path, &st), 0);
	assert_int_equal(truncate(path, 20), 0);
	assert_int_equal(tram_safetensors_read(e->ctx, st, tram_safetensors_find(st, "b"), 0, buf,
					       4), -ESTALE);
	tram_safetensors_close(e->ctx, &st);
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	const uint64_t s3[] = { 3 };
	struct tram_safetensors *st;
	struct tram_st_writer *w;
	float f[3] = { 0 };
	int r;

	r = tram_st_writer_create(ctx, arg, true, &w);
	if (r)
		return r;
	tram_st_writer_add(ctx, w, "a", TRAM_ST_F32, 1, s3);
	tram_st_writer_meta(ctx, w, "k", "v");
	tram_st_writer_write(ctx, w, f, sizeof(f));
	r = tram_st_writer_commit(ctx, &w);
	if (r)
		return r;
	r = tram_safetensors_open(ctx, arg, &st);
	if (r)
		return r;
	r = tram_safetensors_verify(ctx, st);
	tram_safetensors_close(ctx, &st);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	struct env *e = *state;

	assert_true(test_heap_each_failure(chain, (void *)(uintptr_t)test_path(&e->dir, "a")) > 20);
	assert_int_equal(test_dir_count(e->dir.path), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_written_is_read_back),
		T(halves_convert_exactly),
		T(a_broken_field_is_named),
		T(a_header_length_outside_the_file_is_refused),
		T(nesting_ten_thousand_deep_is_refused),
		T(every_truncation_and_every_wrong_bit_is_noticed),
		T(the_writer_refuses_what_would_be_no_file),
		T(a_file_that_shrinks_under_the_run_is_an_error),
		T(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
