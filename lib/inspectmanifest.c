/*
 * MANIFEST.json and the version image NNNNNN.ver, as JSON.
 */
#include "formats/version.h"
#include "lib/inspectdump.h"
#include "lib/inspectstore.h"

static json_t *option_json(const struct options *o, const struct option_spec *s)
{
	uint64_t v = option_get(o, s);

	if (s->type != OPTION_WORD)
		return value_count(v);
	for (uint64_t i = 0; s->words[i]; i++)
		if (i == v)
			return json_string(s->words[i]);
	return value_count(v);
}

void dump_options(struct out *o, const struct options *options)
{
	out_open(o, "options", '{');
	for (const struct option_spec *s = option_specs; s->name; s++)
		out_put(o, s->name, option_json(options, s));
	out_close(o);
}

json_t *log_meta_json(const struct log_meta *l)
{
	json_t *v = json_pack("{s:o,s:b,s:o}", "number", value_count(l->number),
			      "sealed", (int)l->sealed, "created_ms",
			      value_count(l->created_ms));

	if (v && l->sealed &&
	    (json_object_set_new(v, "length", value_count(l->length)) ||
	     json_object_set_new(v, "checksum", value_pattern(l->checksum)))) {
		json_decref(v);
		v = NULL;
	}
	return v;
}

static int dump_run(struct out *o, const struct version *v,
		    const struct version_run *run, struct inspection_image *i,
		    struct store_error *err)
{
	struct version_table t;
	int r = 0;

	out_open(o, NULL, '{');
	out_count(o, "level", run->level);
	out_count(o, "run", run->index);
	out_count(o, "bytes", run->bytes);
	out_count(o, "age_last", run->age_last);
	out_open(o, "tables", '[');
	for (uint64_t n = 0; r == 0 && n < run->tables; n++) {
		r = version_table_at(v, &i->source, &i->window, run, n, &t,
				     err);
		if (r == 0)
			out_put(o, NULL,
				json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:b}",
					  "number", value_count(t.number),
					  "age_first", value_count(t.age_first),
					  "age_last", value_count(t.age_last),
					  "bytes", value_count(t.bytes),
					  "entries", value_count(t.entries),
					  "checksum", value_pattern(t.checksum),
					  "trimmed", (int)t.trimmed));
	}
	if (r < 0)
		return r;
	out_close(o);
	out_close(o);
	return 0;
}

static int dump_version(struct out *o, struct inspection_image *i,
			struct store_error *err)
{
	struct version v = VERSION_INIT;
	int r = version_open(&v, &i->source, &i->window, err);

	if (r < 0)
		return r;
	out_put(o, "uuid", value_hex(v.uuid, sizeof(v.uuid)));
	out_count(o, "generation", v.generation);
	out_pattern(o, "manifest_checksum", v.manifest_checksum);
	out_count(o, "pages", i->source.pages);
	out_count(o, "levels", v.n_levels);
	out_count(o, "tables", v.tables);
	dump_options(o, &v.options);
	out_open(o, "logs", '[');
	for (size_t n = 0; n < v.n_logs; n++)
		out_put(o, NULL, log_meta_json(&v.logs[n]));
	out_close(o);
	out_open(o, "runs", '[');
	for (size_t n = 0; r == 0 && n < v.n_runs; n++)
		r = dump_run(o, &v, &v.runs[n], i, err);
	if (r == 0)
		out_close(o);
	version_release(&v);
	return r;
}

int dump_image(struct out *o, const struct dir *dir, const char *name,
	       struct store_error *err)
{
	struct inspection_image i;
	int r = inspection_image_open(&i, dir, name, err);

	if (r < 0)
		return r;
	r = dump_version(o, &i, err);
	if (r == 0)
		r = version_check(&i.source, &i.window, NULL, err);
	if (r == 0)
		out_bool(o, "sound", true);
	inspection_image_close(&i);
	return r;
}

/* What does not parse as a manifest is shown if it is JSON at least. */
int dump_manifest(struct out *o, const struct dir *dir, const char *name,
		  struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	struct buf text = BUF_INIT;
	json_t *any;
	int r;

	r = os_read_file(dir, name, MANIFEST_MAX_BYTES, &text, err);
	if (r < 0)
		goto out;
	out_pattern(o, "checksum", manifest_checksum(buf_slice(&text)));
	r = manifest_parse(&m, buf_slice(&text), dir->path, name, err);
	out_bool(o, "sound", r == 0);
	if (r == 0) {
		out_text(o, "manifest",
			 slice_make(text.data, text.len - 1)); /* its LF */
	} else {
		any = json_loadb((char *)text.data, text.len, 0, NULL);
		if (any)
			out_put(o, "manifest", any);
	}
out:
	manifest_release(&m);
	buf_free(&text);
	return r;
}
