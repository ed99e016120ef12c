#include "lib/ask.h"

#include "lib/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/wait.h>

/* Calls a strategy gets to notice that its budget is used up. */
#define PATIENCE 1000

struct confines ask_confines = { .cpu_s = 10, .real_s = 30 };

/* What is being asked, as the child marks it; names below. */
enum step {
	STEP_NONE = 0,
	STEP_CHECK = 1,
	STEP_NEED = 2,
	STEP_PLAN = 3,
	STEP_DONE = 4,
};

enum fault {
	FAULT_NONE = 0,
	FAULT_BROKEN = 1,  /* answer.broken */
	FAULT_CROWDED = 2, /* more inputs in all than can be right */
	FAULT_ENDLESS = 3,
};

/* What parent and child share: this, room for jobs, room for inputs. */
struct sheet {
	uint32_t step;
	uint32_t fault;
	char objection[ASK_TEXT];
	uint64_t need;
	uint64_t n_jobs, n_inputs;
	struct answer_job jobs[];
};

/* Sizes that only the parent's memory decides. */
struct layout {
	size_t jobs, inputs; /* room for so many */
	size_t tables;
	size_t inputs_at; /* in bytes */
	size_t bytes;
};

static struct layout layout_of(const struct question *q)
{
	struct layout l = { .tables =
				    q->survey ? q->survey->view.n_tables : 0 };

	if (q->budget) {
		l.jobs = q->budget->jobs < ASK_JOBS_MAX ? q->budget->jobs
							: ASK_JOBS_MAX;
		/* Each table once is enough; twice is told by its number. */
		l.inputs = 2 * l.tables + 16;
	}
	l.inputs_at = sizeof(struct sheet) + l.jobs * sizeof(struct answer_job);
	l.bytes = l.inputs_at + l.inputs * sizeof(uint64_t);
	return l;
}

/* ---- the answering side ---- */

struct writer {
	const struct question *q;
	const struct layout *room;
	struct sheet *sheet;
	uint64_t *inputs;
	uint64_t bytes_left; /* of the budget */
	bool full;
	unsigned patience;
	jmp_buf enough;
};

static void copy_text(char *to, size_t n, const char *text)
{
	size_t i = 0;

	for (; text && text[i] && i < n - 1; i++)
		to[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	to[i] = '\0';
}

static enum fault write_job(struct writer *w, const struct lsm_job *job)
{
	const struct survey *v = w->q->survey;
	struct sheet *s = w->sheet;
	struct answer_job *to = &s->jobs[s->n_jobs];

	if (job->n_inputs > v->view.n_tables ||
	    (!job->inputs && (job->n_inputs || job->kind != LSM_FLUSH)))
		return FAULT_BROKEN;
	if (job->n_inputs > w->room->inputs - s->n_inputs)
		return FAULT_CROWDED;
	*to = (struct answer_job){ .kind = job->kind,
				   .level = job->level,
				   .run = job->run,
				   .table_bytes = job->table_bytes,
				   .n_inputs = job->n_inputs };
	copy_text(to->why, sizeof(to->why), job->why);
	for (size_t i = 0; i < job->n_inputs; i++) {
		size_t at = survey_find(v, job->inputs[i]);
		uint64_t bytes =
			at < v->view.n_tables ? v->tables[at].bytes : 0;

		w->inputs[s->n_inputs++] = job->inputs[i];
		w->bytes_left -= bytes < w->bytes_left ? bytes : w->bytes_left;
	}
	s->n_jobs++;
	return FAULT_NONE;
}

static bool emit(void *ctx, const struct lsm_job *job)
{
	struct writer *w = ctx;

	if (w->full) {
		/*
		 * Planning allocates nothing and holds nothing, so there is
		 * nothing to lose in leaving a strategy that never ends.
		 */
		if (w->patience-- == 0) {
			if (w->sheet->fault == FAULT_NONE)
				w->sheet->fault = FAULT_ENDLESS;
			longjmp(w->enough, 1);
		}
		return false;
	}
	w->sheet->fault = write_job(w, job);
	w->full = w->sheet->fault != FAULT_NONE ||
		  w->sheet->n_jobs == w->room->jobs || w->bytes_left == 0;
	return !w->full;
}

/* In a function of its own: what setjmp() keeps must not change under it. */
static void plan(struct writer *w)
{
	const struct question *q = w->q;

	if (setjmp(w->enough) == 0)
		q->strategy->plan(&q->survey->view, q->budget, emit, w);
}

static void answer(const struct question *q, const struct layout *room,
		   struct sheet *s)
{
	struct writer w = { .q = q,
			    .room = room,
			    .sheet = s,
			    .inputs = (uint64_t *)(void *)((char *)s +
							   room->inputs_at),
			    .patience = PATIENCE };

	if (q->options && q->strategy->check) {
		s->step = STEP_CHECK;
		copy_text(s->objection, sizeof(s->objection),
			  q->strategy->check(q->options));
	}
	if (q->survey) {
		s->step = STEP_NEED;
		s->need = q->strategy->need(&q->survey->view);
	}
	if (q->budget) {
		w.bytes_left = q->budget->bytes;
		w.full = room->jobs == 0 || w.bytes_left == 0;
		s->step = STEP_PLAN;
		plan(&w);
	}
	s->step = STEP_DONE;
}

/* ---- the asking side ---- */

static int refuse(const struct question *q, uint32_t step, const char *what,
		  struct store_error *err)
{
	static const char *const names[] = { "",
					     "check: ", "need: ", "plan: " };

	return store_fail(err, STORE_ECONFIG, "strategy %s: %s%s",
			  q->strategy->name,
			  step < STEP_DONE ? names[step] : "", what);
}

/* How a child ended that has not answered; `status` -1: nobody knows. */
static int tell_end(const struct question *q, uint32_t step, int status,
		    struct store_error *err)
{
	char text[100];
	const char *name;

	if (status == -1)
		return refuse(q, step, "ended before it had answered", err);
	if (!WIFSIGNALED(status))
		return refuse(q, step, "ended the process instead of answering",
			      err);
	switch (WTERMSIG(status)) {
	case SIGXCPU:
	case SIGALRM:
		return refuse(q, step, "found no end, and was stopped", err);
	case SIGKILL:
		return refuse(q, step,
			      "was killed, perhaps for taking too long", err);
	default:
		name = strsignal(WTERMSIG(status));
		snprintf(text, sizeof(text), "crashed: %s",
			 name ? name : "by a signal");
		return refuse(q, step, text, err);
	}
}

/*
 * The sheet is private by now, but who wrote it may have written anything:
 * what is counted must be there, and no more.
 */
static int read_sheet(struct answer *a, const struct question *q,
		      const struct layout *room, struct store_error *err)
{
	struct sheet *s = a->memory;
	uint64_t inputs = 0;

	if (s->n_jobs > room->jobs || s->n_inputs > room->inputs)
		return refuse(q, STEP_PLAN, "wrote over its answers", err);
	for (size_t i = 0; i < s->n_jobs; i++) {
		if (s->jobs[i].n_inputs > room->tables)
			return refuse(q, STEP_PLAN, "wrote over its answers",
				      err);
		inputs += s->jobs[i].n_inputs;
		s->jobs[i].why[PLAN_WHY - 1] = '\0';
		copy_text(s->jobs[i].why, PLAN_WHY, s->jobs[i].why);
	}
	if (inputs != s->n_inputs)
		return refuse(q, STEP_PLAN, "wrote over its answers", err);
	if (s->fault == FAULT_ENDLESS)
		return refuse(q, STEP_PLAN,
			      "plan refused: the strategy goes on for ever",
			      err);
	if (s->fault == FAULT_CROWDED)
		return refuse(q, STEP_PLAN,
			      "plan refused: its jobs have more inputs than "
			      "there are tables",
			      err);
	s->objection[ASK_TEXT - 1] = '\0';
	copy_text(a->objection, ASK_TEXT, s->objection);
	a->need = s->need;
	a->jobs = s->jobs;
	a->n_jobs = s->n_jobs;
	a->inputs =
		(const uint64_t *)(const void *)((char *)s + room->inputs_at);
	a->broken = s->fault == FAULT_BROKEN;
	return 0;
}

/* Fork it, wait for it: 0 and *status, as waitpid() has it, or -1. */
static int run_child(const struct question *q, const struct layout *room,
		     struct sheet *shared, int *status, struct store_error *err)
{
	pid_t parent = os.getpid(), child;
	sigset_t all, before;
	int e;

	/* A handler of the host's must not run in the child. */
	sigfillset(&all);
	os.procmask(SIG_BLOCK, &all, &before);
	child = os.fork();
	e = errno;
	if (child == 0) {
		os.confine(parent, &ask_confines);
		answer(q, room, shared);
		os.quit();
	}
	os.procmask(SIG_SETMASK, &before, NULL);
	if (child < 0)
		return store_fail(err, STORE_ESYSTEM,
				  "strategy %s: no process to ask it in: %s",
				  q->strategy->name, strerror(e));
	while (os.wait(child, status) < 0)
		if (errno != EINTR) {
			/* Somebody else reaped it: it has ended. */
			*status = -1;
			break;
		}
	return 0;
}

int ask(struct answer *a, const struct question *q, struct store_error *err)
{
	struct layout room = layout_of(q);
	struct sheet *shared = os.share(room.bytes);
	int status, r;

	a->memory = malloc(room.bytes);
	if (!shared || !a->memory) {
		r = store_nomem(err);
		goto out;
	}
	r = run_child(q, &room, shared, &status, err);
	if (r < 0)
		goto out;
	memcpy(a->memory, shared, room.bytes);
	r = ((struct sheet *)a->memory)->step == STEP_DONE
		    ? read_sheet(a, q, &room, err)
		    : tell_end(q, ((struct sheet *)a->memory)->step, status,
			       err);
out:
	if (shared)
		os.unmap(shared, room.bytes);
	if (r < 0)
		answer_release(a);
	return r;
}

int ask_here(struct answer *a, const struct question *q,
	     struct store_error *err)
{
	struct layout room = layout_of(q);
	int r;

	a->memory = calloc(1, room.bytes);
	if (!a->memory)
		return store_nomem(err);
	answer(q, &room, a->memory);
	r = read_sheet(a, q, &room, err);
	if (r < 0)
		answer_release(a);
	return r;
}

void answer_release(struct answer *a)
{
	free(a->memory);
	*a = ANSWER_INIT;
}
