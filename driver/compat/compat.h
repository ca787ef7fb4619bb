/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the driver builds for, and the only
 * file that may ask which one it is.  The driver is written against the newest;
 * here older ones are made to look like it.
 */
#ifndef TRAM_COMPAT_H
#define TRAM_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#error "tramroad needs Linux 6.12 or newer"
#endif

/* A string since 6.13, a bare token before. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define TRAM_IMPORT_DMA_BUF()	MODULE_IMPORT_NS("DMA_BUF")
#else
#define TRAM_IMPORT_DMA_BUF()	MODULE_IMPORT_NS(DMA_BUF)
#endif

/* Renamed when mappings became revocable. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
#define TRAM_ATTACH_OP_MOVED	invalidate_mappings
#else
#define TRAM_ATTACH_OP_MOVED	move_notify
#endif

/* Mandatory before 6.14, gone since. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define TRAM_DRM_DRIVER_DATE
#else
#define TRAM_DRM_DRIVER_DATE	.date = "20261127",
#endif

#endif
