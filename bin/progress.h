/*
 * progress.h - what a tool at a long piece of work shows of it, on stderr.
 *
 * On a terminal, after the first second, one line that is written over and
 * wiped at the end.  With --progress=jsonl a JSON object a line, about one a
 * second, and a last one with "done":true.  SIGUSR1 prints one line of text in
 * any case.  With -q only what was asked for: --progress and SIGUSR1.
 */
#ifndef BIN_PROGRESS_H
#define BIN_PROGRESS_H

#include "bin/tool.h"

struct progress {
	const struct tool *t;
	bool terminal, jsonl;
	int64_t start_ms, shown_ms; /* on a clock that only goes forward */
	bool line;		    /* one stands on the terminal */
	struct store_progress last; /* without `what` */
};

/* From now on SIGUSR1 prints, and no longer ends the process. */
void progress_start(struct progress *p, const struct tool *t, bool jsonl);

/* For store_compact_config.progress; `ctx` is the struct progress. */
void progress_tell(void *ctx, const struct store_progress *s);

/* Wipe the line, or tell that it is done. */
void progress_end(struct progress *p);

#endif
