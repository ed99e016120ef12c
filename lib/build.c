#include "lib/build.h"

#include "formats/bloom.h"
#include "formats/props.h"
#include "lib/packing.h"

#define CHUNKS_MAX 20u /* bytes that name a value's chunks, at most */

struct build {
	const struct build_spec *spec;
	struct tableout out;
	struct block_writer data;
	struct places blocks;
	struct packing *packing;  /* who writes data blocks, or NULL */
	struct sst_place unnamed; /* a data block that has no separator yet */
	uint64_t stretch;	  /* the block begun may become so long */
	struct buf hashes;	  /* uint64_t each, for the filter */
	struct buf value;	  /* of an entry whose value is in chunks */
	struct buf smallest;
	uint64_t data_blocks, entries, tombstones;
	struct sst_footer footer;
	bool sealed;
};

static void build_free(struct build *b)
{
	packing_free(b->packing);
	tableout_release(&b->out);
	block_writer_release(&b->data);
	places_release(&b->blocks);
	buf_free(&b->hashes);
	buf_free(&b->value);
	buf_free(&b->smallest);
	free(b);
}

int build_open(struct build **out, const struct build_spec *spec,
	       struct store_error *err)
{
	struct build *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return store_nomem(err);
	b->spec = spec;
	b->data = BLOCK_WRITER_INIT((uint32_t)spec->options->restart_interval);
	r = tableout_open(&b->out, spec->dir, spec->number, spec->codec,
			  spec->mode, spec->counters, err);
	b->out.passing = spec->passing;
	if (r < 0) {
		free(b);
		return r;
	}
	if (spec->packs &&
	    (r = packing_new(&b->packing, &b->out, &b->blocks, err)) < 0) {
		build_abort(b);
		return r;
	}
	*out = b;
	return 0;
}

void build_abort(struct build *b)
{
	if (!b)
		return;
	tableout_abort(&b->out);
	build_free(b);
}

static int end_data_block(struct build *b, struct store_error *err)
{
	if (b->data.count == 0)
		return 0;
	b->data_blocks++;
	b->stretch = 0;
	if (b->packing) {
		b->unnamed.len = 1; /* its place the thread will know */
		return packing_add(b->packing, &b->data, err);
	}
	return tableout_writer(&b->out, &b->data, SST_DATA, &b->unnamed, err);
}

/* The last data block is whole: give it its separator. */
static int name_block(struct build *b, struct slice separator,
		      struct store_error *err)
{
	int r;

	if (b->unnamed.len == 0)
		return 0;
	r = b->packing ? packing_name(b->packing, separator, err)
		       : places_add(&b->blocks, separator, b->unnamed, err);
	b->unnamed.len = 0;
	return r;
}

static int name_block_before(struct build *b, struct slice key,
			     struct store_error *err)
{
	if (b->unnamed.len == 0)
		return 0;
	return name_block(b, sst_separator(build_last_key(b), key), err);
}

/* From now on all is written by who calls. */
static int end_packing(struct build *b, struct store_error *err)
{
	int r = packing_end(b->packing, err);

	b->packing = NULL;
	return r;
}

static int next_chunk(struct iter *it, uint64_t i, struct slice *chunk,
		      struct store_error *err)
{
	const struct entry *e = &it->e;
	uint32_t len = sst_chunk_len(e->value_len, i);
	int r;

	if (!e->chunked) {
		*chunk = slice_make(e->value.data + i * SST_CHUNK, len);
		return 0;
	}
	r = it->ops->chunk(it, i, chunk, err);
	if (r == 0 && chunk->len != len)
		r = store_fail(err, STORE_EBUG, "a chunk of another length");
	return r;
}

/* Write the chunks and their map; `value` becomes what the entry says. */
static int put_chunks(struct build *b, struct iter *it, struct buf *value,
		      struct store_error *err)
{
	uint64_t len = it->e.value_len;
	struct buf map = BUF_INIT;
	struct sst_place at;
	struct slice chunk;
	int r = 0;

	if (buf_append_u64(&map, tableout_end(&b->out)) < 0)
		r = store_nomem(err);
	for (uint64_t i = 0; r == 0 && i < sst_chunk_count(len); i++) {
		if ((r = next_chunk(it, i, &chunk, err)) < 0 ||
		    (r = tableout_block(&b->out, chunk, SST_CHUNKS, &at, err)) <
			    0)
			break;
		if (buf_append_u32(&map, at.len) < 0)
			r = store_nomem(err);
	}
	if (r == 0)
		r = tableout_block(&b->out, buf_slice(&map), SST_CHUNKMAP, &at,
				   err);
	buf_clear(value);
	if (r == 0 && (buf_append_varint(value, len) < 0 ||
		       buf_append_varint(value, at.off) < 0 ||
		       buf_append_varint(value, at.len) < 0))
		r = store_nomem(err);
	buf_free(&map);
	return r;
}

static int check_entry(const struct build *b, const struct entry *e,
		       struct store_error *err)
{
	bool in_order =
		b->entries == 0 || slice_cmp(build_last_key(b), e->key) < 0;
	bool sound = e->key.len >= 1 && e->key.len <= KEY_MAX &&
		     e->value_len <= VALUE_MAX &&
		     (e->kind == ENTRY_PUT || e->kind == ENTRY_DELETE) &&
		     (e->chunked ? e->value_len > VALUE_INLINE_MAX
				 : e->value_len == e->value.len);

	if (in_order && sound)
		return 0;
	return store_fail(err, STORE_EBUG, "%s: %s", b->out.tmp,
			  in_order ? "a malformed entry" : "keys out of order");
}

/*
 * Would the block be nearer to the size it should have without this entry?
 * Where few fit in, one more is worth a little too much.
 */
static bool is_full(const struct build *b, size_t key_len, size_t value_len)
{
	uint64_t want = b->spec->options->block_bytes;
	uint64_t size = block_writer_size(&b->data);
	uint64_t with = block_writer_size_with(&b->data, key_len, value_len);

	if (b->data.count == 0 || with <= want || with <= b->stretch ||
	    (b->data.count < BUILD_ENTRIES_FEW && with <= 2 * want))
		return false;
	return with + size > 2 * want;
}

int build_add(struct build *b, struct iter *it, struct store_error *err)
{
	const struct entry *e = &it->e;
	struct block_entry out = { .kind = (enum block_kind)e->kind };
	uint64_t hash = bloom_hash(e->key);
	int r;

	if ((r = check_entry(b, e, err)) < 0)
		return r;
	if (e->kind == ENTRY_PUT) {
		out.expires_ms = e->expires_ms;
		out.chunked = e->value_len > VALUE_INLINE_MAX;
		out.value = e->value;
	}
	/* cut first: chunks lie right before the block of their entry */
	if (is_full(b, e->key.len, out.chunked ? CHUNKS_MAX : out.value.len) &&
	    (r = end_data_block(b, err)) < 0)
		return r;
	if ((r = name_block_before(b, e->key, err)) < 0)
		return r;
	if (out.chunked) {
		if ((r = end_packing(b, err)) < 0 ||
		    (r = put_chunks(b, it, &b->value, err)) < 0)
			return r;
		out.value = buf_slice(&b->value);
	}
	if (block_writer_add(&b->data, e->key, &out) < 0 ||
	    (b->spec->options->filter_bits &&
	     buf_append(&b->hashes, &hash, sizeof(hash)) < 0) ||
	    (b->entries == 0 && buf_assign(&b->smallest, e->key) < 0))
		return store_nomem(err);
	b->entries++;
	b->tombstones += e->kind == ENTRY_DELETE;
	return 0;
}

/* Is the block what the options would have made of its entries, about? */
static bool is_usual(const struct build *b, const struct wholeblock *w)
{
	const struct options *o = b->spec->options;
	uint64_t size = w->b.stored.decoded;

	return w->b.stored.codec == b->out.packer.codec &&
	       size >= o->block_bytes / 2 &&
	       (size <= 2 * o->block_bytes || w->entries == 1);
}

/*
 * Can a block end here, before one of `size` bytes?  If it would be too small,
 * and does not become too long with these, it gets them, too: then it ends
 * where theirs ended, and those that follow may stay as they are.
 */
static bool ends_well(struct build *b, uint64_t size)
{
	uint64_t want = b->spec->options->block_bytes;
	uint64_t held = block_writer_size(&b->data);

	if (b->data.count == 0 || held >= want / 2)
		return true;
	if (held + size <= 2 * want)
		b->stretch = held + size + want / 8;
	return false;
}

int build_add_block(struct build *b, const struct iter *it,
		    const struct wholeblock *w, struct store_error *err)
{
	int r;

	if (!is_usual(b, w) || !ends_well(b, w->b.stored.decoded))
		return 0;
	if ((r = check_entry(b, &it->e, err)) < 0 ||
	    (r = end_data_block(b, err)) < 0 ||
	    (r = name_block_before(b, it->e.key, err)) < 0)
		return r;
	if (b->packing) {
		b->unnamed.len = 1;
		r = packing_move(b->packing, &w->b.stored, err);
	} else {
		r = tableout_move(&b->out, &w->b.stored, SST_DATA, &b->unnamed,
				  err);
	}
	if (r < 0)
		return r;
	if ((b->spec->options->filter_bits &&
	     buf_append_slice(&b->hashes, buf_slice(&w->hashes)) < 0) ||
	    (b->entries == 0 && buf_assign(&b->smallest, it->e.key) < 0) ||
	    buf_assign(&b->data.last, buf_slice(&w->r.key)) < 0)
		return store_nomem(err);
	b->entries += w->entries;
	b->data_blocks++;
	COUNT(b->spec->counters, blocks_moved, 1);
	return 1;
}

uint64_t build_bytes(const struct build *b)
{
	uint64_t written =
		b->packing ? packing_bytes(b->packing)
			   : tableout_end(&b->out) + b->blocks.bytes.len;

	return written + block_writer_size(&b->data) +
	       b->entries * b->spec->options->filter_bits / 8 + SST_FOOTER;
}

uint64_t build_entries(const struct build *b)
{
	return b->entries;
}

struct slice build_last_key(const struct build *b)
{
	return buf_slice(&b->data.last);
}

/* ---- finishing ---- */

/* A filter of several pages starts at a page of the file: one read a lookup. */
static int put_filter(struct build *b, struct store_error *err)
{
	struct sst_footer *f = &b->footer;
	uint64_t blocks =
		bloom_blocks(b->entries, b->spec->options->filter_bits);
	struct buf *out = &b->out.pending;
	struct bits bits = BITS_INIT;
	uint64_t pad = -tableout_end(&b->out) % BLOOM_PAGE;
	uint64_t hash;
	int r = 0;

	if (bloom_pages(blocks) > 1 && buf_append_zeros(out, pad) < 0)
		return store_nomem(err);
	f->filter_off = tableout_end(&b->out);
	f->filter_blocks = blocks;
	if (blocks == 0)
		return 0;
	if (bits_init(&bits, blocks * BLOOM_BLOCK * 8) < 0)
		return store_nomem(err);
	for (size_t i = 0; i < b->hashes.len; i += sizeof(hash)) {
		memcpy(&hash, b->hashes.data + i, sizeof(hash));
		bloom_add(&bits, hash);
	}
	for (uint64_t p = 0; r == 0 && p < bloom_pages(blocks); p++) {
		if (buf_reserve(out, BLOOM_PAGE) < 0) {
			r = store_nomem(err);
			break;
		}
		bloom_page_encode(&bits, p, b->out.salt, out->data + out->len);
		out->len += bloom_page_len(blocks, p);
		r = tableout_flow(&b->out, err);
	}
	bits_release(&bits);
	return r;
}

static uint64_t oldest_tombstone(const struct build *b)
{
	const struct build_spec *s = b->spec;

	if (b->tombstones == 0)
		return 0;
	return s->oldest_tombstone_ms ? s->oldest_tombstone_ms : s->created_ms;
}

static int put_props(struct build *b, struct store_error *err)
{
	const struct build_spec *s = b->spec;
	struct buf text = BUF_INIT;
	struct table_props p = {
		.number = s->number,
		.age_first = s->age_first,
		.age_last = s->age_last,
		.level = s->level,
		.run = s->run,
		.entries = b->entries,
		.tombstones = b->tombstones,
		.oldest_tombstone_ms = oldest_tombstone(b),
		.created_ms = s->created_ms,
		.replaces = (uint64_t *)(uintptr_t)s->replaces,
		.n_replaces = s->n_replaces,
		.trims = (uint64_t *)(uintptr_t)s->trims,
		.n_trims = s->n_trims,
		.trims_below = { (uint8_t *)(uintptr_t)s->trims_below.data,
				 s->trims_below.len, s->trims_below.len },
		.smallest = b->smallest, /* lent, as all of these */
		.largest = b->data.last,
	};
	int r;

	memcpy(p.uuid, s->uuid, sizeof(p.uuid));
	if (props_encode(&p, &text) < 0)
		r = store_nomem(err);
	else
		r = tableout_block(&b->out, buf_slice(&text), SST_PROPERTIES,
				   &b->footer.properties, err);
	buf_free(&text);
	return r;
}

static int put_footer(struct build *b, struct store_error *err)
{
	struct sst_footer *f = &b->footer;
	uint8_t bytes[SST_FOOTER];

	memcpy(f->uuid, b->spec->uuid, sizeof(f->uuid));
	f->number = b->spec->number;
	f->salt = b->out.salt;
	f->file_bytes = tableout_end(&b->out) + SST_FOOTER;
	f->data_blocks = b->data_blocks;
	f->entries = b->entries;
	f->tombstones = b->tombstones;
	sst_footer_encode(bytes, f);
	return buf_append(&b->out.pending, bytes, SST_FOOTER) < 0
		       ? store_nomem(err)
		       : 0;
}

/* All that can be told before the table's age is known. */
static int put_body(struct build *b, struct store_error *err)
{
	int r;

	if (b->entries == 0)
		return store_fail(err, STORE_EBUG, "%s: a table of no entries",
				  b->out.tmp);
	if ((r = end_data_block(b, err)) < 0 ||
	    (r = name_block(b, build_last_key(b), err)) < 0 ||
	    (r = end_packing(b, err)) < 0)
		return r;
	b->footer.data_bytes = tableout_end(&b->out);
	if ((r = put_filter(b, err)) < 0)
		return r;
	return buildindex_write(&b->out, &b->blocks, &b->footer, err);
}

int build_seal(struct build *b, struct store_error *err)
{
	int r;

	if ((r = put_body(b, err)) < 0 ||
	    (r = tableout_pause(&b->out, err)) < 0)
		return r;
	places_release(&b->blocks);
	buf_free(&b->hashes);
	b->sealed = true;
	return 0;
}

static int put_rest(struct build *b, struct store_error *err)
{
	int r = b->sealed ? tableout_resume(&b->out, err) : put_body(b, err);

	if (r < 0 || (r = put_props(b, err)) < 0 ||
	    (r = put_footer(b, err)) < 0)
		return r;
	return tableout_drain(&b->out, err);
}

static int fill_meta(const struct build *b, struct table_meta *meta,
		     struct store_error *err)
{
	const struct build_spec *s = b->spec;

	*meta = (struct table_meta){
		.number = s->number,
		.age_first = s->age_first,
		.age_last = s->age_last,
		.bytes = tableout_end(&b->out),
		.entries = b->entries,
		.tombstones = b->tombstones,
		.oldest_tombstone_ms = oldest_tombstone(b),
		.created_ms = s->created_ms,
		.checksum = tableout_sum(&b->out),
	};
	if (buf_assign(&meta->smallest, buf_slice(&b->smallest)) < 0 ||
	    buf_assign(&meta->largest, build_last_key(b)) < 0) {
		buf_free(&meta->smallest);
		buf_free(&meta->largest);
		return store_nomem(err);
	}
	return 0;
}

int build_finish(struct build *b, struct table_meta *meta,
		 struct store_error *err)
{
	int r;

	if ((r = put_rest(b, err)) < 0 || (r = fill_meta(b, meta, err)) < 0)
		goto out;
	r = tableout_finish(&b->out, err);
	if (r < 0) {
		buf_free(&meta->smallest);
		buf_free(&meta->largest);
		goto out;
	}
	build_free(b);
	return 0;
out:
	build_abort(b);
	return r;
}
