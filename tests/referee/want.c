/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "want.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct want *want;
	struct gen *g;
	const struct rules *rules;
	bool invert;
};

static void put(const struct reader *r, enum want_field field, uint32_t lo, uint32_t hi)
{
	if (!r->want->range[field].set)
		r->want->range[field] = (struct want_range){ true, r->invert, lo, hi };
}

/* One of a comma list, in a buffer that the next call uses again. */
static const char *one_of(const struct reader *r, const char *list)
{
	static char buf[128];
	unsigned n = 1, at;

	for (const char *p = list; *p; p++)
		n += *p == ',';
	for (at = gen_below(r->g, n); at; at--)
		list = strchr(list, ',') + 1;
	snprintf(buf, sizeof(buf), "%.*s", (int)strcspn(list, ","), list);
	return buf;
}

struct name {
	const char *name;
	uint32_t value;
};

static const struct name protos[] = {
	{ "tcp", 6 }, { "udp", 17 }, { "icmp", 1 }, { "ipv6-icmp", 58 }, { "icmpv6", 58 },
	{ "sctp", 132 }, { "dccp", 33 }, { "udplite", 136 }, { "esp", 50 }, { "ah", 51 },
	{ "gre", 47 }, { "igmp", 2 }, { NULL, 0 },
};
static const struct name types[] = {
	{ "echo-request", 8 }, { "destination-unreachable", 3 }, { "echo-reply", 0 }, { NULL, 0 },
};
static const struct name types6[] = {
	{ "echo-request", 128 }, { "destination-unreachable", 1 }, { NULL, 0 },
};
static const struct name flags[] = {
	{ "FIN", 1 }, { "SYN", 2 }, { "RST", 4 }, { "PSH", 8 }, { "ACK", 16 }, { "URG", 32 },
	{ "ALL", 63 }, { "NONE", 0 }, { NULL, 0 },
};
static const struct name dccp_types[] = {
	{ "REQUEST", 0 }, { "RESPONSE", 1 }, { "DATA", 2 }, { "ACK", 3 }, { "DATAACK", 4 },
	{ "CLOSEREQ", 5 }, { "CLOSE", 6 }, { "RESET", 7 }, { "SYNC", 8 }, { "SYNCACK", 9 },
	{ "INVALID", 10 }, { NULL, 0 },
};
static const struct name chunks[] = {
	{ "DATA", 0 }, { "INIT", 1 }, { "INIT_ACK", 2 }, { "SACK", 3 }, { "HEARTBEAT", 4 },
	{ "HEARTBEAT_ACK", 5 }, { "ABORT", 6 }, { "SHUTDOWN", 7 }, { "SHUTDOWN_ACK", 8 },
	{ "ERROR", 9 }, { "COOKIE_ECHO", 10 }, { "COOKIE_ACK", 11 }, { "SHUTDOWN_COMPLETE", 14 },
	{ NULL, 0 },
};
static const struct name toses[] = { { "Minimize-Delay", 0x10 }, { NULL, 0 } };
static const struct name classes[] = { { "EF", 46 }, { "AF21", 18 }, { NULL, 0 } };
static const struct name pkttypes[] = {
	{ "unicast", 0 }, { "broadcast", 1 }, { "multicast", 2 }, { NULL, 0 },
};

/* A number, or a name of the list; its end is a ':', a '/', a ',' or the text's. */
static bool value_of(const char *text, const struct name *names, uint32_t *ret)
{
	size_t n = strcspn(text, ":/,-");
	char *end;

	for (; names && names->name; names++)
		if (!strncmp(names->name, text, strlen(names->name)) &&
		    strlen(names->name) >= n) {
			*ret = names->value;
			return true;
		}
	*ret = strtoul(text, &end, 0);
	return end != text;
}

/* "lo:hi", with either end open. */
static void read_range(const struct reader *r, enum want_field field, const char *text)
{
	const char *colon = strchr(text, ':');
	uint32_t lo = 0, hi = 65535;

	value_of(text, NULL, &lo);
	if (!colon)
		hi = lo;
	else if (colon[1])
		value_of(colon + 1, NULL, &hi);
	put(r, field, lo, hi);
}

static void read_list(const struct reader *r, enum want_field field, const char *text)
{
	read_range(r, field, one_of(r, text));
}

static void read_either(const struct reader *r, enum want_field field, const char *text)
{
	read_list(r, gen_below(r->g, 2) ? WANT_SPORT : field, text);
}

static void read_proto(const struct reader *r, enum want_field field, const char *text)
{
	uint32_t v;

	if (value_of(text, protos, &v) && v)
		put(r, field, v, v);
}

static void read_type(const struct reader *r, enum want_field field, const char *text)
{
	const char *slash = strchr(text, '/');
	uint32_t v;

	if (!strcmp(text, "any") || !value_of(text, field == WANT_TYPE ? types : types6, &v))
		return;
	put(r, WANT_TYPE, v, v);
	if (slash && value_of(slash + 1, NULL, &v))
		put(r, WANT_CODE, v, v);
}

static void read_type6(const struct reader *r, enum want_field field, const char *text)
{
	(void)field;
	read_type(r, WANT_CODE, text);
}

static uint32_t flag_bits(const char *text)
{
	uint32_t bits = 0, v;

	while (*text) {
		size_t n = strcspn(text, ",");

		if (value_of(text, flags, &v))
			bits |= v;
		text += n + (text[n] == ',');
	}
	return bits;
}

/* "mask comp", joined by the caller. */
static void read_flags(const struct reader *r, enum want_field field, const char *text)
{
	const char *comp = strchr(text, ' ');
	char mask[64];

	if (!comp)
		return;
	snprintf(mask, sizeof(mask), "%.*s", (int)(comp - text), text);
	put(r, field, flag_bits(comp + 1), flag_bits(mask));
}

static void read_masked(const struct reader *r, enum want_field field, const char *text)
{
	const char *slash = strchr(text, '/');
	uint32_t v = 0, mask = 0xff;

	value_of(text, toses, &v);
	if (slash)
		value_of(slash + 1, NULL, &mask);
	put(r, field, v, mask);
}

static void read_dscp(const struct reader *r, enum want_field field, const char *text)
{
	uint32_t v;

	if (value_of(text, classes, &v))
		put(r, field, v << 2, 0xfc);
}

static void read_dccp(const struct reader *r, enum want_field field, const char *text)
{
	uint32_t v;

	if (value_of(one_of(r, text), dccp_types, &v))
		put(r, field, v, v);
}

/* "any DATA,INIT", joined by the caller. */
static void read_chunks(const struct reader *r, enum want_field field, const char *text)
{
	const char *list = strchr(text, ' ');
	uint32_t v;

	if (list && value_of(one_of(r, list + 1), chunks, &v))
		put(r, field, v, v);
}

static void read_pkttype(const struct reader *r, enum want_field field, const char *text)
{
	uint32_t v;

	if (value_of(text, pkttypes, &v))
		put(r, field, v, v);
}

static void read_mac(const struct reader *r, enum want_field field, const char *text)
{
	unsigned m[6];

	if (sscanf(text, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) == 6)
		put(r, field, m[4] << 8 | m[5], m[4] << 8 | m[5]);
}

static void read_flag(const struct reader *r, enum want_field field, const char *text)
{
	(void)text;
	put(r, field, 1, 1);
}

/* Addresses ------------------------------------------------------------------------------------ */

static bool parse_addr(const char *text, size_t n, uint8_t ret[16])
{
	char buf[64];

	snprintf(buf, sizeof(buf), "%.*s", (int)n, text);
	memset(ret, 0, 16);
	return inet_pton(strchr(buf, ':') ? AF_INET6 : AF_INET, buf, ret) == 1;
}

static void prefix(unsigned bits, uint8_t mask[16])
{
	for (unsigned i = 0; i < 16; i++) {
		mask[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
		bits -= bits >= 8 ? 8 : bits;
	}
}

static void read_net(const struct reader *r, enum want_field side, const char *list)
{
	struct want_addr a = { .set = true, .invert = r->invert, .masked = true };
	const char *text = one_of(r, list);
	size_t n = strcspn(text, "/");

	if (r->want->addr[side].set || !parse_addr(text, n, a.lo))
		return;
	prefix(128, a.hi);
	if (text[n] && strpbrk(text + n, ".:"))
		parse_addr(text + n + 1, strlen(text + n + 1), a.hi);
	else if (text[n])
		prefix(strtoul(text + n + 1, NULL, 10), a.hi);
	r->want->addr[side] = a;
}

static void read_iprange(const struct reader *r, enum want_field side, const char *text)
{
	struct want_addr a = { .set = true, .invert = r->invert };
	const char *dash = strchr(text, '-');

	if (r->want->addr[side].set || !parse_addr(text, strcspn(text, "-"), a.lo))
		return;
	memcpy(a.hi, a.lo, 16);
	if (dash)
		parse_addr(dash + 1, strlen(dash + 1), a.hi);
	r->want->addr[side] = a;
}

static const struct {
	const char *name, *addr4, *addr6;
} addrtypes[] = {
	{ "LOCAL", "10.0.0.1", "2001:db8::1" },
	{ "UNICAST", "10.0.0.2", "2001:db8::2" },
	{ "BROADCAST", "10.0.0.255", "2001:db8::ff" },
	{ "MULTICAST", "224.0.0.5", "ff02::1" },
	{ "UNSPEC", "0.0.0.0", "::" },
	{ "BLACKHOLE", "203.0.113.200", "fd01::1" },
	{ "UNREACHABLE", "172.16.5.4", "fd00:1:2:3::4:5" },
	{ "PROHIBIT", "198.18.0.1", "fd02::1" },
};

static void read_addrtype(const struct reader *r, enum want_field side, const char *list)
{
	const char *text = one_of(r, list);

	for (size_t i = 0; i < sizeof(addrtypes) / sizeof(addrtypes[0]); i++)
		if (!strcmp(text, addrtypes[i].name))
			read_net(r, side, r->rules->v6 ? addrtypes[i].addr6 : addrtypes[i].addr4);
}

/* One entry of the set that is named: "name dirs", joined by the caller. */
static void read_set(const struct reader *r, enum want_field field, const char *text)
{
	char set[64], dirs[64], name[64], entry[128];
	unsigned n = 0, at;

	(void)field;
	if (!r->rules->sets || sscanf(text, "%63s %63s", set, dirs) != 2)
		return;
	for (const char *p = r->rules->sets; (p = strstr(p, " add ")); p++)
		n += sscanf(p, " add %63s", name) == 1 && !strcmp(name, set);
	at = n ? gen_below(r->g, n) : 0;
	for (const char *p = r->rules->sets; n && (p = strstr(p, " add ")); p++) {
		char *port = entry + sizeof(entry) - 1;

		if (sscanf(p, " add %63s %127s", name, entry) != 2 || strcmp(name, set) != 0 || at--)
			continue;
		if (strchr(entry, ',')) {
			read_proto(r, WANT_PROTO, strchr(entry, ',') + 1);
			port = strrchr(entry, ':') + 1;
			entry[strcspn(entry, ",")] = '\0';
			read_range(r, strstr(dirs, ",src") ? WANT_SPORT : WANT_DPORT, port);
		}
		read_net(r, dirs[0] == 's' ? 0 : 1, entry);
		return;
	}
}

/* Options -------------------------------------------------------------------------------------- */

static const struct option {
	const char *name;
	void (*read)(const struct reader *r, enum want_field field, const char *text);
	enum want_field field;
	unsigned words; /* 0: none follows, 2: two */
} options[] = {
	{ "-s", read_net, 0, 1 },
	{ "-d", read_net, 1, 1 },
	{ "--src-range", read_iprange, 0, 1 },
	{ "--dst-range", read_iprange, 1, 1 },
	{ "--src-type", read_addrtype, 0, 1 },
	{ "--dst-type", read_addrtype, 1, 1 },
	{ "--match-set", read_set, 0, 2 },
	{ "-p", read_proto, WANT_PROTO, 1 },
	{ "--sport", read_range, WANT_SPORT, 1 },
	{ "--dport", read_range, WANT_DPORT, 1 },
	{ "--sports", read_list, WANT_SPORT, 1 },
	{ "--dports", read_list, WANT_DPORT, 1 },
	{ "--ports", read_either, WANT_DPORT, 1 },
	{ "--tcp-flags", read_flags, WANT_FLAGS, 2 },
	{ "--tcp-option", read_range, WANT_TCP_OPTION, 1 },
	{ "--mss", read_range, WANT_MSS, 1 },
	{ "--icmp-type", read_type, WANT_TYPE, 1 },
	{ "--icmpv6-type", read_type6, WANT_TYPE, 1 },
	{ "--chunk-types", read_chunks, WANT_CHUNK, 2 },
	{ "--dccp-option", read_range, WANT_TCP_OPTION, 1 },
	{ "--dccp-types", read_dccp, WANT_DCCP_TYPE, 1 },
	{ "--espspi", read_range, WANT_SPI, 1 },
	{ "--ahspi", read_range, WANT_SPI, 1 },
	{ "-f", read_flag, WANT_LATER, 0 },
	{ "--fragid", read_range, WANT_FRAGID, 1 },
	{ "--rt-type", read_range, WANT_RT_TYPE, 1 },
	{ "--rt-segsleft", read_range, WANT_SEGLEFT, 1 },
	{ "--mac-source", read_mac, WANT_NUMBER, 1 },
	{ "--length", read_range, WANT_LENGTH, 1 },
	{ "--ttl-eq", read_range, WANT_TTL, 1 },
	{ "--ttl-lt", read_range, WANT_TTL, 1 },
	{ "--ttl-gt", read_range, WANT_TTL, 1 },
	{ "--hl-eq", read_range, WANT_TTL, 1 },
	{ "--hl-lt", read_range, WANT_TTL, 1 },
	{ "--hl-gt", read_range, WANT_TTL, 1 },
	{ "--tos", read_masked, WANT_TOS, 1 },
	{ "--dscp", read_dscp, WANT_TOS, 1 },
	{ "--dscp-class", read_dscp, WANT_TOS, 1 },
	{ "--pkt-type", read_pkttype, WANT_PKTTYPE, 1 },
};

/* The next word, quotes taken as one; false at the end. */
static bool next_word(const char **text, char *buf, size_t size)
{
	const char *p = *text + strspn(*text, " ");
	size_t n;

	if (!*p)
		return false;
	if (*p == '"') {
		n = strcspn(++p, "\"");
		*text = p + n + (p[n] == '"');
	} else {
		n = strcspn(p, " ");
		*text = p + n;
	}
	snprintf(buf, size, "%.*s", (int)n, p);
	return true;
}

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

void want_add(struct want *want, struct gen *g, const struct rules *rules, const char *spec)
{
	struct reader r = { .want = want, .g = g, .rules = rules };
	char word[512], value[512];

	while (next_word(&spec, word, sizeof(word))) {
		const struct option *o = find(word);

		if (!strcmp(word, "!")) {
			r.invert = true;
			continue;
		}
		value[0] = '\0';
		if (o && o->words && next_word(&spec, value, sizeof(value)) && o->words == 2) {
			strncat(value, " ", sizeof(value) - strlen(value) - 1);
			if (next_word(&spec, word, sizeof(word)))
				strncat(value, word, sizeof(value) - strlen(value) - 1);
		}
		if (o)
			o->read(&r, o->field, value);
		else if (!strcmp(word, "--syn"))
			read_flags(&r, WANT_FLAGS, "FIN,SYN,RST,ACK SYN");
		if (word[0] == '-' && word[1] != 'm')
			r.invert = false;
	}
}
