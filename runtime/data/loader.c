/* SPDX-License-Identifier: MIT */
/*
 * The pipeline: shuffle (which windows), read (their tokens), batch (inputs,
 * targets and the order by token), one thread each, joined by bounded queues:
 *
 *	free -> [shuffle] -> q -> [read] -> q -> [batch] -> q -> tram_loader_next
 *	  ^--------------------------------------------------------------'
 *
 * Batches are a fixed set of items going round. Counters are always on: a
 * stage is busy, starved (nothing comes in) or blocked (no room behind it).
 * A consumer that had to wait although every item was under way gets one more item and
 * deeper queues, up to a limit: the depth tunes itself to the jitter it meets.
 */
#include <pthread.h>
#include <stdio.h>

#include "data/data.h"

#define MIN_ITEMS 3
#define MAX_ITEMS 12

enum stage { STAGE_SHUFFLE, STAGE_READ, STAGE_BATCH, N_STAGES };

/* Queue i feeds stage i; queue N_STAGES feeds the consumer. Queue 0 holds free items. */
#define N_QUEUES (N_STAGES + 1)

struct item {
	uint64_t step, epoch, n_targets;
	uint64_t *first;	/* [B] */
	uint32_t *raw;		/* [B, T + 1] */
	int32_t *tokens, *targets, *order;
	int err;
	char *message;
};

struct queue {
	struct item *item[MAX_ITEMS];
	uint32_t head, n, depth;
	uint64_t pops;
	double occupancy;	/* sum over pops */
};

struct counters { uint64_t items, busy_ns, starved_ns, blocked_ns; };

struct tram_loader {
	struct tram_ctx *ctx;
	struct tram_stream *stream;
	struct tram_loader_params p;
	struct tram_sampler_order order;
	uint64_t next_step;		/* stage shuffle's alone */
	uint32_t *count;		/* [vocab + 1], stage batch's alone */
	struct item *held;		/* what the consumer looks at */
	int err;

	pthread_mutex_t lock;		/* guards all below */
	pthread_cond_t changed;
	struct queue q[N_QUEUES];
	struct counters c[N_STAGES];
	struct item *items[MAX_ITEMS];	/* all made at the start: steady state allocates nothing */
	uint32_t n_items;		/* of them, going round */
	bool stop;

	pthread_t thread[N_STAGES];
	int n_threads;
	struct stage_arg { struct tram_loader *l; enum stage stage; } arg[N_STAGES];
};

/* --- stages ------------------------------------------------------------------------ */

static int do_shuffle(struct tram_loader *l, struct item *it)
{
	uint64_t position, epoch;

	it->step = l->next_step++;
	position = it->step * l->p.batch;
	for (uint32_t i = 0; i < l->p.batch; i++) {
		it->first[i] = tram_order_first(&l->order, position + i, &epoch);
		if (!i)
			it->epoch = epoch;
	}
	return 0;
}

static int do_read(struct tram_loader *l, struct item *it)
{
	size_t width = (size_t)l->p.seq + 1;
	int r = 0;

	for (uint32_t i = 0; !r && i < l->p.batch; i++)
		r = tram_stream_read(l->stream, it->first[i], width, it->raw + i * width);
	return r;
}

/*
 * Positions of one shard sorted stably by token: counting sort. Tokens are
 * below the vocabulary by now.
 */
static void sort_shard(struct tram_loader *l, const int32_t *tokens, int32_t *order, uint32_t n)
{
	uint32_t at = 0;

	memset(l->count, 0, ((size_t)l->p.vocab + 1) * sizeof(*l->count));
	for (uint32_t i = 0; i < n; i++)
		l->count[tokens[i]]++;
	for (uint32_t v = 0; v < l->p.vocab; v++) {
		uint32_t c = l->count[v];

		l->count[v] = at;
		at += c;
	}
	for (uint32_t i = 0; i < n; i++)
		order[l->count[tokens[i]]++] = (int32_t)i;
}

static int do_batch(struct tram_loader *l, struct item *it)
{
	uint32_t seq = l->p.seq, n = l->p.batch / l->p.shards * seq;

	for (uint32_t i = 0; i < l->p.batch; i++) {
		const uint32_t *raw = it->raw + (size_t)i * (seq + 1);

		for (uint32_t t = 0; t <= seq; t++)
			if (raw[t] >= l->p.vocab)
				return tram_fail(l->ctx, -EINVAL, "data: token %u at place %llu of "
						 "the stream, but the model's vocabulary has %u; "
						 "use the tokenizer that the data was made with",
						 raw[t], (unsigned long long)(it->first[i] + t),
						 l->p.vocab);
		for (uint32_t t = 0; t < seq; t++) {
			it->tokens[(size_t)i * seq + t] = (int32_t)raw[t];
			it->targets[(size_t)i * seq + t] = (int32_t)raw[t + 1];
		}
	}
	for (uint32_t s = 0; s < l->p.shards; s++)
		sort_shard(l, it->tokens + (size_t)s * n, it->order + (size_t)s * n, n);
	it->n_targets = (uint64_t)l->p.batch * seq;
	return 0;
}

static int (*const work[N_STAGES])(struct tram_loader *l, struct item *it) = {
	do_shuffle, do_read, do_batch,
};

/* --- queues (under the lock) ----------------------------------------------------------- */

static struct item *queue_pop(struct queue *q)
{
	struct item *it = q->item[q->head];

	q->pops++;
	q->occupancy += q->n;
	q->head = (q->head + 1) % MAX_ITEMS;
	q->n--;
	return it;
}

static void queue_push(struct queue *q, struct item *it)
{
	assert(q->n < MAX_ITEMS);
	q->item[(q->head + q->n++) % MAX_ITEMS] = it;
}

static void *stage_main(void *arg)
{
	struct stage_arg *a = arg;
	struct tram_loader *l = a->l;
	struct queue *in = &l->q[a->stage], *out = &l->q[a->stage + 1];
	struct counters *c = &l->c[a->stage];
	uint64_t t0, t1;

	pthread_mutex_lock(&l->lock);
	for (;;) {
		struct item *it;
		int r = 0;

		t0 = tram_now_ns();
		while (!in->n && !l->stop)
			pthread_cond_wait(&l->changed, &l->lock);
		t1 = tram_now_ns();
		/* Free items are the first stage's room, not its input. */
		if (a->stage)
			c->starved_ns += t1 - t0;
		else
			c->blocked_ns += t1 - t0;
		if (l->stop)
			break;
		it = queue_pop(in);
		pthread_mutex_unlock(&l->lock);
		if (!it->err)
			r = work[a->stage](l, it);
		if (r) {
			it->err = r;
			it->message = tram_strdup(l->ctx, tram_error(l->ctx));
		}
		pthread_mutex_lock(&l->lock);
		t0 = tram_now_ns();
		c->busy_ns += t0 - t1;
		c->items++;
		while (out->n >= out->depth && !l->stop)
			pthread_cond_wait(&l->changed, &l->lock);
		c->blocked_ns += tram_now_ns() - t0;
		queue_push(out, it);
		pthread_cond_broadcast(&l->changed);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* --- items -------------------------------------------------------------------------------- */

static void item_destroy(struct tram_loader *l, struct item *it)
{
	if (!it)
		return;
	tram_free(l->ctx, it->message);
	tram_free(l->ctx, it->order);
	tram_free(l->ctx, it->targets);
	tram_free(l->ctx, it->tokens);
	tram_free(l->ctx, it->raw);
	tram_free(l->ctx, it->first);
	tram_free(l->ctx, it);
}

static struct item *item_create(struct tram_loader *l)
{
	size_t n = (size_t)l->p.batch * l->p.seq;
	struct item *it = tram_zalloc(l->ctx, sizeof(*it));

	if (!it)
		return NULL;
	it->first = tram_calloc(l->ctx, l->p.batch, sizeof(*it->first));
	it->raw = tram_calloc(l->ctx, n + l->p.batch, sizeof(*it->raw));
	it->tokens = tram_calloc(l->ctx, n, sizeof(*it->tokens));
	it->targets = tram_calloc(l->ctx, n, sizeof(*it->targets));
	it->order = tram_calloc(l->ctx, n, sizeof(*it->order));
	if (!it->first || !it->raw || !it->tokens || !it->targets || !it->order) {
		item_destroy(l, it);
		return NULL;
	}
	return it;
}

/* One more item goes round. Under the lock, or before there are threads. */
static void add_item(struct tram_loader *l)
{
	queue_push(&l->q[0], l->items[l->n_items++]);
}

/* --- the loader -------------------------------------------------------------------------------- */

static int start(struct tram_loader *l)
{
	uint32_t depth = l->p.depth ? TRAM_MIN(l->p.depth, (uint32_t)MAX_ITEMS - 2) : 1;

	for (int i = 0; i < N_QUEUES; i++)
		l->q[i].depth = i ? depth : MAX_ITEMS;
	for (int i = 0; i < MAX_ITEMS; i++) {
		l->items[i] = item_create(l);
		if (!l->items[i])
			return -ENOMEM;
	}
	while (l->n_items < TRAM_MAX(depth + 2, (uint32_t)MIN_ITEMS))
		add_item(l);
	for (int i = 0; i < N_STAGES; i++) {
		int r;

		l->arg[i] = (struct stage_arg){ l, (enum stage)i };
		r = pthread_create(&l->thread[i], NULL, stage_main, &l->arg[i]);
		if (r)
			return tram_fail(l->ctx, -r, "data pipeline: a thread cannot be started");
		l->n_threads++;
	}
	return 0;
}

int tram_loader_create(struct tram_ctx *ctx, struct tram_stream *stream,
		       const struct tram_loader_params *params, struct tram_loader **loader)
{
	struct tram_loader *l;
	int r;

	*loader = NULL;
	if (!params->batch || !params->seq || !params->vocab)
		return tram_fail(ctx, -EINVAL, "data pipeline: batch %u, sequence %u, vocabulary %u: "
				 "all must be at least 1", params->batch, params->seq,
				 params->vocab);
	l = tram_zalloc(ctx, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->ctx = ctx;
	l->stream = stream;
	l->p = *params;
	l->p.shards = params->shards ? params->shards : 1;
	l->next_step = params->first_step;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	r = l->p.batch % l->p.shards ?
	    tram_fail(ctx, -EINVAL, "data pipeline: %u shards do not divide a batch of %u",
		      l->p.shards, l->p.batch) : 0;
	if (!r)
		r = tram_order_init(ctx, &l->order, params->order, params->seed,
				    tram_stream_tokens(stream), params->seq);
	if (!r) {
		l->count = tram_calloc(ctx, (size_t)params->vocab + 1, sizeof(*l->count));
		r = l->count ? start(l) : -ENOMEM;
	}
	if (r) {
		tram_loader_destroy(&l);
		return r;
	}
	*loader = l;
	return 0;
}

void tram_loader_destroy(struct tram_loader **loader)
{
	struct tram_loader *l = *loader;

	*loader = NULL;
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	while (l->n_threads)
		pthread_join(l->thread[--l->n_threads], NULL);
	for (int i = 0; i < MAX_ITEMS; i++)
		item_destroy(l, l->items[i]);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	tram_free(l->ctx, l->count);
	tram_free(l->ctx, l);
}

/* The consumer is about to wait with every item under way: the jitter is larger than the queues. */
static void deepen(struct tram_loader *l)
{
	if (l->p.depth || l->n_items == MAX_ITEMS)
		return;
	add_item(l);
	for (int i = 1; i < N_QUEUES; i++)
		l->q[i].depth = l->n_items - 2;
	pthread_cond_broadcast(&l->changed);
}

int tram_loader_next(struct tram_loader *l, struct tram_batch_data *b)
{
	struct queue *out = &l->q[N_STAGES];
	struct item *it;

	memset(b, 0, sizeof(*b));
	if (l->err)
		return l->err;
	pthread_mutex_lock(&l->lock);
	if (!out->n && !l->q[0].n)
		deepen(l);
	if (l->held) {
		queue_push(&l->q[0], l->held);
		l->held = NULL;
		pthread_cond_broadcast(&l->changed);
	}
	while (!out->n)
		pthread_cond_wait(&l->changed, &l->lock);
	it = queue_pop(out);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	l->held = it;
	if (it->err) {
		l->err = it->err;
		return tram_fail(l->ctx, it->err, "%s", it->message ? it->message : "out of memory");
	}
	*b = (struct tram_batch_data){
		.step = it->step, .epoch = it->epoch, .tokens = it->tokens,
		.targets = it->targets, .order = it->order, .n_targets = it->n_targets,
	};
	return 0;
}

size_t tram_loader_stats(struct tram_loader *l, struct tram_stage_stats *stats, size_t max)
{
	static const char *const names[N_STAGES] = { "shuffle", "read", "batch" };
	struct tram_stage_stats all[N_STAGES + 1];

	tram_stream_tokenize_stats(l->stream, &all[0]);
	pthread_mutex_lock(&l->lock);
	for (int i = 0; i < N_STAGES; i++) {
		const struct counters *c = &l->c[i];
		const struct queue *q = &l->q[i + 1];
		struct tram_stage_stats *s = &all[i + 1];

		*s = (struct tram_stage_stats){
			.items = c->items, .busy_s = (double)c->busy_ns * 1e-9,
			.starved_s = (double)c->starved_ns * 1e-9,
			.blocked_s = (double)c->blocked_ns * 1e-9,
			.queue_mean = q->pops ? q->occupancy / (double)q->pops : 0,
			.queue_depth = q->depth,
		};
		snprintf(s->name, sizeof(s->name), "%s", names[i]);
	}
	pthread_mutex_unlock(&l->lock);
	memcpy(stats, all, TRAM_MIN(max, TRAM_ARRAY_SIZE(all)) * sizeof(*stats));
	return TRAM_ARRAY_SIZE(all);
}
