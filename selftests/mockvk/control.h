/* SPDX-License-Identifier: MIT */
/*
 * How a test steers the mock driver: it opens the library that
 * MOCKVK_LIBRARY names with dlopen() (the loader holds the same one, so both see one state) and
 * takes these functions by dlsym(). From outside a process, the environment
 * does the same: MOCKVK_FAIL="vkAllocateMemory:3:-2" (name or *, n-th, VkResult),
 * MOCKVK_LOSE="5" (at the 5th submission), MOCKVK_MEMORY=bytes of device
 * memory, MOCKVK_COUNTS=file that receives "name calls" lines when an instance
 * is destroyed.
 */
#ifndef MOCKVK_CONTROL_H
#define MOCKVK_CONTROL_H

#include <stdint.h>

/* Forget failures, losses, hangs and counts; the memory is unlimited. Nothing may be alive. */
void mockvk_reset(void);

/* Calls of an entry point ("vkAllocateMemory") since the reset; -1: unknown name. */
long mockvk_count(const char *name);

/* The @nth call from now of @name, or of all that can fail when @name is "*", returns @result. */
void mockvk_fail(const char *name, long nth, int result);
/* Whether that call came. */
int mockvk_failed(void);

/*
 * The device is lost at the @nth submission from now: refused by it, or, when @running is not 0,
 * accepted and lost while it runs. 0: never.
 */
void mockvk_lose(long nth, int running);

/* Submissions are accepted and not run while @on. */
void mockvk_hang(int on);

/* Bytes that vkAllocateMemory gives out at most; 0: no limit. */
void mockvk_memory_limit(uint64_t bytes);

/* Objects that were created and not destroyed, command buffers and mappings included. */
long mockvk_live(void);

/* Bytes that the last pipeline cache was begun with. */
long mockvk_cache_bytes(void);

/* Broken rules noticed: something destroyed that is in use, a command buffer submitted twice, ... */
long mockvk_misuses(void);

#endif
