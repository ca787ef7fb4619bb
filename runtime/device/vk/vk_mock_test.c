/* SPDX-License-Identifier: MIT */
/*
 * What the Vulkan backend promises when things go wrong, on the mock driver
 * of selftests/mockvk: every failing call ends in its errno and leaves nothing
 * behind; a lost device stays lost; a step in steady state is one submission.
 */
#include "device/vk/vk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test_heap.h"
#include "graph/graph.h"

#define SECOND 1000000000ull
#define WORDS 1000u

/* control.h of the mock, by dlsym(): the loader opens the same library. */
static struct {
	void (*reset)(void);
	long (*count)(const char *name);
	void (*fail_at)(const char *name, long nth, int result);
	int (*failed)(void);
	void (*lose)(long nth, int running);
	void (*hang)(int on);
	void (*memory_limit)(uint64_t bytes);
	long (*live)(void);
	long (*misuses)(void);
	long (*cache_bytes)(void);
} mock;

static int load_mock(void **state)
{
	static const struct { const char *name; void *fn; } symbols[] = {
		{ "mockvk_reset", &mock.reset }, { "mockvk_count", &mock.count },
		{ "mockvk_fail", &mock.fail_at }, { "mockvk_failed", &mock.failed },
		{ "mockvk_lose", &mock.lose }, { "mockvk_hang", &mock.hang },
		{ "mockvk_memory_limit", &mock.memory_limit }, { "mockvk_live", &mock.live },
		{ "mockvk_misuses", &mock.misuses }, { "mockvk_cache_bytes", &mock.cache_bytes },
	};
	const char *path = getenv("MOCKVK_LIBRARY");
	void *lib = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;

	if (!lib)
		return -1;
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(symbols); i++) {
		void *p = dlsym(lib, symbols[i].name);

		if (!p)
			return -1;
		memcpy(symbols[i].fn, &p, sizeof(p));
	}
	return 0;
}

static uint64_t soon(void)
{
	return tram_now_ns() + 20 * SECOND;
}

static void no_traces(void)
{
	assert_int_equal(mock.live(), 0);
	assert_int_equal(mock.misuses(), 0);
}

/* --- a chain that uses all of it ------------------------------------------------- */

static int lower_fill(struct tram_vk_emit *e, const struct tram_call *call)
{
	return tram_vk_fill(e, &call->out[0], tram_shape_count(&call->out[0].shape) * 4, 5,
			    call->barrier);
}

static int lower_probe(struct tram_vk_emit *e, const struct tram_call *call)
{
	const uint32_t a = 1;
	const uint64_t args[3] = { tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]) };

	return tram_vk_dispatch(e, TRAM_VK_SHADER_PROBE, &a, 1, args, sizeof(args), 1, 1, 1,
				call->barrier);
}

static const struct tram_vk_lowering test_lowerings[TRAM_OP_COUNT] = {
	[TRAM_OP_COPY] = { tram_vk_lower_copy },
	[TRAM_OP_PACK] = { lower_fill },
	[TRAM_OP_SLICE] = { lower_probe },
};

struct chain {
	uint32_t index;			/* of the device */
	struct tram_device *dev;
	struct tram_buffer *data, *step;
	struct tram_program *prog;
	struct tram_timeline *done, *gate;
	uint64_t value;			/* last of done */
};

static int chain_open(struct tram_ctx *ctx, struct chain *c)
{
	static const union tram_attr none;
	const struct tram_device_ops *ops;
	struct tram_operand x, y;
	int err;

	err = tram_vk_open(ctx, c->index, &c->dev);
	if (err)
		return err;
	ops = c->dev->ops;
	tram_vk_of(c->dev)->lowerings = test_lowerings;
	err = ops->buffer_create(c->dev, 8192, TRAM_MEMORY_DEVICE, &c->data);
	if (!err)
		err = ops->buffer_create(c->dev, sizeof(struct tram_step), TRAM_MEMORY_HOST,
					 &c->step);
	if (!err)
		err = ops->timeline_create(c->dev, &c->done);
	if (!err)
		err = ops->timeline_create(c->dev, &c->gate);
	if (err)
		return err;
	x = (struct tram_operand){ c->data, 0, TRAM_SHAPE(WORDS), TRAM_I32 };
	y = (struct tram_operand){ c->data, 4096, TRAM_SHAPE(WORDS), TRAM_I32 };
	const struct tram_call calls[3] = {
		{ .op = TRAM_OP_PACK, .attr = &none, .n_out = 1, .out = &x },
		{ .op = TRAM_OP_COPY, .attr = &none, .n_in = 1, .n_out = 1, .in = &x, .out = &y,
		  .barrier = true },
		{ .op = TRAM_OP_SLICE, .attr = &none, .n_in = 1, .n_out = 1, .in = &y, .out = &x,
		  .barrier = true },
	};

	return ops->program_create(c->dev, calls, 3, c->step, 0, true, &c->prog);
}

/* One submission of two batches; the second behind the gate. */
static int chain_step(struct chain *c)
{
	const struct tram_device_ops *ops = c->dev->ops;
	uint64_t n = c->value / 2 + 1;
	const struct tram_batch batches[2] = {
		{ .program = c->prog, .signal = c->done, .signal_value = 2 * n - 1 },
		{ .wait = c->gate, .wait_value = n, .signal = c->done, .signal_value = 2 * n },
	};
	int err = ops->submit(c->dev, batches, 2);

	if (!err)
		err = ops->timeline_wait(c->done, 2 * n - 1, soon());
	if (!err)
		err = ops->timeline_signal(c->gate, n);
	if (!err)
		err = ops->timeline_wait(c->done, 2 * n, soon());
	c->value = 2 * n;
	return err;
}

static int chain_look(struct chain *c)
{
	struct tram_span spans[3];
	uint32_t words[WORDS];
	int err;

	err = c->dev->ops->read(c->data, 4096, words, sizeof(words));
	for (uint32_t i = 0; !err && i < WORDS; i++)
		assert_int_equal(words[i], 5);
	if (!err)
		err = c->dev->ops->write(c->data, 0, words, sizeof(words));
	if (err)
		return err;
	err = c->dev->ops->spans(c->prog, spans, 3);
	return err < 0 ? err : 0;
}

/* What was submitted must end before what it uses goes: an abort opens the gate. */
static int chain_abort(struct chain *c, int err)
{
	if (err && c->gate && !c->dev->ops->timeline_signal(c->gate, 1000000))
		tram_vk_idle(tram_vk_of(c->dev), 5 * SECOND);
	return err;
}

static void chain_close(struct chain *c)
{
	if (!c->dev)
		return;
	c->dev->ops->program_destroy(c->prog);
	if (c->done)
		c->dev->ops->timeline_destroy(c->done);
	if (c->gate)
		c->dev->ops->timeline_destroy(c->gate);
	c->dev->ops->buffer_destroy(c->data);
	c->dev->ops->buffer_destroy(c->step);
	c->dev->ops->close(c->dev);
	*c = (struct chain){ .index = c->index };
}

static int whole_chain(struct tram_ctx *ctx, void *arg)
{
	struct chain c = { .index = *(const uint32_t *)arg };
	int err = chain_open(ctx, &c);

	if (!err)
		err = chain_step(&c);
	if (!err)
		err = chain_step(&c);
	if (!err)
		err = chain_look(&c);
	chain_abort(&c, err);
	chain_close(&c);
	return err;
}

/* Closing has no way to fail: shaders that can't be kept then are not. */
static int chain_without_cache(struct tram_ctx *ctx, void *arg)
{
	struct chain c = { .index = *(const uint32_t *)arg };
	int err = chain_open(ctx, &c);

	if (!err)
		err = chain_step(&c);
	if (!err)
		err = chain_look(&c);
	chain_abort(&c, err);
	if (c.dev)
		tram_vk_of(c.dev)->cache_dirty = false;
	chain_close(&c);
	return err;
}

static struct tram_ctx *new_ctx(const char *cache_dir)
{
	const struct tram_ctx_params params = { .cache_dir = cache_dir ? cache_dir : "/nowhere" };
	struct tram_ctx *ctx;

	mock.reset();
	assert_int_equal(tram_ctx_create(&params, &ctx), 0);
	return ctx;
}

/* --- claims ---------------------------------------------------------------------- */

static void the_list_says_what_cannot_be_used_and_why(void **state)
{
	struct tram_device_list list = { 0 };
	struct tram_ctx *ctx = new_ctx(NULL);
	struct tram_device *dev;

	assert_int_equal(tram_vk_list(ctx, &list), 0);
	assert_int_equal(list.infos.n, 4);
	assert_int_equal(list.infos.v[0].kind, TRAM_DEVICE_VK_DISCRETE);
	assert_string_equal(list.infos.v[0].unusable, "");
	assert_int_equal(list.infos.v[0].memory, UINT64_C(8) << 30);
	assert_int_equal(list.infos.v[1].kind, TRAM_DEVICE_VK_INTEGRATED);
	assert_non_null(strstr(list.infos.v[2].unusable, "Vulkan 1.1"));
	assert_non_null(strstr(list.infos.v[3].unusable, "lacks scalarBlockLayout"));
	assert_int_equal(tram_vk_open(ctx, 3, &dev), -ENOTSUP);
	assert_null(dev);
	assert_non_null(strstr(tram_error(ctx), "scalarBlockLayout"));
	assert_int_equal(tram_vk_open(ctx, 2, &dev), -ENOTSUP);
	assert_int_equal(tram_vk_open(ctx, 4, &dev), -ENODEV);
	tram_vec_free(ctx, &list.infos);
	tram_ctx_destroy(&ctx);
	no_traces();
}

static void auto_takes_the_best_gpu_that_opens(void **state)
{
	struct tram_ctx *ctx = new_ctx(NULL);
	struct tram_device *dev;

	assert_int_equal(tram_device_open(ctx, "auto", &dev), 0);
	assert_string_equal(tram_device_info(dev)->name, "Mock discrete");
	assert_non_null(strstr(tram_device_reason(dev), "discrete GPU, the largest of several"));
	tram_device_close(&dev);
	mock.fail_at("vkCreateDevice", 1, VK_ERROR_INITIALIZATION_FAILED);
	assert_int_equal(tram_device_open(ctx, "auto", &dev), 0);
	assert_string_equal(tram_device_info(dev)->name, "Mock integrated");
	assert_non_null(strstr(tram_device_reason(dev), "vk0 passed over: "));
	tram_device_close(&dev);
	tram_ctx_destroy(&ctx);
	no_traces();
}

static void the_whole_chain_works(void **state)
{
	for (uint32_t index = 0; index < 2; index++) {
		struct tram_ctx *ctx = new_ctx(NULL);

		if (whole_chain(ctx, &index))
			fail_msg("%s", tram_error(ctx));
		tram_ctx_destroy(&ctx);
		no_traces();
	}
}

static void memory_that_cannot_be_mapped_is_reached_by_staging(void **state)
{
	const uint64_t size = (9u << 20) + 12345;	/* more than two staging buffers */
	unsigned char *out = malloc(size), *in = calloc(1, size);
	struct tram_ctx *ctx = new_ctx(NULL);
	struct tram_buffer *buf;
	struct tram_device *dev;
	uint64_t before;

	assert_int_equal(tram_vk_open(ctx, 0, &dev), 0);
	assert_int_equal(dev->machine.granule, 1024);	/* the mock's rounding was found out */
	before = dev->memory_now;
	assert_int_equal(dev->ops->buffer_create(dev, size, TRAM_MEMORY_DEVICE, &buf), 0);
	assert_null(buf->map);
	assert_int_equal(dev->memory_now - before, TRAM_ALIGN_UP(size + dev->machine.pad, 1024));
	memset(out, 1, size);
	assert_int_equal(dev->ops->read(buf, 0, out, size), 0);
	assert_memory_equal(out, in, size);		/* zero, though the mock's memory is dirty */
	for (uint64_t i = 0; i < size; i++)
		in[i] = (unsigned char)(i * 7 + i / 251);
	assert_int_equal(dev->ops->write(buf, 0, in, size), 0);
	assert_int_equal(dev->ops->write(buf, 1001, "tram", 4), 0);
	memcpy(in + 1001, "tram", 4);
	assert_int_equal(dev->ops->read(buf, 0, out, size), 0);
	assert_memory_equal(out, in, size);
	dev->ops->buffer_destroy(buf);
	assert_int_equal(dev->memory_now, before);
	dev->ops->close(dev);
	tram_ctx_destroy(&ctx);
	free(out);
	free(in);
	no_traces();
}

static void a_step_in_steady_state_is_one_submission_and_nothing_else(void **state)
{
	static const char *const never[] = {
		"vkCreateBuffer", "vkAllocateMemory", "vkMapMemory", "vkCreateSemaphore",
		"vkCreateCommandPool", "vkAllocateCommandBuffers", "vkBeginCommandBuffer",
		"vkCreatePipelineLayout", "vkCreateShaderModule", "vkCreateComputePipelines",
		"vkCreateQueryPool", "vkCreateDevice", "vkCreateInstance", "vkDeviceWaitIdle",
	};
	long before[TRAM_ARRAY_SIZE(never)], submits;
	struct chain c = { .index = 0 };
	struct test_heap heap;
	struct tram_ctx *ctx;
	size_t allocations;

	mock.reset();
	ctx = test_heap_ctx(&heap);
	assert_int_equal(chain_open(ctx, &c), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(chain_step(&c), 0);
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(never); i++)
		before[i] = mock.count(never[i]);
	submits = mock.count("vkQueueSubmit2");
	allocations = atomic_load(&heap.calls);
	for (int i = 0; i < 100; i++)
		assert_int_equal(chain_step(&c), 0);
	assert_int_equal(mock.count("vkQueueSubmit2") - submits, 100);
	assert_int_equal(atomic_load(&heap.calls), allocations);
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(never); i++)
		assert_int_equal(mock.count(never[i]), before[i]);
	chain_close(&c);
	tram_ctx_destroy(&ctx);
	no_traces();
}

static void every_vulkan_call_may_fail(void **state)
{
	/* may_pass: so many failures cost nothing */
	static const struct { const char *name; int may_pass; } calls[] = {
		{ "vkCreateInstance" }, { "vkEnumeratePhysicalDevices" }, { "vkCreateDevice" },
		{ "vkEnumerateDeviceExtensionProperties", 99 },	/* no budget is known then */
		{ "vkCreateBuffer" }, { "vkAllocateMemory" }, { "vkBindBufferMemory" },
		{ "vkMapMemory" }, { "vkCreateSemaphore" }, { "vkGetSemaphoreCounterValue" },
		{ "vkSignalSemaphore" }, { "vkWaitSemaphores", 1 },	/* at close */
		{ "vkCreateCommandPool" }, { "vkAllocateCommandBuffers" }, { "vkBeginCommandBuffer" },
		{ "vkEndCommandBuffer" }, { "vkCreatePipelineLayout" },
		{ "vkCreatePipelineCache" }, { "vkGetPipelineCacheData", 2 },	/* at close */
		{ "vkCreateShaderModule" }, { "vkCreateComputePipelines" },
		{ "vkCreateQueryPool" }, { "vkGetQueryPoolResults" }, { "vkQueueSubmit2" },
	};
	static const struct { VkResult r; int err; } results[] = {
		{ VK_ERROR_OUT_OF_HOST_MEMORY, -ENOMEM }, { VK_ERROR_DEVICE_LOST, -EIO },
	};
	long runs = 0;

	for (uint32_t index = 0; index < 2; index++) {
		for (size_t i = 0; i < 2 * TRAM_ARRAY_SIZE(calls); i++) {
			const char *name = calls[i / 2].name;
			bool lost = i & 1;

			/* before there is a device, none can be lost */
			if (lost && i / 2 < 4)
				continue;
			for (long nth = 1, passed = 0; nth < 1000; nth++, runs++) {
				struct tram_ctx *ctx = new_ctx(NULL);
				int err;

				mock.fail_at(name, nth, results[lost].r);
				err = whole_chain(ctx, &index);
				if (!mock.failed()) {
					/* vk1 maps its memory and has no staging */
					assert_int_equal(err, 0);
					tram_ctx_destroy(&ctx);
					no_traces();
					break;
				}
				/* the loader asks too, and gives up where libtram would not */
				passed += !err;
				if (err != results[lost].err &&
				    (err || passed > calls[i / 2].may_pass))
					fail_msg("%s number %ld of vk%u failing with %d: %d (%s)",
						 name, nth, index, results[lost].r, err,
						 tram_error(ctx));
				assert_true(!err || tram_error(ctx)[0]);
				tram_ctx_destroy(&ctx);
				no_traces();
			}
		}
	}
	assert_true(runs > 100);
}

static void every_allocation_may_fail(void **state)
{
	for (uint32_t index = 0; index < 2; index++) {
		mock.reset();
		assert_true(test_heap_each_failure(chain_without_cache, &index) > 10);
		no_traces();
	}
}

static void a_lost_device_stays_lost(void **state)
{
	for (int i = 0; i < 2 * 6; i++) {
		bool running = i & 1;
		long at = i / 2 + 1, calls;
		struct tram_ctx *ctx = new_ctx(NULL);
		struct chain c = { .index = 1 };
		struct tram_timeline *t;
		struct tram_program *prog;
		struct tram_buffer *buf;
		char byte;
		int err = 0;

		assert_int_equal(chain_open(ctx, &c), 0);
		mock.lose(at, running);
		for (long k = 1; k <= at; k++) {
			err = chain_step(&c);
			assert_int_equal(err, k == at ? -EIO : 0);
		}
		assert_int_equal(c.dev->lost, -EIO);
		assert_non_null(strstr(tram_error(ctx), "lost"));
		/* and the driver is not even asked: what was on the device is gone */
		calls = mock.count("vkQueueSubmit2") + mock.count("vkWaitSemaphores") +
			mock.count("vkAllocateMemory") + mock.count("vkCreateSemaphore");
		assert_int_equal(chain_step(&c), -EIO);
		assert_int_equal(c.dev->ops->read(c.data, 0, &byte, 1), -EIO);
		assert_int_equal(c.dev->ops->write(c.data, 0, &byte, 1), -EIO);
		assert_int_equal(c.dev->ops->timeline_wait(c.done, 1, soon()), -EIO);
		assert_int_equal(c.dev->ops->timeline_signal(c.gate, 99), -EIO);
		assert_int_equal(c.dev->ops->buffer_create(c.dev, 1, TRAM_MEMORY_HOST, &buf), -EIO);
		assert_int_equal(c.dev->ops->timeline_create(c.dev, &t), -EIO);
		assert_int_equal(c.dev->ops->program_create(c.dev, NULL, 0, c.step, 0, false,
							    &prog), -EIO);
		assert_int_equal(calls, mock.count("vkQueueSubmit2") +
				 mock.count("vkWaitSemaphores") + mock.count("vkAllocateMemory") +
				 mock.count("vkCreateSemaphore"));
		chain_close(&c);
		tram_ctx_destroy(&ctx);
		assert_int_equal(mock.live(), 0);
	}
}

static void a_hang_is_a_timeout_not_a_loss(void **state)
{
	struct tram_ctx *ctx = new_ctx(NULL);
	struct chain c = { .index = 1 };
	struct tram_batch batch = { .signal_value = 1 };
	uint64_t start;

	assert_int_equal(chain_open(ctx, &c), 0);
	batch.program = c.prog;
	batch.signal = c.done;
	mock.hang(1);
	assert_int_equal(c.dev->ops->submit(c.dev, &batch, 1), 0);
	start = tram_now_ns();
	assert_int_equal(c.dev->ops->timeline_wait(c.done, 1, start + SECOND / 5), -ETIMEDOUT);
	assert_true(tram_now_ns() - start >= SECOND / 5);
	assert_int_equal(c.dev->lost, 0);
	mock.hang(0);
	assert_int_equal(c.dev->ops->timeline_wait(c.done, 1, soon()), 0);
	chain_close(&c);
	tram_ctx_destroy(&ctx);
	no_traces();
}

static void *wait_long(void *arg)
{
	struct chain *c = arg;

	return (void *)(intptr_t)c->dev->ops->timeline_wait(c->done, 1000, soon());
}

static void a_loss_ends_the_waits_of_other_threads(void **state)
{
	struct tram_ctx *ctx = new_ctx(NULL);
	struct chain c = { .index = 0 };
	uint64_t start = tram_now_ns();
	pthread_t thread;
	void *result;

	assert_int_equal(chain_open(ctx, &c), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_long, &c), 0);
	mock.lose(1, 1);
	assert_int_equal(chain_step(&c), -EIO);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, -EIO);
	assert_true(tram_now_ns() - start < 10 * SECOND);
	chain_close(&c);
	tram_ctx_destroy(&ctx);
	assert_int_equal(mock.live(), 0);
}

struct opener { struct chain *c; uint64_t steps; };

static void *open_gates(void *arg)
{
	struct opener *o = arg;

	for (uint64_t n = 1; n <= o->steps; n++) {
		int err = o->c->dev->ops->timeline_wait(o->c->done, 2 * n - 1, soon());

		if (!err)
			err = o->c->dev->ops->timeline_signal(o->c->gate, n);
		if (err)
			return (void *)(intptr_t)err;
	}
	return NULL;
}

static void timelines_may_be_used_from_any_thread(void **state)
{
	struct tram_ctx *ctx = new_ctx(NULL);
	struct chain c = { .index = 1 };
	struct opener o = { &c, 200 };
	pthread_t thread;
	void *result;

	assert_int_equal(chain_open(ctx, &c), 0);
	assert_int_equal(pthread_create(&thread, NULL, open_gates, &o), 0);
	for (uint64_t n = 1; n <= o.steps; n++) {
		const struct tram_batch batches[2] = {
			{ .program = c.prog, .signal = c.done, .signal_value = 2 * n - 1 },
			{ .wait = c.gate, .wait_value = n, .signal = c.done, .signal_value = 2 * n },
		};

		assert_int_equal(c.dev->ops->submit(c.dev, batches, 2), 0);
		assert_int_equal(c.dev->ops->timeline_wait(c.done, 2 * n, soon()), 0);
	}
	pthread_join(thread, &result);
	assert_null(result);
	chain_close(&c);
	tram_ctx_destroy(&ctx);
	no_traces();
}

static void memory_that_runs_out_is_enomem_and_changes_nothing(void **state)
{
	struct tram_ctx *ctx = new_ctx(NULL);
	struct chain c = { .index = 1 };
	struct tram_buffer *buf;
	uint64_t before;

	assert_int_equal(chain_open(ctx, &c), 0);
	before = c.dev->memory_now;
	mock.memory_limit(before + 4096);
	assert_int_equal(c.dev->ops->buffer_create(c.dev, 4097, TRAM_MEMORY_DEVICE, &buf), -ENOMEM);
	assert_null(buf);
	assert_non_null(strstr(tram_error(ctx), "out of memory"));
	assert_int_equal(c.dev->memory_now, before);
	assert_int_equal(c.dev->lost, 0);
	assert_int_equal(c.dev->ops->buffer_create(c.dev, 1024, TRAM_MEMORY_DEVICE, &buf), 0);
	c.dev->ops->buffer_destroy(buf);
	assert_int_equal(chain_step(&c), 0);
	chain_close(&c);
	tram_ctx_destroy(&ctx);
	no_traces();
}

static long run_with_cache(const char *dir)
{
	uint32_t index = 0;
	struct tram_ctx *ctx = new_ctx(dir);

	assert_int_equal(whole_chain(ctx, &index), 0);
	tram_ctx_destroy(&ctx);
	no_traces();
	return mock.cache_bytes();
}

static void compiled_shaders_are_kept_and_damage_is_noticed(void **state)
{
	char dir[] = "/tmp/tram-vk-cache-XXXXXX", path[256];
	long size;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(run_with_cache(dir), 0);
	size = run_with_cache(dir);
	assert_int_equal(size, sizeof(VkPipelineCacheHeaderVersionOne));
	snprintf(path, sizeof(path), "%s/pipelines-feed-0000-40404040404040404040404040404040", dir);
	f = fopen(path, "r+b");
	assert_non_null(f);
	for (long at = 0; at < 24 + size; at++) {
		int c;

		fseek(f, at, SEEK_SET);
		c = fgetc(f);
		fseek(f, at, SEEK_SET);
		fputc(c ^ 0x10, f);
		fflush(f);
		{	/* opening reads it; closing without new shaders leaves it */
			struct tram_ctx *ctx = new_ctx(dir);
			struct tram_device *dev;

			assert_int_equal(tram_vk_open(ctx, 0, &dev), 0);
			assert_int_equal(mock.cache_bytes(), 0);
			dev->ops->close(dev);
			tram_ctx_destroy(&ctx);
		}
		fseek(f, at, SEEK_SET);
		fputc(c, f);
		fflush(f);
	}
	fclose(f);
	assert_int_equal(run_with_cache(dir), size);
	assert_int_equal(truncate(path, 40), 0);
	assert_int_equal(run_with_cache(dir), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_says_what_cannot_be_used_and_why),
		cmocka_unit_test(auto_takes_the_best_gpu_that_opens),
		cmocka_unit_test(the_whole_chain_works),
		cmocka_unit_test(memory_that_cannot_be_mapped_is_reached_by_staging),
		cmocka_unit_test(a_step_in_steady_state_is_one_submission_and_nothing_else),
		cmocka_unit_test(every_vulkan_call_may_fail),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(a_lost_device_stays_lost),
		cmocka_unit_test(a_hang_is_a_timeout_not_a_loss),
		cmocka_unit_test(a_loss_ends_the_waits_of_other_threads),
		cmocka_unit_test(timelines_may_be_used_from_any_thread),
		cmocka_unit_test(memory_that_runs_out_is_enomem_and_changes_nothing),
		cmocka_unit_test(compiled_shaders_are_kept_and_damage_is_noticed),
	};

	if (load_mock(NULL)) {
		fprintf(stderr, "skipped: MOCKVK_LIBRARY names no mock driver; run by meson test\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
