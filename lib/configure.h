/*
 * configure.h - what a store is set to: its options, its strategy and the
 * strategy's settings, all of which the manifest keeps.
 *
 * store_configuration() and store_configure() (lib/store.h) live in
 * configure.c.
 */
#ifndef LIB_CONFIGURE_H
#define LIB_CONFIGURE_H

#include "formats/manifest.h"
#include "lib/store.h"

#define DEFAULT_STRATEGY "leveled"

/*
 * Make the change to *m, which has a strategy or is to get one: 1, or 0 when
 * it says what *m says already.  On failure *m may be half-way changed.
 *   STORE_ECONFIG  an unknown option or a bad value
 */
int configure_apply(struct manifest *m, const struct store_change *change,
		    struct store_error *err);

#endif
