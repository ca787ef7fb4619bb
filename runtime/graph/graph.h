/* SPDX-License-Identifier: MIT */
/*
 * The graph as the rooms above see it. Nodes stand in program order, which is a
 * valid schedule. Values are in SSA form: an update of a variable makes a new
 * value (VALUE_NEXT) that shares the variable's storage. autodiff.c holds
 * reverse mode; ops/ holds the rows of the op table.
 */
#ifndef TRAM_GRAPH_GRAPH_H
#define TRAM_GRAPH_GRAPH_H

#include <tram/graph.h>

#include "base/base.h"
#include "base/sbuf.h"
#include "base/vec.h"
#include "graph/op.h"

enum tram_value_kind {
	TRAM_VALUE_INPUT,	/* a batch slot's field */
	TRAM_VALUE_VAR,		/* version N of a variable */
	TRAM_VALUE_NEXT,	/* a variable after a node wrote it; lives in the storage of @base */
	TRAM_VALUE_TEMP,	/* a node's result */
	TRAM_VALUE_VIEW,	/* elements [first, first + count) of @base */
};

struct tram_value_info {
	enum tram_value_kind kind;
	enum tram_dtype dtype;
	struct tram_shape shape;
	int32_t node;		/* producer, -1 if none */
	tram_value base;	/* VIEW: viewed value (never itself a view); NEXT: the VAR */
	uint64_t first;		/* VIEW: offset in elements */
	char *name;		/* INPUT, VAR; owned */
};

enum tram_phase { TRAM_PHASE_COMPUTE, TRAM_PHASE_UPDATE };

struct tram_node {
	enum tram_op op;
	enum tram_phase phase;
	bool backward;			/* made by tram_gradients */
	uint32_t n_in, n_out;
	tram_value *in, *out;		/* owned by the graph */
	union tram_attr attr;
};

struct tram_output { char *name; tram_value value; };

struct tram_graph {
	struct tram_ctx *ctx;
	const struct tram_op_row *ops;	/* indexed by enum tram_op */
	uint32_t shards;
	enum tram_phase phase;
	bool in_backward;
	int status;
	TRAM_VEC(struct tram_value_info) values;
	TRAM_VEC(struct tram_node) nodes;
	TRAM_VEC(struct tram_output) outputs;
	bool updated;			/* some variable has a NEXT */
	const bool *wanted;		/* by value, only during tram_gradients: see tram_grad_wanted */
	size_t n_wanted;
};

/* As tram_graph_create with a table; the public one passes tram_op_table. */
int tram_graph_create_with(struct tram_ctx *ctx, const struct tram_op_row *ops,
			   const struct tram_graph_params *params, struct tram_graph **graph);

/*
 * Append a node; the row's shape rule makes the outputs (appended as TEMP values, or NEXT where
 * the row says that output i updates input j). Returns the node's index or -errno.
 */
int tram_graph_node(struct tram_graph *g, enum tram_op op, const tram_value *in, uint32_t n_in,
		    const union tram_attr *attr);

/* The first output of the node appended by these arguments, or TRAM_NONE. */
tram_value tram_graph_node1(struct tram_graph *g, enum tram_op op, const tram_value *in,
			    uint32_t n_in, const union tram_attr *attr);

/*
 * Record a builder's failure; returns TRAM_NONE. The first failure of a graph
 * sticks: later ones, which may only follow from it, leave no message.
 */
tram_value tram_graph_fail(struct tram_graph *g, int err, const char *fmt, ...) TRAM_PRINTF(3, 4);

/* The same for functions that return an errno: returns @err. */
int tram_graph_error(struct tram_graph *g, int err, const char *fmt, ...) TRAM_PRINTF(3, 4);

/* True when v[0 .. n) are values of @g; else records it (@who: the builder's name). */
bool tram_graph_has(struct tram_graph *g, const char *who, const tram_value *v, uint32_t n);

static inline const struct tram_value_info *tram_val(const struct tram_graph *g, tram_value v)
{
	assert(v >= 0 && (size_t)v < g->values.n);
	return &g->values.v[v];
}

/*
 * A gradient that is all ones: the seed of reverse mode and its reshapes. No
 * tensor is made for it unless an op other than HEAD_LOSS and the sums needs one.
 */
#define TRAM_ONES (-2)

/* For gradient rules: whether anybody asks for the gradient of @v. */
bool tram_grad_wanted(const struct tram_graph *g, tram_value v);

/* The graph as text, a line per input, variable, node and output, for people and tests. */
int tram_graph_text(const struct tram_graph *g, struct tram_sbuf *sb);

/* Storage of @v: the value that owns the bytes and the offset into it in elements. */
tram_value tram_graph_root(const struct tram_graph *g, tram_value v, uint64_t *first);

/* --- shapes ------------------------------------------------------------------ */

static inline uint64_t tram_shape_count(const struct tram_shape *s)
{
	uint64_t n = 1;

	for (uint32_t i = 0; i < s->rank; i++)
		n *= s->dim[i];
	return n;
}

bool tram_shape_equal(const struct tram_shape *a, const struct tram_shape *b);

/* NumPy's rule; -EINVAL when the shapes don't broadcast. */
int tram_shape_broadcast(const struct tram_shape *a, const struct tram_shape *b,
			 struct tram_shape *out);

/* "[2, 3]" into @buf; returns @buf. */
#define TRAM_SHAPE_TEXT 80
const char *tram_shape_text(const struct tram_shape *s, char buf[TRAM_SHAPE_TEXT]);

#endif
