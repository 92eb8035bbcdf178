/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * nft's rules by netlink. Of a rule only so much is understood as tells that it sends a TCP or UDP port
 * elsewhere: what nft itself and iptables-nft write for that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <string.h>

#include "foreign.h"
#include "netlink.h"

/* Registers are counted in words of four bytes; the first four names stand for four words each. */
enum { WORDS = 20 };

enum holds { HOLDS_NOTHING, HOLDS_PROTO, HOLDS_DPORT, HOLDS_DATA };

/* What is known of a rule so far. */
struct state {
	struct pg_foreign *foreign;
	uint8_t family;
	struct {
		enum holds what;
		uint8_t data[16];
	} word[WORDS];
	uint8_t proto;
	struct pg_foreign_ranges ports;
	char set[256]; /* that has them; "": none */
	struct pg_foreign_port out;
	bool elsewhere;
};

struct reader {
	struct pg_foreign *foreign;
	struct state *by_set; /* rules whose sets are still to be read; owned */
	size_t n_by_set;
	bool oom;
};

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4: return "ip";
	case NFPROTO_IPV6: return "ip6";
	case NFPROTO_INET: return "inet";
	case NFPROTO_ARP: return "arp";
	case NFPROTO_BRIDGE: return "bridge";
	case NFPROTO_NETDEV: return "netdev";
	}
	return "?";
}

static const char *hook_name(uint8_t family, unsigned hook)
{
	static const char *const inet[] = { "prerouting", "input", "forward", "output",
					    "postrouting", "ingress" };
	static const char *const netdev[] = { "ingress", "egress" };

	if (family == NFPROTO_NETDEV)
		return hook < ARRAY_SIZE(netdev) ? netdev[hook] : "?";
	return hook < ARRAY_SIZE(inet) ? inet[hook] : "?";
}

/* Attributes ------------------------------------------------------------------------------------- */

enum { ATTRS = 24 };

static int take_attr(const struct nlattr *attr, void *data)
{
	const struct nlattr **tb = data;

	if (mnl_attr_get_type(attr) < ATTRS)
		tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static void nested(const struct nlattr *attr, const struct nlattr **tb)
{
	memset(tb, 0, ATTRS * sizeof(*tb));
	if (attr)
		mnl_attr_parse_nested(attr, take_attr, tb);
}

static uint32_t number(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) >= 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

static void text(const struct nlattr *attr, char *buf, size_t size)
{
	char all[256] = "";

	if (attr)
		snprintf(all, sizeof(all), "%.*s", (int)mnl_attr_get_payload_len(attr),
			 mnl_attr_get_str(attr));
	pg_printable(all, buf, size);
}

/* The bytes of NFTA_*_DATA, of which a value's are one more level down. */
static size_t bytes(const struct nlattr *attr, const void **ret)
{
	const struct nlattr *tb[ATTRS];

	nested(attr, tb);
	if (!tb[NFTA_DATA_VALUE])
		return 0;
	*ret = mnl_attr_get_payload(tb[NFTA_DATA_VALUE]);
	return mnl_attr_get_payload_len(tb[NFTA_DATA_VALUE]);
}

static unsigned word_of(const struct nlattr *attr)
{
	uint32_t reg = number(attr);

	if (reg >= NFT_REG32_00)
		reg = reg - NFT_REG32_00 + 4;
	else
		reg *= 4;
	return reg < WORDS ? reg : 0;
}

/* Expressions ------------------------------------------------------------------------------------- */

static void see_payload(struct state *s, const struct nlattr **tb)
{
	uint32_t base = number(tb[NFTA_PAYLOAD_BASE]), at = number(tb[NFTA_PAYLOAD_OFFSET]);
	uint32_t len = number(tb[NFTA_PAYLOAD_LEN]);
	unsigned word = word_of(tb[NFTA_PAYLOAD_DREG]);

	s->word[word].what = HOLDS_NOTHING;
	if (base == NFT_PAYLOAD_TRANSPORT_HEADER && at == 2 && len == 2)
		s->word[word].what = HOLDS_DPORT;
	else if (base == NFT_PAYLOAD_NETWORK_HEADER && len == 1 &&
		 at == (s->family == NFPROTO_IPV6 ? 6 : 9))
		s->word[word].what = HOLDS_PROTO;
}

static void see_meta(struct state *s, const struct nlattr **tb)
{
	if (tb[NFTA_META_DREG])
		s->word[word_of(tb[NFTA_META_DREG])].what =
			number(tb[NFTA_META_KEY]) == NFT_META_L4PROTO ? HOLDS_PROTO : HOLDS_NOTHING;
}

static void see_cmp(struct state *s, const struct nlattr **tb)
{
	unsigned word = word_of(tb[NFTA_CMP_SREG]);
	uint32_t op = number(tb[NFTA_CMP_OP]);
	const uint8_t *data = NULL;
	size_t n = bytes(tb[NFTA_CMP_DATA], (const void **)&data);
	uint16_t port;

	if (s->word[word].what == HOLDS_PROTO && n >= 1 && op == NFT_CMP_EQ)
		s->proto = data[0];
	if (s->word[word].what != HOLDS_DPORT || n < 2)
		return;
	port = (uint16_t)(data[0] << 8 | data[1]);
	if (op == NFT_CMP_EQ || op == NFT_CMP_GTE)
		s->ports.lo[0] = port;
	if (op == NFT_CMP_EQ || op == NFT_CMP_LTE)
		s->ports.hi[0] = port;
	s->ports.but |= op == NFT_CMP_NEQ;
	if (op == NFT_CMP_EQ || op == NFT_CMP_LTE)
		s->ports.n = 1;
}

static void see_range(struct state *s, const struct nlattr **tb)
{
	const uint8_t *from = NULL, *to = NULL;

	if (s->word[word_of(tb[NFTA_RANGE_SREG])].what != HOLDS_DPORT ||
	    number(tb[NFTA_RANGE_OP]) != NFT_RANGE_EQ ||
	    bytes(tb[NFTA_RANGE_FROM_DATA], (const void **)&from) < 2 ||
	    bytes(tb[NFTA_RANGE_TO_DATA], (const void **)&to) < 2)
		return;
	s->ports.lo[0] = (uint16_t)(from[0] << 8 | from[1]);
	s->ports.hi[0] = (uint16_t)(to[0] << 8 | to[1]);
	s->ports.n = 1;
}

/* A set of ports, or a map by them. */
static void see_lookup(struct state *s, const struct nlattr **tb)
{
	if (s->word[word_of(tb[NFTA_LOOKUP_SREG])].what == HOLDS_DPORT && tb[NFTA_LOOKUP_SET]) {
		s->ports.but |= number(tb[NFTA_LOOKUP_FLAGS]) & NFT_LOOKUP_F_INV;
		snprintf(s->set, sizeof(s->set), "%.*s",
			 (int)mnl_attr_get_payload_len(tb[NFTA_LOOKUP_SET]),
			 mnl_attr_get_str(tb[NFTA_LOOKUP_SET]));
	}
	if (tb[NFTA_LOOKUP_DREG])
		s->word[word_of(tb[NFTA_LOOKUP_DREG])].what = HOLDS_NOTHING;
}

static void see_immediate(struct state *s, const struct nlattr **tb)
{
	unsigned word = word_of(tb[NFTA_IMMEDIATE_DREG]);
	const void *data = NULL;
	size_t n = bytes(tb[NFTA_IMMEDIATE_DATA], &data);

	if (!n || n > sizeof(s->word[word].data))
		return;
	s->word[word].what = HOLDS_DATA;
	memset(s->word[word].data, 0, sizeof(s->word[word].data));
	memcpy(s->word[word].data, data, n);
}

/* A port that a register holds, network order. */
static uint16_t port_in(const struct state *s, const struct nlattr *reg)
{
	unsigned word = word_of(reg);
	uint16_t port = 0;

	if (reg && s->word[word].what == HOLDS_DATA)
		memcpy(&port, s->word[word].data, sizeof(port));
	return port;
}

static void see_nat(struct state *s, const struct nlattr **tb)
{
	unsigned word = word_of(tb[NFTA_NAT_REG_ADDR_MIN]);
	bool v6 = number(tb[NFTA_NAT_FAMILY]) == NFPROTO_IPV6;

	if (number(tb[NFTA_NAT_TYPE]) != NFT_NAT_DNAT)
		return;
	s->elsewhere = true;
	pg_foreign_target(&s->out, v6,
			  s->word[word].what == HOLDS_DATA ? s->word[word].data : NULL,
			  port_in(s, tb[NFTA_NAT_REG_PROTO_MIN]),
			  port_in(s, tb[NFTA_NAT_REG_PROTO_MAX]));
}

static void see_redir(struct state *s, const struct nlattr **tb)
{
	s->elsewhere = true;
	pg_foreign_target(&s->out, false, NULL, port_in(s, tb[NFTA_REDIR_REG_PROTO_MIN]),
			  port_in(s, tb[NFTA_REDIR_REG_PROTO_MAX]));
}

/* iptables-nft writes some of its matches and targets as iptables has them. */
static void see_match(struct state *s, const struct nlattr **tb)
{
	const struct nlattr *info = tb[NFTA_MATCH_INFO];
	char name[32];

	text(tb[NFTA_MATCH_NAME], name, sizeof(name));
	if (!strcmp(name, "tcp"))
		s->proto = IPPROTO_TCP;
	else if (!strcmp(name, "udp"))
		s->proto = IPPROTO_UDP;
	if (info)
		pg_foreign_xt_match(&s->ports, name, number(tb[NFTA_MATCH_REV]),
				    mnl_attr_get_payload(info), mnl_attr_get_payload_len(info));
}

static void see_target(struct state *s, const struct nlattr **tb)
{
	const struct nlattr *info = tb[NFTA_TARGET_INFO];
	char name[32];

	text(tb[NFTA_TARGET_NAME], name, sizeof(name));
	if (info)
		s->elsewhere |= pg_foreign_xt_target(&s->out, name, number(tb[NFTA_TARGET_REV]),
						     s->family == NFPROTO_IPV6,
						     mnl_attr_get_payload(info),
						     mnl_attr_get_payload_len(info));
}

static const struct {
	const char *name;
	void (*see)(struct state *s, const struct nlattr **tb);
} expressions[] = {
	{ "payload", see_payload }, { "meta", see_meta },   { "cmp", see_cmp },
	{ "range", see_range },	    { "nat", see_nat },	    { "immediate", see_immediate },
	{ "redir", see_redir },	    { "match", see_match }, { "target", see_target },
	{ "lookup", see_lookup },
};

static int see_expression(const struct nlattr *attr, void *data)
{
	const struct nlattr *tb[ATTRS], *inner[ATTRS];
	char name[32];

	nested(attr, tb);
	text(tb[NFTA_EXPR_NAME], name, sizeof(name));
	nested(tb[NFTA_EXPR_DATA], inner);
	for (size_t i = 0; i < ARRAY_SIZE(expressions); i++)
		if (!strcmp(expressions[i].name, name))
			expressions[i].see(data, inner);
	return MNL_CB_OK;
}

/* Chains and rules -------------------------------------------------------------------------------- */

static uint8_t family_of(const struct nlmsghdr *nlh)
{
	return ((const struct nfgenmsg *)mnl_nlmsg_get_payload(nlh))->nfgen_family;
}

static int take_chain(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[ATTRS] = { 0 }, *hook[ATTRS];
	struct reader *reader = data;
	struct pg_foreign_chain *c;
	char type[16];

	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), take_attr, tb);
	if (!tb[NFTA_CHAIN_HOOK])
		return MNL_CB_OK;
	c = pg_foreign_add_chain(reader->foreign);
	reader->oom |= !c;
	if (!c)
		return MNL_CB_ERROR;
	nested(tb[NFTA_CHAIN_HOOK], hook);
	c->by = PG_FOREIGN_NFT;
	snprintf(c->family, sizeof(c->family), "%s", family_name(family_of(nlh)));
	text(tb[NFTA_CHAIN_TABLE], c->table, sizeof(c->table));
	text(tb[NFTA_CHAIN_NAME], c->name, sizeof(c->name));
	text(tb[NFTA_CHAIN_TYPE], type, sizeof(type));
	snprintf(c->hook, sizeof(c->hook), "%s",
		 hook_name(family_of(nlh), number(hook[NFTA_HOOK_HOOKNUM])));
	c->drops = tb[NFTA_CHAIN_POLICY] && number(tb[NFTA_CHAIN_POLICY]) == NF_DROP;
	c->nat = !strcmp(type, "nat");
	return MNL_CB_OK;
}

static void count_rule(struct pg_foreign *foreign, const char *family, const char *table,
		       const char *chain)
{
	for (size_t i = 0; i < foreign->n_chains; i++) {
		struct pg_foreign_chain *c = &foreign->chain[i];

		if (!strcmp(c->family, family) && !strcmp(c->table, table) &&
		    !strcmp(c->name, chain))
			c->rules++;
	}
}

/* One entry for each protocol that the rule leaves. */
static void keep_range(struct reader *reader, const struct state *s, uint16_t lo, uint16_t hi)
{
	static const uint8_t protos[] = { [PG_PORT_TCP] = IPPROTO_TCP, [PG_PORT_UDP] = IPPROTO_UDP };

	for (enum pg_port_proto p = 0; p < _PG_PORT_PROTO_MAX; p++) {
		struct pg_foreign_port *port;

		if (s->proto && s->proto != protos[p])
			continue;
		port = pg_foreign_add_port(reader->foreign);
		reader->oom |= !port;
		if (!port)
			return;
		*port = s->out;
		port->proto = p;
		port->lo = lo;
		port->hi = hi;
		port->v4 = s->family != NFPROTO_IPV6;
		port->v6 = s->family != NFPROTO_IPV4;
	}
}

static void keep_unread(struct reader *reader, const struct state *s)
{
	reader->oom |= pg_foreign_add_unread(reader->foreign, PG_FOREIGN_NFT, family_name(s->family),
					     s->out.table, s->out.chain) < 0;
}

static void keep_ports(struct reader *reader, const struct state *s)
{
	struct state *all;

	if (s->ports.but || (!s->ports.n && !s->set[0])) {
		keep_unread(reader, s);
		return;
	}
	for (size_t i = 0; i < s->ports.n; i++)
		keep_range(reader, s, s->ports.lo[i], s->ports.hi[i]);
	if (!s->set[0])
		return;
	all = reallocarray(reader->by_set, reader->n_by_set + 1, sizeof(*all));
	reader->oom |= !all;
	if (!all)
		return;
	reader->by_set = all;
	all[reader->n_by_set++] = *s;
}

static int take_rule(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[ATTRS] = { 0 };
	struct reader *reader = data;
	struct state s = { .foreign = reader->foreign, .family = family_of(nlh) };

	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), take_attr, tb);
	text(tb[NFTA_RULE_TABLE], s.out.table, sizeof(s.out.table));
	text(tb[NFTA_RULE_CHAIN], s.out.chain, sizeof(s.out.chain));
	count_rule(reader->foreign, family_name(s.family), s.out.table, s.out.chain);
	if (tb[NFTA_RULE_EXPRESSIONS])
		mnl_attr_parse_nested(tb[NFTA_RULE_EXPRESSIONS], see_expression, &s);
	if (s.elsewhere)
		keep_ports(reader, &s);
	return reader->oom ? MNL_CB_ERROR : MNL_CB_OK;
}

static struct nlmsghdr *request(void *buf, uint16_t type, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	msg->nfgen_family = family;
	msg->version = NFNETLINK_V0;
	return nlh;
}

static int dump(struct mnl_socket *nl, uint16_t type, mnl_cb_t take, struct reader *reader)
{
	char buf[MNL_NLMSG_HDRLEN + 64];

	return pg_netlink_dump(nl, request(buf, type, NFPROTO_UNSPEC), take, reader);
}

/* Sets -------------------------------------------------------------------------------------------- */

/* Which ports are elements, and at which an interval ends, that port excluded. */
struct elements {
	bool has[UINT16_MAX + 1], ends[UINT16_MAX + 1];
	bool intervals;
};

static int take_element(const struct nlattr *attr, void *data)
{
	const struct nlattr *tb[ATTRS];
	struct elements *e = data;
	const uint8_t *key = NULL;
	bool end;

	nested(attr, tb);
	end = number(tb[NFTA_SET_ELEM_FLAGS]) & NFT_SET_ELEM_INTERVAL_END;
	e->intervals |= end;
	if (tb[NFTA_SET_ELEM_KEY] && bytes(tb[NFTA_SET_ELEM_KEY], (const void **)&key) == 2)
		(end ? e->ends : e->has)[key[0] << 8 | key[1]] = true;
	return MNL_CB_OK;
}

static int take_elements(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[ATTRS] = { 0 };

	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), take_attr, tb);
	if (tb[NFTA_SET_ELEM_LIST_ELEMENTS])
		mnl_attr_parse_nested(tb[NFTA_SET_ELEM_LIST_ELEMENTS], take_element, data);
	return MNL_CB_OK;
}

/* Of a set without intervals each port ends at itself; neighbours become a range. */
static void keep_elements(struct reader *reader, const struct state *s, const struct elements *e)
{
	bool inside = false;
	uint32_t lo = 0;

	for (uint32_t p = 0; p <= UINT16_MAX; p++) {
		bool in = e->has[p] || (e->intervals && inside && !e->ends[p]);

		if (in && !inside)
			lo = p;
		if (inside && !in)
			keep_range(reader, s, (uint16_t)lo, (uint16_t)(p - 1));
		inside = in;
	}
	if (inside)
		keep_range(reader, s, (uint16_t)lo, UINT16_MAX);
}

static void read_set(struct mnl_socket *nl, struct reader *reader, const struct state *s)
{
	_free_ struct elements *e = calloc(1, sizeof(*e));
	char buf[MNL_NLMSG_HDRLEN + 512];
	struct nlmsghdr *nlh = request(buf, NFT_MSG_GETSETELEM, s->family);
	size_t before = reader->foreign->n_ports;

	reader->oom |= !e;
	if (!e)
		return;
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, s->out.table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, s->set);
	if (!pg_netlink_dump(nl, nlh, take_elements, e))
		keep_elements(reader, s, e);
	if (reader->foreign->n_ports == before)
		keep_unread(reader, s);
}

int pg_foreign_read_nft(struct pg_foreign *foreign)
{
	_cleanup_(pg_netlink_closep) struct mnl_socket *nl = NULL;
	struct reader reader = { .foreign = foreign };

	if (pg_netlink_open(NETLINK_NETFILTER, &nl) < 0)
		return 0;
	if (!dump(nl, NFT_MSG_GETCHAIN, take_chain, &reader))
		dump(nl, NFT_MSG_GETRULE, take_rule, &reader);
	for (size_t i = 0; i < reader.n_by_set && !reader.oom; i++)
		read_set(nl, &reader, &reader.by_set[i]);
	free(reader.by_set);
	return reader.oom ? -ENOMEM : 0;
}
