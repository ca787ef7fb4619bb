/* SPDX-License-Identifier: MIT */
/*
 * Seconds of measured calls, kept between runs in CACHE/rates-HASH.txt: one file
 * per numeric class and number of threads, which its first lines repeat.
 *
 *	tramroad-rates 1
 *	class lavapipe 26.1.6 ...
 *	threads 2
 *	0123456789abcdef 123456789
 *
 * A rate is a signature's hash and picoseconds. A file that is not exactly that is ignored and replaced by the next one.
 */
#include "exec/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/sbuf.h"

#define MAX_FILE	(UINT64_C(8) << 20)	/* bytes */
#define MAX_PS		3600000000000000LL	/* of one call: an hour */

static int head(struct tram_device *dev, struct tram_sbuf *sb)
{
	uint32_t threads = dev->info.threads ? dev->info.threads : tram_threads(dev->ctx);

	tram_sbuf_addf(sb, "tramroad-rates 1\nclass %s\nthreads %u\n", dev->info.numeric_class,
		       threads);
	return sb->err;
}

static int file_path(struct tram_device *dev, const struct tram_sbuf *h, char **path)
{
	char hex[17];

	tram_hash64_hex(tram_hash64(tram_sbuf_str(h), h->n), hex);
	*path = tram_asprintf(dev->ctx, "%s/rates-%s.txt", tram_cache_dir(dev->ctx), hex);
	return *path ? 0 : -ENOMEM;
}

static int by_hash(const void *a, const void *b)
{
	const struct tram_rate *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* @p: the lines behind the head. False when a line is not a rate. */
static bool parse(const char *p, struct tram_rate *rates, size_t *n)
{
	for (*n = 0; *p; p++) {
		struct tram_rate *r = &rates[*n];
		long long ps;
		char *end;

		if (strspn(p, "0123456789abcdef") != 16 || p[16] != ' ')
			return false;
		r->hash = strtoull(p, &end, 16);
		p = end + 1;
		if (!strchr("-0123456789", *p))
			return false;
		ps = strtoll(p, &end, 10);
		if (end == p || *end != '\n' || ps > MAX_PS || ps < -MAX_PS ||
		    (*n && r->hash <= rates[*n - 1].hash))
			return false;
		r->seconds = (double)ps * 1e-12;
		p = end;
		(*n)++;
	}
	return true;
}

int tram_rates_load(struct tram_device *dev)
{
	struct tram_ctx *ctx = dev->ctx;
	struct tram_sbuf want = TRAM_SBUF_INIT(ctx);
	char *path = NULL, *text = NULL;
	struct tram_rate *rates = NULL;
	size_t size, lines = 0, n;
	int r;

	if (dev->machine.rates)
		return 0;
	r = head(dev, &want);
	if (!r)
		r = file_path(dev, &want, &path);
	if (r || access(path, F_OK))
		goto free;
	r = tram_file_load(ctx, path, MAX_FILE, &text, &size);
	if (r) {
		if (r != -ENOMEM) {
			tram_log(ctx, TRAM_LOG_WARN, "%s; measured again", tram_error(ctx));
			r = 0;
		}
		goto free;
	}
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	rates = tram_calloc(ctx, lines + 1, sizeof(*rates));
	if (!rates) {
		r = -ENOMEM;
		goto free;
	}
	if (strlen(text) != size || strncmp(text, tram_sbuf_str(&want), want.n) ||
	    !parse(text + want.n, rates, &n) || !n) {
		tram_log(ctx, TRAM_LOG_WARN, "%s: damaged or of another device; ignored, rates will be measured again",
			 path);
		goto free;
	}
	dev->machine.rates = rates;
	dev->machine.n_rates = n;
	rates = NULL;
free:
	tram_free(ctx, rates);
	tram_free(ctx, text);
	tram_free(ctx, path);
	tram_sbuf_free(&want);
	return r;
}

/* A cache: a folder that can't be written is worth a log line, not a failure. */
static int store(struct tram_device *dev)
{
	struct tram_ctx *ctx = dev->ctx;
	struct tram_sbuf sb = TRAM_SBUF_INIT(ctx);
	char *path = NULL;
	int r = head(dev, &sb);

	if (!r)
		r = file_path(dev, &sb, &path);
	for (size_t i = 0; i < dev->machine.n_rates; i++)
		tram_sbuf_addf(&sb, "%016llx %lld\n",
			       (unsigned long long)dev->machine.rates[i].hash,
			       (long long)(dev->machine.rates[i].seconds * 1e12));
	if (!r)
		r = sb.err;
	if (!r)
		r = tram_mkdirs(ctx, tram_cache_dir(ctx));
	if (!r)
		r = tram_file_store(ctx, path, tram_sbuf_str(&sb), sb.n);
	if (r && r != -ENOMEM) {
		tram_log(ctx, TRAM_LOG_WARN, "%s; measured rates are not kept", tram_error(ctx));
		r = 0;
	}
	tram_free(ctx, path);
	tram_sbuf_free(&sb);
	return r;
}

int tram_rates_merge(struct tram_device *dev, struct tram_rate *rates, size_t n)
{
	struct tram_machine_device *m = &dev->machine;
	struct tram_rate *all;
	size_t i = 0, j = 0, k = 0;

	all = tram_calloc(dev->ctx, m->n_rates + n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	qsort(rates, n, sizeof(*rates), by_hash);
	while (i < m->n_rates || j < n) {
		if (j == n || (i < m->n_rates && m->rates[i].hash < rates[j].hash)) {
			all[k++] = m->rates[i++];
			continue;
		}
		if (i < m->n_rates && m->rates[i].hash == rates[j].hash)
			i++;
		all[k++] = rates[j++];
	}
	tram_free(dev->ctx, m->rates);
	m->rates = all;
	m->n_rates = k;
	return store(dev);
}
