#include "bin/many.h"

#include <unistd.h>

/* Keys of a batch at the most, and bytes of keys and of values in memory. */
#define KEYS_MOST (256u << 10)
#define KEY_BYTES (8u << 20)
#define VALUE_BYTES (32u << 20)
/* Fewer are looked up one by one: a snapshot for all of them costs more. */
#define FEW 16u

void many_release(struct many *m)
{
	free(m->bytes);
	free(m->keys);
	free(m->answers);
}

void many_found_release(struct many_found *found)
{
	for (unsigned i = 0; i < MANY_WORKERS; i++)
		buf_free(&found[i].values);
}

void many_clear(struct many *m)
{
	for (unsigned i = 0; m->found && i < MANY_WORKERS; i++) {
		buf_clear(&m->found[i].values);
		m->found[i].last = 0;
	}
	m->used = 0;
	m->n = 0;
}

/* Room for all there may be: what is not used costs no memory. */
static int make_room(struct many *m, struct store_error *err)
{
	m->bytes = malloc(KEY_BYTES + STORE_KEY_MAX);
	m->keys = malloc(KEYS_MOST * sizeof(*m->keys));
	m->answers = malloc(KEYS_MOST * sizeof(*m->answers));
	return m->bytes && m->keys && m->answers ? 0 : store_nomem(err);
}

int many_add(struct many *m, struct slice key, struct store_error *err)
{
	if (!m->bytes && make_room(m, err) < 0)
		return STORE_ESYSTEM;
	memcpy(m->bytes + m->used, key.data, key.len);
	m->keys[m->n++] = slice_make(m->bytes + m->used, key.len);
	m->used += key.len;
	return 0;
}

bool many_is_full(const struct many *m)
{
	return m->n >= m->want || m->used >= KEY_BYTES;
}

/* Values beyond what memory is to hold are read when their turn comes. */
static int keep(void *ctx, const struct store_found *f)
{
	struct many *m = ctx;
	struct answer *a = &m->answers[f->index];
	struct many_found *found;
	struct buf *b;

	*a = (struct answer){ .found = f->found,
			      .large = f->large,
			      .worker = (uint8_t)f->worker,
			      .len = (uint32_t)f->value.len };
	if (!f->found || f->large || !m->found)
		return 0;
	found = &m->found[f->worker];
	b = &found->values;
	/* A key that is asked for again is told of right behind the first. */
	if (slice_eq(f->value,
		     slice_make(b->data + found->last, b->len - found->last))) {
		a->off = (uint32_t)found->last;
		return 0;
	}
	if (b->len + f->value.len > VALUE_BYTES / MANY_WORKERS) {
		a->large = true;
		return 0;
	}
	found->last = b->len;
	a->off = (uint32_t)b->len;
	return buf_append_slice(b, f->value) < 0 ? store_nomem(NULL) : 0;
}

static int find_few(struct many *m, struct store *db, struct store_error *err)
{
	struct buf value = BUF_INIT;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < m->n; i++) {
		struct store_found f = { .index = i };

		if (m->found)
			r = store_get(db, m->keys[i], &value, err);
		else
			r = store_read(db, m->keys[i], NULL, NULL, err);
		f.found = r > 0;
		f.value = buf_slice(&value);
		if (r >= 0 && keep(m, &f) < 0)
			r = store_nomem(err);
	}
	buf_free(&value);
	return r < 0 ? r : 0;
}

/* So many that their values, if they are like the last, fit. */
static void adapt(struct many *m)
{
	size_t bytes = 1, want = m->want * 8;

	for (unsigned i = 0; m->found && i < MANY_WORKERS; i++)
		bytes += m->found[i].values.len;
	if (want / m->n > VALUE_BYTES / 2 / bytes)
		want = (size_t)((double)m->n * (VALUE_BYTES / 2) /
				(double)bytes);
	m->want = want < MANY_FIRST / 4 ? MANY_FIRST / 4
		  : want > KEYS_MOST	? KEYS_MOST
					: want;
}

int many_find(struct many *m, struct store *db, struct store_error *err)
{
	int r;

	if (m->n == 0)
		return 0;
	if (m->n < FEW)
		return find_few(m, db, err);
	r = store_get_many(db, m->keys, m->n, MANY_WORKERS, keep, m, err);
	if (r == STORE_ESYSTEM && err->code == 0)
		r = store_nomem(err);
	if (many_is_full(m))
		adapt(m);
	return r;
}

struct slice many_value(const struct many *m, size_t i)
{
	const struct answer *a = &m->answers[i];

	return slice_make(m->found[a->worker].values.data + a->off, a->len);
}

void many_prefetch(const struct many *m, size_t i)
{
	const uint8_t *value;

	if (i >= m->n || !m->found || !m->answers[i].len)
		return;
	value = many_value(m, i).data;
	__builtin_prefetch(value);
	__builtin_prefetch(value + 64);
}
