/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "opt.h"

enum value { NO_VALUE, VALUE, OPTIONAL };

static const struct {
	const char *name;
	char letter;
	enum value value;
} globals[] = {
	{ "append", 'A', VALUE },	    { "delete", 'D', VALUE },
	{ "check", 'C', VALUE },	    { "insert", 'I', VALUE },
	{ "replace", 'R', VALUE },	    { "list", 'L', OPTIONAL },
	{ "list-rules", 'S', OPTIONAL },    { "flush", 'F', OPTIONAL },
	{ "zero", 'Z', OPTIONAL },	    { "new-chain", 'N', VALUE },
	{ "delete-chain", 'X', OPTIONAL },  { "rename-chain", 'E', VALUE },
	{ "policy", 'P', VALUE },	    { "source", 's', VALUE },
	{ "src", 's', VALUE },		    { "destination", 'd', VALUE },
	{ "dst", 'd', VALUE },		    { "protocol", 'p', VALUE },
	{ "in-interface", 'i', VALUE },	    { "out-interface", 'o', VALUE },
	{ "jump", 'j', VALUE },		    { "goto", 'g', VALUE },
	{ "table", 't', VALUE },	    { "match", 'm', VALUE },
	{ "numeric", 'n', NO_VALUE },	    { "verbose", 'v', NO_VALUE },
	{ "exact", 'x', NO_VALUE },	    { "line-numbers", '0', NO_VALUE },
	{ "fragments", 'f', NO_VALUE },	    { "wait", 'w', OPTIONAL },
	{ "wait-interval", 'W', OPTIONAL }, { "set-counters", 'c', VALUE },
	{ "modprobe", 'M', VALUE },	    { "ipv4", '4', NO_VALUE },
	{ "ipv6", '6', NO_VALUE },	    { "help", 'h', OPTIONAL },
	{ "version", 'V', NO_VALUE },
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
		       globals[a->global - 1].letter == globals[b->global - 1].letter;
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
	for (size_t i = 0; i < ARRAY_SIZE(globals); i++) {
		struct found candidate = { .global = i + 1 };

		if (is_prefix(globals[i].name, name, len, &candidate.whole))
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
	enum value value;

	look_up(scan, name, len, &found);
	if (found.n != 1)
		return;
	if (found.global)
		value = globals[found.global - 1].value;
	else
		value = found.option->has_value ? VALUE : NO_VALUE;
	if (attached && value == NO_VALUE)
		return;
	if (found.global) {
		ret->kind = PG_OPT_GLOBAL;
		ret->letter = globals[found.global - 1].letter;
	} else {
		ret->kind = found.target ? PG_OPT_TARGET : PG_OPT_MATCH;
		ret->match = found.match;
		ret->option = found.option;
	}
	if (value == VALUE || attached)
		take_value(scan, ret, attached);
}

static void take_short(struct pg_opt_scan *scan, struct pg_opt *ret)
{
	char letter = *scan->cluster++;
	const char *attached = *scan->cluster ? scan->cluster : NULL;
	size_t i;

	if (!attached)
		scan->cluster = NULL;
	for (i = 0; i < ARRAY_SIZE(globals); i++)
		if (globals[i].letter == letter && letter != '0')
			break;
	ret->letter = letter;
	if (i == ARRAY_SIZE(globals))
		return;
	ret->kind = PG_OPT_GLOBAL;
	/* getopt gives -h no value, though --help may have one. */
	if (globals[i].value == NO_VALUE || letter == 'h')
		return;
	scan->cluster = NULL;
	if (globals[i].value == VALUE || attached)
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
