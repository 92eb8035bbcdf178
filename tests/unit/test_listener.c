/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that this very process opens must be found, under its own number. No root needed. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "listener.h"

/* A bound socket on a port of the kernel's choice, or on *port if that is not 0. */
static int open_bound(int type, const char *address, uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(*port) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	inet_pton(AF_INET, address, &sin.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

/* NULL: nobody listens there. */
static const struct pg_listener *find(const struct pg_listeners *l, enum pg_port_proto proto,
				      uint16_t port)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->row[i].proto == proto && l->row[i].port == port)
			return &l->row[i].who;
	return NULL;
}

static void expect_us(const struct pg_listener *who, const char *address)
{
	_fclose_ FILE *f = fopen("/proc/self/comm", "re"); /* under valgrind it is another */
	char comm[32] = "";

	assert_non_null(f);
	assert_non_null(fgets(comm, sizeof(comm), f));
	comm[strcspn(comm, "\n")] = '\0';
	assert_non_null(who);
	assert_int_equal(who->pid, getpid());
	assert_string_equal(who->comm, comm);
	assert_string_equal(who->address, address);
}

static void tcp_is_found_once_it_listens(void **state)
{
	struct pg_listeners l;
	uint16_t port = 0;
	_close_ int fd = open_bound(SOCK_STREAM, "127.0.0.1", &port);

	(void)state;
	assert_int_equal(pg_listeners_read(&l, NULL), 0);
	assert_null(find(&l, PG_PORT_TCP, port));
	pg_listeners_clear(&l);

	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(pg_listeners_read(&l, NULL), 0);
	expect_us(find(&l, PG_PORT_TCP, port), "127.0.0.1");
	assert_null(find(&l, PG_PORT_UDP, port));
	pg_listeners_clear(&l);
}

static void udp_is_found_until_it_is_connected(void **state)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct pg_listeners l;
	uint16_t port = 0;
	_close_ int fd = open_bound(SOCK_DGRAM, "127.0.0.1", &port);

	(void)state;
	assert_int_equal(pg_listeners_read(&l, NULL), 0);
	expect_us(find(&l, PG_PORT_UDP, port), "127.0.0.1");
	pg_listeners_clear(&l);

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&peer, sizeof(peer)), 0);
	assert_int_equal(pg_listeners_read(&l, NULL), 0);
	assert_null(find(&l, PG_PORT_UDP, port));
	pg_listeners_clear(&l);
}

static void the_widest_address_of_a_port_is_shown(void **state)
{
	struct pg_listeners l;
	uint16_t port = 0;
	_close_ int narrow = open_bound(SOCK_DGRAM, "127.0.0.1", &port);
	_close_ int wide = open_bound(SOCK_DGRAM, "0.0.0.0", &port);

	(void)state;
	assert_true(narrow >= 0 && wide >= 0);
	assert_int_equal(pg_listeners_read(&l, NULL), 0);
	expect_us(find(&l, PG_PORT_UDP, port), "0.0.0.0");
	for (size_t i = 1; i < l.n; i++)
		assert_true(l.row[i - 1].proto < l.row[i].proto ||
			    (l.row[i - 1].proto == l.row[i].proto &&
			     l.row[i - 1].port < l.row[i].port));
	pg_listeners_clear(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_found_once_it_listens),
		cmocka_unit_test(udp_is_found_until_it_is_connected),
		cmocka_unit_test(the_widest_address_of_a_port_is_shown),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
