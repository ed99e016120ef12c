#include "lib/guide.h"

/* So many lookups, and one more for so many data blocks, before it is made. */
#define LOOKUPS_LEAST 64
#define BLOCKS_A_LOOKUP 32

/* With so few blocks left, all of them are asked for. */
#define NEAR 16u

struct guide {
	size_t n;
	struct buf common; /* what all separators begin with */
	uint64_t *marks;   /* n, ascending: what follows it */
	struct guide_block *blocks;
};

/* In the table's pointer: there will be none. */
static struct guide none;

/* Under construction: all separators, as they are. */
struct draft {
	struct table *t;
	struct window *w;
	struct buf keys;
	size_t *ends; /* of each in `keys` */
	struct guide *g;
};

static uint64_t bytes_of(uint64_t blocks)
{
	return sizeof(struct guide) +
	       blocks * (sizeof(uint64_t) + sizeof(struct guide_block));
}

static void guide_free(struct guide *g)
{
	if (!g)
		return;
	buf_free(&g->common);
	free(g->marks);
	free(g->blocks);
	free(g);
}

static struct slice separator(const struct draft *d, size_t i)
{
	size_t from = i ? d->ends[i - 1] : 0;

	return slice_make(d->keys.data + from, d->ends[i] - from);
}

static bool add(struct draft *d, struct slice key, struct sst_place place)
{
	struct guide *g = d->g;

	if (g->n == d->t->footer.data_blocks ||
	    buf_append_slice(&d->keys, key) < 0)
		return false;
	d->ends[g->n] = d->keys.len;
	g->blocks[g->n++].place = place;
	return g->n < 2 || slice_cmp(separator(d, g->n - 2), key) < 0;
}

/* All data blocks below an index block at `level`, counted from the root. */
static bool gather(struct draft *d, uint32_t level, struct slice bytes)
{
	bool leaf = level + 1 == d->t->footer.depth;
	struct block_reader r = BLOCK_READER_INIT;
	struct sst_place place;
	struct block *b;
	bool ok = block_reader_open(&r, bytes);
	int s;

	for (s = ok ? block_first(&r) : 0; ok && s > 0; s = block_next(&r)) {
		ok = block_place(&r.e, &place.off, &place.len);
		if (ok && leaf) {
			ok = add(d, buf_slice(&r.key), place);
		} else if (ok) {
			ok = table_block(d->t, d->w, place, SST_INDEX, false,
					 &b, NULL) == 0;
			if (ok) {
				ok = gather(d, level + 1,
					    slice_make(b->data, b->len));
				block_release(b);
			}
		}
	}
	block_reader_release(&r);
	return ok && s == 0;
}

static bool mark(struct draft *d)
{
	struct guide *g = d->g;
	struct slice first = separator(d, 0);
	struct slice last = separator(d, g->n - 1);
	size_t n = 0;

	while (n < first.len && n < last.len && first.data[n] == last.data[n])
		n++;
	for (size_t i = 0; i < g->n; i++) {
		struct slice key = separator(d, i);

		g->marks[i] =
			slice_prefix(slice_make(key.data + n, key.len - n));
	}
	return buf_assign(&g->common, slice_make(first.data, n)) == 0;
}

static struct guide *make(struct table *t, struct window *w)
{
	size_t n = (size_t)t->footer.data_blocks;
	struct draft d = { .t = t, .w = w };
	struct slice root;
	bool ok;

	d.ends = malloc(n * sizeof(*d.ends));
	d.g = calloc(1, sizeof(*d.g));
	ok = d.ends && d.g && table_root(t, w, &root, NULL) == 0;
	if (ok) {
		d.g->marks = malloc(n * sizeof(*d.g->marks));
		d.g->blocks = calloc(n, sizeof(*d.g->blocks));
		ok = d.g->marks && d.g->blocks && gather(&d, 0, root) &&
		     d.g->n == n && mark(&d);
	}
	buf_free(&d.keys);
	free(d.ends);
	if (ok)
		return d.g;
	guide_free(d.g);
	return NULL;
}

static bool is_due(struct table *t)
{
	uint64_t blocks = t->footer.data_blocks;

	if (!t->cache || blocks < 2)
		return false;
	return atomic_fetch_add_explicit(&t->lookups, 1,
					 memory_order_relaxed) >=
	       LOOKUPS_LEAST + blocks / BLOCKS_A_LOOKUP;
}

struct guide *guide_of(struct table *t, struct window *w)
{
	struct guide *g = atomic_load_explicit(&t->guide, memory_order_acquire);
	struct guide *nothing = NULL, *mine = NULL;
	uint64_t bytes = bytes_of(t->footer.data_blocks);

	if (g || !is_due(t))
		return g == &none ? NULL : g;
	if (cache_lend(t->cache, bytes)) {
		mine = make(t, w);
		if (!mine)
			cache_take_back(t->cache, bytes);
	}
	/* Two threads may both have made one: the first stays. */
	if (atomic_compare_exchange_strong(&t->guide, &nothing,
					   mine ? mine : &none))
		return mine;
	if (mine)
		cache_take_back(t->cache, bytes);
	guide_free(mine);
	return nothing == &none ? NULL : nothing;
}

void guide_release(struct table *t)
{
	struct guide *g = atomic_load(&t->guide);

	if (!g || g == &none)
		return;
	guide_free(g);
	cache_take_back(t->cache, bytes_of(t->footer.data_blocks));
}

/* It will be one of these. */
static void ask_for(const struct guide_block *first, size_t n)
{
	for (size_t i = 0; i < n; i += 64 / sizeof(*first))
		__builtin_prefetch(first + i);
}

int guide_find(struct guide *g, struct slice key, struct guide_block **out)
{
	size_t n = g->common.len;
	size_t some = key.len < n ? key.len : n;
	int c = some ? memcmp(key.data, g->common.data, some) : 0;
	const uint64_t *at = g->marks;
	uint64_t mine;

	if (c > 0)
		return 0;
	if (c < 0 || key.len < n) {
		*out = g->blocks;
		return 1;
	}
	mine = slice_prefix(slice_make(key.data + n, key.len - n));
	/*
	 * The first mark not below ours.  A branch is guessed, wrongly half of
	 * the time, but what is guessed is fetched ahead: without it, by
	 * arithmetic, a lookup takes a tenth longer.
	 */
	for (size_t left = g->n; left > 1; left -= left / 2) {
		if (left > NEAR && left - left / 2 <= NEAR)
			ask_for(g->blocks + (at - g->marks), left);
		at += at[left / 2 - 1] < mine ? left / 2 : 0;
	}
	at += *at < mine;
	if (at == g->marks + g->n)
		return 0;
	if (*at == mine)
		return -1;
	*out = g->blocks + (at - g->marks);
	return 1;
}

void guide_remember(struct guide_block *g, const struct block *b)
{
	if (atomic_load_explicit(&g->begin, memory_order_relaxed) == b)
		return;
	atomic_store_explicit(&g->begin, b, memory_order_relaxed);
	atomic_store_explicit(&g->end, b->data + b->len - 1,
			      memory_order_relaxed);
}

void guide_prefetch(const struct guide_block *g)
{
	__builtin_prefetch(
		atomic_load_explicit(&g->begin, memory_order_relaxed));
	__builtin_prefetch(atomic_load_explicit(&g->end, memory_order_relaxed));
}
