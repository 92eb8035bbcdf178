/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <pwd.h>
#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

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
	SYS(getrusage), SYS(getpid), SYS(gettid), SYS(rt_sigaction), SYS(rt_sigprocmask),
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
	SYS(getsockname), SYS(setsockopt), SYS(sched_getaffinity), SYS(sysinfo),
};

/* Beside the reader's: libbpf puts descriptors in their places, libcap says why a program does not load. */
static const int marker_calls[] = {
	SYS(dup), SYS(dup2), SYS(dup3), SYS(faccessat2), SYS(membarrier), SYS(capget),
	SYS(adjtimex), SYS(clock_adjtime), /* TAI, read; to set a clock takes CAP_SYS_TIME */
};

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

/* Where its nth argument is one of these; a command's upper half is nobody's. */
static int allow_value(scmp_filter_ctx ctx, int call, unsigned int nth, const scmp_datum_t *value, size_t n)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1,
				     SCMP_CMP(nth, SCMP_CMP_MASKED_EQ, UINT32_MAX, value[i]));
	return r;
}

/*
 * No code that was not there before. The reader maps the maps for reading, from descriptors that must be
 * writable for that: without shared memory that is, and without mprotect(), nothing writes to them. The
 * marker fills those of its own instance.
 */
static int allow_memory(scmp_filter_ctx ctx, enum pg_jail jail)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(mmap), 1,
				 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, 0));

	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(mmap), 2,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				     SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, 0));
	if (!r && jail == PG_JAIL_MARKER)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!r && jail != PG_JAIL_READER)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r;
}

static int allow_reading(scmp_filter_ctx ctx)
{
	static const scmp_datum_t bpf[] = { BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD, BPF_MAP_LOOKUP_ELEM,
					    BPF_MAP_GET_NEXT_KEY };
	/* AF_UNIX for names of interfaces, which take any socket's ioctl; there is no connect(). */
	static const scmp_datum_t families[] = { AF_NETLINK, AF_UNIX };
	static const scmp_datum_t ioctls[] = { SIOCGIFNAME, SIOCGIFINDEX };
	/* Of netlink; the name of a socket that bind() would put into a directory has no room. */
	static const scmp_datum_t address_len[] = { sizeof(struct sockaddr_nl) };
	const scmp_datum_t writes = O_ACCMODE | O_CREAT | O_TRUNC;
	int r;

	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS(openat), 1,
			     SCMP_A2(SCMP_CMP_MASKED_EQ, writes, O_RDONLY));
	if (!r)
		r = allow_value(ctx, SYS(bpf), 0, bpf, ARRAY_SIZE(bpf));
	if (!r)
		r = allow_value(ctx, SYS(ioctl), 1, ioctls, ARRAY_SIZE(ioctls));
	if (!r)
		r = allow_value(ctx, SYS(bind), 2, address_len, ARRAY_SIZE(address_len));
	return r ?: allow_value(ctx, SYS(socket), 0, families, ARRAY_SIZE(families));
}

/* Making an instance that is not attached, and running packets through it. */
static int allow_trying(scmp_filter_ctx ctx)
{
	static const scmp_datum_t bpf[] = { BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM,
					    BPF_MAP_LOOKUP_BATCH, BPF_MAP_UPDATE_BATCH, BPF_MAP_FREEZE,
					    BPF_BTF_LOAD, BPF_PROG_LOAD, BPF_PROG_BIND_MAP,
					    BPF_PROG_TEST_RUN };
	int r = allow(ctx, marker_calls, ARRAY_SIZE(marker_calls));

	return r ?: allow_value(ctx, SYS(bpf), 0, bpf, ARRAY_SIZE(bpf));
}

static int add_rules(scmp_filter_ctx ctx, enum pg_jail jail)
{
	const scmp_datum_t self = (scmp_datum_t)getpid();
	int r = allow(ctx, common_calls, ARRAY_SIZE(common_calls)) ?: allow_memory(ctx, jail);

	if (!r)
		r = allow_value(ctx, SYS(tgkill), 0, &self, 1); /* abort() */
	if (!r && jail == PG_JAIL_WEB)
		return allow(ctx, web_calls, ARRAY_SIZE(web_calls));
	if (!r)
		r = allow(ctx, reader_calls, ARRAY_SIZE(reader_calls)) ?: allow_reading(ctx);
	return r || jail != PG_JAIL_MARKER ? r : allow_trying(ctx);
}

static int filter_calls(enum pg_jail jail)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
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
