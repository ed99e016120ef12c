/*
 * sweep.h - unlinking files that nothing needs any more: X1 to X5 of
 * formats/manifest.md.
 *
 * A file goes when no published manifest names it, nobody claims it, and no
 * reader pins a generation that named it.  Never by age, never by pid.
 */
#ifndef LIB_SWEEP_H
#define LIB_SWEEP_H

#include "lib/engine.h"

/* Returns how many files were unlinked.  The caller holds no lock. */
int sweep(struct store *db, struct store_error *err);

#endif
