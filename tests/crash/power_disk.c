#include "tests/crash/power_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Of a living file so many events may wait; older ones were written back. */
#define LIVING_PENDING 24

static bool is_living(const char *name)
{
	uint64_t n;
	enum file_kind k = name_parse(name, &n);

	return k == FILE_STATE || k == FILE_IDX || k == FILE_VER ||
	       k == FILE_VER_TMP;
}

static struct disk_file *file_of(struct disk *d, uint32_t inode)
{
	if (inode >= d->n_files) {
		uint32_t n = inode + 64;

		d->files = xrealloc(d->files, n * sizeof(*d->files));
		memset(d->files + d->n_files, 0,
		       (n - d->n_files) * sizeof(*d->files));
		d->n_files = n;
	}
	return &d->files[inode];
}

void disk_init(struct disk *d, const struct trace *t, enum disk_profile p)
{
	*d = (struct disk){ .profile = p, .trace = t, .there = fs.there };
	memcpy(d->names, fs.names, sizeof(d->names));
	d->n_names = fs.n_names;
	for (size_t i = 0; i < fs.n_names; i++) {
		uint32_t inode = fs.names[i].inode;
		struct disk_file *f = file_of(d, inode);

		f->len = fs.len[inode];
		f->data = xrealloc(NULL, f->len);
		memcpy(f->data, fs_bytes(inode), f->len);
		f->living = is_living(fs.names[i].name);
	}
}

void disk_release(struct disk *d)
{
	for (uint32_t i = 0; i < d->n_files; i++)
		free(d->files[i].data);
	free(d->files);
	free(d->pending);
	*d = (struct disk){ .n_files = 0 };
}

uint32_t disk_find(const struct disk *d, const char *name)
{
	for (size_t i = 0; i < d->n_names; i++)
		if (!strcmp(d->names[i].name, name))
			return d->names[i].inode;
	return 0;
}

static void names_remove(struct fs_name *names, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(names[i].name, name)) {
			names[i] = names[--*n];
			return;
		}
}

static void names_apply(struct fs_name *names, size_t *n, bool *there,
			const struct event *e)
{
	const char *to = e->kind == EV_RENAME ? e->to : e->name;

	if (e->kind == EV_MKDIR) {
		*there = true;
		return;
	}
	names_remove(names, n, e->name);
	if (e->kind == EV_UNLINK)
		return;
	names_remove(names, n, to);
	if (*n == FS_NAMES) {
		fprintf(stderr, "power: too many files\n");
		exit(71);
	}
	memcpy(names[*n].name, to, NAME_SIZE);
	names[(*n)++].inode = e->inode;
}

static uint64_t length_after(uint64_t len, const struct event *e)
{
	if (e->kind == EV_TRUNC)
		return e->len;
	return len < e->off + e->len ? e->off + e->len : len;
}

static void make_durable(struct disk *d, const struct event *e)
{
	struct disk_file *f;
	uint64_t len;

	if (event_is_name(e)) {
		names_apply(d->names, &d->n_names, &d->there, e);
		d->dir_pending--;
		return;
	}
	f = file_of(d, e->inode);
	len = length_after(f->len, e);
	f->data = xrealloc(f->data, len);
	if (len > f->len)
		memset(f->data + f->len, 0, len - f->len);
	if (e->kind == EV_WRITE)
		memcpy(f->data + e->off, e->data, e->len);
	f->len = len;
	f->pending--;
}

/* Does a sync `e` cover the pending event `p`? */
static bool covers(const struct disk *d, const struct event *e,
		   const struct event *p)
{
	if (p->kind == EV_MKDIR)
		return e->kind == EV_SYNC_ROOT || d->profile == DISK_ORDERED;
	if (event_is_name(p))
		return e->kind == EV_SYNC_DIR || d->profile == DISK_ORDERED;
	return e->kind == EV_SYNC && e->inode == p->inode;
}

static void settle(struct disk *d, const struct event *sync)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->n_pending; i++) {
		const struct event *p = &d->trace->events[d->pending[i]];

		if (covers(d, sync, p))
			make_durable(d, p);
		else
			d->pending[kept++] = d->pending[i];
	}
	d->n_pending = kept;
}

/* The oldest pending event of a living file was written back meanwhile. */
static void write_back(struct disk *d, uint32_t inode)
{
	for (size_t i = 0; i < d->n_pending; i++) {
		const struct event *p = &d->trace->events[d->pending[i]];

		if (!event_is_data(p) || p->inode != inode)
			continue;
		make_durable(d, p);
		memmove(&d->pending[i], &d->pending[i + 1],
			(d->n_pending - i - 1) * sizeof(*d->pending));
		d->n_pending--;
		return;
	}
}

void disk_advance(struct disk *d)
{
	const struct event *e = &d->trace->events[d->at++];

	if (e->kind == EV_SYNC || e->kind == EV_SYNC_DIR ||
	    e->kind == EV_SYNC_ROOT) {
		settle(d, e);
		return;
	}
	if (!event_is_name(e) && !event_is_data(e))
		return;
	if (d->n_pending == d->cap_pending) {
		d->cap_pending = d->cap_pending ? 2 * d->cap_pending : 64;
		d->pending = xrealloc(d->pending,
				      d->cap_pending * sizeof(*d->pending));
	}
	d->pending[d->n_pending++] = d->at - 1;
	if (event_is_name(e)) {
		d->dir_pending++;
		if (e->kind == EV_CREATE)
			file_of(d, e->inode)->living = is_living(e->name);
		return;
	}
	if (++file_of(d, e->inode)->pending > LIVING_PENDING &&
	    d->files[e->inode].living)
		write_back(d, e->inode);
}

static uint64_t mix(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t v[3] = { a, b, c };

	return XXH3_64bits(v, sizeof(v));
}

static bool name_survives(const struct disk *d, const struct cut *c, size_t at)
{
	switch (c->names) {
	case NAMES_NONE:
		return false;
	case NAMES_BEFORE:
		return at < c->name_event;
	case NAMES_BUT:
		return at != c->name_event;
	case NAMES_ONLY:
		return at == c->name_event;
	case NAMES_RANDOM:
		if (d->profile == DISK_ORDERED)
			return at < c->name_event;
		return mix(c->random, 1, at) & 1;
	case NAMES_ALL:
		break;
	}
	return true;
}

static void state_names(const struct disk *d, const struct cut *c)
{
	fs.there = d->there;
	memcpy(fs.names, d->names, d->n_names * sizeof(*d->names));
	fs.n_names = d->n_names;
	for (size_t i = 0; i < d->n_pending; i++) {
		const struct event *e = &d->trace->events[d->pending[i]];

		if (event_is_name(e) && name_survives(d, c, d->pending[i]))
			names_apply(fs.names, &fs.n_names, &fs.there, e);
	}
	if (!fs.there)
		fs.n_names = 0;
}

/* Before which event was this unit last written to the disk? */
static uint64_t unit_until(const struct disk *d, const struct cut *c,
			   uint32_t inode, uint64_t unit)
{
	uint64_t r;

	if (c->random) {
		r = mix(c->random, inode, unit);
		if (r % 4 < 2)
			return r % 4 ? NEVER : 0;
		return d->pending[(r >> 8) % d->n_pending] + 1;
	}
	if (inode == c->inode && unit >= c->first && unit < c->end)
		return c->until;
	return c->base;
}

static uint64_t length_until(const struct disk *d, const struct cut *c,
			     uint32_t inode)
{
	if (c->random)
		return unit_until(d, c, inode, UINT64_MAX);
	if (inode == c->inode && c->length_until)
		return c->length_until;
	return c->lengths == LENGTHS_ALL ? NEVER : c->base;
}

/* Apply what survives of one event to the bytes of its file. */
static void state_apply(const struct disk *d, const struct cut *c, size_t at)
{
	const struct event *e = &d->trace->events[at];
	uint8_t *bytes = fs_bytes(e->inode);
	uint64_t off = e->kind == EV_TRUNC ? e->len : e->off;
	uint64_t end = e->kind == EV_TRUNC ? fs.top[e->inode] : off + e->len;

	if (fs.top[e->inode] < end)
		fs.top[e->inode] = end;
	while (off < end) {
		uint64_t unit = off / c->unit;
		uint64_t next = (unit + 1) * c->unit;

		if (next > end)
			next = end;
		if (at < unit_until(d, c, e->inode, unit)) {
			if (e->kind == EV_TRUNC)
				memset(bytes + off, 0, next - off);
			else
				memcpy(bytes + off, e->data + (off - e->off),
				       next - off);
		}
		off = next;
	}
	if (at < length_until(d, c, e->inode))
		fs.len[e->inode] = length_after(fs.len[e->inode], e);
}

static uint64_t state_hash(void)
{
	uint64_t hash = fs.there;

	for (size_t i = 0; i < fs.n_names; i++) {
		const struct fs_name *n = &fs.names[i];

		/* A sum: the order of names means nothing. */
		hash += XXH3_64bits_withSeed(
			fs_bytes(n->inode), fs.len[n->inode],
			mix(XXH3_64bits(n->name, strlen(n->name)), n->inode,
			    fs.len[n->inode]));
	}
	return hash ? hash : 1;
}

uint64_t disk_state(const struct disk *d, const struct cut *c)
{
	static bool named[FS_INODES];

	fs_reset();
	fs.next_inode = d->n_files ? d->n_files : 1;
	state_names(d, c);
	for (size_t i = 0; i < fs.n_names; i++) {
		uint32_t inode = fs.names[i].inode;

		named[inode] = true;
		fs.len[inode] = fs.top[inode] = d->files[inode].len;
		if (d->files[inode].len)
			memcpy(fs_bytes(inode), d->files[inode].data,
			       d->files[inode].len);
	}
	for (size_t i = 0; i < d->n_pending; i++) {
		const struct event *e = &d->trace->events[d->pending[i]];

		if (event_is_data(e) && named[e->inode])
			state_apply(d, c, d->pending[i]);
	}
	for (size_t i = 0; i < fs.n_names; i++) {
		uint32_t inode = fs.names[i].inode;

		named[inode] = false;
		if (fs.top[inode] > fs.len[inode])
			memset(fs_bytes(inode) + fs.len[inode], 0,
			       fs.top[inode] - fs.len[inode]);
	}
	return state_hash();
}
