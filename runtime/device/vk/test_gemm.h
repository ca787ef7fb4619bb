/* SPDX-License-Identifier: MIT */
/*
 * For matmul_test.c and attention_test.c: device TRAM_TEST_DEVICE (vk0) as it is, and once more with
 * the generic variants; op cases against the oracle; single graphs for their bits.
 */
#ifndef TRAM_DEVICE_VK_TEST_GEMM_H
#define TRAM_DEVICE_VK_TEST_GEMM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <tram/ops.h>

#include "device/device_case.h"
#include "device/vk/vk.h"
#include "ops/op_cases.h"

struct gemm_fixture {
	struct tram_ctx *ctx;
	struct tram_device *dev;
};

static inline int gemm_open(void **state, bool generic, bool *own_variant)
{
	struct gemm_fixture *fx = calloc(1, sizeof(*fx));
	const char *sel = getenv("TRAM_TEST_DEVICE");
	int err;

	assert_int_equal(tram_ctx_create(NULL, &fx->ctx), 0);
	setenv("TRAM_VK_VALIDATION", "1", 1);
	err = tram_device_open(fx->ctx, sel ? sel : "vk0", &fx->dev);
	if (err) {
		unsetenv("TRAM_VK_VALIDATION");
		err = tram_device_open(fx->ctx, sel ? sel : "vk0", &fx->dev);
	}
	if (err) {
		print_message("skip: %s\n", tram_error(fx->ctx));
		tram_ctx_destroy(&fx->ctx);
		free(fx);
		exit(77);
	}
	*own_variant = tram_vk_of(fx->dev)->class.lavapipe;
	if (generic)
		tram_vk_of(fx->dev)->class.lavapipe = false;
	*state = fx;
	return 0;
}

static bool gemm_own_variant;	/* the device has one besides the generic one */

static inline int gemm_setup(void **state)
{
	return gemm_open(state, false, &gemm_own_variant);
}

static inline int gemm_setup_generic(void **state)
{
	return gemm_open(state, true, &gemm_own_variant);
}

static inline int gemm_teardown(void **state)
{
	struct gemm_fixture *fx = *state;

	assert_int_equal(tram_vk_validation_errors(fx->dev), 0);
	tram_device_close(&fx->dev);
	tram_ctx_destroy(&fx->ctx);
	free(fx);
	return 0;
}

/* The device's results of @c are what the oracle says. */
static inline void gemm_check(struct gemm_fixture *fx, const struct tram_op_case *c)
{
	struct tram_case_run *run;

	if (tram_case_open(fx->ctx, c, &run))
		fail_msg("%s: %s", c->name, tram_error(fx->ctx));
	if (tram_device_case_run(fx->dev, run->kernels, run->bindings, run->n_bindings, &run->step) ||
	    tram_case_check(run))
		fail_msg("%s: %s", c->name, tram_error(fx->ctx));
	tram_case_close(&run);
}

/* All cases of the table whose name begins with @prefix. */
static inline void gemm_check_all(struct gemm_fixture *fx, const char *prefix)
{
	size_t n = 0;

	for (size_t i = 0; i < tram_n_op_cases; i++) {
		if (strncmp(tram_op_cases[i].name, prefix, strlen(prefix)))
			continue;
		gemm_check(fx, &tram_op_cases[i]);
		n++;
	}
	assert_true(n > 0);
}

static inline double *gemm_values(size_t n, uint32_t seed)
{
	double *x = malloc(n * sizeof(*x));

	assert_non_null(x);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = (double)((float)(seed >> 8) * 0x1p-23f - 1.0f);
	}
	return x;
}

static inline void gemm_run(struct gemm_fixture *fx, struct tram_graph *g,
			    const struct tram_binding *bindings, size_t n,
			    const struct tram_step *step)
{
	assert_int_equal(tram_graph_status(g), 0);
	if (tram_device_case_run(fx->dev, g, bindings, n, step))
		fail_msg("%s", tram_error(fx->ctx));
}

#endif
