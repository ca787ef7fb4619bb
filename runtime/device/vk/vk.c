/* SPDX-License-Identifier: MIT */
/*
 * The Vulkan backend: which devices there are, whether they reach the floor
 * (Vulkan 1.3 with buffer addresses, timelines and the subgroup operations
 * that shaders/ uses), opening and closing one. From here follow one call:
 * vk_program.c records it, lower.c turns it into dispatches, vk_pipeline.c
 * makes their pipelines, vk_queue.c submits; vk_memory.c holds the buffers.
 */
#include "device/vk/vk_instance.h"

#include <stdio.h>
#include <stdlib.h>

/* Long enough for any step; past it the device is taken for stuck. */
#define CLOSE_LIMIT_NS 30000000000u

struct physical {
	VkPhysicalDevice handle;
	VkPhysicalDeviceProperties2 props;
	VkPhysicalDeviceVulkan11Properties props11;
	VkPhysicalDeviceVulkan12Properties props12;
	VkPhysicalDeviceVulkan13Properties props13;
	VkPhysicalDeviceFeatures2 feats;
	VkPhysicalDeviceVulkan12Features feats12;
	VkPhysicalDeviceVulkan13Features feats13;
	VkPhysicalDeviceMemoryProperties memory;
	bool unified;
	bool choose_subgroup;
	struct tram_device_info info;
	struct tram_vk_class class;
};

#define SUBGROUP_OPS (VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | \
		      VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT)

static void lacks(struct tram_device_info *info, bool has, const char *what)
{
	size_t n = strlen(info->unusable);

	if (!has)
		snprintf(info->unusable + n, sizeof(info->unusable) - n, "%s%s",
			 n ? ", " : "lacks ", what);
}

/* What is missing for the floor, with the remedy, into info.unusable. */
static void judge(struct physical *p)
{
	uint32_t version = p->props.properties.apiVersion;
	struct tram_device_info *info = &p->info;
	size_t n;

	if (version < VK_API_VERSION_1_3) {
		snprintf(info->unusable, sizeof(info->unusable),
			 "Vulkan %u.%u, 1.3 is needed; install a newer driver or use another device",
			 VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
		return;
	}
	lacks(info, p->feats12.bufferDeviceAddress, "bufferDeviceAddress");
	lacks(info, p->feats12.timelineSemaphore, "timelineSemaphore");
	lacks(info, p->feats12.scalarBlockLayout, "scalarBlockLayout");
	lacks(info, p->feats13.synchronization2, "synchronization2");
	lacks(info, p->feats13.maintenance4, "maintenance4");
	lacks(info, (p->props11.subgroupSupportedOperations & SUBGROUP_OPS) == SUBGROUP_OPS &&
	      (p->props11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT),
	      "subgroup arithmetic, ballot or shuffle in compute");
	lacks(info, p->props11.subgroupSize >= 4 && p->props11.subgroupSize <= 128,
	      "a subgroup size from 4 to 128");
	n = strlen(info->unusable);
	if (n)
		snprintf(info->unusable + n, sizeof(info->unusable) - n,
			 "; install a newer driver or use another device");
}

/* A driver that can't list its extensions has none; only running out of heap is an error. */
static int has_extension(struct tram_vk_instance *inst, struct physical *p, const char *name,
			 bool *found)
{
	VkExtensionProperties *ext;
	uint32_t n = 0;

	*found = false;
	if (inst->fn.EnumerateDeviceExtensionProperties(p->handle, NULL, &n, NULL) || !n)
		return 0;
	ext = tram_calloc(inst->ctx, n, sizeof(*ext));
	if (!ext)
		return -ENOMEM;
	if (inst->fn.EnumerateDeviceExtensionProperties(p->handle, NULL, &n, ext) >= 0) {
		for (uint32_t i = 0; i < n; i++)
			*found |= !strcmp(ext[i].extensionName, name);
	}
	tram_free(inst->ctx, ext);
	return 0;
}

/* The largest heap that the device calls its own; its budget where the driver tells one. */
static int describe_memory(struct tram_vk_instance *inst, struct physical *p)
{
	VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT
	};
	VkPhysicalDeviceMemoryProperties2 memory = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2
	};
	bool told;
	int err = has_extension(inst, p, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, &told);

	if (err)
		return err;
	if (told)
		memory.pNext = &budget;
	inst->fn.GetPhysicalDeviceMemoryProperties2(p->handle, &memory);
	p->memory = memory.memoryProperties;
	for (uint32_t i = 0; i < p->memory.memoryHeapCount; i++) {
		uint64_t size = p->memory.memoryHeaps[i].size;

		if (!(p->memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT))
			continue;
		if (told && budget.heapBudget[i])
			size = TRAM_MIN(size, budget.heapBudget[i]);
		else if (p->class.software)
			size = size / 4 * 3;	/* it is the host's own memory */
		p->info.memory = TRAM_MAX(p->info.memory, size);
	}
	return 0;
}

static void describe_class(struct physical *p)
{
	const VkPhysicalDeviceLimits *limits = &p->props.properties.limits;
	struct tram_vk_class *c = &p->class;
	const char *variant = getenv("TRAM_VK_VARIANT");	/* "generic": no driver's own */

	c->lavapipe = p->props12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE &&
		      p->feats.features.shaderInt64;
	c->software = p->props12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE ||
		      p->props12.driverID == VK_DRIVER_ID_GOOGLE_SWIFTSHADER ||
		      p->props.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
	if (variant && !strcmp(variant, "generic"))
		c->lavapipe = false;
	c->subgroup = p->props11.subgroupSize;
	c->subgroup_min = c->subgroup_max = c->subgroup;
	p->choose_subgroup = p->feats13.subgroupSizeControl &&
			     (p->props13.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
			     p->props13.minSubgroupSize <= c->subgroup &&
			     c->subgroup <= p->props13.maxSubgroupSize;
	if (p->choose_subgroup) {
		c->subgroup_min = p->props13.minSubgroupSize;
		c->subgroup_max = p->props13.maxSubgroupSize;
	}
	c->max_shared = limits->maxComputeSharedMemorySize;
	c->max_invocations = limits->maxComputeWorkGroupInvocations;
	memcpy(c->max_groups, limits->maxComputeWorkGroupCount, sizeof(c->max_groups));
}

static int describe(struct tram_vk_instance *inst, VkPhysicalDevice handle, uint32_t index,
		    struct physical *p)
{
	struct tram_device_info *info = &p->info;
	VkPhysicalDeviceType type;
	int err;

	memset(p, 0, sizeof(*p));
	p->handle = handle;
	p->props.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
	p->props11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
	p->props12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
	p->props13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES;
	p->feats.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
	p->feats12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
	p->feats13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;

	/* The structs of 1.3 may only be asked of a device of 1.3. */
	inst->fn.GetPhysicalDeviceProperties(handle, &p->props.properties);
	snprintf(info->selector, sizeof(info->selector), "vk%u", index);
	snprintf(info->name, sizeof(info->name), "%.127s", p->props.properties.deviceName);
	if (p->props.properties.apiVersion >= VK_API_VERSION_1_3) {
		p->props.pNext = &p->props11;
		p->props11.pNext = &p->props12;
		p->props12.pNext = &p->props13;
		inst->fn.GetPhysicalDeviceProperties2(handle, &p->props);
		p->feats.pNext = &p->feats12;
		p->feats12.pNext = &p->feats13;
		inst->fn.GetPhysicalDeviceFeatures2(handle, &p->feats);
	}
	judge(p);
	describe_class(p);
	err = describe_memory(inst, p);
	if (err)
		return err;

	type = p->props.properties.deviceType;
	info->kind = p->class.software ? TRAM_DEVICE_VK_SOFTWARE :
		     type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU ? TRAM_DEVICE_VK_INTEGRATED :
		     TRAM_DEVICE_VK_DISCRETE;	/* virtual and other ones have memory of their own */
	p->unified = info->kind != TRAM_DEVICE_VK_DISCRETE;
	info->subgroup = p->class.subgroup;
	if (!p->props12.driverInfo[0])
		snprintf(p->props12.driverInfo, sizeof(p->props12.driverInfo), "%u.%u.%u",
			 VK_API_VERSION_MAJOR(p->props.properties.driverVersion),
			 VK_API_VERSION_MINOR(p->props.properties.driverVersion),
			 VK_API_VERSION_PATCH(p->props.properties.driverVersion));
	snprintf(info->driver, sizeof(info->driver), "%.60s %.60s", p->props12.driverName,
		 p->props12.driverInfo);
	/*
	 * GPUs of one driver but of different make may round exp() differently, so the
	 * device's id belongs to the class; software renderers differ by their vector width.
	 */
	snprintf(info->numeric_class, sizeof(info->numeric_class), "%.24s %.36s %04x:%04x sg%u %s",
		 p->props12.driverName, p->props12.driverInfo, p->props.properties.vendorID,
		 p->props.properties.deviceID, p->class.subgroup,
		 p->class.lavapipe ? "lavapipe" : p->class.software ? "software" : "generic");
	return 0;
}

int tram_vk_list(struct tram_ctx *ctx, struct tram_device_list *list)
{
	struct tram_vk_instance *inst;
	VkPhysicalDevice *devices;
	struct physical p;
	uint32_t n;
	int err;

	err = tram_vk_instance_create(ctx, &inst);
	if (err)
		return err == -ENODEV ? 0 : err;
	err = tram_vk_physical_devices(inst, &devices, &n);
	for (uint32_t i = 0; !err && i < n; i++) {
		err = describe(inst, devices[i], i, &p);
		if (!err)
			err = tram_vec_push(ctx, &list->infos, p.info);
	}
	tram_free(ctx, devices);
	tram_vk_instance_destroy(&inst);
	return err;
}

/* A family for compute alone runs beside graphics; else the first that computes. */
static int choose_family(struct tram_vk *vk)
{
	const struct tram_vk_instance_api *fn = &vk->instance->fn;
	VkQueueFamilyProperties families[32];
	uint32_t n = TRAM_ARRAY_SIZE(families), best = UINT32_MAX;

	fn->GetPhysicalDeviceQueueFamilyProperties(vk->physical, &n, families);
	for (uint32_t i = 0; i < n; i++) {
		VkQueueFlags flags = families[i].queueFlags;

		if (!families[i].queueCount || !(flags & VK_QUEUE_COMPUTE_BIT))
			continue;
		if (best == UINT32_MAX || (!(flags & VK_QUEUE_GRAPHICS_BIT) &&
					   (families[best].queueFlags & VK_QUEUE_GRAPHICS_BIT)))
			best = i;
	}
	if (best == UINT32_MAX)
		return tram_fail(vk->base.ctx, -ENODEV, "%s (%s): has no queue for compute; use "
				 "another device", vk->base.info.selector, vk->base.info.name);
	vk->family = best;
	vk->timestamp_bits = families[best].timestampValidBits;
	return 0;
}

static int create_device(struct tram_vk *vk, const struct physical *p)
{
	const float priority = 1;
	const VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = vk->family, .queueCount = 1, .pQueuePriorities = &priority,
	};
	VkPhysicalDeviceVulkan13Features f13 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
		.synchronization2 = VK_TRUE,
		.maintenance4 = VK_TRUE,	/* workgroup sizes by specialization constants */
		.subgroupSizeControl = p->choose_subgroup,
	};
	VkPhysicalDeviceVulkan12Features f12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.pNext = &f13,
		.bufferDeviceAddress = VK_TRUE,
		.timelineSemaphore = VK_TRUE,
		.scalarBlockLayout = VK_TRUE,
		.subgroupBroadcastDynamicId = p->feats12.subgroupBroadcastDynamicId,
	};
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &f12,
		.features = { .shaderInt64 = p->feats.features.shaderInt64 },	/* lavapipe's variants */
	};
	const VkDeviceCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &features,
		.queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
	};
	VkResult r;
	int err;

	r = vk->instance->fn.CreateDevice(vk->physical, &ci, NULL, &vk->handle);
	if (r)
		return tram_vk_fail(vk, r, "create the device");
	err = tram_vk_load_device(vk->base.ctx, &vk->instance->fn, vk->handle, &vk->fn);
	if (err)
		return err;
	vk->fn.GetDeviceQueue(vk->handle, vk->family, 0, &vk->queue);
	return 0;
}

/* What the planner knows of it. Rates are coarse: tram_exec_calibrate() measures. */

static uint64_t machine_scratch(const struct tram_machine_device *machine,
				const struct tram_signature *sig)
{
	const struct tram_vk_lowering *row = &tram_vk_lowerings[sig->op];

	return row->scratch ? row->scratch(machine->kernels, sig) : 0;
}

static uint64_t machine_program_bytes(const struct tram_machine_device *machine, size_t calls)
{
	return TRAM_ALIGN_UP(TRAM_MAX(calls, 1u) * TRAM_VK_ARGS_PER_CALL + machine->pad,
			     machine->granule);
}

static void describe_machine(struct tram_vk *vk)
{
	static const struct { double launch_s, flops_per_s, bytes_per_s; } rates[] = {
		[TRAM_DEVICE_VK_SOFTWARE] = { 20e-6, 40e9, 6e9 },
		[TRAM_DEVICE_VK_INTEGRATED] = { 5e-6, 500e9, 40e9 },
		[TRAM_DEVICE_VK_DISCRETE] = { 4e-6, 5e12, 300e9 },
	};
	struct tram_machine_device *m = &vk->base.machine;

	m->budget = vk->base.info.memory;
	m->launch_s = rates[vk->base.info.kind].launch_s;
	m->flops_per_s = rates[vk->base.info.kind].flops_per_s;
	m->bytes_per_s = rates[vk->base.info.kind].bytes_per_s;
	m->scratch = machine_scratch;
	m->program_bytes = machine_program_bytes;
	m->kernels = &vk->class;
}

static void vk_close(struct tram_device *dev)
{
	struct tram_vk *vk = tram_vk_of(dev);
	struct tram_ctx *ctx = dev->ctx;

	/*
	 * Work that waits for a point that nobody will signal never ends, and what
	 * it uses can't be destroyed: then the device is left to the process's end.
	 */
	if (vk->done.handle && tram_vk_idle(vk, CLOSE_LIMIT_NS) == -ETIMEDOUT) {
		tram_log(ctx, TRAM_LOG_ERROR, "%s (%s): closed with work that does not end; its "
			 "memory is kept until the process ends", dev->info.selector,
			 dev->info.name);
		tram_free(ctx, vk->cache_path);
		tram_free(ctx, vk);
		return;
	}
	if (vk->handle && !vk->fn.DestroyDevice)	/* the table could not be filled */
		vk->fn.DestroyDevice = (PFN_vkDestroyDevice)
			vk->instance->fn.GetDeviceProcAddr(vk->handle, "vkDestroyDevice");
	if (vk->queue)
		vk->fn.DeviceWaitIdle(vk->handle);
	tram_vk_pipelines_finish(vk);
	tram_vk_memory_finish(vk);
	tram_vk_queue_finish(vk);
	if (vk->handle && vk->fn.DestroyDevice)
		vk->fn.DestroyDevice(vk->handle, NULL);
	tram_vk_instance_destroy(&vk->instance);
	tram_free(ctx, vk);
}

static const struct tram_device_ops vk_ops;

int tram_vk_open(struct tram_ctx *ctx, uint32_t index, struct tram_device **out)
{
	VkPhysicalDevice *devices = NULL;
	struct physical p;
	struct tram_vk *vk;
	uint32_t n = 0;
	int err;

	*out = NULL;
	vk = tram_zalloc(ctx, sizeof(*vk));
	if (!vk)
		return -ENOMEM;
	vk->base.ctx = ctx;
	vk->base.ops = &vk_ops;
	vk->lowerings = tram_vk_lowerings;
	err = tram_vk_instance_create(ctx, &vk->instance);
	if (err)
		goto close;
	err = tram_vk_physical_devices(vk->instance, &devices, &n);
	if (err)
		goto close;
	if (index >= n) {
		err = tram_fail(ctx, -ENODEV, "vk%u: no such device; this machine has %u Vulkan "
				"devices, counted from vk0 (install mesa-vulkan-drivers for "
				"more, or use cpu0)", index, n);
		goto close;
	}
	err = describe(vk->instance, devices[index], index, &p);
	if (err)
		goto close;
	tram_free(ctx, devices);
	devices = NULL;
	vk->physical = p.handle;
	vk->base.info = p.info;
	vk->class = p.class;
	vk->memory = p.memory;
	vk->unified = p.unified;
	vk->choose_subgroup = p.choose_subgroup;
	vk->max_buffer = p.props13.maxBufferSize;
	vk->max_allocation = p.props11.maxMemoryAllocationSize;
	vk->timestamp_ns = p.props.properties.limits.timestampPeriod;
	if (p.info.unusable[0]) {
		err = tram_fail(ctx, -ENOTSUP, "%s (%s): %s", p.info.selector, p.info.name,
				p.info.unusable);
		goto close;
	}
	err = choose_family(vk);
	if (!err)
		err = create_device(vk, &p);
	if (!err)
		err = tram_vk_queue_init(vk);
	if (!err)
		err = tram_vk_memory_init(vk);
	if (!err)
		err = tram_vk_pipelines_init(vk);
	if (err)
		goto close;
	describe_machine(vk);
	*out = &vk->base;
	return 0;

close:
	tram_free(ctx, devices);
	vk_close(&vk->base);
	return err;
}

static const struct tram_device_ops vk_ops = {
	.close = vk_close,
	.buffer_create = tram_vk_buffer_create,
	.buffer_destroy = tram_vk_buffer_destroy,
	.write = tram_vk_write,
	.read = tram_vk_read,
	.program_create = tram_vk_program_create,
	.program_destroy = tram_vk_program_destroy,
	.spans = tram_vk_spans,
	.timeline_create = tram_vk_timeline_create,
	.timeline_destroy = tram_vk_timeline_destroy,
	.timeline_signal = tram_vk_timeline_signal,
	.timeline_wait = tram_vk_timeline_wait,
	.submit = tram_vk_submit,
};
