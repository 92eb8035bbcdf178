/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "local.h"

#define ETHERTYPE_QINQ 0x88a8
#define TAG_LEN 4U
/* More than the program follows: a frame that it drops has a direction all the same. */
#define TAGS_MAX 8

static int parse_net(const char *text, struct pg_local_net *ret, struct pg_err *err)
{
	struct pg_local_net net = { 0 };
	char buf[INET6_ADDRSTRLEN + 4];
	char *slash;
	uint8_t len;

	if (strlen(text) >= sizeof(buf))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "host/network `%s' not found",
				    text);
	snprintf(buf, sizeof(buf), "%s", text);
	slash = strchr(buf, '/');
	if (slash)
		*slash++ = '\0';

	if (inet_pton(AF_INET, buf, net.addr) == 1)
		net.bytes = 4;
	else if (inet_pton(AF_INET6, buf, net.addr) == 1)
		net.bytes = 16;
	else
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "host/network `%s' not found",
				    text);
	len = (uint8_t)(net.bytes * 8);
	if (slash && pg_parse_u8(slash, 0, len, &len) < 0)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "invalid mask `%s' specified",
				    slash);

	for (unsigned i = 0; i < len; i++)
		net.mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	for (unsigned i = 0; i < net.bytes; i++)
		net.addr[i] &= net.mask[i];
	*ret = net;
	return 0;
}

static int append(struct pg_locals *locals, const struct pg_local_net *net, struct pg_err *err)
{
	struct pg_local_net *all = reallocarray(locals->net, locals->n + 1, sizeof(*all));

	if (!all)
		return pg_fail(err, -ENOMEM, "out of memory");
	locals->net = all;
	locals->net[locals->n++] = *net;
	return 0;
}

int pg_locals_add(struct pg_locals *locals, const char *text, struct pg_err *err)
{
	_free_ char *copy = strdup(text);
	char *rest = copy, *one;

	if (!copy)
		return pg_fail(err, -ENOMEM, "out of memory");
	while ((one = strsep(&rest, ","))) {
		struct pg_local_net net;
		int r = parse_net(one, &net, err);

		if (!r)
			r = append(locals, &net, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int pg_locals_add_own(struct pg_locals *locals, struct pg_err *err)
{
	struct ifaddrs *all = NULL;
	int r = 0;

	if (getifaddrs(&all))
		return pg_fail(err, -errno, "cannot read this host's addresses: %s", strerror(errno));
	for (const struct ifaddrs *a = all; a && !r; a = a->ifa_next) {
		struct pg_local_net net = { 0 };
		int family = a->ifa_addr ? a->ifa_addr->sa_family : 0;

		if (family != AF_INET && family != AF_INET6)
			continue;
		net.bytes = family == AF_INET ? 4 : 16;
		memset(net.mask, 0xff, net.bytes);
		if (family == AF_INET)
			memcpy(net.addr, &((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr, 4);
		else
			memcpy(net.addr, &((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr,
			       16);
		r = append(locals, &net, err);
	}
	freeifaddrs(all);
	return r;
}

void pg_locals_clear(struct pg_locals *locals)
{
	free(locals->net);
	*locals = (struct pg_locals){ 0 };
}

bool pg_locals_has(const struct pg_locals *locals, const uint8_t *addr, unsigned bytes)
{
	for (size_t i = 0; i < locals->n; i++) {
		const struct pg_local_net *net = &locals->net[i];
		uint8_t differs = net->bytes != bytes;

		for (unsigned b = 0; b < net->bytes && !differs; b++)
			differs = (addr[b] ^ net->addr[b]) & net->mask[b];
		if (!differs)
			return true;
	}
	return false;
}

static unsigned get_u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

enum pg_dir pg_locals_dir(const struct pg_locals *locals, const uint8_t *frame, size_t len)
{
	size_t at = 2 * ETH_ALEN, src, dst, bytes;
	unsigned type;

	for (int tags = 0;; tags++) {
		if (len < at + 2)
			return PG_DIR_IN;
		type = get_u16(frame + at);
		if ((type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ) || tags == TAGS_MAX)
			break;
		at += TAG_LEN;
	}
	at += 2;

	switch (type) {
	case ETHERTYPE_IP:
		src = at + 12, dst = at + 16, bytes = 4;
		break;
	case ETHERTYPE_IPV6:
		src = at + 8, dst = at + 24, bytes = 16;
		break;
	case ETHERTYPE_ARP:
		src = at + 14, dst = at + 24, bytes = 4;
		break;
	default:
		return PG_DIR_IN;
	}
	if (len < dst + bytes)
		return PG_DIR_IN;
	return pg_locals_has(locals, frame + src, (unsigned)bytes) &&
			       !pg_locals_has(locals, frame + dst, (unsigned)bytes) ?
		       PG_DIR_OUT :
		       PG_DIR_IN;
}
