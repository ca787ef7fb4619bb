/* SPDX-License-Identifier: MIT */
/* tram tokenize: text to token shards and a tokenizer.json. */
#include <stdlib.h>
#include <string.h>

#include <tram/data.h>

#include "tool.h"

/* "train:N", "bytes" or a file. */
static int open_tokenizer(struct tram_ctx *ctx, const char *spec, const struct tool_list *in,
			  struct tram_tokenizer **tok)
{
	char *end;
	unsigned long n;

	if (strncmp(spec, "train:", 6))
		return tram_tokenizer_open(ctx, spec, tok);
	n = strtoul(spec + 6, &end, 10);
	if (end == spec + 6 || *end || n > UINT32_MAX)
		n = 0;	/* refused below, with the limits */
	return tram_tokenizer_train(ctx, (uint32_t)n, in->v, in->n, tok);
}

static int tokenize(struct tram_ctx *ctx, const char *spec, const struct tool_list *in,
		    const char *out, bool json)
{
	struct tram_tokenizer *tok = NULL;
	uint64_t tokens;
	struct tool_json j;

	if (open_tokenizer(ctx, spec, in, &tok) ||
	    tram_tokenize(ctx, tok, in->v, in->n, out, &tokens)) {
		tram_tokenizer_close(&tok);
		return tool_fail("tokenize", ctx);
	}
	if (json) {
		tool_json_begin(&j, "done");
		tool_json_u64(&j, "tokens", tokens);
		tool_json_u64(&j, "vocab", tram_tokenizer_vocab(tok));
		tool_json_str(&j, "out", out);
		tool_json_end(&j, stdout, NULL);
	} else {
		printf("%llu tokens of a vocabulary of %u in %s; train on it with --data %s\n",
		       (unsigned long long)tokens, tram_tokenizer_vocab(tok), out, out);
	}
	tram_tokenizer_close(&tok);
	return TOOL_OK;
}

static int run(int argc, char **argv)
{
	struct tool_common c = { 0 };
	struct tool_list in = { 0 };
	const char *spec = NULL, *out = NULL;
	const struct tool_option opts[] = {
		{ "tokenizer", TOOL_STRING, &spec, "bytes|FILE|train:N",
		  "256 bytes, a tokenizer.json, or N entries trained on the input", NULL, true },
		{ "input", TOOL_LIST, &in, "PATH...", "text files, or folders of them", NULL, true },
		{ "out", TOOL_STRING, &out, "DIR", "folder for shards and tokenizer.json", NULL,
		  true },
		{ "threads", TOOL_U32, &c.threads, "N", "host threads (default: all cores)", NULL,
		  false },
		{ "json", TOOL_FLAG, &c.json, NULL, "one object a line", NULL, false },
	};
	struct tram_ctx *ctx;
	bool help;
	int r = tool_parse(&tool_tokenize, argc, argv, opts, ARRAY_SIZE(opts), NULL, &help);

	if (r || help)
		return r;
	ctx = tool_context(&c);
	if (!ctx)
		return TOOL_FAILED;
	r = tokenize(ctx, spec, &in, out, c.json);
	tram_ctx_destroy(&ctx);
	return r;
}

const struct tool_verb tool_tokenize = {
	"tokenize", "tokenize --tokenizer bytes|FILE|train:N --input PATH... --out DIR",
	"Turn text into token shards",
	"Shards are llm.c's (.bin): what other tools write can be trained on as it is.\n", run,
};
