/* SPDX-License-Identifier: MIT */
/* What the tests share: TAP lines, and the driver's requests as one-line calls. */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm/drm.h>
#include <tram_accel.h>

#define MIB	(1024ul * 1024)

static int tap_count, tap_failed;

#define ok(cond, ...) tap_ok(cond, #cond, __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 5, 6)))
static inline bool tap_ok(bool good, const char *cond, const char *file, int line,
			  const char *fmt, ...)
{
	__builtin_va_list args;

	printf("%sok %d ", good ? "" : "not ", ++tap_count);
	__builtin_va_start(args, fmt);
	vprintf(fmt, args);
	__builtin_va_end(args);
	printf("\n");
	if (!good) {
		tap_failed++;
		printf("# %s:%d: %s (errno %d, %s)\n", file, line, cond, errno, strerror(errno));
	}
	fflush(stdout);
	return good;
}

/* The call must fail with exactly this errno. */
#define refused(call, code, ...) \
	({ errno = 0; int r_ = (call); ok(r_ < 0 && errno == (code), __VA_ARGS__); })

static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

/* Without what a test stands on there is no going on. */
#define need(cond, what) \
	do { \
		if (!(cond)) { \
			printf("Bail out! %s: %s\n", what, strerror(errno)); \
			exit(1); \
		} \
	} while (0)

static inline int tram_open(void)
{
	int fd = open("/dev/accel/accel0", O_RDWR | O_CLOEXEC);

	need(fd >= 0, "/dev/accel/accel0");
	return fd;
}

/* A request of a struct of another size than this header's. */
static inline int sized(int fd, unsigned long req, size_t size, void *arg)
{
	return ioctl(fd, _IOC(_IOC_DIR(req), _IOC_TYPE(req), _IOC_NR(req), size), arg);
}

static inline int create(int fd, uint64_t size, struct tram_buffer_create *c)
{
	*c = (struct tram_buffer_create) { .size = size };
	return ioctl(fd, TRAM_IOCTL_BUFFER_CREATE, c);
}

static inline int info(int fd, uint32_t handle, struct tram_buffer_info *i)
{
	*i = (struct tram_buffer_info) { .handle = handle };
	return ioctl(fd, TRAM_IOCTL_BUFFER_INFO, i);
}

static inline int close_handle(int fd, uint32_t handle)
{
	struct drm_gem_close c = { .handle = handle };

	return ioctl(fd, DRM_IOCTL_GEM_CLOSE, &c);
}

static inline int export(int fd, uint32_t handle)
{
	struct drm_prime_handle p = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR };

	return ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &p) ? -1 : p.fd;
}

static inline int import(int fd, int dmabuf, uint32_t *handle)
{
	struct drm_prime_handle p = { .fd = dmabuf };
	int r = ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &p);

	*handle = r ? 0 : p.handle;
	return r;
}

static inline void *map(int fd, const struct tram_buffer_create *c)
{
	void *p = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, c->mmap_offset);

	return p == MAP_FAILED ? NULL : p;
}

static inline uint64_t heap_used(int fd)
{
	struct tram_heap_info h = { 0 };
	struct tram_query q = { .kind = TRAM_QUERY_HEAPS, .array = (uintptr_t)&h,
				.count = 1, .stride = sizeof(h) };

	return ioctl(fd, TRAM_IOCTL_QUERY, &q) ? ~0ull : h.used_bytes;
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

/* The number behind @key in a debugfs file of the device. */
static inline long long counter(const char *name, const char *key)
{
	char path[64], line[128];
	long long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/accel/0/%s", name);
	f = fopen(path, "r");
	if (!f) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/accel/tramroad/%s", name);
		f = fopen(path, "r");
	}
	need(f, path);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			n = atoll(line + strlen(key));
	fclose(f);
	return n;
}

static inline bool nothing_left(void)
{
	return counter("buffers", "buffers") == 0 && counter("buffers", "imports") == 0 &&
		counter("ledger", "total") == 0;
}

#endif
