// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What parts of the way cost, with one rule or none: general path, checksum, the hooks at TC. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include "measure.h"

#define TC_GO_ON ((unsigned)TC_ACT_UNSPEC)

static const struct hook {
	const char *name;
	enum pg_prog prog; /* 0: the empty program, base of the rows below it */
	bool ipv6, no_csum, general, tc;
	size_t rules; /* 1 or 0 */
} hooks[] = {
	{ .name = "empty program" },
	{ .name = "no rules, port and reason counters", .prog = PG_PROG_XDP },
	{ .name = "1 rule", .prog = PG_PROG_XDP, .rules = 1 },
	{ .name = "1 rule, IPv6", .prog = PG_PROG_XDP, .rules = 1, .ipv6 = true },
	{ .name = "1 rule, general path", .prog = PG_PROG_XDP, .rules = 1, .general = true },
	{ .name = "the same, IPv4 checksum not verified", .prog = PG_PROG_XDP, .rules = 1,
	  .general = true, .no_csum = true },
	{ .name = "empty program, TC", .tc = true },
	{ .name = "1 rule, TC ingress", .prog = PG_PROG_TC_IN, .rules = 1, .tc = true },
	{ .name = "departure, TC egress", .prog = PG_PROG_TC_OUT, .tc = true },
};

/* The one packet meets the one rule, or with no rules the policy: both are number 0. */
static const size_t first = 0;

static unsigned verdict_of(const struct hook *h)
{
	if (h->tc)
		return TC_GO_ON;
	return h->prog && !h->rules ? XDP_DROP : XDP_PASS;
}

static int set_program(struct bench_row *row, const struct hook *h, struct bench_subject *s,
		       struct bench_rules *rules, struct pg_err *err)
{
	const struct pg_private_opts private = {
		.untraced = true,
		.general_only = h->general,
		.skip_checksum = h->no_csum,
	};
	int r = 0;

	if (!h->prog) {
		row->run.prog = h->tc ? bench_empty_tc_fd(err) : bench_empty_fd(err);
		return row->run.prog < 0 ? -EIO : 0;
	}
	rules->ipv6 = h->ipv6;
	if (h->rules)
		r = bench_rules_random(rules, h->ipv6, 1);
	r = r ? pg_fail(err, r, "out of memory") : bench_subject_portguard(s, rules, &private, err);
	if (r)
		return r;
	row->run.prog = pg_dp_private_prog(s->dp, h->prog);
	if (h->prog != PG_PROG_TC_OUT) { /* INPUT does not count those */
		row->subject = s;
		row->expect = &first;
		row->n_expect = 1;
	}
	return 0;
}

static int add(struct bench_table *t, const struct hook *h, size_t *base, struct bench_subject *s,
	       struct bench_rules *rules, struct pg_err *err)
{
	struct bench_flow flow = bench_last_flow(h->ipv6);
	struct bench_row row = {
		.group = BENCH_HOOKS,
		.rules = h->rules,
		.ipv6 = h->ipv6,
		.what = h->prog ? BENCH_IS_OURS : BENCH_IS_BASE,
		.set = "hooks",
		.packets = "one packet",
		.verdict = verdict_of(h),
	};
	int r;

	snprintf(row.tool, sizeof(row.tool), "%s", h->name);
	bench_frame_build(&row.run.frame, &flow, h->ipv6);
	if (h->tc) /* to the loopback device, or the kernel takes it for another host's */
		memset(row.run.frame.bytes, 0, ETH_ALEN);
	if (!h->prog)
		*base = t->n;
	row.base = *base;
	r = set_program(&row, h, s, rules, err);
	if (!r)
		bench_table_add(t, &row);
	return r;
}

int bench_hooks(struct bench_table *t, const struct bench_opts *opts, struct pg_err *err)
{
	struct bench_subject subject[ARRAY_SIZE(hooks)] = { 0 };
	struct bench_rules rules[ARRAY_SIZE(hooks)] = { 0 };
	size_t from = t->n, base = 0;
	int r = 0;

	if (!(opts->groups & BENCH_HOOKS))
		return 0;
	for (size_t i = 0; !r && i < ARRAY_SIZE(hooks); i++)
		r = add(t, &hooks[i], &base, &subject[i], &rules[i], err);
	if (!r)
		r = bench_measure(t, from, opts, err);
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (!r && subject[i].dp && hooks[i].prog != PG_PROG_TC_OUT)
			r = bench_subject_check(&subject[i], hooks[i].name, err);
		bench_subject_close(&subject[i]);
		bench_rules_free(&rules[i]);
	}
	return r;
}
