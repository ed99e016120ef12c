/*
 * engine.h - what a key-value library must do to be compared.
 *
 * One file each: engine_store.c is ours.  A program is linked with exactly
 * one engine, so that the memory it is charged for is its own.  This is a
 * benchmark: whatever fails is said on stderr and ends the process.
 *
 * A database may be used by two threads at once: one reads through a reader
 * of its own, the other writes.  What a reader hands out is valid until its
 * next call.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "formats/bytes.h"

struct engine_config {
	const char *dir;    /* exists; empty, or what open() left in it */
	size_t cache_bytes; /* for blocks or pages */
	bool sync;	    /* writes will ask to be durable */
	bool ordered;	    /* keys will be written in order, once */
};

struct engine_op {
	struct slice key, value; /* value.data NULL: delete */
};

struct engine {
	const char *name;
	const char *settings; /* for people: how it was set up */

	void *(*open)(const struct engine_config *config);
	/* Returns when nothing is left running. */
	void (*close)(void *db);

	/* All of the ops or none; durable when it returns, if `sync`. */
	void (*write)(void *db, const struct engine_op *ops, size_t n,
		      bool sync);
	/* Everything written is in its final form when it returns. */
	void (*compact)(void *db);

	void *(*reader_open)(void *db);
	void (*reader_close)(void *reader);
	/* The newest value. */
	bool (*get)(void *reader, struct slice key, struct slice *value);
	/*
	 * An iterator over the state at the time of first, last or seek (the
	 * first key >= `key`).  False: there is no such record.
	 */
	bool (*first)(void *reader, struct engine_op *at);
	bool (*last)(void *reader, struct engine_op *at);
	bool (*seek)(void *reader, struct slice key, struct engine_op *at);
	bool (*next)(void *reader, struct engine_op *at);
	bool (*prev)(void *reader, struct engine_op *at);
};

/* The one that is linked. */
extern const struct engine engine;

/* Say it on stderr and end with status 1. */
_Noreturn void engine_die(const char *what, const char *why);

#endif
