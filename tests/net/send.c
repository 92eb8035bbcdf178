/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * send INTERFACE FRAME [COUNT]: crafted frames for the shell tests, from the interface's own
 * namespace over AF_PACKET. Without a FRAME, the names of those it knows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pkt.h"

/* The addresses that lib.sh gives. */
#define TEST_ETH(...) ETH(.src = "02:77:00:00:00:02", .dst = "02:77:00:00:00:01", ##__VA_ARGS__)
#define TEST_IP4(...) IP4(.src = "10.77.0.2", .dst = "10.77.0.1", ##__VA_ARGS__)
#define TEST_IP6(...) IP6(.src = "fd77::2", .dst = "fd77::1", ##__VA_ARGS__)

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

int main(int argc, char **argv)
{
	static uint8_t frame[PKT_MAX];
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN };
	long count = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
	size_t len = 0;
	int sock;

	if (argc < 3)
		return usage();
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		if (!strcmp(frames[i].name, argv[2]))
			len = pkt_build(frames[i].pkt, frame, sizeof(frame));
	if (!len)
		return usage();
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return failed("socket");
	addr.sll_ifindex = if_nametoindex(argv[1]);
	if (!addr.sll_ifindex || bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return failed(argv[1]);
	while (count-- > 0)
		if (send(sock, frame, len, 0) != (ssize_t)len)
			return failed("send");
	close(sock);
	return 0;
}
