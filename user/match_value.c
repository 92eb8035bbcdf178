/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "match_value.h"

const char *pg_option_name(enum pg_match_kind kind, unsigned id)
{
	const struct pg_match_option *option = pg_match_rows[kind].option;

	while (option->name && option->id != id)
		option++;
	return option->name ? option->name : "?";
}

int pg_use_check(const struct pg_match *m, const struct pg_match_use *use, uint32_t invertible,
		 struct pg_diag *diag)
{
	const char *match = pg_match_rows[m->kind].name, *option = pg_option_name(m->kind, use->id);

	if (use->seen & 1U << use->id)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%s: option \"--%s\" can only be used once.", match, option);
	if (use->invert && !(invertible & 1U << use->id))
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%s: option \"--%s\" cannot be inverted.", match, option);
	return 0;
}

int pg_option_need(const struct pg_match *m, unsigned id, uint32_t seen, const struct pg_arg *at,
		   struct pg_diag *diag)
{
	if (seen & 1U << id)
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, at, "%s: option \"--%s\" must be specified",
		       pg_match_rows[m->kind].name, pg_option_name(m->kind, id));
}

int pg_option_exclude(const struct pg_match *m, unsigned a, unsigned b, uint32_t seen,
		      const struct pg_arg *at, struct pg_diag *diag)
{
	if (!(seen & 1U << a) || !(seen & 1U << b))
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, at,
		       "%s: option \"--%s\" cannot be used together with \"--%s\".",
		       pg_match_rows[m->kind].name, pg_option_name(m->kind, a),
		       pg_option_name(m->kind, b));
}

int pg_value_number(const struct pg_match *m, const struct pg_match_use *use, uint32_t min,
		    uint32_t max, uint32_t *ret, struct pg_diag *diag)
{
	uint32_t v;

	if (pg_number_parse(use->value, max, &v) < 0 || v < min)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%s: bad value for option \"--%s\", or out of range (%u-%u).",
			       pg_match_rows[m->kind].name, pg_option_name(m->kind, use->id), min,
			       max);
	*ret = v;
	return 0;
}

bool pg_number_prefix(const char *text, uint32_t max, uint32_t *ret, const char **ret_end)
{
	unsigned long long v;
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	if (*text == '-')
		return false;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (end == text || errno || v > max)
		return false;
	*ret = (uint32_t)v;
	*ret_end = end;
	return true;
}

int pg_value_range(const struct pg_match *m, const struct pg_match_use *use, uint32_t max,
		   struct pg_u32_range *ret, struct pg_diag *diag)
{
	const char *match = pg_match_rows[m->kind].name, *option = pg_option_name(m->kind, use->id);
	const char *text = use->value;
	uint32_t v[2] = {};
	unsigned n = 0;

	for (;; text++) {
		if (n == 2)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "%s: Too many components for option \"--%s\" (max: 2)",
				       match, option);
		if (!*text || *text == ':')
			v[n] = n ? max : 0;
		else if (!pg_number_prefix(text, max, &v[n], &text))
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "%s: bad value for option \"--%s\" near \"%s\", or out of "
				       "range (0-%u).",
				       match, option, text, max);
		n++;
		if (!*text)
			break;
		if (*text != ':')
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "%s: Argument to \"--%s\" has unexpected characters near "
				       "\"%s\".",
				       match, option, text);
	}
	ret->lo = v[0];
	ret->hi = n == 1 ? v[0] : v[1];
	ret->set = true;
	ret->invert = use->invert;
	return 0;
}

int pg_value_mark(const struct pg_match *m, const struct pg_match_use *use, uint32_t *ret_value,
		  uint32_t *ret_mask, struct pg_diag *diag)
{
	const char *match = pg_match_rows[m->kind].name, *option = pg_option_name(m->kind, use->id);
	uint32_t value, mask = UINT32_MAX;
	const char *end;
	bool ok = pg_number_prefix(use->value, UINT32_MAX, &value, &end);

	if (ok && *end == '/')
		ok = pg_number_prefix(end + 1, UINT32_MAX, &mask, &end);
	if (!ok)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%s: bad integer value for option \"--%s\", or out of range.", match,
			       option);
	if (*end)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%s: trailing garbage after value for option \"--%s\".", match,
			       option);
	*ret_value = value;
	*ret_mask = mask;
	return 0;
}

void pg_range_print(struct pg_text *t, const char *option, const struct pg_u32_range *range)
{
	pg_text_add(t, "%s --%s %u", range->invert ? " !" : "", option, range->lo);
	if (range->lo != range->hi)
		pg_text_add(t, ":%u", range->hi);
}

void pg_range_list(struct pg_text *t, const struct pg_u32_range *range)
{
	pg_text_add(t, "%s%u", range->invert ? "!" : "", range->lo);
	if (range->lo != range->hi)
		pg_text_add(t, ":%u", range->hi);
}
