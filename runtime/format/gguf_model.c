/* SPDX-License-Identifier: MIT */
/*
 * Models in GGUF. A family is a row of families[] with a table of names; a '#'
 * in a name is the layer's number. The names are llama.cpp's (gguf-py,
 * constants.py and tensor_mapping.py), the layouts those of its converter
 * (convert_hf_to_gguf.py): GPT-2's Conv1D weights [in, out] are turned; of
 * Llama's queries and keys the rows of a head are put in pairs, because Hugging
 * Face turns row i with row i + D/2 and llama.cpp row 2i with row 2i + 1.
 */
#include "format/gguf_model.h"

#include <stdio.h>

#include "base/sbuf.h"

struct name { const char *hf, *gguf; enum tram_gguf_layout layout; };
struct family {
	const char *arch;
	enum tram_hf_family hf;
	const struct name *names;
	size_t n;
	int (*get)(struct tram_ctx *ctx, const struct tram_gguf *g, struct tram_hf_config *cfg);
	int (*put)(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *path,
		   const struct tram_hf_config *cfg);
};

static const struct family families[2];

/* --- names ------------------------------------------------------------------------- */

/* Whether @name is @pattern with digits for its '#'; these go to @layer. */
static bool match(const char *pattern, const char *name, char layer[12])
{
	size_t n = 0;

	for (; *pattern; pattern++) {
		if (*pattern != '#') {
			if (*name++ != *pattern)
				return false;
			continue;
		}
		while (name[n] >= '0' && name[n] <= '9' && n < 10)
			n++;
		if (!n)
			return false;
		memcpy(layer, name, n);
		layer[n] = '\0';
		name += n;
	}
	return !*name;
}

static const struct family *find_family(const char *arch)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(families); i++)
		if (!strcmp(families[i].arch, arch))
			return &families[i];
	return NULL;
}

bool tram_gguf_place(const char *arch, const char *name, struct tram_gguf_place *p)
{
	const struct family *f = find_family(arch);
	char layer[12] = "";

	for (size_t i = 0; f && i < f->n; i++) {
		const char *hash = strchr(f->names[i].gguf, '#');

		if (!match(f->names[i].hf, name, layer))
			continue;
		if (hash)
			snprintf(p->name, sizeof(p->name), "%.*s%s%s",
				 (int)(hash - f->names[i].gguf), f->names[i].gguf, layer, hash + 1);
		else
			snprintf(p->name, sizeof(p->name), "%s", f->names[i].gguf);
		p->layout = f->names[i].layout;
		return true;
	}
	return false;
}

/* The shape in the file. */
static void place_shape(const struct tram_gguf_place *p, unsigned int ndim, const uint64_t *shape,
			uint64_t out[TRAM_GGUF_MAX_DIMS])
{
	memcpy(out, shape, ndim * sizeof(*shape));
	if (p->layout == TRAM_GGUF_TRANSPOSED && ndim == 2) {
		out[0] = shape[1];
		out[1] = shape[0];
	}
}

bool tram_gguf_fits(const struct tram_gguf_tensor *t, const struct tram_gguf_place *p,
		    unsigned int ndim, const uint64_t *shape)
{
	uint64_t want[TRAM_GGUF_MAX_DIMS];

	if (t->ndim != ndim)
		return false;
	place_shape(p, ndim, shape, want);
	return !memcmp(t->shape, want, ndim * sizeof(*want));
}

/* --- values --------------------------------------------------------------------------- */

/* @v [rows, cols] into @out [cols, rows]. */
static void transpose(const float *v, uint64_t rows, uint64_t cols, float *out)
{
	enum { TILE = 32 };

	for (uint64_t r0 = 0; r0 < rows; r0 += TILE)
		for (uint64_t c0 = 0; c0 < cols; c0 += TILE)
			for (uint64_t r = r0; r < TRAM_MIN(r0 + TILE, rows); r++)
				for (uint64_t c = c0; c < TRAM_MIN(c0 + TILE, cols); c++)
					out[c * rows + r] = v[r * cols + c];
}

int tram_gguf_misfit(struct tram_ctx *ctx, const struct tram_gguf *g, const char *arch,
		     const char *name, unsigned int ndim, const uint64_t *shape)
{
	struct tram_sbuf want = TRAM_SBUF_INIT(ctx), have = TRAM_SBUF_INIT(ctx);
	uint64_t place[TRAM_GGUF_MAX_DIMS];
	const struct tram_gguf_tensor *t;
	struct tram_gguf_place p;
	int r = -ENOMEM;

	if (!tram_gguf_place(arch, name, &p))
		return tram_fail(ctx, -EINVAL, "%s: tensor %s: architecture %s has none of that name",
				 tram_gguf_name(g), name, arch);
	t = tram_gguf_find(g, p.name);
	place_shape(&p, ndim, shape, place);
	for (unsigned int d = 0; d < ndim; d++)
		tram_sbuf_addf(&want, "%s%llu", d ? ", " : "", (unsigned long long)place[d]);
	for (unsigned int d = 0; t && d < t->ndim; d++)
		tram_sbuf_addf(&have, "%s%llu", d ? ", " : "", (unsigned long long)t->shape[d]);
	if (!want.err && !have.err)
		r = t ? tram_fail(ctx, -EINVAL, "%s: tensor %s: shape: [%s], the keys need [%s]",
				  tram_gguf_name(g), p.name, tram_sbuf_str(&have),
				  tram_sbuf_str(&want)) :
			tram_fail(ctx, -EINVAL, "%s: tensor %s: is missing, the keys need [%s]",
				  tram_gguf_name(g), p.name, tram_sbuf_str(&want));
	tram_sbuf_free(&want);
	tram_sbuf_free(&have);
	return r;
}

/* @v [rows, cols] into @out: of every @head rows the two halves interleaved, or that undone. */
static void pair_rows(const float *v, uint64_t rows, uint64_t cols, uint32_t head, bool undo,
		      float *out)
{
	for (uint64_t r = 0; r < rows; r++) {
		uint64_t in = r % head;		/* in Hugging Face's order */
		uint64_t paired = r - in + in % (head / 2) * 2 + in / (head / 2);

		memcpy(out + (undo ? r : paired) * cols, v + (undo ? paired : r) * cols,
		       cols * sizeof(*v));
	}
}

int tram_gguf_load(struct tram_ctx *ctx, const struct tram_gguf *g, const char *arch,
		   const char *name, unsigned int ndim, const uint64_t *shape, uint32_t head,
		   float *out)
{
	const struct tram_gguf_tensor *t;
	struct tram_gguf_place p;
	float *v;
	int r;

	t = tram_gguf_place(arch, name, &p) ? tram_gguf_find(g, p.name) : NULL;
	if (!t || !tram_gguf_fits(t, &p, ndim, shape))
		return tram_gguf_misfit(ctx, g, arch, name, ndim, shape);
	if (p.layout == TRAM_GGUF_AS_IS || ndim != 2)
		return tram_gguf_read_f32(ctx, g, t, 0, out, (size_t)t->n);
	v = tram_calloc(ctx, (size_t)t->n, sizeof(*v));
	if (!v)
		return tram_fail_in(ctx, -ENOMEM, "%s", tram_gguf_name(g));
	r = tram_gguf_read_f32(ctx, g, t, 0, v, (size_t)t->n);
	if (!r && p.layout == TRAM_GGUF_PAIRED)
		pair_rows(v, shape[0], shape[1], head, true, out);
	else if (!r)
		transpose(v, t->shape[0], t->shape[1], out);
	tram_free(ctx, v);
	return r;
}

int tram_gguf_declare(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *arch,
		      const char *name, unsigned int ndim, const uint64_t *shape)
{
	uint64_t place[TRAM_GGUF_MAX_DIMS];
	struct tram_gguf_place p;

	if (!tram_gguf_place(arch, name, &p))
		return tram_fail(ctx, -ENOTSUP, "tensor %s: a GGUF of architecture %s has no place for it",
				 name, arch);
	place_shape(&p, ndim, shape, place);
	return tram_gguf_writer_add(w, p.name, TRAM_GGUF_T_F32, ndim, place);
}

int tram_gguf_store(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *arch,
		    const char *name, unsigned int ndim, const uint64_t *shape, uint32_t head,
		    const float *v)
{
	struct tram_gguf_place p;
	uint64_t n = 1;
	float *turned;
	int r;

	for (unsigned int d = 0; d < ndim; d++)
		n *= shape[d];
	if (!tram_gguf_place(arch, name, &p) || p.layout == TRAM_GGUF_AS_IS || ndim != 2)
		return tram_gguf_writer_write(w, v, (size_t)n * sizeof(*v));
	turned = tram_calloc(ctx, (size_t)n, sizeof(*turned));
	if (!turned)
		return -ENOMEM;
	if (p.layout == TRAM_GGUF_PAIRED)
		pair_rows(v, shape[0], shape[1], head, false, turned);
	else
		transpose(v, shape[0], shape[1], turned);
	r = tram_gguf_writer_write(w, turned, (size_t)n * sizeof(*turned));
	tram_free(ctx, turned);
	return r;
}

/* --- configurations ------------------------------------------------------------------------------- */

bool tram_gguf_known(const char *arch)
{
	return find_family(arch);
}

int tram_gguf_arch(struct tram_ctx *ctx, const struct tram_gguf *g, const char **arch)
{
	int r = tram_gguf_get_str(ctx, g, "general.architecture", true, arch);

	if (r || find_family(*arch))
		return r;
	return tram_fail(ctx, -ENOTSUP, "%s: key general.architecture: \"%.32s\", supported are gpt2 and llama",
			 tram_gguf_name(g), *arch);
}

/* Bounds come later, in tram_hf_config_check(): here only what a file must say. */
static int need(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key, uint32_t *out)
{
	return tram_gguf_get_u32(ctx, g, key, true, 1, INT32_MAX, out);
}

static int read_vocab_size(struct tram_ctx *ctx, const struct tram_gguf *g, uint32_t *out)
{
	const struct tram_gguf_tensor *t = tram_gguf_find(g, "token_embd.weight");

	if (!t || t->ndim != 2 || t->shape[0] > INT32_MAX)
		return tram_fail(ctx, -EINVAL, "%s: tensor token_embd.weight: %s; it gives the size of the vocabulary",
				 tram_gguf_name(g), t ? "is no table of at most 2^31 rows" : "is missing");
	*out = (uint32_t)t->shape[0];
	return 0;
}

/* Whether @id is the token of the NUL byte, which stands for "none" (gguf_tok.c, put_id()). */
static bool stands_for_none(const struct tram_gguf *g, uint32_t id)
{
	const struct tram_gguf_value *v = tram_gguf_key(g, "tokenizer.ggml.tokens");
	const char *s = "";
	uint64_t at = 0, n = 0;

	if (!v || v->type != TRAM_GGUF_ARR || v->arr.type != TRAM_GGUF_STR || id >= v->arr.n)
		return false;
	for (uint32_t i = 0; i <= id; i++)
		s = tram_gguf_next_str(&v->arr, &at, &n);
	return n == 2 && !memcmp(s, "\xc4\x80", 2);
}

static int read_token_id(struct tram_ctx *ctx, const struct tram_gguf *g, const char *key,
			 uint32_t vocab, int32_t *out)
{
	uint32_t id;
	int r = tram_gguf_get_u32(ctx, g, key, false, 0, vocab - 1, &id);

	*out = r || stands_for_none(g, id) ? -1 : (int32_t)id;
	return r < 0 ? r : 0;
}

static int get_ids(struct tram_ctx *ctx, const struct tram_gguf *g, uint32_t vocab, int32_t *bos,
		   int32_t *eos)
{
	int r = read_token_id(ctx, g, "tokenizer.ggml.bos_token_id", vocab, bos);

	return r ? r : read_token_id(ctx, g, "tokenizer.ggml.eos_token_id", vocab, eos);
}

static int get_gpt2(struct tram_ctx *ctx, const struct tram_gguf *g, struct tram_hf_config *cfg)
{
	struct tram_gpt2_config *c = &cfg->gpt2;
	int r;

	*c = (struct tram_gpt2_config){ .activation = TRAM_GPT2_GELU_TANH };
	r = read_vocab_size(ctx, g, &c->vocab_size);
	r = r ? r : need(ctx, g, "gpt2.context_length", &c->n_positions);
	r = r ? r : need(ctx, g, "gpt2.embedding_length", &c->n_embd);
	r = r ? r : need(ctx, g, "gpt2.block_count", &c->n_layer);
	r = r ? r : need(ctx, g, "gpt2.attention.head_count", &c->n_head);
	r = r ? r : need(ctx, g, "gpt2.feed_forward_length", &c->n_inner);
	r = r ? r : tram_gguf_get_f32(ctx, g, "gpt2.attention.layer_norm_epsilon", true,
				      &c->layer_norm_epsilon);
	r = r ? r : get_ids(ctx, g, c->vocab_size, &c->bos_token_id, &c->eos_token_id);
	c->tie_word_embeddings = !tram_gguf_find(g, "output.weight");
	return r;
}

/* What turns otherwise than by one base is another arithmetic. */
static int refuse_scaling(struct tram_ctx *ctx, const struct tram_gguf *g,
			  const struct tram_llama_config *c)
{
	const char *type = "none";
	uint32_t turned = c->head_dim;
	int r = tram_gguf_get_str(ctx, g, "llama.rope.scaling.type", false, &type);

	if (r >= 0 && strcmp(type, "none"))
		return tram_fail(ctx, -ENOTSUP, "%s: key llama.rope.scaling.type: \"%.32s\", only \"none\" is supported",
				 tram_gguf_name(g), type);
	if (r >= 0)
		r = tram_gguf_get_u32(ctx, g, "llama.rope.dimension_count", false, 1, INT32_MAX,
				      &turned);
	if (r >= 0 && turned != c->head_dim)
		return tram_fail(ctx, -ENOTSUP, "%s: key llama.rope.dimension_count: %u, only the whole head (%u) is supported",
				 tram_gguf_name(g), turned, c->head_dim);
	return r < 0 ? r : 0;
}

static int get_llama(struct tram_ctx *ctx, const struct tram_gguf *g, struct tram_hf_config *cfg)
{
	struct tram_llama_config *c = &cfg->llama;
	int r;

	*c = (struct tram_llama_config){ .rope_theta = 10000 };
	r = read_vocab_size(ctx, g, &c->vocab_size);
	r = r ? r : need(ctx, g, "llama.context_length", &c->max_position_embeddings);
	r = r ? r : need(ctx, g, "llama.embedding_length", &c->hidden_size);
	r = r ? r : need(ctx, g, "llama.block_count", &c->num_hidden_layers);
	r = r ? r : need(ctx, g, "llama.attention.head_count", &c->num_attention_heads);
	r = r ? r : need(ctx, g, "llama.feed_forward_length", &c->intermediate_size);
	r = r ? r : tram_gguf_get_f32(ctx, g, "llama.attention.layer_norm_rms_epsilon", true,
				      &c->rms_norm_eps);
	if (r)
		return r;
	c->num_key_value_heads = c->num_attention_heads;
	c->head_dim = c->hidden_size / c->num_attention_heads;
	r = tram_gguf_get_u32(ctx, g, "llama.attention.head_count_kv", false, 1, INT32_MAX,
			      &c->num_key_value_heads);
	if (r >= 0)
		r = tram_gguf_get_u32(ctx, g, "llama.attention.key_length", false, 1, INT32_MAX,
				      &c->head_dim);
	if (r >= 0)
		r = tram_gguf_get_f32(ctx, g, "llama.rope.freq_base", false, &c->rope_theta);
	if (r >= 0)
		r = refuse_scaling(ctx, g, c);
	if (r >= 0)
		r = get_ids(ctx, g, c->vocab_size, &c->bos_token_id, &c->eos_token_id);
	c->tie_word_embeddings = !tram_gguf_find(g, "output.weight");
	return r < 0 ? r : 0;
}

int tram_gguf_config(struct tram_ctx *ctx, const struct tram_gguf *g, struct tram_hf_config *cfg)
{
	const struct family *f;
	const char *arch;
	int r = tram_gguf_arch(ctx, g, &arch);

	if (r)
		return r;
	f = find_family(arch);
	cfg->family = f->hf;
	r = f->get(ctx, g, cfg);
	return r ? r : tram_hf_config_check(ctx, tram_gguf_name(g), cfg);
}

static int put_gpt2(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *path,
		    const struct tram_hf_config *cfg)
{
	const struct tram_gpt2_config *c = &cfg->gpt2;

	if (c->activation != TRAM_GPT2_GELU_TANH)
		return tram_fail(ctx, -ENOTSUP, "%s: activation_function: %s, a GGUF of architecture gpt2 stands for gelu_new alone; export it as safetensors",
				 path, tram_gpt2_activation_name(c->activation));
	tram_gguf_writer_u32(w, "gpt2.context_length", c->n_positions);
	tram_gguf_writer_u32(w, "gpt2.embedding_length", c->n_embd);
	tram_gguf_writer_u32(w, "gpt2.feed_forward_length", c->n_inner);
	tram_gguf_writer_u32(w, "gpt2.block_count", c->n_layer);
	tram_gguf_writer_u32(w, "gpt2.attention.head_count", c->n_head);
	tram_gguf_writer_u32(w, "gpt2.vocab_size", c->vocab_size);
	return tram_gguf_writer_f32(w, "gpt2.attention.layer_norm_epsilon", c->layer_norm_epsilon);
}

static int put_llama(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *path,
		     const struct tram_hf_config *cfg)
{
	const struct tram_llama_config *c = &cfg->llama;

	tram_gguf_writer_u32(w, "llama.context_length", c->max_position_embeddings);
	tram_gguf_writer_u32(w, "llama.embedding_length", c->hidden_size);
	tram_gguf_writer_u32(w, "llama.feed_forward_length", c->intermediate_size);
	tram_gguf_writer_u32(w, "llama.block_count", c->num_hidden_layers);
	tram_gguf_writer_u32(w, "llama.attention.head_count", c->num_attention_heads);
	tram_gguf_writer_u32(w, "llama.attention.head_count_kv", c->num_key_value_heads);
	tram_gguf_writer_u32(w, "llama.attention.key_length", c->head_dim);
	tram_gguf_writer_u32(w, "llama.attention.value_length", c->head_dim);
	tram_gguf_writer_u32(w, "llama.rope.dimension_count", c->head_dim);
	tram_gguf_writer_u32(w, "llama.vocab_size", c->vocab_size);
	tram_gguf_writer_f32(w, "llama.rope.freq_base", c->rope_theta);
	return tram_gguf_writer_f32(w, "llama.attention.layer_norm_rms_epsilon", c->rms_norm_eps);
}

const char *tram_gguf_arch_of(enum tram_hf_family family)
{
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(families); i++)
		if (families[i].hf == family)
			return families[i].arch;
	return "none";
}

int tram_gguf_put_config(struct tram_ctx *ctx, struct tram_gguf_writer *w, const char *path,
			 const struct tram_hf_config *cfg)
{
	const char *arch = tram_gguf_arch_of(cfg->family);

	tram_gguf_writer_str(w, "general.architecture", arch);
	tram_gguf_writer_str(w, "general.type", "model");
	tram_gguf_writer_u32(w, "general.file_type", 0);	/* all F32 */
	return find_family(arch)->put(ctx, w, path, cfg);
}

/* --- all tensors ---------------------------------------------------------------------------- */

static bool is_demanded(const char *arch, const struct tram_hf_config *cfg, const char *name)
{
	struct tram_gpt2_tensor t;
	struct tram_gguf_place p;

	for (size_t i = 0; i < tram_hf_tensor_count(cfg); i++) {
		tram_hf_tensor_at(cfg, i, &t);
		if (tram_gguf_place(arch, t.name, &p) && !strcmp(p.name, name))
			return true;
	}
	return false;
}

int tram_gguf_check_tensors(struct tram_ctx *ctx, const struct tram_gguf *g,
			    const struct tram_hf_config *cfg)
{
	const char *arch = tram_gguf_arch_of(cfg->family);
	const struct tram_gguf_tensor *found;
	struct tram_gpt2_tensor t;
	struct tram_gguf_place p;

	for (size_t i = 0; i < tram_hf_tensor_count(cfg); i++) {
		tram_hf_tensor_at(cfg, i, &t);
		found = tram_gguf_place(arch, t.name, &p) ? tram_gguf_find(g, p.name) : NULL;
		if (!found || !tram_gguf_fits(found, &p, t.ndim, t.shape))
			return tram_gguf_misfit(ctx, g, arch, t.name, t.ndim, t.shape);
	}
	if (tram_gguf_count(g) == tram_hf_tensor_count(cfg))
		return 0;
	/* A bias, factors of positions, experts: what is passed over would be missed. */
	for (size_t i = 0; i < tram_gguf_count(g); i++)
		if (!is_demanded(arch, cfg, tram_gguf_at(g, i)->name))
			return tram_fail(ctx, -ENOTSUP, "%s: tensor %s: architecture %s is supported without it",
					 tram_gguf_name(g), tram_gguf_at(g, i)->name, arch);
	return 0;
}

/* --- tables --------------------------------------------------------------------------------- */

static const struct name gpt2_names[] = {
	{ "wte.weight", "token_embd.weight", TRAM_GGUF_AS_IS },
	{ "wpe.weight", "position_embd.weight", TRAM_GGUF_AS_IS },
	{ "h.#.ln_1.weight", "blk.#.attn_norm.weight", TRAM_GGUF_AS_IS },
	{ "h.#.ln_1.bias", "blk.#.attn_norm.bias", TRAM_GGUF_AS_IS },
	{ "h.#.attn.c_attn.weight", "blk.#.attn_qkv.weight", TRAM_GGUF_TRANSPOSED },
	{ "h.#.attn.c_attn.bias", "blk.#.attn_qkv.bias", TRAM_GGUF_AS_IS },
	{ "h.#.attn.c_proj.weight", "blk.#.attn_output.weight", TRAM_GGUF_TRANSPOSED },
	{ "h.#.attn.c_proj.bias", "blk.#.attn_output.bias", TRAM_GGUF_AS_IS },
	{ "h.#.ln_2.weight", "blk.#.ffn_norm.weight", TRAM_GGUF_AS_IS },
	{ "h.#.ln_2.bias", "blk.#.ffn_norm.bias", TRAM_GGUF_AS_IS },
	{ "h.#.mlp.c_fc.weight", "blk.#.ffn_up.weight", TRAM_GGUF_TRANSPOSED },
	{ "h.#.mlp.c_fc.bias", "blk.#.ffn_up.bias", TRAM_GGUF_AS_IS },
	{ "h.#.mlp.c_proj.weight", "blk.#.ffn_down.weight", TRAM_GGUF_TRANSPOSED },
	{ "h.#.mlp.c_proj.bias", "blk.#.ffn_down.bias", TRAM_GGUF_AS_IS },
	{ "ln_f.weight", "output_norm.weight", TRAM_GGUF_AS_IS },
	{ "ln_f.bias", "output_norm.bias", TRAM_GGUF_AS_IS },
	{ "lm_head.weight", "output.weight", TRAM_GGUF_AS_IS },
};

static const struct name llama_names[] = {
	{ "model.embed_tokens.weight", "token_embd.weight", TRAM_GGUF_AS_IS },
	{ "model.layers.#.input_layernorm.weight", "blk.#.attn_norm.weight", TRAM_GGUF_AS_IS },
	{ "model.layers.#.self_attn.q_proj.weight", "blk.#.attn_q.weight", TRAM_GGUF_PAIRED },
	{ "model.layers.#.self_attn.k_proj.weight", "blk.#.attn_k.weight", TRAM_GGUF_PAIRED },
	{ "model.layers.#.self_attn.v_proj.weight", "blk.#.attn_v.weight", TRAM_GGUF_AS_IS },
	{ "model.layers.#.self_attn.o_proj.weight", "blk.#.attn_output.weight", TRAM_GGUF_AS_IS },
	{ "model.layers.#.post_attention_layernorm.weight", "blk.#.ffn_norm.weight", TRAM_GGUF_AS_IS },
	{ "model.layers.#.mlp.gate_proj.weight", "blk.#.ffn_gate.weight", TRAM_GGUF_AS_IS },
	{ "model.layers.#.mlp.up_proj.weight", "blk.#.ffn_up.weight", TRAM_GGUF_AS_IS },
	{ "model.layers.#.mlp.down_proj.weight", "blk.#.ffn_down.weight", TRAM_GGUF_AS_IS },
	{ "model.norm.weight", "output_norm.weight", TRAM_GGUF_AS_IS },
	{ "lm_head.weight", "output.weight", TRAM_GGUF_AS_IS },
};

static const struct family families[2] = {
	{ "gpt2", TRAM_HF_GPT2, gpt2_names, TRAM_ARRAY_SIZE(gpt2_names), get_gpt2, put_gpt2 },
	{ "llama", TRAM_HF_LLAMA, llama_names, TRAM_ARRAY_SIZE(llama_names), get_llama, put_llama },
};
