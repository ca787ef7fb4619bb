/* SPDX-License-Identifier: MIT */
/*
 * What the verbs share: options, output for people and for scripts, ending
 * with a clear line. main.c dispatches; one file a verb.
 */
#ifndef TRAM_TOOL_H
#define TRAM_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <yyjson.h>

#include <tram/device.h>
#include <tram/tram.h>

/* Exit statuses: scripts rely on them. */
enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* --- options ------------------------------------------------------------------- */

enum tool_type {
	TOOL_FLAG,	/* bool */
	TOOL_STRING,	/* const char * */
	TOOL_U32, TOOL_U64,
	TOOL_F64,
	TOOL_BYTES,	/* uint64_t: 512M, 2G, 1048576 */
	TOOL_PAIR,	/* double[2]: A,B */
	TOOL_CHOICE,	/* int: index in choices */
	TOOL_LIST,	/* struct tool_list: words up to the next option */
};

struct tool_list { const char **v; size_t n; };

struct tool_option {
	const char *name;		/* "lr" of --lr */
	enum tool_type type;
	void *out;
	const char *arg;		/* metavariable in the help */
	const char *help;
	const char *const *choices;	/* TOOL_CHOICE: ends with NULL */
	bool required;
};

struct tool_verb {
	const char *name, *synopsis, *summary, *details;
	int (*run)(int argc, char **argv);
};

/*
 * Parses argv[1..]. @positional: where words without an option go, or NULL. Returns TOOL_OK; or TOOL_USAGE after
 * one line on stderr; *help is set when --help was printed and the verb is done.
 */
int tool_parse(const struct tool_verb *verb, int argc, char **argv,
	       const struct tool_option *opts, size_t n, struct tool_list *positional, bool *help);

/* --- context --------------------------------------------------------------------- */

struct tool_common {
	bool json;
	uint32_t threads;
	const char *device;
};

/* A context whose warnings (and, for people, notes) go to stderr. NULL after saying why. */
struct tram_ctx *tool_context(const struct tool_common *c);

/* "tram VERB: what the library said" on stderr; TOOL_FAILED. */
int tool_fail(const char *verb, struct tram_ctx *ctx);
int tool_usage(const char *verb, const char *fmt, ...) TRAM_PRINTF(2, 3);

/* --- output ------------------------------------------------------------------------ */

/* "1.5 MiB", "412", "12.3 k", "1:02:03" in @buf. */
#define TOOL_TEXT 32
const char *tool_bytes(uint64_t n, char buf[TOOL_TEXT]);
const char *tool_count(double n, char buf[TOOL_TEXT]);
const char *tool_time(double seconds, char buf[TOOL_TEXT]);

/* One JSON object a line: begin with its event (or NULL), add members, end. */
struct tool_json { yyjson_mut_doc *doc; yyjson_mut_val *obj; };
void tool_json_begin(struct tool_json *j, const char *event);
void tool_json_str(struct tool_json *j, const char *key, const char *v);
void tool_json_u64(struct tool_json *j, const char *key, uint64_t v);
void tool_json_f64(struct tool_json *j, const char *key, double v);	/* null unless finite */
void tool_json_bool(struct tool_json *j, const char *key, bool v);
/* To both files that are not NULL; what a script reads must not be torn, so each line is flushed. */
void tool_json_end(struct tool_json *j, FILE *to, FILE *also);

/* plot.c: a curve of @n points, drawn @width columns wide. */
void tool_plot(FILE *f, const double *x, const double *y, size_t n, unsigned int width,
	       unsigned int height, const char *x_name, const char *y_name);
/* @y2/@n2: a second curve (dots), may be NULL. 0 or -errno. */
int tool_plot_svg(const char *path, const char *title, const char *x_name, const char *y_name,
		  const double *x, const double *y, size_t n,
		  const double *x2, const double *y2, size_t n2);

/* resolve.c: what --model and --tokenizer mean, the same for all verbs. */
struct tool_model_files {
	char *dir;		/* folder with config.json, a GGUF file, or NULL for a preset */
	char *weights;		/* model.safetensors, the GGUF file, or NULL */
	char *tokenizer;	/* tokenizer.json, the GGUF file, or NULL */
};
int tool_find_model(struct tram_ctx *ctx, const char *spec, struct tool_model_files *f);
void tool_model_files_free(struct tool_model_files *f);

/*
 * A trained model whole: its files, weights and tokenizer (@tokenizer, else the model's own; NULL when there is
 * none). Of a running training job it is the version that was published last, which the job may replace
 * meanwhile: then the next one is taken. TOOL_OK, or TOOL_FAILED after saying why.
 */
struct tool_model {
	struct tool_model_files files;
	struct tram_model *m;
	float *flat;
	struct tram_tokenizer *tok;
	int64_t step;		/* of its training run; -1: of none */
};
int tool_open_model(const char *verb, struct tram_ctx *ctx, const char *spec, const char *tokenizer,
		    uint32_t seq, struct tool_model *model);
void tool_close_model(struct tool_model *model);

extern const struct tool_verb tool_devices, tool_tokenize, tool_train, tool_eval, tool_inspect,
	tool_generate, tool_export, tool_topo;

#endif
