/* SPDX-License-Identifier: MIT */
/*
 * A Vulkan driver without a device, for tests of what real drivers don't show
 * on demand: the n-th call that fails, a device that is lost or hangs, how
 * many calls a step makes, races (under ThreadSanitizer). icd.c: what the
 * loader asks; object.c: memory and objects; command.c: recording; queue.c:
 * submission and timelines; control.c: the test's side. Buffer addresses are
 * host addresses; fills, copies and timestamps work, dispatches do nothing.
 *
 * Four physical devices: 0 discrete (device memory can't be mapped), 1
 * integrated, 2 of Vulkan 1.1, 3 without scalarBlockLayout.
 */
#ifndef MOCKVK_H
#define MOCKVK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vk_icd.h>
#include <vulkan/vulkan.h>

/* Every entry point; the first list's can fail. */
#define MOCK_FALLIBLE(X) \
	X(CreateInstance) X(EnumeratePhysicalDevices) X(CreateDevice) \
	X(EnumerateDeviceExtensionProperties) \
	X(QueueSubmit2) X(CreateBuffer) X(BindBufferMemory) X(AllocateMemory) X(MapMemory) \
	X(CreateSemaphore) X(GetSemaphoreCounterValue) X(SignalSemaphore) X(WaitSemaphores) \
	X(CreateCommandPool) X(AllocateCommandBuffers) X(BeginCommandBuffer) \
	X(EndCommandBuffer) X(CreatePipelineLayout) X(CreatePipelineCache) \
	X(GetPipelineCacheData) X(CreateShaderModule) X(CreateComputePipelines) \
	X(CreateQueryPool) X(GetQueryPoolResults)

#define MOCK_INFALLIBLE(X) \
	X(EnumerateInstanceVersion) X(EnumerateInstanceExtensionProperties) \
	X(EnumerateInstanceLayerProperties) X(EnumerateDeviceLayerProperties) \
	X(GetInstanceProcAddr) X(DestroyInstance) X(GetDeviceProcAddr) \
	X(GetPhysicalDeviceProperties) X(GetPhysicalDeviceProperties2) \
	X(GetPhysicalDeviceFeatures) X(GetPhysicalDeviceFeatures2) \
	X(GetPhysicalDeviceMemoryProperties) X(GetPhysicalDeviceMemoryProperties2) \
	X(GetPhysicalDeviceQueueFamilyProperties) X(GetPhysicalDeviceFormatProperties) \
	X(GetPhysicalDeviceImageFormatProperties) \
	X(GetPhysicalDeviceSparseImageFormatProperties) \
	X(DestroyDevice) X(DeviceWaitIdle) X(GetDeviceQueue) \
	X(GetDeviceBufferMemoryRequirements) X(DestroyBuffer) X(GetBufferMemoryRequirements) \
	X(GetBufferDeviceAddress) X(FreeMemory) X(UnmapMemory) X(DestroySemaphore) \
	X(DestroyCommandPool) X(FreeCommandBuffers) X(DestroyPipelineLayout) \
	X(DestroyPipelineCache) X(DestroyShaderModule) X(DestroyPipeline) X(DestroyQueryPool) \
	X(CmdBindPipeline) X(CmdPushConstants) X(CmdDispatch) X(CmdFillBuffer) \
	X(CmdCopyBuffer) X(CmdPipelineBarrier2) X(CmdResetQueryPool) X(CmdWriteTimestamp2)

#define MOCK_ENUM(name) MOCK_##name,
enum mock_entry { MOCK_FALLIBLE(MOCK_ENUM) MOCK_INFALLIBLE(MOCK_ENUM) MOCK_ENTRY_COUNT };

/* Count a call; what it has to return before it does anything (VK_SUCCESS: go on). */
VkResult mock_enter(enum mock_entry e);
/* For entry points that can't fail. */
void mock_count(enum mock_entry e);

/* All state that threads share, below one lock. */
struct mock_state {
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* CLOCK_MONOTONIC */
	bool hang, lost;
	long lose_at, submissions;
	bool lose_running;
	uint64_t memory_limit, memory_now;
	int running;		/* queues that execute commands right now */
};

struct mock_state *mock_state(void);
void mock_lose_locked(void);	/* the lock is held */
extern atomic_long mock_live, mock_misuses, mock_cache_bytes;
void mock_write_counts(void);

#define MOCK_MISUSE(cond) do { if (cond) atomic_fetch_add(&mock_misuses, 1); } while (0)

/* Zeroed and counted; NULL when out of memory. */
void *mock_new(size_t size);
void mock_delete(void *p);

/* Objects. Handles are their addresses. */

struct mock_physical { VK_LOADER_DATA loader; uint32_t index; };
struct mock_instance { VK_LOADER_DATA loader; struct mock_physical physical[4]; };

struct mock_queue { VK_LOADER_DATA loader; struct mock_device *dev; };

struct mock_device {
	VK_LOADER_DATA loader;
	struct mock_queue queue;
	pthread_t thread;
	struct mock_submission *first, **last;	/* under the lock */
	bool stop, busy;
	uint32_t physical;
};

struct mock_memory { uint64_t size; uint32_t type; bool mapped; unsigned char *bytes; };
struct mock_buffer { uint64_t size; struct mock_memory *memory; uint64_t offset; };
struct mock_semaphore { uint64_t value; };	/* under the lock */
struct mock_queries { uint32_t n; struct { bool ready; uint64_t ticks; } q[]; };

enum mock_op { MOCK_OP_FILL, MOCK_OP_COPY, MOCK_OP_RESET, MOCK_OP_STAMP };

struct mock_command {
	enum mock_op op;
	struct mock_buffer *dst, *src;
	struct mock_queries *queries;
	uint64_t dst_offset, src_offset, size;
	uint32_t word;
};

struct mock_commands {
	VK_LOADER_DATA loader;
	struct mock_pool *pool;
	struct mock_commands *next;
	struct mock_command *v;
	size_t n, cap;
	bool recording, recorded, bound, failed;
	atomic_int pending;		/* submissions that have not completed */
};

struct mock_pool { struct mock_commands *first; };

/* Size and alignment that the driver asks for. */
VkMemoryRequirements mock_requirements(uint64_t size);
#define MOCK_ROUND 1024u	/* bytes */
#define MOCK_TICK_NS 10u
#define MOCK_TICK_BITS 36u

int mock_device_start(struct mock_device *dev);
void mock_device_stop(struct mock_device *dev);

#define MOCK_HANDLE(type, h) ((type *)(uintptr_t)(h))
#define MOCK_OF(vktype, p) ((vktype)(uintptr_t)(p))

/* Entry points are mock_<name>, of the type that Vulkan gives them. */
#define MOCK_DECLARE(name) __typeof__(*(PFN_vk##name)0) mock_##name;
MOCK_FALLIBLE(MOCK_DECLARE)
MOCK_INFALLIBLE(MOCK_DECLARE)

#endif
