/* SPDX-License-Identifier: MIT */
/*
 * The machine from a source: start at topo_read(). Paths below are those of
 * the kernel's Documentation/ABI/testing/sysfs-bus-pci and sysfs-devices-node.
 */
#include "topo/topo.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define DEVICES "sys/bus/pci/devices"
#define DEVICES_MAX 16384	/* functions; the largest hosts have a few thousand */
#define DEPTH_MAX 64		/* bridges above a device; a domain has 256 buses */

void topo_clean(char *s)
{
	for (size_t n = strlen(s), i = 0; i < n;) {
		size_t len = tram_utf8_len(s + i, n - i);

		/* C1 controls (U+0080 to U+009F) steer terminals too. */
		if (!len || (unsigned char)s[i] < 0x20 || s[i] == 0x7f ||
		    (len == 2 && (unsigned char)s[i] == 0xc2 && (unsigned char)s[i + 1] < 0xa0)) {
			s[i] = '?';
			len = 1;
		}
		i += len;
	}
}

/* Small reads: missing or unreadable is no failure. Each returns 0 or -ENOMEM. */

static int get_text(struct topo_source *src, const char *dir, const char *file, char *out, size_t size)
{
	char path[256], *data;
	size_t n;
	int err;

	out[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	err = topo_get(src, TOPO_TEXT, path, &data, &n);
	if (err)
		return err == -ENOMEM ? err : 0;
	n = TRAM_MIN(strcspn(data, "\n"), size - 1);
	memcpy(out, data, n);
	out[n] = '\0';
	topo_clean(out);
	tram_free(src->ctx, data);
	return 0;
}

static int get_u64(struct topo_source *src, const char *dir, const char *file, int base,
		   bool *there, uint64_t *out)
{
	char text[64], *end;
	int err = get_text(src, dir, file, text, sizeof(text));

	*out = 0;
	*there = false;
	if (err || !isxdigit((unsigned char)text[0]))
		return err;
	errno = 0;
	*out = strtoull(text, &end, base);
	*there = !*end && !errno;
	return 0;
}

/* The last component of a link; "" when there is none. */
static int get_link(struct topo_source *src, const char *dir, const char *file, char *out, size_t size)
{
	char path[256], *data, *slash;
	size_t n;
	int err;

	out[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	err = topo_get(src, TOPO_LINK, path, &data, &n);
	if (err)
		return err == -ENOMEM ? err : 0;
	slash = strrchr(data, '/');
	slash = slash ? slash + 1 : data;
	n = TRAM_MIN(strlen(slash), size - 1);
	memcpy(out, slash, n);
	out[n] = '\0';
	topo_clean(out);
	tram_free(src->ctx, data);
	return 0;
}

/* Where a device hangs */

/* "0000:01:00.0", exactly: domain of 4 to 8 digits. */
static bool parse_address(const char *s, size_t n, struct tram_topo_dev *d)
{
	char text[24], back[24];
	unsigned int domain, bus, slot, fn;

	if (n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	if (sscanf(text, "%8x:%2x:%2x.%1x", &domain, &bus, &slot, &fn) != 4)
		return false;
	snprintf(back, sizeof(back), "%04x:%02x:%02x.%x", domain, bus, slot, fn);
	if (strcmp(text, back) || slot > 31 || fn > 7)
		return false;
	d->domain = domain;
	d->bus = bus;
	d->slot = slot;
	d->function = fn;
	memcpy(d->address, text, n + 1);
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct tram_topo_dev *x = a, *y = b;
	uint64_t p = (uint64_t)x->domain << 16 | x->bus << 8 | x->slot << 3 | x->function;
	uint64_t q = (uint64_t)y->domain << 16 | y->bus << 8 | y->slot << 3 | y->function;

	return p < q ? -1 : p > q;
}

/* Needs ->devs sorted. */
static int32_t find_dev(const struct tram_topo *t, const char *address, size_t n)
{
	const struct tram_topo_dev *found = NULL;
	struct tram_topo_dev key;

	if (t->devs.n && parse_address(address, n, &key))
		found = bsearch(&key, t->devs.v, t->devs.n, sizeof(*t->devs.v), by_address);
	return found ? (int32_t)(found - t->devs.v) : TRAM_TOPO_NONE;
}

static int add_root(struct tram_topo *t, const char *name, size_t n, int32_t *out)
{
	struct tram_topo_root r = { .numa = TRAM_TOPO_UNKNOWN, .bridge = TRAM_TOPO_NONE };

	n = TRAM_MIN(n, sizeof(r.name) - 1);
	memcpy(r.name, name, n);
	topo_clean(r.name);
	for (size_t i = 0; i < t->roots.n; i++)
		if (!strcmp(t->roots.v[i].name, r.name)) {
			*out = (int32_t)i;
			return 0;
		}
	*out = (int32_t)t->roots.n;
	return tram_vec_push(t->ctx, &t->roots, r);
}

/*
 * The link's target is the way down: .../pci0000:00/0000:00:01.0/0000:01:00.0.
 * The component before the last is the bridge above, or the host bridge.
 */
static int place(struct topo_source *src, struct tram_topo *t, struct tram_topo_dev *d)
{
	char path[128], *link, *last, *above;
	struct tram_topo_dev up;
	size_t n;
	int err;

	snprintf(path, sizeof(path), DEVICES "/%s", d->address);
	err = topo_get(src, TOPO_LINK, path, &link, &n);
	if (err == -ENOMEM)
		return err;
	if (err)
		return tram_fail(t->ctx, -EINVAL, "%s: %s: is no symbolic link, so where the device hangs is "
				 "unknown; copy sysfs with its links (cp -a)", src->name, path);
	last = strrchr(link, '/');
	if (last)
		*last = '\0';
	above = last ? strrchr(link, '/') : NULL;
	if (!above || strcmp(last + 1, d->address)) {
		err = tram_fail(t->ctx, -EINVAL, "%s: %s: its link ends in \"%.60s\", \"BRIDGE/%s\" expected; "
				"record the machine again", src->name, path, last ? last + 1 : link, d->address);
	} else if (parse_address(above + 1, strlen(above + 1), &up)) {
		d->parent = find_dev(t, above + 1, strlen(above + 1));
		if (d->parent < 0)
			err = tram_fail(t->ctx, -EINVAL, "%s: %s: its bridge %s is not there; read or record "
					"the machine again", src->name, d->address, above + 1);
	} else if (!strncmp(above + 1, "pci", 3)) {
		err = add_root(t, above + 1, strlen(above + 1), &d->root);
	} else {
		err = tram_fail(t->ctx, -EINVAL, "%s: %s: hangs below \"%.60s\", a bridge or pciDDDD:BB "
				"expected; read or record the machine again", src->name, d->address, above + 1);
	}
	tram_free(t->ctx, link);
	return err;
}

/* Roots of what hangs below bridges. VMD makes a root complex below a device: it is one of its own. */
static int inherit_roots(struct topo_source *src, struct tram_topo *t)
{
	for (size_t i = 0; i < t->devs.n; i++) {
		const struct tram_topo_dev *d = &t->devs.v[i];
		int depth = 0;

		for (; d->parent >= 0 && depth <= DEPTH_MAX; depth++)
			d = &t->devs.v[d->parent];
		if (depth > DEPTH_MAX)
			return tram_fail(t->ctx, -EINVAL, "%s: %s: more than %d bridges above it, or they form a loop; "
					 "record the machine again", src->name, t->devs.v[i].address, DEPTH_MAX);
		t->devs.v[i].root = d->root;
	}
	return 0;
}

/* What each device says of itself */

static int read_config(struct topo_source *src, const char *dir, struct tram_topo_dev *d)
{
	char path[128], *data;
	size_t n;
	int err;

	snprintf(path, sizeof(path), "%s/config", dir);
	err = topo_get(src, TOPO_BYTES, path, &data, &n);
	if (err)
		return err == -ENOMEM ? err : 0;
	topo_config(d, (const uint8_t *)data, n);
	tram_free(src->ctx, data);
	return 0;
}

/* "16.0 GT/s PCIe", "8 GT/s"; the kernel writes "Unknown" and widths of 0 or 255 where there is no link. */
static int read_speed(struct topo_source *src, const char *dir, const char *file, int32_t *out)
{
	char text[48];
	double gts;
	int err = get_text(src, dir, file, text, sizeof(text));

	if (!err && sscanf(text, "%7lf GT/s", &gts) == 1 && gts > 0 && gts < 1000)
		*out = (int32_t)(gts * 1000 + 0.5);
	return err;
}

static int read_width(struct topo_source *src, const char *dir, const char *file, int32_t *out)
{
	uint64_t v;
	bool there;
	int err = get_u64(src, dir, file, 10, &there, &v);

	if (!err && there && v && v <= 64)
		*out = (int32_t)v;
	return err;
}

/* Anyone may read these; config space tells more, if it could be read. */
static int read_link(struct topo_source *src, const char *dir, struct tram_topo_dev *d)
{
	int err = read_speed(src, dir, "current_link_speed", &d->speed_now);

	if (!err)
		err = read_speed(src, dir, "max_link_speed", &d->speed_max);
	if (!err)
		err = read_width(src, dir, "current_link_width", &d->width_now);
	if (!err)
		err = read_width(src, dir, "max_link_width", &d->width_max);
	return err;
}

/* "start end flags" a line; flags are those of include/linux/ioport.h. */
static void parse_resources(struct tram_topo_dev *d, const char *text)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(d->bar) && *text; i++) {
		unsigned long long start, end, flags;

		if (sscanf(text, "%llx %llx %llx", &start, &end, &flags) == 3 && end > start &&
		    end - start < 1ull << 52) {
			d->bar[i].size = end - start + 1;
			d->bar[i].memory = flags & 0x200;
			d->bar[i].prefetchable = flags & 0x2000;
			d->bar[i].wide = flags & 0x100000;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

static int read_bars(struct topo_source *src, const char *dir, struct tram_topo_dev *d)
{
	char path[128], *data;
	size_t n;
	int err;

	snprintf(path, sizeof(path), "%s/resource", dir);
	err = topo_get(src, TOPO_TEXT, path, &data, &n);
	if (err)
		return err == -ENOMEM ? err : 0;
	parse_resources(d, data);
	tram_free(src->ctx, data);
	return 0;
}

/* resourceN_resize: bit n is 2^(20 + n) bytes; readable by anyone. */
static int read_resizable(struct topo_source *src, const char *dir, struct tram_topo_dev *d)
{
	for (int i = 0; i < 6; i++) {
		char file[32];
		uint64_t v;
		bool there;
		int err;

		snprintf(file, sizeof(file), "resource%d_resize", i);
		err = get_u64(src, dir, file, 16, &there, &v);
		if (err)
			return err;
		if (!there)
			continue;
		d->resizable = 1;
		d->bar[i].possible = v < 1ull << 43 ? v << 20 : 0;
	}
	return 0;
}

static int read_group(struct topo_source *src, const char *dir, struct tram_topo_dev *d)
{
	static const struct { const char *text; enum tram_topo_iommu is; } types[] = {
		{ "DMA", TRAM_TOPO_IOMMU_TRANSLATED }, { "DMA-FQ", TRAM_TOPO_IOMMU_TRANSLATED },
		{ "identity", TRAM_TOPO_IOMMU_IDENTITY }, { "blocked", TRAM_TOPO_IOMMU_BLOCKED },
		{ "unmanaged", TRAM_TOPO_IOMMU_UNMANAGED },
	};
	char text[32], group[64], *end;
	unsigned long v;
	int err = get_link(src, dir, "iommu_group", text, sizeof(text));

	d->iommu_group = TRAM_TOPO_NONE;
	d->iommu = TRAM_TOPO_IOMMU_NONE;
	if (err || !isdigit((unsigned char)text[0]))
		return err;
	v = strtoul(text, &end, 10);
	if (*end || v > INT32_MAX)
		return 0;
	d->iommu_group = (int32_t)v;
	d->iommu = TRAM_TOPO_IOMMU_UNKNOWN;
	snprintf(group, sizeof(group), "sys/kernel/iommu_groups/%lu", v);
	err = get_text(src, group, "type", text, sizeof(text));
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(types); i++)
		if (!strcmp(text, types[i].text))
			d->iommu = types[i].is;
	return err;
}

/* The device's nodes by class, which scripts know them by. */
static int read_nodes(struct topo_source *src, const char *dir, struct tram_topo_dev *d)
{
	static const struct { const char *dir, *prefix; } classes[] = {
		{ "drm", "card" }, { "drm", "renderD" }, { "accel", "accel" }, { "nvme", "nvme" },
		{ "net", "" }, { "infiniband", "" },
	};
	size_t at = 0;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(classes); i++) {
		char path[128], *data;
		size_t n, len;
		int err;

		snprintf(path, sizeof(path), "%s/%s", dir, classes[i].dir);
		err = topo_get(src, TOPO_LIST, path, &data, &n);
		if (err == -ENOMEM)
			return err;
		for (size_t k = 0; !err && k < n; k += len + 1) {
			len = strlen(data + k);
			/* "card0-HDMI-A-1" is a connector */
			if (strncmp(data + k, classes[i].prefix, strlen(classes[i].prefix)) ||
			    (classes[i].prefix[0] == 'c' && strchr(data + k, '-')) ||
			    at + len + 2 > sizeof(d->nodes))
				continue;
			at += (size_t)snprintf(d->nodes + at, sizeof(d->nodes) - at, "%s%s",
					       at ? " " : "", data + k);
		}
		tram_free(src->ctx, data);
	}
	topo_clean(d->nodes);
	return 0;
}

static int read_ids(struct topo_source *src, struct tram_topo *t, const char *dir,
		    struct tram_topo_dev *d)
{
	static const char *const files[] = { "vendor", "device", "class" };
	uint32_t *const out[] = { &d->vendor, &d->device, &d->class_code };
	uint64_t v;
	bool there;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(files); i++) {
		int err = get_u64(src, dir, files[i], 16, &there, &v);

		if (err)
			return err;
		if (!there || v > 0xffffff || (i < 2 && v > 0xffff))
			return tram_fail(t->ctx, -EINVAL, "%s: %s/%s: is missing or no id; read or record the machine again",
					 src->name, dir, files[i]);
		*out[i] = (uint32_t)v;
	}
	return 0;
}

static int read_rest(struct topo_source *src, const char *dir, struct tram_topo *t, struct tram_topo_dev *d)
{
	char text[32];
	uint64_t v;
	bool there;
	int err = get_text(src, dir, "numa_node", text, sizeof(text));

	if (!err && isdigit((unsigned char)text[0]))
		d->numa = (int32_t)TRAM_MIN(strtoul(text, NULL, 10), 65535ul);
	if (!err)
		err = get_link(src, dir, "driver", d->driver, sizeof(d->driver));
	if (!err)
		err = get_link(src, dir, "physfn", text, sizeof(text));
	d->physical = *text ? find_dev(t, text, strlen(text)) : TRAM_TOPO_NONE;
	if (!err)
		err = get_u64(src, dir, "xgmi_hive_info/xgmi_hive_id", 10, &there, &v);
	if (!err)
		d->xgmi_hive = v;
	return err;
}

static int read_dev(struct topo_source *src, struct tram_topo *t, struct tram_topo_dev *d)
{
	char dir[64];
	int err;

	snprintf(dir, sizeof(dir), DEVICES "/%s", d->address);
	err = read_ids(src, t, dir, d);
	d->kind = d->class_code >> 8 == 0x0600 ? TRAM_TOPO_HOST_BRIDGE :
		  d->class_code >> 8 == 0x0604 ? TRAM_TOPO_BRIDGE : TRAM_TOPO_FUNCTION;
	if (!err)
		err = read_link(src, dir, d);
	if (!err && d->width_max > 0 && d->kind == TRAM_TOPO_FUNCTION)
		d->kind = TRAM_TOPO_ENDPOINT;
	if (!err)
		err = read_bars(src, dir, d);
	if (!err)
		err = read_resizable(src, dir, d);
	if (!err)
		err = read_config(src, dir, d);
	if (!err)
		err = read_group(src, dir, d);
	if (!err)
		err = read_nodes(src, dir, d);
	if (!err)
		err = read_rest(src, dir, t, d);
	return err ? err : place(src, t, d);
}

/* All addresses first, so that bridges are found whatever the order. */
static int list_devs(struct topo_source *src, struct tram_topo *t)
{
	size_t n, len;
	char *names;
	int err = topo_get(src, TOPO_LIST, DEVICES, &names, &n);

	if (err == -EACCES || err == -EPERM)
		return tram_fail(t->ctx, err, "%s: " DEVICES " cannot be read; run as a user who may", src->name);
	for (size_t i = 0; !err && i < n; i += len + 1) {
		struct tram_topo_dev d = {
			.parent = TRAM_TOPO_NONE, .root = TRAM_TOPO_NONE, .numa = TRAM_TOPO_UNKNOWN,
			.speed_now = TRAM_TOPO_UNKNOWN, .speed_max = TRAM_TOPO_UNKNOWN,
			.width_now = TRAM_TOPO_UNKNOWN, .width_max = TRAM_TOPO_UNKNOWN,
			.mps = TRAM_TOPO_UNKNOWN, .mps_max = TRAM_TOPO_UNKNOWN, .mrrs = TRAM_TOPO_UNKNOWN,
			.relaxed_ordering = TRAM_TOPO_UNKNOWN, .ats = TRAM_TOPO_UNKNOWN,
			.acs_cap = TRAM_TOPO_UNKNOWN, .acs_ctrl = TRAM_TOPO_UNKNOWN, .acs_at = TRAM_TOPO_UNKNOWN,
			.bus_master = TRAM_TOPO_UNKNOWN, .memory_on = TRAM_TOPO_UNKNOWN,
			.resizable = TRAM_TOPO_UNKNOWN,
		};

		len = strlen(names + i);
		if (!parse_address(names + i, len, &d))
			err = tram_fail(t->ctx, -EINVAL, "%s: " DEVICES ": \"%.40s\" is no PCI address; read or record the "
					"machine again", src->name, names + i);
		else if (t->devs.n == DEVICES_MAX)
			err = tram_fail(t->ctx, -E2BIG, "%s: more than %d PCI functions", src->name, DEVICES_MAX);
		else
			err = tram_vec_push(t->ctx, &t->devs, d);
	}
	tram_free(t->ctx, names);
	return err == -ENOENT ? 0 : err;	/* a machine without PCI */
}

static int read_devs(struct topo_source *src, struct tram_topo *t)
{
	int err = list_devs(src, t);

	if (err || !t->devs.n)
		return err;
	qsort(t->devs.v, t->devs.n, sizeof(*t->devs.v), by_address);
	for (size_t i = 1; i < t->devs.n; i++)
		if (!by_address(&t->devs.v[i - 1], &t->devs.v[i]))
			return tram_fail(t->ctx, -EINVAL, "%s: %s is there twice; read or record the machine again",
					 src->name, t->devs.v[i].address);
	for (size_t i = 0; i < t->devs.n && !err; i++)
		err = read_dev(src, t, &t->devs.v[i]);
	return err ? err : inherit_roots(src, t);
}

/*
 * The kernel's pci_host_bridge_dev(): the first device of the root bus, if it
 * is 00.0 or a root port.
 */
static void settle_roots(struct tram_topo *t)
{
	for (size_t i = 0; i < t->devs.n; i++) {
		const struct tram_topo_dev *d = &t->devs.v[i];
		struct tram_topo_root *r = &t->roots.v[d->root];

		if (r->numa < 0)
			r->numa = d->numa;
		if (d->parent >= 0 || r->bridge != TRAM_TOPO_NONE)
			continue;
		r->bridge = (!d->slot && !d->function) || d->kind == TRAM_TOPO_ROOT_PORT ?
			(int32_t)i : TRAM_TOPO_UNKNOWN;
	}
	for (size_t i = 0; i < t->roots.n; i++) {
		if (t->roots.v[i].bridge == TRAM_TOPO_UNKNOWN)
			t->roots.v[i].bridge = TRAM_TOPO_NONE;
		/* With one node there is only one answer. */
		if (t->roots.v[i].numa < 0 && t->nodes.n == 1)
			t->roots.v[i].numa = (int32_t)t->nodes.v[0].id;
	}
}

/* NUMA nodes */

static int read_node(struct topo_source *src, struct tram_topo *t, const char *name)
{
	struct tram_topo_node node = { 0 };
	char dir[64], path[96], *data, *at, *end;
	unsigned long long kb;
	size_t n;
	int err;

	node.id = (uint32_t)strtoul(name + 4, &end, 10);
	if (!isdigit((unsigned char)name[4]) || *end || node.id > 65535)
		return 0;
	snprintf(dir, sizeof(dir), "sys/devices/system/node/node%u", node.id);
	err = get_text(src, dir, "cpulist", node.cpus, sizeof(node.cpus));
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/meminfo", dir);
	err = topo_get(src, TOPO_TEXT, path, &data, &n);
	if (err == -ENOMEM)
		return err;
	at = err ? NULL : strstr(data, "MemTotal:");
	if (at && sscanf(at, "MemTotal: %15llu kB", &kb) == 1)
		node.memory = kb << 10;
	tram_free(t->ctx, data);
	return tram_vec_push(t->ctx, &t->nodes, node);
}

static int by_id(const void *a, const void *b)
{
	const struct tram_topo_node *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int read_numa(struct topo_source *src, struct tram_topo *t)
{
	size_t n, len;
	char *names;
	int err = topo_get(src, TOPO_LIST, "sys/devices/system/node", &names, &n);

	if (err)
		return err == -ENOMEM ? err : 0;
	for (size_t i = 0; !err && i < n; i += len + 1) {
		len = strlen(names + i);
		if (!strncmp(names + i, "node", 4))
			err = read_node(src, t, names + i);
	}
	tram_free(t->ctx, names);
	if (t->nodes.n)
		qsort(t->nodes.v, t->nodes.n, sizeof(*t->nodes.v), by_id);
	return err;
}

/* CPU and kernel */

/* "key<tab>: value" of the first processor. */
static void cpu_field(const char *text, const char *key, char *out, size_t size)
{
	size_t n = strlen(key);

	out[0] = '\0';
	for (const char *s = text; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		const char *v = s + n;

		if (strncmp(s, key, n) || !strchr("\t :", *v))
			continue;
		v += strspn(v, "\t :");
		n = TRAM_MIN(strcspn(v, "\n"), size - 1);
		memcpy(out, v, n);
		out[n] = '\0';
		topo_clean(out);
		return;
	}
}

/* Only lines that begin with one of @keys, each once: what a recording keeps of a long file. */
static int get_lines(struct topo_source *src, const char *path, const char *const *keys, char **out)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(src->ctx);
	bool log = src->log;
	char *data;
	size_t n;
	int err;

	*out = NULL;
	src->log = false;
	err = topo_get(src, TOPO_TEXT, path, &data, &n);
	src->log = log;
	if (err)
		return err == -ENOMEM ? err : 0;
	for (; *keys; keys++) {
		const char *s = data;

		while (*s && strncmp(s, *keys, strlen(*keys))) {
			s += strcspn(s, "\n");
			s += *s == '\n';
		}
		if (*s)
			tram_sbuf_addf(&sb, "%s%.*s", sb.n ? "\n" : "", (int)strcspn(s, "\n"), s);
	}
	tram_free(src->ctx, data);
	err = tram_sbuf_take(&sb, out);
	if (!err && log)
		err = topo_log(src, TOPO_TEXT, path, 0, *out, strlen(*out));
	return err;
}

static int read_cpu(struct topo_source *src, struct tram_topo_machine *m)
{
	static const char *const keys[] = { "vendor_id", "cpu family", "model name", "flags", NULL };
	char *text, family[16], flags[8192];
	int err = get_lines(src, "proc/cpuinfo", keys, &text);

	if (err || !text)
		return err;
	cpu_field(text, "vendor_id", m->cpu_vendor, sizeof(m->cpu_vendor));
	cpu_field(text, "model name", m->cpu, sizeof(m->cpu));
	cpu_field(text, "cpu family", family, sizeof(family));
	cpu_field(text, "flags", flags, sizeof(flags));
	if (isdigit((unsigned char)family[0]))
		m->cpu_family = (int32_t)TRAM_MIN(strtoul(family, NULL, 10), 65535ul);
	if (*flags) {
		const char *at = strstr(flags, " hypervisor");

		m->guest = at && (!at[11] || at[11] == ' ');
	}
	tram_free(src->ctx, text);
	return 0;
}

static int read_kernel(struct topo_source *src, struct tram_topo_machine *m)
{
	static const char *const keys[] = { "CONFIG_PCI_P2PDMA=", "# CONFIG_PCI_P2PDMA ", "CONFIG_PCI=", NULL };
	char path[160], *text;
	int err = get_text(src, "proc/sys/kernel", "osrelease", m->kernel, sizeof(m->kernel));

	if (err || !*m->kernel || strchr(m->kernel, '/'))
		return err;
	snprintf(path, sizeof(path), "boot/config-%s", m->kernel);
	err = get_lines(src, path, keys, &text);
	if (err || !text)
		return err;
	/* A config with PCI but no word of P2PDMA: the option's dependencies are off. */
	if (*text)
		m->p2pdma = strstr(text, "CONFIG_PCI_P2PDMA=y") != NULL;
	tram_free(src->ctx, text);
	return 0;
}

int topo_read(struct tram_ctx *ctx, struct topo_source *src, const char *names,
	      struct tram_topo **out)
{
	struct tram_topo *t = tram_zalloc(ctx, sizeof(*t));
	int err;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->ctx = ctx;
	t->machine.cpu_family = t->machine.guest = t->machine.p2pdma = TRAM_TOPO_UNKNOWN;
	err = read_devs(src, t);
	if (!err)
		err = topo_names(ctx, src, names, t);
	if (!err)
		err = read_numa(src, t);
	if (!err)
		err = read_cpu(src, &t->machine);
	if (!err)
		err = read_kernel(src, &t->machine);
	if (err) {
		tram_topo_free(&t);
		return err;
	}
	settle_roots(t);
	t->machine.n_devs = (uint32_t)t->devs.n;
	t->machine.n_roots = (uint32_t)t->roots.n;
	t->machine.n_nodes = (uint32_t)t->nodes.n;
	*out = t;
	return 0;
}

/* The public face */

static int open_source(struct tram_ctx *ctx, const struct tram_topo_params *p, struct topo_source *src)
{
	struct tram_file *file;
	int err;

	if (!p || !p->recording)
		return topo_source_folder(ctx, p && p->root ? p->root : "/", src);
	err = tram_file_open(ctx, p->recording, &file);
	if (err)
		return err;
	err = topo_source_recording(ctx, tram_file_source(file), src);
	/* The source's name must outlive the file. */
	src->name = p->recording;
	tram_file_close(ctx, &file);
	return err;
}

int tram_topo_read(struct tram_ctx *ctx, const struct tram_topo_params *p, struct tram_topo **topo)
{
	struct topo_source src;
	int err;

	*topo = NULL;
	err = open_source(ctx, p, &src);
	if (err)
		return err;
	err = topo_read(ctx, &src, p ? p->names : NULL, topo);
	topo_source_close(&src);
	return err;
}

int tram_topo_record(struct tram_ctx *ctx, const struct tram_topo_params *p, const char *file)
{
	struct tram_topo *t = NULL;
	struct topo_source src;
	int err = open_source(ctx, p, &src);

	if (err)
		return err;
	src.log = true;
	err = topo_read(ctx, &src, p ? p->names : NULL, &t);
	tram_topo_free(&t);
	if (!err)
		err = topo_recording_write(&src, file);
	topo_source_close(&src);
	return err;
}

void tram_topo_free(struct tram_topo **topo)
{
	struct tram_topo *t = *topo;

	*topo = NULL;
	if (!t)
		return;
	tram_vec_free(t->ctx, &t->devs);
	tram_vec_free(t->ctx, &t->roots);
	tram_vec_free(t->ctx, &t->nodes);
	tram_free(t->ctx, t);
}

const struct tram_topo_machine *tram_topo_machine(const struct tram_topo *t)
{
	return &t->machine;
}

const struct tram_topo_dev *tram_topo_dev(const struct tram_topo *t, uint32_t i)
{
	assert(i < t->devs.n);
	return &t->devs.v[i];
}

const struct tram_topo_root *tram_topo_root(const struct tram_topo *t, uint32_t i)
{
	assert(i < t->roots.n);
	return &t->roots.v[i];
}

const struct tram_topo_node *tram_topo_node(const struct tram_topo *t, uint32_t i)
{
	assert(i < t->nodes.n);
	return &t->nodes.v[i];
}

bool tram_topo_is_bridge(const struct tram_topo_dev *d)
{
	return d->kind == TRAM_TOPO_ROOT_PORT || d->kind == TRAM_TOPO_SWITCH_UP ||
	       d->kind == TRAM_TOPO_SWITCH_DOWN || d->kind == TRAM_TOPO_BRIDGE;
}

bool tram_topo_bulk(const struct tram_topo_dev *d)
{
	uint32_t base = d->class_code >> 16, sub = d->class_code >> 8 & 0xff;

	if (tram_topo_is_bridge(d) || d->physical >= 0)
		return false;
	return base == 0x03 || base == 0x12 || (base == 0x01 && sub == 0x08) || base == 0x02 ||
	       base == 0x05 || (base == 0x0b && sub == 0x40) || strstr(d->nodes, "renderD") ||
	       strstr(d->nodes, "accel");
}

const char *tram_topo_unknown_why(const struct tram_topo_dev *d)
{
	if (d->gone)
		return "config space reads as all ones: lost, or powered off";
	if (d->config_bytes < 64)
		return "no config space to read";
	if (d->config_bytes == 64)
		return "needs root";
	return d->config_bytes == 256 ? "no extended config space" : "a reserved value";
}

static bool has_node(const struct tram_topo_dev *d, const char *name)
{
	size_t n = strlen(name);

	for (const char *s = d->nodes; *s; s += strcspn(s, " "), s += *s == ' ')
		if (strcspn(s, " ") == n && !strncmp(s, name, n))
			return n > 0;
	return false;
}

int tram_topo_find(struct tram_ctx *ctx, const struct tram_topo *t, const char *name, uint32_t *out)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	size_t n = 0;

	*out = 0;
	for (size_t i = 0; i < t->devs.n; i++) {
		const struct tram_topo_dev *d = &t->devs.v[i];

		if (!strcmp(d->address, name) || has_node(d, name) ||
		    (!d->domain && !strcmp(d->address + 5, name))) {
			*out = (uint32_t)i;
			return 0;
		}
	}
	for (size_t i = 0; i < t->devs.n && n < 16; i++)
		if (tram_topo_bulk(&t->devs.v[i]))
			tram_sbuf_addf(&sb, "%s%s", n++ ? ", " : "", t->devs.v[i].address);
	tram_fail(ctx, -ENODEV, "device \"%.40s\": there is no such PCI address or node%s%s", name,
		  n ? "; use one of: " : "; this machine shows no device that moves bulk data", tram_sbuf_str(&sb));
	tram_sbuf_free(&sb);
	return -ENODEV;
}
