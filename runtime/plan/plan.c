/* SPDX-License-Identifier: MIT */
/*
 * From a graph to a schedule with a place for every tensor. The passes stand in
 * rewrite.h in the order in which tram_plan_create() runs them.
 */
#include "plan/rewrite.h"

static int make_graph(struct tram_plan *plan, const struct tram_graph *graph, bool no_fusion)
{
	struct tram_graph *expanded;
	int32_t *until;
	int r;

	r = tram_plan_expand(graph, &expanded);
	if (r)
		return r;
	if (no_fusion) {
		plan->graph = expanded;
	} else {
		r = tram_plan_fuse(expanded, &plan->graph);
		tram_graph_destroy(&expanded);
		if (r)
			return r;
	}
	until = tram_calloc(plan->ctx, plan->graph->values.n + 1, sizeof(*until));
	if (!until)
		return -ENOMEM;
	r = tram_plan_versions(plan->graph, until);
	tram_free(plan->ctx, until);
	return r;
}

/* Room by node and value of the final graph. */
static int allocate(struct tram_plan *plan)
{
	struct tram_graph *g = plan->graph;
	uint32_t most = 1;
	size_t n = g->nodes.n + 1;

	for (size_t i = 0; i < g->nodes.n; i++)
		most = TRAM_MAX(most, g->nodes.v[i].n_in + g->nodes.v[i].n_out);
	plan->place = tram_calloc(plan->ctx, g->values.n + 1, sizeof(*plan->place));
	plan->scratch = tram_calloc(plan->ctx, n, sizeof(*plan->scratch));
	plan->scratch_bytes = tram_calloc(plan->ctx, n, sizeof(*plan->scratch_bytes));
	plan->barrier = tram_calloc(plan->ctx, n, sizeof(*plan->barrier));
	plan->shapes = tram_calloc(plan->ctx, most, sizeof(*plan->shapes));
	if (!plan->place || !plan->scratch || !plan->scratch_bytes || !plan->barrier ||
	    !plan->shapes)
		return -ENOMEM;
	for (size_t i = 0; i < g->nodes.n; i++)
		plan->n_compute += g->nodes.v[i].phase == TRAM_PHASE_COMPUTE;
	return 0;
}

/* Inputs, outputs and variables lie one after another in their blocks. */
static int place_blocks(struct tram_plan *plan, const struct tram_layout *lay)
{
	const struct tram_graph *g = plan->graph;
	size_t n = 0, i;

	for (i = 0; i < g->values.n; i++)
		n += lay->region[i] == TRAM_REGION_VAR;
	plan->vars = tram_calloc(plan->ctx, n + 1, sizeof(*plan->vars));
	if (!plan->vars)
		return -ENOMEM;
	for (i = 0; i < g->values.n; i++) {
		struct tram_placement *p = &plan->place[i];
		uint64_t bytes = TRAM_ALIGN_UP(tram_plan_bytes(g, (tram_value)i), TRAM_PLAN_ALIGN);

		if (lay->ref[i].root != (tram_value)i)
			continue;
		p->region = lay->region[i];
		if (p->region == TRAM_REGION_VAR) {
			p->index = (uint32_t)plan->n_vars;
			plan->vars[plan->n_vars].name = g->values.v[i].name;
			plan->vars[plan->n_vars++].count = tram_shape_count(&g->values.v[i].shape);
		} else if (p->region == TRAM_REGION_INPUT) {
			p->offset = plan->input_bytes;
			plan->input_bytes += bytes;
		} else if (p->region == TRAM_REGION_OUTPUT) {
			p->offset = plan->output_bytes;
			plan->output_bytes += bytes;
		}
	}
	return 0;
}

/* Blobs and scratch into the arena. *@largest: of the values, the one that weighs most at the peak. */
static int place_arena(struct tram_plan *plan, const struct tram_machine_device *m,
		       const struct tram_layout *lay, tram_value *largest)
{
	const struct tram_graph *g = plan->graph;
	struct tram_arena_item *items;
	struct tram_signature sig;
	uint64_t most = 0, bytes;
	size_t n = 0, i, k = 0;
	int32_t peak;
	int r = -ENOMEM;

	*largest = TRAM_NONE;
	items = tram_calloc(plan->ctx, g->values.n + g->nodes.n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (i = 0; i < g->values.n; i++)
		if (lay->ref[i].root == (tram_value)i && lay->region[i] == TRAM_REGION_ARENA &&
		    lay->last[i] >= 0)
			items[n++] = (struct tram_arena_item){
				tram_plan_bytes(g, (tram_value)i), lay->first[i], lay->last[i], 0 };
	for (i = 0; m->scratch && i < g->nodes.n; i++) {
		const struct tram_node *node = &g->nodes.v[i];

		if (plan->elided[i])
			continue;
		tram_plan_signature(g, node, plan->shapes, plan->shapes + node->n_in, &sig);
		plan->scratch_bytes[i] = m->scratch(m, &sig);
		if (plan->scratch_bytes[i])
			items[n++] = (struct tram_arena_item){ plan->scratch_bytes[i], (int32_t)i,
							       (int32_t)i, 0 };
	}
	r = tram_arena_pack(plan->ctx, items, n, &plan->arena_bytes, &plan->arena_bound, &peak);
	if (r)
		goto free;
	for (i = 0; i < g->values.n; i++) {
		if (lay->ref[i].root != (tram_value)i)
			continue;
		bytes = tram_plan_bytes(g, (tram_value)i);
		if (lay->region[i] == TRAM_REGION_ARENA) {
			if (lay->last[i] < 0) {
				plan->place[i].region = TRAM_REGION_NONE;
				continue;
			}
			plan->place[i].offset = items[k].offset;
			if (items[k].first > peak || items[k].last < peak)
				bytes = 0;
			k++;
		}
		if (bytes > most) {
			most = bytes;
			*largest = (tram_value)i;
		}
	}
	for (i = 0; i < g->nodes.n; i++)
		if (plan->scratch_bytes[i])
			plan->scratch[i] = (struct tram_placement){
				TRAM_REGION_ARENA, 0, items[k++].offset };
free:
	tram_free(plan->ctx, items);
	return r;
}

/* Everything that lives inside a blob. */
static void place_members(struct tram_plan *plan, const struct tram_layout *lay)
{
	for (size_t i = 0; i < plan->graph->values.n; i++) {
		const struct tram_blob_ref *ref = &lay->ref[i];

		if (ref->root == (tram_value)i)
			continue;
		plan->place[i] = plan->place[ref->root];
		plan->place[i].offset += ref->offset;
	}
}

int tram_plan_create(const struct tram_graph *graph, const struct tram_plan_params *params,
		     struct tram_plan **out)
{
	struct tram_layout lay = { 0 };
	struct tram_ctx *ctx = graph->ctx;
	tram_value largest;
	struct tram_plan *plan;
	int r;

	*out = NULL;
	if (tram_graph_status(graph))
		return tram_fail_in(ctx, tram_graph_status(graph), "plan: the graph is incomplete");
	plan = tram_zalloc(ctx, sizeof(*plan));
	if (!plan)
		return -ENOMEM;
	plan->ctx = ctx;
	plan->slots = params->slots ? params->slots : 2;
	r = make_graph(plan, graph, params->no_fusion);
	if (!r)
		r = tram_plan_alias(plan, params->no_reuse, &lay);
	if (!r)
		r = allocate(plan);
	if (!r)
		r = place_blocks(plan, &lay);
	if (!r)
		r = place_arena(plan, params->machine, &lay, &largest);
	if (r)
		goto fail;
	place_members(plan, &lay);
	r = tram_plan_barriers(plan);
	if (r)
		goto fail;
	tram_plan_predict(plan, params->machine);
	r = tram_plan_check_budget(plan, params->machine, params->budget, largest);
	if (r)
		goto fail;
	tram_layout_free(ctx, &lay);
	*out = plan;
	return 0;

fail:
	tram_layout_free(ctx, &lay);
	tram_plan_destroy(&plan);
	return r;
}

void tram_plan_destroy(struct tram_plan **planp)
{
	struct tram_plan *plan = *planp;

	*planp = NULL;
	if (!plan)
		return;
	tram_graph_destroy(&plan->graph);
	tram_free(plan->ctx, plan->place);
	tram_free(plan->ctx, plan->scratch);
	tram_free(plan->ctx, plan->scratch_bytes);
	tram_free(plan->ctx, plan->barrier);
	tram_free(plan->ctx, plan->elided);
	tram_free(plan->ctx, plan->vars);
	tram_free(plan->ctx, plan->shapes);
	tram_free(plan->ctx, plan);
}
