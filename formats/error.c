#include "formats/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int store_fail(struct store_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err && err->code == 0) {
		err->code = code;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return code;
}

int store_nomem(struct store_error *err)
{
	return store_fail(err, STORE_ESYSTEM, "out of memory");
}

static int code_of(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return STORE_ENOSPACE;
	case EACCES:
	case EPERM:
	case EROFS:
		return STORE_EACCESS;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
	case ENOLCK:
	case EDEADLK:
		return STORE_ESYSTEM;
	case ENOENT:
		return STORE_EGONE;
	case EEXIST:
	case ENOTDIR:
	case ENAMETOOLONG:
	case ELOOP:
		return STORE_ENOSPACE; /* "cannot create" */
	default:
		return STORE_EIO;
	}
}

/* DIR/NAME into `p`, whichever of the two there are. */
static const char *join(char *p, size_t n, const char *dir, const char *name)
{
	snprintf(p, n, "%s%s%s", dir ? dir : "", dir && name ? "/" : "",
		 name ? name : "");
	return p;
}

int store_fail_errno(struct store_error *err, const char *dir, const char *name,
		     const char *what, int errnum)
{
	char path[400];

	return store_fail(err, code_of(errnum), "%s: %s: %s",
			  join(path, sizeof(path), dir, name), what,
			  strerror(errnum));
}

int store_corrupt(struct store_error *err, const char *dir, const char *name,
		  uint64_t off, const char *why)
{
	char path[400];

	join(path, sizeof(path), dir, name);
	if (off == STORE_NO_OFFSET)
		return store_fail(err, STORE_ECORRUPT, "%s: %s", path, why);
	return store_fail(err, STORE_ECORRUPT, "%s: offset %" PRIu64 ": %s",
			  path, off, why);
}
