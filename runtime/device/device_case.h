/* SPDX-License-Identifier: MIT */
/*
 * For tests of kernels: runs a graph on a device with no planner, one buffer
 * a value and one call a node, every call behind a barrier.
 */
#ifndef TRAM_DEVICE_CASE_H
#define TRAM_DEVICE_CASE_H

#include "device/device.h"
#include "graph/graph.h"

/*
 * As tram_oracle_run(), with the same bindings: inputs, variables and outputs
 * by name, f32 tensors as arrays of double (rounded to f32 on the way in),
 * i32 ones as int32_t. Variables are read from their bindings and written
 * back; an input or variable without a binding is -EINVAL, an output without
 * one is not fetched. @step NULL: step 1, gate open. The graph holds kernel ops only (expand it
 * first). -EFAULT when a kernel wrote past the end of a value: results and
 * scratch start as NaNs and are followed by a guard.
 */
int tram_device_case_run(struct tram_device *dev, const struct tram_graph *graph,
			 const struct tram_binding *bindings, size_t n,
			 const struct tram_step *step);

#endif
