/* SPDX-License-Identifier: MIT */
/*
 * For devices: angles of ROPE as whole numbers. A frequency is a 64-bit fraction
 * of a turn per position, so position times frequency wraps by itself, exactly, however
 * late the position is; in f32 the angle of position 100,000 is off by 0.004.
 */
#ifndef TRAM_OPS_ROPE_H
#define TRAM_OPS_ROPE_H

#include <math.h>
#include <stdint.h>

#define TRAM_ROPE_MAX_PAIRS 64

/* theta^(-2 pair / d) radians, in turns times 2^64. */
static inline uint64_t tram_rope_frequency(double theta, uint32_t pair, uint32_t d)
{
	return (uint64_t)(pow(theta, -2.0 * pair / d) / (2 * M_PI) * 0x1p64);
}

/* Of @position, in turns times 2^32. */
static inline uint32_t tram_rope_phase(uint32_t position, uint64_t frequency)
{
	return (uint32_t)((position * frequency) >> 32);
}

#endif
