/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "foreign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <string.h>

const char *pg_foreign_name(enum pg_foreign_by by)
{
	static const char *const names[] = {
		[PG_FOREIGN_NFT] = "nft",
		[PG_FOREIGN_IPTABLES] = "iptables-legacy",
		[PG_FOREIGN_IP6TABLES] = "ip6tables-legacy",
	};

	return names[by];
}

static void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1)) /* room for the next power of two was made before */
		return array;
	return reallocarray(array, n ? 2 * n : 1, size);
}

struct pg_foreign_chain *pg_foreign_add_chain(struct pg_foreign *foreign)
{
	struct pg_foreign_chain *all =
		grow(foreign->chain, foreign->n_chains, sizeof(*all));

	if (!all)
		return NULL;
	foreign->chain = all;
	all[foreign->n_chains] = (struct pg_foreign_chain){ 0 };
	return &all[foreign->n_chains++];
}

struct pg_foreign_port *pg_foreign_add_port(struct pg_foreign *foreign)
{
	struct pg_foreign_port *all = grow(foreign->port, foreign->n_ports, sizeof(*all));

	if (!all)
		return NULL;
	foreign->port = all;
	all[foreign->n_ports] = (struct pg_foreign_port){ 0 };
	return &all[foreign->n_ports++];
}

int pg_foreign_add_unread(struct pg_foreign *foreign, enum pg_foreign_by by, const char *family,
			  const char *table, const char *chain)
{
	struct pg_foreign_unread *all, new = { .by = by, .rules = 1 };

	snprintf(new.family, sizeof(new.family), "%s", family);
	snprintf(new.table, sizeof(new.table), "%s", table);
	snprintf(new.chain, sizeof(new.chain), "%s", chain);
	for (size_t i = 0; i < foreign->n_unread; i++) {
		struct pg_foreign_unread *u = &foreign->unread[i];

		if (u->by == by && !strcmp(u->family, new.family) && !strcmp(u->table, new.table) &&
		    !strcmp(u->chain, new.chain)) {
			u->rules++;
			return 0;
		}
	}
	all = grow(foreign->unread, foreign->n_unread, sizeof(*all));
	if (!all)
		return -ENOMEM;
	foreign->unread = all;
	all[foreign->n_unread++] = new;
	return 0;
}

static void read_multiport(struct pg_foreign_ranges *ranges, const struct xt_multiport_v1 *m)
{
	ranges->but |= m->invert;
	if (m->flags == XT_MULTIPORT_SOURCE)
		return;
	/* --ports may be met by the source alone: any packet may be sent elsewhere then. */
	ranges->but |= m->flags != XT_MULTIPORT_DESTINATION;
	ranges->n = 0;
	for (unsigned i = 0; i < m->count && i < XT_MULTI_PORTS; i++) {
		unsigned last = m->pflags[i] && i + 1 < XT_MULTI_PORTS ? i + 1 : i;

		ranges->lo[ranges->n] = m->ports[i];
		ranges->hi[ranges->n++] = m->ports[last];
		i = last;
	}
}

void pg_foreign_xt_match(struct pg_foreign_ranges *ranges, const char *name, unsigned revision,
			 const void *info, size_t n)
{
	struct xt_multiport_v1 multi;
	struct xt_tcp tcp;
	struct xt_udp udp;
	bool is_tcp = !strcmp(name, "tcp");

	if (!strcmp(name, "multiport") && revision == 1 && n >= sizeof(multi)) {
		memcpy(&multi, info, sizeof(multi));
		read_multiport(ranges, &multi);
	} else if (is_tcp || !strcmp(name, "udp")) {
		if (n < (is_tcp ? sizeof(tcp) : sizeof(udp)))
			return;
		memcpy(&udp, info, sizeof(udp)); /* the ports are at the same place in both */
		if (is_tcp)
			memcpy(&tcp, info, sizeof(tcp));
		ranges->but |= (is_tcp ? tcp.invflags : udp.invflags) & XT_TCP_INV_DSTPT;
		if (!udp.dpts[0] && udp.dpts[1] == UINT16_MAX)
			return; /* none are asked for */
		ranges->lo[0] = udp.dpts[0];
		ranges->hi[0] = udp.dpts[1];
		ranges->n = 1;
	}
}

void pg_foreign_target(struct pg_foreign_port *port, bool v6, const void *addr, uint16_t lo,
		       uint16_t hi)
{
	static const uint8_t none[16];
	char text[INET6_ADDRSTRLEN] = "", ports[16] = "";

	if (addr && memcmp(addr, none, v6 ? 16 : 4))
		inet_ntop(v6 ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	if (lo && hi && hi != lo)
		snprintf(ports, sizeof(ports), ":%u-%u", ntohs(lo), ntohs(hi));
	else if (lo)
		snprintf(ports, sizeof(ports), ":%u", ntohs(lo));
	snprintf(port->to, sizeof(port->to), v6 && text[0] && ports[0] ? "[%s]%s" : "%s%s", text,
		 ports);
}

bool pg_foreign_xt_target(struct pg_foreign_port *port, const char *name, unsigned revision,
			  bool v6, const void *info, size_t n)
{
	struct nf_nat_ipv4_multi_range_compat old;
	struct nf_nat_range range;
	bool redirect = !strcmp(name, "REDIRECT");

	if (!redirect && strcmp(name, "DNAT"))
		return false;
	if (!v6 && !revision && n >= sizeof(old)) {
		memcpy(&old, info, sizeof(old));
		pg_foreign_target(port, false, redirect ? NULL : &old.range[0].min_ip,
				  old.range[0].min.all, old.range[0].max.all);
	} else if ((v6 || revision) && n >= sizeof(range)) {
		memcpy(&range, info, sizeof(range));
		pg_foreign_target(port, v6, redirect ? NULL : &range.min_addr,
				  range.min_proto.all, range.max_proto.all);
	}
	return true;
}

int pg_foreign_read(struct pg_foreign *ret)
{
	int r;

	*ret = (struct pg_foreign){ 0 };
	r = pg_foreign_read_nft(ret);
	return r ? r : pg_foreign_read_xt(ret);
}

void pg_foreign_clear(struct pg_foreign *foreign)
{
	free(foreign->chain);
	free(foreign->port);
	free(foreign->unread);
	*foreign = (struct pg_foreign){ 0 };
}

const struct pg_foreign_port *pg_foreign_find(const struct pg_foreign *foreign,
					      enum pg_port_proto proto, uint16_t port)
{
	for (size_t i = 0; i < foreign->n_ports; i++) {
		const struct pg_foreign_port *p = &foreign->port[i];

		if (p->proto == proto && port >= p->lo && port <= p->hi)
			return p;
	}
	return NULL;
}
