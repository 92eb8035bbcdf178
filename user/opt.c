/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "opt.h"

const struct pg_opt_global pg_opt_globals[] = {
	{ "append", 'A', PG_OPT_VALUE },
	{ "delete", 'D', PG_OPT_VALUE },
	{ "check", 'C', PG_OPT_VALUE },
	{ "insert", 'I', PG_OPT_VALUE },
	{ "replace", 'R', PG_OPT_VALUE },
	{ "list", 'L', PG_OPT_OPTIONAL },
	{ "list-rules", 'S', PG_OPT_OPTIONAL },
	{ "flush", 'F', PG_OPT_OPTIONAL },
	{ "zero", 'Z', PG_OPT_OPTIONAL },
	{ "new-chain", 'N', PG_OPT_VALUE },
	{ "delete-chain", 'X', PG_OPT_OPTIONAL },
	{ "rename-chain", 'E', PG_OPT_VALUE },
	{ "policy", 'P', PG_OPT_VALUE },
	{ "source", 's', PG_OPT_VALUE },
	{ "src", 's', PG_OPT_VALUE },
	{ "destination", 'd', PG_OPT_VALUE },
	{ "dst", 'd', PG_OPT_VALUE },
	{ "protocol", 'p', PG_OPT_VALUE },
	{ "in-interface", 'i', PG_OPT_VALUE },
	{ "out-interface", 'o', PG_OPT_VALUE },
	{ "jump", 'j', PG_OPT_VALUE },
	{ "goto", 'g', PG_OPT_VALUE },
	{ "table", 't', PG_OPT_VALUE },
	{ "match", 'm', PG_OPT_VALUE },
	{ "numeric", 'n', PG_OPT_NONE },
	{ "verbose", 'v', PG_OPT_NONE },
	{ "exact", 'x', PG_OPT_NONE },
	{ "line-numbers", '0', PG_OPT_NONE },
	{ "fragments", 'f', PG_OPT_NONE },
	{ "wait", 'w', PG_OPT_OPTIONAL },
	{ "wait-interval", 'W', PG_OPT_OPTIONAL },
	{ "set-counters", 'c', PG_OPT_VALUE },
	{ "modprobe", 'M', PG_OPT_VALUE },
	{ "ipv4", '4', PG_OPT_NONE },
	{ "ipv6", '6', PG_OPT_NONE },
	{ "help", 'h', PG_OPT_OPTIONAL },
	{ "version", 'V', PG_OPT_NONE },
	{ 0 },
};

/* Is `name` (len bytes) the whole of `option`, or its beginning? */
static bool is_prefix(const char *option, const char *name, size_t len, bool *ret_whole)
{
	if (strncmp(option, name, len))
		return false;
	*ret_whole = !option[len];
	return true;
}

/* A candidate; two that mean the same option are no ambiguity. */
struct found {
	unsigned n;
	bool whole;
	size_t global; /* index + 1; 0: of a match */
	bool target; /* of the target; otherwise of `match` */
	enum pg_match_kind match;
	const struct pg_match_option *option;
};

static bool same(const struct found *a, const struct found *b)
{
	if (a->global || b->global)
		return a->global && b->global &&
		       pg_opt_globals[a->global - 1].letter == pg_opt_globals[b->global - 1].letter;
	return a->target == b->target && a->match == b->match && a->option->id == b->option->id;
}

/* The first whole name wins; without one, a beginning that only one option has. */
static void consider(struct found *best, const struct found *candidate)
{
	if (best->whole)
		return;
	if (candidate->whole || !best->n) {
		*best = *candidate;
		best->n = 1;
	} else if (!same(best, candidate)) {
		best->n++;
	}
}

/* In the options of a match or a target, which `of` says. */
static void look_in(const struct pg_match_option *option, const struct found *of, const char *name,
		    size_t len, struct found *best)
{
	for (; option && option->name; option++) {
		struct found candidate = *of;

		candidate.option = option;
		if (is_prefix(option->name, name, len, &candidate.whole))
			consider(best, &candidate);
	}
}

static void look_up(const struct pg_opt_scan *scan, const char *name, size_t len,
		    struct found *best)
{
	for (size_t i = 0; pg_opt_globals[i].name; i++) {
		struct found candidate = { .global = i + 1 };

		if (is_prefix(pg_opt_globals[i].name, name, len, &candidate.whole))
			consider(best, &candidate);
	}
	/* Of two matches that know a name, it is the one's that was loaded last (xtables_merge_options). */
	for (int first = 1; first >= 0; first--) {
		for (size_t i = scan->n_loaded; i-- > 0;) {
			const struct pg_match_row *row = &pg_match_rows[scan->loaded[i]];
			const struct found of = { .match = scan->loaded[i] };

			if (row->first == (bool)first)
				look_in(row->option, &of, name, len, best);
		}
	}
	look_in(scan->target, &(const struct found){ .target = true }, name, len, best);
}

/* Take the value: `attached` if there is one, otherwise the next word. */
static void take_value(struct pg_opt_scan *scan, struct pg_opt *ret, const char *attached)
{
	if (attached) {
		ret->value = attached;
		ret->at = ret->name;
		ret->at.pos.column += (unsigned)(attached - ret->name.text);
	} else if (scan->next < scan->n) {
		ret->at = scan->arg[scan->next++];
		ret->value = ret->at.text;
	} else {
		ret->kind = PG_OPT_NO_VALUE;
	}
}

static void take_long(struct pg_opt_scan *scan, struct pg_opt *ret)
{
	const char *name = ret->name.text + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const char *attached = equals ? equals + 1 : NULL;
	struct found found = {};
	enum pg_opt_value value;

	look_up(scan, name, len, &found);
	if (found.n != 1)
		return;
	if (found.global)
		value = pg_opt_globals[found.global - 1].value;
	else
		value = found.option->has_value ? PG_OPT_VALUE : PG_OPT_NONE;
	if (attached && value == PG_OPT_NONE)
		return;
	if (found.global) {
		ret->kind = PG_OPT_GLOBAL;
		ret->letter = pg_opt_globals[found.global - 1].letter;
	} else {
		ret->kind = found.target ? PG_OPT_TARGET : PG_OPT_MATCH;
		ret->match = found.match;
		ret->option = found.option;
	}
	if (value == PG_OPT_VALUE || attached)
		take_value(scan, ret, attached);
}

static void take_short(struct pg_opt_scan *scan, struct pg_opt *ret)
{
	char letter = *scan->cluster++;
	const char *attached = *scan->cluster ? scan->cluster : NULL;
	size_t i;

	if (!attached)
		scan->cluster = NULL;
	for (i = 0; pg_opt_globals[i].name; i++)
		if (pg_opt_globals[i].letter == letter && letter != '0')
			break;
	ret->letter = letter;
	if (!pg_opt_globals[i].name)
		return;
	ret->kind = PG_OPT_GLOBAL;
	/* getopt gives -h no value, though --help may have one. */
	if (pg_opt_globals[i].value == PG_OPT_NONE || letter == 'h')
		return;
	scan->cluster = NULL;
	if (pg_opt_globals[i].value == PG_OPT_VALUE || attached)
		take_value(scan, ret, attached);
}

void pg_opt_next(struct pg_opt_scan *scan, struct pg_opt *ret)
{
	*ret = (struct pg_opt){ .kind = PG_OPT_UNKNOWN };
	if (!scan->cluster && scan->next == scan->n) {
		ret->kind = PG_OPT_END;
		return;
	}
	if (scan->cluster) {
		ret->name = scan->arg[scan->next - 1];
		ret->at = ret->name;
		take_short(scan, ret);
		return;
	}
	ret->name = scan->arg[scan->next++];
	ret->at = ret->name;
	if (ret->name.text[0] != '-' || !ret->name.text[1]) {
		ret->kind = PG_OPT_WORD;
		ret->value = ret->name.text;
	} else if (ret->name.text[1] != '-') {
		scan->cluster = ret->name.text + 1;
		take_short(scan, ret);
	} else if (ret->name.text[2]) {
		take_long(scan, ret);
	} else {
		ret->kind = PG_OPT_END;
	}
}

void pg_opt_again(struct pg_opt_scan *scan)
{
	scan->next--;
}

void pg_opt_load(struct pg_opt_scan *scan, enum pg_match_kind kind)
{
	for (size_t i = 0; i < scan->n_loaded; i++)
		if (scan->loaded[i] == kind)
			return;
	scan->loaded[scan->n_loaded++] = kind;
}

const struct pg_arg *pg_opt_operand(struct pg_opt_scan *scan)
{
	const struct pg_arg *arg = &scan->arg[scan->next];

	if (scan->cluster || scan->next == scan->n || arg->text[0] == '-' || arg->text[0] == '!')
		return NULL;
	scan->next++;
	return arg;
}
