/* SPDX-License-Identifier: MIT */
/*
 * The machine's PCI devices, how they are joined, and whether one may read or
 * write the memory of another. Read from sysfs and config space below any root
 * folder, or from a recording of them; no driver of this project is needed.
 *
 * What could not be read is said, never guessed: a number is
 * TRAM_TOPO_UNKNOWN then. Sources: PCI Express Base Specification 6.0,
 * chapter 7 (registers) and section 6.12 (ACS); the kernel's
 * Documentation/ABI/testing/sysfs-bus-pci, sysfs-kernel-iommu_groups and
 * Documentation/driver-api/pci/p2pdma.rst.
 */
#ifndef TRAM_TOPO_H
#define TRAM_TOPO_H

#include <stdbool.h>

#include <tram/tram.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRAM_TOPO_UNKNOWN	(-1)	/* it could not be read: tram_topo_unknown_why() */
#define TRAM_TOPO_NONE		(-2)	/* the device has no such thing */

struct tram_topo;

enum tram_topo_kind {
	TRAM_TOPO_ENDPOINT,		/* PCIe */
	TRAM_TOPO_INTEGRATED,		/* PCIe, part of the root complex */
	TRAM_TOPO_CONVENTIONAL,		/* no PCIe capability */
	TRAM_TOPO_HOST_BRIDGE,
	TRAM_TOPO_ROOT_PORT,
	TRAM_TOPO_SWITCH_UP,		/* a switch's port towards the CPU */
	TRAM_TOPO_SWITCH_DOWN,
	TRAM_TOPO_BRIDGE,		/* another bridge, or a port whose type could not be read */
	TRAM_TOPO_FUNCTION,		/* no bridge; whether PCIe could not be read */
};

enum tram_topo_iommu {
	TRAM_TOPO_IOMMU_NONE,		/* in no IOMMU group: addresses go out as they are */
	TRAM_TOPO_IOMMU_IDENTITY,	/* passthrough */
	TRAM_TOPO_IOMMU_TRANSLATED,	/* DMA or DMA-FQ */
	TRAM_TOPO_IOMMU_BLOCKED,
	TRAM_TOPO_IOMMU_UNMANAGED,	/* a user of the IOMMU decides, as VFIO does */
	TRAM_TOPO_IOMMU_UNKNOWN,
};

struct tram_topo_bar {
	uint64_t size;			/* bytes; 0: not there */
	uint64_t possible;		/* bit n: it could be 2^n bytes (PCIe 7.8.6); 0: not resizable, or unknown */
	bool memory, prefetchable, wide;	/* wide: 64 bits */
};

struct tram_topo_dev {
	char address[24];		/* "0000:01:00.0" */
	uint32_t domain, bus, slot, function;
	uint32_t vendor, device, class_code;	/* class: 24 bits */
	char vendor_name[64], device_name[96];	/* of pci.ids; "" when not known */
	enum tram_topo_kind kind;
	int32_t parent;			/* index of the bridge above; NONE: on the root bus */
	int32_t root;			/* index of the root complex's host bridge */
	int32_t physical;		/* a virtual function's physical one, else NONE */
	int32_t numa;			/* NUMA node; UNKNOWN: the firmware does not tell */
	int32_t iommu_group;		/* or NONE */
	enum tram_topo_iommu iommu;
	uint32_t config_bytes;		/* how much config space could be read: 0, 64, 256, 4096 */
	bool gone;			/* config space reads as all ones: lost, or powered off */
	int32_t speed_now, speed_max;	/* MT/s: 2500 ... 64000; NONE: no link */
	int32_t width_now, width_max;	/* lanes */
	int32_t mps, mps_max, mrrs;	/* bytes: Max_Payload_Size now, supported; Max_Read_Request_Size */
	int32_t relaxed_ordering;	/* 0, 1 */
	int32_t ats;			/* 0: off, 1: on */
	int32_t acs_cap, acs_ctrl;	/* bits of PCIe 7.7.11 */
	int32_t acs_at;			/* offset of the capability */
	int32_t bus_master, memory_on;	/* command register */
	int32_t resizable;		/* some BAR is: 0, 1 */
	struct tram_topo_bar bar[6];
	char driver[32];		/* kernel driver; "" none */
	char nodes[96];			/* "card0 renderD128 accel0 nvme0 eth0" */
	uint64_t xgmi_hive;		/* of amdgpu: equal and not 0 means joined by XGMI */
};

struct tram_topo_root {
	char name[24];			/* "pci0000:00" */
	int32_t numa;
	int32_t bridge;			/* the device that the kernel takes for the host bridge, or NONE */
};

struct tram_topo_node {
	uint32_t id;
	char cpus[96];			/* "0-63,128-191" */
	uint64_t memory;		/* bytes; 0: unknown */
};

struct tram_topo_machine {
	char cpu[96], cpu_vendor[32];	/* "" unknown */
	int32_t cpu_family;
	int32_t guest;			/* in a virtual machine: 0, 1 */
	char kernel[96];		/* release */
	int32_t p2pdma;			/* built with CONFIG_PCI_P2PDMA: 0, 1 */
	uint32_t n_devs, n_roots, n_nodes;
};

/* Zero means the default; new members go to the end. */
struct tram_topo_params {
	const char *root;		/* folder in which sys/ and proc/ lie; NULL: "/" */
	const char *recording;		/* a file of tram_topo_record() instead */
	const char *names;		/* pci.ids; NULL: usr/share/misc/pci.ids below @root, then the system's */
};

/*
 * Reads a machine. One without PCI devices is no failure. -EINVAL for a
 * recording or tree that contradicts itself, -ENOENT, -EACCES, -ENOMEM.
 * Give *@topo back with tram_topo_free() before @ctx goes.
 */
int tram_topo_read(struct tram_ctx *ctx, const struct tram_topo_params *params,
		   struct tram_topo **topo);
void tram_topo_free(struct tram_topo **topo);	/* *@topo may be NULL */

/*
 * Reads the machine of @params and writes what was read to @file: text, whole
 * or not at all. It holds device ids, addresses, the CPU's model and the
 * kernel's release; no serial number, no host name. -EINVAL, -EIO, -ENOSPC...
 */
int tram_topo_record(struct tram_ctx *ctx, const struct tram_topo_params *params, const char *file);

/* These live as long as @topo. An index past the end is a bug of the caller. */
const struct tram_topo_machine *tram_topo_machine(const struct tram_topo *topo);
const struct tram_topo_dev *tram_topo_dev(const struct tram_topo *topo, uint32_t i);
const struct tram_topo_root *tram_topo_root(const struct tram_topo *topo, uint32_t i);
const struct tram_topo_node *tram_topo_node(const struct tram_topo *topo, uint32_t i);

/*
 * A device by address ("0000:01:00.0", "01:00.0" where the domain is 0) or by a
 * node ("renderD128", "nvme0"). -ENODEV with a message that names what there is.
 */
int tram_topo_find(struct tram_ctx *ctx, const struct tram_topo *topo, const char *name,
		   uint32_t *i);

/* Does it move bulk data (GPU, accelerator, NVMe, network, memory)? Virtual functions don't count. */
bool tram_topo_bulk(const struct tram_topo_dev *dev);
bool tram_topo_is_bridge(const struct tram_topo_dev *dev);

/* "needs root", "no extended config space", ...: why a number of @dev is unknown. Static. */
const char *tram_topo_unknown_why(const struct tram_topo_dev *dev);

/* --- verdicts -------------------------------------------------------------------- */

/* How far apart, in the letters of nvidia-smi. Text in Documentation/p2p.rst. */
enum tram_topo_class {
	TRAM_TOPO_SELF,
	TRAM_TOPO_PIX,		/* below one bridge or switch */
	TRAM_TOPO_PXB,		/* several switches, no host bridge */
	TRAM_TOPO_PHB,		/* through one host bridge */
	TRAM_TOPO_NODE,		/* through two host bridges of one NUMA node */
	TRAM_TOPO_SYS,		/* through the link between NUMA nodes */
	TRAM_TOPO_FAR_UNKNOWN,	/* two host bridges; the firmware does not tell their nodes */
};

enum tram_topo_answer { TRAM_TOPO_YES, TRAM_TOPO_NO, TRAM_TOPO_UNSURE, TRAM_TOPO_UNTESTED };

enum tram_topo_route {
	TRAM_TOPO_ROUTE_NONE,
	TRAM_TOPO_ROUTE_SWITCH,	/* bus addresses; never leaves the switch */
	TRAM_TOPO_ROUTE_HOST,	/* through the host bridge and, where it translates, the IOMMU */
	TRAM_TOPO_ROUTE_UNSURE,
};

/* Each is a section of Documentation/p2p.rst, by the name of tram_topo_code_name(). */
enum tram_topo_code {
	TRAM_TOPO_SWITCH_LOCAL, TRAM_TOPO_ACS_REDIRECT, TRAM_TOPO_ACS_UNKNOWN,
	TRAM_TOPO_HOST_LISTED, TRAM_TOPO_HOST_UNLISTED, TRAM_TOPO_HOST_SAME_ONLY,
	TRAM_TOPO_HOST_UNKNOWN, TRAM_TOPO_CROSS_ROOT, TRAM_TOPO_CROSS_NODE,
	TRAM_TOPO_NUMA_UNKNOWN, TRAM_TOPO_KERNEL_WITHOUT, TRAM_TOPO_KERNEL_UNKNOWN,
	TRAM_TOPO_TRANSLATED, TRAM_TOPO_GROUP_UNKNOWN, TRAM_TOPO_GROUP_BLOCKED,
	TRAM_TOPO_GROUP_FOREIGN, TRAM_TOPO_NO_MEMORY, TRAM_TOPO_MEMORY_OFF,
	TRAM_TOPO_MASTER_OFF, TRAM_TOPO_DEVICE_GONE, TRAM_TOPO_SMALL_BAR,
	TRAM_TOPO_LINK_NARROW, TRAM_TOPO_LINK_SLOW, TRAM_TOPO_CONVENTIONAL_PATH,
	TRAM_TOPO_GUEST, TRAM_TOPO_PRIVATE_LINK, TRAM_TOPO_ORDERED_WRITES,
	TRAM_TOPO_DRIVER_ABSENT,
	TRAM_TOPO_CODES
};

struct tram_topo_reason {
	enum tram_topo_code code;
	enum { TRAM_TOPO_NOTE, TRAM_TOPO_WARNING, TRAM_TOPO_DOUBT, TRAM_TOPO_REFUSAL } weight;
	int32_t culprit;		/* index of a device, or NONE */
	char what[240];			/* names register or option */
	char remedy[280];		/* "" where nothing needs to be done */
};

#define TRAM_TOPO_REASONS 20

struct tram_topo_verdict {
	uint32_t initiator, target;
	bool write;
	enum tram_topo_class distance;
	/* 0 topology, 1 mapping, 2 bytes, 3 ordering. 1 to 3 need the driver. */
	enum tram_topo_answer tier[4];
	enum tram_topo_route route;
	uint32_t n;
	struct tram_topo_reason reason[TRAM_TOPO_REASONS];	/* what decides first */
};

enum tram_topo_class tram_topo_distance(const struct tram_topo *topo, uint32_t a, uint32_t b);

/*
 * May @initiator read from (or with @write, write to) the BAR memory of
 * @target? Tier 1 follows the kernel's calc_map_type_and_dist()
 * (drivers/pci/p2pdma.c, Linux 6.12). -EINVAL when they are one device.
 */
int tram_topo_verdict(struct tram_ctx *ctx, const struct tram_topo *topo, uint32_t initiator,
		      uint32_t target, bool write, struct tram_topo_verdict *v);

const char *tram_topo_code_name(enum tram_topo_code code);	/* "acs-redirect" */
const char *tram_topo_class_name(enum tram_topo_class c);	/* "PIX"; "?" */

#ifdef __cplusplus
}
#endif
#endif
