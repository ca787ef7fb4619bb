/* SPDX-License-Identifier: MIT */
/*
 * Parts of training: train.c is the loop and the gate's policies,
 * checkpoint.c writes and finds checkpoints, saver.c writes them beside the
 * loop, evaluate.c walks a stream without updating.
 */
#ifndef TRAM_TRAIN_TRAIN_H
#define TRAM_TRAIN_TRAIN_H

#include <tram/train.h>

#include "base/base.h"

/* --- evaluate.c: one recorded evaluation graph, used again and again --------- */

struct tram_evaluator;

/* Evaluates with the variable "params" of @vars, at most @batch windows of @seq a run. */
int tram_evaluator_create(struct tram_device *dev, const struct tram_model *model,
			  struct tram_vars *vars, uint32_t batch, uint32_t seq, bool logits,
			  uint64_t budget, struct tram_evaluator **ev);
void tram_evaluator_destroy(struct tram_evaluator **ev);
/* @logits_npy: NULL unless made with logits. */
int tram_evaluator_run(struct tram_evaluator *ev, struct tram_stream *stream, uint64_t limit,
		       const char *logits_npy, struct tram_eval_result *result);
void tram_evaluator_predict(const struct tram_evaluator *ev, struct tram_prediction *p);

/* --- checkpoint.c --------------------------------------------------------------- */

/* What a resumed run needs besides tensors. Text members are owned. */
struct tram_train_state {
	uint64_t step;			/* steps taken from the stream */
	uint64_t updates;		/* of them, let through by the gate */
	double loss_mean;		/* running mean of the loss, for the spike policy */
	/* What must be the same for the same bits. */
	uint64_t seed, data_hash, tokenizer_hash;
	uint32_t batch, seq, shards, order;
	double dropout;
	/* What may change, with a word about it. */
	uint64_t steps, warmup;
	double lr, beta1, beta2, eps, weight_decay, clip;
	uint32_t schedule;
	char numeric_class[96];
};

/* One checkpoint to write: flat arrays of info.flat elements, borrowed. */
struct tram_checkpoint {
	const struct tram_model *model;
	const struct tram_tokenizer *tok;	/* may be NULL */
	const float *params, *m, *v;
	struct tram_train_state state;
};

/* Writes OUT/step-NNNNNNNN as a whole: beside, hashed, fsynced, renamed. */
int tram_checkpoint_write(struct tram_ctx *ctx, const char *out, const struct tram_checkpoint *c);
/* Loads a whole checkpoint folder into flat arrays. */
int tram_checkpoint_read(struct tram_ctx *ctx, const char *dir, const struct tram_model *model,
			 float *params, float *m, float *v, struct tram_train_state *state);
/* Removes all but the newest @keep checkpoints of @out and left-overs of killed writers. */
int tram_checkpoint_prune(struct tram_ctx *ctx, const char *out, uint32_t keep);
/* Whether @out holds any checkpoint, whole or not; *step of the newest by name. */
bool tram_checkpoint_any(struct tram_ctx *ctx, const char *out, uint64_t *step);

/* --- saver.c: one thread that writes pinned versions ------------------------------ */

struct tram_saver;

int tram_saver_create(struct tram_ctx *ctx, const char *out, uint32_t keep,
		      const struct tram_model *model, const struct tram_tokenizer *tok,
		      struct tram_saver **saver);
/* Waits for the write in progress. */
void tram_saver_destroy(struct tram_saver **saver);
/* Takes @*pin over; waits while an earlier write is in progress and returns its error. */
int tram_saver_put(struct tram_saver *saver, struct tram_pin **pin,
		   const struct tram_train_state *state);
/* Until all is on disk; the first error. */
int tram_saver_flush(struct tram_saver *saver);

#endif
