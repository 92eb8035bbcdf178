// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dp_nic.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int pg_nic_find(const char *name, struct pg_nic *ret_nic, struct pg_err *err)
{
	_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo drv = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_value flags = { .cmd = ETHTOOL_GFLAGS };
	struct ifreq ifr = { 0 };
	char shown[64];

	*ret_nic = (struct pg_nic){ 0 };
	ret_nic->ifindex = strlen(name) < IFNAMSIZ ? if_nametoindex(name) : 0;
	if (!ret_nic->ifindex)
		return pg_fail(err, -ENODEV, "no such interface: '%s'",
			       pg_printable(name, shown, sizeof(shown)));
	snprintf(ret_nic->name, sizeof(ret_nic->name), "%s", name);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (sock < 0 || ioctl(sock, SIOCGIFHWADDR, &ifr))
		return pg_dp_fail(err, -errno, "cannot ask the interface for its type");
	ret_nic->loopback = ifr.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
	ret_nic->ethernet = ret_nic->loopback || ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER;
	if (!ioctl(sock, SIOCGIFMTU, &ifr))
		ret_nic->mtu = ifr.ifr_mtu;
	ifr.ifr_data = (void *)&drv;
	if (!ioctl(sock, SIOCETHTOOL, &ifr))
		snprintf(ret_nic->driver, sizeof(ret_nic->driver), "%s", drv.driver);
	ifr.ifr_data = (void *)&flags;
	if (!ioctl(sock, SIOCETHTOOL, &ifr))
		ret_nic->strips_vlan = flags.data & ETH_FLAG_RXVLAN;
	return 0;
}

int pg_dp_find_iface(const char *name, struct pg_err *err)
{
	struct pg_nic nic;

	return pg_nic_find(name, &nic, err);
}

const char *pg_nic_why_tc(const struct pg_nic *nic)
{
	if (!nic->ethernet)
		return "the interface has no Ethernet header";
	if (nic->loopback)
		return "loopback has no native XDP";
	if (!strcmp(nic->driver, "veth"))
		return "veth: native XDP would split its peer's GSO packets";
	return NULL;
}
