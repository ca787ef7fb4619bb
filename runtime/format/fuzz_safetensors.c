/* SPDX-License-Identifier: MIT */
/*
 * Input: a mode byte, a byte d, then either (odd mode) a whole file, or a
 * header alone, to which its length and d bytes of data are put, so that the
 * mutator need not guess a length.
 */
#include "format/fuzz.h"

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_safetensors *st;
	int r = tram_safetensors_open_source(ctx, src, &st);

	if (r)
		return r;
	for (size_t i = 0; i < tram_safetensors_count(st); i++) {
		const struct tram_st_tensor *t = tram_safetensors_at(st, i);
		float x;

		test_require_(tram_safetensors_find(st, t->name) == t, "%s is not found", t->name);
		tram_safetensors_read_f32(ctx, st, t, 0, &x, t->n ? 1 : 0);
		tram_gpt2_find(st, t->name);
	}
	fuzz_describe(ctx, r, tram_safetensors_describe(ctx, st, false, &sb),
		      tram_safetensors_describe(ctx, st, true, &sb));
	tram_safetensors_close(ctx, &st);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t len;
	uint8_t *file;

	if (n < 2)
		return 0;
	if (data[0] & 1)
		return fuzz_read(read_all, data + 2, n - 2, 1 << 20);
	len = n - 2;
	file = calloc(1, 8 + len + data[1]);
	memcpy(file, &len, 8);
	memcpy(file + 8, data + 2, len);
	fuzz_read(read_all, file, 8 + len + data[1], 1 << 20);
	free(file);
	return 0;
}
