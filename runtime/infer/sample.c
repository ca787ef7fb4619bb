/* SPDX-License-Identifier: MIT */
/*
 * Sampling on the host, in double precision: temperature, top-k (Fan et al.
 * 2018), top-p (Holtzman et al. 2020). The draw is counter-based, so a seed
 * gives one text whatever happened before.
 */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "infer/infer.h"

int tram_sampler_init(struct tram_sampler *s, struct tram_ctx *ctx, uint32_t vocab)
{
	*s = (struct tram_sampler){ .ctx = ctx, .vocab = vocab };
	s->cand = tram_calloc(ctx, vocab, sizeof(*s->cand));
	return s->cand ? 0 : -ENOMEM;
}

void tram_sampler_finish(struct tram_sampler *s)
{
	tram_free(s->ctx, s->cand);
	s->cand = NULL;
}

static uint32_t largest(const float *logits, uint32_t n)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < n; i++)
		if (logits[i] > logits[best] || isnan(logits[best]))
			best = i;
	return best;
}

/* Most probable first; the smaller id among equals, so that the order is one. */
static int by_probability(const void *a, const void *b)
{
	const struct tram_candidate *x = a, *y = b;

	if (x->p != y->p)
		return x->p < y->p ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

uint32_t tram_sample(struct tram_sampler *s, const float *logits,
		     const struct tram_sample_params *params, uint64_t index)
{
	uint32_t best = largest(logits, s->vocab), n = s->vocab, kept = 0;
	struct tram_philox r;
	double total = 0, sum = 0, u;

	if (params->temperature <= 0 || !isfinite(logits[best]))
		return best;
	for (uint32_t i = 0; i < n; i++) {
		double x = ((double)logits[i] - logits[best]) / params->temperature;

		s->cand[i] = (struct tram_candidate){ isnan(x) ? 0 : exp(x), i };
	}
	qsort(s->cand, n, sizeof(*s->cand), by_probability);
	if (params->top_k && params->top_k < n)
		n = params->top_k;
	for (uint32_t i = 0; i < n; i++)
		total += s->cand[i].p;
	while (kept < n) {
		sum += s->cand[kept++].p;
		if (params->top_p > 0 && params->top_p < 1 && sum >= params->top_p * total)
			break;
	}
	r = tram_philox((uint32_t)index, (uint32_t)(index >> 32), 0, 0x73616d70,
			(uint32_t)params->seed, (uint32_t)(params->seed >> 32));
	u = ((double)r.v[0] + 0.5) * 0x1p-32 * sum;
	for (uint32_t i = 0; i < kept; i++) {
		u -= s->cand[i].p;
		if (u < 0)
			return s->cand[i].id;
	}
	return s->cand[kept - 1].id;
}
