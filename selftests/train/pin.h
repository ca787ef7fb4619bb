/* SPDX-License-Identifier: MIT */
/*
 * Twenty training steps of a tiny model follow PyTorch's (double precision)
 * number by number: losses, gradient norms, and the weights at the end. See
 * pin_gpt2.py and pin_llama.py, which made the numbers.
 */
#ifndef TRAM_SELFTEST_PIN_H
#define TRAM_SELFTEST_PIN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tram/train.h>

#include "selftest.h"

struct pinned_sum { const char *name; double sum; };

struct pin {
	const char *config;		/* folder with config.json */
	const double *loss, *norm;	/* [STEPS] */
	const struct pinned_sum *sums;
	size_t n_sums;
};

enum { V = 61, T = 16, D = 32, L = 2, H = 4, B = 4, STEPS = 20 };

static double losses[STEPS], norms[STEPS];

static int on_event(void *arg, const struct tram_train_event *ev)
{
	if (ev->kind == TRAM_EVENT_STEP) {
		losses[ev->step - 1] = ev->loss;
		norms[ev->step - 1] = ev->grad_norm;
	}
	return 0;
}

static void check_sums(const struct tram_model *m, const float *flat, const struct pin *pin)
{
	struct tram_tensor_info t;

	for (size_t i = 0; i < pin->n_sums; i++) {
		uint32_t k = 0;
		double sum = 0;
		uint64_t n = 1;

		while (tram_model_tensor(m, k, &t) && strcmp(t.name, pin->sums[i].name))
			k++;
		assert_true(tram_model_tensor(m, k, &t));
		for (uint32_t d = 0; d < t.shape.rank; d++)
			n *= t.shape.dim[d];
		for (uint64_t j = 0; j < n; j++)
			sum += flat[t.first + j];
		assert_float_equal(sum, pin->sums[i].sum, 2e-3 * sqrt((double)n));
	}
}

static void follow_pytorch(struct tram_ctx *ctx, const char *selector, const struct pin *pin)
{
	const struct tram_train_params p = {
		.steps = STEPS, .batch = B, .seq = T, .lr = 1e-2, .warmup = 4, .beta1 = 0.9,
		.beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 0.5,
		.order = TRAM_ORDER_SEQUENTIAL, .init = test_path("init.safetensors"),
	};
	const char *data = test_tokens(ctx, "pin-data", STEPS * B * T + 1, V);
	struct tram_trainer *trainer;
	struct tram_model_info info;
	struct tram_stream *stream;
	struct tram_device *dev;
	struct tram_model *m;
	float *flat;

	ok(ctx, tram_model_open(ctx, pin->config, 0, 0, &m));
	tram_model_info(m, &info);
	flat = malloc(info.flat * sizeof(*flat));
	assert_non_null(flat);
	test_fill(m, flat);
	ok(ctx, tram_model_save(m, flat, p.init));
	ok(ctx, tram_stream_open(ctx, data, NULL, &stream));
	ok(ctx, tram_device_open(ctx, selector, &dev));
	ok(ctx, tram_trainer_create(&dev, 1, m, stream, NULL, NULL, &p, &trainer));
	ok(ctx, tram_trainer_run(trainer, on_event, NULL));
	for (int i = 0; i < STEPS; i++) {
		if (fabs(losses[i] - pin->loss[i]) > 2e-4 ||
		    fabs(norms[i] - pin->norm[i]) > 2e-3 * pin->norm[i])
			fail_msg("%s, %s: step %d: loss %.7f, PyTorch %.7f; norm %.7f, PyTorch %.7f",
				 pin->config, selector, i + 1, losses[i], pin->loss[i], norms[i],
				 pin->norm[i]);
	}
	ok(ctx, tram_trainer_weights(trainer, flat));
	check_sums(m, flat, pin);
	tram_trainer_destroy(&trainer);
	tram_device_close(&dev);
	tram_stream_close(&stream);
	free(flat);
	tram_model_close(&m);
}

#endif
