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
	for (unsigned i = 0; i < MANY_WORKERS; i++)
		buf_free(&m->found[i]);
	buf_free(&m->bytes);
	free(m->offs);
	free(m->answers);
	free(m->keys);
}

void many_clear(struct many *m)
{
	for (unsigned i = 0; i < MANY_WORKERS; i++)
		buf_clear(&m->found[i]);
	buf_clear(&m->bytes);
	m->n = 0;
}

static int grow(struct many *m, struct store_error *err)
{
	size_t cap = m->cap ? m->cap * 4 : 64;
	size_t *offs = realloc(m->offs, (cap + 1) * sizeof(*offs));
	struct answer *answers;
	struct slice *keys;

	if (offs)
		m->offs = offs;
	answers = realloc(m->answers, cap * sizeof(*answers));
	if (answers)
		m->answers = answers;
	keys = realloc(m->keys, cap * sizeof(*keys));
	if (keys)
		m->keys = keys;
	if (!offs || !answers || !keys)
		return store_nomem(err);
	m->cap = cap;
	return 0;
}

int many_add(struct many *m, struct slice key, struct store_error *err)
{
	int r = m->n == m->cap ? grow(m, err) : 0;

	if (r < 0)
		return r;
	m->offs[m->n] = m->bytes.len;
	if (buf_append_slice(&m->bytes, key) < 0)
		return store_nomem(err);
	m->offs[++m->n] = m->bytes.len;
	return 0;
}

bool many_is_full(const struct many *m)
{
	return m->n >= m->want || m->bytes.len >= KEY_BYTES;
}

/* Values beyond what memory is to hold are read when their turn comes. */
static int keep(void *ctx, const struct store_found *f)
{
	struct many *m = ctx;
	struct answer *a = &m->answers[f->index];
	struct buf *found = &m->found[f->worker];

	*a = (struct answer){ .found = f->found,
			      .large = f->large,
			      .worker = (uint16_t)f->worker,
			      .off = found->len,
			      .len = (uint32_t)f->value.len };
	if (!f->found || f->large || !m->values)
		return 0;
	if (found->len + f->value.len > VALUE_BYTES / MANY_WORKERS) {
		a->large = true;
		return 0;
	}
	return buf_append_slice(found, f->value) < 0 ? store_nomem(NULL) : 0;
}

static int find_few(struct many *m, struct store *db, struct store_error *err)
{
	struct buf value = BUF_INIT;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < m->n; i++) {
		struct store_found f = { .index = i };

		if (m->values)
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

	for (unsigned i = 0; i < MANY_WORKERS; i++)
		bytes += m->found[i].len;
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
	for (size_t i = 0; i < m->n; i++)
		m->keys[i] = slice_make(m->bytes.data + m->offs[i],
					m->offs[i + 1] - m->offs[i]);
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

	return slice_make(m->found[a->worker].data + a->off, a->len);
}
