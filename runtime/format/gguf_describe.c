/* SPDX-License-Identifier: MIT */
/*
 * What a GGUF holds; describe.h has the contract. Where its architecture is
 * one of ours the whole model is checked too: keys, every tensor's name and
 * shape, the tokenizer.
 */
#include "format/describe.h"
#include "format/gguf_model.h"

#include <math.h>

#define CHUNK ((size_t)64 << 10)	/* elements looked at in one go */

static bool is_read(uint32_t type)
{
	return type == TRAM_GGUF_T_F32 || type == TRAM_GGUF_T_F16 || type == TRAM_GGUF_T_BF16 ||
	       type == TRAM_GGUF_T_Q8_0;
}

/* Reads the whole tensor; @bad: values that are not finite, where these are read as numbers. */
static int scan(struct tram_ctx *ctx, const struct tram_gguf *g, const struct tram_gguf_tensor *t,
		float *buf, uint64_t *bad)
{
	const uint64_t n = is_read(t->type) ? t->n : t->bytes;
	const size_t chunk = is_read(t->type) ? CHUNK : CHUNK * sizeof(*buf);
	uint64_t done;
	size_t k, i;
	int r;

	*bad = 0;
	for (done = 0; done < n; done += k) {
		k = (size_t)TRAM_MIN(n - done, (uint64_t)chunk);
		r = is_read(t->type) ? tram_gguf_read_f32(ctx, g, t, done, buf, k) :
				       tram_gguf_read(ctx, g, t, done, buf, k);
		if (r)
			return r;
		for (i = 0; is_read(t->type) && i < k; i++)
			*bad += !isfinite(buf[i]);
	}
	return 0;
}

/* --- the model ----------------------------------------------------------------------- */

static int check_model(struct tram_ctx *ctx, const struct tram_gguf *g, struct tram_tokjson *tj)
{
	struct tram_hf_config cfg;
	int r = tram_gguf_config(ctx, g, &cfg);

	r = r ? r : tram_gguf_check_tensors(ctx, g, &cfg);
	if (r)
		return r;
	/* A tokenizer of another kind breaks nothing; it is not counted. */
	r = tram_gguf_tokenizer(ctx, g, tj);
	return r < 0 && r != -ENOTSUP ? r : 0;
}

/* --- text -------------------------------------------------------------------------------- */

static void add_value(struct tram_sbuf *sb, const struct tram_gguf_value *v, bool json)
{
	switch (v->type) {
	case TRAM_GGUF_STR:
		/* People get a beginning: chat templates go on for pages. */
		tram_sbuf_json(sb, v->str.s, json ? (size_t)v->str.n :
			       (size_t)TRAM_MIN(v->str.n, (uint64_t)100));
		break;
	case TRAM_GGUF_ARR:
		if (json)
			tram_sbuf_addf(sb, "{\"array\":\"%s\",\"count\":%llu}",
				       tram_gguf_type_name(v->arr.type),
				       (unsigned long long)v->arr.n);
		else
			tram_sbuf_addf(sb, "%llu x %s", (unsigned long long)v->arr.n,
				       tram_gguf_type_name(v->arr.type));
		break;
	case TRAM_GGUF_BOOL:
		tram_sbuf_adds(sb, v->u ? "true" : "false");
		break;
	case TRAM_GGUF_F32:
		tram_sbuf_json_f32(sb, (float)v->f);
		break;
	case TRAM_GGUF_F64:
		tram_sbuf_json_f64(sb, v->f);
		break;
	case TRAM_GGUF_I8: case TRAM_GGUF_I16: case TRAM_GGUF_I32: case TRAM_GGUF_I64:
		tram_sbuf_addf(sb, "%lld", (long long)v->i);
		break;
	default:
		tram_sbuf_addf(sb, "%llu", (unsigned long long)v->u);
		break;
	}
}

static void add_tensor(struct tram_sbuf *sb, const struct tram_gguf_tensor *t, uint64_t bad,
		       bool json, bool first)
{
	const char *type = tram_gguf_tensor_type_name(t->type);

	if (json) {
		tram_sbuf_adds(sb, first ? "{\"name\":" : ",{\"name\":");
		tram_sbuf_json(sb, t->name, strlen(t->name));
		tram_sbuf_addf(sb, ",\"dtype\":\"%s\",\"shape\":", type);
		tram_describe_shape(sb, t->ndim, t->shape, true);
		tram_sbuf_addf(sb, ",\"bytes\":%llu,\"nonfinite\":%llu}",
			       (unsigned long long)t->bytes, (unsigned long long)bad);
		return;
	}
	tram_sbuf_addf(sb, "  %-40s %-5s ", t->name, type);
	tram_describe_shape(sb, t->ndim, t->shape, false);
	if (bad)
		tram_sbuf_addf(sb, "  %llu values are not finite", (unsigned long long)bad);
	tram_sbuf_addc(sb, '\n');
}

static void add_head(struct tram_sbuf *sb, const struct tram_gguf *g, const char *arch,
		     bool model, uint32_t tokens, bool json)
{
	uint64_t elements = 0, bytes = 0;
	size_t i, n = tram_gguf_count(g);

	for (i = 0; i < n; i++) {
		elements += tram_gguf_at(g, i)->n;
		bytes += tram_gguf_at(g, i)->bytes;
	}
	if (json) {
		tram_describe_head(sb, "gguf", tram_gguf_name(g));
		tram_sbuf_adds(sb, ",\"architecture\":");
		tram_sbuf_json(sb, arch, strlen(arch));
		tram_sbuf_addf(sb, ",\"model\":%s,\"tokens\":%u,\"alignment\":%u,\"elements\":%llu,\"bytes\":%llu,\"tensors\":[",
			       model ? "true" : "false", tokens, tram_gguf_alignment(g),
			       (unsigned long long)elements, (unsigned long long)bytes);
		return;
	}
	tram_sbuf_addf(sb, "%s: GGUF 3, architecture ", tram_gguf_name(g));
	tram_sbuf_json(sb, arch, strlen(arch));
	tram_sbuf_addf(sb, ", %zu tensors, %llu elements, ", n, (unsigned long long)elements);
	tram_sbuf_bytes(sb, bytes);
	if (model)
		tram_sbuf_adds(sb, "; a whole model");
	if (tokens)
		tram_sbuf_addf(sb, " with a tokenizer, ids below %u", tokens);
	tram_sbuf_addc(sb, '\n');
}

static int describe(struct tram_ctx *ctx, const struct tram_gguf *g, bool json,
		    struct tram_sbuf *sb)
{
	size_t i, n = tram_gguf_count(g), keys = tram_gguf_key_count(g);
	float *buf = tram_calloc(ctx, CHUNK, sizeof(*buf));
	uint64_t bad;
	int r = 0;

	if (!buf)
		return tram_fail_in(ctx, -ENOMEM, "%s", tram_gguf_name(g));
	for (i = 0; i < n && !r; i++) {
		r = scan(ctx, g, tram_gguf_at(g, i), buf, &bad);
		add_tensor(sb, tram_gguf_at(g, i), bad, json, i == 0);
	}
	tram_free(ctx, buf);
	tram_sbuf_adds(sb, json ? "],\"metadata\":{" : "");
	for (i = 0; i < keys; i++) {
		const struct tram_gguf_value *v = tram_gguf_key_at(g, i);

		if (json) {
			tram_sbuf_adds(sb, i ? "," : "");
			tram_sbuf_json(sb, v->key, strlen(v->key));
			tram_sbuf_addc(sb, ':');
		} else {
			tram_sbuf_addf(sb, "  %s: ", v->key);
		}
		add_value(sb, v, json);
		tram_sbuf_adds(sb, json ? "" : "\n");
	}
	tram_sbuf_adds(sb, json ? "}}\n" : "");
	return r ? r : sb->err;
}

int tram_gguf_describe(struct tram_ctx *ctx, const struct tram_gguf *g, bool json,
		       struct tram_sbuf *sb)
{
	struct tram_tokjson tj = { 0 };
	const char *arch = "none";
	bool model;
	int r;

	r = tram_gguf_get_str(ctx, g, "general.architecture", false, &arch);
	if (r < 0)
		return r;
	model = tram_gguf_known(arch);
	if (model) {
		r = check_model(ctx, g, &tj);
		if (r)
			return r;
	}
	add_head(sb, g, arch, model, tj.n_tokens, json);
	tram_tokjson_free(ctx, &tj);
	return describe(ctx, g, json, sb);
}
