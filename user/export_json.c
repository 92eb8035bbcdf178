/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "chains.h"
#include "export_json.h"
#include "logline.h"
#include "names.h"
#include "print.h"

/* Its callers may give NULL for a value that there was no memory for; see put(). */
static struct json_object *object(void)
{
	return json_object_new_object();
}

/*
 * One key more. The value belongs to `obj` afterwards, or is freed. Both may be NULL for want of
 * memory; the document then lacks the key, and done() refuses it by the flag.
 */
static void put(struct json_object *obj, const char *key, struct json_object *value, bool *oom)
{
	if (!obj || !value || json_object_object_add(obj, key, value) < 0) {
		json_object_put(value);
		*oom = true;
	}
}

static void put_number(struct json_object *obj, const char *key, uint64_t number, bool *oom)
{
	put(obj, key, json_object_new_uint64(number), oom);
}

/*
 * JSON is UTF-8, but comments and names are whatever bytes somebody typed, and json-c copies
 * bytes; besides, the document may be looked at on a terminal, where C1 controls are as bad as C0.
 */
static void put_text(struct json_object *obj, const char *key, const char *text, bool *oom)
{
	size_t size = strlen(text) + 1;
	_free_ char *clean = malloc(size);

	if (clean)
		put(obj, key, json_object_new_string(pg_printable(text, clean, size)), oom);
	else
		*oom = true;
}

static void put_count(struct json_object *obj, const char *key, const struct pg_count *count,
		      uint64_t dropped, bool *oom)
{
	struct json_object *o = object();

	put_number(o, "packets", count->packets, oom);
	put_number(o, "bytes", count->bytes, oom);
	put_number(o, "dropped", dropped, oom);
	put(obj, key, o, oom);
}

/* Writes obj and frees it. `end` follows the document; `cut`: without its closing brace. */
static int done(FILE *f, struct json_object *obj, bool oom, bool cut, const char *end,
		struct pg_err *err)
{
	size_t n = 0;
	const char *text = oom ? NULL : json_object_to_json_string_length(
						obj, JSON_C_TO_STRING_NOSLASHESCAPE, &n);
	bool failed = !text;

	if (text) {
		if (cut)
			n--;
		fwrite(text, 1, n, f);
		fputs(end, f);
	}
	json_object_put(obj);
	if (failed)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (ferror(f))
		return pg_fail(err, -EIO, "cannot write: %s", strerror(errno));
	return 0;
}

/* Status --------------------------------------------------------------------------------------- */

static struct json_object *status_iface(const struct pg_iface_row *row, bool *oom)
{
	const struct pg_dp_iface *iface = &row->iface;
	struct json_object *o = object();

	put_text(o, "name", iface->abi.name, oom);
	put_number(o, "ifindex", iface->abi.ifindex, oom);
	put_text(o, "mode", pg_mode_name((enum pg_mode)iface->abi.mode), oom);
	put_text(o, "mode_reason", iface->abi.mode_reason, oom);
	/* The ingress program's, which in tc mode is not XDP but has the same place here. */
	put_number(o, "xdp_prog_id", iface->ingress_prog_id, oom);
	put_number(o, "egress_prog_id", iface->egress_prog_id, oom);
	put_number(o, "mark_prog_id", iface->mark_prog_id, oom);
	put(o, "here", json_object_new_boolean(iface->here), oom);
	put(o, "gone", json_object_new_boolean(iface->gone), oom);
	put(o, "moved", json_object_new_boolean(iface->moved), oom);
	put(o, "outdated", json_object_new_boolean(iface->outdated), oom);
	put_count(o, "ingress", &row->count[PG_DIR_IN], row->dropped[PG_DIR_IN], oom);
	put_count(o, "egress", &row->count[PG_DIR_OUT], row->dropped[PG_DIR_OUT], oom);
	return o;
}

/* 0: null. That is NULL to json-c, which put() would take for want of memory. */
static void put_number_or_null(struct json_object *o, const char *key, uint64_t n, bool *oom)
{
	if (n)
		put_number(o, key, n, oom);
	else if (o && json_object_object_add(o, key, NULL) < 0)
		*oom = true;
}

static struct json_object *status_policy(const struct pg_snapshot *snap, bool *oom)
{
	const struct pg_dp_policy_info *info = &snap->policy;
	struct json_object *o = object();

	put_number(o, "generation", info->generation, oom);
	put_number(o, "rules", snap->n_rules, oom);
	put_number(o, "terms", info->terms, oom);
	put_number(o, "classes", info->rows, oom);
	put_text(o, "classifier", pg_form_name(info->form, info->verify), oom);
	put_number(o, "memory_bytes", info->memory_bytes, oom);
	put_number_or_null(o, "confirm_deadline_s", info->confirm_s, oom);
	put_number_or_null(o, "taken_back", info->confirm_s ? 0 : info->other, oom);
	put(o, "shadow", json_object_new_boolean(info->shadow == PG_SHADOW_ON), oom);
	put_number_or_null(o, "shadow_since", (uint64_t)info->shadow_since, oom);
	put(o, "shadow_stopped", json_object_new_boolean(info->shadow_stopped), oom);
	return o;
}

/* Both tables together, and then what half-open ones have of it. */
static void put_both(struct json_object *o, const char *name, const __u64 *n, bool *oom)
{
	char half_open[32];

	snprintf(half_open, sizeof(half_open), "half_open_%s", name);
	put_number(o, name, n[PG_FLOW_TABLE] + n[PG_HALF_OPEN_TABLE], oom);
	put_number(o, half_open, n[PG_HALF_OPEN_TABLE], oom);
}

static struct json_object *status_flows(const struct pg_snapshot *snap, bool *oom)
{
	const struct pg_dp_flow_info *info = &snap->flow;
	struct json_object *o = object();

	put_number(o, "count", info->count[PG_FLOW_TABLE], oom);
	put_number(o, "capacity", info->capacity[PG_FLOW_TABLE], oom);
	put_number(o, "half_open", info->count[PG_HALF_OPEN_TABLE], oom);
	put_number(o, "half_open_capacity", info->capacity[PG_HALF_OPEN_TABLE], oom);
	put_both(o, "evicted", info->stats.evicted, oom);
	put_both(o, "refused", info->stats.refused, oom);
	put_both(o, "created", info->stats.created, oom);
	put_both(o, "collected", info->stats.collected, oom);
	put_number(o, "picked_up", info->stats.picked_up, oom);
	put_number(o, "out_of_window", info->stats.out_of_window, oom);
	put_number(o, "memory_bytes", info->memory_bytes, oom);
	put(o, "tracking", json_object_new_boolean(info->tracking), oom);
	put_text(o, "track", snap->flow_options & PG_FLOW_OPT_TRACK ? "on" : "auto", oom);
	put(o, "strict", json_object_new_boolean(!!(snap->flow_options & PG_FLOW_OPT_STRICT)), oom);
	put(o, "liberal", json_object_new_boolean(!!(snap->flow_options & PG_FLOW_OPT_LIBERAL)), oom);
	return o;
}

static struct json_object *status_log(const struct pg_snapshot *snap, bool *oom)
{
	struct json_object *o = object();

	put_number(o, "lost", snap->events_lost, oom);
	return o;
}

/* null: not asked, or by somebody who may load no programs. */
static void put_kernel_lacks(struct json_object *doc, const struct pg_snapshot *snap, bool *oom)
{
	struct json_object *o = snap->knows_kernel ? json_object_new_array() : NULL;
	const struct pg_dp_kernel *has = &snap->has;

	if ((snap->knows_kernel && !o) || json_object_object_add(doc, "kernel_lacks", o) < 0 ||
	    (o && !has->tcx && json_object_array_add(o, json_object_new_string("tcx"))) ||
	    (o && !has->frags && json_object_array_add(o, json_object_new_string("frags"))) ||
	    (o && !has->jit && json_object_array_add(o, json_object_new_string("jit"))))
		*oom = true;
}

int pg_json_status(FILE *f, const struct pg_snapshot *snap, struct pg_err *err)
{
	struct json_object *doc = object(), *ifaces = json_object_new_array();
	bool oom = false;

	put_text(doc, "version", PG_VERSION, &oom);
	put_text(doc, "kernel", snap->kernel, &oom);
	put_kernel_lacks(doc, snap, &oom);
	put_text(doc, "state_dir", snap->state_dir, &oom);
	put(doc, "interfaces", ifaces, &oom);
	for (size_t i = 0; i < snap->n_iface && !oom; i++)
		json_object_array_add(ifaces, status_iface(&snap->iface[i], &oom));
	put(doc, "policy", status_policy(snap, &oom), &oom);
	put(doc, "flows", status_flows(snap, &oom), &oom);
	put(doc, "log", status_log(snap, &oom), &oom);
	put_number(doc, "memory_bytes", snap->memory_bytes, &oom);
	return done(f, doc, oom, false, "\n", err);
}

/* Log ------------------------------------------------------------------------------------------ */

static void log_rule(struct json_object *doc, const struct pg_log_record *record, bool *oom)
{
	const struct pg_event *e = record->event;
	char prefix[sizeof(e->prefix)];

	put_text(doc, "target", e->nflog ? "NFLOG" : "LOG", oom);
	if (e->nflog)
		put_number(doc, "group", e->group, oom);
	else
		put_number(doc, "level", e->level, oom);
	snprintf(prefix, sizeof(prefix), "%.*s", (int)sizeof(e->prefix) - 1, e->prefix);
	put_text(doc, "prefix", prefix, oom);
	if (!record->chain)
		return;
	put_text(doc, "table", record->table, oom);
	put_text(doc, "chain", record->chain, oom);
	put_number(doc, "rule", record->rule, oom);
}

static void log_packet(struct json_object *doc, const struct pg_event *e, bool *oom)
{
	struct pg_logfields fields;
	const char *name;

	pg_logfields(e, &fields);
	put_text(doc, "src", fields.src, oom);
	if (fields.sport >= 0)
		put_number(doc, "sport", fields.sport, oom);
	put_text(doc, "dst", fields.dst, oom);
	if (fields.dport >= 0)
		put_number(doc, "dport", fields.dport, oom);
	if (fields.proto >= 0) {
		char number[16];

		name = pg_proto_name((uint8_t)fields.proto);
		snprintf(number, sizeof(number), "%d", fields.proto);
		put_text(doc, "proto", name ?: number, oom);
	}
	if (fields.has_flags)
		put_text(doc, "flags", fields.flags, oom);
	put_number(doc, "length", fields.length, oom);
	if (e->vlan_proto)
		put_number(doc, "vlan", e->vlan_id, oom);
	if (e->mark)
		put_number(doc, "mark", e->mark, oom);
}

int pg_json_log(FILE *f, const struct pg_log_record *record, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text line = { 0 };
	struct json_object *doc = object();
	long us = record->when.tv_nsec / 1000;
	bool oom = false;

	put(doc, "time", json_object_new_double((double)record->when.tv_sec + (double)us / 1e6),
	    &oom);
	put_text(doc, "iface", record->ifname, &oom);
	log_rule(doc, record, &oom);
	log_packet(doc, record->event, &oom);
	pg_logline(&line, record->event, record->ifname);
	put_text(doc, "line", line.oom ? "" : line.buf, &oom);
	return done(f, doc, oom || line.oom, false, "\n", err);
}

/* Ports ---------------------------------------------------------------------------------------- */

static struct json_object *port_listener(const struct pg_listener *listener, bool *oom)
{
	struct json_object *o = object();

	put_number(o, "pid", listener->pid, oom);
	put_text(o, "comm", listener->comm, oom);
	put_text(o, "address", listener->address, oom);
	return o;
}

static struct json_object *port(const struct pg_port_row *row, bool *oom)
{
	struct json_object *o = object(), *flags = object();

	put_text(o, "proto", pg_port_proto_name(row->proto), oom);
	put_number(o, "port", row->port, oom);
	put_text(o, "service", row->service, oom);
	put_text(o, "range", pg_service_range(row->port), oom);
	put_count(o, "in", &row->in, row->in_dropped, oom);
	put_count(o, "out", &row->out, row->out_dropped, oom);
	for (int i = 0; i < _PG_FLAG_MAX; i++)
		put_number(flags, pg_flag_name((enum pg_tcp_flag)i), row->flags.count[i], oom);
	put(o, "flags", flags, oom);
	if (row->has_listener)
		put(o, "listener", port_listener(&row->listener, oom), oom);
	else if (o && json_object_object_add(o, "listener", NULL) < 0)
		*oom = true;
	return o;
}

/* Row by row: as one json-c document, the ports of a full scan would take 300 MB. */
static int write_ports(FILE *f, const struct pg_port_row *const *row, size_t n, struct pg_err *err)
{
	fputs("\"ports\":[", f);
	for (size_t i = 0; i < n; i++) {
		bool oom = false;
		struct json_object *o = port(row[i], &oom);
		int r = done(f, o, oom, false, i + 1 < n ? "," : "", err);

		if (r < 0)
			return r;
	}
	fputs("]}\n", f);
	return ferror(f) ? pg_fail(err, -EIO, "cannot write: %s", strerror(errno)) : 0;
}

static int write_wanted(FILE *f, const struct pg_snapshot *snap, const struct pg_ports_opts *opts,
			struct pg_err *err)
{
	_free_ const struct pg_port_row **row = calloc(snap->n_port + 1, sizeof(*row));
	size_t n = 0;

	if (!row)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < snap->n_port; i++)
		if (pg_ports_wanted(opts, &snap->port[i]))
			row[n++] = &snap->port[i];
	pg_ports_sort(row, n, opts->sort);
	return write_ports(f, row, n, err);
}

int pg_json_ports(FILE *f, const struct pg_snapshot *snap, const struct pg_ports_opts *opts,
		  struct pg_err *err)
{
	fputc('{', f);
	return write_wanted(f, snap, opts, err);
}

/* Reasons and rules ---------------------------------------------------------------------------- */

int pg_json_reasons(FILE *f, const struct pg_snapshot *snap, struct pg_err *err)
{
	struct json_object *doc = object(), *reasons = json_object_new_array();
	bool oom = false;

	put(doc, "reasons", reasons, &oom);
	for (int i = 0; i < _PG_REASON_MAX && !oom; i++) {
		struct json_object *o = object();

		put_text(o, "name", pg_reason_name((enum pg_reason)i), &oom);
		put_text(o, "help", pg_reason_help((enum pg_reason)i), &oom);
		put_number(o, "packets", snap->reason[i].packets, &oom);
		put_number(o, "bytes", snap->reason[i].bytes, &oom);
		json_object_array_add(reasons, o);
	}
	return done(f, doc, oom, false, "\n", err);
}

static struct json_object *rule(const struct pg_rule *from, size_t num, bool *oom)
{
	struct json_object *o = object();
	struct pg_text spec = { 0 };

	pg_rule_print(&spec, from, 0);
	put_number(o, "num", num, oom);
	/* For who must not read the rule's text himself. A chain of the user's has a name of his own. */
	put(o, "drops", json_object_new_boolean(from->target == PG_TARGET_DROP ||
						from->target == PG_TARGET_REJECT), oom);
	put_text(o, "spec", spec.buf ? spec.buf : "", oom);
	put_number(o, "packets", from->packets, oom);
	put_number(o, "bytes", from->bytes, oom);
	*oom |= spec.oom;
	pg_text_free(&spec);
	return o;
}

/* A user-defined chain has no policy: null, and how many rules lead to it. */
static struct json_object *chain(const struct pg_ruleset *set, const struct pg_chain *from,
				 bool *oom)
{
	struct json_object *o = object(), *rules = json_object_new_array();

	put_text(o, "table", pg_table_name(from->table), oom);
	put_text(o, "name", from->name, oom);
	if (pg_chain_is_builtin(set, from)) {
		put_text(o, "policy", pg_target_name(from->policy), oom);
	} else {
		json_object_object_add(o, "policy", NULL);
		put_number(o, "references", pg_chain_references(set, from), oom);
	}
	put_number(o, "packets", from->packets, oom);
	put_number(o, "bytes", from->bytes, oom);
	put(o, "rules", rules, oom);
	for (size_t i = 0; i < from->n_rules && !*oom; i++)
		json_object_array_add(rules, rule(&from->rule[i], i + 1, oom));
	return o;
}

static struct json_object *chains(const struct pg_ruleset *set, bool *oom)
{
	struct json_object *o = object(), *array = json_object_new_array();

	put(o, "chains", array, oom);
	for (size_t i = 0; i < set->n_chains && !*oom; i++) {
		const struct pg_chain *from = &set->chain[i];

		/* Those of raw only where they say something. */
		if (from->table == PG_TABLE_RAW && !from->n_rules &&
		    from->policy == PG_TARGET_ACCEPT)
			continue;
		json_object_array_add(array, chain(set, from, oom));
	}
	return o;
}

int pg_json_rules(FILE *f, const struct pg_snapshot *snap, struct pg_err *err)
{
	bool oom = false;
	struct json_object *doc = chains(snap->rules, &oom);

	put_number(doc, "time_ms", snap->time_ms, &oom);
	return done(f, doc, oom, false, "\n", err);
}

/* States --------------------------------------------------------------------------------------- */

static struct json_object *transitions(const struct pg_state_matrix *m, bool *oom)
{
	struct json_object *list = json_object_new_array();

	for (unsigned from = 0; from < _PG_END_MAX; from++) {
		for (unsigned to = 0; to < _PG_END_MAX && !*oom; to++) {
			struct json_object *o;

			if (!m->count[from][to])
				continue;
			o = object();
			put_text(o, "from", pg_end_state_name((enum pg_end_state)from), oom);
			put_text(o, "to", pg_end_state_name((enum pg_end_state)to), oom);
			put_number(o, "count", m->count[from][to], oom);
			json_object_array_add(list, o);
		}
	}
	return list;
}

static struct json_object *odd_flags(const struct pg_states *states, bool *oom)
{
	struct json_object *o = object();

	for (unsigned i = 0; i < _PG_ODD_MAX; i++)
		put_number(o, pg_odd_flags_name((enum pg_odd_flags)i), states->odd[i], oom);
	return o;
}

/* Port by port, as ports are: a scan may have touched them all. `end` follows the object. */
static int write_states(FILE *f, const struct pg_states *states, const struct pg_states_opts *opts,
			const char *end, struct pg_err *err)
{
	struct json_object *doc = object();
	bool oom = false, any = false;
	int r;

	put(doc, "transitions", transitions(&states->total, &oom), &oom);
	put(doc, "impossible_flags", odd_flags(states, &oom), &oom);
	r = done(f, doc, oom, true, ",\"ports\":[", err);
	for (size_t i = 0; !r && i < states->n_ports; i++) {
		struct json_object *o;

		if (!pg_states_wanted(opts, states->port[i].port))
			continue;
		if (any)
			fputc(',', f);
		any = true;
		o = object();
		put_number(o, "port", states->port[i].port, &oom);
		put(o, "transitions", transitions(&states->port[i].matrix, &oom), &oom);
		r = done(f, o, oom, false, "", err);
	}
	fprintf(f, "]}%s", end);
	return r;
}

int pg_json_states(FILE *f, const struct pg_states *states, const struct pg_states_opts *opts,
		   struct pg_err *err)
{
	return write_states(f, states, opts, "\n", err);
}

/* Differences ---------------------------------------------------------------------------------- */

static void put_null(struct json_object *obj, const char *key, bool *oom)
{
	if (!obj || json_object_object_add(obj, key, NULL) < 0)
		*oom = true;
}

/* Chain, number and text; null where no chain was asked. */
static void put_place(struct json_object *o, const struct pg_place *place, bool *oom)
{
	struct pg_text spec = { 0 };

	if (!place->chain) {
		put_null(o, "chain", oom);
		put_null(o, "rule", oom);
		put_null(o, "spec", oom);
		return;
	}
	put_text(o, "table", pg_table_name(place->chain->table), oom);
	put_text(o, "chain", place->chain->name, oom);
	put_number(o, "rule", place->num, oom);
	pg_place_print(&spec, place);
	put_text(o, "spec", spec.buf ? spec.buf : "", oom);
	*oom |= spec.oom;
	pg_text_free(&spec);
}

static void put_side(struct json_object *row, const char *key, const struct pg_diff_side *side,
		     bool *oom)
{
	struct json_object *o = object();

	put_text(o, "verdict", pg_verdict_name((enum pg_verdict)side->verdict), oom);
	put_place(o, &side->place, oom);
	put_text(o, "reason", pg_reason_name((enum pg_reason)side->reason), oom);
	put(row, key, o, oom);
}

static struct json_object *diff_row(const struct pg_diff_row *row, bool *oom)
{
	struct json_object *o = object();
	char source[INET6_ADDRSTRLEN] = "";

	put_text(o, "direction", row->dir == PG_DIR_IN ? "in" : "out", oom);
	if (row->iface[0])
		put_text(o, "iface", row->iface, oom);
	if (row->has_proto)
		put_number(o, "proto", row->proto, oom);
	if (row->has_port)
		put_number(o, "port", row->port, oom);
	if (row->has_source && inet_ntop(row->v6 ? AF_INET6 : AF_INET, row->source, source,
					 sizeof(source)))
		put_text(o, "source", source, oom);
	put_side(o, "was", &row->was, oom);
	put_side(o, "now", &row->now, oom);
	put_number(o, "packets", row->count.packets, oom);
	put_number(o, "bytes", row->count.bytes, oom);
	if (row->first_frame)
		put_number(o, "first_frame", row->first_frame, oom);
	return o;
}

static struct json_object *diff_rows(const struct pg_diff *diff, bool *oom)
{
	struct json_object *list = json_object_new_array();

	*oom |= !list;
	for (size_t i = 0; i < diff->n && !*oom; i++)
		json_object_array_add(list, diff_row(&diff->row[i], oom));
	return list;
}

static struct json_object *left_out(const struct pg_shadow *shadow, bool *oom)
{
	struct json_object *list = json_object_new_array();
	char name[IFNAMSIZ];

	*oom |= !list;
	for (size_t i = 0; i < shadow->n_left_out && !*oom; i++)
		*oom |= json_object_array_add(list, json_object_new_string(pg_printable(
				shadow->left_out[i], name, sizeof(name)))) < 0;
	return list;
}

int pg_json_shadow(FILE *f, const struct pg_shadow *shadow, struct pg_err *err)
{
	const struct pg_shadow_sums *sums = &shadow->sums;
	struct json_object *doc = object();
	bool oom = false;

	put_number(doc, "compared", sums->compared.packets, &oom);
	put_number(doc, "differences", sums->differ.packets, &oom);
	put_number(doc, "difference_bytes", sums->differ.bytes, &oom);
	put_number(doc, "not_listed", sums->lost.packets, &oom);
	put(doc, "stopped", json_object_new_boolean(pg_shadow_stopped(shadow)), &oom);
	put_number(doc, "generation", shadow->generation, &oom);
	put_number(doc, "generation_in_force", shadow->in_force, &oom);
	put(doc, "left_out", left_out(shadow, &oom), &oom);
	put(doc, "difference_rows", diff_rows(&shadow->diff, &oom), &oom);
	return done(f, doc, oom, false, "\n", err);
}

/* Replay --------------------------------------------------------------------------------------- */

static void replay_histograms(const struct pg_replay_sums *sums, struct json_object *doc,
			      bool *oom)
{
	struct json_object *ethertypes = object(), *vlans = object(), *l4 = object();
	char key[8];

	for (unsigned i = 0; i < ARRAY_SIZE(sums->ethertype); i++) {
		if (!sums->ethertype[i])
			continue;
		snprintf(key, sizeof(key), "0x%04x", i);
		put_number(ethertypes, i ? key : "none", sums->ethertype[i], oom);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sums->vlans); i++) {
		snprintf(key, sizeof(key), "%u", i);
		if (i < 3 || sums->vlans[i])
			put_number(vlans, i ? key : "none", sums->vlans[i], oom);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sums->l4); i++) {
		snprintf(key, sizeof(key), "%u", i);
		if (sums->l4[i])
			put_number(l4, key, sums->l4[i], oom);
	}
	put(doc, "ethertypes", ethertypes, oom);
	put(doc, "vlans", vlans, oom);
	put(doc, "l4", l4, oom);
}

static void replay_lists(const struct pg_replay_sums *sums, struct json_object *doc, bool *oom)
{
	struct json_object *verdicts = object(), *reasons = object(), *fragments = object();

	for (int i = 0; i < _PG_VERDICT_MAX; i++)
		put_number(verdicts, pg_verdict_name((enum pg_verdict)i), sums->verdict[i], oom);
	for (int i = 0; i < _PG_REASON_MAX; i++)
		put_number(reasons, pg_reason_name((enum pg_reason)i), sums->reason[i], oom);
	for (int i = PG_FRAG_NONE + 1; i < _PG_FRAG_MAX; i++)
		put_number(fragments, pg_frag_name((enum pg_frag)i), sums->frag[i], oom);
	put(doc, "verdicts", verdicts, oom);
	put(doc, "reasons", reasons, oom);
	replay_histograms(sums, doc, oom);
	put(doc, "fragments", fragments, oom);
}

int pg_json_replay(FILE *f, const struct pg_replay_sums *sums, const struct pg_diff *diff,
		   const struct pg_snapshot *snap, struct pg_err *err)
{
	static const struct pg_ports_opts every_port;
	static const struct pg_states_opts every_state;
	struct json_object *doc = object();
	bool oom = false;
	int r;

	put_number(doc, "frames", sums->frames, &oom);
	put_number(doc, "skipped", sums->skipped, &oom);
	put_number(doc, "cut", sums->cut, &oom);
	replay_lists(sums, doc, &oom);
	put(doc, "rules", chains(snap->rules, &oom), &oom);
	put_number(doc, "flows",
		   (uint64_t)snap->flow.count[PG_FLOW_TABLE] + snap->flow.count[PG_HALF_OPEN_TABLE],
		   &oom);
	put_number(doc, "differences", diff ? diff->packets : 0, &oom);
	if (diff)
		put(doc, "difference_rows", diff_rows(diff, &oom), &oom);
	r = done(f, doc, oom, true, ",\"states\":", err);
	if (!r)
		r = write_states(f, &snap->states, &every_state, ",", err);
	return r < 0 ? r : write_wanted(f, snap, &every_port, err);
}

int pg_json_lint(FILE *f, const struct pg_lint *lint, struct pg_err *err)
{
	struct json_object *list = json_object_new_array();
	bool oom = !list;

	for (size_t i = 0; i < lint->n && !oom; i++) {
		const struct pg_lint_problem *p = &lint->problem[i];
		struct json_object *o = object();

		put_number(o, "line", p->pos.line, &oom);
		put_number(o, "column", p->pos.column, &oom);
		put_text(o, "severity", pg_lint_is_error(p->code) ? "error" : "warning", &oom);
		put_text(o, "code", pg_lint_name(p->code), &oom);
		put_text(o, "message", p->text, &oom);
		oom |= json_object_array_add(list, o) < 0;
	}
	return done(f, list, oom, false, "\n", err);
}

/* Test ----------------------------------------------------------------------------------------- */

static void put_addr(struct json_object *o, const char *key, const struct pg_trace *trace,
		     const __be32 *addr, bool *oom)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(trace->l3_type == ETHERTYPE_IPV6 ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	put_text(o, key, text, oom);
}

/* As the program has read it. */
static struct json_object *answer_packet(const struct pg_answer *answer, const char *iface,
					 bool *oom)
{
	const struct pg_trace *trace = &answer->trace;
	bool icmp = trace->proto == IPPROTO_ICMP || trace->proto == IPPROTO_ICMPV6;
	struct json_object *o = object();

	put_text(o, "direction", answer->dir == PG_DIR_IN ? "in" : "out", oom);
	if (iface)
		put_text(o, "iface", iface, oom);
	put_number(o, "length", trace->ip_len, oom);
	if (trace->has_l3) {
		put_addr(o, "src", trace, trace->saddr, oom);
		put_addr(o, "dst", trace, trace->daddr, oom);
	}
	if (trace->has_proto)
		put_number(o, "proto", trace->proto, oom);
	if (trace->has_ports) {
		put_number(o, icmp ? "type" : "sport", trace->sport, oom);
		put_number(o, icmp ? "code" : "dport", trace->dport, oom);
	}
	if (trace->has_flags)
		put_number(o, "flags", trace->tcp_flags, oom);
	if (trace->ct_state)
		put_text(o, "ctstate", pg_ct_state_name(trace->ct_state), oom);
	return o;
}

/* Text that a printer has left in `t`, which is freed; nothing for an empty one. */
static void put_printed(struct json_object *o, const char *key, struct pg_text *t, bool *oom)
{
	if (t->len)
		put_text(o, key, t->buf, oom);
	*oom |= t->oom;
	pg_text_free(t);
}

static struct json_object *considered(const struct pg_considered *row,
				      const struct pg_explained *explained, bool *oom)
{
	struct pg_text failed = { 0 }, left = { 0 };
	struct json_object *o = object();

	put_place(o, &row->place, oom);
	put_text(o, "outcome", pg_outcome_name(row->outcome), oom);
	if (row->outcome == PG_OUTCOME_FAILED)
		pg_condition_print(&failed, row->place.rule, &row->failed);
	put_printed(o, "failed", &failed, oom);
	pg_rule_remembered_print(&left, row->place.rule, explained);
	put_printed(o, "limits", &left, oom);
	return o;
}

static struct json_object *parsed(const struct pg_trace *trace, bool *oom)
{
	bool asked = trace->reason == PG_REASON_RULE || trace->reason == PG_REASON_POLICY;
	struct json_object *o = object(), *vlans = json_object_new_array();

	put_number(o, "frame_length", trace->frame_len, oom);
	put_number(o, "ethertype", trace->ethertype, oom);
	*oom |= !vlans;
	for (unsigned i = 0; i < trace->vlans && i < ARRAY_SIZE(trace->vlan_id) && vlans; i++)
		json_object_array_add(vlans, json_object_new_int(trace->vlan_id[i]));
	put(o, "vlans", vlans, oom);
	put_text(o, "outcome", asked ? "rules" : pg_reason_name((enum pg_reason)trace->reason), oom);
	put_text(o, "fragment", trace->frag == PG_FRAG_NONE ? "none" :
				pg_frag_name((enum pg_frag)trace->frag), oom);
	put_number(o, "fragment_offset", trace->frag_offset * 8U, oom);
	return o;
}

static struct json_object *flow_before(const struct pg_explained *explained, bool *oom)
{
	const struct pg_dp_flow *flow = explained->flow;
	struct json_object *o = object(), *packets = json_object_new_array();

	*oom |= !packets;
	put_text(o, "state", flow->sctp_state ? pg_sctp_state_name(flow->sctp_state) :
						pg_pair_state_name(flow->tcp_state), oom);
	put(o, "assured", json_object_new_boolean(flow->assured), oom);
	put(o, "seen_reply", json_object_new_boolean(flow->seen_reply), oom);
	for (int i = 0; i < 2 && packets; i++)
		json_object_array_add(packets, json_object_new_uint64(flow->end[i].sent.packets));
	put(o, "packets", packets, oom);
	put_number(o, "expires_s", (flow->expires_ns - explained->now_ns) / 1000000000, oom);
	return o;
}

static void put_explained(struct json_object *doc, const struct pg_answer *answer,
			  const struct pg_explained *explained, bool *oom)
{
	struct json_object *list = json_object_new_array();

	put(doc, "parser", parsed(&answer->trace, oom), oom);
	if (explained->flow)
		put(doc, "flow", flow_before(explained, oom), oom);
	else
		put_null(doc, "flow", oom);
	*oom |= !list;
	for (size_t i = 0; i < explained->explain->n && !*oom; i++)
		json_object_array_add(list, considered(&explained->explain->row[i], explained, oom));
	put(doc, "considered", list, oom);
	if (explained->explain->cut)
		put(doc, "considered_cut", json_object_new_boolean(true), oom);
}

int pg_json_answer(FILE *f, const struct pg_answer *answer, const char *iface,
		   const struct pg_explained *explained, struct pg_err *err)
{
	struct json_object *doc = object(), *path = json_object_new_array();
	bool oom = false;

	put_text(doc, "verdict", pg_answer_verdict(answer), &oom);
	put_place(doc, &answer->decided, &oom);
	put_text(doc, "reason", pg_reason_name((enum pg_reason)answer->trace.reason), &oom);
	put(doc, "path", path, &oom);
	for (size_t i = 0; i < answer->n_path && !oom; i++) {
		struct json_object *o = object();

		put_place(o, &answer->path[i], &oom);
		put_text(o, "target", pg_rule_target_name(answer->path[i].rule), &oom);
		json_object_array_add(path, o);
	}
	if (answer->path_cut)
		put(doc, "path_cut", json_object_new_boolean(true), &oom);
	put(doc, "packet", answer_packet(answer, iface, &oom), &oom);
	if (explained)
		put_explained(doc, answer, explained, &oom);
	return done(f, doc, oom, false, "\n", err);
}
