/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of iptables-legacy and ip6tables-legacy, as the kernel hands them out. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "foreign.h"

/* What of an entry differs between the families. */
struct entry {
	size_t target, next, matches; /* offsets */
	uint8_t proto;		      /* 0: any, or all but one */
};

struct table {
	struct pg_foreign *foreign;
	const char *name;
	bool v6;
	struct ipt_getinfo info; /* ip6t_getinfo is the same */
	const char *blob;
	char chain[64]; /* where the walk is */
};

static const char *const hook_names[NF_INET_NUMHOOKS] = { "prerouting", "input", "forward", "output",
							  "postrouting" };

/* False: it does not lie within the table. */
static bool read_entry(const struct table *t, size_t at, struct entry *ret)
{
	size_t left = t->info.size - at;

	if (t->v6) {
		struct ip6t_entry e;

		if (left < sizeof(e))
			return false;
		memcpy(&e, t->blob + at, sizeof(e));
		*ret = (struct entry){ e.target_offset, e.next_offset, sizeof(e),
				       e.ipv6.invflags & IP6T_INV_PROTO ? 0 : (uint8_t)e.ipv6.proto };
	} else {
		struct ipt_entry e;

		if (left < sizeof(e))
			return false;
		memcpy(&e, t->blob + at, sizeof(e));
		*ret = (struct entry){ e.target_offset, e.next_offset, sizeof(e),
				       e.ip.invflags & IPT_INV_PROTO ? 0 : (uint8_t)e.ip.proto };
	}
	return ret->next <= left && ret->target + sizeof(struct xt_entry_target) <= ret->next &&
	       ret->matches <= ret->target;
}

/* The destination ports that its matches ask for. */
static void read_ports(const struct table *t, size_t at, const struct entry *e,
		       struct pg_foreign_ranges *ret)
{
	struct xt_entry_match m;

	for (size_t off = e->matches; off + sizeof(m) <= e->target; off += m.u.match_size) {
		memcpy(&m, t->blob + at + off, sizeof(m));
		if (m.u.match_size < sizeof(m) || off + m.u.match_size > e->target)
			return;
		m.u.user.name[sizeof(m.u.user.name) - 1] = '\0';
		pg_foreign_xt_match(ret, m.u.user.name, m.u.user.revision,
				    t->blob + at + off + sizeof(m), m.u.match_size - sizeof(m));
	}
}

static int keep_ports(struct table *t, size_t at, const struct entry *e,
		      const struct xt_entry_target *target)
{
	struct pg_foreign_port out = {
		.by = t->v6 ? PG_FOREIGN_IP6TABLES : PG_FOREIGN_IPTABLES,
		.v4 = !t->v6,
		.v6 = t->v6,
		.proto = e->proto == IPPROTO_UDP ? PG_PORT_UDP : PG_PORT_TCP,
	}, *port;
	size_t info = at + e->target + sizeof(*target);
	struct pg_foreign_ranges ranges = { 0 };

	if (!pg_foreign_xt_target(&out, target->u.user.name, target->u.user.revision, t->v6,
				  t->blob + info, e->next - e->target - sizeof(*target)))
		return 0;
	snprintf(out.table, sizeof(out.table), "%s", t->name);
	snprintf(out.chain, sizeof(out.chain), "%s", t->chain);
	read_ports(t, at, e, &ranges);
	if ((e->proto != IPPROTO_TCP && e->proto != IPPROTO_UDP) || !ranges.n || ranges.but)
		return pg_foreign_add_unread(t->foreign, out.by, t->v6 ? "ip6" : "ip", t->name,
					     t->chain);
	for (size_t i = 0; i < ranges.n; i++) {
		port = pg_foreign_add_port(t->foreign);
		if (!port)
			return -ENOMEM;
		out.lo = ranges.lo[i];
		out.hi = ranges.hi[i];
		*port = out;
	}
	return 0;
}

/* A user-defined chain begins with an entry whose target is ERROR and has its name. */
static void enter_chain(struct table *t, size_t at, const struct entry *e,
			const struct xt_entry_target *target)
{
	char name[64] = "";

	for (unsigned h = 0; h < NF_INET_NUMHOOKS; h++)
		if (t->info.valid_hooks & 1U << h && t->info.hook_entry[h] == at)
			snprintf(t->chain, sizeof(t->chain), "%s", hook_names[h]);
	if (strcmp(target->u.user.name, XT_ERROR_TARGET))
		return;
	snprintf(name, sizeof(name), "%.*s",
		 (int)(e->next - e->target - sizeof(*target)),
		 t->blob + at + e->target + sizeof(*target));
	pg_printable(name, t->chain, sizeof(t->chain));
}

static int walk(struct table *t, size_t *ret_rules)
{
	struct xt_entry_target target;
	struct entry e;
	int r = 0;

	for (size_t at = 0; !r && at < t->info.size && read_entry(t, at, &e); at += e.next) {
		memcpy(&target, t->blob + at + e.target, sizeof(target));
		target.u.user.name[sizeof(target.u.user.name) - 1] = '\0';
		enter_chain(t, at, &e, &target);
		for (unsigned h = 0; h < NF_INET_NUMHOOKS; h++)
			ret_rules[h] += at >= t->info.hook_entry[h] && at < t->info.underflow[h];
		r = keep_ports(t, at, &e, &target);
		if (!e.next)
			break;
	}
	return r;
}

static bool drops(const struct table *t, unsigned hook)
{
	struct xt_standard_target target;
	struct entry e;
	size_t at = t->info.underflow[hook];

	if (at >= t->info.size || !read_entry(t, at, &e) || e.target + sizeof(target) > e.next)
		return false;
	memcpy(&target, t->blob + at + e.target, sizeof(target));
	return target.verdict == -NF_DROP - 1;
}

static int keep_chains(struct table *t, const size_t *rules)
{
	for (unsigned h = 0; h < NF_INET_NUMHOOKS; h++) {
		struct pg_foreign_chain *c;

		if (!(t->info.valid_hooks & 1U << h))
			continue;
		c = pg_foreign_add_chain(t->foreign);
		if (!c)
			return -ENOMEM;
		c->by = t->v6 ? PG_FOREIGN_IP6TABLES : PG_FOREIGN_IPTABLES;
		snprintf(c->family, sizeof(c->family), "%s", t->v6 ? "ip6" : "ip");
		snprintf(c->table, sizeof(c->table), "%s", t->name);
		snprintf(c->name, sizeof(c->name), "%s", hook_names[h]);
		snprintf(c->hook, sizeof(c->hook), "%s", hook_names[h]);
		c->rules = rules[h];
		c->drops = drops(t, h);
		c->nat = !strcmp(t->name, "nat");
	}
	return 0;
}

static int read_table(struct pg_foreign *foreign, int sock, bool v6, const char *name)
{
	struct table t = { .foreign = foreign, .name = name, .v6 = v6 };
	int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP, r;
	socklen_t len = sizeof(t.info);
	_free_ struct ipt_get_entries *get = NULL; /* ip6t_get_entries has the same head */
	size_t rules[NF_INET_NUMHOOKS] = { 0 };

	snprintf(t.info.name, sizeof(t.info.name), "%s", name);
	if (getsockopt(sock, level, IPT_SO_GET_INFO, &t.info, &len))
		return 0;
	get = calloc(1, sizeof(*get) + t.info.size);
	if (!get)
		return -ENOMEM;
	snprintf(get->name, sizeof(get->name), "%s", name);
	get->size = t.info.size;
	len = (socklen_t)(sizeof(*get) + t.info.size);
	/* EAGAIN: it was changed in between; what there was is not worth another try. */
	if (getsockopt(sock, level, IPT_SO_GET_ENTRIES, get, &len))
		return 0;
	t.blob = (const char *)get->entrytable;
	r = walk(&t, rules);
	return r ? r : keep_chains(&t, rules);
}

static int read_family(struct pg_foreign *foreign, bool v6)
{
	/* Only what is there: asking for another table would make it. */
	_fclose_ FILE *f = fopen(v6 ? "/proc/self/net/ip6_tables_names" :
				      "/proc/self/net/ip_tables_names", "re");
	_close_ int sock = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	char name[XT_TABLE_MAXNAMELEN];
	int r = 0;

	while (f && sock >= 0 && !r && fgets(name, sizeof(name), f)) {
		name[strcspn(name, "\n")] = '\0';
		r = read_table(foreign, sock, v6, name);
	}
	return r;
}

int pg_foreign_read_xt(struct pg_foreign *foreign)
{
	int r = read_family(foreign, false);

	return r ? r : read_family(foreign, true);
}
