/* SPDX-License-Identifier: MIT */
/*
 * What the planner knows of a device: plain data and pure functions, so that
 * the same planner serves a live device, a recorded one and a made-up one.
 */
#ifndef TRAM_OPS_MACHINE_H
#define TRAM_OPS_MACHINE_H

#include "base/base.h"
#include "graph/op.h"

/* A call without addresses: what decides its cost. */
struct tram_signature {
	enum tram_op op;
	const union tram_attr *attr;
	uint32_t n_in, n_out;
	const struct tram_shape *in, *out;
};

/* Stable hash of op, attributes and shapes (not of salts, immediates or pointers). */
uint64_t tram_signature_hash(const struct tram_signature *sig);

/* Floating-point operations and bytes moved, counted from the shapes. */
void tram_signature_work(const struct tram_signature *sig, double *flops, double *bytes);

struct tram_rate { uint64_t hash; double seconds; };

struct tram_machine_device {
	uint64_t budget;	/* bytes */
	uint64_t granule;	/* allocations are rounded up to it, pad included */
	uint64_t pad;		/* bytes added to every allocation */
	/* Coarse rates, for calls that were never measured. */
	double launch_s, flops_per_s, bytes_per_s;
	/* Measured calls, sorted by hash; owned by the device. */
	struct tram_rate *rates;
	size_t n_rates;
	/* Scratch bytes of a call on this device class; NULL: none ever. @self gives access to @kernels. */
	uint64_t (*scratch)(const struct tram_machine_device *self, const struct tram_signature *sig);
	/* Bytes that recording a program of @calls calls allocates on the device (argument blocks); NULL: none. */
	uint64_t (*program_bytes)(const struct tram_machine_device *self, size_t calls);
	const void *kernels;	/* the backend's description of its kernel variants */
};

/* What a buffer of @size usable bytes costs there. */
static inline uint64_t tram_machine_bytes(const struct tram_machine_device *m, uint64_t size)
{
	uint64_t granule = m->granule ? m->granule : 1;

	return size ? TRAM_ALIGN_UP(size + m->pad, granule) : 0;
}

#endif
