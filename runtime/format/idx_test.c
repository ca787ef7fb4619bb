/* SPDX-License-Identifier: MIT */
/* Claims about reading IDX, plain and compressed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/test_files.h"
#include "format/describe.h"
#include "format/idx.h"
#include "format/test_format.h"

/* The reader under test: all that inspection reads and checks. */
static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	struct tram_idx idx;
	int r = tram_idx_open_source(ctx, src, &idx);

	if (r) {
		assert_null(idx.gz);
		return r;
	}
	r = tram_idx_describe(ctx, &idx, false, &sb);
	r = r ? r : tram_idx_describe(ctx, &idx, true, &sb);
	tram_sbuf_free(&sb);
	tram_idx_close(ctx, &idx);
	return r;
}

/* Three rows of two 16-bit numbers. */
static const unsigned char good[] =
	"\0\0\x0b\2" "\0\0\0\3" "\0\0\0\2" "\0\1\0\2\xff\xff\x7f\xff\x80\0\1\0";

#define GOOD (sizeof(good) - 1)
/* A chunk to read through and zlib's state are asked for, whatever the file. */
#define SLACK (1u << 20)

static size_t compress_gz(const void *data, size_t n, unsigned char *out, size_t room)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)data;
	z.avail_in = (unsigned int)n;
	z.next_out = out;
	z.avail_out = (unsigned int)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static void refuse(const void *data, size_t n, const char *part)
{
	char message[1100];
	int r = test_read(read_all, data, n, SLACK, message);

	if (r != -EINVAL || !strstr(message, part))
		fail_msg("returned %d \"%s\", expected \"%s\"", r, message, part);
}

static void accept(const void *data, size_t n)
{
	char message[1100];
	int r = test_read(read_all, data, n, SLACK, message);

	if (r)
		fail_msg("returned %d \"%s\"", r, message);
}

static void check_values(const void *data, size_t n, bool compressed)
{
	static const int16_t want[6] = { 1, 2, -1, 32767, -32768, 256 };
	struct tram_source src = tram_source_mem("x", data, n);
	struct tram_ctx *ctx;
	struct tram_idx idx;
	int16_t got[6];

	assert_int_equal(tram_ctx_create(NULL, &ctx), 0);
	assert_int_equal(tram_idx_open_source(ctx, &src, &idx), 0);
	assert_int_equal(idx.dtype, TRAM_IDX_I16);
	assert_int_equal(idx.ndim, 2);
	assert_int_equal(idx.shape[0], 3);
	assert_int_equal(idx.shape[1], 2);
	assert_int_equal(!!idx.gz, compressed);
	assert_int_equal(tram_idx_read(ctx, &idx, 0, got, 6), 0);
	assert_memory_equal(got, want, sizeof(want));
	/* Back, and into the middle. */
	assert_int_equal(tram_idx_read(ctx, &idx, 3, got, 2), 0);
	assert_memory_equal(got, want + 3, 4);
	assert_int_equal(tram_idx_read(ctx, &idx, 5, got, 2), -EINVAL);
	assert_non_null(strstr(tram_error(ctx), "elements 5 + 2 asked for, it has 6"));
	assert_int_equal(tram_idx_verify(ctx, &idx), 0);
	tram_idx_close(ctx, &idx);
	tram_ctx_destroy(&ctx);
}

static void values_come_in_this_machines_order(void **state)
{
	unsigned char gz[200];

	check_values(good, GOOD, false);
	check_values(gz, compress_gz(good, GOOD, gz, sizeof(gz)), true);
}

static void every_type_is_read(void **state)
{
	static const struct { unsigned char type, bytes; } types[] = {
		{ 8, 1 }, { 9, 1 }, { 0x0b, 2 }, { 0x0c, 4 }, { 0x0d, 4 }, { 0x0e, 8 } };
	unsigned char file[8 + 8] = { 0, 0, 0, 1, 0, 0, 0, 1 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(types); i++) {
		file[2] = types[i].type;
		accept(file, 8u + types[i].bytes);
	}
}

static void a_shorter_file_is_refused(void **state)
{
	unsigned char gz[200];
	size_t n = compress_gz(good, GOOD, gz, sizeof(gz));

	accept(good, GOOD);
	accept(gz, n);
	for (size_t cut = 0; cut < GOOD; cut++)
		refuse(good, cut, "broken.file: ");
	for (size_t cut = 0; cut < n; cut++)
		refuse(gz, cut, "broken.file: ");
}

/* Some bits say nothing: the packer's name and time, what fills the last byte. */
static void a_wrong_bit_of_a_compressed_file_is_noticed_or_changes_nothing(void **state)
{
	unsigned char gz[200];
	size_t n = compress_gz(good, GOOD, gz, sizeof(gz));
	size_t noticed = 0;
	char message[1100];

	for (size_t bit = 0; bit < 8 * n; bit++) {
		gz[bit / 8] ^= (unsigned char)(1u << bit % 8);
		if (test_read(read_all, gz, n, SLACK, message) == 0)
			check_values(gz, n, true);
		else
			noticed++;
		gz[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	assert_true(noticed >= 8 * (n - 11));
}

/* @good with one byte changed. */
static void refuse_byte(size_t at, unsigned char v, const char *part)
{
	unsigned char file[GOOD], gz[200];

	memcpy(file, good, GOOD);
	file[at] = v;
	refuse(file, GOOD, part);
	refuse(gz, compress_gz(file, GOOD, gz, sizeof(gz)),
	       strstr(part, "values: ") ? "broken.file: " : part);
}

static void a_broken_header_is_named(void **state)
{
	refuse_byte(0, 1, "header: begins with bytes 01 00, two zeros are needed");
	refuse_byte(1, 1, "header: begins with bytes 00 01");
	refuse_byte(2, 0x0a, "type: 0x0a, 08 (u8)");
	refuse_byte(3, 0, "dimensions: 0, limit 1 to 8");
	refuse_byte(3, 9, "dimensions: 9, limit 1 to 8");
	refuse_byte(7, 0, "dimension 0: 0, limit 1");
	refuse_byte(7, 4, "values: 12 bytes, dimensions and type need 16");
	refuse_byte(7, 2, "values: 12 bytes, dimensions and type need 8");
}

static void sizes_that_lie_are_refused_before_anything_is_read(void **state)
{
	static const unsigned char huge[] = "\0\0\x0e\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
	static const unsigned char large[] = "\0\0\x08\2\0\1\0\0\0\1\0\0" "abc";
	unsigned char gz[200];

	refuse(huge, sizeof(huge) - 1, "product overflows");
	refuse(large, sizeof(large) - 1, "values: 3 bytes, dimensions and type need 4294967296");
	refuse(gz, compress_gz(large, sizeof(large) - 1, gz, sizeof(gz)),
	       "dimensions: 4294967296 bytes of values, limit ");
}

static void bytes_behind_the_end_are_refused(void **state)
{
	unsigned char file[GOOD + 1], gz[200];
	size_t n;

	memcpy(file, good, GOOD);
	file[GOOD] = 0;
	refuse(file, GOOD + 1, "values: 13 bytes, dimensions and type need 12");
	refuse(gz, compress_gz(file, GOOD + 1, gz, sizeof(gz)), "expanded: more than 24 bytes");
	n = compress_gz(good, GOOD, gz, sizeof(gz));
	gz[n] = 0;
	refuse(gz, n + 1, "1 bytes behind the compressed data");
}

static int chain(struct tram_ctx *ctx, void *path)
{
	struct tram_idx idx;
	int16_t v[6];
	int r = tram_idx_open(ctx, path, &idx);

	if (r)
		return r;
	r = tram_idx_read(ctx, &idx, 0, v, 6);
	r = r ? r : tram_idx_verify(ctx, &idx);
	tram_idx_close(ctx, &idx);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	struct test_dir dir;
	unsigned char gz[200];
	size_t n = compress_gz(good, GOOD, gz, sizeof(gz));
	const char *path;
	FILE *f;

	test_dir_make(&dir);
	path = test_path(&dir, "x-idx2-short.gz");
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(gz, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_true(test_heap_each_failure(chain, (void *)(uintptr_t)path) > 3);
	test_dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_in_this_machines_order),
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(a_shorter_file_is_refused),
		cmocka_unit_test(a_wrong_bit_of_a_compressed_file_is_noticed_or_changes_nothing),
		cmocka_unit_test(a_broken_header_is_named),
		cmocka_unit_test(sizes_that_lie_are_refused_before_anything_is_read),
		cmocka_unit_test(bytes_behind_the_end_are_refused),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
