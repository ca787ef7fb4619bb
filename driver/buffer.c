// SPDX-License-Identifier: GPL-2.0-only
/*
 * A buffer of own memory, from the request to the last reference: charged,
 * allocated, then published as a handle; freed and uncharged when handles,
 * mappings and dma-bufs are gone.  export.c shows it to other drivers, import.c
 * makes buffers of theirs.
 *
 * Mappings hold ordinary pages (VM_MIXEDMAP), so that O_DIRECT works on them.
 * Page table entries are made a chunk at a time when it is first touched.
 */
#include "buffer.h"

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/nospec.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "device.h"
#include "export.h"
#include "heap.h"
#include "ledger.h"
#include "trace.h"
#include "tram_accel.h"

/* More than any machine has, and far from where page arithmetic overflows. */
#define SIZE_LIMIT	(16ULL * SZ_1T)

static const struct drm_gem_object_funcs buffer_funcs;

struct tram_buffer *tram_buffer_init(struct drm_device *drm, u64 size,
				     const struct drm_gem_object_funcs *funcs)
{
	struct tram_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&buffer->mappings);
	buffer->base.funcs = funcs;
	drm_gem_private_object_init(drm, &buffer->base, size);
	return buffer;
}

/* Which node the request names; NUMA_NO_NODE: whichever is near. */
static int choose_node(const struct tram_buffer_create *args, int *node)
{
	*node = NUMA_NO_NODE;
	if (!(args->flags & TRAM_BUFFER_NODE))
		return args->node ? -EINVAL : 0;
	if (args->node >= MAX_NUMNODES)
		return -EINVAL;
	*node = array_index_nospec(args->node, MAX_NUMNODES);
	return node_state(*node, N_MEMORY) ? 0 : -EINVAL;
}

int tram_buffer_create(struct drm_device *drm, void *data,
		       struct drm_file *file)
{
	struct tram_device *tdev = to_tram_device(drm);
	struct tram_buffer_create *args = data;
	struct tram_buffer *buffer;
	u64 size;
	int node, err;

	if (args->heap != TRAM_HEAP_ID_SYSTEM ||
	    args->flags & ~TRAM_BUFFER_NODE ||
	    !args->size || args->size > SIZE_LIMIT)
		return -EINVAL;
	err = choose_node(args, &node);
	if (err)
		return err;

	size = PAGE_ALIGN(args->size);
	buffer = tram_buffer_init(drm, size, &buffer_funcs);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	atomic64_inc(&tdev->buffers);
	err = tram_heap_charge(tdev, size, &buffer->account);
	if (err)
		goto out;
	err = tram_pages_alloc(&buffer->pages, size >> PAGE_SHIFT, node);
	if (err)
		goto out;
	err = drm_gem_create_mmap_offset(&buffer->base);
	if (err)
		goto out;

	/* Whoever guesses the handle may close it at once: all is read before. */
	args->size = size;
	args->mmap_offset = drm_vma_node_offset_addr(&buffer->base.vma_node);
	trace_tram_buffer_create(buffer);
	err = drm_gem_handle_create(file, &buffer->base, &args->handle);
out:
	drm_gem_object_put(&buffer->base);
	return err;
}

static void free_buffer(struct drm_gem_object *obj)
{
	struct tram_device *tdev = to_tram_device(obj->dev);
	struct tram_buffer *buffer = to_tram_buffer(obj);
	u64 size = obj->size;

	trace_tram_buffer_free(buffer);
	WARN_ON(buffer->maps || !list_empty(&buffer->mappings));
	drm_gem_object_release(obj);
	tram_pages_free(&buffer->pages);
	if (buffer->account)
		tram_ledger_uncharge(&tdev->ledger, buffer->account, size);
	atomic64_dec(&tdev->buffers);
	kfree(buffer);
}

int tram_buffer_info(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct tram_buffer_info *args = data;
	struct drm_gem_object *obj;
	struct tram_buffer *buffer;

	if (args->flags)
		return -EINVAL;
	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;
	buffer = to_tram_buffer(obj);
	if (drm_gem_is_imported(obj))
		args->flags |= TRAM_BUFFER_IMPORTED;
	if (READ_ONCE(buffer->exported))
		args->flags |= TRAM_BUFFER_EXPORTED;
	args->size = obj->size;
	args->mmap_offset = 0;
	if (!drm_gem_is_imported(obj))
		args->mmap_offset = drm_vma_node_offset_addr(&obj->vma_node);
	args->large_bytes = (u64)buffer->pages.large << PAGE_SHIFT;
	args->chunks = buffer->pages.count;
	args->moves = atomic64_read(&buffer->moves);
	drm_gem_object_put(obj);
	return 0;
}

/* ---- Mappings --------------------------------------------------------------- */

static int buffer_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	/* A private, writable copy would not be what devices see. */
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE)
		return -EINVAL;
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

/*
 * The touched page first, then the rest of its chunk: beginning at the chunk's
 * head instead would never reach the page when only that one was discarded by
 * madvise().
 */
static vm_fault_t insert(struct vm_fault *vmf, struct tram_buffer *buffer,
			 unsigned long index)
{
	const struct tram_chunk *chunk = tram_pages_chunk(&buffer->pages, index);
	unsigned long skip = index - chunk->first;
	unsigned long addr = ALIGN_DOWN(vmf->address, PAGE_SIZE);
	unsigned long i, n;
	vm_fault_t ret;

	n = min((1UL << chunk->order) - skip,
		(vmf->vma->vm_end - addr) >> PAGE_SHIFT);
	ret = vmf_insert_page(vmf->vma, addr, chunk->page + skip);
	for (i = 1; i < n && ret == VM_FAULT_NOPAGE; i++)
		if (vmf_insert_page(vmf->vma, addr + i * PAGE_SIZE,
				    chunk->page + skip + i) != VM_FAULT_NOPAGE)
			break;
	return ret;
}

static vm_fault_t buffer_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;
	struct tram_buffer *buffer = to_tram_buffer(obj);
	vm_fault_t ret = VM_FAULT_SIGBUS;
	unsigned long index;
	int idx;

	index = vmf->pgoff - drm_vma_node_start(&obj->vma_node);
	if (index >= buffer->pages.pages)
		return VM_FAULT_SIGBUS;
	if (drm_dev_enter(obj->dev, &idx)) {
		ret = insert(vmf, buffer, index);
		drm_dev_exit(idx);
	}
	return ret;
}

static int buffer_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	struct tram_buffer *buffer = to_tram_buffer(obj);
	int err;

	dma_resv_assert_held(obj->resv);
	if (!buffer->maps) {
		err = tram_pages_vmap(&buffer->pages, &buffer->map);
		if (err)
			return err;
	}
	buffer->maps++;
	*map = buffer->map;
	return 0;
}

static void buffer_vunmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	struct tram_buffer *buffer = to_tram_buffer(obj);

	dma_resv_assert_held(obj->resv);
	if (!--buffer->maps)
		tram_pages_vunmap(&buffer->pages, &buffer->map);
}

static enum drm_gem_object_status buffer_status(struct drm_gem_object *obj)
{
	return DRM_GEM_OBJECT_RESIDENT;
}

static const struct vm_operations_struct buffer_vm_ops = {
	.fault = buffer_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static const struct drm_gem_object_funcs buffer_funcs = {
	.free = free_buffer,
	.export = tram_export,
	.vmap = buffer_vmap,
	.vunmap = buffer_vunmap,
	.mmap = buffer_mmap,
	.status = buffer_status,
	.vm_ops = &buffer_vm_ops,
};
