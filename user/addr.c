/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "print.h"

static size_t bytes_of(const struct pg_addr *addr)
{
	return addr->family == PG_V4 ? 4 : 16;
}

/* "10.1.2.3"; with `partial` also "10" and "10.1", whose missing bytes are 0. */
static bool parse_dotted(const char *text, bool partial, uint8_t *ret)
{
	char part[16];
	uint8_t addr[4] = {};
	unsigned n = 0;

	for (;;) {
		size_t len = strcspn(text, ".");
		uint32_t v;

		if (n == 4 || len >= sizeof(part))
			return false;
		memcpy(part, text, len);
		part[len] = '\0';
		if (pg_number_parse(part, 255, &v) < 0)
			return false;
		addr[n++] = (uint8_t)v;
		if (!text[len])
			break;
		text += len + 1;
	}
	if (n < 4 && !partial)
		return false;
	memcpy(ret, addr, sizeof(addr));
	return true;
}

static void mask_of(unsigned bits, uint8_t *mask)
{
	memset(mask, 0, 16);
	for (unsigned i = 0; i < bits; i++)
		mask[i / 8] |= (uint8_t)(0x80U >> i % 8);
}

static bool parse_mask(const char *text, struct pg_addr *addr)
{
	uint32_t bits, width = addr->family == PG_V4 ? 32 : 128;

	if (!pg_number_parse(text, width, &bits)) {
		mask_of(bits, addr->mask);
		return true;
	}
	if (addr->family == PG_V4)
		return parse_dotted(text, false, addr->mask);
	return inet_pton(AF_INET6, text, addr->mask) == 1;
}

int pg_prefix_len(const uint8_t *mask, unsigned bytes)
{
	unsigned len = 0;
	uint8_t same[16];

	while (len < bytes * 8 && mask[len / 8] & (0x80U >> len % 8))
		len++;
	mask_of(len, same);
	return memcmp(same, mask, bytes) ? -1 : (int)len;
}

bool pg_prefix_covers(const struct pg_addr *a, const struct pg_addr *b)
{
	if (a->family != b->family)
		return false;
	for (size_t i = 0; i < bytes_of(a); i++)
		if (a->mask[i] & (~b->mask[i] | (a->addr[i] ^ b->addr[i])))
			return false;
	return true;
}

bool pg_prefixes_differ(const struct pg_addr *a, const struct pg_addr *b)
{
	for (size_t i = 0; i < bytes_of(a) && a->family == b->family; i++)
		if (a->mask[i] & b->mask[i] & (a->addr[i] ^ b->addr[i]))
			return true;
	return false;
}

/* 0, and 0.0.0.0 or ::, which leave nothing of the host. */
static bool is_null_mask(const char *text, uint8_t family)
{
	struct pg_addr addr = { .family = family };

	return parse_mask(text, &addr) && pg_addr_is_any(&addr);
}

int pg_addr_parse(const char *text, unsigned families, const struct pg_arg *at,
		  struct pg_addr *ret, struct pg_diag *diag)
{
	struct pg_addr addr = { .set = true };
	const char *slash = strrchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char host[64];
	bool ok = len < sizeof(host);

	snprintf(host, sizeof(host), "%.*s", (int)(ok ? len : 0), text);
	addr.family = strchr(host, ':') ? PG_V6 : PG_V4;
	if (addr.family == PG_V4)
		ok = ok && parse_dotted(host, true, addr.addr);
	else
		ok = ok && inet_pton(AF_INET6, host, addr.addr) == 1;
	if (!(addr.family & families)) {
		addr.family = (uint8_t)families; /* the mask's */
		ok = false;
	}
	/*
	 * iptables does not ask then what the host is: `any/0'. Without -4 or -6 the mask's text may tell the family, as in
	 * `any/::'; otherwise it is IPv4, like `0/0'.
	 */
	for (uint8_t family = PG_V4; !ok && slash && family <= PG_V6; family <<= 1) {
		if (families & family && is_null_mask(slash + 1, family)) {
			*ret = (struct pg_addr){ .set = true, .family = family };
			return 0;
		}
	}
	/* iptables reports a bad mask first. */
	if (slash && !parse_mask(slash + 1, &addr))
		return pg_diag(diag, PG_DIAG_PARAM, at, "invalid mask `%s' specified", slash + 1);
	if (!ok)
		return pg_diag(diag, PG_DIAG_PARAM, at, "host/network `%.*s' not found", (int)len,
			       text);
	if (!slash)
		mask_of((unsigned)bytes_of(&addr) * 8, addr.mask);
	for (size_t i = 0; i < sizeof(addr.addr); i++)
		addr.addr[i] &= addr.mask[i];
	*ret = addr;
	return 0;
}

bool pg_addr_is_any(const struct pg_addr *addr)
{
	for (size_t i = 0; i < bytes_of(addr); i++)
		if (addr->mask[i])
			return false;
	return true;
}

void pg_addr_print(struct pg_text *t, const struct pg_addr *addr)
{
	int af = addr->family == PG_V4 ? AF_INET : AF_INET6, bits = pg_prefix_len(addr->mask, (unsigned)bytes_of(addr));
	char text[INET6_ADDRSTRLEN], mask[INET6_ADDRSTRLEN];

	inet_ntop(af, addr->addr, text, sizeof(text));
	if (bits >= 0) {
		pg_text_add(t, "%s/%d", text, bits);
		return;
	}
	inet_ntop(af, addr->mask, mask, sizeof(mask));
	pg_text_add(t, "%s/%s", text, mask);
}
