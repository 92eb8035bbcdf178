/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flows INTERFACE: how the states of the TCP connections on a real interface change. Every frame that
 * passes it goes, in the order in which they do, through the programs of a private instance, and
 * its flow is looked up. Says "ready", and then a line for each change, PORT being that of the end
 * which was opened to:
 *
 *	PORT pair ESTABLISHED	in conntrack's words
 *	PORT local FIN_WAIT_1	of the end that is this machine
 *	PORT remote CLOSE_WAIT
 *	PORT retransmits LOCAL REMOTE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "dp.h"
#include "names.h"

/* What was last said of a connection. */
struct known {
	struct pg_flow_key key;
	enum pg_tcp_state pair;
	enum pg_end_state end[2]; /* local, remote */
	__u32 retransmits[2];
};
static struct known known[4096];
static size_t n_known;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "flows: %s: %s\n", what, why);
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

static struct known *find_known(const struct pg_flow_key *key)
{
	for (size_t i = 0; i < n_known; i++)
		if (!memcmp(&known[i].key, key, sizeof(*key)))
			return &known[i];
	if (n_known == ARRAY_SIZE(known))
		die("connections", "too many");
	known[n_known].key = *key;
	return &known[n_known++];
}

static void tell(struct known *k, const struct pg_dp_flow *flow, bool opened_here)
{
	const struct pg_dp_flow_end *ends[2] = { &flow->end[!opened_here], &flow->end[opened_here] };
	unsigned port = flow->end[1].port;
	bool again = false;

	if (k->pair != flow->tcp_state)
		printf("%u pair %s\n", port, pg_pair_state_name(flow->tcp_state));
	k->pair = flow->tcp_state;
	for (int i = 0; i < 2; i++) {
		if (k->end[i] != ends[i]->state)
			printf("%u %s %s\n", port, i ? "remote" : "local",
			       pg_end_state_name(ends[i]->state));
		again |= k->retransmits[i] != ends[i]->retransmits;
		k->end[i] = ends[i]->state;
		k->retransmits[i] = ends[i]->retransmits;
	}
	if (again)
		printf("%u retransmits %u %u\n", port, k->retransmits[0], k->retransmits[1]);
}

static void look(struct pg_dp *dp, enum pg_dir dir, const struct pg_trace *t)
{
	const struct pg_flow_packet packet = {
		.family = t->l3_type == ETH_P_IPV6 ? PG_FAMILY_V6 : PG_FAMILY_V4,
		.proto = t->proto,
		.addr = { t->saddr, t->daddr },
		.port = { t->sport, t->dport },
	};
	struct pg_flow_key key;
	struct pg_dp_flow flow;
	struct known *k;
	__u8 from, local;

	if (!t->has_ports || t->proto != IPPROTO_TCP)
		return;
	from = pg_dp_flow_key(dp, &packet, &key);
	local = dir == PG_DIR_OUT ? from : !from;
	k = find_known(&key);
	if (pg_dp_flow_get(dp, &key, &flow)) {
		tell(k, &flow, flow.opener == local);
	} else if (k->pair) {
		printf("%u pair gone\n", key.port[0] < key.port[1] ? key.port[0] : key.port[1]);
		memset(&k->pair, 0, sizeof(*k) - offsetof(struct known, pair));
	}
	fflush(stdout);
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
	look(dp, dir, &t);
	return true;
}

int main(int argc, char **argv)
{
	const struct pg_private_opts opts = { .general_only = true };
	struct pollfd poll_fd = { .events = POLLIN };
	struct pg_err err = { 0 };
	struct pg_dp *dp = NULL;

	if (argc != 2)
		die("usage", "flows INTERFACE");
	if (pg_dp_open_private(&opts, &dp, &err) < 0)
		die("open", err.text);
	poll_fd.fd = open_interface(argv[1]);
	puts("ready");
	fflush(stdout);
	while (poll(&poll_fd, 1, -1) >= 0)
		while (take_frame(poll_fd.fd, dp))
			;
	die("poll", strerror(errno));
}
