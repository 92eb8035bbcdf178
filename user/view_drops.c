// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Drops as text, and which are asked for. Pure. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "drops.h"
#include "names.h"
#include "print.h"

static bool is_icmp(const struct pg_drop *drop)
{
	return drop->has & PG_DROP_HAS_ICMP;
}

bool pg_drop_wanted(const struct pg_drop_query *query, const struct pg_drop_row *row)
{
	const struct pg_drop *drop = &row->drop;
	struct pg_flow_row flow = { .proto = drop->proto, .family = drop->has & PG_DROP_V6 ?
								       PG_FAMILY_V6 : PG_FAMILY_V4 };
	const struct pg_flow_query *q = &query->flow;

	if (query->has_reason && row->fate.reason != query->reason)
		return false;
	/* What a packet has not is not what was asked for. */
	if (q->has_proto && !(drop->has & PG_DROP_HAS_PROTO))
		return false;
	if ((q->port.given || q->sport.given || q->dport.given) && !(drop->has & PG_DROP_HAS_PORTS))
		return false;
	if ((q->src.family || q->dst.family || q->addr.family) && !(drop->has & PG_DROP_HAS_L3))
		return false;
	memcpy(flow.addr[0], drop->saddr, sizeof(drop->saddr));
	memcpy(flow.addr[1], drop->daddr, sizeof(drop->daddr));
	flow.port[0] = drop->sport;
	flow.port[1] = drop->dport;
	memcpy(flow.iface, row->fate.iface, sizeof(flow.iface));
	return pg_flow_wanted(q, &flow);
}

void pg_fate_who(const struct pg_fate *fate, char *buf, size_t size)
{
	const char *raw = fate->table && !strcmp(fate->table, "raw") ? "raw " : "";
	char name[sizeof(fate->chain)];

	pg_printable(fate->chain, name, sizeof(name));
	if (!name[0])
		snprintf(buf, size, "-");
	else if (fate->rule > 0)
		snprintf(buf, size, "%s%s %lld%s", raw, name, (long long)fate->rule,
			 fate->past ? " (past policy)" : "");
	else if (!fate->rule)
		snprintf(buf, size, "%s%s policy", raw, name);
	else
		snprintf(buf, size, "%s%s%s", raw, name,
			 fate->reason == PG_REASON_RULE ? ", a rule that is gone" : "");
}

void pg_drop_end(const struct pg_drop *drop, int end, char *buf, size_t size)
{
	bool v6 = drop->has & PG_DROP_V6, ports = drop->has & PG_DROP_HAS_PORTS;
	char addr[INET6_ADDRSTRLEN];

	if (!(drop->has & PG_DROP_HAS_L3)) {
		snprintf(buf, size, "-");
		return;
	}
	inet_ntop(v6 ? AF_INET6 : AF_INET, end ? drop->daddr : drop->saddr, addr, sizeof(addr));
	if (ports)
		snprintf(buf, size, v6 ? "[%s]:%u" : "%s:%u", addr, end ? drop->dport : drop->sport);
	else
		snprintf(buf, size, "%s", addr);
}

void pg_drop_proto(const struct pg_drop *drop, char *buf, size_t size)
{
	const char *name = pg_proto_name(drop->proto);

	if (drop->has & PG_DROP_HAS_PROTO && name)
		snprintf(buf, size, "%s", name);
	else if (drop->has & PG_DROP_HAS_PROTO)
		snprintf(buf, size, "%u", drop->proto);
	else if (drop->l3_type == 0x0800 || drop->l3_type == 0x86dd)
		snprintf(buf, size, "%s", drop->l3_type == 0x0800 ? "ip" : "ip6");
	else if (drop->l3_type == 0x0806)
		snprintf(buf, size, "arp");
	else
		snprintf(buf, size, "0x%04x", drop->l3_type);
}

static const char *verdict_text(enum pg_verdict verdict)
{
	switch (verdict) {
	case PG_VERDICT_ACCEPT:
		return "ACCEPT";
	case PG_VERDICT_REJECT:
		return "REJECT";
	default:
		return "DROP";
	}
}

void pg_fate_text(struct pg_text *t, const struct pg_fate *fate)
{
	char who[64];

	pg_fate_who(fate, who, sizeof(who));
	pg_text_add(t, "%s%s%s", verdict_text(fate->verdict), who[0] == '-' ? "" : " ",
		    who[0] == '-' ? "" : who);
	pg_text_add(t, ", reason %s", pg_reason_name(fate->reason));
	if (fate->spec[0])
		pg_text_add(t, ": %s", fate->spec);
	else if (fate->reason != PG_REASON_RULE && fate->reason != PG_REASON_POLICY)
		pg_text_add(t, ": %s", pg_reason_help(fate->reason));
}

static void add_details(struct pg_text *t, const struct pg_drop *drop)
{
	char flags[9];

	if (drop->has & PG_DROP_HAS_FLAGS)
		pg_text_add(t, " %s", drop->tcp_flags ? pg_flow_flags_text(drop->tcp_flags, flags) :
							"no flags");
	if (is_icmp(drop))
		pg_text_add(t, " type %u code %u", drop->sport, drop->dport);
	pg_text_add(t, " %u bytes", drop->length);
	if (drop->vlan)
		pg_text_add(t, " vlan %u", drop->vlan & ~PG_FLOW_TAGGED);
	if (drop->skipped)
		pg_text_add(t, " (+%u like it before)", drop->skipped);
}

void pg_drop_line(struct pg_text *t, const struct pg_drop_row *row)
{
	char stamp[32] = "", who[64], proto[32], src[64], dst[64], iface[IFNAMSIZ];
	const struct pg_fate *fate = &row->fate;
	struct tm tm;

	if (localtime_r(&row->when.tv_sec, &tm))
		strftime(stamp, sizeof(stamp), "%F %T", &tm);
	pg_fate_who(fate, who, sizeof(who));
	pg_drop_proto(&row->drop, proto, sizeof(proto));
	pg_drop_end(&row->drop, 0, src, sizeof(src));
	pg_drop_end(&row->drop, 1, dst, sizeof(dst));
	pg_text_add(t, "%s.%06ld %s %s %s, %s:", stamp, row->when.tv_nsec / 1000,
		    pg_printable(fate->iface, iface, sizeof(iface)), verdict_text(fate->verdict), who,
		    pg_reason_name(fate->reason));
	pg_text_add(t, " %s %s > %s", proto, src, dst);
	add_details(t, &row->drop);
	pg_text_add(t, "\n");
}
