/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules × packets → verdict, reason, the rule that decided, and which rules counted. Every row is
 * held against the oracle too, with every prefix of its frame. What iptables-legacy does is the
 * reference; tests/referee asks the kernel itself.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "group.h"
#include "oracle.h"
#include "pkt.h"

#define ACCEPT PG_VERDICT_ACCEPT
#define DROP PG_VERDICT_DROP
#define IFACE "eth1"

struct row {
	const char *name;
	const char *rules; /* of INPUT, a line each; its policy is ACCEPT */
	const struct pkt_layer *pkt;
	enum pg_verdict verdict;
	enum pg_reason reason;
	unsigned rule;	  /* that decided or asked; 0: the policy */
	unsigned counted; /* bit n: rule n counts the packet; bit 0: the policy does */
};

#define R(n) (1U << (n))

static const struct row rule_rows[] = {
	{ "an empty chain leaves it to the policy", "", PKT(ETH(), IP4(), TCP()), ACCEPT,
	  PG_REASON_POLICY, 0, R(0) },
	{ "a rule without conditions takes all", "-j DROP", PKT(ETH(), IP6(), UDP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "the first match wins", "-p tcp --dport 80 -j DROP\n-p tcp -j ACCEPT\n-j DROP",
	  PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a rule that does not match is passed by",
	  "-p tcp --dport 81 -j DROP\n-p tcp -j ACCEPT\n-j DROP", PKT(ETH(), IP4(), TCP()), ACCEPT,
	  PG_REASON_RULE, 2, R(2) },
	{ "a rule without target counts and goes on", "-p tcp\n-p udp\n-p tcp --dport 80\n-j DROP",
	  PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 4, R(1) | R(3) | R(4) },
	{ "rules without target leave it to the policy", "-p tcp\n-s 192.0.2.0/24",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) | R(1) | R(2) },
	{ "a negated protocol holds for others", "! -p tcp -j DROP", PKT(ETH(), IP4(), UDP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "a negated protocol does not hold for itself", "! -p tcp -j DROP",
	  PKT(ETH(), IP6(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "udp 80 does not match a tcp rule", "-p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(), UDP(.dport = 80)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a protocol goes by its number behind extension headers", "-p 17 -j DROP",
	  PKT(ETH(), IP6(), HBH(), DSTOPTS(), UDP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a comment changes nothing", "-p tcp -m comment --comment \"a b\" --dport 80 -j DROP",
	  PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "no next header is a protocol like any other", "-p 59 -j DROP", PKT(ETH(), IP6()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "rules hold inside two VLAN tags", "-s 192.0.2.1 -p tcp --dport 80 -j DROP",
	  PKT(ETH(), QINQ(), VLAN(), IP4(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "ARP asks no rule", "-j DROP", PKT(ETH(), ARP()), ACCEPT, PG_REASON_ARP, 0, 0 },
	{ "what is not IP asks no rule", "-j DROP", PKT(ETH(.type = 0x88cc), PAYLOAD(46)), ACCEPT,
	  PG_REASON_NON_IP, 0, 0 },
	{ "a malformed packet asks no rule", "-j ACCEPT", PKT(ETH(), IP4(.ihl = 4), TCP()), DROP,
	  PG_REASON_BAD_IHL, 0, 0 },
};

static const struct row address_rows[] = {
	{ "a source address matches", "-s 192.0.2.1 -j DROP", PKT(ETH(), IP4(), TCP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "a source address is not the destination", "-s 192.0.2.2 -j DROP", PKT(ETH(), IP4(), TCP()),
	  ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a destination address matches", "-d 192.0.2.2 -j DROP", PKT(ETH(), IP4(), TCP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "the last address of a network is in it", "-s 192.0.2.0/25 -j DROP",
	  PKT(ETH(), IP4(.src = "192.0.2.127"), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "the next one is not", "-s 192.0.2.0/25 -j DROP",
	  PKT(ETH(), IP4(.src = "192.0.2.128"), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a network above a byte's boundary holds all of it", "-d 172.16.0.0/12 -j DROP",
	  PKT(ETH(), IP4(.dst = "172.31.255.255"), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "and nothing behind it", "-d 172.16.0.0/12 -j DROP",
	  PKT(ETH(), IP4(.dst = "172.32.0.0"), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a mask may have gaps", "-s 10.0.0.1/255.0.0.255 -j DROP",
	  PKT(ETH(), IP4(.src = "10.99.98.1"), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a mask with gaps looks behind them", "-s 10.0.0.1/255.0.0.255 -j DROP",
	  PKT(ETH(), IP4(.src = "10.99.98.2"), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a network of all addresses is IPv4's", "-s 0.0.0.0/0 -j DROP", PKT(ETH(), IP6(), TCP()),
	  ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a negated address holds for others", "! -s 192.0.2.1 -j DROP",
	  PKT(ETH(), IP4(.src = "192.0.2.3"), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a negated address does not hold for itself", "! -s 192.0.2.1 -j DROP",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a negated IPv4 address says nothing about IPv6", "! -s 192.0.2.1 -j DROP",
	  PKT(ETH(), IP6(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "each address of a list is a rule", "-s 192.0.2.9,192.0.2.1 -j DROP",
	  PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 2, R(2) },
	{ "an IPv6 address matches", "-s 2001:db8::1 -d 2001:db8::/127 -j DROP",
	  PKT(ETH(), IP6(.dst = "2001:db8::"), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "the last bit of an IPv6 address counts", "-s 2001:db8::/128 -j DROP",
	  PKT(ETH(), IP6(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "an IPv6 network ends within a byte", "-d 2001:db8:8000::/33 -j DROP",
	  PKT(ETH(), IP6(.dst = "2001:db8:ffff::1"), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "an IPv6 mask may have gaps", "-d 2001:db8::2/ffff::ff -j DROP",
	  PKT(ETH(), IP6(.dst = "2001:1234:5678::2"), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "more specific networks do not come first by themselves",
	  "-s 192.0.0.0/16 -j ACCEPT\n-s 192.0.2.1 -j DROP", PKT(ETH(), IP4(), TCP()), ACCEPT,
	  PG_REASON_RULE, 1, R(1) },
	{ "a wider network after a narrower one still counts",
	  "-s 192.0.2.1\n-s 192.0.2.0/24\n-s 0.0.0.0/0\n-s 192.0.2.2", PKT(ETH(), IP4(), TCP()),
	  ACCEPT, PG_REASON_POLICY, 0, R(0) | R(1) | R(2) | R(3) },
};

static const struct row family_rows[] = {
	{ "a rule without an address holds for IPv6", "-p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP6(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "-4 does not hold for IPv6", "-4 -j DROP", PKT(ETH(), IP6(), TCP()), ACCEPT,
	  PG_REASON_POLICY, 0, R(0) },
	{ "-4 holds for IPv4", "-4 -j DROP", PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "-6 does not hold for IPv4", "-6 -p tcp -j DROP", PKT(ETH(), IP4(), TCP()), ACCEPT,
	  PG_REASON_POLICY, 0, R(0) },
	{ "-6 holds for IPv6", "-6 -p tcp -j DROP", PKT(ETH(), IP6(), TCP()), DROP, PG_REASON_RULE, 1,
	  R(1) },
	{ "an ICMP match is IPv4's", "-p icmp --icmp-type any -j DROP", PKT(ETH(), IP6(), ICMP()),
	  ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "protocol 1 alone is both families'", "-p icmp -j DROP", PKT(ETH(), IP6(), ICMP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "-f is IPv4's", "-f -j DROP", PKT(ETH(), IP6(), FRAG6(.frag = 2), UDP()), ACCEPT,
	  PG_REASON_POLICY, 0, R(0) },
	{ "! -f is IPv4's", "! -f -j DROP", PKT(ETH(), IP6(), UDP()), ACCEPT, PG_REASON_POLICY, 0,
	  R(0) },
	{ "a rule of the other family asks nothing", "-6 -p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(), TCP(.cut = 3)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
};

static const struct row iface_rows[] = {
	{ "an interface matches by its name", "-i " IFACE " -j DROP", PKT(ETH(), IP4(), TCP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "another interface does not match", "-i eth0 -j DROP", PKT(ETH(), IP4(), TCP()), ACCEPT,
	  PG_REASON_POLICY, 0, R(0) },
	{ "a name that only begins so does not match", "-i eth -j DROP\n-i eth11 -j DROP",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a pattern matches what begins so", "-i eth+ -j DROP", PKT(ETH(), IP4(), TCP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "a pattern matches its own beginning", "-i " IFACE "+ -j DROP", PKT(ETH(), IP4(), TCP()),
	  DROP, PG_REASON_RULE, 1, R(1) },
	{ "a pattern does not match what begins otherwise", "-i wlan+ -j DROP",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a pattern of nothing matches all", "-i + -j DROP", PKT(ETH(), IP4(), TCP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "a negated interface holds for others", "! -i eth0 -j DROP", PKT(ETH(), IP4(), TCP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "a negated pattern does not hold for its own", "! -i eth+ -j DROP",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a rule of another interface asks nothing", "-i eth0 -p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(), TCP(.cut = 3)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
};

static const struct row port_rows[] = {
	{ "the first port of a range is in it", "-p tcp --dport 80:90 -j DROP",
	  PKT(ETH(), IP4(), TCP(.dport = 80)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "the last port of a range is in it", "-p tcp --dport 80:90 -j DROP",
	  PKT(ETH(), IP4(), TCP(.dport = 90)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "the port before a range is not", "-p tcp --dport 80:90 -j DROP",
	  PKT(ETH(), IP4(), TCP(.dport = 79)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "the port behind a range is not", "-p tcp --dport 80:90 -j DROP",
	  PKT(ETH(), IP4(), TCP(.dport = 91)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a range crosses the high byte", "-p udp --dport 250:1030 -j DROP",
	  PKT(ETH(), IP4(), UDP(.dport = 1024)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "an open range reaches 65535", "-p udp --sport 1024: -j DROP",
	  PKT(ETH(), IP4(), UDP(.sport = 65535)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "an open range begins at 0", "-p udp --sport :1023 -j DROP",
	  PKT(ETH(), IP4(), UDP(.sport = 0)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "ports are not swapped in their bytes", "-p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(), TCP(.dport = 0x5000)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "both ports must match", "-p tcp --sport 40000 --dport 81 -j DROP",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a negated port holds for others", "-p tcp ! --dport 22 -j DROP", PKT(ETH(), IP4(), TCP()),
	  DROP, PG_REASON_RULE, 1, R(1) },
	{ "a negated port of TCP does not hold for UDP", "-p tcp ! --dport 22 -j DROP",
	  PKT(ETH(), IP4(), UDP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "SCTP ports match", "-p sctp -m sctp --dport 2905 -j DROP", PKT(ETH(), IP4(), SCTP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "DCCP ports match", "-p dccp -m dccp --sport 40000 -j DROP", PKT(ETH(), IP6(), DCCP()),
	  DROP, PG_REASON_RULE, 1, R(1) },
	{ "UDP-Lite ports match with multiport", "-p udplite -m multiport --dports 53 -j DROP",
	  PKT(ETH(), IP4(), UDPLITE()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a multiport list matches any of its ports", "-p tcp -m multiport --dports 22,80,443 -j DROP",
	  PKT(ETH(), IP4(), TCP(.dport = 443)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a multiport range matches", "-p tcp -m multiport --dports 22,8000:8010 -j DROP",
	  PKT(ETH(), IP4(), TCP(.dport = 8010)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a negated list holds outside it", "-p tcp -m multiport ! --dports 22,443 -j DROP",
	  PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a negated list does not hold inside it", "-p tcp -m multiport ! --dports 22,80 -j DROP",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "--ports matches the source", "-p tcp -m multiport --ports 40000,22 -j DROP",
	  PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "--ports matches the destination", "-p tcp -m multiport --ports 80 -j DROP",
	  PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "--ports counts a packet once though both sides match",
	  "-p tcp -m multiport --ports 80,40000\n-p tcp -j DROP", PKT(ETH(), IP4(), TCP()), DROP,
	  PG_REASON_RULE, 2, R(1) | R(2) },
	{ "negated --ports needs both sides outside", "-p tcp -m multiport ! --ports 80 -j DROP",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "negated --ports holds with both sides outside", "-p tcp -m multiport ! --ports 22 -j DROP",
	  PKT(ETH(), IP4(), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "two lists must both match",
	  "-p tcp -m multiport --sports 40000 -m multiport --dports 22 -j DROP",
	  PKT(ETH(), IP4(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a list and a port must both match",
	  "-p tcp -m multiport --ports 40000 -m tcp --dport 80 -j DROP", PKT(ETH(), IP4(), TCP()),
	  DROP, PG_REASON_RULE, 1, R(1) },
};

static const struct row detail_rows[] = {
	{ "--syn matches a first packet", "-p tcp --syn -j DROP", PKT(ETH(), IP4(), TCP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "--syn does not match an answer", "-p tcp --syn -j DROP",
	  PKT(ETH(), IP4(), TCP(.flags = PKT_SYN | PKT_ACK)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "--syn leaves out ECE and CWR", "-p tcp --syn -j DROP",
	  PKT(ETH(), IP4(), TCP(.flags = PKT_SYN | PKT_ECE | PKT_CWR)), DROP, PG_REASON_RULE, 1,
	  R(1) },
	{ "! --syn holds for all other TCP", "-p tcp ! --syn -j DROP",
	  PKT(ETH(), IP6(), TCP(.flags = PKT_ACK)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "! --syn does not hold for UDP", "-p tcp ! --syn -j DROP", PKT(ETH(), IP6(), UDP()), ACCEPT,
	  PG_REASON_POLICY, 0, R(0) },
	{ "a null scan has none of six flags", "-p tcp --tcp-flags ALL NONE -j DROP",
	  PKT(ETH(), IP4(), TCP(.flags = PKT_ECE)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "an Xmas scan has these three", "-p tcp --tcp-flags ALL FIN,PSH,URG -j DROP",
	  PKT(ETH(), IP4(), TCP(.flags = PKT_FIN | PKT_PSH | PKT_URG)), DROP, PG_REASON_RULE, 1,
	  R(1) },
	{ "flags outside the mask do not count", "-p tcp --tcp-flags SYN,RST SYN -j DROP",
	  PKT(ETH(), IP4(), TCP(.flags = PKT_SYN | PKT_FIN)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "flags that the mask leaves out can never match", "-p tcp --tcp-flags ACK FIN -j DROP",
	  PKT(ETH(), IP4(), TCP(.flags = 0xff)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "an ICMP type matches with any code", "-p icmp --icmp-type 3 -j DROP",
	  PKT(ETH(), IP4(), ICMP(.type = 3, .code = 200)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "an ICMP code must match where one is given", "-p icmp --icmp-type 3/4 -j DROP",
	  PKT(ETH(), IP4(), ICMP(.type = 3, .code = 3)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "an ICMP type goes by its name", "-p icmp --icmp-type echo-request -j DROP",
	  PKT(ETH(), IP4(), ICMP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a negated ICMP type holds for others", "-p icmp ! --icmp-type 8 -j DROP",
	  PKT(ETH(), IP4(), ICMP(.type = 0)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "any ICMP type is any", "-p icmp --icmp-type any -j DROP",
	  PKT(ETH(), IP4(), ICMP(.type = 77)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "type 255 is the kernel's any", "-p icmp --icmp-type 255 -j DROP",
	  PKT(ETH(), IP4(), ICMP(.type = 77)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "type 255 of ICMPv6 is just that", "-p ipv6-icmp --icmpv6-type 255 -j DROP",
	  PKT(ETH(), IP6(), ICMP6(.type = 77)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "an ICMPv6 type and code match", "-p ipv6-icmp --icmpv6-type 1/4 -j DROP",
	  PKT(ETH(), IP6(), ICMP6(.type = 1, .code = 4)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "ICMP type and code are not TCP's flags", "-p icmp --icmp-type 0/2 -j DROP",
	  PKT(ETH(), IP4(), TCP(.sport = 0, .dport = 2)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
};

static const struct row fragment_rows[] = {
	{ "-f matches a later fragment", "-f -j DROP", PKT(ETH(), IP4(.frag = 5), UDP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "-f does not match a first fragment", "-f -j DROP", PKT(ETH(), IP4(.mf = 1), UDP()), ACCEPT,
	  PG_REASON_POLICY, 0, R(0) },
	{ "! -f matches a whole packet", "! -f -j DROP", PKT(ETH(), IP4(), UDP()), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "! -f does not match a later fragment", "! -f -j DROP", PKT(ETH(), IP4(.frag = 5), UDP()),
	  ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a protocol matches in a later fragment", "-p tcp -j DROP",
	  PKT(ETH(), IP4(.frag = 5), TCP()), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a port never matches in a later fragment", "-p udp --dport 53 -j DROP",
	  PKT(ETH(), IP4(.frag = 5), UDP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a negated port does not match there either", "-p udp ! --dport 22 -j DROP",
	  PKT(ETH(), IP4(.frag = 5), UDP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "nor do multiport, negated or not",
	  "-p udp -m multiport --dports 53 -j DROP\n-p udp -m multiport ! --dports 53 -j DROP",
	  PKT(ETH(), IP4(.frag = 5), UDP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "nor does any ICMP type", "-p icmp --icmp-type any -j DROP",
	  PKT(ETH(), IP4(.frag = 5), ICMP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "nor does a port under IPv6", "-p udp --dport 53 -j DROP",
	  PKT(ETH(), IP6(), FRAG6(.frag = 5), UDP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a later fragment at offset 16 asks for no TCP header", "-p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(.frag = 2), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a TCP match drops a fragment at offset 8", "-p tcp --dport 80 -j ACCEPT",
	  PKT(ETH(), IP4(.frag = 1, .proto = 6), PAYLOAD(8)), DROP, PG_REASON_TINY_FRAGMENT, 1, 0 },
	{ "a TCP match with other ports drops it too", "-p tcp --dport 9999 -j ACCEPT",
	  PKT(ETH(), IP4(.frag = 1), TCP()), DROP, PG_REASON_TINY_FRAGMENT, 1, 0 },
	{ "-p tcp alone does not drop it", "-p tcp -j ACCEPT", PKT(ETH(), IP4(.frag = 1), TCP()),
	  ACCEPT, PG_REASON_RULE, 1, R(1) },
	{ "a rule whose address fails does not drop it", "-s 10.0.0.1 -p tcp --dport 80 -j ACCEPT",
	  PKT(ETH(), IP4(.frag = 1), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a UDP match leaves a fragment at offset 8 alone", "-p udp --dport 53 -j DROP",
	  PKT(ETH(), IP4(.frag = 1), UDP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "multiport before the TCP match saves it",
	  "-p tcp -m multiport --dports 80 -m tcp --syn -j DROP", PKT(ETH(), IP4(.frag = 1), TCP()),
	  ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "multiport behind the TCP match does not",
	  "-p tcp -m tcp --syn -m multiport --dports 80 -j ACCEPT",
	  PKT(ETH(), IP4(.frag = 1), TCP()), DROP, PG_REASON_TINY_FRAGMENT, 1, 0 },
	{ "a decision before the TCP match saves it",
	  "-f -j ACCEPT\n-p tcp --dport 80 -j DROP", PKT(ETH(), IP4(.frag = 1), TCP()), ACCEPT,
	  PG_REASON_RULE, 1, R(1) },
	{ "-f behind no other condition still asks before the match",
	  "-f -p tcp --dport 80 -j ACCEPT", PKT(ETH(), IP4(.frag = 1), TCP()), DROP,
	  PG_REASON_TINY_FRAGMENT, 1, 0 },
	{ "! -f before the TCP match saves it", "! -f -p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(.frag = 1), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "fragment offset 1 of IPv6 is no tiny fragment", "-p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP6(), FRAG6(.frag = 1), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
};

static const struct row cut_rows[] = {
	{ "a TCP match drops 19 bytes of header", "-p tcp --dport 9999 -j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 19)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "a TCP match takes 20 bytes of header", "-p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(), TCP(.cut = 20)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "-p tcp alone asks for no header", "-p tcp -j DROP", PKT(ETH(), IP4(), TCP(.cut = 0)), DROP,
	  PG_REASON_RULE, 1, R(1) },
	{ "-m tcp without options asks for one", "-p tcp -m tcp -j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 19)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "a UDP match drops 7 bytes of header", "-p udp --dport 9999 -j ACCEPT",
	  PKT(ETH(), IP6(), UDP(.cut = 7)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "a UDP match takes 8 bytes of header", "-p udp --dport 53 -j DROP",
	  PKT(ETH(), IP6(), UDP(.cut = 8)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "an ICMP match drops 7 bytes of header", "-p icmp --icmp-type any -j ACCEPT",
	  PKT(ETH(), IP4(), ICMP(.cut = 7)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "an ICMPv6 match drops 7 bytes of header", "-p ipv6-icmp --icmpv6-type 1 -j ACCEPT",
	  PKT(ETH(), IP6(), ICMP6(.cut = 7)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "an SCTP match drops 11 bytes of header", "-p sctp --dport 1 -j ACCEPT",
	  PKT(ETH(), IP4(), SCTP(.cut = 11)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "a DCCP match drops 11 bytes of header", "-p dccp --dport 1 -j ACCEPT",
	  PKT(ETH(), IP4(), DCCP(.cut = 11)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "multiport drops 3 bytes of header", "-p udp -m multiport --dports 9999 -j ACCEPT",
	  PKT(ETH(), IP4(), UDP(.cut = 3)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "multiport takes 4 bytes of header", "-p udp -m multiport --dports 53 -j DROP",
	  PKT(ETH(), IP4(), UDP(.cut = 4)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "multiport takes 4 bytes of UDP-Lite", "-p udplite -m multiport --dports 53 -j DROP",
	  PKT(ETH(), IP4(), UDPLITE(.cut = 4)), DROP, PG_REASON_RULE, 1, R(1) },
	{ "a multiport that misses goes on to rules that ask for more",
	  "-p tcp -m multiport --dports 22 -j DROP\n-p tcp --dport 80 -j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 4)), DROP, PG_REASON_SHORT_L4, 2, 0 },
	{ "multiport that misses keeps the TCP match behind it from asking",
	  "-p tcp -m multiport --dports 22 -m tcp --syn -j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 4)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "multiport that hits lets the TCP match behind it ask",
	  "-p tcp -m multiport --dports 80 -m tcp --syn -j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 4)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "the TCP match asks first where it stands first",
	  "-p tcp -m tcp --syn -m multiport --dports 22 -j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 4)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "--ports that hits by its source lets the TCP match ask",
	  "-p tcp -m multiport --ports 40000 -m tcp --dport 1 -j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 8)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "--ports that misses keeps the TCP match from asking",
	  "-p tcp -m multiport --ports 22 -m tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(), TCP(.cut = 8)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a rule of another protocol asks nothing", "-p udp --dport 80 -j DROP",
	  PKT(ETH(), IP4(), TCP(.cut = 0)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a rule of another address asks nothing", "-d 10.0.0.1 -p tcp --dport 80 -j DROP",
	  PKT(ETH(), IP4(), TCP(.cut = 0)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a decision before the question is a decision",
	  "-s 192.0.2.1 -j ACCEPT\n-p tcp --dport 80 -j DROP", PKT(ETH(), IP4(), TCP(.cut = 0)),
	  ACCEPT, PG_REASON_RULE, 1, R(1) },
	{ "rules before the question have counted", "-p tcp\n-p tcp --dport 80 -j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 0)), DROP, PG_REASON_SHORT_L4, 2, R(1) },
	{ "a rule without target asks too", "-p tcp --dport 80\n-j ACCEPT",
	  PKT(ETH(), IP4(), TCP(.cut = 0)), DROP, PG_REASON_SHORT_L4, 1, 0 },
	{ "the policy takes what no rule asks", "-p udp -j DROP", PKT(ETH(), IP4(), TCP(.cut = 0)),
	  ACCEPT, PG_REASON_POLICY, 0, R(0) },
};

static const struct row chain_rows[] = {
	{ "a broken chain is dropped by a rule with -p", "-p udp -j ACCEPT",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 6, .cut = 1)), DROP, PG_REASON_EXT_BROKEN, 1, 0 },
	{ "a negated protocol asks for it as well", "! -p udp -j ACCEPT",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 6, .cut = 1)), DROP, PG_REASON_EXT_BROKEN, 1, 0 },
	{ "a rule without -p never walks", "-s 2001:db8::1 -j ACCEPT\n-p tcp -j DROP",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 6, .cut = 1)), ACCEPT, PG_REASON_RULE, 1, R(1) },
	{ "a rule of another address does not walk", "-s 2001:db8::9 -p tcp -j DROP",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 6, .cut = 1)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a rule of another interface does not walk", "-i eth0 -p tcp -j DROP",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 6, .cut = 1)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a rule of IPv4 does not walk", "-4 -p tcp -j DROP",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 6, .cut = 1)), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "no rule with -p leaves a broken chain to the policy", "-s 2001:db8::9 -j DROP",
	  PKT(ETH(), IP6(), FRAG6(.frag = 2), DSTOPTS(), TCP()), ACCEPT, PG_REASON_POLICY, 0, R(0) },
	{ "a later fragment of an extension header is broken", "-p tcp -j ACCEPT",
	  PKT(ETH(), IP6(), FRAG6(.frag = 2), DSTOPTS(), TCP()), DROP, PG_REASON_EXT_BROKEN, 1, 0 },
	{ "rules before it have counted", "-s 2001:db8::1\n-d 2001:db8::2\n-p tcp -j ACCEPT",
	  PKT(ETH(), IP6(), AH(.next = 6, .cut = 1)), DROP, PG_REASON_EXT_BROKEN, 3, R(1) | R(2) },
	{ "a chain that is whole asks for the header behind it", "-p tcp --dport 80 -j ACCEPT",
	  PKT(ETH(), IP6(), DSTOPTS(.next = 6)), DROP, PG_REASON_SHORT_L4, 1, 0 },
};

static struct harness h;
static uint8_t frame[PKT_MAX];

/* A file of filter's, but for its end. Frees it. */
static void load_text(struct pg_text *text)
{
	pg_text_add(text, "COMMIT\n");
	assert_false(text->oom);
	harness_load(&h, text->buf);
	pg_text_free(text);
}

static void load_rules(const char *rules)
{
	struct pg_text text = { 0 };
	size_t len;

	pg_text_add(&text, "*filter\n:INPUT ACCEPT [0:0]\n");
	for (; *rules; rules += len + (rules[len] == '\n')) {
		len = strcspn(rules, "\n");
		pg_text_add(&text, "-A INPUT %.*s\n", (int)len, rules);
	}
	load_text(&text);
}

static void check_rules_counted(const struct row *row, uint64_t bytes)
{
	for (size_t i = 0; i <= harness_input(&h)->n_rules; i++) {
		struct pg_count c = harness_count(&h, i);
		bool hit = row->counted >> i & 1;

		if (c.packets != hit || c.bytes != (hit ? bytes : 0))
			fail_msg("%s: rule %zu counted %llu packets, %llu bytes", row->name, i,
				 (unsigned long long)c.packets, (unsigned long long)c.bytes);
	}
}

static void check_row(const struct row *row)
{
	size_t len = pkt_build(row->pkt, frame, sizeof(frame));
	struct check_counters *before, *after;
	struct pg_trace t;

	load_rules(row->rules);
	before = check_counters_read(&h);
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	after = check_counters_read(&h);
	if (t.verdict != row->verdict || t.reason != row->reason || harness_rule(&h, &t) != row->rule)
		fail_msg("%s: verdict %u reason %u rule %zu, not verdict %u reason %u rule %u",
			 row->name, t.verdict, t.reason, harness_rule(&h, &t), row->verdict,
			 row->reason, row->rule);
	check_rules_counted(row, t.ip_len);
	check_counters_moved(row->name, before, after, PG_DIR_IN, &t);
	check_prefixes(row->name, &h, frame, len);
	check_counters_free(before);
	check_counters_free(after);
}

#define TEST_ROWS(test, rows)                                                                      \
	static void test(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)                                      \
			check_row(&(rows)[i]);                                                     \
	}

TEST_ROWS(rules_decide_in_order, rule_rows)
TEST_ROWS(addresses_match_under_their_masks, address_rows)
TEST_ROWS(families_narrow, family_rows)
TEST_ROWS(interfaces_match_by_name_and_pattern, iface_rows)
TEST_ROWS(ports_match, port_rows)
TEST_ROWS(flags_and_types_match, detail_rows)
TEST_ROWS(fragments_have_no_header, fragment_rows)
TEST_ROWS(headers_that_are_cut_off_drop_when_asked, cut_rows)
TEST_ROWS(broken_chains_drop_when_asked, chain_rows)

/* n rules, one for each destination port from 1; rule i drops when i is odd. */
static void load_ports(unsigned n)
{
	struct pg_text text = { 0 };

	pg_text_add(&text, "*filter\n:INPUT ACCEPT [0:0]\n");
	for (unsigned i = 1; i <= n; i++)
		pg_text_add(&text, "-A INPUT -p udp -m udp --dport %u -j %s\n", i,
			    i % 2 ? "DROP" : "ACCEPT");
	load_text(&text);
}

static void expect_rule(unsigned port, size_t rule, enum pg_verdict verdict)
{
	struct pg_count count;
	struct pg_trace t;
	size_t len;

	len = pkt_build(PKT(ETH(), IP4(), UDP(.dport = port)), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_int_equal(t.verdict, verdict);
	assert_int_equal(t.reason, rule ? PG_REASON_RULE : PG_REASON_POLICY);
	assert_int_equal(harness_rule(&h, &t), rule);
	count = harness_count(&h, rule);
	assert_int_equal(count.packets, 1);
	assert_int_equal(count.bytes, 28);
}

static void check_sizes(unsigned n, enum pg_form form)
{
	struct pg_dp_policy_info info;

	load_ports(n);
	pg_dp_policy_info(h.dp, &info);
	assert_int_equal(info.form, form);
	assert_int_equal(info.terms, n);
	for (unsigned i = 1; i <= n; i += n > 100 ? 61 : 1)
		expect_rule(i, i, i % 2 ? DROP : ACCEPT);
	expect_rule(n + 1, 0, ACCEPT);
	if (n > 100 && (n - 1) % 61)
		expect_rule(n, n, n % 2 ? DROP : ACCEPT);
}

static void sixty_four_rules_are_one_word(void **state)
{
	(void)state;
	check_sizes(32, PG_FORM_WORD);
	check_sizes(63, PG_FORM_WORD);
	check_sizes(64, PG_FORM_WORD);
}

static void thirty_one_rules_are_in_the_leaves(void **state)
{
	(void)state;
	check_sizes(1, PG_FORM_TINY);
	check_sizes(2, PG_FORM_TINY);
	check_sizes(31, PG_FORM_TINY);
}

static void more_rules_are_a_tree(void **state)
{
	(void)state;
	check_sizes(65, PG_FORM_TREE);
	check_sizes(128, PG_FORM_TREE);
	check_sizes(129, PG_FORM_TREE);
	check_sizes(4096, PG_FORM_TREE);
	check_sizes(4097, PG_FORM_TREE); /* a summary bit stands for two words */
	check_sizes(8192, PG_FORM_TREE);
}

static void no_rules_are_no_tables(void **state)
{
	struct pg_dp_policy_info info;

	(void)state;
	harness_load(&h, "*filter\n:INPUT DROP [0:0]\nCOMMIT\n");
	pg_dp_policy_info(h.dp, &info);
	assert_int_equal(info.form, PG_FORM_EMPTY);
	expect_rule(53, 0, DROP);
}

static void a_rule_too_many_is_refused_and_changes_nothing(void **state)
{
	struct pg_ruleset *set;
	struct pg_err err = { 0 };
	struct pg_rule rule = { .narrowed = PG_V46, .target = PG_TARGET_ACCEPT, .slot = PG_NO_SLOT };

	(void)state;
	load_ports(100);
	set = pg_ruleset_dup(h.set);
	assert_non_null(set);
	for (unsigned i = 0; i <= PG_MAX_TERMS; i++)
		assert_int_equal(pg_chain_insert(&set->chain[PG_CHAIN_INPUT],
						 set->chain[PG_CHAIN_INPUT].n_rules, &rule), 0);
	assert_true(pg_policy_commit(h.dp, set, &err) < 0);
	assert_string_not_equal(err.text, "");
	pg_ruleset_free(set);
	expect_rule(1, 1, DROP);
}

/* What no compiler makes: every term matches and leads back to the first. */
static void tables_that_make_no_sense_drop_as_internal(void **state)
{
	struct pg_err err = { 0 };
	_free_ void *text = NULL;
	size_t n = 0;
	struct pg_trace t;
	size_t len;

	(void)state;
	load_ports(4096);
	memset(h.tables->rows, 0xff, h.tables->n_row_words * sizeof(*h.tables->rows));
	for (__u32 i = 0; i < h.tables->gen.terms; i++) {
		h.tables->records[i].kind = PG_ACT_GOTO;
		h.tables->records[i].arg = 0;
	}
	h.tables->spans = calloc(1, sizeof(*h.tables->spans));
	assert_non_null(h.tables->spans);
	h.tables->n_spans = 1;
	h.tables->spans[0] = (struct pg_span){ 0, h.tables->gen.terms };
	assert_int_equal(pg_dp_policy_text(h.dp, &text, &n, &err), 0);
	assert_int_equal(pg_dp_commit(h.dp, h.tables, text, n, &err), 0);
	len = pkt_build(PKT(ETH(), IP4(), UDP()), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_int_equal(t.verdict, DROP);
	assert_int_equal(t.reason, PG_REASON_INTERNAL);
}

/* All forms must give the same: a block of rules that can't match makes the one the other. */
static void agrees_behind(unsigned before)
{
	static const struct row *const tables[] = { rule_rows, address_rows, port_rows, detail_rows,
						    fragment_rows, cut_rows, chain_rows };
	static const size_t sizes[] = { ARRAY_SIZE(rule_rows),	   ARRAY_SIZE(address_rows),
					ARRAY_SIZE(port_rows),	   ARRAY_SIZE(detail_rows),
					ARRAY_SIZE(fragment_rows), ARRAY_SIZE(cut_rows),
					ARRAY_SIZE(chain_rows) };
	static char rules[1 << 19];
	struct row row;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		for (size_t j = 0; j < sizes[i]; j++) {
			size_t n = 0;

			row = tables[i][j];
			for (unsigned k = 0; k < before; k++)
				n += snprintf(rules + n, sizeof(rules) - n,
					      "-i nosuch%u -p tcp --dport 80 -j DROP\n", k);
			snprintf(rules + n, sizeof(rules) - n, "%s", row.rules);
			load_rules(rules);
			struct pg_trace t;
			size_t len = pkt_build(row.pkt, frame, sizeof(frame));

			harness_run(&h, PG_DIR_IN, frame, len, &t);
			if (t.verdict != row.verdict || t.reason != row.reason ||
			    harness_rule(&h, &t) != (row.rule ? row.rule + before : 0))
				fail_msg("%s (behind %u): verdict %u reason %u rule %zu", row.name, before,
					 t.verdict, t.reason, harness_rule(&h, &t));
		}
	}
}

static void the_forms_agree(void **state)
{
	(void)state;
	agrees_behind(96); /* more than a word, and the others follow in a word's middle */
	agrees_behind(PG_BLOCK_TERMS + 40);
}

/* A rule for one prefix among those for others, from which its first byte tells it. */
static void load_prefix(const char *chain, const char *addr, unsigned bits)
{
	struct pg_text text = { 0 };

	pg_text_add(&text, "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
	pg_text_add(&text, "-A INPUT -s 3fff::/16 -j ACCEPT\n"); /* before OUTPUT's */
	for (unsigned i = 0x40; i < 0xc0; i++)
		pg_text_add(&text, "-A %s -s %x00::/16 -p udp --dport 53 -j DROP\n", chain, i);
	pg_text_add(&text, "-A %s -s %s/%u -p udp --dport 53 -j DROP\n", chain, addr, bits);
	load_text(&text);
}

static void every_bit_of_a_prefix_is_asked(void **state)
{
	static const unsigned lengths[] = { 8,	31, 32, 33, 48,	 63,  64,
					    65, 95, 96, 97, 112, 127, 128 };
	static const char *const chains[] = { [PG_DIR_IN] = "INPUT", [PG_DIR_OUT] = "OUTPUT" };
	const char *prefix = "2001:db8:a:b:c:d:e:f";

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(lengths); i++) {
		unsigned bits = lengths[i / 2];

		load_prefix(chains[i % 2], prefix, bits);
		for (unsigned flipped = 0; flipped <= 128; flipped++) {
			char text[INET6_ADDRSTRLEN];
			uint8_t addr[16];
			struct pg_trace t;
			size_t len;

			assert_int_equal(inet_pton(AF_INET6, prefix, addr), 1);
			if (flipped < 128)
				addr[flipped / 8] ^= 0x80 >> flipped % 8;
			inet_ntop(AF_INET6, addr, text, sizeof(text));
			len = pkt_build(PKT(ETH(), IP6(.src = text), UDP(.dport = 53)), frame,
					sizeof(frame));
			harness_run(&h, i % 2, frame, len, &t);
			if (t.verdict != (flipped < bits ? ACCEPT : DROP))
				fail_msg("%s /%u, bit %u is another: verdict %u", chains[i % 2], bits,
					 flipped, t.verdict);
		}
	}
}

/* INPUT's rules are none of OUTPUT's, also where they fill the whole word. */
static void a_departure_meets_output_alone(void **state)
{
	static const unsigned sizes[] = { 1, 30, 31, 32, 63, 64, 65, 96 };
	size_t len = pkt_build(PKT(ETH(), IP4(), TCP()), frame, sizeof(frame));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pg_text text = { 0 };
		struct pg_trace t;

		pg_text_add(&text, "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n");
		for (unsigned k = 0; k < sizes[i]; k++)
			pg_text_add(&text, "-A INPUT -p tcp -j ACCEPT\n");
		load_text(&text);
		harness_run(&h, PG_DIR_OUT, frame, len, &t);
		if (t.verdict != DROP || t.reason != PG_REASON_POLICY)
			fail_msg("behind %u rules: verdict %u reason %u", sizes[i], t.verdict,
				 t.reason);
	}
}

/* INPUT has no terms before OUTPUT's: the first of them is the first of all. */
static void a_departure_leaves_by_its_own_interface(void **state)
{
	struct pg_text text = { 0 };
	struct pg_trace t;
	size_t len;

	(void)state;
	pg_text_add(&text, "*filter\n:OUTPUT ACCEPT [0:0]\n");
	for (unsigned i = 1; i <= 100; i++)
		pg_text_add(&text, "-A OUTPUT -o %s -p udp --dport %u -j DROP\n",
			    i % 2 ? IFACE : "nosuch", i);
	load_text(&text);
	for (unsigned i = 1; i <= 101; i++) {
		len = pkt_build(PKT(ETH(), IP4(), UDP(.dport = i)), frame, sizeof(frame));
		harness_run(&h, PG_DIR_OUT, frame, len, &t);
		if (t.verdict != (i % 2 && i <= 100 ? DROP : ACCEPT))
			fail_msg("port %u: verdict %u", i, t.verdict);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_decide_in_order),
		cmocka_unit_test(addresses_match_under_their_masks),
		cmocka_unit_test(families_narrow),
		cmocka_unit_test(interfaces_match_by_name_and_pattern),
		cmocka_unit_test(ports_match),
		cmocka_unit_test(flags_and_types_match),
		cmocka_unit_test(fragments_have_no_header),
		cmocka_unit_test(headers_that_are_cut_off_drop_when_asked),
		cmocka_unit_test(broken_chains_drop_when_asked),
		cmocka_unit_test(thirty_one_rules_are_in_the_leaves),
		cmocka_unit_test(sixty_four_rules_are_one_word),
		cmocka_unit_test(more_rules_are_a_tree),
		cmocka_unit_test(no_rules_are_no_tables),
		cmocka_unit_test(a_rule_too_many_is_refused_and_changes_nothing),
		cmocka_unit_test(tables_that_make_no_sense_drop_as_internal),
		cmocka_unit_test(the_forms_agree),
		cmocka_unit_test(every_bit_of_a_prefix_is_asked),
		cmocka_unit_test(a_departure_meets_output_alone),
		cmocka_unit_test(a_departure_leaves_by_its_own_interface),
	};
	struct pg_err err = { 0 };

	return group_run(&h, harness_open(&h, IFACE, &err), &err, tests, ARRAY_SIZE(tests), NULL);
}
