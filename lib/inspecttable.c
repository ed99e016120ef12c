/*
 * A table, NNNNNN.sst, as JSON.
 */
#include "formats/sstable.h"
#include "lib/inspectdump.h"
#include "lib/table.h"

static void put_footer(struct out *o, const struct sst_footer *f)
{
	out_open(o, "footer", '{');
	out_put(o, "uuid", value_hex(f->uuid, sizeof(f->uuid)));
	out_count(o, "number", f->number);
	out_pattern(o, "salt", f->salt);
	out_count(o, "file_bytes", f->file_bytes);
	out_count(o, "data_bytes", f->data_bytes);
	out_count(o, "filter_offset", f->filter_off);
	out_count(o, "filter_blocks", f->filter_blocks);
	out_count(o, "index_offset", f->index_off);
	out_count(o, "index_depth", f->depth);
	out_count(o, "root_offset", f->root.off);
	out_count(o, "root_stored", f->root.len);
	out_count(o, "properties_offset", f->properties.off);
	out_count(o, "properties_stored", f->properties.len);
	out_count(o, "data_blocks", f->data_blocks);
	out_count(o, "entries", f->entries);
	out_count(o, "tombstones", f->tombstones);
	out_close(o);
}

static int dump_footer(struct out *o, const struct dir *dir, const char *name,
		       struct store_error *err)
{
	uint8_t bytes[SST_FOOTER];
	struct sst_footer f;
	const char *why;
	uint64_t size;
	int fd = os_open(dir, name, O_RDONLY, 0, err);
	int r;

	if (fd < 0)
		return fd;
	r = os_size(fd, &size, dir, name, err);
	if (r == 0 && size < SST_FOOTER)
		r = store_corrupt(err, dir->path, name, size,
				  "too short for a table");
	if (r == 0)
		r = os_read(fd, bytes, sizeof(bytes), size - SST_FOOTER, dir,
			    name, err);
	os_close(fd);
	if (r < 0)
		return r;
	why = sst_footer_decode(bytes, size, &f);
	if (why)
		return store_corrupt(err, dir->path, name, size - SST_FOOTER,
				     why);
	put_footer(o, &f);
	return 0;
}

static json_t *numbers_json(const uint64_t *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < n; i++) {
		if (json_array_append_new(list, value_count(v[i]))) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

static void put_key(struct out *o, const char *name, const struct buf *key)
{
	json_t *v = json_object();
	const char *full;
	json_t *text;

	if (!v || value_set_bytes(v, name, buf_slice(key)) < 0)
		out_put(o, name, NULL);
	json_object_foreach(v, full, text) out_put(o, full, json_incref(text));
	json_decref(v);
}

static int dump_props(struct out *o, struct table *t, struct store_error *err)
{
	struct table_props p = TABLE_PROPS_INIT;
	int r = table_props(t, &p, err);

	if (r == 0) {
		out_open(o, "properties", '{');
		out_put(o, "uuid", value_hex(p.uuid, sizeof(p.uuid)));
		out_count(o, "number", p.number);
		out_count(o, "age_first", p.age_first);
		out_count(o, "age_last", p.age_last);
		out_count(o, "level", p.level);
		out_count(o, "run", p.run);
		out_count(o, "entries", p.entries);
		out_count(o, "tombstones", p.tombstones);
		out_count(o, "oldest_tombstone_ms", p.oldest_tombstone_ms);
		out_count(o, "created_ms", p.created_ms);
		out_put(o, "replaces", numbers_json(p.replaces, p.n_replaces));
		out_put(o, "trims", numbers_json(p.trims, p.n_trims));
		if (p.n_trims)
			put_key(o, "trims_below", &p.trims_below);
		put_key(o, "smallest", &p.smallest);
		put_key(o, "largest", &p.largest);
		out_close(o);
	}
	table_props_release(&p);
	return r;
}

static int put_block(void *ctx, const char *kind, uint64_t off, uint64_t stored,
		     uint64_t decoded, const char *codec)
{
	struct out *o = ctx;

	out_put(o, NULL,
		json_pack("{s:s,s:o,s:o,s:o,s:s}", "kind", kind, "offset",
			  value_count(off), "stored", value_count(stored),
			  "decoded", value_count(decoded), "codec", codec));
	return o->r;
}

int dump_table(struct out *o, const struct dir *dir, const char *name,
	       struct store_error *err)
{
	struct table *t = NULL;
	int r = dump_footer(o, dir, name, err);

	if (r == 0)
		r = table_open_name(&t, dir, name, err);
	if (r < 0)
		return r;
	r = dump_props(o, t, err);
	if (r < 0)
		goto out;
	out_open(o, "blocks", '[');
	r = table_blocks(t, put_block, o, err);
	if (r == 0)
		out_close(o);
out:
	table_close(t);
	return r;
}
