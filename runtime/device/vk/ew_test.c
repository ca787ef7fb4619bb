/* SPDX-License-Identifier: MIT */
/* Elementwise kernels against the oracle, fused and alone, and the accuracy of their functions. */
#include "device/vk/test_trial.h"

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
	{ TRAM_EW_DROPOUT, 1, -3, 3 }, { TRAM_EW_SILU, 1, -12, 12 }, { TRAM_EW_SILU_BWD, 2, -12, 12 },
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

#define TESTS \
	cmocka_unit_test(every_instruction_is_the_oracles), \
	cmocka_unit_test(i2f_converts), \
	cmocka_unit_test(shapes_broadcast), \
	cmocka_unit_test(fusion_keeps_the_bits), \
	cmocka_unit_test(functions_are_accurate_to_the_ulp), \
	cmocka_unit_test(functions_saturate)

int main(void)
{
	const struct CMUnitTest as_it_is[] = { TESTS };
	const struct CMUnitTest as_a_gpu[] = { TESTS };
	int failed = cmocka_run_group_tests_name("ew", as_it_is, setup_plain, teardown);

	return failed + cmocka_run_group_tests_name("ew as on a GPU", as_a_gpu, setup_gpu, teardown);
}
