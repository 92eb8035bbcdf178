/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ssh_guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

#include "chains.h"
#include "compile.h"
#include "ifaces.h"
#include "names.h"
#include "print.h"

#define ETHER_BYTES 14
#define SSH_VARIABLE "SSH_CONNECTION="

/* Finding the connection ----------------------------------------------------------------------- */

/* An address, perhaps with the scope that a link-local one has (fe80::1%eth0). */
static bool parse_addr(char *text, enum pg_family *ret_family, uint8_t *ret)
{
	text[strcspn(text, "%")] = '\0';
	if (inet_pton(AF_INET, text, ret) == 1) {
		*ret_family = PG_FAMILY_V4;
		return true;
	}
	if (inet_pton(AF_INET6, text, ret) != 1)
		return false;
	*ret_family = PG_FAMILY_V6;
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)ret)) {
		memmove(ret, ret + 12, 4);
		*ret_family = PG_FAMILY_V4;
	}
	return true;
}

bool pg_ssh_parse(const char *text, struct pg_ssh *ret)
{
	char client[80], server[80], client_port[8], server_port[8], rest;
	enum pg_family family;
	struct pg_ssh ssh = { 0 };

	if (sscanf(text, "%79s %7s %79s %7s %c", client, client_port, server, server_port,
		   &rest) != 4 ||
	    !parse_addr(client, &ssh.family, ssh.client) ||
	    !parse_addr(server, &family, ssh.server) || family != ssh.family ||
	    pg_parse_u16(client_port, 1, UINT16_MAX, &ssh.client_port) < 0 ||
	    pg_parse_u16(server_port, 1, UINT16_MAX, &ssh.server_port) < 0)
		return false;
	*ret = ssh;
	return true;
}

/* The variable in a process' environment as it was started. */
static bool in_environ(pid_t pid, struct pg_ssh *ret)
{
	_fclose_ FILE *f = NULL;
	_free_ char *line = NULL;
	char path[64];
	size_t size = 0;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	f = fopen(path, "re");
	while (f && getdelim(&line, &size, '\0', f) > 0)
		if (!strncmp(line, SSH_VARIABLE, strlen(SSH_VARIABLE)))
			return pg_ssh_parse(line + strlen(SSH_VARIABLE), ret);
	return false;
}

/* sudo takes the variable away, so look at those who called it, too. */
bool pg_ssh_find(struct pg_ssh *ret)
{
	const char *own = getenv("SSH_CONNECTION");

	if (own)
		return pg_ssh_parse(own, ret);
	for (pid_t pid = getppid(); pid > 1; pid = pg_parent_of(pid))
		if (in_environ(pid, ret))
			return true;
	return false;
}

static bool has_address(const struct ifaddrs *a, const struct pg_ssh *ssh)
{
	if (!a->ifa_addr)
		return false;
	if (ssh->family == PG_FAMILY_V4)
		return a->ifa_addr->sa_family == AF_INET &&
		       !memcmp(&((const struct sockaddr_in *)a->ifa_addr)->sin_addr, ssh->server,
			       4);
	return a->ifa_addr->sa_family == AF_INET6 &&
	       !memcmp(&((const struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, ssh->server, 16);
}

/*
 * The interfaces that the connection's packets may arrive on, of those that are attached: the one
 * that has the server's address; all where that is lo, which services' addresses are put on.
 */
static void find_ifaces(const struct pg_dp_iface *iface, const struct pg_ssh *ssh, bool *ret)
{
	struct ifaddrs *addrs = NULL;

	if (getifaddrs(&addrs))
		return;
	for (const struct ifaddrs *a = addrs; a; a = a->ifa_next) {
		if (!has_address(a, ssh))
			continue;
		for (size_t i = 0; i < PG_MAX_IFACES; i++)
			ret[i] |= iface[i].abi.netns && iface[i].here &&
				  (!strcmp(a->ifa_name, "lo") ||
				   !strncmp(a->ifa_name, iface[i].abi.name,
					    sizeof(iface[i].abi.name)));
	}
	freeifaddrs(addrs);
}

/* Packets -------------------------------------------------------------------------------------- */

static uint16_t ip_checksum(const void *header, size_t n)
{
	const uint8_t *b = header;
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static size_t put_ip4(uint8_t *at, const struct pg_ssh *ssh)
{
	struct iphdr h = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons(sizeof(h) + sizeof(struct tcphdr)),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
	};

	memcpy(&h.saddr, ssh->client, 4);
	memcpy(&h.daddr, ssh->server, 4);
	h.check = ip_checksum(&h, sizeof(h));
	memcpy(at, &h, sizeof(h));
	return sizeof(h);
}

static size_t put_ip6(uint8_t *at, const struct pg_ssh *ssh)
{
	struct ip6_hdr h = {
		.ip6_flow = htonl(6U << 28),
		.ip6_plen = htons(sizeof(struct tcphdr)),
		.ip6_nxt = IPPROTO_TCP,
		.ip6_hlim = 64,
	};

	memcpy(&h.ip6_src, ssh->client, 16);
	memcpy(&h.ip6_dst, ssh->server, 16);
	memcpy(at, &h, sizeof(h));
	return sizeof(h);
}

/* A frame with a packet of the connection, or with the SYN of another. Returns its length. */
static size_t make_frame(uint8_t *frame, const struct pg_ssh *ssh, bool syn)
{
	uint16_t port = ssh->client_port;
	struct tcphdr tcp = {
		/* Another port, because the one of the connection is tracked. */
		.source = htons(!syn ? port : port < UINT16_MAX ? port + 1 : port - 1),
		.dest = htons(ssh->server_port),
		.seq = htonl(1),
		.ack_seq = htonl(!syn),
		.doff = 5,
		.syn = syn,
		.ack = !syn,
		.window = htons(64240),
	};
	bool v4 = ssh->family == PG_FAMILY_V4;
	size_t n = ETHER_BYTES;

	memset(frame, 0, ETHER_BYTES);
	frame[12] = v4 ? 0x08 : 0x86;
	frame[13] = v4 ? 0x00 : 0xdd;
	n += v4 ? put_ip4(frame + n, ssh) : put_ip6(frame + n, ssh);
	memcpy(frame + n, &tcp, sizeof(tcp));
	return n + sizeof(tcp);
}

/* The verdict ---------------------------------------------------------------------------------- */

struct trial {
	struct pg_dp *dp; /* private */
	const struct pg_ruleset *set;
	struct pg_tables *tables;
	const struct pg_ssh *ssh;
};

/* "rule 3 of chain `web': -p tcp -j DROP", or what else it was. */
static void name_rule(const struct trial *t, const struct pg_trace *trace, struct pg_text *ret)
{
	const struct pg_chain *chain = t->set->chain;
	const struct pg_rule *rule;
	uint32_t number;

	if (trace->term >= t->tables->gen.terms) {
		if (trace->reason == PG_REASON_POLICY)
			pg_text_add(ret, "the policy of chain `%s'",
				    chain[pg_stage_chain(trace->stage)].name);
		else
			pg_text_add(ret, "reason %s", pg_reason_name(trace->reason));
		return;
	}
	chain += t->tables->terms[trace->term].chain;
	number = t->tables->terms[trace->term].rule;
	rule = &chain->rule[number - 1];
	pg_text_add(ret, "rule %u of chain `%s'", number, chain->name);
	if (rule->pos.line)
		pg_text_add(ret, " (line %u)", rule->pos.line);
	pg_text_add(ret, ": ");
	pg_rule_print(ret, rule, 0);
}

/* Run one packet; *ret_by says what drops it, and is empty where nothing does. */
static int run(const struct trial *t, enum pg_prog prog, bool syn, struct pg_text *ret_by,
	       struct pg_err *err)
{
	struct pg_trace trace = { 0 };
	uint8_t frame[ETHER_BYTES + 64];
	size_t n = make_frame(frame, t->ssh, syn);
	int r = pg_dp_run_prog(t->dp, prog, frame, n, n, &trace, err);

	if (!r && trace.verdict != PG_VERDICT_ACCEPT)
		name_rule(t, &trace, ret_by);
	return !r && ret_by->oom ? pg_fail(err, -ENOMEM, "out of memory") : r;
}

static int establish(const struct trial *t, struct pg_err *err)
{
	const struct pg_ssh *ssh = t->ssh;
	const uint16_t port[2] = { ssh->server_port, ssh->client_port };
	__be32 addr[2][4] = { 0 };
	int r;

	memcpy(addr[0], ssh->server, sizeof(addr[0]));
	memcpy(addr[1], ssh->client, sizeof(addr[1]));
	r = pg_dp_flow_establish(t->dp, ssh->family, addr, port);
	return r ? pg_fail(err, r, "cannot track the SSH connection: %s", strerror(-r)) : 0;
}

/* A packet of the connection, the other way. */
static int run_answer(const struct trial *t, struct pg_text *ret_by, struct pg_err *err)
{
	struct pg_ssh back = *t->ssh;
	struct trial answer = *t;

	memcpy(back.client, t->ssh->server, sizeof(back.client));
	memcpy(back.server, t->ssh->client, sizeof(back.server));
	back.client_port = t->ssh->server_port;
	back.server_port = t->ssh->client_port;
	answer.ssh = &back;
	return run(&answer, PG_PROG_TC_OUT, false, ret_by, err);
}

static int judge(const struct trial *t, const struct pg_dp_iface *iface,
		 struct pg_text *ret_warning, struct pg_err *err)
{
	enum pg_prog prog = iface->abi.mode == PG_MODE_TC ? PG_PROG_TC_IN : PG_PROG_XDP;
	bool departs = iface->egress_prog_id || !iface->ingress_prog_id; /* or only reserved */
	_cleanup_(pg_text_free) struct pg_text old = { 0 }, new = { 0 };
	int domain = t->ssh->family == PG_FAMILY_V4 ? AF_INET : AF_INET6;
	char client[INET6_ADDRSTRLEN] = "", shown[700];
	int r = establish(t, err);

	inet_ntop(domain, t->ssh->client, client, sizeof(client));
	if (!r)
		r = run(t, prog, false, &old, err);
	if (!r && !old.len && departs)
		r = run_answer(t, &old, err);
	if (!r && old.len)
		return pg_fail(err, -ECONNABORTED,
			       "this policy would drop the SSH connection from %s port %u that you "
			       "are on, by %s; --force applies it all the same",
			       client, t->ssh->client_port,
			       pg_printable(old.buf, shown, sizeof(shown)));
	if (!r)
		r = run(t, prog, true, &new, err);
	if (!r && new.len)
		pg_text_add(ret_warning,
			    "warning: this policy keeps your SSH connection, but would drop a new one "
			    "from %s, by %s",
			    client, pg_printable(new.buf, shown, sizeof(shown)));
	return r;
}

static int try(struct pg_dp *dp, const struct pg_dp_iface *iface, const struct pg_ruleset *set,
	       const struct pg_ssh *ssh, struct pg_text *ret_warning, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *copy = pg_ruleset_dup(set);
	_cleanup_(pg_tables_freep) struct pg_tables *tables = NULL;
	_cleanup_(pg_dp_closep) struct pg_dp *private = NULL;
	const struct pg_private_opts opts = { .iface = iface->abi.name, .sets = dp };
	struct trial t = { .set = copy, .ssh = ssh };
	int r;

	if (!copy)
		return pg_fail(err, -ENOMEM, "out of memory");
	pg_policy_disown(copy);
	r = pg_dp_open_private(&opts, &private, err);
	if (!r)
		r = pg_policy_commit(private, copy, err);
	if (!r)
		r = pg_policy_compile(private, copy, &tables, err);
	t.dp = private;
	t.tables = tables;
	return r ? r : judge(&t, iface, ret_warning, err);
}

int pg_ssh_guard(struct pg_dp *dp, const struct pg_ruleset *set, struct pg_text *ret_warning,
		 struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	bool through[PG_MAX_IFACES] = { false };
	struct pg_ssh ssh;
	int r;

	if (!iface)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (!pg_ssh_find(&ssh))
		return 0;
	r = pg_dp_ifaces(dp, iface, err);
	if (r)
		return r;
	find_ifaces(iface, &ssh, through);
	for (size_t i = 0; !r && i < PG_MAX_IFACES; i++)
		if (through[i] && !ret_warning->len)
			r = try(dp, &iface[i], set, &ssh, ret_warning, err);
	return r;
}
