// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connections that the kernel's conntrack knows, through ctnetlink: also what is passed on between
 * other hosts, of which there is no socket here. The table is that of our network namespace, as are the
 * sockets'. Left out are zones other than 0, whose addresses are their own, and what is ending.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>

#include "dp_adopt.h"
#include "dp_impl.h"
#include "netlink.h"

/* What of a nest is wanted: its attributes by type, of `n` types. */
struct nest {
	const struct nlattr **attr;
	uint16_t n;
};

static int take_attr(const struct nlattr *attr, void *data)
{
	const struct nest *nest = data;

	if (mnl_attr_get_type(attr) < nest->n)
		nest->attr[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* `attr` may be NULL, as for one that the kernel did not send. */
static void open_nest(const struct nlattr *attr, const struct nlattr **ret, uint16_t n)
{
	struct nest nest = { ret, n };

	memset(ret, 0, n * sizeof(*ret));
	if (attr && mnl_attr_validate(attr, MNL_TYPE_NESTED) == 0)
		mnl_attr_parse_nested(attr, take_attr, &nest);
}

static bool take_bytes(const struct nlattr *attr, void *ret, size_t n)
{
	if (!attr || mnl_attr_get_payload_len(attr) < n)
		return false;
	memcpy(ret, mnl_attr_get_payload(attr), n);
	return true;
}

static __u8 byte_of(const struct nlattr *attr)
{
	__u8 byte = 0;

	take_bytes(attr, &byte, sizeof(byte));
	return byte;
}

static __u16 be16_of(const struct nlattr *attr)
{
	__be16 word = 0;

	take_bytes(attr, &word, sizeof(word));
	return ntohs(word);
}

static __u32 be32_of(const struct nlattr *attr)
{
	__be32 word = 0;

	take_bytes(attr, &word, sizeof(word));
	return ntohl(word);
}

/* A packet of one direction. */
struct tuple {
	enum pg_family family;
	__u8 proto;
	bool query;
	__be32 addr[2][4]; /* the sender's, the receiver's */
	__u16 port[2];
};

static bool take_ports(const struct nlattr **proto, struct tuple *ret)
{
	switch (ret->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
		ret->port[0] = be16_of(proto[CTA_PROTO_SRC_PORT]);
		ret->port[1] = be16_of(proto[CTA_PROTO_DST_PORT]);
		return true;
	case IPPROTO_ICMP:
		ret->port[0] = be16_of(proto[CTA_PROTO_ICMP_ID]);
		ret->port[1] = ICMP_ECHO << 8;
		ret->query = true;
		return byte_of(proto[CTA_PROTO_ICMP_TYPE]) == ICMP_ECHO ||
		       byte_of(proto[CTA_PROTO_ICMP_TYPE]) == ICMP_ECHOREPLY;
	case IPPROTO_ICMPV6:
		ret->port[0] = be16_of(proto[CTA_PROTO_ICMPV6_ID]);
		ret->port[1] = ICMP6_ECHO_REQUEST << 8;
		ret->query = true;
		return byte_of(proto[CTA_PROTO_ICMPV6_TYPE]) == ICMP6_ECHO_REQUEST ||
		       byte_of(proto[CTA_PROTO_ICMPV6_TYPE]) == ICMP6_ECHO_REPLY;
	}
	return false;
}

static bool take_tuple(const struct nlattr *attr, __u8 family, struct tuple *ret)
{
	const struct nlattr *part[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];
	bool v4 = family == AF_INET;
	size_t bytes = v4 ? 4 : 16;

	open_nest(attr, part, ARRAY_SIZE(part));
	open_nest(part[CTA_TUPLE_IP], ip, ARRAY_SIZE(ip));
	open_nest(part[CTA_TUPLE_PROTO], proto, ARRAY_SIZE(proto));
	*ret = (struct tuple){
		.family = v4 ? PG_FAMILY_V4 : PG_FAMILY_V6,
		.proto = byte_of(proto[CTA_PROTO_NUM]),
	};
	return take_bytes(ip[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], ret->addr[0], bytes) &&
	       take_bytes(ip[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], ret->addr[1], bytes) &&
	       take_ports(proto, ret);
}

/* What answers it, the other way round: what its opener sends, behind the translation. */
static void turn(struct tuple *t)
{
	struct tuple was = *t;

	memcpy(t->addr[0], was.addr[1], sizeof(t->addr[0]));
	memcpy(t->addr[1], was.addr[0], sizeof(t->addr[1]));
	if (t->query)
		return;
	t->port[0] = was.port[1];
	t->port[1] = was.port[0];
}

/*
 * The ends' states that a pair's follows from: who opened the connection and the other, or in the later
 * ones who closed first and the other. NONE in the first: not to be adopted.
 */
static const enum pg_end_state ends_of[_PG_TCP_MAX][2] = {
	[PG_TCP_SYN_SENT] = { PG_END_SYN_SENT, PG_END_LISTEN },
	[PG_TCP_SYN_RECV] = { PG_END_SYN_SENT, PG_END_SYN_RECEIVED },
	[PG_TCP_ESTABLISHED] = { PG_END_ESTABLISHED, PG_END_ESTABLISHED },
	[PG_TCP_FIN_WAIT] = { PG_END_FIN_WAIT_1, PG_END_CLOSE_WAIT },
	[PG_TCP_CLOSE_WAIT] = { PG_END_FIN_WAIT_2, PG_END_CLOSE_WAIT },
	[PG_TCP_LAST_ACK] = { PG_END_TIME_WAIT, PG_END_LAST_ACK },
	[PG_TCP_TIME_WAIT] = { PG_END_TIME_WAIT, PG_END_CLOSED },
	[PG_TCP_SYN_SENT2] = { PG_END_SYN_SENT, PG_END_SYN_SENT },
};

/* conntrack's states have the numbers that ours have. Windows are not told, so none are checked. */
static bool take_tcp(const struct nlattr *attr, struct pg_dp_flow *flow)
{
	const struct nlattr *info[CTA_PROTOINFO_MAX + 1], *tcp[CTA_PROTOINFO_TCP_MAX + 1];
	struct nf_ct_tcp_flags flags[2] = { 0 };
	__u8 state, closer;

	open_nest(attr, info, ARRAY_SIZE(info));
	open_nest(info[CTA_PROTOINFO_TCP], tcp, ARRAY_SIZE(tcp));
	state = byte_of(tcp[CTA_PROTOINFO_TCP_STATE]);
	if (state >= _PG_TCP_MAX || ends_of[state][0] == PG_END_CLOSED)
		return false;
	take_bytes(tcp[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL], &flags[0], sizeof(flags[0]));
	take_bytes(tcp[CTA_PROTOINFO_TCP_FLAGS_REPLY], &flags[1], sizeof(flags[1]));
	closer = !!(flags[1].flags & IP_CT_TCP_FLAG_CLOSE_INIT);
	flow->tcp_state = (enum pg_tcp_state)state;
	flow->half_open = state == PG_TCP_SYN_SENT || state == PG_TCP_SYN_RECV ||
			  state == PG_TCP_SYN_SENT2;
	flow->end[closer].state = ends_of[state][0];
	flow->end[!closer].state = ends_of[state][1];
	flow->end[0].scale = byte_of(tcp[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL]) & 15;
	flow->end[1].scale = byte_of(tcp[CTA_PROTOINFO_TCP_WSCALE_REPLY]) & 15;
	for (int i = 0; i < 2; i++)
		if (flags[i].flags & IP_CT_TCP_FLAG_WINDOW_SCALE)
			flow->status |= PG_FLOW_HAS_SCALE << (flow->opener ^ i);
	return true;
}

static bool take_sctp(const struct nlattr *attr, struct pg_dp_flow *flow)
{
	/* As conntrack numbers them. */
	static const enum pg_sctp_state states[] = {
		PG_SCTP_NONE,	       PG_SCTP_CLOSED,	      PG_SCTP_COOKIE_WAIT,
		PG_SCTP_COOKIE_ECHOED, PG_SCTP_ESTABLISHED,   PG_SCTP_SHUTDOWN_SENT,
		PG_SCTP_SHUTDOWN_RECD, PG_SCTP_SHUTDOWN_ACK_SENT, PG_SCTP_HEARTBEAT_SENT,
	};
	const struct nlattr *info[CTA_PROTOINFO_MAX + 1], *sctp[CTA_PROTOINFO_SCTP_MAX + 1];
	__u8 state;

	open_nest(attr, info, ARRAY_SIZE(info));
	open_nest(info[CTA_PROTOINFO_SCTP], sctp, ARRAY_SIZE(sctp));
	state = byte_of(sctp[CTA_PROTOINFO_SCTP_STATE]);
	if (state >= ARRAY_SIZE(states) || !states[state])
		return false;
	flow->sctp_state = states[state];
	take_bytes(sctp[CTA_PROTOINFO_SCTP_VTAG_ORIGINAL], &flow->end[0].win.max_end, 4);
	take_bytes(sctp[CTA_PROTOINFO_SCTP_VTAG_REPLY], &flow->end[1].win.max_end, 4);
	return true;
}

/*
 * It has been idle for as long as is missing of its timeout, if that is ours; longer than ours by nothing.
 * Since when it exists is not told: no less long.
 */
static void age(const struct pg_dp *dp, __u32 left_s, struct pg_dp_flow *flow)
{
	__u32 whole_s = pg_dp_timeout_get(dp, pg_dp_flow_timeout(flow));
	__u64 idle_ns = left_s < whole_s ? (whole_s - left_s) * 1000000000ULL : 0;

	if (idle_ns < flow->last_ns)
		flow->first_ns = flow->last_ns -= idle_ns;
}

/* `bits`: of its status, PG_FLOW_*. */
static void take_flow(struct pg_adoption *a, const struct tuple *t, const struct nlattr **attr, __u64 bits)
{
	const struct pg_flow_packet sent = {
		.family = t->family,
		.proto = t->proto,
		.query = t->query,
		.addr = { t->addr[0], t->addr[1] },
		.port = { t->port[0], t->port[1] },
	};
	__u32 status = be32_of(attr[CTA_STATUS]);
	struct pg_flow_key key;
	struct pg_dp_flow flow;
	__u8 opener = pg_dp_flow_key(a->dp, &sent, &key);

	if (pg_dp_adopt_knows(a, &key))
		return;
	pg_dp_flow_new(&key, opener, &flow);
	flow.seen_reply = status & IPS_SEEN_REPLY;
	flow.assured = status & IPS_ASSURED;
	flow.status |= bits;
	if ((t->proto == IPPROTO_TCP && !take_tcp(attr[CTA_PROTOINFO], &flow)) ||
	    (t->proto == IPPROTO_SCTP && !take_sctp(attr[CTA_PROTOINFO], &flow)))
		return;
	if (attr[CTA_TIMEOUT])
		age(a->dp, be32_of(attr[CTA_TIMEOUT]), &flow);
	pg_dp_adopt_one(a, &flow);
}

/*
 * Where addresses are translated, programs see both: before the translation on one interface, behind it
 * on the other. These are two flows to them, and so they are here. Otherwise both are the same.
 */
static int take_entry(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr[CTA_MAX + 1] = { NULL };
	struct nest nest = { attr, ARRAY_SIZE(attr) };
	const struct nfgenmsg *msg = mnl_nlmsg_get_payload(nlh);
	struct pg_adoption *a = data;
	struct tuple t;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg) ||
	    (msg->nfgen_family != AF_INET && msg->nfgen_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*msg), take_attr, &nest);
	if (attr[CTA_ZONE] || be32_of(attr[CTA_STATUS]) & IPS_DYING)
		return MNL_CB_OK;
	if (take_tuple(attr[CTA_TUPLE_ORIG], msg->nfgen_family, &t))
		take_flow(a, &t, attr, 0);
	if (be32_of(attr[CTA_STATUS]) & IPS_NAT_MASK &&
	    take_tuple(attr[CTA_TUPLE_REPLY], msg->nfgen_family, &t)) {
		turn(&t); /* what its opener sends has these addresses when it leaves */
		take_flow(a, &t, attr, PG_FLOW_PASSING);
	}
	return MNL_CB_OK;
}

/* Asking loads ctnetlink, and with it conntrack: not where that is not there, or has nothing. */
static bool has_any(void)
{
	_fclose_ FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
	unsigned n = 0;

	return f && fscanf(f, "%u", &n) == 1 && n;
}

int pg_dp_adopt_conntrack(struct pg_adoption *a)
{
	char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg))];
	_cleanup_(pg_netlink_closep) struct mnl_socket *nl = NULL;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *msg;
	int r;

	if (!has_any() || pg_netlink_open(NETLINK_NETFILTER, &nl))
		return 0;
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	msg->nfgen_family = AF_UNSPEC;
	msg->version = NFNETLINK_V0;
	r = pg_netlink_dump(nl, nlh, take_entry, a);
	return r == -EPERM || r == -EINVAL ? 0 : r; /* EINVAL: conntrack without ctnetlink */
}
