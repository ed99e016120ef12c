/*
 * limits.h - what bounds a long piece of work: a time of day, a signal.
 */
#ifndef BIN_LIMITS_H
#define BIN_LIMITS_H

#include "bin/tool.h"

#include <signal.h>

/*
 * HH:MM, the next time a clock on the wall shows it: Unix milliseconds.  What
 * is no time of day ends the process with status 64.
 */
uint64_t limits_until(const struct tool *t, const char *s);

/*
 * The first SIGTERM or SIGINT from now on sets the number it returns, for
 * store_compact_config.stop; a second one ends the process as ever.
 */
const volatile sig_atomic_t *limits_catch_signals(void);

/*
 * When the store is closed: a process that Ctrl-C stopped dies of it, so that
 * the shell's loop around it ends, too.  Else returns.
 */
void limits_die_of_interrupt(void);

#endif
