/* SPDX-License-Identifier: MIT */
/*
 * What a training run promises, on every device: resuming shows in no bit,
 * neither do evaluation, threads or torn checkpoints; the gate keeps
 * non-finite steps and spikes out; memory is what was planned.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tram/inspect.h>
#include <tram/train.h>

#include "selftest.h"

enum { V = 61, T = 16, D = 32, L = 2, H = 4, B = 8 };

/* One run: what it is given, and what came of it. */
struct run {
	struct tram_train_params p;
	const char *data;
	float dropout;
	unsigned int threads;
	uint64_t stop_at;	/* 0: runs to its end */
	bool evaluate;
	float *weights;		/* in: to begin with (by init); out: at the end */

	int err;
	char error[400], sha[65];
	uint64_t steps, skips, rollbacks, saves, evals;
	double last_loss;
	uint64_t peak, predicted;
	double median_ms, predicted_ms;
};

static int on_event(void *arg, const struct tram_train_event *ev)
{
	struct run *r = arg;

	switch (ev->kind) {
	case TRAM_EVENT_PLAN:
		r->predicted = ev->plan.peak_bytes > r->predicted ? ev->plan.peak_bytes : r->predicted;
		r->predicted_ms = ev->plan.step_s * 1e3;
		break;
	case TRAM_EVENT_STEP:
		r->steps++;
		r->last_loss = ev->loss;
		break;
	case TRAM_EVENT_SKIP:
		r->skips++;
		break;
	case TRAM_EVENT_ROLLBACK:
		r->rollbacks++;
		break;
	case TRAM_EVENT_SAVE:
		r->saves++;
		break;
	case TRAM_EVENT_EVAL:
		r->evals++;
		break;
	case TRAM_EVENT_DONE:
		snprintf(r->sha, sizeof(r->sha), "%s", ev->sha256);
		r->peak = ev->peak_bytes;
		r->median_ms = ev->median_step_ms;
		break;
	default:
		break;
	}
	return r->stop_at && ev->kind == TRAM_EVENT_STEP && ev->step == r->stop_at;
}

static void log_nothing(void *arg, enum tram_log_level level, const char *line)
{
}

static bool llama;	/* the family of the group of tests that runs */

static const char *model_config(void)
{
	char text[500];

	if (!llama)
		return test_config("model", V, T, D, L, H);
	snprintf(text, sizeof(text), "{\"model_type\": \"llama\", \"vocab_size\": %d, "
		 "\"max_position_embeddings\": %d, \"hidden_size\": %d, \"num_hidden_layers\": %d, "
		 "\"num_attention_heads\": %d, \"num_key_value_heads\": 2, "
		 "\"intermediate_size\": 88}", V, T, D, L, H);
	return test_config_text("llama", text);
}

static int start(struct tram_ctx *ctx, const char *selector, struct run *r)
{
	struct tram_stream *stream = NULL, *eval = NULL;
	struct tram_trainer *trainer = NULL;
	struct tram_device **devs = NULL;
	struct tram_model *m = NULL;
	size_t n_devs = 0;
	int err = tram_model_open(ctx, model_config(), 0, 0, &m);

	if (!err)
		err = tram_model_set_dropout(m, r->dropout);
	if (!err)
		err = tram_stream_open(ctx, r->data, NULL, &stream);
	if (!err && r->evaluate)
		err = tram_stream_open(ctx, r->data, NULL, &eval);
	if (!err)
		err = tram_devices_open(ctx, selector, &devs, &n_devs);
	if (!err)
		err = tram_trainer_create(devs, n_devs, m, stream, eval, NULL, &r->p, &trainer);
	if (!err)
		err = tram_trainer_run(trainer, on_event, r);
	if (!err && r->weights)
		err = tram_trainer_weights(trainer, r->weights);
	tram_trainer_destroy(&trainer);
	tram_devices_close(ctx, &devs, n_devs);
	tram_stream_close(&eval);
	tram_stream_close(&stream);
	tram_model_close(&m);
	return err;
}

/* In a context of its own, so that threads can be chosen. */
static void run(const char *selector, struct run *r)
{
	struct tram_ctx_params cp = { .log = log_nothing, .cache_dir = test_path("cache"),
				      .threads = r->threads };
	struct tram_ctx *ctx;

	assert_int_equal(tram_ctx_create(&cp, &ctx), 0);
	r->p.batch = r->p.batch ? r->p.batch : B;
	r->p.seq = T;
	r->p.lr = r->p.lr != 0 ? r->p.lr : 1e-2;
	r->err = start(ctx, selector, r);
	snprintf(r->error, sizeof(r->error), "%s", tram_error(ctx));
	tram_ctx_destroy(&ctx);
}

static void run_ok(const char *selector, struct run *r)
{
	run(selector, r);
	if (r->err)
		fail_msg("%s: %d: %s", selector, r->err, r->error);
}

static const char *data;

static const char *new_out(void)
{
	static char paths[64][256];
	static unsigned int n;
	char name[32];

	assert_true(n < 64);
	snprintf(name, sizeof(name), "out-%u", n);
	snprintf(paths[n], sizeof(paths[n]), "%s", test_path(name));
	return paths[n++];
}

/* --- bits --------------------------------------------------------------------------- */

static void resume_device(struct tram_ctx *ctx, const char *selector)
{
	const char *out = new_out();
	struct run whole = { .data = data, .dropout = 0.1f, .p = { .steps = 12 } };
	struct run first = whole, second = whole;

	run_ok(selector, &whole);
	first.p.out = out;
	first.stop_at = 7;
	run_ok(selector, &first);
	assert_int_equal(first.saves, 1);
	assert_string_not_equal(first.sha, whole.sha);
	second.p.out = out;
	second.p.resume = true;
	run_ok(selector, &second);
	assert_int_equal(first.steps + second.steps, whole.steps);
	assert_string_equal(second.sha, whole.sha);
}

static void a_resumed_run_ends_in_the_same_bits(void **state)
{
	test_each_device(resume_device);
}

static void evaluation_device(struct tram_ctx *ctx, const char *selector)
{
	struct run plain = { .data = data, .dropout = 0.1f, .p = { .steps = 10 } };
	struct run evaluated = plain;

	run_ok(selector, &plain);
	evaluated.evaluate = true;
	evaluated.p.eval_every = 1;
	run_ok(selector, &evaluated);
	assert_int_equal(evaluated.evals, 10);
	assert_string_equal(plain.sha, evaluated.sha);
}

static void evaluation_leaves_no_trace_in_the_weights(void **state)
{
	test_each_device(evaluation_device);
}

static void shards_device(struct tram_ctx *ctx, const char *selector)
{
	struct run one = { .data = data, .p = { .steps = 6, .shards = 1 } };
	struct run four = { .data = data, .p = { .steps = 6, .shards = 4 } };
	struct run again = four;

	run_ok(selector, &one);
	run_ok(selector, &four);
	run_ok(selector, &again);
	/* Another order of additions: other bits, the same mathematics. */
	assert_string_not_equal(one.sha, four.sha);
	assert_string_equal(four.sha, again.sha);
	assert_float_equal(one.last_loss, four.last_loss, 1e-3);
}

static void shards_change_the_order_of_sums_only(void **state)
{
	test_each_device(shards_device);
}

static void threads_do_not_show_in_the_bits(void **state)
{
	struct run r = { .data = data, .dropout = 0.2f, .p = { .steps = 6, .shards = 2 } };
	char sha[65] = "";

	for (r.threads = 1; r.threads <= 3; r.threads++) {
		run_ok("cpu0", &r);
		if (*sha)
			assert_string_equal(sha, r.sha);
		memcpy(sha, r.sha, sizeof(sha));
	}
}

/* "vk0" or "vk0*3" */
static const char *times(const char *selector, unsigned int n)
{
	static char s[32];

	snprintf(s, sizeof(s), "%s*%u", selector, n);
	return n > 1 ? s : selector;
}

static void devices_device(struct tram_ctx *ctx, const char *selector)
{
	static const unsigned int counts[] = { 1, 2, 3, 8 };
	char sha[65] = "";

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct run r = { .data = data, .dropout = 0.2f,
				 .p = { .steps = 3, .batch = 8, .shards = 8, .clip = 1, .weight_decay = 0.1 } };

		run_ok(times(selector, counts[i]), &r);
		if (*sha && strcmp(sha, r.sha))
			fail_msg("%s: %u devices end in %s, one in %s", selector, counts[i], r.sha, sha);
		memcpy(sha, r.sha, sizeof(sha));
		if (fabs((double)r.peak / (double)r.predicted - 1) > 0.02)
			fail_msg("%s, %u devices: peak %llu, predicted %llu", selector, counts[i],
				 (unsigned long long)r.peak, (unsigned long long)r.predicted);
	}
}

static void the_number_of_devices_does_not_show_in_the_bits(void **state)
{
	test_each_device(devices_device);
}

/* A batch of 6 shards: the tree is uneven, and so are the devices' parts of it. */
static void uneven_device(struct tram_ctx *ctx, const char *selector)
{
	struct run one = { .data = data, .dropout = 0.1f, .p = { .steps = 4, .batch = 12, .shards = 6 } };
	struct run four = one;

	run_ok(selector, &one);
	run_ok(times(selector, 4), &four);
	assert_string_equal(one.sha, four.sha);
}

static void uneven_shares_do_not_show_in_the_bits(void **state)
{
	test_each_device(uneven_device);
}

static void moved_device(struct tram_ctx *ctx, const char *selector)
{
	const char *out = new_out();
	struct run whole = { .data = data, .dropout = 0.1f, .evaluate = true,
			     .p = { .steps = 9, .batch = 8, .shards = 4 } };
	struct run part = whole;

	run_ok(selector, &whole);
	part.p.out = out;
	part.p.resume = true;
	part.p.save_every = 1;
	part.stop_at = 3;
	run_ok(times(selector, 2), &part);
	part.stop_at = 6;
	run_ok(times(selector, 3), &part);
	part.stop_at = 0;
	run_ok(times(selector, 1), &part);
	assert_string_equal(whole.sha, part.sha);
}

static void a_run_goes_on_with_another_number_of_devices(void **state)
{
	test_each_device(moved_device);
}

/* One device lacks room for weights and moments; of two, each holds half of the moments. */
static void budget_device(struct tram_ctx *ctx, const char *selector)
{
	struct run one = { .data = data, .evaluate = true, .p = { .steps = 3, .batch = 8, .shards = 8 } };
	struct run two = one, small = one;

	run_ok(selector, &one);
	run_ok(times(selector, 2), &two);
	assert_string_equal(one.sha, two.sha);
	small.p.budget = one.peak;
	run_ok(selector, &small);
	assert_true(small.peak <= small.p.budget);
	small.p.budget = one.peak - 1;
	run(selector, &small);
	assert_int_equal(small.err, -ENOSPC);
	/* The first device holds the most: it evaluates too. Shards that would not fit elsewhere don't move. */
	two.p.budget = one.peak * 9 / 10;
	run_ok(times(selector, 2), &two);
	assert_string_equal(one.sha, two.sha);
	assert_true(two.peak <= 2 * two.p.budget);
	two.p.budget = one.peak / 8;
	run(times(selector, 2), &two);
	assert_int_equal(two.err, -ENOSPC);
}

static void a_budget_holds_for_every_device(void **state)
{
	test_each_device(budget_device);
}

static void devices_that_do_not_fit_are_refused(void **state)
{
	struct run r = { .data = data, .p = { .steps = 1, .batch = 8, .shards = 2 } };

	run("cpu0*3", &r);
	assert_int_equal(r.err, -EINVAL);
	assert_non_null(strstr(r.error, "--shards 3"));
	r.p.shards = 3;
	run("cpu0*3", &r);
	assert_int_equal(r.err, -EINVAL);
	assert_non_null(strstr(r.error, "the nearest that do are 2 and 4"));
	run("cpu0*0", &r);
	assert_int_equal(r.err, -EINVAL);
	run("cpu0*65", &r);
	assert_int_equal(r.err, -EINVAL);
	run("cpu0*", &r);
	assert_int_equal(r.err, -EINVAL);
	run("cpu0,nope", &r);
	assert_int_equal(r.err, -ENODEV);
	r.p.shards = 2;
	run("cpu0,vk0", &r);
	if (r.err != -ENODEV) {
		assert_int_equal(r.err, -EINVAL);
		assert_non_null(strstr(r.error, "numeric class"));
	}
}

static void seeds_show_in_the_bits(void **state)
{
	struct run a = { .data = data, .p = { .steps = 2, .seed = 1 } };
	struct run b = { .data = data, .p = { .steps = 2, .seed = 2 } };

	run_ok("cpu0", &a);
	run_ok("cpu0", &b);
	assert_string_not_equal(a.sha, b.sha);
}

/* --- checkpoints ------------------------------------------------------------------------ */

static void damage(const char *out, uint64_t step, const char *name, long keep)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/step-%08llu/%s", out, (unsigned long long)step, name);
	if (keep >= 0) {
		assert_int_equal(truncate(path, keep), 0);
	} else {
		FILE *f = fopen(path, "r+e");

		assert_non_null(f);
		fseek(f, -keep, SEEK_SET);
		fputc(fgetc(f) ^ 0x40, f);
		fclose(f);
	}
}

static void a_torn_checkpoint_is_passed_over(void **state)
{
	static const struct { const char *file; long keep; } tears[] = {
		{ "model.safetensors", 5000 }, { "optimizer.safetensors", -9000 },
		{ "state.json", 100 }, { "config.json", 0 },
	};
	struct run whole = { .data = data, .p = { .steps = 10 } };

	run_ok("cpu0", &whole);
	for (size_t i = 0; i < sizeof(tears) / sizeof(tears[0]); i++) {
		const char *out = new_out();
		struct run first = { .data = data, .stop_at = 8,
				     .p = { .steps = 10, .save_every = 4, .out = out } };
		struct run second = { .data = data,
				      .p = { .steps = 10, .out = out, .resume = true } };
		struct tram_ctx *ctx = test_ctx();
		char *path;

		run_ok("cpu0", &first);
		assert_int_equal(first.saves, 2);
		damage(out, 8, tears[i].file, tears[i].keep);
		ok(ctx, tram_checkpoint_find(ctx, out, &path));
		assert_non_null(strstr(path, "step-00000004"));
		tram_text_free(ctx, path);
		tram_ctx_destroy(&ctx);
		run_ok("cpu0", &second);
		assert_int_equal(second.steps, 6);
		assert_string_equal(second.sha, whole.sha);
	}
}

static void a_run_is_not_overwritten(void **state)
{
	const char *out = new_out();
	struct run a = { .data = data, .p = { .steps = 2, .out = out } }, b = a;

	run_ok("cpu0", &a);
	run("cpu0", &b);
	assert_int_equal(b.err, -EEXIST);
	assert_non_null(strstr(b.error, "--resume"));
}

static void a_resumed_run_must_be_the_run_it_was(void **state)
{
	const char *out = new_out();
	struct run a = { .data = data, .p = { .steps = 2, .out = out } };
	struct tram_ctx *ctx = test_ctx();
	const char *other = test_tokens(ctx, "other", 3000, V - 1);
	struct run b;

	tram_ctx_destroy(&ctx);
	run_ok("cpu0", &a);
	const struct { struct run r; const char *word; } cases[] = {
		{ { .data = data, .p = { .batch = 4 } }, "--batch" },
		{ { .data = data, .p = { .shards = 2 } }, "--shards" },
		{ { .data = data, .p = { .seed = 5 } }, "--seed" },
		{ { .data = data, .p = { .order = TRAM_ORDER_SEQUENTIAL } }, "--order" },
		{ { .data = data, .dropout = 0.5f }, "--dropout" },
		{ { .data = other }, "--data" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		b = cases[i].r;
		b.p.steps = 4;
		b.p.out = out;
		b.p.resume = true;
		run("cpu0", &b);
		assert_int_equal(b.err, -EINVAL);
		if (!strstr(b.error, cases[i].word))
			fail_msg("'%s' doesn't name %s", b.error, cases[i].word);
	}
}

static void resuming_before_the_first_checkpoint_starts_anew(void **state)
{
	struct run a = { .data = data, .p = { .steps = 3 } };
	struct run b = { .data = data, .p = { .steps = 3, .out = new_out(), .resume = true } };

	run_ok("cpu0", &a);
	run_ok("cpu0", &b);
	assert_string_equal(a.sha, b.sha);
}

/* --- the gate ------------------------------------------------------------------------------- */

static void skip_device(struct tram_ctx *ctx, const char *selector)
{
	struct run one = { .data = data, .p = { .steps = 1, .lr = 1e30, .schedule = 0 } };
	struct run many = { .data = data, .p = { .steps = 5, .lr = 1e30 } };

	/* The first update throws the weights out of range; what follows is not finite. */
	run_ok(selector, &one);
	run_ok(selector, &many);
	assert_int_equal(many.steps + many.skips, 5);
	assert_true(many.skips >= 4);
	assert_string_equal(one.sha, many.sha);
}

static void a_non_finite_step_leaves_no_trace(void **state)
{
	test_each_device(skip_device);
}

static void a_spike_rolls_back(void **state)
{
	struct run r = { .data = data, .p = { .steps = 40, .lr = 0.5, .spike_factor = 1.15 } };

	run_ok("cpu0", &r);
	assert_true(r.rollbacks > 0);
	assert_int_equal(r.steps + r.rollbacks + r.skips, 40);
	/* Left alone, this learning rate ruins the model. */
	assert_true(isfinite(r.last_loss) && r.last_loss < 1.15 * log(V));
}

/* --- memory and time -------------------------------------------------------------------------- */

static void memory_device(struct tram_ctx *ctx, const char *selector)
{
	struct run r = { .data = data, .evaluate = true, .p = { .steps = 3 } };
	struct run tight = { .data = data, .p = { .steps = 3, .budget = 700000 } };

	run_ok(selector, &r);
	if (fabs((double)r.peak - (double)r.predicted) > 0.02 * (double)r.peak)
		fail_msg("%s: %llu bytes predicted, %llu counted", selector,
			 (unsigned long long)r.predicted, (unsigned long long)r.peak);
	run(selector, &tight);
	assert_int_equal(tight.err, -ENOSPC);
	if (!strstr(tight.error, "--batch"))
		fail_msg("%s", tight.error);
}

static void memory_is_what_was_planned(void **state)
{
	test_each_device(memory_device);
}

static int make_data(void **state)
{
	struct tram_ctx *ctx;

	if (data)
		return 0;
	ctx = test_ctx();
	data = strdup(test_tokens(ctx, "data", 3000, V));
	tram_ctx_destroy(&ctx);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_resumed_run_ends_in_the_same_bits),
		cmocka_unit_test(evaluation_leaves_no_trace_in_the_weights),
		cmocka_unit_test(shards_change_the_order_of_sums_only),
		cmocka_unit_test(threads_do_not_show_in_the_bits),
		cmocka_unit_test(seeds_show_in_the_bits),
		cmocka_unit_test(the_number_of_devices_does_not_show_in_the_bits),
		cmocka_unit_test(uneven_shares_do_not_show_in_the_bits),
		cmocka_unit_test(a_run_goes_on_with_another_number_of_devices),
		cmocka_unit_test(a_budget_holds_for_every_device),
		cmocka_unit_test(devices_that_do_not_fit_are_refused),
		cmocka_unit_test(a_torn_checkpoint_is_passed_over),
		cmocka_unit_test(a_run_is_not_overwritten),
		cmocka_unit_test(a_resumed_run_must_be_the_run_it_was),
		cmocka_unit_test(resuming_before_the_first_checkpoint_starts_anew),
		cmocka_unit_test(a_non_finite_step_leaves_no_trace),
		cmocka_unit_test(a_spike_rolls_back),
		cmocka_unit_test(memory_is_what_was_planned),
	};

	/* What a family's own ops and tensors could break. */
	const struct CMUnitTest llama_tests[] = {
		cmocka_unit_test(a_resumed_run_ends_in_the_same_bits),
		cmocka_unit_test(evaluation_leaves_no_trace_in_the_weights),
		cmocka_unit_test(shards_change_the_order_of_sums_only),
		cmocka_unit_test(threads_do_not_show_in_the_bits),
		cmocka_unit_test(the_number_of_devices_does_not_show_in_the_bits),
		cmocka_unit_test(a_run_goes_on_with_another_number_of_devices),
		cmocka_unit_test(a_non_finite_step_leaves_no_trace),
		cmocka_unit_test(memory_is_what_was_planned),
	};
	int failed = cmocka_run_group_tests_name("gpt2", tests, make_data, NULL);

	llama = true;
	return failed + cmocka_run_group_tests_name("llama", llama_tests, make_data, NULL);
}
