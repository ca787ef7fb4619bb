/* SPDX-License-Identifier: MIT */
/*
 * Inside exec: what its files share. exec.c records and runs steps, vars.c
 * holds variables and pins, calibrate.c and rates.c measure, trace.c writes a trace.
 *
 * One step of a slot, on the queue and on the slot's two timelines:
 *
 *	queue	  [ compute | update ]
 *	gate	            ^ k: the update waits for it; signalled by the host
 *	done	          ^ 2k-1   ^ 2k
 *
 * k counts the slot's runs from 1. Slots share the arena: the queue runs one
 * program after another, and what is queued behind a closed gate waits with it.
 */
#ifndef TRAM_EXEC_EXEC_H
#define TRAM_EXEC_EXEC_H

#include <tram/exec.h>

#include "base/vec.h"
#include "device/device.h"
#include "mem/budget.h"
#include "mem/host_pool.h"
#include "plan/plan.h"

#define TRAM_EXEC_SLOTS 2

struct tram_variable_store {
	char *name;
	uint64_t count;
	struct tram_buffer *buf;
};

struct tram_vars {
	struct tram_ctx *ctx;
	struct tram_device *dev;
	struct tram_budget budget;
	TRAM_VEC(struct tram_variable_store) store;
	uint64_t version;
	uint64_t submits;		/* of all execs below, to tell what is queued behind what */
	struct tram_exec *execs;	/* those that run on these variables */
	struct tram_host_pool *pool;	/* of pins */
};

struct tram_variable_store *tram_vars_find(const struct tram_vars *vars, const char *name);

/* -EBUSY when a step that may write variables is between its submit and its finish. */
int tram_vars_settled(const struct tram_vars *vars, const char *what);

/*
 * tram_vars_pin over several devices: where @spread[i], the i-th variable is pinned as one, its pieces of
 * all @vars one after another; else, and where @spread is NULL, it is that of the first.
 */
int tram_vars_pin_across(struct tram_vars *const *vars, size_t n_vars, const char *const *names,
			 const bool *spread, size_t n, struct tram_pin **pin);

enum tram_slot_state {
	TRAM_SLOT_IDLE,
	TRAM_SLOT_SUBMITTED,	/* the gate is closed, if there is one */
	TRAM_SLOT_DECIDED,	/* the gate was signalled */
};

struct tram_slot {
	struct tram_buffer *input, *output, *block;	/* block: the step block */
	struct tram_program *program[2];		/* by enum tram_phase; NULL when empty */
	struct tram_timeline *done, *gate;
	uint64_t run;		/* k of the latest */
	uint64_t order;		/* of its submit among all on the same variables */
	enum tram_slot_state state;
};

struct tram_field { const char *name; uint64_t offset; };	/* of an input or output block */

struct tram_exec {
	struct tram_ctx *ctx;
	struct tram_device *dev;
	struct tram_vars *vars;
	struct tram_exec *next;		/* in vars->execs */
	struct tram_plan *plan;
	struct tram_budget budget;
	struct tram_buffer *arena;
	struct tram_buffer **var;	/* by index of the plan's variables; owned by vars */
	struct tram_field *inputs, *outputs;
	size_t n_inputs, n_outputs;
	uint32_t n_slots;
	bool update;			/* there is an update phase, so a gate */
	uint64_t watchdog_ns;		/* 0: from the prediction */
	int err;			/* sticky: first failure of the device */
	struct tram_slot slot[TRAM_EXEC_SLOTS];
};

static inline struct tram_step *tram_slot_step(const struct tram_slot *s)
{
	return s->block->map;
}

/* Records one phase for @slot. *@prog NULL when the phase makes no calls. */
int tram_exec_record(struct tram_exec *x, struct tram_slot *slot, enum tram_phase phase,
		     bool timed, struct tram_program **prog);

/*
 * Runs programs @prog[0], @prog[1] (either may be NULL) on idle slot 0 with the step block's commit word as it
 * is and no gate between; waits. For measuring.
 */
int tram_exec_measure(struct tram_exec *x, struct tram_program *const prog[2]);

/*
 * Whether the compute part of @slot's step is done, waiting until CLOCK_MONOTONIC @deadline_ns for it: 1 (then
 * tram_exec_wait returns at once), 0, or -errno.
 */
int tram_exec_poll(struct tram_exec *x, uint32_t slot, uint64_t deadline_ns);

/* 0 when @x has no step under way and nobody's step may write its variables; else -EBUSY, or its error. */
int tram_exec_idle(struct tram_exec *x, const char *what);

/*
 * The last slot's programs, if there are two slots, make room for timed ones, so that measuring stays
 * below the predicted peak. The exec is poisoned when they can't be recorded again.
 */
void tram_exec_lend(struct tram_exec *x);
int tram_exec_take_back(struct tram_exec *x);

/* Device trouble: sticks, closes every gate so that nothing waits for ever. Returns @err. */
int tram_exec_poison(struct tram_exec *x, int err);

/* Measured rates kept in the cache folder, by numeric class and threads (rates.c). */
int tram_rates_load(struct tram_device *dev);
/* Takes @rates (any order, one per hash) into the device's and stores them; only -ENOMEM is an error. */
int tram_rates_merge(struct tram_device *dev, struct tram_rate *rates, size_t n);

#endif
