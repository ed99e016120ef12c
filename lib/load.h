/*
 * load.h - bulk load: B1 to B5 of formats/manifest.md.
 *
 * What is larger than the write buffer need not pass through the log: it is
 * put in order in private memory, piece by piece, and written as tables.
 * Threads do that while the caller collects the next piece; so memory holds a
 * piece that fills and LOAD_WORKERS that are being written.  The calls are in
 * store.h; one thread at a time may use a load.
 */
#ifndef LIB_LOAD_H
#define LIB_LOAD_H

#include "lib/engine.h"

#define LOAD_WORKERS 2u

/*
 * Bytes of a piece, what sorting it needs included: a third of load_memory,
 * which is at most a quarter of memory.
 */
uint64_t load_piece_bytes(uint64_t load_memory);

#endif
