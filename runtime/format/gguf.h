/* SPDX-License-Identifier: MIT */
/*
 * GGUF version 3, little-endian: magic, counts, metadata (typed keys), a table
 * of tensors, then their bytes at aligned offsets. The format's specification
 * is ggml's docs/gguf.md; what it leaves open is decided as its own reader
 * does, or more strictly. gguf_write.c writes, gguf_model.c says what the keys
 * and tensors of a model mean, gguf_tok.c the same of a tokenizer.
 *
 * GGUF counts dimensions from the innermost; here shapes are outermost first,
 * as everywhere else in this project.
 */
#ifndef TRAM_FORMAT_GGUF_H
#define TRAM_FORMAT_GGUF_H

#include "base/file.h"

#define TRAM_GGUF_MAX_HEADER	(256u << 20)	/* bytes in front of the tensors */
#define TRAM_GGUF_MAX_KEYS	65536u
#define TRAM_GGUF_MAX_TENSORS	131072u
#define TRAM_GGUF_MAX_KEY	65535u		/* bytes; the specification's */
#define TRAM_GGUF_MAX_NAME	64u		/* bytes of a tensor's name; the specification's */
#define TRAM_GGUF_MAX_DIMS	4
#define TRAM_GGUF_MAX_DEPTH	4		/* arrays in arrays */
#define TRAM_GGUF_MAX_ALIGN	65536u

/* Types of metadata values, by their number in the file. */
enum tram_gguf_type {
	TRAM_GGUF_U8, TRAM_GGUF_I8, TRAM_GGUF_U16, TRAM_GGUF_I16, TRAM_GGUF_U32, TRAM_GGUF_I32,
	TRAM_GGUF_F32, TRAM_GGUF_BOOL, TRAM_GGUF_STR, TRAM_GGUF_ARR, TRAM_GGUF_U64,
	TRAM_GGUF_I64, TRAM_GGUF_F64,
	TRAM_GGUF_TYPES
};

const char *tram_gguf_type_name(enum tram_gguf_type t);	/* "u32" */
/* Of a value; of a string or an array the bytes of its shortest form. */
unsigned int tram_gguf_type_bytes(enum tram_gguf_type t);

/* Types of tensors that are read as numbers; the others are known by size alone. */
enum { TRAM_GGUF_T_F32 = 0, TRAM_GGUF_T_F16 = 1, TRAM_GGUF_T_Q8_0 = 8, TRAM_GGUF_T_BF16 = 30 };

const char *tram_gguf_tensor_type_name(uint32_t type);	/* "Q8_0"; "?" for an unknown one */
/* Elements that its smallest unit holds, 0 for an unknown type. */
uint32_t tram_gguf_block(uint32_t type);
/* The type of that name, or UINT32_MAX. */
uint32_t tram_gguf_tensor_type(const char *name);

struct tram_gguf_tensor {
	const char *name;
	uint32_t type;				/* ggml's number of it */
	unsigned int ndim;			/* 1 .. 4 */
	uint64_t shape[TRAM_GGUF_MAX_DIMS];	/* outermost first, each at least 1 */
	uint64_t n;				/* elements: the product of the shape */
	uint64_t offset;			/* of the first byte, in the file */
	uint64_t bytes;
};

struct tram_gguf_array {
	enum tram_gguf_type type;	/* of the elements */
	uint64_t n;
	const unsigned char *data;	/* as they stand in the file, checked */
};

/* One key. Integers of any width are widened. */
struct tram_gguf_value {
	const char *key;
	enum tram_gguf_type type;
	union {
		uint64_t u;			/* U8 .. U64, BOOL */
		int64_t i;			/* I8 .. I64 */
		double f;			/* F32, F64 */
		struct { const char *s; uint64_t n; } str;	/* NUL behind it */
		struct tram_gguf_array arr;
	};
};

struct tram_gguf;

/*
 * -EINVAL for a broken file, -ENOTSUP for another version or byte order,
 * -ENOMEM, or what opening gives. An open file is checked whole but for the
 * values of tensors. @src is borrowed.
 */
int tram_gguf_open(struct tram_ctx *ctx, const char *path, struct tram_gguf **g);
int tram_gguf_open_source(struct tram_ctx *ctx, const struct tram_source *src,
			  struct tram_gguf **g);
void tram_gguf_close(struct tram_ctx *ctx, struct tram_gguf **g);

/* Whether @path is to be read as GGUF: its name says so (ends in ".gguf"). */
bool tram_gguf_is(const char *path);

const char *tram_gguf_name(const struct tram_gguf *g);	/* of the source, for messages */
uint32_t tram_gguf_alignment(const struct tram_gguf *g);

/* Tensors in the order of the table. The pointers live as long as @g. */
size_t tram_gguf_count(const struct tram_gguf *g);
const struct tram_gguf_tensor *tram_gguf_at(const struct tram_gguf *g, size_t i);
const struct tram_gguf_tensor *tram_gguf_find(const struct tram_gguf *g, const char *name);

size_t tram_gguf_key_count(const struct tram_gguf *g);
const struct tram_gguf_value *tram_gguf_key_at(const struct tram_gguf *g, size_t i);
const struct tram_gguf_value *tram_gguf_key(const struct tram_gguf *g, const char *key);

/*
 * A key's value with its type and bounds checked, in the manner of json.h: 0;
 * 1 when there is none and it is not needed (@out untouched); -EINVAL. Any
 * integer type serves, as it does in ggml's own programs.
 */
int tram_gguf_get_u32(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		      uint32_t min, uint32_t max, uint32_t *out);
int tram_gguf_get_f32(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		      float *out);
int tram_gguf_get_bool(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		       bool *out);
int tram_gguf_get_str(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		      const char **out);
int tram_gguf_get_arr(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, bool need,
		      enum tram_gguf_type type, struct tram_gguf_array *out);

/* Walks an array of strings: *@at begins at 0 and goes from element to element. */
const char *tram_gguf_next_str(const struct tram_gguf_array *a, uint64_t *at, uint64_t *n);
/* Element @i of an array of I32. */
int32_t tram_gguf_i32_at(const struct tram_gguf_array *a, uint64_t i);

/* @n bytes of @t from byte @first of it. */
int tram_gguf_read(struct tram_ctx *ctx, const struct tram_gguf *g,
		   const struct tram_gguf_tensor *t, uint64_t first, void *buf, size_t n);

/*
 * @n elements of @t from element @first as f32: F32 as they are, F16 and BF16
 * exactly, Q8_0 as scale times integer, rounded once. -ENOTSUP for other types.
 */
int tram_gguf_read_f32(struct tram_ctx *ctx, const struct tram_gguf *g,
		       const struct tram_gguf_tensor *t, uint64_t first, float *out, size_t n);

/*
 * Writer, durable (base/file.h). Keys and tensors are declared in any order,
 * then the bytes of the tensors stream in the order declared; the padding
 * between them is the writer's:
 *
 *	create, (key | array | add)..., write..., commit (or abort at any point)
 */
struct tram_gguf_writer;

int tram_gguf_writer_create(struct tram_ctx *ctx, const char *path, struct tram_gguf_writer **w);
int tram_gguf_writer_u32(struct tram_gguf_writer *w, const char *key, uint32_t v);
int tram_gguf_writer_f32(struct tram_gguf_writer *w, const char *key, float v);
int tram_gguf_writer_bool(struct tram_gguf_writer *w, const char *key, bool v);
int tram_gguf_writer_str(struct tram_gguf_writer *w, const char *key, const char *v);
/* An array of @n elements, which must follow: strings one by one, or all I32 at once. */
int tram_gguf_writer_strings(struct tram_gguf_writer *w, const char *key, uint64_t n);
int tram_gguf_writer_string(struct tram_gguf_writer *w, const char *s, size_t n);
int tram_gguf_writer_i32s(struct tram_gguf_writer *w, const char *key, const int32_t *v,
			  uint64_t n);
/* @shape: outermost first. */
int tram_gguf_writer_add(struct tram_gguf_writer *w, const char *name, uint32_t type,
			 unsigned int ndim, const uint64_t *shape);
/* Any number of bytes at a time; tensor borders need not be met. -EINVAL past the last one. */
int tram_gguf_writer_write(struct tram_gguf_writer *w, const void *data, size_t n);
/* -EINVAL when bytes or strings are missing. @*w is gone afterwards, also on failure. */
int tram_gguf_writer_commit(struct tram_gguf_writer **w);
void tram_gguf_writer_abort(struct tram_gguf_writer **w);

/*
 * Bytes that @n elements of a type take when rows have @row elements; 0 when
 * the type is unknown, the row is not a whole number of its blocks, or it overflows.
 */
uint64_t tram_gguf_bytes(uint32_t type, uint64_t row, uint64_t n);

#endif
