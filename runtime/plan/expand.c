/* SPDX-License-Identifier: MIT */
/*
 * Composite ops into kernel ops: a new graph with the names of inputs,
 * variables and outputs kept, without the nodes that nothing needs.
 */
#include "plan/rewrite.h"

static int expand_node(struct tram_rewrite *rw, size_t i)
{
	const struct tram_node *node = &rw->src->nodes.v[i];
	const struct tram_op_row *row = tram_plan_row(rw->src, node);
	tram_value out[TRAM_ARRAY_SIZE(((struct tram_shapes *)0)->shape)];
	uint32_t k;
	int r;

	if (!row->expand)
		return tram_rewrite_copy(rw, i);
	assert(node->n_out <= TRAM_ARRAY_SIZE(out));
	for (k = 0; k < node->n_in; k++) {
		rw->in[k] = tram_rewrite_value(rw, node->in[k]);
		if (rw->in[k] == TRAM_NONE)
			return -ENOMEM;
	}
	for (k = 0; k < node->n_out; k++)
		out[k] = TRAM_NONE;
	rw->dst->phase = node->phase;
	rw->dst->in_backward = node->backward;
	r = row->expand(rw->dst, node, rw->in, out);
	if (r)
		return r;
	for (k = 0; k < node->n_out; k++) {
		const struct tram_value_info *want = tram_val(rw->src, node->out[k]);

		if (out[k] == TRAM_NONE)
			return tram_graph_status(rw->dst) ? tram_graph_status(rw->dst) :
			       tram_fail(rw->src->ctx, -EINVAL, "graph: %s has no result %u after expansion",
					 row->name, k);
		assert(tram_shape_count(&want->shape) ==
		       tram_shape_count(&tram_val(rw->dst, out[k])->shape));
		rw->map[node->out[k]] = out[k];
	}
	return 0;
}

int tram_plan_expand(const struct tram_graph *src, struct tram_graph **out)
{
	struct tram_rewrite rw = { .src = src };
	bool *live;
	int r = -ENOMEM;

	*out = NULL;
	live = tram_calloc(src->ctx, src->nodes.n + 1, sizeof(*live));
	if (!live)
		return -ENOMEM;
	r = tram_plan_live(src, live);
	if (!r)
		r = tram_rewrite_begin(&rw, src);
	for (size_t i = 0; !r && i < src->nodes.n; i++)
		if (live[i])
			r = expand_node(&rw, i);
	tram_free(src->ctx, live);
	return tram_rewrite_end(&rw, r, out);
}
