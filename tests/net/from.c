/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * from INTERFACE [OWN-MAC OTHER-MAC]: a packet for each line of stdin, "SOURCE DESTINATION [TOS
 * [udp|tcp SOURCE-PORT DESTINATION-PORT]]", by addresses of either family. What is TCP is a SYN. Without
 * MAC addresses they go to the server of lib.sh.
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

struct line {
	char src[64], dst[64], proto[8];
	int tos, sport, dport;
};

static size_t build(char **mac, const struct line *l, uint8_t *frame, size_t size)
{
	struct pkt_layer layer[] = {
		ETH(.src = mac[0], .dst = mac[1]),
		IP4(.src = l->src, .dst = l->dst, .tos = l->tos),
		UDP(.sport = l->sport, .dport = l->dport),
		{ .kind = PKT_END },
	};

	if (strchr(l->src, ':'))
		layer[1] = (struct pkt_layer)IP6(.src = l->src, .dst = l->dst);
	if (!strcmp(l->proto, "tcp"))
		layer[2] = (struct pkt_layer)TCP(.sport = l->sport, .dport = l->dport, .flags = PKT_SYN);
	return pkt_build(layer, frame, size);
}

int main(int argc, char **argv)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET };
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	char *server[] = { "02:77:00:00:00:02", "02:77:00:00:00:01" }, text[256];

	addr.sll_ifindex = argc == 2 || argc == 4 ? if_nametoindex(argv[1]) : 0;
	if (sock < 0 || !addr.sll_ifindex || bind(sock, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "from: %s\n", strerror(errno));
		return 2;
	}
	while (fgets(text, sizeof(text), stdin)) {
		struct line l = { .sport = 40000, .dport = 80 };
		uint8_t frame[PKT_MAX];
		size_t n;

		if (sscanf(text, "%63s %63s %i %7s %d %d", l.src, l.dst, &l.tos, l.proto, &l.sport, &l.dport) < 2)
			continue;
		n = build(argc == 4 ? argv + 2 : server, &l, frame, sizeof(frame));
		if (send(sock, frame, n, 0) != (ssize_t)n) {
			fprintf(stderr, "from: %s\n", strerror(errno));
			return 1;
		}
	}
	return 0;
}
