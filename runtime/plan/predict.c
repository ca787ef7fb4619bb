/* SPDX-License-Identifier: MIT */
/*
 * What a plan will cost: seconds from measured rates, else from work and the
 * machine's coarse rates; bytes as exec will allocate them, one by one.
 */
#include "plan/rewrite.h"

#include <stdio.h>

void tram_plan_signature(const struct tram_graph *g, const struct tram_node *node,
			 struct tram_shape *in, struct tram_shape *out,
			 struct tram_signature *sig)
{
	for (uint32_t k = 0; k < node->n_in; k++)
		in[k] = tram_val(g, node->in[k])->shape;
	for (uint32_t k = 0; k < node->n_out; k++)
		out[k] = tram_val(g, node->out[k])->shape;
	*sig = (struct tram_signature){
		.op = node->op, .attr = &node->attr, .n_in = node->n_in, .n_out = node->n_out,
		.in = in, .out = out,
	};
}

static const struct tram_rate *measured(const struct tram_machine_device *m, uint64_t hash)
{
	size_t lo = 0, hi = m->n_rates;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (m->rates[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->n_rates && m->rates[lo].hash == hash ? &m->rates[lo] : NULL;
}

static double coarse(const struct tram_machine_device *m, const struct tram_signature *sig)
{
	double flops, bytes, compute, memory;

	tram_signature_work(sig, &flops, &bytes);
	compute = m->flops_per_s > 0 ? flops / m->flops_per_s : 0;
	memory = m->bytes_per_s > 0 ? bytes / m->bytes_per_s : 0;
	return m->launch_s + TRAM_MAX(compute, memory);
}

static void predict_time(struct tram_plan *plan, const struct tram_machine_device *m)
{
	struct tram_prediction *p = &plan->prediction;
	const struct tram_rate *rate, *gap = measured(m, TRAM_RATE_CALL_GAP);
	struct tram_signature sig;

	p->step_s = 0;
	p->calls = p->unmeasured = 0;
	for (size_t i = 0; i < plan->graph->nodes.n; i++) {
		const struct tram_node *node = &plan->graph->nodes.v[i];

		if (plan->elided[i])
			continue;
		tram_plan_signature(plan->graph, node, plan->shapes, plan->shapes + node->n_in,
				    &sig);
		rate = measured(m, tram_signature_hash(&sig));
		p->step_s += rate ? rate->seconds + (gap ? gap->seconds : 0) : coarse(m, &sig);
		p->unmeasured += !rate;
		p->calls++;
	}
}

static void predict_bytes(struct tram_plan *plan, const struct tram_machine_device *m)
{
	struct tram_prediction *p = &plan->prediction;
	size_t calls[2] = { 0, 0 };
	uint64_t programs = 0, step = tram_machine_bytes(m, sizeof(struct tram_step));

	p->arena_bytes = tram_machine_bytes(m, plan->arena_bytes);
	p->variable_bytes = 0;
	for (size_t i = 0; i < plan->n_vars; i++)
		p->variable_bytes += tram_machine_bytes(m, plan->vars[i].count * 4);
	p->io_bytes = plan->slots * (tram_machine_bytes(m, plan->input_bytes) +
				     tram_machine_bytes(m, plan->output_bytes) + step);
	for (size_t i = 0; i < plan->graph->nodes.n; i++)
		calls[i >= plan->n_compute] += !plan->elided[i];
	for (int phase = 0; m->program_bytes && phase < 2; phase++)
		if (calls[phase])
			programs += plan->slots * m->program_bytes(m, calls[phase]);
	p->peak_bytes = p->arena_bytes + p->variable_bytes + p->io_bytes + programs;
}

void tram_plan_predict(struct tram_plan *plan, const struct tram_machine_device *machine)
{
	predict_time(plan, machine);
	predict_bytes(plan, machine);
}

/* "tokens [8, 128]", "matmul [1024, 768]" */
void tram_plan_value_text(const struct tram_graph *g, tram_value v, char *buf, size_t size)
{
	const struct tram_value_info *info = tram_val(g, v);
	char shape[TRAM_SHAPE_TEXT];

	snprintf(buf, size, "%s %s", info->name ? info->name :
		 info->node >= 0 ? g->ops[g->nodes.v[info->node].op].name : "value",
		 tram_shape_text(&info->shape, shape));
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

int tram_plan_check_budget(struct tram_plan *plan, const struct tram_machine_device *m,
			   uint64_t limit, tram_value largest)
{
	struct tram_prediction *p = &plan->prediction;
	uint64_t bytes = largest == TRAM_NONE ? 0 : tram_plan_bytes(plan->graph, largest);
	char name[48] = "nothing";

	if (largest != TRAM_NONE)
		tram_plan_value_text(plan->graph, largest, name, sizeof(name));
	snprintf(p->largest, sizeof(p->largest), "%.44s %.1f MiB", name, mib(bytes));
	if (!limit)
		limit = m->budget;
	if (!limit || p->peak_bytes <= limit)
		return 0;
	if (p->variable_bytes > limit)
		return tram_fail(plan->ctx, -ENOSPC,
				 "plan needs %.1f MiB of device memory, limit %.1f MiB; its variables alone are %.1f MiB: choose a smaller model, or a device with more memory",
				 mib(p->peak_bytes), mib(limit), mib(p->variable_bytes));
	return tram_fail(plan->ctx, -ENOSPC,
			 "plan needs %.1f MiB of device memory, limit %.1f MiB; the largest tensor is %s (%.1f MiB): reduce --batch or --seq",
			 mib(p->peak_bytes), mib(limit), name, mib(bytes));
}
