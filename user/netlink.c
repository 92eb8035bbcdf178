/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "netlink.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

enum { DUMP_MAX = 16384 }; /* what the kernel fills at most for one read of a dump */

int pg_netlink_open(int bus, struct mnl_socket **ret_nl)
{
	struct mnl_socket *nl = mnl_socket_open(bus);
	int r;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		mnl_socket_close(nl);
		return r;
	}
	*ret_nl = nl;
	return 0;
}

void pg_netlink_closep(struct mnl_socket **nl)
{
	if (*nl)
		mnl_socket_close(*nl);
}

int pg_netlink_ask(struct mnl_socket *nl, struct nlmsghdr *request, uint16_t flags,
		   mnl_cb_t callback, void *data)
{
	static unsigned seq; /* a socket may be asked more than once */
	char buf[DUMP_MAX];
	unsigned mine = ++seq;
	ssize_t n;
	int r;

	request->nlmsg_flags = NLM_F_REQUEST | flags;
	request->nlmsg_seq = mine;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, mine, mnl_socket_get_portid(nl), callback, data);
	} while (r > MNL_CB_STOP);
	return r < 0 ? -errno : 0;
}

int pg_netlink_socks(struct mnl_socket *nl, uint8_t family, uint8_t proto, uint32_t states,
		     mnl_cb_t callback, void *data)
{
	char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct inet_diag_req_v2))];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = family;
	req->sdiag_protocol = proto;
	req->idiag_states = states;
	return pg_netlink_dump(nl, nlh, callback, data);
}
