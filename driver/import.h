/* SPDX-License-Identifier: GPL-2.0-only */
/* Buffers of other exporters' dma-bufs. */
#ifndef TRAM_IMPORT_H
#define TRAM_IMPORT_H

struct dma_buf;
struct drm_device;
struct drm_gem_object;

/* drm_gem_object_put() gives it back. */
struct drm_gem_object *tram_import(struct drm_device *drm,
				   struct dma_buf *dmabuf);

#endif
