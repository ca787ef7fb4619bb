/* SPDX-License-Identifier: MIT */
/*
 * What holds for every family of models: decoding through the cache gives the
 * logits of the whole sequence, files keep the weights and carry Hugging
 * Face's names, a model that the kernels can't run is refused by its field.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tram/exec.h>
#include <tram/inspect.h>
#include <tram/model.h>

#include "selftest.h"

enum { T = 23 };

static const char *const presets[] = { "nano", "llama-nano" };

#define EACH_PRESET(i) for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)

static struct tram_model *open_model(struct tram_ctx *ctx, const char *spec, float **flat)
{
	struct tram_model_info info;
	struct tram_model *m;

	ok(ctx, tram_model_open(ctx, spec, 0, 0, &m));
	tram_model_info(m, &info);
	*flat = malloc(info.flat * sizeof(**flat));
	assert_non_null(*flat);
	tram_model_init(m, 7, *flat);
	return m;
}

static struct tram_exec *record(struct tram_ctx *ctx, struct tram_device *dev, struct tram_vars *vars,
				int built, struct tram_graph *g)
{
	const struct tram_exec_params p = { .slots = 1 };
	struct tram_exec *x;

	ok(ctx, built);
	ok(ctx, tram_exec_create(dev, vars, g, &p, &x));
	tram_graph_destroy(&g);
	return x;
}

/* Logits of tokens [at, at + n) of a sequence whose earlier tokens are in the cache. */
static void decode(struct tram_ctx *ctx, struct tram_exec *x, uint32_t at, uint32_t n,
		   const int32_t *tokens)
{
	int32_t *in = tram_exec_input(x, 0, "tokens"), *pos = tram_exec_input(x, 0, "positions");

	for (uint32_t i = 0; i < n; i++) {
		in[i] = tokens[at + i];
		if (pos)
			pos[i] = (int32_t)(at + i);
	}
	tram_exec_step(x, 0)->pos = at;
	ok(ctx, tram_exec_run(x));
}

static void compare(const char *where, uint32_t at, uint32_t n, uint32_t vocab, const float *got,
		    const float *want)
{
	for (size_t i = 0; i < (size_t)n * vocab; i++)
		if (!(fabs((double)got[i] - want[(size_t)at * vocab + i]) < 2e-5))
			fail_msg("%s: token %zu: logit %zu is %g, the whole sequence gives %g", where,
				 at + i / vocab, i % vocab, got[i], want[(size_t)at * vocab + i]);
}

/* As model files have them: larger than at the beginning, so that positions and heads matter. */
static void decode_on(struct tram_ctx *ctx, const char *selector)
{
	EACH_PRESET(k) {
		struct tram_exec *whole, *some, *one;
		struct tram_model_info info;
		struct tram_device *dev;
		struct tram_graph *g = NULL;
		struct tram_vars *vars;
		int32_t tokens[T];
		float *flat;
		struct tram_model *m = open_model(ctx, presets[k], &flat);
		char where[64];
		int r;

		tram_model_info(m, &info);
		for (uint64_t i = 0; i < info.flat; i++)
			if (fabsf(flat[i]) < 0.5f)
				flat[i] *= 4;
		for (uint32_t i = 0; i < T; i++)
			tokens[i] = (int32_t)test_token(i, info.vocab);
		snprintf(where, sizeof(where), "%s on %s", presets[k], selector);
		ok(ctx, tram_device_open(ctx, selector, &dev));
		ok(ctx, tram_vars_create(dev, &vars));
		ok(ctx, tram_vars_add(vars, "params", info.flat));
		ok(ctx, tram_vars_write(vars, "params", 0, info.flat, flat));
		r = tram_model_eval_graph(m, 1, T, true, &g);
		whole = record(ctx, dev, vars, r, g);
		memcpy(tram_exec_input(whole, 0, "tokens"), tokens, sizeof(tokens));
		memcpy(tram_exec_input(whole, 0, "targets"), tokens, sizeof(tokens));
		ok(ctx, tram_exec_run(whole));
		const float *want = tram_exec_output(whole, 0, "logits");

		r = tram_model_decode_graph(m, 9, false, &g);
		some = record(ctx, dev, vars, r, g);
		r = tram_model_decode_graph(m, 1, true, &g);
		one = record(ctx, dev, vars, r, g);
		decode(ctx, some, 0, 9, tokens);
		compare(where, 0, 9, info.vocab, tram_exec_output(some, 0, "logits"), want);
		for (uint32_t at = 9; at < T; at++) {
			decode(ctx, one, at, 1, tokens);
			compare(where, at, 1, info.vocab, tram_exec_output(one, 0, "logits"), want);
		}
		tram_exec_destroy(&one);
		tram_exec_destroy(&some);
		tram_exec_destroy(&whole);
		tram_vars_destroy(&vars);
		tram_device_close(&dev);
		tram_model_close(&m);
		free(flat);
	}
}

static void decoding_gives_the_logits_of_the_whole_sequence(void **state)
{
	test_each_device(decode_on);
}

static void a_folder_keeps_a_model(void **state)
{
	struct tram_ctx *ctx = test_ctx();

	EACH_PRESET(k) {
		const char *folder = test_config_text(presets[k], "");
		char path[300], was[65], is[65], *text;
		struct tram_model_info a, b;
		float *flat, *again;
		struct tram_model *m = open_model(ctx, presets[k], &flat), *n;

		ok(ctx, tram_model_set_dropout(m, 0.125f));
		snprintf(path, sizeof(path), "%s/config.json", folder);
		ok(ctx, tram_model_save_config(m, path));
		snprintf(path, sizeof(path), "%s/model.safetensors", folder);
		ok(ctx, tram_model_save(m, flat, path));
		n = open_model(ctx, folder, &again);
		ok(ctx, tram_model_load(n, path, again));
		ok(ctx, tram_model_sha256(m, flat, was));
		ok(ctx, tram_model_sha256(n, again, is));
		assert_string_equal(was, is);
		tram_model_info(m, &a);
		tram_model_info(n, &b);
		assert_string_equal(a.family, b.family);
		assert_int_equal(a.max_seq, b.max_seq);
		assert_int_equal(a.heads, b.heads);
		assert_int_equal(a.kv_heads, b.kv_heads);
		assert_int_equal(a.head_dim, b.head_dim);
		assert_int_equal(a.flat, b.flat);
		assert_true(a.dropout == 0.125f && b.dropout == 0.125f);
		ok(ctx, tram_inspect(ctx, folder, false, &text));
		assert_non_null(strstr(text, "a whole model"));
		tram_text_free(ctx, text);
		tram_model_close(&m);
		tram_model_close(&n);
		free(flat);
		free(again);
	}
	tram_ctx_destroy(&ctx);
}

/* Joined or not, every tensor of a file has its own place, apart from all others. */
static void tensors_have_the_names_of_transformers(void **state)
{
	static const struct { const char *name; uint32_t rank, rows, cols; } want[] = {
		{ "model.embed_tokens.weight", 2, 256, 64 },
		{ "model.layers.1.self_attn.q_proj.weight", 2, 64, 64 },
		{ "model.layers.1.self_attn.k_proj.weight", 2, 32, 64 },
		{ "model.layers.1.self_attn.v_proj.weight", 2, 32, 64 },
		{ "model.layers.1.self_attn.o_proj.weight", 2, 64, 64 },
		{ "model.layers.0.mlp.gate_proj.weight", 2, 176, 64 },
		{ "model.layers.0.mlp.down_proj.weight", 2, 64, 176 },
		{ "model.layers.0.input_layernorm.weight", 1, 64, 0 },
		{ "model.layers.0.post_attention_layernorm.weight", 1, 64, 0 },
		{ "model.norm.weight", 1, 64, 0 },
	};
	struct tram_ctx *ctx = test_ctx();
	struct tram_model_info info;
	struct tram_tensor_info t;
	uint64_t end = 0, n = 0;
	struct tram_model *m;

	ok(ctx, tram_model_open(ctx, "llama-nano", 0, 0, &m));
	tram_model_info(m, &info);
	assert_string_equal(info.family, "llama");
	assert_int_equal(info.kv_heads, 2);
	assert_int_equal(info.head_dim, 16);
	for (uint32_t i = 0; tram_model_tensor(m, i, &t); i++) {
		uint64_t count = (uint64_t)t.shape.dim[0] * (t.shape.rank > 1 ? t.shape.dim[1] : 1);

		assert_true(t.first >= end);
		assert_true(t.decays == (t.shape.rank > 1));
		assert_true(t.decays == (t.first < info.decay_count));
		end = t.first + count;
		n += count;
	}
	assert_true(end <= info.flat);
	assert_int_equal(n, info.parameters);
	for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++) {
		uint32_t i = 0;

		while (tram_model_tensor(m, i, &t) && strcmp(t.name, want[k].name))
			i++;
		assert_true(tram_model_tensor(m, i, &t));
		assert_int_equal(t.shape.rank, want[k].rank);
		assert_int_equal(t.shape.dim[0], want[k].rows);
		if (t.shape.rank > 1)
			assert_int_equal(t.shape.dim[1], want[k].cols);
	}
	tram_model_close(&m);
	ok(ctx, tram_model_open(ctx, "stories15m", 0, 0, &m));
	tram_model_info(m, &info);
	assert_int_equal(info.parameters, 15191712);	/* as published with llama2.c */
	tram_model_close(&m);
	tram_ctx_destroy(&ctx);
}

#define SHAPE "\"model_type\":\"llama\",\"vocab_size\":9,\"num_hidden_layers\":1,\"intermediate_size\":8,"

static void what_can_not_run_is_refused_by_its_field(void **state)
{
	static const struct { const char *config; uint32_t vocab, seq; int err; const char *message; } c[] = {
		{ "{" SHAPE "\"hidden_size\":24,\"num_attention_heads\":4}", 0, 0, -EINVAL,
		  "a head has 6 elements; multiples of 4 up to 128 are supported: choose head_dim" },
		{ "{" SHAPE "\"hidden_size\":24,\"num_attention_heads\":2,\"head_dim\":132}", 0, 0, -EINVAL,
		  "a head has 132 elements" },
		{ "{" SHAPE "\"hidden_size\":8,\"num_attention_heads\":2,\"max_position_embeddings\":64}", 0,
		  65, -EINVAL, "max_position_embeddings is 64, but sequences of 65 tokens" },
		{ "{" SHAPE "\"hidden_size\":8,\"num_attention_heads\":2}", 10, 0, -EINVAL,
		  "vocab_size is 9, but the tokenizer has 10" },
		{ "{" SHAPE "\"hidden_size\":8,\"num_attention_heads\":2,\"rope_scaling\":{\"type\":\"linear\"}}",
		  0, 0, -ENOTSUP, "config.json: rope_scaling.rope_type: \"linear\", only \"default\"" },
	};
	struct tram_ctx *ctx = test_ctx();
	struct tram_model *m;

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		int r = tram_model_open(ctx, test_config_text("refused", c[i].config), c[i].vocab,
					c[i].seq, &m);

		if (r != c[i].err || !strstr(tram_error(ctx), c[i].message))
			fail_msg("case %zu: %d: %s", i, r, tram_error(ctx));
		assert_null(m);
	}
	assert_int_equal(tram_model_open(ctx, "lama-nano", 0, 0, &m), -ENOENT);
	assert_non_null(strstr(tram_error(ctx), "gpt2, llama-nano, llama-micro, stories15m)"));
	tram_ctx_destroy(&ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoding_gives_the_logits_of_the_whole_sequence),
		cmocka_unit_test(a_folder_keeps_a_model),
		cmocka_unit_test(tensors_have_the_names_of_transformers),
		cmocka_unit_test(what_can_not_run_is_refused_by_its_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
