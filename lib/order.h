/*
 * order.h - putting the entries of a batch into key order.
 *
 * Entries lie back to back as formats/wal.h makes them, each key perhaps more
 * than once.  What is sorted is an item an entry: its place, and eight bytes
 * of its key behind what all keys begin with, so that most comparisons touch
 * nothing else.  A radix sort by those bytes (least significant first: Knuth,
 * The Art of Computer Programming 3, 5.2.5); items that agree in them are
 * sorted by the eight bytes that follow, and so on.
 */
#ifndef LIB_ORDER_H
#define LIB_ORDER_H

#include "formats/bytes.h"

#include <stdint.h>

struct order_item {
	uint64_t prefix; /* of the key, somewhere; for sorting alone */
	uint32_t off;	 /* of the entry in the batch */
	uint32_t key_len;
};

/*
 * Sort the `count` entries of `entries`, which is less than 4 GiB, into
 * items[0..n), ascending, of each key the entry that stands last; returns n.
 * `items` and `spare` have room for `count` each.  The entries are sound:
 * store_batch_add() made them.  -1: they are not, or there is no memory.
 */
int64_t order_entries(struct slice entries, uint32_t count,
		      struct order_item *items, struct order_item *spare);

#endif
