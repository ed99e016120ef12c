/*
 * inspectstore.h - a store entered to be looked at: trusted or not, its
 * manifest, a pin that keeps its files, and what each file in it is.
 *
 * Order of calls: inspection_open, inspection_read, then anything,
 * inspection_close.  One thread.
 */
#ifndef LIB_INSPECTSTORE_H
#define LIB_INSPECTSTORE_H

#include "formats/manifest.h"
#include "lib/engine.h"

enum inspection_truth {
	TRUTH_PUBLISHED, /* the manifest is the one that STATE publishes */
	TRUTH_INSTALL,	 /* an install is half-way: newer than published */
	TRUTH_OTHER,	 /* it is neither: damage */
	TRUTH_ALONE,	 /* there is no STATE to believe */
};

struct inspection {
	struct store *db; /* no generation loaded, nothing repaired */
	bool locked;	  /* there is a LOCK */
	struct manifest m;
	uint64_t checksum; /* of MANIFEST.json */
	uint64_t bytes;	   /* of it */
	enum inspection_truth truth;
	struct slot published; /* STATE's cell; TRUTH_ALONE: zeros */
	uint64_t pin;
	bool pinned;
};

#define INSPECTION_INIT ((struct inspection){ .db = NULL })

/* Enter.  *in is INSPECTION_INIT.  STORE_ENOSTORE: no such directory. */
int inspection_open(struct inspection *in, const char *dir, int64_t timeout_ms,
		    struct store_error *err);
void inspection_close(struct inspection *in);

/*
 * Pin, and read the manifest that is the truth now.  The pin also keeps the
 * files of every later generation.
 *   STORE_ENOSTORE  there is no manifest, and nothing one should name
 *   STORE_ECORRUPT  it is damaged
 */
int inspection_read(struct inspection *in, struct store_error *err);

/* "NNNNNN.ver" of the manifest's generation, opened as a page source. */
struct inspection_image {
	struct view view;
	struct window window;
	struct page_source source;
};

/* STORE_EGONE: there is none.  `name` in `dir`. */
int inspection_image_open(struct inspection_image *i, const struct dir *dir,
			  const char *name, struct store_error *err);
void inspection_image_close(struct inspection_image *i);

/* ---- the directory ---- */

enum standing {
	STANDING_FIXED,	    /* LOCK, STATE, MANIFEST.json */
	STANDING_NAMED,	    /* the manifest names it */
	STANDING_CLAIMED,   /* somebody builds it, or is about to unlink it */
	STANDING_PINNED,    /* dropped, and a reader may still need it */
	STANDING_IMAGE,	    /* a version image, of this generation or not */
	STANDING_TEMPORARY, /* under construction, or left behind */
	STANDING_ORPHAN,    /* nothing needs it */
	STANDING_FOREIGN,   /* not a store's */
};

/* "named", "claimed", ... */
const char *standing_name(enum standing s);
/* "table", "log", "tree", "image", ...; of a file, by its name. */
const char *file_kind_name(enum file_kind k);

struct listed {
	char *name;
	enum file_kind kind;
	uint64_t number;
	uint64_t bytes;
	enum standing standing;
	bool left; /* STANDING_TEMPORARY: nobody is building it */
};

struct listing {
	struct listed *files; /* by name */
	size_t n;
};

#define LISTING_INIT ((struct listing){ NULL, 0 })

/* *l is LISTING_INIT.  What goes away meanwhile is left out. */
int listing_make(struct inspection *in, struct listing *l,
		 struct store_error *err);
void listing_release(struct listing *l);

#endif
