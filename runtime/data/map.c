/* SPDX-License-Identifier: MIT */
/* Open addressing with linear probing, at most half full. */
#include "data/data.h"

static uint64_t mix(uint64_t x)
{
	/* Steele, Lea & Flood 2014 (SplitMix64's finalizer) */
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

void tram_map_init(struct tram_map *m, struct tram_ctx *ctx)
{
	*m = (struct tram_map){ .ctx = ctx };
}

void tram_map_finish(struct tram_map *m)
{
	tram_free(m->ctx, m->key);
	tram_free(m->ctx, m->value);
	tram_map_init(m, m->ctx);
}

static size_t find(const struct tram_map *m, uint64_t key)
{
	size_t i = mix(key) & m->mask;

	while (m->value[i] && m->key[i] != key)
		i = (i + 1) & m->mask;
	return i;
}

uint32_t tram_map_get(const struct tram_map *m, uint64_t key)
{
	return m->value ? m->value[find(m, key)] - 1 : UINT32_MAX;
}

static int grow(struct tram_map *m)
{
	size_t size = m->value ? 2 * (m->mask + 1) : 64;
	struct tram_map bigger = { .ctx = m->ctx, .n = m->n, .mask = size - 1 };

	bigger.key = tram_calloc(m->ctx, size, sizeof(*bigger.key));
	bigger.value = tram_calloc(m->ctx, size, sizeof(*bigger.value));
	if (!bigger.key || !bigger.value) {
		tram_map_finish(&bigger);
		return -ENOMEM;
	}
	for (size_t i = 0; m->value && i <= m->mask; i++)
		if (m->value[i]) {
			size_t at = find(&bigger, m->key[i]);

			bigger.key[at] = m->key[i];
			bigger.value[at] = m->value[i];
		}
	tram_map_finish(m);
	*m = bigger;
	return 0;
}

int tram_map_put(struct tram_map *m, uint64_t key, uint32_t value)
{
	size_t at;

	if (!m->value || 2 * m->n > m->mask) {
		int r = grow(m);

		if (r)
			return r;
	}
	at = find(m, key);
	m->n += !m->value[at];
	m->key[at] = key;
	m->value[at] = value + 1;
	return 0;
}
