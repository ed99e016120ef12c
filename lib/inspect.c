#include "lib/inspect.h"

#include "lib/inspectdump.h"
#include "lib/inspectpath.h"
#include "lib/inspectstore.h"
#include "lib/tree.h"
#include "lib/trust.h"
#include "lib/wal.h"

#include <stdio.h>

int inspect_file(const char *path, store_sink *sink, void *ctx,
		 struct store_error *err)
{
	struct out o = OUT_INIT(sink, ctx, err);
	struct inspect_path p;
	int r = inspect_path_open(&p, path, err);

	if (r < 0)
		return r;
	out_open(&o, NULL, '{');
	out_string(&o, "file", path);
	out_string(&o, "kind", file_kind_name(p.kind));
	out_count(&o, "bytes", p.bytes);
	if (p.kind == FILE_SST)
		r = dump_table(&o, &p.dir, p.name, err);
	else if (p.kind == FILE_WAL)
		r = dump_log(&o, &p.dir, p.name, err);
	else if (p.kind == FILE_IDX)
		r = dump_tree(&o, &p.dir, p.name, err);
	else if (p.kind == FILE_STATE)
		r = dump_state(&o, &p.dir, p.name, err);
	else if (p.kind == FILE_VER)
		r = dump_image(&o, &p.dir, p.name, err);
	else
		r = dump_manifest(&o, &p.dir, p.name, err);
	if (r < 0 && err)
		out_error(&o, err);
	inspect_path_close(&p);
	return out_end(&o, r);
}

/* ---- the store ---- */

static int put_root(struct out *o, struct memtable *m, struct store_error *err)
{
	struct tree_reader t;
	struct tree_node n = { .height = 0 };
	struct root at;
	uint64_t keys = 0;
	int r = memtable_root(m, &at, err);

	if (r == 0)
		r = memtable_keys(m, &at, &keys, err);
	if (r < 0)
		return r;
	tree_reader_init(&t, m, &at);
	if (at.root)
		r = tree_load(&t, at.root, TREE_HEIGHT_MAX + 1, &n, err);
	tree_reader_release(&t);
	if (r < 0)
		return r;
	out_count(o, "published", at.log_bytes);
	out_count(o, "batches", at.batches);
	out_count(o, "entries", keys);
	out_count(o, "height", n.height);
	return 0;
}

/* What its tree tells of a log, where the tree is to be believed. */
static int put_living_log(struct out *o, struct inspection *in,
			  const struct log_meta *meta, struct store_error *err)
{
	struct store *db = in->db;
	struct memtable *m = NULL;
	struct slot sync;
	int r;

	r = memtable_open(&m, &db->dir, in->m.uuid, meta, false, 0, 0, err);
	if (r == STORE_EGONE)
		return store_corrupt(err, db->dir.path, NAME_MANIFEST,
				     STORE_NO_OFFSET,
				     "names a log that is missing, or whose "
				     "tree is");
	if (r < 0)
		return r;
	r = trust_tree(db, m, err);
	out_bool(o, "trusted", r == 1);
	if (r == 1) {
		r = put_root(o, m, err);
		if (r == 0)
			r = living_read(&m->tree, IDX_SYNC_OFF, &sync, err);
		if (r == 0) {
			out_count(o, "synced", sync.v[SYNC_LENGTH]);
			out_count(o, "syncing", sync.v[SYNC_SYNCING]);
			out_bool(o, "poisoned", sync.v[SYNC_POISONED]);
		}
	}
	memtable_close(m);
	return r;
}

static int put_log(struct out *o, struct inspection *in,
		   const struct log_meta *meta, struct store_error *err)
{
	char name[NAME_SIZE];
	struct stat st;
	int r = 0;

	name_make(name, FILE_WAL, meta->number);
	out_open(o, NULL, '{');
	out_string(o, "file", name);
	out_count(o, "number", meta->number);
	out_bool(o, "sealed", meta->sealed);
	out_count(o, "created_ms", meta->created_ms);
	if (meta->sealed) {
		out_count(o, "length", meta->length);
		out_pattern(o, "checksum", meta->checksum);
	}
	if (os.fstatat(in->db->dir.fd, name, &st) == 0)
		out_count(o, "bytes", (uint64_t)st.st_size);
	if (!in->db->private)
		r = put_living_log(o, in, meta, err);
	if (r == 0)
		out_close(o);
	return r;
}

static json_t *table_json(const struct table_meta *t)
{
	char name[NAME_SIZE];
	json_t *o;

	name_make(name, FILE_SST, t->number);
	o = json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "file", name,
		      "number", value_count(t->number), "age_first",
		      value_count(t->age_first), "age_last",
		      value_count(t->age_last), "bytes", value_count(t->bytes),
		      "entries", value_count(t->entries), "tombstones",
		      value_count(t->tombstones), "oldest_tombstone_ms",
		      value_count(t->oldest_tombstone_ms), "created_ms",
		      value_count(t->created_ms), "checksum",
		      value_pattern(t->checksum));
	if (o &&
	    (value_set_bytes(o, "smallest", buf_slice(&t->smallest)) < 0 ||
	     value_set_bytes(o, "largest", buf_slice(&t->largest)) < 0 ||
	     (t->trimmed && json_object_set_new(o, "trimmed", json_true())))) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static void put_levels(struct out *o, const struct manifest *m)
{
	out_open(o, "levels", '[');
	for (size_t i = 0; i < m->n_levels; i++) {
		out_open(o, NULL, '[');
		for (size_t j = 0; j < m->levels[i].n; j++) {
			const struct run *run = &m->levels[i].runs[j];

			out_open(o, NULL, '[');
			for (size_t k = 0; k < run->n; k++)
				out_put(o, NULL, table_json(&run->tables[k]));
			out_close(o);
		}
		out_close(o);
	}
	out_close(o);
}

static json_t *settings_json(const struct manifest *m)
{
	json_t *v = json_object();

	for (size_t i = 0; v && i < m->n_settings; i++) {
		if (json_object_set_new(v, m->settings[i].name,
					json_string(m->settings[i].value))) {
			json_decref(v);
			v = NULL;
		}
	}
	return v;
}

/* Up to the last level that compaction has written to. */
static size_t compacted_levels(const struct manifest *m)
{
	size_t n = MANIFEST_MAX_LEVELS;

	while (n && m->compacted_bytes[n - 1] == 0)
		n--;
	return n;
}

static void put_manifest(struct out *o, const struct inspection *in)
{
	const struct manifest *m = &in->m;

	out_put(o, "uuid", value_hex(m->uuid, sizeof(m->uuid)));
	out_count(o, "generation", m->generation);
	out_pattern(o, "manifest_checksum", in->checksum);
	out_count(o, "next_number", m->next_number);
	out_count(o, "created_ms", m->created_ms);
	dump_options(o, &m->options);
	out_string(o, "strategy", m->strategy);
	out_put(o, "settings", settings_json(m));
	put_levels(o, m);
	out_count(o, "flushed_bytes", m->flushed_bytes);
	out_open(o, "compacted_bytes", '[');
	for (size_t i = 0; i < compacted_levels(m); i++)
		out_count(o, NULL, m->compacted_bytes[i]);
	out_close(o);
	out_open(o, "dropped", '[');
	for (size_t i = 0; i < m->n_dropped; i++)
		out_put(o, NULL,
			json_pack("{s:o,s:o}", "number",
				  value_count(m->dropped[i].number), "last",
				  value_count(m->dropped[i].last)));
	out_close(o);
}

static int put_state(struct out *o, struct inspection *in,
		     struct store_error *err)
{
	int r;

	if (in->db->private)
		return 0;
	out_open(o, "state", '{');
	r = dump_token(o, &in->db->state, STATE_MAGIC, err);
	if (r == 0)
		r = dump_state_cells(o, &in->db->state, err);
	if (r == 0)
		out_close(o);
	return r;
}

/* Who has a lock, and, as a hint, who had it last. */
static int put_lock(struct out *o, struct inspection *in, enum lock_role role,
		    struct store_error *err)
{
	struct store *db = in->db;
	struct hint h;
	json_t *v;
	int held = lock_held(&db->lock, role, err);

	if (held < 0)
		return held;
	v = json_pack("{s:s,s:b}", "role", dump_role_name(role), "held", held);
	if (v && db->state_open && dump_hint(&db->state, role, &h) &&
	    (json_object_set_new(v, "tool", value_string(h.tool)) ||
	     json_object_set_new(v, "pid", value_count(h.pid)))) {
		json_decref(v);
		v = NULL;
	}
	out_put(o, NULL, v);
	return 0;
}

static int put_locks(struct out *o, struct inspection *in,
		     struct store_error *err)
{
	int r = 0;

	out_open(o, "locks", '[');
	for (int i = 0; r == 0 && in->locked && i < ROLES; i++)
		r = put_lock(o, in, (enum lock_role)i, err);
	out_close(o);
	return r;
}

static int put_files(struct out *o, struct inspection *in,
		     struct store_error *err)
{
	struct listing l = LISTING_INIT;
	int r = listing_make(in, &l, err);

	if (r < 0)
		return r;
	out_open(o, "files", '[');
	for (size_t i = 0; i < l.n; i++)
		out_put(o, NULL,
			json_pack("{s:o,s:s,s:s,s:o}", "name",
				  value_string(l.files[i].name), "kind",
				  file_kind_name(l.files[i].kind), "standing",
				  standing_name(l.files[i].standing), "bytes",
				  value_count(l.files[i].bytes)));
	out_close(o);
	listing_release(&l);
	return 0;
}

static const char *truth_name(enum inspection_truth t)
{
	static const char *const names[] = {
		[TRUTH_PUBLISHED] = "published",
		[TRUTH_INSTALL] = "installing",
		[TRUTH_OTHER] = "not the published one",
		[TRUTH_ALONE] = "alone",
	};

	return names[t];
}

static int dump_store(struct out *o, struct inspection *in,
		      struct store_error *err)
{
	int r = inspection_read(in, err);

	if (r < 0)
		return r;
	out_bool(o, "trusted", !in->db->private);
	out_string(o, "manifest", truth_name(in->truth));
	put_manifest(o, in);
	out_open(o, "logs", '[');
	for (size_t i = 0; r == 0 && i < in->m.n_logs; i++)
		r = put_log(o, in, &in->m.logs[i], err);
	if (r < 0)
		return r;
	out_close(o);
	if ((r = put_state(o, in, err)) < 0 || (r = put_locks(o, in, err)) < 0)
		return r;
	return put_files(o, in, err);
}

int inspect_store(const char *dir, int64_t timeout_ms, store_sink *sink,
		  void *ctx, struct store_error *err)
{
	struct out o = OUT_INIT(sink, ctx, err);
	struct inspection in = INSPECTION_INIT;
	int r = inspection_open(&in, dir, timeout_ms, err);

	if (r < 0)
		return r;
	out_open(&o, NULL, '{');
	out_string(&o, "store", dir);
	r = dump_store(&o, &in, err);
	if (r == STORE_ENOSTORE) { /* no document at all */
		buf_free(&o.buf);
		inspection_close(&in);
		return r;
	}
	if (r < 0 && err)
		out_error(&o, err);
	inspection_close(&in);
	return out_end(&o, r);
}
