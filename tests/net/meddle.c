// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs a command that something happens to, at one of its system calls:
 *   meddle count CALL COMMAND…          writes how many CALLs it made, on fd 9
 *   meddle kill CALL N COMMAND…         SIGKILL, as it is about to make the N-th
 *   meddle fail CALL N ERRNO COMMAND…   the N-th is not made, and fails with ERRNO (a number)
 * CALL is bpf, mmap, openat, write, fsync, rename or any. Exits as the command does; 137 when it was killed, 99
 * when it ended before its N-th call. Only the process itself is followed, not its children.
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum what { COUNT, KILL, FAIL };
enum { CALL_ANY = -1, CALL_UNKNOWN = -2, NEVER = 99 };

struct job {
	enum what what;
	long call;
	unsigned long n; /* which of them */
	long error;	 /* FAIL: the errno */
};

static long call_number(const char *name)
{
	static const struct {
		const char *name;
		long number;
	} calls[] = {
		{ "any", CALL_ANY },	      { "bpf", SYS_bpf },     { "mmap", SYS_mmap },
		{ "openat", SYS_openat },     { "write", SYS_write },
		{ "fsync", SYS_fsync },
#ifdef SYS_rename
		{ "rename", SYS_rename },
#else
		{ "rename", SYS_renameat2 },
#endif
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	return CALL_UNKNOWN;
}

/* On entry: make it no call at all. */
static void skip_call(pid_t pid)
{
#if defined(__x86_64__)
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, pid, NULL, &regs);
	regs.orig_rax = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, pid, NULL, &regs);
#elif defined(__aarch64__)
	int none = -1;
	struct iovec iov = { &none, sizeof(none) };

	ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &iov);
#else
#error "how are system calls skipped here?"
#endif
}

/* On its exit: what it returns. */
static void set_result(pid_t pid, long result)
{
#if defined(__x86_64__)
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, pid, NULL, &regs);
	regs.rax = (unsigned long long)result;
	ptrace(PTRACE_SETREGS, pid, NULL, &regs);
#elif defined(__aarch64__)
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };

	ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov);
	regs.regs[0] = (unsigned long long)result;
	ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &iov);
#endif
}

/* The child's exit status when it has one, or -1 while it goes on. */
static int wait_for(pid_t pid, int *ret_signal)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		return 1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	*ret_signal = WSTOPSIG(status);
	return -1;
}

static int finish(const struct job *job, unsigned long seen, int status)
{
	if (job->what == COUNT)
		dprintf(9, "%lu\n", seen);
	else if (seen < job->n)
		return NEVER;
	return status;
}

static int follow(pid_t pid, const struct job *job)
{
	unsigned long seen = 0;
	bool failing = false;
	int signal = 0, status = wait_for(pid, &signal); /* the stop behind execve() */

	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (int pass = 0; status < 0;) {
		struct __ptrace_syscall_info info = { 0 };

		ptrace(PTRACE_SYSCALL, pid, NULL, (long)pass);
		status = wait_for(pid, &signal);
		pass = signal == (SIGTRAP | 0x80) ? 0 : signal;
		if (status >= 0 || pass)
			continue;
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info);
		if (failing)
			set_result(pid, -job->error);
		failing = false;
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY ||
		    (job->call != CALL_ANY && (long)info.entry.nr != job->call))
			continue;
		if (++seen != job->n)
			continue;
		if (job->what == KILL) {
			kill(pid, SIGKILL);
			return wait_for(pid, &signal);
		}
		failing = job->what == FAIL;
		if (failing)
			skip_call(pid);
	}
	return finish(job, seen, status);
}

static int usage(void)
{
	fprintf(stderr, "usage: meddle count CALL | kill CALL N | fail CALL N ERRNO COMMAND…\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { [COUNT] = "count", [KILL] = "kill", [FAIL] = "fail" };
	struct job job = { 0 };
	char **command = argv + 3;
	pid_t pid;

	while (argc > 1 && (int)job.what <= FAIL && strcmp(argv[1], names[job.what]))
		job.what++;
	command += job.what;
	if (argc < 2 || job.what > FAIL || command >= argv + argc)
		return usage();
	job.call = call_number(argv[2]);
	job.n = job.what == COUNT ? 0 : strtoul(argv[3], NULL, 10);
	job.error = job.what == FAIL ? strtol(argv[4], NULL, 10) : 0;
	if (job.call == CALL_UNKNOWN)
		return usage();
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		close(9);
		execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	return pid < 0 ? 1 : follow(pid, &job);
}
