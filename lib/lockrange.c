#include "lib/lockrange.h"

#include <errno.h>
#include <stdio.h>

static const char *const role_names[] = { "WRITE", "MANIFEST", "SYNC", "ALIVE",
					  "NUMBER" };

/* No deadline holds for this thread now. */
static _Thread_local bool patient;

struct flock lock_range(short type, uint64_t start, uint64_t len)
{
	return (struct flock){ .l_type = type,
			       .l_whence = SEEK_SET,
			       .l_start = (off_t)start,
			       .l_len = (off_t)len };
}

int lock_busy(struct lock *l, enum lock_role role, struct store_error *err)
{
	char who[100] = "";

	if (l->hint)
		l->hint(l->hint_ctx, role, who, sizeof(who));
	return store_fail(err, STORE_EBUSY, "%s/%s: busy: %s is held%s%s",
			  l->dir->path, NAME_LOCK, role_names[role],
			  *who ? " by " : "", who);
}

void lock_patient(bool on)
{
	patient = on;
}

int64_t lock_timeout(const struct lock *l)
{
	return patient ? 0 : l->timeout_ms;
}

int lock_set(struct lock *l, struct flock fl, bool wait,
	     struct store_error *err)
{
	int64_t timeout = lock_timeout(l);
	uint64_t deadline = 0;
	int e;

	if (timeout < 0)
		wait = false;
	if (wait && timeout > 0)
		deadline = os.monotonic_ms() + (uint64_t)timeout;
	while (os.lock(l->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &fl) < 0) {
		e = errno;
		if (e == EAGAIN || e == EACCES)
			return 0;
		if (e != EINTR)
			/* not "busy": an I/O error must not look like one */
			return store_fail_errno(err, l->dir->path, NAME_LOCK,
						"lock", e);
		if (deadline && os.monotonic_ms() >= deadline)
			return 0;
	}
	return 1;
}

bool lock_wait_thread(pthread_cond_t *c, pthread_mutex_t *m, int64_t timeout,
		      const struct timespec *until)
{
	if (timeout == 0)
		return pthread_cond_wait(c, m) == 0;
	return timeout > 0 && pthread_cond_timedwait(c, m, until) == 0;
}
