/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * answers INTERFACE MS COMMAND…: run the command, and print a line for each IP packet that arrives
 * meanwhile and until nothing has for MS milliseconds. Checksums are verified here, over the bytes
 * as they are; `partial` says that the kernel holds one for not filled in yet.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static uint32_t sum(uint32_t start, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		start += be16(p + i);
	return n & 1 ? start + (uint32_t)(p[n - 1] << 8) : start;
}

static const char *verdict(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total == 0xffff ? "ok" : "WRONG";
}

static void print_transport(uint8_t proto, uint32_t pseudo, const uint8_t *p, size_t n)
{
	pseudo += proto + (uint32_t)n;
	if (proto == IPPROTO_TCP && n >= 20)
		printf("tcp %u>%u seq=%u ack=%u len=%d flags=%02x window=%u urg=%u csum=%s rest=%zu\n",
		       be16(p), be16(p + 2), be32(p + 4), be32(p + 8), (p[12] >> 4) * 4, p[13],
		       be16(p + 14), be16(p + 18), verdict(sum(pseudo, p, n)), n - 20);
	else if ((proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) && n >= 8) {
		printf("icmp %u/%u unused=%u csum=%s quote=%zu:", p[0], p[1], be32(p + 4),
		       verdict(sum(proto == IPPROTO_ICMP ? 0 : pseudo, p, n)), n - 8);
		for (size_t i = 8; i < n; i++)
			printf("%02x", p[i]);
		printf("\n");
	} else {
		printf("proto %u %zu\n", proto, n);
	}
}

static void print_ip4(const uint8_t *p, size_t n)
{
	size_t ihl = (size_t)(p[0] & 15) * 4, len = be16(p + 2);
	char src[46], dst[46];

	if (len < n)
		n = len;
	if (n < 20 || ihl < 20 || ihl > n) {
		printf("short\n");
		return;
	}
	printf("%s>%s ihl=%zu tos=%02x ttl=%u frag=%04x id=%u len=%s ip-csum=%s ",
	       inet_ntop(AF_INET, p + 12, src, sizeof(src)),
	       inet_ntop(AF_INET, p + 16, dst, sizeof(dst)), ihl, p[1], p[8], be16(p + 6),
	       be16(p + 4), len == n ? "ok" : "CUT", verdict(sum(0, p, ihl)));
	print_transport(p[9], sum(0, p + 12, 8), p + ihl, n - ihl);
}

static void print_ip6(const uint8_t *p, size_t n)
{
	size_t len = be16(p + 4) + 40U;
	char src[46], dst[46];

	if (len < n)
		n = len;
	if (n < 40) {
		printf("short\n");
		return;
	}
	printf("%s>%s class=%02x hop=%u len=%s ", inet_ntop(AF_INET6, p + 8, src, sizeof(src)),
	       inet_ntop(AF_INET6, p + 24, dst, sizeof(dst)), be32(p) >> 20 & 0xff, p[7],
	       len == n ? "ok" : "CUT");
	print_transport(p[6], sum(0, p + 8, 32), p + 40, n - 40);
}

static void print_frame(const uint8_t *p, size_t n, const struct tpacket_auxdata *aux)
{
	size_t at = 12;

	if (n < 14)
		return;
	printf("%02x>%02x ", p[11], p[5]);
	if (aux->tp_status & TP_STATUS_VLAN_VALID)
		printf("vlan=%u ", aux->tp_vlan_tci & 0xfff);
	for (; n >= at + 6 && (be16(p + at) == 0x8100 || be16(p + at) == 0x88a8); at += 4)
		printf("vlan=%u ", be16(p + at + 2) & 0xfff);
	if (aux->tp_status & TP_STATUS_CSUMNOTREADY)
		printf("partial ");
	if (be16(p + at) == 0x0800)
		print_ip4(p + at + 2, n - at - 2);
	else if (be16(p + at) == 0x86dd)
		print_ip6(p + at + 2, n - at - 2);
	else
		printf("type %04x\n", be16(p + at));
}

static int read_frame(int sock)
{
	static uint8_t buf[66000];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct sockaddr_ll from;
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct tpacket_auxdata aux = { 0 };
	ssize_t n = recvmsg(sock, &msg, 0);

	if (n < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (from.sll_pkttype != PACKET_OUTGOING)
		print_frame(buf, (size_t)n, &aux);
	return 0;
}

static int open_socket(const char *ifname)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	addr.sll_ifindex = (int)if_nametoindex(ifname);
	if (sock < 0 || !addr.sll_ifindex ||
	    setsockopt(sock, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
	    bind(sock, (struct sockaddr *)&addr, sizeof(addr)))
		return -1;
	return sock;
}

int main(int argc, char **argv)
{
	int sock = argc > 3 ? open_socket(argv[1]) : -1, wait_ms, r;
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	bool running = true;
	pid_t pid;

	if (sock < 0) {
		fprintf(stderr, "answers: %s\n", argc > 3 ? strerror(errno) : "INTERFACE MS COMMAND…");
		return 2;
	}
	wait_ms = atoi(argv[2]);
	pid = fork();
	if (!pid) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	for (;;) {
		r = poll(&pfd, 1, running ? 10 : wait_ms);
		if (r < 0 || (!r && !running))
			break;
		if (r && read_frame(sock))
			break;
		if (running && waitpid(pid, NULL, WNOHANG))
			running = false;
	}
	close(sock);
	return 0;
}
