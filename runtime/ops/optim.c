/* SPDX-License-Identifier: MIT */
/*
 * The end of a step over flat tensors: norm and finiteness of the gradient
 * (STATS_*), AdamW (Loshchilov & Hutter 2019, as torch.optim.AdamW computes
 * it) and SGD with momentum. The update ops write in place, and only when the
 * step's gate is open.
 */
#include "ops/ops.h"

#include <math.h>

/* --- gradient statistics ----------------------------------------------------------- */

tram_value tram_grad_stats(struct tram_graph *g, tram_value flat)
{
	tram_value partial = tram_graph_node1(g, TRAM_OP_STATS_PARTIAL, &flat, 1, NULL);

	return tram_graph_node1(g, TRAM_OP_STATS_FINAL, &partial, 1, NULL);
}

int tram_shape_stats_partial(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			     const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "stats_partial", in, n_in, "f");
	uint64_t n;

	if (r)
		return r;
	n = tram_shape_count(tram_shape_of(g, in[0]));
	tram_shapes_add(out, TRAM_F32, TRAM_SHAPE((uint32_t)TRAM_DIV_UP(n, TRAM_STATS_CHUNK), 2));
	return 0;
}

int tram_shape_stats_final(struct tram_graph *g, const tram_value *in, uint32_t n_in,
			   const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "stats_final", in, n_in, "f");
	struct tram_shape s;

	if (r)
		return r;
	s = *tram_shape_of(g, in[0]);
	r = tram_check_shape(g, "stats_final", in[0], "partial", TRAM_SHAPE(s.dim[0], 2));
	if (!r)
		tram_shapes_add(out, TRAM_F32, TRAM_SHAPE(4));
	return r;
}

int tram_oracle_stats_partial(const struct tram_oracle_tensor *in, uint32_t n_in,
			      struct tram_oracle_tensor *out, uint32_t n_out,
			      const union tram_attr *attr, const struct tram_step *step)
{
	size_t n = tram_shape_count(&in[0].shape);

	for (size_t k = 0; k < out[0].shape.dim[0]; k++) {
		size_t end = TRAM_MIN(n, (k + 1) * TRAM_STATS_CHUNK);
		double sum = 0, finite = 1;

		for (size_t i = k * TRAM_STATS_CHUNK; i < end; i++) {
			sum += in[0].f[i] * in[0].f[i];
			finite = isfinite(in[0].f[i]) ? finite : 0;
		}
		out[0].f[2 * k] = sum;
		out[0].f[2 * k + 1] = finite;
	}
	return 0;
}

int tram_oracle_stats_final(const struct tram_oracle_tensor *in, uint32_t n_in,
			    struct tram_oracle_tensor *out, uint32_t n_out,
			    const union tram_attr *attr, const struct tram_step *step)
{
	double sum = 0, finite = 1;

	for (size_t k = 0; k < in[0].shape.dim[0]; k++) {
		sum += in[0].f[2 * k];
		finite *= in[0].f[2 * k + 1];
	}
	out[0].f[0] = sum;
	out[0].f[1] = finite;
	out[0].f[2] = sqrt(sum);
	out[0].f[3] = 0;
	return 0;
}

/* --- updates -------------------------------------------------------------------------- */

static int check_phase(struct tram_graph *g, const char *who)
{
	if (g->status || g->phase == TRAM_PHASE_UPDATE)
		return g->status;
	return tram_graph_error(g, -EINVAL, "%s: belongs to the update; call tram_graph_begin_update "
				"first", who);
}

static int check_number(struct tram_graph *g, const char *who, const char *what, float x, float end)
{
	if (x >= 0 && x < end)
		return 0;
	return tram_graph_error(g, -EINVAL, "%s: %s is %g, it must be in [0, %g)", who, what, (double)x,
				(double)end);
}

int tram_adamw(struct tram_graph *g, tram_value params, tram_value m, tram_value v, tram_value grads,
	       tram_value stats, const struct tram_adamw_params *p)
{
	tram_value in[5] = { params, m, v, grads, stats };
	union tram_attr attr = { 0 };
	int r = check_phase(g, "tram_adamw");

	if (!r)
		r = check_number(g, "tram_adamw", "beta1", p->beta1, 1);
	if (!r)
		r = check_number(g, "tram_adamw", "beta2", p->beta2, 1);
	if (!r)
		r = check_number(g, "tram_adamw", "eps", p->eps, INFINITY);
	if (!r)
		r = check_number(g, "tram_adamw", "weight_decay", p->weight_decay, INFINITY);
	if (!r)
		r = check_number(g, "tram_adamw", "clip", p->clip, INFINITY);
	if (r)
		return r;
	attr.opt.beta1 = p->beta1;
	attr.opt.beta2 = p->beta2;
	attr.opt.eps = p->eps;
	attr.opt.weight_decay = p->weight_decay;
	attr.opt.clip = p->clip;
	attr.opt.decay_count = p->decay_count;
	r = tram_graph_node(g, TRAM_OP_ADAMW, in, 5, &attr);
	return r < 0 ? r : 0;
}

int tram_sgd(struct tram_graph *g, tram_value params, tram_value momentum, tram_value grads,
	     tram_value stats, const struct tram_sgd_params *p)
{
	tram_value in[4] = { params, momentum, grads, stats };
	union tram_attr attr = { 0 };
	int r = check_phase(g, "tram_sgd");

	if (!r)
		r = check_number(g, "tram_sgd", "momentum", p->momentum, INFINITY);
	if (!r)
		r = check_number(g, "tram_sgd", "weight_decay", p->weight_decay, INFINITY);
	if (!r)
		r = check_number(g, "tram_sgd", "clip", p->clip, INFINITY);
	if (r)
		return r;
	attr.opt.momentum = p->momentum;
	attr.opt.weight_decay = p->weight_decay;
	attr.opt.clip = p->clip;
	attr.opt.decay_count = p->decay_count;
	r = tram_graph_node(g, TRAM_OP_SGD, in, 4, &attr);
	return r < 0 ? r : 0;
}

/* @n_flat tensors of one length, then stats [4]; each updated one keeps its shape. */
static int check_update(struct tram_graph *g, const char *who, const tram_value *in,
			uint32_t n_flat, uint32_t n_updated, const union tram_attr *attr,
			struct tram_shapes *out)
{
	uint64_t n = tram_shape_count(tram_shape_of(g, in[0]));

	for (uint32_t i = 1; i < n_flat; i++)
		if (tram_shape_count(tram_shape_of(g, in[i])) != n)
			return tram_graph_error(g, -EINVAL, "%s: operand %u has %llu elements, the "
						"parameters have %llu", who, i,
						(unsigned long long)
						tram_shape_count(tram_shape_of(g, in[i])),
						(unsigned long long)n);
	if (attr->opt.decay_count > n)
		return tram_graph_error(g, -EINVAL, "%s: decay_count %llu, limit %llu parameters", who,
					(unsigned long long)attr->opt.decay_count,
					(unsigned long long)n);
	for (uint32_t i = 0; i < n_updated; i++)
		for (uint32_t j = 0; j < i; j++) {
			uint64_t first;

			if (tram_graph_root(g, in[i], &first) == tram_graph_root(g, in[j], &first))
				return tram_graph_error(g, -EINVAL, "%s: operands %u and %u are one "
							"variable", who, j, i);
		}
	for (uint32_t i = 0; i < n_updated; i++)
		tram_shapes_add(out, TRAM_F32, *tram_shape_of(g, in[i]));
	return tram_check_shape(g, who, in[n_flat], "stats", TRAM_SHAPE(4));
}

int tram_shape_adamw(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		     const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "adamw", in, n_in, "fffff");

	return r ? r : check_update(g, "adamw", in, 4, 3, attr, out);
}

int tram_shape_sgd(struct tram_graph *g, const tram_value *in, uint32_t n_in,
		   const union tram_attr *attr, struct tram_shapes *out)
{
	int r = tram_check_operands(g, "sgd", in, n_in, "ffff");

	return r ? r : check_update(g, "sgd", in, 3, 2, attr, out);
}

/* As torch.nn.utils.clip_grad_norm_ scales. */
static double clip_factor(const union tram_attr *attr, const double *stats)
{
	return attr->opt.clip > 0 ? fmin(1, (double)attr->opt.clip / (stats[2] + 1e-6)) : 1;
}

int tram_oracle_adamw(const struct tram_oracle_tensor *in, uint32_t n_in,
		      struct tram_oracle_tensor *out, uint32_t n_out,
		      const union tram_attr *attr, const struct tram_step *step)
{
	double scale = clip_factor(attr, in[4].f), lr = step->lr;
	double beta1 = attr->opt.beta1, beta2 = attr->opt.beta2;
	size_t n = tram_shape_count(&in[0].shape);

	if (!step->commit)
		return 0;
	for (size_t i = 0; i < n; i++) {
		double p = in[0].f[i], g = in[3].f[i] * scale, denom;

		if (i < attr->opt.decay_count)
			p -= lr * (double)attr->opt.weight_decay * p;
		out[1].f[i] = beta1 * in[1].f[i] + (1 - beta1) * g;
		out[2].f[i] = beta2 * in[2].f[i] + (1 - beta2) * g * g;
		denom = sqrt(out[2].f[i]) / sqrt(step->bias_correction2) + (double)attr->opt.eps;
		out[0].f[i] = p - lr / (double)step->bias_correction1 * out[1].f[i] / denom;
	}
	return 0;
}

int tram_oracle_sgd(const struct tram_oracle_tensor *in, uint32_t n_in,
		    struct tram_oracle_tensor *out, uint32_t n_out,
		    const union tram_attr *attr, const struct tram_step *step)
{
	double scale = clip_factor(attr, in[3].f);
	size_t n = tram_shape_count(&in[0].shape);

	if (!step->commit)
		return 0;
	for (size_t i = 0; i < n; i++) {
		double g = in[2].f[i] * scale;

		if (i < attr->opt.decay_count)
			g += (double)attr->opt.weight_decay * in[0].f[i];
		out[1].f[i] = (double)attr->opt.momentum * in[1].f[i] + g;
		out[0].f[i] = in[0].f[i] - (double)step->lr * out[1].f[i];
	}
	return 0;
}
