/* SPDX-License-Identifier: MIT */
/*
 * Vectors of VL floats and the functions on them, for the instruction set that
 * isa_*.c set up. Elementary functions: range reduction as in Cody & Waite,
 * "Software Manual for the Elementary Functions" (1980); the polynomials are minimax fits made
 * for this file (weighted to relative error), largest errors in cpu_test.c.
 */
#ifndef VL
#error "included by isa_*.c only"
#endif

#include <math.h>
#if defined(ISA_V4) || defined(ISA_V3)
#include <immintrin.h>
#endif

typedef float vf __attribute__((vector_size(VL * 4)));
typedef int32_t vi __attribute__((vector_size(VL * 4)));
typedef uint32_t vu __attribute__((vector_size(VL * 4)));
/* In memory: at any multiple of 4 bytes. */
typedef float vf_mem __attribute__((vector_size(VL * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline, unused))

INLINE vf vload(const float *p)
{
	return *(const vf_mem *)p;
}

INLINE void vstore(float *p, vf v)
{
	*(vf_mem *)p = v;
}

INLINE vf vset(float x)
{
	vf zero = { 0 };

	return x - zero;	/* x + 0 would lose the sign of -0 and not fold */
}

INLINE vi viset(int32_t x)
{
	vi zero = { 0 };

	return zero + x;
}

/* 0, 1, 2, ... */
INLINE vi vlanes(void)
{
#if VL == 16
	return (vi){ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
#elif VL == 8
	return (vi){ 0, 1, 2, 3, 4, 5, 6, 7 };
#else
	return (vi){ 0, 1, 2, 3 };
#endif
}

/* The first @n < VL lanes; the others are 0 and memory behind them isn't touched. */
INLINE vf vload_n(const float *p, size_t n)
{
#ifdef ISA_V4
	return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(ISA_V3)
	return (vf)_mm256_maskload_ps(p, (__m256i)(vlanes() < viset((int32_t)n)));
#else
	vf v = { 0 };

	for (size_t i = 0; i < n; i++)
		v[i] = p[i];
	return v;
#endif
}

INLINE void vstore_n(float *p, vf v, size_t n)
{
#ifdef ISA_V4
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif defined(ISA_V3)
	_mm256_maskstore_ps(p, (__m256i)(vlanes() < viset((int32_t)n)), (__m256)v);
#else
	for (size_t i = 0; i < n; i++)
		p[i] = v[i];
#endif
}

/* m: all ones or all zeros in each lane */
INLINE vf vsel(vi m, vf a, vf b)
{
#ifdef ISA_V4
	return (vf)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)m), (__m512)b, (__m512)a);
#elif defined(ISA_V3)
	return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
#else
	return (vf)((m & (vi)a) | (~m & (vi)b));
#endif
}

/* a > b ? a : b: b when either is NaN */
INLINE vf vmax(vf a, vf b)
{
#ifdef ISA_V4
	return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(ISA_V3)
	return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
	return vsel(a > b, a, b);
#endif
}

/* a < b ? a : b: b when either is NaN */
INLINE vf vmin(vf a, vf b)
{
#ifdef ISA_V4
	return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(ISA_V3)
	return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
	return vsel(a < b, a, b);
#endif
}

/* a * b + c, rounded once where the processor can */
INLINE vf vfma(vf a, vf b, vf c)
{
#ifdef ISA_V4
	return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(ISA_V3)
	return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
	return a * b + c;
#endif
}

INLINE vf vsqrt(vf a)
{
#ifdef ISA_V4
	return (vf)_mm512_sqrt_ps((__m512)a);
#elif defined(ISA_V3)
	return (vf)_mm256_sqrt_ps((__m256)a);
#else
	for (int i = 0; i < VL; i++)
		a[i] = sqrtf(a[i]);
	return a;
#endif
}

INLINE vf vabs(vf a)
{
	return (vf)((vi)a & 0x7fffffff);
}

/* Halves added pairwise: one order for every caller. */
INLINE float vsum(vf v)
{
	float t[VL];

	vstore(t, v);
	for (int h = VL / 2; h; h /= 2)
		for (int i = 0; i < h; i++)
			t[i] += t[i + h];
	return t[0];
}

INLINE float vhmax(vf v)
{
	float t[VL];

	vstore(t, v);
	for (int h = VL / 2; h; h /= 2)
		for (int i = 0; i < h; i++)
			t[i] = t[i] > t[i + h] ? t[i] : t[i + h];
	return t[0];
}

/* x * 2^n for whole n in [-300, 300] */
INLINE vf vldexp(vf x, vi n)
{
#ifdef ISA_V4
	return (vf)_mm512_scalef_ps((__m512)x, _mm512_cvtepi32_ps((__m512i)n));
#else
	vi half = n >> 1;

	return x * (vf)((half + 127) << 23) * (vf)((n - half + 127) << 23);
#endif
}

/* The nearest whole number for |x| < 2^22, as float and as integer. */
INLINE vf vround(vf x, vi *n)
{
	vf magic = vset(0x1.8p23f), t = x + magic;

	*n = (vi)t - (vi)magic;
	return t - magic;
}

INLINE vf vexp(vf x)
{
	vi n;
	vf k, r, p;

	/* This order of operands keeps a NaN. */
	x = vmax(vset(-110.0f), vmin(vset(100.0f), x));
	k = vround(x * 1.44269504f, &n);
	r = vfma(k, vset(-0x1.62e4p-1f), x);
	r = vfma(k, vset(-0x1.7f7d1cp-20f), r);
	p = vset(1.381456270e-03f);
	p = vfma(p, r, vset(8.368731476e-03f));
	p = vfma(p, r, vset(4.166838899e-02f));
	p = vfma(p, r, vset(1.666652113e-01f));
	p = vfma(p, r, vset(4.999999404e-01f));
	p = vfma(p * r, r, r) + 1.0f;
	return vldexp(p, n);
}

INLINE vf vlog(vf x)
{
	vi tiny = x < vset(0x1p-126f), n;
	vf y = vsel(tiny, x * 0x1p23f, x), e, f, p, r;

	/* y = 2^n (1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1] */
	n = ((vi)y - 0x3f3504f3) >> 23;
	f = (vf)((vi)y - (n << 23)) - 1.0f;
	n -= tiny & 23;
	e = __builtin_convertvector(n, vf);
	p = vset(6.747580320e-02f);
	p = vfma(p, f, vset(-1.167747974e-01f));
	p = vfma(p, f, vset(1.188874617e-01f));
	p = vfma(p, f, vset(-1.240534931e-01f));
	p = vfma(p, f, vset(1.421944648e-01f));
	p = vfma(p, f, vset(-1.666800380e-01f));
	p = vfma(p, f, vset(2.000212371e-01f));
	p = vfma(p, f, vset(-2.500000894e-01f));
	p = vfma(p, f, vset(3.333331347e-01f));
	r = p * f * (f * f);
	r = vfma(e, vset(-2.12194440e-4f), r);
	r = vfma(f * f, vset(-0.5f), r);
	r = r + f;
	r = vfma(e, vset(0.693359375f), r);
	r = vsel(x == vset(0.0f), vset(-INFINITY), r);
	r = vsel(x < vset(0.0f), vset(NAN), r);
	/* +inf and NaN */
	return vsel((vi)x >= 0x7f800000, x, vsel(x != x, x, r));
}

INLINE vf vtanh(vf x)
{
	vf a = vabs(x), z = x * x, p, big;

	p = vset(-5.660754163e-03f);
	p = vfma(p, z, vset(2.060197294e-02f));
	p = vfma(p, z, vset(-5.372921750e-02f));
	p = vfma(p, z, vset(1.333132833e-01f));
	p = vfma(p, z, vset(-3.333327770e-01f));
	p = vfma(p * z, x, x);
	big = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
	big = (vf)((vi)big | ((vi)x & viset(INT32_MIN)));
	return vsel(a < vset(0.625f), p, big);
}

/* erfc(a) for a >= 1: exp of a fit of log erfc */
INLINE vf verfc_tail(vf a)
{
	vf t = vmin(vset(10.0f), a), q;

	q = vset(2.290371892e-09f);
	q = vfma(q, t, vset(-1.396383880e-07f));
	q = vfma(q, t, vset(3.791212748e-06f));
	q = vfma(q, t, vset(-6.073750410e-05f));
	q = vfma(q, t, vset(6.427788176e-04f));
	q = vfma(q, t, vset(-4.782747012e-03f));
	q = vfma(q, t, vset(2.613625675e-02f));
	q = vfma(q, t, vset(-1.091518700e-01f));
	q = vfma(q, t, vset(-6.331287622e-01f));
	q = vfma(q, t, vset(-1.129344583e+00f));
	q = vfma(q, t, vset(8.044987771e-05f));
	return vexp(q);
}

/* erf(x) for |x| <= 1 */
INLINE vf verf_small(vf x)
{
	vf z = x * x, p;

	p = vset(7.889109111e-05f);
	p = vfma(p, z, vset(-8.020838141e-04f));
	p = vfma(p, z, vset(5.189535208e-03f));
	p = vfma(p, z, vset(-2.685444430e-02f));
	p = vfma(p, z, vset(1.128360033e-01f));
	p = vfma(p, z, vset(-3.761262596e-01f));
	p = vfma(p, z, vset(1.128379107e+00f));
	return p * x;
}

/* 1 + erf(x), without cancellation for negative x */
INLINE vf verf1(vf x)
{
	vf a = vabs(x), tail = verfc_tail(a);

	return vsel(a < vset(1.0f), 1.0f + verf_small(x), vsel(x < vset(0.0f), tail, 2.0f - tail));
}
