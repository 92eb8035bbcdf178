// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Closing sockets of this host whose connections are to end, as `ss -K` does: by sock_diag's
 * SOCK_DESTROY. TCP tells the other end by a RST. Nothing of BPF is in it, but it is the kernel.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>

#include "dp_impl.h"
#include "netlink.h"

struct victim {
	uint8_t family, proto;
	struct inet_diag_sockid id;
};

struct search {
	const struct pg_socket_ends *ends; /* sorted */
	size_t n_ends;
	uint8_t proto; /* of the dump that is being read */
	struct victim *victim;
	size_t n, cap;
	bool oom;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pg_socket_ends));
}

static bool is_sought(const struct search *s, const struct inet_diag_msg *msg)
{
	bool mapped = msg->idiag_family == AF_INET6 &&
		      IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)msg->id.idiag_src);
	bool v4 = msg->idiag_family == AF_INET || mapped;
	struct pg_socket_ends ends;

	/* Padding is compared, too. */
	memset(&ends, 0, sizeof(ends));
	ends.family = v4 ? PG_FAMILY_V4 : PG_FAMILY_V6;
	ends.proto = s->proto;
	memcpy(ends.addr[0], msg->id.idiag_src + (mapped ? 3 : 0), v4 ? 4 : 16);
	memcpy(ends.addr[1], msg->id.idiag_dst + (mapped ? 3 : 0), v4 ? 4 : 16);
	ends.port[0] = ntohs(msg->id.idiag_sport);
	ends.port[1] = ntohs(msg->id.idiag_dport);
	return bsearch(&ends, s->ends, s->n_ends, sizeof(ends), compare);
}

static int take_socket(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct search *s = data;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg) || !is_sought(s, msg))
		return MNL_CB_OK;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct victim *victim = reallocarray(s->victim, cap, sizeof(*victim));

		if (!victim) {
			s->oom = true;
			return MNL_CB_ERROR;
		}
		s->victim = victim;
		s->cap = cap;
	}
	s->victim[s->n++] = (struct victim){
		.family = msg->idiag_family, .proto = s->proto, .id = msg->id,
	};
	return MNL_CB_OK;
}

/* Listening sockets are no connection's, and UDP's that are bound only may serve many. */
static int find_sockets(struct mnl_socket *nl, struct search *s)
{
	static const struct {
		uint8_t family, proto;
		uint32_t states;
	} dumps[] = {
		{ AF_INET, IPPROTO_TCP, ~(1U << TCP_LISTEN) },
		{ AF_INET6, IPPROTO_TCP, ~(1U << TCP_LISTEN) },
		{ AF_INET, IPPROTO_UDP, 1U << TCP_ESTABLISHED },
		{ AF_INET6, IPPROTO_UDP, 1U << TCP_ESTABLISHED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		int r;

		s->proto = dumps[i].proto;
		r = pg_netlink_socks(nl, dumps[i].family, dumps[i].proto, dumps[i].states,
				     take_socket, s);
		if (s->oom)
			return -ENOMEM;
		/* A kernel without IPv6, or without udp_diag. */
		if (r && r != -ENOENT)
			return r;
	}
	return 0;
}

static int destroy_socket(struct mnl_socket *nl, const struct victim *v)
{
	char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct inet_diag_req_v2))];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;

	nlh->nlmsg_type = SOCK_DESTROY;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = v->family;
	req->sdiag_protocol = v->proto;
	req->idiag_states = UINT32_MAX;
	req->id = v->id;
	return pg_netlink_ask(nl, nlh, NLM_F_ACK, NULL, NULL);
}

static void destroy(struct mnl_socket *nl, const struct search *s, struct pg_sockets_closed *ret)
{
	for (size_t i = 0; i < s->n; i++) {
		int r = destroy_socket(nl, &s->victim[i]);

		if (!r)
			ret->closed++;
		else if (r != -ENOENT) /* it was faster */
			ret->failed++;
		if (r && r != -ENOENT && !ret->error)
			ret->error = r;
	}
}

int pg_dp_sockets_close(struct pg_socket_ends *ends, size_t n, struct pg_sockets_closed *ret,
			struct pg_err *err)
{
	_cleanup_(pg_netlink_closep) struct mnl_socket *nl = NULL;
	struct search s = { .ends = ends, .n_ends = n };
	int r;

	*ret = (struct pg_sockets_closed){ 0 };
	if (!n)
		return 0;
	qsort(ends, n, sizeof(*ends), compare);
	r = pg_netlink_open(NETLINK_SOCK_DIAG, &nl);
	if (!r)
		r = find_sockets(nl, &s);
	if (!r)
		destroy(nl, &s, ret);
	free(s.victim);
	return r ? pg_dp_fail(err, r, "cannot look for this host's sockets") : 0;
}
