/* SPDX-License-Identifier: MIT */
/*
 * Input: a mode byte, then either (odd mode) a whole file, or the number of
 * tensors, of keys and of 8 bytes of data, then keys and table of tensors, to
 * which start, padding and data are put.
 */
#include "format/fuzz.h"
#include "format/gguf_model.h"

static void look(struct tram_ctx *ctx, const struct tram_gguf *g)
{
	for (size_t i = 0; i < tram_gguf_key_count(g); i++) {
		const struct tram_gguf_value *v = tram_gguf_key_at(g, i);
		uint64_t at = 0, n;

		test_require_(tram_gguf_key(g, v->key) == v, "%s is not found", v->key);
		if (v->type == TRAM_GGUF_STR)
			test_require_(v->str.s[v->str.n] == 0, "%s has no end", v->key);
		for (uint64_t k = 0; v->type == TRAM_GGUF_ARR && v->arr.type == TRAM_GGUF_STR &&
				     k < v->arr.n; k++)
			tram_gguf_next_str(&v->arr, &at, &n);
	}
	for (size_t i = 0; i < tram_gguf_count(g); i++) {
		const struct tram_gguf_tensor *t = tram_gguf_at(g, i);
		float x;

		test_require_(tram_gguf_find(g, t->name) == t, "%s is not found", t->name);
		tram_gguf_read_f32(ctx, g, t, 0, &x, 1);
		tram_gguf_read_f32(ctx, g, t, t->n - 1, &x, 1);
	}
}

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_hf_config cfg;
	struct tram_tokjson tj;
	struct tram_gguf *g;
	int r = tram_gguf_open_source(ctx, src, &g);

	if (r)
		return r;
	look(ctx, g);
	if (!tram_gguf_config(ctx, g, &cfg))
		test_require_(tram_hf_params(&cfg), "a model of no parameters");
	tram_gguf_tokenizer(ctx, g, &tj);
	tram_tokjson_free(ctx, &tj);
	fuzz_describe(ctx, r, tram_gguf_describe(ctx, g, false, &sb),
		      tram_gguf_describe(ctx, g, true, &sb));
	tram_gguf_close(ctx, &g);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const size_t slack = 4 << 20;	/* a chunk of values; ids may have 65,536 gaps */
	uint64_t counts[2];
	size_t end;
	uint8_t *file;

	if (n < 4)
		return 0;
	if (data[0] & 1)
		return fuzz_read(read_all, data + 1, n - 1, slack);
	counts[0] = data[1];
	counts[1] = data[2];
	end = TRAM_ALIGN_UP(24 + n - 4, (size_t)32) + 8 * (size_t)data[3];
	file = calloc(1, end);
	memcpy(file, "GGUF\3\0\0", 8);
	memcpy(file + 8, counts, sizeof(counts));
	memcpy(file + 24, data + 4, n - 4);
	fuzz_read(read_all, file, end, slack);
	free(file);
	return 0;
}
