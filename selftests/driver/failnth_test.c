// SPDX-License-Identifier: MIT
/*
 * Every allocation on the way from making a buffer to importing its dma-buf fails once, in turn:
 * the answer is ENOMEM or all went well without it, and nothing stays. Needs a kernel with fault
 * injection.
 */
#define _GNU_SOURCE
#include "tap.h"

#define DEBUGFS	"/sys/kernel/debug/"
#define NTH	"/proc/thread-self/fail-nth"

static int nth;

static void arm(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	need(pwrite(nth, text, len, 0) == len, NTH);
}

/* Disarms; has the failure happened? */
static bool fired(void)
{
	char text[16] = "";

	need(pread(nth, text, sizeof(text) - 1, 0) > 0, NTH);
	arm(0);
	return atoi(text) == 0;
}

struct chain {
	const char *name;
	bool (*run)(int fd, int other);
};

/* All of these clean up after themselves and say whether errno is as it should be. */
static bool make(int fd, int other)
{
	struct tram_buffer_create c;

	(void)other;
	if (create(fd, 5 * MIB + 4096, &c))
		return errno == ENOMEM;
	return !close_handle(fd, c.handle);
}

static bool share(int fd, int other)
{
	struct tram_buffer_create c;
	int dmabuf = -1, r;
	bool good = true;
	uint32_t h;

	if (create(fd, MIB, &c))
		return errno == ENOMEM;
	dmabuf = export(fd, c.handle);
	if (dmabuf < 0) {
		good = errno == ENOMEM;
	} else {
		r = import(other, dmabuf, &h);
		good = !r || errno == ENOMEM;
		if (!r)
			close_handle(other, h);
		close(dmabuf);
	}
	close_handle(fd, c.handle);
	return good;
}

static bool show(int fd, int other)
{
	struct tram_buffer_create c;
	bool good = true;
	char *p;

	(void)other;
	if (create(fd, MIB, &c))
		return errno == ENOMEM;
	p = map(fd, &c);
	if (p) {
		p[c.size - 1] = 1;
		munmap(p, c.size);
	} else {
		good = errno == ENOMEM;
	}
	close_handle(fd, c.handle);
	return good;
}

static bool enter(int fd, int other)
{
	int third = open("/dev/accel/accel0", O_RDWR | O_CLOEXEC);

	(void)fd, (void)other;
	if (third < 0)
		return errno == ENOMEM;
	close(third);
	return true;
}

static void run(const struct chain *chain)
{
	int fd = tram_open(), other = tram_open(), n;
	bool good = true, hit = true;

	for (n = 1; hit && n < 2000; n++) {
		bool r;

		arm(n);
		r = chain->run(fd, other);
		hit = fired();
		if (!r && hit)
			printf("# %s: failure %d gave errno %d\n", chain->name, n, errno);
		good &= r;
	}
	close(fd);
	close(other);
	ok(good && !hit && n > 3, "%s: each of %d allocations failed once", chain->name, n - 2);
	ok(nothing_left(), "%s: nothing is left", chain->name);
}

int main(void)
{
	static const char *const off[] = { "failslab/ignore-gfp-wait", "fail_page_alloc/ignore-gfp-wait" };
	static const char *const zero[] = { "failslab/verbose", "fail_page_alloc/verbose", "fail_page_alloc/min-order" };
	static const struct chain chains[] = {
		{ "open", enter }, { "make", make }, { "map", show }, { "share", share },
	};
	char path[96];
	size_t i;

	nth = open(NTH, O_RDWR);
	if (nth < 0 || access(DEBUGFS "failslab", F_OK) || access(DEBUGFS "fail_page_alloc", F_OK)) {
		printf("ok 1 # SKIP no fault injection in this kernel\n1..1\n");
		return 0;
	}
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s", off[i]);
		write_file(path, "N");
	}
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s", zero[i]);
		write_file(path, "0");
	}
	for (i = 0; i < 4; i++)
		run(&chains[i]);
	return tap_end();
}
