#include "lib/tableout.h"

#include <errno.h>

#define WRITE_BYTES (256u << 10)

int tableout_open(struct tableout *o, const struct dir *dir, uint64_t number,
		  enum codec codec, mode_t mode, struct counters *counters,
		  struct store_error *err)
{
	int r;

	o->dir = dir;
	o->counters = counters;
	o->fd = -1;
	o->sum = XXH3_createState();
	name_make(o->name, FILE_SST, number);
	name_make(o->tmp, FILE_SST_TMP, number);
	if (packer_init(&o->packer, codec) < 0 || !o->sum ||
	    buf_reserve(&o->pending, WRITE_BYTES) < 0) {
		r = store_nomem(err);
		goto out;
	}
	XXH3_64bits_reset(o->sum);
	if (os.random(&o->salt, sizeof(o->salt)) < 0) {
		r = store_fail(err, STORE_ESYSTEM, "no random bytes");
		goto out;
	}
	r = os_open(dir, o->tmp, O_WRONLY | O_CREAT | O_EXCL, mode, err);
	if (r < 0)
		goto out;
	o->fd = r;
	os_adopt(dir, o->fd, NAME_MANIFEST, mode);
	return 0;
out:
	tableout_release(o);
	return r;
}

int tableout_pause(struct tableout *o, struct store_error *err)
{
	int r;

	if ((r = tableout_drain(o, err)) < 0 ||
	    (r = os_sync(o->fd, false, o->dir, o->tmp, err)) < 0)
		return r;
	os_close(o->fd);
	o->fd = -1;
	packer_release(&o->packer);
	buf_free(&o->pending);
	return 0;
}

int tableout_resume(struct tableout *o, struct store_error *err)
{
	struct stat st;
	int r;

	if (packer_init(&o->packer, CODEC_NONE) < 0)
		return store_nomem(err);
	r = os_open(o->dir, o->tmp, O_WRONLY, 0, err);
	if (r < 0)
		return r;
	o->fd = r;
	/* Opened once more, it had to be writable; a table is not. */
	if (os.fstat(o->fd, &st) < 0 || os.fchmod(o->fd, st.st_mode & 0444) < 0)
		return store_fail_errno(err, o->dir->path, o->tmp, "chmod",
					errno);
	return 0;
}

void tableout_release(struct tableout *o)
{
	os_close(o->fd);
	o->fd = -1;
	packer_release(&o->packer);
	buf_free(&o->pending);
	XXH3_freeState(o->sum);
	o->sum = NULL;
}

void tableout_abort(struct tableout *o)
{
	os_unlink(o->dir, o->tmp, NULL);
}

/* What was written two steps ago is on the disk, as a rule: may it stay? */
static void pass(struct tableout *o)
{
	if (o->off < o->passed + 2 * PASSING_STEP)
		return;
	if (passing_is_cold(o->passing))
		os.uncache(o->fd, (off_t)o->passed, (off_t)PASSING_STEP);
	o->passed += PASSING_STEP;
}

int tableout_finish(struct tableout *o, struct store_error *err)
{
	int r;

	if ((r = tableout_drain(o, err)) < 0 ||
	    (r = os_sync(o->fd, false, o->dir, o->tmp, err)) < 0)
		return r;
	/* Pages that were still on their way then are clean now. */
	if (passing_is_cold(o->passing))
		os.uncache(o->fd, 0, 0);
	return os_rename(o->dir, o->tmp, o->name, err);
}

int tableout_drain(struct tableout *o, struct store_error *err)
{
	int r = os_write(o->fd, o->pending.data, o->pending.len, o->off, o->dir,
			 o->tmp, err);

	if (r < 0)
		return r;
	XXH3_64bits_update(o->sum, o->pending.data, o->pending.len);
	COUNT(o->counters, bytes_written, o->pending.len);
	/* The disk works beside us, and not all of it when we call fsync. */
	if (o->pending.len >= WRITE_BYTES)
		os.writeback(o->fd, (off_t)o->off, (off_t)o->pending.len);
	o->off += o->pending.len;
	buf_clear(&o->pending);
	pass(o);
	return 0;
}

int tableout_flow(struct tableout *o, struct store_error *err)
{
	return o->pending.len < WRITE_BYTES ? 0 : tableout_drain(o, err);
}

int tableout_block(struct tableout *o, struct slice payload, enum sst_kind kind,
		   struct sst_place *place, struct store_error *err)
{
	place->off = tableout_end(o);
	if (payload.len > sst_decoded_max(kind))
		return store_fail(err, STORE_EBUG, "%s: a %s block too long",
				  o->tmp, sst_kind_name(kind));
	if (sst_block_append(&o->pending, &o->packer, payload, kind, o->salt,
			     place->off) < 0)
		return store_nomem(err);
	place->len = (uint32_t)(tableout_end(o) - place->off);
	return tableout_flow(o, err);
}

int tableout_move(struct tableout *o, const struct sst_block *b,
		  enum sst_kind kind, struct sst_place *place,
		  struct store_error *err)
{
	place->off = tableout_end(o);
	if (sst_block_move(&o->pending, b, kind, o->salt, place->off) < 0)
		return store_nomem(err);
	place->len = (uint32_t)(tableout_end(o) - place->off);
	return tableout_flow(o, err);
}

int tableout_writer(struct tableout *o, struct block_writer *w,
		    enum sst_kind kind, struct sst_place *place,
		    struct store_error *err)
{
	int r;

	if (block_writer_end(w) < 0)
		return store_nomem(err);
	r = tableout_block(o, buf_slice(&w->bytes), kind, place, err);
	block_writer_clear(w);
	return r;
}
