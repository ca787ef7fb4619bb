/* SPDX-License-Identifier: MIT */
/* tram inspect: a file or model folder, checked whole and described. */
#include <stdio.h>

#include <tram/inspect.h>

#include "tool.h"

static int run(int argc, char **argv)
{
	struct tool_common c = { 0 };
	struct tool_list paths = { 0 };
	const struct tool_option opts[] = {
		{ "json", TOOL_FLAG, &c.json, NULL, "one object", NULL, false },
	};
	struct tram_ctx *ctx;
	bool help;
	char *text;
	int r = tool_parse(&tool_inspect, argc, argv, opts, ARRAY_SIZE(opts), &paths, &help);

	if (r || help)
		return r;
	if (paths.n != 1)
		return tool_usage("inspect", "one PATH is needed, got %zu", paths.n);
	ctx = tool_context(&c);
	if (!ctx)
		return TOOL_FAILED;
	if (tram_inspect(ctx, paths.v[0], c.json, &text)) {
		r = tool_fail("inspect", ctx);
	} else {
		fputs(text, stdout);
		tram_text_free(ctx, text);
	}
	tram_ctx_destroy(&ctx);
	return r;
}

const struct tool_verb tool_inspect = {
	"inspect", "inspect PATH [--json]", "Check a file whole and describe it",
	"PATH: a GGUF, safetensors, token (.bin), npy, IDX or tokenizer.json file, or a model folder.\n", run,
};
