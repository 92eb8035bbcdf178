/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Netlink by libmnl: what all who ask the kernel for a list, or for one thing, do alike. */
#pragma once

#include <libmnl/libmnl.h>
#include <stdint.h>

/* A socket to NETLINK_ROUTE, NETLINK_SOCK_DIAG, … or negative. */
int pg_netlink_open(int bus, struct mnl_socket **ret_nl);
void pg_netlink_closep(struct mnl_socket **nl);

/*
 * Send a request with NLM_F_ACK or NLM_F_DUMP and give each message of the answer to `callback`, which
 * may be NULL. 0 or negative.
 */
int pg_netlink_ask(struct mnl_socket *nl, struct nlmsghdr *request, uint16_t flags,
		   mnl_cb_t callback, void *data);
static inline int pg_netlink_dump(struct mnl_socket *nl, struct nlmsghdr *request,
				  mnl_cb_t callback, void *data)
{
	return pg_netlink_ask(nl, request, NLM_F_DUMP, callback, data);
}

/* The sockets of a family and protocol in these states (1 << TCP_LISTEN, …), as inet_diag_msg. */
int pg_netlink_socks(struct mnl_socket *nl, uint8_t family, uint8_t proto, uint32_t states,
		     mnl_cb_t callback, void *data);
