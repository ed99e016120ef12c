#include "lib/sweep.h"

#include "lib/install.h"

#include <errno.h>

/* A file that the directory holds and the version does not name. */
struct candidate {
	enum file_kind kind;
	uint64_t number;
};

struct listing {
	struct candidate *c;
	size_t n;
	uint64_t *named;
	size_t n_named;
	uint64_t generation;
	struct store_error *err;
};

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * The numbers of the version we know, ascending.  Only to spare the locks: X3
 * asks the manifest.
 */
static int list_named(struct listing *l, const struct generation *g,
		      struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_STREAM);
	struct version_table t;
	int r = 0;

	l->named = calloc(g->v.n_logs + g->v.tables + 1, sizeof(*l->named));
	if (!l->named)
		return store_nomem(err);
	for (size_t i = 0; i < g->v.n_logs; i++)
		l->named[l->n_named++] = g->v.logs[i].number;
	for (size_t i = 0; r >= 0 && i < g->v.n_runs; i++)
		for (uint64_t k = 0; r >= 0 && k < g->v.runs[i].tables; k++) {
			r = version_table_at(&g->v, &g->source, &w,
					     &g->v.runs[i], k, &t, err);
			if (r >= 0)
				l->named[l->n_named++] = t.number;
		}
	window_release(&w);
	qsort(l->named, l->n_named, sizeof(*l->named), compare);
	return r < 0 ? r : 0;
}

static bool is_named(const struct listing *l, uint64_t number)
{
	return bsearch(&number, l->named, l->n_named, sizeof(*l->named),
		       compare);
}

static int see(void *ctx, const char *name)
{
	struct listing *l = ctx;
	struct candidate c, *p;

	c.kind = name_parse(name, &c.number);
	switch (c.kind) {
	case FILE_WAL:
	case FILE_IDX:
	case FILE_SST:
		if (is_named(l, c.number))
			return 0;
		break;
	case FILE_VER:
		if (c.number >= l->generation)
			return 0;
		break;
	case FILE_SST_TMP:
	case FILE_VER_TMP:
	case FILE_MANIFEST_TMP:
		break;
	default:
		return 0;
	}
	p = realloc(l->c, (l->n + 1) * sizeof(*p));
	if (!p)
		return store_nomem(l->err);
	l->c = p;
	l->c[l->n++] = c;
	return 0;
}

/* The last generation that named file `number`; false: none did, an orphan. */
static bool last_named(const struct manifest *m, uint64_t number,
		       uint64_t *last)
{
	for (size_t i = 0; i < m->n_dropped; i++)
		if (m->dropped[i].number == number) {
			*last = m->dropped[i].last;
			return true;
		}
	return false;
}

/* Under MANIFEST nobody writes an image or a manifest: what is left, is. */
static bool left_over(const struct candidate *c, const struct manifest *m)
{
	switch (c->kind) {
	case FILE_MANIFEST_TMP:
	case FILE_VER_TMP:
		return true;
	case FILE_VER:
		return c->number != m->generation;
	default:
		return false;
	}
}

static int unlink_candidate(struct store *db, const struct candidate *c,
			    struct store_error *err)
{
	char name[NAME_SIZE];

	if (c->kind == FILE_MANIFEST_TMP)
		return os_unlink(&db->dir, NAME_MANIFEST_TMP, err);
	name_make(name, c->kind, c->number);
	return os_unlink(&db->dir, name, err);
}

/* X3: the truth, under MANIFEST; images and temporary files go here. */
static int read_truth(struct store *db, struct listing *l, struct manifest *m,
		      int *gone, struct store_error *err)
{
	uint64_t checksum;
	int r = lock_acquire(&db->lock, ROLE_MANIFEST, err);

	if (r < 0)
		return r;
	hint_write(db, ROLE_MANIFEST);
	r = install_manifest_locked(db, m, &checksum, err);
	for (size_t i = 0; r == 0 && i < l->n; i++)
		if (left_over(&l->c[i], m)) {
			r = unlink_candidate(db, &l->c[i], err);
			*gone += r == 0;
		}
	lock_release(&db->lock, ROLE_MANIFEST);
	return r;
}

/* X3 to X5 for a claimed file. */
static int judge(struct store *db, const struct candidate *c,
		 const struct manifest *m, int *gone, struct store_error *err)
{
	uint64_t last;
	int r = 0;

	if (manifest_names(m, c->number))
		return 0;
	atomic_thread_fence(memory_order_seq_cst);
#ifndef MUTANT_pins_ignored
	if (last_named(m, c->number, &last))
		r = lock_pinned(&db->lock, last, err);
#else
	(void)last;
	(void)last_named;
#endif
	if (r != 0)
		return r < 0 ? r : 0;
	r = unlink_candidate(db, c, err);
	*gone += r == 0;
	return r;
}

static bool is_numbered(enum file_kind k)
{
	return k == FILE_WAL || k == FILE_IDX || k == FILE_SST ||
	       k == FILE_SST_TMP;
}

static int sweep_listed(struct store *db, struct listing *l,
			struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	bool *claimed = calloc(l->n, sizeof(*claimed));
	int r = 0, gone = 0;

	if (!claimed)
		return store_nomem(err);
	/* X2: the claim comes first, and the truth is read after it. */
	for (size_t i = 0; r >= 0 && i < l->n; i++) {
		bool have = false;

		if (!is_numbered(l->c[i].kind))
			continue;
		/* A log and its tree share a number, and a claim. */
		for (size_t k = 0; k < i && !have; k++)
			have = claimed[k] && l->c[k].number == l->c[i].number;
		r = have ? 1 : lock_claim(&db->lock, l->c[i].number, err);
		claimed[i] = r == 1;
	}
	if (r >= 0)
		r = read_truth(db, l, &m, &gone, err);
	for (size_t i = 0; r >= 0 && i < l->n; i++)
		if (claimed[i])
			r = judge(db, &l->c[i], &m, &gone, err);
	for (size_t i = 0; i < l->n; i++)
		if (claimed[i])
			lock_unclaim(&db->lock, l->c[i].number);
	manifest_release(&m);
	free(claimed);
	return r < 0 ? r : gone;
}

int sweep(struct store *db, struct store_error *err)
{
	struct listing l = { .err = err };
	struct generation *g;
	int r;

	r = generation_current(db, &g, err);
	if (r < 0)
		return r;
	l.generation = g->number;
	r = list_named(&l, g, err);
	generation_close(g);
	if (r == 0) {
		r = os.list(db->dir.fd, see, &l);
		if (r < 0 && !(err && err->code))
			r = store_fail_errno(err, db->dir.path, NULL, "list",
					     errno);
	}
	if (r == 0 && l.n)
		r = sweep_listed(db, &l, err);
	free(l.c);
	free(l.named);
	return r;
}
