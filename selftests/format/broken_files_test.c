/* SPDX-License-Identifier: MIT */
/*
 * What a user of libtram may rely on when a file is broken, through
 * tram_inspect() alone: every shorter version of a good file, of every kind,
 * is refused with one line that names it, without a large allocation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tram/inspect.h>

/* Largest single request; a folder listing or a table of gaps, never a value in a file. */
#define LARGEST ((size_t)2 << 20)

static size_t largest, live;

static void *count_alloc(void *arg, size_t size, size_t align)
{
	void *p;

	largest = size > largest ? size : largest;
	if (posix_memalign(&p, align, size))
		return NULL;
	live++;
	return p;
}

static void count_free(void *arg, void *p)
{
	live--;
	free(p);
}

static char dir[256];

static int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/tram-broken-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	return rmdir(dir);
}

/* Inspects these bytes under this name; returns what tram_inspect() does. */
static int inspect(const char *name, const void *data, size_t n)
{
	const struct tram_heap heap = { count_alloc, count_free, NULL };
	const struct tram_ctx_params params = { .heap = &heap, .cache_dir = "/nowhere" };
	struct tram_ctx *ctx;
	char path[512];
	size_t at_rest;
	char *text;
	FILE *f;
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);

	assert_int_equal(tram_ctx_create(&params, &ctx), 0);
	at_rest = live;
	largest = 0;
	r = tram_inspect(ctx, path, false, &text);
	if (r) {
		assert_true(r < 0);
		assert_null(text);
		assert_non_null(strstr(tram_error(ctx), path));
		assert_null(strchr(tram_error(ctx), '\n'));
	} else {
		assert_non_null(strstr(text, path));
	}
	tram_text_free(ctx, text);
	assert_true(largest <= LARGEST);
	assert_int_equal(live, at_rest);
	tram_ctx_destroy(&ctx);
	assert_int_equal(live, 0);
	unlink(path);
	return r;
}

static void truncate_everywhere(const char *name, const void *data, size_t n)
{
	assert_int_equal(inspect(name, data, n), 0);
	for (size_t cut = 0; cut < n; cut++)
		if (inspect(name, data, cut) != -EINVAL)
			fail_msg("%s cut to %zu of %zu bytes is not refused", name, cut, n);
}

static const char st[] =
	"\x38\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}"
	"\0\0\200?\0\0\0@";

static void a_truncated_safetensors_file_is_refused(void **state)
{
	truncate_everywhere("m.safetensors", st, sizeof(st) - 1);
}

/* A key and a tensor of eight numbers, which begin at the next multiple of 32. */
static size_t gguf(unsigned char file[160])
{
	static const char head[] = "GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"
		"\3\0\0\0\0\0\0\0key\4\0\0\0\7\0\0\0"
		"\1\0\0\0\0\0\0\0t\1\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

	memset(file, 0, 160);
	memcpy(file, head, sizeof(head) - 1);
	return (sizeof(head) - 1 + 31) / 32 * 32 + 32;
}

static void a_truncated_gguf_is_refused(void **state)
{
	unsigned char file[160];
	size_t n = gguf(file);

	truncate_everywhere("m.gguf", file, n);
	truncate_everywhere("known by its bytes", file, n);
}

static void gguf_counts_that_lie_cost_no_memory(void **state)
{
	/* Where the counts of tensors and keys stand, lengths of names, type, offset. */
	static const size_t places[] = { 8, 16, 24, 43, 56, 68 };
	static const uint64_t lies[] = { 1u << 20, 1ull << 40, INT64_MAX, UINT64_MAX };
	unsigned char file[160];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		for (size_t k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
			size_t n = gguf(file);

			memcpy(file + places[i], &lies[k], 8);
			assert_int_equal(inspect("m.gguf", file, n), -EINVAL);
			assert_true(largest < 4096);
		}
}

static void a_truncated_idx_file_is_refused(void **state)
{
	static const char plain[] = "\0\0\x08\1\0\0\0\3\1\2\3";
	static const unsigned char gz[] = {	/* the same */
		0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 2, 3, 0x63, 0x60, 0xe0, 0x60, 0x64, 0x60, 0x60, 0x60,
		0x66, 0x64, 0x62, 0x06, 0, 0x8b, 0xe5, 0xbd, 0xa4, 0x0b, 0, 0, 0 };

	truncate_everywhere("x-idx1-ubyte", plain, sizeof(plain) - 1);
	truncate_everywhere("x-idx1-ubyte.gz", gz, sizeof(gz));
}

static void a_truncated_npy_file_is_refused(void **state)
{
	static const char npy[] = "\x93NUMPY\1\0\x3a\0{'descr': '<i4', 'fortran_order': False, "
		"'shape': (2,), }\n\1\0\0\0\2\0\0\0";

	truncate_everywhere("x.npy", npy, sizeof(npy) - 1);
}

static void a_truncated_shard_is_refused(void **state)
{
	static char shard[1024 + 6];
	static const int32_t head[3] = { 20240520, 1, 3 };

	memcpy(shard, head, sizeof(head));
	truncate_everywhere("t.bin", shard, sizeof(shard));
}

static void a_truncated_config_is_refused(void **state)
{
	static const char text[] = "{\"model_type\":\"gpt2\",\"vocab_size\":65,\"n_positions\":32,"
		"\"n_embd\":48,\"n_layer\":2,\"n_head\":4}";

	truncate_everywhere("config.json", text, sizeof(text) - 1);
}

static void a_truncated_tokenizer_is_refused(void **state)
{
	static const char text[] = "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
		"\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}";

	truncate_everywhere("tokenizer.json", text, sizeof(text) - 1);
}

static void lengths_that_lie_cost_no_memory(void **state)
{
	static const uint64_t lie[] = { 100000000, 1ull << 40, UINT64_MAX, INT64_MAX, 1ull << 31 };
	unsigned char file[sizeof(st)];

	for (size_t i = 0; i < sizeof(lie) / sizeof(lie[0]); i++) {
		memcpy(file, st, sizeof(st));
		memcpy(file, &lie[i], 8);
		assert_int_equal(inspect("m.safetensors", file, sizeof(st) - 1), -EINVAL);
		assert_true(largest < 4096);
	}
}

static void deep_nesting_is_refused_in_every_json(void **state)
{
	enum { DEEP = 100000 };
	char *text = malloc(DEEP + 16);

	strcpy(text, "{\"model\":");
	memset(text + 9, '[', DEEP);
	assert_int_equal(inspect("config.json", text, DEEP + 9), -EINVAL);
	assert_int_equal(inspect("tokenizer.json", text, DEEP + 9), -EINVAL);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_truncated_safetensors_file_is_refused),
		cmocka_unit_test(a_truncated_gguf_is_refused),
		cmocka_unit_test(gguf_counts_that_lie_cost_no_memory),
		cmocka_unit_test(a_truncated_idx_file_is_refused),
		cmocka_unit_test(a_truncated_npy_file_is_refused),
		cmocka_unit_test(a_truncated_shard_is_refused),
		cmocka_unit_test(a_truncated_config_is_refused),
		cmocka_unit_test(a_truncated_tokenizer_is_refused),
		cmocka_unit_test(lengths_that_lie_cost_no_memory),
		cmocka_unit_test(deep_nesting_is_refused_in_every_json),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
