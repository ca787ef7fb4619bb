// SPDX-License-Identifier: MIT
/*
 * The contract of uapi/tram_accel.h: each request's good use, then each refusal alone with its
 * errno, and structs of other sizes than this kernel's.
 */
#include "tap.h"

static void version(int fd)
{
	char name[32] = "";
	struct drm_version v = { .name = name, .name_len = sizeof(name) - 1 };

	ok(!ioctl(fd, DRM_IOCTL_VERSION, &v) && !strcmp(name, "tramroad"), "the driver says who it is");
}

static void query(int fd)
{
	struct tram_heap_info h[2];
	struct tram_query q, good = { .kind = TRAM_QUERY_HEAPS, .array = (uintptr_t)h, .count = 2,
				      .stride = sizeof(h[0]) };
	uint64_t longer[2 * 8], shorter[2];
	size_t i, rest = 0;

	q = (struct tram_query) { .kind = TRAM_QUERY_HEAPS };
	ok(!ioctl(fd, TRAM_IOCTL_QUERY, &q) && q.count == 1, "an empty array asks how many heaps");
	memset(h, 0xff, sizeof(h));
	q = good;
	ok(!ioctl(fd, TRAM_IOCTL_QUERY, &q) && q.count == 1, "the heaps are listed");
	ok(h[0].id == 0 && h[0].kind == TRAM_HEAP_SYSTEM && h[0].flags == TRAM_HEAP_CAN_NODE && !h[0].pad,
	   "the system heap is number zero");
	ok(h[0].limit_bytes && !h[0].used_bytes && h[0].chunk_bytes == 2 * MIB, "its sizes are right");
	ok(h[1].id == ~0u && h[1].chunk_bytes == ~0ull, "nothing is written past what exists");

	memset(longer, 0xff, sizeof(longer));
	q = good;
	q.array = (uintptr_t)longer;
	q.stride = 64;
	ok(!ioctl(fd, TRAM_IOCTL_QUERY, &q), "a longer record is accepted");
	for (i = sizeof(h[0]) / 8; i < 8; i++)
		rest |= longer[i];
	ok(!rest && longer[8] == ~0ull, "and cleared to its end, not further");
	memset(shorter, 0xff, sizeof(shorter));
	q = good;
	q.array = (uintptr_t)shorter;
	q.count = 1;
	q.stride = 8;
	ok(!ioctl(fd, TRAM_IOCTL_QUERY, &q) && shorter[0] == (uint64_t)TRAM_HEAP_SYSTEM << 32 &&
	   shorter[1] == ~0ull, "a shorter record is written as far as it goes");

	q = (struct tram_query) { .kind = TRAM_QUERY_ENGINES, .count = 1, .array = 8, .stride = 8 };
	ok(!ioctl(fd, TRAM_IOCTL_QUERY, &q) && !q.count, "there are no engines");
	q.kind = TRAM_QUERY_ENDPOINTS;
	q.count = 1;
	ok(!ioctl(fd, TRAM_IOCTL_QUERY, &q) && !q.count, "there are no endpoints");

	q = good, q.kind = 0;
	refused(ioctl(fd, TRAM_IOCTL_QUERY, &q), EINVAL, "kind zero");
	q = good, q.kind = 4;
	refused(ioctl(fd, TRAM_IOCTL_QUERY, &q), EINVAL, "an unknown kind");
	q = good, q.flags = 1;
	refused(ioctl(fd, TRAM_IOCTL_QUERY, &q), EINVAL, "a flag of a query");
	q = good, q.stride = 0;
	refused(ioctl(fd, TRAM_IOCTL_QUERY, &q), EINVAL, "no stride");
	q = good, q.stride = 12;
	refused(ioctl(fd, TRAM_IOCTL_QUERY, &q), EINVAL, "a stride that is no multiple of 8");
	q = good, q.stride = 4104;
	refused(ioctl(fd, TRAM_IOCTL_QUERY, &q), EINVAL, "a stride past 4096");
	q = good, q.array = 8;
	refused(ioctl(fd, TRAM_IOCTL_QUERY, &q), EFAULT, "an array that can't be written");
	q = good, q.array = ~0ull << 12, q.count = ~0u, q.stride = 4096;
	refused(ioctl(fd, TRAM_IOCTL_QUERY, &q), EFAULT, "an array in the kernel");
	refused(ioctl(fd, TRAM_IOCTL_QUERY, 8), EFAULT, "a struct that can't be read");
}

static void buffers(int fd, int other)
{
	struct tram_buffer_create c, good = { .size = 5 };
	struct tram_buffer_info i;
	uint32_t handle;

	c = good;
	ok(!ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c) && c.size == 4096 && c.handle && c.mmap_offset,
	   "a buffer of five bytes takes a page");
	handle = c.handle;
	ok(heap_used(fd) == 4096, "which is charged");
	ok(!info(fd, handle, &i) && i.size == 4096 && i.mmap_offset == c.mmap_offset && !i.flags &&
	   i.chunks == 1 && !i.large_bytes && !i.moves, "the handle says the same");

	c = good, c.size = 0;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "a buffer of nothing");
	c = good, c.size = ~0ull;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "a size that would wrap");
	c = good, c.size = ~0ull - 4094;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "a size whose pages would wrap");
	c = good, c.size = (1ull << 44) + 1;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "a size beyond any machine");
	c = good, c.size = 1ull << 44;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), ENOSPC, "a size beyond this machine");
	c = good, c.heap = 1;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "an unknown heap");
	c = good, c.flags = 2;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "an unknown flag");
	c = good, c.node = 1;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "a node without its flag");
	c = good, c.flags = TRAM_BUFFER_NODE, c.node = 9;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "a node that isn't there");
	c = good, c.flags = TRAM_BUFFER_NODE, c.node = ~0u;
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, &c), EINVAL, "a node that can't be");
	ok(heap_used(fd) == 4096, "none of these was charged");

	refused(info(fd, handle + 1, &i), ENOENT, "a handle that isn't there");
	refused(info(fd, 0, &i), ENOENT, "handle zero");
	refused(info(other, handle, &i), ENOENT, "a handle of another file");
	i = (struct tram_buffer_info) { .handle = handle, .flags = 1 };
	refused(ioctl(fd, TRAM_IOCTL_BUFFER_INFO, &i), EINVAL, "a flag of an info");

	ok(!close_handle(fd, handle) && !heap_used(fd), "closing the handle gives it back");
	refused(info(fd, handle, &i), ENOENT, "a closed handle");
	refused(close_handle(fd, handle), EINVAL, "closing it twice");
}

/* An old library with a new driver, and the reverse. */
static void sizes(int fd)
{
	union {
		struct tram_query q;
		struct tram_buffer_create c;
		struct tram_buffer_info i;
		unsigned char bytes[256];
	} u;
	static const struct {
		const char *name;
		unsigned long req;
		size_t size;
	} all[] = {
		{ "query", TRAM_IOCTL_QUERY, sizeof(u.q) },
		{ "create", TRAM_IOCTL_BUFFER_CREATE, sizeof(u.c) },
		{ "info", TRAM_IOCTL_BUFFER_INFO, sizeof(u.i) },
	};
	struct tram_buffer_create c;
	char *page, *tail;
	size_t n, at;

	need(!create(fd, 4096, &c), "create");
	for (n = 0; n < sizeof(all) / sizeof(all[0]); n++) {
#define FILL() do { \
		memset(&u, 0, sizeof(u)); \
		if (n == 0) \
			u.q.kind = TRAM_QUERY_ENGINES; \
		else if (n == 1) \
			u.c.size = 4096; \
		else \
			u.i.handle = c.handle; \
	} while (0)
		FILL();
		ok(!sized(fd, all[n].req, sizeof(u), &u), "%s: a longer struct with a zero tail", all[n].name);
		bool right = true;

		for (at = all[n].size; at < sizeof(u); at += at < all[n].size + 8 ? 1 : 41) {
			FILL();
			u.bytes[at] = 1;
			errno = 0;
			right &= sized(fd, all[n].req, sizeof(u), &u) < 0 && errno == E2BIG;
		}
		ok(right, "%s: any unknown byte that isn't zero is E2BIG", all[n].name);
		FILL();
		ok(!sized(fd, all[n].req, n == 0 ? 8 : n == 1 ? 24 : 8, &u), "%s: a shorter struct", all[n].name);
		FILL();
		errno = 0;
		ok(ioctl(fd, _IOC(_IOC_WRITE, 'd', _IOC_NR(all[n].req), all[n].size), &u) < 0 &&
		   errno == EINVAL, "%s: another direction", all[n].name);

		/* The tail lies on a page that isn't there. */
		page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(page != MAP_FAILED && !munmap(page + 4096, 4096), "mmap");
		tail = page + 4096 - all[n].size;
		FILL();
		memcpy(tail, &u, all[n].size);
		refused(sized(fd, all[n].req, sizeof(u), tail), EFAULT, "%s: a tail that can't be read", all[n].name);
		munmap(page, 4096);
	}
	memset(&u, 0, sizeof(u));
	refused(sized(fd, TRAM_IOCTL_BUFFER_CREATE, 8, &u), EINVAL, "create: too short to name a size");
	refused(ioctl(fd, _IOWR('d', TRAM_IOCTL_NR(3), struct tram_query), &u), EINVAL, "a request that isn't there");
}

int main(void)
{
	int fd = tram_open(), other = tram_open();

	version(fd);
	query(fd);
	buffers(fd, other);
	sizes(fd);
	close(fd);
	close(other);
	ok(nothing_left(), "closing the files gives everything back");
	return tap_end();
}
