/* SPDX-License-Identifier: MIT */
/* Growable arrays: struct { T *v; size_t n, cap; }. Growth may move the array. */
#ifndef TRAM_BASE_VEC_H
#define TRAM_BASE_VEC_H

#include "base/base.h"

#define TRAM_VEC(T) struct { T *v; size_t n, cap; }

/* Room for @more further elements. Returns 0 or -ENOMEM; the array is whole either way. */
int tram_vec_grow_(struct tram_ctx *ctx, void *vec_v, size_t n, size_t *cap, size_t more,
		   size_t size);

#define tram_vec_reserve(ctx, vec, more) \
	((vec)->n + (more) <= (vec)->cap ? 0 : \
	 tram_vec_grow_(ctx, &(vec)->v, (vec)->n, &(vec)->cap, more, sizeof(*(vec)->v)))

/* Append @x. Returns 0 or -ENOMEM. */
#define tram_vec_push(ctx, vec, x) \
	(tram_vec_reserve(ctx, vec, 1) ? -ENOMEM : ((vec)->v[(vec)->n++] = (x), 0))

#define tram_vec_free(ctx, vec) \
	do { \
		tram_free(ctx, (vec)->v); \
		(vec)->v = NULL; \
		(vec)->n = (vec)->cap = 0; \
	} while (0)

#endif
