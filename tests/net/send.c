/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * send INTERFACE FRAME [COUNT [PAUSE]]: crafted frames for the shell tests, from the interface's
 * own namespace over AF_PACKET, with a pause of so many microseconds behind each. Without a FRAME,
 * the names of those it knows. The -gso ones are super-packets, as the kernel's own TCP hands them to a
 * NIC that segments, or as a UDP socket does with UDP_SEGMENT.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pkt.h"

/* The addresses that lib.sh gives. */
#define TEST_ETH(...) ETH(.src = "02:77:00:00:00:02", .dst = "02:77:00:00:00:01", ##__VA_ARGS__)
#define TEST_IP4(...) IP4(.src = "10.77.0.2", .dst = "10.77.0.1", ##__VA_ARGS__)
#define TEST_IP6(...) IP6(.src = "fd77::2", .dst = "fd77::1", ##__VA_ARGS__)

/* A chunk of SCTP that asks for a tag. */
#define ASKING(type, tag) BYTES(type "\0\0\24\0\0\0" tag "\0\0\0\0\0\1\0\1\0\0\0\1", 20)
#define SCTP_IN(...) PKT(TEST_ETH(), TEST_IP4(), SCTP(.tag = 0), __VA_ARGS__)
#define SCTP_ANSWER(...)                                                                           \
	PKT(TEST_ETH(), IP4(.src = "10.77.0.1", .dst = "10.77.0.2"),                               \
	    SCTP(.sport = 2905, .dport = 40000, .tag = 3), __VA_ARGS__)

#define GSO_FLAGS (PKT_FIN | PKT_PSH | PKT_ACK | PKT_CWR)

static const struct {
	const char *name;
	const struct pkt_layer *pkt;
} frames[] = {
	{ "tcp80", PKT(TEST_ETH(), TEST_IP4(), TCP()) },
	{ "udp53", PKT(TEST_ETH(), TEST_IP4(), UDP(), PAYLOAD(10)) },
	{ "udp53-padded", PKT(TEST_ETH(), TEST_IP4(), UDP(), PAD(18)) },
	{ "tcp80-ip6", PKT(TEST_ETH(), TEST_IP6(), TCP()) },
	{ "tcp80-vlan", PKT(TEST_ETH(), VLAN(.id = 5), TEST_IP4(), TCP()) },
	{ "tcp80-qinq", PKT(TEST_ETH(), QINQ(.id = 7), VLAN(.id = 5), TEST_IP4(), TCP()) },
	{ "tcp80-three-tags",
	  PKT(TEST_ETH(), QINQ(.id = 7), VLAN(.id = 5), VLAN(.id = 6), TEST_IP4(), TCP()) },
	{ "tcp80-cut", PKT(TEST_ETH(), TEST_IP4(), TCP(.cut = 13)) },
	{ "tcp80-later-fragment", PKT(TEST_ETH(), TEST_IP4(.frag = 100), TCP()) },
	{ "bad-checksum", PKT(TEST_ETH(), TEST_IP4(.csum = 1), TCP()) },
	{ "ethernet-only", PKT(TEST_ETH(.type = 0x0800)) },
	{ "gratuitous-arp",
	  PKT(TEST_ETH(.dst = "ff:ff:ff:ff:ff:ff"), ARP(.spa = "10.77.0.9", .tpa = "10.77.0.9")) },
	{ "syn-ack", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_SYN | PKT_ACK)) },
	{ "ack", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_ACK)) },
	{ "fin", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_FIN | PKT_ACK)) },
	{ "rst", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_RST)) },
	{ "null", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = 0)) },
	{ "xmas", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_FIN | PKT_PSH | PKT_URG)) },
	{ "tcp-long-header", PKT(TEST_ETH(), TEST_IP4(), TCP(.doff = 8)) },
	{ "tcp-cut", PKT(TEST_ETH(), TEST_IP4(), TCP(.cut = 13)) },
	{ "udp-long", PKT(TEST_ETH(), TEST_IP4(), UDP(.len = 9)) },
	{ "udp-short", PKT(TEST_ETH(), TEST_IP4(), UDP(.len = 7), PAYLOAD(8)) },
	{ "echo-reply", PKT(TEST_ETH(), TEST_IP4(), ICMP(.type = 0)) },
	{ "timestamp", PKT(TEST_ETH(), TEST_IP4(), ICMP(.type = 13), PAYLOAD(12)) },
	{ "router-advertisement", PKT(TEST_ETH(), TEST_IP4(), ICMP(.type = 9)) },
	{ "stray-error", PKT(TEST_ETH(), TEST_IP4(), ICMP(.type = 3, .code = 1),
			     IP4(.src = "10.77.0.1", .dst = "10.77.0.9"), UDP()) },
	{ "esp", PKT(TEST_ETH(), TEST_IP4(.proto = 50), PAYLOAD(32)) },
	{ "dccp", PKT(TEST_ETH(), TEST_IP4(), DCCP()) },
	{ "sctp-init", SCTP_IN(ASKING("\1", "\3")) },
	{ "sctp-init-ack", SCTP_ANSWER(ASKING("\2", "\2")) },
	{ "sctp-init-ack-other", SCTP_ANSWER(ASKING("\2", "\4")) },
	{ "sctp-cookie-ack", SCTP_ANSWER(BYTES("\13\0\0\4", 4)) },
	{ "sctp-data", SCTP_IN(BYTES("\0\3\0\20\0\0\0\1\0\0\0\0\0\0\0\0", 16)) },
	{ "sctp-abort", SCTP_IN(BYTES("\6\0\0\4", 4)) },
	{ "sctp-bare", PKT(TEST_ETH(), TEST_IP4(), SCTP()) },
	{ "w-syn", PKT(TEST_ETH(), TEST_IP4(), TCP(.seq = 1000)) },
	{ "w-challenge", PKT(TEST_ETH(), IP4(.src = "10.77.0.1", .dst = "10.77.0.2"),
			     TCP(.sport = 80, .dport = 40000, .flags = PKT_ACK, .seq = 5000, .ack = 1001)) },
	{ "w-rst", PKT(TEST_ETH(), TEST_IP4(),
		       TCP(.flags = PKT_RST | PKT_ACK, .seq = 99999999, .ack = 5000)) },
	{ "echo-reply-ip6", PKT(TEST_ETH(), TEST_IP6(), ICMP6(.type = 129)) },
	{ "neighbour-ip6", PKT(TEST_ETH(), TEST_IP6(.hop = 255), ICMP6(.type = 136), PAYLOAD(16)) },
	{ "report-ip6", PKT(TEST_ETH(), TEST_IP6(.hop = 1), ICMP6(.type = 143)) },
	{ "stray-error-ip6", PKT(TEST_ETH(), TEST_IP6(), ICMP6(.type = 1),
				 IP6(.src = "fd77::1", .dst = "fd77::9"), UDP()) },
	/* What REJECT answers, and what it must not. */
	{ "r-syn", PKT(TEST_ETH(), TEST_IP4(.tos = 0x1c), TCP()) },
	{ "r-syn-options", PKT(TEST_ETH(), TEST_IP4(.optlen = 8), TCP(.optlen = 20)) },
	{ "r-syn-data", PKT(TEST_ETH(), TEST_IP4(), TCP(), PAYLOAD(33)) },
	{ "r-ack-data", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_ACK | PKT_PSH), PAYLOAD(101)) },
	{ "r-fin", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_FIN), PAYLOAD(1)) },
	{ "r-null", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = 0)) },
	{ "r-rst", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_RST)) },
	{ "r-rst-ack", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = PKT_RST | PKT_ACK)) },
	{ "r-udp", PKT(TEST_ETH(), TEST_IP4(.tos = 0xff), UDP(), PAYLOAD(5)) },
	{ "r-udp-long", PKT(TEST_ETH(), TEST_IP4(), UDP(), PAYLOAD(1400)) },
	{ "r-udp-padded", PKT(TEST_ETH(), TEST_IP4(), UDP(), PAD(18)) },
	{ "r-ping", PKT(TEST_ETH(), TEST_IP4(), ICMP(), PAYLOAD(56)) },
	{ "r-esp", PKT(TEST_ETH(), TEST_IP4(.proto = 50), PAYLOAD(32)) },
	{ "r-error", PKT(TEST_ETH(), TEST_IP4(), ICMP(.type = 3, .code = 1),
			 IP4(.src = "10.77.0.1", .dst = "10.77.0.2"), UDP()) },
	{ "r-redirect", PKT(TEST_ETH(), TEST_IP4(), ICMP(.type = 5, .code = 1),
			    IP4(.src = "10.77.0.1", .dst = "10.77.0.2"), UDP()) },
	{ "r-unknown-icmp", PKT(TEST_ETH(), TEST_IP4(), ICMP(.type = 42), PAYLOAD(8)) },
	{ "r-multicast", PKT(TEST_ETH(.dst = "01:00:5e:00:00:01"), TEST_IP4(.dst = "224.0.0.1"),
			     UDP()) },
	{ "r-broadcast", PKT(TEST_ETH(.dst = "ff:ff:ff:ff:ff:ff"),
			     TEST_IP4(.dst = "255.255.255.255"), UDP()) },
	{ "r-subnet-broadcast", PKT(TEST_ETH(.dst = "ff:ff:ff:ff:ff:ff"),
				    TEST_IP4(.dst = "10.77.0.255"), TCP()) },
	{ "r-to-us-for-subnet", PKT(TEST_ETH(), TEST_IP4(.dst = "10.77.0.255"), TCP()) },
	{ "r-to-us-for-subnet-udp", PKT(TEST_ETH(), TEST_IP4(.dst = "10.77.0.255"), UDP()) },
	{ "r-from-subnet-broadcast", PKT(TEST_ETH(), TEST_IP4(.src = "10.77.0.255"), UDP()) },
	{ "r-ethernet-broadcast", PKT(TEST_ETH(.dst = "ff:ff:ff:ff:ff:ff"), TEST_IP4(), UDP()) },
	{ "r-from-multicast", PKT(TEST_ETH(), TEST_IP4(.src = "224.0.0.9"), UDP()) },
	{ "r-from-zero", PKT(TEST_ETH(), TEST_IP4(.src = "0.0.0.0"), UDP()) },
	{ "r-from-loopback", PKT(TEST_ETH(), TEST_IP4(.src = "127.0.0.1"), TCP()) },
	{ "r-from-broadcast", PKT(TEST_ETH(), TEST_IP4(.src = "255.255.255.255"), UDP()) },
	{ "r-later-fragment", PKT(TEST_ETH(), TEST_IP4(.frag = 100), UDP(), PAYLOAD(8)) },
	{ "r-vlan-syn", PKT(TEST_ETH(), VLAN(.id = 5), TEST_IP4(), TCP()) },
	{ "r-vlan-udp", PKT(TEST_ETH(), VLAN(.id = 5), TEST_IP4(), UDP(), PAYLOAD(9)) },
	{ "r-qinq-syn", PKT(TEST_ETH(), QINQ(.id = 7), VLAN(.id = 5), TEST_IP4(), TCP()) },
	{ "r-qinq-udp6", PKT(TEST_ETH(), QINQ(.id = 7), VLAN(.id = 5), TEST_IP6(), UDP()) },
	{ "r6-syn", PKT(TEST_ETH(), TEST_IP6(.tclass = 0xff), TCP()) },
	{ "r6-syn-ext", PKT(TEST_ETH(), TEST_IP6(), DSTOPTS(), TCP(.optlen = 12)) },
	{ "r6-ack-data", PKT(TEST_ETH(), TEST_IP6(), TCP(.flags = PKT_ACK), PAYLOAD(77)) },
	{ "r6-rst", PKT(TEST_ETH(), TEST_IP6(), TCP(.flags = PKT_RST | PKT_ACK)) },
	{ "r6-udp", PKT(TEST_ETH(), TEST_IP6(.tclass = 0xff), UDP(), PAYLOAD(5)) },
	{ "r6-udp-long", PKT(TEST_ETH(), TEST_IP6(), UDP(), PAYLOAD(1401)) },
	{ "r6-ping", PKT(TEST_ETH(), TEST_IP6(), ICMP6(), PAYLOAD(56)) },
	{ "r6-error", PKT(TEST_ETH(), TEST_IP6(), ICMP6(.type = 1, .code = 4),
			  IP6(.src = "fd77::1", .dst = "fd77::2"), UDP()) },
	{ "r6-unknown-error", PKT(TEST_ETH(), TEST_IP6(), ICMP6(.type = 77), PAYLOAD(50)) },
	{ "r6-multicast", PKT(TEST_ETH(.dst = "33:33:00:00:00:01"), TEST_IP6(.dst = "ff02::1"),
			      UDP()) },
	{ "r6-later-fragment", PKT(TEST_ETH(), TEST_IP6(), FRAG6(.frag = 100), UDP(), PAYLOAD(8)) },
	{ "r6-later-fragment-tcp", PKT(TEST_ETH(), TEST_IP6(), FRAG6(.frag = 100), TCP(), PAYLOAD(8)) },
	{ "r6-from-any", PKT(TEST_ETH(), TEST_IP6(.src = "::"), UDP()) },
	{ "r6-from-multicast", PKT(TEST_ETH(), TEST_IP6(.src = "ff02::5"), UDP()) },
	/* One for each form of a line that LOG prints. */
	{ "l-tcp-options", PKT(TEST_ETH(), TEST_IP4(.tos = 0x78, .df = 1, .ttl = 7, .id = 4711),
			       TCP(.flags = PKT_SYN | PKT_ECE | PKT_CWR, .optlen = 8)) },
	{ "l-ip-options", PKT(TEST_ETH(), TEST_IP4(.optlen = 4), UDP(), PAYLOAD(3)) },
	{ "l-need-frag", PKT(TEST_ETH(), TEST_IP4(), ICMP(.type = 3, .code = 4),
			     IP4(.src = "10.77.0.1", .dst = "10.77.0.2"), UDP()) },
	{ "l-ah", PKT(TEST_ETH(), TEST_IP4(.proto = 51),
		      BYTES("\x11\x02\0\0\x00\x00\x12\x34\0\0\0\1", 12)) },
	{ "l-gre", PKT(TEST_ETH(), TEST_IP4(.proto = 47), PAYLOAD(8)) },
	{ "l-udplite", PKT(TEST_ETH(), TEST_IP4(), UDPLITE(), PAYLOAD(3)) },
	{ "l6-exts", PKT(TEST_ETH(), TEST_IP6(.hop = 9), HBH(), DSTOPTS(), TCP(.flags = PKT_ACK)) },
	{ "l6-too-big", PKT(TEST_ETH(), TEST_IP6(), ICMP6(.type = 2, .id = 1280),
			    IP6(.src = "fd77::1", .dst = "fd77::2"), UDP()) },
	{ "tcp80-gso", PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = GSO_FLAGS), PAYLOAD(9500)) },
	{ "tcp80-gso-options",
	  PKT(TEST_ETH(), TEST_IP4(), TCP(.flags = GSO_FLAGS, .optlen = 12), PAYLOAD(3000)) },
	{ "tcp80-gso-ip6", PKT(TEST_ETH(), TEST_IP6(), TCP(.flags = GSO_FLAGS), PAYLOAD(2001)) },
	{ "udp53-gso", PKT(TEST_ETH(), TEST_IP4(), UDP(), PAYLOAD(9500)) },
	{ "udp53-gso-ip6", PKT(TEST_ETH(), TEST_IP6(), UDP(), PAYLOAD(2001)) },
};

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* from Linux 6.2's header */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Segments of `size` bytes each; the transport header begins at `l4`, and has `l4_size` bytes. */
#define GSO(type, size, l4, l4_size, csum)                                                         \
	{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_##type,             \
	  .hdr_len = (l4) + (l4_size), .gso_size = (size), .csum_start = (l4),                     \
	  .csum_offset = (csum) }

static const struct {
	const char *name;
	struct virtio_net_hdr hdr;
} supers[] = {
	{ "tcp80-gso", GSO(TCPV4, 1000, 34, 20, 16) },
	{ "tcp80-gso-options", GSO(TCPV4, 1000, 34, 32, 16) },
	{ "tcp80-gso-ip6", GSO(TCPV6, 1000, 54, 20, 16) },
	{ "udp53-gso", GSO(UDP_L4, 1000, 34, 8, 6) },
	{ "udp53-gso-ip6", GSO(UDP_L4, 1000, 54, 8, 6) },
};

static int usage(void)
{
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		printf("%s\n", frames[i].name);
	return 2;
}

static int failed(const char *what)
{
	fprintf(stderr, "send: %s: %s\n", what, strerror(errno));
	return 1;
}

/* The frame's bytes, behind what says how to segment them where it is a super-packet. */
static bool find_frame(const char *name, struct iovec iov[2])
{
	static uint8_t bytes[PKT_MAX];

	for (size_t i = 0; i < sizeof(supers) / sizeof(supers[0]); i++)
		if (!strcmp(supers[i].name, name))
			iov[0] = (struct iovec){ (void *)&supers[i].hdr, sizeof(supers[i].hdr) };
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		if (strcmp(frames[i].name, name))
			continue;
		iov[1].iov_base = bytes;
		iov[1].iov_len = pkt_build(frames[i].pkt, bytes, sizeof(bytes));
		return true;
	}
	return false;
}

static int open_socket(const char *ifname, bool gso)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN };
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	addr.sll_ifindex = if_nametoindex(ifname);
	if (sock < 0 || !addr.sll_ifindex || bind(sock, (struct sockaddr *)&addr, sizeof(addr)))
		return -1;
	if (gso && setsockopt(sock, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)))
		return -1;
	return sock;
}

int main(int argc, char **argv)
{
	long count = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
	long pause = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
	struct iovec iov[2] = { 0 };
	int sock;

	if (argc < 3 || !find_frame(argv[2], iov))
		return usage();
	sock = open_socket(argv[1], iov[0].iov_len > 0);
	if (sock < 0)
		return failed(argv[1]);
	while (count-- > 0) {
		if (writev(sock, iov, 2) != (ssize_t)(iov[0].iov_len + iov[1].iov_len))
			return failed("send");
		if (pause)
			usleep(pause);
	}
	close(sock);
	return 0;
}
