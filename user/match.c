/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "match.h"
#include "match_stateful.h"
#include "match_stateless.h"
#include "print.h"

static int parse_comment(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	size_t len = strlen(use->value);
	char shown[PG_COMMENT_MAX + 1];

	if (use->seen)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "comment: option \"--comment\" can only be used once.");
	if (use->invert)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "comment: option \"--comment\" cannot be inverted.");
	if (len > PG_COMMENT_MAX)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "comment is %zu bytes long (at most %d)", len, PG_COMMENT_MAX);
	/* What does not show as it is would not survive a file, or would harm a terminal. */
	pg_printable(use->value, shown, sizeof(shown));
	for (size_t i = 0; i < len; i++)
		if (shown[i] != use->value[i] && use->value[i] != '\t')
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "comment has control characters or is not UTF-8");
	m->comment = strdup(use->value);
	if (!m->comment)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	return 0;
}

static int check_comment(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
			 const struct pg_arg *at, struct pg_diag *diag)
{
	(void)m;
	(void)rule;
	if (!seen)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "comment: option \"--comment\" must be specified");
	return 0;
}

static void print_comment(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, " --comment ");
	pg_quoted_print(t, m->comment);
}

static void list_comment(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
			 bool numeric)
{
	char shown[PG_COMMENT_MAX + 1];

	(void)rule;
	(void)numeric;
	pg_text_add(t, " /* %s */", pg_printable(m->comment, shown, sizeof(shown)));
}

static void clear_comment(struct pg_match *m)
{
	free(m->comment);
	m->comment = NULL;
}

static int copy_comment(struct pg_match *ret, const struct pg_match *m)
{
	ret->comment = m->comment ? strdup(m->comment) : NULL;
	return m->comment && !ret->comment ? -ENOMEM : 0;
}

static bool equal_comment(const struct pg_match *a, const struct pg_match *b)
{
	return !strcmp(a->comment ? a->comment : "", b->comment ? b->comment : "");
}

/* Names that iptables takes for another one's. */
static const char *proper_name(const char *name)
{
	return strcmp(name, "icmpv6") && strcmp(name, "ipv6-icmp") ? name : "icmp6";
}

static bool in_list(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

int pg_match_find(const char *name)
{
	name = proper_name(name);
	for (int i = 0; i < _PG_MATCH_MAX; i++)
		if (pg_match_rows[i].name && !strcmp(pg_match_rows[i].name, name))
			return i;
	return -1;
}

bool pg_match_known(const char *name)
{
	static const char *const known[] = {
		"addrtype",  "ah",	  "bpf",       "cgroup",   "cluster",	"connbytes",
		"connlabel", "connlimit", "connmark",  "conntrack", "cpu",	"devgroup",
		"dscp",	     "dst",	  "ecn",       "esp",	   "eui64",	"frag",
		"hashlimit", "hbh",	  "helper",    "hl",	   "icmpv6",	"ipcomp",
		"iprange",   "ipv6header", "ipvs",     "length",   "limit",	"mac",
		"mark",	     "mh",	  "nfacct",    "osf",	   "owner",	"physdev",
		"pkttype",   "policy",	  "quota",     "rateest",  "realm",	"recent",
		"rpfilter",  "rt",	  "set",       "socket",   "srh",	"standard",
		"state",     "statistic", "string",    "tcpmss",   "time",	"tos",
		"ttl",	     "u32",	  "unclean",
	};

	return pg_match_find(name) >= 0 || in_list(name, known, ARRAY_SIZE(known));
}

static const uint8_t tcp_protos[] = { IPPROTO_TCP, 0 };
static const uint8_t udp_protos[] = { IPPROTO_UDP, 0 };
static const uint8_t udplite_protos[] = { IPPROTO_UDPLITE, 0 };
static const uint8_t sctp_protos[] = { IPPROTO_SCTP, 0 };
static const uint8_t dccp_protos[] = { IPPROTO_DCCP, 0 };
static const uint8_t icmp_protos[] = { IPPROTO_ICMP, 0 };
static const uint8_t icmp6_protos[] = { IPPROTO_ICMPV6, 0 };
static const uint8_t esp_protos[] = { IPPROTO_ESP, 0 };
static const uint8_t ah_protos[] = { IPPROTO_AH, 0 };

static const struct pg_match_option icmp_options[] = { { "icmp-type", 0, true, false }, {} };
static const struct pg_match_option icmp6_options[] = { { "icmpv6-type", 0, true, false }, {} };
static const struct pg_match_option comment_options[] = { { "comment", 0, true, false }, {} };

#define PORTS_ROW(match_name, match_options, match_protos)                                         \
	{                                                                                          \
		.name = match_name, .option = match_options, .protos = match_protos,               \
		.implied = true, .families = PG_V46, .first = true, .init = pg_ports_init,         \
		.parse = pg_ports_parse, .print = pg_ports_print, .list = pg_ports_list,           \
		.clear = pg_ports_clear, .copy = pg_ports_copy, .equal = pg_ports_equal,           \
	}

#define STATELESS(match_name, fn, match_families)                                                  \
	.name = match_name, .option = pg_##fn##_options, .families = match_families,               \
	.parse = pg_##fn##_parse, .print = pg_##fn##_print, .list = pg_##fn##_list
/* Matches for both families whose functions go by their names: see match_stateful.h. */
#define STATEFUL(match_name, fn)                                                                   \
	.name = match_name, .option = pg_##fn##_options, .families = PG_V46,                       \
	.parse = pg_##fn##_parse, .check = pg_##fn##_check, .print = pg_##fn##_print,              \
	.list = pg_##fn##_list
#define OWNS(fn)                                                                                   \
	.init = pg_##fn##_init, .clear = pg_##fn##_clear, .copy = pg_##fn##_copy,                  \
	.equal = pg_##fn##_equal
#define SETTLES(fn) .holds = pg_##fn##_holds, .settle = pg_##fn##_settle
#define CONNTRACK_ROW                                                                              \
	.families = PG_V46, .parse = pg_conntrack_parse, .check = pg_conntrack_check,              \
	.print = pg_conntrack_print, .list = pg_conntrack_list, .clear = pg_conntrack_clear,       \
	.copy = pg_conntrack_copy, .equal = pg_conntrack_equal

const struct pg_match_row pg_match_rows[_PG_MATCH_MAX] = {
	[PG_MATCH_TCP] = PORTS_ROW("tcp", pg_tcp_options, tcp_protos),
	[PG_MATCH_UDP] = PORTS_ROW("udp", pg_udp_options, udp_protos),
	[PG_MATCH_UDPLITE] = PORTS_ROW("udplite", pg_udp_options, udplite_protos),
	[PG_MATCH_SCTP] = PORTS_ROW("sctp", pg_sctp_options, sctp_protos),
	[PG_MATCH_DCCP] = PORTS_ROW("dccp", pg_dccp_options, dccp_protos),
	[PG_MATCH_ICMP] = { .name = "icmp", .option = icmp_options, .protos = icmp_protos,
			    .implied = true, .families = PG_V4, .parse = pg_icmp_parse,
			    .check = pg_icmp_check, .print = pg_icmp_print, .list = pg_icmp_list },
	[PG_MATCH_ICMP6] = { .name = "icmp6", .option = icmp6_options, .protos = icmp6_protos,
			     .implied = true, .families = PG_V6, .parse = pg_icmp_parse,
			     .check = pg_icmp_check, .print = pg_icmp_print, .list = pg_icmp_list },
	[PG_MATCH_MULTIPORT] = { .name = "multiport", .option = pg_multiport_options,
				 .families = PG_V46, .parse = pg_multiport_parse,
				 .check = pg_multiport_check, .print = pg_multiport_print,
				 .list = pg_multiport_list, .equal = pg_multiport_equal },
	[PG_MATCH_COMMENT] = { .name = "comment", .option = comment_options, .families = PG_V46,
			       .parse = parse_comment, .check = check_comment,
			       .print = print_comment, .list = list_comment,
			       .clear = clear_comment, .copy = copy_comment,
			       .equal = equal_comment },
	[PG_MATCH_STATE] = { .name = "state", .option = pg_state_options, CONNTRACK_ROW },
	[PG_MATCH_CONNTRACK] = { .name = "conntrack", .option = pg_conntrack_options,
				 .holds = pg_conntrack_holds, CONNTRACK_ROW },
	[PG_MATCH_LIMIT] = { STATEFUL("limit", limit), .init = pg_limit_init },
	[PG_MATCH_HASHLIMIT] = { STATEFUL("hashlimit", hashlimit), OWNS(hashlimit),
				 SETTLES(hashlimit) },
	[PG_MATCH_CONNLIMIT] = { STATEFUL("connlimit", connlimit), .init = pg_connlimit_init,
				 SETTLES(connlimit) },
	[PG_MATCH_CONNBYTES] = { STATEFUL("connbytes", connbytes) },
	[PG_MATCH_RECENT] = { STATEFUL("recent", recent), OWNS(recent), SETTLES(recent) },
	[PG_MATCH_QUOTA] = { STATEFUL("quota", quota) },
	[PG_MATCH_STATISTIC] = { STATEFUL("statistic", statistic) },
	[PG_MATCH_SET] = { STATEFUL("set", set) },
	[PG_MATCH_TIME] = { STATEFUL("time", time), OWNS(time) },
	[PG_MATCH_ADDRTYPE] = { STATELESS("addrtype", addrtype, PG_V46), .check = pg_addrtype_check,
				.holds = pg_addrtype_holds, .chains = pg_addrtype_chains },
	[PG_MATCH_MAC] = { STATELESS("mac", mac, PG_V46), .check = pg_only_check,
			   .chains = pg_mac_chains },
	[PG_MATCH_IPRANGE] = { STATELESS("iprange", iprange, PG_V46), .check = pg_iprange_check,
			       .holds = pg_iprange_holds },
	[PG_MATCH_LENGTH] = { STATELESS("length", length, PG_V46), .check = pg_only_check },
	[PG_MATCH_TTL] = { STATELESS("ttl", ttl, PG_V4), .check = pg_ttl_check },
	[PG_MATCH_HL] = { .name = "hl", .option = pg_hl_options, .families = PG_V6,
			  .parse = pg_ttl_parse, .check = pg_ttl_check, .print = pg_ttl_print,
			  .list = pg_ttl_list },
	[PG_MATCH_TOS] = { STATELESS("tos", tos, PG_V46), .check = pg_only_check },
	[PG_MATCH_DSCP] = { STATELESS("dscp", dscp, PG_V46), .check = pg_dscp_check },
	[PG_MATCH_PKTTYPE] = { STATELESS("pkttype", pkttype, PG_V46), .check = pg_only_check },
	[PG_MATCH_MARK] = { STATELESS("mark", mark, PG_V46), .check = pg_only_check },
	[PG_MATCH_TCPMSS] = { .name = "tcpmss", .option = pg_tcpmss_options, .protos = tcp_protos,
			      .families = PG_V46, .parse = pg_tcpmss_parse, .check = pg_only_check,
			      .print = pg_length_print, .list = pg_length_list },
	[PG_MATCH_ESP] = { STATELESS("esp", esp, PG_V46), .protos = esp_protos, .implied = true },
	[PG_MATCH_AH] = { STATELESS("ah", ah, PG_V46), .protos = ah_protos, .any_proto = PG_V6,
			  .implied = true, .only6 = 1U << PG_AH_LEN | 1U << PG_AH_RES,
			  .holds = pg_ah_holds },
	[PG_MATCH_FRAG] = { STATELESS("frag", frag, PG_V6), .check = pg_frag_check },
	[PG_MATCH_RT] = { STATELESS("rt", rt, PG_V6), .clear = pg_rt_clear, .copy = pg_rt_copy,
			  .equal = pg_rt_equal },
	[PG_MATCH_RPFILTER] = { STATELESS("rpfilter", rpfilter, PG_V46),
				.chains = pg_rpfilter_chains },
	[PG_MATCH_VLAN] = { STATELESS("vlan", vlan, PG_V46), .check = pg_only_check },
};
