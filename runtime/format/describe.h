/* SPDX-License-Identifier: MIT */
/*
 * What an open file holds, for people or as one line of JSON (see
 * <tram/inspect.h>). Values are read whole: hashes are compared, numbers that
 * are not finite are counted. Each returns 0 or the -errno of a read, a hash
 * that differs, or memory.
 */
#ifndef TRAM_FORMAT_DESCRIBE_H
#define TRAM_FORMAT_DESCRIBE_H

#include "base/sbuf.h"
#include "format/gguf.h"
#include "format/hfmodel.h"
#include "format/idx.h"
#include "format/npy.h"
#include "format/safetensors.h"
#include "format/shard.h"
#include "format/tokjson.h"

int tram_safetensors_describe(struct tram_ctx *ctx, const struct tram_safetensors *st, bool json,
			      struct tram_sbuf *sb);
/* Also -ENOTSUP: a model of a known architecture with something that is not read. */
int tram_gguf_describe(struct tram_ctx *ctx, const struct tram_gguf *g, bool json,
		       struct tram_sbuf *sb);
int tram_npy_describe(struct tram_ctx *ctx, const struct tram_npy *npy, bool json,
		      struct tram_sbuf *sb);
int tram_idx_describe(struct tram_ctx *ctx, struct tram_idx *idx, bool json, struct tram_sbuf *sb);
/* @max: the highest token, for the caller's own checks. */
int tram_shard_describe(struct tram_ctx *ctx, const struct tram_shard *shard, bool json,
			struct tram_sbuf *sb, uint32_t *max);
int tram_hf_config_describe(const struct tram_hf_config *cfg, const char *path, bool json,
			    struct tram_sbuf *sb);
int tram_tokjson_describe(const struct tram_tokjson *tj, const char *path, bool json,
			  struct tram_sbuf *sb);

/* "[2, 3]" or, for JSON, "[2,3]". */
void tram_describe_shape(struct tram_sbuf *sb, unsigned int ndim, const uint64_t *shape,
			 bool json);

/* {"event":"inspect","kind":KIND,"path":PATH */
void tram_describe_head(struct tram_sbuf *sb, const char *kind, const char *path);

#endif
