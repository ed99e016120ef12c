/*
 * Living memory, STATE and the trees NNNNNN.idx, as JSON.
 */
#include "lib/inspectdump.h"
#include "lib/verifytree.h"

#include <errno.h>

static json_t *pairs_json(const struct token *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list && i < t->n_pairs; i++) {
		json_t *pair = json_pack(
			"{s:o,s:o}", "boot",
			value_hex(t->pairs[i].boot, sizeof(t->pairs[i].boot)),
			"mount", value_count(t->pairs[i].mount));

		if (json_array_append_new(list, pair)) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

static bool this_boot(const struct token *t)
{
	uint8_t boot[16];

	if (os.boot_id(boot) < 0)
		return false;
	for (uint32_t i = 0; i < t->n_pairs; i++)
		if (!memcmp(t->pairs[i].boot, boot, sizeof(boot)))
			return true;
	return false;
}

int dump_token(struct out *o, struct living *l, uint64_t magic,
	       struct store_error *err)
{
	const struct view *v = &l->view;
	struct os_place at;
	struct token t;
	bool cached;
	int r = living_token(l, &t, false, &cached, err);

	if (r < 0)
		return r;
	if (os.place(v->fd, &at) < 0)
		return store_fail_errno(err, v->dir->path, v->name, "statx",
					errno);
	out_open(o, "token", '{');
	out_bool(o, "ok", token_ok(&t, magic, LIVING_VERSION));
	if (token_ok(&t, magic, LIVING_VERSION)) {
		out_count(o, "dev", t.dev);
		out_count(o, "inode", t.inode);
		out_put(o, "uuid", value_hex(t.uuid, sizeof(t.uuid)));
		out_pattern(o, "salt", t.salt);
		out_put(o, "pairs", pairs_json(&t));
		out_bool(o, "this_file",
			 t.dev == at.dev && t.inode == at.inode);
		out_bool(o, "this_boot", this_boot(&t));
	}
	out_close(o);
	return 0;
}

int dump_state_cells(struct out *o, struct living *l, struct store_error *err)
{
	struct slot s;
	int r = living_read(l, STATE_GENERATION_OFF, &s, err);

	if (r < 0)
		return r;
	out_open(o, "generation", '{');
	out_count(o, "seq", s.seq);
	out_count(o, "number", s.v[GENERATION_NUMBER]);
	out_pattern(o, "checksum", s.v[GENERATION_CHECKSUM]);
	out_bool(o, "installing", s.v[GENERATION_INSTALLING]);
	out_close(o);
	r = living_read(l, STATE_COUNTER_OFF, &s, err);
	if (r < 0)
		return r;
	out_open(o, "counter", '{');
	out_count(o, "seq", s.seq);
	out_count(o, "next", s.v[COUNTER_NEXT]);
	out_close(o);
	return 0;
}

int dump_tree_cells(struct out *o, struct living *l, struct store_error *err)
{
	struct slot s;
	int r = living_read(l, IDX_COMMIT_OFF, &s, err);

	if (r < 0)
		return r;
	out_open(o, "commit", '{');
	out_count(o, "seq", s.seq);
	out_count(o, "root", s.v[COMMIT_ROOT] & UINT32_MAX);
	out_count(o, "tail", s.v[COMMIT_ROOT] >> 32);
	out_count(o, "log_bytes", s.v[COMMIT_LOG_BYTES]);
	out_count(o, "nodes", s.v[COMMIT_NODES] & UINT32_MAX);
	out_count(o, "skip", s.v[COMMIT_NODES] >> 32);
	out_count(o, "entries", s.v[COMMIT_ENTRIES]);
	out_pattern(o, "chain", s.v[COMMIT_CHAIN]);
	out_count(o, "batches", s.v[COMMIT_BATCHES]);
	out_close(o);
	r = living_read(l, IDX_SYNC_OFF, &s, err);
	if (r < 0)
		return r;
	out_open(o, "sync", '{');
	out_count(o, "seq", s.seq);
	out_count(o, "length", s.v[SYNC_LENGTH]);
	out_count(o, "syncing", s.v[SYNC_SYNCING]);
	out_bool(o, "poisoned", s.v[SYNC_POISONED]);
	out_close(o);
	return 0;
}

static int open_living(struct living *l, const struct dir *dir,
		       const char *name, struct store_error *err)
{
	return living_open(l, dir, name, false, false, 0, err);
}

const char *dump_role_name(enum lock_role role)
{
	static const char *const names[ROLES] = { "write", "manifest", "sync",
						  "alive", "number" };

	return names[role];
}

bool dump_hint(struct living *state, enum lock_role role, struct hint *h)
{
	const struct view *v = &state->view;
	size_t got;

	return os_read_some(v->fd, h, sizeof(*h),
			    STATE_HINTS_OFF + (uint64_t)role * sizeof(*h), &got,
			    v->dir, v->name, NULL) == 0 &&
	       got == sizeof(*h) && hint_ok(h);
}

int dump_state(struct out *o, const struct dir *dir, const char *name,
	       struct store_error *err)
{
	struct living l;
	struct hint h;
	int r = open_living(&l, dir, name, err);

	if (r < 0)
		return r;
	r = dump_token(o, &l, STATE_MAGIC, err);
	if (r == 0)
		r = dump_state_cells(o, &l, err);
	out_open(o, "hints", '[');
	for (int i = 0; r == 0 && i < ROLES; i++)
		if (dump_hint(&l, (enum lock_role)i, &h))
			out_put(o, NULL,
				json_pack("{s:s,s:o,s:o}", "role",
					  dump_role_name((enum lock_role)i),
					  "tool", value_string(h.tool), "pid",
					  value_count(h.pid)));
	out_close(o);
	living_close(&l);
	return r;
}

/* The shape of the tree alone: the log may not be there. */
int dump_tree(struct out *o, const struct dir *dir, const char *name,
	      struct store_error *err)
{
	struct memtable m = { .dir = dir };
	struct tree_reader t;
	struct root at;
	unsigned height = 0;
	int r = open_living(&m.tree, dir, name, err);

	if (r < 0)
		return r;
	r = dump_token(o, &m.tree, IDX_MAGIC, err);
	if (r == 0)
		r = dump_tree_cells(o, &m.tree, err);
	if (r == 0)
		r = memtable_root(&m, &at, err);
	if (r < 0)
		goto out;
	tree_reader_init(&t, &m, &at);
	r = tree_survey(&t, NULL, NULL, &height, err);
	tree_reader_release(&t);
	if (r == 0) {
		out_count(o, "height", height);
		out_bool(o, "balanced", true);
	}
out:
	living_close(&m.tree);
	return r;
}
