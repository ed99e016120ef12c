#include "lib/living.h"

#include "lib/names.h"

#include <errno.h>

/* A writer needs microseconds between two bytes; a damaged cell for ever. */
#define READ_TRIES 10000

int living_open(struct living *l, const struct dir *dir, const char *name,
		bool write, bool create, uint64_t map_bytes,
		struct store_error *err)
{
	int fd = os_open(dir, name,
			 (write ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0),
			 0666, err);

	if (fd < 0)
		return fd;
	if (create)
		os_adopt(dir, fd, NAME_MANIFEST, 0777);
	view_init(&l->view, fd, dir, name, map_bytes);
	return 0;
}

void living_close(struct living *l)
{
	view_close(&l->view);
}

/* A cell out of a map, while somebody else may be writing it. */
static void load_cell(uint8_t raw[sizeof(struct cell)], const uint8_t *p)
{
	const uint64_t *words = (const uint64_t *)(const void *)p;
	uint64_t word;

	for (size_t i = 0; i < sizeof(struct cell) / sizeof(word); i++) {
		word = __atomic_load_n(&words[i], __ATOMIC_ACQUIRE);
		memcpy(raw + i * sizeof(word), &word, sizeof(word));
	}
}

int living_read(struct living *l, uint32_t off, struct slot *s,
		struct store_error *err)
{
	uint8_t raw[sizeof(struct cell)];
	const uint8_t *map;
	int r;

	for (int i = 0; i < READ_TRIES; i++) {
		map = atomic_load_explicit(&l->view.map, memory_order_acquire);
		if (map) {
			load_cell(raw, map + off);
		} else {
			r = os_read(l->view.fd, raw, sizeof(raw), off,
				    l->view.dir, l->view.name, err);
			if (r < 0)
				return r;
			view_count(&l->view);
		}
		if (cell_read(raw, off, s))
			return 0;
		if (i > 10)
			os.yield();
	}
	return store_corrupt(err, l->view.dir->path, l->view.name, off,
			     "neither slot of the cell checks");
}

bool living_same(const struct living *l, uint32_t off, uint64_t seq)
{
	const uint8_t *map =
		atomic_load_explicit(&l->view.map, memory_order_acquire);
	const struct cell *c;
	uint64_t even, odd;

	if (!map || !seq)
		return false;
	c = (const void *)(map + off);
	even = __atomic_load_n(&c->slot[0].seq, __ATOMIC_ACQUIRE);
	odd = __atomic_load_n(&c->slot[1].seq, __ATOMIC_ACQUIRE);
	return (even > odd ? even : odd) == seq;
}

int living_publish(struct living *l, uint32_t off, struct slot *s,
		   struct store_error *err)
{
	uint32_t at = cell_next(off, s);

	if (view_poke(&l->view, at, s, sizeof(*s)))
		return 0;
	return os_write(l->view.fd, s, sizeof(*s), at, l->view.dir,
			l->view.name, err);
}

int living_token(struct living *l, struct token *t, bool cached_only,
		 bool *cached, struct store_error *err)
{
	size_t got;
	int r;

	memset(t, 0, sizeof(*t));
	*cached = true;
	if (cached_only) {
		ssize_t n =
			os.pread_cached(l->view.fd, t, sizeof(*t), TOKEN_OFF);

		if (n == (ssize_t)sizeof(*t))
			return 0;
		/*
		 * EAGAIN: the page is not in memory, so no living process can
		 * have put it there.  A filesystem without RWF_NOWAIT
		 * (EOPNOTSUPP: tmpfs is nothing but page cache) is read
		 * plainly.
		 */
		if (n < 0 && errno == EAGAIN)
			*cached = false;
	}
	r = os_read_some(l->view.fd, t, sizeof(*t), TOKEN_OFF, &got,
			 l->view.dir, l->view.name, err);
	if (r == 0 && got < sizeof(*t))
		memset(t, 0, sizeof(*t));
	return r;
}

int living_write_token(struct living *l, struct token *t,
		       struct store_error *err)
{
	token_seal(t);
	return os_write(l->view.fd, t, sizeof(*t), TOKEN_OFF, l->view.dir,
			l->view.name, err);
}
