#include "lib/tenure.h"

#include "formats/lock.h"
#include "lib/names.h"

#include <errno.h>

/* What a busy tenant does takes microseconds, unless he rotates, or stops. */
#define SPINS 100
/* So often it is asked whether he is still alive. */
#define LOOK_MS 20
#define IDS_TRIED 64

#define WORD (LOCK_TENANT_OFF / 4)
#define LAST (LOCK_LAST_ID_OFF / 4)

static uint32_t word_of(uint32_t id)
{
	return id << TENANT_ID_SHIFT;
}

static struct flock byte_of(uint32_t id)
{
	return (struct flock){ .l_type = F_WRLCK,
			       .l_whence = SEEK_SET,
			       .l_start = (off_t)(LOCK_TENANTS + id),
			       .l_len = 1 };
}

bool tenure_enter(struct tenure *t)
{
	uint32_t idle = word_of(t->id);

	if (!t->id || !atomic_compare_exchange_strong_explicit(
			      &t->page[WORD], &idle, idle | TENANT_BUSY,
			      memory_order_acquire, memory_order_relaxed))
		return false;
	t->busy = true;
	return true;
}

void tenure_leave(struct tenure *t)
{
	uint32_t busy = word_of(t->id) | TENANT_BUSY;

	t->busy = false;
	if (atomic_compare_exchange_strong_explicit(
		    &t->page[WORD], &busy, word_of(t->id), memory_order_release,
		    memory_order_relaxed))
		return;
	/* Whoever holds the byte waits: it is all his now. */
	atomic_store_explicit(&t->page[WORD], 0, memory_order_release);
	os.wake(&t->page[WORD]);
}

/* LOCK's first page; a file that has none yet gets it, under the byte. */
static bool map_page(struct tenure *t, int fd, const struct dir *dir)
{
	static const uint8_t none[LOCK_BYTES];
	off_t size;

	if (t->page)
		return true;
	size = os.size(fd);
	if (size < 0 ||
	    (size < (off_t)LOCK_BYTES &&
	     os_write(fd, none, sizeof(none), 0, dir, NAME_LOCK, NULL) < 0))
		return false;
	t->page = os.map(fd, LOCK_BYTES, OS_MAP_WRITE);
	return t->page != NULL;
}

/* Draw an id that nobody alive has, and lock its byte for as long as we live.
 */
static bool draw_id(struct tenure *t, int fd)
{
	uint32_t id = atomic_load(&t->page[LAST]);
	struct flock fl;

	for (int i = 0; !t->id && i < IDS_TRIED; i++) {
		id = id % TENANT_ID_MAX + 1;
		fl = byte_of(id);
		if (os.lock(fd, F_OFD_SETLK, &fl) == 0)
			t->id = id;
	}
	atomic_store(&t->page[LAST], id);
	return t->id != 0;
}

void tenure_begin(struct tenure *t, int fd, const struct dir *dir)
{
	t->turns = 0;
	if (t->refused)
		return;
	/*
	 * What is written through a map cannot fail, so it must be written in
	 * place: where blocks are copied instead, a full disk is a signal.
	 */
	t->refused = !dir->in_place || !map_page(t, fd, dir) ||
		     (!t->id && !draw_id(t, fd));
	if (t->refused)
		return;
	t->terminal = os.terminal();
	atomic_store_explicit(&t->page[WORD], word_of(t->id),
			      memory_order_release);
}

/* Whose byte is not locked is dead; asked by who does not lock it himself. */
static bool is_alive(int fd, uint32_t word)
{
	struct flock fl = byte_of(word >> TENANT_ID_SHIFT);

	return os.lock(fd, F_OFD_GETLK, &fl) < 0 || fl.l_type != F_UNLCK;
}

static uint32_t read_word(int fd)
{
	uint32_t word = 0;

	return os.pread(fd, &word, sizeof(word), LOCK_TENANT_OFF) ==
			       (ssize_t)sizeof(word)
		       ? word
		       : 0;
}

/* Wait a while for a busy tenant, and tell him so. */
static void wait_for(struct tenure *t, uint32_t word)
{
	uint32_t wanted = word | TENANT_WANTED;

	if (word == wanted ||
	    atomic_compare_exchange_strong(&t->page[WORD], &word, wanted))
		os.wait_while(&t->page[WORD], wanted, LOOK_MS);
}

int tenure_end(struct tenure *t, int fd, const struct dir *dir, bool wait,
	       uint64_t deadline, struct store_error *err)
{
	uint32_t word;

#ifdef MUTANT_tenant_unseen
	return 1;
#endif
	/* Where nobody ever was a tenant, nothing is mapped. */
	if (!t->page && !read_word(fd))
		return 1;
	if (!map_page(t, fd, dir))
		return store_fail_errno(err, dir->path, NAME_LOCK, "map",
					errno);
	for (unsigned i = 0;; i++) {
		word = atomic_load(&t->page[WORD]);
		if (!word)
			return 1;
		if (!(word & TENANT_BUSY) ||
		    (i >= SPINS && !is_alive(fd, word))) {
			if (atomic_compare_exchange_strong(&t->page[WORD],
							   &word, 0))
				return 1;
		} else if (i < SPINS) {
			os.yield();
		} else if (!wait ||
			   (deadline && os.monotonic_ms() >= deadline)) {
			return 0;
		} else {
			wait_for(t, word);
		}
	}
}

bool tenure_busy(int probe)
{
	uint32_t word = read_word(probe);

	return word & TENANT_BUSY && is_alive(probe, word);
}

void tenure_close(struct tenure *t)
{
	uint32_t idle = word_of(t->id);

	if (t->id)
		atomic_compare_exchange_strong(&t->page[WORD], &idle, 0);
	if (t->page)
		os.unmap((void *)t->page, LOCK_BYTES);
	*t = (struct tenure){ 0 };
}

void tenure_forget(struct tenure *t)
{
	t->id = 0;
	t->refused = true;
}
