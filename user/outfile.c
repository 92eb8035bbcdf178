/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *path, int r, struct pg_err *err)
{
	char shown[300];

	return pg_fail(err, r, "cannot write '%s': %s", pg_printable(path, shown, sizeof(shown)),
		       strerror(-r));
}

/* A file where the one is that it will replace, so that they are on one file system. */
static int open_dir(const char *path, int flags)
{
	_free_ char *copy = strdup(path);

	return copy ? open(dirname(copy), flags | O_CLOEXEC, 0600) : -1;
}

/* With a name, where the file system has none without. */
static int open_named(struct pg_outfile *out)
{
	int fd;

	if (asprintf(&out->temp, "%s.XXXXXX", out->path) < 0) {
		out->temp = NULL;
		errno = ENOMEM;
		return -1;
	}
	fd = mkostemp(out->temp, O_CLOEXEC);
	if (fd < 0) {
		free(out->temp); /* there is no such file to remove */
		out->temp = NULL;
	}
	return fd;
}

/* Who is killed while he writes leaves nothing beside it. */
static int open_temp(struct pg_outfile *out, const struct stat *old)
{
	int fd = -1;

	if (!access("/proc/self/fd", X_OK)) /* by which it gets its name */
		fd = open_dir(out->path, O_TMPFILE | O_WRONLY);
	if (fd < 0)
		fd = open_named(out);
	if (fd < 0)
		return -errno;
	out->replaces = true;
	/* Only root may give files away; who may not, has replaced another's file with his own. */
	if (old && (fchown(fd, old->st_uid, old->st_gid) || fchmod(fd, old->st_mode & 07777)) &&
	    geteuid() == 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	out->f = fdopen(fd, "w");
	return out->f ? 0 : -ENOMEM;
}

/* rename() replaces, as linkat() does not. */
static int give_name(struct pg_outfile *out)
{
	char self[64], *name;
	uint32_t n;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fileno(out->f));
	for (int tries = 0; tries < 100; tries++) {
		if (getrandom(&n, sizeof(n), 0) != sizeof(n) ||
		    asprintf(&name, "%s.%06x", out->path, n & 0xffffff) < 0)
			return -ENOMEM;
		if (!linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW)) {
			out->temp = name;
			return 0;
		}
		free(name);
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int pg_outfile_open(const char *path, struct pg_outfile *ret, struct pg_err *err)
{
	_cleanup_(pg_outfile_close) struct pg_outfile out = { 0 };
	struct stat old;
	bool exists = !stat(path, &old), regular = exists && S_ISREG(old.st_mode);
	int r = 0;

	out.path = regular ? realpath(path, NULL) : strdup(path);
	if (!out.path)
		return fail(path, -errno, err);
	if (exists && !regular) {
		out.f = fopen(path, "we");
		r = out.f ? 0 : -errno;
	} else {
		r = open_temp(&out, exists ? &old : NULL);
	}
	if (r)
		return fail(path, r, err);
	*ret = out;
	out = (struct pg_outfile){ 0 };
	return 0;
}

/* The name is on the disk when its directory is. */
static int sync_dir(const char *path)
{
	_close_ int dir = open_dir(path, O_RDONLY | O_DIRECTORY);

	return dir >= 0 && !fsync(dir) ? 0 : -errno;
}

int pg_outfile_commit(struct pg_outfile *out, struct pg_err *err)
{
	int r;

	if (fflush(out->f) || ferror(out->f))
		return fail(out->path, errno ? -errno : -EIO, err);
	if (!out->replaces)
		return 0;
	r = fsync(fileno(out->f)) ? -errno : 0;
	if (!r && !out->temp)
		r = give_name(out);
	if (!r && rename(out->temp, out->path))
		r = -errno;
	if (r)
		return fail(out->path, r, err);
	free(out->temp);
	out->temp = NULL;
	return sync_dir(out->path) ? fail(out->path, -errno, err) : 0;
}

void pg_outfile_close(struct pg_outfile *out)
{
	if (out->f)
		fclose(out->f);
	if (out->temp)
		unlink(out->temp);
	free(out->temp);
	free(out->path);
	*out = (struct pg_outfile){ 0 };
}
