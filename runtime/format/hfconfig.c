/* SPDX-License-Identifier: MIT */
/*
 * config.json of GPT-2: tram_gpt2_config_fields() goes through the keys, the bounds are in
 * tram_gpt2_config_check() so that a struct filled by hand meets the same
 * ones. The tensors that a config demands are listed at the end.
 */
#include "format/hfconfig.h"
#include "format/hfread.h"
#include "format/safetensors.h"

#include <stdio.h>

struct activation { const char *name; enum tram_gpt2_activation a; };
static const struct activation activations[4];

const char *tram_gpt2_activation_name(enum tram_gpt2_activation a)
{
	size_t i;

	for (i = 0; i < TRAM_ARRAY_SIZE(activations); i++)
		if (activations[i].a == a)
			return activations[i].name;
	return "unknown";
}

int tram_gpt2_config_check(struct tram_ctx *ctx, const char *what,
			   const struct tram_gpt2_config *c)
{
	int r;

	r = tram_hf_check_u32(ctx, what, "vocab_size", c->vocab_size, TRAM_HF_MAX_VOCAB);
	r = r ? r : tram_hf_check_u32(ctx, what, "n_positions", c->n_positions, TRAM_HF_MAX_POSITIONS);
	r = r ? r : tram_hf_check_u32(ctx, what, "n_embd", c->n_embd, TRAM_HF_MAX_WIDTH);
	r = r ? r : tram_hf_check_u32(ctx, what, "n_layer", c->n_layer, TRAM_HF_MAX_LAYERS);
	r = r ? r : tram_hf_check_u32(ctx, what, "n_head", c->n_head, TRAM_HF_MAX_HEADS);
	r = r ? r : tram_hf_check_u32(ctx, what, "n_inner", c->n_inner, TRAM_HF_MAX_INNER);
	r = r ? r : tram_hf_check_drop(ctx, what, "embd_pdrop", c->embd_pdrop);
	r = r ? r : tram_hf_check_drop(ctx, what, "resid_pdrop", c->resid_pdrop);
	r = r ? r : tram_hf_check_drop(ctx, what, "attn_pdrop", c->attn_pdrop);
	if (r)
		return r;
	if (c->n_embd % c->n_head)
		return tram_fail(ctx, -EINVAL, "%s: n_head: %u, must divide n_embd (%u)", what,
				 c->n_head, c->n_embd);
	if (!(c->layer_norm_epsilon >= 1e-12f && c->layer_norm_epsilon <= 1.0f))
		return tram_fail(ctx, -EINVAL, "%s: layer_norm_epsilon: %g, limit 1e-12 to 1", what,
				 (double)c->layer_norm_epsilon);
	if ((unsigned int)c->activation > TRAM_GPT2_RELU)
		return tram_fail(ctx, -EINVAL, "%s: activation: number %d is not one of the list",
				 what, (int)c->activation);
	return 0;
}

static int read_activation(const struct tram_json *j, enum tram_gpt2_activation *out)
{
	const char *s = "gelu_new";
	size_t i;
	int r = tram_json_str(j, "", j->root, "activation_function", false, &s);

	if (r < 0)
		return r;
	for (i = 0; i < TRAM_ARRAY_SIZE(activations); i++) {
		if (!strcmp(s, activations[i].name)) {
			*out = activations[i].a;
			return 0;
		}
	}
	return tram_fail(j->ctx, -ENOTSUP,
			 "%s: activation_function: \"%.32s\", supported are gelu_new gelu_pytorch_tanh gelu relu",
			 j->file, s);
}

/* Options that change the arithmetic: only GPT-2's own value is implemented. */
static int refuse_options(const struct tram_json *j)
{
	static const struct { const char *key; bool only; } options[] = {
		{ "scale_attn_weights", true },
		{ "scale_attn_by_inverse_layer_idx", false },
		{ "reorder_and_upcast_attn", false },
		{ "add_cross_attention", false },
	};
	size_t i;
	bool b;
	int r;

	for (i = 0; i < TRAM_ARRAY_SIZE(options); i++) {
		r = tram_json_bool(j, "", j->root, options[i].key, false, &b);
		if (r < 0)
			return r;
		if (!r && b != options[i].only)
			return tram_fail(j->ctx, -ENOTSUP, "%s: %s: %s, only %s is supported",
					 j->file, options[i].key, b ? "true" : "false",
					 options[i].only ? "true" : "false");
	}
	return 0;
}

int tram_gpt2_config_fields(const struct tram_json *j, struct tram_gpt2_config *c)
{
	const char *type;
	int r;

	*c = (struct tram_gpt2_config){
		.layer_norm_epsilon = 1e-5f, .tie_word_embeddings = true,
		.embd_pdrop = 0.1f, .resid_pdrop = 0.1f, .attn_pdrop = 0.1f,
	};
	r = tram_json_str(j, "", j->root, "model_type", true, &type);
	if (r)
		return r;
	if (strcmp(type, "gpt2"))
		return tram_fail(j->ctx, -ENOTSUP, "%s: model_type: \"%.32s\", supported is gpt2",
				 j->file, type);
	r = tram_hf_read_u32(j, "vocab_size", true, TRAM_HF_MAX_VOCAB, &c->vocab_size);
	r = r ? r : tram_hf_read_u32(j, "n_positions", true, TRAM_HF_MAX_POSITIONS, &c->n_positions);
	r = r ? r : tram_hf_read_u32(j, "n_embd", true, TRAM_HF_MAX_WIDTH, &c->n_embd);
	r = r ? r : tram_hf_read_u32(j, "n_layer", true, TRAM_HF_MAX_LAYERS, &c->n_layer);
	r = r ? r : tram_hf_read_u32(j, "n_head", true, TRAM_HF_MAX_HEADS, &c->n_head);
	r = r ? r : tram_hf_read_u32(j, "n_inner", false, TRAM_HF_MAX_INNER, &c->n_inner);
	r = r ? r : tram_hf_read_f32(j, "layer_norm_epsilon", &c->layer_norm_epsilon);
	r = r ? r : tram_hf_read_f32(j, "embd_pdrop", &c->embd_pdrop);
	r = r ? r : tram_hf_read_f32(j, "resid_pdrop", &c->resid_pdrop);
	r = r ? r : tram_hf_read_f32(j, "attn_pdrop", &c->attn_pdrop);
	r = r ? r : tram_hf_read_id(j, "bos_token_id", &c->bos_token_id);
	r = r ? r : tram_hf_read_id(j, "eos_token_id", &c->eos_token_id);
	if (r)
		return r;
	r = tram_json_bool(j, "", j->root, "tie_word_embeddings", false, &c->tie_word_embeddings);
	if (r < 0)
		return r;
	r = read_activation(j, &c->activation);
	r = r ? r : refuse_options(j);
	if (!c->n_inner)
		c->n_inner = 4 * c->n_embd;
	return r ? r : tram_gpt2_config_check(j->ctx, j->file, c);
}

static int read_fields(const struct tram_json *j, void *cfg)
{
	return tram_gpt2_config_fields(j, cfg);
}

int tram_gpt2_config_read_source(struct tram_ctx *ctx, const struct tram_source *src,
				 struct tram_gpt2_config *cfg)
{
	return tram_hf_read_source(ctx, src, read_fields, cfg, sizeof(*cfg));
}

int tram_gpt2_config_read(struct tram_ctx *ctx, const char *path, struct tram_gpt2_config *cfg)
{
	return tram_hf_read_file(ctx, path, read_fields, cfg, sizeof(*cfg));
}

int tram_gpt2_config_write(struct tram_ctx *ctx, const char *path,
			   const struct tram_gpt2_config *c)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	int r;

	r = tram_gpt2_config_check(ctx, path, c);
	if (r)
		return r;
	tram_sbuf_addf(&sb, "{\n  \"architectures\": [\"GPT2LMHeadModel\"],\n"
		       "  \"model_type\": \"gpt2\",\n  \"activation_function\": \"%s\",\n",
		       tram_gpt2_activation_name(c->activation));
	tram_sbuf_addf(&sb, "  \"vocab_size\": %u,\n  \"n_positions\": %u,\n  \"n_embd\": %u,\n"
		       "  \"n_layer\": %u,\n  \"n_head\": %u,\n  \"n_inner\": %u,\n",
		       c->vocab_size, c->n_positions, c->n_embd, c->n_layer, c->n_head, c->n_inner);
	tram_hf_add_f32(&sb, "layer_norm_epsilon", c->layer_norm_epsilon);
	tram_hf_add_f32(&sb, "embd_pdrop", c->embd_pdrop);
	tram_hf_add_f32(&sb, "resid_pdrop", c->resid_pdrop);
	tram_hf_add_f32(&sb, "attn_pdrop", c->attn_pdrop);
	tram_hf_add_id(&sb, "bos_token_id", c->bos_token_id);
	tram_hf_add_id(&sb, "eos_token_id", c->eos_token_id);
	tram_sbuf_addf(&sb, "  \"scale_attn_weights\": true,\n  \"tie_word_embeddings\": %s,\n"
		       "  \"torch_dtype\": \"float32\"\n}\n",
		       c->tie_word_embeddings ? "true" : "false");
	r = sb.err ? tram_fail_in(ctx, sb.err, "%s", path) : tram_file_store(ctx, path, sb.s, sb.n);
	tram_sbuf_free(&sb);
	return r;
}

/* The tensors of one block, [in, out]; a shape names its config fields. */
enum dim { NONE, EMBD, EMBD3, INNER };

static const struct { const char *name; enum dim a, b; } block[] = {
	{ "ln_1.weight", EMBD, NONE },
	{ "ln_1.bias", EMBD, NONE },
	{ "attn.c_attn.weight", EMBD, EMBD3 },
	{ "attn.c_attn.bias", EMBD3, NONE },
	{ "attn.c_proj.weight", EMBD, EMBD },
	{ "attn.c_proj.bias", EMBD, NONE },
	{ "ln_2.weight", EMBD, NONE },
	{ "ln_2.bias", EMBD, NONE },
	{ "mlp.c_fc.weight", EMBD, INNER },
	{ "mlp.c_fc.bias", INNER, NONE },
	{ "mlp.c_proj.weight", INNER, EMBD },
	{ "mlp.c_proj.bias", EMBD, NONE },
};

#define BLOCK TRAM_ARRAY_SIZE(block)

static uint64_t dim_of(const struct tram_gpt2_config *c, enum dim d)
{
	return d == EMBD ? c->n_embd : d == EMBD3 ? 3 * (uint64_t)c->n_embd : c->n_inner;
}

size_t tram_gpt2_tensor_count(const struct tram_gpt2_config *c)
{
	return 4 + BLOCK * c->n_layer + (c->tie_word_embeddings ? 0 : 1);
}

static void set(struct tram_gpt2_tensor *t, const char *name, uint64_t a, uint64_t b)
{
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->ndim = b ? 2 : 1;
	t->shape[0] = a;
	t->shape[1] = b;
}

void tram_gpt2_tensor_at(const struct tram_gpt2_config *c, size_t i, struct tram_gpt2_tensor *t)
{
	size_t tail = 2 + BLOCK * c->n_layer, k;

	if (i == 0) {
		set(t, "wte.weight", c->vocab_size, c->n_embd);
	} else if (i == 1) {
		set(t, "wpe.weight", c->n_positions, c->n_embd);
	} else if (i == tail) {
		set(t, "ln_f.weight", c->n_embd, 0);
	} else if (i == tail + 1) {
		set(t, "ln_f.bias", c->n_embd, 0);
	} else if (i == tail + 2) {
		set(t, "lm_head.weight", c->vocab_size, c->n_embd);
	} else {
		k = (i - 2) % BLOCK;
		snprintf(t->name, sizeof(t->name), "h.%zu.%s", (i - 2) / BLOCK, block[k].name);
		t->ndim = block[k].b == NONE ? 1 : 2;
		t->shape[0] = dim_of(c, block[k].a);
		t->shape[1] = block[k].b == NONE ? 0 : dim_of(c, block[k].b);
	}
}

uint64_t tram_gpt2_params(const struct tram_gpt2_config *c)
{
	struct tram_gpt2_tensor t;
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < tram_gpt2_tensor_count(c); i++) {
		tram_gpt2_tensor_at(c, i, &t);
		n += t.shape[0] * (t.ndim == 2 ? t.shape[1] : 1);
	}
	return n;
}

void tram_gpt2_hf_name(const struct tram_gpt2_tensor *t, char name[80])
{
	snprintf(name, 80, "%s%s", strcmp(t->name, "lm_head.weight") ? "transformer." : "",
		 t->name);
}

const struct tram_st_tensor *tram_gpt2_find(const struct tram_safetensors *st, const char *name)
{
	const struct tram_st_tensor *t = tram_safetensors_find(st, name);
	char prefixed[80];

	if (t)
		return t;
	snprintf(prefixed, sizeof(prefixed), "transformer.%s", name);
	return tram_safetensors_find(st, prefixed);
}

static const struct activation activations[] = {
	{ "gelu_new", TRAM_GPT2_GELU_TANH },
	{ "gelu_pytorch_tanh", TRAM_GPT2_GELU_TANH },
	{ "gelu", TRAM_GPT2_GELU_ERF },
	{ "relu", TRAM_GPT2_RELU },
};
