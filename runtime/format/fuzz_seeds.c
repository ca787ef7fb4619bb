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

struct seed { const char *target, *name; size_t n; const char *bytes; };
static const struct seed seeds[14];

int main(int argc, char **argv)
{
	char path[4096];
	size_t i;
	FILE *f;

	if (argc != 2) {
		fprintf(stderr, "usage: seed_corpus FOLDER\n");
		return 2;
	}
	mkdir(argv[1], 0777);
	for (i = 0; seeds[i].target; i++) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], seeds[i].target);
		mkdir(path, 0777);
		snprintf(path, sizeof(path), "%s/%s/seed-%s", argv[1], seeds[i].target,
			 seeds[i].name);
		f = fopen(path, "wb");
		if (!f || fwrite(seeds[i].bytes, 1, seeds[i].n, f) != seeds[i].n || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
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
	SEED("config", "small",
	     "{\"model_type\":\"gpt2\",\"vocab_size\":65,\"n_positions\":32,\"n_embd\":48,"
	     "\"n_layer\":2,\"n_head\":4,\"n_inner\":null,\"activation_function\":\"gelu\","
	     "\"layer_norm_epsilon\":1e-5,\"attn_pdrop\":0.1,\"embd_pdrop\":0,"
	     "\"tie_word_embeddings\":false,\"bos_token_id\":1,\"scale_attn_weights\":true}"),
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
	{ 0 },
};
