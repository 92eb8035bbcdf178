/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dialog listen ADDRESS PORT ACTION… / dialog connect ADDRESS PORT OWN-PORT ACTION…: one end of a TCP
 * connection that does what it is told, in order:
 *
 *	accept		take the connection (listen; without it nobody does)
 *	send=N recv=N	so many bytes; recv waits until it has them all
 *	fin		no more is sent
 *	eof		wait for the other end's
 *	close reset	the latter with a RST
 *	sleep=MS
 *
 * listen-fast and connect-fast take and send data in the SYN (TCP Fast Open, without cookies).
 *
 * Exit 1: the connection failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "dialog: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	if (host && inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		errno = EINVAL;
		die(host);
	}
	return a;
}

static int open_socket(const struct sockaddr_in *own)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)own, sizeof(*own)))
		die("bind");
	return fd;
}

static void send_bytes(int fd, size_t n)
{
	static const char bytes[65536];

	while (n) {
		ssize_t done = send(fd, bytes, n < sizeof(bytes) ? n : sizeof(bytes), MSG_NOSIGNAL);

		if (done < 0)
			die("send");
		n -= (size_t)done;
	}
}

/* Until there are n, or the other end closes; with n that is a failure. */
static void receive(int fd, size_t n)
{
	char bytes[65536];
	ssize_t done;

	do {
		done = recv(fd, bytes, n && n < sizeof(bytes) ? n : sizeof(bytes), 0);
		if (done < 0 || (!done && n))
			die("recv");
		if (n && !(n -= (size_t)done))
			return;
	} while (done);
}

static int act(int fd, const char *action)
{
	const struct linger abort_it = { .l_onoff = 1 };
	const char *value = strchr(action, '=');
	int n = value ? atoi(value + 1) : 0, taken;

	if (!strcmp(action, "accept")) {
		taken = accept(fd, NULL, NULL);
		if (taken < 0)
			die("accept");
		close(fd);
		return taken;
	}
	if (!strncmp(action, "send=", 5))
		send_bytes(fd, (size_t)n);
	else if (!strncmp(action, "recv=", 5))
		receive(fd, (size_t)n);
	else if (!strcmp(action, "eof"))
		receive(fd, 0);
	else if (!strcmp(action, "fin"))
		shutdown(fd, SHUT_WR);
	else if (!strncmp(action, "sleep=", 6))
		usleep((useconds_t)n * 1000);
	else if (!strcmp(action, "reset"))
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof(abort_it));
	if (!strcmp(action, "close") || !strcmp(action, "reset"))
		close(fd);
	return fd;
}

int main(int argc, char **argv)
{
	bool listens = argc > 3 && !strncmp(argv[1], "listen", 6);
	const int fast = argc > 1 && strstr(argv[1], "-fast") ? 1 : 0;
	struct sockaddr_in own, other;
	int fd, i = listens ? 4 : 5;

	if (argc < i) {
		fprintf(stderr, "usage: dialog listen ADDRESS PORT ACTION…\n"
				"       dialog connect ADDRESS PORT OWN-PORT ACTION…\n");
		return 2;
	}
	if (listens) {
		own = address(argv[2], argv[3]);
		fd = open_socket(&own);
		if ((fast && setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &fast, sizeof(fast))) || listen(fd, 8))
			die("listen");
	} else {
		own = address(NULL, argv[4]);
		other = address(argv[2], argv[3]);
		fd = open_socket(&own);
		if (fast && setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &fast, sizeof(fast)))
			die("TCP_FASTOPEN_CONNECT");
		if (connect(fd, (const struct sockaddr *)&other, sizeof(other)))
			die("connect");
	}
	for (; i < argc; i++)
		fd = act(fd, argv[i]);
	return 0;
}
