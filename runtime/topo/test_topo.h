/* SPDX-License-Identifier: MIT */
/* For topo's tests: everything that can be asked of a machine, from a recording in memory. */
#ifndef TRAM_TOPO_TEST_TOPO_H
#define TRAM_TOPO_TEST_TOPO_H

#include "topo/topo.h"

static inline void test_topo_ask_all(struct tram_ctx *ctx, const struct tram_topo *t)
{
	uint32_t n = TRAM_MIN(tram_topo_machine(t)->n_devs, 24u), found;
	struct tram_topo_verdict v;

	for (uint32_t a = 0; a < n; a++) {
		assert(!tram_topo_find(ctx, t, tram_topo_dev(t, a)->address, &found) && found == a);
		assert(*tram_topo_unknown_why(tram_topo_dev(t, a)));
		for (uint32_t b = 0; b < n; b++) {
			if (tram_topo_verdict(ctx, t, a, b, a < b, &v)) {
				assert(a == b);
				continue;
			}
			assert(v.n > 0 && v.n <= TRAM_TOPO_REASONS);
			/* A refusal is told, and only a refusal refuses. */
			assert((v.tier[0] == TRAM_TOPO_NO) == (v.reason[0].weight == TRAM_TOPO_REFUSAL));
			assert(*tram_topo_code_name(v.reason[0].code) && *tram_topo_class_name(v.distance));
			assert(tram_topo_distance(t, a, b) == tram_topo_distance(t, b, a));
		}
	}
}

static inline int test_topo_read(struct tram_ctx *ctx, const char *text, size_t n, bool ask)
{
	struct tram_source file = tram_source_mem("memory", text, n);
	struct tram_topo *t = NULL;
	struct topo_source src;
	int err = topo_source_recording(ctx, &file, &src);

	if (err)
		return err;
	err = topo_read(ctx, &src, NULL, &t);
	if (!err && ask)
		test_topo_ask_all(ctx, t);
	tram_topo_free(&t);
	topo_source_close(&src);
	return err;
}

#endif
