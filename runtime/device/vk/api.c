/* SPDX-License-Identifier: MIT */
/*
 * Fills the tables of api.h: the loader's by dlopen(), an instance's and a
 * device's by the procedure that Vulkan gives for each, so that calls on a
 * device skip the loader's trampolines.
 */
#include "device/vk/api.h"

#include <dlfcn.h>

int tram_vk_load_global(struct tram_ctx *ctx, struct tram_vk_global_api *api)
{
	void *lib = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	void *entry;

	memset(api, 0, sizeof(*api));
	if (!lib)
		return tram_fail(ctx, -ENODEV, "Vulkan: no loader (libvulkan.so.1); install "
				 "libvulkan1 and a driver (mesa-vulkan-drivers), or use cpu0");
	entry = dlsym(lib, "vkGetInstanceProcAddr");
	memcpy(&api->GetInstanceProcAddr, &entry, sizeof(entry));
	dlclose(lib);
	if (!entry)
		return tram_fail(ctx, -ENODEV, "Vulkan: libvulkan.so.1 is no Vulkan loader; "
				 "reinstall libvulkan1");
#define LOAD(name) \
	api->name = (PFN_vk##name)api->GetInstanceProcAddr(NULL, "vk" #name); \
	if (!api->name) \
		return tram_fail(ctx, -ENODEV, "Vulkan: the loader lacks vk" #name \
				 "; install a loader of Vulkan 1.3");
	TRAM_VK_GLOBAL_FUNCTIONS(LOAD)
#undef LOAD
	return 0;
}

int tram_vk_load_instance(struct tram_ctx *ctx, const struct tram_vk_global_api *global,
			  VkInstance instance, struct tram_vk_instance_api *api)
{
	memset(api, 0, sizeof(*api));
#define FIND(name) \
	api->name = (PFN_vk##name)global->GetInstanceProcAddr(instance, "vk" #name);
#define LOAD(name) \
	FIND(name) \
	if (!api->name) \
		return tram_fail(ctx, -ENODEV, "Vulkan: the instance lacks vk" #name \
				 "; install a loader of Vulkan 1.3");
	TRAM_VK_INSTANCE_FUNCTIONS(LOAD)
	FIND(CreateDebugUtilsMessengerEXT)
	FIND(DestroyDebugUtilsMessengerEXT)
#undef LOAD
#undef FIND
	return 0;
}

int tram_vk_load_device(struct tram_ctx *ctx, const struct tram_vk_instance_api *instance,
			VkDevice device, struct tram_vk_device_api *api)
{
	memset(api, 0, sizeof(*api));
#define LOAD(name) \
	api->name = (PFN_vk##name)instance->GetDeviceProcAddr(device, "vk" #name); \
	if (!api->name) \
		return tram_fail(ctx, -ENODEV, "Vulkan: the driver lacks vk" #name \
				 "; install a driver of Vulkan 1.3");
	TRAM_VK_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
	return 0;
}
