/* SPDX-License-Identifier: MIT */
/* Claims about reading and writing GGUF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/test_files.h"
#include "format/gguf.h"
#include "format/test_format.h"
#include "format/test_gguf.h"

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

/* The reader under test: open, find every key and tensor, read the last value of each. */
static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_gguf *g;
	int r = tram_gguf_open_source(ctx, src, &g);

	if (r) {
		assert_null(g);
		return r;
	}
	for (size_t i = 0; i < tram_gguf_key_count(g); i++) {
		const struct tram_gguf_value *v = tram_gguf_key_at(g, i);
		uint64_t at = 0, n, k;

		assert_ptr_equal(tram_gguf_key(g, v->key), v);
		if (v->type == TRAM_GGUF_STR)
			assert_int_equal(v->str.s[v->str.n], 0);
		if (v->type == TRAM_GGUF_ARR && v->arr.type == TRAM_GGUF_STR)
			for (k = 0; k < v->arr.n; k++)
				tram_gguf_next_str(&v->arr, &at, &n);
	}
	for (size_t i = 0; i < tram_gguf_count(g) && !r; i++) {
		const struct tram_gguf_tensor *t = tram_gguf_at(g, i);
		unsigned char b;
		float f;

		assert_ptr_equal(tram_gguf_find(g, t->name), t);
		r = tram_gguf_read(ctx, g, t, t->bytes - 1, &b, 1);
		if (!r && tram_gguf_read_f32(ctx, g, t, t->n - 1, &f, 1))
			assert_non_null(strstr(tram_error(ctx), "Q8_0"));
	}
	tram_gguf_close(ctx, &g);
	return r;
}

/* --- a good file ------------------------------------------------------------------- */

/* Every type of value, arrays of all kinds, nested ones; returns how many keys. */
static uint64_t put_every_type(struct bytes *b)
{
	put_key(b, "u8", 0), put_u8(b, 200);
	put_key(b, "i8", 1), put_u8(b, (uint8_t)-100);
	put_key(b, "u16", 2), put_u16(b, 60000);
	put_key(b, "i16", 3), put_u16(b, (uint16_t)-30000);
	put_key(b, "u32", 4), put_u32(b, 4000000000u);
	put_key(b, "i32", 5), put_u32(b, (uint32_t)-2000000000);
	put_key(b, "f32", 6), put_f32(b, 0.5f);
	put_key(b, "bool", 7), put_u8(b, 1);
	put_key(b, "str", 8), put_str(b, "text");
	put_key(b, "none", 8), put_str(b, "");
	put_key(b, "u64", 10), put_u64(b, UINT64_MAX);
	put_key(b, "i64", 11), put_u64(b, (uint64_t)INT64_MIN);
	put_key(b, "f64", 12), put_f64(b, 0.1);
	put_key(b, "words", 9), put_u32(b, 8), put_u64(b, 3);
	put_str(b, "a"), put_str(b, ""), put_str(b, "ccc");
	put_key(b, "numbers", 9), put_u32(b, 5), put_u64(b, 2);
	put_u32(b, 7), put_u32(b, (uint32_t)-7);
	put_key(b, "flags", 9), put_u32(b, 7), put_u64(b, 2), put_u8(b, 0), put_u8(b, 1);
	put_key(b, "nested", 9), put_u32(b, 9), put_u64(b, 2);
	put_u32(b, 8), put_u64(b, 1), put_str(b, "x");
	put_u32(b, 0), put_u64(b, 2), put_u8(b, 1), put_u8(b, 2);
	return 17;
}

static void put_good(struct bytes *b)
{
	struct bytes keys = { 0 };
	uint64_t n = put_every_type(&keys);

	put_head(b, 2, n);
	put_(b, keys.v, keys.n);
	put_tensor(b, "a.weight", 3, 2, 0, 0);
	put_tensor(b, "q", 32, 0, 8, 32);
	put_padding(b, 32);
	for (int i = 0; i < 6; i++)
		put_f32(b, (float)i);
	put_padding(b, 32);
	put_u16(b, 0x3800);	/* 0.5 */
	for (int i = 0; i < 32; i++)
		put_u8(b, (uint8_t)(i - 16));
}

static void every_type_of_value_is_read(void **state)
{
	struct env *e = *state;
	struct bytes b = { 0 };
	struct tram_source src;
	struct tram_gguf *g;
	struct tram_gguf_array a;
	uint64_t at = 0, n;
	const char *s;

	put_good(&b);
	src = tram_source_mem("good", b.v, b.n);
	assert_int_equal(tram_gguf_open_source(e->ctx, &src, &g), 0);
	assert_int_equal(tram_gguf_key(g, "u8")->u, 200);
	assert_int_equal(tram_gguf_key(g, "i8")->i, -100);
	assert_int_equal(tram_gguf_key(g, "u16")->u, 60000);
	assert_int_equal(tram_gguf_key(g, "i16")->i, -30000);
	assert_int_equal(tram_gguf_key(g, "u32")->u, 4000000000u);
	assert_int_equal(tram_gguf_key(g, "i32")->i, -2000000000);
	assert_true(tram_gguf_key(g, "f32")->f == 0.5);
	assert_int_equal(tram_gguf_key(g, "bool")->u, 1);
	assert_string_equal(tram_gguf_key(g, "str")->str.s, "text");
	assert_string_equal(tram_gguf_key(g, "none")->str.s, "");
	assert_true(tram_gguf_key(g, "u64")->u == UINT64_MAX);
	assert_true(tram_gguf_key(g, "i64")->i == INT64_MIN);
	assert_true(tram_gguf_key(g, "f64")->f == 0.1);
	assert_null(tram_gguf_key(g, "missing"));

	assert_int_equal(tram_gguf_get_arr(e->ctx, g, "words", true, TRAM_GGUF_STR, &a), 0);
	assert_int_equal(a.n, 3);
	tram_gguf_next_str(&a, &at, &n);
	tram_gguf_next_str(&a, &at, &n);
	assert_int_equal(n, 0);
	s = tram_gguf_next_str(&a, &at, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(s, "ccc", 3);
	assert_int_equal(tram_gguf_get_arr(e->ctx, g, "numbers", true, TRAM_GGUF_I32, &a), 0);
	assert_int_equal(tram_gguf_i32_at(&a, 1), -7);
	assert_int_equal(tram_gguf_key(g, "nested")->arr.n, 2);
	tram_gguf_close(e->ctx, &g);
	assert_accepted(read_all, b.v, b.n);
}

static void tensors_are_outermost_first_and_dequantised(void **state)
{
	struct env *e = *state;
	const struct tram_gguf_tensor *t;
	struct bytes b = { 0 };
	struct tram_source src;
	struct tram_gguf *g;
	float v[32];

	put_good(&b);
	src = tram_source_mem("good", b.v, b.n);
	assert_int_equal(tram_gguf_open_source(e->ctx, &src, &g), 0);
	t = tram_gguf_find(g, "a.weight");
	assert_int_equal(t->ndim, 2);
	assert_int_equal(t->shape[0], 2);
	assert_int_equal(t->shape[1], 3);
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, t, 1, v, 5), 0);
	assert_true(v[0] == 1 && v[4] == 5);
	t = tram_gguf_find(g, "q");
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, t, 0, v, 32), 0);
	for (int i = 0; i < 32; i++)
		assert_true(v[i] == 0.5f * (float)(i - 16));
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, t, 30, v, 3), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "elements 30 + 3 asked for, it has 32"));
	tram_gguf_close(e->ctx, &g);
}

/* Many blocks, from and to the middle of one: as if it had been converted whole. */
static void half_and_quantised_ranges_agree_with_the_whole(void **state)
{
	enum { N = 32 * 200 };
	static unsigned char file[256 + N * 2];
	static const uint32_t types[] = { TRAM_GGUF_T_F16, TRAM_GGUF_T_BF16, TRAM_GGUF_T_Q8_0 };
	struct env *e = *state;
	float *whole = malloc(N * sizeof(float)), *part = malloc(N * sizeof(float));

	for (size_t k = 0; k < 3; k++) {
		struct bytes b = { 0 };
		struct tram_source src;
		struct tram_gguf *g;
		size_t bytes = (size_t)tram_gguf_bytes(types[k], N, N);

		put_head(&b, 1, 0);
		put_tensor(&b, "x", N, 0, types[k], 0);
		put_padding(&b, 32);
		memcpy(file, b.v, b.n);
		for (size_t i = 0; i < bytes; i++)	/* no exponent is all ones */
			file[b.n + i] = (unsigned char)((i * 37 + i / 34) & 0x3b);
		src = tram_source_mem("x", file, b.n + bytes);
		assert_int_equal(tram_gguf_open_source(e->ctx, &src, &g), 0);
		assert_int_equal(tram_gguf_read_f32(e->ctx, g, tram_gguf_at(g, 0), 0, whole, N), 0);
		for (size_t first = 0; first < N; first += 977) {
			size_t n = TRAM_MIN((size_t)N - first, (size_t)2500);

			assert_int_equal(tram_gguf_read_f32(e->ctx, g, tram_gguf_at(g, 0), first,
							    part, n), 0);
			assert_memory_equal(part, whole + first, n * sizeof(float));
		}
		tram_gguf_close(e->ctx, &g);
	}
	free(whole);
	free(part);
}

/* --- broken files ------------------------------------------------------------------------- */

static void a_shorter_file_is_refused(void **state)
{
	struct bytes b = { 0 };

	put_good(&b);
	assert_truncation_is_refused(read_all, b.v, b.n);
	try_every_bit(read_all, b.v, b.n);
}

static void a_broken_start_is_named(void **state)
{
	struct bytes b = { 0 };

	put_good(&b);
	b.v[3] = 'X';
	assert_refused(read_all, b.v, b.n, -EINVAL, "magic: bytes 47 47 55 58");
	b.v[3] = 'F';
	b.v[4] = 2;
	assert_refused(read_all, b.v, b.n, -ENOTSUP, "version: 2, only 3");
	memcpy(b.v + 4, "\0\0\0\3", 4);
	assert_refused(read_all, b.v, b.n, -ENOTSUP, "big-endian");
}

static void counts_that_lie_are_refused(void **state)
{
	static const uint64_t lies[] = { 1000, 1u << 20, 1ull << 40, UINT64_MAX };
	struct bytes b = { 0 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(lies); i++) {
		b.n = 0;
		put_good(&b);
		memcpy(b.v + 8, &lies[i], 8);
		assert_refused(read_all, b.v, b.n, -EINVAL, "number of tensors: ");
		b.n = 0;
		put_good(&b);
		memcpy(b.v + 16, &lies[i], 8);
		assert_refused(read_all, b.v, b.n, -EINVAL, "number of keys: ");
	}
}

/* A file of one key, whose bytes behind the key's name are @value. */
static void refuse_value(const void *value, size_t n, const char *part)
{
	struct bytes b = { 0 };

	put_head(&b, 0, 1);
	put_str(&b, "some.key");
	put_(&b, value, n);
	assert_refused(read_all, b.v, b.n, -EINVAL, part);
}

#define VALUE(bytes, part) refuse_value(bytes, sizeof(bytes) - 1, part)

static void a_broken_value_is_named(void **state)
{
	struct bytes deep = { 0 };

	VALUE("\15\0\0\0", "key some.key: type 13, limit 12");
	VALUE("\7\0\0\0\2", "key some.key: boolean 2, 0 or 1");
	VALUE("\10\0\0\0\5\0\0\0\0\0\0\0abc", "key some.key: 5 bytes needed");
	VALUE("\10\0\0\0\377\377\377\377\377\377\377\377", "key some.key: length 18446744073709551615, limit 268435456");
	VALUE("\11\0\0\0\15\0\0\0\1\0\0\0\0\0\0\0a", "key some.key: type 13");
	VALUE("\11\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0abc", "array of 5 elements, limit 3");
	VALUE("\11\0\0\0\4\0\0\0\3\0\0\0\0\0\0\0abc", "key some.key: 12 bytes needed");
	VALUE("\11\0\0\0\12\0\0\0\377\377\377\377\377\377\377\377", "array of 18446744073709551615 elements, limit 0");
	VALUE("\11\0\0\0\10\0\0\0\1\0\0\0\0\0\0\0\11\0\0\0\0\0\0\0a", "key some.key: 9 bytes needed");
	VALUE("\11\0\0\0\7\0\0\0\1\0\0\0\0\0\0\0\3", "boolean 3");
	put_u32(&deep, 9);
	for (int i = 0; i < TRAM_GGUF_MAX_DEPTH; i++)
		put_u32(&deep, 9), put_u64(&deep, 1);
	put_u32(&deep, 0), put_u64(&deep, 1), put_u8(&deep, 1);
	refuse_value(deep.v, deep.n, "nested deeper than 4");
}

static void a_broken_key_is_named(void **state)
{
	struct bytes b = { 0 };

	put_head(&b, 0, 1);
	put_str(&b, "");
	put_u32(&b, 0), put_u32(&b, 0);
	assert_refused(read_all, b.v, b.n, -EINVAL, "key 0: its name is empty");
	b.n = 0;
	put_head(&b, 0, 1);
	put_u64(&b, 65536);
	put_u64(&b, 0);
	assert_refused(read_all, b.v, b.n, -EINVAL, "length of a key: length 65536, limit 65535");
	b.n = 0;
	put_head(&b, 0, 1);
	put_key(&b, "a\xff", 0), put_u8(&b, 1);
	assert_refused(read_all, b.v, b.n, -EINVAL, "key 0: byte 1 of its name is 0xff");
	b.n = 0;
	put_head(&b, 0, 2);
	put_key(&b, "same", 0), put_u8(&b, 1);
	put_key(&b, "same", 0), put_u8(&b, 1);
	assert_refused(read_all, b.v, b.n, -EINVAL, "key same: is there twice");
}

static void a_wrong_alignment_is_refused(void **state)
{
	static const uint32_t wrong[] = { 0, 4, 24, 131072 };
	struct bytes b = { 0 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(wrong); i++) {
		b.n = 0;
		put_head(&b, 0, 1);
		put_key(&b, "general.alignment", 4), put_u32(&b, wrong[i]);
		assert_refused(read_all, b.v, b.n, -EINVAL, "key general.alignment: ");
	}
	b.n = 0;
	put_head(&b, 0, 1);
	put_key(&b, "general.alignment", 6), put_f32(&b, 32);
	assert_refused(read_all, b.v, b.n, -EINVAL, "key general.alignment: type f32");
}

struct row { const char *name; uint32_t ndim; uint64_t ne[2]; uint32_t type; uint64_t offset; };

/* One tensor as @row says, and 256 bytes behind the header. */
static void refuse_tensor(const struct row *row, const char *part)
{
	struct bytes b = { 0 };

	put_head(&b, 2, 0);
	put_tensor(&b, "first", 4, 0, 0, 0);
	put_str(&b, row->name);
	put_u32(&b, row->ndim);
	for (uint32_t d = 0; d < TRAM_MIN(row->ndim, 2u); d++)
		put_u64(&b, row->ne[d]);
	put_u32(&b, row->type);
	put_u64(&b, row->offset);
	put_padding(&b, 32);
	for (int i = 0; i < 256; i++)
		put_u8(&b, 0);
	assert_refused(read_all, b.v, b.n, -EINVAL, part);
}

#define TENSOR(part, ...) refuse_tensor(&(struct row){ __VA_ARGS__ }, part)

static void a_broken_tensor_is_named(void **state)
{
	static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567890123x";

	TENSOR("tensor 1: its name is empty", "", 1, { 4 }, 0, 32);
	TENSOR("length of a tensor's name: length 65, limit 64", long_name, 1, { 4 }, 0, 32);
	TENSOR("tensor 1: byte 0 of its name is 0x0a", "\nx", 1, { 4 }, 0, 32);
	TENSOR("tensor first: is there twice", "first", 1, { 4 }, 0, 32);
	TENSOR("tensor t: 0 dimensions, limit 1 to 4", "t", 0, { 4 }, 0, 32);
	TENSOR("tensor t: 5 dimensions, limit 1 to 4", "t", 5, { 4 }, 0, 32);
	TENSOR("tensor t: dimension 0: 0, limit 1", "t", 1, { 0 }, 0, 32);
	TENSOR("tensor t: dimension 1: 18446744073709551615", "t", 2, { 4, UINT64_MAX }, 0, 32);
	TENSOR("tensor t: dimensions: product overflows", "t", 2, { 1ull << 40, 1ull << 40 }, 0, 32);
	TENSOR("tensor t: dimensions: product overflows", "t", 2, { 1ull << 31, 1ull << 31 }, 0, 32);
	TENSOR("tensor t: type 4 is not one of ggml's", "t", 1, { 4 }, 4, 32);
	TENSOR("tensor t: type 4294967295 is not", "t", 1, { 4 }, UINT32_MAX, 32);
	TENSOR("tensor t: dimension 0: 33, a multiple of 32 is needed for Q8_0", "t", 1, { 33 }, 8, 32);
	TENSOR("tensor t: offset 36, a multiple of 32", "t", 1, { 4 }, 0, 36);
	TENSOR("tensor t: 16 bytes at offset 256, limit 256", "t", 1, { 4 }, 0, 256);
	TENSOR("tensor t: 260 bytes at offset 0, limit 256", "t", 1, { 65 }, 0, 0);
	TENSOR("tensor t: 16 bytes at offset 18446744073709551584, limit 256", "t", 1, { 4 }, 0, -32ull);
	TENSOR("overlaps tensor ", "t", 1, { 4 }, 0, 0);
}

static void types_that_are_not_read_are_refused_by_name(void **state)
{
	struct env *e = *state;
	struct bytes b = { 0 };
	struct tram_source src;
	struct tram_gguf *g;
	float f;

	put_head(&b, 1, 0);
	put_tensor(&b, "w", 256, 0, 12, 0);
	put_padding(&b, 32);
	b.n += 144;
	src = tram_source_mem("q4.gguf", b.v, b.n);
	assert_int_equal(tram_gguf_open_source(e->ctx, &src, &g), 0);
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, tram_gguf_at(g, 0), 0, &f, 1), -ENOTSUP);
	assert_non_null(strstr(tram_error(e->ctx), "q4.gguf: tensor w: type Q4_K, F32, F16, BF16 and Q8_0 are read; make one"));
	tram_gguf_close(e->ctx, &g);
}

static void a_key_of_another_type_or_bound_is_named(void **state)
{
	struct env *e = *state;
	struct bytes b = { 0 };
	struct tram_gguf_array a;
	struct tram_source src;
	struct tram_gguf *g;
	const char *s;
	uint32_t u = 9;
	float f;
	bool t;

	put_good(&b);
	src = tram_source_mem("good", b.v, b.n);
	assert_int_equal(tram_gguf_open_source(e->ctx, &src, &g), 0);
	assert_int_equal(tram_gguf_get_u32(e->ctx, g, "u8", true, 0, 100, &u), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "good: key u8: 200, limit 0 to 100"));
	assert_int_equal(tram_gguf_get_u32(e->ctx, g, "i8", true, 0, 100, &u), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "key i8: -100, limit 0 to 100"));
	assert_int_equal(tram_gguf_get_u32(e->ctx, g, "str", true, 0, 100, &u), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "key str: type str, a whole number is needed"));
	assert_int_equal(tram_gguf_get_u32(e->ctx, g, "missing", true, 0, 100, &u), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "key missing: is missing"));
	assert_int_equal(tram_gguf_get_u32(e->ctx, g, "missing", false, 0, 100, &u), 1);
	assert_int_equal(u, 9);
	assert_int_equal(tram_gguf_get_f32(e->ctx, g, "u8", true, &f), -EINVAL);
	assert_int_equal(tram_gguf_get_bool(e->ctx, g, "u8", true, &t), -EINVAL);
	assert_int_equal(tram_gguf_get_str(e->ctx, g, "u8", true, &s), -EINVAL);
	assert_int_equal(tram_gguf_get_arr(e->ctx, g, "u8", true, TRAM_GGUF_STR, &a), -EINVAL);
	assert_int_equal(tram_gguf_get_arr(e->ctx, g, "numbers", true, TRAM_GGUF_STR, &a), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "key numbers: array of i32, of str is needed"));
	tram_gguf_close(e->ctx, &g);
}

/* --- the writer -------------------------------------------------------------------------------- */

static int write_file(struct tram_ctx *ctx, const char *path)
{
	static const int32_t kinds[2] = { 1, 3 };
	static const float a[6] = { 0, 1, 2, 3, 4, 5 };
	static const uint16_t half[3] = { 0x3c00, 0, 0xbc00 };
	struct tram_gguf_writer *w;
	int r = tram_gguf_writer_create(ctx, path, &w);

	if (r)
		return r;
	tram_gguf_writer_str(w, "general.architecture", "gpt2");
	tram_gguf_writer_u32(w, "n", 7);
	tram_gguf_writer_f32(w, "eps", 1e-5f);
	tram_gguf_writer_bool(w, "yes", true);
	tram_gguf_writer_strings(w, "tokens", 2);
	tram_gguf_writer_string(w, "a b", 3);
	tram_gguf_writer_string(w, "", 0);
	tram_gguf_writer_i32s(w, "kinds", kinds, 2);
	tram_gguf_writer_add(w, "a", TRAM_GGUF_T_F32, 2, (const uint64_t[]){ 2, 3 });
	tram_gguf_writer_add(w, "h", TRAM_GGUF_T_F16, 1, (const uint64_t[]){ 3 });
	tram_gguf_writer_write(w, a, 10);
	tram_gguf_writer_write(w, (const char *)a + 10, 14);
	tram_gguf_writer_write(w, half, sizeof(half));
	return tram_gguf_writer_commit(&w);
}

static void what_was_written_is_read(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "w.gguf");
	struct tram_gguf_array arr;
	struct tram_gguf *g;
	uint64_t at = 0, n;
	const char *s;
	uint32_t u;
	float f[6];

	assert_int_equal(write_file(e->ctx, path), 0);
	assert_int_equal(tram_gguf_open(e->ctx, path, &g), 0);
	assert_int_equal(tram_gguf_get_str(e->ctx, g, "general.architecture", true, &s), 0);
	assert_string_equal(s, "gpt2");
	assert_int_equal(tram_gguf_get_u32(e->ctx, g, "n", true, 0, 10, &u), 0);
	assert_int_equal(u, 7);
	assert_int_equal(tram_gguf_get_arr(e->ctx, g, "tokens", true, TRAM_GGUF_STR, &arr), 0);
	s = tram_gguf_next_str(&arr, &at, &n);
	assert_memory_equal(s, "a b", 3);
	assert_int_equal(tram_gguf_get_arr(e->ctx, g, "kinds", true, TRAM_GGUF_I32, &arr), 0);
	assert_int_equal(tram_gguf_i32_at(&arr, 1), 3);
	assert_int_equal(tram_gguf_find(g, "a")->shape[0], 2);
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, tram_gguf_find(g, "a"), 0, f, 6), 0);
	assert_true(f[5] == 5);
	assert_int_equal(tram_gguf_find(g, "h")->offset % 32, 0);
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, tram_gguf_find(g, "h"), 0, f, 3), 0);
	assert_true(f[0] == 1 && f[2] == -1);
	tram_gguf_close(e->ctx, &g);
}

static struct tram_gguf_writer *writer(struct env *e)
{
	struct tram_gguf_writer *w;

	assert_int_equal(tram_gguf_writer_create(e->ctx, test_path(&e->dir, "x.gguf"), &w), 0);
	return w;
}

static void misuse_of_the_writer_leaves_no_file(void **state)
{
	static const uint64_t shape[] = { 2, 3 };
	struct env *e = *state;
	struct tram_gguf_writer *w = writer(e);

	tram_gguf_writer_add(w, "a", TRAM_GGUF_T_F32, 2, shape);
	assert_int_equal(tram_gguf_writer_commit(&w), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "tensor a: 24 bytes were never written"));

	w = writer(e);
	tram_gguf_writer_add(w, "a", TRAM_GGUF_T_F32, 2, shape);
	assert_int_equal(tram_gguf_writer_add(w, "a", TRAM_GGUF_T_F32, 2, shape), -EINVAL);
	assert_int_equal(tram_gguf_writer_commit(&w), -EINVAL);

	w = writer(e);
	assert_int_equal(tram_gguf_writer_add(w, "a", TRAM_GGUF_T_Q8_0, 2, shape), -EINVAL);
	assert_int_equal(tram_gguf_writer_commit(&w), -EINVAL);

	w = writer(e);
	tram_gguf_writer_strings(w, "s", 2);
	tram_gguf_writer_string(w, "one", 3);
	assert_int_equal(tram_gguf_writer_commit(&w), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "1 strings of an array were never written"));

	w = writer(e);
	assert_int_equal(tram_gguf_writer_write(w, "x", 1), -EINVAL);
	assert_int_equal(tram_gguf_writer_commit(&w), -EINVAL);
	assert_int_equal(access(test_path(&e->dir, "x.gguf"), F_OK), -1);
}

static int chain(struct tram_ctx *ctx, void *path)
{
	struct tram_gguf *g;
	int r = write_file(ctx, path);

	r = r ? r : tram_gguf_open(ctx, path, &g);
	if (!r)
		tram_gguf_close(ctx, &g);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	struct env *e = *state;

	assert_true(test_heap_each_failure(chain, (void *)(uintptr_t)test_path(&e->dir, "a.gguf")) > 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_type_of_value_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(tensors_are_outermost_first_and_dequantised, setup, teardown),
		cmocka_unit_test_setup_teardown(half_and_quantised_ranges_agree_with_the_whole, setup, teardown),
		cmocka_unit_test(a_shorter_file_is_refused),
		cmocka_unit_test(a_broken_start_is_named),
		cmocka_unit_test(counts_that_lie_are_refused),
		cmocka_unit_test(a_broken_value_is_named),
		cmocka_unit_test(a_broken_key_is_named),
		cmocka_unit_test(a_wrong_alignment_is_refused),
		cmocka_unit_test(a_broken_tensor_is_named),
		cmocka_unit_test_setup_teardown(types_that_are_not_read_are_refused_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(a_key_of_another_type_or_bound_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(misuse_of_the_writer_leaves_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
