/* SPDX-License-Identifier: MIT */
/* What moves elements: transposes, copies, embedding rows and their gradient. */

/*
 * A VL x VL block in registers: for each power of two d below VL, rows whose
 * numbers differ in d alone swap their off-diagonal d x d blocks.
 */
#define LOW(k, d)  (((k) & (d)) ? VL + ((k) ^ (d)) : (k))
#define HIGH(k, d) (((k) & (d)) ? VL + (k) : (k) ^ (d))
#if VL == 16
#define LANES(F, d) { F(0, d), F(1, d), F(2, d), F(3, d), F(4, d), F(5, d), F(6, d), F(7, d), \
		      F(8, d), F(9, d), F(10, d), F(11, d), F(12, d), F(13, d), F(14, d), F(15, d) }
#elif VL == 8
#define LANES(F, d) { F(0, d), F(1, d), F(2, d), F(3, d), F(4, d), F(5, d), F(6, d), F(7, d) }
#else
#define LANES(F, d) { F(0, d), F(1, d), F(2, d), F(3, d) }
#endif

#ifdef __clang__
#define SHUFFLE(a, b, F, d) shuffle_((a), (b), (vi)LANES(F, d))
INLINE vf shuffle_(vf a, vf b, vi lanes)
{
	vf r;

	for (int i = 0; i < VL; i++)
		r[i] = lanes[i] < VL ? a[lanes[i]] : b[lanes[i] - VL];
	return r;
}
#else
#define SHUFFLE(a, b, F, d) __builtin_shuffle((a), (b), (vi)LANES(F, d))
#endif

#define STAGE(d) \
	_Pragma("GCC unroll 16") \
	for (int i = 0; i < VL; i++) \
		if (!(i & (d))) { \
			vf x = v[i], y = v[i + (d)]; \
\
			v[i] = SHUFFLE(x, y, LOW, d); \
			v[i + (d)] = SHUFFLE(x, y, HIGH, d); \
		}

INLINE void flip_block(vf v[VL])
{
#if VL > 8
	STAGE(8)
#endif
#if VL > 4
	STAGE(4)
#endif
	STAGE(2)
	STAGE(1)
}

static void flip(float *dst, size_t ld_dst, const float *src, size_t ld_src, size_t rows,
		 size_t cols)
{
	vf v[VL];

	for (size_t r = 0; r < rows; r += VL) {
		size_t nr = TRAM_MIN(rows - r, (size_t)VL);

		for (size_t c = 0; c < cols; c += VL) {
			size_t nc = TRAM_MIN(cols - c, (size_t)VL);
			const float *s = src + r * ld_src + c;
			float *d = dst + c * ld_dst + r;

			if (nr == VL && nc == VL) {
				_Pragma("GCC unroll 16")
				for (size_t i = 0; i < VL; i++)
					v[i] = vload(s + i * ld_src);
				flip_block(v);
				_Pragma("GCC unroll 16")
				for (size_t i = 0; i < VL; i++)
					vstore(d + i * ld_dst, v[i]);
				continue;
			}
			for (size_t i = 0; i < nr; i++)
				for (size_t j = 0; j < nc; j++)
					d[j * ld_dst + i] = s[i * ld_src + j];
		}
	}
}

static void copy2d(float *dst, size_t ld_dst, const float *src, size_t ld_src, size_t rows,
		   size_t cols)
{
	for (size_t r = 0; r < rows; r++)
		memcpy(dst + r * ld_dst, src + r * ld_src, cols * sizeof(*dst));
}

/* Items: (index of the other axes, tile of 64 of the axis that is contiguous in the source). */
static void op_transpose(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const struct tram_cpu_transpose *t = a->plan;
	uint32_t last = t->rank - 1, from = t->from;
	uint64_t tiles = TRAM_DIV_UP(t->dim[from], 64), ld[TRAM_MAX_RANK];

	ld[last] = 1;
	for (uint32_t k = last; k-- > 0;)
		ld[k] = ld[k + 1] * t->dim[k + 1];
	for (uint64_t i = chunk * a->per; i < tram_cpu_chunk_end(a, chunk); i++) {
		uint64_t rest = i / tiles, c0 = i % tiles * 64, cols = TRAM_MIN(t->dim[from] - c0, 64);
		const float *src = (const float *)a->in[0] + c0;
		float *dst = (float *)a->out[0] + c0 * ld[from];

		for (uint32_t k = t->rank; k-- > 0;) {
			if (k == last || k == from)
				continue;
			src += rest % t->dim[k] * t->stride[k];
			dst += rest % t->dim[k] * ld[k];
			rest /= t->dim[k];
		}
		if (from == last)
			memcpy(dst, src, cols * sizeof(*dst));
		else
			flip(dst, ld[from], src, t->stride[last], t->dim[last], cols);
	}
}

/* dim = {row floats, source's leading dimension, result's}; plan: {source, result} */
static void op_slice(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	void *const *ends = a->plan;

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++)
		memcpy((float *)ends[1] + r * a->dim[2], (const float *)ends[0] + r * a->dim[1],
		       a->dim[0] * sizeof(float));
}

/* dim = {C, V} */
static void op_embedding(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const float *table = a->in[0];
	const int32_t *tokens = a->in[1];
	uint64_t c = a->dim[0];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		float *out = (float *)a->out[0] + r * c;

		if (tokens[r] >= 0 && (uint64_t)tokens[r] < a->dim[1])
			memcpy(out, table + (uint64_t)tokens[r] * c, c * sizeof(*out));
		else
			memset(out, 0, c * sizeof(*out));
	}
}

/*
 * in: dy, tokens, order [, base]; dim = {C, V, rows of a shard, vocabulary rows of a chunk, chunks of a shard}.
 * order sorts a shard's tokens, so a chunk's contributions are one run of it.
 */
static void op_embedding_bwd(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint64_t c = a->dim[0], v = a->dim[1], rows = a->dim[2], shard = chunk / a->dim[4];
	uint64_t v0 = chunk % a->dim[4] * a->dim[3], v1 = TRAM_MIN(v0 + a->dim[3], v);
	const float *dy = (const float *)a->in[0] + shard * rows * c;
	const int32_t *tokens = (const int32_t *)a->in[1] + shard * rows;
	const int32_t *order = (const int32_t *)a->in[2] + shard * rows;
	const float *base = a->attr->embedding.base ? (const float *)a->in[3] + shard * v * c : NULL;
	float *out = (float *)a->out[0] + shard * v * c;
	uint64_t lo = 0, hi = rows;

	if (!base)
		memset(out + v0 * c, 0, (v1 - v0) * c * sizeof(*out));
	else if (base != out)
		memcpy(out + v0 * c, base + v0 * c, (v1 - v0) * c * sizeof(*out));
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		uint32_t at = (uint32_t)order[mid];

		if (at < rows && tokens[at] < (int64_t)v0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < rows; lo++) {
		uint32_t at = (uint32_t)order[lo];
		float *o;

		/* An order that is none may lose contributions, but never leaves the tensors. */
		if (at >= rows || tokens[at] < (int64_t)v0)
			continue;
		if (tokens[at] >= (int64_t)v1)
			break;
		o = out + (uint64_t)tokens[at] * c;
		ROW(i, n, c)
			row_store(o + i, row_load(o + i, n) + row_load(dy + at * c + i, n), n);
	}
}
