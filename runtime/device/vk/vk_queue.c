/* SPDX-License-Identifier: MIT */
/*
 * Timelines and submission. A submission is one vkQueueSubmit2 of all its
 * batches and touches no heap. The last batch of each also signals the
 * device's own timeline `done` with its serial, which is how copies between
 * host and buffers know that everything submitted before is complete.
 */
#include "device/vk/vk.h"

#define MAX_BATCHES 64
/* A wait looks up this often, so that a loss noticed by another thread ends it. */
#define SLICE_NS 50000000u

static int semaphore_create(struct tram_vk *vk, struct tram_timeline *t)
{
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
	};
	const VkSemaphoreCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type,
	};
	VkResult r = vk->fn.CreateSemaphore(vk->handle, &ci, NULL, &t->handle);

	t->vk = vk;
	if (!r)
		return 0;
	t->handle = VK_NULL_HANDLE;
	return tram_vk_fail(vk, r, "create a timeline");
}

int tram_vk_queue_init(struct tram_vk *vk)
{
	const VkCommandPoolCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = vk->family,
	};
	VkCommandBufferAllocateInfo ai = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1,
	};
	VkResult r;

	r = vk->fn.CreateCommandPool(vk->handle, &ci, NULL, &vk->pool);
	if (r) {
		vk->pool = VK_NULL_HANDLE;
		return tram_vk_fail(vk, r, "create a command pool");
	}
	ai.commandPool = vk->pool;
	r = vk->fn.AllocateCommandBuffers(vk->handle, &ai, &vk->transfer);
	if (r) {
		vk->transfer = VK_NULL_HANDLE;
		return tram_vk_fail(vk, r, "allocate a command buffer");
	}
	return semaphore_create(vk, &vk->done);
}

void tram_vk_queue_finish(struct tram_vk *vk)
{
	if (vk->done.handle)
		vk->fn.DestroySemaphore(vk->handle, vk->done.handle, NULL);
	if (vk->pool)	/* with its command buffers */
		vk->fn.DestroyCommandPool(vk->handle, vk->pool, NULL);
	vk->done.handle = VK_NULL_HANDLE;
	vk->pool = VK_NULL_HANDLE;
}

/* Timelines */

int tram_vk_timeline_create(struct tram_device *dev, struct tram_timeline **out)
{
	struct tram_vk *vk = tram_vk_of(dev);
	struct tram_timeline *t;
	int err;

	*out = NULL;
	err = tram_vk_check(vk);
	if (err)
		return err;
	t = tram_zalloc(dev->ctx, sizeof(*t));
	if (!t)
		return -ENOMEM;
	err = semaphore_create(vk, t);
	if (err) {
		tram_free(dev->ctx, t);
		return err;
	}
	*out = t;
	return 0;
}

void tram_vk_timeline_destroy(struct tram_timeline *t)
{
	if (!t)
		return;
	t->vk->fn.DestroySemaphore(t->vk->handle, t->handle, NULL);
	tram_free(t->vk->base.ctx, t);
}

int tram_vk_timeline_signal(struct tram_timeline *t, uint64_t value)
{
	const VkSemaphoreSignalInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
		.semaphore = t->handle, .value = value,
	};
	struct tram_vk *vk = t->vk;
	uint64_t now;
	VkResult r;
	int err = tram_vk_check(vk);

	if (err)
		return err;
	r = vk->fn.GetSemaphoreCounterValue(vk->handle, t->handle, &now);
	if (r)
		return tram_vk_fail(vk, r, "read a timeline");
	if (value <= now)
		return tram_fail(vk->base.ctx, -EINVAL, "%s (%s): a timeline at %llu can't be "
				 "signalled with %llu; signal a larger value",
				 vk->base.info.selector, vk->base.info.name,
				 (unsigned long long)now, (unsigned long long)value);
	r = vk->fn.SignalSemaphore(vk->handle, &info);
	return r ? tram_vk_fail(vk, r, "signal a timeline") : 0;
}

int tram_vk_timeline_wait(struct tram_timeline *t, uint64_t value, uint64_t deadline_ns)
{
	const VkSemaphoreWaitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1, .pSemaphores = &t->handle, .pValues = &value,
	};
	struct tram_vk *vk = t->vk;

	for (;;) {
		int err = tram_vk_check(vk);
		uint64_t now, left;
		VkResult r;

		if (err)
			return err;
		now = tram_now_ns();
		left = deadline_ns > now ? deadline_ns - now : 0;
		r = vk->fn.WaitSemaphores(vk->handle, &info, TRAM_MIN(left, (uint64_t)SLICE_NS));
		if (!r)
			return 0;
		if (r != VK_TIMEOUT)
			return tram_vk_fail(vk, r, "wait for point %llu of a timeline",
					    (unsigned long long)value);
		if (!left)
			return tram_fail(vk->base.ctx, -ETIMEDOUT, "%s (%s): point %llu of a "
					 "timeline was not reached in time; allow more, or see "
					 "the kernel log for a hang", vk->base.info.selector,
					 vk->base.info.name, (unsigned long long)value);
	}
}

int tram_vk_idle(struct tram_vk *vk, uint64_t limit_ns)
{
	if (!vk->serial)
		return tram_vk_check(vk);
	return tram_vk_timeline_wait(&vk->done, vk->serial, tram_now_ns() + limit_ns);
}

/* Submission */

int tram_vk_submit(struct tram_device *dev, const struct tram_batch *batches, size_t n)
{
	struct tram_vk *vk = tram_vk_of(dev);
	VkSubmitInfo2 submits[MAX_BATCHES];
	VkSemaphoreSubmitInfo waits[MAX_BATCHES], signals[MAX_BATCHES + 1];
	VkCommandBufferSubmitInfo commands[MAX_BATCHES];
	size_t n_signals = 0;
	VkResult r;
	int err = tram_vk_check(vk);

	if (err || !n)
		return err;
	if (n > MAX_BATCHES)
		return tram_fail(dev->ctx, -EINVAL, "%s (%s): a submission of %zu batches, at "
				 "most %d are possible; split it", dev->info.selector,
				 dev->info.name, n, MAX_BATCHES);
	for (size_t i = 0; i < n; i++) {
		const struct tram_batch *b = &batches[i];
		size_t first = n_signals;

		if (b->wait)
			waits[i] = (VkSemaphoreSubmitInfo){
				.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
				.semaphore = b->wait->handle, .value = b->wait_value,
				.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
			};
		if (b->signal)
			signals[n_signals++] = (VkSemaphoreSubmitInfo){
				.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
				.semaphore = b->signal->handle, .value = b->signal_value,
				.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
			};
		if (i == n - 1)
			signals[n_signals++] = (VkSemaphoreSubmitInfo){
				.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
				.semaphore = vk->done.handle, .value = vk->serial + 1,
				.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
			};
		if (b->program)
			commands[i] = (VkCommandBufferSubmitInfo){
				.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
				.commandBuffer = tram_vk_program_commands(b->program),
			};
		submits[i] = (VkSubmitInfo2){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
			.waitSemaphoreInfoCount = b->wait ? 1 : 0,
			.pWaitSemaphoreInfos = &waits[i],
			.commandBufferInfoCount = b->program ? 1 : 0,
			.pCommandBufferInfos = &commands[i],
			.signalSemaphoreInfoCount = (uint32_t)(n_signals - first),
			.pSignalSemaphoreInfos = &signals[first],
		};
	}
	r = vk->fn.QueueSubmit2(vk->queue, (uint32_t)n, submits, VK_NULL_HANDLE);
	if (r)
		return tram_vk_fail(vk, r, "submit %zu batches", n);
	vk->serial++;
	return 0;
}

/* Copies by the device, for vk_memory.c */

int tram_vk_transfer_begin(struct tram_vk *vk)
{
	const VkCommandBufferBeginInfo bi = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	};
	VkResult r = vk->fn.BeginCommandBuffer(vk->transfer, &bi);

	if (r)
		return tram_vk_fail(vk, r, "begin to record a copy");
	tram_vk_barrier_begin(vk, vk->transfer);
	return 0;
}

int tram_vk_transfer_end(struct tram_vk *vk)
{
	const VkCommandBufferSubmitInfo command = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
		.commandBuffer = vk->transfer,
	};
	const VkSemaphoreSubmitInfo signal = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
		.semaphore = vk->done.handle, .value = vk->serial + 1,
		.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
	};
	const VkSubmitInfo2 submit = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
		.commandBufferInfoCount = 1, .pCommandBufferInfos = &command,
		.signalSemaphoreInfoCount = 1, .pSignalSemaphoreInfos = &signal,
	};
	VkResult r;
	int err;

	tram_vk_barrier_end(vk, vk->transfer);
	r = vk->fn.EndCommandBuffer(vk->transfer);
	if (r)
		return tram_vk_fail(vk, r, "record a copy");
	r = vk->fn.QueueSubmit2(vk->queue, 1, &submit, VK_NULL_HANDLE);
	if (r)
		return tram_vk_fail(vk, r, "submit a copy");
	vk->serial++;
	err = tram_vk_idle(vk, UINT64_MAX / 2);
	/* The wait may fail for want of memory; the caller frees what the copy uses. */
	if (err && !tram_vk_lost(vk))
		vk->fn.DeviceWaitIdle(vk->handle);
	return err;
}
