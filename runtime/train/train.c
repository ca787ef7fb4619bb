/* SPDX-License-Identifier: MIT */
/*
 * The training loop. A step k goes through the engine (one device, or several):
 *
 *	next batch -> begin -> wait -> judge -> end
 *
 * Where the engine allows two, step k + 1 is begun while step k computes, to
 * run behind k's gate, unless something happens between the two (an
 * evaluation, a checkpoint, the end). What the update reads of the step block
 * (lr, bias corrections) is written just before the gate opens, because only then
 * is known how many updates came before. checkpoint.c and saver.c keep
 * versions, evaluate.c measures them.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sbuf.h"
#include "model/model.h"
#include "train/engine.h"
#include "train/train.h"

#define STAGE_MAX 12
/* The spike policy: the loss's running mean has this weight, and a good version is pinned this often. */
#define SPIKE_DECAY 0.95
#define SPIKE_PIN_EVERY 20

struct tram_trainer {
	struct tram_ctx *ctx;
	struct tram_device *dev;	/* the first */
	struct tram_model *model;
	struct tram_stream *stream, *eval_stream;
	struct tram_tokenizer *tok;
	struct tram_train_params p;
	char *out, *trace, *init;

	struct tram_engine *engine;
	struct tram_evaluator *eval;
	struct tram_loader *loader;
	struct tram_saver *saver;

	struct tram_train_state state;
	uint64_t saved_step;		/* of the newest checkpoint, ~0: none */
	struct tram_pin *good;		/* the spike policy's last good version */
	struct tram_train_state good_state;
	struct tram_prediction prediction;
	uint32_t plans;			/* the engine's, when last told */
	float inv_targets[2];		/* by slot */

	/* Stages beyond the loader's, nanoseconds of this thread. */
	uint64_t load_ns, upload_ns, device_ns, loop_ns, steps_run;
	double *step_ms;		/* ring of recent step times */
	size_t n_step_ms;
	char limit[200];

	int (*event)(void *arg, const struct tram_train_event *ev);
	void *event_arg;
	bool stop;
};

#define STEP_MS_RING 512

/* --- parameters ------------------------------------------------------------------- */

static int check_range(struct tram_ctx *ctx, const char *what, double v, double min, double max)
{
	if (v >= min && v <= max)
		return 0;
	return tram_fail(ctx, -EINVAL, "%s: %g is outside %g .. %g", what, v, min, max);
}

static int set_params(struct tram_trainer *t, const struct tram_train_params *p)
{
	struct tram_train_params *q = &t->p;
	int r = 0;

	*q = *p;
	q->steps = p->steps ? p->steps : 100;
	q->batch = p->batch ? p->batch : 8;
	q->seq = p->seq ? p->seq : t->model->max_seq;
	q->shards = p->shards ? p->shards : 1;
	q->lr = p->lr != 0 ? p->lr : 3e-4;
	q->beta1 = p->beta1 != 0 ? p->beta1 : 0.9;
	q->beta2 = p->beta2 != 0 ? p->beta2 : 0.999;
	q->eps = p->eps != 0 ? p->eps : 1e-8;
	q->keep = p->keep ? p->keep : 2;
	const struct { const char *what; double v, min, max; } range[] = {
		{ "--lr", q->lr, 0, 1e38 }, { "--betas", q->beta1, 0, 0.999999 },
		{ "--betas", q->beta2, 0, 0.99999999 }, { "--eps", q->eps, 1e-30, 1 },
		{ "--weight-decay", q->weight_decay, 0, 1e3 }, { "--clip", q->clip, 0, 1e9 },
		{ "--steps", (double)q->steps, 1, 1e12 },
	};
	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(range); i++)
		r = check_range(t->ctx, range[i].what, range[i].v, range[i].min, range[i].max);
	return r;
}

/* Linear warm-up, then constant or a half cosine down to a tenth. */
static double learning_rate(const struct tram_train_params *p, uint64_t step)
{
	const double floor = 0.1 * p->lr;
	double x;

	if (step < p->warmup)
		return p->lr * (double)(step + 1) / (double)p->warmup;
	if (p->schedule == TRAM_SCHEDULE_CONSTANT || p->steps <= p->warmup + 1)
		return p->lr;
	x = (double)(step - p->warmup) / (double)(p->steps - 1 - p->warmup);
	x = x > 1 ? 1 : x;
	return floor + 0.5 * (p->lr - floor) * (1 + cos(M_PI * x));
}

/* --- creation ------------------------------------------------------------------------ */

static void fresh_state(struct tram_trainer *t)
{
	const struct tram_train_params *p = &t->p;

	t->state = (struct tram_train_state){
		.seed = p->seed, .data_hash = tram_stream_hash(t->stream),
		.tokenizer_hash = t->tok ? tram_tokenizer_hash(t->tok) : 0,
		.batch = p->batch, .seq = p->seq, .shards = p->shards, .order = p->order,
		.dropout = t->model->dropout, .steps = p->steps, .warmup = p->warmup,
		.lr = p->lr, .beta1 = p->beta1, .beta2 = p->beta2, .eps = p->eps,
		.weight_decay = p->weight_decay, .clip = p->clip, .schedule = p->schedule,
	};
	snprintf(t->state.numeric_class, sizeof(t->state.numeric_class), "%s",
		 tram_device_info(t->dev)->numeric_class);
}

/* A resumed run has to be the run it resumes. */
static int check_resumed(struct tram_trainer *t, const struct tram_train_state *was,
			 const char *dir)
{
	const struct tram_train_state *now = &t->state;
	const struct { const char *what; uint64_t was, now; } same[] = {
		{ "--seed", was->seed, now->seed }, { "--batch", was->batch, now->batch },
		{ "--seq", was->seq, now->seq }, { "--shards", was->shards, now->shards },
		{ "--order (0 shuffled, 1 sequential)", was->order, now->order },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(same); i++)
		if (same[i].was != same[i].now)
			return tram_fail(t->ctx, -EINVAL, "%s: the run had %s %" PRIu64 ", now it "
					 "is %" PRIu64 "; resume with the former", dir,
					 same[i].what, same[i].was, same[i].now);
	if ((float)was->dropout != (float)now->dropout)
		return tram_fail(t->ctx, -EINVAL, "%s: the run had --dropout %g, now it is %g; "
				 "resume with the former", dir, was->dropout, now->dropout);
	if (was->data_hash != now->data_hash || was->tokenizer_hash != now->tokenizer_hash)
		return tram_fail(t->ctx, -EINVAL, "%s: the run was on other %s; resume with the "
				 "same, or start another run", dir,
				 was->data_hash != now->data_hash ? "--data" : "--tokenizer");
	if (strcmp(was->numeric_class, now->numeric_class)) {
		if (!t->p.allow_class_change)
			return tram_fail(t->ctx, -EINVAL, "%s: made in numeric class \"%s\", this "
					 "device is \"%s\": the bits would differ; choose such a "
					 "device or pass --allow-class-change", dir,
					 was->numeric_class, now->numeric_class);
		tram_log(t->ctx, TRAM_LOG_WARN, "numeric class changes from \"%s\" to \"%s\"",
			 was->numeric_class, now->numeric_class);
	}
	if (was->lr != now->lr || was->steps != now->steps || was->schedule != now->schedule ||
	    was->warmup != now->warmup || was->beta1 != now->beta1 || was->beta2 != now->beta2 ||
	    was->eps != now->eps || was->weight_decay != now->weight_decay ||
	    was->clip != now->clip)
		tram_log(t->ctx, TRAM_LOG_WARN, "%s: steps, schedule or optimizer differ from the "
			 "run's so far; from here on it is another run", dir);
	return 0;
}

static int write_state_vars(struct tram_trainer *t, float *const flat[3])
{
	int r = 0;

	for (int i = 0; !r && i < 3; i++)
		r = t->engine->ops->write(t->engine, tram_engine_state[i], flat[i]);
	return r;
}

static int load_checkpoint(struct tram_trainer *t, const char *dir)
{
	struct tram_train_state was;
	float *flat[3] = { NULL, NULL, NULL };
	int r = 0;

	for (int i = 0; !r && i < 3; i++) {
		flat[i] = tram_calloc(t->ctx, t->model->flat, sizeof(float));
		r = flat[i] ? 0 : -ENOMEM;
	}
	if (!r)
		r = tram_checkpoint_read(t->ctx, dir, t->model, flat[0], flat[1], flat[2], &was);
	if (!r)
		r = check_resumed(t, &was, dir);
	if (!r)
		r = write_state_vars(t, flat);
	if (!r) {
		t->state.step = was.step;
		t->state.updates = was.updates;
		t->state.loss_mean = was.loss_mean;
		t->saved_step = was.step;
	}
	for (int i = 0; i < 3; i++)
		tram_free(t->ctx, flat[i]);
	return r;
}

static int first_weights(struct tram_trainer *t)
{
	float *flat = tram_alloc(t->ctx, t->model->flat * sizeof(float));
	int r = 0;

	if (!flat)
		return -ENOMEM;
	if (t->init)
		r = tram_model_load(t->model, t->init, flat);
	else
		tram_model_init(t->model, t->p.seed, flat);
	if (!r)
		r = t->engine->ops->write(t->engine, "params", flat);
	tram_free(t->ctx, flat);
	return r;
}

/* Where the run begins: a checkpoint, or the first weights. */
static int begin_state(struct tram_trainer *t)
{
	uint64_t step;
	char *dir;
	int r;

	fresh_state(t);
	t->saved_step = UINT64_MAX;
	if (t->out && t->p.resume) {
		r = tram_checkpoint_any(t->ctx, t->out, &step) ?
		    tram_checkpoint_find(t->ctx, t->out, &dir) : -ENOENT;
		if (!r) {
			r = load_checkpoint(t, dir);
			tram_free(t->ctx, dir);
			return r;
		}
		if (r != -ENOENT)
			return r;
		tram_log(t->ctx, TRAM_LOG_INFO, "%s: no whole checkpoint yet, starting from the "
			 "first step", t->out);
	} else if (t->out && tram_checkpoint_any(t->ctx, t->out, &step)) {
		return tram_fail(t->ctx, -EEXIST, "%s: holds a run with a checkpoint of step %"
				 PRIu64 "; pass --resume to go on, or another --out", t->out, step);
	}
	return first_weights(t);
}

static int create_engine(struct tram_trainer *t, struct tram_device *const *devs, size_t n)
{
	const struct tram_train_params *p = &t->p;
	const struct tram_engine_params ep = {
		.batch = p->batch, .seq = p->seq, .shards = p->shards, .budget = p->budget,
		.opt = {
			.beta1 = (float)p->beta1, .beta2 = (float)p->beta2, .eps = (float)p->eps,
			.weight_decay = (float)p->weight_decay, .clip = (float)p->clip,
		},
	};
	uint64_t left;
	int r = tram_engine_create(devs, n, t->model, &ep, &t->engine);

	if (r || !t->eval_stream)
		return r;
	left = tram_engine_left(t->dev, p->budget, t->model->flat);
	return tram_evaluator_create(t->dev, t->model, t->engine->vars, p->batch, p->seq, false, left,
				     &t->eval);
}

/* The whole run's: the evaluator shares the variables. */
static void predict(struct tram_trainer *t)
{
	struct tram_prediction ev;

	t->engine->ops->predict(t->engine, &t->prediction);
	if (t->eval) {
		tram_evaluator_predict(t->eval, &ev);
		t->prediction.peak_bytes += ev.peak_bytes - ev.variable_bytes;
		t->prediction.arena_bytes += ev.arena_bytes;
		t->prediction.io_bytes += ev.io_bytes;
	}
}

static int create_loader(struct tram_trainer *t)
{
	const struct tram_loader_params lp = {
		.batch = t->p.batch, .seq = t->p.seq, .shards = t->p.shards,
		.vocab = t->model->vocab, .order = t->p.order, .seed = t->p.seed,
		.first_step = t->state.step,
	};

	return tram_loader_create(t->ctx, t->stream, &lp, &t->loader);
}

static char *keep_text(struct tram_trainer *t, const char *s, int *r)
{
	char *copy = s ? tram_strdup(t->ctx, s) : NULL;

	if (s && !copy)
		*r = -ENOMEM;
	return copy;
}

int tram_trainer_create(struct tram_device *const *devs, size_t n_devs, struct tram_model *model,
			struct tram_stream *stream, struct tram_stream *eval_stream,
			struct tram_tokenizer *tok, const struct tram_train_params *params,
			struct tram_trainer **trainer)
{
	struct tram_trainer *t;
	int r;

	*trainer = NULL;
	t = tram_zalloc(model->ctx, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->ctx = model->ctx;
	t->dev = n_devs ? devs[0] : NULL;
	t->model = model;
	t->stream = stream;
	t->eval_stream = eval_stream;
	t->tok = tok;
	r = set_params(t, params);
	t->out = keep_text(t, params->out, &r);
	t->trace = keep_text(t, params->trace, &r);
	t->init = keep_text(t, params->init, &r);
	t->step_ms = tram_calloc(t->ctx, STEP_MS_RING, sizeof(*t->step_ms));
	if (!t->step_ms)
		r = r ? r : -ENOMEM;
	if (!r)
		r = create_engine(t, devs, n_devs);
	if (!r)
		r = begin_state(t);
	if (!r)
		r = t->engine->ops->calibrate(t->engine);
	if (!r)
		r = create_loader(t);
	if (!r && t->out)
		r = tram_saver_create(t->ctx, t->out, t->p.keep, model, tok, &t->saver);
	if (r) {
		tram_trainer_destroy(&t);
		return r;
	}
	*trainer = t;
	return 0;
}

void tram_trainer_destroy(struct tram_trainer **trainer)
{
	struct tram_trainer *t = *trainer;

	*trainer = NULL;
	if (!t)
		return;
	tram_saver_destroy(&t->saver);
	tram_loader_destroy(&t->loader);
	tram_pin_release(&t->good);
	tram_evaluator_destroy(&t->eval);
	tram_engine_destroy(&t->engine);
	tram_free(t->ctx, t->step_ms);
	tram_free(t->ctx, t->init);
	tram_free(t->ctx, t->trace);
	tram_free(t->ctx, t->out);
	tram_free(t->ctx, t);
}

/* --- events ---------------------------------------------------------------------------- */

static void tell(struct tram_trainer *t, struct tram_train_event *ev)
{
	ev->step = ev->step ? ev->step : t->state.step;
	if (t->event && t->event(t->event_arg, ev))
		t->stop = true;
}

/* What is planned, and again when it changes. */
static void tell_plan(struct tram_trainer *t)
{
	struct tram_train_event ev = { .kind = TRAM_EVENT_PLAN };

	predict(t);
	t->plans = t->engine->plans;
	ev.plan = t->prediction;
	tell(t, &ev);
}

/* --- one step ----------------------------------------------------------------------------- */

static uint32_t slot_of(const struct tram_trainer *t, uint64_t s)
{
	return (uint32_t)(s % t->engine->ahead);
}

/* Fills step @s (from 0) with the next batch and submits it. */
static int begin_step(struct tram_trainer *t, uint64_t s)
{
	struct tram_batch_data b;
	struct tram_step block;
	uint64_t t0 = tram_now_ns(), t1;
	int r = tram_loader_next(t->loader, &b);

	t1 = tram_now_ns();
	t->load_ns += t1 - t0;
	if (r)
		return r;
	assert(b.step == s);
	block = (struct tram_step){
		.step = (uint32_t)(s + 1), .loss_scale = 1,
		.seed = { (uint32_t)t->p.seed, (uint32_t)(t->p.seed >> 32) },
		.inv_targets = b.n_targets ? 1.0f / (float)b.n_targets : 0,
	};
	t->inv_targets[slot_of(t, s)] = block.inv_targets;
	r = t->engine->ops->begin(t->engine, slot_of(t, s), &b, &block);
	t->upload_ns += tram_now_ns() - t1;
	if (!r && t->plans != t->engine->plans)
		tell_plan(t);
	return r;
}

/* What the update reads; the number of updates is known only now. */
static struct tram_engine_update update_of(const struct tram_trainer *t, uint64_t s)
{
	double n = (double)(t->state.updates + 1);

	return (struct tram_engine_update){
		.lr = (float)learning_rate(&t->p, s),
		.bias_correction1 = (float)(1 - pow(t->p.beta1, n)),
		.bias_correction2 = (float)(1 - pow(t->p.beta2, n)),
	};
}

enum verdict { VERDICT_GO, VERDICT_SKIP, VERDICT_ROLLBACK };

static enum verdict judge(struct tram_trainer *t, double loss, bool finite)
{
	const struct tram_train_state *s = &t->state;

	if (!finite || !isfinite(loss))
		return VERDICT_SKIP;
	if (t->p.spike_factor > 0 && t->good && s->loss_mean > 0 &&
	    loss > t->p.spike_factor * s->loss_mean)
		return VERDICT_ROLLBACK;
	return VERDICT_GO;
}

/* Waits for step @s, decides, tells. */
static int end_step(struct tram_trainer *t, uint64_t s, uint64_t *begin_ns)
{
	const struct tram_engine_update u = update_of(t, s);
	struct tram_train_event ev = { .kind = TRAM_EVENT_STEP, .step = s + 1, .lr = u.lr };
	uint32_t slot = slot_of(t, s);
	uint64_t now, t0 = tram_now_ns();
	const float *stats;
	enum verdict v;
	char text[160];
	float loss;
	int r = t->engine->ops->wait(t->engine, slot, &loss, &stats);

	if (r)
		return r;
	ev.loss = (double)loss * (double)t->inv_targets[slot];
	ev.grad_norm = stats[2];
	v = judge(t, ev.loss, stats[1] == 1.0f && isfinite(stats[2]));
	r = t->engine->ops->end(t->engine, slot, &u, v == VERDICT_GO);
	if (r)
		return r;
	now = tram_now_ns();
	t->device_ns += now - t0;
	ev.step_ms = (double)(now - *begin_ns) * 1e-6;
	ev.tokens_per_s = (double)t->p.batch * t->p.seq * 1e3 / TRAM_MAX(ev.step_ms, 1e-9);
	*begin_ns = now;
	t->step_ms[t->n_step_ms++ % STEP_MS_RING] = ev.step_ms;
	t->steps_run++;
	t->state.step = s + 1;
	if (v == VERDICT_GO) {
		t->state.updates++;
		t->state.loss_mean = t->state.loss_mean > 0 ?
			SPIKE_DECAY * t->state.loss_mean + (1 - SPIKE_DECAY) * ev.loss : ev.loss;
	} else if (v == VERDICT_SKIP) {
		snprintf(text, sizeof(text), "step %" PRIu64 " skipped: its %s not finite; the "
			 "weights are as before", s + 1,
			 isfinite(ev.loss) ? "gradient is" : "loss is");
		ev.kind = TRAM_EVENT_SKIP;
		ev.text = text;
	} else {
		snprintf(text, sizeof(text), "step %" PRIu64 ": loss %.4f is over %g times its mean "
			 "%.4f; back to the weights of step %" PRIu64 ", its batch is left out",
			 s + 1, ev.loss, t->p.spike_factor, t->state.loss_mean,
			 t->good_state.step);
		ev.kind = TRAM_EVENT_ROLLBACK;
		ev.text = text;
		/* The stream goes on: what made the loss jump is not met again. */
		t->state.updates = t->good_state.updates;
		t->state.loss_mean = t->good_state.loss_mean;
	}
	tell(t, &ev);
	return v == VERDICT_ROLLBACK ? 1 : 0;
}

/* --- between steps ------------------------------------------------------------------------- */

static bool due(uint64_t every, uint64_t step)
{
	return every && step % every == 0;
}

static bool spike_pin_due(const struct tram_trainer *t)
{
	return t->p.spike_factor > 0 && (!t->good || due(SPIKE_PIN_EVERY, t->state.step));
}

/* Whether nothing may be submitted past step @s (from 0) before it is finished. */
static bool boundary_after(const struct tram_trainer *t, uint64_t s)
{
	uint64_t done = s + 1;

	return t->engine->ahead < 2 || done >= t->p.steps || (t->eval && due(t->p.eval_every, done)) ||
	       (t->saver && due(t->p.save_every, done)) || t->p.spike_factor > 0;
}

static int evaluate(struct tram_trainer *t)
{
	struct tram_train_event ev = { .kind = TRAM_EVENT_EVAL };
	struct tram_eval_result res;
	int r = tram_evaluator_run(t->eval, t->eval_stream, t->p.eval_limit, NULL, &res);

	if (r)
		return r;
	ev.loss = res.loss;
	ev.tokens_per_s = res.tokens_per_s;
	tell(t, &ev);
	return 0;
}

static int save(struct tram_trainer *t)
{
	struct tram_train_event ev = { .kind = TRAM_EVENT_SAVE };
	struct tram_pin *pin;
	char text[32];
	int r;

	if (t->saved_step == t->state.step)
		return 0;
	r = t->engine->ops->pin(t->engine, &pin);
	if (!r)
		r = tram_saver_put(t->saver, &pin, &t->state);
	tram_pin_release(&pin);
	if (r)
		return r;
	t->saved_step = t->state.step;
	snprintf(text, sizeof(text), "step-%08" PRIu64, t->state.step);
	ev.text = text;
	tell(t, &ev);
	return 0;
}

static int pin_good(struct tram_trainer *t)
{
	tram_pin_release(&t->good);
	t->good_state = t->state;
	return t->engine->ops->pin(t->engine, &t->good);
}

/* At a step boundary, nothing in flight. */
static int between_steps(struct tram_trainer *t, bool last)
{
	uint64_t done = t->state.step;
	int r = 0;

	if (spike_pin_due(t))
		r = pin_good(t);
	if (!r && t->eval && (last || due(t->p.eval_every, done)))
		r = evaluate(t);
	if (!r && t->saver && (last || due(t->p.save_every, done)))
		r = save(t);
	return r;
}

/* --- the loop ---------------------------------------------------------------------------------- */

static int loop(struct tram_trainer *t)
{
	uint64_t s = t->state.step, begin_ns = tram_now_ns(), loop_ns = begin_ns;
	bool submitted = false;	/* step s is in flight */
	int r = t->p.spike_factor > 0 ? pin_good(t) : 0;

	while (!r && (submitted || (s < t->p.steps && !t->stop))) {
		bool ahead = false;

		if (!submitted)
			r = begin_step(t, s);
		if (!r && !t->stop && !boundary_after(t, s)) {
			r = begin_step(t, s + 1);
			ahead = !r;
		}
		if (!r)
			r = end_step(t, s, &begin_ns);
		if (r == 1)
			r = t->engine->ops->restore(t->engine, t->good);
		s++;
		submitted = ahead;
		if (!r && !ahead && !(t->stop || s >= t->p.steps)) {
			r = between_steps(t, false);
			begin_ns = tram_now_ns();
		}
	}
	t->loop_ns += tram_now_ns() - loop_ns;
	return r ? r : between_steps(t, true);
}

static int compare_double(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median_step_ms(const struct tram_trainer *t)
{
	double v[STEP_MS_RING];
	size_t n = TRAM_MIN(t->n_step_ms, (size_t)STEP_MS_RING);

	if (!n)
		return 0;
	memcpy(v, t->step_ms, n * sizeof(*v));
	qsort(v, n, sizeof(*v), compare_double);
	return v[n / 2];
}

static int finish_run(struct tram_trainer *t)
{
	struct tram_train_event ev = { .kind = TRAM_EVENT_DONE };
	uint64_t now;
	float *flat;
	int r = t->saver ? tram_saver_flush(t->saver) : 0;

	if (r)
		return r;
	flat = tram_alloc(t->ctx, t->model->flat * sizeof(*flat));
	if (!flat)
		return -ENOMEM;
	r = tram_trainer_weights(t, flat);
	if (!r)
		r = tram_model_sha256(t->model, flat, ev.sha256);
	tram_free(t->ctx, flat);
	if (r)
		return r;
	t->engine->ops->memory(t->engine, &now, &ev.peak_bytes);
	ev.median_step_ms = median_step_ms(t);
	tell(t, &ev);
	return 0;
}

int tram_trainer_run(struct tram_trainer *t,
		     int (*event)(void *arg, const struct tram_train_event *ev), void *arg)
{
	struct tram_train_event ev = { .kind = TRAM_EVENT_RESUME };
	int r;

	t->event = event;
	t->event_arg = arg;
	tell_plan(t);
	if (t->state.step)
		tell(t, &ev);
	r = loop(t);
	if (!r && t->trace)
		r = t->engine->ops->trace(t->engine, t->trace);
	return r ? r : finish_run(t);
}

int tram_trainer_weights(struct tram_trainer *t, float *flat)
{
	return tram_vars_read(t->engine->vars, "params", 0, t->model->flat, flat);
}

/* --- what limits ----------------------------------------------------------------------------------- */

static void own_stage(struct tram_stage_stats *s, const char *name, uint64_t items, uint64_t busy)
{
	*s = (struct tram_stage_stats){ .items = items, .busy_s = (double)busy * 1e-9 };
	snprintf(s->name, sizeof(s->name), "%s", name);
}

size_t tram_trainer_stages(struct tram_trainer *t, struct tram_stage_stats *stats, size_t max)
{
	const struct tram_engine *e = t->engine;
	struct tram_stage_stats all[STAGE_MAX];
	size_t n = tram_loader_stats(t->loader, all, STAGE_MAX - 3);

	n = TRAM_MIN(n, (size_t)STAGE_MAX - 3);
	own_stage(&all[n], "upload", t->steps_run, t->upload_ns);
	n++;
	own_stage(&all[n], "device", t->steps_run, t->device_ns - TRAM_MIN(t->device_ns, e->exchange_ns));
	all[n].starved_s = (double)t->load_ns * 1e-9;
	n++;
	if (e->exchange_ns) {
		own_stage(&all[n], "exchange", t->steps_run, e->exchange_ns);
		all[n].bytes = e->exchange_bytes;
		n++;
	}
	memcpy(stats, all, TRAM_MIN(n, max) * sizeof(*stats));
	return n;
}

const char *tram_trainer_limit(struct tram_trainer *t)
{
	struct tram_stage_stats s[STAGE_MAX];
	size_t n = tram_trainer_stages(t, s, STAGE_MAX), device = 0, worst;
	double total = (double)TRAM_MAX(t->loop_ns, (uint64_t)1) * 1e-9, starved;

	while (strcmp(s[device].name, "device"))
		device++;
	starved = s[device].starved_s / total;
	worst = n - 1 > device && s[n - 1].busy_s > s[device].busy_s ? n - 1 : device;
	/* The device waited: the busiest stage before it is why. */
	if (starved > 0.05) {
		worst = 0;
		for (size_t i = 1; i < device; i++)
			if (s[i].busy_s > s[worst].busy_s)
				worst = i;
	}
	if (worst == device)
		snprintf(t->limit, sizeof(t->limit), "device: it was busy %.0f %% of the time and "
			 "waited %.1f %% for data", 100 * s[device].busy_s / total, 100 * starved);
	else if (worst > device)
		snprintf(t->limit, sizeof(t->limit), "exchange: %.0f %% of the time went into gradients and "
			 "weights between the devices; fewer devices, or a larger --batch", 100 * s[worst].busy_s / total);
	else
		snprintf(t->limit, sizeof(t->limit), "%s: the device waited %.1f %% of the time "
			 "for it", s[worst].name, 100 * starved);
	return t->limit;
}
