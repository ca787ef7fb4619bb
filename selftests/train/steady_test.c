/* SPDX-License-Identifier: MIT */
/*
 * Steady state, counted on the mock driver: from step 3 on a training step is
 * one vkQueueSubmit2, creates and allocates no Vulkan object, and takes nothing from libtram's heap.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <tram/train.h>

#include "selftest.h"

enum { STEPS = 12, STEADY = 3 };

static const char *const created[] = {
	"vkCreateBuffer", "vkCreateCommandPool", "vkCreateComputePipelines", "vkCreateFence",
	"vkCreatePipelineLayout", "vkCreateQueryPool", "vkCreateSemaphore", "vkCreateShaderModule",
	"vkAllocateCommandBuffers", "vkAllocateMemory", "vkQueueSubmit",
};

static long (*count)(const char *name);
static size_t heap_calls;

static void *counting_alloc(void *arg, size_t size, size_t align)
{
	void *p;

	__atomic_fetch_add(&heap_calls, 1, __ATOMIC_RELAXED);
	return posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size) ? NULL : p;
}

static void counting_free(void *arg, void *p)
{
	free(p);
}

struct seen {
	long submits[STEPS + 1], objects[STEPS + 1];
	size_t heap[STEPS + 1];
	uint64_t steps;
};

static int on_event(void *arg, const struct tram_train_event *ev)
{
	struct seen *s = arg;

	/* The mock computes nothing, so the gate may call a step non-finite: it is a step all the same. */
	if (ev->kind != TRAM_EVENT_STEP && ev->kind != TRAM_EVENT_SKIP)
		return 0;
	s->submits[ev->step] = count("vkQueueSubmit2");
	for (size_t i = 0; i < sizeof(created) / sizeof(created[0]); i++) {
		long n = count(created[i]);

		s->objects[ev->step] += n > 0 ? n : 0;
	}
	s->heap[ev->step] = __atomic_load_n(&heap_calls, __ATOMIC_RELAXED);
	s->steps++;
	return 0;
}

static void a_step_is_one_submission_and_nothing_else(void **state)
{
	const struct tram_heap heap = { counting_alloc, counting_free, NULL };
	const struct tram_ctx_params cp = { .heap = &heap, .cache_dir = test_path("cache") };
	const struct tram_train_params p = { .steps = STEPS, .batch = 4, .seq = 16 };
	const char *library = getenv("MOCKVK_LIBRARY"), *data;
	struct tram_ctx *ctx = test_ctx();
	struct tram_trainer *trainer;
	struct tram_stream *stream;
	struct tram_device *dev;
	struct tram_model *m;
	struct seen s = { 0 };
	void *lib;

	if (!library) {
		printf("skip: MOCKVK_LIBRARY, the mock driver's path, is not set\n");
		skip();
	}
	lib = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(lib);
	*(void **)&count = dlsym(lib, "mockvk_count");
	assert_non_null(count);
	data = test_tokens(ctx, "data", 3000, 61);
	tram_ctx_destroy(&ctx);
	assert_int_equal(tram_ctx_create(&cp, &ctx), 0);
	ok(ctx, tram_model_open(ctx, test_config("model", 61, 16, 32, 2, 4), 0, 0, &m));
	ok(ctx, tram_stream_open(ctx, data, NULL, &stream));
	ok(ctx, tram_device_open(ctx, "vk0", &dev));
	ok(ctx, tram_trainer_create(&dev, 1, m, stream, NULL, NULL, &p, &trainer));
	ok(ctx, tram_trainer_run(trainer, on_event, &s));
	assert_int_equal(s.steps, STEPS);
	/* The last step but one is told when nothing is left to submit. */
	for (int i = STEADY; i + 2 < STEPS; i++) {
		assert_int_equal(s.submits[i + 1] - s.submits[i], 1);
		assert_int_equal(s.objects[i + 1] - s.objects[i], 0);
		assert_int_equal(s.heap[i + 1] - s.heap[i], 0);
	}
	tram_trainer_destroy(&trainer);
	tram_device_close(&dev);
	tram_stream_close(&stream);
	tram_model_close(&m);
	tram_ctx_destroy(&ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_is_one_submission_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
