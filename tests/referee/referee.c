/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * referee FROM_NETNS FROM_IF TO_IF: random rules and frames through iptables-legacy, portguard and
 * the oracle; every verdict, the rule that decided and every rule's counters must be the same.
 * PG_N verdicts (20 000), PG_SEED. test_referee.sh builds the namespaces around it.
 *
 * Frames that portguard drops although the kernel would not are not compared, by decision of
 * portguard's: a TCP data offset below 20 bytes (bad-doff), and more than 12 IPv6 extension
 * headers (ext-too-long). Frames that the kernel's IPv6 layer drops before its filter for what is
 * no filter's business (options of a leading hop-by-hop header, multicast sources and the like)
 * aren't either; they are counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/harness.h"
#include "bpf/oracle.h"
#include "kernel.h"
#include "pkt.h"

enum { RULES_MAX = 200, FRAMES = 120, FRAME_MAX = 2048, DIFFERENCES_MAX = 5, ROWS_MAX = 4096 };

struct frame {
	size_t len;
	uint8_t data[FRAME_MAX];
};

struct referee {
	struct gen gen;
	uint64_t seed;
	struct kernel *kernel;
	struct harness portguard;
	char iface[16];
	struct frame frame[FRAMES];
	struct kernel_verdict verdict[FRAMES];
	unsigned long verdicts, rules, before, hotdrops, policy, skipped, differences;
};

/* Whether the kernel may drop it before any filter for reasons that portguard does not share. */
static bool ip6_business(const struct frame *f)
{
	const uint8_t *ip = f->data + 14;

	if (f->data[12] != 0x86 || f->data[13] != 0xdd || f->len < 54)
		return false;
	return ip[6] == 0 || ip[8] == 0xff || ip[24] == 0xff;
}

static void describe(const struct referee *t, const char *text, const struct frame *f,
		     const char *what)
{
	fprintf(stderr, "%s\nseed %llu, frame ", what, (unsigned long long)t->seed);
	for (size_t i = 0; i < f->len; i++)
		fprintf(stderr, "%02x", f->data[i]);
	fprintf(stderr, "\n%s\n", text);
}

static void differ(struct referee *t, const char *text, const struct frame *f, const char *what)
{
	describe(t, text, f, what);
	if (++t->differences >= DIFFERENCES_MAX)
		exit(1);
}

/* Rule `i` of the ruleset, by the number of the text line that it comes from. */
static size_t line_of(const struct gen_rules *rules, size_t number)
{
	size_t n = 0;

	for (size_t i = 0; i < rules->n; i++) {
		n += rules->rule[i].expands;
		if (number <= n)
			return number ? i + 1 : 0;
	}
	return 0;
}

/* The kernel's verdict in the oracle's terms. */
static bool same(const struct kernel_verdict *k, const struct gen_rules *rules, bool asked,
		 enum pg_reason reason, enum pg_verdict verdict, size_t rule)
{
	bool accept;

	if (!k->seen)
		return !asked && verdict == PG_VERDICT_DROP;
	if (!asked)
		return false;
	if (!k->decided)
		return verdict == PG_VERDICT_DROP && reason != PG_REASON_RULE &&
		       reason != PG_REASON_POLICY;
	accept = k->rule ? rules->rule[k->rule - 1].target[0] == 'A' : !rules->drop;
	return reason == (k->rule ? PG_REASON_RULE : PG_REASON_POLICY) &&
	       verdict == (accept ? PG_VERDICT_ACCEPT : PG_VERDICT_DROP) &&
	       line_of(rules, rule) == k->rule;
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

static void judge(struct referee *t, const struct gen_rules *rules, const char *text, size_t i,
		  struct oracle_count *count)
{
	const struct kernel_verdict *k = &t->verdict[i];
	const struct frame *f = &t->frame[i];
	struct oracle_result o;
	struct pg_trace trace;
	char what[256];
	size_t rule;

	if (!k->seen && ip6_business(f)) {
		t->skipped++;
		return;
	}
	oracle_run(t->portguard.set, t->iface, f->data, f->len, count, &o);
	harness_run(&t->portguard, PG_DIR_IN, f->data, f->len, &trace);
	rule = trace.reason == PG_REASON_RULE ? harness_rule(&t->portguard, &trace) : 0;
	t->verdicts++;
	t->before += !k->seen;
	t->hotdrops += k->seen && !k->decided;
	t->policy += k->seen && k->decided && !k->rule;
	t->rules += k->seen && k->decided && k->rule;
	if (!same(k, rules, o.asked, o.reason, o.verdict, o.rule)) {
		snprintf(what, sizeof(what), "kernel: seen %d decided %d rule %zu; oracle: "
			 "verdict %d reason %d rule %zu (line %zu)", k->seen, k->decided, k->rule,
			 o.verdict, o.reason, o.rule, line_of(rules, o.rule));
		differ(t, text, f, what);
	}
	if (!same(k, rules, !is_malformed(trace.reason), trace.reason, trace.verdict, rule)) {
		snprintf(what, sizeof(what), "kernel: seen %d decided %d rule %zu; portguard: "
			 "verdict %d reason %d rule %zu (line %zu)", k->seen, k->decided, k->rule,
			 trace.verdict, trace.reason, rule, line_of(rules, rule));
		differ(t, text, f, what);
	}
}

static bool holds_for(const struct pg_rule *r, bool v6)
{
	return pg_rule_families(r) & (v6 ? PG_V6 : PG_V4);
}

static void compare_counts(struct referee *t, const char *text, bool v6,
			   const struct oracle_count *oracle)
{
	static struct kernel_count kernel[ROWS_MAX];
	size_t n = kernel_counts(t->kernel, v6, kernel, ROWS_MAX), at = 0;
	const struct pg_chain *input = harness_input(&t->portguard);
	char what[256];

	for (size_t i = 0; i < input->n_rules; i++) {
		struct pg_count ours = harness_count(&t->portguard, i + 1);
		struct kernel_count k = { 0 };

		if (holds_for(&input->rule[i], v6) && at < n)
			k = kernel[at++];
		if (k.packets == oracle[i].packets && k.bytes == oracle[i].bytes &&
		    k.packets == ours.packets && k.bytes == ours.bytes)
			continue;
		snprintf(what, sizeof(what), "counters of rule %zu: kernel %llu:%llu, oracle "
			 "%llu:%llu, portguard %llu:%llu", i + 1, (unsigned long long)k.packets,
			 (unsigned long long)k.bytes, (unsigned long long)oracle[i].packets,
			 (unsigned long long)oracle[i].bytes, (unsigned long long)ours.packets,
			 (unsigned long long)ours.bytes);
		differ(t, text, &t->frame[0], what);
	}
	if (at != n) {
		snprintf(what, sizeof(what), "the kernel has %zu rules, portguard %zu", n, at);
		differ(t, text, &t->frame[0], what);
	}
}

/* Frames that portguard decides to be stricter about are replaced by others. */
static void make_frame(struct referee *t, bool v6, size_t i)
{
	struct gen_frame_opts opts = { .v6 = v6, .plain = true, .dst = kernel_mac(t->kernel),
				       .number = i + 1 };
	struct pg_ruleset *empty = pg_ruleset_new();
	struct oracle_count count[1] = { 0 };
	struct frame *f = &t->frame[i];
	struct oracle_result o;

	do {
		f->len = gen_frame(&t->gen, &opts, f->data, FRAME_MAX);
		oracle_run(empty, t->iface, f->data, f->len, count, &o);
	} while (o.stricter);
	pg_ruleset_free(empty);
}

static void round_of(struct referee *t, bool v6)
{
	struct gen_rules *rules = gen_rules(&t->gen, RULES_MAX);
	char *text = gen_rules_text(rules);
	struct oracle_count *count;

	kernel_load(t->kernel, rules, v6);
	harness_load(&t->portguard, text);
	count = calloc(harness_input(&t->portguard)->n_rules + 1, sizeof(*count));
	if (!count)
		abort();
	for (size_t i = 0; i < FRAMES; i++) {
		make_frame(t, v6, i);
		kernel_send(t->kernel, i + 1, t->frame[i].data, t->frame[i].len);
	}
	kernel_verdicts(t->kernel, v6, t->verdict, FRAMES);
	for (size_t i = 0; i < FRAMES; i++)
		judge(t, rules, text, i, count);
	compare_counts(t, text, v6, count);
	free(count);
	free(text);
	free(rules);
}

int main(int argc, char **argv)
{
	unsigned long n = getenv("PG_N") ? strtoul(getenv("PG_N"), NULL, 10) : 20000;
	static struct referee t;
	struct pg_err err = { 0 };

	if (argc != 4) {
		fprintf(stderr, "usage: referee FROM_NETNS FROM_IF TO_IF\n");
		return 2;
	}
	t.seed = getenv("PG_SEED") ? strtoull(getenv("PG_SEED"), NULL, 10) : 20261120;
	t.gen.state = t.seed;
	printf("referee: seed %llu\n", (unsigned long long)t.seed);
	snprintf(t.iface, sizeof(t.iface), "%s", argv[3]);
	if (!harness_open(&t.portguard, t.iface, &err)) {
		fprintf(stderr, "referee: skipped: %s\n", err.text);
		return 77;
	}
	t.kernel = kernel_open(argv[1], argv[2], argv[3]);
	for (bool v6 = false; t.verdicts < n; v6 = !v6)
		round_of(&t, v6);
	printf("referee: %lu verdicts (%lu by a rule, %lu by the policy, %lu dropped on the spot by "
	       "a match, %lu before the filter), %lu not compared, %lu differences\n",
	       t.verdicts, t.rules, t.policy, t.hotdrops, t.before, t.skipped, t.differences);
	kernel_close(t.kernel);
	harness_close(&t.portguard);
	return t.differences != 0;
}
