/* SPDX-License-Identifier: GPL-2.0-only */
/* Files for the administrator below debugfs/accel/N. */
#ifndef TRAM_DEBUGFS_H
#define TRAM_DEBUGFS_H

struct tram_device;

/* Before the device is registered; DRM removes them. */
void tram_debugfs_add(struct tram_device *tdev);

#endif
