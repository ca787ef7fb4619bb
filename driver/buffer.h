/* SPDX-License-Identifier: GPL-2.0-only */
/* Buffers: GEM objects of own pinned memory, or of an imported dma-buf. */
#ifndef TRAM_BUFFER_H
#define TRAM_BUFFER_H

#include <drm/drm_gem.h>
#include <linux/atomic.h>
#include <linux/iosys-map.h>
#include <linux/list.h>

#include "pages.h"

struct drm_file;
struct tram_account;

/**
 * struct tram_buffer - a GEM object
 * @base: what DRM keeps; its reference count decides about the whole
 * @pages: own memory, constant; empty in an import
 * @account: who pays for it; NULL in an import
 * @map: kernel mapping, protected by the reservation lock
 * @maps: users of @map, protected by the reservation lock
 * @mappings: struct tram_mapping of importing devices, protected by the
 *	reservation lock
 * @exported: a dma-buf was made of it; set once, read without a lock
 * @moves: how often an exporter moved it
 */
struct tram_buffer {
	struct drm_gem_object base;
	struct tram_pages pages;
	struct tram_account *account;
	struct iosys_map map;
	unsigned int maps;
	struct list_head mappings;
	bool exported;
	atomic64_t moves;
};

static inline struct tram_buffer *to_tram_buffer(struct drm_gem_object *obj)
{
	return container_of(obj, struct tram_buffer, base);
}

/* An object of no memory yet; drm_gem_object_put() gives it back. */
struct tram_buffer *tram_buffer_init(struct drm_device *drm, u64 size,
				     const struct drm_gem_object_funcs *funcs);

int tram_buffer_create(struct drm_device *drm, void *data,
		       struct drm_file *file);
int tram_buffer_info(struct drm_device *drm, void *data, struct drm_file *file);

#endif
