/* SPDX-License-Identifier: MIT */
/* Rotary position embedding; angles are whole numbers (ops/rope.h). */

/* cos and sin of @phase / 2^32 turns: a quarter turn is chosen, the rest is within pi / 4. */
INLINE void vcos_sin(vu phase, vf *cosine, vf *sine)
{
	vu q = (phase + 0x20000000u) >> 30;
	vf x = __builtin_convertvector((vi)(phase - (q << 30)), vf) * 1.46291807e-9f, z = x * x;
	vi odd = (vi)(q & 1u) == 1;
	vf c, s;

	s = vfma(vset(-1.95172979e-4f), z, vset(8.33217814e-3f));
	s = vfma(s, z, vset(-0.166666549f));
	s = vfma(s * z, x, x);
	c = vfma(vset(2.4438451e-5f), z, vset(-1.38873675e-3f));
	c = vfma(c, z, vset(4.16666469e-2f));
	c = vfma(c * z, z, vfma(z, vset(-0.5f), vset(1.0f)));
	*cosine = (vf)((vu)vsel(odd, s, c) ^ ((q + 1u) & 2u) << 30);
	*sine = (vf)((vu)vsel(odd, c, s) ^ (q & 2u) << 30);
}

/* in: x, out: y [B, T, heads D]; dim = {T, heads, rotated, D}; plan: frequencies. Items: tokens */
static void op_rope(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const uint64_t *frequency = a->plan;
	size_t d = (size_t)a->dim[3], half = d / 2, row = (size_t)a->dim[1] * d;
	uint32_t first = a->attr->rope.at_pos ? a->step->pos : 0, phase[TRAM_ROPE_MAX_PAIRS] = { 0 };
	float cosine[TRAM_ROPE_MAX_PAIRS], sine[TRAM_ROPE_MAX_PAIRS];

	for (uint64_t r = chunk * a->per; r < tram_cpu_chunk_end(a, chunk); r++) {
		const float *x = (const float *)a->in[0] + r * row;
		float *y = (float *)a->out[0] + r * row;
		uint32_t pos = first + (uint32_t)(r % a->dim[0]);

		for (size_t i = 0; i < half; i++)
			phase[i] = tram_rope_phase(pos, frequency[i]);
		for (size_t i = 0; i < half; i += VL) {
			vf c, s;
			vu p;

			memcpy(&p, phase + i, sizeof(p));
			vcos_sin(p, &c, &s);
			vstore(cosine + i, c);
			vstore(sine + i, a->attr->rope.inverse ? -s : s);
		}
		for (uint64_t h = 0; h < a->dim[2]; h++, x += d, y += d)
			ROW(i, n, half) {
				vf c = row_load(cosine + i, n), s = row_load(sine + i, n);
				vf u = row_load(x + i, n), v = row_load(x + half + i, n);

				row_store(y + i, u * c - v * s, n);
				row_store(y + half + i, v * c + u * s, n);
			}
		if (x != y)
			memcpy(y, x, (size_t)(a->dim[1] - a->dim[2]) * d * sizeof(*y));
	}
}
