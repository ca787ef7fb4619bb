/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 (FIPS 180-4, nettle) where a stranger may check the value, XXH3
 * (xxHash 0.8) where only accidents matter. All streaming; the states own no
 * memory and need no destroy.
 */
#ifndef TRAM_BASE_HASH_H
#define TRAM_BASE_HASH_H

#include <nettle/sha2.h>

#include "base/base.h"

struct tram_sha256 { struct sha256_ctx s; };

void tram_sha256_init(struct tram_sha256 *h);
void tram_sha256_update(struct tram_sha256 *h, const void *data, size_t n);
/* Also makes @h ready for a new message. */
void tram_sha256_final(struct tram_sha256 *h, uint8_t digest[32]);
/* The same as 64 lower-case hex digits and a NUL. */
void tram_sha256_final_hex(struct tram_sha256 *h, char hex[65]);

/* Streaming XXH3. Holds a state that is aligned inside: do not copy or move it. */
struct tram_xxh3 { unsigned char state[576 + 64]; };

void tram_xxh3_init(struct tram_xxh3 *h);
void tram_xxh3_update(struct tram_xxh3 *h, const void *data, size_t n);
uint64_t tram_xxh3_64(const struct tram_xxh3 *h);	/* of all so far; may go on */

struct tram_hash128 { uint64_t lo, hi; };
struct tram_hash128 tram_xxh3_128(const struct tram_xxh3 *h);

/* XXH3-64 of one buffer. */
uint64_t tram_hash64(const void *data, size_t n);
struct tram_hash128 tram_hash128(const void *data, size_t n);

/* "0123456789abcdef": how this project writes XXH3-64 down. */
void tram_hash64_hex(uint64_t h, char hex[17]);

#endif
