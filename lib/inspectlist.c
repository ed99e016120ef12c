/*
 * What each file in a store's directory is.
 */
#include "lib/inspectstore.h"

#include <errno.h>
#include <stdio.h>

const char *standing_name(enum standing s)
{
	static const char *const names[] = {
		[STANDING_FIXED] = "fixed",
		[STANDING_NAMED] = "named",
		[STANDING_CLAIMED] = "claimed",
		[STANDING_PINNED] = "pinned",
		[STANDING_IMAGE] = "image",
		[STANDING_TEMPORARY] = "temporary",
		[STANDING_ORPHAN] = "orphan",
		[STANDING_FOREIGN] = "foreign",
	};

	return names[s];
}

const char *file_kind_name(enum file_kind k)
{
	static const char *const names[] = {
		[FILE_FOREIGN] = "foreign",
		[FILE_LOCK] = "lock",
		[FILE_STATE] = "state",
		[FILE_MANIFEST] = "manifest",
		[FILE_MANIFEST_TMP] = "manifest",
		[FILE_WAL] = "log",
		[FILE_SST] = "table",
		[FILE_SST_TMP] = "table",
		[FILE_IDX] = "tree",
		[FILE_VER] = "image",
		[FILE_VER_TMP] = "image",
	};

	return names[k];
}

struct collect {
	struct listing *l;
	struct store_error *err;
};

static int see(void *ctx, const char *name)
{
	struct collect *c = ctx;
	struct listing *l = c->l;
	struct listed *p;

	/* Doubling, so that many files cost no more than their number. */
	if ((l->n & (l->n - 1)) == 0) {
		p = realloc(l->files, (l->n ? 2 * l->n : 1) * sizeof(*p));
		if (!p)
			return store_nomem(c->err);
		l->files = p;
	}
	p = &l->files[l->n];
	*p = (struct listed){ .name = strdup(name) };
	if (!p->name)
		return store_nomem(c->err);
	p->kind = name_parse(name, &p->number);
	l->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void listing_release(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->files[i].name);
	free(l->files);
	*l = LISTING_INIT;
}

/* What needs no lock to tell; true when that is all. */
static bool judge_by_name(const struct manifest *m, struct listed *f)
{
	switch (f->kind) {
	case FILE_FOREIGN:
		f->standing = STANDING_FOREIGN;
		return true;
	case FILE_LOCK:
	case FILE_STATE:
	case FILE_MANIFEST:
		f->standing = STANDING_FIXED;
		return true;
	case FILE_VER:
		f->standing = STANDING_IMAGE;
		return true;
	case FILE_WAL:
	case FILE_IDX:
		f->standing = STANDING_NAMED;
		return manifest_find_log(m, f->number) != NULL;
	case FILE_SST:
		f->standing = STANDING_NAMED;
		return manifest_find_table(m, f->number, &(size_t){ 0 },
					   &(size_t){ 0 }, &(size_t){ 0 });
	default:
		f->standing = STANDING_TEMPORARY;
		return false;
	}
}

/* Is somebody at work on it?  Images and manifests have MANIFEST for a claim.
 */
static int in_use(struct inspection *in, const struct listed *f,
		  struct store_error *err)
{
	struct lock *l = &in->db->lock;

	if (!in->locked)
		return 0;
	if (f->kind == FILE_VER_TMP || f->kind == FILE_MANIFEST_TMP)
		return lock_held(l, ROLE_MANIFEST, err);
	return lock_claimed(l, f->number, err);
}

/* Does a reader that somebody pinned perhaps need it? */
static int is_pinned(struct inspection *in, const struct manifest *m,
		     uint64_t number, struct store_error *err)
{
	for (size_t i = 0; i < m->n_dropped; i++)
		if (m->dropped[i].number == number)
			return in->locked ? lock_pinned(&in->db->lock,
							m->dropped[i].last, err)
					  : 0;
	return 0;
}

/* The manifest as it is by now, into *now. */
static int read_again(struct inspection *in, struct manifest *now,
		      struct store_error *err)
{
	struct buf text = BUF_INIT;
	int r = os_read_file(&in->db->dir, NAME_MANIFEST, MANIFEST_MAX_BYTES,
			     &text, err);

	if (r == 0)
		r = manifest_parse(now, buf_slice(&text), in->db->dir.path,
				   NAME_MANIFEST, err);
	buf_free(&text);
	return r;
}

/* Its size; false when it is gone. */
static bool look(struct inspection *in, struct listed *f)
{
	struct stat st;

	if (os.fstatat(in->db->dir.fd, f->name, &st) < 0)
		return errno != ENOENT;
	f->bytes = (uint64_t)st.st_size;
	return true;
}

/*
 * A file that nobody claims, though no manifest we knew names it.  Its claim
 * may just have ended: then it is in the manifest by now, or gone.
 */
static int judge_unclaimed(struct inspection *in, const struct manifest *now,
			   struct listed *f, struct store_error *err)
{
	int r;

	if (judge_by_name(now, f))
		return 0;
	if (f->standing == STANDING_TEMPORARY) {
		r = in_use(in, f, err);
		f->left = r == 0;
		return r < 0 ? r : 0;
	}
	r = is_pinned(in, now, f->number, err);
	f->standing = r ? STANDING_PINNED : STANDING_ORPHAN;
	return r < 0 ? r : 0;
}

static int judge(struct inspection *in, struct listing *l,
		 struct store_error *err)
{
	struct manifest now = MANIFEST_INIT;
	bool *open = calloc(l->n + 1, sizeof(*open));
	int r = open ? 0 : store_nomem(err);

	/* Claims first, the manifest after them, as a sweep does it. */
	for (size_t i = 0; r >= 0 && i < l->n; i++) {
		struct listed *f = &l->files[i];

		if (judge_by_name(&in->m, f))
			continue;
		r = in_use(in, f, err);
		open[i] = r == 0;
		if (r == 1 && f->standing != STANDING_TEMPORARY)
			f->standing = STANDING_CLAIMED;
	}
	if (r >= 0)
		r = read_again(in, &now, err);
	for (size_t i = 0; r >= 0 && i < l->n; i++)
		if (open[i])
			r = judge_unclaimed(in, &now, &l->files[i], err);
	manifest_release(&now);
	free(open);
	return r < 0 ? r : 0;
}

int listing_make(struct inspection *in, struct listing *l,
		 struct store_error *err)
{
	struct collect c = { l, err };
	size_t kept = 0;
	int r = os.list(in->db->dir.fd, see, &c);

	if (r < 0 && !(err && err->code))
		r = store_fail_errno(err, in->db->dir.path, NULL, "list",
				     errno);
	if (r == 0 && l->n)
		qsort(l->files, l->n, sizeof(*l->files), by_name);
	if (r == 0)
		r = judge(in, l, err);
	/* Last, so that what was unlinked before it could be judged is out. */
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		if (look(in, &l->files[i]))
			l->files[kept++] = l->files[i];
		else
			free(l->files[i].name);
	}
	if (r == 0)
		l->n = kept;
	else
		listing_release(l);
	return r;
}
