// SPDX-License-Identifier: GPL-2.0-only
/*
 * Own memory for other drivers.  It never moves, so mapping it for a device is
 * all there is to it.  DRM's ready-made operations were not taken because they
 * leave the caches and bounce buffers of non-coherent devices to chance: the
 * CPU access calls here bring every mapped device's view up to date.
 */
#include "export.h"

#include <drm/drm_prime.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/slab.h>

#include "buffer.h"
#include "trace.h"

/**
 * struct tram_mapping - a buffer as one device sees it
 * @node: in tram_buffer.mappings
 * @dev: the importer's device
 * @sgt: what the importer was given
 * @dir: which way data goes
 *
 * Made by map(), freed by unmap(), both under the reservation lock.
 */
struct tram_mapping {
	struct list_head node;
	struct device *dev;
	struct sg_table sgt;
	enum dma_data_direction dir;
};

static struct tram_buffer *buffer_of(struct dma_buf *dmabuf)
{
	return to_tram_buffer(dmabuf->priv);
}

static struct sg_table *map(struct dma_buf_attachment *attach,
			    enum dma_data_direction dir)
{
	struct tram_buffer *buffer = buffer_of(attach->dmabuf);
	struct tram_mapping *mapping;
	int err;

	dma_resv_assert_held(buffer->base.resv);
	mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
	if (!mapping)
		return ERR_PTR(-ENOMEM);
	mapping->dev = attach->dev;
	mapping->dir = dir;
	err = tram_pages_sg(&buffer->pages, attach->dev, &mapping->sgt);
	if (err)
		goto err_mapping;
	err = dma_map_sgtable(attach->dev, &mapping->sgt, dir, 0);
	if (err)
		goto err_table;
	list_add(&mapping->node, &buffer->mappings);
	return &mapping->sgt;

err_table:
	sg_free_table(&mapping->sgt);
err_mapping:
	kfree(mapping);
	return ERR_PTR(err);
}

static void unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		  enum dma_data_direction dir)
{
	struct tram_mapping *mapping;

	dma_resv_assert_held(attach->dmabuf->resv);
	mapping = container_of(sgt, struct tram_mapping, sgt);
	list_del(&mapping->node);
	dma_unmap_sgtable(mapping->dev, &mapping->sgt, mapping->dir, 0);
	sg_free_table(&mapping->sgt);
	kfree(mapping);
}

static int begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct tram_buffer *buffer = buffer_of(dmabuf);
	struct tram_mapping *mapping;
	int err;

	err = dma_resv_lock_interruptible(dmabuf->resv, NULL);
	if (err)
		return err;
	list_for_each_entry(mapping, &buffer->mappings, node)
		dma_sync_sgtable_for_cpu(mapping->dev, &mapping->sgt,
					 mapping->dir);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

static int end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct tram_buffer *buffer = buffer_of(dmabuf);
	struct tram_mapping *mapping;

	dma_resv_lock(dmabuf->resv, NULL);
	list_for_each_entry(mapping, &buffer->mappings, node)
		dma_sync_sgtable_for_device(mapping->dev, &mapping->sgt,
					    mapping->dir);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

static const struct dma_buf_ops export_ops = {
	.map_dma_buf = map,
	.unmap_dma_buf = unmap,
	.begin_cpu_access = begin_cpu_access,
	.end_cpu_access = end_cpu_access,
	.mmap = drm_gem_dmabuf_mmap,
	.vmap = drm_gem_dmabuf_vmap,
	.vunmap = drm_gem_dmabuf_vunmap,
	.release = drm_gem_dmabuf_release,
};

struct dma_buf *tram_export(struct drm_gem_object *obj, int flags)
{
	struct tram_buffer *buffer = to_tram_buffer(obj);
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.ops = &export_ops;
	info.size = obj->size;
	info.flags = flags;
	info.resv = obj->resv;
	info.priv = obj;
	dmabuf = drm_gem_dmabuf_export(obj->dev, &info);
	if (IS_ERR(dmabuf))
		return dmabuf;
	WRITE_ONCE(buffer->exported, true);
	trace_tram_buffer_export(buffer);
	return dmabuf;
}

struct drm_gem_object *tram_export_own(struct drm_device *drm,
				       struct dma_buf *dmabuf)
{
	struct drm_gem_object *obj;

	if (dmabuf->ops != &export_ops)
		return NULL;
	obj = dmabuf->priv;
	return obj->dev == drm ? obj : NULL;
}
