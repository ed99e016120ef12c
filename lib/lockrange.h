/*
 * lockrange.h - what lock.c and claim.c share: one lock on a range of LOCK,
 * and how long to wait for it.
 */
#ifndef LIB_LOCKRANGE_H
#define LIB_LOCKRANGE_H

#include "lib/lock.h"

struct flock lock_range(short type, uint64_t start, uint64_t len);

/* fcntl on a range: 1 got, 0 busy (or not in time), or an error. */
int lock_set(struct lock *l, struct flock fl, bool wait,
	     struct store_error *err);

/* In milliseconds; 0: wait for ever; below 0: not at all. */
int64_t lock_timeout(const struct lock *l);

/*
 * Wait once for what another thread of this handle will give back: false when
 * `until` has passed.
 */
bool lock_wait_thread(pthread_cond_t *c, pthread_mutex_t *m, int64_t timeout,
		      const struct timespec *until);

/* STORE_EBUSY, with who is said to hold the role. */
int lock_busy(struct lock *l, enum lock_role role, struct store_error *err);

/* Does this thread hold no role?  For assertions. */
bool lock_free_handed(void);

#endif
