/* SPDX-License-Identifier: MIT */
/*
 * For tests: runs a kernel call by its oracle on tensors in memory as devices
 * hold them (f32 and i32), rounding results to f32. The oracles see copies, so operands may share storage.
 */
#ifndef TRAM_PLAN_TEST_CALL_H
#define TRAM_PLAN_TEST_CALL_H

#include <stdlib.h>

#include "graph/graph.h"

struct test_operand { struct tram_shape shape; enum tram_dtype dtype; void *data; };

static inline void test_load(struct tram_oracle_tensor *t, const struct test_operand *o, bool fill)
{
	uint64_t n = tram_shape_count(&o->shape);

	t->shape = o->shape;
	t->dtype = o->dtype;
	t->f = calloc(n, sizeof(double));	/* wide enough for int32_t, too */
	for (uint64_t i = 0; fill && i < n; i++) {
		if (o->dtype == TRAM_F32)
			t->f[i] = ((float *)o->data)[i];
		else
			t->i[i] = ((int32_t *)o->data)[i];
	}
}

static inline void test_store(const struct tram_oracle_tensor *t, const struct test_operand *o)
{
	uint64_t n = tram_shape_count(&o->shape);

	for (uint64_t i = 0; i < n; i++) {
		if (o->dtype == TRAM_F32)
			((float *)o->data)[i] = (float)t->f[i];
		else
			((int32_t *)o->data)[i] = t->i[i];
	}
}

static inline int test_call(const struct tram_op_row *row, const union tram_attr *attr,
			    const struct test_operand *in, uint32_t n_in,
			    const struct test_operand *out, uint32_t n_out,
			    const struct tram_step *step)
{
	struct tram_oracle_tensor *tin = calloc(n_in + 1, sizeof(*tin)), tout[3];
	int r;

	for (uint32_t k = 0; k < n_in; k++)
		test_load(&tin[k], &in[k], true);
	for (uint32_t k = 0; k < n_out; k++)
		test_load(&tout[k], &out[k], row->updates[k]);
	r = row->oracle(tin, n_in, tout, n_out, attr, step);
	for (uint32_t k = 0; k < n_out; k++) {
		if (!r)
			test_store(&tout[k], &out[k]);
		free(tout[k].f);
	}
	for (uint32_t k = 0; k < n_in; k++)
		free(tin[k].f);
	free(tin);
	return r;
}

#endif
