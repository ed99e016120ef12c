#include "lib/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
	enum file_kind kind;
	const char *suffix;
} numbered[] = {
	{ FILE_WAL, ".wal" },	      { FILE_SST, ".sst" },
	{ FILE_SST_TMP, ".sst.tmp" }, { FILE_IDX, ".idx" },
	{ FILE_VER, ".ver" },	      { FILE_VER_TMP, ".ver.tmp" },
};

#define N_NUMBERED (sizeof(numbered) / sizeof(numbered[0]))

void name_make(char *name, enum file_kind kind, uint64_t number)
{
	const char *suffix = "";

	for (size_t i = 0; i < N_NUMBERED; i++)
		if (numbered[i].kind == kind)
			suffix = numbered[i].suffix;
	snprintf(name, NAME_SIZE, "%06" PRIu64 "%s", number, suffix);
}

/*
 * Only the canonical spelling is ours: 1.sst and 0000001.sst are not, so that
 * no two names mean one file.
 */
static enum file_kind parse_numbered(const char *name, uint64_t *number)
{
	char canonical[NAME_SIZE];
	uint64_t n = 0;
	size_t digits = 0;

	while (name[digits] >= '0' && name[digits] <= '9' && digits < 18)
		n = n * 10 + (uint64_t)(name[digits++] - '0');
	for (size_t i = 0; digits && i < N_NUMBERED; i++) {
		if (strcmp(name + digits, numbered[i].suffix))
			continue;
		name_make(canonical, numbered[i].kind, n);
		if (strcmp(name, canonical))
			break;
		*number = n;
		return numbered[i].kind;
	}
	return FILE_FOREIGN;
}

enum file_kind name_parse(const char *name, uint64_t *number)
{
	*number = 0;
	if (!strcmp(name, NAME_LOCK))
		return FILE_LOCK;
	if (!strcmp(name, NAME_STATE))
		return FILE_STATE;
	if (!strcmp(name, NAME_MANIFEST))
		return FILE_MANIFEST;
	if (!strcmp(name, NAME_MANIFEST_TMP))
		return FILE_MANIFEST_TMP;
	return parse_numbered(name, number);
}
