/*
 * survey.h - the tree as a compaction strategy sees it (plugins/strategy.h).
 *
 * Built from a manifest and a few facts about the moment.  Keys are borrowed
 * from the manifest, which must stay; the rest is the survey's own.
 */
#ifndef LIB_SURVEY_H
#define LIB_SURVEY_H

#include "formats/manifest.h"
#include "plugins/strategy.h"

/* What a manifest does not tell. */
struct survey_facts {
	uint64_t now_ms;
	uint64_t free_disk;		    /* UINT64_MAX: unknown */
	uint64_t oldest_pin;		    /* UINT64_MAX: none */
	uint64_t log_bytes, log_created_ms; /* of the memtable */
	enum lsm_trigger trigger;
	const uint64_t *options; /* of the strategy */
	const uint64_t *claimed; /* tables in jobs under way */
	size_t n_claimed;
};

struct survey {
	struct lsm_view view;
	struct lsm_table *tables; /* what the view points to */
	struct lsm_run *runs;
	struct lsm_level *levels;
	size_t *by_number; /* indexes of tables, by number ascending */
	bool *trimmed;	   /* by index of the table */
};

#define SURVEY_INIT ((struct survey){ .tables = NULL })

/* *s is SURVEY_INIT; on failure (no memory) it is released. */
int survey_make(struct survey *s, const struct manifest *m,
		const struct survey_facts *facts, struct store_error *err);
void survey_release(struct survey *s);

/* The index of table `number` in the view, or view.n_tables. */
size_t survey_find(const struct survey *s, uint64_t number);

static inline struct slice survey_key(struct lsm_key k)
{
	return slice_make(k.data, k.len);
}

#endif
