#include "lib/cache.h"

#include <pthread.h>

/* What a block costs besides its bytes: the struct, malloc, its bucket. */
#define OVERHEAD 128u

struct cache {
	pthread_mutex_t lock;
	size_t used, limit;
	struct block **buckets;
	size_t n_buckets; /* a power of two */
	struct block *newest, *oldest;
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

struct cache *cache_new(size_t bytes)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->limit = bytes;
	c->n_buckets = 64;
	while (c->n_buckets < bytes / 4096)
		c->n_buckets *= 2;
	c->buckets = calloc(c->n_buckets, sizeof(*c->buckets));
	if (!c->buckets || pthread_mutex_init(&c->lock, NULL)) {
		free(c->buckets);
		free(c);
		return NULL;
	}
	return c;
}

void cache_free(struct cache *c)
{
	struct block *b, *older;

	if (!c)
		return;
	for (b = c->newest; b; b = older) {
		older = b->older;
		block_release(b);
	}
	pthread_mutex_destroy(&c->lock);
	free(c->buckets);
	free(c);
}

static struct block **bucket(struct cache *c, uint64_t file, uint64_t off)
{
	uint64_t h = (file * UINT64_C(0x9e3779b97f4a7c15) ^ off) *
		     UINT64_C(0xbf58476d1ce4e5b9);

	return &c->buckets[(h ^ h >> 32) & (c->n_buckets - 1)];
}

static struct block *find(struct block *b, uint64_t file, uint64_t off)
{
	while (b && (b->off != off || b->file != file))
		b = b->hash_next;
	return b;
}

static void list_out(struct cache *c, struct block *b)
{
	*(b->newer ? &b->newer->older : &c->newest) = b->older;
	*(b->older ? &b->older->newer : &c->oldest) = b->newer;
}

static void list_in(struct cache *c, struct block *b)
{
	b->newer = NULL;
	b->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = b;
	c->newest = b;
}

static void evict_oldest(struct cache *c)
{
	struct block *b = c->oldest;
	struct block **p = bucket(c, b->file, b->off);

	while (*p != b)
		p = &(*p)->hash_next;
	*p = b->hash_next;
	list_out(c, b);
	c->used -= b->len + OVERHEAD;
	b->cached = false;
	block_release(b);
}

struct block *cache_get(struct cache *c, uint64_t file, uint64_t off)
{
	struct block *b;

	pthread_mutex_lock(&c->lock);
	b = find(*bucket(c, file, off), file, off);
	if (b) {
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
		if (c->newest != b) {
			list_out(c, b);
			list_in(c, b);
		}
	}
	pthread_mutex_unlock(&c->lock);
	return b;
}

void cache_put(struct cache *c, uint64_t file, uint64_t off, struct block *b)
{
	struct block **p;

	if (b->len + OVERHEAD > c->limit)
		return;
	pthread_mutex_lock(&c->lock);
	p = bucket(c, file, off);
	/* two threads may have decoded the same block: the first one stays */
	if (!b->cached && !find(*p, file, off)) {
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
		b->cached = true;
		b->file = file;
		b->off = off;
		b->hash_next = *p;
		*p = b;
		list_in(c, b);
		c->used += b->len + OVERHEAD;
	}
	while (c->used > c->limit)
		evict_oldest(c);
	pthread_mutex_unlock(&c->lock);
}
