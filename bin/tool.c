#include "bin/tool.h"
#include "bin/message.h"
#include "bin/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

/* Once a timeout has passed, how often a lock that is waited for is judged. */
#define JUDGE_EVERY_US 20000

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
	dir = secure_getenv("LSM_DIR");
	t->dir = dir && *dir ? dir : "data";
	message_guard_maps(spec->name, &t->dir);
	opterr = 0;
}

/* ---- options ---- */

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
		options_print_help(t);
		return true;
	case OPT_VERSION:
		options_print_version(t);
		return true;
	default:
		return false;
	}
}

int tool_option(struct tool *t)
{
	struct option longs[MAX_OPTIONS];
	char shorts[MAX_SHORTS];
	int c;

	options_tables(t, longs, shorts);
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

uint64_t tool_size(const struct tool *t, const char *option, const char *s)
{
	static const char units[] = "KMG";
	size_t n = strlen(s);
	const char *unit = n ? strchr(units, s[n - 1]) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	char digits[24];

	if (n >= sizeof(digits))
		tool_usage(t, "--%s: not a number of bytes: %s", option, s);
	memcpy(digits, s, n + 1);
	if (unit)
		digits[n - 1] = '\0';
	return tool_number(t, option, digits, 1, UINT64_MAX >> 11 >> shift)
	       << shift;
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
		.plugins = secure_getenv("LSM_PLUGINS"),
	};
}

int tool_open(const struct tool *t, struct store **db, unsigned flags,
	      struct store_error *err)
{
	struct store_config c;

	tool_config(t, flags, &c);
	return store_open(db, t->dir, &c, err);
}
