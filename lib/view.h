/*
 * view.h - reading a shared file: "give me `len` bytes at `off`".
 *
 * A view reads by pread into the caller's window, and turns into a map (for
 * reading, or where its owner says so for view_poke() as well) once that pays
 * (after VIEW_MAP_AFTER reads), because the first touch of a mapped page costs
 * ten preads and every later one none.  A one-shot tool therefore maps nothing.
 * Nor is a table mapped whose blocks are kept elsewhere: its reads do not count
 * (`uncounted`), only those that view_count() is told of.  A view may be read
 * by many threads at once; a window belongs to one thread, or one iterator, at
 * a time.
 *
 * A file that grows is read the same way: the caller knows (from a published
 * length) which bytes are there.  A map is made once, over `map_bytes`, and
 * only bytes below a published length are touched through it.
 */
#ifndef LIB_VIEW_H
#define LIB_VIEW_H

#include "lib/names.h"
#include "lib/os.h"

#include <stdatomic.h>

#define VIEW_MAP_AFTER 256
#define VIEW_PAGE 4096u
#define VIEW_STREAM (1u << 20)
/* What is decoded as it comes should still lie in a core's own cache. */
#define VIEW_BLOCKS (256u << 10)

struct view {
	int fd;
	const struct dir *dir;
	char name[NAME_SIZE];
	uint64_t map_bytes; /* length of the map to make; 0: never map */
	bool uncounted;
	bool passing;  /* pages behind a window go out of the page cache */
	bool writable; /* a map may be written, too: view_poke() */
	atomic_bool poked;
	_Atomic(const uint8_t *) map;
	atomic_uint reads;
};

/* Takes over `fd`. */
void view_init(struct view *v, int fd, const struct dir *dir, const char *name,
	       uint64_t map_bytes);
void view_close(struct view *v); /* unmaps and closes */
/* A view of memory instead of a file; freed by view_close(). */
void view_memory(struct view *v, uint8_t *data, uint64_t len,
		 const struct dir *dir, const char *name);
/*
 * Map now, faulting pages in when `populate`; a failure leaves the view on
 * pread.
 */
void view_map(struct view *v, bool populate);
/*
 * Put `n` bytes at `off` through the map; false when there is none that may be
 * written: then it takes a pwrite.  Only where the file has its blocks already
 * and keeps them when it is written over: nothing here can fail, but a disk
 * that is full, or the file's end, would be SIGBUS.
 */
bool view_poke(struct view *v, uint64_t off, const void *p, size_t n);
/* May view_poke() work? */
static inline bool view_pokes(struct view *v)
{
	return atomic_load_explicit(&v->poked, memory_order_relaxed);
}
/*
 * The pages of these bytes will hardly be looked at again.  Taken out of the
 * map all at once, they are nobody's memory, and those that were stored into
 * are written to the disk without disturbing every processor for each.
 */
void view_forget(struct view *v, uint64_t off, uint64_t n);
/* One more read that view_read() did not count: perhaps a map now pays. */
void view_count(struct view *v);

/* Where the bytes of a pread lie: grows as needed. */
struct window {
	uint8_t *data;
	size_t cap;
	uint64_t off; /* of data[0] in the file */
	size_t len;   /* valid bytes */
	size_t ahead; /* read so much at least, one of the above; 0: no more */
	const void *owner; /* the view the bytes are from */
	uint64_t passed;   /* of a passing one: pages before it were put out */
	uint8_t *room;	   /* the caller's, of WINDOW_ROOM bytes, or NULL */
};

/* What a lookup reads at once lies on its stack, and leaves no hole behind. */
#define WINDOW_ROOM ((size_t)VIEW_PAGE * 2)

#define WINDOW_INIT(ahead_) ((struct window){ .ahead = (ahead_) })
#define WINDOW_IN(room_)                                                       \
	((struct window){ .ahead = VIEW_PAGE, .room = (room_) })

void window_release(struct window *w);
/* Forget the bytes, keep the memory: after the file may have changed. */
static inline void window_forget(struct window *w)
{
	w->len = 0;
}

/*
 * `len` bytes at `off` into *out, valid until the next read with this window
 * (or, once mapped, until view_close).  `limit` is where valid bytes end: the
 * file's size, or its published length; a read beyond is STORE_ECORRUPT and
 * read-ahead stops there.
 */
int view_read(struct view *v, struct window *w, uint64_t off, size_t len,
	      uint64_t limit, struct slice *out, struct store_error *err);
/*
 * The same, but not through the map where there can be a pread: a page that is
 * looked at once takes longer to map, and is our memory from then on.
 */
int view_peek(struct view *v, struct window *w, uint64_t off, size_t len,
	      uint64_t limit, struct slice *out, struct store_error *err);

#endif
