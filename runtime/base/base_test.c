/* SPDX-License-Identifier: MIT */
/* Claims about the context, the heap, arrays, strings and hashes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <math.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/sbuf.h"
#include "base/test_heap.h"
#include "base/vec.h"

static struct tram_ctx *make_ctx(void)
{
	struct tram_ctx *ctx;

	assert_int_equal(tram_ctx_create(NULL, &ctx), 0);
	return ctx;
}

static void a_fresh_context_has_no_failure(void **state)
{
	struct tram_ctx *ctx = make_ctx();

	assert_string_equal(tram_error(ctx), "");
	assert_string_equal(tram_error(NULL), "");
	assert_true(tram_threads(ctx) >= 1);
	assert_true(strlen(tram_cache_dir(ctx)) > 0);
	tram_ctx_destroy(&ctx);
	assert_null(ctx);
	tram_ctx_destroy(&ctx);
}

static void the_cache_is_where_the_environment_says(void **state)
{
	struct tram_ctx *ctx;
	char *had = getenv("TRAMROAD_CACHE");

	had = had ? strdup(had) : NULL;
	setenv("TRAMROAD_CACHE", "/some/where", 1);
	ctx = make_ctx();
	assert_string_equal(tram_cache_dir(ctx), "/some/where");
	tram_ctx_destroy(&ctx);
	setenv("TRAMROAD_CACHE", "relative", 1);
	ctx = make_ctx();
	assert_string_not_equal(tram_cache_dir(ctx), "relative");
	tram_ctx_destroy(&ctx);
	if (had)
		setenv("TRAMROAD_CACHE", had, 1);
	else
		unsetenv("TRAMROAD_CACHE");
	free(had);
}

static void the_last_failure_is_kept_and_can_be_prefixed(void **state)
{
	struct tram_ctx *ctx = make_ctx();

	assert_int_equal(tram_fail(ctx, -EINVAL, "depth: %d, limit %d", 7, 3), -EINVAL);
	assert_string_equal(tram_error(ctx), "depth: 7, limit 3");
	assert_int_equal(tram_fail_in(ctx, -EIO, "file %s", "x"), -EIO);
	assert_string_equal(tram_error(ctx), "file x: depth: 7, limit 3");
	tram_fail(ctx, -EINVAL, "again: %s", tram_error(ctx));
	assert_string_equal(tram_error(ctx), "again: file x: depth: 7, limit 3");
	assert_int_equal(tram_fail(NULL, -EINVAL, "x"), -EINVAL);
	tram_ctx_destroy(&ctx);
}

static void a_message_is_one_line_of_utf8(void **state)
{
	struct tram_ctx *ctx = make_ctx();
	char big[5000];

	tram_fail(ctx, -EINVAL, "a\nb\x1b[0m\xff\xc3\xa9\xed\xa0\x80");
	assert_string_equal(tram_error(ctx), "a?b?[0m?\xc3\xa9???");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	tram_fail(ctx, -EINVAL, "%s", big);
	assert_int_equal(strlen(tram_error(ctx)), 1023);
	tram_fail_in(ctx, -EINVAL, "front");
	assert_int_equal(strlen(tram_error(ctx)), 1023);
	assert_memory_equal(tram_error(ctx), "front: xxx", 10);
	tram_ctx_destroy(&ctx);
}

static void *fail_often(void *arg)
{
	for (int i = 0; i < 2000; i++)
		tram_fail(arg, -EINVAL, "value %d", i);
	return NULL;
}

static void threads_may_fail_at_once(void **state)
{
	struct tram_ctx *ctx = make_ctx();
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, fail_often, ctx), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_string_equal(tram_error(ctx), "value 1999");
	tram_ctx_destroy(&ctx);
}

struct seen { int n; char last[64]; enum tram_log_level level; };

static void see(void *arg, enum tram_log_level level, const char *line)
{
	struct seen *s = arg;

	s->n++;
	s->level = level;
	snprintf(s->last, sizeof(s->last), "%s", line);
}

static void the_log_passes_only_what_was_asked_for(void **state)
{
	struct seen s = { 0 };
	struct tram_ctx_params p = { .log = see, .log_arg = &s, .log_level = TRAM_LOG_INFO,
				     .threads = 3, .cache_dir = "/c" };
	struct tram_ctx *ctx;

	assert_int_equal(tram_ctx_create(&p, &ctx), 0);
	tram_log(ctx, TRAM_LOG_DEBUG, "no");
	tram_log(ctx, TRAM_LOG_INFO, "yes %d", 5);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.last, "yes 5");
	assert_int_equal(s.level, TRAM_LOG_INFO);
	assert_int_equal(tram_threads(ctx), 3);
	assert_string_equal(tram_cache_dir(ctx), "/c");
	tram_ctx_destroy(&ctx);
}

static int heap_chain(struct tram_ctx *ctx, void *arg)
{
	TRAM_VEC(uint64_t) v = { 0 };
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	char *s = NULL, *t = NULL, *u = NULL;
	void *a = NULL, *p, *b = NULL;
	int r = -ENOMEM;

	a = tram_alloc_aligned(ctx, 100, 256);
	if (!a)
		goto out;
	assert_int_equal((uintptr_t)a % 256, 0);
	b = tram_alloc(ctx, 8);
	if (!b)
		goto out;
	memcpy(b, "content", 8);
	p = tram_realloc(ctx, b, 8, 4000);
	if (!p)
		goto out;
	b = p;
	assert_string_equal(b, "content");
	for (uint64_t i = 0; i < 100; i++)
		if (tram_vec_push(ctx, &v, i * i))
			goto out;
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(v.v[i], i * i);
	s = tram_strdup(ctx, "text");
	t = s ? tram_asprintf(ctx, "%s-%d", s, 7) : NULL;
	if (!t)
		goto out;
	assert_string_equal(t, "text-7");
	for (int i = 0; i < 100; i++)
		tram_sbuf_addf(&sb, "%d,", i);
	r = tram_sbuf_take(&sb, &u);
out:
	tram_free(ctx, u);
	tram_sbuf_free(&sb);
	tram_free(ctx, t);
	tram_free(ctx, s);
	tram_vec_free(ctx, &v);
	tram_free(ctx, b);
	tram_free(ctx, a);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	assert_true(test_heap_each_failure(heap_chain, NULL) > 8);
}

static void a_context_that_gets_no_memory_is_not_made(void **state)
{
	struct test_heap h;
	struct tram_ctx_params p = { .heap = &h.hooks };
	struct tram_ctx *ctx;
	size_t n;

	for (n = 1; ; n++) {
		test_heap_init(&h);
		h.fail_at = n;
		if (tram_ctx_create(&p, &ctx) == 0)
			break;
		assert_null(ctx);
		assert_int_equal(atomic_load(&h.live), 0);
	}
	assert_true(n > 2);
	tram_ctx_destroy(&ctx);
	assert_int_equal(atomic_load(&h.live), 0);
}

static void sizes_that_overflow_are_out_of_memory(void **state)
{
	struct tram_ctx *ctx = make_ctx();
	TRAM_VEC(uint64_t) v = { 0 };

	assert_null(tram_calloc(ctx, SIZE_MAX / 2, 3));
	assert_non_null(strstr(tram_error(ctx), "out of memory"));
	assert_int_equal(tram_vec_grow_(ctx, &v.v, 1, &v.cap, SIZE_MAX, 8), -ENOMEM);
	assert_int_equal(tram_vec_grow_(ctx, &v.v, 0, &v.cap, SIZE_MAX / 4, 8), -ENOMEM);
	assert_null(v.v);
	tram_ctx_destroy(&ctx);
}

static void strings_become_valid_json(void **state)
{
	struct tram_ctx *ctx = make_ctx();
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	static const char s[] = "a\"\\\n\t\0\xff\xe2\x82\xac";

	tram_sbuf_json(&sb, s, sizeof(s) - 1);
	assert_string_equal(tram_sbuf_str(&sb),
			    "\"a\\\"\\\\\\n\\u0009\\u0000\xef\xbf\xbd\xe2\x82\xac\"");
	tram_sbuf_reset(&sb);
	tram_sbuf_json_f64(&sb, 0.1);
	tram_sbuf_addc(&sb, ' ');
	tram_sbuf_json_f64(&sb, 1.0 / 3);
	tram_sbuf_addc(&sb, ' ');
	tram_sbuf_json_f64(&sb, INFINITY);
	assert_string_equal(tram_sbuf_str(&sb), "0.1 0.3333333333333333 null");
	tram_sbuf_reset(&sb);
	setlocale(LC_ALL, "de_DE.UTF-8");	/* where it is installed: 0,1 otherwise */
	tram_sbuf_json_f32(&sb, 0.1f);
	tram_sbuf_addc(&sb, ' ');
	tram_sbuf_json_f64(&sb, -2.5e-300);
	setlocale(LC_ALL, "C");
	assert_string_equal(tram_sbuf_str(&sb), "0.1 -2.5e-300");
	tram_sbuf_reset(&sb);
	tram_sbuf_bytes(&sb, 1023);
	tram_sbuf_addc(&sb, ' ');
	tram_sbuf_bytes(&sb, 1536 * 1024);
	assert_string_equal(tram_sbuf_str(&sb), "1023 B 1.5 MiB");
	tram_sbuf_free(&sb);
	assert_string_equal(tram_sbuf_str(&sb), "");
	tram_ctx_destroy(&ctx);
}

static void utf8_is_judged_by_the_standard(void **state)
{
	static const struct { const char *s; size_t len; } c[] = {
		{ "a", 1 }, { "\xc3\xa9", 2 }, { "\xe2\x82\xac", 3 }, { "\xf0\x9f\x98\x80", 4 },
		{ "\x80", 0 }, { "\xc0\x80", 0 }, { "\xc3", 0 }, { "\xe0\x80\x80", 0 },
		{ "\xed\xa0\x80", 0 }, { "\xf0\x80\x80\x80", 0 }, { "\xf4\x90\x80\x80", 0 },
		{ "\xf5\x80\x80\x80", 0 }, { "\xe2\x82", 0 }, { "\xe2\x82\x28", 0 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(c); i++)
		assert_int_equal(tram_utf8_len(c[i].s, strlen(c[i].s)), c[i].len);
	assert_int_equal(tram_utf8_len("", 0), 0);
}

/* FIPS 180-4 example "abc"; the XXH3 values are of xxHash 0.8's own xxhsum. */
static void hashes_match_their_definitions(void **state)
{
	struct tram_sha256 s;
	struct tram_xxh3 x;
	char hex[65], h16[17];
	unsigned char big[3000];

	tram_sha256_init(&s);
	tram_sha256_update(&s, "a", 1);
	tram_sha256_update(&s, "bc", 2);
	tram_sha256_final_hex(&s, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	tram_hash64_hex(tram_hash64("", 0), h16);
	assert_string_equal(h16, "2d06800538d394c2");

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i * 7);
	tram_xxh3_init(&x);
	for (size_t i = 0; i < sizeof(big); i += 300)
		tram_xxh3_update(&x, big + i, 300);
	assert_true(tram_xxh3_64(&x) == tram_hash64(big, sizeof(big)));
	assert_true(tram_xxh3_128(&x).lo == tram_hash128(big, sizeof(big)).lo);
	assert_true(tram_xxh3_128(&x).hi == tram_hash128(big, sizeof(big)).hi);
}

/* Known answers of Random123's kat_vectors for philox4x32-10. */
static void philox_gives_the_known_answers(void **state)
{
	struct tram_philox a = tram_philox(0, 0, 0, 0, 0, 0);
	struct tram_philox b = tram_philox(~0u, ~0u, ~0u, ~0u, ~0u, ~0u);

	assert_int_equal(a.v[0], 0x6627e8d5);
	assert_int_equal(a.v[1], 0xe169c58d);
	assert_int_equal(a.v[2], 0xbc57ac4c);
	assert_int_equal(a.v[3], 0x9b00dbd8);
	assert_int_equal(b.v[0], 0x408f276d);
	assert_int_equal(b.v[1], 0x41c83b0e);
	assert_int_equal(b.v[2], 0xa20bc7c6);
	assert_int_equal(b.v[3], 0x6d5451fd);
	assert_true(tram_u32_to_unit(0) == 0.0f);
	assert_true(tram_u32_to_unit(UINT32_MAX) < 1.0f);
}

static void the_version_is_that_of_the_header(void **state)
{
	char v[32];

	snprintf(v, sizeof(v), "%d.%d.%d", TRAM_VERSION_MAJOR, TRAM_VERSION_MINOR,
		 TRAM_VERSION_PATCH);
	assert_string_equal(tram_version(), v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_context_has_no_failure),
		cmocka_unit_test(the_cache_is_where_the_environment_says),
		cmocka_unit_test(the_last_failure_is_kept_and_can_be_prefixed),
		cmocka_unit_test(a_message_is_one_line_of_utf8),
		cmocka_unit_test(threads_may_fail_at_once),
		cmocka_unit_test(the_log_passes_only_what_was_asked_for),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(a_context_that_gets_no_memory_is_not_made),
		cmocka_unit_test(sizes_that_overflow_are_out_of_memory),
		cmocka_unit_test(strings_become_valid_json),
		cmocka_unit_test(utf8_is_judged_by_the_standard),
		cmocka_unit_test(hashes_match_their_definitions),
		cmocka_unit_test(philox_gives_the_known_answers),
		cmocka_unit_test(the_version_is_that_of_the_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
