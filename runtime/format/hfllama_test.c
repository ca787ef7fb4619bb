/* SPDX-License-Identifier: MIT */
/* Claims about Llama's config.json, and about telling families apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/test_files.h"
#include "format/hfmodel.h"
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

static struct tram_hf_config last;	/* what read_all() read */

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	int r = tram_hf_config_read_source(ctx, src, &last);

	if (!r)
		test_require_(tram_hf_params(&last) > 0, "no parameters");
	return r;
}

#define MODEL "\"model_type\":\"llama\","
#define SHAPE "\"vocab_size\":99,\"hidden_size\":48,\"intermediate_size\":128,\"num_hidden_layers\":2"
#define GOOD MODEL SHAPE ",\"num_attention_heads\":4"

static void read_text(const char *text)
{
	assert_accepted(read_all, text, strlen(text));
	assert_int_equal(last.family, TRAM_HF_LLAMA);
}

/* TinyLlama 1.1B, whose size is published. */
static void the_public_model_has_the_public_size(void **state)
{
	struct tram_gpt2_tensor t;

	read_text("{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":false,\"bos_token_id\":1,"
		  "\"eos_token_id\":2,\"hidden_act\":\"silu\",\"hidden_size\":2048,\"initializer_range\":0.02,"
		  "\"intermediate_size\":5632,\"max_position_embeddings\":2048,\"model_type\":\"llama\","
		  "\"num_attention_heads\":32,\"num_hidden_layers\":22,\"num_key_value_heads\":4,"
		  "\"pretraining_tp\":1,\"rms_norm_eps\":1e-05,\"rope_scaling\":null,\"rope_theta\":10000.0,"
		  "\"tie_word_embeddings\":false,\"torch_dtype\":\"bfloat16\",\"vocab_size\":32000}");
	assert_int_equal(tram_hf_params(&last), 1100048384);
	assert_int_equal(last.llama.head_dim, 64);
	assert_int_equal(tram_hf_tensor_count(&last), 2 + 22 * 9 + 1);
	tram_hf_tensor_at(&last, 1 + 21 * 9 + 2, &t);
	assert_string_equal(t.name, "model.layers.21.self_attn.k_proj.weight");
	assert_int_equal(t.ndim, 2);
	assert_int_equal(t.shape[0], 256);
	assert_int_equal(t.shape[1], 2048);
	tram_hf_tensor_at(&last, 1 + 22 * 9, &t);
	assert_string_equal(t.name, "model.norm.weight");
	assert_int_equal(t.ndim, 1);
	tram_hf_tensor_at(&last, 2 + 22 * 9, &t);
	assert_string_equal(t.name, "lm_head.weight");
}

static void what_a_file_leaves_out_is_as_in_transformers(void **state)
{
	read_text("{" GOOD "}");
	assert_int_equal(last.llama.num_key_value_heads, 4);
	assert_int_equal(last.llama.head_dim, 12);
	assert_int_equal(last.llama.max_position_embeddings, 2048);
	assert_true(last.llama.rms_norm_eps == 1e-6f && last.llama.rope_theta == 10000);
	assert_false(last.llama.tie_word_embeddings);
	read_text("{" GOOD ",\"head_dim\":20,\"rope_parameters\":{\"rope_theta\":500000.0,"
		  "\"rope_type\":\"default\"},\"rope_scaling\":{\"type\":\"default\"}}");
	assert_int_equal(last.llama.head_dim, 20);
	assert_true(last.llama.rope_theta == 500000);
}

static void each_family_is_told_by_its_model_type(void **state)
{
	static const char gpt2[] = "{\"model_type\":\"gpt2\",\"vocab_size\":9,\"n_positions\":4,"
				   "\"n_embd\":8,\"n_layer\":1,\"n_head\":2}";

	assert_accepted(read_all, gpt2, sizeof(gpt2) - 1);
	assert_int_equal(last.family, TRAM_HF_GPT2);
	assert_int_equal(tram_hf_vocab(&last), 9);
	assert_int_equal(tram_hf_params(&last), tram_gpt2_params(&last.gpt2));
}

static void what_is_written_is_read_back(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "config.json");
	struct tram_hf_config a = { .family = TRAM_HF_LLAMA, .llama = {
		.vocab_size = 257, .max_position_embeddings = 64, .hidden_size = 96,
		.intermediate_size = 200, .num_hidden_layers = 3, .num_attention_heads = 6,
		.num_key_value_heads = 2, .head_dim = 20, .rms_norm_eps = 1e-5f,
		.rope_theta = 500000, .resid_pdrop = 0.125f, .bos_token_id = -1, .eos_token_id = 256,
	} }, b;

	for (int i = 0; i < 2; i++) {
		a.llama.tie_word_embeddings = i;
		assert_int_equal(tram_hf_config_write(e->ctx, path, &a), 0);
		assert_int_equal(tram_hf_config_read(e->ctx, path, &b), 0);
		assert_int_equal(b.family, TRAM_HF_LLAMA);
		assert_int_equal(b.llama.vocab_size, 257);
		assert_int_equal(b.llama.max_position_embeddings, 64);
		assert_int_equal(b.llama.hidden_size, 96);
		assert_int_equal(b.llama.intermediate_size, 200);
		assert_int_equal(b.llama.num_hidden_layers, 3);
		assert_int_equal(b.llama.num_attention_heads, 6);
		assert_int_equal(b.llama.num_key_value_heads, 2);
		assert_int_equal(b.llama.head_dim, 20);
		assert_true(b.llama.rms_norm_eps == 1e-5f && b.llama.rope_theta == 500000);
		assert_true(b.llama.resid_pdrop == 0.125f);
		assert_int_equal(b.llama.bos_token_id, -1);
		assert_int_equal(b.llama.eos_token_id, 256);
		assert_int_equal(b.llama.tie_word_embeddings, i);
	}
	a.llama.num_key_value_heads = 4;
	assert_int_equal(tram_hf_config_write(e->ctx, path, &a), -EINVAL);
}

static const struct { const char *text; int err; const char *message; } broken[] = {
	{ "{" SHAPE ",\"num_attention_heads\":4}", -EINVAL, "model_type: is missing" },
	{ "{\"model_type\":\"mistral\"," SHAPE ",\"num_attention_heads\":4}", -ENOTSUP,
	  "model_type: \"mistral\", supported are gpt2 and llama" },
	{ "{" MODEL SHAPE "}", -EINVAL, "num_attention_heads: is missing" },
	{ "{" MODEL "\"vocab_size\":9,\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":1}",
	  -EINVAL, "intermediate_size: is missing" },
	{ "{" MODEL SHAPE ",\"num_attention_heads\":0}", -EINVAL, "num_attention_heads: 0, limit 1 to 1024" },
	{ "{" MODEL SHAPE ",\"num_attention_heads\":5}", -EINVAL,
	  "num_attention_heads: 5, must divide hidden_size (48)" },
	{ "{" MODEL SHAPE ",\"num_attention_heads\":16}", -EINVAL, "head_dim: 3, must be even" },
	{ "{" GOOD ",\"num_key_value_heads\":3}", -EINVAL,
	  "num_key_value_heads: 3, must divide num_attention_heads (4)" },
	{ "{" GOOD ",\"num_key_value_heads\":8}", -EINVAL, "num_key_value_heads: 8, must divide" },
	{ "{" GOOD ",\"num_key_value_heads\":-1}", -EINVAL, "num_key_value_heads: -1, limit 1" },
	{ "{" GOOD ",\"head_dim\":1026}", -EINVAL, "head_dim: 1026, limit 1 to 1024" },
	{ "{" GOOD ",\"max_position_embeddings\":1048577}", -EINVAL, "max_position_embeddings: 1048577" },
	{ "{" GOOD ",\"rms_norm_eps\":0}", -EINVAL, "rms_norm_eps: 0, limit 1e-12 to 1" },
	{ "{" GOOD ",\"rms_norm_eps\":\"x\"}", -EINVAL, "rms_norm_eps: \"x\", a number" },
	{ "{" GOOD ",\"rope_theta\":0.5}", -EINVAL, "rope_theta: 0.5, limit 1 to 1e12" },
	{ "{" GOOD ",\"resid_pdrop\":1}", -EINVAL, "resid_pdrop: 1, limit 0" },
	{ "{" GOOD ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0}}", -ENOTSUP,
	  "rope_scaling.rope_type: \"linear\", only \"default\" is supported; use a model without it" },
	{ "{" GOOD ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0}}", -ENOTSUP,
	  "rope_scaling.rope_type: \"llama3\"" },
	{ "{" GOOD ",\"rope_scaling\":{\"factor\":8.0}}", -ENOTSUP, "rope_scaling: an object, only null" },
	{ "{" GOOD ",\"rope_scaling\":2}", -ENOTSUP, "rope_scaling: 2, only null" },
	{ "{" GOOD ",\"rope_parameters\":{\"rope_type\":\"yarn\"}}", -ENOTSUP,
	  "rope_parameters.rope_type: \"yarn\"" },
	{ "{" GOOD ",\"rope_parameters\":{\"rope_theta\":0}}", -EINVAL, "rope_theta: 0" },
	{ "{" GOOD ",\"attention_bias\":true}", -ENOTSUP, "attention_bias: true, only false" },
	{ "{" GOOD ",\"mlp_bias\":true}", -ENOTSUP, "mlp_bias: true, only false" },
	{ "{" GOOD ",\"mlp_bias\":1}", -EINVAL, "mlp_bias: 1, true or false" },
	{ "{" GOOD ",\"hidden_act\":\"gelu\"}", -ENOTSUP, "hidden_act: \"gelu\", only \"silu\"" },
	{ "{" GOOD ",\"partial_rotary_factor\":0.5}", -ENOTSUP, "partial_rotary_factor: 0.5, only 1" },
	{ "{" GOOD ",\"quantization_config\":{\"bits\":4}}", -ENOTSUP, "quantization_config: an object" },
	{ "{" GOOD ",\"tie_word_embeddings\":1}", -EINVAL, "tie_word_embeddings: 1, true or false" },
	{ "{" GOOD ",\"eos_token_id\":\"a\"}", -EINVAL, "eos_token_id: \"a\"" },
};

static const char good[] = "{" GOOD ",\"num_key_value_heads\":2,\"eos_token_id\":[1,2]}";

static void a_broken_field_is_named(void **state)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(broken); i++)
		assert_refused(read_all, broken[i].text, strlen(broken[i].text), broken[i].err,
			       broken[i].message);
	read_text(good);
}

static void every_truncation_is_refused_and_every_wrong_bit_survived(void **state)
{
	assert_truncation_is_refused(read_all, good, sizeof(good) - 1);
	try_every_bit(read_all, good, sizeof(good) - 1);
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	struct tram_hf_config c = { .family = TRAM_HF_LLAMA, .llama = {
		.vocab_size = 257, .max_position_embeddings = 64, .hidden_size = 96,
		.intermediate_size = 200, .num_hidden_layers = 3, .num_attention_heads = 6,
		.num_key_value_heads = 2, .head_dim = 16, .rms_norm_eps = 1e-5f, .rope_theta = 1e4f,
		.bos_token_id = -1,
	} };
	int r = tram_hf_config_write(ctx, arg, &c);

	return r ? r : tram_hf_config_read(ctx, arg, &c);
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
		T(what_a_file_leaves_out_is_as_in_transformers),
		T(each_family_is_told_by_its_model_type),
		T(what_is_written_is_read_back),
		T(a_broken_field_is_named),
		T(every_truncation_is_refused_and_every_wrong_bit_survived),
		T(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
