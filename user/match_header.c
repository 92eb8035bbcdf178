/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Matches of one number: length, tcpmss, vlan, ttl, hl, tos, dscp, mark. */
#include <netinet/in.h>
#include <string.h>

#include "match_stateless.h"
#include "match_value.h"

const struct pg_match_option pg_length_options[] = { { "length", 0, true, false }, {} };
const struct pg_match_option pg_tcpmss_options[] = { { "mss", 0, true, false }, {} };
const struct pg_match_option pg_vlan_options[] = { { "vlan-id", 0, true, false }, {} };

#define VLAN_ID_MAX 4095

int pg_only_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		  const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	return pg_option_need(m, 0, seen, at, diag);
}

int pg_length_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, ~0U, diag);

	return r < 0 ? r : pg_value_range(m, use, UINT16_MAX, &m->range, diag);
}

void pg_length_print(struct pg_text *t, const struct pg_match *m)
{
	pg_range_print(t, pg_option_name(m->kind, 0), &m->range);
}

void pg_length_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		    bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " %s ", m->kind == PG_MATCH_LENGTH ? "length" : "tcpmss match");
	pg_range_list(t, &m->range);
}

static int reversed(const struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "%s: invalid range given",
		       pg_match_rows[m->kind].name);
}

int pg_tcpmss_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_length_parse(m, use, diag);

	return !r && m->range.lo > m->range.hi ? reversed(m, use, diag) : r;
}

int pg_vlan_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_u32_range range;
	int r = pg_use_check(m, use, ~0U, diag);

	if (!r)
		r = pg_value_range(m, use, VLAN_ID_MAX, &range, diag);
	if (r < 0)
		return r;
	if (range.lo > range.hi)
		return reversed(m, use, diag);
	m->vlan.lo = (uint16_t)range.lo;
	m->vlan.hi = (uint16_t)range.hi;
	m->vlan.invert = range.invert;
	return 0;
}

static struct pg_u32_range vlan_range(const struct pg_match *m)
{
	return (struct pg_u32_range){
		.lo = m->vlan.lo, .hi = m->vlan.hi, .set = true, .invert = m->vlan.invert
	};
}

void pg_vlan_print(struct pg_text *t, const struct pg_match *m)
{
	const struct pg_u32_range range = vlan_range(m);

	pg_range_print(t, "vlan-id", &range);
}

void pg_vlan_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		  bool numeric)
{
	const struct pg_u32_range range = vlan_range(m);

	(void)rule;
	(void)numeric;
	pg_text_add(t, " vlan id%s:", range.lo == range.hi ? "" : "s");
	pg_range_list(t, &range);
}

/* -m ttl, -m hl -------------------------------------------------------------------------------- */

enum { TTL_EQ, TTL_LT, TTL_GT };

const struct pg_match_option pg_ttl_options[] = {
	{ "ttl-eq", TTL_EQ, true, false },
	{ "ttl", TTL_EQ, true, false },
	{ "ttl-lt", TTL_LT, true, false },
	{ "ttl-gt", TTL_GT, true, false },
	{},
};
const struct pg_match_option pg_hl_options[] = {
	{ "hl-eq", TTL_EQ, true, false },
	{ "hl", TTL_EQ, true, false },
	{ "hl-lt", TTL_LT, true, false },
	{ "hl-gt", TTL_GT, true, false },
	{},
};

int pg_ttl_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	uint32_t v = 0;
	int r = pg_use_check(m, use, 1U << TTL_EQ, diag);

	if (!r)
		r = pg_value_number(m, use, 0, UINT8_MAX, &v, diag);
	if (r < 0)
		return r;
	m->ttl.value = (uint8_t)v;
	if (use->id == TTL_EQ)
		m->ttl.op = use->invert ? PG_TTL_NE : PG_TTL_EQ;
	else
		m->ttl.op = use->id == TTL_LT ? PG_TTL_LT : PG_TTL_GT;
	return 0;
}

int pg_ttl_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		 const struct pg_arg *at, struct pg_diag *diag)
{
	int r;

	(void)rule;
	if (!seen && m->kind == PG_MATCH_TTL)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "TTL match: You must specify one of `--ttl-eq', `--ttl-lt', "
			       "`--ttl-gt");
	if (!seen)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'");
	r = pg_option_exclude(m, TTL_LT, TTL_EQ, seen, at, diag);
	if (!r)
		r = pg_option_exclude(m, TTL_LT, TTL_GT, seen, at, diag);
	if (!r)
		r = pg_option_exclude(m, TTL_GT, TTL_EQ, seen, at, diag);
	return r;
}

void pg_ttl_print(struct pg_text *t, const struct pg_match *m)
{
	static const char *const ops[] = {
		[PG_TTL_EQ] = "eq", [PG_TTL_NE] = "eq", [PG_TTL_LT] = "lt", [PG_TTL_GT] = "gt"
	};

	pg_text_add(t, "%s --%s-%s %u", m->ttl.op == PG_TTL_NE ? " !" : "",
		    pg_match_rows[m->kind].name, ops[m->ttl.op], m->ttl.value);
}

void pg_ttl_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		 bool numeric)
{
	static const char *const ops[] = {
		[PG_TTL_EQ] = "==", [PG_TTL_NE] = "!=", [PG_TTL_LT] = "<", [PG_TTL_GT] = ">"
	};
	const char *name = m->kind == PG_MATCH_TTL ? "TTL" : "HL";

	(void)rule;
	(void)numeric;
	pg_text_add(t, " %s match %s %s %u", name, name, ops[m->ttl.op], m->ttl.value);
}

/* -m tos --------------------------------------------------------------------------------------- */

const struct pg_match_option pg_tos_options[] = { { "tos", 0, true, false }, {} };

#define TOS_NAME_MASK 0x3f /* of a value given by name: the lower bits of DSCP, and ECN */

static const struct {
	const char *name;
	uint8_t value;
} tos_names[] = {
	{ "Minimize-Delay", 0x10 },	  { "Maximize-Throughput", 0x08 },
	{ "Maximize-Reliability", 0x04 }, { "Minimize-Cost", 0x02 },
	{ "Normal-Service", 0x00 },
};

static int tos_by_name(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	for (size_t i = 0; i < ARRAY_SIZE(tos_names); i++) {
		if (strcasecmp(tos_names[i].name, use->value))
			continue;
		m->bits.value = tos_names[i].value;
		m->bits.mask = TOS_NAME_MASK;
		return 0;
	}
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Symbolic name \"%s\" is unknown",
		       use->value);
}

int pg_tos_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	const char *end;
	bool ok = true;
	int r = pg_use_check(m, use, ~0U, diag);

	if (r < 0)
		return r;
	m->bits.invert = use->invert;
	m->bits.mask = UINT8_MAX;
	if (!pg_number_prefix(use->value, UINT8_MAX, &m->bits.value, &end))
		return tos_by_name(m, use, diag);
	if (*end == '/')
		ok = pg_number_prefix(end + 1, UINT8_MAX, &m->bits.mask, &end);
	if (!ok || *end)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Illegal value: \"%s\"", use->value);
	return 0;
}

static void add_tos(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "0x%02x/0x%02x", m->bits.value, m->bits.mask);
}

void pg_tos_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --tos ", m->bits.invert ? " !" : "");
	add_tos(t, m);
}

/* iptables puts a blank before a name, and none before a number. */
void pg_tos_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		 bool numeric)
{
	bool named = !numeric && m->bits.mask == TOS_NAME_MASK;

	(void)rule;
	pg_text_add(t, " tos match%s", m->bits.invert ? "!" : "");
	for (size_t i = 0; named && i < ARRAY_SIZE(tos_names); i++) {
		if (tos_names[i].value != m->bits.value)
			continue;
		pg_text_add(t, " %s", tos_names[i].name);
		return;
	}
	add_tos(t, m);
}

/* -m dscp -------------------------------------------------------------------------------------- */

enum { DSCP, DSCP_CLASS };

const struct pg_match_option pg_dscp_options[] = {
	{ "dscp", DSCP, true, false },
	{ "dscp-class", DSCP_CLASS, true, false },
	{},
};

#define DSCP_MAX 63

static const struct {
	const char *name;
	uint8_t value;
} dscp_classes[] = {
	{ "CS0", 0x00 },  { "CS1", 0x08 },  { "CS2", 0x10 },  { "CS3", 0x18 },	{ "CS4", 0x20 },
	{ "CS5", 0x28 },  { "CS6", 0x30 },  { "CS7", 0x38 },  { "BE", 0x00 },	{ "AF11", 0x0a },
	{ "AF12", 0x0c }, { "AF13", 0x0e }, { "AF21", 0x12 }, { "AF22", 0x14 }, { "AF23", 0x16 },
	{ "AF31", 0x1a }, { "AF32", 0x1c }, { "AF33", 0x1e }, { "AF41", 0x22 }, { "AF42", 0x24 },
	{ "AF43", 0x26 }, { "EF", 0x2e },
};

int pg_dscp_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, ~0U, diag);

	if (r < 0)
		return r;
	m->bits.invert = use->invert;
	if (use->id == DSCP)
		return pg_value_number(m, use, 0, DSCP_MAX, &m->bits.value, diag);
	for (size_t i = 0; i < ARRAY_SIZE(dscp_classes); i++) {
		if (strcasecmp(dscp_classes[i].name, use->value))
			continue;
		m->bits.value = dscp_classes[i].value;
		return 0;
	}
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Invalid DSCP value `%s'", use->value);
}

int pg_dscp_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		  const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	if (!seen)
		return pg_diag(diag, PG_DIAG_PARAM, at, "DSCP match: Parameter --dscp is required");
	return pg_option_exclude(m, DSCP, DSCP_CLASS, seen, at, diag);
}

void pg_dscp_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --dscp 0x%02x", m->bits.invert ? " !" : "", m->bits.value);
}

void pg_dscp_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		  bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " DSCP match %s0x%02x", m->bits.invert ? "!" : "", m->bits.value);
}

/* -m mark -------------------------------------------------------------------------------------- */

const struct pg_match_option pg_mark_options[] = { { "mark", 0, true, false }, {} };

int pg_mark_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, ~0U, diag);

	if (r < 0)
		return r;
	m->bits.invert = use->invert;
	return pg_value_mark(m, use, &m->bits.value, &m->bits.mask, diag);
}

static void add_mark(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "0x%x", m->bits.value);
	if (m->bits.mask != UINT32_MAX)
		pg_text_add(t, "/0x%x", m->bits.mask);
}

void pg_mark_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --mark ", m->bits.invert ? " !" : "");
	add_mark(t, m);
}

void pg_mark_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		  bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " mark match %s", m->bits.invert ? "! " : "");
	add_mark(t, m);
}
