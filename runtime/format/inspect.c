/* SPDX-License-Identifier: MIT */
/*
 * tram_inspect(): a file or a folder, checked whole and described. The kind of
 * a file is told by its name where that is decisive, else by its first bytes.
 * In a folder the files are also held against each other: check_folder().
 */
#include <tram/inspect.h>

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/vec.h"
#include "format/describe.h"

enum kind { UNKNOWN, GGUF, SAFETENSORS, IDX, NPY, SHARD, CONFIG, TOKENIZER };

struct weights { struct tram_safetensors *st; bool model; };

/* What was found so far; a folder fills several members, a file one. */
struct inspection {
	struct tram_ctx *ctx;
	bool json;
	struct tram_sbuf out;

	struct tram_hf_config cfg;
	bool have_cfg;
	uint32_t ids;			/* of the tokenizer; 0: none */
	TRAM_VEC(struct weights) weights;
	uint32_t max_token;		/* over all shards */
	char *max_shard;		/* the one that holds it; NULL: none */
	TRAM_VEC(char *) others;	/* names that are not read */
};

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* JSON by another name: a config has a model_type, a tokenizer has a model. */
static int kind_of_json(struct tram_ctx *ctx, const struct tram_source *src, enum kind *kind)
{
	struct tram_json j;
	char *text;
	size_t n;
	int r;

	r = tram_source_load(ctx, src, TRAM_TOKJSON_MAX_BYTES, &text, &n);
	if (r)
		return r;
	r = tram_json_parse(ctx, src->name, text, n, &j);
	tram_free(ctx, text);
	if (r)
		return r;
	*kind = yyjson_is_obj(yyjson_obj_get(j.root, "model")) ? TOKENIZER :
		yyjson_obj_get(j.root, "model_type") ? CONFIG : UNKNOWN;
	tram_json_free(&j);
	return 0;
}

static int kind_of(struct tram_ctx *ctx, const struct tram_source *src, enum kind *kind)
{
	unsigned char head[9] = { 0 };
	const char *name = base_name(src->name);
	int32_t magic;
	int r;

	*kind = tram_gguf_is(name) ? GGUF : ends_with(name, ".safetensors") ? SAFETENSORS : ends_with(name, ".npy") ? NPY :
		!strcmp(name, "config.json") ? CONFIG :
		!strcmp(name, "tokenizer.json") ? TOKENIZER : UNKNOWN;
	if (*kind != UNKNOWN)
		return 0;
	r = tram_source_read(ctx, src, 0, head, (size_t)TRAM_MIN(src->size, sizeof(head)));
	if (r)
		return r;
	memcpy(&magic, head, sizeof(magic));
	if (magic == 20240520 || magic == 20240801)
		*kind = SHARD;
	else if (!memcmp(head, "GGUF", 4))
		*kind = GGUF;
	else if (!memcmp(head, "\x93NUMPY", 6))
		*kind = NPY;
	else if (head[8] == '{' && !head[7])
		*kind = SAFETENSORS;
	else if (strchr("{ \t\r\n", head[0]) && head[0])
		r = kind_of_json(ctx, src, kind);
	else if (tram_idx_is(head, (size_t)TRAM_MIN(src->size, sizeof(head))))
		*kind = IDX;
	return r;
}

/* One function a kind */

static int inspect_safetensors(struct inspection *in, const char *path)
{
	struct weights w = { .model = !strncmp(base_name(path), "model", 5) };
	int r;

	r = tram_safetensors_open(in->ctx, path, &w.st);
	if (r)
		return r;
	r = tram_vec_push(in->ctx, &in->weights, w);
	if (r) {
		tram_safetensors_close(in->ctx, &w.st);
		return r;
	}
	return tram_safetensors_describe(in->ctx, w.st, in->json, &in->out);
}

static int inspect_gguf(struct inspection *in, const char *path)
{
	struct tram_gguf *g;
	int r;

	r = tram_gguf_open(in->ctx, path, &g);
	if (r)
		return r;
	r = tram_gguf_describe(in->ctx, g, in->json, &in->out);
	tram_gguf_close(in->ctx, &g);
	return r;
}

static int inspect_idx(struct inspection *in, const char *path)
{
	struct tram_idx idx;
	int r;

	r = tram_idx_open(in->ctx, path, &idx);
	if (r)
		return r;
	r = tram_idx_describe(in->ctx, &idx, in->json, &in->out);
	tram_idx_close(in->ctx, &idx);
	return r;
}

static int inspect_npy(struct inspection *in, const char *path)
{
	struct tram_npy npy;
	int r;

	r = tram_npy_open(in->ctx, path, &npy);
	if (r)
		return r;
	r = tram_npy_describe(in->ctx, &npy, in->json, &in->out);
	tram_npy_close(in->ctx, &npy);
	return r;
}

static int inspect_shard(struct inspection *in, const char *path)
{
	struct tram_shard shard;
	uint32_t max;
	char *name;
	int r;

	r = tram_shard_open(in->ctx, path, &shard);
	if (r)
		return r;
	r = tram_shard_describe(in->ctx, &shard, in->json, &in->out, &max);
	tram_shard_close(in->ctx, &shard);
	if (!r && (!in->max_shard || max > in->max_token)) {
		name = tram_strdup(in->ctx, path);
		if (!name)
			return -ENOMEM;
		tram_free(in->ctx, in->max_shard);
		in->max_shard = name;
		in->max_token = max;
	}
	return r;
}

static int inspect_config(struct inspection *in, const char *path)
{
	int r = tram_hf_config_read(in->ctx, path, &in->cfg);

	if (r)
		return r;
	in->have_cfg = true;
	return tram_hf_config_describe(&in->cfg, path, in->json, &in->out);
}

static int inspect_tokenizer(struct inspection *in, const char *path)
{
	struct tram_tokjson tj;
	int r;

	r = tram_tokjson_read(in->ctx, path, &tj);
	if (r)
		return r;
	in->ids = tj.n_tokens;
	r = tram_tokjson_describe(&tj, path, in->json, &in->out);
	tram_tokjson_free(in->ctx, &tj);
	return r;
}

/* @optional: an unknown kind is noted instead of refused. */
static int inspect_file(struct inspection *in, const char *path, bool optional)
{
	struct tram_file *f;
	enum kind kind;
	char *name;
	int r;

	r = tram_file_open(in->ctx, path, &f);
	if (r)
		return r;
	r = kind_of(in->ctx, tram_file_source(f), &kind);
	tram_file_close(in->ctx, &f);
	if (r)
		return r;
	switch (kind) {
	case GGUF: return inspect_gguf(in, path);
	case SAFETENSORS: return inspect_safetensors(in, path);
	case IDX: return inspect_idx(in, path);
	case NPY: return inspect_npy(in, path);
	case SHARD: return inspect_shard(in, path);
	case CONFIG: return inspect_config(in, path);
	case TOKENIZER: return inspect_tokenizer(in, path);
	case UNKNOWN: break;
	}
	if (!optional)
		return tram_fail(in->ctx, -EINVAL,
				 "%s: kind: unknown; GGUF, safetensors, npy, IDX, token shards, config.json and tokenizer.json are known",
				 path);
	name = tram_strdup(in->ctx, base_name(path));
	if (!name)
		return -ENOMEM;
	r = tram_vec_push(in->ctx, &in->others, name);
	if (r)
		tram_free(in->ctx, name);
	return r;
}

/* Folders */

static bool is_model_file(const struct inspection *in, const struct weights *w)
{
	size_t i;

	if (w->model)
		return true;
	for (i = 0; i < in->weights.n; i++)
		if (in->weights.v[i].model)
			return false;
	return true;	/* none is named as the model: all may be */
}

static bool is_float(enum tram_st_dtype t)
{
	return t == TRAM_ST_F32 || t == TRAM_ST_F16 || t == TRAM_ST_BF16 || t == TRAM_ST_F64;
}

static int check_tensor(struct inspection *in, const char *path, const struct tram_gpt2_tensor *t)
{
	const struct tram_st_tensor *found = NULL;
	struct tram_sbuf have = TRAM_SBUF_INIT(in->ctx), want = TRAM_SBUF_INIT(in->ctx);
	const char *file = path;
	size_t i;
	int r = 0;

	for (i = 0; i < in->weights.n && !found; i++) {
		if (!is_model_file(in, &in->weights.v[i]))
			continue;
		found = tram_hf_find(in->cfg.family, in->weights.v[i].st, t->name);
		file = found ? tram_safetensors_name(in->weights.v[i].st) : path;
	}
	if (found && !is_float(found->dtype))
		return tram_fail(in->ctx, -EINVAL,
				 "%s: tensor %s: dtype: %s, F32 F16 BF16 or F64 is needed", file,
				 t->name, tram_st_dtype_name(found->dtype));
	if (found && found->ndim == t->ndim &&
	    !memcmp(found->shape, t->shape, t->ndim * sizeof(t->shape[0])))
		return 0;
	tram_describe_shape(&want, t->ndim, t->shape, false);
	if (found)
		tram_describe_shape(&have, found->ndim, found->shape, false);
	if (want.err || have.err)
		r = -ENOMEM;
	else if (found)
		r = tram_fail(in->ctx, -EINVAL, "%s: tensor %s: shape: %s, config.json needs %s",
			      file, t->name, tram_sbuf_str(&have), tram_sbuf_str(&want));
	else
		r = tram_fail(in->ctx, -EINVAL, "%s: tensor %s: is missing, config.json needs %s",
			      path, t->name, tram_sbuf_str(&want));
	tram_sbuf_free(&want);
	tram_sbuf_free(&have);
	return r;
}

static int check_folder(struct inspection *in, const char *path)
{
	struct tram_gpt2_tensor t;
	size_t i;
	int r;

	if (in->have_cfg && in->weights.n) {
		for (i = 0; i < tram_hf_tensor_count(&in->cfg); i++) {
			tram_hf_tensor_at(&in->cfg, i, &t);
			r = check_tensor(in, path, &t);
			if (r)
				return r;
		}
	}
	if (in->have_cfg && in->ids > tram_hf_vocab(&in->cfg))
		return tram_fail(in->ctx, -EINVAL,
				 "%s: tokenizer.json: %u ids, config.json has vocab_size %u", path,
				 in->ids, tram_hf_vocab(&in->cfg));
	if (in->max_shard && (in->have_cfg || in->ids)) {
		uint32_t limit = in->have_cfg ? tram_hf_vocab(&in->cfg) : in->ids;

		if (in->max_token >= limit)
			return tram_fail(in->ctx, -EINVAL, "%s: token %u, %s has ids below %u",
					 in->max_shard, in->max_token,
					 in->have_cfg ? "config.json" : "tokenizer.json", limit);
	}
	return 0;
}

static int describe_folder(struct inspection *in, const char *path)
{
	struct tram_sbuf *sb = &in->out;
	bool model = in->have_cfg && in->weights.n;
	size_t i, n = model ? tram_hf_tensor_count(&in->cfg) : 0;

	if (in->json) {
		tram_describe_head(sb, "folder", path);
		tram_sbuf_addf(sb, ",\"model\":%s,\"tensors_checked\":%zu,\"other\":[",
			       model ? "true" : "false", n);
	} else {
		tram_sbuf_addf(sb, "%s: folder", path);
		if (model)
			tram_sbuf_addf(sb, ", a whole model: %zu tensors that config.json needs are there", n);
		tram_sbuf_adds(sb, in->others.n ? "; not read:" : "");
	}
	for (i = 0; i < in->others.n; i++) {
		tram_sbuf_adds(sb, !in->json ? " " : i ? "," : "");
		if (in->json)
			tram_sbuf_json(sb, in->others.v[i], strlen(in->others.v[i]));
		else
			tram_sbuf_adds(sb, in->others.v[i]);
	}
	return tram_sbuf_adds(sb, in->json ? "]}\n" : "\n");
}

/* Only entries whose names promise a known kind; of these, strangers are noted. */
static bool worth_opening(const char *name)
{
	return tram_gguf_is(name) || ends_with(name, ".safetensors") || ends_with(name, ".npy") ||
	       ends_with(name, ".bin") || strstr(name, "-idx") || !strcmp(name, "config.json") ||
	       !strcmp(name, "tokenizer.json");
}

static int by_string(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef TRAM_VEC(char *) name_vec;

static void free_names(struct tram_ctx *ctx, name_vec *names)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		tram_free(ctx, names->v[i]);
	tram_vec_free(ctx, names);
}

static int list_folder(struct tram_ctx *ctx, const char *path, name_vec *names)
{
	struct dirent *e;
	char *name;
	int r = 0;
	DIR *d;

	d = opendir(path);
	if (!d)
		return tram_fail_io(ctx, errno, path, "cannot be opened");
	while (!r && (e = readdir(d))) {
		if (!worth_opening(e->d_name))
			continue;
		name = tram_asprintf(ctx, "%s%s%s", path, ends_with(path, "/") ? "" : "/",
				     e->d_name);
		r = name ? tram_vec_push(ctx, names, name) : -ENOMEM;
		if (r)
			tram_free(ctx, name);
	}
	closedir(d);
	if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), by_string);
	return r;
}

static int inspect_folder(struct inspection *in, const char *path)
{
	name_vec names = { 0 };
	size_t i;
	int r;

	r = list_folder(in->ctx, path, &names);
	for (i = 0; i < names.n && !r; i++)
		r = inspect_file(in, names.v[i], true);
	if (!r && names.n == in->others.n)
		r = tram_fail(in->ctx, -EINVAL,
			      "%s: holds no config.json, tokenizer.json, *.gguf, *.safetensors, *.npy, *-idx* or token shard (*.bin)",
			      path);
	free_names(in->ctx, &names);
	r = r ? r : check_folder(in, path);
	return r ? r : describe_folder(in, path);
}

int tram_inspect(struct tram_ctx *ctx, const char *path, bool json, char **text)
{
	struct inspection in = { .ctx = ctx, .json = json };
	struct stat st;
	size_t i;
	int r;

	*text = NULL;
	tram_sbuf_init(&in.out, ctx);
	r = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? inspect_folder(&in, path) :
							   inspect_file(&in, path, false);
	if (!r)
		r = tram_sbuf_take(&in.out, text);
	tram_sbuf_free(&in.out);
	for (i = 0; i < in.weights.n; i++)
		tram_safetensors_close(ctx, &in.weights.v[i].st);
	tram_vec_free(ctx, &in.weights);
	for (i = 0; i < in.others.n; i++)
		tram_free(ctx, in.others.v[i]);
	tram_vec_free(ctx, &in.others);
	tram_free(ctx, in.max_shard);
	return r;
}

void tram_text_free(struct tram_ctx *ctx, char *text)
{
	tram_free(ctx, text);
}
