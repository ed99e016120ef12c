#include "lib/lockrange.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* Which roles this thread holds, to assert the order. */
static _Thread_local unsigned held;
/* Stops are blocked; the mask to go back to when the last role is let go. */
static _Thread_local bool stopless;
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

/* A role among the threads of this handle: 1 got, 0 busy. */
static int take_gate(struct lock *l, enum lock_role role, bool wait)
{
	int64_t timeout = wait ? lock_timeout(l) : -1;
	struct timespec until = { 0, 0 };
	int r;

	if (timeout > 0)
		until = os_deadline(timeout);
	pthread_mutex_lock(&l->gate);
	while (l->taken[role] &&
	       lock_wait_thread(&l->given[role], &l->gate, timeout, &until))
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

bool lock_free_handed(void)
{
	return held == 0;
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
static void block_stops(enum lock_role role)
{
	sigset_t stops;

	if (!(BIT(role) & STOPS_BLOCKED) || stopless)
		return;
	stopless = true;
	sigemptyset(&stops);
	sigaddset(&stops, SIGTSTP);
	sigaddset(&stops, SIGTTIN);
	sigaddset(&stops, SIGTTOU);
	os.procmask(SIG_BLOCK, &stops, &unblocked);
}

static void unblock_stops(void)
{
	if (!stopless || held & STOPS_BLOCKED)
		return;
	stopless = false;
	os.procmask(SIG_SETMASK, &unblocked, NULL);
}

/* Two LOCK files would be two locks: ours must be the one in the directory. */
static int check_identity(struct lock *l, enum lock_role role,
			  struct store_error *err)
{
	struct stat st;
	uint64_t now;

	/* Only WRITE's holder may look at the tenure. */
	if (role == ROLE_WRITE && l->tenure.id) {
		now = os.monotonic_ms();
		if (l->tenure.busy && now - l->seen_ms < SEEN_MS)
			return 0;
		l->seen_ms = now;
	}
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
	struct flock un = lock_range(F_UNLCK, ROLE_WRITE, 1);
	int64_t timeout = lock_timeout(l);
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
	bool tenant = role == ROLE_WRITE;
	int r;

	/* Without a terminal there is nobody to stop us, and two calls less. */
	if (tenant && !l->tenure.terminal && tenure_enter(&l->tenure))
		return 1;
	block_stops(role);
	if (tenant && l->tenure.terminal && tenure_enter(&l->tenure))
		return 1;
	r = lock_set(l, lock_range(F_WRLCK, role, 1), wait, err);
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
	r = take(l, role, wait, err);
	if (r <= 0) {
		unblock_stops();
		give_gate(l, role);
		return r;
	}
	held |= BIT(role);
	if (BIT(role) & STOPS_BLOCKED &&
	    (r = check_identity(l, role, err)) < 0) {
		lock_release(l, role);
		return r;
	}
	return 1;
}

int lock_acquire(struct lock *l, enum lock_role role, struct store_error *err)
{
	int r = acquire(l, role, true, err);

	if (r == 0)
		return lock_busy(l, role, err);
	return r < 0 ? r : 0;
}

int lock_try(struct lock *l, enum lock_role role, struct store_error *err)
{
	return acquire(l, role, false, err);
}

void lock_release(struct lock *l, enum lock_role role)
{
	struct flock fl = lock_range(F_UNLCK, role, 1);

	assert(held & BIT(role));
	if (role == ROLE_WRITE && l->tenure.busy) {
		tenure_leave(&l->tenure);
	} else {
		if (role == ROLE_WRITE && l->tenure.turns >= TURNS)
			tenure_begin(&l->tenure, l->fd, l->dir);
		os.lock(l->fd, F_OFD_SETLK, &fl);
	}
	held &= ~BIT(role);
	unblock_stops();
	give_gate(l, role);
}

void lock_again(struct lock *l, bool again)
{
	l->tenure.turns = again ? l->tenure.turns + 1 : 0;
}

int lock_turn_try(struct lock *l, uint64_t turn, struct store_error *err)
{
	return lock_set(l, lock_range(F_WRLCK, LOCK_TURNS + turn % 2, 1), false,
			err);
}

void lock_turn_release(struct lock *l, uint64_t turn)
{
	struct flock un = lock_range(F_UNLCK, LOCK_TURNS + turn % 2, 1);

	os.lock(l->fd, F_OFD_SETLK, &un);
}

int lock_turn_wait(struct lock *l, uint64_t turn, struct store_error *err)
{
	int r = lock_set(l, lock_range(F_RDLCK, LOCK_TURNS + turn % 2, 1), true,
			 err);

	if (r == 0)
		return lock_busy(l, ROLE_SYNC, err);
	if (r == 1)
		lock_turn_release(l, turn);
	return r < 0 ? r : 0;
}

int lock_alive(struct lock *l, struct store_error *err)
{
	int r;

	assert(held == 0); /* a rebuilder waits for nobody, but holds WRITE */
	r = lock_set(l, lock_range(F_RDLCK, ROLE_ALIVE, 1), true, err);
	if (r == 0)
		return lock_busy(l, ROLE_ALIVE, err);
	return r < 0 ? r : 0;
}

int lock_alive_try_exclusive(struct lock *l, struct store_error *err)
{
	assert(held == STOPS_BLOCKED); /* WRITE and MANIFEST: E2 */
	return lock_set(l, lock_range(F_WRLCK, ROLE_ALIVE, 1), false, err);
}

int lock_alive_share(struct lock *l, struct store_error *err)
{
	int r = lock_set(l, lock_range(F_RDLCK, ROLE_ALIVE, 1), false, err);

	if (r == 0)
		return lock_busy(l, ROLE_ALIVE, err);
	return r < 0 ? r : 0;
}

void lock_alive_release(struct lock *l)
{
	struct flock fl = lock_range(F_UNLCK, ROLE_ALIVE, 1);

	os.lock(l->fd, F_OFD_SETLK, &fl);
}
