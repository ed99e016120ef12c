/*
 * What a handle locks besides roles, and asks of others: claims of files, pins
 * of generations, probes.  All of it is of lock.h.
 */
#include "lib/lockrange.h"

#include <assert.h>
#include <errno.h>

static size_t claim_find(const struct lock *l, uint64_t number)
{
	size_t i;

	for (i = 0; i < l->n_claims; i++)
		if (l->claims[i] == number)
			break;
	return i;
}

/* Make room for one more in an array of the handle's table. */
static int grow(void **array, size_t n, size_t *cap, size_t each)
{
	void *p;

	if (n < *cap)
		return 0;
	p = realloc(*array, (*cap ? *cap * 2 : 8) * each);
	if (!p)
		return -1;
	*array = p;
	*cap = *cap ? *cap * 2 : 8;
	return 0;
}

int lock_claim(struct lock *l, uint64_t number, struct store_error *err)
{
	int r = 0;

	pthread_mutex_lock(&l->table);
	if (claim_find(l, number) < l->n_claims)
		goto out;
	if (grow((void **)&l->claims, l->n_claims, &l->cap_claims,
		 sizeof(*l->claims)) < 0) {
		r = store_nomem(err);
		goto out;
	}
	r = lock_set(l, lock_range(F_WRLCK, LOCK_CLAIM + number, 1), false,
		     err);
	if (r == 1)
		l->claims[l->n_claims++] = number;
out:
	pthread_mutex_unlock(&l->table);
	return r;
}

void lock_unclaim(struct lock *l, uint64_t number)
{
	struct flock fl = lock_range(F_UNLCK, LOCK_CLAIM + number, 1);
	size_t i;

	pthread_mutex_lock(&l->table);
	i = claim_find(l, number);
	if (i < l->n_claims) {
		os.lock(l->fd, F_OFD_SETLK, &fl);
		l->claims[i] = l->claims[--l->n_claims];
		pthread_cond_broadcast(&l->unclaimed);
	}
	pthread_mutex_unlock(&l->table);
}

/* While a thread of ours has it, as the kernel would let us through. */
static int wait_for_thread(struct lock *l, uint64_t number)
{
	int64_t timeout = lock_timeout(l);
	struct timespec until = { 0, 0 };
	int r;

	if (timeout > 0)
		until = os_deadline(timeout);
	pthread_mutex_lock(&l->table);
	while (claim_find(l, number) < l->n_claims &&
	       lock_wait_thread(&l->unclaimed, &l->table, timeout, &until))
		;
	r = claim_find(l, number) == l->n_claims;
	pthread_mutex_unlock(&l->table);
	return r;
}

int lock_claim_wait(struct lock *l, uint64_t number, struct store_error *err)
{
	struct flock un = lock_range(F_UNLCK, LOCK_CLAIM + number, 1);
	int r;

	assert(lock_free_handed());
	r = wait_for_thread(l, number);
	/*
	 * A shared lock, so that it cannot be mistaken for a claim of ours by
	 * a thread that claims meanwhile: its exclusive lock converts the
	 * range, and we then leave it alone.
	 */
	if (r == 1)
		r = lock_set(l, lock_range(F_RDLCK, LOCK_CLAIM + number, 1),
			     true, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&l->table);
	if (r == 1 && claim_find(l, number) == l->n_claims)
		os.lock(l->fd, F_OFD_SETLK, &un);
	pthread_mutex_unlock(&l->table);
	if (r == 0)
		return store_fail(err, STORE_EBUSY,
				  "%s/%s: busy: another process works on file "
				  "%06llu",
				  l->dir->path, NAME_LOCK,
				  (unsigned long long)number);
	return 0;
}

static size_t pin_find(const struct lock *l, uint64_t generation)
{
	size_t i;

	for (i = 0; i < l->n_pins; i++)
		if (l->pins[i].generation == generation)
			break;
	return i;
}

int lock_pin(struct lock *l, uint64_t generation, struct store_error *err)
{
	size_t i;
	int r = 0;

	pthread_mutex_lock(&l->table);
	i = pin_find(l, generation);
	if (i < l->n_pins) {
		l->pins[i].count++;
		goto out;
	}
	if (grow((void **)&l->pins, l->n_pins, &l->cap_pins, sizeof(*l->pins)) <
	    0) {
		r = store_nomem(err);
		goto out;
	}
	/* Only a sweeper's probe could conflict, and it takes no lock. */
	r = lock_set(l, lock_range(F_RDLCK, LOCK_PIN + generation, 1), true,
		     err);
	if (r == 1) {
		l->pins[l->n_pins++] = (struct pin){ generation, 1 };
		r = 0;
	} else if (r == 0) {
		r = lock_busy(l, ROLE_ALIVE, err);
	}
out:
	pthread_mutex_unlock(&l->table);
	return r;
}

void lock_unpin(struct lock *l, uint64_t generation)
{
	struct flock fl = lock_range(F_UNLCK, LOCK_PIN + generation, 1);
	size_t i;

	pthread_mutex_lock(&l->table);
	i = pin_find(l, generation);
	if (i < l->n_pins && --l->pins[i].count == 0) {
		os.lock(l->fd, F_OFD_SETLK, &fl);
		l->pins[i] = l->pins[--l->n_pins];
	}
	pthread_mutex_unlock(&l->table);
}

/* Opened by the first who needs it, whatever thread. */
static int open_probe(struct lock *l, struct store_error *err)
{
	int fd;

	pthread_mutex_lock(&l->table);
	if (l->probe < 0) {
		fd = os_open(l->dir, NAME_LOCK, l->writable ? O_RDWR : O_RDONLY,
			     0, err);
		if (fd >= 0)
			l->probe = fd;
	} else {
		fd = l->probe;
	}
	pthread_mutex_unlock(&l->table);
	return fd;
}

/*
 * Does anyone hold a lock in [start, start + len)?  Asked on another
 * description than the handle's, so that our own are seen as well.
 */
static int probe(struct lock *l, uint64_t start, uint64_t len,
		 struct store_error *err)
{
	struct flock fl = lock_range(F_WRLCK, start, len);

	int fd = open_probe(l, err);

	if (fd < 0)
		return fd;
	if (os.lock(fd, F_OFD_GETLK, &fl) < 0)
		return store_fail_errno(err, l->dir->path, NAME_LOCK, "probe",
					errno);
	return fl.l_type != F_UNLCK;
}

int lock_pinned(struct lock *l, uint64_t last, struct store_error *err)
{
	return probe(l, LOCK_PIN, last + 1, err);
}

int lock_claimed(struct lock *l, uint64_t number, struct store_error *err)
{
	return probe(l, LOCK_CLAIM + number, 1, err);
}

int lock_claimed_among(struct lock *l, uint64_t first, uint64_t last,
		       struct store_error *err)
{
	return probe(l, LOCK_CLAIM + first, last - first + 1, err);
}

int lock_held(struct lock *l, enum lock_role role, struct store_error *err)
{
	int r = probe(l, (uint64_t)role, 1, err);

	if (r == 0 && role == ROLE_WRITE)
		r = tenure_busy(l->probe);
	return r;
}

int lock_next(struct lock *l, uint64_t from, uint64_t to, uint64_t *start,
	      uint64_t *end, struct store_error *err)
{
	int fd = open_probe(l, err);
	int found = 0;

	if (fd < 0)
		return fd;
	/* The kernel tells one of them, not the lowest: look before it. */
	while (from < to) {
		struct flock fl = lock_range(F_WRLCK, from, to - from);
		uint64_t last;

		if (os.lock(fd, F_OFD_GETLK, &fl) < 0)
			return store_fail_errno(err, l->dir->path, NAME_LOCK,
						"probe", errno);
		if (fl.l_type == F_UNLCK)
			break;
		*start = (uint64_t)fl.l_start > from ? (uint64_t)fl.l_start
						     : from;
		last = fl.l_len ? (uint64_t)(fl.l_start + fl.l_len) : to;
		*end = last < to ? last : to;
		to = *start;
		found = 1;
	}
	return found;
}
