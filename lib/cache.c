#include "lib/cache.h"

#include <pthread.h>

/* What a block costs besides its bytes: the struct, malloc, its bucket. */
#define OVERHEAD 128u
/* Threads that look for different blocks seldom meet. */
#define SHARDS 16u
#define SHARD_LEAST (1u << 20)
/* Of a block that will be walked through, at once. */
#define PREFETCH 1024u
/* It is remembered who asked, of so many times the blocks that it may hold. */
#define ASKED 1u

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	size_t used;
	block_link *buckets; /* looked at without the lock, to prefetch */
	size_t n_buckets;    /* a power of two */
	struct block *newest, *oldest;
	/* of blocks not there that were asked for: parts of their hashes */
	_Atomic(uint16_t) *asked;
};

struct cache {
	size_t bytes;
	atomic_size_t lent;
	atomic_bool full;
	unsigned n_shards; /* a power of two */
	struct shard shards[];
};

struct block *block_new(size_t len)
{
	struct block *b = malloc(sizeof(*b) + len);

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->data = (uint8_t *)(b + 1);
	b->len = len;
	atomic_init(&b->refs, 1);
	return b;
}

void block_release(struct block *b)
{
	if (b &&
	    atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		free(b);
}

static bool shard_init(struct shard *s, size_t bytes)
{
	s->n_buckets = 64;
	while (s->n_buckets < bytes / 4096)
		s->n_buckets *= 2;
	s->buckets = calloc(s->n_buckets, sizeof(*s->buckets));
	s->asked = calloc(ASKED * s->n_buckets, sizeof(*s->asked));
	return s->buckets && s->asked &&
	       pthread_mutex_init(&s->lock, NULL) == 0;
}

static void shard_free(struct shard *s)
{
	free(s->buckets);
	free(s->asked);
}

struct cache *cache_new(size_t bytes)
{
	unsigned n = bytes / SHARDS < SHARD_LEAST ? 1 : SHARDS;
	size_t size = sizeof(struct cache) + n * sizeof(struct shard);
	struct cache *c = aligned_alloc(64, (size + 63) & ~(size_t)63);
	bool ok = c != NULL;

	if (c) {
		memset(c, 0, size);
		c->bytes = bytes;
		c->n_shards = n;
	}
	for (unsigned i = 0; ok && i < n; i++)
		ok = shard_init(&c->shards[i], bytes / n);
	if (ok)
		return c;
	for (unsigned i = 0; c && i < n; i++)
		shard_free(&c->shards[i]);
	free(c);
	return NULL;
}

void cache_free(struct cache *c)
{
	struct block *b, *older;

	if (!c)
		return;
	for (unsigned i = 0; i < c->n_shards; i++) {
		for (b = c->shards[i].newest; b; b = older) {
			older = b->older;
			block_release(b);
		}
		pthread_mutex_destroy(&c->shards[i].lock);
		shard_free(&c->shards[i]);
	}
	free(c);
}

bool cache_lend(struct cache *c, size_t bytes)
{
	size_t lent = atomic_load(&c->lent);

	do
		if (bytes > c->bytes / 2 || lent > c->bytes / 2 - bytes)
			return false;
	while (!atomic_compare_exchange_weak(&c->lent, &lent, lent + bytes));
	return true;
}

void cache_take_back(struct cache *c, size_t bytes)
{
	atomic_fetch_sub(&c->lent, bytes);
}

bool cache_is_full(const struct cache *c)
{
	return atomic_load_explicit(&c->full, memory_order_relaxed);
}

static uint64_t hash(uint64_t file, uint64_t off)
{
	uint64_t h = (file * UINT64_C(0x9e3779b97f4a7c15) ^ off) *
		     UINT64_C(0xbf58476d1ce4e5b9);

	return h ^ h >> 32;
}

static struct shard *shard_of(struct cache *c, uint64_t h)
{
	return &c->shards[h >> 56 & (c->n_shards - 1)];
}

static block_link *bucket(struct shard *s, uint64_t h)
{
	return &s->buckets[h & (s->n_buckets - 1)];
}

static struct block *follow(block_link *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static void link_to(block_link *p, struct block *b)
{
	atomic_store_explicit(p, b, memory_order_relaxed);
}

static struct block *find(block_link *p, uint64_t file, uint64_t off)
{
	struct block *b = follow(p);

	while (b && (b->off != off || b->file != file))
		b = follow(&b->hash_next);
	return b;
}

static void list_out(struct shard *s, struct block *b)
{
	*(b->newer ? &b->newer->older : &s->newest) = b->older;
	*(b->older ? &b->older->newer : &s->oldest) = b->newer;
}

static void list_in(struct shard *s, struct block *b)
{
	b->newer = NULL;
	b->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = b;
	s->newest = b;
}

/* The oldest that nobody has asked for since it was last passed over. */
static void evict(struct shard *s)
{
	struct block *b = s->oldest;
	block_link *p;

	while (b->asked) {
		b->asked = false;
		list_out(s, b);
		list_in(s, b);
		b = s->oldest;
	}
	p = bucket(s, hash(b->file, b->off));
	while (follow(p) != b)
		p = &follow(p)->hash_next;
	link_to(p, follow(&b->hash_next));
	list_out(s, b);
	s->used -= b->len + OVERHEAD;
	b->cached = false;
	block_release(b);
}

struct block *cache_get(struct cache *c, uint64_t file, uint64_t off)
{
	uint64_t h = hash(file, off);
	struct shard *s = shard_of(c, h);
	struct block *b;

	pthread_mutex_lock(&s->lock);
	b = find(bucket(s, h), file, off);
	if (b) {
		/* It is looked into from its end: its restart points. */
		__builtin_prefetch(b->data + b->len - 1);
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
		b->asked = true;
	}
	pthread_mutex_unlock(&s->lock);
	return b;
}

void cache_prefetch(struct cache *c, uint64_t file, uint64_t off)
{
	uint64_t h = hash(file, off);

	__builtin_prefetch(bucket(shard_of(c, h), h));
}

void cache_prefetch_block(struct cache *c, uint64_t file, uint64_t off,
			  unsigned part)
{
	uint64_t h = hash(file, off);
	uintptr_t b = (uintptr_t)follow(bucket(shard_of(c, h), h));

	/* It may be another one, or gone: a prefetch may point anywhere. */
	b += (uintptr_t)part * PREFETCH;
	for (uintptr_t at = 0; at < PREFETCH; at += 64)
		__builtin_prefetch((const void *)(b + at));
}

bool cache_wants(struct cache *c, uint64_t file, uint64_t off)
{
	uint64_t h = hash(file, off);
	struct shard *s = shard_of(c, h);
	_Atomic(uint16_t) *a = &s->asked[h & (ASKED * s->n_buckets - 1)];
	uint16_t mark = (uint16_t)(h >> 40) | 1;

	if (!cache_is_full(c))
		return true;
	if (atomic_load_explicit(a, memory_order_relaxed) == mark)
		return true;
	atomic_store_explicit(a, mark, memory_order_relaxed);
	return false;
}

void cache_put(struct cache *c, uint64_t file, uint64_t off, struct block *b)
{
	size_t limit = (c->bytes - atomic_load(&c->lent)) / c->n_shards;
	uint64_t h = hash(file, off);
	struct shard *s = shard_of(c, h);
	block_link *p;

	if (b->len + OVERHEAD > limit)
		return;
	pthread_mutex_lock(&s->lock);
	p = bucket(s, h);
	/* two threads may have decoded the same block: the first one stays */
	if (!b->cached && !find(p, file, off)) {
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
		b->cached = true;
		b->file = file;
		b->off = off;
		link_to(&b->hash_next, follow(p));
		link_to(p, b);
		list_in(s, b);
		s->used += b->len + OVERHEAD;
	}
	if (s->used > limit)
		atomic_store_explicit(&c->full, true, memory_order_relaxed);
	while (s->used > limit)
		evict(s);
	pthread_mutex_unlock(&s->lock);
}
