/*
 * rebuild.h - STATE and every tree anew from the durable truth: E3 of
 * formats/manifest.md.
 */
#ifndef LIB_REBUILD_H
#define LIB_REBUILD_H

#include "lib/engine.h"

/*
 * The caller holds WRITE, MANIFEST and ALIVE exclusively.  Finishes a broken
 * install, rebuilds in place, and writes STATE's token last.
 *   STORE_ECORRUPT  the manifest or a log is damaged
 *   STORE_EACCESS   a file cannot be made with the store's owner and mode
 */
int rebuild(struct store *db, struct store_error *err);

/* Open STATE into db->state; `create`: with the store's owner and mode. */
int rebuild_open_state(struct store *db, bool create, struct store_error *err);

#endif
