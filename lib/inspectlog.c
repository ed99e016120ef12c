/*
 * A write-ahead log, NNNNNN.wal, as JSON.
 */
#include "lib/inspectdump.h"
#include "lib/wal.h"

static int dump_header(struct out *o, struct view *log, struct wal_header *h,
		       struct store_error *err)
{
	uint8_t head[WAL_HEADER];
	const char *why;
	size_t got;
	int r;

	r = os_read_some(log->fd, head, sizeof(head), 0, &got, log->dir,
			 log->name, err);
	if (r < 0)
		return r;
	if (wal_header_decode(slice_make(head, got), h, &why) < 0)
		return store_corrupt(err, log->dir->path, log->name, 0, why);
	out_open(o, "header", '{');
	out_put(o, "uuid", value_hex(h->uuid, sizeof(h->uuid)));
	out_count(o, "number", h->number);
	out_pattern(o, "salt", h->salt);
	out_close(o);
	return 0;
}

static void put_batch(struct out *o, uint64_t off, const struct wal_batch *b,
		      bool ok)
{
	out_put(o, NULL,
		json_pack("{s:o,s:o,s:o,s:o,s:o,s:b}", "offset",
			  value_count(off), "length", value_count(b->length),
			  "count", value_count(b->count), "synced",
			  value_count(b->synced), "checksum",
			  value_pattern(b->checksum), "ok", (int)ok));
}

/* What looks like a batch where the valid ones end. */
static void put_bad_batch(struct out *o, struct wal_walk *w)
{
	uint8_t head[WAL_BATCH_HEADER];
	struct wal_batch b;
	size_t got;

	if (w->off < w->limit &&
	    os_read_some(w->log->fd, head, sizeof(head), w->off, &got,
			 w->log->dir, w->log->name, NULL) == 0 &&
	    wal_batch_header(slice_make(head, got), w->limit - w->off, &b))
		put_batch(o, w->off, &b, false);
}

static int dump_batches(struct out *o, struct view *log,
			const struct wal_header *h, uint64_t size,
			struct store_error *err)
{
	uint64_t batches = 0, entries = 0, off = WAL_HEADER;
	struct wal_batch b;
	struct wal_walk w;
	struct slice bytes;
	int r = 0;

	wal_walk_init(&w, log, h->salt, size);
	out_open(o, "batches", '[');
	while (o->r == 0 && (r = wal_walk_next(&w, &b, &bytes, err)) == 1) {
		put_batch(o, off, &b, true);
		off = w.off;
		batches++;
		entries += b.count;
	}
	r = o->r < 0 ? o->r : r;
	if (r == 0)
		put_bad_batch(o, &w);
	out_close(o);
	out_count(o, "batch_count", batches);
	out_count(o, "entries", entries);
	out_count(o, "synced", w.synced);
	out_count(o, "valid_bytes", w.off);
	if (r == 0)
		r = wal_walk_tail(&w, 0, err);
	if (r == 0)
		r = wal_walk_room(&w, err);
	if (r >= 0)
		out_string(o, "end",
			   w.off == size ? "the end of the file"
			   : r > 0	 ? "room for what comes"
				   : "a torn tail, which the next writer cuts "
				     "off");
	wal_walk_release(&w);
	return r < 0 ? r : 0;
}

int dump_log(struct out *o, const struct dir *dir, const char *name,
	     struct store_error *err)
{
	struct wal_header h;
	struct view log;
	uint64_t size;
	int fd = os_open(dir, name, O_RDONLY, 0, err);
	int r;

	if (fd < 0)
		return fd;
	r = os_size(fd, &size, dir, name, err);
	if (r < 0) {
		os_close(fd);
		return r;
	}
	view_init(&log, fd, dir, name, size);
	r = dump_header(o, &log, &h, err);
	if (r == 0)
		r = dump_batches(o, &log, &h, size, err);
	view_close(&log);
	return r;
}
