/*
 * wal.h - the bytes of a write-ahead log, NNNNNN.wal.
 *
 * A header of WAL_HEADER bytes, then batches back to back.  A batch is valid
 * as a whole or not at all: its checksum covers all of it and is seeded with
 * the checksum of the batch before (the first with the log's random salt), so
 * a batch cannot be lost, repeated or taken from another log unnoticed.
 * Byte by byte: formats/wal.md.
 *
 * Pure functions over memory.  Who appends, who reads and when a batch is
 * durable is told in lib/wal.h and lib/commit.h.
 */
#ifndef FORMATS_WAL_H
#define FORMATS_WAL_H

#include "formats/bytes.h"
#include "formats/error.h"

#define WAL_HEADER 64u
#define WAL_BATCH_HEADER 40u
#define WAL_ENTRY_HEADER 12u
#define WAL_MAJOR 1u
#define WAL_MINOR 0u
/* The most that a writer leaves of zeros behind the last batch. */
#define WAL_ROOM (32u << 10)
#define WAL_ROOM_MAX (256u << 10)

/* On disk (entry flags): never renumber. */
enum wal_flag {
	WAL_EXPIRES = 1, /* eight bytes of expiry follow the entry header */
};

struct wal_header {
	uint8_t uuid[16]; /* of the store */
	uint64_t number;
	uint64_t salt;
};

/* Write WAL_HEADER bytes to `p`. */
void wal_header_encode(uint8_t *p, const struct wal_header *h);

/*
 * *why is set on failure (fixed text); 0 or STORE_ECORRUPT.  A file shorter
 * than the header is damaged.
 */
int wal_header_decode(struct slice file, struct wal_header *h,
		      const char **why);

struct wal_batch {
	uint64_t checksum; /* of this batch; seeds the next */
	uint64_t length;   /* header included */
	uint64_t synced;   /* log length known durable when it was written */
	uint32_t count;
};

/*
 * Fill in the WAL_BATCH_HEADER bytes at the front of `batch`, whose entries
 * stand behind them.  Returns the batch's checksum.
 */
uint64_t wal_batch_seal(uint8_t *batch, uint64_t length, uint32_t count,
			uint64_t synced, uint64_t seed);

/*
 * Read a batch header; no checksum is checked.  `left` is how many bytes the
 * log has from the batch's start.  False when the header cannot be one: too
 * short, a length below the minimum or over `left`, a count that does not fit.
 */
bool wal_batch_header(struct slice head, uint64_t left, struct wal_batch *b);

/* Is the whole batch what was written after `seed`? */
bool wal_batch_check(struct slice batch, uint64_t seed);
/* The same, but for the first `n` bytes, at most 8, of its checksum. */
bool wal_batch_check_behind(struct slice batch, uint64_t seed, size_t n);

struct wal_entry {
	uint8_t kind; /* enum entry_kind */
	struct slice key;
	struct slice value;
	uint64_t expires_ms;
	uint64_t length; /* of the whole entry */
};

/*
 * Append one entry to a batch under construction.  The checksum of the entry
 * is filled in by wal_entries_seal(), which knows the log's salt.  -1: no
 * memory.
 */
int wal_entry_append(struct buf *out, uint8_t kind, struct slice key,
		     struct slice value, uint64_t expires_ms);

/* Set every entry's checksum; `entries` holds exactly `count` of them. */
bool wal_entries_seal(uint8_t *entries, uint64_t length, uint32_t count,
		      uint64_t salt);

/* The length of the entry whose header is at `head` (WAL_ENTRY_HEADER bytes).
 */
uint64_t wal_entry_length(const uint8_t *head);
/* The key of the entry at `head`, which is known to be sound and whole. */
struct slice wal_entry_key(const uint8_t *head);

/*
 * Decode the entry at the front of `bytes`.  False when it is cut short or
 * malformed: *why tells.  wal_entry_check() compares its checksum.
 */
bool wal_entry_decode(struct slice bytes, struct wal_entry *e,
		      const char **why);
bool wal_entry_check(struct slice entry, uint64_t salt);

#endif
