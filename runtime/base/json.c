/* SPDX-License-Identifier: MIT */
/*
 * Bounded JSON reading; json.h has the contract. tram_json_parse() first
 * bounds the depth by a scan of the text, then lets yyjson (which does not
 * recurse) parse it, then refuses duplicate keys.
 */
#include "base/json.h"
#include "base/hash.h"
#include "base/vec.h"

#include <math.h>
#include <stdio.h>

static void *alc_malloc(void *ctx, size_t size)
{
	return tram_alloc(ctx, size);
}

static void *alc_realloc(void *ctx, void *p, size_t old_size, size_t size)
{
	return tram_realloc(ctx, p, old_size, size);
}

static void alc_free(void *ctx, void *p)
{
	tram_free(ctx, p);
}

/* Brackets outside strings. Text that is not JSON is left to the parser. */
static size_t depth_of(const char *s, size_t n, size_t *where)
{
	size_t depth = 0, max = 0, i;
	bool in_string = false;

	for (i = 0; i < n; i++) {
		char c = s[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > max) {
				max = depth;
				if (max == TRAM_JSON_DEPTH + 1)
					*where = i;
			}
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return max;
}

/* Keys of one object in an open-addressed table of twice their number. */
static int check_keys(const struct tram_json *json, yyjson_val *obj)
{
	size_t n = unsafe_yyjson_get_len(obj), cap = 16, i, max;
	yyjson_val *key, *val, **slot;
	yyjson_val *small[32] = { 0 };
	yyjson_val **table = small;
	int r = 0;

	while (cap < 2 * n)
		cap *= 2;
	if (cap > TRAM_ARRAY_SIZE(small)) {
		table = tram_calloc(json->ctx, cap, sizeof(*table));
		if (!table)
			return -ENOMEM;
	}
	yyjson_obj_foreach(obj, i, max, key, val) {
		const char *s = yyjson_get_str(key);
		size_t len = yyjson_get_len(key);
		size_t at = tram_hash64(s, len) & (cap - 1);

		for (slot = &table[at]; *slot; slot = &table[at]) {
			if (yyjson_equals_strn(*slot, s, len)) {
				r = tram_fail(json->ctx, -EINVAL, "%s: key \"%.64s\" stands twice",
					      json->file, s);
				goto out;
			}
			at = (at + 1) & (cap - 1);
		}
		*slot = key;
	}
out:
	if (table != small)
		tram_free(json->ctx, table);
	return r;
}

/* yyjson stores values in document order: every object is met in one sweep. */
static int check_all_keys(const struct tram_json *json)
{
	size_t n = yyjson_doc_get_val_count(json->doc), i;
	yyjson_val *v = json->root;
	int r;

	for (i = 0; i < n; i++, v++) {
		if (yyjson_is_obj(v)) {
			r = check_keys(json, v);
			if (r)
				return r;
		}
	}
	return 0;
}

int tram_json_parse(struct tram_ctx *ctx, const char *file, const char *text, size_t n,
		    struct tram_json *json)
{
	yyjson_alc alc = { alc_malloc, alc_realloc, alc_free, ctx };
	yyjson_read_err err;
	size_t where = 0, depth;
	int r;

	*json = (struct tram_json){ .ctx = ctx, .file = file };
	depth = depth_of(text, n, &where);
	if (depth > TRAM_JSON_DEPTH)
		return tram_fail(ctx, -EINVAL, "%s: byte %zu: nesting %zu deep, limit %d", file,
				 where, depth, TRAM_JSON_DEPTH);
	json->doc = yyjson_read_opts((char *)(uintptr_t)text, n, 0, &alc, &err);
	if (!json->doc) {
		if (err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
			return tram_fail_in(ctx, -ENOMEM, "%s", file);
		return tram_fail(ctx, -EINVAL, "%s: byte %zu: not JSON: %s", file, err.pos,
				 err.msg);
	}
	json->root = yyjson_doc_get_root(json->doc);
	if (!yyjson_is_obj(json->root)) {
		r = tram_fail(ctx, -EINVAL, "%s: is %s, a JSON object is needed", file,
			      yyjson_get_type_desc(json->root));
		goto fail;
	}
	r = check_all_keys(json);
	if (r)
		goto fail;
	return 0;

fail:
	tram_json_free(json);
	return r;
}

void tram_json_free(struct tram_json *json)
{
	yyjson_doc_free(json->doc);
	json->doc = NULL;
	json->root = NULL;
}

const char *tram_json_show(yyjson_val *v, char buf[48])
{
	if (yyjson_is_str(v))
		snprintf(buf, 48, "\"%.40s\"", yyjson_get_str(v));
	else if (yyjson_is_uint(v))
		snprintf(buf, 48, "%llu", (unsigned long long)yyjson_get_uint(v));
	else if (yyjson_is_sint(v))
		snprintf(buf, 48, "%lld", (long long)yyjson_get_sint(v));
	else if (yyjson_is_real(v))
		snprintf(buf, 48, "%.9g", yyjson_get_real(v));
	else if (yyjson_is_bool(v))
		return yyjson_get_bool(v) ? "true" : "false";
	else
		return yyjson_is_obj(v) ? "an object" : yyjson_is_arr(v) ? "an array" : "null";
	return buf;
}

/* 0: there; 1: absent and not needed; -EINVAL. */
static int find(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		bool need, yyjson_val **v)
{
	*v = yyjson_obj_get(obj, key);
	if (*v && !yyjson_is_null(*v))
		return 0;
	if (!need)
		return 1;
	return tram_fail(json->ctx, -EINVAL, "%s: %s%s%s: is missing", json->file, path,
			 *path ? "." : "", key);
}

static int wrong(const struct tram_json *json, const char *path, const char *key, yyjson_val *v,
		 const char *needed)
{
	char buf[48];

	return tram_fail(json->ctx, -EINVAL, "%s: %s%s%s: %s, %s is needed", json->file, path,
			 *path ? "." : "", key, tram_json_show(v, buf), needed);
}

int tram_json_u64(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, uint64_t min, uint64_t max, uint64_t *out)
{
	yyjson_val *v;
	char buf[48];
	int r = find(json, path, obj, key, need, &v);

	if (r)
		return r;
	if (!yyjson_is_int(v))
		return wrong(json, path, key, v, "a whole number");
	if (yyjson_is_sint(v) || yyjson_get_uint(v) < min || yyjson_get_uint(v) > max)
		return tram_fail(json->ctx, -EINVAL, "%s: %s%s%s: %s, limit %llu to %llu",
				 json->file, path, *path ? "." : "", key, tram_json_show(v, buf),
				 (unsigned long long)min, (unsigned long long)max);
	*out = yyjson_get_uint(v);
	return 0;
}

int tram_json_f64(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, double min, double max, double *out)
{
	yyjson_val *v;
	double x;
	int r = find(json, path, obj, key, need, &v);

	if (r)
		return r;
	if (!yyjson_is_num(v))
		return wrong(json, path, key, v, "a number");
	x = yyjson_get_num(v);
	if (!(x >= min && x <= max))
		return tram_fail(json->ctx, -EINVAL, "%s: %s%s%s: %.9g, limit %.9g to %.9g",
				 json->file, path, *path ? "." : "", key, x, min, max);
	*out = x;
	return 0;
}

int tram_json_bool(const struct tram_json *json, const char *path, yyjson_val *obj,
		   const char *key, bool need, bool *out)
{
	yyjson_val *v;
	int r = find(json, path, obj, key, need, &v);

	if (r)
		return r;
	if (!yyjson_is_bool(v))
		return wrong(json, path, key, v, "true or false");
	*out = yyjson_get_bool(v);
	return 0;
}

int tram_json_str(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, const char **out)
{
	yyjson_val *v;
	int r = find(json, path, obj, key, need, &v);

	if (r)
		return r;
	if (!yyjson_is_str(v))
		return wrong(json, path, key, v, "a string");
	if (strlen(yyjson_get_str(v)) != yyjson_get_len(v))
		return wrong(json, path, key, v, "a string without NUL bytes");
	*out = yyjson_get_str(v);
	return 0;
}

int tram_json_obj(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, yyjson_val **out)
{
	yyjson_val *v;
	int r = find(json, path, obj, key, need, &v);

	if (r)
		return r;
	if (!yyjson_is_obj(v))
		return wrong(json, path, key, v, "an object");
	*out = v;
	return 0;
}

int tram_json_arr(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, yyjson_val **out)
{
	yyjson_val *v;
	int r = find(json, path, obj, key, need, &v);

	if (r)
		return r;
	if (!yyjson_is_arr(v))
		return wrong(json, path, key, v, "an array");
	*out = v;
	return 0;
}
