/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "exposure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "ifaces.h"
#include "policy.h"

enum {
	SOURCES_MAX = 64, /* of one family */
	RANGE_MAX = 64,	  /* ports of a range that are all looked at; of a longer one its ends */
	PORTS_MAX = 4096, /* that rules name */
	IFACES_MAX = 4,	  /* where rules ask for them */
	LOCALS_MAX = 16,  /* of one family, where rules ask for them */
};

/* Unicast addresses on four continents, so that a list of one country or of bogons decides nothing. */
static const char *const world[2][4] = {
	{ "45.77.3.9", "93.99.40.7", "121.14.5.6", "200.1.9.8" },
	{ "2600:1f18::5:7", "2a00:1450::5:7", "2404:6800::5:7", "2800:3f0::5:7" },
};

struct source {
	uint8_t addr[16];
};

struct asker {
	struct pg_trial trial;
	struct source source[2][SOURCES_MAX]; /* those of the world first */
	size_t n_sources[2];
	uint8_t local[2][LOCALS_MAX][16]; /* this host's addresses */
	size_t n_locals[2], max_locals;
	bool partial; /* there are more */
	const struct pg_rule *general[2]; /* lets in what nothing names, by protocol; NULL: a policy */
	bool general_open[2];
};

const char *pg_reach_name(enum pg_reach reach)
{
	static const char *const names[] = { "unknown", "closed", "some", "open" };

	return names[reach];
}

/* What rules name ------------------------------------------------------------------------------------ */

static void add_source(struct asker *a, const struct pg_addr *addr)
{
	int f = addr->family == PG_V6;
	size_t len = f ? 16 : 4;
	struct source *s = &a->source[f][a->n_sources[f]];

	if (!addr->set || addr->invert || a->n_sources[f] == SOURCES_MAX)
		return;
	for (size_t i = 0; i < len; i++)
		s->addr[i] = addr->addr[i] & addr->mask[i];
	/* Not the network's own address, where there are others. */
	s->addr[len - 1] |= (uint8_t)(~addr->mask[len - 1] & 2);
	for (size_t i = 0; i < a->n_sources[f]; i++)
		if (!memcmp(a->source[f][i].addr, s->addr, len))
			return;
	a->n_sources[f]++;
}

static void collect_sources(struct asker *a, const struct pg_ruleset *set)
{
	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < ARRAY_SIZE(world[f]); i++)
			inet_pton(f ? AF_INET6 : AF_INET, world[f][i],
				  a->source[f][a->n_sources[f]++].addr);
	for (size_t i = 0; i < set->n_chains; i++)
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			add_source(a, &set->chain[i].rule[k].src);
}

struct port_set {
	bool has[_PG_PORT_PROTO_MAX][PG_PORTS];
	size_t n;
};

static void add_range(struct port_set *ports, enum pg_port_proto proto, unsigned lo, unsigned hi)
{
	for (unsigned p = lo; p <= hi && ports->n < PORTS_MAX; p++) {
		if (hi - lo > RANGE_MAX && p != lo && p != hi)
			continue;
		ports->n += !ports->has[proto][p];
		ports->has[proto][p] = true;
	}
}

static void add_match(struct port_set *ports, const struct pg_rule *rule, const struct pg_match *m)
{
	bool tcp = rule->proto == IPPROTO_TCP, udp = rule->proto == IPPROTO_UDP;
	enum pg_port_proto proto = tcp ? PG_PORT_TCP : PG_PORT_UDP;

	if ((!tcp && !udp) || rule->proto_invert)
		return;
	if ((m->kind == PG_MATCH_TCP || m->kind == PG_MATCH_UDP) && !m->ports.dport.invert &&
	    m->ports.dport.hi - m->ports.dport.lo < UINT16_MAX)
		add_range(ports, proto, m->ports.dport.lo, m->ports.dport.hi);
	if (m->kind != PG_MATCH_MULTIPORT || m->multiport.invert ||
	    m->multiport.side == PG_MULTIPORT_SRC)
		return;
	for (unsigned i = 0; i < m->multiport.n; i++)
		add_range(ports, proto, m->multiport.range[i].lo, m->multiport.range[i].hi);
}

static void collect_ports(struct port_set *ports, const struct pg_ruleset *set)
{
	for (size_t i = 0; i < set->n_chains; i++)
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			for (size_t m = 0; m < set->chain[i].rule[k].n_match; m++)
				add_match(ports, &set->chain[i].rule[k],
					  &set->chain[i].rule[k].match[m]);
}

static bool asks_for_iface(const struct pg_rule *rule)
{
	return rule->in.set;
}

static bool asks_for_dst(const struct pg_rule *rule)
{
	for (size_t m = 0; m < rule->n_match; m++)
		if (rule->match[m].kind == PG_MATCH_SET || rule->match[m].kind == PG_MATCH_ADDRTYPE ||
		    rule->match[m].kind == PG_MATCH_IPRANGE)
			return true;
	return rule->dst.set;
}

static bool any_rule(const struct pg_ruleset *set, bool (*is)(const struct pg_rule *))
{
	for (size_t i = 0; i < set->n_chains; i++)
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			if (is(&set->chain[i].rule[k]))
				return true;
	return false;
}

/* Asking ------------------------------------------------------------------------------------------------ */

/* `dst` NULL: every address of ours. ret_by: what let it in from the world, NULL: a policy. */
static int ask(struct asker *a, enum pg_port_proto proto, uint16_t port, int f, const uint8_t *dst,
	       enum pg_reach *ret, const struct pg_rule **ret_by, struct pg_err *err)
{
	struct pg_packet packet = {
		.family = f ? PG_FAMILY_V6 : PG_FAMILY_V4,
		.proto = proto == PG_PORT_TCP ? IPPROTO_TCP : IPPROTO_UDP,
		.dport = port,
		.flags = 1U << PG_FLAG_SYN,
	};
	size_t n = dst ? 1 : a->n_locals[f];
	struct pg_place place;
	bool drops = true;
	int r;

	*ret = n ? PG_REACH_CLOSED : PG_REACH_UNKNOWN;
	for (size_t i = 0; i < n * a->n_sources[f]; i++) {
		memcpy(packet.src, a->source[f][i / n].addr, sizeof(packet.src));
		memcpy(packet.dst, dst ? dst : a->local[f][i % n], sizeof(packet.dst));
		/* Another each time: the flow of an earlier one may still be there. */
		packet.sport = (uint16_t)(20000 + a->trial.runs % 40000);
		r = pg_trial_packet(&a->trial, PG_DIR_IN, &packet, &drops, &place, err);
		if (r)
			return r;
		if (drops)
			continue;
		*ret = i / n < ARRAY_SIZE(world[f]) ? PG_REACH_OPEN : PG_REACH_SOME;
		*ret_by = place.rule;
		break;
	}
	return 0;
}

static void add_local(struct asker *a, int f, const void *addr)
{
	size_t len = f ? 16 : 4;

	for (size_t i = 0; i < a->n_locals[f]; i++)
		if (!memcmp(a->local[f][i], addr, len))
			return;
	if (a->n_locals[f] < a->max_locals)
		memcpy(a->local[f][a->n_locals[f]++], addr, len);
	else
		a->partial = a->max_locals == LOCALS_MAX;
}

static bool is_attached(const struct pg_dp_iface *iface, const char *name)
{
	for (size_t i = 0; i < PG_MAX_IFACES; i++)
		if (iface[i].abi.netns && iface[i].here && !strcmp(iface[i].abi.name, name))
			return true;
	return false;
}

/* The host takes a packet for any of its addresses on any interface; first come those of ours. */
static void find_locals(struct asker *a, const struct pg_dp_iface *iface, bool attached)
{
	for (const struct ifaddrs *i = a->trial.own; i; i = i->ifa_next) {
		const struct sockaddr_in *sin = (const void *)i->ifa_addr;
		const struct sockaddr_in6 *sin6 = (const void *)i->ifa_addr;

		if (!sin || (i->ifa_flags & IFF_LOOPBACK) || is_attached(iface, i->ifa_name) != attached)
			continue;
		if (sin->sin_family == AF_INET)
			add_local(a, 0, &sin->sin_addr);
		else if (sin->sin_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
			add_local(a, 1, &sin6->sin6_addr);
	}
}

/* What becomes of ports that nobody has thought of. */
static int ask_general(struct asker *a, const struct port_set *named, struct pg_err *err)
{
	int r = 0;

	for (enum pg_port_proto p = 0; !r && p < _PG_PORT_PROTO_MAX; p++) {
		unsigned port = PG_PORTS - 2;
		enum pg_reach reach[2] = { 0 };

		while (port > 1 && named->has[p][port])
			port--;
		for (int f = 0; !r && f < 2; f++)
			r = ask(a, p, (uint16_t)port, f, NULL, &reach[f], &a->general[p], err);
		a->general_open[p] = reach[0] == PG_REACH_OPEN || reach[1] == PG_REACH_OPEN;
	}
	return r;
}

/* The table -------------------------------------------------------------------------------------------- */

/* Where it is, or belongs. */
static size_t place_of(const struct pg_port_marks *marks, enum pg_port_proto proto, uint16_t port,
		       bool *ret_is_there)
{
	size_t lo = 0, hi = marks->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct pg_port_mark *m = &marks->row[mid];

		if (m->proto < proto || (m->proto == proto && m->port < port))
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_is_there = lo < marks->n && marks->row[lo].proto == proto && marks->row[lo].port == port;
	return lo;
}

static struct pg_port_mark *get_row(struct pg_port_marks *marks, enum pg_port_proto proto,
				    uint16_t port)
{
	bool is_there;
	size_t at = place_of(marks, proto, port, &is_there);
	struct pg_port_mark *row = &marks->row[at];

	if (is_there)
		return row;
	/* There is room: pg_port_marks_read() has counted. */
	memmove(row + 1, row, (marks->n++ - at) * sizeof(*row));
	*row = (struct pg_port_mark){ .proto = proto, .port = port };
	return row;
}

static void widen(enum pg_reach *reach, enum pg_reach to)
{
	if (to > *reach)
		*reach = to;
}

/* A socket at :: takes IPv4, too, unless it says otherwise. */
static bool takes(const struct pg_socket_row *s, int f)
{
	return (s->family == PG_FAMILY_V6) == f || (!f && s->wildcard && !s->v6only);
}

static int mark_socket(struct asker *a, const struct pg_socket_row *s, struct pg_port_marks *marks,
		       struct pg_err *err)
{
	struct pg_port_mark *m = get_row(marks, s->proto, s->port);
	const struct pg_rule *by;
	enum pg_reach reach;
	int r = 0;

	if (s->proxy[0])
		snprintf(m->to, sizeof(m->to), "%s", s->proxy);
	for (int f = 0; a && !r && f < 2; f++) {
		if (!takes(s, f) || s->loopback)
			continue;
		r = ask(a, s->proto, s->port, f, s->wildcard ? NULL : s->addr, &reach, &by, err);
		widen(&m->reach[f], reach);
	}
	return r;
}

static int mark_named(struct asker *a, const struct port_set *named, struct pg_port_marks *marks,
		      struct pg_err *err)
{
	int r = 0;

	for (enum pg_port_proto p = 0; p < _PG_PORT_PROTO_MAX; p++) {
		for (unsigned port = 0; !r && port < PG_PORTS; port++) {
			enum pg_reach reach[2] = { 0 };
			const struct pg_rule *by = NULL;
			struct pg_port_mark *m;

			if (!named->has[p][port] || pg_port_marks_find(marks, p, (uint16_t)port))
				continue;
			for (int f = 0; !r && f < 2; f++)
				r = ask(a, p, (uint16_t)port, f, NULL, &reach[f], &by, err);
			if ((reach[0] != PG_REACH_OPEN && reach[1] != PG_REACH_OPEN) ||
			    (a->general_open[p] && by == a->general[p]))
				continue;
			m = get_row(marks, p, (uint16_t)port);
			memcpy(m->reach, reach, sizeof(m->reach));
			m->mark = PG_MARK_UNUSED;
		}
	}
	return r;
}

static void mark_published(const struct pg_foreign *foreign, struct pg_port_marks *marks)
{
	for (size_t i = 0; i < foreign->n_ports; i++) {
		const struct pg_foreign_port *p = &foreign->port[i];
		struct pg_port_mark *m;

		if (p->lo != p->hi && !pg_port_marks_find(marks, p->proto, p->lo))
			continue; /* a range: nobody's port in particular */
		m = get_row(marks, p->proto, p->lo);
		m->mark = PG_MARK_PUBLISHED;
		if (p->to[0])
			snprintf(m->to, sizeof(m->to), "%s", p->to);
	}
}

static bool is_closed(const struct pg_port_mark *m)
{
	enum pg_reach widest = m->reach[0] > m->reach[1] ? m->reach[0] : m->reach[1];

	return widest == PG_REACH_CLOSED;
}

/* A port that somebody listens on for the world, and that is closed on every interface. */
static void mark_closed(const struct pg_sockets *sockets, struct pg_port_marks *marks)
{
	for (size_t i = 0; i < sockets->n; i++) {
		const struct pg_socket_row *s = &sockets->row[i];
		struct pg_port_mark *m;

		if (s->netns || s->connected)
			continue;
		m = get_row(marks, s->proto, s->port);
		if (m->mark == PG_MARK_NONE && s->proxy[0])
			m->mark = PG_MARK_PUBLISHED;
		if (m->mark == PG_MARK_NONE && !s->loopback && is_closed(m))
			m->mark = PG_MARK_CLOSED;
	}
}

/* As what arrives on `at`, one of the interfaces. */
static int ask_iface(struct pg_dp *live, const struct pg_ruleset *set,
		     const struct pg_dp_iface *iface, const struct pg_dp_iface *at,
		     const struct pg_sockets *sockets, const struct port_set *named,
		     struct pg_port_marks *marks, struct pg_err *err)
{
	_free_ struct asker *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return pg_fail(err, -ENOMEM, "out of memory");
	a->max_locals = any_rule(set, asks_for_dst) ? LOCALS_MAX : 1;
	r = pg_trial_open(&a->trial, live, set, at->abi.name, err);
	if (!r) {
		collect_sources(a, set);
		find_locals(a, iface, true);
		find_locals(a, iface, false);
		r = ask_general(a, named, err);
	}
	for (size_t i = 0; !r && i < sockets->n; i++)
		if (!sockets->row[i].netns)
			r = mark_socket(a, &sockets->row[i], marks, err);
	if (!r)
		r = mark_named(a, named, marks, err);
	marks->asked |= !r;
	marks->partial |= a->partial;
	pg_trial_clear(&a->trial);
	return r;
}

static int ask_all(struct pg_dp *live, const struct pg_sockets *sockets, struct port_set *named,
		   struct pg_port_marks *marks, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	size_t asked = 0, max = 1;
	int r;

	if (!iface)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_policy_read(live, &set, err);
	if (!r)
		r = pg_dp_ifaces(live, iface, err);
	if (r)
		return r;
	collect_ports(named, set);
	if (any_rule(set, asks_for_iface))
		max = IFACES_MAX;
	for (size_t i = 0; !r && i < PG_MAX_IFACES; i++) {
		if (!iface[i].abi.netns || !iface[i].here || iface[i].gone)
			continue;
		if (asked++ == max) {
			marks->partial |= max > 1;
			break;
		}
		r = ask_iface(live, set, iface, &iface[i], sockets, named, marks, err);
	}
	return r;
}

int pg_port_marks_read(struct pg_dp *live, const struct pg_sockets *sockets,
		       const struct pg_foreign *foreign, struct pg_port_marks *ret,
		       struct pg_err *err)
{
	_free_ struct port_set *named = calloc(1, sizeof(*named));
	int r = 0;

	*ret = (struct pg_port_marks){
		.row = calloc(sockets->n + foreign->n_ports + PORTS_MAX, sizeof(*ret->row)),
	};
	if (!named || !ret->row)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < sockets->n; i++)
		if (!sockets->row[i].netns)
			get_row(ret, sockets->row[i].proto, sockets->row[i].port);
	if (live)
		r = ask_all(live, sockets, named, ret, err);
	if (r)
		return r;
	for (size_t i = 0; ret->partial && i < ret->n; i++)
		for (int f = 0; f < 2; f++)
			if (ret->row[i].reach[f] == PG_REACH_CLOSED)
				ret->row[i].reach[f] = PG_REACH_UNKNOWN;
	mark_published(foreign, ret);
	mark_closed(sockets, ret);
	return 0;
}

void pg_port_marks_clear(struct pg_port_marks *marks)
{
	free(marks->row);
	*marks = (struct pg_port_marks){ 0 };
}

const struct pg_port_mark *pg_port_marks_find(const struct pg_port_marks *marks,
					      enum pg_port_proto proto, uint16_t port)
{
	bool is_there;
	size_t at = place_of(marks, proto, port, &is_there);

	return is_there ? &marks->row[at] : NULL;
}
