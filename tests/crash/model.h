/*
 * model.h - what a store should hold: a sorted map, and its text.
 *
 * Two states are equal when their texts are.  Failures (no memory) end the
 * harness.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include "formats/bytes.h"

struct model_pair {
	struct buf key, value;
};

struct model {
	struct model_pair *pairs; /* by key ascending */
	size_t n;
};

#define MODEL_INIT ((struct model){ NULL, 0 })

void model_put(struct model *m, struct slice key, struct slice value);
/* A key that is not there is fine. */
void model_delete(struct model *m, struct slice key);
/* *to is MODEL_INIT. */
void model_copy(struct model *to, const struct model *from);
void model_free(struct model *m);

/* One record of a text: lengths, key, value; appended to `out`. */
void model_record(struct buf *out, struct slice key, struct slice value);
void model_text(const struct model *m, struct buf *out);

#endif
