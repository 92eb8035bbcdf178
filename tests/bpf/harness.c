/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipset.h"
#include "rulefile.h"

static void die(const char *what, const struct pg_err *err)
{
	fprintf(stderr, "%s: %s\n", what, err->text);
	exit(1);
}

bool harness_open_with(struct harness *h, const struct pg_private_opts *opts, struct pg_err *err)
{
	struct pg_private_opts with = *opts;

	/*
	 * lo, if none: where there is no interface to ask the kernel's routing about, it is asked anew about
	 * each packet that may be FORWARD's, and none takes the fast path.
	 */
	with.ifindex = opts->ifindex ?: 1;
	*h = (struct harness){ 0 };
	snprintf(h->iface, sizeof(h->iface), "%s", opts->iface);
	if (pg_dp_open_private(&with, &h->dp, err))
		return false;
	/* The model of most tests looks at packets one by one. */
	pg_dp_set_fragments(h->dp, PG_FRAGMENTS_RULES);
	return true;
}

bool harness_open(struct harness *h, const char *iface, struct pg_err *err)
{
	return harness_open_with(h, &(struct pg_private_opts){ .iface = iface }, err);
}

bool harness_open_general(struct harness *h, const char *iface, struct pg_err *err)
{
	return harness_open_with(h, &(struct pg_private_opts){ .iface = iface, .general_only = true }, err);
}

void harness_close(struct harness *h)
{
	pg_tables_free(h->tables);
	pg_ruleset_free(h->set);
	pg_dp_close(h->dp);
	*h = (struct harness){ 0 };
}

void harness_take(struct harness *h, struct pg_ruleset *set)
{
	char ifnames[PG_MAX_IFACES][IFNAMSIZ] = { "" };
	struct pg_err err = { 0 };

	pg_tables_free(h->tables);
	h->tables = NULL;
	pg_ruleset_free(h->set);
	h->set = set;
	if (pg_policy_commit(h->dp, set, &err) < 0)
		die("commit", &err);
	memcpy(ifnames[0], h->iface, IFNAMSIZ);
	if (pg_compile(set, &(struct pg_compile_opts){ .ifnames = ifnames }, &h->tables, &err) < 0)
		die("compile", &err);
}

void harness_load_as(struct harness *h, unsigned family, const char *text)
{
	struct pg_rulefile_opts opts = { .name = "rules", .family = family };
	struct pg_ruleset *set = NULL;
	struct pg_notes notes = { 0 };
	struct pg_err err = { 0 };

	if (pg_rulefile_parse(text, strlen(text), &opts, &set, &notes, &err) < 0)
		die(text, &err);
	pg_notes_free(&notes);
	harness_take(h, set);
}

void harness_load(struct harness *h, const char *text)
{
	harness_load_as(h, 0, text);
}

static int apply(struct pg_sets *sets, char *line, struct pg_err *err)
{
	const char *words[PG_IPSET_WORDS_MAX];
	struct pg_ipset_range range;
	struct pg_ipset_cmd cmd;
	struct pg_set_info info;
	struct pg_set_entry e;
	struct pg_set *set;
	char skipped[64];
	size_t n;
	int r = pg_ipset_split(line, words, &n, err);

	if (r || !n)
		return r;
	r = pg_ipset_command(words, n, &cmd, err);
	if (!r && cmd.verb == PG_IPSET_CREATE) {
		r = pg_ipset_create(&cmd, &info, skipped, sizeof(skipped), err);
		return r ? r : pg_sets_create(sets, &info, cmd.exist, err);
	}
	set = r ? NULL : pg_sets_find(sets, cmd.name);
	if (!set)
		return pg_fail(err, -ENOENT, "%s: no such set", cmd.name);
	r = pg_ipset_entry(&cmd, &set->info, sets->now_ns, &range, err);
	while (!r && pg_ipset_next(&range, &e))
		r = pg_set_add(sets, set, &e, cmd.exist, err);
	return r;
}

void harness_load_sets(struct harness *h, const char *text)
{
	struct pg_set_info infos[PG_SETS];
	struct pg_sets_base base;
	struct pg_err err = { 0 };
	struct pg_sets *sets;
	char *copy = strdup(text ? text : ""), *rest = copy, *line;
	int r;

	harness_load(h, "*filter\nCOMMIT\n"); /* no rule names a set */
	pg_dp_sets_base(h->dp, &base);
	pg_dp_sets_read(h->dp, infos);
	sets = pg_sets_new(infos, &base, 0);
	if (!sets || !copy)
		abort();
	r = pg_sets_destroy(sets, NULL, &err);
	while (!r && (line = strsep(&rest, "\n")))
		r = apply(sets, line, &err);
	if (!r)
		r = pg_dp_sets_commit(h->dp, sets, &err);
	if (r)
		die("sets", &err);
	pg_sets_free(sets);
	free(copy);
}

void harness_forget_flows(struct harness *h)
{
	struct pg_err err = { 0 };

	if (pg_dp_flow_forget(h->dp, &err) < 0)
		die("flows", &err);
}

bool harness_try_run(struct harness *h, enum pg_dir dir, const void *frame, size_t len,
		     struct pg_trace *ret)
{
	struct pg_err err = { 0 };

	return pg_dp_run(h->dp, dir, frame, len, len, ret, &err) == 0;
}

void harness_run(struct harness *h, enum pg_dir dir, const void *frame, size_t len,
		 struct pg_trace *ret)
{
	struct pg_err err = { 0 };

	if (pg_dp_run(h->dp, dir, frame, len, len, ret, &err) < 0)
		die("run", &err);
}

bool harness_try_run_tc(struct harness *h, const void *frame, size_t len, struct pg_trace *ret)
{
	struct pg_err err = { 0 };

	return pg_dp_run_prog(h->dp, PG_PROG_TC_IN, frame, len, len, ret, &err) == 0;
}

size_t harness_decided(const struct harness *h, const struct pg_trace *trace,
		       const struct pg_chain **ret_chain)
{
	if (trace->term == PG_TRACE_NO_TERM)
		return 0;
	if (trace->term >= h->tables->gen.terms) {
		fprintf(stderr, "term %u of %u\n", trace->term, h->tables->gen.terms);
		exit(1);
	}
	*ret_chain = &h->set->chain[h->tables->terms[trace->term].chain];
	return h->tables->terms[trace->term].rule;
}

size_t harness_rule(const struct harness *h, const struct pg_trace *trace)
{
	const struct pg_chain *chain;

	return harness_decided(h, trace, &chain);
}

const struct pg_chain *harness_input(const struct harness *h)
{
	return &h->set->chain[PG_CHAIN_INPUT];
}

struct pg_count harness_count(const struct harness *h, size_t number)
{
	const struct pg_chain *input = harness_input(h);
	struct pg_count count = { 0 };

	pg_dp_slot_read(h->dp, number ? input->rule[number - 1].slot : input->slot, &count);
	return count;
}
