/* SPDX-License-Identifier: MIT */
/*
 * Times a product on an open device: a program of a few calls, once to warm
 * up (shaders are compiled then), then the best of three runs.
 */
#include "device/probe.h"

#define SIDE 256u
#define CALLS 4u
#define LIMIT_NS 20000000000u	/* a device that needs this long is not the fastest */

static int run_once(struct tram_device *dev, struct tram_program *prog, struct tram_timeline *t,
		    uint64_t value, double *seconds)
{
	const struct tram_batch batch = { .program = prog, .signal = t, .signal_value = value };
	uint64_t start = tram_now_ns();
	int err = dev->ops->submit(dev, &batch, 1);

	if (!err)
		err = dev->ops->timeline_wait(t, value, start + LIMIT_NS);
	*seconds = (double)(tram_now_ns() - start) * 1e-9;
	return err;
}

int tram_device_probe(struct tram_device *dev, double *flops_per_s)
{
	static const union tram_attr attr;
	const struct tram_device_ops *ops = dev->ops;
	const uint64_t bytes = (uint64_t)SIDE * SIDE * 4;
	struct tram_shape shape = TRAM_SHAPE(1, SIDE, SIDE);
	struct tram_operand operand[3];
	struct tram_call calls[CALLS];
	struct tram_signature sig = { .op = TRAM_OP_MATMUL, .attr = &attr, .n_in = 2, .n_out = 1 };
	struct tram_shape shapes[2] = { shape, shape };
	struct tram_buffer *data = NULL, *scratch = NULL;
	struct tram_program *prog = NULL;
	struct tram_timeline *t = NULL;
	uint64_t scratch_bytes = 0;
	double best = 0;
	int err;

	*flops_per_s = 0;
	sig.in = shapes;
	sig.out = &shape;
	if (dev->machine.scratch)
		scratch_bytes = dev->machine.scratch(&dev->machine, &sig);
	err = ops->buffer_create(dev, 3 * bytes + sizeof(struct tram_step), TRAM_MEMORY_DEVICE,
				 &data);
	if (!err && scratch_bytes)
		err = ops->buffer_create(dev, scratch_bytes, TRAM_MEMORY_DEVICE, &scratch);
	if (!err)
		err = ops->timeline_create(dev, &t);
	for (uint32_t i = 0; i < 3; i++)
		operand[i] = (struct tram_operand){ data, i * bytes, shape, TRAM_F32 };
	for (uint32_t i = 0; i < CALLS; i++)
		calls[i] = (struct tram_call){
			.op = TRAM_OP_MATMUL, .attr = &attr, .n_in = 2, .n_out = 1,
			.in = operand, .out = &operand[2], .barrier = true,
			.scratch = { .buf = scratch, .dtype = TRAM_F32 },
		};
	if (!err)
		err = ops->program_create(dev, calls, CALLS, data, 3 * bytes, false, &prog);
	for (uint64_t i = 1; !err && i <= 4; i++) {
		double s;

		err = run_once(dev, prog, t, i, &s);
		if (!err && i > 1 && (!best || s < best))
			best = s;
	}
	if (!err)
		*flops_per_s = CALLS * 2.0 * SIDE * SIDE * SIDE / TRAM_MAX(best, 1e-9);
	if (prog)
		ops->program_destroy(prog);
	if (t)
		ops->timeline_destroy(t);
	if (scratch)
		ops->buffer_destroy(scratch);
	if (data)
		ops->buffer_destroy(data);
	/* It must not count in what the caller's plan needs. */
	dev->memory_peak = dev->memory_now;
	return err;
}
