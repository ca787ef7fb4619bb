/* SPDX-License-Identifier: MIT */
/*
 * What --model means: a preset, a GGUF file, a model folder, or the folder of
 * a training run, whose newest whole checkpoint is taken.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tram/data.h>
#include <tram/inspect.h>
#include <tram/model.h>
#include <tram/train.h>

#include "tool.h"

static bool is_preset(const char *name)
{
	size_t n;
	const struct tram_preset *p = tram_model_presets(&n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(p[i].name, name))
			return true;
	return false;
}

static char *member(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return NULL;
	if (access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* One file is all three, but it may be without a tokenizer. */
static int find_gguf(struct tram_ctx *ctx, const char *spec, struct tool_model_files *f)
{
	struct tram_tokenizer *tok;
	int r;

	f->dir = strdup(spec);
	f->weights = strdup(spec);
	if (!f->dir || !f->weights)
		return -ENOMEM;
	r = tram_tokenizer_open(ctx, spec, &tok);
	tram_tokenizer_close(&tok);
	/* Another failure than "none" is told when the tokenizer is used. */
	if (r != -ENOENT)
		f->tokenizer = strdup(spec);
	return r == -ENOENT || f->tokenizer ? 0 : -ENOMEM;
}

int tool_find_model(struct tram_ctx *ctx, const char *spec, struct tool_model_files *f)
{
	struct stat st;
	char *dir;
	int r;

	memset(f, 0, sizeof(*f));
	if (is_preset(spec) && stat(spec, &st))
		return 0;
	if (ends_in(spec, ".gguf"))
		return find_gguf(ctx, spec, f);
	r = tram_checkpoint_find(ctx, spec, &dir);
	if (r)
		return r;
	f->dir = strdup(dir);
	tram_text_free(ctx, dir);
	if (!f->dir)
		return -ENOMEM;
	f->weights = member(f->dir, "model.safetensors");
	f->tokenizer = member(f->dir, "tokenizer.json");
	return 0;
}

void tool_model_files_free(struct tool_model_files *f)
{
	free(f->dir);
	free(f->weights);
	free(f->tokenizer);
	memset(f, 0, sizeof(*f));
}
