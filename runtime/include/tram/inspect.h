/* SPDX-License-Identifier: MIT */
/*
 * Check a file whole and say what it holds: GGUF, safetensors, npy, IDX, token shards,
 * tokenizer.json, config.json, or a folder of these, which are then checked
 * against each other.
 */
#ifndef TRAM_INSPECT_H
#define TRAM_INSPECT_H

#include <stdbool.h>

#include <tram/tram.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * 0 with lines for people in @*text, or with @json one JSON object a line:
 * {"event":"inspect","kind":"gguf"|"safetensors"|"npy"|"idx"|"shard"|"config"|"tokenizer"|
 * "folder","path":...,...}, the folder's last. -EINVAL, -EBADMSG, -ENOENT...
 * for what is broken, with tram_error() naming file, field, value and limit;
 * then @*text is NULL. Give @*text back with tram_text_free().
 */
int tram_inspect(struct tram_ctx *ctx, const char *path, bool json, char **text);

/* @text may be NULL. */
void tram_text_free(struct tram_ctx *ctx, char *text);

#ifdef __cplusplus
}
#endif
#endif
