/* SPDX-License-Identifier: GPL-2.0-only */
/* dma-bufs of own buffers. */
#ifndef TRAM_EXPORT_H
#define TRAM_EXPORT_H

struct dma_buf;
struct drm_device;
struct drm_gem_object;

/* dma_buf_put() gives it back; the buffer lives at least as long. */
struct dma_buf *tram_export(struct drm_gem_object *obj, int flags);

/* The buffer behind a dma-buf of this device, or NULL; no reference is taken. */
struct drm_gem_object *tram_export_own(struct drm_device *drm,
				       struct dma_buf *dmabuf);

#endif
