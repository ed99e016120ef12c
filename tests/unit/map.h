/*
 * map.h - what a store should hold: keys and values in a sorted array.
 */
#ifndef TESTS_UNIT_MAP_H
#define TESTS_UNIT_MAP_H

#include "formats/bytes.h"

struct pair {
	struct buf key, value;
};

struct model {
	struct pair *p;
	size_t n, cap;
};

/* The first at or above `key`. */
static size_t model_find(const struct model *m, struct slice key, bool *found)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (slice_cmp(buf_slice(&m->p[mid].key), key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < m->n && slice_eq(buf_slice(&m->p[lo].key), key);
	return lo;
}

static void model_put(struct model *m, struct slice key, struct slice value)
{
	bool found;
	size_t i = model_find(m, key, &found);

	if (!found) {
		if (m->n == m->cap) {
			m->cap = m->cap ? m->cap * 2 : 64;
			m->p = realloc(m->p, m->cap * sizeof(*m->p));
			if (!m->p)
				abort();
		}
		memmove(m->p + i + 1, m->p + i, (m->n - i) * sizeof(*m->p));
		m->n++;
		m->p[i] = (struct pair){ BUF_INIT, BUF_INIT };
		buf_assign(&m->p[i].key, key);
	}
	buf_assign(&m->p[i].value, value);
}

static void model_delete(struct model *m, struct slice key)
{
	bool found;
	size_t i = model_find(m, key, &found);

	if (!found)
		return;
	buf_free(&m->p[i].key);
	buf_free(&m->p[i].value);
	m->n--;
	memmove(m->p + i, m->p + i + 1, (m->n - i) * sizeof(*m->p));
}

static void model_free(struct model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		buf_free(&m->p[i].key);
		buf_free(&m->p[i].value);
	}
	free(m->p);
	*m = (struct model){ NULL, 0, 0 };
}

static struct model model_copy(const struct model *m)
{
	struct model c = { NULL, 0, 0 };

	for (size_t i = 0; i < m->n; i++)
		model_put(&c, buf_slice(&m->p[i].key),
			  buf_slice(&m->p[i].value));
	return c;
}

#endif
