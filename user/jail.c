/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <pwd.h>
#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define SYS(name) SCMP_SYS(name)

int pg_jail_user(const char *name, struct pg_jail_user *ret, struct pg_err *err)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name ?: "nobody");
	if (pw) {
		*ret = (struct pg_jail_user){ pw->pw_uid, pw->pw_gid };
		return 0;
	}
	if (!name) {
		*ret = (struct pg_jail_user){ 65534, 65534 };
		return 0;
	}
	return pg_fail(err, errno ? -errno : -ENOENT, "there is no user '%s'", name);
}

/* Privileges ----------------------------------------------------------------------------------- */

/* The reader's first. */
static const cap_value_t caps[] = { CAP_DAC_OVERRIDE, CAP_SYS_PTRACE, CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN };
static const int n_caps[] = { [PG_JAIL_WEB] = 0, [PG_JAIL_READER] = 2, [PG_JAIL_MARKER] = 5 };

/* Of those that we have, keep the list's; n 0: none. */
static int keep_caps(const cap_value_t *keep, int n)
{
	cap_t now = cap_get_proc(), then = cap_init();
	int r = now && then ? 0 : -ENOMEM;

	for (int i = 0; !r && i < n; i++) {
		cap_flag_value_t have = CAP_CLEAR;

		if (cap_get_flag(now, keep[i], CAP_PERMITTED, &have))
			r = -errno;
		else if (have == CAP_SET && (cap_set_flag(then, CAP_PERMITTED, 1, &keep[i], CAP_SET) ||
					     cap_set_flag(then, CAP_EFFECTIVE, 1, &keep[i], CAP_SET)))
			r = -errno;
	}
	if (!r && cap_set_proc(then))
		r = -errno;
	if (now)
		cap_free(now);
	if (then)
		cap_free(then);
	return r;
}

static int become(const struct pg_jail_user *user, bool keep)
{
	/* Nothing is executed any more, so this matters only where the filter had a hole. */
	for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++)
		(void)cap_drop_bound(cap); /* needs CAP_SETPCAP */
	if (geteuid())
		return 0;
	if (keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	if (setgroups(0, NULL) || setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid))
		return -errno;
	return 0;
}

/* Seccomp -------------------------------------------------------------------------------------- */

/* What libc needs to run, and to read and write what is open. */
static const int common_calls[] = {
	SYS(brk), SYS(munmap), SYS(mremap), SYS(madvise), SYS(futex),
	SYS(read), SYS(write), SYS(readv), SYS(writev), SYS(close), SYS(lseek), SYS(fstat), SYS(fcntl),
	SYS(poll), SYS(ppoll), SYS(recvmsg), SYS(sendmsg), SYS(recvfrom), SYS(sendto),
	SYS(clock_gettime), SYS(clock_nanosleep), SYS(nanosleep), SYS(gettimeofday), SYS(getrandom),
	SYS(getrusage), SYS(getpid), SYS(gettid), SYS(tgkill), SYS(rt_sigaction), SYS(rt_sigprocmask),
	SYS(rt_sigreturn), SYS(restart_syscall), SYS(exit), SYS(exit_group), SYS(rseq),
};
static const int web_calls[] = {
	SYS(epoll_wait), SYS(epoll_pwait), SYS(epoll_ctl), SYS(accept4), SYS(accept), SYS(shutdown),
	SYS(setsockopt), SYS(getsockopt), SYS(getsockname), SYS(getpeername), SYS(sendfile), SYS(pread64),
	SYS(timerfd_settime), SYS(wait4),
};
static const int reader_calls[] = {
	SYS(newfstatat), SYS(stat), SYS(statx), SYS(statfs), SYS(fstatfs), SYS(access), SYS(faccessat),
	SYS(getdents64), SYS(readlink), SYS(readlinkat), SYS(pread64), SYS(memfd_create), SYS(uname),
	SYS(bind), SYS(getsockname), SYS(setsockopt), SYS(ioctl), SYS(sched_getaffinity), SYS(sysinfo),
};

/* What the marker may not. */
static const int refused_calls[] = {
	SYS(execve), SYS(execveat), SYS(fork), SYS(vfork), SYS(clone), SYS(clone3), SYS(ptrace),
	SYS(process_vm_readv), SYS(process_vm_writev), SYS(connect), SYS(listen), SYS(accept), SYS(accept4),
	SYS(setns), SYS(unshare), SYS(chroot), SYS(pivot_root), SYS(mount), SYS(umount2), SYS(open_tree),
	SYS(move_mount), SYS(fsmount), SYS(init_module), SYS(finit_module), SYS(delete_module), SYS(unlink),
	SYS(unlinkat), SYS(rename), SYS(renameat), SYS(renameat2), SYS(mkdir), SYS(mkdirat), SYS(chmod),
	SYS(fchmod), SYS(fchmodat), SYS(chown), SYS(fchown), SYS(fchownat), SYS(link), SYS(linkat),
	SYS(symlink), SYS(symlinkat), SYS(truncate), SYS(creat), SYS(openat2), SYS(kill), SYS(pidfd_open),
	SYS(open_by_handle_at), SYS(io_uring_setup), SYS(keyctl), SYS(add_key),
};

static int refuse(scmp_filter_ctx ctx)
{
	static const int modes[] = { O_WRONLY, O_RDWR };
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(refused_calls); i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused_calls[i], 0);
		if (r == -EDOM)
			r = 0;
	}
	for (size_t i = 0; !r && i < ARRAY_SIZE(modes); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SYS(openat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, (scmp_datum_t)modes[i]));
	return r;
}

static int allow(scmp_filter_ctx ctx, const int *call, size_t n)
{
	int r = 0;

	/* EDOM: this machine's kernel never had the call. */
	for (size_t i = 0; !r && i < n; i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call[i], 0);
		if (r == -EDOM)
			r = 0;
	}
	return r;
}

static int allow_value(scmp_filter_ctx ctx, int call, const int *value, size_t n)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)value[i], 0));
	return r;
}

/*
 * No code that was not there before. The maps are mapped for reading, from descriptors that must be
 * writable for that: without shared memory that is, and without mprotect(), nothing writes to them.
 */
static int allow_memory(scmp_filter_ctx ctx, enum pg_jail jail)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(mmap), 1,
				 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, 0));

	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(mmap), 2,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				     SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, 0));
	if (!r && jail == PG_JAIL_WEB)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r;
}

static int allow_reading(scmp_filter_ctx ctx)
{
	static const int bpf[] = { BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD, BPF_MAP_LOOKUP_ELEM,
				   BPF_MAP_GET_NEXT_KEY };
	/* AF_UNIX for names of interfaces, which take any socket's ioctl; there is no connect(). */
	static const int families[] = { AF_NETLINK, AF_UNIX };
	const scmp_datum_t writes = O_ACCMODE | O_CREAT | O_TRUNC;
	int r;

	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(openat), 1,
				 SCMP_A2(SCMP_CMP_MASKED_EQ, writes, O_RDONLY));

	if (!r)
		r = allow_value(ctx, SYS(bpf), bpf, ARRAY_SIZE(bpf));
	return r ? r : allow_value(ctx, SYS(socket), families, ARRAY_SIZE(families));
}

static int add_rules(scmp_filter_ctx ctx, enum pg_jail jail)
{
	int r;

	if (jail == PG_JAIL_MARKER)
		return refuse(ctx);
	r = allow(ctx, common_calls, ARRAY_SIZE(common_calls)) ?: allow_memory(ctx, jail);
	if (r)
		return r;
	if (jail == PG_JAIL_WEB)
		return allow(ctx, web_calls, ARRAY_SIZE(web_calls));
	return allow(ctx, reader_calls, ARRAY_SIZE(reader_calls)) ?: allow_reading(ctx);
}

static int filter_calls(enum pg_jail jail)
{
	scmp_filter_ctx ctx = seccomp_init(jail == PG_JAIL_MARKER ? SCMP_ACT_ALLOW :
								    SCMP_ACT_ERRNO(EPERM));
	int r = ctx ? add_rules(ctx, jail) : -ENOMEM;

	if (!r)
		r = seccomp_load(ctx); /* sets no_new_privs, too */
	if (ctx)
		seccomp_release(ctx);
	return r;
}

int pg_jail_enter(enum pg_jail jail, const struct pg_jail_user *user, struct pg_err *err)
{
	int r = become(user, n_caps[jail]);

	if (!r)
		r = keep_caps(caps, n_caps[jail]);
	if (!r && (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
		r = -errno;
	if (r)
		return pg_fail(err, r, "cannot give up privileges: %s", strerror(-r));
	r = filter_calls(jail);
	return r ? pg_fail(err, r, "cannot install the seccomp filter: %s", strerror(-r)) : 0;
}
