/* SPDX-License-Identifier: MIT */
/*
 * EMBEDDING: rows of a table by token. Its gradient walks the tokens in sorted
 * order, so that each row of the table has one writer and no atomics.
 */
#include "ops/ops.h"

tram_value tram_embedding(struct tram_graph *g, tram_value table, tram_value tokens,
			  tram_value order)
{
	tram_value in[3] = { table, tokens, order };
	union tram_attr attr = { 0 };

	if (!tram_graph_has(g, "tram_embedding", in, 3))
		return TRAM_NONE;
	attr.embedding.vocab = tram_shape_of(g, table)->dim[0];
	attr.embedding.shards = g->shards;
	return tram_graph_node1(g, TRAM_OP_EMBEDDING, in, 3, &attr);
}

int tram_shape_embedding(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			 const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "embedding", in, n_in, "fii");
	char text[TRAM_SHAPE_TEXT];
	struct tram_shape table, s;

	if (r)
		return r;
	table = *tram_shape_of(g, in[0]);
	s = *tram_shape_of(g, in[1]);
	if (table.rank != 2)
		return tram_graph_error(g, -EINVAL, "embedding: the table has shape %s, [V, C] is "
					"needed", tram_shape_text(&table, text));
	if (attr->embedding.vocab != table.dim[0])
		return tram_graph_error(g, -EINVAL, "embedding: vocabulary %u of a table %s",
					attr->embedding.vocab, tram_shape_text(&table, text));
	if (s.rank == TRAM_MAX_RANK)
		return tram_graph_error(g, -EINVAL, "embedding: tokens have rank %u, limit %d", s.rank,
					TRAM_MAX_RANK - 1);
	r = tram_check_shape(g, "embedding", in[2], "order", s);
	if (r)
		return r;
	s.dim[s.rank++] = table.dim[1];
	tram_shapes_add(out, TRAM_F32, s);
	return 0;
}

int tram_shape_embedding_bwd(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			     const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "embedding_bwd", in, n_in, attr->embedding.base ? "fiif" : "fii");
	uint64_t rows;
	struct tram_shape d;

	if (r)
		return r;
	rows = tram_dims_rows(tram_shape_of(g, in[0]));
	d = TRAM_SHAPE(attr->embedding.shards, attr->embedding.vocab,
		       tram_dims_last(tram_shape_of(g, in[0])));
	if (tram_shape_count(tram_shape_of(g, in[1])) != rows ||
	    tram_shape_count(tram_shape_of(g, in[2])) != rows)
		return tram_graph_error(g, -EINVAL, "embedding_bwd: %llu rows of dy, but %llu tokens "
					"and an order of %llu", (unsigned long long)rows,
					(unsigned long long)tram_shape_count(tram_shape_of(g, in[1])),
					(unsigned long long)tram_shape_count(tram_shape_of(g, in[2])));
	if (!d.dim[0] || rows % d.dim[0])
		return tram_graph_error(g, -EINVAL, "tram_gradients: embedding: %llu tokens can't be cut "
					"into %u shards; make the batch a multiple of the shards",
					(unsigned long long)rows, d.dim[0]);
	if (attr->embedding.base)
		r = tram_check_shape(g, "embedding_bwd", in[3], "base", d);
	if (!r)
		tram_shapes_add(out, TRAM_F32, d);
	return r;
}

int tram_grad_embedding(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	const tram_value *in = g->nodes.v[node].in;
	tram_value bwd[3] = { gout[0], in[1], in[2] };
	union tram_attr attr = g->nodes.v[node].attr;

	attr.embedding.base = false;
	gin[0] = tram_tree_sum(g, tram_graph_node1(g, TRAM_OP_EMBEDDING_BWD, bwd, 3, &attr));
	return g->status;
}

int tram_oracle_embedding(const struct tram_oracle_tensor *in, uint32_t n_in,
			  struct tram_oracle_tensor *out, uint32_t n_out,
			  const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_shape_count(&in[1].shape), c = in[0].shape.dim[1];

	for (size_t i = 0; i < n; i++) {
		int32_t t = in[1].i[i];
		bool held = t >= 0 && (uint32_t)t < in[0].shape.dim[0];

		for (size_t j = 0; j < c; j++)
			out[0].f[i * c + j] = held ? in[0].f[(size_t)t * c + j] : 0;
	}
	return 0;
}

/* Doesn't read `order`: the order of additions is the device's promise, not part of the value. */
int tram_oracle_embedding_bwd(const struct tram_oracle_tensor *in, uint32_t n_in,
			      struct tram_oracle_tensor *out, uint32_t n_out,
			      const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_shape_count(&in[1].shape), shards = attr->embedding.shards;
	size_t v = attr->embedding.vocab, c = tram_dims_last(&in[0].shape);

	for (size_t i = 0; i < shards * v * c; i++)
		out[0].f[i] = attr->embedding.base ? in[3].f[i] : 0;
	for (size_t i = 0; i < n; i++) {
		int32_t t = in[1].i[i];
		size_t s = i / (n / shards);

		if (t < 0 || (size_t)t >= v)
			continue;
		for (size_t j = 0; j < c; j++)
			out[0].f[(s * v + (size_t)t) * c + j] += in[0].f[i * c + j];
	}
	return 0;
}
