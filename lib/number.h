/*
 * number.h - drawing file numbers.
 *
 * Logs and tables draw from one counter, kept in STATE under NUMBER.  The
 * claim comes before the file, so a sweeper never mistakes a file being built
 * for an orphan; a number is used once, whatever the suffix.
 */
#ifndef LIB_NUMBER_H
#define LIB_NUMBER_H

#include "lib/engine.h"

/*
 * Draw a number and claim it.  The caller creates the file with O_EXCL, and
 * keeps the claim until the generation that names it is published or the file
 * is unlinked: lock_unclaim().
 */
int number_draw(struct store *db, uint64_t *number, struct store_error *err);

/*
 * Draw a number that no file gets: the age of what is loaded.  The caller
 * holds WRITE, so it is above every log's and every table's.
 */
int number_age(struct store *db, uint64_t *number, struct store_error *err);

/* The counter as it stands: above every number drawn. */
int number_next(struct store *db, uint64_t *next, struct store_error *err);

#endif
