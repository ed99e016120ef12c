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

/* Is there a batch of this log anywhere behind `off`?  *synced: its word. */
static int valid_after(struct wal_walk *w, uint64_t off, uint64_t *synced,
		       struct store_error *err)
{
	struct wal_batch b;
	struct slice bytes;
	int r;

	while (++off < w->limit) {
		r = header_at(w, off, &b, err);
		if (r < 0)
			return r;
		if (w->limit - off < WAL_BATCH_HEADER)
			return 0;
		if (r == 0 || b.synced > off)
			continue;
		r = view_read(w->log, &w->window, off, (size_t)b.length,
			      w->limit, &bytes, err);
		if (r < 0)
			return r;
		bytes.data += WAL_BATCH_HEADER;
		bytes.len -= WAL_BATCH_HEADER;
		if (entries_valid(bytes, b.count, w->salt)) {
			*synced = b.synced;
			return 1;
		}
	}
	return 0;
}

static bool all_zero(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i])
			return false;
	return true;
}

/*
 * Did sectors of the batch at w->off never reach the disk?  Then its header
 * is zeros, or it holds a piece, from a sector's start to its end or to the
 * batch's, of nothing but zeros in which no entry's checksum vouches for
 * them.  A changed bit or byte makes neither.
 */
static int has_holes(struct wal_walk *w, struct store_error *err)
{
	struct wal_batch b;
	struct slice s;
	struct wal_entry e;
	const char *why;
	uint64_t end, at;
	int r;

	r = header_at(w, w->off, &b, err);
	if (r < 0)
		return r;
	if (r == 0) {
		r = view_read(w->log, &w->window, w->off, WAL_BATCH_HEADER,
			      w->limit, &s, err);
		return r < 0 ? r : all_zero(s);
	}
	end = w->off + b.length;
	at = w->off + WAL_BATCH_HEADER;
	r = view_read(w->log, &w->window, at, (size_t)(end - at), w->limit, &s,
		      err);
	if (r < 0)
		return r;
	while (wal_entry_decode(s, &e, &why) &&
	       wal_entry_check(slice_make(s.data, (size_t)e.length), w->salt)) {
		s.data += e.length;
		s.len -= (size_t)e.length;
		at += e.length;
	}
	while (at < end) {
		uint64_t next = (at / SECTOR + 1) * SECTOR;
		size_t n;

		if (next > end)
			next = end;
		n = (size_t)(next - at);
		if (at % SECTOR == 0 && all_zero(slice_make(s.data, n)))
			return 1;
		s.data += n;
		at = next;
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
		return store_corrupt(err, w->log->dir->path, w->log->name,
				     w->off,
				     "damaged batch: it was known to be synced");
	if (w->off >= w->limit)
		return 0;
	if (w->limit - w->off < WAL_BATCH_HEADER)
		return 0;
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
