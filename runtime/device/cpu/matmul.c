/* SPDX-License-Identifier: MIT */
/*
 * MATMUL as tiles of about 64 x 64. k is cut into parts by its length alone; an
 * element of the result is, part by part, a chain over k (tile.h), then bias,
 * then residual: its bits depend on k and its operands, not on M, N, the batch or how
 * operands are stored. Operands that a tile can't read in place are packed by the task that
 * needs them, in its thread's scratch:
 *
 *	a stored [K, M]: the task's rows of a, [rows, part of k]
 *	b stored [N, K], or with rows so far apart that they share cache sets: [part of k, columns]
 */
#include "device/cpu/cpu.h"

#define TILE		64
#define TILE_MAX	96
#define K_PART		768	/* floats of a row of a; with 64 columns of b fits an L2 cache */
#define TASKS		16	/* that a product should be cut into at least, where it can */

struct matmul {
	uint64_t m, n, k, batch;
	uint64_t lda, ldb;		/* as stored */
	uint64_t a_step, b_step, c_step;	/* from one of the batch to the next */
	uint64_t tm, tn, tk;		/* tile; the last of each kind may be smaller */
	uint64_t rows, cols;		/* of a task, multiples of tm and tn */
	bool ta, tb, pack_b, by_rows;
	bool aside;			/* the result shares storage with the residual */
	uint64_t pack_a_floats, pack_b_floats;
	const float *bias, *residual;
	/* [last in m][last in n][last in k][not first in k] */
	const struct tram_cpu_tile *tile[2][2][2][2];
};

static uint64_t tile_size(uint64_t n)
{
	return TRAM_DIV_UP(n, TRAM_MAX((n + TILE / 2) / TILE, 1));
}

static uint64_t tasks(const struct matmul *p)
{
	return p->batch * TRAM_DIV_UP(p->m, p->rows) * TRAM_DIV_UP(p->n, p->cols);
}

static void plan(const struct tram_shape *a, const struct tram_shape *b,
		 const union tram_attr *attr, struct matmul *p)
{
	uint64_t parts;
	bool shared_b = b->rank == 2;

	memset(p, 0, sizeof(*p));
	p->ta = attr->matmul.ta;
	p->tb = attr->matmul.tb;
	p->m = a->dim[a->rank - (p->ta ? 1 : 2)];
	p->k = a->dim[a->rank - (p->ta ? 2 : 1)];
	p->n = b->dim[b->rank - (p->tb ? 2 : 1)];
	p->batch = 1;
	for (uint32_t i = 0; i + 2 < a->rank; i++)
		p->batch *= a->dim[i];
	if (shared_b && !p->ta) {
		p->m *= p->batch;
		p->batch = 1;
	}
	p->lda = p->ta ? p->m : p->k;
	p->ldb = p->tb ? p->k : p->n;
	p->a_step = p->m * p->k;
	p->b_step = shared_b ? 0 : p->k * p->n;
	p->c_step = p->m * p->n;

	p->tm = tile_size(p->m);
	p->tn = tile_size(p->n);
	if (p->tn < p->n)
		p->tn = TRAM_ALIGN_UP(p->tn, 16);	/* whole vectors */
	parts = TRAM_DIV_UP(p->k, K_PART);
	p->tk = TRAM_ALIGN_UP(TRAM_DIV_UP(p->k, parts), 16);
	p->tk = TRAM_MIN(p->tk, p->k);
	p->pack_b = p->tb || (p->ldb % 512 == 0 && p->k > TILE && p->m > TILE);
	p->by_rows = p->pack_b;
	p->rows = p->tm * (p->pack_b ? 4 : 2);
	p->cols = p->tn * (p->pack_b ? 2 : 8);
	while (tasks(p) < TASKS && (p->rows > p->tm || p->cols > p->tn)) {
		if (p->cols > p->tn && (p->cols >= p->rows || p->rows == p->tm))
			p->cols /= 2;
		else
			p->rows /= 2;
	}
	p->rows = TRAM_ALIGN_UP(TRAM_MIN(p->rows, p->m), p->tm);
	p->cols = TRAM_ALIGN_UP(TRAM_MIN(p->cols, p->n), p->tn);
	p->pack_a_floats = p->ta ? TRAM_ALIGN_UP(p->rows * p->tk, 64) : 0;
	p->pack_b_floats = p->pack_b ? TRAM_ALIGN_UP(p->tk * p->cols, 64) : 0;
}

static uint64_t own_bytes(const struct matmul *p)
{
	return (p->pack_a_floats + p->pack_b_floats + TILE_MAX * TILE_MAX) * sizeof(float);
}

uint64_t tram_cpu_scratch_matmul(const struct tram_cpu_class *c, const struct tram_signature *sig)
{
	struct matmul p;

	plan(&sig->in[0], &sig->in[1], sig->attr, &p);
	return own_bytes(&p) * c->threads;
}

/* A task: its rows and columns of one product. */
struct task {
	const struct matmul *p;
	const struct tram_cpu_isa *isa;
	const float *a, *b, *residual;
	float *c;
	uint64_t m0, m1, n0, n1;	/* of the product */
	uint64_t k0, k1;		/* the part at hand */
	float *pack_a, *pack_b, *aside;
};

static void one_tile(const struct task *t, uint64_t m, uint64_t n)
{
	const struct matmul *p = t->p;
	uint64_t rows = TRAM_MIN(p->tm, t->m1 - m), cols = TRAM_MIN(p->tn, t->n1 - n);
	const float *a = p->ta ? t->pack_a + (m - t->m0) * p->tk : t->a + m * p->lda + t->k0;
	const float *b = p->pack_b ? t->pack_b + (n - t->n0) : t->b + t->k0 * p->ldb + n;
	float *c = t->c + m * p->n + n, *to = p->aside ? t->aside : c;
	uint64_t ld_to = p->aside ? p->tn : p->n;

	tram_cpu_tile_run(p->tile[rows < p->tm][cols < p->tn][t->k1 - t->k0 < p->tk][t->k0 > 0], a,
			  b, to);
	if (t->k1 < p->k || (!p->bias && !t->residual))
		return;
	t->isa->epilogue(c, p->n, to, ld_to, p->bias ? p->bias + n : NULL,
			 t->residual ? t->residual + m * p->n + n : NULL, p->n, rows, cols);
}

static void matmul_chunk(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const struct matmul *p = a->plan;
	uint64_t m_tasks = TRAM_DIV_UP(p->m, p->rows), n_tasks = TRAM_DIV_UP(p->n, p->cols);
	uint64_t i = chunk / (m_tasks * n_tasks), rest = chunk % (m_tasks * n_tasks);
	struct task t = { .p = p, .isa = a->isa };

	t.a = (const float *)a->in[0] + i * p->a_step;
	t.b = (const float *)a->in[1] + i * p->b_step;
	t.c = (float *)a->out[0] + i * p->c_step;
	t.residual = p->residual ? p->residual + i * p->c_step : NULL;
	t.m0 = rest / n_tasks * p->rows;
	t.m1 = TRAM_MIN(t.m0 + p->rows, p->m);
	t.n0 = rest % n_tasks * p->cols;
	t.n1 = TRAM_MIN(t.n0 + p->cols, p->n);
	t.pack_a = tram_cpu_own(a, worker);
	t.pack_b = t.pack_a + p->pack_a_floats;
	t.aside = t.pack_b + p->pack_b_floats;
	for (t.k0 = 0; t.k0 < p->k; t.k0 = t.k1) {
		uint64_t k;

		t.k1 = TRAM_MIN(t.k0 + p->tk, p->k);
		k = t.k1 - t.k0;
		if (p->ta)
			a->isa->flip(t.pack_a, p->tk, t.a + t.k0 * p->lda + t.m0, p->lda, k,
				     t.m1 - t.m0);
		if (p->tb)
			a->isa->flip(t.pack_b, p->cols, t.b + t.n0 * p->ldb + t.k0, p->ldb,
				     t.n1 - t.n0, k);
		else if (p->pack_b)
			a->isa->copy2d(t.pack_b, p->cols, t.b + t.k0 * p->ldb + t.n0, p->ldb, k,
				       t.n1 - t.n0);
		if (p->by_rows) {
			for (uint64_t m = t.m0; m < t.m1; m += p->tm)
				for (uint64_t n = t.n0; n < t.n1; n += p->tn)
					one_tile(&t, m, n);
		} else {
			for (uint64_t n = t.n0; n < t.n1; n += p->tn)
				for (uint64_t m = t.m0; m < t.m1; m += p->tm)
					one_tile(&t, m, n);
		}
	}
}

static int get_tiles(struct tram_cpu_lower *l, struct matmul *p)
{
	uint64_t m[2] = { p->tm, p->m % p->tm }, n[2] = { p->tn, p->n % p->tn };
	uint64_t k[2] = { p->tk, p->k % p->tk };

	for (uint32_t i = 0; i < 16; i++) {
		uint32_t im = i & 1, in = i >> 1 & 1, ik = i >> 2 & 1, add = i >> 3 & 1;
		struct tram_cpu_tile_shape s = {
			.m = (uint32_t)m[im], .n = (uint32_t)n[in], .k = (uint32_t)k[ik],
			.lda = p->ta ? p->tk : p->lda, .ldb = p->pack_b ? p->cols : p->ldb,
			.ldc = p->aside ? p->tn : p->n, .add = add,
		};
		int r;

		if (add ? p->k <= p->tk : ik == 1)
			continue;	/* the first part is never the short one: it's tk <= k */
		r = tram_cpu_tile_get(l->tiles, &s, &p->tile[im][in][ik][add]);
		if (r)
			return r;
	}
	return 0;
}

int tram_cpu_lower_matmul(struct tram_cpu_lower *l)
{
	const struct tram_call *call = l->call;
	const union tram_attr *attr = call->attr;
	struct matmul *p = tram_cpu_block(l, sizeof(*p));
	uint32_t next = 2;
	int r;

	if (!p)
		return -ENOMEM;
	plan(&call->in[0].shape, &call->in[1].shape, attr, p);
	if (attr->matmul.bias)
		p->bias = l->arg->in[next++];
	if (attr->matmul.residual)
		p->residual = l->arg->in[next++];
	if (p->residual && p->residual == l->arg->out[0]) {
		/* The tile must not overwrite what is still to be added: one tile a task, finished aside. */
		p->aside = true;
		p->rows = p->tm;
		p->cols = p->tn;
	}
	r = get_tiles(l, p);
	if (r)
		return r;
	l->arg->plan = p;
	l->arg->own_size = own_bytes(p);
	return tram_cpu_phase(l, matmul_chunk, tasks(p), 1);
}
