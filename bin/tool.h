/*
 * tool.h - what every tool has in common: start-up, options, messages and
 * exit statuses.  Only this module speaks on stderr.
 *
 *	int main(int argc, char **argv)
 *	{
 *		struct store_error err = STORE_ERROR_INIT;
 *		struct store *db = NULL;
 *		struct tool t;
 *		int c, r;
 *
 *		tool_start(&t, &spec, argc, argv);
 *		while ((c = tool_option(&t)) != -1)
 *			...				// its own options
 *		if ((r = tool_open(&t, &db, STORE_READ, &err)) >= 0)
 *			r = ...				// 0 done, 1 an honest
 *no store_close(db); return tool_status(&t, r, &err);
 *	}
 */
#ifndef BIN_TOOL_H
#define BIN_TOOL_H

#include "formats/records.h"
#include "lib/store.h"

#include <stdbool.h>

#define TOOL_RELEASE "0.1.0"
#define TOOL_FORMAT_VERSIONS "formats: manifest 1, log 1, table 1, records 1"

/* One option; a table of them ends with name == NULL. */
struct tool_option {
	const char *name; /* long */
	int letter;	  /* tool_option() returns it; below 256 also short */
	const char *arg;  /* what it takes, or NULL */
	const char *help; /* one line */
};

/* The common options a tool has besides -d, -q, --help and --version. */
enum tool_has {
	TOOL_WAITS = 1,	  /* --no-wait, --timeout */
	TOOL_FORMATS = 2, /* -f */
	TOOL_HEX = 4,	  /* -x */
};

/* What a tool says of itself; --help prints it, the man page repeats it. */
struct tool_spec {
	const char *name;
	const char *summary;
	const char *const *synopsis; /* one form a line, without the name */
	const struct tool_option *options; /* its own, or NULL */
	unsigned has;
};

struct tool {
	const struct tool_spec *spec;
	const char *dir;
	int argc; /* operands, once tool_option() has returned -1 */
	char **argv;
	char *value;	    /* argument of the option just returned */
	int64_t timeout_ms; /* as store_config has it */
	enum record_format format;
	bool format_given;
	bool quiet;
	bool hex;
	bool stdout_closed; /* when we started */
};

enum tool_exit {
	EXIT_DONE = 0,
	EXIT_NO = 1,
	EXIT_USAGE = 64,
	EXIT_DATA = 65,
	EXIT_NOINPUT = 66,
	EXIT_BUG = 70,
	EXIT_SYSTEM = 71,
	EXIT_CANTCREATE = 73,
	EXIT_IO = 74,
	EXIT_BUSY = 75,
	EXIT_NOPERM = 77,
	EXIT_CONFIGURATION = 78,
};

/*
 * Fill descriptors 0-2 where they are closed (0 so that reads fail, 1 and 2
 * so that writes fail), set up signals, find the store's directory.
 */
void tool_start(struct tool *t, const struct tool_spec *spec, int argc,
		char **argv);

/*
 * The letter of the next option of the tool's own, or -1 when the operands
 * are reached.  Common options are dealt with inside: --help and --version
 * end the process, what is wrong ends it with status 64.
 */
int tool_option(struct tool *t);

/* Say `why` and where the synopsis is to be had; exit with status 64. */
void tool_usage(const struct tool *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/*
 * An operand or option argument as bytes: itself, or with -x its hex decoded
 * in place.  Bad hex ends the process with status 64.
 */
struct slice tool_bytes(const struct tool *t, char *s);
/* The same for a key, within its limits. */
struct slice tool_key(const struct tool *t, char *s);

/* A number between `min` and `max`, or the end with status 64. */
uint64_t tool_number(const struct tool *t, const char *option, const char *s,
		     uint64_t min, uint64_t max);

/* The same for bytes: K, M or G (powers of 1024) may follow; at least 1. */
uint64_t tool_size(const struct tool *t, const char *option, const char *s);

/* --sync=MODE. */
enum store_sync tool_sync(const struct tool *t, const char *mode);

/* Open the store with the common options; `flags` as in store_config. */
int tool_open(const struct tool *t, struct store **db, unsigned flags,
	      struct store_error *err);
void tool_config(const struct tool *t, unsigned flags, struct store_config *c);

/* One line on stderr: the tool's name, and the text with control bytes escaped.
 */
void tool_say(const struct tool *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* After a write: what store_warning() has to tell, unless -q. */
void tool_warn(const struct tool *t, struct store *db);

/*
 * All of it to a descriptor.  STORE_EIO on any failure, a full disk included:
 * what a reader of our output gets is then cut short.
 */
int tool_write(int fd, const void *p, size_t len, struct store_error *err);

/* At the end of output: was stdout there, and does closing it go well? */
int tool_close_stdout(const struct tool *t, struct store_error *err);

/*
 * How main ends: 0 and 1 are returned, a negative store_err is said and
 * mapped to its exit status.
 */
int tool_status(const struct tool *t, int r, const struct store_error *err);
enum tool_exit tool_exit_of(int code);

#endif
