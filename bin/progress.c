#include "bin/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* The terminal's line is renewed this often; a program is told less often. */
#define SHOW_EVERY_MS 200
#define TELL_EVERY_MS 1000
/* Shorter work shows nothing on a terminal. */
#define QUIET_MS 1000

static volatile sig_atomic_t asked;

static void ask(int sig)
{
	(void)sig;
	asked = 1;
}

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_start(struct progress *p, const struct tool *t, bool jsonl)
{
	struct sigaction sa = { .sa_handler = ask, .sa_flags = SA_RESTART };

	*p = (struct progress){ .t = t, .jsonl = jsonl };
	p->terminal = !jsonl && !t->quiet && isatty(2);
	p->start_ms = p->shown_ms = clock_ms();
	sigaction(SIGUSR1, &sa, NULL);
}

struct pace {
	double rate; /* bytes a second */
	double eta;  /* seconds; below 0 when nobody knows */
};

static struct pace pace_of(const struct progress *p,
			   const struct store_progress *s)
{
	int64_t ms = clock_ms() - p->start_ms;
	struct pace pace = { 0, -1 };

	if (ms > 0)
		pace.rate = (double)s->bytes_done * 1000 / (double)ms;
	if (pace.rate > 0 && s->bytes_total >= s->bytes_done)
		pace.eta = (double)(s->bytes_total - s->bytes_done) / pace.rate;
	return pace;
}

/* "12.3/100.0 MiB, 4.5 MiB/s, 0:20 left: level 0 is full" */
static int as_text(const struct progress *p, const struct store_progress *s,
		   char *line, size_t size)
{
	struct pace pace = pace_of(p, s);
	char left[32] = "";

	if (pace.eta >= 0 && pace.eta < 1e7)
		snprintf(left, sizeof(left), ", %u:%02u left",
			 (unsigned)pace.eta / 60, (unsigned)pace.eta % 60);
	return snprintf(line, size, "%s: %.1f/%.1f MiB, %.1f MiB/s%s: %.60s",
			p->t->spec->name, (double)s->bytes_done / 1048576,
			(double)s->bytes_total / 1048576, pace.rate / 1048576,
			left, s->what ? s->what : "");
}

static void put(const char *line, int len, size_t size)
{
	size_t n = len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
	struct store_error ignored = STORE_ERROR_INIT;

	tool_write(2, line, n, &ignored);
}

/* What stands in `what` is printable; quotes are what JSON minds. */
static void quote(char *out, size_t size, const char *s)
{
	size_t n = 0;

	for (; s && *s && n + 2 < size; s++) {
		if (*s == '"' || *s == '\\')
			out[n++] = '\\';
		out[n++] = *s;
	}
	out[n] = '\0';
}

static void tell_json(const struct progress *p, const struct store_progress *s,
		      bool done)
{
	struct pace pace = pace_of(p, s);
	char line[512], what[132], eta[32] = "null";

	quote(what, sizeof(what), s->what);
	if (pace.eta >= 0)
		snprintf(eta, sizeof(eta), "%.0f", pace.eta);
	put(line,
	    snprintf(line, sizeof(line),
		     "{\"tool\":\"%s\",\"bytes_done\":%" PRIu64
		     ",\"bytes_total\":%" PRIu64 ",\"jobs_done\":%" PRIu64
		     ",\"bytes_per_second\":%.0f,\"eta_seconds\":%s"
		     ",\"what\":\"%s\",\"done\":%s}\n",
		     p->t->spec->name, s->bytes_done, s->bytes_total,
		     s->jobs_done, pace.rate, eta, what,
		     done ? "true" : "false"),
	    sizeof(line));
}

static void wipe(struct progress *p)
{
	if (p->line)
		put("\r\033[K", 4, 5);
	p->line = false;
}

static void answer(struct progress *p, const struct store_progress *s)
{
	char line[300];
	int n = as_text(p, s, line, sizeof(line) - 1);

	asked = 0;
	wipe(p);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n] = '\n';
	put(line, n + 1, sizeof(line));
}

static void show(struct progress *p, const struct store_progress *s)
{
	char line[300] = "\r";
	int n = as_text(p, s, line + 1, sizeof(line) - 4);

	if (n > 250)
		n = 250;
	memcpy(line + 1 + n, "\033[K", 3);
	put(line, n + 4, sizeof(line));
	p->line = true;
}

void progress_tell(void *ctx, const struct store_progress *s)
{
	struct progress *p = ctx;
	int64_t now = clock_ms();

	p->last = *s;
	p->last.what = NULL;
	if (asked)
		answer(p, s);
	if (p->jsonl && now - p->shown_ms >= TELL_EVERY_MS) {
		tell_json(p, s, false);
		p->shown_ms = now;
	}
	if (p->terminal && now - p->start_ms >= QUIET_MS &&
	    now - p->shown_ms >= SHOW_EVERY_MS) {
		show(p, s);
		p->shown_ms = now;
	}
}

void progress_end(struct progress *p)
{
	wipe(p);
	if (asked)
		answer(p, &p->last);
	if (p->jsonl)
		tell_json(p, &p->last, true);
}
