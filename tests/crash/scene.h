/*
 * scene.h - the situations in which tools are killed or stopped.
 *
 * A scene makes a store by ordinary means, together with the model of what it
 * holds, and names a command and the states it may lead to.  A stage is a
 * scene made: a directory that can be put back to the moment before the
 * command as often as is wanted.
 */
#ifndef TESTS_CRASH_SCENE_H
#define TESTS_CRASH_SCENE_H

#include "lib/store.h"
#include "tests/crash/model.h"
#include "tests/crash/place.h"
#include "tests/crash/trace.h"

#include <stdbool.h>

#define SCENE_ARGS 12
#define SCENE_STATES 40

struct stage {
	const char *bin;  /* directory of the tools */
	char root[200];	  /* ours alone, removed at the end */
	char dir[240];	  /* the store */
	char input[240];  /* the command's stdin; may be absent */
	char output[240]; /* what the command said */
	struct store *db; /* open while the scene is made */
	/* states[0] is before; each batch of the command makes one more */
	struct model states[SCENE_STATES];
	size_t n_states;
	struct place before;
	bool copied;
};

struct scene {
	const char *name;
	void (*make)(struct stage *s);
	const char *argv[SCENE_ARGS]; /* the tool by name, without -d */
	bool creates;		      /* there may be no store yet */
	/*
	 * Every trial begins with a copy of the store, whose living memory is
	 * not believed: the command recovers first.
	 */
	bool copied;
	bool threads; /* the command has several */
	/* A batch nobody promised lies there: a copy may have it, and lose it.
	 */
	bool unpromised;
};

/* A scene for every plugin in `plugins` besides the fixed ones; n of them. */
const struct scene *scene_all(const char *plugins, size_t *n);
const struct scene *scene_find(const struct scene *all, size_t n,
			       const char *name);

/* An operand "@" stands for a value that fills the rest of a full log. */
const char *scene_operand(const char *arg);

/* Make it; what fails ends the harness with status 2. */
void stage_make(struct stage *s, const struct scene *scene, const char *bin);
/* To the moment before the command: living memory, inodes and all. */
void stage_reset(struct stage *s);
void stage_free(struct stage *s);

/*
 * argv of a tool in this stage: its path, -d and the directory, the rest.
 * `room` holds the path; `out` has SCENE_ARGS + 3 places.
 */
void stage_command(const struct stage *s, const char *const *argv,
		   char room[300], const char **out);

#endif
