/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

struct rules *rules_new(bool v6, bool drop)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	if (!rules)
		abort();
	rules->v6 = v6;
	rules->drop = drop;
	rules_chain(rules, "INPUT");
	return rules;
}

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	for (size_t c = 0; c < rules->n; c++) {
		for (size_t i = 0; i < rules->chain[c].n; i++) {
			free(rules->chain[c].line[i].spec);
			free(rules->chain[c].line[i].target);
		}
		free(rules->chain[c].line);
	}
	free(rules->chain);
	free(rules->sets);
	free(rules);
}

static size_t find(const struct rules *rules, bool raw, const char *name)
{
	for (size_t c = 0; c < rules->n; c++)
		if (rules->chain[c].raw == raw && !strcmp(rules->chain[c].name, name))
			return c;
	return rules->n;
}

static size_t find_or_add(struct rules *rules, bool raw, const char *name)
{
	size_t c = find(rules, raw, name);

	if (c < rules->n)
		return c;
	rules->chain = realloc(rules->chain, ++rules->n * sizeof(rules->chain[0]));
	if (!rules->chain)
		abort();
	rules->chain[c] = (struct rule_chain){ .raw = raw };
	snprintf(rules->chain[c].name, sizeof(rules->chain[c].name), "%s", name);
	return c;
}

size_t rules_chain(struct rules *rules, const char *name)
{
	return find_or_add(rules, false, name);
}

size_t rules_raw_chain(struct rules *rules, const char *name)
{
	return find_or_add(rules, true, name);
}

size_t rules_raw(struct rules *rules)
{
	return rules_raw_chain(rules, "PREROUTING");
}

bool rules_has_raw(const struct rules *rules)
{
	for (size_t c = 0; c < rules->n; c++)
		if (rules->chain[c].raw)
			return true;
	return false;
}

static bool is_target(const char *target, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(target, "-j ", 3) && !strncmp(target + 3, name, n) &&
	       (target[3 + n] == '\0' || target[3 + n] == ' ');
}

void rules_add(struct rules *rules, size_t chain, char *spec, char *target, unsigned expands)
{
	struct rule_chain *c = &rules->chain[chain];
	struct rule_line l = { .spec = spec, .target = target, .expands = expands };

	l.accepts = !c->raw && is_target(target, "ACCEPT");
	if (l.accepts || is_target(target, "DROP") || is_target(target, "REJECT"))
		l.number = ++rules->deciding;
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 16;
		c->line = realloc(c->line, c->cap * sizeof(c->line[0]));
		if (!c->line)
			abort();
	}
	c->line[c->n++] = l;
}

static void print_rules(FILE *f, const struct rule_chain *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct rule_line *l = &c->line[i];

		fprintf(f, "-A %s%s%s%s\n", c->name, l->spec, l->target[0] ? " " : "", l->target);
	}
}

/* `raw`: what stands in that table, or in filter. */
static void print_table(FILE *f, const struct rules *rules, bool raw)
{
	for (size_t c = 1; c < rules->n; c++)
		if (rules->chain[c].raw == raw && strcmp(rules->chain[c].name, "PREROUTING") != 0)
			fprintf(f, ":%s - [0:0]\n", rules->chain[c].name);
	for (size_t c = 0; c < rules->n; c++)
		if (rules->chain[c].raw == raw)
			print_rules(f, &rules->chain[c]);
	fprintf(f, "COMMIT\n");
}

char *rules_text(const struct rules *rules)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	fprintf(f, "*filter\n:INPUT %s [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n",
		rules->drop ? "DROP" : "ACCEPT");
	print_table(f, rules, false);
	if (rules->tracks || rules_has_raw(rules)) {
		fprintf(f, "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
		print_table(f, rules, true);
	}
	fclose(f);
	return text;
}

const struct rule_line *rules_line(const struct rules *rules, size_t chain, size_t index)
{
	const struct rule_chain *c = &rules->chain[chain];
	size_t n = 0;

	if (chain >= rules->n)
		return NULL;
	for (size_t i = 0; i < c->n; i++) {
		n += c->line[i].expands;
		if (index < n)
			return &c->line[i];
	}
	return NULL;
}

size_t rules_count(const struct rules *rules, size_t chain)
{
	size_t n = 0;

	for (size_t i = 0; i < rules->chain[chain].n; i++)
		n += rules->chain[chain].line[i].expands;
	return n;
}

size_t rules_jump(const struct rules *rules, size_t chain, const struct rule_line *line)
{
	char name[32];
	size_t c;

	if (sscanf(line->target, "-%*1[jg] %31s", name) != 1)
		return 0;
	c = find(rules, rules->chain[chain].raw, name);
	return c < rules->n ? c : 0;
}
