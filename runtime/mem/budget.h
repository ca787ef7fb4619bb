/* SPDX-License-Identifier: MIT */
/*
 * Device memory of one owner: every buffer counted as the device counts it
 * (pad and rounding included) and refused above a limit, before the device is asked.
 */
#ifndef TRAM_MEM_BUDGET_H
#define TRAM_MEM_BUDGET_H

#include "device/device.h"

struct tram_budget {
	struct tram_device *dev;
	uint64_t limit;		/* bytes; 0: none */
	uint64_t used;
};

/* A zeroed buffer for @what (a word for messages). @size 0: *@buf is NULL. -ENOSPC above the limit. */
int tram_budget_get(struct tram_budget *b, uint64_t size, enum tram_memory kind, const char *what,
		    struct tram_buffer **buf);
/* Destroys @*buf, which may be NULL. Nothing may be using it. */
void tram_budget_put(struct tram_budget *b, struct tram_buffer **buf);

#endif
