/* SPDX-License-Identifier: MIT */
/*
 * Types of GGUF: names and sizes of metadata values and of ggml's tensor
 * types, and the values of those that are read as numbers. gguf.c reads files.
 */
#include "format/gguf.h"
#include "format/safetensors.h"

/* ggml's block_q8_0: an f16 scale, then 32 signed bytes. */
#define Q8_BLOCK	32
#define Q8_BYTES	34

struct value_type { const char *name; unsigned int bytes; };
static const struct value_type value_types[TRAM_GGUF_TYPES];

struct tensor_type { uint32_t id; const char *name; uint32_t block, bytes; };
static const struct tensor_type *tensor_type(uint32_t id);
static const struct tensor_type *tensor_type_at(size_t i);

const char *tram_gguf_type_name(enum tram_gguf_type t)
{
	return (unsigned int)t < TRAM_GGUF_TYPES ? value_types[t].name : "?";
}

unsigned int tram_gguf_type_bytes(enum tram_gguf_type t)
{
	return value_types[t].bytes;
}

uint32_t tram_gguf_block(uint32_t type)
{
	const struct tensor_type *t = tensor_type(type);

	return t ? t->block : 0;
}

const char *tram_gguf_tensor_type_name(uint32_t type)
{
	const struct tensor_type *t = tensor_type(type);

	return t ? t->name : "?";
}

uint32_t tram_gguf_tensor_type(const char *name)
{
	const struct tensor_type *t;

	for (size_t i = 0; (t = tensor_type_at(i)); i++)
		if (!strcmp(t->name, name))
			return t->id;
	return UINT32_MAX;
}

uint64_t tram_gguf_bytes(uint32_t type, uint64_t row, uint64_t n)
{
	const struct tensor_type *t = tensor_type(type);
	uint64_t bytes;

	if (!t || row % t->block || tram_mul_overflow(n / t->block, t->bytes, &bytes) ||
	    bytes > INT64_MAX)
		return 0;
	return bytes;
}

bool tram_gguf_is(const char *path)
{
	size_t n = strlen(path);

	return n > 5 && !strcmp(path + n - 5, ".gguf");
}

/* --- values ---------------------------------------------------------------------------- */

const char *tram_gguf_next_str(const struct tram_gguf_array *a, uint64_t *at, uint64_t *n)
{
	const unsigned char *p = a->data + *at;

	memcpy(n, p, sizeof(*n));
	*at += sizeof(*n) + *n;
	return (const char *)p + sizeof(*n);
}

int32_t tram_gguf_i32_at(const struct tram_gguf_array *a, uint64_t i)
{
	int32_t v;

	memcpy(&v, a->data + i * sizeof(v), sizeof(v));
	return v;
}

static int read_q8(struct tram_ctx *ctx, const struct tram_gguf *g,
		   const struct tram_gguf_tensor *t, uint64_t first, float *out, size_t n)
{
	unsigned char buf[64 * Q8_BYTES];
	size_t done = 0;

	while (done < n) {
		uint64_t block = (first + done) / Q8_BLOCK;
		size_t left = n - done, in = (size_t)((first + done) % Q8_BLOCK), blocks, i;
		int r;

		blocks = TRAM_MIN((in + left + Q8_BLOCK - 1) / Q8_BLOCK, (size_t)64);
		r = tram_gguf_read(ctx, g, t, block * Q8_BYTES, buf, blocks * Q8_BYTES);
		if (r)
			return r;
		for (i = in; i < blocks * Q8_BLOCK && done < n; i++) {
			const unsigned char *b = buf + i / Q8_BLOCK * Q8_BYTES;
			uint16_t scale;

			memcpy(&scale, b, sizeof(scale));
			out[done++] = tram_f16_to_f32(scale) * (float)(int8_t)b[2 + i % Q8_BLOCK];
		}
	}
	return 0;
}

static int read_half(struct tram_ctx *ctx, const struct tram_gguf *g,
		     const struct tram_gguf_tensor *t, uint64_t first, float *out, size_t n)
{
	uint16_t buf[2048];
	size_t done, k, i;
	int r;

	for (done = 0; done < n; done += k) {
		k = TRAM_MIN(n - done, TRAM_ARRAY_SIZE(buf));
		r = tram_gguf_read(ctx, g, t, (first + done) * 2, buf, 2 * k);
		if (r)
			return r;
		for (i = 0; i < k; i++)
			out[done + i] = t->type == TRAM_GGUF_T_F16 ? tram_f16_to_f32(buf[i]) :
								     tram_bf16_to_f32(buf[i]);
	}
	return 0;
}

int tram_gguf_read_f32(struct tram_ctx *ctx, const struct tram_gguf *g,
		       const struct tram_gguf_tensor *t, uint64_t first, float *out, size_t n)
{
	if (first > t->n || n > t->n - first)
		return tram_fail(ctx, -EINVAL, "%s: tensor %s: elements %llu + %zu asked for, it has %llu",
				 tram_gguf_name(g), t->name, (unsigned long long)first, n,
				 (unsigned long long)t->n);
	switch (t->type) {
	case TRAM_GGUF_T_F32:
		return tram_gguf_read(ctx, g, t, first * 4, out, n * 4);
	case TRAM_GGUF_T_F16:
	case TRAM_GGUF_T_BF16:
		return read_half(ctx, g, t, first, out, n);
	case TRAM_GGUF_T_Q8_0:
		return read_q8(ctx, g, t, first, out, n);
	default:
		return tram_fail(ctx, -ENOTSUP, "%s: tensor %s: type %s, F32, F16, BF16 and Q8_0 are read; make one of these with llama-quantize --allow-requantize",
				 tram_gguf_name(g), t->name, tram_gguf_tensor_type_name(t->type));
	}
}

/* --- tables --------------------------------------------------------------------------------------- */

static const struct value_type value_types[TRAM_GGUF_TYPES] = {
	[TRAM_GGUF_U8] = { "u8", 1 }, [TRAM_GGUF_I8] = { "i8", 1 },
	[TRAM_GGUF_U16] = { "u16", 2 }, [TRAM_GGUF_I16] = { "i16", 2 },
	[TRAM_GGUF_U32] = { "u32", 4 }, [TRAM_GGUF_I32] = { "i32", 4 },
	[TRAM_GGUF_F32] = { "f32", 4 }, [TRAM_GGUF_BOOL] = { "bool", 1 },
	[TRAM_GGUF_STR] = { "str", 8 }, [TRAM_GGUF_ARR] = { "arr", 12 },
	[TRAM_GGUF_U64] = { "u64", 8 }, [TRAM_GGUF_I64] = { "i64", 8 },
	[TRAM_GGUF_F64] = { "f64", 8 },
};

/* ggml.h and ggml-common.h of ggml 0.27: elements a block, bytes a block. */
static const struct tensor_type tensor_types[] = {
	{ TRAM_GGUF_T_F32, "F32", 1, 4 },
	{ TRAM_GGUF_T_F16, "F16", 1, 2 },
	{ 2, "Q4_0", 32, 18 },
	{ 3, "Q4_1", 32, 20 },
	{ 6, "Q5_0", 32, 22 },
	{ 7, "Q5_1", 32, 24 },
	{ TRAM_GGUF_T_Q8_0, "Q8_0", Q8_BLOCK, Q8_BYTES },
	{ 9, "Q8_1", 32, 36 },
	{ 10, "Q2_K", 256, 84 },
	{ 11, "Q3_K", 256, 110 },
	{ 12, "Q4_K", 256, 144 },
	{ 13, "Q5_K", 256, 176 },
	{ 14, "Q6_K", 256, 210 },
	{ 15, "Q8_K", 256, 292 },
	{ 16, "IQ2_XXS", 256, 66 },
	{ 17, "IQ2_XS", 256, 74 },
	{ 18, "IQ3_XXS", 256, 98 },
	{ 19, "IQ1_S", 256, 50 },
	{ 20, "IQ4_NL", 32, 18 },
	{ 21, "IQ3_S", 256, 110 },
	{ 22, "IQ2_S", 256, 82 },
	{ 23, "IQ4_XS", 256, 136 },
	{ 24, "I8", 1, 1 },
	{ 25, "I16", 1, 2 },
	{ 26, "I32", 1, 4 },
	{ 27, "I64", 1, 8 },
	{ 28, "F64", 1, 8 },
	{ 29, "IQ1_M", 256, 56 },
	{ TRAM_GGUF_T_BF16, "BF16", 1, 2 },
	{ 34, "TQ1_0", 256, 54 },
	{ 35, "TQ2_0", 256, 66 },
	{ 39, "MXFP4", 32, 17 },
	{ 40, "NVFP4", 64, 36 },
	{ 41, "Q1_0", 128, 18 },
	{ 42, "Q2_0", 64, 18 },
};

static const struct tensor_type *tensor_type_at(size_t i)
{
	return i < TRAM_ARRAY_SIZE(tensor_types) ? &tensor_types[i] : NULL;
}

static const struct tensor_type *tensor_type(uint32_t id)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(tensor_types); i++)
		if (tensor_types[i].id == id)
			return &tensor_types[i];
	return NULL;
}
