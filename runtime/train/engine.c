/* SPDX-License-Identifier: MIT */
/* Which engine, and whether these devices may work together. */
#include "train/engine.h"

#include "exec/exec.h"
#include "model/model.h"

const char *const tram_engine_state[3] = { "params", "adam_m", "adam_v" };

static int check_devices(struct tram_ctx *ctx, struct tram_device *const *devs, size_t n,
			 uint32_t shards)
{
	const struct tram_device_info *first = tram_device_info(devs[0]);

	if (n > shards)
		return tram_fail(ctx, -EINVAL, "%zu devices, but the batch is %u shard%s: a device needs at "
				 "least one; pass --shards %zu or more", n, shards, shards > 1 ? "s" : "", n);
	for (size_t d = 1; d < n; d++) {
		const struct tram_device_info *i = tram_device_info(devs[d]);

		if (strcmp(i->numeric_class, first->numeric_class))
			return tram_fail(ctx, -EINVAL, "%s is of numeric class \"%s\", %s of \"%s\": the "
					 "result would depend on who computed what; name devices of one class",
					 i->selector, i->numeric_class, first->selector,
					 first->numeric_class);
	}
	return 0;
}

int tram_engine_create(struct tram_device *const *devs, size_t n, const struct tram_model *model,
		       const struct tram_engine_params *params, struct tram_engine **engine)
{
	int r = tram_model_check_batch(model, params->batch, params->seq, params->shards);

	*engine = NULL;
	if (!r && !n)
		r = tram_fail(model->ctx, -EINVAL, "training: no device was given");
	if (!r && n > 1)
		r = check_devices(model->ctx, devs, n, params->shards);
	if (r)
		return r;
	return n == 1 ? tram_engine_one(devs[0], model, params, engine) :
			tram_engine_many(devs, n, model, params, engine);
}

uint64_t tram_engine_left(const struct tram_device *dev, uint64_t budget, uint64_t shared)
{
	uint64_t now, peak;

	tram_device_memory(dev, &now, &peak);
	if (shared)
		now -= TRAM_MIN(now, tram_machine_bytes(&dev->machine, shared * sizeof(float)));
	return !budget ? 0 : budget > now ? budget - now : 1;
}

void tram_engine_destroy(struct tram_engine **engine)
{
	if (*engine)
		(*engine)->ops->destroy(*engine);
	*engine = NULL;
}
