/* SPDX-License-Identifier: MIT */
/* The test's side of the mock driver (control.h), and the counts of calls. */
#include "control.h"

#include <stdio.h>

#include "mockvk.h"

#define EXPORT __attribute__((visibility("default")))

#define NAME(name) "vk" #name,
static const char *const names[] = { MOCK_FALLIBLE(NAME) MOCK_INFALLIBLE(NAME) };
#undef NAME
#define ONE(name) +1
enum { N_FALLIBLE = MOCK_FALLIBLE(ONE) };
#undef ONE

atomic_long mock_live, mock_misuses, mock_cache_bytes;
static atomic_long counts[MOCK_ENTRY_COUNT];

/* fail_in: calls until the one that fails; only touched below fail_lock. */
static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;
static int fail_entry = -1;	/* -1: any that can fail */
static long fail_in;		/* 0: none */
static VkResult fail_result;
static int fail_done;

static struct mock_state state;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int find(const char *name, size_t n)
{
	for (size_t i = 0; i < MOCK_ENTRY_COUNT; i++) {
		if (strlen(names[i]) == n && !memcmp(names[i], name, n))
			return (int)i;
	}
	return -1;
}

static void init(void)
{
	const char *env;
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&state.lock, NULL);
	pthread_cond_init(&state.changed, &attr);
	pthread_condattr_destroy(&attr);

	env = getenv("MOCKVK_FAIL");
	if (env && strchr(env, ':')) {
		size_t n = (size_t)(strchr(env, ':') - env);
		int result = VK_ERROR_OUT_OF_HOST_MEMORY;
		long nth = 0;

		if (sscanf(env + n, ":%ld:%d", &nth, &result) >= 1) {
			fail_entry = env[0] == '*' ? -1 : find(env, n);
			fail_in = nth;
			fail_result = result;
		}
	}
	env = getenv("MOCKVK_LOSE");
	if (env)
		state.lose_at = atol(env);
	env = getenv("MOCKVK_MEMORY");
	if (env)
		state.memory_limit = strtoull(env, NULL, 10);
}

struct mock_state *mock_state(void)
{
	pthread_once(&once, init);
	return &state;
}

void mock_count(enum mock_entry e)
{
	atomic_fetch_add(&counts[e], 1);
}

VkResult mock_enter(enum mock_entry e)
{
	VkResult r = VK_SUCCESS;

	mock_state();
	mock_count(e);
	pthread_mutex_lock(&fail_lock);
	if (fail_in > 0 && (fail_entry < 0 || fail_entry == (int)e) && --fail_in == 0) {
		r = fail_result;
		fail_done = 1;
	}
	pthread_mutex_unlock(&fail_lock);
	if (r == VK_ERROR_DEVICE_LOST) {
		pthread_mutex_lock(&state.lock);
		mock_lose_locked();
		pthread_mutex_unlock(&state.lock);
	}
	return r;
}

/* Once a loss is reported, the device touches memory no more. */
void mock_lose_locked(void)
{
	state.lost = true;
	pthread_cond_broadcast(&state.changed);
	while (state.running)
		pthread_cond_wait(&state.changed, &state.lock);
}

void *mock_new(size_t size)
{
	void *p = calloc(1, size);

	if (p)
		atomic_fetch_add(&mock_live, 1);
	return p;
}

void mock_delete(void *p)
{
	if (!p)
		return;
	atomic_fetch_sub(&mock_live, 1);
	free(p);
}

void mock_write_counts(void)
{
	const char *path = getenv("MOCKVK_COUNTS");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (!f)
		return;
	for (size_t i = 0; i < MOCK_ENTRY_COUNT; i++) {
		if (counts[i])
			fprintf(f, "%s %ld\n", names[i], counts[i]);
	}
	fclose(f);
}

EXPORT void mockvk_reset(void)
{
	struct mock_state *s = mock_state();

	for (size_t i = 0; i < MOCK_ENTRY_COUNT; i++)
		atomic_store(&counts[i], 0);
	mockvk_fail("*", 0, 0);
	pthread_mutex_lock(&s->lock);
	s->hang = s->lost = s->lose_running = false;
	s->lose_at = s->submissions = 0;
	s->memory_limit = 0;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	atomic_store(&mock_misuses, 0);
}

EXPORT long mockvk_count(const char *name)
{
	int i = find(name, strlen(name));

	return i < 0 ? -1 : atomic_load(&counts[i]);
}

EXPORT void mockvk_fail(const char *name, long nth, int result)
{
	int entry = name[0] == '*' ? -1 : find(name, strlen(name));

	pthread_mutex_lock(&fail_lock);
	fail_entry = entry;
	/* an unknown name never fails, and mockvk_failed() says so */
	fail_in = entry >= N_FALLIBLE || (entry < 0 && name[0] != '*') ? 0 : nth;
	fail_result = (VkResult)result;
	fail_done = 0;
	pthread_mutex_unlock(&fail_lock);
}

EXPORT int mockvk_failed(void)
{
	int done;

	pthread_mutex_lock(&fail_lock);
	done = fail_done;
	pthread_mutex_unlock(&fail_lock);
	return done;
}

EXPORT void mockvk_lose(long nth, int running)
{
	struct mock_state *s = mock_state();

	pthread_mutex_lock(&s->lock);
	s->lose_at = nth ? s->submissions + nth : 0;
	s->lose_running = running;
	pthread_mutex_unlock(&s->lock);
}

EXPORT void mockvk_hang(int on)
{
	struct mock_state *s = mock_state();

	pthread_mutex_lock(&s->lock);
	s->hang = on;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

EXPORT void mockvk_memory_limit(uint64_t bytes)
{
	struct mock_state *s = mock_state();

	pthread_mutex_lock(&s->lock);
	s->memory_limit = bytes;
	pthread_mutex_unlock(&s->lock);
}

EXPORT long mockvk_live(void)
{
	return atomic_load(&mock_live);
}

EXPORT long mockvk_misuses(void)
{
	return atomic_load(&mock_misuses);
}

EXPORT long mockvk_cache_bytes(void)
{
	return atomic_load(&mock_cache_bytes);
}
