/* SPDX-License-Identifier: MIT */
/*
 * Who may reach whom: tier 1, from topology alone. The decision is the
 * kernel's, calc_map_type_and_dist() in drivers/pci/p2pdma.c of Linux 6.12:
 *
 *	common bridge, no ACS redirect on the way	bus addresses
 *	else, host bridge known to forward		through the host bridge
 *	else						refused
 *
 * Around it stands what the kernel does not say: culprit, register, remedy.
 * Documentation/p2p.rst has a section for each code.
 */
#include <linux/pci_regs.h>

#include "topo/topo.h"

#include <stdio.h>

#define REDIRECT (PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC)
#define INTEL 0x8086

static const char *const code_names[];

struct judge {
	const struct tram_topo *t;
	struct tram_topo_verdict *v;
	const struct tram_topo_dev *a, *b;	/* initiator, target */
	int32_t common;				/* bridge (or device) above both, or NONE */
	bool redirect, doubt;			/* ACS on the way */
	struct tram_topo_reason spare;		/* what does not fit any more; never read */
};

static struct tram_topo_reason *reason(struct judge *j, enum tram_topo_code code, int weight,
				       int32_t culprit)
{
	struct tram_topo_verdict *v = j->v;
	struct tram_topo_reason *r = v->n < TRAM_TOPO_REASONS ? &v->reason[v->n++] : &j->spare;

	r->code = code;
	r->weight = weight;
	r->culprit = culprit;
	r->what[0] = r->remedy[0] = '\0';
	return r;
}

#define what(r, ...) snprintf((r)->what, sizeof((r)->what), __VA_ARGS__)
#define remedy(r, ...) snprintf((r)->remedy, sizeof((r)->remedy), __VA_ARGS__)

static int32_t index_of(const struct tram_topo *t, const struct tram_topo_dev *d)
{
	return (int32_t)(d - t->devs.v);
}

/* Distance */

static bool is_above(const struct tram_topo *t, int32_t up, int32_t down)
{
	for (; down >= 0; down = t->devs.v[down].parent)
		if (down == up)
			return true;
	return false;
}

/* The lowest device that is above both, or is one of them; NONE. */
static int32_t common_bridge(const struct tram_topo *t, uint32_t a, uint32_t b)
{
	int32_t up = (int32_t)a;

	while (up >= 0 && !is_above(t, up, (int32_t)b))
		up = t->devs.v[up].parent;
	return up >= 0 ? up : TRAM_TOPO_NONE;
}

/* Bridges on the way up, without @stop. */
static int bridges_below(const struct tram_topo *t, uint32_t i, int32_t stop)
{
	int n = 0;

	if ((int32_t)i == stop)
		return 0;
	for (int32_t up = t->devs.v[i].parent; up >= 0 && up != stop; up = t->devs.v[up].parent)
		n++;
	return n;
}

static int32_t node_of(const struct tram_topo *t, const struct tram_topo_dev *d)
{
	if (d->numa >= 0)
		return d->numa;
	/* With one node there is only one answer. */
	if (t->nodes.n == 1)
		return (int32_t)t->nodes.v[0].id;
	return d->root >= 0 ? t->roots.v[d->root].numa : TRAM_TOPO_UNKNOWN;
}

enum tram_topo_class tram_topo_distance(const struct tram_topo *t, uint32_t a, uint32_t b)
{
	const struct tram_topo_dev *x = tram_topo_dev(t, a), *y = tram_topo_dev(t, b);
	int32_t common, m, n;

	if (a == b)
		return TRAM_TOPO_SELF;
	common = common_bridge(t, a, b);
	if (common >= 0)	/* within one switch: a port down at most on each side */
		return bridges_below(t, a, common) <= 1 && bridges_below(t, b, common) <= 1 ?
			TRAM_TOPO_PIX : TRAM_TOPO_PXB;
	if (x->root == y->root)
		return TRAM_TOPO_PHB;
	m = node_of(t, x);
	n = node_of(t, y);
	if (m < 0 || n < 0)
		return TRAM_TOPO_FAR_UNKNOWN;
	return m == n ? TRAM_TOPO_NODE : TRAM_TOPO_SYS;
}

/* ACS */

static const char *redirect_bits(int32_t ctrl)
{
	static const char *const names[] = {
		"", "P2P Request Redirect (bit 2)", "P2P Completion Redirect (bit 3)",
		"P2P Request and Completion Redirect (bits 2, 3)", "P2P Egress Control (bit 5)",
		"P2P Request Redirect and Egress Control (bits 2, 5)",
		"P2P Completion Redirect and Egress Control (bits 3, 5)",
		"P2P Request and Completion Redirect and Egress Control (bits 2, 3, 5)",
	};

	return names[(ctrl & PCI_ACS_RR ? 1 : 0) + (ctrl & PCI_ACS_CR ? 2 : 0) + (ctrl & PCI_ACS_EC ? 4 : 0)];
}

static void look_at_acs(struct judge *j, int32_t i)
{
	const struct tram_topo_dev *d = &j->t->devs.v[i];
	struct tram_topo_reason *r;

	if (d->acs_ctrl == TRAM_TOPO_UNKNOWN) {
		/* An endpoint of one function has no say in what its peers do. */
		if (!tram_topo_is_bridge(d))
			return;
		j->doubt = true;
		r = reason(j, TRAM_TOPO_ACS_UNKNOWN, TRAM_TOPO_DOUBT, i);
		what(r, "ACS control of %s: unknown (%s)", d->address, tram_topo_unknown_why(d));
		remedy(r, d->config_bytes == 64 ? "run as root, or record the machine as root" :
		       "let the kernel reach extended config space (ECAM: ACPI MCFG table)");
	} else if (d->acs_ctrl >= 0 && d->acs_ctrl & REDIRECT) {
		j->redirect = true;
		r = reason(j, TRAM_TOPO_ACS_REDIRECT, TRAM_TOPO_WARNING, i);
		what(r, "%s sends peers' traffic up to the root complex: ACS control register at 0x%x is 0x%04x, %s",
		     d->address, (unsigned int)d->acs_at + PCI_ACS_CTRL, (unsigned int)d->acs_ctrl,
		     redirect_bits(d->acs_ctrl));
		remedy(r, "boot with pci=disable_acs_redir=%s, or switch ACS off in the firmware; devices below then "
		       "share one IOMMU group, so do it only where no guest owns one of them", d->address);
	}
}

/* The order of the kernel: up from the target to the common bridge, then up from the initiator. */
static void look_at_path(struct judge *j)
{
	for (int32_t i = index_of(j->t, j->b); i >= 0; i = j->t->devs.v[i].parent) {
		look_at_acs(j, i);
		if (i == j->common)
			break;
	}
	for (int32_t i = index_of(j->t, j->a); i >= 0 && i != j->common; i = j->t->devs.v[i].parent)
		look_at_acs(j, i);
}

/* Host bridges */

/* pci_p2pdma_whitelist[], Linux 6.12. */
static const struct { uint32_t device; bool same_only; const char *name; } listed[] = {
	{ 0x3c00, true, "Xeon E5" }, { 0x3c01, true, "Xeon E5" },
	{ 0x2f00, true, "Xeon v3" }, { 0x2f01, true, "Xeon v3" },
	{ 0x2030, false, "Skylake-E" }, { 0x2031, false, "Skylake-E" },
	{ 0x2032, false, "Skylake-E" }, { 0x2033, false, "Skylake-E" },
	{ 0x2020, false, "Skylake-E" }, { 0x09a2, false, "Ice Lake and later" },
};

static enum tram_topo_answer bridge_listed(struct judge *j, int32_t root, bool same)
{
	const struct tram_topo_root *rt = &j->t->roots.v[root];
	const struct tram_topo_dev *d = rt->bridge >= 0 ? &j->t->devs.v[rt->bridge] : NULL;
	struct tram_topo_reason *r;

	for (size_t i = 0; d && i < TRAM_ARRAY_SIZE(listed); i++) {
		if (d->vendor != INTEL || d->device != listed[i].device)
			continue;
		if (!same && listed[i].same_only) {
			r = reason(j, TRAM_TOPO_HOST_SAME_ONLY, TRAM_TOPO_REFUSAL, rt->bridge);
			what(r, "host bridge %s of %s (%s) forwards only between its own ports, and the two "
			     "devices are below different ones", d->address, rt->name, listed[i].name);
			remedy(r, "move both devices to slots of one socket, or let data pass through host memory");
			return TRAM_TOPO_NO;
		}
		r = reason(j, TRAM_TOPO_HOST_LISTED, TRAM_TOPO_NOTE, rt->bridge);
		what(r, "host bridge %s of %s (%s) is on the kernel's list of those that forward peer-to-peer",
		     d->address, rt->name, listed[i].name);
		return TRAM_TOPO_YES;
	}
	r = reason(j, TRAM_TOPO_HOST_UNLISTED, TRAM_TOPO_REFUSAL, rt->bridge);
	if (d)
		what(r, "host bridge %s of %s (%04x:%04x) is not on the kernel's list (pci_p2pdma_whitelist)",
		     d->address, rt->name, d->vendor, d->device);
	else
		what(r, "%s has no host bridge that the kernel could look up in pci_p2pdma_whitelist", rt->name);
	remedy(r, "put both devices below one PCIe switch without ACS redirect, or let data pass through host memory");
	return TRAM_TOPO_NO;
}

/* host_bridge_whitelist() and cpu_supports_p2pdma(). */
static enum tram_topo_answer host_forwards(struct judge *j)
{
	const struct tram_topo_machine *m = &j->t->machine;
	enum tram_topo_answer x, y = TRAM_TOPO_YES;
	bool same = j->a->root == j->b->root;
	struct tram_topo_reason *r;

	if (!strcmp(m->cpu_vendor, "AuthenticAMD") && m->cpu_family >= 0x17) {
		r = reason(j, TRAM_TOPO_HOST_LISTED, TRAM_TOPO_NOTE, TRAM_TOPO_NONE);
		what(r, "the CPU is an AMD Zen or later (family %d): the kernel knows its host bridges to forward "
		     "peer-to-peer", m->cpu_family);
		return TRAM_TOPO_YES;
	}
	if (!strcmp(m->cpu_vendor, "AuthenticAMD") && m->cpu_family < 0) {
		r = reason(j, TRAM_TOPO_HOST_UNKNOWN, TRAM_TOPO_DOUBT, TRAM_TOPO_NONE);
		what(r, "the CPU's family could not be read from /proc/cpuinfo");
		remedy(r, "read the machine where /proc is mounted");
		return TRAM_TOPO_UNSURE;
	}
	if (!same)
		y = bridge_listed(j, j->a->root, false);
	x = bridge_listed(j, j->b->root, same);
	return x == TRAM_TOPO_YES && y == TRAM_TOPO_YES ? TRAM_TOPO_YES : TRAM_TOPO_NO;
}

/* The decision */

static void decide(struct judge *j)
{
	struct tram_topo_verdict *v = j->v;
	enum tram_topo_answer host;
	struct tram_topo_reason *r;

	if (j->common >= 0)	/* else all goes up anyway, redirected or not */
		look_at_path(j);
	if (j->common >= 0 && !j->redirect && !j->doubt) {
		r = reason(j, TRAM_TOPO_SWITCH_LOCAL, TRAM_TOPO_NOTE, j->common);
		what(r, "both are below %s and nothing on the way redirects: traffic does not leave it",
		     j->t->devs.v[j->common].address);
		v->tier[0] = TRAM_TOPO_YES;
		v->route = TRAM_TOPO_ROUTE_SWITCH;
		return;
	}
	host = host_forwards(j);
	/* Whether the switch turns traffic round is open: a host that does not forward may not be needed. */
	if (j->common >= 0 && !j->redirect && host == TRAM_TOPO_NO) {
		for (uint32_t i = 0; i < v->n; i++)
			if (v->reason[i].weight == TRAM_TOPO_REFUSAL)
				v->reason[i].weight = TRAM_TOPO_DOUBT;
		host = TRAM_TOPO_UNSURE;
	}
	v->tier[0] = host;
	if (host == TRAM_TOPO_YES)
		v->route = j->common >= 0 && !j->redirect ? TRAM_TOPO_ROUTE_UNSURE : TRAM_TOPO_ROUTE_HOST;
	else
		v->route = host == TRAM_TOPO_NO ? TRAM_TOPO_ROUTE_NONE : TRAM_TOPO_ROUTE_UNSURE;
}

static void refuse(struct judge *j)
{
	j->v->tier[0] = TRAM_TOPO_NO;
	j->v->route = TRAM_TOPO_ROUTE_NONE;
}

static void doubt(struct judge *j)
{
	if (j->v->tier[0] == TRAM_TOPO_YES)
		j->v->tier[0] = TRAM_TOPO_UNSURE;
}

/* What the devices themselves say */

static bool memory_bar(const struct tram_topo_dev *d)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(d->bar); i++)
		if (d->bar[i].size && d->bar[i].memory)
			return true;
	return false;
}

static void look_gone(struct judge *j, const struct tram_topo_dev *d)
{
	struct tram_topo_reason *r;

	if (!d->gone)
		return;
	r = reason(j, TRAM_TOPO_DEVICE_GONE, TRAM_TOPO_REFUSAL, index_of(j->t, d));
	what(r, "%s does not answer: its config space reads as all ones", d->address);
	remedy(r, "see the kernel log; wake it if it is powered off (power/control), else remove and rescan it, or "
	       "reset the machine");
	refuse(j);
}

static void look_at_devices(struct judge *j)
{
	const struct tram_topo_dev *a = j->a, *b = j->b;
	struct tram_topo_reason *r;

	look_gone(j, a);
	look_gone(j, b);
	if (!memory_bar(b)) {
		r = reason(j, TRAM_TOPO_NO_MEMORY, TRAM_TOPO_REFUSAL, index_of(j->t, b));
		what(r, "%s shows no memory BAR: there is nothing to %s", b->address,
		     j->v->write ? "write to" : "read from");
		remedy(r, "choose the other device as the target");
		refuse(j);
	} else if (b->memory_on == 0) {
		r = reason(j, TRAM_TOPO_MEMORY_OFF, TRAM_TOPO_WARNING, index_of(j->t, b));
		what(r, "%s does not answer memory requests: command register (0x4), bit 1 is 0", b->address);
		remedy(r, "bind its driver, or enable it (echo 1 > .../enable)");
	}
	if (a->bus_master == 0) {
		r = reason(j, TRAM_TOPO_MASTER_OFF, TRAM_TOPO_WARNING, index_of(j->t, a));
		what(r, "%s may not begin transfers: command register (0x4), bit 2 (bus master) is 0", a->address);
		remedy(r, "bind its driver; it sets the bit");
	}
	for (int i = 0; i < 2; i++) {
		const struct tram_topo_dev *d = i ? b : a;

		if (d->kind != TRAM_TOPO_CONVENTIONAL)
			continue;
		r = reason(j, TRAM_TOPO_CONVENTIONAL_PATH, TRAM_TOPO_NOTE, index_of(j->t, d));
		what(r, "%s has no PCIe capability: ordering and rates are those of conventional PCI", d->address);
	}
}

/* Largest size of the bits, bytes. */
static uint64_t largest(uint64_t possible)
{
	return possible ? 1ull << (63 - __builtin_clzll(possible)) : 0;
}

static void look_at_bars(struct judge *j)
{
	const struct tram_topo_dev *b = j->b;

	for (uint32_t i = 0; i < TRAM_ARRAY_SIZE(b->bar); i++) {
		struct tram_topo_reason *r;

		if (!b->bar[i].size || largest(b->bar[i].possible) <= b->bar[i].size)
			continue;
		r = reason(j, TRAM_TOPO_SMALL_BAR, TRAM_TOPO_WARNING, index_of(j->t, b));
		what(r, "BAR %u of %s is %llu MiB and could be %llu MiB: peers reach only that part of its memory",
		     i, b->address, (unsigned long long)(b->bar[i].size >> 20),
		     (unsigned long long)(largest(b->bar[i].possible) >> 20));
		remedy(r, "switch on Above 4G Decoding and Resizable BAR in the firmware, or write a size to "
		       "/sys/bus/pci/devices/%s/resource%u_resize with no driver bound", b->address, i);
	}
}

static void look_at_link(struct judge *j, const struct tram_topo_dev *d)
{
	const struct tram_topo_dev *up = d->parent >= 0 ? &j->t->devs.v[d->parent] : NULL;
	int32_t width = d->width_max, speed = d->speed_max;
	struct tram_topo_reason *r;

	if (!up || d->width_now <= 0 || width <= 0)
		return;
	/* A link runs at what both ends can. */
	if (up->width_max > 0)
		width = TRAM_MIN(width, up->width_max);
	if (up->speed_max > 0)
		speed = TRAM_MIN(speed, up->speed_max);
	if (d->width_now < width) {
		r = reason(j, TRAM_TOPO_LINK_NARROW, TRAM_TOPO_WARNING, index_of(j->t, d));
		what(r, "the link above %s runs on %d of %d lanes (link status register)", d->address, d->width_now, width);
		remedy(r, "reseat the card or cable, try another slot; the firmware may have split the slot "
		       "(bifurcation)");
	}
	if (d->speed_now > 0 && d->speed_now < speed) {
		r = reason(j, TRAM_TOPO_LINK_SLOW, TRAM_TOPO_NOTE, index_of(j->t, d));
		what(r, "the link above %s runs at %.1f of %.1f GT/s (link status register)", d->address,
		     d->speed_now / 1000.0, speed / 1000.0);
		remedy(r, "look again under load: many devices slow an idle link; else reseat the card");
	}
}

/* From the target up, then from the initiator up; a port below another port has its own link above. */
static void look_at_links(struct judge *j)
{
	for (int32_t i = index_of(j->t, j->b); i >= 0 && i != j->common; i = j->t->devs.v[i].parent)
		look_at_link(j, &j->t->devs.v[i]);
	for (int32_t i = index_of(j->t, j->a); i >= 0 && i != j->common; i = j->t->devs.v[i].parent)
		look_at_link(j, &j->t->devs.v[i]);
}

/* Kernel, IOMMU, machine */

static void look_at_kernel(struct judge *j)
{
	const struct tram_topo_machine *m = &j->t->machine;
	struct tram_topo_reason *r;

	if (m->p2pdma == 0) {
		r = reason(j, TRAM_TOPO_KERNEL_WITHOUT, TRAM_TOPO_REFUSAL, TRAM_TOPO_NONE);
		what(r, "kernel %s is built without CONFIG_PCI_P2PDMA: no driver can map a peer's memory", m->kernel);
		remedy(r, "boot a kernel with CONFIG_PCI_P2PDMA=y (Debian: linux-image of trixie-backports)");
		refuse(j);
	} else if (m->p2pdma < 0) {
		r = reason(j, TRAM_TOPO_KERNEL_UNKNOWN, TRAM_TOPO_NOTE, TRAM_TOPO_NONE);
		what(r, "whether the kernel has CONFIG_PCI_P2PDMA is unknown (/boot/config-%s could not be read)",
		     *m->kernel ? m->kernel : "RELEASE");
	}
}

static void look_at_iommu(struct judge *j)
{
	const struct tram_topo_dev *a = j->a;
	struct tram_topo_reason *r;

	switch (a->iommu) {
	case TRAM_TOPO_IOMMU_TRANSLATED:
		r = reason(j, TRAM_TOPO_TRANSLATED, j->v->route == TRAM_TOPO_ROUTE_SWITCH ? TRAM_TOPO_NOTE :
			   TRAM_TOPO_WARNING, index_of(j->t, a));
		what(r, "the IOMMU translates what %s sends (group %d)%s: a driver that hands out raw BAR addresses "
		     "reaches the wrong place", a->address, a->iommu_group,
		     a->ats == 1 ? ", which asks for translations itself (ATS)" : "");
		remedy(r, "use drivers that map through the kernel's DMA API; or boot with iommu=pt (passthrough)");
		break;
	case TRAM_TOPO_IOMMU_BLOCKED:
		r = reason(j, TRAM_TOPO_GROUP_BLOCKED, TRAM_TOPO_REFUSAL, index_of(j->t, a));
		what(r, "IOMMU group %d of %s is blocked: nothing it sends arrives", a->iommu_group, a->address);
		remedy(r, "write DMA or identity to /sys/kernel/iommu_groups/%d/type with no driver bound",
		       a->iommu_group);
		refuse(j);
		break;
	case TRAM_TOPO_IOMMU_UNMANAGED:
		r = reason(j, TRAM_TOPO_GROUP_FOREIGN, TRAM_TOPO_DOUBT, index_of(j->t, a));
		what(r, "IOMMU group %d of %s belongs to a user of its own (driver %s): it decides what is mapped",
		     a->iommu_group, a->address, *a->driver ? a->driver : "none");
		remedy(r, "ask inside that guest or process, or give the device back to its kernel driver");
		doubt(j);
		break;
	case TRAM_TOPO_IOMMU_UNKNOWN:
		r = reason(j, TRAM_TOPO_GROUP_UNKNOWN, TRAM_TOPO_NOTE, index_of(j->t, a));
		what(r, "whether the IOMMU translates for %s is unknown: /sys/kernel/iommu_groups/%d/type could not "
		     "be read", a->address, a->iommu_group);
		break;
	default:
		break;
	}
}

static void look_at_machine(struct judge *j)
{
	struct tram_topo_verdict *v = j->v;
	bool host = v->route == TRAM_TOPO_ROUTE_HOST;
	struct tram_topo_reason *r;

	if (j->a->root != j->b->root && v->tier[0] != TRAM_TOPO_NO) {
		r = reason(j, v->distance == TRAM_TOPO_SYS ? TRAM_TOPO_CROSS_NODE :
			   v->distance == TRAM_TOPO_FAR_UNKNOWN ? TRAM_TOPO_NUMA_UNKNOWN : TRAM_TOPO_CROSS_ROOT,
			   v->distance == TRAM_TOPO_NODE ? TRAM_TOPO_NOTE : TRAM_TOPO_WARNING, TRAM_TOPO_NONE);
		what(r, "the way crosses from root complex %s to %s%s", j->t->roots.v[j->a->root].name,
		     j->t->roots.v[j->b->root].name, v->distance == TRAM_TOPO_SYS ? ", and the link between NUMA nodes" :
		     v->distance == TRAM_TOPO_FAR_UNKNOWN ? "; the firmware does not tell their NUMA nodes" : "");
		if (v->distance != TRAM_TOPO_NODE)
			remedy(r, "for bandwidth put the two on one NUMA node, or measure first (tram bench)");
	}
	if (host && v->write && j->a->relaxed_ordering == 0) {
		r = reason(j, TRAM_TOPO_ORDERED_WRITES, TRAM_TOPO_NOTE, index_of(j->t, j->a));
		what(r, "%s writes in strict order: device control register, bit 4 (Relaxed Ordering) is 0; through a "
		     "host bridge that may cost bandwidth", j->a->address);
		remedy(r, "let its driver or firmware set the bit, where it does not depend on order");
	}
	if (j->t->machine.guest == 1) {
		r = reason(j, TRAM_TOPO_GUEST, TRAM_TOPO_WARNING, TRAM_TOPO_NONE);
		what(r, "this is a virtual machine: its bridges need not be the real ones, and the host's decide");
		remedy(r, "record the host (tram topo --record) and ask there");
	}
	if (j->a->xgmi_hive && j->a->xgmi_hive == j->b->xgmi_hive) {
		r = reason(j, TRAM_TOPO_PRIVATE_LINK, TRAM_TOPO_NOTE, TRAM_TOPO_NONE);
		what(r, "both are in XGMI hive %llx: their driver uses that link between them; this verdict is "
		     "about PCIe", (unsigned long long)j->a->xgmi_hive);
	}
}

static void untested(struct judge *j)
{
	struct tram_topo_reason *r = reason(j, TRAM_TOPO_DRIVER_ABSENT, TRAM_TOPO_NOTE, TRAM_TOPO_NONE);

	for (int i = 1; i < 4; i++)
		j->v->tier[i] = TRAM_TOPO_UNTESTED;
	what(r, "mapping, bytes and ordering are untested: driver not loaded");
	remedy(r, "load tramroad.ko (modprobe tramroad); it maps, moves and compares bytes over this route");
}

/* Refusals, doubts, warnings, notes; among equals as they were found. */
static void sort_reasons(struct tram_topo_verdict *v)
{
	for (uint32_t i = 1; i < v->n; i++)
		for (uint32_t k = i; k && v->reason[k].weight > v->reason[k - 1].weight; k--) {
			struct tram_topo_reason r = v->reason[k];

			v->reason[k] = v->reason[k - 1];
			v->reason[k - 1] = r;
		}
}

int tram_topo_verdict(struct tram_ctx *ctx, const struct tram_topo *t, uint32_t initiator,
		      uint32_t target, bool write, struct tram_topo_verdict *v)
{
	struct judge j = { .t = t, .v = v, .a = tram_topo_dev(t, initiator), .b = tram_topo_dev(t, target) };

	memset(v, 0, sizeof(*v));
	if (initiator == target)
		return tram_fail(ctx, -EINVAL, "%s: is named twice; a verdict is about two devices", j.a->address);
	v->initiator = initiator;
	v->target = target;
	v->write = write;
	v->distance = tram_topo_distance(t, initiator, target);
	j.common = common_bridge(t, initiator, target);
	decide(&j);
	look_at_devices(&j);
	look_at_kernel(&j);
	look_at_iommu(&j);
	look_at_bars(&j);
	look_at_links(&j);
	look_at_machine(&j);
	sort_reasons(v);
	untested(&j);
	return 0;
}

const char *tram_topo_code_name(enum tram_topo_code code)
{
	return code < TRAM_TOPO_CODES ? code_names[code] : "?";
}

const char *tram_topo_class_name(enum tram_topo_class c)
{
	static const char *const names[] = { "X", "PIX", "PXB", "PHB", "NODE", "SYS", "?" };

	return names[TRAM_MIN(c, TRAM_TOPO_FAR_UNKNOWN)];
}

static const char *const code_names[] = {
	[TRAM_TOPO_SWITCH_LOCAL] = "switch-local",
	[TRAM_TOPO_ACS_REDIRECT] = "acs-redirect",
	[TRAM_TOPO_ACS_UNKNOWN] = "acs-unknown",
	[TRAM_TOPO_HOST_LISTED] = "host-listed",
	[TRAM_TOPO_HOST_UNLISTED] = "host-unlisted",
	[TRAM_TOPO_HOST_SAME_ONLY] = "host-same-only",
	[TRAM_TOPO_HOST_UNKNOWN] = "host-unknown",
	[TRAM_TOPO_CROSS_ROOT] = "cross-root",
	[TRAM_TOPO_CROSS_NODE] = "cross-node",
	[TRAM_TOPO_NUMA_UNKNOWN] = "numa-unknown",
	[TRAM_TOPO_KERNEL_WITHOUT] = "kernel-without-p2pdma",
	[TRAM_TOPO_KERNEL_UNKNOWN] = "kernel-unknown",
	[TRAM_TOPO_TRANSLATED] = "iommu-translated",
	[TRAM_TOPO_GROUP_UNKNOWN] = "iommu-unknown",
	[TRAM_TOPO_GROUP_BLOCKED] = "iommu-blocked",
	[TRAM_TOPO_GROUP_FOREIGN] = "iommu-foreign",
	[TRAM_TOPO_NO_MEMORY] = "no-memory-bar",
	[TRAM_TOPO_MEMORY_OFF] = "memory-off",
	[TRAM_TOPO_MASTER_OFF] = "bus-master-off",
	[TRAM_TOPO_DEVICE_GONE] = "device-gone",
	[TRAM_TOPO_SMALL_BAR] = "small-bar",
	[TRAM_TOPO_LINK_NARROW] = "link-narrow",
	[TRAM_TOPO_LINK_SLOW] = "link-slow",
	[TRAM_TOPO_CONVENTIONAL_PATH] = "conventional-pci",
	[TRAM_TOPO_GUEST] = "virtual-machine",
	[TRAM_TOPO_PRIVATE_LINK] = "private-link",
	[TRAM_TOPO_ORDERED_WRITES] = "ordered-writes",
	[TRAM_TOPO_DRIVER_ABSENT] = "driver-not-loaded",
};
