/* SPDX-License-Identifier: MIT */
/*
 * Ops that move words: COPY, PACK, SLICE, CONCAT, TRANSPOSE, EMBEDDING and its gradient. What is
 * contiguous goes through the device's own copies, the rest through shaders.
 */
#include "device/vk/lower.h"

int tram_vk_lower_copy(struct tram_vk_emit *e, const struct tram_call *call)
{
	if (tram_vk_same(&call->in[0], &call->out[0]))
		return 0;
	return tram_vk_copy(e, &call->out[0], &call->in[0],
			    tram_shape_count(&call->in[0].shape) * 4, call->barrier);
}

int tram_vk_lower_pack(struct tram_vk_emit *e, const struct tram_call *call)
{
	const uint64_t *offset = call->attr->pack.offset;
	bool barrier = call->barrier;
	uint64_t end = 0;

	/* offsets ascend: the gap before each tensor, the tensor, at last the gap behind them */
	for (uint32_t i = 0; i <= call->n_in; i++) {
		uint64_t first = i < call->n_in ? offset[i] : call->attr->pack.total;
		struct tram_operand gap = tram_vk_moved(&call->out[0], end);
		struct tram_operand dst = tram_vk_moved(&call->out[0], first);
		int r = 0;

		if (first > end) {
			r = tram_vk_fill(e, &gap, (first - end) * 4, 0, barrier);
			barrier = false;
		}
		if (r || i == call->n_in)
			return r;
		end = first + tram_shape_count(&call->in[i].shape);
		/* the planner lets producers write in place where it can */
		if (tram_vk_same(&call->in[i], &dst))
			continue;
		r = tram_vk_copy(e, &dst, &call->in[i], (end - first) * 4, barrier);
		barrier = false;
		if (r)
			return r;
	}
	return 0;
}

/* @rows rows of @n words between @x and @y, whose rows start @x_pitch and @y_pitch words apart. */
static int copy_rows(struct tram_vk_emit *e, const struct tram_call *call,
		     const struct tram_operand *y, uint64_t y_pitch, const struct tram_operand *x,
		     uint64_t x_pitch, uint64_t rows, uint64_t n, bool barrier)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t tiles = TRAM_DIV_UP(n, 16 * (uint64_t)width);
	struct {
		uint64_t x, y;
		uint32_t x_pitch, y_pitch, rows, n, tiles;
	} args = { tram_vk_address(x), tram_vk_address(y), (uint32_t)x_pitch, (uint32_t)y_pitch,
		   (uint32_t)rows, (uint32_t)n, (uint32_t)tiles };

	if (rows == 1)
		return tram_vk_copy(e, y, x, n * 4, barrier);
	return tram_vk_groups(e, call, TRAM_VK_SHADER_COPY_ROWS, &width, 1, &args, sizeof(args),
			      rows * tiles, barrier);
}

int tram_vk_lower_slice(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct tram_axis_dims d = tram_axis_dims(&call->in[0].shape, call->attr->slice.axis);
	struct tram_operand x = tram_vk_moved(&call->in[0], call->attr->slice.first * d.inner);
	uint64_t n = call->attr->slice.count * d.inner;
	int r = tram_vk_check_sizes(call);

	return r ? r : copy_rows(e, call, &call->out[0], n, &x, d.len * d.inner, d.outer, n,
				 call->barrier);
}

int tram_vk_lower_concat(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct tram_axis_dims out = tram_axis_dims(&call->out[0].shape, call->attr->concat.axis);
	uint64_t pitch = out.len * out.inner, at = 0;
	int r = tram_vk_check_sizes(call);

	for (uint32_t i = 0; i < call->n_in && !r; i++) {
		struct tram_axis_dims d = tram_axis_dims(&call->in[i].shape,
							 call->attr->concat.axis);
		struct tram_operand y = tram_vk_moved(&call->out[0], at);
		uint64_t n = d.len * d.inner;

		r = copy_rows(e, call, &y, pitch, &call->in[i], n, out.outer, n,
			      call->barrier && !i);
		at += n;
	}
	return r;
}

/* --- TRANSPOSE ------------------------------------------------------------------------------ */

int tram_vk_lower_transpose(struct tram_vk_emit *e, const struct tram_call *call)
{
	const struct tram_shape *in = &call->in[0].shape, *out = &call->out[0].shape;
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	struct {
		uint64_t x, y;
		uint32_t n, dim[TRAM_MAX_RANK], stride[TRAM_MAX_RANK];
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]),
		(uint32_t)tram_shape_count(in), { 0 }, { 0 },
	};
	uint64_t stride[TRAM_MAX_RANK], s = 1;
	uint32_t spec[] = { width, 0 };
	int r = tram_vk_check_sizes(call);

	if (r)
		return r;
	for (uint32_t i = in->rank; i-- > 0;) {
		stride[i] = s;
		s *= in->dim[i];
	}
	/* the result's dimensions; neighbours that are neighbours in x too become one */
	for (uint32_t i = 0; i < out->rank; i++) {
		uint64_t step = stride[call->attr->transpose.perm[i]];
		uint32_t last = spec[1] - 1;

		if (out->dim[i] == 1)
			continue;
		if (spec[1] && args.stride[last] == step * out->dim[i]) {
			args.dim[last] *= out->dim[i];
			args.stride[last] = (uint32_t)step;
			continue;
		}
		args.dim[spec[1]] = out->dim[i];
		args.stride[spec[1]++] = (uint32_t)step;
	}
	if (spec[1] <= 1)
		return tram_vk_copy(e, &call->out[0], &call->in[0], (uint64_t)args.n * 4,
				    call->barrier);
	return tram_vk_groups(e, call, TRAM_VK_SHADER_TRANSPOSE, spec, 2, &args, sizeof(args),
			      TRAM_DIV_UP((uint64_t)args.n, 4 * width), call->barrier);
}

/* --- EMBEDDING --------------------------------------------------------------------------------- */

int tram_vk_lower_embedding(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t rows = tram_shape_count(&call->in[1].shape);
	uint32_t n = tram_dims_last(&call->in[0].shape), tiles = TRAM_DIV_UP(n, 4 * width);
	struct {
		uint64_t table, tokens, y;
		uint32_t rows, n, vocab, tiles;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->out[0]), (uint32_t)rows, n, call->in[0].shape.dim[0], tiles,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_EMBEDDING, &width, 1, &args,
				      sizeof(args), rows * tiles, call->barrier);
}

int tram_vk_lower_embedding_bwd(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t places = tram_shape_count(&call->in[1].shape);
	uint64_t bytes = tram_shape_count(&call->out[0].shape) * 4;
	uint32_t n = tram_dims_last(&call->in[0].shape), tiles = TRAM_DIV_UP(n, 4 * width);
	uint32_t shards = call->attr->embedding.shards;
	struct {
		uint64_t dy, tokens, order, d;
		uint32_t shards, rows, n, vocab, tiles;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->in[2]), tram_vk_address(&call->out[0]), shards,
		(uint32_t)(places / shards), n, call->attr->embedding.vocab, tiles,
	};
	bool barrier = true;
	int r = tram_vk_check_sizes(call);

	if (r)
		return r;
	if (!call->attr->embedding.base)
		r = tram_vk_fill(e, &call->out[0], bytes, 0, call->barrier);
	else if (!tram_vk_same(&call->in[3], &call->out[0]))
		r = tram_vk_copy(e, &call->out[0], &call->in[3], bytes, call->barrier);
	else
		barrier = call->barrier;
	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_EMBEDDING_BWD, &width, 1, &args,
				      sizeof(args), places * tiles, barrier);
}
