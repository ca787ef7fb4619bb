// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists of things, each record as long as the caller's stride: a longer record
 * of ours is cut, a shorter one padded with zeros.
 */
#include "query.h"

#include <linux/uaccess.h>

#include "device.h"
#include "heap.h"
#include "tram_accel.h"

#define STRIDE_MAX	4096

/* Record number @i, if the caller has room for it. */
static int put_record(const struct tram_query *q, u32 i, const void *record,
		      size_t size)
{
	void __user *to = u64_to_user_ptr(q->array + (u64)i * q->stride);
	size_t head = min_t(size_t, size, q->stride);

	if (i >= q->count)
		return 0;
	if (copy_to_user(to, record, head) ||
	    clear_user(to + head, q->stride - head))
		return -EFAULT;
	return 0;
}

static int list_heaps(struct tram_device *tdev, struct tram_query *q)
{
	struct tram_heap_info info = {};
	int err;

	tram_heap_info(tdev, &info);
	err = put_record(q, 0, &info, sizeof(info));
	if (err)
		return err;
	q->count = 1;
	return 0;
}

int tram_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct tram_query *q = data;

	if (q->flags)
		return -EINVAL;
	if (q->count && (!q->stride || q->stride % 8 || q->stride > STRIDE_MAX))
		return -EINVAL;
	switch (q->kind) {
	case TRAM_QUERY_HEAPS:
		return list_heaps(to_tram_device(drm), q);
	case TRAM_QUERY_ENGINES:
	case TRAM_QUERY_ENDPOINTS:
		q->count = 0;
		return 0;
	}
	return -EINVAL;
}
