/* SPDX-License-Identifier: MIT */
/*
 * What a call costs, as far as its shapes tell: the key under which a measured
 * time is kept, and the counts that serve where nothing was measured.
 */
#include "ops/machine.h"

#include "base/hash.h"
#include "ops/dims.h"

/* Words of the key; PACK and CONCAT may have any number of operands. */
struct key { struct tram_xxh3 h; };

static void add(struct key *k, uint64_t word)
{
	tram_xxh3_update(&k->h, &word, sizeof(word));
}

static void add_shapes(struct key *k, const struct tram_shape *s, uint32_t n)
{
	add(k, n);
	for (uint32_t i = 0; i < n; i++) {
		add(k, s[i].rank);
		for (uint32_t j = 0; j < s[i].rank; j++)
			add(k, s[i].dim[j]);
	}
}

/* Numbers that only change values, such as eps, salts and learning rates, stay out. */
static void add_attr(struct key *k, const struct tram_signature *sig)
{
	const union tram_attr *a = sig->attr;

	switch (sig->op) {
	case TRAM_OP_MATMUL:
		add(k, (uint64_t)a->matmul.ta | (uint64_t)a->matmul.tb << 1 |
		       (uint64_t)a->matmul.bias << 2 | (uint64_t)a->matmul.residual << 3);
		break;
	case TRAM_OP_EW:
		add(k, (uint64_t)a->ew.n_in << 32 | a->ew.n_code);
		for (uint32_t i = 0; i < a->ew.n_code; i++)
			add(k, (uint64_t)a->ew.code[i].code << 16 |
			       (uint64_t)a->ew.code[i].a << 8 | a->ew.code[i].b);
		break;
	case TRAM_OP_REDUCE:
		add(k, a->reduce.kind);
		add(k, a->reduce.outer);
		add(k, a->reduce.red);
		add(k, a->reduce.inner);
		break;
	case TRAM_OP_LAYERNORM_BWD_X:
		add(k, (uint64_t)a->norm.rms << 1 | a->norm.add);
		break;
	case TRAM_OP_LAYERNORM_BWD_P:
		add(k, (uint64_t)a->norm.rms << 32 | a->norm.shards);
		break;
	case TRAM_OP_TRANSPOSE:
		for (uint32_t i = 0; i < sig->in[0].rank; i++)
			add(k, a->transpose.perm[i]);
		break;
	case TRAM_OP_SLICE:
		add(k, a->slice.axis);
		break;
	case TRAM_OP_CONCAT:
		add(k, a->concat.axis);
		break;
	case TRAM_OP_EMBEDDING_BWD:
		add(k, (uint64_t)a->embedding.shards << 1 | a->embedding.base);
		break;
	case TRAM_OP_ATTENTION:
	case TRAM_OP_ATTENTION_DELTA:
	case TRAM_OP_ATTENTION_BWD:
	case TRAM_OP_KV_APPEND:
	case TRAM_OP_ATTENTION_CACHED:
		add(k, (uint64_t)a->attention.heads << 32 | a->attention.kv_heads);
		break;
	case TRAM_OP_ROPE:
		add(k, (uint64_t)a->rope.heads << 32 | a->rope.rotated);
		break;
	case TRAM_OP_HEAD_LOSS:
	case TRAM_OP_HEAD_LOSS_BWD:
		add(k, a->head.chunk);
		add(k, (uint64_t)a->head.shards << 1 | a->head.keep);
		break;
	case TRAM_OP_XENT_PARTIAL:
		add(k, a->xent.state);
		break;
	default:
		break;
	}
}

uint64_t tram_signature_hash(const struct tram_signature *sig)
{
	struct key k;

	tram_xxh3_init(&k.h);
	add(&k, sig->op);
	if (sig->attr)
		add_attr(&k, sig);
	add_shapes(&k, sig->in, sig->n_in);
	add_shapes(&k, sig->out, sig->n_out);
	return tram_xxh3_64(&k.h);
}

/* Query-key pairs that a causal mask leaves, times the multiply-adds of @products products. */
static double attention_flops(const struct tram_signature *sig, double products)
{
	struct tram_attention_dims d = tram_attention_dims(&sig->in[0], sig->attr->attention.heads,
							   sig->attr->attention.kv_heads);
	double pairs = (double)d.t * (d.t + 1) / 2;

	if (sig->op == TRAM_OP_ATTENTION_CACHED)
		pairs = (double)d.t * sig->in[1].dim[1];
	return 2 * products * d.b * d.h * pairs * d.d;
}

static double matmul_flops(const struct tram_signature *sig)
{
	struct tram_matmul_dims d = tram_matmul_dims(&sig->in[0], &sig->in[1], sig->attr->matmul.ta,
						     sig->attr->matmul.tb);

	return 2.0 * d.nb * d.m * d.n * d.k;
}

void tram_signature_work(const struct tram_signature *sig, double *flops, double *bytes)
{
	double in = 0, out = 0;

	for (uint32_t i = 0; i < sig->n_in; i++)
		in += (double)tram_shape_count(&sig->in[i]);
	for (uint32_t i = 0; i < sig->n_out; i++)
		out += (double)tram_shape_count(&sig->out[i]);
	*flops = in + out;
	*bytes = 4 * (in + out);

	switch (sig->op) {
	case TRAM_OP_MATMUL:
		*flops = matmul_flops(sig);
		break;
	case TRAM_OP_EW:
		*flops = out * sig->attr->ew.n_code;
		break;
	case TRAM_OP_SOFTMAX:
	case TRAM_OP_SOFTMAX_BWD:
	case TRAM_OP_LAYERNORM:
	case TRAM_OP_LAYERNORM_BWD_X:
	case TRAM_OP_LAYERNORM_BWD_P:
		*flops = 8 * (double)tram_shape_count(&sig->in[0]);
		break;
	case TRAM_OP_ATTENTION:
	case TRAM_OP_ATTENTION_CACHED:
		*flops = attention_flops(sig, 2);
		break;
	case TRAM_OP_ATTENTION_BWD:
		*flops = attention_flops(sig, 5);
		break;
	case TRAM_OP_HEAD_LOSS:
		*flops = 2.0 * sig->in[0].dim[0] * sig->in[0].dim[1] * sig->in[1].dim[0];
		break;
	case TRAM_OP_HEAD_LOSS_BWD:
		*flops = 6.0 * sig->in[0].dim[0] * sig->in[0].dim[1] * sig->in[1].dim[0];
		break;
	case TRAM_OP_EMBEDDING:
		/* Of the table, only the rows that are looked up. */
		*flops = 0;
		*bytes = 4 * (2 * out + 2 * (double)tram_shape_count(&sig->in[1]));
		break;
	case TRAM_OP_KV_APPEND:
		*flops = 0;
		*bytes = 4 * 2 * (double)tram_shape_count(&sig->in[0]);
		break;
	case TRAM_OP_SLICE:
		*flops = 0;
		*bytes = 4 * 2 * out;
		break;
	case TRAM_OP_ADAMW:
		*flops = 16 * (double)tram_shape_count(&sig->in[0]);
		break;
	case TRAM_OP_TRANSPOSE:
	case TRAM_OP_CONCAT:
	case TRAM_OP_PACK:
	case TRAM_OP_COPY:
		*flops = 0;
		break;
	default:
		break;
	}
}
