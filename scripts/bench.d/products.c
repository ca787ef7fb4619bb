/* SPDX-License-Identifier: MIT */
/*
 * usage: products SECONDS THREADS tram DEVICE | cblas LIBRARY | onednn
 *
 * Prints "M N K milliseconds" for f32 products C[M, N] = A[M, K] B[K, N], the median of as many as fit in
 * SECONDS. One contestant a process: their threads don't meet. For scripts/bench.d/products.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <oneapi/dnnl/dnnl.h>

#include <tram/exec.h>
#include <tram/ops.h>

/* Of a step of the two sizes of scripts/bench.d/gpt, and a square one. */
static const int shapes[][3] = {
	{ 2048, 384, 128 }, { 2048, 512, 128 }, { 2048, 128, 512 }, { 2048, 1536, 384 },
	{ 2048, 384, 1536 }, { 1024, 1024, 1024 },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct product {
	int m, n, k;
	float *a, *b, *c;
	struct tram_exec *x;
	void (*sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
		      float *, int);
};

static int run_tram(struct product *p)
{
	return tram_exec_run(p->x);
}

static int run_cblas(struct product *p)
{
	p->sgemm(101, 111, 111, p->m, p->n, p->k, 1, p->a, p->k, p->b, p->n, 0, p->c, p->n);
	return 0;
}

static int run_onednn(struct product *p)
{
	return dnnl_sgemm('N', 'N', p->m, p->n, p->k, 1, p->a, p->k, p->b, p->n, 0, p->c, p->n) != dnnl_success;
}

static int measure(struct product *p, int (*run)(struct product *), double seconds)
{
	double took[2000], end, begin;
	int n = 0, r = 0;

	for (int i = 0; i < 3 && !r; i++)
		r = run(p);
	end = now() + seconds;
	while (!r && n < 2000 && (n < 5 || now() < end)) {
		begin = now();
		r = run(p);
		took[n++] = now() - begin;
	}
	qsort(took, (size_t)n, sizeof(*took), by_value);
	if (!r)
		printf("%d %d %d %.6f\n", p->m, p->n, p->k, 1e3 * took[n / 2]);
	return r;
}

/* Inputs lie in variables, as weights and activations do: nothing crosses from the host. */
static int make_exec(struct tram_device *dev, struct tram_ctx *ctx, struct product *p,
		     struct tram_vars **vars)
{
	struct tram_graph *g = NULL;
	int r = tram_graph_create(ctx, NULL, &g);

	if (!r)
		r = tram_vars_create(dev, vars);
	if (!r) {
		tram_value a = tram_variable(g, "a", TRAM_SHAPE((uint32_t)p->m, (uint32_t)p->k));
		tram_value b = tram_variable(g, "b", TRAM_SHAPE((uint32_t)p->k, (uint32_t)p->n));
		tram_value c = tram_matmul(g, a, b, NULL);

		/* One number comes back, so that the result stays on the device. */
		r = tram_output(g, "c", tram_slice(g, tram_reshape(g, c, TRAM_SHAPE((uint32_t)(p->m * p->n))),
						   0, 0, 1));
	}
	if (!r)
		r = tram_exec_create(dev, *vars, g, NULL, &p->x);
	if (!r)
		r = tram_vars_write(*vars, "a", 0, (uint64_t)p->m * (uint64_t)p->k, p->a);
	if (!r)
		r = tram_vars_write(*vars, "b", 0, (uint64_t)p->k * (uint64_t)p->n, p->b);
	tram_graph_destroy(&g);
	return r;
}

int main(int argc, char **argv)
{
	struct tram_ctx_params cp = { 0 };
	struct tram_device *dev = NULL;
	struct tram_ctx *ctx = NULL;
	struct tram_vars *vars = NULL;
	struct product p = { 0 };
	const char *who = argc > 3 ? argv[3] : "";
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	int r = 0;

	cp.threads = argc > 2 ? (unsigned int)atoi(argv[2]) : 0;
	if (!strcmp(who, "tram") && argc > 4) {
		r = tram_ctx_create(&cp, &ctx) || tram_device_open(ctx, argv[4], &dev);
	} else if (!strcmp(who, "cblas") && argc > 4) {
		void *lib = dlopen(argv[4], RTLD_NOW);

		*(void **)&p.sgemm = lib ? dlsym(lib, "cblas_sgemm") : NULL;
		r = !p.sgemm;
		if (r)
			fprintf(stderr, "products: %s\n", dlerror());
	} else if (strcmp(who, "onednn")) {
		fprintf(stderr, "usage: products SECONDS THREADS tram DEVICE | cblas LIBRARY | onednn\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes) && !r; i++) {
		p.m = shapes[i][0];
		p.n = shapes[i][1];
		p.k = shapes[i][2];
		p.a = malloc(sizeof(float) * (size_t)p.m * (size_t)p.k);
		p.b = malloc(sizeof(float) * (size_t)p.k * (size_t)p.n);
		p.c = malloc(sizeof(float) * (size_t)p.m * (size_t)p.n);
		if (!p.a || !p.b || !p.c)
			return 1;
		for (int j = 0; j < p.m * p.k; j++)
			p.a[j] = (float)(j % 13) - 6;
		for (int j = 0; j < p.k * p.n; j++)
			p.b[j] = (float)(j % 17) - 8;
		if (dev)
			r = make_exec(dev, ctx, &p, &vars);
		if (!r)
			r = measure(&p, dev ? run_tram : p.sgemm ? run_cblas : run_onednn, seconds);
		tram_exec_destroy(&p.x);
		tram_vars_destroy(&vars);
		free(p.a);
		free(p.b);
		free(p.c);
	}
	if (r && ctx)
		fprintf(stderr, "products: %s\n", tram_error(ctx));
	tram_device_close(&dev);
	tram_ctx_destroy(&ctx);
	return r != 0;
}
