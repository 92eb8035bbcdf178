/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * states INTERFACE [adopt]: what states the connections on a real interface are in. Every frame
 * that passes it goes, in the order in which they do, through the programs of a private instance;
 * with `adopt`, that takes over the connections that exist. Says "ready" and counts; at SIGUSR1 it
 * prints one line for each direction and state that occurred ("in NEW 3"), "done", and begins
 * with 0 again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "dp.h"

static const char *const names[] = { "INVALID", "ESTABLISHED", "RELATED", "NEW", "UNTRACKED" };
static unsigned counts[_PG_DIR_MAX][ARRAY_SIZE(names)];

static void die(const char *what, const char *why)
{
	fprintf(stderr, "states: %s: %s\n", what, why);
	exit(1);
}

static int open_interface(const char *name)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), size = 8 << 20;

	addr.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !addr.sll_ifindex || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(name, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/* SIGUSR1 becomes something to read. */
static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		die("signalfd", strerror(errno));
	return fd;
}

/* Returns whether there was a frame. */
static bool take_frame(int fd, struct pg_dp *dp)
{
	static uint8_t frame[2048];
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	struct pg_err err = { 0 };
	struct pg_trace t;
	enum pg_dir dir;
	ssize_t n = recvfrom(fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC,
			     (struct sockaddr *)&from, &from_len);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 14 || n > (ssize_t)sizeof(frame))
		die("a frame", n < 0 ? strerror(errno) : "of a length that this can't take");
	dir = from.sll_pkttype == PACKET_OUTGOING ? PG_DIR_OUT : PG_DIR_IN;
	if (pg_dp_run(dp, dir, frame, (size_t)n, (size_t)n, &t, &err) < 0)
		die("run", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		counts[dir][i] += t.ct_state >> i & 1;
	return true;
}

static void report(int fd)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);

	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) || stats.tp_drops)
		printf("and %u frames that were lost\n", stats.tp_drops);
	for (enum pg_dir dir = 0; dir < _PG_DIR_MAX; dir++)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (counts[dir][i])
				printf("%s %s %u\n", dir == PG_DIR_IN ? "in" : "out", names[i],
				       counts[dir][i]);
	puts("done");
	fflush(stdout);
	memset(counts, 0, sizeof(counts));
}

int main(int argc, char **argv)
{
	const struct pg_private_opts opts = { .general_only = true };
	struct pollfd poll_fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	struct signalfd_siginfo signal;
	struct pg_err err = { 0 };
	struct pg_dp *dp = NULL;

	if (argc < 2 || argc > 3)
		die("usage", "states INTERFACE [adopt]");
	poll_fds[1].fd = open_signals();
	if (pg_dp_open_private(&opts, &dp, &err) < 0)
		die("open", err.text);
	poll_fds[0].fd = open_interface(argv[1]);
	if (argc == 3 && pg_dp_flow_adopt(dp, true, &err) < 0)
		die("adopt", err.text);
	puts("ready");
	fflush(stdout);
	while (poll(poll_fds, 2, -1) >= 0) {
		while (take_frame(poll_fds[0].fd, dp))
			;
		if (poll_fds[1].revents &&
		    read(poll_fds[1].fd, &signal, sizeof(signal)) == sizeof(signal))
			report(poll_fds[0].fd);
	}
	die("poll", strerror(errno));
}
