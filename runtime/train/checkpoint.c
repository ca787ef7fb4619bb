/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: OUT/step-NNNNNNNN/ with model.safetensors, optimizer.safetensors,
 * config.json, tokenizer.json and state.json. The folder is filled under
 * another name, every file is hashed and made durable, state.json with the
 * hashes comes last, then the folder is renamed: one that bears the final name
 * and whose hashes fit is whole. A torn one is passed over for the one before.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/sbuf.h"
#include "base/vec.h"
#include "model/model.h"
#include "train/train.h"

#define STATE_VERSION 1
#define STATE_LIMIT (1 << 20)

static const char *const state_file = "state.json";
static const char *const members[] = {
	"model.safetensors", "optimizer.safetensors", "config.json", "tokenizer.json",
};

/* --- writing ------------------------------------------------------------------- */

static char *join(struct tram_ctx *ctx, const char *dir, const char *name)
{
	return tram_asprintf(ctx, "%s/%s", dir, name);
}

/* XXH3-64 and size of what is on disk. */
static int hash_file(struct tram_ctx *ctx, const char *path, uint64_t *size, uint64_t *hash)
{
	const size_t chunk = 1 << 20;
	struct tram_file *f;
	struct tram_xxh3 h;
	char *buf;
	int r = tram_file_open(ctx, path, &f);

	if (r)
		return r;
	buf = tram_alloc(ctx, chunk);
	if (!buf) {
		tram_file_close(ctx, &f);
		return -ENOMEM;
	}
	*size = tram_file_size(f);
	tram_xxh3_init(&h);
	for (uint64_t at = 0; !r && at < *size; at += chunk) {
		size_t n = TRAM_MIN(chunk, *size - at);

		r = tram_file_read(ctx, f, at, buf, n);
		if (!r)
			tram_xxh3_update(&h, buf, n);
	}
	*hash = tram_xxh3_64(&h);
	tram_free(ctx, buf);
	tram_file_close(ctx, &f);
	return r;
}

static int write_member(struct tram_ctx *ctx, const char *dir, const char *name,
			const struct tram_checkpoint *c)
{
	char *path = join(ctx, dir, name);
	int r;

	if (!path)
		return -ENOMEM;
	if (!strcmp(name, "model.safetensors"))
		r = tram_model_save(c->model, c->params, path);
	else if (!strcmp(name, "optimizer.safetensors"))
		r = tram_model_save_prefixed(c->model, path, 2, (const char *const[]){ "m.", "v." },
					     (const float *const[]){ c->m, c->v });
	else if (!strcmp(name, "config.json"))
		r = tram_model_save_config(c->model, path);
	else
		r = tram_tokenizer_save(c->tok, path);
	tram_free(ctx, path);
	return r;
}

static void state_json(struct tram_sbuf *s, const struct tram_train_state *st)
{
	tram_sbuf_addf(s, "{\n  \"version\": %d,\n  \"step\": %llu,\n  \"updates\": %llu,\n",
		       STATE_VERSION, (unsigned long long)st->step,
		       (unsigned long long)st->updates);
	tram_sbuf_addf(s, "  \"seed\": %llu,\n  \"batch\": %u,\n  \"seq\": %u,\n  \"shards\": %u,\n"
		       "  \"order\": %u,\n  \"schedule\": %u,\n  \"steps\": %llu,\n"
		       "  \"warmup\": %llu,\n", (unsigned long long)st->seed, st->batch, st->seq,
		       st->shards, st->order, st->schedule, (unsigned long long)st->steps,
		       (unsigned long long)st->warmup);
	tram_sbuf_addf(s, "  \"data_hash\": \"%016llx\",\n  \"tokenizer_hash\": \"%016llx\",\n",
		       (unsigned long long)st->data_hash, (unsigned long long)st->tokenizer_hash);
	const struct { const char *key; double v; } reals[] = {
		{ "loss_mean", st->loss_mean }, { "dropout", st->dropout }, { "lr", st->lr },
		{ "beta1", st->beta1 }, { "beta2", st->beta2 }, { "eps", st->eps },
		{ "weight_decay", st->weight_decay }, { "clip", st->clip },
	};
	for (size_t i = 0; i < TRAM_ARRAY_SIZE(reals); i++) {
		tram_sbuf_addf(s, "  \"%s\": ", reals[i].key);
		tram_sbuf_json_f64(s, reals[i].v);
		tram_sbuf_adds(s, ",\n");
	}
	tram_sbuf_adds(s, "  \"numeric_class\": ");
	tram_sbuf_json(s, st->numeric_class, strlen(st->numeric_class));
	tram_sbuf_adds(s, ",\n  \"files\": {");
}

static int write_state(struct tram_ctx *ctx, const char *dir, const struct tram_checkpoint *c)
{
	struct tram_sbuf s = TRAM_SBUF_INIT(ctx);
	char *path = NULL;
	const char *sep = "\n";
	int r = 0;

	state_json(&s, &c->state);
	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(members); i++) {
		uint64_t size, hash;

		if (!strcmp(members[i], "tokenizer.json") && !c->tok)
			continue;
		path = join(ctx, dir, members[i]);
		r = path ? hash_file(ctx, path, &size, &hash) : -ENOMEM;
		tram_free(ctx, path);
		if (r)
			break;
		tram_sbuf_addf(&s, "%s    \"%s\": { \"size\": %llu, \"xxh3\": \"%016llx\" }", sep,
			       members[i], (unsigned long long)size, (unsigned long long)hash);
		sep = ",\n";
	}
	tram_sbuf_adds(&s, "\n  }\n}\n");
	if (!r)
		r = s.err;
	path = r ? NULL : join(ctx, dir, state_file);
	if (!r)
		r = path ? tram_file_store(ctx, path, s.s, s.n) : -ENOMEM;
	tram_free(ctx, path);
	tram_sbuf_free(&s);
	return r;
}

/* A checkpoint folder holds plain files only. */
static int remove_folder(struct tram_ctx *ctx, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : tram_fail_io(ctx, errno, dir, "cannot be read");
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	return rmdir(dir) ? tram_fail_io(ctx, errno, dir, "cannot be removed") : 0;
}

static int sync_folder(struct tram_ctx *ctx, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0 || fsync(fd))
		r = tram_fail_io(ctx, errno, dir, "cannot be made durable");
	if (fd >= 0)
		close(fd);
	return r;
}

static int fill_folder(struct tram_ctx *ctx, const char *dir, const struct tram_checkpoint *c)
{
	int r = tram_mkdirs(ctx, dir);

	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(members); i++)
		if (c->tok || strcmp(members[i], "tokenizer.json"))
			r = write_member(ctx, dir, members[i], c);
	if (!r)
		r = write_state(ctx, dir, c);
	return r ? r : sync_folder(ctx, dir);
}

int tram_checkpoint_write(struct tram_ctx *ctx, const char *out, const struct tram_checkpoint *c)
{
	char *dir = tram_asprintf(ctx, "%s/step-%08llu", out, (unsigned long long)c->state.step);
	char *tmp = tram_asprintf(ctx, "%s/.writing-%08llu", out,
				  (unsigned long long)c->state.step);
	int r = dir && tmp ? 0 : -ENOMEM;

	if (!r)
		r = remove_folder(ctx, tmp);
	if (!r)
		r = fill_folder(ctx, tmp, c);
	/* An older folder of this step is torn or the same: it makes way. */
	if (!r)
		r = remove_folder(ctx, dir);
	if (!r && rename(tmp, dir))
		r = tram_fail_io(ctx, errno, dir, "cannot be renamed into place");
	if (!r)
		r = sync_folder(ctx, out);
	if (r && tmp)
		remove_folder(NULL, tmp);
	tram_free(ctx, tmp);
	tram_free(ctx, dir);
	return r;
}

/* --- finding --------------------------------------------------------------------- */

struct step_list { TRAM_VEC(uint64_t) steps; };

static int by_step_down(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x < *y) - (*x > *y);
}

/* Steps of the folders named step-N, newest first. */
static int list_steps(struct tram_ctx *ctx, const char *out, struct step_list *list)
{
	DIR *d = opendir(out);
	struct dirent *e;
	int r = 0;

	memset(list, 0, sizeof(*list));
	if (!d)
		return errno == ENOENT ? 0 : tram_fail_io(ctx, errno, out, "cannot be read");
	while (!r && (e = readdir(d))) {
		unsigned long long step;
		char end;

		if (sscanf(e->d_name, "step-%llu%c", &step, &end) == 1)
			r = tram_vec_push(ctx, &list->steps, (uint64_t)step);
	}
	closedir(d);
	if (r)
		tram_vec_free(ctx, &list->steps);
	else if (list->steps.n)
		qsort(list->steps.v, list->steps.n, sizeof(uint64_t), by_step_down);
	return r;
}

bool tram_checkpoint_any(struct tram_ctx *ctx, const char *out, uint64_t *step)
{
	struct step_list list;
	bool any;

	if (list_steps(ctx, out, &list))
		return false;
	any = list.steps.n > 0;
	*step = any ? list.steps.v[0] : 0;
	tram_vec_free(ctx, &list.steps);
	return any;
}

static int parse_state(struct tram_ctx *ctx, const char *dir, struct tram_json *json, char **text)
{
	char *path = join(ctx, dir, state_file);
	size_t n;
	int r;

	*text = NULL;
	if (!path)
		return -ENOMEM;
	r = tram_file_load(ctx, path, STATE_LIMIT, text, &n);
	if (!r)
		r = tram_json_parse(ctx, state_file, *text, n, json);
	if (r) {
		tram_free(ctx, *text);
		*text = NULL;
	}
	tram_free(ctx, path);
	return r;
}

/* Every file that state.json names, byte for byte. */
static int check_files(struct tram_ctx *ctx, const char *dir, const struct tram_json *json)
{
	yyjson_obj_iter it;
	yyjson_val *files, *key;
	int r = tram_json_obj(json, "", json->root, "files", true, &files);

	if (r)
		return r;
	it = yyjson_obj_iter_with(files);
	while (!r && (key = yyjson_obj_iter_next(&it))) {
		yyjson_val *f = yyjson_obj_iter_get_val(key);
		const char *name = yyjson_get_str(key), *hex;
		uint64_t want, size, hash;
		char *path, got[17];

		if (strchr(name, '/'))
			return tram_fail(ctx, -EINVAL, "%s/%s: file name %s has a slash", dir,
					 state_file, name);
		r = tram_json_u64(json, name, f, "size", true, 0, UINT64_MAX, &want);
		if (!r)
			r = tram_json_str(json, name, f, "xxh3", true, &hex);
		if (r)
			return r;
		path = join(ctx, dir, name);
		r = path ? hash_file(ctx, path, &size, &hash) : -ENOMEM;
		tram_free(ctx, path);
		if (r)
			return r;
		tram_hash64_hex(hash, got);
		if (size != want || strcmp(got, hex))
			return tram_fail(ctx, -EBADMSG, "%s/%s: %llu bytes with hash %s, but "
					 "state.json says %llu with %s: the file is torn", dir,
					 name, (unsigned long long)size, got,
					 (unsigned long long)want, hex);
	}
	return r;
}

static int check_checkpoint(struct tram_ctx *ctx, const char *dir)
{
	struct tram_json json;
	char *text;
	int r = parse_state(ctx, dir, &json, &text);

	if (r)
		return r;
	r = check_files(ctx, dir, &json);
	tram_json_free(&json);
	tram_free(ctx, text);
	return r;
}

static bool has_file(struct tram_ctx *ctx, const char *dir, const char *name)
{
	char *path = join(ctx, dir, name);
	bool there = path && access(path, F_OK) == 0;

	tram_free(ctx, path);
	return there;
}

int tram_checkpoint_find(struct tram_ctx *ctx, const char *run_dir, char **path)
{
	struct step_list list;
	int r;

	*path = NULL;
	if (has_file(ctx, run_dir, "config.json")) {
		if (has_file(ctx, run_dir, state_file)) {
			r = check_checkpoint(ctx, run_dir);
			if (r)
				return r;
		}
		*path = tram_strdup(ctx, run_dir);
		return *path ? 0 : -ENOMEM;
	}
	r = list_steps(ctx, run_dir, &list);
	if (r)
		return r;
	r = -ENOENT;
	for (size_t i = 0; r == -ENOENT && i < list.steps.n; i++) {
		char *dir = tram_asprintf(ctx, "%s/step-%08llu", run_dir,
					  (unsigned long long)list.steps.v[i]);

		if (!dir) {
			r = -ENOMEM;
		} else if (check_checkpoint(ctx, dir)) {
			tram_log(ctx, TRAM_LOG_WARN, "%s is passed over: %s", dir,
				 tram_error(ctx));
			tram_free(ctx, dir);
		} else {
			*path = dir;
			r = 0;
		}
	}
	if (r == -ENOENT)
		tram_fail(ctx, r, "%s: holds no whole checkpoint and no config.json; give a model "
			  "folder or the --out of a training run", run_dir);
	tram_vec_free(ctx, &list.steps);
	return r;
}

int tram_checkpoint_prune(struct tram_ctx *ctx, const char *out, uint32_t keep)
{
	struct step_list list;
	int r = list_steps(ctx, out, &list);

	for (size_t i = keep; !r && i < list.steps.n; i++) {
		char *dir = tram_asprintf(ctx, "%s/step-%08llu", out,
					  (unsigned long long)list.steps.v[i]);

		r = dir ? remove_folder(ctx, dir) : -ENOMEM;
		tram_free(ctx, dir);
	}
	if (!r)
		tram_vec_free(ctx, &list.steps);
	return r;
}

/* --- reading ------------------------------------------------------------------------ */

static int read_state(const struct tram_json *j, struct tram_train_state *st)
{
	const struct { const char *key; uint64_t max; void *out; bool wide; } ints[] = {
		{ "step", UINT64_MAX, &st->step, true },
		{ "updates", UINT64_MAX, &st->updates, true },
		{ "seed", UINT64_MAX, &st->seed, true },
		{ "steps", UINT64_MAX, &st->steps, true },
		{ "warmup", UINT64_MAX, &st->warmup, true },
		{ "batch", UINT32_MAX, &st->batch, false },
		{ "seq", UINT32_MAX, &st->seq, false },
		{ "shards", UINT32_MAX, &st->shards, false },
		{ "order", 1, &st->order, false },
		{ "schedule", 1, &st->schedule, false },
	};
	const struct { const char *key; double *out; } reals[] = {
		{ "loss_mean", &st->loss_mean }, { "dropout", &st->dropout }, { "lr", &st->lr },
		{ "beta1", &st->beta1 }, { "beta2", &st->beta2 }, { "eps", &st->eps },
		{ "weight_decay", &st->weight_decay }, { "clip", &st->clip },
	};
	const struct { const char *key; uint64_t *out; } hashes[] = {
		{ "data_hash", &st->data_hash }, { "tokenizer_hash", &st->tokenizer_hash },
	};
	const char *text;
	uint64_t v;
	int r;

	r = tram_json_u64(j, "", j->root, "version", true, STATE_VERSION, STATE_VERSION, &v);
	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(ints); i++) {
		r = tram_json_u64(j, "", j->root, ints[i].key, true, 0, ints[i].max, &v);
		if (!r && ints[i].wide)
			*(uint64_t *)ints[i].out = v;
		else if (!r)
			*(uint32_t *)ints[i].out = (uint32_t)v;
	}
	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(reals); i++)
		r = tram_json_f64(j, "", j->root, reals[i].key, true, -1e300, 1e300,
				  reals[i].out);
	for (size_t i = 0; !r && i < TRAM_ARRAY_SIZE(hashes); i++) {
		r = tram_json_str(j, "", j->root, hashes[i].key, true, &text);
		if (!r)
			*hashes[i].out = strtoull(text, NULL, 16);
	}
	if (!r)
		r = tram_json_str(j, "", j->root, "numeric_class", true, &text);
	if (!r)
		snprintf(st->numeric_class, sizeof(st->numeric_class), "%s", text);
	return r;
}

int tram_checkpoint_read(struct tram_ctx *ctx, const char *dir, const struct tram_model *model,
			 float *params, float *m, float *v, struct tram_train_state *state)
{
	struct tram_json json;
	char *text, *weights, *moments;
	int r = parse_state(ctx, dir, &json, &text);

	memset(state, 0, sizeof(*state));
	if (r)
		return r;
	r = read_state(&json, state);
	tram_json_free(&json);
	tram_free(ctx, text);
	if (r)
		return tram_fail_in(ctx, r, "%s", dir);
	weights = join(ctx, dir, "model.safetensors");
	moments = join(ctx, dir, "optimizer.safetensors");
	r = weights && moments ? tram_model_load(model, weights, params) : -ENOMEM;
	if (!r)
		r = tram_model_load_prefixed(model, moments, "m.", m);
	if (!r)
		r = tram_model_load_prefixed(model, moments, "v.", v);
	tram_free(ctx, moments);
	tram_free(ctx, weights);
	return r;
}
