/*
 * create.h - making a store: N1 to N4 of formats/manifest.md.
 */
#ifndef LIB_CREATE_H
#define LIB_CREATE_H

#include "lib/engine.h"

/* Before anything is made: STORE_ECONFIG, wrong options or names. */
int create_judge(const struct store_config *config, struct store_error *err);

/* N1: make the directory and open it, its name durable in its parent. */
int create_dir(struct dir *d, const char *path, struct store_error *err);

/*
 * May a store be made here?  0, or
 *   STORE_ENOSPACE  the directory holds foreign files
 *   STORE_ECORRUPT  tables or logs without a manifest
 */
int create_check(const struct dir *d, struct store_error *err);

/*
 * N2 to N4: LOCK is open; make generation 1, unless somebody has meanwhile:
 * 1 made, 0 it was there.
 */
int create_store(struct store *db, const struct store_config *config,
		 struct store_error *err);

#endif
