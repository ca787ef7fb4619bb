/* SPDX-License-Identifier: MIT */
/* GPT-2 follows PyTorch: see pin.h. */
#include "pin.h"
#include "pinned_gpt2.h"

static void follows_pytorch(struct tram_ctx *ctx, const char *selector)
{
	const struct pin pin = { test_config("pin", V, T, D, L, H), pinned_loss, pinned_norm,
				 pinned_sums, sizeof(pinned_sums) / sizeof(pinned_sums[0]) };

	follow_pytorch(ctx, selector, &pin);
}

static void training_follows_pytorch(void **state)
{
	test_each_device(follows_pytorch);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(training_follows_pytorch) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
