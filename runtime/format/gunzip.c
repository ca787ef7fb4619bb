/* SPDX-License-Identifier: MIT */
/* gzip by zlib, on the context's heap; the contract is in gunzip.h. */
#include "format/gunzip.h"

#include <zlib.h>

#define CHUNK ((size_t)32 << 10)

struct tram_gunzip {
	struct tram_ctx *ctx;
	const struct tram_source *src;
	z_stream z;
	bool ready;		/* z is to be ended */
	bool ended;		/* the member's trailer was read and is right */
	uint64_t in, out;	/* bytes taken from the file, and given */
	unsigned char buf[CHUNK];
};

static void *z_alloc(void *arg, unsigned int n, unsigned int size)
{
	return tram_calloc(arg, n, size);
}

static void z_free(void *arg, void *p)
{
	tram_free(arg, p);
}

int tram_gunzip_is(struct tram_ctx *ctx, const struct tram_source *src)
{
	unsigned char head[2];
	int r;

	if (src->size < sizeof(head))
		return 0;
	r = tram_source_read(ctx, src, 0, head, sizeof(head));
	return r ? r : head[0] == 0x1f && head[1] == 0x8b;
}

int tram_gunzip_open(struct tram_ctx *ctx, const struct tram_source *src, struct tram_gunzip **out)
{
	struct tram_gunzip *z;
	int r;

	*out = NULL;
	z = tram_zalloc(ctx, sizeof(*z));
	if (!z)
		return tram_fail_in(ctx, -ENOMEM, "%s", src->name);
	z->ctx = ctx;
	z->src = src;
	r = tram_gunzip_rewind(z);
	if (r) {
		tram_gunzip_close(&z);
		return r;
	}
	*out = z;
	return 0;
}

void tram_gunzip_close(struct tram_gunzip **zp)
{
	struct tram_gunzip *z = *zp;

	*zp = NULL;
	if (!z)
		return;
	if (z->ready)
		inflateEnd(&z->z);
	tram_free(z->ctx, z);
}

int tram_gunzip_rewind(struct tram_gunzip *z)
{
	if (z->ready)
		inflateEnd(&z->z);
	z->z = (z_stream){ .zalloc = z_alloc, .zfree = z_free, .opaque = z->ctx };
	z->in = z->out = 0;
	z->ended = false;
	/* 16: a gzip header and nothing else */
	z->ready = inflateInit2(&z->z, 16 + MAX_WBITS) == Z_OK;
	return z->ready ? 0 : tram_fail_in(z->ctx, -ENOMEM, "%s", z->src->name);
}

uint64_t tram_gunzip_pos(const struct tram_gunzip *z)
{
	return z->out;
}

static int fill(struct tram_gunzip *z)
{
	size_t n = (size_t)TRAM_MIN(z->src->size - z->in, (uint64_t)CHUNK);
	int r;

	if (!n)
		return tram_fail(z->ctx, -EINVAL, "%s: compressed data: ends after %llu bytes, %llu of them expanded; the file is cut",
				 z->src->name, (unsigned long long)z->in,
				 (unsigned long long)z->out);
	r = tram_source_read(z->ctx, z->src, z->in, z->buf, n);
	if (r)
		return r;
	z->in += n;
	z->z.next_in = z->buf;
	z->z.avail_in = (unsigned int)n;
	return 0;
}

/* One call of inflate(), which makes progress or fails. */
static int step(struct tram_gunzip *z)
{
	int r = z->z.avail_in ? 0 : fill(z);

	if (r)
		return r;
	switch (inflate(&z->z, Z_NO_FLUSH)) {
	case Z_STREAM_END:
		z->ended = true;
		return 0;
	case Z_OK:
	case Z_BUF_ERROR:
		return 0;
	case Z_MEM_ERROR:
		return tram_fail_in(z->ctx, -ENOMEM, "%s", z->src->name);
	default:
		return tram_fail(z->ctx, -EINVAL, "%s: compressed data: damaged near byte %llu (%s)",
				 z->src->name, (unsigned long long)(z->in - z->z.avail_in),
				 z->z.msg ? z->z.msg : "no dictionary");
	}
}

int tram_gunzip_read(struct tram_gunzip *z, void *buf, size_t n)
{
	unsigned char *p = buf;
	int r = 0;

	while (!r && n) {
		unsigned int k = (unsigned int)TRAM_MIN(n, (size_t)1 << 30);

		if (z->ended)
			return tram_fail(z->ctx, -EINVAL, "%s: expanded: %llu bytes, %zu more are needed",
					 z->src->name, (unsigned long long)z->out, n);
		z->z.next_out = p;
		z->z.avail_out = k;
		r = step(z);
		k -= z->z.avail_out;
		p += k;
		n -= k;
		z->out += k;
	}
	return r;
}

int tram_gunzip_end(struct tram_gunzip *z)
{
	unsigned char more;
	int r = 0;

	while (!r && !z->ended) {
		z->z.next_out = &more;
		z->z.avail_out = 1;
		r = step(z);
		if (!r && !z->z.avail_out)
			return tram_fail(z->ctx, -EINVAL, "%s: expanded: more than %llu bytes, which are all that its header promises",
					 z->src->name, (unsigned long long)z->out);
	}
	if (!r && (z->z.avail_in || z->in < z->src->size))
		return tram_fail(z->ctx, -EINVAL, "%s: %llu bytes behind the compressed data, none are allowed",
				 z->src->name,
				 (unsigned long long)(z->src->size - z->in + z->z.avail_in));
	return r;
}
