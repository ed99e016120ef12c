/*
 * verify.h - the inside of verify_store(): what is found, and the parts that
 * look for it.  lsm-verify and the tests see lib/inspect.h.
 *
 * A check returns 0 when it has come to an end, whatever it found; a negative
 * error only when it could not go on: no memory, an I/O error, a finding_fn
 * that said stop.
 */
#ifndef LIB_VERIFY_H
#define LIB_VERIFY_H

#include "lib/inspect.h"
#include "lib/inspectstore.h"

/* Indexes into finding_codes. */
enum finding_id {
	FIND_MANIFEST,
	FIND_PUBLISHED,
	FIND_COUNTER,
	FIND_IMAGE,
	FIND_MISSING,
	FIND_TABLE,
	FIND_LOG,
	FIND_TREE,
	FIND_UNTRUSTED,
	FIND_INSTALL,
	FIND_OLD_IMAGE,
	FIND_NO_TREE,
	FIND_TAIL,
	FIND_POISONED,
	FIND_ORPHAN,
	FIND_TEMPORARY,
	FIND_FOREIGN,
};

struct verify {
	struct inspection in;
	const struct verify_config *config;
	bool damaged;
	int stop; /* what a finding_fn said that would hear no more */
	struct store_error first; /* the first fatal finding */
};

/* Report.  `strict`: damage, if the caller asked for strictness. */
int verify_find(struct verify *v, enum finding_id id, const char *file,
		uint64_t offset, const char *text);
/*
 * Report the damage that `e` tells of, in `file` if its text names none; any
 * other error is passed on to `err` and returned.
 */
int verify_error(struct verify *v, enum finding_id id, const char *file,
		 const struct store_error *e, struct store_error *err);

int verify_log(struct verify *v, const struct log_meta *meta,
	       struct store_error *err);

#endif
