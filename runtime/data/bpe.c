/* SPDX-License-Identifier: MIT */
/*
 * Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019): text is split
 * into pieces by a regular expression, then within a piece the pair of
 * neighbours with the strongest merge is joined until none is left. A heap
 * of candidate pairs keeps a piece of n bytes at O(n log n), whatever it holds.
 */
#include "data/data.h"

#include "base/sbuf.h"

/* GPT-2's splitting: contractions, words, numbers, other runs, spaces. */
static const char gpt2_pattern[] =
	"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* --- splitting --------------------------------------------------------------------- */

int tram_splitter_init(struct tram_splitter *s, struct tram_ctx *ctx, const char *pattern)
{
	PCRE2_SIZE at;
	int err;

	*s = (struct tram_splitter){ .ctx = ctx };
	s->code = pcre2_compile((PCRE2_SPTR)(pattern ? pattern : gpt2_pattern),
				PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF,
				&err, &at, NULL);
	if (!s->code) {
		char text[120];

		if (err == PCRE2_ERROR_NOMEMORY || err == PCRE2_ERROR_HEAP_FAILED)
			return tram_fail(ctx, -ENOMEM, "out of memory for a splitting pattern");
		pcre2_get_error_message(err, (PCRE2_UCHAR *)text, sizeof(text));
		return tram_fail(ctx, -ENOTSUP, "tokenizer: its splitting pattern cannot be used: "
				 "%s at character %zu", text, (size_t)at);
	}
	/* Where there is no JIT the interpreter does the same work. */
	pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
	s->match = pcre2_match_data_create(1, NULL);
	if (!s->match) {
		tram_splitter_finish(s);
		return tram_fail(ctx, -ENOMEM, "out of memory for a splitting pattern");
	}
	return 0;
}

void tram_splitter_finish(struct tram_splitter *s)
{
	pcre2_match_data_free(s->match);
	pcre2_code_free(s->code);
	s->match = NULL;
	s->code = NULL;
}

int tram_split(struct tram_splitter *s, const char *text, size_t len,
	       int (*piece)(void *arg, const char *s, size_t n), void *arg)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(s->match);
	size_t at = 0;
	int r = 0;

	while (!r && at < len) {
		int m = pcre2_match(s->code, (PCRE2_SPTR)text, len, at, 0, s->match, NULL);

		if (m < 0 && m != PCRE2_ERROR_NOMATCH)
			return tram_fail(s->ctx, -EINVAL, "tokenizer: its splitting pattern fails on "
					 "the text near byte %zu (PCRE2 error %d)", at, m);
		if (m < 0)
			return piece(arg, text + at, len - at);
		/* What the pattern passes over is a piece too. */
		if (v[0] > at)
			r = piece(arg, text + at, v[0] - at);
		if (!r && v[1] > v[0])
			r = piece(arg, text + v[0], v[1] - v[0]);
		at = v[1] > at ? v[1] : at + 1;
	}
	return r;
}

/* --- merging -------------------------------------------------------------------------- */

int tram_encoder_init(struct tram_encoder *e, const struct tram_tokenizer *tok)
{
	*e = (struct tram_encoder){ .tok = tok };
	return tok->bytes ? 0 : tram_splitter_init(&e->split, tok->ctx, tok->tj.split_regex);
}

void tram_encoder_finish(struct tram_encoder *e)
{
	tram_splitter_finish(&e->split);
	tram_vec_free(e->tok->ctx, &e->symbols);
	tram_vec_free(e->tok->ctx, &e->heap);
}

static bool stronger(const struct tram_bpe_pair *a, const struct tram_bpe_pair *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void sift_up(struct tram_bpe_pair *h, size_t i)
{
	while (i && stronger(&h[i], &h[(i - 1) / 2])) {
		struct tram_bpe_pair t = h[i];

		h[i] = h[(i - 1) / 2];
		h[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
}

static struct tram_bpe_pair pop(struct tram_encoder *e)
{
	struct tram_bpe_pair *h = e->heap.v, top = h[0];
	size_t n = --e->heap.n, i = 0;

	h[0] = h[n];
	for (;;) {
		size_t c = 2 * i + 1;
		struct tram_bpe_pair t;

		if (c >= n)
			return top;
		if (c + 1 < n && stronger(&h[c + 1], &h[c]))
			c++;
		if (!stronger(&h[c], &h[i]))
			return top;
		t = h[i];
		h[i] = h[c];
		h[c] = t;
		i = c;
	}
}

static uint64_t pair_key(uint32_t left, uint32_t right)
{
	return (uint64_t)left << 32 | right;
}

/* The pair of @left and its right neighbour becomes a candidate if it can merge. */
static int consider(struct tram_encoder *e, int32_t left)
{
	const struct tram_bpe_symbol *s = e->symbols.v;
	struct tram_bpe_pair p;
	uint32_t rank;

	if (left < 0 || s[left].next < 0)
		return 0;
	p = (struct tram_bpe_pair){ .left = left, .left_id = s[left].id,
				    .right_id = s[s[left].next].id };
	rank = tram_map_get(&e->tok->merges, pair_key(p.left_id, p.right_id));
	if (rank == UINT32_MAX)
		return 0;
	p.rank = rank;
	if (tram_vec_push(e->tok->ctx, &e->heap, p))
		return -ENOMEM;
	sift_up(e->heap.v, e->heap.n - 1);
	return 0;
}

static int merge_all(struct tram_encoder *e)
{
	struct tram_bpe_symbol *s = e->symbols.v;
	int r = 0;

	while (!r && e->heap.n) {
		struct tram_bpe_pair p = pop(e);
		int32_t right = s[p.left].next;

		/* Stale: one side has been merged since. */
		if (s[p.left].id != p.left_id || right < 0 || s[right].id != p.right_id)
			continue;
		s[p.left].id = e->tok->tj.merges[p.rank].result;
		s[p.left].next = s[right].next;
		if (s[right].next >= 0)
			s[s[right].next].prev = p.left;
		s[right].id = UINT32_MAX;
		r = consider(e, s[p.left].prev);
		if (!r)
			r = consider(e, p.left);
	}
	return r;
}

static int encode_piece(void *arg, const char *text, size_t n)
{
	struct tram_encoder *e = arg;
	struct tram_ctx *ctx = e->tok->ctx;
	int r = 0;

	if (e->tok->tj.ignore_merges) {
		int64_t whole = tram_tokjson_find(&e->tok->tj, text, n);

		if (whole >= 0)
			return tram_vec_push(ctx, &e->out->ids, (uint32_t)whole);
	}
	e->symbols.n = 0;
	e->heap.n = 0;
	if (n > INT32_MAX)
		return tram_fail(ctx, -EINVAL, "text: one piece of %zu bytes, limit %d; split it "
				 "into lines", n, INT32_MAX);
	if (tram_vec_reserve(ctx, &e->symbols, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		e->symbols.v[e->symbols.n++] = (struct tram_bpe_symbol){
			.id = e->tok->byte_id[(uint8_t)text[i]], .prev = (int32_t)i - 1,
			.next = i + 1 < n ? (int32_t)i + 1 : -1,
		};
	for (size_t i = 0; !r && i + 1 < n; i++)
		r = consider(e, (int32_t)i);
	if (!r)
		r = merge_all(e);
	for (int32_t i = n ? 0 : -1; !r && i >= 0; i = e->symbols.v[i].next)
		r = tram_vec_push(ctx, &e->out->ids, e->symbols.v[i].id);
	return r;
}

/* --- whole texts -------------------------------------------------------------------------- */

/* The longest added token that starts at @s, or -1. */
static int64_t added_at(const struct tram_tokjson *tj, const char *s, size_t n, size_t *len)
{
	int64_t best = -1;

	*len = 0;
	for (uint32_t i = 0; i < tj->n_added; i++) {
		const struct tram_tok *t = &tj->tokens[tj->added[i]];

		if (t->len > *len && t->len <= n && !memcmp(t->bytes, s, t->len)) {
			best = tj->added[i];
			*len = t->len;
		}
	}
	return best;
}

static int encode_bytes(struct tram_encoder *e, const char *text, size_t len)
{
	if (tram_vec_reserve(e->tok->ctx, &e->out->ids, len))
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		e->out->ids.v[e->out->ids.n++] = (uint8_t)text[i];
	return 0;
}

static int encode_plain(struct tram_encoder *e, const char *text, size_t len)
{
	const struct tram_tokjson *tj = &e->tok->tj;
	struct tram_sbuf spaced = TRAM_SBUF_INIT(e->tok->ctx);
	int r;

	if (!len)
		return 0;
	if (!tj->use_regex && !tj->split_regex)
		return encode_piece(e, text, len);
	if (!tj->add_prefix_space || text[0] == ' ')
		return tram_split(&e->split, text, len, encode_piece, e);
	tram_sbuf_addc(&spaced, ' ');
	r = tram_sbuf_add(&spaced, text, len);
	if (!r)
		r = tram_split(&e->split, spaced.s, spaced.n, encode_piece, e);
	tram_sbuf_free(&spaced);
	return r;
}

int tram_encode(struct tram_encoder *e, const char *text, size_t len, struct tram_ids *out)
{
	const struct tram_tokjson *tj = &e->tok->tj;
	size_t begin = 0;
	int r = 0;

	e->out = out;
	if (e->tok->bytes)
		return encode_bytes(e, text, len);
	for (size_t i = 0; !r && tj->n_added && i < len;) {
		size_t n;
		int64_t id = added_at(tj, text + i, len - i, &n);

		if (id < 0) {
			i++;
			continue;
		}
		r = encode_plain(e, text + begin, i - begin);
		if (!r)
			r = tram_vec_push(e->tok->ctx, &out->ids, (uint32_t)id);
		i += n;
		begin = i;
	}
	return r ? r : encode_plain(e, text + begin, len - begin);
}
