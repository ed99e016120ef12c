/*
 * plugin.h - finding, checking and loading a compaction strategy.
 *
 * A strategy is DIR/lsm-strategy-NAME.so, DIR being compiled in or given by
 * the caller as an absolute path.  Loading it is running its code, so the
 * name must be a strategy's name, and the directory and the file must belong
 * to root or to the user who runs us and be writable by no one else.  What is
 * dlopened is the very file that was checked.
 *
 * Only compact.c, describe.c and sim.c use this: no tool but lsm-compact and
 * lsm-sim links dlopen.
 */
#ifndef LIB_PLUGIN_H
#define LIB_PLUGIN_H

#include "formats/manifest.h"
#include "plugins/strategy.h"

struct plugin {
	void *handle;
	int fd; /* kept open: dlopen knows the file by its number */
	const struct lsm_strategy *strategy;
};

#define PLUGIN_INIT ((struct plugin){ NULL, -1, NULL })

/*
 * Load strategy `name` from `dir` (NULL: compiled in).  *p is PLUGIN_INIT.
 *   STORE_ECONFIG  for every reason; the message names the file and the reason
 */
int plugin_open(struct plugin *p, const char *dir, const char *name,
		struct store_error *err);
/* The strategy must not be used after this. */
void plugin_close(struct plugin *p);

/*
 * The strategy's option values: its defaults, changed by the settings of the
 * manifest.  `values` has room for LSM_OPTIONS_MAX.
 *   STORE_ECONFIG  unknown setting, value out of bounds, or values that do
 *                  not fit together
 */
int plugin_options(const struct lsm_strategy *s, const struct setting *settings,
		   size_t n, uint64_t *values, struct store_error *err);

#endif
