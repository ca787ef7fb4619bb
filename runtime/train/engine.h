/* SPDX-License-Identifier: MIT */
/*
 * What computes a step: one device with the whole step recorded (one.c), or several that share its
 * shards (many.c). The loop in train.c sees no difference but how many steps may be
 * under way. The bits are the same.
 */
#ifndef TRAM_TRAIN_ENGINE_H
#define TRAM_TRAIN_ENGINE_H

#include <tram/data.h>
#include <tram/exec.h>
#include <tram/model.h>

#include "base/base.h"

struct tram_engine_params {
	uint32_t batch, seq, shards;
	struct tram_optimizer_params opt;
	uint64_t budget;		/* bytes a device; 0: the device's */
};

/* What the update reads; known only when the step is judged. */
struct tram_engine_update { float lr, bias_correction1, bias_correction2; };

struct tram_engine {
	struct tram_ctx *ctx;
	const struct tram_engine_ops *ops;
	struct tram_vars *vars;		/* of the first device, with "params", which evaluation reads */
	/* Of the host between devices: adding gradients, gathering weights. */
	uint64_t exchange_ns, exchange_bytes;
	uint32_t plans;			/* counts the changes of what predict() says */
	uint32_t ahead;			/* steps that may be begun before the first of them is ended: 1 or 2 */
};

struct tram_engine_ops {
	void (*destroy)(struct tram_engine *e);
	/* Measures; afterwards predict() rests on it. Changes no variable. */
	int (*calibrate)(struct tram_engine *e);
	/* A step's time; memory of all devices together, the largest since the beginning. */
	void (*predict)(const struct tram_engine *e, struct tram_prediction *p);
	/* Step block.step from @batch, in @slot (step % ahead). */
	int (*begin)(struct tram_engine *e, uint32_t slot, const struct tram_batch_data *batch,
		     const struct tram_step *block);
	/* Sum of the losses, and tram_grad_stats of the whole gradient (valid until end). */
	int (*wait)(struct tram_engine *e, uint32_t slot, float *loss, const float **stats);
	/* Lets the update write, or not; returns when it has. */
	int (*end)(struct tram_engine *e, uint32_t slot, const struct tram_engine_update *u, bool open);
	/* "params", "adam_m" or "adam_v", whole, wherever it is held. */
	int (*write)(struct tram_engine *e, const char *name, const float *data);
	/* All three. */
	int (*pin)(struct tram_engine *e, struct tram_pin **pin);
	int (*restore)(struct tram_engine *e, const struct tram_pin *pin);
	int (*trace)(struct tram_engine *e, const char *path);
	void (*memory)(const struct tram_engine *e, uint64_t *now, uint64_t *peak);
};

/*
 * All devices are of one numeric class, else -EINVAL. More than one: @n <= shards. Parameters and moments are
 * zeros.
 */
extern const char *const tram_engine_state[3];	/* "params", "adam_m", "adam_v" */

int tram_engine_create(struct tram_device *const *devs, size_t n, const struct tram_model *model,
		       const struct tram_engine_params *params, struct tram_engine **engine);
void tram_engine_destroy(struct tram_engine **engine);

/*
 * What is left of @budget (0: none was set) for another exec on @dev that counts one variable of @shared elements
 * which is there already (0: none).
 */
uint64_t tram_engine_left(const struct tram_device *dev, uint64_t budget, uint64_t shared);

int tram_engine_one(struct tram_device *dev, const struct tram_model *model,
		    const struct tram_engine_params *params, struct tram_engine **engine);
int tram_engine_many(struct tram_device *const *devs, size_t n, const struct tram_model *model,
		     const struct tram_engine_params *params, struct tram_engine **engine);

#endif
