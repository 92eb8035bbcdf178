// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "classbench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* A whole line must be used up, or what follows is not understood. */
static bool at_end(const char *line)
{
	return line[strspn(line, " \t\r")] == '\0';
}

static bool is_prefix(const unsigned *byte, unsigned len, struct bench_prefix *ret)
{
	uint32_t addr = 0;

	for (int i = 0; i < 4; i++) {
		if (byte[i] > 255)
			return false;
		addr = addr << 8 | byte[i];
	}
	if (len > 32)
		return false;
	addr = htonl(len ? addr & ~0U << (32 - len) : 0);
	*ret = (struct bench_prefix){ .len = len };
	memcpy(ret->addr, &addr, 4);
	return true;
}

static bool is_ports(const unsigned *p, struct bench_ports *ret)
{
	*ret = (struct bench_ports){ p[0], p[1] };
	return p[0] <= p[1] && p[1] <= 65535;
}

int bench_classbench_rule(const char *line, struct bench_rule *ret)
{
	unsigned src[5], dst[5], sport[2], dport[2], proto[2], flags[2];
	struct bench_rule rule = { 0 };
	int used = -1, n;

	n = sscanf(line, "@%u.%u.%u.%u/%u %u.%u.%u.%u/%u %u : %u %u : %u %x/%x%n", &src[0], &src[1],
		   &src[2], &src[3], &src[4], &dst[0], &dst[1], &dst[2], &dst[3], &dst[4],
		   &sport[0], &sport[1], &dport[0], &dport[1], &proto[0], &proto[1], &used);
	if (n != 16 || used < 0)
		return -EINVAL;
	if (!at_end(line + used)) {
		line += used;
		used = -1;
		if (sscanf(line, " %x/%x%n", &flags[0], &flags[1], &used) != 2 || used < 0 ||
		    !at_end(line + used))
			return -EINVAL;
	}
	if (!is_prefix(src, src[4], &rule.src) || !is_prefix(dst, dst[4], &rule.dst) ||
	    !is_ports(sport, &rule.sport) || !is_ports(dport, &rule.dport))
		return -EINVAL;
	if (proto[0] > 255 || (proto[1] != 0 && proto[1] != 0xff))
		return -EINVAL;
	rule.proto = proto[1] ? proto[0] : 0;
	/* iptables has no ports without a protocol that has them. */
	if ((bench_asks_ports(&rule.sport) || bench_asks_ports(&rule.dport)) &&
	    rule.proto != IPPROTO_TCP && rule.proto != IPPROTO_UDP)
		return -EINVAL;
	*ret = rule;
	return 0;
}

int bench_classbench_flow(const char *line, struct bench_flow *ret)
{
	struct bench_flow flow = { 0 };
	unsigned long v[5], max[5] = { UINT32_MAX, UINT32_MAX, 65535, 65535, 255 };
	uint32_t addr;
	char *end;

	for (int i = 0; i < 5; i++) {
		line += strspn(line, " \t");
		if (*line < '0' || *line > '9')
			return -EINVAL;
		errno = 0;
		v[i] = strtoul(line, &end, 10);
		if (errno || v[i] > max[i] || !strchr(" \t\r", *end))
			return -EINVAL;
		line = end;
	}
	addr = htonl(v[0]);
	memcpy(flow.src, &addr, 4);
	addr = htonl(v[1]);
	memcpy(flow.dst, &addr, 4);
	flow.sport = v[2];
	flow.dport = v[3];
	flow.proto = v[4];
	*ret = flow;
	return 0;
}

/* Both kinds of file: `add` takes a line. */
static int read_lines(const char *path, int (*add)(const char *line, void *list), void *list,
		      struct pg_err *err)
{
	_fclose_ FILE *f = fopen(path, "re");
	_free_ char *line = NULL;
	size_t cap = 0;
	int r = 0;

	if (!f)
		return pg_fail(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	for (unsigned n = 1; !r && getline(&line, &cap, f) >= 0; n++) {
		line[strcspn(line, "\n")] = '\0';
		if (at_end(line))
			continue;
		r = add(line, list);
		if (r)
			pg_fail(err, r, "%s:%u: not understood: %.100s", path, n, line);
	}
	return r;
}

static int add_rule(const char *line, void *list)
{
	struct bench_rule rule;
	int r = bench_classbench_rule(line, &rule);

	return r ? r : bench_rules_add(list, &rule);
}

static int add_flow(const char *line, void *list)
{
	struct bench_flow flow;
	int r = bench_classbench_flow(line, &flow);

	return r ? r : bench_flows_add(list, &flow);
}

int bench_classbench_rules(const char *path, struct bench_rules *ret, struct pg_err *err)
{
	*ret = (struct bench_rules){ 0 };
	return read_lines(path, add_rule, ret, err);
}

int bench_classbench_flows(const char *path, struct bench_flows *ret, struct pg_err *err)
{
	*ret = (struct bench_flows){ 0 };
	return read_lines(path, add_flow, ret, err);
}
