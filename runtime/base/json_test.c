/* SPDX-License-Identifier: MIT */
/* Claims about reading JSON that nobody trusts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/sbuf.h"
#include "base/test_heap.h"

static int parse(struct tram_ctx *ctx, const char *text, struct tram_json *j)
{
	return tram_json_parse(ctx, "f.json", text, strlen(text), j);
}

#define assert_message(ctx, part) assert_non_null(strstr(tram_error(ctx), part))

static int setup(void **state)
{
	return tram_ctx_create(NULL, (struct tram_ctx **)state);
}

static int teardown(void **state)
{
	tram_ctx_destroy((struct tram_ctx **)state);
	return 0;
}

static void fields_are_read_within_their_range(void **state)
{
	struct tram_ctx *ctx = *state;
	struct tram_json j;
	yyjson_val *o;
	const char *s;
	uint64_t u = 0;
	double x = 0;
	bool b = false;

	assert_int_equal(parse(ctx, "{\"n\":3,\"neg\":-1,\"x\":1.5,\"b\":true,\"s\":\"t\\u0000\","
			       "\"o\":{\"k\":\"v\"},\"nul\":null}", &j), 0);
	assert_int_equal(tram_json_u64(&j, "", j.root, "n", true, 1, 3, &u), 0);
	assert_int_equal(u, 3);
	assert_int_equal(tram_json_u64(&j, "", j.root, "n", true, 1, 2, &u), -EINVAL);
	assert_string_equal(tram_error(ctx), "f.json: n: 3, limit 1 to 2");
	assert_int_equal(tram_json_u64(&j, "", j.root, "neg", true, 0, 2, &u), -EINVAL);
	assert_string_equal(tram_error(ctx), "f.json: neg: -1, limit 0 to 2");
	assert_int_equal(tram_json_u64(&j, "", j.root, "x", true, 0, 2, &u), -EINVAL);
	assert_string_equal(tram_error(ctx), "f.json: x: 1.5, a whole number is needed");
	assert_int_equal(tram_json_u64(&j, "", j.root, "nul", false, 0, 2, &u), 1);
	assert_int_equal(tram_json_u64(&j, "", j.root, "none", true, 0, 2, &u), -EINVAL);
	assert_string_equal(tram_error(ctx), "f.json: none: is missing");
	assert_int_equal(tram_json_f64(&j, "", j.root, "x", true, 0, 2, &x), 0);
	assert_true(x == 1.5);
	assert_int_equal(tram_json_f64(&j, "", j.root, "n", true, 0, 2, &x), -EINVAL);
	assert_int_equal(tram_json_bool(&j, "", j.root, "b", true, &b), 0);
	assert_true(b);
	assert_int_equal(tram_json_bool(&j, "", j.root, "n", true, &b), -EINVAL);
	assert_int_equal(tram_json_str(&j, "", j.root, "s", true, &s), -EINVAL);
	assert_message(ctx, "NUL");
	assert_int_equal(tram_json_obj(&j, "", j.root, "o", true, &o), 0);
	assert_int_equal(tram_json_str(&j, "o", o, "k", true, &s), 0);
	assert_string_equal(s, "v");
	assert_int_equal(tram_json_arr(&j, "o", o, "k", true, &o), -EINVAL);
	assert_string_equal(tram_error(ctx), "f.json: o.k: \"v\", an array is needed");
	tram_json_free(&j);
	tram_json_free(&j);
}

static void what_is_not_an_object_in_utf8_json_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "{", "[1]", "1", "{\"a\":NaN}", "{\"a\":1e999}", "{\"a\":01}", "{\"a\":\"\xff\"}",
		"{\"a\":\"\xed\xa0\x80\"}", "{\"a\":1,}", "{\"a\":1}x", "{a:1}", "{\"a\":\"\\ud800\"}",
		"\xef\xbb\xbf{}",
	};
	struct tram_json j;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse(*state, bad[i], &j), -EINVAL);
		assert_message(*state, "f.json");
		assert_null(j.doc);
	}
}

static void a_key_that_stands_twice_is_refused_at_any_size(void **state)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(*state);
	struct tram_json j;

	assert_int_equal(parse(*state, "{\"o\":{\"b\":1,\"b\":2}}", &j), -EINVAL);
	assert_string_equal(tram_error(*state), "f.json: key \"b\" stands twice");
	assert_int_equal(parse(*state, "{\"a\":[{\"b\":1},{\"b\":2}]}", &j), 0);
	tram_json_free(&j);
	for (int twice = 0; twice < 2; twice++) {
		tram_sbuf_reset(&sb);
		tram_sbuf_addc(&sb, '{');
		for (int i = 0; i < 5000; i++)
			tram_sbuf_addf(&sb, "\"k%d\":%d,", i, i);
		tram_sbuf_addf(&sb, "\"k%d\":0}", twice ? 2500 : 5000);
		assert_int_equal(parse(*state, tram_sbuf_str(&sb), &j), twice ? -EINVAL : 0);
		tram_json_free(&j);
	}
	assert_message(*state, "\"k2500\" stands twice");
	/* Each key in turn: also those that others pushed out of their slot. */
	for (int twice = 0; twice < 300; twice++) {
		tram_sbuf_reset(&sb);
		tram_sbuf_addc(&sb, '{');
		for (int i = 0; i < 300; i++)
			tram_sbuf_addf(&sb, "\"k%d\":%d,", i, i);
		tram_sbuf_addf(&sb, "\"k%d\":0}", twice);
		assert_int_equal(parse(*state, tram_sbuf_str(&sb), &j), -EINVAL);
	}
	tram_sbuf_free(&sb);
}

static void nesting_is_bounded_before_it_is_parsed(void **state)
{
	char *deep = malloc(20001);
	struct test_heap h;
	struct tram_ctx *ctx = test_heap_ctx(&h);
	struct tram_json j;

	memset(deep, '[', 20000);
	deep[20000] = '\0';
	memcpy(deep, "{\"a\":", 5);
	h.fail_above = 1;
	assert_int_equal(parse(ctx, deep, &j), -EINVAL);
	assert_message(ctx, "f.json: byte 68: nesting 19996 deep, limit 64");
	tram_ctx_destroy(&ctx);
	assert_int_equal(parse(*state, "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
			       "[[[[[[[\\\"[[[[\"}", &j), 0);
	tram_json_free(&j);
	free(deep);
}

static int json_chain(struct tram_ctx *ctx, void *arg)
{
	struct tram_json j;
	int r = parse(ctx, arg, &j);

	tram_json_free(&j);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(*state);

	tram_sbuf_addc(&sb, '{');
	for (int i = 0; i < 300; i++)
		tram_sbuf_addf(&sb, "\"k%d\":[%d,[],{}],", i, i);
	tram_sbuf_adds(&sb, "\"end\":0}");
	assert_true(test_heap_each_failure(json_chain, sb.s) >= 3);
	tram_sbuf_free(&sb);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(fields_are_read_within_their_range),
		T(what_is_not_an_object_in_utf8_json_is_refused),
		T(a_key_that_stands_twice_is_refused_at_any_size),
		T(nesting_is_bounded_before_it_is_parsed),
		T(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
