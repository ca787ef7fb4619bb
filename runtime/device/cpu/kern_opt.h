/* SPDX-License-Identifier: MIT */
/*
 * Optimizers, elementwise over flat tensors. They run behind the commit gate:
 * with the gate closed the new version is the old one. Formulas:
 * torch.optim.AdamW (Loshchilov & Hutter, "Decoupled weight decay
 * regularization", 2019) and torch.optim.SGD; clipping: torch.nn.utils.clip_grad_norm_.
 */

static float clip_factor(const struct tram_cpu_arg *a, const float *stats)
{
	float clip = a->attr->opt.clip, f;

	if (clip <= 0.0f)
		return 1.0f;
	f = clip / (stats[2] + 1e-6f);
	return f < 1.0f ? f : 1.0f;
}

/* Outputs that don't share the storage of their inputs still become the version before. */
static void keep_version(const struct tram_cpu_arg *a, uint64_t first, size_t n)
{
	for (uint32_t k = 0; k < a->n_out; k++)
		if (a->out[k] != a->in[k])
			memcpy((float *)a->out[k] + first, (const float *)a->in[k] + first,
			       n * sizeof(float));
}

/* params, m, v, grads, stats -> params', m', v' */
static void op_adamw(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const struct tram_step *s = a->step;
	const float *p = a->in[0], *m = a->in[1], *v = a->in[2], *g = a->in[3];
	float *po = a->out[0], *mo = a->out[1], *vo = a->out[2];
	uint64_t i = chunk * a->per, end = tram_cpu_chunk_end(a, chunk);
	float beta1 = a->attr->opt.beta1, beta2 = a->attr->opt.beta2, scale;
	float step_size = s->lr / s->bias_correction1;
	float inv_root = 1.0f / sqrtf(s->bias_correction2);
	float decay = 1.0f - s->lr * a->attr->opt.weight_decay;

	if (!s->commit) {
		keep_version(a, i, (size_t)(end - i));
		return;
	}
	scale = clip_factor(a, a->in[4]);
	while (i < end) {
		bool decays = i < a->attr->opt.decay_count;
		uint64_t stop = decays ? TRAM_MIN(end, a->attr->opt.decay_count) : end;
		float keep = decays ? decay : 1.0f;

		for (; i < stop; i += VL) {
			size_t n = (size_t)TRAM_MIN(stop - i, (uint64_t)VL);
			vf gi = row_load(g + i, n) * scale;
			vf mi = vfma(gi, vset(1.0f - beta1), row_load(m + i, n) * beta1);
			vf vv = vfma(gi * gi, vset(1.0f - beta2), row_load(v + i, n) * beta2);
			vf denom = vfma(vsqrt(vv), vset(inv_root), vset(a->attr->opt.eps));
			vf pi = row_load(p + i, n) * keep;

			row_store(po + i, pi - step_size * mi / denom, n);
			row_store(mo + i, mi, n);
			row_store(vo + i, vv, n);
		}
		i = stop;
	}
}

/* params, momentum, grads, stats -> params', momentum' */
static void op_sgd(const void *arg, uint64_t chunk, unsigned int worker)
{
	const struct tram_cpu_arg *a = arg;
	const float *p = a->in[0], *b = a->in[1], *g = a->in[2];
	float *po = a->out[0], *bo = a->out[1];
	uint64_t i = chunk * a->per, end = tram_cpu_chunk_end(a, chunk);
	float lr = a->step->lr, momentum = a->attr->opt.momentum, scale;

	if (!a->step->commit) {
		keep_version(a, i, (size_t)(end - i));
		return;
	}
	scale = clip_factor(a, a->in[3]);
	while (i < end) {
		bool decays = i < a->attr->opt.decay_count;
		uint64_t stop = decays ? TRAM_MIN(end, a->attr->opt.decay_count) : end;
		float decay = decays ? a->attr->opt.weight_decay : 0.0f;

		for (; i < stop; i += VL) {
			size_t n = (size_t)TRAM_MIN(stop - i, (uint64_t)VL);
			vf pi = row_load(p + i, n);
			vf gi = vfma(pi, vset(decay), row_load(g + i, n) * scale);
			vf bi = vfma(row_load(b + i, n), vset(momentum), gi);

			row_store(po + i, vfma(bi, vset(-lr), pi), n);
			row_store(bo + i, bi, n);
		}
		i = stop;
	}
}
