/*
 * inspectout.h - a JSON document written as it comes, whatever its size:
 * jansson writes the values, this file what is around them.
 *
 * A failure is kept and told at the end, so that calls need no checks between
 * them; what was opened is closed by out_end(), so that the document is valid
 * wherever it had to end.
 */
#ifndef LIB_INSPECTOUT_H
#define LIB_INSPECTOUT_H

#include "lib/store.h"

#include <jansson.h>
#include <stdbool.h>

#define OUT_DEPTH 16

struct out {
	store_sink *sink;
	void *ctx;
	struct store_error *err;
	struct buf buf;
	uint32_t depth;
	char close[OUT_DEPTH];
	bool begun[OUT_DEPTH]; /* holds something */
	int r;		       /* of the first failure */
};

#define OUT_INIT(sink_, ctx_, err_)                                            \
	((struct out){ .sink = (sink_), .ctx = (ctx_), .err = (err_) })

/* Open an object ('{') or a list ('['); `name` NULL inside a list. */
void out_open(struct out *o, const char *name, char bracket);
void out_close(struct out *o);

/* A member or element; takes over `v`, where NULL means no memory. */
void out_put(struct out *o, const char *name, json_t *v);
void out_count(struct out *o, const char *name, uint64_t v);
void out_pattern(struct out *o, const char *name, uint64_t v);
void out_string(struct out *o, const char *name, const char *s);
void out_bool(struct out *o, const char *name, bool v);
/* JSON text that is somebody else's. */
void out_text(struct out *o, const char *name, struct slice json);
/* A member "error" with what `e` says, in the object that is open. */
void out_error(struct out *o, const struct store_error *e);

/* Close everything and hand over the rest.  `r`: how reading went. */
int out_end(struct out *o, int r);

/*
 * Values.  A count beyond 2^53, where JSON readers disagree, and a pattern of
 * bits are hexadecimal strings.
 */
json_t *value_count(uint64_t v);
json_t *value_pattern(uint64_t v);
json_t *value_hex(const uint8_t *p, size_t n);
/* Text that may hold anything: what is not printable UTF-8 becomes '?'. */
json_t *value_string(const char *s);
/* NAME, or NAME_base64 when the bytes are not UTF-8; -1: no memory. */
int value_set_bytes(json_t *o, const char *name, struct slice s);

#endif
