/* SPDX-License-Identifier: MIT */
/*
 * What the files of the Vulkan backend share. vk.c: instance, choice of the
 * physical device, opening and closing; vk_memory.c: buffers; vk_pipeline.c:
 * compute pipelines; vk_program.c: recording; vk_queue.c: timelines and
 * submission; lower.c and lower_*.c: what a call is made of (kernel.h).
 */
#ifndef TRAM_DEVICE_VK_VK_H
#define TRAM_DEVICE_VK_VK_H

#include <stdatomic.h>

#include "device/vk/api.h"
#include "device/vk/kernel.h"

/* Bytes of argument blocks that a program sets aside for each call (the plan counts on it). */
#define TRAM_VK_ARGS_PER_CALL 512

struct tram_vk_instance {
	struct tram_ctx *ctx;
	VkInstance handle;
	VkDebugUtilsMessengerEXT messenger;	/* with TRAM_VK_VALIDATION=1 */
	struct tram_vk_global_api global;
	struct tram_vk_instance_api fn;
	atomic_uint errors;			/* validation errors so far */
};

struct tram_vk_buffer {
	struct tram_buffer base;
	VkBuffer handle;
	VkDeviceMemory memory;
	VkDeviceAddress address;
	uint64_t allocated;	/* bytes asked of vkAllocateMemory */
};

struct tram_timeline {
	struct tram_vk *vk;
	VkSemaphore handle;
};

struct tram_vk_pipeline;

struct tram_vk {
	struct tram_device base;	/* first: a tram_device is a tram_vk */
	struct tram_vk_instance *instance;
	VkPhysicalDevice physical;
	VkDevice handle;
	struct tram_vk_device_api fn;
	uint32_t family;
	VkQueue queue;
	struct tram_vk_class class;
	/* tram_vk_lowerings; tests put their own table here before they record. */
	const struct tram_vk_lowering *lowerings;

	/* vk_memory.c */
	VkPhysicalDeviceMemoryProperties memory;
	bool unified;			/* the device's memory is the host's */
	uint64_t max_buffer, max_allocation;	/* bytes */
	struct tram_buffer *staging;	/* made by the first copy that needs it */

	/* vk_pipeline.c */
	VkPipelineLayout layout;
	VkPipelineCache cache;		/* VK_NULL_HANDLE where it would do nothing */
	char *cache_path;
	bool cache_dirty;
	bool choose_subgroup;		/* pipelines may name class.subgroup */
	struct tram_vk_pipeline **buckets;
	size_t n_buckets, n_pipelines;

	/* vk_queue.c */
	VkCommandPool pool;
	VkCommandBuffer transfer;	/* recorded anew by every copy from or to the host */
	struct tram_timeline done;	/* serial of the last completed submission */
	uint64_t serial;		/* of the last submission */
	double timestamp_ns;		/* nanoseconds of a tick */
	uint32_t timestamp_bits;	/* 0: no timestamps */
};

static inline struct tram_vk *tram_vk_of(struct tram_device *dev)
{
	return (struct tram_vk *)dev;
}

static inline struct tram_vk_buffer *tram_vk_buffer_of(struct tram_buffer *buf)
{
	return (struct tram_vk_buffer *)buf;
}

/*
 * The one place where a VkResult becomes -errno. Records "SUBJECT: WHAT: REASON; REMEDY"; a lost
 * device is remembered.
 */
int tram_vk_fail(struct tram_vk *vk, VkResult r, const char *what, ...) TRAM_PRINTF(3, 4);
/* The same before there is a device. */
int tram_vk_fail_early(struct tram_ctx *ctx, VkResult r, const char *subject, const char *what);

static inline bool tram_vk_lost(const struct tram_vk *vk)
{
	return __atomic_load_n(&vk->base.lost, __ATOMIC_ACQUIRE) != 0;
}

/* 0, or the sticky -EIO of a lost device with its message. Any thread. */
int tram_vk_check(struct tram_vk *vk);

/* Validation errors since the device was opened; 0 without TRAM_VK_VALIDATION=1. */
unsigned int tram_vk_validation_errors(const struct tram_device *dev);

/* vk_memory.c; buffers can be made from here on */
int tram_vk_memory_init(struct tram_vk *vk);
void tram_vk_memory_finish(struct tram_vk *vk);
int tram_vk_buffer_create(struct tram_device *dev, uint64_t size, enum tram_memory kind,
			  struct tram_buffer **buf);
void tram_vk_buffer_destroy(struct tram_buffer *buf);
int tram_vk_write(struct tram_buffer *buf, uint64_t offset, const void *src, uint64_t n);
int tram_vk_read(struct tram_buffer *buf, uint64_t offset, void *dst, uint64_t n);

/* vk_pipeline.c */
int tram_vk_pipelines_init(struct tram_vk *vk);
void tram_vk_pipelines_finish(struct tram_vk *vk);
/* Owned by the device. */
int tram_vk_pipeline_get(struct tram_vk *vk, enum tram_vk_shader shader, const uint32_t *spec,
			 uint32_t n_spec, VkPipeline *pipeline);

/* vk_program.c */
int tram_vk_program_create(struct tram_device *dev, const struct tram_call *calls, size_t n,
			   struct tram_buffer *step, uint64_t step_offset, bool timed,
			   struct tram_program **prog);
void tram_vk_program_destroy(struct tram_program *prog);
int tram_vk_spans(struct tram_program *prog, struct tram_span *spans, size_t max);
VkCommandBuffer tram_vk_program_commands(const struct tram_program *prog);
/* Everything before, on the device and by the host, is done and seen by what follows. */
void tram_vk_barrier_begin(struct tram_vk *vk, VkCommandBuffer cb);
/* Everything before is done and seen by the host. */
void tram_vk_barrier_end(struct tram_vk *vk, VkCommandBuffer cb);

/* vk_queue.c */
int tram_vk_queue_init(struct tram_vk *vk);
void tram_vk_queue_finish(struct tram_vk *vk);
int tram_vk_timeline_create(struct tram_device *dev, struct tram_timeline **t);
void tram_vk_timeline_destroy(struct tram_timeline *t);
int tram_vk_timeline_signal(struct tram_timeline *t, uint64_t value);
int tram_vk_timeline_wait(struct tram_timeline *t, uint64_t value, uint64_t deadline_ns);
int tram_vk_submit(struct tram_device *dev, const struct tram_batch *batches, size_t n);
/* Until all that was submitted is complete; -ETIMEDOUT after @limit_ns. */
int tram_vk_idle(struct tram_vk *vk, uint64_t limit_ns);
/* Begin recording vk->transfer; submit it and wait. */
int tram_vk_transfer_begin(struct tram_vk *vk);
int tram_vk_transfer_end(struct tram_vk *vk);

#endif
