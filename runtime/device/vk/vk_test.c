/* SPDX-License-Identifier: MIT */
/*
 * The Vulkan backend on the machine's own devices (lavapipe where there is no
 * GPU), under core and synchronization validation when the layer is there.
 * Failures that no real driver shows on demand are in vk_mock_test.c.
 */
#include "device/vk/vk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "graph/graph.h"

#define N 1000u
#define SECOND 1000000000ull

struct fixture {
	struct tram_ctx *ctx;
	struct tram_device *dev;
	unsigned int errors;	/* lines of the log at level error */
};

static void count_errors(void *arg, enum tram_log_level level, const char *line)
{
	struct fixture *f = arg;

	if (level == TRAM_LOG_ERROR) {
		f->errors++;
		fprintf(stderr, "%s\n", line);
	}
}

/* Opens vk0; skips with what is missing. */
static void open_device(struct fixture *f)
{
	struct tram_ctx_params params = {
		.log = count_errors, .log_arg = f, .log_level = TRAM_LOG_WARN,
	};
	int err;

	memset(f, 0, sizeof(*f));
	assert_int_equal(tram_ctx_create(&params, &f->ctx), 0);
	setenv("TRAM_VK_VALIDATION", "1", 1);
	err = tram_vk_open(f->ctx, 0, &f->dev);
	if (err == -ENOPKG) {
		fprintf(stderr, "without validation: %s\n", tram_error(f->ctx));
		unsetenv("TRAM_VK_VALIDATION");
		err = tram_vk_open(f->ctx, 0, &f->dev);
	}
	if (err == -ENODEV) {
		fprintf(stderr, "skipped: %s\n", tram_error(f->ctx));
		tram_ctx_destroy(&f->ctx);
		skip();
	}
	if (err)
		fail_msg("%s", tram_error(f->ctx));
}

/* Every test ends here: nothing leaked, and validation had nothing to say. */
static void close_device(struct fixture *f)
{
	uint64_t held = f->dev->memory_now, staging;
	struct tram_vk *vk = tram_vk_of(f->dev);

	staging = vk->staging ? tram_vk_buffer_of(vk->staging)->allocated : 0;
	assert_int_equal(held, staging);
	f->dev->ops->close(f->dev);
	assert_int_equal(f->errors, 0);
	tram_ctx_destroy(&f->ctx);
}

/* y[i] = x[i] * a + step.step by shaders/probe; attr.slice = { a, gated } */
static int lower_probe(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t n = (uint32_t)tram_shape_count(&call->out[0].shape);
	const struct { uint64_t x, y; uint32_t n, gated; } args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]), n,
		call->attr->slice.first,
	};

	return tram_vk_dispatch(e, TRAM_VK_SHADER_PROBE, &call->attr->slice.axis, 1, &args,
				sizeof(args), TRAM_DIV_UP(n, 64), 1, 1, call->barrier);
}

static int lower_too_wide(struct tram_vk_emit *e, const struct tram_call *call)
{
	return tram_vk_dispatch(e, TRAM_VK_SHADER_PROBE, NULL, 0, NULL, 0,
				tram_vk_emit_class(e)->max_groups[0], 1,
				tram_vk_emit_class(e)->max_groups[2] + 1, false);
}

static int lower_fill(struct tram_vk_emit *e, const struct tram_call *call)
{
	return tram_vk_fill(e, &call->out[0], tram_shape_count(&call->out[0].shape) * 4,
			    call->attr->slice.first, call->barrier);
}

static const struct tram_vk_lowering test_lowerings[TRAM_OP_COUNT] = {
	[TRAM_OP_COPY] = { tram_vk_lower_copy },
	[TRAM_OP_SLICE] = { lower_probe },
	[TRAM_OP_PACK] = { lower_fill },
	[TRAM_OP_SGD] = { lower_too_wide },
};

/* Three tensors of N words, the step block behind them. */
struct work {
	struct tram_buffer *data, *step;
	struct tram_operand x[3];
	struct tram_timeline *done, *gate;
};

static void work_init(struct fixture *f, struct work *w, enum tram_memory kind)
{
	const struct tram_device_ops *ops = f->dev->ops;

	tram_vk_of(f->dev)->lowerings = test_lowerings;
	assert_int_equal(ops->buffer_create(f->dev, 3 * 4096, kind, &w->data), 0);
	assert_int_equal(ops->buffer_create(f->dev, sizeof(struct tram_step), TRAM_MEMORY_HOST,
					    &w->step), 0);
	for (uint32_t i = 0; i < 3; i++)
		w->x[i] = (struct tram_operand){ w->data, i * 4096, TRAM_SHAPE(N), TRAM_I32 };
	assert_int_equal(ops->timeline_create(f->dev, &w->done), 0);
	assert_int_equal(ops->timeline_create(f->dev, &w->gate), 0);
}

static void work_finish(struct fixture *f, struct work *w)
{
	const struct tram_device_ops *ops = f->dev->ops;

	ops->timeline_destroy(w->done);
	ops->timeline_destroy(w->gate);
	ops->buffer_destroy(w->step);
	ops->buffer_destroy(w->data);
}

static struct tram_call call_of(enum tram_op op, const union tram_attr *attr,
				const struct tram_operand *in, const struct tram_operand *out)
{
	return (struct tram_call){ .op = op, .attr = attr, .n_in = 1, .n_out = 1, .in = in,
				   .out = out, .barrier = true };
}

static uint64_t soon(void)
{
	return tram_now_ns() + 60 * SECOND;
}

/* --- claims -------------------------------------------------------------------- */

static void list_names_devices_in_order(void **state)
{
	struct tram_device_list list = { 0 };
	struct fixture f;

	open_device(&f);
	assert_int_equal(tram_vk_list(f.ctx, &list), 0);
	assert_true(list.infos.n >= 1);
	for (size_t i = 0; i < list.infos.n; i++) {
		char selector[24];

		snprintf(selector, sizeof(selector), "vk%zu", i);
		assert_string_equal(list.infos.v[i].selector, selector);
		assert_true(list.infos.v[i].name[0] && list.infos.v[i].memory > 0);
	}
	assert_string_equal(list.infos.v[0].numeric_class, f.dev->info.numeric_class);
	assert_true(f.dev->info.subgroup >= 4 && f.dev->info.subgroup <= 128);
	print_message("%s: %s, %s, class \"%s\", subgroup %u, %llu MiB\n", f.dev->info.selector,
		      f.dev->info.name, f.dev->info.driver, f.dev->info.numeric_class,
		      f.dev->info.subgroup, (unsigned long long)(f.dev->info.memory >> 20));
	tram_vec_free(f.ctx, &list.infos);
	close_device(&f);
}

static void an_index_that_is_not_there_is_enodev(void **state)
{
	struct tram_device *dev;
	struct fixture f;

	open_device(&f);
	assert_int_equal(tram_vk_open(f.ctx, 4711, &dev), -ENODEV);
	assert_null(dev);
	assert_non_null(strstr(tram_error(f.ctx), "vk4711"));
	close_device(&f);
}

static void buffers_are_zero_padded_and_counted(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 4, 255, 256, 257, 4096, 100003 };
	struct fixture f;

	open_device(&f);
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sizes); i++) {
		const struct tram_machine_device *m = &f.dev->machine;
		uint64_t before = f.dev->memory_now;
		struct tram_buffer *buf;
		unsigned char *bytes = calloc(1, sizes[i] + 1);

		assert_int_equal(f.dev->ops->buffer_create(f.dev, sizes[i], i & 1, &buf), 0);
		assert_int_equal(f.dev->memory_now - before,
				 TRAM_ALIGN_UP(sizes[i] + m->pad, m->granule));
		assert_int_equal(buf->size, sizes[i]);
		memset(bytes, 1, sizes[i]);
		assert_int_equal(f.dev->ops->read(buf, 0, bytes, sizes[i]), 0);
		for (uint64_t k = 0; k < sizes[i]; k++)
			assert_int_equal(bytes[k], 0);
		free(bytes);
		f.dev->ops->buffer_destroy(buf);
		assert_int_equal(f.dev->memory_now, before);
	}
	assert_true(f.dev->memory_peak > f.dev->memory_now);
	close_device(&f);
}

static void copies_stay_inside_a_buffer(void **state)
{
	struct tram_buffer *buf;
	struct fixture f;
	char word[8] = "1234567";

	open_device(&f);
	assert_int_equal(f.dev->ops->buffer_create(f.dev, 100, TRAM_MEMORY_DEVICE, &buf), 0);
	assert_int_equal(f.dev->ops->write(buf, 92, word, 8), 0);
	assert_int_equal(f.dev->ops->write(buf, 93, word, 8), -EINVAL);
	assert_int_equal(f.dev->ops->read(buf, UINT64_MAX - 3, word, 8), -EINVAL);
	assert_int_equal(f.dev->ops->read(buf, 0, word, UINT64_MAX), -EINVAL);
	memset(word, 0, sizeof(word));
	assert_int_equal(f.dev->ops->read(buf, 92, word, 8), 0);
	assert_string_equal(word, "1234567");
	f.dev->ops->buffer_destroy(buf);
	close_device(&f);
}

static void too_large_a_buffer_is_enomem(void **state)
{
	struct tram_buffer *buf;
	struct fixture f;

	open_device(&f);
	assert_int_equal(f.dev->ops->buffer_create(f.dev, UINT64_MAX, TRAM_MEMORY_DEVICE, &buf),
			 -ENOMEM);
	assert_null(buf);
	assert_non_null(strstr(tram_error(f.ctx), "out of memory"));
	assert_int_equal(f.dev->ops->buffer_create(f.dev, UINT64_C(1) << 60, TRAM_MEMORY_HOST,
						   &buf), -ENOMEM);
	close_device(&f);
}

/* fill x0 with 5; x1 = x0 * 3 + step; x2 = copy of x1 */
static void a_program_sees_its_own_writes_in_order(void **state)
{
	const union tram_attr five = { .slice.first = 5 }, times3 = { .slice.axis = 3 };
	struct tram_program *prog;
	struct fixture f;
	struct work w;

	open_device(&f);
	for (int kind = 0; kind < 2; kind++) {
		uint32_t got[N];

		work_init(&f, &w, kind);
		const struct tram_call calls[] = {
			call_of(TRAM_OP_PACK, &five, NULL, &w.x[0]),
			call_of(TRAM_OP_SLICE, &times3, &w.x[0], &w.x[1]),
			call_of(TRAM_OP_COPY, &five, &w.x[1], &w.x[2]),
		};
		const struct tram_batch batch = { .signal = w.done, .signal_value = 1 };
		struct tram_batch run = batch;

		assert_int_equal(f.dev->ops->program_create(f.dev, calls, 3, w.step, 0, false,
							    &prog), 0);
		((struct tram_step *)w.step->map)->step = 7;
		run.program = prog;
		assert_int_equal(f.dev->ops->submit(f.dev, &run, 1), 0);
		assert_int_equal(f.dev->ops->timeline_wait(w.done, 1, soon()), 0);
		assert_int_equal(f.dev->ops->read(w.data, 2 * 4096, got, sizeof(got)), 0);
		for (uint32_t i = 0; i < N; i++)
			assert_int_equal(got[i], 22);
		f.dev->ops->program_destroy(prog);
		work_finish(&f, &w);
	}
	close_device(&f);
}

/* x0 = x0 + step, a thousand times: one recording, the step block alone changes. */
static void a_recording_is_replayed_with_a_new_step_block(void **state)
{
	const union tram_attr times1 = { .slice.axis = 1 };
	struct tram_program *prog;
	struct fixture f;
	struct work w;
	uint32_t got[N], want = 0, pipelines;

	open_device(&f);
	work_init(&f, &w, TRAM_MEMORY_DEVICE);
	const struct tram_call call = call_of(TRAM_OP_SLICE, &times1, &w.x[0], &w.x[0]);

	assert_int_equal(f.dev->ops->program_create(f.dev, &call, 1, w.step, 0, false, &prog), 0);
	pipelines = (uint32_t)tram_vk_of(f.dev)->n_pipelines;
	for (uint32_t i = 1; i <= 1000; i++) {
		const struct tram_batch batch = {
			.program = prog, .signal = w.done, .signal_value = i,
		};

		((struct tram_step *)w.step->map)->step = i;
		want += i;
		assert_int_equal(f.dev->ops->submit(f.dev, &batch, 1), 0);
		assert_int_equal(f.dev->ops->timeline_wait(w.done, i, soon()), 0);
	}
	assert_int_equal(tram_vk_of(f.dev)->n_pipelines, pipelines);
	assert_int_equal(f.dev->ops->read(w.data, 0, got, sizeof(got)), 0);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(got[i], want);
	f.dev->ops->program_destroy(prog);
	work_finish(&f, &w);
	close_device(&f);
}

/*
 * Two batches in one submission: the second waits for the gate, which the
 * host signals after it has written the commit word.
 */
static void the_gate_decides_after_the_submission(void **state)
{
	const union tram_attr nine = { .slice.first = 9 };
	const union tram_attr gated = { .slice = { .axis = 2, .first = 1 } };
	struct tram_program *compute, *update;
	struct fixture f;
	struct work w;
	uint32_t got[N];

	open_device(&f);
	work_init(&f, &w, TRAM_MEMORY_DEVICE);
	const struct tram_call fill = call_of(TRAM_OP_PACK, &nine, NULL, &w.x[0]);
	const struct tram_call write = call_of(TRAM_OP_SLICE, &gated, &w.x[0], &w.x[1]);

	assert_int_equal(f.dev->ops->program_create(f.dev, &fill, 1, w.step, 0, false, &compute),
			 0);
	assert_int_equal(f.dev->ops->program_create(f.dev, &write, 1, w.step, 0, false, &update),
			 0);
	for (uint32_t i = 1; i <= 20; i++) {
		const struct tram_batch batches[2] = {
			{ .program = compute, .signal = w.done, .signal_value = 2 * i - 1 },
			{ .wait = w.gate, .wait_value = i, .program = update,
			  .signal = w.done, .signal_value = 2 * i },
		};
		struct tram_step *step = w.step->map;

		step->step = i;
		step->commit = 0;
		memset(got, 0, sizeof(got));
		assert_int_equal(f.dev->ops->write(w.data, 4096, got, sizeof(got)), 0);
		assert_int_equal(f.dev->ops->submit(f.dev, batches, 2), 0);
		assert_int_equal(f.dev->ops->timeline_wait(w.done, 2 * i - 1, soon()), 0);
		/* The update does not start by itself. */
		assert_int_equal(f.dev->ops->timeline_wait(w.done, 2 * i,
							   tram_now_ns() + SECOND / 500),
				 -ETIMEDOUT);
		step->commit = i & 1;
		assert_int_equal(f.dev->ops->timeline_signal(w.gate, i), 0);
		assert_int_equal(f.dev->ops->timeline_wait(w.done, 2 * i, soon()), 0);
		assert_int_equal(f.dev->ops->read(w.data, 4096, got, sizeof(got)), 0);
		for (uint32_t k = 0; k < N; k++)
			assert_int_equal(got[k], i & 1 ? 18 + i : 0);
	}
	assert_int_equal(f.dev->ops->timeline_signal(w.gate, 20), -EINVAL);
	f.dev->ops->program_destroy(compute);
	f.dev->ops->program_destroy(update);
	work_finish(&f, &w);
	close_device(&f);
}

static void a_timed_program_has_a_span_for_every_call(void **state)
{
	const union tram_attr five = { .slice.first = 5 }, times3 = { .slice.axis = 3 };
	struct tram_program *prog, *untimed;
	struct tram_span spans[4];
	struct fixture f;
	struct work w;

	open_device(&f);
	work_init(&f, &w, TRAM_MEMORY_DEVICE);
	struct tram_call calls[] = {
		call_of(TRAM_OP_PACK, &five, NULL, &w.x[0]),
		call_of(TRAM_OP_SLICE, &times3, &w.x[0], &w.x[1]),
		call_of(TRAM_OP_COPY, &five, &w.x[1], &w.x[2]),
	};

	for (uint32_t i = 0; i < 3; i++)
		calls[i].tag = 10 + i;
	assert_int_equal(f.dev->ops->program_create(f.dev, calls, 3, w.step, 0, false, &untimed),
			 0);
	assert_int_equal(f.dev->ops->spans(untimed, spans, 4), -EINVAL);
	f.dev->ops->program_destroy(untimed);
	assert_int_equal(f.dev->ops->program_create(f.dev, calls, 3, w.step, 0, true, &prog), 0);
	for (uint32_t run = 1; run <= 3; run++) {
		const struct tram_batch batch = {
			.program = prog, .signal = w.done, .signal_value = run,
		};

		assert_int_equal(f.dev->ops->submit(f.dev, &batch, 1), 0);
		assert_int_equal(f.dev->ops->timeline_wait(w.done, run, soon()), 0);
		assert_int_equal(f.dev->ops->spans(prog, spans, 4), 3);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(spans[i].tag, 10 + i);
			assert_true(spans[i].begin_ns <= spans[i].end_ns);
			assert_true(!i || spans[i].begin_ns == spans[i - 1].end_ns);
		}
	}
	assert_true(spans[2].end_ns > spans[0].begin_ns);
	assert_true(spans[2].end_ns - spans[0].begin_ns < SECOND);
	assert_int_equal(f.dev->ops->spans(prog, spans, 1), 1);
	f.dev->ops->program_destroy(prog);
	work_finish(&f, &w);
	close_device(&f);
}

static void what_cannot_be_recorded_is_refused_by_name(void **state)
{
	static const union tram_attr none;
	struct tram_program *prog;
	struct fixture f;
	struct work w;

	open_device(&f);
	work_init(&f, &w, TRAM_MEMORY_DEVICE);
	struct tram_call call = call_of(TRAM_OP_SGD, &none, &w.x[0], &w.x[1]);

	assert_int_equal(f.dev->ops->program_create(f.dev, &call, 1, w.step, 0, false, &prog),
			 -EINVAL);
	assert_null(prog);
	assert_non_null(strstr(tram_error(f.ctx), "shader probe"));
	call.op = TRAM_OP_ARGMAX;
	assert_int_equal(f.dev->ops->program_create(f.dev, &call, 1, w.step, 0, false, &prog),
			 -ENOTSUP);
	work_finish(&f, &w);
	close_device(&f);
}

static void the_plan_can_count_on_program_bytes(void **state)
{
	const union tram_attr times3 = { .slice.axis = 3 };
	struct tram_call calls[100];
	struct tram_program *prog;
	struct fixture f;
	struct work w;
	uint64_t before;

	open_device(&f);
	work_init(&f, &w, TRAM_MEMORY_DEVICE);
	for (int i = 0; i < 100; i++)
		calls[i] = call_of(TRAM_OP_SLICE, &times3, &w.x[0], &w.x[1]);
	for (size_t n = 0; n <= 100; n += 50) {
		before = f.dev->memory_now;
		assert_int_equal(f.dev->ops->program_create(f.dev, calls, n, w.step, 0, false,
							    &prog), 0);
		assert_int_equal(f.dev->memory_now - before,
				 f.dev->machine.program_bytes(&f.dev->machine, n));
		f.dev->ops->program_destroy(prog);
	}
	work_finish(&f, &w);
	close_device(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_names_devices_in_order),
		cmocka_unit_test(an_index_that_is_not_there_is_enodev),
		cmocka_unit_test(buffers_are_zero_padded_and_counted),
		cmocka_unit_test(copies_stay_inside_a_buffer),
		cmocka_unit_test(too_large_a_buffer_is_enomem),
		cmocka_unit_test(a_program_sees_its_own_writes_in_order),
		cmocka_unit_test(a_recording_is_replayed_with_a_new_step_block),
		cmocka_unit_test(the_gate_decides_after_the_submission),
		cmocka_unit_test(a_timed_program_has_a_span_for_every_call),
		cmocka_unit_test(what_cannot_be_recorded_is_refused_by_name),
		cmocka_unit_test(the_plan_can_count_on_program_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
