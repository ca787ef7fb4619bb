/* SPDX-License-Identifier: MIT */
/* The forms of `tram topo`: topo_text.c for people, topo_json.c for scripts, topo_draw.c pictures. */
#ifndef TRAM_TOOL_TOPO_H
#define TRAM_TOOL_TOPO_H

#include <tram/topo.h>

#include "tool.h"

struct topo_view {
	struct tram_ctx *ctx;
	const struct tram_topo *t;
	const struct tram_topo_machine *m;
	bool all;		/* every function, not only what moves bulk data and the way to it */
	bool color;
	unsigned int width;	/* columns */
	FILE *out;
};

/* Is it drawn: asked for, or on the way to one that moves bulk data? */
bool topo_shown(const struct topo_view *v, uint32_t i);
bool topo_shown_root(const struct topo_view *v, uint32_t root);
/* Does it stand in the matrix? */
bool topo_peer(const struct topo_view *v, uint32_t i);

const char *topo_what(const struct tram_topo_dev *d);		/* "GPU", "switch port (up)" */
const char *topo_name(const struct tram_topo_dev *d, char buf[192]);	/* vendor and device, or ids */
const char *topo_link(const struct tram_topo_dev *d, char buf[64]);	/* "16.0 GT/s x16", "" none */
const char *topo_answer(enum tram_topo_answer a);
const char *topo_distance(enum tram_topo_class c);		/* in words */

int topo_print_text(const struct topo_view *v);
int topo_print_why(const struct topo_view *v, uint32_t a, uint32_t b);
int topo_print_json(const struct topo_view *v);
int topo_print_why_json(const struct topo_view *v, uint32_t a, uint32_t b);
int topo_print_dot(const struct topo_view *v);
int topo_write_svg(const struct topo_view *v, const char *path);	/* 0 or -errno */

#endif
