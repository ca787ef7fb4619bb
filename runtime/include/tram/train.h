/* SPDX-License-Identifier: MIT */
/*
 * Training: the loop over a model, a stream and a device, with the commit
 * gate's policies, evaluation, checkpoints and resume.
 */
#ifndef TRAM_TRAIN_H
#define TRAM_TRAIN_H

#include <tram/data.h>
#include <tram/device.h>
#include <tram/exec.h>
#include <tram/model.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tram_schedule { TRAM_SCHEDULE_CONSTANT, TRAM_SCHEDULE_COSINE };

/* Zero means the default, given in brackets. */
struct tram_train_params {
	uint64_t steps;			/* [100] */
	uint32_t batch, seq, shards;	/* [8], [the model's], [1] */
	double lr;			/* [3e-4] */
	enum tram_schedule schedule;	/* [constant]; cosine falls to lr/10 at the last step */
	uint64_t warmup;		/* steps of linear warm-up */
	double beta1, beta2, eps;	/* [0.9, 0.999, 1e-8] */
	double weight_decay;
	double clip;			/* 0: none */
	uint64_t seed;
	enum tram_order order;
	uint64_t eval_every;		/* 0: only at the end, if there is evaluation data */
	uint64_t eval_limit;		/* windows evaluated at most; 0: all */
	uint64_t save_every;		/* 0: only at the end */
	const char *out;		/* folder of checkpoints; NULL: none */
	bool resume;
	bool allow_class_change;
	uint64_t budget;		/* device bytes; 0: the device's */
	const char *trace;		/* Chrome trace JSON of one step; NULL: none */
	double spike_factor;		/* loss > factor x its running mean: roll back; 0: off */
	uint32_t keep;			/* checkpoints kept besides the last good one [2] */
	const char *init;		/* safetensors to begin with; NULL: tram_model_init(seed) */
};

struct tram_train_event {
	enum tram_train_event_kind {
		TRAM_EVENT_PLAN,	/* first, and again when shards moved between devices */
		TRAM_EVENT_STEP, TRAM_EVENT_EVAL, TRAM_EVENT_SAVE,
		TRAM_EVENT_SKIP,	/* non-finite gradient: the step left no trace */
		TRAM_EVENT_ROLLBACK,	/* loss spike: back to an earlier version */
		TRAM_EVENT_RESUME, TRAM_EVENT_DONE,
	} kind;
	uint64_t step;			/* steps done, this one included */
	double loss, grad_norm, lr, step_ms, tokens_per_s;
	struct tram_prediction plan;
	uint64_t peak_bytes;		/* counted, DONE */
	char sha256[65];		/* DONE */
	double median_step_ms;		/* DONE */
	const char *text;		/* a line for people; path of a checkpoint */
};

struct tram_trainer;

/*
 * On @n_devs devices of one numeric class (at most params->shards; they must outlive the trainer), which share the
 * batch's shards by their measured speed; how many they are never shows in the result.
 * @eval_stream and @tok may be NULL; a tokenizer is saved into checkpoints. Everything is checked, planned and
 * allocated here; with params->resume the newest whole checkpoint of params->out is loaded (none: -ENOENT).
 */
int tram_trainer_create(struct tram_device *const *devs, size_t n_devs, struct tram_model *model,
			struct tram_stream *stream, struct tram_stream *eval_stream,
			struct tram_tokenizer *tok, const struct tram_train_params *params,
			struct tram_trainer **trainer);
void tram_trainer_destroy(struct tram_trainer **trainer);

/*
 * Trains to the end. @event is called from this thread; it returns 0, or 1 to stop after this step (a checkpoint is
 * written). Returns 0 or the error that ended it; what was committed is in the last checkpoint.
 */
int tram_trainer_run(struct tram_trainer *trainer,
		     int (*event)(void *arg, const struct tram_train_event *ev), void *arg);

/*
 * Stages of the data pipeline and of the step, for "what limits"; see tram_loader_stats. With several devices "exchange" is
 * what adds their gradients and gathers the weights.
 */
size_t tram_trainer_stages(struct tram_trainer *trainer, struct tram_stage_stats *stats, size_t max);
/* The limiting stage's name and why, one line. */
const char *tram_trainer_limit(struct tram_trainer *trainer);
/* Weights now: flat, info.flat elements. */
int tram_trainer_weights(struct tram_trainer *trainer, float *flat);

/*
 * The newest whole checkpoint below @run_dir, or @run_dir itself when it is a model folder. Every byte is checked against its hash. *path to be
 * freed with tram_text_free. -ENOENT when there is none; torn ones are logged and passed over.
 */
int tram_checkpoint_find(struct tram_ctx *ctx, const char *run_dir, char **path);

struct tram_eval_result { double loss; uint64_t targets; uint64_t windows; double tokens_per_s; };
/*
 * Mean loss over windows of @seq tokens from the start of @stream (as training with sequential order sees them), at most @limit windows (0: all).
 * @logits_npy: writes f32 [windows * seq, vocab]; NULL: no.
 */
int tram_evaluate(struct tram_device *dev, struct tram_model *model, const float *flat,
		  struct tram_stream *stream, uint32_t seq, uint64_t limit,
		  const char *logits_npy, struct tram_eval_result *result);

#ifdef __cplusplus
}
#endif
#endif
