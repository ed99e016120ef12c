/*
 * queue.h - the asynchronous queue of a handle; its API is in store.h.
 */
#ifndef LIB_QUEUE_H
#define LIB_QUEUE_H

#include "lib/engine.h"

/* Carry out what was submitted, end the worker, free what was not reaped. */
void queue_close(struct store *db);

#endif
