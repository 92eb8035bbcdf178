/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Dumps over netlink, by libmnl: what all who ask the kernel for a list do alike. */
#pragma once

#include <libmnl/libmnl.h>
#include <stdint.h>

/* A socket to NETLINK_ROUTE, NETLINK_SOCK_DIAG, … or negative. */
int pg_netlink_open(int bus, struct mnl_socket **ret_nl);
void pg_netlink_closep(struct mnl_socket **nl);

/* Send a request for a dump and give each message of the answer to `callback`. 0 or negative. */
int pg_netlink_dump(struct mnl_socket *nl, struct nlmsghdr *request, mnl_cb_t callback, void *data);

/* The sockets of a family and protocol in these states (1 << TCP_LISTEN, …), as inet_diag_msg. */
int pg_netlink_socks(struct mnl_socket *nl, uint8_t family, uint8_t proto, uint32_t states,
		     mnl_cb_t callback, void *data);
