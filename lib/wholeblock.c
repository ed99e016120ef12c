#include "lib/wholeblock.h"

#include "formats/bloom.h"

void wholeblock_release(struct wholeblock *w)
{
	block_reader_release(&w->r);
	buf_free(&w->hashes);
}

static bool stays(const struct block_entry *e, uint64_t now_ms)
{
	return e->kind == BLOCK_PUT && !e->chunked &&
	       (e->expires_ms == 0 || e->expires_ms > now_ms);
}

int wholeblock_look(struct wholeblock *w, uint64_t now_ms, uint64_t interval,
		    struct store_error *err)
{
	uint64_t hash;
	int s = 0;

	buf_clear(&w->hashes);
	w->entries = w->bytes = 0;
	if (block_reader_open(&w->r, w->b.bytes))
		s = block_first(&w->r);
	while (s > 0 && stays(&w->r.e, now_ms)) {
		if (w->entries % interval == 0 &&
		    !block_restarts(&w->r, (uint32_t)(w->entries / interval)))
			return 0;
		hash = bloom_hash(buf_slice(&w->r.key));
		if (buf_append(&w->hashes, &hash, sizeof(hash)) < 0)
			return store_nomem(err);
		w->entries++;
		w->bytes += w->r.key.len + w->r.e.value.len;
		s = block_next(&w->r);
	}
	if (s == -2)
		return store_nomem(err);
	return s == 0 && w->entries &&
	       w->r.n_restarts == (w->entries + interval - 1) / interval &&
	       slice_cmp(buf_slice(&w->r.key), w->b.last) <= 0;
}
