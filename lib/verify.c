#include "lib/verify.h"

#include "lib/inspectout.h"
#include "lib/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

const struct finding_code finding_codes[] = {
	[FIND_MANIFEST] = { "manifest", true,
			    "MANIFEST.json is damaged, or breaks an "
			    "invariant" },
	[FIND_PUBLISHED] = { "published", true,
			     "MANIFEST.json is not the one that STATE "
			     "publishes" },
	[FIND_COUNTER] = { "counter", true,
			   "the next file number is not above all that are in "
			   "use" },
	[FIND_IMAGE] = { "image", true,
			 "the version image differs from the manifest" },
	[FIND_MISSING] = { "missing", true,
			   "a file that the manifest names is not there" },
	[FIND_TABLE] = { "table", true,
			 "a table is damaged, or not the one the manifest "
			 "names" },
	[FIND_LOG] = { "log", true,
		       "a log is damaged, or not the one the manifest names" },
	[FIND_TREE] = { "tree", true,
			"a tree that is believed is damaged, or differs from "
			"its log" },
	[FIND_UNTRUSTED] = { "untrusted", false,
			     "living memory is not believed here: the files "
			     "were verified alone" },
	[FIND_INSTALL] = { "install", false,
			   "an install broke off; the next writer finishes "
			   "it" },
	[FIND_OLD_IMAGE] = { "stale-image", false,
			     "a version image is of no use; the manifest is "
			     "parsed instead" },
	[FIND_NO_TREE] = { "no-tree", false,
			   "a log has no tree that is believed; it is rebuilt "
			   "at the next start" },
	[FIND_TAIL] = { "tail", false,
			"a torn tail behind the valid batches; the next "
			"writer cuts it off" },
	[FIND_POISONED] = { "poisoned", false,
			    "a sync of this log failed or broke off; the next "
			    "writer heals it" },
	[FIND_ORPHAN] = { "orphan", false,
			  "nothing needs this file; the next sweep unlinks "
			  "it" },
	[FIND_TEMPORARY] = { "temporary", false,
			     "left by a process that died; the next sweep "
			     "unlinks it" },
	[FIND_FOREIGN] = { "foreign", false, "not a file of a store" },
	{ NULL, false, NULL },
};

int verify_find(struct verify *v, enum finding_id id, const char *file,
		uint64_t offset, const char *text)
{
	const struct verify_config *c = v->config;
	struct finding f = { .code = finding_codes[id].code,
			     .file = file,
			     .offset = offset,
			     .text = text ? text : finding_codes[id].text,
			     .fatal = finding_codes[id].fatal };
	int r;

	if (c->strict && (id == FIND_ORPHAN || id == FIND_TEMPORARY))
		f.fatal = true;
	if (f.fatal) {
		v->damaged = true;
		store_corrupt(&v->first, v->in.db->dir.path, file, offset,
			      f.text);
	}
	r = c->found ? c->found(c->ctx, &f) : 0;
	if (r < 0)
		v->stop = r;
	return v->stop;
}

/*
 * Take "DIR/FILE: offset N: why" apart, as formats/error.h says it is made;
 * `name` has room for NAME_SIZE bytes.  Returns the why.
 */
static const char *take_apart(const char *text, const char *dir, char *name,
			      uint64_t *off)
{
	size_t n = strlen(dir), m;
	const char *file = text + n + 1;
	int used = 0;

	*off = STORE_NO_OFFSET;
	name[0] = '\0';
	if (strncmp(text, dir, n) || text[n] != '/')
		return text;
	m = strcspn(file, ":");
	if (m >= NAME_SIZE || file[m] != ':' || file[m + 1] != ' ')
		return text;
	memcpy(name, file, m);
	name[m] = '\0';
	text = file + m + 2;
	if (sscanf(text, "offset %" SCNu64 ": %n", off, &used) < 1 || !used)
		*off = STORE_NO_OFFSET;
	return text + used;
}

int verify_error(struct verify *v, enum finding_id id, const char *file,
		 const struct store_error *e, struct store_error *err)
{
	char name[NAME_SIZE];
	const char *why;
	uint64_t off;

	if (e->code == 0)
		return v->stop;
	if (e->code != STORE_ECORRUPT) {
		if (err && err->code == 0)
			*err = *e;
		return e->code;
	}
	why = take_apart(e->text, v->in.db->dir.path, name, &off);
	return verify_find(v, id, name[0] ? name : file, off, why);
}

int finding_json(const struct finding *f, struct buf *out,
		 struct store_error *err)
{
	json_t *o = json_pack("{s:s,s:b,s:o}", "code", f->code, "fatal",
			      (int)f->fatal, "file", value_string(f->file));
	char *text = NULL;
	int r = -1;

	if (o &&
	    (f->offset == STORE_NO_OFFSET ||
	     !json_object_set_new(o, "offset", value_count(f->offset))) &&
	    !json_object_set_new(o, "text", value_string(f->text)))
		text = json_dumps(o, JSON_COMPACT);
	if (text)
		r = buf_append(out, text, strlen(text)) < 0
			    ? -1
			    : buf_append_u8(out, '\n');
	free(text);
	json_decref(o);
	return r < 0 ? store_nomem(err) : 0;
}

/* ---- tables ---- */

static int check_table(struct verify *v, struct table *t,
		       const struct table_meta *meta, const char *name,
		       struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	struct table_props p = TABLE_PROPS_INIT;
	int r = table_verify(t, meta, &e);

	if (r == 0)
		r = table_props(t, &p, &e);
	if (r == 0 && memcmp(p.uuid, v->in.m.uuid, sizeof(p.uuid)))
		r = store_corrupt(&e, v->in.db->dir.path, name, STORE_NO_OFFSET,
				  "a table of another store");
	table_props_release(&p);
	return r < 0 ? verify_error(v, FIND_TABLE, name, &e, err) : 0;
}

static int check_one(struct verify *v, const struct table_meta *meta,
		     struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	struct table *t = NULL;
	char name[NAME_SIZE];
	int r;

	name_make(name, FILE_SST, meta->number);
	r = table_open(&t, &v->in.db->dir, meta->number, NULL, NULL, &e);
	if (r == STORE_EGONE)
		return verify_find(v, FIND_MISSING, name, STORE_NO_OFFSET,
				   NULL);
	if (r < 0)
		return verify_error(v, FIND_TABLE, name, &e, err);
	r = check_table(v, t, meta, name, err);
	table_close(t);
	return r;
}

static int check_tables(struct verify *v, struct store_error *err)
{
	const struct manifest *m = &v->in.m;
	int r = 0;

	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t i = 0; i < m->levels[l].n; i++) {
			const struct run *run = &m->levels[l].runs[i];

			for (size_t k = 0; r == 0 && k < run->n; k++)
				r = check_one(v, &run->tables[k], err);
		}
	return r;
}

/* ---- manifest, image, STATE ---- */

static int check_truth(struct verify *v)
{
	switch (v->in.truth) {
	case TRUTH_INSTALL:
		return verify_find(v, FIND_INSTALL, NAME_STATE,
				   STATE_GENERATION_OFF, NULL);
	case TRUTH_OTHER:
		return verify_find(v, FIND_PUBLISHED, NAME_MANIFEST,
				   STORE_NO_OFFSET, NULL);
	case TRUTH_ALONE:
		return verify_find(v, FIND_UNTRUSTED, NAME_STATE,
				   STORE_NO_OFFSET, NULL);
	default:
		return 0;
	}
}

/* Of STATE, what no manifest can vouch for. */
static int check_counter(struct verify *v, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	struct slot s;
	int r;

	if (v->in.db->private)
		return 0;
	r = living_read(&v->in.db->state, STATE_COUNTER_OFF, &s, &e);
	if (r < 0)
		return verify_error(v, FIND_COUNTER, NAME_STATE, &e, err);
	if (s.v[COUNTER_NEXT] < v->in.m.next_number ||
	    s.v[COUNTER_NEXT] > NUMBER_MAX)
		return verify_find(v, FIND_COUNTER, NAME_STATE,
				   STATE_COUNTER_OFF, NULL);
	return 0;
}

/*
 * The image, if there is one.  It is never synced: after a crash, when living
 * memory is not believed, it may be anything.
 */
static int check_image(struct verify *v, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	struct inspection_image i;
	char name[NAME_SIZE];
	int r;

	name_make(name, FILE_VER, v->in.m.generation);
	r = inspection_image_open(&i, &v->in.db->dir, name, &e);
	if (r == STORE_EGONE)
		return 0;
	if (r == 0) {
		r = version_check(&i.source, &i.window, &v->in.m, &e);
		inspection_image_close(&i);
	}
	if (r == 0)
		return 0;
	return verify_error(v, v->in.db->private ? FIND_OLD_IMAGE : FIND_IMAGE,
			    name, &e, err);
}

/* ---- the directory ---- */

static int check_files(struct verify *v, struct store_error *err)
{
	struct listing l = LISTING_INIT;
	int r = listing_make(&v->in, &l, err);

	for (size_t i = 0; r == 0 && i < l.n; i++) {
		const struct listed *f = &l.files[i];

		if (f->standing == STANDING_ORPHAN)
			r = verify_find(v, FIND_ORPHAN, f->name,
					STORE_NO_OFFSET, NULL);
		else if (f->standing == STANDING_TEMPORARY && f->left)
			r = verify_find(v, FIND_TEMPORARY, f->name,
					STORE_NO_OFFSET, NULL);
		else if (f->standing == STANDING_FOREIGN)
			r = verify_find(v, FIND_FOREIGN, f->name,
					STORE_NO_OFFSET, NULL);
	}
	listing_release(&l);
	return r;
}

static int check_all(struct verify *v, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	int r = inspection_read(&v->in, &e);

	if (r < 0)
		return verify_error(v, FIND_MANIFEST, NAME_MANIFEST, &e, err);
	if ((r = check_truth(v)) < 0 || (r = check_counter(v, err)) < 0 ||
	    (r = check_image(v, err)) < 0)
		return r;
	for (size_t i = 0; r == 0 && i < v->in.m.n_logs; i++)
		r = verify_log(v, &v->in.m.logs[i], err);
	if (r == 0)
		r = check_tables(v, err);
	if (r == 0)
		r = check_files(v, err);
	return r;
}

int verify_store(const char *dir, const struct verify_config *config,
		 struct store_error *err)
{
	struct verify v = { .in = INSPECTION_INIT,
			    .config = config,
			    .first = STORE_ERROR_INIT };
	int r = inspection_open(&v.in, dir, config->timeout_ms, err);

	if (r < 0)
		return r;
	r = check_all(&v, err);
	inspection_close(&v.in);
	if (r < 0)
		return r;
	if (v.damaged && err && err->code == 0)
		*err = v.first;
	return v.damaged;
}
