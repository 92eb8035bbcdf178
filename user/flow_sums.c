/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "flow_sums.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "flow_read.h"

struct own_addr {
	uint8_t family; /* enum pg_family */
	uint8_t addr[16];
};

struct walk {
	struct pg_flow_sums *sums;
	struct own_addr *own; /* sorted */
	size_t n;
};

static int compare_addrs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct own_addr));
}

static int read_own(struct walk *walk)
{
	struct ifaddrs *list = NULL;
	size_t n = 0;

	if (getifaddrs(&list))
		return -errno;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		n++;
	walk->own = calloc(n + 1, sizeof(*walk->own));
	for (const struct ifaddrs *i = list; i && walk->own; i = i->ifa_next) {
		struct own_addr *own = &walk->own[walk->n];

		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			own->family = PG_FAMILY_V4;
			memcpy(own->addr, &((struct sockaddr_in *)i->ifa_addr)->sin_addr, 4);
			walk->n++;
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			own->family = PG_FAMILY_V6;
			memcpy(own->addr, &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr, 16);
			walk->n++;
		}
	}
	freeifaddrs(list);
	if (!walk->own)
		return -ENOMEM;
	qsort(walk->own, walk->n, sizeof(*walk->own), compare_addrs);
	return 0;
}

static int add_flow(void *arg, const struct pg_flow_row *row)
{
	struct walk *walk = arg;
	enum pg_port_proto proto = row->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP;
	bool is_open = proto == PG_PORT_TCP ? row->state == PG_TCP_ESTABLISHED :
					      row->proto == IPPROTO_UDP && row->replied;

	walk->sums->word[pg_flow_word(row)]++;
	for (int end = 0; end < 2 && is_open; end++) {
		struct own_addr key = { .family = row->family };

		memcpy(key.addr, row->addr[end], row->family == PG_FAMILY_V4 ? 4 : 16);
		if (bsearch(&key, walk->own, walk->n, sizeof(key), compare_addrs))
			walk->sums->open[proto][row->port[end]]++;
	}
	return 0;
}

int pg_flow_sums_read(struct pg_dp *dp, struct pg_flow_sums *ret, struct pg_err *err)
{
	static const struct pg_flow_query every_flow;
	struct walk walk = { .sums = ret };
	int r = read_own(&walk);

	memset(ret, 0, sizeof(*ret));
	if (r)
		pg_fail(err, r, "cannot list this host's addresses: %s", strerror(-r));
	else
		r = pg_flows_each(dp, &every_flow, add_flow, &walk, err);
	free(walk.own);
	return r;
}
