/* SPDX-License-Identifier: MIT */
/*
 * Models without their graphs: presets, the layout of the flat variable,
 * initialisation, reading and writing of weights. graph.c builds the graphs.
 */
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "format/gguf.h"
#include "format/safetensors.h"

static const struct tram_preset presets[];
static size_t n_presets(void);

/* --- opening --------------------------------------------------------------- */

static const struct tram_model_family *const families[] = { &tram_gpt2_family, &tram_llama_family };

static const struct tram_preset *find_preset(const char *name)
{
	for (size_t i = 0; i < n_presets(); i++)
		if (!strcmp(presets[i].name, name))
			return &presets[i];
	return NULL;
}

static void preset_config(struct tram_model *m, const struct tram_preset *p, uint32_t vocab,
			  uint32_t seq)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(families); i++)
		if (!strcmp(families[i]->name, p->family))
			m->family = families[i];
	m->cfg.family = m->family->hf;
	m->family->preset(p, vocab ? vocab : p->vocab, seq ? seq : p->seq, &m->cfg);
}

static int folder_config(struct tram_model *m, const char *dir)
{
	bool gguf = tram_gguf_is(dir);
	char *path = gguf ? NULL : tram_asprintf(m->ctx, "%s/config.json", dir);
	int r;

	if (!gguf && !path)
		return -ENOMEM;
	r = gguf ? tram_model_gguf_config(m->ctx, dir, &m->cfg) :
		   tram_hf_config_read(m->ctx, path, &m->cfg);
	tram_free(m->ctx, path);
	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(families); i++)
		if (families[i]->hf == m->cfg.family)
			m->family = families[i];
	return r;
}

static int unknown_model(struct tram_ctx *ctx, int r, const char *spec)
{
	char names[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < n_presets() && n < sizeof(names); i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "",
				      presets[i].name);
	return tram_fail(ctx, r, "model %s: neither a preset (%s) nor a folder with config.json "
			 "nor a GGUF file", spec, names);
}

static int read_config(struct tram_model *m, const char *spec, uint32_t vocab, uint32_t seq)
{
	const struct tram_preset *p = find_preset(spec);
	int r;

	if (p) {
		preset_config(m, p, vocab, seq);
		m->family->numbers(m);
		return 0;
	}
	r = folder_config(m, spec);
	if (r == -ENOENT && !strchr(spec, '/'))
		return unknown_model(m->ctx, r, spec);
	if (r)
		return r;
	m->family->numbers(m);
	if (vocab > m->vocab)
		return tram_fail(m->ctx, -EINVAL, "model %s: vocab_size is %u, but the tokenizer has "
				 "%u entries; use the tokenizer that the model was made with",
				 spec, m->vocab, vocab);
	if (seq > m->max_seq)
		return tram_fail(m->ctx, -EINVAL, "model %s: %s is %u, but sequences of %u tokens "
				 "were asked for; use --seq %u or less", spec,
				 m->family->positions_field, m->max_seq, seq, m->max_seq);
	return 0;
}

/* What the kernels can run, beyond what a config file may say. */
static int check_config(const struct tram_model *m, const char *spec)
{
	int r = tram_hf_config_check(m->ctx, spec, &m->cfg);

	if (r)
		return r;
	if (m->head_dim % 4 || m->head_dim > 128)
		return tram_fail(m->ctx, -EINVAL, "model %s: a head has %u elements; multiples of 4 "
				 "up to 128 are supported: choose %s is one", spec, m->head_dim,
				 m->family->heads_field);
	return 0;
}

bool tram_name_ends(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* The family's tensors in Hugging Face's order, without places. */
static int list_tensors(struct tram_model *m)
{
	size_t n = tram_hf_tensor_count(&m->cfg);
	int r = tram_vec_reserve(m->ctx, &m->tensors, n);

	for (size_t i = 0; !r && i < n; i++) {
		struct tram_gpt2_tensor g;
		struct tram_model_tensor t = { 0 };

		tram_hf_tensor_at(&m->cfg, i, &g);
		t.name = tram_strdup(m->ctx, g.name);
		if (!t.name)
			return -ENOMEM;
		t.shape.rank = g.ndim;
		for (uint32_t k = 0; k < g.ndim; k++)
			t.shape.dim[k] = (uint32_t)g.shape[k];
		t.decays = g.ndim >= 2;
		m->family->describe(m, &t);
		r = tram_vec_push(m->ctx, &m->tensors, t);
	}
	return r;
}

/* Those that decay first, otherwise as they were. */
static int sort_tensors(struct tram_model *m)
{
	struct tram_model_tensor *v = tram_calloc(m->ctx, m->tensors.n, sizeof(*v));
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	for (int decays = 1; decays >= 0; decays--)
		for (size_t i = 0; i < m->tensors.n; i++)
			if (m->tensors.v[i].decays == decays)
				v[n++] = m->tensors.v[i];
	memcpy(m->tensors.v, v, n * sizeof(*v));
	tram_free(m->ctx, v);
	return 0;
}

static void place_tensors(struct tram_model *m)
{
	uint64_t end = 0;

	for (size_t i = 0; i < m->tensors.n; i++) {
		struct tram_model_tensor *t = &m->tensors.v[i];
		uint64_t n = tram_shape_count(&t->shape);

		t->first = t->joined ? end : TRAM_ALIGN_UP(end, (uint64_t)TRAM_MODEL_ALIGN);
		end = t->first + n;
		m->parameters += n;
		m->flat = TRAM_ALIGN_UP(end, (uint64_t)TRAM_MODEL_ALIGN);
		if (t->decays)
			m->decay_count = m->flat;
	}
}

int tram_model_open(struct tram_ctx *ctx, const char *spec, uint32_t vocab, uint32_t seq,
		    struct tram_model **model)
{
	struct tram_model *m;
	int r;

	*model = NULL;
	m = tram_zalloc(ctx, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->ctx = ctx;
	r = read_config(m, spec, vocab, seq);
	if (!r)
		r = check_config(m, spec);
	if (!r)
		r = list_tensors(m);
	if (!r)
		r = sort_tensors(m);
	if (r) {
		tram_model_close(&m);
		return r;
	}
	place_tensors(m);
	*model = m;
	return 0;
}

void tram_model_close(struct tram_model **model)
{
	struct tram_model *m = *model;

	*model = NULL;
	if (!m)
		return;
	for (size_t i = 0; i < m->tensors.n; i++)
		tram_free(m->ctx, m->tensors.v[i].name);
	tram_vec_free(m->ctx, &m->tensors);
	tram_free(m->ctx, m);
}

int tram_model_set_dropout(struct tram_model *m, float p)
{
	if (!(p >= 0 && p < 1))
		return tram_fail(m->ctx, -EINVAL, "dropout %g: must be at least 0 and below 1", p);
	m->dropout = p;
	m->family->set_dropout(&m->cfg, p);
	return 0;
}

void tram_model_info(const struct tram_model *m, struct tram_model_info *info)
{
	*info = (struct tram_model_info){
		.family = m->family->name, .vocab = m->vocab, .max_seq = m->max_seq,
		.width = m->width, .layers = m->layers, .heads = m->heads,
		.kv_heads = m->kv_heads, .parameters = m->parameters, .flat = m->flat,
		.decay_count = m->decay_count, .tensors = (uint32_t)m->tensors.n,
		.dropout = m->dropout, .head_dim = m->head_dim,
	};
}

/* --- tensors ----------------------------------------------------------------- */

int tram_model_index(const struct tram_model *m, const char *name)
{
	for (size_t i = 0; i < m->tensors.n; i++)
		if (!strcmp(m->tensors.v[i].name, name))
			return (int)i;
	return -1;
}

const struct tram_model_tensor *tram_model_find(const struct tram_model *m, const char *name)
{
	int i = tram_model_index(m, name);

	return i < 0 ? NULL : &m->tensors.v[i];
}

bool tram_model_tensor(const struct tram_model *m, uint32_t i, struct tram_tensor_info *info)
{
	const struct tram_model_tensor *t;

	if (i >= m->tensors.n)
		return false;
	t = &m->tensors.v[i];
	*info = (struct tram_tensor_info){ t->name, t->shape, t->first, t->decays };
	return true;
}

/* --- weights --------------------------------------------------------------------- */

/* Box and Muller 1958, from one Philox block an element pair: the same on any host. */
static void init_normal(float *v, uint64_t n, float std, uint64_t seed, uint32_t tensor)
{
	for (uint64_t i = 0; i < n; i += 2) {
		struct tram_philox r = tram_philox((uint32_t)i, (uint32_t)(i >> 32), tensor,
						   0x696e6974, (uint32_t)seed,
						   (uint32_t)(seed >> 32));
		double u = ((double)r.v[0] + 1) * 0x1p-32;	/* (0, 1] */
		double a = 2 * M_PI * (double)r.v[1] * 0x1p-32;
		double len = sqrt(-2 * log(u)) * std;

		v[i] = (float)(len * cos(a));
		if (i + 1 < n)
			v[i + 1] = (float)(len * sin(a));
	}
}

void tram_model_init(const struct tram_model *m, uint64_t seed, float *flat)
{
	memset(flat, 0, m->flat * sizeof(*flat));
	for (size_t i = 0; i < m->tensors.n; i++) {
		const struct tram_model_tensor *t = &m->tensors.v[i];
		uint64_t n = tram_shape_count(&t->shape);

		if (t->init == TRAM_INIT_NORMAL)
			init_normal(flat + t->first, n, t->std, seed, (uint32_t)i);
		else if (t->init == TRAM_INIT_ONE)
			for (uint64_t j = 0; j < n; j++)
				flat[t->first + j] = 1;
	}
}

static bool has_shape(const struct tram_st_tensor *s, const struct tram_shape *want)
{
	bool same = s->ndim == want->rank;

	for (uint32_t i = 0; same && i < want->rank; i++)
		same = s->shape[i] == want->dim[i];
	return same;
}

static int load_tensor(const struct tram_model *m, struct tram_safetensors *st,
		       const char *prefix, const struct tram_model_tensor *t, float *flat)
{
	char name[160], want[TRAM_SHAPE_TEXT];
	const struct tram_st_tensor *s;

	snprintf(name, sizeof(name), "%s%s", prefix, t->name);
	s = *prefix ? tram_safetensors_find(st, name) :
		      tram_hf_find(m->family->hf, st, name);
	tram_shape_text(&t->shape, want);
	if (!s)
		return tram_fail(m->ctx, -EINVAL, "%s: tensor %s is missing; the model needs it "
				 "with shape %s", tram_safetensors_name(st), name, want);
	if (!has_shape(s, &t->shape))
		return tram_fail(m->ctx, -EINVAL, "%s: tensor %s has another shape than %s, "
				 "which the model needs", tram_safetensors_name(st), name, want);
	return tram_safetensors_read_f32(m->ctx, st, s, 0, flat + t->first, s->n);
}

int tram_model_load_prefixed(const struct tram_model *m, const char *path, const char *prefix,
			     float *flat)
{
	struct tram_safetensors *st;
	int r = tram_safetensors_open(m->ctx, path, &st);

	if (r)
		return r;
	memset(flat, 0, m->flat * sizeof(*flat));
	for (size_t i = 0; !r && i < m->tensors.n; i++)
		r = load_tensor(m, st, prefix, &m->tensors.v[i], flat);
	tram_safetensors_close(m->ctx, &st);
	return r;
}

int tram_model_load(const struct tram_model *m, const char *path, float *flat)
{
	return tram_gguf_is(path) ? tram_model_gguf_load(m, path, flat) :
				    tram_model_load_prefixed(m, path, "", flat);
}

int tram_model_save_prefixed(const struct tram_model *m, const char *path, size_t n,
			     const char *const *prefix, const float *const *flat)
{
	struct tram_st_writer *w = NULL;
	int r = tram_st_writer_create(m->ctx, path, true, &w);

	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; !r && i < m->tensors.n; i++) {
			const struct tram_model_tensor *t = &m->tensors.v[i];
			uint64_t shape[TRAM_MAX_RANK];
			char name[160];

			for (uint32_t d = 0; d < t->shape.rank; d++)
				shape[d] = t->shape.dim[d];
			snprintf(name, sizeof(name), "%s%s", prefix[k], t->name);
			r = tram_st_writer_add(m->ctx, w, name, TRAM_ST_F32, t->shape.rank,
					       shape);
		}
	if (!r)
		r = tram_st_writer_meta(m->ctx, w, "format", "pt");
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; !r && i < m->tensors.n; i++) {
			const struct tram_model_tensor *t = &m->tensors.v[i];

			r = tram_st_writer_write(m->ctx, w, flat[k] + t->first,
						 tram_shape_count(&t->shape) * sizeof(float));
		}
	if (r) {
		tram_st_writer_abort(m->ctx, &w);
		return r;
	}
	return tram_st_writer_commit(m->ctx, &w);
}

int tram_model_save(const struct tram_model *m, const float *flat, const char *path)
{
	return tram_model_save_prefixed(m, path, 1, (const char *const[]){ "" }, &flat);
}

int tram_model_save_config(const struct tram_model *m, const char *path)
{
	return tram_hf_config_write(m->ctx, path, &m->cfg);
}

static int by_name(const void *a, const void *b)
{
	const struct tram_model_tensor *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static const struct tram_model_tensor **sorted_tensors(const struct tram_model *m)
{
	const struct tram_model_tensor **v = tram_calloc(m->ctx, m->tensors.n, sizeof(*v));

	if (!v)
		return NULL;
	for (size_t i = 0; i < m->tensors.n; i++)
		v[i] = &m->tensors.v[i];
	qsort(v, m->tensors.n, sizeof(*v), by_name);
	return v;
}

int tram_model_sha256(const struct tram_model *m, const float *flat, char hex[65])
{
	const struct tram_model_tensor **v = sorted_tensors(m);
	struct tram_sha256 h;

	hex[0] = 0;
	if (!v)
		return -ENOMEM;
	tram_sha256_init(&h);
	for (size_t i = 0; i < m->tensors.n; i++)
		tram_sha256_update(&h, flat + v[i]->first,
				   tram_shape_count(&v[i]->shape) * sizeof(float));
	tram_sha256_final_hex(&h, hex);
	tram_free(m->ctx, v);
	return 0;
}

/* --- presets ------------------------------------------------------------------------ */

static const struct tram_preset presets[] = {
	/* name, layers, heads, width, seq, vocab, family, kv_heads, inner */
	{ "nano", 2, 2, 64, 64, 256, "gpt2", 2, 256 },
	{ "micro", 4, 4, 128, 128, 256, "gpt2", 4, 512 },
	{ "mini", 6, 6, 384, 256, 256, "gpt2", 6, 1536 },
	{ "small", 8, 8, 512, 512, 8192, "gpt2", 8, 2048 },
	{ "gpt2", 12, 12, 768, 1024, 50257, "gpt2", 12, 3072 },
	{ "llama-nano", 2, 4, 64, 64, 256, "llama", 2, 176 },
	{ "llama-micro", 4, 4, 128, 128, 256, "llama", 2, 352 },
	{ "stories15m", 6, 6, 288, 256, 32000, "llama", 6, 768 },
};

static size_t n_presets(void)
{
	return TRAM_ARRAY_SIZE(presets);
}

const struct tram_preset *tram_model_presets(size_t *n)
{
	*n = n_presets();
	return presets;
}
