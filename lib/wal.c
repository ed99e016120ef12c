#include "lib/wal.h"

#define SECTOR 512u

int wal_create(const struct dir *dir, const struct wal_header *h,
	       struct store_error *err)
{
	uint8_t head[WAL_HEADER];
	char name[NAME_SIZE];
	int fd, r;

	name_make(name, FILE_WAL, h->number);
	fd = os_open(dir, name, O_RDWR | O_CREAT | O_EXCL, 0666, err);
	if (fd < 0)
		return fd;
	os_adopt(dir, fd, NAME_MANIFEST, 0777);
	wal_header_encode(head, h);
	r = os_write(fd, head, sizeof(head), 0, dir, name, err);
	if (r == 0)
		r = os_sync(fd, false, dir, name, err);
	os_close(fd);
	if (r < 0)
		os_unlink(dir, name, NULL);
	return r;
}

int wal_open_header(struct view *log, const uint8_t uuid[16], uint64_t number,
		    uint64_t *salt, struct store_error *err)
{
	uint8_t head[WAL_HEADER];
	struct wal_header h;
	const char *why;
	size_t got;
	int r;

	r = os_read_some(log->fd, head, sizeof(head), 0, &got, log->dir,
			 log->name, err);
	if (r < 0)
		return r;
	if (wal_header_decode(slice_make(head, got), &h, &why) < 0)
		return store_corrupt(err, log->dir->path, log->name, 0, why);
	if (uuid && memcmp(h.uuid, uuid, sizeof(h.uuid)))
		return store_corrupt(err, log->dir->path, log->name, 16,
				     "a log of another store");
	if (number && h.number != number)
		return store_corrupt(err, log->dir->path, log->name, 32,
				     "a log of another number");
	*salt = h.salt;
	return 0;
}

void wal_walk_init(struct wal_walk *w, struct view *log, uint64_t salt,
		   uint64_t limit)
{
	*w = (struct wal_walk){ .log = log,
				.window = WINDOW_INIT(VIEW_STREAM),
				.salt = salt,
				.limit = limit,
				.off = WAL_HEADER,
				.chain = salt };
}

void wal_walk_release(struct wal_walk *w)
{
	window_release(&w->window);
}

/* The header that would lie at `off`: 1, or 0 when none can. */
static int header_at(struct wal_walk *w, uint64_t off, struct wal_batch *b,
		     struct store_error *err)
{
	struct slice head;
	int r;

	if (off > w->limit || w->limit - off < WAL_BATCH_HEADER)
		return 0;
	r = view_read(w->log, &w->window, off, WAL_BATCH_HEADER, w->limit,
		      &head, err);
	if (r < 0)
		return r;
	return wal_batch_header(head, w->limit - off, b);
}

int wal_walk_next(struct wal_walk *w, struct wal_batch *b, struct slice *bytes,
		  struct store_error *err)
{
	int r = header_at(w, w->off, b, err);

	if (r <= 0)
		return r;
	/* A large batch is read through a map, not into memory. */
	if (b->length > VIEW_STREAM)
		view_map(w->log, false);
	r = view_read(w->log, &w->window, w->off, (size_t)b->length, w->limit,
		      bytes, err);
	if (r < 0)
		return r;
	if (!wal_batch_check(*bytes, w->chain))
		return 0;
	w->off += b->length;
	w->chain = b->checksum;
	if (b->synced > w->synced)
		w->synced = b->synced;
	return 1;
}

/*
 * Are these bytes entries of this log, checksums and all?  Without the batch
 * before it a batch's own checksum cannot be checked, but its entries can.
 */
static bool entries_valid(struct slice bytes, uint32_t count, uint64_t salt)
{
	struct wal_entry e;
	const char *why;

	while (count-- > 0) {
		if (!wal_entry_decode(bytes, &e, &why) ||
		    !wal_entry_check(slice_make(bytes.data, (size_t)e.length),
				     salt))
			return false;
		bytes.data += e.length;
		bytes.len -= (size_t)e.length;
	}
	return bytes.len == 0;
}

/*
 * Are there batches of this log anywhere behind `off`?  *synced: the most that
 * any of them says.
 */
static int valid_after(struct wal_walk *w, uint64_t off, uint64_t *synced,
		       struct store_error *err)
{
	struct wal_batch b;
	struct slice bytes;
	int found = 0, r;

	while (++off < w->limit && w->limit - off >= WAL_BATCH_HEADER) {
		r = header_at(w, off, &b, err);
		if (r < 0)
			return r;
		if (r == 0 || b.synced > off)
			continue;
		r = view_read(w->log, &w->window, off, (size_t)b.length,
			      w->limit, &bytes, err);
		if (r < 0)
			return r;
		bytes.data += WAL_BATCH_HEADER;
		bytes.len -= WAL_BATCH_HEADER;
		if (!entries_valid(bytes, b.count, w->salt))
			continue;
		found = 1;
		if (b.synced > *synced)
			*synced = b.synced;
		off += b.length - 1;
	}
	return found;
}

int wal_walk_room(struct wal_walk *w, struct store_error *err)
{
	uint64_t off = w->off, n;
	struct slice s;
	int r;

	for (; off < w->limit; off += n) {
		n = w->limit - off < VIEW_PAGE ? w->limit - off : VIEW_PAGE;
		r = view_read(w->log, &w->window, off, (size_t)n, w->limit, &s,
			      err);
		if (r < 0)
			return r;
		if (!slice_zero(s))
			return 0;
	}
	return 1;
}

/* The first boundary of sectors at or behind `at`. */
static uint64_t boundary(uint64_t at)
{
	return (at + SECTOR - 1) / SECTOR * SECTOR;
}

/* *at becomes the end of the leading entries that check, if there are any. */
static int skip_valid(struct wal_walk *w, const struct wal_batch *b,
		      uint64_t *at, struct store_error *err)
{
	uint64_t off = w->off + WAL_BATCH_HEADER;
	struct wal_entry e;
	struct slice s;
	const char *why;
	int r;

	r = view_read(w->log, &w->window, off,
		      (size_t)(b->length - WAL_BATCH_HEADER), w->limit, &s,
		      err);
	if (r < 0)
		return r;
	while (wal_entry_decode(s, &e, &why) &&
	       wal_entry_check(slice_make(s.data, (size_t)e.length), w->salt)) {
		s.data += e.length;
		s.len -= (size_t)e.length;
		off += e.length;
		*at = off;
	}
	return 0;
}

/*
 * Is all that the batch lacks the first `n` bytes of its checksum, which lie
 * in the sector before?
 */
static int lacks_front(struct wal_walk *w, const struct wal_batch *b, size_t n,
		       struct store_error *err)
{
	struct slice s;
	int r = view_read(w->log, &w->window, w->off, (size_t)b->length,
			  w->limit, &s, err);

	return r < 0 ? r : wal_batch_check_behind(s, w->chain, n);
}

/*
 * Did sectors of the batch at w->off never reach the disk?  Then what lies in
 * the first sector of its header is zeros, or it holds a piece, from a
 * sector's start to its end or to the batch's, of nothing but zeros in which
 * no entry's checksum vouches for them.  If the header cannot be one, only the
 * sector that it reaches into can tell.  A few bytes of zeros prove little: if
 * no more of the header lies in its first sector, the rest must be as it was
 * written.
 */
static int has_holes(struct wal_walk *w, struct store_error *err)
{
	uint64_t at = w->off + 1, end, n;
	bool front;
	struct wal_batch b;
	struct slice s;
	int r;

	r = view_read(w->log, &w->window, w->off, WAL_BATCH_HEADER, w->limit,
		      &s, err);
	if (r < 0)
		return r;
	n = boundary(at) - w->off;
	if (n > WAL_BATCH_HEADER)
		n = WAL_BATCH_HEADER;
	front = slice_zero(slice_make(s.data, (size_t)n));
	/* The checksum alone is never zeros. */
	if (n >= 8 && front)
		return 1;
	if (wal_batch_header(s, w->limit - w->off, &b)) {
		if (front && (r = lacks_front(w, &b, (size_t)n, err)) != 0)
			return r;
		end = w->off + b.length;
		r = skip_valid(w, &b, &at, err);
		if (r < 0)
			return r;
	} else {
		end = boundary(w->off + WAL_BATCH_HEADER);
		if (end > w->limit)
			end = w->limit;
	}
	for (at = boundary(at); at < end; at += SECTOR) {
		n = end - at < SECTOR ? end - at : SECTOR;
		r = view_read(w->log, &w->window, at, (size_t)n, w->limit, &s,
			      err);
		if (r < 0)
			return r;
		if (slice_zero(s))
			return 1;
	}
	return 0;
}

int wal_walk_tail(struct wal_walk *w, uint64_t synced, struct store_error *err)
{
	uint64_t said = 0;
	int r;

	if (synced < w->synced)
		synced = w->synced;
	if (synced > w->off)
		return store_corrupt(
			err, w->log->dir->path, w->log->name, w->off,
			"damaged batch: it was known to be synced");
	if (w->off >= w->limit)
		return 0;
	if (w->limit - w->off < WAL_BATCH_HEADER)
		return 0;
	r = wal_walk_room(w, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = valid_after(w, w->off, &said, err);
	if (r <= 0)
		return r;
	if (said <= w->off) {
		r = has_holes(w, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return store_corrupt(err, w->log->dir->path, w->log->name, w->off,
			     "damaged batch: valid ones follow it");
}
