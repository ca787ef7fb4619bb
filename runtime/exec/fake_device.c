/* SPDX-License-Identifier: MIT */
/* A device for tests; fake_device.h says how it behaves. */
#include "exec/fake_device.h"

#include <stdio.h>
#include <time.h>

#include "plan/test_call.h"

#define GRANULE 1024
#define PROGRAM_CALL_BYTES 200

struct fake_buffer { struct fake_object object; struct tram_buffer base; void *memory; };

struct tram_timeline { struct fake_object object; struct fake_device *dev; uint64_t value; };

struct tram_program {
	struct fake_object object;
	struct fake_device *dev;
	struct tram_buffer *args;	/* stands for argument blocks */
	struct tram_call *calls;
	struct tram_operand *operands;
	union tram_attr *attrs;
	struct tram_span *spans;	/* when timed */
	size_t n;
	struct tram_buffer *step;
	uint64_t step_offset;
};

static struct fake_device *fake_of(struct tram_device *dev)
{
	return (struct fake_device *)dev;
}

static struct fake_buffer *buffer_of(struct tram_buffer *buf)
{
	return (struct fake_buffer *)((char *)buf - offsetof(struct fake_buffer, base));
}

static void require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fake device: %s\n", what);
		abort();
	}
}

static void link_object(struct fake_device *f, struct fake_object *o,
			void (*destroy)(struct fake_object *o))
{
	o->destroy = destroy;
	o->next = f->objects;
	f->objects = o;
}

static void unlink_object(struct fake_device *f, struct fake_object *o)
{
	struct fake_object **p = &f->objects;

	require(f->base.lost || f->head == f->tail, "something is destroyed while work is queued");
	while (*p && *p != o)
		p = &(*p)->next;
	require(*p, "an object is destroyed twice");
	*p = o->next;
}

/* Counts a call of the interface; -EIO from the one on that loses the device. */
static int enter(struct fake_device *f)
{
	if (++f->calls == f->lose_at && !f->base.lost) {
		f->base.lost = -EIO;
		f->head = f->tail;
	}
	return f->base.lost ? tram_fail(f->base.ctx, f->base.lost, "fake0: lost at call %llu",
					(unsigned long long)f->calls) : 0;
}

static void destroy_buffer(struct fake_object *o), destroy_program(struct fake_object *o),
	destroy_timeline(struct fake_object *o);

/* --- the queue --------------------------------------------------------------- */

static void *operand_data(const struct tram_operand *o)
{
	require(o->offset % 4 == 0 && o->offset + tram_shape_count(&o->shape) * 4 <= o->buf->size,
		"an operand is outside its buffer");
	return (char *)buffer_of(o->buf)->memory + o->offset;
}

static void run_program(struct fake_device *f, struct tram_program *p)
{
	const struct tram_step *step = (const void *)((char *)buffer_of(p->step)->memory +
						      p->step_offset);

	for (size_t i = 0; i < p->n; i++) {
		const struct tram_call *c = &p->calls[i];
		struct test_operand in[16], out[3];

		require(c->n_in <= TRAM_ARRAY_SIZE(in), "a call has too many operands");
		for (uint32_t k = 0; k < c->n_in; k++)
			in[k] = (struct test_operand){ c->in[k].shape, c->in[k].dtype,
						       operand_data(&c->in[k]) };
		for (uint32_t k = 0; k < c->n_out; k++)
			out[k] = (struct test_operand){ c->out[k].shape, c->out[k].dtype,
							operand_data(&c->out[k]) };
		require(test_call(&f->rows[c->op], c->attr, in, c->n_in, out, c->n_out, step) == 0,
			"an oracle refused");
		if (p->spans)
			p->spans[i] = (struct tram_span){ c->tag, f->clock_ns,
							  f->clock_ns + f->call_ns };
		f->clock_ns += f->call_ns;
		f->kernels++;
	}
}

static void pump(struct fake_device *f)
{
	while (!f->hang && !f->base.lost && f->head != f->tail) {
		const struct tram_batch *b = &f->queue[f->head % FAKE_QUEUE];

		if (b->wait && b->wait->value < b->wait_value)
			return;
		if (b->program)
			run_program(f, b->program);
		if (b->signal) {
			require(b->signal_value > b->signal->value, "a timeline goes backwards");
			b->signal->value = b->signal_value;
		}
		f->head++;
	}
}

static int fake_submit(struct tram_device *dev, const struct tram_batch *batches, size_t n)
{
	struct fake_device *f = fake_of(dev);
	int r = enter(f);

	if (r)
		return r;
	f->submits++;
	if (f->submit_ns)
		nanosleep(&(struct timespec){ .tv_nsec = (long)f->submit_ns }, NULL);
	require(f->tail + n - f->head <= FAKE_QUEUE, "the queue is full");
	for (size_t i = 0; i < n; i++)
		f->queue[f->tail++ % FAKE_QUEUE] = batches[i];
	pump(f);
	return 0;
}

static int fake_timeline_create(struct tram_device *dev, struct tram_timeline **out)
{
	struct fake_device *f = fake_of(dev);
	int r = enter(f);

	*out = NULL;
	if (r)
		return r;
	f->creates++;
	*out = tram_zalloc(dev->ctx, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->dev = f;
	link_object(f, &(*out)->object, destroy_timeline);
	return 0;
}

static void fake_timeline_destroy(struct tram_timeline *t)
{
	unlink_object(t->dev, &t->object);
	tram_free(t->dev->base.ctx, t);
}

static int fake_timeline_signal(struct tram_timeline *t, uint64_t value)
{
	int r = enter(t->dev);

	if (r)
		return r;
	require(value > t->value, "a timeline is signalled backwards");
	t->value = value;
	pump(t->dev);
	return 0;
}

static int fake_timeline_wait(struct tram_timeline *t, uint64_t value, uint64_t deadline_ns)
{
	int r = enter(t->dev);

	if (r)
		return r;
	pump(t->dev);
	return t->value >= value ? 0 : tram_fail(t->dev->base.ctx, -ETIMEDOUT, "fake0: timed out");
}

/* --- memory -------------------------------------------------------------------- */

static int fake_buffer_create(struct tram_device *dev, uint64_t size, enum tram_memory kind,
			      struct tram_buffer **out)
{
	struct fake_device *f = fake_of(dev);
	struct fake_buffer *b;
	int r = enter(f);

	*out = NULL;
	if (r)
		return r;
	f->creates++;
	b = tram_zalloc(dev->ctx, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->memory = tram_zalloc(dev->ctx, size + TRAM_DEVICE_PAD);
	if (!b->memory) {
		tram_free(dev->ctx, b);
		return -ENOMEM;
	}
	b->base = (struct tram_buffer){ dev, size, kind == TRAM_MEMORY_HOST ? b->memory : NULL };
	dev->memory_now += tram_machine_bytes(&dev->machine, size);
	dev->memory_peak = TRAM_MAX(dev->memory_peak, dev->memory_now);
	link_object(f, &b->object, destroy_buffer);
	*out = &b->base;
	return 0;
}

static void fake_buffer_destroy(struct tram_buffer *buf)
{
	struct fake_buffer *b = buffer_of(buf);
	struct tram_device *dev = buf->dev;

	unlink_object(fake_of(dev), &b->object);
	dev->memory_now -= tram_machine_bytes(&dev->machine, buf->size);
	tram_free(dev->ctx, b->memory);
	tram_free(dev->ctx, b);
}

/* Copies come after everything submitted: with work stuck in the queue they never end. */
static int before_copy(struct fake_device *f)
{
	int r = enter(f);

	if (r)
		return r;
	pump(f);
	return f->head == f->tail ? 0 : tram_fail(f->base.ctx, -ETIMEDOUT, "fake0: a copy waits for ever");
}

static int fake_write(struct tram_buffer *buf, uint64_t offset, const void *src, uint64_t n)
{
	int r = before_copy(fake_of(buf->dev));

	require(offset + n <= buf->size, "a write passes the end");
	if (!r)
		memcpy((char *)buffer_of(buf)->memory + offset, src, n);
	return r;
}

static int fake_read(struct tram_buffer *buf, uint64_t offset, void *dst, uint64_t n)
{
	int r = before_copy(fake_of(buf->dev));

	require(offset + n <= buf->size, "a read passes the end");
	if (!r)
		memcpy(dst, (char *)buffer_of(buf)->memory + offset, n);
	return r;
}

/* --- programs --------------------------------------------------------------------- */

static void program_free(struct tram_program *p)
{
	struct tram_ctx *ctx = p->dev->base.ctx;

	tram_free(ctx, p->calls);
	tram_free(ctx, p->operands);
	tram_free(ctx, p->attrs);
	tram_free(ctx, p->spans);
	tram_free(ctx, p);
}

static int fake_program_create(struct tram_device *dev, const struct tram_call *calls, size_t n,
			       struct tram_buffer *step, uint64_t step_offset, bool timed,
			       struct tram_program **out)
{
	struct fake_device *f = fake_of(dev);
	struct tram_program *p;
	size_t total = 0, i;
	int r = enter(f);

	*out = NULL;
	if (r)
		return r;
	f->creates++;
	for (i = 0; i < n; i++)
		total += calls[i].n_in + calls[i].n_out;
	p = tram_zalloc(dev->ctx, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->dev = f;
	p->n = n;
	p->step = step;
	p->step_offset = step_offset;
	p->calls = tram_calloc(dev->ctx, n, sizeof(*p->calls));
	p->attrs = tram_calloc(dev->ctx, n, sizeof(*p->attrs));
	p->operands = tram_calloc(dev->ctx, total, sizeof(*p->operands));
	if (timed)
		p->spans = tram_calloc(dev->ctx, n, sizeof(*p->spans));
	r = -ENOMEM;
	if (!p->calls || !p->attrs || !p->operands || (timed && !p->spans))
		goto fail;
	r = fake_buffer_create(dev, n * PROGRAM_CALL_BYTES, TRAM_MEMORY_HOST, &p->args);
	if (r)
		goto fail;
	total = 0;
	for (i = 0; i < n; i++) {
		struct tram_call *c = &p->calls[i];

		*c = calls[i];
		p->attrs[i] = *calls[i].attr;
		c->attr = &p->attrs[i];
		c->in = p->operands + total;
		memcpy(p->operands + total, calls[i].in, c->n_in * sizeof(*c->in));
		total += c->n_in;
		c->out = p->operands + total;
		memcpy(p->operands + total, calls[i].out, c->n_out * sizeof(*c->out));
		total += c->n_out;
	}
	link_object(f, &p->object, destroy_program);
	*out = p;
	return 0;

fail:
	program_free(p);
	return r;
}

static void fake_program_destroy(struct tram_program *p)
{
	unlink_object(p->dev, &p->object);
	fake_buffer_destroy(p->args);
	program_free(p);
}

static int fake_spans(struct tram_program *p, struct tram_span *spans, size_t max)
{
	size_t n = TRAM_MIN(p->n, max);
	int r = enter(p->dev);

	if (r)
		return r;
	require(p->spans, "spans of a program that was not timed");
	memcpy(spans, p->spans, n * sizeof(*spans));
	return (int)n;
}

/* --- the device ---------------------------------------------------------------------- */

static uint64_t program_bytes(const struct tram_machine_device *m, size_t calls)
{
	return tram_machine_bytes(m, calls * PROGRAM_CALL_BYTES);
}

static uint64_t scratch_bytes(const struct tram_machine_device *m, const struct tram_signature *sig)
{
	return sig->op == TRAM_OP_MATMUL ? 1000 : 0;
}

static const struct tram_device_ops fake_ops = {
	.buffer_create = fake_buffer_create, .buffer_destroy = fake_buffer_destroy,
	.write = fake_write, .read = fake_read,
	.program_create = fake_program_create, .program_destroy = fake_program_destroy,
	.spans = fake_spans,
	.timeline_create = fake_timeline_create, .timeline_destroy = fake_timeline_destroy,
	.timeline_signal = fake_timeline_signal, .timeline_wait = fake_timeline_wait,
	.submit = fake_submit,
};

int fake_device_create(struct tram_ctx *ctx, const struct tram_op_row *rows,
		       struct fake_device **fake)
{
	struct fake_device *f = tram_zalloc(ctx, sizeof(*f));

	*fake = f;
	if (!f)
		return -ENOMEM;
	f->base.ctx = ctx;
	f->base.ops = &fake_ops;
	f->rows = rows;
	f->call_ns = 1000;
	strcpy(f->base.info.selector, "fake0");
	strcpy(f->base.info.name, "oracles");
	strcpy(f->base.info.numeric_class, "oracle 1");
	f->base.info.threads = 1;
	f->base.machine = (struct tram_machine_device){
		.budget = UINT64_C(64) << 20, .granule = GRANULE, .pad = TRAM_DEVICE_PAD,
		.launch_s = 1e-6, .flops_per_s = 1e9, .bytes_per_s = 1e9,
		.program_bytes = program_bytes, .scratch = scratch_bytes,
	};
	return 0;
}

/* All objects begin with their fake_object. */
static void destroy_buffer(struct fake_object *o)
{
	fake_buffer_destroy(&((struct fake_buffer *)o)->base);
}

static void destroy_program(struct fake_object *o)
{
	fake_program_destroy((struct tram_program *)o);
}

static void destroy_timeline(struct fake_object *o)
{
	fake_timeline_destroy((struct tram_timeline *)o);
}

void fake_device_destroy(struct fake_device **fake)
{
	struct fake_device *f = *fake;

	*fake = NULL;
	if (!f)
		return;
	require(f->hang || !f->objects, "objects are left when the device is closed");
	f->head = f->tail;
	while (f->objects)
		f->objects->destroy(f->objects);
	tram_free(f->base.ctx, f->base.machine.rates);
	tram_free(f->base.ctx, f);
}
