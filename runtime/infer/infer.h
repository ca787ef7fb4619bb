/* SPDX-License-Identifier: MIT */
/* Parts of inference: generate.c drives the device, sample.c chooses tokens. */
#ifndef TRAM_INFER_INFER_H
#define TRAM_INFER_INFER_H

#include <tram/infer.h>

#include "base/base.h"

struct tram_sampler {
	struct tram_ctx *ctx;
	uint32_t vocab;
	struct tram_candidate { double p; uint32_t id; } *cand;	/* [vocab] */
};

int tram_sampler_init(struct tram_sampler *s, struct tram_ctx *ctx, uint32_t vocab);
void tram_sampler_finish(struct tram_sampler *s);

/*
 * The token for @logits [vocab]. Greedy takes the first largest. Otherwise: softmax of logits /
 * temperature over the top_k largest, then the smallest set of them whose probability
 * reaches top_p, then one draw: number @index of the stream of params->seed. NaN never wins.
 */
uint32_t tram_sample(struct tram_sampler *s, const float *logits,
		     const struct tram_sample_params *params, uint64_t index);

#endif
