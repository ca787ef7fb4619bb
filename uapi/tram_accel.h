/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR MIT */
/*
 * The whole contract between tramroad.ko and user space.  Documentation/uapi.rst
 * shows it in use and says what is not in the tree yet.
 *
 * The driver is a DRM accel driver: open /dev/accel/accelN, look for the driver
 * name "tramroad" with DRM_IOCTL_VERSION.  Handles are GEM handles, so
 * DRM_IOCTL_GEM_CLOSE, DRM_IOCTL_PRIME_HANDLE_TO_FD and
 * DRM_IOCTL_PRIME_FD_TO_HANDLE (see drm.h) work on them.
 *
 * Structs grow at their end, and every request carries the size of the caller's:
 *
 * - a shorter struct is taken as one whose missing tail is zero;
 * - a longer one is accepted if what this kernel does not know is zero;
 * - zero means the default for every member, and reserved members must be zero.
 *
 * What an errno means, for every request here:
 *
 * %E2BIG	a byte beyond the struct that this kernel knows is not zero
 * %EINVAL	a reserved member is not zero, a flag or enum value is unknown, a
 *		size is zero or too large to be one
 * %EFAULT	a pointer is not readable or writable
 * %ENOENT	there is no such handle in this file
 * %EDQUOT	the user's own limit of pinned memory would be passed
 * %ENOSPC	the limit of all users together would be passed
 * %ENOMEM	no memory, on the chosen node or in the caller's cgroup
 * %EINTR	the caller is being killed
 * %ENODEV	the device is gone
 */
#ifndef _UAPI_TRAM_ACCEL_H_
#define _UAPI_TRAM_ACCEL_H_

#include <linux/types.h>
#include <linux/ioctl.h>

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * enum tram_query_kind - what TRAM_IOCTL_QUERY lists
 * @TRAM_QUERY_HEAPS: memory that buffers can be made of: struct tram_heap_info.
 * @TRAM_QUERY_ENGINES: what can move data.  None in this version: the count is zero.
 * @TRAM_QUERY_ENDPOINTS: PCI devices that the driver is bound to.  None in this
 *	version: the count is zero.
 *
 * Zero is no kind, so that a cleared struct is refused.
 */
enum tram_query_kind {
	TRAM_QUERY_HEAPS = 1,
	TRAM_QUERY_ENGINES = 2,
	TRAM_QUERY_ENDPOINTS = 3,
};

/**
 * struct tram_query - list one kind of thing
 * @kind: in: enum tram_query_kind.
 * @flags: in: must be zero.
 * @array: in: user pointer to @count records of @stride bytes; may be zero if
 *	@count is zero.
 * @count: in: records that @array has room for.  Out: records that exist, which
 *	may be more than were written: try again with a larger array.
 * @stride: in: bytes from one record to the next, that is, the caller's size of
 *	the record: a multiple of 8 from 8 to 4096.  A kernel that knows a longer
 *	record writes the head of it, one that knows a shorter record writes zeros
 *	behind it.  Ignored if @count is zero.
 */
struct tram_query {
	__u32 kind;
	__u32 flags;
	__u64 array;
	__u32 count;
	__u32 stride;
};

/**
 * enum tram_heap_kind - what a heap's memory is
 * @TRAM_HEAP_SYSTEM: the host's memory, pinned.
 */
enum tram_heap_kind {
	TRAM_HEAP_SYSTEM = 1,
};

/* The heap can be told which NUMA node to take memory from. */
#define TRAM_HEAP_CAN_NODE	0x1u

/**
 * struct tram_heap_info - record of TRAM_QUERY_HEAPS
 * @id: for tram_buffer_create.heap.
 * @kind: enum tram_heap_kind.
 * @flags: TRAM_HEAP_CAN_*.
 * @pad: zero.
 * @limit_bytes: what the calling user may hold in this heap at most; all ones:
 *	only the limit of all users together holds (the caller has CAP_IPC_LOCK).
 * @used_bytes: what the calling user holds now.
 * @chunk_bytes: buffers are contiguous in chunks of this size where memory allows.
 */
struct tram_heap_info {
	__u32 id;
	__u32 kind;
	__u32 flags;
	__u32 pad;
	__u64 limit_bytes;
	__u64 used_bytes;
	__u64 chunk_bytes;
};

/* tram_buffer_create.node is meant: take memory from that NUMA node only. */
#define TRAM_BUFFER_NODE	0x1u

/**
 * struct tram_buffer_create - make a buffer of zeros
 * @heap: in: tram_heap_info.id; the system heap is always number zero.
 * @flags: in: TRAM_BUFFER_NODE or zero.
 * @size: in: bytes, not zero.  Out: the same rounded up to whole pages, which is
 *	also what is charged.
 * @node: in: with TRAM_BUFFER_NODE a NUMA node that has memory, else zero.
 * @handle: out: GEM handle, owned by the file: DRM_IOCTL_GEM_CLOSE or closing
 *	the file gives it back.
 * @mmap_offset: out: what to give mmap() on this file, with MAP_SHARED and the
 *	whole size or less.
 *
 * The memory is pinned and charged to the calling user and its memory cgroup
 * until the last handle, mapping and exported dma-buf is gone.
 */
struct tram_buffer_create {
	__u32 heap;
	__u32 flags;
	__u64 size;
	__u32 node;
	__u32 handle;
	__u64 mmap_offset;
};

/* The memory belongs to another exporter: no mmap here, nothing is charged. */
#define TRAM_BUFFER_IMPORTED	0x1u
/* There is a dma-buf of this buffer, or there was one. */
#define TRAM_BUFFER_EXPORTED	0x2u

/**
 * struct tram_buffer_info - what a handle is
 * @handle: in: GEM handle.
 * @flags: in: must be zero.  Out: TRAM_BUFFER_IMPORTED, TRAM_BUFFER_EXPORTED.
 * @size: out: bytes.
 * @mmap_offset: out: see struct tram_buffer_create; zero for imported buffers.
 * @large_bytes: out: how many of them lie in chunks of the heap's full size.
 * @chunks: out: contiguous pieces of memory; zero for imported buffers.
 * @moves: out: how often the exporter has moved an imported buffer.
 */
struct tram_buffer_info {
	__u32 handle;
	__u32 flags;
	__u64 size;
	__u64 mmap_offset;
	__u64 large_bytes;
	__u64 chunks;
	__u64 moves;
};

/* 'd' and 0x40: DRM's letter, and the first of its driver-private numbers. */
#define TRAM_IOCTL_NR(n)		(0x40 + (n))

#define TRAM_IOCTL_QUERY		_IOWR('d', TRAM_IOCTL_NR(0), struct tram_query)
#define TRAM_IOCTL_BUFFER_CREATE	_IOWR('d', TRAM_IOCTL_NR(1), struct tram_buffer_create)
#define TRAM_IOCTL_BUFFER_INFO		_IOWR('d', TRAM_IOCTL_NR(2), struct tram_buffer_info)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_TRAM_ACCEL_H_ */
