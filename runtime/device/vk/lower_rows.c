/* SPDX-License-Identifier: MIT */
/*
 * Ops on rows: SOFTMAX, LAYERNORM, ARGMAX, the parts of cross-entropy. A workgroup per row
 * (shaders/lib/row.glsl), so the bits of a row depend on its length and the
 * class, not on how many rows the call has.
 */
#include "device/vk/lower.h"

struct rows { uint32_t rows, n; };

static struct rows rows_of(const struct tram_operand *o)
{
	return (struct rows){ (uint32_t)tram_dims_rows(&o->shape), tram_dims_last(&o->shape) };
}

int tram_vk_lower_softmax(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct rows d = rows_of(&call->in[0]);
	struct { uint64_t x, y; uint32_t rows, n; } args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]), d.rows, d.n,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_rows(e, call, TRAM_VK_SHADER_SOFTMAX, NULL, 0, &args, sizeof(args),
				    d.rows, d.n, call->barrier);
}

int tram_vk_lower_softmax_bwd(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct rows d = rows_of(&call->in[0]);
	struct { uint64_t y, dy, dx; uint32_t rows, n; } args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->out[0]), d.rows, d.n,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_rows(e, call, TRAM_VK_SHADER_SOFTMAX_BWD, NULL, 0, &args,
				    sizeof(args), d.rows, d.n, call->barrier);
}

int tram_vk_lower_layernorm(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct rows d = rows_of(&call->in[0]);
	uint32_t spec[] = { call->attr->norm.rms };
	struct {
		uint64_t x, gain, bias, y, stats;
		uint32_t rows, n;
		float eps;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		spec[0] ? 0 : tram_vk_address(&call->in[2]), tram_vk_address(&call->out[0]),
		tram_vk_address(&call->out[1]), d.rows, d.n, call->attr->norm.eps,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_rows(e, call, TRAM_VK_SHADER_LAYERNORM, spec, 1, &args, sizeof(args),
				    d.rows, d.n, call->barrier);
}

int tram_vk_lower_layernorm_bwd_x(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct rows d = rows_of(&call->in[0]);
	uint32_t spec[] = { call->attr->norm.add, call->attr->norm.rms };
	struct {
		uint64_t dy, x, gain, stats, add, dx;
		uint32_t rows, n;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->in[2]), tram_vk_address(&call->in[3]),
		call->attr->norm.add ? tram_vk_address(&call->in[4]) : 0,
		tram_vk_address(&call->out[0]), d.rows, d.n,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_rows(e, call, TRAM_VK_SHADER_LAYERNORM_BWD_X, spec, 2, &args,
				    sizeof(args), d.rows, d.n, call->barrier);
}

int tram_vk_lower_argmax(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct rows d = rows_of(&call->in[0]);
	struct { uint64_t x, y; uint32_t rows, n; } args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->out[0]), d.rows, d.n,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_rows(e, call, TRAM_VK_SHADER_ARGMAX, NULL, 0, &args, sizeof(args),
				    d.rows, d.n, call->barrier);
}

/* --- cross-entropy ------------------------------------------------------------------ */

int tram_vk_lower_xent_partial(struct tram_vk_emit *e, const struct tram_call *call)
{
	struct rows d = rows_of(&call->in[0]);
	uint32_t spec[] = { call->attr->xent.state };
	struct {
		uint64_t x, targets, state_in, state_out;
		uint32_t rows, n, first;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		call->attr->xent.state ? tram_vk_address(&call->in[2]) : 0,
		tram_vk_address(&call->out[0]), d.rows, d.n, call->attr->xent.first,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_rows(e, call, TRAM_VK_SHADER_XENT_PARTIAL, spec, 1, &args,
				    sizeof(args), d.rows, d.n, call->barrier);
}

int tram_vk_lower_xent_final(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	uint64_t n = tram_shape_count(&call->in[1].shape);
	struct { uint64_t state, targets, loss, lse; uint32_t n; } args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->out[0]), tram_vk_address(&call->out[1]), (uint32_t)n,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_XENT_FINAL, &width, 1, &args,
				      sizeof(args), TRAM_DIV_UP(n, width), call->barrier);
}

int tram_vk_lower_xent_grad(struct tram_vk_emit *e, const struct tram_call *call)
{
	uint32_t width = tram_vk_flat_width(tram_vk_emit_class(e));
	struct rows d = rows_of(&call->in[0]);
	uint32_t tiles = TRAM_DIV_UP(d.n, 8 * width);
	struct {
		uint64_t x, lse, targets, d;
		uint32_t rows, n, first, tiles;
	} args = {
		tram_vk_address(&call->in[0]), tram_vk_address(&call->in[1]),
		tram_vk_address(&call->in[2]), tram_vk_address(&call->out[0]), d.rows, d.n,
		call->attr->xent.first, tiles,
	};
	int r = tram_vk_check_sizes(call);

	return r ? r : tram_vk_groups(e, call, TRAM_VK_SHADER_XENT_GRAD, &width, 1, &args,
				      sizeof(args), (uint64_t)d.rows * tiles, call->barrier);
}
