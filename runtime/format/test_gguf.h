/* SPDX-License-Identifier: MIT */
/* For tests: GGUF files put together byte by byte, without the writer under test. */
#ifndef TRAM_FORMAT_TEST_GGUF_H
#define TRAM_FORMAT_TEST_GGUF_H

#include <stdint.h>
#include <string.h>

#include "format/gguf.h"

struct bytes { size_t n; unsigned char v[8192]; };

static inline void put_(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->v + b->n, p, n);
	b->n += n;
}

static inline void put_u8(struct bytes *b, uint8_t v) { put_(b, &v, 1); }
static inline void put_u16(struct bytes *b, uint16_t v) { put_(b, &v, 2); }
static inline void put_u32(struct bytes *b, uint32_t v) { put_(b, &v, 4); }
static inline void put_u64(struct bytes *b, uint64_t v) { put_(b, &v, 8); }
static inline void put_f32(struct bytes *b, float v) { put_(b, &v, 4); }
static inline void put_f64(struct bytes *b, double v) { put_(b, &v, 8); }

static inline void put_str(struct bytes *b, const char *s)
{
	put_u64(b, strlen(s));
	put_(b, s, strlen(s));
}

static inline void put_key(struct bytes *b, const char *key, uint32_t type)
{
	put_str(b, key);
	put_u32(b, type);
}

static inline void put_head(struct bytes *b, uint64_t tensors, uint64_t keys)
{
	put_(b, "GGUF", 4);
	put_u32(b, 3);
	put_u64(b, tensors);
	put_u64(b, keys);
}

/* Up to two dimensions, innermost first as in the file; @ne1 0: one dimension. */
static inline void put_tensor(struct bytes *b, const char *name, uint64_t ne0, uint64_t ne1,
			      uint32_t type, uint64_t offset)
{
	put_str(b, name);
	put_u32(b, ne1 ? 2 : 1);
	put_u64(b, ne0);
	if (ne1)
		put_u64(b, ne1);
	put_u32(b, type);
	put_u64(b, offset);
}

static inline void put_padding(struct bytes *b, size_t align)
{
	while (b->n % align)
		put_u8(b, 0);
}

#endif
