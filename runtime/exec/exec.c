/* SPDX-License-Identifier: MIT */
/*
 * Plans a graph, gives it memory, records it once a slot and replays it. A step
 * is submit, wait, gate, finish; exec.h draws it. Variables are in vars.c.
 */
#include "exec/exec.h"

#define NS 1e9

/* --- recording ---------------------------------------------------------------- */

static struct tram_operand operand_at(const struct tram_exec *x, const struct tram_slot *slot,
				      const struct tram_placement *p)
{
	struct tram_operand o = { .offset = p->offset };

	switch (p->region) {
	case TRAM_REGION_ARENA:
		o.buf = x->arena;
		break;
	case TRAM_REGION_VAR:
		o.buf = x->var[p->index];
		break;
	case TRAM_REGION_INPUT:
		o.buf = slot->input;
		break;
	case TRAM_REGION_OUTPUT:
		o.buf = slot->output;
		break;
	case TRAM_REGION_NONE:
		break;
	}
	return o;
}

static struct tram_operand operand_of(const struct tram_exec *x, const struct tram_slot *slot,
				      tram_value v)
{
	const struct tram_value_info *info = tram_val(x->plan->graph, v);
	struct tram_operand o = operand_at(x, slot, &x->plan->place[v]);

	o.shape = info->shape;
	o.dtype = info->dtype;
	return o;
}

int tram_exec_record(struct tram_exec *x, struct tram_slot *slot, enum tram_phase phase,
		     bool timed, struct tram_program **prog)
{
	const struct tram_plan *plan = x->plan;
	const struct tram_graph *g = plan->graph;
	size_t from = phase == TRAM_PHASE_COMPUTE ? 0 : plan->n_compute;
	size_t to = phase == TRAM_PHASE_COMPUTE ? plan->n_compute : g->nodes.n;
	struct tram_operand *operands;
	size_t n = 0, n_operands = 0, i;
	struct tram_call *calls;
	int r = -ENOMEM;

	*prog = NULL;
	for (i = from; i < to; i++) {
		n += !plan->elided[i];
		n_operands += g->nodes.v[i].n_in + g->nodes.v[i].n_out;
	}
	if (!n)
		return 0;
	calls = tram_calloc(x->ctx, n, sizeof(*calls));
	operands = tram_calloc(x->ctx, n_operands + 1, sizeof(*operands));
	if (!calls || !operands)
		goto free;
	n = n_operands = 0;
	for (i = from; i < to; i++) {
		const struct tram_node *node = &g->nodes.v[i];
		struct tram_call *c = &calls[n];
		struct tram_operand *o = operands + n_operands;

		if (plan->elided[i])
			continue;
		*c = (struct tram_call){
			.op = node->op, .attr = &node->attr, .n_in = node->n_in,
			.n_out = node->n_out, .in = o, .out = o + node->n_in,
			.barrier = plan->barrier[i], .tag = (uint32_t)i,
		};
		for (uint32_t k = 0; k < node->n_in; k++)
			*o++ = operand_of(x, slot, node->in[k]);
		for (uint32_t k = 0; k < node->n_out; k++)
			*o++ = operand_of(x, slot, node->out[k]);
		if (plan->scratch_bytes[i]) {
			c->scratch = operand_at(x, slot, &plan->scratch[i]);
			c->scratch.shape = TRAM_SHAPE((uint32_t)(plan->scratch_bytes[i] / 4));
		}
		n_operands = (size_t)(o - operands);
		n++;
	}
	r = x->dev->ops->program_create(x->dev, calls, n, slot->block, 0, timed, prog);
free:
	tram_free(x->ctx, calls);
	tram_free(x->ctx, operands);
	return r;
}

/* --- making --------------------------------------------------------------------- */

/* What the plan may use: the budget, less what others hold when nobody set one. */
static uint64_t limit_of(const struct tram_exec *x, const struct tram_graph *graph,
			 uint64_t asked)
{
	uint64_t others = x->dev->memory_now, limit = asked ? asked : x->dev->machine.budget;

	if (asked || !limit)
		return limit;
	for (size_t i = 0; i < graph->values.n; i++) {
		const struct tram_value_info *v = &graph->values.v[i];
		const struct tram_variable_store *s = v->kind == TRAM_VALUE_VAR ?
			tram_vars_find(x->vars, v->name) : NULL;

		if (s)	/* the plan counts these itself */
			others -= TRAM_MIN(others, tram_machine_bytes(&x->dev->machine, s->count * 4));
	}
	return limit > others ? limit - others : 1;
}

static int find_variables(struct tram_exec *x)
{
	const struct tram_plan *plan = x->plan;
	int r;

	x->var = tram_calloc(x->ctx, plan->n_vars + 1, sizeof(*x->var));
	if (!x->var)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_vars; i++) {
		r = tram_vars_add(x->vars, plan->vars[i].name, plan->vars[i].count);
		if (r)
			return r;
		x->var[i] = tram_vars_find(x->vars, plan->vars[i].name)->buf;
	}
	return 0;
}

static int find_fields(struct tram_exec *x)
{
	const struct tram_graph *g = x->plan->graph;

	x->inputs = tram_calloc(x->ctx, g->values.n + 1, sizeof(*x->inputs));
	x->outputs = tram_calloc(x->ctx, g->outputs.n + 1, sizeof(*x->outputs));
	if (!x->inputs || !x->outputs)
		return -ENOMEM;
	for (size_t i = 0; i < g->values.n; i++)
		if (g->values.v[i].kind == TRAM_VALUE_INPUT)
			x->inputs[x->n_inputs++] = (struct tram_field){
				g->values.v[i].name, x->plan->place[i].offset };
	for (size_t i = 0; i < g->outputs.n; i++)
		x->outputs[x->n_outputs++] = (struct tram_field){
			g->outputs.v[i].name, x->plan->place[g->outputs.v[i].value].offset };
	return 0;
}

static int make_slot(struct tram_exec *x, struct tram_slot *s)
{
	const struct tram_device_ops *ops = x->dev->ops;
	int r;

	r = tram_budget_get(&x->budget, x->plan->input_bytes, TRAM_MEMORY_HOST, "inputs", &s->input);
	if (!r)
		r = tram_budget_get(&x->budget, x->plan->output_bytes, TRAM_MEMORY_HOST, "outputs",
				    &s->output);
	if (!r)
		r = tram_budget_get(&x->budget, sizeof(struct tram_step), TRAM_MEMORY_HOST,
				    "step block", &s->block);
	if (!r && ((s->input && !s->input->map) || (s->output && !s->output->map) || !s->block->map))
		r = tram_fail(x->ctx, -EINVAL, "%s: its host memory can't be mapped; use another device",
			      x->dev->info.selector);
	if (!r)
		r = ops->timeline_create(x->dev, &s->done);
	if (!r)
		r = ops->timeline_create(x->dev, &s->gate);
	for (int phase = 0; phase < 2 && !r; phase++)
		r = tram_exec_record(x, s, phase, false, &s->program[phase]);
	return r;
}

int tram_exec_create(struct tram_device *dev, struct tram_vars *vars,
		     const struct tram_graph *graph, const struct tram_exec_params *params,
		     struct tram_exec **out)
{
	static const struct tram_exec_params none;
	struct tram_plan_params pp = { .machine = &dev->machine };
	struct tram_exec *x;
	int r;

	*out = NULL;
	params = params ? params : &none;
	if (params->slots > TRAM_EXEC_SLOTS)
		return tram_fail(dev->ctx, -EINVAL, "exec: %u slots, at most %d", params->slots,
				 TRAM_EXEC_SLOTS);
	if (vars->dev != dev)
		return tram_fail(dev->ctx, -EINVAL, "exec: its variables are on %s, not on %s; make them there",
				 vars->dev->info.selector, dev->info.selector);
	x = tram_zalloc(dev->ctx, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->ctx = dev->ctx;
	x->dev = dev;
	x->vars = vars;
	x->next = vars->execs;
	vars->execs = x;
	x->n_slots = params->slots ? params->slots : TRAM_EXEC_SLOTS;
	x->watchdog_ns = params->watchdog_s > 0 ? (uint64_t)(params->watchdog_s * NS) : 0;
	x->budget.dev = dev;
	r = tram_rates_load(dev);
	if (r)
		goto fail;
	pp.budget = limit_of(x, graph, params->budget);
	pp.slots = x->n_slots;
	pp.no_fusion = params->no_fusion;
	pp.no_reuse = params->no_reuse;
	r = tram_plan_create(graph, &pp, &x->plan);
	if (r)
		goto fail;
	x->update = x->plan->n_compute < x->plan->graph->nodes.n;
	r = find_variables(x);
	if (!r)
		r = find_fields(x);
	if (!r)
		r = tram_budget_get(&x->budget, x->plan->arena_bytes, TRAM_MEMORY_DEVICE, "arena",
				    &x->arena);
	for (uint32_t i = 0; i < x->n_slots && !r; i++)
		r = make_slot(x, &x->slot[i]);
	if (r)
		goto fail;
	*out = x;
	return 0;

fail:
	tram_exec_destroy(&x);
	return r;
}

/* --- a step ---------------------------------------------------------------------- */

static uint64_t watchdog(const struct tram_exec *x)
{
	const struct tram_prediction *p = &x->plan->prediction;
	double s = p->unmeasured ? TRAM_MAX(60.0, 100 * p->step_s) : TRAM_MAX(10.0, 20 * p->step_s);

	return x->watchdog_ns ? x->watchdog_ns : (uint64_t)(TRAM_MIN(s, 1e6) * NS);
}

/* Point of the slot's done timeline at which the latest run is complete. */
static uint64_t last_point(const struct tram_exec *x, const struct tram_slot *s)
{
	return 2 * s->run - !x->update;
}

int tram_exec_poison(struct tram_exec *x, int err)
{
	if (!x->err)
		x->err = err;
	for (uint32_t i = 0; i < x->n_slots; i++) {
		struct tram_slot *s = &x->slot[i];

		if (s->state != TRAM_SLOT_SUBMITTED || !x->update)
			continue;
		tram_slot_step(s)->commit = 0;
		/* A lost device refuses; then nothing waits for it either. */
		x->dev->ops->timeline_signal(s->gate, s->run);
		s->state = TRAM_SLOT_DECIDED;
	}
	return err;
}

static int check(struct tram_exec *x, uint32_t slot)
{
	if (slot >= x->n_slots)
		return tram_fail(x->ctx, -EINVAL, "exec: slot %u, there are %u", slot, x->n_slots);
	if (!x->err && x->dev->lost)
		tram_exec_poison(x, x->dev->lost);
	if (x->err)
		return tram_fail(x->ctx, x->err, "%s: %s in an earlier step; open the device again and go on from a checkpoint",
				 x->dev->info.selector, x->err == -ETIMEDOUT ? "it hung" :
				 x->err == -ENOMEM ? "memory ran out" : "it was lost");
	return 0;
}

/* A wait would never end if a step queued before @order still has its gate closed. */
static int check_gates(struct tram_exec *x, uint64_t order)
{
	for (const struct tram_exec *y = x->vars->execs; y; y = y->next)
		for (uint32_t i = 0; y->update && i < y->n_slots; i++)
			if (y->slot[i].state == TRAM_SLOT_SUBMITTED && y->slot[i].order < order)
				return tram_fail(x->ctx, -EBUSY,
						 "exec: the step waited for is queued behind a closed gate (slot %u); call tram_exec_gate for it first",
						 i);
	return 0;
}

static int wait_for(struct tram_exec *x, struct tram_slot *s, uint64_t point)
{
	uint32_t ahead = 0;
	int r = check_gates(x, s->order);

	if (r)
		return r;
	for (uint32_t i = 0; i < x->n_slots; i++)
		ahead += x->slot[i].state != TRAM_SLOT_IDLE;
	r = x->dev->ops->timeline_wait(s->done, point,
				       tram_now_ns() + watchdog(x) * TRAM_MAX(ahead, 1u));
	if (r == -ETIMEDOUT) {
		tram_exec_poison(x, r);
		return tram_fail(x->ctx, r, "%s: a step was not done after %.0f s (predicted: %.3g s); the device hangs: see the kernel log, or raise the watchdog",
				 x->dev->info.selector, (double)watchdog(x) / NS,
				 x->plan->prediction.step_s);
	}
	return r ? tram_exec_poison(x, r) : 0;
}

int tram_exec_submit(struct tram_exec *x, uint32_t slot)
{
	struct tram_batch batch[2] = { 0 };
	struct tram_slot *s;
	int r = check(x, slot);

	if (r)
		return r;
	s = &x->slot[slot];
	if (s->state != TRAM_SLOT_IDLE)
		return tram_fail(x->ctx, -EBUSY, "exec: slot %u has a step that is not finished", slot);
	tram_slot_step(s)->commit = 0;
	batch[0] = (struct tram_batch){
		.program = s->program[TRAM_PHASE_COMPUTE],
		.signal = s->done, .signal_value = 2 * s->run + 1,
	};
	batch[1] = (struct tram_batch){
		.wait = s->gate, .wait_value = s->run + 1,
		.program = s->program[TRAM_PHASE_UPDATE],
		.signal = s->done, .signal_value = 2 * s->run + 2,
	};
	r = x->dev->ops->submit(x->dev, batch, x->update ? 2 : 1);
	if (r)
		return tram_exec_poison(x, r);
	s->run++;
	s->order = ++x->vars->submits;
	s->state = TRAM_SLOT_SUBMITTED;
	return 0;
}

int tram_exec_wait(struct tram_exec *x, uint32_t slot)
{
	struct tram_slot *s;
	int r = check(x, slot);

	if (r)
		return r;
	s = &x->slot[slot];
	if (!s->run)
		return tram_fail(x->ctx, -EINVAL, "exec: slot %u was never submitted", slot);
	r = wait_for(x, s, 2 * s->run - 1);
	if (!r && !x->update)
		s->state = TRAM_SLOT_IDLE;
	return r;
}

int tram_exec_poll(struct tram_exec *x, uint32_t slot, uint64_t deadline_ns)
{
	struct tram_slot *s = &x->slot[slot];
	int r = check(x, slot);

	if (!r)
		r = check_gates(x, s->order);
	if (r)
		return r;
	r = x->dev->ops->timeline_wait(s->done, 2 * s->run - 1, deadline_ns);
	if (r == -ETIMEDOUT)
		return 0;
	return r ? tram_exec_poison(x, r) : 1;
}

int tram_exec_gate(struct tram_exec *x, uint32_t slot, bool open)
{
	struct tram_slot *s;
	int r = check(x, slot);

	if (r || !x->update)
		return r;
	s = &x->slot[slot];
	if (s->state != TRAM_SLOT_SUBMITTED)
		return tram_fail(x->ctx, -EINVAL, "exec: slot %u has no step that awaits its gate", slot);
	tram_slot_step(s)->commit = open;
	r = x->dev->ops->timeline_signal(s->gate, s->run);
	if (r)
		return tram_exec_poison(x, r);
	s->state = TRAM_SLOT_DECIDED;
	x->vars->version += open;
	return 0;
}

int tram_exec_finish(struct tram_exec *x, uint32_t slot)
{
	struct tram_slot *s;
	int r = check(x, slot);

	if (r)
		return r;
	s = &x->slot[slot];
	if (s->state == TRAM_SLOT_IDLE)
		return 0;
	if (x->update && s->state == TRAM_SLOT_SUBMITTED)
		return tram_fail(x->ctx, -EBUSY, "exec: slot %u: its gate is closed; call tram_exec_gate first",
				 slot);
	r = wait_for(x, s, last_point(x, s));
	if (!r)
		s->state = TRAM_SLOT_IDLE;
	return r;
}

int tram_exec_run(struct tram_exec *x)
{
	int r = tram_exec_submit(x, 0);

	if (!r)
		r = tram_exec_wait(x, 0);
	if (!r)
		r = tram_exec_gate(x, 0, true);
	return r ? r : tram_exec_finish(x, 0);
}

int tram_exec_measure(struct tram_exec *x, struct tram_program *const prog[2])
{
	struct tram_slot *s = &x->slot[0];
	struct tram_batch batch[2];
	int r = check(x, 0);

	if (r)
		return r;
	for (uint32_t i = 0; i < 2; i++)
		batch[i] = (struct tram_batch){
			.program = prog[i], .signal = s->done, .signal_value = 2 * s->run + 1 + i,
		};
	/* The gate's points stay in step with the runs. */
	r = x->dev->ops->timeline_signal(s->gate, s->run + 1);
	if (!r)
		r = x->dev->ops->submit(x->dev, batch, 2);
	if (r)
		return tram_exec_poison(x, r);
	s->run++;
	s->order = ++x->vars->submits;
	return wait_for(x, s, 2 * s->run);
}

int tram_exec_idle(struct tram_exec *x, const char *what)
{
	int r = check(x, 0);

	for (uint32_t i = 0; i < x->n_slots && !r; i++)
		if (x->slot[i].state != TRAM_SLOT_IDLE)
			r = tram_fail(x->ctx, -EBUSY, "%s: slot %u has a step that is not finished; finish it first",
				      what, i);
	return r ? r : tram_vars_settled(x->vars, what);
}

void tram_exec_lend(struct tram_exec *x)
{
	struct tram_slot *s = &x->slot[x->n_slots - 1];

	for (int phase = 0; x->n_slots > 1 && phase < 2; phase++) {
		if (s->program[phase])
			x->dev->ops->program_destroy(s->program[phase]);
		s->program[phase] = NULL;
	}
}

int tram_exec_take_back(struct tram_exec *x)
{
	struct tram_slot *s = &x->slot[x->n_slots - 1];
	int r = x->err;

	for (int phase = 0; x->n_slots > 1 && phase < 2 && !r; phase++)
		r = tram_exec_record(x, s, phase, false, &s->program[phase]);
	return r ? tram_exec_poison(x, r) : 0;
}

/* --- what the caller sees ------------------------------------------------------------ */

void tram_exec_predict(const struct tram_exec *x, struct tram_prediction *p)
{
	*p = x->plan->prediction;
}

static void *field(const struct tram_field *f, size_t n, const struct tram_buffer *buf,
		   const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(f[i].name, name))
			return (char *)buf->map + f[i].offset;
	return NULL;
}

void *tram_exec_input(struct tram_exec *x, uint32_t slot, const char *name)
{
	return slot < x->n_slots ? field(x->inputs, x->n_inputs, x->slot[slot].input, name) : NULL;
}

const void *tram_exec_output(struct tram_exec *x, uint32_t slot, const char *name)
{
	return slot < x->n_slots ? field(x->outputs, x->n_outputs, x->slot[slot].output, name) :
	       NULL;
}

struct tram_step *tram_exec_step(struct tram_exec *x, uint32_t slot)
{
	return slot < x->n_slots ? tram_slot_step(&x->slot[slot]) : NULL;
}

/* --- the end --------------------------------------------------------------------------- */

/* Waits until the device has let go of everything; false when it doesn't. */
static bool quiesce(struct tram_exec *x)
{
	const uint64_t second = 1000000000;
	bool idle = true;

	tram_exec_poison(x, x->err);	/* closes the gates that are still undecided */
	for (uint32_t i = 0; i < x->n_slots; i++) {
		struct tram_slot *s = &x->slot[i];
		uint64_t limit = x->err == -ETIMEDOUT ? second : watchdog(x);

		if (!s->done || !s->run)
			continue;
		/* A lost device has let go, too. */
		if (x->dev->ops->timeline_wait(s->done, last_point(x, s),
					       tram_now_ns() + limit) == -ETIMEDOUT) {
			idle = false;
			x->err = -ETIMEDOUT;
		}
	}
	return idle;
}

void tram_exec_destroy(struct tram_exec **xp)
{
	struct tram_exec *x = *xp, **link;
	const struct tram_device_ops *ops;

	*xp = NULL;
	if (!x)
		return;
	ops = x->dev->ops;
	if (x->plan && !quiesce(x)) {
		/* Freeing what a hung device may still write would be worse than keeping it. */
		tram_log(x->ctx, TRAM_LOG_ERROR,
			 "%s: hangs with a step on it; %llu bytes stay with it until the process ends",
			 x->dev->info.selector, (unsigned long long)x->budget.used);
		goto host;
	}
	for (uint32_t i = 0; i < x->n_slots; i++) {
		struct tram_slot *s = &x->slot[i];

		for (int phase = 0; phase < 2; phase++)
			if (s->program[phase])
				ops->program_destroy(s->program[phase]);
		if (s->gate)
			ops->timeline_destroy(s->gate);
		if (s->done)
			ops->timeline_destroy(s->done);
		tram_budget_put(&x->budget, &s->block);
		tram_budget_put(&x->budget, &s->output);
		tram_budget_put(&x->budget, &s->input);
	}
	tram_budget_put(&x->budget, &x->arena);
host:
	for (link = &x->vars->execs; *link != x; link = &(*link)->next)
		;
	*link = x->next;
	tram_free(x->ctx, x->var);
	tram_free(x->ctx, x->inputs);
	tram_free(x->ctx, x->outputs);
	tram_plan_destroy(&x->plan);
	tram_free(x->ctx, x);
}
