#include "lib/engine.h"

#include "lib/install.h"
#include "lib/roster.h"
#include "lib/trust.h"

#include <errno.h>

/* Address space, not memory: a map covers what the file may grow to. */
#define LOG_MAP (UINT64_C(1) << 32)
#define TREE_MAP (UINT64_C(1) << 33)

/* Between reading a generation and opening its files, it may be replaced. */
#define LOAD_TRIES 1000

static int read_page(void *ctx, void *window, uint64_t n, const uint8_t **page,
		     struct store_error *err)
{
	struct generation *g = ctx;
	struct slice s;
	int r;

	r = view_read(&g->image, window, n * VERSION_PAGE, VERSION_PAGE,
		      g->source.pages * VERSION_PAGE, &s, err);
	*page = s.data;
	return r;
}

static void source_init(struct store *db, struct generation *g, uint64_t bytes)
{
	g->source = (struct page_source){ .read = read_page,
					  .ctx = g,
					  .pages = bytes / VERSION_PAGE,
					  .dir = db->dir.path,
					  .name = g->image.name };
}

/* The image file of generation g->number; STORE_EGONE when there is none. */
static int open_image(struct store *db, struct generation *g,
		      struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_PAGE);
	char name[NAME_SIZE];
	struct stat st;
	int fd, r;

	name_make(name, FILE_VER, g->number);
	fd = os_open_stat(&db->dir, name, O_RDONLY, 0, &st, err);
	if (fd < 0)
		return fd;
	view_init(&g->image, fd, &db->dir, name, (uint64_t)st.st_size);
	source_init(db, g, (uint64_t)st.st_size);
	r = version_open(&g->v, &g->source, &w, err);
	if (r == 0 && (g->v.generation != g->number ||
		       g->v.manifest_checksum != g->checksum ||
		       memcmp(g->v.uuid, db->uuid, sizeof(db->uuid))))
		r = store_corrupt(err, db->dir.path, name, 0,
				  "images another manifest");
	window_release(&w);
	return r;
}

/*
 * Without a sound image: parse the manifest and make one in memory.  1: it is
 * another store's than STATE speaks of.
 */
static int make_image(struct store *db, struct generation *g,
		      struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_PAGE);
	struct manifest m = MANIFEST_INIT;
	struct buf text = BUF_INIT;
	struct buf image = BUF_INIT;
	int r;

	r = install_text(db, &text, err);
	if (r == 0)
		r = manifest_parse(&m, buf_slice(&text), db->dir.path,
				   NAME_MANIFEST, err);
	if (r < 0)
		goto out;
	if (db->alive && memcmp(db->uuid, m.uuid, sizeof(db->uuid))) {
		r = 1;
		goto out;
	}
	memcpy(db->uuid, m.uuid, sizeof(db->uuid));
	db->uuid_known = true;
	g->number = m.generation;
	g->checksum = manifest_checksum(buf_slice(&text));
	r = version_encode(&m, g->checksum, &image, err);
	if (r < 0)
		goto out;
	view_memory(&g->image, image.data, image.len, &db->dir, NAME_MANIFEST);
	image = BUF_INIT;
	source_init(db, g, g->image.map_bytes);
	r = version_open(&g->v, &g->source, &w, err);
out:
	window_release(&w);
	manifest_release(&m);
	buf_free(&text);
	buf_free(&image);
	return r;
}

static struct memtable *find_log(struct generation *g, uint64_t number)
{
	for (size_t i = 0; g && i < g->n_logs; i++)
		if (g->logs[i]->number == number)
			return g->logs[i];
	return NULL;
}

/* A sealed log's tree must cover what the manifest says was sealed. */
static int check_sealed(struct store *db, struct memtable *m,
			const struct log_meta *meta, struct store_error *err)
{
	struct root at;
	int r;

	if (!meta->sealed)
		return 0;
	r = memtable_root(m, &at, err);
	if (r == 0 &&
	    (at.log_bytes != meta->length || at.chain != meta->checksum))
		r = store_corrupt(err, db->dir.path, m->tree.view.name,
				  IDX_COMMIT_OFF,
				  "differs from the sealed log's length or "
				  "checksum");
	return r;
}

/*
 * Open log `i`, or share it with `before`.  1: its tree is not to be
 * believed.
 */
static int open_log(struct store *db, struct generation *g, size_t i,
		    struct generation *before, struct store_error *err)
{
	const struct log_meta *meta = &g->v.logs[i];
	struct memtable *m =
		db->private ? NULL : find_log(before, meta->number);
	int r;

	if (m) {
		memtable_ref(m);
	} else if (db->private) {
		r = memtable_open_private(&m, &db->dir, db->uuid, meta, err);
		if (r < 0)
			return r;
	} else {
		r = memtable_open(&m, &db->dir, db->uuid, meta, db->write,
				  LOG_MAP, TREE_MAP, err);
		if (r < 0)
			return r;
		r = trust_tree(db, m, err);
		if (r <= 0) {
			memtable_close(m);
			return r < 0 ? r : 1;
		}
	}
	g->logs[i] = m;
	g->n_logs = i + 1;
	return check_sealed(db, m, meta, err);
}

void generation_ref(struct generation *g)
{
	atomic_fetch_add(&g->refs, 1);
}

void generation_close(struct generation *g)
{
	if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
		return;
	for (size_t i = 0; i < g->n_logs; i++)
		memtable_close(g->logs[i]);
	free(g->logs);
	roster_free(atomic_load(&g->roster));
	version_release(&g->v);
	view_close(&g->image);
	free(g);
}

struct memtable *generation_active(const struct generation *g)
{
	size_t n = g->v.n_logs;

	return n && !g->v.logs[n - 1].sealed ? g->logs[n - 1] : NULL;
}

/* Load generation `number`: 0, 1 (a tree is not believed), or an error. */
static int load(struct store *db, uint64_t number, uint64_t checksum,
		struct generation *before, struct generation **out,
		struct store_error *err)
{
	struct generation *g = calloc(1, sizeof(*g));
	int r = STORE_EGONE;

	if (!g)
		return store_nomem(err);
	atomic_init(&g->refs, 1);
	g->number = number;
	g->checksum = checksum;
	g->image.fd = -1;
	if (!db->private)
		r = open_image(db, g, NULL);
	if (r == STORE_EGONE || r == STORE_ECORRUPT) {
		version_release(&g->v);
		view_close(&g->image);
		r = make_image(db, g, err);
	}
	if (r == 0) {
		g->logs = calloc(g->v.n_logs + 1, sizeof(struct memtable *));
		if (!g->logs)
			r = store_nomem(err);
	}
	for (size_t i = 0; r == 0 && i < g->v.n_logs; i++)
		r = open_log(db, g, i, before, err);
	if (r == 0)
		*out = g;
	else
		generation_close(g);
	return r;
}

/*
 * A log is written over as well as made longer, through maps, too, whose pages
 * tell the file's time only once: neither time nor size vouch for it.  But a
 * batch has a header, which is never all zeros.
 */
static int look_at_log(struct store *db, struct memtable *m, uint64_t *more,
		       struct store_error *err)
{
	uint8_t next[WAL_BATCH_HEADER];
	char name[NAME_SIZE];
	size_t got;
	int fd, r;

	name_make(name, FILE_WAL, m->number);
	fd = os_open(&db->dir, name, O_RDONLY, 0, err);
	if (fd < 0)
		/* The manifest, looked at next, tells why. */
		return fd == STORE_EGONE ? 0 : fd;
	r = os_read_some(fd, next, sizeof(next), m->fixed.log_bytes, &got,
			 &db->dir, name, err);
	os_close(fd);
	*more = r == 0 && !slice_zero(slice_make(next, got));
	return r;
}

/* Private: has anything changed since `current` was read? */
static int look(struct store *db, struct signature *s, struct store_error *err)
{
	struct memtable *m;
	struct stat st;
	int r = 0;

	*s = (struct signature){ 0 };
	m = db->current ? generation_active(db->current) : NULL;
	if (m)
		r = look_at_log(db, m, &s->more, err);
	if (r < 0)
		return r;
	if (os.fstatat(db->dir.fd, NAME_MANIFEST, &st) < 0)
		return store_fail_errno(err, db->dir.path, NAME_MANIFEST,
					"stat", errno);
	s->manifest_inode = st.st_ino;
	s->manifest_bytes = (uint64_t)st.st_size;
	s->manifest_mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u +
			       (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

static int current_private(struct store *db, struct generation **out,
			   struct store_error *err)
{
	struct generation *g;
	struct signature s;
	int r = look(db, &s, err);

	if (r < 0)
		return r;
	if (!db->current || memcmp(&s, &db->seen, sizeof(s))) {
		r = load(db, 0, 0, NULL, &g, err);
		if (r < 0)
			return r;
		generation_close(db->current);
		db->current = g;
		/* Looked at before reading: a change since shows next time. */
		db->seen = s;
		db->seen.more = 0;
	}
	generation_ref(db->current);
	*out = db->current;
	return 0;
}

/* Under the mutex: 0, 1 (a tree is not believed), STORE_EGONE, or an error. */
static int current_shared(struct store *db, struct generation **out,
			  struct store_error *err)
{
	struct generation *g;
	struct slot s;
	int r;

	r = living_read(&db->state, STATE_GENERATION_OFF, &s, err);
	if (r < 0)
		return r;
	db->installing = s.v[GENERATION_INSTALLING];
	if (!db->current || db->current->number < s.v[GENERATION_NUMBER]) {
		r = load(db, s.v[GENERATION_NUMBER], s.v[GENERATION_CHECKSUM],
			 db->current, &g, err);
		if (r != 0)
			return r;
		generation_close(db->current);
		db->current = g;
	}
	generation_ref(db->current);
	*out = db->current;
	return 0;
}

/* Nothing moved, and yet a file is missing: damage, said by name. */
static int missing(struct store *db, uint64_t generation, struct store_error *e,
		   struct store_error *err)
{
	return store_fail(err, STORE_ECORRUPT,
			  "%s; generation %llu of the manifest names it",
			  e->code ? e->text : db->dir.path,
			  (unsigned long long)generation);
}

int generation_current(struct store *db, struct generation **out,
		       struct store_error *err)
{
	struct store_error e;
	struct slot s = { 0 };
	uint64_t before = 0;
	int r;

	for (int tries = 0;; tries++) {
		e = STORE_ERROR_INIT;
		pthread_mutex_lock(&db->mutex);
		r = db->private ? current_private(db, out, &e)
				: current_shared(db, out, &e);
		pthread_mutex_unlock(&db->mutex);
		if (r == 0)
			return 0;
		if (r == 1 || r == STORE_EGONE) {
			if (!db->private &&
			    living_read(&db->state, STATE_GENERATION_OFF, &s,
					NULL) < 0)
				break;
			if (tries < 2 || s.v[GENERATION_NUMBER] != before) {
				before = s.v[GENERATION_NUMBER];
				if (tries < LOAD_TRIES) {
					os.yield();
					continue;
				}
			}
			r = r == 1 ? store_corrupt(
					     &e, db->dir.path, NAME_STATE,
					     TOKEN_OFF,
					     "a tree is not this store's: end "
					     "all processes that use it, and "
					     "open it again")
				   : missing(db, before, &e, err);
		}
		break;
	}
	if (err && err->code == 0)
		*err = e;
	return r;
}

int generation_known(struct store *db, struct generation **out,
		     struct store_error *err)
{
	struct slot s = { 0 };
	bool same = living_same(&db->state, STATE_GENERATION_OFF, db->known);
	int r = 0;

	if (!same)
		r = living_read(&db->state, STATE_GENERATION_OFF, &s, err);
	if (r < 0 || s.v[GENERATION_INSTALLING])
		return r < 0 ? r : 0;
	pthread_mutex_lock(&db->mutex);
	/* Nobody goes back to an older one. */
	r = same ||
	    (db->current && db->current->number == s.v[GENERATION_NUMBER]);
	if (r) {
		generation_ref(db->current);
		*out = db->current;
	}
	pthread_mutex_unlock(&db->mutex);
	if (!same)
		db->known = r ? s.seq : 0;
	return r;
}

int generation_look(struct store *db, struct generation **out,
		    struct store_error *err)
{
	bool again;

	pthread_mutex_lock(&db->mutex);
	again = !db->one_shot || db->opened || !db->current;
	db->opened = true;
	if (!again) {
		generation_ref(db->current);
		*out = db->current;
	}
	pthread_mutex_unlock(&db->mutex);
	return again ? generation_current(db, out, err) : 0;
}

int generation_pin(struct store *db, struct generation **out,
		   struct store_error *err)
{
	struct generation *g, *again;
	int r;

	for (;;) {
		r = generation_current(db, &g, err);
		if (r < 0)
			return r;
		r = lock_pin(&db->lock, g->number, err);
		if (r < 0) {
			generation_close(g);
			return r;
		}
		/* S3: a sweeper that missed our pin published before it. */
		atomic_thread_fence(memory_order_seq_cst);
		r = generation_current(db, &again, err);
		if (r == 0 && again->number == g->number) {
			generation_close(again);
			*out = g;
			return 0;
		}
		if (r == 0)
			generation_close(again);
		generation_unpin(db, g);
		if (r < 0)
			return r;
	}
}

void generation_unpin(struct store *db, struct generation *g)
{
	lock_unpin(&db->lock, g->number);
	generation_close(g);
}
