/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 1 << 17 }; /* of one message of many packets */

struct nflog {
	struct mnl_socket *sock;
	void (*seen)(void *data, const char *prefix, uint32_t number);
	void *data;
	size_t n;
};

static void die(const char *what)
{
	fprintf(stderr, "referee: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct nlmsghdr *config(char *buf, unsigned group)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(group);
	return nlh;
}

static void request(struct mnl_socket *sock, const struct nlmsghdr *nlh)
{
	char answer[MNL_SOCKET_BUFFER_SIZE];
	ssize_t n;

	if (mnl_socket_sendto(sock, nlh, nlh->nlmsg_len) < 0)
		die("cannot configure NFLOG");
	n = mnl_socket_recvfrom(sock, answer, sizeof(answer));
	if (n < 0 || mnl_cb_run(answer, n, 1, mnl_socket_get_portid(sock), NULL, NULL) < 0)
		die("NFLOG refused");
}

struct nflog *nflog_open(unsigned group)
{
	struct nfulnl_msg_config_mode mode = { .copy_mode = NFULNL_COPY_META };
	struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
	struct nflog *log = calloc(1, sizeof(*log));
	char buf[MNL_SOCKET_BUFFER_SIZE];
	int rcvbuf = 64 << 20;
	struct nlmsghdr *nlh;

	if (!log)
		die("calloc");
	log->sock = mnl_socket_open(NETLINK_NETFILTER);
	if (!log->sock || mnl_socket_bind(log->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		die("netlink");
	if (setsockopt(mnl_socket_get_fd(log->sock), SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf,
		       sizeof(rcvbuf)) < 0)
		die("SO_RCVBUFFORCE");
	nlh = config(buf, group);
	mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(bind), &bind);
	request(log->sock, nlh);
	nlh = config(buf, group);
	mnl_attr_put(nlh, NFULA_CFG_MODE, sizeof(mode), &mode);
	/* Many to one message; a rule with a threshold of its own sends them off at once. */
	mnl_attr_put_u32(nlh, NFULA_CFG_NLBUFSIZ, htonl(BUFFER));
	mnl_attr_put_u32(nlh, NFULA_CFG_QTHRESH, htonl(512));
	request(log->sock, nlh);
	return log;
}

void nflog_close(struct nflog *log)
{
	mnl_socket_close(log->sock);
	free(log);
}

static int message(const struct nlmsghdr *nlh, void *data)
{
	struct nflog *log = data;
	const char *prefix = NULL;
	const uint8_t *mac = NULL;
	struct nlattr *a;

	if (nlh->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) == NFULA_PREFIX)
			prefix = mnl_attr_get_str(a);
		if (mnl_attr_get_type(a) == NFULA_HWHEADER && mnl_attr_get_payload_len(a) >= 14)
			mac = (const uint8_t *)mnl_attr_get_payload(a) + 6;
	}
	if (!prefix || !mac)
		return MNL_CB_OK;
	log->n++;
	log->seen(log->data, prefix,
		  (uint32_t)mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5]);
	return MNL_CB_OK;
}

size_t nflog_read(struct nflog *log, int timeout_ms,
		  void (*seen)(void *data, const char *prefix, uint32_t number), void *data)
{
	struct pollfd fd = { .fd = mnl_socket_get_fd(log->sock), .events = POLLIN };
	static char buf[1 << 18];
	ssize_t n;

	log->seen = seen;
	log->data = data;
	log->n = 0;
	if (poll(&fd, 1, timeout_ms) <= 0)
		return 0;
	n = mnl_socket_recvfrom(log->sock, buf, sizeof(buf));
	if (n < 0) /* ENOBUFS: a message is lost, and with it the comparison */
		die("NFLOG");
	if (mnl_cb_run(buf, n, 0, 0, message, log) < 0)
		die("NFLOG message");
	return log->n;
}
