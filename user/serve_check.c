/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "serve_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* "HOST", "HOST:PORT", "[ADDR]" or "[ADDR]:PORT"; *ret_port is NULL where there is none. */
static int split(const char *text, char *host, size_t size, const char **ret_port)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : strchrnul(text, ':');
	size_t len;

	if (!end)
		return -EINVAL;
	*ret_port = NULL;
	if (text[0] == '[') {
		text++;
		len = (size_t)(end - text);
		end++;
	} else {
		len = (size_t)(end - text);
	}
	if (!len || len >= size || (*end && *end != ':'))
		return -EINVAL;
	if (*end)
		*ret_port = end + 1;
	memcpy(host, text, len);
	host[len] = '\0';
	return 0;
}

void pg_listen_describe(struct pg_listen *l)
{
	char addr[INET6_ADDRSTRLEN] = "";

	if (l->addr.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &l->addr.v4.sin_addr, addr, sizeof(addr));
		snprintf(l->text, sizeof(l->text), "%s:%u", addr, ntohs(l->addr.v4.sin_port));
		l->loopback = ntohl(l->addr.v4.sin_addr.s_addr) >> 24 == 127;
	} else {
		inet_ntop(AF_INET6, &l->addr.v6.sin6_addr, addr, sizeof(addr));
		snprintf(l->text, sizeof(l->text), "[%s]:%u", addr, ntohs(l->addr.v6.sin6_port));
		l->loopback = IN6_IS_ADDR_LOOPBACK(&l->addr.v6.sin6_addr);
	}
}

int pg_listen_parse(const char *text, struct pg_listen *ret)
{
	struct pg_listen l = { 0 };
	const char *port;
	char host[64];
	uint16_t n;

	if (!pg_parse_u16(text, 0, UINT16_MAX, &n)) {
		snprintf(host, sizeof(host), "127.0.0.1");
	} else if (split(text, host, sizeof(host), &port) < 0 || !port ||
		   pg_parse_u16(port, 0, UINT16_MAX, &n) < 0) {
		return -EINVAL;
	}
	if (!strcasecmp(host, "localhost"))
		snprintf(host, sizeof(host), "127.0.0.1");
	if (inet_pton(AF_INET, host, &l.addr.v4.sin_addr) == 1) {
		l.addr.v4.sin_family = AF_INET;
		l.addr.v4.sin_port = htons(n);
		l.len = sizeof(l.addr.v4);
	} else if (text[0] == '[' && inet_pton(AF_INET6, host, &l.addr.v6.sin6_addr) == 1) {
		l.addr.v6.sin6_family = AF_INET6;
		l.addr.v6.sin6_port = htons(n);
		l.len = sizeof(l.addr.v6);
	} else {
		return -EINVAL;
	}
	pg_listen_describe(&l);
	*ret = l;
	return 0;
}

bool pg_host_is_ours(const char *host, const char *const *name, size_t n)
{
	struct in6_addr addr;
	const char *port;
	char text[256];

	if (split(host, text, sizeof(text), &port) < 0)
		return false;
	if (host[0] == '[')
		return inet_pton(AF_INET6, text, &addr) == 1;
	if (inet_pton(AF_INET, text, &addr) == 1 || !strcasecmp(text, "localhost"))
		return true;
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(text, name[i]))
			return true;
	return false;
}

bool pg_token_equal(const char *token, const char *given)
{
	size_t len = strlen(given);
	unsigned char differ = strlen(token) != len;

	for (size_t i = 0; token[i]; i++)
		differ |= (unsigned char)(token[i] ^ given[i < len ? i : 0]);
	return !differ;
}
