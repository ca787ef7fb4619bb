/* SPDX-License-Identifier: MIT */
/*
 * Tiles by oneDNN, see tile.h. Where it is missing or has no kernel for this
 * processor (before AVX2, other architectures), our own loop makes the same
 * chain of additions, slower.
 */
#include "device/cpu/tile.h"

#include <stdio.h>

#include "base/vec.h"
#include "device/cpu/cpu.h"

#ifdef TRAM_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_ukernel.h>
#ifndef DNNL_EXPERIMENTAL_UKERNEL
#undef TRAM_HAVE_ONEDNN
#endif
#endif

struct tram_cpu_tile {
	struct tram_cpu_tile_shape shape;
	const struct tram_cpu_isa *isa;
#ifdef TRAM_HAVE_ONEDNN
	dnnl_brgemm_t kernel;	/* NULL: isa->tile */
#endif
};

struct tram_cpu_tiles {
	struct tram_ctx *ctx;
	const struct tram_cpu_isa *isa;
	bool library;
	char name[64];
	TRAM_VEC(struct tram_cpu_tile *) v;
};

static bool same_shape(const struct tram_cpu_tile_shape *a, const struct tram_cpu_tile_shape *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k && a->lda == b->lda &&
	       a->ldb == b->ldb && a->ldc == b->ldc && a->add == b->add;
}

#ifdef TRAM_HAVE_ONEDNN
/* -ENOTSUP when oneDNN has no such kernel here. */
static int generate(struct tram_ctx *ctx, const struct tram_cpu_tile_shape *s,
		    dnnl_brgemm_t *kernel)
{
	dnnl_brgemm_t k = NULL;
	dnnl_status_t st;

	*kernel = NULL;
	st = dnnl_brgemm_create(&k, s->m, s->n, s->k, 1, (dnnl_dim_t)s->lda, (dnnl_dim_t)s->ldb,
				(dnnl_dim_t)s->ldc, dnnl_f32, dnnl_f32, dnnl_f32);
	if (!st && s->add)
		st = dnnl_brgemm_set_add_C(k, 1);
	if (!st)
		st = dnnl_brgemm_finalize(k);
	if (!st)
		st = dnnl_brgemm_generate(k);
	if (!st) {
		*kernel = k;
		return 0;
	}
	if (k)
		dnnl_brgemm_destroy(k);
	if (st == dnnl_out_of_memory)
		return tram_fail(ctx, -ENOMEM, "out of memory: oneDNN's kernel for a tile of "
				 "%u x %u x %u", s->m, s->n, s->k);
	return -ENOTSUP;
}

static const char *isa_text(void)
{
	unsigned int isa = (unsigned int)dnnl_get_effective_cpu_isa();

	return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? "avx512" :
	       (isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2 ? "avx2" : "sse41";
}
#endif

int tram_cpu_tiles_create(struct tram_ctx *ctx, const struct tram_cpu_isa *isa,
			  struct tram_cpu_tiles **tiles)
{
	struct tram_cpu_tiles *t;

	*tiles = NULL;
	t = tram_zalloc(ctx, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->ctx = ctx;
	t->isa = isa;
	snprintf(t->name, sizeof(t->name), "own loops (%s)", isa->name);
#ifdef TRAM_HAVE_ONEDNN
	if (isa != &tram_cpu_isa_base) {
		struct tram_cpu_tile_shape probe = { 4, 16, 4, 4, 16, 16, false };
		const dnnl_version_t *v = dnnl_version();
		dnnl_brgemm_t kernel;
		int r = generate(ctx, &probe, &kernel);

		if (r == -ENOMEM) {
			tram_free(ctx, t);
			return r;
		}
		if (!r) {
			dnnl_brgemm_destroy(kernel);
			t->library = true;
			snprintf(t->name, sizeof(t->name), "oneDNN %d.%d.%d (%s)", v->major, v->minor,
				 v->patch, isa_text());
		}
	}
#endif
	*tiles = t;
	return 0;
}

void tram_cpu_tiles_destroy(struct tram_cpu_tiles **tiles)
{
	struct tram_cpu_tiles *t = *tiles;

	*tiles = NULL;
	if (!t)
		return;
	for (size_t i = 0; i < t->v.n; i++) {
#ifdef TRAM_HAVE_ONEDNN
		if (t->v.v[i]->kernel)
			dnnl_brgemm_destroy(t->v.v[i]->kernel);
#endif
		tram_free(t->ctx, t->v.v[i]);
	}
	tram_vec_free(t->ctx, &t->v);
	tram_free(t->ctx, t);
}

const char *tram_cpu_tiles_name(const struct tram_cpu_tiles *tiles)
{
	return tiles->name;
}

int tram_cpu_tile_get(struct tram_cpu_tiles *t, const struct tram_cpu_tile_shape *shape,
		      const struct tram_cpu_tile **out)
{
	struct tram_cpu_tile *tile;
	int r = 0;

	*out = NULL;
	if (!shape->m || !shape->n || !shape->k)
		return 0;
	for (size_t i = 0; i < t->v.n; i++) {
		if (same_shape(&t->v.v[i]->shape, shape)) {
			*out = t->v.v[i];
			return 0;
		}
	}
	r = tram_vec_reserve(t->ctx, &t->v, 1);
	if (r)
		return r;
	tile = tram_zalloc(t->ctx, sizeof(*tile));
	if (!tile)
		return -ENOMEM;
	tile->shape = *shape;
	tile->isa = t->isa;
#ifdef TRAM_HAVE_ONEDNN
	if (t->library) {
		r = generate(t->ctx, shape, &tile->kernel);
		if (r == -ENOMEM) {
			tram_free(t->ctx, tile);
			return r;
		}
	}
#endif
	t->v.v[t->v.n++] = tile;
	*out = tile;
	return 0;
}

void tram_cpu_tile_run(const struct tram_cpu_tile *tile, const float *a, const float *b, float *c)
{
#ifdef TRAM_HAVE_ONEDNN
	if (tile->kernel) {
		static const dnnl_dim_t none[2];

		dnnl_brgemm_execute(tile->kernel, a, b, none, c, NULL);
		return;
	}
#endif
	tile->isa->tile(&tile->shape, a, b, c);
}
