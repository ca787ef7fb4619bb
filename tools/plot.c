/* SPDX-License-Identifier: MIT */
/* Curves: in a terminal with Braille dots, and as SVG. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

struct range { double min, max; };

static void extend(struct range *r, const double *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (isfinite(v[i])) {
			r->min = fmin(r->min, v[i]);
			r->max = fmax(r->max, v[i]);
		}
}

static struct range range_of(const double *v, size_t n)
{
	struct range r = { HUGE_VAL, -HUGE_VAL };

	extend(&r, v, n);
	return r;
}

static double place(const struct range *r, double v)
{
	return r->max > r->min ? (v - r->min) / (r->max - r->min) : 0.5;
}

/* --- terminal ------------------------------------------------------------------------ */

/* A Braille character holds 2 x 4 dots: U+2800 plus a bit a dot. */
static void print_cell(FILE *f, unsigned int bits)
{
	unsigned int cp = 0x2800 + bits;

	fputc(0xe0 | cp >> 12, f);
	fputc(0x80 | ((cp >> 6) & 0x3f), f);
	fputc(0x80 | (cp & 0x3f), f);
}

static void set_dot(unsigned char *cells, unsigned int width, unsigned int x, unsigned int y)
{
	static const unsigned char bit[4][2] = { { 1, 8 }, { 2, 16 }, { 4, 32 }, { 64, 128 } };

	cells[(y / 4) * width + x / 2] |= bit[y % 4][x % 2];
}

void tool_plot(FILE *f, const double *x, const double *y, size_t n, unsigned int width,
	       unsigned int height, const char *x_name, const char *y_name)
{
	struct range rx = range_of(x, n), ry = range_of(y, n);
	unsigned char *cells = calloc((size_t)width * height, 1);

	if (!cells || n < 2 || !(ry.max >= ry.min)) {
		free(cells);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (isfinite(y[i]))
			set_dot(cells, width, (unsigned int)(place(&rx, x[i]) * (2 * width - 1)),
				(unsigned int)((1 - place(&ry, y[i])) * (4 * height - 1)));
	fprintf(f, "%9s\n", y_name);
	for (unsigned int r = 0; r < height; r++) {
		if (r == 0 || r == height - 1)
			fprintf(f, "%9.4g ", r ? ry.min : ry.max);
		else
			fprintf(f, "%10s", "");
		fputs("\xe2\x94\x82", f);
		for (unsigned int c = 0; c < width; c++)
			print_cell(f, cells[r * width + c]);
		fputc('\n', f);
	}
	fprintf(f, "%10s\xe2\x94\x94", "");
	for (unsigned int c = 0; c < width; c++)
		fputs("\xe2\x94\x80", f);
	fprintf(f, "\n%10s %-*.6g%.6g %s\n", "", (int)(width > 14 ? width - 14 : 1), rx.min, rx.max,
		x_name);
	free(cells);
}

/* --- SVG -------------------------------------------------------------------------------- */

enum { W = 720, H = 420, LEFT = 70, RIGHT = 20, TOP = 40, BOTTOM = 50 };

static double svg_x(const struct range *r, double v)
{
	return LEFT + place(r, v) * (W - LEFT - RIGHT);
}

static double svg_y(const struct range *r, double v)
{
	return TOP + (1 - place(r, v)) * (H - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, about @n of them in the range. */
static double tick_step(const struct range *r, int n)
{
	double raw = (r->max - r->min) / n, base;

	if (!(raw > 0))
		return 1;
	base = pow(10, floor(log10(raw)));
	if (raw / base < 1.5)
		return base;
	return raw / base < 3.5 ? 2 * base : raw / base < 7.5 ? 5 * base : 10 * base;
}

static void svg_axes(FILE *f, const struct range *rx, const struct range *ry, const char *x_name,
		     const char *y_name)
{
	double step = tick_step(ry, 6);

	for (double v = ceil(ry->min / step) * step; v <= ry->max; v += step)
		fprintf(f, "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/>"
			"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
			LEFT, svg_y(ry, v), W - RIGHT, LEFT - 8, svg_y(ry, v) + 4, v);
	step = tick_step(rx, 8);
	for (double v = ceil(rx->min / step) * step; v <= rx->max; v += step)
		fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
			svg_x(rx, v), H - BOTTOM + 20, v);
	fprintf(f, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#333\"/>\n", LEFT, TOP,
		H - BOTTOM, W - RIGHT);
	fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
		(W + LEFT - RIGHT) / 2, H - 12, x_name);
	fprintf(f, "<text transform=\"translate(18 %d) rotate(-90)\" text-anchor=\"middle\">%s"
		"</text>\n", (H + TOP - BOTTOM) / 2, y_name);
}

int tool_plot_svg(const char *path, const char *title, const char *x_name, const char *y_name,
		  const double *x, const double *y, size_t n,
		  const double *x2, const double *y2, size_t n2)
{
	struct range rx = range_of(x, n), ry = range_of(y, n);
	FILE *f;
	int bad;

	if (n < 1 || !(ry.max >= ry.min))
		return 0;
	extend(&rx, x2, n2);
	extend(&ry, y2, n2);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"%d\" y=\"24\" font-size=\"15\">%s</text>\n", W, H, W, H, LEFT, title);
	svg_axes(f, &rx, &ry, x_name, y_name);
	fprintf(f, "<polyline fill=\"none\" stroke=\"#2563a8\" stroke-width=\"1.5\" points=\"");
	for (size_t i = 0; i < n; i++)
		if (isfinite(y[i]))
			fprintf(f, "%.1f,%.1f ", svg_x(&rx, x[i]), svg_y(&ry, y[i]));
	fprintf(f, "\"/>\n");
	for (size_t i = 0; i < n2; i++)
		if (isfinite(y2[i]))
			fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#c2410c\"/>\n",
				svg_x(&rx, x2[i]), svg_y(&ry, y2[i]));
	if (n2)
		fprintf(f, "<g><path d=\"M%d 20h24\" stroke=\"#2563a8\" stroke-width=\"2\"/>"
			"<text x=\"%d\" y=\"24\">training</text><circle cx=\"%d\" cy=\"20\" r=\"4\" "
			"fill=\"#c2410c\"/><text x=\"%d\" y=\"24\">held out</text></g>\n",
			W - 210, W - 180, W - 100, W - 90);
	fprintf(f, "</svg>\n");
	bad = ferror(f);
	if (fclose(f) || bad)
		return -EIO;
	return 0;
}
