/* SPDX-License-Identifier: MIT */
/*
 * The mock driver's queue: a thread per device that runs submissions in
 * order, each after the timeline points that it waits for; waits for points
 * that nobody has submitted yet are fine. All of it below the one lock of
 * mock_state(), except the bytes that commands move.
 */
#include "mockvk.h"

#include <time.h>

struct point { struct mock_semaphore *sem; uint64_t value; };

struct mock_submission {
	struct mock_submission *next;
	struct mock_commands *commands;
	uint32_t n_waits, n_signals;
	bool lose;
	struct point points[];	/* waits, then signals */
};

static uint64_t ticks(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec) / MOCK_TICK_NS &
	       ((UINT64_C(1) << MOCK_TICK_BITS) - 1);
}

static void run(const struct mock_command *c)
{
	struct mock_state *s = mock_state();
	unsigned char *dst = c->dst ? c->dst->memory->bytes + c->dst->offset + c->dst_offset : NULL;

	switch (c->op) {
	case MOCK_OP_FILL:
		for (uint64_t i = 0; i < c->size; i += 4)
			memcpy(dst + i, &c->word, 4);
		break;
	case MOCK_OP_COPY:
		memmove(dst, c->src->memory->bytes + c->src->offset + c->src_offset, c->size);
		break;
	case MOCK_OP_RESET:
	case MOCK_OP_STAMP:
		pthread_mutex_lock(&s->lock);
		for (uint64_t i = 0; c->op == MOCK_OP_RESET && i < c->size; i++)
			c->queries->q[c->dst_offset + i].ready = false;
		if (c->op == MOCK_OP_STAMP) {
			c->queries->q[c->dst_offset].ticks = ticks();
			c->queries->q[c->dst_offset].ready = true;
		}
		pthread_mutex_unlock(&s->lock);
		break;
	}
}

static bool ready(const struct mock_submission *sub)
{
	for (uint32_t i = 0; i < sub->n_waits; i++) {
		if (sub->points[i].sem->value < sub->points[i].value)
			return false;
	}
	return true;
}

static void retire(struct mock_submission *sub)
{
	if (sub->commands)
		atomic_fetch_sub(&sub->commands->pending, 1);
	free(sub);
}

static void *queue_thread(void *arg)
{
	struct mock_device *dev = arg;
	struct mock_state *s = mock_state();

	pthread_mutex_lock(&s->lock);
	while (!dev->stop) {
		struct mock_submission *sub = dev->first;

		if (!sub || s->lost || s->hang || !ready(sub)) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		dev->first = sub->next;
		if (!dev->first)
			dev->last = &dev->first;
		dev->busy = true;
		if (sub->lose) {
			s->lost = true;
		} else {
			s->running++;
			pthread_mutex_unlock(&s->lock);
			for (size_t i = 0; sub->commands && i < sub->commands->n; i++)
				run(&sub->commands->v[i]);
			pthread_mutex_lock(&s->lock);
			s->running--;
			for (uint32_t i = 0; i < sub->n_signals; i++) {
				const struct point *p = &sub->points[sub->n_waits + i];

				MOCK_MISUSE(p->value <= p->sem->value);
				p->sem->value = p->value;
			}
		}
		dev->busy = false;
		retire(sub);
		pthread_cond_broadcast(&s->changed);
	}
	for (struct mock_submission *sub = dev->first, *next; sub; sub = next) {
		next = sub->next;
		free(sub);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int mock_device_start(struct mock_device *dev)
{
	dev->last = &dev->first;
	return pthread_create(&dev->thread, NULL, queue_thread, dev);
}

void mock_device_stop(struct mock_device *dev)
{
	struct mock_state *s = mock_state();

	pthread_mutex_lock(&s->lock);
	MOCK_MISUSE(dev->first && !s->lost);
	dev->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(dev->thread, NULL);
}

VkResult mock_DeviceWaitIdle(VkDevice handle)
{
	struct mock_device *dev = MOCK_HANDLE(struct mock_device, handle);
	struct mock_state *s = mock_state();
	bool lost;

	mock_count(MOCK_DeviceWaitIdle);
	pthread_mutex_lock(&s->lock);
	while ((dev->first || dev->busy) && !s->lost)
		pthread_cond_wait(&s->changed, &s->lock);
	lost = s->lost;
	pthread_mutex_unlock(&s->lock);
	return lost ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}

static struct mock_submission *copy_submission(const VkSubmitInfo2 *si)
{
	uint32_t n = si->waitSemaphoreInfoCount + si->signalSemaphoreInfoCount;
	struct mock_submission *sub = calloc(1, sizeof(*sub) + n * sizeof(sub->points[0]));

	if (!sub)
		return NULL;
	sub->n_waits = si->waitSemaphoreInfoCount;
	sub->n_signals = si->signalSemaphoreInfoCount;
	for (uint32_t i = 0; i < n; i++) {
		const VkSemaphoreSubmitInfo *p = i < sub->n_waits ? &si->pWaitSemaphoreInfos[i] :
			&si->pSignalSemaphoreInfos[i - sub->n_waits];

		sub->points[i].sem = MOCK_HANDLE(struct mock_semaphore, p->semaphore);
		sub->points[i].value = p->value;
	}
	MOCK_MISUSE(si->commandBufferInfoCount > 1);
	if (si->commandBufferInfoCount) {
		sub->commands = MOCK_HANDLE(struct mock_commands,
					    si->pCommandBufferInfos[0].commandBuffer);
		/* recorded without SIMULTANEOUS_USE */
		MOCK_MISUSE(!sub->commands->recorded ||
			    atomic_fetch_add(&sub->commands->pending, 1) > 0);
	}
	return sub;
}

VkResult mock_QueueSubmit2(VkQueue queue, uint32_t n, const VkSubmitInfo2 *submits, VkFence fence)
{
	struct mock_device *dev = MOCK_HANDLE(struct mock_queue, queue)->dev;
	struct mock_submission *first = NULL, **last = &first;
	struct mock_state *s = mock_state();
	VkResult r = mock_enter(MOCK_QueueSubmit2);
	bool lose;

	for (uint32_t i = 0; !r && i < n; i++) {
		*last = copy_submission(&submits[i]);
		if (*last)
			last = &(*last)->next;
		else
			r = VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	pthread_mutex_lock(&s->lock);
	lose = !r && ++s->submissions == s->lose_at;
	if (lose && !s->lose_running)
		mock_lose_locked();
	if (!r && s->lost)
		r = VK_ERROR_DEVICE_LOST;
	if (!r && first) {
		first->lose = lose;
		*dev->last = first;
		dev->last = last;
		first = NULL;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	for (struct mock_submission *next; first; first = next) {
		next = first->next;
		retire(first);
	}
	return r;
}

/* Timelines */

VkResult mock_CreateSemaphore(VkDevice dev, const VkSemaphoreCreateInfo *ci,
			      const VkAllocationCallbacks *alloc, VkSemaphore *out)
{
	struct mock_semaphore *sem;
	VkResult r = mock_enter(MOCK_CreateSemaphore);

	if (r)
		return r;
	sem = mock_new(sizeof(*sem));
	*out = MOCK_OF(VkSemaphore, sem);
	return sem ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
}

static bool in_use(const struct mock_device *dev, const struct mock_semaphore *sem)
{
	for (const struct mock_submission *sub = dev->first; sub; sub = sub->next) {
		for (uint32_t i = 0; i < sub->n_waits + sub->n_signals; i++) {
			if (sub->points[i].sem == sem)
				return true;
		}
	}
	return false;
}

void mock_DestroySemaphore(VkDevice dev, VkSemaphore handle, const VkAllocationCallbacks *alloc)
{
	struct mock_semaphore *sem = MOCK_HANDLE(struct mock_semaphore, handle);
	struct mock_state *s = mock_state();

	mock_count(MOCK_DestroySemaphore);
	pthread_mutex_lock(&s->lock);
	MOCK_MISUSE(sem && !s->lost && in_use(MOCK_HANDLE(struct mock_device, dev), sem));
	pthread_mutex_unlock(&s->lock);
	mock_delete(sem);
}

VkResult mock_GetSemaphoreCounterValue(VkDevice dev, VkSemaphore handle, uint64_t *value)
{
	struct mock_state *s = mock_state();
	VkResult r = mock_enter(MOCK_GetSemaphoreCounterValue);

	if (r)
		return r;
	pthread_mutex_lock(&s->lock);
	*value = MOCK_HANDLE(struct mock_semaphore, handle)->value;
	r = s->lost ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
	pthread_mutex_unlock(&s->lock);
	return r;
}

VkResult mock_SignalSemaphore(VkDevice dev, const VkSemaphoreSignalInfo *info)
{
	struct mock_semaphore *sem = MOCK_HANDLE(struct mock_semaphore, info->semaphore);
	struct mock_state *s = mock_state();
	VkResult r = mock_enter(MOCK_SignalSemaphore);

	if (r)
		return r;
	pthread_mutex_lock(&s->lock);
	MOCK_MISUSE(info->value <= sem->value);
	sem->value = info->value;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return VK_SUCCESS;
}

VkResult mock_WaitSemaphores(VkDevice dev, const VkSemaphoreWaitInfo *info, uint64_t timeout)
{
	struct mock_state *s = mock_state();
	VkResult r = mock_enter(MOCK_WaitSemaphores);
	struct timespec end;
	int late = 0;

	if (r)
		return r;
	clock_gettime(CLOCK_MONOTONIC, &end);
	timeout = timeout > 1000000000000u ? 1000000000000u : timeout;
	end.tv_sec += (time_t)(timeout / 1000000000u);
	end.tv_nsec += (long)(timeout % 1000000000u);
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	pthread_mutex_lock(&s->lock);
	for (;;) {
		uint32_t i = 0;

		while (i < info->semaphoreCount &&
		       MOCK_HANDLE(struct mock_semaphore, info->pSemaphores[i])->value >=
		       info->pValues[i])
			i++;
		r = i == info->semaphoreCount ? VK_SUCCESS :
		    s->lost ? VK_ERROR_DEVICE_LOST : VK_TIMEOUT;
		if (r != VK_TIMEOUT || late)
			break;
		late = pthread_cond_timedwait(&s->changed, &s->lock, &end);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}
