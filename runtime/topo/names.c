/* SPDX-License-Identifier: MIT */
/*
 * Names of vendors and devices from pci.ids (https://pci-ids.ucw.cz), in one
 * pass over the file. A recording carries the few lines it needs.
 */
#include "topo/topo.h"

#include <stdlib.h>

#define NAMES_PATH "usr/share/misc/pci.ids"
#define NAMES_MAX (16u << 20)

static bool id_at(const char *s, uint32_t *id)
{
	char four[5] = { 0 }, *end;

	memcpy(four, s, strnlen(s, 4));
	*id = (uint32_t)strtoul(four, &end, 16);
	return end == four + 4 && s[4] == ' ' && s[5] == ' ';
}

static void set_name(char *to, size_t size, const char *from)
{
	size_t n = TRAM_MIN(strcspn(from, "\n"), size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
	topo_clean(to);
}

static bool name_vendor(struct tram_topo *t, uint32_t id, const char *name)
{
	bool any = false;

	for (size_t i = 0; i < t->devs.n; i++)
		if (t->devs.v[i].vendor == id) {
			set_name(t->devs.v[i].vendor_name, sizeof(t->devs.v[i].vendor_name), name);
			any = true;
		}
	return any;
}

static void scan(struct tram_topo *t, const char *text)
{
	uint32_t vendor = 0, id;
	bool ours = false;

	for (const char *s = text, *next; s && *s; s = next) {
		next = strchr(s, '\n');
		next = next ? next + 1 : NULL;
		if (*s == 'C' && s[1] == ' ')
			return;		/* classes follow */
		if (*s != '\t' && *s != '#' && *s != '\n') {
			ours = id_at(s, &vendor) && name_vendor(t, vendor, s + 6);
			continue;
		}
		if (!ours || *s != '\t' || s[1] == '\t' || !id_at(s + 1, &id))
			continue;
		for (size_t i = 0; i < t->devs.n; i++)
			if (t->devs.v[i].vendor == vendor && t->devs.v[i].device == id)
				set_name(t->devs.v[i].device_name,
					 sizeof(t->devs.v[i].device_name), s + 7);
	}
}

/* The lines a recording needs, in the format of pci.ids. */
static int log_names(struct topo_source *src, const struct tram_topo *t)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(src->ctx);
	int err;

	for (size_t i = 0; i < t->devs.n; i++) {
		const struct tram_topo_dev *d = &t->devs.v[i];
		bool said = false;

		for (size_t j = 0; j < i && !said; j++)
			said = t->devs.v[j].vendor == d->vendor && t->devs.v[j].device == d->device;
		if (said || !*d->vendor_name)
			continue;
		tram_sbuf_addf(&sb, "%04x  %s\n", d->vendor, d->vendor_name);
		if (*d->device_name)
			tram_sbuf_addf(&sb, "\t%04x  %s\n", d->device, d->device_name);
	}
	err = sb.err;
	if (!err && sb.n)
		err = topo_log(src, TOPO_TEXT, NAMES_PATH, 0, sb.s, sb.n - 1);
	tram_sbuf_free(&sb);
	return err;
}

/* No list is no failure: ids are shown then. */
static int load(struct topo_source *src, const char *names, char **text)
{
	static const char *const places[] = { "/" NAMES_PATH, "/usr/share/hwdata/pci.ids" };
	char *path;
	size_t n;
	int err;

	*text = NULL;
	if (names)
		return tram_file_load(src->ctx, names, NAMES_MAX, text, &n);
	if (!src->root) {
		err = topo_get(src, TOPO_TEXT, NAMES_PATH, text, &n);
		return err == -ENOMEM ? err : 0;
	}
	path = tram_asprintf(src->ctx, "%s/%s", src->root, NAMES_PATH);
	if (!path)
		return -ENOMEM;
	err = tram_file_load(src->ctx, path, NAMES_MAX, text, &n);
	tram_free(src->ctx, path);
	for (size_t i = 0; err && err != -ENOMEM && i < TRAM_ARRAY_SIZE(places); i++)
		err = tram_file_load(src->ctx, places[i], NAMES_MAX, text, &n);
	return err == -ENOMEM ? err : 0;
}

int topo_names(struct tram_ctx *ctx, struct topo_source *src, const char *names,
	       struct tram_topo *t)
{
	char *text;
	int err;

	if (!t->devs.n)
		return 0;
	err = load(src, names, &text);
	if (err || !text)
		return err;
	scan(t, text);
	tram_free(ctx, text);
	return src->log ? log_names(src, t) : 0;
}
