/* SPDX-License-Identifier: MIT */
/* Claims about tokenizer.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/sbuf.h"
#include "base/test_files.h"
#include "format/test_format.h"
#include "format/tokjson.h"

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
	struct tram_tokjson tj;
	int r = tram_tokjson_read_source(ctx, src, &tj);

	if (r)
		return r;
	for (uint32_t i = 0; i < tj.n_tokens; i++) {
		const struct tram_tok *t = &tj.tokens[i];

		if (!t->bytes)
			continue;
		assert_int_equal(t->bytes[t->len], 0);
		if (t->flags == TRAM_TOK_VOCAB)
			assert_int_equal(tram_tokjson_find(&tj, t->bytes, t->len), i);
	}
	for (uint32_t i = 0; i < tj.n_merges; i++)
		assert_int_equal(tj.tokens[tj.merges[i].result].len,
				 tj.tokens[tj.merges[i].left].len +
				 tj.tokens[tj.merges[i].right].len);
	tram_tokjson_free(ctx, &tj);
	return 0;
}

#define PRE "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"\xc4\xa0\":2,\"ab\":3,\"\xc4\xa0" "ab\":4,\"<|e|>\":5}"
#define MERGES "\"merges\":[\"a b\",\"\xc4\xa0 ab\"]"
#define ADDED "\"added_tokens\":[{\"id\":5,\"content\":\"<|e|>\",\"special\":true}," \
	"{\"id\":7,\"content\":\"x \xc3\xa9\"}]"
#define GOOD "{\"version\":\"1.0\"," ADDED ",\"normalizer\":null," PRE ",\"decoder\":{\"type\":" \
	"\"ByteLevel\"},\"model\":{\"type\":\"BPE\"," VOCAB "," MERGES "}}"

/* The alphabet as GPT-2's published vocabulary shows it. */
static void the_byte_alphabet_is_that_of_gpt2(void **state)
{
	bool seen[0x144] = { 0 };

	assert_int_equal(tram_byte_to_cp('A'), 'A');
	assert_int_equal(tram_byte_to_cp(' '), 0x120);	/* G with a dot above */
	assert_int_equal(tram_byte_to_cp('\n'), 0x10a);
	assert_int_equal(tram_byte_to_cp(0), 0x100);
	assert_int_equal(tram_byte_to_cp(0x7f), 0x121);
	assert_int_equal(tram_byte_to_cp(0xa0), 0x142);
	assert_int_equal(tram_byte_to_cp(0xad), 0x143);
	assert_int_equal(tram_byte_to_cp(0xff), 0xff);
	for (int b = 0; b < 256; b++) {
		uint32_t cp = tram_byte_to_cp((uint8_t)b);

		assert_true(cp < 0x144 && !seen[cp]);
		seen[cp] = true;
		assert_int_equal(tram_cp_to_byte(cp), b);
	}
	for (uint32_t cp = 0; cp < 0x144; cp++)
		assert_int_equal(tram_cp_to_byte(cp) >= 0, seen[cp]);
	assert_int_equal(tram_cp_to_byte(0x144), -1);
	assert_int_equal(tram_cp_to_byte(0x10ffff), -1);
}

static void check_good(const struct tram_tokjson *tj)
{
	assert_int_equal(tj->n_tokens, 8);
	assert_int_equal(tj->n_vocab, 6);
	assert_string_equal(tj->tokens[4].bytes, " ab");
	assert_int_equal(tj->tokens[4].len, 3);
	assert_int_equal(tj->tokens[4].flags, TRAM_TOK_VOCAB);
	assert_int_equal(tj->tokens[5].flags, TRAM_TOK_VOCAB | TRAM_TOK_ADDED | TRAM_TOK_SPECIAL);
	assert_null(tj->tokens[6].bytes);
	assert_string_equal(tj->tokens[7].bytes, "x \xc3\xa9");
	assert_int_equal(tj->tokens[7].flags, TRAM_TOK_ADDED);
	assert_int_equal(tj->n_added, 2);
	assert_int_equal(tj->added[1], 7);
	assert_int_equal(tj->n_merges, 2);
	assert_int_equal(tj->merges[0].left, 0);
	assert_int_equal(tj->merges[0].right, 1);
	assert_int_equal(tj->merges[0].result, 3);
	assert_int_equal(tj->merges[1].result, 4);
	assert_false(tj->add_prefix_space);
	assert_true(tj->use_regex);
	assert_int_equal(tram_tokjson_find(tj, " ab", 3), 4);
	assert_int_equal(tram_tokjson_find(tj, " a", 2), -1);
	assert_int_equal(tram_tokjson_find(tj, "x \xc3\xa9", 4), -1);
}

static void a_file_is_read_written_and_read_again(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "tokenizer.json");
	struct tram_tokjson a, b;

	test_write(path, GOOD, sizeof(GOOD) - 1);
	assert_int_equal(tram_tokjson_read(e->ctx, path, &a), 0);
	check_good(&a);
	a.split_regex = "\\p{L}+|\"";
	assert_int_equal(tram_tokjson_write(e->ctx, path, &a), 0);
	assert_int_equal(tram_tokjson_read(e->ctx, path, &b), 0);
	check_good(&b);
	assert_string_equal(b.split_regex, "\\p{L}+|\"");
	tram_tokjson_free(e->ctx, &a);
	assert_null(a.tokens);
	tram_tokjson_free(e->ctx, &b);
}

/* 256 bytes and a merge of every byte with itself: nothing is lost in escaping. */
static void every_byte_survives_the_file(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "tokenizer.json");
	struct tram_tok tokens[512];
	struct tram_tok_merge merges[256];
	char text[512][3];
	struct tram_tokjson a = { .tokens = tokens, .n_tokens = 512, .merges = merges,
				  .n_merges = 256, .use_regex = true }, b;

	for (uint32_t i = 0; i < 512; i++) {
		memset(text[i], (int)(i & 255), 2);
		tokens[i] = (struct tram_tok){ text[i], i < 256 ? 1 : 2, TRAM_TOK_VOCAB };
		if (i < 256)
			merges[i] = (struct tram_tok_merge){ i, i, i + 256 };
	}
	assert_int_equal(tram_tokjson_write(e->ctx, path, &a), 0);
	assert_int_equal(tram_tokjson_read(e->ctx, path, &b), 0);
	assert_int_equal(b.n_tokens, 512);
	for (uint32_t i = 0; i < 512; i++) {
		assert_int_equal(b.tokens[i].len, tokens[i].len);
		assert_memory_equal(b.tokens[i].bytes, tokens[i].bytes, tokens[i].len);
	}
	assert_memory_equal(b.merges, merges, sizeof(merges));
	tram_tokjson_free(e->ctx, &b);
	merges[7].right = 512;
	assert_int_equal(tram_tokjson_write(e->ctx, path, &a), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "merge 7"));
}

#define WITH(pre, model) "{" pre ",\"model\":{\"type\":\"BPE\"," model "}}"

static void other_spellings_are_read(void **state)
{
	static const char *const good[] = {
		WITH(PRE, VOCAB ",\"merges\":[[\"a\",\"b\"]]"),
		WITH(PRE, VOCAB ",\"merges\":[],\"dropout\":null,\"byte_fallback\":false,"
		     "\"end_of_word_suffix\":\"\",\"unk_token\":\"<u>\""),
		WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" "{\"type\":"
		     "\"ByteLevel\"}]}", VOCAB "," MERGES),
		WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
		     "\"pattern\":{\"Regex\":\"x\"},\"behavior\":\"Isolated\",\"invert\":false},"
		     "{\"type\":\"ByteLevel\",\"use_regex\":false}]}", VOCAB "," MERGES),
		WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[]}," PRE,
		     VOCAB "," MERGES),
		/* A literal: a character that no byte maps to. */
		WITH(PRE, "\"vocab\":{\"a\":0,\"\xe4\xb8\xad\":1},\"merges\":[]"),
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(good); i++)
		assert_accepted(read_all, good[i], strlen(good[i]));
}

static const struct { const char *text; int err; const char *message; } broken[] = {
	{ "{" PRE "}", -EINVAL, "model: is missing" },
	{ "{" PRE ",\"model\":[]}", -EINVAL, "model: an array, an object" },
	{ "{" PRE ",\"model\":{\"type\":\"WordPiece\"}}", -ENOTSUP, "model.type: \"WordPiece\", BPE" },
	{ "{" PRE ",\"model\":{" VOCAB "," MERGES "}}", -EINVAL, "model.type: is missing" },
	{ WITH(PRE, MERGES), -EINVAL, "model.vocab: is missing" },
	{ WITH(PRE, VOCAB), -EINVAL, "model.merges: is missing" },
	{ WITH(PRE, "\"vocab\":[]," MERGES), -EINVAL, "model.vocab: an array" },
	{ WITH(PRE, "\"vocab\":{},\"merges\":[]"), -EINVAL, "model.vocab: is empty" },
	{ WITH(PRE, "\"vocab\":{\"\":0},\"merges\":[]"), -EINVAL, "an empty token" },
	{ WITH(PRE, "\"vocab\":{\"a\":-1},\"merges\":[]"), -EINVAL, "[\"a\"]: -1, limit 0 to" },
	{ WITH(PRE, "\"vocab\":{\"a\":1.5},\"merges\":[]"), -EINVAL, "[\"a\"]: 1.5, limit" },
	{ WITH(PRE, "\"vocab\":{\"a\":4294967296},\"merges\":[]"), -EINVAL, "[\"a\"]: 4294967296" },
	{ WITH(PRE, "\"vocab\":{\"a\":16777215},\"merges\":[]"), -EINVAL, "limit 0 to 65538" },
	{ WITH(PRE, "\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), -EINVAL,
	  "[\"b\"]: id 0 belongs to another token" },
	{ WITH(PRE, "\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]"), -EINVAL, "\"a\" stands twice" },
	{ WITH(PRE, "\"vocab\":{\"\xff\":0},\"merges\":[]"), -EINVAL, "not JSON" },
	{ WITH(PRE, "\"vocab\":{\"a\":NaN},\"merges\":[]"), -EINVAL, "not JSON" },
	{ WITH(PRE, VOCAB ",\"merges\":[\"ab\"]"), -EINVAL, "merges[0]: is not a pair" },
	{ WITH(PRE, VOCAB ",\"merges\":[\"a b a\"]"), -EINVAL, "merges[0]: is not a pair" },
	{ WITH(PRE, VOCAB ",\"merges\":[[\"a\"]]"), -EINVAL, "merges[0]: is not a pair" },
	{ WITH(PRE, VOCAB ",\"merges\":[[\"a\",1]]"), -EINVAL, "merges[0]: is not a pair" },
	{ WITH(PRE, VOCAB ",\"merges\":[\"q b\"]"), -EINVAL, "the left one is not in" },
	{ WITH(PRE, VOCAB ",\"merges\":[\"a q\"]"), -EINVAL, "the right one is not in" },
	{ WITH(PRE, VOCAB ",\"merges\":[\"b a\"]"), -EINVAL, "the result is not in" },
	{ WITH(PRE, VOCAB ",\"merges\":[\" \"]"), -EINVAL, "the left one is not in" },
	{ WITH(PRE, VOCAB ",\"merges\":[\"\xe4\xb8\xad b\"]"), -EINVAL, "the left one is not in" },
	{ WITH(PRE, VOCAB "," MERGES ",\"dropout\":0.1"), -EINVAL, "model.dropout: 0.1, limit 0" },
	{ WITH(PRE, VOCAB "," MERGES ",\"byte_fallback\":true"), -ENOTSUP, "byte_fallback: true" },
	{ WITH(PRE, VOCAB "," MERGES ",\"end_of_word_suffix\":\"</w>\""), -ENOTSUP, "\"</w>\"" },
	{ WITH(PRE, VOCAB "," MERGES ",\"continuing_subword_prefix\":1"), -EINVAL, "a string" },
	{ WITH("\"x\":1", VOCAB "," MERGES), -ENOTSUP, "pre_tokenizer: null, ByteLevel" },
	{ WITH("\"pre_tokenizer\":{\"type\":\"Whitespace\"}", VOCAB "," MERGES), -ENOTSUP,
	  "pre_tokenizer: \"Whitespace\"" },
	{ WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[]}", VOCAB "," MERGES),
	  -ENOTSUP, "0 steps" },
	{ WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},"
	       "{\"type\":\"ByteLevel\"}]}", VOCAB "," MERGES), -ENOTSUP, "\"Digits\", Split" },
	{ WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
	       "\"pattern\":{\"String\":\"x\"},\"behavior\":\"Isolated\"},"
	       "{\"type\":\"ByteLevel\"}]}", VOCAB "," MERGES), -EINVAL, "Regex: is missing" },
	{ WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
	       "\"pattern\":{\"Regex\":\"x\"},\"behavior\":\"Removed\"},"
	       "{\"type\":\"ByteLevel\"}]}", VOCAB "," MERGES), -ENOTSUP, "behavior \"Removed\"" },
	{ WITH("\"normalizer\":{\"type\":\"NFC\"}," PRE, VOCAB "," MERGES), -ENOTSUP,
	  "normalizer: \"NFC\"" },
	{ WITH("\"decoder\":{\"type\":\"Metaspace\"}," PRE, VOCAB "," MERGES), -ENOTSUP,
	  "decoder: \"Metaspace\"" },
	{ WITH("\"added_tokens\":{}," PRE, VOCAB "," MERGES), -EINVAL, "added_tokens: an object" },
	{ WITH("\"added_tokens\":[1]," PRE, VOCAB "," MERGES), -EINVAL, "added_tokens[0]: 1" },
	{ WITH("\"added_tokens\":[{\"id\":9}]," PRE, VOCAB "," MERGES), -EINVAL, "content: is missing" },
	{ WITH("\"added_tokens\":[{\"content\":\"x\"}]," PRE, VOCAB "," MERGES), -EINVAL,
	  "id: is missing" },
	{ WITH("\"added_tokens\":[{\"id\":9,\"content\":\"\"}]," PRE, VOCAB "," MERGES), -EINVAL,
	  "content: is empty" },
	{ WITH("\"added_tokens\":[{\"id\":0,\"content\":\"x\"}]," PRE, VOCAB "," MERGES), -EINVAL,
	  "\"x\": id 0 belongs to another token" },
	{ WITH("\"added_tokens\":[{\"id\":9,\"content\":\"x\"},{\"id\":9,\"content\":\"y\"}]," PRE,
	       VOCAB "," MERGES), -EINVAL, "\"y\": id 9 belongs to another token" },
	{ WITH("\"added_tokens\":[{\"id\":4,\"content\":\"\xc4\xa0" "ab\"}]," PRE, VOCAB "," MERGES),
	  -ENOTSUP, "stands for other bytes" },
	{ WITH("\"added_tokens\":[{\"id\":9,\"content\":\"x\",\"lstrip\":true}]," PRE,
	       VOCAB "," MERGES), -ENOTSUP, "lstrip: true" },
	{ WITH("\"added_tokens\":[{\"id\":999999,\"content\":\"x\"}]," PRE, VOCAB "," MERGES),
	  -EINVAL, "id: 999999, limit 0 to" },
};

static void a_broken_field_is_named(void **state)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(broken); i++) {
		char message[1100];
		int r = test_read(read_all, broken[i].text, strlen(broken[i].text), 2 << 20, message);

		if (r != broken[i].err || !strstr(message, broken[i].message))
			fail_msg("case %zu: returned %d \"%s\", expected %d \"%s\"", i, r, message,
				 broken[i].err, broken[i].message);
	}
}

static void every_truncation_is_refused_and_every_wrong_bit_survived(void **state)
{
	assert_truncation_is_refused(read_all, GOOD, sizeof(GOOD) - 1);
	unsigned char bits[sizeof(GOOD)];
	char message[1100];

	memcpy(bits, GOOD, sizeof(GOOD));
	for (size_t bit = 0; bit < 8 * (sizeof(GOOD) - 1); bit++) {
		bits[bit / 8] ^= (unsigned char)(1u << bit % 8);
		test_read(read_all, bits, sizeof(GOOD) - 1, 2 << 20, message);
		bits[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

static void nesting_ten_thousand_deep_is_refused(void **state)
{
	char *deep = malloc(20010);

	strcpy(deep, "{\"model\":");
	memset(deep + 9, '[', 10000);
	memset(deep + 10009, ']', 10000);
	deep[20009] = '}';
	assert_refused(read_all, deep, 20010, -EINVAL, "nesting 10001 deep");
	free(deep);
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	struct tram_source src = tram_source_mem("m", GOOD, sizeof(GOOD) - 1);
	struct tram_tokjson tj, tj2;
	int r = tram_tokjson_read_source(ctx, &src, &tj);

	if (r)
		return r;
	r = tram_tokjson_write(ctx, arg, &tj);
	tram_tokjson_free(ctx, &tj);
	r = r ? r : tram_tokjson_read(ctx, arg, &tj2);
	if (!r)
		tram_tokjson_free(ctx, &tj2);
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
		T(the_byte_alphabet_is_that_of_gpt2),
		T(a_file_is_read_written_and_read_again),
		T(every_byte_survives_the_file),
		T(other_spellings_are_read),
		T(a_broken_field_is_named),
		T(every_truncation_is_refused_and_every_wrong_bit_survived),
		T(nesting_ten_thousand_deep_is_refused),
		T(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
