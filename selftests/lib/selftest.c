/* SPDX-License-Identifier: MIT */
/* See selftest.h. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tram/data.h>

#include "selftest.h"

static char dir[64];

void ok_(struct tram_ctx *ctx, int r, const char *what, const char *file, int line)
{
	if (!r)
		return;
	fail_msg("%s:%d: %s = %d: %s", file, line, what, r, ctx ? tram_error(ctx) : "");
}

static void log_line(void *arg, enum tram_log_level level, const char *line)
{
	fprintf(stderr, "# %s\n", line);
}

struct tram_ctx *test_ctx(void)
{
	const char *threads = getenv("TRAM_TEST_THREADS");
	struct tram_ctx_params p = {
		.log = log_line, .log_level = TRAM_LOG_INFO, .cache_dir = test_path("cache"),
		.threads = threads ? (unsigned int)atoi(threads) : 0,
	};
	struct tram_ctx *ctx;

	assert_int_equal(tram_ctx_create(&p, &ctx), 0);
	return ctx;
}

const char *test_dir(void)
{
	if (!*dir) {
		snprintf(dir, sizeof(dir), "%s", "/tmp/tram-test-XXXXXX");
		assert_non_null(mkdtemp(dir));
		atexit(test_dir_remove);
	}
	return dir;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void test_dir_remove(void)
{
	if (*dir)
		nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	*dir = '\0';
}

const char *test_path(const char *name)
{
	static char paths[16][256];
	static unsigned int next;
	char *p = paths[next++ % 16];

	snprintf(p, sizeof(paths[0]), "%s/%s", test_dir(), name);
	return p;
}

void test_write(const char *path, const void *data, size_t n)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

char *test_read(const char *path, size_t *n)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *data;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	data = malloc((size_t)st.st_size + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, (size_t)st.st_size, f), st.st_size);
	data[st.st_size] = '\0';
	if (n)
		*n = (size_t)st.st_size;
	fclose(f);
	return data;
}

void test_each_device(void (*claim)(struct tram_ctx *ctx, const char *selector))
{
	const char *list = getenv("TRAM_TEST_DEVICES");
	char *copy = strdup(list ? list : "cpu0 vk0"), *save = NULL;
	unsigned int run = 0;

	assert_non_null(copy);
	for (char *s = strtok_r(copy, " ,", &save); s; s = strtok_r(NULL, " ,", &save)) {
		struct tram_ctx *ctx = test_ctx();
		struct tram_device *dev;

		if (tram_device_open(ctx, s, &dev)) {
			fprintf(stderr, "skip: %s: %s\n", s, tram_error(ctx));
		} else {
			tram_device_close(&dev);
			claim(ctx, s);
			run++;
		}
		tram_ctx_destroy(&ctx);
	}
	free(copy);
	if (!run)
		skip();
}

uint32_t test_token(uint64_t i, uint32_t v)
{
	return (uint32_t)((i * i * 7 + i * 13 + (i >> 3) * 5) % v);
}

const char *test_tokens(struct tram_ctx *ctx, const char *name, uint64_t n, uint32_t v)
{
	const char *out = test_path(name), *text = test_path("tokens.txt");
	unsigned char *bytes = malloc(n);
	struct tram_tokenizer *tok;
	char json[300];

	assert_non_null(bytes);
	for (uint64_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)test_token(i, v);
	test_write(text, bytes, n);
	free(bytes);
	ok(ctx, tram_tokenizer_open(ctx, "bytes", &tok));
	ok(ctx, tram_tokenize(ctx, tok, &text, 1, out, NULL));
	tram_tokenizer_close(&tok);
	snprintf(json, sizeof(json), "%s/tokenizer.json", out);
	unlink(json);
	return out;
}

const char *test_config_text(const char *name, const char *text)
{
	const char *folder = test_path(name);
	char path[300];

	if (mkdir(folder, 0777))
		assert_int_equal(errno, EEXIST);
	snprintf(path, sizeof(path), "%s/config.json", folder);
	test_write(path, text, strlen(text));
	return folder;
}

const char *test_config(const char *name, uint32_t vocab, uint32_t positions, uint32_t width,
			uint32_t layers, uint32_t heads)
{
	char text[400];

	snprintf(text, sizeof(text), "{\"model_type\": \"gpt2\", \"vocab_size\": %u, "
		 "\"n_positions\": %u, \"n_embd\": %u, \"n_layer\": %u, \"n_head\": %u, "
		 "\"embd_pdrop\": 0.0, \"resid_pdrop\": 0.0, \"attn_pdrop\": 0.0}",
		 vocab, positions, width, layers, heads);
	return test_config_text(name, text);
}

void test_fill(const struct tram_model *model, float *flat)
{
	struct tram_model_info info;
	struct tram_tensor_info t;

	tram_model_info(model, &info);
	memset(flat, 0, info.flat * sizeof(*flat));
	for (uint32_t k = 0; tram_model_tensor(model, k, &t); k++) {
		uint64_t n = 1;
		uint32_t key = 0;

		for (const char *c = t.name; *c; c++)
			key = key * 31 + (unsigned char)*c;
		for (uint32_t d = 0; d < t.shape.rank; d++)
			n *= t.shape.dim[d];
		for (uint64_t i = 0; i < n; i++) {
			uint32_t u = (uint32_t)((i + 1) * 2654435761u + key) * 2246822519u;
			float x = ((float)(u >> 8) * 0x1p-24f - 0.5f) * 0.125f;

			if ((strstr(t.name, "ln_") || strstr(t.name, "norm")) &&
			    strstr(t.name, "weight"))
				x += 1;
			flat[t.first + i] = x;
		}
	}
}
