/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <string.h>

#include "addr.h"
#include "match_host.h"
#include "match_value.h"
#include "print.h"

/* inet_aton() would stop at a blank and ignore the rest. */
static bool parse_v4(const char *text, uint8_t *ret)
{
	struct in_addr addr;

	if (!*text || text[strspn(text, "0123456789abcdefABCDEFxX.")] || !inet_aton(text, &addr))
		return false;
	memcpy(ret, &addr, sizeof(addr));
	return true;
}

int pg_host_parse(const char *text, const struct pg_match_use *use, uint8_t *ret_addr,
		  uint8_t *ret_family, struct pg_diag *diag)
{
	uint8_t addr[16] = {}, family = strchr(text, ':') ? PG_V6 : PG_V4;

	if (family == PG_V4 ? !parse_v4(text, addr) : inet_pton(AF_INET6, text, addr) != 1)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "getaddrinfo: Name or service not known");
	if (!(family & use->families))
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "getaddrinfo: Address family for hostname not supported");
	memcpy(ret_addr, addr, sizeof(addr));
	*ret_family = family;
	return 0;
}

static bool parse_mask(const char *text, unsigned families, uint8_t *ret_len, uint8_t *ret_family)
{
	uint8_t mask[16] = {}, family = strchr(text, ':') ? PG_V6 : PG_V4;
	int len;

	if (family == PG_V4 ? !strchr(text, '.') || !parse_v4(text, mask)
			    : inet_pton(AF_INET6, text, mask) != 1)
		return false;
	len = pg_prefix_len(mask, family == PG_V4 ? 4 : 16);
	if (len < 0 || !(family & families))
		return false;
	*ret_len = (uint8_t)len;
	*ret_family = family;
	return true;
}

int pg_prefix_parse(const struct pg_match *m, const char *text, unsigned families,
		    const struct pg_match_use *use, uint8_t *ret_len, uint8_t *ret_family,
		    struct pg_diag *diag)
{
	uint32_t len, max = families & PG_V6 ? 128 : 32;

	if (!pg_number_parse(text, max, &len)) {
		*ret_len = (uint8_t)len;
		*ret_family = 0;
		return 0;
	}
	if (parse_mask(text, families, ret_len, ret_family))
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, &use->at,
		       "%s: bad value for option \"--%s\", neither a valid network mask nor valid "
		       "CIDR (0-%u).",
		       pg_match_rows[m->kind].name, pg_option_name(m->kind, use->id), max);
}

unsigned pg_prefix_families(uint8_t len)
{
	return len > 32 && len != PG_PREFIX_WHOLE ? PG_V6 : PG_V46;
}

int pg_name_check(const struct pg_match *m, const struct pg_match_use *use, const char *what,
		  struct pg_diag *diag)
{
	_free_ char *shown = malloc(strlen(use->value) + 1);

	if (!shown)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (!strcmp(pg_printable(use->value, shown, strlen(use->value) + 1), use->value))
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, &use->at,
		       "%s: %s has control characters or is not UTF-8", pg_match_rows[m->kind].name,
		       what);
}

bool pg_name_is_file(const char *name)
{
	return *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/');
}

void pg_name_print(struct pg_text *t, const char *name)
{
	if (!*name || strpbrk(name, " \t\"\\'"))
		pg_quoted_print(t, name);
	else
		pg_text_add(t, "%s", name);
}
