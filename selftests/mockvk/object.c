/* SPDX-License-Identifier: MIT */
/* Memory (the host's), buffers, pipelines and other objects of the mock driver. */
#include "mockvk.h"

#define SIMPLE_DESTROY(name, vktype) \
	void mock_##name(VkDevice dev, vktype obj, const VkAllocationCallbacks *alloc) \
	{ \
		mock_count(MOCK_##name); \
		mock_delete(MOCK_HANDLE(void, obj)); \
	}

/* Memory */

VkMemoryRequirements mock_requirements(uint64_t size)
{
	return (VkMemoryRequirements){
		.size = (size + MOCK_ROUND - 1) / MOCK_ROUND * MOCK_ROUND, .alignment = 256,
		.memoryTypeBits = 7,
	};
}

static VkMemoryRequirements requirements_of(VkDevice dev, uint64_t size)
{
	VkMemoryRequirements req = mock_requirements(size);

	if (MOCK_HANDLE(struct mock_device, dev)->physical != 0)
		req.memoryTypeBits = 1;
	return req;
}

VkResult mock_AllocateMemory(VkDevice dev, const VkMemoryAllocateInfo *ai,
			     const VkAllocationCallbacks *alloc, VkDeviceMemory *out)
{
	struct mock_state *s = mock_state();
	struct mock_memory *m;
	VkResult r = mock_enter(MOCK_AllocateMemory);
	bool full;

	if (r)
		return r;
	pthread_mutex_lock(&s->lock);
	full = s->memory_limit && ai->allocationSize > s->memory_limit - s->memory_now;
	if (!full)
		s->memory_now += ai->allocationSize;
	pthread_mutex_unlock(&s->lock);
	if (full)
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	m = mock_new(sizeof(*m));
	if (m)
		m->bytes = malloc(ai->allocationSize);
	if (!m || !m->bytes) {
		mock_delete(m);
		pthread_mutex_lock(&s->lock);
		s->memory_now -= ai->allocationSize;
		pthread_mutex_unlock(&s->lock);
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	}
	m->size = ai->allocationSize;
	m->type = ai->memoryTypeIndex;
	memset(m->bytes, 0xa5, m->size);	/* nobody may count on zeros */
	*out = MOCK_OF(VkDeviceMemory, m);
	return VK_SUCCESS;
}

void mock_FreeMemory(VkDevice dev, VkDeviceMemory handle, const VkAllocationCallbacks *alloc)
{
	struct mock_memory *m = MOCK_HANDLE(struct mock_memory, handle);
	struct mock_state *s = mock_state();

	mock_count(MOCK_FreeMemory);
	if (!m)
		return;
	MOCK_MISUSE(m->mapped);
	pthread_mutex_lock(&s->lock);
	s->memory_now -= m->size;
	pthread_mutex_unlock(&s->lock);
	free(m->bytes);
	mock_delete(m);
}

VkResult mock_MapMemory(VkDevice dev, VkDeviceMemory handle, VkDeviceSize offset,
			VkDeviceSize size, VkMemoryMapFlags flags, void **out)
{
	struct mock_memory *m = MOCK_HANDLE(struct mock_memory, handle);
	VkResult r = mock_enter(MOCK_MapMemory);

	if (r)
		return r;
	if (MOCK_HANDLE(struct mock_device, dev)->physical == 0 && m->type == 0) {
		MOCK_MISUSE(true);
		return VK_ERROR_MEMORY_MAP_FAILED;
	}
	MOCK_MISUSE(m->mapped);
	m->mapped = true;
	*out = m->bytes + offset;
	return VK_SUCCESS;
}

void mock_UnmapMemory(VkDevice dev, VkDeviceMemory handle)
{
	struct mock_memory *m = MOCK_HANDLE(struct mock_memory, handle);

	mock_count(MOCK_UnmapMemory);
	MOCK_MISUSE(!m->mapped);
	m->mapped = false;
}

/* Buffers */

void mock_GetDeviceBufferMemoryRequirements(VkDevice dev,
					    const VkDeviceBufferMemoryRequirements *info,
					    VkMemoryRequirements2 *out)
{
	mock_count(MOCK_GetDeviceBufferMemoryRequirements);
	out->memoryRequirements = requirements_of(dev, info->pCreateInfo->size);
}

VkResult mock_CreateBuffer(VkDevice dev, const VkBufferCreateInfo *ci,
			   const VkAllocationCallbacks *alloc, VkBuffer *out)
{
	struct mock_buffer *b;
	VkResult r = mock_enter(MOCK_CreateBuffer);

	if (r)
		return r;
	b = mock_new(sizeof(*b));
	if (!b)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	b->size = ci->size;
	*out = MOCK_OF(VkBuffer, b);
	return VK_SUCCESS;
}

SIMPLE_DESTROY(DestroyBuffer, VkBuffer)

void mock_GetBufferMemoryRequirements(VkDevice dev, VkBuffer handle, VkMemoryRequirements *out)
{
	mock_count(MOCK_GetBufferMemoryRequirements);
	*out = requirements_of(dev, MOCK_HANDLE(struct mock_buffer, handle)->size);
}

VkResult mock_BindBufferMemory(VkDevice dev, VkBuffer handle, VkDeviceMemory memory,
			       VkDeviceSize offset)
{
	struct mock_buffer *b = MOCK_HANDLE(struct mock_buffer, handle);
	VkResult r = mock_enter(MOCK_BindBufferMemory);

	if (r)
		return r;
	MOCK_MISUSE(b->memory || offset + b->size > MOCK_HANDLE(struct mock_memory, memory)->size);
	b->memory = MOCK_HANDLE(struct mock_memory, memory);
	b->offset = offset;
	return VK_SUCCESS;
}

VkDeviceAddress mock_GetBufferDeviceAddress(VkDevice dev, const VkBufferDeviceAddressInfo *info)
{
	struct mock_buffer *b = MOCK_HANDLE(struct mock_buffer, info->buffer);

	mock_count(MOCK_GetBufferDeviceAddress);
	MOCK_MISUSE(!b->memory);
	return b->memory ? (uintptr_t)b->memory->bytes + b->offset : 0;
}

/* Objects with nothing in them */

static VkResult create_empty(enum mock_entry e, size_t size, void **out)
{
	VkResult r = mock_enter(e);

	if (r)
		return r;
	*out = mock_new(size);
	return *out ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
}

#define SIMPLE_CREATE(name, info, vktype) \
	VkResult mock_##name(VkDevice dev, const info *ci, const VkAllocationCallbacks *alloc, \
			     vktype *out) \
	{ \
		void *p; \
		VkResult r = create_empty(MOCK_##name, 1, &p); \
		if (!r) \
			*out = MOCK_OF(vktype, p); \
		return r; \
	}

SIMPLE_CREATE(CreatePipelineLayout, VkPipelineLayoutCreateInfo, VkPipelineLayout)
SIMPLE_DESTROY(DestroyPipelineLayout, VkPipelineLayout)
SIMPLE_CREATE(CreateShaderModule, VkShaderModuleCreateInfo, VkShaderModule)
SIMPLE_DESTROY(DestroyShaderModule, VkShaderModule)
SIMPLE_DESTROY(DestroyPipeline, VkPipeline)

VkResult mock_CreatePipelineCache(VkDevice dev, const VkPipelineCacheCreateInfo *ci,
				  const VkAllocationCallbacks *alloc, VkPipelineCache *out)
{
	void *p;
	VkResult r = create_empty(MOCK_CreatePipelineCache, 1, &p);

	if (r)
		return r;
	atomic_store(&mock_cache_bytes, (long)ci->initialDataSize);
	*out = MOCK_OF(VkPipelineCache, p);
	return VK_SUCCESS;
}

SIMPLE_DESTROY(DestroyPipelineCache, VkPipelineCache)

VkResult mock_GetPipelineCacheData(VkDevice dev, VkPipelineCache cache, size_t *n, void *out)
{
	VkPipelineCacheHeaderVersionOne head = {
		.headerSize = sizeof(head),
		.headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE,
		.vendorID = 0xfeed, .deviceID = MOCK_HANDLE(struct mock_device, dev)->physical,
	};
	VkResult r = mock_enter(MOCK_GetPipelineCacheData);

	if (r)
		return r;
	memset(head.pipelineCacheUUID, 0x40 + (int)head.deviceID, VK_UUID_SIZE);
	if (out && *n < sizeof(head)) {
		*n = 0;
		return VK_INCOMPLETE;
	}
	*n = sizeof(head);
	if (out)
		memcpy(out, &head, sizeof(head));
	return VK_SUCCESS;
}

VkResult mock_CreateComputePipelines(VkDevice dev, VkPipelineCache cache, uint32_t n,
				     const VkComputePipelineCreateInfo *ci,
				     const VkAllocationCallbacks *alloc, VkPipeline *out)
{
	VkResult r = mock_enter(MOCK_CreateComputePipelines);

	for (uint32_t i = 0; i < n; i++)
		out[i] = VK_NULL_HANDLE;
	for (uint32_t i = 0; !r && i < n; i++) {
		void *p = mock_new(1);

		if (!p)
			return VK_ERROR_OUT_OF_HOST_MEMORY;
		out[i] = MOCK_OF(VkPipeline, p);
	}
	return r;
}

/* Timestamps */

VkResult mock_CreateQueryPool(VkDevice dev, const VkQueryPoolCreateInfo *ci,
			      const VkAllocationCallbacks *alloc, VkQueryPool *out)
{
	struct mock_queries *q;
	void *p;
	VkResult r = create_empty(MOCK_CreateQueryPool,
				  sizeof(*q) + ci->queryCount * sizeof(q->q[0]), &p);

	if (r)
		return r;
	q = p;
	q->n = ci->queryCount;
	*out = MOCK_OF(VkQueryPool, q);
	return VK_SUCCESS;
}

SIMPLE_DESTROY(DestroyQueryPool, VkQueryPool)

VkResult mock_GetQueryPoolResults(VkDevice dev, VkQueryPool pool, uint32_t first, uint32_t n,
				  size_t size, void *data, VkDeviceSize stride,
				  VkQueryResultFlags flags)
{
	struct mock_queries *q = MOCK_HANDLE(struct mock_queries, pool);
	struct mock_state *s = mock_state();
	VkResult r = mock_enter(MOCK_GetQueryPoolResults);

	if (r)
		return r;
	MOCK_MISUSE(first + n > q->n || !(flags & VK_QUERY_RESULT_64_BIT) ||
		    size < (n - 1) * stride + 8);
	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < n && first + i < q->n; i++) {
		if (!q->q[first + i].ready)
			r = VK_NOT_READY;
		memcpy((char *)data + i * stride, &q->q[first + i].ticks, 8);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}
