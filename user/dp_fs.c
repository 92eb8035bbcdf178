// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where an instance lives: a directory of a BPF file system, which holds its pins and is its lock.
 *
 * The usual one is mounted on /sys/fs/bpf. It may be missing (small systems, containers) or hidden:
 * `ip netns exec` mounts a fresh /sys over it in a mount namespace of its own. A file system
 * mounted there would vanish with the command and take the filter with it; so we reach into the
 * mount namespace that the command came from for the one that lasts.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#include "dp_impl.h"
#include "fdpass.h"

#define BPFFS_DIR "/sys/fs/bpf"
#define BPFFS_OWN_DIR "/run/portguard"

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int mount_bpffs(const char *dir)
{
	if (is_bpffs(dir))
		return 0;
	return mount("bpf", dir, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") ? -errno : 0;
}

pid_t pg_parent_of(pid_t pid)
{
	char path[64], line[512], *rest;
	_fclose_ FILE *f = NULL;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	rest = strrchr(line, ')'); /* the name before it may hold anything */
	return rest && sscanf(rest, ") %*c %d", &parent) == 1 ? parent : 0;
}

/*
 * The mount namespace of the nearest ancestor that has another than ours: where `ip netns exec` was
 * called from. The first process' would be the obvious one, but even root may be kept from looking
 * at that. Returns an fd, -1 when all that can be seen have ours.
 */
static int outer_mount_ns(void)
{
	struct stat ours, theirs;
	char path[64];

	if (stat("/proc/self/ns/mnt", &ours))
		return -1;
	for (pid_t pid = getppid(); pid > 0; pid = pg_parent_of(pid)) {
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
		if (!stat(path, &theirs) && theirs.st_ino != ours.st_ino)
			return open(path, O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

/* Runs in a child: enter the outer mount namespace, find or mount its bpffs, hand it over. */
static int open_outer_bpffs(int ns, bool create)
{
	if (setns(ns, CLONE_NEWNS))
		return -errno;
	if (create && mount_bpffs(BPFFS_DIR))
		return -ENOENT;
	if (!is_bpffs(BPFFS_DIR))
		return -ENOENT;
	return open(BPFFS_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* An fd of /sys/fs/bpf as it is seen in mount namespace `ns`, or a negative errno. */
static int outer_bpffs(int ns, bool create)
{
	int sock[2], fd = -1, status;
	char byte;
	ssize_t got;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sock))
		return -errno;
	child = fork();
	if (!child) {
		fd = open_outer_bpffs(ns, create);
		pg_send_fd(sock[1], "", 1, fd);
		_exit(0);
	}
	close(sock[1]);
	got = child < 0 ? -errno : pg_receive_fd(sock[0], &byte, 1, &fd);
	if (got < 0)
		fd = (int)got;
	else if (fd < 0)
		fd = -ENOENT;
	close(sock[0]);
	if (child > 0)
		waitpid(child, &status, 0);
	return fd;
}

static int use_dir(struct pg_dp *dp, const char *state_dir, const char *path)
{
	if (snprintf(dp->state_dir, sizeof(dp->state_dir), "%s", state_dir) >=
		    (int)sizeof(dp->state_dir) ||
	    snprintf(dp->path, sizeof(dp->path), "%s", path) >= (int)sizeof(dp->path))
		return -ENAMETOOLONG;
	return 0;
}

/* A directory below /sys/fs/bpf; `below` begins with '/' or is empty. */
static int find_usual(struct pg_dp *dp, const char *state_dir, const char *below, bool create,
		      struct pg_err *err)
{
	_close_ int ns = -1;
	char path[256];
	int r = -ENOENT;

	if (is_bpffs(BPFFS_DIR))
		return use_dir(dp, state_dir, state_dir);
	ns = outer_mount_ns();
	if (ns >= 0) {
		dp->bpffs_fd = outer_bpffs(ns, create);
		if (dp->bpffs_fd >= 0) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d%s", dp->bpffs_fd, below);
			return use_dir(dp, state_dir, path);
		}
	} else if (create) {
		r = mount_bpffs(BPFFS_DIR);
		if (!r)
			return use_dir(dp, state_dir, state_dir);
	}
	if (ns >= 0 && create) /* a mount of our own would end with this command */
		return pg_fail(err, -ENOENT,
			       "no BPF file system outside this mount namespace: mount one first "
			       "(mount -t bpf bpf " BPFFS_DIR ")");
	snprintf(path, sizeof(path), "%s%s", BPFFS_OWN_DIR, below);
	if (is_bpffs(BPFFS_OWN_DIR))
		return use_dir(dp, path, path);
	if (!create)
		return -ENOENT;
	if (mkdir(BPFFS_OWN_DIR, 0700) && errno != EEXIST)
		return pg_dp_fail(err, -errno, "cannot make " BPFFS_OWN_DIR);
	r = mount_bpffs(BPFFS_OWN_DIR);
	if (r)
		return pg_dp_fail(err, r, "cannot mount a BPF file system");
	return use_dir(dp, path, path);
}

/* Any other directory: below a BPF file system, or a mount point for one of its own. */
static int find_other(struct pg_dp *dp, const char *state_dir, bool create, struct pg_err *err)
{
	char parent[256], *slash;
	int r;

	if (is_bpffs(state_dir))
		return use_dir(dp, state_dir, state_dir);
	if (snprintf(parent, sizeof(parent), "%s", state_dir) >= (int)sizeof(parent))
		return pg_fail_exit(err, PG_EXIT_USAGE, -ENAMETOOLONG,
				    "state directory '%s': name too long", state_dir);
	slash = strrchr(parent, '/');
	if (!slash)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "state directory '%s' is not an absolute path", state_dir);
	*slash = '\0';
	if (is_bpffs(parent))
		return use_dir(dp, state_dir, state_dir);
	if (!create)
		return -ENOENT;
	if (mkdir(state_dir, 0700) && errno != EEXIST)
		return pg_dp_fail(err, -errno, "cannot make the state directory");
	r = mount_bpffs(state_dir);
	if (r)
		return pg_dp_fail(err, r, "cannot mount a BPF file system on the state directory");
	return use_dir(dp, state_dir, state_dir);
}

static int make_dir(const struct pg_dp *dp, struct pg_err *err)
{
	if (!mkdir(dp->path, 0700) || errno == EEXIST)
		return 0;
	if (errno == ENOENT)
		return pg_fail(err, -ENOTDIR, "state directory '%s': its parent does not exist",
			       dp->state_dir);
	return pg_dp_fail(err, -errno, "cannot make the state directory");
}

int pg_dp_find_dir(struct pg_dp *dp, const char *state_dir, bool create, struct pg_err *err)
{
	size_t n = strlen(BPFFS_DIR);
	int r;

	if (!strncmp(state_dir, BPFFS_DIR "/", n + 1) && strchr(state_dir, '.'))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "state directory '%s': a BPF file system takes no names with a "
				    "dot",
				    state_dir);
	if (!strncmp(state_dir, BPFFS_DIR "/", n + 1))
		r = find_usual(dp, state_dir, state_dir + n, create, err);
	else
		r = find_other(dp, state_dir, create, err);
	if (r == -ENAMETOOLONG)
		return pg_fail_exit(err, PG_EXIT_USAGE, r, "state directory: name too long");
	return r || !create ? r : make_dir(dp, err);
}

int pg_dp_remove_dir(struct pg_dp *dp, struct pg_err *err)
{
	struct stat dir, above;
	char parent[300];

	snprintf(parent, sizeof(parent), "%s/..", dp->path);
	if (!stat(dp->path, &dir) && !stat(parent, &above) && dir.st_dev != above.st_dev &&
	    umount2(dp->path, MNT_DETACH))
		return pg_dp_fail(err, -errno, "cannot unmount the state directory");
	/* Who owns the directory need not own the one above: then it stays, empty. */
	if (rmdir(dp->path) && errno != ENOENT && errno != EACCES && errno != EPERM)
		return pg_dp_fail(err, -errno, "cannot remove the state directory");
	return 0;
}

int pg_dp_pin_path(const struct pg_dp *dp, char *buf, size_t size, const char *fmt, ...)
{
	int n = snprintf(buf, size, "%s/", dp->path), m;
	va_list ap;

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	va_start(ap, fmt);
	m = vsnprintf(buf + n, size - n, fmt, ap);
	va_end(ap);
	return m < 0 || (size_t)m >= size - n ? -ENAMETOOLONG : 0;
}

/* Only to end flock(). */
static void tick(int sig)
{
	(void)sig;
}

/*
 * As flock(2), for `wait_s` seconds at most (below 0: for ever). Who waits stands in the kernel's queue, and
 * must stay there: who is interrupted and asks again starts from its end, and may never come in turn where
 * others do. So the timer ends the call when the time is over, and from then on at each tick, because the
 * first may come just before the call.
 */
static int lock_in_time(int fd, int wait_s)
{
	const struct itimerval end = { { 0, 100000 }, { wait_s < 0 ? 0 : wait_s, 0 } };
	struct sigaction act = { .sa_handler = tick }, was;
	struct timespec now, until;
	struct itimerval timer;
	int r;

	if (!wait_s)
		return flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_s;
	sigaction(SIGALRM, &act, &was);
	setitimer(ITIMER_REAL, &end, &timer);
	do {
		r = flock(fd, LOCK_EX) ? -errno : 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (r == -EINTR && (wait_s < 0 || now.tv_sec < until.tv_sec ||
				 (now.tv_sec == until.tv_sec && now.tv_nsec < until.tv_nsec)));
	setitimer(ITIMER_REAL, &timer, NULL);
	sigaction(SIGALRM, &was, NULL);
	return r;
}

/* The directory itself is what is locked: nothing is left behind, whoever dies. */
int pg_dp_lock(struct pg_dp *dp, int wait_s, struct pg_err *err)
{
	int fd = open(dp->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	struct stat locked, named;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT :
					 pg_dp_fail(err, -errno, "cannot open the state directory");
	r = lock_in_time(fd, wait_s);
	if (r == -EINTR || r == -EWOULDBLOCK)
		r = pg_fail_exit(err, PG_EXIT_RESOURCE, -EAGAIN,
				 "Another app is currently holding the portguard lock. "
				 "Perhaps you want to use the -w option?");
	else if (r)
		r = pg_dp_fail(err, r, "cannot lock the state directory");
	/* Not one that was removed and made anew while we waited. */
	else if (fstat(fd, &locked) || stat(dp->path, &named) || locked.st_ino != named.st_ino)
		r = -ENOENT;
	if (r)
		close(fd);
	else
		dp->lock_fd = fd;
	return r;
}
