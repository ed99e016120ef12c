/*
 * setup.h - making the stores that scenes begin with, through libstore, and
 * remembering in the stage's models what they hold.
 *
 * What fails here is no finding: it is said, and the program ends with 2.
 */
#ifndef TESTS_CRASH_SETUP_H
#define TESTS_CRASH_SETUP_H

#include "tests/crash/scene.h"

void setup_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void setup_check(int r, const struct store_error *err, const char *what);
struct model *setup_before(struct stage *s);
struct model *setup_next_state(struct stage *s);
void setup_open_with(struct stage *s, unsigned flags,
		     const struct store_setting_text *settings, size_t n);
void setup_reopen(struct stage *s);
void setup_close_store(struct stage *s);
void setup_make_small(struct stage *s);
void setup_put(struct stage *s, const char *key, const char *value);
void setup_delete(struct stage *s, const char *key);
void setup_flush(struct stage *s);
void setup_compact(struct stage *s);
void setup_put_range(struct stage *s, int from, int to, const char *tag);
uint64_t setup_active_log(struct stage *s);
void setup_fill_log(struct stage *s);

#endif
