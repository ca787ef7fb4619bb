/* SPDX-License-Identifier: MIT */
/* Fields that config.json files of all families have in common; inside format/ only. */
#ifndef TRAM_FORMAT_HFREAD_H
#define TRAM_FORMAT_HFREAD_H

#include "base/file.h"
#include "base/json.h"
#include "base/sbuf.h"

#define TRAM_HF_MAX_VOCAB	(1u << 24)
#define TRAM_HF_MAX_POSITIONS	(1u << 20)
#define TRAM_HF_MAX_WIDTH	(1u << 16)
#define TRAM_HF_MAX_LAYERS	1024u
#define TRAM_HF_MAX_HEADS	1024u
#define TRAM_HF_MAX_INNER	(1u << 18)

/*
 * hfmodel.c: a bounded file as JSON, whose fields @fields puts into *@cfg, of @size bytes and zeroed
 * before and after a failure.
 */
int tram_hf_read_source(struct tram_ctx *ctx, const struct tram_source *src,
			int (*fields)(const struct tram_json *j, void *cfg), void *cfg, size_t size);
int tram_hf_read_file(struct tram_ctx *ctx, const char *path,
		      int (*fields)(const struct tram_json *j, void *cfg), void *cfg, size_t size);

static inline int tram_hf_check_u32(struct tram_ctx *ctx, const char *what, const char *field,
				    uint32_t value, uint32_t max)
{
	if (value >= 1 && value <= max)
		return 0;
	return tram_fail(ctx, -EINVAL, "%s: %s: %u, limit 1 to %u", what, field, value, max);
}

static inline int tram_hf_check_drop(struct tram_ctx *ctx, const char *what, const char *field,
				     float value)
{
	if (value >= 0 && value < 1)
		return 0;
	return tram_fail(ctx, -EINVAL, "%s: %s: %g, limit 0 to below 1", what, field,
			 (double)value);
}

static inline int tram_hf_read_u32(const struct tram_json *j, const char *key, bool need,
				   uint32_t max, uint32_t *out)
{
	uint64_t x;
	int r = tram_json_u64(j, "", j->root, key, need, 1, max, &x);

	if (!r)
		*out = (uint32_t)x;
	return r < 0 ? r : 0;
}

/* Bounds come later: here only what a float can hold. */
static inline int tram_hf_read_f32(const struct tram_json *j, const char *key, float *out)
{
	double x;
	int r = tram_json_f64(j, "", j->root, key, false, -1e30, 1e30, &x);

	if (!r)
		*out = (float)x;
	return r < 0 ? r : 0;
}

/* A special token's id, or -1: also for null and for the list that some files hold. */
static inline int tram_hf_read_id(const struct tram_json *j, const char *key, int32_t *out)
{
	yyjson_val *v = yyjson_obj_get(j->root, key);
	uint64_t x;
	int r;

	*out = -1;
	if (yyjson_is_arr(v) || (yyjson_is_sint(v) && yyjson_get_sint(v) == -1))
		return 0;
	r = tram_json_u64(j, "", j->root, key, false, 0, TRAM_HF_MAX_VOCAB - 1, &x);
	if (!r)
		*out = (int32_t)x;
	return r < 0 ? r : 0;
}

static inline void tram_hf_add_f32(struct tram_sbuf *sb, const char *key, float x)
{
	tram_sbuf_addf(sb, "  \"%s\": ", key);
	tram_sbuf_json_f32(sb, x);
	tram_sbuf_adds(sb, ",\n");
}

/* null, not absent: transformers would put its own default in. */
static inline void tram_hf_add_id(struct tram_sbuf *sb, const char *key, int32_t id)
{
	if (id < 0)
		tram_sbuf_addf(sb, "  \"%s\": null,\n", key);
	else
		tram_sbuf_addf(sb, "  \"%s\": %d,\n", key, id);
}

#endif
