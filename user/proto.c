/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "addr.h"
#include "print.h"

/*
 * The names that Debian's /etc/protocols has, so that output does not depend on the machine it is
 * made on. The first name of a number is the one that is printed.
 */
static const struct {
	uint8_t number;
	const char *name;
} protocols[] = {
	{ 1, "icmp" },		{ 2, "igmp" },	       { 3, "ggp" },	     { 4, "ipencap" },
	{ 5, "st" },		{ 6, "tcp" },	       { 8, "egp" },	     { 9, "igp" },
	{ 12, "pup" },		{ 17, "udp" },	       { 20, "hmp" },	     { 22, "xns-idp" },
	{ 27, "rdp" },		{ 29, "iso-tp4" },     { 33, "dccp" },	     { 36, "xtp" },
	{ 37, "ddp" },		{ 38, "idpr-cmtp" },   { 41, "ipv6" },	     { 43, "ipv6-route" },
	{ 44, "ipv6-frag" },	{ 45, "idrp" },	       { 46, "rsvp" },	     { 47, "gre" },
	{ 50, "esp" },		{ 51, "ah" },	       { 57, "skip" },	     { 58, "ipv6-icmp" },
	{ 58, "icmpv6" },	{ 59, "ipv6-nonxt" },  { 60, "ipv6-opts" },  { 73, "rspf" },
	{ 81, "vmtp" },		{ 88, "eigrp" },       { 89, "ospf" },	     { 93, "ax.25" },
	{ 94, "ipip" },		{ 97, "etherip" },     { 98, "encap" },	     { 103, "pim" },
	{ 108, "ipcomp" },	{ 112, "vrrp" },       { 115, "l2tp" },	     { 124, "isis" },
	{ 132, "sctp" },	{ 133, "fc" },	       { 135, "mobility-header" },
	{ 135, "ipv6-mh" },	{ 135, "mh" },	       { 136, "udplite" },   { 137, "mpls-in-ip" },
	{ 138, "manet" },	{ 139, "hip" },	       { 140, "shim6" },     { 141, "wesp" },
	{ 142, "rohc" },	{ 143, "ethernet" },   { 0, "all" },	     { 0, "ip" },
	{ 0, "hopopt" },
};

int pg_number_parse(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t v = 0;

	while (isspace((unsigned char)*text))
		text++;
	if (*text == '+')
		text++;
	if (text[0] != '0' || !text[1] || text[1] == 'x' || text[1] == 'X')
		return pg_parse_u32(text, 0, max, ret);
	for (text++; *text; text++) {
		if (*text < '0' || *text > '7')
			return -EINVAL;
		if (v <= UINT32_MAX)
			v = v * 8 + (unsigned)(*text - '0');
	}
	if (v > max)
		return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

const char *pg_proto_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (proto && protocols[i].number == proto)
			return protocols[i].name;
	return NULL;
}

int pg_proto_parse(const char *text, uint8_t *ret)
{
	struct protoent *ent;
	uint32_t v;

	if (!pg_number_parse(text, 255, &v)) {
		*ret = (uint8_t)v;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (!strcasecmp(protocols[i].name, text)) {
			*ret = protocols[i].number;
			return 0;
		}
	}
	ent = getprotobyname(text);
	if (!ent || ent->p_proto < 0 || ent->p_proto > 255)
		return -ENOENT;
	*ret = (uint8_t)ent->p_proto;
	return 0;
}
