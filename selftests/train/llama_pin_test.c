/* SPDX-License-Identifier: MIT */
/* Llamas follow PyTorch: see pin.h. */
#include "pin.h"
#include "pinned_llama.h"

static const char *config(const char *name, uint32_t kv_heads, uint32_t head_dim, bool tied)
{
	char text[500];

	snprintf(text, sizeof(text), "{\"model_type\": \"llama\", \"vocab_size\": %d, "
		 "\"max_position_embeddings\": %d, \"hidden_size\": %d, \"num_hidden_layers\": %d, "
		 "\"num_attention_heads\": %d, \"num_key_value_heads\": %u, \"head_dim\": %u, "
		 "\"intermediate_size\": 88, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, "
		 "\"tie_word_embeddings\": %s}", V, T, D, L, H, kv_heads, head_dim,
		 tied ? "true" : "false");
	return test_config_text(name, text);
}

static void follows_pytorch(struct tram_ctx *ctx, const char *selector)
{
	const struct pin own_head = { config("own-head", 2, 8, false), pinned_loss, pinned_norm,
				      pinned_sums, sizeof(pinned_sums) / sizeof(pinned_sums[0]) };
	const struct pin tied = { config("tied", 1, 12, true), pinned_loss_tied, pinned_norm_tied,
				  pinned_sums_tied,
				  sizeof(pinned_sums_tied) / sizeof(pinned_sums_tied[0]) };

	follow_pytorch(ctx, selector, &own_head);
	follow_pytorch(ctx, selector, &tied);
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
