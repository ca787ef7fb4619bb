// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading: a platform device without hardware carries the DRM
 * accel device, /dev/accel/accelN.  From there, follow a request into ioctl.c
 * and a buffer into buffer.c.
 *
 * Unloading is refused (EBUSY) while a file is open or a dma-buf exists, by the
 * module references that those hold.  Unbinding is not: it leaves buffers as
 * they are, ends every mapping (SIGBUS) and answers ENODEV from then on.
 */
#include "device.h"

#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_managed.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "compat/compat.h"
#include "debugfs.h"
#include "import.h"
#include "ioctl.h"

static void show_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	drm_show_memory_stats(p, file);
}

static const struct file_operations tram_fops = {
	.owner = THIS_MODULE,
	.open = accel_open,
	.release = drm_release,
	.unlocked_ioctl = tram_ioctl,
	.compat_ioctl = tram_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = drm_gem_mmap,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver tram_drm_driver = {
	.driver_features = DRIVER_COMPUTE_ACCEL | DRIVER_GEM,
	.name = "tramroad",
	.desc = "Tramroad data plane",
	.major = 0,
	.minor = 1,
	TRAM_DRM_DRIVER_DATE
	.fops = &tram_fops,
	.ioctls = tram_ioctls,
	.num_ioctls = TRAM_IOCTLS,
	.gem_prime_import = tram_import,
	.show_fdinfo = show_fdinfo,
};

static void finish_ledger(struct drm_device *drm, void *ledger)
{
	tram_ledger_finish(ledger);
}

static int tram_probe(struct platform_device *pdev)
{
	struct tram_device *tdev;
	int err;

	/* Older kernels map an import for this device when they attach it. */
	err = dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		return err;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	tdev = devm_drm_dev_alloc(&pdev->dev, &tram_drm_driver,
				  struct tram_device, drm);
	if (IS_ERR(tdev))
		return PTR_ERR(tdev);
	tram_ledger_init(&tdev->ledger);
	err = drmm_add_action_or_reset(&tdev->drm, finish_ledger,
				       &tdev->ledger);
	if (err)
		return err;
	tram_debugfs_add(tdev);
	err = drm_dev_register(&tdev->drm, 0);
	if (err)
		return err;
	platform_set_drvdata(pdev, tdev);
	return 0;
}

static void tram_remove(struct platform_device *pdev)
{
	struct tram_device *tdev = platform_get_drvdata(pdev);

	drm_dev_unplug(&tdev->drm);
}

static struct platform_driver tram_platform_driver = {
	.probe = tram_probe,
	.remove = tram_remove,
	.driver = {
		.name = "tramroad",
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

static struct platform_device *tram_platform_device;

static int __init tram_init(void)
{
	struct platform_device *pdev;
	int err;

	err = platform_driver_register(&tram_platform_driver);
	if (err)
		return err;
	pdev = platform_device_register_simple("tramroad", PLATFORM_DEVID_NONE,
					       NULL, 0);
	if (IS_ERR(pdev)) {
		err = PTR_ERR(pdev);
		goto err_driver;
	}
	/* The core keeps a failed probe to itself; who loads us shall know. */
	if (!platform_get_drvdata(pdev)) {
		err = -ENODEV;
		goto err_device;
	}
	tram_platform_device = pdev;
	return 0;

err_device:
	platform_device_unregister(pdev);
err_driver:
	platform_driver_unregister(&tram_platform_driver);
	return err;
}

static void __exit tram_exit(void)
{
	platform_device_unregister(tram_platform_device);
	platform_driver_unregister(&tram_platform_driver);
}

module_init(tram_init);
module_exit(tram_exit);

MODULE_DESCRIPTION("Tramroad: DMA buffers across devices of any vendor");
MODULE_AUTHOR("Tramroad");
MODULE_LICENSE("GPL");
TRAM_IMPORT_DMA_BUF();
