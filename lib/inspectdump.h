/*
 * inspectdump.h - one file of a store as members of a JSON object: the parts
 * of inspect_store() and inspect_file().  Members: formats/dump.md.
 *
 * Each writes into the object that is open in `o`, and returns how reading
 * went; what is open in `o` then stays open, for "error" to go there.
 */
#ifndef LIB_INSPECTDUMP_H
#define LIB_INSPECTDUMP_H

#include "lib/inspectout.h"
#include "lib/living.h"
#include "lib/lock.h"

struct log_meta;
struct options;

int dump_table(struct out *o, const struct dir *dir, const char *name,
	       struct store_error *err);
int dump_log(struct out *o, const struct dir *dir, const char *name,
	     struct store_error *err);
int dump_tree(struct out *o, const struct dir *dir, const char *name,
	      struct store_error *err);
int dump_state(struct out *o, const struct dir *dir, const char *name,
	       struct store_error *err);
int dump_image(struct out *o, const struct dir *dir, const char *name,
	       struct store_error *err);
int dump_manifest(struct out *o, const struct dir *dir, const char *name,
		  struct store_error *err);

/* "token" of a STATE or a tree. */
int dump_token(struct out *o, struct living *l, uint64_t magic,
	       struct store_error *err);
/* "generation" and "counter" of STATE. */
int dump_state_cells(struct out *o, struct living *l, struct store_error *err);
/* "commit" and "sync" of a tree. */
int dump_tree_cells(struct out *o, struct living *l, struct store_error *err);

/* "write", "manifest", ... */
const char *dump_role_name(enum lock_role role);
/* Who took a lock last; false when nobody says. */
bool dump_hint(struct living *state, enum lock_role role, struct hint *h);

/* "options" of a manifest or an image. */
void dump_options(struct out *o, const struct options *options);
/* "number", "sealed" and, of a sealed one, "length" and "checksum". */
json_t *log_meta_json(const struct log_meta *l);

#endif
