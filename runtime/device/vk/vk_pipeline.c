/* SPDX-License-Identifier: MIT */
/*
 * Compute pipelines, made once per (shader, specialization constants) and
 * shared by all programs of the device. Their machine code is kept in the
 * cache folder across runs, except for software devices, whose drivers have
 * nothing to give.
 */
#include "device/vk/vk.h"

#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"

/* A cache file larger than this is not ours. */
#define CACHE_LIMIT (256u << 20)

struct tram_vk_pipeline {
	struct tram_vk_pipeline *next;
	uint64_t hash;
	VkPipeline handle;
	enum tram_vk_shader shader;
	uint32_t n_spec;
	uint32_t spec[];
};

/* The file: this, then the driver's bytes. Drivers need not survive damaged ones, so they are hashed. */
struct cache_head {
	char magic[8];
	uint64_t size, hash;
};

static const char cache_magic[8] = "tramvkp1";

static bool cache_fits(const struct tram_vk *vk, const VkPhysicalDeviceProperties *props,
		       const char *data, size_t size)
{
	VkPipelineCacheHeaderVersionOne driver;
	struct cache_head head;

	if (size < sizeof(head) + sizeof(driver))
		return false;
	memcpy(&head, data, sizeof(head));
	memcpy(&driver, data + sizeof(head), sizeof(driver));
	return !memcmp(head.magic, cache_magic, sizeof(head.magic)) &&
	       head.size == size - sizeof(head) &&
	       head.hash == tram_hash64(data + sizeof(head), size - sizeof(head)) &&
	       driver.headerSize >= sizeof(driver) &&
	       driver.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
	       driver.vendorID == props->vendorID && driver.deviceID == props->deviceID &&
	       !memcmp(driver.pipelineCacheUUID, props->pipelineCacheUUID, VK_UUID_SIZE);
}

/* A cache that can't be read or written costs time, never the run. */
static int cache_load(struct tram_vk *vk)
{
	struct tram_ctx *ctx = vk->base.ctx;
	VkPipelineCacheCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
	VkPhysicalDeviceProperties props;
	char uuid[2 * VK_UUID_SIZE + 1];
	char *data = NULL;
	size_t size = 0;
	VkResult r;
	int err;

	vk->instance->fn.GetPhysicalDeviceProperties(vk->physical, &props);
	for (uint32_t i = 0; i < VK_UUID_SIZE; i++)
		snprintf(uuid + 2 * i, 3, "%02x", props.pipelineCacheUUID[i]);
	vk->cache_path = tram_asprintf(ctx, "%s/pipelines-%04x-%04x-%s", tram_cache_dir(ctx),
				       props.vendorID, props.deviceID, uuid);
	if (!vk->cache_path)
		return -ENOMEM;
	err = tram_file_load(ctx, vk->cache_path, CACHE_LIMIT, &data, &size);
	if (err == -ENOMEM)
		return err;
	if (!err) {
		if (cache_fits(vk, &props, data, size)) {
			ci.initialDataSize = size - sizeof(struct cache_head);
			ci.pInitialData = data + sizeof(struct cache_head);
		} else {
			tram_log(ctx, TRAM_LOG_INFO, "%s: damaged or of another driver; shaders "
				 "are compiled anew", vk->cache_path);
		}
	}
	r = vk->fn.CreatePipelineCache(vk->handle, &ci, NULL, &vk->cache);
	tram_free(ctx, data);
	if (r) {
		vk->cache = VK_NULL_HANDLE;
		return tram_vk_fail(vk, r, "create the pipeline cache");
	}
	return 0;
}

static void cache_store(struct tram_vk *vk)
{
	struct tram_ctx *ctx = vk->base.ctx;
	struct cache_head head;
	size_t size = 0;
	char *data;

	if (!vk->cache_dirty || tram_vk_lost(vk) ||
	    vk->fn.GetPipelineCacheData(vk->handle, vk->cache, &size, NULL) || !size)
		return;
	data = tram_alloc(ctx, sizeof(head) + size);
	if (!data)
		return;
	if (!vk->fn.GetPipelineCacheData(vk->handle, vk->cache, &size, data + sizeof(head))) {
		memcpy(head.magic, cache_magic, sizeof(head.magic));
		head.size = size;
		head.hash = tram_hash64(data + sizeof(head), size);
		memcpy(data, &head, sizeof(head));
		if (tram_mkdirs(ctx, tram_cache_dir(ctx)) ||
		    tram_file_store(ctx, vk->cache_path, data, sizeof(head) + size))
			tram_log(ctx, TRAM_LOG_INFO, "compiled shaders are not kept: %s",
				 tram_error(ctx));
	}
	tram_free(ctx, data);
}

int tram_vk_pipelines_init(struct tram_vk *vk)
{
	const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 2 * sizeof(uint64_t) };
	const VkPipelineLayoutCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.pushConstantRangeCount = 1, .pPushConstantRanges = &push,
	};
	VkResult r;

	r = vk->fn.CreatePipelineLayout(vk->handle, &ci, NULL, &vk->layout);
	if (r) {
		vk->layout = VK_NULL_HANDLE;
		return tram_vk_fail(vk, r, "create the pipeline layout");
	}
	vk->n_buckets = 256;
	vk->buckets = tram_calloc(vk->base.ctx, vk->n_buckets, sizeof(vk->buckets[0]));
	if (!vk->buckets)
		return -ENOMEM;
	return vk->class.software ? 0 : cache_load(vk);
}

void tram_vk_pipelines_finish(struct tram_vk *vk)
{
	for (size_t i = 0; vk->buckets && i < vk->n_buckets; i++) {
		for (struct tram_vk_pipeline *p = vk->buckets[i], *next; p; p = next) {
			next = p->next;
			vk->fn.DestroyPipeline(vk->handle, p->handle, NULL);
			tram_free(vk->base.ctx, p);
		}
	}
	tram_free(vk->base.ctx, vk->buckets);
	vk->buckets = NULL;
	if (vk->cache) {
		cache_store(vk);
		vk->fn.DestroyPipelineCache(vk->handle, vk->cache, NULL);
		vk->cache = VK_NULL_HANDLE;
	}
	tram_free(vk->base.ctx, vk->cache_path);
	vk->cache_path = NULL;
	if (vk->layout)
		vk->fn.DestroyPipelineLayout(vk->handle, vk->layout, NULL);
	vk->layout = VK_NULL_HANDLE;
}

static int compile(struct tram_vk *vk, struct tram_vk_pipeline *p)
{
	const struct tram_vk_spirv *code = &tram_vk_spirv[p->shader];
	const VkShaderModuleCreateInfo mi = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = code->n_words * sizeof(uint32_t), .pCode = code->words,
	};
	VkSpecializationMapEntry entries[TRAM_VK_MAX_SPEC];
	const VkSpecializationInfo spec = {
		p->n_spec, entries, p->n_spec * sizeof(uint32_t), p->spec
	};
	const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
		.requiredSubgroupSize = vk->class.subgroup,
	};
	VkComputePipelineCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = {
			.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.pNext = vk->choose_subgroup ? &size : NULL,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT, .pName = "main",
			.pSpecializationInfo = &spec,
		},
		.layout = vk->layout,
	};
	VkResult r;

	for (uint32_t i = 0; i < p->n_spec; i++)
		entries[i] = (VkSpecializationMapEntry){ i, i * sizeof(uint32_t), sizeof(uint32_t) };
	r = vk->fn.CreateShaderModule(vk->handle, &mi, NULL, &ci.stage.module);
	if (r)
		return tram_vk_fail(vk, r, "load shader %s", code->name);
	r = vk->fn.CreateComputePipelines(vk->handle, vk->cache, 1, &ci, NULL, &p->handle);
	vk->fn.DestroyShaderModule(vk->handle, ci.stage.module, NULL);
	if (r)
		return tram_vk_fail(vk, r, "compile shader %s", code->name);
	vk->cache_dirty = true;
	return 0;
}

/* Chains stay short: thousands of pipelines would be a mistake elsewhere. */
int tram_vk_pipeline_get(struct tram_vk *vk, enum tram_vk_shader shader, const uint32_t *spec,
			 uint32_t n_spec, VkPipeline *out)
{
	uint64_t hash = tram_hash64(spec, n_spec * sizeof(*spec)) + (uint64_t)shader * 0x9e3779b97f4a7c15u;
	struct tram_vk_pipeline **bucket = &vk->buckets[hash % vk->n_buckets], *p;
	int err;

	*out = VK_NULL_HANDLE;
	for (p = *bucket; p; p = p->next) {
		if (p->hash == hash && p->shader == shader && p->n_spec == n_spec &&
		    (!n_spec || !memcmp(p->spec, spec, n_spec * sizeof(*spec)))) {
			*out = p->handle;
			return 0;
		}
	}
	p = tram_zalloc(vk->base.ctx, sizeof(*p) + n_spec * sizeof(*spec));
	if (!p)
		return -ENOMEM;
	p->hash = hash;
	p->shader = shader;
	p->n_spec = n_spec;
	if (n_spec)
		memcpy(p->spec, spec, n_spec * sizeof(*spec));
	err = compile(vk, p);
	if (err) {
		tram_free(vk->base.ctx, p);
		return err;
	}
	p->next = *bucket;
	*bucket = p;
	vk->n_pipelines++;
	*out = p->handle;
	return 0;
}
