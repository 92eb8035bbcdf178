/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes → what the program reads in them: every branch of the parser by name. The policy has one
 * rule, which asks every packet for its protocol and every TCP packet for its header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "group.h"
#include "pkt.h"

#define ACCEPT PG_VERDICT_ACCEPT
#define DROP PG_VERDICT_DROP

static const char rules[] = "*filter\n:INPUT ACCEPT [0:0]\n"
			    "-A INPUT -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n";

struct row {
	const char *name;
	const struct pkt_layer *pkt;
	enum pg_verdict verdict;
	enum pg_reason reason;
	const char *reading; /* see check.h */
};

static const struct row ethernet_rows[] = {
	{ "an EtherType nobody knows passes", PKT(ETH(.type = 0x88cc), PAYLOAD(46)), ACCEPT,
	  PG_REASON_NON_IP, "88cc" },
	{ "an Ethernet header alone passes when it is not about IP", PKT(ETH(.type = 0x88cc)), ACCEPT,
	  PG_REASON_NON_IP, "88cc" },
	{ "an 802.3 length is not an EtherType", PKT(ETH(.type = 38), PAYLOAD(38)), ACCEPT,
	  PG_REASON_NON_IP, "0026" },
	{ "what MPLS carries is not looked at", PKT(ETH(.type = 0x8847), IP4(), TCP(.dport = 22)),
	  ACCEPT, PG_REASON_NON_IP, "8847" },
	{ "an Ethernet header that promises IPv4 is a short header", PKT(ETH(.type = 0x0800)), DROP,
	  PG_REASON_SHORT_HEADER, "0800" },
	{ "an Ethernet header that promises IPv6 is a short header", PKT(ETH(.type = 0x86dd)), DROP,
	  PG_REASON_SHORT_HEADER, "86dd" },
};

static const struct row vlan_rows[] = {
	{ "rules hold inside one 802.1Q tag", PKT(ETH(), VLAN(.id = 5), IP4(), TCP(.dport = 22)),
	  DROP, PG_REASON_RULE, "vlan 5 ip4 p6 40000>22 f02" },
	{ "rules hold inside one 802.1ad tag", PKT(ETH(), QINQ(.id = 4095), IP4(), TCP(.dport = 22)),
	  DROP, PG_REASON_RULE, "vlan 4095 ip4 p6 40000>22 f02" },
	{ "a priority tag has id 0", PKT(ETH(), VLAN(.id = 0, .prio = 7), IP4(), UDP()), ACCEPT,
	  PG_REASON_POLICY, "vlan 0 ip4 p17 40000>53" },
	{ "rules hold inside two tags",
	  PKT(ETH(), QINQ(.id = 7), VLAN(.id = 9), IP4(), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "vlan 7 vlan 9 ip4 p6 40000>22 f02" },
	{ "two tags of the same kind are two tags",
	  PKT(ETH(), VLAN(.id = 7), VLAN(.id = 9), IP6(), TCP()), ACCEPT, PG_REASON_POLICY,
	  "vlan 7 vlan 9 ip6 p6 40000>80 f02" },
	{ "a third tag is one too many",
	  PKT(ETH(), QINQ(.id = 1), VLAN(.id = 2), VLAN(.id = 3), IP4(), TCP()), DROP,
	  PG_REASON_TOO_MANY_VLANS, NULL },
	{ "a fourth tag is one too many",
	  PKT(ETH(), QINQ(.id = 1), VLAN(.id = 2), VLAN(.id = 3), VLAN(.id = 4), IP4(), TCP()), DROP,
	  PG_REASON_TOO_MANY_VLANS, NULL },
	{ "three tags do not hide what is not IP",
	  PKT(ETH(), VLAN(.id = 1), VLAN(.id = 2), VLAN(.id = 3, .next = 0x88cc), PAYLOAD(46)), DROP,
	  PG_REASON_TOO_MANY_VLANS, NULL },
	{ "a tag that is cut off is a short header", PKT(ETH(), VLAN(), IP4(), TCP(), CUT(17)), DROP,
	  PG_REASON_SHORT_HEADER, NULL },
	{ "a second tag that is cut off is a short header",
	  PKT(ETH(), QINQ(), VLAN(), IP4(), TCP(), CUT(21)), DROP, PG_REASON_SHORT_HEADER, NULL },
	{ "a tagged frame that is not IP passes",
	  PKT(ETH(), VLAN(.id = 3, .next = 0x88cc), PAYLOAD(42)), ACCEPT, PG_REASON_NON_IP,
	  "vlan 3 88cc" },
	{ "an ARP request in a tag is ARP", PKT(ETH(), VLAN(.id = 3), ARP()), ACCEPT, PG_REASON_ARP,
	  "vlan 3 0806" },
	{ "the tag protocol id 0x9100 is no tag of the standard's",
	  PKT(ETH(), VLAN(.tpid = 0x9100), IP4(), TCP(.dport = 22)), ACCEPT, PG_REASON_NON_IP,
	  "9100" },
};

static const struct row arp_rows[] = {
	{ "an ARP request passes", PKT(ETH(), ARP()), ACCEPT, PG_REASON_ARP, "0806" },
	{ "an ARP reply passes", PKT(ETH(), ARP(.op = 2)), ACCEPT, PG_REASON_ARP, "0806" },
	{ "an ARP request passes with its padding", PKT(ETH(), ARP(), PAD(18)), ACCEPT,
	  PG_REASON_ARP, "0806" },
	{ "a request for one's own address is gratuitous",
	  PKT(ETH(), ARP(.spa = "192.0.2.7", .tpa = "192.0.2.7")), ACCEPT, PG_REASON_GRATUITOUS_ARP,
	  "0806" },
	{ "a reply about one's own address is gratuitous",
	  PKT(ETH(), ARP(.op = 2, .spa = "192.0.2.7", .tpa = "192.0.2.7")), ACCEPT,
	  PG_REASON_GRATUITOUS_ARP, "0806" },
	{ "a probe is not gratuitous: its sender has no address yet", PKT(ETH(), ARP(.spa = "0.0.0.0")),
	  ACCEPT, PG_REASON_ARP, "0806" },
	{ "no address announces nothing",
	  PKT(ETH(), ARP(.spa = "0.0.0.0", .tpa = "0.0.0.0")), ACCEPT, PG_REASON_ARP, "0806" },
	{ "a RARP request is known by its EtherType", PKT(ETH(), ARP(.op = 3)), ACCEPT,
	  PG_REASON_RARP, "8035" },
	{ "a RARP reply is known by its EtherType", PKT(ETH(), ARP(.op = 4)), ACCEPT, PG_REASON_RARP,
	  "8035" },
	{ "a RARP operation under ARP's EtherType is RARP", PKT(ETH(.type = 0x0806), ARP(.op = 3)),
	  ACCEPT, PG_REASON_RARP, "0806" },
	{ "a RARP reply under ARP's EtherType is RARP", PKT(ETH(.type = 0x0806), ARP(.op = 4)), ACCEPT,
	  PG_REASON_RARP, "0806" },
	{ "an ARP request under RARP's EtherType is RARP", PKT(ETH(.type = 0x8035), ARP(.op = 1)),
	  ACCEPT, PG_REASON_RARP, "8035" },
	{ "ARP about another hardware is dropped", PKT(ETH(), ARP(.htype = 6)), DROP,
	  PG_REASON_BAD_ARP, NULL },
	{ "ARP about another protocol is dropped", PKT(ETH(), ARP(.ptype = 0x86dd)), DROP,
	  PG_REASON_BAD_ARP, NULL },
	{ "ARP with long hardware addresses is dropped", PKT(ETH(), ARP(.hlen = 8)), DROP,
	  PG_REASON_BAD_ARP, NULL },
	{ "ARP with long protocol addresses is dropped", PKT(ETH(), ARP(.plen = 16)), DROP,
	  PG_REASON_BAD_ARP, NULL },
	{ "ARP that is cut off is a short header", PKT(ETH(), ARP(.cut = 27)), DROP,
	  PG_REASON_SHORT_HEADER, NULL },
	{ "RARP that is cut off is a short header", PKT(ETH(), ARP(.op = 3, .cut = 6)), DROP,
	  PG_REASON_SHORT_HEADER, NULL },
};

static const struct row ip4_rows[] = {
	{ "a version that is not 4 is dropped", PKT(ETH(), IP4(.version = 6), TCP()), DROP,
	  PG_REASON_BAD_VERSION, NULL },
	{ "ihl below 5 is dropped", PKT(ETH(), IP4(.ihl = 4), TCP()), DROP, PG_REASON_BAD_IHL, NULL },
	{ "ihl 0 is dropped", PKT(ETH(), IP4(.ihl = 0), TCP()), DROP, PG_REASON_BAD_IHL, NULL },
	{ "an IPv4 header of 19 bytes is short", PKT(ETH(), IP4(), CUT(33)), DROP,
	  PG_REASON_SHORT_HEADER, NULL },
	{ "options beyond the frame are a short header", PKT(ETH(), IP4(.ihl = 15), TCP()), DROP,
	  PG_REASON_SHORT_HEADER, NULL },
	{ "options that are cut off are a short header",
	  PKT(ETH(), IP4(.optlen = 40), CUT(14 + 59)), DROP, PG_REASON_SHORT_HEADER, NULL },
	{ "ports are read behind options", PKT(ETH(), IP4(.optlen = 4), TCP(.dport = 22)), DROP,
	  PG_REASON_RULE, "ip4 p6 40000>22 f02" },
	{ "ports are read behind all 40 bytes of options",
	  PKT(ETH(), IP4(.optlen = 40), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "ip4 p6 40000>22 f02" },
	{ "a total length below the header is dropped", PKT(ETH(), IP4(.tot_len = 19), TCP()), DROP,
	  PG_REASON_BAD_LENGTH, NULL },
	{ "a total length of 0 is dropped", PKT(ETH(), IP4(.tot_len = 0), TCP()), DROP,
	  PG_REASON_BAD_LENGTH, NULL },
	{ "a total length below header and options is dropped",
	  PKT(ETH(), IP4(.optlen = 8, .tot_len = 27), TCP()), DROP, PG_REASON_BAD_LENGTH, NULL },
	{ "a total length beyond the frame is truncated", PKT(ETH(), IP4(.tot_len = 41), TCP()), DROP,
	  PG_REASON_TRUNCATED, NULL },
	{ "a total length of 65535 is truncated", PKT(ETH(), IP4(.tot_len = 65535), TCP()), DROP,
	  PG_REASON_TRUNCATED, NULL },
	{ "a frame that ends before its packet is truncated", PKT(ETH(), IP4(), TCP(), CUT(53)), DROP,
	  PG_REASON_TRUNCATED, NULL },
	{ "a wrong header checksum is dropped", PKT(ETH(), IP4(.csum = 0x1234), TCP()), DROP,
	  PG_REASON_BAD_CHECKSUM, "ip4 p6 40000>80 f02" },
	{ "a header checksum of 0 is not exempt", PKT(ETH(), IP4(.csum = 0), TCP(.dport = 22)), DROP,
	  PG_REASON_BAD_CHECKSUM, "ip4 p6 40000>22 f02" },
	{ "a wrong checksum with options is dropped",
	  PKT(ETH(), IP4(.optlen = 40, .csum = 0x1234), TCP()), DROP, PG_REASON_BAD_CHECKSUM,
	  "ip4 p6 40000>80 f02" },
	{ "padding is not payload: a TCP header in it is not there",
	  PKT(ETH(), IP4(.tot_len = 20), TCP(.dport = 22)), DROP, PG_REASON_SHORT_L4, "ip4 p6" },
	{ "padding behind a packet changes nothing",
	  PKT(ETH(), IP4(), TCP(.dport = 22), PAD(6)), DROP, PG_REASON_RULE, "ip4 p6 40000>22 f02" },
	{ "a packet without payload is whole", PKT(ETH(), IP4(.proto = 253)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p253" },
	{ "a first fragment has ports", PKT(ETH(), IP4(.mf = 1), TCP(.dport = 22)), DROP,
	  PG_REASON_RULE, "ip4 p6 first 40000>22 f02" },
	{ "a later fragment has no ports", PKT(ETH(), IP4(.frag = 185), TCP(.dport = 22)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p6 later@185" },
	{ "a fragment in the middle has no ports",
	  PKT(ETH(), IP4(.frag = 185, .mf = 1), UDP(.dport = 22)), ACCEPT, PG_REASON_POLICY,
	  "ip4 p17 later@185" },
	{ "the last possible fragment offset is a later fragment",
	  PKT(ETH(), IP4(.frag = 8191), TCP(.dport = 22)), ACCEPT, PG_REASON_POLICY,
	  "ip4 p6 later@8191" },
	{ "a TCP fragment at offset 8 is a tiny fragment when a rule asks",
	  PKT(ETH(), IP4(.frag = 1), TCP(.dport = 22)), DROP, PG_REASON_TINY_FRAGMENT,
	  "ip4 p6 later@1" },
	{ "a UDP fragment at offset 8 is any later fragment",
	  PKT(ETH(), IP4(.frag = 1), UDP(.dport = 22)), ACCEPT, PG_REASON_POLICY, "ip4 p17 later@1" },
	{ "don't fragment and the reserved bit are no fragment", PKT(ETH(), IP4(.df = 1), TCP()),
	  ACCEPT, PG_REASON_POLICY, "ip4 p6 40000>80 f02" },
	{ "IPv4 in IPv4 is protocol 4, and the inner ports are not read",
	  PKT(ETH(), IP4(), IP4(), TCP(.dport = 22)), ACCEPT, PG_REASON_POLICY, "ip4 p4" },
	{ "IPv6 in IPv4 is protocol 41", PKT(ETH(), IP4(), IP6(), TCP(.dport = 22)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p41" },
	{ "IPv6's extension headers mean nothing under IPv4",
	  PKT(ETH(), IP4(), HBH(), TCP(.dport = 22)), ACCEPT, PG_REASON_POLICY, "ip4 p0" },
};

static const struct row l4_rows[] = {
	{ "all eight TCP flags are read", PKT(ETH(), IP4(), TCP(.flags = 0xff)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p6 40000>80 fff" },
	{ "a TCP header without flags is read", PKT(ETH(), IP4(), TCP(.flags = 0)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p6 40000>80 f00" },
	{ "port 0 is a port", PKT(ETH(), IP4(), TCP(.sport = 0, .dport = 0)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p6 0>0 f02" },
	{ "port 65535 is a port", PKT(ETH(), IP4(), UDP(.sport = 65535, .dport = 65535)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p17 65535>65535" },
	{ "doff below 5 is dropped", PKT(ETH(), IP4(), TCP(.doff = 4)), DROP, PG_REASON_BAD_DOFF,
	  "ip4 p6 40000>80 f02" },
	{ "doff 0 is dropped", PKT(ETH(), IP6(), TCP(.doff = 0)), DROP, PG_REASON_BAD_DOFF,
	  "ip6 p6 40000>80 f02" },
	{ "doff beyond the packet is the receiver's business", PKT(ETH(), IP4(), TCP(.doff = 15)),
	  ACCEPT, PG_REASON_POLICY, "ip4 p6 40000>80 f02" },
	{ "a later fragment has no doff", PKT(ETH(), IP4(.frag = 2), TCP(.doff = 0)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p6 later@2" },
	{ "a TCP header of no bytes is cut off", PKT(ETH(), IP4(), TCP(.cut = 0)), DROP,
	  PG_REASON_SHORT_L4, "ip4 p6" },
	{ "a TCP header of 3 bytes has no ports", PKT(ETH(), IP4(), TCP(.cut = 3)), DROP,
	  PG_REASON_SHORT_L4, "ip4 p6" },
	{ "a TCP header of 4 bytes has ports", PKT(ETH(), IP4(), TCP(.cut = 4)), DROP,
	  PG_REASON_SHORT_L4, "ip4 p6 40000>80" },
	{ "a TCP header of 19 bytes has ports and no flags", PKT(ETH(), IP4(), TCP(.cut = 19)), DROP,
	  PG_REASON_SHORT_L4, "ip4 p6 40000>80" },
	{ "a TCP header that a first fragment cuts off is short",
	  PKT(ETH(), IP4(.mf = 1), TCP(.cut = 8)), DROP, PG_REASON_SHORT_L4,
	  "ip4 p6 first 40000>80" },
	{ "UDP ports are read", PKT(ETH(), IP4(), UDP(.dport = 22)), ACCEPT, PG_REASON_POLICY,
	  "ip4 p17 40000>22" },
	{ "a UDP length that is wrong is the receiver's business", PKT(ETH(), IP4(), UDP(.len = 7)),
	  ACCEPT, PG_REASON_POLICY, "ip4 p17 40000>53" },
	{ "a UDP header of 3 bytes has no ports", PKT(ETH(), IP4(), UDP(.cut = 3)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p17" },
	{ "a UDP header of 7 bytes has ports", PKT(ETH(), IP4(), UDP(.cut = 7)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p17 40000>53" },
	{ "UDP-Lite ports are read", PKT(ETH(), IP4(), UDPLITE(.dport = 22)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p136 40000>22" },
	{ "SCTP ports are read", PKT(ETH(), IP4(), SCTP(.dport = 22)), ACCEPT, PG_REASON_POLICY,
	  "ip4 p132 40000>22" },
	{ "an SCTP header of 11 bytes has ports", PKT(ETH(), IP4(), SCTP(.cut = 11)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p132 40000>2905" },
	{ "DCCP ports are read", PKT(ETH(), IP6(), DCCP(.dport = 22)), ACCEPT, PG_REASON_POLICY,
	  "ip6 p33 40000>22" },
	{ "ICMP type and code are read", PKT(ETH(), IP4(), ICMP(.type = 3, .code = 4)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p1 3>4" },
	{ "an ICMP header of 7 bytes has no type", PKT(ETH(), IP4(), ICMP(.cut = 7)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p1" },
	{ "ICMPv6 type and code are read", PKT(ETH(), IP6(), ICMP6(.type = 1, .code = 4)), ACCEPT,
	  PG_REASON_POLICY, "ip6 p58 1>4" },
	{ "an ICMPv6 header of 3 bytes has no type", PKT(ETH(), IP6(), ICMP6(.cut = 3)), ACCEPT,
	  PG_REASON_POLICY, "ip6 p58" },
	{ "ICMP under IPv6 is a protocol like any other", PKT(ETH(), IP6(), ICMP(.type = 8)), ACCEPT,
	  PG_REASON_POLICY, "ip6 p1" },
	{ "ICMPv6 under IPv4 is a protocol like any other", PKT(ETH(), IP4(), ICMP6()), ACCEPT,
	  PG_REASON_POLICY, "ip4 p58" },
	{ "GRE is known by its number", PKT(ETH(), IP4(.proto = 47), PAYLOAD(20)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p47" },
	{ "ESP is known by its number", PKT(ETH(), IP6(.next = 50), PAYLOAD(20)), ACCEPT,
	  PG_REASON_POLICY, "ip6 p50" },
	{ "AH under IPv4 is known by its number", PKT(ETH(), IP4(), AH(), TCP(.dport = 22)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p51" },
};

static const struct row ip6_rows[] = {
	{ "IPv6 ports are read", PKT(ETH(), IP6(), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "ip6 p6 40000>22 f02" },
	{ "a version that is not 6 is dropped", PKT(ETH(), IP6(.version = 4), TCP()), DROP,
	  PG_REASON_BAD_VERSION, NULL },
	{ "an IPv6 header of 39 bytes is short", PKT(ETH(), IP6(), CUT(53)), DROP,
	  PG_REASON_SHORT_HEADER, NULL },
	{ "a payload length beyond the frame is truncated", PKT(ETH(), IP6(.payload_len = 21), TCP()),
	  DROP, PG_REASON_TRUNCATED, NULL },
	{ "padding is not payload", PKT(ETH(), IP6(.payload_len = 0), TCP(.dport = 22)), DROP,
	  PG_REASON_SHORT_L4, "ip6 p6" },
	{ "padding behind the payload changes nothing",
	  PKT(ETH(), IP6(), TCP(.dport = 22), PAD(9)), DROP, PG_REASON_RULE, "ip6 p6 40000>22 f02" },
	{ "no next header ends the packet", PKT(ETH(), IP6()), ACCEPT, PG_REASON_POLICY, "ip6 p59" },
	{ "hop-by-hop options are stepped over", PKT(ETH(), IP6(), HBH(), TCP(.dport = 22)), DROP,
	  PG_REASON_RULE, "ip6 p6 40000>22 f02" },
	{ "a routing header is stepped over", PKT(ETH(), IP6(), ROUTING(.len = 24), TCP(.dport = 22)),
	  DROP, PG_REASON_RULE, "ip6 p6 40000>22 f02" },
	{ "destination options are stepped over",
	  PKT(ETH(), IP6(), DSTOPTS(.len = 264), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "ip6 p6 40000>22 f02" },
	{ "the longest possible options are stepped over",
	  PKT(ETH(), IP6(), DSTOPTS(.len = 2048), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "ip6 p6 40000>22 f02" },
	{ "AH counts its length in words",
	  PKT(ETH(), IP6(), AH(.len = 12), AH(.len = 28), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "ip6 p6 40000>22 f02" },
	{ "an atomic fragment is a whole packet", PKT(ETH(), IP6(), FRAG6(), TCP(.dport = 22)), DROP,
	  PG_REASON_RULE, "ip6 p6 atomic 40000>22 f02" },
	{ "a first fragment has ports", PKT(ETH(), IP6(), FRAG6(.mf = 1), TCP(.dport = 22)), DROP,
	  PG_REASON_RULE, "ip6 p6 first 40000>22 f02" },
	{ "a later fragment has none", PKT(ETH(), IP6(), FRAG6(.frag = 185), TCP(.dport = 22)), ACCEPT,
	  PG_REASON_POLICY, "ip6 p6 later@185" },
	{ "a fragment at offset 8 is any later fragment under IPv6",
	  PKT(ETH(), IP6(), FRAG6(.frag = 1, .mf = 1), TCP(.dport = 22)), ACCEPT, PG_REASON_POLICY,
	  "ip6 p6 later@1" },
	{ "reserved bits of a fragment header are no offset",
	  PKT(ETH(), IP6(), FRAG6(.reserved = 0xff), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "ip6 p6 atomic 40000>22 f02" },
	{ "headers come in any order",
	  PKT(ETH(), IP6(), DSTOPTS(), AH(), ROUTING(), HBH(), DSTOPTS(), TCP(.dport = 22)), DROP,
	  PG_REASON_RULE, "ip6 p6 40000>22 f02" },
	{ "a fragment header may come first and last",
	  PKT(ETH(), IP6(), FRAG6(), ROUTING(), FRAG6(), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "ip6 p6 atomic 40000>22 f02" },
	{ "a later fragment whose next header is an extension is a broken chain",
	  PKT(ETH(), IP6(), FRAG6(.frag = 2), DSTOPTS(), TCP()), DROP, PG_REASON_EXT_BROKEN, NULL },
	{ "a later fragment without next header is none",
	  PKT(ETH(), IP6(), FRAG6(.frag = 2, .next = 59), PAYLOAD(8)), ACCEPT, PG_REASON_POLICY,
	  "ip6 p59 later@2" },
	{ "an extension header of one byte is a broken chain", PKT(ETH(), IP6(), DSTOPTS(.cut = 1)),
	  DROP, PG_REASON_EXT_BROKEN, NULL },
	{ "an extension header that is not there is a broken chain",
	  PKT(ETH(), IP6(.next = 60)), DROP, PG_REASON_EXT_BROKEN, NULL },
	{ "a fragment header of three bytes is a broken chain",
	  PKT(ETH(), IP6(), FRAG6(.next = 6, .cut = 3)), DROP, PG_REASON_EXT_BROKEN, NULL },
	{ "a fragment header of four bytes says all it has to",
	  PKT(ETH(), IP6(), FRAG6(.next = 17, .frag = 1, .cut = 4)), ACCEPT, PG_REASON_POLICY,
	  "ip6 p17 later@1" },
	{ "a routing header of three bytes is a broken chain",
	  PKT(ETH(), IP6(), ROUTING(.next = 6, .cut = 3)), DROP, PG_REASON_EXT_BROKEN, NULL },
	{ "two bytes of options are enough to step over them",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 17, .cut = 2)), ACCEPT, PG_REASON_POLICY, "ip6 p17" },
	{ "options that run over the end leave no transport header",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 6, .hdrlen = 255), TCP(.dport = 22)), DROP,
	  PG_REASON_SHORT_L4, "ip6 p6" },
	{ "twelve extension headers are followed",
	  PKT(ETH(), IP6(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(),
	      DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), TCP(.dport = 22)),
	  DROP, PG_REASON_RULE, "ip6 p6 40000>22 f02" },
	{ "thirteen are too many",
	  PKT(ETH(), IP6(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(),
	      DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), DSTOPTS(), UDP()),
	  DROP, PG_REASON_EXT_TOO_LONG, NULL },
	{ "mobility is no extension header that the kernel follows",
	  PKT(ETH(), IP6(.next = 135), PAYLOAD(16)), ACCEPT, PG_REASON_POLICY, "ip6 p135" },
	{ "a payload length of 0 before hop-by-hop options is all there is",
	  PKT(ETH(), IP6(.payload_len = 0), HBH(), TCP(.dport = 22)), DROP, PG_REASON_RULE,
	  "ip6 p6 40000>22 f02" },
	{ "a jumbo length that 16 bits could say is wrong",
	  PKT(ETH(), IP6(.payload_len = 0), HBH(.jumbo = 28), TCP(.dport = 22)), DROP,
	  PG_REASON_BAD_LENGTH, NULL },
	{ "a jumbo option whose own length is not 4 is none, so its length means nothing",
	  PKT(ETH(), IP6(.payload_len = 0, .next = 0), BYTES("\x06\x00\xc2\x03\x00\x00\x00\x1c", 8),
	      TCP(.dport = 22)),
	  DROP, PG_REASON_RULE, "ip6 p6 40000>22 f02" },
	{ "an option that is not jumbo's has no length",
	  PKT(ETH(), IP6(.payload_len = 0, .next = 0), BYTES("\x06\x00\xc3\x04\x00\x00\x00\x1c", 8),
	      TCP(.dport = 22)),
	  DROP, PG_REASON_RULE, "ip6 p6 40000>22 f02" },
	{ "a jumbo length beyond the frame is wrong",
	  PKT(ETH(), IP6(.payload_len = 0), HBH(.jumbo = 65536), TCP(.dport = 22)), DROP,
	  PG_REASON_BAD_LENGTH, NULL },
};

/* Where the fast path must leave a packet to the general one, or just needs not. */
static const struct row fast_rows[] = {
	{ "IPv4 with TCP, total length one byte beyond",
	  PKT(ETH(), IP4(.tot_len = 51), TCP(.dport = 22), PAYLOAD(10)), DROP, PG_REASON_TRUNCATED,
	  NULL },
	{ "IPv4 with UDP, total length one byte beyond",
	  PKT(ETH(), IP4(.tot_len = 59), UDP(), PAYLOAD(30)), DROP, PG_REASON_TRUNCATED, NULL },
	{ "IPv6 with TCP, payload length one byte beyond",
	  PKT(ETH(), IP6(.payload_len = 31), TCP(.dport = 22), PAYLOAD(10)), DROP,
	  PG_REASON_TRUNCATED, NULL },
	{ "IPv6 with UDP, payload length one byte beyond",
	  PKT(ETH(), IP6(.payload_len = 39), UDP(), PAYLOAD(30)), DROP, PG_REASON_TRUNCATED, NULL },
	{ "IPv4 with exactly a UDP header, padded", PKT(ETH(), IP4(), UDP(), PAD(18)), ACCEPT,
	  PG_REASON_POLICY, "ip4 p17 40000>53" },
	{ "IPv6 with exactly a UDP header, padded", PKT(ETH(), IP6(), UDP(), PAD(18)), ACCEPT,
	  PG_REASON_POLICY, "ip6 p17 40000>53" },
	{ "IPv4 with a UDP header that ends in the padding",
	  PKT(ETH(), IP4(), UDP(.cut = 3), PAD(18)), ACCEPT, PG_REASON_POLICY, "ip4 p17" },
	{ "IPv6 with a UDP header that ends in the padding",
	  PKT(ETH(), IP6(), UDP(.cut = 3), PAD(18)), ACCEPT, PG_REASON_POLICY, "ip6 p17" },
	{ "IPv4 with UDP in a frame too short for a TCP header", PKT(ETH(), IP4(), UDP()), ACCEPT,
	  PG_REASON_POLICY, "ip4 p17 40000>53" },
	{ "IPv4 with UDP in a frame one byte too short for a TCP header",
	  PKT(ETH(), IP4(), UDP(), PAYLOAD(11)), ACCEPT, PG_REASON_POLICY, "ip4 p17 40000>53" },
	{ "IPv4 with UDP in a frame of just a TCP header's length",
	  PKT(ETH(), IP4(), UDP(), PAYLOAD(12)), ACCEPT, PG_REASON_POLICY, "ip4 p17 40000>53" },
	{ "IPv6 with UDP in a frame one byte too short for a TCP header",
	  PKT(ETH(), IP6(), UDP(), PAYLOAD(11)), ACCEPT, PG_REASON_POLICY, "ip6 p17 40000>53" },
	{ "IPv4 with a TCP header that ends in the padding",
	  PKT(ETH(), IP4(), TCP(.dport = 22, .cut = 19), PAD(7)), DROP, PG_REASON_SHORT_L4,
	  "ip4 p6 40000>22" },
	{ "IPv6 with a TCP header that ends in the padding",
	  PKT(ETH(), IP6(), TCP(.dport = 22, .cut = 19), PAD(7)), DROP, PG_REASON_SHORT_L4,
	  "ip6 p6 40000>22" },
	{ "IPv6 with a TCP header that the frame cuts off",
	  PKT(ETH(), IP6(), TCP(.dport = 22), CUT(73)), DROP, PG_REASON_TRUNCATED, NULL },
	{ "IPv6 with a TCP payload that the frame cuts off",
	  PKT(ETH(), IP6(), TCP(.dport = 22), PAYLOAD(10), CUT(83)), DROP, PG_REASON_TRUNCATED,
	  NULL },
	{ "IPv6 with exactly a TCP header", PKT(ETH(), IP6(), TCP(.dport = 22)), DROP,
	  PG_REASON_RULE, "ip6 p6 40000>22 f02" },
};

/* A jumbogram of JUMBO bytes behind its IPv6 header, saying that it has `length`. */
#define JUMBO 65536
#define JUMBOGRAM(length)                                                                          \
	PKT(ETH(), IP6(.payload_len = 0), HBH(.jumbo = (length)), TCP(.dport = 22),                \
	    PAYLOAD(JUMBO - 28))

static const struct row large_rows[] = {
	{ "a jumbo length of exactly what is there", JUMBOGRAM(JUMBO), DROP, PG_REASON_RULE,
	  "ip6 p6 40000>22 f02" },
	{ "a jumbo length one byte beyond", JUMBOGRAM(JUMBO + 1), DROP, PG_REASON_BAD_LENGTH, NULL },
	{ "a jumbo length beyond by less than an IPv6 header", JUMBOGRAM(JUMBO + 39), DROP,
	  PG_REASON_BAD_LENGTH, NULL },
	{ "a jumbo length that counts the IPv6 header, too", JUMBOGRAM(JUMBO + 40), DROP,
	  PG_REASON_BAD_LENGTH, NULL },
	{ "a jumbo length one byte beyond that", JUMBOGRAM(JUMBO + 41), DROP, PG_REASON_BAD_LENGTH,
	  NULL },
	{ "a frame of more than one buffer is read",
	  PKT(ETH(), IP4(), TCP(.dport = 22), PAYLOAD(8900)), DROP, PG_REASON_RULE,
	  "ip4 p6 40000>22 f02" },
	{ "an IPv6 frame of more than one buffer is read",
	  PKT(ETH(), IP6(), UDP(.dport = 22), PAYLOAD(8900)), ACCEPT, PG_REASON_POLICY,
	  "ip6 p17 40000>22" },
	{ "a frame of many buffers is read", PKT(ETH(), IP4(), TCP(.dport = 22), PAYLOAD(40000)), DROP,
	  PG_REASON_RULE, "ip4 p6 40000>22 f02" },
	{ "a length beyond many buffers is truncated",
	  PKT(ETH(), IP4(.tot_len = 8941), TCP(), PAYLOAD(8900)), DROP, PG_REASON_TRUNCATED, NULL },
	{ "a payload length of 0 counts the later buffers too",
	  PKT(ETH(), IP6(.payload_len = 0), HBH(), UDP(), PAYLOAD(8900)), ACCEPT, PG_REASON_POLICY,
	  "ip6 p17 40000>53" },
	{ "a transport header behind the first buffer is split",
	  PKT(ETH(), IP6(), DSTOPTS(.len = 2048), DSTOPTS(.len = 2048), TCP(.dport = 22),
	      PAYLOAD(4096)),
	  DROP, PG_REASON_SPLIT_HEADER, NULL },
	{ "an extension header behind the first buffer is split",
	  PKT(ETH(), IP6(), DSTOPTS(.len = 2048), DSTOPTS(.len = 2048), DSTOPTS(), TCP(.dport = 22),
	      PAYLOAD(4096)),
	  DROP, PG_REASON_SPLIT_HEADER, NULL },
	{ "a fragment header behind the first buffer is split",
	  PKT(ETH(), IP6(), DSTOPTS(.len = 2048), DSTOPTS(.len = 2048), FRAG6(), TCP(.dport = 22),
	      PAYLOAD(4096)),
	  DROP, PG_REASON_SPLIT_HEADER, NULL },
};

static struct harness h;
static uint8_t frame[PKT_MAX];

static void check_reading_is(const struct row *row, const char *hook, const struct pg_trace *t)
{
	char text[128];

	check_reading(t, text, sizeof(text));
	if (row->reading && strcmp(text, row->reading))
		fail_msg("%s (%s): read as \"%s\", not \"%s\"", row->name, hook, text, row->reading);
}

/* Before any rule: the frame itself is at fault, or is not IP. */
static bool is_the_parsers(enum pg_reason reason)
{
	return reason != PG_REASON_RULE && reason != PG_REASON_POLICY &&
	       reason != PG_REASON_SHORT_L4 && reason != PG_REASON_TINY_FRAGMENT &&
	       reason != PG_REASON_EXT_BROKEN;
}

static void arrives(const struct row *row, size_t len)
{
	struct pg_count rule = harness_count(&h, 1), policy = harness_count(&h, 0), now;
	struct check_counters *before = check_counters_read(&h), *after;
	struct pg_trace t;

	harness_run(&h, PG_DIR_IN, frame, len, &t);
	if (t.verdict != row->verdict || t.reason != row->reason)
		fail_msg("%s: verdict %u reason %u, not verdict %u reason %u", row->name, t.verdict,
			 t.reason, row->verdict, row->reason);
	check_reading_is(row, "in", &t);
	assert_int_equal(t.frame_len, len);
	after = check_counters_read(&h);
	check_counters_moved(row->name, before, after, PG_DIR_IN, &t);
	now = harness_count(&h, 1);
	assert_int_equal(now.packets - rule.packets, row->reason == PG_REASON_RULE);
	now = harness_count(&h, 0);
	assert_int_equal(now.packets - policy.packets, row->reason == PG_REASON_POLICY);
	assert_int_equal(now.bytes - policy.bytes, row->reason == PG_REASON_POLICY ? t.ip_len : 0);
	check_counters_free(before);
	check_counters_free(after);
}

/* Nothing that leaves is dropped; departures are read by the same parser, but for checksums. */
static void departs(const struct row *row, size_t len)
{
	struct check_counters *before = check_counters_read(&h), *after;
	enum pg_reason reason = PG_REASON_POLICY;
	struct pg_trace t;

	if (is_the_parsers(row->reason) && row->reason != PG_REASON_BAD_CHECKSUM)
		reason = row->reason;
	if (!harness_try_run(&h, PG_DIR_OUT, frame, len, &t)) {
		/* Newer kernels refuse less than an IP header in a test run on the TC side. */
		assert_int_equal(row->reason, PG_REASON_SHORT_HEADER);
		check_counters_free(before);
		return;
	}
	if (t.verdict != ACCEPT || t.reason != reason)
		fail_msg("%s (out): verdict %u reason %u, not verdict %u reason %u", row->name,
			 t.verdict, t.reason, ACCEPT, reason);
	check_reading_is(row, "out", &t);
	after = check_counters_read(&h);
	check_counters_moved(row->name, before, after, PG_DIR_OUT, &t);
	check_counters_free(before);
	check_counters_free(after);
}

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = pkt_build(rows[i].pkt, frame, sizeof(frame));

		arrives(&rows[i], len);
		/* The TC side takes a page at most in a test run, and no bare Ethernet header. */
		if (len > 14 && len <= pg_dp_run_max(h.dp))
			departs(&rows[i], len);
		if (len <= pg_dp_run_max(h.dp))
			check_prefixes(rows[i].name, &h, frame, len);
	}
}

static void reads_ethernet(void **state)
{
	(void)state;
	run_rows(ethernet_rows, ARRAY_SIZE(ethernet_rows));
}

static void reads_vlan_tags(void **state)
{
	(void)state;
	run_rows(vlan_rows, ARRAY_SIZE(vlan_rows));
}

static void reads_arp(void **state)
{
	(void)state;
	run_rows(arp_rows, ARRAY_SIZE(arp_rows));
}

static void reads_ip4(void **state)
{
	(void)state;
	run_rows(ip4_rows, ARRAY_SIZE(ip4_rows));
}

static void reads_transport_headers(void **state)
{
	(void)state;
	run_rows(l4_rows, ARRAY_SIZE(l4_rows));
}

static void reads_ip6_and_its_extension_headers(void **state)
{
	(void)state;
	run_rows(ip6_rows, ARRAY_SIZE(ip6_rows));
}

static void leaves_the_fast_path(void **state)
{
	(void)state;
	run_rows(fast_rows, ARRAY_SIZE(fast_rows));
}

static void reads_frames_of_many_buffers(void **state)
{
	struct pg_trace t;

	(void)state;
	memset(frame, 0, 10000);
	if (!harness_try_run(&h, PG_DIR_IN, frame, 10000, &t)) {
		print_message("skipped: this kernel runs no multi-buffer frames\n");
		skip();
	}
	run_rows(large_rows, ARRAY_SIZE(large_rows));
}

/* The addresses that rules and tables see, byte for byte. */
static void reads_addresses(void **state)
{
	static const uint8_t src4[] = { 192, 0, 2, 1 }, dst4[] = { 192, 0, 2, 2 };
	static const uint8_t src6[] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
	struct pg_trace t;
	size_t len;

	(void)state;
	len = pkt_build(PKT(ETH(), VLAN(), IP4(.optlen = 8), UDP()), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_memory_equal(t.saddr, src4, 4);
	assert_memory_equal(t.daddr, dst4, 4);
	len = pkt_build(PKT(ETH(), IP6(.dst = "2001:db8::1"), UDP()), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_memory_equal(t.saddr, src6, 16);
	assert_memory_equal(t.daddr, src6, 16);
}

/* IP bytes as iptables counts them; frame bytes where it is not IP or could not be read. */
static void counts_ip_bytes(void **state)
{
	struct pg_trace t;
	size_t len;

	(void)state;
	len = pkt_build(PKT(ETH(), VLAN(), IP4(), TCP(), PAYLOAD(3), PAD(11)), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_int_equal(t.ip_len, 43);
	len = pkt_build(PKT(ETH(), IP6(), HBH(), UDP(), PAYLOAD(3), PAD(11)), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_int_equal(t.ip_len, 59);
	/* No jumbogram: what pads it cannot be told from it. */
	len = pkt_build(PKT(ETH(), IP6(.payload_len = 0, .next = 0),
			    BYTES("\x11\x00\xc2\x03\x00\x01\x00\x00", 8), UDP(), PAD(11)),
			frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_int_equal(t.ip_len, 67);
	len = pkt_build(PKT(ETH(), ARP(), PAD(18)), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_int_equal(t.ip_len, 60);
}

/*
 * The rows above provoke every reason there is but one, which needs broken tables (test_classify), and
 * those of packets that are not whole (test_fragment), of a flow that was ended (test_flow) or not
 * asked about (tests/net/test_output.sh, test_forward.sh).
 */
static void every_reason_was_provoked(void **state)
{
	static struct pg_totals totals;

	(void)state;
	pg_dp_totals_read(h.dp, &totals);
	for (enum pg_reason r = 0; r < _PG_REASON_MAX; r++) {
		uint64_t packets = totals.count[0][PG_DIR_IN][ACCEPT][r].packets +
				   totals.count[0][PG_DIR_IN][DROP][r].packets;

		if (!packets && r != PG_REASON_INTERNAL && r != PG_REASON_FORWARDED &&
		    r != PG_REASON_PACKET_SOCKET && r != PG_REASON_EARLY_FRAGMENT &&
		    r != PG_REASON_FRAGMENT_OVERLAP && r != PG_REASON_KILLED &&
		    r != PG_REASON_MARK_LOST) /* test_mark.c provokes it */
			fail_msg("no row provokes reason %u", r);
	}
}

static int open_instance(void **state)
{
	(void)state;
	harness_load(&h, rules);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_ethernet),
		cmocka_unit_test(reads_vlan_tags),
		cmocka_unit_test(reads_arp),
		cmocka_unit_test(reads_ip4),
		cmocka_unit_test(reads_transport_headers),
		cmocka_unit_test(reads_ip6_and_its_extension_headers),
		cmocka_unit_test(leaves_the_fast_path),
		cmocka_unit_test(reads_frames_of_many_buffers),
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(counts_ip_bytes),
		cmocka_unit_test(every_reason_was_provoked),
	};
	struct pg_err err = { 0 };

	return group_run(&h, harness_open(&h, "", &err), &err, tests, ARRAY_SIZE(tests),
			 open_instance);
}
