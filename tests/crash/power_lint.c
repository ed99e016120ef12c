#include "tests/crash/power_disk.h"

#include "formats/manifest.h"
#include "formats/wal.h"

#include <stdio.h>
#include <string.h>

static int bad(const struct disk *d, const char *name, const char *what)
{
	printf("# event %zu: %s: %s\n", d->at, name, what);
	return -1;
}

/* A file that a manifest names: is it safe, under that name? */
static int check_named(const struct disk *d, enum file_kind kind,
		       uint64_t number, uint64_t len)
{
	char name[NAME_SIZE];
	uint32_t inode;

	name_make(name, kind, number);
	inode = disk_find(d, name);
	if (!inode)
		return bad(d, name, "named by a manifest, the name not synced");
	if (d->files[inode].len < len)
		return bad(d, name, "named by a manifest, bytes not synced");
	if (kind == FILE_SST && d->files[inode].pending)
		return bad(d, name, "named by a manifest, writes not synced");
	return 0;
}

/* MANIFEST.json is about to be the file `inode`. */
static int check_manifest(const struct disk *d, uint32_t inode)
{
	const struct disk_file *f = &d->files[inode];
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT;
	int r = 0;

	if (f->pending)
		return bad(d, NAME_MANIFEST_TMP, "renamed, not synced");
	if (manifest_parse(&m, slice_make(f->data, (size_t)f->len), FS_DIR,
			   NAME_MANIFEST, &err) < 0)
		return bad(d, NAME_MANIFEST, err.text);
	for (size_t i = 0; r == 0 && i < m.n_logs; i++)
		r = check_named(d, FILE_WAL, m.logs[i].number,
				m.logs[i].sealed ? m.logs[i].length
						 : WAL_HEADER);
	for (size_t l = 0; l < m.n_levels; l++)
		for (size_t i = 0; i < m.levels[l].n; i++)
			for (size_t k = 0; r == 0 && k < m.levels[l].runs[i].n;
			     k++)
				r = check_named(
					d, FILE_SST,
					m.levels[l].runs[i].tables[k].number,
					m.levels[l].runs[i].tables[k].bytes);
	manifest_release(&m);
	return r;
}

/* Is a rename to MANIFEST.json not yet durable? */
static bool manifest_pending(const struct disk *d)
{
	for (size_t i = 0; i < d->n_pending; i++) {
		const struct event *e = &d->trace->events[d->pending[i]];

		if (e->kind == EV_RENAME && !strcmp(e->to, NAME_MANIFEST))
			return true;
	}
	return false;
}

static int check_event(const struct disk *d, const struct event *e)
{
	uint64_t number;
	enum file_kind k = name_parse(e->name, &number);

	if (e->kind == EV_RENAME && !strcmp(e->to, NAME_MANIFEST))
		return check_manifest(d, e->inode);
	if (e->kind == EV_RENAME && k == FILE_SST_TMP &&
	    d->files[e->inode].pending)
		return bad(d, e->to, "renamed, not synced");
	if (e->kind == EV_UNLINK && (k == FILE_SST || k == FILE_WAL) &&
	    manifest_pending(d))
		return bad(d, e->name, "unlinked, the manifest not synced");
	return 0;
}

int trace_lint(const struct trace *t)
{
	struct disk d;
	int r = 0;

	fs_reset();
	disk_init(&d, t, DISK_WEAK);
	while (r == 0 && d.at < t->n) {
		r = check_event(&d, &t->events[d.at]);
		disk_advance(&d);
	}
	disk_release(&d);
	return r;
}
