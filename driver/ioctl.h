/* SPDX-License-Identifier: GPL-2.0-only */
/* The door from user space: sizes are judged here, members by each request. */
#ifndef TRAM_IOCTL_H
#define TRAM_IOCTL_H

#include <drm/drm_ioctl.h>

#define TRAM_IOCTLS	3

extern const struct drm_ioctl_desc tram_ioctls[TRAM_IOCTLS];

struct file;

long tram_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);
#ifdef CONFIG_COMPAT
long tram_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);
#else
#define tram_compat_ioctl	NULL
#endif

#endif
