/* SPDX-License-Identifier: MIT */
/*
 * The threads of a CPU device: one loop of numbered chunks at a time, shared by the
 * caller and the workers. Which thread takes a chunk is a matter of luck; what a chunk is
 * follows from shapes alone, so results don't depend on the number of threads.
 */
#ifndef TRAM_DEVICE_CPU_POOL_H
#define TRAM_DEVICE_CPU_POOL_H

#include "base/base.h"

struct tram_cpu_pool;

/* @worker: 0 is the caller, less than the pool's threads. */
typedef void tram_cpu_chunk(const void *arg, uint64_t chunk, unsigned int worker);

/* @threads counts the caller: 1 starts none. */
int tram_cpu_pool_create(struct tram_ctx *ctx, unsigned int threads, struct tram_cpu_pool **pool);
void tram_cpu_pool_destroy(struct tram_cpu_pool **pool);

/* Runs chunks 0 .. @chunks - 1 and returns when all are done. From one thread at a time. */
void tram_cpu_pool_run(struct tram_cpu_pool *pool, tram_cpu_chunk *fn, const void *arg,
		       uint64_t chunks);

#endif
