/* SPDX-License-Identifier: MIT */
/* tram devices: what can compute here, and why the rest can't. */
#include "tool.h"

static const char *const kinds[] = { "cpu", "software Vulkan", "integrated GPU", "GPU" };

static void print_json(const struct tram_device_info *d)
{
	struct tool_json j;

	tool_json_begin(&j, NULL);
	tool_json_str(&j, "device", d->selector);
	tool_json_str(&j, "name", d->name);
	tool_json_str(&j, "kind", kinds[d->kind]);
	tool_json_str(&j, "driver", d->driver);
	tool_json_str(&j, "numeric_class", d->numeric_class);
	tool_json_u64(&j, "subgroup", d->subgroup);
	tool_json_u64(&j, "threads", d->threads);
	tool_json_u64(&j, "memory_bytes", d->memory);
	tool_json_bool(&j, "usable", !*d->unusable);
	if (*d->unusable)
		tool_json_str(&j, "unusable", d->unusable);
	tool_json_end(&j, stdout, NULL);
}

static void print_text(const struct tram_device_info *d)
{
	char mem[TOOL_TEXT];

	printf("%-6s %s\n       %s, %s", d->selector, d->name, kinds[d->kind], d->driver);
	if (d->kind == TRAM_DEVICE_CPU)
		printf(", %u threads", d->threads);
	else
		printf(", subgroups of %u", d->subgroup);
	printf(", %s\n", tool_bytes(d->memory, mem));
	if (*d->unusable)
		printf("       can't be used: %s\n", d->unusable);
}

static int run(int argc, char **argv)
{
	struct tool_common c = { 0 };
	const struct tool_option opts[] = {
		{ "json", TOOL_FLAG, &c.json, NULL, "one object a line", NULL, false },
	};
	struct tram_device_info *list;
	struct tram_ctx *ctx;
	bool help;
	size_t n;
	int r = tool_parse(&tool_devices, argc, argv, opts, ARRAY_SIZE(opts), NULL, &help);

	if (r || help)
		return r;
	ctx = tool_context(&c);
	if (!ctx)
		return TOOL_FAILED;
	if (tram_devices_list(ctx, &list, &n)) {
		r = tool_fail("devices", ctx);
	} else {
		for (size_t i = 0; i < n; i++)
			(c.json ? print_json : print_text)(&list[i]);
		if (!c.json)
			printf("\n'--device auto' takes a real GPU where there is one, else the "
			       "fastest measured here.\n");
		tram_devices_free(ctx, list);
	}
	tram_ctx_destroy(&ctx);
	return r;
}

const struct tool_verb tool_devices = {
	"devices", "devices [--json]", "List the devices of this machine", NULL, run,
};
