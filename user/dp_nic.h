/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A network interface as attaching needs to know it. */
#pragma once

#include <net/if.h>

#include "dp_impl.h"

struct pg_nic {
	char name[IFNAMSIZ];
	unsigned ifindex, mtu;
	char driver[32]; /* "" unknown */
	bool ethernet;	 /* frames begin with an Ethernet header */
	bool loopback;
	bool strips_vlan; /* rx-vlan-offload: native XDP sees no outer tag */
};

/* -ENODEV when there is no such interface. */
int pg_nic_find(const char *name, struct pg_nic *ret_nic, struct pg_err *err);

/* Why native XDP is not even to be tried; NULL: try it. */
const char *pg_nic_why_tc(const struct pg_nic *nic);
