/* SPDX-License-Identifier: MIT */
/* Recording of the mock driver: command buffers are lists of what has an effect. */
#include "mockvk.h"

static struct mock_commands *commands_of(VkCommandBuffer cb)
{
	return MOCK_HANDLE(struct mock_commands, cb);
}

VkResult mock_CreateCommandPool(VkDevice dev, const VkCommandPoolCreateInfo *ci,
				const VkAllocationCallbacks *alloc, VkCommandPool *out)
{
	struct mock_pool *pool;
	VkResult r = mock_enter(MOCK_CreateCommandPool);

	if (r)
		return r;
	pool = mock_new(sizeof(*pool));
	*out = MOCK_OF(VkCommandPool, pool);
	return pool ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
}

static void free_commands(struct mock_commands *c)
{
	MOCK_MISUSE(c && atomic_load(&c->pending) > 0 && !mock_state()->lost);
	if (c)
		free(c->v);
	mock_delete(c);
}

void mock_DestroyCommandPool(VkDevice dev, VkCommandPool handle,
			     const VkAllocationCallbacks *alloc)
{
	struct mock_pool *pool = MOCK_HANDLE(struct mock_pool, handle);

	mock_count(MOCK_DestroyCommandPool);
	for (struct mock_commands *c = pool ? pool->first : NULL, *next; c; c = next) {
		next = c->next;
		free_commands(c);
	}
	mock_delete(pool);
}

VkResult mock_AllocateCommandBuffers(VkDevice dev, const VkCommandBufferAllocateInfo *ai,
				     VkCommandBuffer *out)
{
	struct mock_pool *pool = MOCK_HANDLE(struct mock_pool, ai->commandPool);
	VkResult r = mock_enter(MOCK_AllocateCommandBuffers);

	for (uint32_t i = 0; !r && i < ai->commandBufferCount; i++) {
		struct mock_commands *c = mock_new(sizeof(*c));

		if (!c)
			return VK_ERROR_OUT_OF_HOST_MEMORY;
		set_loader_magic_value(c);
		c->pool = pool;
		c->next = pool->first;
		pool->first = c;
		out[i] = MOCK_OF(VkCommandBuffer, c);
	}
	return r;
}

void mock_FreeCommandBuffers(VkDevice dev, VkCommandPool handle, uint32_t n,
			     const VkCommandBuffer *v)
{
	struct mock_pool *pool = MOCK_HANDLE(struct mock_pool, handle);

	mock_count(MOCK_FreeCommandBuffers);
	for (uint32_t i = 0; i < n; i++) {
		struct mock_commands **p = &pool->first;

		while (*p && *p != commands_of(v[i]))
			p = &(*p)->next;
		MOCK_MISUSE(!*p);
		if (*p) {
			struct mock_commands *c = *p;

			*p = c->next;
			free_commands(c);
		}
	}
}

VkResult mock_BeginCommandBuffer(VkCommandBuffer cb, const VkCommandBufferBeginInfo *bi)
{
	struct mock_commands *c = commands_of(cb);
	VkResult r = mock_enter(MOCK_BeginCommandBuffer);

	if (r)
		return r;
	MOCK_MISUSE(c->recording || atomic_load(&c->pending) > 0);
	c->recording = true;
	c->recorded = c->bound = c->failed = false;
	c->n = 0;
	return VK_SUCCESS;
}

VkResult mock_EndCommandBuffer(VkCommandBuffer cb)
{
	struct mock_commands *c = commands_of(cb);
	VkResult r = mock_enter(MOCK_EndCommandBuffer);

	MOCK_MISUSE(!c->recording);
	c->recording = false;
	if (!r && c->failed)
		r = VK_ERROR_OUT_OF_HOST_MEMORY;
	c->recorded = !r;
	return r;
}

static void push(VkCommandBuffer cb, struct mock_command cmd)
{
	struct mock_commands *c = commands_of(cb);

	MOCK_MISUSE(!c->recording);
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		struct mock_command *v = realloc(c->v, cap * sizeof(*v));

		if (!v) {
			c->failed = true;
			return;
		}
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n++] = cmd;
}

void mock_CmdBindPipeline(VkCommandBuffer cb, VkPipelineBindPoint point, VkPipeline pipeline)
{
	mock_count(MOCK_CmdBindPipeline);
	MOCK_MISUSE(!commands_of(cb)->recording || !pipeline);
	commands_of(cb)->bound = true;
}

void mock_CmdPushConstants(VkCommandBuffer cb, VkPipelineLayout layout, VkShaderStageFlags stages,
			   uint32_t offset, uint32_t size, const void *values)
{
	mock_count(MOCK_CmdPushConstants);
	MOCK_MISUSE(!commands_of(cb)->recording || offset + size > 128);
}

void mock_CmdDispatch(VkCommandBuffer cb, uint32_t x, uint32_t y, uint32_t z)
{
	mock_count(MOCK_CmdDispatch);
	MOCK_MISUSE(!commands_of(cb)->bound || x > 65535 || y > 65535 || z > 65535);
}

void mock_CmdPipelineBarrier2(VkCommandBuffer cb, const VkDependencyInfo *info)
{
	mock_count(MOCK_CmdPipelineBarrier2);
	MOCK_MISUSE(!commands_of(cb)->recording);
}

void mock_CmdFillBuffer(VkCommandBuffer cb, VkBuffer dst, VkDeviceSize offset, VkDeviceSize size,
			uint32_t word)
{
	struct mock_buffer *b = MOCK_HANDLE(struct mock_buffer, dst);

	mock_count(MOCK_CmdFillBuffer);
	if (size == VK_WHOLE_SIZE)
		size = (b->size - offset) / 4 * 4;
	MOCK_MISUSE(offset % 4 || size % 4 || !size || offset + size > b->size);
	push(cb, (struct mock_command){ .op = MOCK_OP_FILL, .dst = b, .dst_offset = offset,
					.size = size, .word = word });
}

void mock_CmdCopyBuffer(VkCommandBuffer cb, VkBuffer src, VkBuffer dst, uint32_t n,
			const VkBufferCopy *regions)
{
	struct mock_buffer *from = MOCK_HANDLE(struct mock_buffer, src);
	struct mock_buffer *to = MOCK_HANDLE(struct mock_buffer, dst);

	mock_count(MOCK_CmdCopyBuffer);
	for (uint32_t i = 0; i < n; i++) {
		MOCK_MISUSE(!regions[i].size || regions[i].srcOffset + regions[i].size > from->size ||
			    regions[i].dstOffset + regions[i].size > to->size);
		push(cb, (struct mock_command){
			.op = MOCK_OP_COPY, .dst = to, .src = from,
			.dst_offset = regions[i].dstOffset, .src_offset = regions[i].srcOffset,
			.size = regions[i].size });
	}
}

void mock_CmdResetQueryPool(VkCommandBuffer cb, VkQueryPool pool, uint32_t first, uint32_t n)
{
	mock_count(MOCK_CmdResetQueryPool);
	push(cb, (struct mock_command){ .op = MOCK_OP_RESET, .dst_offset = first, .size = n,
					.queries = MOCK_HANDLE(struct mock_queries, pool) });
}

void mock_CmdWriteTimestamp2(VkCommandBuffer cb, VkPipelineStageFlags2 stage, VkQueryPool pool,
			     uint32_t i)
{
	mock_count(MOCK_CmdWriteTimestamp2);
	push(cb, (struct mock_command){ .op = MOCK_OP_STAMP, .dst_offset = i,
					.queries = MOCK_HANDLE(struct mock_queries, pool) });
}
