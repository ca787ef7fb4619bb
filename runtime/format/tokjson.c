/* SPDX-License-Identifier: MIT */
/*
 * tokenizer.json: tram_tokjson_read_source() reads the steps around the model
 * (which must be byte-level), then the vocabulary, the added tokens, and the
 * merges, which are looked up in it. The writer ends the file. The alphabet is
 * that of GPT-2: printable Latin-1 bytes stand for themselves, the other 68
 * are numbered from U+0100 on.
 */
#include "format/tokjson.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/sbuf.h"
#include "base/vec.h"

static bool plain_byte(uint32_t b)
{
	return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
}

uint32_t tram_byte_to_cp(uint8_t b)
{
	/* Others, in order: 0x00-0x20 (33), 0x7f-0xa0 (34), 0xad. */
	if (plain_byte(b))
		return b;
	return b <= 0x20 ? 0x100u + b : b == 0xad ? 0x143u : 0x121u + b - 0x7fu;
}

int tram_cp_to_byte(uint32_t cp)
{
	if (cp < 0x100)
		return plain_byte(cp) ? (int)cp : -1;
	if (cp <= 0x120)
		return (int)(cp - 0x100);
	if (cp <= 0x142)
		return (int)(cp - 0x121 + 0x7f);
	return cp == 0x143 ? 0xad : -1;
}

/* Code point of a well-formed sequence of @len bytes. */
static uint32_t utf8_cp(const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;

	switch (len) {
	case 1: return s[0];
	case 2: return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
	case 3: return (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
	default: return (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 |
			(s[3] & 0x3fu);
	}
}

/*
 * A key of the vocabulary as the bytes it stands for; at most @n of them.
 * False, with @out a copy of the key, when a character is not of the alphabet.
 */
static bool decode_key(const char *key, size_t n, char *out, uint32_t *out_n)
{
	size_t i = 0, len;
	uint32_t k = 0;
	int b;

	while (i < n) {
		len = tram_utf8_len(key + i, n - i);
		b = len ? tram_cp_to_byte(utf8_cp(key + i, len)) : -1;
		if (b < 0) {
			memcpy(out, key, n);
			*out_n = (uint32_t)n;
			return false;
		}
		out[k++] = (char)b;
		i += len;
	}
	*out_n = k;
	return true;
}

/* What reading needs beside the result. */
struct reader {
	struct tram_ctx *ctx;
	struct tram_json json;
	struct tram_tokjson *tj;
	size_t arena_at;
	yyjson_val *vocab, *merges, *added;
};

static int fail_type(struct reader *rd, const char *where, yyjson_val *v, const char *needed)
{
	yyjson_val *type = yyjson_obj_get(v, "type");
	char buf[48];

	return tram_fail(rd->ctx, -ENOTSUP, "%s: %s: %s, %s is supported", rd->json.file, where,
			 tram_json_show(type ? type : v, buf), needed);
}

/* Steps around the model */

static int read_byte_level(struct reader *rd, yyjson_val *v, const char *where)
{
	int r;

	rd->tj->add_prefix_space = true;	/* defaults of the tokenizers library */
	rd->tj->use_regex = true;
	r = tram_json_bool(&rd->json, where, v, "add_prefix_space", false,
			   &rd->tj->add_prefix_space);
	if (r >= 0)
		r = tram_json_bool(&rd->json, where, v, "use_regex", false, &rd->tj->use_regex);
	return r < 0 ? r : 0;
}

static int read_split(struct reader *rd, yyjson_val *v)
{
	static const char where[] = "pre_tokenizer.pretokenizers[0]";
	const char *behavior = "";
	yyjson_val *pattern;
	bool invert = false;
	int r;

	r = tram_json_obj(&rd->json, where, v, "pattern", true, &pattern);
	if (!r)
		r = tram_json_str(&rd->json, where, pattern, "Regex", true, &rd->tj->split_regex);
	if (!r)
		r = tram_json_str(&rd->json, where, v, "behavior", true, &behavior);
	if (r)
		return r;
	r = tram_json_bool(&rd->json, where, v, "invert", false, &invert);
	if (r < 0)
		return r;
	if (strcmp(behavior, "Isolated") || invert)
		return tram_fail(rd->ctx, -ENOTSUP,
				 "%s: %s: behavior \"%.32s\", invert %s; Isolated, false is supported",
				 rd->json.file, where, behavior, invert ? "true" : "false");
	return 0;
}

static bool is_type(yyjson_val *v, const char *type)
{
	return yyjson_equals_str(yyjson_obj_get(v, "type"), type);
}

static int read_pre_tokenizer(struct reader *rd)
{
	yyjson_val *v = yyjson_obj_get(rd->json.root, "pre_tokenizer"), *list, *last;
	size_t n;
	int r;

	if (is_type(v, "ByteLevel"))
		return read_byte_level(rd, v, "pre_tokenizer");
	if (!is_type(v, "Sequence"))
		return fail_type(rd, "pre_tokenizer", v, "ByteLevel");
	r = tram_json_arr(&rd->json, "pre_tokenizer", v, "pretokenizers", true, &list);
	if (r)
		return r;
	n = yyjson_arr_size(list);
	last = yyjson_arr_get_last(list);
	if (n < 1 || n > 2 || !is_type(last, "ByteLevel"))
		return tram_fail(rd->ctx, -ENOTSUP,
				 "%s: pre_tokenizer.pretokenizers: %zu steps, ByteLevel or Split and ByteLevel are supported",
				 rd->json.file, n);
	r = read_byte_level(rd, last, "pre_tokenizer.pretokenizers[]");
	if (r || n == 1)
		return r;
	if (!is_type(yyjson_arr_get_first(list), "Split"))
		return fail_type(rd, "pre_tokenizer.pretokenizers[0]", yyjson_arr_get_first(list),
				 "Split");
	return read_split(rd, yyjson_arr_get_first(list));
}

/* post_processor is not read: it only puts special tokens around a text. */
static int read_steps(struct reader *rd)
{
	yyjson_val *v;

	v = yyjson_obj_get(rd->json.root, "normalizer");
	if (v && !yyjson_is_null(v) &&
	    !(is_type(v, "Sequence") && yyjson_arr_size(yyjson_obj_get(v, "normalizers")) == 0))
		return fail_type(rd, "normalizer", v, "null");
	v = yyjson_obj_get(rd->json.root, "decoder");
	if (v && !yyjson_is_null(v) && !is_type(v, "ByteLevel"))
		return fail_type(rd, "decoder", v, "ByteLevel");
	return read_pre_tokenizer(rd);
}

/* Tokens */

static int need_empty(struct reader *rd, yyjson_val *model, const char *key)
{
	const char *s = "";
	int r = tram_json_str(&rd->json, "model", model, key, false, &s);

	if (r < 0)
		return r;
	return *s ? tram_fail(rd->ctx, -ENOTSUP, "%s: model.%s: \"%.32s\", only null is supported",
			      rd->json.file, key, s) : 0;
}

static int read_model(struct reader *rd)
{
	yyjson_val *model;
	const char *type;
	double dropout = 0;
	bool fallback = false;
	int r;

	r = tram_json_obj(&rd->json, "", rd->json.root, "model", true, &model);
	r = r ? r : tram_json_str(&rd->json, "model", model, "type", true, &type);
	if (r)
		return r;
	if (strcmp(type, "BPE"))
		return fail_type(rd, "model.type", model, "BPE");
	r = tram_json_obj(&rd->json, "model", model, "vocab", true, &rd->vocab);
	r = r ? r : tram_json_arr(&rd->json, "model", model, "merges", true, &rd->merges);
	r = r ? r : need_empty(rd, model, "continuing_subword_prefix");
	r = r ? r : need_empty(rd, model, "end_of_word_suffix");
	if (r)
		return r;
	r = tram_json_f64(&rd->json, "model", model, "dropout", false, 0, 0, &dropout);
	if (r >= 0)
		r = tram_json_bool(&rd->json, "model", model, "byte_fallback", false, &fallback);
	if (r >= 0)
		r = tram_json_bool(&rd->json, "model", model, "ignore_merges", false,
				   &rd->tj->ignore_merges);
	if (r >= 0 && fallback)
		r = tram_fail(rd->ctx, -ENOTSUP,
			      "%s: model.byte_fallback: true, only false is supported",
			      rd->json.file);
	if (r >= 0)
		r = tram_json_arr(&rd->json, "", rd->json.root, "added_tokens", false, &rd->added);
	return r < 0 ? r : 0;
}

/* Highest id and total bytes: what is allocated follows from what is there. */
static int measure(struct reader *rd, uint64_t *arena)
{
	uint64_t n = yyjson_obj_size(rd->vocab) + yyjson_arr_size(rd->added);
	uint64_t id, top = 0, limit;
	yyjson_val *key, *val;
	const char *s;
	char buf[48];
	size_t i, max;
	int r;

	/* Ids may have gaps, but not so that a small file asks for a large table. */
	limit = TRAM_MIN((uint64_t)TRAM_TOKJSON_MAX_ID, 2 * n + 65536);
	*arena = 0;
	yyjson_obj_foreach(rd->vocab, i, max, key, val) {
		if (!yyjson_is_uint(val) || yyjson_get_uint(val) > limit)
			return tram_fail(rd->ctx, -EINVAL,
					 "%s: model.vocab[\"%.40s\"]: %s, limit 0 to %llu",
					 rd->json.file, yyjson_get_str(key),
					 tram_json_show(val, buf), (unsigned long long)limit);
		if (!yyjson_get_len(key))
			return tram_fail(rd->ctx, -EINVAL, "%s: model.vocab: an empty token",
					 rd->json.file);
		top = TRAM_MAX(top, yyjson_get_uint(val) + 1);
		*arena += yyjson_get_len(key) + 1;
	}
	yyjson_arr_foreach(rd->added, i, max, val) {
		if (!yyjson_is_obj(val))
			return tram_fail(rd->ctx, -EINVAL, "%s: added_tokens[%zu]: %s, an object is needed",
					 rd->json.file, i, tram_json_show(val, buf));
		r = tram_json_u64(&rd->json, "added_tokens[]", val, "id", true, 0, limit, &id);
		r = r ? r : tram_json_str(&rd->json, "added_tokens[]", val, "content", true, &s);
		if (r)
			return r;
		if (!*s)
			return tram_fail(rd->ctx, -EINVAL, "%s: added_tokens[%zu].content: is empty",
					 rd->json.file, i);
		top = TRAM_MAX(top, id + 1);
		*arena += strlen(s) + 1;
	}
	if (!top)
		return tram_fail(rd->ctx, -EINVAL, "%s: model.vocab: is empty", rd->json.file);
	rd->tj->n_tokens = (uint32_t)top;
	rd->tj->n_vocab = (uint32_t)yyjson_obj_size(rd->vocab);
	return 0;
}

/* A place in the arena; measure() made it large enough. */
static void add_token(struct reader *rd, uint32_t id, const char *key, size_t n, uint32_t flags)
{
	struct tram_tok *t = &rd->tj->tokens[id];
	char *p = rd->tj->arena + rd->arena_at;

	if (!decode_key(key, n, p, &t->len))
		flags |= TRAM_TOK_LITERAL;
	p[t->len] = '\0';
	t->bytes = p;
	t->flags = flags;
	rd->arena_at += t->len + 1;
}

static uint32_t *slot_of(const struct tram_tokjson *tj, const char *bytes, size_t n)
{
	uint32_t at = (uint32_t)tram_hash64(bytes, n) & tj->table_mask, id;

	while ((id = tj->table[at]) != 0) {
		if (tj->tokens[id - 1].len == n && !memcmp(tj->tokens[id - 1].bytes, bytes, n))
			break;
		at = (at + 1) & tj->table_mask;
	}
	return &tj->table[at];
}

int64_t tram_tokjson_find(const struct tram_tokjson *tj, const char *bytes, size_t n)
{
	return tj->table ? (int64_t)*slot_of(tj, bytes, n) - 1 : -1;
}

static int read_vocab(struct reader *rd)
{
	struct tram_tokjson *tj = rd->tj;
	yyjson_val *key, *val;
	size_t i, max;
	uint32_t id;

	yyjson_obj_foreach(rd->vocab, i, max, key, val) {
		id = (uint32_t)yyjson_get_uint(val);
		if (tj->tokens[id].bytes)
			return tram_fail(rd->ctx, -EINVAL,
					 "%s: model.vocab[\"%.40s\"]: id %u belongs to another token",
					 rd->json.file, yyjson_get_str(key), id);
		add_token(rd, id, yyjson_get_str(key), yyjson_get_len(key), TRAM_TOK_VOCAB);
		if (!(tj->tokens[id].flags & TRAM_TOK_LITERAL))
			*slot_of(tj, tj->tokens[id].bytes, tj->tokens[id].len) = id + 1;
	}
	return 0;
}

/* Same token as the vocabulary's: the two spellings must decode alike. */
static bool same_token(struct reader *rd, const struct tram_tok *t, const char *s)
{
	char *tmp = rd->tj->arena + rd->arena_at;	/* free until add_token() */
	uint32_t n;
	bool plain = decode_key(s, strlen(s), tmp, &n);

	return plain == !(t->flags & TRAM_TOK_LITERAL) && n == t->len && !memcmp(tmp, t->bytes, n);
}

static int read_added(struct reader *rd)
{
	static const char *const refused[] = { "single_word", "lstrip", "rstrip" };
	struct tram_tokjson *tj = rd->tj;
	yyjson_val *val;
	size_t i, max, k, n;
	bool special, b;
	const char *s = "";
	uint64_t id = 0;
	uint32_t flags;
	char *p;
	int r;

	yyjson_arr_foreach(rd->added, i, max, val) {
		tram_json_u64(&rd->json, "", val, "id", true, 0, UINT32_MAX, &id);
		tram_json_str(&rd->json, "", val, "content", true, &s);
		special = false;
		r = tram_json_bool(&rd->json, "added_tokens[]", val, "special", false, &special);
		for (k = 0; r >= 0 && k < TRAM_ARRAY_SIZE(refused); k++) {
			b = false;
			r = tram_json_bool(&rd->json, "added_tokens[]", val, refused[k], false, &b);
			if (r >= 0 && b)
				r = tram_fail(rd->ctx, -ENOTSUP,
					      "%s: added_tokens[%zu].%s: true, only false is supported",
					      rd->json.file, i, refused[k]);
		}
		if (r < 0)
			return r;
		flags = tj->tokens[id].flags;
		if ((flags & TRAM_TOK_ADDED) ||
		    (tj->tokens[id].bytes && !same_token(rd, &tj->tokens[id], s)))
			return tram_fail(rd->ctx, -EINVAL,
					 "%s: added_tokens[%zu] \"%.40s\": id %llu belongs to another token",
					 rd->json.file, i, s, (unsigned long long)id);
		/* Its text is matched as it stands, so it is kept as it stands. */
		n = strlen(s);
		p = memcpy(tj->arena + rd->arena_at, s, n + 1);
		rd->arena_at += n + 1;
		if (flags & TRAM_TOK_VOCAB) {
			/* The table finds it by its old spelling: kept unless they differ. */
			if (tj->tokens[id].len == n && !memcmp(tj->tokens[id].bytes, p, n))
				p = (char *)(uintptr_t)tj->tokens[id].bytes;
			else if (!(flags & TRAM_TOK_LITERAL))
				return tram_fail(rd->ctx, -ENOTSUP,
						 "%s: added_tokens[%zu] \"%.40s\": stands for other bytes in model.vocab",
						 rd->json.file, i, s);
		}
		tj->tokens[id].bytes = p;
		tj->tokens[id].len = (uint32_t)n;
		tj->tokens[id].flags |= TRAM_TOK_ADDED | (special ? TRAM_TOK_SPECIAL : 0);
		tj->added[tj->n_added++] = (uint32_t)id;
	}
	return 0;
}

/* Merges */

static int merge_halves(struct reader *rd, size_t i, yyjson_val *v, const char *half[2],
			size_t len[2])
{
	const char *s, *space;
	size_t n;

	if (yyjson_is_arr(v) && yyjson_arr_size(v) == 2 && yyjson_is_str(yyjson_arr_get(v, 0)) &&
	    yyjson_is_str(yyjson_arr_get(v, 1))) {
		for (n = 0; n < 2; n++) {
			half[n] = yyjson_get_str(yyjson_arr_get(v, n));
			len[n] = yyjson_get_len(yyjson_arr_get(v, n));
		}
		return 0;
	}
	if (yyjson_is_str(v)) {
		s = yyjson_get_str(v);
		n = yyjson_get_len(v);
		space = memchr(s, ' ', n);
		if (space && !memchr(space + 1, ' ', n - (size_t)(space + 1 - s))) {
			half[0] = s;
			len[0] = (size_t)(space - s);
			half[1] = space + 1;
			len[1] = n - len[0] - 1;
			return 0;
		}
	}
	return tram_fail(rd->ctx, -EINVAL, "%s: model.merges[%zu]: is not a pair of tokens",
			 rd->json.file, i);
}

static int64_t find_key(struct reader *rd, const char *key, size_t n, char *tmp, uint32_t *tmp_n)
{
	return decode_key(key, n, tmp, tmp_n) ? tram_tokjson_find(rd->tj, tmp, *tmp_n) : -1;
}

static int read_merges(struct reader *rd)
{
	struct tram_tokjson *tj = rd->tj;
	TRAM_VEC(char) tmp = { 0 };
	const char *half[2];
	size_t len[2], i, max;
	int64_t left, right, result;
	uint32_t n, m;
	yyjson_val *v;
	int r = 0;

	yyjson_arr_foreach(rd->merges, i, max, v) {
		r = merge_halves(rd, i, v, half, len);
		if (!r)
			r = tram_vec_reserve(rd->ctx, &tmp, len[0] + len[1] + 1);
		if (r)
			break;
		left = find_key(rd, half[0], len[0], tmp.v, &n);
		right = find_key(rd, half[1], len[1], tmp.v + n, &m);
		result = left < 0 || right < 0 ? -1 : tram_tokjson_find(tj, tmp.v, n + m);
		if (result < 0) {
			r = tram_fail(rd->ctx, -EINVAL,
				      "%s: model.merges[%zu]: \"%.*s\" with \"%.*s\": %s not in model.vocab",
				      rd->json.file, i, (int)TRAM_MIN(len[0], (size_t)40), half[0],
				      (int)TRAM_MIN(len[1], (size_t)40), half[1],
				      left < 0 ? "the left one is" : right < 0 ?
				      "the right one is" : "the result is");
			break;
		}
		tj->merges[tj->n_merges++] = (struct tram_tok_merge){
			(uint32_t)left, (uint32_t)right, (uint32_t)result };
	}
	tram_vec_free(rd->ctx, &tmp);
	return r;
}

static int read_all(struct reader *rd)
{
	struct tram_tokjson *tj = rd->tj;
	uint64_t arena;
	uint32_t slots = 16;
	const char *regex;
	int r;

	r = read_steps(rd);
	r = r ? r : read_model(rd);
	r = r ? r : measure(rd, &arena);
	if (r)
		return r;
	regex = tj->split_regex;
	tj->split_regex = NULL;
	while (slots < 2 * tj->n_vocab)
		slots *= 2;
	tj->table_mask = slots - 1;
	tj->tokens = tram_calloc(rd->ctx, tj->n_tokens, sizeof(*tj->tokens));
	tj->table = tram_calloc(rd->ctx, slots, sizeof(*tj->table));
	tj->merges = tram_calloc(rd->ctx, yyjson_arr_size(rd->merges), sizeof(*tj->merges));
	tj->added = tram_calloc(rd->ctx, yyjson_arr_size(rd->added), sizeof(*tj->added));
	tj->arena = tram_alloc(rd->ctx, (size_t)arena + (regex ? strlen(regex) : 0) + 1);
	if (!tj->tokens || !tj->table || !tj->merges || !tj->added || !tj->arena)
		return tram_fail_in(rd->ctx, -ENOMEM, "%s", rd->json.file);
	r = read_vocab(rd);
	r = r ? r : read_added(rd);
	r = r ? r : read_merges(rd);
	if (!r && regex)
		tj->split_regex = memcpy(tj->arena + rd->arena_at, regex, strlen(regex) + 1);
	return r;
}

int tram_tokjson_read_source(struct tram_ctx *ctx, const struct tram_source *src,
			     struct tram_tokjson *tj)
{
	struct reader rd = { .ctx = ctx, .tj = tj };
	char *text;
	size_t n;
	int r;

	memset(tj, 0, sizeof(*tj));
	r = tram_source_load(ctx, src, TRAM_TOKJSON_MAX_BYTES, &text, &n);
	if (r)
		return r;
	r = tram_json_parse(ctx, src->name, text, n, &rd.json);
	tram_free(ctx, text);
	if (!r)
		r = read_all(&rd);
	tram_json_free(&rd.json);
	if (r)
		tram_tokjson_free(ctx, tj);
	return r;
}

int tram_tokjson_read(struct tram_ctx *ctx, const char *path, struct tram_tokjson *tj)
{
	struct tram_file *f;
	int r;

	memset(tj, 0, sizeof(*tj));
	r = tram_file_open(ctx, path, &f);
	if (r)
		return r;
	r = tram_tokjson_read_source(ctx, tram_file_source(f), tj);
	tram_file_close(ctx, &f);
	return r;
}

void tram_tokjson_free(struct tram_ctx *ctx, struct tram_tokjson *tj)
{
	tram_free(ctx, tj->arena);
	tram_free(ctx, tj->added);
	tram_free(ctx, tj->merges);
	tram_free(ctx, tj->table);
	tram_free(ctx, tj->tokens);
	memset(tj, 0, sizeof(*tj));
}

/* Writing */

void tram_tokjson_key(struct tram_sbuf *sb, const struct tram_tok *t)
{
	uint32_t i, cp;

	if (t->flags & TRAM_TOK_LITERAL) {
		tram_sbuf_add(sb, t->bytes, t->len);
		return;
	}
	for (i = 0; i < t->len; i++) {
		cp = tram_byte_to_cp((uint8_t)t->bytes[i]);
		if (cp >= 0x80) {
			tram_sbuf_addc(sb, (char)(0xc0 | cp >> 6));
			cp = 0x80 | (cp & 0x3f);
		}
		tram_sbuf_addc(sb, (char)cp);
	}
}

static void json_key(struct tram_sbuf *sb, struct tram_sbuf *tmp, const struct tram_tok *a,
		     const struct tram_tok *b)
{
	tram_sbuf_reset(tmp);
	tram_tokjson_key(tmp, a);
	if (b) {
		tram_sbuf_addc(tmp, ' ');
		tram_tokjson_key(tmp, b);
	}
	if (tmp->err)
		sb->err = tmp->err;
	tram_sbuf_json(sb, tram_sbuf_str(tmp), tmp->n);
}

static const char *json_bool(bool b)
{
	return b ? "true" : "false";
}

static void add_byte_level(struct tram_sbuf *sb, bool prefix, bool regex)
{
	tram_sbuf_addf(sb, "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,"
		       "\"trim_offsets\":true,\"use_regex\":%s}", json_bool(prefix),
		       json_bool(regex));
}

static void render(struct tram_sbuf *sb, struct tram_sbuf *tmp, const struct tram_tokjson *tj)
{
	const char *sep = "\n";
	uint32_t i;

	tram_sbuf_adds(sb, "{\n\"version\":\"1.0\",\n\"truncation\":null,\n\"padding\":null,\n"
		       "\"added_tokens\":[");
	for (i = 0; i < tj->n_added; i++) {
		const struct tram_tok *t = &tj->tokens[tj->added[i]];

		tram_sbuf_addf(sb, "%s{\"id\":%u,\"content\":", sep, tj->added[i]);
		tram_sbuf_json(sb, t->bytes, t->len);
		tram_sbuf_addf(sb, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
			       "\"normalized\":false,\"special\":%s}",
			       json_bool(t->flags & TRAM_TOK_SPECIAL));
		sep = ",\n";
	}
	tram_sbuf_adds(sb, "],\n\"normalizer\":null,\n\"pre_tokenizer\":");
	if (tj->split_regex) {
		tram_sbuf_adds(sb, "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
			       "\"pattern\":{\"Regex\":");
		tram_sbuf_json(sb, tj->split_regex, strlen(tj->split_regex));
		tram_sbuf_adds(sb, "},\"behavior\":\"Isolated\",\"invert\":false},");
	}
	add_byte_level(sb, tj->add_prefix_space, tj->use_regex);
	tram_sbuf_adds(sb, tj->split_regex ? "]}" : "");
	tram_sbuf_adds(sb, ",\n\"post_processor\":null,\n\"decoder\":");
	add_byte_level(sb, tj->add_prefix_space, tj->use_regex);
	tram_sbuf_addf(sb, ",\n\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
		       "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
		       "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":%s,\n"
		       "\"vocab\":{", json_bool(tj->ignore_merges));
	sep = "\n";
	for (i = 0; i < tj->n_tokens && !sb->err; i++) {
		if (!tj->tokens[i].bytes || !(tj->tokens[i].flags & TRAM_TOK_VOCAB))
			continue;
		tram_sbuf_adds(sb, sep);
		json_key(sb, tmp, &tj->tokens[i], NULL);
		tram_sbuf_addf(sb, ":%u", i);
		sep = ",\n";
	}
	tram_sbuf_adds(sb, "},\n\"merges\":[");
	sep = "\n";
	for (i = 0; i < tj->n_merges && !sb->err; i++) {
		tram_sbuf_adds(sb, sep);
		json_key(sb, tmp, &tj->tokens[tj->merges[i].left],
			 &tj->tokens[tj->merges[i].right]);
		sep = ",\n";
	}
	tram_sbuf_adds(sb, "]}\n}\n");
}

/* Ids that point at nothing would make a file that its own reader refuses. */
static int check(struct tram_ctx *ctx, const char *path, const struct tram_tokjson *tj)
{
	uint32_t i;

	for (i = 0; i < tj->n_merges; i++) {
		const struct tram_tok_merge *m = &tj->merges[i];

		if (m->left >= tj->n_tokens || m->right >= tj->n_tokens ||
		    !tj->tokens[m->left].bytes || !tj->tokens[m->right].bytes)
			return tram_fail(ctx, -EINVAL, "%s: merge %u: ids %u and %u, %u tokens",
					 path, i, m->left, m->right, tj->n_tokens);
	}
	for (i = 0; i < tj->n_added; i++)
		if (tj->added[i] >= tj->n_tokens || !tj->tokens[tj->added[i]].bytes)
			return tram_fail(ctx, -EINVAL, "%s: added token %u: id %u, %u tokens", path,
					 i, tj->added[i], tj->n_tokens);
	return 0;
}

int tram_tokjson_write(struct tram_ctx *ctx, const char *path, const struct tram_tokjson *tj)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx), tmp = TRAM_SBUF_INIT(ctx);
	int r;

	r = check(ctx, path, tj);
	if (r)
		return r;
	render(&sb, &tmp, tj);
	r = sb.err ? tram_fail_in(ctx, sb.err, "%s", path) : tram_file_store(ctx, path, sb.s, sb.n);
	tram_sbuf_free(&tmp);
	tram_sbuf_free(&sb);
	return r;
}
