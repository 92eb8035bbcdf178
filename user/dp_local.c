// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the programs cannot ask the kernel: which addresses are the host's own (its routing table
 * `local`, which is what net/ipv4/fib_frontend.c looks in for xt_addrtype), whether links have
 * link-local addresses, and how far TAI is
 * ahead of UTC. Both are copies of the moment in which a policy is committed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "dp_impl.h"
#include "netlink.h"

struct reading {
	int fd;
	__u32 round;
};

static int read_attr(const struct nlattr *attr, void *data)
{
	const struct nlattr **attrs = data;

	if (mnl_attr_get_type(attr) <= RTA_MAX)
		attrs[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* fe80::/64, for which bpf_fib_lookup() is not to be asked. */
static bool is_link_route(const struct rtmsg *rt, const struct nlattr *const *attrs)
{
	static const __u8 prefix[8] = { 0xfe, 0x80 };

	return rt->rtm_family == AF_INET6 && rt->rtm_dst_len == 64 && rt->rtm_type == RTN_UNICAST &&
	       attrs[RTA_DST] && mnl_attr_get_payload_len(attrs[RTA_DST]) == 16 &&
	       !memcmp(mnl_attr_get_payload(attrs[RTA_DST]), prefix, sizeof(prefix));
}

static int read_route(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attrs[RTA_MAX + 1] = { NULL };
	struct pg_local_key key = { 0 };
	const struct reading *reading = data;
	struct pg_local local = { .type = rt->rtm_type, .round = reading->round };
	bool v6 = rt->rtm_family == AF_INET6;
	__u32 table = rt->rtm_table;

	mnl_attr_parse(nlh, sizeof(*rt), read_attr, attrs);
	if (attrs[RTA_TABLE])
		table = mnl_attr_get_u32(attrs[RTA_TABLE]);
	if ((table != RT_TABLE_LOCAL && !is_link_route(rt, attrs)) || rt->rtm_dst_len > (v6 ? 128 : 32) ||
	    (attrs[RTA_DST] && mnl_attr_get_payload_len(attrs[RTA_DST]) > sizeof(key.addr)))
		return MNL_CB_OK;
	key.prefixlen = 32 + rt->rtm_dst_len;
	key.family = v6 ? PG_FAMILY_V6 : PG_FAMILY_V4;
	if (attrs[RTA_DST]) /* all addresses, without */
		memcpy(key.addr, mnl_attr_get_payload(attrs[RTA_DST]),
		       mnl_attr_get_payload_len(attrs[RTA_DST]));
	if (attrs[RTA_OIF])
		local.ifindex = mnl_attr_get_u32(attrs[RTA_OIF]);
	return bpf_map_update_elem(reading->fd, &key, &local, BPF_ANY) ? MNL_CB_ERROR : MNL_CB_OK;
}

/* Those that are no longer there. A trie has no order in which deleting one loses another's place. */
static void forget_others(const struct reading *reading)
{
	struct pg_local_key key, next;
	struct pg_local local;
	bool more = !bpf_map_get_next_key(reading->fd, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(reading->fd, &key, &next);
		if (!bpf_map_lookup_elem(reading->fd, &key, &local) && local.round != reading->round)
			bpf_map_delete_elem(reading->fd, &key);
	}
}

static int dump_routes(struct reading *reading, struct mnl_socket *sock, unsigned char family)
{
	char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct rtmsg))];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;

	nlh->nlmsg_type = RTM_GETROUTE;
	rt = mnl_nlmsg_put_extra_header(nlh, sizeof(*rt));
	rt->rtm_family = family;
	return pg_netlink_dump(sock, nlh, read_route, reading);
}

int pg_dp_local_refresh(struct pg_dp *dp, struct pg_err *err)
{
	struct reading reading = { dp->map[PG_MAP_LOCALS].fd, (__u32)time(NULL) ^ getpid() };
	_cleanup_(pg_netlink_closep) struct mnl_socket *sock = NULL;
	struct timex now = { 0 };
	int r = pg_netlink_open(NETLINK_ROUTE, &sock);

	if (!r)
		r = dump_routes(&reading, sock, AF_INET) ?: dump_routes(&reading, sock, AF_INET6);
	if (!r)
		forget_others(&reading);
	if (adjtimex(&now) >= 0)
		pg_dp_ctl(dp)->tai_offset = now.tai;
	return r ? pg_dp_fail(err, r, "cannot read the host's addresses") : 0;
}

/* One switch; a kernel without the protocol has none. */
static int switch_on(const char *path, struct pg_err *err)
{
	_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	char now = '0';

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0 && read(fd, &now, 1) == 1 && now == '1')
		return 0;
	if (fd < 0 || pwrite(fd, "1", 1, 0) != 1)
		return pg_fail(err, -errno, "match `rpfilter' needs 1 in %s: %s", path, strerror(errno));
	return 0;
}

int pg_dp_routes_open(struct pg_err *err)
{
	return switch_on("/proc/sys/net/ipv4/conf/lo/forwarding", err) ?:
	       switch_on("/proc/sys/net/ipv6/conf/lo/forwarding", err);
}
