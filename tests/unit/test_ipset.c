/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ipset's language: commands, entries, their text; and sets as plain data. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ipset.h"
#include "policy.h"
#include "view_set.h"

#define NOW 1000000000000ULL
#define SECOND 1000000000ULL

/* One line applied to plain sets, as `restore` does it. test's answer is 1 for "not in the set". */
static int line(struct pg_sets *sets, const char *text, struct pg_err *err)
{
	const char *words[PG_IPSET_WORDS_MAX];
	struct pg_ipset_range range;
	char copy[512], skipped[64];
	struct pg_ipset_cmd cmd;
	struct pg_set_info info;
	struct pg_set_entry e;
	struct pg_set *set;
	bool in = false;
	size_t n;
	int r;

	snprintf(copy, sizeof(copy), "%s", text);
	r = pg_ipset_split(copy, words, &n, err);
	if (r < 0 || !n)
		return r;
	r = pg_ipset_command(words, n, &cmd, err);
	if (r < 0)
		return r;
	if (cmd.verb == PG_IPSET_CREATE) {
		r = pg_ipset_create(&cmd, &info, skipped, sizeof(skipped), err);
		return r < 0 ? r : pg_sets_create(sets, &info, cmd.exist, err);
	}
	if (cmd.verb == PG_IPSET_DESTROY)
		return pg_sets_destroy(sets, cmd.name, err);
	if (cmd.verb == PG_IPSET_FLUSH)
		return pg_sets_flush(sets, cmd.name, err);
	if (cmd.verb == PG_IPSET_RENAME)
		return pg_sets_rename(sets, cmd.name, cmd.second, err);
	if (cmd.verb == PG_IPSET_SWAP)
		return pg_sets_swap(sets, cmd.name, cmd.second, err);
	set = pg_sets_find(sets, cmd.name);
	assert_non_null(set);
	r = pg_ipset_entry(&cmd, &set->info, sets->now_ns, &range, err);
	if (!r && cmd.verb == PG_IPSET_TEST) {
		pg_ipset_next(&range, &e);
		r = pg_set_test(sets, set, &e, &in, err);
		return r < 0 ? r : !in;
	}
	while (!r && pg_ipset_next(&range, &e))
		r = cmd.verb == PG_IPSET_ADD ? pg_set_add(sets, set, &e, cmd.exist, err) :
					       pg_set_del(sets, set, &e, cmd.exist, err);
	return r;
}

static struct pg_sets *lines(const char *text)
{
	struct pg_sets *sets = pg_sets_new(NULL, NULL, NOW);
	struct pg_err err = { 0 };
	char copy[2048];

	assert_non_null(sets);
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *l = strtok(copy, "\n"); l; l = strtok(NULL, "\n"))
		if (line(sets, l, &err) < 0)
			fail_msg("%s: %s", l, err.text);
	return sets;
}

/* A set's text in one of the formats; the caller frees it. */
static char *show(struct pg_sets *sets, const char *name, enum pg_set_format format)
{
	struct pg_set_show how = { .format = format, .first = true, .now_ns = NOW };
	struct pg_set *set = pg_sets_find(sets, name);
	struct pg_set_view view = { .info = &set->info, .references = 2, .memory_bytes = 99 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	view.entry = calloc(set->n + 1, sizeof(*view.entry));
	assert_non_null(view.entry);
	for (size_t i = 0; i < set->n; i++)
		if (set->entry[i].change == PG_SET_PUT)
			view.entry[view.n++] = set->entry[i];
	qsort(view.entry, view.n, sizeof(*view.entry), pg_ipset_compare);
	pg_set_show_begin(f, &how);
	pg_set_show(f, &view, &how);
	pg_set_show_end(f, &how);
	fclose(f);
	free(view.entry);
	return text;
}

static void lines_are_split_into_words(void **state)
{
	static const struct {
		const char *name, *text;
		int r;
		size_t n;
		const char *last;
	} rows[] = {
		{ "words", "add a 1.1.1.1", 0, 3, "1.1.1.1" },
		{ "tabs and a carriage return", "\tadd  a\t1.1.1.1 \r", 0, 3, "1.1.1.1" },
		{ "a quoted word keeps blanks", "add a 1.1.1.1 comment \"x  y\"", 0, 5, "x  y" },
		{ "an empty word", "add a \"\"", 0, 3, "" },
		{ "nothing", "", 0, 0, NULL },
		{ "blanks", " \t\r", 0, 0, NULL },
		{ "a comment", "  # add a", 0, 0, NULL },
		{ "COMMIT of old files", "COMMIT", 0, 0, NULL },
		{ "an open quote", "add a \"x", -EINVAL, 0, NULL },
		{ "a lone quote", "\"", -EINVAL, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *words[PG_IPSET_WORDS_MAX];
		struct pg_err err = { 0 };
		char copy[64];
		size_t n = 0;
		int r;

		snprintf(copy, sizeof(copy), "%s", rows[i].text);
		r = pg_ipset_split(copy, words, &n, &err);
		if (r != rows[i].r || n != rows[i].n ||
		    (n && strcmp(words[n - 1], rows[i].last) != 0))
			fail_msg("%s: %d, %zu", rows[i].name, r, n);
	}
}

static void a_line_has_so_many_words_at_most(void **state)
{
	const char *words[PG_IPSET_WORDS_MAX];
	char copy[PG_IPSET_WORDS_MAX * 2 + 3];
	struct pg_err err = { 0 };
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(copy) - 1; i++)
		copy[i] = i % 2 ? ' ' : 'x';
	copy[sizeof(copy) - 1] = '\0';
	copy[PG_IPSET_WORDS_MAX * 2 - 1] = '\0';
	assert_int_equal(pg_ipset_split(copy, words, &n, &err), 0);
	assert_int_equal(n, PG_IPSET_WORDS_MAX);
	for (size_t i = 0; i < sizeof(copy) - 1; i++)
		copy[i] = i % 2 ? ' ' : 'x';
	assert_int_equal(pg_ipset_split(copy, words, &n, &err), -EINVAL);
}

static void what_is_wrong_is_said_in_ipsets_words(void **state)
{
	static const struct {
		const char *line;
		int exit_code;
		const char *text;
	} rows[] = {
		{ "foo", 2, "No command specified: unknown argument foo" },
		{ "add", 2, "Missing mandatory argument to command add" },
		{ "add ip", 2, "Missing second mandatory argument to command add" },
		{ "destroy ip net", 2, "Unknown argument net" },
		{ "-o", 2, "Missing mandatory argument to option -o" },
		{ "create x hash:foo", 1, "Syntax error: typename 'hash:foo' is unknown" },
		{ "create x list:set", 1, "Set type list:set is not supported by portguard" },
		{ "create x hash:ip comment", 1, "Option `comment' of sets is not supported by portguard" },
		{ "create x hash:ip timeout", 2, "Missing mandatory argument of option `timeout'" },
		{ "create x hash:ip timeout 2147484", 1, "Syntax error: '2147484' is out of range 0-2147483" },
		{ "create x hash:ip timeout 5 timeout 5", 1, "Syntax error: timeout already specified" },
		{ "create x hash:ip netmask 33", 1, "Syntax error: '33' is out of range 1-32" },
		{ "create x hash:ip family inet6 netmask 129", 1, "Syntax error: '129' is out of range 1-128" },
		{ "create x hash:net netmask 24", 2, "Unknown argument: `netmask'" },
		{ "create \"a b\" hash:ip", 1, "Syntax error: setname 'a b' is not a word" },
		{ "create a\xc2\x9b" "31m hash:ip", 1, "Syntax error: setname 'a\xc2\x9b" "31m' is not a word" },
		{ "create a\xff hash:ip", 1, "Syntax error: setname 'a\xff' is not a word" },
		{ "create \"\" hash:ip", 1, "Syntax error: setname '' is not a word" },
		{ "create ip hash:ip", 1, "Set cannot be created: set with the same name already exists" },
		{ "-exist create ip hash:net", 1, "Set cannot be created: set with the same name already exists" },
		{ "add ip 1.2.3", 0, NULL },
		{ "add ip 1.2.3.4.5", 1, "Syntax error: cannot parse 1.2.3.4.5: resolving to IPv4 address failed" },
		{ "add ip 1.2.3.4/", 1, "Syntax error: cannot parse 1.2.3.4/: resolving to IPv4 address failed" },
		{ "add ip 1.2.3.4/24x", 1, "Syntax error: '24x' is invalid as number" },
		{ "add ip 1.2.3.4/-1", 1, "Syntax error: '-1' is out of range 0-32" },
		{ "add ip 1.2.3.4/0", 1, "The value of the CIDR parameter of the IP address is invalid" },
		{ "add ip [1.2.3.4", 1, "Syntax error: cannot parse [1.2.3.4: resolving to IPv4 address failed" },
		{ "add ip 0.0.0.0", 1, "Null-valued element, cannot be stored in a hash type of set" },
		{ "add ip 1.2.3.4 timeout 5", 1, "Timeout cannot be used: set was created without timeout support" },
		{ "add ip 1.2.3.4 nomatch", 2, "Unknown argument: `nomatch'" },
		{ "add ip 192.0.2.1", 1, "Element cannot be added to the set: it's already added" },
		{ "del ip 192.0.2.2", 1, "Element cannot be deleted from the set: it's not added" },
		{ "add net 0.0.0.0-255.255.255.255", 1, "Invalid range, covers the whole address space" },
		{ "add net6 2001:db8::1-2001:db8::2", 1, "Syntax error: IP address or IP/cidr must be specified: 2001:db8::1-2001:db8::2" },
		{ "add net6 fe80::1%eth0", 1, "Syntax error: cannot parse fe80::1%eth0: resolving to IPv6 address failed" },
		{ "add port 192.0.2.1", 1, "Syntax error: Second element is missing from 192.0.2.1." },
		{ "add port 192.0.2.1,80,90", 1, "Syntax error: Two elem separators in 192.0.2.1,80,90, but settype hash:ip,port supports one." },
		{ "add port 192.0.2.1,65536", 1, "Syntax error: cannot parse '65536' as a tcp port" },
		{ "add port 192.0.2.1,80-", 1, "Syntax error: cannot parse '' as a tcp port" },
		{ "add port 192.0.2.1,[", 1, "Syntax error: cannot parse '[' as a tcp port" },
		{ "add port 192.0.2.1,gre:1", 1, "Syntax error: Protocol gre can be used with pseudo port value 0 only." },
		{ "add port 192.0.2.1,icmpv6:1/1", 1, "Syntax error: Protocol ICMPv6 can be used with family inet6 only" },
		{ "add port 192.0.2.1,icmp:1/256", 1, "Syntax error: '256' is out of range 0-255" },
		{ "add port 192.0.2.1,0:0", 1, "Invalid protocol specified" },
		{ "test port 192.0.2.1,1-2", 1, "FROM-TO port range is not allowed in command test with set type hash:ip,port and family inet" },
		{ "swap ip net", 1, "The sets cannot be swapped: their type does not match" },
		{ "swap ip nope", 1, "Sets cannot be swapped: the second set does not exist" },
		{ "rename ip net", 1, "Set cannot be renamed: a set with the new name already exists" },
		{ "flush nope", 1, "The set with the given name does not exist" },
	};
	struct pg_sets *sets = lines("create ip hash:ip\nadd ip 192.0.2.1\ncreate net hash:net\n"
				     "create net6 hash:net family inet6\ncreate port hash:ip,port");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_err err = { 0 };
		int r = line(sets, rows[i].line, &err);

		if (!rows[i].text && r)
			fail_msg("%s: %d: %s", rows[i].line, r, err.text);
		if (rows[i].text && (r >= 0 || err.exit_code != rows[i].exit_code ||
				     strcmp(err.text, rows[i].text) != 0))
			fail_msg("%s: %d: exit %d: %s", rows[i].line, r, err.exit_code, err.text);
	}
	pg_sets_free(sets);
}

/* What is added, as `save` writes it; every text read back is the same. */
static void entries_are_understood_and_written(void **state)
{
	static const struct {
		const char *create, *add, *saved;
	} rows[] = {
		{ "hash:ip", "1.2.3.4", "1.2.3.4" },
		{ "hash:ip", "[1.2.3.4]", "1.2.3.4" },
		{ "hash:ip", "010.1", "8.0.0.1" },
		{ "hash:ip", "1.2.3.7/30", "1.2.3.4 1.2.3.5 1.2.3.6 1.2.3.7" },
		{ "hash:ip", "1.2.3.6-1.2.3.5", "1.2.3.5 1.2.3.6" },
		{ "hash:ip", "255.255.255.254-255.255.255.255", "255.255.255.254 255.255.255.255" },
		{ "hash:ip family inet6", "2001:DB8:0::1", "2001:db8::1" },
		{ "hash:ip family inet6", "2001:db8::1/128", "2001:db8::1" },
		{ "hash:ip netmask 30", "1.2.3.7", "1.2.3.4" },
		{ "hash:ip netmask 30", "1.2.3.0/28", "1.2.3.0 1.2.3.4 1.2.3.8 1.2.3.12" },
		{ "hash:ip family inet6 netmask 64", "2001:db8::1:2:3:4", "2001:db8::" },
		{ "hash:net", "10.1.2.3/8", "10.0.0.0/8" },
		{ "hash:net", "10.1.2.3", "10.1.2.3" },
		{ "hash:net", "192.168.0.1-192.168.0.6", "192.168.0.1 192.168.0.2/31 192.168.0.4/31 192.168.0.6" },
		{ "hash:net", "0.0.0.0-127.255.255.255", "0.0.0.0/1" },
		{ "hash:net", "0.0.0.1-255.255.255.255 nomatch", NULL },
		{ "hash:net family inet6", "2001:db8::1/33", "2001:db8::/33" },
		{ "hash:net timeout 0", "10.0.0.0/8 timeout 9 nomatch", "10.0.0.0/8 timeout 9 nomatch" },
		{ "hash:ip timeout 60", "1.2.3.4", "1.2.3.4 timeout 60" },
		{ "hash:ip timeout 60", "1.2.3.4 timeout 0", "1.2.3.4 timeout 0" },
		{ "hash:ip,port", "1.2.3.4,80", "1.2.3.4,tcp:80" },
		{ "hash:ip,port", "1.2.3.4,udp:54-53", "1.2.3.4,udp:53 1.2.3.4,udp:54" },
		{ "hash:ip,port", "1.2.3.4,65535", "1.2.3.4,tcp:65535" },
		{ "hash:ip,port", "1.2.3.4/31,1-2", "1.2.3.4,tcp:1 1.2.3.4,tcp:2 1.2.3.5,tcp:1 1.2.3.5,tcp:2" },
		{ "hash:ip,port", "1.2.3.4,icmp:ping", "1.2.3.4,icmp:echo-request" },
		{ "hash:ip,port", "1.2.3.4,icmp:3/200", "1.2.3.4,icmp:3/200" },
		{ "hash:ip,port", "1.2.3.4,253:0", "1.2.3.4,253:0" },
		{ "hash:ip,port", "1.2.3.4,47:0", "1.2.3.4,gre:0" },
		{ "hash:ip,port family inet6", "fe80::1,icmpv6:1/4", "fe80::1,ipv6-icmp:port-unreachable" },
		{ "hash:ip,port family inet6", "[fe80::1],sctp:9", "fe80::1,sctp:9" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[256], again[2048], *first, *second, *want;
		struct pg_sets *sets;

		snprintf(text, sizeof(text), "create s %s\nadd s %s", rows[i].create, rows[i].add);
		sets = lines(text);
		first = show(sets, "s", PG_SET_SAVE);
		pg_sets_free(sets);
		/* The entries alone, a blank between two of them. */
		want = strchr(first, '\n') + 1;
		again[0] = '\0';
		for (char *l = want; *l; l = strchr(l, '\n') + 1) {
			size_t len = strlen(again);

			snprintf(again + len, sizeof(again) - len, "%s%.*s", len ? " " : "",
				 (int)(strchr(l, '\n') - l - 6), l + 6);
		}
		if (rows[i].saved && strcmp(again, rows[i].saved) != 0)
			fail_msg("%s: %s", rows[i].add, again);
		snprintf(again, sizeof(again), "%s", first);
		sets = lines(again);
		second = show(sets, "s", PG_SET_SAVE);
		assert_string_equal(first, second);
		pg_sets_free(sets);
		free(first);
		free(second);
	}
}

static void a_set_in_every_format(void **state)
{
	static const char *const want[] = {
		[PG_SET_PLAIN] = "Name: a<&\\\nType: hash:net\nRevision: 2\n"
				 "Header: family inet hashsize 1024 maxelem 65536 timeout 60\n"
				 "Size in memory: 99\nReferences: 2\nNumber of entries: 2\nMembers:\n"
				 "10.0.0.0/8 timeout 60\n10.1.0.0/16 timeout 5 nomatch\n",
		[PG_SET_SAVE] = "create a<&\\ hash:net family inet hashsize 1024 maxelem 65536 timeout 60\n"
				"add a<&\\ 10.0.0.0/8 timeout 60\n"
				"add a<&\\ 10.1.0.0/16 timeout 5 nomatch\n",
		[PG_SET_XML] =
			"<ipsets>\n<ipset name=\"a&lt;&amp;\\\">\n<type>hash:net</type>\n"
			"<revision>2</revision>\n<header><family>inet</family><hashsize>1024</hashsize>"
			"<maxelem>65536</maxelem><timeout>60</timeout>\n<memsize>99</memsize>\n"
			"<references>2</references>\n<numentries>2</numentries>\n</header>\n<members>\n"
			"<member><elem>10.0.0.0/8</elem><timeout>60</timeout></member>\n"
			"<member><elem>10.1.0.0/16</elem><timeout>5</timeout><nomatch/></member>\n"
			"</members>\n</ipset>\n</ipsets>\n",
		[PG_SET_JSON] =
			"{\"sets\":[{\"name\":\"a<&\\\\\",\"type\":\"hash:net\",\"family\":\"inet\","
			"\"hashsize\":1024,\"maxelem\":65536,\"netmask\":null,\"timeout\":60,"
			"\"references\":2,\"memory_bytes\":99,\"entries\":2,\"members\":["
			"{\"elem\":\"10.0.0.0/8\",\"timeout\":60,\"nomatch\":false},"
			"{\"elem\":\"10.1.0.0/16\",\"timeout\":5,\"nomatch\":true}]}]}\n",
	};
	struct pg_sets *sets = lines("create a<&\\ hash:net timeout 60\nadd a<&\\ 10.0.0.0/8\n"
				     "add a<&\\ 10.1.0.0/16 nomatch timeout 5");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		char *text = show(sets, "a<&\\", (enum pg_set_format)i);

		assert_string_equal(text, want[i]);
		free(text);
	}
	pg_sets_free(sets);
}

static void options_stand_anywhere(void **state)
{
	static const char *const texts[] = { "-exist add ip 192.0.2.1", "add -! ip 192.0.2.1",
					     "add ip 192.0.2.1 --exist", "-A ip 192.0.2.1 -exist" };
	struct pg_sets *sets = lines("create ip hash:ip\nadd ip 192.0.2.1");
	struct pg_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(line(sets, texts[i], &err), 0);
	assert_int_equal(pg_sets_find(sets, "ip")->info.count, 1);
	pg_sets_free(sets);
}

static void unsupported_options_can_be_left_out(void **state)
{
	const char *words[] = { "--skip-unsupported", "create",	 "x",	     "hash:ip", "counters",
				"timeout",	      "5",	 "bitmask", "255.0.0.0" };
	const char *entry[] = { "add", "x", "192.0.2.1", "packets", "5", "comment", "-exist" };
	struct pg_ipset_range range;
	struct pg_ipset_cmd cmd;
	struct pg_set_info info;
	struct pg_err err = { 0 };
	char skipped[64];

	(void)state;
	assert_int_equal(pg_ipset_command(words, ARRAY_SIZE(words), &cmd, &err), 0);
	assert_int_equal(pg_ipset_create(&cmd, &info, skipped, sizeof(skipped), &err), 0);
	assert_string_equal(skipped, "counters, bitmask");
	assert_int_equal(info.timeout, 5);
	assert_int_equal(pg_ipset_command(entry, ARRAY_SIZE(entry), &cmd, &err), 0);
	assert_false(cmd.exist); /* it is the comment's text */
	assert_int_equal(pg_ipset_entry(&cmd, &info, NOW, &range, &err), -EINVAL);
	cmd.skip_unsupported = true;
	assert_int_equal(pg_ipset_entry(&cmd, &info, NOW, &range, &err), 0);
	assert_int_equal(range.entry.expires_ns, NOW + 5 * SECOND);
}

static void tests_find_the_longest_prefix(void **state)
{
	static const struct {
		const char *line;
		int not_in;
	} rows[] = {
		{ "test n 10.2.3.4", 0 },	  { "test n 10.2.3.4 nomatch", 1 },
		{ "test n 10.1.3.4", 1 },	  { "test n 10.1.3.4 nomatch", 0 },
		{ "test n 10.1.0.0/16 nomatch", 0 }, { "test n 10.5.0.0/16", 1 },
		{ "test n 11.0.0.1", 1 },	  { "test n 10.0.0.0/8", 0 },
		{ "test a 192.0.2.4", 0 },	  { "test a 192.0.2.6", 1 },
		{ "test m 192.0.2.77", 0 },	  { "test m 192.0.3.77", 1 },
	};
	struct pg_sets *sets = lines("create n hash:net\nadd n 10.0.0.0/8\nadd n 10.1.0.0/16 nomatch\n"
				     "create a hash:ip\nadd a 192.0.2.4-192.0.2.5\n"
				     "create m hash:ip netmask 24\nadd m 192.0.2.1");
	struct pg_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (line(sets, rows[i].line, &err) != rows[i].not_in)
			fail_msg("%s", rows[i].line);
	pg_sets_free(sets);
}

/* What the kernel has, for the layer above it: 192.0.2.1 stays, .2 has expired, .3 is an exception. */
static int base_lookup(void *arg, uint32_t number, struct pg_set_entry *e)
{
	uint8_t last = ((const uint8_t *)e->key.addr)[3];

	assert_int_equal(number, 0);
	++*(unsigned *)arg;
	if (last < 1 || last > 3)
		return -ENOENT;
	e->nomatch = last == 3;
	e->expires_ns = last == 2 ? NOW - 1 : 0;
	return 0;
}

static void changes_lie_above_what_the_kernel_has(void **state)
{
	unsigned asked = 0;
	const struct pg_sets_base base = { .lookup = base_lookup, .arg = &asked };
	struct pg_set_info infos[PG_SETS] = {
		{ .name = "k", .type = PG_SET_HASH_IP, .has_timeout = 1, .maxelem = 4, .count = 3 },
	};
	struct pg_sets *sets = pg_sets_new(infos, &base, NOW);
	struct pg_set *k = pg_sets_find(sets, "k");
	struct pg_err err = { 0 };

	(void)state;
	assert_int_equal(line(sets, "add k 192.0.2.1", &err), -EEXIST);
	assert_int_equal(line(sets, "test k 192.0.2.1", &err), 0);
	assert_int_equal(line(sets, "test k 192.0.2.2", &err), 1);
	assert_int_equal(line(sets, "del k 192.0.2.2", &err), -ENOENT);
	assert_false(k->dirty);
	/* In the place of one that has expired there is room without a new one. */
	assert_int_equal(line(sets, "add k 192.0.2.2", &err), 0);
	assert_int_equal(k->info.count, 3);
	assert_int_equal(line(sets, "del k 192.0.2.1", &err), 0);
	assert_int_equal(k->info.count, 2);
	assert_int_equal(line(sets, "del k 192.0.2.1", &err), -ENOENT);
	assert_int_equal(line(sets, "add k 192.0.2.1 timeout 9", &err), 0);
	assert_int_equal(k->info.earliest_ns, NOW + 9 * SECOND);
	assert_int_equal(line(sets, "add k 192.0.2.9", &err), 0);
	assert_int_equal(line(sets, "add k 192.0.2.8", &err), -ENOSPC);
	/* A flushed set has nothing below it. */
	assert_int_equal(line(sets, "flush k", &err), 0);
	assert_int_equal(k->origin, -1);
	asked = 0;
	assert_int_equal(line(sets, "test k 192.0.2.1", &err), 1);
	assert_int_equal(asked, 0);
	pg_sets_free(sets);
}

static void swapped_sets_keep_names_and_numbers(void **state)
{
	struct pg_sets *sets = lines("create a hash:ip maxelem 5\nadd a 192.0.2.1\n"
				     "create b hash:ip timeout 9\nadd b 192.0.2.2");
	struct pg_set *a = pg_sets_find(sets, "a"), *b = pg_sets_find(sets, "b");
	struct pg_err err = { 0 };

	(void)state;
	a->references = 3;
	assert_int_equal(line(sets, "swap a b", &err), 0);
	assert_ptr_equal(pg_sets_find(sets, "a"), a);
	assert_ptr_equal(pg_sets_find(sets, "b"), b);
	assert_int_equal(line(sets, "test a 192.0.2.2", &err), 0);
	assert_true(a->info.has_timeout && !b->info.has_timeout);
	assert_int_equal(a->references, 3);
	assert_int_equal(b->references, 0);
	pg_sets_free(sets);
}

static void a_set_in_use_stays(void **state)
{
	struct pg_sets *sets = lines("create a hash:ip\ncreate b hash:ip");
	struct pg_err err = { 0 };

	(void)state;
	pg_sets_find(sets, "b")->references = 1;
	assert_int_equal(line(sets, "destroy b", &err), -EBUSY);
	assert_string_equal(err.text,
			    "Set cannot be destroyed: it is in use by a kernel component");
	assert_int_equal(line(sets, "destroy", &err), -EBUSY);
	assert_non_null(pg_sets_find(sets, "a"));
	assert_int_equal(line(sets, "rename b c", &err), -EBUSY);
	assert_string_equal(err.text, "Set cannot be renamed: it is in use by another system");
	assert_int_equal(line(sets, "destroy a", &err), 0);
	assert_null(pg_sets_find(sets, "a"));
	pg_sets_free(sets);
}

static void there_are_so_many_sets_at_most(void **state)
{
	struct pg_sets *sets = pg_sets_new(NULL, NULL, NOW);
	struct pg_err err = { 0 };
	char text[64];

	(void)state;
	for (unsigned i = 0; i < PG_SETS; i++) {
		snprintf(text, sizeof(text), "create s%u hash:ip", i);
		assert_int_equal(line(sets, text, &err), 0);
	}
	assert_int_equal(line(sets, "create one-more hash:ip", &err), -ENOSPC);
	assert_int_equal(line(sets, "destroy s7", &err), 0);
	assert_int_equal(line(sets, "create one-more hash:ip", &err), 0);
	pg_sets_free(sets);
}

static void seconds_left_are_never_none(void **state)
{
	struct pg_set_entry e = { 0 };

	(void)state;
	assert_int_equal(pg_set_seconds_left(&e, NOW), 0);
	e.expires_ns = NOW + 5 * SECOND;
	assert_int_equal(pg_set_seconds_left(&e, NOW), 5);
	assert_int_equal(pg_set_seconds_left(&e, NOW + 1), 4);
	e.expires_ns = NOW + 1;
	assert_int_equal(pg_set_seconds_left(&e, NOW), 1);
	assert_false(pg_set_expired(&e, NOW));
	assert_true(pg_set_expired(&e, NOW + 1));
}

/* Whatever stands in a line, it is refused or understood, and nothing is read beyond it. */
static void any_bytes_are_survived(void **state)
{
	static const char *const seeds[] = {
		"create a hash:ip,port family inet6 timeout 5 maxelem 0x10 netmask 24",
		"add p 1.2.3.4/30,udp:[ftp-data]-[ssh] timeout 60",
		"add n 10.0.0.0-10.255.255.255 nomatch",
		"test q [fe80::1],ipv6-icmp:echo-request",
	};
	struct pg_sets *sets = lines("create p hash:ip,port timeout 0 maxelem 9\n"
				     "create n hash:net maxelem 9\n"
				     "create q hash:ip,port family inet6\ncreate nope hash:ip");
	uint64_t random = 88172645463325252ULL;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		static const char bytes[] = " -/:,.[]\"#0189afx%\x80\n";
		const char *words[PG_IPSET_WORDS_MAX];
		struct pg_ipset_range range;
		struct pg_err err = { 0 };
		struct pg_ipset_cmd cmd;
		struct pg_set_info info;
		struct pg_set *set;
		char text[128], skipped[64];
		size_t n, len = (size_t)snprintf(text, sizeof(text), "%s", seeds[i % 4]);

		for (unsigned k = 0; k <= i % 3; k++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			text[random % len] = bytes[(random >> 32) % (sizeof(bytes) - 1)];
		}
		if (pg_ipset_split(text, words, &n, &err) < 0 || !n ||
		    pg_ipset_command(words, n, &cmd, &err) < 0 || !cmd.name)
			continue;
		if (cmd.verb == PG_IPSET_CREATE) {
			pg_ipset_create(&cmd, &info, skipped, sizeof(skipped), &err);
			continue;
		}
		set = pg_sets_find(sets, cmd.name);
		if (!set || !cmd.second || cmd.verb > PG_IPSET_TEST)
			continue;
		if (!pg_ipset_entry(&cmd, &set->info, NOW, &range, &err)) {
			char elem[PG_IPSET_ELEM_MAX];
			struct pg_set_entry e;

			assert_true(pg_ipset_next(&range, &e));
			assert_true(strlen(pg_ipset_elem(elem, &set->info, &e)) < sizeof(elem));
		}
	}
	pg_sets_free(sets);
}

static void references_are_counted(void **state)
{
	struct pg_match match[2] = { { .kind = PG_MATCH_SET }, { .kind = PG_MATCH_COMMENT } };
	struct pg_rule rule[2] = { { .match = match, .n_match = 2 }, { .match = match, .n_match = 1 } };
	struct pg_ruleset *set = pg_ruleset_new();

	(void)state;
	assert_non_null(set);
	snprintf(match[0].set.name, sizeof(match[0].set.name), "a");
	set->chain[PG_CHAIN_INPUT].rule = rule;
	set->chain[PG_CHAIN_INPUT].n_rules = 2;
	assert_int_equal(pg_policy_set_references(set, "a"), 2);
	assert_int_equal(pg_policy_set_references(set, "b"), 0);
	assert_int_equal(pg_policy_set_references(set, NULL), 2);
	set->chain[PG_CHAIN_INPUT].rule = NULL;
	set->chain[PG_CHAIN_INPUT].n_rules = 0;
	pg_ruleset_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_split_into_words),
		cmocka_unit_test(a_line_has_so_many_words_at_most),
		cmocka_unit_test(what_is_wrong_is_said_in_ipsets_words),
		cmocka_unit_test(entries_are_understood_and_written),
		cmocka_unit_test(a_set_in_every_format),
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(unsupported_options_can_be_left_out),
		cmocka_unit_test(tests_find_the_longest_prefix),
		cmocka_unit_test(changes_lie_above_what_the_kernel_has),
		cmocka_unit_test(swapped_sets_keep_names_and_numbers),
		cmocka_unit_test(a_set_in_use_stays),
		cmocka_unit_test(there_are_so_many_sets_at_most),
		cmocka_unit_test(seconds_left_are_never_none),
		cmocka_unit_test(any_bytes_are_survived),
		cmocka_unit_test(references_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
