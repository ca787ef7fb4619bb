/* SPDX-License-Identifier: MIT */
/*
 * Measuring the calls of a plan on its device: a recording with timestamps is run a few times beside the plain
 * one. The spans give each call's seconds; the difference to the plain runs' wall time, spread over the
 * calls, is what lies between them. Rates that were kept are of another hour, when the machine may have been
 * shared or clocked otherwise: plain runs are held against the prediction, and all is measured anew where
 * they differ. Update nodes do nothing while the gate is closed, so they are
 * measured with the commit word set, on variables that are pinned before and restored
 * after.
 */
#include "exec/exec.h"

#include <math.h>
#include <stdlib.h>

#define MOST_RUNS 15
/* No further run after this time. */
#define LONG_NS 1000000000u
/* Kept rates hold while a run is within this share of what they predict. */
#define HOLDS 0.15

struct measuring {
	struct tram_exec *x;
	struct tram_program *timed[2];
	struct tram_span *spans;	/* of the best run */
	struct tram_span *fresh;
	size_t n_calls;
	uint64_t wall_ns[MOST_RUNS + 1];	/* plain runs, ascending */
	size_t n_wall;
	uint64_t sum_ns;		/* least sum of spans */
};

/* Both programs in one submission; the calls' spans into @m->fresh. */
static int timed_run(struct measuring *m)
{
	uint64_t sum = 0;
	size_t n = 0;
	int r = tram_exec_measure(m->x, m->timed);

	for (int phase = 0; phase < 2 && !r; phase++) {
		if (!m->timed[phase])
			continue;
		r = m->x->dev->ops->spans(m->timed[phase], m->fresh + n, m->n_calls - n);
		if (r < 0)
			return r;
		n += (size_t)r;
		r = 0;
	}
	if (r)
		return r;
	if (n != m->n_calls)
		return tram_fail(m->x->ctx, -EIO, "%s: gave timestamps of %zu calls, %zu were recorded",
				 m->x->dev->info.selector, n, m->n_calls);
	for (size_t i = 0; i < n; i++)
		sum += m->fresh[i].end_ns - m->fresh[i].begin_ns;
	if (!m->sum_ns || sum < m->sum_ns) {
		struct tram_span *swap = m->spans;

		m->spans = m->fresh;
		m->fresh = swap;
		m->sum_ns = TRAM_MAX(sum, 1u);
	}
	return 0;
}

static int plain_run(struct measuring *m)
{
	uint64_t begin = tram_now_ns(), took;
	int r = tram_exec_measure(m->x, m->x->slot[0].program);
	size_t i;

	took = tram_now_ns() - begin;
	for (i = m->n_wall++; i && m->wall_ns[i - 1] > took; i--)
		m->wall_ns[i] = m->wall_ns[i - 1];
	m->wall_ns[i] = took;
	return r;
}

/* Whether a plain run takes what the rates at hand predict. The first one only warms up, unless it is long. */
static int check_prediction(struct measuring *m, double predicted_s, bool *holds)
{
	int r = plain_run(m);

	*holds = false;
	if (!r && m->wall_ns[0] < LONG_NS / 4) {
		m->n_wall = 0;
		for (int i = 0; i < 3 && !r; i++)
			r = plain_run(m);
	}
	if (!r)
		*holds = fabs((double)m->wall_ns[m->n_wall / 2] * 1e-9 - predicted_s) <=
			 HOLDS * predicted_s;
	return r;
}

static int run_all(struct measuring *m)
{
	uint64_t begin;
	int r = plain_run(m);	/* warms caches and pipelines */

	m->n_wall = 0;
	begin = tram_now_ns();
	for (int i = 0; i < MOST_RUNS && !r; i++) {
		r = timed_run(m);
		if (!r)
			r = plain_run(m);
		if (tram_now_ns() - begin > LONG_NS)
			break;
	}
	return r;
}

/* The variables that the update writes. */
static int pin_updated(struct tram_exec *x, struct tram_pin **pin)
{
	const struct tram_graph *g = x->plan->graph;
	const char **names;
	size_t n = 0;
	int r = 0;

	*pin = NULL;
	names = tram_calloc(x->ctx, x->plan->n_vars + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (size_t i = x->plan->n_compute; i < g->nodes.n; i++) {
		for (uint32_t k = 0; k < g->nodes.v[i].n_out; k++) {
			const struct tram_value_info *v = tram_val(g, g->nodes.v[i].out[k]);
			const char *name = v->kind == TRAM_VALUE_NEXT ? tram_val(g, v->base)->name :
					   NULL;

			for (size_t j = 0; name && j < n; j++)
				if (!strcmp(names[j], name))
					name = NULL;
			if (name)
				names[n++] = name;
		}
	}
	if (n)
		r = tram_vars_pin(x->vars, names, n, pin);
	tram_free(x->ctx, names);
	return r;
}

static int by_hash(const void *a, const void *b)
{
	const struct tram_rate *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Spans into one rate a signature: the mean of its calls. */
static int keep_rates(struct measuring *m)
{
	const struct tram_plan *plan = m->x->plan;
	struct tram_signature sig;
	struct tram_rate *rates;
	size_t n = m->n_calls, k = 0;
	int r;

	rates = tram_calloc(m->x->ctx, n + 1, sizeof(*rates));
	if (!rates)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct tram_node *node = &plan->graph->nodes.v[m->spans[i].tag];

		tram_plan_signature(plan->graph, node, plan->shapes, plan->shapes + node->n_in, &sig);
		rates[i].hash = tram_signature_hash(&sig);
		rates[i].seconds = (double)(m->spans[i].end_ns - m->spans[i].begin_ns) * 1e-9;
	}
	qsort(rates, n, sizeof(*rates), by_hash);
	for (size_t i = 0, j; i < n; i = j) {
		double sum = 0;

		for (j = i; j < n && rates[j].hash == rates[i].hash; j++)
			sum += rates[j].seconds;
		rates[k].hash = rates[i].hash;
		rates[k++].seconds = sum / (double)(j - i);
	}
	rates[k].hash = TRAM_RATE_CALL_GAP;
	/* The median: what a step usually takes. */
	rates[k++].seconds = ((double)m->wall_ns[m->n_wall / 2] - (double)m->sum_ns) * 1e-9 /
			     (double)n;
	r = tram_rates_merge(m->x->dev, rates, k);
	tram_free(m->x->ctx, rates);
	return r;
}

int tram_exec_calibrate(struct tram_exec *x)
{
	const struct tram_device_ops *ops = x->dev->ops;
	struct measuring m = { .x = x, .n_calls = x->plan->prediction.calls };
	struct tram_pin *pin = NULL;
	bool holds = false;
	uint32_t step;
	int r, undo;

	r = tram_exec_idle(x, "calibrate");
	if (r)
		return r;
	tram_plan_predict(x->plan, &x->dev->machine);
	tram_exec_lend(x);
	m.spans = tram_calloc(x->ctx, m.n_calls, sizeof(*m.spans));
	m.fresh = tram_calloc(x->ctx, m.n_calls, sizeof(*m.fresh));
	r = m.spans && m.fresh ? 0 : -ENOMEM;
	for (int phase = 0; phase < 2 && !r; phase++)
		r = tram_exec_record(x, &x->slot[0], phase, true, &m.timed[phase]);
	if (!r)
		r = pin_updated(x, &pin);
	if (!r) {
		step = tram_slot_step(&x->slot[0])->step;
		tram_slot_step(&x->slot[0])->step = TRAM_MAX(step, 1u);
		tram_slot_step(&x->slot[0])->commit = 1;
		if (!x->plan->prediction.unmeasured)
			r = check_prediction(&m, x->plan->prediction.step_s, &holds);
		if (!r && !holds)
			r = run_all(&m);
		tram_slot_step(&x->slot[0])->commit = 0;
		tram_slot_step(&x->slot[0])->step = step;
		/* Also after a failure, as far as the device still can. */
		undo = pin ? tram_vars_restore(x->vars, pin) : 0;
		r = r ? r : undo;
	}
	tram_pin_release(&pin);
	for (int phase = 0; phase < 2; phase++)
		if (m.timed[phase] && x->err != -ETIMEDOUT)
			ops->program_destroy(m.timed[phase]);
	undo = tram_exec_take_back(x);
	r = r ? r : undo;
	if (!r && !holds) {
		r = keep_rates(&m);
		tram_plan_predict(x->plan, &x->dev->machine);
	}
	tram_free(x->ctx, m.spans);
	tram_free(x->ctx, m.fresh);
	return r;
}
