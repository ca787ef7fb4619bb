/* SPDX-License-Identifier: MIT */
/*
 * tram topo --json: one document; Documentation/topo.rst is its schema. What a
 * device has not is left out; what could not be read is null.
 */
#include <stdlib.h>
#include <string.h>

#include "topo.h"

typedef yyjson_mut_val val;
typedef yyjson_mut_doc doc;

static void number(doc *d, val *o, const char *key, int64_t v)
{
	if (v == TRAM_TOPO_UNKNOWN)
		yyjson_mut_obj_add_null(d, o, key);
	else if (v != TRAM_TOPO_NONE)
		yyjson_mut_obj_add_sint(d, o, key, v);
}

static void flag(doc *d, val *o, const char *key, int32_t v)
{
	if (v == TRAM_TOPO_UNKNOWN)
		yyjson_mut_obj_add_null(d, o, key);
	else if (v != TRAM_TOPO_NONE)
		yyjson_mut_obj_add_bool(d, o, key, v);
}

static void text(doc *d, val *o, const char *key, const char *s)
{
	if (*s)
		yyjson_mut_obj_add_strcpy(d, o, key, s);
}

static void hex(doc *d, val *o, const char *key, uint32_t v, int digits)
{
	char s[16];

	snprintf(s, sizeof(s), "%0*x", digits, v);
	yyjson_mut_obj_add_strcpy(d, o, key, s);
}

static void address(const struct topo_view *v, doc *d, val *o, const char *key, int32_t i)
{
	if (i >= 0)
		yyjson_mut_obj_add_str(d, o, key, tram_topo_dev(v->t, (uint32_t)i)->address);
}

static void acs(doc *d, val *o, const struct tram_topo_dev *dev)
{
	static const char *const bits[] = {
		"source_validation", "translation_blocking", "request_redirect", "completion_redirect",
		"upstream_forwarding", "egress_control", "direct_translated",
	};
	val *a;

	if (dev->acs_ctrl == TRAM_TOPO_UNKNOWN)
		yyjson_mut_obj_add_null(d, o, "acs");
	if (dev->acs_ctrl < 0)
		return;
	a = yyjson_mut_obj_add_obj(d, o, "acs");
	hex(d, a, "capability", (uint32_t)dev->acs_cap, 4);
	hex(d, a, "control", (uint32_t)dev->acs_ctrl, 4);
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		yyjson_mut_obj_add_bool(d, a, bits[i], dev->acs_ctrl >> i & 1);
}

static void bars(doc *d, val *o, const struct tram_topo_dev *dev)
{
	val *list = yyjson_mut_obj_add_arr(d, o, "bars");

	for (uint32_t i = 0; i < ARRAY_SIZE(dev->bar); i++) {
		const struct tram_topo_bar *b = &dev->bar[i];
		val *e, *sizes;

		if (!b->size)
			continue;
		e = yyjson_mut_arr_add_obj(d, list);
		yyjson_mut_obj_add_uint(d, e, "bar", i);
		yyjson_mut_obj_add_uint(d, e, "bytes", b->size);
		yyjson_mut_obj_add_bool(d, e, "memory", b->memory);
		yyjson_mut_obj_add_bool(d, e, "prefetchable", b->prefetchable);
		if (!b->possible)
			continue;
		sizes = yyjson_mut_obj_add_arr(d, e, "possible_bytes");
		for (int k = 0; k < 64; k++)
			if (b->possible >> k & 1)
				yyjson_mut_arr_add_uint(d, sizes, 1ull << k);
	}
}

static void device(const struct topo_view *v, doc *d, val *list, uint32_t i)
{
	static const char *const kinds[] = {
		"endpoint", "integrated", "conventional", "host_bridge", "root_port", "switch_up",
		"switch_down", "bridge", "function",
	};
	static const char *const modes[] = {
		"none", "identity", "translated", "blocked", "unmanaged", NULL,
	};
	const struct tram_topo_dev *dev = tram_topo_dev(v->t, i);
	val *o = yyjson_mut_arr_add_obj(d, list);

	yyjson_mut_obj_add_str(d, o, "address", dev->address);
	yyjson_mut_obj_add_str(d, o, "kind", kinds[dev->kind]);
	yyjson_mut_obj_add_str(d, o, "what", topo_what(dev));
	hex(d, o, "vendor", dev->vendor, 4);
	hex(d, o, "device", dev->device, 4);
	hex(d, o, "class", dev->class_code, 6);
	text(d, o, "vendor_name", dev->vendor_name);
	text(d, o, "device_name", dev->device_name);
	text(d, o, "driver", dev->driver);
	text(d, o, "nodes", dev->nodes);
	address(v, d, o, "parent", dev->parent);
	address(v, d, o, "physical_function", dev->physical);
	yyjson_mut_obj_add_str(d, o, "root", tram_topo_root(v->t, (uint32_t)dev->root)->name);
	number(d, o, "numa_node", dev->numa);
	number(d, o, "iommu_group", dev->iommu_group);
	if (modes[dev->iommu])
		yyjson_mut_obj_add_str(d, o, "iommu_mode", modes[dev->iommu]);
	else
		yyjson_mut_obj_add_null(d, o, "iommu_mode");
	yyjson_mut_obj_add_uint(d, o, "config_bytes", dev->config_bytes);
	if (dev->config_bytes < 4096)
		yyjson_mut_obj_add_str(d, o, "unknown_because", tram_topo_unknown_why(dev));
	number(d, o, "link_mts", dev->speed_now);
	number(d, o, "link_mts_max", dev->speed_max);
	number(d, o, "link_lanes", dev->width_now);
	number(d, o, "link_lanes_max", dev->width_max);
	number(d, o, "max_payload_bytes", dev->mps);
	number(d, o, "max_payload_bytes_max", dev->mps_max);
	number(d, o, "max_read_request_bytes", dev->mrrs);
	flag(d, o, "relaxed_ordering", dev->relaxed_ordering);
	flag(d, o, "ats", dev->ats);
	flag(d, o, "bus_master", dev->bus_master);
	flag(d, o, "memory_enabled", dev->memory_on);
	flag(d, o, "resizable", dev->resizable);
	acs(d, o, dev);
	bars(d, o, dev);
	if (dev->xgmi_hive)
		yyjson_mut_obj_add_uint(d, o, "xgmi_hive", dev->xgmi_hive);
}

static void verdict(const struct topo_view *v, doc *d, val *o, const struct tram_topo_verdict *w)
{
	static const char *const tiers[] = { "topology", "mapping", "bytes", "ordering" };
	static const char *const weights[] = { "note", "warning", "doubt", "refusal" };
	static const char *const routes[] = { "none", "switch", "host", "unknown" };
	val *list;

	for (size_t i = 0; i < ARRAY_SIZE(tiers); i++)
		yyjson_mut_obj_add_str(d, o, tiers[i], topo_answer(w->tier[i]));
	yyjson_mut_obj_add_str(d, o, "route", routes[w->route]);
	list = yyjson_mut_obj_add_arr(d, o, "reasons");
	for (uint32_t i = 0; i < w->n; i++) {
		const struct tram_topo_reason *r = &w->reason[i];
		val *e = yyjson_mut_arr_add_obj(d, list);

		yyjson_mut_obj_add_str(d, e, "code", tram_topo_code_name(r->code));
		yyjson_mut_obj_add_str(d, e, "weight", weights[r->weight]);
		address(v, d, e, "culprit", r->culprit);
		yyjson_mut_obj_add_strcpy(d, e, "what", r->what);
		text(d, e, "remedy", r->remedy);
	}
}

static int pair(const struct topo_view *v, doc *d, val *o, uint32_t a, uint32_t b)
{
	struct tram_topo_verdict w;

	address(v, d, o, "initiator", (int32_t)a);
	address(v, d, o, "target", (int32_t)b);
	yyjson_mut_obj_add_str(d, o, "distance", tram_topo_class_name(tram_topo_distance(v->t, a, b)));
	if (tram_topo_verdict(v->ctx, v->t, a, b, true, &w))
		return -1;
	verdict(v, d, yyjson_mut_obj_add_obj(d, o, "write"), &w);
	if (tram_topo_verdict(v->ctx, v->t, a, b, false, &w))
		return -1;
	verdict(v, d, yyjson_mut_obj_add_obj(d, o, "read"), &w);
	return 0;
}

static void machine(const struct topo_view *v, doc *d, val *root)
{
	const struct tram_topo_machine *m = v->m;
	val *o = yyjson_mut_obj_add_obj(d, root, "machine"), *list;

	text(d, o, "cpu", m->cpu);
	text(d, o, "cpu_vendor", m->cpu_vendor);
	number(d, o, "cpu_family", m->cpu_family);
	flag(d, o, "virtual_machine", m->guest);
	text(d, o, "kernel", m->kernel);
	flag(d, o, "kernel_p2pdma", m->p2pdma);
	list = yyjson_mut_obj_add_arr(d, root, "numa_nodes");
	for (uint32_t i = 0; i < m->n_nodes; i++) {
		const struct tram_topo_node *n = tram_topo_node(v->t, i);
		val *e = yyjson_mut_arr_add_obj(d, list);

		yyjson_mut_obj_add_uint(d, e, "node", n->id);
		text(d, e, "cpus", n->cpus);
		if (n->memory)
			yyjson_mut_obj_add_uint(d, e, "memory_bytes", n->memory);
	}
	list = yyjson_mut_obj_add_arr(d, root, "root_complexes");
	for (uint32_t i = 0; i < m->n_roots; i++) {
		const struct tram_topo_root *r = tram_topo_root(v->t, i);
		val *e = yyjson_mut_arr_add_obj(d, list);

		yyjson_mut_obj_add_str(d, e, "name", r->name);
		number(d, e, "numa_node", r->numa);
		address(v, d, e, "host_bridge", r->bridge);
	}
}

static int finish(const struct topo_view *v, doc *d, int r)
{
	char *s = r ? NULL : yyjson_mut_write(d, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);

	if (s)
		fprintf(v->out, "%s\n", s);
	free(s);
	yyjson_mut_doc_free(d);
	return r;
}

int topo_print_json(const struct topo_view *v)
{
	doc *d = yyjson_mut_doc_new(NULL);
	val *root = yyjson_mut_obj(d), *list;
	int r = 0;

	yyjson_mut_doc_set_root(d, root);
	yyjson_mut_obj_add_uint(d, root, "tram_topo", 1);
	machine(v, d, root);
	list = yyjson_mut_obj_add_arr(d, root, "devices");
	for (uint32_t i = 0; i < v->m->n_devs; i++)
		device(v, d, list, i);
	list = yyjson_mut_obj_add_arr(d, root, "pairs");
	for (uint32_t a = 0; a < v->m->n_devs && !r; a++)
		for (uint32_t b = 0; b < v->m->n_devs && !r; b++)
			if (a != b && topo_peer(v, a) && topo_peer(v, b))
				r = pair(v, d, yyjson_mut_arr_add_obj(d, list), a, b);
	return finish(v, d, r);
}

int topo_print_why_json(const struct topo_view *v, uint32_t a, uint32_t b)
{
	doc *d = yyjson_mut_doc_new(NULL);
	val *root = yyjson_mut_obj(d);

	yyjson_mut_doc_set_root(d, root);
	return finish(v, d, pair(v, d, root, a, b));
}
