/* SPDX-License-Identifier: MIT */
/* Instances and the devices that they show; used by vk.c. */
#ifndef TRAM_DEVICE_VK_INSTANCE_H
#define TRAM_DEVICE_VK_INSTANCE_H

#include "device/vk/vk.h"

/* -ENODEV when there is no Vulkan on this machine. */
int tram_vk_instance_create(struct tram_ctx *ctx, struct tram_vk_instance **inst);
void tram_vk_instance_destroy(struct tram_vk_instance **inst);

/* An array to be freed by tram_free(), in the loader's order. */
int tram_vk_physical_devices(struct tram_vk_instance *inst, VkPhysicalDevice **devices,
			     uint32_t *n);

#endif
