/* SPDX-License-Identifier: MIT */
/* Pieces of attention, and attention over a KV cache. */

static void scale_rows(float *x, size_t ld, size_t rows, size_t cols, const float *factor)
{
	for (size_t r = 0; r < rows; r++)
		ROW(i, n, cols)
			row_store(x + r * ld + i, row_load(x + r * ld + i, n) * factor[r], n);
}

/* Online softmax: Milakov & Gimelshein, "Online normalizer calculation for softmax" (2018). */
static void attention_softmax(float *s, size_t ld, size_t rows, size_t cols, size_t seen,
			      float scale, float *max, float *sum, float *alpha)
{
	for (size_t r = 0; r < rows; r++) {
		float *x = s + r * ld;
		size_t live = TRAM_MIN(cols, seen + r);
		float m = row_max(x, live) * scale;
		vf shift, t = vset(0.0f);

		m = m > max[r] ? m : max[r];
		alpha[r] = expf(max[r] - m);
		shift = vset(-m);
		ROW(i, n, live) {
			vf e = row_fill(vexp(vfma(row_load(x + i, n), vset(scale), shift)), n, 0.0f);

			row_store(x + i, e, n);
			t += e;
		}
		sum[r] = sum[r] * alpha[r] + vsum(t);
		max[r] = m;
		memset(x + live, 0, (cols - live) * sizeof(*x));
	}
}

static void attention_grad(float *s, float *dp, size_t ld, size_t keys, size_t queries, bool causal,
			   float scale, const float *lse, const float *delta)
{
	for (size_t k = 0; k < keys; k++)
		ROW(q, n, queries) {
			vf p = vexp(vfma(row_load(s + k * ld + q, n), vset(scale), -row_load(lse + q, n)));
			vf d;

			if (causal && q < k)
				p = vsel(vlanes() + (int32_t)q >= viset((int32_t)k), p, vset(0.0f));
			d = p * (row_load(dp + k * ld + q, n) - row_load(delta + q, n)) * scale;
			row_store(s + k * ld + q, p, n);
			row_store(dp + k * ld + q, d, n);
		}
}

/* in: out, dout [B, T, H D]; out: [B, H, T]. Items: tokens; dim = {T, H, D} */
static void op_attention_delta(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint64_t t = a->dim[0], h = a->dim[1];
	size_t d = (size_t)a->dim[2];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++)
		for (uint64_t k = 0; k < h; k++) {
			const float *x = (const float *)a->in[0] + (r * h + k) * d;
			const float *y = (const float *)a->in[1] + (r * h + k) * d;
			vf s = vset(0.0f);

			ROW(i, n, d)
				s = vfma(row_load(x + i, n), row_load(y + i, n), s);
			((float *)a->out[0])[(r / t * h + k) * t + r % t] = vsum(s);
		}
}

/* in: qkv, k_cache, v_cache; dim = {T, H, G, D, Tmax}. Items: tokens */
static void op_kv_append(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint64_t t = a->dim[0], h = a->dim[1], row = a->dim[2] * a->dim[3], tmax = a->dim[4];
	uint64_t ld = h * a->dim[3] + 2 * row;

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *k = (const float *)a->in[0] + r * ld + h * a->dim[3];
		uint64_t at = a->step->pos + r % t;

		if (at >= tmax)
			continue;
		memcpy((float *)a->out[0] + (r / t * tmax + at) * row, k, row * sizeof(float));
		memcpy((float *)a->out[1] + (r / t * tmax + at) * row, k + row, row * sizeof(float));
	}
}

#define CACHED_BLOCK 64	/* keys whose scores are held at once */

/* in: qkv, k_cache, v_cache; out [B, T, H D]; dim = {T, H, G, D, Tmax}. Items: (token, head) */
static void op_attention_cached(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	uint64_t t = a->dim[0], h = a->dim[1], g = a->dim[2], tmax = a->dim[4];
	size_t d = (size_t)a->dim[3];
	float scale = 1.0f / sqrtf((float)d);

	for (uint64_t item = chunk * a->per; item < tram_cpu_chunk_end(a, chunk); item++) {
		uint64_t r = item / h, head = item % h, kv = head / (h / g);
		const float *q = (const float *)a->in[0] + r * (h + 2 * g) * d + head * d;
		const float *k = (const float *)a->in[1] + (r / t * tmax * g + kv) * d;
		const float *v = (const float *)a->in[2] + (r / t * tmax * g + kv) * d;
		uint64_t seen = TRAM_MIN((uint64_t)a->step->pos + r % t + 1, tmax);
		float max = -INFINITY, sum = 0.0f, alpha, p[CACHED_BLOCK], *out;
		vf acc[128 / VL];

		for (size_t i = 0; i < TRAM_ARRAY_SIZE(acc); i++)
			acc[i] = vset(0.0f);
		for (uint64_t k0 = 0; k0 < seen; k0 += CACHED_BLOCK) {
			size_t keys = (size_t)TRAM_MIN(seen - k0, (uint64_t)CACHED_BLOCK);

			for (size_t j = 0; j < keys; j++) {
				const float *kj = k + (k0 + j) * g * d;
				vf s = vset(0.0f);

				ROW(i, n, d)
					s = vfma(row_load(q + i, n), row_load(kj + i, n), s);
				p[j] = vsum(s);
			}
			attention_softmax(p, CACHED_BLOCK, 1, keys, keys, scale, &max, &sum, &alpha);
			for (size_t i = 0; i < TRAM_ARRAY_SIZE(acc); i++)
				acc[i] *= alpha;
			for (size_t j = 0; j < keys; j++) {
				const float *vj = v + (k0 + j) * g * d;

				ROW(i, n, d)
					acc[i / VL] = vfma(vset(p[j]), row_load(vj + i, n), acc[i / VL]);
			}
		}
		out = (float *)a->out[0] + r * h * d + head * d;
		ROW(i, n, d)
			row_store(out + i, acc[i / VL] * (1.0f / sum), n);
	}
}
