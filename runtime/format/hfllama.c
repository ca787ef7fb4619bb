/* SPDX-License-Identifier: MIT */
/*
 * config.json of Llama: what is read, what is refused because it changes the
 * arithmetic, the bounds of both, and the tensors that a config demands.
 */
#include "format/hfllama.h"

#include <stdio.h>

#include "format/hfread.h"
#include "format/safetensors.h"

int tram_llama_config_check(struct tram_ctx *ctx, const char *what,
			    const struct tram_llama_config *c)
{
	const struct { const char *field; uint32_t value, max; } n[] = {
		{ "vocab_size", c->vocab_size, TRAM_HF_MAX_VOCAB },
		{ "max_position_embeddings", c->max_position_embeddings, TRAM_HF_MAX_POSITIONS },
		{ "hidden_size", c->hidden_size, TRAM_HF_MAX_WIDTH },
		{ "intermediate_size", c->intermediate_size, TRAM_HF_MAX_INNER },
		{ "num_hidden_layers", c->num_hidden_layers, TRAM_HF_MAX_LAYERS },
		{ "num_attention_heads", c->num_attention_heads, TRAM_HF_MAX_HEADS },
		{ "num_key_value_heads", c->num_key_value_heads, TRAM_HF_MAX_HEADS },
		{ "head_dim", c->head_dim, 1024 },
	};
	int r = tram_hf_check_drop(ctx, what, "resid_pdrop", c->resid_pdrop);

	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(n); i++)
		r = tram_hf_check_u32(ctx, what, n[i].field, n[i].value, n[i].max);
	if (r)
		return r;
	if (c->num_attention_heads % c->num_key_value_heads)
		return tram_fail(ctx, -EINVAL, "%s: num_key_value_heads: %u, must divide "
				 "num_attention_heads (%u)", what, c->num_key_value_heads,
				 c->num_attention_heads);
	if (c->head_dim % 2)
		return tram_fail(ctx, -EINVAL, "%s: head_dim: %u, must be even: elements turn in pairs",
				 what, c->head_dim);
	if (!(c->rms_norm_eps >= 1e-12f && c->rms_norm_eps <= 1.0f))
		return tram_fail(ctx, -EINVAL, "%s: rms_norm_eps: %g, limit 1e-12 to 1", what,
				 (double)c->rms_norm_eps);
	if (!(c->rope_theta >= 1 && c->rope_theta <= 1e12f))
		return tram_fail(ctx, -EINVAL, "%s: rope_theta: %g, limit 1 to 1e12", what,
				 (double)c->rope_theta);
	return 0;
}

/* --- reading ------------------------------------------------------------------------- */

static int refuse(const struct tram_json *j, const char *field, yyjson_val *v, const char *only)
{
	char text[48];

	return tram_fail(j->ctx, -ENOTSUP, "%s: %s: %s, only %s is supported; use a model without it",
			 j->file, field, tram_json_show(v, text), only);
}

/*
 * Positions as they are: "rope_scaling" (and since transformers 5 "rope_parameters", which then holds
 * rope_theta) may be there, but only with the type "default".
 */
static int read_rope(const struct tram_json *j, const char *field, float *theta)
{
	static const char *const type_keys[] = { "rope_type", "type" };
	yyjson_val *o = yyjson_obj_get(j->root, field), *type = NULL;
	double x;
	int r;

	if (!o || yyjson_is_null(o))
		return 0;
	if (!yyjson_is_obj(o))
		return refuse(j, field, o, "null");
	for (size_t i = 0; !type && i < TRAM_ARRAY_SIZE(type_keys); i++)
		type = yyjson_obj_get(o, type_keys[i]);
	if (type && !yyjson_equals_str(type, "default")) {
		char name[64];

		snprintf(name, sizeof(name), "%s.rope_type", field);
		return refuse(j, name, type, "\"default\"");
	}
	if (!type && yyjson_obj_get(o, "factor"))
		return refuse(j, field, o, "null");
	r = tram_json_f64(j, field, o, "rope_theta", false, 1, 1e12, &x);
	if (!r)
		*theta = (float)x;
	return r < 0 ? r : 0;
}

static int refuse_options(const struct tram_json *j)
{
	static const char *const biases[] = { "attention_bias", "mlp_bias" };
	yyjson_val *v = yyjson_obj_get(j->root, "quantization_config");
	bool b = false;
	int r;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(biases); i++) {
		r = tram_json_bool(j, "", j->root, biases[i], false, &b);
		if (r < 0)
			return r;
		if (b)
			return refuse(j, biases[i], yyjson_obj_get(j->root, biases[i]), "false");
	}
	if (v && !yyjson_is_null(v))
		return refuse(j, "quantization_config", v, "null");
	v = yyjson_obj_get(j->root, "hidden_act");
	if (v && !yyjson_is_null(v) && !yyjson_equals_str(v, "silu"))
		return refuse(j, "hidden_act", v, "\"silu\"");
	v = yyjson_obj_get(j->root, "partial_rotary_factor");
	if (v && !yyjson_is_null(v) && !(yyjson_is_num(v) && yyjson_get_num(v) == 1))
		return refuse(j, "partial_rotary_factor", v, "1");
	return 0;
}

int tram_llama_config_fields(const struct tram_json *j, struct tram_llama_config *c)
{
	const struct { const char *key; bool need; uint32_t max, *out; } n[] = {
		{ "vocab_size", true, TRAM_HF_MAX_VOCAB, &c->vocab_size },
		{ "max_position_embeddings", false, TRAM_HF_MAX_POSITIONS,
		  &c->max_position_embeddings },
		{ "hidden_size", true, TRAM_HF_MAX_WIDTH, &c->hidden_size },
		{ "intermediate_size", true, TRAM_HF_MAX_INNER, &c->intermediate_size },
		{ "num_hidden_layers", true, TRAM_HF_MAX_LAYERS, &c->num_hidden_layers },
		{ "num_attention_heads", true, TRAM_HF_MAX_HEADS, &c->num_attention_heads },
		{ "num_key_value_heads", false, TRAM_HF_MAX_HEADS, &c->num_key_value_heads },
		{ "head_dim", false, 1024, &c->head_dim },
	};
	const char *type;
	int r;

	/* Where a file is silent: transformers' LlamaConfig. */
	*c = (struct tram_llama_config){
		.max_position_embeddings = 2048, .rms_norm_eps = 1e-6f, .rope_theta = 10000,
		.bos_token_id = -1, .eos_token_id = -1,
	};
	r = tram_json_str(j, "", j->root, "model_type", true, &type);
	if (r)
		return r;
	if (strcmp(type, "llama"))
		return tram_fail(j->ctx, -ENOTSUP, "%s: model_type: \"%.32s\", supported is llama",
				 j->file, type);
	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(n); i++)
		r = tram_hf_read_u32(j, n[i].key, n[i].need, n[i].max, n[i].out);
	r = r ? r : tram_hf_read_f32(j, "rms_norm_eps", &c->rms_norm_eps);
	r = r ? r : tram_hf_read_f32(j, "rope_theta", &c->rope_theta);
	r = r ? r : tram_hf_read_f32(j, "resid_pdrop", &c->resid_pdrop);
	r = r ? r : tram_hf_read_id(j, "bos_token_id", &c->bos_token_id);
	r = r ? r : tram_hf_read_id(j, "eos_token_id", &c->eos_token_id);
	r = r ? r : read_rope(j, "rope_scaling", &c->rope_theta);
	r = r ? r : read_rope(j, "rope_parameters", &c->rope_theta);
	r = r ? r : refuse_options(j);
	if (r)
		return r;
	r = tram_json_bool(j, "", j->root, "tie_word_embeddings", false, &c->tie_word_embeddings);
	if (r < 0)
		return r;
	if (!c->num_key_value_heads)
		c->num_key_value_heads = c->num_attention_heads;
	if (!c->head_dim && c->hidden_size % c->num_attention_heads)
		return tram_fail(j->ctx, -EINVAL, "%s: num_attention_heads: %u, must divide hidden_size "
				 "(%u) where head_dim is not given", j->file, c->num_attention_heads,
				 c->hidden_size);
	if (!c->head_dim)
		c->head_dim = c->hidden_size / c->num_attention_heads;
	return tram_llama_config_check(j->ctx, j->file, c);
}

/* --- writing -------------------------------------------------------------------------- */

int tram_llama_config_write(struct tram_ctx *ctx, const char *path,
			    const struct tram_llama_config *c)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	int r = tram_llama_config_check(ctx, path, c);

	if (r)
		return r;
	tram_sbuf_adds(&sb, "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n"
		       "  \"model_type\": \"llama\",\n  \"hidden_act\": \"silu\",\n");
	tram_sbuf_addf(&sb, "  \"vocab_size\": %u,\n  \"max_position_embeddings\": %u,\n"
		       "  \"hidden_size\": %u,\n  \"intermediate_size\": %u,\n"
		       "  \"num_hidden_layers\": %u,\n  \"num_attention_heads\": %u,\n"
		       "  \"num_key_value_heads\": %u,\n  \"head_dim\": %u,\n",
		       c->vocab_size, c->max_position_embeddings, c->hidden_size,
		       c->intermediate_size, c->num_hidden_layers, c->num_attention_heads,
		       c->num_key_value_heads, c->head_dim);
	tram_hf_add_f32(&sb, "rms_norm_eps", c->rms_norm_eps);
	tram_hf_add_f32(&sb, "rope_theta", c->rope_theta);
	tram_hf_add_f32(&sb, "resid_pdrop", c->resid_pdrop);
	tram_hf_add_id(&sb, "bos_token_id", c->bos_token_id);
	tram_hf_add_id(&sb, "eos_token_id", c->eos_token_id);
	tram_sbuf_addf(&sb, "  \"rope_scaling\": null,\n  \"attention_bias\": false,\n"
		       "  \"mlp_bias\": false,\n  \"tie_word_embeddings\": %s,\n"
		       "  \"torch_dtype\": \"float32\"\n}\n",
		       c->tie_word_embeddings ? "true" : "false");
	r = sb.err ? tram_fail_in(ctx, sb.err, "%s", path) : tram_file_store(ctx, path, sb.s, sb.n);
	tram_sbuf_free(&sb);
	return r;
}

/* --- tensors --------------------------------------------------------------------------- */

/* The tensors of one layer; a shape names what it is made of. */
enum dim { NONE, HIDDEN, QUERIES, KEYS, INNER };

static const struct { const char *name; enum dim a, b; } layer[] = {
	{ "input_layernorm.weight", HIDDEN, NONE },
	{ "self_attn.q_proj.weight", QUERIES, HIDDEN },
	{ "self_attn.k_proj.weight", KEYS, HIDDEN },
	{ "self_attn.v_proj.weight", KEYS, HIDDEN },
	{ "self_attn.o_proj.weight", HIDDEN, QUERIES },
	{ "post_attention_layernorm.weight", HIDDEN, NONE },
	{ "mlp.gate_proj.weight", INNER, HIDDEN },
	{ "mlp.up_proj.weight", INNER, HIDDEN },
	{ "mlp.down_proj.weight", HIDDEN, INNER },
};

#define LAYER TRAM_ARRAY_SIZE(layer)

static uint64_t dim_of(const struct tram_llama_config *c, enum dim d)
{
	switch (d) {
	case HIDDEN: return c->hidden_size;
	case QUERIES: return (uint64_t)c->num_attention_heads * c->head_dim;
	case KEYS: return (uint64_t)c->num_key_value_heads * c->head_dim;
	case INNER: return c->intermediate_size;
	default: return 0;
	}
}

size_t tram_llama_tensor_count(const struct tram_llama_config *c)
{
	return 2 + LAYER * c->num_hidden_layers + (c->tie_word_embeddings ? 0 : 1);
}

static void set(struct tram_gpt2_tensor *t, const char *name, uint64_t a, uint64_t b)
{
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->ndim = b ? 2 : 1;
	t->shape[0] = a;
	t->shape[1] = b;
}

void tram_llama_tensor_at(const struct tram_llama_config *c, size_t i, struct tram_gpt2_tensor *t)
{
	size_t tail = 1 + LAYER * c->num_hidden_layers, k = (i - 1) % LAYER;

	if (i == 0) {
		set(t, "model.embed_tokens.weight", c->vocab_size, c->hidden_size);
	} else if (i == tail) {
		set(t, "model.norm.weight", c->hidden_size, 0);
	} else if (i == tail + 1) {
		set(t, "lm_head.weight", c->vocab_size, c->hidden_size);
	} else {
		set(t, "", dim_of(c, layer[k].a), dim_of(c, layer[k].b));
		snprintf(t->name, sizeof(t->name), "model.layers.%zu.%s", (i - 1) / LAYER,
			 layer[k].name);
	}
}

const struct tram_st_tensor *tram_llama_find(const struct tram_safetensors *st, const char *name)
{
	const struct tram_st_tensor *t = tram_safetensors_find(st, name);

	return t || strncmp(name, "model.", 6) ? t : tram_safetensors_find(st, name + 6);
}
