#include "bin/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_MS 5
#define OPEN_END (-1)

extern char **environ;

/* Default actions for all signals, and none blocked. */
static int set_signals(posix_spawnattr_t *attr)
{
	sigset_t all, none;
	int e;

	sigfillset(&all);
	sigemptyset(&none);
	if ((e = posix_spawnattr_setsigdefault(attr, &all)) ||
	    (e = posix_spawnattr_setsigmask(attr, &none)))
		return e;
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETSIGMASK);
}

/* `out` becomes 1 and 2; OPEN_END: 1 is /dev/null and 2 stays. */
static int set_files(posix_spawn_file_actions_t *files, int out)
{
	int e = posix_spawn_file_actions_addopen(files, 0, "/dev/null",
						 O_RDONLY, 0);

	if (e)
		return e;
	if (out == OPEN_END)
		return posix_spawn_file_actions_addopen(files, 1, "/dev/null",
							O_WRONLY, 0);
	e = posix_spawn_file_actions_adddup2(files, out, 1);
	return e ? e : posix_spawn_file_actions_adddup2(files, out, 2);
}

static pid_t spawn(const char *const *args, int out, struct store_error *err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char path[512];
	pid_t pid = -1;
	int e;

	snprintf(path, sizeof(path), "%s/%s", TOOL_DIR, args[0]);
	if ((e = posix_spawn_file_actions_init(&files)))
		goto out;
	if ((e = posix_spawnattr_init(&attr)))
		goto out_files;
	if ((e = set_files(&files, out)) == 0 && (e = set_signals(&attr)) == 0)
		/* The list of strings is const in all but its type. */
		e = posix_spawn(&pid, path, &files, &attr,
				(char *const *)(uintptr_t)args, environ);
	posix_spawnattr_destroy(&attr);
out_files:
	posix_spawn_file_actions_destroy(&files);
out:
	if (e)
		return store_fail(err, STORE_ESYSTEM, "cannot run %s: %s", path,
				  strerror(e));
	return pid;
}

pid_t child_start(const char *const *args, struct store_error *err)
{
	return spawn(args, OPEN_END, err);
}

/* waitpid(); 0: nothing to tell, 1: ended, *status; 2: stopped. */
static int look(pid_t pid, int flags, int *status)
{
	pid_t r;
	int s = 0;

	do {
		r = waitpid(pid, &s, flags);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return 0;
	if (r > 0 && WIFSTOPPED(s))
		return 2;
	/* Who starts us may have ignored SIGCHLD: then nobody can know. */
	*status = r < 0		   ? 0
		  : WIFSIGNALED(s) ? 128 + WTERMSIG(s)
				   : WEXITSTATUS(s);
	return 1;
}

bool child_done(pid_t pid, int *status)
{
	return look(pid, WNOHANG, status) == 1;
}

int child_wait(pid_t pid, unsigned patience_ms)
{
	int status = 0;

	if (look(pid, WUNTRACED, &status) == 2)
		return child_end(pid, patience_ms);
	return status;
}

int child_end(pid_t pid, unsigned patience_ms)
{
	const struct timespec pause = { 0, LOOK_EVERY_MS * 1000000L };
	int status = 0;

	kill(pid, SIGTERM);
	kill(pid, SIGCONT);
	for (unsigned ms = 0; ms < patience_ms; ms += LOOK_EVERY_MS) {
		if (child_done(pid, &status))
			return status;
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	look(pid, 0, &status);
	return status;
}

/* Until the other end is closed, also when nothing more is kept. */
static int keep_output(int fd, struct buf *out, struct store_error *err)
{
	char piece[4096];
	ssize_t n;

	for (;;) {
		n = read(fd, piece, sizeof(piece));
		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return store_fail(err, STORE_ESYSTEM, "pipe: read: %s",
					  strerror(errno));
		if (out->len + (size_t)n <= CHILD_OUTPUT_MAX &&
		    buf_append(out, piece, (size_t)n) < 0)
			return store_nomem(err);
	}
}

int child_run(const char *const *args, struct buf *out, struct store_error *err)
{
	int ends[2], status = 0, r;
	pid_t pid;

	buf_clear(out);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return store_fail(err, STORE_ESYSTEM, "pipe: %s",
				  strerror(errno));
	pid = spawn(args, ends[1], err);
	close(ends[1]);
	r = pid < 0 ? (int)pid : keep_output(ends[0], out, err);
	close(ends[0]);
	if (pid > 0)
		look(pid, 0, &status);
	return r < 0 ? r : status;
}

void child_of(uint64_t pid)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* It may have ended before that was set: then nobody waits for us. */
	if ((uint64_t)getppid() != pid)
		exit(0);
}
