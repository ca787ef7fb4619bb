/* SPDX-License-Identifier: MIT */
/* Tokenizers, streams, order and the pipeline, as claims. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/test_heap.h"
#include "data/data.h"
#include "format/shard.h"

static struct tram_ctx *ctx;
static char dir[] = "/tmp/tram-data-XXXXXX";

static int setup(void **state)
{
	struct tram_ctx_params p = { .threads = 3 };

	return tram_ctx_create(&p, &ctx) || !mkdtemp(dir);
}

static int teardown(void **state)
{
	char cmd[64];

	tram_ctx_destroy(&ctx);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static const char *path_of(const char *name)
{
	static char p[8][128];
	static unsigned int k;

	snprintf(p[k % 8], sizeof(p[0]), "%s/%s", dir, name);
	return p[k++ % 8];
}

static const char *put(const char *name, const char *text, size_t n)
{
	const char *p = path_of(name);

	assert_int_equal(tram_file_store(ctx, p, text, n), 0);
	return p;
}

/* --- tokenizers --------------------------------------------------------------------- */

static const char sample[] =
	"The quick brown fox, it's said, jumped over 1234 lazy dogs.\n"
	"They'll  say:\tna\xc3\xafve caf\xc3\xa9 \xe2\x82\xac 5 \xf0\x9f\x99\x82!\n\n   indented\r\n"
	"broken \xff\xfe bytes \xc3 end";

static void assert_round_trip(struct tram_tokenizer *t, const char *text, size_t n)
{
	uint32_t *ids;
	size_t n_ids, at = 0;

	assert_int_equal(tram_tokenizer_encode(t, text, n, &ids, &n_ids), 0);
	for (size_t i = 0; i < n_ids; i++) {
		size_t len;
		const char *b = tram_tokenizer_bytes(t, ids[i], &len);

		assert_non_null(b);
		assert_true(at + len <= n && !memcmp(text + at, b, len));
		at += len;
	}
	assert_int_equal(at, n);
	tram_tokens_free(ctx, ids);
}

static void bytes_are_their_own_ids(void **state)
{
	struct tram_tokenizer *t;
	uint32_t *ids;
	size_t n;

	assert_int_equal(tram_tokenizer_open(ctx, "bytes", &t), 0);
	assert_int_equal(tram_tokenizer_vocab(t), 256);
	assert_int_equal(tram_tokenizer_encode(t, "a\xff\0z", 4, &ids, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(ids[0], 'a');
	assert_int_equal(ids[1], 255);
	assert_int_equal(ids[2], 0);
	tram_tokens_free(ctx, ids);
	tram_tokenizer_close(&t);
}

static struct tram_tokenizer *trained(uint32_t vocab)
{
	static const char *const words = "low low low low low lower lower newest newest newest "
		"newest newest newest widest widest widest the theme then there these\n";
	const char *text = put("train.txt", words, strlen(words));
	struct tram_tokenizer *t;

	assert_int_equal(tram_tokenizer_train(ctx, vocab, &text, 1, &t), 0);
	return t;
}

static void training_joins_the_most_frequent_pair_first(void **state)
{
	struct tram_tokenizer *t = trained(258);
	size_t n;

	/* " " + "n" x 6, "e" + "s" x 10 (newest 6, widest 3, these 1), "s" + "t" x 9, "l" + "o" x 7 */
	assert_int_equal(tram_tokenizer_vocab(t), 258);
	assert_memory_equal(tram_tokenizer_bytes(t, 256, &n), "es", 2);
	assert_memory_equal(tram_tokenizer_bytes(t, 257, &n), "est", 3);
	tram_tokenizer_close(&t);
}

static void encoding_gives_the_text_back(void **state)
{
	struct tram_tokenizer *t = trained(290);

	assert_round_trip(t, sample, sizeof(sample) - 1);
	assert_round_trip(t, "", 0);
	tram_tokenizer_close(&t);
}

static void saved_tokenizer_is_the_same_tokenizer(void **state)
{
	struct tram_tokenizer *t = trained(290), *u;
	const char *p = path_of("tokenizer.json");
	uint32_t *a, *b;
	size_t n, m;

	assert_int_equal(tram_tokenizer_save(t, p), 0);
	assert_int_equal(tram_tokenizer_open(ctx, p, &u), 0);
	assert_int_equal(tram_tokenizer_hash(t), tram_tokenizer_hash(u));
	assert_int_equal(tram_tokenizer_encode(t, sample, sizeof(sample) - 1, &a, &n), 0);
	assert_int_equal(tram_tokenizer_encode(u, sample, sizeof(sample) - 1, &b, &m), 0);
	assert_int_equal(n, m);
	assert_memory_equal(a, b, n * sizeof(*a));
	tram_tokens_free(ctx, a);
	tram_tokens_free(ctx, b);
	tram_tokenizer_close(&t);
	tram_tokenizer_close(&u);
}

/* Merges one after another over the whole piece: the definition, quadratic. */
static size_t slow_bpe(const struct tram_tokenizer *t, const char *s, size_t n, uint32_t *ids)
{
	for (size_t i = 0; i < n; i++)
		ids[i] = t->byte_id[(uint8_t)s[i]];
	for (;;) {
		uint32_t best = UINT32_MAX;
		size_t at = 0;

		for (size_t i = 0; i + 1 < n; i++) {
			uint32_t r = tram_map_get(&t->merges, (uint64_t)ids[i] << 32 | ids[i + 1]);

			if (r < best) {
				best = r;
				at = i;
			}
		}
		if (best == UINT32_MAX)
			return n;
		ids[at] = t->tj.merges[best].result;
		memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof(*ids));
		n--;
	}
}

static void heap_merges_as_the_definition_does(void **state)
{
	struct tram_tokenizer *t = trained(300);

	for (uint32_t k = 0; k < 300; k++) {
		uint32_t want[64], *got;
		size_t n = k % 60, n_want, n_got;
		char s[64];

		for (size_t i = 0; i < n; i++)
			s[i] = "lowernsthid"[tram_philox(k, (uint32_t)i, 0, 0, 1, 2).v[0] % 11];
		n_want = slow_bpe(t, s, n, want);
		assert_int_equal(tram_tokenizer_encode(t, s, n, &got, &n_got), 0);
		assert_int_equal(n_got, n_want);
		assert_memory_equal(got, want, n_got * sizeof(*got));
		tram_tokens_free(ctx, got);
	}
	tram_tokenizer_close(&t);
}

static void vocabulary_size_is_bounded(void **state)
{
	const char *text = put("t.txt", "abc", 3);
	struct tram_tokenizer *t;

	assert_int_equal(tram_tokenizer_train(ctx, 256, &text, 1, &t), -EINVAL);
	assert_int_equal(tram_tokenizer_train(ctx, 70000, &text, 1, &t), -EINVAL);
	assert_null(t);
}

/* --- streams --------------------------------------------------------------------------- */

/* Words and line feeds, long enough for several chunks. */
static char *long_text(size_t n)
{
	char *s = malloc(n);

	for (size_t i = 0; i < n; i++) {
		uint32_t r = tram_philox((uint32_t)i, 0, 0, 0, 7, 7).v[0];

		s[i] = r % 40 == 0 ? '\n' : r % 6 == 0 ? ' ' : (char)('a' + r % 26);
	}
	return s;
}

static void threads_do_not_show_in_the_ids(void **state)
{
	struct tram_tokenizer *t = trained(300);
	size_t n = 1500000, n_ids;
	char *text = long_text(n);
	const char *p = put("long.txt", text, n);
	struct tram_stream *s;
	uint32_t *ids, *got;

	assert_int_equal(tram_stream_open(ctx, p, t, &s), 0);
	assert_int_equal(tram_tokenizer_encode(t, text, n, &ids, &n_ids), 0);
	assert_int_equal(tram_stream_tokens(s), n_ids);
	got = malloc(n_ids * sizeof(*got));
	assert_int_equal(tram_stream_read(s, 0, n_ids, got), 0);
	assert_memory_equal(got, ids, n_ids * sizeof(*got));
	assert_int_equal(tram_stream_read(s, n_ids - 1, 2, got), -EINVAL);
	free(got);
	free(text);
	tram_tokens_free(ctx, ids);
	tram_stream_close(&s);
	tram_tokenizer_close(&t);
}

static void put_shard(const char *path, uint32_t first, uint32_t n)
{
	struct tram_shard_writer *w;

	assert_int_equal(tram_shard_writer_create(ctx, path, 2, &w), 0);
	for (uint32_t i = first; i < first + n; i++)
		assert_int_equal(tram_shard_writer_append(ctx, w, &i, 1), 0);
	assert_int_equal(tram_shard_writer_commit(ctx, &w), 0);
}

static void shards_join_into_one_stream(void **state)
{
	const char *folder = path_of("shards");
	struct tram_stream *s;
	uint32_t got[100];

	mkdir(folder, 0777);
	put_shard(path_of("shards/a.bin"), 0, 30);
	put_shard(path_of("shards/b.bin"), 30, 1);
	put_shard(path_of("shards/c.bin"), 31, 69);
	assert_int_equal(tram_stream_open(ctx, folder, NULL, &s), 0);
	assert_int_equal(tram_stream_tokens(s), 100);
	for (uint32_t first = 0; first < 100; first += 7) {
		size_t n = TRAM_MIN(100 - first, 41u);

		assert_int_equal(tram_stream_read(s, first, n, got), 0);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(got[i], first + i);
	}
	tram_stream_close(&s);
}

static void text_and_shards_do_not_mix(void **state)
{
	const char *folder = path_of("mixed");
	struct tram_stream *s;

	mkdir(folder, 0777);
	put_shard(path_of("mixed/a.bin"), 0, 3);
	put("mixed/b.txt", "text", 4);
	assert_int_equal(tram_stream_open(ctx, folder, NULL, &s), -EINVAL);
	assert_non_null(strstr(tram_error(ctx), "different folders"));
	assert_int_equal(tram_stream_open(ctx, path_of("mixed/b.txt"), NULL, &s), -EINVAL);
	assert_non_null(strstr(tram_error(ctx), "--tokenizer"));
}

/* --- order ------------------------------------------------------------------------------ */

static void an_epoch_uses_every_window_once(void **state)
{
	static const uint64_t tokens[] = { 9, 17, 64, 1000, 4099 };

	for (size_t k = 0; k < TRAM_ARRAY_SIZE(tokens); k++) {
		struct tram_sampler_order o;
		unsigned char *seen = calloc(tokens[k], 1);
		uint64_t epoch, shift = UINT64_MAX;

		assert_int_equal(tram_order_init(ctx, &o, TRAM_ORDER_SHUFFLED, 5, tokens[k], 8), 0);
		for (uint64_t p = 0; p < o.windows; p++) {
			uint64_t first = tram_order_first(&o, 3 * o.windows + p, &epoch);

			assert_int_equal(epoch, 3);
			assert_true(first + 8 + 1 <= tokens[k]);
			shift = shift == UINT64_MAX ? first % 8 : shift;
			assert_int_equal(first % 8, shift);
			assert_int_equal(seen[first]++, 0);
		}
		free(seen);
	}
}

static void epochs_differ_and_seeds_differ(void **state)
{
	struct tram_sampler_order a, b;
	uint64_t epoch, same_epoch = 0, same_seed = 0;

	tram_order_init(ctx, &a, TRAM_ORDER_SHUFFLED, 1, 80001, 8);
	tram_order_init(ctx, &b, TRAM_ORDER_SHUFFLED, 2, 80001, 8);
	for (uint64_t p = 0; p < 1000; p++) {
		uint64_t x = tram_order_first(&a, p, &epoch);

		same_epoch += x == tram_order_first(&a, p + a.windows, &epoch);
		same_seed += x == tram_order_first(&b, p, &epoch);
	}
	assert_true(same_epoch < 10 && same_seed < 10);
}

static void sequential_order_wraps_into_the_next_epoch(void **state)
{
	struct tram_sampler_order o;
	uint64_t epoch;

	assert_int_equal(tram_order_init(ctx, &o, TRAM_ORDER_SEQUENTIAL, 0, 25, 8), 0);
	assert_int_equal(tram_order_first(&o, 2, &epoch), 16);
	assert_int_equal(epoch, 0);
	assert_int_equal(tram_order_first(&o, 3, &epoch), 0);
	assert_int_equal(epoch, 1);
	assert_int_equal(tram_order_init(ctx, &o, TRAM_ORDER_SEQUENTIAL, 0, 8, 8), -EINVAL);
}

/* --- the pipeline -------------------------------------------------------------------------- */

static struct tram_stream *shard_stream(uint32_t n)
{
	const char *p = path_of("pipe.bin");
	struct tram_stream *s;

	put_shard(p, 0, n);
	assert_int_equal(tram_stream_open(ctx, p, NULL, &s), 0);
	return s;
}

static void batches_resume_where_they_left_off(void **state)
{
	struct tram_stream *s = shard_stream(1000);
	struct tram_loader_params p = { .batch = 4, .seq = 8, .shards = 2, .vocab = 1000,
					.seed = 9 };
	struct tram_loader *a, *b;
	struct tram_batch_data x, y;

	assert_int_equal(tram_loader_create(ctx, s, &p, &a), 0);
	p.first_step = 40;
	p.depth = 3;
	assert_int_equal(tram_loader_create(ctx, s, &p, &b), 0);
	for (uint64_t i = 0; i < 40; i++)
		assert_int_equal(tram_loader_next(a, &x), 0);
	for (uint64_t i = 40; i < 80; i++) {
		assert_int_equal(tram_loader_next(a, &x), 0);
		assert_int_equal(tram_loader_next(b, &y), 0);
		assert_int_equal(x.step, i);
		assert_int_equal(y.step, i);
		assert_memory_equal(x.tokens, y.tokens, 32 * 4);
		assert_memory_equal(x.targets, y.targets, 32 * 4);
		assert_memory_equal(x.order, y.order, 32 * 4);
		for (int t = 0; t < 32; t++)
			assert_int_equal(x.targets[t], x.tokens[t] + 1);
	}
	tram_loader_destroy(&a);
	tram_loader_destroy(&b);
	tram_stream_close(&s);
}

static void order_sorts_each_shard_stably(void **state)
{
	const char *text = put("ab.txt", "abracadabra abracadabra abracadabra", 35);
	struct tram_loader_params p = { .batch = 2, .seq = 16, .shards = 2, .vocab = 256,
					.order = TRAM_ORDER_SEQUENTIAL };
	struct tram_tokenizer *t;
	struct tram_stream *s;
	struct tram_loader *l;
	struct tram_batch_data b;

	assert_int_equal(tram_tokenizer_open(ctx, "bytes", &t), 0);
	assert_int_equal(tram_stream_open(ctx, text, t, &s), 0);
	assert_int_equal(tram_loader_create(ctx, s, &p, &l), 0);
	assert_int_equal(tram_loader_next(l, &b), 0);
	for (int shard = 0; shard < 2; shard++) {
		const int32_t *tok = b.tokens + 16 * shard, *ord = b.order + 16 * shard;

		for (int i = 1; i < 16; i++)
			assert_true(tok[ord[i - 1]] < tok[ord[i]] ||
				    (tok[ord[i - 1]] == tok[ord[i]] && ord[i - 1] < ord[i]));
	}
	tram_loader_destroy(&l);
	tram_stream_close(&s);
	tram_tokenizer_close(&t);
}

static void a_token_past_the_vocabulary_is_named(void **state)
{
	struct tram_stream *s = shard_stream(1000);
	struct tram_loader_params p = { .batch = 4, .seq = 8, .vocab = 500,
					.order = TRAM_ORDER_SEQUENTIAL };
	struct tram_loader *l;
	struct tram_batch_data b;
	int r = 0;

	assert_int_equal(tram_loader_create(ctx, s, &p, &l), 0);
	for (int i = 0; !r && i < 100; i++)
		r = tram_loader_next(l, &b);
	assert_int_equal(r, -EINVAL);
	assert_non_null(strstr(tram_error(ctx), "token 500"));
	assert_int_equal(tram_loader_next(l, &b), -EINVAL);
	tram_loader_destroy(&l);
	tram_stream_close(&s);
}

static void a_file_that_shrinks_under_the_run_is_an_error(void **state)
{
	struct tram_stream *s = shard_stream(5000);
	struct tram_loader_params p = { .batch = 4, .seq = 8, .vocab = 5000 };
	struct tram_loader *l;
	struct tram_batch_data b;
	int r = 0;

	assert_int_equal(tram_loader_create(ctx, s, &p, &l), 0);
	assert_int_equal(tram_loader_next(l, &b), 0);
	assert_int_equal(truncate(path_of("pipe.bin"), 1100), 0);
	for (int i = 0; !r && i < 100; i++)
		r = tram_loader_next(l, &b);
	assert_int_equal(r, -ESTALE);
	assert_non_null(strstr(tram_error(ctx), "pipe.bin"));
	tram_loader_destroy(&l);
	tram_stream_close(&s);
}

static void stages_are_counted(void **state)
{
	struct tram_stream *s = shard_stream(1000);
	struct tram_loader_params p = { .batch = 4, .seq = 8, .vocab = 1000 };
	struct tram_stage_stats st[8];
	struct tram_loader *l;
	struct tram_batch_data b;

	assert_int_equal(tram_loader_create(ctx, s, &p, &l), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(tram_loader_next(l, &b), 0);
	assert_int_equal(tram_loader_stats(l, st, 8), 4);
	assert_string_equal(st[0].name, "tokenize");
	for (int i = 1; i < 4; i++) {
		assert_true(st[i].items >= 50 && st[i].items <= 50 + 16);
		assert_true(st[i].busy_s > 0);
	}
	tram_loader_destroy(&l);
	tram_stream_close(&s);
}

/* --- out of memory ----------------------------------------------------------------------------- */

static int tokenize_chain(struct tram_ctx *c, void *arg)
{
	const char *text = arg;
	struct tram_tokenizer *t = NULL;
	struct tram_stream *s = NULL;
	int r = tram_tokenizer_train(c, 280, &text, 1, &t);

	if (!r)
		r = tram_stream_open(c, text, t, &s);
	tram_stream_close(&s);
	tram_tokenizer_close(&t);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	struct tram_tokenizer *t = trained(260);

	tram_tokenizer_close(&t);
	assert_true(test_heap_each_failure(tokenize_chain, (void *)path_of("train.txt")) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_their_own_ids),
		cmocka_unit_test(training_joins_the_most_frequent_pair_first),
		cmocka_unit_test(encoding_gives_the_text_back),
		cmocka_unit_test(saved_tokenizer_is_the_same_tokenizer),
		cmocka_unit_test(heap_merges_as_the_definition_does),
		cmocka_unit_test(vocabulary_size_is_bounded),
		cmocka_unit_test(threads_do_not_show_in_the_ids),
		cmocka_unit_test(shards_join_into_one_stream),
		cmocka_unit_test(text_and_shards_do_not_mix),
		cmocka_unit_test(an_epoch_uses_every_window_once),
		cmocka_unit_test(epochs_differ_and_seeds_differ),
		cmocka_unit_test(sequential_order_wraps_into_the_next_epoch),
		cmocka_unit_test(batches_resume_where_they_left_off),
		cmocka_unit_test(order_sorts_each_shard_stably),
		cmocka_unit_test(a_token_past_the_vocabulary_is_named),
		cmocka_unit_test(a_file_that_shrinks_under_the_run_is_an_error),
		cmocka_unit_test(stages_are_counted),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
