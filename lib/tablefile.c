#include "lib/guide.h"

#include <errno.h>

_Static_assert(SST_CHUNK == CHUNK_BYTES, "one size of chunks");
_Static_assert(BLOCK_VALUE_MAX == VALUE_INLINE_MAX, "one limit of values");
_Static_assert(BLOCK_PUT == (int)ENTRY_PUT, "one set of kinds");
_Static_assert(BLOCK_DELETE == (int)ENTRY_DELETE, "one set of kinds");

int table_corrupt(const struct table *t, uint64_t off, const char *why,
		  struct store_error *err)
{
	return store_corrupt(err, t->view.dir->path, t->view.name, off, why);
}

static int open_file(struct table **out, const struct dir *dir,
		     const char *name, struct cache *cache,
		     struct counters *counters, struct store_error *err)
{
	struct table *t = NULL;
	uint64_t size;
	struct stat st;
	const char *why;
	int fd, r;

	fd = os_open_stat(dir, name, O_RDONLY, 0, &st, err);
	if (fd < 0)
		return fd;
	size = (uint64_t)st.st_size;
	if (size < SST_FOOTER) {
		r = store_corrupt(err, dir->path, name, size,
				  "too short for a table");
		goto out;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		r = store_nomem(err);
		goto out;
	}
	t->tail_len = size < TABLE_TAIL ? (size_t)size : TABLE_TAIL;
	if ((r = os_read(fd, t->tail, t->tail_len, size - t->tail_len, dir,
			 name, err)) < 0)
		goto out;
	why = sst_footer_decode(t->tail + t->tail_len - SST_FOOTER, size,
				&t->footer);
	if (why) {
		r = store_corrupt(err, dir->path, name, size - SST_FOOTER, why);
		goto out;
	}
	view_init(&t->view, fd, dir, name, size);
	t->view.uncounted = true;
	fd = -1;
	t->size = size;
	t->cache = cache;
	t->counters = counters;
	atomic_init(&t->refs, 1);
	atomic_init(&t->root, NULL);
	atomic_init(&t->filter, NULL);
	COUNT(counters, tables_opened, 1);
	*out = t;
	t = NULL;
out:
	free(t);
	os_close(fd);
	return r;
}

int table_open(struct table **out, const struct dir *dir, uint64_t number,
	       struct cache *cache, struct counters *counters,
	       struct store_error *err)
{
	char name[NAME_SIZE];
	int r;

	name_make(name, FILE_SST, number);
	r = open_file(out, dir, name, cache, counters, err);
	if (r == 0 && (*out)->footer.number != number) {
		r = table_corrupt(*out, (*out)->size - SST_FOOTER,
				  "the footer has another table's number", err);
		table_close(*out);
		*out = NULL;
	}
	return r;
}

int table_open_name(struct table **out, const struct dir *dir, const char *name,
		    struct store_error *err)
{
	return open_file(out, dir, name, NULL, NULL, err);
}

void table_ref(struct table *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

void table_close(struct table *t)
{
	if (!t ||
	    atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	block_release(atomic_load(&t->root));
	table_filter_release(t);
	guide_release(t);
	view_close(&t->view);
	free(t);
}

/* Bytes of the file that are asked for, one behind the other. */
#define PASS_PROBES 16u

bool table_pass(struct table *t)
{
	unsigned cold = 0;
	uint8_t byte;

	for (uint64_t i = 0; i < PASS_PROBES; i++)
		cold += os.pread_cached(t->view.fd, &byte, 1,
					(off_t)(t->size / PASS_PROBES * i)) <
				0 &&
			errno == EAGAIN;
	t->view.passing = cold > PASS_PROBES / 2;
	return t->view.passing;
}

uint64_t table_size(const struct table *t)
{
	return t->size;
}

static bool in_tail(const struct table *t, uint64_t off, uint64_t len)
{
	return off >= t->size - t->tail_len && off <= t->size &&
	       len <= t->size - off;
}

int table_read(struct table *t, struct window *w, uint64_t off, size_t len,
	       struct slice *out, struct store_error *err)
{
	if (!in_tail(t, off, len))
		return view_read(&t->view, w, off, len, t->size, out, err);
	*out = slice_make(t->tail + (off + t->tail_len - t->size), len);
	return 0;
}

int table_stored(struct table *t, struct window *w, struct sst_place place,
		 enum sst_kind kind, struct sst_block *b,
		 struct store_error *err)
{
	struct slice stored;
	const char *why;
	int r;

	if (place.len > sst_decoded_max(kind) + SST_TRAILER)
		return table_corrupt(t, place.off,
				     "a block with an impossible length", err);
	r = table_read(t, w, place.off, place.len, &stored, err);
	if (r < 0)
		return r;
	why = sst_block_check(stored, kind, t->footer.salt, place.off, b);
	if (why)
		return table_corrupt(t, place.off, why, err);
	COUNT(t->counters, blocks_read, 1);
	return 0;
}

int table_decode(const struct table *t, struct sst_place place,
		 const struct sst_block *b, uint8_t *out,
		 struct store_error *err)
{
	if (codec_unpack(b->codec, b->payload, out, b->decoded))
		return 0;
	return table_corrupt(t, place.off, "a block that does not decompress",
			     err);
}

struct block *table_cached(struct table *t, uint64_t off, bool cached)
{
	struct block *b = NULL;

	if (cached && t->cache)
		b = cache_get(t->cache, t->footer.number, off);
	if (b)
		COUNT(t->counters, cache_hits, 1);
	return b;
}

/* What was read, as a block, and offered to the cache where it is wanted. */
static int unpack(struct table *t, struct sst_place place,
		  const struct sst_block *stored, bool wanted,
		  struct block **out, struct store_error *err)
{
	struct block *b = block_new(stored->decoded);
	int r;

	if (!b)
		return store_nomem(err);
	r = table_decode(t, place, stored, b->data, err);
	if (r < 0) {
		block_release(b);
		return r;
	}
	if (wanted)
		cache_put(t->cache, t->footer.number, place.off, b);
	*out = b;
	return 0;
}

static bool is_wanted(struct table *t, uint64_t off)
{
	return t->cache && cache_wants(t->cache, t->footer.number, off);
}

int table_block(struct table *t, struct window *w, struct sst_place place,
		enum sst_kind kind, bool cached, struct block **out,
		struct store_error *err)
{
	struct sst_block stored;
	int r;

	*out = table_cached(t, place.off, cached);
	if (*out)
		return 0;
	r = table_stored(t, w, place, kind, &stored, err);
	if (r < 0)
		return r;
	return unpack(t, place, &stored, cached && is_wanted(t, place.off), out,
		      err);
}

int table_data(struct table *t, struct window *w, struct sst_place place,
	       uint8_t room[TABLE_ROOM], struct block **out,
	       struct slice *bytes, struct store_error *err)
{
	struct sst_block stored;
	bool wanted;
	int r = 0;

	*out = table_cached(t, place.off, true);
	if (!*out) {
		r = table_stored(t, w, place, SST_DATA, &stored, err);
		if (r < 0)
			return r;
		wanted = is_wanted(t, place.off);
		if (!wanted && stored.decoded <= TABLE_ROOM) {
			*bytes = slice_make(room, stored.decoded);
			return table_decode(t, place, &stored, room, err);
		}
		r = unpack(t, place, &stored, wanted, out, err);
	}
	if (r == 0)
		*bytes = slice_make((*out)->data, (*out)->len);
	return r;
}

int table_root(struct table *t, struct window *w, struct slice *out,
	       struct store_error *err)
{
	struct block *b = atomic_load_explicit(&t->root, memory_order_acquire);
	struct block *none = NULL;
	int r;

	if (!b) {
		r = table_block(t, w, t->footer.root, SST_INDEX, false, &b,
				err);
		if (r < 0)
			return r;
		/* of two threads that read it, one keeps its copy for both */
		if (!atomic_compare_exchange_strong(&t->root, &none, b)) {
			block_release(b);
			b = none;
		}
	}
	*out = slice_make(b->data, b->len);
	return 0;
}

int table_chunkmap(struct table *t, struct window *w,
		   const struct block_chunks *c, struct buf *out,
		   struct store_error *err)
{
	struct sst_place place = { c->map_off, c->map_len };
	struct block *map;
	int r;

	r = table_block(t, w, place, SST_CHUNKMAP, false, &map, err);
	if (r < 0)
		return r;
	r = sst_chunkmap_decode(slice_make(map->data, map->len), c->value_len,
				c->map_off, out);
	block_release(map);
	if (r == -2)
		return store_nomem(err);
	return r < 0 ? table_corrupt(t, place.off, "a malformed chunk map", err)
		     : 0;
}

int table_chunk_read(struct table *t, struct window *w,
		     const struct buf *offsets, uint64_t value_len, uint64_t i,
		     struct buf *out, struct store_error *err)
{
	struct sst_place place;
	struct sst_block b;
	int r;

	if (i >= sst_chunk_count(value_len))
		return store_fail(err, STORE_EINVAL, "chunk past the value");
	place = sst_chunk_place(offsets, i);
	r = table_stored(t, w, place, SST_CHUNKS, &b, err);
	if (r < 0)
		return r;
	if (b.decoded != sst_chunk_len(value_len, i))
		return table_corrupt(t, place.off, "a chunk of another length",
				     err);
	buf_clear(out);
	if (buf_reserve(out, b.decoded) < 0)
		return store_nomem(err);
	r = table_decode(t, place, &b, out->data, err);
	if (r == 0)
		out->len = b.decoded;
	return r;
}
