/* SPDX-License-Identifier: MIT */
/*
 * Running a graph: variables that outlive it, and a recording that is replayed
 * step after step.
 *
 *	tram_vars_create(dev, &vars);
 *	tram_exec_create(dev, vars, graph, NULL, &x);	plans, allocates, records
 *	fill tram_exec_input(x, slot, "tokens") and tram_exec_step(x, slot)
 *	tram_exec_submit(x, slot);		one queue submission: compute, then update
 *	tram_exec_wait(x, slot);		compute is done, outputs can be read
 *	tram_exec_gate(x, slot, true);		the update may write: version N + 1
 *	tram_exec_finish(x, slot);		it has
 *
 * Slots (two by default) let the next step be filled and submitted while one runs. Not thread-safe: one
 * thread drives an exec and its vars.
 */
#ifndef TRAM_EXEC_H
#define TRAM_EXEC_H

#include <stdbool.h>

#include <tram/device.h>
#include <tram/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The step block: what changes from step to step, in one place that devices
 * read, so that a recording is replayed unchanged. shaders/lib/step.glsl
 * mirrors it word for word.
 */
struct tram_step {
	uint32_t step;			/* 1 for the first update */
	uint32_t seed[2];
	uint32_t commit;		/* written by tram_exec_gate: 1 lets update nodes write */
	float lr;
	float bias_correction1;		/* 1 - beta1^step */
	float bias_correction2;		/* 1 - beta2^step */
	float inv_targets;		/* 1 / number of targets that count in the whole batch */
	uint32_t pos;			/* KV cache: tokens already held */
	uint32_t shard0;		/* global index of the first local shard */
	float loss_scale;		/* 1 in f32 */
	uint32_t reserved[5];
};

/* --- variables ---------------------------------------------------------------- */

struct tram_vars;

int tram_vars_create(struct tram_device *dev, struct tram_vars **vars);
void tram_vars_destroy(struct tram_vars **vars);

/* Allocates @count f32 elements of zeros under @name; again with the same count: no effect. */
int tram_vars_add(struct tram_vars *vars, const char *name, uint64_t count);

/* Elements [first, first + count) of the current version. -EBUSY between a gate and its finish. */
int tram_vars_read(struct tram_vars *vars, const char *name, uint64_t first, uint64_t count,
		   float *out);
int tram_vars_write(struct tram_vars *vars, const char *name, uint64_t first, uint64_t count,
		    const float *in);

/* Counts the updates let through; writes by hand don't count. */
uint64_t tram_vars_version(const struct tram_vars *vars);

/*
 * A pin holds one version whole, off the device: a copy in host memory of the named variables, taken now
 * and unaffected by later updates. tram_pin_data returns elements of it.
 */
struct tram_pin;
int tram_vars_pin(struct tram_vars *vars, const char *const *names, size_t n,
		  struct tram_pin **pin);
uint64_t tram_pin_version(const struct tram_pin *pin);
const float *tram_pin_data(const struct tram_pin *pin, const char *name, uint64_t *count);
/* Writes the pinned values back: the variables are at that version again. */
int tram_vars_restore(struct tram_vars *vars, const struct tram_pin *pin);
/* May be called from any thread, also after the variables are gone. */
void tram_pin_release(struct tram_pin **pin);

/* --- execution ------------------------------------------------------------------- */

struct tram_exec;

struct tram_exec_params {
	uint64_t budget;	/* bytes on the device for everything this exec and its variables need; 0: the device's */
	uint32_t slots;		/* 1 or 2; 0: 2 */
	bool no_fusion;		/* as built, for comparison: the bits are the same */
	bool no_reuse;		/* no memory shared between values that don't live together */
	/*
	 * Seconds after which a step that doesn't end is given up as hung; 0: the larger of 10 s and 20 times
	 * the prediction (60 s and 100 times while calls of it are unmeasured).
	 */
	double watchdog_s;
};

struct tram_prediction {
	double step_s;		/* compute and update */
	uint64_t peak_bytes;	/* device allocations of this exec and its variables */
	uint64_t arena_bytes, variable_bytes, io_bytes;
	uint32_t calls;		/* kernel calls a step */
	uint32_t unmeasured;	/* of them, how many were estimated from rates of their family */
	char largest[64];	/* the value that binds the peak, and its bytes */
};

/*
 * Expands, fuses and plans @graph (which is not kept), allocates, records. -ENOSPC when the plan exceeds
 * the budget (the message names the binding limit); variables that the graph
 * names and @vars lacks are added as zeros.
 */
int tram_exec_create(struct tram_device *dev, struct tram_vars *vars,
		     const struct tram_graph *graph, const struct tram_exec_params *params,
		     struct tram_exec **exec);
void tram_exec_destroy(struct tram_exec **exec);

void tram_exec_predict(const struct tram_exec *exec, struct tram_prediction *p);

/*
 * Runs steps with the gate closed, timing every call, and keeps the rates (in the cache folder too), so that
 * the prediction rests on measurements. Where the cache had them all, a few steps are only held
 * against the prediction, and the calls are timed anew when it is off by more than 15 %. Changes no variable except
 * those that compute nodes write (KV caches).
 */
int tram_exec_calibrate(struct tram_exec *exec);

/* Host memory of an input of @slot; NULL when there is none of that name. */
void *tram_exec_input(struct tram_exec *exec, uint32_t slot, const char *name);
struct tram_step *tram_exec_step(struct tram_exec *exec, uint32_t slot);
/* Host memory of an output, valid from wait until the slot's next submit. */
const void *tram_exec_output(struct tram_exec *exec, uint32_t slot, const char *name);

int tram_exec_submit(struct tram_exec *exec, uint32_t slot);
/* -EIO when the device was lost, -ETIMEDOUT when it hangs; sticky. */
int tram_exec_wait(struct tram_exec *exec, uint32_t slot);
/* @open false: the step leaves no trace. For graphs without an update phase: no effect. */
int tram_exec_gate(struct tram_exec *exec, uint32_t slot, bool open);
int tram_exec_finish(struct tram_exec *exec, uint32_t slot);

/* submit, wait, gate open, finish on slot 0. */
int tram_exec_run(struct tram_exec *exec);

/*
 * Chrome trace JSON of one further step (slot 0, gate closed) with a span per call from
 * device timestamps, to @path. Opens in Perfetto.
 */
int tram_exec_trace(struct tram_exec *exec, const char *path);

/*
 * The oracle: evaluates @graph in double precision with nothing but straight C. @in and @out by name;
 * f32 tensors as arrays of double, i32 as int32_t. Variables are read from and written to @in.
 */
struct tram_binding { const char *name; void *data; };
int tram_oracle_run(const struct tram_graph *graph, const struct tram_binding *bindings, size_t n,
		    const struct tram_step *step);

#ifdef __cplusplus
}
#endif
#endif
