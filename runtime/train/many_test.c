/* SPDX-License-Identifier: MIT */
/*
 * The engine of several devices, on logical CPU devices of which one can be slowed: shards move away from it
 * and back, and neither that nor the number of devices shows in a bit.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "base/file.h"
#include "base/test_files.h"
#include "exec/exec.h"
#include "model/model.h"
#include "train/engine.h"

enum { B = 8, T = 8, S = 8, V = 50, WITHIN = 5 };

static struct test_dir dir;
static char moves[400];		/* the engine's last word on who gets what */

static void on_log(void *arg, enum tram_log_level level, const char *line)
{
	if (strstr(line, "shards of a batch"))
		snprintf(moves, sizeof(moves), "%s", line);
}

/* A device that takes at least @shard_ns for each of its shards, as whoever waits for it sees. */
static struct slow {
	struct tram_device *dev;
	struct tram_device_ops ops;
	uint64_t shard_ns, until;
	bool due;	/* the step's first submit is to come */
} slow[2];
static const struct tram_device_ops *real;

/* What the engine's last word gives the first device. */
static uint64_t first_share(void)
{
	const char *colon = strstr(moves, "cpu0.0: ");

	return colon ? (uint64_t)atoi(colon + 8) : S / 2;
}

static int slow_submit(struct tram_device *dev, const struct tram_batch *b, size_t n)
{
	struct slow *s = &slow[dev == slow[1].dev];

	if (s->due)
		s->until = tram_now_ns() + s->shard_ns * (s == slow ? first_share() : S - first_share());
	s->due = false;
	return real->submit(dev, b, n);
}

static int wait_slow(struct slow *s, struct tram_timeline *t, uint64_t value, uint64_t deadline)
{
	uint64_t until = TRAM_MIN(deadline, s->until), now = tram_now_ns();

	if (now < until)
		nanosleep(&(struct timespec){ .tv_nsec = (long)(until - now) }, NULL);
	if (tram_now_ns() < s->until)
		return -ETIMEDOUT;
	return real->timeline_wait(t, value, deadline);
}

static int slow_wait0(struct tram_timeline *t, uint64_t value, uint64_t deadline)
{
	return wait_slow(&slow[0], t, value, deadline);
}

static int slow_wait1(struct tram_timeline *t, uint64_t value, uint64_t deadline)
{
	return wait_slow(&slow[1], t, value, deadline);
}

static void make_slow(struct tram_device **devs)
{
	memset(slow, 0, sizeof(slow));
	real = devs[0]->ops;
	for (int d = 0; d < 2; d++) {
		slow[d].dev = devs[d];
		slow[d].ops = *real;
		slow[d].ops.submit = slow_submit;
		slow[d].ops.timeline_wait = d ? slow_wait1 : slow_wait0;
		devs[d]->ops = &slow[d].ops;
	}
}

struct rig {
	struct tram_ctx *ctx;
	struct tram_device **devs;
	size_t n;
	struct tram_model *model;
	struct tram_engine *e;
	int32_t tokens[B * T], targets[B * T], order[B * T];
	struct tram_batch_data batch;
	float loss, stats[4];
};

static void rig_open(struct rig *rig, const char *devices)
{
	static const char config[] = "{\"model_type\":\"gpt2\",\"vocab_size\":50,\"n_positions\":8,"
				     "\"n_embd\":16,\"n_layer\":2,\"n_head\":2}";
	const struct tram_ctx_params cp = { .log = on_log, .log_level = TRAM_LOG_INFO,
					    .cache_dir = dir.path, .threads = 1 };
	const struct tram_engine_params ep = {
		.batch = B, .seq = T, .shards = S,
		.opt = { .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f, .clip = 1 },
	};
	char path[600];
	float *flat;

	memset(rig, 0, sizeof(*rig));
	assert_int_equal(tram_ctx_create(&cp, &rig->ctx), 0);
	snprintf(path, sizeof(path), "%s/config.json", dir.path);
	assert_int_equal(tram_file_store(rig->ctx, path, config, sizeof(config) - 1), 0);
	assert_int_equal(tram_model_open(rig->ctx, dir.path, 0, 0, &rig->model), 0);
	assert_int_equal(tram_model_set_dropout(rig->model, 0.1f), 0);
	assert_int_equal(tram_devices_open(rig->ctx, devices, &rig->devs, &rig->n), 0);
	assert_int_equal(tram_engine_create(rig->devs, rig->n, rig->model, &ep, &rig->e), 0);
	flat = tram_calloc(rig->ctx, rig->model->flat, sizeof(*flat));
	tram_model_init(rig->model, 1, flat);
	assert_int_equal(rig->e->ops->write(rig->e, "params", flat), 0);
	tram_free(rig->ctx, flat);
	assert_int_equal(rig->e->ops->calibrate(rig->e), 0);
	rig->batch = (struct tram_batch_data){ .tokens = rig->tokens, .targets = rig->targets,
					       .order = rig->order, .n_targets = B * T };
}

static void rig_close(struct rig *rig)
{
	tram_engine_destroy(&rig->e);
	tram_devices_close(rig->ctx, &rig->devs, rig->n);
	tram_model_close(&rig->model);
	tram_ctx_destroy(&rig->ctx);
}

/* Tokens of step @s, and per shard their places sorted by token. */
static void fill(struct rig *rig, uint32_t s)
{
	const uint32_t per = B / S * T;

	for (uint32_t i = 0; i < B * T; i++) {
		rig->tokens[i] = (int32_t)((i * 7 + s * 13 + i * i) % V);
		rig->targets[i] = (int32_t)((i * 3 + s) % V);
	}
	for (uint32_t k = 0; k < S; k++) {
		uint32_t n = 0;

		for (int32_t v = 0; v < V; v++)
			for (uint32_t i = 0; i < per; i++)
				if (rig->tokens[k * per + i] == v)
					rig->order[k * per + n++] = (int32_t)i;
	}
}

static void step(struct rig *rig, uint32_t s)
{
	const struct tram_step block = { .step = s + 1, .seed = { 5, 6 }, .loss_scale = 1,
					 .inv_targets = 1.0f / (B * T) };
	const struct tram_engine_update u = { .lr = 1e-2f, .bias_correction1 = 0.1f,
					      .bias_correction2 = 0.01f };
	uint32_t slot = s % rig->e->ahead;
	const float *stats;

	fill(rig, s);
	assert_int_equal(rig->e->ops->begin(rig->e, slot, &rig->batch, &block), 0);
	assert_int_equal(rig->e->ops->wait(rig->e, slot, &rig->loss, &stats), 0);
	memcpy(rig->stats, stats, sizeof(rig->stats));
	assert_int_equal(rig->e->ops->end(rig->e, slot, &u, true), 0);
}

static void shards_move_away_from_a_slow_device_and_back(void **state)
{
	enum { STEPS = 30, SLOW = 6, FAST = 16, SHARD_NS = 8000000 };
	static float want[STEPS][5];
	int moved_at = -1, back_at = -1;
	struct rig rig;

	rig_open(&rig, "cpu0");
	for (uint32_t s = 0; s < STEPS; s++) {
		step(&rig, s);
		want[s][0] = rig.loss;
		memcpy(&want[s][1], rig.stats, sizeof(rig.stats));
	}
	rig_close(&rig);

	rig_open(&rig, "cpu0*2");
	make_slow(rig.devs);
	moves[0] = '\0';
	for (uint32_t s = 0; s < STEPS; s++) {
		bool is_slow = s >= SLOW && s < FAST;

		slow[0].shard_ns = is_slow ? 4 * SHARD_NS : SHARD_NS;
		slow[1].shard_ns = SHARD_NS;
		slow[0].due = slow[1].due = true;
		step(&rig, s);
		if (is_slow && moved_at < 0 && first_share() < S / 2)
			moved_at = (int)s;
		if (s >= FAST && back_at < 0 && first_share() >= S / 2 - 1)
			back_at = (int)s;
		assert_true(want[s][0] == rig.loss);
		assert_memory_equal(&want[s][1], rig.stats, sizeof(rig.stats));
	}
	rig_close(&rig);
	if (moved_at < 0 || moved_at - SLOW > WITHIN)
		fail_msg("shards moved at step %d, slowed at %d", moved_at, SLOW);
	if (back_at < 0 || back_at - FAST > WITHIN)
		fail_msg("shards were back at step %d, fast again at %d", back_at, FAST);
}

static const float *of_pin(const struct rig *rig, const struct tram_pin *pin, int i)
{
	uint64_t count;
	const float *data = tram_pin_data(pin, tram_engine_state[i], &count);

	assert_int_equal(count, rig->model->flat);
	return data;
}

/* Weights and moments are one device's, however the optimizer is spread; and so after a restore. */
static void pins_are_those_of_one_device(void **state)
{
	static const char *const devices[] = { "cpu0", "cpu0*3", "cpu0*8" };
	struct tram_pin *pin[3], *early, *again;
	struct rig rig[3];

	for (int k = 0; k < 3; k++) {
		size_t bytes;

		rig_open(&rig[k], devices[k]);
		bytes = rig[k].model->flat * sizeof(float);
		for (uint32_t s = 0; s < 2; s++)
			step(&rig[k], s);
		assert_int_equal(rig[k].e->ops->pin(rig[k].e, &early), 0);
		assert_int_equal(tram_pin_version(early), 2);
		for (uint32_t s = 2; s < 4; s++)
			step(&rig[k], s);
		assert_int_equal(rig[k].e->ops->pin(rig[k].e, &pin[k]), 0);
		/* Four steps of two to eight partial sums, as shards moved. */
		assert_true(rig[k].e->exchange_bytes <= (k ? 4 * bytes * (8 + 2 + rig[k].n) : 0));
		assert_true(rig[k].e->exchange_bytes >= (k ? 4 * bytes * (2 + 2 + rig[k].n) : 0));
		assert_int_equal(rig[k].e->ops->restore(rig[k].e, early), 0);
		assert_int_equal(tram_vars_version(rig[k].e->vars), 2);
		tram_pin_release(&early);
		for (uint32_t s = 2; s < 4; s++)
			step(&rig[k], s);
		assert_int_equal(rig[k].e->ops->pin(rig[k].e, &again), 0);
		for (int i = 0; i < 3; i++) {
			assert_memory_equal(of_pin(&rig[k], pin[k], i), of_pin(&rig[0], pin[0], i), bytes);
			assert_memory_equal(of_pin(&rig[k], again, i), of_pin(&rig[0], pin[0], i), bytes);
		}
		tram_pin_release(&again);
	}
	for (int k = 0; k < 3; k++) {
		tram_pin_release(&pin[k]);
		rig_close(&rig[k]);
	}
}

/* Two devices hold half of the optimizer's state each. */
static void moments_are_spread(void **state)
{
	struct tram_prediction one, two;
	struct rig rig;

	rig_open(&rig, "cpu0");
	rig.e->ops->predict(rig.e, &one);
	rig_close(&rig);
	rig_open(&rig, "cpu0*2");
	rig.e->ops->predict(rig.e, &two);
	/* Parameters twice; master copies and moments once. */
	assert_true(two.variable_bytes < one.variable_bytes * 5 / 3 + 6 * 4096);
	rig_close(&rig);
}

static void a_closed_gate_leaves_no_trace(void **state)
{
	static float a[1 << 15], b[1 << 15];
	static const struct tram_engine_update none;
	const struct tram_step block = { .step = 2, .loss_scale = 1, .inv_targets = 1.0f / (B * T) };
	const float *stats;
	struct rig rig;
	float loss;

	rig_open(&rig, "cpu0*2");
	step(&rig, 0);
	assert_int_equal(tram_vars_read(rig.e->vars, "params", 0, rig.model->flat, a), 0);
	fill(&rig, 1);
	assert_int_equal(rig.e->ops->begin(rig.e, 0, &rig.batch, &block), 0);
	assert_int_equal(rig.e->ops->wait(rig.e, 0, &loss, &stats), 0);
	assert_int_equal(rig.e->ops->end(rig.e, 0, &none, false), 0);
	assert_int_equal(tram_vars_read(rig.e->vars, "params", 0, rig.model->flat, b), 0);
	assert_memory_equal(a, b, rig.model->flat * sizeof(*a));
	rig_close(&rig);
}

static int setup(void **state)
{
	test_dir_make(&dir);
	return 0;
}

static int teardown(void **state)
{
	test_dir_remove(&dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shards_move_away_from_a_slow_device_and_back),
		cmocka_unit_test(pins_are_those_of_one_device),
		cmocka_unit_test(moments_are_spread),
		cmocka_unit_test(a_closed_gate_leaves_no_trace),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
