/*
 * piece.h - what a job has done so far, and installing it: C4 of
 * formats/manifest.md.
 *
 * A job goes through its inputs from the smallest key to the largest.  What
 * it has written can be installed at any border between two tables: inputs
 * wholly below the border go, those that reach over it are trimmed, tables
 * that need no rewriting change their run, outputs come.  So the disk never
 * has to hold more than a piece besides what the inputs at the border hold,
 * and who is stopped keeps what was installed.
 *
 * After the first piece a job writes into the run that it began, which it
 * knows by the table written last: that one stays claimed until the next
 * piece, so that nobody merges it away meanwhile.
 *
 * Order of calls: pieces_init, {pieces_add..., pieces_install}...,
 * pieces_release.
 */
#ifndef LIB_PIECE_H
#define LIB_PIECE_H

#include "lib/engine.h"
#include "lib/outlook.h"
#include "lib/plan.h"

struct piece_input {
	size_t at; /* in the survey */
	const struct lsm_table *t;
	bool carried; /* not read: it only changes its run */
	bool trimmed; /* in the manifest that the survey is of */
	bool gone;    /* consumed by a piece that was installed */
};

struct pieces {
	struct store *db;
	const struct plan_job *plan;
	const struct survey *s;
	struct piece_input *inputs; /* by smallest key */
	size_t n_inputs;
	uint64_t age;	     /* the newest of the inputs' */
	size_t place;	     /* of the output, as plan_job_place() has it */
	uint64_t generation; /* of the manifest that we have seen last */
	uint64_t next;	     /* the one that an install under way makes */
	struct table_meta *outputs; /* finished, claimed, not installed */
	size_t n_outputs;
	uint64_t output_bytes; /* of them */
	struct slice border;   /* while installing; empty: there is no more */
	uint64_t anchor;       /* an output that is installed, or 0 */
	uint64_t installed;    /* pieces */
	uint64_t tables_in, tables_out, bytes_out;
};

/*
 * Of a job's inputs, t and trimmed filled in: by smallest key, and those of a
 * merge that need not be read are `carried`.  Pure.
 */
void piece_inputs_order(const struct plan_job *plan, struct piece_input *inputs,
			size_t n);

#define PIECES_INIT ((struct pieces){ .db = NULL })

/*
 * For a job whose inputs the caller has claimed and plan_job_check() has found
 * right for `o`, which must stay.  The claims are given back as inputs are
 * consumed; all of them by pieces_release(), also when this fails.
 */
int pieces_init(struct pieces *p, struct store *db, const struct plan_job *plan,
		const struct outlook *o, struct store_error *err);
/* Unlinks outputs that were not installed, and gives back every claim. */
void pieces_release(struct pieces *p);

/* Take over a finished output and the claim of its number. */
int pieces_add(struct pieces *p, struct table_meta *meta,
	       struct store_error *err);

/*
 * Install all that lies below `border` (empty: all), then sweep.  0; 1 when
 * the store has changed so that it does not fit: nothing was installed, and
 * the outputs are of no use.
 */
int pieces_install(struct pieces *p, struct slice border,
		   struct store_error *err);

/*
 * Free disk that the inputs may need at the worst border, the piece under way
 * excepted: what reaches over a border is there twice as far as it was read.
 */
uint64_t pieces_overlap_bytes(const struct pieces *p);

#endif
