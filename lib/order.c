#include "lib/order.h"

#include "formats/wal.h"

/* Below so many items a comparison sort is quicker. */
#define FEW 48

/* Items that agree in all key bytes before `depth`, still to be sorted. */
struct group {
	uint32_t begin, end;
	uint32_t depth;
};

struct order {
	const uint8_t *bytes;
	struct order_item *items, *spare;
	struct group *groups; /* a stack: keys may agree for long */
	size_t n_groups, cap_groups;
};

static struct slice key_of(const struct order *o, const struct order_item *it)
{
	return slice_make(o->bytes + it->off, it->key_len);
}

static bool push(struct order *o, uint32_t begin, uint32_t end, uint32_t depth)
{
	struct group *grown;

	if (end - begin < 2)
		return true;
	if (o->n_groups == o->cap_groups) {
		size_t cap = o->cap_groups ? o->cap_groups * 2 : 64;

		grown = realloc(o->groups, cap * sizeof(*grown));
		if (!grown)
			return false;
		o->groups = grown;
		o->cap_groups = cap;
	}
	o->groups[o->n_groups++] = (struct group){ begin, end, depth };
	return true;
}

/* How many bytes the keys of the group have in common, from its depth on. */
static uint32_t common(const struct order *o, const struct group *g)
{
	struct slice first = key_of(o, &o->items[g->begin]);
	uint32_t n = (uint32_t)first.len;

	for (uint32_t i = g->begin + 1; i < g->end && n > g->depth; i++) {
		struct slice key = key_of(o, &o->items[i]);
		uint32_t k = g->depth;

		if (key.len < n)
			n = (uint32_t)key.len;
		while (k < n && key.data[k] == first.data[k])
			k++;
		n = k;
	}
	return n;
}

static void load_prefixes(struct order *o, const struct group *g)
{
	for (uint32_t i = g->begin; i < g->end; i++) {
		struct order_item *it = &o->items[i];
		struct slice key = key_of(o, it);

		it->prefix =
			key.len <= g->depth
				? 0
				: slice_prefix(slice_make(key.data + g->depth,
							  key.len - g->depth));
	}
}

static bool is_below(const struct order *o, const struct order_item *a,
		     const struct order_item *b, uint32_t depth)
{
	struct slice x, y;
	int c;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix;
	x = key_of(o, a);
	y = key_of(o, b);
	x.data += depth;
	x.len -= depth;
	y.data += depth;
	y.len -= depth;
	c = slice_cmp(x, y);
	return c ? c < 0 : a->off < b->off;
}

static void sort_few(struct order *o, const struct group *g)
{
	for (uint32_t i = g->begin + 1; i < g->end; i++) {
		struct order_item it = o->items[i];
		uint32_t k = i;

		for (; k > g->begin &&
		       is_below(o, &it, &o->items[k - 1], g->depth);
		     k--)
			o->items[k] = o->items[k - 1];
		o->items[k] = it;
	}
}

/* Stable, so items of equal prefixes stay in the order they stand in. */
static void sort_many(struct order *o, const struct group *g)
{
	struct order_item *from = o->items + g->begin;
	struct order_item *to = o->spare + g->begin, *swap;
	uint32_t n = g->end - g->begin;
	uint32_t counts[8][256];

	memset(counts, 0, sizeof(counts));
	for (uint32_t i = 0; i < n; i++)
		for (unsigned d = 0; d < 8; d++)
			counts[d][from[i].prefix >> 8 * d & 0xff]++;
	for (unsigned d = 0; d < 8; d++) {
		uint32_t *count = counts[d], at = 0;

		if (count[from[0].prefix >> 8 * d & 0xff] == n)
			continue; /* the same in all */
		for (unsigned v = 0; v < 256; v++) {
			uint32_t k = count[v];

			count[v] = at;
			at += k;
		}
		for (uint32_t i = 0; i < n; i++)
			to[count[from[i].prefix >> 8 * d & 0xff]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != o->items + g->begin)
		memcpy(o->items + g->begin, from, n * sizeof(*from));
}

/* By length, then by place: a handful as a rule, but it may be all of them. */
static int cmp_ended(const void *a, const void *b)
{
	const struct order_item *x = a, *y = b;

	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

/*
 * [begin, end) agrees in eight more bytes, padding included.  Keys that end
 * within them come first, the shorter before the longer; the others go on.
 */
static bool divide(struct order *o, uint32_t begin, uint32_t end,
		   uint32_t depth)
{
	uint32_t ended = begin;

	for (uint32_t i = begin; i < end; i++) {
		struct order_item it = o->items[i];

		if (it.key_len > depth)
			continue;
		/* those that go on keep no order: they are sorted yet */
		o->items[i] = o->items[ended];
		o->items[ended++] = it;
	}
	if (ended - begin > 1)
		qsort(o->items + begin, ended - begin, sizeof(*o->items),
		      cmp_ended);
	return push(o, ended, end, depth);
}

static bool sort_group(struct order *o, struct group g)
{
	uint32_t begin, end;

	g.depth = common(o, &g);
	load_prefixes(o, &g);
	if (g.end - g.begin < FEW) {
		sort_few(o, &g);
		return true;
	}
	sort_many(o, &g);
	for (begin = g.begin; begin < g.end; begin = end) {
		uint64_t prefix = o->items[begin].prefix;

		for (end = begin + 1; end < g.end; end++)
			if (o->items[end].prefix != prefix)
				break;
		if (end - begin > 1 && !divide(o, begin, end, g.depth + 8))
			return false;
	}
	return true;
}

/* Of each key the last, which stands behind the others. */
static int64_t unite(struct order *o, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (i + 1 < n &&
		    o->items[i].key_len == o->items[i + 1].key_len &&
		    slice_eq(key_of(o, &o->items[i]),
			     key_of(o, &o->items[i + 1])))
			continue;
		o->items[kept++] = o->items[i];
	}
	return kept;
}

/* The items as the entries stand. */
static bool collect(struct order *o, struct slice entries, uint32_t count)
{
	uint64_t off = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *head = entries.data + off;
		uint64_t len;
		struct slice key;

		if (entries.len - off < WAL_ENTRY_HEADER)
			return false;
		len = wal_entry_length(head);
		if (len > entries.len - off)
			return false;
		key = wal_entry_key(head);
		o->items[i] = (struct order_item){
			.off = (uint32_t)(key.data - entries.data),
			.key_len = (uint16_t)key.len,
			.tag = (uint16_t)(key.data - head),
		};
		off += len;
	}
	return off == entries.len;
}

static int sort_all(struct order *o, uint32_t n)
{
	bool ok = push(o, 0, n, 0);

	while (ok && o->n_groups)
		ok = sort_group(o, o->groups[--o->n_groups]);
	free(o->groups);
	return ok ? 0 : -1;
}

int order_keys(const uint8_t *bytes, struct order_item *items,
	       struct order_item *spare, uint32_t n)
{
	struct order o = { .bytes = bytes, .items = items, .spare = spare };

	return sort_all(&o, n);
}

static bool ascending(const struct order *o, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (slice_cmp(key_of(o, &o->items[i - 1]),
			      key_of(o, &o->items[i])) >= 0)
			return false;
	return true;
}

static int64_t sort_newest(struct order *o, uint32_t n)
{
	if (ascending(o, n))
		return n;
	return sort_all(o, n) < 0 ? -1 : unite(o, n);
}

int64_t order_newest(const uint8_t *bytes, struct order_item *items,
		     struct order_item *spare, uint32_t n)
{
	struct order o = { .bytes = bytes, .items = items, .spare = spare };

	return sort_newest(&o, n);
}

int64_t order_entries(struct slice entries, uint32_t count,
		      struct order_item *items, struct order_item *spare)
{
	struct order o = { .bytes = entries.data,
			   .items = items,
			   .spare = spare };

	if (entries.len > UINT32_MAX || !collect(&o, entries, count))
		return -1;
	return sort_newest(&o, count);
}
