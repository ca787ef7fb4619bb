/* SPDX-License-Identifier: GPL-2.0-only */
/* The device: one for the whole machine, made when the module is loaded. */
#ifndef TRAM_DEVICE_H
#define TRAM_DEVICE_H

#include <drm/drm_device.h>
#include <linux/atomic.h>

#include "ledger.h"

/**
 * struct tram_device - all that the driver keeps
 * @drm: what DRM keeps
 * @ledger: who has pinned how much
 * @buffers: GEM objects of own memory that exist
 * @imports: GEM objects of foreign memory that exist
 *
 * It lives until the last file, mapping and exported dma-buf is gone, which is
 * possibly long after the platform device was unbound.
 */
struct tram_device {
	struct drm_device drm;
	struct tram_ledger ledger;
	atomic64_t buffers;
	atomic64_t imports;
};

static inline struct tram_device *to_tram_device(struct drm_device *drm)
{
	return container_of(drm, struct tram_device, drm);
}

#endif
