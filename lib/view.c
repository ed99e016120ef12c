#include "lib/view.h"

#include "lib/passing.h"

void view_init(struct view *v, int fd, const struct dir *dir, const char *name,
	       uint64_t map_bytes)
{
	v->fd = fd;
	v->dir = dir;
	memcpy(v->name, name, strnlen(name, NAME_SIZE - 1));
	v->name[strnlen(name, NAME_SIZE - 1)] = '\0';
	v->map_bytes = map_bytes;
	v->uncounted = false;
	v->passing = false;
	v->writable = false;
	atomic_init(&v->poked, false);
	atomic_init(&v->map, NULL);
	atomic_init(&v->reads, 0);
}

void view_memory(struct view *v, uint8_t *data, uint64_t len,
		 const struct dir *dir, const char *name)
{
	view_init(v, -1, dir, name, len);
	atomic_store(&v->map, data);
}

void view_close(struct view *v)
{
	const uint8_t *map = atomic_load(&v->map);

	if (map && v->fd < 0)
		free((void *)(uintptr_t)map);
	else if (map)
		os.unmap((void *)(uintptr_t)map, (size_t)v->map_bytes);
	atomic_store(&v->map, NULL);
	if (v->passing)
		os.uncache(v->fd, 0, 0);
	os_close(v->fd);
	v->fd = -1;
}

void view_map(struct view *v, bool populate)
{
	enum os_map how = populate	? OS_MAP_POPULATE
			  : v->writable ? OS_MAP_WRITE
					: OS_MAP_READ;
	const uint8_t *none = NULL;
	const uint8_t *map;

	if (!v->map_bytes || atomic_load(&v->map))
		return;
	map = os.map(v->fd, (size_t)v->map_bytes, how);
	/* Two threads may both have mapped: the loser takes its own away. */
	if (map && !atomic_compare_exchange_strong(&v->map, &none, map))
		os.unmap((void *)(uintptr_t)map, (size_t)v->map_bytes);
	else if (map && how == OS_MAP_WRITE)
		atomic_store(&v->poked, true);
}

bool view_poke(struct view *v, uint64_t off, const void *p, size_t n)
{
	const uint8_t *map =
		atomic_load_explicit(&v->map, memory_order_acquire);

	if (!view_pokes(v) || !map || n > v->map_bytes ||
	    off > v->map_bytes - n)
		return false;
	os.poke(v->fd, (off_t)off, (void *)(uintptr_t)(map + off), p, n);
	return true;
}

void view_forget(struct view *v, uint64_t off, uint64_t n)
{
	const uint8_t *map = atomic_load(&v->map);

	if (v->fd >= 0 && map && n <= v->map_bytes && off <= v->map_bytes - n)
		os.forget((void *)(uintptr_t)(map + off), (size_t)n);
}

void view_count(struct view *v)
{
	if (atomic_fetch_add_explicit(&v->reads, 1, memory_order_relaxed) ==
	    VIEW_MAP_AFTER)
		view_map(v, false);
}

void window_release(struct window *w)
{
	if (w->data != w->room)
		free(w->data);
	*w = (struct window){ .ahead = w->ahead, .room = w->room };
}

/* Its bytes are not kept. */
static bool window_grow(struct window *w, size_t bytes)
{
	bool fits = w->room && bytes <= WINDOW_ROOM;

	if (w->data != w->room)
		free(w->data);
	w->len = 0;
	w->data = fits ? w->room : malloc(bytes);
	w->cap = fits ? WINDOW_ROOM : w->data ? bytes : 0;
	return w->data != NULL;
}

/* The window goes on to `off`: what it has left behind is not wanted again. */
static void pass(const struct view *v, struct window *w, uint64_t off)
{
	if (w->owner != v || off < w->passed)
		w->passed = off;
	if (off - w->passed < PASSING_STEP)
		return;
	os.uncache(v->fd, (off_t)w->passed, (off_t)(off - w->passed));
	w->passed = off;
}

/* Fill the window so that it holds [off, off + len), len > 0. */
static int window_fill(struct view *v, struct window *w, uint64_t off,
		       size_t len, uint64_t limit, struct store_error *err)
{
	uint64_t start = w->ahead ? off / VIEW_PAGE * VIEW_PAGE : off;
	uint64_t end = start + w->ahead;
	size_t got;
	int r;

	if (end < off + len)
		end = off + len;
	if (end > limit)
		end = limit;
	if (v->passing)
		pass(v, w, start);
	if (end - start > w->cap && !window_grow(w, (size_t)(end - start)))
		return store_nomem(err);
	w->len = 0;
	r = os_read_some(v->fd, w->data, (size_t)(end - start), start, &got,
			 v->dir, v->name, err);
	if (r < 0)
		return r;
	if (start + got < off + len)
		return store_corrupt(err, v->dir->path, v->name, start + got,
				     "the file ends early");
	w->off = start;
	w->len = got;
	w->owner = v;
	return 0;
}

int view_read(struct view *v, struct window *w, uint64_t off, size_t len,
	      uint64_t limit, struct slice *out, struct store_error *err)
{
	const uint8_t *map;
	uint64_t end;
	int r;

	if (__builtin_add_overflow(off, (uint64_t)len, &end) || end > limit)
		return store_corrupt(err, v->dir->path, v->name, off,
				     "points beyond the end");
	if (len == 0) {
		*out = SLICE_NULL;
		return 0;
	}
	map = atomic_load_explicit(&v->map, memory_order_acquire);
	if (map && end <= v->map_bytes) {
		*out = slice_make(map + off, len);
		return 0;
	}
	if (w->owner != v || off < w->off || end > w->off + w->len) {
		r = window_fill(v, w, off, len, limit, err);
		if (r < 0)
			return r;
		if (!v->uncounted)
			view_count(v);
	}
	*out = slice_make(w->data + (off - w->off), len);
	return 0;
}

int view_peek(struct view *v, struct window *w, uint64_t off, size_t len,
	      uint64_t limit, struct slice *out, struct store_error *err)
{
	size_t ahead = w->ahead;
	int r;

	if (v->fd < 0 || len == 0 || off > limit || len > limit - off)
		return view_read(v, w, off, len, limit, out, err);
	w->ahead = 0;
	r = window_fill(v, w, off, len, limit, err);
	w->ahead = ahead;
	if (r == 0)
		*out = slice_make(w->data, len);
	return r;
}
