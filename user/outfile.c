/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static int fail(const char *path, int r, struct pg_err *err)
{
	char shown[300];

	return pg_fail(err, r, "cannot write '%s': %s", pg_printable(path, shown, sizeof(shown)),
		       strerror(-r));
}

/* A file beside the one that it will replace, so that they are on one file system. */
static int open_temp(struct pg_outfile *out, const struct stat *old)
{
	int fd;

	if (asprintf(&out->temp, "%s.XXXXXX", out->path) < 0) {
		out->temp = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(out->temp, O_CLOEXEC);
	if (fd < 0) {
		int r = -errno;

		free(out->temp); /* there is no such file to remove */
		out->temp = NULL;
		return r;
	}
	/* Only root may give files away; who may not, has replaced another's file with his own. */
	if (old && (fchown(fd, old->st_uid, old->st_gid) || fchmod(fd, old->st_mode & 07777)) &&
	    geteuid() == 0) {
		close(fd);
		return -errno;
	}
	out->f = fdopen(fd, "w");
	return out->f ? 0 : -ENOMEM;
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
	_free_ char *copy = strdup(path);
	_close_ int dir = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return dir >= 0 && !fsync(dir) ? 0 : -errno;
}

int pg_outfile_commit(struct pg_outfile *out, struct pg_err *err)
{
	if (fflush(out->f) || ferror(out->f))
		return fail(out->path, errno ? -errno : -EIO, err);
	if (!out->temp)
		return 0;
	if (fsync(fileno(out->f)) || rename(out->temp, out->path))
		return fail(out->path, -errno, err);
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
