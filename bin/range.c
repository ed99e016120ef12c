#include "bin/range.h"

bool range_take(struct range *r, const struct tool *t, int c)
{
	switch (c) {
	case RANGE_FROM:
		r->from_text = t->value;
		return true;
	case RANGE_TO:
		r->to_text = t->value;
		return true;
	case RANGE_PREFIX:
		r->prefix_text = t->value;
		return true;
	case RANGE_AFTER:
		r->after_text = t->value;
		return true;
	default:
		return false;
	}
}

bool range_given(const struct range *r)
{
	return r->from_text || r->to_text || r->prefix_text || r->after_text;
}

/*
 * The first key that is above every key with this prefix, if there is one.
 * Only a place to stop: holds() looks at the prefix itself.
 */
static bool make_successor(struct buf *out, struct slice prefix)
{
	if (buf_assign(out, prefix) < 0)
		return false;
	while (out->len > 0 && out->data[out->len - 1] == 0xff)
		out->len--;
	if (out->len == 0)
		return false;
	out->data[out->len - 1]++;
	return true;
}

void range_settle(struct range *r, const struct tool *t)
{
	struct slice to;

	if (r->from_text)
		r->from = tool_bytes(t, r->from_text);
	if (r->after_text) {
		r->after = tool_bytes(t, r->after_text);
		r->has_after = true;
		if (slice_cmp(r->after, r->from) > 0)
			r->from = r->after;
	}
	if (r->to_text) {
		r->to = tool_bytes(t, r->to_text);
		r->has_to = true;
	}
	if (!r->prefix_text)
		return;
	r->prefix = tool_bytes(t, r->prefix_text);
	if (slice_cmp(r->prefix, r->from) > 0)
		r->from = r->prefix;
	if (!make_successor(&r->successor, r->prefix))
		return;
	to = buf_slice(&r->successor);
	if (!r->has_to || slice_cmp(to, r->to) < 0)
		r->to = to;
	r->has_to = true;
}

void range_release(struct range *r)
{
	buf_free(&r->successor);
}

/* Is a key that a move ended on in the range?  Its near end was looked at. */
static bool holds(const struct range *r, struct slice key, bool reverse)
{
	if (reverse)
		return slice_cmp(key, r->from) >= 0 &&
		       (!r->has_after || slice_cmp(key, r->after) > 0) &&
		       slice_has_prefix(key, r->prefix);
	return (!r->has_to || slice_cmp(key, r->to) < 0) &&
	       slice_has_prefix(key, r->prefix);
}

/* Judge where a move ended. */
static int judge(const struct range *r, const struct store_iter *it,
		 bool reverse, int moved)
{
	return moved > 0 ? holds(r, store_iter_key(it), reverse) : moved;
}

int range_first(const struct range *r, struct store_iter *it, bool reverse,
		struct store_error *err)
{
	int ret;

	if (reverse) {
		ret = r->has_to ? store_iter_seek_before(it, r->to, err)
				: store_iter_last(it, err);
		return judge(r, it, reverse, ret);
	}
	ret = r->from.len ? store_iter_seek(it, r->from, err)
			  : store_iter_first(it, err);
	if (ret > 0 && r->has_after && slice_eq(store_iter_key(it), r->after))
		ret = store_iter_next(it, err);
	return judge(r, it, reverse, ret);
}

int range_next(const struct range *r, struct store_iter *it, bool reverse,
	       struct store_error *err)
{
	int ret = reverse ? store_iter_prev(it, err) : store_iter_next(it, err);

	return judge(r, it, reverse, ret);
}
