// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "logline.h"

#include <arpa/inet.h>
#include <linux/netfilter/xt_LOG.h>
#include <netinet/in.h>
#include <string.h>

/*
 * The packet from its IP header on. What lies behind `have` was not captured: to the line it is
 * as if the packet ended there, but for the numbers that INCOMPLETE says.
 */
struct view {
	struct pg_text *t;
	const uint8_t *data;
	uint32_t have, len;
	uint8_t flags; /* XT_LOG_* */
	uint32_t mark;
};

static const uint8_t *bytes_at(const struct view *v, uint32_t at, uint32_t n)
{
	return at <= v->have && n <= v->have - at ? v->data + at : NULL;
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void add_incomplete(const struct view *v, uint32_t at)
{
	pg_text_add(v->t, "INCOMPLETE [%u bytes] ", v->len > at ? v->len - at : 0);
}

static void add_options(const struct view *v, const uint8_t *p, uint32_t n)
{
	pg_text_add(v->t, "OPT (");
	for (uint32_t i = 0; i < n; i++)
		pg_text_add(v->t, "%02X", p[i]);
	pg_text_add(v->t, ") ");
}

/* Transport headers; false: the line ends here ------------------------------------------------- */

static bool add_tcp(const struct view *v, uint32_t at, bool fragment)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} flags[] = {
		{ 0x80, "CWR" }, { 0x40, "ECE" }, { 0x20, "URG" }, { 0x10, "ACK" },
		{ 0x08, "PSH" }, { 0x04, "RST" }, { 0x02, "SYN" }, { 0x01, "FIN" },
	};
	const uint8_t *h = bytes_at(v, at, 20);
	uint32_t options;

	pg_text_add(v->t, "PROTO=TCP ");
	if (fragment)
		return true;
	if (!h) {
		add_incomplete(v, at);
		return false;
	}
	pg_text_add(v->t, "SPT=%u DPT=%u ", be16(h), be16(h + 2));
	if (v->flags & XT_LOG_TCPSEQ)
		pg_text_add(v->t, "SEQ=%u ACK=%u ", be32(h + 4), be32(h + 8));
	pg_text_add(v->t, "WINDOW=%u RES=0x%02x ", be16(h + 14), (h[12] & 15) << 2);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (h[13] & flags[i].bit)
			pg_text_add(v->t, "%s ", flags[i].name);
	pg_text_add(v->t, "URGP=%u ", be16(h + 18));
	if (!(v->flags & XT_LOG_TCPOPT) || h[12] >> 4 <= 5)
		return true;
	options = (uint32_t)(h[12] >> 4) * 4 - 20;
	h = bytes_at(v, at + 20, options);
	if (!h) {
		pg_text_add(v->t, "OPT (TRUNCATED)");
		return false;
	}
	add_options(v, h, options);
	return true;
}

static bool add_udp(const struct view *v, uint32_t at, bool fragment, uint8_t proto)
{
	const uint8_t *h = bytes_at(v, at, 8);

	pg_text_add(v->t, "PROTO=%s ", proto == IPPROTO_UDP ? "UDP" : "UDPLITE");
	if (fragment)
		return true;
	if (!h) {
		add_incomplete(v, at);
		return false;
	}
	pg_text_add(v->t, "SPT=%u DPT=%u LEN=%u ", be16(h), be16(h + 2), be16(h + 4));
	return true;
}

/* AH or ESP, whose SPI is at `spi` in a header of `size` bytes. */
static void add_spi(const struct view *v, uint32_t at, bool fragment, const char *name,
		    uint32_t size, uint32_t spi)
{
	const uint8_t *h = bytes_at(v, at, size);

	pg_text_add(v->t, "PROTO=%s ", name);
	if (fragment)
		return;
	if (h)
		pg_text_add(v->t, "SPI=0x%x ", be32(h + spi));
	else
		add_incomplete(v, at);
}

/* IPv4 ----------------------------------------------------------------------------------------- */

static void add_ip4(const struct view *v, uint32_t at, bool outer);

/* The least that an ICMP message of each type has; 0: its type is all there is to say. */
static const uint8_t icmp_least[] = {
	[0] = 4,   [3] = 28,  [4] = 28,	 [5] = 28,  [8] = 4,   [11] = 28,
	[12] = 28, [13] = 20, [14] = 20, [17] = 12, [18] = 12,
};

static void add_icmp_rest(const struct view *v, uint32_t at, const uint8_t *h, bool outer)
{
	char addr[INET_ADDRSTRLEN];

	switch (h[0]) {
	case 0:
	case 8:
		pg_text_add(v->t, "ID=%u SEQ=%u ", be16(h + 4), be16(h + 6));
		return;
	case 12:
		pg_text_add(v->t, "PARAMETER=%u ", h[4]);
		return;
	case 5:
		pg_text_add(v->t, "GATEWAY=%s ", inet_ntop(AF_INET, h + 4, addr, sizeof(addr)));
		break;
	case 3:
	case 4:
	case 11:
		break;
	default:
		return;
	}
	if (outer) {
		pg_text_add(v->t, "[");
		add_ip4(v, at + 8, false);
		pg_text_add(v->t, "] ");
	}
	if (h[0] == 3 && h[1] == 4)
		pg_text_add(v->t, "MTU=%u ", be16(h + 6));
}

static void add_icmp(const struct view *v, uint32_t at, bool fragment, bool outer)
{
	const uint8_t *h = bytes_at(v, at, 8);

	pg_text_add(v->t, "PROTO=ICMP ");
	if (fragment)
		return;
	if (!h) {
		add_incomplete(v, at);
		return;
	}
	pg_text_add(v->t, "TYPE=%u CODE=%u ", h[0], h[1]);
	if (h[0] < sizeof(icmp_least) && v->len - at < icmp_least[h[0]])
		add_incomplete(v, at);
	else
		add_icmp_rest(v, at, h, outer);
}

static bool add_ip4_payload(const struct view *v, uint8_t proto, uint32_t at, bool fragment,
			    bool outer)
{
	switch (proto) {
	case IPPROTO_TCP:
		return add_tcp(v, at, fragment);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return add_udp(v, at, fragment, proto);
	case IPPROTO_ICMP:
		add_icmp(v, at, fragment, outer);
		return true;
	case IPPROTO_AH:
		add_spi(v, at, fragment, "AH", 12, 4);
		return true;
	case IPPROTO_ESP:
		add_spi(v, at, fragment, "ESP", 8, 0);
		return true;
	}
	pg_text_add(v->t, "PROTO=%u ", proto);
	return true;
}

static void add_ip4(const struct view *v, uint32_t at, bool outer)
{
	const uint8_t *h = bytes_at(v, at, 20), *options;
	char src[INET_ADDRSTRLEN], dst[INET_ADDRSTRLEN];
	uint32_t frag, ihl;

	if (!h) {
		pg_text_add(v->t, "TRUNCATED");
		return;
	}
	frag = be16(h + 6);
	ihl = (h[0] & 15) * 4;
	pg_text_add(v->t, "SRC=%s DST=%s LEN=%u TOS=0x%02X PREC=0x%02X TTL=%u ID=%u ",
		    inet_ntop(AF_INET, h + 12, src, sizeof(src)),
		    inet_ntop(AF_INET, h + 16, dst, sizeof(dst)), be16(h + 2), h[1] & 0x1e,
		    h[1] & 0xe0, h[8], be16(h + 4));
	pg_text_add(v->t, "%s%s%s", frag & 0x8000 ? "CE " : "", frag & 0x4000 ? "DF " : "",
		    frag & 0x2000 ? "MF " : "");
	if (frag & 0x1fff)
		pg_text_add(v->t, "FRAG:%u ", frag & 0x1fff);
	if (v->flags & XT_LOG_IPOPT && ihl > 20) {
		options = bytes_at(v, at + 20, ihl - 20);
		if (!options) {
			pg_text_add(v->t, "TRUNCATED");
			return;
		}
		add_options(v, options, ihl - 20);
	}
	if (add_ip4_payload(v, h[9], at + ihl, frag & 0x1fff, outer) && outer && v->mark)
		pg_text_add(v->t, "MARK=0x%x ", v->mark);
}

/* IPv6 ----------------------------------------------------------------------------------------- */

static void add_ip6(const struct view *v, uint32_t at, bool outer);

static bool is_ext6(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_ESP || next == IPPROTO_AH || next == IPPROTO_DSTOPTS;
}

/* Its length; 0: the line ends here. */
static uint32_t add_fragment6(const struct view *v, uint32_t at, bool *fragment)
{
	const uint8_t *h = bytes_at(v, at, 8);

	pg_text_add(v->t, "FRAG:");
	if (!h) {
		pg_text_add(v->t, "TRUNCATED ");
		return 0;
	}
	pg_text_add(v->t, "%u %sID:%08x ", be16(h + 2) & 0xfff8, h[3] & 1 ? "INCOMPLETE " : "",
		    be32(h + 4));
	*fragment = be16(h + 2) & 0xfff8;
	return 8;
}

/* AH and ESP, of which the line speaks only with --log-ip-options. */
static bool add_ipsec6(const struct view *v, uint32_t at, uint8_t kind, bool fragment)
{
	bool ah = kind == IPPROTO_AH;
	const uint8_t *h = bytes_at(v, at, ah ? 12 : 8);

	if (!(v->flags & XT_LOG_IPOPT))
		return true;
	pg_text_add(v->t, ah ? "AH " : "ESP ");
	if (!fragment && h) {
		pg_text_add(v->t, ah ? "SPI=0x%x " : "SPI=0x%x )", be32(h + (ah ? 4 : 0)));
		return true;
	}
	if (!fragment)
		add_incomplete(v, at);
	pg_text_add(v->t, ")");
	return false;
}

/* One extension header; its length, or 0: the line ends here. */
static uint32_t add_ext6(const struct view *v, uint32_t at, uint8_t kind, const uint8_t *h,
			 bool *fragment)
{
	bool options = v->flags & XT_LOG_IPOPT;
	uint32_t len;

	if (options)
		pg_text_add(v->t, "OPT ( ");
	switch (kind) {
	case IPPROTO_FRAGMENT:
		len = add_fragment6(v, at, fragment);
		if (!len)
			return 0;
		break;
	case IPPROTO_AH:
		if (!add_ipsec6(v, at, kind, *fragment))
			return 0;
		len = (h[1] + 2U) * 4;
		break;
	case IPPROTO_ESP:
		add_ipsec6(v, at, kind, *fragment);
		return 0;
	default:
		if (*fragment) {
			pg_text_add(v->t, "%s", options ? ")" : "");
			return 0;
		}
		len = (h[1] + 1U) * 8;
	}
	if (options)
		pg_text_add(v->t, ") ");
	return len;
}

static bool add_icmp6(const struct view *v, uint32_t at, bool fragment, bool outer)
{
	const uint8_t *h = bytes_at(v, at, 8);

	pg_text_add(v->t, "PROTO=ICMPv6 ");
	if (fragment)
		return true;
	if (!h) {
		add_incomplete(v, at);
		return false;
	}
	pg_text_add(v->t, "TYPE=%u CODE=%u ", h[0], h[1]);
	if (h[0] == 128 || h[0] == 129)
		pg_text_add(v->t, "ID=%u SEQ=%u ", be16(h + 4), be16(h + 6));
	if (h[0] == 4)
		pg_text_add(v->t, "POINTER=%08x ", be32(h + 4));
	if (h[0] < 1 || h[0] > 4)
		return true;
	if (outer) {
		pg_text_add(v->t, "[");
		add_ip6(v, at + 8, false);
		pg_text_add(v->t, "] ");
	}
	if (h[0] == 2)
		pg_text_add(v->t, "MTU=%u ", be32(h + 4));
	return true;
}

static bool add_ip6_payload(const struct view *v, uint8_t proto, uint32_t at, bool fragment,
			    bool outer)
{
	switch (proto) {
	case IPPROTO_TCP:
		return add_tcp(v, at, fragment);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return add_udp(v, at, fragment, proto);
	case IPPROTO_ICMPV6:
		return add_icmp6(v, at, fragment, outer);
	}
	pg_text_add(v->t, "PROTO=%u ", proto);
	return true;
}

/* All 32 digits, as the kernel's %pI6. */
static void add_addr6(const struct view *v, const char *name, const uint8_t *addr)
{
	pg_text_add(v->t, "%s", name);
	for (int i = 0; i < 8; i++)
		pg_text_add(v->t, "%s%04x", i ? ":" : "=", be16(addr + 2 * i));
	pg_text_add(v->t, " ");
}

static void add_ip6(const struct view *v, uint32_t at, bool outer)
{
	const uint8_t *h = bytes_at(v, at, 40), *ext;
	bool fragment = false;
	uint32_t len;
	uint8_t next;

	if (!h) {
		pg_text_add(v->t, "TRUNCATED");
		return;
	}
	add_addr6(v, "SRC", h + 8);
	add_addr6(v, "DST", h + 24);
	pg_text_add(v->t, "LEN=%u TC=%u HOPLIMIT=%u FLOWLBL=%u ", be16(h + 4) + 40U,
		    be32(h) >> 20 & 0xff, h[7], be32(h) & 0xfffff);
	next = h[6];
	at += 40;
	for (; is_ext6(next); at += len, next = ext[0]) {
		ext = bytes_at(v, at, 2);
		if (!ext) {
			pg_text_add(v->t, "TRUNCATED");
			return;
		}
		len = add_ext6(v, at, next, ext, &fragment);
		if (!len)
			return;
	}
	if (add_ip6_payload(v, next, at, fragment, outer) && outer && v->mark)
		pg_text_add(v->t, "MARK=0x%x ", v->mark);
}

/* The line ------------------------------------------------------------------------------------- */

#define ETH_HEADER 14

static void add_mac_text(struct pg_text *t, const char *name, const uint8_t *mac)
{
	pg_text_add(t, "%s=%02x:%02x:%02x:%02x:%02x:%02x ", name, mac[0], mac[1], mac[2], mac[3],
		    mac[4], mac[5]);
}

static void add_mac(struct pg_text *t, const struct pg_event *e)
{
	bool has = !e->no_l2 && e->captured >= ETH_HEADER;

	if (has && e->flags & XT_LOG_MACDECODE) {
		add_mac_text(t, "MACSRC", e->data + 6);
		add_mac_text(t, "MACDST", e->data);
		if (e->vlan_proto)
			pg_text_add(t, "VPROTO=%04x VID=%u ", e->vlan_proto, e->vlan_id);
		pg_text_add(t, "MACPROTO=%04x ", be16(e->data + 12));
		return;
	}
	pg_text_add(t, "MAC=");
	for (int i = 0; has && i < ETH_HEADER; i++)
		pg_text_add(t, "%s%02x", i ? ":" : "", e->data[i]);
	pg_text_add(t, " ");
}

/* The IP packet as the line sees it; false: nothing of it was captured. */
static bool look_at(const struct pg_event *e, struct pg_text *t, struct view *ret)
{
	if (e->l3 >= e->captured)
		return false;
	*ret = (struct view){
		.t = t,
		.data = e->data + e->l3,
		.have = (uint32_t)e->captured - e->l3,
		.len = e->len - e->l3,
		.flags = e->flags,
		.mark = e->mark,
	};
	return true;
}

/* Ethernet pads what is short: the stack's packets end where their header says. */
static void cut_to(struct view *v, uint32_t len)
{
	if (len < v->len)
		v->len = len;
	if (v->len < v->have)
		v->have = v->len;
}

void pg_logline(struct pg_text *t, const struct pg_event *e, const char *ifname)
{
	char prefix[sizeof(e->prefix)], shown[sizeof(e->prefix)], name[32];
	struct view v;

	snprintf(prefix, sizeof(prefix), "%.*s", (int)sizeof(e->prefix) - 1, e->prefix);
	pg_text_add(t, "%sIN=%s OUT= ", pg_printable(prefix, shown, sizeof(shown)),
		    pg_printable(ifname, name, sizeof(name)));
	add_mac(t, e);
	if (!look_at(e, t, &v)) {
		pg_text_add(t, "TRUNCATED");
		return;
	}
	if (v.data[0] >> 4 == 6) {
		if (v.have >= 6)
			cut_to(&v, 40U + be16(v.data + 4));
		add_ip6(&v, 0, true);
	} else {
		if (v.have >= 4)
			cut_to(&v, be16(v.data + 2));
		add_ip4(&v, 0, true);
	}
}

/* Fields --------------------------------------------------------------------------------------- */

/* Where the transport header is; -1: not in this packet. */
static int transport_at(const struct view *v, struct pg_logfields *ret)
{
	const uint8_t *h = v->data;
	uint32_t at = 40;

	if (h[0] >> 4 != 6) {
		ret->proto = h[9];
		return be16(h + 6) & 0x1fff ? -1 : (h[0] & 15) * 4;
	}
	ret->proto = h[6];
	for (bool later = false; is_ext6((uint8_t)ret->proto) && ret->proto != IPPROTO_ESP;) {
		const uint8_t *ext = bytes_at(v, at, 8);

		if (!ext)
			return -1;
		if (ret->proto == IPPROTO_FRAGMENT)
			later = be16(ext + 2) & 0xfff8;
		at += ret->proto == IPPROTO_FRAGMENT ? 8 :
		      ret->proto == IPPROTO_AH	     ? (ext[1] + 2U) * 4 :
						       (ext[1] + 1U) * 8;
		ret->proto = ext[0];
		if (later)
			return -1;
	}
	return (int)at;
}

static bool has_ports(int proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_SCTP || proto == IPPROTO_DCCP;
}

static void take_flags(uint8_t bits, struct pg_logfields *ret)
{
	static const char letters[] = "FSRPAUEC";
	size_t n = 0;

	for (int i = 0; i < 8; i++)
		if (bits & 1 << i)
			ret->flags[n++] = letters[i];
	ret->flags[n] = '\0';
	ret->has_flags = true;
}

void pg_logfields(const struct pg_event *e, struct pg_logfields *ret)
{
	const uint8_t *h;
	struct view v;
	bool v6;
	int at;

	*ret = (struct pg_logfields){ .proto = -1, .sport = -1, .dport = -1 };
	if (!look_at(e, NULL, &v))
		return;
	v6 = v.data[0] >> 4 == 6;
	if (!bytes_at(&v, 0, v6 ? 40 : 20))
		return;
	inet_ntop(v6 ? AF_INET6 : AF_INET, v.data + (v6 ? 8 : 12), ret->src, sizeof(ret->src));
	inet_ntop(v6 ? AF_INET6 : AF_INET, v.data + (v6 ? 24 : 16), ret->dst, sizeof(ret->dst));
	ret->length = v6 ? be16(v.data + 4) + 40U : be16(v.data + 2);
	at = transport_at(&v, ret);
	if (at < 0)
		return;
	h = bytes_at(&v, (uint32_t)at, 4);
	if (has_ports(ret->proto) && h) {
		ret->sport = be16(h);
		ret->dport = be16(h + 2);
	}
	h = bytes_at(&v, (uint32_t)at, 20);
	if (ret->proto == IPPROTO_TCP && h)
		take_flags(h[13], ret);
}
