/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "serve_read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>

#include "export_json.h"
#include "export_prometheus.h"
#include "export_stream.h"
#include "fdpass.h"
#include "flow_scan.h"
#include "flow_sums.h"
#include "drops.h"
#include "snapshot.h"
#include "view_flows.h"

/* What the stream needs from one event to the next. */
struct live {
	struct pg_stream stream;
	struct pg_snapshot_cache cache;
	struct pg_flow_scan flows;
	struct pg_drops *drops; /* of the instance; NULL: none */
	struct pg_top_drops last_drops;
	struct pg_marks_age marks_age;
};

struct reader {
	const struct pg_reader_opts *opts;
	uint64_t opened; /* which instance was read last */
	struct pg_metric_ports *ports;
	struct pg_flow_sums *sums;
	struct live *live;
};

/* Of a second, what walking over flows may take. */
#define FLOWS_NS 3000000

static double seconds(const struct timespec *t)
{
	return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

static double now_s(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	return seconds(&t);
}

static double cpu_s(void)
{
	struct rusage use = { 0 };

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* Documents ------------------------------------------------------------------------------------ */

static unsigned what_for(enum pg_doc doc)
{
	switch (doc) {
	case PG_DOC_STATUS:
		return PG_SNAP_KERNEL;
	case PG_DOC_PORTS:
		return PG_SNAP_PORTS | PG_SNAP_LISTENERS;
	case PG_DOC_FLOWS:
		return PG_SNAP_FLOWS;
	case PG_DOC_STATES:
		return PG_SNAP_STATES;
	case PG_DOC_METRICS:
		return PG_SNAP_PORTS | PG_SNAP_LISTENERS | PG_SNAP_STATES_TOTAL;
	default:
		return 0;
	}
}

static int write_flows(FILE *f, const struct pg_snapshot *snap, struct pg_err *err)
{
	struct pg_flow_json *j = pg_flow_json_begin(f);

	if (!j)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < snap->flows.n; i++)
		pg_flow_json_add(j, &snap->flows.row[i]);
	return pg_flow_json_end(j, err);
}

/* The newest, the oldest of them first; each as `drops --json` has it. */
static int write_drops(struct pg_dp *dp, FILE *f, size_t most, struct pg_err *err)
{
	_cleanup_(pg_drop_list_clear) struct pg_drop_list list = { 0 };
	int r = dp ? pg_drops_last(dp, most, &list, err) : 0;

	fputs("{\"drops\":[", f);
	for (size_t i = 0; !r && i < list.n; i++) {
		fputs(i ? "," : "", f);
		r = pg_json_drop(f, &list.row[i], err);
	}
	fputs("]}\n", f);
	return r;
}

static size_t read_runs(struct pg_dp *dp, struct pg_metric_run *ret, struct pg_err *err)
{
	struct pg_dp_iface iface[PG_MAX_IFACES];
	size_t n = 0;

	if (pg_dp_ifaces(dp, iface, err) < 0)
		return 0;
	for (__u32 slot = 0; slot < PG_MAX_IFACES; slot++) {
		for (int d = 0; iface[slot].abi.netns && d < _PG_DIR_MAX; d++) {
			struct pg_metric_run *run = &ret[n];
			struct pg_dp_cost cost;

			if (!pg_dp_cost_read(dp, slot, (enum pg_dir)d, &cost) || !cost.runs)
				continue;
			*run = (struct pg_metric_run){ .netns = iface[slot].abi.netns, .dir = d,
						       .count = cost.runs, .ns = cost.ns };
			memcpy(run->iface, iface[slot].abi.name, sizeof(run->iface));
			n++;
		}
	}
	return n;
}

static int write_metrics(struct reader *reader, struct pg_dp *dp, FILE *f,
			 const struct pg_snapshot *snap, double began_s, struct pg_err *err)
{
	struct pg_metric_run run[PG_MAX_IFACES * _PG_DIR_MAX];
	const struct pg_metric_opts opts = {
		.ports = reader->ports,
		.max_rules = reader->opts->max_rules,
		.read_s = now_s() - began_s,
		.cpu_s = cpu_s(),
		.flows_by_word = reader->sums->word,
		.run = run,
		.n_runs = dp ? read_runs(dp, run, err) : 0,
	};

	if (pg_metric_ports_choose(reader->ports, snap) < 0)
		return pg_fail(err, -ENOMEM, "out of memory");
	return pg_metrics(f, snap, &opts, err);
}

static int write_doc(struct reader *reader, struct pg_dp *dp, FILE *f, enum pg_doc doc,
		     const struct pg_question *q, const struct pg_snapshot *snap, double began_s,
		     struct pg_err *err)
{
	switch (doc) {
	case PG_DOC_STATUS:
		return pg_json_status(f, snap, err);
	case PG_DOC_PORTS:
		return pg_json_ports(f, snap, &q->ports, err);
	case PG_DOC_RULES:
		return pg_json_rules(f, snap, err);
	case PG_DOC_REASONS:
		return pg_json_reasons(f, snap, err);
	case PG_DOC_FLOWS:
		return write_flows(f, snap, err);
	case PG_DOC_STATES:
		return pg_json_states(f, &snap->states, &q->states, err);
	case PG_DOC_DROPS:
		return write_drops(dp, f, q->last_drops, err);
	case PG_DOC_METRICS:
		return write_metrics(reader, dp, f, snap, began_s, err);
	default:
		return 0;
	}
}

static void forget(struct live *live)
{
	pg_drops_close(TAKE_PTR(live->drops));
	pg_flow_scan_clear(&live->flows);
	live->last_drops.n = live->last_drops.missed = 0;
	live->marks_age = (struct pg_marks_age){ 0 };
}

/* Another instance than the last time starts with counters of its own. */
static int get_instance(struct reader *reader, struct pg_dp **ret_dp, struct pg_err *err)
{
	uint64_t opened = 0;
	int r = pg_dp_follow_get(reader->opts->follow, ret_dp, &opened, err);

	if (!r && (opened != reader->opened || !*ret_dp)) {
		pg_metric_ports_reset(reader->ports);
		reader->opened = opened;
		forget(reader->live);
	}
	return r;
}

/* The stream: as cheap as what comes every second has to be --------------------------------------- */

static int read_live(struct reader *reader, struct pg_dp *dp, struct pg_snapshot **ret_snap,
		     struct pg_err *err)
{
	const struct pg_flow_scan_opts flows = {
		.query = { .by = PG_FLOW_BY_RATE, .top = PG_FLOW_SAMPLE_TOP },
		.fresh = 2 * PG_STREAM_FLOWS,
		.budget_ns = FLOWS_NS,
	};
	struct live *live = reader->live;
	struct pg_snapshot *snap = NULL;
	int r = live->drops ? 0 : pg_drops_open(dp, false, &live->drops, err);

	if (!r)
		r = pg_flow_scan_read(&live->flows, dp, &flows, err);
	if (!r)
		r = pg_top_drops_take(live->drops, &live->last_drops, err);
	if (!r)
		r = pg_snapshot_read_again(dp, &live->cache, PG_SNAP_PORTS | PG_SNAP_LISTENERS |
					   PG_SNAP_STATES_TOTAL | PG_SNAP_COST, &snap, err);
	if (r < 0)
		return r;
	*ret_snap = snap;
	if (pg_marks_due(&live->marks_age, snap, (uint64_t)(now_s() * 1e9)))
		pg_marker_ask(reader->opts->marker);
	return pg_marks_apply(pg_marker_marks(reader->opts->marker), live->cache.services, snap) ?
		       pg_fail(err, -ENOMEM, "out of memory") : 0;
}

static int answer_stream(struct reader *reader, struct pg_dp *dp, FILE *f, struct pg_err *err)
{
	struct live *live = reader->live;
	struct pg_snapshot *snap = NULL;
	struct utsname uts;
	struct pg_stream_more more = {
		.host = uname(&uts) ? "" : uts.nodename,
		.flows = &live->flows.sampler.sample,
		.drops = &live->last_drops,
		.marks_error = pg_marker_error(reader->opts->marker),
	};
	int r = dp ? read_live(reader, dp, &snap, err) :
		     pg_snapshot_read(NULL, pg_dp_follow_dir(reader->opts->follow), 0, NULL, &snap, err);

	if (!r)
		r = pg_stream_write(f, &live->stream, snap, &more, err);
	if (dp)
		pg_snapshot_recycle(&live->cache, snap);
	else
		pg_snapshot_free(snap);
	return r;
}

static int answer(struct reader *reader, FILE *f, enum pg_doc doc, const struct pg_question *q,
		  struct pg_err *err)
{
	_cleanup_(pg_snapshot_freep) struct pg_snapshot *snap = NULL;
	double began_s = now_s();
	struct pg_dp *dp = NULL;
	int r = get_instance(reader, &dp, err);

	if (r || doc == PG_DOC_NONE)
		return r;
	if (doc == PG_DOC_STREAM)
		return answer_stream(reader, dp, f, err);
	r = pg_snapshot_read(dp, pg_dp_follow_dir(reader->opts->follow), what_for(doc), &q->flows,
			     &snap, err);
	if (r < 0)
		return r;
	memset(reader->sums, 0, sizeof(*reader->sums));
	if (dp && doc == PG_DOC_METRICS)
		r = pg_flow_sums_read(dp, reader->sums, err);
	return r < 0 ? r : write_doc(reader, dp, f, doc, q, snap, began_s, err);
}

/* Talking -------------------------------------------------------------------------------------- */

/* Into a file in memory that nobody can change any more. Returns its fd. */
static int make_doc(struct reader *reader, enum pg_doc doc, const struct pg_question *q,
		    uint64_t *ret_bytes, struct pg_err *err)
{
	_close_ int fd = memfd_create("portguard", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = copy < 0 ? NULL : fdopen(copy, "w");
	long bytes;
	int r;

	if (!f) {
		r = -errno;
		pg_closep(&copy);
		return pg_fail(err, r, "cannot make a document: %s", strerror(-r));
	}
	r = answer(reader, f, doc, q, err);
	bytes = ftell(f);
	if (fclose(f) && !r)
		r = pg_fail(err, -errno, "cannot make a document: %s", strerror(errno));
	if (r < 0)
		return r;
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	*ret_bytes = (uint64_t)bytes;
	return TAKE_FD(fd);
}

static int answer_one(struct reader *reader, int sock, const struct pg_ask *ask, size_t n)
{
	struct pg_told told = { .http_status = 200 };
	struct pg_err err = { .exit_code = 1 };
	struct pg_question q;
	_close_ int fd = -1;

	if (pg_ask_read(ask, n, &q, &err) < 0) {
		told.http_status = 400;
	} else {
		fd = make_doc(reader, (enum pg_doc)ask->doc, &q, &told.bytes, &err);
		if (fd < 0)
			told.http_status = 503;
	}
	if (told.http_status != 200) {
		told.exit_code = err.exit_code;
		snprintf(told.text, sizeof(told.text), "%.*s", (int)sizeof(told.text) - 1, err.text);
	}
	return pg_send_fd(sock, &told, sizeof(told), fd);
}

int pg_reader_run(int sock, const struct pg_reader_opts *opts)
{
	struct reader reader = {
		.opts = opts,
		.ports = calloc(1, sizeof(*reader.ports)),
		.sums = calloc(1, sizeof(*reader.sums)),
		.live = calloc(1, sizeof(*reader.live)),
	};
	struct pg_ask ask;
	ssize_t n = 0;
	int r = reader.ports && reader.sums && reader.live ? 0 : -ENOMEM;

	if (!r)
		reader.ports->max = opts->max_ports;
	while (!r && (n = recv(sock, &ask, sizeof(ask), 0)) > 0)
		r = answer_one(&reader, sock, &ask, (size_t)n);
	if (!r && n < 0)
		r = -errno;
	free(reader.ports);
	free(reader.sums);
	if (reader.live) {
		forget(reader.live);
		pg_snapshot_cache_clear(&reader.live->cache);
	}
	free(reader.live);
	return r;
}
