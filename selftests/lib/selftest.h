/* SPDX-License-Identifier: MIT */
/*
 * For self tests, which see the public headers only: a scratch folder, a
 * context whose messages go to stderr, the devices to run on
 * (TRAM_TEST_DEVICES, default "cpu0 vk0"), and token data of a formula.
 */
#ifndef SELFTEST_H
#define SELFTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tram/device.h>
#include <tram/model.h>
#include <tram/tram.h>

/* Ends the test with the library's message when @r is not 0. */
#define ok(ctx, r) ok_(ctx, r, #r, __FILE__, __LINE__)
void ok_(struct tram_ctx *ctx, int r, const char *what, const char *file, int line);

struct tram_ctx *test_ctx(void);

/* A new empty folder, removed with all it holds by test_dir_remove(). Static memory. */
const char *test_dir(void);
void test_dir_remove(void);
/* "DIR/NAME" in one of 16 static buffers. */
const char *test_path(const char *name);
void test_write(const char *path, const void *data, size_t n);
/* Whole file, to be freed; *n may be NULL. */
char *test_read(const char *path, size_t *n);

/* Calls @claim for every device named; skips (with a line) those that can't be opened. */
void test_each_device(void (*claim)(struct tram_ctx *ctx, const char *selector));

/* token(i) of selftests/train/pin_gpt2.py with vocabulary @v. */
uint32_t test_token(uint64_t i, uint32_t v);
/* A shard of @n such tokens (v <= 256) at "DIR/NAME/shard-000000.bin"; returns the folder. */
const char *test_tokens(struct tram_ctx *ctx, const char *name, uint64_t n, uint32_t v);

/* A folder at "DIR/NAME" whose config.json is @text. */
const char *test_config_text(const char *name, const char *text);
/* A GPT-2 config folder at "DIR/NAME". */
const char *test_config(const char *name, uint32_t vocab, uint32_t positions, uint32_t width,
			uint32_t layers, uint32_t heads);
/* fill() of selftests/train/pin_gpt2.py over the model's flat array. */
void test_fill(const struct tram_model *model, float *flat);

#endif
