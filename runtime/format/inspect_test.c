/* SPDX-License-Identifier: MIT */
/* Claims about tram inspect: files of every kind, and folders held against their config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include <tram/inspect.h>

#include "base/json.h"
#include "base/test_files.h"
#include "base/test_heap.h"
#include "format/hfconfig.h"
#include "format/npy.h"
#include "format/safetensors.h"
#include "format/shard.h"

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

static const struct tram_gpt2_config cfg = {
	.vocab_size = 7, .n_positions = 4, .n_embd = 6, .n_layer = 2, .n_head = 2, .n_inner = 24,
	.layer_norm_epsilon = 1e-5f, .tie_word_embeddings = true,
	.bos_token_id = -1, .eos_token_id = -1,
};

/* The weights of cfg but for what is asked: tensor @skip left out, @wide one too wide. */
static void write_weights(struct env *e, const char *name, size_t skip, size_t wide,
			  enum tram_st_dtype dtype, bool prefix)
{
	static const char zeros[4096];
	struct tram_st_writer *w;
	struct tram_gpt2_tensor t;
	uint64_t total = 0, n;
	char hf[80];

	assert_int_equal(tram_st_writer_create(e->ctx, test_path(&e->dir, name), true, &w), 0);
	for (size_t i = 0; i < tram_gpt2_tensor_count(&cfg); i++) {
		if (i == skip)
			continue;
		tram_gpt2_tensor_at(&cfg, i, &t);
		if (i == wide)
			t.shape[t.ndim - 1]++;
		tram_gpt2_hf_name(&t, hf);
		assert_int_equal(tram_st_writer_add(e->ctx, w, prefix ? hf : t.name, dtype, t.ndim,
						    t.shape), 0);
		total += tram_st_dtype_bytes(dtype) * t.shape[0] * (t.ndim == 2 ? t.shape[1] : 1);
	}
	for (; total; total -= n) {
		n = TRAM_MIN(total, sizeof(zeros));
		assert_int_equal(tram_st_writer_write(e->ctx, w, zeros, n), 0);
	}
	assert_int_equal(tram_st_writer_commit(e->ctx, &w), 0);
}

static void write_shard(struct env *e, const char *name, uint32_t token)
{
	struct tram_shard_writer *w;

	assert_int_equal(tram_shard_writer_create(e->ctx, test_path(&e->dir, name), 2, &w), 0);
	assert_int_equal(tram_shard_writer_append(e->ctx, w, &token, 1), 0);
	assert_int_equal(tram_shard_writer_commit(e->ctx, &w), 0);
}

static void write_tokenizer(struct env *e, uint32_t last)
{
	char text[400];

	snprintf(text, sizeof(text), "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":"
		 "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":%u},\"merges\":[]}}", last);
	test_write(test_path(&e->dir, "tokenizer.json"), text, strlen(text));
}

/* Inspects in both forms: same verdict; each line of the JSON is JSON. */
static int inspect(struct env *e, const char *path, const char *part)
{
	struct tram_json j;
	char *text, *lines, *line, *save;
	int r = tram_inspect(e->ctx, path, false, &text);

	if (r) {
		char message[1100];

		snprintf(message, sizeof(message), "%s", tram_error(e->ctx));
		assert_null(text);
		if (!strstr(message, part))
			fail_msg("\"%s\" expected in \"%s\"", part, message);
		assert_int_equal(tram_inspect(e->ctx, path, true, &text), r);
		assert_string_equal(tram_error(e->ctx), message);
		return r;
	}
	if (!strstr(text, part))
		fail_msg("\"%s\" expected in \"%s\"", part, text);
	tram_text_free(e->ctx, text);
	assert_int_equal(tram_inspect(e->ctx, path, true, &lines), 0);
	assert_int_equal(lines[strlen(lines) - 1], '\n');
	for (line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_int_equal(tram_json_parse(e->ctx, "json", line, strlen(line), &j), 0);
		assert_true(yyjson_equals_str(yyjson_obj_get(j.root, "event"), "inspect"));
		assert_true(yyjson_is_str(yyjson_obj_get(j.root, "path")));
		tram_json_free(&j);
	}
	tram_text_free(e->ctx, lines);
	return 0;
}

static void a_file_of_every_kind_is_described(void **state)
{
	struct env *e = *state;
	const uint64_t s[] = { 2, 2 };
	const float x[] = { 1, NAN, INFINITY, 0 };
	struct tram_st_writer *w;

	assert_int_equal(tram_npy_store(e->ctx, test_path(&e->dir, "x.npy"), TRAM_NPY_F32, 2, s, x), 0);
	assert_int_equal(inspect(e, test_path(&e->dir, "x.npy"),
				 "npy 1.0, <f4 [2, 2], 4 elements, 2 are not finite"), 0);
	write_shard(e, "t.bin", 5);
	assert_int_equal(inspect(e, test_path(&e->dir, "t.bin"), "1 tokens of 2 bytes, highest 5"), 0);
	assert_int_equal(tram_gpt2_config_write(e->ctx, test_path(&e->dir, "c"), &cfg), 0);
	assert_int_equal(inspect(e, test_path(&e->dir, "c"), "GPT-2, "), 0);
	write_tokenizer(e, 1);
	assert_int_equal(inspect(e, test_path(&e->dir, "tokenizer.json"), "2 tokens in the voc"), 0);
	assert_int_equal(tram_st_writer_create(e->ctx, test_path(&e->dir, "any"), true, &w), 0);
	assert_int_equal(tram_st_writer_add(e->ctx, w, "a", TRAM_ST_F32, 2, s), 0);
	assert_int_equal(tram_st_writer_meta(e->ctx, w, "note", "new\nline"), 0);
	assert_int_equal(tram_st_writer_write(e->ctx, w, x, sizeof(x)), 0);
	assert_int_equal(tram_st_writer_commit(e->ctx, &w), 0);
	assert_int_equal(inspect(e, test_path(&e->dir, "any"), "every hash matches"), 0);
	assert_int_equal(inspect(e, test_path(&e->dir, "any"), "2 values are not finite"), 0);
}

static void what_is_no_known_kind_is_refused(void **state)
{
	struct env *e = *state;
	const char *path = test_path(&e->dir, "f");

	test_write(path, "hello", 5);
	assert_int_equal(inspect(e, path, "f: kind: unknown"), -EINVAL);
	test_write(path, "", 0);
	assert_int_equal(inspect(e, path, "f: kind: unknown"), -EINVAL);
	test_write(path, "{\"a\":1}", 7);
	assert_int_equal(inspect(e, path, "f: kind: unknown"), -EINVAL);
	test_write(path, "{\"a\":", 5);
	assert_int_equal(inspect(e, path, "f: byte 5: not JSON"), -EINVAL);
	assert_int_equal(inspect(e, test_path(&e->dir, "none"), "none: cannot be opened"), -ENOENT);
	assert_int_equal(inspect(e, "/dev/null", "is a device"), -EINVAL);
	assert_int_equal(inspect(e, e->dir.path, "holds no config.json"), -EINVAL);
}

static void a_model_folder_is_held_against_its_config(void **state)
{
	struct env *e = *state;
	char with_slash[300];

	assert_int_equal(tram_gpt2_config_write(e->ctx, test_path(&e->dir, "config.json"), &cfg), 0);
	write_tokenizer(e, 6);
	write_shard(e, "train.bin", 6);
	test_write(test_path(&e->dir, "other.bin"), "x", 1);
	test_write(test_path(&e->dir, "README.md"), "x", 1);
	for (int prefix = 0; prefix < 2; prefix++) {
		write_weights(e, "model.safetensors", SIZE_MAX, SIZE_MAX, TRAM_ST_F32, prefix);
		assert_int_equal(inspect(e, e->dir.path, "a whole model: 28 tensors"), 0);
	}
	assert_int_equal(inspect(e, e->dir.path, "not read: other.bin"), 0);
	snprintf(with_slash, sizeof(with_slash), "%s/", e->dir.path);
	assert_int_equal(inspect(e, with_slash, "a whole model"), 0);
	write_weights(e, "model.safetensors", SIZE_MAX, SIZE_MAX, TRAM_ST_BF16, true);
	assert_int_equal(inspect(e, e->dir.path, "a whole model"), 0);

	/* The optimizer's file beside it has other tensors and is not the model. */
	write_weights(e, "optimizer.safetensors", 3, 5, TRAM_ST_F32, true);
	assert_int_equal(inspect(e, e->dir.path, "a whole model"), 0);

	write_weights(e, "model.safetensors", 5, SIZE_MAX, TRAM_ST_F32, true);
	assert_int_equal(inspect(e, e->dir.path,
				 "tensor h.0.attn.c_attn.bias: is missing, config.json needs [18]"),
			 -EINVAL);
	write_weights(e, "model.safetensors", SIZE_MAX, 4, TRAM_ST_F32, true);
	assert_int_equal(inspect(e, e->dir.path,
				 "model.safetensors: tensor h.0.attn.c_attn.weight: shape: [6, 19], config.json needs [6, 18]"),
			 -EINVAL);
	write_weights(e, "model.safetensors", SIZE_MAX, SIZE_MAX, TRAM_ST_I32, true);
	assert_int_equal(inspect(e, e->dir.path, "dtype: I32"), -EINVAL);
	write_weights(e, "model.safetensors", SIZE_MAX, SIZE_MAX, TRAM_ST_F32, true);
	write_tokenizer(e, 7);
	assert_int_equal(inspect(e, e->dir.path, "tokenizer.json: 8 ids, config.json has vocab_size 7"),
			 -EINVAL);
	write_tokenizer(e, 6);
	write_shard(e, "val.bin", 7);
	assert_int_equal(inspect(e, e->dir.path, "val.bin: token 7, config.json has ids below 7"),
			 -EINVAL);
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	char *text;
	int r = tram_inspect(ctx, arg, true, &text);

	tram_text_free(ctx, text);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	struct env *e = *state;

	assert_int_equal(tram_gpt2_config_write(e->ctx, test_path(&e->dir, "config.json"), &cfg), 0);
	write_weights(e, "model.safetensors", SIZE_MAX, SIZE_MAX, TRAM_ST_F32, true);
	write_tokenizer(e, 6);
	write_shard(e, "train.bin", 6);
	test_write(test_path(&e->dir, "other.bin"), "x", 1);
	assert_true(test_heap_each_failure(chain, e->dir.path) > 50);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_file_of_every_kind_is_described),
		T(what_is_no_known_kind_is_refused),
		T(a_model_folder_is_held_against_its_config),
		T(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
