/* SPDX-License-Identifier: MIT */
/*
 * What --model means: a preset, a GGUF file, a model folder, or the folder of
 * a training run, whose newest whole checkpoint is taken.
 */
#include <errno.h>
#include <stdio.h>
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

/* "RUN/step-00000012" is step 12. */
static int64_t step_of(const char *dir)
{
	const char *name = strrchr(dir, '/');
	unsigned long long step;
	int end = 0;

	name = name ? name + 1 : dir;
	return sscanf(name, "step-%8llu%n", &step, &end) == 1 && !name[end] ? (int64_t)step : -1;
}

static int open_once(struct tram_ctx *ctx, const char *spec, const char *tokenizer, uint32_t seq,
		     struct tool_model *t)
{
	struct tram_model_info info;
	int r = tool_find_model(ctx, spec, &t->files);

	if (r || !t->files.weights)
		return r;
	t->step = step_of(t->files.dir);
	r = tram_model_open(ctx, t->files.dir, 0, seq, &t->m);
	if (r)
		return r;
	tram_model_info(t->m, &info);
	t->flat = malloc(info.flat * sizeof(float));
	if (!t->flat)
		return -ENOMEM;
	r = tram_model_load(t->m, t->files.weights, t->flat);
	tokenizer = tokenizer ? tokenizer : t->files.tokenizer;
	return r || !tokenizer ? r : tram_tokenizer_open(ctx, tokenizer, &t->tok);
}

int tool_open_model(const char *verb, struct tram_ctx *ctx, const char *spec, const char *tokenizer,
		    uint32_t seq, struct tool_model *t)
{
	int r = -ENOENT;

	memset(t, 0, sizeof(*t));
	for (int tries = 0; r == -ENOENT && tries < 5; tries++) {
		tool_close_model(t);
		r = open_once(ctx, spec, tokenizer, seq, t);
		/* A checkpoint that is gone was replaced; what is missing elsewhere stays missing. */
		if (t->files.dir && (t->step < 0 || !access(t->files.dir, F_OK)))
			break;
	}
	if (r)
		return tool_fail(verb, ctx);
	if (t->files.weights)
		return TOOL_OK;
	fprintf(stderr, "tram %s: --model %s: has no model.safetensors; give a folder with trained weights\n",
		verb, spec);
	return TOOL_FAILED;
}

void tool_close_model(struct tool_model *t)
{
	tram_tokenizer_close(&t->tok);
	free(t->flat);
	tram_model_close(&t->m);
	tool_model_files_free(&t->files);
	memset(t, 0, sizeof(*t));
	t->step = -1;
}
