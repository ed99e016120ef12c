/*
 * place.h - a directory that can be put back as it was, with the same inodes.
 *
 * Living memory is believed only by inode (formats/state.md); a store that
 * was copied is a store after a crash.  place_restore() gives back the very
 * files, place_copy() makes new ones.  Failures end the harness.
 */
#ifndef TESTS_CRASH_PLACE_H
#define TESTS_CRASH_PLACE_H

#include "formats/bytes.h"

#include <stdbool.h>
#include <sys/types.h>

struct kept_file {
	char *name;
	ino_t inode;
	mode_t mode;
	struct buf bytes;
};

struct place {
	char *dir;
	char *keep; /* a second link to every file; beside `dir` */
	bool exists;
	struct kept_file *files;
	size_t n;
};

/* Remember `dir` as it is; it may be absent.  *p is all zeros. */
void place_save(struct place *p, const char *dir, const char *keep);
/* Make the directory what it was. */
void place_restore(const struct place *p);
void place_release(struct place *p);

/* Copy files into `to`, which is emptied first. */
void place_copy(const char *from, const char *to);
/* Remove a directory of files; one that is not there is fine. */
void place_remove(const char *dir);

/* The names in `dir`, sorted; freed by place_free_names(). */
char **place_names(const char *dir, size_t *n);
void place_free_names(char **names, size_t n);

/* The whole file; false when it is not there. */
bool place_read(const char *dir, const char *name, struct buf *out);
void place_write(const char *dir, const char *name, struct slice bytes);
void place_append(const char *dir, const char *name, struct slice bytes);
void place_unlink(const char *dir, const char *name);

#endif
