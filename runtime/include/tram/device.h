/* SPDX-License-Identifier: MIT */
/*
 * Devices: what can be chosen, and an opened one. Selectors: "auto" (every
 * real GPU, else the fastest measured), "vk0", "vk1", ... (Vulkan physical
 * devices in the loader's order), "cpu0" (the host's cores). Several, for training: "vk0,vk1"; "vk0*4" is
 * four logical devices on one physical one, each with a queue and memory of its own.
 */
#ifndef TRAM_DEVICE_H
#define TRAM_DEVICE_H

#include <stdbool.h>

#include <tram/tram.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tram_device;

enum tram_device_kind { TRAM_DEVICE_CPU, TRAM_DEVICE_VK_SOFTWARE, TRAM_DEVICE_VK_INTEGRATED,
			TRAM_DEVICE_VK_DISCRETE };

struct tram_device_info {
	char selector[16];	/* "vk0"; a logical device: "vk0.1" */
	char name[128];		/* as the driver calls it */
	char driver[128];	/* driver's name and version; the CPU device: library of products */
	char numeric_class[96];	/* driver + variant set: same class, same bits */
	enum tram_device_kind kind;
	uint32_t subgroup;	/* lanes; 1 on the CPU device */
	uint32_t threads;	/* CPU device */
	uint64_t memory;	/* bytes that may be used: heap size, or the budget where the driver tells one */
	char unusable[160];	/* "" or why it can't be opened, with the remedy */
};

/* *list is an array of *n (to be freed by tram_devices_free); a machine without Vulkan still has cpu0. */
int tram_devices_list(struct tram_ctx *ctx, struct tram_device_info **list, size_t *n);
void tram_devices_free(struct tram_ctx *ctx, struct tram_device_info *list);

/* Opens what @selector names (NULL: "auto"). -ENODEV with the choices when there is no such device. */
int tram_device_open(struct tram_ctx *ctx, const char *selector, struct tram_device **dev);
void tram_device_close(struct tram_device **dev);

/*
 * Opens all that @selectors names ("vk0,vk1", "vk0*4", or as tram_device_open), at most TRAM_DEVICES_MAX: *devs is
 * an array of *n, to be closed by tram_devices_close. All or none.
 */
#define TRAM_DEVICES_MAX 64
int tram_devices_open(struct tram_ctx *ctx, const char *selectors, struct tram_device ***devs,
		      size_t *n);
void tram_devices_close(struct tram_ctx *ctx, struct tram_device ***devs, size_t n);

const struct tram_device_info *tram_device_info(const struct tram_device *dev);

/* Why "auto" chose it: one line. */
const char *tram_device_reason(const struct tram_device *dev);

/* Bytes obtained from vkAllocateMemory, or by the CPU device, now and at most so far. */
void tram_device_memory(const struct tram_device *dev, uint64_t *now, uint64_t *peak);

#ifdef __cplusplus
}
#endif
#endif
