/* SPDX-License-Identifier: MIT */
/*
 * Input: an odd first byte, then a whole file; or an even one, then what is
 * put behind the two zeros of a plain file.
 */
#include "format/fuzz.h"

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_idx idx;
	int r = tram_idx_open_source(ctx, src, &idx);

	if (r)
		return r;
	fuzz_describe(ctx, r, tram_idx_describe(ctx, &idx, false, &sb),
		      tram_idx_describe(ctx, &idx, true, &sb));
	tram_idx_close(ctx, &idx);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *file;

	if (n < 1)
		return 0;
	if (data[0] & 1)
		return fuzz_read(read_all, data + 1, n - 1, 1 << 20);
	file = calloc(1, n + 1);
	memcpy(file + 2, data + 1, n - 1);
	fuzz_read(read_all, file, n + 1, 1 << 20);
	free(file);
	return 0;
}
