/*
 * power_fs.h - a filesystem in memory, put behind lib/os.h.
 *
 * It holds one directory, "data" below ".", and files of at most a mebibyte.
 * Everything written is seen at once, as through a page cache; what a power
 * failure leaves of it is power_disk.h's business, which fills the filesystem
 * with a state for the recovery code to find.  One process, one thread: locks
 * are always granted.
 */
#ifndef TESTS_CRASH_POWER_FS_H
#define TESTS_CRASH_POWER_FS_H

#include "tests/crash/power_trace.h"

#include <stdbool.h>

#define FS_DIR "data"
#define FS_INODES 8192u
#define FS_FILE_MAX (1u << 20)
#define FS_NAMES 512u

struct fs_name {
	char name[NAME_SIZE];
	uint32_t inode;
};

/* How the machine came up. */
struct fs_boot {
	uint64_t boot;	/* the boot id, in short */
	uint64_t mount; /* mount id of the filesystem */
	bool unique;	/* mount ids are never used again (Linux 6.8) */
	bool cold;	/* RWF_NOWAIT finds nothing until it was read */
};

struct fs {
	bool there; /* the directory exists */
	struct fs_name names[FS_NAMES];
	size_t n_names;
	uint64_t len[FS_INODES]; /* by inode */
	uint64_t top[FS_INODES]; /* no byte at or above was ever written */
	uint32_t next_inode;
	struct fs_boot boot;
	bool warm[FS_INODES];
	struct trace *trace; /* events go here, unless NULL */
};

extern struct fs fs;

/* Put the simulation behind `os`. */
void fs_install(void);
/* An empty filesystem, no directory; nothing may be open. */
void fs_reset(void);
/* The bytes of a file: FS_FILE_MAX of them, zeros beyond its length. */
uint8_t *fs_bytes(uint32_t inode);
/* The inode of a name, or 0. */
uint32_t fs_find(const char *name);
/* Add a name, replacing one that is there. */
void fs_link(const char *name, uint32_t inode);
void fs_unlink(const char *name);
/* How many descriptors are open. */
size_t fs_open_count(void);
/* The next of a fixed sequence of random numbers. */
uint64_t fs_random(void);

#endif
