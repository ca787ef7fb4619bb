/* SPDX-License-Identifier: MIT */
/* The engine of one device: forward, backward, reductions and update in one recording, two steps under way. */
#include "model/model.h"
#include "train/engine.h"

struct one {
	struct tram_engine base;
	struct tram_device *dev;
	struct tram_exec *exec;
	size_t input_bytes;
	uint64_t flat;
};

static struct one *of(const struct tram_engine *e)
{
	return (struct one *)(uintptr_t)e;
}

static void one_destroy(struct tram_engine *e)
{
	tram_exec_destroy(&of(e)->exec);
	tram_vars_destroy(&e->vars);
	tram_free(e->ctx, e);
}

static int one_calibrate(struct tram_engine *e)
{
	return tram_exec_calibrate(of(e)->exec);
}

static void one_predict(const struct tram_engine *e, struct tram_prediction *p)
{
	tram_exec_predict(of(e)->exec, p);
}

static int one_begin(struct tram_engine *e, uint32_t slot, const struct tram_batch_data *b,
		     const struct tram_step *block)
{
	struct tram_exec *x = of(e)->exec;

	memcpy(tram_exec_input(x, slot, "tokens"), b->tokens, of(e)->input_bytes);
	memcpy(tram_exec_input(x, slot, "targets"), b->targets, of(e)->input_bytes);
	memcpy(tram_exec_input(x, slot, "order"), b->order, of(e)->input_bytes);
	*tram_exec_step(x, slot) = *block;
	return tram_exec_submit(x, slot);
}

static int one_wait(struct tram_engine *e, uint32_t slot, float *loss, const float **stats)
{
	struct tram_exec *x = of(e)->exec;
	int r = tram_exec_wait(x, slot);

	if (r)
		return r;
	*loss = *(const float *)tram_exec_output(x, slot, "loss");
	*stats = tram_exec_output(x, slot, "stats");
	return 0;
}

static int one_end(struct tram_engine *e, uint32_t slot, const struct tram_engine_update *u, bool open)
{
	struct tram_exec *x = of(e)->exec;
	struct tram_step *block = tram_exec_step(x, slot);
	int r;

	block->lr = u->lr;
	block->bias_correction1 = u->bias_correction1;
	block->bias_correction2 = u->bias_correction2;
	r = tram_exec_gate(x, slot, open);
	return r ? r : tram_exec_finish(x, slot);
}

static int one_write(struct tram_engine *e, const char *name, const float *data)
{
	return tram_vars_write(e->vars, name, 0, of(e)->flat, data);
}

static int one_pin(struct tram_engine *e, struct tram_pin **pin)
{
	return tram_vars_pin(e->vars, tram_engine_state, 3, pin);
}

static int one_restore(struct tram_engine *e, const struct tram_pin *pin)
{
	return tram_vars_restore(e->vars, pin);
}

static int one_trace(struct tram_engine *e, const char *path)
{
	return tram_exec_trace(of(e)->exec, path);
}

static void one_memory(const struct tram_engine *e, uint64_t *now, uint64_t *peak)
{
	tram_device_memory(of(e)->dev, now, peak);
}

static const struct tram_engine_ops one_ops = {
	.destroy = one_destroy, .calibrate = one_calibrate, .predict = one_predict, .begin = one_begin,
	.wait = one_wait, .end = one_end, .write = one_write, .pin = one_pin, .restore = one_restore, .trace = one_trace,
	.memory = one_memory,
};

int tram_engine_one(struct tram_device *dev, const struct tram_model *model,
		    const struct tram_engine_params *p, struct tram_engine **engine)
{
	const struct tram_exec_params ep = { .budget = p->budget };
	struct tram_graph *graph = NULL;
	struct one *o;
	int r;

	*engine = NULL;
	o = tram_zalloc(model->ctx, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->base = (struct tram_engine){ .ctx = model->ctx, .ops = &one_ops, .ahead = 2 };
	o->dev = dev;
	o->flat = model->flat;
	o->input_bytes = (size_t)p->batch * p->seq * sizeof(int32_t);
	r = tram_vars_create(dev, &o->base.vars);
	if (!r)
		r = tram_model_train_graph(model, p->batch, p->seq, p->shards, &p->opt, &graph);
	if (!r)
		r = tram_exec_create(dev, o->base.vars, graph, &ep, &o->exec);
	tram_graph_destroy(&graph);
	if (r) {
		one_destroy(&o->base);
		return r;
	}
	*engine = &o->base;
	return 0;
}
