/*
 * power_disk.h - what may lie on the disk at a point of a trace.
 *
 * A disk follows a trace event by event.  It keeps what is durable there, and
 * which events are pending: done, seen by every process, and not yet safe.
 * disk_state() then fills the simulated filesystem with one of the states in
 * which a power failure may leave it.
 *
 * A device writes whole units (sectors of 512 bytes, pages of 4 KiB), each as
 * it was at some moment: so a unit is cut off at one event of the trace, and
 * holds all older ones.  The length of a file and the names are metadata, and
 * come or go apart from the bytes.
 *
 * Profiles: DISK_WEAK promises what POSIX does, an fsync of a file says
 * nothing of its name, and names come and go one by one.  DISK_ORDERED keeps
 * names in their order, and any fsync brings those before it along (ext4,
 * xfs).
 */
#ifndef TESTS_CRASH_POWER_DISK_H
#define TESTS_CRASH_POWER_DISK_H

#include "tests/crash/power_fs.h"

enum disk_profile {
	DISK_WEAK,
	DISK_ORDERED,
};

struct disk_file {
	uint8_t *data;
	uint64_t len;
	uint32_t pending; /* how many events */
	bool living; /* never synced: written back by the kernel in its time */
};

struct disk {
	enum disk_profile profile;
	const struct trace *trace;
	size_t at; /* events of the trace that were taken in */
	bool there;
	struct fs_name names[FS_NAMES];
	size_t n_names;
	struct disk_file *files; /* by inode */
	uint32_t n_files;
	size_t *pending; /* indexes of events, ascending */
	size_t n_pending, cap_pending;
	uint32_t dir_pending; /* how many of them change names */
};

/* A disk that holds what the filesystem holds, all of it durable. */
void disk_init(struct disk *d, const struct trace *t, enum disk_profile p);
void disk_release(struct disk *d);
/* Take in the next event. */
void disk_advance(struct disk *d);
/* The durable inode of a name, or 0. */
uint32_t disk_find(const struct disk *d, const char *name);

#define NEVER UINT64_MAX

/* Which pending changes of names survive. */
enum names_kept {
	NAMES_ALL,
	NAMES_NONE,
	NAMES_BEFORE, /* event `name_event` */
	NAMES_BUT,
	NAMES_ONLY,
	NAMES_RANDOM,
};

enum lengths_kept {
	LENGTHS_AS_DATA, /* of a file none or all of whose bytes survive */
	LENGTHS_ALL,	 /* grown, and zeros where no bytes came */
};

/* One state.  Units of all files hold the events before `base`. */
struct cut {
	uint64_t base; /* 0: none, NEVER: all */
	unsigned unit; /* 512 or 4096 */
	/* ... but units [first, end) of `inode` those before `until` */
	uint32_t inode;
	uint64_t first, end;
	uint64_t until;
	/* and its length, if not 0, is what it was before that event */
	uint64_t length_until;
	enum lengths_kept lengths;
	enum names_kept names;
	size_t name_event;
	uint64_t random; /* not 0: a random choice for each unit and length */
};

#define CUT_INIT                                                               \
	((struct cut){ .base = NEVER, .unit = 512, .lengths = LENGTHS_ALL })

/* Fill the filesystem with the state; returns a hash of all of it. */
uint64_t disk_state(const struct disk *d, const struct cut *c);

#endif
