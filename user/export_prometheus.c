/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "export_prometheus.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "chains.h"
#include "names.h"
#include "print.h"

static const char *const dir_names[_PG_DIR_MAX] = { "in", "out" };

/* Which ports ---------------------------------------------------------------------------------- */

static bool has_traffic(const struct pg_port_row *row)
{
	return row->in.packets || row->out.packets || row->in_dropped;
}

static int compare_claims(const void *a, const void *b)
{
	const struct pg_port_row *x = *(const struct pg_port_row *const *)a;
	const struct pg_port_row *y = *(const struct pg_port_row *const *)b;
	uint64_t m = x->in.packets + x->out.packets, n = y->in.packets + y->out.packets;

	if (x->has_listener != y->has_listener)
		return x->has_listener ? -1 : 1;
	if (m != n)
		return m > n ? -1 : 1;
	return x < y ? -1 : 1; /* rows are by protocol and port */
}

int pg_metric_ports_choose(struct pg_metric_ports *ports, const struct pg_snapshot *snap)
{
	_free_ const struct pg_port_row **claim = calloc(snap->n_port + 1, sizeof(*claim));
	unsigned kept = ports->max / 4;
	size_t n = 0;

	if (!claim)
		return -ENOMEM;
	for (size_t i = 0; i < snap->n_port; i++) {
		const struct pg_port_row *row = &snap->port[i];

		if (has_traffic(row) && !ports->is[row->proto][row->port].own &&
		    !ports->is[row->proto][row->port].other)
			claim[n++] = row;
	}
	qsort(claim, n, sizeof(*claim), compare_claims);
	for (size_t i = 0; i < n; i++) {
		unsigned limit = ports->max - (claim[i]->has_listener ? 0 : kept);

		if (ports->n < limit) {
			ports->is[claim[i]->proto][claim[i]->port].own = true;
			ports->n++;
		} else {
			ports->is[claim[i]->proto][claim[i]->port].other = true;
		}
	}
	return 0;
}

void pg_metric_ports_reset(struct pg_metric_ports *ports)
{
	memset(ports->is, 0, sizeof(ports->is));
	ports->n = 0;
}

/* Writing -------------------------------------------------------------------------------------- */

static void family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP portguard_%s %s\n# TYPE portguard_%s %s\n", name, help, name, type);
}

static void counter(FILE *f, const char *name, const char *help)
{
	family(f, name, "counter", help);
}

static void gauge(FILE *f, const char *name, const char *help, uint64_t value)
{
	family(f, name, "gauge", help);
	fprintf(f, "portguard_%s %" PRIu64 "\n", name, value);
}

/* A label's value is UTF-8 in quotes: names of interfaces and comments are whatever was typed. */
static void put_label(FILE *f, const char *name, const char *value)
{
	char shown[2 * PG_COMMENT_MAX + 2];

	fprintf(f, "%s=\"", name);
	for (const char *p = pg_printable(value, shown, sizeof(shown)); *p; p++) {
		if (*p == '"' || *p == '\\')
			fputc('\\', f);
		fputc(*p, f);
	}
	fputc('"', f);
}

/* Interfaces, verdicts, reasons ---------------------------------------------------------------- */

static void iface_count(FILE *f, const struct pg_snapshot *snap, const char *name, const char *help,
			uint64_t (*get)(const struct pg_iface_row *row, enum pg_dir dir))
{
	counter(f, name, help);
	for (size_t i = 0; i < snap->n_iface; i++) {
		for (int d = 0; d < _PG_DIR_MAX; d++) {
			fprintf(f, "portguard_%s{", name);
			put_label(f, "interface", snap->iface[i].iface.abi.name);
			/* Two namespaces may have an interface of the same name. */
			fprintf(f, ",netns=\"%" PRIu64 "\",direction=\"%s\"} %" PRIu64 "\n",
				(uint64_t)snap->iface[i].iface.abi.netns, dir_names[d],
				get(&snap->iface[i], (enum pg_dir)d));
		}
	}
}

static uint64_t iface_packets(const struct pg_iface_row *row, enum pg_dir dir)
{
	return row->count[dir].packets;
}

static uint64_t iface_bytes(const struct pg_iface_row *row, enum pg_dir dir)
{
	return row->count[dir].bytes;
}

static uint64_t iface_dropped(const struct pg_iface_row *row, enum pg_dir dir)
{
	return row->dropped[dir];
}

static void put_ifaces(FILE *f, const struct pg_snapshot *snap)
{
	family(f, "interface_attached", "gauge",
	       "1 while the program is on the interface, 0 when it was taken off or the interface is gone.");
	for (size_t i = 0; i < snap->n_iface; i++) {
		const struct pg_dp_iface *iface = &snap->iface[i].iface;

		fputs("portguard_interface_attached{", f);
		put_label(f, "interface", iface->abi.name);
		fprintf(f, ",netns=\"%" PRIu64 "\",mode=\"%s\"} %d\n", (uint64_t)iface->abi.netns,
			pg_mode_name((enum pg_mode)iface->abi.mode), !iface->gone);
	}
	iface_count(f, snap, "interface_packets_total", "Packets seen on an attached interface.",
		    iface_packets);
	iface_count(f, snap, "interface_bytes_total", "IP bytes seen on an attached interface.",
		    iface_bytes);
	iface_count(f, snap, "interface_dropped_packets_total",
		    "Packets dropped or rejected on an attached interface.", iface_dropped);
}

static void put_verdicts(FILE *f, const struct pg_snapshot *snap)
{
	/* A snapshot counts what was rejected among what was dropped. */
	static const enum pg_verdict verdicts[] = { PG_VERDICT_ACCEPT, PG_VERDICT_DROP };

	for (int bytes = 0; bytes < 2; bytes++) {
		const char *name = bytes ? "bytes_total" : "packets_total";

		counter(f, name, bytes ? "IP bytes of all interfaces by what became of them." :
					 "Packets of all interfaces by what became of them.");
		for (int d = 0; d < _PG_DIR_MAX; d++) {
			for (size_t v = 0; v < ARRAY_SIZE(verdicts); v++) {
				const struct pg_count *c = &snap->verdict[d][verdicts[v]];

				fprintf(f,
					"portguard_%s{direction=\"%s\",verdict=\"%s\"} %" PRIu64 "\n",
					name, dir_names[d], pg_verdict_name(verdicts[v]),
					(uint64_t)(bytes ? c->bytes : c->packets));
			}
		}
	}
}

static void put_reasons(FILE *f, const struct pg_snapshot *snap)
{
	counter(f, "dropped_packets_total", "Packets dropped or rejected, by reason.");
	for (int r = 0; r < _PG_REASON_MAX; r++)
		fprintf(f, "portguard_dropped_packets_total{reason=\"%s\"} %" PRIu64 "\n",
			pg_reason_name((enum pg_reason)r), (uint64_t)snap->dropped[r].packets);
	for (int bytes = 0; bytes < 2; bytes++) {
		const char *name = bytes ? "reason_bytes_total" : "reason_packets_total";

		counter(f, name,
			bytes ? "IP bytes by the reason for which their packets ended as they did." :
				"Packets by the reason for which they ended as they did.");
		for (int r = 0; r < _PG_REASON_MAX; r++)
			fprintf(f, "portguard_%s{reason=\"%s\"} %" PRIu64 "\n", name,
				pg_reason_name((enum pg_reason)r),
				(uint64_t)(bytes ? snap->reason[r].bytes : snap->reason[r].packets));
	}
}

/* Ports ---------------------------------------------------------------------------------------- */

/* What one family of metrics says of a port: value i of n, with a label of its own. */
struct port_metric {
	const char *name, *help, *label;
	unsigned n;
	uint64_t (*get)(const struct pg_port_row *row, unsigned i);
	const char *(*value)(unsigned i);
	bool tcp, sparse; /* of TCP's ports only; without zeros */
};

static uint64_t port_packets(const struct pg_port_row *row, unsigned i)
{
	return i ? row->out.packets : row->in.packets;
}

static uint64_t port_bytes(const struct pg_port_row *row, unsigned i)
{
	return i ? row->out.bytes : row->in.bytes;
}

static uint64_t port_dropped(const struct pg_port_row *row, unsigned i)
{
	return i ? row->out_dropped : row->in_dropped;
}

static uint64_t port_flag(const struct pg_port_row *row, unsigned i)
{
	return row->flags.count[i];
}

static const char *dir_name(unsigned i)
{
	return dir_names[i];
}

static const char *flag_name(unsigned i)
{
	return pg_flag_name((enum pg_tcp_flag)i);
}

static void put_port(FILE *f, const struct port_metric *m, const char *proto, const char *port,
		     unsigned i, uint64_t value)
{
	if (m->sparse && !value)
		return;
	fprintf(f, "portguard_%s{proto=\"%s\",port=\"%s\"", m->name, proto, port);
	fprintf(f, ",%s=\"%s\"} %" PRIu64 "\n", m->label, m->value(i), value);
}

static void put_port_metric(FILE *f, const struct pg_snapshot *snap, const struct port_metric *m,
			    const struct pg_metric_ports *ports)
{
	uint64_t other[_PG_PORT_PROTO_MAX][_PG_FLAG_MAX] = { 0 };

	counter(f, m->name, m->help);
	for (size_t k = 0; k < snap->n_port; k++) {
		const struct pg_port_row *row = &snap->port[k];
		bool own = ports->is[row->proto][row->port].own;
		char port[8] = "";

		if (own) /* of a scan's 65 536 few have */
			snprintf(port, sizeof(port), "%u", row->port);
		for (unsigned i = 0; i < m->n && (!m->tcp || row->proto == PG_PORT_TCP); i++) {
			if (own)
				put_port(f, m, pg_port_proto_name(row->proto), port, i,
					 m->get(row, i));
			else
				other[row->proto][i] += m->get(row, i);
		}
	}
	for (enum pg_port_proto p = 0; p < _PG_PORT_PROTO_MAX; p++)
		for (unsigned i = 0; i < m->n && (!m->tcp || p == PG_PORT_TCP); i++)
			put_port(f, m, pg_port_proto_name(p), "other", i, other[p][i]);
}

static void put_ports(FILE *f, const struct pg_snapshot *snap, const struct pg_metric_ports *ports)
{
	static const struct port_metric metrics[] = {
		{ "port_packets_total", "Packets by the local end's port.", "direction",
		  _PG_DIR_MAX, port_packets, dir_name, false, false },
		{ "port_bytes_total", "IP bytes by the local end's port.", "direction", _PG_DIR_MAX,
		  port_bytes, dir_name, false, false },
		{ "port_dropped_packets_total", "Packets dropped or rejected by port.", "direction",
		  _PG_DIR_MAX, port_dropped, dir_name, false, false },
		{ "port_tcp_flag_packets_total",
		  "TCP packets of a port, both directions, that had the flag.", "flag", _PG_FLAG_MAX,
		  port_flag, flag_name, true, true },
	};
	uint64_t flags[_PG_FLAG_MAX] = { 0 }, listening = 0;

	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		put_port_metric(f, snap, &metrics[i], ports);
	for (size_t k = 0; k < snap->n_port; k++) {
		listening += snap->port[k].has_listener;
		for (int i = 0; i < _PG_FLAG_MAX; i++)
			flags[i] += snap->port[k].flags.count[i];
	}
	counter(f, "tcp_flag_packets_total", "TCP packets of all ports that had the flag.");
	for (unsigned i = 0; i < _PG_FLAG_MAX; i++)
		fprintf(f, "portguard_tcp_flag_packets_total{flag=\"%s\"} %" PRIu64 "\n",
			flag_name(i), flags[i]);
	gauge(f, "ports", "Ports with traffic or a listener.", snap->n_port);
	gauge(f, "listening_ports", "Ports that a process listens on.", listening);
}

/* Policy --------------------------------------------------------------------------------------- */

static const char *comment_of(const struct pg_rule *rule)
{
	for (size_t i = 0; i < rule->n_match; i++)
		if (rule->match[i].kind == PG_MATCH_COMMENT)
			return rule->match[i].comment;
	return "";
}

/*
 * Its counter's slot stays the rule's when its number is another: without it, a rule put before others would
 * make their counters go back and jump. PG_NO_SLOT: none.
 */
static void put_rule(FILE *f, const char *name, const struct pg_chain *chain, const char *num,
		     const char *comment, uint32_t slot, uint64_t value)
{
	fprintf(f, "portguard_%s{table=\"%s\",", name, pg_table_name(chain->table));
	put_label(f, "chain", chain->name);
	fprintf(f, ",rule=\"%s\",", num);
	put_label(f, "comment", comment);
	if (slot != PG_NO_SLOT)
		fprintf(f, ",id=\"%u\"", slot);
	fprintf(f, "} %" PRIu64 "\n", value);
}

static void put_chain_rules(FILE *f, const char *name, const struct pg_chain *chain, bool bytes,
			    unsigned *left)
{
	uint64_t other = 0;
	bool cut = false;

	for (size_t i = 0; i < chain->n_rules; i++) {
		const struct pg_rule *rule = &chain->rule[i];
		uint64_t value = bytes ? rule->bytes : rule->packets;
		char num[24];

		if (!*left) {
			other += value;
			cut = true;
			continue;
		}
		(*left)--;
		snprintf(num, sizeof(num), "%zu", i + 1);
		put_rule(f, name, chain, num, comment_of(rule), rule->slot, value);
	}
	if (cut)
		put_rule(f, name, chain, "other", "", PG_NO_SLOT, other);
}

static void put_rules(FILE *f, const struct pg_snapshot *snap, unsigned max_rules)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		const char *name = bytes ? "rule_bytes_total" : "rule_packets_total";
		unsigned left = max_rules;

		counter(f, name, bytes ? "IP bytes that a rule matched, by its chain and number." :
					 "Packets that a rule matched, by its chain and number.");
		for (size_t i = 0; i < snap->rules->n_chains; i++)
			put_chain_rules(f, name, &snap->rules->chain[i], bytes, &left);
	}
}

static void put_policies(FILE *f, const struct pg_snapshot *snap)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		const char *name = bytes ? "chain_policy_bytes_total" : "chain_policy_packets_total";

		counter(f, name, bytes ? "IP bytes that no rule decided, by chain and its policy." :
					 "Packets that no rule decided, by chain and its policy.");
		for (size_t i = 0; i < snap->rules->n_chains; i++) {
			const struct pg_chain *chain = &snap->rules->chain[i];

			if (!pg_chain_is_builtin(snap->rules, chain))
				continue;
			fprintf(f,
				"portguard_%s{table=\"%s\",chain=\"%s\",policy=\"%s\"} %" PRIu64 "\n",
				name, pg_table_name(chain->table), chain->name,
				pg_target_name(chain->policy), bytes ? chain->bytes : chain->packets);
		}
	}
	gauge(f, "policy_generation", "Number of the policy in force; it grows with each change.",
	      snap->policy.generation);
	gauge(f, "policy_rules", "Rules of the policy in force.", snap->n_rules);
	gauge(f, "policy_confirm_seconds",
	      "Until a policy that waits for its confirmation is taken back; 0: none waits.",
	      snap->policy.confirm_s);
	gauge(f, "policy_tried", "1: another policy is tried beside it (apply --shadow).",
	      snap->policy.shadow == PG_SHADOW_ON);
	gauge(f, "policy_memory_bytes", "Memory of the tables in use.", snap->policy.memory_bytes);
}

/* Flows and states ----------------------------------------------------------------------------- */

static void by_table(FILE *f, const char *name, const char *type, const char *help, uint64_t flows,
		     uint64_t half_open)
{
	family(f, name, type, help);
	fprintf(f, "portguard_%s{table=\"flows\"} %" PRIu64 "\n", name, flows);
	fprintf(f, "portguard_%s{table=\"half-open\"} %" PRIu64 "\n", name, half_open);
}

static void put_flows(FILE *f, const struct pg_snapshot *snap, const uint64_t *by_word)
{
	const struct pg_dp_flow_info *info = &snap->flow;
	const struct pg_flow_stats *stats = &info->stats;

	gauge(f, "flow_tracking", "1 while connections are tracked.", info->tracking);
	by_table(f, "flow_entries", "gauge", "Connections that are remembered.", info->count[0],
		 info->count[1]);
	by_table(f, "flow_capacity", "gauge", "Places for connections.", info->capacity[0],
		 info->capacity[1]);
	by_table(f, "flow_created_total", "counter", "Connections that were entered.",
		 stats->created[0], stats->created[1]);
	by_table(f, "flow_collected_total", "counter", "Connections that were forgotten in time.",
		 stats->collected[0], stats->collected[1]);
	by_table(f, "flow_evicted_total", "counter",
		 "Connections that had to make room for another one.", stats->evicted[0],
		 stats->evicted[1]);
	by_table(f, "flow_refused_total", "counter",
		 "Connections that found no room in their table.", stats->refused[0],
		 stats->refused[1]);
	counter(f, "flow_picked_up_total", "Connections that were taken up in mid-stream.");
	fprintf(f, "portguard_flow_picked_up_total %" PRIu64 "\n", (uint64_t)stats->picked_up);
	counter(f, "flow_out_of_window_packets_total", "TCP segments outside their window.");
	fprintf(f, "portguard_flow_out_of_window_packets_total %" PRIu64 "\n",
		(uint64_t)stats->out_of_window);
	family(f, "flow_states", "gauge", "Connections by state, in conntrack's words.");
	for (unsigned w = PG_TCP_NONE + 1; w < _PG_FLOW_WORD_MAX; w++)
		fprintf(f, "portguard_flow_states{state=\"%s\"} %" PRIu64 "\n",
			pg_flow_word_name((enum pg_flow_word)w), by_word[w]);
}

static void put_states(FILE *f, const struct pg_states *states)
{
	enum pg_end_state from, to;

	counter(f, "tcp_transitions_total", "Changes of state of TCP's ends.");
	for (unsigned t = 0; pg_transition(t, &from, &to); t++)
		fprintf(f, "portguard_tcp_transitions_total{from=\"%s\",to=\"%s\"} %" PRIu64 "\n",
			pg_end_state_name(from), pg_end_state_name(to),
			states->total.count[from][to]);
	counter(f, "tcp_impossible_flags_packets_total",
		"TCP packets with flags that no TCP sends together.");
	for (unsigned i = 0; i < _PG_ODD_MAX; i++)
		fprintf(f, "portguard_tcp_impossible_flags_packets_total{kind=\"%s\"} %" PRIu64 "\n",
			pg_odd_flags_name((enum pg_odd_flags)i), states->odd[i]);
}

/* Cost ----------------------------------------------------------------------------------------- */

static void put_runs(FILE *f, const struct pg_metric_opts *opts)
{
	gauge(f, "program_cost_known",
	      "1 once the kernel has measured programs (sysctl kernel.bpf_stats_enabled, or portguard top "
	      "--cost); only then are there program_runs_total and program_run_seconds_total.",
	      opts->n_runs > 0);
	for (int seconds = 0; seconds < 2 && opts->n_runs; seconds++) {
		const char *name = seconds ? "program_run_seconds_total" : "program_runs_total";

		counter(f, name, seconds ?
			"Time that a program has run while kernel.bpf_stats_enabled was set." :
			"Runs of a program while kernel.bpf_stats_enabled was set.");
		for (size_t i = 0; i < opts->n_runs; i++) {
			const struct pg_metric_run *run = &opts->run[i];

			fprintf(f, "portguard_%s{", name);
			put_label(f, "interface", run->iface);
			fprintf(f, ",netns=\"%" PRIu64 "\",direction=\"%s\"} ", run->netns,
				dir_names[run->dir]);
			if (seconds)
				fprintf(f, "%.9f\n", (double)run->ns / 1e9);
			else
				fprintf(f, "%" PRIu64 "\n", run->count);
		}
	}
}

static void put_cost(FILE *f, const struct pg_snapshot *snap, const struct pg_metric_opts *opts)
{
	gauge(f, "memory_bytes", "Memory of the instance's maps.", snap->memory_bytes);
	counter(f, "log_lost_packets_total", "Packets that LOG and NFLOG could not report.");
	fprintf(f, "portguard_log_lost_packets_total %" PRIu64 "\n", snap->events_lost);
	family(f, "read_seconds", "gauge", "How long reading all of this from the maps took.");
	fprintf(f, "portguard_read_seconds %.6f\n", opts->read_s);
	counter(f, "serve_cpu_seconds_total", "CPU time of portguard serve's reading process.");
	fprintf(f, "portguard_serve_cpu_seconds_total %.6f\n", opts->cpu_s);
	put_runs(f, opts);
}

int pg_metrics(FILE *f, const struct pg_snapshot *snap, const struct pg_metric_opts *opts,
	       struct pg_err *err)
{
	family(f, "build_info", "gauge", "Version of portguard, and the kernel it runs on.");
	fputs("portguard_build_info{", f);
	put_label(f, "version", PG_VERSION);
	fputc(',', f);
	put_label(f, "kernel", snap->kernel);
	fputs("} 1\n", f);
	gauge(f, "instance_present", "1 while there is an instance: something is attached.",
	      snap->exists);
	if (snap->exists) {
		put_ifaces(f, snap);
		put_verdicts(f, snap);
		put_reasons(f, snap);
		put_ports(f, snap, opts->ports);
		put_policies(f, snap);
		put_rules(f, snap, opts->max_rules);
		put_flows(f, snap, opts->flows_by_word);
		put_states(f, &snap->states);
		put_cost(f, snap, opts);
	}
	return ferror(f) ? pg_fail(err, -EIO, "cannot write: %s", strerror(errno)) : 0;
}
