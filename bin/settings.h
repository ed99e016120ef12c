/*
 * settings.h - NAME=VALUE operands: options of a store, and of its strategy.
 *
 * What the store itself does not know is the strategy's.  Most tools load no
 * strategies, so lsm-compact is asked, as a child, what they take.
 */
#ifndef BIN_SETTINGS_H
#define BIN_SETTINGS_H

#include "bin/tool.h"

struct settings {
	struct store_setting_text *store, *strategy;
	size_t n_store, n_strategy;
};

#define SETTINGS_INIT ((struct settings){ NULL, NULL, 0, 0 })

/* Cut NAME=VALUE in two, in place, or end the process with status 64. */
struct store_setting_text settings_cut(const struct tool *t, char *operand);

/*
 * Sort `n` operands into *s, which is SETTINGS_INIT and borrows their text;
 * status 64 for one that is not NAME=VALUE.
 */
int settings_sort(struct settings *s, const struct tool *t, char **operands,
		  int n, struct store_error *err);
void settings_release(struct settings *s);

/*
 * Ask lsm-compact whether `strategy` takes these settings ("default" takes
 * one back).  0, and its answer in *out (formats/config.md); 1 if it cannot
 * be asked, for reasons given in *err, or
 *   STORE_ECONFIG  no such strategy, or a setting that it does not take
 */
int settings_ask(const char *strategy, const struct store_setting_text *list,
		 size_t n, struct buf *out, struct store_error *err);

#endif
