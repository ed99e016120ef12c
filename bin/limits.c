#include "bin/limits.h"

#include <time.h>

static volatile sig_atomic_t caught;

static void catch (int sig)
{
	caught = sig;
}

const volatile sig_atomic_t *limits_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = catch,
				.sa_flags = (int)(SA_RESTART | SA_RESETHAND) };
	struct sigaction old;

	sigaction(SIGTERM, &sa, NULL);
	/* What runs in the background of a script does not mind Ctrl-C. */
	if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(SIGINT, &sa, NULL);
	return &caught;
}

void limits_die_of_interrupt(void)
{
	if (caught == SIGINT)
		raise(SIGINT); /* its handler is gone since it was used */
}

uint64_t limits_until(const struct tool *t, const char *s)
{
	time_t now = time(NULL), then;
	unsigned part[2] = { 0, 0 };
	struct tm tm;
	size_t i;

	for (i = 0; i < 5 && s[i]; i++) {
		if (i == 2 ? s[i] != ':' : s[i] < '0' || s[i] > '9')
			break;
		if (i != 2)
			part[i > 2] = part[i > 2] * 10 + (unsigned)(s[i] - '0');
	}
	if (i < 5 || s[5] || part[0] > 23 || part[1] > 59)
		tool_usage(t, "--until: not a time of day as HH:MM: %s", s);
	localtime_r(&now, &tm);
	tm.tm_hour = (int)part[0];
	tm.tm_min = (int)part[1];
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	then = mktime(&tm);
	if (then <= now) {
		/* mktime() has put the fields in order: tomorrow may be longer
		 * or shorter than a day. */
		tm.tm_mday++;
		tm.tm_hour = (int)part[0];
		tm.tm_min = (int)part[1];
		tm.tm_isdst = -1;
		then = mktime(&tm);
	}
	return (uint64_t)then * 1000;
}
