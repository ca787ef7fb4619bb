// SPDX-License-Identifier: GPL-2.0-only
/*
 * "buffers": how many objects exist.  "ledger": who has pinned how much.  For
 * people and tests: nothing here is a contract.
 */
#include "debugfs.h"

#include <drm/drm_debugfs.h>
#include <linux/seq_file.h>

#include "device.h"

static struct tram_device *device_of(struct seq_file *m)
{
	struct drm_debugfs_entry *entry = m->private;

	return to_tram_device(entry->dev);
}

static int show_buffers(struct seq_file *m, void *unused)
{
	struct tram_device *tdev = device_of(m);

	seq_printf(m, "buffers %lld\nimports %lld\n",
		   atomic64_read(&tdev->buffers),
		   atomic64_read(&tdev->imports));
	return 0;
}

static int show_ledger(struct seq_file *m, void *unused)
{
	tram_ledger_show(&device_of(m)->ledger, m);
	return 0;
}

static const struct drm_debugfs_info files[] = {
	{ "buffers", show_buffers },
	{ "ledger", show_ledger },
};

void tram_debugfs_add(struct tram_device *tdev)
{
	drm_debugfs_add_files(&tdev->drm, files, ARRAY_SIZE(files));
}
