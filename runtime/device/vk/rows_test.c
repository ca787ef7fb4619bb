/* SPDX-License-Identifier: MIT */
/*
 * Claims about the shaders of everything but products and attention: each call gives what
 * the oracle gives, on whole tiles, tails, primes and single elements, in place where
 * the op table allows it; a row's bits depend on nothing but the row; a fused
 * program has the bits of its parts; a closed gate writes nothing.
 *
 * Runs on device TRAM_TEST_DEVICE (vk0), as it is and once more as if it were a GPU, which
 * brings workgroups of several subgroups.
 */
#include "device/vk/test_trial.h"

/* --- rows -------------------------------------------------------------------------------- */

static const uint32_t rows_and_columns[][2] = {
	{ 1, 1 }, { 1, 7 }, { 3, 8 }, { 5, 16 }, { 2, 31 }, { 7, 32 }, { 4, 33 }, { 1, 64 },
	{ 3, 127 }, { 13, 257 }, { 2, 1024 }, { 3, 2053 }, { 70, 3 },
};

#define EACH_SHAPE(n_, c_) \
	for (size_t k_ = 0; k_ < TRAM_ARRAY_SIZE(rows_and_columns); k_++) \
		for (uint32_t n_ = rows_and_columns[k_][0], c_ = rows_and_columns[k_][1]; n_; n_ = 0)

static void softmax_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (int in_place = 0; in_place < 2; in_place++) {
			struct trial t = { .op = TRAM_OP_SOFTMAX, .n_in = 1,
					   .in = { TRAM_SHAPE(n, c) }, .lo = -30, .hi = 20,
					   .atol = 1e-7, .rtol = 4e-6, .in_place = in_place };

			run_trial(*state, &t);
		}
	}
}

static void softmax_bwd_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (int in_place = 0; in_place < 2; in_place++) {
			struct trial t = { .op = TRAM_OP_SOFTMAX_BWD, .n_in = 2,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n, c) },
					   .lo = 0, .hi = 1, .atol = 1e-6 * sqrt(c), .rtol = 1e-5,
					   .in_place = in_place };

			run_trial(*state, &t);
		}
	}
}

static void layernorm_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (uint32_t rms = 0; rms < 2; rms++) {
			struct trial t = { .op = TRAM_OP_LAYERNORM, .n_in = 3 - rms,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(c), TRAM_SHAPE(c) },
					   .attr.norm = { .eps = 1e-5f, .shards = 1, .rms = rms },
					   .lo = -1, .hi = 3, .atol = 2e-6, .rtol = 1e-5 };

			run_trial(*state, &t);
		}
	}
}

static void layernorm_bwd_x_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (uint32_t how = 0; how < 4; how++) {
			bool add = how & 1, rms = how & 2;
			struct trial t = { .op = TRAM_OP_LAYERNORM_BWD_X, .n_in = 4 + add,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n, c), TRAM_SHAPE(c),
						   TRAM_SHAPE(n, 2), TRAM_SHAPE(n, c) },
					   .attr.norm = { .eps = 1e-5f, .shards = 1, .add = add,
							  .rms = rms },
					   .lo = -1, .hi = 1.5, .atol = 4e-6, .rtol = 1e-5 };

			run_trial(*state, &t);
		}
	}
}

static void layernorm_bwd_p_is_the_oracles(void **state)
{
	static const uint32_t shapes[][3] = { /* shards, rows of all shards, columns */
		{ 1, 1, 1 }, { 1, 7, 5 }, { 2, 14, 33 }, { 1, 128, 32 }, { 1, 129, 31 },
		{ 4, 1200, 64 }, { 1, 9000, 3 }, { 3, 3 * 8300, 37 },
	};

	for (size_t i = 0; i < 2 * TRAM_ARRAY_SIZE(shapes); i++) {
		const uint32_t *shape = shapes[i / 2];
		uint32_t s = shape[0], n = shape[1], c = shape[2];
		struct trial t = { .op = TRAM_OP_LAYERNORM_BWD_P, .n_in = 3, .shards = s,
				   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n, c), TRAM_SHAPE(n, 2) },
				   .attr.norm = { .eps = 1e-5f, .shards = s, .rms = i % 2 },
				   .lo = -1, .hi = 1.5, .atol = 1e-6 * sqrt(n), .rtol = 1e-5 };

		run_trial(*state, &t);
	}
}

/* In place too: then the heads that stay are not written. */
static void rope_is_the_oracles(void **state)
{
	static const uint32_t shapes[][5] = { /* B, T, heads, rotated, D */
		{ 1, 1, 1, 1, 2 }, { 2, 7, 3, 2, 6 }, { 1, 33, 4, 4, 64 }, { 3, 5, 9, 6, 128 },
	};

	for (size_t i = 0; i < 8 * TRAM_ARRAY_SIZE(shapes); i++) {
		const uint32_t *s = shapes[i / 8];
		struct trial t = { .op = TRAM_OP_ROPE, .n_in = 1,
				   .in = { TRAM_SHAPE(s[0], s[1], s[2] * s[4]) },
				   .attr.rope = { .heads = s[2], .rotated = s[3], .theta = 1e4f,
						  .inverse = i & 2, .at_pos = i & 4 },
				   .lo = -1, .hi = 1, .atol = 5e-7, .rtol = 0, .in_place = i & 1 };

		run_trial(*state, &t);
	}
}

static void argmax_is_the_first_largest(void **state)
{
	struct fixture *fx = *state;

	EACH_SHAPE(n, c) {
		struct trial t = { .op = TRAM_OP_ARGMAX, .n_in = 1, .in = { TRAM_SHAPE(n, c) } };

		trial_begin(fx, &t);
		/* few values, so that there are ties */
		for (uint64_t i = 0; i < (uint64_t)n * c; i++)
			t.f[0][i] = (float)(draw(fx) >> 30);
		trial_check(fx, &t);
		trial_end(&t);
	}
}

static void xent_partial_merges_chunks(void **state)
{
	EACH_SHAPE(n, c) {
		for (uint32_t old = 0; old < 2; old++) {
			struct trial t = { .op = TRAM_OP_XENT_PARTIAL, .n_in = 2 + old,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n),
						   TRAM_SHAPE(n, 4) },
					   .in_type = { TRAM_F32, TRAM_I32 },
					   .attr.xent = { .first = 5, .state = old }, .lo = 0.5,
					   .hi = 8, .ilo = -1, .ihi = (int32_t)c + 12,
					   .rtol = 1e-5 };

			run_trial(*state, &t);
		}
	}
}

static void xent_final_is_the_oracles(void **state)
{
	static const uint32_t rows[] = { 1, 7, 8, 257, 1000 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(rows); i++) {
		uint32_t n = rows[i];
		struct trial t = { .op = TRAM_OP_XENT_FINAL, .n_in = 2,
				   .in = { TRAM_SHAPE(n, 4), TRAM_SHAPE(n) },
				   .in_type = { TRAM_F32, TRAM_I32 }, .lo = 0.1f, .hi = 30,
				   .ilo = -1, .ihi = 2, .atol = 1e-6, .rtol = 1e-5 };

		run_trial(*state, &t);
	}
}

static void xent_grad_is_the_oracles(void **state)
{
	EACH_SHAPE(n, c) {
		for (int in_place = 0; in_place < 2; in_place++) {
			struct trial t = { .op = TRAM_OP_XENT_GRAD, .n_in = 3,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n), TRAM_SHAPE(n) },
					   .in_type = { TRAM_F32, TRAM_F32, TRAM_I32 },
					   .attr.xent = { .first = 3 }, .lo = 0, .hi = 4,
					   .ilo = -1, .ihi = (int32_t)c + 6, .atol = 1e-7,
					   .rtol = 1e-5, .in_place = in_place };

			run_trial(*state, &t);
		}
	}
}

/* The same row, alone and among others at another place. */
static void bits_of_a_row_depend_on_the_row_alone(void **state)
{
	static const enum tram_op ops[] = { TRAM_OP_SOFTMAX, TRAM_OP_LAYERNORM };
	struct fixture *fx = *state;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(ops); i++) {
		for (uint32_t c = 5; c < 2000; c = c * 3 + 1) {
			struct trial many = { .op = ops[i], .n_in = i ? 3 : 1,
					      .in = { TRAM_SHAPE(11, c), TRAM_SHAPE(c),
						      TRAM_SHAPE(c) },
					      .attr.norm = { .eps = 1e-5f, .shards = 1 } };
			struct trial one = many;

			one.in[0] = TRAM_SHAPE(1, c);
			trial_begin(fx, &many);
			trial_begin(fx, &one);
			for (uint32_t k = 0; k < many.n_in; k++)
				memcpy(one.f[k], many.f[k] + (k ? 0 : 7 * c), c * 4);
			trial_device(fx, &many);
			trial_device(fx, &one);
			assert_memory_equal(one.got[0], many.got[0] + 7 * c, c * 4);
			trial_end(&many);
			trial_end(&one);
		}
	}
}

/* --- reductions ---------------------------------------------------------------------------------- */

static void reductions_are_the_oracles(void **state)
{
	static const uint32_t shapes[][3] = {
		{ 1, 1, 1 }, { 1, 5, 1 }, { 3, 1, 7 }, { 2, 33, 1 }, { 2, 128, 5 }, { 3, 129, 40 },
		{ 1, 1000, 64 }, { 70, 3, 1 }, { 1, 20011, 1 }, { 2, 16385, 1 }, { 1, 9001, 3 },
		{ 5, 2, 333 }, { 1, 300000, 1 },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(shapes); i++) {
		for (uint32_t kind = 0; kind < 3; kind++) {
			uint32_t o = shapes[i][0], m = shapes[i][1], n = shapes[i][2];
			struct trial t = { .op = TRAM_OP_REDUCE, .n_in = 1,
					   .in = { TRAM_SHAPE(o, m, n) },
					   .attr.reduce = { kind, o, m, n },
					   .atol = kind == TRAM_REDUCE_SUM ? 1e-6 * sqrt(m) : 1e-6,
					   .rtol = 1e-5 };

			run_trial(*state, &t);
		}
	}
}

static float tree(const float *x, size_t n, size_t stride)
{
	size_t left = 1;

	if (n == 1)
		return x[0];
	while (left * 2 < n)
		left *= 2;
	return tree(x, left, stride) + tree(x + left * stride, n - left, stride);
}

static void tree_sum_is_the_tree_to_the_bit(void **state)
{
	static const uint32_t shapes[][2] = { { 1, 5 }, { 2, 33 }, { 3, 1 }, { 4, 700 }, { 5, 31 },
					      { 7, 64 }, { 8, 3 }, { 11, 40 }, { 16, 16 },
					      { 17, 9 }, { 40, 33 }, { 300, 7 } };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(shapes); i++) {
		uint32_t s = shapes[i][0], n = shapes[i][1];
		struct trial t = { .op = TRAM_OP_TREE_SUM, .n_in = 1, .in = { TRAM_SHAPE(s, n) },
				   .atol = 1e-4, .rtol = 1e-5 };

		trial_begin(*state, &t);
		trial_check(*state, &t);
		for (uint32_t k = 0; k < n; k++)
			assert_true(t.got[0][k] == tree(t.f[0] + k, s, n));
		trial_end(&t);
	}
}

static void isfinite_finds_one_bad_element(void **state)
{
	static const uint32_t sizes[] = { 1, 127, 128, 100003 };
	static const float bad[] = { INFINITY, -INFINITY, NAN };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sizes); i++) {
		for (int k = -1; k < 3; k++) {
			struct trial t = { .op = TRAM_OP_ISFINITE, .n_in = 1,
					   .in = { TRAM_SHAPE(sizes[i]) } };

			trial_begin(*state, &t);
			t.f[0][0] = 3e38f;
			if (k >= 0)
				t.f[0][sizes[i] - 1 - (sizes[i] / 3) * (k == 1)] = bad[k];
			trial_check(*state, &t);
			trial_end(&t);
		}
	}
}

static void stats_are_the_oracles(void **state)
{
	static const uint32_t sizes[] = { 1, 5, 16384, 16385, 100003 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sizes); i++) {
		for (int k = 0; k < 2; k++) {
			struct trial t = { .op = TRAM_OP_STATS_PARTIAL, .n_in = 1,
					   .in = { TRAM_SHAPE(sizes[i]) }, .rtol = 1e-5 };
			struct trial u = { .op = TRAM_OP_STATS_FINAL, .n_in = 1, .rtol = 1e-5 };

			trial_begin(*state, &t);
			if (k)
				t.f[0][sizes[i] / 2] = NAN;
			trial_oracle(*state, &t);
			trial_device(*state, &t);
			if (!k)
				trial_compare(&t);
			u.in[0] = t.out[0];
			trial_begin(*state, &u);
			memcpy(u.f[0], t.got[0], tram_shape_count(&t.out[0]) * 4);
			trial_device(*state, &u);
			assert_true(u.got[0][1] == (k ? 0 : 1));
			if (!k) {
				trial_oracle(*state, &u);
				trial_compare(&u);
			}
			trial_end(&u);
			trial_end(&t);
		}
	}
}

/* --- moving ---------------------------------------------------------------------------------------- */

static void transposes_are_the_oracles(void **state)
{
	static const struct { struct tram_shape shape; uint32_t perm[TRAM_MAX_RANK]; } c[] = {
		{ { 2, { 3, 5 } }, { 1, 0 } }, { { 2, { 64, 33 } }, { 1, 0 } },
		{ { 3, { 2, 3, 37 } }, { 1, 0, 2 } }, { { 3, { 2, 3, 37 } }, { 2, 1, 0 } },
		{ { 4, { 2, 5, 3, 16 } }, { 0, 2, 1, 3 } }, { { 4, { 2, 5, 3, 4 } }, { 3, 0, 2, 1 } },
		{ { 6, { 2, 3, 2, 3, 2, 3 } }, { 5, 3, 1, 4, 2, 0 } }, { { 1, { 9 } }, { 0 } },
		{ { 3, { 1, 4, 1 } }, { 2, 0, 1 } }, { { 3, { 4, 5, 6 } }, { 0, 1, 2 } },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(c); i++) {
		struct trial t = { .op = TRAM_OP_TRANSPOSE, .n_in = 1, .in = { c[i].shape } };

		memcpy(t.attr.transpose.perm, c[i].perm, sizeof(c[i].perm));
		run_trial(*state, &t);
	}
}

static void slices_and_concats_are_the_oracles(void **state)
{
	for (uint32_t axis = 0; axis < 3; axis++) {
		for (uint32_t inner = 1; inner < 700; inner = inner * 5 + 2) {
			struct trial t = { .op = TRAM_OP_SLICE, .n_in = 1,
					   .in = { TRAM_SHAPE(5, 6, inner + 4) },
					   .attr.slice = { axis, 1, 3 } };
			struct trial u = { .op = TRAM_OP_CONCAT, .n_in = 3,
					   .in = { TRAM_SHAPE(2, 3, inner), TRAM_SHAPE(2, 3, inner),
						   TRAM_SHAPE(2, 3, inner) },
					   .attr.concat = { axis } };

			u.in[0].dim[axis] += 2;
			u.in[2].dim[axis] = 1;
			run_trial(*state, &t);
			run_trial(*state, &u);
		}
	}
}

static void pack_fills_gaps_with_zeros(void **state)
{
	static const uint64_t offset[] = { 3, 64, 128 };
	struct trial t = { .op = TRAM_OP_PACK, .n_in = 3,
			   .in = { TRAM_SHAPE(5), TRAM_SHAPE(2, 32), TRAM_SHAPE(7, 3) },
			   .attr.pack = { offset, 200 } };

	run_trial(*state, &t);
}

static void copies_copy(void **state)
{
	struct trial t = { .op = TRAM_OP_COPY, .n_in = 1, .in = { TRAM_SHAPE(77, 3) } };

	run_trial(*state, &t);
}

static void sort_places(const int32_t *tokens, int32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = i;

		for (; k > 0 && tokens[order[k - 1]] > tokens[i]; k--)
			order[k] = order[k - 1];
		order[k] = (int32_t)i;
	}
}

static void embeddings_are_the_oracles(void **state)
{
	static const uint32_t shapes[][4] = { /* shards, places, vocabulary, columns */
		{ 1, 1, 1, 1 }, { 1, 40, 7, 33 }, { 2, 60, 50, 8 }, { 3, 96, 5, 130 },
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(shapes); i++) {
		uint32_t s = shapes[i][0], n = shapes[i][1], v = shapes[i][2], c = shapes[i][3];
		struct trial t = { .op = TRAM_OP_EMBEDDING, .n_in = 3, .shards = s,
				   .in = { TRAM_SHAPE(v, c), TRAM_SHAPE(n), TRAM_SHAPE(n) },
				   .in_type = { TRAM_F32, TRAM_I32, TRAM_I32 },
				   .attr.embedding = { v, s, false }, .ilo = -1, .ihi = (int32_t)v };

		run_trial(*state, &t);
		for (int k = 0; k < 3; k++) {	/* zero, base, base in place */
			struct trial b = { .op = TRAM_OP_EMBEDDING_BWD, .n_in = 3 + (k > 0),
					   .shards = s,
					   .in = { TRAM_SHAPE(n, c), TRAM_SHAPE(n), TRAM_SHAPE(n),
						   TRAM_SHAPE(s, v, c) },
					   .in_type = { TRAM_F32, TRAM_I32, TRAM_I32 },
					   .attr.embedding = { v, s, k > 0 }, .ilo = -1,
					   .ihi = (int32_t)v, .atol = 1e-5, .rtol = 1e-5,
					   .in_place = k == 2 };

			trial_begin(fx, &b);
			for (uint32_t j = 0; j < s; j++)
				sort_places((int32_t *)b.f[1] + j * (n / s),
					    (int32_t *)b.f[2] + j * (n / s), n / s);
			trial_check(fx, &b);
			trial_end(&b);
		}
	}
}

/* --- optimizers -------------------------------------------------------------------------------------- */

static void optimizer_trial(struct fixture *fx, struct trial *t, uint32_t n, float norm)
{
	uint32_t stats = t->n_in - 1;

	for (uint32_t i = 0; i < stats; i++)
		t->in[i] = TRAM_SHAPE(n);
	t->in[stats] = TRAM_SHAPE(4);
	t->atol = 1e-6;
	t->rtol = 1e-5;
	trial_begin(fx, t);
	if (t->op == TRAM_OP_ADAMW)	/* a mean of squares */
		for (uint32_t i = 0; i < n; i++)
			t->f[2][i] = fabsf(t->f[2][i]);
	memcpy(t->f[stats], (float[]){ norm * norm, 1, norm, 0 }, 16);
	trial_check(fx, t);
}

static void optimizers_are_the_oracles(void **state)
{
	static const uint32_t sizes[] = { 1, 31, 32, 1021 };

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sizes); i++) {
		for (int k = 0; k < 3; k++) {	/* no clip, idle clip, clip */
			struct trial a = { .op = TRAM_OP_ADAMW, .n_in = 5,
					   .attr.opt = { .beta1 = 0.9f, .beta2 = 0.95f,
							 .eps = 1e-8f, .weight_decay = 0.1f,
							 .clip = k ? 1 : 0,
							 .decay_count = sizes[i] / 2 } };
			struct trial s = { .op = TRAM_OP_SGD, .n_in = 4,
					   .attr.opt = { .momentum = 0.9f, .weight_decay = 0.1f,
							 .clip = k ? 1 : 0,
							 .decay_count = sizes[i] / 2 } };

			optimizer_trial(*state, &a, sizes[i], k == 2 ? 3 : 0.5f);
			optimizer_trial(*state, &s, sizes[i], k == 2 ? 3 : 0.5f);
			trial_end(&a);
			trial_end(&s);
		}
	}
}

static void closed_gate_writes_nothing(void **state)
{
	struct fixture *fx = *state;
	struct trial a = { .op = TRAM_OP_ADAMW, .n_in = 5,
			   .attr.opt = { .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f } };
	struct trial s = { .op = TRAM_OP_SGD, .n_in = 4, .attr.opt = { .momentum = 0.9f } };
	struct trial *t[] = { &a, &s };

	for (int i = 0; i < 2; i++) {
		optimizer_trial(fx, t[i], 333, 1);
		assert_memory_not_equal(t[i]->got[0], t[i]->f[0], 333 * 4);
		fx->step.commit = 0;
		trial_device(fx, t[i]);
		fx->step.commit = 1;
		for (uint32_t k = 0; k < t[i]->n_out; k++)
			assert_memory_equal(t[i]->got[k], t[i]->f[k], 333 * 4);
		trial_end(t[i]);
	}
}

#define TESTS \
	cmocka_unit_test(softmax_is_the_oracles), \
	cmocka_unit_test(softmax_bwd_is_the_oracles), \
	cmocka_unit_test(layernorm_is_the_oracles), \
	cmocka_unit_test(layernorm_bwd_x_is_the_oracles), \
	cmocka_unit_test(layernorm_bwd_p_is_the_oracles), \
	cmocka_unit_test(rope_is_the_oracles), \
	cmocka_unit_test(argmax_is_the_first_largest), \
	cmocka_unit_test(xent_partial_merges_chunks), \
	cmocka_unit_test(xent_final_is_the_oracles), \
	cmocka_unit_test(xent_grad_is_the_oracles), \
	cmocka_unit_test(bits_of_a_row_depend_on_the_row_alone), \
	cmocka_unit_test(reductions_are_the_oracles), \
	cmocka_unit_test(tree_sum_is_the_tree_to_the_bit), \
	cmocka_unit_test(isfinite_finds_one_bad_element), \
	cmocka_unit_test(stats_are_the_oracles), \
	cmocka_unit_test(transposes_are_the_oracles), \
	cmocka_unit_test(slices_and_concats_are_the_oracles), \
	cmocka_unit_test(pack_fills_gaps_with_zeros), \
	cmocka_unit_test(copies_copy), \
	cmocka_unit_test(embeddings_are_the_oracles), \
	cmocka_unit_test(optimizers_are_the_oracles), \
	cmocka_unit_test(closed_gate_writes_nothing)

int main(void)
{
	const struct CMUnitTest as_it_is[] = { TESTS };
	const struct CMUnitTest as_a_gpu[] = { TESTS };
	int failed = cmocka_run_group_tests_name("rows", as_it_is, setup_plain, teardown);

	return failed + cmocka_run_group_tests_name("rows as on a GPU", as_a_gpu, setup_gpu,
						    teardown);
}
