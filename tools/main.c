/* SPDX-License-Identifier: MIT */
/* tram: one tool, a verb a job. */
#include <signal.h>
#include <string.h>

#include "tool.h"

static const struct tool_verb *const verbs[];
static const size_t n_verbs;

static void help(FILE *f)
{
	fprintf(f, "usage: tram VERB [OPTION...]\n\n"
		"Trains, evaluates and runs models on whatever devices this machine has.\n\n");
	for (size_t i = 0; i < n_verbs; i++)
		fprintf(f, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	fprintf(f, "\n'tram VERB --help' tells a verb's options; 'man tram' has it all.\n"
		"Exit status: 0 done, 1 failed, 2 wrong usage.\n");
}

int main(int argc, char **argv)
{
	/* A file size limit is an error like a full disk, not a death. */
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		help(stderr);
		return TOOL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		help(stdout);
		return TOOL_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("tram %s\n", tram_version());
		return TOOL_OK;
	}
	for (size_t i = 0; i < n_verbs; i++)
		if (!strcmp(argv[1], verbs[i]->name))
			return verbs[i]->run(argc - 1, argv + 1);
	fprintf(stderr, "tram: no verb '%s'; 'tram --help' lists them\n", argv[1]);
	return TOOL_USAGE;
}

static const struct tool_verb *const verbs[] = {
	&tool_train, &tool_eval, &tool_generate, &tool_tokenize, &tool_devices, &tool_inspect,
	&tool_export, &tool_topo,
};
static const size_t n_verbs = ARRAY_SIZE(verbs);
