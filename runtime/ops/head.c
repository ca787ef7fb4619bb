/* SPDX-License-Identifier: MIT */
/*
 * Linear head and cross-entropy, without ever holding all logits. HEAD_LOSS
 * and HEAD_LOSS_BWD are composite: they become products over chunks of the
 * vocabulary and three row-wise kernels:
 *
 *	chunk 0: logits = x head0^T -> XENT_PARTIAL -> state
 *	chunk 1: logits = x head1^T -> XENT_PARTIAL(state) -> state ...
 *	         XENT_FINAL(state) -> loss, lse
 *	backward, each chunk: logits (again, or kept) -> XENT_GRAD -> dlogits;
 *	         dx += dlogits head_i; dhead_i = dlogits^T x, per shard
 *
 * The order of the chunks is the order of the sums.
 */
#include "ops/ops.h"

#include <math.h>

/*
 * Logits of one chunk and shard, in elements: 16 MiB. Counted by shard, since
 * the cut must not depend on how many shards are held here.
 */
#define CHUNK_ELEMENTS (1u << 22)
#define CHUNK_ROWS_MIN 64

static uint32_t choose_chunk(uint64_t rows, uint32_t shards, uint32_t vocab, uint32_t asked)
{
	uint64_t fit = CHUNK_ELEMENTS / TRAM_MAX(rows / shards, 1) / CHUNK_ROWS_MIN * CHUNK_ROWS_MIN;

	if (asked)
		return TRAM_MIN(asked, vocab);
	return (uint32_t)TRAM_MIN(TRAM_MAX(fit, CHUNK_ROWS_MIN), vocab);
}

tram_value tram_head_loss(struct tram_graph *g, tram_value x, tram_value head, tram_value targets,
			  uint32_t chunk)
{
	struct tram_shape lead, flat;
	tram_value in[3] = { x, head, targets };
	union tram_attr attr = { 0 };
	tram_value loss;

	if (!tram_graph_has(g, "tram_head_loss", in, 3))
		return TRAM_NONE;
	lead = *tram_shape_of(g, targets);
	flat = TRAM_SHAPE((uint32_t)tram_shape_count(&lead));
	attr.head.shards = g->shards;
	attr.head.chunk = choose_chunk(flat.dim[0], g->shards, tram_shape_of(g, head)->dim[0], chunk);
	attr.head.keep = attr.head.chunk == tram_shape_of(g, head)->dim[0];
	in[0] = tram_reshape(g, x, TRAM_SHAPE((uint32_t)tram_dims_rows(tram_shape_of(g, x)),
					      tram_dims_last(tram_shape_of(g, x))));
	in[2] = tram_reshape(g, targets, flat);
	loss = tram_graph_node1(g, TRAM_OP_HEAD_LOSS, in, 3, &attr);
	return loss < 0 ? loss : tram_reshape(g, loss, lead);
}

/* x [N, C], head [V, C], targets [N] and a chunk that fits. */
static int check_head(struct tram_graph *g, const char *who, const tram_value *in,
		      const union tram_attr *attr)
{
	struct tram_shape x = *tram_shape_of(g, in[0]), head = *tram_shape_of(g, in[1]);
	char a[TRAM_SHAPE_TEXT], b[TRAM_SHAPE_TEXT];

	if (x.rank != 2 || head.rank != 2 || x.dim[1] != head.dim[1])
		return tram_graph_error(g, -EINVAL, "%s: x %s and head %s; [N, C] and [V, C] are needed",
					who, tram_shape_text(&x, a), tram_shape_text(&head, b));
	if (!attr->head.chunk || attr->head.chunk > head.dim[0] ||
	    (attr->head.keep && attr->head.chunk != head.dim[0]))
		return tram_graph_error(g, -EINVAL, "%s: chunk %u of a vocabulary of %u%s", who,
					attr->head.chunk, head.dim[0],
					attr->head.keep ? "; only a single chunk is kept" : "");
	return tram_check_shape(g, who, in[2], "targets", TRAM_SHAPE(x.dim[0]));
}

int tram_shape_head_loss(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			 const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "head_loss", in, n_in, "ffi");
	uint32_t n;

	if (!r)
		r = check_head(g, "head_loss", in, attr);
	if (r)
		return r;
	n = tram_shape_of(g, in[0])->dim[0];
	tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(n));
	tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(n));
	if (attr->head.keep)
		tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(n, tram_shape_of(g, in[1])->dim[0]));
	return 0;
}

int tram_shape_head_loss_bwd(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			     const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "head_loss_bwd", in, n_in, attr->head.keep ? "ffiff" : "ffif");
	struct tram_shape x, head;

	if (!r)
		r = check_head(g, "head_loss_bwd", in, attr);
	if (r)
		return r;
	x = *tram_shape_of(g, in[0]);
	head = *tram_shape_of(g, in[1]);
	r = tram_check_shape(g, "head_loss_bwd", in[3], "lse", TRAM_SHAPE(x.dim[0]));
	if (!r && attr->head.keep)
		r = tram_check_shape(g, "head_loss_bwd", in[4], "logits",
				     TRAM_SHAPE(x.dim[0], head.dim[0]));
	if (r)
		return r;
	if (!attr->head.shards || x.dim[0] % attr->head.shards)
		return tram_graph_error(g, -EINVAL, "tram_gradients: head_loss: %u rows can't be cut into "
					"%u shards; make the batch a multiple of the shards", x.dim[0],
					attr->head.shards);
	tram_shapes_add(out, TRAM_F32, x);
	tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(attr->head.shards, head.dim[0], head.dim[1]));
	return 0;
}

/*
 * The loss of a row enters the objective once, times inv_targets of the step
 * block; other weights would need one more pass over dlogits and nobody asks for them.
 */
int tram_grad_head_loss(struct tram_graph *g, int32_t node, const tram_value *gout, tram_value *gin)
{
	const tram_value *in = g->nodes.v[node].in, *out = g->nodes.v[node].out;
	const union tram_attr attr = g->nodes.v[node].attr;
	tram_value bwd[5] = { in[0], in[1], in[2], out[1], attr.head.keep ? out[2] : TRAM_NONE };
	int b;

	if (gout[0] != TRAM_ONES)
		return tram_graph_error(g, -EINVAL, "tram_gradients: what tram_head_loss returns must be "
					"the loss itself or a plain sum of it; its gradient is "
					"scaled by inv_targets of the step block instead");
	b = tram_graph_node(g, TRAM_OP_HEAD_LOSS_BWD, bwd, attr.head.keep ? 5 : 4, &attr);
	if (b < 0)
		return b;
	gin[0] = g->nodes.v[b].out[0];
	gin[1] = tram_tree_sum(g, g->nodes.v[b].out[1]);
	return g->status;
}

/* --- expansion ----------------------------------------------------------------------- */

static tram_value chunk_rows(struct tram_graph *g, tram_value head, uint32_t first, uint32_t count)
{
	uint32_t c = tram_shape_of(g, head)->dim[1];

	return tram_view(g, head, (uint64_t)first * c, TRAM_SHAPE(count, c));
}

static tram_value chunk_logits(struct tram_graph *g, tram_value x, tram_value head, uint32_t first,
			       uint32_t count)
{
	struct tram_matmul_params p = { .transpose_b = true };

	return tram_matmul(g, x, chunk_rows(g, head, first, count), &p);
}

int tram_expand_head_loss(struct tram_graph *to, const struct tram_node *node, const tram_value *in,
			  tram_value *out)
{
	uint32_t vocab = tram_shape_of(to, in[1])->dim[0], chunk = node->attr.head.chunk, count;
	tram_value logits = TRAM_NONE, state = TRAM_NONE;
	int n;

	for (uint32_t first = 0; first < vocab; first += count) {
		union tram_attr attr = { .xent = { .first = first, .state = first > 0 } };
		tram_value partial[3];

		count = TRAM_MIN(chunk, vocab - first);
		logits = chunk_logits(to, in[0], in[1], first, count);
		partial[0] = logits;
		partial[1] = in[2];
		partial[2] = state;
		state = tram_graph_node1(to, TRAM_OP_XENT_PARTIAL, partial, first ? 3 : 2, &attr);
		if (state < 0)
			return to->status;
	}
	n = tram_graph_node(to, TRAM_OP_XENT_FINAL, (tram_value[]){ state, in[2] }, 2, NULL);
	if (n < 0)
		return n;
	out[0] = to->nodes.v[n].out[0];
	out[1] = to->nodes.v[n].out[1];
	if (node->attr.head.keep)
		out[2] = logits;
	return 0;
}

/* dlogits [N, c] of a chunk -> [S, c, C] */
static tram_value chunk_dhead(struct tram_graph *g, tram_value dlogits, tram_value x,
			      uint32_t shards)
{
	struct tram_matmul_params p = { .transpose_a = true };
	uint32_t n = tram_shape_of(g, x)->dim[0], c = tram_shape_of(g, x)->dim[1];

	if (dlogits < 0)
		return dlogits;
	x = tram_reshape(g, x, TRAM_SHAPE(shards, n / shards, c));
	c = tram_shape_of(g, dlogits)->dim[1];
	dlogits = tram_reshape(g, dlogits, TRAM_SHAPE(shards, n / shards, c));
	return tram_matmul(g, dlogits, x, &p);
}

int tram_expand_head_loss_bwd(struct tram_graph *to, const struct tram_node *node,
			      const tram_value *in, tram_value *out)
{
	uint32_t vocab = tram_shape_of(to, in[1])->dim[0], chunk = node->attr.head.chunk, count;
	uint32_t shards = node->attr.head.shards, n_chunks = TRAM_DIV_UP(vocab, chunk), k = 0;
	tram_value dx = TRAM_NONE, *dhead;

	dhead = tram_calloc(to->ctx, n_chunks, sizeof(*dhead));
	if (!dhead)
		return -ENOMEM;
	for (uint32_t first = 0; first < vocab; first += count, k++) {
		union tram_attr attr = { .xent = { .first = first } };
		struct tram_matmul_params p = { .residual = dx, .has_residual = first > 0 };
		tram_value grad[3], dlogits;

		count = TRAM_MIN(chunk, vocab - first);
		grad[0] = node->attr.head.keep ? in[4] : chunk_logits(to, in[0], in[1], first, count);
		grad[1] = in[3];
		grad[2] = in[2];
		dlogits = tram_graph_node1(to, TRAM_OP_XENT_GRAD, grad, 3, &attr);
		dx = tram_matmul(to, dlogits, chunk_rows(to, in[1], first, count), &p);
		dhead[k] = chunk_dhead(to, dlogits, in[0], shards);
	}
	out[0] = dx;
	out[1] = tram_concat(to, dhead, n_chunks, 1);
	tram_free(to->ctx, dhead);
	return to->status;
}

/* --- kernels: shape rules -------------------------------------------------------------- */

/* logits [N, c] with targets [N]. */
static int check_logits(struct tram_graph *g, const char *who, tram_value logits,
			tram_value targets)
{
	const struct tram_shape *s = tram_shape_of(g, logits);
	char text[TRAM_SHAPE_TEXT];

	if (s->rank != 2)
		return tram_graph_error(g, -EINVAL, "%s: logits have shape %s, [N, c] is needed", who,
					tram_shape_text(s, text));
	return tram_check_shape(g, who, targets, "targets", TRAM_SHAPE(s->dim[0]));
}

int tram_shape_xent_partial(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			    const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "xent_partial", in, n_in, attr->xent.state ? "fif" : "fi");
	struct tram_shape state;

	if (!r)
		r = check_logits(g, "xent_partial", in[0], in[1]);
	if (r)
		return r;
	state = TRAM_SHAPE(tram_shape_of(g, in[0])->dim[0], 4);
	if (attr->xent.state)
		r = tram_check_shape(g, "xent_partial", in[2], "state", state);
	if (!r)
		tram_shapes_add(out, TRAM_F32, state);
	return r;
}

int tram_shape_xent_final(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			  const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "xent_final", in, n_in, "fi");
	struct tram_shape n;

	if (r)
		return r;
	n = TRAM_SHAPE((uint32_t)tram_shape_count(tram_shape_of(g, in[1])));
	r = tram_check_shape(g, "xent_final", in[1], "targets", n);
	if (!r)
		r = tram_check_shape(g, "xent_final", in[0], "state", TRAM_SHAPE(n.dim[0], 4));
	if (r)
		return r;
	tram_shapes_add(out, TRAM_F32, n);
	tram_shapes_add(out, TRAM_F32, n);
	return 0;
}

int tram_shape_xent_grad(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			 const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "xent_grad", in, n_in, "ffi");

	if (!r)
		r = check_logits(g, "xent_grad", in[0], in[2]);
	if (!r)
		r = tram_check_shape(g, "xent_grad", in[1], "lse",
				     TRAM_SHAPE(tram_shape_of(g, in[0])->dim[0]));
	if (!r)
		tram_shapes_add(out, TRAM_F32, *tram_shape_of(g, in[0]));
	return r;
}

/* --- oracles: the composites by themselves, not by their expansion ------------------------ */

static double logit(const struct tram_oracle_tensor *x, const struct tram_oracle_tensor *head,
		    size_t i, size_t v)
{
	size_t c = x->shape.dim[1];
	double sum = 0;

	for (size_t j = 0; j < c; j++)
		sum += x->f[i * c + j] * head->f[v * c + j];
	return sum;
}

int tram_oracle_head_loss(const struct tram_oracle_tensor *in, uint32_t n_in,
			  struct tram_oracle_tensor *out, uint32_t n_out,
			  const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = in[0].shape.dim[0], vocab = in[1].shape.dim[0];

	for (size_t i = 0; i < n; i++) {
		int32_t target = in[2].i[i];
		double max = -INFINITY, sum = 0, lse;

		if (target >= 0 && (size_t)target >= vocab)
			return -ERANGE;
		for (size_t v = 0; v < vocab; v++)
			max = fmax(max, logit(&in[0], &in[1], i, v));
		for (size_t v = 0; v < vocab; v++)
			sum += exp(logit(&in[0], &in[1], i, v) - max);
		lse = max + log(sum);
		out[0].f[i] = target < 0 ? 0 : lse - logit(&in[0], &in[1], i, (size_t)target);
		out[1].f[i] = lse;
		for (size_t v = 0; attr->head.keep && v < vocab; v++)
			out[2].f[i * vocab + v] = logit(&in[0], &in[1], i, v);
	}
	return 0;
}

int tram_oracle_head_loss_bwd(const struct tram_oracle_tensor *in, uint32_t n_in,
			      struct tram_oracle_tensor *out, uint32_t n_out,
			      const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = in[0].shape.dim[0], vocab = in[1].shape.dim[0], c = in[0].shape.dim[1];

	memset(out[0].f, 0, n * c * sizeof(double));
	memset(out[1].f, 0, attr->head.shards * vocab * c * sizeof(double));
	for (size_t i = 0; i < n; i++) {
		double *dhead = out[1].f + i / (n / attr->head.shards) * vocab * c;

		for (size_t v = 0; in[2].i[i] >= 0 && v < vocab; v++) {
			double d = exp(logit(&in[0], &in[1], i, v) - in[3].f[i]);

			d = (d - ((size_t)in[2].i[i] == v)) * (double)step->inv_targets;
			for (size_t j = 0; j < c; j++) {
				out[0].f[i * c + j] += d * in[1].f[v * c + j];
				dhead[v * c + j] += d * in[0].f[i * c + j];
			}
		}
	}
	return 0;
}

int tram_oracle_xent_partial(const struct tram_oracle_tensor *in, uint32_t n_in,
			     struct tram_oracle_tensor *out, uint32_t n_out,
			     const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = in[0].shape.dim[0], c = in[0].shape.dim[1];

	for (size_t i = 0; i < n; i++) {
		const double *x = in[0].f + i * c, *was = attr->xent.state ? in[2].f + 4 * i : NULL;
		double max = was ? was[0] : -INFINITY, sum = 0;
		int64_t k = (int64_t)in[1].i[i] - attr->xent.first;

		for (size_t j = 0; j < c; j++)
			max = fmax(max, x[j]);
		if (was)
			sum = was[1] * exp(was[0] - max);
		for (size_t j = 0; j < c; j++)
			sum += exp(x[j] - max);
		out[0].f[4 * i] = max;
		out[0].f[4 * i + 1] = sum;
		out[0].f[4 * i + 2] = in[1].i[i] >= 0 && k >= 0 && (size_t)k < c ? x[k] :
				      was ? was[2] : 0;
		out[0].f[4 * i + 3] = 0;
	}
	return 0;
}

int tram_oracle_xent_final(const struct tram_oracle_tensor *in, uint32_t n_in,
			   struct tram_oracle_tensor *out, uint32_t n_out,
			   const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = in[0].shape.dim[0];

	for (size_t i = 0; i < n; i++) {
		double lse = in[0].f[4 * i] + log(in[0].f[4 * i + 1]);

		out[0].f[i] = in[1].i[i] < 0 ? 0 : lse - in[0].f[4 * i + 2];
		out[1].f[i] = lse;
	}
	return 0;
}

int tram_oracle_xent_grad(const struct tram_oracle_tensor *in, uint32_t n_in,
			  struct tram_oracle_tensor *out, uint32_t n_out,
			  const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = in[0].shape.dim[0], c = in[0].shape.dim[1];

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < c; j++) {
			double p = exp(in[0].f[i * c + j] - in[1].f[i]);
			bool hit = (int64_t)attr->xent.first + (int64_t)j == in[2].i[i];

			out[0].f[i * c + j] = in[2].i[i] < 0 ? 0 :
					      (p - hit) * (double)step->inv_targets;
		}
	return 0;
}
