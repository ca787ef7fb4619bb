/* SPDX-License-Identifier: MIT */
/*
 * The room: source.c (a root folder or a recording, one interface),
 * recording.c (its text), read.c (the machine from a source), config.c (config
 * space), names.c (pci.ids), verdict.c (who may reach whom).
 */
#ifndef TRAM_TOPO_TOPO_H
#define TRAM_TOPO_TOPO_H

#include <tram/topo.h>

#include "base/file.h"
#include "base/sbuf.h"
#include "base/vec.h"

struct tram_topo {
	struct tram_ctx *ctx;
	struct tram_topo_machine machine;
	TRAM_VEC(struct tram_topo_dev) devs;	/* by address */
	TRAM_VEC(struct tram_topo_root) roots;
	TRAM_VEC(struct tram_topo_node) nodes;
};

/* --- sources ----------------------------------------------------------------------- */

enum topo_kind {
	TOPO_LIST = 'd',	/* names in a folder, sorted, each ended by a NUL */
	TOPO_TEXT = 'f',	/* without the newline at the end */
	TOPO_LINK = 'l',
	TOPO_BYTES = 'x',	/* config space */
};

#define TOPO_CONFIG 4096	/* most bytes of config space */
#define TOPO_TEXT_MAX 65536	/* most bytes of a text or a folder's names */
#define TOPO_RECORDING_MAX (32u << 20)

struct topo_entry {
	const char *path, *value;	/* in the recording's text; escapes are undone */
	size_t n;			/* of value */
	enum topo_kind kind;
	int err;			/* -errno of the recorded read, or 0 */
};

struct topo_source {
	struct tram_ctx *ctx;
	const char *root;		/* a folder; NULL: a recording */
	const char *name;		/* for messages */
	char *text;
	TRAM_VEC(struct topo_entry) entries;	/* by path, then kind */
	bool log;			/* keep what is read in ->lines */
	TRAM_VEC(char *) lines;
};

/* The value in *@data with a NUL behind it (tram_free). -errno as data; only -ENOMEM is a failure. */
int topo_get(struct topo_source *src, enum topo_kind kind, const char *path, char **data,
	     size_t *n);
int topo_source_folder(struct tram_ctx *ctx, const char *root, struct topo_source *src);
int topo_source_recording(struct tram_ctx *ctx, const struct tram_source *file,
			  struct topo_source *src);
void topo_source_close(struct topo_source *src);

/* recording.c */
int topo_recording_parse(struct topo_source *src, const char *name, size_t n);
int topo_log(struct topo_source *src, enum topo_kind kind, const char *path, int err,
	     const char *data, size_t n);
int topo_recording_write(struct topo_source *src, const char *file);
int topo_config_decode(const struct topo_entry *e, char *config, size_t *n);

/* --- reading ------------------------------------------------------------------------ */

int topo_read(struct tram_ctx *ctx, struct topo_source *src, const char *names,
	      struct tram_topo **topo);
int topo_names(struct tram_ctx *ctx, struct topo_source *src, const char *names,
	       struct tram_topo *t);
/* Fills what config space tells; @n bytes of it could be read. */
void topo_config(struct tram_topo_dev *d, const uint8_t *c, size_t n);
/* Zeroes the Device Serial Number (PCIe 7.9.3). */
void topo_forget_serial(uint8_t *c, size_t n);
/* Bytes that would hurt a terminal become '?'. */
void topo_clean(char *s);

#endif
