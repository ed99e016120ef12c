/*
 * state.h - living memory: the bytes of STATE and of a tree, NNNNNN.idx.
 *
 * Both files begin with one page of 4,096 bytes that processes share through
 * the page cache: a token that tells whether the file may be believed, and
 * cells.  A cell is a small record that others read while it changes: two
 * slots, each with a sequence number and a checksum, written in turn by the
 * holder of the cell's lock; a reader takes the newest slot that checks.
 *
 * In a tree file, nodes of 32 bytes follow the page: node i lies at byte
 * 32 * i, so that 0 to 127 are the page and 0 means "no child".
 *
 * Structs here are laid over bytes of this machine's order: living memory
 * never leaves the machine, and a file of another order fails its magic.
 * Byte by byte: formats/state.md, formats/idx.md.
 */
#ifndef FORMATS_STATE_H
#define FORMATS_STATE_H

#include "formats/bytes.h"

#include <assert.h>

#define STATE_PAGE 4096u
#define STATE_PAIRS 16
#define STATE_SALT 0 /* the token's salt in STATE; a tree has its log's */

/* One living page cache in which the file has been seen. */
struct token_pair {
	uint8_t boot[16];
	uint64_t mount;
};

struct token {
	uint64_t magic;
	uint32_t version;
	uint32_t n_pairs; /* 0: cleared, a rebuild is under way or broke off */
	uint64_t dev;
	uint64_t inode;
	uint8_t uuid[16];
	uint64_t salt;
	uint64_t reserved;
	struct token_pair pairs[STATE_PAIRS];
	uint64_t checksum;
};

static_assert(sizeof(struct token) == 456, "token: see state.md");

#define STATE_MAGIC UINT64_C(0x0a65746174736d6c) /* "lmstate\n" */
#define IDX_MAGIC UINT64_C(0x0a786469206d736c)	 /* "lsm idx\n" */
#define LIVING_VERSION 3u			 /* of both */

/* A slot: 64 bytes; a cell: two of them. */
struct slot {
	uint64_t seq; /* 0: never written */
	uint64_t v[6];
	uint64_t checksum; /* over seq and v, seeded with the cell's offset */
};

static_assert(sizeof(struct slot) == 64, "slot: see state.md");

struct cell {
	struct slot slot[2];
};

/* Where the token and the cells lie in the page. */
enum state_offset {
	TOKEN_OFF = 0,
	/* STATE */
	STATE_GENERATION_OFF = 1024, /* under MANIFEST */
	STATE_COUNTER_OFF = 1152,    /* under NUMBER */
	STATE_HINTS_OFF = 2048,	     /* 64 bytes a role, by who holds it */
	/* tree */
	IDX_COMMIT_OFF = 1024, /* under WRITE */
	IDX_SYNC_OFF = 1152,   /* under SYNC */
};

/* What the cells hold: indexes into slot.v. */
enum {
	GENERATION_NUMBER = 0,
	GENERATION_CHECKSUM = 1,   /* of MANIFEST.json */
	GENERATION_INSTALLING = 2, /* 1: an install is under way */

	COUNTER_NEXT = 0,

	COMMIT_ROOT = 0,      /* low half: node index; high half: the tail */
	COMMIT_LOG_BYTES = 1, /* published length of the log */
	COMMIT_NODES = 2,     /* low half: nodes in the file, the page's 128
				 included; high half: the skip */
	COMMIT_ENTRIES = 3,   /* keys in the tree, tombstones included */
	COMMIT_CHAIN = 4, /* checksum of the last batch; the salt at first */
	COMMIT_BATCHES = 5,

	SYNC_LENGTH = 0,   /* durable up to here; healed: in a table */
	SYNC_SYNCING = 1,  /* a leader is syncing up to here; 0: none */
	SYNC_POISONED = 2, /* 1: a sync failed or its end is not known */
	SYNC_TOOK_US = 3,  /* how long the last sync took */
	SYNC_BATCHES = 4,  /* batches in the log when it began */
	SYNC_GROUP = 5,	   /* low half: how many it covered; high: its turn */
};

/* Who holds a lock, as a hint for messages. */
struct hint {
	uint64_t pid;
	char tool[24];
	uint64_t reserved[3];
	uint64_t checksum;
};

static_assert(sizeof(struct hint) == 64, "hint: see state.md");

struct tree_node {
	uint64_t prefix; /* of the key behind the skip; tree_digest() */
	uint64_t off;	 /* of the entry in the log */
	union {
		uint32_t child[2]; /* left, right */
		uint64_t hash;	   /* of the tail: tail_hash() of the key */
	};
	uint16_t key_len;
	uint8_t height;	    /* a leaf has 1 */
	uint8_t shape;	    /* NODE_KIND | balance + 1 << NODE_BALANCE_SHIFT */
	uint32_t entry_len; /* of the whole entry in the log */
};

static_assert(sizeof(struct tree_node) == 32, "node: see idx.md");
#define NODE_KIND 0x0f	     /* enum entry_kind */
#define NODE_BALANCE_SHIFT 4 /* right height - left height, plus 1 */
#define NODE_BYTES 32u
#define NODE_FIRST (STATE_PAGE / NODE_BYTES)
/* An AVL tree of 2^32 nodes is no higher. */
#define TREE_HEIGHT_MAX 48
/* So many bytes at most of its keys does a tree not look at. */
#define SKIP_MAX 64u
/* So many of the last nodes, the tail, may be in no tree yet. */
#define TAIL_MAX 1024u

uint64_t tail_hash(struct slice key);

void token_seal(struct token *t);
/* Checksum, magic, version, and no more pairs than fit. */
bool token_ok(const struct token *t, uint64_t magic, uint32_t version);

/*
 * The newest slot that checks of a cell, copied to *s; false when neither
 * does: read again.  `raw` is sizeof(struct cell) bytes that lie at `off` in
 * their file.  A cell never written (both slots zero) gives seq 0 and zeros.
 */
bool cell_read(const uint8_t *raw, uint32_t off, struct slot *s);

/*
 * The slot to write next: `s` with seq one above, sealed; returns its offset
 * in the file.  The caller changed s->v and holds the cell's lock.
 */
uint32_t cell_next(uint32_t off, struct slot *s);

void hint_seal(struct hint *h);
bool hint_ok(const struct hint *h);

#endif
