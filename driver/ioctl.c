// SPDX-License-Identifier: GPL-2.0-only
/*
 * All requests.  DRM already clears the missing tail of a shorter struct and
 * copies no more than the caller's size back; what it lacks is a look at the
 * tail of a longer one, which must be zero (E2BIG).
 */
#include "ioctl.h"

#include <linux/compat.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>
#include <uapi/drm/drm.h>

#include "buffer.h"
#include "query.h"
#include "tram_accel.h"

/* Reading past what drm_ioctl() copies: a race over it changes nothing. */
static int check_size(unsigned int cmd, void __user *arg)
{
	unsigned int nr = _IOC_NR(cmd) - DRM_COMMAND_BASE;
	size_t theirs = _IOC_SIZE(cmd), ours;
	int zero;

	if (_IOC_TYPE(cmd) != DRM_IOCTL_BASE || nr >= TRAM_IOCTLS)
		return 0;
	nr = array_index_nospec(nr, TRAM_IOCTLS);
	if (_IOC_DIR(cmd) != _IOC_DIR(tram_ioctls[nr].cmd))
		return -EINVAL;
	ours = _IOC_SIZE(tram_ioctls[nr].cmd);
	if (theirs <= ours)
		return 0;
	zero = check_zeroed_user(arg + ours, theirs - ours);
	if (zero < 0)
		return zero;
	return zero ? 0 : -E2BIG;
}

long tram_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	int err = check_size(cmd, (void __user *)arg);

	return err ? err : drm_ioctl(filp, cmd, arg);
}

#ifdef CONFIG_COMPAT
/* No struct of ours has another layout on 32 bits. */
long tram_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	int err = check_size(cmd, compat_ptr(arg));

	return err ? err : drm_compat_ioctl(filp, cmd, arg);
}
#endif

#define TRAM_IOCTL_DEF(name, func) \
	[_IOC_NR(TRAM_IOCTL_##name) - DRM_COMMAND_BASE] = \
		{ TRAM_IOCTL_##name, 0, func, "TRAM_" #name }

const struct drm_ioctl_desc tram_ioctls[TRAM_IOCTLS] = {
	TRAM_IOCTL_DEF(QUERY, tram_query),
	TRAM_IOCTL_DEF(BUFFER_CREATE, tram_buffer_create),
	TRAM_IOCTL_DEF(BUFFER_INFO, tram_buffer_info),
};
