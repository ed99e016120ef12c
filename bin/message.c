#include "bin/message.h"
#include "bin/tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define MESSAGE_MAX 1200

/* ---- escaping ---- */

/* The length of a printable UTF-8 character at the front, or 0. */
static size_t printable(const uint8_t *p, size_t left)
{
	uint32_t v = *p;
	size_t n;

	if (v < 0x80)
		return v >= 0x20 && v < 0x7f;
	n = v >= 0xf0 ? 4 : v >= 0xe0 ? 3 : 2;
	if (v < 0xc2 || v > 0xf4 || left < n)
		return 0;
	v &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	/* U+0080 to U+009F steer terminals as well */
	return v >= (n == 2 ? 0xa0u : n == 3 ? 0x800u : 0x10000u) ? n : 0;
}

/* `text` without anything that steers a terminal; at most `room` bytes. */
static size_t escape(char *out, size_t room, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t left = strlen(text), n = 0;

	while (left > 0 && room - n >= 4) {
		const uint8_t *p = (const uint8_t *)text;
		size_t len = printable(p, left);

		if (len) {
			memcpy(out + n, p, len);
			n += len;
		} else {
			len = 1;
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[*p >> 4];
			out[n++] = hex[*p & 15];
		}
		text += len;
		left -= len;
	}
	return n;
}

/* ---- saying ---- */

/* "TOOL: TEXT" in one write, so that lines of many tools do not mix. */
static void say_line(const char *tool, const char *text)
{
	char line[MESSAGE_MAX + 80];
	size_t n;

	n = (size_t)snprintf(line, 72, "%s: ", tool);
	n += escape(line + n, MESSAGE_MAX, text);
	line[n++] = '\n';
	/* Where it cannot be said, the exit status still tells. */
	tool_write(2, line, n, NULL);
}

void tool_say(const struct tool *t, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say_line(t->spec->name, text);
}

void tool_usage(const struct tool *t, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = (size_t)vsnprintf(text, sizeof(text) - 80, fmt, ap);
	va_end(ap);
	if (n > sizeof(text) - 81)
		n = sizeof(text) - 81;
	snprintf(text + n, sizeof(text) - n, " (%s --help)", t->spec->name);
	say_line(t->spec->name, text);
	exit(EXIT_USAGE);
}

void tool_warn(const struct tool *t, struct store *db)
{
	struct store_error warning = STORE_ERROR_INIT;

	if (store_warning(db, &warning) > 0 && !t->quiet)
		tool_say(t, "warning: %s", warning.text);
}

/* ---- the guard ---- */

static const char *guard_tool;
static const char *const *guard_dir;

/* Threads may fault at once: one speaks, and ends all. */
static void on_sigbus(int sig)
{
	static atomic_flag speaking = ATOMIC_FLAG_INIT;
	char text[MESSAGE_MAX / 4];

	(void)sig;
	while (atomic_flag_test_and_set(&speaking))
		pause();
	/* The fault was ours, in a plain load: no lock is held, stdio unused.
	 */
	memcpy(text, "store ", 7);
	strncat(text, *guard_dir, sizeof(text) - 60);
	strcat(text, ": a mapped file was cut short, or cannot be read");
	say_line(guard_tool, text);
	_exit(EXIT_IO);
}

void message_guard_maps(const char *tool, const char *const *dir)
{
	struct sigaction sa = { .sa_handler = on_sigbus };

	guard_tool = tool;
	guard_dir = dir;
	sigaction(SIGBUS, &sa, NULL);
}

/* ---- output and the end ---- */

int tool_write(int fd, const void *p, size_t len, struct store_error *err)
{
	const char *at = p;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd out = { .fd = fd, .events = POLLOUT };

			poll(&out, 1, -1);
		} else if (errno != EINTR) {
			return store_fail(err, STORE_EIO, "%s: write: %s",
					  fd == 1 ? "stdout" : "stderr",
					  strerror(errno));
		}
	}
	return 0;
}

int tool_close_stdout(const struct tool *t, struct store_error *err)
{
	if (t->stdout_closed)
		return store_fail(err, STORE_EIO, "stdout: it is closed");
	if (close(1) < 0)
		return store_fail(err, STORE_EIO, "stdout: close: %s",
				  strerror(errno));
	return 0;
}

enum tool_exit tool_exit_of(int code)
{
	switch ((enum store_err)code) {
	case STORE_OK:
		return EXIT_DONE;
	case STORE_EINVAL:
		return EXIT_USAGE;
	case STORE_ECORRUPT:
		return EXIT_DATA;
	case STORE_ENOSTORE:
	case STORE_EGONE:
		return EXIT_NOINPUT;
	case STORE_EBUG:
		return EXIT_BUG;
	case STORE_ESYSTEM:
		return EXIT_SYSTEM;
	case STORE_ENOSPACE:
		return EXIT_CANTCREATE;
	case STORE_EIO:
		return EXIT_IO;
	case STORE_EBUSY:
	case STORE_EFULL:
		return EXIT_BUSY;
	case STORE_EACCESS:
		return EXIT_NOPERM;
	case STORE_ECONFIG:
		return EXIT_CONFIGURATION;
	}
	return EXIT_BUG;
}

int tool_status(const struct tool *t, int r, const struct store_error *err)
{
	if (r >= 0)
		return r > 0 ? EXIT_NO : EXIT_DONE;
	tool_say(t, "%s", err->code ? err->text : "failed");
	return (int)tool_exit_of(r);
}
