/* SPDX-License-Identifier: MIT */
/*
 * For tests: a device inside the process whose kernels are the oracles (rounded to f32). It has
 * one queue, run on the caller's thread whenever something is submitted, signalled or waited for; a wait that
 * can't succeed times out at once. It checks what a driver would not: that nothing in use is destroyed.
 */
#ifndef TRAM_EXEC_FAKE_DEVICE_H
#define TRAM_EXEC_FAKE_DEVICE_H

#include "device/device.h"
#include "graph/graph.h"

#define FAKE_QUEUE 16

/* Everything alive, to be freed with the device. */
struct fake_object { struct fake_object *next; void (*destroy)(struct fake_object *o); };

struct fake_device {
	struct tram_device base;
	const struct tram_op_row *rows;
	struct fake_object *objects;
	struct tram_batch queue[FAKE_QUEUE];
	size_t head, tail;		/* batches [head, tail) modulo FAKE_QUEUE are queued */
	uint64_t clock_ns;
	uint64_t call_ns;	/* what each call takes on the device's clock */
	uint64_t submit_ns;	/* what each submit takes on the wall clock, below 1 s */

	/* Knobs */
	uint64_t lose_at;	/* the n-th call of the interface finds the device lost; 0: never */
	bool hang;		/* what is queued stays queued */

	/* Counters */
	uint64_t calls, submits, creates, kernels;
};

/* @rows: the op table. Closed by fake_device_destroy, which also frees what a hung device kept. */
int fake_device_create(struct tram_ctx *ctx, const struct tram_op_row *rows,
		       struct fake_device **fake);
void fake_device_destroy(struct fake_device **fake);

#endif
