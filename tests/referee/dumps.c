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

/* "-A OUTPUT …", "--append FORWARD …" and the like. */
static bool is_of_others(const char *line)
{
	const char *chain = line + strcspn(line, " \t");

	chain += strspn(chain, " \t");
	return starts(chain, "OUTPUT ") || starts(chain, "FORWARD ");
}

/* The rules and chains of the filter table but for FORWARD and OUTPUT, without counters. */
static void read_filter(const char *path, struct lines *ret)
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
			inside = starts(line, "*filter");
		else if (inside && (line[0] == ':' || (line[0] == '-' && !is_of_others(line))))
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
static unsigned try_restore(const struct lines *l, bool v6)
{
	char path[] = "/tmp/pg-referee-XXXXXX", command[256], buf[512], *at;
	int fd = mkstemp(path);
	unsigned number = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		die(path);
	fprintf(f, "*filter\n");
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
static unsigned restore(struct lines *l, bool v6)
{
	unsigned refused = 0, number;

	while ((number = try_restore(l, v6))) {
		free(l->line[number - 1]);
		memmove(&l->line[number - 1], &l->line[number],
			(l->n - number) * sizeof(l->line[0]));
		l->n--;
		refused++;
	}
	return refused;
}

/* What iptables made of it: one rule a line, names resolved, lists expanded. */
static void save(struct lines *ret, bool v6)
{
	FILE *f = popen(v6 ? "ip6tables-legacy-save -t filter" : "iptables-legacy-save -t filter", "re");
	char *line = NULL;
	size_t size = 0;

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

static void flush(bool v6)
{
	static struct lines empty;

	push(&empty, ":INPUT ACCEPT [0:0]");
	try_restore(&empty, v6);
	clear(&empty);
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
		rules_chain(one, all->chain[c].name);
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

/* "-A CHAIN SPEC -j TARGET", split where iptables-save puts the target: it comes last. */
static void add_line(struct rules *rules, const char *line)
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
	rules_add(rules, rules_chain(rules, chain), slow_down(spec), target, 1);
}

static struct rules *parse(const struct lines *l, bool v6)
{
	struct rules *rules = rules_new(v6, has_line(l, ":INPUT DROP"));
	char name[CHAIN_MAX];

	for (size_t i = 0; i < l->n; i++)
		if (sscanf(l->line[i], ":%31s -", name) == 1 && strcmp(name, "FORWARD") != 0 &&
		    strcmp(name, "OUTPUT") != 0)
			rules_chain(rules, name);
	for (size_t i = 0; i < l->n; i++)
		if (l->line[i][0] == '-')
			add_line(rules, l->line[i]);
	return rules;
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
			if (rules_jump(rules, &rules->chain[c].line[i]) == chain)
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

		if (!rules->chain[c].n || is_led_to(rules, c))
			continue;
		if (asprintf(&target, "-j %s", rules->chain[c].name) < 0)
			abort();
		rules_add(rules, 0, strdup(""), target, 1);
	}
}

/* What a packet that comes to INPUT can meet, and both sides know. */
static void keep(const struct rules *all, const struct dump_tracking *tracking, struct dump *ret)
{
	struct rules *rules = rules_new(all->v6, all->drop);

	rules->tracks = tracking;
	if (tracking)
		pass_own(rules, &tracking[all->v6]);
	for (size_t c = 0; c < rules->n; c++) { /* grows while chains are met */
		size_t from = 0;

		while (strcmp(all->chain[from].name, rules->chain[c].name) != 0)
			from++;
		for (size_t i = 0; i < all->chain[from].n; i++) {
			const struct rule_line *l = &all->chain[from].line[i];
			size_t to = rules_jump(all, l);

			ret->lines++;
			if (is_tracked(l->spec)) {
				ret->states++;
				if (!tracking || strstr(l->spec, "-m connlimit "))
					continue;
			}
			if (!is_known(all, from, l)) {
				ret->unknown++;
				continue;
			}
			if (to)
				rules_chain(rules, all->chain[to].name);
			rules_add(rules, c, strdup(l->spec), strdup(l->target), 1);
		}
	}
	if (tracking)
		rules_raw(rules); /* where a tracking set has its own way in */
	ret->rules = rules;
}

void dump_read(const char *path, const char *iface, const struct dump_tracking *tracking, struct dump *ret)
{
	static struct lines given, saved;
	struct rules *all;
	bool v6;

	*ret = (struct dump){ 0 };
	read_filter(path, &given);
	declare_chains(&given);
	sort_declarations(&given);
	v6 = is_v6(path, &given);
	ret->refused = restore(&given, v6);
	save(&saved, v6);
	flush(v6);
	all = parse(&saved, v6);
	rename_iface(all, iface);
	lead_to_chains(all);
	keep(all, tracking, ret);
	rules_free(all);
	clear(&given);
	clear(&saved);
}
