/* SPDX-License-Identifier: MIT */
/* Input: three words of the header, then tokens; or, after an odd first byte, a whole file. */
#include "format/fuzz.h"

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_shard shard;
	uint32_t max, buf[16];
	int r = tram_shard_open_source(ctx, src, &shard);

	if (!r) {
		uint64_t first = shard.n > 16 ? shard.n - 16 : 0;

		r = tram_shard_read(ctx, &shard, first, (size_t)(shard.n - first), buf);
		test_require_(!r, "the last tokens of an open shard cannot be read");
	}
	fuzz_describe(ctx, r, tram_shard_describe(ctx, &shard, false, &sb, &max),
		      tram_shard_describe(ctx, &shard, true, &sb, &max));
	tram_shard_close(ctx, &shard);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *file;

	if (n < 13)
		return 0;
	if (data[0] & 1)
		return fuzz_read(read_all, data + 1, n - 1, 1 << 20);
	file = calloc(1, TRAM_SHARD_HEADER + n - 13);
	memcpy(file, data + 1, 12);
	memcpy(file + TRAM_SHARD_HEADER, data + 13, n - 13);
	fuzz_read(read_all, file, TRAM_SHARD_HEADER + n - 13, 1 << 20);
	free(file);
	return 0;
}
