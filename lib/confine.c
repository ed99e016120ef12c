/*
 * The system calls by which a child gives up all others.  Everything here is
 * async-signal-safe: the process may have had threads before it forked.
 */
#include "lib/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define CONFINED_STACK (UINT64_C(8) << 20)

static void limit(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit now, l = { soft, hard };

	if (getrlimit(resource, &now) == 0) {
		if (l.rlim_max > now.rlim_max)
			l.rlim_max = now.rlim_max;
		if (l.rlim_cur > l.rlim_max)
			l.rlim_cur = l.rlim_max;
		setrlimit(resource, &l);
	}
}

/*
 * Whoever wants to end the host by a signal to its process group, as Ctrl-C
 * and systemd do, means the host: that waits for the answer, and then decides.
 */
static void default_signals(void)
{
	static const int hosts[] = { SIGHUP,  SIGINT,  SIGQUIT,
				     SIGTERM, SIGUSR1, SIGUSR2 };
	struct sigaction act = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &act, NULL);
	act.sa_handler = SIG_IGN;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		sigaction(hosts[i], &act, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

/* A sanitizer makes calls of its own while the child computes. */
#if defined(OUR_ARCH) && !defined(__SANITIZE_THREAD__) &&                      \
	!defined(__SANITIZE_ADDRESS__)

#define LOAD(field)                                                            \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* If the value loaded is `k`: this verdict. */
#define ON(k, verdict)                                                         \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, 1), VERDICT(verdict)
#define VERDICT(v) BPF_STMT(BPF_RET | BPF_K, (v))
#define ANSWER(e) (SECCOMP_RET_ERRNO | (e))

static bool forbid_calls(void)
{
	const uint32_t self = (uint32_t)getpid();
	struct sock_filter steps[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
		VERDICT(ANSWER(EPERM)),
		LOAD(nr),
		ON(SYS_exit, SECCOMP_RET_ALLOW),
		ON(SYS_exit_group, SECCOMP_RET_ALLOW),
		ON(SYS_rt_sigreturn, SECCOMP_RET_ALLOW),
		ON(SYS_getpid, SECCOMP_RET_ALLOW),
		ON(SYS_gettid, SECCOMP_RET_ALLOW),
		/* malloc() then says in its own way that there is none. */
		ON(SYS_brk, ANSWER(0)),
		ON(SYS_mmap, ANSWER(ENOMEM)),
		/* abort() wants this, and tgkill() on itself. */
		ON(SYS_rt_sigprocmask, ANSWER(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 1, 0),
		VERDICT(ANSWER(EPERM)),
		LOAD(args[0]), /* its low half, on a little-endian machine */
		ON(self, SECCOMP_RET_ALLOW),
		VERDICT(ANSWER(EPERM)),
	};
	struct sock_fprog filter = {
		.len = sizeof(steps) / sizeof(steps[0]),
		.filter = steps,
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

#else

static bool forbid_calls(void)
{
	return false;
}

#endif

void confine(pid_t parent, const struct confines *c)
{
	const struct itimerval end = { .it_value.tv_sec = c->real_s };

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(0);
	/* RLIMIT_CORE does not hold back a core_pattern that is a pipe. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	limit(RLIMIT_CORE, 0, 0);
	limit(RLIMIT_CPU, c->cpu_s, c->cpu_s + 1);
	limit(RLIMIT_STACK, CONFINED_STACK, CONFINED_STACK);
	default_signals();
	syscall(SYS_close_range, 0, ~0U, 0);
	/*
	 * Who can make no call cannot wait for anything; and the time for which
	 * somebody has stopped it, or given it no processor, is not its own.
	 */
	if (!forbid_calls())
		setitimer(ITIMER_REAL, &end, NULL);
}
