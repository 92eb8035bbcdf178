/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What serve's processes could do with a filter that has holes: all of it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail.h"

/* The kernel would say something else than EPERM to such arguments, if the filter let them pass. */
#define BAD ((long)-1)

struct call {
	const char *name;
	long nr, arg[6];
};

static char writable[] = "/tmp/portguard-jail.XXXXXX";
#define PATH ((long)writable)
#define CALL(name, ...) { #name, SYS_##name, { __VA_ARGS__ } }
#define OPENAT(flags) { "openat " #flags, SYS_openat, { AT_FDCWD, PATH, flags, 0600 } }
#define BPF(command) { #command, SYS_bpf, { command, BAD, 0 } }
#define SOCKET(family, type) { "socket " #family, SYS_socket, { family, type, 0 } }
#define IOCTL(command) { "ioctl " #command, SYS_ioctl, { 0, command, BAD } }

/* In each jail. */
static const struct call never[] = {
	OPENAT(O_WRONLY), OPENAT(O_RDWR), OPENAT(O_RDONLY | O_TRUNC), OPENAT(O_RDONLY | O_CREAT), OPENAT(O_ACCMODE),
	OPENAT(O_WRONLY | O_APPEND), { "openat O_TMPFILE", SYS_openat, { AT_FDCWD, (long)"/tmp", O_TMPFILE | O_RDWR, 0600 } },
	CALL(openat2, AT_FDCWD, PATH, BAD, 24), CALL(open_by_handle_at, BAD, BAD, 0), CALL(name_to_handle_at, BAD, BAD, BAD),
	CALL(mknodat, AT_FDCWD, BAD, S_IFREG, 0), CALL(mkdirat, AT_FDCWD, BAD, 0700), CALL(unlinkat, AT_FDCWD, BAD, 0),
	CALL(renameat2, AT_FDCWD, BAD, AT_FDCWD, BAD, 0), CALL(linkat, AT_FDCWD, BAD, AT_FDCWD, BAD, 0),
	CALL(symlinkat, BAD, AT_FDCWD, BAD), CALL(truncate, BAD, 0), CALL(ftruncate, BAD, 0), CALL(fallocate, BAD, 0, 0, 1),
	CALL(fchmod, BAD, 0), CALL(fchmodat, AT_FDCWD, BAD, 0), CALL(fchown, BAD, 0, 0), CALL(fchownat, AT_FDCWD, BAD, 0, 0, 0),
	CALL(utimensat, AT_FDCWD, BAD, BAD, 0), CALL(setxattr, BAD, BAD, BAD, 1, 0), CALL(lsetxattr, BAD, BAD, BAD, 1, 0),
	CALL(fsetxattr, BAD, BAD, BAD, 1, 0), CALL(removexattr, BAD, BAD), CALL(fremovexattr, BAD, BAD),
	CALL(pwrite64, BAD, BAD, 1, 0), CALL(pwritev, BAD, BAD, 1, 0), CALL(copy_file_range, BAD, 0, BAD, 0, 1, 0),
	CALL(splice, BAD, 0, BAD, 0, 1, 0), CALL(chdir, BAD), CALL(fchdir, BAD), CALL(chroot, BAD),
	/* What is mounted, and namespaces. */
	CALL(mount, BAD, BAD, BAD, 0, 0), CALL(umount2, BAD, 0), CALL(pivot_root, BAD, BAD), CALL(open_tree, BAD, BAD, 0),
	CALL(move_mount, BAD, BAD, BAD, BAD, 0), CALL(fsopen, BAD, 0), CALL(fsconfig, BAD, 0, 0, 0, 0), CALL(fsmount, BAD, 0, 0),
	CALL(fspick, BAD, BAD, 0), CALL(mount_setattr, BAD, BAD, 0, BAD, 0), CALL(setns, BAD, 0), CALL(unshare, 0),
	/* Programs and processes. */
	CALL(execve, BAD, 0, 0), CALL(execveat, BAD, BAD, 0, 0, 0), CALL(clone, 0, 0), CALL(clone3, BAD, 64), CALL(ptrace, 0, 0, 0, 0),
	CALL(process_vm_readv, BAD, BAD, 1, BAD, 1, 0), CALL(process_vm_writev, BAD, BAD, 1, BAD, 1, 0), CALL(kill, 0, 0),
	CALL(tkill, BAD, 0), CALL(tgkill, 1, 1, 0), CALL(rt_sigqueueinfo, BAD, 0, BAD), CALL(pidfd_open, BAD, 0),
	CALL(pidfd_getfd, BAD, 0, 0), CALL(pidfd_send_signal, BAD, 0, 0, 0), CALL(process_madvise, BAD, BAD, 1, 0, 0),
	CALL(prlimit64, 0, RLIM_NLIMITS, 0, 0), CALL(setpriority, BAD, 0, 0), CALL(prctl, BAD), CALL(seccomp, BAD, 0, 0),
	CALL(setuid, BAD), CALL(setresuid, BAD, BAD, BAD), CALL(setgroups, 0, BAD), CALL(capset, BAD, BAD),
	/* The kernel's doors. */
	CALL(io_uring_setup, 1, BAD), CALL(io_uring_enter, BAD, 0, 0, 0, 0, 0), CALL(io_uring_register, BAD, 0, 0, 0),
	CALL(userfaultfd, BAD), CALL(perf_event_open, BAD, 0, 0, 0, 0), CALL(kexec_load, 0, BAD, BAD, BAD),
	CALL(init_module, BAD, 1, BAD), CALL(finit_module, BAD, BAD, 0), CALL(delete_module, BAD, 0), CALL(reboot, 0, 0, 0, 0),
	CALL(swapon, BAD, 0), CALL(swapoff, BAD), CALL(keyctl, BAD), CALL(add_key, BAD, BAD, BAD, 1, 0), CALL(request_key, BAD, BAD, 0, 0),
	CALL(sethostname, BAD, 1), CALL(settimeofday, BAD, 0), CALL(clock_settime, 0, BAD), CALL(syslog, BAD, 0, 0), CALL(acct, BAD),
	CALL(quotactl, 0, BAD, 0, 0), CALL(personality, 0), CALL(shmget, 0, 1, IPC_CREAT), CALL(mq_open, BAD, O_CREAT, 0600, 0),
	CALL(inotify_init1, BAD), CALL(fanotify_init, BAD, 0),
	/* Who is there to be talked to. */
	CALL(connect, BAD, BAD, 0), CALL(listen, BAD, 0), CALL(bind, BAD, BAD, sizeof(struct sockaddr_un)),
	CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, BAD), SOCKET(AF_INET, SOCK_STREAM), SOCKET(AF_INET6, SOCK_DGRAM),
	SOCKET(AF_PACKET, SOCK_RAW), SOCKET(AF_ALG, SOCK_SEQPACKET), SOCKET(AF_VSOCK, SOCK_STREAM),
	IOCTL(TIOCSTI), IOCTL(TIOCLINUX), IOCTL(SIOCSIFFLAGS), IOCTL(SIOCSIFNAME), IOCTL(TCGETS),
	/* Of bpf(2): to put a program where it sees others' packets, to pin, to go through what there is. */
	BPF(BPF_OBJ_PIN), BPF(BPF_PROG_ATTACH), BPF(BPF_PROG_DETACH), BPF(BPF_LINK_CREATE), BPF(BPF_LINK_UPDATE),
	BPF(BPF_LINK_DETACH), BPF(BPF_RAW_TRACEPOINT_OPEN), BPF(BPF_PROG_GET_FD_BY_ID), BPF(BPF_MAP_GET_FD_BY_ID),
	BPF(BPF_LINK_GET_FD_BY_ID), BPF(BPF_ENABLE_STATS), BPF(BPF_ITER_CREATE),
	/* Code. */
	CALL(mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	CALL(mmap, 0, 4096, PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	CALL(mprotect, 0, 4096, PROT_READ | PROT_EXEC), CALL(pkey_mprotect, 0, 4096, PROT_READ, 0),
	CALL(remap_file_pages, 0, 0, 0, 0, 0),
#ifdef SYS_open /* not on machines younger than these */
	{ "open O_WRONLY", SYS_open, { PATH, O_WRONLY } }, { "open O_TRUNC", SYS_open, { PATH, O_RDONLY | O_TRUNC } },
	CALL(creat, PATH, 0600), CALL(mknod, BAD, S_IFREG, 0), CALL(mkdir, BAD, 0700), CALL(rmdir, BAD), CALL(unlink, BAD),
	CALL(rename, BAD, BAD), CALL(link, BAD, BAD), CALL(symlink, BAD, BAD), CALL(chmod, BAD, 0), CALL(chown, BAD, 0, 0),
	CALL(lchown, BAD, 0, 0), CALL(utime, BAD, BAD), CALL(utimes, BAD, BAD), CALL(futimesat, AT_FDCWD, BAD, BAD),
	CALL(fork), CALL(vfork),
#endif
};

/* Only the marker may. */
static const struct call marker_only[] = {
	BPF(BPF_MAP_CREATE), BPF(BPF_MAP_UPDATE_ELEM), BPF(BPF_MAP_DELETE_ELEM), BPF(BPF_MAP_UPDATE_BATCH), BPF(BPF_PROG_LOAD),
	BPF(BPF_PROG_TEST_RUN), BPF(BPF_BTF_LOAD), BPF(BPF_MAP_FREEZE),
	{ "shared memory", SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0 } },
};

/* The web server may not even look. */
static const struct call not_web[] = {
	OPENAT(O_RDONLY), SOCKET(AF_NETLINK, SOCK_RAW), SOCKET(AF_UNIX, SOCK_DGRAM), BPF(BPF_OBJ_GET),
	IOCTL(SIOCGIFNAME), CALL(bind, BAD, BAD, sizeof(struct sockaddr_nl)),
};

/* The kernel itself refuses bpf(2) to who has no capability for it. */
static bool has_bpf(void)
{
	cap_flag_value_t have = CAP_CLEAR;
	cap_t now = cap_get_proc();

	if (now)
		cap_get_flag(now, CAP_BPF, CAP_EFFECTIVE, &have);
	cap_free(now);
	return have == CAP_SET;
}

/* Writes what was not as it should be into FD; how much that was. */
static int try_calls(int fd, const struct call *call, size_t n, bool may, bool bpf)
{
	int wrong = 0;

	for (size_t i = 0; i < n; i++) {
		const long *a = call[i].arg;
		bool refused;

		if (may && !bpf && call[i].nr == SYS_bpf)
			continue;
		errno = 0;
		refused = syscall(call[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]) < 0 && errno == EPERM;
		if (refused != may)
			continue;
		dprintf(fd, "%s is %s (errno %d)\n", call[i].name, may ? "refused" : "let pass", errno);
		wrong++;
	}
	return wrong;
}

static void in_jail(int fd, enum pg_jail jail)
{
	struct pg_jail_user user;
	struct pg_err err = { 0 };
	bool bpf = jail == PG_JAIL_MARKER && has_bpf();
	int wrong;

	if (pg_jail_user(NULL, &user, &err) || pg_jail_enter(jail, &user, &err)) {
		dprintf(fd, "%s\n", err.text);
		_exit(1);
	}
	wrong = try_calls(fd, never, ARRAY_SIZE(never), false, bpf);
	wrong += try_calls(fd, marker_only, ARRAY_SIZE(marker_only), jail == PG_JAIL_MARKER, bpf);
	wrong += try_calls(fd, not_web, ARRAY_SIZE(not_web), jail != PG_JAIL_WEB, bpf);
	_exit(wrong > 0);
}

static void check_jail(enum pg_jail jail)
{
	int status = -1, fd = mkstemp(writable);
	pid_t pid;

	/* Anybody's, so that it is not the file's mode that refuses. */
	assert_true(fd >= 0 && !fchmod(fd, 0666));
	pid = fork();
	if (!pid)
		in_jail(STDERR_FILENO, jail);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	unlink(writable);
	memset(strchr(writable, '.') + 1, 'X', 6);
	assert_int_equal(status, 0);
}

static void test_web(void **state)
{
	(void)state;
	check_jail(PG_JAIL_WEB);
}

static void test_reader(void **state)
{
	(void)state;
	check_jail(PG_JAIL_READER);
}

static void test_marker(void **state)
{
	(void)state;
	check_jail(PG_JAIL_MARKER);
}

/* Its own end is not refused. */
static void test_abort(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		struct pg_jail_user user;
		struct pg_err err = { 0 };

		if (!pg_jail_user(NULL, &user, &err) && !pg_jail_enter(PG_JAIL_WEB, &user, &err))
			abort();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_web),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_marker),
		cmocka_unit_test(test_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
