/* SPDX-License-Identifier: MIT */
/*
 * Evaluation: windows of T tokens walked in order through one recorded graph;
 * the mean of the losses of all targets. Reads the variable "params" and
 * changes nothing.
 */
#include <math.h>

#include "format/npy.h"
#include "model/model.h"
#include "train/train.h"

struct tram_evaluator {
	struct tram_ctx *ctx;
	struct tram_exec *exec;
	uint32_t batch, seq, vocab;
	uint32_t *tokens;	/* one window and the token after it */
};

int tram_evaluator_create(struct tram_device *dev, const struct tram_model *model,
			  struct tram_vars *vars, uint32_t batch, uint32_t seq, bool logits,
			  uint64_t budget, struct tram_evaluator **ev)
{
	const struct tram_exec_params params = { .budget = budget, .slots = 1 };
	struct tram_graph *graph = NULL;
	struct tram_evaluator *e;
	int r;

	*ev = NULL;
	e = tram_zalloc(model->ctx, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->ctx = model->ctx;
	e->batch = batch;
	e->seq = seq;
	e->vocab = model->vocab;
	e->tokens = tram_calloc(e->ctx, (size_t)seq + 1, sizeof(*e->tokens));
	r = e->tokens ? 0 : -ENOMEM;
	if (!r)
		r = tram_model_eval_graph(model, batch, seq, logits, &graph);
	if (!r)
		r = tram_exec_create(dev, vars, graph, &params, &e->exec);
	tram_graph_destroy(&graph);
	if (r) {
		tram_evaluator_destroy(&e);
		return r;
	}
	*ev = e;
	return 0;
}

void tram_evaluator_destroy(struct tram_evaluator **ev)
{
	struct tram_evaluator *e = *ev;

	*ev = NULL;
	if (!e)
		return;
	tram_exec_destroy(&e->exec);
	tram_free(e->ctx, e->tokens);
	tram_free(e->ctx, e);
}

void tram_evaluator_predict(const struct tram_evaluator *e, struct tram_prediction *p)
{
	tram_exec_predict(e->exec, p);
}

/* Window @w into row @row of the inputs. */
static int fill_row(struct tram_evaluator *e, struct tram_stream *stream, uint64_t w, uint32_t row)
{
	int32_t *tokens = (int32_t *)tram_exec_input(e->exec, 0, "tokens") + (size_t)row * e->seq;
	int32_t *targets = (int32_t *)tram_exec_input(e->exec, 0, "targets") +
			   (size_t)row * e->seq;
	uint64_t first = w * e->seq;
	int r = tram_stream_read(stream, first, (size_t)e->seq + 1, e->tokens);

	if (r)
		return r;
	for (uint32_t t = 0; t <= e->seq; t++) {
		if (e->tokens[t] >= e->vocab)
			return tram_fail(e->ctx, -EINVAL, "evaluation data: token %u at place %llu, "
					 "but the model's vocabulary has %u; use the tokenizer "
					 "that the model was made with", e->tokens[t],
					 (unsigned long long)(first + t), e->vocab);
		if (t < e->seq)
			tokens[t] = (int32_t)e->tokens[t];
		if (t)
			targets[t - 1] = (int32_t)e->tokens[t];
	}
	return 0;
}

/* Rows past the last window count for nothing. */
static void blank_row(struct tram_evaluator *e, uint32_t row)
{
	int32_t *tokens = (int32_t *)tram_exec_input(e->exec, 0, "tokens") + (size_t)row * e->seq;
	int32_t *targets = (int32_t *)tram_exec_input(e->exec, 0, "targets") +
			   (size_t)row * e->seq;

	for (uint32_t t = 0; t < e->seq; t++) {
		tokens[t] = 0;
		targets[t] = -1;
	}
}

/* Runs windows [first, first + n); adds their losses to *sum. */
static int run_batch(struct tram_evaluator *e, struct tram_stream *stream, uint64_t first,
		     uint32_t n, double *sum)
{
	const float *losses;
	int r = 0;

	for (uint32_t i = 0; !r && i < e->batch; i++) {
		if (i < n)
			r = fill_row(e, stream, first + i, i);
		else
			blank_row(e, i);
	}
	tram_exec_step(e->exec, 0)->inv_targets = 1;
	if (!r)
		r = tram_exec_run(e->exec);
	if (r)
		return r;
	losses = tram_exec_output(e->exec, 0, "losses");
	for (size_t i = 0; i < (size_t)n * e->seq; i++)
		*sum += losses[i];
	return 0;
}

int tram_evaluator_run(struct tram_evaluator *e, struct tram_stream *stream, uint64_t limit,
		       const char *logits_npy, struct tram_eval_result *result)
{
	uint64_t total = tram_stream_tokens(stream), windows, start = tram_now_ns();
	struct tram_npy_writer *npy = NULL;
	double sum = 0;
	int r = 0;

	memset(result, 0, sizeof(*result));
	windows = total ? (total - 1) / e->seq : 0;
	if (!windows)
		return tram_fail(e->ctx, -EINVAL, "evaluation data: %llu tokens, but one window of "
				 "--seq %u needs %u; use a shorter --seq or more text",
				 (unsigned long long)total, e->seq, e->seq + 1);
	if (limit && limit < windows)
		windows = limit;
	if (logits_npy)
		r = tram_npy_writer_create(e->ctx, logits_npy, TRAM_NPY_F32, 2,
					   (uint64_t[]){ windows * e->seq, e->vocab }, &npy);
	for (uint64_t w = 0; !r && w < windows; w += e->batch) {
		uint32_t n = (uint32_t)TRAM_MIN((uint64_t)e->batch, windows - w);

		r = run_batch(e, stream, w, n, &sum);
		if (!r && npy)
			r = tram_npy_writer_write(e->ctx, npy,
						  tram_exec_output(e->exec, 0, "logits"),
						  (size_t)n * e->seq * e->vocab);
	}
	if (npy && r)
		tram_npy_writer_abort(e->ctx, &npy);
	else if (npy)
		r = tram_npy_writer_commit(e->ctx, &npy);
	if (r)
		return r;
	result->windows = windows;
	result->targets = windows * e->seq;
	result->loss = sum / (double)result->targets;
	result->tokens_per_s = (double)result->targets * 1e9 /
			       (double)TRAM_MAX(tram_now_ns() - start, (uint64_t)1);
	return 0;
}

/* About 2,048 tokens a run: large enough for a device, small enough for its memory. */
static uint32_t eval_batch(uint32_t seq, uint64_t windows)
{
	uint64_t batch = TRAM_MAX(2048 / seq, (uint32_t)1);

	return (uint32_t)TRAM_MAX(TRAM_MIN(batch, windows), (uint64_t)1);
}

int tram_evaluate(struct tram_device *dev, struct tram_model *model, const float *flat,
		  struct tram_stream *stream, uint32_t seq, uint64_t limit,
		  const char *logits_npy, struct tram_eval_result *result)
{
	uint64_t windows = tram_stream_tokens(stream) / seq;
	struct tram_evaluator *ev = NULL;
	struct tram_vars *vars = NULL;
	int r;

	memset(result, 0, sizeof(*result));
	r = tram_vars_create(dev, &vars);
	if (!r)
		r = tram_vars_add(vars, "params", model->flat);
	if (!r)
		r = tram_vars_write(vars, "params", 0, model->flat, flat);
	if (!r)
		r = tram_evaluator_create(dev, model, vars,
					  eval_batch(seq, limit ? TRAM_MIN(limit, windows) : windows),
					  seq, logits_npy != NULL, 0, &ev);
	if (!r)
		r = tram_evaluator_run(ev, stream, limit, logits_npy, result);
	tram_evaluator_destroy(&ev);
	tram_vars_destroy(&vars);
	return r;
}
