/* SPDX-License-Identifier: MIT */
/* tram export: a model in the form that other programs read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tram/data.h>
#include <tram/model.h>

#include "tool.h"

enum { TO_GGUF, TO_SAFETENSORS };

struct export {
	struct tool_common c;
	const char *model, *out, *tokenizer;
	int to;

	struct tram_ctx *ctx;
	struct tool_model t;
	char *config, *tok;	/* beside a safetensors file; tok NULL: no tokenizer */
};

/* The path of @name in the folder of --out. NULL after saying why. */
static char *beside(const struct export *x, const char *name)
{
	const char *slash = strrchr(x->out, '/');
	char *path = NULL;

	if (asprintf(&path, "%.*s%s", slash ? (int)(slash - x->out + 1) : 0, x->out, name) < 0)
		return NULL;
	/* What lies there belongs to a model of its own, whose weights have another name. */
	if (access(path, F_OK) == 0) {
		fprintf(stderr, "tram export: %s: is there already and would be replaced; choose "
			"another folder for --out\n", path);
		free(path);
		return NULL;
	}
	return path;
}

static int save_safetensors(struct export *x)
{
	int r;

	x->config = beside(x, "config.json");
	if (!x->config)
		return TOOL_FAILED;
	if (x->t.tok) {
		x->tok = beside(x, "tokenizer.json");
		if (!x->tok)
			return TOOL_FAILED;
	}
	r = tram_model_save(x->t.m, x->t.flat, x->out);
	if (!r)
		r = tram_model_save_config(x->t.m, x->config);
	if (!r && x->t.tok)
		r = tram_tokenizer_save(x->t.tok, x->tok);
	return r ? tool_fail("export", x->ctx) : TOOL_OK;
}

static void print(const struct export *x)
{
	struct tool_json j;

	if (!x->c.json) {
		printf("%s%s%s%s%s\n", x->out, x->config ? ", " : "", x->config ? x->config : "",
		       x->tok ? ", " : "", x->tok ? x->tok : "");
		return;
	}
	tool_json_begin(&j, "done");
	tool_json_str(&j, "model", x->t.files.dir);
	tool_json_str(&j, "out", x->out);
	tool_json_bool(&j, "tokenizer", x->tokenizer);
	tool_json_end(&j, stdout, NULL);
}

static int export(struct export *x)
{
	int r;

	if (tool_open_model("export", x->ctx, x->model, x->tokenizer, 0, &x->t))
		return TOOL_FAILED;
	x->tokenizer = x->tokenizer ? x->tokenizer : x->t.files.tokenizer;
	if (x->to == TO_SAFETENSORS)
		r = save_safetensors(x);
	else
		r = tram_model_save_gguf(x->t.m, x->t.flat, x->tokenizer, x->out) ?
		    tool_fail("export", x->ctx) : TOOL_OK;
	if (!r)
		print(x);
	return r;
}

static int run(int argc, char **argv)
{
	static const char *const formats[] = { "gguf", "safetensors", NULL };
	struct export x = { 0 };
	const struct tool_option opts[] = {
		{ "model", TOOL_STRING, &x.model, "DIR|FILE.gguf",
		  "model folder, --out of a training run, or GGUF", NULL, true },
		{ "to", TOOL_CHOICE, &x.to, "gguf|safetensors", "the format", formats, true },
		{ "out", TOOL_STRING, &x.out, "FILE",
		  "what to write (safetensors: config.json and tokenizer.json beside it)", NULL,
		  true },
		{ "tokenizer", TOOL_STRING, &x.tokenizer, "bytes|FILE", "(default: the model's)",
		  NULL, false },
		{ "json", TOOL_FLAG, &x.c.json, NULL, "one object", NULL, false },
	};
	bool help;
	int r = tool_parse(&tool_export, argc, argv, opts, ARRAY_SIZE(opts), NULL, &help);

	if (r || help)
		return r;
	x.ctx = tool_context(&x.c);
	if (!x.ctx)
		return TOOL_FAILED;
	r = export(&x);
	free(x.config);
	free(x.tok);
	tool_close_model(&x.t);
	tram_ctx_destroy(&x.ctx);
	return r;
}

const struct tool_verb tool_export = {
	"export", "export --model DIR|FILE.gguf --to gguf|safetensors --out FILE [OPTION...]",
	"Write a model for other programs",
	"Weights are written as F32. A GGUF holds the tokenizer too.\n", run,
};
