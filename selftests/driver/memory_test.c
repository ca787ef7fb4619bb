// SPDX-License-Identifier: MIT
/* Memory: zeroed, where it was asked for, charged and limited, and mapped as mappings should be. */
#define _GNU_SOURCE
#include "tap.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef MADV_COLD
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

static bool all_zero(const uint64_t *p, size_t bytes)
{
	uint64_t any = 0;

	for (size_t i = 0; i < bytes / 8; i++)
		any |= p[i];
	return !any;
}

static void zeroed(int fd)
{
	struct tram_buffer_create c;
	bool zero = true;
	void *p;

	/* What the rest of the system leaves behind, then what other buffers do. */
	p = mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(p != MAP_FAILED, "memory");
	memset(p, 0xa5, 256 * MIB);
	munmap(p, 256 * MIB);
	for (int round = 0; round < 24; round++) {
		need(!create(fd, (round % 3 ? 16 * MIB : 4096) + 4096 * round, &c), "create");
		p = map(fd, &c);
		need(p, "mmap");
		zero &= all_zero(p, c.size);
		memset(p, 0x5a, c.size);
		munmap(p, c.size);
		close_handle(fd, c.handle);
	}
	ok(zero, "every new buffer is zero");
}

/* MPOL_F_NODE | MPOL_F_ADDR: on which node the page at an address lies. */
static int node_of(void *at)
{
	int node = -1;

	return syscall(SYS_get_mempolicy, &node, NULL, 0, at, 1 | 2) ? -1 : node;
}

static void nodes(int fd)
{
	struct tram_buffer_create c;
	struct tram_buffer_info i;

	for (unsigned int node = 0; node < 2; node++) {
		bool there = true;
		char *p;

		c = (struct tram_buffer_create) { .size = 64 * MIB, .flags = TRAM_BUFFER_NODE, .node = node };
		ok(!ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), "64 MiB of node %u", node);
		p = map(fd, &c);
		for (size_t at = 0; p && at < c.size; at += 4096) {
			p[at] = 1;
			there &= node_of(p + at) == (int)node;
		}
		ok(p && there, "every page of them is there");
		munmap(p, c.size);
		need(!info(fd, c.handle, &i), "info");
		ok(i.large_bytes >= 32 * MIB && i.chunks < 16384,
		   "in large chunks where possible (%llu of 64 MiB, %llu chunks)",
		   (unsigned long long)i.large_bytes >> 20, (unsigned long long)i.chunks);
		close_handle(fd, c.handle);
	}
	/* The user's limit does not bind root, nor the total: the node itself has no more. */
	write_file("/sys/module/tramroad/parameters/total_limit_mib", "100000");
	c = (struct tram_buffer_create) { .size = 1024 * MIB, .flags = TRAM_BUFFER_NODE, .node = 1 };
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), ENOMEM, "more than node 1 has");
	write_file("/sys/module/tramroad/parameters/total_limit_mib", "0");
	ok(!heap_used(fd), "and nothing of it stays");
}

/* Runs @body in a child as nobody; its exit status is what failed. */
static int as_nobody(int (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(99);
		_exit(body());
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int within_limit(void)
{
	int fd = tram_open(), other = tram_open();
	struct tram_buffer_create a, b, c;

	if (create(fd, 2 * MIB, &a) || create(other, 2 * MIB - 4096, &b))
		return 1;
	if (!create(fd, 8192, &c) || errno != EDQUOT)
		return 2;
	if (create(fd, 4096, &c))
		return 3;
	if (heap_used(other) != 4 * MIB)
		return 4;
	close(other);
	if (create(fd, 2 * MIB - 4096, &b))
		return 5;
	return 0;
}

static int own_use_only(void)
{
	return heap_used(tram_open()) != 0;
}

static void limits(int fd)
{
	struct tram_buffer_create c, d;

	chmod("/dev/accel/accel0", 0666);
	write_file("/sys/module/tramroad/parameters/user_limit_mib", "4");
	ok(!as_nobody(within_limit), "a user's limit counts all of the user's files, to the page");
	need(!create(fd, 6 * MIB, &c), "create");
	ok(true, "root is not bound by it");
	ok(!as_nobody(own_use_only), "a user does not see what others use");
	write_file("/sys/module/tramroad/parameters/user_limit_mib", "0");
	write_file("/sys/module/tramroad/parameters/total_limit_mib", "7");
	refused(create(fd, MIB + 4096, &d), ENOSPC, "the limit of all binds root too");
	ok(!create(fd, MIB, &d), "up to the page");
	write_file("/sys/module/tramroad/parameters/total_limit_mib", "1");
	refused(create(fd, 4096, &d), ENOSPC, "a limit lowered below what is used");
	write_file("/sys/module/tramroad/parameters/total_limit_mib", "0");
	close_handle(fd, c.handle);
}

static long long cgroup_now(void)
{
	char text[32] = "";
	int f = open("/sys/fs/cgroup/tram/memory.current", O_RDONLY);

	need(f >= 0 && read(f, text, sizeof(text) - 1) > 0, "memory.current");
	close(f);
	return atoll(text);
}

static void cgroup(void)
{
	struct tram_buffer_create c;
	long long before, after;
	pid_t pid;
	int status, fd;

	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	need(!mkdir("/sys/fs/cgroup/tram", 0755), "mkdir cgroup");
	write_file("/sys/fs/cgroup/tram/memory.max", "33554432");
	pid = fork();
	if (!pid) {
		write_file("/sys/fs/cgroup/tram/cgroup.procs", "0");
		fd = tram_open();
		before = cgroup_now();
		need(!create(fd, 8 * MIB, &c), "create");
		after = cgroup_now();
		ok(after - before >= 8 * (long long)MIB - 65536, "the memory cgroup pays for pinned pages");
		refused(create(fd, 64 * MIB, &c), ENOMEM, "and its limit is an error, not a killed process");
		_exit(tap_failed);
	}
	waitpid(pid, &status, 0);
	tap_count += 2;
	tap_failed += !(WIFEXITED(status) && !WEXITSTATUS(status));
}

static void mappings(int fd, int other)
{
	struct tram_buffer_create c;
	unsigned char *p, *q, copy[64];
	struct iovec from;
	int status, pipes[2];
	pid_t pid;

	need(!create(fd, 3 * MIB, &c), "create");
	p = map(fd, &c);
	ok(p, "a buffer is mapped");
	for (size_t i = 0; i < c.size; i += 4096)
		p[i] = i / 4096 % 251;
	q = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, c.mmap_offset);
	ok(q != MAP_FAILED && q[0] == 0, "its head alone, read-only");
	munmap(q, 4096);
	errno = 0;
	ok(mmap(NULL, c.size + 4096, PROT_READ, MAP_SHARED, fd, c.mmap_offset) == MAP_FAILED && errno == EINVAL,
	   "not more than it is");
	ok(mmap(NULL, c.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, c.mmap_offset) == MAP_FAILED &&
	   errno == EINVAL, "not privately");
	ok(mmap(NULL, c.size, PROT_READ, MAP_SHARED, other, c.mmap_offset) == MAP_FAILED && errno == EACCES,
	   "not through another file");
	ok(mremap(p, c.size, c.size + 4096, MREMAP_MAYMOVE) == MAP_FAILED, "a mapping doesn't grow");

	/* One discarded page in a chunk that is mapped all around. */
	ok(!madvise(p + 5 * 4096, 4096, MADV_DONTNEED) && p[5 * 4096] == 5, "a discarded page comes back as it was");
	ok(!munmap(p + 7 * 4096, 4096) && !madvise(p + 8 * 4096, MIB, MADV_DONTNEED) && p[9 * 4096] == 9 &&
	   p[100 * 4096] == 100, "a split mapping shows the right pages");
	from = (struct iovec) { p + 100 * 4096, sizeof(copy) };
	ok(!pipe(pipes) && vmsplice(pipes[1], &from, 1, 0) == (ssize_t)sizeof(copy) &&
	   read(pipes[0], copy, sizeof(copy)) == (ssize_t)sizeof(copy) && copy[0] == 100,
	   "its pages can be referenced by others, as O_DIRECT does");
	close(pipes[0]);
	close(pipes[1]);

	/* What reclaim might be told to do with pages that are not its own. */
	ok(!madvise(p + 8 * 4096, MIB, MADV_COLD) && !madvise(p + 8 * 4096, MIB, MADV_PAGEOUT) &&
	   !madvise(p + 8 * 4096, MIB, MADV_POPULATE_WRITE) && p[150 * 4096] == 150, "advice about pages changes none");

	pid = fork();
	if (!pid) {
		p[0] = 42;
		_exit(p[4096] != 1);
	}
	waitpid(pid, &status, 0);
	ok(!status && p[0] == 42, "a child shares it");

	close_handle(fd, c.handle);
	ok(p[200 * 4096] == 200 && heap_used(fd) == c.size, "it outlives its handle, charged");
	munmap(p, 7 * 4096);
	munmap(p + 8 * 4096, c.size - 8 * 4096);
	ok(!heap_used(fd), "and goes with its last mapping");
}

int main(void)
{
	int fd = tram_open(), other = tram_open();

	zeroed(fd);
	nodes(fd);
	limits(fd);
	close(fd);
	fd = tram_open();
	cgroup();
	mappings(fd, other);
	close(fd);
	close(other);
	ok(nothing_left(), "nothing is left");
	return tap_end();
}
