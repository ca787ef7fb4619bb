/* SPDX-License-Identifier: MIT */
/*
 * Recordings that lie, and capability lists that loop. What whole machines
 * look like is selftests/topo's subject.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/test_heap.h"
#include "topo/test_topo.h"

#define DEV "sys/bus/pci/devices/"
#define IDS(a, class) "f " DEV a "/class " class "\nf " DEV a "/device 0x2330\n"
#define ROOT "../../../devices/pci0000:00/"

/* Two GPUs, one below a bridge. */
static const char small[] =
	"tramroad-topo 1\n"
	"f proc/cpuinfo vendor_id\\x09: AuthenticAMD\\ncpu family\\x09: 25\n"
	"d sys/bus/pci/devices 0000:00:01.0 0000:00:02.0 0000:01:00.0\n"
	"l " DEV "0000:00:01.0 " ROOT "0000:00:01.0\n"
	IDS("0000:00:01.0", "0x060400")
	"f " DEV "0000:00:01.0/vendor 0x1022\n"
	"l " DEV "0000:00:02.0 " ROOT "0000:00:02.0\n"
	IDS("0000:00:02.0", "0x030000")
	"f " DEV "0000:00:02.0/vendor 0x10de\n"
	"l " DEV "0000:01:00.0 " ROOT "0000:00:01.0/0000:01:00.0\n"
	"f " DEV "0000:01:00.0/class 0x030000\n"
	"x " DEV "0000:01:00.0/config 4096 0:de10302306001000 30:0000000040 40:1040020000\n"
	"f " DEV "0000:01:00.0/device 0x2330\n"
	"f! " DEV "0000:01:00.0/resource EACCES\n"
	"f " DEV "0000:01:00.0/vendor 0x10de\n"
	"end 16\n";

static struct tram_ctx *context(void)
{
	struct tram_ctx *ctx;

	assert_int_equal(tram_ctx_create(NULL, &ctx), 0);
	return ctx;
}

/* @what becomes @with; the reading must fail with @word. NULL: it must succeed. */
static void changed(const char *what, const char *with, const char *word)
{
	struct tram_ctx *ctx = context();
	const char *at = strstr(small, what);
	char *text = malloc(sizeof(small) + strlen(with));
	int r;

	assert_non_null(at);
	sprintf(text, "%.*s%s%s", (int)(at - small), small, with, at + strlen(what));
	r = test_topo_read(ctx, text, strlen(text), true);
	if (!word && r)
		fail_msg("%s: %s", with, tram_error(ctx));
	if (word && (r != -EINVAL || !strstr(tram_error(ctx), word)))
		fail_msg("%s: %d %s, expected \"%s\"", with, r, tram_error(ctx), word);
	free(text);
	tram_ctx_destroy(&ctx);
}

static void a_recording_cut_at_any_byte_is_refused(void **state)
{
	struct tram_ctx *ctx = context();

	assert_int_equal(test_topo_read(ctx, small, sizeof(small) - 1, true), 0);
	for (size_t n = 0; n < sizeof(small) - 1; n++) {
		assert_int_equal(test_topo_read(ctx, small, n, false), -EINVAL);
		assert_non_null(strstr(tram_error(ctx), "memory: "));
		assert_null(strchr(tram_error(ctx), '\n'));
	}
	tram_ctx_destroy(&ctx);
}

static void a_changed_byte_is_read_or_refused_but_harms_nothing(void **state)
{
	static const char bytes[] = { '\0', '\n', ' ', '/', '9', 'f', '\\', '\x80' };
	struct tram_ctx *ctx = context();
	char *text = malloc(sizeof(small));

	for (size_t i = 0; i < sizeof(small) - 1; i++)
		for (size_t k = 0; k < sizeof(bytes); k++) {
			int r;

			memcpy(text, small, sizeof(small));
			text[i] = bytes[k];
			r = test_topo_read(ctx, text, sizeof(small) - 1, true);
			assert_true(r == 0 || r == -EINVAL);
			assert_true(r == 0 || *tram_error(ctx));
		}
	free(text);
	tram_ctx_destroy(&ctx);
}

static void each_lie_is_named(void **state)
{
	changed("end 16", "end 14", "\"end 16\"");
	changed("end 16\n", "end 16\nx", "nothing");
	changed("f! ", "f? ", "space");
	changed("EACCES", "ENOWHERE", "error name");
	changed("cpu family\\x09", "cpu family\\q", "escape");
	changed("0000:00:01.0 0000:00:02.0 ", "0000:00:01.0  0000:00:02.0 ", "one space");
	changed("0000:00:01.0 0000:00:02.0 ", "0000:00:01.0 0000:00:01.0 ", "there twice");
	changed("0000:00:01.0 0000:00:02.0 ", "0000:00:01.0 0000:00:42.0 ", "no PCI address");
	changed("0000:00:01.0 0000:00:02.0 ", "0000:00:02.0 ", "its bridge 0000:00:01.0 is not there");
	changed("config 4096", "config 4097", "config space");
	changed("config 4096", "config 16", "config space");
	changed("30:0000000040", "00:0000000040", "config space");
	changed("vendor 0x1022", "vendor 0x11022", "vendor");
	changed("vendor 0x1022", "vendor 0x", "vendor");
	changed(ROOT "0000:00:01.0\n", ROOT "0000:01:00.0/0000:00:01.0\n", "loop");
	changed(ROOT "0000:00:02.0\n", "0000:00:02.0\n", "BRIDGE");
	changed(ROOT "0000:00:02.0\n", "../nowhere/0000:00:02.0\n", "nowhere");
}

/* A capability list that points at itself, and an extended one; both end. */
static void lists_that_loop_end(void **state)
{
	changed("40:1040020000", "40:0140020000", NULL);
	changed("40:1040020000", "40:0140020000 100:01000110", NULL);
	changed("40:1040020000", "40:1040020000 ff0:0d00010000000000", NULL);
}

static void numbers_beyond_all_reason_are_unknown(void **state)
{
	struct tram_topo_dev d = { .speed_now = TRAM_TOPO_UNKNOWN };
	uint8_t c[4096] = { 0 };

	c[0x06] = 0x10;
	c[0x34] = 0x40;
	c[0x40] = 0x10;
	memset(c + 0x42, 0xff, 0x20);
	c[0x42] = 0xf2;
	topo_config(&d, c, sizeof(c));
	assert_int_equal(d.kind, TRAM_TOPO_BRIDGE);
	assert_int_equal(d.speed_max, TRAM_TOPO_UNKNOWN);
	assert_int_equal(d.mps, TRAM_TOPO_UNKNOWN);
	assert_int_equal(d.acs_ctrl, TRAM_TOPO_NONE);
}

static void all_ones_are_a_lost_device(void **state)
{
	struct tram_topo_dev d = { .mps = TRAM_TOPO_UNKNOWN };
	uint8_t c[4096];

	memset(c, 0xff, sizeof(c));
	topo_config(&d, c, sizeof(c));
	assert_true(d.gone);
	assert_int_equal(d.mps, TRAM_TOPO_UNKNOWN);
}

static void what_steers_a_terminal_is_cleaned(void **state)
{
	char s[] = "a\033[2Jb\xc2\x9b" "c\xff\xc3\xa9";

	topo_clean(s);
	assert_string_equal(s, "a?[2Jb??c?\xc3\xa9");
}

static void a_serial_number_is_forgotten(void **state)
{
	uint8_t c[4096] = { 0 };

	memcpy(c + 0x100, "\x03\x00\x01\x00secretno!", 13);
	topo_forget_serial(c, sizeof(c));
	assert_memory_equal(c + 0x100, "\x03\x00\x01\x00\0\0\0\0\0\0\0\0!", 13);
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	return test_topo_read(ctx, small, sizeof(small) - 1, false);
}

static void no_allocation_is_trusted(void **state)
{
	assert_true(test_heap_each_failure(chain, NULL) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recording_cut_at_any_byte_is_refused),
		cmocka_unit_test(a_changed_byte_is_read_or_refused_but_harms_nothing),
		cmocka_unit_test(each_lie_is_named),
		cmocka_unit_test(lists_that_loop_end),
		cmocka_unit_test(numbers_beyond_all_reason_are_unknown),
		cmocka_unit_test(all_ones_are_a_lost_device),
		cmocka_unit_test(what_steers_a_terminal_is_cleaned),
		cmocka_unit_test(a_serial_number_is_forgotten),
		cmocka_unit_test(no_allocation_is_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
