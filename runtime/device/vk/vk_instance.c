/* SPDX-License-Identifier: MIT */
/*
 * An instance: one per opened device (and one for the time of a listing), so
 * that nothing is shared between contexts. With TRAM_VK_VALIDATION=1 in the
 * environment it carries the Khronos validation layer with synchronization
 * validation; its errors are logged as "Vulkan validation: ..." and counted.
 */
#include "device/vk/vk_instance.h"

#include <stdio.h>
#include <stdlib.h>

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
						 VkDebugUtilsMessageTypeFlagsEXT types,
						 const VkDebugUtilsMessengerCallbackDataEXT *data,
						 void *arg)
{
	struct tram_vk_instance *inst = arg;
	char text[900];	/* on one line */

	if (!(types & VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT))
		return VK_FALSE;	/* the loader's own remarks */
	snprintf(text, sizeof(text), "%s", data->pMessage);
	for (char *c = text; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	if (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) {
		atomic_fetch_add(&inst->errors, 1);
		tram_log(inst->ctx, TRAM_LOG_ERROR, "Vulkan validation: %s", text);
	} else {
		tram_log(inst->ctx, TRAM_LOG_WARN, "Vulkan validation, warning: %s", text);
	}
	return VK_FALSE;
}

static int find_layer(struct tram_vk_instance *inst)
{
	VkLayerProperties *layers;
	uint32_t n = 0;
	VkResult r;
	bool found = false;

	r = inst->global.EnumerateInstanceLayerProperties(&n, NULL);
	if (r)
		return tram_vk_fail_early(inst->ctx, r, "Vulkan", "list the layers");
	layers = tram_calloc(inst->ctx, n ? n : 1, sizeof(*layers));
	if (!layers)
		return -ENOMEM;
	r = inst->global.EnumerateInstanceLayerProperties(&n, layers);
	for (uint32_t i = 0; r >= 0 && i < n; i++)
		found |= !strcmp(layers[i].layerName, VALIDATION_LAYER);
	tram_free(inst->ctx, layers);
	if (r < 0)
		return tram_vk_fail_early(inst->ctx, r, "Vulkan", "list the layers");
	if (!found)
		return tram_fail(inst->ctx, -ENOPKG, "Vulkan: TRAM_VK_VALIDATION=1 is set but there "
				 "is no " VALIDATION_LAYER "; install vulkan-validationlayers");
	return 0;
}

static int instance_init(struct tram_vk_instance *inst, bool validate)
{
	static const char *const layer = VALIDATION_LAYER;
	static const char *const extensions[] = {
		VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_LAYER_SETTINGS_EXTENSION_NAME
	};
	const VkBool32 on = VK_TRUE;
	const VkLayerSettingEXT setting = {
		VALIDATION_LAYER, "validate_sync", VK_LAYER_SETTING_TYPE_BOOL32_EXT, 1, &on
	};
	const VkLayerSettingsCreateInfoEXT settings = {
		.sType = VK_STRUCTURE_TYPE_LAYER_SETTINGS_CREATE_INFO_EXT,
		.settingCount = 1, .pSettings = &setting,
	};
	const VkDebugUtilsMessengerCreateInfoEXT messages = {
		.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
		.pNext = &settings,
		.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT |
				   VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT,
		.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
			       VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT,
		.pfnUserCallback = on_message, .pUserData = inst,
	};
	const VkApplicationInfo app = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pEngineName = "tramroad", .apiVersion = VK_API_VERSION_1_3,
	};
	const VkInstanceCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pNext = validate ? &messages : NULL,
		.pApplicationInfo = &app,
		.enabledLayerCount = validate, .ppEnabledLayerNames = &layer,
		.enabledExtensionCount = validate ? TRAM_ARRAY_SIZE(extensions) : 0,
		.ppEnabledExtensionNames = extensions,
	};
	uint32_t version = 0;
	VkResult r;
	int err;

	err = tram_vk_load_global(inst->ctx, &inst->global);
	if (err)
		return err;
	r = inst->global.EnumerateInstanceVersion(&version);
	if (r)
		return tram_vk_fail_early(inst->ctx, r, "Vulkan", "ask the loader's version");
	if (version < VK_API_VERSION_1_3)
		return tram_fail(inst->ctx, -ENODEV, "Vulkan: the loader is of version %u.%u, 1.3 "
				 "is needed; install a newer libvulkan1",
				 VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
	if (validate) {
		err = find_layer(inst);
		if (err)
			return err;
	}
	r = inst->global.CreateInstance(&ci, NULL, &inst->handle);
	if (r == VK_ERROR_INCOMPATIBLE_DRIVER)
		return tram_fail(inst->ctx, -ENODEV, "Vulkan: no driver of version 1.3 is "
				 "installed; install one (mesa-vulkan-drivers), or use cpu0");
	if (r)
		return tram_vk_fail_early(inst->ctx, r, "Vulkan", "create an instance");
	err = tram_vk_load_instance(inst->ctx, &inst->global, inst->handle, &inst->fn);
	if (err)
		return err;
	if (validate && inst->fn.CreateDebugUtilsMessengerEXT) {
		VkDebugUtilsMessengerCreateInfoEXT mi = messages;

		mi.pNext = NULL;
		r = inst->fn.CreateDebugUtilsMessengerEXT(inst->handle, &mi, NULL,
							  &inst->messenger);
		if (r)
			return tram_vk_fail_early(inst->ctx, r, "Vulkan", "create a messenger");
	}
	return 0;
}

int tram_vk_instance_create(struct tram_ctx *ctx, struct tram_vk_instance **out)
{
	const char *env = getenv("TRAM_VK_VALIDATION");
	struct tram_vk_instance *inst;
	int err;

	*out = NULL;
	inst = tram_zalloc(ctx, sizeof(*inst));
	if (!inst)
		return -ENOMEM;
	inst->ctx = ctx;
	err = instance_init(inst, env && !strcmp(env, "1"));
	if (err)
		tram_vk_instance_destroy(&inst);
	*out = inst;
	return err;
}

void tram_vk_instance_destroy(struct tram_vk_instance **instp)
{
	struct tram_vk_instance *inst = *instp;

	*instp = NULL;
	if (!inst)
		return;
	if (inst->messenger)
		inst->fn.DestroyDebugUtilsMessengerEXT(inst->handle, inst->messenger, NULL);
	if (inst->handle && !inst->fn.DestroyInstance)	/* the table could not be filled */
		inst->fn.DestroyInstance = (PFN_vkDestroyInstance)
			inst->global.GetInstanceProcAddr(inst->handle, "vkDestroyInstance");
	if (inst->handle && inst->fn.DestroyInstance)
		inst->fn.DestroyInstance(inst->handle, NULL);
	tram_free(inst->ctx, inst);
}

int tram_vk_physical_devices(struct tram_vk_instance *inst, VkPhysicalDevice **devices,
			     uint32_t *n)
{
	VkResult r;

	*devices = NULL;
	*n = 0;
	r = inst->fn.EnumeratePhysicalDevices(inst->handle, n, NULL);
	if (r < 0) {
		*n = 0;
		/* A loader without a usable driver says either this or zero. */
		if (r == VK_ERROR_INITIALIZATION_FAILED)
			return 0;
		return tram_vk_fail_early(inst->ctx, r, "Vulkan", "list the devices");
	}
	*devices = tram_calloc(inst->ctx, *n + 1u, sizeof(**devices));
	if (!*devices) {
		*n = 0;
		return -ENOMEM;
	}
	r = inst->fn.EnumeratePhysicalDevices(inst->handle, n, *devices);
	if (r < 0) {
		tram_free(inst->ctx, *devices);
		*devices = NULL;
		*n = 0;
		return tram_vk_fail_early(inst->ctx, r, "Vulkan", "list the devices");
	}
	return 0;
}

/* Errors */

static const struct vk_error {
	VkResult r;
	int err;
	const char *reason, *remedy;
} errors[] = {
	{ VK_NOT_READY, -EAGAIN, "not ready", "wait for it first" },
	{ VK_TIMEOUT, -ETIMEDOUT, "timed out", "wait longer" },
	{ VK_ERROR_OUT_OF_HOST_MEMORY, -ENOMEM, "out of memory on the host",
	  "free memory or ask for less" },
	{ VK_ERROR_OUT_OF_DEVICE_MEMORY, -ENOMEM, "out of memory on the device",
	  "free memory there, lower the batch size or the budget" },
	{ VK_ERROR_OUT_OF_POOL_MEMORY, -ENOMEM, "out of memory in a pool",
	  "ask for less" },
	{ VK_ERROR_TOO_MANY_OBJECTS, -ENOMEM, "out of memory objects", "free some" },
	{ VK_ERROR_FRAGMENTATION, -ENOMEM, "out of memory by fragmentation", "free some" },
	{ VK_ERROR_MEMORY_MAP_FAILED, -ENOMEM, "out of memory in the address space",
	  "free memory or ask for less" },
	{ VK_ERROR_DEVICE_LOST, -EIO, "the device was lost",
	  "open it again; the kernel log tells why it was reset" },
	{ VK_ERROR_INITIALIZATION_FAILED, -ENODEV, "the driver failed to initialize",
	  "see the kernel log, or choose another device" },
	{ VK_ERROR_INCOMPATIBLE_DRIVER, -ENODEV, "no compatible driver",
	  "install a driver of Vulkan 1.3 (mesa-vulkan-drivers)" },
	{ VK_ERROR_LAYER_NOT_PRESENT, -ENOPKG, "a layer is missing",
	  "install vulkan-validationlayers" },
	{ VK_ERROR_EXTENSION_NOT_PRESENT, -ENOTSUP, "an extension is missing",
	  "install a newer driver" },
	{ VK_ERROR_FEATURE_NOT_PRESENT, -ENOTSUP, "a feature is missing",
	  "install a newer driver" },
};

static struct vk_error find_error(VkResult r)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(errors); i++) {
		if (errors[i].r == r)
			return errors[i];
	}
	return (struct vk_error){ r, -EPROTO, "the driver failed", "see the driver's log" };
}

int tram_vk_fail(struct tram_vk *vk, VkResult r, const char *fmt, ...)
{
	struct vk_error e = find_error(r);
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (r == VK_ERROR_DEVICE_LOST)
		__atomic_store_n(&vk->base.lost, -EIO, __ATOMIC_RELEASE);
	return tram_fail(vk->base.ctx, e.err, "%s (%s): %s: %s (VkResult %d); %s",
			 vk->base.info.selector, vk->base.info.name, what, e.reason, (int)r,
			 e.remedy);
}

int tram_vk_fail_early(struct tram_ctx *ctx, VkResult r, const char *subject, const char *what)
{
	struct vk_error e = find_error(r);

	return tram_fail(ctx, e.err, "%s: %s: %s (VkResult %d); %s", subject, what, e.reason,
			 (int)r, e.remedy);
}

int tram_vk_check(struct tram_vk *vk)
{
	int lost = __atomic_load_n(&vk->base.lost, __ATOMIC_ACQUIRE);

	if (!lost)
		return 0;
	return tram_fail(vk->base.ctx, lost, "%s (%s): the device was lost; open it again; the "
			 "kernel log tells why it was reset", vk->base.info.selector,
			 vk->base.info.name);
}

unsigned int tram_vk_validation_errors(const struct tram_device *dev)
{
	return atomic_load(&((const struct tram_vk *)dev)->instance->errors);
}
