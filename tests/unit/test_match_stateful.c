/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Matches that own memory or whose numbers are worked out: copies, comparisons, and what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rules.h"

/* Of each two, different rules to -D and -C, as under iptables. */
static const char *const different[] = {
	"-m state --state NEW",
	"-m conntrack --ctstate NEW",
	"-m conntrack ! --ctstate NEW",
	"-m conntrack --ctstate NEW --ctdir REPLY",
	"-m conntrack --ctstate NEW --ctdir ORIGINAL",
	"-m conntrack --ctorigsrc 10.1.2.3/8",
	"-m conntrack --ctorigsrc 10.0.0.0/8",
	"-m conntrack --ctorigdst 10.0.0.0/8",
	"-m conntrack --ctorigsrcport 1:2",
	"-m conntrack --ctorigsrcport 1:3",
	"-m conntrack ! --ctorigsrcport 1:3",
	"-m conntrack --ctexpire 1:3",
	"-m conntrack --ctproto 0",
	"-m conntrack --ctstatus NONE",
	"-m limit --limit 5/s",
	"-m limit --limit 6/s",
	"-m limit --limit 5/s --limit-burst 6",
	"-m hashlimit --hashlimit-upto 5/s --hashlimit-name a",
	"-m hashlimit --hashlimit-above 5/s --hashlimit-name a",
	"-m hashlimit --hashlimit-upto 5/s --hashlimit-name b",
	"-m hashlimit --hashlimit-upto 300/min --hashlimit-name a",
	"-m hashlimit --hashlimit-upto 5/s --hashlimit-name a --hashlimit-mode srcip",
	"-m hashlimit --hashlimit-upto 5/s --hashlimit-name a --hashlimit-srcmask 24",
	"-m hashlimit --hashlimit-upto 5/s --hashlimit-name a --hashlimit-dstmask 24",
	"-m hashlimit --hashlimit-upto 5/s --hashlimit-name a --hashlimit-rate-match",
	"-m hashlimit --hashlimit-upto 5kb/s --hashlimit-name a",
	"-m hashlimit --hashlimit-upto 5kb/s --hashlimit-name a --hashlimit-burst 5kb",
	"-m connlimit --connlimit-above 5",
	"-m connlimit --connlimit-upto 5",
	"-m connlimit --connlimit-above 5 --connlimit-daddr",
	"-m connlimit --connlimit-above 5 --connlimit-mask 24",
	"-m recent --set",
	"-m recent --rcheck",
	"-m recent --set --name x",
	"-m recent --set --rdest",
	"-m recent --set --mask 255.255.255.255",
	"-m recent --set --mask ffff::",
	"-m recent --update --seconds 5",
	"-m recent --update --seconds 5 --reap",
	"-m quota --quota 5",
	"-m quota ! --quota 5",
	"-m statistic --mode random --probability 0.5",
	"-m statistic --mode random ! --probability 0.5",
	"-m statistic --mode nth --every 2 --packet 0",
	"-m statistic --mode nth --every 2 --packet 1",
	"-m set --match-set a src",
	"-m set --match-set a dst",
	"-m set --match-set a src,dst",
	"-m set --match-set a dst,dst",
	"-m set --match-set b src",
	"-m set ! --match-set a src",
	"-m time",
	"-m time --kerneltz",
	"-m time --timestart 9:00",
	"-m time --timestop 9:00",
	"-m time --datestart 2020",
	"-m time --datestop 2020",
	"-m time --weekdays Mon",
	"-m time --monthdays 1",
	"-m time --timestart 9:00 --timestop 8:00",
	"-m time --timestart 9:00 --timestop 8:00 --contiguous",
};

/* The same rule, written in two ways. */
static const struct {
	const char *a, *b;
} same[] = {
	{ "-m state --state NEW,RELATED", "-m state --state rel,NEW,new" },
	{ "-m conntrack --ctdir REPLY --ctproto tcp", "-m conntrack --ctproto 6 --ctdir reply" },
	{ "-m conntrack --ctstatus NONE,ASSURED", "-m conntrack --ctstatus ASSURED" },
	{ "-m conntrack --ctorigsrc 10.1.2.3", "-m conntrack --ctorigsrc 10.1.2.3/32" },
	{ "-m limit --limit 5/s --limit-burst 5", "-m limit --limit 300/min" },
	{ "-m hashlimit ! --hashlimit-above 5/s --hashlimit-name a",
	  "-m hashlimit --hashlimit 5 --hashlimit-name a --hashlimit-burst 5" },
	{ "-4 -m hashlimit --hashlimit-upto 5/s --hashlimit-name a --hashlimit-srcmask 32",
	  "-4 -m hashlimit --hashlimit-upto 5/s --hashlimit-name a" },
	{ "-m hashlimit --hashlimit-above 1500b/s --hashlimit-name a",
	  "-m hashlimit --hashlimit-above 1488b/s --hashlimit-name a" },
	{ "-6 -m connlimit --connlimit-above 5 --connlimit-mask 128",
	  "-6 -m connlimit ! --connlimit-upto 5 --connlimit-saddr" },
	{ "-4 -m recent --set", "-m recent --set --mask 255.255.255.255 --name DEFAULT" },
	{ "-s 10.0.0.1 -m recent --set", "-4 -s 10.0.0.1 -m recent --set --rdest --rsource" },
	{ "-m statistic --mode random --probability 0.1",
	  "-m statistic --probability 0.10000000009 --mode random" },
	{ "-m time --weekdays 1,Tue --datestart 2020",
	  "-m time ! --weekdays We,Th,Fr,Sa,Su --datestart 2020-01-01T00" },
};

static void add(struct pg_ruleset *set, const char *words)
{
	struct pg_err err = {};
	char line[256];

	snprintf(line, sizeof(line), "-A INPUT %s", words);
	if (run_line(set, line, &err))
		fail_msg("%s: %s", line, err.text);
}

static void rules_that_differ_are_not_equal(void **state)
{
	struct pg_ruleset *set = pg_ruleset_new();
	const struct pg_rule *rule;

	(void)state;
	assert_non_null(set);
	for (size_t i = 0; i < ARRAY_SIZE(different); i++)
		add(set, different[i]);
	rule = set->chain[PG_CHAIN_INPUT].rule;
	for (size_t i = 0; i < ARRAY_SIZE(different); i++)
		for (size_t k = 0; k < ARRAY_SIZE(different); k++)
			if (pg_rule_equal(&rule[i], &rule[k]) != (i == k))
				fail_msg("%s is%s %s", different[i], i == k ? " not" : "",
					 different[k]);
	pg_ruleset_free(set);
}

static void rules_written_in_two_ways_are_equal(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		struct pg_ruleset *set = pg_ruleset_new();
		const struct pg_rule *rule;

		assert_non_null(set);
		add(set, same[i].a);
		add(set, same[i].b);
		rule = set->chain[PG_CHAIN_INPUT].rule;
		if (!pg_rule_equal(&rule[0], &rule[1]))
			fail_msg("%s is not %s", same[i].a, same[i].b);
		pg_ruleset_free(set);
	}
}

static void copies_own_what_they_hold(void **state)
{
	struct pg_ruleset *set = pg_ruleset_new(), *dup;
	struct pg_text before = {}, after = {};

	(void)state;
	assert_non_null(set);
	for (size_t i = 0; i < ARRAY_SIZE(different); i++)
		add(set, different[i]);
	dup = pg_ruleset_dup(set);
	assert_non_null(dup);
	for (size_t i = 0; i < ARRAY_SIZE(different); i++)
		if (!pg_rule_equal(&set->chain[PG_CHAIN_INPUT].rule[i],
				   &dup->chain[PG_CHAIN_INPUT].rule[i]))
			fail_msg("a copy is not equal: %s", different[i]);
	specs_of(set, &before);
	pg_ruleset_free(set);
	assert_string_equal(specs_of(dup, &after), before.buf);
	pg_ruleset_free(dup);
	pg_text_free(&before);
	pg_text_free(&after);
}

static void what_stands_in_a_match_decides_the_families(void **state)
{
	static const struct {
		const char *words;
		unsigned families;
	} row[] = {
		{ "-m conntrack --ctstate NEW --ctproto 6", PG_V46 },
		{ "-m conntrack --ctrepldst 10.0.0.1", PG_V4 },
		{ "-m conntrack --ctorigsrc ::1", PG_V6 },
		{ "-m recent --set", PG_V46 },
		{ "-m recent --set --mask 255.0.0.0", PG_V4 },
		{ "-m recent --set --mask ff00::", PG_V6 },
		{ "-m connlimit --connlimit-above 5 --connlimit-mask 32", PG_V46 },
		{ "-m connlimit --connlimit-above 5 --connlimit-mask 33", PG_V6 },
		{ "-m connlimit --connlimit-above 5 --connlimit-mask 255.0.0.0", PG_V4 },
		{ "-m connlimit --connlimit-above 5 --connlimit-mask ffff::", PG_V6 },
		{ "-m hashlimit --hashlimit-upto 5 --hashlimit-name a", PG_V46 },
		{ "-m hashlimit --hashlimit-upto 5 --hashlimit-name a --hashlimit-dstmask 64",
		  PG_V6 },
		{ "-m hashlimit --hashlimit-upto 5 --hashlimit-name a --hashlimit-dstmask 255.0.0.0",
		  PG_V4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct pg_ruleset *set = pg_ruleset_new();

		assert_non_null(set);
		add(set, row[i].words);
		if (pg_rule_families(set->chain[PG_CHAIN_INPUT].rule) != row[i].families)
			fail_msg("%s", row[i].words);
		pg_ruleset_free(set);
	}
}

/* In the kernel's units, for who enforces them. */
static void numbers_are_those_of_the_kernel(void **state)
{
	struct pg_ruleset *set = pg_ruleset_new();
	const struct pg_rule *rule;
	const struct pg_hashlimit *h;

	(void)state;
	assert_non_null(set);
	add(set, "-m limit --limit 7/min");
	add(set, "-m hashlimit --hashlimit-upto 7/min --hashlimit-name a");
	add(set, "-m hashlimit --hashlimit-upto 7/min --hashlimit-name a --hashlimit-rate-match");
	add(set, "-m hashlimit --hashlimit-above 1mb/s --hashlimit-burst 3000kb --hashlimit-name a");
	add(set, "-m statistic --mode random --probability 0.5");
	add(set, "-m time --timestart 1:02:03 --monthdays 31 --weekdays Sun --datestart 2001-09-09T1:46:40");
	rule = set->chain[PG_CHAIN_INPUT].rule;
	assert_true(rule[0].match->limit.avg == 85714 && rule[0].match->limit.burst == 5);
	h = rule[1].match->hashlimit;
	assert_true(h->avg == 8571428 && h->burst == 5 && h->expire_ms == 60000);
	assert_true(h->gc_interval_ms == 1000 && h->interval_s == 1 && !h->bytes && !h->above);
	h = rule[2].match->hashlimit;
	assert_true(h->avg == 142857 && h->interval_s == 60 && h->rate_match);
	h = rule[3].match->hashlimit;
	assert_true(h->avg == 65535 && h->burst == 3 && h->bytes && h->expire_ms == 60000);
	assert_true(rule[4].match->statistic.probability == 0x40000000);
	assert_true(rule[5].match->time->daytime_start == 3723);
	assert_true(rule[5].match->time->monthdays == 1U << 31);
	assert_true(rule[5].match->time->weekdays == 1U << 7);
	assert_true(rule[5].match->time->date_start == 1000000000);
	pg_ruleset_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_that_differ_are_not_equal),
		cmocka_unit_test(rules_written_in_two_ways_are_equal),
		cmocka_unit_test(copies_own_what_they_hold),
		cmocka_unit_test(what_stands_in_a_match_decides_the_families),
		cmocka_unit_test(numbers_are_those_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
