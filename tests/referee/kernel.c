/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules sit in raw PREROUTING: what the kernel drops before it is what ip_rcv_core() and
 * ip6_rcv_core() drop, and no routing, connection tracking or defragmentation has touched the
 * packet. Nothing leaves the table: every packet ends in a DROP behind its NFLOG rule, so that the
 * namespace answers nothing.
 */
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ast.h"
#include "nflog.h"
#include "pkt.h"

/* No rule under test counts the last frame of each round, which comes from here. */
#define SENTINEL4 "198.51.100.99"
#define SENTINEL6 "2001:db8:ffff:ffff::99"

enum { GROUP = 7, TIMEOUT_MS = 10000, IN_FLIGHT = 200 };

struct kernel {
	int sock;
	char mac[18];
	struct nflog *log;
	struct kernel_verdict *verdict; /* of frames 1..cap */
	uint32_t cap, sentinel, last_seen, unread;
};

static void die(const char *what)
{
	fprintf(stderr, "referee: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_sender(const char *netns, const char *ifname)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET };
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open(netns, O_RDONLY | O_CLOEXEC), sock;

	if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		die(netns);
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* 0: send only */
	addr.sll_ifindex = if_nametoindex(ifname);
	if (sock < 0 || !addr.sll_ifindex || bind(sock, (void *)&addr, sizeof(addr)) < 0)
		die(ifname);
	if (setns(home, CLONE_NEWNET) < 0)
		die("setns");
	close(home);
	close(there);
	return sock;
}

static void read_mac(const char *ifname, char *ret, size_t size)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };
	const uint8_t *m = (const uint8_t *)req.ifr_hwaddr.sa_data;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	if (sock < 0 || ioctl(sock, SIOCGIFHWADDR, &req) < 0)
		die(ifname);
	snprintf(ret, size, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	close(sock);
}

struct kernel *kernel_open(const char *from_netns, const char *from, const char *to)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		die("calloc");
	k->sock = open_sender(from_netns, from);
	read_mac(to, k->mac, sizeof(k->mac));
	k->log = nflog_open(GROUP);
	return k;
}

void kernel_close(struct kernel *k)
{
	close(k->sock);
	nflog_close(k->log);
	free(k->verdict);
	free(k);
}

const char *kernel_mac(const struct kernel *k)
{
	return k->mac;
}

/* Rule i of ours jumps to chain Ri, which logs "ri"; a rule without a target only counts. */
void kernel_load(struct kernel *k, const struct gen_rules *rules, bool v6)
{
	FILE *f = popen(v6 ? "ip6tables-legacy-restore -w" : "iptables-legacy-restore -w", "we");
	unsigned family = v6 ? PG_V6 : PG_V4;

	(void)k;
	if (!f)
		die("popen");
	fprintf(f, "*raw\n:PREROUTING ACCEPT [0:0]\n:T - [0:0]\n:P - [0:0]\n");
	for (size_t i = 0; i < rules->n; i++)
		if (rules->rule[i].families & family && rules->rule[i].target)
			fprintf(f, ":R%zu - [0:0]\n", i + 1);
	fprintf(f, "-A PREROUTING -j NFLOG --nflog-group %d --nflog-prefix in\n"
		   "-A PREROUTING -s %s -j P\n-A PREROUTING -j T\n-A PREROUTING -j P\n", GROUP,
		v6 ? SENTINEL6 : SENTINEL4);
	fprintf(f, "-A P -j NFLOG --nflog-group %d --nflog-prefix r0\n-A P -j DROP\n", GROUP);
	for (size_t i = 0; i < rules->n; i++) {
		const struct gen_rule *r = &rules->rule[i];

		if (!(r->families & family))
			continue;
		if (!r->target) {
			fprintf(f, "-A T%s\n", r->spec);
			continue;
		}
		fprintf(f, "-A T%s -j R%zu\n", r->spec, i + 1);
		fprintf(f, "-A R%zu -j NFLOG --nflog-group %d --nflog-prefix r%zu\n", i + 1, GROUP,
			i + 1);
		fprintf(f, "-A R%zu -j DROP\n", i + 1);
	}
	fprintf(f, "COMMIT\n");
	if (pclose(f) != 0) {
		fprintf(stderr, "referee: iptables refused its rules\n");
		exit(1);
	}
}

static void seen(void *data, const char *prefix, uint32_t number)
{
	struct kernel *k = data;
	struct kernel_verdict *v;

	if (!number || number > k->cap)
		return;
	v = &k->verdict[number - 1];
	if (!strcmp(prefix, "in")) {
		v->seen = true;
		if (number > k->last_seen)
			k->last_seen = number;
		return;
	}
	if (prefix[0] != 'r')
		return;
	v->decided = true;
	v->rule = strtoul(prefix + 1, NULL, 10);
}

static void reserve(struct kernel *k, uint32_t number)
{
	uint32_t cap = k->cap ? k->cap : 1024;

	if (number <= k->cap)
		return;
	while (cap < number)
		cap *= 2;
	k->verdict = realloc(k->verdict, cap * sizeof(*k->verdict));
	if (!k->verdict)
		die("realloc");
	memset(k->verdict + k->cap, 0, (cap - k->cap) * sizeof(*k->verdict));
	k->cap = cap;
}

void kernel_send(struct kernel *k, uint32_t number, const uint8_t *frame, size_t len)
{
	reserve(k, number + 1);
	if (send(k->sock, frame, len, 0) != (ssize_t)len)
		die("send");
	if (++k->unread >= IN_FLIGHT) {
		k->unread = 0;
		while (nflog_read(k->log, 0, seen, k))
			;
	}
}

/* A frame that every IP layer takes, after all others: when it is seen, they are through. */
static void send_sentinel(struct kernel *k, bool v6, uint32_t number)
{
	uint8_t frame[256];
	size_t len;

	if (v6)
		len = pkt_build(PKT(ETH(.dst = k->mac, .number = number), IP6(.src = SENTINEL6), UDP()),
				frame, sizeof(frame));
	else
		len = pkt_build(PKT(ETH(.dst = k->mac, .number = number), IP4(.src = SENTINEL4), UDP()),
				frame, sizeof(frame));
	kernel_send(k, number, frame, len);
}

void kernel_verdicts(struct kernel *k, bool v6, struct kernel_verdict *ret, uint32_t n)
{
	send_sentinel(k, v6, n + 1);
	while (k->last_seen != n + 1)
		if (!nflog_read(k->log, TIMEOUT_MS, seen, k)) {
			fprintf(stderr, "referee: the kernel is silent about the last frame\n");
			exit(1);
		}
	/* Its verdict follows its arrival; both may sit in different messages. */
	while (nflog_read(k->log, 30, seen, k))
		;
	memcpy(ret, k->verdict, n * sizeof(*ret));
	memset(k->verdict, 0, k->cap * sizeof(*k->verdict));
	k->last_seen = k->unread = 0;
}

size_t kernel_counts(struct kernel *k, bool v6, struct kernel_count *ret, size_t max)
{
	FILE *f = popen(v6 ? "ip6tables-legacy-save -c -t raw" : "iptables-legacy-save -c -t raw",
			"re");
	char *line = NULL;
	size_t n = 0, size = 0;

	(void)k;
	if (!f)
		die("popen");
	while (getline(&line, &size, f) > 0) {
		unsigned long long packets, bytes;
		int at = 0;

		if (sscanf(line, "[%llu:%llu] -A T%n", &packets, &bytes, &at) < 2 || !at ||
		    (line[at] != ' ' && line[at] != '\n'))
			continue;
		if (n < max)
			ret[n] = (struct kernel_count){ packets, bytes };
		n++;
	}
	free(line);
	if (pclose(f) != 0)
		die("iptables-save");
	return n;
}
