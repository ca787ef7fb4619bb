/* SPDX-License-Identifier: MIT */
/*
 * Philox4x32-10, word for word base/rng.h, and the dropout word of graph/op.h.
 */
uvec4 tram_philox(uvec4 c, uvec2 k)
{
	for (uint i = 0; i < 10; i++) {
		uint hi0, lo0, hi1, lo1;

		umulExtended(0xD2511F53u, c.x, hi0, lo0);
		umulExtended(0xCD9E8D57u, c.z, hi1, lo1);
		c = uvec4(hi1 ^ c.y ^ k.x, lo1, hi0 ^ c.w ^ k.y, lo0);
		k += uvec2(0x9E3779B9u, 0xBB67AE85u);
	}
	return c;
}

/* Element @index of a tensor with fewer than 2^32 elements. */
uint tram_dropout_word(uvec2 seed, uint step, uint salt, uint index)
{
	uvec4 w = tram_philox(uvec4(index >> 2, 0, step, salt), seed);
	uint lo = (index & 1) != 0 ? w.y : w.x;
	uint hi = (index & 1) != 0 ? w.w : w.z;

	return (index & 2) != 0 ? hi : lo;
}

float tram_u32_to_unit(uint u)
{
	return float(u >> 8) * 5.9604644775390625e-8;
}
