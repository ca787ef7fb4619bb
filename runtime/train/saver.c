/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints beside the loop: one thread writes one pinned version at a time
 * while training goes on. A failed write is reported by the next put or flush,
 * once; the checkpoints before it are untouched.
 */
#include <pthread.h>

#include "train/train.h"

struct tram_saver {
	struct tram_ctx *ctx;
	char *out;
	uint32_t keep;
	const struct tram_model *model;
	const struct tram_tokenizer *tok;
	pthread_t thread;
	pthread_mutex_t lock;		/* guards all below */
	pthread_cond_t changed;
	struct tram_pin *pin;		/* to be written; NULL: idle */
	struct tram_train_state state;
	bool stop;
	int err;			/* of the last write, until told */
	char *message;
};

static int write_pin(struct tram_saver *s, const struct tram_pin *pin,
		     const struct tram_train_state *state)
{
	uint64_t n;
	const struct tram_checkpoint c = {
		.model = s->model, .tok = s->tok, .state = *state,
		.params = tram_pin_data(pin, "params", &n),
		.m = tram_pin_data(pin, "adam_m", &n),
		.v = tram_pin_data(pin, "adam_v", &n),
	};
	int r = tram_checkpoint_write(s->ctx, s->out, &c);

	return r ? r : tram_checkpoint_prune(s->ctx, s->out, s->keep + 1);
}

static void *saver_main(void *arg)
{
	struct tram_saver *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct tram_train_state state;
		struct tram_pin *pin;
		int r;

		while (!s->pin && !s->stop)
			pthread_cond_wait(&s->changed, &s->lock);
		if (!s->pin)
			break;
		pin = s->pin;
		state = s->state;
		pthread_mutex_unlock(&s->lock);
		r = write_pin(s, pin, &state);
		pthread_mutex_lock(&s->lock);
		if (r && !s->err) {
			s->err = r;
			s->message = tram_strdup(s->ctx, tram_error(s->ctx));
		}
		tram_pin_release(&s->pin);
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int tram_saver_create(struct tram_ctx *ctx, const char *out, uint32_t keep,
		      const struct tram_model *model, const struct tram_tokenizer *tok,
		      struct tram_saver **saver)
{
	struct tram_saver *s;
	int r;

	*saver = NULL;
	s = tram_zalloc(ctx, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->ctx = ctx;
	s->keep = keep;
	s->model = model;
	s->tok = tok;
	s->out = tram_strdup(ctx, out);
	if (!s->out) {
		r = -ENOMEM;
		goto free_saver;
	}
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	r = -pthread_create(&s->thread, NULL, saver_main, s);
	if (r) {
		tram_fail(ctx, r, "checkpoint thread: cannot be started");
		goto destroy_lock;
	}
	*saver = s;
	return 0;

destroy_lock:
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	tram_free(ctx, s->out);
free_saver:
	tram_free(ctx, s);
	return r;
}

void tram_saver_destroy(struct tram_saver **saver)
{
	struct tram_saver *s = *saver;

	*saver = NULL;
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	tram_free(s->ctx, s->message);
	tram_free(s->ctx, s->out);
	tram_free(s->ctx, s);
}

/* Under the lock: waits until idle, then tells and forgets the last error. */
static int drain(struct tram_saver *s)
{
	int r;

	while (s->pin)
		pthread_cond_wait(&s->changed, &s->lock);
	r = s->err;
	if (r)
		tram_fail(s->ctx, r, "%s", s->message ? s->message : "checkpoint: out of memory");
	tram_free(s->ctx, s->message);
	s->message = NULL;
	s->err = 0;
	return r;
}

int tram_saver_put(struct tram_saver *s, struct tram_pin **pin,
		   const struct tram_train_state *state)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = drain(s);
	if (!r) {
		s->pin = *pin;
		s->state = *state;
		*pin = NULL;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

int tram_saver_flush(struct tram_saver *s)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = drain(s);
	pthread_mutex_unlock(&s->lock);
	return r;
}
