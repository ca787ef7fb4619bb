/* SPDX-License-Identifier: MIT */
/*
 * The engine of several devices. Each holds all parameters and computes a run of the batch's shards, by
 * whole subtrees of the tree of shards (comm/comm.h), one recording a size of subtree:
 *
 *	device 0  [ partial [0,4) ]           [ stats ]      [ update ]
 *	device 1  [ partial [4,6) ][ [6,7) ]                 [ update ]
 *	host                              [ tree ]     [ gate ]       [ gather ]
 *
 * The host adds the partial gradients along the tree. The optimizer is spread (ZeRO stage 1, Rajbhandari et al.
 * 2020): a device updates its own range of the parameters, for which alone it holds master copies and moments; the
 * ranges are then gathered into everyone's parameters. How many shards a device gets follows
 * its measured speed; since the tree is the job's, that never shows in the result.
 */
#include "train/engine.h"

#include <math.h>

#include <tram/ops.h>

#include "base/sbuf.h"
#include "base/vec.h"
#include "comm/comm.h"
#include "exec/exec.h"
#include "model/model.h"

#define POLL_NS 200000u
/* Weight of the newest step in a device's measured speed. */
#define NEWEST 0.5
/* Shards move when that makes a step this much shorter, twice in a row. */
#define WORTH 0.9
#define PATIENCE 2
/* Then it is seen first what that gave. */
#define REST 3
/* A device without shards is thought faster by this factor each step, until it is tried again. */
#define FORGET 0.98

/* A recording of one subtree of @n shards; its slots are its places in a step. */
struct part_exec {
	uint32_t n, used;
	struct tram_exec *x;
};

struct run {
	struct tram_exec *x;
	uint32_t slot;
	struct tram_subtree at;
	bool done;
};

struct member {
	struct tram_device *dev;
	struct tram_vars *vars;
	struct tram_exec *update;	/* of elements [first, first + own); NULL when there are none */
	uint64_t first, own;
	TRAM_VEC(struct part_exec) parts;
	struct run run[TRAM_SUBTREES_MAX];
	size_t n_runs;
	uint32_t count;		/* shards */
	uint64_t peak_bytes;	/* of all shares so far */
	double shard_s;		/* measured seconds of one */
	uint64_t begin_ns, done_ns;
};

struct many {
	struct tram_engine base;
	const struct tram_model *model;
	struct tram_engine_params p;
	struct member *m;
	size_t n;
	struct tram_partial *grads, *losses;	/* [shards] at most */
	struct tram_vars **vars;		/* [n] of the members */
	float *gathered;			/* [flat] */
	float *scratch;
	double *seconds;			/* [n] */
	uint32_t *count, *before;		/* [n] a share that is weighed, the former one */
	int worth;				/* steps in a row in which it paid; below 0: at rest */
	bool stay;				/* shards move no more */
	bool flush;
	double step_s;				/* measured; 0: not yet */
};

static struct many *of(const struct tram_engine *e)
{
	return (struct many *)(uintptr_t)e;
}

static void many_destroy(struct tram_engine *e)
{
	struct many *y = of(e);

	for (size_t d = 0; y->m && d < y->n; d++) {
		struct member *m = &y->m[d];

		for (size_t i = 0; i < m->parts.n; i++)
			tram_exec_destroy(&m->parts.v[i].x);
		tram_vec_free(e->ctx, &m->parts);
		tram_exec_destroy(&m->update);
		tram_vars_destroy(&m->vars);
	}
	tram_free(e->ctx, y->m);
	tram_free(e->ctx, y->grads);
	tram_free(e->ctx, y->losses);
	tram_free(e->ctx, y->vars);
	tram_free(e->ctx, y->gathered);
	tram_free(e->ctx, y->scratch);
	tram_free(e->ctx, y->seconds);
	tram_free(e->ctx, y->count);
	tram_free(e->ctx, y->before);
	tram_free(e->ctx, y);
}

/* --- who computes what ---------------------------------------------------------------- */

/* A recording of @n shards on @m with a free slot; made when there is none. */
static int part_of(struct many *y, struct member *m, uint32_t n, struct part_exec **out)
{
	const struct tram_exec_params ep = {
		.budget = tram_engine_left(m->dev, y->p.budget, y->model->flat),
	};
	struct part_exec part = { .n = n };
	struct tram_graph *graph;
	int r;

	for (size_t i = 0; i < m->parts.n; i++) {
		*out = &m->parts.v[i];
		if ((*out)->n == n && (*out)->used < TRAM_EXEC_SLOTS)
			return 0;
	}
	r = tram_vec_reserve(y->base.ctx, &m->parts, m->parts.n + 1);
	if (!r)
		r = tram_model_partial_graph(y->model, n * (y->p.batch / y->p.shards), y->p.seq, n,
					     &graph);
	if (r)
		return r;
	r = tram_exec_create(m->dev, m->vars, graph, &ep, &part.x);
	tram_graph_destroy(&graph);
	if (!r)
		r = tram_vec_push(y->base.ctx, &m->parts, part);
	*out = m->parts.n ? &m->parts.v[m->parts.n - 1] : NULL;
	return r;
}

static void add_exec(struct tram_prediction *p, const struct tram_exec *x, bool variables)
{
	struct tram_prediction q;

	tram_exec_predict(x, &q);
	if (q.arena_bytes > p->arena_bytes || !p->calls)
		memcpy(p->largest, q.largest, sizeof(p->largest));
	p->step_s += q.step_s;
	p->peak_bytes += q.peak_bytes - (variables ? 0 : q.variable_bytes);
	p->variable_bytes += variables ? q.variable_bytes : 0;
	p->arena_bytes += q.arena_bytes;
	p->io_bytes += q.io_bytes;
	p->calls += q.calls;
	p->unmeasured += q.unmeasured;
}

/* What @m takes with its share of now. */
static void predict_member(const struct many *y, const struct member *m, struct tram_prediction *p)
{
	uint64_t params = tram_machine_bytes(&m->dev->machine, y->model->flat * sizeof(float));

	*p = (struct tram_prediction){ .variable_bytes = params, .peak_bytes = params };
	for (size_t i = 0; i < m->parts.n; i++)
		add_exec(p, m->parts.v[i].x, false);
	if (m->update)
		add_exec(p, m->update, true);
}

/* Gives every device its run of @count shards; what that needs is made. */
static int lay_out(struct many *y, const uint32_t *count)
{
	uint32_t first = 0;
	int r = 0;

	for (size_t d = 0; d < y->n && !r; first += count[d++]) {
		struct member *m = &y->m[d];
		struct tram_subtree at[TRAM_SUBTREES_MAX];
		struct tram_prediction p;
		struct part_exec *part;

		m->count = count[d];
		m->n_runs = tram_tree_cover(y->p.shards, first, count[d], at);
		for (size_t i = 0; i < m->parts.n; i++)
			m->parts.v[i].used = 0;
		for (size_t i = 0; i < m->n_runs && !r; i++) {
			r = part_of(y, m, at[i].n, &part);
			if (!r)
				m->run[i] = (struct run){ part->x, part->used++, at[i], false };
		}
		predict_member(y, m, &p);
		m->peak_bytes = TRAM_MAX(m->peak_bytes, p.peak_bytes);
	}
	return r;
}

/* Frees recordings that @count has no use for, so that their memory is there for others. */
static void drop_unused(struct many *y, const uint32_t *count)
{
	uint32_t first = 0;

	for (size_t d = 0; d < y->n; first += count[d++]) {
		struct member *m = &y->m[d];
		struct tram_subtree at[TRAM_SUBTREES_MAX];
		size_t n = tram_tree_cover(y->p.shards, first, count[d], at), kept = 0;

		for (size_t i = 0; i < m->parts.n; i++) {
			bool needed = false;

			for (size_t k = 0; k < n; k++)
				needed |= at[k].n == m->parts.v[i].n;
			if (needed)
				m->parts.v[kept++] = m->parts.v[i];
			else
				tram_exec_destroy(&m->parts.v[i].x);
		}
		m->parts.n = kept;
	}
}

static void tell_share(struct many *y)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(y->base.ctx);

	for (size_t d = 0; d < y->n; d++)
		tram_sbuf_addf(&sb, "%s %s: %u", d ? "," : "", y->m[d].dev->info.selector, y->m[d].count);
	tram_log(y->base.ctx, TRAM_LOG_INFO, "shards of a batch by device from now on:%s",
		 tram_sbuf_str(&sb));
	tram_sbuf_free(&sb);
}

/* Whether shards should move, by the speeds seen so far; then y->count is how. */
static bool pays(struct many *y)
{
	double now = 0, then = 0;

	for (size_t d = 0; d < y->n; d++) {
		if (!y->m[d].count)
			y->m[d].shard_s *= FORGET;
		y->seconds[d] = y->m[d].shard_s;
	}
	tram_tree_share(y->p.shards, y->seconds, y->n, y->count);
	for (size_t d = 0; d < y->n; d++) {
		now = fmax(now, y->m[d].count * y->seconds[d]);
		then = fmax(then, y->count[d] * y->seconds[d]);
	}
	if (y->worth < 0)
		y->worth++;
	else
		y->worth = then < WORTH * now ? y->worth + 1 : 0;
	return y->worth >= PATIENCE && !y->stay;
}

/* Between two steps: shards move to devices that would be done earlier. What no longer fits stays as it was. */
static int share_anew(struct many *y)
{
	int r;

	if (!pays(y))
		return 0;
	y->worth = -REST;
	for (size_t d = 0; d < y->n; d++)
		y->before[d] = y->m[d].count;
	drop_unused(y, y->count);
	r = lay_out(y, y->count);
	if (r == -ENOSPC || r == -ENOMEM) {
		tram_log(y->base.ctx, TRAM_LOG_WARN, "shards stay where they are: %s",
			 tram_error(y->base.ctx));
		y->stay = true;
		drop_unused(y, y->before);
		return lay_out(y, y->before);
	}
	y->base.plans++;
	if (!r)
		tell_share(y);
	return r;
}

/* --- a step ------------------------------------------------------------------------------ */

/* The rows of @run's shards. */
static void fill(struct many *y, const struct run *run, const struct tram_batch_data *b,
		 const struct tram_step *block)
{
	size_t per = (size_t)(y->p.batch / y->p.shards) * y->p.seq;
	size_t first = run->at.first * per, n = run->at.n * per * sizeof(int32_t);
	struct tram_step *step = tram_exec_step(run->x, run->slot);

	memcpy(tram_exec_input(run->x, run->slot, "tokens"), b->tokens + first, n);
	memcpy(tram_exec_input(run->x, run->slot, "targets"), b->targets + first, n);
	memcpy(tram_exec_input(run->x, run->slot, "order"), b->order + first, n);
	*step = *block;
	step->shard0 = run->at.first;
}

static int submit_all(struct many *y)
{
	for (size_t d = 0; d < y->n; d++) {
		struct member *m = &y->m[d];

		m->begin_ns = tram_now_ns();
		m->done_ns = 0;
		for (size_t i = 0; i < m->n_runs; i++) {
			int r = tram_exec_submit(m->run[i].x, m->run[i].slot);

			if (r)
				return r;
			m->run[i].done = false;
		}
	}
	return 0;
}

static int many_begin(struct tram_engine *e, uint32_t slot, const struct tram_batch_data *b,
		      const struct tram_step *block)
{
	struct many *y = of(e);
	int r = y->step_s > 0 ? share_anew(y) : 0;

	if (r)
		return r;
	for (size_t d = 0; d < y->n; d++) {
		for (size_t i = 0; i < y->m[d].n_runs; i++)
			fill(y, &y->m[d].run[i], b, block);
		if (y->m[d].update)
			*tram_exec_step(y->m[d].update, 0) = *block;
	}
	return submit_all(y);
}

/* The device's next run that is not done; NULL when all are. */
static struct run *pending(struct member *m)
{
	for (size_t i = 0; i < m->n_runs; i++)
		if (!m->run[i].done)
			return &m->run[i];
	return NULL;
}

/* Until all partial sums are there. Devices are asked in turn, so that each one's time is seen. */
static int wait_partials(struct many *y)
{
	uint64_t since = tram_now_ns();

	for (bool any = true; any;) {
		any = false;
		for (size_t d = 0; d < y->n; d++) {
			struct member *m = &y->m[d];
			struct run *run = pending(m);
			uint64_t now = tram_now_ns();
			int r;

			if (!run)
				continue;
			any = true;
			r = tram_exec_poll(run->x, run->slot, now + POLL_NS);
			/* Nothing moves: the exec's own watchdog says how long that may be. */
			if (!r && now - since > UINT64_C(10000000000)) {
				r = tram_exec_wait(run->x, run->slot);
				r = r ? r : 1;
			}
			if (r < 0)
				return r;
			if (!r)
				continue;
			since = now;
			run->done = true;
			r = tram_exec_wait(run->x, run->slot);
			if (r)
				return r;
			if (!pending(m))
				m->done_ns = tram_now_ns();
		}
	}
	return 0;
}

static void learn_speeds(struct many *y)
{
	for (size_t d = 0; d < y->n; d++) {
		struct member *m = &y->m[d];
		double s;

		if (!m->count)
			continue;
		s = (double)(m->done_ns - m->begin_ns) * 1e-9 / m->count;
		m->shard_s = m->shard_s > 0 ? NEWEST * s + (1 - NEWEST) * m->shard_s : s;
	}
}

static int reduce(struct many *y, float *loss)
{
	struct tram_reduce_job r = {
		.shards = y->p.shards, .part = y->losses, .count = 1, .flush = y->flush,
		.scratch = y->scratch,
	};
	float *whole;
	int err;

	for (size_t d = 0; d < y->n; d++) {
		for (size_t i = 0; i < y->m[d].n_runs; i++) {
			const struct run *run = &y->m[d].run[i];

			y->losses[r.n_parts] = (struct tram_partial){
				run->at, tram_exec_output(run->x, run->slot, "loss") };
			y->grads[r.n_parts++] = (struct tram_partial){
				run->at, tram_exec_output(run->x, run->slot, "grads") };
		}
	}
	err = tram_reduce_tree(y->base.ctx, &r, &loss, 1);
	if (err)
		return err;
	r.part = y->grads;
	r.count = y->model->flat;
	whole = tram_exec_input(y->m[0].update, 0, "grads");
	err = tram_reduce_tree(y->base.ctx, &r, &whole, 1);
	for (size_t d = 1; d < y->n && !err; d++)
		if (y->m[d].update)
			memcpy(tram_exec_input(y->m[d].update, 0, "grads"), whole + y->m[d].first,
			       y->m[d].own * sizeof(*whole));
	return err;
}

static int many_wait(struct tram_engine *e, uint32_t slot, float *loss, const float **stats)
{
	struct many *y = of(e);
	int r = wait_partials(y);
	uint64_t t0;

	if (r)
		return r;
	learn_speeds(y);
	t0 = tram_now_ns();
	r = reduce(y, loss);
	e->exchange_ns += tram_now_ns() - t0;
	if (!r)
		r = tram_exec_submit(y->m[0].update, 0);
	if (!r)
		r = tram_exec_wait(y->m[0].update, 0);
	if (r)
		return r;
	*stats = tram_exec_output(y->m[0].update, 0, "stats");
	for (size_t d = 1; d < y->n && !r; d++) {
		if (!y->m[d].update)
			continue;
		memcpy(tram_exec_input(y->m[d].update, 0, "stats"), *stats, 4 * sizeof(**stats));
		r = tram_exec_submit(y->m[d].update, 0);
	}
	return r;
}

static size_t parts(const struct many *y)
{
	size_t n = 0;

	for (size_t d = 0; d < y->n; d++)
		n += y->m[d].n_runs;
	return n;
}

/* What each has updated becomes everyone's parameters. */
static int gather(struct many *y)
{
	uint64_t t0 = tram_now_ns();
	int r = 0;

	for (size_t d = 0; d < y->n && !r; d++)
		if (y->m[d].update)
			r = tram_vars_read(y->m[d].vars, "master", 0, y->m[d].own,
					   y->gathered + y->m[d].first);
	for (size_t d = 0; d < y->n && !r; d++)
		r = tram_vars_write(y->m[d].vars, "params", 0, y->model->flat, y->gathered);
	y->base.exchange_ns += tram_now_ns() - t0;
	/* Read and written: partial gradients in and one out, ranges of weights in and all of them out. */
	y->base.exchange_bytes += (parts(y) + 2 + y->n) * y->model->flat * sizeof(float);
	return r;
}

static int many_end(struct tram_engine *e, uint32_t slot, const struct tram_engine_update *u, bool open)
{
	struct many *y = of(e);
	int r = 0;

	for (size_t d = 0; d < y->n && !r; d++) {
		struct tram_step *block;

		if (!y->m[d].update)
			continue;
		block = tram_exec_step(y->m[d].update, 0);
		block->lr = u->lr;
		block->bias_correction1 = u->bias_correction1;
		block->bias_correction2 = u->bias_correction2;
		r = tram_exec_gate(y->m[d].update, 0, open);
	}
	for (size_t d = 0; d < y->n && !r; d++)
		if (y->m[d].update)
			r = tram_exec_finish(y->m[d].update, 0);
	return r || !open ? r : gather(y);
}

/* --- the rest of the interface -------------------------------------------------------------- */

/* Each part by itself, then whole steps as they will be, behind a closed gate. */
static int many_calibrate(struct tram_engine *e)
{
	static const struct tram_engine_update none;
	struct many *y = of(e);
	double took = 0;
	int r = 0;

	for (size_t d = 0; d < y->n && !r; d++) {
		for (size_t i = 0; i < y->m[d].parts.n && !r; i++)
			r = tram_exec_calibrate(y->m[d].parts.v[i].x);
		if (!r && y->m[d].update)
			r = tram_exec_calibrate(y->m[d].update);
	}
	for (int i = 0; i < 3 && !r; i++) {
		uint64_t t0 = tram_now_ns();
		const float *stats;
		float loss;

		r = submit_all(y);
		if (!r)
			r = many_wait(e, 0, &loss, &stats);
		if (!r)
			r = many_end(e, 0, &none, false);
		took = (double)(tram_now_ns() - t0) * 1e-9;
		if (i)	/* the first one warms up */
			y->step_s = i == 1 ? took : fmin(y->step_s, took);
	}
	y->worth = 0;
	return r;
}

static void many_predict(const struct tram_engine *e, struct tram_prediction *p)
{
	const struct many *y = of(e);

	memset(p, 0, sizeof(*p));
	for (size_t d = 0; d < y->n; d++) {
		struct tram_prediction q;

		predict_member(y, &y->m[d], &q);
		if (q.arena_bytes > p->arena_bytes || !d)
			memcpy(p->largest, q.largest, sizeof(p->largest));
		p->step_s += q.step_s;
		p->peak_bytes += y->m[d].peak_bytes;
		p->variable_bytes += q.variable_bytes;
		p->arena_bytes += q.arena_bytes;
		p->io_bytes += q.io_bytes;
		p->calls += q.calls;
		p->unmeasured += q.unmeasured;
	}
	if (y->step_s > 0)
		p->step_s = y->step_s;
}

static int many_write(struct tram_engine *e, const char *name, const float *data)
{
	bool params = !strcmp(name, "params");
	struct many *y = of(e);
	int r = 0;

	for (size_t d = 0; d < y->n && !r; d++) {
		struct member *m = &y->m[d];

		if (params)
			r = tram_vars_write(m->vars, "params", 0, y->model->flat, data);
		if (!r && m->update)
			r = tram_vars_write(m->vars, params ? "master" : name, 0, m->own,
					    data + m->first);
	}
	return r;
}

/* The moments lie in pieces, those of members with a range; they stand first. */
static int many_pin(struct tram_engine *e, struct tram_pin **pin)
{
	static const bool spread[3] = { false, true, true };
	struct many *y = of(e);
	size_t n = 0;

	while (n < y->n && y->m[n].update)
		n++;
	return tram_vars_pin_across(y->vars, n, tram_engine_state, spread, 3, pin);
}

static int many_restore(struct tram_engine *e, const struct tram_pin *pin)
{
	struct many *y = of(e);
	int r = 0;

	for (int i = 0; i < 3 && !r; i++) {
		uint64_t count;

		r = many_write(e, tram_engine_state[i],
			       tram_pin_data(pin, tram_engine_state[i], &count));
	}
	for (size_t d = 0; d < y->n && !r; d++)
		y->m[d].vars->version = tram_pin_version(pin);
	return r;
}

/* Of the first device's largest part. */
static int many_trace(struct tram_engine *e, const char *path)
{
	return tram_exec_trace(of(e)->m[0].parts.v[0].x, path);
}

static void many_memory(const struct tram_engine *e, uint64_t *now, uint64_t *peak)
{
	const struct many *y = of(e);

	*now = *peak = 0;
	for (size_t d = 0; d < y->n; d++) {
		uint64_t n, p;

		tram_device_memory(y->m[d].dev, &n, &p);
		*now += n;
		*peak += p;
	}
}

static const struct tram_engine_ops many_ops = {
	.destroy = many_destroy, .calibrate = many_calibrate, .predict = many_predict,
	.begin = many_begin, .wait = many_wait, .end = many_end, .write = many_write, .pin = many_pin,
	.restore = many_restore, .trace = many_trace, .memory = many_memory,
};

/* --- creation --------------------------------------------------------------------------------- */

/* Whether additions on @dev give zero for denormals: asked of the device, as no interface tells. */
static int find_flush(struct tram_device *dev, bool *flush)
{
	const float tiny[4] = { 1e-40f, 1e-40f, 1e-40f, 1e-40f }, *sum;
	const struct tram_exec_params ep = { .slots = 1 };
	struct tram_graph *g = NULL;
	struct tram_vars *vars = NULL;
	struct tram_exec *x = NULL;
	int r = tram_vars_create(dev, &vars);

	if (!r)
		r = tram_graph_create(dev->ctx, NULL, &g);
	if (!r)
		r = tram_output(g, "sum", tram_add(g, tram_input(g, "a", TRAM_F32, TRAM_SHAPE(4)),
						   tram_input(g, "b", TRAM_F32, TRAM_SHAPE(4))));
	if (!r)
		r = tram_exec_create(dev, vars, g, &ep, &x);
	if (!r) {
		memcpy(tram_exec_input(x, 0, "a"), tiny, sizeof(tiny));
		memcpy(tram_exec_input(x, 0, "b"), tiny, sizeof(tiny));
		r = tram_exec_run(x);
	}
	if (!r) {
		sum = tram_exec_output(x, 0, "sum");
		*flush = sum[0] == 0;
	}
	tram_exec_destroy(&x);
	tram_vars_destroy(&vars);
	tram_graph_destroy(&g);
	return r;
}

/* Member @d's range of the parameters: equal, but that it begins where a tensor may. */
static void choose_range(const struct many *y, size_t d, struct member *m)
{
	uint64_t each = TRAM_ALIGN_UP(TRAM_DIV_UP(y->model->flat, (uint64_t)y->n), (uint64_t)TRAM_MODEL_ALIGN);

	m->first = TRAM_MIN(d * each, y->model->flat);
	m->own = TRAM_MIN(each, y->model->flat - m->first);
}

static int make_member(struct many *y, size_t d, struct tram_device *dev)
{
	struct tram_exec_params ep = { .slots = 1 };
	struct member *m = &y->m[d];
	struct tram_graph *graph;
	int r;

	m->dev = dev;
	choose_range(y, d, m);
	r = tram_vars_create(dev, &m->vars);
	y->vars[d] = m->vars;
	if (!r)
		r = tram_vars_add(m->vars, "params", y->model->flat);
	if (r || !m->own)
		return r;
	r = tram_model_update_graph(y->model, &y->p.opt, m->first, m->own, !d, &graph);
	ep.budget = tram_engine_left(dev, y->p.budget, 0);
	if (!r)
		r = tram_exec_create(dev, m->vars, graph, &ep, &m->update);
	tram_graph_destroy(&graph);
	return r;
}

static int make_arrays(struct many *y, size_t n)
{
	struct tram_ctx *ctx = y->base.ctx;

	y->m = tram_calloc(ctx, n, sizeof(*y->m));
	y->grads = tram_calloc(ctx, y->p.shards, sizeof(*y->grads));
	y->losses = tram_calloc(ctx, y->p.shards, sizeof(*y->losses));
	y->vars = tram_calloc(ctx, n, sizeof(*y->vars));
	y->gathered = tram_calloc(ctx, y->model->flat, sizeof(*y->gathered));
	y->scratch = tram_calloc(ctx, TRAM_REDUCE_SCRATCH, sizeof(*y->scratch));
	y->seconds = tram_calloc(ctx, n, sizeof(*y->seconds));
	y->count = tram_calloc(ctx, n, sizeof(*y->count));
	y->before = tram_calloc(ctx, n, sizeof(*y->before));
	y->n = n;
	return y->m && y->grads && y->losses && y->vars && y->gathered && y->scratch && y->seconds && y->count &&
	       y->before ? 0 : -ENOMEM;
}

int tram_engine_many(struct tram_device *const *devs, size_t n, const struct tram_model *model,
		     const struct tram_engine_params *p, struct tram_engine **engine)
{
	struct many *y;
	int r;

	*engine = NULL;
	y = tram_zalloc(model->ctx, sizeof(*y));
	if (!y)
		return -ENOMEM;
	y->base = (struct tram_engine){ .ctx = model->ctx, .ops = &many_ops, .ahead = 1 };
	y->model = model;
	y->p = *p;
	r = make_arrays(y, n);
	for (size_t d = 0; d < n && !r; d++) {
		y->seconds[d] = 1;
		r = make_member(y, d, devs[d]);
	}
	if (!r)
		r = find_flush(devs[0], &y->flush);
	if (!r) {
		y->base.vars = y->m[0].vars;
		tram_tree_share(p->shards, y->seconds, n, y->count);
		r = lay_out(y, y->count);
	}
	if (r) {
		many_destroy(&y->base);
		return r;
	}
	*engine = &y->base;
	return 0;
}
