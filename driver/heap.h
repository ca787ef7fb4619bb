/* SPDX-License-Identifier: GPL-2.0-only */
/* The heap of the host's memory: what it is and how much one may take. */
#ifndef TRAM_HEAP_H
#define TRAM_HEAP_H

#include <linux/types.h>

#define TRAM_HEAP_ID_SYSTEM	0

struct tram_account;
struct tram_device;
struct tram_heap_info;

void tram_heap_info(struct tram_device *tdev, struct tram_heap_info *info);

/* tram_ledger_uncharge() gives it back. */
int tram_heap_charge(struct tram_device *tdev, u64 bytes,
		     struct tram_account **out);

#endif
