/* SPDX-License-Identifier: MIT */
/* What the tests of the CPU device share: graphs with drawn values, and the devices that must agree on them. */
#ifndef TRAM_DEVICE_CPU_TEST_WORLD_H
#define TRAM_DEVICE_CPU_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <tram/ops.h>

#include "base/test_heap.h"
#include "device/cpu/cpu.h"
#include "device/device_case.h"
#include "graph/graph.h"

/* --- graphs and their values ------------------------------------------------------------ */

#define MAX_BIND 24

struct values {
	struct tram_binding b[MAX_BIND];
	uint64_t count[MAX_BIND];
	bool is_int[MAX_BIND];
	size_t n;
};

static uint32_t rng_state = 1;

static uint32_t rnd(void)
{
	rng_state = rng_state * 1664525u + 1013904223u;
	return rng_state >> 8;
}

/* In [-1, 1), exact in f32. */
static double rnd_unit(void)
{
	return (double)rnd() / 0x1p23 - 1.0;
}

static void add_value(struct values *v, const char *name, const struct tram_value_info *info)
{
	uint64_t n = tram_shape_count(&info->shape);

	assert_true(v->n < MAX_BIND);
	v->b[v->n] = (struct tram_binding){ name, calloc(n, 8) };
	v->is_int[v->n] = info->dtype == TRAM_I32;
	v->count[v->n++] = n;
}

/* Room for all inputs, variables and outputs of @g; f32 inputs random. */
static void make_values(const struct tram_graph *g, struct values *v)
{
	memset(v, 0, sizeof(*v));
	for (size_t i = 0; i < g->values.n; i++) {
		const struct tram_value_info *info = &g->values.v[i];

		if (info->kind != TRAM_VALUE_INPUT && info->kind != TRAM_VALUE_VAR)
			continue;
		add_value(v, info->name, info);
		if (info->dtype == TRAM_F32)
			for (uint64_t k = 0; k < v->count[v->n - 1]; k++)
				((double *)v->b[v->n - 1].data)[k] = rnd_unit();
	}
	for (size_t i = 0; i < g->outputs.n; i++)
		add_value(v, g->outputs.v[i].name, tram_val(g, g->outputs.v[i].value));
}

static void copy_values(const struct values *from, struct values *to)
{
	*to = *from;
	for (size_t i = 0; i < from->n; i++) {
		to->b[i].data = malloc(from->count[i] * 8);
		memcpy(to->b[i].data, from->b[i].data, from->count[i] * 8);
	}
}

static void free_values(struct values *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->b[i].data);
	v->n = 0;
}

static void *value_of(struct values *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++)
		if (!strcmp(v->b[i].name, name))
			return v->b[i].data;
	fail_msg("no value %s", name);
	return NULL;
}

static struct tram_step the_step = {
	.step = 3, .seed = { 12345, 678 }, .commit = 1, .lr = 0.01f, .bias_correction1 = 0.271f,
	.bias_correction2 = 0.002997f, .inv_targets = 0.125f, .pos = 2, .loss_scale = 1,
};

struct tol { double atol, rtol; };

static void compare(const struct values *got, const struct values *want, struct tol tol,
		    const char *who)
{
	for (size_t i = 0; i < got->n; i++)
		for (uint64_t k = 0; k < got->count[i]; k++) {
			double g, w;

			if (got->is_int[i]) {
				if (((int32_t *)got->b[i].data)[k] != ((int32_t *)want->b[i].data)[k])
					fail_msg("%s: %s[%llu]: %d, oracle %d", who, got->b[i].name,
						 (unsigned long long)k, ((int32_t *)got->b[i].data)[k],
						 ((int32_t *)want->b[i].data)[k]);
				continue;
			}
			g = ((double *)got->b[i].data)[k];
			w = ((double *)want->b[i].data)[k];
			if (!(fabs(g - w) <= tol.atol + tol.rtol * fabs(w)) && !(isnan(g) && isnan(w)) &&
			    g != w)
				fail_msg("%s: %s[%llu]: %.9g, oracle %.9g", who, got->b[i].name,
					 (unsigned long long)k, g, w);
		}
}

static void same_bits(const struct values *a, const struct values *b, const char *who)
{
	for (size_t i = 0; i < a->n; i++)
		if (memcmp(a->b[i].data, b->b[i].data, a->count[i] * (a->is_int[i] ? 4 : 8)))
			fail_msg("%s: %s differs", who, a->b[i].name);
}

/* --- devices ------------------------------------------------------------------------------ */

struct world {
	struct tram_ctx *ctx;
	struct tram_device *dev[12];
	const struct tram_cpu_isa *isa[12];	/* dev[3 i + t] has t + 1 threads */
	size_t n;
};

static int setup(void **state)
{
	struct tram_ctx_params params = { .threads = 2, .cache_dir = "/nowhere" };
	struct world *w = calloc(1, sizeof(*w));
	const struct tram_cpu_isa *sets[] = { &tram_cpu_isa_base,
#if TRAM_CPU_X86_SETS
		__builtin_cpu_supports("x86-64-v3") ? &tram_cpu_isa_v3 : NULL,
		__builtin_cpu_supports("x86-64-v4") ? &tram_cpu_isa_v4 : NULL,
#endif
	};

	assert_int_equal(tram_ctx_create(&params, &w->ctx), 0);
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(sets); i++)
		for (unsigned int t = 1; t <= 3 && sets[i]; t++) {
			w->isa[w->n] = sets[i];
			assert_int_equal(tram_cpu_open_with(w->ctx, sets[i], t, &w->dev[w->n++]), 0);
		}
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < w->n; i++)
		w->dev[i]->ops->close(w->dev[i]);
	tram_ctx_destroy(&w->ctx);
	free(w);
	return 0;
}

static struct tram_graph *graph(struct world *w, uint32_t shards)
{
	struct tram_graph_params p = { .shards = shards };
	struct tram_graph *g;

	assert_int_equal(tram_graph_create(w->ctx, &p, &g), 0);
	return g;
}

/* Every device gives what the oracle gives; every number of threads gives the same bits. Frees both. */
static void check_values(struct world *w, struct tram_graph *g, struct values *start,
			 struct tol tol, const char *who)
{
	struct values want, got, first = { .n = 0 };
	char text[160];

	if (tram_graph_status(g))
		fail_msg("%s: %s", who, tram_error(w->ctx));
	copy_values(start, &want);
	if (tram_oracle_run(g, want.b, want.n, &the_step))
		fail_msg("%s: oracle: %s", who, tram_error(w->ctx));
	for (size_t i = 0; i < w->n; i++) {
		snprintf(text, sizeof(text), "%s on %s, %zu threads", who, w->isa[i]->name, i % 3 + 1);
		copy_values(start, &got);
		if (tram_device_case_run(w->dev[i], g, got.b, got.n, &the_step))
			fail_msg("%s: %s", text, tram_error(w->ctx));
		compare(&got, &want, tol, text);
		if (i % 3 == 0) {
			free_values(&first);
			first = got;
		} else {
			same_bits(&got, &first, text);
			free_values(&got);
		}
	}
	free_values(&first);
	free_values(&want);
	free_values(start);
	tram_graph_destroy(&g);
}

static void check(struct world *w, struct tram_graph *g, struct tol tol, const char *who)
{
	struct values v;

	make_values(g, &v);
	check_values(w, g, &v, tol, who);
}

static tram_value input(struct tram_graph *g, const char *name, struct tram_shape s)
{
	return tram_input(g, name, TRAM_F32, s);
}

static void output(struct tram_graph *g, const char *name, tram_value v)
{
	assert_int_equal(tram_output(g, name, v), 0);
}

static tram_value kernel(struct tram_graph *g, enum tram_op op, const tram_value *in, uint32_t n,
			 const union tram_attr *attr, uint32_t n_out)
{
	static const char *const names[] = { "y0", "y1", "y2" };
	int i = tram_graph_node(g, op, in, n, attr);

	if (i < 0)
		fail_msg("%s", tram_error(g->ctx));
	for (uint32_t k = 0; k < n_out; k++)
		output(g, names[k], g->nodes.v[i].out[k]);
	return g->nodes.v[i].out[0];
}

#endif
