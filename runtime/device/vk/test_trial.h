/* SPDX-License-Identifier: MIT */
/*
 * What the tests of kernels share: a trial is one call with drawn operands, run on a Vulkan device and
 * by the oracle, then compared.
 */
#ifndef TRAM_DEVICE_VK_TEST_TRIAL_H
#define TRAM_DEVICE_VK_TEST_TRIAL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <tram/ops.h>

#include "device/vk/vk.h"
#include "ops/ops.h"

#define MAX_OPERANDS 8

struct fixture {
	struct tram_ctx *ctx;
	struct tram_device *dev;
	struct tram_buffer *buf, *step_buf;
	struct tram_step step;
	uint32_t seed;
};

/* One call: shapes and attributes, then the values that were drawn and found. */
struct trial {
	enum tram_op op;
	union tram_attr attr;
	uint32_t n_in, n_out, shards;
	struct tram_shape in[MAX_OPERANDS], out[3];
	enum tram_dtype in_type[MAX_OPERANDS], out_type[3];
	float lo, hi;			/* of drawn f32 values; both 0: -2 .. 2 */
	int32_t ilo, ihi;		/* of drawn i32 values */
	double atol, rtol;
	bool in_place;			/* output 0 in the storage of row.inplace */
	float *f[MAX_OPERANDS];		/* words of the inputs (i32 too) */
	float *got[3];
	double *want[3];
};

#define BUFFER_BYTES (64u << 20)

static uint32_t draw(struct fixture *fx)
{
	return fx->seed = fx->seed * 1664525u + 1013904223u;
}

static float draw_float(struct fixture *fx, float lo, float hi)
{
	return lo + (hi - lo) * (float)(draw(fx) >> 8) * 0x1p-24f;
}

static int open_device(void **state, bool gpu)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	const char *sel = getenv("TRAM_TEST_DEVICE");

	assert_int_equal(tram_ctx_create(NULL, &fx->ctx), 0);
	if (tram_device_open(fx->ctx, sel ? sel : "vk0", &fx->dev)) {
		print_message("skip: %s\n", tram_error(fx->ctx));
		tram_ctx_destroy(&fx->ctx);
		free(fx);
		return -1;
	}
	if (gpu) {
		tram_vk_of(fx->dev)->class.software = false;
		tram_vk_of(fx->dev)->class.lavapipe = false;
	}
	assert_int_equal(fx->dev->ops->buffer_create(fx->dev, BUFFER_BYTES, TRAM_MEMORY_DEVICE,
						     &fx->buf), 0);
	assert_int_equal(fx->dev->ops->buffer_create(fx->dev, sizeof(struct tram_step),
						     TRAM_MEMORY_DEVICE, &fx->step_buf), 0);
	fx->step = (struct tram_step){ .step = 7, .seed = { 11, 13 }, .commit = 1, .lr = 1e-2f,
				       .bias_correction1 = 0.5f, .bias_correction2 = 0.3f,
				       .inv_targets = 0.125f, .loss_scale = 1 };
	fx->seed = 1;
	*state = fx;
	return 0;
}

static int setup_plain(void **state)
{
	return open_device(state, false);
}

static int setup_gpu(void **state)
{
	return open_device(state, true);
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(tram_vk_validation_errors(fx->dev), 0);
	fx->dev->ops->buffer_destroy(fx->buf);
	fx->dev->ops->buffer_destroy(fx->step_buf);
	tram_device_close(&fx->dev);
	tram_ctx_destroy(&fx->ctx);
	free(fx);
	return 0;
}

/* --- a trial ------------------------------------------------------------------------ */

static void trial_shapes(struct fixture *fx, struct trial *t)
{
	struct tram_graph_params params = { .shards = t->shards };
	struct tram_graph *g;
	tram_value in[MAX_OPERANDS];
	int node;

	assert_int_equal(tram_graph_create(fx->ctx, &params, &g), 0);
	for (uint32_t i = 0; i < t->n_in; i++) {
		char name[8] = { 'i', (char)('0' + i) };
		const struct tram_op_row *row = &tram_op_table[t->op];
		bool var = false;

		for (int j = 0; j < 3; j++)
			var |= row->updates[j] == i + 1;
		in[i] = var ? tram_variable(g, name, t->in[i])
			    : tram_input(g, name, t->in_type[i], t->in[i]);
	}
	node = tram_graph_node(g, t->op, in, t->n_in, &t->attr);
	if (node < 0)
		fail_msg("%s: %s", tram_op_table[t->op].name, tram_error(fx->ctx));
	t->n_out = g->nodes.v[node].n_out;
	for (uint32_t i = 0; i < t->n_out; i++) {
		t->out[i] = tram_val(g, g->nodes.v[node].out[i])->shape;
		t->out_type[i] = tram_val(g, g->nodes.v[node].out[i])->dtype;
	}
	tram_graph_destroy(&g);
}

static void trial_begin(struct fixture *fx, struct trial *t)
{
	float lo = t->lo, hi = t->hi;

	if (lo == 0 && hi == 0) {
		lo = -2;
		hi = 2;
	}
	trial_shapes(fx, t);
	for (uint32_t i = 0; i < t->n_in; i++) {
		size_t n = tram_shape_count(&t->in[i]);

		t->f[i] = malloc(n * 4);
		for (size_t k = 0; k < n; k++) {
			if (t->in_type[i] == TRAM_I32)
				((int32_t *)t->f[i])[k] = t->ilo + (int32_t)(draw(fx) >> 8) %
							  (t->ihi - t->ilo + 1);
			else
				t->f[i][k] = draw_float(fx, lo, hi);
		}
	}
	for (uint32_t i = 0; i < t->n_out; i++) {
		t->got[i] = malloc(tram_shape_count(&t->out[i]) * 4);
		t->want[i] = malloc(tram_shape_count(&t->out[i]) * 8);
	}
}

static void trial_end(struct trial *t)
{
	for (int i = 0; i < MAX_OPERANDS; i++)
		free(t->f[i]);
	for (int i = 0; i < 3; i++) {
		free(t->got[i]);
		free(t->want[i]);
	}
}

static struct tram_operand place(struct fixture *fx, uint64_t *at, struct tram_shape shape,
				 enum tram_dtype dtype)
{
	struct tram_operand o = { fx->buf, *at, shape, dtype };

	*at += TRAM_ALIGN_UP(tram_shape_count(&shape) * 4, TRAM_TENSOR_ALIGN);
	assert_true(*at <= BUFFER_BYTES);
	return o;
}

/* Into t->got. */
static void trial_device(struct fixture *fx, struct trial *t)
{
	const struct tram_device_ops *ops = fx->dev->ops;
	const struct tram_op_row *row = &tram_op_table[t->op];
	struct tram_signature sig = { t->op, &t->attr, t->n_in, t->n_out, t->in, t->out };
	struct tram_operand in[MAX_OPERANDS], out[3];
	struct tram_call call = { .op = t->op, .attr = &t->attr, .n_in = t->n_in,
				  .n_out = t->n_out, .in = in, .out = out };
	struct tram_program *prog;
	struct tram_timeline *tl;
	struct tram_batch batch;
	uint64_t at = 0, scratch;

	for (uint32_t i = 0; i < t->n_in; i++) {
		in[i] = place(fx, &at, t->in[i], t->in_type[i]);
		assert_int_equal(ops->write(fx->buf, in[i].offset, t->f[i],
					    tram_shape_count(&t->in[i]) * 4), 0);
	}
	for (uint32_t i = 0; i < t->n_out; i++) {
		if (row->updates[i])
			out[i] = in[row->updates[i] - 1];
		else if (t->in_place && !i)
			out[i] = in[row->inplace];
		else
			out[i] = place(fx, &at, t->out[i], t->out_type[i]);
		out[i].shape = t->out[i];
	}
	scratch = tram_vk_lowerings[t->op].scratch ?
		  tram_vk_lowerings[t->op].scratch(&tram_vk_of(fx->dev)->class, &sig) : 0;
	if (scratch)
		call.scratch = place(fx, &at, TRAM_SHAPE((uint32_t)(scratch / 4)), TRAM_F32);
	assert_int_equal(ops->write(fx->step_buf, 0, &fx->step, sizeof(fx->step)), 0);
	if (ops->program_create(fx->dev, &call, 1, fx->step_buf, 0, false, &prog))
		fail_msg("%s: %s", row->name, tram_error(fx->ctx));
	assert_int_equal(ops->timeline_create(fx->dev, &tl), 0);
	batch = (struct tram_batch){ .program = prog, .signal = tl, .signal_value = 1 };
	assert_int_equal(ops->submit(fx->dev, &batch, 1), 0);
	assert_int_equal(ops->timeline_wait(tl, 1, tram_now_ns() + 60000000000ull), 0);
	for (uint32_t i = 0; i < t->n_out; i++)
		assert_int_equal(ops->read(fx->buf, out[i].offset, t->got[i],
					   tram_shape_count(&t->out[i]) * 4), 0);
	ops->timeline_destroy(tl);
	ops->program_destroy(prog);
}

/* Into t->want. */
static void trial_oracle(struct fixture *fx, struct trial *t)
{
	struct tram_oracle_tensor in[MAX_OPERANDS], out[3];

	for (uint32_t i = 0; i < t->n_in; i++) {
		size_t n = tram_shape_count(&t->in[i]);

		in[i].shape = t->in[i];
		in[i].dtype = t->in_type[i];
		in[i].f = malloc(n * 8);
		for (size_t k = 0; k < n; k++) {
			if (t->in_type[i] == TRAM_I32)
				in[i].i[k] = ((int32_t *)t->f[i])[k];
			else
				in[i].f[k] = t->f[i][k];
		}
	}
	for (uint32_t i = 0; i < t->n_out; i++) {
		uint32_t from = tram_op_table[t->op].updates[i];

		out[i].shape = t->out[i];
		out[i].dtype = t->out_type[i];
		out[i].f = t->want[i];
		if (from)
			memcpy(out[i].f, in[from - 1].f, tram_shape_count(&t->out[i]) * 8);
	}
	assert_int_equal(tram_op_table[t->op].oracle(in, t->n_in, out, t->n_out, &t->attr,
						     &fx->step), 0);
	for (uint32_t i = 0; i < t->n_in; i++)
		free(in[i].f);
}

static void trial_compare(struct trial *t)
{
	char text[TRAM_SHAPE_TEXT];

	for (uint32_t i = 0; i < t->n_out; i++) {
		for (size_t k = 0; k < tram_shape_count(&t->out[i]); k++) {
			double got, want;

			if (t->out_type[i] == TRAM_I32) {
				got = ((int32_t *)t->got[i])[k];
				want = ((int32_t *)t->want[i])[k];
			} else {
				got = t->got[i][k];
				want = t->want[i][k];
			}
			if ((isnan(want) && isnan(got)) || got == want ||
			    fabs(got - want) <= t->atol + t->rtol * fabs(want))
				continue;
			fail_msg("%s of %s: output %u, element %zu is %.9g, the oracle says %.9g",
				 tram_op_table[t->op].name, tram_shape_text(&t->in[0], text), i,
				 k, got, want);
		}
	}
}

static void trial_check(struct fixture *fx, struct trial *t)
{
	trial_oracle(fx, t);
	trial_device(fx, t);
	trial_compare(t);
}

static void run_trial(struct fixture *fx, struct trial *t)
{
	trial_begin(fx, t);
	trial_check(fx, t);
	trial_end(t);
}

#endif
