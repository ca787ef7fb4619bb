// SPDX-License-Identifier: MIT
/*
 * Threads of one file against each other: while one makes buffers, the others close, map, export and
 * ask about handles that they guess.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define HANDLES	6

static int file;
static atomic_bool stop;
static atomic_ullong last_offset;
static atomic_ulong made, closed, mapped, shared;

static void *maker(void *unused)
{
	struct tram_buffer_create c;

	while (!stop) {
		if (create(file, 4096 * (1 + made % 600), &c)) {
			sched_yield();
			continue;
		}
		last_offset = c.mmap_offset;
		made++;
	}
	return unused;
}

static void *closer(void *unused)
{
	for (uint32_t h = 1; !stop; h = h % HANDLES + 1)
		closed += !close_handle(file, h);
	return unused;
}

static void *mapper(void *unused)
{
	while (!stop) {
		volatile char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, last_offset);

		if (p == MAP_FAILED)
			continue;
		*p = 1;
		mapped++;
		munmap((void *)p, 4096);
	}
	return unused;
}

static void *sharer(void *unused)
{
	struct tram_buffer_info i;
	uint32_t back;

	for (uint32_t h = 1; !stop; h = h % HANDLES + 1) {
		int dmabuf = export(file, h);

		info(file, h, &i);
		if (dmabuf < 0)
			continue;
		shared += !import(file, dmabuf, &back);
		close(dmabuf);
	}
	return unused;
}

int main(void)
{
	void *(*const bodies[])(void *) = { maker, maker, closer, closer, mapper, sharer };
	pthread_t threads[6];

	file = tram_open();
	for (int i = 0; i < 6; i++)
		need(!pthread_create(&threads[i], NULL, bodies[i], NULL), "a thread");
	usleep(3000000);
	stop = true;
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	printf("# %lu made, %lu closed, %lu mapped, %lu shared\n", made, closed, mapped, shared);
	ok(made && closed && mapped && shared, "all of them got somewhere");
	close(file);
	ok(nothing_left(), "and nothing is left");
	return tap_end();
}
