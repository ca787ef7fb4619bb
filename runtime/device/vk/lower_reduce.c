/* SPDX-License-Identifier: MIT */
/*
 * Reductions across rows and over whole tensors: REDUCE, LAYERNORM_BWD_P,
 * TREE_SUM, ISFINITE, STATS. Long sums are made in levels: fixed blocks to partial
 * sums in scratch, then the partial sums in the same way. Block sizes are constants, so the
 * order of a sum depends on its length and the class alone.
 */
#include <tram/ops.h>

#include "device/vk/lower.h"

/* A row, or a column, up to LONG is one block; a longer one is cut into blocks of BLOCK. */
#define ROW_LONG 16384
#define ROW_BLOCK 4096
#define COL_LONG 128
#define COL_BLOCK 64

static uint64_t row_block(uint64_t n)
{
	return n <= ROW_LONG ? n : ROW_BLOCK;
}

static uint64_t col_block(uint64_t n)
{
	return n <= COL_LONG ? n : COL_BLOCK;
}

/* Scratch bytes for the partial sums of a reduction [outer, red, inner]. */
static uint64_t levels_scratch(uint64_t outer, uint64_t red, uint64_t inner)
{
	uint64_t bytes = 0;

	for (;;) {
		red = TRAM_DIV_UP(red, inner == 1 ? row_block(red) : col_block(red));
		if (red == 1)
			return bytes;
		bytes += tram_vk_words(outer * red * inner);
	}
}

/*
 * Emits all levels of a reduction [outer, red, inner] from @x to @y; partial sums go to @scratch, which
 * moves past them. @mean_of: what a mean divides by.
 */
static int emit_levels(struct tram_vk_emit *e, const struct tram_call *call, uint32_t kind,
		       uint64_t x, uint64_t y, uint64_t *scratch, uint64_t outer, uint64_t red,
		       uint64_t inner, float mean_of, bool barrier)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t tiles = TRAM_DIV_UP(inner, 4 * (uint64_t)width);

	for (;;) {
		uint64_t block = inner == 1 ? row_block(red) : col_block(red);
		uint64_t blocks = TRAM_DIV_UP(red, block);
		uint64_t to = blocks == 1 ? y : *scratch;
		uint32_t now = kind == TRAM_REDUCE_MEAN && blocks > 1 ? TRAM_REDUCE_SUM : kind;
		int r;

		if (inner == 1) {
			struct {
				uint64_t x, y;
				uint32_t rows, n, block, blocks;
				float mean_of;
			} args = { x, to, (uint32_t)outer, (uint32_t)red, (uint32_t)block,
				   (uint32_t)blocks, mean_of };

			r = tram_vk_rows(e, call, TRAM_VK_SHADER_REDUCE_ROWS, &now, 1, &args,
					 sizeof(args), outer * blocks, block, barrier);
		} else {
			uint32_t spec[] = { width, now };
			struct {
				uint64_t x, y;
				uint32_t outer, rows, n, block, blocks, tiles;
				float mean_of;
			} args = { x, to, (uint32_t)outer, (uint32_t)red, (uint32_t)inner,
				   (uint32_t)block, (uint32_t)blocks, (uint32_t)tiles, mean_of };

			r = tram_vk_groups(e, call, TRAM_VK_SHADER_REDUCE_COLS, spec, 2, &args,
					   sizeof(args), outer * blocks * tiles, barrier);
		}
		if (r || blocks == 1)
			return r;
		*scratch += tram_vk_words(outer * blocks * inner);
		x = to;
		red = blocks;
		barrier = true;
	}
}

uint64_t tram_vk_scratch_reduce(const struct tram_vk_class *c, const struct tram_signature *sig)
{
	return levels_scratch(sig->attr->reduce.outer, sig->attr->reduce.red,
			      sig->attr->reduce.inner);
}

int tram_vk_lower_reduce(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint64_t outer = call->attr->reduce.outer, red = call->attr->reduce.red,
		 inner = call->attr->reduce.inner;
	uint64_t scratch = call->scratch.buf ? tram_vk_address(&call->scratch) : 0;
	int r = tram_vk_check_sizes(call);

	return r ? r : emit_levels(e, call, call->attr->reduce.kind, tram_vk_address(&call->in[0]),
				   tram_vk_address(&call->out[0]), &scratch, outer, red, inner,
				   (float)red, call->barrier);
}

/* --- LAYERNORM_BWD_P -------------------------------------------------------------------- */

struct norm_dims { uint64_t shards, rows, n, blocks; };

static struct norm_dims norm_dims(const struct tram_shape *dy, const union tram_attr *attr)
{
	struct norm_dims d = { .shards = attr->norm.shards, .n = tram_dims_last(dy) };

	d.rows = tram_dims_rows(dy) / d.shards;
	d.blocks = TRAM_DIV_UP(d.rows, col_block(d.rows));
	return d;
}

uint64_t tram_vk_scratch_layernorm_bwd_p(const struct tram_vk_class *c,
					 const struct tram_signature *sig)
{
	struct norm_dims d = norm_dims(&sig->in[0], sig->attr);

	if (d.blocks == 1)
		return 0;
	return (sig->attr->norm.rms ? 1 : 2) * (tram_vk_words(d.shards * d.blocks * d.n) +
						levels_scratch(d.shards, d.blocks, d.n));
}

int tram_vk_lower_layernorm_bwd_p(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct norm_dims d = norm_dims(&call->in[0].shape, call->attr);
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	bool rms = call->attr->norm.rms;
	uint32_t spec[] = { width, rms };
	uint64_t tiles = TRAM_DIV_UP(d.n, 4 * (uint64_t)width);
	uint64_t part = tram_vk_words(d.shards * d.blocks * d.n);
	uint64_t scratch = call->scratch.buf ? tram_vk_address(&call->scratch) : 0;
	uint64_t dgain = tram_vk_address(&call->out[0]);
	uint64_t dbias = rms ? 0 : tram_vk_address(&call->out[1]);
	struct {
		uint64_t dy, x, stats, dgain, dbias;
		uint32_t shards, rows, n, block, blocks, tiles;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->in[2]), d.blocks == 1 ? dgain : scratch,
		d.blocks == 1 || rms ? dbias : scratch + part, (uint32_t)d.shards, (uint32_t)d.rows,
		(uint32_t)d.n, (uint32_t)col_block(d.rows), (uint32_t)d.blocks, (uint32_t)tiles,
	};
	int r = tram_vk_check_sizes(call);

	if (!r)
		r = tram_vk_groups(e, call, TRAM_VK_SHADER_LAYERNORM_BWD_P, spec, 2, &args,
				   sizeof(args), d.shards * d.blocks * tiles, call->barrier);
	if (r || d.blocks == 1)
		return r;
	scratch += (rms ? 1 : 2) * part;
	r = emit_levels(e, call, TRAM_REDUCE_SUM, args.dgain, dgain, &scratch, d.shards, d.blocks,
			d.n, 1, true);
	return r || rms ? r : emit_levels(e, call, TRAM_REDUCE_SUM, args.dbias, dbias, &scratch, d.shards,
				   d.blocks, d.n, 1, false);
}

/* --- TREE_SUM -------------------------------------------------------------------------------- */

#define TREE_FAN 16

uint64_t tram_vk_scratch_tree_sum(const struct tram_vk_class *c, const struct tram_signature *sig)
{
	uint64_t parts = sig->in[0].dim[0], n = tram_shape_count(&sig->out[0]), bytes = 0;

	while (parts > TREE_FAN) {
		parts = TRAM_DIV_UP(parts, TREE_FAN);
		bytes += tram_vk_words(parts * n);
	}
	return bytes;
}

int tram_vk_lower_tree_sum(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t parts = call->in[0].shape.dim[0], n = tram_shape_count(&call->out[0].shape);
	uint64_t tiles = TRAM_DIV_UP(n, 4 * (uint64_t)width);
	uint64_t x = tram_vk_address(&call->in[0]);
	uint64_t scratch = call->scratch.buf ? tram_vk_address(&call->scratch) : 0;
	bool barrier = call->barrier;
	int r = tram_vk_check_sizes(call);

	for (;;) {
		uint32_t spec[] = { width, 2 };
		uint64_t groups, to;

		while (spec[1] < TREE_FAN && spec[1] < parts)
			spec[1] *= 2;
		groups = TRAM_DIV_UP(parts, spec[1]);
		to = groups == 1 ? tram_vk_address(&call->out[0]) : scratch;

		struct { uint64_t x, y; uint32_t parts, n, tiles; } args = {
			x, to, (uint32_t)parts, (uint32_t)n, (uint32_t)tiles,
		};

		if (!r)
			r = tram_vk_groups(e, call, TRAM_VK_SHADER_TREE_SUM, spec, 2, &args,
					   sizeof(args), groups * tiles, barrier);
		if (r || groups == 1)
			return r;
		scratch += tram_vk_words(groups * n);
		x = to;
		parts = groups;
		barrier = true;
	}
}

/* --- over whole tensors -------------------------------------------------------------------------- */

int tram_vk_lower_isfinite(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t n = tram_shape_count(&call->in[0].shape);
	struct { uint64_t x, y; uint32_t n; } args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]), (uint32_t)n,
	};
	int r = tram_vk_check_sizes(call);

	if (!r)
		r = tram_vk_fill(e, &call->out[0], 4, 1, call->barrier);
	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_ISFINITE, &width, 1, &args,
				      sizeof(args), TRAM_DIV_UP(n, 16 * (uint64_t)width), true);
}

int tram_vk_lower_stats_partial(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint64_t n = tram_shape_count(&call->in[0].shape);
	uint32_t spec[] = { TRAM_STATS_CHUNK };
	struct { uint64_t x, y; uint32_t n; } args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]), (uint32_t)n,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_rows(e, call, TRAM_VK_SHADER_STATS_PARTIAL, spec, 1, &args,
				    sizeof(args), TRAM_DIV_UP(n, TRAM_STATS_CHUNK),
				    TRAM_STATS_CHUNK, call->barrier);
}

int tram_vk_lower_stats_final(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint64_t chunks = tram_dims_rows(&call->in[0].shape);
	struct { uint64_t x, y; uint32_t chunks; } args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]), (uint32_t)chunks,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_rows(e, call, TRAM_VK_SHADER_STATS_FINAL, NULL, 0, &args,
				    sizeof(args), 1, chunks, call->barrier);
}
