/* SPDX-License-Identifier: MIT */
/*
 * EW: a fused elementwise program as one dispatch of shaders/ew.comp. The program goes
 * into specialization constants, so the device compiles straight code; here the operands' shapes
 * are folded to the fewest dimensions. Most calls fold to [rows, cols] with
 * inputs that move with both, with one or with none.
 */
#include "device/vk/lower.h"

/* As in ew.comp. */
#define SPEC_CODE 6
#define TILE 4
/* Shorter rows would leave most of a tile idle: index by division instead. */
#define SHORT_ROW 64

struct fold {
	uint32_t rank;
	uint64_t dim[TRAM_MAX_RANK];
	uint64_t stride[TRAM_EW_MAX_IN][TRAM_MAX_RANK];	/* elements; 0: broadcast */
};

/* The result's dimensions without ones, neighbours merged where every input allows it. */
static void fold_shapes(const struct tram_call *call, struct fold *f)
{
	const struct tram_shape *out = &call->out[0].shape;
	uint64_t stride[TRAM_EW_MAX_IN][TRAM_MAX_RANK] = { 0 };

	memset(f, 0, sizeof(*f));
	for (uint32_t k = 0; k < call->n_in; k++) {
		const struct tram_shape *in = &call->in[k].shape;
		uint64_t s = 1;

		for (uint32_t i = in->rank; i-- > 0;) {
			stride[k][i + out->rank - in->rank] = in->dim[i] == 1 ? 0 : s;
			s *= in->dim[i];
		}
	}
	for (uint32_t i = 0; i < out->rank; i++) {
		bool merge = f->rank > 0;

		if (out->dim[i] == 1)
			continue;
		for (uint32_t k = 0; k < call->n_in && merge; k++)
			merge = f->stride[k][f->rank - 1] == stride[k][i] * out->dim[i];
		if (merge)
			f->dim[f->rank - 1] *= out->dim[i];
		else
			f->dim[f->rank++] = out->dim[i];
		for (uint32_t k = 0; k < call->n_in; k++)
			f->stride[k][f->rank - 1] = stride[k][i];
	}
	if (!f->rank)
		f->dim[f->rank++] = 1;
}

int tram_vk_lower_ew(struct tram_vk_emit *e, const struct tram_call *call)
{
	const struct tram_vk_class *c = tram_vk_emit_class(e);
	const struct tram_ew_program *p = &call->attr->ew;
	struct {
		uint64_t dst, src[TRAM_EW_MAX_IN];
		uint32_t rows, cols, tiles, dim[TRAM_MAX_RANK];
		uint32_t stride[TRAM_EW_MAX_IN * TRAM_MAX_RANK];
		float imm[TRAM_EW_MAX_CODE];
		uint32_t salt[TRAM_EW_MAX_CODE], shard[TRAM_EW_MAX_CODE];
	} args = { .dst = tram_vk_address(&call->out[0]), .rows = 1 };
	uint32_t spec[SPEC_CODE + TRAM_EW_MAX_CODE] = {
		tram_vk_flat_width(c), c->software ? 8 : 1, p->n_in, p->n_code,
	};
	uint64_t n = tram_shape_count(&call->out[0].shape), tile;
	struct fold f;
	int r = tram_vk_check_sizes(call);

	if (r)
		return r;
	fold_shapes(call, &f);
	args.cols = (uint32_t)n;
	if (f.rank == 2 && f.dim[1] >= SHORT_ROW) {
		args.rows = (uint32_t)f.dim[0];
		args.cols = (uint32_t)f.dim[1];
	} else if (f.rank > 1) {
		spec[4] = f.rank;
	}
	for (uint32_t k = 0; k < p->n_in; k++) {
		args.src[k] = tram_vk_address(&call->in[k]);
		if (f.stride[k][f.rank - 1])
			spec[5] |= 1u << (2 * k);
		if (args.rows > 1 && f.stride[k][0])
			spec[5] |= 2u << (2 * k);
		for (uint32_t d = 0; d < f.rank; d++)
			args.stride[k * TRAM_MAX_RANK + d] = (uint32_t)f.stride[k][d];
	}
	for (uint32_t d = 0; d < f.rank; d++)
		args.dim[d] = (uint32_t)f.dim[d];
	for (uint32_t i = 0; i < p->n_code; i++) {
		const struct tram_ew_insn *x = &p->code[i];

		spec[SPEC_CODE + i] = x->code | (uint32_t)x->a << 8 | (uint32_t)x->b << 16;
		args.imm[i] = x->imm;
		args.salt[i] = x->salt;
		args.shard[i] = x->shard;
	}
	tile = (uint64_t)TILE * spec[1] * spec[0];
	args.tiles = (uint32_t)TRAM_DIV_UP(args.cols, tile);
	return tram_vk_groups(e, call, TRAM_VK_SHADER_EW, spec, TRAM_ARRAY_SIZE(spec), &args,
			      sizeof(args), (uint64_t)args.rows * args.tiles, call->barrier);
}
