/* SPDX-License-Identifier: MIT */
/* How the CPU device executes: batches, order, spans, memory and what it refuses. */
#include "device/cpu/test_world.h"

/* --- execution ------------------------------------------------------------------------------------------------------ */

/* y = x * 2, or x + y in place */
struct tiny {
	struct tram_device *dev;
	struct tram_buffer *x, *y, *step;
	struct tram_program *prog;
};

static void tiny_make(struct tram_device *dev, struct tiny *t, uint32_t n, bool timed)
{
	struct tram_operand in[2], out;
	union tram_attr attr = { 0 };
	struct tram_call call = { .op = TRAM_OP_EW, .attr = &attr, .n_in = 2, .n_out = 1, .in = in,
				  .out = &out, .tag = 42 };

	t->dev = dev;
	assert_int_equal(dev->ops->buffer_create(dev, n * 4, TRAM_MEMORY_DEVICE, &t->x), 0);
	assert_int_equal(dev->ops->buffer_create(dev, n * 4, TRAM_MEMORY_HOST, &t->y), 0);
	assert_int_equal(dev->ops->buffer_create(dev, sizeof(struct tram_step), TRAM_MEMORY_HOST,
						 &t->step), 0);
	attr.ew.n_in = 2;
	attr.ew.n_code = 1;
	attr.ew.code[0] = (struct tram_ew_insn){ .code = TRAM_EW_ADD, .a = 0, .b = 1 };
	in[0] = (struct tram_operand){ t->y, 0, TRAM_SHAPE(n), TRAM_F32 };
	in[1] = (struct tram_operand){ t->x, 0, TRAM_SHAPE(n), TRAM_F32 };
	out = in[0];
	assert_int_equal(dev->ops->program_create(dev, &call, 1, t->step, 0, timed, &t->prog), 0);
}

static void tiny_free(struct tiny *t)
{
	t->dev->ops->program_destroy(t->prog);
	t->dev->ops->buffer_destroy(t->x);
	t->dev->ops->buffer_destroy(t->y);
	t->dev->ops->buffer_destroy(t->step);
}

static void batches_wait_for_values_not_yet_signalled(void **state)
{
	struct world *w = *state;
	struct tram_device *dev = w->dev[w->n - 1];
	struct tram_timeline *gate, *done;
	struct tiny t;
	float one[100], y[100];

	for (int i = 0; i < 100; i++)
		one[i] = 1;
	tiny_make(dev, &t, 100, false);
	assert_int_equal(dev->ops->write(t.x, 0, one, sizeof(one)), 0);
	assert_int_equal(dev->ops->timeline_create(dev, &gate), 0);
	assert_int_equal(dev->ops->timeline_create(dev, &done), 0);
	for (uint64_t i = 1; i <= 5; i++) {
		struct tram_batch b[] = {
			{ NULL, 0, t.prog, done, 2 * i - 1 }, { gate, i, t.prog, done, 2 * i },
		};

		assert_int_equal(dev->ops->submit(dev, b, 2), 0);
		assert_int_equal(dev->ops->timeline_wait(done, 2 * i - 1, tram_now_ns() + 10000000000u), 0);
		/* The mapping shows it: the second batch hasn't run. */
		assert_true(((float *)t.y->map)[99] == (float)(2 * i - 1));
		assert_int_equal(dev->ops->timeline_wait(done, 2 * i, tram_now_ns() + 3000000),
				 -ETIMEDOUT);
		assert_int_equal(dev->ops->timeline_signal(gate, i), 0);
		assert_int_equal(dev->ops->timeline_wait(done, 2 * i, tram_now_ns() + 10000000000u), 0);
	}
	assert_int_equal(dev->ops->timeline_signal(gate, 5), -EINVAL);
	assert_int_equal(dev->ops->read(t.y, 0, y, sizeof(y)), 0);
	assert_true(y[0] == 10 && y[99] == 10);
	tiny_free(&t);
	dev->ops->timeline_destroy(gate);
	dev->ops->timeline_destroy(done);
}

static void many_batches_run_in_order(void **state)
{
	struct world *w = *state;

	for (size_t d = 0; d < w->n; d++) {
		struct tram_device *dev = w->dev[d];
		float one = 1, y;
		struct tiny t;

		tiny_make(dev, &t, 1, false);
		assert_int_equal(dev->ops->write(t.x, 0, &one, 4), 0);
		for (int i = 0; i < 2000; i++) {	/* more than the ring holds */
			struct tram_batch b = { .program = t.prog };

			assert_int_equal(dev->ops->submit(dev, &b, 1), 0);
		}
		assert_int_equal(dev->ops->read(t.y, 0, &y, 4), 0);
		assert_true(y == 2000);
		tiny_free(&t);
	}
}

static void spans_time_every_call(void **state)
{
	struct world *w = *state;
	struct tram_device *dev = w->dev[0];
	uint64_t before = tram_now_ns();
	struct tram_span span;
	struct tram_batch b;
	struct tiny t;

	tiny_make(dev, &t, 100000, true);
	b = (struct tram_batch){ .program = t.prog };
	assert_int_equal(dev->ops->submit(dev, &b, 1), 0);
	assert_int_equal(dev->ops->spans(t.prog, &span, 1), 1);
	assert_int_equal(span.tag, 42);
	assert_true(before <= span.begin_ns && span.begin_ns < span.end_ns &&
		    span.end_ns <= tram_now_ns());
	tiny_free(&t);
	tiny_make(dev, &t, 1, false);
	assert_int_equal(dev->ops->spans(t.prog, &span, 1), -EINVAL);
	tiny_free(&t);
}

static void memory_is_counted_with_pad_and_granule(void **state)
{
	struct world *w = *state;
	struct tram_device *dev = w->dev[0];
	struct tram_buffer *a, *b;
	uint64_t before = dev->memory_now;

	assert_int_equal(dev->ops->buffer_create(dev, 1, TRAM_MEMORY_DEVICE, &a), 0);
	assert_int_equal(dev->ops->buffer_create(dev, 5 << 20, TRAM_MEMORY_DEVICE, &b), 0);
	assert_int_equal(dev->memory_now - before, 4096 + (5 << 20) + 4096);
	assert_int_equal((uintptr_t)a->map % TRAM_TENSOR_ALIGN, 0);
	for (size_t i = 0; i < (5 << 20) + TRAM_DEVICE_PAD; i++)
		assert_int_equal(((char *)b->map)[i], 0);
	dev->ops->buffer_destroy(a);
	dev->ops->buffer_destroy(b);
	assert_int_equal(dev->memory_now, before);
	assert_true(dev->memory_peak >= before + (5 << 20));
}

static void a_composite_op_is_refused(void **state)
{
	struct world *w = *state;
	struct tram_call call = { .op = TRAM_OP_HEAD_LOSS };
	struct tram_program *p;

	assert_int_equal(w->dev[0]->ops->program_create(w->dev[0], &call, 1, NULL, 0, false, &p),
			 -ENOTSUP);
	assert_null(p);
	assert_non_null(strstr(tram_error(w->ctx), "expand"));
}

static int chain(struct tram_ctx *ctx, void *arg)
{
	struct tram_operand in[2], out;
	union tram_attr attr = { 0 };
	struct tram_call call = { .op = TRAM_OP_MATMUL, .attr = &attr, .n_in = 2, .n_out = 1,
				  .in = in, .out = &out };
	struct tram_device_list list = { { NULL, 0, 0 } };
	struct tram_program *prog = NULL;
	struct tram_timeline *t = NULL;
	struct tram_buffer *buf = NULL;
	struct tram_device *dev;
	int r = tram_cpu_list(ctx, &list);

	tram_vec_free(ctx, &list.infos);
	if (r)
		return r;
	r = tram_cpu_open_with(ctx, tram_cpu_isa_best(), 3, &dev);
	if (r)
		return r;
	r = dev->ops->buffer_create(dev, 1 << 20, TRAM_MEMORY_DEVICE, &buf);
	if (!r)
		r = dev->ops->timeline_create(dev, &t);
	if (!r) {
		in[0] = (struct tram_operand){ buf, 0, TRAM_SHAPE(3, 4), TRAM_F32 };
		in[1] = (struct tram_operand){ buf, 256, TRAM_SHAPE(4, 5), TRAM_F32 };
		out = (struct tram_operand){ buf, 512, TRAM_SHAPE(3, 5), TRAM_F32 };
		call.scratch = (struct tram_operand){ buf, 1024, TRAM_SHAPE(1), TRAM_F32 };
		r = dev->ops->program_create(dev, &call, 1, buf, 4096, true, &prog);
	}
	dev->ops->program_destroy(prog);
	dev->ops->timeline_destroy(t);
	dev->ops->buffer_destroy(buf);
	dev->ops->close(dev);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	assert_true(test_heap_each_failure(chain, NULL) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_wait_for_values_not_yet_signalled),
		cmocka_unit_test(many_batches_run_in_order),
		cmocka_unit_test(spans_time_every_call),
		cmocka_unit_test(memory_is_counted_with_pad_and_granule),
		cmocka_unit_test(a_composite_op_is_refused),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
