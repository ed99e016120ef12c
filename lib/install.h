/*
 * install.h - a new generation: I1 to I5 of formats/manifest.md.
 *
 * The manifest as it is on disk is read under MANIFEST, changed by the
 * caller's edit, checked, and made durable; then it is published in STATE.
 * Whoever dies half-way is finished by the next one that needs the truth.
 */
#ifndef LIB_INSTALL_H
#define LIB_INSTALL_H

#include "formats/manifest.h"
#include "lib/engine.h"

/*
 * Change *m with the manifest_ functions; generation, counter and `dropped`
 * are install's.  A refusal (because what it builds on is no longer named)
 * returns 1: nothing is installed.  Runs under MANIFEST: no I/O, no plugin.
 */
typedef int install_edit(struct manifest *m, void *ctx,
			 struct store_error *err);

/*
 * Install.  0, or 1 when the edit refused.  The caller may hold WRITE, and
 * still claims every file the edit adds; they are fsynced under their final
 * names, the directory is not.
 *   STORE_EIO  after the rename the directory could not be synced: nothing is
 *              published, and the next one to need the truth finishes it
 * *named (may be NULL) tells, whatever is returned, whether MANIFEST.json was
 * replaced by the one with the edit: then the files the edit adds must stay,
 * else they are the caller's to unlink.  STATE, asked afterwards, could not
 * tell: another process may have finished the install by then.
 */
int install(struct store *db, install_edit *edit, void *ctx, bool *named,
	    struct store_error *err);

/*
 * The text of MANIFEST.json.  STORE_ECORRUPT when there is none: who has come
 * so far is in a store.
 */
int install_text(struct store *db, struct buf *text, struct store_error *err);

/*
 * If an install broke off, finish it (I4).  Takes and gives back MANIFEST;
 * the caller may hold WRITE.
 */
int install_settle(struct store *db, struct store_error *err);

/*
 * The same for one who opens the store, and who may only read it: as far as
 * it may, and if nobody is at it.  So what is seen first after a death stays.
 */
void install_settle_dead(struct store *db);

/*
 * The manifest that is published now, parsed; takes MANIFEST only when an
 * install is under way.  *m is MANIFEST_INIT.
 */
int install_manifest(struct store *db, struct manifest *m,
		     struct store_error *err);

/* The same for one who holds MANIFEST; finishes what broke off. */
int install_manifest_locked(struct store *db, struct manifest *m,
			    uint64_t *checksum, struct store_error *err);

/*
 * For create and rebuild, under WRITE and MANIFEST: make `m` durable as
 * MANIFEST.json (image, fsync, rename, fsync).  Publishes nothing.
 */
int install_write(struct store *db, const struct manifest *m,
		  uint64_t *checksum, struct store_error *err);

#endif
