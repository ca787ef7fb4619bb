// SPDX-License-Identifier: MIT
/*
 * Buffers across files and drivers: exported and imported here, imported from udmabuf, and mapped by
 * vgem as another driver's device would.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <dirent.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <sys/stat.h>

static int sync_cpu(int dmabuf, uint64_t what)
{
	struct dma_buf_sync s = { .flags = what };

	return ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &s);
}

static ino_t inode(int fd)
{
	struct stat st = { 0 };

	fstat(fd, &st);
	return st.st_ino;
}

static void between_files(void)
{
	int a = tram_open(), b = tram_open(), dmabuf, again;
	struct tram_buffer_create c;
	struct tram_buffer_info i;
	uint32_t ha, hb;
	char *pa, *pb, *pd;

	need(!create(a, 3 * MIB + 4096, &c), "create");
	pa = map(a, &c);
	dmabuf = export(a, c.handle);
	ok(dmabuf >= 0 && lseek(dmabuf, 0, SEEK_END) == (off_t)c.size, "a dma-buf of the same size");
	ok(!info(a, c.handle, &i) && i.flags == TRAM_BUFFER_EXPORTED, "the handle says that there is one");
	again = export(a, c.handle);
	ok(inode(again) == inode(dmabuf), "exported twice it is the same");
	close(again);
	ok(!import(a, dmabuf, &ha) && ha == c.handle, "back in its own file it is the same handle");
	ok(!import(b, dmabuf, &hb), "another file takes it");
	ok(!info(b, hb, &i) && i.size == c.size && i.mmap_offset && !(i.flags & TRAM_BUFFER_IMPORTED),
	   "as the same buffer, no import");
	pb = mmap(NULL, c.size, PROT_READ | PROT_WRITE, MAP_SHARED, b, i.mmap_offset);
	pd = mmap(NULL, c.size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ok(pb != MAP_FAILED && pd != MAP_FAILED, "and maps it, and the dma-buf");
	memset(pa, 7, c.size);
	ok(!sync_cpu(dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) && pb[c.size - 1] == 7 && pd[MIB] == 7 &&
	   !sync_cpu(dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), "all see one memory");
	errno = 0;
	ok(mmap(NULL, 4096, PROT_READ, MAP_SHARED, dmabuf, c.size) == MAP_FAILED, "nothing past the dma-buf's end");
	munmap(pd, c.size);
	pd = mmap(NULL, 8192, PROT_READ, MAP_SHARED, dmabuf, 2 * MIB);
	pa[2 * MIB + 4096] = 9;
	ok(pd != MAP_FAILED && pd[4096] == 9, "the middle of a dma-buf is the middle of the buffer");
	munmap(pd, 8192);

	munmap(pa, c.size);
	close(a);
	ok(pb[2 * MIB + 4096] == 9 && heap_used(b) == c.size, "it lives on, charged, when its maker is gone");
	munmap(pb, c.size);
	close(b);
	ok(!nothing_left(), "and in the dma-buf alone");
	close(dmabuf);
	ok(nothing_left(), "then it goes");
}

/* A dma-buf of pages that belong to somebody else, or -1. */
static int udmabuf(size_t size, void **at)
{
	struct udmabuf_create c = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = size };
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), dmabuf = -1;

	if (dev < 0)
		return -1;
	c.memfd = memfd_create("tram", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (!ftruncate(c.memfd, size) && !fcntl(c.memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		dmabuf = ioctl(dev, UDMABUF_CREATE, &c);
	*at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, c.memfd, 0);
	close(c.memfd);
	close(dev);
	return dmabuf;
}

static void foreign(void)
{
	int fd = tram_open(), other = tram_open(), dmabuf, again, pipes[2];
	struct tram_buffer_info i;
	uint32_t h, h2;
	void *at;

	dmabuf = udmabuf(MIB, &at);
	if (dmabuf < 0) {
		printf("ok %d # SKIP no /dev/udmabuf\n", ++tap_count);
		return;
	}
	ok(!import(fd, dmabuf, &h), "udmabuf's memory is imported");
	ok(!info(fd, h, &i) && i.flags == TRAM_BUFFER_IMPORTED && i.size == MIB && !i.mmap_offset && !i.chunks,
	   "as a foreign buffer");
	ok(!heap_used(fd) && counter("buffers", "imports") == 1, "counted, not charged");
	ok(!import(fd, dmabuf, &h2) && h2 == h, "twice it is one handle");
	ok(!import(other, dmabuf, &h2) && counter("buffers", "imports") == 2, "another file imports it too");
	again = export(fd, h);
	ok(inode(again) == inode(dmabuf), "exported again it is the exporter's own dma-buf");
	close(again);
	close(dmabuf);
	ok(!info(fd, h, &i), "the import keeps the dma-buf alive");
	close_handle(fd, h);
	close(fd);
	close(other);
	ok(nothing_left(), "and lets it go");
	munmap(at, MIB);

	fd = tram_open();
	need(!pipe(pipes), "pipe");
	refused(import(fd, pipes[0], &h), EINVAL, "a pipe is no dma-buf");
	refused(import(fd, 999, &h), EBADF, "nor is what is not open");
	refused(export(fd, 77), ENOENT, "a handle that isn't there has none");
	close(fd);
}

static int open_driver(const char *wanted)
{
	struct dirent *e;
	DIR *d = opendir("/dev/dri");
	int found = -1;

	while (d && found < 0 && (e = readdir(d))) {
		char name[32] = "";
		struct drm_version v = { .name = name, .name_len = sizeof(name) - 1 };
		int fd = openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC | O_NONBLOCK);

		if (fd >= 0 && !ioctl(fd, DRM_IOCTL_VERSION, &v) && !strcmp(name, wanted))
			found = fd;
		else if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return found;
}

/* vgem maps what it imports for its device, the way any DRM driver does. */
static void another_device(void)
{
	int fd = tram_open(), vgem = open_driver("vgem"), dmabuf, theirs;
	struct drm_mode_create_dumb dumb = { .width = 1024, .height = 1024, .bpp = 32 };
	struct tram_buffer_create c;
	uint32_t h, mine;

	if (vgem < 0) {
		printf("ok %d # SKIP no vgem\n", ++tap_count);
		close(fd);
		return;
	}
	need(!create(fd, 5 * MIB, &c), "create");
	dmabuf = export(fd, c.handle);
	ok(!import(vgem, dmabuf, &h), "another driver maps a buffer for its device");
	ok(!sync_cpu(dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) &&
	   !sync_cpu(dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), "the CPU takes it and gives it back meanwhile");
	close(dmabuf);
	close(fd);
	ok(!nothing_left(), "it holds the buffer");
	close_handle(vgem, h);
	ok(nothing_left(), "until it closes its handle");

	fd = tram_open();
	need(!ioctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb), "a buffer of vgem");
	theirs = export(vgem, dumb.handle);
	ok(!import(fd, theirs, &mine), "a DRM driver's buffer is imported");
	close(theirs);
	close(vgem);
	close(fd);
	ok(nothing_left(), "and let go");
}

int main(void)
{
	between_files();
	foreign();
	another_device();
	return tap_end();
}
