/*
 * passing.h - what goes through the page cache without staying there.
 *
 * A merge reads all of its inputs and writes as much, once.  Whatever of that
 * stays in the page cache takes the place of what readers look at.  So it
 * leaves the cache as it found it: an input that was not there before is put
 * out of it again behind us, and outputs are, once they are on the disk, if
 * more than half of their inputs' bytes had not been there.
 *
 * One thread reads, another may write.
 */
#ifndef LIB_PASSING_H
#define LIB_PASSING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PASSING_STEP (UINT64_C(4) << 20) /* so much at a time */

struct passing {
	atomic_uint_fast64_t warm, cold; /* bytes of inputs, as they come */
};

static inline void passing_add(struct passing *p, uint64_t bytes, bool cold)
{
	atomic_fetch_add_explicit(cold ? &p->cold : &p->warm, bytes,
				  memory_order_relaxed);
}

/* Are outputs to be put out, too?  NULL: no. */
static inline bool passing_is_cold(const struct passing *p)
{
	return p &&
	       atomic_load_explicit(&p->cold, memory_order_relaxed) >
		       atomic_load_explicit(&p->warm, memory_order_relaxed);
}

#endif
