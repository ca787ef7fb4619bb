/* SPDX-License-Identifier: MIT */
/*
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011): four 32-bit words from a 128-bit counter and a 64-bit key, the
 * same on every device (shaders/lib/philox.glsl is its twin).
 */
#ifndef TRAM_BASE_RNG_H
#define TRAM_BASE_RNG_H

#include <stdint.h>

struct tram_philox { uint32_t v[4]; };

static inline struct tram_philox tram_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
					     uint32_t k0, uint32_t k1)
{
	for (int i = 0; i < 10; i++) {
		uint64_t p0 = (uint64_t)0xD2511F53u * c0;
		uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;

		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)p1;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	return (struct tram_philox){ { c0, c1, c2, c3 } };
}

/* [0, 1) with 24 bits. */
static inline float tram_u32_to_unit(uint32_t u)
{
	return (float)(u >> 8) * 0x1p-24f;
}

#endif
