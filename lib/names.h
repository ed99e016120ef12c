/*
 * names.h - every file name of the data directory is made and parsed here.
 *
 * A numbered file is its number in at least six decimal digits and a suffix.
 * Logs and tables draw from one counter; a tree has its log's number, a
 * version image its generation.  A file under construction ends in ".tmp".
 */
#ifndef LIB_NAMES_H
#define LIB_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define NAME_LOCK "LOCK"
#define NAME_STATE "STATE"
#define NAME_MANIFEST "MANIFEST.json"
#define NAME_MANIFEST_TMP "MANIFEST.json.tmp"
#define NAME_SIZE 40 /* room for any name, NUL included */

enum file_kind {
	FILE_FOREIGN, /* not ours */
	FILE_LOCK,
	FILE_STATE,
	FILE_MANIFEST,
	FILE_MANIFEST_TMP,
	FILE_WAL,
	FILE_SST,
	FILE_SST_TMP,
	FILE_IDX,
	FILE_VER,
	FILE_VER_TMP,
};

/* Write the name of a numbered file into `name`, NAME_SIZE bytes. */
void name_make(char *name, enum file_kind kind, uint64_t number);

/* What is `name`?  *number is set for the numbered kinds, else 0. */
enum file_kind name_parse(const char *name, uint64_t *number);

#endif
