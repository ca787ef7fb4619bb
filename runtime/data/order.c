/* SPDX-License-Identifier: MIT */
/*
 * Which tokens make sample p: a pure function, so that any position can be
 * resumed, or computed on another rank, without walking there.
 *
 * Shuffled: epoch e cuts the stream into windows of T tokens from a shift of
 * its own (so that borders fall elsewhere each time) and permutes them by a
 * Feistel network (Luby & Rackoff 1988) over the next power of four, walking the cycle
 * until it lands inside.
 */
#include "base/rng.h"
#include "data/data.h"

int tram_order_init(struct tram_ctx *ctx, struct tram_sampler_order *o, enum tram_order order,
		    uint64_t seed, uint64_t tokens, uint32_t seq)
{
	*o = (struct tram_sampler_order){ .order = order, .seed = seed, .tokens = tokens,
					  .seq = seq };
	o->windows = tokens ? (tokens - 1) / seq : 0;
	/* A shift costs up to T - 1 tokens: all epochs have as many windows as the worst. */
	if (order == TRAM_ORDER_SHUFFLED && o->windows > 1)
		o->windows = (tokens - seq) / seq;
	if (!o->windows)
		return tram_fail(ctx, -EINVAL, "data: %llu tokens, but one sequence of %u needs "
				 "%u; use a shorter --seq or more text",
				 (unsigned long long)tokens, seq, seq + 1);
	return 0;
}

static uint32_t hash_epoch(const struct tram_sampler_order *o, uint64_t epoch, uint32_t a,
			   uint32_t b)
{
	return tram_philox((uint32_t)epoch, (uint32_t)(epoch >> 32), a, b, (uint32_t)o->seed,
			   (uint32_t)(o->seed >> 32) ^ 0x6f726465).v[0];
}

/* A permutation of [0, windows). */
static uint64_t permute(const struct tram_sampler_order *o, uint64_t epoch, uint64_t i)
{
	uint32_t half = 1;

	while (half < 32 && (uint64_t)1 << (2 * half) < o->windows)
		half++;
	do {
		uint32_t mask = half == 32 ? UINT32_MAX : (1u << half) - 1;
		uint32_t left = (uint32_t)(i >> half) & mask, right = (uint32_t)i & mask;

		for (uint32_t round = 0; round < 6; round++) {
			uint32_t f = hash_epoch(o, epoch, right, round) & mask;
			uint32_t t = left ^ f;

			left = right;
			right = t;
		}
		i = (uint64_t)left << half | right;
	} while (i >= o->windows);
	return i;
}

uint64_t tram_order_first(const struct tram_sampler_order *o, uint64_t position, uint64_t *epoch)
{
	uint64_t i = position % o->windows, shift = 0;

	*epoch = position / o->windows;
	if (o->order == TRAM_ORDER_SEQUENTIAL)
		return i * o->seq;
	if (o->windows > 1)
		shift = hash_epoch(o, *epoch, 0, UINT32_MAX) % o->seq;
	return shift + permute(o, *epoch, i) * o->seq;
}
