// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * local udp|icmp|tcp ADDRESS PORT COUNT [BYTES]: packets that this machine's own stack sends, exactly that
 * many, whatever becomes of them. A TCP packet is one SYN: its socket is closed before it could be
 * sent again. Ends with 0, or with the errno of the last send: what a filter tells the sender.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_socket(const char *kind, int family)
{
	if (!strcmp(kind, "udp"))
		return socket(family, SOCK_DGRAM, 0);
	if (!strcmp(kind, "tcp"))
		return socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	return socket(family, SOCK_RAW, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* The sum of an echo request whose other bytes are zero. */
static void fill_echo(unsigned char *packet, int family, unsigned n)
{
	unsigned sum;

	packet[0] = family == AF_INET ? 8 : 128;
	packet[7] = (unsigned char)n;
	sum = ~((packet[0] << 8) + packet[7]) & 0xffff; /* the kernel fills in ICMPv6's itself */
	packet[2] = (unsigned char)(sum >> 8);
	packet[3] = (unsigned char)sum;
}

static int send_one(const char *kind, const struct addrinfo *to, unsigned n, size_t bytes)
{
	static unsigned char packet[65536];
	int fd = open_socket(kind, to->ai_family), error = 0;

	if (fd < 0) {
		perror("socket");
		exit(1);
	}
	if (!strcmp(kind, "tcp")) {
		if (connect(fd, to->ai_addr, to->ai_addrlen) && errno != EINPROGRESS)
			error = errno;
	} else {
		memset(packet, 0, sizeof(packet));
		if (!strcmp(kind, "icmp"))
			fill_echo(packet, to->ai_family, n);
		if (sendto(fd, packet, bytes, 0, to->ai_addr, to->ai_addrlen) < 0)
			error = errno;
	}
	close(fd);
	return error;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *to;
	bool icmp = argc > 1 && !strcmp(argv[1], "icmp");
	int error = 0;

	if (argc < 5 || getaddrinfo(argv[2], icmp ? NULL : argv[3], &hints, &to)) {
		fprintf(stderr, "usage: local udp|icmp|tcp ADDRESS PORT COUNT [BYTES]\n");
		return 1;
	}
	for (unsigned i = 0; i < strtoul(argv[4], NULL, 10); i++)
		error = send_one(argv[1], to, i, argc > 5 ? strtoul(argv[5], NULL, 10) : 16);
	freeaddrinfo(to);
	return error;
}
