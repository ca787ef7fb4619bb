/* SPDX-License-Identifier: MIT */
/*
 * What the libFuzzer targets (fuzz_*.c, built by selftests/fuzz) have in
 * common: an input becomes a source, is read on a counting heap, and must
 * leave nothing behind, ask for no memory that its size does not justify, and
 * say why it was refused (test_format.h aborts otherwise).
 */
#ifndef TRAM_FORMAT_FUZZ_H
#define TRAM_FORMAT_FUZZ_H

#include "format/describe.h"
#include "format/test_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* @slack: bytes that a table may take whatever the size of the file. */
static inline int fuzz_read(test_reader read, const void *data, size_t n, size_t slack)
{
	char message[1100];

	test_read(read, data, n, 64 * n + slack, message);
	return 0;
}

/* Describing reads every value; both forms. */
#define fuzz_describe(ctx, r, call_text, call_json) \
	do { \
		struct tram_sbuf sb = TRAM_SBUF_INIT(ctx); \
		if (!(r)) \
			(r) = (call_text); \
		if (!(r)) \
			(r) = (call_json); \
		tram_sbuf_free(&sb); \
	} while (0)

#endif
