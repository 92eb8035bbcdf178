/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules sit in raw PREROUTING: what the kernel drops before it is what ip_rcv_core() and
 * ip6_rcv_core() drop, and no routing, connection tracking or defragmentation has touched the
 * packet. Nothing leaves the table: every packet ends in a DROP behind an NFLOG rule, so that the
 * namespace answers nothing.
 *
 * Rules of raw come before them there, in chains of other names: where they accept, those of INPUT are next.
 *
 * Rules that ask for connections' states sit in filter INPUT: a connection is known to the kernel
 * when its packet has left INPUT, so those that are accepted are delivered. What the namespace answers
 * is dropped before its tracking sees it.
 *
 * INPUT is a chain of its own here, so that RETURN and goto do in it what they do in INPUT. A line
 * that decides leads to a chain which says its number and drops.
 */
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nflog.h"
#include "pg_abi.h"
#include "pkt.h"

/* Frames from there meet no rule under test: when one is seen, those before it are through. */
#define SENTINEL4 "198.51.100.99"
#define SENTINEL6 "2001:db8:ffff:ffff::99"

/* BATCH: below net.core.netdev_max_backlog, where the kernel begins to drop. */
enum { GROUP = 7, TIMEOUT_MS = 10000, BATCH = 512 };

struct kernel {
	int sock;
	char mac[18];
	struct nflog *log;
	struct kernel_verdict *verdict; /* of frames 1..n */
	size_t n;
	uint32_t end; /* number of the last sentinel seen */
	bool has_sets;
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
	int there = open(netns, O_RDONLY | O_CLOEXEC), sock, one = 1;

	if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		die(netns);
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* 0: send only */
	addr.sll_ifindex = if_nametoindex(ifname);
	if (sock < 0 || !addr.sll_ifindex || bind(sock, (void *)&addr, sizeof(addr)) < 0)
		die(ifname);
	if (setsockopt(sock, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0)
		die("PACKET_QDISC_BYPASS");
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

/* A frame is received on the CPU that sends it: on one CPU they stay in order. */
static void stay_on_this_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
}

struct kernel *kernel_open(const char *from_netns, const char *from, const char *to)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		die("calloc");
	stay_on_this_cpu();
	k->sock = open_sender(from_netns, from);
	read_mac(to, k->mac, sizeof(k->mac));
	k->log = nflog_open(GROUP);
	return k;
}

void kernel_close(struct kernel *k)
{
	close(k->sock);
	nflog_close(k->log);
	free(k);
}

const char *kernel_mac(const struct kernel *k)
{
	return k->mac;
}

/* Loading -------------------------------------------------------------------------------------- */

static FILE *run(const char *command)
{
	FILE *f = popen(command, "we");

	if (!f)
		die(command);
	return f;
}

static const char *restore(bool v6)
{
	return v6 ? "ip6tables-legacy-restore -w" : "iptables-legacy-restore -w";
}

static void unload(bool v6)
{
	FILE *f = run(restore(v6));

	fprintf(f, "*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n");
	if (pclose(f) != 0)
		die("iptables");
}

/* Sets can't be replaced while rules name them. */
static bool load_sets(struct kernel *k, const char *sets)
{
	FILE *f;

	if (!k->has_sets && !sets)
		return true;
	unload(false);
	unload(true);
	f = run("ipset restore");
	fprintf(f, "destroy\n%s", sets ? sets : "");
	k->has_sets = sets;
	return pclose(f) == 0;
}

/* Connections that an earlier rule set saw are none to this one. */
static void forget_connections(void)
{
	struct mnl_socket *sock = mnl_socket_open(NETLINK_NETFILTER);
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	ssize_t n;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	if (!sock || mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(sock, nlh, nlh->nlmsg_len) < 0)
		die("conntrack");
	n = mnl_socket_recvfrom(sock, buf, sizeof(buf));
	if (n < 0 || mnl_cb_run(buf, n, 0, mnl_socket_get_portid(sock), NULL, NULL) < 0)
		die("conntrack: flush");
	mnl_socket_close(sock);
}

/* Valid until the next call. Chains of raw may have namesakes in filter. */
static const char *chain_name(const struct rules *rules, size_t chain)
{
	static char buf[sizeof("=raw") + 20];

	if (!rules->chain[chain].raw)
		return chain ? rules->chain[chain].name : "=INPUT";
	if (!strcmp(rules->chain[chain].name, "PREROUTING"))
		return "=raw";
	snprintf(buf, sizeof(buf), "=raw%zu", chain);
	return buf;
}

/* What every frame meets first: is it the batch's last, and that it came here. */
static void print_entry(FILE *f, const struct rules *rules)
{
	fprintf(f, "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:=end - [0:0]\n");
	fprintf(f, "-A PREROUTING -s %s -j =end\n-A PREROUTING -j NFLOG --nflog-group %d "
		"--nflog-prefix in\n", rules->v6 ? SENTINEL6 : SENTINEL4, GROUP);
	fprintf(f, "-A =end -j NFLOG --nflog-group %d --nflog-prefix end --nflog-threshold 1\n"
		"-A =end -j DROP\n", GROUP);
	if (rules->tracks)
		fprintf(f, "-A OUTPUT -j DROP\n");
}

static bool is_accepted(const struct rules *rules, unsigned number)
{
	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; i < rules->chain[c].n; i++)
			if (rules->chain[c].line[i].number == number)
				return rules->chain[c].line[i].accepts;
	return false;
}

/* Lines that decide in raw drop. */
static void print_raw_decisions(FILE *f, const struct rules *rules)
{
	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; rules->chain[c].raw && i < rules->chain[c].n; i++) {
			unsigned number = rules->chain[c].line[i].number;

			if (number)
				fprintf(f, ":=%u - [0:0]\n-A =%u -j NFLOG --nflog-group %d --nflog-prefix "
					"=%u\n-A =%u -j DROP\n", number, number, GROUP, number, number);
		}
}

/* A chain for each line that decides, and for the policy, whose number is 0. */
static void print_decisions(FILE *f, const struct rules *rules)
{
	for (unsigned i = 0; i <= rules->deciding; i++) {
		bool accepted = rules->tracks && (i ? is_accepted(rules, i) : !rules->drop);

		fprintf(f, ":=%u - [0:0]\n-A =%u -j NFLOG --nflog-group %d --nflog-prefix =%u\n"
			"-A =%u -j %s\n", i, i, GROUP, i, i, accepted ? "ACCEPT" : "DROP");
	}
}

static const struct {
	const char *name;
	unsigned state;
} states[] = { { "NEW", PG_CT_NEW }, { "ESTABLISHED", PG_CT_ESTABLISHED }, { "RELATED", PG_CT_RELATED },
	       { "INVALID", PG_CT_INVALID }, { "UNTRACKED", PG_CT_UNTRACKED } };

/* Before the rules under test: what state the packet is in. */
static void print_states(FILE *f)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		fprintf(f, "-A INPUT -m conntrack --ctstate %s -j NFLOG --nflog-group %d "
			"--nflog-prefix %s\n", states[i].name, GROUP, states[i].name);
}

static void print_target(FILE *f, const struct rules *rules, size_t chain, const struct rule_line *l)
{
	bool raw = rules->chain[chain].raw;
	size_t to = raw ? rules_jump(rules, chain, l) : 0;

	if (l->number)
		fprintf(f, "-j =%u\n", l->number);
	else if (to)
		fprintf(f, "-%c %s\n", l->target[1], chain_name(rules, to));
	else if (raw && !rules->tracks && !strncmp(l->target, "-j ACCEPT", 9))
		fprintf(f, "-j =filter\n");
	else
		fprintf(f, "%s\n", l->target);
}

/* Chains and rules of one table. */
static void print_rules(FILE *f, const struct rules *rules, bool raw)
{
	for (size_t c = 0; c < rules->n; c++)
		if (rules->chain[c].raw == raw)
			fprintf(f, ":%s - [0:0]\n", chain_name(rules, c));
	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; rules->chain[c].raw == raw && i < rules->chain[c].n; i++) {
			const struct rule_line *l = &rules->chain[c].line[i];

			fprintf(f, "-A %s%s ", chain_name(rules, c), l->spec);
			print_target(f, rules, c, l);
		}
}

/* "=filter" leads to them, and nothing comes back from there. */
static void print_filter(FILE *f, const struct rules *rules)
{
	print_decisions(f, rules);
	print_rules(f, rules, false);
	fprintf(f, ":=filter - [0:0]\n-A =filter -j =INPUT\n-A =filter -j =0\n");
}

bool kernel_load(struct kernel *k, const struct rules *rules)
{
	FILE *f;

	if (!load_sets(k, rules->sets))
		return false;
	if (rules->tracks)
		forget_connections();
	f = run(restore(rules->v6));
	print_entry(f, rules);
	if (rules->tracks) {
		print_raw_decisions(f, rules);
		print_rules(f, rules, true);
		fprintf(f, "-A PREROUTING -j =raw\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n");
		print_states(f);
		print_filter(f, rules);
		fprintf(f, "-A INPUT -j =filter\n");
	} else {
		print_filter(f, rules);
		print_rules(f, rules, true);
		if (rules_has_raw(rules))
			fprintf(f, "-A PREROUTING -j =raw\n");
		fprintf(f, "-A PREROUTING -j =filter\n");
	}
	fprintf(f, "COMMIT\n");
	return pclose(f) == 0;
}

/* Frames --------------------------------------------------------------------------------------- */

static unsigned state_named(const char *name)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(states[i].name, name))
			return states[i].state;
	return 0;
}

static void seen(void *data, const char *prefix, uint32_t number)
{
	struct kernel *k = data;
	struct kernel_verdict *v;

	if (!strcmp(prefix, "end"))
		k->end = number;
	else if (number && number <= k->n) {
		v = &k->verdict[number - 1];
		if (prefix[0] == '=') {
			v->decided = true;
			v->number = strtoul(prefix + 1, NULL, 10);
		} else if (!strcmp(prefix, "in")) {
			v->seen = true;
		} else {
			v->state = state_named(prefix);
		}
	}
}

/* Every IP layer takes it. */
static void make_sentinel(const struct kernel *k, bool v6, uint32_t number, struct frame *ret)
{
	if (v6)
		ret->len = pkt_build(PKT(ETH(.dst = k->mac, .number = number), IP6(.src = SENTINEL6),
					 UDP()), ret->data, sizeof(ret->data));
	else
		ret->len = pkt_build(PKT(ETH(.dst = k->mac, .number = number), IP4(.src = SENTINEL4),
					 UDP()), ret->data, sizeof(ret->data));
}

static void send_batch(struct kernel *k, const struct frame *frame, size_t n,
		       const struct frame *sentinel)
{
	struct mmsghdr msg[BATCH + 1] = { 0 };
	struct iovec iov[BATCH + 1];
	size_t done = 0;

	for (size_t i = 0; i <= n; i++) {
		const struct frame *f = i < n ? &frame[i] : sentinel;

		iov[i] = (struct iovec){ (void *)f->data, f->len };
		msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	while (done <= n) {
		int sent = sendmmsg(k->sock, msg + done, n + 1 - done, 0);

		if (sent < 0)
			die("sendmmsg");
		done += sent;
	}
}

void kernel_run(struct kernel *k, bool v6, const struct frame *frame, size_t n,
		struct kernel_verdict *ret)
{
	struct frame sentinel;

	memset(ret, 0, n * sizeof(*ret));
	k->verdict = ret;
	k->n = n;
	k->end = 0;
	for (size_t at = 0, batch; at < n; at += batch) {
		batch = n - at < BATCH ? n - at : BATCH;
		make_sentinel(k, v6, at + batch, &sentinel);
		send_batch(k, frame + at, batch, &sentinel);
		while (k->end != at + batch)
			if (!nflog_read(k->log, TIMEOUT_MS, seen, k)) {
				fprintf(stderr, "referee: the kernel is silent about the last frame\n");
				exit(1);
			}
	}
	k->verdict = NULL;
	k->n = 0;
}

/* Counters ------------------------------------------------------------------------------------- */

/* Where a chain's counters begin; the chain named last is mostly the one that is asked for. */
static size_t *offset_of(const struct rules *rules, const char *name, size_t *offset)
{
	static size_t last;

	if (last < rules->n && !strcmp(chain_name(rules, last), name))
		return &offset[last];
	for (size_t c = 0; c < rules->n; c++)
		if (!strcmp(chain_name(rules, c), name)) {
			last = c;
			return &offset[c];
		}
	return NULL;
}

struct kernel_count *kernel_counts(struct kernel *k, const struct rules *rules, size_t *ret_n)
{
	FILE *f = popen(rules->v6 ? "ip6tables-legacy-save -c" : "iptables-legacy-save -c", "re");
	size_t n = 0, size = 0, read = 0, *offset = calloc(rules->n, sizeof(*offset));
	struct kernel_count *count;
	char *line = NULL, name[32];

	(void)k;
	for (size_t c = 0; c < rules->n; c++) {
		offset[c] = n;
		n += rules_count(rules, c);
	}
	count = calloc(n + 1, sizeof(*count));
	if (!f || !count)
		die("popen");
	while (getline(&line, &size, f) > 0) {
		unsigned long long packets, bytes;
		size_t *at;

		if (sscanf(line, "[%llu:%llu] -A %31s", &packets, &bytes, name) < 3)
			continue;
		at = offset_of(rules, name, offset);
		if (at && *at < n)
			count[(*at)++] = (struct kernel_count){ packets, bytes };
		read += at != NULL;
	}
	free(line);
	free(offset);
	if (pclose(f) != 0 || read != n) {
		fprintf(stderr, "referee: the kernel has %zu rules of %zu\n", read, n);
		exit(1);
	}
	*ret_n = n;
	return count;
}
