/* SPDX-License-Identifier: MIT */
/* Thin faces of nettle and libxxhash; see hash.h. */
#include "base/hash.h"

#include <stdio.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

void tram_sha256_init(struct tram_sha256 *h)
{
	sha256_init(&h->s);
}

void tram_sha256_update(struct tram_sha256 *h, const void *data, size_t n)
{
	sha256_update(&h->s, n, data);
}

void tram_sha256_final(struct tram_sha256 *h, uint8_t digest[32])
{
	sha256_digest(&h->s, SHA256_DIGEST_SIZE, digest);
}

void tram_sha256_final_hex(struct tram_sha256 *h, char hex[65])
{
	uint8_t d[32];
	int i;

	tram_sha256_final(h, d);
	for (i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", d[i]);
}

/*
 * xxHash wants its state on a 64-byte boundary, callers embed the struct in
 * heap objects that promise 16: the slack of 64 bytes pays for the difference.
 */
static XXH3_state_t *xxh3_state(const struct tram_xxh3 *h)
{
	uintptr_t p = (uintptr_t)h->state;

	_Static_assert(sizeof(XXH3_state_t) <= sizeof(h->state) - 63, "room for an aligned state");
	return (XXH3_state_t *)TRAM_ALIGN_UP(p, 64);
}

void tram_xxh3_init(struct tram_xxh3 *h)
{
	XXH3_INITSTATE(xxh3_state(h));
	XXH3_128bits_reset(xxh3_state(h));
}

void tram_xxh3_update(struct tram_xxh3 *h, const void *data, size_t n)
{
	XXH3_128bits_update(xxh3_state(h), data, n);
}

uint64_t tram_xxh3_64(const struct tram_xxh3 *h)
{
	return XXH3_64bits_digest(xxh3_state(h));
}

struct tram_hash128 tram_xxh3_128(const struct tram_xxh3 *h)
{
	XXH128_hash_t d = XXH3_128bits_digest(xxh3_state(h));

	return (struct tram_hash128){ d.low64, d.high64 };
}

uint64_t tram_hash64(const void *data, size_t n)
{
	return XXH3_64bits(data, n);
}

struct tram_hash128 tram_hash128(const void *data, size_t n)
{
	XXH128_hash_t d = XXH3_128bits(data, n);

	return (struct tram_hash128){ d.low64, d.high64 };
}

void tram_hash64_hex(uint64_t h, char hex[17])
{
	snprintf(hex, 17, "%016llx", (unsigned long long)h);
}
