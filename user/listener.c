/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets come from the kernel's sock_diag, as for ss(8). It names a socket's inode but not its
 * process: that is found among the descriptors in /proc.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <netinet/tcp.h>
#include <string.h>

#include "listener.h"
#include "netlink.h"
#include "netspace.h"

struct sock {
	struct pg_socket_row row;
	uint32_t inode;
	unsigned last_pid;
	uint8_t rank; /* the lower, the wider its address */
};

struct socks {
	struct sock *sock;
	size_t n, cap;
	enum pg_port_proto proto; /* of the dump that is being read */
	const struct pg_netspace *space; /* likewise; NULL: ours */
	unsigned picked_from; /* the lowest port that clients are given */
	bool oom;
};

static void socks_freep(struct socks *socks)
{
	free(socks->sock);
}

static struct sock *socks_grow(struct socks *socks)
{
	if (socks->n == socks->cap) {
		size_t cap = socks->cap ? 2 * socks->cap : 64;
		struct sock *sock = reallocarray(socks->sock, cap, sizeof(*sock));

		if (!sock) {
			socks->oom = true;
			return NULL;
		}
		socks->sock = sock;
		socks->cap = cap;
	}
	return &socks->sock[socks->n++];
}

static int take_v6only(const struct nlattr *attr, void *data)
{
	struct pg_socket_row *row = data;

	if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY)
		row->v6only = mnl_attr_get_u8(attr);
	return MNL_CB_OK;
}

static int take_sock(const struct nlmsghdr *nlh, void *data)
{
	static const uint8_t any[16];
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	const uint8_t *addr = (const void *)msg->id.idiag_src;
	struct socks *socks = data;
	struct sock *sock;
	bool v4;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg) || !msg->id.idiag_sport)
		return MNL_CB_OK;
	v4 = msg->idiag_family == AF_INET;
	/* A server may connect the socket on which it answers; a client's has a port that was picked for it. */
	if (msg->idiag_state == TCP_ESTABLISHED && ntohs(msg->id.idiag_sport) >= socks->picked_from)
		return MNL_CB_OK;
	sock = socks_grow(socks);
	if (!sock)
		return MNL_CB_ERROR;

	*sock = (struct sock){ .inode = msg->idiag_inode };
	sock->row.proto = socks->proto;
	sock->row.port = ntohs(msg->id.idiag_sport);
	sock->row.connected = msg->idiag_state == TCP_ESTABLISHED;
	sock->row.uid = msg->idiag_uid;
	sock->row.ifindex = msg->id.idiag_if;
	inet_ntop(msg->idiag_family, addr, sock->row.who.address, sizeof(sock->row.who.address));
	if (!v4 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr)) {
		v4 = true; /* it takes nothing else */
		addr += 12;
	}
	sock->row.family = v4 ? PG_FAMILY_V4 : PG_FAMILY_V6;
	memcpy(sock->row.addr, addr, v4 ? 4 : 16);
	sock->row.wildcard = !memcmp(addr, any, v4 ? 4 : 16);
	sock->row.loopback = v4 ? addr[0] == 127 : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)addr);
	sock->rank = sock->row.connected ? 3 : !sock->row.wildcard ? 2 : v4 ? 0 : 1;
	if (socks->space) {
		sock->row.netns = socks->space->inode;
		memcpy(sock->row.where, socks->space->name, sizeof(sock->row.where));
	}
	mnl_attr_parse(nlh, sizeof(*msg), take_v6only, &sock->row);
	return MNL_CB_OK;
}

static unsigned read_picked_from(void)
{
	_fclose_ FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned from;

	return f && fscanf(f, "%u", &from) == 1 ? from : 32768;
}

static int dump_all(struct socks *socks)
{
	static const struct {
		uint8_t family, ipproto;
		enum pg_port_proto proto;
		uint32_t states;
	} dumps[] = {
		{ AF_INET, IPPROTO_TCP, PG_PORT_TCP, 1U << TCP_LISTEN },
		{ AF_INET6, IPPROTO_TCP, PG_PORT_TCP, 1U << TCP_LISTEN },
		/* A UDP socket that is bound but not connected is in the state "closed". */
		{ AF_INET, IPPROTO_UDP, PG_PORT_UDP, 1U << TCP_CLOSE | 1U << TCP_ESTABLISHED },
		{ AF_INET6, IPPROTO_UDP, PG_PORT_UDP, 1U << TCP_CLOSE | 1U << TCP_ESTABLISHED },
	};
	_cleanup_(pg_netlink_closep) struct mnl_socket *nl = NULL;
	int r = pg_netlink_open(NETLINK_SOCK_DIAG, &nl);

	if (r < 0)
		return r;
	socks->picked_from = read_picked_from();
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		socks->proto = dumps[i].proto;
		r = pg_netlink_socks(nl, dumps[i].family, dumps[i].ipproto, dumps[i].states, take_sock,
				     socks);
		if (socks->oom)
			return -ENOMEM;
		/* ENOENT: no such family here, a kernel without IPv6 or booted with it off. */
		if (r < 0 && (r != -ENOENT || dumps[i].family == AF_INET))
			return r;
	}
	return 0;
}

static int compare_inode(const void *a, const void *b)
{
	const struct sock *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

static int compare_port(const void *a, const void *b)
{
	const struct sock *x = a, *y = b;

	if (x->row.netns != y->row.netns)
		return x->row.netns < y->row.netns ? -1 : 1;
	if (x->row.proto != y->row.proto)
		return x->row.proto < y->row.proto ? -1 : 1;
	if (x->row.port != y->row.port)
		return x->row.port < y->row.port ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->row.who.address, y->row.who.address);
}

static void read_comm(int proc_fd, char *buf, size_t size)
{
	_close_ int fd = openat(proc_fd, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

/*
 * Docker's proxy says on its command line where it hands connections over to:
 * "-container-ip 172.17.0.2 -container-port 80".
 */
static void read_proxy(int proc_fd, struct pg_socket_row *row)
{
	_close_ int fd = openat(proc_fd, "cmdline", O_RDONLY | O_CLOEXEC);
	const char *ip = NULL, *port = NULL;
	char text[1024];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	uint16_t number;
	uint8_t addr[16];

	if (n <= 0)
		return;
	text[n] = '\0';
	for (const char *p = text; p < text + n; p += strlen(p) + 1) {
		const char *value = p + strlen(p) + 1;

		if (value >= text + n)
			break;
		if (!strcmp(p, "-container-ip"))
			ip = value;
		else if (!strcmp(p, "-container-port"))
			port = value;
	}
	if (!ip || !port || pg_parse_u16(port, 1, UINT16_MAX, &number) < 0)
		return;
	if (inet_pton(AF_INET, ip, addr) == 1)
		snprintf(row->proxy, sizeof(row->proxy), "%.45s:%u", ip, number);
	else if (inet_pton(AF_INET6, ip, addr) == 1)
		snprintf(row->proxy, sizeof(row->proxy), "[%.45s]:%u", ip, number);
}

/*
 * The first process to come gets the socket. A descriptor that it has twice counts once, as /proc
 * lists one process' descriptors together.
 */
static void claim(struct sock *sock, int proc_fd, unsigned pid)
{
	if (sock->last_pid != pid)
		sock->row.processes++;
	sock->last_pid = pid;
	if (sock->row.who.pid)
		return;
	sock->row.who.pid = pid;
	read_comm(proc_fd, sock->row.who.comm, sizeof(sock->row.who.comm));
	if (!strcmp(sock->row.who.comm, "docker-proxy"))
		read_proxy(proc_fd, &sock->row);
}

/* The sockets among one process' descriptors get its name, unless they have one already. */
static void claim_sockets(int proc_fd, unsigned pid, struct socks *socks)
{
	int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		char link[64];
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		struct sock key = { 0 }, *sock;

		if (n < 0)
			continue;
		link[n] = '\0';
		if (sscanf(link, "socket:[%u]", &key.inode) != 1)
			continue;
		sock = bsearch(&key, socks->sock, socks->n, sizeof(key), compare_inode);
		if (sock)
			claim(sock, proc_fd, pid);
	}
	closedir(dir);
}

/*
 * A socket that several processes hold goes to the one with the lowest number, as /proc lists
 * them in order: the server itself, and not the workers it started.
 */
static void claim_all(struct socks *socks)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return;
	while ((entry = readdir(proc))) {
		uint32_t pid;

		if (!pg_parse_u32(entry->d_name, 1, UINT32_MAX, &pid)) {
			_close_ int fd = openat(dirfd(proc), entry->d_name,
						O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (fd >= 0)
				claim_sockets(fd, pid, socks);
		}
	}
	closedir(proc);
}

/* Those of the other namespaces; one that can't be entered is not looked at. */
static int dump_others(struct socks *socks, bool *ret_partial)
{
	_cleanup_(pg_netspaces_clear) struct pg_netspaces spaces = { 0 };
	int r = pg_netspaces_read(&spaces);

	*ret_partial = spaces.partial;
	for (size_t i = 0; !r && i < spaces.n; i++) {
		if (pg_netspace_enter(&spaces.space[i]) < 0) {
			*ret_partial = true;
			continue;
		}
		socks->space = &spaces.space[i];
		if (dump_all(socks) == -ENOMEM)
			r = -ENOMEM;
		pg_netspace_leave(&spaces);
	}
	socks->space = NULL;
	return r;
}

int pg_sockets_read(bool all, struct pg_sockets *ret, struct pg_err *err)
{
	_cleanup_(socks_freep) struct socks socks = { 0 };
	int r;

	*ret = (struct pg_sockets){ 0 };
	r = dump_all(&socks);
	if (!r && all)
		r = dump_others(&socks, &ret->partial);
	if (r < 0)
		return pg_fail(err, r, "cannot list listening sockets: %s", strerror(-r));
	if (!socks.n)
		return 0;
	qsort(socks.sock, socks.n, sizeof(*socks.sock), compare_inode);
	claim_all(&socks);
	qsort(socks.sock, socks.n, sizeof(*socks.sock), compare_port);

	ret->row = calloc(socks.n, sizeof(*ret->row));
	if (!ret->row)
		return pg_fail(err, -ENOMEM, "cannot list listening sockets: out of memory");
	for (ret->n = 0; ret->n < socks.n; ret->n++)
		ret->row[ret->n] = socks.sock[ret->n].row;
	return 0;
}

void pg_sockets_clear(struct pg_sockets *sockets)
{
	free(sockets->row);
	*sockets = (struct pg_sockets){ 0 };
}

int pg_listeners_read(struct pg_listeners *ret, struct pg_err *err)
{
	_cleanup_(pg_sockets_clear) struct pg_sockets socks = { 0 };
	struct pg_listener_row *row;
	size_t n = 0;
	int r;

	*ret = (struct pg_listeners){ 0 };
	r = pg_sockets_read(false, &socks, err);
	if (r < 0 || !socks.n)
		return r;
	row = calloc(socks.n, sizeof(*row));
	if (!row)
		return pg_fail(err, -ENOMEM, "cannot list listening sockets: out of memory");
	for (size_t i = 0; i < socks.n; i++) {
		const struct pg_socket_row *from = &socks.row[i];

		if (!n || row[n - 1].proto != from->proto || row[n - 1].port != from->port)
			row[n++] = (struct pg_listener_row){ from->proto, from->port, from->who };
	}
	*ret = (struct pg_listeners){ .row = row, .n = n };
	return 0;
}

void pg_listeners_clear(struct pg_listeners *listeners)
{
	free(listeners->row);
	*listeners = (struct pg_listeners){ 0 };
}
