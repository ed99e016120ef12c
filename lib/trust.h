/*
 * trust.h - may the living memory be believed?  E1 to E4 of
 * formats/manifest.md.
 *
 * STATE and the trees are never fsynced, so after a crash, a remount, a copy
 * or a reboot they may hold anything.  They are believed only by their token:
 * own device and inode, the store, and, of STATE, a (boot, mount) pair in
 * which it has been kept in one living page cache.  While any process uses them
 * it holds ALIVE, shared; they are rebuilt from the durable truth only by one
 * that got ALIVE exclusively, and so knows that it is alone.
 */
#ifndef LIB_TRUST_H
#define LIB_TRUST_H

#include "lib/engine.h"

/*
 * Enter the store: after this db->alive is set, and STATE and the trees are
 * sound; or, for a reader that cannot make them so, db->private.  `distrust`:
 * a tree was found wrong though STATE was not.  The caller holds no lock.
 */
int trust_enter(struct store *db, bool distrust, struct store_error *err);
void trust_leave(struct store *db);

/*
 * Is the tree of `m` to be believed?  1 or 0.  By one who has entered, and so
 * holds ALIVE: STATE, which he believes, speaks for the trees, through
 * whatever mount each was made.
 */
int trust_tree(struct store *db, struct memtable *m, struct store_error *err);

/*
 * Make the tree file of a new log, empty, believed wherever STATE is.  The
 * caller holds WRITE.
 */
int trust_new_tree(struct store *db, uint64_t number, uint64_t salt,
		   struct store_error *err);
#endif
