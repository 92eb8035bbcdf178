// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connections that were there before us. The programs know a connection from its first packet on;
 * those that are older are taken from the kernel's own TCP sockets, through sock_diag; then from its
 * conntrack, where that has any (dp_adopt_ct.c); then from its UDP sockets. Who knows more comes first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dp_adopt.h"
#include "dp_impl.h"
#include "netlink.h"

/*
 * What a socket's state says of the pair, in conntrack's words, and of both ends. NONE: not to be
 * adopted. Of the other end as much as its answer must have been; where it may be in one of two
 * states, the earlier.
 */
struct states {
	enum pg_tcp_state pair;
	enum pg_end_state local, remote;
};
static const struct states states_of[] = {
	[TCP_ESTABLISHED] = { PG_TCP_ESTABLISHED, PG_END_ESTABLISHED, PG_END_ESTABLISHED },
	[TCP_SYN_SENT] = { PG_TCP_SYN_SENT, PG_END_SYN_SENT, PG_END_LISTEN },
	[TCP_SYN_RECV] = { PG_TCP_SYN_RECV, PG_END_SYN_RECEIVED, PG_END_SYN_SENT },
	[TCP_FIN_WAIT1] = { PG_TCP_FIN_WAIT, PG_END_FIN_WAIT_1, PG_END_CLOSE_WAIT },
	[TCP_FIN_WAIT2] = { PG_TCP_CLOSE_WAIT, PG_END_FIN_WAIT_2, PG_END_CLOSE_WAIT },
	[TCP_CLOSE_WAIT] = { PG_TCP_CLOSE_WAIT, PG_END_CLOSE_WAIT, PG_END_FIN_WAIT_2 },
	[TCP_CLOSING] = { PG_TCP_LAST_ACK, PG_END_CLOSING, PG_END_CLOSING },
	[TCP_LAST_ACK] = { PG_TCP_LAST_ACK, PG_END_LAST_ACK, PG_END_TIME_WAIT },
	[TCP_TIME_WAIT] = { PG_TCP_TIME_WAIT, PG_END_TIME_WAIT, PG_END_CLOSED },
};

/* IPv4 also where an IPv6 socket speaks it (::ffff:192.0.2.1). */
static bool is_ip4(const struct inet_diag_msg *msg)
{
	return msg->idiag_family == AF_INET ||
	       IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)msg->id.idiag_src);
}

static void note(struct pg_adoption *a, struct pg_adopt_keys *keys, const struct pg_flow_key *key)
{
	if (keys->n == keys->cap) {
		size_t cap = keys->cap ? 2 * keys->cap : 1024;
		__u64 *hash = reallocarray(keys->hash, cap, sizeof(*hash));

		if (!hash) {
			a->oom = true;
			return;
		}
		keys->hash = hash;
		keys->cap = cap;
	}
	keys->hash[keys->n++] = pg_flow_hash(key, 0);
}

static int compare(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* How many keys there are; frees them. */
static __u32 count(struct pg_adopt_keys *keys)
{
	__u32 n = 0;

	if (keys->n)
		qsort(keys->hash, keys->n, sizeof(*keys->hash), compare);
	for (size_t i = 0; i < keys->n; i++)
		n += !i || keys->hash[i] != keys->hash[i - 1];
	free(keys->hash);
	return n;
}

bool pg_dp_adopt_knows(struct pg_adoption *a, const struct pg_flow_key *key)
{
	__u64 now = pg_clock_ns(CLOCK_MONOTONIC_COARSE);
	struct pg_dp_flow flow;

	if (!pg_dp_flow_get(a->dp, key, &flow) || flow.expires_ns <= now)
		return false;
	note(a, &a->met, key);
	return true;
}

void pg_dp_adopt_one(struct pg_adoption *a, const struct pg_dp_flow *flow)
{
	note(a, &a->met, &flow->key);
	if (pg_dp_flow_put(a->dp, flow)) /* perhaps over one that has expired */
		note(a, &a->homeless, &flow->key);
}

/* Returns the end of the key that is this machine's. */
static __u8 key_of(const struct pg_dp *dp, const struct inet_diag_msg *msg, __u8 proto,
		   struct pg_flow_key *ret)
{
	__u32 at = is_ip4(msg) && msg->idiag_family != AF_INET ? 3 : 0;
	const struct pg_flow_packet sent = {
		.family = is_ip4(msg) ? PG_FAMILY_V4 : PG_FAMILY_V6,
		.proto = proto,
		.addr = { msg->id.idiag_src + at, msg->id.idiag_dst + at },
		.port = { ntohs(msg->id.idiag_sport), ntohs(msg->id.idiag_dport) },
	};

	return pg_dp_flow_key(dp, &sent, ret);
}

static int take_connection(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	const struct states *states;
	struct pg_adoption *a = data;
	struct pg_flow_key key;
	struct pg_dp_flow flow;
	__u8 local, opener;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg) ||
	    msg->idiag_state >= ARRAY_SIZE(states_of) || !states_of[msg->idiag_state].pair)
		return MNL_CB_OK;
	states = &states_of[msg->idiag_state];
	local = key_of(a->dp, msg, IPPROTO_TCP, &key);
	if (pg_dp_adopt_knows(a, &key))
		return MNL_CB_OK;
	opener = a->listening[ntohs(msg->id.idiag_sport)] ? !local : local;
	pg_dp_flow_new(&key, opener, &flow);
	flow.tcp_state = states->pair;
	flow.end[local != opener].state = states->local;
	flow.end[local == opener].state = states->remote;
	flow.half_open = states->pair == PG_TCP_SYN_SENT || states->pair == PG_TCP_SYN_RECV;
	flow.seen_reply = states->pair != PG_TCP_SYN_SENT;
	flow.assured = !flow.half_open;
	pg_dp_adopt_one(a, &flow);
	return MNL_CB_OK;
}

/*
 * A connected UDP socket: whether either end has sent is not known. It is as after one packet of ours,
 * which is what one connects for: the peer's answers are ESTABLISHED, and what we send is NEW until one
 * has come. Should nothing come, it expires as one that nobody has answered.
 */
static int take_datagrams(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct pg_adoption *a = data;
	struct pg_flow_key key;
	struct pg_dp_flow flow;
	__u8 local;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg) || !msg->id.idiag_dport)
		return MNL_CB_OK;
	local = key_of(a->dp, msg, IPPROTO_UDP, &key);
	if (pg_dp_adopt_knows(a, &key))
		return MNL_CB_OK;
	pg_dp_flow_new(&key, local, &flow);
	pg_dp_adopt_one(a, &flow);
	return MNL_CB_OK;
}

static int take_listener(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct pg_adoption *a = data;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(*msg))
		a->listening[ntohs(msg->id.idiag_sport)] = true;
	return MNL_CB_OK;
}

static int dump_families(struct mnl_socket *nl, uint8_t proto, uint32_t states, mnl_cb_t callback,
			 struct pg_adoption *a)
{
	int r = pg_netlink_socks(nl, AF_INET, proto, states, callback, a);

	if (r)
		return r;
	r = pg_netlink_socks(nl, AF_INET6, proto, states, callback, a);
	return r == -ENOENT ? 0 : r; /* a kernel without IPv6, or booted with it off */
}

static int adopt(struct pg_adoption *a)
{
	const uint32_t listening = 1U << TCP_LISTEN;
	_cleanup_(pg_netlink_closep) struct mnl_socket *nl = NULL;
	int r = pg_netlink_open(NETLINK_SOCK_DIAG, &nl);

	if (!r)
		r = dump_families(nl, IPPROTO_TCP, listening, take_listener, a);
	if (!r)
		r = dump_families(nl, IPPROTO_TCP, ~listening, take_connection, a);
	if (r)
		return r;
	a->dp->adopted.conntrack = pg_dp_adopt_conntrack(a);
	/* Connected is ESTABLISHED with UDP, too. A kernel may be without udp_diag. */
	r = dump_families(nl, IPPROTO_UDP, 1U << TCP_ESTABLISHED, take_datagrams, a);
	if (!r || r == -ENOENT)
		r = a->oom ? -ENOMEM : 0;
	return r;
}

int pg_dp_flow_adopt(struct pg_dp *dp, bool again, struct pg_err *err)
{
	struct pg_adoption *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return pg_fail(err, -ENOMEM, "out of memory");
	a->dp = dp;
	r = adopt(a);
	dp->adopted.met = count(&a->met);
	dp->adopted.homeless = count(&a->homeless);
	free(a);
	if (again)
		pg_dp_flow_refuse(dp, dp->adopted.homeless);
	return r ? pg_dp_fail(err, r, "cannot take over the connections that exist") : 0;
}

const struct pg_dp_adopted *pg_dp_flow_adopted(const struct pg_dp *dp)
{
	return &dp->adopted;
}
