/*
 * inspectpath.h - a file of a store by its path, away from its store.
 */
#ifndef LIB_INSPECTPATH_H
#define LIB_INSPECTPATH_H

#include "lib/names.h"
#include "lib/os.h"

struct inspect_path {
	struct dir dir;
	const char *name;    /* in `dir`; points into the path */
	enum file_kind kind; /* never FILE_FOREIGN */
	uint64_t bytes;
};

/*
 * Open the directory of `path` and tell what the file is, by its suffix, or
 * else by its first bytes.  `path` must stay.
 *   STORE_ENOSTORE  there is no such file
 *   STORE_ECORRUPT  it is not a file of a store
 */
int inspect_path_open(struct inspect_path *p, const char *path,
		      struct store_error *err);
void inspect_path_close(struct inspect_path *p);

#endif
