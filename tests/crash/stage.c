/* stage.c - where a scene is played: its directory, kept and put back. */
#include "tests/crash/scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void stage_command(const struct stage *s, const char *const *argv,
		   char room[300], const char **out)
{
	size_t n = 0;

	snprintf(room, 300, "%s/%s", s->bin, argv[0]);
	out[n++] = room;
	out[n++] = "-d";
	out[n++] = s->dir;
	for (size_t i = 1; i < SCENE_ARGS && argv[i]; i++)
		out[n++] = scene_operand(argv[i]);
	out[n] = NULL;
}

void stage_make(struct stage *s, const struct scene *scene, const char *bin)
{
	const char *tmp = getenv("LSM_CRASH_TMP");
	char keep[240];

	*s = (struct stage){ .bin = bin, .n_states = 1 };
	s->states[0] = MODEL_INIT;
	if (!tmp)
		tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(s->root, sizeof(s->root), "%.150s/lsm-crash.XXXXXX", tmp);
	if (!mkdtemp(s->root)) {
		fprintf(stderr, "stage: %s: %s\n", s->root, strerror(errno));
		exit(2);
	}
	snprintf(s->dir, sizeof(s->dir), "%s/data", s->root);
	snprintf(s->input, sizeof(s->input), "%s/input", s->root);
	snprintf(s->output, sizeof(s->output), "%s/output", s->root);
	snprintf(keep, sizeof(keep), "%s/keep", s->root);
	scene->make(s);
	place_save(&s->before, s->dir, keep);
	s->copied = scene->copied;
	if (access(s->input, R_OK) < 0)
		*s->input = '\0';
}

void stage_reset(struct stage *s)
{
	unlink(s->output);
	/* The kept files are the original; every trial gets new ones. */
	if (s->copied)
		place_copy(s->before.keep, s->dir);
	else
		place_restore(&s->before);
}

void stage_free(struct stage *s)
{
	place_remove(s->dir);
	place_release(&s->before);
	for (size_t i = 0; i < s->n_states; i++)
		model_free(&s->states[i]);
	place_remove(s->root);
}
