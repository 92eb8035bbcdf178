/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "judge.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf/oracle.h"
#include "flows.h"

enum { DIFFERENCES_MAX = 5, FRAMES_MAX = 8192 };

/* One rule set's: what both sides said, and who is asked to say it. */
struct hearing {
	struct judge *judge;
	const struct rules *rules;
	char *text;
	struct oracle_count *count;
	const struct frame *frame;
	const struct kernel_verdict *kernel;
};

/* What portguard or the oracle made of a frame, in the kernel's terms. */
struct opinion {
	const char *whose;
	enum pg_verdict verdict;
	enum pg_reason reason;
	bool asked; /* it came to the rules */
	const struct rule_line *line; /* that decided */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* The kernel may drop these before any filter, for reasons that portguard does not share. */
static bool ip6_business(const struct frame *f)
{
	static const uint8_t loopback[16] = { [15] = 1 };
	const uint8_t *ip = f->data + 14;

	if (f->data[12] != 0x86 || f->data[13] != 0xdd || f->len < 54)
		return false;
	return ip[6] == 0 || ip[8] == 0xff || ip[24] == 0xff || !memcmp(ip + 8, loopback, 16) ||
	       !memcmp(ip + 24, loopback, 16);
}

/* Is b of a's connection: 1, 0, or -1 the other way? Of frames that flows.c makes. */
static int same_talk(const struct frame *a, const struct frame *b, bool v6)
{
	size_t at = v6 ? 22 : 26, n = v6 ? 16 : 4, ports = v6 ? 54 : 34, proto = v6 ? 20 : 23;
	const uint8_t *x = a->data, *y = b->data;

	if (a->len < ports + 4 || b->len < ports + 4 || x[proto] != y[proto])
		return 0;
	if (!memcmp(x + at, y + at, 2 * n) && !memcmp(x + ports, y + ports, 4))
		return 1;
	if (!memcmp(x + at, y + at + n, n) && !memcmp(x + at + n, y + at, n) &&
	    !memcmp(x + ports, y + ports + 2, 2) && !memcmp(x + ports + 2, y + ports, 2))
		return -1;
	return 0;
}

static uint32_t word_at(const struct frame *f, size_t at)
{
	uint32_t word = 0;

	for (size_t i = at; i < at + 4 && at + 4 <= f->len; i++)
		word = word << 8 | f->data[i];
	return word;
}

/* What led to a connection's state: its frames, the last ones, and what the kernel made of them. */
static void tell_history(const struct hearing *h, size_t last)
{
	enum { HISTORY = 30 };
	size_t from = last, n = 0, tcp = h->rules->v6 ? 54 : 34;

	for (; from && n < HISTORY; from--)
		n += same_talk(&h->frame[last], &h->frame[from - 1], h->rules->v6) != 0;
	for (size_t i = from; i <= last; i++) {
		const struct frame *f = &h->frame[i];
		int way = same_talk(&h->frame[last], f, h->rules->v6);

		if (!way)
			continue;
		fprintf(stderr, "  %4zu %s ", i + 1, way > 0 ? "->" : "<-");
		if (f->data[tcp - (h->rules->v6 ? 34 : 11)] == IPPROTO_SCTP)
			fprintf(stderr, "tag %u chunk %08x %u", word_at(f, tcp + 4),
				word_at(f, tcp + 12), word_at(f, tcp + 16));
		else
			fprintf(stderr, "flags %02x seq %u ack %u",
				f->len > tcp + 13 ? f->data[tcp + 13] : 0, word_at(f, tcp + 4),
				word_at(f, tcp + 8));
		fprintf(stderr, ": state %x, by %u\n", h->kernel[i].state,
			h->kernel[i].decided ? h->kernel[i].number : 0);
	}
}

static void differ(struct hearing *h, const struct frame *f, const char *what)
{
	fprintf(stderr, "%s\n%s, frame ", what, h->judge->where);
	for (size_t i = 0; f && i < f->len; i++)
		fprintf(stderr, "%02x", f->data[i]);
	fprintf(stderr, "\n%s%s\n", h->rules->sets ? h->rules->sets : "", h->text);
	if (++h->judge->differences >= DIFFERENCES_MAX)
		exit(1);
}

static const char *const names[] = {
	[JUDGED_XDP] = "portguard",
	[JUDGED_GENERAL] = "portguard's general path",
	[JUDGED_TC] = "portguard under TC",
};

static enum pg_verdict verdict_of(const struct rule_line *line)
{
	if (line->accepts)
		return PG_VERDICT_ACCEPT;
	return strncmp(line->target, "-j REJECT", 9) ? PG_VERDICT_DROP : PG_VERDICT_REJECT;
}

static bool same(const struct kernel_verdict *k, const struct rules *rules, const struct opinion *o)
{
	if (!k->seen)
		return !o->asked && o->verdict == PG_VERDICT_DROP;
	if (!o->asked)
		return false;
	if (!k->decided)
		return o->verdict == PG_VERDICT_DROP && o->reason != PG_REASON_RULE &&
		       o->reason != PG_REASON_POLICY;
	if (!k->number)
		return o->reason == PG_REASON_POLICY &&
		       o->verdict == (rules->drop ? PG_VERDICT_DROP : PG_VERDICT_ACCEPT);
	if (o->reason != PG_REASON_RULE || !o->line || o->line->number != k->number)
		return false;
	return o->verdict == verdict_of(o->line);
}

static void compare(struct hearing *h, size_t i, const struct opinion *o)
{
	const struct kernel_verdict *k = &h->kernel[i];
	char what[256];

	if (same(k, h->rules, o))
		return;
	snprintf(what, sizeof(what), "kernel: seen %d decided %d by %u; %s: verdict %d reason %d asked %d "
		 "by %u (of the rules that decide)", k->seen, k->decided, k->number, o->whose,
		 o->verdict, o->reason, o->asked, o->line ? o->line->number : 0);
	if (h->rules->tracks)
		tell_history(h, i);
	differ(h, &h->frame[i], what);
}

static bool is_malformed(enum pg_reason reason)
{
	switch (reason) {
	case PG_REASON_RULE:
	case PG_REASON_POLICY:
	case PG_REASON_SHORT_L4:
	case PG_REASON_TINY_FRAGMENT:
	case PG_REASON_EXT_BROKEN:
		return false;
	default:
		return true;
	}
}

static void ask_oracle(struct hearing *h, size_t i)
{
	struct judge *j = h->judge;
	struct opinion o = { .whose = "oracle" };
	struct oracle_result r;

	oracle_run(j->portguard[0].set, j->iface, PG_DIR_IN, h->frame[i].data, h->frame[i].len, h->count,
		   &r);
	o.verdict = r.verdict;
	o.reason = r.reason;
	o.asked = r.asked;
	if (r.reason == PG_REASON_RULE && r.rule)
		o.line = rules_line(h->rules, 0, r.rule - 1);
	compare(h, i, &o);
}

/* The line of the rule that decided, in chains of either side's order. */
static const struct rule_line *decided_by(const struct hearing *h, const struct harness *p,
					  const struct pg_trace *trace)
{
	const struct pg_chain *chain;
	size_t rule = harness_decided(p, trace, &chain);

	for (size_t c = 0; rule && c < h->rules->n; c++)
		if (h->rules->chain[c].raw == (chain->table == PG_TABLE_RAW) &&
		    !strcmp(h->rules->chain[c].name, chain->name))
			return rules_line(h->rules, c, rule - 1);
	return NULL;
}

/* Where portguard was asked for it; how the two have come to it is the same for all its programs. */
static void compare_state(struct hearing *h, size_t i, const char *whose, unsigned state)
{
	char what[128];

	if (h->kernel[i].state == state)
		return;
	snprintf(what, sizeof(what), "state of frame %zu: kernel %x, %s %x (of the PG_CT_* bits)", i + 1,
		 h->kernel[i].state, whose, state);
	tell_history(h, i);
	differ(h, &h->frame[i], what);
}

/* Conditions are asked for about few frames: that is a policy each. States are not repeated for it. */
#define ASK_EVERY 1000

static void ask_explain(struct hearing *h, size_t i, const struct pg_trace *trace)
{
	const struct frame *f = &h->frame[i];
	bool ask = i % ASK_EVERY == ASK_EVERY / 2 && !h->rules->tracks;
	const char *wrong = explained_frame(&h->judge->explained, &h->judge->portguard[JUDGED_GENERAL],
					    trace, f->data, f->len, ask);

	if (wrong)
		differ(h, f, wrong);
}

static void ask_portguard(struct hearing *h, size_t i, enum judged which)
{
	struct harness *p = &h->judge->portguard[which];
	const struct frame *f = &h->frame[i];
	struct opinion o = { .whose = names[which] };
	struct pg_trace trace = { 0 };

	/* Frames that test runs of TC don't take are those without anything behind Ethernet's header. */
	if (which != JUDGED_TC)
		harness_run(p, PG_DIR_IN, f->data, f->len, &trace);
	else if (!harness_try_run_tc(p, f->data, f->len, &trace) && !h->kernel[i].seen)
		return;
	o.verdict = trace.verdict;
	o.reason = trace.reason;
	o.asked = !is_malformed(trace.reason);
	if (trace.reason == PG_REASON_RULE)
		o.line = decided_by(h, p, &trace);
	compare(h, i, &o);
	if (which == JUDGED_GENERAL)
		ask_explain(h, i, &trace);
	if (trace.ct_state && h->rules->tracks && pg_dp_policy_tracks(p->dp))
		compare_state(h, i, names[which], trace.ct_state);
}

static void tally(struct judge *j, const struct kernel_verdict *k)
{
	j->verdicts++;
	if (!k->seen)
		j->before++;
	else if (!k->decided)
		j->hotdrops++;
	else if (k->number)
		j->by_rule++;
	else
		j->by_policy++;
}

static void compare_count(struct hearing *h, size_t chain, size_t i, const struct kernel_count *k,
			  const char *whose, uint64_t packets, uint64_t bytes)
{
	const struct rule_line *line = rules_line(h->rules, chain, i);
	char what[1024];

	if (k->packets == packets && k->bytes == bytes)
		return;
	snprintf(what, sizeof(what), "counters of rule %zu of %s: kernel %llu:%llu, %s %llu:%llu:%s %s",
		 i + 1, h->rules->chain[chain].name, (unsigned long long)k->packets,
		 (unsigned long long)k->bytes, whose, (unsigned long long)packets,
		 (unsigned long long)bytes, line->spec, line->target);
	differ(h, NULL, what);
}

static void compare_rule(struct hearing *h, size_t chain, size_t i, const struct kernel_count *k)
{
	struct judge *j = h->judge;

	j->rules++;
	j->rules_hit += k->packets != 0;
	for (enum judged p = 0; p < _JUDGED_MAX; p++) {
		const struct rule_chain *named = &h->rules->chain[chain];
		const struct pg_chain *c = pg_ruleset_chain(j->portguard[p].set,
							    named->raw ? PG_TABLE_RAW : PG_TABLE_FILTER,
							    named->name);
		struct pg_count ours;

		pg_dp_slot_read(j->portguard[p].dp, c->rule[i].slot, &ours);
		if (p == JUDGED_GENERAL && !explained_counts(&j->explained, &j->portguard[p],
							     &c->rule[i], k->packets))
			differ(h, NULL, "explain: a rule has not matched as often as the kernel says");
		compare_count(h, chain, i, k, names[p], ours.packets, ours.bytes);
	}
	if (j->with_oracle)
		compare_count(h, chain, i, k, "oracle", h->count[i].packets, h->count[i].bytes);
}

static void compare_counts(struct hearing *h)
{
	size_t n, at = 0;
	struct kernel_count *kernel = kernel_counts(h->judge->kernel, h->rules, &n);

	for (size_t c = 0; c < h->rules->n; c++)
		for (size_t i = 0; i < rules_count(h->rules, c); i++)
			compare_rule(h, c, i, &kernel[at++]);
	free(kernel);
}

static void make_flows(struct judge *j, struct gen *g, bool v6, struct frame *frame, size_t n)
{
	struct flows *flows = flows_new(g, v6, j->windows, j->sctp);

	for (size_t i = 0; i < n; i++)
		flows_frame(flows, kernel_mac(j->kernel), i + 1, &frame[i]);
	flows_free(flows);
}

/* Comes to INPUT of a host that has all addresses, and whole: the kernel's tracking joins fragments. */
static bool is_to_host(const uint8_t *frame, bool v6, bool sctp)
{
	const uint8_t *ip = frame + 14;

	if (!sctp && ip[v6 ? 6 : 9] == IPPROTO_SCTP)
		return false;
	if (v6)
		return ip[6] != 0 && ip[6] != 44 && ip[8] != 0xff && ip[24] != 0xff && ip[8] && ip[24];
	for (unsigned at = 12; at <= 16; at += 4)
		if (ip[at] == 0 || ip[at] == 127 || ip[at] >= 224 || !memcmp(ip + at, "\xff\xff\xff\xff", 4))
			return false;
	return !(ip[6] & 0x3f) && !ip[7];
}

static bool is_stricter(const struct judge *j, const struct pg_ruleset *empty, const uint8_t *data, size_t len)
{
	struct oracle_count count[1] = { 0 };
	struct oracle_result o;

	oracle_run(empty, j->iface, PG_DIR_IN, data, len, count, &o);
	return o.stricter;
}

/* Returns how many, at most `max`. */
static size_t replay_captures(const struct judge *j, const struct captures *captures, bool v6,
			      struct frame *frame, size_t max)
{
	struct pg_ruleset *empty = pg_ruleset_new();
	size_t n = 0, len;

	for (size_t i = 0; i < captures_count(captures, v6) && n < max; i++) {
		const uint8_t *data = captures_at(captures, v6, i, &len);

		if (!is_to_host(data, v6, j->sctp) || is_stricter(j, empty, data, len))
			continue;
		frame_readdress(data, len, kernel_mac(j->kernel), n + 1, &frame[n]);
		n++;
	}
	pg_ruleset_free(empty);
	return n;
}

/* Frames that portguard decides to be stricter about are replaced by others. */
static void make_frames(struct judge *j, struct aim *aim, struct frame *frame, size_t n)
{
	struct pg_ruleset *empty = pg_ruleset_new();

	for (size_t i = 0; i < n; i++)
		do {
			aim_frame(aim, kernel_mac(j->kernel), i + 1, &frame[i]);
		} while (is_stricter(j, empty, frame[i].data, frame[i].len));
	pg_ruleset_free(empty);
}

/* As in the kernel, no association is to expire in a round: see test_referee.sh. */
static void forget_flows(struct harness *p)
{
	harness_forget_flows(p);
	for (int i = PG_TIMEOUT_SCTP_ESTABLISHED; i <= PG_TIMEOUT_SCTP_HEARTBEAT_SENT; i++)
		pg_dp_timeout_set(p->dp, (enum pg_timeout)i, 600);
}

static void load(struct hearing *h)
{
	struct judge *j = h->judge;

	if (!kernel_load(j->kernel, h->rules)) {
		fprintf(stderr, "%s\n%s%s\nreferee: iptables refused its rules\n", j->where,
			h->rules->sets ? h->rules->sets : "", h->text);
		exit(1);
	}
	for (enum judged p = 0; p < _JUDGED_MAX; p++) {
		harness_load_sets(&j->portguard[p], h->rules->sets);
		harness_load_as(&j->portguard[p], h->rules->v6 ? PG_V6 : PG_V4, h->text);
		if (h->rules->tracks)
			forget_flows(&j->portguard[p]);
	}
	explained_begin(&j->explained, &j->portguard[JUDGED_GENERAL]);
	harness_load_sets(&j->explained.probe, h->rules->sets);
	h->count = calloc(harness_input(&j->portguard[0])->n_rules + 1, sizeof(*h->count));
	if (!h->count)
		abort();
}

void judge_rules(struct judge *j, struct gen *g, const struct rules *rules,
		 const struct captures *captures, size_t n)
{
	static struct frame frame[FRAMES_MAX];
	static struct kernel_verdict verdict[FRAMES_MAX];
	struct hearing h = { .judge = j, .rules = rules, .text = rules_text(rules), .frame = frame,
			     .kernel = verdict };
	struct aim *aim = aim_new(g, rules, captures);
	double start = now(), made, loaded, ran;

	if (j->replays)
		n = replay_captures(j, captures, rules->v6, frame, FRAMES_MAX);
	else if (rules->tracks)
		make_flows(j, g, rules->v6, frame, n);
	else
		make_frames(j, aim, frame, n);
	made = now();
	load(&h);
	loaded = now();
	kernel_run(j->kernel, rules->v6, frame, n, verdict);
	ran = now();
	for (size_t i = 0; i < n; i++) {
		if (!verdict[i].seen && ip6_business(&frame[i])) {
			j->skipped++;
			continue;
		}
		tally(j, &verdict[i]);
		if (j->with_oracle)
			ask_oracle(&h, i);
		for (enum judged p = 0; p < _JUDGED_MAX; p++)
			ask_portguard(&h, i, p);
	}
	compare_counts(&h);
	j->frames_s += made - start;
	j->load_s += loaded - made;
	j->kernel_s += ran - loaded;
	j->portguard_s += now() - ran;
	j->rule_sets++;
	aim_free(aim);
	free(h.count);
	free(h.text);
}

void judge_report(const struct judge *j)
{
	printf("referee: %lu rule sets, %lu verdicts (%lu by a rule, %lu by the policy, %lu dropped on "
	       "the spot by a match, %lu before the filter), %lu not compared, %lu differences\n",
	       j->rule_sets, j->verdicts, j->by_rule, j->by_policy, j->hotdrops, j->before, j->skipped,
	       j->differences);
	printf("referee: packets met %lu of %lu rules\n", j->rules_hit, j->rules);
	printf("referee: %lu frames explained by %lu rules, %lu of these with the condition that failed\n",
	       j->explained.frames, j->explained.rows, j->explained.asked);
	printf("referee: %.1f s for frames, %.1f s for loading, %.1f s in the kernel, %.1f s in portguard "
	       "and comparing\n", j->frames_s, j->load_s, j->kernel_s, j->portguard_s);
}
