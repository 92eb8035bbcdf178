// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connections that were there before us. The programs know a connection from its first packet on;
 * those that are older are taken from the kernel's own sockets, through sock_diag.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

#include "dp_impl.h"
#include "netlink.h"

#define NSEC_PER_SEC 1000000000ULL

static const __u32 tcp_timeouts[_PG_TCP_MAX] = { PG_TCP_TIMEOUTS(PG_TCP_TIMEOUT) };

struct adoption {
	struct pg_dp *dp;
	bool listening[PG_PORTS]; /* local ports: who connects to them opened the connection */
	__u64 now_ns;
	int r; /* of the first connection that could not be stored */
};

/* A socket's state in conntrack's words. NONE: not to be adopted. */
static enum pg_tcp_state state_of(uint8_t socket_state)
{
	switch (socket_state) {
	case TCP_ESTABLISHED:
		return PG_TCP_ESTABLISHED;
	case TCP_SYN_SENT:
		return PG_TCP_SYN_SENT;
	case TCP_SYN_RECV:
		return PG_TCP_SYN_RECV;
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
		return PG_TCP_FIN_WAIT;
	case TCP_CLOSE_WAIT:
		return PG_TCP_CLOSE_WAIT;
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return PG_TCP_LAST_ACK;
	case TCP_TIME_WAIT:
		return PG_TCP_TIME_WAIT;
	}
	return PG_TCP_NONE;
}

/* IPv4 also where an IPv6 socket speaks it (::ffff:192.0.2.1). */
static bool is_ip4(const struct inet_diag_msg *msg)
{
	return msg->idiag_family == AF_INET ||
	       IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)msg->id.idiag_src);
}

/* As comes_behind() in the programs: by words as they are read here. */
static bool comes_behind(__be32 (*addr)[4], const __u16 *port)
{
	for (int i = 0; i < 4; i++)
		if (addr[0][i] != addr[1][i])
			return addr[0][i] > addr[1][i];
	return port[0] > port[1];
}

__u8 pg_dp_flow_key(const struct pg_dp *dp, const struct pg_flow_packet *p, struct pg_flow_key *ret)
{
	__be32 addr[2][4] = { 0 };
	__u16 port[2] = { p->port[0], p->port[1] };
	size_t bytes = p->family == PG_FAMILY_V4 ? 4 : 16;
	__u8 from, swap;

	memcpy(addr[0], p->addr[0], bytes);
	memcpy(addr[1], p->addr[1], bytes);
	from = p->query ? p->answer : comes_behind(addr, port);
	swap = p->query ? 0 : from; /* a query's are no ends' ports */
	*ret = (struct pg_flow_key){
		.port = { port[swap], port[!swap] },
		.netns = (__u32)dp->netns,
		.family = p->family,
		.proto = p->proto,
	};
	memcpy(ret->addr[0], addr[from], sizeof(addr[0]));
	memcpy(ret->addr[1], addr[!from], sizeof(addr[1]));
	return from;
}

/* Returns the end of the key that is this machine's. */
static __u8 key_of(const struct pg_dp *dp, const struct inet_diag_msg *msg, struct pg_flow_key *ret)
{
	__u32 at = is_ip4(msg) && msg->idiag_family != AF_INET ? 3 : 0;
	const struct pg_flow_packet sent = {
		.family = is_ip4(msg) ? PG_FAMILY_V4 : PG_FAMILY_V6,
		.proto = IPPROTO_TCP,
		.addr = { msg->id.idiag_src + at, msg->id.idiag_dst + at },
		.port = { ntohs(msg->id.idiag_sport), ntohs(msg->id.idiag_dport) },
	};

	return pg_dp_flow_key(dp, &sent, ret);
}

bool pg_dp_flow_get(struct pg_dp *dp, const struct pg_flow_key *key, struct pg_flow *ret,
		    bool *ret_half_open)
{
	for (int id = PG_MAP_FLOWS; id <= PG_MAP_HALF_OPEN; id++) {
		if (!bpf_map_lookup_elem(dp->map[id].fd, key, ret)) {
			*ret_half_open = id == PG_MAP_HALF_OPEN;
			return true;
		}
	}
	return false;
}

int pg_dp_flow_put(struct pg_dp *dp, const struct pg_flow_key *key, const struct pg_flow *flow,
		   bool half_open)
{
	int fd = dp->map[half_open ? PG_MAP_HALF_OPEN : PG_MAP_FLOWS].fd;

	return bpf_map_update_elem(fd, key, flow, BPF_ANY) ? -errno : 0;
}

int pg_dp_flow_establish(struct pg_dp *dp, enum pg_family family, const __be32 addr[2][4],
			 const __u16 port[2])
{
	const struct pg_flow_packet sent = {
		.family = family,
		.proto = IPPROTO_TCP,
		.addr = { addr[0], addr[1] },
		.port = { port[0], port[1] },
	};
	struct timespec now = { 0 };
	struct pg_flow_key key;
	struct pg_flow flow = {
		.status = PG_TCP_ESTABLISHED | PG_FLOW_SEEN_REPLY | PG_FLOW_ASSURED,
	};

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	flow.first_ns = flow.last_ns = (__u64)now.tv_sec * NSEC_PER_SEC + (__u64)now.tv_nsec;
	flow.expires_ns = flow.first_ns + tcp_timeouts[PG_TCP_ESTABLISHED] * NSEC_PER_SEC;
	flow.opener = !pg_dp_flow_key(dp, &sent, &key);
	return pg_dp_flow_put(dp, &key, &flow, false);
}

static int take_connection(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	enum pg_tcp_state state;
	struct adoption *a = data;
	struct pg_flow_key key;
	struct pg_flow flow;
	bool half_open;
	__u8 local;
	int r;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg))
		return MNL_CB_OK;
	state = state_of(msg->idiag_state);
	if (state == PG_TCP_NONE)
		return MNL_CB_OK;
	local = key_of(a->dp, msg, &key);
	if (pg_dp_flow_get(a->dp, &key, &flow, &half_open) && flow.expires_ns > a->now_ns)
		return MNL_CB_OK;
	half_open = state == PG_TCP_SYN_SENT || state == PG_TCP_SYN_RECV;
	flow = (struct pg_flow){
		.first_ns = a->now_ns,
		.last_ns = a->now_ns,
		.expires_ns = a->now_ns + tcp_timeouts[state] * NSEC_PER_SEC,
		.status = state,
		.opener = a->listening[ntohs(msg->id.idiag_sport)] ? !local : local,
	};
	if (state != PG_TCP_SYN_SENT)
		flow.status |= PG_FLOW_SEEN_REPLY;
	if (!half_open)
		flow.status |= PG_FLOW_ASSURED;
	r = pg_dp_flow_put(a->dp, &key, &flow, half_open); /* perhaps over one that has expired */
	if (r && !a->r)
		a->r = r;
	return MNL_CB_OK;
}

static int take_listener(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct adoption *a = data;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(*msg))
		a->listening[ntohs(msg->id.idiag_sport)] = true;
	return MNL_CB_OK;
}

static int dump_families(struct mnl_socket *nl, uint32_t states, mnl_cb_t callback,
			 struct adoption *a)
{
	int r = pg_netlink_socks(nl, AF_INET, IPPROTO_TCP, states, callback, a);

	if (r)
		return r;
	r = pg_netlink_socks(nl, AF_INET6, IPPROTO_TCP, states, callback, a);
	return r == -ENOENT ? 0 : r; /* a kernel without IPv6, or booted with it off */
}

static int adopt(struct adoption *a)
{
	const uint32_t listening = 1U << TCP_LISTEN;
	_cleanup_(pg_netlink_closep) struct mnl_socket *nl = NULL;
	struct timespec now;
	int r = pg_netlink_open(NETLINK_SOCK_DIAG, &nl);

	if (r)
		return r;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	a->now_ns = (__u64)now.tv_sec * NSEC_PER_SEC + (__u64)now.tv_nsec;
	r = dump_families(nl, listening, take_listener, a);
	if (!r)
		r = dump_families(nl, ~listening, take_connection, a);
	return r ? r : a->r;
}

int pg_dp_flow_adopt(struct pg_dp *dp, struct pg_err *err)
{
	struct adoption *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return pg_fail(err, -ENOMEM, "out of memory");
	a->dp = dp;
	r = adopt(a);
	free(a);
	return r ? pg_dp_fail(err, r, "cannot take over the connections that exist") : 0;
}

static int forget_all(int fd)
{
	struct pg_flow_key key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		if (bpf_map_delete_elem(fd, &key) && errno != ENOENT)
			return -errno;
	return errno == ENOENT ? 0 : -errno;
}

int pg_dp_flow_forget(struct pg_dp *dp, struct pg_err *err)
{
	int r = forget_all(dp->map[PG_MAP_FLOWS].fd);

	if (!r)
		r = forget_all(dp->map[PG_MAP_HALF_OPEN].fd);
	return r ? pg_dp_fail(err, r, "cannot forget the flows of an earlier policy") : 0;
}
