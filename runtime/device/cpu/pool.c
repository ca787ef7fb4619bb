/* SPDX-License-Identifier: MIT */
/*
 * A loop is published by raising the round in `state`; workers that spin see
 * it within a cache miss, those that gave up sleep on `wake`. Spinning is short,
 * because the cores may be shared with others: kernels follow one another within
 * microseconds, steps don't.
 *
 *	state = round << 32 | OPEN | number of workers inside
 *
 *	caller: writes fn, arg, chunks; state = next round, OPEN, 0 inside; takes chunks;
 *		clears OPEN; waits until nobody is inside
 *	worker: sees a new round that is OPEN; enters (inside + 1); takes chunks;
 *		leaves (inside - 1)
 *
 * Entering needs OPEN in the same compare-and-swap, so a worker that wakes up too late
 * misses the round and nobody waits for it; whoever is inside keeps fn, arg
 * and chunks from changing.
 */
#include "device/cpu/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* About 20 us of looking before sleeping. */
#define SPIN 1200

#define OPEN	0x80000000u
#define INSIDE	0x7fffffffu

static inline uint32_t round_of(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

struct tram_cpu_pool {
	struct tram_ctx *ctx;
	unsigned int threads;
	pthread_t *thread;	/* threads - 1 of them */
	unsigned int started;

	/* The loop of this round; written by the caller while busy is 0. */
	tram_cpu_chunk *fn;
	const void *arg;
	uint64_t chunks;
	bool quit;

	_Alignas(128) _Atomic uint64_t next;	/* chunk to take */
	_Alignas(128) _Atomic uint64_t state;
	/* Sleeping: `asleep` and `caller_waits` change under the lock, a leaf. */
	_Alignas(128) pthread_mutex_t lock;
	pthread_cond_t wake, done;
	_Atomic uint32_t asleep;
	_Atomic bool caller_waits;
};

struct start { struct tram_cpu_pool *pool; unsigned int worker; };

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void take_chunks(struct tram_cpu_pool *p, unsigned int worker)
{
	for (;;) {
		uint64_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);

		if (i >= p->chunks)
			return;
		p->fn(p->arg, i, worker);
	}
}

/* The state once its round isn't @seen any more. */
static uint64_t wait_for_round(struct tram_cpu_pool *p, uint32_t seen)
{
	uint64_t state;

	for (int i = 0; i < SPIN; i++) {
		state = atomic_load_explicit(&p->state, memory_order_acquire);
		if (round_of(state) != seen)
			return state;
		relax();
	}
	pthread_mutex_lock(&p->lock);
	/* seq_cst on both sides: either the caller sees us asleep or we see its round. */
	atomic_fetch_add(&p->asleep, 1);
	while (round_of(state = atomic_load(&p->state)) == seen)
		pthread_cond_wait(&p->wake, &p->lock);
	atomic_fetch_sub(&p->asleep, 1);
	pthread_mutex_unlock(&p->lock);
	return state;
}

/* False: the round of @state is over already. */
static bool enter(struct tram_cpu_pool *p, uint64_t state)
{
	uint32_t round = round_of(state);

	while (round_of(state) == round && (state & OPEN))
		if (atomic_compare_exchange_weak(&p->state, &state, state + 1))
			return true;
	return false;
}

static void leave(struct tram_cpu_pool *p)
{
	uint64_t state = atomic_fetch_sub(&p->state, 1) - 1;

	if ((uint32_t)state || !atomic_load(&p->caller_waits))
		return;		/* still open, or somebody is inside, or nobody sleeps */
	pthread_mutex_lock(&p->lock);
	pthread_cond_signal(&p->done);
	pthread_mutex_unlock(&p->lock);
}

static void publish(struct tram_cpu_pool *p)
{
	uint64_t round = round_of(atomic_load_explicit(&p->state, memory_order_relaxed));

	atomic_store_explicit(&p->next, 0, memory_order_relaxed);
	atomic_store(&p->state, (uint64_t)(uint32_t)(round + 1) << 32 | OPEN);
	if (!atomic_load(&p->asleep))
		return;
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static void close_round(struct tram_cpu_pool *p)
{
	if (!(atomic_fetch_and(&p->state, ~(uint64_t)OPEN) & INSIDE))
		return;
	for (int i = 0; i < SPIN; i++) {
		if (!(uint32_t)atomic_load_explicit(&p->state, memory_order_acquire))
			return;
		relax();
	}
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->caller_waits, true);
	while ((uint32_t)atomic_load(&p->state))
		pthread_cond_wait(&p->done, &p->lock);
	atomic_store(&p->caller_waits, false);
	pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
	struct start *start = arg;
	struct tram_cpu_pool *p = start->pool;
	unsigned int worker = start->worker;
	uint32_t seen = 0;

	tram_free(p->ctx, start);
	for (;;) {
		uint64_t state = wait_for_round(p, seen);

		seen = round_of(state);
		if (!enter(p, state))
			continue;
		if (p->quit)
			return NULL;
		take_chunks(p, worker);
		leave(p);
	}
}

void tram_cpu_pool_run(struct tram_cpu_pool *p, tram_cpu_chunk *fn, const void *arg,
		       uint64_t chunks)
{
	if (chunks <= 1 || !p->started) {
		for (uint64_t i = 0; i < chunks; i++)
			fn(arg, i, 0);
		return;
	}
	p->fn = fn;
	p->arg = arg;
	p->chunks = chunks;
	publish(p);
	take_chunks(p, 0);
	close_round(p);
}

int tram_cpu_pool_create(struct tram_ctx *ctx, unsigned int threads, struct tram_cpu_pool **pool)
{
	struct tram_cpu_pool *p;
	sigset_t all, old;
	int r = 0;

	*pool = NULL;
	p = tram_alloc_aligned(ctx, sizeof(*p), _Alignof(struct tram_cpu_pool));
	if (!p)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->ctx = ctx;
	p->threads = threads;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->done, NULL);
	p->thread = tram_calloc(ctx, threads, sizeof(*p->thread));
	if (!p->thread) {
		tram_cpu_pool_destroy(&p);
		return -ENOMEM;
	}
	/* Signals are the host program's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	while (!r && p->started + 1 < threads) {
		struct start *start = tram_alloc(ctx, sizeof(*start));

		if (!start) {
			r = -ENOMEM;
			break;
		}
		*start = (struct start){ p, p->started + 1 };
		r = -pthread_create(&p->thread[p->started], NULL, worker_main, start);
		if (r) {
			tram_free(ctx, start);
			tram_fail(ctx, r, "cpu device: thread %u of %u can't be started: %s; "
				  "ask for fewer threads", p->started + 2, threads, strerror(-r));
		} else {
			p->started++;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		tram_cpu_pool_destroy(&p);
		return r;
	}
	*pool = p;
	return 0;
}

void tram_cpu_pool_destroy(struct tram_cpu_pool **pool)
{
	struct tram_cpu_pool *p = *pool;

	*pool = NULL;
	if (!p)
		return;
	if (p->started) {
		p->quit = true;
		publish(p);
		for (unsigned int i = 0; i < p->started; i++)
			pthread_join(p->thread[i], NULL);
	}
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	tram_free(p->ctx, p->thread);
	tram_free(p->ctx, p);
}
