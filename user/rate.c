/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rate.h"

#include <errno.h>
#include <string.h>

uint64_t pg_port_metric(const struct pg_port_row *row, enum pg_port_metric metric)
{
	switch (metric) {
	case PG_METRIC_IN_PACKETS:
		return row->in.packets;
	case PG_METRIC_OUT_PACKETS:
		return row->out.packets;
	case PG_METRIC_IN_BYTES:
		return row->in.bytes;
	case PG_METRIC_OUT_BYTES:
		return row->out.bytes;
	case PG_METRIC_DROPPED:
		return row->in_dropped + row->out_dropped;
	case PG_METRIC_SYN:
		return row->flags.count[PG_FLAG_SYN];
	case PG_METRIC_RST:
		return row->flags.count[PG_FLAG_RST];
	default:
		return 0;
	}
}

struct pg_history *pg_history_new(uint64_t interval_ns)
{
	struct pg_history *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->interval_ns = interval_ns;
	h->states_port = -1;
	h->port_at = calloc((size_t)_PG_PORT_PROTO_MAX * PG_PORTS, sizeof(*h->port_at));
	if (!h->port_at) {
		free(h);
		return NULL;
	}
	return h;
}

void pg_history_free(struct pg_history *h)
{
	if (!h)
		return;
	free(h->port_at);
	free(h->port);
	free(h->rule);
	free(h->iface);
	free(h);
}

/* What was counted in between. */
static uint64_t since(uint64_t now, uint64_t last)
{
	return now < last ? now : now - last;
}

static struct pg_rate rate_of(const struct pg_history *h, const struct pg_count *now,
			      const struct pg_count *last)
{
	if (!h->elapsed_s)
		return (struct pg_rate){ 0 };
	return (struct pg_rate){
		.packets = (double)since(now->packets, last->packets) / h->elapsed_s,
		.bytes = (double)since(now->bytes, last->bytes) / h->elapsed_s,
	};
}

/* Time ---------------------------------------------------------------------------------------- */

static void begin_anew(struct pg_history *h, uint64_t instance)
{
	struct pg_history empty = {
		.instance = instance,
		.interval_ns = h->interval_ns,
		.port_at = h->port_at,
		.port = h->port,
		.cap_ports = h->cap_ports,
		.states_port = h->states_port,
	};

	free(h->rule);
	free(h->iface);
	memset(h->port_at, 0, (size_t)_PG_PORT_PROTO_MAX * PG_PORTS * sizeof(*h->port_at));
	*h = empty;
}

/* After a pause several samples have the rate of the whole of it. */
static void pass_time(struct pg_history *h, uint64_t now_ns)
{
	uint64_t ns = now_ns - h->time_ns, samples = (ns + h->interval_ns / 2) / h->interval_ns;

	h->elapsed_s = h->time_ns ? (double)ns / 1e9 : 0;
	h->tick += h->time_ns && samples > 1 ? (uint32_t)samples : 1;
	h->time_ns = now_ns;
}

/* One value for all samples since the tick before; nothing was written in between. */
static void series_add(struct pg_history *h, struct pg_series *s, uint32_t before, double value)
{
	uint32_t gap = h->tick - s->tick;

	for (uint32_t i = 0; i < gap && i < PG_HISTORY; i++) {
		uint32_t tick = h->tick - i;

		s->value[tick % PG_HISTORY] = tick > before ? (float)value : 0;
	}
	s->tick = h->tick;
}

void pg_series_read(const struct pg_history *h, const struct pg_series *s, float *ret, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t back = n - 1 - i, tick = h->tick - back;

		ret[i] = back < h->tick && tick <= s->tick && h->tick - s->tick < PG_HISTORY ?
				 s->value[tick % PG_HISTORY] : 0;
	}
}

/* Ports --------------------------------------------------------------------------------------- */

const struct pg_port_rate *pg_history_port(const struct pg_history *h, enum pg_port_proto proto,
					   uint16_t port)
{
	uint32_t at = h->port_at[proto * PG_PORTS + port];

	return at ? &h->port[at - 1] : NULL;
}

double pg_port_rate(const struct pg_history *h, const struct pg_port_rate *port,
		    enum pg_port_metric metric)
{
	return port && port->tick == h->tick ? (double)port->rate[metric] : 0;
}

static struct pg_port_rate *port_new(struct pg_history *h, uint32_t *ret_at)
{
	if (h->n_ports == h->cap_ports) {
		size_t cap = h->cap_ports ? 2 * h->cap_ports : 256;
		struct pg_port_rate *port = reallocarray(h->port, cap, sizeof(*port));

		if (!port)
			return NULL;
		h->port = port;
		h->cap_ports = cap;
	}
	*ret_at = (uint32_t)++h->n_ports;
	h->port[h->n_ports - 1] = (struct pg_port_rate){ .series.tick = h->tick - 1 };
	return &h->port[h->n_ports - 1];
}

/* Most ports are silent most of the time: nothing is written for them. */
static int add_port(struct pg_history *h, const struct pg_port_row *row, uint32_t before)
{
	uint32_t *at = &h->port_at[row->proto * PG_PORTS + row->port];
	struct pg_port_rate *p = *at ? &h->port[*at - 1] : port_new(h, at);
	bool changed = false;

	if (!p)
		return -ENOMEM;
	for (int m = 0; m < _PG_METRIC_MAX; m++)
		changed |= pg_port_metric(row, m) != p->last[m];
	if (!changed)
		return 0;
	for (int m = 0; m < _PG_METRIC_MAX; m++) {
		uint64_t now = pg_port_metric(row, m);

		p->rate[m] = h->elapsed_s ? (float)((double)since(now, p->last[m]) / h->elapsed_s) : 0;
		p->last[m] = now;
	}
	p->tick = h->tick;
	if (h->elapsed_s)
		series_add(h, &p->series, before, p->rate[PG_METRIC_IN_PACKETS] +
							  p->rate[PG_METRIC_OUT_PACKETS]);
	return 0;
}

/* Rules --------------------------------------------------------------------------------------- */

static int compare_slots(const void *a, const void *b)
{
	const struct pg_rule_rate *x = a, *y = b;

	return (x->slot > y->slot) - (x->slot < y->slot);
}

/* Another policy: each rule's last counter, where it had one. `rule` has hashes and slots. */
static void inherit(struct pg_history *h, struct pg_rule_rate *rule, size_t n)
{
	if (h->n_rules)
		qsort(h->rule, h->n_rules, sizeof(*h->rule), compare_slots);
	for (size_t i = 0; i < n; i++) {
		const struct pg_rule_rate *old =
			h->n_rules ? bsearch(&rule[i], h->rule, h->n_rules, sizeof(*rule), compare_slots) :
				     NULL;

		/* Its counter may have been given to another rule in between. */
		if (old && rule[i].slot != PG_NO_SLOT && old->hash == rule[i].hash)
			rule[i].last = old->last;
		else
			rule[i].last.packets = UINT64_MAX;
	}
}

static int learn_rules(struct pg_history *h, const struct pg_snapshot *snap)
{
	size_t n = snap->n_rules + snap->rules->n_chains, k = 0;
	_cleanup_(pg_text_free) struct pg_text scratch = { 0 };
	struct pg_rule_rate *rule = calloc(n ? n : 1, sizeof(*rule));

	if (!rule)
		return -ENOMEM;
	for (size_t c = 0; c < snap->rules->n_chains; c++) {
		const struct pg_chain *chain = &snap->rules->chain[c];

		rule[k++].slot = chain->slot;
		for (size_t i = 0; i < chain->n_rules && k < n; i++) {
			rule[k].hash = pg_rule_hash(&chain->rule[i], &scratch) | 1;
			rule[k++].slot = chain->rule[i].slot;
		}
	}
	inherit(h, rule, n);
	free(h->rule);
	h->rule = rule;
	h->n_rules = n;
	h->generation = snap->policy.generation;
	return scratch.oom ? -ENOMEM : 0;
}

static void count_rule(struct pg_history *h, size_t i, uint64_t packets, uint64_t bytes)
{
	const struct pg_count now = { packets, bytes };
	struct pg_rule_rate *rule = &h->rule[i];

	if (rule->last.packets == UINT64_MAX)
		rule->last = now;
	rule->rate = rate_of(h, &now, &rule->last);
	rule->last = now;
}

static int add_rules(struct pg_history *h, const struct pg_snapshot *snap)
{
	size_t k = 0;
	int r = 0;

	if (!h->rule || h->generation != snap->policy.generation ||
	    h->n_rules != snap->n_rules + snap->rules->n_chains)
		r = learn_rules(h, snap);
	if (r < 0)
		return r;
	for (size_t c = 0; c < snap->rules->n_chains; c++) {
		const struct pg_chain *chain = &snap->rules->chain[c];

		count_rule(h, k++, chain->packets, chain->bytes);
		for (size_t i = 0; i < chain->n_rules; i++)
			count_rule(h, k++, chain->rule[i].packets, chain->rule[i].bytes);
	}
	return 0;
}

/* Everything else ----------------------------------------------------------------------------- */

static const struct pg_iface_rate *find_iface(const struct pg_history *h, const struct pg_iface *abi)
{
	for (size_t i = 0; i < h->n_ifaces; i++)
		if (h->iface[i].netns == abi->netns && h->iface[i].ifindex == abi->ifindex)
			return &h->iface[i];
	return NULL;
}

/* While it does not run, it costs what it did. */
static double cost_of(const struct pg_dp_cost *now, const struct pg_dp_cost *last, double before)
{
	if (!now->known || !last->known || now->runs < last->runs)
		return 0;
	return now->runs == last->runs ? before :
					 (double)(now->ns - last->ns) / (double)(now->runs - last->runs);
}

static int add_ifaces(struct pg_history *h, const struct pg_snapshot *snap)
{
	struct pg_iface_rate *iface = calloc(snap->n_iface ? snap->n_iface : 1, sizeof(*iface));

	if (!iface)
		return -ENOMEM;
	for (size_t i = 0; i < snap->n_iface; i++) {
		const struct pg_iface_row *row = &snap->iface[i];
		const struct pg_iface_rate *old = find_iface(h, &row->iface.abi);

		iface[i].netns = row->iface.abi.netns;
		iface[i].ifindex = row->iface.abi.ifindex;
		for (int d = 0; d < _PG_DIR_MAX; d++) {
			iface[i].last[d] = row->count[d];
			iface[i].last_dropped[d] = row->dropped[d];
			iface[i].last_cost[d] = row->cost[d];
			if (!old || !h->elapsed_s)
				continue;
			iface[i].ns_per_run[d] = cost_of(&row->cost[d], &old->last_cost[d],
							   old->ns_per_run[d]);
			iface[i].rate[d] = rate_of(h, &row->count[d], &old->last[d]);
			iface[i].dropped[d] =
				(double)since(row->dropped[d], old->last_dropped[d]) / h->elapsed_s;
		}
	}
	free(h->iface);
	h->iface = iface;
	h->n_ifaces = snap->n_iface;
	return 0;
}

static void add_totals(struct pg_history *h, const struct pg_snapshot *snap, uint32_t before)
{
	for (int r = 0; r < _PG_REASON_MAX; r++) {
		h->reason[r] = rate_of(h, &snap->reason[r], &h->last_reason[r]);
		h->dropped[r] = rate_of(h, &snap->dropped[r], &h->last_dropped[r]);
		h->last_reason[r] = snap->reason[r];
		h->last_dropped[r] = snap->dropped[r];
	}
	for (int d = 0; d < _PG_DIR_MAX; d++) {
		for (int v = 0; v < _PG_VERDICT_MAX; v++) {
			h->verdict[d][v] =
				rate_of(h, &snap->verdict[d][v], &h->last_verdict[d][v]);
			h->last_verdict[d][v] = snap->verdict[d][v];
		}
	}
	series_add(h, &h->accepts, before, h->verdict[PG_DIR_IN][PG_VERDICT_ACCEPT].packets);
	series_add(h, &h->drops, before, h->verdict[PG_DIR_IN][PG_VERDICT_DROP].packets);
}

static const struct pg_state_matrix *matrix_of(const struct pg_states *states, int port)
{
	static const struct pg_state_matrix none;

	for (size_t i = 0; i < states->n_ports; i++)
		if (states->port[i].port == port)
			return &states->port[i].matrix;
	return &none;
}

static void add_matrix(struct pg_state_rate *s, const struct pg_state_matrix *now, double elapsed_s)
{
	for (int from = 0; from < _PG_END_MAX; from++)
		for (int to = 0; to < _PG_END_MAX; to++)
			s->rate[from][to] = elapsed_s ? (double)since(now->count[from][to],
								      s->last.count[from][to]) /
								elapsed_s : 0;
	s->last = *now;
}

void pg_history_watch_states(struct pg_history *h, int port)
{
	if (h->states_port == port)
		return;
	h->states_port = port;
	h->states_ns = 0; /* the matrices that there are would be compared with another port's */
}

/* States are read while somebody looks at them only, so they have a time of their own. */
static void add_states(struct pg_history *h, const struct pg_snapshot *snap)
{
	double elapsed_s = h->states_ns ? (double)(snap->time_ns - h->states_ns) / 1e9 : 0;

	if (!snap->has_states)
		return;
	add_matrix(&h->states, &snap->states.total, elapsed_s);
	if (h->states_port >= 0)
		add_matrix(&h->port_states, matrix_of(&snap->states, h->states_port), elapsed_s);
	h->states_ns = snap->time_ns;
}

int pg_history_add(struct pg_history *h, const struct pg_snapshot *snap)
{
	uint32_t before;
	int r = 0;

	if (h->time_ns && (h->instance != snap->instance || snap->time_ns <= h->time_ns))
		begin_anew(h, snap->instance);
	h->instance = snap->instance;
	before = h->tick;
	pass_time(h, snap->time_ns);
	for (size_t i = 0; i < snap->n_port && !r; i++)
		r = add_port(h, &snap->port[i], before);
	add_totals(h, snap, before);
	if (!r)
		r = add_rules(h, snap);
	if (!r)
		r = add_ifaces(h, snap);
	add_states(h, snap);
	return r;
}

int pg_history_refresh(struct pg_history *h, const struct pg_snapshot *snap)
{
	if (h->instance != snap->instance || h->generation != snap->policy.generation ||
	    h->n_ifaces != snap->n_iface)
		return pg_history_add(h, snap);
	add_states(h, snap);
	return 0;
}
