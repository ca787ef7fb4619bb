// SPDX-License-Identifier: MIT
/*
 * Processes killed at any moment, while they create, map, export, import and close: nothing of them
 * stays. usage: kill_test [PROCESSES [SEED]]
 */
#define _GNU_SOURCE
#include "tap.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static unsigned int rnd(unsigned int *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void busy(unsigned int seed)
{
	int a = tram_open(), b = tram_open(), dmabuf;
	struct tram_buffer_create c;
	uint32_t h;
	char *p;

	for (;;) {
		if (create(a, 4096 * (1 + rnd(&seed) % 2048), &c))
			_exit(1);
		p = map(a, &c);
		if (p)
			p[rnd(&seed) % c.size] = 1;
		dmabuf = export(a, c.handle);
		if (dmabuf >= 0 && !import(b, dmabuf, &h) && rnd(&seed) % 2)
			close_handle(b, h);
		if (rnd(&seed) % 2)
			close_handle(a, c.handle);
		if (p && rnd(&seed) % 4)
			munmap(p, c.size);
		close(dmabuf);
	}
}

/* Frees may lag behind the death of the process. */
static bool settled(void)
{
	for (int i = 0; i < 200; i++) {
		if (nothing_left())
			return true;
		usleep(10000);
	}
	return false;
}

int main(int argc, char **argv)
{
	int total = argc > 1 ? atoi(argv[1]) : 120;
	unsigned int seed = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;
	bool clean = true, killed = true;

	printf("# %d processes, seed %u\n", total, seed);
	for (int i = 0; i < total; i++) {
		pid_t pids[2];
		int status;

		for (int k = 0; k < 2; k++) {
			unsigned int s = rnd(&seed);

			pids[k] = fork();
			if (!pids[k])
				busy(s);
		}
		usleep(rnd(&seed) % 12000);
		for (int k = 0; k < 2; k++) {
			kill(pids[k], SIGKILL);
			waitpid(pids[k], &status, 0);
			killed &= WIFSIGNALED(status);
		}
		if (i % 20 == 19)
			clean &= settled();
	}
	ok(killed, "%d processes ran until they were killed", 2 * total);
	ok(clean && settled(), "and left nothing");
	return tap_end();
}
