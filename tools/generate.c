/* SPDX-License-Identifier: MIT */
/* tram generate: text from a model. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <tram/data.h>
#include <tram/infer.h>
#include <tram/train.h>

#include "tool.h"

struct generate {
	struct tool_common c;
	const char *model, *prompt, *prompt_tokens, *tokenizer;
	uint64_t tokens, seed;
	double temperature, top_p;
	uint32_t top_k;

	struct tram_ctx *ctx;
	struct tool_model t;
	struct tram_device *dev;
	struct tram_generator *gen;
	uint64_t n_tokens;	/* generated */
	uint32_t *ids;		/* the prompt */
	size_t n_ids;
	/* Bytes of a character whose end has not come yet. */
	char held[8];
	size_t n_held;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = 1;
}

/* --- the prompt ------------------------------------------------------------------------ */

/* 1,2,3 */
static int parse_tokens(struct generate *g)
{
	const char *s = g->prompt_tokens;
	size_t max = 1;

	for (const char *p = s; *p; p++)
		max += *p == ',';
	g->ids = calloc(max, sizeof(*g->ids));
	while (g->ids) {
		char *end;
		unsigned long v = strtoul(s, &end, 10);

		if (end == s || v > UINT32_MAX || (*end && *end != ','))
			return tool_usage("generate", "--prompt-tokens %s: expected numbers such as "
					  "1,2,3", g->prompt_tokens);
		g->ids[g->n_ids++] = (uint32_t)v;
		if (!*end)
			return TOOL_OK;
		s = end + 1;
	}
	return TOOL_FAILED;
}

static int encode_prompt(struct generate *g)
{
	uint32_t *ids;
	size_t n;

	if (g->prompt_tokens)
		return parse_tokens(g);
	if (!g->t.tok) {
		fprintf(stderr, "tram generate: --prompt needs a tokenizer and %s has no "
			"tokenizer.json; pass --tokenizer, or --prompt-tokens\n", g->t.files.dir);
		return TOOL_FAILED;
	}
	if (tram_tokenizer_encode(g->t.tok, g->prompt, strlen(g->prompt), &ids, &n))
		return tool_fail("generate", g->ctx);
	g->ids = calloc(n + 1, sizeof(*ids));
	if (g->ids)
		memcpy(g->ids, ids, n * sizeof(*ids));
	g->n_ids = n;
	tram_tokens_free(g->ctx, ids);
	return g->ids ? TOOL_OK : TOOL_FAILED;
}

/* --- output -------------------------------------------------------------------------------- */

static size_t char_length(unsigned char c)
{
	return c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
}

/*
 * Whole characters of @held + @s into @out; what is begun and not ended stays
 * held. Stray continuation bytes become U+FFFD.
 */
static void take_characters(struct generate *g, const char *s, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		bool cont = ((unsigned char)s[i] & 0xc0) == 0x80;

		if (g->n_held && !cont) {
			out = stpcpy(out, "\xef\xbf\xbd");
			g->n_held = 0;
		}
		if (!g->n_held && (cont || (unsigned char)s[i] >= 0xf8)) {
			out = stpcpy(out, "\xef\xbf\xbd");
			continue;
		}
		g->held[g->n_held++] = s[i];
		if (g->n_held == char_length((unsigned char)g->held[0])) {
			memcpy(out, g->held, g->n_held);
			out += g->n_held;
			g->n_held = 0;
		}
	}
	*out = '\0';
}

static int on_token(void *arg, uint32_t id)
{
	struct generate *g = arg;
	const char *bytes = NULL;
	char *text;
	size_t n = 0;

	if (g->t.tok)
		bytes = tram_tokenizer_bytes(g->t.tok, id, &n);
	g->n_tokens++;
	text = malloc(4 * n + 4);
	if (!text)
		return 1;
	take_characters(g, bytes, bytes ? n : 0, text);
	if (g->c.json) {
		struct tool_json j;

		tool_json_begin(&j, "token");
		tool_json_u64(&j, "id", id);
		tool_json_str(&j, "text", text);
		tool_json_end(&j, stdout, NULL);
	} else if (g->t.tok) {
		fputs(text, stdout);
		fflush(stdout);
	} else {
		printf("%u ", id);
		fflush(stdout);
	}
	free(text);
	return interrupted;
}

/* --- the verb -------------------------------------------------------------------------------- */

/* Which version answered: of a training run, that of a step. */
static void print_version(const struct generate *g)
{
	struct tool_json j;

	if (!g->c.json) {
		if (g->t.step >= 0)
			fprintf(stderr, "step %lld: %s\n", (long long)g->t.step, g->t.files.dir);
		return;
	}
	tool_json_begin(&j, "done");
	tool_json_u64(&j, "tokens", g->n_tokens);
	tool_json_str(&j, "model", g->t.files.dir);
	if (g->t.step >= 0)
		tool_json_u64(&j, "step", (uint64_t)g->t.step);
	tool_json_end(&j, stdout, NULL);
}

static int generate(struct generate *g)
{
	const struct tram_sample_params p = {
		.temperature = g->temperature, .top_k = g->top_k, .top_p = g->top_p,
		.seed = g->seed,
	};
	int r;

	if (tool_open_model("generate", g->ctx, g->model, g->tokenizer, 0, &g->t))
		return TOOL_FAILED;
	if (tram_device_open(g->ctx, g->c.device, &g->dev) ||
	    tram_generator_create(g->dev, g->t.m, g->t.flat, &g->gen))
		return tool_fail("generate", g->ctx);
	r = encode_prompt(g);
	if (r)
		return r;
	if (!g->c.json && g->prompt)
		fputs(g->prompt, stdout);
	if (tram_generate(g->gen, g->ids, g->n_ids, g->tokens, &p, on_token, g))
		return tool_fail("generate", g->ctx);
	if (!g->c.json)
		putchar('\n');
	print_version(g);
	return TOOL_OK;
}

static int run(int argc, char **argv)
{
	struct generate g = { .tokens = 100, .temperature = 1 };
	const struct tool_option opts[] = {
		{ "model", TOOL_STRING, &g.model, "DIR|FILE.gguf",
		  "model folder, --out of a training run, or GGUF", NULL, true },
		{ "prompt", TOOL_STRING, &g.prompt, "TEXT", "text to go on from", NULL, false },
		{ "prompt-tokens", TOOL_STRING, &g.prompt_tokens, "1,2,3", "the same as token ids",
		  NULL, false },
		{ "tokenizer", TOOL_STRING, &g.tokenizer, "bytes|FILE", "(default: the model's)",
		  NULL, false },
		{ "tokens", TOOL_U64, &g.tokens, "N", "how many to generate (default: 100)", NULL,
		  false },
		{ "temperature", TOOL_F64, &g.temperature, "X", "0: the likeliest (default: 1)", NULL,
		  false },
		{ "top-k", TOOL_U32, &g.top_k, "N", "of the N likeliest only", NULL, false },
		{ "top-p", TOOL_F64, &g.top_p, "X", "of the likeliest that sum to X", NULL, false },
		{ "seed", TOOL_U64, &g.seed, "N", "same seed, same text (default: 0)", NULL, false },
		{ "device", TOOL_STRING, &g.c.device, "SEL", "auto, vk0, cpu0 (default: auto)", NULL,
		  false },
		{ "threads", TOOL_U32, &g.c.threads, "N", "host threads (default: all cores)", NULL,
		  false },
		{ "json", TOOL_FLAG, &g.c.json, NULL, "one object a line", NULL, false },
	};
	bool help;
	int r = tool_parse(&tool_generate, argc, argv, opts, ARRAY_SIZE(opts), NULL, &help);

	if (r || help)
		return r;
	if (!g.prompt == !g.prompt_tokens)
		return tool_usage("generate", "give either --prompt or --prompt-tokens");
	g.ctx = tool_context(&g.c);
	if (!g.ctx)
		return TOOL_FAILED;
	signal(SIGINT, on_signal);
	r = generate(&g);
	tram_generator_destroy(&g.gen);
	free(g.ids);
	tram_device_close(&g.dev);
	tool_close_model(&g.t);
	tram_ctx_destroy(&g.ctx);
	return r;
}

const struct tool_verb tool_generate = {
	"generate", "generate --model DIR|FILE.gguf (--prompt TEXT | --prompt-tokens 1,2,3) [OPTION...]",
	"Generate text from a model", NULL, run,
};
