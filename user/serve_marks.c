/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "serve_marks.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOLD_MAX 4096

struct told {
	char error[160]; /* why there are none; "": nothing went wrong */
	uint32_t n;
	struct {
		uint16_t port;
		uint8_t proto, mark;
	} row[TOLD_MAX];
};

struct pg_marker {
	int fd;
	bool asked, again; /* what changed since is not in the answer */
	struct pg_port_marks marks;
	struct told told;
};

/* The process ---------------------------------------------------------------------------------- */

static void ask_policy(struct pg_dp_follow *follow, struct told *ret)
{
	struct pg_port_marks marks = { 0 };
	struct pg_err err = { 0 };
	struct pg_dp *dp = NULL;
	uint64_t nth;

	*ret = (struct told){ 0 };
	if (pg_dp_follow_get(follow, &dp, &nth, &err) || !dp || pg_marks_ask(dp, &marks, &err)) {
		snprintf(ret->error, sizeof(ret->error), "%.*s", (int)sizeof(ret->error) - 1, err.text);
		return;
	}
	for (size_t i = 0; i < marks.n && ret->n < TOLD_MAX; i++) {
		const struct pg_port_mark *m = &marks.row[i];

		if (m->mark == PG_MARK_NONE)
			continue;
		ret->row[ret->n].port = m->port;
		ret->row[ret->n].proto = (uint8_t)m->proto;
		ret->row[ret->n++].mark = (uint8_t)m->mark;
	}
	pg_port_marks_clear(&marks);
}

static void mark_for_ever(int fd, struct pg_dp_follow *follow, const struct pg_jail_user *user)
{
	static struct told told;
	struct pg_err err = { 0 };
	char now;

	if (pg_jail_enter(PG_JAIL_MARKER, user, &err) < 0)
		_exit(1);
	while (recv(fd, &now, 1, 0) == 1) {
		ask_policy(follow, &told);
		if (send(fd, &told, offsetof(struct told, row) + told.n * sizeof(told.row[0]),
			 MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

/* The reader's end ----------------------------------------------------------------------------- */

int pg_marker_start(struct pg_dp_follow *follow, const struct pg_jail_user *user, int not_fd,
		    struct pg_marker **ret_marker, struct pg_err *err)
{
	struct pg_marker *marker = calloc(1, sizeof(*marker));
	int sock[2];
	pid_t pid;

	if (!marker || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock)) {
		free(marker);
		return pg_fail(err, -ENOMEM, "cannot make a socket: %s", strerror(errno));
	}
	pid = fork();
	if (!pid) {
		close(sock[0]);
		close(not_fd);
		mark_for_ever(sock[1], follow, user);
	}
	close(sock[1]);
	marker->fd = sock[0];
	if (pid < 0) {
		close(sock[0]);
		free(marker);
		return pg_fail(err, -EAGAIN, "cannot start a process: %s", strerror(errno));
	}
	*ret_marker = marker;
	return 0;
}

void pg_marker_ask(struct pg_marker *marker)
{
	marker->again = marker->asked;
	if (!marker->asked)
		marker->asked = send(marker->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

const char *pg_marker_error(const struct pg_marker *marker)
{
	return marker->told.error;
}

const struct pg_port_marks *pg_marker_marks(struct pg_marker *marker)
{
	struct told *told = &marker->told;
	ssize_t n = recv(marker->fd, told, sizeof(*told), MSG_DONTWAIT);
	struct pg_port_mark *row;

	if (n < (ssize_t)offsetof(struct told, row) || told->n > TOLD_MAX ||
	    (size_t)n != offsetof(struct told, row) + told->n * sizeof(told->row[0]))
		return &marker->marks;
	marker->asked = false;
	if (marker->again)
		pg_marker_ask(marker);
	told->error[sizeof(told->error) - 1] = '\0';
	row = calloc(told->n + 1, sizeof(*row));
	if (!row)
		return &marker->marks;
	pg_port_marks_clear(&marker->marks);
	marker->marks.row = row;
	for (uint32_t i = 0; i < told->n; i++)
		if (told->row[i].proto < _PG_PORT_PROTO_MAX && told->row[i].mark < _PG_MARK_MAX)
			row[marker->marks.n++] = (struct pg_port_mark){
				.proto = told->row[i].proto,
				.port = told->row[i].port,
				.mark = told->row[i].mark,
			};
	return &marker->marks;
}
