/* SPDX-License-Identifier: MIT */
/* For the tests of the readers: broken bytes in, errno and message out. */
#ifndef TRAM_FORMAT_TEST_FORMAT_H
#define TRAM_FORMAT_TEST_FORMAT_H

#include "base/file.h"
#include "base/test_heap.h"

/* Opens the bytes and reads all there is; the reader of one format. */
typedef int (*test_reader)(struct tram_ctx *ctx, const struct tram_source *src);

/*
 * Runs @read on @n bytes that end where their heap block ends, on a heap that
 * counts. Aborts unless the message of a failure names the source, nothing
 * leaks, and no request is larger than @largest bytes (0: 64 times the file
 * and 64 KiB).
 */
static inline int test_read(test_reader read, const void *data, size_t n, size_t largest,
			    char message[1100])
{
	struct test_heap h;
	struct tram_ctx *ctx = test_heap_ctx(&h);
	size_t live = atomic_load(&h.live);
	void *copy = malloc(n ? n : 1);
	struct tram_source src;
	int r;

	atomic_store(&h.largest, 0);
	memcpy(copy, data, n);
	src = tram_source_mem("broken.file", copy, n);
	r = read(ctx, &src);
	snprintf(message, 1100, "%s", tram_error(ctx));
	test_require_(r == 0 || strstr(message, "broken.file"), "message \"%s\" names no file",
		      message);
	test_require_(r <= 0, "returned %d", r);
	test_require_(atomic_load(&h.live) == live, "%zu blocks leaked (%s)",
		      atomic_load(&h.live) - live, message);
	if (!largest)
		largest = 64 * n + 65536;
	test_require_(atomic_load(&h.largest) <= largest, "asked for %zu bytes, file of %zu",
		      atomic_load(&h.largest), n);
	free(copy);
	tram_ctx_destroy(&ctx);
	return r;
}

/* cmocka: @read must refuse the bytes with @err and a message that holds @part. */
#define assert_refused(read, data, n, err, part) \
	do { \
		char message_[1100]; \
		int r_ = test_read(read, data, n, 0, message_); \
		if (r_ != (err) || !strstr(message_, part)) \
			fail_msg("returned %d \"%s\", expected %d \"%s\"", r_, message_, err, \
				 part); \
	} while (0)

#define assert_accepted(read, data, n) \
	do { \
		char message_[1100]; \
		int r_ = test_read(read, data, n, 0, message_); \
		if (r_) \
			fail_msg("returned %d \"%s\"", r_, message_); \
	} while (0)

/* Every shorter file is refused. */
#define assert_truncation_is_refused(read, data, n) \
	do { \
		for (size_t cut_ = 0; cut_ < (n); cut_++) { \
			char message_[1100]; \
			if (test_read(read, data, cut_, 0, message_) != -EINVAL) \
				fail_msg("cut to %zu bytes: \"%s\"", cut_, message_); \
		} \
	} while (0)

/* Whatever single bit is wrong: an answer, no crash (the sanitizers watch). */
#define try_every_bit(read, data, n) \
	do { \
		unsigned char *bits_ = malloc(n); \
		char message_[1100]; \
		memcpy(bits_, data, n); \
		for (size_t bit_ = 0; bit_ < 8 * (size_t)(n); bit_++) { \
			bits_[bit_ / 8] ^= (unsigned char)(1u << bit_ % 8); \
			test_read(read, bits_, n, 0, message_); \
			bits_[bit_ / 8] ^= (unsigned char)(1u << bit_ % 8); \
		} \
		free(bits_); \
	} while (0)

#endif
