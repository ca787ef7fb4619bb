/* SPDX-License-Identifier: MIT */
/* tram topo: how the PCI devices are joined, and which may reach which. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "topo.h"

struct topo_args {
	struct tool_common c;
	struct tram_topo_params p;
	struct tool_list why;
	const char *record, *svg;
	bool dot, all, no_color, watch;
};

/* --- what the forms share ------------------------------------------------------------ */

static bool wanted(const struct topo_view *v, uint32_t i)
{
	return v->all || tram_topo_bulk(tram_topo_dev(v->t, i));
}

bool topo_shown(const struct topo_view *v, uint32_t i)
{
	if (wanted(v, i))
		return true;
	if (!tram_topo_is_bridge(tram_topo_dev(v->t, i)))
		return false;
	for (uint32_t k = 0; k < v->m->n_devs; k++) {
		int32_t up = tram_topo_dev(v->t, k)->parent;

		if (!wanted(v, k))
			continue;
		while (up >= 0 && up != (int32_t)i)
			up = tram_topo_dev(v->t, (uint32_t)up)->parent;
		if (up == (int32_t)i)
			return true;
	}
	return false;
}

bool topo_shown_root(const struct topo_view *v, uint32_t root)
{
	for (uint32_t i = 0; i < v->m->n_devs; i++)
		if (tram_topo_dev(v->t, i)->root == (int32_t)root && wanted(v, i))
			return true;
	return false;
}

bool topo_peer(const struct topo_view *v, uint32_t i)
{
	const struct tram_topo_dev *d = tram_topo_dev(v->t, i);

	return tram_topo_bulk(d) || (v->all && d->physical >= 0);
}

const char *topo_what(const struct tram_topo_dev *d)
{
	static const char *const kinds[] = {
		NULL, NULL, NULL, "host bridge", "root port", "switch port, up", "switch port, down",
		"bridge", NULL,
	};
	static const struct { uint32_t id, mask; const char *name; } classes[] = {
		{ 0x0108, 0xffff, "NVMe" }, { 0x0100, 0xff00, "storage" }, { 0x0207, 0xffff, "InfiniBand" },
		{ 0x0200, 0xff00, "network" }, { 0x0300, 0xff00, "GPU" }, { 0x0502, 0xffff, "CXL memory" },
		{ 0x0500, 0xff00, "memory" }, { 0x0b40, 0xffff, "coprocessor" }, { 0x1200, 0xff00, "accelerator" },
		{ 0x0400, 0xff00, "multimedia" }, { 0x0600, 0xff00, "bridge" }, { 0x0c03, 0xffff, "USB" },
		{ 0x0880, 0xffff, "system" }, { 0x0801, 0xffff, "DMA engine" },
	};

	if (kinds[d->kind])
		return kinds[d->kind];
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if ((d->class_code >> 8 & classes[i].mask) == classes[i].id)
			return classes[i].name;
	return "device";
}

const char *topo_name(const struct tram_topo_dev *d, char buf[192])
{
	if (*d->device_name)
		snprintf(buf, 192, "%s %s", d->vendor_name, d->device_name);
	else if (*d->vendor_name)
		snprintf(buf, 192, "%s %04x", d->vendor_name, d->device);
	else
		snprintf(buf, 192, "%04x:%04x", d->vendor, d->device);
	return buf;
}

static void rate(char *buf, size_t size, int32_t speed, int32_t width)
{
	size_t n;

	if (speed == TRAM_TOPO_UNKNOWN)
		n = (size_t)snprintf(buf, size, "? GT/s");
	else
		n = (size_t)snprintf(buf, size, "%.1f GT/s", speed / 1000.0);
	if (width == TRAM_TOPO_UNKNOWN)
		snprintf(buf + n, size - n, " x?");
	else
		snprintf(buf + n, size - n, " x%d", width);
}

const char *topo_link(const struct tram_topo_dev *d, char buf[64])
{
	char now[24], most[24];

	buf[0] = '\0';
	if (d->speed_max == TRAM_TOPO_NONE || d->width_max == TRAM_TOPO_NONE ||
	    (d->width_now == TRAM_TOPO_UNKNOWN && d->width_max == TRAM_TOPO_UNKNOWN))
		return buf;
	rate(most, sizeof(most), d->speed_max, d->width_max);
	if (d->width_now == 0) {
		snprintf(buf, 64, "down (of %s)", most);
		return buf;
	}
	rate(now, sizeof(now), d->speed_now, d->width_now);
	snprintf(buf, 64, strcmp(now, most) ? "%s (of %s)" : "%s", now, most);
	return buf;
}

const char *topo_answer(enum tram_topo_answer a)
{
	static const char *const names[] = { "yes", "no", "unknown", "untested" };

	return names[a];
}

const char *topo_distance(enum tram_topo_class c)
{
	static const char *const words[] = {
		"the same device", "below one switch or port", "below several switches",
		"through one host bridge", "through two host bridges of one NUMA node",
		"through the link between NUMA nodes",
		"through two host bridges, whose NUMA nodes the firmware does not tell",
	};

	return words[c];
}

/* --- the verb ---------------------------------------------------------------------------- */

static unsigned int columns(void)
{
	const char *env = getenv("COLUMNS");
	struct winsize w;
	int n = env ? atoi(env) : 0;

	if (n <= 0 && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w))
		n = w.ws_col;
	return n <= 0 ? 100 : n < 40 ? 40 : n > 400 ? 400 : (unsigned int)n;
}

static int show(const struct topo_args *a, struct topo_view *v)
{
	uint32_t x, y;
	int r = 0;

	if (a->svg) {
		r = topo_write_svg(v, a->svg);
		if (r) {
			fprintf(stderr, "tram topo: %s: cannot be written: %s; check the path and the disk\n",
				a->svg, strerror(-r));
			return TOOL_FAILED;
		}
	}
	if (a->why.n) {
		if (tram_topo_find(v->ctx, v->t, a->why.v[0], &x) ||
		    tram_topo_find(v->ctx, v->t, a->why.v[1], &y))
			return tool_fail("topo", v->ctx);
		r = a->c.json ? topo_print_why_json(v, x, y) : topo_print_why(v, x, y);
	} else if (a->dot) {
		r = topo_print_dot(v);
	} else if (a->c.json) {
		r = topo_print_json(v);
	} else if (!a->svg) {
		r = topo_print_text(v);
	}
	return r ? tool_fail("topo", v->ctx) : TOOL_OK;
}

static int look(const struct topo_args *a, struct tram_ctx *ctx, FILE *out)
{
	struct topo_view v = { .ctx = ctx, .all = a->all, .width = columns(), .out = out };
	struct tram_topo *t;
	int r;

	if (tram_topo_read(ctx, &a->p, &t))
		return tool_fail("topo", ctx);
	v.t = t;
	v.m = tram_topo_machine(t);
	v.color = !a->no_color && !getenv("NO_COLOR") && isatty(STDOUT_FILENO);
	r = show(a, &v);
	tram_topo_free(&t);
	return r;
}

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

/* Again every two seconds, until Ctrl-C; shown only when something changed. */
static int watch(const struct topo_args *a, struct tram_ctx *ctx)
{
	const struct sigaction sa = { .sa_handler = on_signal };
	const struct timespec pause = { .tv_sec = 2 };
	char *text = NULL, *last = NULL;
	size_t n = 0;
	int r = 0;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	while (!stopped && !r) {
		FILE *f = open_memstream(&text, &n);

		if (!f) {
			r = TOOL_FAILED;
			break;
		}
		r = look(a, ctx, f);
		fclose(f);
		if (!r && (!last || strcmp(last, text))) {
			if (isatty(STDOUT_FILENO))
				fputs("\033[H\033[2J", stdout);
			fputs(text, stdout);
			fflush(stdout);
			free(last);
			last = text;
			text = NULL;
		}
		free(text);
		text = NULL;
		if (!r && !stopped)
			nanosleep(&pause, NULL);
	}
	free(last);
	return r;
}

static int check(const struct topo_args *a)
{
	int forms = a->c.json + a->dot;

	if (a->why.v && a->why.n != 2)
		return tool_usage("topo", "--why needs two devices, got %zu", a->why.n);
	if (a->p.root && a->p.recording)
		return tool_usage("topo", "--root and --from exclude each other");
	if (forms > 1 || (a->dot && a->why.n))
		return tool_usage("topo", "--json, --dot and --why: --dot stands alone");
	if (a->watch && (a->p.recording || a->record))
		return tool_usage("topo", "--watch looks at a live machine; --from and --record do not change");
	return TOOL_OK;
}

static int run(int argc, char **argv)
{
	struct topo_args a = { .p.names = getenv("TRAM_PCI_IDS") };
	const struct tool_option opts[] = {
		{ "why", TOOL_LIST, &a.why, "A B", "whether A can read and write B's memory, and why not", NULL, false },
		{ "json", TOOL_FLAG, &a.c.json, NULL, "one document", NULL, false },
		{ "dot", TOOL_FLAG, &a.dot, NULL, "a graph for graphviz", NULL, false },
		{ "svg", TOOL_STRING, &a.svg, "FILE", "a picture", NULL, false },
		{ "all", TOOL_FLAG, &a.all, NULL, "every function, not only what moves bulk data", NULL, false },
		{ "record", TOOL_STRING, &a.record, "FILE", "write what was read, for --from", NULL, false },
		{ "from", TOOL_STRING, &a.p.recording, "FILE", "a recorded machine instead of this one", NULL, false },
		{ "root", TOOL_STRING, &a.p.root, "DIR", "the folder where sys and proc lie (/)", NULL, false },
		{ "watch", TOOL_FLAG, &a.watch, NULL, "again when something changes, until Ctrl-C", NULL, false },
		{ "no-color", TOOL_FLAG, &a.no_color, NULL, "no colours on a terminal either", NULL, false },
	};
	struct tram_ctx *ctx;
	bool help;
	int r = tool_parse(&tool_topo, argc, argv, opts, ARRAY_SIZE(opts), NULL, &help);

	if (r || help)
		return r;
	r = check(&a);
	if (r)
		return r;
	ctx = tool_context(&a.c);
	if (!ctx)
		return TOOL_FAILED;
	if (a.record)
		r = tram_topo_record(ctx, &a.p, a.record) ? tool_fail("topo", ctx) : TOOL_OK;
	else
		r = a.watch ? watch(&a, ctx) : look(&a, ctx, stdout);
	tram_ctx_destroy(&ctx);
	return r;
}

const struct tool_verb tool_topo = {
	"topo", "topo [OPTION...]", "Show how PCI devices are joined and which may reach which",
	"A, B: PCI addresses (0000:01:00.0, 01:00.0) or nodes (renderD128, nvme0).\n", run,
};
