/*
 * error.h - how a failure is told: a code, and one line of text.
 *
 * A function that can fail returns 0 for done, 1 for a positive answer where
 * it asks a question, or a negative enum store_err.  The caller passes a
 * struct store_error from its stack; it is filled where the failure happens,
 * with the file, the offset and the cause.  The first failure wins: setting
 * an error that is set does nothing, so layers above clean up and pass it on.
 * `err` may be NULL where only the code matters.
 */
#ifndef FORMATS_ERROR_H
#define FORMATS_ERROR_H

#include <stdint.h>

enum store_err {
	STORE_OK = 0,
	STORE_EINVAL = -1,   /* an argument is wrong or over its limit */
	STORE_ECORRUPT = -2, /* damaged or foreign bytes, unknown version */
	STORE_ENOSTORE = -3, /* no such store or file */
	STORE_EBUG = -4,     /* an invariant of ours failed */
	STORE_ESYSTEM = -5,  /* refused: memory, descriptors, processes */
	STORE_ENOSPACE = -6, /* no space, quota, or cannot create */
	STORE_EIO = -7,	     /* I/O error or failed sync: write in doubt */
	STORE_EBUSY = -8,    /* a lock was not got in time */
	STORE_EACCESS = -9,  /* permission, or a read-only filesystem */
	STORE_ECONFIG = -10, /* unknown strategy, bad option, refused plan */
	STORE_EFULL = -11,   /* the asynchronous queue is at its depth */
	STORE_EGONE = -12,   /* inside libstore: a named file is not there */
};

struct store_error {
	int code; /* enum store_err; 0 while nothing has failed */
	char text[500];
};

#define STORE_ERROR_INIT ((struct store_error){ 0, "" })

/* Fill `err` (first one wins) and return `code`, for `return store_fail(...)`.
 */
int store_fail(struct store_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* No memory: STORE_ESYSTEM. */
int store_nomem(struct store_error *err);

/*
 * A system call failed with `errnum` on `dir`/`name` (either may be NULL)
 * while doing `what` ("write", "fsync").  Returns the code that the errno
 * means: no space, permission, system, gone (ENOENT), or I/O.
 */
int store_fail_errno(struct store_error *err, const char *dir, const char *name,
		     const char *what, int errnum);

/*
 * The one place that reports damaged bytes: "DIR/NAME: offset OFF: WHY".
 * `off` is STORE_NO_OFFSET when no offset helps.  Returns STORE_ECORRUPT.
 */
#define STORE_NO_OFFSET UINT64_MAX
int store_corrupt(struct store_error *err, const char *dir, const char *name,
		  uint64_t off, const char *why);

#endif
