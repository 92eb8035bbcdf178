// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What tracking costs a packet: of a connection that goes on, by how many there are, and of a new
 * one; and how long it takes to list a million. Connections are made as the network makes them:
 * each handshake passes the program that is measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "flow_read.h"
#include "measure.h"
#include "pkt.h"
#include "view_flows.h"

#define SERVER_PORT 443

/* Handshakes that are under way at once: few beside PG_HALF_OPEN, so that none evicts another. */
#define OPENING 1024
/* SYNs that all find a free place, and so many that none of a round is left when it comes again. */
#define FREE_SYNS 4096
#define EVICTING_SYNS (16 * PG_HALF_OPEN)

/* The handshake, and the segment after it that is measured. */
enum { SYN, SYN_ACK, ACK };
static const struct bench_segment segments[] = {
	[SYN] = { .flags = PKT_SYN, .seq = 1 },
	[SYN_ACK] = { .flags = PKT_SYN | PKT_ACK, .seq = 1000, .ack = 2 },
	[ACK] = { .flags = PKT_ACK, .seq = 2, .ack = 1001 },
};

/* A policy of two rules, and which of them each segment meets. */
struct policy {
	const char *text;
	size_t rule[ARRAY_SIZE(segments)];
};
static const struct policy stateful = {
	"*filter\n:INPUT DROP [0:0]\n"
	"-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n"
	"-A INPUT -p tcp --dport 443 --syn -m state --state NEW -j ACCEPT\nCOMMIT\n",
	{ [SYN] = 1, [SYN_ACK] = 0, [ACK] = 0 },
};
static const struct policy stateless = {
	"*filter\n:INPUT DROP [0:0]\n"
	"-A INPUT -p tcp --dport 443 -j ACCEPT\n"
	"-A INPUT -p tcp --sport 443 -j ACCEPT\nCOMMIT\n",
	{ [SYN] = 0, [SYN_ACK] = 1, [ACK] = 0 },
};
static const struct bench_rules two_rules = { .n = 2 };

static const struct kind {
	const char *name;
	const struct policy *policy;
	size_t flows;
	int segment;	  /* that is measured */
	bool established; /* the flows are before that */
	bool track;	  /* PG_FLOW_OPT_TRACK */
	bool fresh;	  /* the table is empty before */
	bool general;	  /* without the fast path */
} kinds[] = {
	{ .name = "stateless policy, track off", .policy = &stateless, .flows = 1, .segment = ACK },
	{ .name = "stateless policy, track on", .policy = &stateless, .flows = 1, .segment = ACK,
	  .established = true, .track = true },
	{ .name = "established", .policy = &stateful, .flows = 1, .segment = ACK,
	  .established = true },
	{ .name = "established, general path", .policy = &stateful, .flows = 1, .segment = ACK,
	  .established = true, .general = true },
	{ .name = "established", .policy = &stateful, .flows = 10000, .segment = ACK,
	  .established = true },
	{ .name = "established", .policy = &stateful, .flows = 100000, .segment = ACK,
	  .established = true },
	{ .name = "established", .policy = &stateful, .flows = 1000000, .segment = ACK,
	  .established = true },
	{ .name = "SYN of a new flow, room", .policy = &stateful, .flows = FREE_SYNS,
	  .segment = SYN, .fresh = true },
	{ .name = "SYN of a new flow, evicts one", .policy = &stateful, .flows = EVICTING_SYNS,
	  .segment = SYN },
};

struct trial {
	const struct kind *kind;
	struct bench_hash *hash; /* the kernel's, of as many flows, beside it; NULL: none */
	struct bench_flows there, back; /* from the client, from the server */
	struct bench_subject subject;
	size_t row; /* in the table */
};

static void free_trial(struct trial *tr)
{
	bench_flows_free(&tr->there);
	bench_flows_free(&tr->back);
	bench_subject_close(&tr->subject);
	bench_hash_free(tr->hash);
}

/* Flows ---------------------------------------------------------------------------------------- */

/* All are different, because the multiplier is odd; where they hash to is random in any case. */
static struct bench_flow client(uint32_t i, struct bench_random *rnd)
{
	uint32_t addr = htonl(0x0b000000 + (i * 0x9e3779b1U & 0xffffff));
	struct bench_flow f = bench_last_flow(false);

	memcpy(f.src, &addr, sizeof(addr));
	f.sport = 32768 + (bench_random(rnd) & 0x3fff);
	f.dport = SERVER_PORT;
	return f;
}

static struct bench_flow turned(const struct bench_flow *f)
{
	struct bench_flow back = { .sport = f->dport, .dport = f->sport, .proto = f->proto };

	memcpy(back.src, f->dst, sizeof(back.src));
	memcpy(back.dst, f->src, sizeof(back.dst));
	return back;
}

static int make_flows(struct trial *tr, struct pg_err *err)
{
	struct bench_random rnd = { 1 };
	int r = 0;

	for (uint32_t i = 0; !r && i < tr->kind->flows; i++) {
		struct bench_flow there = client(i, &rnd), back = turned(&there);

		r = bench_flows_add(&tr->there, &there);
		if (!r && tr->kind->established)
			r = bench_flows_add(&tr->back, &back);
	}
	return r ? pg_fail(err, r, "out of memory") : 0;
}

/* The default, or four places for each flow: hardly one finds its bucket full. */
static uint32_t room_for(const struct kind *kind)
{
	uint32_t room = kind->established ? PG_FLOWS : PG_FLOWS_MIN;

	while (kind->established && room < 4 * kind->flows)
		room *= 2;
	return room;
}

static int open_subject(struct trial *tr, struct pg_err *err)
{
	const struct pg_private_opts private = {
		.untraced = true,
		.general_only = tr->kind->general,
		.flows = room_for(tr->kind),
	};
	const char *text = tr->kind->policy->text;
	int r = bench_subject_text(&tr->subject, &two_rules, text, strlen(text), &private, err);

	if (!r && tr->kind->track)
		r = pg_dp_flow_options_set(tr->subject.dp, PG_FLOW_OPT_TRACK, err);
	return r;
}

/* Handshakes ----------------------------------------------------------------------------------- */

/* Packets that are not measured, and counted all the same. */
static int send_some(struct trial *tr, const struct bench_mutator *m, int segment, size_t n,
		struct pg_err *err)
{
	struct bench_run run = { .prog = bench_mutator_fd(m) };
	unsigned ns, verdict;
	int r;

	bench_frame_segment(&run.frame, &tr->there.flow[0], false, &segments[segment]);
	r = bench_run(&run, n, &ns, &verdict, err);
	if (!r && verdict != XDP_PASS)
		r = pg_fail(err, -EBADMSG, "%s: a segment of the handshake met verdict %u",
			    tr->kind->name, verdict);
	tr->subject.expect[tr->kind->policy->rule[segment]] += n;
	return r;
}

static int count_established(void *arg, const struct pg_dp_flow *flow)
{
	*(size_t *)arg += flow->tcp_state == PG_TCP_ESTABLISHED && flow->assured;
	return 0;
}

static int check_established(const struct trial *tr, struct pg_err *err)
{
	size_t n = 0;

	pg_dp_flows_walk(tr->subject.dp, count_established, &n);
	if (n == tr->kind->flows)
		return 0;
	return pg_fail(err, -EBADMSG, "%s: of %zu flows %zu are established", tr->kind->name,
		       tr->kind->flows, n);
}

/* Mutators go on where they were, so the three walk through the flows together. */
static int shake_hands(struct trial *tr, struct bench_mutator *const m[], struct pg_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < tr->kind->flows; i += OPENING) {
		size_t left = tr->kind->flows - i, n = left < OPENING ? left : OPENING;

		for (int segment = SYN; !r && segment <= ACK; segment++)
			r = send_some(tr, m[segment], segment, n, err);
	}
	return r;
}

/* The second ACK is the last whose flow remembers the handshake: what comes after it is alike. */
static int establish(struct trial *tr, struct bench_mutator *ack, struct pg_err *err)
{
	int prog = pg_dp_private_prog(tr->subject.dp, PG_PROG_XDP);
	struct bench_mutator *m[] = { [ACK] = ack };
	int r = bench_mutator_new(&tr->there, prog, &m[SYN], err);

	if (!r)
		r = bench_mutator_new(&tr->back, prog, &m[SYN_ACK], err);
	if (!r)
		r = shake_hands(tr, m, err);
	if (!r)
		r = send_some(tr, ack, ACK, tr->kind->flows, err);
	bench_mutator_free(m[SYN]);
	bench_mutator_free(m[SYN_ACK]);
	return r ? r : check_established(tr, err);
}

/* Rows ----------------------------------------------------------------------------------------- */

static struct bench_row new_row(const struct trial *tr, const char *tool)
{
	struct bench_row row = {
		.group = BENCH_FLOWS,
		.set = "flows",
		.packets = "spread",
		.flows = tr->kind->flows,
		.verdict = XDP_PASS,
		.n_packets = tr->kind->flows,
	};

	snprintf(row.tool, sizeof(row.tool), "%s", tool);
	bench_frame_segment(&row.run.frame, &tr->there.flow[0], false,
			    &segments[tr->kind->segment]);
	return row;
}

/* The program that a row runs, behind a mutator; -1: the empty one. */
static int set_program(struct bench_row *row, const struct trial *tr, int prog, struct pg_err *err)
{
	int r = bench_mutator_new(&tr->there, prog, &row->mutator, err);

	if (!r)
		row->run.prog = bench_mutator_fd(row->mutator);
	return r;
}

/* The empty program with as many packets: one of this group's rows, or a new one. */
static int add_base(struct bench_table *t, size_t from, const struct trial *tr, size_t *ret,
		    struct pg_err *err)
{
	struct bench_row row = new_row(tr, "empty program");
	int r;

	for (*ret = from; *ret < t->n; ++*ret)
		if (t->row[*ret].what == BENCH_IS_BASE && t->row[*ret].flows == row.flows)
			return 0;
	row.base = *ret;
	r = set_program(&row, tr, -1, err);
	if (!r)
		bench_table_add(t, &row);
	return r;
}

/* Connections before their ACKs; and before SYNs that are to find no free place, others. */
static int prepare_flows(struct trial *tr, struct bench_row *row, struct pg_err *err)
{
	if (tr->kind->established)
		return establish(tr, row->mutator, err);
	if (tr->kind->segment == SYN && !tr->kind->fresh)
		return send_some(tr, row->mutator, SYN, tr->kind->flows, err);
	return 0;
}

static int prepare_ours(struct trial *tr, struct bench_row *row, struct pg_err *err)
{
	int r = open_subject(tr, err);

	if (!r)
		r = set_program(row, tr, pg_dp_private_prog(tr->subject.dp, PG_PROG_XDP), err);
	if (!r)
		r = prepare_flows(tr, row, err);
	if (r)
		return r;
	row->subject = &tr->subject;
	row->expect = &tr->kind->policy->rule[tr->kind->segment];
	row->n_expect = 1;
	row->forget = tr->kind->fresh ? tr->subject.dp : NULL;
	return 0;
}

/* Beside flows that are established on the fast path. */
static int add_hash(struct bench_table *t, size_t base, struct trial *tr, struct pg_err *err)
{
	struct bench_row row = new_row(tr, "a LRU hash's entry, nothing else");
	int r;

	if (tr->kind->policy != &stateful || !tr->kind->established || tr->kind->general)
		return 0;
	row.what = BENCH_IS_PEER;
	row.base = base;
	r = bench_hash_new(2 * tr->kind->flows, &tr->hash, err);
	if (!r)
		r = set_program(&row, tr, bench_hash_fd(tr->hash), err);
	if (r)
		bench_row_refuse(&row, err->text);
	bench_table_add(t, &row);
	return 0;
}

/* What there is no memory for leaves its row with the reason. */
static int add_trial(struct bench_table *t, size_t from, struct trial *tr, struct pg_err *err)
{
	struct bench_row row;
	size_t base;
	int r = make_flows(tr, err);

	if (!r)
		r = add_base(t, from, tr, &base, err);
	if (r)
		return r;
	row = new_row(tr, tr->kind->name);
	row.what = BENCH_IS_OURS;
	row.base = base;
	r = prepare_ours(tr, &row, err);
	if (r == -EBADMSG) {
		bench_mutator_free(row.mutator);
		return r;
	}
	if (r)
		bench_row_refuse(&row, err->text);
	tr->row = bench_table_add(t, &row);
	return add_hash(t, base, tr, err);
}

/* Afterwards ----------------------------------------------------------------------------------- */

static int add_sent(void *arg, const struct pg_dp_flow *flow)
{
	*(uint64_t *)arg += flow->end[0].sent.packets + flow->end[1].sent.packets;
	return 0;
}

/* Every packet was counted by its flow: those of the handshake, the ACK behind it, the row's. */
static int check_sent(const struct trial *tr, const struct bench_row *row, struct pg_err *err)
{
	uint64_t wanted = row->sent + 4 * tr->kind->flows, counted = 0;

	pg_dp_flows_walk(tr->subject.dp, add_sent, &counted);
	if (counted == wanted)
		return 0;
	return pg_fail(err, -EBADMSG, "%s: %zu flows counted %llu packets of %llu", tr->kind->name,
		       tr->kind->flows, (unsigned long long)counted, (unsigned long long)wanted);
}

/* Of the last measurement each packet has made a flow. */
static int check_fresh(const struct trial *tr, const struct bench_row *row, struct pg_err *err)
{
	struct pg_dp_flow_info info;

	pg_dp_flow_info(tr->subject.dp, &info);
	if (info.count[PG_HALF_OPEN_TABLE] == row->repeat)
		return 0;
	return pg_fail(err, -EBADMSG, "%s: %u packets made %u flows", tr->kind->name, row->repeat,
		       info.count[PG_HALF_OPEN_TABLE]);
}

/* As the one above, but over all; the packets that filled the table made flows, too. */
static int check_evicting(const struct trial *tr, const struct bench_row *row, struct pg_err *err)
{
	uint64_t wanted = row->sent + tr->kind->flows;
	struct pg_dp_flow_info info;

	pg_dp_flow_info(tr->subject.dp, &info);
	if (info.stats.created[PG_HALF_OPEN_TABLE] == wanted)
		return 0;
	return pg_fail(err, -EBADMSG, "%s: %llu packets made %llu flows", tr->kind->name,
		       (unsigned long long)wanted,
		       (unsigned long long)info.stats.created[PG_HALF_OPEN_TABLE]);
}

static int check_trial(const struct trial *tr, const struct bench_row *row, struct pg_err *err)
{
	int r = bench_subject_check(&tr->subject, tr->kind->name, err);

	if (r || row->why_not[0])
		return r;
	if (tr->kind->established)
		return check_sent(tr, row, err);
	if (tr->kind->fresh)
		return check_fresh(tr, row, err);
	return tr->kind->segment == SYN ? check_evicting(tr, row, err) : 0;
}

static int add_json(void *arg, const struct pg_flow_row *row)
{
	pg_flow_json_add(arg, row);
	return 0;
}

static int write_json(struct pg_dp *dp, FILE *f, struct pg_err *err)
{
	static const struct pg_flow_query all = { 0 };
	struct pg_flow_json *j = pg_flow_json_begin(f);
	int r, end;

	if (!j)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_flows_each(dp, &all, add_json, j, err);
	end = pg_flow_json_end(j, err);
	return r ? r : end;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int list_flows(const struct trial *tr, struct bench_listing *ret, struct pg_err *err)
{
	FILE *f = fopen("/dev/null", "we");
	double begin = now_ms();
	int r;

	if (!f)
		return pg_fail(err, -errno, "cannot open /dev/null: %s", strerror(errno));
	r = write_json(tr->subject.dp, f, err);
	*ret = (struct bench_listing){ .flows = tr->kind->flows, .ms = now_ms() - begin };
	fclose(f);
	return r;
}

/* What was measured counted right; then list the flows of the trial that has most. */
static int finish(const struct bench_table *t, const struct trial *trials, size_t n,
		  struct bench_listing *ret, struct pg_err *err)
{
	const struct trial *most = NULL;
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		const struct trial *tr = &trials[i];

		if (t->row[tr->row].why_not[0])
			continue;
		r = check_trial(tr, &t->row[tr->row], err);
		if (tr->kind->established && (!most || tr->kind->flows > most->kind->flows))
			most = tr;
	}
	return r || !most ? r : list_flows(most, ret, err);
}

int bench_flows(struct bench_table *t, struct bench_listing *ret, const struct bench_opts *opts,
		struct pg_err *err)
{
	struct trial trials[ARRAY_SIZE(kinds)] = { 0 };
	size_t from = t->n, n = 0;
	int r = 0;

	if (!(opts->groups & BENCH_FLOWS))
		return 0;
	fprintf(stderr, "bench: tracking\n");
	for (size_t i = 0; !r && i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].flows > opts->max_flows)
			continue;
		trials[n].kind = &kinds[i];
		r = add_trial(t, from, &trials[n++], err);
	}
	if (!r)
		r = bench_measure(t, from, opts, err);
	if (!r)
		r = finish(t, trials, n, ret, err);
	for (size_t i = 0; i < n; i++)
		free_trial(&trials[i]);
	return r;
}
