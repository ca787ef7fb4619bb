/* SPDX-License-Identifier: MIT */
/*
 * Claims about the graph itself: names, shapes, views, versions of variables,
 * sticking failures, the form of what reverse mode appends, and what is left
 * behind when memory runs out. (That gradients are right: ops/grad_test.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <tram/ops.h>

#include "base/test_heap.h"
#include "graph/graph.h"

static struct tram_ctx *ctx;

static struct tram_graph *make(uint32_t shards)
{
	struct tram_graph_params p = { .shards = shards };
	struct tram_graph *g;

	assert_int_equal(tram_graph_create(ctx, &p, &g), 0);
	return g;
}

static tram_value f32(struct tram_graph *g, const char *name, struct tram_shape s)
{
	return tram_input(g, name, TRAM_F32, s);
}

static void assert_shape(const struct tram_graph *g, tram_value v, struct tram_shape want)
{
	struct tram_shape s = tram_value_shape(g, v);

	assert_true(tram_shape_equal(&s, &want));
}

static size_t count_op(const struct tram_graph *g, enum tram_op op)
{
	size_t n = 0;

	for (size_t i = 0; i < g->nodes.n; i++)
		n += g->nodes.v[i].op == op;
	return n;
}

static const struct tram_node *find_op(const struct tram_graph *g, enum tram_op op)
{
	for (size_t i = 0; i < g->nodes.n; i++)
		if (g->nodes.v[i].op == op)
			return &g->nodes.v[i];
	fail_msg("no node of op %d", op);
	return NULL;
}

/* --- shapes ------------------------------------------------------------------------ */

static void shapes_broadcast_as_in_numpy(void **state)
{
	static const struct { struct tram_shape a, b, out; int r; } cases[] = {
		{ { 2, { 2, 3 } }, { 2, { 2, 3 } }, { 2, { 2, 3 } }, 0 },
		{ { 2, { 2, 3 } }, { 1, { 3 } }, { 2, { 2, 3 } }, 0 },
		{ { 1, { 1 } }, { 3, { 4, 1, 5 } }, { 3, { 4, 1, 5 } }, 0 },
		{ { 3, { 4, 1, 5 } }, { 2, { 6, 1 } }, { 3, { 4, 6, 5 } }, 0 },
		{ { 2, { 2, 3 } }, { 1, { 2 } }, { 0, { 0 } }, -EINVAL },
		{ { 2, { 2, 3 } }, { 2, { 3, 3 } }, { 0, { 0 } }, -EINVAL },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(cases); i++)
		for (int swap = 0; swap < 2; swap++) {
			const struct tram_shape *a = swap ? &cases[i].b : &cases[i].a;
			const struct tram_shape *b = swap ? &cases[i].a : &cases[i].b;
			struct tram_shape out = { .rank = 0 };

			assert_int_equal(tram_shape_broadcast(a, b, &out), cases[i].r);
			assert_true(tram_shape_equal(&out, &cases[i].out));
		}
}

static void the_text_of_the_largest_shape_fits(void **state)
{
	struct tram_shape s = { 6, { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX } };
	char text[TRAM_SHAPE_TEXT];

	tram_shape_text(&s, text);
	assert_int_equal(text[strlen(text) - 1], ']');
	assert_string_equal(tram_shape_text(&TRAM_SHAPE(2, 3), text), "[2, 3]");
}

static void impossible_shapes_are_refused(void **state)
{
	static const struct { struct tram_shape s; const char *says; } bad[] = {
		{ { 0, { 0 } }, "rank 0" }, { { 7, { 1, 1, 1, 1, 1, 1 } }, "rank 7" },
		{ { 2, { 3, 0 } }, "dimension 1 is 0" }, { { 2, { 65536, 65536 } }, "more than" },
		{ { 6, { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX } },
		  "more than" },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(bad); i++) {
		struct tram_graph *g = make(1);

		assert_int_equal(f32(g, "x", bad[i].s), TRAM_NONE);
		assert_int_equal(tram_graph_status(g), -EINVAL);
		assert_non_null(strstr(tram_error(ctx), bad[i].says));
		tram_graph_destroy(&g);
	}
}

/* --- names ----------------------------------------------------------------------------- */

static void a_variable_is_one_value_under_its_name(void **state)
{
	struct tram_graph *g = make(1);
	tram_value v = tram_variable(g, "w", TRAM_SHAPE(2, 3));

	assert_int_equal(tram_variable(g, "w", TRAM_SHAPE(2, 3)), v);
	assert_int_equal(tram_variable(g, "w", TRAM_SHAPE(3, 2)), TRAM_NONE);
	assert_non_null(strstr(tram_error(ctx), "[3, 2]"));
	assert_int_equal(tram_graph_status(g), -EINVAL);
	tram_graph_destroy(&g);
}

static void names_are_unique_in_a_graph(void **state)
{
	for (int i = 0; i < 7; i++) {
		struct tram_graph *g = make(1);
		tram_value x = f32(g, "in", TRAM_SHAPE(2));

		tram_variable(g, "var", TRAM_SHAPE(2));
		assert_int_equal(tram_output(g, "out", x), 0);
		if (i == 0)
			f32(g, "in", TRAM_SHAPE(2));
		if (i == 1)
			f32(g, "var", TRAM_SHAPE(2));
		if (i == 2)
			f32(g, "out", TRAM_SHAPE(2));
		if (i == 3)
			tram_variable(g, "in", TRAM_SHAPE(2));
		if (i == 4)
			tram_variable(g, "out", TRAM_SHAPE(2));
		if (i == 5)
			assert_int_equal(tram_output(g, "in", x), -EEXIST);
		if (i == 6)
			assert_int_equal(tram_output(g, "out", x), -EEXIST);
		assert_int_equal(tram_graph_status(g), -EEXIST);
		tram_graph_destroy(&g);
	}
}

static void empty_names_are_refused(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct tram_graph *g = make(1);

		if (i == 0)
			f32(g, "", TRAM_SHAPE(2));
		if (i == 1)
			tram_variable(g, NULL, TRAM_SHAPE(2));
		if (i == 2)
			tram_output(g, "", f32(g, "x", TRAM_SHAPE(2)));
		assert_int_equal(tram_graph_status(g), -EINVAL);
		tram_graph_destroy(&g);
	}
}

/* --- failures --------------------------------------------------------------------------- */

static void the_first_failure_sticks(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = f32(g, "x", TRAM_SHAPE(2, 3)), bad, d = 7;

	bad = tram_matmul(g, x, x, NULL);
	assert_int_equal(bad, TRAM_NONE);
	assert_int_equal(tram_softmax(g, tram_add(g, bad, x)), TRAM_NONE);
	assert_int_equal(tram_output(g, "y", bad), -EINVAL);
	assert_int_equal(tram_gradients(g, x, &x, 1, &d), -EINVAL);
	assert_int_equal(d, TRAM_NONE);
	assert_non_null(strstr(tram_error(ctx), "inner dimensions"));
	assert_int_equal(tram_graph_status(g), -EINVAL);
	assert_int_equal(tram_value_shape(g, bad).rank, 0);
	tram_graph_destroy(&g);
}

static void a_value_of_nowhere_is_named(void **state)
{
	struct tram_graph *g = make(1);

	assert_int_equal(tram_relu(g, 99), TRAM_NONE);
	assert_non_null(strstr(tram_error(ctx), "operand 0 is 99"));
	assert_int_equal(tram_graph_status(g), -EINVAL);
	tram_graph_destroy(&g);
}

static void a_refused_node_leaves_nothing(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = f32(g, "x", TRAM_SHAPE(2, 3));
	size_t values = g->values.n;

	tram_matmul(g, x, x, NULL);
	assert_int_equal(g->values.n, values);
	assert_int_equal(g->nodes.n, 0);
	tram_graph_destroy(&g);
	assert_null(g);
	tram_graph_destroy(&g);
}

/* --- views --------------------------------------------------------------------------------- */

static void a_view_is_of_the_owner_and_equal_views_are_one(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = f32(g, "x", TRAM_SHAPE(4, 6)), a = tram_view(g, x, 6, TRAM_SHAPE(2, 6)), b;
	uint64_t first;

	b = tram_view(g, a, 6, TRAM_SHAPE(3, 2));
	assert_int_equal(tram_val(g, b)->base, x);
	assert_int_equal(tram_val(g, b)->first, 12);
	assert_int_equal(tram_view(g, x, 12, TRAM_SHAPE(3, 2)), b);
	assert_int_not_equal(tram_view(g, x, 12, TRAM_SHAPE(2, 3)), b);
	assert_int_equal(tram_view(g, x, 0, TRAM_SHAPE(4, 6)), x);
	assert_int_equal(tram_reshape(g, tram_reshape(g, x, TRAM_SHAPE(24)), TRAM_SHAPE(4, 6)), x);
	assert_int_equal(tram_graph_root(g, b, &first), x);
	assert_int_equal(first, 12);
	assert_int_equal(g->nodes.n, 0);
	tram_graph_destroy(&g);
}

static void a_view_stays_inside(void **state)
{
	static const struct { uint64_t first; struct tram_shape s; bool ok; } cases[] = {
		{ 0, { 1, { 24 } }, true }, { 23, { 1, { 1 } }, true }, { 24, { 1, { 1 } }, false },
		{ 23, { 1, { 2 } }, false }, { UINT64_MAX, { 1, { 2 } }, false },
	};

	for (size_t i = 0; i < TRAM_ARRAY_SIZE(cases); i++) {
		struct tram_graph *g = make(1);
		tram_value x = f32(g, "x", TRAM_SHAPE(4, 6));

		assert_int_equal(tram_view(g, x, cases[i].first, cases[i].s) != TRAM_NONE, cases[i].ok);
		tram_graph_destroy(&g);
	}
}

static void a_reshape_keeps_the_count(void **state)
{
	struct tram_graph *g = make(1);

	assert_int_equal(tram_reshape(g, f32(g, "x", TRAM_SHAPE(4, 6)), TRAM_SHAPE(23)), TRAM_NONE);
	assert_non_null(strstr(tram_error(ctx), "24"));
	tram_graph_destroy(&g);
}

static void a_slice_of_rows_is_a_view(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = f32(g, "x", TRAM_SHAPE(4, 6)), y = tram_slice(g, x, 0, 1, 2);

	assert_int_equal(tram_val(g, y)->kind, TRAM_VALUE_VIEW);
	assert_int_equal(tram_val(g, y)->first, 6);
	assert_shape(g, y, TRAM_SHAPE(2, 6));
	tram_graph_destroy(&g);
}

/* --- versions of variables -------------------------------------------------------------------- */

static const struct tram_adamw_params adamw = { .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f };

/* w with a gradient, updated by AdamW. */
static void update(struct tram_graph *g, tram_value w)
{
	struct tram_shape s = tram_value_shape(g, w);
	tram_value grad = f32(g, "grad", s), stats = tram_grad_stats(g, grad);

	tram_graph_begin_update(g);
	assert_int_equal(tram_adamw(g, w, tram_variable(g, "m", s), tram_variable(g, "v", s), grad, stats,
				    &adamw), 0);
}

static void an_update_is_a_new_version_in_the_same_storage(void **state)
{
	struct tram_graph *g = make(1);
	tram_value w = tram_variable(g, "w", TRAM_SHAPE(3)), next;
	const struct tram_node *n;
	uint64_t first;

	update(g, w);
	n = find_op(g, TRAM_OP_ADAMW);
	next = n->out[0];
	assert_int_equal(n->phase, TRAM_PHASE_UPDATE);
	assert_int_equal(find_op(g, TRAM_OP_STATS_FINAL)->phase, TRAM_PHASE_COMPUTE);
	assert_int_equal(tram_val(g, next)->kind, TRAM_VALUE_NEXT);
	assert_int_equal(tram_graph_root(g, next, &first), w);
	assert_int_equal(tram_graph_root(g, tram_view(g, next, 1, TRAM_SHAPE(2)), &first), w);
	assert_int_equal(first, 1);
	tram_graph_destroy(&g);
}

static void what_an_update_overwrote_is_not_read(void **state)
{
	struct tram_graph *g = make(1);
	tram_value w = tram_variable(g, "w", TRAM_SHAPE(3)), view = tram_view(g, w, 1, TRAM_SHAPE(2));

	update(g, w);
	assert_true(tram_relu(g, find_op(g, TRAM_OP_ADAMW)->out[0]) != TRAM_NONE);
	assert_int_equal(tram_relu(g, view), TRAM_NONE);
	assert_non_null(strstr(tram_error(ctx), "\"w\""));
	assert_int_equal(tram_graph_status(g), -EINVAL);
	tram_graph_destroy(&g);
}

/* --- the form of reverse mode ------------------------------------------------------------------- */

static void only_the_path_to_the_loss_is_differentiated(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = f32(g, "x", TRAM_SHAPE(4, 3)), w = f32(g, "w", TRAM_SHAPE(3, 2));
	tram_value other = f32(g, "other", TRAM_SHAPE(3)), wrt[2] = { w, other }, d[2];
	size_t before;
	tram_value y = tram_matmul(g, x, w, NULL);

	tram_argmax(g, y);		/* no gradient, not on the path */
	tram_exp(g, other);
	before = g->nodes.n;
	assert_int_equal(tram_gradients(g, y, wrt, 2, d), 0);
	assert_int_equal(d[1], TRAM_NONE);
	assert_shape(g, d[0], TRAM_SHAPE(3, 2));
	/* Ones and one product: none for x, which nobody asks for. */
	assert_int_equal(g->nodes.n - before, 2);
	for (size_t i = 0; i < g->nodes.n; i++)
		assert_int_equal(g->nodes.v[i].backward, i >= before);
	tram_graph_destroy(&g);
}

static void the_loss_itself_has_gradient_one(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = f32(g, "x", TRAM_SHAPE(4, 3)), d;

	assert_int_equal(tram_gradients(g, x, &x, 1, &d), 0);
	assert_shape(g, d, TRAM_SHAPE(4, 3));
	tram_graph_destroy(&g);
}

/* Weight gradient of S shards: a batched product of S and a tree; of one shard: no tree. */
static void weights_are_summed_per_shard_and_in_a_tree(void **state)
{
	for (uint32_t s = 1; s <= 3; s++) {
		struct tram_graph *g = make(s);
		tram_value x = f32(g, "x", TRAM_SHAPE(6, 2, 5)), w = f32(g, "w", TRAM_SHAPE(7, 5)), d;
		struct tram_matmul_params p = { .transpose_b = true };
		const struct tram_node *n;

		assert_int_equal(tram_gradients(g, tram_matmul(g, x, w, &p), &w, 1, &d), 0);
		n = &g->nodes.v[g->nodes.n - 1];
		assert_int_equal(count_op(g, TRAM_OP_TREE_SUM), s > 1);
		if (s > 1) {
			assert_int_equal(n->op, TRAM_OP_TREE_SUM);
			n--;
		}
		assert_int_equal(n->op, TRAM_OP_MATMUL);
		assert_shape(g, n->in[0], TRAM_SHAPE(s, 12 / s, 7));
		assert_shape(g, n->in[1], TRAM_SHAPE(s, 12 / s, 5));
		assert_shape(g, n->out[0], TRAM_SHAPE(s, 7, 5));
		assert_shape(g, d, TRAM_SHAPE(7, 5));
		tram_graph_destroy(&g);
	}
}

static void a_residual_stream_needs_no_additions(void **state)
{
	struct tram_graph *g = make(1);
	tram_value x = f32(g, "x", TRAM_SHAPE(4, 3)), c = f32(g, "c", TRAM_SHAPE(3)), y = x, d;
	tram_value w = f32(g, "w", TRAM_SHAPE(3, 3));
	struct tram_matmul_params p = { .has_residual = true };
	size_t ew;

	for (int i = 0; i < 3; i++) {
		p.residual = y;
		y = tram_matmul(g, tram_layernorm(g, y, c, c, 1e-5f), w, &p);
	}
	ew = count_op(g, TRAM_OP_EW);
	assert_int_equal(tram_gradients(g, y, &x, 1, &d), 0);
	assert_int_equal(count_op(g, TRAM_OP_EW) - ew, 1);	/* the ones */
	for (size_t i = 0; i < g->nodes.n; i++)
		if (g->nodes.v[i].op == TRAM_OP_LAYERNORM_BWD_X) {
			assert_true(g->nodes.v[i].attr.norm.add);
			assert_int_equal(g->nodes.v[i].n_in, 5);
			assert_true(g->nodes.v[i].in[4] != g->nodes.v[i].out[0]);
		}
	tram_graph_destroy(&g);
}

static void a_tied_table_has_one_dense_gradient(void **state)
{
	for (uint32_t s = 1; s <= 2; s++) {
		struct tram_graph *g = make(s);
		tram_value flat = tram_variable(g, "flat", TRAM_SHAPE(50)), d;
		tram_value table = tram_view(g, flat, 5, TRAM_SHAPE(5, 8));
		tram_value tokens = tram_input(g, "tokens", TRAM_I32, TRAM_SHAPE(4));
		tram_value x = tram_embedding(g, table, tokens, tram_input(g, "order", TRAM_I32, TRAM_SHAPE(4)));
		const struct tram_node *n;

		x = tram_head_loss(g, x, table, tokens, 0);
		assert_int_equal(tram_gradients(g, x, &table, 1, &d), 0);
		n = find_op(g, TRAM_OP_EMBEDDING_BWD);
		assert_true(n->attr.embedding.base);
		assert_int_equal(n->in[3], find_op(g, TRAM_OP_HEAD_LOSS_BWD)->out[1]);
		assert_int_equal(count_op(g, TRAM_OP_EW), 0);
		assert_int_equal(count_op(g, TRAM_OP_PACK), 0);
		assert_shape(g, d, TRAM_SHAPE(5, 8));
		tram_graph_destroy(&g);
	}
}

static void the_text_form_shows_every_node(void **state)
{
	static const char want[] =
		"input \"x\"[4, 3]\n"
		"variable \"w\"[8]\n"
		"input \"t\"[2]i32\n"
		"%4[4, 2] = matmul(\"x\"[4, 3], \"w\"[8]@1[3, 2])\n"
		"%5[4, 2] = ew(%4[4, 2])\n"
		"%6[4, 2] = ew(%5[4, 2]) backward\n"
		"%7[4, 2] = ew(%6[4, 2], %4[4, 2]) backward\n"
		"%8[4, 3] = matmul(%7[4, 2], \"w\"[8]@1[3, 2]) backward\n"
		"output \"dx\" = %8[4, 3]\n";
	struct tram_graph *g = make(1);
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	tram_value x = f32(g, "x", TRAM_SHAPE(4, 3)), w = tram_variable(g, "w", TRAM_SHAPE(8)), y, d;

	tram_input(g, "t", TRAM_I32, TRAM_SHAPE(2));
	y = tram_relu(g, tram_matmul(g, x, tram_view(g, w, 1, TRAM_SHAPE(3, 2)), NULL));
	assert_int_equal(tram_gradients(g, y, &x, 1, &d), 0);
	assert_int_equal(tram_output(g, "dx", d), 0);
	assert_int_equal(tram_graph_text(g, &sb), 0);
	assert_string_equal(tram_sbuf_str(&sb), want);
	tram_sbuf_free(&sb);
	tram_graph_destroy(&g);
}

/* --- out of memory ---------------------------------------------------------------------------------- */

static int build_all(struct tram_ctx *c, void *arg)
{
	struct tram_graph_params p = { .shards = 2 };
	tram_value tokens, x, flat, gain, bias, wrt[3], d[3];
	struct tram_graph *g;
	int r = tram_graph_create(c, &p, &g);

	if (r)
		return r;
	tokens = tram_input(g, "tokens", TRAM_I32, TRAM_SHAPE(2, 4));
	flat = tram_variable(g, "flat", TRAM_SHAPE(5 * 8 + 16));
	wrt[0] = tram_view(g, flat, 0, TRAM_SHAPE(5, 8));
	wrt[1] = gain = tram_view(g, flat, 40, TRAM_SHAPE(8));
	wrt[2] = bias = tram_view(g, flat, 48, TRAM_SHAPE(8));
	x = tram_embedding(g, wrt[0], tokens, tram_input(g, "order", TRAM_I32, TRAM_SHAPE(2, 4)));
	for (int i = 0; i < 2; i++)
		x = tram_add(g, x, tram_gelu_tanh(g, tram_layernorm(g, x, gain, bias, 1e-5f)));
	x = tram_head_loss(g, x, wrt[0], tokens, 2);
	r = tram_graph_status(g);
	if (!r)
		r = tram_output(g, "loss", x);
	if (!r)
		r = tram_gradients(g, x, wrt, 3, d);
	if (!r) {
		x = tram_pack(g, d, (uint64_t[]){ 0, 40, 48 }, 3, 56);
		gain = tram_grad_stats(g, x);
		tram_graph_begin_update(g);
		r = tram_adamw(g, flat, tram_variable(g, "m", TRAM_SHAPE(56)),
			       tram_variable(g, "v", TRAM_SHAPE(56)), x, gain, &adamw);
	}
	if (r != tram_graph_status(g))
		fail_msg("returned %d, but the graph's status is %d", r, tram_graph_status(g));
	tram_graph_destroy(&g);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	assert_true(test_heap_each_failure(build_all, NULL) > 50);
}

static int setup(void **state)
{
	return tram_ctx_create(NULL, &ctx);
}

static int teardown(void **state)
{
	tram_ctx_destroy(&ctx);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes_broadcast_as_in_numpy),
		cmocka_unit_test(the_text_of_the_largest_shape_fits),
		cmocka_unit_test(impossible_shapes_are_refused),
		cmocka_unit_test(a_variable_is_one_value_under_its_name),
		cmocka_unit_test(names_are_unique_in_a_graph),
		cmocka_unit_test(empty_names_are_refused),
		cmocka_unit_test(the_first_failure_sticks),
		cmocka_unit_test(a_value_of_nowhere_is_named),
		cmocka_unit_test(a_refused_node_leaves_nothing),
		cmocka_unit_test(a_view_is_of_the_owner_and_equal_views_are_one),
		cmocka_unit_test(a_view_stays_inside),
		cmocka_unit_test(a_reshape_keeps_the_count),
		cmocka_unit_test(a_slice_of_rows_is_a_view),
		cmocka_unit_test(an_update_is_a_new_version_in_the_same_storage),
		cmocka_unit_test(what_an_update_overwrote_is_not_read),
		cmocka_unit_test(only_the_path_to_the_loss_is_differentiated),
		cmocka_unit_test(the_loss_itself_has_gradient_one),
		cmocka_unit_test(weights_are_summed_per_shard_and_in_a_tree),
		cmocka_unit_test(a_residual_stream_needs_no_additions),
		cmocka_unit_test(a_tied_table_has_one_dense_gradient),
		cmocka_unit_test(the_text_form_shows_every_node),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
