/* SPDX-License-Identifier: MIT */
/* Pieces of matmul.c. */

static void epilogue(float *c, size_t ld_c, const float *t, size_t ld_t, const float *bias,
		     const float *residual, size_t ld_res, size_t rows, size_t cols)
{
	for (size_t r = 0; r < rows; r++)
		ROW(i, n, cols) {
			vf v = row_load(t + r * ld_t + i, n);

			if (bias)
				v += row_load(bias + i, n);
			if (residual)
				v += row_load(residual + r * ld_res + i, n);
			row_store(c + r * ld_c + i, v, n);
		}
}

/* R rows by W vectors of C; the last vector has @n lanes. */
#define TILE_ROWS(R, W) \
	do { \
		vf acc[R][W]; \
\
		for (int r = 0; r < (R); r++) \
			for (int w = 0; w < (W); w++) \
				acc[r][w] = vset(0.0f); \
		for (size_t k = 0; k < s->k; k++) { \
			vf bv[W]; \
\
			for (int w = 0; w < (W); w++) \
				bv[w] = row_load(b + k * s->ldb + j + w * VL, \
						 w + 1 == (W) ? n : VL); \
			for (int r = 0; r < (R); r++) \
				for (int w = 0; w < (W); w++) \
					acc[r][w] = vfma(vset(a[(i + r) * s->lda + k]), bv[w], \
							 acc[r][w]); \
		} \
		for (int r = 0; r < (R); r++) \
			for (int w = 0; w < (W); w++) { \
				float *p = c + (i + r) * s->ldc + j + w * VL; \
				size_t m = w + 1 == (W) ? n : VL; \
\
				row_store(p, s->add ? row_load(p, m) + acc[r][w] : acc[r][w], m); \
			} \
	} while (0)

/* One chain of additions over k for each element, as oneDNN's kernels make it. */
static void tile(const struct tram_cpu_tile_shape *s, const float *a, const float *b, float *c)
{
	for (size_t j = 0; j < s->n; j += 2 * VL) {
		size_t left = s->n - j, n = left > VL ? TRAM_MIN(left - VL, (size_t)VL) : left;
		size_t i = 0;

		if (left > VL) {
			for (; i + 4 <= s->m; i += 4)
				TILE_ROWS(4, 2);
			for (; i < s->m; i++)
				TILE_ROWS(1, 2);
		} else {
			for (; i + 4 <= s->m; i += 4)
				TILE_ROWS(4, 1);
			for (; i < s->m; i++)
				TILE_ROWS(1, 1);
		}
	}
}
