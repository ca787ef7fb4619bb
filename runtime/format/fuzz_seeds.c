/* SPDX-License-Identifier: MIT */
/*
 * usage: seed_corpus FOLDER
 *
 * Writes a small corpus for every fuzz_*.c into FOLDER/TARGET/. In the mixed
 * inputs the first byte is the mode (see there).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/test_gguf.h"

struct seed { const char *target, *name; size_t n; const char *bytes; };
static const struct seed seeds[];
static const size_t n_seeds;

/* A key of every type; tensors that are read and one that is not. */
static void make_values(struct bytes *b)
{
	put_(b, "\0\3\7\x28", 4);
	put_key(b, "u8", TRAM_GGUF_U8), put_u8(b, 1);
	put_key(b, "i64", TRAM_GGUF_I64), put_u64(b, (uint64_t)-2);
	put_key(b, "f32", TRAM_GGUF_F32), put_f32(b, 0.5f);
	put_key(b, "bool", TRAM_GGUF_BOOL), put_u8(b, 1);
	put_key(b, "str", TRAM_GGUF_STR), put_str(b, "text");
	put_key(b, "nested", TRAM_GGUF_ARR), put_u32(b, TRAM_GGUF_ARR), put_u64(b, 2);
	put_u32(b, TRAM_GGUF_STR), put_u64(b, 1), put_str(b, "x");
	put_u32(b, TRAM_GGUF_BOOL), put_u64(b, 2), put_u8(b, 0), put_u8(b, 1);
	put_key(b, "general.alignment", TRAM_GGUF_U32), put_u32(b, 32);
	put_tensor(b, "a", 2, 3, TRAM_GGUF_T_F32, 0);
	put_tensor(b, "b", 32, 2, TRAM_GGUF_T_Q8_0, 32);
	put_tensor(b, "c", 256, 0, 12, 128);
}

/* Keys of a GPT-2 with its tokenizer, and the table that gives the vocabulary. */
static void make_model(struct bytes *b)
{
	static const char *const counts[] = { "context_length", "embedding_length", "block_count",
					      "attention.head_count", "feed_forward_length" };
	char key[64];

	put_(b, "\0\1\x0c\4", 4);
	put_key(b, "general.architecture", TRAM_GGUF_STR), put_str(b, "gpt2");
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "gpt2.%s", counts[i]);
		put_key(b, key, TRAM_GGUF_U32), put_u32(b, 1);
	}
	put_key(b, "gpt2.attention.layer_norm_epsilon", TRAM_GGUF_F32), put_f32(b, 1e-5f);
	put_key(b, "tokenizer.ggml.model", TRAM_GGUF_STR), put_str(b, "gpt2");
	put_key(b, "tokenizer.ggml.pre", TRAM_GGUF_STR), put_str(b, "gpt-2");
	put_key(b, "tokenizer.ggml.tokens", TRAM_GGUF_ARR), put_u32(b, TRAM_GGUF_STR), put_u64(b, 4);
	put_str(b, "a"), put_str(b, "b"), put_str(b, "ab"), put_str(b, "<e>");
	put_key(b, "tokenizer.ggml.token_type", TRAM_GGUF_ARR), put_u32(b, TRAM_GGUF_I32), put_u64(b, 4);
	put_u32(b, 1), put_u32(b, 1), put_u32(b, 1), put_u32(b, 3);
	put_key(b, "tokenizer.ggml.merges", TRAM_GGUF_ARR), put_u32(b, TRAM_GGUF_STR), put_u64(b, 1);
	put_str(b, "a b");
	put_tensor(b, "token_embd.weight", 1, 4, TRAM_GGUF_T_F32, 0);
}

static void make_whole(struct bytes *b)
{
	put_u8(b, 1);
	put_head(b, 1, 0);
	put_tensor(b, "t", 4, 0, TRAM_GGUF_T_F16, 0);
	while ((b->n - 1) % 32)
		put_u8(b, 0);
	put_u64(b, 0x3c003c003c003c00);
}

static const struct { const char *target, *name; void (*make)(struct bytes *b); } made[] = {
	{ "fuzz_gguf", "values", make_values }, { "fuzz_gguf", "model", make_model },
	{ "fuzz_gguf", "whole", make_whole },
};

static int store(const char *folder, const char *target, const char *name, const void *v, size_t n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, target);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/seed-%s", folder, target, name);
	f = fopen(path, "wb");
	if (f && fwrite(v, 1, n, f) == n && !fclose(f))
		return 0;
	perror(path);
	return 1;
}

int main(int argc, char **argv)
{
	struct bytes b;
	int failed = 0;
	size_t i;

	if (argc != 2) {
		fprintf(stderr, "usage: seed_corpus FOLDER\n");
		return 2;
	}
	mkdir(argv[1], 0777);
	for (i = 0; !failed && i < n_seeds; i++)
		failed = store(argv[1], seeds[i].target, seeds[i].name, seeds[i].bytes, seeds[i].n);
	for (i = 0; !failed && i < sizeof(made) / sizeof(made[0]); i++) {
		memset(&b, 0, sizeof(b));
		made[i].make(&b);
		failed = store(argv[1], made[i].target, made[i].name, b.v, b.n);
	}
	return failed;
}

#define SEED(target, name, bytes) { "fuzz_" target, name, sizeof(bytes) - 1, bytes }

static const struct seed seeds[] = {
	SEED("safetensors", "two",
	     "\0\x10{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2],"
	     "\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"BF16\",\"shape\":[2,2],"
	     "\"data_offsets\":[8,16]}}   "),
	SEED("safetensors", "types",
	     "\0\x1c{\"a\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
	     "\"b\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]},"
	     "\"c\":{\"dtype\":\"BOOL\",\"shape\":[4],\"data_offsets\":[16,20]},"
	     "\"d\":{\"dtype\":\"F16\",\"shape\":[0,3],\"data_offsets\":[20,20]},"
	     "\"e\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[20,28]}}"),
	SEED("safetensors", "hashed",
	     "\0\4{\"__metadata__\":{\"xxh3\":\"0000000000000000\",\"xxh3:a\":\"0000000000000000\"},"
	     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"),
	SEED("safetensors", "whole", "\1\0\2\0\0\0\0\0\0\0{}"),
	SEED("npy", "f4", "\0\x10{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }  \n"),
	SEED("npy", "i8", "\0\x08{\"shape\":(1,),\"descr\":\"<i8\",\"fortran_order\":False}\n"),
	SEED("npy", "scalar", "\0\2{'descr': '<u2', 'fortran_order': False, 'shape': ()}\n"),
	SEED("npy", "whole", "\1\0\x93NUMPY\1\0\x38\0{'descr': '<f2', 'fortran_order': True, "
	     "'shape': (0,)}\n"),
	SEED("shard", "narrow", "\0\x88\xd8\x34\x01\1\0\0\0\2\0\0\0\1\0\2\0"),
	SEED("shard", "wide", "\0\xa1\xd9\x34\x01\7\0\0\0\1\0\0\0\1\2\3\4"),
	SEED("idx", "images", "\0\x08\3\0\0\0\1\0\0\0\2\0\0\0\2\1\2\3\4"),
	/* gzip of a file of three labels */
	SEED("idx", "gzip", "\1\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x63\x60\xe0\x60\x64\x60"
	     "\x60\x60\x66\x64\x62\x06\x00\x8b\xe5\xbd\xa4\x0b\x00\x00\x00"),
	SEED("config", "small",
	     "{\"model_type\":\"gpt2\",\"vocab_size\":65,\"n_positions\":32,\"n_embd\":48,"
	     "\"n_layer\":2,\"n_head\":4,\"n_inner\":null,\"activation_function\":\"gelu\","
	     "\"layer_norm_epsilon\":1e-5,\"attn_pdrop\":0.1,\"embd_pdrop\":0,"
	     "\"tie_word_embeddings\":false,\"bos_token_id\":1,\"scale_attn_weights\":true}"),
	SEED("config", "llama",
	     "{\"model_type\":\"llama\",\"vocab_size\":65,\"max_position_embeddings\":32,"
	     "\"hidden_size\":48,\"intermediate_size\":64,\"num_hidden_layers\":2,"
	     "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":16,"
	     "\"hidden_act\":\"silu\",\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,"
	     "\"rope_parameters\":{\"rope_type\":\"default\"},\"rope_scaling\":null,"
	     "\"attention_bias\":false,\"tie_word_embeddings\":true,\"eos_token_id\":[1,2]}"),
	SEED("tokenizer", "small",
	     "{\"added_tokens\":[{\"id\":5,\"content\":\"<|e|>\",\"special\":true},"
	     "{\"id\":7,\"content\":\"x \xc3\xa9\"}],\"normalizer\":null,\"pre_tokenizer\":{"
	     "\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":"
	     "\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
	     "\"\xc4\xa0\":2,\"ab\":3,\"\xc4\xa0" "ab\":4,\"<|e|>\":5},\"merges\":[\"a b\","
	     "[\"\xc4\xa0\",\"ab\"]]}}"),
	SEED("tokenizer", "split",
	     "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
	     "\"pattern\":{\"Regex\":\"x\"},\"behavior\":\"Isolated\",\"invert\":false},"
	     "{\"type\":\"ByteLevel\",\"use_regex\":false}]},\"model\":{\"type\":\"BPE\","
	     "\"ignore_merges\":true,\"vocab\":{\"a\":0,\"\xe4\xb8\xad\":1},\"merges\":[]}}"),
};
static const size_t n_seeds = sizeof(seeds) / sizeof(seeds[0]);
