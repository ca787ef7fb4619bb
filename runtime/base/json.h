/* SPDX-License-Identifier: MIT */
/*
 * JSON from files that nobody trusts: yyjson reads, this room bounds size and
 * depth, refuses duplicate keys, and reads fields with a range so that a
 * message names file, field, value and limit. Memory comes from the context's
 * heap. Writing goes through sbuf.h.
 */
#ifndef TRAM_BASE_JSON_H
#define TRAM_BASE_JSON_H

#include <yyjson.h>

#include "base/base.h"

#define TRAM_JSON_DEPTH	64	/* deepest nesting read; the formats need 6 */

struct tram_json {
	struct tram_ctx *ctx;
	const char *file;	/* for messages; borrowed */
	yyjson_doc *doc;
	yyjson_val *root;	/* an object */
};

/*
 * Parses @n bytes of text, whose root must be an object. The text may go away
 * afterwards. -EINVAL for text that is not JSON or breaks a bound, -ENOMEM.
 */
int tram_json_parse(struct tram_ctx *ctx, const char *file, const char *text, size_t n,
		    struct tram_json *json);
void tram_json_free(struct tram_json *json);

/*
 * Fields of object @obj, which stands at @path in the file ("" for the root;
 * for messages only). Each returns 0 with the value in @out; 1 with @out
 * untouched when the key is absent (or null) and @need is false; -EINVAL with
 * a message when it is absent and needed, of another type, or out of range.
 */
int tram_json_u64(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, uint64_t min, uint64_t max, uint64_t *out);
int tram_json_f64(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, double min, double max, double *out);
int tram_json_bool(const struct tram_json *json, const char *path, yyjson_val *obj,
		   const char *key, bool need, bool *out);
/* Lives as long as @json. Strings that hold a NUL byte are refused. */
int tram_json_str(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, const char **out);
int tram_json_obj(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, yyjson_val **out);
int tram_json_arr(const struct tram_json *json, const char *path, yyjson_val *obj, const char *key,
		  bool need, yyjson_val **out);

/* Any JSON value in a few characters, for messages: "-3", "\"gelu\"", "an array". */
const char *tram_json_show(yyjson_val *v, char buf[48]);

#endif
