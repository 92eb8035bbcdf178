// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Closing sockets of this host whose connections are to end, as `ss -K` does: by sock_diag's
 * SOCK_DESTROY. TCP tells the other end by a RST. Nothing of BPF is in it, but it is the kernel.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>

#include "dp_impl.h"

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

static void mnl_closep(struct mnl_socket **nl)
{
	if (*nl)
		mnl_socket_close(*nl);
}

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

static int request(struct mnl_socket *nl, uint16_t type, uint16_t flags, unsigned seq,
		   const struct inet_diag_req_v2 *req, mnl_cb_t callback, void *data)
{
	char buf[16384]; /* what the kernel fills at most for one read of a dump */
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	ssize_t n;
	int r;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = seq;
	*(struct inet_diag_req_v2 *)mnl_nlmsg_put_extra_header(nlh, sizeof(*req)) = *req;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), callback, data);
	} while (r > MNL_CB_STOP);
	return r < 0 ? -errno : 0;
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
		const struct inet_diag_req_v2 req = {
			.sdiag_family = dumps[i].family,
			.sdiag_protocol = dumps[i].proto,
			.idiag_states = dumps[i].states,
		};
		int r;

		s->proto = dumps[i].proto;
		r = request(nl, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, (unsigned)i + 1, &req, take_socket,
			    s);
		if (s->oom)
			return -ENOMEM;
		/* A kernel without IPv6, or without udp_diag. */
		if (r && r != -ENOENT)
			return r;
	}
	return 0;
}

static void destroy(struct mnl_socket *nl, const struct search *s, struct pg_sockets_closed *ret)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct inet_diag_req_v2 req = {
			.sdiag_family = s->victim[i].family,
			.sdiag_protocol = s->victim[i].proto,
			.idiag_states = UINT32_MAX,
			.id = s->victim[i].id,
		};
		int r = request(nl, SOCK_DESTROY, NLM_F_ACK, (unsigned)i + 16, &req, NULL, NULL);

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
	_cleanup_(mnl_closep) struct mnl_socket *nl = NULL;
	struct search s = { .ends = ends, .n_ends = n };
	int r = 0;

	*ret = (struct pg_sockets_closed){ 0 };
	if (!n)
		return 0;
	qsort(ends, n, sizeof(*ends), compare);
	nl = mnl_socket_open(NETLINK_SOCK_DIAG);
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	if (!r)
		r = find_sockets(nl, &s);
	if (!r)
		destroy(nl, &s, ret);
	free(s.victim);
	return r ? pg_dp_fail(err, r, "cannot look for this host's sockets") : 0;
}
