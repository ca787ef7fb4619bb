/* SPDX-License-Identifier: MIT */
/*
 * MATMUL. Every element is one chain of fma over k in both variants, so the
 * choice of tiles and of packing (plan_lavapipe, plan_generic) is free to
 * look at the shape: it can't be seen in the bits.
 *
 * lavapipe: operands that are used often enough are laid out as panels in scratch
 * first, one dispatch each; then one subgroup a tile. Generic: tiles through workgroup memory.
 */
#include "device/vk/lower.h"

/* --- lavapipe ------------------------------------------------------------------ */

#define UNROLL 16	/* steps between two tests of the loop */
#define PACK_BLOCK 64	/* values of k a workgroup of matmul_pack_lavapipe.comp moves */

struct lavapipe_plan {
	struct tram_matmul_dims d;
	bool ta, tb, pack_a, pack_b;
	uint32_t rows, cols;		/* tile: rows, vectors */
	uint32_t width;			/* columns of a tile */
	uint32_t k_up;			/* K of the panels */
	uint32_t tiles_m, tiles_n;
	uint64_t a_tile, b_tile;	/* bytes of a panel */
	uint64_t a_bytes, b_bytes;	/* of all panels of an operand, aligned */
};

static struct lavapipe_plan plan_lavapipe(const struct tram_vk_class *c,
					  const struct tram_shape *a, const struct tram_shape *b,
					  const union tram_attr *attr)
{
	struct lavapipe_plan p = {
		.d = tram_matmul_dims(a, b, attr->matmul.ta, attr->matmul.tb),
		.ta = attr->matmul.ta, .tb = attr->matmul.tb, .rows = 24, .cols = 1,
	};
	const struct tram_matmul_dims *d = &p.d;

	if (d->m <= 8) {
		p.rows = p.ta ? 8 : d->m;	/* a panel of the packing shader: 8 or 24 */
		p.cols = d->m <= 2 ? 4 : 2;
	}
	while (p.cols > 1 && (p.cols - 1) * c->subgroup >= d->n)
		p.cols--;
	p.width = p.cols * c->subgroup;
	p.k_up = TRAM_ALIGN_UP(d->k, UNROLL);
	p.tiles_m = TRAM_DIV_UP(d->m, p.rows);
	p.tiles_n = TRAM_DIV_UP(d->n, p.width);
	/*
	 * Packing an element costs as much as some 40 multiplications. Not packed, rows of a whose
	 * distance is a large power of two evict each other, and b by columns is gathered.
	 */
	p.pack_b = d->m >= (p.tb ? 48 : 96);
	p.pack_a = p.ta || (p.pack_b && d->n >= 48);
	/* panels are zero past K: both or the tail in steps of one */
	if (p.pack_a)
		p.a_tile = (uint64_t)p.rows * p.k_up * 4;
	if (p.pack_b)
		p.b_tile = (uint64_t)p.width * p.k_up * 4;
	p.a_bytes = TRAM_ALIGN_UP(p.a_tile * p.tiles_m * d->nb, TRAM_TENSOR_ALIGN);
	p.b_bytes = TRAM_ALIGN_UP(p.b_tile * p.tiles_n * d->nb, TRAM_TENSOR_ALIGN);
	return p;
}

/* Layout as matmul_pack_lavapipe.comp declares it. */
static int pack(struct tram_vk_emit *e, const struct tram_operand *x, uint64_t panels,
		uint32_t panel, uint64_t tile, uint32_t tiles, uint32_t w, uint32_t k, bool k_fastest,
		uint32_t nb, bool barrier)
{
	const struct tram_vk_class *c = tram_vk_emit_class(e);
	uint32_t spec[] = { c->subgroup, panel, !k_fastest };
	struct {
		uint64_t x, panels, x_batch, x_w, x_k, panels_batch, panels_tile;
		uint32_t w, k;
	} args = {
		tram_vk_address(x), panels, (uint64_t)w * k * 4,
		k_fastest ? (uint64_t)k * 4 : 4, k_fastest ? 4 : (uint64_t)w * 4,
		tile * tiles, tile, w, k,
	};

	return tram_vk_dispatch(e, TRAM_VK_SHADER_MATMUL_PACK_LAVAPIPE, spec, 3, &args,
				sizeof(args), TRAM_DIV_UP(k, PACK_BLOCK), tiles, nb, barrier);
}

static int lower_lavapipe(struct tram_vk_emit *e, const struct tram_call *call)
{
	const struct tram_vk_class *c = tram_vk_emit_class(e);
	struct lavapipe_plan p = plan_lavapipe(c, &call->in[0].shape, &call->in[1].shape,
					       call->attr);
	const struct tram_matmul_dims *d = &p.d;
	const union tram_attr *attr = call->attr;
	uint64_t scratch = tram_vk_address(&call->scratch);
	bool gather = p.tb && !p.pack_b, barrier = call->barrier;
	uint32_t nb_b = d->b_shared ? 1 : d->nb, chunk, k = d->k;
	struct {
		uint64_t a, b, bias, residual, c, a_batch, b_batch, c_batch;
		uint64_t a_tile, a_row, b_tile, b_k, b_n;
		uint32_t m, n, k, chunks, chunk_tiles, tiles;
	} args;
	int err = 0;

	if (p.pack_a) {
		err = pack(e, &call->in[0], scratch, p.rows, p.a_tile, p.tiles_m, d->m, d->k,
			   !p.ta, d->nb, barrier);
		barrier = false;
	}
	if (p.pack_b && !err)
		err = pack(e, &call->in[1], scratch + p.a_bytes, p.width, p.b_tile, p.tiles_n,
			   d->n, d->k, p.tb, nb_b, barrier);
	if (err)
		return err;

	/* Workgroups that follow one another share a panel of a, and b's of a chunk stay near. */
	chunk = (uint32_t)((256 << 10) / ((uint64_t)p.width * p.k_up * 4));
	chunk = TRAM_MAX(chunk, TRAM_DIV_UP((uint64_t)p.tiles_n * d->nb, c->max_groups[2] / 2));
	chunk = TRAM_MIN(TRAM_MAX(chunk, 1), p.tiles_n);
	memset(&args, 0, sizeof(args));
	args.a = p.pack_a ? scratch : tram_vk_address(&call->in[0]);
	args.b = p.pack_b ? scratch + p.a_bytes : tram_vk_address(&call->in[1]);
	if (attr->matmul.bias)
		args.bias = tram_vk_address(&call->in[2]);
	if (attr->matmul.residual)
		args.residual = tram_vk_address(&call->in[call->n_in - 1]);
	args.c = tram_vk_address(&call->out[0]);
	args.a_batch = p.pack_a ? p.a_tile * p.tiles_m : (uint64_t)d->m * d->k * 4;
	if (!d->b_shared)
		args.b_batch = p.pack_b ? p.b_tile * p.tiles_n : (uint64_t)d->n * d->k * 4;
	args.c_batch = (uint64_t)d->m * d->n * 4;
	args.a_tile = p.a_tile;
	args.a_row = (uint64_t)d->k * 4;
	args.b_tile = p.pack_b ? p.b_tile : gather ? (uint64_t)p.width * d->k * 4 :
					      (uint64_t)p.width * 4;
	args.b_k = p.pack_b ? (uint64_t)p.width * 4 : gather ? 4 : (uint64_t)d->n * 4;
	args.b_n = (uint64_t)d->k * 4;
	args.m = d->m;
	args.n = d->n;
	args.k = k = p.pack_a && p.pack_b ? p.k_up : d->k;
	args.chunk_tiles = chunk;
	args.chunks = TRAM_DIV_UP(p.tiles_n, chunk);
	args.tiles = p.tiles_n;

	uint32_t spec[] = { c->subgroup, p.rows, p.cols, UNROLL, p.pack_a, gather, k % UNROLL != 0,
			    attr->matmul.bias, attr->matmul.residual };

	return tram_vk_dispatch(e, TRAM_VK_SHADER_MATMUL_LAVAPIPE, spec, TRAM_ARRAY_SIZE(spec),
				&args, sizeof(args), chunk, p.tiles_m, d->nb * args.chunks,
				call->barrier || p.pack_a || p.pack_b);
}

/* --- generic ------------------------------------------------------------------- */

struct tile { uint32_t m, n, each_m, each_n; };

static struct tile plan_generic(const struct tram_vk_class *c, uint32_t m)
{
	struct tile t = m <= 4 ? (struct tile){ 4, 64, 1, 1 } :
			m <= 16 ? (struct tile){ 16, 64, 2, 2 } : (struct tile){ 64, 64, 4, 4 };

	while (t.m / t.each_m * (t.n / t.each_n) > c->max_invocations)
		t.n /= 2;
	return t;
}

static int lower_generic(struct tram_vk_emit *e, const struct tram_call *call)
{
	const union tram_attr *attr = call->attr;
	bool ta = attr->matmul.ta, tb = attr->matmul.tb;
	struct tram_matmul_dims d = tram_matmul_dims(&call->in[0].shape, &call->in[1].shape, ta, tb);
	struct tile t = plan_generic(tram_vk_emit_class(e), d.m);
	uint32_t spec[] = { t.m / t.each_m * (t.n / t.each_n), t.m, t.n, t.each_m, t.each_n, !ta, tb,
			    attr->matmul.bias, attr->matmul.residual };
	struct {
		uint64_t a, b, bias, residual, c;
		uint32_t a_batch, b_batch, c_batch, a_m, a_k, b_n, b_k, m, n, k;
	} args = {
		.a = tram_vk_address(&call->in[0]), .b = tram_vk_address(&call->in[1]),
		.bias = attr->matmul.bias ? tram_vk_address(&call->in[2]) : 0,
		.residual = attr->matmul.residual ? tram_vk_address(&call->in[call->n_in - 1]) : 0,
		.c = tram_vk_address(&call->out[0]),
		.a_batch = d.m * d.k, .b_batch = d.b_shared ? 0 : d.n * d.k, .c_batch = d.m * d.n,
		.a_m = ta ? 1 : d.k, .a_k = ta ? d.m : 1, .b_n = tb ? d.k : 1, .b_k = tb ? 1 : d.n,
		.m = d.m, .n = d.n, .k = d.k,
	};

	return tram_vk_dispatch(e, TRAM_VK_SHADER_MATMUL, spec, TRAM_ARRAY_SIZE(spec), &args,
				sizeof(args), TRAM_DIV_UP(d.n, t.n), TRAM_DIV_UP(d.m, t.m), d.nb,
				call->barrier);
}

int tram_vk_lower_matmul(struct tram_vk_emit *e, const struct tram_call *call)
{
	int r = tram_vk_check_sizes(call);

	if (r)
		return r;
	return tram_vk_emit_class(e)->lavapipe ? lower_lavapipe(e, call) : lower_generic(e, call);
}

uint64_t tram_vk_scratch_matmul(const struct tram_vk_class *c, const struct tram_signature *sig)
{
	struct lavapipe_plan p;

	if (!c->lavapipe)
		return 0;
	p = plan_lavapipe(c, &sig->in[0], &sig->in[1], sig->attr);
	return p.a_bytes + p.b_bytes;
}
