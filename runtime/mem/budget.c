/* SPDX-License-Identifier: MIT */
/* Counting device memory; budget.h says for whom. */
#include "mem/budget.h"

int tram_budget_get(struct tram_budget *b, uint64_t size, enum tram_memory kind, const char *what,
		    struct tram_buffer **buf)
{
	struct tram_device *dev = b->dev;
	uint64_t cost = tram_machine_bytes(&dev->machine, size);
	int r;

	*buf = NULL;
	if (!size)
		return 0;
	if (b->limit && (cost > b->limit || b->used > b->limit - cost))
		return tram_fail(dev->ctx, -ENOSPC,
				 "%s: %s of %llu bytes on top of %llu, limit %llu; ask for less or raise the budget",
				 dev->info.selector, what, (unsigned long long)cost,
				 (unsigned long long)b->used, (unsigned long long)b->limit);
	r = dev->ops->buffer_create(dev, size, kind, buf);
	if (r)
		return tram_fail_in(dev->ctx, r, "%s", what);
	b->used += cost;
	return 0;
}

void tram_budget_put(struct tram_budget *b, struct tram_buffer **buf)
{
	if (!*buf)
		return;
	b->used -= tram_machine_bytes(&b->dev->machine, (*buf)->size);
	b->dev->ops->buffer_destroy(*buf);
	*buf = NULL;
}
