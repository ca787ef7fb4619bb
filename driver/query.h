/* SPDX-License-Identifier: GPL-2.0-only */
/* TRAM_IOCTL_QUERY. */
#ifndef TRAM_QUERY_H
#define TRAM_QUERY_H

struct drm_device;
struct drm_file;

int tram_query(struct drm_device *drm, void *data, struct drm_file *file);

#endif
