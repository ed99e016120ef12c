#include "bin/tool.h"
#include "bin/message.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_OPTIONS 32

/* Once a timeout has passed, how often a lock that is waited for is judged. */
#define JUDGE_EVERY_US 20000

enum common {
	OPT_NO_WAIT = 512,
	OPT_TIMEOUT,
	OPT_HELP,
	OPT_VERSION,
};

struct common_option {
	struct tool_option option;
	unsigned has; /* the tools that have it; 0: all */
};

static const struct common_option common_options[] = {
	{ { "dir", 'd', "DIR", "the store; else $LSM_DIR, else data" }, 0 },
	{ { "format", 'f', "NAME", "records as tsv (default), nul or jsonl" },
	  TOOL_FORMATS },
	{ { "hex", 'x', NULL, "keys and values in operands are hex" },
	  TOOL_HEX },
	{ { "no-wait", OPT_NO_WAIT, NULL, "status 75 if a lock is taken" },
	  TOOL_WAITS },
	{ { "timeout", OPT_TIMEOUT, "SECONDS",
	    "status 75 if a lock is not got in time" },
	  TOOL_WAITS },
	{ { "quiet", 'q', NULL, "no notices and warnings" }, 0 },
	{ { "help", OPT_HELP, NULL, "say this" }, 0 },
	{ { "version", OPT_VERSION, NULL, "say release and format versions" },
	  0 },
};

#define N_COMMON (sizeof(common_options) / sizeof(common_options[0]))

/* ---- starting ---- */

/*
 * A file opened on a closed 0, 1 or 2 would be read as input or written over
 * with output.  What stands in is open the wrong way round, so that its use
 * is an error and not silence.
 */
static void fill_descriptors(struct tool *t)
{
	struct pollfd p[3] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };

	if (poll(p, 3, 0) < 0)
		return;
	t->stdout_closed = p[1].revents & POLLNVAL;
	for (int i = 0; i < 3; i++)
		if ((p[i].revents & POLLNVAL) &&
		    open("/dev/null", i == 0 ? O_WRONLY : O_RDONLY) != i)
			_exit(EXIT_SYSTEM);
}

static void ignore_tick(int sig)
{
	(void)sig;
}

static void set_signal(int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	sigaction(sig, &sa, NULL);
}

/*
 * The library judges its deadline when a wait is interrupted: a timer goes
 * off at the deadline, and then often enough for every later wait.
 */
static void arm_timer(int64_t ms)
{
	struct itimerval it = {
		.it_value = { ms / 1000, ms % 1000 * 1000 },
		.it_interval = { 0, JUDGE_EVERY_US },
	};
	sigset_t alarm;

	set_signal(SIGALRM, ignore_tick);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

void tool_start(struct tool *t, const struct tool_spec *spec, int argc,
		char **argv)
{
	const char *dir;

	*t = (struct tool){ .spec = spec, .argc = argc, .argv = argv };
	fill_descriptors(t);
	set_signal(SIGXFSZ, SIG_IGN); /* a write then fails with EFBIG */
	set_signal(SIGPIPE, SIG_DFL);
	dir = getenv("LSM_DIR");
	t->dir = dir && *dir ? dir : "data";
	message_guard_maps(spec->name, &t->dir);
	opterr = 0;
}

/* ---- options ---- */

static bool has_common(const struct tool *t, size_t i)
{
	unsigned has = common_options[i].has;

	return !has || (t->spec->has & has);
}

/* getopt's two tables of the tool's options and the common ones. */
static void make_tables(const struct tool *t, struct option *longs,
			char *shorts)
{
	size_t n = 0, common = 0;
	const struct tool_option *own = t->spec->options;

	/*
	 * '+': options end at the first operand, so that a value that starts
	 * with a dash is a value.  ':': a missing argument is told apart.
	 */
	*shorts++ = '+';
	*shorts++ = ':';
	while (n < MAX_OPTIONS - 1) {
		const struct tool_option *o;

		if (own && own->name)
			o = own++;
		else if (common == N_COMMON)
			break;
		else if (has_common(t, common))
			o = &common_options[common++].option;
		else {
			common++;
			continue;
		}
		longs[n++] = (struct option){ o->name,
					      o->arg ? required_argument
						     : no_argument,
					      NULL, o->letter };
		if (o->letter < 256) {
			*shorts++ = (char)o->letter;
			if (o->arg)
				*shorts++ = ':';
		}
	}
	longs[n] = (struct option){ NULL, 0, NULL, 0 };
	*shorts = '\0';
}

static void append_option(struct buf *out, const struct tool_option *o)
{
	char left[48], line[160];
	int n;

	n = snprintf(left, sizeof(left), o->letter < 256 ? "-%c, " : "    ",
		     o->letter);
	snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", o->name,
		 o->arg ? " " : "", o->arg ? o->arg : "");
	n = snprintf(line, sizeof(line), "  %-26s %s\n", left, o->help);
	buf_append(out, line, (size_t)n);
}

static void append_text(struct buf *out, const char *s)
{
	buf_append(out, s, strlen(s));
}

/* --help and --version are output like any other: a full disk is an error. */
static void print_and_exit(const struct tool *t, struct buf *out)
{
	struct store_error err = STORE_ERROR_INIT;
	int r;

	if ((r = tool_write(1, out->data, out->len, &err)) >= 0)
		r = tool_close_stdout(t, &err);
	buf_free(out);
	exit(tool_status(t, r, &err));
}

/* One form of the synopsis, broken between its arguments. */
static void append_form(struct buf *out, const char *name, const char *form)
{
	size_t column = 7 + strlen(name);

	append_text(out, name);
	while (*form) {
		size_t len = *form == '[' ? strcspn(form, "]") + 1
					  : strcspn(form, " ");

		if (column + 1 + len > 79) {
			append_text(out, "\n              ");
			column = 14;
		}
		append_text(out, " ");
		buf_append(out, form, len);
		column += 1 + len;
		form += len + (form[len] == ' ');
	}
	append_text(out, "\n");
}

static void print_help(const struct tool *t)
{
	const struct tool_spec *s = t->spec;
	struct buf out = BUF_INIT;

	for (int i = 0; s->synopsis[i]; i++) {
		append_text(&out, i ? "       " : "usage: ");
		append_form(&out, s->name, s->synopsis[i]);
	}
	append_text(&out, "\n");
	append_text(&out, s->summary);
	append_text(&out, "\n\n");
	for (const struct tool_option *o = s->options; o && o->name; o++)
		append_option(&out, o);
	for (size_t i = 0; i < N_COMMON; i++)
		if (has_common(t, i))
			append_option(&out, &common_options[i].option);
	append_text(&out, "\nStatus: 0 done, 1 an honest no, 64 usage, 65 data,"
			  " 66 no store, 71 system,\n73 cannot create, 74 I/O,"
			  " 75 busy, 77 permission, 78 configuration.\n");
	print_and_exit(t, &out);
}

static void print_version(const struct tool *t)
{
	struct buf out = BUF_INIT;

	append_text(&out, t->spec->name);
	append_text(&out, " " TOOL_RELEASE "\n" TOOL_FORMAT_VERSIONS "\n");
	print_and_exit(t, &out);
}

/* SECONDS, with up to three decimals, as milliseconds. */
static int64_t parse_seconds(const struct tool *t, const char *s)
{
	int64_t ms = 0;
	int decimals = -1;
	const char *p = s;

	for (; *p && decimals < 3; p++) {
		if (*p == '.' && decimals < 0) {
			decimals = 0;
			continue;
		}
		if (*p < '0' || *p > '9' || ms > INT32_MAX)
			break;
		ms = ms * 10 + (*p - '0');
		if (decimals >= 0)
			decimals++;
	}
	if (*p || p == s || !strcmp(s, ".") || ms > INT32_MAX)
		tool_usage(t, "--timeout: not a number of seconds: %s", s);
	for (int i = decimals < 0 ? 0 : decimals; i < 3; i++)
		ms *= 10;
	return ms ? ms : STORE_NO_WAIT;
}

static void set_format(struct tool *t, const char *name)
{
	int f = record_format_find(name);

	if (f < 0)
		tool_usage(t, "no record format is called %s", name);
	t->format = (enum record_format)f;
	t->format_given = true;
}

/* True when `c` was a common option, now done. */
static bool take_common(struct tool *t, int c)
{
	switch (c) {
	case 'd':
		t->dir = optarg;
		return true;
	case 'q':
		t->quiet = true;
		return true;
	case 'f':
		set_format(t, optarg);
		return true;
	case 'x':
		t->hex = true;
		return true;
	case OPT_NO_WAIT:
		t->timeout_ms = STORE_NO_WAIT;
		return true;
	case OPT_TIMEOUT:
		t->timeout_ms = parse_seconds(t, optarg);
		return true;
	case OPT_HELP:
		print_help(t);
		return true;
	case OPT_VERSION:
		print_version(t);
		return true;
	default:
		return false;
	}
}

int tool_option(struct tool *t)
{
	struct option longs[MAX_OPTIONS];
	char shorts[2 * MAX_OPTIONS + 3];
	int c;

	make_tables(t, longs, shorts);
	do {
		const char *word = optind < t->argc ? t->argv[optind] : "";

		c = getopt_long(t->argc, t->argv, shorts, longs, NULL);
		if (c == '?')
			tool_usage(t, "no such option: %s", word);
		if (c == ':')
			tool_usage(t, "an argument is missing: %s", word);
	} while (take_common(t, c));
	t->value = optarg;
	if (c == -1) {
		t->argc -= optind;
		t->argv += optind;
		if (t->timeout_ms > 0)
			arm_timer(t->timeout_ms);
	}
	return c;
}

/* ---- arguments ---- */

struct slice tool_bytes(const struct tool *t, char *s)
{
	struct slice text = slice_str(s);

	if (!t->hex)
		return text;
	if (!record_unhex(text, (uint8_t *)s))
		tool_usage(t, "not hex: %s", s);
	return slice_make(s, text.len / 2);
}

struct slice tool_key(const struct tool *t, char *s)
{
	struct slice key = tool_bytes(t, s);

	if (key.len == 0)
		tool_usage(t, "an empty key");
	if (key.len > STORE_KEY_MAX)
		tool_usage(t, "a key of %zu bytes; at most %u", key.len,
			   STORE_KEY_MAX);
	return key;
}

uint64_t tool_number(const struct tool *t, const char *option, const char *s,
		     uint64_t min, uint64_t max)
{
	uint64_t v = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			break;
	if (p == s || *p || v < min || v > max)
		tool_usage(t, "--%s: not a number in its bounds: %s", option,
			   s);
	return v;
}

enum store_sync tool_sync(const struct tool *t, const char *mode)
{
	if (!strcmp(mode, "none"))
		return STORE_NOSYNC;
	if (strcmp(mode, "full"))
		tool_usage(t, "--sync: neither full nor none: %s", mode);
	return STORE_SYNC;
}

void tool_config(const struct tool *t, unsigned flags, struct store_config *c)
{
	*c = (struct store_config){
		.flags = flags,
		.timeout_ms = t->timeout_ms,
		.tool = t->spec->name,
	};
}

int tool_open(const struct tool *t, struct store **db, unsigned flags,
	      struct store_error *err)
{
	struct store_config c;

	tool_config(t, flags, &c);
	return store_open(db, t->dir, &c, err);
}
