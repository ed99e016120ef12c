/*
 * options.h - the part of tool.h that knows the options all tools have.
 *
 * For tool.c: getopt's tables of a tool's options, and --help and --version.
 */
#ifndef BIN_OPTIONS_H
#define BIN_OPTIONS_H

#include "bin/tool.h"

#include <getopt.h>

#define MAX_OPTIONS 32
#define MAX_SHORTS (2 * MAX_OPTIONS + 3)

/* What getopt returns for the common options that have no letter. */
enum common {
	OPT_NO_WAIT = 512,
	OPT_TIMEOUT,
	OPT_HELP,
	OPT_VERSION,
};

/* Fill MAX_OPTIONS and MAX_SHORTS with the tool's own options and the common
 * ones. */
void options_tables(const struct tool *t, struct option *longs, char *shorts);

/* Print, and end the process: 0, or 74 on a full disk like any output. */
void options_print_help(const struct tool *t) __attribute__((noreturn));
void options_print_version(const struct tool *t) __attribute__((noreturn));

#endif
