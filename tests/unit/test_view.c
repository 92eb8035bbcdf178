/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tables and JSON of made-up snapshots, to the letter. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <json-c/json.h>

#include "export_json.h"
#include "view.h"

static struct pg_iface_row ifaces[] = {
	{
		.iface = {
			.abi = { .netns = 1, .ifindex = 2, .mode = PG_MODE_NATIVE, .name = "eth0",
				 .mode_reason = "the driver runs XDP itself" },
			.here = true,
			.outdated = true,
			.ingress_prog_id = 12,
			.egress_prog_id = 13,
			.mark_prog_id = 14,
		},
		.count = { { 300, 21000 }, { 200, 99000 } },
		.dropped = { 100, 0 },
	},
	{
		/* Names are up to 15 bytes of anything but '/' and blanks. */
		.iface = {
			.abi = { .netns = 2, .ifindex = 7, .mode = PG_MODE_TC, .name = "v\033[2J",
				 .mode_reason = "a veth's native XDP would cost its peer GSO" },
			.gone = true,
			.ingress_prog_id = 0,
		},
	},
};

static struct pg_port_row ports[] = {
	{
		.proto = PG_PORT_TCP, .port = 22, .service = "ssh",
		.in = { 60, 3600 }, .in_dropped = 60,
		.flags = { { [PG_FLAG_SYN] = 60 } },
		.has_listener = true,
		.listener = { .pid = 0, .address = "::" },
	},
	{
		.proto = PG_PORT_TCP, .port = 443, .service = "https",
		.in = { 200, 15000 }, .out = { 190, 98000 },
		.flags = { { 4, 4, 0, 20, 386 } },
		.has_listener = true,
		.listener = { .pid = 812, .comm = "ng\nnx", .address = "0.0.0.0" },
	},
	{
		.proto = PG_PORT_UDP, .port = 65535,
		.in = { 40, 2400 }, .out = { UINT64_MAX, UINT64_MAX }, .in_dropped = 30, .out_dropped = 10,
	},
};

/* The snapshot that all tests look at; the policy is two rules. */
static struct pg_snapshot snap = {
	.state_dir = "/run/test",
	.kernel = "6.1.0",
	.has = { .loop = true, .frags = true }, /* PG_SNAP_KERNEL */
	.knows_kernel = true,
	.exists = true,
	.iface = ifaces,
	.n_iface = ARRAY_SIZE(ifaces),
	.port = ports,
	.n_port = ARRAY_SIZE(ports),
	.reason = { [PG_REASON_RULE] = { 200, 15000 }, [PG_REASON_POLICY] = { 290, 104000 },
		    [PG_REASON_SHORT_L4] = { 10, 1000 } },
	.verdict = { { { 200, 15000 }, { 100, 6000 } }, { { 200, 99000 }, { 0, 0 } } },
	.n_rules = 2,
	.policy = { .generation = 7, .terms = 2, .rows = 5, .nodes = 3, .form = PG_FORM_WORD,
		    .memory_bytes = 4096 },
	.memory_bytes = 12345678,
	.flow = { .count = { 12, 3 }, .capacity = { 262144, 65536 }, .tracking = true,
		  .memory_bytes = 49807360,
		  .stats = { .created = { 100, 400 }, .evicted = { 0, 9 }, .collected = { 70, 80 },
			     .picked_up = 2, .out_of_window = 1 } },
	.flow_options = PG_FLOW_OPT_STRICT,
};
static struct pg_snapshot nothing = { .state_dir = "/run/test", .kernel = "6.1.0" };

static const struct pg_ports_opts all_ports;

static void append_rule(struct pg_chain *chain, const struct pg_match *match, size_t n_match,
			enum pg_target target, uint64_t packets)
{
	const struct pg_rule rule = {
		.narrowed = PG_V46,
		.proto = 6,
		.match = (struct pg_match *)match,
		.n_match = n_match,
		.target = target,
		.packets = packets,
		.bytes = packets * 75,
		.slot = PG_NO_SLOT,
	};

	assert_int_equal(pg_chain_insert(chain, chain->n_rules, &rule), 0);
}

static int make_policies(void **state)
{
	struct pg_match matches[] = {
		{ .kind = PG_MATCH_TCP,
		  .ports = { .sport = { .hi = 65535 }, .dport = { .lo = 443, .hi = 443 } } },
		{ .kind = PG_MATCH_COMMENT, .comment = (char *)"web\033[31m \xff \"x\" \xc3\xa9" },
	};
	struct pg_chain *input;

	(void)state;
	snap.rules = pg_ruleset_new();
	nothing.rules = pg_ruleset_new();
	if (!snap.rules || !nothing.rules)
		return -1;
	input = &snap.rules->chain[PG_CHAIN_INPUT];
	input->policy = PG_TARGET_DROP;
	input->packets = 90;
	input->bytes = 5000;
	append_rule(input, matches, 2, PG_TARGET_ACCEPT, 200);
	append_rule(input, NULL, 0, PG_TARGET_DROP, 0);
	return 0;
}

static int free_policies(void **state)
{
	(void)state;
	pg_ruleset_free(snap.rules);
	pg_ruleset_free(nothing.rules);
	return 0;
}

static void expect(struct pg_text *t, const char *text)
{
	assert_false(t->oom);
	assert_string_equal(t->buf, text);
	pg_text_free(t);
}

static void ports_in_one_line_where_there_is_room(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_view_ports(&t, &snap, 0, &all_ports);
	expect(&t,
	       "PORT       SERVICE  RANGE    IN-PKTS  IN-BYTES  DROPPED              OUT-PKTS             OUT-BYTES  FLAGS                       LISTENER\n"
	       "22/tcp     ssh      system        60      3600       60                     0                     0  SYN:60                      ? ::\n"
	       "443/tcp    https    system       200     15000        0                   190                 98000  FIN:4 SYN:4 PSH:20 ACK:386  ng?nx[812] 0.0.0.0\n"
	       "65535/udp  -        dynamic       40      2400       40  18446744073709551615  18446744073709551615  -                           -\n");
}

static void ports_fold_flags_and_listener_below_on_80_columns(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_view_ports(&t, &snap, 80, &all_ports);
	expect(&t,
	       "PORT       SERVICE  RANGE    IN-PKTS  IN-BYTES  DROPPED              OUT-PKTS             OUT-BYTES\n"
	       "22/tcp     ssh      system        60      3600       60                     0                     0\n"
	       "      SYN:60  ? ::\n"
	       "443/tcp    https    system       200     15000        0                   190                 98000\n"
	       "      FIN:4 SYN:4 PSH:20 ACK:386  ng?nx[812] 0.0.0.0\n"
	       "65535/udp  -        dynamic       40      2400       40  18446744073709551615  18446744073709551615\n");
}

static void ports_filter_and_sort(void **state)
{
	struct pg_port_filter filter[2];
	struct pg_ports_opts opts = { .sort = PG_SORT_DROPPED, .filter = filter, .n_filter = 2 };
	struct pg_text t = { 0 };

	(void)state;
	assert_int_equal(pg_port_filter_from_str("20-25/tcp", &filter[0]), 0);
	assert_int_equal(pg_port_filter_from_str("443", &filter[1]), 0);
	pg_view_ports(&t, &snap, 0, &opts);
	expect(&t,
	       "PORT     SERVICE  RANGE   IN-PKTS  IN-BYTES  DROPPED  OUT-PKTS  OUT-BYTES  FLAGS                       LISTENER\n"
	       "22/tcp   ssh      system       60      3600       60         0          0  SYN:60                      ? ::\n"
	       "443/tcp  https    system      200     15000        0       190      98000  FIN:4 SYN:4 PSH:20 ACK:386  ng?nx[812] 0.0.0.0\n");
}

static void reasons_that_counted(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_view_reasons(&t, &snap, 60, false);
	expect(&t,
	       "REASON    PACKETS   BYTES  MEANING\n"
	       "rule          200   15000  a rule of the policy decided\n"
	       "policy        290  104000  no rule matched, the chain's\n"
	       "                           policy decided\n"
	       "short-l4       10    1000  a rule asked for ports, flags or\n"
	       "                           an ICMP type, but the transport\n"
	       "                           header is cut off\n");
}

static void rules_with_their_chain(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_view_rules(&t, &snap, 0);
	expect(&t,
	       "Chain INPUT (policy DROP 90 packets, 5000 bytes)\n"
	       "NUM  PACKETS  BYTES  RULE\n"
	       "  1      200  15000  -p tcp -m tcp --dport 443 -m comment --comment \"web?[31m ? \\\"x\\\" é\" -j ACCEPT\n"
	       "  2        0      0  -p tcp -j DROP\n");
}

static void status_of_two_interfaces(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_view_status(&t, &snap, 80);
	expect(&t,
	       "portguard 0.1.0 on Linux 6.1.0, state in /run/test\n"
	       "\n"
	       "INTERFACE  MODE    PROG  IN-PKTS  IN-BYTES  DROPPED  EGRESS  OUT-PKTS  OUT-BYTES\n"
	       "eth0       native    12      300     21000      100      13       200      99000\n"
	       "      the driver runs XDP itself\n"
	       "      its programs are another version's: 'portguard upgrade' replaces them\n"
	       "v?[2J      tc         -        0         0        0       -         0          0\n"
	       "      a veth's native XDP would cost its peer GSO\n"
	       "      GONE: the interface or its program was removed from outside; attach it\n"
	       "      again, or detach it\n"
	       "      in another network namespace\n"
	       "\n"
	       "Arrived     300 packets, 21000 bytes; dropped 100 packets, 6000 bytes\n"
	       "Departed    200 packets, 99000 bytes; dropped 0 packets, 0 bytes\n"
	       "Policy      generation 7, 2 rules, INPUT policy DROP\n"
	       "Classifier  one-word bitmaps: 2 terms, 5 classes, 3 nodes, 4096 bytes\n"
	       "Flows       12 of 262144, half-open 3 of 65536; picked up 2, evicted 9, refused 0; strict\n"
	       "Memory      12345678 bytes in all maps\n"
	       "Kernel      no TCX (Linux 6.6): mode tc uses filters of a clsact qdisc instead, which others can remove\n"
	       "            the BPF compiler is off: every packet is interpreted, many times slower\n");
}

static void status_warns_of_full_tables(void **state)
{
	struct pg_snapshot full = snap;
	struct pg_text t = { 0 };

	(void)state;
	full.n_iface = 0;
	full.knows_kernel = false;
	full.flow_options = PG_FLOW_OPT_TRACK | PG_FLOW_OPT_LIBERAL;
	full.flow.count[PG_FLOW_TABLE] = 262144 * 9 / 10 + 1;
	full.flow.count[PG_HALF_OPEN_TABLE] = 65536;
	full.flow.stats.evicted[PG_FLOW_TABLE] = 5;
	full.flow.stats.refused[PG_HALF_OPEN_TABLE] = 7;
	pg_view_status(&t, &full, 80);
	assert_non_null(t.buf);
	assert_string_equal(strstr(t.buf, "Flows"),
	       "Flows       235930 of 262144, half-open 65536 of 65536; picked up 2, evicted 14, refused 7; always; liberal\n"
	       "WARNING     the table of flows is nearly full: 235930 of 262144\n"
	       "WARNING     the table of half-open connections is full: 65536 of 65536\n"
	       "WARNING     7 half-open connections found no room in their table; their packets were decided all the same\n"
	       "WARNING     half-open connections make room for each other: 9 were forgotten early, as under a flood of SYNs\n"
	       "WARNING     5 flows were forgotten early to make room for others\n"
	       "Memory      12345678 bytes in all maps\n");
	pg_text_free(&t);

	/* What an old flood has left is not told for ever. */
	full.flow.count[PG_HALF_OPEN_TABLE] = 32767;
	pg_view_status(&t, &full, 80);
	assert_non_null(t.buf);
	assert_null(strstr(t.buf, "make room for each other"));
	pg_text_free(&t);
	full.flow.count[PG_HALF_OPEN_TABLE] = 32768;
	pg_view_status(&t, &full, 80);
	assert_non_null(strstr(t.buf, "make room for each other"));
	assert_null(strstr(t.buf, "connections is nearly full"));
	pg_text_free(&t);

	full.flow.tracking = false;
	pg_view_status(&t, &full, 80);
	assert_string_equal(strstr(t.buf, "Flows"),
	       "Flows       not tracked: no rule asks for a connection's state\n"
	       "Memory      12345678 bytes in all maps\n");
	pg_text_free(&t);
}

static void status_warns_where_departures_are_not_seen(void **state)
{
	struct pg_iface_row deaf = ifaces[0];
	struct pg_snapshot one = snap;
	struct pg_text t = { 0 };

	(void)state;
	deaf.iface.egress_prog_id = 0;
	one.iface = &deaf;
	one.n_iface = 1;
	pg_view_status(&t, &one, 80);
	assert_non_null(t.buf);
	assert_non_null(strstr(t.buf, "      WARNING: departures are not seen (--no-egress)"));
	pg_text_free(&t);

	one.flow.tracking = false;
	pg_view_status(&t, &one, 80);
	assert_non_null(t.buf);
	assert_null(strstr(t.buf, "departures are not seen"));
	pg_text_free(&t);
}

static void views_of_nothing(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_view_status(&t, &nothing, 80);
	pg_view_ports(&t, &nothing, 80, &all_ports);
	pg_view_reasons(&t, &nothing, 80, false);
	pg_view_rules(&t, &nothing, 80);
	expect(&t,
	       "portguard 0.1.0 on Linux 6.1.0, state in /run/test\n"
	       "Nothing is attached: there is no instance in this state directory.\n"
	       "PORT  SERVICE  RANGE  IN-PKTS  IN-BYTES  DROPPED  OUT-PKTS  OUT-BYTES\n"
	       "REASON  PACKETS  BYTES  MEANING\n"
	       "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n");
}

/* What a writer puts into a file, as text. */
static void expect_json(int r, FILE *f, char **buf, const char *text)
{
	struct json_object *doc;

	assert_int_equal(r, 0);
	assert_int_equal(fclose(f), 0);
	doc = json_tokener_parse(*buf);
	assert_non_null(doc);
	json_object_put(doc);
	assert_string_equal(*buf, text);
	free(*buf);
	*buf = NULL;
}

static void json_of_status(void **state)
{
	char *buf;
	size_t n;
	FILE *f = open_memstream(&buf, &n);

	(void)state;
	expect_json(pg_json_status(f, &snap, NULL), f, &buf,
	       "{\"version\":\"0.1.0\",\"kernel\":\"6.1.0\",\"kernel_lacks\":[\"tcx\",\"jit\"],\"state_dir\":\"/run/test\","
	       "\"interfaces\":[{\"name\":\"eth0\",\"ifindex\":2,\"mode\":\"native\","
	       "\"mode_reason\":\"the driver runs XDP itself\",\"xdp_prog_id\":12,"
	       "\"egress_prog_id\":13,\"mark_prog_id\":14,\"here\":true,\"gone\":false,"
	       "\"moved\":false,\"outdated\":true,"
	       "\"ingress\":{\"packets\":300,\"bytes\":21000,\"dropped\":100},"
	       "\"egress\":{\"packets\":200,\"bytes\":99000,\"dropped\":0}},"
	       "{\"name\":\"v?[2J\",\"ifindex\":7,\"mode\":\"tc\","
	       "\"mode_reason\":\"a veth's native XDP would cost its peer GSO\","
	       "\"xdp_prog_id\":0,\"egress_prog_id\":0,\"mark_prog_id\":0,\"here\":false,\"gone\":true,"
	       "\"moved\":false,\"outdated\":false,"
	       "\"ingress\":{\"packets\":0,\"bytes\":0,\"dropped\":0},"
	       "\"egress\":{\"packets\":0,\"bytes\":0,\"dropped\":0}}],"
	       "\"policy\":{\"generation\":7,\"rules\":2,\"terms\":2,\"classes\":5,"
	       "\"classifier\":\"one-word bitmaps\",\"memory_bytes\":4096,"
	       "\"confirm_deadline_s\":null,\"taken_back\":null,\"shadow\":false,\"shadow_since\":null,"
	       "\"shadow_stopped\":false},"
	       "\"flows\":{\"count\":12,\"capacity\":262144,\"half_open\":3,\"half_open_capacity\":65536,"
	       "\"evicted\":9,\"half_open_evicted\":9,\"refused\":0,\"half_open_refused\":0,"
	       "\"created\":500,\"half_open_created\":400,\"collected\":150,\"half_open_collected\":80,"
	       "\"picked_up\":2,\"out_of_window\":1,\"memory_bytes\":49807360,\"tracking\":true,"
	       "\"track\":\"auto\",\"strict\":true,\"liberal\":false},\"log\":{\"lost\":0},"
	       "\"memory_bytes\":12345678}\n");
}

static void json_of_ports(void **state)
{
	char *buf;
	size_t n;
	FILE *f = open_memstream(&buf, &n);

	(void)state;
	expect_json(pg_json_ports(f, &snap, &all_ports, NULL), f, &buf,
	       "{\"ports\":[{\"proto\":\"tcp\",\"port\":22,\"service\":\"ssh\","
	       "\"range\":\"system\",\"in\":{\"packets\":60,\"bytes\":3600,"
	       "\"dropped\":60},\"out\":{\"packets\":0,\"bytes\":0,\"dropped\":0},"
	       "\"flags\":{\"fin\":0,\"syn\":60,\"rst\":0,\"psh\":0,\"ack\":0,\"urg\":0,"
	       "\"ece\":0,\"cwr\":0},\"listener\":{\"pid\":0,\"comm\":\"\","
	       "\"address\":\"::\"}},{\"proto\":\"tcp\",\"port\":443,"
	       "\"service\":\"https\",\"range\":\"system\",\"in\":{\"packets\":200,"
	       "\"bytes\":15000,\"dropped\":0},\"out\":{\"packets\":190,\"bytes\":98000,"
	       "\"dropped\":0},\"flags\":{\"fin\":4,\"syn\":4,\"rst\":0,\"psh\":20,"
	       "\"ack\":386,\"urg\":0,\"ece\":0,\"cwr\":0},\"listener\":{\"pid\":812,"
	       "\"comm\":\"ng?nx\",\"address\":\"0.0.0.0\"}},{\"proto\":\"udp\","
	       "\"port\":65535,\"service\":\"\",\"range\":\"dynamic\","
	       "\"in\":{\"packets\":40,\"bytes\":2400,\"dropped\":30},"
	       "\"out\":{\"packets\":18446744073709551615,"
	       "\"bytes\":18446744073709551615,\"dropped\":10},\"flags\":{\"fin\":0,"
	       "\"syn\":0,\"rst\":0,\"psh\":0,\"ack\":0,\"urg\":0,\"ece\":0,\"cwr\":0},"
	       "\"listener\":null}]}\n");
}

static void json_of_rules(void **state)
{
	char *buf;
	size_t n;
	FILE *f = open_memstream(&buf, &n);

	(void)state;
	expect_json(pg_json_rules(f, &snap, NULL), f, &buf,
	       "{\"chains\":[{\"table\":\"filter\",\"name\":\"INPUT\",\"policy\":\"DROP\",\"packets\":90,"
	       "\"bytes\":5000,\"rules\":[{\"num\":1,\"drops\":false,"
	       "\"spec\":\"-p tcp -m tcp --dport 443 -m comment --comment \\\"web?[31m ? \\\\\\\"x\\\\\\\" é\\\" -j ACCEPT\","
	       "\"packets\":200,\"bytes\":15000},{\"num\":2,\"drops\":true,\"spec\":\"-p tcp -j DROP\","
	       "\"packets\":0,\"bytes\":0}]},{\"table\":\"filter\",\"name\":\"FORWARD\","
	       "\"policy\":\"ACCEPT\",\"packets\":0,\"bytes\":0,\"rules\":[]},"
	       "{\"table\":\"filter\",\"name\":\"OUTPUT\",\"policy\":\"ACCEPT\",\"packets\":0,\"bytes\":0,"
	       "\"rules\":[]}],\"time_ms\":0}\n");
}

static void json_of_nothing(void **state)
{
	char *buf;
	size_t n;
	FILE *f = open_memstream(&buf, &n);

	(void)state;
	expect_json(pg_json_ports(f, &nothing, &all_ports, NULL), f, &buf,
	       "{\"ports\":[]}\n");
	f = open_memstream(&buf, &n);
	expect_json(pg_json_status(f, &nothing, NULL), f, &buf,
	       "{\"version\":\"0.1.0\",\"kernel\":\"6.1.0\",\"kernel_lacks\":null,\"state_dir\":\"/run/test\","
	       "\"interfaces\":[],\"policy\":{\"generation\":0,\"rules\":0,\"terms\":0,"
	       "\"classes\":0,\"classifier\":\"empty\",\"memory_bytes\":0,"
	       "\"confirm_deadline_s\":null,\"taken_back\":null,\"shadow\":false,\"shadow_since\":null,"
	       "\"shadow_stopped\":false},"
	       "\"flows\":{\"count\":0,\"capacity\":0,\"half_open\":0,\"half_open_capacity\":0,"
	       "\"evicted\":0,\"half_open_evicted\":0,\"refused\":0,\"half_open_refused\":0,"
	       "\"created\":0,\"half_open_created\":0,\"collected\":0,\"half_open_collected\":0,"
	       "\"picked_up\":0,\"out_of_window\":0,\"memory_bytes\":0,\"tracking\":false,"
	       "\"track\":\"auto\",\"strict\":false,\"liberal\":false},\"log\":{\"lost\":0},"
	       "\"memory_bytes\":0}\n");
}

static void json_has_every_reason(void **state)
{
	char *buf;
	size_t n;
	FILE *f = open_memstream(&buf, &n);
	struct json_object *doc, *reasons, *one, *value;

	(void)state;
	assert_int_equal(pg_json_reasons(f, &snap, NULL), 0);
	fclose(f);
	doc = json_tokener_parse(buf);
	assert_true(json_object_object_get_ex(doc, "reasons", &reasons));
	assert_int_equal(json_object_array_length(reasons), _PG_REASON_MAX);
	one = json_object_array_get_idx(reasons, PG_REASON_SHORT_L4);
	assert_true(json_object_object_get_ex(one, "name", &value));
	assert_string_equal(json_object_get_string(value), "short-l4");
	assert_true(json_object_object_get_ex(one, "packets", &value));
	assert_int_equal(json_object_get_int64(value), 10);
	assert_true(json_object_object_get_ex(one, "bytes", &value));
	assert_int_equal(json_object_get_int64(value), 1000);
	json_object_put(doc);
	free(buf);
}

static void json_of_a_replay(void **state)
{
	struct pg_replay_sums *sums = calloc(1, sizeof(*sums));
	char *buf;
	size_t n;
	FILE *f = open_memstream(&buf, &n);

	(void)state;
	assert_non_null(sums);
	sums->frames = 5;
	sums->cut = 1;
	sums->skipped = 1;
	sums->verdict[PG_VERDICT_ACCEPT] = 3;
	sums->verdict[PG_VERDICT_DROP] = 1;
	sums->reason[PG_REASON_POLICY] = 3;
	sums->reason[PG_REASON_SHORT_HEADER] = 1;
	sums->ethertype[0] = 1;
	sums->ethertype[0x800] = 2;
	sums->ethertype[0x8100] = 1;
	sums->vlans[0] = 3;
	sums->vlans[2] = 1;
	sums->l4[6] = 2;
	sums->l4[17] = 1;
	sums->frag[PG_FRAG_LATER] = 1;
	expect_json(pg_json_replay(f, sums, NULL, &nothing, NULL), f, &buf,
	       "{\"frames\":5,\"skipped\":1,\"cut\":1,\"verdicts\":{\"accept\":3,"
	       "\"drop\":1,\"reject\":0},\"reasons\":{\"rule\":0,\"policy\":3,"
	       "\"non-ip\":0,\"arp\":0,\"gratuitous-arp\":0,\"rarp\":0,"
	       "\"short-header\":1,\"too-many-vlans\":0,\"bad-arp\":0,\"bad-version\":0,"
	       "\"bad-ihl\":0,\"bad-length\":0,\"truncated\":0,\"bad-checksum\":0,"
	       "\"ext-too-long\":0,\"ext-broken\":0,\"short-l4\":0,\"tiny-fragment\":0,"
	       "\"bad-doff\":0,\"split-header\":0,\"internal\":0,\"forwarded\":0,\"packet-socket\":0,"
	       "\"early-fragment\":0,\"fragment-overlap\":0,\"killed\":0,\"mark-lost\":0},"
	       "\"ethertypes\":{\"none\":1,\"0x0800\":2,\"0x8100\":1},"
	       "\"vlans\":{\"none\":3,\"1\":0,\"2\":1},\"l4\":{\"6\":2,\"17\":1},"
	       "\"fragments\":{\"first\":0,\"later\":1,\"atomic\":0},"
	       "\"rules\":{\"chains\":[{\"table\":\"filter\",\"name\":\"INPUT\",\"policy\":\"ACCEPT\","
	       "\"packets\":0,\"bytes\":0,\"rules\":[]},{\"table\":\"filter\",\"name\":\"FORWARD\","
	       "\"policy\":\"ACCEPT\",\"packets\":0,\"bytes\":0,\"rules\":[]},"
	       "{\"table\":\"filter\",\"name\":\"OUTPUT\",\"policy\":\"ACCEPT\",\"packets\":0,\"bytes\":0,"
	       "\"rules\":[]}]},\"flows\":0,\"differences\":0,\"states\":{\"transitions\":[],"
	       "\"impossible_flags\":{\"null\":0,\"syn-fin\":0,\"syn-rst\":0,\"xmas\":0,\"fin-without-ack\":0},"
	       "\"ports\":[]},\"ports\":[]}\n");
	free(sums);
}

static void port_filters_are_strict(void **state)
{
	static const char *const wrong[] = {
		"", "80abc", "-1", "65536", "80-", "-80", "81-80", "80/", "80/sctp", "/tcp", "TCP",
		"1-2-3", "80/tcp/udp", "+80", " 80", "99999999999999999999999999999999999999999",
	};
	struct pg_port_filter f = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(pg_port_filter_from_str(wrong[i], &f), -EINVAL);
	assert_int_equal(pg_port_filter_from_str("8000:8010/udp", &f), 0);
	assert_int_equal(f.lo, 8000);
	assert_int_equal(f.hi, 8010);
	assert_false(f.any_proto);
	assert_int_equal(f.proto, PG_PORT_UDP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_in_one_line_where_there_is_room),
		cmocka_unit_test(ports_fold_flags_and_listener_below_on_80_columns),
		cmocka_unit_test(ports_filter_and_sort),
		cmocka_unit_test(reasons_that_counted),
		cmocka_unit_test(rules_with_their_chain),
		cmocka_unit_test(status_of_two_interfaces),
		cmocka_unit_test(status_warns_of_full_tables),
		cmocka_unit_test(status_warns_where_departures_are_not_seen),
		cmocka_unit_test(views_of_nothing),
		cmocka_unit_test(json_of_status),
		cmocka_unit_test(json_of_ports),
		cmocka_unit_test(json_of_rules),
		cmocka_unit_test(json_of_nothing),
		cmocka_unit_test(json_has_every_reason),
		cmocka_unit_test(json_of_a_replay),
		cmocka_unit_test(port_filters_are_strict),
	};

	return cmocka_run_group_tests_name("view", tests, make_policies, free_policies);
}
