/*
 * oracle.h - is this store one that a crash may leave?
 *
 * The store is opened as the next process would: nothing may wait, what it
 * holds must be one of the allowed states, the next put must work and leave
 * no torn tail, maintenance must leave exactly the files that the manifest
 * names, lsm-verify must be content, and without its living memory the store
 * must say the same once more.  The judgement runs in a child, so that a
 * crash of the library is a finding like any other.
 */
#ifndef TESTS_CRASH_ORACLE_H
#define TESTS_CRASH_ORACLE_H

#include "formats/manifest.h"
#include "tests/crash/model.h"

#include <stdbool.h>

struct oracle {
	const char *verify; /* path of lsm-verify; NULL: not there */
	const struct model *states;
	size_t n;
	bool creates; /* states[0] may be: no store yet */
};

struct verdict {
	bool ok;
	size_t state;	/* which one it was */
	char text[500]; /* what is wrong */
};

/*
 * Judge the store in `dir`, which is changed by it.  Only states[least] and
 * later ones are allowed.
 */
void oracle_judge(const struct oracle *o, const char *dir, size_t least,
		  struct verdict *v);

/* MANIFEST.json as it stands; false with a message when it does not parse. */
bool oracle_manifest(const char *dir, struct manifest *m,
		     struct store_error *err);

#endif
