/* SPDX-License-Identifier: MIT */
/*
 * Row-wise kernels and reductions. The bits of a row depend on nothing but
 * the row: not on how many there are, nor on its place. Sums over a row go
 * into VL lanes, then halves are added pairwise (vsum).
 */

/* Loop over a row: BODY sees v = the vector at i and n = lanes of it that count (VL but for the last). */
#define ROW(i, n, c) for (size_t i = 0, n; i < (c) && (n = TRAM_MIN((c) - i, (size_t)VL), true); i += VL)

INLINE vf row_load(const float *p, size_t n)
{
	return n == VL ? vload(p) : vload_n(p, n);
}

INLINE void row_store(float *p, vf v, size_t n)
{
	if (n == VL)
		vstore(p, v);
	else
		vstore_n(p, v, n);
}

/* Lanes from @n on become @other. */
INLINE vf row_fill(vf v, size_t n, float other)
{
	return n == VL ? v : vsel(vlanes() < viset((int32_t)n), v, vset(other));
}

static float row_max(const float *x, size_t c)
{
	vf m = vset(-INFINITY);

	ROW(i, n, c)
		m = vmax(m, row_fill(row_load(x + i, n), n, -INFINITY));
	return vhmax(m);
}

/* --- softmax: dim = {C} -------------------------------------------------------------- */

static void op_softmax(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	size_t c = (size_t)a->dim[0];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *x = (const float *)a->in[0] + r * c;
		float *y = (float *)a->out[0] + r * c, inv;
		vf m = vset(row_max(x, c)), s = vset(0.0f);

		ROW(i, n, c) {
			vf e = vexp(row_load(x + i, n) - m);

			row_store(y + i, e, n);
			s += row_fill(e, n, 0.0f);
		}
		inv = 1.0f / vsum(s);
		ROW(i, n, c)
			row_store(y + i, row_load(y + i, n) * inv, n);
	}
}

static void op_softmax_bwd(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	size_t c = (size_t)a->dim[0];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *y = (const float *)a->in[0] + r * c;
		const float *dy = (const float *)a->in[1] + r * c;
		float *dx = (float *)a->out[0] + r * c, dot;
		vf s = vset(0.0f);

		ROW(i, n, c)
			s = vfma(row_load(y + i, n), row_load(dy + i, n), s);
		dot = vsum(s);
		ROW(i, n, c)
			row_store(dx + i, row_load(y + i, n) * (row_load(dy + i, n) - dot), n);
	}
}

/* --- LayerNorm and RMSNorm: dim = {C} ---------------------------------------------------- */

static void op_layernorm(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	bool rms = a->attr->norm.rms;
	const float *gain = a->in[1], *bias = rms ? NULL : a->in[2];
	size_t c = (size_t)a->dim[0];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *x = (const float *)a->in[0] + r * c;
		float *y = (float *)a->out[0] + r * c, *stats = (float *)a->out[1] + 2 * r;
		vf s = vset(0.0f);
		float mean = 0.0f, rstd;

		if (!rms) {
			ROW(i, n, c)
				s += row_load(x + i, n);
			mean = vsum(s) / (float)c;
			s = vset(0.0f);
		}
		ROW(i, n, c) {
			vf d = row_fill(row_load(x + i, n) - mean, n, 0.0f);

			s = vfma(d, d, s);
		}
		rstd = 1.0f / sqrtf(vsum(s) / (float)c + a->attr->norm.eps);
		ROW(i, n, c) {
			vf h = (row_load(x + i, n) - mean) * rstd, k = row_load(gain + i, n);

			row_store(y + i, rms ? h * k : vfma(h, k, row_load(bias + i, n)), n);
		}
		stats[0] = mean;
		stats[1] = rstd;
	}
}

/* in: dy, x, gain, stats [, add] */
static void op_layernorm_bwd_x(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const float *gain = a->in[2];
	size_t c = (size_t)a->dim[0];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *dy = (const float *)a->in[0] + r * c;
		const float *x = (const float *)a->in[1] + r * c;
		const float *stats = (const float *)a->in[3] + 2 * r;
		const float *add = a->n_in > 4 ? (const float *)a->in[4] + r * c : NULL;
		float *dx = (float *)a->out[0] + r * c;
		float mean = stats[0], rstd = stats[1], m1, m2;
		vf s1 = vset(0.0f), s2 = vset(0.0f);

		ROW(i, n, c) {
			vf g = row_load(dy + i, n) * row_load(gain + i, n);

			s1 += g;
			s2 = vfma(g, (row_load(x + i, n) - mean) * rstd, s2);
		}
		m1 = a->attr->norm.rms ? 0.0f : vsum(s1) / (float)c;
		m2 = vsum(s2) / (float)c;
		ROW(i, n, c) {
			vf g = row_load(dy + i, n) * row_load(gain + i, n);
			vf xhat = (row_load(x + i, n) - mean) * rstd;
			vf d = (g - m1 - xhat * m2) * rstd;

			row_store(dx + i, add ? d + row_load(add + i, n) : d, n);
		}
	}
}

/* Rows of one partial sum, where rows are added up. */
#define SUM_ROWS 64

/*
 * in: dy, x, stats; out: dgain, dbias [S, C] (rms: dgain). dim = {C, rows of a shard, columns of a chunk, chunks of a shard}. Rows in
 * order within blocks of SUM_ROWS, blocks in order.
 */
static void op_layernorm_bwd_p(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	size_t c = (size_t)a->dim[0], width = (size_t)a->dim[2];
	uint64_t shard = chunk / a->dim[3], rows = a->dim[1], row0 = shard * rows;
	size_t col0 = (size_t)(chunk % a->dim[3]) * width, col1 = TRAM_MIN(col0 + width, c);

	for (size_t j = col0; j < col1; j += VL) {
		size_t n = TRAM_MIN(col1 - j, (size_t)VL);
		vf tg = vset(0.0f), tb = vset(0.0f);

		for (uint64_t r0 = 0; r0 < rows; r0 += SUM_ROWS) {
			vf sg = vset(0.0f), sb = vset(0.0f);

			for (uint64_t r = row0 + r0; r < row0 + TRAM_MIN(r0 + SUM_ROWS, rows); r++) {
				const float *stats = (const float *)a->in[2] + 2 * r;
				vf dy = row_load((const float *)a->in[0] + r * c + j, n);
				vf x = row_load((const float *)a->in[1] + r * c + j, n);

				sg = vfma(dy, (x - stats[0]) * stats[1], sg);
				sb += dy;
			}
			tg += sg;
			tb += sb;
		}
		row_store((float *)a->out[0] + shard * c + j, tg, n);
		if (!a->attr->norm.rms)
			row_store((float *)a->out[1] + shard * c + j, tb, n);
	}
}

/* --- reductions ------------------------------------------------------------------------- */

/* inner == 1: dim = {red}; a chunk is rows */
static void op_reduce(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint32_t kind = a->attr->reduce.kind;
	size_t red = (size_t)a->dim[0];
	float *out = a->out[0];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *x = (const float *)a->in[0] + r * red;
		float total = 0.0f;

		if (kind == TRAM_REDUCE_MAX) {
			out[r] = row_max(x, red);
			continue;
		}
		for (size_t b = 0; b < red; b += SUM_ROWS * VL) {
			size_t m = TRAM_MIN(red - b, (size_t)SUM_ROWS * VL);
			vf s = vset(0.0f);

			ROW(i, n, m)
				s += row_load(x + b + i, n);
			total += vsum(s);
		}
		out[r] = kind == TRAM_REDUCE_MEAN ? total / (float)red : total;
	}
}

/* inner > 1: dim = {red, inner, columns of a chunk, chunks of an outer index} */
static void op_reduce_inner(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint32_t kind = a->attr->reduce.kind;
	uint64_t red = a->dim[0], outer = chunk / a->dim[3];
	size_t inner = (size_t)a->dim[1], col0 = (size_t)(chunk % a->dim[3]) * (size_t)a->dim[2];
	size_t col1 = TRAM_MIN(col0 + (size_t)a->dim[2], inner);
	const float *x = (const float *)a->in[0] + outer * red * inner;
	float *out = (float *)a->out[0] + outer * inner;

	for (size_t j = col0; j < col1; j += VL) {
		size_t n = TRAM_MIN(col1 - j, (size_t)VL);
		vf t = vset(kind == TRAM_REDUCE_MAX ? -INFINITY : 0.0f);

		for (uint64_t r0 = 0; r0 < red; r0 += SUM_ROWS) {
			vf s = vset(kind == TRAM_REDUCE_MAX ? -INFINITY : 0.0f);

			for (uint64_t r = r0; r < TRAM_MIN(r0 + SUM_ROWS, red); r++) {
				vf v = row_load(x + r * inner + j, n);

				s = kind == TRAM_REDUCE_MAX ? vmax(s, v) : s + v;
			}
			t = kind == TRAM_REDUCE_MAX ? vmax(t, s) : t + s;
		}
		if (kind == TRAM_REDUCE_MEAN)
			t /= (float)red;
		row_store(out + j, t, n);
	}
}

/* dim = {S, n}; left part: the largest power of two below S */
static vf tree(const float *x, uint64_t s, uint64_t stride, size_t n)
{
	uint64_t left = 1;

	if (s == 1)
		return row_load(x, n);
	while (left * 2 < s)
		left *= 2;
	return tree(x, left, stride, n) + tree(x + left * stride, s - left, stride, n);
}

static void op_tree_sum(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint64_t end = tram_cpu_chunk_end(a, chunk);

	for (uint64_t i = chunk * a->per; i < end; i += VL) {
		size_t n = (size_t)TRAM_MIN(end - i, (uint64_t)VL);

		row_store((float *)a->out[0] + i, tree((const float *)a->in[0] + i, a->dim[0],
						       a->dim[1], n), n);
	}
}

static void op_argmax(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	size_t c = (size_t)a->dim[0];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *x = (const float *)a->in[0] + r * c;
		float m = row_max(x, c);
		int32_t at = 0;

		for (size_t i = 0; i < c; i++)
			if (x[i] == m) {
				at = (int32_t)i;
				break;
			}
		((int32_t *)a->out[0])[r] = at;
	}
}

/* 1 when @n floats are all finite: no exponent is all ones. */
static bool all_finite(const float *x, size_t c)
{
	vi bad = { 0 };

	ROW(i, n, c)
		bad |= ((vi)row_load(x + i, n) & 0x7f800000) == 0x7f800000;
	for (int i = 0; i < VL; i++)
		if (bad[i])
			return false;
	return true;
}

/* The first phase sets the answer to 1, this one clears it; all writers write the same. */
static void op_isfinite(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint64_t first = chunk * a->per;

	if (!all_finite((const float *)a->in[0] + first,
			(size_t)(tram_cpu_chunk_end(a, chunk) - first)))
		__atomic_store_n((int32_t *)a->out[0], 0, __ATOMIC_RELAXED);
}

/* A chunk is one chunk of TRAM_STATS_CHUNK elements. */
static void op_stats_partial(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint64_t first = chunk * a->per;
	size_t c = (size_t)(tram_cpu_chunk_end(a, chunk) - first);
	const float *x = (const float *)a->in[0] + first;
	float *out = (float *)a->out[0] + 2 * chunk;
	vf s = vset(0.0f);

	ROW(i, n, c) {
		vf v = row_load(x + i, n);

		s = vfma(v, v, s);
	}
	out[0] = vsum(s);
	out[1] = all_finite(x, c) ? 1.0f : 0.0f;
}

/* dim = {chunks} */
static void op_stats_final(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const float *x = a->in[0];
	float *out = a->out[0], finite = 1.0f;
	double sum = 0.0;

	for (uint64_t i = 0; i < a->dim[0]; i++) {
		sum += (double)x[2 * i];
		if (x[2 * i + 1] != 1.0f)
			finite = 0.0f;
	}
	out[0] = (float)sum;
	out[1] = finite;
	out[2] = (float)sqrt(sum);
	out[3] = 0.0f;
}

/* --- cross-entropy: dim = {c} ---------------------------------------------------------------- */

/* in: logits [N, c], targets [, state]; out: state */
static void op_xent_partial(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const int32_t *targets = a->in[1];
	size_t c = (size_t)a->dim[0];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *x = (const float *)a->in[0] + r * c;
		const float *old = a->attr->xent.state ? (const float *)a->in[2] + 4 * r : NULL;
		float *out = (float *)a->out[0] + 4 * r;
		float m = row_max(x, c), sum = 0.0f, logit = 0.0f;
		int64_t t = (int64_t)targets[r] - a->attr->xent.first;
		vf s = vset(0.0f), shift;

		if (old) {
			m = old[0] > m ? old[0] : m;
			sum = old[1];
			logit = old[2];
			if (old[0] != m)
				sum *= expf(old[0] - m);
		}
		shift = vset(m);
		ROW(i, n, c)
			s += row_fill(vexp(row_load(x + i, n) - shift), n, 0.0f);
		if (t >= 0 && t < (int64_t)c)
			logit = x[t];
		out[0] = m;
		out[1] = sum + vsum(s);
		out[2] = logit;
		out[3] = 0.0f;
	}
}

static void op_xent_final(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const int32_t *targets = a->in[1];
	float *loss = a->out[0], *lse = a->out[1];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *s = (const float *)a->in[0] + 4 * r;

		lse[r] = s[0] + logf(s[1]);
		/* The logit is taken from the maximum first: lse - logit would lose bits of a small loss. */
		loss[r] = targets[r] < 0 ? 0.0f : logf(s[1]) + (s[0] - s[2]);
	}
}

/* in: logits, lse, targets; out may be logits itself */
static void op_xent_grad(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const float *lse = a->in[1];
	const int32_t *targets = a->in[2];
	size_t c = (size_t)a->dim[0];
	float scale = a->step->inv_targets;

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *x = (const float *)a->in[0] + r * c;
		float *d = (float *)a->out[0] + r * c;
		int64_t t = (int64_t)targets[r] - a->attr->xent.first;

		if (targets[r] < 0) {
			memset(d, 0, c * sizeof(*d));
			continue;
		}
		ROW(i, n, c)
			row_store(d + i, vexp(row_load(x + i, n) - lse[r]) * scale, n);
		if (t >= 0 && t < (int64_t)c)
			d[t] -= scale;
	}
}
