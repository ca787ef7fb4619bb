/* SPDX-License-Identifier: MIT */
/*
 * The CPU device: host memory for buffers, one executor thread that runs
 * submitted batches in order (it is thread 0 of the pool), timelines. A batch may wait for a
 * value that nobody has submitted yet. Programs: lower.c.
 */
#include "device/cpu/cpu.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>


#define RING	256	/* batches submitted and not finished; submit blocks when it is full */
#define HUGE	((uint64_t)2 << 20)
#define PAGE	4096

struct tram_cpu_device {
	struct tram_device dev;
	const struct tram_cpu_isa *isa;
	struct tram_cpu_tiles *tiles;
	struct tram_cpu_pool *pool;
	struct tram_cpu_class class;
	pthread_t executor;
	bool started;

	/* Guards what follows and every timeline's value. `changed` tells of any change. A leaf. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct tram_batch ring[RING];
	uint64_t submitted, finished;	/* batches ever; the ring holds [finished, submitted) */
	bool quit;
};

struct tram_timeline {
	struct tram_cpu_device *cpu;
	uint64_t value;
};

static struct tram_cpu_device *cpu_of(struct tram_device *dev)
{
	return (struct tram_cpu_device *)dev;
}

struct tram_cpu_tiles *tram_cpu_tiles_of(struct tram_device *dev)
{
	return cpu_of(dev)->tiles;
}

const struct tram_cpu_isa *tram_cpu_isa_of(struct tram_device *dev)
{
	return cpu_of(dev)->isa;
}

/* --- batches -------------------------------------------------------------------------- */

/* With the lock: until the next batch may start; false when the device closes. */
static bool next_batch(struct tram_cpu_device *cpu, struct tram_batch *b)
{
	for (;; pthread_cond_wait(&cpu->changed, &cpu->lock)) {
		if (cpu->quit)
			return false;
		if (cpu->finished == cpu->submitted)
			continue;
		*b = cpu->ring[cpu->finished % RING];
		if (!b->wait || b->wait->value >= b->wait_value)
			return true;
	}
}

static void *executor_main(void *arg)
{
	struct tram_cpu_device *cpu = arg;
	struct tram_batch b;

	pthread_mutex_lock(&cpu->lock);
	while (next_batch(cpu, &b)) {
		pthread_mutex_unlock(&cpu->lock);
		if (b.program)
			tram_cpu_program_run(b.program, cpu->pool);
		pthread_mutex_lock(&cpu->lock);
		if (b.signal && b.signal->value < b.signal_value)
			b.signal->value = b.signal_value;
		cpu->finished++;
		pthread_cond_broadcast(&cpu->changed);
	}
	pthread_mutex_unlock(&cpu->lock);
	return NULL;
}

static int cpu_submit(struct tram_device *dev, const struct tram_batch *batches, size_t n)
{
	struct tram_cpu_device *cpu = cpu_of(dev);

	if (dev->lost)
		return dev->lost;
	pthread_mutex_lock(&cpu->lock);
	for (size_t i = 0; i < n; i++) {
		while (cpu->submitted - cpu->finished == RING)
			pthread_cond_wait(&cpu->changed, &cpu->lock);
		cpu->ring[cpu->submitted % RING] = batches[i];
		cpu->submitted++;
	}
	pthread_cond_broadcast(&cpu->changed);
	pthread_mutex_unlock(&cpu->lock);
	return 0;
}

/* Until all that was submitted is done. */
static void drain(struct tram_cpu_device *cpu)
{
	uint64_t all;

	pthread_mutex_lock(&cpu->lock);
	all = cpu->submitted;
	while (cpu->finished < all)
		pthread_cond_wait(&cpu->changed, &cpu->lock);
	pthread_mutex_unlock(&cpu->lock);
}

static int cpu_spans(struct tram_program *p, struct tram_span *spans, size_t max)
{
	size_t n = TRAM_MIN(max, p->n_calls);

	if (!p->spans)
		return tram_fail(p->dev->ctx, -EINVAL, "cpu device: the program was recorded without "
				 "timestamps");
	drain(cpu_of(p->dev));
	memcpy(spans, p->spans, n * sizeof(*spans));
	return (int)n;
}

/* --- timelines -------------------------------------------------------------------------- */

static int timeline_create(struct tram_device *dev, struct tram_timeline **t)
{
	*t = tram_zalloc(dev->ctx, sizeof(**t));
	if (!*t)
		return -ENOMEM;
	(*t)->cpu = cpu_of(dev);
	return 0;
}

static void timeline_destroy(struct tram_timeline *t)
{
	if (t)
		tram_free(t->cpu->dev.ctx, t);
}

static int timeline_signal(struct tram_timeline *t, uint64_t value)
{
	struct tram_cpu_device *cpu = t->cpu;
	uint64_t old;

	pthread_mutex_lock(&cpu->lock);
	old = t->value;
	if (value > old) {
		t->value = value;
		pthread_cond_broadcast(&cpu->changed);
	}
	pthread_mutex_unlock(&cpu->lock);
	if (value <= old)
		return tram_fail(cpu->dev.ctx, -EINVAL, "cpu device: timeline at %llu can't go to %llu; "
				 "values only grow", (unsigned long long)old,
				 (unsigned long long)value);
	return 0;
}

static int timeline_wait(struct tram_timeline *t, uint64_t value, uint64_t deadline_ns)
{
	struct tram_cpu_device *cpu = t->cpu;
	struct timespec until = { (time_t)(deadline_ns / 1000000000u),
				  (long)(deadline_ns % 1000000000u) };
	int r = 0;

	pthread_mutex_lock(&cpu->lock);
	while (t->value < value && !r)
		r = pthread_cond_timedwait(&cpu->changed, &cpu->lock, &until);
	if (t->value >= value)
		r = 0;
	pthread_mutex_unlock(&cpu->lock);
	if (cpu->dev.lost)
		return cpu->dev.lost;
	return r ? -ETIMEDOUT : 0;
}

/* --- buffers ------------------------------------------------------------------------------ */

static uint64_t allocated(uint64_t size)
{
	return TRAM_ALIGN_UP(size + TRAM_DEVICE_PAD, PAGE);
}

/* Touched here, page by page: a page fault in a step would cost more than the work on the page. */
static int buffer_create(struct tram_device *dev, uint64_t size, enum tram_memory kind,
			 struct tram_buffer **out)
{
	struct tram_buffer *b;
	uint64_t bytes = allocated(size);

	*out = NULL;
	if (size > UINT64_MAX / 2)
		return tram_fail(dev->ctx, -ENOMEM, "out of memory: a buffer of %llu bytes",
				 (unsigned long long)size);
	b = tram_zalloc(dev->ctx, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->map = tram_alloc_aligned(dev->ctx, bytes, bytes >= HUGE ? HUGE : PAGE);
	if (!b->map) {
		tram_free(dev->ctx, b);
		return -ENOMEM;
	}
	if (bytes >= HUGE)
		madvise(b->map, bytes / HUGE * HUGE, MADV_HUGEPAGE);	/* a hint; may fail */
	memset(b->map, 0, bytes);
	b->dev = dev;
	b->size = size;
	dev->memory_now += bytes;
	dev->memory_peak = TRAM_MAX(dev->memory_peak, dev->memory_now);
	*out = b;
	return 0;
}

static void buffer_destroy(struct tram_buffer *b)
{
	if (!b)
		return;
	b->dev->memory_now -= allocated(b->size);
	tram_free(b->dev->ctx, b->map);
	tram_free(b->dev->ctx, b);
}

static int check_range(struct tram_buffer *b, uint64_t offset, uint64_t n)
{
	if (offset <= b->size && n <= b->size - offset)
		return 0;
	return tram_fail(b->dev->ctx, -EINVAL, "cpu device: %llu bytes at %llu of a buffer of %llu",
			 (unsigned long long)n, (unsigned long long)offset,
			 (unsigned long long)b->size);
}

static int buffer_write(struct tram_buffer *b, uint64_t offset, const void *src, uint64_t n)
{
	int r = check_range(b, offset, n);

	if (r || b->dev->lost)
		return r ? r : b->dev->lost;
	drain(cpu_of(b->dev));
	memcpy((char *)b->map + offset, src, n);
	return 0;
}

static int buffer_read(struct tram_buffer *b, uint64_t offset, void *dst, uint64_t n)
{
	int r = check_range(b, offset, n);

	if (r || b->dev->lost)
		return r ? r : b->dev->lost;
	drain(cpu_of(b->dev));
	memcpy(dst, (const char *)b->map + offset, n);
	return 0;
}

/* --- what the machine is ----------------------------------------------------------------------- */

/* The first number behind @key in a file of lines, or @otherwise. */
static uint64_t number_in(const char *path, const char *key, uint64_t otherwise)
{
	char line[256];
	uint64_t v = otherwise;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		if (sscanf(line + strlen(key), "%*[: \t]%" SCNu64, &v) == 1 ||
		    sscanf(line + strlen(key), "%" SCNu64, &v) == 1)
			break;
	}
	if (f)
		fclose(f);
	return v;
}

/* What is available now, within what the control group allows. */
static uint64_t memory_limit(void)
{
	uint64_t limit = number_in("/proc/meminfo", "MemAvailable", 0) * 1024, max, used;

	if (!limit)
		limit = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	/* "max" where there is no limit: no number */
	max = number_in("/sys/fs/cgroup/memory.max", "", UINT64_MAX);
	used = number_in("/sys/fs/cgroup/memory.current", "", 0);
	if (max == UINT64_MAX) {
		max = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes", "", UINT64_MAX);
		used = number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes", "", 0);
	}
	return TRAM_MIN(limit, max > used ? max - used : 0);
}

static void processor_name(char *name, size_t size)
{
	char line[256], *colon;
	FILE *f = fopen("/proc/cpuinfo", "re");

	snprintf(name, size, "CPU");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10) || !(colon = strchr(line, ':')))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, size, "%.100s", colon + 1 + strspn(colon + 1, " \t"));
		break;
	}
	if (f)
		fclose(f);
}

static void describe(struct tram_device_info *info, const struct tram_cpu_isa *isa,
		     const struct tram_cpu_tiles *tiles, unsigned int threads)
{
	memset(info, 0, sizeof(*info));
	snprintf(info->selector, sizeof(info->selector), "cpu0");
	processor_name(info->name, sizeof(info->name));
	snprintf(info->driver, sizeof(info->driver), "%s", tram_cpu_tiles_name(tiles));
	snprintf(info->numeric_class, sizeof(info->numeric_class), "cpu %s, %s",
		 tram_cpu_tiles_name(tiles), isa->name);
	info->kind = TRAM_DEVICE_CPU;
	info->subgroup = 1;
	info->threads = threads;
	info->memory = memory_limit();
}

int tram_cpu_list(struct tram_ctx *ctx, struct tram_device_list *list)
{
	struct tram_device_info info;
	struct tram_cpu_tiles *tiles;
	int r = tram_cpu_tiles_create(ctx, tram_cpu_isa_best(), &tiles);

	if (r)
		return r;
	describe(&info, tram_cpu_isa_best(), tiles, tram_threads(ctx));
	tram_cpu_tiles_destroy(&tiles);
	return tram_vec_push(ctx, &list->infos, info);
}

/* --- life ---------------------------------------------------------------------------------- */

/* Batches that are still queued are dropped: whoever closes has waited for what matters. */
static void cpu_close(struct tram_device *dev)
{
	struct tram_cpu_device *cpu = cpu_of(dev);
	struct tram_ctx *ctx = dev->ctx;

	if (cpu->started) {
		pthread_mutex_lock(&cpu->lock);
		cpu->quit = true;
		pthread_cond_broadcast(&cpu->changed);
		pthread_mutex_unlock(&cpu->lock);
		pthread_join(cpu->executor, NULL);
	}
	tram_cpu_pool_destroy(&cpu->pool);
	tram_cpu_tiles_destroy(&cpu->tiles);
	pthread_cond_destroy(&cpu->changed);
	pthread_mutex_destroy(&cpu->lock);
	tram_free(ctx, cpu);	/* reason and rates are device.c's */
}

static int start_executor(struct tram_cpu_device *cpu)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	r = -pthread_create(&cpu->executor, NULL, executor_main, cpu);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return tram_fail(cpu->dev.ctx, r, "cpu device: its thread can't be started: %s",
				 strerror(-r));
	cpu->started = true;
	return 0;
}

static const struct tram_device_ops cpu_ops;

int tram_cpu_open_with(struct tram_ctx *ctx, const struct tram_cpu_isa *isa, unsigned int threads,
		       struct tram_device **dev)
{
	struct tram_cpu_device *cpu;
	pthread_condattr_t attr;
	int r;

	*dev = NULL;
	cpu = tram_zalloc(ctx, sizeof(*cpu));
	if (!cpu)
		return -ENOMEM;
	cpu->dev.ctx = ctx;
	cpu->dev.ops = &cpu_ops;
	cpu->isa = isa;
	cpu->class.threads = threads;
	pthread_mutex_init(&cpu->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cpu->changed, &attr);
	pthread_condattr_destroy(&attr);
	r = tram_cpu_tiles_create(ctx, isa, &cpu->tiles);
	if (!r)
		r = tram_cpu_pool_create(ctx, threads, &cpu->pool);
	if (!r)
		r = start_executor(cpu);
	if (r) {
		cpu_close(&cpu->dev);
		return r;
	}
	describe(&cpu->dev.info, isa, cpu->tiles, threads);
	cpu->dev.machine = (struct tram_machine_device){
		.budget = cpu->dev.info.memory, .granule = PAGE, .pad = TRAM_DEVICE_PAD,
		/* Coarse: what a core of the last ten years does at least. */
		.launch_s = 3e-6, .flops_per_s = 50e9 * threads, .bytes_per_s = 8e9,
		.scratch = tram_cpu_scratch, .kernels = &cpu->class,
	};
	*dev = &cpu->dev;
	return 0;
}

int tram_cpu_open(struct tram_ctx *ctx, uint32_t index, struct tram_device **dev)
{
	*dev = NULL;
	if (index)
		return tram_fail(ctx, -ENODEV, "cpu%u: there is one CPU device, cpu0", index);
	return tram_cpu_open_with(ctx, tram_cpu_isa_best(), tram_threads(ctx), dev);
}

static const struct tram_device_ops cpu_ops = {
	.close = cpu_close,
	.buffer_create = buffer_create,
	.buffer_destroy = buffer_destroy,
	.write = buffer_write,
	.read = buffer_read,
	.program_create = tram_cpu_program_create,
	.program_destroy = tram_cpu_program_destroy,
	.spans = cpu_spans,
	.timeline_create = timeline_create,
	.timeline_destroy = timeline_destroy,
	.timeline_signal = timeline_signal,
	.timeline_wait = timeline_wait,
	.submit = cpu_submit,
};
