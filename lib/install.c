#include "lib/install.h"

#include "lib/number.h"

#include <errno.h>

/* Write `data` to a temporary name, fsync it, and rename it to `name`. */
static int replace_file(struct store *db, const char *tmp, const char *name,
			struct slice data, bool sync, struct store_error *err)
{
	struct stat st;
	int fd, r;

	fd = os_open(&db->dir, tmp, O_WRONLY | O_CREAT | O_TRUNC, 0666, err);
	if (fd < 0)
		return fd;
	/* A store shared by a group stays so, whoever installs. */
	if (os.fstatat(db->dir.fd, NAME_MANIFEST, &st) == 0) {
		if (os.fchown(fd, st.st_uid, st.st_gid) == 0 ||
		    os.fchown(fd, (uid_t)-1, st.st_gid) == 0)
			os.fchmod(fd, st.st_mode & 07777);
	}
	r = os_write(fd, data.data, data.len, 0, &db->dir, tmp, err);
	if (r == 0 && sync)
		r = os_sync(fd, false, &db->dir, tmp, err);
	os_close(fd);
	if (r == 0)
		r = os_rename(&db->dir, tmp, name, err);
	if (r < 0)
		os_unlink(&db->dir, tmp, NULL);
	return r;
}

/* The image, then the text, each whole or not at all; the text durable. */
static int write_image(struct store *db, const struct manifest *m,
		       uint64_t checksum, struct store_error *err)
{
	char tmp[NAME_SIZE], name[NAME_SIZE];
	struct buf image = BUF_INIT;
	int r;

	name_make(tmp, FILE_VER_TMP, m->generation);
	name_make(name, FILE_VER, m->generation);
	r = version_encode(m, checksum, &image, err);
	/* Rebuildable and checksummed: never fsynced. */
	if (r == 0)
		r = replace_file(db, tmp, name, buf_slice(&image), false, err);
	buf_free(&image);
	return r;
}

/* *renamed tells how far it got: a failure then leaves it to be finished. */
static int write_text(struct store *db, struct slice text, bool *renamed,
		      struct store_error *err)
{
	int r;

	*renamed = false;
	r = replace_file(db, NAME_MANIFEST_TMP, NAME_MANIFEST, text, true, err);
	if (r < 0)
		return r;
	*renamed = true;
	return dir_sync(&db->dir, err);
}

int install_text(struct store *db, struct buf *text, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	int r = os_read_file(&db->dir, NAME_MANIFEST, MANIFEST_MAX_BYTES, text,
			     &e);

	if (r == STORE_EGONE)
		return store_corrupt(err, db->dir.path, NAME_MANIFEST,
				     STORE_NO_OFFSET,
				     "is missing: lsm-repair rebuilds it");
	if (r < 0 && err && err->code == 0)
		*err = e;
	return r;
}

static int read_text(struct store *db, struct buf *text, struct manifest *m,
		     struct store_error *err)
{
	int r = install_text(db, text, err);

	if (r == 0)
		r = manifest_parse(m, buf_slice(text), db->dir.path,
				   NAME_MANIFEST, err);
	return r;
}

int install_write(struct store *db, const struct manifest *m,
		  uint64_t *checksum, struct store_error *err)
{
	struct buf text = BUF_INIT;
	bool renamed;
	int r;

	r = manifest_format(m, &text, checksum, err);
	if (r == 0)
		r = dir_sync(&db->dir, err);
	if (r == 0)
		r = write_image(db, m, *checksum, err);
	if (r == 0)
		r = write_text(db, buf_slice(&text), &renamed, err);
	buf_free(&text);
	return r;
}

static int publish(struct store *db, struct slot *s, uint64_t generation,
		   uint64_t checksum, struct store_error *err)
{
	s->v[GENERATION_NUMBER] = generation;
	s->v[GENERATION_CHECKSUM] = checksum;
	s->v[GENERATION_INSTALLING] = 0;
	return living_publish(&db->state, STATE_GENERATION_OFF, s, err);
}

/* I4 again in full, with what MANIFEST.json says, fsyncs included. */
static int finish(struct store *db, struct slot *s, struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	struct buf text = BUF_INIT;
	bool renamed;
	int r;

	r = read_text(db, &text, &m, err);
	if (r == 0)
		r = write_text(db, buf_slice(&text), &renamed, err);
	if (r == 0)
		r = publish(db, s, m.generation,
			    manifest_checksum(buf_slice(&text)), err);
	manifest_release(&m);
	buf_free(&text);
	return r;
}

/* Under MANIFEST: the published cell, with no install left half-done. */
static int settle_locked(struct store *db, struct slot *s,
			 struct store_error *err)
{
	int r = living_read(&db->state, STATE_GENERATION_OFF, s, err);

	if (r == 0 && s->v[GENERATION_INSTALLING])
		r = finish(db, s, err);
	return r;
}

int install_settle(struct store *db, struct store_error *err)
{
	struct slot s;
	int r = living_read(&db->state, STATE_GENERATION_OFF, &s, err);

	if (r < 0 || !s.v[GENERATION_INSTALLING])
		return r;
	/* Only the holder of MANIFEST may judge the mark. */
	r = lock_acquire(&db->lock, ROLE_MANIFEST, err);
	if (r < 0)
		return r;
	r = settle_locked(db, &s, err);
	lock_release(&db->lock, ROLE_MANIFEST);
	return r;
}

void install_settle_dead(struct store *db)
{
	struct slot s;

	if (!db->lock.writable || lock_try(&db->lock, ROLE_MANIFEST, NULL) != 1)
		return;
	settle_locked(db, &s, NULL);
	lock_release(&db->lock, ROLE_MANIFEST);
}

int install_manifest_locked(struct store *db, struct manifest *m,
			    uint64_t *checksum, struct store_error *err)
{
	struct buf text = BUF_INIT;
	struct slot s;
	int r;

	r = settle_locked(db, &s, err);
	if (r == 0)
		r = read_text(db, &text, m, err);
	if (r == 0) {
		*checksum = manifest_checksum(buf_slice(&text));
		if (*checksum != s.v[GENERATION_CHECKSUM]) {
			manifest_release(m);
			r = store_corrupt(err, db->dir.path, NAME_MANIFEST,
					  STORE_NO_OFFSET,
					  "is not the published one");
		}
	}
	buf_free(&text);
	return r;
}

int install_manifest(struct store *db, struct manifest *m,
		     struct store_error *err)
{
	struct buf text = BUF_INIT;
	struct slot s;
	uint64_t checksum;
	int r;

	if (db->private) {
		r = read_text(db, &text, m, err);
		buf_free(&text);
		return r;
	}
	r = living_read(&db->state, STATE_GENERATION_OFF, &s, err);
	if (r < 0)
		return r;
	if (!s.v[GENERATION_INSTALLING]) {
		r = install_text(db, &text, err);
		checksum = manifest_checksum(buf_slice(&text));
		if (r == 0 && checksum == s.v[GENERATION_CHECKSUM])
			r = manifest_parse(m, buf_slice(&text), db->dir.path,
					   NAME_MANIFEST, err);
		else if (r == 0)
			r = 1; /* it moved on: look under the lock */
		buf_free(&text);
		if (r <= 0)
			return r;
	}
	if (!db->lock.writable) {
		r = read_text(db, &text, m, err);
		buf_free(&text);
		return r;
	}
	r = lock_acquire(&db->lock, ROLE_MANIFEST, err);
	if (r < 0)
		return r;
	r = install_manifest_locked(db, m, &checksum, err);
	lock_release(&db->lock, ROLE_MANIFEST);
	return r;
}

/* Of `dropped`, keep what is still there. */
static int prune_dropped(struct store *db, struct manifest *m,
			 struct store_error *err)
{
	static const enum file_kind kinds[] = { FILE_WAL, FILE_SST };
	char name[NAME_SIZE];
	struct stat st;
	size_t kept = 0;

	for (size_t i = 0; i < m->n_dropped; i++) {
		bool there = false;

		for (size_t k = 0; k < 2 && !there; k++) {
			name_make(name, kinds[k], m->dropped[i].number);
			there = os.fstatat(db->dir.fd, name, &st) == 0;
			if (!there && errno != ENOENT)
				return store_fail_errno(err, db->dir.path, name,
							"stat", errno);
		}
		if (there)
			m->dropped[kept++] = m->dropped[i];
	}
	m->n_dropped = kept;
	return 0;
}

static int check_run(struct store *db, const struct run *run,
		     struct store_error *err)
{
	char name[NAME_SIZE];
	struct stat st;

	for (size_t i = 0; i < run->n; i++) {
		name_make(name, FILE_SST, run->tables[i].number);
		if (os.fstatat(db->dir.fd, name, &st) < 0 ||
		    (uint64_t)st.st_size != run->tables[i].bytes)
			return store_corrupt(err, db->dir.path, name,
					     STORE_NO_OFFSET,
					     "is missing or has another size "
					     "than the manifest says");
	}
	return 0;
}

/* Every table is there with its size: the last look before it is truth. */
static int check_files(struct store *db, const struct manifest *m,
		       struct store_error *err)
{
	int r = 0;

	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t i = 0; r == 0 && i < m->levels[l].n; i++)
			r = check_run(db, &m->levels[l].runs[i], err);
	return r;
}

#ifdef MUTANT_unlink_before_rename
/* What the edit drops goes while the old manifest still names it. */
static void unlink_dropped(struct store *db, const struct manifest *m)
{
	char name[NAME_SIZE];

	for (size_t i = 0; i < m->n_dropped; i++)
		if (m->dropped[i].last == m->generation - 1) {
			name_make(name, FILE_WAL, m->dropped[i].number);
			os_unlink(&db->dir, name, NULL);
			name_make(name, FILE_SST, m->dropped[i].number);
			os_unlink(&db->dir, name, NULL);
		}
}
#endif

/* I2 to I4, under MANIFEST. */
static int install_locked(struct store *db, install_edit *edit, void *ctx,
			  bool *renamed, struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	struct buf text = BUF_INIT;
	uint64_t checksum;
	struct slot s;
	int r;

	r = install_manifest_locked(db, &m, &checksum, err);
	if (r < 0)
		goto out;
	r = edit(&m, ctx, err);
	if (r != 0)
		goto out;
	manifest_trim(&m);
	m.generation++;
	r = number_next(db, &m.next_number, err);
	if (r == 0)
		r = prune_dropped(db, &m, err);
	if (r == 0)
		r = manifest_check(&m, db->dir.path, NAME_MANIFEST, err);
	if (r == 0)
		r = check_files(db, &m, err);
	if (r == 0)
		r = manifest_format(&m, &text, &checksum, err);
	if (r == 0)
		r = dir_sync(&db->dir, err); /* I3 */
	if (r == 0)
		r = write_image(db, &m, checksum, err);
	if (r == 0)
		r = living_read(&db->state, STATE_GENERATION_OFF, &s, err);
	if (r < 0)
		goto out;
	s.v[GENERATION_INSTALLING] = 1;
	r = living_publish(&db->state, STATE_GENERATION_OFF, &s, err);
#ifdef MUTANT_unlink_before_rename
	unlink_dropped(db, &m);
#endif
	if (r == 0)
		r = write_text(db, buf_slice(&text), renamed, err); /* I4 */
	if (r == 0) {
		r = publish(db, &s, m.generation, checksum, err);
	} else if (!*renamed) {
		/* The old manifest stands: take the mark away again. */
		s.v[GENERATION_INSTALLING] = 0;
		living_publish(&db->state, STATE_GENERATION_OFF, &s, NULL);
	}
out:
	manifest_release(&m);
	buf_free(&text);
	return r;
}

int install(struct store *db, install_edit *edit, void *ctx, bool *named,
	    struct store_error *err)
{
	bool renamed = false;
	int r = lock_acquire(&db->lock, ROLE_MANIFEST, err);

	if (r == 0) {
		hint_write(db, ROLE_MANIFEST);
		r = install_locked(db, edit, ctx, &renamed, err);
		lock_release(&db->lock, ROLE_MANIFEST);
	}
#ifdef MUTANT_failed_is_unnamed
	renamed = r == 0;
#endif
	if (named)
		*named = renamed;
	return r;
}
