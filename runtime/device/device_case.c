/* SPDX-License-Identifier: MIT */
/* The simplest executor: see device_case.h. Kept slow and obvious. */
#include "device/device_case.h"

#define GUARD_BYTES 256u
#define GUARD_WORD 0x7fc0dead	/* a quiet NaN: what was never written shows */
#define LIMIT_NS 300000000000u

struct run {
	struct tram_device *dev;
	const struct tram_graph *g;
	struct tram_buffer **buf;	/* by value; roots own theirs */
	struct tram_buffer **scratch;	/* by node */
	struct tram_buffer *step;
	struct tram_call *calls;
	struct tram_operand *operands;
	struct tram_program *prog;
	struct tram_timeline *done;
};

static const struct tram_binding *find(const struct tram_binding *b, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(b[i].name, name))
			return &b[i];
	}
	return NULL;
}

/* @count words of NaNs with a guard behind them. */
static int make(struct run *r, uint64_t count, struct tram_buffer **buf)
{
	const uint64_t words = count + GUARD_BYTES / 4;
	uint32_t *fill = tram_calloc(r->dev->ctx, words, 4);
	int err = fill ? 0 : -ENOMEM;

	for (uint64_t i = 0; !err && i < words; i++)
		fill[i] = GUARD_WORD;
	if (!err)
		err = r->dev->ops->buffer_create(r->dev, words * 4, TRAM_MEMORY_DEVICE, buf);
	if (!err)
		err = r->dev->ops->write(*buf, 0, fill, words * 4);
	tram_free(r->dev->ctx, fill);
	return err;
}

static int check_guard(struct run *r, struct tram_buffer *buf, const char *what, size_t i)
{
	uint32_t guard[GUARD_BYTES / 4];
	int err = r->dev->ops->read(buf, buf->size - GUARD_BYTES, guard, GUARD_BYTES);

	for (size_t k = 0; !err && k < TRAM_ARRAY_SIZE(guard); k++) {
		if (guard[k] != GUARD_WORD)
			err = tram_fail(r->dev->ctx, -EFAULT, "%s %zu: a kernel wrote word %zu "
					"past its end; mask the last workgroup", what, i, k);
	}
	return err;
}

/* Between a binding (double or int32_t) and a value on the device. */
static int put(struct run *r, tram_value v, const void *data)
{
	const struct tram_value_info *info = tram_val(r->g, v);
	uint64_t count = tram_shape_count(&info->shape);
	float *f;
	int err;

	if (info->dtype == TRAM_I32)
		return r->dev->ops->write(r->buf[v], 0, data, count * 4);
	f = tram_calloc(r->dev->ctx, count, sizeof(*f));
	if (!f)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++)
		f[i] = (float)((const double *)data)[i];
	err = r->dev->ops->write(r->buf[v], 0, f, count * 4);
	tram_free(r->dev->ctx, f);
	return err;
}

static int get(struct run *r, tram_value v, void *data)
{
	const struct tram_value_info *info = tram_val(r->g, v);
	uint64_t count = tram_shape_count(&info->shape), first;
	tram_value root = tram_graph_root(r->g, v, &first);
	float *f;
	int err;

	if (info->dtype == TRAM_I32)
		return r->dev->ops->read(r->buf[root], first * 4, data, count * 4);
	f = tram_calloc(r->dev->ctx, count, sizeof(*f));
	if (!f)
		return -ENOMEM;
	err = r->dev->ops->read(r->buf[root], first * 4, f, count * 4);
	for (uint64_t i = 0; !err && i < count; i++)
		((double *)data)[i] = (double)f[i];
	tram_free(r->dev->ctx, f);
	return err;
}

static int fill_values(struct run *r, const struct tram_binding *b, size_t n)
{
	for (tram_value v = 0; (size_t)v < r->g->values.n; v++) {
		const struct tram_value_info *info = tram_val(r->g, v);
		const struct tram_binding *bound;
		uint64_t first;
		int err;

		if (tram_graph_root(r->g, v, &first) != v)
			continue;
		err = make(r, tram_shape_count(&info->shape), &r->buf[v]);
		if (err)
			return err;
		if (info->kind != TRAM_VALUE_INPUT && info->kind != TRAM_VALUE_VAR)
			continue;
		bound = find(b, n, info->name);
		if (!bound)
			return tram_fail(r->dev->ctx, -EINVAL, "%s: no binding for this input; "
					 "pass its values", info->name);
		err = put(r, v, bound->data);
		if (err)
			return err;
	}
	return 0;
}

static struct tram_operand operand_of(struct run *r, tram_value v)
{
	const struct tram_value_info *info = tram_val(r->g, v);
	uint64_t first;
	tram_value root = tram_graph_root(r->g, v, &first);

	return (struct tram_operand){ r->buf[root], first * 4, info->shape, info->dtype };
}

static int add_scratch(struct run *r, size_t i)
{
	struct tram_call *c = &r->calls[i];
	const struct tram_machine_device *m = &r->dev->machine;
	struct tram_shape *shapes;
	struct tram_signature sig = {
		.op = c->op, .attr = c->attr, .n_in = c->n_in, .n_out = c->n_out,
	};
	uint64_t bytes = 0;
	int err;

	if (!m->scratch)
		return 0;
	shapes = tram_calloc(r->dev->ctx, c->n_in + c->n_out, sizeof(*shapes));
	if (!shapes)
		return -ENOMEM;
	for (uint32_t k = 0; k < c->n_in; k++)
		shapes[k] = c->in[k].shape;
	for (uint32_t k = 0; k < c->n_out; k++)
		shapes[c->n_in + k] = c->out[k].shape;
	sig.in = shapes;
	sig.out = shapes + c->n_in;
	bytes = m->scratch(m, &sig);
	tram_free(r->dev->ctx, shapes);
	if (!bytes)
		return 0;
	err = make(r, TRAM_DIV_UP(bytes, 4), &r->scratch[i]);
	c->scratch = (struct tram_operand){ r->scratch[i], 0, TRAM_SHAPE(1), TRAM_F32 };
	return err;
}

static int make_calls(struct run *r)
{
	size_t n = r->g->nodes.n, n_operands = 0, at = 0;
	int err = 0;

	for (size_t i = 0; i < n; i++)
		n_operands += r->g->nodes.v[i].n_in + r->g->nodes.v[i].n_out;
	r->calls = tram_calloc(r->dev->ctx, n, sizeof(*r->calls));
	r->operands = tram_calloc(r->dev->ctx, n_operands, sizeof(*r->operands));
	r->scratch = tram_calloc(r->dev->ctx, n, sizeof(struct tram_buffer *));
	if (!r->calls || !r->operands || !r->scratch)
		return -ENOMEM;
	for (size_t i = 0; !err && i < n; i++) {
		const struct tram_node *node = &r->g->nodes.v[i];
		struct tram_call *c = &r->calls[i];

		*c = (struct tram_call){
			.op = node->op, .attr = &node->attr, .n_in = node->n_in,
			.n_out = node->n_out, .in = &r->operands[at],
			.out = &r->operands[at + node->n_in], .barrier = true,
			.tag = (uint32_t)i,
		};
		for (uint32_t k = 0; k < node->n_in; k++)
			r->operands[at++] = operand_of(r, node->in[k]);
		for (uint32_t k = 0; k < node->n_out; k++)
			r->operands[at++] = operand_of(r, node->out[k]);
		err = add_scratch(r, i);
	}
	return err;
}

static int execute(struct run *r, const struct tram_step *step)
{
	const struct tram_device_ops *ops = r->dev->ops;
	struct tram_batch batch = { .signal_value = 1 };
	int err;

	err = ops->buffer_create(r->dev, sizeof(*step), TRAM_MEMORY_HOST, &r->step);
	if (!err)
		err = ops->write(r->step, 0, step, sizeof(*step));
	if (!err)
		err = ops->timeline_create(r->dev, &r->done);
	if (!err)
		err = ops->program_create(r->dev, r->calls, r->g->nodes.n, r->step, 0, false,
					  &r->prog);
	if (err)
		return err;
	batch.program = r->prog;
	batch.signal = r->done;
	err = ops->submit(r->dev, &batch, 1);
	return err ? err : ops->timeline_wait(r->done, 1, tram_now_ns() + LIMIT_NS);
}

static int fetch(struct run *r, const struct tram_binding *b, size_t n)
{
	int err = 0;

	for (size_t v = 0; !err && v < r->g->values.n; v++) {
		const struct tram_value_info *info = tram_val(r->g, (tram_value)v);

		if (r->buf[v])
			err = check_guard(r, r->buf[v], "value", v);
		if (!err && info->kind == TRAM_VALUE_VAR)
			err = get(r, (tram_value)v, find(b, n, info->name)->data);
	}
	for (size_t i = 0; !err && i < r->g->nodes.n; i++) {
		if (r->scratch[i])
			err = check_guard(r, r->scratch[i], "scratch of node", i);
	}
	for (size_t i = 0; !err && i < r->g->outputs.n; i++) {
		const struct tram_binding *bound = find(b, n, r->g->outputs.v[i].name);

		if (bound)
			err = get(r, r->g->outputs.v[i].value, bound->data);
	}
	return err;
}

int tram_device_case_run(struct tram_device *dev, const struct tram_graph *graph,
			 const struct tram_binding *bindings, size_t n,
			 const struct tram_step *step)
{
	static const struct tram_step no_step = { .step = 1, .commit = 1, .loss_scale = 1 };
	struct run r = { .dev = dev, .g = graph };
	const struct tram_device_ops *ops = dev->ops;
	int err = 0;

	r.buf = tram_calloc(dev->ctx, graph->values.n, sizeof(struct tram_buffer *));
	if (!r.buf)
		err = -ENOMEM;
	if (!err)
		err = fill_values(&r, bindings, n);
	if (!err)
		err = make_calls(&r);
	if (!err)
		err = execute(&r, step ? step : &no_step);
	if (!err)
		err = fetch(&r, bindings, n);
	if (r.prog)
		ops->program_destroy(r.prog);
	if (r.done)
		ops->timeline_destroy(r.done);
	if (r.step)
		ops->buffer_destroy(r.step);
	for (size_t i = 0; r.scratch && i < graph->nodes.n; i++) {
		if (r.scratch[i])
			ops->buffer_destroy(r.scratch[i]);
	}
	for (size_t i = 0; r.buf && i < graph->values.n; i++) {
		if (r.buf[i])
			ops->buffer_destroy(r.buf[i]);
	}
	tram_free(dev->ctx, r.calls);
	tram_free(dev->ctx, r.operands);
	tram_free(dev->ctx, r.scratch);
	tram_free(dev->ctx, r.buf);
	return err;
}
