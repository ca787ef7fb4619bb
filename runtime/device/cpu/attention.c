/* SPDX-License-Identifier: MIT */
/*
 * Causal attention in blocks, never T x T: Dao et al., "FlashAttention" (2022),
 * on tiles of 64 queries by 64 keys. Products are tiles (tile.h).
 *
 * Forward, a task is 64 queries of one head. Keys are transposed once for all
 * heads that share them (first phase, shared scratch). Backward, a task is one key head with its query
 * heads: everything it adds to is its own, in one order.
 *
 *	forward		S = Q K^T	O += P V
 *	backward	S^T = K Q^T	dP^T = V dO^T	dV += P^T dO	dK += dS^T Q	dQ += dS K
 *
 * The backward pass holds scores by [keys x queries], so that P^T and dS^T are products' left
 * operands as they stand; only dS is transposed once.
 */
#include "device/cpu/cpu.h"

#include <math.h>

#define TILE	64
#define BLOCK	512	/* keys whose scores are held at once, forward */

struct attention {
	uint64_t b, t, h, g, d;
	uint64_t ld, ld_out;	/* qkv's row, out's row */
	uint64_t tiles;		/* of T */
	float scale;
	/* [last tile of queries][last tile of keys][add]; not all are used by both passes */
	const struct tram_cpu_tile *score[2][2];
	const struct tram_cpu_tile *value[2][2][2];	/* forward: O; backward: dV and, as dk, dK */
	const struct tram_cpu_tile *dk[2][2][2], *dq[2][2][2];
};

static void plan(const struct tram_shape *qkv, const union tram_attr *attr, struct attention *p)
{
	memset(p, 0, sizeof(*p));
	p->b = 1;
	for (uint32_t i = 0; i + 2 < qkv->rank; i++)
		p->b *= qkv->dim[i];
	p->t = qkv->dim[qkv->rank - 2];
	p->ld = qkv->dim[qkv->rank - 1];
	p->h = attr->attention.heads;
	p->g = attr->attention.kv_heads;
	p->d = p->ld / (p->h + 2 * p->g);
	p->ld_out = p->h * p->d;
	p->tiles = TRAM_DIV_UP(p->t, TILE);
	p->scale = 1.0f / sqrtf((float)p->d);
}

/* Bytes of a head's [D, T], tile by tile. */
static uint64_t flipped_floats(const struct attention *p)
{
	return p->tiles * TILE * p->d;
}

static uint64_t forward_own(const struct attention *p)
{
	return TILE * TRAM_MIN(BLOCK, p->tiles * TILE) * sizeof(float);
}

static uint64_t backward_own(const struct attention *p)
{
	return (2 * flipped_floats(p) + 3 * TILE * TILE) * sizeof(float);
}

uint64_t tram_cpu_scratch_attention(const struct tram_cpu_class *c,
				    const struct tram_signature *sig)
{
	struct attention p;

	plan(&sig->in[0], sig->attr, &p);
	return p.b * p.g * flipped_floats(&p) * sizeof(float) + forward_own(&p) * c->threads;
}

uint64_t tram_cpu_scratch_attention_bwd(const struct tram_cpu_class *c,
					const struct tram_signature *sig)
{
	struct attention p;

	plan(&sig->in[0], sig->attr, &p);
	return backward_own(&p) * c->threads;
}

static inline uint64_t tile_len(const struct attention *p, uint64_t i)
{
	return TRAM_MIN(p->t - i * TILE, (uint64_t)TILE);
}

/* --- forward --------------------------------------------------------------------------- */

/* Items: (b, key head, tile) */
static void flip_keys(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const struct attention *p = a->plan;
	uint64_t j = chunk % p->tiles, g = chunk / p->tiles % p->g, b = chunk / p->tiles / p->g;
	const float *k = (const float *)a->in[0] + (b * p->t + j * TILE) * p->ld + (p->h + g) * p->d;

	a->isa->flip((float *)a->shared + chunk * TILE * p->d, TILE, k, p->ld, tile_len(p, j), p->d);
}

static void forward(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const struct attention *p = a->plan;
	/* Late queries see most keys: their tasks go first. */
	uint64_t i = p->tiles - 1 - chunk / (p->b * p->h), rest = chunk % (p->b * p->h);
	uint64_t h = rest % p->h, b = rest / p->h, g = h / (p->h / p->g), rows = tile_len(p, i);
	const float *q = (const float *)a->in[0] + (b * p->t + i * TILE) * p->ld + h * p->d;
	const float *v = (const float *)a->in[0] + b * p->t * p->ld + (p->h + p->g + g) * p->d;
	const float *kt = (const float *)a->shared + (b * p->g + g) * flipped_floats(p);
	float *out = (float *)a->out[0] + (b * p->t + i * TILE) * p->ld_out + h * p->d;
	float *lse = (float *)a->out[1] + (b * p->h + h) * p->t + i * TILE;
	float *s = tram_cpu_own(a, worker), max[TILE], sum[TILE], alpha[TILE];
	size_t ld_s = TRAM_MIN(BLOCK, p->tiles * TILE);

	for (uint64_t r = 0; r < rows; r++) {
		max[r] = -INFINITY;
		sum[r] = 0.0f;
	}
	for (uint64_t j0 = 0; j0 <= i; j0 += BLOCK / TILE) {
		uint64_t j1 = TRAM_MIN(j0 + BLOCK / TILE, i + 1);

		for (uint64_t j = j0; j < j1; j++)
			tram_cpu_tile_run(p->score[rows < TILE][tile_len(p, j) < TILE], q,
					  kt + j * TILE * p->d, s + (j - j0) * TILE);
		a->isa->attention_softmax(s, ld_s, rows,
					  TRAM_MIN(j1 * TILE, p->t) - j0 * TILE,
					  (i - j0) * TILE + 1, p->scale, max, sum, alpha);
		if (j0)
			a->isa->scale_rows(out, p->ld_out, rows, p->d, alpha);
		for (uint64_t j = j0; j < j1; j++)
			tram_cpu_tile_run(p->value[rows < TILE][tile_len(p, j) < TILE][j > 0],
					  s + (j - j0) * TILE, v + j * TILE * p->ld, out);
	}
	for (uint64_t r = 0; r < rows; r++) {
		lse[r] = max[r] + logf(sum[r]);
		sum[r] = 1.0f / sum[r];
	}
	a->isa->scale_rows(out, p->ld_out, rows, p->d, sum);
}

/* The kernel of [m x k] by [k x n], for full and last tiles of the sides that are along T. */
static int get(struct tram_cpu_lower *l, uint64_t m, uint64_t n, uint64_t k, uint64_t lda,
	       uint64_t ldb, uint64_t ldc, bool add, const struct tram_cpu_tile **tile)
{
	struct tram_cpu_tile_shape s = { (uint32_t)m, (uint32_t)n, (uint32_t)k, lda, ldb, ldc, add };

	return tram_cpu_tile_get(l->tiles, &s, tile);
}

int tram_cpu_lower_attention(struct tram_cpu_lower *l)
{
	struct attention *p = tram_cpu_block(l, sizeof(*p));
	uint64_t len[2], ld_s;
	int r = 0;

	if (!p)
		return -ENOMEM;
	plan(&l->call->in[0].shape, l->call->attr, p);
	len[0] = p->t >= TILE ? TILE : 0;
	len[1] = p->t % TILE;
	ld_s = TRAM_MIN(BLOCK, p->tiles * TILE);
	for (int q = 0; q < 2 && !r; q++)
		for (int k = 0; k < 2 && !r; k++) {
			r = get(l, len[q], len[k], p->d, p->ld, TILE, ld_s, false, &p->score[q][k]);
			for (int add = 0; add < 2 && !r; add++)
				r = get(l, len[q], p->d, len[k], ld_s, p->ld, p->ld_out, add,
					&p->value[q][k][add]);
		}
	if (r)
		return r;
	l->arg->plan = p;
	l->arg->own += p->b * p->g * flipped_floats(p) * sizeof(float);
	l->arg->own_size = forward_own(p);
	r = tram_cpu_phase(l, flip_keys, p->b * p->g * p->tiles, 1);
	return r ? r : tram_cpu_phase(l, forward, p->b * p->h * p->tiles, 1);
}

/* --- backward ------------------------------------------------------------------------------ */

/* One tile of keys against one of queries. */
struct pair {
	const struct attention *p;
	const struct tram_cpu_isa *isa;
	uint64_t i, j;			/* tile of queries, of keys */
	bool first;			/* of those that add to this tile of keys */
	const float *q, *dout, *k, *v;	/* first row of the tile */
	const float *qt, *dot;		/* transposed: [D, TILE] */
	const float *lse, *delta;
	float *dq, *dk, *dv;
	float *s, *dp, *ds;		/* TILE x TILE each */
};

static void backward_pair(const struct pair *x)
{
	const struct attention *p = x->p;
	uint64_t queries = tile_len(p, x->i), keys = tile_len(p, x->j);
	bool lq = queries < TILE, lk = keys < TILE;

	tram_cpu_tile_run(p->score[lq][lk], x->k, x->qt, x->s);
	tram_cpu_tile_run(p->score[lq][lk], x->v, x->dot, x->dp);
	x->isa->attention_grad(x->s, x->dp, TILE, keys, queries, x->i == x->j, p->scale, x->lse,
			       x->delta);
	tram_cpu_tile_run(p->value[lq][lk][!x->first], x->s, x->dout, x->dv);
	tram_cpu_tile_run(p->dk[lq][lk][!x->first], x->dp, x->q, x->dk);
	x->isa->flip(x->ds, TILE, x->dp, TILE, keys, queries);
	tram_cpu_tile_run(p->dq[lq][lk][x->j > 0], x->ds, x->k, x->dq);
}

/* in: qkv, dout, lse, delta; out: dqkv. Items: (b, key head) */
static void backward(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const struct attention *p = a->plan;
	uint64_t g = chunk % p->g, b = chunk / p->g, group = p->h / p->g;
	const float *qkv = (const float *)a->in[0] + b * p->t * p->ld;
	float *dqkv = (float *)a->out[0] + b * p->t * p->ld;
	float *qt = tram_cpu_own(a, worker), *dot = qt + flipped_floats(p);
	struct pair x = { .p = p, .isa = a->isa };

	x.s = dot + flipped_floats(p);
	x.dp = x.s + TILE * TILE;
	x.ds = x.dp + TILE * TILE;
	for (uint64_t h = g * group; h < (g + 1) * group; h++) {
		const float *dout = (const float *)a->in[1] + b * p->t * p->ld_out + h * p->d;
		uint64_t row = (b * p->h + h) * p->t;

		for (uint64_t i = 0; i < p->tiles; i++) {
			a->isa->flip(qt + i * TILE * p->d, TILE, qkv + i * TILE * p->ld + h * p->d, p->ld,
				     tile_len(p, i), p->d);
			a->isa->flip(dot + i * TILE * p->d, TILE, dout + i * TILE * p->ld_out, p->ld_out,
				     tile_len(p, i), p->d);
		}
		for (x.j = 0; x.j < p->tiles; x.j++) {
			uint64_t k = x.j * TILE * p->ld + (p->h + g) * p->d, v = k + p->g * p->d;

			x.k = qkv + k;
			x.v = qkv + v;
			x.dk = dqkv + k;
			x.dv = dqkv + v;
			for (x.i = x.j; x.i < p->tiles; x.i++) {
				uint64_t q = x.i * TILE * p->ld + h * p->d;

				x.first = h == g * group && x.i == x.j;
				x.q = qkv + q;
				x.dq = dqkv + q;
				x.dout = dout + x.i * TILE * p->ld_out;
				x.qt = qt + x.i * TILE * p->d;
				x.dot = dot + x.i * TILE * p->d;
				x.lse = (const float *)a->in[2] + row + x.i * TILE;
				x.delta = (const float *)a->in[3] + row + x.i * TILE;
				backward_pair(&x);
			}
		}
	}
}

int tram_cpu_lower_attention_bwd(struct tram_cpu_lower *l)
{
	struct attention *p = tram_cpu_block(l, sizeof(*p));
	uint64_t len[2];
	int r = 0;

	if (!p)
		return -ENOMEM;
	plan(&l->call->in[0].shape, l->call->attr, p);
	len[0] = p->t >= TILE ? TILE : 0;
	len[1] = p->t % TILE;
	for (int q = 0; q < 2 && !r; q++)
		for (int k = 0; k < 2 && !r; k++) {
			r = get(l, len[k], len[q], p->d, p->ld, TILE, TILE, false, &p->score[q][k]);
			for (int add = 0; add < 2 && !r; add++) {
				r = get(l, len[k], p->d, len[q], TILE, p->ld_out, p->ld, add,
					&p->value[q][k][add]);
				if (!r)
					r = get(l, len[k], p->d, len[q], TILE, p->ld, p->ld, add,
						&p->dk[q][k][add]);
				if (!r)
					r = get(l, len[q], p->d, len[k], TILE, p->ld, p->ld, add,
						&p->dq[q][k][add]);
			}
		}
	if (r)
		return r;
	l->arg->plan = p;
	l->arg->own_size = backward_own(p);
	return tram_cpu_phase(l, backward, p->b * p->g, 1);
}
