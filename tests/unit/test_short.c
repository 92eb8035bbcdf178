/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rules.h"
#include "short.h"

#define WORDS_MAX 8

/* "allow 22/tcp on eth0", "delete deny 80", "limit 22": what it logs, or its error. */
static void run_short(struct pg_ruleset *set, const char *text, struct pg_text *log)
{
	struct pg_short s = {};
	char copy[256], *word[WORDS_MAX];
	enum pg_short_kind kind = PG_SHORT_DENY;
	struct pg_diag diag;
	bool changed, remove;
	size_t n = 0;
	int r;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *next = copy, *one; (one = strsep(&next, " "));)
		word[n++] = one;
	remove = !strcmp(word[0], "delete");
	if (!strcmp(word[remove], "allow"))
		kind = PG_SHORT_ALLOW;
	if (!strcmp(word[remove], "limit"))
		kind = PG_SHORT_LIMIT;
	r = pg_short_parse(word + 1 + remove, n - 1 - remove, kind, &s, &diag);
	if (!r && remove)
		r = pg_short_remove(&s, set, log, &diag);
	else if (!r)
		r = pg_short_add(&s, set, log, &changed, &diag);
	if (r < 0)
		pg_text_add(log, "error: %s\n", diag.text);
	pg_short_free(&s);
}

/* The rules of a limit that watch: ports as written, ports in the name of the list. */
#define NEW(ports) "-p tcp -m tcp --dport " ports " -m conntrack --ctstate NEW -m recent "
#define NOTE(ports, list) NEW(ports) "--set --name limit-tcp-" list " --rsource"
#define MANY(ports, list)                                                                          \
	NEW(ports) "--update --seconds 30 --hitcount 6 --name limit-tcp-" list " --rsource -j DROP"

static void rules_go_where_they_take_effect(void **state)
{
	static const struct {
		const char *name, *before[6], *text, *log;
	} rows[] = {
		{ "empty policy", { NULL }, "allow 443/tcp",
		  "-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n" },
		{ "both protocols", { NULL }, "deny 53",
		  "-A INPUT -p tcp -m tcp --dport 53 -j DROP\n"
		  "-A INPUT -p udp -m udp --dport 53 -j DROP\n" },
		{ "a service of one of them", { NULL }, "allow ssh",
		  "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "a service of both", { NULL }, "allow domain",
		  "-A INPUT -p tcp -m tcp --dport 53 -j ACCEPT\n"
		  "-A INPUT -p udp -m udp --dport 53 -j ACCEPT\n" },
		{ "all the words", { NULL }, "allow 22/tcp from 10.0.0.0/8 on eth0",
		  "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "words in another order", { NULL }, "allow 22/tcp on eth0 from ::1",
		  "-A INPUT -s ::1/128 -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "range", { NULL }, "allow 8000:8010/udp",
		  "-A INPUT -p udp -m udp --dport 8000:8010 -j ACCEPT\n" },
		{ "list", { NULL }, "allow 80,443/tcp",
		  "-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT\n" },
		{ "ahead of a final drop", { "-A INPUT -i lo -j ACCEPT", "-A INPUT -j DROP" },
		  "allow 80/tcp", "-I INPUT 2 -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "behind a drop of IPv4 only", { "-A INPUT -4 -j DROP" }, "allow 80/tcp",
		  "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "ahead of it for an IPv4 source", { "-A INPUT -4 -j DROP" },
		  "allow 80/tcp from 10.0.0.1",
		  "-I INPUT 1 -s 10.0.0.1/32 -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "ahead of a final reject", { "-A INPUT -j REJECT" }, "allow 80/tcp",
		  "-I INPUT 1 -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "behind what only marks", { "-A INPUT -j MARK --set-mark 1", "-A INPUT -j LOG" },
		  "allow 80/tcp", "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "behind a chain, which may let it through", { "-N web", "-A INPUT -j web" },
		  "allow 80/tcp", "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "instead of the same with REJECT", { "-A INPUT -p tcp --dport 80 -j REJECT" },
		  "allow 80/tcp", "-R INPUT 1 -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "behind a rule without target", { "-A INPUT" }, "allow 80/tcp",
		  "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "twice", { "-A INPUT -p tcp --dport 80 -j ACCEPT", "-A INPUT -j DROP" },
		  "allow 80/tcp",
		  "# already there: -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "the other way round", { "-A INPUT -p tcp --dport 80 -j ACCEPT" }, "deny 80/tcp",
		  "-R INPUT 1 -p tcp -m tcp --dport 80 -j DROP\n" },
		{ "an exception goes first", { "-A INPUT -p tcp --dport 22 -j DROP" },
		  "allow 22/tcp from 10.0.0.5",
		  "-I INPUT 1 -s 10.0.0.5/32 -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "the rule follows its exception",
		  { "-A INPUT -s 10.0.0.5 -p tcp --dport 22 -j ACCEPT" }, "deny 22/tcp",
		  "-A INPUT -p tcp -m tcp --dport 22 -j DROP\n"
		  "# still lets some in: INPUT 1 -s 10.0.0.5/32 -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "ahead of a chain that lets some in",
		  { "-N web", "-A web -s 10.9.9.9 -j DROP", "-A web -j ACCEPT",
		    "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		    "-A INPUT -p tcp -m multiport --dports 80,443 -j web" }, "deny 443/tcp",
		  "-I INPUT 2 -p tcp -m tcp --dport 443 -j DROP\n" },
		{ "not ahead of a chain that lets nobody in",
		  { "-N web", "-A web -s 10.9.9.9 -j DROP", "-A INPUT -j web" }, "deny 443/tcp",
		  "-A INPUT -p tcp -m tcp --dport 443 -j DROP\n" },
		{ "ahead of what asks for more than a port",
		  { "-A INPUT -p tcp --dport 22 -j LOG", "-A INPUT -s 10.9.9.9 -j DROP",
		    "-A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT" }, "deny 22/tcp",
		  "-I INPUT 3 -p tcp -m tcp --dport 22 -j DROP\n" },
		{ "moved from where it is too late",
		  { "-A INPUT -p tcp --dport 20:30 -m limit --limit 3/s -j ACCEPT",
		    "-A INPUT -p tcp --dport 22 -j DROP" },
		  "deny 22/tcp", "-D INPUT -p tcp -m tcp --dport 22 -j DROP\n"
				 "-I INPUT 1 -p tcp -m tcp --dport 22 -j DROP\n" },
		{ "moved, what was limited",
		  { "-A INPUT -s 10.0.0.0/8 -p tcp -j ACCEPT", "-A INPUT " NOTE("22", "22"),
		    "-A INPUT " MANY("22", "22"), "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "deny 22/tcp",
		  "-D INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-D INPUT " MANY("22", "22") "\n"
		  "-D INPUT " NOTE("22", "22") "\n-I INPUT 1 -p tcp -m tcp --dport 22 -j DROP\n" },
		{ "behind exceptions, ahead of the rest",
		  { "-A INPUT -s 10.0.0.5 -p tcp --dport 22 -j ACCEPT", "-A INPUT -p tcp -i eth0 -j ACCEPT" },
		  "deny 22/tcp",
		  "-I INPUT 2 -p tcp -m tcp --dport 22 -j DROP\n"
		  "# still lets some in: INPUT 1 -s 10.0.0.5/32 -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "an exception that a rule before it ends is none",
		  { "-A INPUT -s 10.0.0.0/8 -j DROP", "-A INPUT -s 10.0.0.5 -p tcp --dport 22 -j ACCEPT" },
		  "deny 22/tcp", "-A INPUT -p tcp -m tcp --dport 22 -j DROP\n" },
		{ "ahead of what lets that address in",
		  { "-A INPUT -s 10.1.0.0/16 -p tcp --dport 22 -j ACCEPT",
		    "-A INPUT -s 10.0.0.0/8 -p tcp --dport 22 -j ACCEPT", "-A INPUT -i lo -j ACCEPT" },
		  "deny 22/tcp from 10.2.3.4",
		  "-I INPUT 2 -s 10.2.3.4/32 -p tcp -m tcp --dport 22 -j DROP\n" },
		{ "ahead of what goes on to a policy that accepts",
		  { "-N c", "-A INPUT -p udp -j RETURN", "-A INPUT -p tcp -g c" }, "deny 22/tcp",
		  "-I INPUT 2 -p tcp -m tcp --dport 22 -j DROP\n" },
		{ "allow replaces a denial where it stands",
		  { "-N web", "-A web -j ACCEPT", "-A INPUT -p tcp --dport 443 -j DROP", "-A INPUT -j web" },
		  "allow 443/tcp", "-R INPUT 1 -p tcp -m tcp --dport 443 -j ACCEPT\n" },
		{ "what lets nobody new in is no exception",
		  { "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT",
		    "-A INPUT -p tcp --dport 80 -j ACCEPT", "-A INPUT -p udp -j ACCEPT" }, "deny 22/tcp",
		  "-A INPUT -p tcp -m tcp --dport 22 -j DROP\n" },
		{ "ahead of a range that has it", { "-A INPUT -p tcp --dport 1:1024 -j DROP" },
		  "allow 80,443/tcp",
		  "-I INPUT 1 -p tcp -m multiport --dports 80,443 -j ACCEPT\n" },
		{ "behind a range that has part of it",
		  { "-A INPUT -p tcp --dport 1:100 -j DROP" }, "allow 80,443/tcp",
		  "-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT\n" },
		{ "behind a network that has not all of it",
		  { "-A INPUT -s 10.1.0.0/16 -j DROP" }, "allow 80/tcp from 10.0.0.0/8",
		  "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "behind flags", { "-A INPUT -p tcp --syn -j DROP" }, "allow 80/tcp",
		  "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "behind what is inverted", { "-A INPUT -p tcp ! --dport 22 -j DROP" },
		  "allow 80/tcp", "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "delete", { "-A INPUT -p tcp --dport 80 -j ACCEPT" }, "delete allow 80",
		  "-D INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
		{ "delete what is not there", { "-A INPUT -p tcp --dport 80 -j ACCEPT" },
		  "delete deny 80", "error: Bad rule (does a matching rule exist in that "
				    "chain?).\n" },
		{ "wrong port", { NULL }, "allow 80abc",
		  "error: invalid port/service `80abc' specified\n" },
		{ "wrong protocol", { NULL }, "allow 80/foo",
		  "error: unknown protocol \"foo\" specified\n" },
		{ "no protocol", { NULL }, "allow 80/", "error: unknown protocol \"\" specified\n" },
		{ "protocol without ports", { NULL }, "allow 80/icmp",
		  "error: protocol `icmp' has no ports\n" },
		{ "wrong address", { NULL }, "allow 80/tcp from 300.1.1.1",
		  "error: host/network `300.1.1.1' not found\n" },
		{ "no address", { NULL }, "allow 80/tcp from",
		  "error: `from' requires an argument\n" },
		{ "twice from", { NULL }, "allow 80/tcp from 1.1.1.1 from 2.2.2.2",
		  "error: multiple `from' not allowed\n" },
		{ "another word", { NULL }, "allow 80/tcp to 1.1.1.1", "error: Bad argument `to'\n" },
		{ "no port", { NULL }, "allow", "error: a port is missing\n" },
		{ "limit", { NULL }, "limit 22/tcp",
		  "-A INPUT " NOTE("22", "22") "\n-A INPUT " MANY("22", "22") "\n"
		  "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "limit ahead of a final drop", { "-A INPUT -i lo -j ACCEPT", "-A INPUT -j DROP" },
		  "limit 22/tcp",
		  "-I INPUT 2 " NOTE("22", "22") "\n-I INPUT 3 " MANY("22", "22") "\n"
		  "-I INPUT 4 -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "limit of a range", { NULL }, "limit 8000:8010/tcp",
		  "-A INPUT " NOTE("8000:8010", "8000_8010") "\n"
		  "-A INPUT " MANY("8000:8010", "8000_8010") "\n"
		  "-A INPUT -p tcp -m tcp --dport 8000:8010 -j ACCEPT\n" },
		{ "limit of an address and a list on an interface", { NULL },
		  "limit 80,443/tcp from 10.0.0.0/8 on eth0",
		  "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m multiport --dports 80,443 -m conntrack "
		  "--ctstate NEW -m recent --set --name limit-tcp-80-443 --mask 255.255.255.255 "
		  "--rsource\n"
		  "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m multiport --dports 80,443 -m conntrack "
		  "--ctstate NEW -m recent --update --seconds 30 --hitcount 6 --name "
		  "limit-tcp-80-443 --mask 255.255.255.255 --rsource -j DROP\n"
		  "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m multiport --dports 80,443 -j "
		  "ACCEPT\n" },
		{ "limit twice", { "-A INPUT " NOTE("22", "22"), "-A INPUT " MANY("22", "22"),
				   "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "limit 22/tcp",
		  "# already there: -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "limit what was allowed",
		  { "-A INPUT -i lo",
		    "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "limit 22/tcp",
		  "-I INPUT 2 " NOTE("22", "22") "\n-I INPUT 3 " MANY("22", "22") "\n" },
		{ "limit what was denied", { "-A INPUT -p tcp --dport 22 -j DROP" }, "limit 22/tcp",
		  "-I INPUT 1 " NOTE("22", "22") "\n-I INPUT 2 " MANY("22", "22") "\n"
		  "-R INPUT 3 -p tcp -m tcp --dport 22 -j ACCEPT\n" },
		{ "allow what was limited",
		  { "-A INPUT " NOTE("22", "22"), "-A INPUT " MANY("22", "22"),
		    "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "allow 22/tcp",
		  "-D INPUT " MANY("22", "22") "\n-D INPUT " NOTE("22", "22") "\n" },
		{ "deny what was limited",
		  { "-A INPUT " NOTE("22", "22"), "-A INPUT " MANY("22", "22"),
		    "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "deny 22/tcp",
		  "-D INPUT " MANY("22", "22") "\n-D INPUT " NOTE("22", "22") "\n"
		  "-R INPUT 1 -p tcp -m tcp --dport 22 -j DROP\n" },
		{ "delete a limit", { "-A INPUT " NOTE("22", "22"), "-A INPUT " MANY("22", "22"),
				      "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "delete limit 22",
		  "-D INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-D INPUT " MANY("22", "22") "\n"
		  "-D INPUT " NOTE("22", "22") "\n" },
		{ "delete a limit behind other rules that look the same",
		  { "-A INPUT " NOTE("22", "22"), "-A INPUT " NOTE("22", "22"),
		    "-A INPUT " MANY("22", "22"), "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "delete limit 22/tcp",
		  "-D INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-D INPUT " MANY("22", "22") "\n"
		  "-D INPUT 2\n" },
		{ "an allow is no limit", { "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "delete limit 22/tcp",
		  "error: Bad rule (does a matching rule exist in that chain?).\n" },
		{ "a limit is no allow",
		  { "-A INPUT " NOTE("22", "22"), "-A INPUT " MANY("22", "22"),
		    "-A INPUT -p tcp --dport 22 -j ACCEPT" },
		  "delete allow 22/tcp",
		  "error: Bad rule (does a matching rule exist in that chain?).\n" },
		{ "limit a port that is none", { NULL }, "limit 80abc",
		  "error: invalid port/service `80abc' specified\n" },
		{ "behind what asks for more than a port",
		  { "-A INPUT -p tcp --tcp-option 5 -j DROP" },
		  "allow 80/tcp", "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_ruleset *set = policy_of(rows[i].before);
		struct pg_text log = {};

		run_short(set, rows[i].text, &log);
		if (!log.buf || strcmp(log.buf, rows[i].log))
			fail_msg("%s:\n%s", rows[i].name, log.buf);
		pg_text_free(&log);
		pg_ruleset_free(set);
	}
}

/* What it says it did is what iptables' verbs would have done. */
static void the_log_is_what_happened(void **state)
{
	static const char *const start[] = { "-A INPUT -i lo -j ACCEPT",
					     "-A INPUT -p udp --dport 53 -j DROP",
					     "-A INPUT -j DROP", NULL };
	static const char *const texts[] = { "allow 53", "deny 22/tcp from 10.0.0.0/8",
					     "allow 80,443/tcp on eth0", "delete allow 53/tcp",
					     "limit 22",		 "limit 53/udp",
					     "allow 22/udp",		 "delete limit 22/tcp" };
	struct pg_ruleset *a = policy_of(start), *b = policy_of(start);
	struct pg_text log = {}, ta = {}, tb = {};
	struct pg_err err = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		run_short(a, texts[i], &log);
	for (char *next = log.buf, *line; (line = strsep(&next, "\n")) && *line;)
		assert_int_equal(run_line(b, line, &err), 0);
	assert_string_equal(specs_of(a, &ta), specs_of(b, &tb));
	pg_text_free(&log);
	pg_text_free(&ta);
	pg_text_free(&tb);
	pg_ruleset_free(a);
	pg_ruleset_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_go_where_they_take_effect),
		cmocka_unit_test(the_log_is_what_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
