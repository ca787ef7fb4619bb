/* SPDX-License-Identifier: MIT */
/*
 * Buffers: one VkBuffer on one allocation each, because dividing an arena is
 * the planner's work. Copies between host and buffer go through the mapping
 * where there is one, else through one staging buffer, and are ordered after
 * everything that was submitted. See vk_queue.c for the submission of copies.
 */
#include "device/vk/vk.h"

#define STAGING_BYTES (4u << 20)
/* Copies wait for submitted work this long; past it something is stuck. */
#define COPY_LIMIT_NS 600000000000u
/* HOST buffers up to this go to memory on the card that the host can write. */
#define SMALL_BYTES (256u << 10)

#define VISIBLE (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)

static const VkBufferUsageFlags usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
	VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
	VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;

/* Bytes that the driver asks for a buffer of @size. */
static uint64_t required(struct tram_vk *vk, uint64_t size)
{
	const VkBufferCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage,
	};
	const VkDeviceBufferMemoryRequirements info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_BUFFER_MEMORY_REQUIREMENTS, .pCreateInfo = &ci,
	};
	VkMemoryRequirements2 req = { .sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2 };

	vk->fn.GetDeviceBufferMemoryRequirements(vk->handle, &info, &req);
	return req.memoryRequirements.size;
}

/*
 * The granule is the rounding of the driver, found by asking: every buffer is
 * made a multiple of it, so that the plan knows the bytes of each allocation.
 */
int tram_vk_memory_init(struct tram_vk *vk)
{
	static const uint64_t probes[] = { 1, 3, 16, 100, 1000, 4097 };
	struct tram_machine_device *m = &vk->base.machine;
	uint64_t granule = TRAM_DEVICE_PAD;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(probes) && granule < (1u << 21); i++) {
		if (required(vk, probes[i] * granule) == probes[i] * granule)
			continue;
		granule *= 2;
		i = SIZE_MAX;	/* from the first again */
	}
	m->granule = granule;
	m->pad = TRAM_DEVICE_PAD;
	/* Where device memory can't be mapped, copies will need it: made here, so that no step pays. */
	if (vk->unified)
		return 0;
	return tram_vk_buffer_create(&vk->base, STAGING_BYTES, TRAM_MEMORY_HOST, &vk->staging);
}

void tram_vk_memory_finish(struct tram_vk *vk)
{
	if (vk->staging)
		tram_vk_buffer_destroy(vk->staging);
	vk->staging = NULL;
}

/* Wishes by falling preference: a type needs all of want and none of avoid. { 0, 0 } is no wish. */
struct wish { VkMemoryPropertyFlags want, avoid; };

static uint32_t find_type(const struct tram_vk *vk, uint32_t allowed, const struct wish *w)
{
	for (uint32_t i = 0; i < vk->memory.memoryTypeCount; i++) {
		VkMemoryPropertyFlags flags = vk->memory.memoryTypes[i].propertyFlags;

		if (w->avoid && (allowed >> i & 1) && (flags & w->want) == w->want && !(flags & w->avoid))
			return i;
	}
	return UINT32_MAX;
}

/* Types beyond the core's (AMD's uncached ones, protected memory) are for those who enabled them. */
#define ODD (~(VkMemoryPropertyFlags)(VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | \
	VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | \
	VK_MEMORY_PROPERTY_HOST_CACHED_BIT))

static int allocate(struct tram_vk *vk, struct tram_vk_buffer *b, enum tram_memory kind,
		    const VkMemoryRequirements *req)
{
	static const struct wish wishes[3][4] = {
		{	/* the device's, on a card of its own */
			{ VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | ODD },
			{ VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, ODD },
			{ 0, ODD },
		}, {	/* the device's, where it is the host's too; and what the host reads */
			{ VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VISIBLE | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, ODD },
			{ VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VISIBLE, ODD },
			{ VISIBLE | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, ODD },
			{ VISIBLE, ODD },
		}, {	/* the host's, on a machine with a card */
			{ VISIBLE | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | ODD },
			{ VISIBLE | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, ODD },
			{ VISIBLE, ODD },
		},
	};
	const VkMemoryAllocateFlagsInfo flags = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
		.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
	};
	VkMemoryAllocateInfo ai = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .pNext = &flags,
		.allocationSize = req->size,
	};
	bool small = req->size <= SMALL_BYTES;
	const struct wish *w = wishes[vk->unified || (kind == TRAM_MEMORY_HOST && small) ? 1 :
				      kind == TRAM_MEMORY_HOST ? 2 : 0];
	VkResult r = VK_ERROR_OUT_OF_DEVICE_MEMORY;
	uint32_t tried = 0;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(wishes[0]); i++) {
		uint32_t type = find_type(vk, req->memoryTypeBits & ~tried, &w[i]);

		if (type == UINT32_MAX)
			continue;
		tried |= 1u << type;	/* its heap may be full: the next wish may name another */
		ai.memoryTypeIndex = type;
		r = vk->fn.AllocateMemory(vk->handle, &ai, NULL, &b->memory);
		if (r != VK_ERROR_OUT_OF_DEVICE_MEMORY)
			break;
	}
	if (r) {
		b->memory = VK_NULL_HANDLE;
		return tram_vk_fail(vk, r, "out of memory: %llu bytes refused, %llu are in use",
				    (unsigned long long)req->size,
				    (unsigned long long)vk->base.memory_now);
	}
	b->allocated = req->size;
	vk->base.memory_now += b->allocated;
	vk->base.memory_peak = TRAM_MAX(vk->base.memory_peak, vk->base.memory_now);
	if (!(vk->memory.memoryTypes[ai.memoryTypeIndex].propertyFlags &
	      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT))
		return 0;
	if (!(vk->memory.memoryTypes[ai.memoryTypeIndex].propertyFlags &
	      VK_MEMORY_PROPERTY_HOST_COHERENT_BIT))
		return 0;	/* would need flushes: left unmapped */
	r = vk->fn.MapMemory(vk->handle, b->memory, 0, VK_WHOLE_SIZE, 0, &b->base.map);
	if (r) {
		b->base.map = NULL;
		return tram_vk_fail(vk, r, "map %llu bytes", (unsigned long long)req->size);
	}
	return 0;
}

static int clear(struct tram_vk *vk, struct tram_vk_buffer *b, uint64_t size)
{
	int err;

	if (b->base.map) {
		memset(b->base.map, 0, size);
		return 0;
	}
	err = tram_vk_transfer_begin(vk);
	if (err)
		return err;
	vk->fn.CmdFillBuffer(vk->transfer, b->handle, 0, VK_WHOLE_SIZE, 0);
	return tram_vk_transfer_end(vk);
}

int tram_vk_buffer_create(struct tram_device *dev, uint64_t size, enum tram_memory kind,
			  struct tram_buffer **out)
{
	struct tram_vk *vk = tram_vk_of(dev);
	VkBufferCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .usage = usage,
		.sharingMode = VK_SHARING_MODE_EXCLUSIVE,
	};
	VkBufferDeviceAddressInfo address = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
	};
	uint64_t limit = TRAM_MIN(vk->max_buffer, vk->max_allocation);
	VkMemoryRequirements req;
	struct tram_vk_buffer *b;
	VkResult r;
	int err;

	*out = NULL;
	err = tram_vk_check(vk);
	if (err)
		return err;
	if (size > limit || TRAM_ALIGN_UP(size + dev->machine.pad, dev->machine.granule) > limit)
		return tram_fail(dev->ctx, -ENOMEM, "%s (%s): out of memory: a buffer of %llu "
				 "bytes, the largest is %llu; lower the batch size, or use a "
				 "device with more", dev->info.selector, dev->info.name,
				 (unsigned long long)size, (unsigned long long)limit);
	b = tram_zalloc(dev->ctx, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->base.dev = dev;
	b->base.size = size;
	ci.size = TRAM_ALIGN_UP(size + dev->machine.pad, dev->machine.granule);
	r = vk->fn.CreateBuffer(vk->handle, &ci, NULL, &b->handle);
	if (r) {
		b->handle = VK_NULL_HANDLE;
		err = tram_vk_fail(vk, r, "create a buffer of %llu bytes",
				   (unsigned long long)ci.size);
		goto fail;
	}
	vk->fn.GetBufferMemoryRequirements(vk->handle, b->handle, &req);
	err = allocate(vk, b, kind, &req);
	if (err)
		goto fail;
	r = vk->fn.BindBufferMemory(vk->handle, b->handle, b->memory, 0);
	if (r) {
		err = tram_vk_fail(vk, r, "bind a buffer of %llu bytes",
				   (unsigned long long)ci.size);
		goto fail;
	}
	address.buffer = b->handle;
	b->address = vk->fn.GetBufferDeviceAddress(vk->handle, &address);
	err = clear(vk, b, ci.size);
	if (err)
		goto fail;
	*out = &b->base;
	return 0;

fail:
	tram_vk_buffer_destroy(&b->base);
	return err;
}

void tram_vk_buffer_destroy(struct tram_buffer *buf)
{
	struct tram_vk_buffer *b = tram_vk_buffer_of(buf);
	struct tram_vk *vk;

	if (!buf)
		return;
	vk = tram_vk_of(buf->dev);
	if (b->handle)
		vk->fn.DestroyBuffer(vk->handle, b->handle, NULL);
	if (b->memory) {
		if (b->base.map)
			vk->fn.UnmapMemory(vk->handle, b->memory);
		vk->fn.FreeMemory(vk->handle, b->memory, NULL);
		vk->base.memory_now -= b->allocated;
	}
	tram_free(vk->base.ctx, b);
}

/* Copies */

static int check_range(struct tram_buffer *buf, uint64_t offset, uint64_t n, const char *what)
{
	struct tram_device *dev = buf->dev;

	if (offset > buf->size || n > buf->size - offset)
		return tram_fail(dev->ctx, -EINVAL, "%s (%s): %s of bytes %llu to %llu of a "
				 "buffer of %llu; stay inside", dev->info.selector,
				 dev->info.name, what, (unsigned long long)offset,
				 (unsigned long long)(offset + n), (unsigned long long)buf->size);
	return tram_vk_check(tram_vk_of(dev));
}

/* One piece through the staging buffer. */
static int stage(struct tram_vk *vk, VkBuffer src, uint64_t src_offset, VkBuffer dst,
		 uint64_t dst_offset, uint64_t n)
{
	const VkBufferCopy region = { src_offset, dst_offset, n };
	int err = tram_vk_transfer_begin(vk);

	if (err)
		return err;
	vk->fn.CmdCopyBuffer(vk->transfer, src, dst, 1, &region);
	return tram_vk_transfer_end(vk);
}

static int need_staging(struct tram_vk *vk)
{
	if (vk->staging)
		return 0;
	return tram_vk_buffer_create(&vk->base, STAGING_BYTES, TRAM_MEMORY_HOST, &vk->staging);
}

int tram_vk_write(struct tram_buffer *buf, uint64_t offset, const void *src, uint64_t n)
{
	struct tram_vk_buffer *b = tram_vk_buffer_of(buf);
	struct tram_vk *vk = tram_vk_of(buf->dev);
	const char *from = src;
	int err = check_range(buf, offset, n, "write");

	if (!err && !buf->map)
		err = need_staging(vk);
	if (!err)
		err = tram_vk_idle(vk, COPY_LIMIT_NS);
	if (err || !n)
		return err;
	if (buf->map) {
		memcpy((char *)buf->map + offset, src, n);
		return 0;
	}
	for (uint64_t done = 0, k; !err && done < n; done += k) {
		k = TRAM_MIN(n - done, (uint64_t)STAGING_BYTES);
		memcpy(vk->staging->map, from + done, k);
		err = stage(vk, tram_vk_buffer_of(vk->staging)->handle, 0, b->handle,
			    offset + done, k);
	}
	return err;
}

int tram_vk_read(struct tram_buffer *buf, uint64_t offset, void *dst, uint64_t n)
{
	struct tram_vk_buffer *b = tram_vk_buffer_of(buf);
	struct tram_vk *vk = tram_vk_of(buf->dev);
	char *to = dst;
	int err = check_range(buf, offset, n, "read");

	if (!err && !buf->map)
		err = need_staging(vk);
	if (!err)
		err = tram_vk_idle(vk, COPY_LIMIT_NS);
	if (err || !n)
		return err;
	if (buf->map) {
		memcpy(dst, (char *)buf->map + offset, n);
		return 0;
	}
	for (uint64_t done = 0, k; !err && done < n; done += k) {
		k = TRAM_MIN(n - done, (uint64_t)STAGING_BYTES);
		err = stage(vk, b->handle, offset + done, tram_vk_buffer_of(vk->staging)->handle,
			    0, k);
		if (!err)
			memcpy(to + done, vk->staging->map, k);
	}
	return err;
}
