/* SPDX-License-Identifier: MIT */
/*
 * Recording: every call becomes phases, loops over chunks whose function and
 * parameters are settled here. Chunk sizes follow from shapes alone. A phase
 * starts when the one before is complete, so calls' barriers need nothing more. One row a kernel op
 * stands in the table at the end.
 */
#include "device/cpu/cpu.h"

/* Floats that a chunk of simple work moves, about: some microseconds. */
#define CHUNK	16384
/* A cache line and its neighbour: columns of a chunk where rows are added up. */
#define COLUMNS	32
#define PIECE	65536

void *tram_cpu_block(struct tram_cpu_lower *l, size_t size)
{
	void *p;

	if (tram_vec_reserve(l->ctx, &l->prog->blocks, 1))
		return NULL;
	p = tram_zalloc(l->ctx, size);
	if (p)
		l->prog->blocks.v[l->prog->blocks.n++] = p;
	return p;
}

int tram_cpu_phase(struct tram_cpu_lower *l, tram_cpu_chunk *fn, uint64_t count, uint64_t per)
{
	l->arg->count = count;
	l->arg->per = TRAM_MAX(per, 1);
	return tram_vec_push(l->ctx, &l->prog->phases,
			     ((struct tram_cpu_phase){ fn, TRAM_DIV_UP(count, l->arg->per), l->arg,
						       l->index }));
}

int tram_cpu_arg_copy(struct tram_cpu_lower *l)
{
	struct tram_cpu_arg *arg = tram_cpu_block(l, sizeof(*arg));

	if (!arg)
		return -ENOMEM;
	*arg = *l->arg;
	l->arg = arg;
	return 0;
}

static uint64_t count_of(const struct tram_shape *s)
{
	uint64_t n = 1;

	for (uint32_t i = 0; i < s->rank; i++)
		n *= s->dim[i];
	return n;
}

static uint64_t last_of(const struct tram_shape *s)
{
	return s->rank ? s->dim[s->rank - 1] : 1;
}

static const struct tram_shape *in_shape(const struct tram_cpu_lower *l, uint32_t i)
{
	return &l->call->in[i].shape;
}

static const struct tram_shape *out_shape(const struct tram_cpu_lower *l, uint32_t i)
{
	return &l->call->out[i].shape;
}

static tram_cpu_chunk *chunk_fn(const struct tram_cpu_lower *l)
{
	return l->isa->op[l->call->op];
}

/* Rows of input 0, or of input 0 seen as [N, C]: dim = {C, V of the embedding} */
static int lower_rows(struct tram_cpu_lower *l)
{
	uint64_t c = last_of(in_shape(l, 0)), n = count_of(in_shape(l, 0)) / TRAM_MAX(c, 1);

	l->arg->dim[0] = c;
	return tram_cpu_phase(l, chunk_fn(l), n, CHUNK / c);
}

static int lower_xent_final(struct tram_cpu_lower *l)
{
	return tram_cpu_phase(l, chunk_fn(l), count_of(out_shape(l, 0)), 512);
}

static int lower_flat(struct tram_cpu_lower *l)
{
	return tram_cpu_phase(l, chunk_fn(l), count_of(in_shape(l, 0)), CHUNK);
}

/* --- elementwise ------------------------------------------------------------------------ */

/*
 * The result's dimensions with neighbours merged wherever every input steps
 * through both as through one.
 */
static void collapse(const struct tram_cpu_lower *l, uint32_t n_in, struct tram_cpu_ew *ew)
{
	const struct tram_shape *out = out_shape(l, 0);
	uint64_t stride[TRAM_EW_MAX_IN];	/* of a whole input's dimension, so far */

	/* From the innermost out; ew is filled in reverse. */
	for (uint32_t k = 0; k < n_in; k++)
		stride[k] = 1;
	for (uint32_t i = out->rank; i-- > 0;) {
		uint64_t s[TRAM_EW_MAX_IN], dim = out->dim[i];
		bool merge = ew->rank > 0;

		for (uint32_t k = 0; k < n_in; k++) {
			const struct tram_shape *in = in_shape(l, k);
			uint64_t in_dim = i + in->rank >= out->rank ? in->dim[i + in->rank - out->rank] : 1;

			s[k] = in_dim == 1 ? 0 : stride[k];
			stride[k] *= in_dim;
			if (merge && s[k] != ew->stride[k][ew->rank - 1] * ew->dim[ew->rank - 1])
				merge = false;
		}
		if (dim == 1)
			continue;
		if (merge) {
			ew->dim[ew->rank - 1] *= dim;
			continue;
		}
		for (uint32_t k = 0; k < n_in; k++)
			ew->stride[k][ew->rank] = s[k];
		ew->dim[ew->rank++] = dim;
	}
	if (!ew->rank)
		ew->dim[ew->rank++] = 1;
	for (uint32_t i = 0; i < ew->rank / 2; i++) {
		uint32_t j = ew->rank - 1 - i;
		uint64_t t = ew->dim[i];

		ew->dim[i] = ew->dim[j];
		ew->dim[j] = t;
		for (uint32_t k = 0; k < n_in; k++) {
			t = ew->stride[k][i];
			ew->stride[k][i] = ew->stride[k][j];
			ew->stride[k][j] = t;
		}
	}
}

static int lower_ew(struct tram_cpu_lower *l)
{
	struct tram_cpu_ew *ew = tram_cpu_block(l, sizeof(*ew));
	const struct tram_ew_program *p = &l->call->attr->ew;
	uint64_t n = count_of(out_shape(l, 0));

	if (!ew)
		return -ENOMEM;
	collapse(l, p->n_in, ew);
	for (uint32_t k = 0; k < p->n_in; k++) {
		uint64_t in = count_of(in_shape(l, k));

		ew->kind[k] = in == n ? TRAM_CPU_EW_DIRECT :
			      in == 1 ? TRAM_CPU_EW_SCALAR : TRAM_CPU_EW_STRIDED;
	}
	l->arg->plan = ew;
	return tram_cpu_phase(l, chunk_fn(l), n, CHUNK);
}

/* --- reductions ------------------------------------------------------------------------- */

static int lower_reduce(struct tram_cpu_lower *l)
{
	const union tram_attr *attr = l->call->attr;
	uint64_t outer = attr->reduce.outer, red = attr->reduce.red, inner = attr->reduce.inner;

	l->arg->dim[0] = red;
	if (inner == 1)
		return tram_cpu_phase(l, chunk_fn(l), outer, CHUNK / red);
	l->arg->dim[1] = inner;
	/* Short columns are taken in longer runs. */
	l->arg->dim[2] = TRAM_MAX(COLUMNS, TRAM_ALIGN_UP(CHUNK / red, COLUMNS));
	l->arg->dim[3] = TRAM_DIV_UP(inner, l->arg->dim[2]);
	return tram_cpu_phase(l, l->isa->reduce_inner, outer * l->arg->dim[3], 1);
}

static int lower_layernorm_bwd_p(struct tram_cpu_lower *l)
{
	uint64_t shards = TRAM_MAX(l->call->attr->norm.shards, 1u);

	l->arg->dim[0] = last_of(in_shape(l, 0));
	l->arg->dim[1] = count_of(in_shape(l, 0)) / l->arg->dim[0] / shards;
	l->arg->dim[2] = COLUMNS;
	l->arg->dim[3] = TRAM_DIV_UP(l->arg->dim[0], COLUMNS);
	return tram_cpu_phase(l, chunk_fn(l), shards * l->arg->dim[3], 1);
}

static int lower_tree_sum(struct tram_cpu_lower *l)
{
	l->arg->dim[1] = count_of(out_shape(l, 0));
	l->arg->dim[0] = count_of(in_shape(l, 0)) / TRAM_MAX(l->arg->dim[1], 1);
	return tram_cpu_phase(l, chunk_fn(l), l->arg->dim[1], CHUNK / 4);
}

static void set_one(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;

	*(int32_t *)a->out[0] = 1;
}

static int lower_isfinite(struct tram_cpu_lower *l)
{
	int r = tram_cpu_phase(l, set_one, 1, 1);

	if (!r)
		r = tram_cpu_arg_copy(l);
	return r ? r : lower_flat(l);
}

static int lower_stats_partial(struct tram_cpu_lower *l)
{
	return tram_cpu_phase(l, chunk_fn(l), count_of(in_shape(l, 0)), TRAM_STATS_CHUNK);
}

static int lower_stats_final(struct tram_cpu_lower *l)
{
	l->arg->dim[0] = count_of(in_shape(l, 0)) / 2;
	return tram_cpu_phase(l, chunk_fn(l), 1, 1);
}

/* --- moving -------------------------------------------------------------------------------- */

/* Copies of at most PIECE floats; src NULL: zeros. */
struct piece { const float *src; float *dst; uint64_t n; };

static void move_pieces(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const struct piece *p = (const struct piece *)a->plan + chunk;

	if (!p->src)
		memset(p->dst, 0, p->n * sizeof(float));
	else
		memmove(p->dst, p->src, p->n * sizeof(float));
}

static uint64_t add_pieces(struct piece *p, uint64_t at, const float *src, float *dst, uint64_t n)
{
	if (src == dst)
		return at;
	for (uint64_t i = 0; i < n; i += PIECE, at++)
		if (p)
			p[at] = (struct piece){ src ? src + i : NULL, dst + i,
						TRAM_MIN(n - i, (uint64_t)PIECE) };
	return at;
}

static uint64_t pack_pieces(const struct tram_cpu_lower *l, struct piece *p)
{
	const union tram_attr *attr = l->call->attr;
	float *out = l->arg->out[0];
	uint64_t at = 0, end = 0;

	for (uint32_t i = 0; i < l->call->n_in; i++) {
		uint64_t first = attr->pack.offset[i], n = count_of(in_shape(l, i));

		at = add_pieces(p, at, NULL, out + end, first - end);
		at = add_pieces(p, at, l->arg->in[i], out + first, n);
		end = first + n;
	}
	return add_pieces(p, at, NULL, out + end, attr->pack.total - end);
}

static uint64_t copy_pieces(const struct tram_cpu_lower *l, struct piece *p)
{
	return add_pieces(p, 0, l->arg->in[0], l->arg->out[0], count_of(in_shape(l, 0)));
}

static int lower_pieces(struct tram_cpu_lower *l,
			uint64_t (*pieces)(const struct tram_cpu_lower *l, struct piece *p))
{
	uint64_t n = pieces(l, NULL);
	struct piece *p;

	if (!n)
		return 0;
	p = tram_cpu_block(l, n * sizeof(*p));
	if (!p)
		return -ENOMEM;
	pieces(l, p);
	l->arg->plan = p;
	return tram_cpu_phase(l, move_pieces, n, 1);
}

static int lower_pack(struct tram_cpu_lower *l)
{
	return lower_pieces(l, pack_pieces);
}

static int lower_copy(struct tram_cpu_lower *l)
{
	return lower_pieces(l, copy_pieces);
}

/* [rows, width] out of rows of @ld_src into rows of @ld_dst */
static int copy_rows(struct tram_cpu_lower *l, const float *src, uint64_t ld_src, float *dst,
		     uint64_t ld_dst, uint64_t rows, uint64_t width)
{
	const void **ends = tram_cpu_block(l, 2 * sizeof(*ends));

	if (!ends)
		return -ENOMEM;
	ends[0] = src;
	ends[1] = dst;
	l->arg->plan = ends;
	l->arg->dim[0] = width;
	l->arg->dim[1] = ld_src;
	l->arg->dim[2] = ld_dst;
	return tram_cpu_phase(l, l->isa->op[TRAM_OP_SLICE], rows, CHUNK / TRAM_MAX(width, 1));
}

static uint64_t inner_of(const struct tram_shape *s, uint32_t axis)
{
	uint64_t n = 1;

	for (uint32_t i = axis + 1; i < s->rank; i++)
		n *= s->dim[i];
	return n;
}

static int lower_slice(struct tram_cpu_lower *l)
{
	const union tram_attr *attr = l->call->attr;
	const struct tram_shape *in = in_shape(l, 0);
	uint64_t inner = inner_of(in, attr->slice.axis), len = in->dim[attr->slice.axis];

	return copy_rows(l, (const float *)l->arg->in[0] + attr->slice.first * inner, len * inner,
			 l->arg->out[0], attr->slice.count * inner, count_of(in) / (len * inner),
			 attr->slice.count * inner);
}

static int lower_concat(struct tram_cpu_lower *l)
{
	uint32_t axis = l->call->attr->concat.axis;
	const struct tram_shape *out = out_shape(l, 0);
	uint64_t inner = inner_of(out, axis), ld = out->dim[axis] * inner, at = 0;

	for (uint32_t i = 0; i < l->call->n_in; i++) {
		uint64_t width = in_shape(l, i)->dim[axis] * inner;
		int r = i ? tram_cpu_arg_copy(l) : 0;

		if (!r)
			r = copy_rows(l, l->arg->in[i], width, (float *)l->arg->out[0] + at, ld,
				      count_of(out) / ld, width);
		if (r)
			return r;
		at += width;
	}
	return 0;
}

static int lower_transpose(struct tram_cpu_lower *l)
{
	struct tram_cpu_transpose *t = tram_cpu_block(l, sizeof(*t));
	const struct tram_shape *in = in_shape(l, 0);
	const uint32_t *perm = l->call->attr->transpose.perm;
	uint64_t items = 1, tile;

	if (!t)
		return -ENOMEM;
	for (uint32_t i = 0; i < in->rank; i++) {
		uint64_t dim = in->dim[perm[i]], stride = inner_of(in, perm[i]);

		if (dim == 1)
			continue;
		if (t->rank && t->stride[t->rank - 1] == dim * stride) {
			t->dim[t->rank - 1] *= dim;
			t->stride[t->rank - 1] = stride;
			continue;
		}
		t->dim[t->rank] = dim;
		t->stride[t->rank++] = stride;
	}
	if (!t->rank) {
		t->dim[0] = t->stride[0] = 1;
		t->rank = 1;
	}
	for (uint32_t i = 0; i < t->rank; i++)
		if (t->stride[i] == 1)
			t->from = i;
	for (uint32_t i = 0; i < t->rank; i++)
		if (i != t->rank - 1 && i != t->from)
			items *= t->dim[i];
	items *= TRAM_DIV_UP(t->dim[t->from], 64);
	tile = TRAM_MIN(t->dim[t->from], 64) * (t->from == t->rank - 1 ? 1 : t->dim[t->rank - 1]);
	l->arg->plan = t;
	return tram_cpu_phase(l, chunk_fn(l), items, CHUNK / tile);
}

static int lower_embedding(struct tram_cpu_lower *l)
{
	l->arg->dim[0] = last_of(in_shape(l, 0));
	l->arg->dim[1] = in_shape(l, 0)->dim[0];
	return tram_cpu_phase(l, chunk_fn(l), count_of(in_shape(l, 1)), CHUNK / l->arg->dim[0]);
}

static int lower_embedding_bwd(struct tram_cpu_lower *l)
{
	uint64_t c = last_of(in_shape(l, 0)), n = count_of(in_shape(l, 1));
	uint64_t shards = TRAM_MAX(l->call->attr->embedding.shards, 1u);

	l->arg->dim[0] = c;
	l->arg->dim[1] = l->call->attr->embedding.vocab;
	l->arg->dim[2] = n / shards;
	l->arg->dim[3] = TRAM_MAX(CHUNK / 4 / c, 1);
	l->arg->dim[4] = TRAM_DIV_UP(l->arg->dim[1], l->arg->dim[3]);
	return tram_cpu_phase(l, chunk_fn(l), shards * l->arg->dim[4], 1);
}

/* --- attention over rows -------------------------------------------------------------------- */

/* in: out, dout; the delta's shape gives H and T. */
static int lower_attention_delta(struct tram_cpu_lower *l)
{
	const struct tram_shape *delta = out_shape(l, 0);
	uint64_t t = delta->dim[delta->rank - 1], h = delta->dim[delta->rank - 2];

	l->arg->dim[0] = t;
	l->arg->dim[1] = h;
	l->arg->dim[2] = last_of(in_shape(l, 0)) / h;
	return tram_cpu_phase(l, chunk_fn(l), count_of(in_shape(l, 0)) / last_of(in_shape(l, 0)),
			      CHUNK / last_of(in_shape(l, 0)));
}

/* dim = {T, H, G, D, Tmax}; returns B T */
static uint64_t cache_dims(struct tram_cpu_lower *l)
{
	const struct tram_shape *qkv = in_shape(l, 0), *cache = in_shape(l, 1);
	const union tram_attr *attr = l->call->attr;

	l->arg->dim[0] = qkv->dim[qkv->rank - 2];
	l->arg->dim[1] = attr->attention.heads;
	l->arg->dim[2] = attr->attention.kv_heads;
	l->arg->dim[3] = last_of(qkv) / (attr->attention.heads + 2 * attr->attention.kv_heads);
	l->arg->dim[4] = cache->dim[cache->rank - 3];
	return count_of(qkv) / last_of(qkv);
}

static uint64_t cache_pieces(const struct tram_cpu_lower *l, struct piece *p)
{
	uint64_t at = add_pieces(p, 0, l->arg->in[1], l->arg->out[0], count_of(in_shape(l, 1)));

	return add_pieces(p, at, l->arg->in[2], l->arg->out[1], count_of(in_shape(l, 2)));
}

static int lower_kv_append(struct tram_cpu_lower *l)
{
	int r = lower_pieces(l, cache_pieces);	/* none where the caches are updated in place */

	if (!r)
		r = tram_cpu_arg_copy(l);
	return r ? r : tram_cpu_phase(l, chunk_fn(l), cache_dims(l), 64);
}

static int lower_rope(struct tram_cpu_lower *l)
{
	const struct tram_shape *x = in_shape(l, 0);
	const union tram_attr *attr = l->call->attr;
	uint64_t *frequency = tram_cpu_block(l, TRAM_ROPE_MAX_PAIRS * sizeof(*frequency));
	uint32_t d = x->dim[2] / attr->rope.heads;

	if (!frequency)
		return -ENOMEM;
	for (uint32_t i = 0; i < d / 2; i++)
		frequency[i] = tram_rope_frequency(attr->rope.theta, i, d);
	l->arg->plan = frequency;
	l->arg->dim[0] = x->dim[1];
	l->arg->dim[1] = attr->rope.heads;
	l->arg->dim[2] = attr->rope.rotated;
	l->arg->dim[3] = d;
	return tram_cpu_phase(l, chunk_fn(l), (uint64_t)x->dim[0] * x->dim[1], CHUNK / x->dim[2]);
}

static int lower_attention_cached(struct tram_cpu_lower *l)
{
	uint64_t tokens = cache_dims(l);

	return tram_cpu_phase(l, chunk_fn(l), tokens * l->arg->dim[1], 1);
}

/* --- table ------------------------------------------------------------------------------------- */

static const struct {
	int (*lower)(struct tram_cpu_lower *l);
	uint64_t (*scratch)(const struct tram_cpu_class *c, const struct tram_signature *sig);
} lowerings[TRAM_OP_COUNT] = {
	[TRAM_OP_MATMUL] = { tram_cpu_lower_matmul, tram_cpu_scratch_matmul },
	[TRAM_OP_EW] = { lower_ew },
	[TRAM_OP_REDUCE] = { lower_reduce },
	[TRAM_OP_SOFTMAX] = { lower_rows },
	[TRAM_OP_SOFTMAX_BWD] = { lower_rows },
	[TRAM_OP_LAYERNORM] = { lower_rows },
	[TRAM_OP_LAYERNORM_BWD_X] = { lower_rows },
	[TRAM_OP_LAYERNORM_BWD_P] = { lower_layernorm_bwd_p },
	[TRAM_OP_ARGMAX] = { lower_rows },
	[TRAM_OP_ISFINITE] = { lower_isfinite },
	[TRAM_OP_TREE_SUM] = { lower_tree_sum },
	[TRAM_OP_TRANSPOSE] = { lower_transpose },
	[TRAM_OP_SLICE] = { lower_slice },
	[TRAM_OP_CONCAT] = { lower_concat },
	[TRAM_OP_EMBEDDING] = { lower_embedding },
	[TRAM_OP_EMBEDDING_BWD] = { lower_embedding_bwd },
	[TRAM_OP_ROPE] = { lower_rope },
	[TRAM_OP_ATTENTION] = { tram_cpu_lower_attention, tram_cpu_scratch_attention },
	[TRAM_OP_ATTENTION_DELTA] = { lower_attention_delta },
	[TRAM_OP_ATTENTION_BWD] = { tram_cpu_lower_attention_bwd, tram_cpu_scratch_attention_bwd },
	[TRAM_OP_KV_APPEND] = { lower_kv_append },
	[TRAM_OP_ATTENTION_CACHED] = { lower_attention_cached },
	[TRAM_OP_XENT_PARTIAL] = { lower_rows },
	[TRAM_OP_XENT_FINAL] = { lower_xent_final },
	[TRAM_OP_XENT_GRAD] = { lower_rows },
	[TRAM_OP_PACK] = { lower_pack },
	[TRAM_OP_STATS_PARTIAL] = { lower_stats_partial },
	[TRAM_OP_STATS_FINAL] = { lower_stats_final },
	[TRAM_OP_ADAMW] = { lower_flat },
	[TRAM_OP_SGD] = { lower_flat },
	[TRAM_OP_COPY] = { lower_copy },
};

uint64_t tram_cpu_scratch(const struct tram_machine_device *self,
			  const struct tram_signature *sig)
{
	return lowerings[sig->op].scratch ? lowerings[sig->op].scratch(self->kernels, sig) : 0;
}

/* --- programs ------------------------------------------------------------------------------------ */

static void *address(const struct tram_operand *o)
{
	return o->buf ? (char *)o->buf->map + o->offset : NULL;
}

/* The call's argument block, its operands' addresses behind it. */
static int make_arg(struct tram_cpu_lower *l)
{
	const struct tram_call *call = l->call;
	union tram_attr *attr;
	void **ends;

	l->arg = tram_cpu_block(l, sizeof(*l->arg));
	ends = tram_cpu_block(l, (call->n_in + call->n_out) * sizeof(*ends));
	attr = tram_cpu_block(l, sizeof(*attr));
	if (!l->arg || !ends || !attr)
		return -ENOMEM;
	for (uint32_t i = 0; i < call->n_in; i++)
		ends[i] = address(&call->in[i]);
	for (uint32_t i = 0; i < call->n_out; i++)
		ends[call->n_in + i] = address(&call->out[i]);
	if (call->attr)
		*attr = *call->attr;
	*l->arg = (struct tram_cpu_arg){
		.isa = l->isa, .step = l->step, .in = ends, .out = ends + call->n_in,
		.n_in = call->n_in, .n_out = call->n_out, .attr = attr,
		.shared = address(&call->scratch), .own = address(&call->scratch),
	};
	return 0;
}

int tram_cpu_program_create(struct tram_device *dev, const struct tram_call *calls, size_t n,
			    struct tram_buffer *step, uint64_t step_offset, bool timed,
			    struct tram_program **out)
{
	struct tram_program *p;
	struct tram_cpu_lower l = {
		.ctx = dev->ctx, .tiles = tram_cpu_tiles_of(dev), .isa = tram_cpu_isa_of(dev),
		.step = step ? (const struct tram_step *)((char *)step->map + step_offset) : NULL,
	};
	int r = 0;

	*out = NULL;
	p = tram_zalloc(dev->ctx, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->dev = dev;
	p->n_calls = n;
	l.prog = p;
	if (timed) {
		p->spans = tram_calloc(dev->ctx, n ? n : 1, sizeof(*p->spans));
		if (!p->spans)
			r = -ENOMEM;
	}
	for (size_t i = 0; i < n && !r; i++) {
		if ((uint32_t)calls[i].op >= TRAM_OP_COUNT || !lowerings[calls[i].op].lower) {
			r = tram_fail(dev->ctx, -ENOTSUP, "cpu device: call %zu is op %d, which is no "
				      "kernel op; expand the graph first", i, (int)calls[i].op);
			break;
		}
		l.call = &calls[i];
		l.index = (uint32_t)i;
		if (timed)
			p->spans[i].tag = calls[i].tag;
		r = make_arg(&l);
		if (!r)
			r = lowerings[calls[i].op].lower(&l);
	}
	if (r) {
		tram_cpu_program_destroy(p);
		return r;
	}
	*out = p;
	return 0;
}

void tram_cpu_program_destroy(struct tram_program *p)
{
	struct tram_ctx *ctx;

	if (!p)
		return;
	ctx = p->dev->ctx;
	for (size_t i = 0; i < p->blocks.n; i++)
		tram_free(ctx, p->blocks.v[i]);
	tram_vec_free(ctx, &p->blocks);
	tram_vec_free(ctx, &p->phases);
	tram_free(ctx, p->spans);
	tram_free(ctx, p);
}

void tram_cpu_program_run(struct tram_program *p, struct tram_cpu_pool *pool)
{
	uint64_t now = p->spans ? tram_now_ns() : 0;
	size_t i = 0;

	if (!p->spans) {
		for (; i < p->phases.n; i++)
			tram_cpu_pool_run(pool, p->phases.v[i].fn, p->phases.v[i].arg,
					  p->phases.v[i].chunks);
		return;
	}
	for (uint32_t call = 0; call < p->n_calls; call++) {
		p->spans[call].begin_ns = now;
		for (; i < p->phases.n && p->phases.v[i].call == call; i++)
			tram_cpu_pool_run(pool, p->phases.v[i].fn, p->phases.v[i].arg,
					  p->phases.v[i].chunks);
		now = tram_now_ns();
		p->spans[call].end_ns = now;
	}
}
