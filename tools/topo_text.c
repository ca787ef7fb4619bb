/* SPDX-License-Identifier: MIT */
/* tram topo for people: the tree, the matrix, and --why. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "topo.h"

enum color { PLAIN, BOLD, DIM, GREEN, RED, YELLOW };

static void colored(const struct topo_view *v, enum color c, const char *s)
{
	static const char *const codes[] = { "", "1", "2", "32", "31", "33" };

	if (v->color && c)
		fprintf(v->out, "\033[%sm%s\033[0m", codes[c], s);
	else
		fputs(s, v->out);
}

/* Columns of @s: code points. Names with wide characters are not known. */
static unsigned int width_of(const char *s)
{
	unsigned int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* @s broken at spaces so that each line fits; @first and @next stand before the lines. */
static void wrapped(const struct topo_view *v, const char *first, const char *next, const char *s)
{
	const char *prefix = first;

	do {
		unsigned int room = v->width > width_of(prefix) + 20 ? v->width - width_of(prefix) : 20;
		size_t cut = 0, at = 0;
		unsigned int n = 0;

		for (; s[at] && s[at] != '\n'; at++) {
			if (s[at] == ' ')
				cut = at;
			n += ((unsigned char)s[at] & 0xc0) != 0x80;
			if (n > room && cut)
				break;
		}
		if (!s[at] || s[at] == '\n')
			cut = at;
		fprintf(v->out, "%s%.*s\n", prefix, (int)cut, s);
		s += cut;
		s += *s == ' ' || *s == '\n';
		prefix = next;
	} while (*s);
}

/* --- details -------------------------------------------------------------------------- */

/* Facts, joined by ", ". What does not fit is cut; 1 KiB is far more than all facts. */
struct facts { char s[1024]; size_t n; };

static void fact(struct facts *f, const char *fmt, ...) TRAM_PRINTF(2, 3);
static void fact(struct facts *f, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (f->n && f->n + 2 < sizeof(f->s)) {
		memcpy(f->s + f->n, ", ", 3);
		f->n += 2;
	}
	va_start(ap, fmt);
	n = vsnprintf(f->s + f->n, sizeof(f->s) - f->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		f->n += (size_t)n < sizeof(f->s) - f->n ? (size_t)n : sizeof(f->s) - f->n - 1;
}

static const char *bytes_short(uint64_t n, char buf[TOOL_TEXT])
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	int i = 0;

	while (n >= 1024 && n % 1024 == 0 && i < 5) {
		n /= 1024;
		i++;
	}
	snprintf(buf, TOOL_TEXT, "%llu %s", (unsigned long long)n, unit[i]);
	return buf;
}

static void add_bars(struct facts *f, const struct tram_topo_dev *d)
{
	char now[TOOL_TEXT], least[TOOL_TEXT], most[TOOL_TEXT];

	for (uint32_t i = 0; i < ARRAY_SIZE(d->bar); i++) {
		const struct tram_topo_bar *b = &d->bar[i];

		if (!b->size || !b->memory)
			continue;
		if (b->possible)
			fact(f, "BAR%u %s (possible %s to %s)", i, bytes_short(b->size, now),
			     bytes_short(1ull << __builtin_ctzll(b->possible), least),
			     bytes_short(1ull << (63 - __builtin_clzll(b->possible)), most));
		else
			fact(f, "BAR%u %s", i, bytes_short(b->size, now));
	}
	if (d->resizable == TRAM_TOPO_NONE)
		fact(f, "BARs not resizable");
	else if (d->resizable == TRAM_TOPO_UNKNOWN)
		fact(f, "resizable BAR unknown (%s)", tram_topo_unknown_why(d));
}

static void add_acs(struct facts *f, const struct tram_topo_dev *d)
{
	if (d->acs_ctrl == TRAM_TOPO_UNKNOWN)
		fact(f, "ACS unknown (%s)", tram_topo_unknown_why(d));
	else if (d->acs_ctrl == TRAM_TOPO_NONE)
		fact(f, "no ACS");
	else if (d->acs_ctrl & 0x2c)	/* P2P Request Redirect, Completion Redirect, Egress Control */
		fact(f, "ACS redirects (0x%04x)", (unsigned int)d->acs_ctrl);
	else
		fact(f, "ACS does not redirect (0x%04x)", (unsigned int)d->acs_ctrl);
}

static void add_flag(struct facts *f, const struct tram_topo_dev *d, const char *name, int32_t v)
{
	if (v == TRAM_TOPO_UNKNOWN)
		fact(f, "%s unknown (%s)", name, tram_topo_unknown_why(d));
	else if (v != TRAM_TOPO_NONE)
		fact(f, "%s %s", name, v ? "on" : "off");
	else
		fact(f, "no %s", name);
}

static void add_express(struct facts *f, const struct tram_topo_dev *d)
{
	if (d->mps == TRAM_TOPO_UNKNOWN) {
		fact(f, "MPS, MRRS, Relaxed Ordering unknown (%s)", tram_topo_unknown_why(d));
	} else if (d->mps != TRAM_TOPO_NONE) {
		fact(f, "MPS %d (of %d), MRRS %d", d->mps, d->mps_max, d->mrrs);
		add_flag(f, d, "Relaxed Ordering", d->relaxed_ordering);
	}
}

static void add_iommu(struct facts *f, const struct tram_topo_dev *d)
{
	static const char *const modes[] = {
		"", "passthrough", "translated", "blocked", "managed by its user", "mode unknown",
	};

	if (d->iommu_group == TRAM_TOPO_NONE)
		fact(f, "no IOMMU");
	else
		fact(f, "IOMMU group %d %s", d->iommu_group, modes[d->iommu]);
}

static void device_facts(struct facts *f, const struct tram_topo_dev *d)
{
	bool bridge = tram_topo_is_bridge(d);
	char link[64];

	if (d->gone)
		fact(f, "config space reads as all ones: lost, or powered off");
	if (*topo_link(d, link))
		fact(f, "link %s", link);
	else if (d->width_max == TRAM_TOPO_UNKNOWN && d->config_bytes < 256)
		fact(f, "link unknown (%s)", tram_topo_unknown_why(d));
	if (d->kind == TRAM_TOPO_CONVENTIONAL)
		fact(f, "no PCIe capability");
	if (bridge) {
		add_acs(f, d);
		if (d->mps > 0)
			fact(f, "MPS %d (of %d)", d->mps, d->mps_max);
		return;
	}
	add_express(f, d);
	add_flag(f, d, "ATS", d->ats);
	add_iommu(f, d);
	add_bars(f, d);
	if (d->xgmi_hive)
		fact(f, "XGMI hive %llx", (unsigned long long)d->xgmi_hive);
	fact(f, "driver %s", *d->driver ? d->driver : "none");
	if (*d->nodes)
		fact(f, "%s", d->nodes);
}

/* --- tree --------------------------------------------------------------------------------- */

static void print_device(const struct topo_view *v, uint32_t i, const char *prefix, bool last);

/* Does @i hang below @parent (NONE: on the bus of @root)? */
static bool hangs(const struct topo_view *v, uint32_t i, int32_t parent, uint32_t root)
{
	const struct tram_topo_dev *d = tram_topo_dev(v->t, i);

	return parent == TRAM_TOPO_NONE ? d->parent < 0 && d->root == (int32_t)root :
					  d->parent == parent;
}

static void print_children(const struct topo_view *v, int32_t parent, uint32_t root,
			   const char *prefix)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < v->m->n_devs; i++)
		left += hangs(v, i, parent, root) && topo_shown(v, i);
	for (uint32_t i = 0; i < v->m->n_devs; i++)
		if (hangs(v, i, parent, root) && topo_shown(v, i))
			print_device(v, i, prefix, !--left);
}

static bool has_children(const struct topo_view *v, uint32_t i)
{
	for (uint32_t k = 0; k < v->m->n_devs; k++)
		if (tram_topo_dev(v->t, k)->parent == (int32_t)i && topo_shown(v, k))
			return true;
	return false;
}

static void print_device(const struct topo_view *v, uint32_t i, const char *prefix, bool last)
{
	const struct tram_topo_dev *d = tram_topo_dev(v->t, i);
	char below[512], hang[540], name[192], line[320];
	struct facts f = { .n = 0 };

	snprintf(below, sizeof(below), "%s%s", prefix, last ? "   " : "│  ");
	snprintf(hang, sizeof(hang), "%s%s", below, has_children(v, i) ? "│    " : "     ");
	fprintf(v->out, "%s%s ", prefix, last ? "└─" : "├─");
	colored(v, tram_topo_bulk(d) ? BOLD : PLAIN, d->address);
	snprintf(line, sizeof(line), "%s  %s", topo_what(d), topo_name(d, name));
	if (width_of(prefix) + 3 + strlen(d->address) + 2 + width_of(line) <= v->width) {
		fprintf(v->out, "  %s\n", line);
	} else {
		fprintf(v->out, "  %s\n", topo_what(d));
		wrapped(v, hang, hang, name);
	}
	device_facts(&f, d);
	wrapped(v, hang, hang, f.s);
	print_children(v, (int32_t)i, 0, below);
}

static void print_roots(const struct topo_view *v, int32_t node)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < v->m->n_roots; i++)
		left += tram_topo_root(v->t, i)->numa == node && topo_shown_root(v, i);
	for (uint32_t i = 0; i < v->m->n_roots; i++) {
		const struct tram_topo_root *r = tram_topo_root(v->t, i);
		char name[192], line[256];

		if (r->numa != node || !topo_shown_root(v, i))
			continue;
		left--;
		snprintf(line, sizeof(line), "%s  root complex  %s", r->name, r->bridge >= 0 ?
			 topo_name(tram_topo_dev(v->t, (uint32_t)r->bridge), name) : "");
		wrapped(v, left ? "├─ " : "└─ ", left ? "│    " : "     ", line);
		print_children(v, TRAM_TOPO_NONE, i, left ? "│  " : "   ");
	}
}

static void print_machine(const struct topo_view *v)
{
	const struct tram_topo_machine *m = v->m;
	char line[512];

	snprintf(line, sizeof(line), "%s%s, kernel %s (CONFIG_PCI_P2PDMA %s)", *m->cpu ? m->cpu : "CPU unknown",
		 m->guest == 1 ? ", a virtual machine" : "", *m->kernel ? m->kernel : "unknown",
		 m->p2pdma < 0 ? "unknown" : m->p2pdma ? "yes" : "no");
	wrapped(v, "", "  ", line);
}

static void print_tree(const struct topo_view *v)
{
	bool without = false;

	for (uint32_t i = 0; i < v->m->n_nodes; i++) {
		const struct tram_topo_node *n = tram_topo_node(v->t, i);
		char mem[TOOL_TEXT], line[192];

		snprintf(line, sizeof(line), "NUMA node %u  CPUs %s, %s", n->id, *n->cpus ? n->cpus : "none",
			 n->memory ? tool_bytes(n->memory, mem) : "memory unknown");
		wrapped(v, "", "  ", line);
		print_roots(v, (int32_t)n->id);
	}
	for (uint32_t i = 0; i < v->m->n_roots; i++) {
		int32_t numa = tram_topo_root(v->t, i)->numa;
		bool known = false;

		for (uint32_t k = 0; k < v->m->n_nodes; k++)
			known |= (int32_t)tram_topo_node(v->t, k)->id == numa;
		if (known || !topo_shown_root(v, i))
			continue;
		if (!without)
			fprintf(v->out, "NUMA node unknown\n");
		without = true;
		/* A node that the machine does not list is as unknown as none. */
		if (numa < 0) {
			print_roots(v, numa);
			break;
		}
		fprintf(v->out, "└─ %s  root complex of node %d, which is not online\n",
			tram_topo_root(v->t, i)->name, numa);
		print_children(v, TRAM_TOPO_NONE, i, "   ");
	}
}

static void print_hidden(const struct topo_view *v)
{
	uint32_t hidden = 0;

	for (uint32_t i = 0; i < v->m->n_devs; i++)
		hidden += !topo_shown(v, i);
	if (hidden)
		fprintf(v->out, "%u other function%s not shown; --all shows %s\n", hidden,
			hidden > 1 ? "s are" : " is", hidden > 1 ? "them" : "it");
}

/* --- matrix --------------------------------------------------------------------------------- */

#define CELL 9

static int print_cell(const struct topo_view *v, uint32_t a, uint32_t b, bool last)
{
	static const enum color colors[] = { GREEN, RED, YELLOW, YELLOW };
	static const char *const marks[] = { "ok", "no", "?", "?" };
	struct tram_topo_verdict w;
	char cell[16];

	if (a == b) {
		fprintf(v->out, "%-*s", last ? 1 : CELL, "X");
		return 0;
	}
	if (tram_topo_verdict(v->ctx, v->t, a, b, true, &w))
		return -1;
	snprintf(cell, sizeof(cell), "%s %s", tram_topo_class_name(w.distance), marks[w.tier[0]]);
	colored(v, colors[w.tier[0]], cell);
	if (!last)
		fprintf(v->out, "%*s", CELL - (int)strlen(cell), "");
	return 0;
}

static unsigned int address_width(const struct topo_view *v)
{
	size_t n = 0;

	for (uint32_t i = 0; i < v->m->n_devs; i++)
		if (topo_peer(v, i) && strlen(tram_topo_dev(v->t, i)->address) > n)
			n = strlen(tram_topo_dev(v->t, i)->address);
	return (unsigned int)n;
}

/* Columns @from to @to of @peers. */
static int print_block(const struct topo_view *v, const uint32_t *peers, uint32_t n, uint32_t from,
		       uint32_t to)
{
	int left = (int)address_width(v), r = 0;

	fprintf(v->out, "%*s", left + 7, "");
	for (uint32_t k = from; k < to; k++)
		fprintf(v->out, "#%-*u", k + 1 < to ? CELL - 1 : 1, k);
	fputc('\n', v->out);
	for (uint32_t i = 0; i < n && !r; i++) {
		fprintf(v->out, "#%-4u %-*s ", i, left, tram_topo_dev(v->t, peers[i])->address);
		for (uint32_t k = from; k < to && !r; k++)
			r = print_cell(v, peers[i], peers[k], k + 1 == to);
		fputc('\n', v->out);
	}
	return r;
}

static void print_private(const struct topo_view *v, const uint32_t *peers, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t hive = tram_topo_dev(v->t, peers[i])->xgmi_hive;
		bool said = false, first = true;

		for (uint32_t k = 0; k < i; k++)
			said |= tram_topo_dev(v->t, peers[k])->xgmi_hive == hive;
		if (!hive || said)
			continue;
		fprintf(v->out, "private links, not PCIe: XGMI hive %llx joins", (unsigned long long)hive);
		for (uint32_t k = i; k < n; k++)
			if (tram_topo_dev(v->t, peers[k])->xgmi_hive == hive) {
				fprintf(v->out, "%s #%u", first ? "" : ",", k);
				first = false;
			}
		fputc('\n', v->out);
	}
}

static int print_matrix(const struct topo_view *v)
{
	uint32_t *peers = calloc(v->m->n_devs + 1, sizeof(*peers)), n = 0, room;
	int r = 0;

	if (!peers)
		return -1;
	for (uint32_t i = 0; i < v->m->n_devs; i++)
		if (topo_peer(v, i))
			peers[n++] = i;
	if (n > 1) {
		fputc('\n', v->out);
		wrapped(v, "", "  ", "May the row's device write to the column's memory, by topology?");
		room = (v->width - address_width(v) - 7) / CELL;
		room = room ? room : 1;
		for (uint32_t from = 0; from < n && !r; from += room)
			r = print_block(v, peers, n, from, from + room < n ? from + room : n);
		print_private(v, peers, n);
		wrapped(v, "", "  ",
			"PIX below one switch or port, PXB several switches, PHB one host bridge, NODE two host bridges "
			"of a NUMA node, SYS between NUMA nodes. 'tram topo --why A B' tells why and what helps. Mapping, "
			"bytes and ordering are untested: driver not loaded.");
	}
	free(peers);
	return r;
}

int topo_print_text(const struct topo_view *v)
{
	int r;

	print_machine(v);
	print_tree(v);
	if (!v->m->n_devs)
		fprintf(v->out, "no PCI devices\n");
	print_hidden(v);
	r = print_matrix(v);
	return r;
}

/* --- why --------------------------------------------------------------------------------------- */

static void print_reason(const struct topo_view *v, const struct tram_topo_reason *r)
{
	static const char *const weights[] = { "note", "warning", "doubt", "refusal" };
	static const enum color colors[] = { PLAIN, YELLOW, YELLOW, RED };
	char remedy[320];

	fputs("  ", v->out);
	colored(v, colors[r->weight], weights[r->weight]);
	fprintf(v->out, "  %s", tram_topo_code_name(r->code));
	if (r->culprit >= 0)
		fprintf(v->out, "  at %s", tram_topo_dev(v->t, (uint32_t)r->culprit)->address);
	fputc('\n', v->out);
	wrapped(v, "    ", "    ", r->what);
	if (*r->remedy) {
		snprintf(remedy, sizeof(remedy), "remedy: %s", r->remedy);
		wrapped(v, "    ", "      ", remedy);
	}
}

static void print_verdict(const struct topo_view *v, const struct tram_topo_verdict *w)
{
	static const char *const routes[] = {
		"", ": stays in the switch", ": through the host bridge", "",
	};
	static const char *const tiers[] = { "topology", "mapping", "bytes", "ordering" };
	static const enum color colors[] = { GREEN, RED, YELLOW, PLAIN };

	for (size_t i = 0; i < ARRAY_SIZE(tiers); i++) {
		fprintf(v->out, "  %zu %-9s ", i + 1, tiers[i]);
		colored(v, colors[w->tier[i]], topo_answer(w->tier[i]));
		fprintf(v->out, "%s\n", i ? "" : routes[w->route]);
	}
	for (uint32_t i = 0; i < w->n; i++)
		print_reason(v, &w->reason[i]);
}

static bool same_verdict(const struct tram_topo_verdict *a, const struct tram_topo_verdict *b)
{
	if (a->n != b->n || memcmp(a->tier, b->tier, sizeof(a->tier)))
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->reason[i].code != b->reason[i].code || strcmp(a->reason[i].what, b->reason[i].what))
			return false;
	return true;
}

int topo_print_why(const struct topo_view *v, uint32_t a, uint32_t b)
{
	struct tram_topo_verdict write, read;
	const uint32_t two[] = { a, b };
	char name[192], line[400];

	if (tram_topo_verdict(v->ctx, v->t, a, b, true, &write) ||
	    tram_topo_verdict(v->ctx, v->t, a, b, false, &read))
		return -1;
	for (int i = 0; i < 2; i++) {
		const struct tram_topo_dev *d = tram_topo_dev(v->t, two[i]);

		snprintf(line, sizeof(line), "%s %s  %s  %s", i ? "target   " : "initiator", d->address,
			 topo_what(d), topo_name(d, name));
		wrapped(v, "", "          ", line);
	}
	snprintf(line, sizeof(line), "distance  %s: %s", tram_topo_class_name(write.distance),
		 topo_distance(write.distance));
	wrapped(v, "", "          ", line);
	if (same_verdict(&write, &read)) {
		fprintf(v->out, "write and read\n");
		print_verdict(v, &write);
		return 0;
	}
	fprintf(v->out, "write\n");
	print_verdict(v, &write);
	fprintf(v->out, "read\n");
	print_verdict(v, &read);
	return 0;
}
