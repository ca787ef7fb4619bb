/* SPDX-License-Identifier: MIT */
/*
 * The public face of devices: selectors, the choice of "auto" and its reason,
 * the list. What a device does is in vk/ (start at vk/vk.c) and cpu/; the
 * interface that both serve is device.h.
 */
#include "device/device.h"

#include <ctype.h>
#include <stdio.h>

#include "base/sbuf.h"
#include "device/probe.h"

/* Listing */

static int list_all(struct tram_ctx *ctx, struct tram_device_list *list)
{
	int err = tram_vk_list(ctx, list);

	return err ? err : tram_cpu_list(ctx, list);
}

int tram_devices_list(struct tram_ctx *ctx, struct tram_device_info **out, size_t *n)
{
	struct tram_device_list list = { 0 };
	int err;

	*out = NULL;
	*n = 0;
	err = list_all(ctx, &list);
	if (err) {
		tram_vec_free(ctx, &list.infos);
		return err;
	}
	*out = list.infos.v;
	*n = list.infos.n;
	return 0;
}

void tram_devices_free(struct tram_ctx *ctx, struct tram_device_info *list)
{
	tram_free(ctx, list);
}

/* Opening one */

/* "vk12" is kind "vk", index 12. */
static bool parse(const char *selector, const char *kind, uint32_t *index)
{
	size_t n = strlen(kind);
	uint64_t v = 0;

	if (strncmp(selector, kind, n) || !isdigit((unsigned char)selector[n]))
		return false;
	for (const char *s = selector + n; *s; s++) {
		if (!isdigit((unsigned char)*s) || v > 9999)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*index = (uint32_t)v;
	return true;
}

/* "vk0 (llvmpipe ...), cpu0 (...)" for messages; unusable ones with their reason. */
static void add_choices(struct tram_ctx *ctx, struct tram_sbuf *sb)
{
	struct tram_device_list list = { 0 };

	list_all(ctx, &list);
	for (size_t i = 0; i < list.infos.n; i++) {
		const struct tram_device_info *d = &list.infos.v[i];

		tram_sbuf_addf(sb, "%s%s (%s%s%s)", i ? ", " : "", d->selector, d->name,
			       d->unusable[0] ? ": " : "", d->unusable);
	}
	tram_vec_free(ctx, &list.infos);
}

static int no_such_device(struct tram_ctx *ctx, int err, const char *selector)
{
	struct tram_sbuf choices = TRAM_SBUF_INIT(ctx), cause = TRAM_SBUF_INIT(ctx);

	if (err)	/* the list below may fail for the same cause and overwrite it */
		tram_sbuf_adds(&cause, tram_error(ctx));
	add_choices(ctx, &choices);
	if (err)
		tram_fail(ctx, err, "%s; this machine offers: %s", tram_sbuf_str(&cause),
			  tram_sbuf_str(&choices));
	else
		err = tram_fail(ctx, -ENODEV, "device \"%s\": no such selector; use auto or one "
				"of: %s", selector, tram_sbuf_str(&choices));
	tram_sbuf_free(&choices);
	tram_sbuf_free(&cause);
	return err;
}

static int open_named(struct tram_ctx *ctx, const char *selector, struct tram_device **dev)
{
	uint32_t index;
	int err;

	*dev = NULL;
	if (parse(selector, "vk", &index))
		err = tram_vk_open(ctx, index, dev);
	else if (parse(selector, "cpu", &index))
		err = tram_cpu_open(ctx, index, dev);
	else
		return no_such_device(ctx, 0, selector);
	return err == -ENODEV ? no_such_device(ctx, err, selector) : err;
}

/* "auto" */

/* Larger is better: discrete before integrated, then by memory. Software and the CPU compete by speed. */
static bool better_gpu(const struct tram_device_info *a, const struct tram_device_info *b)
{
	if (!b || a->kind != b->kind)
		return !b || a->kind > b->kind;
	return a->memory > b->memory;
}

static bool is_gpu(const struct tram_device_info *d)
{
	return d->kind == TRAM_DEVICE_VK_INTEGRATED || d->kind == TRAM_DEVICE_VK_DISCRETE;
}

/*
 * The best GPU that opens. @why collects the GPUs passed over. *dev stays NULL
 * when none opens; only running out of memory is an error.
 */
static int open_gpu(struct tram_ctx *ctx, struct tram_device_list *list, struct tram_sbuf *why,
		    struct tram_device **dev)
{
	for (;;) {
		struct tram_device_info *best = NULL;
		size_t others = 0;
		int err;

		for (size_t i = 0; i < list->infos.n; i++) {
			struct tram_device_info *d = &list->infos.v[i];

			if (!is_gpu(d) || d->unusable[0])
				continue;
			others++;
			if (better_gpu(d, best))
				best = d;
		}
		if (!best)
			return 0;
		err = open_named(ctx, best->selector, dev);
		if (!err)
			return tram_sbuf_addf(why, "%s%s GPU%s", why->n ? "; " : "",
					      best->kind == TRAM_DEVICE_VK_DISCRETE ? "discrete" :
					      "integrated",
					      others > 1 ? ", the largest of several" : "");
		if (err == -ENOMEM)
			return err;
		tram_sbuf_addf(why, "%s%s passed over: %s", why->n ? "; " : "", best->selector,
			       tram_error(ctx));
		snprintf(best->unusable, sizeof(best->unusable), "could not be opened");
	}
}

/* No GPU: the CPU device and software Vulkan run the same product; the faster one is kept. */
static int open_fastest(struct tram_ctx *ctx, struct tram_device_list *list, struct tram_sbuf *why,
			struct tram_device **best)
{
	double best_rate = -1;
	size_t tried = 0;

	tram_sbuf_addf(why, "%sno GPU; the fastest at one product:", why->n ? "; " : "");
	for (size_t i = 0; i < list->infos.n; i++) {
		const struct tram_device_info *d = &list->infos.v[i];
		struct tram_device *dev;
		double rate = 0;
		int err;

		if (d->unusable[0] || is_gpu(d))
			continue;
		err = open_named(ctx, d->selector, &dev);
		if (!err)
			err = tram_device_probe(dev, &rate);
		if (err == -ENOMEM) {
			tram_device_close(&dev);
			tram_device_close(best);
			return err;
		}
		if (err)
			tram_sbuf_addf(why, "%s %s failed (%s)", tried++ ? "," : "", d->selector,
				       tram_error(ctx));
		else
			tram_sbuf_addf(why, "%s %s %.0f GFLOP/s", tried++ ? "," : "", d->selector,
				       rate * 1e-9);
		if (!err && rate > best_rate) {
			best_rate = rate;
			tram_device_close(best);
			*best = dev;
			dev = NULL;
		}
		tram_device_close(&dev);
	}
	return 0;
}

static int open_auto(struct tram_ctx *ctx, struct tram_device **dev)
{
	struct tram_sbuf why = TRAM_SBUF_INIT(ctx);
	struct tram_device_list list = { 0 };
	int err;

	err = list_all(ctx, &list);
	if (!err)
		err = open_gpu(ctx, &list, &why, dev);
	if (!err && !*dev)
		err = open_fastest(ctx, &list, &why, dev);
	if (!err && !*dev)
		err = tram_fail(ctx, -ENODEV, "auto: no device can be used: %s",
				tram_sbuf_str(&why));
	if (!err)
		err = why.err;
	if (!err) {
		(*dev)->reason = tram_asprintf(ctx, "%s (%s): %s", (*dev)->info.selector,
					       (*dev)->info.name, tram_sbuf_str(&why));
		err = (*dev)->reason ? 0 : -ENOMEM;
	}
	if (err)
		tram_device_close(dev);
	tram_sbuf_free(&why);
	tram_vec_free(ctx, &list.infos);
	return err;
}

int tram_device_open(struct tram_ctx *ctx, const char *selector, struct tram_device **dev)
{
	int err;

	*dev = NULL;
	if (!selector || !strcmp(selector, "auto"))
		return open_auto(ctx, dev);
	err = open_named(ctx, selector, dev);
	if (err)
		return err;
	(*dev)->reason = tram_asprintf(ctx, "%s (%s): asked for", (*dev)->info.selector,
				       (*dev)->info.name);
	if (!(*dev)->reason) {
		tram_device_close(dev);
		return -ENOMEM;
	}
	return 0;
}

/* "vk0*4" becomes "vk0", 4 times. */
static int times_of(struct tram_ctx *ctx, char *selector, uint32_t *times)
{
	char *star = strchr(selector, '*');

	*times = 1;
	if (!star)
		return 0;
	*star = '\0';
	if (!parse(star + 1, "", times) || !*times || *times > TRAM_DEVICES_MAX)
		return tram_fail(ctx, -EINVAL, "device \"%s*%s\": the number of logical devices is from 1 "
				 "to %d", selector, star + 1, TRAM_DEVICES_MAX);
	return 0;
}

static int open_times(struct tram_ctx *ctx, char *selector, struct tram_device **devs, size_t *n)
{
	uint32_t times;
	int err = times_of(ctx, selector, &times);

	if (!err && *n + times > TRAM_DEVICES_MAX)
		return tram_fail(ctx, -EINVAL, "devices: %zu are named, at most %d can be used", *n + times,
				 TRAM_DEVICES_MAX);
	for (uint32_t i = 0; i < times && !err; i++) {
		struct tram_device_info *info;
		char logical[32];

		err = tram_device_open(ctx, selector, &devs[*n]);
		if (err)
			break;
		info = &devs[(*n)++]->info;
		if (times == 1)
			continue;
		snprintf(logical, sizeof(logical), "%s.%u", info->selector, i);
		snprintf(info->selector, sizeof(info->selector), "%.15s", logical);
	}
	return err;
}

int tram_devices_open(struct tram_ctx *ctx, const char *selectors, struct tram_device ***out, size_t *n)
{
	struct tram_device **devs = tram_calloc(ctx, TRAM_DEVICES_MAX, sizeof(*devs));
	char *text = tram_strdup(ctx, selectors ? selectors : "auto");
	int err = devs && text ? 0 : -ENOMEM;

	*out = NULL;
	*n = 0;
	for (char *s = text, *comma; !err && s; s = comma) {
		comma = strchr(s, ',');
		if (comma)
			*comma++ = '\0';
		err = open_times(ctx, s, devs, n);
	}
	tram_free(ctx, text);
	if (err)
		tram_devices_close(ctx, &devs, *n);
	*out = devs;
	return err;
}

void tram_devices_close(struct tram_ctx *ctx, struct tram_device ***devs, size_t n)
{
	for (size_t i = 0; *devs && i < n; i++)
		tram_device_close(&(*devs)[i]);
	tram_free(ctx, *devs);
	*devs = NULL;
}

void tram_device_close(struct tram_device **devp)
{
	struct tram_device *dev = *devp;

	*devp = NULL;
	if (!dev)
		return;
	tram_free(dev->ctx, dev->reason);
	tram_free(dev->ctx, dev->machine.rates);
	dev->ops->close(dev);
}

/* What is known of an open one */

const struct tram_device_info *tram_device_info(const struct tram_device *dev)
{
	return &dev->info;
}

const char *tram_device_reason(const struct tram_device *dev)
{
	return dev->reason;
}

void tram_device_memory(const struct tram_device *dev, uint64_t *now, uint64_t *peak)
{
	*now = dev->memory_now;
	*peak = dev->memory_peak;
}
