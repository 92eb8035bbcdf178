/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dp_impl.h"

struct pg_dp_follow {
	char state_dir[256];
	struct pg_dp *place; /* the directory, without maps; its path is "" until there is one */
	struct pg_dp *dp;
	struct stat pin; /* of pg_tables when dp was opened */
	uint64_t nth;
};

/* -ENOENT, silently: no BPF file system there yet. */
static int find_place(struct pg_dp_follow *follow, struct pg_err *err)
{
	return follow->place->path[0] ? 0 :
					pg_dp_find_dir(follow->place, follow->state_dir, false, err);
}

int pg_dp_follow_open(const char *state_dir, bool verbose, struct pg_dp_follow **ret_follow,
		      struct pg_err *err)
{
	_cleanup_(pg_dp_follow_closep) struct pg_dp_follow *follow = calloc(1, sizeof(*follow));
	int r;

	if (follow)
		follow->place = pg_dp_new(false, verbose);
	if (!follow || !follow->place)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (snprintf(follow->state_dir, sizeof(follow->state_dir), "%s",
		     state_dir ?: PG_STATE_DIR_DEFAULT) >= (int)sizeof(follow->state_dir))
		return pg_fail_exit(err, PG_EXIT_USAGE, -ENAMETOOLONG,
				    "state directory: name too long");
	r = find_place(follow, err);
	if (r && r != -ENOENT)
		return r;
	*ret_follow = TAKE_PTR(follow);
	return 0;
}

/* Pins of a BPF file system have numbers of their own: those of a new instance are others. */
static int stat_pin(const struct pg_dp_follow *follow, struct stat *ret)
{
	char path[512];
	int r = pg_dp_pin_path(follow->place, path, sizeof(path), "%s",
			       pg_map_names[PG_MAP_TABLES]);

	return r ?: stat(path, ret) ? -errno : 0;
}

static int open_instance(struct pg_dp_follow *follow, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = pg_dp_new(false, follow->place->verbose);
	int r;

	if (!dp)
		return pg_fail(err, -ENOMEM, "out of memory");
	/* A path through /proc/self/fd is kept open by `place`. */
	memcpy(dp->state_dir, follow->place->state_dir, sizeof(dp->state_dir));
	memcpy(dp->path, follow->place->path, sizeof(dp->path));
	pg_dp_libbpf_listen(dp->verbose);
	r = pg_dp_open_maps(dp, err);
	if (!r)
		follow->dp = TAKE_PTR(dp);
	return r;
}

int pg_dp_follow_get(struct pg_dp_follow *follow, struct pg_dp **ret_dp, uint64_t *ret_nth,
		     struct pg_err *err)
{
	struct stat pin;
	int r = find_place(follow, err);

	if (r && r != -ENOENT)
		return r;
	*ret_dp = NULL;
	*ret_nth = follow->nth;
	r = r ?: stat_pin(follow, &pin);
	if (r)
		pg_dp_close(TAKE_PTR(follow->dp));
	if (r)
		return r == -ENOENT ? 0 : pg_dp_fail(err, r, "cannot look into the state directory");
	if (follow->dp && (pin.st_ino != follow->pin.st_ino || pin.st_dev != follow->pin.st_dev))
		pg_dp_close(TAKE_PTR(follow->dp));
	if (!follow->dp) {
		r = open_instance(follow, err);
		if (r)
			return r == -ENOENT ? 0 : r;
		follow->pin = pin;
		follow->nth++;
	}
	*ret_dp = follow->dp;
	*ret_nth = follow->nth;
	return 0;
}

const char *pg_dp_follow_dir(const struct pg_dp_follow *follow)
{
	return follow->place->state_dir[0] ? follow->place->state_dir : follow->state_dir;
}

void pg_dp_follow_close(struct pg_dp_follow *follow)
{
	if (!follow)
		return;
	pg_dp_close(follow->dp);
	pg_dp_close(follow->place);
	free(follow);
}
