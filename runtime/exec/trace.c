/* SPDX-License-Identifier: MIT */
/*
 * One step as Chrome trace JSON ("Trace Event Format", the JSON object form), which Perfetto and
 * chrome://tracing open: a span per call on the device's track, and counters of the
 * rate at which it computes and moves bytes.
 */
#include "exec/exec.h"

#include <stdio.h>

#include "base/file.h"
#include "base/sbuf.h"

/* "[8, 128] [128, 64]" */
static void add_shapes(struct tram_sbuf *sb, const struct tram_graph *g, const tram_value *v,
		       uint32_t n)
{
	char text[TRAM_SHAPE_TEXT];

	for (uint32_t k = 0; k < n; k++)
		tram_sbuf_addf(sb, "%s%s", k ? " " : "",
			       tram_shape_text(&tram_val(g, v[k])->shape, text));
}

/* printf would follow the program's locale. */
static void add_number(struct tram_sbuf *sb, const char *key, double x)
{
	tram_sbuf_addf(sb, "\"%s\":", key);
	tram_sbuf_json_f64(sb, x);
}

static void add_counter(struct tram_sbuf *sb, const char *name, double us, double value)
{
	tram_sbuf_addf(sb, ",\n{\"name\":\"%s\",\"ph\":\"C\",\"pid\":1,\"tid\":1,", name);
	add_number(sb, "ts", us);
	tram_sbuf_adds(sb, ",\"args\":{");
	add_number(sb, "value", value);
	tram_sbuf_adds(sb, "}}");
}

static void add_span(struct tram_sbuf *sb, const struct tram_plan *plan,
		     const struct tram_span *span, uint64_t zero)
{
	const struct tram_graph *g = plan->graph;
	const struct tram_node *node = &g->nodes.v[span->tag];
	double us = (double)(span->begin_ns - zero) * 1e-3;
	double dur = (double)(span->end_ns - span->begin_ns) * 1e-3, flops, bytes;
	struct tram_signature sig;

	tram_plan_signature(g, node, plan->shapes, plan->shapes + node->n_in, &sig);
	tram_signature_work(&sig, &flops, &bytes);
	tram_sbuf_addf(sb, ",\n{\"name\":\"%s ", g->ops[node->op].name);
	add_shapes(sb, g, node->out, node->n_out);
	tram_sbuf_addf(sb, "\",\"cat\":\"%s%s\",\"ph\":\"X\",\"pid\":1,\"tid\":1,",
		       node->phase == TRAM_PHASE_UPDATE ? "update" : "compute",
		       node->backward ? ",backward" : "");
	add_number(sb, "ts", us);
	tram_sbuf_addc(sb, ',');
	add_number(sb, "dur", dur);
	tram_sbuf_addf(sb, ",\"args\":{\"node\":%u,\"in\":\"", span->tag);
	add_shapes(sb, g, node->in, node->n_in);
	tram_sbuf_adds(sb, "\",");
	add_number(sb, "flops", flops);
	tram_sbuf_addc(sb, ',');
	add_number(sb, "bytes", bytes);
	tram_sbuf_addf(sb, ",\"barrier\":%s}}", plan->barrier[span->tag] ? "true" : "false");
	add_counter(sb, "GFLOP/s", us, dur > 0 ? flops / dur * 1e-3 : 0);
	add_counter(sb, "GB/s", us, dur > 0 ? bytes / dur * 1e-3 : 0);
}

static int write_trace(struct tram_exec *x, const struct tram_span *spans, size_t n,
		       const char *path)
{
	struct tram_sbuf sb = TRAM_SBUF_INIT(x->ctx);
	uint64_t zero = UINT64_MAX, last = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		zero = TRAM_MIN(zero, spans[i].begin_ns);
		last = TRAM_MAX(last, spans[i].end_ns);
	}
	tram_sbuf_adds(&sb, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
			    "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"tramroad\"}},\n"
			    "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":1,\"args\":{\"name\":");
	tram_sbuf_json(&sb, x->dev->info.selector, strlen(x->dev->info.selector));
	tram_sbuf_adds(&sb, "}}");
	for (size_t i = 0; i < n; i++)
		add_span(&sb, x->plan, &spans[i], zero);
	if (n) {
		add_counter(&sb, "GFLOP/s", (double)(last - zero) * 1e-3, 0);
		add_counter(&sb, "GB/s", (double)(last - zero) * 1e-3, 0);
	}
	tram_sbuf_adds(&sb, "\n],\"otherData\":{\"device\":");
	tram_sbuf_json(&sb, x->dev->info.name, strlen(x->dev->info.name));
	tram_sbuf_adds(&sb, ",\"class\":");
	tram_sbuf_json(&sb, x->dev->info.numeric_class, strlen(x->dev->info.numeric_class));
	tram_sbuf_adds(&sb, "}}\n");
	r = sb.err ? sb.err : tram_file_store(x->ctx, path, tram_sbuf_str(&sb), sb.n);
	tram_sbuf_free(&sb);
	return r;
}

int tram_exec_trace(struct tram_exec *x, const char *path)
{
	const struct tram_device_ops *ops = x->dev->ops;
	struct tram_program *timed[2] = { NULL, NULL };
	struct tram_span *spans;
	size_t n = 0, most = x->plan->prediction.calls;
	int r = tram_exec_idle(x, "trace"), back;

	if (r)
		return r;
	spans = tram_calloc(x->ctx, most + 1, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	tram_exec_lend(x);
	for (int phase = 0; phase < 2 && !r; phase++)
		r = tram_exec_record(x, &x->slot[0], phase, true, &timed[phase]);
	if (!r) {
		tram_slot_step(&x->slot[0])->commit = 0;
		r = tram_exec_measure(x, timed);
	}
	for (int phase = 0; phase < 2 && !r; phase++) {
		if (!timed[phase])
			continue;
		r = ops->spans(timed[phase], spans + n, most - n);
		n += r > 0 ? (size_t)r : 0;
		r = TRAM_MIN(r, 0);
	}
	for (int phase = 0; phase < 2; phase++)
		if (timed[phase] && x->err != -ETIMEDOUT)
			ops->program_destroy(timed[phase]);
	back = tram_exec_take_back(x);
	r = r ? r : back;
	if (!r)
		r = write_trace(x, spans, n, path);
	tram_free(x->ctx, spans);
	return r;
}
