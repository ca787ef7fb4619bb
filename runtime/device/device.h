/* SPDX-License-Identifier: MIT */
/*
 * The device interface: buffers, recorded programs of kernel calls, submission
 * with timelines. device.c holds the public face and the choice of "auto";
 * vk/ and cpu/ implement it. One thread at a time drives a device, except
 * that timelines may be signalled and waited for from any thread.
 */
#ifndef TRAM_DEVICE_DEVICE_H
#define TRAM_DEVICE_DEVICE_H

#include <tram/device.h>
#include <tram/exec.h>

#include "base/base.h"
#include "base/vec.h"
#include "graph/op.h"
#include "ops/machine.h"

/* Every allocation may be read this far past its end, and is zero there. */
#define TRAM_DEVICE_PAD 256
/* Alignment of tensors within a buffer, bytes. */
#define TRAM_TENSOR_ALIGN 256

enum tram_memory {
	TRAM_MEMORY_DEVICE,	/* fastest for the device; mapped where that costs nothing */
	TRAM_MEMORY_HOST,	/* mapped and coherent; the device reads and writes it in place */
};

struct tram_buffer {
	struct tram_device *dev;
	uint64_t size;		/* usable bytes, without the pad */
	void *map;		/* NULL when the host can't reach it */
};

/* A tensor of a call: dense, at buf + offset (bytes, multiple of TRAM_TENSOR_ALIGN or a view's offset: a multiple of 4). */
struct tram_operand {
	struct tram_buffer *buf;
	uint64_t offset;
	struct tram_shape shape;
	enum tram_dtype dtype;
};

struct tram_call {
	enum tram_op op;	/* a kernel op */
	const union tram_attr *attr;
	uint32_t n_in, n_out;
	const struct tram_operand *in, *out;
	struct tram_operand scratch;	/* bytes as the machine's scratch() said; buf NULL if 0 */
	bool barrier;		/* needs the results of, or overwrites operands of, an earlier call */
	uint32_t tag;		/* the caller's, for traces */
};

struct tram_program;	/* a recording; belongs to one device */
struct tram_timeline;	/* a counter that only grows; belongs to one device */

struct tram_batch {
	struct tram_timeline *wait;	/* NULL: none. May wait for a value not yet submitted */
	uint64_t wait_value;
	struct tram_program *program;	/* NULL: nothing to run */
	struct tram_timeline *signal;	/* NULL: none */
	uint64_t signal_value;
};

struct tram_span { uint32_t tag; uint64_t begin_ns, end_ns; };	/* device clock */

struct tram_device_ops {
	void (*close)(struct tram_device *dev);

	int (*buffer_create)(struct tram_device *dev, uint64_t size, enum tram_memory kind,
			     struct tram_buffer **buf);	/* zeroed */
	void (*buffer_destroy)(struct tram_buffer *buf);	/* nothing may be using it */
	/* Synchronous copies between host memory and a buffer, ordered after all that was submitted. */
	int (*write)(struct tram_buffer *buf, uint64_t offset, const void *src, uint64_t n);
	int (*read)(struct tram_buffer *buf, uint64_t offset, void *dst, uint64_t n);

	/*
	 * Records @calls, which may be dropped afterwards. @step: where the step block will be. @timed: take
	 * timestamps around every call, for ->spans.
	 */
	int (*program_create)(struct tram_device *dev, const struct tram_call *calls, size_t n,
			      struct tram_buffer *step, uint64_t step_offset, bool timed,
			      struct tram_program **prog);
	void (*program_destroy)(struct tram_program *prog);
	/* Spans of the last completed run of a timed program; at most @max; returns how many or -errno. */
	int (*spans)(struct tram_program *prog, struct tram_span *spans, size_t max);

	int (*timeline_create)(struct tram_device *dev, struct tram_timeline **t);	/* at 0 */
	void (*timeline_destroy)(struct tram_timeline *t);
	/* From the host. Host writes to mapped buffers made before are seen by batches that wait for it. */
	int (*timeline_signal)(struct tram_timeline *t, uint64_t value);
	/* Until @value or CLOCK_MONOTONIC @deadline_ns: 0, -ETIMEDOUT, -EIO (device lost; sticky). */
	int (*timeline_wait)(struct tram_timeline *t, uint64_t value, uint64_t deadline_ns);

	/* Runs the batches in order, each after its wait. One vkQueueSubmit2. */
	int (*submit)(struct tram_device *dev, const struct tram_batch *batches, size_t n);
};

struct tram_device {
	struct tram_ctx *ctx;
	const struct tram_device_ops *ops;
	struct tram_device_info info;
	struct tram_machine_device machine;	/* what the planner knows of it */
	char *reason;
	uint64_t memory_now, memory_peak;	/* kept by buffer_create/destroy, all allocations of it */
	int lost;				/* sticky -errno */
};

/* What each backend offers; called by device.c. list appends to @v. */
struct tram_device_list { TRAM_VEC(struct tram_device_info) infos; };
int tram_cpu_list(struct tram_ctx *ctx, struct tram_device_list *list);
int tram_cpu_open(struct tram_ctx *ctx, uint32_t index, struct tram_device **dev);
int tram_vk_list(struct tram_ctx *ctx, struct tram_device_list *list);	/* 0 and none when there is no Vulkan */
int tram_vk_open(struct tram_ctx *ctx, uint32_t index, struct tram_device **dev);

#endif
