/* SPDX-License-Identifier: MIT */
/*
 * Training a byte-level BPE vocabulary (Sennrich et al. 2016): the distinct
 * pieces of the text and how often each occurs; then, as often as needed, the
 * most frequent pair of neighbours becomes a token. Counts are kept up to date
 * by visiting only the pieces that hold the pair. Of equally frequent pairs
 * the one with the smaller ids is taken, so a text gives one vocabulary.
 */
#include "data/data.h"

#include "base/file.h"
#include "base/hash.h"

#define MAX_PIECE 256	/* longer pieces are noise (base64, rules of dashes): cut */

struct word {
	uint32_t first, n;	/* symbols, in trainer.symbols */
	uint64_t count;
	uint64_t hash;
	uint32_t same_hash;	/* next word of this hash, UINT32_MAX: none */
};

/* A pair, how often it occurs, and the words that (may) hold it. */
struct pair {
	uint32_t left, right;
	uint64_t count;
	TRAM_VEC(uint32_t) words;
};

struct trainer {
	struct tram_ctx *ctx;
	struct tram_splitter split;
	struct tram_map word_of, pair_of;
	TRAM_VEC(uint32_t) symbols;
	TRAM_VEC(struct word) words;
	TRAM_VEC(struct pair) pairs;
	TRAM_VEC(struct candidate { uint64_t count; uint32_t pair; }) heap;
	TRAM_VEC(struct tram_tok_merge) merges;
};

/* --- counting pieces ------------------------------------------------------------- */

static bool same_word(const struct trainer *t, const struct word *w, const char *s, size_t n)
{
	if (w->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (t->symbols.v[w->first + i] != (uint8_t)s[i])
			return false;
	return true;
}

static int add_word(struct trainer *t, const char *s, size_t n, uint64_t hash, uint32_t next)
{
	struct word w = { (uint32_t)t->symbols.n, (uint32_t)n, 1, hash, next };

	if (t->symbols.n + n > UINT32_MAX - 1)
		return tram_fail(t->ctx, -EFBIG, "train: the text has too many different words; "
				 "train on a part of it");
	if (tram_vec_reserve(t->ctx, &t->symbols, n) || tram_vec_push(t->ctx, &t->words, w))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		t->symbols.v[t->symbols.n++] = (uint8_t)s[i];
	return tram_map_put(&t->word_of, hash, (uint32_t)t->words.n - 1);
}

static int count_piece(void *arg, const char *s, size_t n)
{
	struct trainer *t = arg;
	int r = 0;

	for (size_t at = 0; !r && at < n; at += MAX_PIECE) {
		size_t len = TRAM_MIN(n - at, (size_t)MAX_PIECE);
		uint64_t hash = tram_hash64(s + at, len);
		uint32_t head = tram_map_get(&t->word_of, hash), i = head;

		while (i != UINT32_MAX && !same_word(t, &t->words.v[i], s + at, len))
			i = t->words.v[i].same_hash;
		if (i != UINT32_MAX)
			t->words.v[i].count++;
		else
			r = add_word(t, s + at, len, hash, head);
	}
	return r;
}

static int count_file(struct trainer *t, const char *path)
{
	size_t n;
	char *text;
	int r = tram_file_load(t->ctx, path, UINT32_MAX, &text, &n);

	if (!r) {
		r = tram_split(&t->split, text, n, count_piece, t);
		tram_free(t->ctx, text);
	}
	return r;
}

static int count_path(struct trainer *t, const char *path)
{
	struct tram_paths files;
	int r = tram_paths_list(t->ctx, path, &files);

	for (size_t i = 0; !r && i < files.v.n; i++)
		r = count_file(t, files.v.v[i]);
	tram_paths_free(t->ctx, &files);
	return r;
}

/* --- the heap: most frequent first ------------------------------------------------------ */

static bool before(const struct trainer *t, const struct candidate *a, const struct candidate *b)
{
	const struct pair *x = &t->pairs.v[a->pair], *y = &t->pairs.v[b->pair];

	if (a->count != b->count)
		return a->count > b->count;
	return x->left != y->left ? x->left < y->left : x->right < y->right;
}

static void sift_down(struct trainer *t, size_t i)
{
	struct candidate *h = t->heap.v, top = h[i];

	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= t->heap.n)
			break;
		if (c + 1 < t->heap.n && before(t, &h[c + 1], &h[c]))
			c++;
		if (!before(t, &h[c], &top))
			break;
		h[i] = h[c];
		i = c;
	}
	h[i] = top;
}

static int heap_push(struct trainer *t, uint32_t pair)
{
	struct candidate c = { t->pairs.v[pair].count, pair }, *h;
	size_t i = t->heap.n;

	if (tram_vec_push(t->ctx, &t->heap, c))
		return -ENOMEM;
	h = t->heap.v;
	while (i && before(t, &c, &h[(i - 1) / 2])) {
		h[i] = h[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h[i] = c;
	return 0;
}

/* --- counting pairs --------------------------------------------------------------------------- */

/* The pair's record, made if need be, or UINT32_MAX. */
static uint32_t pair_index(struct trainer *t, uint32_t left, uint32_t right)
{
	uint64_t key = (uint64_t)left << 32 | right;
	uint32_t i = tram_map_get(&t->pair_of, key);
	struct pair p = { .left = left, .right = right };

	if (i != UINT32_MAX)
		return i;
	if (tram_vec_push(t->ctx, &t->pairs, p))
		return UINT32_MAX;
	i = (uint32_t)t->pairs.n - 1;
	return tram_map_put(&t->pair_of, key, i) ? UINT32_MAX : i;
}

/* Word @w holds the pair once more. */
static int gain(struct trainer *t, uint32_t left, uint32_t right, uint32_t w)
{
	uint32_t i = pair_index(t, left, right);
	struct pair *p;

	if (i == UINT32_MAX)
		return -ENOMEM;
	p = &t->pairs.v[i];
	p->count += t->words.v[w].count;
	if (p->words.n && p->words.v[p->words.n - 1] == w)
		return 0;
	return tram_vec_push(t->ctx, &p->words, w);
}

static int first_pairs(struct trainer *t)
{
	int r = 0;

	for (uint32_t w = 0; !r && w < t->words.n; w++)
		for (uint32_t i = 1; !r && i < t->words.v[w].n; i++) {
			const uint32_t *s = &t->symbols.v[t->words.v[w].first + i];

			r = gain(t, s[-1], s[0], w);
		}
	for (uint32_t i = 0; !r && i < t->pairs.n; i++)
		r = heap_push(t, i);
	return r;
}

/* --- merging ------------------------------------------------------------------------------------- */

static void lose(struct trainer *t, uint32_t left, uint32_t right, uint64_t count)
{
	uint32_t i = tram_map_get(&t->pair_of, (uint64_t)left << 32 | right);

	if (i != UINT32_MAX)
		t->pairs.v[i].count -= count;
}

/*
 * Joins the pair wherever word @w holds it: all its pairs are taken out, the
 * symbols rewritten, the new pairs put in.
 */
static int merge_word(struct trainer *t, uint32_t w, uint32_t left, uint32_t right, uint32_t id)
{
	struct word *word = &t->words.v[w];
	uint32_t *s = &t->symbols.v[word->first], n = 0;
	bool found = false;
	int r = 0;

	for (uint32_t i = 1; i < word->n; i++)
		found |= s[i - 1] == left && s[i] == right;
	if (!found)
		return 0;
	for (uint32_t i = 1; i < word->n; i++)
		lose(t, s[i - 1], s[i], word->count);
	for (uint32_t i = 0; i < word->n; n++) {
		bool joined = i + 1 < word->n && s[i] == left && s[i + 1] == right;

		s[n] = joined ? id : s[i];
		i += joined ? 2 : 1;
	}
	word->n = n;
	for (uint32_t i = 1; !r && i < n; i++)
		r = gain(t, s[i - 1], s[i], w);
	/* Pairs with the new symbol are new candidates; the others' counts only fell. */
	for (uint32_t i = 1; !r && i < n; i++)
		if (s[i - 1] == id || s[i] == id)
			r = heap_push(t, tram_map_get(&t->pair_of,
						      (uint64_t)s[i - 1] << 32 | s[i]));
	return r;
}

static int merge_pair(struct trainer *t, uint32_t pair)
{
	uint32_t left = t->pairs.v[pair].left, right = t->pairs.v[pair].right;
	uint32_t id = 256 + (uint32_t)t->merges.n;
	struct tram_tok_merge m = { left, right, id };
	int r = tram_vec_push(t->ctx, &t->merges, m);

	/* pairs.v moves while pairs are added; this pair's list doesn't grow: it is being used up. */
	for (size_t k = 0; !r && k < t->pairs.v[pair].words.n; k++)
		r = merge_word(t, t->pairs.v[pair].words.v[k], left, right, id);
	tram_vec_free(t->ctx, &t->pairs.v[pair].words);
	t->pairs.v[pair].count = 0;
	return r;
}

static int merge_all(struct trainer *t, uint32_t n_merges)
{
	int r = first_pairs(t);

	while (!r && t->merges.n < n_merges && t->heap.n) {
		struct candidate top = t->heap.v[0];
		uint64_t now = t->pairs.v[top.pair].count;

		t->heap.v[0] = t->heap.v[--t->heap.n];
		if (t->heap.n)
			sift_down(t, 0);
		/* Out of date: put it back where it belongs now. */
		if (now != top.count)
			r = now && now < top.count ? heap_push(t, top.pair) : 0;
		else if (now < 2)
			break;
		else
			r = merge_pair(t, top.pair);
	}
	return r;
}

static void trainer_finish(struct trainer *t)
{
	for (size_t i = 0; i < t->pairs.n; i++)
		tram_vec_free(t->ctx, &t->pairs.v[i].words);
	tram_vec_free(t->ctx, &t->pairs);
	tram_vec_free(t->ctx, &t->words);
	tram_vec_free(t->ctx, &t->symbols);
	tram_vec_free(t->ctx, &t->heap);
	tram_vec_free(t->ctx, &t->merges);
	tram_map_finish(&t->word_of);
	tram_map_finish(&t->pair_of);
	tram_splitter_finish(&t->split);
}

int tram_tokenizer_train(struct tram_ctx *ctx, uint32_t vocab, const char *const *paths,
			 size_t n_paths, struct tram_tokenizer **tok)
{
	struct trainer t = { .ctx = ctx };
	struct tram_tokjson tj;
	int r;

	*tok = NULL;
	if (vocab < 257 || vocab > 65536)
		return tram_fail(ctx, -EINVAL, "train: a vocabulary of %u entries; 257 .. 65536 are "
				 "supported (256 of them are the bytes)", vocab);
	tram_map_init(&t.word_of, ctx);
	tram_map_init(&t.pair_of, ctx);
	r = tram_splitter_init(&t.split, ctx, NULL);
	for (size_t i = 0; !r && i < n_paths; i++)
		r = count_path(&t, paths[i]);
	if (!r)
		r = merge_all(&t, vocab - 256);
	if (!r && t.merges.n < vocab - 256)
		tram_log(ctx, TRAM_LOG_WARN, "train: the text gives %zu entries only, %u were asked "
			 "for", 256 + t.merges.n, vocab);
	if (!r)
		r = tram_tokjson_build(ctx, t.merges.v, (uint32_t)t.merges.n, &tj);
	trainer_finish(&t);
	return r ? r : tram_tokenizer_from(ctx, "train", &tj, tok);
}
