/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One interface, by ethtool's ioctl, route netlink and the netdev family. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "doctor.h"
#include "netlink.h"

/* The netdev family came with Linux 6.3; older headers don't have it. */
enum { NETDEV_CMD_DEV_GET_ = 1, NETDEV_A_DEV_IFINDEX_ = 1, NETDEV_A_DEV_XDP_FEATURES_ = 3 };

/* ethtool ----------------------------------------------------------------------------------------- */

static int ethtool(int sock, const char *name, void *arg)
{
	struct ifreq ifr = { .ifr_data = arg };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(sock, SIOCETHTOOL, &ifr) ? -errno : 0;
}

static size_t count_features(int sock, const char *name)
{
	_free_ struct ethtool_sset_info *info = calloc(1, sizeof(*info) + sizeof(info->data[0]));

	if (!info)
		return 0;
	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ULL << ETH_SS_FEATURES;
	return !ethtool(sock, name, info) && info->sset_mask ? info->data[0] : 0;
}

/* Offloads by the names that the kernel has for them. */
static void read_features(int sock, struct pg_doctor_nic *ret)
{
	size_t n = count_features(sock, ret->name), blocks = (n + 31) / 32;
	_free_ struct ethtool_gstrings *names = calloc(1, sizeof(*names) + n * ETH_GSTRING_LEN);
	_free_ struct ethtool_gfeatures *on = calloc(1, sizeof(*on) + blocks * sizeof(on->features[0]));
	const struct {
		const char *name;
		bool *to, *fixed;
	} wanted[] = {
		{ "rx-lro", &ret->lro, NULL },
		{ "rx-gro-hw", &ret->gro_hw, &ret->gro_hw_fixed },
		{ "rx-vlan-hw-parse", &ret->vlan_strip, &ret->vlan_strip_fixed },
		{ "rx-gro", &ret->gro, NULL },
	};

	if (!n || !names || !on)
		return;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = (__u32)n;
	on->cmd = ETHTOOL_GFEATURES;
	on->size = (__u32)blocks;
	if (ethtool(sock, ret->name, names) || ethtool(sock, ret->name, on))
		return;
	for (size_t i = 0; i < n; i++) {
		const struct ethtool_get_features_block *block = &on->features[i / 32];
		const char *is = (const char *)names->data + i * ETH_GSTRING_LEN;
		__u32 bit = 1U << i % 32;

		for (size_t w = 0; w < ARRAY_SIZE(wanted); w++) {
			if (strncmp(is, wanted[w].name, ETH_GSTRING_LEN))
				continue;
			*wanted[w].to = block->active & bit;
			if (wanted[w].fixed)
				*wanted[w].fixed = !(block->available & bit) || block->never_changed & bit;
		}
	}
}

/* Does the sender of this name hand over packets that are yet to be cut? */
static bool sends_gso(int sock, const char *name)
{
	struct ethtool_value tso = { .cmd = ETHTOOL_GTSO }, gso = { .cmd = ETHTOOL_GGSO };

	return (!ethtool(sock, name, &tso) && tso.data) || (!ethtool(sock, name, &gso) && gso.data);
}

/* How many queues the indirection table of RSS names. */
static unsigned count_rss(int sock, const char *name)
{
	struct ethtool_rxfh_indir head = { .cmd = ETHTOOL_GRXFHINDIR };
	_free_ struct ethtool_rxfh_indir *table = NULL;
	uint64_t seen[16] = { 0 };
	unsigned n = 0;

	if (ethtool(sock, name, &head) || !head.size || head.size > 65536)
		return 0;
	table = calloc(1, sizeof(*table) + head.size * sizeof(__u32));
	if (!table)
		return 0;
	table->cmd = ETHTOOL_GRXFHINDIR;
	table->size = head.size;
	if (ethtool(sock, name, table))
		return 0;
	for (__u32 i = 0; i < head.size; i++) {
		__u32 q = table->ring_index[i];

		if (q < 64 * ARRAY_SIZE(seen) && !(seen[q / 64] >> q % 64 & 1)) {
			seen[q / 64] |= 1ULL << q % 64;
			n++;
		}
	}
	return n;
}

static void read_ethtool(struct pg_doctor_nic *ret)
{
	_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo drv = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };

	if (sock < 0)
		return;
	if (!ethtool(sock, ret->name, &drv))
		pg_printable(drv.driver, ret->driver, sizeof(ret->driver));
	if (!ethtool(sock, ret->name, &ch) && ch.rx_count + ch.combined_count) {
		ret->queues = ch.rx_count + ch.combined_count;
		ret->queues_max = ch.max_rx + ch.max_combined;
		ret->combined = ch.combined_count;
	}
	read_features(sock, ret);
	ret->rss_queues = count_rss(sock, ret->name);
	if (ret->peer_here)
		ret->peer_gso = sends_gso(sock, ret->peer);
}

/* Route netlink ----------------------------------------------------------------------------------- */

enum { ATTRS = 64 };

static int take_attr(const struct nlattr *attr, void *data)
{
	const struct nlattr **tb = data;

	if (mnl_attr_get_type(attr) < ATTRS)
		tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static void take_kind(const struct nlattr *info, struct pg_doctor_nic *ret)
{
	const struct nlattr *tb[ATTRS] = { 0 };
	char kind[32];

	if (!info || mnl_attr_parse_nested(info, take_attr, tb) < 0 || !tb[IFLA_INFO_KIND])
		return;
	snprintf(kind, sizeof(kind), "%.*s", (int)mnl_attr_get_payload_len(tb[IFLA_INFO_KIND]),
		 mnl_attr_get_str(tb[IFLA_INFO_KIND]));
	pg_printable(kind, ret->kind, sizeof(ret->kind));
	ret->veth = !strcmp(kind, "veth");
}

static bool has_xdp(const struct nlattr *xdp)
{
	const struct nlattr *tb[ATTRS] = { 0 };

	return xdp && mnl_attr_parse_nested(xdp, take_attr, tb) >= 0 && tb[IFLA_XDP_ATTACHED] &&
	       mnl_attr_get_u8(tb[IFLA_XDP_ATTACHED]);
}

static int take_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[ATTRS] = { 0 };
	struct pg_doctor_nic *ret = data;

	if (mnl_attr_parse(nlh, sizeof(*msg), take_attr, tb) < 0)
		return MNL_CB_OK;
	ret->ethernet = msg->ifi_type == ARPHRD_ETHER || msg->ifi_type == ARPHRD_LOOPBACK;
	ret->loopback = msg->ifi_type == ARPHRD_LOOPBACK;
	ret->up = msg->ifi_flags & IFF_UP;
	if (tb[IFLA_MTU])
		ret->mtu = mnl_attr_get_u32(tb[IFLA_MTU]);
	take_kind(tb[IFLA_LINKINFO], ret);
	if (tb[IFLA_LINK])
		ret->peer_ifindex = mnl_attr_get_u32(tb[IFLA_LINK]);
	ret->peer_here = ret->veth && ret->peer_ifindex && !tb[IFLA_LINK_NETNSID];
	/* What drivers say that have channels is better: how many of them are in use. */
	if (tb[IFLA_NUM_RX_QUEUES])
		ret->queues = mnl_attr_get_u32(tb[IFLA_NUM_RX_QUEUES]);
	return MNL_CB_OK;
}

static int take_peer(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[ATTRS] = { 0 };
	struct pg_doctor_nic *ret = data;

	if (mnl_attr_parse(nlh, sizeof(struct ifinfomsg), take_attr, tb) >= 0)
		ret->peer_xdp = has_xdp(tb[IFLA_XDP]);
	return MNL_CB_OK;
}

static int ask_link(struct mnl_socket *nl, unsigned ifindex, mnl_cb_t take, void *data)
{
	char buf[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));

	nlh->nlmsg_type = RTM_GETLINK;
	msg->ifi_index = (int)ifindex;
	return pg_netlink_ask(nl, nlh, NLM_F_ACK, take, data);
}

static void read_link(struct pg_doctor_nic *ret)
{
	_cleanup_(pg_netlink_closep) struct mnl_socket *nl = NULL;

	if (pg_netlink_open(NETLINK_ROUTE, &nl) < 0 ||
	    ask_link(nl, ret->ifindex, take_link, ret) < 0 || !ret->peer_here)
		return;
	ret->peer_here = if_indextoname(ret->peer_ifindex, ret->peer);
	if (ret->peer_here)
		ask_link(nl, ret->peer_ifindex, take_peer, ret);
}

/* Generic netlink --------------------------------------------------------------------------------- */

static int take_family(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[ATTRS] = { 0 };

	if (mnl_attr_parse(nlh, sizeof(struct genlmsghdr), take_attr, tb) >= 0 &&
	    tb[CTRL_ATTR_FAMILY_ID])
		*(uint16_t *)data = mnl_attr_get_u16(tb[CTRL_ATTR_FAMILY_ID]);
	return MNL_CB_OK;
}

static int take_netdev(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[ATTRS] = { 0 };
	struct pg_doctor_nic *ret = data;

	if (mnl_attr_parse(nlh, sizeof(struct genlmsghdr), take_attr, tb) < 0 ||
	    !tb[NETDEV_A_DEV_XDP_FEATURES_])
		return MNL_CB_OK;
	ret->xdp = mnl_attr_get_u64(tb[NETDEV_A_DEV_XDP_FEATURES_]);
	ret->xdp_known = true;
	return MNL_CB_OK;
}

static struct nlmsghdr *request(char *buf, uint16_t family, uint8_t cmd)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));

	nlh->nlmsg_type = family;
	genl->cmd = cmd;
	genl->version = 1;
	return nlh;
}

static void read_netdev(struct pg_doctor_nic *ret)
{
	_cleanup_(pg_netlink_closep) struct mnl_socket *nl = NULL;
	char buf[256];
	struct nlmsghdr *nlh;
	uint16_t family = 0;

	if (pg_netlink_open(NETLINK_GENERIC, &nl) < 0)
		return;
	nlh = request(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, "netdev");
	if (pg_netlink_ask(nl, nlh, NLM_F_ACK, take_family, &family) < 0 || !family)
		return;
	nlh = request(buf, family, NETDEV_CMD_DEV_GET_);
	mnl_attr_put_u32(nlh, NETDEV_A_DEV_IFINDEX_, ret->ifindex);
	pg_netlink_ask(nl, nlh, NLM_F_ACK, take_netdev, ret);
}

int pg_doctor_nic_read(const char *name, struct pg_doctor_nic *ret, struct pg_err *err)
{
	char shown[64];

	*ret = (struct pg_doctor_nic){ 0 };
	ret->ifindex = strlen(name) < IFNAMSIZ ? if_nametoindex(name) : 0;
	if (!ret->ifindex)
		return pg_fail(err, -ENODEV, "no such interface: '%s'",
			       pg_printable(name, shown, sizeof(shown)));
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	read_link(ret);
	read_ethtool(ret);
	read_netdev(ret);
	ret->n_prog = pg_dp_hooked(ret->ifindex, ret->prog);
	pg_doctor_owners(ret);
	return 0;
}

/* Owners ------------------------------------------------------------------------------------------ */

/* "prog_id:\t12" or "link_id:\t3" in what the kernel says of a descriptor. */
static void see_fdinfo(int dir, const char *fd, const char *who, struct pg_doctor_nic *nic)
{
	_close_ int at = openat(dir, fd, O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t n = at < 0 ? -1 : read(at, text, sizeof(text) - 1);
	const char *prog, *link;

	if (n <= 0)
		return;
	text[n] = '\0';
	prog = strstr(text, "prog_id:");
	link = strstr(text, "link_id:");
	for (size_t i = 0; i < nic->n_prog; i++) {
		bool is = link ? nic->prog[i].link_id &&
					 strtoul(link + 8, NULL, 10) == nic->prog[i].link_id :
				 prog && strtoul(prog + 8, NULL, 10) == nic->prog[i].id;

		if (is && !nic->owner[i][0])
			snprintf(nic->owner[i], sizeof(nic->owner[i]), "%s", who);
	}
}

static void see_process(int proc, const char *pid, struct pg_doctor_nic *nic)
{
	char path[300], comm[64] = "", shown[64], who[96];
	struct dirent *e;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, comm, sizeof(comm) - 1) < 0)
			comm[0] = '\0';
		close(fd);
	}
	comm[strcspn(comm, "\n")] = '\0';
	snprintf(who, sizeof(who), "%.60s[%.20s]", pg_printable(comm, shown, sizeof(shown)), pid);
	snprintf(path, sizeof(path), "%s/fdinfo", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			see_fdinfo(dirfd(dir), e->d_name, who, nic);
	if (dir)
		closedir(dir);
}

void pg_doctor_owners(struct pg_doctor_nic *nic)
{
	DIR *proc = nic->n_prog ? opendir("/proc") : NULL;
	struct dirent *e;

	while (proc && (e = readdir(proc)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			see_process(dirfd(proc), e->d_name, nic);
	if (proc)
		closedir(proc);
	for (size_t i = 0; i < nic->n_prog; i++)
		if (!nic->owner[i][0] && nic->prog[i].pin[0])
			snprintf(nic->owner[i], sizeof(nic->owner[i]), "%.95s", nic->prog[i].pin);
}
