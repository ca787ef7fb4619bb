/* SPDX-License-Identifier: MIT */
/* How fast a device is, measured in a fraction of a second; for the choice of "auto". */
#ifndef TRAM_DEVICE_PROBE_H
#define TRAM_DEVICE_PROBE_H

#include "device/device.h"

/* Floating-point operations a second in products of 256 x 256 matrices. */
int tram_device_probe(struct tram_device *dev, double *flops_per_s);

#endif
