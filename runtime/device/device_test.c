/* SPDX-License-Identifier: MIT */
/*
 * Selectors, the list and "auto" on this machine and on one without Vulkan
 * (VK_DRIVER_FILES pointing nowhere). With GPUs: vk/vk_mock_test.c.
 */
#include "device/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/test_heap.h"
#include "device/probe.h"

static char *drivers;	/* VK_DRIVER_FILES of the caller, or NULL */

static void hide_vulkan(bool hide)
{
	if (hide)
		setenv("VK_DRIVER_FILES", "/nonexistent/driver.json", 1);
	else if (drivers)
		setenv("VK_DRIVER_FILES", drivers, 1);
	else
		unsetenv("VK_DRIVER_FILES");
}

static struct tram_ctx *new_ctx(void)
{
	struct tram_ctx *ctx;

	assert_int_equal(tram_ctx_create(NULL, &ctx), 0);
	return ctx;
}

static void a_machine_without_vulkan_still_has_cpu0(void **state)
{
	struct tram_ctx *ctx = new_ctx();
	struct tram_device_info *list;
	struct tram_device *dev;
	size_t n;

	hide_vulkan(true);
	assert_int_equal(tram_devices_list(ctx, &list, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].selector, "cpu0");
	assert_int_equal(list[0].kind, TRAM_DEVICE_CPU);
	assert_true(list[0].memory > 0 && list[0].name[0] && list[0].numeric_class[0]);
	tram_devices_free(ctx, list);
	assert_int_equal(tram_device_open(ctx, "vk0", &dev), -ENODEV);
	assert_null(dev);
	assert_non_null(strstr(tram_error(ctx), "mesa-vulkan-drivers"));	/* the remedy */
	assert_non_null(strstr(tram_error(ctx), "cpu0"));		/* the choices */
	assert_int_equal(tram_device_open(ctx, "auto", &dev), 0);
	assert_string_equal(tram_device_info(dev)->selector, "cpu0");
	assert_non_null(strstr(tram_device_reason(dev), "no GPU"));
	tram_device_close(&dev);
	hide_vulkan(false);
	tram_ctx_destroy(&ctx);
}

static void a_selector_that_names_nothing_is_enodev_with_the_choices(void **state)
{
	static const char *const bad[] = {
		"", "vk", "cpu", "vk-1", "vk0x", "vk 0", "VK0", "gpu0", "vk0*4", "cpu0 ",
		"vk99999999999999999999", "cpu1", "vk4711",
	};
	struct tram_ctx *ctx = new_ctx();
	struct tram_device *dev;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(bad); i++) {
		dev = (struct tram_device *)ctx;
		assert_int_equal(tram_device_open(ctx, bad[i], &dev), -ENODEV);
		assert_null(dev);
		assert_non_null(strstr(tram_error(ctx), "cpu0 ("));
	}
	tram_ctx_destroy(&ctx);
}

static void cpu0_opens_and_closes(void **state)
{
	struct tram_ctx *ctx = new_ctx();
	struct tram_device *dev;
	uint64_t now, peak;

	assert_int_equal(tram_device_open(ctx, "cpu0", &dev), 0);
	assert_string_equal(tram_device_info(dev)->selector, "cpu0");
	assert_non_null(strstr(tram_device_reason(dev), "asked for"));
	tram_device_memory(dev, &now, &peak);
	assert_int_equal(now, 0);
	tram_device_close(&dev);
	assert_null(dev);
	tram_device_close(&dev);
	tram_ctx_destroy(&ctx);
}

static void auto_names_what_it_measured(void **state)
{
	struct tram_ctx *ctx = new_ctx();
	struct tram_device_info *list;
	struct tram_device *dev;
	uint64_t now, peak;
	size_t n;

	assert_int_equal(tram_device_open(ctx, NULL, &dev), 0);
	print_message("%s\n", tram_device_reason(dev));
	assert_int_equal(tram_devices_list(ctx, &list, &n), 0);
	for (size_t i = 0; i < n; i++) {
		bool gpu = list[i].kind == TRAM_DEVICE_VK_DISCRETE ||
			   list[i].kind == TRAM_DEVICE_VK_INTEGRATED;

		if (gpu && !list[i].unusable[0]) {
			tram_device_close(&dev);
			tram_devices_free(ctx, list);
			tram_ctx_destroy(&ctx);
			print_message("skipped: this machine has a GPU\n");
			skip();
		}
		assert_non_null(strstr(tram_device_reason(dev), list[i].selector));
	}
	/* Measuring leaves no trace in the count that plans are compared with. */
	tram_device_memory(dev, &now, &peak);
	assert_int_equal(peak, now);
	tram_device_close(&dev);
	tram_devices_free(ctx, list);
	tram_ctx_destroy(&ctx);
}

static int list_and_open(struct tram_ctx *ctx, void *arg)
{
	struct tram_device_info *list;
	struct tram_device *dev = NULL;
	size_t n;
	int err = tram_devices_list(ctx, &list, &n);

	if (!err)
		err = tram_device_open(ctx, arg, &dev);
	tram_device_close(&dev);
	tram_devices_free(ctx, list);
	return err;
}

static void every_allocation_may_fail(void **state)
{
	hide_vulkan(true);
	assert_true(test_heap_each_failure(list_and_open, "cpu0") > 2);
	assert_true(test_heap_each_failure(list_and_open, "auto") > 5);
	hide_vulkan(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_without_vulkan_still_has_cpu0),
		cmocka_unit_test(a_selector_that_names_nothing_is_enodev_with_the_choices),
		cmocka_unit_test(cpu0_opens_and_closes),
		cmocka_unit_test(auto_names_what_it_measured),
		cmocka_unit_test(every_allocation_may_fail),
	};
	int r;

	if (getenv("VK_DRIVER_FILES"))
		drivers = strdup(getenv("VK_DRIVER_FILES"));
	r = cmocka_run_group_tests(tests, NULL, NULL);
	free(drivers);
	return r;
}
