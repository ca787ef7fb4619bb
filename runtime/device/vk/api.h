/* SPDX-License-Identifier: MIT */
/*
 * The Vulkan entry points that libtram calls, loaded at run time: no link
 * against the loader, so that a machine without Vulkan still runs on the CPU
 * device, and no process-wide function pointers, so that several contexts and
 * devices live side by side. See api.c.
 */
#ifndef TRAM_DEVICE_VK_API_H
#define TRAM_DEVICE_VK_API_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include "base/base.h"

#define TRAM_VK_GLOBAL_FUNCTIONS(X) \
	X(CreateInstance) \
	X(EnumerateInstanceVersion) \
	X(EnumerateInstanceLayerProperties)

#define TRAM_VK_INSTANCE_FUNCTIONS(X) \
	X(DestroyInstance) \
	X(EnumeratePhysicalDevices) \
	X(EnumerateDeviceExtensionProperties) \
	X(GetPhysicalDeviceProperties) \
	X(GetPhysicalDeviceProperties2) \
	X(GetPhysicalDeviceFeatures2) \
	X(GetPhysicalDeviceMemoryProperties2) \
	X(GetPhysicalDeviceQueueFamilyProperties) \
	X(CreateDevice) \
	X(GetDeviceProcAddr)

#define TRAM_VK_DEVICE_FUNCTIONS(X) \
	X(DestroyDevice) \
	X(DeviceWaitIdle) \
	X(GetDeviceQueue) \
	X(QueueSubmit2) \
	X(GetDeviceBufferMemoryRequirements) \
	X(CreateBuffer) \
	X(DestroyBuffer) \
	X(GetBufferMemoryRequirements) \
	X(GetBufferDeviceAddress) \
	X(BindBufferMemory) \
	X(AllocateMemory) \
	X(FreeMemory) \
	X(MapMemory) \
	X(UnmapMemory) \
	X(CreateSemaphore) \
	X(DestroySemaphore) \
	X(GetSemaphoreCounterValue) \
	X(SignalSemaphore) \
	X(WaitSemaphores) \
	X(CreateCommandPool) \
	X(DestroyCommandPool) \
	X(AllocateCommandBuffers) \
	X(FreeCommandBuffers) \
	X(BeginCommandBuffer) \
	X(EndCommandBuffer) \
	X(CreatePipelineLayout) \
	X(DestroyPipelineLayout) \
	X(CreatePipelineCache) \
	X(DestroyPipelineCache) \
	X(GetPipelineCacheData) \
	X(CreateShaderModule) \
	X(DestroyShaderModule) \
	X(CreateComputePipelines) \
	X(DestroyPipeline) \
	X(CreateQueryPool) \
	X(DestroyQueryPool) \
	X(GetQueryPoolResults) \
	X(CmdBindPipeline) \
	X(CmdPushConstants) \
	X(CmdDispatch) \
	X(CmdFillBuffer) \
	X(CmdCopyBuffer) \
	X(CmdPipelineBarrier2) \
	X(CmdResetQueryPool) \
	X(CmdWriteTimestamp2)

#define TRAM_VK_MEMBER(name) PFN_vk##name name;

struct tram_vk_global_api {
	PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
	TRAM_VK_GLOBAL_FUNCTIONS(TRAM_VK_MEMBER)
};

struct tram_vk_instance_api {
	TRAM_VK_INSTANCE_FUNCTIONS(TRAM_VK_MEMBER)
	/* NULL without VK_EXT_debug_utils */
	PFN_vkCreateDebugUtilsMessengerEXT CreateDebugUtilsMessengerEXT;
	PFN_vkDestroyDebugUtilsMessengerEXT DestroyDebugUtilsMessengerEXT;
};

struct tram_vk_device_api {
	TRAM_VK_DEVICE_FUNCTIONS(TRAM_VK_MEMBER)
};

/*
 * -ENODEV without a loader. The loader's library stays in the process from
 * the first call on: drivers leave threads and destructors behind that must
 * not outlive their code.
 */
int tram_vk_load_global(struct tram_ctx *ctx, struct tram_vk_global_api *api);
int tram_vk_load_instance(struct tram_ctx *ctx, const struct tram_vk_global_api *global,
			  VkInstance instance, struct tram_vk_instance_api *api);
int tram_vk_load_device(struct tram_ctx *ctx, const struct tram_vk_instance_api *instance,
			VkDevice device, struct tram_vk_device_api *api);

#endif
