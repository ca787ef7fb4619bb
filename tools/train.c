/* SPDX-License-Identifier: MIT */
/*
 * tram train: a run from data to checkpoint, told live: for people a plan, a
 * progress line and a summary with a plot; for scripts JSON lines, which also go to OUT/metrics.jsonl.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <tram/data.h>
#include <tram/train.h>

#include "tool.h"

struct curve { double *x, *y; size_t n, cap; };

struct train {
	struct tool_common c;
	const char *model, *data, *eval_data, *tokenizer;
	struct tram_train_params p;
	double betas[2];
	int schedule, order;
	double dropout;

	struct tram_ctx *ctx;
	struct tool_model_files files;
	struct tram_model *m;
	struct tram_device **devs;
	size_t n_devs;
	struct tram_tokenizer *tok;
	struct tram_stream *stream, *eval_stream;
	struct tram_trainer *trainer;

	FILE *metrics;
	uint64_t peak_bytes, planned_peak;
	bool live;		/* a terminal: the progress line is rewritten */
	bool line_open;
	double start, shown;	/* seconds */
	uint64_t first_step, skipped, rolled_back;
	struct tram_prediction plan;
	struct curve loss, held_out;
	double eval_loss;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	/* Once: a checkpoint, then the end. Twice: the end. */
	if (interrupted)
		_exit(128 + sig);
	interrupted = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void curve_add(struct curve *c, double x, double y)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 256;
		double *nx = realloc(c->x, cap * sizeof(*nx)), *ny;

		if (!nx)
			return;
		c->x = nx;
		ny = realloc(c->y, cap * sizeof(*ny));
		if (!ny)
			return;
		c->y = ny;
		c->cap = cap;
	}
	c->x[c->n] = x;
	c->y[c->n++] = y;
}

/* --- events for scripts ---------------------------------------------------------------- */

static const char *const event_names[] = {
	"plan", "step", "eval", "save", "skip", "rollback", "resume", "done",
};

/* "vk0", or "vk0.0,vk0.1"; cut where @buf ends. */
static const char *device_names(const struct train *t, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < t->n_devs && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? "," : "",
				       tram_device_info(t->devs[i])->selector);
	return buf;
}

static void json_plan(struct train *t, struct tool_json *j, const struct tram_prediction *p)
{
	const struct tram_device_info *d = tram_device_info(t->devs[0]);
	char names[512];

	tool_json_f64(j, "predicted_step_ms", p->step_s * 1e3);
	tool_json_u64(j, "predicted_peak_bytes", p->peak_bytes);
	tool_json_u64(j, "arena_bytes", p->arena_bytes);
	tool_json_u64(j, "variable_bytes", p->variable_bytes);
	tool_json_u64(j, "io_bytes", p->io_bytes);
	tool_json_u64(j, "kernel_calls", p->calls);
	tool_json_u64(j, "unmeasured_calls", p->unmeasured);
	tool_json_str(j, "largest", p->largest);
	tool_json_str(j, "device", device_names(t, names, sizeof(names)));
	tool_json_u64(j, "devices", t->n_devs);
	tool_json_str(j, "device_name", d->name);
	tool_json_str(j, "device_reason", tram_device_reason(t->devs[0]));
	tool_json_str(j, "numeric_class", d->numeric_class);
}

static void json_event(struct train *t, const struct tram_train_event *ev)
{
	struct tool_json j;

	tool_json_begin(&j, event_names[ev->kind]);
	tool_json_u64(&j, "step", ev->step);
	switch (ev->kind) {
	case TRAM_EVENT_PLAN:
		json_plan(t, &j, &ev->plan);
		break;
	case TRAM_EVENT_STEP:
	case TRAM_EVENT_SKIP:
	case TRAM_EVENT_ROLLBACK:
		tool_json_f64(&j, "loss", ev->loss);
		tool_json_f64(&j, "grad_norm", ev->grad_norm);
		tool_json_f64(&j, "lr", ev->lr);
		tool_json_f64(&j, "step_ms", ev->step_ms);
		tool_json_f64(&j, "tokens_per_s", ev->tokens_per_s);
		break;
	case TRAM_EVENT_EVAL:
		tool_json_f64(&j, "loss", ev->loss);
		break;
	case TRAM_EVENT_DONE:
		tool_json_str(&j, "weights_sha256", ev->sha256);
		tool_json_u64(&j, "peak_bytes", ev->peak_bytes);
		tool_json_u64(&j, "predicted_peak_bytes", t->planned_peak);
		tool_json_f64(&j, "median_step_ms", ev->median_step_ms);
		tool_json_f64(&j, "predicted_step_ms", t->plan.step_s * 1e3);
		tool_json_str(&j, "limit", tram_trainer_limit(t->trainer));
		break;
	default:
		break;
	}
	if (ev->text)
		tool_json_str(&j, "text", ev->text);
	tool_json_end(&j, t->c.json ? stdout : NULL, t->metrics);
}

/* --- events for people --------------------------------------------------------------------- */

static void close_line(struct train *t)
{
	if (t->line_open)
		fputc('\n', stderr);
	t->line_open = false;
}

static void show_plan(struct train *t, const struct tram_prediction *p)
{
	struct tram_model_info m;
	char a[TOOL_TEXT], b[TOOL_TEXT], c[TOOL_TEXT];

	tram_model_info(t->m, &m);
	fprintf(stderr, "model    %s: %s parameters (%u layers of width %u, %u heads, vocabulary %u)\n",
		t->model, tool_count((double)m.parameters, a), m.layers, m.width, m.heads, m.vocab);
	fprintf(stderr, "data     %s: %s tokens, %llu steps of %u x %u\n", t->data,
		tool_count((double)tram_stream_tokens(t->stream), a),
		(unsigned long long)t->p.steps, t->p.batch, t->p.seq ? t->p.seq : m.max_seq);
	if (t->n_devs > 1)
		fprintf(stderr, "devices  %s: %u shards shared between %zu x %s\n", t->c.device,
			t->p.shards, t->n_devs, tram_device_info(t->devs[0])->name);
	else
		fprintf(stderr, "device   %s\n", tram_device_reason(t->devs[0]));
	fprintf(stderr, "plan     %u kernel calls a step, %.0f ms predicted; %s of device memory (%s "
		"weights and optimizer, %s activations)\n", p->calls, p->step_s * 1e3,
		tool_bytes(p->peak_bytes, a), tool_bytes(p->variable_bytes, b),
		tool_bytes(p->arena_bytes, c));
}

static void show_step(struct train *t, const struct tram_train_event *ev)
{
	double elapsed = now() - t->start, done = (double)(ev->step - t->first_step);
	double left = done > 0 ? elapsed / done * (double)(t->p.steps - ev->step) : 0;
	char rate[TOOL_TEXT], eta[TOOL_TEXT];

	/* A terminal sees ten lines a second, a log one every five seconds. */
	if (now() - t->shown < (t->live ? 0.1 : 5) && ev->step != t->p.steps)
		return;
	t->shown = now();
	fprintf(stderr, "%sstep %llu/%llu  loss %.4f  grad norm %.3f  %s tokens/s  %s left%s",
		t->live ? "\r" : "", (unsigned long long)ev->step, (unsigned long long)t->p.steps,
		ev->loss, ev->grad_norm, tool_count(ev->tokens_per_s, rate), tool_time(left, eta),
		t->live ? "\033[K" : "\n");
	t->line_open = t->live;
	fflush(stderr);
}

static void show_event(struct train *t, const struct tram_train_event *ev)
{
	switch (ev->kind) {
	case TRAM_EVENT_PLAN:
		show_plan(t, &ev->plan);
		break;
	case TRAM_EVENT_STEP:
		show_step(t, ev);
		break;
	case TRAM_EVENT_EVAL:
		close_line(t);
		fprintf(stderr, "step %llu: held-out loss %.4f (perplexity %.2f)\n",
			(unsigned long long)ev->step, ev->loss, exp(ev->loss));
		break;
	case TRAM_EVENT_RESUME:
		fprintf(stderr, "resumed from step %llu of %s\n", (unsigned long long)ev->step,
			t->p.out);
		break;
	case TRAM_EVENT_SKIP:
	case TRAM_EVENT_ROLLBACK:
		close_line(t);
		fprintf(stderr, "warning: %s\n", ev->text);
		break;
	default:
		break;
	}
}

static int on_event(void *arg, const struct tram_train_event *ev)
{
	struct train *t = arg;

	switch (ev->kind) {
	case TRAM_EVENT_PLAN:
		if (ev->plan.peak_bytes > t->planned_peak)
			t->planned_peak = ev->plan.peak_bytes;
		if (t->plan.calls)	/* again: shards moved */
			break;
		t->plan = ev->plan;
		t->start = now();
		t->first_step = ev->step;
		break;
	case TRAM_EVENT_STEP:
		curve_add(&t->loss, (double)ev->step, ev->loss);
		break;
	case TRAM_EVENT_EVAL:
		curve_add(&t->held_out, (double)ev->step, ev->loss);
		t->eval_loss = ev->loss;
		break;
	case TRAM_EVENT_SKIP:
		t->skipped++;
		break;
	case TRAM_EVENT_ROLLBACK:
		t->rolled_back++;
		break;
	case TRAM_EVENT_DONE:
		t->peak_bytes = ev->peak_bytes;
		break;
	default:
		break;
	}
	json_event(t, ev);
	if (!t->c.json)
		show_event(t, ev);
	return interrupted != 0;
}

/* --- the summary ----------------------------------------------------------------------------- */

static void show_stages(struct train *t)
{
	struct tram_stage_stats s[16];
	size_t n = tram_trainer_stages(t->trainer, s, ARRAY_SIZE(s));
	char rate[TOOL_TEXT];

	printf("\n%-10s %10s %9s %9s %9s  %s\n", "stage", "items", "busy", "starved", "blocked",
	       "queue");
	for (size_t i = 0; i < n && i < ARRAY_SIZE(s); i++) {
		printf("%-10s %10llu %7.2f s %7.2f s %7.2f s", s[i].name,
		       (unsigned long long)s[i].items, s[i].busy_s, s[i].starved_s, s[i].blocked_s);
		if (s[i].queue_depth)
			printf("  %.1f of %u", s[i].queue_mean, s[i].queue_depth);
		if (s[i].bytes && s[i].busy_s > 0)
			printf("  %s/s", tool_bytes((uint64_t)((double)s[i].bytes / s[i].busy_s), rate));
		putchar('\n');
	}
	printf("limited by %s\n", tram_trainer_limit(t->trainer));
}

static void show_advice(struct train *t)
{
	if (interrupted)
		printf("next: the same command with --resume goes on from here\n");
	else if (!t->p.out)
		printf("next: --out DIR keeps the weights\n");
	else if (t->held_out.n && t->eval_loss > t->loss.y[t->loss.n - 1] + 0.3)
		printf("next: the held-out loss is well above the training loss: more data, or "
		       "--dropout 0.1 and --weight-decay 0.1\n");
	else
		printf("next: tram generate --model %s --prompt '...'; more --steps or a larger "
		       "--model lower the loss further\n", t->p.out);
}

static void show_summary(struct train *t)
{
	const struct curve *c = &t->loss;
	char a[TOOL_TEXT], b[TOOL_TEXT];

	close_line(t);
	if (!c->n)
		return;
	printf("\n");
	tool_plot(stdout, c->x, c->y, c->n, 60, 10, "step", "loss");
	printf("\nloss %.4f -> %.4f in %zu steps, %s", c->y[0], c->y[c->n - 1], c->n,
	       tool_time(now() - t->start, a));
	if (t->held_out.n)
		printf("; held out %.4f -> %.4f", t->held_out.y[0], t->eval_loss);
	printf("\n");
	if (t->skipped || t->rolled_back)
		printf("%llu steps skipped (non-finite), %llu rolled back (loss spike)\n",
		       (unsigned long long)t->skipped, (unsigned long long)t->rolled_back);
	printf("device memory: %s used at most, %s predicted\n", tool_bytes(t->peak_bytes, a),
	       tool_bytes(t->planned_peak, b));
	show_stages(t);
	if (t->p.out)
		printf("checkpoints, metrics.jsonl and loss.svg are in %s\n", t->p.out);
	if (t->p.trace)
		printf("trace of one step: %s (open it in https://ui.perfetto.dev)\n", t->p.trace);
	show_advice(t);
}

static void write_svg(struct train *t)
{
	char path[4096], title[700], names[512];

	if (!t->p.out || !t->loss.n)
		return;
	snprintf(path, sizeof(path), "%s/loss.svg", t->p.out);
	snprintf(title, sizeof(title), "Loss (%s on %s)", "cross-entropy, nats a token",
		 device_names(t, names, sizeof(names)));
	if (tool_plot_svg(path, title, "step", "loss", t->loss.x, t->loss.y, t->loss.n,
			  t->held_out.x, t->held_out.y, t->held_out.n))
		fprintf(stderr, "warning: %s: cannot be written\n", path);
}

/* --- setting up --------------------------------------------------------------------------------- */

/* What turns text into ids: as told, else the data's own, else the model's, else bytes for text and nothing for shards. */
static int open_tokenizer(struct train *t)
{
	char path[4096];
	bool tokens;
	int r;

	if (t->tokenizer)
		return tram_tokenizer_open(t->ctx, t->tokenizer, &t->tok);
	snprintf(path, sizeof(path), "%s/tokenizer.json", t->data);
	if (access(path, F_OK) == 0)
		return tram_tokenizer_open(t->ctx, path, &t->tok);
	if (t->files.tokenizer)
		return tram_tokenizer_open(t->ctx, t->files.tokenizer, &t->tok);
	r = tram_data_is_tokens(t->ctx, t->data, &tokens);
	return r || tokens ? r : tram_tokenizer_open(t->ctx, "bytes", &t->tok);
}

static int open_all(struct train *t)
{
	int r = tool_find_model(t->ctx, t->model, &t->files);

	if (!r)
		r = open_tokenizer(t);
	if (!r)
		r = tram_model_open(t->ctx, t->files.dir ? t->files.dir : t->model,
				    t->tok ? tram_tokenizer_vocab(t->tok) : 0, t->p.seq, &t->m);
	if (!r && t->dropout >= 0)
		r = tram_model_set_dropout(t->m, (float)t->dropout);
	if (!r)
		r = tram_stream_open(t->ctx, t->data, t->tok, &t->stream);
	if (!r && t->eval_data)
		r = tram_stream_open(t->ctx, t->eval_data, t->tok, &t->eval_stream);
	if (!r)
		r = tram_devices_open(t->ctx, t->c.device, &t->devs, &t->n_devs);
	if (r)
		return r;
	/* A folder with weights goes on from them. */
	if (!t->p.init)
		t->p.init = t->files.weights;
	return tram_trainer_create(t->devs, t->n_devs, t->m, t->stream, t->eval_stream, t->tok, &t->p,
				   &t->trainer);
}

static int open_metrics(struct train *t)
{
	char path[4096];

	if (!t->p.out)
		return 0;
	if (mkdir(t->p.out, 0777) && errno != EEXIST) {
		fprintf(stderr, "tram train: --out %s: cannot be made: %s\n", t->p.out,
			strerror(errno));
		return TOOL_FAILED;
	}
	snprintf(path, sizeof(path), "%s/metrics.jsonl", t->p.out);
	t->metrics = fopen(path, t->p.resume ? "ae" : "we");
	if (t->metrics)
		return 0;
	fprintf(stderr, "tram train: %s: cannot be written: %s; choose another --out\n", path,
		strerror(errno));
	return TOOL_FAILED;
}

static int train(struct train *t)
{
	int r;

	if (open_all(t))
		return tool_fail("train", t->ctx);
	r = open_metrics(t);
	if (r)
		return r;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	r = tram_trainer_run(t->trainer, on_event, t);
	if (r) {
		close_line(t);
		return tool_fail("train", t->ctx);
	}
	write_svg(t);
	if (!t->c.json)
		show_summary(t);
	return TOOL_OK;
}

static void finish(struct train *t)
{
	tram_trainer_destroy(&t->trainer);
	tram_devices_close(t->ctx, &t->devs, t->n_devs);
	tram_stream_close(&t->eval_stream);
	tram_stream_close(&t->stream);
	tram_model_close(&t->m);
	tram_tokenizer_close(&t->tok);
	tool_model_files_free(&t->files);
	tram_ctx_destroy(&t->ctx);
	if (t->metrics)
		fclose(t->metrics);
	free(t->loss.x);
	free(t->loss.y);
	free(t->held_out.x);
	free(t->held_out.y);
}

static int run(int argc, char **argv)
{
	static const char *const schedules[] = { "constant", "cosine", NULL };
	static const char *const orders[] = { "shuffled", "sequential", NULL };
	struct train t = { .betas = { 0.9, 0.999 }, .dropout = -1 };
	struct tram_train_params *p = &t.p;
	const struct tool_option opts[] = {
		{ "model", TOOL_STRING, &t.model, "DIR|PRESET",
		  "model folder or preset (nano, llama-nano; see man)", NULL, true },
		{ "data", TOOL_STRING, &t.data, "PATH", "text or token shards, file or folder", NULL,
		  true },
		{ "out", TOOL_STRING, &p->out, "DIR", "folder of checkpoints and metrics", NULL, true },
		{ "eval-data", TOOL_STRING, &t.eval_data, "PATH", "held-out data", NULL, false },
		{ "tokenizer", TOOL_STRING, &t.tokenizer, "bytes|FILE",
		  "(default: the data's, the model's, bytes)", NULL, false },
		{ "init", TOOL_STRING, &p->init, "FILE.safetensors", "weights to begin with", NULL,
		  false },
		{ "device", TOOL_STRING, &t.c.device, "SEL", "auto, vk0, cpu0; several: vk0,vk1 or vk0*4 (default: auto)", NULL,
		  false },
		{ "threads", TOOL_U32, &t.c.threads, "N", "host threads (default: all cores)", NULL,
		  false },
		{ "steps", TOOL_U64, &p->steps, "N", "(default: 100)", NULL, false },
		{ "batch", TOOL_U32, &p->batch, "B", "sequences a step (default: 8)", NULL, false },
		{ "seq", TOOL_U32, &p->seq, "T", "tokens a sequence (default: the model's length)",
		  NULL, false },
		{ "shards", TOOL_U32, &p->shards, "S",
		  "cut the batch for reductions; divides B (default: 1)", NULL, false },
		{ "lr", TOOL_F64, &p->lr, "X", "learning rate (default: 3e-4)", NULL, false },
		{ "schedule", TOOL_CHOICE, &t.schedule, "constant|cosine",
		  "cosine falls to lr/10 at the last step (default: constant)", schedules, false },
		{ "warmup", TOOL_U64, &p->warmup, "N", "steps of linear warm-up (default: 0)", NULL,
		  false },
		{ "betas", TOOL_PAIR, t.betas, "A,B", "AdamW's (default: 0.9,0.999)", NULL, false },
		{ "eps", TOOL_F64, &p->eps, "X", "AdamW's (default: 1e-8)", NULL, false },
		{ "weight-decay", TOOL_F64, &p->weight_decay, "X",
		  "of tensors of two or more dimensions (default: 0)", NULL, false },
		{ "clip", TOOL_F64, &p->clip, "X", "global gradient norm at most (default: none)",
		  NULL, false },
		{ "dropout", TOOL_F64, &t.dropout, "X", "(default: the model's)", NULL, false },
		{ "seed", TOOL_U64, &p->seed, "N", "same seed, same bits (default: 0)", NULL, false },
		{ "order", TOOL_CHOICE, &t.order, "shuffled|sequential", "(default: shuffled)", orders,
		  false },
		{ "eval-every", TOOL_U64, &p->eval_every, "N",
		  "evaluate every N steps (default: at the end)", NULL, false },
		{ "save-every", TOOL_U64, &p->save_every, "N",
		  "checkpoint every N steps (default: at the end)", NULL, false },
		{ "resume", TOOL_FLAG, &p->resume, NULL, "go on from the newest whole checkpoint", NULL,
		  false },
		{ "allow-class-change", TOOL_FLAG, &p->allow_class_change, NULL,
		  "resume on a device of another numeric class", NULL, false },
		{ "spike", TOOL_F64, &p->spike_factor, "X",
		  "roll back when the loss exceeds X times its mean (default: off)", NULL, false },
		{ "budget", TOOL_BYTES, &p->budget, "BYTES", "of device memory (default: the device's)",
		  NULL, false },
		{ "trace", TOOL_STRING, &p->trace, "FILE", "Chrome trace JSON of one step", NULL,
		  false },
		{ "json", TOOL_FLAG, &t.c.json, NULL, "one object a line", NULL, false },
	};
	bool help;
	int r = tool_parse(&tool_train, argc, argv, opts, ARRAY_SIZE(opts), NULL, &help);

	if (r || help)
		return r;
	p->schedule = (enum tram_schedule)t.schedule;
	p->order = (enum tram_order)t.order;
	p->beta1 = t.betas[0];
	p->beta2 = t.betas[1];
	t.live = isatty(STDERR_FILENO);
	t.ctx = tool_context(&t.c);
	if (!t.ctx)
		return TOOL_FAILED;
	r = train(&t);
	finish(&t);
	return r;
}

const struct tool_verb tool_train = {
	"train", "train --model DIR|PRESET --data PATH --out DIR [OPTION...]", "Train a model",
	"Ctrl-C writes a checkpoint and ends; --resume goes on to the same bits.\n", run,
};
