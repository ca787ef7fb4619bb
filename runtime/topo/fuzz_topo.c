/* SPDX-License-Identifier: MIT */
/* Input: a recording; or, where it does not begin with its head, lines of one. */
#include "topo/test_topo.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct tram_ctx *ctx;
	char *text = malloc(n + 64);
	size_t lines = 0, len;

	if (!text || tram_ctx_create(NULL, &ctx))
		abort();
	if (n > 8 && !memcmp(data, "tramroad", 8)) {
		memcpy(text, data, n);
		len = n;
	} else {
		for (size_t i = 0; i < n; i++)
			lines += data[i] == '\n';
		len = (size_t)sprintf(text, "tramroad-topo 1\n");
		memcpy(text + len, data, n);
		len += n;
		len += (size_t)sprintf(text + len, "end %zu\n", lines);
	}
	if (test_topo_read(ctx, text, len, true) && !*tram_error(ctx))
		abort();	/* refused without a word */
	free(text);
	tram_ctx_destroy(&ctx);
	return 0;
}
