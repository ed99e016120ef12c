/*
 * build.h - writing one SSTable.
 *
 * Entries come in ascending key order, each key once.  The file is written as
 * NNNNNN.sst.tmp, and build_finish() fsyncs it and renames it to NNNNNN.sst;
 * the name is durable when the caller has synced the directory (install, I3).
 * The caller has drawn `number` and holds its claim throughout.
 *
 * Order of calls: build_open, build_add..., perhaps build_seal, build_finish or
 * build_abort.
 */
#ifndef LIB_BUILD_H
#define LIB_BUILD_H

#include "formats/manifest.h"
#include "lib/counters.h"
#include "lib/iter.h"
#include "lib/os.h"
#include "lib/wholeblock.h"

struct build;

/*
 * Of large records a block holds so many, if they do not take twice the bytes
 * that it should have: each block less is one less to be found.
 */
#define BUILD_ENTRIES_FEW 4u

struct build_spec {
	const struct dir *dir;
	uint64_t number;
	const struct options *options; /* block_bytes, restart, filter_bits */
	enum codec codec;
	uint8_t uuid[16];
	uint32_t level, run; /* where it will be installed; for lsm-repair */
	uint64_t age_first, age_last;
	/* what it was made of (formats/sstable.md); may change until finish */
	const uint64_t *replaces;
	size_t n_replaces;
	const uint64_t *trims;
	size_t n_trims;
	struct slice trims_below;
	uint64_t created_ms;
	uint64_t oldest_tombstone_ms; /* of the inputs; 0: created_ms */
	/* before umask: 0444, or 0644 when it is to be sealed */
	mode_t mode;
	struct counters *counters; /* or NULL */
	struct passing *passing;   /* or NULL: stays in the page cache */
	bool packs;		   /* with a thread of its own (packing.h) */
};

/* Smaller tables are not worth a thread, and would not end where they should */
#define BUILD_PACKS_FROM (UINT64_C(1) << 20)

/* `spec` and what it points to must stay until build_finish or _abort. */
int build_open(struct build **out, const struct build_spec *spec,
	       struct store_error *err);

/*
 * Append it->e; the value of a chunked entry is read through `it` (chunk by
 * chunk, constant memory), a long value given whole is cut into chunks.
 *   STORE_EBUG     the key is not above the last one
 *   STORE_ENOSPACE, STORE_EIO  the file is of no use; call build_abort
 */
int build_add(struct build *b, struct iter *it, struct store_error *err);

/*
 * Append the entries of a block as it is, it->e the first of them; `w` is as
 * wholeblock_look() found it.  1, or 0 where the block is not as a new one
 * would be, or what was added before would make one much too small: then its
 * entries are to be added one by one. errors as of build_add
 */
int build_add_block(struct build *b, const struct iter *it,
		    const struct wholeblock *w, struct store_error *err);

/* Bytes written or certain to be written so far; for cutting outputs. */
uint64_t build_bytes(const struct build *b);
uint64_t build_entries(const struct build *b);
/* The key added last; empty before the first. */
struct slice build_last_key(const struct build *b);

/*
 * Write index and filter and fsync; no more entries come.  What is left to
 * build_finish() is small and quick, and until then the build keeps neither a
 * descriptor nor a buffer: for who learns the table's age at the end.
 */
int build_seal(struct build *b, struct store_error *err);
/*
 * Write index, filter, properties and footer, fsync, rename.  *meta is
 * filled and owned by the caller (table_meta_release).  The build is freed,
 * also on failure, when the file is unlinked.
 */
int build_finish(struct build *b, struct table_meta *meta,
		 struct store_error *err);
/* Unlink what was written and free; NULL is fine. */
void build_abort(struct build *b);

#endif
