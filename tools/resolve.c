/* SPDX-License-Identifier: MIT */
/*
 * What --model means: a preset, a model folder, or the folder of a training
 * run, whose newest whole checkpoint is taken.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int tool_find_model(struct tram_ctx *ctx, const char *spec, struct tool_model_files *f)
{
	struct stat st;
	int r;

	memset(f, 0, sizeof(*f));
	if (is_preset(spec) && stat(spec, &st))
		return 0;
	r = tram_checkpoint_find(ctx, spec, &f->dir);
	if (r)
		return r;
	f->weights = member(f->dir, "model.safetensors");
	f->tokenizer = member(f->dir, "tokenizer.json");
	return 0;
}

void tool_model_files_free(struct tram_ctx *ctx, struct tool_model_files *f)
{
	tram_text_free(ctx, f->dir);
	free(f->weights);
	free(f->tokenizer);
	memset(f, 0, sizeof(*f));
}
