/* SPDX-License-Identifier: MIT */
/*
 * Host blocks that are taken and given back again and again (pins of checkpoints): a block given back
 * is kept for the next taker of about its size, so that steady state neither asks the heap nor touches
 * fresh pages. Thread-safe: the saver's thread gives back what the training thread takes.
 */
#ifndef TRAM_MEM_HOST_POOL_H
#define TRAM_MEM_HOST_POOL_H

#include "base/base.h"

struct tram_host_pool;

/* Lives until its owner lets go of it and every block is back. */
int tram_host_pool_create(struct tram_ctx *ctx, struct tram_host_pool **pool);
void tram_host_pool_release(struct tram_host_pool **pool);

/* @size bytes, 64-byte aligned, not zeroed. */
int tram_host_pool_get(struct tram_host_pool *pool, size_t size, void **block);
void tram_host_pool_put(struct tram_host_pool *pool, void *block);

#endif
