/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * from INTERFACE: a UDP datagram to the server of lib.sh for each line of stdin, "SOURCE DESTINATION
 * [TOS]", by addresses of either family.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pkt.h"

#define SERVER_ETH() ETH(.src = "02:77:00:00:00:02", .dst = "02:77:00:00:00:01")

static size_t build(const char *src, const char *dst, unsigned tos, uint8_t *frame, size_t size)
{
	if (strchr(src, ':'))
		return pkt_build(PKT(SERVER_ETH(), IP6(.src = src, .dst = dst), UDP()),
				 frame, size);
	return pkt_build(PKT(SERVER_ETH(), IP4(.src = src, .dst = dst, .tos = tos), UDP()), frame,
			 size);
}

int main(int argc, char **argv)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET };
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	char src[64], dst[64], line[256];

	addr.sll_ifindex = argc == 2 ? if_nametoindex(argv[1]) : 0;
	if (sock < 0 || !addr.sll_ifindex || bind(sock, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "from: %s\n", strerror(errno));
		return 2;
	}
	while (fgets(line, sizeof(line), stdin)) {
		uint8_t frame[PKT_MAX];
		unsigned tos = 0;
		size_t n;

		if (sscanf(line, "%63s %63s %i", src, dst, (int *)&tos) < 2)
			continue;
		n = build(src, dst, tos, frame, sizeof(frame));
		if (send(sock, frame, n, 0) != (ssize_t)n) {
			fprintf(stderr, "from: %s\n", strerror(errno));
			return 1;
		}
	}
	return 0;
}
