/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* hold ADDRESS PORT: accepts TCP connections and keeps each until the other end closes it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX = 128 };

static int failed(const char *what)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
	return 1;
}

static int listen_at(const char *address, const char *port)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(atoi(port)) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	int sock = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0), on = 1;

	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return -1;
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (sock < 0 || bind(sock, is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof(v4) : sizeof(v6)) ||
	    listen(sock, MAX))
		return -1;
	return sock;
}

int main(int argc, char **argv)
{
	struct pollfd fd[MAX];
	nfds_t n = 1;
	char buf[64];

	if (argc != 3)
		return 2;
	fd[0] = (struct pollfd){ .fd = listen_at(argv[1], argv[2]), .events = POLLIN };
	if (fd[0].fd < 0)
		return failed(argv[1]);
	while (poll(fd, n, -1) > 0) {
		for (nfds_t i = n; --i;)
			if (fd[i].revents && read(fd[i].fd, buf, sizeof(buf)) <= 0) {
				close(fd[i].fd);
				fd[i] = fd[--n];
			}
		if (fd[0].revents && n < MAX) {
			fd[n] = (struct pollfd){ .fd = accept(fd[0].fd, NULL, NULL), .events = POLLIN };
			n += fd[n].fd >= 0;
		}
	}
	return failed("poll");
}
