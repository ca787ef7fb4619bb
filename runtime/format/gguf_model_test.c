/* SPDX-License-Identifier: MIT */
/* Claims about models and tokenizers in GGUF: what keys and tensors mean, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/sbuf.h"
#include "base/test_files.h"
#include "format/describe.h"
#include "format/gguf_model.h"
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

/* --- a small model, one thing of which may be changed --------------------------------- */

enum { V = 4, T = 2, E = 2, F = 3, SLOT = 96 /* bytes a tensor */ };

static void put_words(struct bytes *b, const char *const *v, uint64_t n)
{
	put_u32(b, 8);
	put_u64(b, n);
	for (uint64_t i = 0; i < n; i++)
		put_str(b, v[i]);
}

static void arch(struct bytes *b) { put_u32(b, 8), put_str(b, "gpt2"); }
static void one(struct bytes *b) { put_u32(b, 4), put_u32(b, 1); }
static void two(struct bytes *b) { put_u32(b, 4), put_u32(b, 2); }
static void three(struct bytes *b) { put_u32(b, 4), put_u32(b, 3); }
static void eps(struct bytes *b) { put_u32(b, 6), put_f32(b, 1e-5f); }
static void bpe(struct bytes *b) { put_u32(b, 8), put_str(b, "gpt2"); }
static void pre(struct bytes *b) { put_u32(b, 8), put_str(b, "gpt-2"); }

static void tokens(struct bytes *b)
{
	put_u32(b, 9), put_words(b, (const char *const[]){ "a", "\xc4\xa0", "a\xc4\xa0", "<|end|>" }, 4);
}

static void types(struct bytes *b)
{
	put_u32(b, 9), put_u32(b, 5), put_u64(b, 4);
	put_u32(b, 1), put_u32(b, 1), put_u32(b, 1), put_u32(b, 3);
}

static void merges(struct bytes *b)
{
	put_u32(b, 9), put_words(b, (const char *const[]){ "a \xc4\xa0" }, 1);
}

struct key { const char *name; void (*put)(struct bytes *b); };

static const struct key keys[] = {
	{ "general.architecture", arch }, { "gpt2.context_length", two },
	{ "gpt2.embedding_length", two }, { "gpt2.feed_forward_length", three },
	{ "gpt2.block_count", one }, { "gpt2.attention.head_count", one },
	{ "gpt2.attention.layer_norm_epsilon", eps }, { "tokenizer.ggml.model", bpe },
	{ "tokenizer.ggml.pre", pre }, { "tokenizer.ggml.tokens", tokens },
	{ "tokenizer.ggml.token_type", types }, { "tokenizer.ggml.merges", merges },
	{ "tokenizer.ggml.eos_token_id", three },
};

static const struct { const char *name; uint64_t ne0, ne1; } tensors[] = {
	{ "token_embd.weight", E, V }, { "position_embd.weight", E, T },
	{ "blk.0.attn_norm.weight", E, 0 }, { "blk.0.attn_norm.bias", E, 0 },
	{ "blk.0.attn_qkv.weight", E, 3 * E }, { "blk.0.attn_qkv.bias", 3 * E, 0 },
	{ "blk.0.attn_output.weight", E, E }, { "blk.0.attn_output.bias", E, 0 },
	{ "blk.0.ffn_norm.weight", E, 0 }, { "blk.0.ffn_norm.bias", E, 0 },
	{ "blk.0.ffn_up.weight", E, F }, { "blk.0.ffn_up.bias", F, 0 },
	{ "blk.0.ffn_down.weight", F, E }, { "blk.0.ffn_down.bias", E, 0 },
	{ "output_norm.weight", E, 0 }, { "output_norm.bias", E, 0 },
};

/* @name: the key or tensor that is another one; @put NULL or @ne0 0: that is not there. */
static void put_model(struct bytes *b, const char *name, void (*put)(struct bytes *b),
		      uint64_t ne0, uint64_t ne1)
{
	size_t n_keys = TRAM_ARRAY_SIZE(keys), n_tensors = TRAM_ARRAY_SIZE(tensors);
	bool is_tensor = strstr(name, ".weight") || strstr(name, ".bias");
	uint64_t at = 0;

	b->n = 0;
	put_head(b, n_tensors - (is_tensor && !ne0), n_keys - (*name && !is_tensor && !put));
	for (size_t i = 0; i < n_keys; i++) {
		bool other = !strcmp(keys[i].name, name);

		if (other && !put)
			continue;
		put_str(b, keys[i].name);
		(other ? put : keys[i].put)(b);
	}
	for (size_t i = 0; i < n_tensors; i++) {
		bool other = !strcmp(tensors[i].name, name);

		if (other && !ne0)
			continue;
		put_tensor(b, tensors[i].name, other ? ne0 : tensors[i].ne0,
			   other ? ne1 : tensors[i].ne1, 0, SLOT * at++);
	}
	put_padding(b, 32);
	b->n += SLOT * at;
}

/* The reader under test: all that inspection checks and says. */
static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	struct tram_tokjson tj = { 0 };
	struct tram_gguf *g;
	int r = tram_gguf_open_source(ctx, src, &g);

	if (r)
		return r;
	r = tram_gguf_describe(ctx, g, false, &sb);
	r = r ? r : tram_gguf_describe(ctx, g, true, &sb);
	if (!r)
		r = tram_gguf_tokenizer(ctx, g, &tj);
	if (r == 1)	/* none */
		r = 0;
	tram_tokjson_free(ctx, &tj);
	tram_sbuf_free(&sb);
	tram_gguf_close(ctx, &g);
	return r;
}

/* Buffers of fixed size are asked for, whatever the file: no bound in proportion to it. */
#define SLACK (1u << 20)

static void refuse(const struct bytes *b, int err, const char *part)
{
	char message[1100];
	int r = test_read(read_all, b->v, b->n, SLACK, message);

	if (r != err || !strstr(message, part))
		fail_msg("returned %d \"%s\", expected %d \"%s\"", r, message, err, part);
}

static void refuse_key(const char *key, void (*put)(struct bytes *b), int err, const char *part)
{
	struct bytes b = { 0 };

	put_model(&b, key, put, 0, 0);
	refuse(&b, err, part);
}

/* --- reading ------------------------------------------------------------------------------ */

static void a_model_is_read(void **state)
{
	struct env *e = *state;
	struct bytes b = { 0 };
	struct tram_tokjson tj;
	struct tram_hf_config hf;
	struct tram_gpt2_config c;
	struct tram_source src;
	struct tram_gguf *g;
	char message[1100];

	put_model(&b, "", NULL, 0, 0);
	assert_int_equal(test_read(read_all, b.v, b.n, SLACK, message), 0);
	src = tram_source_mem("m", b.v, b.n);
	assert_int_equal(tram_gguf_open_source(e->ctx, &src, &g), 0);
	assert_int_equal(tram_gguf_config(e->ctx, g, &hf), 0);
	c = hf.gpt2;
	assert_int_equal(c.vocab_size, V);
	assert_int_equal(c.n_positions, T);
	assert_int_equal(c.n_embd, E);
	assert_int_equal(c.n_inner, F);
	assert_int_equal(c.n_layer, 1);
	assert_int_equal(c.n_head, 1);
	assert_int_equal(c.eos_token_id, 3);
	assert_int_equal(c.bos_token_id, -1);
	assert_true(c.tie_word_embeddings);
	assert_int_equal(tram_gguf_tokenizer(e->ctx, g, &tj), 0);
	assert_int_equal(tj.n_tokens, 4);
	assert_int_equal(tj.n_vocab, 3);
	assert_int_equal(tj.n_merges, 1);
	assert_int_equal(tj.merges[0].result, 2);
	assert_string_equal(tj.tokens[2].bytes, "a ");
	assert_string_equal(tj.tokens[3].bytes, "<|end|>");
	assert_int_equal(tj.tokens[3].flags, TRAM_TOK_ADDED | TRAM_TOK_SPECIAL);
	assert_true(tj.use_regex && !tj.split_regex && !tj.ignore_merges);
	tram_tokjson_free(e->ctx, &tj);
	tram_gguf_close(e->ctx, &g);
}

static void shorter_models_and_wrong_bits_have_an_answer(void **state)
{
	struct bytes b = { 0 };
	char message[1100];

	put_model(&b, "", NULL, 0, 0);
	for (size_t cut = 0; cut < b.n - SLOT; cut++)
		if (test_read(read_all, b.v, cut, SLACK, message) != -EINVAL)
			fail_msg("cut to %zu: %s", cut, message);
	for (size_t bit = 0; bit < 8 * (b.n - SLOT * TRAM_ARRAY_SIZE(tensors)); bit++) {
		b.v[bit / 8] ^= (unsigned char)(1u << bit % 8);
		test_read(read_all, b.v, b.n, SLACK, message);
		b.v[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

static void zero(struct bytes *b) { put_u32(b, 4), put_u32(b, 0); }
static void huge(struct bytes *b) { put_u32(b, 10), put_u64(b, 1ull << 40); }
static void word(struct bytes *b) { put_u32(b, 8), put_str(b, "x"); }
static void one_f32(struct bytes *b) { put_u32(b, 6), put_f32(b, 1); }
static void nan_f32(struct bytes *b) { put_u32(b, 6), put_u32(b, 0x7fc00000); }
static void big_f32(struct bytes *b) { put_u32(b, 6), put_f32(b, 2); }

static void a_broken_configuration_is_named(void **state)
{
	static const char *const counts[] = { "context_length", "embedding_length", "block_count",
					      "attention.head_count", "feed_forward_length" };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(counts); i++) {
		char key[64], missing[120], low[120], wrong[120];

		snprintf(key, sizeof(key), "gpt2.%s", counts[i]);
		snprintf(missing, sizeof(missing), "broken.file: key %s: is missing", key);
		snprintf(low, sizeof(low), "broken.file: key %s: 0, limit 1 to ", key);
		snprintf(wrong, sizeof(wrong), "broken.file: key %s: type f32, a whole number", key);
		refuse_key(key, NULL, -EINVAL, missing);
		refuse_key(key, zero, -EINVAL, low);
		refuse_key(key, huge, -EINVAL, "1099511627776, limit 1 to ");
		refuse_key(key, one_f32, -EINVAL, wrong);
	}
	refuse_key("gpt2.attention.head_count", three, -EINVAL, "n_head: 3, must divide n_embd (2)");
	refuse_key("gpt2.attention.layer_norm_epsilon", NULL, -EINVAL, "layer_norm_epsilon: is missing");
	refuse_key("gpt2.attention.layer_norm_epsilon", one, -EINVAL, "layer_norm_epsilon: type u32");
	refuse_key("gpt2.attention.layer_norm_epsilon", nan_f32, -EINVAL, "layer_norm_epsilon: nan");
	refuse_key("gpt2.attention.layer_norm_epsilon", big_f32, -EINVAL, "layer_norm_epsilon: 2, limit");
	refuse_key("tokenizer.ggml.eos_token_id", huge, -EINVAL, "eos_token_id: 1099511627776, limit 0 to 3");
	refuse_key("general.architecture", one, -EINVAL, "general.architecture: type u32");
}

static void a_tensor_that_does_not_fit_is_named(void **state)
{
	struct bytes b = { 0 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(tensors); i++) {
		char part[100];

		put_model(&b, tensors[i].name, NULL, 0, 0);
		snprintf(part, sizeof(part), "tensor %s: is missing", tensors[i].name);
		refuse(&b, -EINVAL, part);
		put_model(&b, tensors[i].name, NULL, 5, tensors[i].ne1 ? V : 0);
		snprintf(part, sizeof(part), "tensor %s: shape: [", tensors[i].name);
		refuse(&b, -EINVAL, part);
	}
	put_model(&b, "blk.0.attn_qkv.weight", NULL, 6, 2);
	refuse(&b, -EINVAL, "tensor blk.0.attn_qkv.weight: shape: [2, 6], the keys need [6, 2]");
}

static void other(struct bytes *b) { put_u32(b, 8), put_str(b, "llama"); }

static void few_types(struct bytes *b)
{
	put_u32(b, 9), put_u32(b, 5), put_u64(b, 1), put_u32(b, 1);
}

static void byte_type(struct bytes *b)
{
	put_u32(b, 9), put_u32(b, 5), put_u64(b, 4);
	put_u32(b, 1), put_u32(b, 6), put_u32(b, 1), put_u32(b, 3);
}

static void many_tokens(struct bytes *b)
{
	put_u32(b, 9), put_words(b, (const char *const[]){ "a", "b", "c", "d", "e" }, 5);
}

static void twice(struct bytes *b)
{
	put_u32(b, 9), put_words(b, (const char *const[]){ "a", "a", "aa", "x" }, 4);
}

static void not_text(struct bytes *b)
{
	put_u32(b, 9), put_words(b, (const char *const[]){ "a", "\xff", "c", "d" }, 4);
}

static void no_merge(struct bytes *b) { put_u32(b, 9), put_words(b, (const char *const[]){ "a z" }, 1); }
static void no_pair(struct bytes *b) { put_u32(b, 9), put_words(b, (const char *const[]){ "a" }, 1); }

static void a_broken_tokenizer_is_named(void **state)
{
	refuse_key("tokenizer.ggml.tokens", NULL, -EINVAL, "key tokenizer.ggml.tokens: is missing");
	refuse_key("tokenizer.ggml.merges", NULL, -EINVAL, "key tokenizer.ggml.merges: is missing");
	refuse_key("tokenizer.ggml.tokens", types, -EINVAL, "tokenizer.ggml.tokens: array of i32");
	refuse_key("tokenizer.ggml.tokens", many_tokens, -EINVAL, "token_type: 4 elements, tokenizer.ggml.tokens has 5");
	refuse_key("tokenizer.ggml.token_type", few_types, -EINVAL, "token_type: 1 elements, tokenizer.ggml.tokens has 4");
	refuse_key("tokenizer.ggml.tokens", twice, -EINVAL, "tokenizer.ggml: ");
	refuse_key("tokenizer.ggml.tokens", not_text, -EINVAL, "tokens: element 1 is empty or not UTF-8");
	refuse_key("tokenizer.ggml.merges", no_merge, -EINVAL, "merges[0]: \"a\" with \"z\": the right one is not");
	refuse_key("tokenizer.ggml.merges", no_pair, -EINVAL, "merges[0]: is not a pair");
}

static void another_kind_of_tokenizer_is_refused_by_name(void **state)
{
	refuse_key("tokenizer.ggml.model", other, -ENOTSUP, "tokenizer.ggml.model: \"llama\", supported is gpt2");
	refuse_key("tokenizer.ggml.pre", word, -ENOTSUP, "tokenizer.ggml.pre: \"x\", supported are gpt-2");
	refuse_key("tokenizer.ggml.pre", NULL, -ENOTSUP, "tokenizer.ggml.pre: \"none\", supported are gpt-2");
	refuse_key("tokenizer.ggml.token_type", byte_type, -ENOTSUP, "token_type: element 1 is 6");
}

/* --- names and writing ------------------------------------------------------------------------ */

static void every_tensor_of_a_config_has_a_place(void **state)
{
	const struct tram_gpt2_config c = {
		.vocab_size = V, .n_positions = T, .n_embd = E, .n_layer = 12, .n_head = 1, .n_inner = F,
	};
	struct tram_gguf_place p;
	struct tram_gpt2_tensor t;

	for (size_t i = 0; i < tram_gpt2_tensor_count(&c); i++) {
		tram_gpt2_tensor_at(&c, i, &t);
		assert_true(tram_gguf_place("gpt2", t.name, &p));
		assert_int_equal(p.layout, t.ndim == 2 && strstr(t.name, ".c_") ?
				 TRAM_GGUF_TRANSPOSED : TRAM_GGUF_AS_IS);
	}
	assert_true(tram_gguf_place("gpt2", "h.11.mlp.c_fc.weight", &p));
	assert_string_equal(p.name, "blk.11.ffn_up.weight");
	assert_false(tram_gguf_place("gpt2", "h.x.mlp.c_fc.weight", &p));
	assert_false(tram_gguf_place("gpt2", "h.1.mlp.c_fc", &p));
	assert_false(tram_gguf_place("other", "wte.weight", &p));
}

static void conv1d_weights_are_turned_and_come_back(void **state)
{
	static const uint64_t shape[2] = { 2, 3 };
	static const float v[6] = { 0, 1, 2, 3, 4, 5 }, turned[6] = { 0, 3, 1, 4, 2, 5 };
	struct env *e = *state;
	const char *path = test_path(&e->dir, "t.gguf");
	struct tram_gguf_writer *w;
	struct tram_gguf *g;
	float got[6];

	assert_int_equal(tram_gguf_writer_create(e->ctx, path, &w), 0);
	tram_gguf_declare(e->ctx, w, "gpt2", "h.0.mlp.c_fc.weight", 2, shape);
	tram_gguf_store(e->ctx, w, "gpt2", "h.0.mlp.c_fc.weight", 2, shape, 2, v);
	assert_int_equal(tram_gguf_writer_commit(&w), 0);
	assert_int_equal(tram_gguf_open(e->ctx, path, &g), 0);
	assert_int_equal(tram_gguf_at(g, 0)->shape[0], 3);
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, tram_gguf_at(g, 0), 0, got, 6), 0);
	assert_memory_equal(got, turned, sizeof(got));
	assert_int_equal(tram_gguf_load(e->ctx, g, "gpt2", "h.0.mlp.c_fc.weight", 2, shape, 2, got), 0);
	assert_memory_equal(got, v, sizeof(got));
	tram_gguf_close(e->ctx, &g);
}

static int put_tokenizer(struct env *e, const struct tram_tokjson *tj, uint32_t vocab)
{
	const char *path = test_path(&e->dir, "tok.gguf");
	struct tram_gguf_writer *w;
	int r;

	assert_int_equal(tram_gguf_writer_create(e->ctx, path, &w), 0);
	r = tram_gguf_put_tokenizer(e->ctx, w, path, tj, vocab, -1, -1);
	if (r)
		tram_gguf_writer_abort(&w);
	return r ? r : tram_gguf_writer_commit(&w);
}

/* Every field that decides ids; tokens of no use at the end are not counted. */
static void check_same(const struct tram_tokjson *a, const struct tram_tokjson *b)
{
	assert_int_equal(a->n_tokens, b->n_tokens);
	assert_int_equal(a->n_merges, b->n_merges);
	assert_int_equal(a->n_added, b->n_added);
	assert_int_equal(a->ignore_merges, b->ignore_merges);
	assert_int_equal(!a->split_regex, !b->split_regex);
	if (a->split_regex)
		assert_string_equal(a->split_regex, b->split_regex);
	for (uint32_t i = 0; i < a->n_tokens; i++) {
		assert_int_equal(a->tokens[i].len, b->tokens[i].len);
		if (a->tokens[i].bytes)
			assert_memory_equal(a->tokens[i].bytes, b->tokens[i].bytes, a->tokens[i].len);
		else
			assert_null(b->tokens[i].bytes);
	}
	for (uint32_t i = 0; i < a->n_merges; i++)
		assert_memory_equal(&a->merges[i], &b->merges[i], sizeof(a->merges[i]));
}

static void tokenizers_come_back_as_they_were(void **state)
{
	static const char json[] =
		"{\"added_tokens\":[{\"id\":4,\"content\":\"<|e|>\",\"special\":true},{\"id\":6,"
		"\"content\":\"user \xc3\xa9\"}],\"pre_tokenizer\":{\"type\":\"Sequence\","
		"\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|"
		"'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|"
		"\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"
		"{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},\"model\":"
		"{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"b\":1,\"\xc4\xa0\":2,\"ab\":3},"
		"\"merges\":[\"a b\"]}}";
	struct env *e = *state;
	struct tram_tokjson a, b;
	struct tram_source src = tram_source_mem("t", json, sizeof(json) - 1);

	assert_int_equal(tram_tokjson_read_source(e->ctx, &src, &a), 0);
	assert_int_equal(put_tokenizer(e, &a, 10), 0);
	assert_int_equal(tram_tokjson_open(e->ctx, test_path(&e->dir, "tok.gguf"), &b), 0);
	check_same(&a, &b);
	tram_tokjson_free(e->ctx, &b);

	a.add_prefix_space = true;
	assert_int_equal(put_tokenizer(e, &a, 10), -ENOTSUP);
	a.add_prefix_space = false;
	a.split_regex = "x";
	assert_int_equal(put_tokenizer(e, &a, 10), -ENOTSUP);
	assert_non_null(strstr(tram_error(e->ctx), "known are gpt-2, llama-bpe and qwen2"));
	assert_int_equal(put_tokenizer(e, &a, 6), -EINVAL);
	assert_non_null(strstr(tram_error(e->ctx), "has 7 ids, the model's vocabulary 6"));
	tram_tokjson_free(e->ctx, &a);

	assert_int_equal(tram_tokjson_open(e->ctx, "bytes", &a), 0);
	assert_int_equal(put_tokenizer(e, &a, 256), 0);
	assert_int_equal(tram_tokjson_open(e->ctx, test_path(&e->dir, "tok.gguf"), &b), 0);
	check_same(&a, &b);
	tram_tokjson_free(e->ctx, &a);
	tram_tokjson_free(e->ctx, &b);

	assert_int_equal(put_tokenizer(e, NULL, 256), 0);
	assert_int_equal(tram_tokjson_open(e->ctx, test_path(&e->dir, "tok.gguf"), &b), -ENOENT);
	assert_non_null(strstr(tram_error(e->ctx), "holds no tokenizer; pass --tokenizer"));
}

/* llama.cpp would take id 11 for the end: NUL's token is named instead, and means none here. */
static void a_model_without_an_end_stays_without(void **state)
{
	const struct tram_hf_config c = { .family = TRAM_HF_GPT2, .gpt2 = {
		.vocab_size = 256, .n_positions = 8, .n_embd = 4, .n_layer = 1, .n_head = 1, .n_inner = 4,
		.layer_norm_epsilon = 1e-5f, .bos_token_id = -1, .eos_token_id = -1,
	} };
	static const uint64_t shape[2] = { 256, 4 };
	static const float table[1024];
	struct env *e = *state;
	const char *path = test_path(&e->dir, "m.gguf");
	struct tram_gguf_writer *w;
	struct tram_hf_config got;
	struct tram_tokjson tj;
	struct tram_gguf *g;
	uint32_t id = 7;

	assert_int_equal(tram_tokjson_open(e->ctx, "bytes", &tj), 0);
	assert_int_equal(tram_gguf_writer_create(e->ctx, path, &w), 0);
	tram_gguf_put_config(e->ctx, w, path, &c);
	tram_gguf_put_tokenizer(e->ctx, w, path, &tj, 256, -1, -1);
	tram_gguf_declare(e->ctx, w, "gpt2", "wte.weight", 2, shape);
	tram_gguf_store(e->ctx, w, "gpt2", "wte.weight", 2, shape, 4, table);
	assert_int_equal(tram_gguf_writer_commit(&w), 0);
	tram_tokjson_free(e->ctx, &tj);
	assert_int_equal(tram_gguf_open(e->ctx, path, &g), 0);
	assert_int_equal(tram_gguf_get_u32(e->ctx, g, "tokenizer.ggml.eos_token_id", true, 0, 255, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(tram_gguf_config(e->ctx, g, &got), 0);
	assert_int_equal(got.gpt2.eos_token_id, -1);
	assert_int_equal(got.gpt2.bos_token_id, -1);
	tram_gguf_close(e->ctx, &g);
}

static void an_activation_without_a_key_is_refused(void **state)
{
	const struct tram_hf_config c = { .gpt2 = { .activation = TRAM_GPT2_RELU } };
	struct env *e = *state;
	struct tram_gguf_writer *w;

	assert_int_equal(tram_gguf_writer_create(e->ctx, test_path(&e->dir, "a.gguf"), &w), 0);
	assert_int_equal(tram_gguf_put_config(e->ctx, w, "out.gguf", &c), -ENOTSUP);
	assert_string_equal(tram_error(e->ctx), "out.gguf: activation_function: relu, a GGUF of architecture gpt2 stands for gelu_new alone; export it as safetensors");
	tram_gguf_writer_abort(&w);
}

/* --- Llama ------------------------------------------------------------------------------------- */

static const struct tram_hf_config small_llama = { .family = TRAM_HF_LLAMA, .llama = {
	.vocab_size = 5, .max_position_embeddings = 8, .hidden_size = 8, .intermediate_size = 6,
	.num_hidden_layers = 1, .num_attention_heads = 4, .num_key_value_heads = 2, .head_dim = 4,
	.rms_norm_eps = 1e-6f, .rope_theta = 50000, .bos_token_id = 1, .eos_token_id = 2,
} };

/* A whole file of it, each tensor counting up; with one key or one tensor more. */
static const char *write_llama(struct env *e, void (*key)(struct tram_gguf_writer *w), const char *tensor)
{
	const struct tram_hf_config *c = &small_llama;
	const char *path = test_path(&e->dir, "llama.gguf");
	static const uint64_t two_wide[1] = { 2 };
	struct tram_gguf_writer *w;
	struct tram_gpt2_tensor t;
	float count[256];

	for (int i = 0; i < 256; i++)
		count[i] = (float)i;
	assert_int_equal(tram_gguf_writer_create(e->ctx, path, &w), 0);
	assert_int_equal(tram_gguf_put_config(e->ctx, w, path, c), 0);
	tram_gguf_writer_u32(w, "tokenizer.ggml.bos_token_id", 1);
	tram_gguf_writer_u32(w, "tokenizer.ggml.eos_token_id", 2);
	if (key)
		key(w);
	for (size_t i = 0; i < tram_hf_tensor_count(c); i++) {
		tram_hf_tensor_at(c, i, &t);
		assert_int_equal(tram_gguf_declare(e->ctx, w, "llama", t.name, t.ndim, t.shape), 0);
	}
	if (tensor)
		tram_gguf_writer_add(w, tensor, TRAM_GGUF_T_F32, 1, two_wide);
	for (size_t i = 0; i < tram_hf_tensor_count(c); i++) {
		tram_hf_tensor_at(c, i, &t);
		tram_gguf_store(e->ctx, w, "llama", t.name, t.ndim, t.shape, c->llama.head_dim, count);
	}
	if (tensor)
		tram_gguf_writer_write(w, count, 2 * sizeof(float));
	assert_int_equal(tram_gguf_writer_commit(&w), 0);
	return path;
}

static void a_llama_comes_back_as_it_was(void **state)
{
	struct env *e = *state;
	struct tram_hf_config got;
	struct tram_gguf_place p;
	struct tram_gpt2_tensor t;
	struct tram_gguf *g;
	float v[256];

	assert_int_equal(tram_gguf_open(e->ctx, write_llama(e, NULL, NULL), &g), 0);
	memset(&got, 0, sizeof(got));
	assert_int_equal(tram_gguf_config(e->ctx, g, &got), 0);
	assert_int_equal(got.family, TRAM_HF_LLAMA);
	assert_memory_equal(&got.llama, &small_llama.llama, sizeof(got.llama));
	assert_int_equal(tram_gguf_check_tensors(e->ctx, g, &got), 0);
	for (size_t i = 0; i < tram_hf_tensor_count(&got); i++) {
		tram_hf_tensor_at(&got, i, &t);
		assert_true(tram_gguf_place("llama", t.name, &p));
		assert_int_equal(tram_gguf_load(e->ctx, g, "llama", t.name, t.ndim, t.shape, 4, v), 0);
		for (uint64_t k = 0; k < t.shape[0] * (t.ndim == 2 ? t.shape[1] : 1); k++)
			assert_true(v[k] == (float)k);
	}
	tram_gguf_close(e->ctx, &g);
}

/* Hugging Face turns row i of a head of four with row i + 2, llama.cpp 0 with 1 and 2 with 3. */
static void queries_and_keys_stand_in_pairs(void **state)
{
	static const float want[8] = { 0, 2, 1, 3, 4, 6, 5, 7 };	/* rows of two heads */
	struct env *e = *state;
	struct tram_gguf *g;
	float v[64];

	assert_int_equal(tram_gguf_open(e->ctx, write_llama(e, NULL, NULL), &g), 0);
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, tram_gguf_find(g, "blk.0.attn_k.weight"), 0, v, 64), 0);
	for (int i = 0; i < 8; i++)
		assert_true(v[8 * i] == 8 * want[i]);
	assert_int_equal(tram_gguf_read_f32(e->ctx, g, tram_gguf_find(g, "blk.0.attn_v.weight"), 0, v, 64), 0);
	for (int i = 0; i < 8; i++)
		assert_true(v[8 * i] == 8 * (float)i);
	tram_gguf_close(e->ctx, &g);
}

static void scaled(struct tram_gguf_writer *w)
{
	tram_gguf_writer_str(w, "llama.rope.scaling.type", "yarn");
}

static void llama_refused(struct env *e, void (*key)(struct tram_gguf_writer *w), const char *tensor,
			  const char *part)
{
	struct tram_hf_config cfg;
	struct tram_gguf *g;
	int r;

	assert_int_equal(tram_gguf_open(e->ctx, write_llama(e, key, tensor), &g), 0);
	r = tram_gguf_config(e->ctx, g, &cfg);
	r = r ? r : tram_gguf_check_tensors(e->ctx, g, &cfg);
	assert_int_equal(r, -ENOTSUP);
	if (!strstr(tram_error(e->ctx), part))
		fail_msg("\"%s\" does not say \"%s\"", tram_error(e->ctx), part);
	tram_gguf_close(e->ctx, &g);
}

static void other_arithmetic_is_refused_by_name(void **state)
{
	struct env *e = *state;

	llama_refused(e, scaled, NULL, "key llama.rope.scaling.type: \"yarn\", only \"none\"");
	llama_refused(e, NULL, "rope_freqs.weight", "tensor rope_freqs.weight: architecture llama is supported without it");
	llama_refused(e, NULL, "blk.0.attn_q.bias", "tensor blk.0.attn_q.bias: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_model_is_read, setup, teardown),
		cmocka_unit_test(shorter_models_and_wrong_bits_have_an_answer),
		cmocka_unit_test(a_broken_configuration_is_named),
		cmocka_unit_test(a_tensor_that_does_not_fit_is_named),
		cmocka_unit_test(a_broken_tokenizer_is_named),
		cmocka_unit_test(another_kind_of_tokenizer_is_refused_by_name),
		cmocka_unit_test(every_tensor_of_a_config_has_a_place),
		cmocka_unit_test_setup_teardown(conv1d_weights_are_turned_and_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(tokenizers_come_back_as_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(a_model_without_an_end_stays_without, setup, teardown),
		cmocka_unit_test_setup_teardown(an_activation_without_a_key_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_llama_comes_back_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(queries_and_keys_stand_in_pairs, setup, teardown),
		cmocka_unit_test_setup_teardown(other_arithmetic_is_refused_by_name, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
