// SPDX-License-Identifier: GPL-2.0-only
/*
 * Foreign memory.  An import is attached, dynamically, so that its exporter can
 * tell when it moves; nothing is mapped, because the driver's own device moves
 * no data.  One of our own dma-bufs is no import: the same buffer comes back.
 */
#include "import.h"

#include <drm/drm_drv.h>
#include <drm/drm_prime.h>
#include <linux/dma-buf.h>
#include <linux/slab.h>

#include "buffer.h"
#include "compat/compat.h"
#include "device.h"
#include "export.h"
#include "trace.h"

/* Called by the exporter under the reservation lock. */
static void moved(struct dma_buf_attachment *attach)
{
	struct tram_buffer *buffer = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	atomic64_inc(&buffer->moves);
	trace_tram_buffer_move(buffer);
}

static const struct dma_buf_attach_ops attach_ops = {
	.allow_peer2peer = true,
	.TRAM_ATTACH_OP_MOVED = moved,
};

static void free_import(struct drm_gem_object *obj)
{
	struct tram_device *tdev = to_tram_device(obj->dev);
	struct tram_buffer *buffer = to_tram_buffer(obj);

	trace_tram_buffer_free(buffer);
	if (obj->import_attach)
		drm_prime_gem_destroy(obj, NULL);
	drm_gem_object_release(obj);
	atomic64_dec(&tdev->imports);
	kfree(buffer);
}

static const struct drm_gem_object_funcs import_funcs = {
	.free = free_import,
};

struct drm_gem_object *tram_import(struct drm_device *drm,
				   struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach;
	struct drm_gem_object *obj;
	struct tram_buffer *buffer;

	obj = tram_export_own(drm, dmabuf);
	if (obj) {
		drm_gem_object_get(obj);
		return obj;
	}
	/* DRM takes whole pages for granted. */
	if (!dmabuf->size || !PAGE_ALIGNED(dmabuf->size))
		return ERR_PTR(-EINVAL);

	buffer = tram_buffer_init(drm, dmabuf->size, &import_funcs);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);
	atomic64_inc(&to_tram_device(drm)->imports);
	obj = &buffer->base;
	attach = dma_buf_dynamic_attach(dmabuf, drm->dev, &attach_ops, buffer);
	if (IS_ERR(attach)) {
		drm_gem_object_put(obj);
		return ERR_CAST(attach);
	}
	/* Both given back by drm_prime_gem_destroy(). */
	get_dma_buf(dmabuf);
	obj->import_attach = attach;
	obj->resv = dmabuf->resv;
	trace_tram_buffer_import(buffer);
	return obj;
}
