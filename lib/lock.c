#include "lib/lock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static const char *const role_names[] = { "WRITE", "MANIFEST", "SYNC", "ALIVE",
					  "NUMBER" };

/* Which roles this thread holds, to assert the order. */
static _Thread_local unsigned held;
/* No deadline holds for this thread now. */
static _Thread_local bool patient;
/* The signal mask to go back to when the last of WRITE, MANIFEST is let go. */
static _Thread_local sigset_t unblocked;

/* So often in a row, and WRITE is ours until somebody wants it. */
#define TURNS 16
/* A tenant looks whether LOCK is in its place after so long. */
#define SEEN_MS 100

#define BIT(role) (1u << (role))
#define STOPS_BLOCKED (BIT(ROLE_WRITE) | BIT(ROLE_MANIFEST))

/*
 * A forked child inherits LOCK's description, and with it our locks, which
 * would outlive us in it.  The child's handler closes its copies.
 */
static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct lock *all;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	pthread_mutex_lock(&all_mutex);
}

static void parent_forked(void)
{
	pthread_mutex_unlock(&all_mutex);
}

static void child_forked(void)
{
	for (struct lock *l = all; l; l = l->next) {
		os_close(l->fd);
		os_close(l->probe);
		l->fd = l->probe = -1;
		tenure_forget(&l->tenure);
	}
	pthread_mutex_unlock(&all_mutex);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, parent_forked, child_forked);
}

static struct flock range(short type, uint64_t start, uint64_t len)
{
	return (struct flock){ .l_type = type,
			       .l_whence = SEEK_SET,
			       .l_start = (off_t)start,
			       .l_len = (off_t)len };
}

int lock_open(struct lock *l, const struct dir *dir, bool write, bool create,
	      int64_t timeout_ms, struct store_error *err)
{
	struct stat st;
	int flags = (write ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0);

	*l = (struct lock){ .dir = dir,
			    .fd = -1,
			    .probe = -1,
			    .writable = write,
			    .timeout_ms = timeout_ms };
	l->fd = os_open_stat(dir, NAME_LOCK, flags, 0666, &st, err);
	if (l->fd < 0)
		return l->fd;
	l->inode = st.st_ino;
	for (int i = 0; i < ROLES; i++)
		os_cond_init(&l->given[i]);
	os_cond_init(&l->unclaimed);
	pthread_mutex_init(&l->gate, NULL);
	pthread_mutex_init(&l->table, NULL);
	pthread_once(&fork_once, watch_forks);
	pthread_mutex_lock(&all_mutex);
	l->next = all;
	all = l;
	pthread_mutex_unlock(&all_mutex);
	return 0;
}

void lock_close(struct lock *l)
{
	pthread_mutex_lock(&all_mutex);
	for (struct lock **p = &all; *p; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	pthread_mutex_unlock(&all_mutex);
	for (int i = 0; i < ROLES; i++)
		pthread_cond_destroy(&l->given[i]);
	pthread_cond_destroy(&l->unclaimed);
	pthread_mutex_destroy(&l->gate);
	pthread_mutex_destroy(&l->table);
	tenure_close(&l->tenure);
	os_close(l->fd);
	os_close(l->probe);
	free(l->claims);
	free(l->pins);
}

static int busy(struct lock *l, enum lock_role role, struct store_error *err)
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

/* 0: wait for ever; below 0: not at all. */
static int64_t timeout_of(const struct lock *l)
{
	return patient ? 0 : l->timeout_ms;
}

/* fcntl on a range: 1 got, 0 busy (or not in time), or an error. */
static int set_range(struct lock *l, struct flock fl, bool wait,
		     struct store_error *err)
{
	int64_t timeout = timeout_of(l);
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

/*
 * Wait once for what another thread of this handle will give back: false when
 * `until`, has passed.
 */
static bool wait_for(pthread_cond_t *c, pthread_mutex_t *m, int64_t timeout,
		     const struct timespec *until)
{
	if (timeout == 0)
		return pthread_cond_wait(c, m) == 0;
	return timeout > 0 && pthread_cond_timedwait(c, m, until) == 0;
}

/* A role among the threads of this handle: 1 got, 0 busy. */
static int take_gate(struct lock *l, enum lock_role role, bool wait)
{
	int64_t timeout = wait ? timeout_of(l) : -1;
	struct timespec until = { 0, 0 };
	int r;

	if (timeout > 0)
		until = os_deadline(timeout);
	pthread_mutex_lock(&l->gate);
	while (l->taken[role] &&
	       wait_for(&l->given[role], &l->gate, timeout, &until))
		;
	r = !l->taken[role];
	l->taken[role] = true;
	pthread_mutex_unlock(&l->gate);
	return r;
}

static void give_gate(struct lock *l, enum lock_role role)
{
	pthread_mutex_lock(&l->gate);
	l->taken[role] = false;
	pthread_cond_signal(&l->given[role]);
	pthread_mutex_unlock(&l->gate);
}

static void assert_order(enum lock_role role)
{
	unsigned before = 0;

	if (role == ROLE_SYNC || role == ROLE_MANIFEST)
		before = BIT(ROLE_WRITE);
	else if (role == ROLE_NUMBER)
		before = BIT(ROLE_WRITE) | BIT(ROLE_MANIFEST);
	assert((held & ~before) == 0);
	(void)before;
}

/*
 * A stopped holder would stop everybody: Ctrl-Z waits until we let go.
 */
static void block_stops(void)
{
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTSTP);
	sigaddset(&stops, SIGTTIN);
	sigaddset(&stops, SIGTTOU);
	os.procmask(SIG_BLOCK, &stops, &unblocked);
}

/* Two LOCK files would be two locks: ours must be the one in the directory. */
static int check_identity(struct lock *l, struct store_error *err)
{
	uint64_t now = l->tenure.id ? os.monotonic_ms() : 0;
	struct stat st;

	if (l->tenure.busy && now - l->seen_ms < SEEN_MS)
		return 0;
	l->seen_ms = now;
	if (os.fstatat(l->dir->fd, NAME_LOCK, &st) == 0 &&
	    st.st_ino == l->inode)
		return 0;
	return store_corrupt(err, l->dir->path, NAME_LOCK, STORE_NO_OFFSET,
			     "was removed or replaced while in use; "
			     "open the store again");
}

/* Nobody is let by without the byte any more: 1, or 0 when not in time. */
static int end_tenure(struct lock *l, bool wait, struct store_error *err)
{
	struct flock un = range(F_UNLCK, ROLE_WRITE, 1);
	int64_t timeout = timeout_of(l);
	uint64_t deadline = 0;
	int r;

	if (timeout > 0)
		deadline = os.monotonic_ms() + (uint64_t)timeout;
	r = tenure_end(&l->tenure, l->fd, l->dir, wait && timeout >= 0,
		       deadline, err);
	if (r <= 0)
		os.lock(l->fd, F_OFD_SETLK, &un);
	return r;
}

/* By tenure, or by the byte: 1 got, 0 busy. */
static int take(struct lock *l, enum lock_role role, bool wait,
		struct store_error *err)
{
	int r;

	if (role == ROLE_WRITE && tenure_enter(&l->tenure))
		return 1;
	r = set_range(l, range(F_WRLCK, role, 1), wait, err);
	if (r == 1 && role == ROLE_WRITE)
		r = end_tenure(l, wait, err);
	return r;
}

static int acquire(struct lock *l, enum lock_role role, bool wait,
		   struct store_error *err)
{
	int r;

	assert_order(role);
	if (!l->writable)
		return store_fail(err, STORE_EACCESS,
				  "%s: the store was opened for reading only",
				  l->dir->path);
	if (!take_gate(l, role, wait))
		return 0;
	if (BIT(role) & STOPS_BLOCKED && !(held & STOPS_BLOCKED))
		block_stops();
	r = take(l, role, wait, err);
	if (r <= 0) {
		if (BIT(role) & STOPS_BLOCKED && !(held & STOPS_BLOCKED))
			os.procmask(SIG_SETMASK, &unblocked, NULL);
		give_gate(l, role);
		return r;
	}
	held |= BIT(role);
	if (BIT(role) & STOPS_BLOCKED && (r = check_identity(l, err)) < 0) {
		lock_release(l, role);
		return r;
	}
	return 1;
}

int lock_acquire(struct lock *l, enum lock_role role, struct store_error *err)
{
	int r = acquire(l, role, true, err);

	if (r == 0)
		return busy(l, role, err);
	return r < 0 ? r : 0;
}

int lock_try(struct lock *l, enum lock_role role, struct store_error *err)
{
	return acquire(l, role, false, err);
}

void lock_release(struct lock *l, enum lock_role role)
{
	struct flock fl = range(F_UNLCK, role, 1);

	assert(held & BIT(role));
	if (role == ROLE_WRITE && l->tenure.busy) {
		tenure_leave(&l->tenure);
	} else {
		if (role == ROLE_WRITE && l->tenure.turns >= TURNS)
			tenure_begin(&l->tenure, l->fd, l->dir);
		os.lock(l->fd, F_OFD_SETLK, &fl);
	}
	held &= ~BIT(role);
	if (BIT(role) & STOPS_BLOCKED && !(held & STOPS_BLOCKED))
		os.procmask(SIG_SETMASK, &unblocked, NULL);
	give_gate(l, role);
}

void lock_turn(struct lock *l, bool again)
{
	l->tenure.turns = again ? l->tenure.turns + 1 : 0;
}

int lock_turn_try(struct lock *l, uint64_t turn, struct store_error *err)
{
	return set_range(l, range(F_WRLCK, LOCK_TURNS + turn % 2, 1), false,
			 err);
}

void lock_turn_release(struct lock *l, uint64_t turn)
{
	struct flock un = range(F_UNLCK, LOCK_TURNS + turn % 2, 1);

	os.lock(l->fd, F_OFD_SETLK, &un);
}

int lock_turn_wait(struct lock *l, uint64_t turn, struct store_error *err)
{
	int r = set_range(l, range(F_RDLCK, LOCK_TURNS + turn % 2, 1), true,
			  err);

	if (r == 0)
		return busy(l, ROLE_SYNC, err);
	if (r == 1)
		lock_turn_release(l, turn);
	return r < 0 ? r : 0;
}

int lock_alive(struct lock *l, struct store_error *err)
{
	int r;

	assert(held == 0); /* a rebuilder waits for nobody, but holds WRITE */
	r = set_range(l, range(F_RDLCK, ROLE_ALIVE, 1), true, err);
	if (r == 0)
		return busy(l, ROLE_ALIVE, err);
	return r < 0 ? r : 0;
}

int lock_alive_try_exclusive(struct lock *l, struct store_error *err)
{
	assert(held == STOPS_BLOCKED); /* WRITE and MANIFEST: E2 */
	return set_range(l, range(F_WRLCK, ROLE_ALIVE, 1), false, err);
}

int lock_alive_share(struct lock *l, struct store_error *err)
{
	int r = set_range(l, range(F_RDLCK, ROLE_ALIVE, 1), false, err);

	if (r == 0)
		return busy(l, ROLE_ALIVE, err);
	return r < 0 ? r : 0;
}

void lock_alive_release(struct lock *l)
{
	struct flock fl = range(F_UNLCK, ROLE_ALIVE, 1);

	os.lock(l->fd, F_OFD_SETLK, &fl);
}

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
	r = set_range(l, range(F_WRLCK, LOCK_CLAIM + number, 1), false, err);
	if (r == 1)
		l->claims[l->n_claims++] = number;
out:
	pthread_mutex_unlock(&l->table);
	return r;
}

void lock_unclaim(struct lock *l, uint64_t number)
{
	struct flock fl = range(F_UNLCK, LOCK_CLAIM + number, 1);
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
	int64_t timeout = timeout_of(l);
	struct timespec until = { 0, 0 };
	int r;

	if (timeout > 0)
		until = os_deadline(timeout);
	pthread_mutex_lock(&l->table);
	while (claim_find(l, number) < l->n_claims &&
	       wait_for(&l->unclaimed, &l->table, timeout, &until))
		;
	r = claim_find(l, number) == l->n_claims;
	pthread_mutex_unlock(&l->table);
	return r;
}

int lock_claim_wait(struct lock *l, uint64_t number, struct store_error *err)
{
	struct flock un = range(F_UNLCK, LOCK_CLAIM + number, 1);
	int r;

	assert(held == 0);
	r = wait_for_thread(l, number);
	/*
	 * A shared lock, so that it cannot be mistaken for a claim of ours by
	 * a thread that claims meanwhile: its exclusive lock converts the
	 * range, and we then leave it alone.
	 */
	if (r == 1)
		r = set_range(l, range(F_RDLCK, LOCK_CLAIM + number, 1), true,
			      err);
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
	r = set_range(l, range(F_RDLCK, LOCK_PIN + generation, 1), true, err);
	if (r == 1) {
		l->pins[l->n_pins++] = (struct pin){ generation, 1 };
		r = 0;
	} else if (r == 0) {
		r = busy(l, ROLE_ALIVE, err);
	}
out:
	pthread_mutex_unlock(&l->table);
	return r;
}

void lock_unpin(struct lock *l, uint64_t generation)
{
	struct flock fl = range(F_UNLCK, LOCK_PIN + generation, 1);
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
	struct flock fl = range(F_WRLCK, start, len);

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
		struct flock fl = range(F_WRLCK, from, to - from);
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
