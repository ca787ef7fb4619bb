/* SPDX-License-Identifier: MIT */
/*
 * exp, log, tanh, erf, cos, sin, SiLU and GELU in f32, the same on every driver: GLSL's own
 * may be off by dozens of ulp (exp), overflow (tanh) or not exist (erf).
 *
 * Range reductions are the classical ones (Cody & Waite, "Software Manual for
 * the Elementary Functions", 1980); the polynomials are minimax fits made for
 * this file (Lawson's reweighted least squares, in double). Largest errors against
 * double in rows_test.c, on lavapipe: exp 0.97 ulp, log 0.80, tanh 1.27.
 *
 * `precise` everywhere: the bits must not depend on what a call is fused with. No fma(): it carries
 * no such mark in SPIR-V, and Mesa then folds x - n * hi - n * lo into x - n * (hi + lo).
 */

float tram_exp(float x)
{
	precise float n = roundEven(x * 1.44269504);
	precise float r = x - n * 0.693145752;	/* the product is exact */
	precise float p = 1.39517174e-3;
	int k = int(clamp(n, -252.0, 252.0));
	int h = k >> 1;

	r = r - n * 1.42860677e-6;
	p = p * r + 8.36959854e-3;
	p = p * r + 4.16661873e-2;
	p = p * r + 0.166665122;
	p = p * r + 0.5;
	p = r * r * p + r + 1.0;
	/* 2^k in two factors: 2^128 is not a float, and results below 2^-126 are denormal */
	p = p * intBitsToFloat((h + 127) << 23) * intBitsToFloat((k - h + 127) << 23);
	p = x > 88.7228394 ? uintBitsToFloat(0x7f800000u) : p;
	return x < -104.0 ? 0.0 : p;
}

float tram_log(float x)
{
	bool tiny = x < 1.17549435e-38;
	precise float s = tiny ? x * 8388608.0 : x;
	int b = floatBitsToInt(s);
	int e = (b - 0x3f3504f3) >> 23;
	precise float f = intBitsToFloat(b - (e << 23)) - 1.0;
	precise float n = float(tiny ? e - 23 : e);
	precise float p = 6.91536814e-2;
	precise float y;

	p = p * f - 0.117898077;
	p = p * f + 0.118729763;
	p = p * f - 0.123843484;
	p = p * f + 0.142186582;
	p = p * f - 0.16669251;
	p = p * f + 0.200022265;
	p = p * f - 0.249999866;
	p = p * f + 0.333333105;
	y = f * f * (p * f - 0.5) + n * 1.42860677e-6 + f;
	y = n * 0.693145752 + y;
	y = floatBitsToUint(x) >= 0x7f800000u ? uintBitsToFloat(0x7fc00000u) : y;
	y = floatBitsToUint(x) == 0x7f800000u ? x : y;
	return (floatBitsToUint(x) << 1) == 0u ? uintBitsToFloat(0xff800000u) : y;
}

float tram_tanh(float x)
{
	precise float a = abs(x);
	precise float z = x * x;
	precise float p = -5.71703678e-3;
	precise float big = 1.0 - 2.0 / (tram_exp(2.0 * a) + 1.0);

	p = p * z + 2.06505787e-2;
	p = p * z - 5.37434965e-2;
	p = p * z + 0.133314908;
	p = p * z - 0.333332837;
	p = p * z * x + x;
	return a < 0.625 ? p : (x < 0.0 ? -big : big);
}

/* Below 1 an odd polynomial; above, 1 - exp(-q(|x|)) with q fitted to -log(erfc). */
float tram_erf(float x)
{
	precise float a = min(abs(x), 4.0);
	precise float z = x * x;
	precise float p = 7.8891193e-5;
	precise float q = 2.16868502e-5;
	precise float big;

	p = p * z - 8.02084105e-4;
	p = p * z + 5.18953521e-3;
	p = p * z - 2.68544443e-2;
	p = p * z + 0.112836003;
	p = p * z - 0.37612626;
	p = p * z + 0.128379166;
	p = p * x + x;

	q = q * a - 4.41336364e-4;
	q = q * a + 4.20456193e-3;
	q = q * a - 2.52082571e-2;
	q = q * a + 0.108418576;
	q = q * a + 0.633219898;
	q = q * a + 1.12957847;
	q = q * a - 1.88040227e-4;
	big = 1.0 - tram_exp(-q);
	big = x < 0.0 ? -big : big;
	/* the comparison is false for NaN, and p is NaN then */
	return abs(x) >= 1.0 ? big : p;
}

/* Of @phase / 2^32 turns: a quarter turn is chosen, the rest is within pi / 4. */
vec2 tram_cos_sin(uint phase)
{
	uint q = (phase + 0x20000000u) >> 30;
	precise float x = float(int(phase - (q << 30))) * 1.46291807e-9;
	precise float z = x * x;
	precise float s = -1.95172979e-4;
	precise float c = 2.4438451e-5;
	bool odd = (q & 1u) != 0u;

	s = s * z + 8.33217814e-3;
	s = s * z - 0.166666549;
	s = s * z * x + x;
	c = c * z - 1.38873675e-3;
	c = c * z + 4.16666469e-2;
	c = c * z * z - 0.5 * z + 1.0;
	vec2 r = odd ? vec2(s, c) : vec2(c, s);

	return vec2(((q + 1u) & 2u) != 0u ? -r.x : r.x, (q & 2u) != 0u ? -r.y : r.y);
}

/* 1 / (1 + exp(-x)); 0.5 (1 + tanh(u)) is sigmoid(2 u) without the cancellation below 0. */
float tram_sigmoid(float x)
{
	precise float d = 1.0 + tram_exp(-x);
	precise float s = 1.0 / d;

	return s;
}

float tram_silu_d(float x)
{
	precise float s = tram_sigmoid(x);
	precise float t = tram_sigmoid(-x);
	precise float y = x * s * t + s;

	return y;
}

float tram_gelu_tanh(float x)
{
	precise float z = x * x;
	precise float u = x * (z * 0.0713548163 + 1.59576912);	/* 2 sqrt(2/pi) (x + 0.044715 x^3) */
	precise float y = x * tram_sigmoid(u);

	return y;
}

float tram_gelu_tanh_d(float x)
{
	precise float z = x * x;
	precise float u = x * (z * 0.0713548163 + 1.59576912);
	precise float s = tram_sigmoid(u);
	precise float t = tram_sigmoid(-u);
	precise float y = x * (z * 0.214064449 + 1.59576912);

	y = y * s * t + s;
	return y;
}

float tram_gelu_erf(float x)
{
	precise float y = 0.5 * x * (1.0 + tram_erf(x * 0.707106781));

	return y;
}

float tram_gelu_erf_d(float x)
{
	precise float y = 0.5 * (1.0 + tram_erf(x * 0.707106781));
	precise float d = 0.39894228 * tram_exp(-0.5 * x * x);

	y = x * d + y;
	return y;
}
