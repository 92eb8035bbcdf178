// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "measure.h"

#include <errno.h>
#include <string.h>

#include "policy.h"
#include "rulefile.h"

/* One measurement of a row takes no longer, however slow the row is. */
#define ROW_NS 25000000
#define RUNS_MIN 64
/*
 * Of every network namespace. Programs without an interface cannot ask the kernel whether it forwards
 * what arrives, and without its `no` each packet takes the general path.
 */
#define LOOPBACK_IFINDEX 1

/* Tables --------------------------------------------------------------------------------------- */

size_t bench_table_add(struct bench_table *t, const struct bench_row *row)
{
	if (t->n == t->cap) {
		t->cap = 2 * t->cap + 64;
		t->row = realloc(t->row, t->cap * sizeof(*row));
		if (!t->row)
			abort();
	}
	t->row[t->n] = *row;
	return t->n++;
}

void bench_row_refuse(struct bench_row *row, const char *why_not)
{
	snprintf(row->why_not, sizeof(row->why_not), "%.*s", (int)strcspn(why_not, "\n"), why_not);
}

void bench_table_free(struct bench_table *t)
{
	free(t->row);
	*t = (struct bench_table){ 0 };
}

/* Measuring ------------------------------------------------------------------------------------ */

static int run_row(struct bench_row *row, unsigned repeat, unsigned *ret_ns, struct pg_err *err)
{
	unsigned verdict;
	int r = bench_run(&row->run, repeat, ret_ns, &verdict, err);

	if (r)
		return r;
	row->sent += repeat;
	if (!row->run.ifindex && verdict != row->verdict)
		return pg_fail(err, -EBADMSG, "%s, %u rules: the program said %u, not %u",
			       row->tool, row->rules, verdict, row->verdict);
	return 0;
}

/* How often a row can run in the time it has. Runs until one of them was long enough to tell. */
static int calibrate(struct bench_row *row, unsigned repeat, struct pg_err *err)
{
	unsigned ns = 0, n = RUNS_MIN;
	int r = run_row(row, n, &ns, err);

	/* The first time that a packet passes is no measure of what follows, either. */
	while (!r && n < repeat &&
	       (uint64_t)n * ns < (n < 2 * row->n_packets ? ROW_NS : ROW_NS / 8)) {
		n = 4 * n < repeat ? 4 * n : repeat;
		r = run_row(row, n, &ns, err);
	}
	row->repeat = ROW_NS / (ns ? ns : 1);
	if (row->repeat > repeat)
		row->repeat = repeat;
	if (row->repeat < RUNS_MIN)
		row->repeat = RUNS_MIN;
	if (row->forget && row->repeat > row->n_packets)
		row->repeat = row->n_packets; /* then flows would come again */
	return r;
}

/*
 * In a network's traffic nothing comes between the packets, here it was the other rows: let them
 * pass once and fill the caches as far as they do, before any is timed.
 */
static int measure_row(struct bench_row *row, unsigned round, struct pg_err *err)
{
	unsigned warm = row->n_packets < row->repeat ? row->n_packets : row->repeat, ns;
	int r = row->mutator ? run_row(row, warm, &ns, err) : 0;

	if (!r && row->forget)
		r = pg_dp_flow_forget(row->forget, err);
	return r ? r : run_row(row, row->repeat, &row->ns[round], err);
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void evaluate(struct bench_row *row, const struct bench_row *base, unsigned rounds)
{
	double v[BENCH_ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++)
		v[i] = row->ns[i];
	row->median = median(v, rounds);
	for (unsigned i = 0; i < rounds; i++)
		v[i] = (double)row->ns[i] - base->ns[i];
	row->over = median(v, rounds);
}

/* Packets come in the list's order and begin again at its end. */
static void expect(const struct bench_row *row)
{
	uint64_t rounds = row->sent / row->n_expect, rest = row->sent % row->n_expect;

	for (size_t i = 0; i < row->n_expect; i++)
		row->subject->expect[row->expect[i]] += rounds + (i < rest);
}

static void let_go(struct bench_row *row)
{
	bench_mutator_free(row->mutator);
	row->mutator = NULL;
	row->forget = NULL;
	row->subject = NULL;
	row->expect = NULL;
}

/*
 * Rows that this kernel cannot run (frames up the stack are from Linux 5.18 on), and those that are
 * nothing without them, stay with the reason. A wrong verdict is no such reason.
 */
static int calibrate_all(struct bench_table *t, size_t from, const struct bench_opts *opts,
			 struct pg_err *err)
{
	for (size_t k = from; k < t->n; k++) {
		struct bench_row *row = &t->row[k], *base = &t->row[row->base];
		int r = 0;

		if (row->why_not[0])
			continue;
		if (base->why_not[0])
			bench_row_refuse(row, "what would be subtracted was not measured");
		else
			r = calibrate(row, opts->repeat, err);
		if (r == -EBADMSG)
			return r;
		if (r)
			bench_row_refuse(row, err->text);
	}
	return 0;
}

int bench_measure(struct bench_table *t, size_t from, const struct bench_opts *opts,
		  struct pg_err *err)
{
	int r = calibrate_all(t, from, opts, err);

	for (unsigned i = 0; !r && i < opts->rounds; i++)
		for (size_t k = from; !r && k < t->n; k++)
			if (!t->row[k].why_not[0])
				r = measure_row(&t->row[k], i, err);
	for (size_t k = from; k < t->n; k++) {
		struct bench_row *row = &t->row[k];

		if (!r && !row->why_not[0]) {
			evaluate(row, &t->row[row->base], opts->rounds);
			if (row->subject)
				expect(row);
		}
		let_go(row);
	}
	return r;
}

/* Who counts ----------------------------------------------------------------------------------- */

int bench_subject_text(struct bench_subject *s, const struct bench_rules *rules, const char *text,
		       size_t len, const struct pg_private_opts *private, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	const struct pg_rulefile_opts opts = { .name = "rules" };
	struct pg_private_opts on_loopback = *private;
	struct pg_notes notes = { 0 };
	int r;

	*s = (struct bench_subject){ .rules = rules };
	on_loopback.ifindex = LOOPBACK_IFINDEX;
	s->expect = calloc(rules->n + 1, sizeof(*s->expect));
	if (!s->expect)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_rulefile_parse(text, len, &opts, &set, &notes, err);
	pg_notes_free(&notes);
	if (!r)
		r = pg_dp_open_private(&on_loopback, &s->dp, err);
	return r ? r : pg_policy_commit(s->dp, set, err);
}

int bench_subject_portguard(struct bench_subject *s, const struct bench_rules *rules,
			    const struct pg_private_opts *private, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = { 0 };

	*s = (struct bench_subject){ .rules = rules };
	bench_write_iptables(&text, rules, "filter", "INPUT");
	if (text.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	return bench_subject_text(s, rules, text.buf, text.len, private, err);
}

int bench_subject_peer(struct bench_subject *s, enum bench_peer_kind kind,
		       const struct bench_rules *rules, struct pg_err *err)
{
	*s = (struct bench_subject){ .rules = rules };
	s->expect = calloc(rules->n + 1, sizeof(*s->expect));
	if (!s->expect)
		return pg_fail(err, -ENOMEM, "out of memory");
	return bench_peer_open(kind, rules, &s->peer, err);
}

void bench_subject_close(struct bench_subject *s)
{
	pg_dp_close(s->dp);
	bench_peer_close(s->peer);
	free(s->expect);
	*s = (struct bench_subject){ 0 };
}

static int check_portguard(const struct bench_subject *s, const char *what, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	const struct pg_chain *input;
	int r = pg_policy_read(s->dp, &set, err);

	if (r)
		return r;
	input = &set->chain[PG_CHAIN_INPUT];
	if (input->packets != s->expect[s->rules->n])
		return pg_fail(err, -EBADMSG, "%s: the policy counted %llu packets of %llu", what,
			       (unsigned long long)input->packets,
			       (unsigned long long)s->expect[s->rules->n]);
	for (size_t i = 0; i < s->rules->n; i++)
		if (input->rule[i].packets != s->expect[i])
			return pg_fail(err, -EBADMSG, "%s: rule %zu counted %llu packets of %llu",
				       what, i + 1, (unsigned long long)input->rule[i].packets,
				       (unsigned long long)s->expect[i]);
	return 0;
}

/* Peers tell the sum over all rules. */
static int check_peer(const struct bench_subject *s, const char *what, struct pg_err *err)
{
	uint64_t sum = 0, counted;
	int r = bench_peer_counted(s->peer, &counted, err);

	for (size_t i = 0; i < s->rules->n; i++)
		sum += s->expect[i];
	if (!r && counted != sum)
		r = pg_fail(err, -EBADMSG, "%s: rules counted %llu packets of %llu", what,
			    (unsigned long long)counted, (unsigned long long)sum);
	return r;
}

int bench_subject_check(const struct bench_subject *s, const char *what, struct pg_err *err)
{
	if (s->dp)
		return check_portguard(s, what, err);
	return s->peer ? check_peer(s, what, err) : 0;
}
