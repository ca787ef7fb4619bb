/* SPDX-License-Identifier: MIT */
/*
 * Generation: two recordings over one KV cache, one for a chunk of the prompt,
 * one for a single token; the place in the context comes with the step block,
 * so both are replayed unchanged. sample.c chooses the tokens.
 */
#include <stdio.h>

#include "infer/infer.h"
#include "model/model.h"

#define PREFILL 32	/* tokens of a prompt chunk */

struct tram_generator {
	struct tram_ctx *ctx;
	uint32_t max_seq, vocab;
	struct tram_vars *vars;
	struct tram_exec *chunk;	/* PREFILL tokens; NULL for models shorter than that */
	struct tram_exec *single;
	struct tram_sampler sampler;
	uint32_t *context;		/* [max_seq] tokens held by the cache */
	uint32_t held;
	const float *logits;		/* of the newest token */
};

static int record(struct tram_generator *g, struct tram_device *dev,
		  const struct tram_model *model, uint32_t tokens, struct tram_exec **exec)
{
	const struct tram_exec_params params = { .slots = 1 };
	struct tram_graph *graph;
	int r = tram_model_decode_graph(model, tokens, true, &graph);

	if (r)
		return r;
	r = tram_exec_create(dev, g->vars, graph, &params, exec);
	tram_graph_destroy(&graph);
	return r;
}

int tram_generator_create(struct tram_device *dev, const struct tram_model *model,
			  const float *flat, struct tram_generator **gen)
{
	struct tram_generator *g;
	int r;

	*gen = NULL;
	g = tram_zalloc(model->ctx, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->ctx = model->ctx;
	g->max_seq = model->max_seq;
	g->vocab = model->vocab;
	g->context = tram_calloc(g->ctx, g->max_seq, sizeof(*g->context));
	r = g->context ? tram_sampler_init(&g->sampler, g->ctx, g->vocab) : -ENOMEM;
	if (!r)
		r = tram_vars_create(dev, &g->vars);
	if (!r)
		r = tram_vars_add(g->vars, "params", model->flat);
	if (!r)
		r = tram_vars_write(g->vars, "params", 0, model->flat, flat);
	if (!r)
		r = record(g, dev, model, 1, &g->single);
	if (!r && g->max_seq >= PREFILL)
		r = record(g, dev, model, PREFILL, &g->chunk);
	if (r) {
		tram_generator_destroy(&g);
		return r;
	}
	*gen = g;
	return 0;
}

void tram_generator_destroy(struct tram_generator **gen)
{
	struct tram_generator *g = *gen;

	*gen = NULL;
	if (!g)
		return;
	tram_exec_destroy(&g->chunk);
	tram_exec_destroy(&g->single);
	tram_vars_destroy(&g->vars);
	tram_sampler_finish(&g->sampler);
	tram_free(g->ctx, g->context);
	tram_free(g->ctx, g);
}

/* Runs @n tokens, as many as @exec was recorded for, behind what the cache holds. */
static int run(struct tram_generator *g, struct tram_exec *exec, const uint32_t *ids, uint32_t n)
{
	int32_t *tokens = tram_exec_input(exec, 0, "tokens");
	int32_t *positions = tram_exec_input(exec, 0, "positions");	/* NULL: not asked for */
	int r;

	for (uint32_t i = 0; i < n; i++) {
		tokens[i] = (int32_t)ids[i];
		if (positions)
			positions[i] = (int32_t)(g->held + i);
	}
	tram_exec_step(exec, 0)->pos = g->held;
	r = tram_exec_run(exec);
	if (r)
		return r;
	memmove(g->context + g->held, ids, n * sizeof(*ids));
	g->held += n;
	g->logits = tram_exec_output(exec, 0, "logits");
	return 0;
}

/* Feeds @n tokens that fit behind what the cache holds. */
static int feed(struct tram_generator *g, const uint32_t *ids, uint64_t n)
{
	int r = 0;

	while (!r && n) {
		bool whole = g->chunk && n >= PREFILL;
		uint32_t k = whole ? PREFILL : 1;

		r = run(g, whole ? g->chunk : g->single, ids, k);
		ids += k;
		n -= k;
	}
	return r;
}

/* A full cache begins again with the newest half of the context. */
static int append(struct tram_generator *g, uint32_t id)
{
	if (g->held == g->max_seq) {
		uint32_t keep = g->max_seq / 2;
		int r;

		g->held = 0;
		r = feed(g, g->context + (g->max_seq - keep), keep);
		if (r)
			return r;
	}
	return feed(g, &id, 1);
}

static int check_request(struct tram_generator *g, const uint32_t *prompt, size_t n,
			 const struct tram_sample_params *p)
{
	if (!n)
		return tram_fail(g->ctx, -EINVAL, "prompt: empty; give at least one token");
	for (size_t i = 0; i < n; i++)
		if (prompt[i] >= g->vocab)
			return tram_fail(g->ctx, -EINVAL, "prompt: token %u at place %zu, but the "
					 "model's vocabulary has %u", prompt[i], i, g->vocab);
	if (!(p->temperature >= 0 && p->temperature < 1e6))
		return tram_fail(g->ctx, -EINVAL, "temperature %g: must be at least 0",
				 p->temperature);
	if (!(p->top_p >= 0 && p->top_p <= 1))
		return tram_fail(g->ctx, -EINVAL, "top-p %g: must be within 0 .. 1", p->top_p);
	return 0;
}

int tram_generate(struct tram_generator *g, const uint32_t *prompt, size_t n_prompt,
		  uint64_t count, const struct tram_sample_params *params,
		  int (*token)(void *arg, uint32_t id), void *arg)
{
	int r = check_request(g, prompt, n_prompt, params);

	if (r)
		return r;
	/* Of a prompt longer than the model, the end counts. */
	if (n_prompt > g->max_seq) {
		prompt += n_prompt - g->max_seq;
		n_prompt = g->max_seq;
	}
	g->held = 0;
	r = feed(g, prompt, n_prompt);
	for (uint64_t i = 0; !r && i < count; i++) {
		uint32_t id = tram_sample(&g->sampler, g->logits, params, i);

		if (token(arg, id))
			break;
		if (i + 1 < count)
			r = append(g, id);
	}
	return r;
}
