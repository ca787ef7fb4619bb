/* SPDX-License-Identifier: MIT */
/* Input: the text of a config.json. */
#include "format/fuzz.h"

static int read_all(struct tram_ctx *ctx, const struct tram_source *src)
{
	struct tram_hf_config cfg;
	struct tram_gpt2_tensor t;
	uint64_t n = 0;
	int r = tram_hf_config_read_source(ctx, src, &cfg);

	if (r)
		return r;
	for (size_t i = 0; i < tram_hf_tensor_count(&cfg); i++) {
		tram_hf_tensor_at(&cfg, i, &t);
		n += t.shape[0] * (t.ndim == 2 ? t.shape[1] : 1);
	}
	test_require_(n == tram_hf_params(&cfg) && n, "%llu parameters", (unsigned long long)n);
	fuzz_describe(ctx, r, tram_hf_config_describe(&cfg, src->name, false, &sb),
		      tram_hf_config_describe(&cfg, src->name, true, &sb));
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	return fuzz_read(read_all, data, n, 1 << 20);
}
