/* SPDX-License-Identifier: MIT */
/* Measuring: calibration, the file of rates, traces. The fake device's clock gives every call the same time. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>

#include <tram/ops.h>

#include "base/file.h"
#include "base/json.h"
#include "base/test_files.h"
#include "base/test_heap.h"
#include "exec/exec.h"
#include "exec/fake_device.h"

#define N 100

struct rig {
	struct test_dir dir;
	struct tram_ctx *ctx;
	struct fake_device *fake;
	struct tram_vars *vars;
	struct tram_exec *x;
	unsigned int warnings;
};

static void on_log(void *arg, enum tram_log_level level, const char *line)
{
	((struct rig *)arg)->warnings += level <= TRAM_LOG_WARN;
}

static void open_device(struct rig *rig)
{
	struct tram_graph *g;
	tram_value w, m, grad, stats;

	assert_int_equal(tram_graph_create(rig->ctx, NULL, &g), 0);
	w = tram_variable(g, "w", TRAM_SHAPE(N));
	m = tram_variable(g, "m", TRAM_SHAPE(N));
	grad = tram_softmax(g, tram_add(g, tram_input(g, "x \"quoted\"", TRAM_F32, TRAM_SHAPE(N)), w));
	stats = tram_grad_stats(g, grad);
	tram_output(g, "stats", stats);
	tram_graph_begin_update(g);
	tram_sgd(g, w, m, grad, stats, &(struct tram_sgd_params){ .momentum = 0.5f });
	assert_int_equal(fake_device_create(rig->ctx, g->ops, &rig->fake), 0);
	rig->fake->call_ns = 3000000;
	assert_int_equal(tram_vars_create(&rig->fake->base, &rig->vars), 0);
	assert_int_equal(tram_exec_create(&rig->fake->base, rig->vars, g, NULL, &rig->x), 0);
	tram_graph_destroy(&g);
}

static void close_device(struct rig *rig)
{
	tram_exec_destroy(&rig->x);
	tram_vars_destroy(&rig->vars);
	fake_device_destroy(&rig->fake);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct tram_ctx_params params = { .log = on_log, .log_arg = rig,
					  .log_level = TRAM_LOG_DEBUG };

	test_dir_make(&rig->dir);
	params.cache_dir = rig->dir.path;
	if (tram_ctx_create(&params, &rig->ctx))
		return -1;
	open_device(rig);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	close_device(rig);
	tram_ctx_destroy(&rig->ctx);
	test_dir_remove(&rig->dir);
	free(rig);
	return 0;
}

static void calibration_makes_the_prediction_a_measurement(void **state)
{
	struct rig *rig = *state;
	struct tram_prediction p;
	double calls_s, gap = 0;

	tram_exec_predict(rig->x, &p);
	assert_int_equal(p.unmeasured, p.calls);
	assert_int_equal(tram_exec_calibrate(rig->x), 0);
	tram_exec_predict(rig->x, &p);
	assert_int_equal(p.unmeasured, 0);
	assert_int_equal(rig->fake->base.memory_peak, p.peak_bytes);
	for (size_t i = 0; i < rig->fake->base.machine.n_rates; i++)
		if (rig->fake->base.machine.rates[i].hash == TRAM_RATE_CALL_GAP)
			gap = rig->fake->base.machine.rates[i].seconds;
	calls_s = p.calls * (3e-3 + gap);
	assert_true(p.step_s > calls_s - 1e-9 && p.step_s < calls_s + 1e-9);
	/* The wall clock went on for less than the device's made-up one. */
	assert_true(gap < 0 && p.step_s > 0 && p.step_s < p.calls * 3e-3);
}

static void calibration_changes_no_variable_and_no_version(void **state)
{
	struct rig *rig = *state;
	float before[2][N], after[2][N];

	for (int i = 0; i < N; i++)
		before[0][i] = (float)i;
	assert_int_equal(tram_vars_write(rig->vars, "w", 0, N, before[0]), 0);
	assert_int_equal(tram_vars_read(rig->vars, "m", 0, N, before[1]), 0);
	tram_exec_step(rig->x, 0)->lr = 1;
	tram_exec_step(rig->x, 0)->step = 17;
	assert_int_equal(tram_exec_calibrate(rig->x), 0);
	assert_int_equal(tram_vars_read(rig->vars, "w", 0, N, after[0]), 0);
	assert_int_equal(tram_vars_read(rig->vars, "m", 0, N, after[1]), 0);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(tram_vars_version(rig->vars), 0);
	assert_int_equal(tram_exec_step(rig->x, 0)->step, 17);
	assert_int_equal(tram_exec_step(rig->x, 0)->commit, 0);
	/* And steps go on as ever. */
	assert_int_equal(tram_exec_run(rig->x), 0);
	assert_int_equal(tram_vars_version(rig->vars), 1);
}

static const char *rates_file(struct rig *rig, char path[512])
{
	DIR *d = opendir(rig->dir.path);
	struct dirent *e;

	path[0] = '\0';
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "rates-", 6))
			snprintf(path, 512, "%s/%.200s", rig->dir.path, e->d_name);
	closedir(d);
	return path;
}

static void rates_are_kept_for_the_next_run(void **state)
{
	struct rig *rig = *state;
	struct tram_prediction first, second;

	assert_int_equal(tram_exec_calibrate(rig->x), 0);
	tram_exec_predict(rig->x, &first);
	close_device(rig);
	open_device(rig);
	tram_exec_predict(rig->x, &second);
	assert_int_equal(second.unmeasured, 0);
	assert_true(second.step_s > 0.999999 * first.step_s && second.step_s < 1.000001 * first.step_s);
}

/* A device that takes its time for a submit, as the wall clock sees it. */
static void kept_rates_are_held_against_the_clock(void **state)
{
	struct rig *rig = *state;
	struct tram_prediction first, second;
	uint64_t submits, took = 0;

	rig->fake->submit_ns = 20000000;
	assert_int_equal(tram_exec_calibrate(rig->x), 0);
	tram_exec_predict(rig->x, &first);
	assert_true(first.step_s >= 0.02);
	/* They hold: the four steps of the check are all. A busy machine may be slow just then; it gets more tries. */
	for (int i = 0; i < 10 && took != 4; i++) {
		submits = rig->fake->submits;
		tram_exec_predict(rig->x, &first);
		assert_int_equal(tram_exec_calibrate(rig->x), 0);
		took = rig->fake->submits - submits;
	}
	assert_int_equal(took, 4);
	tram_exec_predict(rig->x, &second);
	assert_true(second.step_s == first.step_s);
	rig->fake->submit_ns = 100000000;
	submits = rig->fake->submits;
	assert_int_equal(tram_exec_calibrate(rig->x), 0);	/* they don't */
	assert_true(rig->fake->submits - submits > 8);
	tram_exec_predict(rig->x, &second);
	assert_true(second.step_s > 2 * first.step_s);
}

static void damaged_rates_are_ignored_with_a_word(void **state)
{
	static const char *const tails[] = {
		"", "zzz", "0123456789abcdef 1\n0123456789abcdef 2\n", "0123456789abcdef nan\n",
		"0123456789abcdef 1e9\n", "0123456789abcdef 9999999999999999\n", "0123456789abcde 1\n", "0123456789abcdef 1",
		"0123456789abcdef  1\n", "0123456789abcdef 0x10\n", "0123456789ABCDEF 1\n",
	};
	struct rig *rig = *state;
	struct tram_prediction p;
	char path[512], *text;
	size_t size, head;

	assert_int_equal(tram_exec_calibrate(rig->x), 0);
	rates_file(rig, path);
	assert_int_equal(tram_file_load(rig->ctx, path, 1 << 20, &text, &size), 0);
	head = (size_t)(strstr(text, "threads 1\n") - text) + strlen("threads 1\n");
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(tails) + 1; i++) {
		char bad[600];
		int n = snprintf(bad, sizeof(bad), "%.*s%s", (int)head, text, i ? tails[i - 1] :
				 "0123456789abcdef 1\n");

		if (!i)
			bad[20] ^= 1;	/* of another class */
		assert_int_equal(tram_file_store(rig->ctx, path, bad, (size_t)n), 0);
		close_device(rig);
		rig->warnings = 0;
		open_device(rig);
		tram_exec_predict(rig->x, &p);
		if (p.unmeasured != p.calls || rig->warnings != 1)
			fail_msg("case %zu: %u of %u unmeasured, %u warnings", i, p.unmeasured, p.calls,
				 rig->warnings);
	}
	/* The next calibration replaces it. */
	assert_int_equal(tram_exec_calibrate(rig->x), 0);
	tram_free(rig->ctx, text);
	assert_int_equal(tram_file_load(rig->ctx, path, 1 << 20, &text, &size), 0);
	assert_true(size > head + 20);
	tram_free(rig->ctx, text);
}

static void a_cache_that_cannot_be_written_is_no_failure(void **state)
{
	struct rig *rig = *state;
	char path[600];
	FILE *f;

	/* Where the folder of the cache should be there is a file. */
	test_dir_remove(&rig->dir);
	snprintf(path, sizeof(path), "%s", rig->dir.path);
	f = fopen(path, "w");
	fclose(f);
	rig->warnings = 0;
	assert_int_equal(tram_exec_calibrate(rig->x), 0);
	assert_int_equal(rig->warnings, 1);
	remove(path);
}

static void a_trace_has_a_span_for_every_call(void **state)
{
	struct rig *rig = *state;
	struct tram_prediction p;
	struct tram_json json;
	char path[512], *text;
	size_t size, i, n, spans = 0, counters = 0;
	yyjson_val *events, *e;
	float w[N];

	snprintf(path, sizeof(path), "%s/trace.json", rig->dir.path);
	tram_exec_predict(rig->x, &p);
	tram_exec_step(rig->x, 0)->lr = 1;
	assert_int_equal(tram_exec_trace(rig->x, path), 0);
	assert_int_equal(tram_file_load(rig->ctx, path, 1 << 20, &text, &size), 0);
	assert_int_equal(tram_json_parse(rig->ctx, path, text, size, &json), 0);
	assert_int_equal(tram_json_arr(&json, "", json.root, "traceEvents", true, &events), 0);
	yyjson_arr_foreach(events, i, n, e) {
		const char *ph;
		double dur;

		assert_int_equal(tram_json_str(&json, "", e, "ph", true, &ph), 0);
		counters += *ph == 'C';
		if (*ph != 'X')
			continue;
		spans++;
		assert_int_equal(tram_json_f64(&json, "", e, "dur", true, 0, 1e9, &dur), 0);
		assert_true(dur == 3000);	/* microseconds */
	}
	assert_int_equal(spans, p.calls);
	assert_int_equal(counters, 2 * p.calls + 2);
	assert_non_null(strstr(text, "\"softmax [100]\""));
	tram_json_free(&json);
	tram_free(rig->ctx, text);
	assert_int_equal(tram_vars_version(rig->vars), 0);
	assert_int_equal(tram_vars_read(rig->vars, "w", 0, N, w), 0);
	assert_true(w[0] == 0 && w[N - 1] == 0);
	assert_int_equal(tram_exec_trace(rig->x, "/dev/null/trace.json"), -ENOTDIR);
}

int main(void)
{
#define T_(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T_(calibration_makes_the_prediction_a_measurement),
		T_(calibration_changes_no_variable_and_no_version),
		T_(rates_are_kept_for_the_next_run),
		T_(kept_rates_are_held_against_the_clock),
		T_(damaged_rates_are_ignored_with_a_word),
		T_(a_cache_that_cannot_be_written_is_no_failure),
		T_(a_trace_has_a_span_for_every_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
