/* SPDX-License-Identifier: MIT */
/*
 * Where calls must wait for earlier ones. Calls run in any order unless a barrier stands between them, so a
 * call needs one exactly when it touches bytes that a call since the last barrier wrote, or
 * writes bytes that one read. Bytes, not values: storage is shared and reused. Each program
 * begins behind everything submitted before it.
 */
#include "plan/rewrite.h"

/* Disjoint ranges, ascending; neighbours that touch are one. */
struct range { uint64_t begin, end; };
struct ranges { TRAM_VEC(struct range) v; };

/* Ranges after which a barrier is made though none is needed, so that inserting stays cheap. */
#define MOST_RANGES 8192

struct spaces {
	uint64_t arena, input, output;	/* where each region begins in one line of addresses */
	uint64_t *var;
};

/* The first range that ends behind @at. */
static size_t find(const struct ranges *r, uint64_t at)
{
	size_t lo = 0, hi = r->v.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->v.v[mid].end <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool overlaps(const struct ranges *r, struct range x)
{
	size_t i = find(r, x.begin);

	return i < r->v.n && r->v.v[i].begin < x.end;
}

static int add(struct tram_ctx *ctx, struct ranges *r, struct range x)
{
	size_t i = find(r, x.begin), j;

	if (i && r->v.v[i - 1].end == x.begin)
		i--;
	for (j = i; j < r->v.n && r->v.v[j].begin <= x.end; j++) {
		x.begin = TRAM_MIN(x.begin, r->v.v[j].begin);
		x.end = TRAM_MAX(x.end, r->v.v[j].end);
	}
	if (j == i && tram_vec_reserve(ctx, &r->v, 1))
		return -ENOMEM;
	memmove(&r->v.v[i + 1], &r->v.v[j], (r->v.n - j) * sizeof(x));
	r->v.n = r->v.n - (j - i) + 1;
	r->v.v[i] = x;
	return 0;
}

static struct range range_of(const struct spaces *s, const struct tram_placement *p, uint64_t bytes)
{
	uint64_t at = p->offset;

	at += p->region == TRAM_REGION_VAR ? s->var[p->index] :
	      p->region == TRAM_REGION_INPUT ? s->input :
	      p->region == TRAM_REGION_OUTPUT ? s->output : s->arena;
	return (struct range){ at, at + bytes };
}

struct hazards {
	const struct tram_plan *plan;
	struct spaces spaces;
	struct ranges reads, writes;	/* since the last barrier */
};

/* Calls @each for the bytes of every operand of node @i, until it returns non-zero. */
static int operands(struct hazards *h, size_t i, int (*each)(struct hazards *, struct range, bool))
{
	const struct tram_graph *g = h->plan->graph;
	const struct tram_node *node = &g->nodes.v[i];
	const struct tram_op_row *row = &g->ops[node->op];
	int r = 0;

	for (uint32_t k = 0; k < node->n_in && !r; k++)
		r = each(h, range_of(&h->spaces, &h->plan->place[node->in[k]],
				     tram_plan_bytes(g, node->in[k])), false);
	for (uint32_t k = 0; k < node->n_out && !r; k++) {
		struct range x = range_of(&h->spaces, &h->plan->place[node->out[k]],
					  tram_plan_bytes(g, node->out[k]));

		if (row->updates[k])
			r = each(h, x, false);
		if (!r)
			r = each(h, x, true);
	}
	if (!r && h->plan->scratch[i].region != TRAM_REGION_NONE)
		r = each(h, range_of(&h->spaces, &h->plan->scratch[i], h->plan->scratch_bytes[i]),
			 true);
	return r;
}

static int conflicts(struct hazards *h, struct range x, bool write)
{
	return overlaps(&h->writes, x) || (write && overlaps(&h->reads, x));
}

static int record(struct hazards *h, struct range x, bool write)
{
	return add(h->plan->ctx, write ? &h->writes : &h->reads, x);
}

int tram_plan_barriers(struct tram_plan *plan)
{
	struct hazards h = { .plan = plan };
	uint64_t at = TRAM_PLAN_ALIGN;
	size_t i;
	int r = 0;

	h.spaces.var = tram_calloc(plan->ctx, plan->n_vars + 1, sizeof(*h.spaces.var));
	if (!h.spaces.var)
		return -ENOMEM;
	/* One unit between regions keeps them from becoming neighbours. */
	h.spaces.arena = at;
	at += plan->arena_bytes + TRAM_PLAN_ALIGN;
	h.spaces.input = at;
	at += plan->input_bytes + TRAM_PLAN_ALIGN;
	h.spaces.output = at;
	at += plan->output_bytes + TRAM_PLAN_ALIGN;
	for (i = 0; i < plan->n_vars; i++) {
		h.spaces.var[i] = at;
		at += plan->vars[i].count * 4 + TRAM_PLAN_ALIGN;
	}
	for (i = 0; i < plan->graph->nodes.n && !r; i++) {
		if (i == plan->n_compute)
			h.reads.v.n = h.writes.v.n = 0;
		if (plan->elided[i])
			continue;
		plan->barrier[i] = operands(&h, i, conflicts) ||
				   h.reads.v.n + h.writes.v.n > MOST_RANGES;
		if (plan->barrier[i])
			h.reads.v.n = h.writes.v.n = 0;
		r = operands(&h, i, record);
	}
	tram_vec_free(plan->ctx, &h.reads.v);
	tram_vec_free(plan->ctx, &h.writes.v);
	tram_free(plan->ctx, h.spaces.var);
	return r;
}
