/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was learnt → a rule file. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "learn.h"
#include "print.h"

/* Peers that have less in common than this are from anywhere. */
enum { ANYWHERE4 = 8, ANYWHERE6 = 16 };

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static bool has_port(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_SCTP;
}

static void add_proto(struct pg_text *t, uint8_t proto)
{
	const char *name = pg_proto_name(proto);

	if (name)
		pg_text_add(t, "%s", name);
	else
		pg_text_add(t, "%u", proto);
}

void pg_offer_print(struct pg_text *t, const struct pg_offer *offer, const struct pg_services *services)
{
	const char *service;

	if (is_icmp(offer->proto)) {
		add_proto(t, offer->proto);
		pg_text_add(t, " type %u", offer->port >> 8);
		return;
	}
	if (has_port(offer->proto))
		pg_text_add(t, "%u/", offer->port);
	add_proto(t, offer->proto);
	if (!services || (offer->proto != IPPROTO_TCP && offer->proto != IPPROTO_UDP))
		return;
	service = pg_service_name(services, offer->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP,
				  offer->port);
	if (service[0])
		pg_text_add(t, " %s", service);
}

/* "443/tcp https, nginx: 31 connections with 3 addresses, 12345 bytes" */
static void add_comment(struct pg_text *t, const struct pg_learnt *l, const char *what,
			const struct pg_learn_opts *opts)
{
	char comm[sizeof(l->comm)];

	pg_text_add(t, "# ");
	pg_offer_print(t, &l->offer, opts->services);
	if (l->comm[0])
		pg_text_add(t, ", %s", pg_printable(l->comm, comm, sizeof(comm)));
	if (l->any_peer && l->offer.proto == IPPROTO_UDP)
		what = "datagram";
	pg_text_add(t, ": %" PRIu64 " %s%s", l->flows, what, l->flows == 1 ? "" : "s");
	if (l->any_peer)
		pg_text_add(t, ", of which no more is known\n");
	else
		pg_text_add(t, ", %zu address%s, %" PRIu64 " bytes\n", l->n_peers,
			    l->n_peers == 1 ? "" : "es", l->bytes);
}

static void add_prefix(struct pg_text *t, const char *option, enum pg_family family,
		       const uint8_t *addr, unsigned len)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(family == PG_FAMILY_V6 ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	pg_text_add(t, " %s %s/%u", option, text, len);
}

/* What stands behind the addresses. */
static void add_spec(struct pg_text *t, const struct pg_offer *o)
{
	pg_text_add(t, " -p ");
	add_proto(t, o->proto);
	if (is_icmp(o->proto))
		pg_text_add(t, o->proto == IPPROTO_ICMP ? " -m icmp --icmp-type %u/%u" :
							  " -m icmp6 --icmpv6-type %u/%u",
			    o->port >> 8, o->port & 0xff);
	else if (has_port(o->proto)) {
		pg_text_add(t, " -m ");
		add_proto(t, o->proto);
		pg_text_add(t, " --dport %u", o->port);
	}
	pg_text_add(t, " -j ACCEPT\n");
}

/* One rule for each prefix of peers, or one for anybody. */
static void add_rules(struct pg_text *t, const struct pg_learnt *l, const char *begin,
		      const struct pg_learn_opts *opts)
{
	static const char *const chains[] = { "INPUT", "OUTPUT", "FORWARD" };
	bool v6 = l->offer.family == PG_FAMILY_V6;
	unsigned bytes = v6 ? 16 : 4, anywhere = v6 ? ANYWHERE6 : ANYWHERE4;
	_free_ uint8_t(*addr)[16] = calloc(opts->peers, sizeof(*addr));
	_free_ uint8_t *len = calloc(opts->peers, 1);
	size_t n = 0;

	if (!addr || !len) {
		t->oom = true;
		return;
	}
	if (!l->any_peer)
		n = pg_prefixes((const uint8_t(*)[16])l->peer, l->n_peers, bytes, opts->peers, addr, len);
	for (size_t i = 0; i < n; i++) {
		if (len[i] >= anywhere)
			continue;
		n = 1;
		len[0] = 0;
	}
	for (size_t i = 0; i < (n ? n : 1); i++) {
		pg_text_add(t, "%s-A %s", begin, chains[l->offer.way]);
		if (n && len[i])
			add_prefix(t, l->offer.way == PG_WAY_OUT ? "-d" : "-s", l->offer.family, addr[i],
				   len[i]);
		else if (n && !is_icmp(l->offer.proto) && l->offer.way != PG_WAY_THROUGH)
			pg_text_add(t, v6 ? " -6" : " -4");
		if (l->offer.way == PG_WAY_THROUGH)
			add_prefix(t, "-d", l->offer.family, l->offer.server, 8 * bytes);
		add_spec(t, &l->offer);
	}
}

static bool has(const struct pg_learn *learn, enum pg_way way, enum pg_proof proof)
{
	for (size_t i = 0; i < learn->n; i++)
		if (learn->one[i].offer.way == way && learn->one[i].proof == proof)
			return true;
	return false;
}

static void add_offers(struct pg_text *t, const struct pg_learn *learn, enum pg_way way,
		       enum pg_proof proof, const struct pg_learn_opts *opts)
{
	for (size_t i = 0; i < learn->n; i++) {
		const struct pg_learnt *l = &learn->one[i];

		if (l->offer.way != way || l->proof != proof)
			continue;
		add_comment(t, l, way == PG_WAY_IN || way == PG_WAY_OUT || proof == PG_PROOF_EMPTY ?
					  "connection" : "forwarded connection",
			    opts);
		add_rules(t, l, proof == PG_PROOF_TALK ? "" : "#", opts);
	}
}

/* Without them no address of IPv6 is found, and multicast may end at a switch. */
static void add_discovery(struct pg_text *t, const char *chain, const unsigned *type, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pg_text_add(t, "-A %s -p ipv6-icmp -m icmp6 --icmpv6-type %u -j ACCEPT\n", chain,
			    type[i]);
}

static bool pinged(const struct pg_learn *learn)
{
	for (size_t i = 0; i < learn->n; i++)
		if (learn->one[i].offer.way == PG_WAY_IN && is_icmp(learn->one[i].offer.proto) &&
		    learn->one[i].proof == PG_PROOF_TALK)
			return true;
	return false;
}

static void add_input(struct pg_text *t, const struct pg_learn *learn, const struct pg_learn_opts *opts)
{
	static const unsigned discovery[] = { 130, 134, 135, 136 };
	size_t out = 0;
	uint64_t flows = 0;

	for (size_t i = 0; i < learn->n; i++) {
		bool is = learn->one[i].offer.way == PG_WAY_OUT && learn->one[i].proof;

		out += is;
		flows += is ? learn->one[i].flows : 0;
	}
	pg_text_add(t, "# This host with itself.\n-A INPUT -i lo -j ACCEPT\n"
		       "# Answers to what this host has begun: %" PRIu64 " connection%s to %zu service%s.\n"
		       "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
		       "# IPv6's neighbours and routers.\n",
		    flows, flows == 1 ? "" : "s", out, out == 1 ? "" : "s");
	add_discovery(t, "INPUT", discovery, ARRAY_SIZE(discovery));
	add_offers(t, learn, PG_WAY_IN, PG_PROOF_TALK, opts);
	if (has(learn, PG_WAY_IN, PG_PROOF_EMPTY))
		pg_text_add(t, "# Not proven: connected to, but nothing was said, or not answered, as with a scan; "
			       "or it is too long ago to tell.\n");
	add_offers(t, learn, PG_WAY_IN, PG_PROOF_EMPTY, opts);
	if (opts->span && !pinged(learn))
		pg_text_add(t, "# Pings: none was seen, and no counter tells of earlier ones.\n"
			       "#-A INPUT -p icmp -m icmp --icmp-type 8/0 -j ACCEPT\n"
			       "#-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128/0 -j ACCEPT\n");
}

static void add_output(struct pg_text *t, const struct pg_learn *learn,
		       const struct pg_learn_opts *opts)
{
	static const unsigned discovery[] = { 133, 135, 136, 143 };

	pg_text_add(t, "-A OUTPUT -o lo -j ACCEPT\n"
		       "# Answers of this host.\n"
		       "-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
	add_discovery(t, "OUTPUT", discovery, ARRAY_SIZE(discovery));
	add_offers(t, learn, PG_WAY_OUT, PG_PROOF_TALK, opts);
	add_offers(t, learn, PG_WAY_OUT, PG_PROOF_EMPTY, opts);
}

void pg_learn_write(struct pg_text *t, const struct pg_learn *learn, const struct pg_learn_opts *opts)
{
	pg_text_add(t, "# The least policy for what was seen: portguard learn, %s\n", opts->source);
	if (opts->span)
		pg_text_add(t, "# That is, %s.\n", opts->span);
	pg_text_add(t, "# Read it, then: portguard apply FILE --confirm 60\n*filter\n:INPUT DROP [0:0]\n"
		       ":FORWARD DROP [0:0]\n:OUTPUT %s [0:0]\n",
		    opts->output ? "DROP" : "ACCEPT");
	add_input(t, learn, opts);
	if (has(learn, PG_WAY_THROUGH, PG_PROOF_TALK))
		pg_text_add(t, "# What this host forwards.\n"
			       "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
	add_offers(t, learn, PG_WAY_THROUGH, PG_PROOF_TALK, opts);
	if (opts->output)
		add_output(t, learn, opts);
	pg_text_add(t, "COMMIT\n");
}
