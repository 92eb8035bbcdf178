/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dumps.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rulefile.h"

enum { LINES_MAX = 4096, CHAIN_MAX = 32 };

/* Lines of text, each owned. */
struct lines {
	char *line[LINES_MAX];
	size_t n;
};

static void die(const char *what)
{
	fprintf(stderr, "referee: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void push(struct lines *l, const char *text)
{
	if (l->n == LINES_MAX) {
		fprintf(stderr, "referee: a rule file of more than %d lines\n", LINES_MAX);
		exit(1);
	}
	l->line[l->n] = strdup(text);
	if (!l->line[l->n++])
		abort();
}

static void clear(struct lines *l)
{
	while (l->n)
		free(l->line[--l->n]);
}

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool has_line(const struct lines *l, const char *start)
{
	for (size_t i = 0; i < l->n; i++)
		if (starts(l->line[i], start))
			return true;
	return false;
}

/* Reading -------------------------------------------------------------------------------------- */

/* Where a table's rules of the part begin. */
static const char *hook_of(const struct dump_part *part, const char *table)
{
	bool prerouting = !strcmp(table, "raw") && strcmp(part->hook, "OUTPUT") != 0;

	return prerouting ? "PREROUTING" : part->hook;
}

static bool is_builtin(const char *chain)
{
	static const char *const builtin[] = { "INPUT", "FORWARD", "OUTPUT", "PREROUTING" };

	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		if (!strcmp(chain, builtin[i]))
			return true;
	return false;
}

/* "-A OUTPUT …", "--append FORWARD …" and the like: of another built-in chain. */
static bool is_of_others(const char *line, const char *hook)
{
	const char *at = line + strcspn(line, " \t");
	char chain[CHAIN_MAX] = "";

	sscanf(at, "%31s", chain);
	return is_builtin(chain) && strcmp(chain, hook) != 0;
}

/* The rules and chains of a table but for the other built-in chains, without counters. */
static void read_table(const char *path, const char *table, const char *hook, struct lines *ret)
{
	FILE *f = fopen(path, "re");
	char *buf = NULL, *line;
	bool inside = false;
	size_t size = 0;

	if (!f)
		die(path);
	while (getline(&buf, &size, f) > 0) {
		line = buf + strspn(buf, " \t");
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '[' && strchr(line, ']'))
			line = strchr(line, ']') + 1 + strspn(strchr(line, ']') + 1, " ");
		if (line[0] == '*')
			inside = starts(line + 1, table);
		else if (inside && (line[0] == ':' || (line[0] == '-' && !is_of_others(line, hook))))
			push(ret, line);
	}
	free(buf);
	fclose(f);
}

/* The chain of a line's -j or -g; "": none. */
static void target_of(const char *line, char ret[CHAIN_MAX])
{
	const char *j = strstr(line, " -j ");

	ret[0] = '\0';
	if (!j)
		j = strstr(line, " -g ");
	if (j)
		sscanf(j + 4, "%31s", ret);
}

/* A file that is one of several names chains of the others: empty ones, here. */
static void declare_chains(struct lines *l)
{
	for (size_t i = 0, n = l->n; i < n; i++) {
		char name[CHAIN_MAX], start[CHAIN_MAX + 2], line[CHAIN_MAX + 16];
		bool lower = false;

		target_of(l->line[i], name);
		for (const char *p = name; *p; p++)
			lower |= islower((unsigned char)*p) != 0;
		snprintf(start, sizeof(start), ":%s ", name);
		snprintf(line, sizeof(line), ":%s - [0:0]", name);
		if (lower && !has_line(l, start))
			push(l, line);
	}
}

static bool is_v6(const char *path, const struct lines *l)
{
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; i < l->n; i++)
		if (strstr(l->line[i], "icmpv6") || strstr(l->line[i], "ipv6-icmp") ||
		    strstr(l->line[i], "::"))
			return true;
	return dot && !strcmp(dot, ".v6");
}

/* Through iptables ----------------------------------------------------------------------------- */

/* 0: taken; otherwise the number of the line that is refused, from 1. */
static unsigned try_restore(const struct lines *l, const char *table, bool v6)
{
	char path[] = "/tmp/pg-referee-XXXXXX", command[256], buf[512], *at;
	int fd = mkstemp(path);
	unsigned number = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		die(path);
	fprintf(f, "*%s\n", table);
	for (size_t i = 0; i < l->n; i++)
		fprintf(f, "%s\n", l->line[i]);
	fprintf(f, "COMMIT\n");
	fclose(f);
	snprintf(command, sizeof(command), "%s-legacy-restore -w <%s 2>&1", v6 ? "ip6tables" : "iptables",
		 path);
	f = popen(command, "re");
	if (!f)
		die(command);
	while (fgets(buf, sizeof(buf), f)) {
		at = strstr(buf, "line: ");
		at = at ? at + 6 : strstr(buf, ": line ") ? strstr(buf, ": line ") + 7 : NULL;
		if (at)
			number = strtoul(at, NULL, 10);
	}
	if (pclose(f) == 0)
		number = 0;
	else if (number < 2 || number - 2 >= l->n) {
		fprintf(stderr, "referee: %s says nothing of a line\n", command);
		exit(1);
	}
	unlink(path);
	return number ? number - 1 : 0;
}

static void sort_declarations(struct lines *l)
{
	static struct lines sorted;

	sorted.n = 0;
	for (int declarations = 1; declarations >= 0; declarations--)
		for (size_t i = 0; i < l->n; i++)
			if ((l->line[i][0] == ':') == declarations)
				sorted.line[sorted.n++] = l->line[i];
	*l = sorted;
}

/* Without the lines that iptables refuses; returns how many. */
static unsigned restore(struct lines *l, const char *table, bool v6)
{
	unsigned refused = 0, number;

	while ((number = try_restore(l, table, v6))) {
		free(l->line[number - 1]);
		memmove(&l->line[number - 1], &l->line[number],
			(l->n - number) * sizeof(l->line[0]));
		l->n--;
		refused++;
	}
	return refused;
}

/* What iptables made of it: one rule a line, names resolved, lists expanded. */
static void save(struct lines *ret, const char *table, bool v6)
{
	char command[64], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(command, sizeof(command), "%s-legacy-save -t %s", v6 ? "ip6tables" : "iptables", table);
	f = popen(command, "re");
	if (!f)
		die("iptables-save");
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == ':' || starts(line, "-A "))
			push(ret, line);
	}
	free(line);
	if (pclose(f) != 0)
		die("iptables-save");
}

static void flush(const char *table, bool v6)
{
	static struct lines empty;

	push(&empty, ":OUTPUT ACCEPT [0:0]");
	try_restore(&empty, table, v6);
	clear(&empty);
}

/* Else lists of `recent` would live on until the next rules name them, too. */
static void flush_all(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		flush("raw", v6);
		flush("filter", v6);
	}
}

/* What iptables makes of a table's lines; those that it refuses are counted. */
static void resolve(struct lines *given, const char *table, bool v6, struct lines *ret, unsigned *refused)
{
	sort_declarations(given);
	*refused += restore(given, table, v6);
	save(ret, table, v6);
	flush(table, v6);
}

/* Rules ---------------------------------------------------------------------------------------- */

/* The text with what stands behind each `option` replaced. */
static char *replace(char *text, const char *option, const char *value)
{
	char *at = strstr(text, option), *ret = NULL;
	size_t head, skip;

	if (!at)
		return text;
	head = at - text + strlen(option);
	skip = strcspn(text + head, " ");
	if (asprintf(&ret, "%.*s%s%s", (int)head, text, value, text + head + skip) < 0)
		abort();
	free(text);
	return ret;
}

/* No clock decides: neither side's packets come at the same times. */
static char *slow_down(char *spec)
{
	char *burst = strstr(spec, "--limit-burst ");

	spec = replace(spec, " --limit ", "1/hour");
	if (burst && strtoul(burst + 14, NULL, 10) > 30)
		spec = replace(spec, " --limit-burst ", "30");
	return replace(spec, " --seconds ", "7200");
}

/*
 * Of a rule for packets that leave, made one for packets that arrive: see struct dump_part. The kernel compares
 * an interface's name with no name then, and such a rule would say nothing.
 */
static char *arrive(char *spec)
{
	char *at = strstr(spec, " -o "), *end;

	if (!at)
		return spec;
	if (!strstr(spec, " -i ")) {
		at[2] = 'i';
		return spec;
	}
	end = at + 4 + strcspn(at + 4, " ");
	if (at - spec >= 2 && starts(at - 2, " ! "))
		at -= 2;
	memmove(at, end, strlen(end) + 1);
	return spec;
}

/*
 * How many connections there are is the same for both where one begins: ct.bpf.h says what kernels make of
 * later packets. Linux 6.18 drops on the spot what comes late of a connection that is over, once it has looked
 * for those, so that later packets must not even be asked.
 */
static char *begin(char *spec)
{
	char *at = strstr(spec, "-m connlimit "), *ret = NULL;

	if (!at)
		return spec;
	if (asprintf(&ret, "%.*s-m conntrack --ctstate NEW %s", (int)(at - spec), spec, at) < 0)
		abort();
	free(spec);
	return ret;
}

static bool is_tracked(const char *spec)
{
	return strstr(spec, "-m state ") || strstr(spec, "-m conntrack ") ||
	       strstr(spec, "-m connlimit ");
}

/* What the host that the rules are of sends. */
static void pass_own(struct rules *rules, const struct dump_tracking *tracking)
{
	for (size_t i = 0; i < tracking->n; i++) {
		char *spec;

		if (asprintf(&spec, " -%c %s", tracking->peers ? 'd' : 's', tracking->host[i]) < 0)
			abort();
		rules_add(rules, 0, spec, strdup("-j ACCEPT"), 1);
	}
}

static size_t same_chain(struct rules *rules, const struct rule_chain *chain)
{
	return chain->raw ? rules_raw_chain(rules, chain->name) : rules_chain(rules, chain->name);
}

/* Whether portguard takes the rule, all chains being there. */
static bool is_known(const struct rules *all, size_t chain, const struct rule_line *line)
{
	struct pg_rulefile_opts opts = { .name = "rule", .family = all->v6 ? PG_V6 : PG_V4 };
	struct rules *one = rules_new(all->v6, false);
	struct pg_ruleset *set = NULL;
	struct pg_notes notes = { 0 };
	struct pg_err err = { 0 };
	char *text;
	int r;

	for (size_t c = 1; c < all->n; c++)
		same_chain(one, &all->chain[c]);
	rules_add(one, chain, strdup(line->spec), strdup(line->target), 1);
	text = rules_text(one);
	r = pg_rulefile_parse(text, strlen(text), &opts, &set, &notes, &err);
	if (r < 0 && getenv("V"))
		fprintf(stderr, "referee: left out:%s %s: %s\n", line->spec, line->target, err.text);
	pg_ruleset_free(set);
	pg_notes_free(&notes);
	free(text);
	rules_free(one);
	return r == 0;
}

/* The chain of that name, of raw or of filter; the hook's has another one here. */
static size_t chain_named(struct rules *rules, const struct dump_part *part, const char *table, const char *name)
{
	bool raw = !strcmp(table, "raw");

	if (!strcmp(name, hook_of(part, table)))
		return raw ? rules_raw(rules) : 0;
	return raw ? rules_raw_chain(rules, name) : rules_chain(rules, name);
}

/* "-A CHAIN SPEC -j TARGET", split where iptables-save puts the target: it comes last. */
static void add_line(struct rules *rules, const struct dump_part *part, const char *table, const char *line)
{
	char chain[CHAIN_MAX], *spec, *target;
	const char *start, *j;

	if (sscanf(line, "-A %31s", chain) != 1)
		return;
	start = line + 3 + strlen(chain);
	j = strstr(line, " -j ");
	if (!j)
		j = strstr(line, " -g ");
	spec = strndup(start, j ? (size_t)(j - start) : strlen(start));
	target = strdup(j ? j + 1 : "");
	if (!spec || !target)
		abort();
	spec = begin(slow_down(spec));
	if (strcmp(part->hook, "INPUT") != 0)
		spec = arrive(spec);
	rules_add(rules, chain_named(rules, part, table, chain), spec, target, 1);
}

static void add_lines(struct rules *rules, const struct dump_part *part, const char *table,
		      const struct lines *l)
{
	char name[CHAIN_MAX];

	for (size_t i = 0; i < l->n; i++)
		if (sscanf(l->line[i], ":%31s -", name) == 1 && !is_builtin(name))
			chain_named(rules, part, table, name);
	for (size_t i = 0; i < l->n; i++)
		if (l->line[i][0] == '-')
			add_line(rules, part, table, l->line[i]);
}

/* The interface that a rule names; false: none, or lo, which brings no packets from outside. */
static bool iface_of(const struct rule_line *line, char ret[CHAIN_MAX])
{
	const char *at = strstr(line->spec, " -i ");

	return at && sscanf(at, " -i %31s", ret) == 1 && strcmp(ret, "lo") != 0;
}

static unsigned count_iface(const struct rules *rules, const char *iface)
{
	char name[CHAIN_MAX];
	unsigned n = 0;

	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; i < rules->chain[c].n; i++)
			n += iface_of(&rules->chain[c].line[i], name) && !strcmp(name, iface);
	return n;
}

/* The interface that is named most often becomes `iface`. */
static void rename_iface(struct rules *rules, const char *iface)
{
	char name[CHAIN_MAX], best[CHAIN_MAX] = "";
	unsigned most = 0, n;

	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; i < rules->chain[c].n; i++) {
			if (!iface_of(&rules->chain[c].line[i], name))
				continue;
			n = count_iface(rules, name);
			if (n > most) {
				most = n;
				snprintf(best, sizeof(best), "%s", name);
			}
		}
	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; i < rules->chain[c].n; i++) {
			struct rule_line *l = &rules->chain[c].line[i];

			if (iface_of(l, name) && !strcmp(name, best))
				l->spec = replace(l->spec, " -i ", iface);
		}
}

static bool is_led_to(const struct rules *rules, size_t chain)
{
	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; i < rules->chain[c].n; i++)
			if (rules_jump(rules, c, &rules->chain[c].line[i]) == chain)
				return true;
	return false;
}

/* In a file that is one of several, nothing leads from INPUT to its chains. */
static void lead_to_chains(struct rules *rules)
{
	size_t n = rules->n;

	if (rules->chain[0].n)
		return;
	for (size_t c = 1; c < n; c++) {
		char *target;

		if (rules->chain[c].raw || !rules->chain[c].n || is_led_to(rules, c))
			continue;
		if (asprintf(&target, "-j %s", rules->chain[c].name) < 0)
			abort();
		rules_add(rules, 0, strdup(""), target, 1);
	}
}

static size_t find_same(const struct rules *all, const struct rule_chain *chain)
{
	size_t c = 0;

	while (all->chain[c].raw != chain->raw || strcmp(all->chain[c].name, chain->name) != 0)
		c++;
	return c;
}

/* What a packet that comes to INPUT can meet, and both sides know. */
static void keep(const struct rules *all, const struct dump_tracking *tracking, struct dump *ret)
{
	struct rules *rules = rules_new(all->v6, all->drop);

	rules->tracks = tracking;
	if (rules_has_raw(all))
		rules_raw(rules);
	if (tracking)
		pass_own(rules, &tracking[all->v6]);
	for (size_t c = 0; c < rules->n; c++) { /* grows while chains are met */
		size_t from = find_same(all, &rules->chain[c]);

		for (size_t i = 0; i < all->chain[from].n; i++) {
			const struct rule_line *l = &all->chain[from].line[i];
			size_t to = rules_jump(all, from, l);

			ret->lines++;
			if (is_tracked(l->spec)) {
				ret->states++;
				if (!tracking)
					continue;
			}
			if (!is_known(all, from, l)) {
				ret->unknown++;
				continue;
			}
			if (to)
				same_chain(rules, &all->chain[to]);
			rules_add(rules, c, strdup(l->spec), strdup(l->target), 1);
		}
	}
	if (tracking)
		rules_raw(rules); /* where a tracking set has its own way in */
	ret->rules = rules;
}

/* Rules of the table's hook. */
static bool has_rules(const struct lines *l, const char *hook)
{
	char chain[CHAIN_MAX];

	for (size_t i = 0; i < l->n; i++)
		if (l->line[i][0] == '-' && sscanf(l->line[i], "%*s %31s", chain) == 1 && !strcmp(chain, hook))
			return true;
	return false;
}

bool dump_read(const char *path, const struct dump_part *part, const char *iface,
	       const struct dump_tracking *tracking, struct dump *ret)
{
	static struct lines given, raw, saved, saved_raw;
	bool input = !strcmp(part->hook, "INPUT"), v6, found;
	struct rules *all;

	*ret = (struct dump){ 0 };
	read_table(path, "filter", hook_of(part, "filter"), &given);
	if (part->raw)
		read_table(path, "raw", hook_of(part, "raw"), &raw);
	found = part->raw ? has_rules(&raw, hook_of(part, "raw")) : input || has_rules(&given, part->hook);
	if (found) {
		char policy[32];

		flush_all();
		declare_chains(&given);
		v6 = is_v6(path, &given);
		resolve(&given, "filter", v6, &saved, &ret->refused);
		if (part->raw)
			resolve(&raw, "raw", v6, &saved_raw, &ret->refused);
		snprintf(policy, sizeof(policy), ":%s DROP", part->hook);
		all = rules_new(v6, has_line(&saved, policy));
		add_lines(all, part, "filter", &saved);
		add_lines(all, part, "raw", &saved_raw);
		rename_iface(all, iface);
		if (input)
			lead_to_chains(all);
		keep(all, tracking, ret);
		rules_free(all);
	}
	clear(&given);
	clear(&raw);
	clear(&saved);
	clear(&saved_raw);
	return found;
}
