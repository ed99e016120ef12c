/*
 * options.h - the options of a store: typed, bounded, kept in the manifest.
 *
 * One table names every option, its type, bounds, default and meaning; the
 * manifest's "options" object, lsm-init's NAME=VALUE operands and the version
 * image all go through it.
 */
#ifndef FORMATS_OPTIONS_H
#define FORMATS_OPTIONS_H

#include "formats/bytes.h"
#include "formats/error.h"

/* On disk (block trailer, options): never renumber. */
enum codec {
	CODEC_NONE = 0,
	CODEC_LZ4 = 1,
	CODEC_ZSTD = 2,
};

enum maintenance {
	MAINTENANCE_AUTO =
		0, /* writing tools start lsm-compact when it is due */
	MAINTENANCE_CRON = 1, /* somebody else runs lsm-compact */
};

struct options {
	uint64_t write_buffer;	   /* bytes of log before it is rotated */
	uint64_t tree_buffer;	   /* bytes of tree before it is rotated */
	uint64_t sealed_logs;	   /* writers flush at this many */
	uint64_t level0_runs;	   /* soft limit: compaction is due */
	uint64_t level0_bytes;	   /* soft limit, in bytes */
	uint64_t level0_hard;	   /* hard limit, in runs */
	uint64_t level_ratio;	   /* size of a level over the one above */
	uint64_t table_bytes;	   /* target size of a table */
	uint64_t table_bytes_max;  /* of a table in the deepest levels */
	uint64_t block_bytes;	   /* decoded size of a data block */
	uint64_t restart_interval; /* keys between restart points */
	uint64_t compression;	   /* enum codec, all levels but the last */
	uint64_t compression_last; /* enum codec, the last level */
	uint64_t filter_bits;	   /* Bloom filter bits a key; 0 none */
	uint64_t load_memory;	   /* bytes a bulk load may hold */
	uint64_t cache_bytes;	   /* decoded blocks a handle keeps */
	uint64_t job_bytes;	   /* input of one compaction job */
	uint64_t queue_depth;	   /* asynchronous operations under way */
	uint64_t maintenance;	   /* enum maintenance */
};

enum option_type {
	OPTION_COUNT, /* a plain number */
	OPTION_BYTES, /* a number; K, M, G (powers of 1024) may follow */
	OPTION_WORD,  /* one of `words`, stored as its index */
};

struct option_spec {
	const char *name;
	enum option_type type;
	size_t offset; /* of the uint64_t in struct options */
	uint64_t min, max, def;
	const char *const *words; /* OPTION_WORD: NULL-terminated */
	const char *help;	  /* one line */
};

/* All options, in the order of the manifest; ends with name == NULL. */
extern const struct option_spec option_specs[];

const struct option_spec *option_find(struct slice name);

/* Every option at its default. */
void options_default(struct options *o);

/*
 * Set one option from text ("64M", "zstd", "default").  STORE_ECONFIG, with a
 * message that names the bounds or the words, when the name or value is wrong.
 */
int options_set(struct options *o, struct slice name, struct slice value,
		struct store_error *err);

/* Bounds of every field and between fields; STORE_ECONFIG. */
int options_check(const struct options *o, struct store_error *err);

static inline uint64_t option_get(const struct options *o,
				  const struct option_spec *s)
{
	uint64_t v;

	memcpy(&v, (const char *)o + s->offset, sizeof(v));
	return v;
}

#endif
