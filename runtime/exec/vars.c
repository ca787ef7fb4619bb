/* SPDX-License-Identifier: MIT */
/*
 * Variables: one device buffer each, alive longer than any exec. A version is
 * what the variables hold after so many opened gates. Pins are host copies made between steps; their memory
 * comes from a pool, so that checkpointing in steady state doesn't grow.
 */
#include "exec/exec.h"

int tram_vars_create(struct tram_device *dev, struct tram_vars **out)
{
	struct tram_vars *vars;
	int r;

	*out = NULL;
	vars = tram_zalloc(dev->ctx, sizeof(*vars));
	if (!vars)
		return -ENOMEM;
	vars->ctx = dev->ctx;
	vars->dev = dev;
	vars->budget.dev = dev;
	r = tram_host_pool_create(dev->ctx, &vars->pool);
	if (r) {
		tram_free(dev->ctx, vars);
		return r;
	}
	*out = vars;
	return 0;
}

void tram_vars_destroy(struct tram_vars **varsp)
{
	struct tram_vars *vars = *varsp;

	*varsp = NULL;
	if (!vars)
		return;
	assert(!vars->execs);	/* they use these buffers */
	for (size_t i = 0; i < vars->store.n; i++) {
		tram_budget_put(&vars->budget, &vars->store.v[i].buf);
		tram_free(vars->ctx, vars->store.v[i].name);
	}
	tram_vec_free(vars->ctx, &vars->store);
	tram_host_pool_release(&vars->pool);
	tram_free(vars->ctx, vars);
}

struct tram_variable_store *tram_vars_find(const struct tram_vars *vars, const char *name)
{
	for (size_t i = 0; i < vars->store.n; i++)
		if (!strcmp(vars->store.v[i].name, name))
			return &vars->store.v[i];
	return NULL;
}

int tram_vars_add(struct tram_vars *vars, const char *name, uint64_t count)
{
	struct tram_variable_store *old = tram_vars_find(vars, name), s = { .count = count };
	uint64_t bytes;
	int r;

	if (old && old->count != count)
		return tram_fail(vars->ctx, -EINVAL,
				 "variable '%s': %llu elements wanted, it has %llu; use another name or the same shape",
				 name, (unsigned long long)count, (unsigned long long)old->count);
	if (old)
		return 0;
	if (!count || tram_mul_overflow(count, 4, &bytes))
		return tram_fail(vars->ctx, -EINVAL, "variable '%s': %llu elements, at least 1 and at most 2^62",
				 name, (unsigned long long)count);
	if (tram_vec_reserve(vars->ctx, &vars->store, 1))
		return -ENOMEM;
	s.name = tram_strdup(vars->ctx, name);
	if (!s.name)
		return -ENOMEM;
	r = tram_budget_get(&vars->budget, bytes, TRAM_MEMORY_DEVICE, name, &s.buf);
	if (r) {
		tram_free(vars->ctx, s.name);
		return r;
	}
	vars->store.v[vars->store.n++] = s;
	return 0;
}

int tram_vars_settled(const struct tram_vars *vars, const char *what)
{
	for (const struct tram_exec *x = vars->execs; x; x = x->next)
		for (uint32_t i = 0; x->update && !x->err && i < x->n_slots; i++)
			if (x->slot[i].state != TRAM_SLOT_IDLE)
				return tram_fail(vars->ctx, -EBUSY,
						 "%s: slot %u has a step that is not finished; gate and finish it first",
						 what, i);
	return 0;
}

static int find_range(struct tram_vars *vars, const char *name, uint64_t first, uint64_t count,
		      struct tram_variable_store **s)
{
	*s = tram_vars_find(vars, name);
	if (!*s)
		return tram_fail(vars->ctx, -ENOENT, "variable '%s': there is none of this name", name);
	if (first > (*s)->count || count > (*s)->count - first)
		return tram_fail(vars->ctx, -EINVAL,
				 "variable '%s': elements %llu + %llu asked for, it has %llu", name,
				 (unsigned long long)first, (unsigned long long)count,
				 (unsigned long long)(*s)->count);
	return tram_vars_settled(vars, name);
}

int tram_vars_read(struct tram_vars *vars, const char *name, uint64_t first, uint64_t count,
		   float *out)
{
	struct tram_variable_store *s;
	int r = find_range(vars, name, first, count, &s);

	return r || !count ? r : vars->dev->ops->read(s->buf, first * 4, out, count * 4);
}

int tram_vars_write(struct tram_vars *vars, const char *name, uint64_t first, uint64_t count,
		    const float *in)
{
	struct tram_variable_store *s;
	int r = find_range(vars, name, first, count, &s);

	return r || !count ? r : vars->dev->ops->write(s->buf, first * 4, in, count * 4);
}

uint64_t tram_vars_version(const struct tram_vars *vars)
{
	return vars->version;
}

/* --- pins -------------------------------------------------------------------- */

struct pinned { const char *name; uint64_t count; float *data; };

/* In one block of the pool: this, then names, then data. */
struct tram_pin {
	struct tram_host_pool *pool;
	uint64_t version;
	size_t n;
	struct pinned v[];
};

#define PIN_ALIGN 64

static size_t pin_head(size_t n, size_t names)
{
	return TRAM_ALIGN_UP(sizeof(struct tram_pin) + n * sizeof(struct pinned) + names, PIN_ALIGN);
}

/* Elements of the variable @name over the first @n of @vars, -ENOENT when one has none. */
static int count_across(struct tram_vars *const *vars, size_t n, const char *name, uint64_t *count)
{
	*count = 0;
	for (size_t i = 0; i < n; i++) {
		const struct tram_variable_store *s = tram_vars_find(vars[i], name);

		if (!s)
			return tram_fail(vars[0]->ctx, -ENOENT, "pin: there is no variable '%s'", name);
		*count += s->count;
	}
	return 0;
}

static int read_across(struct tram_vars *const *vars, size_t n, const char *name, float *out)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		const struct tram_variable_store *s = tram_vars_find(vars[i], name);

		r = vars[i]->dev->ops->read(s->buf, 0, out, s->count * 4);
		out += s->count;
	}
	return r;
}

int tram_vars_pin_across(struct tram_vars *const *vars, size_t n_vars, const char *const *names,
			 const bool *spread, size_t n, struct tram_pin **out)
{
	struct tram_ctx *ctx = vars[0]->ctx;
	size_t chars = 0, size, at;
	struct tram_pin *pin;
	uint64_t count;
	void *block;
	char *text;
	int r = 0;

	*out = NULL;
	for (size_t i = 0; i < n_vars && !r; i++)
		r = tram_vars_settled(vars[i], "pin");
	for (size_t i = 0; i < n; i++)
		chars += strlen(names[i]) + 1;
	size = pin_head(n, chars);
	for (size_t i = 0; i < n && !r; i++) {
		r = count_across(vars, spread && spread[i] ? n_vars : 1, names[i], &count);
		size += TRAM_ALIGN_UP(count * 4, PIN_ALIGN);
	}
	if (!r)
		r = tram_host_pool_get(vars[0]->pool, size, &block);
	if (r)
		return r;
	pin = block;
	*pin = (struct tram_pin){ .pool = vars[0]->pool, .version = vars[0]->version, .n = n };
	text = (char *)&pin->v[n];
	at = pin_head(n, chars);
	for (size_t i = 0; i < n && !r; i++) {
		r = count_across(vars, spread && spread[i] ? n_vars : 1, names[i], &count);
		pin->v[i] = (struct pinned){ strcpy(text, names[i]), count,
					     (float *)((char *)block + at) };
		text += strlen(text) + 1;
		at += TRAM_ALIGN_UP(count * 4, PIN_ALIGN);
		if (!r)
			r = read_across(vars, spread && spread[i] ? n_vars : 1, names[i], pin->v[i].data);
	}
	if (r) {
		tram_host_pool_put(vars[0]->pool, block);
		return tram_fail_in(ctx, r, "pin");
	}
	*out = pin;
	return 0;
}

int tram_vars_pin(struct tram_vars *vars, const char *const *names, size_t n,
		  struct tram_pin **out)
{
	return tram_vars_pin_across(&vars, 1, names, NULL, n, out);
}

uint64_t tram_pin_version(const struct tram_pin *pin)
{
	return pin->version;
}

const float *tram_pin_data(const struct tram_pin *pin, const char *name, uint64_t *count)
{
	*count = 0;
	for (size_t i = 0; i < pin->n; i++) {
		if (!strcmp(pin->v[i].name, name)) {
			*count = pin->v[i].count;
			return pin->v[i].data;
		}
	}
	return NULL;
}

int tram_vars_restore(struct tram_vars *vars, const struct tram_pin *pin)
{
	struct tram_variable_store *s;
	int r = tram_vars_settled(vars, "restore");

	/* All is checked before anything is written. */
	for (size_t i = 0; i < pin->n && !r; i++) {
		s = tram_vars_find(vars, pin->v[i].name);
		if (!s || s->count != pin->v[i].count)
			r = tram_fail(vars->ctx, -EINVAL,
				      "restore: variable '%s' of %llu elements was pinned, these variables have %s of that name",
				      pin->v[i].name, (unsigned long long)pin->v[i].count,
				      s ? "another count" : "none");
	}
	for (size_t i = 0; i < pin->n && !r; i++) {
		s = tram_vars_find(vars, pin->v[i].name);
		r = vars->dev->ops->write(s->buf, 0, pin->v[i].data, s->count * 4);
	}
	if (!r)
		vars->version = pin->version;
	return r;
}

void tram_pin_release(struct tram_pin **pin)
{
	if (*pin)
		tram_host_pool_put((*pin)->pool, *pin);
	*pin = NULL;
}
