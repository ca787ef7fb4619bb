/* SPDX-License-Identifier: MIT */
/* Pictures of a machine: dot for graphviz, SVG as it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "topo.h"

static void escaped(FILE *f, const char *s, bool xml)
{
	for (; *s; s++)
		if (xml && (*s == '<' || *s == '>' || *s == '&' || *s == '"'))
			fprintf(f, "&#%d;", *s);
		else if (!xml && (*s == '"' || *s == '\\'))
			fprintf(f, "\\%c", *s);
		else
			fputc(*s, f);
}

static const char *fill_of(const struct tram_topo_dev *d)
{
	if (tram_topo_is_bridge(d))
		return "#e8eaf0";
	switch (d->class_code >> 16) {
	case 0x03:
	case 0x12:
		return "#cfe8cf";
	case 0x01:
		return "#f3e2c4";
	case 0x02:
		return "#cfe0f5";
	default:
		return "#f4f4f4";
	}
}

/* --- dot ------------------------------------------------------------------------------- */

int topo_print_dot(const struct topo_view *v)
{
	char name[192], link[64];

	fprintf(v->out, "digraph machine {\n\trankdir=LR;\n\tnode [shape=box, style=filled, fontname=\"sans-serif\"];\n");
	for (uint32_t i = 0; i < v->m->n_nodes; i++)
		fprintf(v->out, "\t\"node%u\" [label=\"NUMA node %u\", fillcolor=\"#dddddd\"];\n",
			tram_topo_node(v->t, i)->id, tram_topo_node(v->t, i)->id);
	for (uint32_t i = 0; i < v->m->n_roots; i++) {
		const struct tram_topo_root *r = tram_topo_root(v->t, i);

		if (!topo_shown_root(v, i))
			continue;
		fputs("\t\"", v->out);
		escaped(v->out, r->name, false);
		fputs("\" [fillcolor=\"#eeeeee\"];\n", v->out);
		if (r->numa < 0)
			continue;
		fprintf(v->out, "\t\"node%d\" -> \"", r->numa);
		escaped(v->out, r->name, false);
		fputs("\";\n", v->out);
	}
	for (uint32_t i = 0; i < v->m->n_devs; i++) {
		const struct tram_topo_dev *d = tram_topo_dev(v->t, i);

		if (!topo_shown(v, i))
			continue;
		fprintf(v->out, "\t\"%s\" [label=\"%s\\n%s\\n", d->address, d->address, topo_what(d));
		escaped(v->out, topo_name(d, name), false);
		fprintf(v->out, "\", fillcolor=\"%s\"];\n\t\"", fill_of(d));
		if (d->parent >= 0)
			fputs(tram_topo_dev(v->t, (uint32_t)d->parent)->address, v->out);
		else
			escaped(v->out, tram_topo_root(v->t, (uint32_t)d->root)->name, false);
		fprintf(v->out, "\" -> \"%s\" [label=\"%s\"];\n", d->address, topo_link(d, link));
	}
	fprintf(v->out, "}\n");
	return 0;
}

/* --- SVG ----------------------------------------------------------------------------------- */

enum { BOX_W = 230, BOX_H = 46, GAP_X = 90, GAP_Y = 14, MARGIN = 20 };

struct place { unsigned int depth, row; bool shown; };

struct drawing {
	const struct topo_view *v;
	FILE *f;
	struct place *at;	/* a device each */
	unsigned int rows, depth;
};

static unsigned int x_of(unsigned int depth)
{
	return MARGIN + depth * (BOX_W + GAP_X);
}

static unsigned int y_of(unsigned int row)
{
	return MARGIN + 30 + row * (BOX_H + GAP_Y);
}

/* A leaf takes a row; a bridge stands in the row of its first child. */
static void layout(struct drawing *g, uint32_t i, unsigned int depth)
{
	const struct topo_view *v = g->v;
	unsigned int row = g->rows;
	bool leaf = true;

	g->at[i] = (struct place){ depth, row, true };
	g->depth = depth > g->depth ? depth : g->depth;
	for (uint32_t k = 0; k < v->m->n_devs; k++)
		if (tram_topo_dev(v->t, k)->parent == (int32_t)i && topo_shown(v, k)) {
			layout(g, k, depth + 1);
			leaf = false;
		}
	if (leaf)
		g->rows++;
}

/* At most @max code points of @s. */
static void text_line(FILE *f, unsigned int x, unsigned int y, const char *style, const char *s, unsigned int max)
{
	char cut[256];
	unsigned int n = 0;
	size_t at = 0;

	for (; s[at] && at + 8 < sizeof(cut); at++) {
		if (((unsigned char)s[at] & 0xc0) != 0x80 && ++n > max)
			break;
		cut[at] = s[at];
	}
	strcpy(cut + at, s[at] ? "…" : "");
	fprintf(f, "<text x=\"%u\" y=\"%u\" %s>", x, y, style);
	escaped(f, cut, true);
	fputs("</text>\n", f);
}

static void box(struct drawing *g, unsigned int depth, unsigned int row, const char *fill, const char *first,
		const char *second)
{
	unsigned int x = x_of(depth), y = y_of(row);

	fprintf(g->f, "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" rx=\"5\" fill=\"%s\" stroke=\"#556\"/>\n", x, y,
		BOX_W, BOX_H, fill);
	text_line(g->f, x + 8, y + 19, "font-weight=\"bold\"", first, 30);
	text_line(g->f, x + 8, y + 37, "font-size=\"11\"", second, 38);
}

static void edge(struct drawing *g, unsigned int depth, unsigned int from, unsigned int to, const char *label)
{
	unsigned int x = x_of(depth) + BOX_W, mid = x + 12, end = x + GAP_X;

	fprintf(g->f, "<path d=\"M%u %uH%uV%uH%u\" fill=\"none\" stroke=\"#556\"/>\n", x, y_of(from) + BOX_H / 2, mid,
		y_of(to) + BOX_H / 2, end);
	if (*label)
		text_line(g->f, mid + 2, y_of(to) + BOX_H / 2 - 4, "font-size=\"9\"", label, 18);
}

static void draw_device(struct drawing *g, uint32_t i)
{
	const struct tram_topo_dev *d = tram_topo_dev(g->v->t, i);
	char first[96], name[192], link[64], *of;

	snprintf(first, sizeof(first), "%s  %s", d->address, topo_what(d));
	box(g, g->at[i].depth, g->at[i].row, fill_of(d), first, topo_name(d, name));
	topo_link(d, link);
	of = strstr(link, " (");	/* no room for the most */
	if (of)
		*of = '\0';
	if (d->parent >= 0)
		edge(g, g->at[d->parent].depth, g->at[d->parent].row, g->at[i].row, link);
}

static void place_roots(struct drawing *g, unsigned int *row_of_root)
{
	const struct topo_view *v = g->v;

	for (uint32_t r = 0; r < v->m->n_roots; r++) {
		row_of_root[r] = g->rows;
		for (uint32_t i = 0; i < v->m->n_devs; i++) {
			const struct tram_topo_dev *d = tram_topo_dev(v->t, i);

			if (d->root == (int32_t)r && d->parent < 0 && topo_shown(v, i))
				layout(g, i, 1);
		}
	}
}

static void draw(struct drawing *g, const unsigned int *row_of_root)
{
	const struct topo_view *v = g->v;
	unsigned int w, h;

	w = x_of(g->depth) + BOX_W + MARGIN;
	h = y_of(g->rows ? g->rows : 1) + MARGIN;
	fprintf(g->f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		w, h, w, h);
	text_line(g->f, MARGIN, MARGIN + 8, "font-size=\"15\"", v->m->n_devs ? (*v->m->cpu ? v->m->cpu : "PCI devices") :
		  "no PCI devices", 100);
	for (uint32_t r = 0; r < v->m->n_roots; r++) {
		const struct tram_topo_root *root = tram_topo_root(v->t, r);
		char node[48];

		if (!topo_shown_root(v, r))
			continue;
		if (root->numa < 0)
			snprintf(node, sizeof(node), "NUMA node unknown");
		else
			snprintf(node, sizeof(node), "NUMA node %d", root->numa);
		box(g, 0, row_of_root[r], "#dddddd", root->name, node);
	}
	for (uint32_t i = 0; i < v->m->n_devs; i++) {
		const struct tram_topo_dev *d = tram_topo_dev(v->t, i);

		if (!g->at[i].shown)
			continue;
		draw_device(g, i);
		if (d->parent < 0)
			edge(g, 0, row_of_root[d->root], g->at[i].row, "");
	}
	fputs("</svg>\n", g->f);
}

int topo_write_svg(const struct topo_view *v, const char *path)
{
	struct drawing g = { .v = v, .at = calloc(v->m->n_devs + 1, sizeof(*g.at)) };
	unsigned int *row_of_root = calloc(v->m->n_roots + 1, sizeof(*row_of_root));
	int r = -ENOMEM;

	if (g.at && row_of_root) {
		g.f = fopen(path, "we");
		r = g.f ? 0 : -errno;
	}
	if (!r) {
		place_roots(&g, row_of_root);
		draw(&g, row_of_root);
		if (ferror(g.f))
			r = -EIO;
		if (fclose(g.f) && !r)
			r = -errno;
	}
	free(g.at);
	free(row_of_root);
	return r;
}
