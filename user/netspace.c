/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "netspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

enum { SPACES_MAX = 256, ID_SHOWN = 12 };

/* Names --------------------------------------------------------------------------------------------- */

/* `ip netns` binds a namespace to a file. */
static bool named_by_ip(struct pg_netspace *space)
{
	DIR *dir = opendir("/run/netns");
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir))) {
		struct stat st;

		found = e->d_name[0] != '.' && !fstatat(dirfd(dir), e->d_name, &st, 0) &&
			st.st_ino == space->inode;
		if (found)
			pg_printable(e->d_name, space->name, sizeof(space->name));
	}
	if (dir)
		closedir(dir);
	return found;
}

/* An engine's name for a container stands in the path of its cgroup, with 64 hexadecimal digits. */
static bool named_by_cgroup(struct pg_netspace *space)
{
	static const struct {
		const char *in_path, *name;
	} engines[] = { { "docker", "docker" }, { "libpod", "podman" }, { "containerd", "containerd" },
			{ "crio", "crio" }, { "kubepods", "kubernetes" }, { "lxc", "lxc" } };
	char path[64], line[1024];
	_fclose_ FILE *f = NULL;

	snprintf(path, sizeof(path), "/proc/%u/cgroup", space->pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
			const char *at = strstr(line, engines[i].in_path);

			for (; at && *at; at++) {
				if (strspn(at, "0123456789abcdef") < 64)
					continue;
				snprintf(space->name, sizeof(space->name), "%s:%.*s",
					 engines[i].name, ID_SHOWN, at);
				return true;
			}
		}
	}
	return false;
}

/* The one that the machine began with is its first process', and the kernel's. */
static bool is_the_hosts(const struct pg_netspace *space, const char *comm)
{
	struct stat first;

	return (!stat("/proc/1/ns/net", &first) && first.st_ino == space->inode) || !strcmp(comm, "kthreadd");
}

static void find_name(struct pg_netspace *space)
{
	char path[64], comm[32] = "", shown[32];
	_fclose_ FILE *f = NULL;

	if (named_by_ip(space) || named_by_cgroup(space))
		return;
	snprintf(path, sizeof(path), "/proc/%u/comm", space->pid);
	f = fopen(path, "re");
	if (!f || !fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
	if (is_the_hosts(space, comm))
		snprintf(space->name, sizeof(space->name), "host");
	else
		snprintf(space->name, sizeof(space->name), "%s[%u]",
			 pg_printable(comm, shown, sizeof(shown)), space->pid);
}

/* Finding them ---------------------------------------------------------------------------------------- */

static bool is_known(const struct pg_netspaces *spaces, uint64_t inode)
{
	for (size_t i = 0; i < spaces->n; i++)
		if (spaces->space[i].inode == inode)
			return true;
	return false;
}

int pg_netspaces_read(struct pg_netspaces *ret)
{
	struct stat own, st;
	struct dirent *e;
	DIR *proc;

	*ret = (struct pg_netspaces){ .space = calloc(SPACES_MAX, sizeof(*ret->space)) };
	ret->home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (!ret->space)
		return -ENOMEM;
	proc = opendir("/proc");
	if (ret->home < 0 || fstat(ret->home, &own) || !proc)
		ret->partial = true;
	while (proc && !ret->partial && (e = readdir(proc))) {
		char path[300];
		uint32_t pid;

		snprintf(path, sizeof(path), "%s/ns/net", e->d_name);
		if (pg_parse_u32(e->d_name, 1, UINT32_MAX, &pid) < 0 ||
		    fstatat(dirfd(proc), path, &st, 0) || st.st_ino == own.st_ino ||
		    is_known(ret, st.st_ino))
			continue;
		ret->partial = ret->n == SPACES_MAX;
		if (ret->partial)
			break;
		ret->space[ret->n] = (struct pg_netspace){ .inode = st.st_ino, .pid = pid };
		find_name(&ret->space[ret->n++]);
	}
	if (proc)
		closedir(proc);
	return 0;
}

void pg_netspaces_clear(struct pg_netspaces *spaces)
{
	if (spaces->space && spaces->home >= 0)
		close(spaces->home);
	free(spaces->space);
	*spaces = (struct pg_netspaces){ 0 };
}

int pg_netspace_enter(const struct pg_netspace *space)
{
	char path[64];
	_close_ int fd = -1;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u/ns/net", space->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* The number may be another process' by now. */
	if (fd < 0 || fstat(fd, &st) || st.st_ino != space->inode)
		return -ESRCH;
	return setns(fd, CLONE_NEWNET) ? -errno : 0;
}

void pg_netspace_leave(const struct pg_netspaces *spaces)
{
	if (setns(spaces->home, CLONE_NEWNET))
		abort(); /* whatever came next would be done in the wrong place */
}
