/*
 * order.h - putting keys into order, those of a batch or any others.
 *
 * What is sorted is an item a key: where it lies, and eight bytes of it behind
 * what all keys begin with, so that most comparisons touch nothing else.  A
 * radix sort by those bytes (least significant first: Knuth, The Art of
 * Computer Programming 3, 5.2.5); items that agree in them are sorted by the
 * eight bytes that follow, and so on.
 */
#ifndef LIB_ORDER_H
#define LIB_ORDER_H

#include "formats/bytes.h"

#include <stdint.h>

struct order_item {
	uint64_t prefix; /* of the key, somewhere; for sorting alone */
	uint32_t off;	 /* of the key in the caller's bytes */
	uint16_t key_len;
	uint16_t tag; /* the caller's */
};

/*
 * Sort items[0..n), by key and then by `off`.  `spare` has room for `n`.  -1:
 * no memory.
 */
int order_keys(const uint8_t *bytes, struct order_item *items,
	       struct order_item *spare, uint32_t n);

/*
 * The same, and of each key only the item with the largest `off` is kept:
 * returns how many.  Items that stand in order already cost little.
 */
int64_t order_newest(const uint8_t *bytes, struct order_item *items,
		     struct order_item *spare, uint32_t n);

/*
 * Sort the `count` entries of `entries`, which is less than 4 GiB and as
 * formats/wal.h makes them, into items[0..n), ascending, of each key the entry
 * that stands last; returns n.  An entry begins `tag` bytes before its key.
 * `items` and `spare` have room for `count` each.  -1: the entries are not
 * what store_batch_add() makes, or there is no memory.
 */
int64_t order_entries(struct slice entries, uint32_t count,
		      struct order_item *items, struct order_item *spare);

#endif
