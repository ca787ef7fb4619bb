/* SPDX-License-Identifier: MIT */
/* tram eval: the loss of a model on data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tram/data.h>
#include <tram/train.h>

#include "tool.h"

struct eval {
	struct tool_common c;
	const char *model, *data, *tokenizer, *logits;
	uint32_t seq;
	uint64_t limit;

	struct tram_ctx *ctx;
	struct tool_model t;
	struct tram_device *dev;
	struct tram_stream *stream;
};

static void print(const struct eval *e, const struct tram_eval_result *res)
{
	const char *device = tram_device_info(e->dev)->selector;
	char rate[TOOL_TEXT];
	struct tool_json j;

	if (!e->c.json) {
		printf("loss %.5f  perplexity %.3f  over %llu tokens (%llu windows of %u) on %s, "
		       "%s tokens/s\n", res->loss, exp(res->loss),
		       (unsigned long long)res->targets, (unsigned long long)res->windows, e->seq,
		       device, tool_count(res->tokens_per_s, rate));
		if (e->t.step >= 0)
			printf("at step %lld: %s\n", (long long)e->t.step, e->t.files.dir);
		return;
	}
	tool_json_begin(&j, "eval");
	if (e->t.step >= 0)
		tool_json_u64(&j, "step", (uint64_t)e->t.step);
	tool_json_f64(&j, "loss", res->loss);
	tool_json_f64(&j, "perplexity", exp(res->loss));
	tool_json_u64(&j, "tokens", res->targets);
	tool_json_u64(&j, "windows", res->windows);
	tool_json_f64(&j, "tokens_per_s", res->tokens_per_s);
	tool_json_str(&j, "model", e->t.files.dir);
	tool_json_str(&j, "device", device);
	tool_json_end(&j, stdout, NULL);
}

static int eval(struct eval *e)
{
	struct tram_eval_result res;
	struct tram_model_info info;

	if (tool_open_model("eval", e->ctx, e->model, e->tokenizer, e->seq, &e->t))
		return TOOL_FAILED;
	tram_model_info(e->t.m, &info);
	e->seq = e->seq ? e->seq : info.max_seq;
	if (tram_stream_open(e->ctx, e->data, e->t.tok, &e->stream) ||
	    tram_device_open(e->ctx, e->c.device, &e->dev) ||
	    tram_evaluate(e->dev, e->t.m, e->t.flat, e->stream, e->seq, e->limit, e->logits, &res))
		return tool_fail("eval", e->ctx);
	print(e, &res);
	return TOOL_OK;
}

static int run(int argc, char **argv)
{
	struct eval e = { 0 };
	const struct tool_option opts[] = {
		{ "model", TOOL_STRING, &e.model, "DIR|FILE.gguf",
		  "model folder, --out of a training run, or GGUF", NULL, true },
		{ "data", TOOL_STRING, &e.data, "PATH", "text or token shards, file or folder", NULL,
		  true },
		{ "tokenizer", TOOL_STRING, &e.tokenizer, "bytes|FILE",
		  "for text (default: the model's)", NULL, false },
		{ "seq", TOOL_U32, &e.seq, "T", "tokens a window (default: the model's length)", NULL,
		  false },
		{ "limit", TOOL_U64, &e.limit, "N", "windows at most (default: all)", NULL, false },
		{ "logits", TOOL_STRING, &e.logits, "FILE.npy",
		  "write the logits, f32 [tokens, vocabulary]", NULL, false },
		{ "device", TOOL_STRING, &e.c.device, "SEL", "auto, vk0, cpu0 (default: auto)", NULL,
		  false },
		{ "threads", TOOL_U32, &e.c.threads, "N", "host threads (default: all cores)", NULL,
		  false },
		{ "json", TOOL_FLAG, &e.c.json, NULL, "one object a line", NULL, false },
	};
	bool help;
	int r = tool_parse(&tool_eval, argc, argv, opts, ARRAY_SIZE(opts), NULL, &help);

	if (r || help)
		return r;
	e.ctx = tool_context(&e.c);
	if (!e.ctx)
		return TOOL_FAILED;
	r = eval(&e);
	tram_stream_close(&e.stream);
	tram_device_close(&e.dev);
	tool_close_model(&e.t);
	tram_ctx_destroy(&e.ctx);
	return r;
}

const struct tool_verb tool_eval = {
	"eval", "eval --model DIR|FILE.gguf --data PATH [OPTION...]", "Measure a model's loss on data",
	"The stream is walked in windows of T tokens from its start; targets are shifted by one.\n",
	run,
};
