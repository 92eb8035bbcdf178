/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lists that become enums and name tables. Numbers are ABI (pinned maps are indexed by them):
 * append, never reorder.
 */
#pragma once

/*
 * Why a packet ended the way it did. Every packet ends under exactly one reason.
 * X(symbol, name, what it tells the operator)
 */
#define PG_REASONS(X)                                                                              \
	X(RULE, "rule", "a rule of the policy decided")                                            \
	X(POLICY, "policy", "no rule matched, the chain's policy decided")                         \
	X(NON_IP, "non-ip", "not IPv4, IPv6 or ARP: passed unfiltered, as under iptables")         \
	X(ARP, "arp", "ARP request or reply: passed unfiltered, as under iptables")                \
	X(GRATUITOUS_ARP, "gratuitous-arp", "ARP in which a host announces its own address")       \
	X(RARP, "rarp", "reverse ARP: passed unfiltered, as under iptables")                       \
	X(SHORT_HEADER, "short-header",                                                            \
	  "the frame ends inside its Ethernet, VLAN, ARP or IP header")                            \
	X(TOO_MANY_VLANS, "too-many-vlans", "more than two VLAN tags")                             \
	X(BAD_ARP, "bad-arp", "ARP that is not about Ethernet and IPv4 addresses")                 \
	X(BAD_VERSION, "bad-version", "the IP version is not the one the EtherType promises")      \
	X(BAD_IHL, "bad-ihl", "IPv4 header length below 20 bytes")                                 \
	X(BAD_LENGTH, "bad-length", "IP total length below the header's own length")               \
	X(TRUNCATED, "truncated", "IP total length beyond the end of the frame")                   \
	X(BAD_CHECKSUM, "bad-checksum", "wrong IPv4 header checksum")                              \
	X(EXT_TOO_LONG, "ext-too-long", "more IPv6 extension headers than portguard follows")      \
	X(EXT_BROKEN, "ext-broken",                                                                \
	  "a rule asked for the protocol, but the IPv6 extension headers run out of packet")       \
	X(SHORT_L4, "short-l4",                                                                    \
	  "a rule asked for ports, flags or an ICMP type, but the transport header is cut off")    \
	X(TINY_FRAGMENT, "tiny-fragment",                                                          \
	  "a rule asked a TCP header that a fragment at offset 8 could overwrite (RFC 3128)")      \
	X(BAD_DOFF, "bad-doff", "TCP data offset below 20 bytes")                                  \
	X(SPLIT_HEADER, "split-header",                                                            \
	  "a header lies beyond the first buffer of a multi-buffer frame")                         \
	X(INTERNAL, "internal", "a table of portguard's own is inconsistent (please report)")        \
	X(FORWARDED, "forwarded",                                                                  \
	  "leaves again: it was asked about where it arrived, or is REJECT's answer to such a packet") \
	X(PACKET_SOCKET, "packet-socket",                                                          \
	  "sent through a packet socket, past OUTPUT's rules, as under iptables")                               \
	X(EARLY_FRAGMENT, "early-fragment",                                                        \
	  "a fragment came before its datagram's first one, and follows `set-fragments'")          \
	X(FRAGMENT_OVERLAP, "fragment-overlap",                                                    \
	  "a fragment would be written over what its datagram's first one has said")                \
	X(KILLED, "killed", "of a connection that flows --kill or a rule with --kill has ended")   \
	X(MARK_LOST, "mark-lost",                                                                  \
	  "a rule set its mark, and the driver left no room in front of it to tell the stack")

/* TCP flags in the order of their bits, which is the order of their counters. */
#define PG_TCP_FLAGS(X)                                                                            \
	X(FIN, "fin") X(SYN, "syn") X(RST, "rst") X(PSH, "psh")                                    \
	X(ACK, "ack") X(URG, "urg") X(ECE, "ece") X(CWR, "cwr")

/* Hooks and how they were attached. */
#define PG_MODES(X)                                                                                \
	X(NONE, "none") X(NATIVE, "native") X(SKB, "skb") X(TC, "tc")

/* What a packet's fate was, as replay and test print it. */
#define PG_VERDICTS(X)                                                                             \
	X(ACCEPT, "accept") X(DROP, "drop") X(REJECT, "reject")

/* Fragment of what kind; `atomic` is an IPv6 fragment header on a whole packet (RFC 6946). */
#define PG_FRAGS(X)                                                                                \
	X(NONE, "-") X(FIRST, "first") X(LATER, "later") X(ATOMIC, "atomic")

#define PG_ENUM_REASON(sym, ...) PG_REASON_##sym,
enum pg_reason { PG_REASONS(PG_ENUM_REASON) _PG_REASON_MAX };

#define PG_ENUM_FLAG(sym, ...) PG_FLAG_##sym,
enum pg_tcp_flag { PG_TCP_FLAGS(PG_ENUM_FLAG) _PG_FLAG_MAX };

#define PG_ENUM_MODE(sym, ...) PG_MODE_##sym,
enum pg_mode { PG_MODES(PG_ENUM_MODE) _PG_MODE_MAX };

#define PG_ENUM_VERDICT(sym, ...) PG_VERDICT_##sym,
enum pg_verdict { PG_VERDICTS(PG_ENUM_VERDICT) _PG_VERDICT_MAX };

#define PG_ENUM_FRAG(sym, ...) PG_FRAG_##sym,
enum pg_frag { PG_FRAGS(PG_ENUM_FRAG) _PG_FRAG_MAX };

/*
 * States of one end of a TCP connection (RFC 9293, 3.3.2), with their names. How an end gets from one
 * to another, as seen from between the ends: see docs/architecture.md.
 */
#define PG_END_STATES(X)                                                                           \
	X(CLOSED, "CLOSED") X(LISTEN, "LISTEN") X(SYN_SENT, "SYN_SENT")                            \
	X(SYN_RECEIVED, "SYN_RECEIVED") X(ESTABLISHED, "ESTABLISHED")                              \
	X(FIN_WAIT_1, "FIN_WAIT_1") X(FIN_WAIT_2, "FIN_WAIT_2") X(CLOSE_WAIT, "CLOSE_WAIT")        \
	X(CLOSING, "CLOSING") X(LAST_ACK, "LAST_ACK") X(TIME_WAIT, "TIME_WAIT")

/* X(from, to) */
#define PG_TRANSITIONS(X)                                                                          \
	X(CLOSED, SYN_SENT)                                                                        \
	X(LISTEN, SYN_RECEIVED)                                                                    \
	X(SYN_SENT, SYN_RECEIVED) X(SYN_SENT, ESTABLISHED) X(SYN_SENT, CLOSED)                     \
	X(SYN_RECEIVED, ESTABLISHED) X(SYN_RECEIVED, FIN_WAIT_1) X(SYN_RECEIVED, CLOSED)           \
	X(ESTABLISHED, FIN_WAIT_1) X(ESTABLISHED, CLOSE_WAIT) X(ESTABLISHED, CLOSED)               \
	X(FIN_WAIT_1, FIN_WAIT_2) X(FIN_WAIT_1, CLOSING) X(FIN_WAIT_1, TIME_WAIT)                  \
	X(FIN_WAIT_1, CLOSED)                                                                      \
	X(FIN_WAIT_2, TIME_WAIT) X(FIN_WAIT_2, CLOSED)                                             \
	X(CLOSE_WAIT, LAST_ACK) X(CLOSE_WAIT, CLOSED)                                              \
	X(CLOSING, TIME_WAIT) X(CLOSING, CLOSED)                                                   \
	X(LAST_ACK, CLOSED)                                                                        \
	X(TIME_WAIT, CLOSED)

/* A TCP connection's state in conntrack's words, and those of enum pg_tcp_state that it has not. */
#define PG_PAIR_STATES(X)                                                                          \
	X(NONE, "NONE") X(SYN_SENT, "SYN_SENT") X(SYN_RECV, "SYN_RECV")                            \
	X(ESTABLISHED, "ESTABLISHED") X(FIN_WAIT, "FIN_WAIT") X(CLOSE_WAIT, "CLOSE_WAIT")          \
	X(LAST_ACK, "LAST_ACK") X(TIME_WAIT, "TIME_WAIT") X(CLOSE, "CLOSE")                        \
	X(SYN_SENT2, "SYN_SENT2")

/* An SCTP association's, by enum pg_sctp_state. */
#define PG_SCTP_STATES(X)                                                                          \
	X(NONE, "NONE") X(ESTABLISHED, "ESTABLISHED") X(CLOSED, "CLOSED")                          \
	X(COOKIE_WAIT, "COOKIE_WAIT") X(COOKIE_ECHOED, "COOKIE_ECHOED")                            \
	X(SHUTDOWN_SENT, "SHUTDOWN_SENT") X(SHUTDOWN_RECD, "SHUTDOWN_RECD")                        \
	X(SHUTDOWN_ACK_SENT, "SHUTDOWN_ACK_SENT") X(HEARTBEAT_SENT, "HEARTBEAT_SENT")

/*
 * Timeouts of flows, with nf_conntrack's default values. Names are those of its sysctls. TCP's have
 * the numbers of enum pg_tcp_state, SCTP's the order of enum pg_sctp_state. The last is our own: how
 * long what still comes of a connection that was ended is dropped.
 * X(symbol, name, seconds)
 */
#define PG_TIMEOUTS(X)                                                                             \
	X(GENERIC, "generic", 600)                                                                 \
	X(TCP_SYN_SENT, "tcp_syn_sent", 120)                                                       \
	X(TCP_SYN_RECV, "tcp_syn_recv", 60)                                                        \
	X(TCP_ESTABLISHED, "tcp_established", 432000)                                              \
	X(TCP_FIN_WAIT, "tcp_fin_wait", 120)                                                       \
	X(TCP_CLOSE_WAIT, "tcp_close_wait", 60)                                                    \
	X(TCP_LAST_ACK, "tcp_last_ack", 30)                                                        \
	X(TCP_TIME_WAIT, "tcp_time_wait", 120)                                                     \
	X(TCP_CLOSE, "tcp_close", 10)                                                              \
	X(TCP_SYN_SENT2, "tcp_syn_sent2", 120)                                                     \
	X(TCP_MAX_RETRANS, "tcp_max_retrans", 300)                                                 \
	X(TCP_UNACKNOWLEDGED, "tcp_unacknowledged", 300)                                           \
	X(UDP, "udp", 30)                                                                          \
	X(UDP_STREAM, "udp_stream", 120)                                                           \
	X(ICMP, "icmp", 30)                                                                        \
	X(ICMPV6, "icmpv6", 30)                                                                    \
	X(SCTP_ESTABLISHED, "sctp_established", 210)                                               \
	X(SCTP_CLOSED, "sctp_closed", 10)                                                          \
	X(SCTP_COOKIE_WAIT, "sctp_cookie_wait", 3)                                                 \
	X(SCTP_COOKIE_ECHOED, "sctp_cookie_echoed", 3)                                             \
	X(SCTP_SHUTDOWN_SENT, "sctp_shutdown_sent", 3)                                             \
	X(SCTP_SHUTDOWN_RECD, "sctp_shutdown_recd", 3)                                             \
	X(SCTP_SHUTDOWN_ACK_SENT, "sctp_shutdown_ack_sent", 3)                                     \
	X(SCTP_HEARTBEAT_SENT, "sctp_heartbeat_sent", 30)                                          \
	X(GRE, "gre", 30)                                                                          \
	X(GRE_STREAM, "gre_stream", 180)                                                           \
	X(KILLED, "killed", 120)

/*
 * TCP flags that no TCP sends together, counted under the first of these that they are.
 * X(symbol, name, what it tells the operator)
 */
#define PG_ODD_FLAGS(X)                                                                            \
	X(NULL, "null", "none of the six flags of RFC 793")                                        \
	X(SYN_FIN, "syn-fin", "SYN and FIN together")                                              \
	X(SYN_RST, "syn-rst", "SYN and RST together")                                              \
	X(XMAS, "xmas", "FIN, PSH and URG, without ACK")                                           \
	X(FIN_NO_ACK, "fin-without-ack", "FIN without ACK")

#define PG_ENUM_END(sym, ...) PG_END_##sym,
enum pg_end_state { PG_END_STATES(PG_ENUM_END) _PG_END_MAX };

#define PG_ENUM_ODD(sym, ...) PG_ODD_##sym,
enum pg_odd_flags { PG_ODD_FLAGS(PG_ENUM_ODD) _PG_ODD_MAX };
