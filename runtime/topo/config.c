/* SPDX-License-Identifier: MIT */
/*
 * Config space, PCI Express Base Specification 6.0, chapter 7. Register names
 * are the kernel's. Every offset is checked against what could be read; an
 * ordinary user may read 64 bytes, which hold no capability.
 */
#include <linux/pci_regs.h>

#include "topo/topo.h"

#define EXPRESS_TYPE(flags) (((flags) & PCI_EXP_FLAGS_TYPE) >> 4)

struct config { const uint8_t *c; size_t n; };

static bool inside(const struct config *c, size_t at, size_t n)
{
	return at <= c->n && n <= c->n - at;
}

static uint32_t get16(const struct config *c, size_t at)
{
	return inside(c, at, 2) ? (uint32_t)c->c[at] | (uint32_t)c->c[at + 1] << 8 : 0;
}

static uint32_t get32(const struct config *c, size_t at)
{
	return get16(c, at) | get16(c, at + 2) << 16;
}

/* Offset of a capability in bytes 64 to 255, or 0. A list that loops ends after as many steps as fit. */
static size_t find_cap(const struct config *c, uint32_t id)
{
	size_t at;

	if (!(get16(c, PCI_STATUS) & PCI_STATUS_CAP_LIST) || c->n <= 64)
		return 0;
	at = c->c[PCI_CAPABILITY_LIST] & 0xfc;
	for (int i = 0; i < 48 && at >= 64 && inside(c, at, 2); i++) {
		if (c->c[at] == id)
			return at;
		at = c->c[at + 1] & 0xfc;
	}
	return 0;
}

static size_t find_extended(const struct config *c, uint32_t id)
{
	size_t at = 256;

	for (int i = 0; i < 480 && at >= 256 && inside(c, at, 4); i++) {
		uint32_t head = get32(c, at);

		if (!head || head == 0xffffffff)
			return 0;
		if (PCI_EXT_CAP_ID(head) == id)
			return at;
		at = PCI_EXT_CAP_NEXT(head);
	}
	return 0;
}

/* Encodings of 7.5.3.6 and 7.5.3.8; 0 and 7 to 15 are reserved. */
static int32_t speed_of(uint32_t code)
{
	static const int32_t mts[] = { 0, 2500, 5000, 8000, 16000, 32000, 64000 };

	return code && code < TRAM_ARRAY_SIZE(mts) ? mts[code] : TRAM_TOPO_UNKNOWN;
}

/* Encodings of 7.5.3.4; 6 and 7 are reserved. */
static int32_t payload_of(uint32_t code)
{
	return code <= 5 ? 128 << code : TRAM_TOPO_UNKNOWN;
}

static void kind_of(struct tram_topo_dev *d, uint32_t type)
{
	switch (type) {
	case PCI_EXP_TYPE_ROOT_PORT:
		d->kind = TRAM_TOPO_ROOT_PORT;
		break;
	case PCI_EXP_TYPE_UPSTREAM:
		d->kind = TRAM_TOPO_SWITCH_UP;
		break;
	case PCI_EXP_TYPE_DOWNSTREAM:
		d->kind = TRAM_TOPO_SWITCH_DOWN;
		break;
	case PCI_EXP_TYPE_RC_END:
	case PCI_EXP_TYPE_RC_EC:
		d->kind = TRAM_TOPO_INTEGRATED;
		break;
	case PCI_EXP_TYPE_ENDPOINT:
	case PCI_EXP_TYPE_LEG_END:
		d->kind = TRAM_TOPO_ENDPOINT;
		break;
	default:
		d->kind = TRAM_TOPO_BRIDGE;
	}
}

static void express(struct tram_topo_dev *d, const struct config *c, size_t at)
{
	uint32_t cap = get32(c, at + PCI_EXP_LNKCAP), sta = get16(c, at + PCI_EXP_LNKSTA);
	uint32_t ctl = get16(c, at + PCI_EXP_DEVCTL), type = EXPRESS_TYPE(get16(c, at + PCI_EXP_FLAGS));

	if (!inside(c, at, PCI_EXP_LNKSTA + 2))
		return;
	if (d->kind != TRAM_TOPO_HOST_BRIDGE)
		kind_of(d, type);
	d->mps_max = payload_of(get32(c, at + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_PAYLOAD);
	d->mps = payload_of((ctl & PCI_EXP_DEVCTL_PAYLOAD) >> 5);
	d->mrrs = payload_of((ctl & PCI_EXP_DEVCTL_READRQ) >> 12);
	d->relaxed_ordering = !!(ctl & PCI_EXP_DEVCTL_RELAX_EN);
	if (type == PCI_EXP_TYPE_RC_END || type == PCI_EXP_TYPE_RC_EC)
		return;		/* no link: 7.5.3 */
	d->speed_max = speed_of(cap & PCI_EXP_LNKCAP_SLS);
	d->width_max = (int32_t)((cap & PCI_EXP_LNKCAP_MLW) >> 4);
	d->width_now = (int32_t)((sta & PCI_EXP_LNKSTA_NLW) >> 4);
	/* Without a partner the speed field means nothing. */
	d->speed_now = d->width_now ? speed_of(sta & PCI_EXP_LNKSTA_CLS) : 0;
}

/* 7.8.6: up to six pairs of capability and control. */
static void rebar(struct tram_topo_dev *d, const struct config *c, size_t at)
{
	uint32_t n = (get32(c, at + PCI_REBAR_CTRL) & PCI_REBAR_CTRL_NBAR_MASK) >> PCI_REBAR_CTRL_NBAR_SHIFT;

	d->resizable = 1;
	for (uint32_t i = 0; i < n && i < 6 && inside(c, at + 8 * i, 12); i++) {
		uint32_t bar = get32(c, at + PCI_REBAR_CTRL + 8 * i) & PCI_REBAR_CTRL_BAR_IDX;

		/* Bit 4 of the register is 1 MiB. */
		if (bar < 6)
			d->bar[bar].possible = (uint64_t)(get32(c, at + PCI_REBAR_CAP + 8 * i) >> 4) << 20;
	}
}

static void extended(struct tram_topo_dev *d, const struct config *c)
{
	size_t at = find_extended(c, PCI_EXT_CAP_ID_ACS);

	d->acs_cap = d->acs_ctrl = d->acs_at = TRAM_TOPO_NONE;
	if (at && inside(c, at, 8)) {
		d->acs_at = (int32_t)at;
		d->acs_cap = (int32_t)get16(c, at + PCI_ACS_CAP);
		d->acs_ctrl = (int32_t)get16(c, at + PCI_ACS_CTRL);
	}
	at = find_extended(c, PCI_EXT_CAP_ID_ATS);
	d->ats = at && inside(c, at, 8) ? !!(get16(c, at + PCI_ATS_CTRL) & PCI_ATS_CTRL_ENABLE) :
					   TRAM_TOPO_NONE;
	at = find_extended(c, PCI_EXT_CAP_ID_REBAR);
	if (at)
		rebar(d, c, at);
	else
		d->resizable = TRAM_TOPO_NONE;
}

void topo_forget_serial(uint8_t *bytes, size_t n)
{
	struct config c = { bytes, n };
	size_t at = find_extended(&c, PCI_EXT_CAP_ID_DSN);

	if (at && inside(&c, at, 12))
		memset(bytes + at + 4, 0, 8);
}

static bool all_ones(const uint8_t *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c[i] != 0xff)
			return false;
	return n > 0;
}

void topo_config(struct tram_topo_dev *d, const uint8_t *bytes, size_t n)
{
	struct config c = { bytes, n };
	size_t at;

	if (n < 64)
		return;
	if (all_ones(bytes, 64)) {
		d->gone = true;
		return;
	}
	d->config_bytes = n >= 4096 ? 4096 : n >= 256 ? 256 : 64;
	c.n = d->config_bytes;
	d->bus_master = !!(get16(&c, PCI_COMMAND) & PCI_COMMAND_MASTER);
	d->memory_on = !!(get16(&c, PCI_COMMAND) & PCI_COMMAND_MEMORY);
	if (c.n < 256)
		return;
	at = find_cap(&c, PCI_CAP_ID_EXP);
	if (at) {
		express(d, &c, at);
	} else {
		if (d->kind == TRAM_TOPO_FUNCTION)
			d->kind = TRAM_TOPO_CONVENTIONAL;
		d->speed_now = d->speed_max = d->width_now = d->width_max = TRAM_TOPO_NONE;
		d->mps = d->mps_max = d->mrrs = d->relaxed_ordering = TRAM_TOPO_NONE;
	}
	if (c.n == 4096)
		extended(d, &c);
	else if (!at)		/* no PCIe: no extended space to look into */
		d->acs_cap = d->acs_ctrl = d->acs_at = d->ats = d->resizable = TRAM_TOPO_NONE;
}
