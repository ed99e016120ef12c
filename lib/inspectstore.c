#include "lib/inspectstore.h"

#include "lib/create.h"
#include "lib/trust.h"

#include <errno.h>
#include <stdio.h>

/* An install takes some fsyncs; one that takes longer is not waited for. */
#define INSTALL_MS 10000

static void say_hint(void *ctx, enum lock_role role, char *text, size_t n)
{
	(void)ctx;
	(void)role;
	snprintf(text, n, "a process that recovers the store");
}

/* LOCK opened read-only: trust_enter() then repairs nothing. */
static int enter(struct inspection *in, int64_t timeout_ms,
		 struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	struct store *db = in->db;
	int r = lock_open(&db->lock, &db->dir, false, false, timeout_ms, &e);

	if (r == STORE_EGONE) { /* a copy; nobody else uses it */
		db->private = true;
		return 0;
	}
	if (r < 0) {
		if (err && err->code == 0)
			*err = e;
		return r;
	}
	in->locked = true;
	db->lock.hint = say_hint;
	return trust_enter(db, false, err);
}

int inspection_open(struct inspection *in, const char *dir, int64_t timeout_ms,
		    struct store_error *err)
{
	struct store *db = calloc(1, sizeof(*db));
	int r;

	if (!db)
		return store_nomem(err);
	in->db = db;
	db->dir = DIR_INIT;
	db->lock.fd = db->lock.probe = -1;
	pthread_mutex_init(&db->mutex, NULL);
	r = dir_open(&db->dir, dir, err);
	if (r == 0)
		r = enter(in, timeout_ms, err);
	if (r < 0)
		inspection_close(in);
	return r;
}

void inspection_close(struct inspection *in)
{
	if (in->pinned)
		lock_unpin(&in->db->lock, in->pin);
	manifest_release(&in->m);
	store_close(in->db);
	*in = INSPECTION_INIT;
}

static void unpin(struct inspection *in)
{
	if (in->pinned)
		lock_unpin(&in->db->lock, in->pin);
	in->pinned = false;
}

static int pin(struct inspection *in, uint64_t generation,
	       struct store_error *err)
{
	int r;

	if (!in->locked)
		return 0;
	if (in->pinned && in->pin == generation)
		return 0;
	unpin(in);
	r = lock_pin(&in->db->lock, generation, err);
	if (r < 0)
		return r;
	in->pin = generation;
	in->pinned = true;
	/* S2: what is read from here on, a sweeper's probe has seen our pin. */
	atomic_thread_fence(memory_order_seq_cst);
	return 0;
}

static int read_text(struct inspection *in, struct buf *text,
		     struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	const struct dir *dir = &in->db->dir;
	int r;

	buf_clear(text);
	r = os_read_file(dir, NAME_MANIFEST, MANIFEST_MAX_BYTES, text, &e);
	if (r == STORE_EGONE) {
		r = create_check(dir, err);
		if (r != STORE_ECORRUPT) {
			if (err)
				*err = STORE_ERROR_INIT;
			r = store_fail(err, STORE_ENOSTORE, "%s: no store here",
				       dir->path);
		}
	} else if (r < 0 && err && err->code == 0) {
		*err = e;
	}
	return r;
}

static int parse(struct inspection *in, const struct buf *text,
		 struct store_error *err)
{
	in->checksum = manifest_checksum(buf_slice(text));
	in->bytes = text->len;
	return manifest_parse(&in->m, buf_slice(text), in->db->dir.path,
			      NAME_MANIFEST, err);
}

/* Without STATE: the text must be the same before and after the pin. */
static int read_alone(struct inspection *in, struct buf *text,
		      struct store_error *err)
{
	uint64_t checksum;
	int r;

	in->truth = TRUTH_ALONE;
	for (;;) {
		r = read_text(in, text, err);
		if (r == 0)
			r = parse(in, text, err);
		if (r == 0)
			r = pin(in, in->m.generation, err);
		if (r == 0)
			r = read_text(in, text, err);
		if (r < 0)
			return r;
		checksum = manifest_checksum(buf_slice(text));
		if (checksum == in->checksum)
			return 0;
		manifest_release(&in->m);
	}
}

/*
 * One look, between two of STATE that must agree: 1 settled, 0 look again
 * (`late`: no longer wait for who is installing).
 */
static int look(struct inspection *in, struct buf *text, bool late,
		struct store_error *err)
{
	struct living *state = &in->db->state;
	struct slot before, after;
	uint64_t checksum;
	int held, r;

	if ((r = living_read(state, STATE_GENERATION_OFF, &before, err)) < 0 ||
	    (r = pin(in, before.v[GENERATION_NUMBER], err)) < 0 ||
	    (r = read_text(in, text, err)) < 0)
		return r;
	held = in->locked ? lock_held(&in->db->lock, ROLE_MANIFEST, err) : 0;
	if (held < 0)
		return held;
	r = living_read(state, STATE_GENERATION_OFF, &after, err);
	if (r < 0)
		return r;
	if (after.seq != before.seq)
		return 0;
	in->published = after;
	checksum = manifest_checksum(buf_slice(text));
	if (checksum == after.v[GENERATION_CHECKSUM])
		in->truth = TRUTH_PUBLISHED;
	else if (!after.v[GENERATION_INSTALLING])
		in->truth = TRUTH_OTHER;
	else if (held && !late)
		return 0; /* who installs will publish it */
	else
		in->truth = TRUTH_INSTALL;
	return 1;
}

int inspection_read(struct inspection *in, struct store_error *err)
{
	uint64_t deadline = os.monotonic_ms() + INSTALL_MS;
	struct buf text = BUF_INIT;
	int r;

	manifest_release(&in->m);
	if (in->db->private) {
		r = read_alone(in, &text, err);
	} else {
		while ((r = look(in, &text, os.monotonic_ms() > deadline,
				 err)) == 0)
			os.yield();
		if (r == 1)
			r = parse(in, &text, err);
	}
	buf_free(&text);
	return r;
}

static int read_page(void *ctx, void *window, uint64_t n, const uint8_t **page,
		     struct store_error *err)
{
	struct inspection_image *i = ctx;
	struct slice s;
	int r;

	r = view_read(&i->view, window, n * VERSION_PAGE, VERSION_PAGE,
		      i->source.pages * VERSION_PAGE, &s, err);
	*page = s.data;
	return r;
}

int inspection_image_open(struct inspection_image *i, const struct dir *dir,
			  const char *name, struct store_error *err)
{
	uint64_t bytes;
	int fd = os_open(dir, name, O_RDONLY, 0, err);
	int r;

	if (fd < 0)
		return fd;
	r = os_size(fd, &bytes, dir, name, err);
	if (r == 0 && bytes % VERSION_PAGE)
		r = store_corrupt(err, dir->path, name,
				  bytes / VERSION_PAGE * VERSION_PAGE,
				  "ends inside a page");
	if (r < 0) {
		os_close(fd);
		return r;
	}
	view_init(&i->view, fd, dir, name, 0);
	i->window = WINDOW_INIT(VIEW_PAGE);
	i->source = (struct page_source){ .read = read_page,
					  .ctx = i,
					  .pages = bytes / VERSION_PAGE,
					  .dir = dir->path,
					  .name = i->view.name };
	return 0;
}

void inspection_image_close(struct inspection_image *i)
{
	window_release(&i->window);
	view_close(&i->view);
}
