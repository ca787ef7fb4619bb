/* SPDX-License-Identifier: MIT */
/*
 * Claims about the shaders of everything but products and attention: each call gives what
 * the oracle gives, on whole tiles, tails, primes and single elements, in place where
 * the op table allows it; a row's bits depend on nothing but the row; a fused
 * program has the bits of its parts; a closed gate writes nothing.
 *
 * Runs on device TRAM_TEST_DEVICE (vk0), as it is and once more as if it were a GPU, which
 * brings workgroups of several subgroups.
 */
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

/* --- rows -------------------------------------------------------------------------------- */

static const uint32_t rows_and_columns[][2] = {
	{ 1, 1 }, { 1, 7 }, { 3, 8 }, { 5, 16 }, { 2, 31 }, { 7, 32 }, { 4, 33 }, { 1, 64 },
	{ 3, 127 }, { 13, 257 }, { 2, 1024 }, { 3, 2053 }, { 70, 3 },
};

#define EACH_SHAPE(n_, c_) \
	for (size_t k_ = 0; k_ < TRAM_ARRAY_SIZE(rows_and_columns); k_++) \
		for (uint32_t n_ = rows_and_columns[k_][0], c_ = rows_and_columns[k_][1]; n_; n_ = 0)

static void softmax_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (int in_place = 0; in_place < 2; in_place++) {
			struct trial t = { .op = TRAM_OP_SOFTMAX, .n_in = 1,
					   .in = { TRAM_SHAPE(n, c) }, .lo = -30, .hi = 20,
					   .atol = 1e-7, .rtol = 4e-6, .in_place = in_place };

			run_trial(*state, &t);
		}
	}
}

static void softmax_bwd_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (int in_place = 0; in_place < 2; in_place++) {
			struct trial t = { .op = TRAM_OP_SOFTMAX_BWD, .n_in = 2,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n, c) },
					   .lo = 0, .hi = 1, .atol = 1e-6 * sqrt(c), .rtol = 1e-5,
					   .in_place = in_place };

			run_trial(*state, &t);
		}
	}
}

static void layernorm_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		struct trial t = { .op = TRAM_OP_LAYERNORM, .n_in = 3,
				   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(c), TRAM_SHAPE(c) },
				   .attr.norm = { .eps = 1e-5f, .shards = 1 }, .lo = -1, .hi = 3,
				   .atol = 2e-6, .rtol = 1e-5 };

		run_trial(*state, &t);
	}
}

static void layernorm_bwd_x_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (uint32_t add = 0; add < 2; add++) {
			struct trial t = { .op = TRAM_OP_LAYERNORM_BWD_X, .n_in = 4 + add,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n, c), TRAM_SHAPE(c),
						   TRAM_SHAPE(n, 2), TRAM_SHAPE(n, c) },
					   .attr.norm = { .eps = 1e-5f, .shards = 1, .add = add },
					   .lo = -1, .hi = 1.5, .atol = 4e-6, .rtol = 1e-5 };

			run_trial(*state, &t);
		}
	}
}

static void layernorm_bwd_p_is_the_oracles(void **state)
{
	static const uint32_t shapes[][3] = { /* shards, rows of all shards, columns */
		{ 1, 1, 1 }, { 1, 7, 5 }, { 2, 14, 33 }, { 1, 128, 32 }, { 1, 129, 31 },
		{ 4, 1200, 64 }, { 1, 9000, 3 }, { 3, 3 * 8300, 37 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(shapes); i++) {
		uint32_t s = shapes[i][0], n = shapes[i][1], c = shapes[i][2];
		struct trial t = { .op = TRAM_OP_LAYERNORM_BWD_P, .n_in = 3, .shards = s,
				   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n, c), TRAM_SHAPE(n, 2) },
				   .attr.norm = { .eps = 1e-5f, .shards = s }, .lo = -1, .hi = 1.5,
				   .atol = 1e-6 * sqrt(n), .rtol = 1e-5 };

		run_trial(*state, &t);
	}
}

static void argmax_is_the_first_largest(void **state)
{
	struct fixture *fx = *state;

	EACH_SHAPE(n, c) {
		struct trial t = { .op = TRAM_OP_ARGMAX, .n_in = 1, .in = { TRAM_SHAPE(n, c) } };

		trial_begin(fx, &t);
		/* few values, so that there are ties */
		for (uint64_t i = 0; i < (uint64_t)n * c; i++)
			t.f[0][i] = (float)(draw(fx) >> 30);
		trial_check(fx, &t);
		trial_end(&t);
	}
}

static void xent_partial_merges_chunks(void **state)
{
	EACH_SHAPE(n, c) {
		for (uint32_t old = 0; old < 2; old++) {
			struct trial t = { .op = TRAM_OP_XENT_PARTIAL, .n_in = 2 + old,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n),
						   TRAM_SHAPE(n, 4) },
					   .in_type = { TRAM_F32, TRAM_I32 },
					   .attr.xent = { .first = 5, .state = old }, .lo = 0.5,
					   .hi = 8, .ilo = -1, .ihi = (int32_t)c + 12,
					   .rtol = 1e-5 };

			run_trial(*state, &t);
		}
	}
}

static void xent_final_is_the_oracles(void **state)
{
	static const uint32_t rows[] = { 1, 7, 8, 257, 1000 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(rows); i++) {
		uint32_t n = rows[i];
		struct trial t = { .op = TRAM_OP_XENT_FINAL, .n_in = 2,
				   .in = { TRAM_SHAPE(n, 4), TRAM_SHAPE(n) },
				   .in_type = { TRAM_F32, TRAM_I32 }, .lo = 0.1f, .hi = 30,
				   .ilo = -1, .ihi = 2, .atol = 1e-6, .rtol = 1e-5 };

		run_trial(*state, &t);
	}
}

static void xent_grad_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (int in_place = 0; in_place < 2; in_place++) {
			struct trial t = { .op = TRAM_OP_XENT_GRAD, .n_in = 3,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n), TRAM_SHAPE(n) },
					   .in_type = { TRAM_F32, TRAM_F32, TRAM_I32 },
					   .attr.xent = { .first = 3 }, .lo = 0, .hi = 4,
					   .ilo = -1, .ihi = (int32_t)c + 6, .atol = 1e-7,
					   .rtol = 1e-5, .in_place = in_place };

			run_trial(*state, &t);
		}
	}
}

/* The same row, alone and among others at another place. */
static void bits_of_a_row_depend_on_the_row_alone(void **state)
{
	static const enum tram_op ops[] = { TRAM_OP_SOFTMAX, TRAM_OP_LAYERNORM };
	struct fixture *fx = *state;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(ops); i++) {
		for (uint32_t c = 5; c < 2000; c = c * 3 + 1) {
			struct trial many = { .op = ops[i], .n_in = i ? 3 : 1,
					      .in = { TRAM_SHAPE(11, c), TRAM_SHAPE(c),
						      TRAM_SHAPE(c) },
					      .attr.norm = { .eps = 1e-5f, .shards = 1 } };
			struct trial one = many;

			one.in[0] = TRAM_SHAPE(1, c);
			trial_begin(fx, &many);
			trial_begin(fx, &one);
			for (uint32_t k = 0; k < many.n_in; k++)
				memcpy(one.f[k], many.f[k] + (k ? 0 : 7 * c), c * 4);
			trial_device(fx, &many);
			trial_device(fx, &one);
			assert_memory_equal(one.got[0], many.got[0] + 7 * c, c * 4);
			trial_end(&many);
			trial_end(&one);
		}
	}
}

/* --- elementwise ------------------------------------------------------------------------------ */

static struct trial ew_trial(uint32_t code, uint32_t n_in)
{
	struct trial t = { .op = TRAM_OP_EW, .n_in = n_in, .attr.ew = { .n_in = n_in, .n_code = 1 },
			   .atol = 1e-6, .rtol = 2e-6 };

	t.attr.ew.code[0] = (struct tram_ew_insn){ (uint8_t)code, 0, n_in > 1, 0.75f, 99 };
	return t;
}

static const struct { uint32_t code, n_in; float lo, hi; } ew_codes[] = {
	{ TRAM_EW_ADD, 2, -3, 3 }, { TRAM_EW_SUB, 2, -3, 3 }, { TRAM_EW_MUL, 2, -3, 3 },
	{ TRAM_EW_DIV, 2, 0.1f, 3 }, { TRAM_EW_MAX, 2, -3, 3 }, { TRAM_EW_SCALE, 1, -3, 3 },
	{ TRAM_EW_ADDI, 1, -3, 3 }, { TRAM_EW_NEG, 1, -3, 3 }, { TRAM_EW_EXP, 1, -20, 20 },
	{ TRAM_EW_LOG, 1, 1e-3f, 50 }, { TRAM_EW_SQRT, 1, 0, 50 }, { TRAM_EW_TANH, 1, -12, 12 },
	{ TRAM_EW_TANH, 1, -0.7f, 0.7f }, { TRAM_EW_RELU, 1, -3, 3 },
	{ TRAM_EW_RELU_BWD, 2, -3, 3 }, { TRAM_EW_GELU_TANH, 1, -8, 8 },
	{ TRAM_EW_GELU_TANH_BWD, 2, -8, 8 }, { TRAM_EW_GELU_ERF, 1, -8, 8 },
	{ TRAM_EW_GELU_ERF_BWD, 2, -8, 8 }, { TRAM_EW_TANH_BWD, 2, -1, 1 },
	{ TRAM_EW_DROPOUT, 1, -3, 3 },
};

static void every_instruction_is_the_oracles(void **state)
{
	static const uint32_t sizes[] = { 1, 7, 256, 1021 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(ew_codes); i++) {
		for (size_t k = 0; k < TRAM_ARRAY_SIZE(sizes); k++) {
			struct trial t = ew_trial(ew_codes[i].code, ew_codes[i].n_in);

			t.in[0] = t.in[1] = TRAM_SHAPE(sizes[k]);
			t.lo = ew_codes[i].lo;
			t.hi = ew_codes[i].hi;
			t.in_place = k == 1;
			run_trial(*state, &t);
		}
	}
}

static void i2f_converts(void **state)
{
	struct trial t = ew_trial(TRAM_EW_I2F, 1);

	t.in[0] = TRAM_SHAPE(100);
	t.in_type[0] = TRAM_I32;
	t.ilo = -1000000;
	t.ihi = 1000000;
	run_trial(*state, &t);
}

static void shapes_broadcast(void **state)
{
	static const struct tram_shape shapes[][3] = {
		{ { 2, { 5, 70 } }, { 1, { 70 } }, { 2, { 5, 1 } } },
		{ { 2, { 5, 7 } }, { 1, { 7 } }, { 2, { 5, 1 } } },
		{ { 2, { 1, 300 } }, { 2, { 17, 1 } }, { 1, { 1 } } },
		{ { 3, { 2, 3, 65 } }, { 2, { 3, 65 } }, { 3, { 2, 3, 1 } } },
		{ { 3, { 4, 1, 6 } }, { 3, { 1, 5, 6 } }, { 3, { 4, 5, 1 } } },
		{ { 4, { 2, 1, 3, 1 } }, { 4, { 1, 5, 1, 7 } }, { 1, { 1 } } },
		{ { 6, { 2, 1, 3, 1, 2, 1 } }, { 6, { 1, 2, 1, 3, 1, 2 } }, { 2, { 2, 2 } } },
		{ { 1, { 1 } }, { 1, { 1 } }, { 1, { 1 } } },
		{ { 2, { 300, 66 } }, { 2, { 300, 66 } }, { 1, { 66 } } },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(shapes); i++) {
		struct trial t = ew_trial(TRAM_EW_MUL, 3);

		memcpy(t.in, shapes[i], sizeof(shapes[i]));
		t.attr.ew.n_code = 2;
		t.attr.ew.code[1] = (struct tram_ew_insn){ TRAM_EW_SUB, TRAM_EW_MAX_IN, 2 };
		run_trial(*state, &t);
	}
}

/* relu(gelu(a * b + c)) * a and dropout of it, whole and one by one. */
static void fusion_keeps_the_bits(void **state)
{
	static const struct tram_ew_insn code[] = {
		{ TRAM_EW_MUL, 0, 1 }, { TRAM_EW_ADD, 6, 2 }, { TRAM_EW_GELU_TANH, 7 },
		{ TRAM_EW_TANH, 8 }, { TRAM_EW_MUL, 9, 0 }, { TRAM_EW_DROPOUT, 10, 0, 0.25f, 5 },
		{ TRAM_EW_GELU_ERF_BWD, 11, 1 }, { TRAM_EW_EXP, 12 }, { TRAM_EW_ADD, 13, 0 },
		{ TRAM_EW_SCALE, 14, 0, 0.3f }, { TRAM_EW_SUB, 15, 1 }, { TRAM_EW_DIV, 16, 2 },
	};
	const uint32_t n = 5003;
	struct fixture *fx = *state;
	struct trial all = { .op = TRAM_OP_EW, .n_in = 3,
			     .in = { TRAM_SHAPE(n), TRAM_SHAPE(n), TRAM_SHAPE(n) },
			     .attr.ew = { .n_in = 3, .n_code = TRAM_ARRAY_SIZE(code) },
			     .atol = 2e-6, .rtol = 1e-4, .lo = 0.5, .hi = 2 };
	float *regs[TRAM_EW_MAX_IN + TRAM_EW_MAX_CODE] = { 0 };

	memcpy(all.attr.ew.code, code, sizeof(code));
	trial_begin(fx, &all);
	trial_check(fx, &all);
	for (int i = 0; i < 3; i++)
		regs[i] = all.f[i];
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(code); i++) {
		struct trial t = ew_trial(code[i].code, 2);

		t.in[0] = t.in[1] = TRAM_SHAPE(n);
		t.attr.ew.code[0] = code[i];
		t.attr.ew.code[0].a = 0;
		t.attr.ew.code[0].b = 1;
		trial_begin(fx, &t);
		memcpy(t.f[0], regs[code[i].a], n * 4);
		memcpy(t.f[1], regs[code[i].b], n * 4);
		trial_device(fx, &t);
		regs[TRAM_EW_MAX_IN + i] = t.got[0];
		t.got[0] = NULL;
		trial_end(&t);
	}
	assert_memory_equal(all.got[0], regs[TRAM_EW_MAX_IN + TRAM_ARRAY_SIZE(code) - 1], n * 4);
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(code); i++)
		free(regs[TRAM_EW_MAX_IN + i]);
	trial_end(&all);
}

static double ulps(float got, double want)
{
	int e;

	frexp(want, &e);
	return fabs(got - want) / ldexp(1, (e < -125 ? -125 : e) - 24);
}

static double erf_gelu(double x)
{
	return 0.5 * x * erfc(-x / sqrt(2));
}

/* Over the whole range of f32, not just where nets live; infinities and zeros at the end. */
static void functions_are_accurate_to_the_ulp(void **state)
{
	static const struct {
		uint32_t code;
		double (*f)(double);
		float lo, hi;
		double limit;		/* ulp; near_zero: 1e-7 of max(1, result) */
		bool near_zero;
	} fn[] = {
		{ TRAM_EW_EXP, exp, -87, 88.7f, 2, false },
		{ TRAM_EW_LOG, log, 1e-30f, 1e30f, 2, false },
		{ TRAM_EW_LOG, log, 0.5f, 2, 2, false },
		{ TRAM_EW_TANH, tanh, -10, 10, 3, false },
		{ TRAM_EW_TANH, tanh, -1e-3f, 1e-3f, 3, false },
		{ TRAM_EW_GELU_ERF, erf_gelu, -6, 6, 2, true },
	};
	const uint32_t n = 200000;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(fn); i++) {
		struct trial t = ew_trial(fn[i].code, 1);
		double worst = 0;

		t.in[0] = TRAM_SHAPE(n);
		trial_begin(*state, &t);
		for (uint32_t k = 0; k < n; k++) {
			float u = (float)k / (float)(n - 1);

			t.f[0][k] = fn[i].lo + u * (fn[i].hi - fn[i].lo);
			if (fn[i].hi > 1e10f)	/* by its logarithm */
				t.f[0][k] = (float)exp(log(fn[i].lo) * (1 - u) + log(fn[i].hi) * u);
		}
		trial_device(*state, &t);
		for (uint32_t k = 0; k < n; k++) {
			double want = fn[i].f(t.f[0][k]);
			double e = fn[i].near_zero ? fabs(t.got[0][k] - want) * 1e7 /
					       fmax(1, fabs(want))
					     : ulps(t.got[0][k], want);

			if (!(e <= fn[i].limit))
				fail_msg("code %u of %.9g is %.9g, not %.9g", fn[i].code, t.f[0][k],
					 t.got[0][k], want);
			worst = e > worst ? e : worst;
		}
		print_message("code %u in [%g, %g]: worst %.2f %s\n", fn[i].code, fn[i].lo,
			      fn[i].hi, worst, fn[i].near_zero ? "e-7" : "ulp");
		trial_end(&t);
	}
}

static void functions_saturate(void **state)
{
	static const struct { uint32_t code; float x, y; } at[] = {
		{ TRAM_EW_EXP, INFINITY, INFINITY }, { TRAM_EW_EXP, -INFINITY, 0 },
		{ TRAM_EW_EXP, 0, 1 }, { TRAM_EW_EXP, 1e4f, INFINITY }, { TRAM_EW_EXP, -1e4f, 0 },
		{ TRAM_EW_LOG, 0, -INFINITY }, { TRAM_EW_LOG, 1, 0 },
		{ TRAM_EW_LOG, INFINITY, INFINITY }, { TRAM_EW_TANH, 1e30f, 1 },
		{ TRAM_EW_TANH, -INFINITY, -1 }, { TRAM_EW_TANH, 0, 0 },
		{ TRAM_EW_GELU_TANH, 1e4f, 1e4f }, { TRAM_EW_GELU_TANH, -1e4f, 0 },
		{ TRAM_EW_GELU_ERF, 1e4f, 1e4f }, { TRAM_EW_GELU_ERF, -1e4f, 0 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(at); i++) {
		struct trial t = ew_trial(at[i].code, 1);

		t.in[0] = TRAM_SHAPE(1);
		trial_begin(*state, &t);
		t.f[0][0] = at[i].x;
		trial_device(*state, &t);
		if (t.got[0][0] != at[i].y)
			fail_msg("code %u of %g is %g, not %g", at[i].code, at[i].x, t.got[0][0],
				 at[i].y);
		trial_end(&t);
	}
}

/* --- reductions ---------------------------------------------------------------------------------- */

static void reductions_are_the_oracles(void **state)
{
	static const uint32_t shapes[][3] = {
		{ 1, 1, 1 }, { 1, 5, 1 }, { 3, 1, 7 }, { 2, 33, 1 }, { 2, 128, 5 }, { 3, 129, 40 },
		{ 1, 1000, 64 }, { 70, 3, 1 }, { 1, 20011, 1 }, { 2, 16385, 1 }, { 1, 9001, 3 },
		{ 5, 2, 333 }, { 1, 300000, 1 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(shapes); i++) {
		for (uint32_t kind = 0; kind < 3; kind++) {
			uint32_t o = shapes[i][0], m = shapes[i][1], n = shapes[i][2];
			struct trial t = { .op = TRAM_OP_REDUCE, .n_in = 1,
					   .in = { TRAM_SHAPE(o, m, n) },
					   .attr.reduce = { kind, o, m, n },
					   .atol = kind == TRAM_REDUCE_SUM ? 1e-6 * sqrt(m) : 1e-6,
					   .rtol = 1e-5 };

			run_trial(*state, &t);
		}
	}
}

static float tree(const float *x, size_t n, size_t stride)
{
	size_t left = 1;

	if (n == 1)
		return x[0];
	while (left * 2 < n)
		left *= 2;
	return tree(x, left, stride) + tree(x + left * stride, n - left, stride);
}

static void tree_sum_is_the_tree_to_the_bit(void **state)
{
	static const uint32_t shapes[][2] = { { 1, 5 }, { 2, 33 }, { 3, 1 }, { 4, 700 }, { 5, 31 },
					      { 7, 64 }, { 8, 3 }, { 11, 40 }, { 16, 16 },
					      { 17, 9 }, { 40, 33 }, { 300, 7 } };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(shapes); i++) {
		uint32_t s = shapes[i][0], n = shapes[i][1];
		struct trial t = { .op = TRAM_OP_TREE_SUM, .n_in = 1, .in = { TRAM_SHAPE(s, n) },
				   .atol = 1e-4, .rtol = 1e-5 };

		trial_begin(*state, &t);
		trial_check(*state, &t);
		for (uint32_t k = 0; k < n; k++)
			assert_true(t.got[0][k] == tree(t.f[0] + k, s, n));
		trial_end(&t);
	}
}

static void isfinite_finds_one_bad_element(void **state)
{
	static const uint32_t sizes[] = { 1, 127, 128, 100003 };
	static const float bad[] = { INFINITY, -INFINITY, NAN };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sizes); i++) {
		for (int k = -1; k < 3; k++) {
			struct trial t = { .op = TRAM_OP_ISFINITE, .n_in = 1,
					   .in = { TRAM_SHAPE(sizes[i]) } };

			trial_begin(*state, &t);
			t.f[0][0] = 3e38f;
			if (k >= 0)
				t.f[0][sizes[i] - 1 - (sizes[i] / 3) * (k == 1)] = bad[k];
			trial_check(*state, &t);
			trial_end(&t);
		}
	}
}

static void stats_are_the_oracles(void **state)
{
	static const uint32_t sizes[] = { 1, 5, 16384, 16385, 100003 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sizes); i++) {
		for (int k = 0; k < 2; k++) {
			struct trial t = { .op = TRAM_OP_STATS_PARTIAL, .n_in = 1,
					   .in = { TRAM_SHAPE(sizes[i]) }, .rtol = 1e-5 };
			struct trial u = { .op = TRAM_OP_STATS_FINAL, .n_in = 1, .rtol = 1e-5 };

			trial_begin(*state, &t);
			if (k)
				t.f[0][sizes[i] / 2] = NAN;
			trial_oracle(*state, &t);
			trial_device(*state, &t);
			if (!k)
				trial_compare(&t);
			u.in[0] = t.out[0];
			trial_begin(*state, &u);
			memcpy(u.f[0], t.got[0], tram_shape_count(&t.out[0]) * 4);
			trial_device(*state, &u);
			assert_true(u.got[0][1] == (k ? 0 : 1));
			if (!k) {
				trial_oracle(*state, &u);
				trial_compare(&u);
			}
			trial_end(&u);
			trial_end(&t);
		}
	}
}

/* --- moving ---------------------------------------------------------------------------------------- */

static void transposes_are_the_oracles(void **state)
{
	static const struct { struct tram_shape shape; uint32_t perm[TRAM_MAX_RANK]; } c[] = {
		{ { 2, { 3, 5 } }, { 1, 0 } }, { { 2, { 64, 33 } }, { 1, 0 } },
		{ { 3, { 2, 3, 37 } }, { 1, 0, 2 } }, { { 3, { 2, 3, 37 } }, { 2, 1, 0 } },
		{ { 4, { 2, 5, 3, 16 } }, { 0, 2, 1, 3 } }, { { 4, { 2, 5, 3, 4 } }, { 3, 0, 2, 1 } },
		{ { 6, { 2, 3, 2, 3, 2, 3 } }, { 5, 3, 1, 4, 2, 0 } }, { { 1, { 9 } }, { 0 } },
		{ { 3, { 1, 4, 1 } }, { 2, 0, 1 } }, { { 3, { 4, 5, 6 } }, { 0, 1, 2 } },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(c); i++) {
		struct trial t = { .op = TRAM_OP_TRANSPOSE, .n_in = 1, .in = { c[i].shape } };

		memcpy(t.attr.transpose.perm, c[i].perm, sizeof(c[i].perm));
		run_trial(*state, &t);
	}
}

static void slices_and_concats_are_the_oracles(void **state)
{
	for (uint32_t axis = 0; axis < 3; axis++) {
		for (uint32_t inner = 1; inner < 700; inner = inner * 5 + 2) {
			struct trial t = { .op = TRAM_OP_SLICE, .n_in = 1,
					   .in = { TRAM_SHAPE(5, 6, inner + 4) },
					   .attr.slice = { axis, 1, 3 } };
			struct trial u = { .op = TRAM_OP_CONCAT, .n_in = 3,
					   .in = { TRAM_SHAPE(2, 3, inner), TRAM_SHAPE(2, 3, inner),
						   TRAM_SHAPE(2, 3, inner) },
					   .attr.concat = { axis } };

			u.in[0].dim[axis] += 2;
			u.in[2].dim[axis] = 1;
			run_trial(*state, &t);
			run_trial(*state, &u);
		}
	}
}

static void pack_fills_gaps_with_zeros(void **state)
{
	static const uint64_t offset[] = { 3, 64, 128 };
	struct trial t = { .op = TRAM_OP_PACK, .n_in = 3,
			   .in = { TRAM_SHAPE(5), TRAM_SHAPE(2, 32), TRAM_SHAPE(7, 3) },
			   .attr.pack = { offset, 200 } };

	run_trial(*state, &t);
}

static void copies_copy(void **state)
{
	struct trial t = { .op = TRAM_OP_COPY, .n_in = 1, .in = { TRAM_SHAPE(77, 3) } };

	run_trial(*state, &t);
}

static void sort_places(const int32_t *tokens, int32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = i;

		for (; k > 0 && tokens[order[k - 1]] > tokens[i]; k--)
			order[k] = order[k - 1];
		order[k] = (int32_t)i;
	}
}

static void embeddings_are_the_oracles(void **state)
{
	static const uint32_t shapes[][4] = { /* shards, places, vocabulary, columns */
		{ 1, 1, 1, 1 }, { 1, 40, 7, 33 }, { 2, 60, 50, 8 }, { 3, 96, 5, 130 },
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(shapes); i++) {
		uint32_t s = shapes[i][0], n = shapes[i][1], v = shapes[i][2], c = shapes[i][3];
		struct trial t = { .op = TRAM_OP_EMBEDDING, .n_in = 3, .shards = s,
				   .in = { TRAM_SHAPE(v, c), TRAM_SHAPE(n), TRAM_SHAPE(n) },
				   .in_type = { TRAM_F32, TRAM_I32, TRAM_I32 },
				   .attr.embedding = { v, s, false }, .ilo = -1, .ihi = (int32_t)v };

		run_trial(*state, &t);
		for (int k = 0; k < 3; k++) {	/* zero, base, base in place */
			struct trial b = { .op = TRAM_OP_EMBEDDING_BWD, .n_in = 3 + (k > 0),
					   .shards = s,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n), TRAM_SHAPE(n),
						   TRAM_SHAPE(s, v, c) },
					   .in_type = { TRAM_F32, TRAM_I32, TRAM_I32 },
					   .attr.embedding = { v, s, k > 0 }, .ilo = -1,
					   .ihi = (int32_t)v, .atol = 1e-5, .rtol = 1e-5,
					   .in_place = k == 2 };

			trial_begin(fx, &b);
			for (uint32_t j = 0; j < s; j++)
				sort_places((int32_t *)b.f[1] + j * (n / s),
					    (int32_t *)b.f[2] + j * (n / s), n / s);
			trial_check(fx, &b);
			trial_end(&b);
		}
	}
}

/* --- optimizers -------------------------------------------------------------------------------------- */

static void optimizer_trial(struct fixture *fx, struct trial *t, uint32_t n, float norm)
{
	uint32_t stats = t->n_in - 1;

	for (uint32_t i = 0; i < stats; i++)
		t->in[i] = TRAM_SHAPE(n);
	t->in[stats] = TRAM_SHAPE(4);
	t->atol = 1e-6;
	t->rtol = 1e-5;
	trial_begin(fx, t);
	if (t->op == TRAM_OP_ADAMW)	/* a mean of squares */
		for (uint32_t i = 0; i < n; i++)
			t->f[2][i] = fabsf(t->f[2][i]);
	memcpy(t->f[stats], (float[]){ norm * norm, 1, norm, 0 }, 16);
	trial_check(fx, t);
}

static void optimizers_are_the_oracles(void **state)
{
	static const uint32_t sizes[] = { 1, 31, 32, 1021 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sizes); i++) {
		for (int k = 0; k < 3; k++) {	/* no clip, idle clip, clip */
			struct trial a = { .op = TRAM_OP_ADAMW, .n_in = 5,
					   .attr.opt = { .beta1 = 0.9f, .beta2 = 0.95f,
							 .eps = 1e-8f, .weight_decay = 0.1f,
							 .clip = k ? 1 : 0,
							 .decay_count = sizes[i] / 2 } };
			struct trial s = { .op = TRAM_OP_SGD, .n_in = 4,
					   .attr.opt = { .momentum = 0.9f, .weight_decay = 0.1f,
							 .clip = k ? 1 : 0,
							 .decay_count = sizes[i] / 2 } };

			optimizer_trial(*state, &a, sizes[i], k == 2 ? 3 : 0.5f);
			optimizer_trial(*state, &s, sizes[i], k == 2 ? 3 : 0.5f);
			trial_end(&a);
			trial_end(&s);
		}
	}
}

static void closed_gate_writes_nothing(void **state)
{
	struct fixture *fx = *state;
	struct trial a = { .op = TRAM_OP_ADAMW, .n_in = 5,
			   .attr.opt = { .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f } };
	struct trial s = { .op = TRAM_OP_SGD, .n_in = 4, .attr.opt = { .momentum = 0.9f } };
	struct trial *t[] = { &a, &s };

	for (int i = 0; i < 2; i++) {
		optimizer_trial(fx, t[i], 333, 1);
		assert_memory_not_equal(t[i]->got[0], t[i]->f[0], 333 * 4);
		fx->step.commit = 0;
		trial_device(fx, t[i]);
		fx->step.commit = 1;
		for (uint32_t k = 0; k < t[i]->n_out; k++)
			assert_memory_equal(t[i]->got[k], t[i]->f[k], 333 * 4);
		trial_end(t[i]);
	}
}

#define TESTS \
	cmocka_unit_test(softmax_is_the_oracles), \
	cmocka_unit_test(softmax_bwd_is_the_oracles), \
	cmocka_unit_test(layernorm_is_the_oracles), \
	cmocka_unit_test(layernorm_bwd_x_is_the_oracles), \
	cmocka_unit_test(layernorm_bwd_p_is_the_oracles), \
	cmocka_unit_test(argmax_is_the_first_largest), \
	cmocka_unit_test(xent_partial_merges_chunks), \
	cmocka_unit_test(xent_final_is_the_oracles), \
	cmocka_unit_test(xent_grad_is_the_oracles), \
	cmocka_unit_test(bits_of_a_row_depend_on_the_row_alone), \
	cmocka_unit_test(every_instruction_is_the_oracles), \
	cmocka_unit_test(i2f_converts), \
	cmocka_unit_test(shapes_broadcast), \
	cmocka_unit_test(fusion_keeps_the_bits), \
	cmocka_unit_test(functions_are_accurate_to_the_ulp), \
	cmocka_unit_test(functions_saturate), \
	cmocka_unit_test(reductions_are_the_oracles), \
	cmocka_unit_test(tree_sum_is_the_tree_to_the_bit), \
	cmocka_unit_test(isfinite_finds_one_bad_element), \
	cmocka_unit_test(stats_are_the_oracles), \
	cmocka_unit_test(transposes_are_the_oracles), \
	cmocka_unit_test(slices_and_concats_are_the_oracles), \
	cmocka_unit_test(pack_fills_gaps_with_zeros), \
	cmocka_unit_test(copies_copy), \
	cmocka_unit_test(embeddings_are_the_oracles), \
	cmocka_unit_test(optimizers_are_the_oracles), \
	cmocka_unit_test(closed_gate_writes_nothing)

int main(void)
{
	const struct CMUnitTest as_it_is[] = { TESTS };
	const struct CMUnitTest as_a_gpu[] = { TESTS };
	int failed = cmocka_run_group_tests_name("rows", as_it_is, setup_plain, teardown);

	return failed + cmocka_run_group_tests_name("rows as on a GPU", as_a_gpu, setup_gpu,
						    teardown);
}
