/* SPDX-License-Identifier: MIT */
/* Inference: a KV cache, prefill in chunks, one recorded decode step, sampling. */
#ifndef TRAM_INFER_H
#define TRAM_INFER_H

#include <tram/device.h>
#include <tram/model.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tram_generator;

/* @flat: weights, copied to the device. */
int tram_generator_create(struct tram_device *dev, const struct tram_model *model,
			  const float *flat, struct tram_generator **gen);
void tram_generator_destroy(struct tram_generator **gen);

struct tram_sample_params {
	double temperature;	/* 0: greedy */
	uint32_t top_k;		/* 0: all */
	double top_p;		/* 0 or 1: all */
	uint64_t seed;
};

/*
 * Feeds @prompt (at least one token), then samples @count tokens, calling @token for each (non-zero stops).
 * Past the model's length the cache starts anew with the newest half of the context.
 */
int tram_generate(struct tram_generator *gen, const uint32_t *prompt, size_t n_prompt,
		  uint64_t count, const struct tram_sample_params *params,
		  int (*token)(void *arg, uint32_t id), void *arg);

#ifdef __cplusplus
}
#endif
#endif
