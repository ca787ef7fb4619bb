/* SPDX-License-Identifier: MIT */
/* Products: MATMUL with its transpositions, bias and residual. */
#include "ops/ops.h"

tram_value tram_matmul(struct tram_graph *g, tram_value a, tram_value b,
		       const struct tram_matmul_params *params)
{
	static const struct tram_matmul_params plain;
	tram_value in[4] = { a, b };
	union tram_attr attr = { 0 };
	uint32_t n = 2;

	params = params ? params : &plain;
	attr.matmul.ta = params->transpose_a;
	attr.matmul.tb = params->transpose_b;
	attr.matmul.bias = params->has_bias;
	attr.matmul.residual = params->has_residual;
	if (params->has_bias)
		in[n++] = params->bias;
	if (params->has_residual)
		in[n++] = params->residual;
	return tram_graph_node1(g, TRAM_OP_MATMUL, in, n, &attr);
}

static int fail_pair(struct tram_graph *g, const struct tram_shape *a, const struct tram_shape *b,
		     const union tram_attr *attr, const char *why)
{
	char sa[TRAM_SHAPE_TEXT], sb[TRAM_SHAPE_TEXT];

	return tram_graph_error(g, -EINVAL, "matmul: a %s%s, b %s%s: %s", tram_shape_text(a, sa),
				attr->matmul.ta ? " transposed" : "", tram_shape_text(b, sb),
				attr->matmul.tb ? " transposed" : "", why);
}

int tram_shape_matmul(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		      const union tram_attr *attr, struct tram_shapes *out)
{
	static const char *const dtypes[] = { "ff", "fff", "ffff" };
	const struct tram_shape *a, *b;
	struct tram_matmul_dims d;
	struct tram_shape c;
	int r;

	r = tram_check_operands(g, "matmul", in, n_in,
				dtypes[attr->matmul.bias + attr->matmul.residual]);
	if (r)
		return r;
	a = tram_shape_of(g, in[0]);
	b = tram_shape_of(g, in[1]);
	if (a->rank < 2 || b->rank < 2)
		return fail_pair(g, a, b, attr, "both need at least 2 dimensions");
	if (b->rank > 2 && (a->rank != b->rank ||
			    memcmp(a->dim, b->dim, (a->rank - 2) * sizeof(a->dim[0]))))
		return fail_pair(g, a, b, attr, "the leading dimensions differ, "
				 "and b of rank 2 alone is broadcast");
	if (b->rank == 2 && attr->matmul.ta && a->rank > 2)
		return fail_pair(g, a, b, attr, "one b for all of a needs a untransposed");
	d = tram_matmul_dims(a, b, attr->matmul.ta, attr->matmul.tb);
	if (d.k != b->dim[b->rank - (attr->matmul.tb ? 1 : 2)])
		return fail_pair(g, a, b, attr, "the inner dimensions differ");

	c = *a;
	c.dim[c.rank - 2] = a->dim[a->rank - (attr->matmul.ta ? 1 : 2)];
	c.dim[c.rank - 1] = d.n;
	if (attr->matmul.bias) {
		r = tram_check_shape(g, "matmul", in[2], "bias", TRAM_SHAPE(d.n));
		if (r)
			return r;
	}
	if (attr->matmul.residual) {
		r = tram_check_shape(g, "matmul", in[n_in - 1], "residual", c);
		if (r)
			return r;
	}
	tram_shapes_add(out, TRAM_F32, c);
	return 0;
}

static tram_value product(struct tram_graph *g, tram_value a, bool ta, tram_value b, bool tb)
{
	struct tram_matmul_params p = { .transpose_a = ta, .transpose_b = tb };

	return tram_matmul(g, a, b, &p);
}

/*
 * dC times a b that served all rows of a: the rows are tokens, so the product
 * is made per shard, [S, K, N], and the shards are added in a tree.
 */
static tram_value grad_shared(struct tram_graph *g, tram_value a, tram_value dc, bool ta, bool tb)
{
	uint64_t rows = tram_dims_rows(tram_shape_of(g, dc));

	if (ta) {
		/* a is stored [K, M]: its tokens lie across, no shard of them is a view. */
		if (g->shards > 1)
			return tram_graph_fail(g, -EINVAL, "tram_gradients: matmul with transpose_a has "
					       "no gradient per shard (%u shards); transpose a first",
					       g->shards);
		return tb ? product(g, dc, true, a, true) : product(g, a, false, dc, false);
	}
	a = tram_shard_view(g, "tram_gradients: matmul", a, rows);
	dc = tram_shard_view(g, "tram_gradients: matmul", dc, rows);
	return tram_tree_sum(g, tb ? product(g, dc, true, a, false) : product(g, a, true, dc, false));
}

int tram_grad_matmul(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	const tram_value *in = g->nodes.v[node].in;
	const union tram_attr attr = g->nodes.v[node].attr;
	bool ta = attr.matmul.ta, tb = attr.matmul.tb;
	tram_value a = in[0], b = in[1], dc = gout[0];
	uint32_t next = 2;

	if (tram_grad_wanted(g, a))
		gin[0] = ta ? product(g, b, tb, dc, true) : product(g, dc, false, b, !tb);
	if (tram_grad_wanted(g, b)) {
		if (tram_shape_of(g, b)->rank == 2)
			gin[1] = grad_shared(g, a, dc, ta, tb);
		else
			gin[1] = tb ? product(g, dc, true, a, ta) : product(g, a, !ta, dc, false);
	}
	if (attr.matmul.bias) {
		if (tram_grad_wanted(g, in[next]))
			gin[next] = tram_sum_rows(g, "tram_gradients: matmul bias", dc,
						  tram_dims_rows(tram_shape_of(g, dc)));
		next++;
	}
	if (attr.matmul.residual)
		gin[next] = dc;
	return g->status;
}

int tram_oracle_matmul(const struct tram_oracle_tensor *in, uint32_t n_in,
		       struct tram_oracle_tensor *out, uint32_t n_out,
		       const union tram_attr *attr, const struct tram_step *step)
{
	bool ta = attr->matmul.ta, tb = attr->matmul.tb;
	struct tram_matmul_dims d = tram_matmul_dims(&in[0].shape, &in[1].shape, ta, tb);
	const double *bias = attr->matmul.bias ? in[2].f : NULL;
	const double *residual = attr->matmul.residual ? in[n_in - 1].f : NULL;

	for (size_t p = 0; p < d.nb; p++)
		for (size_t i = 0; i < d.m; i++)
			for (size_t j = 0; j < d.n; j++) {
				const double *a = in[0].f + p * d.m * d.k;
				const double *b = in[1].f + (d.b_shared ? 0 : p * d.k * d.n);
				size_t at = (p * d.m + i) * d.n + j;
				double sum = 0;

				for (size_t k = 0; k < d.k; k++)
					sum += (ta ? a[k * d.m + i] : a[i * d.k + k]) *
					       (tb ? b[j * d.k + k] : b[k * d.n + j]);
				out[0].f[at] = sum + (bias ? bias[j] : 0) +
					       (residual ? residual[at] : 0);
			}
	return 0;
}
