// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The black box and watchers: what is written of a drop, on both paths, and what is left out. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drops.h"
#include "group.h"
#include "names.h"
#include "pkt.h"

static struct harness h;
static uint8_t frame[PKT_MAX];

static const char rules[] = "*filter\n:INPUT DROP [0:0]\n:web - [0:0]\n"
			    "-A INPUT -p icmp -j ACCEPT\n"
			    "-A INPUT -p tcp --dport 80 -j web\n"
			    "-A INPUT -p udp --dport 53 -j REJECT\n"
			    "-A INPUT -p tcp --dport 22 -j DROP\n"
			    "-A web -s 192.0.2.0/24 -j DROP\n"
			    "COMMIT\n"
			    "*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n";

static void run(enum pg_dir dir, const struct pkt_layer *pkt)
{
	struct pg_trace t;

	harness_run(&h, dir, frame, pkt_build(pkt, frame, sizeof(frame)), &t);
}

/* Rows ----------------------------------------------------------------------------------------- */

static const struct row {
	const char *name;
	const struct pkt_layer *pkt;
	/* "VERDICT chain rule reason proto src dst flags length vlan" */
	const char *text;
} rows[] = {
	{ "a rule drops", PKT(ETH(), IP4(), TCP(.dport = 22)),
	  "DROP INPUT 4 rule tcp 192.0.2.1:40000 192.0.2.2:22 S 40 0" },
	{ "a rule of another chain", PKT(ETH(), IP4(), TCP(.flags = PKT_ACK | PKT_PSH), PAYLOAD(9)),
	  "DROP web 1 rule tcp 192.0.2.1:40000 192.0.2.2:80 PA 49 0" },
	{ "a rule rejects", PKT(ETH(), IP4(), UDP()),
	  "REJECT INPUT 3 rule udp 192.0.2.1:40000 192.0.2.2:53 - 28 0" },
	{ "the policy drops", PKT(ETH(), IP4(), TCP(.dport = 443)),
	  "DROP INPUT policy policy tcp 192.0.2.1:40000 192.0.2.2:443 S 40 0" },
	{ "IPv6", PKT(ETH(), IP6(), TCP(.dport = 22)),
	  "DROP INPUT 4 rule tcp [2001:db8::1]:40000 [2001:db8::2]:22 S 60 0" },
	{ "IPv6 UDP", PKT(ETH(), IP6(), UDP(.dport = 9)),
	  "DROP INPUT policy policy udp [2001:db8::1]:40000 [2001:db8::2]:9 - 48 0" },
	{ "without ports", PKT(ETH(), IP4(.proto = 50), PAYLOAD(32)),
	  "DROP INPUT policy policy esp 192.0.2.1 192.0.2.2 - 52 0" },
	{ "ICMPv6 has type and code", PKT(ETH(), IP6(), ICMP6(.type = 1, .code = 4)),
	  "DROP INPUT policy policy ipv6-icmp 2001:db8::1 2001:db8::2 - 48 0 type 1 code 4" },
	{ "a tag", PKT(ETH(), VLAN(.id = 5), IP4(), TCP(.dport = 22)),
	  "DROP INPUT 4 rule tcp 192.0.2.1:40000 192.0.2.2:22 S 40 5" },
	{ "a wrong checksum", PKT(ETH(), IP4(.csum = 1), TCP(.dport = 22)),
	  "DROP - bad-checksum tcp 192.0.2.1:40000 192.0.2.2:22 S 40 0" },
	{ "no flags at all", PKT(ETH(), IP4(), TCP(.dport = 22, .flags = 0)),
	  "DROP INPUT 4 rule tcp 192.0.2.1:40000 192.0.2.2:22  40 0" },
	{ "nothing behind the Ethernet header", PKT(ETH(.type = 0x0800)),
	  "DROP - short-header ip - - - 14 0" },
	{ "what passes is not there", PKT(ETH(), IP4(), ICMP()), NULL },
};

static void text_of(const struct pg_drop_row *row, char *buf, size_t size)
{
	const struct pg_drop *drop = &row->drop;
	char who[64], proto[32], src[64], dst[64], flags[9] = "-", icmp[32] = "";

	pg_fate_who(&row->fate, who, sizeof(who));
	pg_drop_proto(drop, proto, sizeof(proto));
	pg_drop_end(drop, 0, src, sizeof(src));
	pg_drop_end(drop, 1, dst, sizeof(dst));
	if (drop->has & PG_DROP_HAS_FLAGS)
		pg_flow_flags_text(drop->tcp_flags, flags);
	if (drop->has & PG_DROP_HAS_ICMP)
		snprintf(icmp, sizeof(icmp), " type %u code %u", drop->sport, drop->dport);
	snprintf(buf, size, "%s %s %s %s %s %s %s %u %u%s",
		 row->fate.verdict == PG_VERDICT_REJECT ? "REJECT" : "DROP", who,
		 pg_reason_name(row->fate.reason), proto, src, dst, flags, drop->length,
		 drop->vlan & ~PG_FLOW_TAGGED, icmp);
}

static void check_row(const struct row *row)
{
	struct pg_drops *drops = NULL;
	struct pg_drop_list list;
	struct pg_err err = { 0 };
	char text[256] = "";

	assert_int_equal(pg_drops_open(h.dp, true, &drops, &err), 0);
	run(PG_DIR_IN, row->pkt);
	assert_int_equal(pg_drops_take(drops, 0, false, &list, &err), 0);
	assert_int_equal(list.n, row->text ? 1 : 0);
	if (list.n) {
		text_of(&list.row[0], text, sizeof(text));
		if (strcmp(text, row->text))
			print_error("%s:\n  got    %s\n  wanted %s\n", row->name, text, row->text);
		assert_string_equal(text, row->text);
		assert_string_equal(list.row[0].fate.iface, "pg-test0");
	}
	assert_int_equal(list.missed, 0);
	pg_drop_list_clear(&list);
	pg_drops_close(drops);
}

static void each_drop_is_written_as_it_was(void **state)
{
	(void)state;
	harness_load(&h, rules);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i]);
}

static void departures_say_so(void **state)
{
	struct pg_drop_list list;
	struct pg_err err = { 0 };

	(void)state;
	harness_load(&h, "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp --sport 25 -j DROP\nCOMMIT\n");
	run(PG_DIR_OUT, PKT(ETH(), IP4(), TCP(.sport = 25)));
	assert_int_equal(pg_drops_last(h.dp, 1, &list, &err), 0);
	assert_int_equal(list.n, 1);
	assert_true(list.row[0].fate.out);
	assert_string_equal(list.row[0].fate.chain, "OUTPUT");
	assert_int_equal(list.row[0].fate.rule, 1);
	assert_string_equal(list.row[0].fate.spec, "-p tcp -m tcp --sport 25 -j DROP");
	pg_drop_list_clear(&list);
}

/* A rule keeps its counter and with it its name; one that is gone is not taken for another. */
static void names_outlive_changes_of_the_policy(void **state)
{
	struct pg_drop_list list;
	struct pg_err err = { 0 };

	(void)state;
	harness_load(&h, "*filter\n-A INPUT -p tcp --dport 7 -j DROP\nCOMMIT\n");
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 7)));
	for (int i = 0; i < 3; i++) /* the same counter's place is given to others */
		harness_load(&h, "*filter\n-A INPUT -p tcp --dport 8 -j DROP\nCOMMIT\n");
	assert_int_equal(pg_drops_last(h.dp, 1, &list, &err), 0);
	assert_int_equal(list.n, 1);
	assert_int_equal(list.row[0].drop.dport, 7);
	assert_int_equal(list.row[0].fate.rule, -1);
	assert_string_equal(list.row[0].fate.chain, "INPUT");
	pg_drop_list_clear(&list);
}

#define FLOOD 3000

/* Of many alike some are kept, and all are accounted for. Another rule's are all there. */
static void a_flood_is_bounded_and_counted(void **state)
{
	struct pg_drops *drops = NULL;
	struct pg_drop_list list;
	struct pg_err err = { 0 };
	uint64_t kept = 0, before, others = 0;

	(void)state;
	harness_load(&h, rules);
	before = pg_dp_drops_skipped(h.dp);
	assert_int_equal(pg_drops_open(h.dp, true, &drops, &err), 0);
	for (int i = 0; i < FLOOD; i++) {
		run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 22)));
		if (i % 1000 != 500)
			continue;
		run(PG_DIR_IN, PKT(ETH(), IP4(), UDP()));
		assert_int_equal(pg_drops_take(drops, 0, false, &list, &err), 0);
		for (size_t k = 0; k < list.n; k++) {
			kept += list.row[k].drop.dport == 22;
			others += list.row[k].drop.dport == 53;
		}
		assert_int_equal(list.missed, 0);
		pg_drop_list_clear(&list);
	}
	assert_int_equal(pg_drops_take(drops, 0, false, &list, &err), 0);
	kept += list.n;
	pg_drop_list_clear(&list);
	pg_drops_close(drops);
	assert_int_equal(others, FLOOD / 1000);
	assert_true(kept >= PG_BOX_BURST / 2); /* tests before have used some */
	assert_int_equal(kept + pg_dp_drops_skipped(h.dp) - before, FLOOD);
	assert_true(pg_dp_drops_skipped(h.dp) > before);
}

/* The box has room for so many; older ones make room, and who reads too late is told. */
static void the_oldest_make_room(void **state)
{
	struct pg_drops *drops = NULL;
	struct pg_drop_list list;
	struct pg_err err = { 0 };

	(void)state;
	harness_load(&h, rules);
	assert_int_equal(pg_drops_open(h.dp, true, &drops, &err), 0);
	/* Six kinds, each within its budget, though the one before may have used some of two. */
	for (int i = 0; i < 250; i++) {
		run(PG_DIR_IN, PKT(ETH(), IP4(), TCP()));
		run(PG_DIR_IN, PKT(ETH(), IP4(.csum = 1), TCP()));
		run(PG_DIR_IN, PKT(ETH(), IP4(.ihl = 4), TCP()));
		run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.doff = 4)));
		run(PG_DIR_IN, PKT(ETH(), IP4(.version = 5), TCP()));
		run(PG_DIR_IN, PKT(ETH(), IP4(.tot_len = 19), TCP()));
	}
	assert_int_equal(pg_drops_take(drops, 0, false, &list, &err), 0);
	assert_int_equal(list.n, PG_BOX_DROPS - 1);
	assert_true(list.missed > 0);
	pg_drop_list_clear(&list);
	pg_drops_close(drops);
}

/* Watchers ------------------------------------------------------------------------------------- */

static struct {
	size_t n;
	struct pg_watched last;
	size_t captured;
} seen;

static int see(void *arg, const struct pg_watched *packet, size_t n)
{
	(void)arg;
	seen.n++;
	seen.captured = n;
	memcpy(&seen.last, packet, sizeof(*packet) - PG_WATCH_SNAP + n);
	return 0;
}

static struct pg_dp_watch *watch(struct pg_dp_watch_opts opts)
{
	struct pg_dp_watch *w = NULL;
	struct pg_err err = { 0 };

	if (pg_dp_watch_open(h.dp, &opts, see, NULL, &w, &err))
		print_error("%s\n", err.text);
	assert_non_null(w);
	seen.n = 0;
	return w;
}

static size_t take(struct pg_dp_watch *w)
{
	struct pg_err err = { 0 };

	seen.n = 0;
	assert_true(pg_dp_watch_read(w, 0, &err) >= 0);
	return seen.n;
}

#define DROPPED (1U << PG_VERDICT_DROP | 1U << PG_VERDICT_REJECT)
#define PASSED (1U << PG_VERDICT_ACCEPT)

static void a_watcher_gets_the_packet(void **state)
{
	struct pg_dp_watch *w;
	size_t len;

	(void)state;
	harness_load(&h, rules);
	w = watch((struct pg_dp_watch_opts){ .verdicts = DROPPED });
	run(PG_DIR_IN, PKT(ETH(), IP4(), ICMP()));
	assert_int_equal(take(w), 0);
	for (int v6 = 0; v6 < 2; v6++) {
		run(PG_DIR_IN, v6 ? PKT(ETH(), IP6(), TCP(.dport = 22), PAYLOAD(300)) :
				    PKT(ETH(), IP4(.csum = 1), TCP(.dport = 22), PAYLOAD(1)));
		assert_int_equal(take(w), 1);
		len = v6 ? 14 + 40 + 20 + 300 : 14 + 20 + 20 + 1;
		assert_int_equal(seen.last.len, len);
		assert_int_equal(seen.captured, len);
		assert_memory_equal(seen.last.data, frame, len);
		assert_int_equal(seen.last.fate & 0xff, v6 ? PG_REASON_RULE : PG_REASON_BAD_CHECKSUM);
	}
	pg_dp_watch_close(w);
}

static void watchers_get_what_they_asked_for(void **state)
{
	struct pg_dp_watch *dropped, *passed, *any;

	(void)state;
	harness_load(&h, rules);
	dropped = watch((struct pg_dp_watch_opts){ .verdicts = DROPPED, .snap = 60 });
	passed = watch((struct pg_dp_watch_opts){ .verdicts = PASSED, .sample = 2 });
	any = watch((struct pg_dp_watch_opts){ .verdicts = DROPPED | PASSED, .ifaces = 1 });
	for (int i = 0; i < 4; i++) {
		run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(), PAYLOAD(100)));
		run(PG_DIR_IN, PKT(ETH(), IP4(), ICMP()));
		run(PG_DIR_OUT, PKT(ETH(), IP4(), TCP()));
	}
	assert_int_equal(take(dropped), 4);
	assert_int_equal(seen.captured, 60);
	assert_int_equal(take(passed), 4);
	assert_int_equal(take(any), 12);
	pg_dp_watch_close(dropped);
	pg_dp_watch_close(passed);
	/* The others' end changes nothing for this one. */
	run(PG_DIR_IN, PKT(ETH(), IP4(), ICMP()));
	assert_int_equal(take(any), 1);
	pg_dp_watch_close(any);
}

static void a_watcher_of_another_interface_gets_nothing(void **state)
{
	struct pg_dp_watch *w = watch((struct pg_dp_watch_opts){ .verdicts = DROPPED, .ifaces = 2 });

	(void)state;
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP()));
	assert_int_equal(take(w), 0);
	pg_dp_watch_close(w);
}

static void a_rate_is_kept_for_each_rule(void **state)
{
	struct pg_dp_watch *w;
	struct pg_dp_watch_sums sums;
	size_t n;

	(void)state;
	harness_load(&h, rules);
	w = watch((struct pg_dp_watch_opts){ .verdicts = DROPPED, .rate = 50 });
	for (int i = 0; i < FLOOD; i++)
		run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 22)));
	run(PG_DIR_IN, PKT(ETH(), IP4(), UDP()));
	n = take(w);
	assert_int_equal(seen.last.slot, harness_input(&h)->rule[2].slot);
	pg_dp_watch_sums(w, &sums);
	assert_true(n >= 51 && sums.limited > 0);
	assert_int_equal(sums.seen, FLOOD + 1);
	assert_int_equal(n + sums.limited + sums.lost, FLOOD + 1);
	pg_dp_watch_close(w);
}

static void a_full_ring_is_counted(void **state)
{
	struct pg_dp_watch *w;
	struct pg_dp_watch_sums sums;
	size_t n;

	(void)state;
	harness_load(&h, rules);
	w = watch((struct pg_dp_watch_opts){ .verdicts = DROPPED });
	for (int i = 0; i < FLOOD; i++)
		run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 22), PAYLOAD(1400)));
	n = take(w);
	pg_dp_watch_sums(w, &sums);
	assert_true(sums.lost > 0 && n > 1000);
	assert_int_equal(n + sums.lost, FLOOD);
	pg_dp_watch_close(w);
}

static void there_are_no_more_than_so_many(void **state)
{
	struct pg_dp_watch *w[PG_WATCHERS], *more = NULL;
	struct pg_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < PG_WATCHERS; i++)
		w[i] = watch((struct pg_dp_watch_opts){ .verdicts = DROPPED });
	assert_int_equal(pg_dp_watch_open(h.dp, &(struct pg_dp_watch_opts){ .verdicts = DROPPED }, see,
					  NULL, &more, &err), -EBUSY);
	assert_non_null(strstr(err.text, "4 others watch packets already"));
	pg_dp_watch_close(w[1]);
	w[1] = watch((struct pg_dp_watch_opts){ .verdicts = PASSED });
	run(PG_DIR_IN, PKT(ETH(), IP4(), ICMP()));
	assert_int_equal(take(w[1]), 1);
	for (size_t i = 0; i < PG_WATCHERS; i++)
		pg_dp_watch_close(w[i]);
}

/* One CPU: what is kept is by CPU, and test runs go where the caller is. */
static void stay(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int close_all(void **state)
{
	(void)state;
	harness_close(&h);
	return 0;
}

static int open_fast(void **state)
{
	struct pg_err err = { 0 };

	(void)state;
	return harness_open(&h, "pg-test0", &err) ? 0 : -1;
}

static int open_general(void **state)
{
	struct pg_err err = { 0 };

	(void)state;
	return harness_open_general(&h, "pg-test0", &err) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_drop_is_written_as_it_was),
		cmocka_unit_test(departures_say_so),
		cmocka_unit_test(names_outlive_changes_of_the_policy),
		cmocka_unit_test(a_flood_is_bounded_and_counted),
		cmocka_unit_test(the_oldest_make_room),
		cmocka_unit_test(a_watcher_gets_the_packet),
		cmocka_unit_test(watchers_get_what_they_asked_for),
		cmocka_unit_test(a_watcher_of_another_interface_gets_nothing),
		cmocka_unit_test(a_rate_is_kept_for_each_rule),
		cmocka_unit_test(a_full_ring_is_counted),
		cmocka_unit_test(there_are_no_more_than_so_many),
	};
	struct pg_err err = { 0 };

	stay();
	if (!harness_open(&h, "", &err))
		return group_skip(&err);
	harness_close(&h);
	return cmocka_run_group_tests_name("fast path", tests, open_fast, close_all) +
	       cmocka_run_group_tests_name("general path", tests, open_general, close_all);
}
