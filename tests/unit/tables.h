/*
 * tables.h - what the tests of tables share: records of every kind, made
 * from a seed, and a table built of them in a directory of its own.
 */
#ifndef TESTS_UNIT_TABLES_H
#define TESTS_UNIT_TABLES_H

#include "lib/build.h"
#include "lib/table.h"
#include "tests/unit/test.h"

#include <unistd.h>

struct record {
	struct buf key, value;
	enum entry_kind kind;
	uint64_t expires_ms;
};

struct records {
	struct record *r; /* by key ascending */
	size_t n;
};

static inline struct dir scratch_open(void)
{
	static char path[] = "/tmp/lsm-test-XXXXXX";
	struct store_error err = STORE_ERROR_INIT;
	struct dir d = DIR_INIT;

	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	CHECK(mkdtemp(path));
	CHECK_OK(dir_open(&d, path, &err), err);
	return d;
}

static inline int scratch_unlink(void *dir, const char *name)
{
	os_unlink(dir, name, NULL);
	return 0;
}

static inline void scratch_close(struct dir *d)
{
	os.list(d->fd, scratch_unlink, d);
	rmdir(d->path);
	dir_close(d);
}

static inline int record_cmp(const void *a, const void *b)
{
	return slice_cmp(buf_slice(&((const struct record *)a)->key),
			 buf_slice(&((const struct record *)b)->key));
}

static inline void records_free(struct records *rs)
{
	for (size_t i = 0; i < rs->n; i++) {
		buf_free(&rs->r[i].key);
		buf_free(&rs->r[i].value);
	}
	free(rs->r);
	*rs = (struct records){ NULL, 0 };
}

/* By key, the first of each. */
static inline void records_sort(struct records *rs)
{
	size_t n = 0;

	qsort(rs->r, rs->n, sizeof(*rs->r), record_cmp);
	for (size_t i = 0; i < rs->n; i++) {
		if (n && record_cmp(&rs->r[n - 1], &rs->r[i]) == 0) {
			buf_free(&rs->r[i].key);
			buf_free(&rs->r[i].value);
		} else {
			rs->r[n++] = rs->r[i];
		}
	}
	rs->n = n;
}

/* Bytes that compress to about half. */
static inline void random_bytes(struct buf *b, size_t n, unsigned *seed)
{
	while (b->len < n)
		buf_append_u8(b,
			      rand_r(seed) % 2 ? 'x' : (uint8_t)rand_r(seed));
}

/*
 * `n` records: tombstones, expiries, empty values, and with `large` also
 * values in chunks and very long keys.
 */
static inline struct records records_make(size_t n, bool large, unsigned seed)
{
	struct records rs = { calloc(n, sizeof(struct record)), n };

	for (size_t i = 0; i < n; i++) {
		struct record *r = &rs.r[i];
		unsigned what = (unsigned)rand_r(&seed) % 1000;
		size_t len = (size_t)rand_r(&seed) % 120;

		buf_append(&r->key, "user:", 5);
		random_bytes(&r->key, 8 + (size_t)rand_r(&seed) % 8, &seed);
		r->kind = what % 10 == 0 ? ENTRY_DELETE : ENTRY_PUT;
		if (what % 10 == 1)
			len = 0;
		if (what % 10 == 2)
			r->expires_ms = 1 + (uint64_t)rand_r(&seed) * 1000;
		if (large && what == 13)
			random_bytes(&r->key, KEY_MAX, &seed);
		if (large && what == 23)
			len = VALUE_INLINE_MAX;
		if (large && what % 100 == 33)
			len = VALUE_INLINE_MAX + 1 +
			      (size_t)rand_r(&seed) % 200000;
		if (large && what == 43)
			len = 2 * CHUNK_BYTES;
		if (r->kind == ENTRY_PUT)
			random_bytes(&r->value, len, &seed);
	}
	records_sort(&rs);
	return rs;
}

static inline bool records_have(const struct records *rs, struct slice key)
{
	struct record r = { .key = { (uint8_t *)(uintptr_t)key.data, key.len,
				     key.len } };

	return bsearch(&r, rs->r, rs->n, sizeof(r), record_cmp);
}

static inline struct build_spec spec_make(const struct dir *d,
					  const struct options *o,
					  enum codec codec, uint64_t number)
{
	return (struct build_spec){ .dir = d,
				    .number = number,
				    .options = o,
				    .codec = codec,
				    .uuid = { 1, 2, 3 },
				    .level = 2,
				    .run = 1,
				    .age_first = 4,
				    .age_last = 5,
				    .created_ms = 1000,
				    .mode = 0644 };
}

/* Add one record, its value given whole. */
static inline int record_add(struct build *b, const struct record *r,
			     struct store_error *err)
{
	struct iter it = { .e = { .kind = r->kind,
				  .key = buf_slice(&r->key),
				  .value = buf_slice(&r->value),
				  .value_len = r->value.len,
				  .expires_ms = r->expires_ms } };

	return build_add(b, &it, err);
}

static inline struct table_meta table_make(const struct build_spec *spec,
					   const struct records *rs)
{
	struct store_error err = STORE_ERROR_INIT;
	struct table_meta meta;
	struct build *b;

	CHECK_OK(build_open(&b, spec, &err), err);
	for (size_t i = 0; i < rs->n; i++)
		CHECK_OK(record_add(b, &rs->r[i], &err), err);
	CHECK(build_entries(b) == rs->n);
	CHECK_OK(build_finish(b, &meta, &err), err);
	return meta;
}

/* Is this what was found?  Reads chunks; 1, 0, or the error of reading. */
static inline int lookup_is(struct table *t, const struct lookup *l,
			    const struct record *r, struct store_error *err)
{
	struct buf chunk = BUF_INIT, all = BUF_INIT;
	int s = 0;

	if (l->chunked)
		for (uint64_t i = 0; s == 0 && i < chunk_count(l->value_len);
		     i++) {
			s = table_chunk(t, l, i, &chunk, err);
			if (s == 0)
				buf_append_slice(&all, buf_slice(&chunk));
		}
	else
		buf_append_slice(&all, lookup_value(l));
	if (s == 0)
		s = l->kind == r->kind && l->expires_ms == r->expires_ms &&
		    l->value_len == r->value.len &&
		    slice_eq(buf_slice(&all), buf_slice(&r->value));
	buf_free(&chunk);
	buf_free(&all);
	return s;
}

/* The same for where an iterator stands. */
static inline int entry_is(struct iter *it, const struct record *r,
			   struct store_error *err)
{
	const struct entry *e = &it->e;
	struct buf all = BUF_INIT;
	struct slice chunk;
	int s = 0;

	if (e->chunked)
		for (uint64_t i = 0; s == 0 && i < chunk_count(e->value_len);
		     i++) {
			s = it->ops->chunk(it, i, &chunk, err);
			if (s == 0)
				buf_append_slice(&all, chunk);
		}
	else
		buf_append_slice(&all, e->value);
	if (s == 0)
		s = e->kind == r->kind && e->expires_ms == r->expires_ms &&
		    slice_eq(e->key, buf_slice(&r->key)) &&
		    e->value_len == r->value.len &&
		    slice_eq(buf_slice(&all), buf_slice(&r->value));
	buf_free(&all);
	return s;
}

#endif
