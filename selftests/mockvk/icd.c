/* SPDX-License-Identifier: MIT */
/* What the loader asks of the mock driver: entry points, devices, their properties. */
#include "mockvk.h"

#define EXPORT __attribute__((visibility("default")))

#define HEAP_BYTES (UINT64_C(8) << 30)
#define BAR_BYTES (UINT64_C(256) << 20)

/* Of four types, because the loader sorts by type. */
static const struct {
	const char *name;
	VkPhysicalDeviceType type;
	uint32_t version;
	bool scalar;	/* scalarBlockLayout */
} devices[4] = {
	{ "Mock discrete", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, VK_API_VERSION_1_3, true },
	{ "Mock integrated", VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, VK_API_VERSION_1_3, true },
	{ "Mock old", VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU, VK_API_VERSION_1_1, true },
	{ "Mock narrow", VK_PHYSICAL_DEVICE_TYPE_CPU, VK_API_VERSION_1_3, false },
};

/* Instance */

VkResult mock_EnumerateInstanceVersion(uint32_t *version)
{
	mock_count(MOCK_EnumerateInstanceVersion);
	*version = VK_API_VERSION_1_3;
	return VK_SUCCESS;
}

VkResult mock_EnumerateInstanceExtensionProperties(const char *layer, uint32_t *n,
						   VkExtensionProperties *props)
{
	mock_count(MOCK_EnumerateInstanceExtensionProperties);
	*n = 0;
	return VK_SUCCESS;
}

VkResult mock_EnumerateInstanceLayerProperties(uint32_t *n, VkLayerProperties *props)
{
	mock_count(MOCK_EnumerateInstanceLayerProperties);
	*n = 0;
	return VK_SUCCESS;
}

VkResult mock_EnumerateDeviceLayerProperties(VkPhysicalDevice pd, uint32_t *n,
					     VkLayerProperties *props)
{
	mock_count(MOCK_EnumerateDeviceLayerProperties);
	*n = 0;
	return VK_SUCCESS;
}

VkResult mock_CreateInstance(const VkInstanceCreateInfo *ci, const VkAllocationCallbacks *alloc,
			     VkInstance *out)
{
	struct mock_instance *inst;
	VkResult r = mock_enter(MOCK_CreateInstance);

	if (r)
		return r;
	inst = mock_new(sizeof(*inst));
	if (!inst)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	set_loader_magic_value(inst);
	for (uint32_t i = 0; i < 4; i++) {
		set_loader_magic_value(&inst->physical[i]);
		inst->physical[i].index = i;
	}
	*out = MOCK_OF(VkInstance, inst);
	return VK_SUCCESS;
}

void mock_DestroyInstance(VkInstance inst, const VkAllocationCallbacks *alloc)
{
	mock_count(MOCK_DestroyInstance);
	mock_delete(MOCK_HANDLE(void, inst));
	mock_write_counts();
}

VkResult mock_EnumeratePhysicalDevices(VkInstance handle, uint32_t *n, VkPhysicalDevice *out)
{
	struct mock_instance *inst = MOCK_HANDLE(struct mock_instance, handle);
	VkResult r = mock_enter(MOCK_EnumeratePhysicalDevices);
	uint32_t room = *n;

	if (r)
		return r;
	*n = 4;
	if (!out)
		return VK_SUCCESS;
	*n = room < 4 ? room : 4;
	for (uint32_t i = 0; i < *n; i++)
		out[i] = MOCK_OF(VkPhysicalDevice, &inst->physical[i]);
	return room < 4 ? VK_INCOMPLETE : VK_SUCCESS;
}

/* Physical device */

static uint32_t index_of(VkPhysicalDevice pd)
{
	return MOCK_HANDLE(struct mock_physical, pd)->index;
}

static void properties(uint32_t i, VkPhysicalDeviceProperties *p)
{
	memset(p, 0, sizeof(*p));
	p->apiVersion = devices[i].version;
	p->driverVersion = 1;
	p->vendorID = 0xfeed;
	p->deviceID = i;
	p->deviceType = devices[i].type;
	strcpy(p->deviceName, devices[i].name);
	memset(p->pipelineCacheUUID, 0x40 + (int)i, VK_UUID_SIZE);
	p->limits.maxComputeSharedMemorySize = 32768;
	p->limits.maxComputeWorkGroupInvocations = 1024;
	for (int k = 0; k < 3; k++) {
		p->limits.maxComputeWorkGroupCount[k] = 65535;
		p->limits.maxComputeWorkGroupSize[k] = 1024;
	}
	p->limits.maxPushConstantsSize = 128;
	p->limits.timestampPeriod = MOCK_TICK_NS;
	p->limits.timestampComputeAndGraphics = VK_TRUE;
}

void mock_GetPhysicalDeviceProperties(VkPhysicalDevice pd, VkPhysicalDeviceProperties *p)
{
	mock_count(MOCK_GetPhysicalDeviceProperties);
	properties(index_of(pd), p);
}

void mock_GetPhysicalDeviceProperties2(VkPhysicalDevice pd, VkPhysicalDeviceProperties2 *p)
{
	mock_count(MOCK_GetPhysicalDeviceProperties2);
	properties(index_of(pd), &p->properties);
	for (VkBaseOutStructure *s = p->pNext; s; s = s->pNext) {
		if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES) {
			VkPhysicalDeviceVulkan11Properties *v = (void *)s;

			v->subgroupSize = 32;
			v->subgroupSupportedStages = VK_SHADER_STAGE_COMPUTE_BIT;
			v->subgroupSupportedOperations = 0xff;
			v->maxMemoryAllocationSize = HEAP_BYTES;
		} else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES) {
			VkPhysicalDeviceVulkan12Properties *v = (void *)s;

			strcpy(v->driverName, "mockvk");
			strcpy(v->driverInfo, "1");
		} else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES) {
			VkPhysicalDeviceVulkan13Properties *v = (void *)s;

			v->minSubgroupSize = 16;
			v->maxSubgroupSize = 64;
			v->requiredSubgroupSizeStages = VK_SHADER_STAGE_COMPUTE_BIT;
			v->maxBufferSize = HEAP_BYTES;
		}
	}
}

void mock_GetPhysicalDeviceFeatures(VkPhysicalDevice pd, VkPhysicalDeviceFeatures *f)
{
	mock_count(MOCK_GetPhysicalDeviceFeatures);
	memset(f, 0, sizeof(*f));
	f->shaderInt64 = VK_TRUE;
}

void mock_GetPhysicalDeviceFeatures2(VkPhysicalDevice pd, VkPhysicalDeviceFeatures2 *f)
{
	mock_count(MOCK_GetPhysicalDeviceFeatures2);
	memset(&f->features, 0, sizeof(f->features));
	f->features.shaderInt64 = VK_TRUE;
	for (VkBaseOutStructure *s = f->pNext; s; s = s->pNext) {
		if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES) {
			VkPhysicalDeviceVulkan12Features *v = (void *)s;

			v->bufferDeviceAddress = v->timelineSemaphore = VK_TRUE;
			v->scalarBlockLayout = devices[index_of(pd)].scalar;
		} else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES) {
			VkPhysicalDeviceVulkan13Features *v = (void *)s;

			v->synchronization2 = v->maintenance4 = VK_TRUE;
			v->subgroupSizeControl = VK_TRUE;
		}
	}
}

static void memory(uint32_t i, VkPhysicalDeviceMemoryProperties *m)
{
	const VkMemoryPropertyFlags device = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
	const VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
					   VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

	memset(m, 0, sizeof(*m));
	if (devices[i].type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU) {
		m->memoryTypeCount = 3;
		m->memoryTypes[0] = (VkMemoryType){ device, 0 };
		m->memoryTypes[1] = (VkMemoryType){ host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1 };
		m->memoryTypes[2] = (VkMemoryType){ device | host, 2 };
		m->memoryHeapCount = 3;
		m->memoryHeaps[0] = (VkMemoryHeap){ HEAP_BYTES, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT };
		m->memoryHeaps[1] = (VkMemoryHeap){ HEAP_BYTES, 0 };
		m->memoryHeaps[2] = (VkMemoryHeap){ BAR_BYTES, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT };
	} else {
		m->memoryTypeCount = 1;
		m->memoryTypes[0] = (VkMemoryType){ device | host, 0 };
		m->memoryHeapCount = 1;
		m->memoryHeaps[0] = (VkMemoryHeap){ HEAP_BYTES, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT };
	}
}

void mock_GetPhysicalDeviceMemoryProperties(VkPhysicalDevice pd,
					    VkPhysicalDeviceMemoryProperties *m)
{
	mock_count(MOCK_GetPhysicalDeviceMemoryProperties);
	memory(index_of(pd), m);
}

void mock_GetPhysicalDeviceMemoryProperties2(VkPhysicalDevice pd,
					     VkPhysicalDeviceMemoryProperties2 *m)
{
	mock_count(MOCK_GetPhysicalDeviceMemoryProperties2);
	memory(index_of(pd), &m->memoryProperties);
}

/* Graphics first, then a family for compute alone. */
void mock_GetPhysicalDeviceQueueFamilyProperties(VkPhysicalDevice pd, uint32_t *n,
						 VkQueueFamilyProperties *out)
{
	static const VkQueueFlags flags[2] = {
		VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT,
		VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT,
	};
	uint32_t room = *n;

	mock_count(MOCK_GetPhysicalDeviceQueueFamilyProperties);
	*n = 2;
	if (!out)
		return;
	*n = room < 2 ? room : 2;
	for (uint32_t i = 0; i < *n; i++)
		out[i] = (VkQueueFamilyProperties){
			.queueFlags = flags[i], .queueCount = 1,
			.timestampValidBits = MOCK_TICK_BITS,
		};
}

VkResult mock_EnumerateDeviceExtensionProperties(VkPhysicalDevice pd, const char *layer,
						 uint32_t *n, VkExtensionProperties *props)
{
	VkResult r = mock_enter(MOCK_EnumerateDeviceExtensionProperties);

	*n = 0;
	return r;
}

/* No images here; the loader insists on these. */

void mock_GetPhysicalDeviceFormatProperties(VkPhysicalDevice pd, VkFormat format,
					    VkFormatProperties *props)
{
	mock_count(MOCK_GetPhysicalDeviceFormatProperties);
	memset(props, 0, sizeof(*props));
}

VkResult mock_GetPhysicalDeviceImageFormatProperties(VkPhysicalDevice pd, VkFormat format,
						     VkImageType type, VkImageTiling tiling,
						     VkImageUsageFlags usage,
						     VkImageCreateFlags flags,
						     VkImageFormatProperties *props)
{
	mock_count(MOCK_GetPhysicalDeviceImageFormatProperties);
	return VK_ERROR_FORMAT_NOT_SUPPORTED;
}

void mock_GetPhysicalDeviceSparseImageFormatProperties(VkPhysicalDevice pd, VkFormat format,
						       VkImageType type,
						       VkSampleCountFlagBits samples,
						       VkImageUsageFlags usage,
						       VkImageTiling tiling, uint32_t *n,
						       VkSparseImageFormatProperties *props)
{
	mock_count(MOCK_GetPhysicalDeviceSparseImageFormatProperties);
	*n = 0;
}

/* Device */

VkResult mock_CreateDevice(VkPhysicalDevice pd, const VkDeviceCreateInfo *ci,
			   const VkAllocationCallbacks *alloc, VkDevice *out)
{
	struct mock_device *dev;
	VkResult r = mock_enter(MOCK_CreateDevice);

	if (r)
		return r;
	dev = mock_new(sizeof(*dev));
	if (!dev)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	set_loader_magic_value(dev);
	set_loader_magic_value(&dev->queue);
	dev->queue.dev = dev;
	dev->physical = index_of(pd);
	if (mock_device_start(dev)) {
		mock_delete(dev);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	*out = MOCK_OF(VkDevice, dev);
	return VK_SUCCESS;
}

void mock_DestroyDevice(VkDevice handle, const VkAllocationCallbacks *alloc)
{
	struct mock_device *dev = MOCK_HANDLE(struct mock_device, handle);

	mock_count(MOCK_DestroyDevice);
	if (!dev)
		return;
	mock_device_stop(dev);
	mock_delete(dev);
}

void mock_GetDeviceQueue(VkDevice handle, uint32_t family, uint32_t index, VkQueue *out)
{
	mock_count(MOCK_GetDeviceQueue);
	*out = MOCK_OF(VkQueue, &MOCK_HANDLE(struct mock_device, handle)->queue);
}

/* Entry points by name */

static PFN_vkVoidFunction find(const char *name)
{
#define ROW(name) { "vk" #name, (PFN_vkVoidFunction)mock_##name },
	static const struct { const char *name; PFN_vkVoidFunction fn; } table[] = {
		MOCK_FALLIBLE(ROW) MOCK_INFALLIBLE(ROW)
	};
#undef ROW

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strcmp(table[i].name, name))
			return table[i].fn;
	}
	return NULL;
}

PFN_vkVoidFunction mock_GetInstanceProcAddr(VkInstance inst, const char *name)
{
	mock_count(MOCK_GetInstanceProcAddr);
	return find(name);
}

PFN_vkVoidFunction mock_GetDeviceProcAddr(VkDevice dev, const char *name)
{
	mock_count(MOCK_GetDeviceProcAddr);
	return find(name);
}

EXPORT PFN_vkVoidFunction vk_icdGetInstanceProcAddr(VkInstance inst, const char *name)
{
	return find(name);
}

EXPORT PFN_vkVoidFunction vk_icdGetPhysicalDeviceProcAddr(VkInstance inst, const char *name)
{
	return strstr(name, "PhysicalDevice") ? find(name) : NULL;
}

EXPORT VkResult vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version)
{
	if (*version < 4)
		return VK_ERROR_INCOMPATIBLE_DRIVER;
	if (*version > 5)
		*version = 5;
	return VK_SUCCESS;
}
