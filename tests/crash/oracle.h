/*
 * oracle.h - is this store one that a crash may leave?
 *
 * The store is opened as the next process would: nothing may wait, what it
 * holds must be one of the allowed states, the next put must work and leave
 * no torn tail, maintenance must leave exactly the files that the manifest
 * names, lsm-verify must be content, and without its living memory the store
 * must say the same once more.  A child does it, one for all judgements of an
 * oracle, so that a crash of the library is a finding like any other.
 */
#ifndef TESTS_CRASH_ORACLE_H
#define TESTS_CRASH_ORACLE_H

#include "formats/manifest.h"
#include "tests/crash/model.h"

#include <stdbool.h>
#include <sys/types.h>

struct oracle {
	const char *verify; /* path of lsm-verify; NULL: not there */
	size_t n;	    /* states that may be, oldest first */
	struct buf *texts;  /* of each */
	struct buf *probed; /* and after the next put */
	bool creates;	    /* states[0] may be: no store yet */
	pid_t judge;	    /* the child */
	int line;	    /* a socket to it */
};

struct verdict {
	bool ok;
	size_t state;	/* which one it was */
	char text[500]; /* what is wrong */
};

void oracle_init(struct oracle *o, const struct model *states, size_t n,
		 bool creates, const char *verify);
void oracle_release(struct oracle *o);

enum oracle_manner {
	AS_IT_LIES, /* the next process is a writer */
	AS_A_COPY,  /* a reader comes first; living memory is not believed */
};

/*
 * Judge the store in `dir`, which is changed by it.  Only state `least` and
 * later ones are allowed.
 */
void oracle_judge(struct oracle *o, const char *dir, enum oracle_manner manner,
		  size_t least, struct verdict *v);

/* After a writer that ended well: its log ends with its last batch. */
void oracle_no_tail(const char *dir, struct verdict *v);

/* MANIFEST.json as it stands; false with a message when it does not parse. */
bool oracle_manifest(const char *dir, struct manifest *m,
		     struct store_error *err);

#endif
