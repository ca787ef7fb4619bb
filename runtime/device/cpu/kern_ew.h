/* SPDX-License-Identifier: MIT */
/*
 * Elementwise programs: block by block of EW_BLOCK elements, an instruction
 * runs over the whole block before the next, with registers that fit the L1
 * cache. A block's last instruction writes the result in place. No instruction is
 * contracted with another, so fused and unfused programs give the same bits.
 */
#define EW_BLOCK 512

/* The first element's index, for dropout. */
struct ew_where { uint64_t first; const struct tram_step *step; };

typedef void ew_fn(float *d, const float *a, const float *b, const struct tram_ew_insn *insn,
		   size_t n, const struct ew_where *at);

#define EW_FN(NAME, EXPR) \
	static void NAME(float *d, const float *a, const float *b, \
			 const struct tram_ew_insn *insn, size_t n, const struct ew_where *at) \
	{ \
		vf k = vset(insn->imm), x, y; \
		size_t i = 0; \
\
		(void)k, (void)at; \
		for (; i + VL <= n; i += VL) { \
			x = vload(a + i), y = vload(b + i); \
			(void)y; \
			vstore(d + i, EXPR); \
		} \
		if (i < n) { \
			x = vload_n(a + i, n - i), y = vload_n(b + i, n - i); \
			(void)y; \
			vstore_n(d + i, EXPR, n - i); \
		} \
	}

/* 2 u(x) of GELU's tanh form and its derivative's half: u = sqrt(2/pi) (x + 0.044715 x^3) */
#define GELU_C 0.797884561f

INLINE vf gelu_tanh(vf x)
{
	vf u2 = x * vfma(x * x, vset(2 * GELU_C * 0.044715f), vset(2 * GELU_C));

	/* 0.5 (1 + tanh u) = 1 / (1 + exp(-2u)): no cancellation */
	return x / (1.0f + vexp(-u2));
}

INLINE vf gelu_tanh_bwd(vf dy, vf x)
{
	vf xx = x * x;
	vf u2 = x * vfma(xx, vset(2 * GELU_C * 0.044715f), vset(2 * GELU_C));
	vf du2 = vfma(xx, vset(6 * GELU_C * 0.044715f), vset(2 * GELU_C));
	vf e = vexp(-vabs(u2)), s = 1.0f / (1.0f + e);
	/* sigmoid(2u) and sigmoid' = s (1 - s), both from exp(-|2u|) <= 1 */
	vf sig = vsel(u2 < vset(0.0f), e * s, s), slope = e * s * s;

	return dy * vfma(x * slope, du2, sig);
}

INLINE vf gelu_erf(vf x)
{
	return 0.5f * x * verf1(x * 0.707106781f);
}

INLINE vf gelu_erf_bwd(vf dy, vf x)
{
	vf pdf = 0.398942280f * vexp(-0.5f * x * x);

	return dy * vfma(x, pdf, 0.5f * verf1(x * 0.707106781f));
}

/* Both from exp(-|x|) <= 1: nothing overflows, nothing cancels. */
INLINE vf silu_bwd(vf dy, vf x)
{
	vf e = vexp(-vabs(x)), s = 1.0f / (1.0f + e);
	vf sig = vsel(x < vset(0.0f), e * s, s);

	return dy * vfma(x, e * s * s, sig);
}

EW_FN(ew_nop, x)
EW_FN(ew_add, x + y)
EW_FN(ew_sub, x - y)
EW_FN(ew_mul, x * y)
EW_FN(ew_div, x / y)
EW_FN(ew_max, vsel(x != x, x, vmax(x, y)))
EW_FN(ew_scale, x * k)
EW_FN(ew_addi, x + k)
EW_FN(ew_neg, -x)
EW_FN(ew_exp, vexp(x))
EW_FN(ew_log, vlog(x))
EW_FN(ew_sqrt, vsqrt(x))
EW_FN(ew_tanh, vtanh(x))
EW_FN(ew_relu, vsel((x > vset(0.0f)) | (x != x), x, vset(0.0f)))
EW_FN(ew_relu_bwd, vsel(y > vset(0.0f), x, vset(0.0f)))
EW_FN(ew_gelu_tanh, gelu_tanh(x))
EW_FN(ew_gelu_tanh_bwd, gelu_tanh_bwd(x, y))
EW_FN(ew_gelu_erf, gelu_erf(x))
EW_FN(ew_gelu_erf_bwd, gelu_erf_bwd(x, y))
EW_FN(ew_tanh_bwd, x * (1.0f - y * y))
EW_FN(ew_silu, x / (1.0f + vexp(-x)))
EW_FN(ew_silu_bwd, silu_bwd(x, y))
EW_FN(ew_i2f, __builtin_convertvector((vi)x, vf))

/* Words of VL blocks of four elements: w[j] holds word j of each block. */
INLINE void philox_words(uint64_t block, uint32_t step, uint32_t salt, const uint32_t seed[2],
			 uint32_t w[4][VL])
{
	uint32_t c0[VL], c1[VL], c2[VL], c3[VL], k0 = seed[0], k1 = seed[1];

	for (int i = 0; i < VL; i++) {
		c0[i] = (uint32_t)(block + (uint64_t)i);
		c1[i] = (uint32_t)((block + (uint64_t)i) >> 32);
		c2[i] = step;
		c3[i] = salt;
	}
	for (int r = 0; r < 10; r++) {
		for (int i = 0; i < VL; i++) {
			uint64_t p0 = (uint64_t)0xD2511F53u * c0[i];
			uint64_t p1 = (uint64_t)0xCD9E8D57u * c2[i];

			c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
			c1[i] = (uint32_t)p1;
			c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
			c3[i] = (uint32_t)p0;
		}
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	memcpy(w[0], c0, sizeof(c0));
	memcpy(w[1], c1, sizeof(c1));
	memcpy(w[2], c2, sizeof(c2));
	memcpy(w[3], c3, sizeof(c3));
}

static void ew_dropout(float *d, const float *a, const float *b, const struct tram_ew_insn *insn,
		       size_t n, const struct ew_where *at)
{
	float p = insn->imm, keep = 1.0f / (1.0f - p);
	uint64_t first = at->first + (uint64_t)at->step->shard0 * insn->shard;
	uint32_t w[4][VL];

	for (size_t i = 0, m; i < n; i += m) {
		size_t lead = (first + i) & 3;	/* only a shard of odd size has one */
		float mask[4 * VL];

		m = TRAM_MIN(n - i, 4 * VL - lead);
		philox_words((first + i) >> 2, at->step->step, insn->salt, at->step->seed, w);
		for (int j = 0; j < VL; j++)
			for (int q = 0; q < 4; q++)
				mask[4 * j + q] = tram_u32_to_unit(w[q][j]) < p ? 0.0f : keep;
		/* A dropped element is 0 even where it was infinite. */
		for (size_t j = 0; j < m; j++)
			d[i + j] = mask[lead + j] != 0.0f ? a[i + j] * mask[lead + j] : 0.0f;
	}
}

static ew_fn *const ew_fns[TRAM_EW_CODE_COUNT] = {
	[TRAM_EW_NOP] = ew_nop, [TRAM_EW_ADD] = ew_add, [TRAM_EW_SUB] = ew_sub,
	[TRAM_EW_MUL] = ew_mul, [TRAM_EW_DIV] = ew_div, [TRAM_EW_MAX] = ew_max,
	[TRAM_EW_SCALE] = ew_scale, [TRAM_EW_ADDI] = ew_addi, [TRAM_EW_NEG] = ew_neg,
	[TRAM_EW_EXP] = ew_exp, [TRAM_EW_LOG] = ew_log, [TRAM_EW_SQRT] = ew_sqrt,
	[TRAM_EW_TANH] = ew_tanh, [TRAM_EW_RELU] = ew_relu, [TRAM_EW_RELU_BWD] = ew_relu_bwd,
	[TRAM_EW_GELU_TANH] = ew_gelu_tanh, [TRAM_EW_GELU_TANH_BWD] = ew_gelu_tanh_bwd,
	[TRAM_EW_GELU_ERF] = ew_gelu_erf, [TRAM_EW_GELU_ERF_BWD] = ew_gelu_erf_bwd,
	[TRAM_EW_TANH_BWD] = ew_tanh_bwd, [TRAM_EW_DROPOUT] = ew_dropout, [TRAM_EW_I2F] = ew_i2f,
	[TRAM_EW_SILU] = ew_silu, [TRAM_EW_SILU_BWD] = ew_silu_bwd,
};

/* Elements [first, first + n) of a broadcast input into @d, run by run of the innermost dimension. */
static void ew_gather(float *d, const float *src, const struct tram_cpu_ew *ew, uint32_t input,
		      uint64_t first, size_t n)
{
	const uint64_t *stride = ew->stride[input];
	uint64_t at[TRAM_MAX_RANK], rest = first, base = 0;
	uint32_t last = ew->rank - 1;

	for (uint32_t k = ew->rank; k-- > 0;) {
		at[k] = rest % ew->dim[k];
		rest /= ew->dim[k];
		base += at[k] * stride[k];
	}
	while (n) {
		size_t run = (size_t)TRAM_MIN((uint64_t)n, ew->dim[last] - at[last]);

		if (stride[last])
			memcpy(d, src + base, run * sizeof(*d));
		else
			for (size_t i = 0; i < run; i++)
				memcpy(d + i, src + base, sizeof(*d));	/* may be i32 */
		d += run;
		n -= run;
		base -= at[last] * stride[last];
		at[last] = 0;
		for (uint32_t k = last; k-- > 0;) {
			base += stride[k];
			if (++at[k] < ew->dim[k])
				break;
			base -= ew->dim[k] * stride[k];
			at[k] = 0;
		}
	}
}

static void op_ew(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const struct tram_ew_program *p = &a->attr->ew;
	const struct tram_cpu_ew *ew = a->plan;
	uint64_t end = tram_cpu_chunk_end(a, chunk);
	float reg[TRAM_EW_MAX_IN + TRAM_EW_MAX_CODE][EW_BLOCK] __attribute__((aligned(64)));
	const float *r[TRAM_EW_MAX_IN + TRAM_EW_MAX_CODE] = { NULL };
	float *out = a->out[0];

	for (uint32_t k = 0; k < p->n_in; k++)
		if (ew->kind[k] == TRAM_CPU_EW_SCALAR) {
			for (size_t i = 0; i < EW_BLOCK; i++)
				memcpy(&reg[k][i], a->in[k], sizeof(float));
			r[k] = reg[k];
		}
	for (uint64_t i = chunk * a->per; i < end; i += EW_BLOCK) {
		struct ew_where at = { i, a->step };
		size_t n = (size_t)TRAM_MIN(end - i, (uint64_t)EW_BLOCK);

		for (uint32_t k = 0; k < p->n_in; k++) {
			if (ew->kind[k] == TRAM_CPU_EW_DIRECT) {
				r[k] = (const float *)a->in[k] + i;
			} else if (ew->kind[k] == TRAM_CPU_EW_STRIDED) {
				ew_gather(reg[k], a->in[k], ew, k, i, n);
				r[k] = reg[k];
			}
		}
		for (uint32_t k = 0; k < p->n_code; k++) {
			const struct tram_ew_insn *insn = &p->code[k];
			float *d = k + 1 == p->n_code ? out + i : reg[TRAM_EW_MAX_IN + k];

			/* Unary instructions leave b at any register. */
			ew_fns[insn->code](d, r[insn->a], r[insn->b] ? r[insn->b] : r[insn->a], insn, n,
					   &at);
			r[TRAM_EW_MAX_IN + k] = d;
		}
		if (!p->n_code)
			memmove(out + i, r[0], n * sizeof(float));
	}
}
