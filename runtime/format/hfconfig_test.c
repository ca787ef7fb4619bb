/* SPDX-License-Identifier: MIT */
/* Claims about GPT-2's config.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/test_files.h"
#include "format/hfconfig.h"
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
	struct tram_gpt2_config cfg;
	struct tram_gpt2_tensor t;
	uint64_t n = 0;
	int r = tram_gpt2_config_read_source(ctx, src, &cfg);

	if (r)
		return r;
	for (size_t i = 0; i < tram_gpt2_tensor_count(&cfg); i++) {
		tram_gpt2_tensor_at(&cfg, i, &t);
		n += t.shape[0] * (t.ndim == 2 ? t.shape[1] : 1);
	}
	return n == tram_gpt2_params(&cfg) ? 0 : -EIO;
}

#define MODEL "\"model_type\":\"gpt2\","
#define SHAPE "\"vocab_size\":65,\"n_positions\":32,\"n_embd\":48,\"n_layer\":2"

/* The public 124 M shape: 124,439,808 parameters. */
static void the_public_model_has_the_public_size(void **state)
{
	static const char text[] =
		"{\"activation_function\":\"gelu_new\",\"architectures\":[\"GPT2LMHeadModel\"],"
		"\"attn_pdrop\":0.1,\"bos_token_id\":50256,\"embd_pdrop\":0.1,\"eos_token_id\":50256,"
		"\"initializer_range\":0.02,\"layer_norm_epsilon\":1e-05,\"model_type\":\"gpt2\","
		"\"n_ctx\":1024,\"n_embd\":768,\"n_head\":12,\"n_layer\":12,\"n_positions\":1024,"
		"\"resid_pdrop\":0.1,\"summary_activation\":null,\"vocab_size\":50257}";
	struct env *e = *state;
	struct tram_source src = tram_source_mem("c", text, sizeof(text) - 1);
	struct tram_gpt2_config c;
	struct tram_gpt2_tensor t;
	char name[80];

	assert_int_equal(tram_gpt2_config_read_source(e->ctx, &src, &c), 0);
	assert_int_equal(tram_gpt2_params(&c), 124439808);
	assert_int_equal(c.n_inner, 3072);
	assert_int_equal(c.activation, TRAM_GPT2_GELU_TANH);
	assert_true(c.tie_word_embeddings);
	assert_true(c.layer_norm_epsilon == 1e-5f);
	assert_int_equal(c.eos_token_id, 50256);
	assert_int_equal(tram_gpt2_tensor_count(&c), 148);
	tram_gpt2_tensor_at(&c, 2 + 11 * 12 + 2, &t);
	assert_string_equal(t.name, "h.11.attn.c_attn.weight");
	assert_int_equal(t.shape[0], 768);
	assert_int_equal(t.shape[1], 2304);
	tram_gpt2_hf_name(&t, name);
	assert_string_equal(name, "transformer.h.11.attn.c_attn.weight");
	tram_gpt2_tensor_at(&c, 147, &t);
	assert_string_equal(t.name, "ln_f.bias");
	c.tie_word_embeddings = false;
	tram_gpt2_tensor_at(&c, 148, &t);
	tram_gpt2_hf_name(&t, name);
	assert_string_equal(name, "lm_head.weight");
}

static void what_is_written_is_read_back(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "config.json");
	struct tram_gpt2_config a = {
		.vocab_size = 257, .n_positions = 64, .n_embd = 96, .n_layer = 3, .n_head = 6,
		.n_inner = 200, .activation = TRAM_GPT2_GELU_ERF, .layer_norm_epsilon = 1e-6f,
		.embd_pdrop = 0.1f, .resid_pdrop = 0, .attn_pdrop = 0.25f, .bos_token_id = -1,
		.eos_token_id = 256,
	}, b;

	for (int i = 0; i < 2; i++) {
		a.tie_word_embeddings = i;
		assert_int_equal(tram_gpt2_config_write(e->ctx, path, &a), 0);
		assert_int_equal(tram_gpt2_config_read(e->ctx, path, &b), 0);
		assert_int_equal(b.vocab_size, 257);
		assert_int_equal(b.n_positions, 64);
		assert_int_equal(b.n_embd, 96);
		assert_int_equal(b.n_layer, 3);
		assert_int_equal(b.n_head, 6);
		assert_int_equal(b.n_inner, 200);
		assert_int_equal(b.activation, TRAM_GPT2_GELU_ERF);
		assert_true(b.layer_norm_epsilon == 1e-6f);
		assert_true(b.embd_pdrop == 0.1f && b.resid_pdrop == 0 && b.attn_pdrop == 0.25f);
		assert_int_equal(b.bos_token_id, -1);
		assert_int_equal(b.eos_token_id, 256);
		assert_int_equal(b.tie_word_embeddings, i);
	}
	a.n_head = 7;
	assert_int_equal(tram_gpt2_config_write(e->ctx, path, &a), -EINVAL);
}

static const struct { const char *text; int err; const char *message; } broken[] = {
	{ "{" SHAPE ",\"n_head\":4}", -EINVAL, "model_type: is missing" },
	{ "{\"model_type\":\"llama\"," SHAPE ",\"n_head\":4}", -ENOTSUP,
	  "model_type: \"llama\", supported is gpt2" },
	{ "{\"model_type\":1}", -EINVAL, "model_type: 1, a string" },
	{ "{" MODEL SHAPE "}", -EINVAL, "n_head: is missing" },
	{ "{" MODEL SHAPE ",\"n_head\":5}", -EINVAL, "n_head: 5, must divide n_embd (48)" },
	{ "{" MODEL SHAPE ",\"n_head\":0}", -EINVAL, "n_head: 0, limit 1 to 1024" },
	{ "{" MODEL SHAPE ",\"n_head\":-4}", -EINVAL, "n_head: -4, limit 1 to" },
	{ "{" MODEL SHAPE ",\"n_head\":4.5}", -EINVAL, "n_head: 4.5, a whole number" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"n_head\":4}", -EINVAL, "\"n_head\" stands twice" },
	{ "{" MODEL SHAPE ",\"n_head\":18446744073709551620}", -EINVAL, "n_head" },
	{ "{" MODEL "\"vocab_size\":4294967296,\"n_positions\":1,\"n_embd\":1,\"n_layer\":1,\"n_head\":1}",
	  -EINVAL, "vocab_size: 4294967296, limit 1 to 16777216" },
	{ "{" MODEL "\"vocab_size\":1,\"n_positions\":1048577,\"n_embd\":1,\"n_layer\":1,\"n_head\":1}",
	  -EINVAL, "n_positions: 1048577, limit" },
	{ "{" MODEL "\"vocab_size\":1,\"n_positions\":1,\"n_embd\":65537,\"n_layer\":1,\"n_head\":1}",
	  -EINVAL, "n_embd: 65537, limit" },
	{ "{" MODEL "\"vocab_size\":1,\"n_positions\":1,\"n_embd\":1,\"n_layer\":1025,\"n_head\":1}",
	  -EINVAL, "n_layer: 1025, limit" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"n_inner\":0}", -EINVAL, "n_inner: 0, limit" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"layer_norm_epsilon\":0}", -EINVAL, "layer_norm_epsilon: 0" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"layer_norm_epsilon\":NaN}", -EINVAL, "not JSON" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"layer_norm_epsilon\":1e400}", -EINVAL, "not JSON" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"layer_norm_epsilon\":\"x\"}", -EINVAL, "a number" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"attn_pdrop\":1}", -EINVAL, "attn_pdrop: 1, limit 0" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"embd_pdrop\":-0.1}", -EINVAL, "embd_pdrop: -0.1" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"activation_function\":\"swish\"}", -ENOTSUP,
	  "activation_function: \"swish\"" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"scale_attn_weights\":false}", -ENOTSUP,
	  "scale_attn_weights: false" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"scale_attn_by_inverse_layer_idx\":true}", -ENOTSUP,
	  "scale_attn_by_inverse_layer_idx: true" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"tie_word_embeddings\":1}", -EINVAL,
	  "tie_word_embeddings: 1, true or false" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"eos_token_id\":\"a\"}", -EINVAL, "eos_token_id: \"a\"" },
	{ "{" MODEL SHAPE ",\"n_head\":4,\"x\":\"\xc3\"}", -EINVAL, "not JSON" },
	{ "[]", -EINVAL, "a JSON object is needed" },
};

static const char good[] = "{" MODEL SHAPE ",\"n_head\":4,\"n_inner\":null}";

static void a_broken_field_is_named(void **state)
{
	static const char extremes[] =
		"{" MODEL "\"vocab_size\":16777216,\"n_positions\":1048576,\"n_embd\":65536,"
		"\"n_layer\":1024,\"n_head\":1024,\"n_inner\":262144}";

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(broken); i++)
		assert_refused(read_all, broken[i].text, strlen(broken[i].text), broken[i].err,
			       broken[i].message);
	assert_accepted(read_all, good, sizeof(good) - 1);
	assert_accepted(read_all, extremes, sizeof(extremes) - 1);
}

static void every_truncation_is_refused_and_every_wrong_bit_survived(void **state)
{
	assert_truncation_is_refused(read_all, good, sizeof(good) - 1);
	try_every_bit(read_all, good, sizeof(good) - 1);
}

static void a_file_over_a_megabyte_is_not_read(void **state)
{
	size_t n = TRAM_CONFIG_MAX_BYTES + 1;
	char *big = calloc(1, n), message[1100];

	assert_int_equal(test_read(read_all, big, n, 1000, message), -EFBIG);
	assert_non_null(strstr(message, "limit 1048576"));
	free(big);
}

static void nesting_ten_thousand_deep_is_refused(void **state)
{
	char *deep = malloc(20010);

	strcpy(deep, "{\"a\":");
	memset(deep + 5, '[', 20000);
	assert_refused(read_all, deep, 20005, -EINVAL, "nesting 20001 deep");
	free(deep);
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	struct tram_gpt2_config c = {
		.vocab_size = 257, .n_positions = 64, .n_embd = 96, .n_layer = 3, .n_head = 6,
		.n_inner = 200, .layer_norm_epsilon = 1e-6f, .bos_token_id = -1,
	};
	int r = tram_gpt2_config_write(ctx, arg, &c);

	return r ? r : tram_gpt2_config_read(ctx, arg, &c);
}

static void every_allocation_may_fail(void **state)
{
	struct env *e = *state;

	assert_true(test_heap_each_failure(chain, (void *)(uintptr_t)test_path(&e->dir, "a")) > 6);
	assert_int_equal(test_dir_count(e->dir.path), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_public_model_has_the_public_size),
		T(what_is_written_is_read_back),
		T(a_broken_field_is_named),
		T(every_truncation_is_refused_and_every_wrong_bit_survived),
		T(a_file_over_a_megabyte_is_not_read),
		T(nesting_ten_thousand_deep_is_refused),
		T(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
