/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Random policies of up to 8 193 rules in each of the compiled forms, against the oracle: verdict,
 * reason, deciding rule and all rules' counters, arriving and departing, with the fast path and without; and
 * the counters of programs as they are attached, whose fast path is another copy than the traced ones'.
 * What test_property.c makes is small and odd; this is long, and searched in ways that short ones are not.
 * PG_SEED and PG_POLICIES choose other ones and more.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gen.h"
#include "group.h"
#include "oracle.h"
#include "pkt.h"

enum { POLICIES = 130, FRAMES = 400, FRAME_MAX = 2048, POOL_MAX = 300, PASSING_MAX = 20 };

/* Around every number at which a form, a summary or a search's steps end. */
static const unsigned sizes[] = { 9,	  31,	64,   65,   129,  300,	700,
				  1023, 1100, 1500, 2500, 4095, 4097, 8193 };

static struct harness fast, general, attached;
static uint64_t seed;

struct addr {
	bool set;
	uint8_t value[16], mask[16];
};

struct range {
	bool set;
	unsigned lo, hi;
};

/* What a frame that meets the rule has. */
struct rule {
	bool v6, departs;
	uint8_t proto; /* 0: any */
	struct addr src, dst;
	struct range sport, dport;
	uint8_t flags_of, flags;
};

/* What the rules of one policy have in common: in per mille, how many have something. */
struct profile {
	unsigned v6, src, dst, inverted, gaps, iface, sport, flags, length, jumps, departs, any_port, any_proto;
	unsigned lengths, ports, pool; /* ways to choose */
	uint8_t base[2][POOL_MAX][16];
};

static bool mille(struct gen *g, unsigned n)
{
	return gen_below(g, 1000) < n;
}

#define PICK(g, ...)                                                                                  \
	(((const unsigned[]){ __VA_ARGS__ })[gen_below((g), sizeof((unsigned[]){ __VA_ARGS__ }) /       \
							    sizeof(unsigned))])

static const char *maybe_not(struct gen *g, unsigned n)
{
	return mille(g, n) ? " !" : "";
}

static void any_addr(struct gen *g, bool v6, uint8_t *ret)
{
	for (int i = 0; i < 16; i++)
		ret[i] = gen_below(g, 256);
	if (v6)
		memcpy(ret, "\x20\x01", 2);
	else if (ret[0] == 0 || ret[0] >= 224)
		ret[0] = 10;
}

static void choose_profile(struct gen *g, struct profile *p)
{
	*p = (struct profile){
		.v6 = PICK(g, 0, 0, 500, 1000),
		.src = PICK(g, 1000, 1000, 950, 700, 300, 0),
		.dst = PICK(g, 0, 0, 50, 500, 1000),
		.inverted = PICK(g, 0, 0, 2, 20, 60),
		.gaps = PICK(g, 0, 0, 0, 3, 20),
		.iface = PICK(g, 0, 0, 50, 500),
		.sport = PICK(g, 0, 0, 100, 600),
		.flags = PICK(g, 0, 0, 100, 400),
		.length = PICK(g, 0, 0, 50, 300),
		.jumps = PICK(g, 0, 0, 20),
		.departs = PICK(g, 0, 0, 300, 1000),
		.any_port = PICK(g, 0, 0, 100),
		.any_proto = PICK(g, 0, 0, 20),
		.lengths = gen_below(g, 6),
		.ports = gen_below(g, 3),
		.pool = PICK(g, 0, 0, 20, POOL_MAX),
	};
	if (!gen_below(g, 6)) { /* as in firewalls' sets: long prefixes across short ones, see homes.h */
		p->src = p->dst = 1000;
		p->lengths = PICK(g, 3, 4);
		p->pool = 0;
	}
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < POOL_MAX; i++)
			any_addr(g, v6, p->base[v6][i]);
}

/* Rules ---------------------------------------------------------------------------------------- */

static unsigned prefix_len(struct gen *g, const struct profile *p, unsigned bits)
{
	switch (p->lengths) {
	case 0:
		return bits / 4 + gen_below(g, bits - bits / 4 + 1);
	case 1:
		return bits * 3 / 4 + gen_below(g, bits / 4 + 1);
	case 2:
		return bits;
	case 3:
		return PICK(g, 0, 1, bits / 2 - 1, bits / 2, bits / 2 + 1, bits / 4 * 3, bits);
	case 4:
		return PICK(g, bits / 4 - 2, bits / 4, bits / 4, bits / 4 * 3, bits / 8 * 7, bits);
	default:
		return bits == 32 ? 24 + gen_below(g, 9) : PICK(g, 48, 56, 64, 64, 96, 128);
	}
}

static void flip(uint8_t *addr, unsigned bit)
{
	addr[bit / 8] ^= 0x80 >> bit % 8;
}

static void add_addr(struct gen *g, const struct profile *p, struct pg_text *t, const char *option, bool v6,
		     struct addr *a)
{
	unsigned bits = v6 ? 128 : 32;
	bool inverted = mille(g, p->inverted);
	unsigned len = inverted && gen_below(g, 2) ? 0 : prefix_len(g, p, bits); /* "! 0/0" never holds */
	char value[INET6_ADDRSTRLEN], mask[INET6_ADDRSTRLEN];

	a->set = true;
	if (p->pool)
		memcpy(a->value, p->base[v6][gen_below(g, p->pool)], 16);
	else
		any_addr(g, v6, a->value);
	if (p->pool && gen_below(g, 2))
		flip(a->value, gen_below(g, bits));
	for (unsigned i = 0; i < len; i++)
		flip(a->mask, i);
	if (mille(g, p->gaps)) {
		a->mask[gen_below(g, bits) / 8] = 0;
		a->mask[gen_below(g, bits) / 8] &= ~(1 << gen_below(g, 8));
	}
	for (unsigned i = 0; i < bits / 8; i++)
		a->value[i] &= a->mask[i];
	inet_ntop(v6 ? AF_INET6 : AF_INET, a->value, value, sizeof(value));
	inet_ntop(v6 ? AF_INET6 : AF_INET, a->mask, mask, sizeof(mask));
	pg_text_add(t, "%s %s %s/%s", inverted ? " !" : "", option, value, mask);
}

static void add_range(struct gen *g, struct pg_text *t, const char *option, unsigned inverted, unsigned how,
		      struct range *r)
{
	unsigned lo = how == 1 ? 1 + gen_below(g, 20) : gen_below(g, 20) ? gen_below(g, 65536) : 0;
	unsigned hi = lo + (how == 2 ? PICK(g, 0, 1, 50, 20000) : 0);

	*r = (struct range){ true, lo, hi > 65535 ? 65535 : hi };
	pg_text_add(t, "%s %s %u:%u", maybe_not(g, inverted), option, r->lo, r->hi);
}

static void add_flags(struct gen *g, struct pg_text *t, struct rule *r)
{
	static const struct {
		uint8_t of, set;
		const char *text;
	} flags[] = {
		{ PKT_SYN, PKT_SYN, "SYN SYN" },
		{ PKT_SYN | PKT_ACK | PKT_RST | PKT_FIN, PKT_SYN, "FIN,SYN,RST,ACK SYN" },
		{ PKT_SYN | PKT_ACK, PKT_ACK, "SYN,ACK ACK" },
		{ 0x3f, 0, "ALL NONE" },
		{ PKT_RST, 0, "RST NONE" },
	};
	unsigned i = gen_below(g, ARRAY_SIZE(flags));

	r->flags_of = flags[i].of;
	r->flags = flags[i].set;
	pg_text_add(t, "%s --tcp-flags %s", maybe_not(g, 200), flags[i].text);
}

static void add_l4(struct gen *g, const struct profile *p, struct pg_text *t, struct rule *r)
{
	const char *name = gen_below(g, 3) ? "tcp" : "udp";

	r->proto = *name == 't' ? 6 : 17;
	pg_text_add(t, " -p %s -m %s", name, name);
	if (mille(g, p->sport))
		add_range(g, t, "--sport", p->inverted, 2, &r->sport);
	if (!mille(g, p->any_port))
		add_range(g, t, "--dport", p->inverted / 4, p->ports, &r->dport);
	if (r->proto == 6 && mille(g, p->flags))
		add_flags(g, t, r);
}

/* `user`: in a user's chain. */
static void add_rule(struct gen *g, const struct profile *p, bool user, unsigned *passing, struct pg_text *t,
		     struct rule *r)
{
	static const char *const names[] = { "pgref0", "pgref+", "pgref1", "eth0", "pgref0+", "nosuch" };
	static const char *const lengths[] = { "0:60", "61:65535", "100:200" };

	*r = (struct rule){ .v6 = mille(g, p->v6), .departs = mille(g, user ? 500 : p->departs) };
	if (user)
		pg_text_add(t, "-A UC%u", gen_below(g, 3));
	else
		pg_text_add(t, "-A %s", r->departs ? "OUTPUT" : "INPUT");
	if (mille(g, p->src))
		add_addr(g, p, t, "-s", r->v6, &r->src);
	if (mille(g, p->dst))
		add_addr(g, p, t, "-d", r->v6, &r->dst);
	if (!r->src.set && !r->dst.set && gen_below(g, 3))
		pg_text_add(t, r->v6 ? " -6" : " -4");
	if (!user && mille(g, p->iface))
		pg_text_add(t, "%s -%c %s", maybe_not(g, 200), r->departs ? 'o' : 'i',
			    names[gen_below(g, ARRAY_SIZE(names))]);
	if (!mille(g, p->any_proto))
		add_l4(g, p, t, r);
	if (mille(g, p->length))
		pg_text_add(t, " -m length --length %s", lengths[gen_below(g, ARRAY_SIZE(lengths))]);
	/* Of those that let packets go on no more is taken than that, and few are enough. */
	if (*passing >= PASSING_MAX || !mille(g, 20))
		pg_text_add(t, " -j %s\n", gen_below(g, 2) ? "ACCEPT" : "DROP");
	else if ((*passing)++ && !user && mille(g, p->jumps * 40))
		pg_text_add(t, " -%c UC%u\n", gen_below(g, 4) ? 'j' : 'g', gen_below(g, 3));
	else
		pg_text_add(t, gen_below(g, 2) ? "\n" : " -j RETURN\n");
}

static char *make_policy(struct gen *g, const struct profile *p, size_t n, struct rule *rule)
{
	static const char *const policy[] = { "ACCEPT", "DROP" };
	struct pg_text t = { 0 };
	unsigned passing = 0;

	pg_text_add(&t, "*filter\n:INPUT %s [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT %s [0:0]\n",
		    policy[gen_below(g, 2)], policy[gen_below(g, 2)]);
	for (int i = 0; i < 3; i++)
		pg_text_add(&t, ":UC%d - [0:0]\n", i);
	for (size_t i = 0; i < n; i++)
		add_rule(g, p, p->jumps && i % 100 == 99, &passing, &t, &rule[i]);
	pg_text_add(&t, "COMMIT\n");
	assert_false(t.oom);
	return t.buf;
}

/* Frames --------------------------------------------------------------------------------------- */

/* One in the prefix, or at its edge and just out of it. */
static void meet_addr(struct gen *g, const struct addr *a, bool v6, char *text)
{
	unsigned bits = v6 ? 128 : 32, how = gen_below(g, 10), last = 0;
	uint8_t addr[16];

	any_addr(g, v6, addr);
	for (unsigned i = 0; a->set && i < bits; i++) {
		uint8_t bit = 0x80 >> i % 8;

		if (a->mask[i / 8] & bit) {
			addr[i / 8] = (addr[i / 8] & ~bit) | (a->value[i / 8] & bit);
			last = i;
		} else if (how < 2) {
			addr[i / 8] = (addr[i / 8] & ~bit) | (how ? bit : 0);
		}
	}
	if (how == 9)
		flip(addr, last);
	if (how == 8)
		flip(addr, gen_below(g, bits));
	inet_ntop(v6 ? AF_INET6 : AF_INET, addr, text, INET6_ADDRSTRLEN);
}

static unsigned meet_port(struct gen *g, const struct range *r)
{
	switch (r->set ? gen_below(g, 12) : 0) {
	case 0:
		return gen_below(g, 65536);
	case 1:
		return (r->hi + 1) & 0xffff;
	case 2:
		return (r->lo - 1) & 0xffff;
	case 3:
		return r->lo + gen_below(g, r->hi - r->lo + 1);
	default:
		return gen_below(g, 2) ? r->lo : r->hi;
	}
}

static size_t make_frame(struct gen *g, const struct rule *rule, size_t n, bool *ret_departs, uint8_t *buf)
{
	const struct rule *r = &rule[gen_below(g, n)], *other = &rule[gen_below(g, n)];
	int flags = gen_below(g, 256), cut = PKT_AUTO, fragment = 0;
	unsigned sport = meet_port(g, &r->sport), dport = meet_port(g, &r->dport);
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	struct pkt_layer layer[6] = { ETH() }, *l = layer + 1;

	meet_addr(g, other->v6 == r->v6 && mille(g, 100) ? &other->src : &r->src, r->v6, src);
	meet_addr(g, other->v6 == r->v6 && mille(g, 150) ? &other->dst : &r->dst, r->v6, dst);
	if (r->flags_of && gen_below(g, 3))
		flags = (flags & ~r->flags_of) | r->flags;
	*ret_departs = r->departs != mille(g, 50);
	if (!*ret_departs && mille(g, 30))
		cut = gen_below(g, 20);
	else if (!*ret_departs && mille(g, 30))
		fragment = 1 + gen_below(g, 200);
	if (r->v6) {
		*l++ = (struct pkt_layer)IP6(.src = src, .dst = dst);
		if (fragment)
			*l++ = (struct pkt_layer)FRAG6(.frag = fragment - 1);
	} else {
		*l++ = (struct pkt_layer)IP4(.src = src, .dst = dst, .frag = fragment);
	}
	if ((r->proto ? r->proto : PICK(g, 6, 17)) == 6)
		*l++ = (struct pkt_layer)TCP(.sport = sport, .dport = dport, .flags = flags, .cut = cut);
	else
		*l++ = (struct pkt_layer)UDP(.sport = sport, .dport = dport, .cut = cut);
	if (cut == PKT_AUTO)
		*l++ = (struct pkt_layer)PAYLOAD(PICK(g, 0, 10, 30, 100));
	*l = (struct pkt_layer){ .kind = PKT_END };
	return pkt_build(layer, buf, FRAME_MAX);
}

/* Comparing ------------------------------------------------------------------------------------ */

struct decided {
	const struct pg_chain *chain; /* only of a rule */
	size_t rule;
	unsigned verdict, reason;
};

static void differ(const char *way, const char *text, const uint8_t *frame, size_t len,
		   const struct decided *got, const struct decided *want)
{
	struct pg_text hex = { 0 };

	for (size_t i = 0; i < len; i++)
		pg_text_add(&hex, "%02x", frame[i]);
	fail_msg("seed %llu, %s: rule %s %zu verdict %u reason %u; oracle: %s %zu verdict %u reason %u\n"
		 "frame %s\n%s", (unsigned long long)seed, way, got->rule ? got->chain->name : "-", got->rule,
		 got->verdict, got->reason, want->rule ? want->chain->name : "-", want->rule, want->verdict,
		 want->reason, hex.buf, getenv("V") ? text : "(V=1 shows the rules)");
}

static void judge(struct harness *h, const char *text, const uint8_t *frame, size_t len, bool departs,
		  const struct oracle_result *o)
{
	struct decided want = { &h->set->chain[o->chain], o->rule, o->verdict, o->reason }, got = { 0 };
	struct pg_trace t;

	harness_run(h, departs ? PG_DIR_OUT : PG_DIR_IN, frame, len, &t);
	got.rule = harness_decided(h, &t, &got.chain);
	got.verdict = t.verdict;
	got.reason = t.reason;
	if (got.verdict != want.verdict || got.reason != want.reason || got.rule != want.rule ||
	    (got.rule && got.chain != want.chain))
		differ(h == &fast ? "fast path" : "general path", text, frame, len, &got, &want);
}

static void compare_counts(const char *way, struct harness *h, const struct oracle_count *want)
{
	for (size_t i = 0; i < h->set->n_chains; i++) {
		const struct pg_chain *c = &h->set->chain[i];

		if (c->table != PG_TABLE_FILTER)
			continue;
		for (size_t k = 0; k <= c->n_rules; k++) {
			const struct oracle_count *w = &want[oracle_counts(h->set, i) + k];
			struct pg_count got = { 0 };

			if (k == c->n_rules && i >= PG_CHAINS_BUILTIN)
				continue; /* of a user's chain nothing counts its end */
			pg_dp_slot_read(h->dp, k < c->n_rules ? c->rule[k].slot : c->slot, &got);
			if (got.packets != w->packets || got.bytes != w->bytes)
				fail_msg("seed %llu, %s: %s %zu counted %llu:%llu; oracle: %llu:%llu",
					 (unsigned long long)seed, way, c->name, k + 1,
					 (unsigned long long)got.packets, (unsigned long long)got.bytes,
					 (unsigned long long)w->packets, (unsigned long long)w->bytes);
		}
	}
}

static void one_policy(struct gen *g, size_t n, unsigned *forms)
{
	struct rule *rule = calloc(n, sizeof(*rule));
	struct oracle_count *count;
	struct pg_trace untold;
	struct oracle_result o;
	struct profile p;
	char *text;

	assert_non_null(rule);
	choose_profile(g, &p);
	text = make_policy(g, &p, n, rule);
	harness_load(&fast, text);
	harness_load(&general, text);
	harness_load(&attached, text);
	*forms |= 1U << fast.tables->gen.form;
	count = calloc(oracle_counts(fast.set, fast.set->n_chains), sizeof(*count));
	assert_non_null(count);
	for (unsigned i = 0; i < FRAMES; i++) {
		uint8_t frame[FRAME_MAX];
		bool departs;
		size_t len = make_frame(g, rule, n, &departs, frame);

		oracle_run(fast.set, fast.iface, departs ? PG_DIR_OUT : PG_DIR_IN, frame, len, count, &o);
		judge(&fast, text, frame, len, departs, &o);
		judge(&general, text, frame, len, departs, &o);
		harness_run(&attached, departs ? PG_DIR_OUT : PG_DIR_IN, frame, len, &untold);
	}
	compare_counts("fast", &fast, count);
	compare_counts("general", &general, count);
	compare_counts("attached", &attached, count);
	free(count);
	free(rule);
	free(text);
}

static void verdicts_and_counters_are_the_oracles(void **state)
{
	unsigned n = getenv("PG_POLICIES") ? strtoul(getenv("PG_POLICIES"), NULL, 10) : POLICIES, forms = 0;

	(void)state;
	for (unsigned i = 0; i < n; i++, seed++)
		one_policy(&(struct gen){ .state = seed }, sizes[seed % ARRAY_SIZE(sizes)], &forms);
	if (n >= ARRAY_SIZE(sizes))
		assert_int_equal(forms, 1U << PG_FORM_TINY | 1U << PG_FORM_WORD | 1U << PG_FORM_TREE |
						1U << PG_FORM_HUGE);
}

static int open_others(void **state)
{
	const struct pg_private_opts untraced = { .iface = "pgref0", .untraced = true };
	struct pg_err err = { 0 };

	(void)state;
	return harness_open_general(&general, "pgref0", &err) && harness_open_with(&attached, &untraced, &err) ?
		       0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(verdicts_and_counters_are_the_oracles, open_others),
	};
	struct pg_err err = { 0 };

	seed = getenv("PG_SEED") ? strtoull(getenv("PG_SEED"), NULL, 10) : 1;
	print_message("seed %llu\n", (unsigned long long)seed);
	return group_run(&fast, harness_open(&fast, "pgref0", &err), &err, tests, ARRAY_SIZE(tests), NULL);
}
