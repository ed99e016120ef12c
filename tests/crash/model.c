#include "tests/crash/model.h"

#include <stdio.h>
#include <stdlib.h>

static void need(int r)
{
	if (r < 0) {
		fprintf(stderr, "model: no memory\n");
		exit(2);
	}
}

/* Where `key` is, or would be. */
static size_t position(const struct model *m, struct slice key)
{
	size_t i = 0;

	while (i < m->n && slice_cmp(buf_slice(&m->pairs[i].key), key) < 0)
		i++;
	return i;
}

static int holds(const struct model *m, size_t i, struct slice key)
{
	return i < m->n && slice_eq(buf_slice(&m->pairs[i].key), key);
}

void model_put(struct model *m, struct slice key, struct slice value)
{
	size_t i = position(m, key);

	if (!holds(m, i, key)) {
		struct model_pair *p =
			realloc(m->pairs, (m->n + 1) * sizeof(*p));

		need(p ? 0 : -1);
		memmove(p + i + 1, p + i, (m->n - i) * sizeof(*p));
		p[i] = (struct model_pair){ BUF_INIT, BUF_INIT };
		m->pairs = p;
		m->n++;
		need(buf_assign(&p[i].key, key));
	}
	need(buf_assign(&m->pairs[i].value, value));
}

void model_delete(struct model *m, struct slice key)
{
	size_t i = position(m, key);

	if (!holds(m, i, key))
		return;
	buf_free(&m->pairs[i].key);
	buf_free(&m->pairs[i].value);
	m->n--;
	memmove(m->pairs + i, m->pairs + i + 1, (m->n - i) * sizeof(*m->pairs));
}

void model_copy(struct model *to, const struct model *from)
{
	for (size_t i = 0; i < from->n; i++)
		model_put(to, buf_slice(&from->pairs[i].key),
			  buf_slice(&from->pairs[i].value));
}

void model_free(struct model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		buf_free(&m->pairs[i].key);
		buf_free(&m->pairs[i].value);
	}
	free(m->pairs);
	*m = MODEL_INIT;
}

void model_record(struct buf *out, struct slice key, struct slice value)
{
	need(buf_append_u32(out, (uint32_t)key.len));
	need(buf_append_u32(out, (uint32_t)value.len));
	need(buf_append_slice(out, key));
	need(buf_append_slice(out, value));
}

void model_text(const struct model *m, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < m->n; i++)
		model_record(out, buf_slice(&m->pairs[i].key),
			     buf_slice(&m->pairs[i].value));
}
