/* SPDX-License-Identifier: MIT */
/* Input as in fuzz_safetensors.c: a whole file, or a header's text and d bytes of data. */
#include "format/fuzz.h"

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_npy npy;
	int r = tram_npy_open_source(ctx, src, &npy);

	fuzz_describe(ctx, r, tram_npy_describe(ctx, &npy, false, &sb),
		      tram_npy_describe(ctx, &npy, true, &sb));
	tram_npy_close(ctx, &npy);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint32_t len;
	uint8_t *file;

	if (n < 2)
		return 0;
	if (data[0] & 1)
		return fuzz_read(read_all, data + 2, n - 2, 1 << 20);
	len = (uint32_t)n - 2;
	file = calloc(1, 12 + len + data[1]);
	memcpy(file, "\x93NUMPY\x02", 8);
	memcpy(file + 8, &len, 4);
	memcpy(file + 12, data + 2, len);
	fuzz_read(read_all, file, 12 + len + data[1], 1 << 20);
	free(file);
	return 0;
}
