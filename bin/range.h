/*
 * range.h - the range options that lsm-scan and lsm-del share: --from, --to,
 * --prefix; and walking it.
 */
#ifndef BIN_RANGE_H
#define BIN_RANGE_H

#include "bin/tool.h"

enum range_option {
	RANGE_FROM = 300,
	RANGE_TO,
	RANGE_PREFIX,
	RANGE_AFTER,
};

#define RANGE_OPTIONS                                                          \
	{ "from", RANGE_FROM, "KEY", "keys from KEY on" },                     \
		{ "to", RANGE_TO, "KEY", "keys before KEY" },                  \
	{                                                                      \
		"prefix", RANGE_PREFIX, "KEY", "keys that start with KEY"      \
	}

struct range {
	char *from_text, *to_text, *prefix_text, *after_text;
	/* from <= key < to, and after < key; to may be open */
	struct slice from, to, after, prefix;
	bool has_to, has_after;
	struct buf successor; /* of the prefix, when that is the end */
};

#define RANGE_INIT ((struct range){ .successor = BUF_INIT })

/* True when `c` was one of the options; its argument is kept. */
bool range_take(struct range *r, const struct tool *t, int c);
/* Was any given? */
bool range_given(const struct range *r);
/* Once all options are read (-x may stand last). */
void range_settle(struct range *r, const struct tool *t);
void range_release(struct range *r);

/* To the first record of the range, or the last: 1, 0 when it is empty. */
int range_first(const struct range *r, struct store_iter *it, bool reverse,
		struct store_error *err);
/* To the next one in that direction. */
int range_next(const struct range *r, struct store_iter *it, bool reverse,
	       struct store_error *err);

#endif
